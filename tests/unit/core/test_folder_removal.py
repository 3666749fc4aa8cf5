"""A folder is removed here while something is just being put into it: both go, and nobody sees an error."""

from __future__ import annotations

import pytest

from boxfs.base.types import Kind
from boxfs.core.calls import Call, Delete
from tests.support.drive import Drive


@pytest.fixture
def drive(drive: Drive) -> Drive:
    """A folder d at Box, and a file d/f that is to be sent."""
    drive.ls()
    drive.mkdir("d")
    drive.push()
    drive.remote.calls.clear()
    drive.write("d/f", b"1")
    return drive


def next_call(drive: Drive) -> Call:
    drive.clock.pass_(30)
    (call,) = drive.sync.pushing.plan().calls
    return call


def remove_all(drive: Drive) -> None:
    drive.unlink("d/f")
    drive.rmdir("d")


def test_it_does_not_go_before_that_is_answered(drive: Drive) -> None:
    upload = next_call(drive)
    assert drive.sync.sending.claim(upload)
    remove_all(drive)
    delete = next_call(drive)
    assert isinstance(delete, Delete)
    assert not drive.sync.sending.claim(delete)
    drive.sync.sending.run(upload)
    drive.push()
    assert drive.remote.box.tree() == {}
    assert drive.remote.written() == ["delete"]


def test_what_came_into_it_after_its_removal_was_planned_goes_along(drive: Drive) -> None:
    node = drive.node("d")
    assert node.remote is not None
    upload = next_call(drive)
    assert drive.sync.sending.claim(upload)
    drive.remote.during["upload_file"] = lambda: remove_all(drive)
    drive.sync.sending.run(upload)
    planned_before = Delete(node.ino, Kind.FOLDER, node.remote.id, (node.ino,))
    assert drive.sync.sending.claim(planned_before)
    drive.sync.sending.run(planned_before)
    assert [left.error for left in drive.tree.pending()] == [None, None]
    drive.push()
    assert drive.remote.box.tree() == {}
