"""``hookway check``, ``plugins``, ``hooks``, ``schema`` and ``export``, as processes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import yaml
from command_line import hookway, write

GOOD = {
    "conf.d/10-mine.yaml": "downstream: {sse_keepalive_interval_secs: 5}\n",
    "conf.d/20-plugins.yaml": "plugins:\n  sink_access_log:\n    priority: {record: 950}\n",
    "resources.yaml": """\
models:
  - {name: fast, model: openai/gpt-4o, key: "${UPSTREAM_KEY}", api_base: "https://example.org/v1"}
  - name: pair
    routing: {targets: [{model: fast}], max_fallbacks: 1}
api_keys:
  - {name: ci, key: sk-ci-0123456789, allowed_models: [fast], team_id: t1}
""",
}
KEY = "sk-very-secret"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return write(tmp_path, GOOD)


def test_check_says_what_would_serve(home: Path) -> None:
    done = hookway(home, "check", UPSTREAM_KEY=KEY)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "ok: 18 plugins on, 1 provider_keys, 2 models, 1 api_keys\n"


def test_check_needs_no_file_at_all(tmp_path: Path) -> None:
    done = hookway(tmp_path, "check")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("ok: 18 plugins on, ")


def test_plugins_are_listed_with_what_turned_them_on(home: Path) -> None:
    done = hookway(home, "plugins", UPSTREAM_KEY=KEY)
    assert done.returncode == 0
    head, *rows = [line.split() for line in done.stdout.splitlines()]
    assert head == ["plugin", "version", "package", "state", "kinds", "from"]
    listed = {row[0]: row[1:] for row in rows}
    assert listed["provider_echo"] == [
        "0.1.0",
        "hookway-provider-echo",
        "on",
        "provider",
        "defaults/00-hookway.yaml:21",
    ]
    assert listed["sink_access_log"][-1] == "conf.d/20-plugins.yaml:2"
    assert listed["auth_none"][2] == "off"


def test_hooks_show_the_steps_and_where_their_places_come_from(home: Path) -> None:
    done = hookway(home, "hooks", UPSTREAM_KEY=KEY)
    assert done.returncode == 0
    rows = [line.split(maxsplit=5) for line in done.stdout.splitlines()[1:]]
    assert list(dict.fromkeys(row[0] for row in rows)) == [
        "authenticate",
        "resolve",
        "authorize",
        "admit_request",
        "inspect_request",
        "lookup",
        "filter",
        "order",
        "admit_attempt",
        "judge",
        "inspect_answer",
        "store",
        "settle",
        "record",
    ]
    assert rows[0][1:] == ["first", "500", "auth_keys", "closed", "declared"]
    (logged,) = [row for row in rows if "sink_access_log" in row]
    assert logged[:5] == ["record", "notify", "950", "sink_access_log", "open"]
    assert logged[5] != "declared"


def test_hooks_can_be_asked_for_one_model_and_key(home: Path) -> None:
    assert hookway(home, "hooks", "--model", "fast", "--key", "ci", UPSTREAM_KEY=KEY).returncode == 0
    done = hookway(home, "hooks", "--model", "slow", UPSTREAM_KEY=KEY)
    assert (done.returncode, done.stdout) == (1, "")
    assert 'model "slow" not found' in done.stderr


def test_the_schema_of_settings_knows_every_root_key(home: Path) -> None:
    done = hookway(home, "schema")
    schema = json.loads(done.stdout)
    root = schema["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    assert {"proxy", "admin", "observability", "upstream", "downstream", "shutdown", "plugins"} <= set(
        root["properties"]
    )
    assert root["additionalProperties"] is False


def test_the_schema_of_resources_knows_what_a_resources_file_may_say(home: Path) -> None:
    schema = json.loads(hookway(home, "schema", "resources", UPSTREAM_KEY=KEY).stdout)
    resources = yaml.safe_load(GOOD["resources.yaml"])
    for collection, rows in resources.items():
        assert collection in schema["properties"]
        for row in rows:
            assert set(row) <= set(schema["$defs"][collection]["properties"])
    assert "provider_key" in schema["$defs"]["models"]["properties"]


def test_a_schema_can_be_had_while_the_resources_are_wrong(home: Path) -> None:
    write(home, {"resources.yaml": "models: [{name: fast, modell: openai/gpt-4o}]\n"})
    assert json.loads(hookway(home, "schema", "resources").stdout)
    assert json.loads(hookway(home, "schema", "source_file").stdout)
    assert hookway(home, "plugins").returncode == 0


def test_a_schema_that_is_not_there_is_refused_with_the_nearest_name(home: Path) -> None:
    done = hookway(home, "schema", "sorce_file", UPSTREAM_KEY=KEY)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "hookway schema: there is no schema of 'sorce_file'; did you mean 'source_file'?\n"


def test_an_export_holds_no_secret_and_loads_to_the_same(home: Path) -> None:
    done = hookway(home, "export", UPSTREAM_KEY=KEY)
    assert done.returncode == 0
    assert KEY not in done.stdout + done.stderr
    assert "sk-ci" not in done.stdout + done.stderr
    (variable,) = [word.strip("${}") for word in done.stdout.split() if word.startswith("${HOOKWAYSECRET_")]
    assert variable in done.stderr
    exported = yaml.safe_load(done.stdout)
    assert exported["_format_version"] == "1"
    assert exported["models"][0]["provider_key"] == exported["provider_keys"][0]["display_name"]
    assert exported["api_keys"][0]["key_hash"] == hashlib.sha256(b"sk-ci-0123456789").hexdigest()
    write(home, {"resources.yaml": done.stdout})
    again = hookway(home, "export", **{variable: KEY})
    assert (again.returncode, again.stdout) == (0, done.stdout)


def test_an_export_shows_the_providers_keys_if_it_is_told_to(home: Path) -> None:
    done = hookway(home, "export", "--reveal-secrets", UPSTREAM_KEY=KEY)
    exported = yaml.safe_load(done.stdout)
    assert exported["provider_keys"][0]["api_key"] == KEY
    assert "sk-ci" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code"), [((), 2), (("chek",), 2), (("check", "--no-such-option"), 2), (("--version",), 0)]
)
def test_wrong_usage_is_no_success(tmp_path: Path, arguments: tuple[str, ...], code: int) -> None:
    assert hookway(tmp_path, *arguments).returncode == code


# ── mistakes ────────────────────────────────────────────────────────────────────────────────


def problems(home: Path, command: str = "check") -> list[str]:
    """Return the problems that a command lists, without the directory they are in."""
    done = hookway(home, command, UPSTREAM_KEY=KEY)
    assert (done.returncode, done.stdout) == (1, "")
    head, *lines = done.stderr.splitlines()
    assert head == f"hookway {command}: {len(lines)} problem{'s' * (len(lines) != 1)} in the configuration"
    return [line.strip() for line in lines]


CONF_D = {
    "conf.d/10-mine.yaml": """\
