"""Messages to other services. Each is checked by the host against what this service was granted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from . import _errors as errors
from ._host import ask, interface
from ._json import decode, encode

if TYPE_CHECKING:
    from wit_world.imports import messaging as _messaging
else:
    _messaging = interface("messaging")


def _millis(time: float | timedelta) -> int:
    """Rounded up: a time that is not zero never becomes zero."""
    seconds = time.total_seconds() if isinstance(time, timedelta) else time
    return max(0, math.ceil(seconds * 1000))


def send(to: str, value: Any, *, key: str | None = None) -> None:
    """Sends a message that nobody waits for. It leaves when the turn commits.

    The address is `service`, or `service/key` of a keyed one; in a partitioned pool the key chooses the lane. Raises
    `SendError`.
    """
    ask(_messaging.send, errors.of_send, to, key, encode(value))


def call(to: str, value: Any, timeout: float | timedelta, *, key: str | None = None) -> Any:
    """Sends a message, waits for the answer, and reads it as JSON; `None` where it has no body.

    It leaves at once and is not undone when this turn fails. Waits `timeout` seconds at most, and never longer than
    what is left of this turn. Raises `CallError`.
    """
    return decode(call_bytes(to, value, timeout, key=key) or b"")


def call_bytes(to: str, value: Any, timeout: float | timedelta, *, key: str | None = None) -> bytes | None:
    """`call`, with the answer as it is."""
    return ask(_messaging.call, errors.of_call, to, key, encode(value), _millis(timeout))


def publish(topic: str, value: Any) -> None:
    """Publishes to all that subscribe to the topic, when the turn commits. Raises `SendError`."""
    ask(_messaging.publish, errors.of_send, topic, encode(value))


def subscribe(pattern: str) -> None:
    """Subscribes this service to the topics that match, when the turn commits: `*` is one segment, a last `**` one or
    more. It lasts until it is taken back, also across a restart. Raises `SendError`."""
    ask(_messaging.subscribe, errors.of_send, pattern)


def unsubscribe(pattern: str) -> None:
    """Takes a subscription back, when the turn commits. Raises `SendError`."""
    ask(_messaging.unsubscribe, errors.of_send, pattern)


@dataclass(frozen=True)
class Timer:
    """A message to this service itself that is still to come. Its number can be kept in the state."""

    id: int

    def cancel(self) -> bool:
        """Cancels it at once, also when the turn fails later. Returns whether it was still to come."""
        return _messaging.cancel(self.id)


def send_after(delay: float | timedelta, value: Any) -> Timer:
    """Sends a message to this service itself after so many seconds, counted from the commit. Raises `SendError`."""
    return Timer(ask(_messaging.send_after, errors.of_send, _millis(delay), encode(value)))


def self_address() -> str:
    """This service's own address, with the key where it has one."""
    return _messaging.self_address()
