"""The network: HTTP by `requests`, the only door to it.

Owns the connection pool.  TLS verification is always on (a private authority comes by `ca_file` or
REQUESTS_CA_BUNDLE), proxies come from the environment unless told otherwise and are never used for this machine itself,
cookies and ~/.netrc are ignored, redirects are returned and not followed.  No policy here: no retry, no token, no
meaning of a status.
"""

from __future__ import annotations

import http.client
import ipaddress
import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.cookiejar import DefaultCookiePolicy
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from boxfs.api import trust
from boxfs.api.cancel import Cancel, Cancelled
from boxfs.api.http import Body, Lost, NotSent, Request, Response, TimedOut, Timeouts, Untrusted
from boxfs.base.errors import InvalidArgument

# One piece of a reply or of a body.  urllib3 hands a piece to one sendall(2), which must end within the time-out.
PIECE_BYTES = 128 * 1024
# A connection that idled longer is not trusted with a request that cannot be repeated: its server may be closing it.
IDLE_S = 20.0
MOST_HOSTS = 64


# What http.client says of a reply that another thread closed.
_CLOSED_UNDER_US = (AttributeError, ValueError)
_REQUIRED = (ssl.CERT_REQUIRED, "CERT_REQUIRED", "REQUIRED")
_BROKEN = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, *_CLOSED_UNDER_US)


class _NotOurs(logging.Filter):
    """Keeps urllib3 from writing our URLs into logs: a download URL is a credential.  Ours is boxfs.api.trace."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        return getattr(_sending, "ours", 0) == 0


_sending = threading.local()
logging.getLogger("urllib3.connectionpool").addFilter(_NotOurs())
logging.getLogger("urllib3.util.retry").addFilter(_NotOurs())


class RequestsTransport:
    """Transport over `requests`.  connections: how many are kept per host; more are opened when needed."""

    def __init__(
        self,
        *,
        timeouts: Timeouts | None = None,
        connections: int = 64,
        ca_file: str | None = None,
        proxies_from_environment: bool = True,
        user_agent: str = "boxfs",
    ) -> None:
        # Constants
        self._timeouts = timeouts or Timeouts()
        self._ca_file = ca_file
        self._user_agent = user_agent
        self._local = threading.local()  # .now: (Cancel, repeatable) of the request that this thread sends
        self._session = requests.Session()
        self._session.trust_env = proxies_from_environment
        self._session.cookies = RequestsCookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
        adapter = _Adapter(self._local, self._timeouts, connections)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)
        # Mutable state
        self._lock = threading.Lock()
        self._active: set[Cancel] = set()  # guarded by _lock
        self._closed = False  # guarded by _lock
        self._settings: dict[tuple[str, str], dict[str, Any]] = {}  # scheme and host -> how it is reached

    def send(self, request: Request) -> Response:
        cancel = request.cancel or Cancel()
        with self._lock:
            if self._closed:
                raise Cancelled("the client is closed")
            self._active.add(cancel)
        body = _Sending(request.body) if request.body is not None else None
        self._local.now = (cancel, request.repeatable)
        _sending.ours = 1
        try:
            reply = self._send(request, body)
        except BaseException as error:
            self._done(cancel)
            raise _translated(error, request, cancel, body) from error
        finally:
            self._local.now = None
            _sending.ours = 0
            if body is not None:
                body.close()
        pieces = _pieces(reply, request, cancel)
        into = _reader(reply, request, cancel) if request.stream else None
        return Response(reply.status_code, reply.headers, pieces, lambda: self._finish(reply, cancel), into)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            active = list(self._active)
        for cancel in active:
            cancel.cancel()
        self._session.close()

    def _send(self, request: Request, body: _Sending | None) -> requests.Response:
        headers = {"User-Agent": self._user_agent, "Accept": "*/*", "Connection": "keep-alive", **request.headers}
        headers.setdefault("Accept-Encoding", "identity" if request.stream else "gzip, deflate")
        # Not by the session, which adds defaults that are here already.  A callable as auth keeps requests from putting
        # a password of the URL in the place of our token.
        prepared = requests.PreparedRequest()
        prepared.prepare(request.method, request.url, headers=headers, params=dict(request.params), auth=_keep)
        if body is not None:
            prepared.headers["Content-Length"] = str(body.size)
            prepared.body = body  # type: ignore[assignment]
        settings = self._settings_for(prepared.url or "")
        timeout = (self._timeouts.connect_s, request.read_timeout_s or self._timeouts.read_s)
        return self._session.send(prepared, timeout=timeout, allow_redirects=False, **settings)

    def _settings_for(self, url: str) -> dict[str, Any]:
        """Return proxies and authorities for the URL's host, as the environment says (which does not change)."""
        parts = urlsplit(url)
        host = (parts.scheme, parts.netloc)
        settings = self._settings.get(host)
        if settings is None:
            settings = dict(self._session.merge_environment_settings(url, {}, True, self._ca_file or True, None))
            if _is_this_machine(url):
                settings["proxies"] = {}
            if len(self._settings) >= MOST_HOSTS:
                self._settings.clear()
            self._settings[host] = settings
        return settings

    def _finish(self, reply: requests.Response, cancel: Cancel) -> None:
        self._done(cancel)
        reply.close()

    def _done(self, cancel: Cancel) -> None:
        cancel.detach()
        with self._lock:
            self._active.discard(cancel)


