"""A copy or a backup whose bytes are a version that went to the trash: it is taken out, and put away again."""

from __future__ import annotations

import pytest

from boxfs.base.errors import InDoubt
from boxfs.base.types import ROOT_FOLDER, Item, ItemId, Kind
from boxfs.core.planner import temporary_name
from tests.support.drive import Drive

OLD, NEW = b"as it was before", b"new"


@pytest.fixture
def drive(drive: Drive) -> Drive:
    """The backup f~ is not sent yet, and rests on the version that f had, and f is in the trash."""
    drive.ls()
    drive.write("f", OLD)
    drive.push()
    drive.hear()
    drive.rename("f", "f~")
    drive.write("f", NEW)
    with drive.remote.someone() as box:
        box.delete(box.at("f"))
    return drive


def quiet(drive: Drive) -> None:
    drive.push()
    drive.hear()
    drive.push()


def test_a_backup_gets_its_bytes_out_of_the_trash(drive: Drive) -> None:
    quiet(drive)
    assert drive.remote.box.tree() == {"f": NEW, "f~": OLD}
    assert drive.ls() == ["f", "f~"]
    assert drive.read("f~") == OLD


@pytest.mark.parametrize("known", [True, False], ids=["heard", "unheard"])
@pytest.mark.parametrize("how", ["event", "listing"])
def test_news_of_the_restored_file_before_the_reply_leave_nothing_behind(
    drive: Drive, how: str, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if known:
        drive.hear()
    seen: list[list[str]] = []
    restore = drive.remote.restore

    def restored(kind: Kind, item_id: ItemId, *, name: str | None = None, parent_id: ItemId | None = None) -> Item:
        item = restore(kind, item_id, name=name, parent_id=parent_id)
        if how == "event":
            drive.hear()
        else:
            drive.incoming.list_folder(drive.ino(""))
        seen.append(drive.ls())
        return item

    monkeypatch.setattr(drive.remote, "restore", restored)
    quiet(drive)
    assert seen == [["f", "f~"]], "nobody sees the name that it has meanwhile"
    assert drive.remote.box.tree() == {"f": NEW, "f~": OLD}
    assert drive.ls() == ["f", "f~"]


def test_a_lost_reply_of_the_restore_leaves_nothing_behind(drive: Drive) -> None:
    drive.hear()
    drive.remote.fail("restore", InDoubt("lost"), after=True)
    quiet(drive)
    assert drive.remote.counts()["restore"] == 1
    assert drive.remote.box.tree() == {"f": NEW, "f~": OLD}
    assert drive.ls() == ["f", "f~"]


def test_what_a_crash_left_taken_out_is_put_away_once_it_has_served(drive: Drive) -> None:
    drive.hear()
    name = temporary_name(drive.ino("f~"))
    with drive.remote.someone() as box:
        box.restore(next(held for held in box.items.values() if held.trashed), name, ROOT_FOLDER)
    drive.hear()
    quiet(drive)
    assert drive.remote.box.tree() == {"f": NEW, "f~": OLD}
    assert drive.ls() == ["f", "f~"]
