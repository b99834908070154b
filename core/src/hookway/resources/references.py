"""Check that rows which name other rows name existing ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from hookway_sdk import Problem, Resource, glob_matches, nearest_name

Rows = Mapping[str, Sequence[Resource]]


def check_references(rows: Rows) -> list[Problem]:
    """Return a problem for every reference that leads nowhere, and for every model of no shape."""
    models = rows.get("models", ())
    names = [one.name for one in models]
    problems: list[Problem] = []
    for model in models:
        problems.extend(check_model(model, names, rows))
    problems.extend(check_cycles(models))
    for key in rows.get("api_keys", ()):
        for name in key.row.allowed_models:
            if "*" not in name and not leads_somewhere(name, names):
                problems.append(unknown_model(key, "allowed_models", name, names))
    return problems


def check_model(model: Resource, names: Sequence[str], rows: Rows) -> Iterator[Problem]:
    """Check one model's shape and references."""
    row = model.row
    direct = [field for field in ("provider", "model_name", "provider_key_id") if getattr(row, field)]
    shapes = [name for name in shape_fields(row) if getattr(row, name) is not None]
    if len(shapes) + bool(direct) != 1:
        given = ", ".join([*direct, *shapes]) or "nothing"
        yield problem(
            model,
            "",
            f"a model has exactly one shape, and this one has {given}",
            "provider with model_name and provider_key, or routing",
        )
    elif direct and not (row.provider and row.provider_key_id):
        missing = "provider" if not row.provider else "provider_key"
        yield problem(model, missing, "is missing", "provider, model_name and provider_key together")
    elif direct and not row.model_name and "*" not in model.name:
        yield problem(model, "model_name", "is missing", "the provider's name of the model")
    if model.name.count("*") > 1:
        yield problem(
            model, "display_name", "has more than one '*', which matches nothing", "at most one '*'"
        )
    if "*" in model.name and shapes:
        yield problem(model, "display_name", "only a deployment can be a wildcard", "a name without '*'")
    keys = rows.get("provider_keys", ())
    if row.provider_key_id and all(key.id != row.provider_key_id for key in keys):
        yield problem(
            model,
            "provider_key_id",
            f'unknown provider key "{row.provider_key_id}"',
            "the id of one of " + (", ".join(sorted(key.name for key in keys)) or "no provider keys"),
        )
    if row.routing is not None:
        for index, target in enumerate(row.routing.targets):
            if not leads_somewhere(target.model, names):
                yield unknown_model(model, f"routing.targets[{index}].model", target.model, names)


def check_cycles(models: Iterable[Resource]) -> Iterator[Problem]:
    """Report groups that contain themselves, directly or through other groups."""
    groups = {one.name: one for one in models if one.row.routing is not None}
    targets = {name: [t.model for t in one.row.routing.targets] for name, one in groups.items()}
    for name, group in groups.items():
        seen: set[str] = set()
        open_names = list(targets[name])
        while open_names:
            current = open_names.pop()
            if current == name:
                yield problem(
                    group, "routing.targets", "the group contains itself", "targets that end in models"
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


def unknown_model(resource: Resource, key: str, name: str, names: Iterable[str]) -> Problem:
    """Return the problem of a model name that no row serves."""
    listed = sorted(names)
    return problem(
        resource,
        key,
        f'unknown model "{name}"',
        "one of " + (", ".join(listed) or "none: no model is defined"),
        nearest_name(name, listed),
    )


def problem(resource: Resource, key: str, message: str, expected: str = "", nearest: str = "") -> Problem:
    """Return a problem of one resource."""
    where = f'{resource.collection} "{resource.name}"' + (f".{key}" if key else "")
    return Problem(key=where, message=message, expected=expected, nearest=nearest, place=resource.place)
