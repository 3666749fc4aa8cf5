"""ContraryBox: stands between a mount and the emulator, and tells everything the other way round, where Box may.

box-api.md marks what nobody could confirm; the emulator makes one choice and has knobs for some.  Here is the other
choice for the rest, so that boxfs rests on neither: members missing, null or of another type, pages smaller than asked
for, errors without code or body, ranges without Content-Range, headers in lower case, no Retry-After.

KNOBS: the emulator's own switches, each in its other position.
"""

from __future__ import annotations

import http.client
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

KNOBS: dict[str, Any] = {
    "children_change_parents": True,
    "commit_202": 2,
    "commit_parts_mismatch": 1,
    "event_delay_s": 0.3,
    "event_duplicates": 0.5,
    "event_early_poll": True,
    "event_move_and_rename": False,
    "event_new_version_type": "ITEM_MODIFY",
    "event_reorder": 4,
    "event_short_pages": True,
    "events_per_descendant": True,
    "fresh_content_202": 1,
    "generic_paging_error": True,
    "gzip": False,
    "json_401": True,
    "keep_versions": 2,
    "last_marker": "absent",
    "listing_holes": 7,
    "lock_bumps_etag": True,
    "missing_if_match_412": True,
    "missing_metadata": "empty",
    "new_version_status": 200,
    "poll_reconnect_s": 1.0,
    "poll_spurious_s": 0.7,
    "range_error_400": True,
    "same_content_is_no_version": True,
    "session_conflict": True,
    "timezone": "Asia/Kolkata",
    "trash_bumps_etag": False,
    "trashed_folder_code": "not_found",
    "trashed_inside_code": "not_found",
    "trim_upload_names": True,
    "update_conflicts": "list",
    "web_link_status": 200,
}

MOST_ENTRIES = 100
_LISTING = re.compile(r"/2\.0/folders/\w+/items$")
# Members that Box gives by leave, or that only some kinds of reply have.
_ABSENT = ("permissions", "owned_by", "created_by", "modified_by", "path_collection", "description", "tags")


class ContraryBox:
    """`url` is to be given to the mount in the place of the emulator's."""

    def __init__(self, emulator_url: str) -> None:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.behind = urlsplit(emulator_url).netloc
        self._server.here = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self._server.here}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is none."""

    behind = ""
    here = ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = self._asked()
        connection = http.client.HTTPConnection(self.server.behind, timeout=120)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() != "accept-encoding"}
            connection.request(self.command, path, body=body or None, headers=headers)
            reply = connection.getresponse()
            content = reply.read()
        finally:
            connection.close()
        self._answer(reply, path, content)

    do_GET = do_POST = do_PUT = do_DELETE = do_OPTIONS = _pass

    def _asked(self) -> str:
        """No page is longer than MOST_ENTRIES, whatever is asked for."""
        path, _, query = self.path.partition("?")
        if not _LISTING.search(path):
            return self.path
        asked = dict(parse_qsl(query))
        asked["limit"] = str(min(int(asked.get("limit", MOST_ENTRIES)), MOST_ENTRIES))
        return f"{path}?{urlencode(asked)}"

    def _answer(self, reply: http.client.HTTPResponse, path: str, content: bytes) -> None:
        if "json" in (reply.headers.get("content-type") or ""):
            told = contrary(json.loads(content) if content else {}, reply.status, path.partition("?")[0])
            content = b"" if told is None else json.dumps(told).encode()
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            if name.lower() not in (
                "content-length",
                "transfer-encoding",
                "retry-after",
                "content-range",
                "connection",
            ):
                at = f"//{self.server.here}/"
                self.send_header(
                    name.lower(), re.sub(r"//[^/]+/", at, value, count=1) if name.lower() == "location" else value
                )
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def contrary(told: Any, status: int, path: str) -> Any:
    """The same reply, told the other way; None: without a body."""
    if status in (404, 412):
        return None
    if status == 409:
        return _conflict(told)
    if path.endswith("/events") and isinstance(told.get("next_stream_position"), int):
        return {**told, "entries": [_event(each) for each in told["entries"]], "chunk_size": "?"}
    if _LISTING.search(path):
        kept = {name: value for name, value in told.items() if name not in ("limit", "offset", "order")}
        return {**kept, "entries": [_item(each, parent=False) for each in told.get("entries", ())]}
    return _item(told)


def _conflict(told: dict[str, Any]) -> dict[str, Any]:
    """A name that is taken, without the code that says so; a list of holders for one and the reverse."""
    context = dict(told.get("context_info") or {})
    if told.get("code") != "item_name_in_use":
        return told
    holders = context.get("conflicts")
    if isinstance(holders, list):
        context["conflicts"] = holders[0]
    elif holders is not None:
        context["conflicts"] = [holders]
    return {"type": "error", "status": 409, "context_info": context or None}


def _event(told: dict[str, Any]) -> dict[str, Any]:
    """The source with less than a listing has, and a trashed one that does not say so."""
    source = told.get("source")
    if not isinstance(source, dict) or source.get("type") not in ("file", "folder", "web_link"):
        return told
    source = _item(source)
    if told.get("event_type") == "ITEM_TRASH":
        for name in ("item_status", "trashed_at", "purged_at"):
            source.pop(name, None)
    if int(source["id"]) % 2:
        for name in ("file_version", "size", "sequence_id"):
            source.pop(name, None)
    return {**told, "source": source, "session_id": None}


def _item(told: Any, *, parent: bool = True) -> Any:
    """Items wherever they stand: sizes as floats, members that need not be there gone."""
    if isinstance(told, list):
        return [_item(each, parent=parent) for each in told]
    if not isinstance(told, dict):
        return told
    if told.get("type") not in ("file", "folder", "web_link"):
        return {name: _item(value, parent=parent) for name, value in told.items()}
    out = {
        name: value
        for name, value in told.items()
        if name not in _ABSENT and not (name == "metadata" and not _any(value))
    }
    if isinstance(out.get("size"), int):
        out["size"] = float(out["size"])
    if not parent:
        out.pop("parent", None)
    return out


def _any(metadata: Any) -> bool:
    return bool(metadata and metadata.get("global"))
