"""The emulator's process and the client that other tests use it through."""

from __future__ import annotations

import hashlib

from tests.support.box import Box, EmulatorProcess


def test_someone_else_changes_the_tree(box: Box) -> None:
    folder = box.mkdir("/Reports")
    box.upload("/Reports/a.txt", b"one")
    box.new_version("/Reports/a.txt", b"two")
    box.rename("/Reports/a.txt", "b.txt")
    box.makedirs("/Deep/er")
    box.move("/Reports/b.txt", "/Deep/er", "c.txt")
    assert box.tree()["/Reports"].id == folder
    assert box.files() == {"/Deep/er/c.txt": hashlib.sha1(b"two").hexdigest()}
    assert box.read("/Deep/er/c.txt") == b"two"
    box.delete("/Deep")
    assert set(box.tree()) == {"/Reports"}


def test_reset_gives_a_fresh_account(box: Box) -> None:
    box.upload("/a", b"a")
    box.settings(part_size=65536)
    box.reset()
    assert box.tree() == {}
    assert box.call("GET", "/_emulator/settings")["part_size"] == 0


def test_a_restart_after_kill_9_finds_everything_that_was_answered(emulator: EmulatorProcess, box: Box) -> None:
    box.mkdir("/Kept")
    for number in range(20):
        box.upload(f"/Kept/{number}", b"x" * number)
    events = box.call("GET", "/2.0/events")
    before = box.tree()
    emulator.restart()
    assert box.tree() == before
    assert box.call("GET", "/2.0/events") == events
    assert box.read("/Kept/7") == b"x" * 7
