"""What is logged by `logging` goes to the host, which marks it with the service's name."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ._host import interface

if TYPE_CHECKING:
    from wit_world.imports import log as _log
else:
    _log = interface("log")

TRACE = 5
"""The level below `logging.DEBUG` that the host calls `trace`."""


class HostHandler(logging.Handler):
    """Hands lines to the host. They are written at once, whatever becomes of the turn."""

    def emit(self, record: logging.LogRecord) -> None:
        levels = _log.Level
        if record.levelno >= logging.ERROR:
            level = levels.ERROR
        elif record.levelno >= logging.WARNING:
            level = levels.WARN
        elif record.levelno >= logging.INFO:
            level = levels.INFO
        else:
            level = levels.DEBUG if record.levelno >= logging.DEBUG else levels.TRACE
        _log.write(level, self.format(record))


def install() -> None:
    """Makes the root logger hand what is at least `logging.INFO` to the host."""
    logging.addLevelName(TRACE, "TRACE")
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(HostHandler())