prxy: {}
proxy:
  adr: "127.0.0.1:0"
  request_body_limit: lots
upstream: {retries: -1}
plugins:
  dialect_opanai: {}
  source_env:
    ecko: true
  source_file: {watch: soon, path: "${NO_SUCH_VARIABLE}"}
  provider_echo: {enabled: perhaps}
""",
    "conf.d/20-twice.yaml": "plugins:\n  provider_openai: {}\n  provider_openai: {}\n",
}


def test_all_mistakes_in_conf_d_are_told_at_once_with_their_places(home: Path) -> None:
    write(home, CONF_D)
    told = problems(home)
    expected = [
        ("1: prxy: unknown key 'prxy'", "did you mean 'proxy'?"),
        ("3: proxy.adr: unknown key 'adr'", "did you mean 'addr'?"),
        ("4: proxy.request_body_limit: 'lots' is no number", "expected a size such as 512KiB, 64MiB or 1GB"),
        ("5: upstream.retries: found the number -1", "expected a whole number from 0 to 100"),
        ("7: plugins.dialect_opanai: no plugin of this name", "did you mean 'dialect_openai'?"),
        ("9: plugins.source_env.ecko: unknown key 'ecko'", "did you mean 'echo'?"),
        ("10: plugins.source_file.path: the variable NO_SUCH_VARIABLE is not set", "expected a value"),
        ("10: plugins.source_file.watch: 'soon' is no number", "expected a duration"),
        ("11: plugins.provider_echo.enabled: ", "expected true or false"),
    ]
    assert told[-1] == (
        "conf.d/20-twice.yaml:3: plugins.provider_openai: duplicate key; it stands in line 2 already"
    )
    assert len(told) == len(expected) + 1
    for (start, part), line in zip(expected, told, strict=False):
        assert line.startswith(f"conf.d/10-mine.yaml:{start}")
        assert part in line


def test_mistakes_that_only_plugins_can_see_are_told_at_once_too(home: Path) -> None:
    write(
        home,
        {"conf.d/30.yaml": "plugins:\n  guardrail_none: {}\n  sorce_file: {}\n  source_env: {ecko: true}\n"},
    )
    assert [line.split(" ")[:2] for line in problems(home)] == [
        ["conf.d/30.yaml:2:", "plugins.guardrail_none:"],
        ["conf.d/30.yaml:3:", "plugins.sorce_file:"],
        ["conf.d/30.yaml:4:", "plugins.source_env.ecko:"],
    ]


RESOURCES = """\
modles: []
models:
  - name: fast
    model: openai/gpt-4o
    key: sk-very-secret
    tiemout: 5
    retries: many
  - name: fast
    model: openai/gpt-4o
  - name: short
    model: gpt-4o
  - name: group
    routing:
      strategy: failovr
      targets:
        - {model: fsat}
        - {model: short, wieght: 3}
  - name: other
    routing: {targets: [{model: fats}]}
  - name: lost
    model: openai/gpt-4o
    provider_key: opanai
