"""What a mount asks of Box when it begins, and what it does where it cannot know whose cache or whose token it has."""

import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from boxfs.cli.running import MOST_FILES
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


OTHERS = "and the token is of bob@example.com"


def _of_both(box: Box, bob: Box) -> None:
    box.upload("/hers", b"1")
    bob.upload("/his", b"2")


@pytest.fixture
def bob(box: Box) -> Iterator[Box]:
    bob = box.as_user(OTHER_TOKEN)
    yield bob
    bob.close()


def _says_whose_it_is(m: Mounted) -> bool:
    status = m.status()
    return status["state"] == "offline" and OTHERS in str(status["errors"])


def test_what_begins_without_box_with_another_accounts_token_shows_and_sends_nothing_to_it(
    box: Box, bob: Box, tmp_path: Path
) -> None:
    _of_both(box, bob)
    with Mounted(box.url, tmp_path) as m:
        assert os.listdir(m.path) == ["hers"]
        box.fault(do="status", status=503, path="^/(2.0|api)/", times=None)
        (m.path / "unsent").write_text("for Ada")
        (m.path / "folder").mkdir()
        m.kill9()
    with Mounted(box.url, tmp_path, token=OTHER_TOKEN) as m:
        assert sorted(os.listdir(m.path)) == ["folder", "hers", "unsent"]
        box.call("DELETE", "/_emulator/faults")
        bob.upload("/new of his", b"3")
        box.clear_log()
        assert m.run("sync", "-q", str(m.path)).returncode == 1
        eventually(lambda: _says_whose_it_is(m), "it says whose the folder is")
        assert OTHERS in m.run("status").stdout
        with pytest.raises(PermissionError):
            (m.path / "hers").read_bytes()
        assert sorted(os.listdir(m.path)) == ["folder", "hers", "unsent"]
        assert set(_asked(box)) == {"GET /2.0/users/me"}
        assert len(_asked(box)) == 1
        assert m.log.count(OTHERS) == 1
    assert set(box.files("bob@example.com")) == {"/his", "/new of his"}
    with Mounted(box.url, tmp_path) as m:
        m.sync()
    assert box.read("/unsent") == b"for Ada"


def test_what_begins_without_box_with_another_token_of_the_account_goes_on_when_box_is_back(
    box: Box, tmp_path: Path
) -> None:
    with Mounted(box.url, tmp_path) as m:
        os.listdir(m.path)
    another = box.call("POST", "/_emulator/tokens", json={"user": "ada@example.com"})["access_token"]
    box.fault(do="status", status=503, path="^/(2.0|api)/", times=None)
    with Mounted(box.url, tmp_path, token=another) as m:
        (m.path / "a").write_text("mine")
        box.call("DELETE", "/_emulator/faults")
        m.sync()
        assert m.unmount().returncode == 0
        assert set(box.files()) == {"/a"}
        box.clear_log()
        m.start()
        assert "GET /2.0/users/me" not in _asked(box)  # it is known now


def test_a_token_file_that_becomes_another_accounts_sends_nothing_to_it(box: Box, bob: Box, tmp_path: Path) -> None:
    _of_both(box, bob)
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text("dev-token\n")
    with Mounted(box.url, tmp_path / "home", token="", options=[f"token_file={token}"]) as m:
        assert os.listdir(m.path) == ["hers"]
        token.write_text(f"{OTHER_TOKEN}\n")
        (m.path / "unsent").write_text("for Ada")
        assert m.run("sync", "-q", str(m.path)).returncode == 1
        eventually(lambda: _says_whose_it_is(m), "it says whose the folder is")
        assert set(box.files("bob@example.com")) == {"/his"}
        token.write_text("dev-token\n")
        m.sync()
    assert box.read("/unsent") == b"for Ada"


def test_a_token_file_that_became_another_accounts_while_unmounted_is_refused(
    box: Box, bob: Box, tmp_path: Path
) -> None:
    _of_both(box, bob)
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text("dev-token\n")
    m = Mounted(box.url, tmp_path / "home", token="", options=[f"token_file={token}"])
    assert m.status()["account"]["login"] == "ada@example.com"
    assert m.unmount().returncode == 0
    token.write_text(f"{OTHER_TOKEN}\n")
    with pytest.raises(MountFailed, match=OTHERS) as caught:
        m.start()
    assert caught.value.code == 2


def test_a_cache_of_nobody_knows_whose_does_not_begin_with_another_token_and_without_box(
    box: Box, nameless: Mounted
) -> None:
    assert nameless.unmount().returncode == 0
    box.fault(do="status", status=503, path="^/(2.0|api)/", times=None)
    m = Mounted(box.url, nameless.home, token=OTHER_TOKEN, start=False)
    with pytest.raises(MountFailed, match="was never asked") as caught:
        m.start()
    assert caught.value.code == 69


def test_a_mount_may_have_more_files_open_than_a_shell(box: Box, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    m = Mounted(box.url, tmp_path, start=False)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))
        try:
            m.start()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        limits = Path(f"/proc/{m.pid}/limits").read_text()
        (line,) = [line for line in limits.splitlines() if line.startswith("Max open files")]
        assert int(line.split()[3]) == min(hard, MOST_FILES)
    finally:
        m.close()
