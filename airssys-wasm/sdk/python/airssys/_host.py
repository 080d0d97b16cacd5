"""What componentize-py generates of the contract's imports. Where there is no host, something that says so.

A type checker sees what is generated in either case: `if TYPE_CHECKING` the modules are imported by their names."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ._errors import Error, NoHost

P = ParamSpec("P")
T = TypeVar("T")


class _Absent:
    """In place of an interface of the host, where there is no host."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, function: str) -> Any:
        raise NoHost(f"`{self._name}.{function}` asks the host, and there is none here")


def interface(name: str) -> Any:
    """An imported interface, by the name of its module."""
    try:
        return importlib.import_module(f"wit_world.imports.{name}")
    except ImportError:
        return _Absent(name)


if TYPE_CHECKING:
    from componentize_py_types import Err as Err
else:
    try:
        from componentize_py_types import Err
    except ImportError:

        class Err(Exception):
            """In place of the generated one, where there is no host."""

            value: Any


def ask(function: Callable[P, T], kind: Callable[[Any], Error], *arguments: P.args, **named: P.kwargs) -> T:
    """Asks the host; its error as an exception of this package."""
    try:
        return function(*arguments, **named)
    except Err as error:
        raise kind(error.value) from None
