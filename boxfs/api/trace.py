"""Logged: a Transport that tells a logger of every request and reply, with what is secret masked.

Bodies are shown only where they are JSON or forms, and only their first part; file bytes never.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from boxfs.api.http import Request, Response, Transport

MASK = "***"
SHOWN_BYTES = 4096
# Names that are secrets wherever they stand: headers, forms, queries, JSON.
_SECRET = re.compile(
    r"authorization|token|secret|password|assertion|passphrase|private.?key|boxapi|cookie|^code$|(download|upload|status"
    r"|realtime)_?url$|^url$|session_endpoints|location|channel",
    re.IGNORECASE,
)


class Logged:
    """logger: gets two lines a request, at DEBUG."""

    def __init__(self, inner: Transport, logger: logging.Logger) -> None:
        self._inner = inner
        self._logger = logger

    def send(self, request: Request) -> Response:
        if not self._logger.isEnabledFor(logging.DEBUG):
            return self._inner.send(request)
        self._logger.debug("%s", shown_request(request))
        began = time.monotonic()
        try:
            response = self._inner.send(request)
            if not request.stream:
                response.read()
        except Exception as error:
            self._logger.debug("%s failed: %s", request.what, error)
            raise
        self._logger.debug("%s", shown_response(request, response, time.monotonic() - began))
        return response

    def close(self) -> None:
        self._inner.close()


def shown_request(request: Request) -> str:
    url = urlsplit(request.url)
    where = f"{url.scheme}://{url.netloc}/{MASK}" if request.secret_url else f"{url.scheme}://{url.netloc}{url.path}"
    query = {**dict(parse_qsl(url.query)), **request.params}
    if query and not request.secret_url:
        where += f"?{urlencode(masked(query))}"
    return f"> {request.method} {where} {masked(request.headers)}{_shown_body(request)}"


def shown_response(request: Request, response: Response, seconds: float) -> str:
    body = "" if request.stream else f" {shown_content(response.read(), response.headers.get('content-type', ''))}"
    return f"< {response.status} {request.what} in {seconds * 1000:.0f} ms {masked(response.headers)}{body}"


def _shown_body(request: Request) -> str:
    if request.body is None or not request.body.size:
        return ""
    kind = request.headers.get("Content-Type", "")
    if request.body.size > SHOWN_BYTES or not ("json" in kind or "urlencoded" in kind):
        return f" ({request.body.size} bytes)"
    with request.body.open() as stream:
        return f" {shown_content(stream.read(), kind)}"


def shown_content(content: bytes, kind: str) -> str:
    """Return JSON and forms with their secrets masked, of anything else only the size."""
    if not content:
        return ""
    if "urlencoded" in kind:
        return str(masked(dict(parse_qsl(content.decode(errors="replace")))))
    try:
        return json.dumps(masked(json.loads(content)))[:SHOWN_BYTES]
    except ValueError:
        return f"({len(content)} bytes)"


def masked(value: Any) -> Any:
    """Return the value with everything that is secret by its name replaced."""
    if isinstance(value, Mapping):
        return {name: MASK if _secret(name, inner) else masked(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked(each) for each in value]
    return value


def _secret(name: Any, value: Any) -> bool:
    # "next_stream_position" and numbers are no secrets; of null nothing is to be hidden.
    return isinstance(name, str) and value is not None and not isinstance(value, bool) and bool(_SECRET.search(name))
