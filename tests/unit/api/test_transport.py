"""The network, over real sockets: what is certain, what is unknown, and how it is given up."""

from __future__ import annotations

import io
import socket
import threading
from typing import BinaryIO

import pytest

from boxfs.api.auth import StaticToken
from boxfs.api.cancel import Cancel, Cancelled
from boxfs.api.drive import BoxDrive
from boxfs.api.http import Bytes, Lost, NotSent, Request, TimedOut, Timeouts
from boxfs.api.transport import RequestsTransport
from boxfs.base.errors import InvalidArgument
from boxfs.base.types import ItemId
from boxfs.core.reading import ReadingOptions
from boxfs.core.source import ATTEMPTS
from tests.unit.api.rawserver import Got, answer, read_out, serving


def sent(url: str, **options: object) -> bytes:
    transport = RequestsTransport(timeouts=Timeouts(connect_s=30, read_s=30))
    try:
        return transport.send(Request("GET", url, **options)).read()  # type: ignore[arg-type]
    finally:
        transport.close()


def test_a_connection_is_used_again() -> None:
    with serving(lambda got, sock: answer(body=b"hello")) as server:
        transport = RequestsTransport()
        for _ in range(5):
            assert transport.send(Request("GET", server.url)).read() == b"hello"
        assert server.connections == 1
        transport.close()


def test_redirects_are_returned_and_cookies_forgotten() -> None:
    with serving(lambda got, sock: answer(302, b"", "Location: /x", "Set-Cookie: a=b; path=/")) as server:
        transport = RequestsTransport()
        for _ in range(2):
            response = transport.send(Request("GET", server.url))
            response.read()
            assert (response.status, response.headers["LOCATION"]) == (302, "/x")
        assert "cookie" not in server.got[1].headers
        transport.close()


