"""Reading a version's bytes by range, over one download URL while that lives (box-api.md section 10).

Box answers `GET /files/ID/content` with a 302 to another host; that URL lives about 15 minutes, wants no token, and
serves any number of ranges.  So one call to the API serves all readers of an open file.  A Box that sends the bytes
itself is read too.  What arrives is checked: the status, the range, the count.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar
from urllib.parse import urljoin

from boxfs.api import errors
from boxfs.api.ahead import host_of
from boxfs.api.http import Cost, Lost, NotSent, Priority, Request, Response
from boxfs.api.session import Session
from boxfs.base.errors import BadReply, NotSupported, Unreachable
from boxfs.base.flight import SingleFlight

P = TypeVar("P")

# How much is read at once.  A step that breaks off is lost, and nobody sees a byte of it before its end, so slow lines
# take small ones; 256 KiB stay in a processor's cache until they are checked and stored.
_FIRST_STEP, _LARGEST_STEP = 16 * 1024, 256 * 1024
_QUICK_S = 0.01

# A body that ends early is fetched on; so often without a single byte in between, then it is an error.
BARREN_TRIES = 4
REDIRECTS = 5
REDIRECTED = frozenset({301, 302, 303, 307, 308})
# What a download host may not mean by a URL that is too old; whether there is more to all the rest, the API knows.
_NOT_STALE = frozenset({408, 416, 429})


class UrlDownload:
    """Download of one version of one file; see boxfs.core.remote.Download.  Makes no call before the first read."""

    def __init__(
        self,
        session: Session,
        path: str,
        *,
        version_id: str | None = None,
        headers: dict[str, str] | None = None,
        priority: Priority = Priority.FOREGROUND,
    ) -> None:
        """path: of the content at the API ("/files/7/content").  headers: BoxApi of a shared link."""
        self._session = session
        self._path = path
        self._params = {"version": version_id} if version_id else {}
        self._headers = headers or {}
        self._priority = priority
        self._flight: SingleFlight[str, str | None] = SingleFlight()
        self._lock = threading.Lock()
        self._url: str | None = None  # guarded by _lock
        self._direct = False  # guarded by _lock; this Box sends the bytes itself

    def read_range(self, start: int, stop: int, *, background: bool = False) -> Iterator[bytes]:
        """Yield the bytes of [start, stop), whole or not at all: raises where they cannot be had to the last.

        background: a call to the API that this may need lets people's calls go first.
        """
        return self._all(start, stop, _inside, len, background)

    def read_into(self, buffer: memoryview, start: int, *, background: bool = False) -> Iterator[int]:
        """Fill `buffer` with the bytes from `start` on, as `read_range`; yield how many came, at each step of it."""

        def fill(response: Response, at: int, stop: int) -> Iterator[int]:
            step = _FIRST_STEP
            _skip(response, at - _begins_at(response, at, stop))
            while at < stop:
                begun_s = time.monotonic()
                count = response.read_into(buffer[at - start : min(at + step, stop) - start])
                if not count:
                    return
                at += count
                yield count
                quick = time.monotonic() < begun_s + _QUICK_S
                step = min(step * 2, _LARGEST_STEP) if quick else max(step // 2, _FIRST_STEP)

        return self._all(start, start + len(buffer), fill, int, background)

    def _all(
        self,
        start: int,
        stop: int,
        read: Callable[[Response, int, int], Iterator[P]],
        length: Callable[[P], int],
        background: bool,
    ) -> Iterator[P]:
        """Yield what `read` makes of the replies, from `start` until `stop` is reached."""
        priority = Priority.BACKGROUND if background else self._priority
        at, barren = start, 0
        while at < stop:
            response = self._open(at, stop, priority)
            before = at
            try:
                for piece in read(response, at, stop):
                    at += length(piece)
                    yield piece
            except Lost as error:
                lost: Exception | None = error
            else:
                lost = None
            finally:
                response.close()
            barren = 0 if at > before else barren + 1
            if at < stop and barren >= BARREN_TRIES:
                raise lost or Unreachable("the download ends early again and again")

    def url(self) -> str:
        """Return an address of the content.  Raises NotSupported at a server that sends the bytes itself."""
        opened: list[Response] = []
        url = self._ask(0, 1, self._priority, opened)
        for each in opened:
            each.close()
        if url is None:
            raise NotSupported("this server gives no download addresses")
        return url

    def _open(self, start: int, stop: int, priority: Priority) -> Response:
        """Return a reply whose body begins at `start` (206), or at 0 (200)."""
        for _ in range(3):
            url = self._known_url()
            if url is None:
                opened: list[Response] = []
                url = self._flight.do("url", partial(self._ask, start, stop, priority, opened))
                if opened:
                    return opened[0]
                if url is None:
                    response = self._get(self._session.api_url + self._path, start, stop, priority, at_api=True)
                    if response.status in REDIRECTED:
                        response.close()
                        with self._lock:
                            self._direct = False
                        continue
                    return errors.check(response, self._what)
            try:
                response = self._get(url, start, stop, priority, at_api=False)
            except NotSent:
                self._forget(url)  # its host is down: the next try may be sent to another
                raise
            if 400 <= response.status < 500 and response.status not in _NOT_STALE:
                response.close()
                self._forget(url)
                continue
            return errors.check(response, self._what)
        raise BadReply("Box gives download addresses that do not work")

    @property
    def _what(self) -> str:
        return f"GET {self._path}"

    def _known_url(self) -> str | None:
        with self._lock:
            return self._url

    def _forget(self, url: str) -> None:
        with self._lock:
            if self._url == url:
                self._url = None

    def _ask(self, start: int, stop: int, priority: Priority, opened: list[Response]) -> str | None:
        """Ask the API for the URL.  Where it sends the bytes itself, put the reply into `opened` and return None."""
        with self._lock:
            if self._url is not None or self._direct:
                return self._url
        response = self._get(self._session.api_url + self._path, start, stop, priority, at_api=True)
        if response.status in REDIRECTED:
            response.close()
            url = urljoin(self._session.api_url + self._path, _location(response))
            self._session.download_host = host_of(url)
            with self._lock:
                self._url = url
            return url
        opened.append(errors.check(response, self._what))
        with self._lock:
            self._direct = True
        return None

    def _get(self, url: str, start: int, stop: int, priority: Priority, *, at_api: bool) -> Response:
        """Send one GET with the range.  at_api: with the token, and a redirect is the answer."""
        headers = dict(self._headers) if at_api else {}
        headers["Range"] = f"bytes={start}-{stop - 1}"
        for _ in range(REDIRECTS):
            response = self._session.send(
                Request(
                    "GET",
                    url,
                    params=self._params if at_api else {},
                    headers=headers,
                    repeatable=True,
                    stream=True,
                    wait_on_202=True,
                    authorize=at_api,
                    secret_url=not at_api,
                    cost=Cost.CALL if at_api else Cost.FREE,
                    priority=priority,
                    then=self._session.download_host if at_api else None,
                )
            )
            if at_api or response.status not in REDIRECTED:
                return response
            response.close()
            url = urljoin(url, _location(response))
        raise BadReply("the download address leads round in circles")


def _location(response: Response) -> str:
    location = response.headers.get("location")
    if not location:
        raise BadReply("Box redirects a download to nowhere")
    return location


def _inside(response: Response, start: int, stop: int) -> Iterator[bytes]:
    """Yield the part of the reply's body that lies in [start, stop)."""
    at = _begins_at(response, start, stop)
    for piece in response.chunks():
        begin, at = at, at + len(piece)
        wanted = piece[max(start - begin, 0) : stop - begin]
        if wanted:
            yield wanted
        if at >= stop:
            return


def _skip(response: Response, count: int) -> None:
    """Read `count` bytes and drop them."""
    scrap = memoryview(bytearray(min(count, _LARGEST_STEP)))
    while count > 0 and (got := response.read_into(scrap[:count])):
        count -= got


def _begins_at(response: Response, start: int, stop: int) -> int:
    """Return the offset of the body's first byte.  Raises BadReply where it is not what was asked for.

    A whole body that is too short for the range is none of the file's: it is the page of a proxy, say.
    """
    if response.headers.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
        raise BadReply("a download came encoded, which was not asked for")
    length = response.headers.get("content-length", "").strip()
    if response.status == 200:
        if length.isdecimal() and int(length) < stop:
            raise BadReply("a download sent something else, which is too short")
        return 0  # the range was ignored: all of it comes
    if response.status != 206:
        raise BadReply(f"a download was answered with {response.status}")
    said = response.headers.get("content-range", "").strip()
    given = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", said, re.IGNORECASE)
    if given is not None and int(given[1]) == start and (given[3] == "*" or int(given[3]) >= stop):
        return start
    if not said and length == str(stop - start):
        return start  # a part, of the length that was asked for
    raise BadReply("a download sent another range than was asked for")
