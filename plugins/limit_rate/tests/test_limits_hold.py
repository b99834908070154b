"""Limits hold whatever happens, and nothing is refused that fits: against a list of what was admitted."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from hypothesis import event, given, settings
from hypothesis import strategies as st
from limited_worker import Worker, key_row, model_row, policy_row

from hookway_sdk import Exchange, LimitExceeded, Usage
from hookway_sdk.state import Peek, WindowResult

T = TypeVar("T")

WINDOWS = {"rps": 1.0, "rpm": 60.0, "rph": 3600.0, "tps": 1.0, "tpm": 60.0, "tph": 3600.0}
TTL = 30.0
STEP = 1 / 60
"""How much longer than its window a hit may count, as a share of the window."""
JUST = 1e-6

few = st.sampled_from([3, 1, 2, 4, 5, 2, 3, 4, 6, 0])
some = st.sampled_from([60, 5, 20, 100, 150, 300, 40, 1, 0])
limits = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("rps", "rpm", "rph"), few),
        **dict.fromkeys(("tps", "tpm", "tph"), some),
        "concurrency": few,
    },
)
keys = st.sampled_from(["key-1", "key-2"])
tokens = st.sampled_from([1, 2, 5, 20, 100])
actions = st.one_of(
    st.tuples(st.just("admit"), keys, tokens),
    st.tuples(st.just("admit"), keys, tokens),
    st.tuples(st.just("settle"), st.integers(0, 9), st.sampled_from([0, 1, 7, 30, 200])),
    st.tuples(st.just("release"), st.integers(0, 9)),
    st.tuples(st.just("vanish"), st.integers(0, 9)),
    st.tuples(st.just("renew"), st.sampled_from([0.0, 7.5, 20.0, 29.0])),
    st.tuples(st.just("advance"), st.sampled_from([0.25, 1.0, 7.5, 20.0, 30.0, 59.75, 60.0, 61.0, 3600.0])),
    st.tuples(st.just("jump"), st.sampled_from([-90000.0, -61.0, -1.0, 1.0, 59.0, 90000.0])),
)


class Counted:
    """One amount in one window: when, and how much of it still counts."""

    def __init__(self, at: float, amount: int) -> None:
        self.at = at
        self.amount = amount


class Admitted:
    """A request that runs: its exchange, what it counts where, and its slots."""

    def __init__(self, exchange: Exchange, holder: str) -> None:
        self.exchange = exchange
        self.holder = holder
        self.requests: list[Counted] = []
        self.tokens: list[tuple[list[Counted], Counted]] = []
        self.slots: list[dict[str, float]] = []


class Reference:
    """The exact model: every amount that was admitted, with its time, and every slot with its end.

    Args:
        layers: for each key, buckets and their limits in the order of the layers.
    """

    def __init__(self, layers: dict[str, list[tuple[str, dict[str, int]]]]) -> None:
        self.layers = layers
        self.windows: dict[tuple[str, str], list[Counted]] = {}
        self.leases: dict[str, dict[str, float]] = {}

    def bounds(self, key: str) -> Iterator[tuple[str, str, int]]:
        """Yield bucket, field and limit of everything that a key's requests have to pass."""
        for bucket, own in self.layers[key]:
            for field, limit in own.items():
                yield bucket, field, limit

    def over(self, key: str, size: int, now: float, longer: float) -> set[str]:
        """Return the dimensions that a request would exceed, if hits counted so much longer."""
        found: set[str] = set()
        for bucket, field, limit in self.bounds(key):
            if field == "concurrency":
                held = sum(end > now for end in self.leases.get(bucket, {}).values())
                if held >= limit:
                    found.add("concurrency")
                continue
            span = WINDOWS[field]
            begin = now - span * (1 + longer) + (JUST if not longer else -JUST)
            used = sum(one.amount for one in self.windows.get((bucket, field), ()) if one.at > begin)
            if limit == 0 or used + amount_of(field, size, limit) > limit:
                found.add("requests" if field[0] == "r" else "tokens")
        return found

    def admit(self, key: str, size: int, now: float, exchange: Exchange) -> Admitted:
        """Count a request everywhere."""
        admitted = Admitted(exchange, exchange.uid)
        for bucket, field, limit in self.bounds(key):
            if field == "concurrency":
                leases = self.leases.setdefault(bucket, {})
                leases[admitted.holder] = now + TTL
                admitted.slots.append(leases)
                continue
            counted = Counted(now, amount_of(field, size, limit))
            window = self.windows.setdefault((bucket, field), [])
            window.append(counted)
            if field[0] == "r":
                admitted.requests.append(counted)
            else:
                admitted.tokens.append((window, counted))
        return admitted

    def settle(self, admitted: Admitted, used: int, now: float) -> None:
        """Give back what was estimated too much; count what came on top from now on."""
        for window, counted in admitted.tokens:
            if used > counted.amount:
                window.append(Counted(now, used - counted.amount))
            else:
                counted.amount = used
        self.free(admitted)

    def release(self, admitted: Admitted) -> None:
        """Forget a request."""
        for counted in (*admitted.requests, *(one for _, one in admitted.tokens)):
            counted.amount = 0
        self.free(admitted)

    def free(self, admitted: Admitted) -> None:
        for leases in admitted.slots:
            leases.pop(admitted.holder, None)

    def renew(self, admitted: Admitted, now: float) -> None:
        """Prolong the slots that were not lost."""
        for leases in admitted.slots:
            if leases.get(admitted.holder, 0.0) > now:
                leases[admitted.holder] = now + TTL


