"""``hookway serve`` as a process: its first minute, signals, and what is left of it when it is killed."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from callers import HELLO, ID
from command_line import HOOKWAY, environment, hookway, write

from hookway.journal_reader import JournalReader
from hookway_sdk import RequestEnded

CONF_D = """\
proxy: {addr: "127.0.0.1:0"}
admin: {enabled: false}
shutdown: {min_drain_secs: 0}
plugins: {source_file: {watch: 0}}
"""
ECHO = "models: [{name: echo, model: echo/echo, key: none}]\n"


class Served:
    """A running ``hookway serve``.

    Attributes:
        said: the lines on its standard output so far.
        log: the records of its log so far.
    """

    def __init__(self, home: Path, *arguments: str, **variables: str) -> None:
        self._home = home
        self.process = subprocess.Popen(
            [HOOKWAY, "serve", *arguments],
            cwd=home,
            env=environment(home, **variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        self.log: list[dict[str, Any]] = []
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.said.append)),
            threading.Thread(target=self._read, args=(self.process.stderr, self._note)),
        ]
        for reader in self._readers:
            reader.start()
        address = self.wait_log("listening")["address"]
        self.host, _, port = address.rpartition(":")
        self.port = int(port)

    @property
    def key(self) -> str:
        """The first caller key."""
        return (self._home / "state" / "hookway" / "first-key").read_text().strip()

    def wait_log(self, event: str, count: int = 1) -> dict[str, Any]:
        """Wait for a record of the log, the n-th of its name."""
        until = time.monotonic() + 15
        while time.monotonic() < until:
            found = [line for line in self.log if line["event"] == event]
            if len(found) >= count:
                return found[count - 1]
            assert self.process.poll() is None, self.log
            time.sleep(0.01)
        raise TimeoutError(f"{event} was not logged: {self.log}")

    def client(self) -> openai.OpenAI:
        """Return the official client."""
        return openai.OpenAI(base_url=f"http://{self.host}:{self.port}/v1", api_key=self.key, max_retries=0)

    def end(self, number: int) -> int:
        """Send a signal, wait for the end and return the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end and return the exit code."""
        code = self.process.wait(20)
        for reader in self._readers:
            reader.join(5)
        return code

    def stop(self) -> None:
        """End it, however it is."""
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()

    def _read(self, lines: Any, take: Callable[[str], object]) -> None:
        for line in lines:
            take(line.rstrip("\n"))

    def _note(self, line: str) -> None:
        assert line.startswith("{"), line
        self.log.append(json.loads(line))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return write(tmp_path, {"conf.d/10-test.yaml": CONF_D})


@pytest.fixture
def serve(home: Path) -> Iterator[Callable[..., Served]]:
    """Start processes; they are ended with the test."""
    started: list[Served] = []

    def start(*arguments: str, **variables: str) -> Served:
        started.append(Served(home, *arguments, **variables))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def settled(home: Path, request_id: str) -> list[RequestEnded]:
    """Return what a journal holds of a request whose process is over."""
    reader = JournalReader(home / "state" / "hookway" / "journal", "e2e")
    found = [one.decode(RequestEnded) for one in reader if one.kind == "request_ended"]
    return [one for one in found if one.request_id == request_id]


def ask(served: Served, text: str = "hello", request_id: str = "") -> Any:
    """Ask the model ``echo``."""
    messages: Any = [{"role": "user", "content": text}]
    with served.client() as client:
        return client.chat.completions.create(
            model="echo", messages=messages, extra_headers={ID: request_id} if request_id else {}
        )


def test_the_first_minute_goes_as_the_welcome_says(serve: Callable[..., Served]) -> None:
    served = serve()
    until = time.monotonic() + 5
    while not any('"messages"' in line for line in served.said) and time.monotonic() < until:
        time.sleep(0.01)
    welcome = "\n".join(served.said)
    assert welcome.startswith(f"Hookway listens on http://{served.host}:{served.port}\n")
    command = welcome.partition("try:\n")[2]
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=20, check=True)
    assert json.loads(done.stdout)["choices"][0]["message"]["content"] == "hello"
    assert served.key not in welcome
    assert served.end(signal.SIGTERM) == 0
    assert served.log[-1]["event"] == "hookway shut down cleanly"
    (line,) = [
        json.loads(one) for one in served.said if one.startswith('{"message":"proxy request completed"')
    ]
    assert (line["status"], line["model"], line["total_tokens"]) == (200, "echo", 2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_streams_that_run(serve: Callable[..., Served], number: int) -> None:
    served = serve("--quiet")
    messages: Any = [{"role": "user", "content": "!slow 0.05\none two three four five six"}]
    with served.client() as client:
        events = client.chat.completions.create(model="echo", messages=messages, stream=True)
        text = next(iter(events)).choices[0].delta.content or ""
        served.process.send_signal(number)
        served.wait_log("draining")
        text += "".join(one.choices[0].delta.content or "" for one in events)
    assert text == "one two three four five six"
    assert served.wait() == 0
    assert not [line for line in served.log if line["level"] in ("warning", "error")]


def begin_stream(client: openai.OpenAI, request_id: str) -> None:
    """Ask for a stream that goes on for many seconds, and read its first event."""
    messages: Any = [{"role": "user", "content": "!slow 5\none two three"}]
    stream = client.chat.completions.create(
        model="echo", messages=messages, stream=True, extra_headers={ID: request_id}
    )
    next(iter(stream))


def test_an_interrupt_does_not_wait_for_a_balancer(home: Path, serve: Callable[..., Served]) -> None:
    write(home, {"conf.d/20-wait.yaml": "shutdown: {min_drain_secs: 60}\n"})
    served = serve("--quiet")
    began = time.monotonic()
    assert served.end(signal.SIGINT) == 0
    assert time.monotonic() - began < 5


def test_a_second_signal_ends_it_at_once_and_settles_what_ran(
    home: Path, serve: Callable[..., Served]
) -> None:
    served = serve("--quiet")
    with served.client() as client:
        begin_stream(client, "insisted")
        served.process.send_signal(signal.SIGTERM)
        served.wait_log("draining")
        began = time.monotonic()
        assert served.end(signal.SIGTERM) == 0
        assert time.monotonic() - began < 5
    (event,) = settled(home, "insisted")
    assert event.status == 499


def test_a_drain_that_takes_too_long_ends_and_settles_what_ran(
    home: Path, serve: Callable[..., Served]
) -> None:
    write(home, {"conf.d/20-hurry.yaml": "shutdown: {max_drain_secs: 300ms}\n"})
    served = serve("--quiet")
    with served.client() as client:
        begin_stream(client, "hurried")
        began = time.monotonic()
        assert served.end(signal.SIGTERM) == 0
        assert 0.3 < time.monotonic() - began < 5
    (event,) = settled(home, "hurried")
    assert event.status == 499
    (line,) = [one for one in served.log if one["event"] == "drain_timed_out"]
    assert (line["level"], line["in_flight"]) == ("warning", 1)


def test_what_was_answered_is_settled_though_it_is_killed(home: Path, serve: Callable[..., Served]) -> None:
    served = serve("--quiet")
    ask(served, "three small words", "killed-1")
    time.sleep(0.2)
    assert served.end(signal.SIGKILL) == -signal.SIGKILL
    (event,) = settled(home, "killed-1")
    assert (event.status, event.usage.input_tokens, event.usage.output_tokens) == (200, 3, 3)
    key = served.key
    again = serve("--quiet")
    assert again.key == key
    ask(again, "two words", "killed-2")
    assert again.end(signal.SIGTERM) == 0
    assert [len(settled(home, name)) for name in ("killed-1", "killed-2")] == [1, 1]


def test_the_first_key_gives_way_to_keys_of_sources_and_that_is_said(
    home: Path, serve: Callable[..., Served]
) -> None:
    write(
        home, {"resources.yaml": "api_keys: [{name: mine, key: hw-mine-0123456789, allowed_models: ['*']}]\n"}
    )
    served = serve(HOOKWAY_KEY="hw-first-0123456789")
    until = time.monotonic() + 5
    while not any("models:" in line for line in served.said) and time.monotonic() < until:
        time.sleep(0.01)
    assert "HOOKWAY_KEY" in served.wait_log("first_key_not_used")["why"]
    assert served.end(signal.SIGTERM) == 0
    welcome = "\n".join(served.said)
    assert "models: none yet" in welcome
    assert "curl" not in welcome


def test_a_hangup_reloads_while_a_stream_runs(home: Path, serve: Callable[..., Served]) -> None:
    write(home, {"resources.yaml": ECHO})
    served = serve("--quiet")
    messages: Any = [{"role": "user", "content": "!slow 0.05\none two three four five six"}]
    with served.client() as client:
        events = client.chat.completions.create(model="echo", messages=messages, stream=True)
        next(iter(events))
        write(home, {"resources.yaml": ECHO.replace("name: echo", "name: other")})
        served.process.send_signal(signal.SIGHUP)
        served.wait_log("configuration applied")
        assert "".join(one.choices[0].delta.content or "" for one in events) == "one two three four five six"
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="echo", messages=HELLO)
        assert client.chat.completions.create(model="other", messages=HELLO).model == "other"
        write(home, {"resources.yaml": "models: [{nam: x}]\n"})
        served.process.send_signal(signal.SIGHUP)
        refused = served.wait_log("reload failed, the previous configuration serves on")
        assert any("resources.yaml:1" in line for line in refused["problems"])
        assert client.chat.completions.create(model="other", messages=HELLO).model == "other"
    assert served.end(signal.SIGTERM) == 0


def test_the_first_key_may_come_from_the_environment(home: Path, serve: Callable[..., Served]) -> None:
    key = "hw-given-key-0123456789abcdefghijklmnopqrstuv"
    served = serve("--quiet", HOOKWAY_KEY=key)
    connection = http.client.HTTPConnection(served.host, served.port, timeout=10)
    connection.request("GET", "/v1/models", headers={"authorization": f"Bearer {key}"})
    answered = connection.getresponse()
    assert (answered.status, json.loads(answered.read())["data"][0]["id"]) == (200, "echo")
    connection.close()
    assert key not in json.dumps(served.log)
    assert not (home / "state" / "hookway" / "first-key").exists()


def test_an_address_that_is_taken_is_refused(home: Path, serve: Callable[..., Served]) -> None:
    served = serve("--quiet")
    other = write(home / "other", {"conf.d/10.yaml": f'proxy: {{addr: "{served.host}:{served.port}"}}\n'})
    done = hookway(other, "serve")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"cannot listen on {served.host}:{served.port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_state_directory_that_is_in_use_is_refused(home: Path, serve: Callable[..., Served]) -> None:
    serve("--quiet")
    done = hookway(home, "serve")
    assert (done.returncode, done.stdout) == (1, "")
    assert "journal" in done.stderr
    assert "Traceback" not in done.stderr
    assert hookway(home, "check").returncode == 0


def test_no_secret_is_readable_by_others(home: Path, serve: Callable[..., Served]) -> None:
    served = serve("--quiet")
    ask(served)
    assert served.end(signal.SIGTERM) == 0
    state = home / "state" / "hookway"
    assert [path for path in [state, *state.rglob("*")] if path.stat().st_mode & 0o077] == []
