"""Check that rows which name other rows name existing ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from hookway_sdk import Place, Problem, Resource, glob_matches, nearest_name
from hookway_sdk.walker import Path, dotted, place_of

Rows = Mapping[str, Sequence[Resource]]
Places = Mapping[str, Mapping[Path, Place]]


class Broken(msgspec.Struct, frozen=True):
    """A reference that leads nowhere (``dangling``), or a model of no shape."""

    resource: Resource
    path: Path
    message: str
    expected: str = ""
    nearest: str = ""
    dangling: bool = False

    def problem(self, places: Places) -> Problem:
        """Return it as a problem, at its key's own place where that is known."""
        resource = self.resource
        key = f'{resource.collection} "{resource.name}"' + (f".{dotted(self.path)}" if self.path else "")
        place = place_of(places.get(resource.id, {}), self.path) or resource.place
        return Problem(key, self.message, self.expected, self.nearest, place)


def broken_references(rows: Rows, refused: Iterable[str] = ()) -> Iterator[Broken]:
    """Yield every reference that leads nowhere, and every model of no shape.

    Args:
        rows: the accepted rows.
        refused: names of models that are there and wrong; who refers to them is told of one mistake only.
    """
    models = rows.get("models", ())
    names = [*(one.name for one in models), *refused]
    for model in models:
        yield from check_model(model, names, rows)
    yield from check_cycles(models)
    for key in rows.get("api_keys", ()):
        for index, name in enumerate(key.row.allowed_models):
            if "*" not in name and not leads_somewhere(name, names):
                yield unknown_model(key, ("allowed_models", index), name, names)


def check_model(model: Resource, names: Sequence[str], rows: Rows) -> Iterator[Broken]:
    """Check one model's shape and references."""
    row = model.row
    direct = [field for field in ("provider", "model_name", "provider_key_id") if getattr(row, field)]
    shapes = [name for name in shape_fields(row) if getattr(row, name) is not None]
    if len(shapes) + bool(direct) != 1:
        given = ", ".join([*direct, *shapes]) or "nothing"
        yield Broken(
            model,
            (),
            f"a model has exactly one shape, and this one has {given}",
            "provider with model_name and provider_key, or routing",
        )
    elif direct and not (row.provider and row.provider_key_id):
        missing = "provider" if not row.provider else "provider_key"
        yield Broken(model, (missing,), "is missing", "provider, model_name and provider_key together")
    elif direct and not row.model_name and "*" not in model.name:
        yield Broken(model, ("model_name",), "is missing", "the provider's name of the model")
    if model.name.count("*") > 1:
        yield Broken(
            model, ("display_name",), "has more than one '*', which matches nothing", "at most one '*'"
        )
    if "*" in model.name and shapes:
        yield Broken(model, ("display_name",), "only a deployment can be a wildcard", "a name without '*'")
    keys = rows.get("provider_keys", ())
    if row.provider_key_id and all(key.id != row.provider_key_id for key in keys):
        yield Broken(
            model,
            ("provider_key_id",),
            f'unknown provider key "{row.provider_key_id}"',
            "the id of one of " + (", ".join(sorted(key.name for key in keys)) or "no provider keys"),
            dangling=True,
        )
    if row.routing is not None:
        for index, target in enumerate(row.routing.targets):
            if not leads_somewhere(target.model, names):
                yield unknown_model(model, ("routing", "targets", index, "model"), target.model, names)


def check_cycles(models: Iterable[Resource]) -> Iterator[Broken]:
    """Report groups that contain themselves, directly or through other groups."""
    groups = {one.name: one for one in models if one.row.routing is not None}
    targets = {name: [t.model for t in one.row.routing.targets] for name, one in groups.items()}
    for name, group in groups.items():
        seen: set[str] = set()
        open_names = list(targets[name])
        while open_names:
            current = open_names.pop()
            if current == name:
                yield Broken(
                    group,
                    ("routing", "targets"),
                    "the group contains itself",
                    "targets that end in models",
                    dangling=True,
                )
                break
            if current in targets and current not in seen:
                seen.add(current)
                open_names.extend(targets[current])


def leads_somewhere(name: str, names: Iterable[str]) -> bool:
    """Say whether a model name is served: by a row of that name or by a wildcard row."""
    return any(glob_matches(row, name) for row in names)


def shape_fields(row: object) -> tuple[str, ...]:
    """Return the fields of a model row that make it a shape other than a deployment."""
    known: tuple[str, ...] = getattr(type(row), "__struct_fields__", ())
    return tuple(name for name in known if name == "routing" or name in getattr(type(row), "SHAPES", ()))


def unknown_model(resource: Resource, path: Path, name: str, names: Iterable[str]) -> Broken:
    """Return the problem of a model name that no row serves."""
    listed = sorted(names)
    return Broken(
        resource,
        path,
        f'unknown model "{name}"',
        "one of " + (", ".join(listed) or "none: no model is defined"),
        nearest_name(name, listed),
        dangling=True,
    )
