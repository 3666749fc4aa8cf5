"""The fault plan: which requests go wrong, how, and how often.  Decides only; `wire.py` does it to the connection.

A fault is a match and a deed.  The match: method, path, query (regular expressions), user, size of the body.  Of the
requests that match, the first `skip` pass; the next `times` (None: for ever) get the deed.  The first fault of the
plan that wants a request takes it; later ones do not see it.

| deed      | what happens                                                                                             |
|-----------|----------------------------------------------------------------------------------------------------------|
| status    | `status` with `headers` and `body` (or Box's error object with `code`); with `done` the request is       |
|           | carried out first and its own reply thrown away: "503, but done"                                         |
| reset     | the connection is reset: `at` before (of the request body nothing is read), in_body (after `after` bytes |
|           | of it, None: half), after_body (nothing done), after_done (done, reply lost), in_response (after `after` |
|           | bytes of its body)                                                                                       |
| truncate  | the reply's body stops after `after` bytes (None: half) under its full Content-Length, connection closed |
| stall     | nothing for `seconds` (None: until the client goes), `at` before, after_done or in_response; then as ever|
| corrupt   | the byte at `after` of the reply's body (None: the middle) is another one                                |
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DEEDS = {"status", "reset", "truncate", "stall", "corrupt"}
PLACES = {
    "reset": ("before", "in_body", "after_body", "after_done", "in_response"),
    "stall": ("before", "after_done", "in_response"),
}

# What Box says with a status when it gives no reason of its own (box-api.md section 3).
CODES = {
    400: ("bad_request", "Bad Request"),
    401: ("unauthorized", "Unauthorized"),
    403: ("access_denied_insufficient_permissions", "Access denied - insufficient permission"),
    404: ("not_found", "Not Found"),
    405: ("method_not_allowed", "Method Not Allowed"),
    409: ("operation_blocked_temporary", "The operation is blocked by another on-going operation"),
    412: ("precondition_failed", "The resource has been modified. Please retrieve the resource again and retry"),
    429: ("rate_limit_exceeded", "Request rate limit exceeded, please try again later"),
    500: ("internal_server_error", "Internal Server Error"),
    502: ("bad_gateway", "Bad Gateway"),
    503: ("unavailable", "Service temporarily unavailable"),
}

UNAUTHORIZED = (
    'Bearer realm="Service", error="invalid_token", error_description="The access token provided is invalid."'
)


def error_body(status: int, code: str | None = None, message: str | None = None, request_id: str = "fault") -> bytes:
    """Box's error object."""
    usual_code, usual_message = CODES.get(status, ("internal_server_error", "Error"))
    return json.dumps(
        {
            "type": "error",
            "status": status,
            "code": code or usual_code,
            "context_info": None,
            "help_url": "http://developers.box.com/docs/#errors",
            "message": message or usual_message,
            "request_id": request_id,
        }
    ).encode()


@dataclass
class Fault:
    """One line of the plan; see the module.  seen: requests that matched; fired: those that got the deed."""

    do: str
    id: str = ""
    method: str = ""
    path: str = ""
    query: str = ""
    user: str = ""
    min_body: int | None = None
    max_body: int | None = None
    skip: int = 0
    times: int | None = 1
    status: int = 503
    code: str | None = None
    message: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    done: bool = False
    at: str = "before"
    after: int | None = None
    seconds: float | None = None
    seen: int = 0
    fired: int = 0

    def __post_init__(self) -> None:
        if self.do not in DEEDS:
            raise ValueError(f"fault: do must be one of {', '.join(sorted(DEEDS))}, not {self.do!r}")
        places = PLACES.get(self.do)
        if places and self.at not in places:
            raise ValueError(f"fault: at of a {self.do} must be one of {', '.join(places)}, not {self.at!r}")
        if not 100 <= self.status <= 599:
            raise ValueError(f"fault: {self.status} is no HTTP status")
        try:
            self._method = re.compile(self.method or "", re.IGNORECASE)
            self._path = re.compile(self.path)
            self._query = re.compile(self.query)
        except re.error as e:
            raise ValueError(f"fault: {e}") from None

    def wants(self, method: str, path: str, query: str, body_size: int | None, user: str | None) -> bool:
        """Whether the match fits; `body_size` by Content-Length, None where the request does not tell."""
        if self.method and not self._method.fullmatch(method):
            return False
        if not self._path.search(path) or (self.query and not self._query.search(query)):
            return False
        if self.user and self.user != user:
            return False
        size = body_size or 0
        return (self.min_body is None or size >= self.min_body) and (self.max_body is None or size <= self.max_body)

    @property
    def spent(self) -> bool:
        return self.times is not None and self.fired >= self.times

    def as_dict(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def reply(self, request_id: str) -> tuple[int, list[tuple[str, str]], bytes]:
        """(status, headers, body) of a `status` fault."""
        headers = {k.lower(): v for k, v in self.headers.items()}
        if self.body is not None:
            body = self.body.encode()
        elif self.status < 400 or self.status == 401:
            body = b""
        else:
            body = error_body(self.status, self.code, self.message, request_id)
            headers.setdefault("content-type", "application/json")
        if self.status == 401:
            headers.setdefault("www-authenticate", UNAUTHORIZED)
        if self.status not in (204, 304):
            headers["content-length"] = str(len(body))
        return self.status, list(headers.items()), body


class FaultPlan:
    """The plan, shared by all requests.  Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._faults: list[Fault] = []  # guarded by _lock

    def add(self, described: Mapping[str, Any]) -> Fault:
        """Append a fault.  Raises: ValueError that says what is wrong with the description."""
        words = dict(described)
        allowed = set(Fault.__dataclass_fields__) - {"seen", "fired"}
        unknown = set(words) - allowed
        if unknown:
            raise ValueError(f"fault: unknown word {', '.join(sorted(unknown))}; known: {', '.join(sorted(allowed))}")
        try:
            fault = Fault(**words)
        except TypeError as e:
            raise ValueError(f"fault: {e}") from None
        with self._lock:
            fault.id = fault.id or f"fault{next(self._numbers)}"
            self._faults.append(fault)
        return fault

    def remove(self, fault_id: str) -> bool:
        """Take one out; False if there is none of that id."""
        with self._lock:
            kept = [f for f in self._faults if f.id != fault_id]
            found = len(kept) < len(self._faults)
            self._faults = kept
        return found

    def clear(self) -> None:
        with self._lock:
            self._faults = []

    def listed(self) -> list[dict[str, Any]]:
        """All faults with their counts, spent ones included."""
        with self._lock:
            return [f.as_dict() for f in self._faults]

    def take(self, method: str, path: str, query: str, body_size: int | None, user: str | None) -> Fault | None:
        """The fault that this request gets, counted; None if it goes right."""
        with self._lock:
            for fault in self._faults:
                if fault.spent or not fault.wants(method, path, query, body_size, user):
                    continue
                fault.seen += 1
                if fault.seen <= fault.skip:
                    continue
                fault.fired += 1
                return fault
        return None
