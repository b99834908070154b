"""The names under which a gateway speaks: header, metric and attribute prefixes, server token."""

from __future__ import annotations

import msgspec


class Brand(msgspec.Struct, frozen=True):
    """What the gateway calls itself on the outside.

    A drop-in mode for another gateway swaps this one value; no other code spells these literals.

    Args:
        name: lower-case token (``hookway``).
        header_prefix: prefix of the gateway's own headers (``x-hookway-``).
        metric_prefix: prefix of its metric families (``hookway_``).
        attribute_prefix: prefix of its trace attributes (``hookway.``).
        server: value of the ``Server`` header on every answer.
    """

    name: str
    header_prefix: str
    metric_prefix: str
    attribute_prefix: str
    server: str

    @property
    def request_id_header(self) -> str:
        """Name of the header that carries the request id."""
        return self.header_prefix + "request-id"


def native_brand(version: str) -> Brand:
    """Return Hookway's own brand for a release."""
    return Brand("hookway", "x-hookway-", "hookway_", "hookway.", f"Hookway/{version}")