def amount_of(field: str, size: int, limit: int) -> int:
    return 1 if field[0] == "r" else min(size, limit) if limit else size


class Trial:
    """A worker and its reference side by side."""

    def __init__(self, of_key: dict[str, Any], of_model: dict[str, Any], of_team: dict[str, Any]) -> None:
        rows = [key_row("key-1", **of_key), key_row("key-2"), model_row("gpt", **of_model)]
        if of_team:
            rows.append(policy_row("team", limits=of_team, group_by=["team"]))
        self.worker = Worker(*rows, lease_ttl=TTL)
        self.clock = self.worker.clock
        shared = [("model:gpt", of_model), ("policy:v2:id-of-team:team=red", of_team)]
        self.reference = Reference({"key-1": [("id-of-key-1", of_key), *shared], "key-2": shared})
        self.running: list[Admitted] = []

    @property
    def now(self) -> float:
        return self.clock.monotonic()

    def used(self) -> dict[tuple[str, str], int]:
        """Return what the state counts in every window there is."""
        found: dict[tuple[str, str], int] = {}
        for bucket, own in {
            bucket: own for one in self.reference.layers.values() for bucket, own in one
        }.items():
            for field in own:
                if field != "concurrency":
                    (result,) = done(
                        self.worker.state.apply([Peek(f"{{{bucket}}}:{field}", 1, WINDOWS[field])])
                    )
                    assert isinstance(result, WindowResult)
                    found[bucket, field] = result.used
        return found

    def act(self, name: str, *facts: Any) -> None:
        """Do one thing to both, and compare."""
        doing: dict[str, Callable[..., None]] = {
            "admit": self.admit,
            "settle": self.settle,
            "release": self.release,
            "vanish": self.vanish,
            "renew": self.renew,
            "advance": self.clock.advance,
            "jump": self.clock.jump,
        }
        doing[name](*facts)

    def admit(self, key: str, size: int) -> None:
        exchange = self.worker.exchange(key, team="red", tokens=size)
        before = self.used()
        certain = self.reference.over(key, size, self.now, 0.0)
        at_most = self.reference.over(key, size, self.now, STEP)
        error = refusal(self.worker.plugin.admit_request(exchange))
        if error is None:
            assert not certain, f"{certain} were over their limits, and it was admitted"
            if exchange.reservations:
                self.running.append(self.reference.admit(key, size, self.now, exchange))
            return
        assert error.dimension in at_most, f"it would fit: {error.dimension} is refused, {at_most} are over"
        assert exchange.reservations == []
        assert self.used() == before, "a refusal took something"
        event(f"refused: {error.dimension}")

    def settle(self, index: int, used: int) -> None:
        if index >= len(self.running):
            return
        admitted = self.running.pop(index)
        before = self.used()
        for one in admitted.exchange.reservations:
            one.settle(Usage(used, 0))
            one.settle(Usage(used, 5))
            one.release()
        beyond = {id(window): used - counted.amount for window, counted in admitted.tokens}
        after = self.used()
        for place, window in self.reference.windows.items():
            if beyond.get(id(window), 0) > 0:
                assert after[place] == before[place] + beyond[id(window)], "not charged in full"
        self.reference.settle(admitted, used, self.now)

    def release(self, index: int) -> None:
        if index < len(self.running):
            admitted = self.running.pop(index)
            for one in admitted.exchange.reservations:
                one.release()
            self.reference.release(admitted)

    def vanish(self, index: int) -> None:
        """Let a request's gateway die: nobody settles, and nobody renews its slots."""
        if index < len(self.running):
            admitted = self.running.pop(index)
            for meter in self.worker.plugin._slots:
                meter.live.discard(admitted.exchange.uid)

    def renew(self, wait: float) -> None:
        self.clock.advance(wait)
        done(self.worker.plugin._renew())
        for admitted in self.running:
            self.reference.renew(admitted, self.now)


