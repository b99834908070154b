"""Which targets of a group may serve a request at all: by its routing tags, and by where it comes from.

Tags are the caller's wish (``<prefix>routing-tags``, a comma list); networks are the operator's rule
and are never undone by a fallback.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hookway.live_exchange import LiveExchange
from hookway.models import CompiledModel, Route, within
from hookway_sdk import InvalidRequest, PermissionDenied

DEFAULT_TAG = "default"
"""Tag of the targets for requests that match no other."""


def eligible_routes(exchange: LiveExchange, model: CompiledModel) -> Sequence[Route]:
    """Return the routes of a group that may serve an exchange, in row order.

    Raises:
        InvalidRequest: no target has a tag of the request, and none is the default.
        PermissionDenied: every target is closed to the caller's address.
    """
    routes: Sequence[Route] = model.routes
    if any(route.tags for route in routes):
        routes = tagged(routes, requested_tags(exchange))
    if any(route.networks is not None for route in routes):
        open_routes = [
            route
            for route in routes
            if route.networks is None or within(route.networks, exchange.client.address)
        ]
        if not open_routes:
            raise PermissionDenied(
                "Access denied: your client IP is not allowed to access this model", code="ip_restricted"
            )
        routes = open_routes
    return routes


def requested_tags(exchange: LiveExchange) -> list[str]:
    """Return the routing tags of a request."""
    given = exchange.headers.get(exchange.brand.header_prefix + "routing-tags")
    return [tag for tag in (part.strip() for part in given.split(",")) if tag]


def tagged(routes: Sequence[Route], tags: list[str]) -> Sequence[Route]:
    """Return the routes for a request's tags: those that share one, else the default ones.

    Without tags the default ones, or all where none is the default.

    Raises:
        InvalidRequest: the request has tags, and there are neither matches nor default routes.
    """
    matching = [route for route in routes if set(tags).intersection(route.tags)]
    default = [route for route in routes if DEFAULT_TAG in route.tags]
    if not tags:
        return default or routes
    if not matching and not default:
        listed = msgspec.json.encode(tags).decode().replace(",", ", ")
        raise InvalidRequest(f"no routing target matches request tags {listed}")
    return matching or default
