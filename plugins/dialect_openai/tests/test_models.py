"""The list of models: what the caller may use, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hookway_plugins.dialect_openai.dialect import OpenAIDialect
from hookway_sdk import BodyKind, ModelNotFound, NoSettings, Phase

NAMES = (("fast", ""), ("openai/gpt-4o", "openai"), ("secret", "openai"))


def endpoints(services: Any) -> Any:
    chat, listing, one = OpenAIDialect("dialect_openai", NoSettings(), services).endpoints()
    return chat, listing, one


def test_the_dialect_serves_chat_and_models(services: Any) -> None:
    assert [(one.method, one.path) for one in endpoints(services)] == [
        ("POST", "/v1/chat/completions"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/{model}"),
    ]


def test_models_are_authenticated_limited_and_recorded_and_no_more(services: Any) -> None:
    for endpoint in endpoints(services)[1:]:
        assert endpoint.order == (Phase.AUTHENTICATE, Phase.ADMIT_REQUEST, Phase.SETTLE, Phase.RECORD)
        assert (endpoint.body, endpoint.wire) == (BodyKind.NONE, "")


async def test_the_list_holds_what_the_caller_may_use(services: Any, make_exchange: Any) -> None:
    listing = endpoints(services)[1]
    exchange = make_exchange(listing, names=NAMES, allowed=("fast", "openai/*"))
    assert json.loads((await listing.answer(exchange)).body) == {
        "object": "list",
        "data": [
            {"id": "fast", "object": "model", "created": 1_700_000_123, "owned_by": "hookway"},
            {"id": "openai/gpt-4o", "object": "model", "created": 1_700_000_123, "owned_by": "openai"},
        ],
    }


async def test_a_caller_who_may_use_nothing_sees_an_empty_list(services: Any, make_exchange: Any) -> None:
    listing = endpoints(services)[1]
    exchange = make_exchange(listing, names=NAMES, allowed=())
    assert json.loads((await listing.answer(exchange)).body)["data"] == []
    exchange.principal = None
    assert json.loads((await listing.answer(exchange)).body)["data"] == []


@pytest.mark.parametrize("path", ["/v1/models/openai%2Fgpt-4o", "/v1/models/openai/gpt-4o"])
async def test_one_model_is_found_by_name(services: Any, make_exchange: Any, path: str) -> None:
    one = endpoints(services)[2]
    reply = await one.answer(make_exchange(one, names=NAMES, path=path))
    assert json.loads(reply.body)["id"] == "openai/gpt-4o"


@pytest.mark.parametrize("name", ["nothing", "secret"])
async def test_a_model_the_caller_may_not_use_does_not_exist_for_it(
    services: Any, make_exchange: Any, name: str
) -> None:
    one = endpoints(services)[2]
    exchange = make_exchange(one, names=NAMES, path=f"/v1/models/{name}", allowed=("fast",))
    with pytest.raises(ModelNotFound) as missing:
        await one.answer(exchange)
    assert (missing.value.status, missing.value.message) == (404, f'model "{name}" not found')
