"""Errors as exceptions, and which fault each becomes where nobody catches it."""

from __future__ import annotations

from typing import Any


class Error(Exception):
    """An error of this package. Where a handler does not catch it, it becomes a fault."""

    def fault(self) -> Fault:
        """The fault that the sender of the message is told, where the handler does not catch this."""
        return Internal(str(self))


class Fault(Error):
    """Why a message was not handled: raise one of its four kinds. The effects of the turn are discarded, and the
    instance lives on."""

    def __init__(self, reason: object = "") -> None:
        super().__init__(str(reason))
        self.reason = str(reason)

    def fault(self) -> Fault:
        return self


class Invalid(Fault):
    """The message makes no sense here. Sending it again will not help."""


class Refused(Fault):
    """The message was understood, and the answer is no."""


class Unavailable(Fault):
    """Something that is needed was not there. Sending it again later may help."""


class Internal(Fault):
    """The component failed in a way that it did not foresee."""


class NoHost(Error):
    """There is no host: this runs outside of a component, as in a unit test."""


class SendError(Error):
    """Why a message was not sent. Nothing was sent then."""


class Denied(SendError):
    """The service was not granted this. The text names the grant that is missing."""


class NoSuchService(SendError):
    """No service has this address, or the text is no address."""

    def fault(self) -> Fault:
        return Unavailable(f"no such service: {self}")


class Overloaded(SendError):
    """There is no room: in the receiver's mailbox, in what a turn holds back, among the timers or subscriptions."""

    def fault(self) -> Fault:
        return Unavailable("the receiver's mailbox is full")


class TooLarge(SendError):
    """The body is larger than a message may be."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"larger than a message may be: {limit_bytes} bytes")
        self.limit_bytes = limit_bytes


class Stopped(SendError):
    """The service is known and does not take messages any more."""

    def fault(self) -> Fault:
        return Unavailable("the service is stopped")


class CallError(Error):
    """Why a call has no answer."""

    def fault(self) -> Fault:
        return Unavailable(str(self))


class NotSent(CallError):
    """The call never left; `cause` says why."""

    def __init__(self, cause: SendError) -> None:
        super().__init__(str(cause))
        self.cause = cause

    def fault(self) -> Fault:
        return self.cause.fault()


class Timeout(CallError):
    """No answer came in time. Whether it was handled, is being handled or will be is not known."""


class Deadlock(CallError):
    """The one called, or somebody it waits for, waits for this service. The call never left."""


class Faulted(CallError):
    """The one called answered with this fault. Its turn left no effects."""

    def __init__(self, answer: Fault) -> None:
        super().__init__(answer.reason)
        self.answer = answer

    def fault(self) -> Fault:
        return self.answer


class Crashed(CallError):
    """The one called crashed over it. Its turn left no effects."""

    def fault(self) -> Fault:
        return Internal(f"the one called crashed: {self}")


class Dropped(CallError):
    """It was dropped before it was handled."""


class StateError(Error):
    """Why the state could not be read or written: the store failed, or a limit is reached."""

    def fault(self) -> Fault:
        return Unavailable(str(self))


class NoState(StateError):
    """This service has no state, as those of a stateless pool."""

    def fault(self) -> Fault:
        return Internal("this service has no state")


class StateDenied(StateError):
    """This service may not use its state."""

    def fault(self) -> Fault:
        return Internal("this service may not use its state")


class ConfigError(Error):
    """The host cannot read the configuration, and says why."""


def named(error: Any, kinds: dict[str, type[Error]], otherwise: type[Error]) -> Error:
    """The exception for a generated variant such as `SendError_TooLarge`, by the name of its case."""
    case = type(error).__name__.rpartition("_")[2]
    kind = kinds.get(case, otherwise)
    return kind(error.value) if hasattr(error, "value") else kind()


FAULTS: dict[str, type[Error]] = {kind.__name__: kind for kind in (Invalid, Refused, Unavailable, Internal)}
SENDS: dict[str, type[Error]] = {kind.__name__: kind for kind in (Denied, NoSuchService, Overloaded, TooLarge, Stopped)}
CALLS: dict[str, type[Error]] = {kind.__name__: kind for kind in (Timeout, Deadlock, Crashed, Dropped)}
STATES: dict[str, type[Error]] = {"NoSuchStore": NoState, "AccessDenied": StateDenied}


def of_send(error: Any) -> Error:
    """Why a message was not sent."""
    return named(error, SENDS, SendError)


def of_call(error: Any) -> Error:
    """Why a call has no answer."""
    case = type(error).__name__
    if case == "CallError_NotSent":
        cause = of_send(error.value)
        assert isinstance(cause, SendError)
        return NotSent(cause)
    if case == "CallError_Fault":
        answer = named(error.value, FAULTS, Internal)
        assert isinstance(answer, Fault)
        return Faulted(answer)
    return named(error, CALLS, CallError)


def of_state(error: Any) -> Error:
    """Why the state could not be read or written."""
    return named(error, STATES, StateError)


def of_config(error: Any) -> Error:
    """Why the configuration could not be read."""
    return named(error, {}, ConfigError)
