from __future__ import annotations

import os

import pytest

from boxfs.base.errors import Denied, Locked
from boxfs.base.types import ROOT_FOLDER, ItemId, Kind
from boxfs.core.boxlock import LEASE_S, BoxLocks, holder
from tests.support.drive import Drive


@pytest.fixture
def drive(drive: Drive) -> Drive:
    drive.remote.box.create(Kind.FILE, ROOT_FOLDER, "f", b"x")
    return drive


def test_a_file_is_locked_while_it_is_written_renewed_and_unlocked_once_it_is_sent(drive: Drive) -> None:
    calls: list[tuple[ItemId, bool]] = []
    locks = BoxLocks(drive.tree, drive.fs.files, lambda item_id, until: calls.append((item_id, until is not None)))
    reader = drive.open("f")
    locks.round()
    assert calls == []
    writer = drive.open("f", os.O_RDWR)
    locks.round()
    locks.round()
    assert calls == [("1", True)]
    drive.clock.pass_(LEASE_S - 10)
    locks.round()
    assert calls == [("1", True)] * 2
    drive.put(writer, b"y", 0)
    drive.close_handle(writer)
    locks.round()
    assert calls == [("1", True)] * 2
    drive.push()
    locks.round()
    assert calls == [("1", True), ("1", True), ("1", False)]
    drive.close_handle(reader)


def test_a_lock_that_cannot_be_had_is_tried_again_later(drive: Drive) -> None:
    tried: list[ItemId] = []

    def refused(item_id: ItemId, until: int | None) -> None:
        tried.append(item_id)
        raise Denied("no right to lock")

    locks = BoxLocks(drive.tree, drive.fs.files, refused)
    writer = drive.open("f", os.O_RDWR)
    locks.round()
    locks.round()
    assert len(tried) == 1
    drive.clock.pass_(61)
    locks.round()
    assert len(tried) == 2
    drive.close_handle(writer)


def test_what_somebody_else_has_locked_is_not_opened_for_writing(drive: Drive) -> None:
    from dataclasses import replace

    drive.fs.account_id = "7"
    node = drive.node("f")
    assert node.remote is not None
    lock = {"created_by": {"id": "8", "name": "Bob"}, "expires_at": "2999-01-01T00:00:00-08:00"}
    with drive.tree.change() as change:
        change.put(replace(node, remote=replace(node.remote, lock=lock)))
    with pytest.raises(Locked, match="Bob"):
        drive.open("f", os.O_RDWR)
    assert drive.read("f") == b"x"


def test_whose_lock_it_is() -> None:
    lock = {"created_by": {"id": "8", "name": "Bob"}, "expires_at": "2026-01-01T00:00:00Z"}
    before, after = 1_700_000_000 * 10**9, 1_800_000_000 * 10**9
    assert holder(lock, "7", before) == "Bob"
    assert holder(lock, "7", after) is None
    assert holder(lock, "8", before) is None
    assert holder(lock, None, before) is None
    assert holder(None, "7", before) is None
