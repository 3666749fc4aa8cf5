"""BoxClient's search, metadata, zips, pictures, events, and what helps programmers."""

from __future__ import annotations

import io
import json
import logging
import threading
import time
import zipfile
from pathlib import Path

import pytest

from boxfs.api import BoxClient, StaticToken
from boxfs.api.models import Event, File, Folder, Resource
from boxfs.base.errors import FsError, NotFound
from tests.support.box import TOKEN, Box, EmulatorProcess


def test_search(client: BoxClient) -> None:
    folder = client.folders.create("0", "Reports")
    client.files.upload(folder.id, "quarter one.txt", b"1")
    client.files.upload("0", "quarter two.pdf", b"1")
    assert {item.name for item in client.search("quarter")} == {"quarter one.txt", "quarter two.pdf"}
    found = client.search("quarter", type="file", ancestor_folder_ids=[folder.id], file_extensions=["txt"])
    assert [item.name for item in found] == ["quarter one.txt"]


def test_metadata(client: BoxClient) -> None:
    file = client.files.upload("0", "a", b"1")
    with pytest.raises(NotFound):
        client.metadata.get("file", file.id)
    assert client.metadata.create("file", file.id, {"colour": "red"})["colour"] == "red"
    with pytest.raises(FsError) as again:
        client.metadata.create("file", file.id, {"colour": "blue"})
    assert again.value.code == "tuple_already_exists"
    patch = [{"op": "replace", "path": "/colour", "value": "green"}]
    assert client.metadata.update("file", file.id, patch)["colour"] == "green"
    changed = client.metadata.set("file", file.id, {"a/b": "1"})
    assert (changed["a/b"], changed["colour"]) == ("1", "green")
    assert client.metadata.change_properties("file", file.id, {"colour": None}) == {"a/b": "1"}
    assert len(client.metadata.list("file", file.id)) == 1
    client.metadata.delete("file", file.id)
    assert client.metadata.list("file", file.id) == []


def test_zip_download(client: BoxClient, tmp_path: Path) -> None:
    folder = client.folders.create("0", "Reports")
    client.files.upload(folder.id, "a.txt", b"hello")
    status = client.zips.download_to("all", [("folder", folder.id)], tmp_path / "all.zip")
    assert (status.state, status.total_file_count) == ("succeeded", 1)
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        [name] = [each for each in archive.namelist() if each.endswith("a.txt")]
        assert archive.read(name) == b"hello"


def picture() -> bytes:
    from PIL import Image

    sink = io.BytesIO()
    Image.new("RGB", (400, 300), "red").save(sink, "PNG")
    return sink.getvalue()


def test_thumbnails(client: BoxClient) -> None:
    file = client.files.upload("0", "a.png", picture())
    small = client.files.thumbnail(file.id, min_height=32, min_width=32)
    assert small is not None
    assert small.startswith(b"\x89PNG")


def test_representations(client: BoxClient) -> None:
    file = client.files.upload("0", "a.txt", b"some text")
    found = client.files.representations(file.id, "[extracted_text]")
    text = next(each for each in found if each.representation == "extracted_text")
    assert text.state in ("success", "pending", "none")
    assert client.files.representation_content(text, "") == b"some text"


def test_events_by_page(client: BoxClient) -> None:
    position = client.events.position_now()
    folder = client.folders.create("0", "Reports")
    page = client.events.get(position)
    [event] = [each for each in page.events if each.event_type == "ITEM_CREATE"]
    assert isinstance(event.source, Folder)
    assert event.source.id == folder.id
    assert client.events.get(page.next_position).events == ()


