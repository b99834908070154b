"""Write the pages of ``docs/`` that say what the SDK's code says: hooks, kinds, errors, priorities.

``python tools/gen_docs.py`` writes them; ``tests/house/test_docs_agree.py`` fails while one is out of date.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeVar

from workspace import ROOT

import hookway_sdk
from hookway_sdk import errors, hookspecs, priorities
from hookway_sdk.kinds.base import EntryKind, Kind, RowKind
from hookway_sdk.markers import PROJECT
from hookway_sdk.phases import RULES, Mode, OnError, Phase

ErrorT = TypeVar("ErrorT", bound=Exception)

DOCS = ROOT / "docs"
SECTIONS = ("When", "May change", "To refuse", "If it fails", "Usual priority")
NOTE = (
    "<!-- Written by tools/gen_docs.py from the code; change the docstrings there, then run it again. -->\n\n"
)

# What happens decides the status of these; their docstrings say how.
STATUS_BY_CASE = {"UpstreamRefused": "4xx as sent, else 502", "UpstreamInBand": "4xx as sent, else 502"}
KIND_ORDER = (
    *("Dialect", "Op", "Provider", "Strategy", "Resilience", "Auth", "Limit", "Budget"),
    *("Guardrail", "RemoteGuardrail", "Cache", "Conductor", "Store", "Source", "Service", "Sink", "Admin"),
)
MEANING = {
    Mode.EACH: "all steps run, in order; one may end the request by raising",
    Mode.FIRST: "steps run in order until one answers something other than `None`",
    Mode.NOTIFY: "all steps run; what one raises is counted and logged, and reaches nobody",
    OnError.CLOSED: "a step that breaks ends the request; nothing unchecked goes through",
    OnError.OPEN: "a step that breaks is skipped, counted and traced",
}


# ── text ────────────────────────────────────────────────────────────────────────────────────


def markdown(text: str) -> str:
    """Return a docstring's text in Markdown: double backticks and roles become code."""
    text = re.sub(r":\w+:`[~.]*(?:[\w.]+\.)?(\w+)`", r"`\1`", text)
    return text.replace("``", "`")


def summary(value: object) -> str:
    """Return the first paragraph of a docstring, on one line."""
    text = inspect.getdoc(value) or ""
    return markdown(" ".join(text.split("\n\n")[0].split()))


def prose(value: object) -> str:
    """Return a docstring without its ``Args:``, ``Raises:`` and the like, in Markdown."""
    text = inspect.getdoc(value) or ""
    return markdown(re.split(r"\n\n?(?:Args|Attributes|Returns|Raises):\n", text)[0].strip())


def entries(value: object, heading: str) -> list[tuple[str, str]]:
    """Return name and text of each entry below a heading of a docstring, such as ``Attributes:``."""
    text = (inspect.getdoc(value) or "").partition(f"{heading}:\n")[2]
    block = re.split(r"\n(?=\S)", text)[0]
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", block, re.MULTILINE)
    return [(name, markdown(" ".join(said.split()))) for name, said in found]


def signature(function: Callable[..., Any]) -> str:
    """Return a function's definition as its author would write it, without ``self``."""
    spec = inspect.signature(function)
    parameters = []
    for one in spec.parameters.values():
        if one.name != "self":
            default = "" if one.default is inspect.Parameter.empty else f" = {one.default!r}"
            parameters.append(f"{one.name}: {one.annotation}{default}")
    colour = "async def" if inspect.iscoroutinefunction(function) else "def"
    return f"{colour} {function.__name__}({', '.join(parameters)}) -> {spec.return_annotation}"


def code(text: str) -> str:
    """Return Python code as a block."""
    return f"```python\n{text}\n```\n"


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines)


# ── hooks ───────────────────────────────────────────────────────────────────────────────────


def hook_specs() -> dict[str, Callable[..., Any]]:
    """Return every hook specification by name, in order."""
    found = vars(hookspecs).items()
    return {name: value for name, value in found if hasattr(value, f"{PROJECT}_spec")}


def hook_sections(spec: Callable[..., Any]) -> dict[str, str]:
    """Return what a specification answers to each of the fixed questions."""
    text = inspect.getdoc(spec) or ""
    found = re.findall(rf"^({'|'.join(SECTIONS)}): (.*(?:\n(?!\S+.*:).+)*)", text, re.MULTILINE)
    return {name: markdown(" ".join(said.split())) for name, said in found}


def kinds_in(phase: Phase) -> list[str]:
    """Return the kinds that act in a phase, as their docstrings say."""
    return [name for name, kind in kinds() if phase in phases_of(kind)]


