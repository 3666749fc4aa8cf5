"""Hearing of news: the long poll of Box's realtime server (box-api.md section 19.3).

`OPTIONS /events` names a server; a GET there blocks, says once that there is something new or that one should begin
again, and closes.  The URL's channel is the credential: no token goes along.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from boxfs.api import wire
from boxfs.api.cancel import Cancel
from boxfs.api.http import Cost, Request, Response, TimedOut
from boxfs.api.session import Session
from boxfs.base.errors import BadReply, Unreachable

# How often a waiting thread looks whether it should stop, where nobody wakes it for that.
LOOK_S = 1.0
# Box says 610 s; a server that says nothing gets that.
RETRY_TIMEOUT_S = 610.0
TTL_MINUTES = 10.0


def wait(
    session: Session, position: int, *, stream_type: str, stop: Callable[[], bool], wake: threading.Event | None = None
) -> bool:
    """Return True when there are new events, False when it is time to begin again or `stop()` holds.

    Asks `OPTIONS /events` where no server is known that still holds, then polls, at most `max_retries` times.
    wake: whoever sets it has `stop` asked at once, else that is done every second; it is set and cleared here too.
    Raises Unreachable.
    """
    cancel = Cancel()
    bell = wake if wake is not None else threading.Event()
    result: list[bool | BaseException] = []

    def work() -> None:
        try:
            result.append(_poll(session, position, stream_type, cancel))
        except BaseException as error:  # noqa: BLE001 - handed to the caller
            result.append(error)
        finally:
            bell.set()

    # A thread of its own: neither a connection attempt nor the wait for a reply can be left early by who began it.
    threading.Thread(target=work, name="boxfs-poll", daemon=True).start()
    while not result:
        bell.wait(LOOK_S)
        bell.clear()
        if not result and stop():
            cancel.cancel()
            return False
    outcome = result[0]
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


@dataclass
class _Server:
    """Where to poll, and for how long that holds (section 19.3: `ttl` in minutes, `max_retries` polls)."""

    url: str
    silence_s: float
    polls: int
    until_s: float  # monotonic


# By session: after news the same server is polled again, which saves a call for every change.
_servers: WeakKeyDictionary[Session, dict[str, _Server]] = WeakKeyDictionary()


def _poll(session: Session, position: int, stream_type: str, cancel: Cancel) -> bool:
    known = _servers.setdefault(session, {})  # by stream type
    server = known.pop(stream_type, None)
    if server is None or server.polls <= 0 or time.monotonic() > server.until_s:
        server = _begin(session, stream_type, cancel)
    url = f"{server.url}{'&' if '?' in server.url else '?'}stream_position={position}"
    while server.polls > 0:
        server.polls -= 1
        answer = _once(session, url, server.silence_s, cancel)
        if answer:
            known[stream_type] = server
        if answer is not None:
            return answer
    return False


def _begin(session: Session, stream_type: str, cancel: Cancel) -> _Server:
    reply = session.json("OPTIONS", "/events", params={"stream_type": stream_type}, cancel=cancel)
    server = next((each for each in wire.entries(reply) if wire.text(each.get("url"))), None)
    if server is None:
        raise BadReply("Box names no server for its events")
    return _Server(
        str(server["url"]),
        wire.number(server.get("retry_timeout")) or RETRY_TIMEOUT_S,
        max(1, wire.integer(server.get("max_retries")) or 10),
        time.monotonic() + 60 * (wire.number(server.get("ttl")) or TTL_MINUTES),
    )


def _once(session: Session, url: str, silence_s: float, cancel: Cancel) -> bool | None:
    """Return True for news, False for "begin again", None where the server kept silent all the time."""
    request = Request(
        "GET",
        url,
        authorize=False,
        secret_url=True,
        cost=Cost.FREE,
        read_timeout_s=silence_s,
        cancel=cancel,
    )
    try:
        # Past the retrying: silence is no failure here.
        response = session.network.send(request)
        response.read()
    except TimedOut:
        return None
    if response.status != 200:
        raise Unreachable(f"Box's event server answered {response.status}")
    return _message(response) == "new_change"


def _message(response: Response) -> str | None:
    try:
        return wire.text(wire.obj(json.loads(response.read())).get("message"))
    except ValueError:
        return None