def _keep(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    return prepared


def _is_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _pieces(reply: requests.Response, request: Request, cancel: Cancel) -> Iterator[bytes]:
    try:
        if request.stream:
            yield from reply.raw.stream(PIECE_BYTES, decode_content=False)
        else:
            yield from reply.iter_content(PIECE_BYTES)
    except _BROKEN as error:
        raise _translated(error, request, cancel, None) from error


def _reader(reply: requests.Response, request: Request, cancel: Cancel) -> Callable[[memoryview], int] | None:
    """Return what reads the body from the socket straight into memory: requests and urllib3 make objects of it, and
    copies.  None where the body has no length, or another shape than is known here."""
    raw = reply.raw
    body = getattr(raw, "_fp", None)
    if not isinstance(body, http.client.HTTPResponse) or body.chunked or body.length is None:
        return None

    def read_into(buffer: memoryview) -> int:
        try:
            count = body.readinto(buffer)
            if not body.length:
                raw.release_conn()  # the connection can serve the next request
        except _BROKEN as error:
            raise _translated(error, request, cancel, None) from error
        if not count and body.length and len(buffer):
            raise _translated(ConnectionResetError(), request, cancel, None)
        return count

    return read_into


class _Sending:
    """A body on its way: knows whether all of it was taken, and keeps what reading it raised."""

    def __init__(self, body: Body) -> None:
        self.size = body.size
        self.taken = 0
        self.error: BaseException | None = None
        self._stream: BinaryIO = body.open()

    def read(self, size: int = -1) -> bytes:
        try:
            want = self.size - self.taken if size < 0 else min(size, self.size - self.taken)
            data = self._stream.read(want)
            if len(data) < want and not data:
                raise InvalidArgument(f"what was to be uploaded ends at {self.taken} of {self.size} bytes")
        except BaseException as error:
            self.error = error
            raise
        self.taken += len(data)
        return data

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.read(PIECE_BYTES):
            yield piece

    def close(self) -> None:
        self._stream.close()


def _translated(error: BaseException, request: Request, cancel: Cancel, body: _Sending | None) -> BaseException:
    """Return the error of ours for what requests and urllib3 raised."""
    if body is not None and body.error is not None:
        return body.error
    if isinstance(error, Cancelled) or cancel.cancelled:
        return Cancelled("the request was given up")
    if not isinstance(error, _BROKEN):
        return error
    host = urlsplit(request.url).netloc.rpartition("@")[2]
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return Untrusted(f"the certificate of {host} is not trusted: check the clock, the proxy, or the CA bundle")
    if any(isinstance(cause, _BAD_URL) for cause in causes):
        return InvalidArgument(f"not a URL that can be asked: {host or 'no host'}")
    if any(isinstance(cause, _NO_CONNECTION) for cause in causes):
        return NotSent(f"no connection to {host}: {_plain(causes)}")
    if body is not None and body.taken < body.size:
        return NotSent(f"the connection to {host} broke while sending")
    why = _plain(causes)
    return (TimedOut if why == TIMED_OUT else Lost)(f"no whole reply from {host} to {request.what}: {why}")


TIMED_OUT = "timed out"
_BAD_URL = (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema)
_NO_CONNECTION = (
    requests.exceptions.ConnectTimeout,
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    ConnectionRefusedError,
)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and what is inside it: causes, contexts, `reason`s and arguments, each once."""
    seen: set[int] = set()
    stack = [error]
    while stack:
        one = stack.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inside = [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
        stack.extend(each for each in inside if isinstance(each, BaseException))


def _plain(causes: list[BaseException]) -> str:
    """Return a few words on the innermost operating system error, without addresses of objects or URLs."""
    for cause in causes:
        if isinstance(cause, TimeoutError | requests.Timeout | urllib3.exceptions.TimeoutError):
            return TIMED_OUT
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror and not isinstance(cause, requests.RequestException):
            return cause.strerror
    return "the connection was closed"


class _Adapter(HTTPAdapter):
    """requests' adapter with connections that know which request they work for."""

    def __init__(self, local: threading.local, timeouts: Timeouts, connections: int) -> None:
        self._pool_classes = _pool_classes(local, timeouts)
        super().__init__(pool_connections=16, pool_maxsize=connections, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, blocksize=PIECE_BYTES, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pool_classes

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self._pool_classes
        return manager


def _pool_classes(local: threading.local, timeouts: Timeouts) -> dict[str, type[HTTPConnectionPool]]:
    def before_request(connection: Any) -> None:
        cancel, repeatable = local.now
        cancel.attach(connection)
        idle_s = time.monotonic() - getattr(connection, "boxfs_used", time.monotonic())
        if not repeatable and idle_s > IDLE_S:
            connection.close()  # it opens itself again
        connection.boxfs_used = time.monotonic()

    def connected(connection: Any) -> None:
        local.now[0].check()
        # urllib3 would send under the connect time-out, too short for a slow line.
        connection.sock.settimeout(timeouts.read_s)

    hooks = {"before_request": before_request, "connected": connected}
    plain = type("Connection", (_Hooked, HTTPConnection), hooks)
    tls = type("Connection", (_Hooked, _Trusting, HTTPSConnection), hooks)
    return {
        "http": type("Pool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("Pool", (HTTPSConnectionPool,), {"ConnectionCls": tls}),
    }


class _Hooked:
    """Mixed into urllib3's connections: the hooks of `_pool_classes` at the right moments."""

    before_request: Callable[[], None]
    connected: Callable[[], None]

    def request(self, *args: Any, **kwargs: Any) -> None:
        self.before_request()
        super().request(*args, **kwargs)  # type: ignore[misc]

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self.connected()


class _Trusting:
    """Mixed into urllib3's TLS connections: one context for all, where each would read the authorities by itself."""

    ca_certs: Any
    ca_cert_dir: Any

    def connect(self) -> None:
        named = self.ca_certs or self.ca_cert_dir
        to_proxy = getattr(self, "proxy", None) is not None  # which may speak TLS of its own
        own = getattr(self, "ssl_context", None) is not None or getattr(self, "cert_file", None)
        if named and not to_proxy and not own and self.cert_reqs in _REQUIRED:  # type: ignore[attr-defined]
            self.ssl_context = trust.context(str(named))
            self.ca_certs = self.ca_cert_dir = None
        super().connect()  # type: ignore[misc]
