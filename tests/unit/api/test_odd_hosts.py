"""Download hosts that HTTP allows and Box is not: each gives the right bytes, over real sockets."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from boxfs.api.auth import StaticToken
from boxfs.api.drive import BoxDrive
from boxfs.api.retry import Backoff
from boxfs.api.session import Session
from boxfs.base.errors import BadReply
from boxfs.base.types import ItemId, VersionId
from tests.unit.api.rawserver import Got, RawServer, answer, serving

DATA = bytes(range(256)) * 3000

Bytes = Callable[[Got, int, int, socket.socket], bytes | None]


def as_a_part(_got: Got, start: int, stop: int, _sock: socket.socket) -> bytes:
    return answer(206, DATA[start:stop], f"Content-Range: bytes {start}-{stop - 1}/{len(DATA)}")


def closing(_got: Got, start: int, stop: int, sock: socket.socket) -> None:
    said = f"Content-Range: bytes {start}-{stop - 1}/{len(DATA)}"
    sock.sendall(answer(206, DATA[start:stop], said, "Connection: close"))


def hanging_up_unsaid(got: Got, start: int, stop: int, sock: socket.socket) -> None:
    sock.sendall(as_a_part(got, start, stop, sock))


def as_http_1_0(_got: Got, start: int, stop: int, sock: socket.socket) -> None:
    """No length: the body ends where the connection does."""
    head = f"HTTP/1.0 206 X\r\nContent-Range: bytes {start}-{stop - 1}/{len(DATA)}\r\n\r\n"
    sock.sendall(head.encode() + DATA[start:stop])


def whole_as_http_1_0(_got: Got, _start: int, _stop: int, sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.0 200 X\r\n\r\n" + DATA)


def whole(_got: Got, _start: int, _stop: int, _sock: socket.socket) -> bytes:
    return answer(200, DATA)


def in_chunks(_got: Got, start: int, stop: int, _sock: socket.socket) -> bytes:
    head = (
        f"HTTP/1.1 206 X\r\nTransfer-Encoding: chunked\r\nContent-Range: bytes {start}-{stop - 1}/{len(DATA)}\r\n\r\n"
    )
    pieces = [DATA[at : min(at + 5000, stop)] for at in range(start, stop, 5000)]
    return head.encode() + b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in pieces) + b"0\r\n\r\n"


def a_part_of_it(got: Got, start: int, stop: int, sock: socket.socket) -> bytes:
    """No more than 100,000 bytes at a time, as RFC 9110 lets a server."""
    return as_a_part(got, start, min(stop, start + 100_000), sock)


def more_than_that(got: Got, start: int, stop: int, sock: socket.socket) -> bytes:
    return as_a_part(got, start, min(stop + 1000, len(DATA)), sock)


class Place:
    """A Box whose addresses are `location`, on the same server."""

    def __init__(self) -> None:
        self.give: Bytes = as_a_part
        self.location = "/dl/1"
        self._serving = serving(self._answer)
        self.server: RawServer = self._serving.__enter__()
        session = Session(StaticToken("T"), api_url=self.server.url, backoff=Backoff(attempts=1, first_s=0.001))
        self.drive = BoxDrive(session=session)

    def _answer(self, got: Got, sock: socket.socket) -> bytes | None:
        path = got.line.split()[1]
        if path.startswith("/2.0/"):
            return answer(302, b"", f"Location: {self.location}")
        if path == "/dl/2":
            return answer(307, b"", "Location: ../dl/1?x=y")
        assert "authorization" not in got.headers
        first, _, last = got.headers["range"].removeprefix("bytes=").partition("-")
        return self.give(got, int(first), int(last) + 1, sock)

    def close(self) -> None:
        self.drive.close()
        self._serving.__exit__(None, None, None)

    def read(self, start: int, stop: int) -> bytes:
        download = self.drive.download(ItemId("7"), VersionId("1"))
        buffer = bytearray(stop - start)
        assert sum(download.read_into(memoryview(buffer), start)) == stop - start
        assert b"".join(download.read_range(start, stop)) == buffer
        return bytes(buffer)


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place()
    yield place
    place.close()


HOSTS = [
    as_a_part, closing, hanging_up_unsaid, as_http_1_0, whole_as_http_1_0, whole, in_chunks, a_part_of_it,
    more_than_that,
]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.__name__)
def test_the_bytes_are_right_whatever_way_the_host_sends_them(place: Place, host: Bytes) -> None:
    place.give = host
    for start, stop in ((0, len(DATA)), (300_000, 700_000), (len(DATA) - 5, len(DATA)), (0, 1)):
        assert place.read(start, stop) == DATA[start:stop]


@pytest.mark.parametrize("location", ["/dl/1", "../../../dl/1", "//HOST/dl/1", "/dl/2"])
def test_addresses_may_be_relative_and_lead_on(place: Place, location: str) -> None:
    place.location = location.replace("HOST", place.server.url.removeprefix("http://"))
    assert place.read(1000, 2000) == DATA[1000:2000]


def test_an_address_that_leads_round_in_circles_is_an_error(place: Place) -> None:
    def round_and_round(_got: Got, _start: int, _stop: int, _sock: socket.socket) -> bytes:
        return answer(302, b"", "Location: /dl/1")

    place.give = round_and_round
    with pytest.raises(BadReply):
        place.read(0, 10)
