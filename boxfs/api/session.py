"""Session: the stack of transports and the URLs; every endpoint goes through `request` or `json`.

    Authorized ( Retrying ( Limited ( RequestsTransport ) ) )

Each repetition counts against the rate; a renewed token does not wait for an earlier back-off.
"""

from __future__ import annotations

import copy
import json as jsonlib
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from boxfs import __version__
from boxfs.api import errors
from boxfs.api.auth import Auth, Authorized
from boxfs.api.cancel import Cancel, Cancelled
from boxfs.api.http import Body, Bytes, Cost, Priority, Request, Response, Timeouts, Transport
from boxfs.api.rate import BOX_LIMITS, Limited, Limiter
from boxfs.api.retry import Backoff, Retrying
from boxfs.api.trace import Logged
from boxfs.api.transport import RequestsTransport
from boxfs.base.errors import BadReply

API_URL = "https://api.box.com"
UPLOAD_URL = "https://upload.box.com"
DOWNLOAD_HOST = "https://dl.boxcloud.com"  # where Box's download addresses are, mostly

Params = Mapping[str, str | int | bool | None]


class Session:
    """One account at one Box.

    api_url: /2.0 and /oauth2 are appended.  upload_url: /api/2.0 is appended; where it is not given, Box's own, or
    `api_url` where that one is not Box's.  limits: requests a minute; where not given, Box's own at Box, and none at
    other servers, which say 429 when they mind.  log: is told of all requests and replies, with secrets masked.
    """

    def __init__(
        self,
        auth: Auth,
        *,
        api_url: str = API_URL,
        upload_url: str | None = None,
        transport: Transport | None = None,
        timeouts: Timeouts | None = None,
        backoff: Backoff | None = None,
        limits: Mapping[Cost, int] | None = None,
        ca_file: str | None = None,
        proxies_from_environment: bool = True,
        log: logging.Logger | None = None,
    ) -> None:
        api_url = api_url.rstrip("/")
        is_box = api_url == API_URL
        self.api_url = f"{api_url}/2.0"
        self.oauth_url = f"{api_url}/oauth2"
        self.upload_url = f"{(upload_url or (UPLOAD_URL if is_box else api_url)).rstrip('/')}/api/2.0"
        self.download_host = DOWNLOAD_HOST if is_box else None  # as far as is known; the last address is right
        self.auth = auth
        self._tls_only = api_url.startswith("https://")
        if limits is None:
            limits = BOX_LIMITS if is_box else {}
        limiter = Limiter(limits)
        self.network: Transport = transport or RequestsTransport(
            timeouts=timeouts,
            ca_file=ca_file,
            proxies_from_environment=proxies_from_environment,
            user_agent=f"boxfs/{__version__}",
        )
        if log is not None:
            self.network = Logged(self.network, log)
        self._closed = threading.Event()
        self.anonymous: Transport = Retrying(
            Limited(self.network, limiter), backoff=backoff, limiter=limiter, wait=self.wait
        )
        self._transport: Transport = Authorized(self.anonymous, auth)

    def with_auth(self, auth: Auth) -> Session:
        """Return a session for somebody else, over the same connections; closing it does not close this one."""
        other = copy.copy(self)
        other.auth = auth
        other._transport = Authorized(_Borrowed(self.anonymous), auth)
        other._closed = threading.Event()
        return other

    def now_s(self) -> float:
        return time.time()

    def wait(self, seconds: float) -> None:
        """Sleep.  Raises Cancelled as soon as the session is closed."""
        if self._closed.wait(seconds):
            raise Cancelled("the client is closed")

    def send(self, request: Request) -> Response:
        """Send a request made elsewhere; the reply's status is not looked at."""
        if request.authorize and self._tls_only and not request.url.startswith("https://"):
            raise BadReply(f"Box named an address without TLS ({urlsplit(request.url).hostname}); no token goes there")
        return self._transport.send(request)

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Params | None = None,
        json: Any = None,
        body: Body | None = None,
        headers: Mapping[str, str | None] | None = None,
        upload: bool = False,
        repeatable: bool | None = None,
        authorize: bool = True,
        stream: bool = False,
        wait_on_202: bool = False,
        priority: Priority = Priority.FOREGROUND,
        cancel: Cancel | None = None,
    ) -> Response:
        """Return the reply of a success (2xx, 302, 304).

        url: a path ("/folders/0/items") at the API or, with `upload`, at the upload host; or a whole URL that Box gave.
        params, headers: what is None is left out.  repeatable: by default GET, HEAD and OPTIONS are.
        Raises FsErrors as `boxfs.api.errors` says; InDoubt for a write that nobody answered.
        """
        sent = {name: value for name, value in (headers or {}).items() if value is not None}
        if json is not None:
            body = Bytes(jsonlib.dumps(json).encode())
            sent.setdefault("Content-Type", "application/json")
        elif body is None and method in ("POST", "PUT"):
            body = Bytes(b"")
        base = self.upload_url if upload else self.api_url
        request = Request(
            method,
            base + url if url.startswith("/") else url,
            params=written(params),
            headers=sent,
            body=body,
            repeatable=method in ("GET", "HEAD", "OPTIONS") if repeatable is None else repeatable,
            stream=stream,
            wait_on_202=wait_on_202,
            authorize=authorize,
            secret_url=not authorize,
            cost=_cost(method, url, upload),
            priority=priority,
            cancel=cancel,
        )
        return errors.check(self.send(request), request.what)

    def json(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        """Return the JSON object of the reply ({} for an empty body).  Options and errors as in `request`."""
        response = self.request(method, url, **options)
        content = response.read()
        if not content.strip():
            return {}
        try:
            reply = jsonlib.loads(content)
        except ValueError:
            raise BadReply(f"{method} {urlsplit(url).path}: the reply is no JSON ({len(content)} bytes)") from None
        if not isinstance(reply, dict):
            raise BadReply(f"{method} {urlsplit(url).path}: the reply is no JSON object")
        return reply

    def close(self) -> None:
        """Cancel what is under way.  From here on every call raises Unreachable."""
        self._closed.set()
        self._transport.close()


class _Borrowed:
    """A transport that belongs to another session: after `close` it is closed for the borrower only."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self._closed = False

    def send(self, request: Request) -> Response:
        if self._closed:
            raise Cancelled("the client is closed")
        return self._inner.send(request)

    def close(self) -> None:
        self._closed = True


def written(params: Params | None) -> dict[str, str]:
    """Return query parameters as Box reads them: true and false in lower case, None left out."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in (params or {}).items()
        if value is not None
    }


def _cost(method: str, url: str, upload: bool) -> Cost:
    if upload:
        return Cost.UPLOAD if method in ("POST", "PUT") else Cost.CALL
    return Cost.SEARCH if url == "/search" else Cost.CALL


def fields(names: Sequence[str] | str | None) -> str | None:
    """Return the `fields` parameter of a list of names."""
    return names if names is None or isinstance(names, str) else ",".join(names)


__all__ = ["API_URL", "UPLOAD_URL", "Session", "fields", "written"]
