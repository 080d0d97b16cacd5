"""What a handler is given."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

from ._json import decode


class Delivery(Enum):
    """How a message came."""

    SEND = "send"
    """Somebody sent it and does not wait. What the handler returns is dropped."""
    CALL = "call"
    """Somebody waits for the answer."""
    PUBLISH = "publish"
    """It was published on a topic to which this service subscribes."""
    TIMER = "timer"
    """A timer of this service has run out."""


class StopReason(Enum):
    """Why an instance is asked to stop."""

    SHUTDOWN = "shutdown"
    """The service is stopped, or the whole mesh is."""
    RESTART = "restart"
    """The supervisor restarts the service because of a sibling."""
    IDLE = "idle"
    """The keyed actor was idle for its time; its state stays."""


@dataclass
class Snapshot:
    """What the release before handed over."""

    body: bytes
    """As it was handed over."""

    @cached_property
    def value(self) -> Any:
        """The body, read as JSON. Raises `Invalid` where it is no JSON."""
        return decode(self.body)


@dataclass
class Message:
    """One message, and what the host says of it."""

    body: bytes
    """What the sender wrote."""
    id: int = 0
    """Unique while the host runs."""
    sender: str | None = None
    """The address of the service that sent it, set by the host; none where the sender is outside of the mesh."""
    key: str | None = None
    """The key that it is addressed to."""
    delivery: Delivery = Delivery.SEND
    """How it came."""
    attempt: int = 0
    """How often its handling was begun before and ended in a crash."""
    left_ms: int | None = None
    """Of a call, the milliseconds that are left to answer."""
    topic: str | None = None
    """Of a publication, its topic."""
    timer: int | None = None
    """Of a timer, its number."""

    @cached_property
    def value(self) -> Any:
        """The body, read as JSON; `None` where there is none. Raises `Invalid` where it is no JSON."""
        return decode(self.body)

    @classmethod
    def of(cls, message: Any) -> Message:
        """Of what componentize-py generates."""
        case, more = message.delivery, {}
        delivery = Delivery[type(case).__name__.rpartition("_")[2].upper()]
        if delivery is Delivery.CALL:
            more = {"left_ms": case.value}
        elif delivery is Delivery.PUBLISH:
            more = {"topic": case.value}
        elif delivery is Delivery.TIMER:
            more = {"timer": case.value}
        return cls(message.body, message.id, message.sender, message.key, delivery, message.attempt, **more)