def done(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nothing; a loop for each step would take most of the time."""
    while True:
        try:
            work.send(None)
        except StopIteration as end:
            result: T = end.value
            return result


def refusal(work: Coroutine[Any, Any, object]) -> LimitExceeded | None:
    """Return how an admission was refused, ``None`` if it was not."""
    try:
        done(work)
    except LimitExceeded as error:
        return error
    return None


@settings(max_examples=1000, deadline=None)
@given(limits, limits, limits, st.lists(actions, min_size=15, max_size=80))
def test_limits_hold_and_nothing_is_refused_that_would_fit_a_step_later(
    of_key: dict[str, Any],
    of_model: dict[str, Any],
    of_team: dict[str, Any],
    steps: list[tuple[Any, ...]],
) -> None:
    trial = Trial(of_key, of_model, of_team)
    for step in steps:
        trial.act(*step)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, 9.0, 30.0, 59.5]), st.booleans()), max_size=80),
)
def test_no_minute_wherever_it_begins_has_more_requests_than_the_limit(
    limit: int, steps: list[tuple[float, bool]]
) -> None:
    worker = Worker(key_row(rpm=limit))
    times: list[float] = []
    for wait, jumps in steps:
        worker.clock.advance(wait)
        if jumps:
            worker.clock.jump(-3600)
        error = refusal(worker.admit())
        if error is None:
            times.append(worker.clock.monotonic())
        else:
            assert error.retry_after in range(1, 63)
    for begin in times:
        assert sum(begin <= at < begin + 60 for at in times) <= limit


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 5), st.lists(st.sampled_from([0.0, 0.5, 3.0, 20.0, 59.5]), max_size=40))
def test_whoever_waits_as_long_as_he_is_told_is_admitted_a_step_later_at_the_latest(
    limit: int, waits: list[float]
) -> None:
    worker = Worker(key_row(rpm=limit, tpm=limit * 10))
    for wait in waits:
        worker.clock.advance(wait)
        error = refusal(worker.admit(tokens=15))
        if error is not None:
            assert error.retry_after is not None
            assert error.retry_after <= 60
            # A window moves in steps of a sixtieth; what is told is never longer than the window.
            worker.clock.advance(error.retry_after + 1.0001)
            assert refusal(worker.admit(tokens=15)) is None
