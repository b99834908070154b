"""What is known of models for a while: acted on here at once, and by every other worker within a second.

For resilience plugins: what one worker learns has to be cheap to read in every request, and known to the
others soon, and no request may wait for a store to say it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping

import msgspec

from hookway_sdk.errors import StateUnavailable
from hookway_sdk.services import Services
from hookway_sdk.state import MAX_SECONDS, MAX_VALUE_BYTES, CompareAndSet, Get, ValueResult

KEY = "notes"
"""The one value in which all workers keep their notes."""
POLL_SECONDS = 1.0
"""How soon the other workers know, at the latest."""
PAUSE_SECONDS = 0.1
"""Shortest time between two writes of one worker; what comes meanwhile goes together."""
START_SECONDS = 2.0
"""How long a start, or a stop, waits for the store."""
MAX_NOTES = 2_000
TRIES = 8


class Note(msgspec.Struct, frozen=True, array_like=True):
    """What is known of one model.

    Args:
        end: epoch seconds when it is over.
        at: epoch seconds of what it was learnt from.
        reason: one word for it.
        status: HTTP status of that, 0 if there was none.
        acts: requests keep away from the model; otherwise it is only shown.
    """

    end: float
    at: float
    reason: str
    status: int = 0
    acts: bool = True


class Change(msgspec.Struct, frozen=True):
    """What this worker has to tell the others of one model.

    Args:
        note: a new note, ``None`` for none.
        cleared: epoch seconds; notes from before then are out of date.
    """

    note: Note | None
    cleared: float = 0.0


Prefer = Callable[[Note, Note], Note]
"""Which of two notes of one model counts: the one that stands, or the one that comes."""

_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.Decoder(dict[str, Note]).decode


class SharedNotes:
    """Notes by key, shared through ``services.state`` as one value that is compared and set.

    Requests read :attr:`ends` and nothing else. What this worker learns acts at once; a task tells the others
    and asks for their news. While the store is away, every worker acts on what it knows itself, and tells the
    rest later.

    Args:
        services: the plugin's.
        prefer: decides between two notes of one model.

    Attributes:
        ends: monotonic seconds until which requests keep away, by key; entries may have passed.
    """

    def __init__(self, services: Services, prefer: Prefer) -> None:
        self.ends: dict[str, float] = {}
        self._services = services
        self._clock = services.clock
        self._prefer = prefer
        self._held: dict[str, tuple[Note, float]] = {}
        self._pending: dict[str, Change] = {}
        self._seen: bytes | None = None
        self._epoch: int | None = None
        self._away = False
        self._wake = asyncio.Event()
        self._lock = asyncio.Lock()

    async def start(self) -> None:
        """Read what the others know, and go on doing so."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                await self.sync()
        self._services.tasks.every("share", POLL_SECONDS, self.sync)
        self._services.tasks.start("share_news", self._share_news)

    async def stop(self) -> None:
        """Tell the others what they do not know yet."""
        if self._pending:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(START_SECONDS):
                    await self.sync()

    # ── what is known ───────────────────────────────────────────────────────────────────────

    def get(self, key: str) -> Note | None:
        """Return the note of a model that is not over."""
        held = self._held.get(key)
        return held[0] if held is not None and held[1] > self._clock.monotonic() else None

    def running(self) -> Iterator[tuple[str, Note]]:
        """Yield every note that is not over, with its key."""
        now = self._clock.monotonic()
        for key, (note, over) in self._held.items():
            if over > now:
                yield key, note

    def put(self, key: str, note: Note) -> bool:
        """Note something; say whether requests begin to keep away with it."""
        known = self.get(key)
        kept = note if known is None else self._prefer(known, note)
        if kept is known:
            return False
        if key not in self._held and len(self._held) >= MAX_NOTES:
            self._forget_ended()
            if len(self._held) >= MAX_NOTES:
                return False
        self._hold(key, kept)
        before = self._pending.get(key)
        self._pending[key] = Change(kept, before.cleared if before is not None else 0.0)
        begins = kept.acts and (known is None or not known.acts)
        if begins:
            self._wake.set()
        return begins

    def clear(self, key: str, since: float) -> Note | None:
        """Drop a note that is from before a moment; return it if it was not over.

        Args:
            since: epoch seconds at which began what went well. Good news that set out earlier than the bad
                is no news.
        """
        held = self._held.get(key)
        if held is None or held[0].at > since:
            return None
        self._drop(key)
        self._pending[key] = Change(None, since)
        self._wake.set()
        return held[0] if held[1] > self._clock.monotonic() else None

    # ── what the others know ────────────────────────────────────────────────────────────────

    async def sync(self) -> None:
        """Tell the others what is new here, and learn what is new there; later, if the store is away."""
        async with self._lock:
            try:
                await self._exchange()
            except StateUnavailable as error:
                self._forget_ended()
                if not self._away:
                    self._away = True
                    self._services.log.warning("health_not_shared", error=error.message)
                return
            if self._away:
                self._away = False
                self._services.log.info("health_shared_again")

    async def _share_news(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.sync()
            await asyncio.sleep(PAUSE_SECONDS)

    async def _exchange(self) -> None:
        state = self._services.state
        if state.epoch != self._epoch:
            if self._epoch is not None:  # the store lost its data: tell it everything again
                self._pending = {key: Change(note) for key, note in self.running()} | self._pending
            self._epoch = state.epoch
        for _ in range(TRIES):
            (found,) = await state.apply((Get(KEY),))
            raw = found.value if isinstance(found, ValueResult) else None
            changes = dict(self._pending)
            if raw == self._seen and not changes:
                self._forget_ended()
                return
            stored = read_notes(raw)
            merged = self._merged(stored, changes)
            if changes and merged != stored:
                written = write_notes(merged)
                operation = CompareAndSet(KEY, raw, written, self._lifetime(merged))
                (answer,) = await state.apply((operation,))
                if not answer.allowed:
                    continue
                raw = written
            self._seen = raw
            for key, change in changes.items():
                if self._pending.get(key) is change:
                    del self._pending[key]
            self._adopt(merged)
            return

    def _merged(self, stored: Mapping[str, Note], changes: Mapping[str, Change]) -> dict[str, Note]:
        """Return what holds when changes are made to notes, without those that are over."""
        now = self._clock.now()
        merged = {key: note for key, note in stored.items() if note.end > now}
        for key, change in changes.items():
            known = merged.get(key)
            if known is not None and known.at <= change.cleared:
                del merged[key]
                known = None
            note = change.note
            if note is not None and note.end > now:
                merged[key] = note if known is None else self._prefer(known, note)
        return merged if len(merged) <= MAX_NOTES else lasting(merged, MAX_NOTES)

    def _adopt(self, shared: Mapping[str, Note]) -> None:
        """Act on what all know, and on what came here while it was asked for."""
        merged = self._merged(shared, self._pending)
        for key in [key for key in self._held if key not in merged]:
            self._drop(key)
        for key, note in merged.items():
            held = self._held.get(key)
            if held is None or held[0] != note:
                self._hold(key, note)
        self._forget_ended()

    def _lifetime(self, notes: Mapping[str, Note]) -> float:
        """Return after how many seconds the store may forget notes."""
        last = max((note.end for note in notes.values()), default=0.0)
        return min(max(last - self._clock.now(), 0.0) + 60.0, MAX_SECONDS)

    # ── here ────────────────────────────────────────────────────────────────────────────────

    def _hold(self, key: str, note: Note) -> None:
        # A wall clock that was set back makes no note last longer than it was meant to.
        left = min(note.end - self._clock.now(), note.end - note.at)
        over = self._clock.monotonic() + left
        self._held[key] = (note, over)
        if note.acts:
            self.ends[key] = over
        else:
            self.ends.pop(key, None)

    def _drop(self, key: str) -> None:
        self._held.pop(key, None)
        self.ends.pop(key, None)

    def _forget_ended(self) -> None:
        now = self._clock.monotonic()
        for key in [key for key, (_, over) in self._held.items() if over <= now]:
            self._drop(key)
        wall = self._clock.now()
        for key, change in list(self._pending.items()):
            if change.note is not None and change.note.end <= wall:
                del self._pending[key]


def read_notes(raw: bytes | None) -> dict[str, Note]:
    """Read the shared value; one that another version wrote counts as empty."""
    if raw is None:
        return {}
    try:
        return _decode(raw)
    except msgspec.MsgspecError:
        return {}


def write_notes(notes: Mapping[str, Note]) -> bytes:
    """Write the shared value, of as many notes as fit, those that last longest first."""
    kept = dict(notes)
    while len(raw := _encode(kept)) > MAX_VALUE_BYTES:
        kept = lasting(kept, len(kept) // 2)
    return raw


def lasting(notes: Mapping[str, Note], count: int) -> dict[str, Note]:
    """Return the notes that last longest."""
    return dict(sorted(notes.items(), key=lambda item: item[1].end, reverse=True)[:count])
