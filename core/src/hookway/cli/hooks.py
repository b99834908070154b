"""``hookway hooks``: the steps of every phase in the order in which they run."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from hookway.cli.options import add_configuration_options, conf_d, environment
from hookway.cli.table import render_table
from hookway_sdk import ModelNotFound, Phase, Principal, StartError
from hookway_sdk.phases import RULES

if TYPE_CHECKING:
    from hookway.chains import Step
    from hookway.runtime import Runtime


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_configuration_options(parser)
    parser.add_argument("--model", help="also show the steps of rows that apply to this model")
    parser.add_argument("--key", help="display name of an API key, with --model")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    return asyncio.run(show(arguments))


async def show(arguments: argparse.Namespace) -> int:
    """Print a table of steps."""
    from hookway.gateway import Gateway

    gateway = Gateway(conf_d(arguments), environment(arguments))
    try:
        await gateway.prepare()
    finally:
        await gateway.close()
    runtime = gateway.serve.runtime
    rows = []
    for phase in Phase:
        rule = RULES[phase]
        steps = list(steps_of(runtime, phase, arguments.model, arguments.key))
        if not steps:
            empty = "closed when empty" if rule.empty_closes else "-"
            rows.append((phase.value, rule.mode.value, "", empty, "", ""))
        for step in steps:
            rows.append(
                (
                    phase.value,
                    rule.mode.value,
                    str(step.priority),
                    step.name,
                    step.on_error.value,
                    step.origin,
                )
            )
    print(render_table(("phase", "mode", "priority", "step", "on error", "priority from"), rows))
    return 0


def steps_of(runtime: Runtime, phase: Phase, model: str | None, key: str | None) -> Iterable[Step]:
    """Return a phase's steps: for everyone, or for one model and key.

    Raises:
        ModelNotFound: there is no such model.
        StartError: there is no such key.
    """
    if model is None or not hasattr(runtime.snapshot.any_chains(Principal(key_id="")), phase.value):
        return runtime.chain_of(phase)
    compiled = runtime.snapshot.model(model)
    if compiled is None:
        raise ModelNotFound(model)
    principal = Principal(key_id="", allowed_models=("*",))
    if key is not None:
        row = runtime.snapshot.find("api_keys", key)
        if row is None:
            raise StartError(f"there is no API key named '{key}'")
        principal = Principal(key_id=row.id, team_id=row.row.team_id or "", allowed_models=("*",))
    chain: Iterable[Step] = getattr(runtime.snapshot.chains(compiled, principal), phase.value)
    return chain
