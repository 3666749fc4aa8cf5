"""The wire table: what Box's refusals mean.  Box's `code` decides first, then the HTTP status (box-api.md section 3).

Pure.  Messages are one line with the request id that Box's support asks for, and hold no token, no URL query and
nothing that was sent.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from boxfs.api import wire
from boxfs.api.http import Response
from boxfs.base import errors as fs
from boxfs.base.errors import FsError
from boxfs.base.types import Item

Make = Callable[[str], FsError]


_BY_CODE: dict[str, Make] = {
    # 400
    "item_name_invalid": fs.InvalidName,
    "item_name_too_long": fs.NameTooLong,
    "folder_not_empty": fs.NotEmpty,
    "cyclical_folder_structure": fs.InvalidArgument,
    "invalid_upload_session_id": fs.NotFound,
    "file_size_too_small": fs.NotSupported,
    "collaborations_not_available_on_root_folder": fs.NotSupported,
    # 401, 403
    "unauthorized": fs.Unauthorized,
    "access_denied_item_locked": fs.Locked,
    "storage_limit_exceeded": fs.QuotaExceeded,
    "file_size_limit_exceeded": fs.TooBig,
    # 404
    "not_found": fs.NotFound,
    "trashed": fs.NotFound,
    "not_trashed": fs.NotFound,
    "instance_not_found": fs.NotFound,
    "instance_tuple_not_found": fs.NotFound,
    # 409: the name itself, or "not now"
    "item_name_in_use": fs.NameTaken,
    "name_temporarily_reserved": fs.Busy,
    "operation_blocked_temporary": fs.Busy,
    "session_conflict": fs.Busy,
    # 410, 412, 413
    "session_expired": fs.NotFound,
    "upload_failed": fs.NotFound,
    "precondition_failed": fs.Changed,
    "sync_state_precondition_failed": fs.Changed,
    "request_entity_too_large": fs.TooBig,
}

_BY_STATUS: dict[int, Make] = {
    400: fs.InvalidArgument,
    401: fs.Unauthorized,
    403: fs.Denied,
    404: fs.NotFound,
    405: fs.NotFound,  # an id that is no number
    409: fs.InvalidArgument,
    410: fs.NotFound,
    411: fs.BadReply,
    412: fs.Changed,
    413: fs.TooBig,
    415: fs.InvalidArgument,
    416: fs.InvalidArgument,
}

# Codes of a 409 that say "not done, ask again later".
LATER = frozenset({"name_temporarily_reserved", "operation_blocked_temporary"})

_LOG_IN = "the login is refused or has ended: log in again (boxfs login, or a new token)"


def error_object(response: Response) -> Mapping[str, Any]:
    """Return the error object of a reply, {} where it has none (an empty body is usual for 401)."""
    try:
        return wire.obj(json.loads(response.read()))
    except (ValueError, UnicodeDecodeError):
        return {}


def code_of(response: Response) -> str | None:
    return wire.text(error_object(response).get("code"))


def retry_after_s(response: Response) -> float | None:
    """Return the seconds of Retry-After, also from its form as a date; None where there is none."""
    value = response.headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,6}(\.\d+)?", value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def error_from(response: Response, what: str) -> FsError:
    """Return the error that a reply stands for.  what: the request, for people ("POST /2.0/folders")."""
    body, status = error_object(response), response.status
    code = wire.text(body.get("code"))
    request_id = wire.text(body.get("request_id")) or wire.text(response.headers.get("box-request-id"))
    context = wire.obj(body.get("context_info"))
    error = _make(status, code, context, _message(body, status, code, what, request_id, response), response)
    error.status, error.code, error.request_id = status, code, request_id
    error.context = context or None
    if isinstance(error, fs.NameTaken):
        error.holder = _holder(context)
    if isinstance(error, fs.RemoteError):
        error.retry_after_s = retry_after_s(response)
    return error


def _make(status: int, code: str | None, context: Mapping[str, Any], message: str, response: Response) -> FsError:
    if status == 429:
        return fs.RateLimited(message, retry_after_s(response) or 0.0)
    if status == 202:
        return fs.NotReady(message)
    if status == 501:
        return fs.NotSupported(message)
    if status >= 500:
        return fs.Unreachable(message)
    if code is not None and code in _BY_CODE:
        return _BY_CODE[code](message)
    if status == 409 and (code in (None, "conflict") or "conflicts" in context):
        return fs.NameTaken(message)  # nothing else is in the way of a name; who holds it may be left unsaid
    return _BY_STATUS.get(status, fs.BadReply)(message)


def _message(
    body: Mapping[str, Any], status: int, code: str | None, what: str, request_id: str | None, response: Response
) -> str:
    if status == 401:
        said = _LOG_IN
    elif status == 403 and "insufficient_scope" in (code or "") + response.headers.get("www-authenticate", ""):
        said = "the token's scopes do not allow this: give the application the scope, then log in again"
    elif status == 202:
        said = "not ready yet"
    else:
        said = wire.text(body.get("message")) or wire.text(body.get("error_description")) or f"HTTP {status}"
    said = " ".join(said.split())[:300]
    about = ", ".join(filter(None, (what, f"{status} {code}" if code else str(status), request_id)))
    return f"Box: {said} ({about})"


def _holder(context: Mapping[str, Any]) -> Item | None:
    """Return who holds the name: `conflicts` is one object, a list, or absent, by call (box-api.md section 3)."""
    return next(filter(None, map(wire.maybe_item, wire.array(context.get("conflicts")))), None)


def check(response: Response, what: str) -> Response:
    """Return the reply if it is a success.  Raises what it stands for otherwise."""
    if 200 <= response.status < 300 or response.status in (302, 304):
        return response
    try:
        raise error_from(response, what)
    finally:
        response.close()