def hooks_page() -> str:
    """Return ``hooks.md``."""
    rows = [
        (
            f"[`{phase}`](#{phase})",
            "async" if RULES[phase].asynchronous else "plain",
            str(RULES[phase].mode),
            str(RULES[phase].on_error),
            ", ".join(f"`{name}`" for name in kinds_in(phase)) or "–",
        )
        for phase in Phase
    ]
    page = "# Hooks\n\n" + NOTE + markdown(inspect.getdoc(hookspecs) or "") + "\n\n"
    page += "Implement one as a method of a `Plugin`, marked with `hookimpl`:\n\n"
    page += code(
        "class Tagger(Plugin[NoSettings]):\n"
        '    """Tag requests by their user agent."""\n\n'
        "    @hookimpl(priority=priorities.FIRST)\n"
        "    async def authorize(self, exchange: Exchange) -> None:\n"
        '        exchange.tag("agent", exchange.client.user_agent)'
    )
    page += (
        "\n## The phases\n\n" + table(("phase", "colour", "mode", "if a step breaks", "kinds"), rows) + "\n"
    )
    page += "".join(f"- *{word}*: {said}.\n" for word, said in MEANING.items())
    page += "\nNobody answering in `authenticate` is a refusal: an empty chain there lets nobody in.\n"
    for name, spec in hook_specs().items():
        page += f"\n## {name}\n\n{code(signature(spec))}\n{summary(spec)}\n\n"
        page += "".join(f"- **{ask}:** {said}\n" for ask, said in hook_sections(spec).items())
    return page


# ── kinds ───────────────────────────────────────────────────────────────────────────────────


def kinds() -> list[tuple[str, type[Kind]]]:
    """Return every kind by class name, in the order of the page."""
    return [(name, getattr(hookway_sdk, name)) for name in KIND_ORDER]


def phases_of(kind: type[Kind]) -> list[Phase]:
    """Return the phases that a kind's docstring names, or else its bases' or a like kind's."""
    alike = [other for _, other in kinds() if other.kind == kind.kind and other is not kind]
    for base in (*kind.__mro__, *alike):
        said = re.findall(r"Phases? (``.*?)(?:\. |, a plain|, after|\Z)", (base.__doc__ or ""), re.DOTALL)
        words = re.findall(r"``(\w+)``", " ".join(said))
        if words:
            return [Phase(word) for word in words if word in set(Phase)]
    return []


def place_of(kind: type[Kind]) -> str:
    """Return a kind's phases; or, where it is a step of none, its place among them as its docstring says."""
    if phases := phases_of(kind):
        return ", ".join(f"`{phase}`" for phase in phases)
    for base in kind.__mro__:
        if found := re.search(r"^\s*Acts (.*?)(?:, which|\.$)", base.__doc__ or "", re.DOTALL | re.MULTILINE):
            words = re.sub(r"\bphases? | \([^)]*\)", "", " ".join(found[1].split()))
            return markdown(words)
    return "–"


def methods_of(kind: type[Kind]) -> Iterator[Callable[..., Any]]:
    """Yield the methods that are a kind's own, in the order they are written."""
    seen: set[str] = set()
    for base in kind.__mro__:
        if base in (EntryKind, RowKind, Kind, object):
            continue
        for name, value in vars(base).items():
            if inspect.isfunction(value) and not name.startswith("_") and name not in seen:
                seen.add(name)
                yield value


def attributes_of(kind: type[Kind]) -> list[tuple[str, str]]:
    """Return name and text of the class attributes a kind's docstrings describe."""
    return [
        entry
        for base in kind.__mro__
        if base not in (EntryKind, RowKind, Kind, object)
        for entry in entries(base, "Attributes")
    ]


def kinds_page() -> str:
    """Return ``kinds.md``."""
    page = "# Kinds\n\n" + NOTE
    page += (
        "A kind is a class that a plugin registers. The core makes instances of it and calls them at the "
        "kind's own place, so a kind never implements the hook of its own phase.\n\n"
    )
    rows = [
        (
            f"[`{name}`](#{name.lower()})",
            f"`{kind.kind}_`",
            "row" if issubclass(kind, RowKind) else "conf.d entry",
            place_of(kind),
            str(kind.priority) if phases_of(kind) else "–",
        )
        for name, kind in kinds()
    ]
    page += table(("class", "name begins with", "one instance per", "phases", "priority"), rows)
    page += "\n## What all kinds share\n\n" + prose(Kind) + "\n\n"
    page += "".join(f"- `{name}`: {said}\n" for name, said in entries(Kind, "Attributes"))
    for base in (EntryKind, RowKind):
        page += f"\n**`{base.__name__}`.** {prose(base)}\n\n"
        own = [
            value for value in vars(base).values() if inspect.isfunction(value) and value.__name__[0] != "_"
        ]
        page += "".join(f"- `{signature(one)}`: {summary(one)}\n" for one in own)
    for name, kind in kinds():
        page += f"\n## {name}\n\n{prose(kind)}\n"
        lines = [f"- `{attribute}`: {said}\n" for attribute, said in attributes_of(kind)]
        page += "".join(["\n", *lines] if lines else [])
        for method in methods_of(kind):
            page += f"\n{code(signature(method))}\n{prose(method)}\n"
            for heading in ("Returns", "Raises"):
                page += _listed(method, heading)
        page += f"\nProve it with `hookway_sdk.testing.{contract_of(name)}`.\n"
    return page


