"""What a mount asks of Box when it begins, and what it does where that is not enough to know whose cache it has."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.box import OTHER_TOKEN, Box
from tests.support.mounting import Mounted, MountFailed, eventually

pytestmark = [pytest.mark.fuse, pytest.mark.timeout(300)]

POSITION, LISTING = "GET /2.0/events", "GET /2.0/folders/{id}/items"


def _asked(box: Box) -> list[str]:
    return [f"{entry['method']} {entry['template']}" for entry in box.log() if "/2.0/" in entry["template"]]


def test_a_first_mount_asks_where_the_stream_stands_then_what_is_there_and_all_else_later(
    box: Box, tmp_path: Path
) -> None:
    box.upload("/a", b"1")
    box.clear_log()
    m = Mounted(box.url, tmp_path, start=False)
    try:
        m.start(rested=False)
        assert os.listdir(m.path) == ["a"]
        assert _asked(box)[:2] == [POSITION, LISTING]
        eventually(lambda: "OPTIONS /2.0/events" in _asked(box), "it listens")
        eventually(lambda: "GET /2.0/users/me" in _asked(box), "it knows whose account it is")
        assert sorted(_asked(box)[2:]) == ["GET /2.0/events", "GET /2.0/users/me", "OPTIONS /2.0/events"]
    finally:
        m.close()


def test_a_status_in_the_first_second_names_the_account(box: Box, tmp_path: Path) -> None:
    m = Mounted(box.url, tmp_path, start=False)
    try:
        m.start(rested=False)
        assert m.status()["account"]["login"] == "ada@example.com"
    finally:
        m.close()


@pytest.fixture
def nameless(box: Box, tmp_path: Path) -> Mounted:
    """A mount of Ada's account that has ended before Box told whose it is."""
    box.upload("/hers", b"1")
    box.fault(do="status", status=500, path="/users/me$", times=None)
    m = Mounted(box.url, tmp_path, start=False)
    m.start(rested=False)
    assert os.listdir(m.path) == ["hers"]
    return m


def test_a_cache_that_is_perhaps_another_accounts_shows_what_this_one_has(
    box: Box, nameless: Mounted, mount: Callable[..., Mounted]
) -> None:
    assert nameless.unmount().returncode == 0
    box.call("DELETE", "/_emulator/faults")
    bob = box.as_user(OTHER_TOKEN)
    try:
        bob.upload("/his", b"2")
    finally:
        bob.close()
    with Mounted(box.url, nameless.home, token=OTHER_TOKEN) as m:
        assert os.listdir(m.path) == ["his"]
        assert m.status()["account"]["login"] == "bob@example.com"


def test_what_is_pending_in_a_cache_that_is_perhaps_another_accounts_is_not_sent_to_this_one(
    box: Box, nameless: Mounted
) -> None:
    box.fault(do="status", status=500, path="/files/content$", times=None)
    (nameless.path / "unsent").write_text("for Ada")
    nameless.kill9()
    box.call("DELETE", "/_emulator/faults")
    with pytest.raises(MountFailed, match="mount it with the former token") as caught:
        Mounted(box.url, nameless.home, token=OTHER_TOKEN)
    assert caught.value.code == 2
    with Mounted(box.url, nameless.home) as m:
        m.sync()
    assert box.read("/unsent") == b"for Ada"
