"""BoxDrive against scripted replies: what goes over the wire, and what comes out."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading

import pytest

from boxfs.api import longpoll
from boxfs.api.auth import StaticToken
from boxfs.api.cancel import Cancelled
from boxfs.api.drive import BoxDrive
from boxfs.api.http import Bytes, Lost, Request, Response
from boxfs.base.errors import BadReply, Changed, InDoubt, InvalidArgument, NotFound
from boxfs.base.types import Etag, ItemId, Kind, Part, VersionId
from boxfs.core.remote import Remote
from tests.unit.api.rawserver import Got, answer, serving
from tests.unit.api.scripted import Answer, Scripted, reply, session

DATA = bytes(range(256)) * 40
SHA1 = hashlib.sha1(DATA, usedforsecurity=False).hexdigest()
FILE = {"type": "file", "id": "7", "etag": "0", "name": "a", "sha1": SHA1, "size": len(DATA)}
DL = "http://dl.test/secret"
FOUND = reply(302, None, {"Location": DL})


def drive(*answers: Answer) -> tuple[BoxDrive, Scripted]:
    box, script = session(*answers)
    return BoxDrive(session=box), script


def test_it_has_the_shape_that_the_core_asks_for() -> None:
    remote: Remote = drive()[0]
    remote.close()


def test_an_upload_is_one_call_with_the_parts_in_order_and_the_sha1() -> None:
    box, script = drive(reply(201, {"total_count": 1, "entries": [FILE]}))
    item = box.upload_file(ItemId("42"), "a", Bytes(DATA), sha1=SHA1, mtime_ns=1772381730_500_000_000)
    assert item.id == "7"
    [request], [body] = script.asked, script.sent
    assert (request.method, request.url) == ("POST", "http://box.test/api/2.0/files/content")
    assert request.headers["Content-MD5"] == SHA1
    assert request.body is not None
    assert request.body.size == len(body)
    assert body.index(b'name="attributes"') < body.index(b'name="file"') < body.index(DATA)
    attributes = json.loads(body.split(b"\r\n\r\n")[1].split(b"\r\n")[0])
    assert attributes == {"name": "a", "parent": {"id": "42"}, "content_modified_at": "2026-03-01T16:15:30Z"}


def test_a_new_version_names_its_etag() -> None:
    box, script = drive(reply(412, {"type": "error", "code": "precondition_failed"}))
    with pytest.raises(Changed):
        box.upload_version(ItemId("7"), Bytes(DATA), sha1=SHA1, etag=Etag("3"), mtime_ns=None)
    assert script.asked[0].headers["If-Match"] == "3"


def test_an_upload_that_arrived_otherwise_is_refused() -> None:
    box, _ = drive(reply(201, {"entries": [{**FILE, "sha1": "0" * 40}]}))
    with pytest.raises(BadReply, match="sha1"):
        box.upload_file(ItemId("42"), "a", Bytes(DATA), sha1=SHA1, mtime_ns=None)


def test_a_lost_reply_to_an_upload_is_in_doubt() -> None:
    box, script = drive(Lost("gone"))
    with pytest.raises(InDoubt):
        box.upload_file(ItemId("42"), "a", Bytes(DATA), sha1=SHA1, mtime_ns=None)
    assert len(script.asked) == 1


def test_an_item_in_the_trash_is_not_found() -> None:
    box, _ = drive(reply(200, {**FILE, "item_status": "trashed"}))
    with pytest.raises(NotFound):
        box.item(Kind.FILE, ItemId("7"))


def part_of(request: Request) -> Response:
    first, _, last = request.headers["Range"].removeprefix("bytes=").partition("-")
    body = DATA[int(first) : int(last) + 1]
    return reply(206, body, {"Content-Range": f"bytes {first}-{last}/{len(DATA)}"})


def test_one_url_serves_all_ranges_and_gets_no_token() -> None:
    box, script = drive(FOUND, part_of, part_of)
    download = box.download(ItemId("7"), VersionId("91"))
    assert script.asked == []
    assert b"".join(download.read_range(10, 20)) == DATA[10:20]
    assert b"".join(download.read_range(5000, 6000)) == DATA[5000:6000]
    assert [request.url for request in script.asked] == ["http://box.test/2.0/files/7/content", DL, DL]
    assert script.asked[0].params == {"version": "91"}
    assert [("Authorization" in request.headers) for request in script.asked] == [True, False, False]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_url_that_died_is_asked_for_anew(status: int) -> None:
    box, script = drive(FOUND, part_of, reply(status), FOUND, part_of)
    download = box.download(ItemId("7"), None)
    for _ in range(2):
        assert b"".join(download.read_range(0, 9)) == DATA[:9]
    assert len(script.asked) == 5


def test_a_whole_body_instead_of_the_range_is_cut() -> None:
    box, _ = drive(FOUND, lambda request: reply(200, DATA))
    assert b"".join(box.download(ItemId("7"), None).read_range(100, 300)) == DATA[100:300]


def test_a_box_that_sends_the_bytes_itself_is_read_without_a_second_call() -> None:
    box, script = drive(part_of, part_of)
    download = box.download(ItemId("7"), None)
    assert b"".join(download.read_range(0, 9)) + b"".join(download.read_range(9, 20)) == DATA[:20]
    assert len(script.asked) == 2


def short_of(count: int) -> Answer:
    def send(request: Request) -> Response:
        whole = part_of(request)

        def pieces() -> object:
            yield whole.read()[:count]
            raise Lost("broken off")

        return Response(206, whole.headers, pieces())  # type: ignore[arg-type]

    return send


def test_a_body_that_ends_early_is_fetched_on_from_there() -> None:
    box, script = drive(FOUND, short_of(100), part_of)
    assert b"".join(box.download(ItemId("7"), None).read_range(0, 1000)) == DATA[:1000]
    assert script.asked[2].headers["Range"] == "bytes=100-999"


def test_a_download_that_gives_nothing_again_and_again_raises() -> None:
    box, _ = drive(FOUND, *[short_of(0)] * 10)
    with pytest.raises(Lost):
        b"".join(box.download(ItemId("7"), None).read_range(0, 1000))


@pytest.mark.parametrize("given", ["bytes 0-9/100", "bytes 10-19/15", "nonsense", ""])
def test_another_range_than_asked_is_refused(given: str) -> None:
    box, _ = drive(FOUND, reply(206, b"0123456789", {"Content-Range": given}))
    with pytest.raises(BadReply):
        b"".join(box.download(ItemId("7"), None).read_range(10, 20))


@pytest.mark.parametrize("page", [b"<html>log in to the network</html>", b""])
def test_the_page_of_a_proxy_is_not_the_file(page: bytes) -> None:
    told = reply(200, page, {"Content-Length": str(len(page)), "Content-Type": "text/html"})
    box, _ = drive(FOUND, told)
    buffer = memoryview(bytearray(100))
    with pytest.raises(BadReply):
        next(box.download(ItemId("7"), None).read_into(buffer, 0))
    assert bytes(buffer) == bytes(100)


@pytest.mark.parametrize(
    ("status", "headers"), [(200, {}), (206, {"Content-Range": f"bytes 0-99/{len(DATA)}"})], ids=["whole", "part"]
)
def test_bytes_that_come_encoded_are_not_taken_for_the_files(status: int, headers: dict[str, str]) -> None:
    body = gzip.compress(DATA)
    box, _ = drive(FOUND, reply(status, body, {"Content-Encoding": "gzip", **headers}))
    with pytest.raises(BadReply):
        next(box.download(ItemId("7"), None).read_into(memoryview(bytearray(100)), 0))
    box, _ = drive(FOUND, reply(status, DATA[: 100 if headers else None], {"Content-Encoding": "identity", **headers}))
    assert b"".join(box.download(ItemId("7"), None).read_range(0, 100)) == DATA[:100]


def test_a_part_that_says_no_range_is_taken_by_its_length() -> None:
    box, _ = drive(FOUND, reply(206, DATA[10:20], {"Content-Length": "10"}))
    assert b"".join(box.download(ItemId("7"), None).read_range(10, 20)) == DATA[10:20]


def test_a_version_that_is_gone_is_not_found() -> None:
    box, _ = drive(reply(404, {"type": "error", "code": "not_found"}))
    with pytest.raises(NotFound):
        b"".join(box.download(ItemId("7"), VersionId("1")).read_range(0, 1))


def test_a_client_that_is_closed_says_so_to_all_who_wait_for_a_download() -> None:
    """Not that Box gave addresses that do not work."""

    def closing(_request: Request) -> Response:
        raise Cancelled("the client is closed")

    box, script = drive(*[closing] * 5)
    with pytest.raises(Cancelled):
        next(box.download(ItemId("7"), None).read_into(memoryview(bytearray(9)), 0))
    assert len(script.asked) == 1


def test_an_empty_range_asks_nothing() -> None:
    box, script = drive()
    assert list(box.download(ItemId("7"), None).read_range(0, 0)) == []
    assert script.asked == []


OPENED = {
    "id": "S1",
    "part_size": 4096,
    "total_parts": 3,
    "session_endpoints": {
        name: f"http://up7.test/S1/{name}" for name in ("upload_part", "commit", "abort", "list_parts")
    },
}
PART = {"part_id": "6F2D3486", "offset": 0, "size": 4096, "sha1": None}


def test_a_chunked_upload_goes_where_box_said() -> None:
    created = {"entries": [FILE]}
    box, script = drive(
        reply(201, OPENED),
        reply(200, {"part": PART}),
        reply(202, None, {"Retry-After": "0"}),
        reply(400, {"type": "error", "code": "invalid_part"}),
        reply(201, created),
    )
    upload = box.create_session(parent_id=ItemId("42"), name="a", size=len(DATA))
    piece = hashlib.sha1(DATA[:4096], usedforsecurity=False).hexdigest()
    part = box.upload_part(upload, Bytes(DATA[:4096]), offset=0, sha1=piece, total_size=len(DATA))
    assert part == Part("6F2D3486", 0, 4096)
    assert script.asked[1].url == "http://up7.test/S1/upload_part"
    assert script.asked[1].headers["Content-Range"] == f"bytes 0-4095/{len(DATA)}"
    with pytest.raises(InvalidArgument):
        box.commit_session(upload, [part], sha1=SHA1, mtime_ns=None)
    assert box.commit_session(upload, [part], sha1=SHA1, mtime_ns=0, etag=Etag("2")).id == "7"
    assert script.asked[-1].headers["Digest"].startswith("sha=")
    assert script.asked[-1].headers["If-Match"] == "2"
    assert json.loads(script.sent[-1])["parts"] == [{"part_id": "6F2D3486", "offset": 0, "size": 4096}]


def test_a_part_that_is_there_already_is_looked_up() -> None:
    piece = hashlib.sha1(DATA[:4096], usedforsecurity=False).hexdigest()
    box, _ = drive(
        reply(201, OPENED),
        reply(409, {"type": "error", "code": "range_overlaps_existing_part"}),
        reply(200, {"entries": [{**PART, "sha1": piece}], "total_count": 1}),
    )
    upload = box.create_session(parent_id=ItemId("42"), name="a", size=len(DATA))
    part = box.upload_part(upload, Bytes(DATA[:4096]), offset=0, sha1=piece, total_size=len(DATA))
    assert part.part_id == "6F2D3486"


def test_properties_are_created_or_patched_with_one_call() -> None:
    box, script = drive(reply(201, {"$version": 0, "mode": "0644"}), reply(200, {"$version": 1, "a/b~c": "1"}))
    assert box.set_properties(Kind.FILE, ItemId("7"), {"mode": "0644"}, known={}) == {"mode": "0644"}
    changes = {"a/b~c": "1", "mode": None, "absent": None}
    assert box.set_properties(Kind.FILE, ItemId("7"), changes, known={"mode": "0644"}) == {"a/b~c": "1"}
    assert json.loads(script.sent[1]) == [
        {"op": "add", "path": "/a~1b~0c", "value": "1"},
        {"op": "remove", "path": "/mode"},
    ]
    assert box.set_properties(Kind.FILE, ItemId("7"), {"a": "1"}, known={"a": "1"}) == {"a": "1"}
    assert len(script.asked) == 2


def test_properties_that_were_not_as_we_held_them_are_looked_at() -> None:
    exists = {"type": "error", "code": "tuple_already_exists"}
    box, script = drive(reply(409, exists), reply(200, {"x": "1"}), reply(200, {"x": "1", "mode": "0600"}))
    found = box.set_properties(Kind.FOLDER, ItemId("42"), {"mode": "0600"}, known={})
    assert found == {"x": "1", "mode": "0600"}
    assert [request.method for request in script.asked] == ["POST", "GET", "PUT"]


def realtime(url: str, **more: object) -> Response:
    return reply(200, {"entries": [{"type": "realtime_server", "url": url, "ttl": "10", "max_retries": "2", **more}]})


@pytest.mark.parametrize(("message", "expected"), [("new_change", True), ("reconnect", False), ("max_retries", False)])
def test_the_long_poll_says_whether_there_is_news(message: str, expected: bool) -> None:
    box, script = drive(realtime("http://rt.test/s?channel=c"), reply(200, {"message": message}))
    assert box.wait_for_events(30401068076164269, stop=lambda: False) is expected
    assert [request.method for request in script.asked] == ["OPTIONS", "GET"]
    assert script.asked[1].url == "http://rt.test/s?channel=c&stream_position=30401068076164269"
    assert "Authorization" not in script.asked[1].headers


def test_the_long_poll_is_given_up_at_once() -> None:
    polled = threading.Event()

    def handler(got: Got, sock: object) -> bytes:
        if got.line.startswith("OPTIONS"):
            entry = {"type": "realtime_server", "url": f"{url[0]}/poll", "max_retries": 2, "retry_timeout": 610}
            return answer(200, json.dumps({"entries": [entry]}).encode())
        polled.set()
        return b""

    with serving(handler) as server:
        url = [server.url]
        box = BoxDrive(StaticToken("T"), api_url=server.url)
        assert box.wait_for_events(0, stop=polled.is_set) is False
        box.close()


def test_who_waits_for_news_is_woken_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(longpoll, "LOOK_S", 3600.0)
    wake = threading.Event()
    polled = threading.Event()

    def handler(got: Got, sock: object) -> bytes:
        if got.line.startswith("OPTIONS"):
            entry = {"type": "realtime_server", "url": f"{url[0]}/poll", "max_retries": 2, "retry_timeout": 610}
            return answer(200, json.dumps({"entries": [entry]}).encode())
        polled.set()
        wake.set()
        return b""

    with serving(handler) as server:
        url = [server.url]
        box = BoxDrive(StaticToken("T"), api_url=server.url)
        assert box.wait_for_events(0, stop=polled.is_set, wake=wake) is False
        box.close()


def test_silence_is_polled_again_at_the_same_address() -> None:
    def handler(got: Got, sock: object) -> bytes:
        if got.line.startswith("OPTIONS"):
            entry = {"type": "realtime_server", "url": f"{url[0]}/poll", "max_retries": "2", "retry_timeout": 0.1}
            return answer(200, json.dumps({"entries": [entry]}).encode())
        return b""

    with serving(handler) as server:
        url = [server.url]
        box = BoxDrive(StaticToken("T"), api_url=server.url)
        assert box.wait_for_events(0, stop=lambda: False) is False
        assert [got.line.split()[0] for got in server.got] == ["OPTIONS", "GET", "GET"]
        box.close()


def test_a_folder_path_begins_at_the_root() -> None:
    above = {"total_count": 1, "entries": [{"type": "folder", "id": "0", "name": "All Files"}]}
    box, _ = drive(reply(200, {"type": "folder", "id": "42", "path_collection": above}))
    assert box.folder_path(ItemId("42")) == ["0", "42"]
    assert box.folder_path(ItemId("0")) == ["0"]
