"""Children of one's own: spawn, stop, monitor, link.

Everything is held back until the turn commits, and checked against what this service was granted: `spawn`, under
`[requests]` of its `Component.toml` and in the topology. Who imports this module needs the request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import _errors as errors
from ._errors import Error, Fault, Unavailable
from ._host import ask, interface

if TYPE_CHECKING:
    from wit_world.imports import supervision as _supervision
else:
    _supervision = interface("supervision")


class SupervisionError(Error):
    """Why nothing was done about a child."""


class SpawnDenied(SupervisionError):
    """The service was not granted this. The text names the grant that is missing."""


class _MayBeBetterLater(SupervisionError):
    def fault(self) -> Fault:
        return Unavailable(str(self) or type(self).__name__)


class NoSuchChild(_MayBeBetterLater):
    """There is no child of this address, or no service whose actors are spawned."""


class Taken(_MayBeBetterLater):
    """There is a child of this name already, or another turn is about to spawn it."""


class NoRoom(_MayBeBetterLater):
    """There are as many children, effects or monitors as there may be."""


class Deaf(SupervisionError):
    """This component has no `down` to be told by."""


_KINDS: dict[str, type[Error]] = {
    "Denied": SpawnDenied,
    "NoSuchChild": NoSuchChild,
    "Taken": Taken,
    "Overloaded": NoRoom,
    "Deaf": Deaf,
}


def _kind(error: Any) -> Error:
    return errors.named(error, _KINDS, SupervisionError)


def spawn(service: str, name: str) -> str:
    """Starts a child of `service` under this name when the turn commits; its address. Raises `SupervisionError`."""
    return ask(_supervision.spawn, _kind, service, name)


def stop(child: str) -> None:
    """Stops a child in order when the turn commits. What waits in its mailbox is a dead letter."""
    ask(_supervision.stop, _kind, child)


def monitor(child: str) -> None:
    """Has this component's `down` called, once, when the child ends. It lasts until then, also across a restart."""
    ask(_supervision.monitor, _kind, child)


def demonitor(child: str) -> None:
    """Takes a monitor back when the turn commits."""
    ask(_supervision.demonitor, _kind, child)


def link(child: str) -> None:
    """Ties this actor's life to the child's, when the turn commits: when one ends other than by its own exit with
    status 0, the other one is ended with the same reason."""
    ask(_supervision.link, _kind, child)


@dataclass(frozen=True)
class Down:
    """A child that ended: what `down` is called with."""

    child: str
    """Its address."""
    reason: str
    """Why it ended: `normal`, `stopped`, `killed`, `crashed` or `no-child`."""
    restarted: bool
    """Whether its supervisor has started it again. Then a monitor of it is a new one."""
    code: str | None = None
    """Of a crash, a stable word for its kind, such as `trap`."""
    detail: str | None = None
    """Of a crash, what is known of it, for people."""

    @classmethod
    def of(cls, notice: Any) -> Down:
        """Of what componentize-py generates."""
        case = type(notice.reason).__name__.rpartition("_")[2]
        reason = {"NoChild": "no-child"}.get(case, case.lower())
        crash = getattr(notice.reason, "value", None)
        if crash is None:
            return cls(notice.child, reason, notice.restarted)
        return cls(notice.child, reason, notice.restarted, crash.code, crash.detail)
