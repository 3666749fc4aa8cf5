"""The network: HTTP by `requests`, the only door to it.

Owns the connection pool.  TLS verification is always on (a private authority comes by `ca_file` or
REQUESTS_CA_BUNDLE), proxies come from the environment unless told otherwise and are never used for this machine itself,
cookies and ~/.netrc are ignored, redirects are returned and not followed.  No policy here: no retry, no token, no
meaning of a status.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import ipaddress
import logging
import ssl
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import requests
import urllib3
from requests.cookies import RequestsCookieJar
from requests.utils import select_proxy
from urllib3.connectionpool import HTTPConnectionPool

from boxfs.api.ahead import Ahead, host_of
from boxfs.api.cancel import Cancel, Cancelled
from boxfs.api.connections import PIECE_BYTES, Adapter
from boxfs.api.http import Body, Lost, NotSent, Request, Response, TimedOut, Timeouts, Untrusted
from boxfs.base.errors import InvalidArgument

MOST_HOSTS = 64
MOST_KNOWN = 256


# What http.client says of a reply that another thread closed.
_CLOSED_UNDER_US = (AttributeError, ValueError)
_BROKEN = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, *_CLOSED_UNDER_US)


class _NotOurs(logging.Filter):
    """Keeps urllib3 from writing our URLs into logs: a download URL is a credential.  Ours is boxfs.api.trace."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        return getattr(_sending, "ours", 0) == 0


_sending = threading.local()
for _told in ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry"):
    logging.getLogger(_told).addFilter(_NotOurs())


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
        self._ahead = Ahead(self._connect)
        self._session.trust_env = proxies_from_environment
        self._session.cookies = RequestsCookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
        self._adapter = adapter = Adapter(self._local, self._timeouts, connections)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)
        # Mutable state
        self._lock = threading.Lock()
        self._active: set[Cancel] = set()  # guarded by _lock
        self._closed = False  # guarded by _lock
        self._settings: dict[tuple[str, str], dict[str, Any]] = {}  # scheme and host -> how it is reached
        self._known: OrderedDict[str, _Known] = OrderedDict()  # by URL; guarded by _lock for writing

    def send(self, request: Request) -> Response:
        cancel = request.cancel or Cancel()
        with self._lock:
            if self._closed:
                raise Cancelled("the client is closed")
            self._active.add(cancel)
        body = _Sending(request.body) if request.body is not None else None
        if request.then is not None:
            self._ahead.expect(request.then)
        elif request.secret_url:
            self._ahead.asks(host_of(request.url))
        self._local.now = (cancel, request.repeatable)
        _sending.ours = 1
        try:
            reply = self._send(request, body)
        except BaseException as error:
            self._done(cancel)
            raise _translated(error, request, cancel, body) from error
        finally:
            self._local.now = self._local.pool = None
            _sending.ours = 0
            if body is not None:
                body.close()
        if isinstance(reply, requests.Response):
            pieces = _pieces(reply.iter_content(PIECE_BYTES), request, cancel)
            return Response(reply.status_code, reply.headers, pieces, lambda: self._finish(reply, cancel))
        pieces = _pieces(reply.stream(PIECE_BYTES, decode_content=False), request, cancel)
        into = _reader(reply, request, cancel)
        return Response(reply.status, dict(reply.headers), pieces, lambda: self._finish(reply, cancel), into)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            active = list(self._active)
            self._known.clear()  # with it go their connections
        for cancel in active:
            cancel.cancel()
        self._session.close()

    def _send(self, request: Request, body: _Sending | None) -> requests.Response | urllib3.HTTPResponse:
        """Return the reply; of a request that streams, as urllib3 has it."""
        headers = {"User-Agent": self._user_agent, "Accept": "*/*", "Connection": "keep-alive", **request.headers}
        headers.setdefault("Accept-Encoding", "identity" if request.stream else "gzip, deflate")
        timeout = (
            request.connect_timeout_s or self._timeouts.connect_s,
            request.read_timeout_s or self._timeouts.read_s,
        )
        if (known := self._known.get(request.url)) is not None and known.serves(request):
            with contextlib.suppress(urllib3.exceptions.ClosedPoolError):  # too many other hosts came between
                return known.get(headers, timeout)
        # Not by the session, which adds defaults that are here already.  A callable as auth keeps requests from putting
        # a password of the URL in the place of our token.
        prepared = requests.PreparedRequest()
        prepared.prepare(request.method, request.url, headers=headers, params=dict(request.params), auth=_keep)
        if body is not None:
            prepared.headers["Content-Length"] = str(body.size)
            prepared.body = body  # type: ignore[assignment]
        settings = self._settings_for(prepared.url or "")
        reply = self._session.send(prepared, timeout=timeout, allow_redirects=False, **settings)
        if not request.stream:
            return reply
        if _Known.may_serve(request) and not select_proxy(request.url, settings["proxies"]):
            with self._lock:
                if not self._closed:
                    self._known[request.url] = _Known(self._local.pool, prepared.path_url)
                if len(self._known) > MOST_KNOWN:
                    self._known.popitem(last=False)
        raw: urllib3.HTTPResponse = reply.raw
        return raw

    def _connect(self, host: str) -> None:
        """Have a connection to the host, unless an idle one is there."""
        settings = self._settings_for(host)
        if select_proxy(host, settings["proxies"]):
            return
        cancel = Cancel()
        with self._lock:
            if self._closed:
                return
            self._active.add(cancel)
        self._local.now = (cancel, True)
        try:
            self._adapter.connect(host, settings["verify"], self._timeouts.connect_s)
        finally:
            self._local.now = self._local.pool = None
            self._done(cancel)

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

    def _finish(self, reply: requests.Response | urllib3.HTTPResponse, cancel: Cancel) -> None:
        self._done(cancel)
        reply.close()
        if isinstance(reply, urllib3.HTTPResponse):
            reply.release_conn()

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


