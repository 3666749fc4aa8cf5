"""BoxDrive against the emulator: the contract of boxfs.core.remote over real HTTP."""

from __future__ import annotations

import hashlib
import threading

import pytest

from boxfs.api.auth import StaticToken
from boxfs.api.drive import BoxDrive
from boxfs.api.http import Bytes
from boxfs.api.listing import by_marker, whole_folder
from boxfs.base.errors import Changed, NameTaken, NotEmpty, NotFound, Unauthorized, Unreachable
from boxfs.base.types import ROOT_FOLDER, Etag, EventKind, Item, Kind
from boxfs.core.remote import Remote
from tests.support.box import Box, EmulatorProcess

FILE, FOLDER = Kind.FILE, Kind.FOLDER


def sha1(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def put(drive: Remote, name: str, data: bytes, mtime_ns: int | None = None) -> Item:
    return drive.upload_file(ROOT_FOLDER, name, Bytes(data), sha1=sha1(data), mtime_ns=mtime_ns)


def read(drive: Remote, item: Item, start: int = 0, stop: int | None = None) -> bytes:
    data = bytearray((item.size or 0 if stop is None else stop) - start)
    assert sum(drive.download(item.id, item.version_id).read_into(memoryview(data), start)) == len(data)
    return bytes(data)


def test_a_file_goes_up_and_comes_down(drive: BoxDrive, box: Box) -> None:
    data = bytes(range(256)) * 2000
    item = put(drive, "Zoë 日本.bin", data, mtime_ns=1772381730_123_456_789)
    assert (item.name, item.size, item.sha1, item.parent_id) == ("Zoë 日本.bin", len(data), sha1(data), ROOT_FOLDER)
    assert item.content_modified_ns == 1772381730 * 10**9
    assert read(drive, item) == data
    assert read(drive, item, 1000, 70000) == data[1000:70000]
    assert put(drive, "empty", b"").size == 0
    assert box.read("/Zoë 日本.bin") == data


def test_calls_are_not_doubled(drive: BoxDrive, box: Box) -> None:
    box.clear_log()
    item = put(drive, "a", b"x" * 100_000)
    download = drive.download(item.id, item.version_id)
    for start in range(0, 100_000, 10_000):
        assert len(b"".join(download.read_range(start, start + 10_000))) == 10_000
    drive.list_folder(ROOT_FOLDER)
    calls = {name: count for name, count in box.calls().items() if "/2.0/" in name}
    assert sorted(calls.values()) == [1, 1, 1], calls


def test_a_listing_brings_everything_that_an_item_needs(drive: BoxDrive) -> None:
    folder = drive.create_folder(ROOT_FOLDER, "Reports")
    file = put(drive, "a", b"hello")
    drive.set_properties(FILE, file.id, {"boxfs.mode": "0600"}, known={})
    found = {item.name: item for item in drive.list_folder(ROOT_FOLDER)}
    listed = found["a"]
    assert (listed.id, listed.size, listed.sha1, listed.version_id) == (file.id, 5, sha1(b"hello"), file.version_id)
    assert listed.properties == {"boxfs.mode": "0600"}
    assert (listed.can_upload, listed.can_delete, listed.can_download) == (True, True, True)
    assert listed.parent_id == ROOT_FOLDER
    assert found["Reports"].properties == {}
    assert (found["Reports"].id, found["Reports"].kind) == (folder.id, FOLDER)


def test_a_folder_of_several_pages_is_whole(drive: BoxDrive, box: Box) -> None:
    for number in range(25):
        drive.create_folder(ROOT_FOLDER, f"f{number}")
    names = {f"f{number}" for number in range(25)}
    for holes in (0, 3):
        with box.knobs(listing_holes=holes):
            found = whole_folder(drive.session, "/folders/0/items", lambda entry: entry["name"], fields="name", limit=7)
        assert set(found) == names
        assert len(found) == 25
    for marker in ("null", "empty", "absent"):
        with box.knobs(last_marker=marker):
            assert len(list(by_marker(drive.session, "/folders/0/items", fields="name", limit=7))) == 25


def test_a_new_version_is_guarded_by_the_etag(drive: BoxDrive) -> None:
    item = put(drive, "a", b"one")
    newer = drive.upload_version(item.id, Bytes(b"two"), sha1=sha1(b"two"), etag=item.etag, mtime_ns=None)
    assert (newer.id, newer.size) == (item.id, 3)
    assert newer.version_id != item.version_id
    with pytest.raises(Changed):
        drive.upload_version(item.id, Bytes(b"three"), sha1=sha1(b"three"), etag=item.etag, mtime_ns=None)
    assert read(drive, item) == b"one"  # the old version, by its id
    assert [version.id for version in drive.versions(item.id)] == [item.version_id]


def test_a_taken_name_tells_its_holder(drive: BoxDrive) -> None:
    folder, file = drive.create_folder(ROOT_FOLDER, "Reports"), put(drive, "a", b"1")
    with pytest.raises(NameTaken) as taken:
        drive.create_folder(ROOT_FOLDER, "REPORTS")
    assert taken.value.holder is not None
    assert taken.value.holder.id == folder.id
    with pytest.raises(NameTaken) as taken:
        put(drive, "A", b"2")
    assert taken.value.holder is not None
    assert (taken.value.holder.id, taken.value.holder.kind) == (file.id, FILE)
    with pytest.raises(NameTaken):
        drive.update(FILE, file.id, name="Reports")


def test_rename_move_and_time_are_one_call(drive: BoxDrive, box: Box) -> None:
    folder, file = drive.create_folder(ROOT_FOLDER, "Reports"), put(drive, "a", b"1")
    box.clear_log()
    moved = drive.update(FILE, file.id, name="b", parent_id=folder.id, mtime_ns=10**18)
    assert (moved.name, moved.parent_id, moved.content_modified_ns) == ("b", folder.id, 10**18)
    assert sum(box.calls().values()) == 1
    assert drive.folder_path(folder.id) == [ROOT_FOLDER, folder.id]
    with pytest.raises(Changed):
        drive.update(FILE, file.id, name="c", etag=Etag("99"))


def test_what_is_deleted_is_gone_and_can_be_restored(drive: BoxDrive) -> None:
    folder, file = drive.create_folder(ROOT_FOLDER, "Reports"), put(drive, "a", b"1")
    copy = drive.copy_file(file.id, folder.id, "copy")
    assert (copy.parent_id, copy.sha1) == (folder.id, file.sha1)
    with pytest.raises(NotEmpty):
        drive.delete(FOLDER, folder.id)
    drive.delete(FOLDER, folder.id, recursive=True)
    drive.delete(FILE, file.id, etag=file.etag)
    for kind, item_id in ((FOLDER, folder.id), (FILE, file.id)):
        with pytest.raises(NotFound):
            drive.item(kind, item_id)
    assert drive.restore(FILE, file.id, name="again").name == "again"
    with pytest.raises(NotFound):
        drive.list_folder(folder.id)


def test_a_chunked_upload(drive: BoxDrive, box: Box) -> None:
    data = bytes(range(256)) * 1024
    box.settings(part_size=65536, min_session_size=1000)
    upload = drive.create_session(parent_id=ROOT_FOLDER, name="big", size=len(data))
    assert upload.part_size == 65536
    parts = []
    for offset in range(0, len(data), upload.part_size):
        piece = data[offset : offset + upload.part_size]
        for _ in range(2):  # a repetition is looked up
            part = drive.upload_part(upload, Bytes(piece), offset=offset, sha1=sha1(piece), total_size=len(data))
        parts.append(part)
    assert [part.offset for part in drive.list_parts(upload)] == [part.offset for part in parts]
    item = drive.commit_session(upload, parts[::-1], sha1=sha1(data), mtime_ns=10**18)
    assert (item.name, item.sha1, item.content_modified_ns) == ("big", sha1(data), 10**18)
    drive.abort_session(upload)
    again = drive.create_version_session(item.id, size=len(data))
    drive.abort_session(again)
    with pytest.raises(NotFound):
        drive.commit_session(again, parts, sha1=sha1(data), mtime_ns=None)


def test_properties_and_locks(drive: BoxDrive, box: Box) -> None:
    file = put(drive, "a", b"1")
    set_ = drive.set_properties
    assert set_(FILE, file.id, {"a/b": "1", "c": "2"}, known=None) == {"a/b": "1", "c": "2"}
    assert set_(FILE, file.id, {"a/b": None, "d": "3"}, known={"a/b": "1", "c": "2"}) == {"c": "2", "d": "3"}
    assert set_(FILE, file.id, {"gone": None, "e": "4"}, known={"gone": "x"}) == {"c": "2", "d": "3", "e": "4"}
    lock = drive.set_lock(file.id, expires_ns=4102444800 * 10**9)
    assert lock is not None
    assert drive.item(FILE, file.id).lock is not None
    assert drive.set_lock(file.id, expires_ns=None) is None


def test_a_change_made_elsewhere_is_heard(drive: BoxDrive, box: Box) -> None:
    position = drive.events_now()
    heard = threading.Event()

    def listen() -> None:
        if drive.wait_for_events(position, stop=lambda: False):
            heard.set()

    listener = threading.Thread(target=listen)
    listener.start()
    box.mkdir("/Made elsewhere")
    assert heard.wait(30)
    listener.join(30)
    page = drive.events(position)
    assert [(event.kind, event.item and event.item.name) for event in page.events] == [
        (EventKind.CHANGED, "Made elsewhere")
    ]
    assert drive.events(page.next_position).events == ()


def test_who_is_refused_hears_what_to_do(box: Box) -> None:
    remote = BoxDrive(StaticToken("wrong"), api_url=box.url)
    with pytest.raises(Unauthorized, match="log in again"):
        remote.account()
    remote.close()
    with pytest.raises(Unreachable):
        remote.account()


def test_the_account_says_its_space(drive: BoxDrive) -> None:
    account = drive.account()
    assert account.login
    assert account.space_amount > account.space_used >= 0
    assert account.max_upload_size > 0


def test_an_emulator_that_is_away_is_unreachable(emulator: EmulatorProcess, box: Box, drive: BoxDrive) -> None:
    put(drive, "a", b"1")
    emulator.kill()
    with pytest.raises(Unreachable, match="no connection"):
        drive.list_folder(ROOT_FOLDER)
    emulator.start()
    assert [item.name for item in drive.list_folder(ROOT_FOLDER)] == ["a"]


def test_after_news_the_same_server_is_polled_again(drive: BoxDrive, box: Box) -> None:
    position = drive.events_now()
    for n in range(3):
        box.mkdir(f"/Made elsewhere {n}")
        assert drive.wait_for_events(position, stop=lambda: False)
        position = drive.events(position).next_position
    assert sum(call["method"] == "OPTIONS" for call in box.log()) == 1
