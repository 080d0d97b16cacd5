"""The configuration values that the topology gives this service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from . import _errors as errors
from ._host import ask, interface

if TYPE_CHECKING:
    from wit_world.imports import wasi_config_store as _config
else:
    _config = interface("wasi_config_store")


class Config(Mapping[str, str]):
    """The configuration, as a mapping of texts to texts that cannot be changed. Raises `ConfigError` where the host
    cannot read it."""

    def __getitem__(self, key: str) -> str:
        found = ask(_config.get, errors.of_config, key)
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(dict(ask(_config.get_all, errors.of_config)))

    def __len__(self) -> int:
        return len(ask(_config.get_all, errors.of_config))


config = Config()
"""The configuration of this service."""