def _listed(method: Callable[..., Any], heading: str) -> str:
    text = (inspect.getdoc(method) or "").partition(f"{heading}:\n")[2]
    if not text:
        return ""
    if heading == "Returns":
        block = re.split(r"\n\n|\n(?=\S)", text)[0]
        return f"\nReturns: {markdown(' '.join(block.split()))}\n"
    return "".join(f"\nRaises `{name}`: {said}\n" for name, said in entries(method, heading))


def contract_of(kind: str) -> str:
    """Return the contract class that proves a kind."""
    return {"Op": "DialectContract", "Budget": "LimitContract"}.get(kind, f"{kind}Contract")


# ── errors ──────────────────────────────────────────────────────────────────────────────────


def below(root: type[ErrorT]) -> Iterator[type[ErrorT]]:
    """Yield the classes below one in the order they are written, each before those below it."""
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from below(child)


def errors_page() -> str:
    """Return ``errors.md``."""
    page = "# Errors\n\n" + NOTE
    page += (
        "Raise the class; the dialect of the endpoint writes its own envelope from `status`, `type`, `code`, "
        "`message`, `param` and `members`, and `retry_after` becomes a header. `detail` is for operators and "
        "never leaves. A message is lower case, without a full stop, names the thing and the way out, and "
        "holds no secret, no prompt and no matched text.\n\n## What ends one request\n\n"
    )
    rows = []
    ending: list[type[errors.GatewayError]] = [errors.GatewayError, *below(errors.GatewayError)]
    for cls in ending:
        status = STATUS_BY_CASE.get(cls.__name__, str(cls.status))
        code_ = f"`{cls.code}`" if cls.code else "–"
        rows.append((f"`{cls.__name__}`", status, f"`{cls.type}`", code_, summary(cls)))
    page += table(("class", "status", "type", "code", "meaning"), rows)
    page += (
        "\nAn error that comes once a stream runs has no status left to set: the writer's `fail` ends the "
        "stream in the dialect's own form. `ClientDisconnected` is recorded and never written.\n"
        "\n## What came from upstream\n\n"
        "`UpstreamError.kind` is the word in metrics and events.\n\n"
    )
    upstream = [cls for cls in below(errors.UpstreamError)]
    page += table(("class", "kind"), [(f"`{cls.__name__}`", f"`{cls.kind}`") for cls in upstream])
    page += "\n## What ends a start or a reload\n\nThe last good configuration serves on.\n\n"
    stopping: list[type[errors.StartError]] = [errors.StartError, *below(errors.StartError)]
    page += table(("class", "meaning"), [(f"`{one.__name__}`", summary(one)) for one in stopping])
    return page


# ── priorities ──────────────────────────────────────────────────────────────────────────────


def band_texts() -> dict[str, str]:
    """Return what is written below each band in the module."""
    body = ast.parse(inspect.getsource(priorities)).body
    texts: dict[str, str] = {}
    for statement, following in pairwise(body):
        if (
            isinstance(statement, ast.Assign)
            and isinstance(statement.targets[0], ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
        ):
            texts[statement.targets[0].id] = markdown(" ".join(str(following.value.value).split()))
    return texts


def priorities_page() -> str:
    """Return ``priorities.md``."""
    page = "# Priorities\n\n" + NOTE + markdown(inspect.getdoc(priorities) or "") + "\n\n"
    texts, acting = band_texts(), [(name, kind) for name, kind in kinds() if phases_of(kind)]
    last_of = {value: band for band, value in priorities.BANDS.items()}
    rows = []
    for band, value in priorities.BANDS.items():
        users = [f"`{name}`" for name, kind in acting if kind.priority == value and last_of[value] == band]
        rows.append((str(value), f"`{band}`", texts[band], ", ".join(users) or "–"))
    page += table(("number", "band", "for", "kinds that begin there"), rows)
    page += (
        "\nWithin a number, rows stand by their `order`, then everything by name, so that the order of "
        "installation never matters. `hookway hooks` prints the steps of each phase as they stand, and "
        "where each number came from.\n"
    )
    return page


PAGES: dict[str, Callable[[], str]] = {
    "hooks.md": hooks_page,
    "kinds.md": kinds_page,
    "errors.md": errors_page,
    "priorities.md": priorities_page,
}


def main() -> None:
    """Write every page."""
    DOCS.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())


if __name__ == "__main__":
    main()
