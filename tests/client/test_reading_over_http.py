"""Reading from the emulator over HTTP: what is asked of Box, and what becomes of every fault of a download."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from boxfs.api.auth import StaticToken
from boxfs.api.drive import BoxDrive
from boxfs.api.http import Timeouts
from boxfs.api.transport import RequestsTransport
from boxfs.base.errors import Changed, FsError, RemoteError, Unreachable
from boxfs.base.types import ItemId, VersionId
from boxfs.core.reading import Reading, ReadingOptions
from boxfs.core.version import FileVersion
from boxfs.store.blocks import Blocks
from tests.support.box import TOKEN, Box
from tests.support.downloads import content

MIB = 1 << 20
API_CALL = "GET /2.0/files/{id}/content"


class Mounted:
    """Reading over a real client, with its cache in a folder."""

    def __init__(self, box: Box, folder: Path, **options: Any) -> None:
        self.box = box
        transport = RequestsTransport(timeouts=Timeouts(connect_s=5.0, read_s=10.0))
        self.drive = BoxDrive(StaticToken(TOKEN), api_url=box.url, transport=transport)
        self.blocks = Blocks(folder, 1 << 30)
        self.reading = Reading(self.drive, self.blocks, ReadingOptions(**{"stall_s": 300.0, **options}))

    def read(self, version: FileVersion, offset: int = 0, length: int | None = None, step: int = 128 * 1024) -> bytes:
        stop = min(version.size, offset + (version.size if length is None else length))
        reader = self.reading.open(version.file_id, version.version_id, version.size, version.sha1)
        whole = bytearray(max(stop - offset, 0))
        try:
            with memoryview(whole) as view:
                for at in range(offset, stop, step):
                    part = view[at - offset : at - offset + step]
                    assert reader.read_into(part, at) == len(part)
        finally:
            reader.close()
        return bytes(whole)

    def close(self) -> None:
        self.reading.close()
        self.drive.close()
        self.blocks.close()


@pytest.fixture
def mount(box: Box, tmp_path: Path) -> Iterator[Callable[..., Mounted]]:
    made: list[Mounted] = []

    def build(name: str = "blocks", **options: Any) -> Mounted:
        made.append(Mounted(box, tmp_path / name, **options))
        return made[-1]

    yield build
    for mounted in made:
        mounted.close()


def upload(box: Box, path: str, data: bytes) -> FileVersion:
    return version_of(box.upload(path, data))


def version_of(entry: dict[str, Any]) -> FileVersion:
    return FileVersion(ItemId(entry["id"]), VersionId(entry["file_version"]["id"]), entry["size"], entry["sha1"])


def sent(box: Box) -> int:
    return sum(entry["bytes_out"] for entry in box.log() if entry["path"].startswith("/dl"))


def test_a_large_file_costs_one_call_and_nothing_after_a_remount(box: Box, mount: Callable[..., Mounted]) -> None:
    data = content(64 * MIB)
    version = upload(box, "/large", data)
    box.clear_log()
    first = mount()
    assert first.read(version) == data
    assert box.calls()[API_CALL] == 1
    assert sent(box) <= len(data) + 64 * 1024
    first.close()
    box.clear_log()
    assert mount().read(version) == data
    assert box.calls() == {}


def test_heads_and_tails_cost_what_they_are(box: Box, mount: Callable[..., Mounted]) -> None:
    data = content(24 * MIB)
    version = upload(box, "/large", data)
    mounted = mount()
    box.clear_log()
    assert mounted.read(version, len(data) - MIB, MIB) == data[-MIB:]
    assert sent(box) <= 2 * MIB
    box.clear_log()
    assert mounted.read(version, 0, 4096) == data[:4096]
    assert sent(box) <= 1.2 * MIB
    assert API_CALL not in box.calls()  # the URL that the tail came by


FAULTS: dict[str, dict[str, Any]] = {
    "429 at the API": {"path": "/content", "do": "status", "status": 429, "headers": {"Retry-After": "0"}},
    "500 at the API": {"path": "/content", "do": "status", "status": 500},
    "202 at the API": {"path": "/content", "do": "status", "status": 202, "headers": {"Retry-After": "0"}},
    "401 at the API": {"path": "/content", "do": "status", "status": 401},
    "dead URL": {"path": "^/dl", "do": "status", "status": 403, "body": "Forbidden"},
    "503 of the bytes": {"path": "^/dl", "do": "status", "status": 503},
    "416 of the bytes": {"path": "^/dl", "do": "status", "status": 416},
    "reset before": {"path": "^/dl", "do": "reset", "at": "before"},
    "reset in the body": {"path": "^/dl", "do": "reset", "at": "in_response"},
    "short body": {"path": "^/dl", "do": "truncate"},
    "short body at once": {"path": "^/dl", "do": "truncate", "after": 0},
    "stall": {"path": "^/dl", "do": "stall", "at": "in_response"},
    "stall before": {"path": "^/dl", "do": "stall", "at": "before"},
}


@pytest.mark.parametrize("size", [300_000, 3 * MIB])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_download_is_got_over(box: Box, mount: Callable[..., Mounted], fault: str, size: int) -> None:
    data = content(size)
    version = upload(box, "/file", data)
    mounted = mount(stall_s=0.3)
    box.fault(**FAULTS[fault])
    try:
        assert mounted.read(version) == data
    except RemoteError:
        assert fault in ("401 at the API", "416 of the bytes")
    assert mounted.read(version) == data


@pytest.mark.parametrize("size", [300_000, 3 * MIB])
def test_wrong_bytes_are_an_error_or_got_over(box: Box, mount: Callable[..., Mounted], size: int) -> None:
    data = content(size)
    version = upload(box, "/file", data)
    mounted = mount()
    box.fault(path="^/dl", do="corrupt")
    try:
        assert mounted.read(version) == data
    except RemoteError:
        assert size > MIB
    assert mounted.read(version) == data


def read_in_the_end(mounted: Mounted, version: FileVersion) -> bytes:
    """A fetch that waits for its next attempt may have to end first."""
    for _ in range(20):
        with contextlib.suppress(Unreachable):
            return mounted.read(version)
    raise AssertionError("it does not recover")


LASTING: dict[str, dict[str, Any]] = {
    **{name: FAULTS[name] for name in ("500 at the API", "202 at the API", "401 at the API")},
    **{name: FAULTS[name] for name in ("dead URL", "503 of the bytes", "416 of the bytes", "reset before")},
    **{name: FAULTS[name] for name in ("short body at once", "stall", "stall before")},
    "wrong bytes": {"path": "^/dl", "do": "corrupt"},
}


@pytest.mark.parametrize("fault", LASTING)
def test_lasting_trouble_is_an_error_within_the_patience(box: Box, mount: Callable[..., Mounted], fault: str) -> None:
    """rclone hangs for two minutes at lasting 500s.  Right bytes when it is over."""
    data = content(300_000)
    version = upload(box, "/file", data)
    mounted = mount(stall_s=0.5, patience_s=3.0)
    with box.knobs():
        box.fault(**LASTING[fault], times=None)
        with ThreadPoolExecutor(1) as pool, pytest.raises(RemoteError):
            pool.submit(mounted.read, version).result(60)
    box.call("DELETE", "/_emulator/faults")
    assert read_in_the_end(mounted, version) == data


def test_an_address_where_nobody_answers_is_an_error_within_the_patience(
    box: Box, mount: Callable[..., Mounted]
) -> None:
    """Box redirects to a host that is down; and when it is up again, the bytes are right."""
    data = content(300_000)
    version = upload(box, "/file", data)
    mounted = mount(patience_s=3.0)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        nowhere = {"Location": f"http://127.0.0.1:{deaf.getsockname()[1]}/dl/1/x"}
        box.fault(path="/content", do="status", status=302, headers=nowhere, times=None)
        with ThreadPoolExecutor(1) as pool, pytest.raises(RemoteError):
            pool.submit(mounted.read, version).result(60)
    box.call("DELETE", "/_emulator/faults")
    assert read_in_the_end(mounted, version) == data


def test_a_url_that_died_is_asked_for_again(box: Box, mount: Callable[..., Mounted]) -> None:
    data = content(4 * MIB)
    version = upload(box, "/file", data)
    mounted = mount()
    assert mounted.read(version, 0, 1000) == data[:1000]
    box.settings(clock_offset_s=1000.0)
    assert mounted.read(version) == data


def test_a_version_that_is_gone_is_stale_not_another(box: Box, mount: Callable[..., Mounted]) -> None:
    old = upload(box, "/file", content(3 * MIB, 1))
    mounted = mount()
    assert mounted.read(old, 0, 1000) == content(3 * MIB, 1)[:1000]
    new = version_of(box.new_version("/file", content(3 * MIB, 2)))
    assert mounted.read(old) == content(3 * MIB, 1)  # Box keeps it
    assert mounted.read(new) == content(3 * MIB, 2)
    box.delete("/file")
    other = mount("other")
    with pytest.raises(Changed):
        other.read(old, 2 * MIB, 1000)


def test_saves_in_the_middle_of_reading_never_mix(box: Box, mount: Callable[..., Mounted]) -> None:
    """Somebody saves again and again; every reader gets one version whole."""
    size = 600_000
    versions = [upload(box, "/file", content(size, 0))]
    mounted = mount()
    ready, enough = threading.Event(), threading.Event()

    def save() -> None:
        for seed in range(1, 12):
            versions.append(version_of(box.new_version("/file", content(size, seed))))
            ready.set()
        enough.set()

    saver = threading.Thread(target=save)
    saver.start()
    with ThreadPoolExecutor(4) as pool:
        while not enough.is_set() or len(versions) < 12:
            version = versions[-1]
            got = list(pool.map(lambda _, version=version: mounted.read(version, step=50_000), range(4)))
            assert {hashlib.sha1(each).hexdigest() for each in got} == {version.sha1}
    saver.join(60)


def test_small_reads_pass_the_large_ones(box: Box, mount: Callable[..., Mounted]) -> None:
    """Eight large files hang in the middle; a small one comes all the same, and then they come too."""
    large = [upload(box, f"/large{n}", content(4 * MIB, n)) for n in range(8)]
    small = upload(box, "/small", content(5000, 99))
    mounted = mount(stall_s=1.0)
    box.fault(path="^/dl/.*large", do="stall", at="in_response", times=None)
    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(mounted.read, version) for version in large]
        try:
            assert mounted.read(small) == content(5000, 99)
            assert not any(each.done() for each in running)
        finally:
            box.call("DELETE", "/_emulator/faults")
        for n, each in enumerate(running):
            assert each.result(120) == content(4 * MIB, n)


def test_two_hundred_small_files_come_side_by_side(box: Box, mount: Callable[..., Mounted]) -> None:
    box.mkdir("/many")
    versions = [upload(box, f"/many/{n:03}", content(10_000, n)) for n in range(60)]
    mounted = mount()
    for version in versions:
        mounted.reading.prefetch(version, version.size)
    for n, version in enumerate(versions):
        assert mounted.read(version) == content(10_000, n)
    assert box.calls()[API_CALL] == 60


def test_every_error_is_of_the_family(box: Box, mount: Callable[..., Mounted]) -> None:
    version = FileVersion(ItemId("999999"), VersionId("1"), 100, None)
    with pytest.raises(FsError):
        mount().read(version)
