"""The users' event streams and their long polls (box-api.md section 19).

An event is stored once, with a row in the stream of each user who may see its item.  What makes streams awkward
(duplicates, disorder, short pages) happens when a page is read, by arithmetic on positions, so that the stored stream
stays in order and the same question gets the same answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boxfs.emulator.schema import FIRST_POSITION
from boxfs.emulator.store import Item

if TYPE_CHECKING:
    from boxfs.emulator.app import Emulator

NO_TREE_CHANGE = frozenset(
    "ITEM_DOWNLOAD ITEM_PREVIEW COMMENT_CREATE COMMENT_DELETE ITEM_SHARED ITEM_SHARED_CREATE ITEM_SHARED_UNSHARE "
    "TAG_ITEM_CREATE".split()
)
"""Not in the stream `changes`."""


@dataclass(frozen=True, slots=True)
class Stored:
    position: int
    id: str
    type: str
    actor: int
    pk: int | None
    source: str | None
    at: float


class Events:
    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self._polls: dict[int, set[asyncio.Future[str]]] = {}
        self._channels: dict[str, tuple[int, str]] = {}
        self.closing = False
        self._forget_old()

    def _forget_old(self) -> None:
        """Drop events that are older than Box holds them: once, at the start."""
        store = self.emulator.store
        oldest = store.time() - self.emulator.settings.event_days * 86400
        store.db.execute("DELETE FROM streams WHERE position IN (SELECT position FROM events WHERE at < ?)", (oldest,))
        store.db.execute("DELETE FROM events WHERE at < ?", (oldest,))
        store.commit()

    # Writing

    def record(
        self,
        type_: str,
        actor: int,
        item: Item | None,
        *,
        users: Iterable[int] | None = None,
        source: dict[str, Any] | None = None,
    ) -> int:
        """Put an event on record, in the running transaction.  Returns its position.

        users: whose streams; else all who may see the item.  source: for events that are not about an item.
        """
        store = self.emulator.store
        position = store.next_number("position", FIRST_POSITION)
        store.db.execute(
            "INSERT INTO events VALUES (?,?,?,?,?,?,?)",
            (
                position,
                hashlib.sha1(f"{position}{secrets.token_hex(8)}".encode(), usedforsecurity=False).hexdigest(),
                type_,
                actor,
                item.pk if item else None,
                json.dumps(source) if source is not None else None,
                store.time(),
            ),
        )
        if users is None:
            users = self.emulator.access.watchers(item) if item else {actor}
        told = set(users)
        store.db.executemany("INSERT INTO streams VALUES (?,?)", [(user, position) for user in told])
        store.after_commit(lambda: self._wake(told))
        return position

    # Reading

    def newest(self, user: int) -> int:
        """The position of "now": behind everything that may be listed already, before what is still delayed."""
        store = self.emulator.store
        listed = store.time() - self.emulator.settings.event_delay_s
        for sql, values in (
            ("SELECT max(position) FROM events WHERE at <= ?", (listed,)),
            ("SELECT min(position) - 1 FROM events", ()),
        ):
            (position,) = store.db.execute(sql, values).fetchone()
            if position is not None:
                return int(position)
        row = store.db.execute("SELECT value FROM counters WHERE name='position'").fetchone()
        return int(row[0]) if row else FIRST_POSITION - 1

    def is_behind(self, user: int, position: int, stream: str) -> bool:
        """Whether there is an event to be listed after that position."""
        return bool(self._after(user, position, 1, stream))

    def page(self, user: int, position: int, limit: int, stream: str) -> tuple[list[Stored], int]:
        """At most `limit` events after the position, as awkward as the knobs say, and the next position."""
        settings = self.emulator.settings
        if settings.event_short_pages and limit > 1:
            limit = 1 + random.Random(position).randrange(min(limit, 7))
        found = self._after(user, position, limit, stream)
        if not found:
            return [], position
        following = found[-1].position
        dice = random.Random(following)
        if settings.event_reorder > 1:
            window = settings.event_reorder
            chunks = [found[i : i + window] for i in range(0, len(found), window)]
            for chunk in chunks:
                dice.shuffle(chunk)
            found = [event for chunk in chunks for event in chunk]
        if settings.event_duplicates > 0:
            again = [event for event in found if dice.random() < settings.event_duplicates]
            late = [e for e in self._before(user, position, 3, stream) if dice.random() < settings.event_duplicates]
            found = [*late, *found, *again]
        return found, following

    def _after(self, user: int, position: int, limit: int, stream: str) -> list[Stored]:
        rows = self.emulator.store.db.execute(
            "SELECT e.position, e.id, e.type, e.actor, e.pk, e.source, e.at FROM streams s "
            "JOIN events e ON e.position = s.position WHERE s.user=? AND s.position>? AND e.at<=? "
            f"{self._only(stream)} ORDER BY s.position LIMIT ?",
            (user, position, self.emulator.store.time() - self.emulator.settings.event_delay_s, limit),
        )
        return [Stored(*row) for row in rows]

    def _before(self, user: int, position: int, limit: int, stream: str) -> list[Stored]:
        rows = self.emulator.store.db.execute(
            "SELECT e.position, e.id, e.type, e.actor, e.pk, e.source, e.at FROM streams s "
            "JOIN events e ON e.position = s.position WHERE s.user=? AND s.position<=? "
            f"{self._only(stream)} ORDER BY s.position DESC LIMIT ?",
            (user, position, limit),
        )
        return [Stored(*row) for row in rows]

    @staticmethod
    def _only(stream: str) -> str:
        if stream == "all":
            return ""
        return f"AND e.type NOT IN ({', '.join(repr(t) for t in sorted(NO_TREE_CHANGE))})"

    # Long polls

    def open_channel(self, user: int, stream: str) -> str:
        channel = secrets.token_hex(16)
        self._channels[channel] = (user, stream)
        return channel

    def channel(self, channel: str) -> tuple[int, str] | None:
        """The user and the stream that a channel is for."""
        return self._channels.get(channel)

    async def wait(self, user: int, position: int, stream: str) -> str:
        """Block until there is something to list, the time is over or the server stops: new_change or reconnect."""
        settings = self.emulator.settings
        loop = asyncio.get_running_loop()
        idle_s = settings.poll_reconnect_s
        spurious = 0 < settings.poll_spurious_s < idle_s
        deadline = loop.time() + (settings.poll_spurious_s if spurious else idle_s)
        waiting = self._polls.setdefault(user, set())
        while not self.closing:
            if self.is_behind(user, position, stream):
                return "new_change"
            future: asyncio.Future[str] = loop.create_future()
            waiting.add(future)
            due = self._next_due(user, position)  # of what is recorded, but not to be listed yet
            timer = None if due is None else loop.call_later(due, self._answer, future, "look")
            try:
                message = await asyncio.wait_for(future, deadline - loop.time())
            except TimeoutError:
                return "new_change" if spurious else "reconnect"
            finally:
                waiting.discard(future)
                if timer is not None:
                    timer.cancel()
            if message != "look":
                return message
        return "reconnect"

    def _next_due(self, user: int, position: int) -> float | None:
        row = self.emulator.store.db.execute(
            "SELECT min(e.at) FROM streams s JOIN events e ON e.position = s.position WHERE s.user=? AND s.position>?",
            (user, position),
        ).fetchone()
        if row[0] is None:
            return None
        return max(0.0, float(row[0]) + self.emulator.settings.event_delay_s - self.emulator.store.time()) + 0.005

    def _wake(self, users: set[int]) -> None:
        message = "new_change" if self.emulator.settings.event_early_poll else "look"
        for user in users:
            for future in list(self._polls.get(user, ())):
                self._answer(future, message)

    @staticmethod
    def _answer(future: asyncio.Future[str], message: str) -> None:
        if not future.done():
            future.set_result(message)

    def close(self) -> None:
        """Send all who wait away: the server stops."""
        self.closing = True
        self.reset()

    def reset(self) -> None:
        for futures in self._polls.values():
            for future in list(futures):
                self._answer(future, "reconnect")
        self._channels.clear()
