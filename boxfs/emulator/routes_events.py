"""GET /events, OPTIONS /events and the long-poll server (box-api.md section 19)."""

from __future__ import annotations

import json
import random
from typing import Any

from boxfs.emulator import times
from boxfs.emulator.context import Context
from boxfs.emulator.dispatch import Routes
from boxfs.emulator.errors import ApiError, bad_request, insufficient_scope
from boxfs.emulator.events import Stored
from boxfs.emulator.represent import STANDARD, chosen, stamp, user_mini

routes = Routes()
STREAMS = ("all", "changes", "sync", "admin_logs", "admin_logs_streaming")


@routes("GET", "/2.0/events")
def get_events(ctx: Context) -> dict[str, Any]:
    stream = _stream(ctx)
    text = ctx.query.get("stream_position", "0")
    if text == "now":
        return {"chunk_size": 0, "next_stream_position": ctx.app.events.newest(ctx.user.id), "entries": []}
    if not text.isdecimal():
        raise bad_request("stream_position", f"Invalid value '{text}'.")
    limit = max(1, ctx.number("limit", 100, 500))
    found, position = ctx.app.events.page(ctx.user.id, int(text), limit, stream)
    entries = [_entry(ctx, event) for event in found]
    return {"chunk_size": len(entries), "next_stream_position": position, "entries": entries}


@routes("OPTIONS", "/2.0/events")
def long_poll_servers(ctx: Context) -> dict[str, Any]:
    stream = _stream(ctx)
    channel = ctx.app.events.open_channel(ctx.user.id, stream)
    server = {
        "type": "realtime_server",
        "url": f"{ctx.base}/realtime/subscribe?channel={channel}&stream_type={stream}",
        "ttl": "10",
        "max_retries": str(ctx.settings.poll_max_retries),
        "retry_timeout": ctx.settings.poll_retry_timeout_s,
    }
    return {"chunk_size": 1, "entries": [server]}


@routes("GET", "/realtime/subscribe", auth=False)
async def subscribe(ctx: Context) -> dict[str, Any]:
    """One answer, then the connection closes.  The channel is the credential."""
    channel = ctx.app.events.channel(ctx.query.get("channel", ""))
    if channel is None:
        raise ApiError(404, "not_found", "Not Found")
    user, stream = channel
    text = ctx.query.get("stream_position", "")
    position = int(text) if text.isdecimal() else ctx.app.events.newest(user)
    message = await ctx.app.events.wait(user, position, stream)
    ctx.close_connection = True
    return {"message": message} if message == "new_change" else {"version": 1, "message": message}


def _stream(ctx: Context) -> str:
    stream = ctx.query.get("stream_type", "all")
    if stream not in STREAMS:
        raise bad_request("stream_type", f"Invalid value '{stream}'.")
    if stream.startswith("admin_logs"):
        raise insufficient_scope()  # enterprise streams want an administrator
    return stream


def _entry(ctx: Context, event: Stored) -> dict[str, Any]:
    at = stamp(ctx, int(event.at))
    return {
        "type": "event",
        "event_id": event.id,
        "event_type": event.type,
        "created_at": at,
        "recorded_at": times.local(int(event.at) + 1, ctx.settings.timezone),
        "session_id": None if event.position % 2 else event.id[:22],
        "created_by": user_mini(ctx, event.actor),
        "source": _source(ctx, event),
    }


def _source(ctx: Context, event: Stored) -> Any:
    """The item as it is now; null where it is gone for this user."""
    share = ctx.settings.event_null_source
    if share and random.Random(event.position).random() < share:
        return None
    if event.source is not None:
        return json.loads(event.source)
    item = ctx.store.by_pk(event.pk) if event.pk is not None else None
    if item is None or item.is_root or ctx.app.access.role(ctx, item) is None:
        return None
    return chosen(ctx, item, [name for name in STANDARD[item.kind] if name != "item_collection"])
