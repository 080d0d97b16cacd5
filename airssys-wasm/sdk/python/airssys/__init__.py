"""Write airssys components in Python.

A component is an actor: it handles one message at a time, keeps state, and sends messages to others. This package gives
it messages (JSON on the wire), state, calls, topics, timers, children, configuration and log lines, on top of what
componentize-py generates from the contract.

A function is the smallest component. It answers the message that it is given::

    from airssys import Message, component

    @component
    def price(message: Message) -> int:
        return 250 * message.value["quantity"]

A class keeps something in memory between messages, and may know of its start and stop; see `component`.

The handling of one message is a turn. State writes, sends, publishes, timers and what is done to children are held
back; they happen together when the handler returns, and not at all when it raises or takes too long. Not undone are:
what the handler changed in its own memory, the turns of those it called, and `Timer.cancel`.

A raised `Fault` is an ordinary answer, and the instance lives on. So are the other errors of this package, which become
the fault that fits. Any other exception is a crash: the instance ends, the supervisor decides, and the traceback is in
the service's log.

`import logging` is how to log: what is logged goes to the host. Handlers can be called in unit tests without a host;
what asks the host raises `NoHost` there.
"""

from ._component import component
from ._config import Config, config
from ._errors import (
    CallError,
    Crashed,
    ConfigError,
    Deadlock,
    Denied,
    Dropped,
    Error,
    Fault,
    Faulted,
    Internal,
    Invalid,
    NoHost,
    NoState,
    NoSuchService,
    NotSent,
    Overloaded,
    Refused,
    SendError,
    StateDenied,
    StateError,
    Stopped,
    Timeout,
    TooLarge,
    Unavailable,
)
from ._message import Delivery, Message, Snapshot, StopReason
from ._messaging import Timer, call, call_bytes, publish, self_address, send, send_after, subscribe, unsubscribe
from ._state import State, state

__all__ = [
    "CallError",
    "Config",
    "ConfigError",
    "Crashed",
    "Deadlock",
    "Delivery",
    "Denied",
    "Dropped",
    "Error",
    "Fault",
    "Faulted",
    "Internal",
    "Invalid",
    "Message",
    "NoHost",
    "NoState",
    "NoSuchService",
    "NotSent",
    "Overloaded",
    "Refused",
    "SendError",
    "Snapshot",
    "State",
    "StateDenied",
    "StateError",
    "StopReason",
    "Stopped",
    "Timeout",
    "Timer",
    "TooLarge",
    "Unavailable",
    "call",
    "call_bytes",
    "component",
    "config",
    "publish",
    "self_address",
    "send",
    "send_after",
    "state",
    "subscribe",
    "unsubscribe",
]
