"""Requests and replies as values, and Transport: the one shape through which everything goes to the network.

Every policy (rate, retry, authorization, logging) is a Transport around a Transport; a test needs ten lines of its own.
This module does no I/O.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import BinaryIO, Protocol

from boxfs.api.cancel import Cancel
from boxfs.base.errors import Unreachable


class NotSent(Unreachable):
    """The request certainly was not acted upon: no connection, or not all of its body left this machine."""


class Lost(Unreachable):
    """No whole reply came: whether the request was acted upon is unknown."""


class TimedOut(Lost):
    """Nothing came for `read_timeout_s`."""


class Untrusted(Unreachable):
    """The server's certificate is not trusted.  Never asked again: waiting does not mend it."""


class Priority(IntEnum):
    FOREGROUND = 0  # somebody waits
    BACKGROUND = 1


class Cost(StrEnum):
    """Which of Box's limits a request counts against (box-api.md section 4)."""

    CALL = "call"
    UPLOAD = "upload"
    SEARCH = "search"
    FREE = "free"  # other hosts: file bytes, the long poll


class Body(Protocol):
    """Bytes to be sent, readable several times: each `open` starts at the beginning anew."""

    @property
    def size(self) -> int: ...

    def open(self) -> BinaryIO: ...


@dataclass(frozen=True, slots=True)
class Bytes:
    """A Body in memory."""

    data: bytes = field(repr=False)

    @property
    def size(self) -> int:
        return len(self.data)

    def open(self) -> BinaryIO:
        return io.BytesIO(self.data)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """connect_s: for a connection; read_s: between two pieces of a reply, or of a body that is being sent."""

    connect_s: float = 10.0
    read_s: float = 60.0


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """One HTTP request.

    repeatable: it may be sent again although an earlier one may have been acted upon.
    stream: the caller reads the reply piece by piece, undecoded; else it is read whole inside the transports.
    wait_on_202: "202 with Retry-After" means "not yet" and is waited for, here, and is not a result.
    authorize: the bearer token goes along.  Never set for a host that Box did not document as wanting it.
    secret_url: the URL itself is a credential and must not be logged.
    then: the host that will be asked next, where the answer is what is expected ("https://dl.box.test").
    """

    method: str
    url: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    repeatable: bool = False
    stream: bool = False
    wait_on_202: bool = False
    authorize: bool = True
    secret_url: bool = False
    then: str | None = None
    cost: Cost = Cost.CALL
    priority: Priority = Priority.FOREGROUND
    read_timeout_s: float | None = None
    connect_timeout_s: float | None = None
    cancel: Cancel | None = None

    def __repr__(self) -> str:
        return f"<Request {self.what}>"  # the rest may be secret

    @property
    def what(self) -> str:
        """Method and path for messages: no query (it may hold secrets), no host."""
        if self.secret_url:
            return f"{self.method} (a URL that Box gave)"
        path = self.url.split("://", 1)[-1].partition("?")[0]
        return f"{self.method} /{path.partition('/')[2]}"


class Headers(Mapping[str, str]):
    """Reply headers; names in any case (Box has changed the case of its own)."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._pairs = {name.lower(): value for name, value in pairs}

    def __getitem__(self, name: str) -> str:
        return self._pairs[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)


class Response:
    """A reply.  Read it with `read` (whole, kept), or once with `chunks` or `read_into`, and close it; reading it whole
    closes it."""

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str] | None = None,
        content: bytes | Iterator[bytes] = b"",
        on_close: Callable[[], None] = lambda: None,
        read_into: Callable[[memoryview], int] | None = None,
    ) -> None:
        """read_into: another way to the same body, without copies; None where there is none."""
        self.status = status
        self.headers = Headers((headers or {}).items())
        self._whole = content if isinstance(content, bytes) else None
        self._pieces = iter([content]) if isinstance(content, bytes) else content
        self._read_into = read_into
        self._rest = memoryview(b"")  # of a piece, for the next `read_into`
        self._on_close: Callable[[], None] | None = on_close

    def read(self) -> bytes:
        """Return the whole body.  Raises Lost where it ends early."""
        if self._whole is None:
            try:
                self._whole = b"".join(self._pieces)
            finally:
                self.close()
        return self._whole

    def chunks(self) -> Iterator[bytes]:
        """Yield the body in pieces.  Raises Lost where it ends early."""
        return self._pieces

    def read_into(self, buffer: memoryview) -> int:
        """Put what comes next of the body into `buffer`; return how many bytes (0: it has ended).

        May wait until the buffer is full.  Raises Lost where the body ends early.
        """
        if self._read_into is not None:
            return self._read_into(buffer)
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        if self._on_close is not None:
            closing, self._on_close = self._on_close, None
            closing()


class Transport(Protocol):
    def send(self, request: Request) -> Response:
        """Return the reply, whatever its status.

        Raises NotSent, Lost, Untrusted, Cancelled.  May be called by many threads at once.
        """

    def close(self) -> None:
        """Cancel what is under way; from here on `send` raises Cancelled."""
