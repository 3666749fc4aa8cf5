"""The fault plan against every class of calls: the right result or a typed error, never a double create, never a short
file taken as whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from boxfs.api import BoxDrive, StaticToken, Timeouts
from boxfs.api.http import Bytes
from boxfs.api.retry import Backoff
from boxfs.base.errors import FsError, InDoubt, NameTaken, RateLimited, Unauthorized
from boxfs.base.types import ROOT_FOLDER, Item, Kind, UploadSession
from tests.support.box import TOKEN, Box

DATA = bytes(range(256)) * 800
SHA1 = hashlib.sha1(DATA, usedforsecurity=False).hexdigest()
FILE, FOLDER = Kind.FILE, Kind.FOLDER


@contextmanager
def hasty(stage: Stage, fault: str) -> Iterator[None]:
    """Where the fault is a stall: with a time-out that does not cost the test long, and repetitions for a machine that
    is slow by itself."""
    if "stall" not in fault:
        yield
        return
    many = Backoff(attempts=100, first_s=0.01, cap_s=0.05, silences=100)
    drive = BoxDrive(
        StaticToken(TOKEN), api_url=stage.box.url, backoff=many, timeouts=Timeouts(connect_s=30, read_s=0.5)
    )
    patient, stage.drive = stage.drive, drive
    yield
    stage.drive = patient
    drive.close()


@dataclass
class Stage:
    """What there is before the fault: a file, a folder, an upload session with all its parts but the last."""

    drive: BoxDrive
    box: Box
    file: Item
    folder: Item


@pytest.fixture
def stage(drive: BoxDrive, box: Box) -> Stage:
    folder = drive.create_folder(ROOT_FOLDER, "Reports")
    file = drive.upload_file(ROOT_FOLDER, "a", Bytes(DATA), sha1=SHA1, mtime_ns=None)
    return Stage(drive, box, file, folder)


def download(stage: Stage) -> object:
    found = b"".join(stage.drive.download(stage.file.id, stage.file.version_id).read_range(0, len(DATA)))
    assert found == DATA
    return found


def listing(stage: Stage) -> object:
    found = {item.name for item in stage.drive.list_folder(ROOT_FOLDER)}
    assert found == {"a", "Reports"}
    return found


READS: dict[str, tuple[str, str, Callable[[Stage], object]]] = {
    "item": ("GET", r"/2\.0/files/\d+$", lambda stage: stage.drive.item(FILE, stage.file.id)),
    "list": ("GET", r"/folders/0/items", listing),
    "account": ("GET", r"/users/me", lambda stage: stage.drive.account()),
    "versions": ("GET", r"/versions", lambda stage: stage.drive.versions(stage.file.id)),
    "events": ("GET", r"/events", lambda stage: stage.drive.events_now()),
    "download url": ("GET", r"/2\.0/files/\d+/content", download),
    "download bytes": ("GET", r"/dl/", download),
}
FAULTS: dict[str, dict[str, Any]] = {
    "429": {"do": "status", "status": 429, "headers": {"Retry-After": "0"}},
    "500": {"do": "status", "status": 500},
    "503": {"do": "status", "status": 503, "headers": {"Retry-After": "0"}},
    "reset before": {"do": "reset", "at": "before"},
    "reset in response": {"do": "reset", "at": "in_response"},
    "short body": {"do": "truncate"},
    "stall": {"do": "stall"},
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", READS)
def test_a_read_comes_right(stage: Stage, call: str, fault: str) -> None:
    method, path, read = READS[call]
    stage.box.fault(method=method, path=path, times=1, **FAULTS[fault])
    with hasty(stage, fault):
        read(stage)


@pytest.mark.parametrize("call", READS)
def test_a_read_that_never_comes_right_is_a_typed_error(stage: Stage, call: str) -> None:
    method, path, read = READS[call]
    stage.box.fault(method=method, path=path, do="status", status=500, times=None)
    with pytest.raises(FsError):
        read(stage)


def upload(stage: Stage) -> Item:
    return stage.drive.upload_file(ROOT_FOLDER, "new", Bytes(DATA), sha1=SHA1, mtime_ns=None)


def new_version(stage: Stage) -> Item:
    data = DATA[::-1]
    sha1 = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    etag = stage.file.etag
    return stage.drive.upload_version(stage.file.id, Bytes(data), sha1=sha1, etag=etag, mtime_ns=None)


WRITES: dict[str, tuple[str, str, Callable[[Stage], object]]] = {
    "upload": ("POST", r"/files/content", upload),
    "version": ("POST", r"/files/\d+/content", new_version),
    "mkdir": ("POST", r"/2\.0/folders$", lambda stage: stage.drive.create_folder(ROOT_FOLDER, "new")),
    "rename": ("PUT", r"/2\.0/files/\d+$", lambda stage: stage.drive.update(FILE, stage.file.id, name="new")),
    "delete": ("DELETE", r"/2\.0/folders/", lambda stage: stage.drive.delete(FOLDER, stage.folder.id)),
    "copy": ("POST", r"/copy", lambda stage: stage.drive.copy_file(stage.file.id, ROOT_FOLDER, "new")),
}
NOT_DONE: dict[str, dict[str, Any]] = {
    "429": {"do": "status", "status": 429, "headers": {"Retry-After": "0"}},
    "blocked": {"do": "status", "status": 409, "code": "operation_blocked_temporary"},
}
MAYBE_DONE: dict[str, dict[str, Any]] = {
    "500": {"do": "status", "status": 500},
    "503 but done": {"do": "status", "status": 503, "done": True, "headers": {"Retry-After": "0"}},
    "reset after the body": {"do": "reset", "at": "after_done"},
    "reset in the reply": {"do": "reset", "at": "in_response", "after": 0},
    "stall after it was done": {"do": "stall", "at": "after_done"},
}


def attempts(stage: Stage, method: str, path: str) -> int:
    import re

    return sum(1 for each in stage.box.log() if each["method"] == method and re.search(path, each["path"]))


@pytest.mark.parametrize("fault", NOT_DONE)
@pytest.mark.parametrize("call", WRITES)
def test_a_write_that_was_not_done_is_done_once(stage: Stage, call: str, fault: str) -> None:
    method, path, write = WRITES[call]
    stage.box.fault(method=method, path=path, times=1, **NOT_DONE[fault])
    write(stage)
    assert names(stage) == after(call)


@pytest.mark.parametrize("fault", MAYBE_DONE)
@pytest.mark.parametrize("call", WRITES)
def test_a_write_that_may_have_been_done_is_in_doubt_and_not_repeated(stage: Stage, call: str, fault: str) -> None:
    method, path, write = WRITES[call]
    stage.box.clear_log()
    stage.box.fault(method=method, path=path, times=1, **MAYBE_DONE[fault])
    if fault == "reset in the reply" and call == "delete":
        write(stage)  # a 204 has no body that could be cut off
        return
    with hasty(stage, fault), pytest.raises(InDoubt):
        write(stage)
    assert attempts(stage, method, path) <= 1  # a stalled one is not in the log yet
    assert names(stage) in (after(call), ["Reports", "a"])


@pytest.mark.parametrize("call", ["upload", "version"])
def test_an_upload_cut_off_inside_its_body_leaves_nothing_half(stage: Stage, call: str) -> None:
    method, path, write = WRITES[call]
    stage.box.fault(method=method, path=path, times=1, do="reset", at="in_body", after=1000)
    try:
        write(stage)
    except InDoubt:
        assert names(stage) == ["Reports", "a"]
        assert stage.box.read("/a") == DATA
    else:
        assert names(stage) == after(call)


def names(stage: Stage) -> list[str]:
    return sorted(path.strip("/") for path in stage.box.tree())


def after(call: str) -> list[str]:
    return {"rename": ["Reports", "new"], "delete": ["a"], "version": ["Reports", "a"]}.get(
        call, ["Reports", "a", "new"]
    )


def test_looking_after_a_doubt_finds_what_was_done(stage: Stage) -> None:
    stage.box.fault(method="POST", path=r"/files/content", times=1, **MAYBE_DONE["503 but done"])
    with pytest.raises(InDoubt):
        upload(stage)
    with pytest.raises(NameTaken) as taken:
        upload(stage)
    assert taken.value.holder is not None
    assert taken.value.holder.sha1 == SHA1


def test_a_401_that_stays_is_a_clear_word(stage: Stage) -> None:
    stage.box.fault(path=r"/2\.0/", do="status", status=401, times=None)
    for _, _, call in (*READS.values(), *WRITES.values()):
        if call is not upload and call is not new_version:
            with pytest.raises(Unauthorized, match="log in"):
                call(stage)


def test_a_wait_that_is_too_long_is_told_with_its_length(stage: Stage) -> None:
    stage.box.fault(path=r"/users/me", do="status", status=429, headers={"Retry-After": "9999"}, times=None)
    with pytest.raises(RateLimited) as limited:
        stage.drive.account()
    assert limited.value.retry_after_s == 9999


@pytest.mark.parametrize("fault", ["429", "500", "503 but done", "reset after the body", "stall after it was done"])
def test_parts_survive_everything(stage: Stage, fault: str) -> None:
    stage.box.settings(part_size=65536, min_session_size=1000)
    upload = stage.drive.create_session(parent_id=ROOT_FOLDER, name="big", size=len(DATA))
    stage.box.fault(method="PUT", path="upload_sessions", times=2, **{**MAYBE_DONE, **NOT_DONE}[fault])
    with hasty(stage, fault):
        parts = [part(stage.drive, upload, offset) for offset in range(0, len(DATA), upload.part_size)]
    item = stage.drive.commit_session(upload, parts, sha1=SHA1, mtime_ns=None)
    assert (item.sha1, stage.box.read("/big")) == (SHA1, DATA)


def part(drive: BoxDrive, upload: UploadSession, offset: int) -> Any:
    piece = DATA[offset : offset + upload.part_size]
    sha1 = hashlib.sha1(piece, usedforsecurity=False).hexdigest()
    return drive.upload_part(upload, Bytes(piece), offset=offset, sha1=sha1, total_size=len(DATA))


def test_a_commit_waits_for_the_parts(stage: Stage) -> None:
    stage.box.settings(part_size=65536, min_session_size=1000, commit_202=2, commit_parts_mismatch=1, retry_after_s=0)
    upload = stage.drive.create_session(parent_id=ROOT_FOLDER, name="big", size=len(DATA))
    parts = [part(stage.drive, upload, offset) for offset in range(0, len(DATA), upload.part_size)]
    assert stage.drive.commit_session(upload, parts, sha1=SHA1, mtime_ns=None).sha1 == SHA1


def test_a_commit_that_may_have_been_done_is_in_doubt(stage: Stage) -> None:
    stage.box.settings(part_size=65536, min_session_size=1000)
    upload = stage.drive.create_session(parent_id=ROOT_FOLDER, name="big", size=len(DATA))
    parts = [part(stage.drive, upload, offset) for offset in range(0, len(DATA), upload.part_size)]
    stage.box.fault(method="POST", path="/commit", times=1, do="reset", at="after_done")
    with pytest.raises(InDoubt):
        stage.drive.commit_session(upload, parts, sha1=SHA1, mtime_ns=None)
    assert stage.box.read("/big") == DATA


def test_bytes_that_are_not_there_yet_are_waited_for(stage: Stage) -> None:
    stage.box.settings(fresh_content_202=2, retry_after_s=0)
    fresh = new_version(stage)
    stage.file = fresh
    found = b"".join(stage.drive.download(fresh.id, fresh.version_id).read_range(0, len(DATA)))
    assert found == DATA[::-1]
