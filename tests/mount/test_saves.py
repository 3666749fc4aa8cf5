"""What saving in real programs does to the file at Box: one item, one version more, one upload, all else kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.box import Box
from tests.support.mounting import Mounted, eventually
from tests.support.saving import KEEPS_BACKUP, PATTERNS, SQLITE_JOURNALS, sqlite_save

pytestmark = pytest.mark.fuse

OLD = b"the first chapter\n" * 100
NEW = b"the first chapter, revised\n" * 120


@pytest.fixture(scope="module")
def drive(emulator_of_module: Box, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounted]:
    """One mount for all patterns of this file: each works in a folder of its own."""
    with Mounted(emulator_of_module.url, tmp_path_factory.mktemp("saves")) as mount:
        yield mount


def sha1(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_save_is_the_next_version_of_the_same_file(pattern: str, drive: Mounted, emulator_of_module: Box) -> None:
    box = emulator_of_module
    path = drive.path / pattern / "thesis.odt"
    path.parent.mkdir()
    path.write_bytes(b"a first draft")
    drive.sync(pattern)
    before = box.update(f"/{pattern}/thesis.odt", shared_link={"access": "open"}, description="mine")
    link = before["shared_link"]["url"]
    # A new description changes the etag without an event; an edit elsewhere has one, and the mount then knows the etag.
    box.new_version(f"/{pattern}/thesis.odt", OLD)
    eventually(lambda: path.read_bytes() == OLD, "the version from elsewhere shows")
    box.clear_log()

    PATTERNS[pattern](path, NEW)
    assert path.read_bytes() == NEW
    drive.sync(pattern)

    found = {p: e for p, e in box.tree().items() if p.startswith(f"/{pattern}/")}
    backup = {f"/{pattern}/thesis.odt~"} if pattern in KEEPS_BACKUP else set()
    assert set(found) == {f"/{pattern}/thesis.odt"} | backup
    after = box.file(f"/{pattern}/thesis.odt", "id,sha1,version_number,shared_link,description")
    assert (after["id"], after["sha1"], after["version_number"]) == (before["id"], sha1(NEW), "3")
    assert (after["shared_link"]["url"], after["description"]) == (link, "mine")
    if backup:
        assert found[f"/{pattern}/thesis.odt~"].sha1 == sha1(OLD)
    calls = box.mount_calls()
    # The backup that stays is a copy that Box makes of the version before: nothing is sent for it.
    assert sorted(calls) == ["POST /2.0/files/{id}/copy"] * len(backup) + ["POST /api/2.0/files/{id}/content"]


@pytest.mark.parametrize("journal", SQLITE_JOURNALS)
def test_a_transaction_of_sqlite_is_the_next_version_of_the_database(
    journal: str, drive: Mounted, emulator_of_module: Box
) -> None:
    box = emulator_of_module
    folder = f"sqlite-{journal}"
    path = drive.path / folder / "data.db"
    path.parent.mkdir()
    sqlite_save(path, journal, 10)
    drive.sync(folder)
    before = box.file(f"/{folder}/data.db", "id,version_number")
    box.clear_log()

    sqlite_save(path, journal, 50)
    drive.sync(folder)

    after = box.file(f"/{folder}/data.db", "id,version_number,sha1")
    assert after["id"] == before["id"]
    assert int(after["version_number"]) == int(before["version_number"]) + 1
    assert after["sha1"] == sha1(path.read_bytes())
    assert Path(path).stat().st_size == len(box.read(f"/{folder}/data.db"))
