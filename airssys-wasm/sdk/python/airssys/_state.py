"""The state of this service: a private key-value store that survives restarts and upgrades."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any

from . import _errors as errors
from ._host import ask, interface
from ._json import decode, encode

if TYPE_CHECKING:
    from wit_world.imports import atomics as _atomics, batch as _batch, wasi_keyvalue_store as _store
else:
    _store, _atomics, _batch = interface("wasi_keyvalue_store"), interface("atomics"), interface("batch")


class State(MutableMapping[str, Any]):
    """The state, as a mapping of texts to whatever has a JSON form; bytes are kept as they are.

    What a turn writes, it reads back at once; everybody else sees it when the turn commits, or never. Each function
    raises `StateError` where the store cannot be read or written, and `NoState` in a stateless pool.
    """

    _bucket: _store.Bucket | None = None

    def _open(self) -> _store.Bucket:
        # Opened at the first use, kept for the life of the instance: opening costs a call of the host.
        if self._bucket is None:
            self._bucket = ask(_store.open, errors.of_state, "default")
        return self._bucket

    def get_bytes(self, key: str) -> bytes | None:
        """A value as it is kept."""
        return ask(self._open().get, errors.of_state, key)

    def __getitem__(self, key: str) -> Any:
        found = self.get_bytes(key)
        if found is None:
            raise KeyError(key)
        return decode(found)

    def __setitem__(self, key: str, value: Any) -> None:
        ask(self._open().set, errors.of_state, key, encode(value))

    def __delitem__(self, key: str) -> None:
        """Nothing happens where there is none, other than of a dict: to look first would cost a call of the host."""
        ask(self._open().delete, errors.of_state, key)

    def __contains__(self, key: object) -> bool:
        # What is no text is in no mapping of texts, as with a dict.
        return isinstance(key, str) and ask(self._open().exists, errors.of_state, key)

    def __iter__(self) -> Iterator[str]:
        """All keys, a page in memory at a time. Keys may be set and deleted meanwhile."""
        cursor: int | None = None
        while True:
            page = ask(self._open().list_keys, errors.of_state, cursor)
            yield from page.keys
            # A cursor that does not move would never end.
            if page.cursor is None or page.cursor == cursor:
                return
            cursor = page.cursor

    def __len__(self) -> int:
        """How many keys there are; goes through all of them."""
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return next(iter(self), None) is not None

    def increment(self, key: str, delta: int = 1) -> int:
        """Adds to a counter and returns what it is then. A counter is kept as eight bytes, the lowest first, and not as
        JSON: `increment(key, 0)` reads it."""
        return ask(_atomics.increment, errors.of_state, self._open(), key, delta)

    def get_many(self, keys: Iterable[str]) -> list[Any]:
        """The values of many keys by one call of the host, in their order; `None` where a key has none."""
        found = ask(_batch.get_many, errors.of_state, self._open(), list(keys))
        return [None if pair is None else decode(pair[1]) for pair in found]

    def set_many(self, values: dict[str, Any]) -> None:
        """Writes many values by one call of the host."""
        pairs = [(key, encode(value)) for key, value in values.items()]
        ask(_batch.set_many, errors.of_state, self._open(), pairs)

    def delete_many(self, keys: Iterable[str]) -> None:
        """Deletes many keys by one call of the host."""
        ask(_batch.delete_many, errors.of_state, self._open(), list(keys))


state = State()
"""The state of this service."""
