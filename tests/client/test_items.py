"""BoxClient's files, folders and web links against the emulator: one test a feature."""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest

from boxfs.api import BoxClient
from boxfs.api.models import File, Folder, WebLink
from boxfs.base.errors import BadReply, Changed, Denied, Locked, NameTaken, NotEmpty, NotFound
from tests.support.box import Box

DATA = bytes(range(256)) * 1024
WHEN = datetime(2026, 3, 1, 16, 15, 30, tzinfo=UTC)


class OnceOnly(io.RawIOBase):
    """A stream that cannot seek, as a pipe is."""

    def __init__(self, data: bytes) -> None:
        self._inner = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        return self._inner.readinto(buffer)


def test_upload_from_bytes_path_and_stream(client: BoxClient, tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_bytes(DATA)
    for name, source in (("bytes", DATA), ("path", path), ("stream", OnceOnly(DATA))):
        file = client.files.upload("0", name, source, modified_at=WHEN)  # type: ignore[arg-type]
        assert isinstance(file, File)
        assert (file.name, file.size, file.sha1) == (name, len(DATA), hashlib.sha1(DATA).hexdigest())
        assert file.content_modified_at == WHEN


def test_an_upload_never_replaces(client: BoxClient) -> None:
    first = client.files.upload("0", "a", b"1")
    with pytest.raises(NameTaken) as taken:
        client.files.upload("0", "A", b"2")
    assert taken.value.holder is not None
    assert (taken.value.holder.id, taken.value.request_id is not None) == (first.id, True)


def test_preflight(client: BoxClient) -> None:
    assert client.files.preflight("0", "new", 10)
    client.files.upload("0", "a", b"1")
    with pytest.raises(NameTaken):
        client.files.preflight("0", "a")


def test_overwrite_with_and_without_etag(client: BoxClient) -> None:
    file = client.files.upload("0", "a", b"1")
    newer = client.files.upload_version(file.id, b"22", etag=file.etag, name="b", modified_at=WHEN)
    assert (newer.id, newer.size, newer.name, newer.content_modified_at) == (file.id, 2, "b", WHEN)
    with pytest.raises(Changed):
        client.files.upload_version(file.id, b"333", etag=file.etag)
    assert client.files.upload_version(file.id, b"333").size == 3


def test_download_whole_range_and_version(client: BoxClient, box: Box) -> None:
    file = client.files.upload("0", "a", DATA)
    client.files.upload_version(file.id, b"newer")
    assert client.files.read(file.id) == b"newer"
    assert file.file_version is not None
    old = file.file_version.id
    assert client.files.read(file.id, version_id=old) == DATA
    assert client.files.read(file.id, version_id=old, start=1000, stop=70_000) == DATA[1000:70_000]
    with client.files.download(file.id, version_id=old) as stream:
        assert stream.read(10) == DATA[:10]
        assert stream.read() == DATA[10:]
    now = client.files.get(file.id)
    assert now.file_version is not None
    assert client.files.read(file.id, version_id=now.file_version.id) == b"newer"
    with pytest.raises(NotFound):
        client.files.read(file.id, version_id="987654321")


def test_a_file_of_this_client_is_read_with_one_call(client: BoxClient, box: Box) -> None:
    file = client.files.upload("0", "a", DATA)
    box.clear_log()
    assert client.files.read(file) == DATA
    assert sum(count for name, count in box.calls().items() if "/2.0/" in name) == 1


def test_download_to_a_path_and_a_stream(client: BoxClient, tmp_path: Path) -> None:
    file = client.files.upload("0", "a", DATA)
    client.files.download_to(file, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == DATA
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]
    sink = io.BytesIO()
    client.files.download_to(file.id, sink)
    assert sink.getvalue() == DATA


def test_a_download_that_is_not_what_box_holds_is_refused(client: BoxClient, box: Box, tmp_path: Path) -> None:
    file = client.files.upload("0", "a", DATA)
    box.fault(do="corrupt", method="GET", path="/dl/")
    with pytest.raises(BadReply, match="sha1"):
        client.files.download_to(file, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_chunked_upload_new_and_version(client: BoxClient, box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boxfs.api.resources.files.CHUNKED_FROM_BYTES", 100_000)
    box.settings(part_size=65536, min_session_size=100_000, commit_202=1, retry_after_s=0)
    file = client.files.upload("0", "big", DATA, modified_at=WHEN)
    assert (file.size, file.content_modified_at) == (len(DATA), WHEN)
    newer = client.files.upload_version(file.id, DATA[::-1], etag=file.etag)
    assert (newer.id, client.files.read(newer)) == (file.id, DATA[::-1])


def test_a_chunked_upload_is_resumed_or_given_up(client: BoxClient, box: Box, tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(DATA)
    box.settings(part_size=65536, min_session_size=100_000)
    upload = client.files.chunked_upload("0", "big", path)
    box.fault(do="status", status=403, method="PUT", path="upload_sessions", skip=2, times=1)
    with pytest.raises(Denied):
        upload.run()
    box.clear_log()
    upload.run()
    parts = [entry for entry in box.log() if entry["method"] == "PUT"]
    assert 1 <= len(parts) < 4
    assert box.read("/big") == DATA
    other = client.files.chunked_upload("0", "other", path)
    other.abort()
    with pytest.raises(NotFound):
        other.run()


def test_an_upload_session_that_a_dead_process_left_is_no_obstacle(client: BoxClient, box: Box, tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(DATA)
    box.settings(part_size=65536, min_session_size=100_000, session_conflict=True)
    dead = client.files.chunked_upload("0", "big", path)
    assert client.files.chunked_upload("0", "big", path).run()["size"] == len(DATA)
    with pytest.raises(NotFound):
        dead.run()


def test_copy_move_rename(client: BoxClient) -> None:
    folder = client.folders.create("0", "Reports")
    file = client.files.upload("0", "a", b"1")
    copy = client.files.copy(file.id, folder.id, name="copy")
    assert (copy.name, copy.parent and copy.parent.id) == ("copy", folder.id)
    moved = client.files.move(file.id, folder.id, name="b")
    assert (moved.name, moved.parent and moved.parent.id) == ("b", folder.id)
    assert client.files.rename(file.id, "c", etag=moved.etag).name == "c"
    with pytest.raises(NameTaken):
        client.files.rename(file.id, "copy")
    tree = client.folders.copy(folder.id, "0", name="Copy of reports")
    assert {item.name for item in client.folders.items(tree.id)} == {"c", "copy"}


def test_delete_restore_and_delete_permanently(client: BoxClient) -> None:
    folder = client.folders.create("0", "Reports")
    file = client.files.upload(folder.id, "a", b"1")
    with pytest.raises(NotEmpty):
        client.folders.delete(folder.id)
    with pytest.raises(Changed):
        client.files.delete(file.id, etag="99")
    client.files.delete(file.id, etag=file.etag)
    assert [(item.type, item.id) for item in client.trash.items()] == [("file", file.id)]
    assert client.files.get_trashed(file.id).item_status == "trashed"
    assert client.files.restore(file.id, name="again").name == "again"
    client.folders.delete(folder.id, recursive=True)
    client.folders.delete_permanently(folder.id)
    assert list(client.trash.items()) == []
    with pytest.raises(NotFound):
        client.folders.restore(folder.id)


def test_folder_listings(client: BoxClient) -> None:
    folder = client.folders.create("0", "Reports")
    client.files.upload(folder.id, "b", b"22")
    client.files.upload(folder.id, "a", b"1")
    client.folders.create(folder.id, "z")
    client.web_links.create(folder.id, "https://example.com/", name="link")
    found = list(client.folders.items(folder.id))
    assert [type(item) for item in found] == [Folder, File, File, WebLink]
    assert found == client.folders.list(folder.id)
    by_size = client.folders.items_sorted(folder.id, sort="size", direction="DESC")
    assert [item.name for item in by_size if isinstance(item, File)] == ["b", "a"]
    only_names = next(client.folders.items(folder.id, fields=["name"]))
    assert (only_names.name, only_names.created_at) == ("z", None)
    assert client.folders.get("0").name == "All Files"


def test_etag_and_fields_of_a_get(client: BoxClient) -> None:
    file = client.files.upload("0", "a", b"1", description="of use")
    got = client.files.get(file.id, fields=["description", "permissions"])
    assert (got.description, got.name) == ("of use", None)
    assert got.permissions is not None
    assert client.files.update(file.id, description="").description == ""


def test_shared_link_with_everything(client: BoxClient, bob: BoxClient) -> None:
    folder = client.folders.create("0", "Reports")
    file = client.files.upload(folder.id, "a", b"shared")
    expires = datetime(2099, 1, 2, tzinfo=UTC)
    link = client.folders.create_shared_link(
        folder.id, access="open", password="PASSWORD1", unshared_at=expires, can_download=True
    )
    assert (link.access, link.is_password_enabled, link.unshared_at) == ("open", True, expires)
    assert link.url is not None
    with pytest.raises(Denied):
        bob.shared_links.open(link.url, password="wrong")
    opened = bob.shared_links.open(link.url, password="PASSWORD1")
    assert (opened.id, type(opened)) == (folder.id, Folder)
    guest = bob.with_shared_link(link.url, "PASSWORD1")
    assert [item.id for item in guest.folders.items(folder.id)] == [file.id]
    assert guest.files.read(file.id) == b"shared"
    with pytest.raises(NotFound):
        bob.folders.get(folder.id)
    found = client.folders.get_shared_link(folder.id)
    assert found is not None
    assert found.url == link.url
    client.folders.remove_shared_link(folder.id)
    assert client.folders.get_shared_link(folder.id) is None
    assert client.files.create_shared_link(file.id).url


def test_versions(client: BoxClient) -> None:
    file = client.files.upload("0", "first", b"1")
    client.files.upload_version(file.id, b"22", name="second")
    [old] = client.files.list_versions(file.id)
    assert (old.size, old.name) == (1, "first")
    promoted = client.files.promote_version(file.id, old.id)
    assert promoted.id != old.id
    assert client.files.read(file.id) == b"1"
    client.files.delete_version(file.id, old.id)
    assert client.files.get_version(file.id, old.id).trashed_at is not None
    assert client.files.restore_version(file.id, old.id).trashed_at is None


def test_locks(client: BoxClient, bob: BoxClient) -> None:
    folder = client.folders.create("0", "Shared")
    file = client.files.upload(folder.id, "a", b"1")
    bob_id = bob.users.me().id
    client.collaborations.create("folder", folder.id, "editor", user_id=bob_id)
    lock = client.files.lock(file.id, expires_at=datetime(2099, 1, 1, tzinfo=UTC), prevent_download=True)
    assert lock is not None
    assert lock.is_download_prevented
    with pytest.raises(Locked):
        bob.files.upload_version(file.id, b"2")
    client.files.unlock(file.id)
    assert bob.files.upload_version(file.id, b"2").size == 1


def test_folder_locks(client: BoxClient) -> None:
    folder = client.folders.create("0", "Reports")
    lock = client.folder_locks.create(folder.id)
    assert [each.id for each in client.folder_locks.list(folder.id)] == [lock.id]
    with pytest.raises(Denied):
        client.folders.delete(folder.id)
    client.folder_locks.delete(lock.id)
    client.folders.delete(folder.id)


def test_web_links(client: BoxClient) -> None:
    link = client.web_links.create("0", "https://example.com/", name="wiki", description="about")
    assert (link.url, link.name, link.description) == ("https://example.com/", "wiki", "about")
    assert client.web_links.update(link.id, url="https://example.org/").url == "https://example.org/"
    client.web_links.delete(link.id)
    assert client.web_links.restore(link.id).id == link.id
    assert client.web_links.get(link.id).name == "wiki"


def test_collections_and_recent_items(client: BoxClient) -> None:
    folder = client.folders.create("0", "Reports")
    favorites = client.collections.favorites()
    client.folders.add_to_collection(folder.id, favorites.id)
    assert [item.id for item in client.collections.items(favorites.id)] == [folder.id]
    client.folders.remove_from_collection(folder.id, favorites.id)
    assert list(client.collections.items(favorites.id)) == []
    assert list(client.collections.recent_items()) is not None


def test_tags(client: BoxClient) -> None:
    file = client.files.upload("0", "a", b"1")
    assert client.files.set_tags(file.id, ["red", "blue"]).tags == ("red", "blue")
