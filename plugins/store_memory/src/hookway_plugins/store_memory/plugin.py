"""The SDK's reference store, with its bounds as settings."""

from __future__ import annotations

from typing import Annotated

import msgspec

from hookway_sdk import Services, Settings, Store
from hookway_sdk.durations import Size
from hookway_sdk.memory_state import MemoryState


class MemoryStoreSettings(Settings):
    """Settings under ``plugins.store_memory``.

    Args:
        max_keys: windows, keys with leases, and values that are kept at most; further ones are refused.
        max_value_size: bytes of values that are kept at most.
    """

    max_keys: Annotated[int, msgspec.Meta(ge=1)] = 1_000_000
    max_value_size: Size = 256 * 1024 * 1024


class MemoryStore(Store[MemoryStoreSettings]):
    """Keeps state in this process: nothing waits, nothing is shared, and a restart forgets it."""

    def __init__(self, name: str, settings: MemoryStoreSettings, services: Services) -> None:
        super().__init__(name, settings, services)
        self._state = MemoryState(
            services.clock, max_keys=settings.max_keys, max_value_bytes=settings.max_value_size
        )

    def state(self) -> MemoryState:
        """Return the one state."""
        return self._state