def test_netrc_does_not_replace_the_token(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = f"{tmp_path}/netrc"
    with open(netrc, "w") as file:
        file.write("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", netrc)
    with serving(lambda got, sock: answer()) as server:
        sent(server.url, headers={"Authorization": "Bearer T"})
        assert server.got[0].headers["authorization"] == "Bearer T"


def test_no_proxy_stands_between_us_and_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with serving(lambda got, sock: answer(body=b"direct")) as server:
        assert sent(server.url) == b"direct"


def test_other_hosts_are_asked_through_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda got, sock: answer(body=b"by proxy")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert sent("http://box.test/2.0/x") == b"by proxy"
        assert proxy.got[0].line == "GET http://box.test/2.0/x HTTP/1.1"


def test_nobody_listening_is_not_sent() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        with pytest.raises(NotSent, match="no connection to") as error:
            sent(f"http://127.0.0.1:{deaf.getsockname()[1]}/x?access_token=SECRET")
    assert "SECRET" not in str(error.value)


def test_a_hang_up_instead_of_a_reply_is_lost() -> None:
    with serving(lambda got, sock: None) as server, pytest.raises(Lost) as lost:
        sent(f"{server.url}/x?access_token=SECRET")
    assert "SECRET" not in str(lost.value)


@pytest.mark.parametrize("stream", [True, False])
def test_a_short_body_is_lost_and_never_taken_as_whole(stream: bool) -> None:
    def short(got: Got, sock: socket.socket) -> None:
        sock.sendall(answer(body=b"half", length=8))

    with serving(short) as server, pytest.raises(Lost):
        sent(server.url, stream=stream)


def test_silence_is_a_time_out() -> None:
    with serving(lambda got, sock: b"") as server, pytest.raises(TimedOut):
        sent(server.url, read_timeout_s=0.05)


def test_a_stall_inside_the_body_is_a_time_out() -> None:
    with serving(lambda got, sock: answer(body=b"half", length=8)) as server, pytest.raises(Lost):
        sent(server.url, read_timeout_s=0.05)


def test_a_body_is_streamed_and_arrives() -> None:
    data = bytes(range(256)) * 4096
    with serving(lambda got, sock: answer()) as server:
        transport = RequestsTransport()
        transport.send(Request("POST", server.url, body=Bytes(data))).read()
        assert server.got[0].body == data
        transport.close()


class Broken:
    size = 1 << 20

    def open(self) -> BinaryIO:
        return io.BytesIO(b"too short")


def test_a_body_that_is_shorter_than_it_said_is_told_as_such() -> None:
    with serving(lambda got, sock: answer()) as server:
        transport = RequestsTransport()
        with pytest.raises(InvalidArgument, match="ends at 9 of 1048576"):
            transport.send(Request("POST", server.url, body=Broken()))
        transport.close()


def test_a_url_that_is_none_is_an_argument() -> None:
    with pytest.raises(InvalidArgument):
        sent("nonsense")


def in_background(transport: RequestsTransport, request: Request) -> tuple[threading.Thread, list[BaseException]]:
    raised: list[BaseException] = []

    def work() -> None:
        try:
            transport.send(request).read()
        except BaseException as error:  # noqa: BLE001
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, raised


@pytest.mark.parametrize("how", ["cancel", "close"])
def test_a_request_under_way_is_given_up(how: str) -> None:
    arrived = threading.Event()

    def silent(got: Got, sock: socket.socket) -> bytes:
        arrived.set()
        return b""

    with serving(silent) as server:
        transport, cancel = RequestsTransport(), Cancel()
        thread, raised = in_background(transport, Request("GET", server.url, cancel=cancel, read_timeout_s=600))
        assert arrived.wait(30)
        cancel.cancel() if how == "cancel" else transport.close()
        thread.join(30)
        assert [type(error) for error in raised] == [Cancelled]
        transport.close()


def test_a_late_cancel_does_not_hit_the_next_request_on_the_connection() -> None:
    with serving(lambda got, sock: answer(body=b"x")) as server:
        transport, first = RequestsTransport(), Cancel()
        transport.send(Request("GET", server.url, cancel=first)).read()
        response = transport.send(Request("GET", server.url))
        first.cancel()
        assert response.read() == b"x"
        assert server.connections == 1
        transport.close()


def test_a_closed_transport_sends_nothing() -> None:
    transport = RequestsTransport()
    transport.close()
    with pytest.raises(Cancelled):
        transport.send(Request("GET", "http://127.0.0.1:9/"))


def test_the_kernel_finds_out_when_a_server_is_out_of_reach() -> None:
    with serving(lambda got, sock: answer(body=b"x")) as server:
        transport = RequestsTransport()
        transport.send(Request("GET", server.url)).read()
        pools = transport._adapter.poolmanager.pools
        [pool] = [pools[key] for key in pools.keys()]  # noqa: SIM118 - it is no dict
        connection = pool._get_conn()
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        idle_s, between_s, times = (connection.sock.getsockopt(socket.IPPROTO_TCP, each) for each in options)
        assert connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert idle_s + between_s * times < (ATTEMPTS - 1) * ReadingOptions().stall_s
        pool._put_conn(connection)
        transport.close()


def test_ranges_of_a_download_come_over_one_connection() -> None:
    data = bytes(range(256)) * 2048

    def ranges(got: Got, sock: socket.socket) -> bytes:
        if got.line.startswith("GET /2.0/"):
            return answer(302, b"", f"Location: {server.url}/dl")
        first, _, last = got.headers["range"].removeprefix("bytes=").partition("-")
        body = data[int(first) : int(last) + 1]
        return answer(206, body, f"Content-Range: bytes {first}-{last}/{len(data)}")

    with serving(ranges) as server:
        drive = BoxDrive(StaticToken("T"), api_url=server.url)
        download = drive.download(ItemId("7"), None)
        for start in range(0, len(data), 100_000):
            stop = min(start + 100_000, len(data))
            assert b"".join(download.read_range(start, stop)) == data[start:stop]
            part = bytearray(stop - start)
            assert sum(download.read_into(memoryview(part), start)) == len(part)
            assert part == data[start:stop]
        assert server.connections == 1
        drive.close()


CHUNKED = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("reply", "body"),
    [(answer(body=b"x" * 2500), b"x" * 2500), (answer(), b""), (CHUNKED, b"helloyou")],
    ids=["long", "empty", "chunked"],
)
def test_a_body_is_read_into_memory_and_its_connection_used_again(reply: bytes, body: bytes, stream: bool) -> None:
    with serving(lambda got, sock: reply) as server:
        transport = RequestsTransport()
        for _ in range(3):
            assert read_out(transport.send(Request("GET", server.url, stream=stream)), 1000) == body
        assert server.connections == 1
        transport.close()


def test_a_body_that_ends_early_is_lost_after_what_came_of_it() -> None:
    def short(got: Got, sock: socket.socket) -> None:
        sock.sendall(answer(body=b"half", length=8))

    with serving(short) as server:
        transport = RequestsTransport()
        response = transport.send(Request("GET", server.url, stream=True))
        buffer = memoryview(bytearray(8))
        assert response.read_into(buffer) == 4
        assert bytes(buffer[:4]) == b"half"
        with pytest.raises(Lost):
            response.read_into(buffer)
        response.close()
        transport.close()


def test_a_stall_while_reading_into_memory_is_a_time_out() -> None:
    with serving(lambda got, sock: answer(body=b"half", length=8)) as server:
        transport = RequestsTransport()
        with pytest.raises(TimedOut):
            read_out(transport.send(Request("GET", server.url, stream=True, read_timeout_s=0.05)), 1000)
        transport.close()


def test_reading_into_memory_is_given_up() -> None:
    with serving(lambda got, sock: answer(body=b"half", length=8)) as server:
        transport, cancel = RequestsTransport(), Cancel()
        response = transport.send(Request("GET", server.url, stream=True, cancel=cancel, read_timeout_s=600))
        buffer = memoryview(bytearray(4))
        assert response.read_into(buffer) == 4
        cancel.cancel()
        with pytest.raises(Cancelled):
            response.read_into(buffer)
        response.close()
        transport.close()
