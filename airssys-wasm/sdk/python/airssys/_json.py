"""How values become the bytes of a message and back: as JSON. Bytes are passed on as they are."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from ._errors import Internal, Invalid


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def encode(value: Any) -> bytes:
    """The bytes of a value."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain).encode()
    except (TypeError, ValueError) as error:
        raise Internal(f"cannot be written as JSON: {error}") from error


def decode(body: bytes) -> Any:
    """The value of these bytes; of none at all it is `None`."""
    try:
        return json.loads(body) if body else None
    except ValueError as error:
        raise Invalid(f"cannot be read: {error}") from error
