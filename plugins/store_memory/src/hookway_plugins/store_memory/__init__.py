"""State in the memory of one process: windows, leases and values."""

from hookway_plugins.store_memory.plugin import MemoryStore

__all__ = ["MemoryStore"]
