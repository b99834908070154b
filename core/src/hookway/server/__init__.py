"""The listeners: aiohttp's low-level server, with answers written by us."""
