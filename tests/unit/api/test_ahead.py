"""The connection that a download will need is made while Box is asked for its address."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from boxfs.api.auth import StaticToken
from boxfs.api.download import UrlDownload
from boxfs.api.http import Request
from boxfs.api.session import Session
from boxfs.api.transport import RequestsTransport
from tests.support import certificates
from tests.unit.api.rawserver import Got, RawServer, answer, serving

DATA = bytes(range(256))


def part(_got: Got, _sock: socket.socket) -> bytes:
    return answer(206, DATA, f"Content-Range: bytes 0-{len(DATA) - 1}/{len(DATA)}")


@pytest.fixture(params=["http", "https"])
def downloads(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[RawServer, Path | None]]:
    """The host that the addresses lead to, and who vouches for it."""
    context, pems = None, None
    if request.param == "https":
        pems = certificates.make(tmp_path, ["127.0.0.1"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pems.certificate, pems.key)
    with serving(part, context) as server:
        yield server, pems.authority if pems else None


def session(api: RawServer, authority: Path | None, host: str | None) -> Session:
    made = Session(StaticToken("T"), api_url=api.url, ca_file=None if authority is None else str(authority))
    made.download_host = host
    return made


def read(box: Session, file_id: int) -> bytes:
    return b"".join(UrlDownload(box, f"/files/{file_id}/content").read_range(0, len(DATA)))


def test_the_host_is_connected_to_before_box_has_answered(downloads: tuple[RawServer, Path | None]) -> None:
    server, authority = downloads
    seen: list[int] = []

    def found(_got: Got, _sock: socket.socket) -> bytes:
        deadline = time.monotonic() + 60
        while not seen and not server.connections and time.monotonic() < deadline:
            time.sleep(0.01)
        seen.append(server.connections)
        return answer(302, b"", f"Location: {server.url}/dl")

    with serving(found) as api:
        box = session(api, authority, server.url)
        assert [read(box, number) for number in range(3)] == [DATA] * 3
        assert seen[0] == 1
        assert server.connections <= 2  # the download does not wait for the one that is being made
        assert [got.line for got in server.got] == ["GET /dl HTTP/1.1"] * 3
        box.close()


def test_a_connection_that_was_made_ahead_serves(downloads: tuple[RawServer, Path | None]) -> None:
    """Also one that has something to be read already: over TLS 1.3 servers begin with session tickets."""
    server, authority = downloads
    transport = RequestsTransport(ca_file=None if authority is None else str(authority))
    transport._connect(server.url)
    for _ in range(2):
        assert transport.send(Request("GET", f"{server.url}/dl", authorize=False)).read() == DATA
    assert server.connections == 1
    transport.close()


def test_where_addresses_lead_is_learned(downloads: tuple[RawServer, Path | None]) -> None:
    server, authority = downloads
    with serving(lambda _got, _sock: answer(302, b"", f"Location: {server.url}/dl?key=SECRET")) as api:
        box = session(api, authority, None)
        assert read(box, 1) == DATA
        assert box.download_host == server.url
        assert [read(box, number) for number in range(5)] == [DATA] * 5
        assert server.connections == 1  # asked a moment ago: nothing is made ahead
        box.close()


def test_a_host_that_is_not_there_is_no_error(downloads: tuple[RawServer, Path | None]) -> None:
    server, authority = downloads
    with serving(lambda _got, _sock: answer(302, b"", f"Location: {server.url}/dl")) as api, socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        box = session(api, authority, f"http://127.0.0.1:{deaf.getsockname()[1]}")
        assert read(box, 1) == DATA
        box.close()
