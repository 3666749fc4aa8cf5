"""Bytes asked of one URL again and again go by a shorter way, over TLS past http.client: with the same ends."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from boxfs.api.http import Lost, NotSent, Request, Response, TimedOut
from boxfs.api.transport import RequestsTransport
from tests.support import certificates
from tests.unit.api.rawserver import Got, RawServer, answer, read_out, serving

DATA = bytes(range(256)) * 4096
STEP = 300_000
SECRET = "/dl?key=SECRET"


class Place:
    """A server that answers with DATA, and then as it is told, and a client of it."""

    def __init__(self, tls: ssl.SSLContext | None, authority: Path | None) -> None:
        self.reply: Callable[[Got, socket.socket], bytes | None] = lambda _got, _sock: answer(body=DATA)
        self.transport = RequestsTransport(ca_file=None if authority is None else str(authority))
        self._serving = serving(lambda got, sock: self.reply(got, sock), tls)
        self.server: RawServer = self._serving.__enter__()

    def send(self, read_timeout_s: float = 60) -> Response:
        return self.transport.send(
            Request(
                "GET",
                self.server.url + SECRET,
                headers={"Range": "bytes=0-"},
                stream=True,
                secret_url=True,
                authorize=False,
                read_timeout_s=read_timeout_s,
            )
        )

    def read(self, read_timeout_s: float = 60) -> bytes:
        return read_out(self.send(read_timeout_s), STEP)

    def close(self) -> None:
        self.transport.close()
        self._serving.__exit__(None, None, None)


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> certificates.Certificates:
    return certificates.make(tmp_path_factory.mktemp("tls"), ["127.0.0.1"])


@pytest.fixture(params=["http", "https"])
def place(request: pytest.FixtureRequest, pems: certificates.Certificates) -> Iterator[Place]:
    context = None
    if request.param == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pems.certificate, pems.key)
    place = Place(context, pems.authority if context else None)
    yield place
    place.close()


def test_every_byte_comes_each_time_over_one_connection(place: Place) -> None:
    for _ in range(4):
        assert place.read() == DATA
    assert place.server.connections == 1
    lines = {(got.line, tuple(sorted(got.headers.items()))) for got in place.server.got}
    assert len(lines) == 1  # the same request, whichever way it went
    assert all("authorization" not in got.headers and "cookie" not in got.headers for got in place.server.got)


@pytest.mark.parametrize("size", [0, 1, 8192, 8193, 16384, 100_000])
def test_bodies_of_all_sizes_end_where_they_end(place: Place, size: int) -> None:
    place.reply = lambda _got, _sock: answer(body=DATA[:size])
    assert [place.read() for _ in range(3)] == [DATA[:size]] * 3
    assert place.server.connections == 1


def test_a_body_that_is_not_read_to_its_end_costs_its_connection_only(place: Place) -> None:
    for _ in range(2):
        response = place.send()
        assert response.read_into(memoryview(bytearray(STEP))) > 0
        response.close()
    assert place.read() == DATA


@pytest.mark.parametrize(
    ("fault", "error"),
    [("short", Lost), ("cut", Lost), ("hang up", Lost), ("silence", TimedOut), ("stall", TimedOut), ("gone", NotSent)],
)
def test_what_goes_wrong_later_is_told_as_it_is_at_first(place: Place, fault: str, error: type[Exception]) -> None:
    assert place.read() == DATA

    def fail(_got: Got, sock: socket.socket) -> bytes | None:
        if fault == "silence":
            return b""
        if fault == "stall":
            return answer(body=DATA[:500_000], length=len(DATA))
        if fault == "short":
            sock.sendall(answer(body=DATA[:500_000], length=len(DATA)))
        elif fault == "cut":
            sock.sendall(b"HTTP/1.")
        return None

    place.reply = fail
    if fault == "gone":
        place.server.close()
    with pytest.raises(error) as raised:
        place.read(read_timeout_s=0.05 if error is TimedOut else 60)
    assert "SECRET" not in str(raised.value)
    if fault != "gone":
        place.reply = lambda _got, _sock: answer(body=DATA)
        assert place.read() == DATA


def test_headers_that_break_off_tell_no_log_where_they_came_from(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    def cut(_got: Got, sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 200 X\r\nContent-Le")

    assert place.read() == DATA
    place.reply = cut
    assert place.read() == b""
    assert "SECRET" not in caplog.text


def test_connections_that_gave_way_to_other_hosts_are_made_again(place: Place) -> None:
    assert place.read() == DATA
    [known] = place.transport._known.values()
    known.pool.close()  # as urllib3 before 2 does it
    for adapter in place.transport._session.adapters.values():
        adapter.poolmanager.clear()  # type: ignore[attr-defined]
    assert place.read() == DATA
    assert place.server.connections == 2


def test_a_closed_client_keeps_no_connection(place: Place) -> None:
    ended = threading.Event()

    def tell(_got: Got, sock: socket.socket) -> None:
        sock.sendall(answer(body=DATA))
        sock.recv(1)
        ended.set()

    place.reply = tell
    assert place.read() == DATA
    place.transport.close()
    assert ended.wait(60)


def test_a_proxy_is_asked_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda got, sock: answer(body=DATA)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        transport = RequestsTransport()
        request = Request("GET", f"http://dl.test{SECRET}", stream=True, secret_url=True, authorize=False)
        for _ in range(3):
            assert b"".join(transport.send(request).chunks()) == DATA
        assert [got.line.split()[1] for got in proxy.got] == [f"http://dl.test{SECRET}"] * 3
        transport.close()