@dataclass(frozen=True, slots=True, repr=False)
class _Known:
    """A URL that Box gave, and the pool that leads to its host.  Bytes are asked of one such URL by the hundred, and
    half of what a request costs is what requests finds out anew each time: where it leads, through what, and how."""

    pool: HTTPConnectionPool
    target: str

    @staticmethod
    def may_serve(request: Request) -> bool:
        return request.secret_url and request.method == "GET" and not request.params and request.stream

    serves = may_serve

    def get(self, headers: Mapping[str, str], timeout: tuple[float, float]) -> urllib3.HTTPResponse:
        reply: Any = self.pool.urlopen(
            "GET",
            self.target,
            headers=headers,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
            retries=_NO_RETRIES,
            timeout=urllib3.Timeout(connect=timeout[0], read=timeout[1]),
        )
        found: urllib3.HTTPResponse = reply
        return found


_NO_RETRIES = urllib3.Retry(0, read=False)  # as requests has it


def _pieces(pieces: Iterator[bytes], request: Request, cancel: Cancel) -> Iterator[bytes]:
    try:
        yield from pieces
    except _BROKEN as error:
        raise _translated(error, request, cancel, None) from error


def _reader(raw: urllib3.HTTPResponse, request: Request, cancel: Cancel) -> Callable[[memoryview], int] | None:
    """Return what reads the body from the socket straight into memory: requests and urllib3 make objects of it, and
    copies.  None where the body has no length, or another shape than is known here."""
    body = getattr(raw, "_fp", None)
    if not isinstance(body, http.client.HTTPResponse) or body.chunked or body.length is None:
        return None
    socket_read = _socket_read(getattr(raw, "connection", None))
    direct = False  # nothing of the body is left in http.client's buffer

    def read_into(buffer: memoryview) -> int:
        nonlocal direct
        try:
            assert body.length is not None
            if direct and socket_read is not None:
                count = _filled(socket_read, buffer[: body.length])
                body.length -= count
            elif socket_read is not None and min(len(buffer), body.length) > io.DEFAULT_BUFFER_SIZE:
                count = body.fp.readinto1(buffer[: body.length])
                body.length -= count
                direct = True
            else:
                count = body.readinto(buffer)
            if not body.length:
                body.close()
            if not body.length:
                raw.release_conn()  # the connection can serve the next request
        except _BROKEN as error:
            raise _translated(error, request, cancel, None) from error
        if not count and body.length and len(buffer):
            raise _translated(ConnectionResetError(), request, cancel, None)
        return count

    return read_into


def _socket_read(connection: Any) -> Callable[[int, memoryview], int] | None:
    """Return what reads from the connection's socket past http.client, which takes five calls for every 16 KiB of TLS;
    None where it is of a shape that is not known here, or the reply ends with the connection."""
    sock = getattr(connection, "sock", None)
    if isinstance(sock, ssl.SSLSocket):
        return sock.read  # type: ignore[return-value]
    return None


def _filled(read: Callable[[int, memoryview], int], buffer: memoryview) -> int:
    """Fill the buffer; fewer bytes only where the connection ends."""
    done, size = 0, len(buffer)
    while done < size:
        count = read(size - done, buffer[done:])
        if not count:
            break
        done += count
    return done


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
