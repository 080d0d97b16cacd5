"""Makes what the contract wants exported of a function or a class.

componentize-py looks for the exports in the module that it is given, by the names of their interfaces. They are put
there, beside the component, so that nobody has to write them.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from . import _log
from ._errors import Error, Fault, Refused
from ._host import Err, interface
from ._json import encode
from ._message import Message, Snapshot, StopReason

C = TypeVar("C", bound=Callable[..., Any])

if TYPE_CHECKING:
    from wit_world.imports import types as _types
else:
    _types = interface("types")

METHODS = {
    "Handler": ("handle",),
    "Lifecycle": ("init", "stop"),
    "Health": ("check",),
    "Upgrade": ("snapshot", "restore", "migrate"),
    "Monitoring": ("down",),
}
"""The methods of a component, by the export for which each is."""

WORLDS = {
    "Handler": "actor",
    "Lifecycle": "with-lifecycle",
    "Health": "with-health",
    "Upgrade": "with-upgrade",
    "Monitoring": "with-monitoring",
}
"""The world of the contract that has each export."""

building = False
"""Whether only the worlds are asked for, by what builds it."""
made: dict[str, type] = {}
"""The exports of the component of this program."""


def component(target: C) -> C:
    """Makes a component of a function or a class, in the module that is componentized.

    A function takes a `Message`, or nothing. What it returns is the answer: `None` is an answer without a body, bytes
    are the body as they are, and all else is written as JSON.

    A class is instantiated without arguments, before its first method is called. What it holds in memory lasts until
    the instance ends. What must last belongs into `state`.

    =============================== ============================================================ =======================
    method                          when                                                         without it
    =============================== ============================================================ =======================
    ``handle(self, message)``       a message came                                               an error
    ``init(self)``                  once, before the first message of every new instance         nothing
    ``stop(self, reason)``          once, where the instance is stopped in order: `StopReason`   nothing
    ``check(self)``                 the host asks whether it can work; raise where not           nothing is asked
    ``down(self, notice)``          a child ended that it monitors: `supervision.Down`           monitors are refused
    ``snapshot(self)``              another release takes over: what it should get; `None` for   its memory is lost
                                    nothing
    ``restore(self, snapshot)``     it took over, and was handed this `Snapshot`                 what came is lost
    ``migrate(self, from_schema)``  before `init`, where the state has another `state_schema`    such a state is refused
    =============================== ============================================================ =======================

    A component exports what it has, and nothing else.
    """
    actor = _Actor(target)
    exports = {name: _EXPORTS[name](actor) for name, methods in METHODS.items() if actor.has(methods)}
    if "Handler" not in exports:
        raise TypeError(f"the component `{target.__name__}` has no `handle`")
    if target.__name__ in METHODS:
        raise TypeError(f"a component cannot be called `{target.__name__}`, since an export is: name it otherwise")
    if made:
        raise TypeError(f"`{target.__name__}` is a second component: a program has one")
    made.update(exports)
    if not building:
        _compare(exports)
        _log.install()
    vars(sys.modules[target.__module__]).update(exports)
    return target


def _compare(exports: dict[str, type]) -> None:
    """Nothing that was written is to be left out in silence."""
    try:
        import wit_world.exports as world
    except ImportError:
        return
    wrong = [name for name in METHODS if hasattr(world, name) != (name in exports)]
    if wrong:
        worlds = " ".join(f"-w {WORLDS[name]}" for name in exports)
        raise TypeError(f"built for another world than the component has methods for: {wrong}; it needs {worlds}")


class _Actor:
    """A component, and its one instance."""

    def __init__(self, target: Callable[..., Any]) -> None:
        self.target = target
        self.instance: Any = None

    def has(self, methods: tuple[str, ...]) -> bool:
        if not inspect.isclass(self.target):
            return methods == ("handle",)
        return any(hasattr(self.target, method) for method in methods)

    def method(self, name: str) -> Callable[..., Any] | None:
        if not inspect.isclass(self.target):
            return self.target
        # Not when the component is made: what it holds is to be of this start, and not of the build.
        if self.instance is None:
            self.instance = self.target()
        found: Callable[..., Any] | None = getattr(self.instance, name, None)
        return found

    def call(self, name: str, *arguments: Any) -> Any:
        """Calls a method, where there is one."""
        method = self.method(name)
        return None if method is None else method(*arguments)


def turn(function: C) -> C:
    """Of a turn, an error of ours is a fault; any other exception is a trap."""

    @functools.wraps(function)
    def guarded(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Error as error:
            raise Err(wit_fault(error.fault())) from error

    return guarded  # type: ignore[return-value]


def wit_fault(fault: Fault) -> Any:
    """A fault as it is generated: by the kind of which it is."""
    for kind in ("Invalid", "Refused", "Unavailable"):
        if any(base.__name__ == kind for base in type(fault).__mro__):
            return getattr(_types, f"Fault_{kind}")(fault.reason)
    return _types.Fault_Internal(fault.reason)


def _handler(actor: _Actor) -> type:
    takes_nothing = not inspect.isclass(actor.target) and not inspect.signature(actor.target).parameters

    class Handler:
        @turn
        def handle(self, message: Any) -> bytes | None:
            arguments = () if takes_nothing else (Message.of(message),)
            answer = actor.call("handle", *arguments)
            return None if answer is None else encode(answer)

    return Handler


def _lifecycle(actor: _Actor) -> type:
    class Lifecycle:
        @turn
        def init(self) -> None:
            actor.call("init")

        def stop(self, reason: Any) -> None:
            actor.call("stop", StopReason[reason.name])

    return Lifecycle


def _health(actor: _Actor) -> type:
    class Health:
        @turn
        def check(self) -> None:
            actor.call("check")

    return Health


def _upgrade(actor: _Actor) -> type:
    class Upgrade:
        @turn
        def snapshot(self) -> bytes | None:
            taken = actor.call("snapshot")
            return None if taken is None else encode(taken)

        @turn
        def restore(self, snapshot: bytes) -> None:
            actor.call("restore", Snapshot(snapshot))

        @turn
        def migrate(self, from_version: int) -> None:
            if not hasattr(actor.target, "migrate"):
                raise Refused(f"this release has no `migrate` from the state schema {from_version}")
            actor.call("migrate", from_version)

    return Upgrade


def _monitoring(actor: _Actor) -> type:
    class Monitoring:
        @turn
        def down(self, notice: Any) -> None:
            from .supervision import Down

            actor.call("down", Down.of(notice))

    return Monitoring


_EXPORTS = {
    "Handler": _handler,
    "Lifecycle": _lifecycle,
    "Health": _health,
    "Upgrade": _upgrade,
    "Monitoring": _monitoring,
}