def test_events_are_followed_through_duplicates_reconnects_and_a_restart(
    client: BoxClient, box: Box, emulator: EmulatorProcess
) -> None:
    box.settings(event_duplicates=0.5, event_reorder=3, poll_reconnect_s=0.3)
    box.fault(do="reset", method="OPTIONS", path="/events", times=1)
    position = client.events.position_now("changes")
    heard: list[Event] = []
    stop, enough = threading.Event(), threading.Event()

    def listen() -> None:
        for event in client.events.follow(position, stream_type="changes", stop=stop):
            heard.append(event)
            if len(heard) >= 20:
                enough.set()

    listener = threading.Thread(target=listen)
    listener.start()
    for number in range(10):
        box.mkdir(f"/before {number}")
    emulator.restart()
    for number in range(10):
        box.mkdir(f"/after {number}")
    assert enough.wait(60)
    stop.set()
    listener.join(30)
    assert not listener.is_alive()
    names = [event.source.name for event in heard if isinstance(event.source, Folder)]
    assert sorted(names) == sorted(f"{when} {number}" for when in ("before", "after") for number in range(10))  # type: ignore[type-var]


def test_closing_the_client_ends_the_following(box: Box) -> None:
    client = BoxClient(StaticToken(TOKEN), api_url=box.url)
    ended = threading.Event()

    def listen() -> None:
        for _ in client.events.follow():
            pass
        ended.set()

    threading.Thread(target=listen, daemon=True).start()
    deadline = time.monotonic() + 30
    while not any("/events" in name for name in box.calls()) and time.monotonic() < deadline:
        time.sleep(0.01)
    client.close()
    assert ended.wait(30)


def test_the_generic_request(client: BoxClient) -> None:
    made = client.request("POST", "/folders", json={"name": "Reports", "parent": {"id": "0"}})
    assert client.request("GET", f"/folders/{made['id']}", params={"fields": "name"})["name"] == "Reports"
    raw = client.request_raw("GET", f"/folders/{made['id']}")
    assert (raw.status, json.loads(raw.read())["id"]) == (200, made["id"])
    raw.close()
    assert client.request("DELETE", f"/folders/{made['id']}", params={"recursive": True}) is None
    with pytest.raises(NotFound):
        client.request("GET", "/no_such_thing/1")


class MyFolder(Folder):
    def shout(self) -> str:
        return (self.name or "").upper()


def test_custom_classes(client: BoxClient) -> None:
    client.register("folder", MyFolder)
    folder = client.folders.create("0", "Reports")
    assert isinstance(folder, MyFolder)
    assert folder.shout() == "REPORTS"
    assert all(isinstance(item, MyFolder) for item in client.folders.items("0"))
    assert isinstance(client.files.upload(folder.id, "a", b"1").parent, MyFolder)
    with pytest.raises(TypeError, match="File"):
        client.register("file", MyFolder)


def test_logging_shows_requests_and_replies_but_no_secrets(box: Box, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("boxfs.test")
    with caplog.at_level(logging.DEBUG, "boxfs.test"):
        with BoxClient(StaticToken(TOKEN), api_url=box.url, log=logger) as client:
            folder = client.folders.create("0", "Reports")
            client.folders.create_shared_link(folder.id, password="PASSWORD1")
            client.files.read(client.files.upload(folder.id, "a", b"CONTENT"))
    assert "POST" in caplog.text
    assert '"name": "Reports"' in caplog.text
    assert "< 201" in caplog.text
    for secret in (TOKEN, "PASSWORD1", "CONTENT", "/dl/1/"):
        assert secret not in caplog.text


def test_development_mode(box: Box, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    typed = iter(["expired", TOKEN])
    monkeypatch.setattr("boxfs.api.auth.getpass", lambda question: next(typed))
    with caplog.at_level(logging.DEBUG, "boxfs.api"), BoxClient.developer(api_url=box.url) as client:
        assert client.users.me().id
    assert "users/me" in caplog.text
    assert TOKEN not in caplog.text


def test_results_are_frozen_and_keep_what_they_do_not_know(client: BoxClient) -> None:
    file = client.files.upload("0", "a", b"1")
    with pytest.raises(AttributeError):
        file.name = "b"  # type: ignore[misc]
    assert client.files.get(file.id).raw["path_collection"]["total_count"] == 1
    assert isinstance(file, File)
    assert isinstance(file, Resource)
