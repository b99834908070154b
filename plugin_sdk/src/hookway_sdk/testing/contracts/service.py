"""What a ``service_`` plugin promises, whatever it provides."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

from hookway_sdk.kinds.service import Service
from hookway_sdk.testing.contracts.plugin import PluginContract


class ServiceContract(PluginContract):
    """Promises of a service: the shape of its protocol. What its answers mean is for its own tests."""

    plugin: ClassVar[type[Service[Any]]]

    def methods(self) -> dict[str, Any]:
        """Return the methods of the protocol it provides."""
        members = inspect.getmembers(self.plugin.provides, inspect.isfunction)
        return {name: spec for name, spec in members if not name.startswith("_")}

    def test_it_says_which_protocol_it_provides(self) -> None:
        provides = getattr(self.plugin, "provides", None)
        assert isinstance(provides, type), "`provides` names no protocol"
        assert getattr(provides, "_is_protocol", False), f"{provides.__name__} is no protocol"
        assert self.methods(), f"{provides.__name__} has no methods"

    def test_it_has_every_method_of_its_protocol(self) -> None:
        missing = [name for name in self.methods() if not callable(getattr(self.plugin, name, None))]
        assert not missing, f"{self.plugin.provides.__name__} also has {', '.join(missing)}"

    def test_its_methods_have_the_colour_and_arguments_of_the_protocol(self) -> None:
        for name, spec in self.methods().items():
            mine = getattr(self.plugin, name, None)
            if mine is None:
                continue
            asynchronous = inspect.iscoroutinefunction(spec)
            assert inspect.iscoroutinefunction(mine) == asynchronous, (
                f"{name} has to be {'async def' if asynchronous else 'def'}"
            )
            wanted, given = inspect.signature(spec).parameters, inspect.signature(mine).parameters
            assert list(given)[: len(wanted)] == list(wanted), f"{name} takes {list(given)}"
            further = [
                parameter.name for parameter in list(given.values())[len(wanted) :] if _is_needed(parameter)
            ]
            assert not further, f"{name} cannot be called without {', '.join(further)}"

    async def test_it_does_not_need_what_it_provides(self) -> None:
        assert self.plugin.provides not in self.plugin.needs, "it needs the very thing it provides"


def _is_needed(parameter: inspect.Parameter) -> bool:
    stars = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return parameter.default is inspect.Parameter.empty and parameter.kind not in stars
