"""What a resources file may look like, what is refused, and when a change is noticed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from hookway_plugins.source_file import FileSource
from hookway_sdk import ConfigError, Document, Place, Problem, SourceDocument, walker
from hookway_sdk.scalars import LooseText
from hookway_sdk.testing.contracts.source import SourceContract
from hookway_sdk.testing.scripted_services import ScriptedDocuments
from hookway_sdk.testing.services import RecordingServices, make_services

ROWS = {"models": [{"name": "fast", "provider": "acme", "model_name": "small", "provider_key": "acme"}]}


class PlacedDocuments:
    """A reader that finds the same document, with its places, whatever the text."""

    def __init__(self, value: Any, places: Mapping[tuple[str | int, ...], Place]) -> None:
        self.document = Document(value, places)
        self.asked: list[tuple[str, bool]] = []

    def parse(self, text: bytes, *, file: str, interpolate: bool = False) -> Document:
        self.asked.append((file, interpolate))
        return self.document


class Shelf:
    """A directory with a resources file, and a source that reads it."""

    def __init__(self, directory: Path, services: RecordingServices | None = None, **settings: Any) -> None:
        self.path = directory / "resources.yaml"
        self.environment: dict[str, str] = {}
        self.services = services or make_services("source_file")
        read = walker.convert({"path": str(self.path), **settings}, FileSource.Settings)
        self.source = FileSource("source_file", read, self.services, self.environment)
        self.changes = 0

    def write(self, value: Any) -> None:
        self.path.write_text(value if isinstance(value, str) else json.dumps(value))

    async def load(self, value: Any = None) -> SourceDocument:
        if value is not None:
            self.write(value)
        return await self.source.load()

    async def problems(self, value: Any = None) -> list[Problem]:
        """Return what is wrong with the file, whether it could be read or not."""
        try:
            document = await self.load(value)
        except ConfigError as error:
            return list(error.problems)
        assert document.problems
        return list(document.problems)

    async def watch(self) -> None:
        def count() -> None:
            self.changes += 1

        await self.source.watch(count)

    async def look(self, times: int = 1) -> int:
        await self.services.tasks.run_every("watch", times)
        return self.changes


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


class TestContract(SourceContract):
    plugin = FileSource

    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> None:
        self.path = tmp_path / "resources.yaml"
        self.path.write_text(json.dumps(ROWS))
        self.settings = {"path": str(self.path)}

    async def change(self) -> bool:
        self.path.write_text(json.dumps({"models": [{"name": "slow"}]}))
        return True

    async def spoil(self) -> bool:
        self.path.write_text("{")
        return True

    async def take_away(self) -> bool:
        self.path.unlink()
        return True

    async def settle(self, services: RecordingServices) -> None:
        await services.tasks.run_every(times=2)


# ── the document ────────────────────────────────────────────────────────────────────────────


async def test_rows_pass_as_they_stand(shelf: Shelf) -> None:
    rows = {"models": [{"name": "a", "provider_key": "b", "odd": [1]}], "things_of_a_plugin": [{"x": None}]}
    document = await shelf.load({"_format_version": "1", **rows})
    assert {name: [row.value for row in found] for name, found in document.rows.items()} == rows
    assert document.revision == hashlib.sha256(shelf.path.read_bytes()).hexdigest()


async def test_a_collection_may_be_empty_or_null(shelf: Shelf) -> None:
    document = await shelf.load({"models": [], "api_keys": None})
    assert document.rows == {"models": [], "api_keys": []}


@pytest.mark.parametrize("text", ["null", '{"_format_version": "1"}', "{}"])
async def test_a_document_may_hold_nothing(shelf: Shelf, text: str) -> None:
    assert (await shelf.load(text)).rows == {}


@pytest.mark.parametrize("value", [[], "text", 7, True])
async def test_the_root_is_a_map(shelf: Shelf, value: Any) -> None:
    (problem,) = await shelf.problems(json.dumps(value))
    assert problem.expected == "a map of collections such as models"
    assert problem.place == Place(str(shelf.path), 1)


@pytest.mark.parametrize("version", [1, "2", None, ["1"]])
async def test_the_format_version_is_the_text_1(shelf: Shelf, version: Any) -> None:
    (problem,) = await shelf.problems({"_format_version": version})
    assert (problem.key, problem.expected) == ("_format_version", 'the text "1", in quotes')


async def test_everything_that_is_wrong_is_said_at_once(shelf: Shelf) -> None:
    problems = await shelf.problems(
        {
            "_format_version": 1,
            "models": {"name": "a"},
            "guardrails": [{"name": "g", "id": "1"}, "text", None],
            "api_keys": [{"name": "k", "key_env": "UNSET"}],
        }
    )
    assert [problem.key for problem in problems] == [
        "_format_version",
        "models",
        'guardrails[0] ("g").id',
        "guardrails[1]",
        "guardrails[2]",
        'api_keys[0] ("k").key_env',
    ]
    assert all(problem.place for problem in problems)


async def test_places_are_those_of_the_keys_below_their_row(tmp_path: Path) -> None:
    at = {
        (): Place("r.yaml", 1),
        ("models",): Place("r.yaml", 1),
        ("models", 0): Place("r.yaml", 2),
        ("models", 0, "name"): Place("r.yaml", 2),
        ("models", 0, "routing"): Place("r.yaml", 3),
        ("models", 0, "routing", "targets", 0): Place("r.yaml", 4),
        ("models", 1): Place("r.yaml", 5),
    }
    documents = PlacedDocuments({"models": [{"name": "a", "routing": {"targets": [{}]}}, {}]}, at)
    shelf = Shelf(tmp_path, make_services("source_file", documents=documents))
    document = await shelf.load("whatever")
    first, second = document.rows["models"]
    assert document.places == {"models": Place("r.yaml", 1)}
    assert first.place == Place("r.yaml", 2)
    assert {path: place.line for path, place in first.places.items()} == {
        ("name",): 2,
        ("routing",): 3,
        ("routing", "targets", 0): 4,
    }
    assert (second.place, second.places) == (Place("r.yaml", 5), {})
    assert documents.asked == [(str(shelf.path), True)], "variables are to be put in"


async def test_a_problem_has_the_line_of_its_key(tmp_path: Path) -> None:
    at = {
        ("api_keys", 0): Place("r.yaml", 7),
        ("api_keys", 0, "id"): Place("r.yaml", 8),
        ("api_keys", 0, "key_env"): Place("r.yaml", 9),
        ("models",): Place("r.yaml", 3),
    }
    documents = PlacedDocuments({"models": 1, "api_keys": [{"id": "x", "key_env": "UNSET"}]}, at)
    problems = await Shelf(tmp_path, make_services("source_file", documents=documents)).problems("whatever")
    assert [problem.place.line for problem in problems if problem.place] == [3, 8, 9]


# ── keys from the environment ───────────────────────────────────────────────────────────────


async def test_key_env_stands_for_the_hash_of_the_variable(shelf: Shelf) -> None:
    shelf.environment["CI_KEY"] = "key-of-a-test"
    document = await shelf.load({"api_keys": [{"name": "ci", "key_env": "CI_KEY", "allowed_models": ["*"]}]})
    (row,) = document.rows["api_keys"]
    assert row.value == {
        "name": "ci",
        "allowed_models": ["*"],
        "key_hash": hashlib.sha256(b"key-of-a-test").hexdigest(),
    }


async def test_the_name_of_the_variable_may_itself_be_interpolated(tmp_path: Path) -> None:
    documents = PlacedDocuments({"api_keys": [{"key_env": LooseText("CI_KEY")}]}, {})
    shelf = Shelf(tmp_path, make_services("source_file", documents=documents))
    shelf.environment["CI_KEY"] = "key-of-a-test"
    (row,) = (await shelf.load("whatever")).rows["api_keys"]
    assert row.value == {"key_hash": hashlib.sha256(b"key-of-a-test").hexdigest()}


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (None, "not set, or empty"),
        ("", "not set, or empty"),
        ("odd${KEY}", "still holds"),
        (" odd-key", "blanks around"),
    ],
)
async def test_a_variable_that_is_no_key_is_refused_without_its_value(
    shelf: Shelf, value: str | None, complaint: str
) -> None:
    if value is not None:
        shelf.environment["CI_KEY"] = value
    (problem,) = await shelf.problems({"api_keys": [{"key_env": "CI_KEY"}]})
    assert complaint in problem.message
    assert "'CI_KEY'" in problem.message
    assert not value or value not in str(problem)


@pytest.mark.parametrize("beside", [{"key_hash": "a"}, {"key": "b"}, {"key": "b", "key_hash": "a"}])
async def test_a_key_is_given_in_one_way(shelf: Shelf, beside: dict[str, str]) -> None:
    shelf.environment["CI_KEY"] = "key-of-a-test"
    (problem,) = await shelf.problems({"api_keys": [{"key_env": "CI_KEY", **beside}]})
    assert problem.message.startswith("is given beside key")


@pytest.mark.parametrize("variable", [None, "", 7, ["CI_KEY"]])
async def test_key_env_is_the_name_of_a_variable(shelf: Shelf, variable: Any) -> None:
    (problem,) = await shelf.problems({"api_keys": [{"key_env": variable}]})
    assert "instead of the name of an environment variable" in problem.message


async def test_key_env_has_no_meaning_elsewhere(shelf: Shelf) -> None:
    document = await shelf.load({"models": [{"key_env": "UNSET"}]})
    assert document.rows["models"][0].value == {"key_env": "UNSET"}


async def test_variables_are_put_into_values(tmp_path: Path) -> None:
    documents = ScriptedDocuments(environment={"NAME": "fast"})
    shelf = Shelf(tmp_path, make_services("source_file", documents=documents))
    document = await shelf.load({"models": [{"name": "${NAME}"}]})
    assert document.rows["models"][0].value == {"name": "fast"}


# ── the file ────────────────────────────────────────────────────────────────────────────────


async def test_a_file_that_nobody_named_may_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = FileSource("source_file", FileSource.Settings(), make_services("source_file"))
    assert (await source.load()).rows == {}
    (tmp_path / "resources.yaml").write_text(json.dumps(ROWS))
    assert list((await source.load()).rows) == ["models"]


async def test_a_file_that_was_named_has_to_exist(shelf: Shelf) -> None:
    (problem,) = await shelf.problems()
    assert problem.key == "plugins.source_file"
    assert "no such file" in problem.message
    assert problem.place == Place(str(shelf.path))


@pytest.mark.parametrize("settings", [{}, {"path": "resources.yaml"}])
async def test_rows_do_not_vanish_because_their_file_did(
    settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "resources.yaml"
    file.write_text(json.dumps(ROWS))
    read = walker.convert(settings, FileSource.Settings)
    source = FileSource("source_file", read, make_services("source_file"))
    await source.load()
    file.write_text("\n")
    with pytest.raises(ConfigError, match="is empty and had rows before"):
        await source.load()
    file.unlink()
    with pytest.raises(ConfigError, match="no such file"):
        await source.load()
    file.write_text("{}")
    assert (await source.load()).rows == {}, "a document that holds nothing on purpose takes the rows away"


def make_directory(path: Path) -> None:
    path.mkdir()


def make_unreadable(path: Path) -> None:
    path.write_text("{}")
    path.chmod(0)


def make_large(path: Path) -> None:
    path.write_text(json.dumps({"models": [{"name": "x" * 1_100}]}))


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (make_directory, "directory"),
        (os.mkfifo, "is no regular file"),
        (make_unreadable, "permission denied"),
        (make_large, "is larger than 1024 bytes"),
    ],
)
async def test_what_cannot_be_read_is_refused_with_the_reason(
    spoil: Callable[[Path], None], complaint: str, tmp_path: Path
) -> None:
    shelf = Shelf(tmp_path, max_size="1KiB")
    spoil(shelf.path)
    if spoil is make_unreadable and os.access(shelf.path, os.R_OK):
        pytest.skip("root may read everything")
    (problem,) = await shelf.problems()
    assert complaint in problem.message


async def test_a_file_of_just_the_allowed_size_is_read(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, max_size="1KiB")
    assert (await shelf.load("{}".ljust(1_024))).rows == {}


# ── changes ─────────────────────────────────────────────────────────────────────────────────


async def test_a_change_is_told_once_two_looks_saw_the_same(shelf: Shelf) -> None:
    await shelf.load(ROWS)
    await shelf.watch()
    assert await shelf.look(3) == 0
    shelf.write({"models": []})
    assert await shelf.look() == 0
    shelf.write({"models": [{"name": "half of it"}]})
    assert await shelf.look() == 0, "it is still being written"
    assert await shelf.look() == 1
    assert await shelf.look(3) == 1


async def test_a_change_between_load_and_watch_is_not_missed(shelf: Shelf) -> None:
    await shelf.load(ROWS)
    shelf.write({"models": []})
    await shelf.watch()
    assert await shelf.look(2) == 1


async def test_what_a_reload_has_read_is_no_change(shelf: Shelf) -> None:
    await shelf.load(ROWS)
    await shelf.watch()
    await shelf.load({"models": []})
    assert await shelf.look(3) == 0


async def test_a_file_that_was_replaced_in_one_step_is_a_change(shelf: Shelf) -> None:
    await shelf.load(ROWS)
    await shelf.watch()
    old = os.stat(shelf.path)
    fresh = shelf.path.with_suffix(".new")
    fresh.write_text(shelf.path.read_text())
    os.utime(fresh, ns=(old.st_atime_ns, old.st_mtime_ns))
    fresh.replace(shelf.path)
    assert await shelf.look(2) == 1


async def test_a_file_that_comes_and_goes_is_a_change(shelf: Shelf) -> None:
    await shelf.load(ROWS)
    await shelf.watch()
    shelf.path.unlink()
    assert await shelf.look(2) == 1
    shelf.write(ROWS)
    assert await shelf.look(2) == 2


async def test_a_wrong_file_is_told_once_and_not_at_every_look(shelf: Shelf) -> None:
    await shelf.load(ROWS)
    await shelf.watch()
    shelf.write("{")
    assert await shelf.look(2) == 1
    await shelf.problems()
    assert await shelf.look(5) == 1


async def test_it_looks_as_often_as_it_is_told_and_not_at_all_for_0(tmp_path: Path) -> None:
    for written, seconds in (("250ms", [0.25]), (0, [])):
        shelf = Shelf(tmp_path, watch=written)
        await shelf.watch()
        assert [one[0] for one in shelf.services.tasks.periodic.values()] == seconds