api_keys:
  - name: ci
    key: sk-ci-0123456789
    allowed_models:
      - fast
      - shrt
  - name: cd
    key_env: NO_SUCH_VARIABLE
    allowed_models: []
provider_keys:
  - {name: openai, provider: openai, api_key: x}
  - name: empty
    provider: openai
"""


def test_all_mistakes_in_resources_are_told_at_once_with_their_places(home: Path) -> None:
    write(home, {"resources.yaml": RESOURCES})
    told = {line.removeprefix("resources.yaml:") for line in problems(home)}
    assert KEY not in repr(told)
    expected = {
        "1: modles: ": "did you mean 'models'?",
        '6: models[0] ("fast").tiemout: ': "did you mean 'timeout'?",
        '7: models[0] ("fast").retries: ': "expected a whole number from 0 to 100",
        "8: models[1]": 'duplicate models entry "fast"',
        '11: models[2] ("short").model: ': "expected openai/gpt-4o",
        '17: models[3] ("group").routing.targets[1].wieght: ': "did you mean 'weight'?",
        "19: models": "did you mean 'fast'?",
        '22: models[5] ("lost").provider_key: ': "did you mean 'openai'?",
        "28: api_keys": "did you mean 'short'?",
        "30: api_keys": "NO_SUCH_VARIABLE",
        "34: provider_keys": "api_key",
    }
    found = {start: [line for line in told if line.startswith(start)] for start in expected}
    assert {start: len(lines) for start, lines in found.items()} == dict.fromkeys(expected, 1)
    for start, part in expected.items():
        assert part in found[start][0]
    assert not [line for line in told if "no model is defined" in line]


def test_a_strategy_that_no_plugin_serves_is_told_with_its_place(home: Path) -> None:
    write(
        home,
        {
            "resources.yaml": """\
models:
  - {name: fast, model: openai/gpt-4o, key: x}
  - name: group
    routing:
      strategy: failovr
      targets: [{model: fast}]
"""
        },
    )
    (line,) = problems(home)
    assert "resources.yaml:" in line
    assert "routing.strategy: no enabled plugin serves strategy 'failovr'" in line
    assert line.endswith("did you mean 'failover'?")


@pytest.mark.parametrize(
    "text", ["models: [", "models: {}\n", "- models\n", "models:\n\t- x\n", "a: &x [*x]\n"]
)
def test_a_resources_file_that_makes_no_sense_is_refused_with_its_line(home: Path, text: str) -> None:
    write(home, {"resources.yaml": text})
    assert all(line.startswith("resources.yaml:") for line in problems(home))


def test_serve_refuses_what_check_refuses(home: Path) -> None:
    write(home, {"resources.yaml": RESOURCES})
    assert problems(home, "serve") == problems(home)


def test_a_stray_variable_is_warned_about(home: Path) -> None:
    done = hookway(home, "check", UPSTREAM_KEY=KEY, HOOKWAY_PROXI__ADDR="127.0.0.1:0")
    assert done.returncode == 0
    assert "HOOKWAY_PROXI__ADDR" in done.stderr


def test_a_variable_overrides_the_files(home: Path) -> None:
    done = hookway(home, "check", UPSTREAM_KEY=KEY, HOOKWAY_UPSTREAM__RETRIES="many")
    assert done.returncode == 1
    assert "HOOKWAY_UPSTREAM__RETRIES" in done.stderr
    assert hookway(home, "check", UPSTREAM_KEY=KEY, HOOKWAY_UPSTREAM__RETRIES="3").returncode == 0


def test_letting_everyone_in_is_refused_beyond_loopback(home: Path) -> None:
    write(
        home,
        {
            "conf.d/30-open.yaml": "proxy: {addr: '0.0.0.0:0'}\n"
            "plugins: {auth_none: {}, auth_keys: {enabled: false}}\n"
        },
    )
    done = hookway(home, "serve", UPSTREAM_KEY=KEY)
    assert done.returncode == 1
    assert "auth_none" in done.stderr
    assert "loopback" in done.stderr
