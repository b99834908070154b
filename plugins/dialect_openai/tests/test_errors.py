"""The error envelope, and that OpenAI's own SDK understands it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hookway_plugins.dialect_openai.errors import error_body
from hookway_sdk import (
    BudgetExceeded,
    GatewayError,
    InvalidRequest,
    LimitExceeded,
    ModelNotFound,
)


@pytest.mark.parametrize(
    ("error", "inner"),
    [
        (ModelNotFound("gpt"), {"message": 'model "gpt" not found', "type": "model_not_found"}),
        (
            InvalidRequest("n must be an integer", param="n"),
            {
                "message": "request payload is invalid: n must be an integer",
                "type": "invalid_request_error",
                "param": "n",
            },
        ),
        (
            BudgetExceeded("spent", members={"limit_usd": 5, "message": "not this one"}),
            {"message": "spent", "type": "billing_error", "code": "budget_exceeded", "limit_usd": 5},
        ),
        (
            LimitExceeded("requests", policy="team", members={"policy": {"id": "1", "name": "team"}}),
            {
                "message": "request limit exceeded (requests) (policy 'team')",
                "type": "rate_limit_exceeded",
                "policy": {"id": "1", "name": "team"},
            },
        ),
    ],
)
def test_an_error_says_what_it_knows_and_leaves_out_what_it_does_not(error: GatewayError, inner: Any) -> None:
    assert json.loads(error_body(error)) == {"error": inner}


def test_text_that_is_no_unicode_does_not_break_the_envelope() -> None:
    error = error_body(ModelNotFound("caf\udce9"))
    assert json.loads(error)["error"] == {"message": 'model "caf?" not found', "type": "model_not_found"}
