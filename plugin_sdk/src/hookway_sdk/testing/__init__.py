"""What plugin authors test with: services and exchanges without a gateway, and a contract class per kind.

::

    from hookway_sdk.testing import GuardrailContract

    class TestShout(GuardrailContract):
        plugin = Shout
        name = "guardrail_shout"
        row = {"max_share": 0.5}
        passes = ("please be quiet",)
        blocks = ("PLEASE BE LOUD",)

Names are loaded on first use, so that importing this package costs nothing and needs no pytest. The
contract classes and ``async_tests`` need it (``pip install hookway-sdk[testing]``).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hookway_sdk.testing.contracts.admin import AdminContract
    from hookway_sdk.testing.contracts.auth import AuthContract
    from hookway_sdk.testing.contracts.cache import CacheContract
    from hookway_sdk.testing.contracts.conductor import ConductorContract
    from hookway_sdk.testing.contracts.dialect import DialectContract
    from hookway_sdk.testing.contracts.guardrail import GuardrailContract
    from hookway_sdk.testing.contracts.limit import LimitContract
    from hookway_sdk.testing.contracts.plugin import PluginContract
    from hookway_sdk.testing.contracts.provider import ProviderContract
    from hookway_sdk.testing.contracts.remote_guardrail import RemoteGuardrailContract
    from hookway_sdk.testing.contracts.resilience import ResilienceContract
    from hookway_sdk.testing.contracts.service import ServiceContract
    from hookway_sdk.testing.contracts.sink import SinkContract
    from hookway_sdk.testing.contracts.source import SourceContract
    from hookway_sdk.testing.contracts.store import StoreContract
    from hookway_sdk.testing.contracts.strategy import StrategyContract
    from hookway_sdk.testing.exchanges import (
        ChatEndpoint,
        HeaderLines,
        PlainRequest,
        make_candidate,
        make_deployment,
        make_exchange,
        make_model,
        make_principal,
        make_provider_key,
        make_request,
    )
    from hookway_sdk.testing.fake_clock import FakeClock, ScriptedRandom
    from hookway_sdk.testing.recorders import LogLine, ManualTasks, RecordingLog, RecordingMetrics
    from hookway_sdk.testing.scripted_services import (
        HmacSecrets,
        HttpCall,
        HttpReply,
        NestedCall,
        ScriptedCaller,
        ScriptedDocuments,
        ScriptedHttp,
    )
    from hookway_sdk.testing.services import RecordingServices, make_services
    from hookway_sdk.testing.snapshots import (
        ListedCompiler,
        ListedRegistry,
        ListedSnapshot,
        make_resource,
        make_snapshot,
    )

_HOMES = {
    "contracts.admin": ("AdminContract",),
    "contracts.auth": ("AuthContract",),
    "contracts.cache": ("CacheContract",),
    "contracts.conductor": ("ConductorContract",),
    "contracts.dialect": ("DialectContract",),
    "contracts.guardrail": ("GuardrailContract",),
    "contracts.limit": ("LimitContract",),
    "contracts.plugin": ("PluginContract",),
    "contracts.provider": ("ProviderContract",),
    "contracts.remote_guardrail": ("RemoteGuardrailContract",),
    "contracts.resilience": ("ResilienceContract",),
    "contracts.service": ("ServiceContract",),
    "contracts.sink": ("SinkContract",),
    "contracts.source": ("SourceContract",),
    "contracts.store": ("StoreContract",),
    "contracts.strategy": ("StrategyContract",),
    "exchanges": (
        *("ChatEndpoint", "HeaderLines", "PlainRequest", "make_candidate", "make_deployment"),
        *("make_exchange", "make_model", "make_principal", "make_provider_key", "make_request"),
    ),
    "fake_clock": ("FakeClock", "ScriptedRandom"),
    "recorders": ("LogLine", "ManualTasks", "RecordingLog", "RecordingMetrics"),
    "scripted_services": (
        *("HmacSecrets", "HttpCall", "HttpReply", "NestedCall"),
        *("ScriptedCaller", "ScriptedDocuments", "ScriptedHttp"),
    ),
    "services": ("RecordingServices", "make_services"),
    "snapshots": ("ListedCompiler", "ListedRegistry", "ListedSnapshot", "make_resource", "make_snapshot"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AdminContract",
    "AuthContract",
    "CacheContract",
    "ChatEndpoint",
    "ConductorContract",
    "DialectContract",
    "FakeClock",
    "GuardrailContract",
    "HeaderLines",
    "HmacSecrets",
    "HttpCall",
    "HttpReply",
    "LimitContract",
    "ListedCompiler",
    "ListedRegistry",
    "ListedSnapshot",
    "LogLine",
    "ManualTasks",
    "NestedCall",
    "PlainRequest",
    "PluginContract",
    "ProviderContract",
    "RecordingLog",
    "RecordingMetrics",
    "RecordingServices",
    "RemoteGuardrailContract",
    "ResilienceContract",
    "ScriptedCaller",
    "ScriptedDocuments",
    "ScriptedHttp",
    "ScriptedRandom",
    "ServiceContract",
    "SinkContract",
    "SourceContract",
    "StoreContract",
    "StrategyContract",
    "make_candidate",
    "make_deployment",
    "make_exchange",
    "make_model",
    "make_principal",
    "make_provider_key",
    "make_request",
    "make_resource",
    "make_services",
    "make_snapshot",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
