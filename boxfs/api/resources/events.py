"""`client.events`: pages, and `follow`, a blocking iterator that survives what the network does to it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from boxfs.api import longpoll, wire
from boxfs.api.cancel import Cancelled
from boxfs.api.models import Event
from boxfs.api.resources.base import Group, given, written_time
from boxfs.base.errors import RateLimited, Unreachable

# Events come more than once, even on later pages; so many ids are remembered to tell.
REMEMBERED = 20_000
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0


@dataclass(frozen=True)
class EventPage:
    """next_position: where to go on, an integer beyond 2^53 in user streams and text in admin streams."""

    next_position: int | str
    events: tuple[Event, ...]


class Events(Group):
    def position_now(self, stream_type: str = "all") -> int:
        """Return the position of "from now on"."""
        params = {"stream_position": "now", "stream_type": stream_type}
        return wire.integer(self._session.json("GET", "/events", params=params).get("next_stream_position")) or 0

    def get(self, position: int | str = 0, *, stream_type: str = "all", limit: int = 500) -> EventPage:
        """Return the events after a position; an empty page means that there are no more for now.

        stream_type: all, changes (what alters the tree), sync.  Events come more than once and in no strict order.
        """
        return self._page(position, {"stream_type": stream_type, "limit": limit})

    def admin(
        self,
        *,
        position: int | str = 0,
        streaming: bool = False,
        event_types: tuple[str, ...] = (),
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        limit: int = 500,
    ) -> EventPage:
        """Return the enterprise's events, for administrators.  streaming: the live stream, without a time window."""
        params = given(
            stream_type="admin_logs_streaming" if streaming else "admin_logs",
            limit=limit,
            event_type=",".join(event_types) or None,
            created_after=written_time(created_after),
            created_before=written_time(created_before),
        )
        return self._page(position, params)

    def follow(
        self,
        position: int | None = None,
        *,
        stream_type: str = "all",
        stop: threading.Event | None = None,
    ) -> Iterator[Event]:
        """Yield events for ever, each once, waiting for more; position None: from now on.

        Goes on after lost connections, reconnects and restarts of the server.  Ends when `stop` is set or the client
        is closed.  Raises Unauthorized when nobody is logged in any more.
        """
        stopped = stop or threading.Event()
        seen: OrderedDict[str, None] = OrderedDict()
        pause_s = FIRST_PAUSE_S
        while not stopped.is_set():
            try:
                if position is None:
                    position = self.position_now(stream_type)
                page = self.get(position, stream_type=stream_type)
                if not page.events:
                    longpoll.wait(self._session, position, stream_type=stream_type, stop=stopped.is_set)
            except Cancelled:
                return
            except (Unreachable, RateLimited):
                stopped.wait(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
                continue
            pause_s = FIRST_PAUSE_S
            position = int(page.next_position)
            for event in page.events:
                if _is_new(event, seen):
                    yield event

    def _page(self, position: int | str, params: dict[str, str | int]) -> EventPage:
        reply = self._session.json("GET", "/events", params={**params, "stream_position": position})
        after = reply.get("next_stream_position")
        found = tuple(self._build(each, Event) for each in wire.entries(reply))
        number = wire.integer(after)
        return EventPage(number if number is not None else str(after or position), found)


def _is_new(event: Event, seen: OrderedDict[str, None]) -> bool:
    if event.event_id is None:
        return True
    if event.event_id in seen:
        return False
    seen[event.event_id] = None
    if len(seen) > REMEMBERED:
        seen.popitem(last=False)
    return True
