"""How many calls looking and reading cost, counted in the emulator's log.  Figures in brackets: rclone 1.75's."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.box import Box
from tests.support.downloads import content
from tests.support.mounting import Mounted, eventually

pytestmark = pytest.mark.fuse

MIB = 1 << 20
LISTING, CONTENT, DOWNLOAD = "GET /2.0/folders/{id}/items", "GET /2.0/files/{id}/content", "GET /dl"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def drive(box: Box, home: Path) -> Iterator[Mounted]:
    """Not mounted yet: what is at Box comes first."""
    with Mounted(box.url, home, start=False) as mount:
        yield mount


def run(command: str, cwd: Path) -> str:
    done = subprocess.run(command, shell=True, cwd=cwd, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def asked(box: Box) -> list[str]:
    """What boxfs asked of the API for the sake of a program."""
    return [call for call in box.mount_calls() if call != DOWNLOAD]


def sent(box: Box) -> int:
    return sum(entry["bytes_out"] for entry in box.log() if entry["path"].startswith("/dl"))


def listening(box: Box) -> list[str]:
    """All calls to the API that keep the mount up to date; the long poll itself is on another host and no call."""
    return [
        f"{entry['method']} {entry['template']}"
        for entry in box.log()
        if (entry["agent"] or "").startswith("boxfs/") and "/2.0/events" in entry["template"]
    ]


def polls(box: Box) -> int:
    """Long polls that were answered."""
    return sum("subscribe" in entry["path"] and entry["status"] == 200 for entry in box.log())


def test_ls_lr_of_a_hundred_folders_costs_a_listing_each_then_nothing_and_three_calls_after_a_remount(
    box: Box, drive: Mounted
) -> None:
    box.bulk(folders=100, files=50, size=1, under="/data")
    drive.start()
    box.clear_log()
    first = run("ls -lR", drive.path)
    assert len(first.splitlines()) > 5000
    assert set(asked(box)) == {LISTING}
    assert len(asked(box)) <= 102  # [102]
    box.clear_log()
    assert run("ls -lR", drive.path) == first
    path = str(drive.path / "data/d000000/f00000.dat")
    for _ in range(1000):
        os.stat(path)
    assert box.mount_calls() == []
    drive.unmount()
    box.clear_log()
    drive.start()
    assert run("ls -lR", drive.path) == first
    assert len(box.mount_calls()) + len(listening(box)) <= 3  # [102]


def test_a_thousand_changes_made_while_unmounted_cost_a_page_or_two_of_events(box: Box, drive: Mounted) -> None:
    box.bulk(folders=20, files=50, size=1, under="/data")
    drive.start()
    run("ls -lR", drive.path)
    drive.unmount()
    paths = [path for path, entry in box.tree().items() if entry.kind == "file"]
    for number, path in enumerate(paths):
        box.call("POST", "/_emulator/act", json={"do": "edit", "path": path, "content": "e" * (10 + number % 90)})
    box.clear_log()
    drive.start()
    whole = {path: entry.size for path, entry in box.tree().items() if entry.kind == "file"}

    def all_seen() -> bool:
        return all(os.stat(f"{drive.path}{path}").st_size == size for path, size in whole.items())

    eventually(all_seen, "every change is seen")
    eventually(lambda: "OPTIONS /2.0/events" in listening(box), "it has heard of all, and waits for more")
    assert asked(box) == []
    # Two pages of 500 events, the end of the stream, and where the long poll is.  [102, and each folder again later]
    assert len(listening(box)) <= 4, listening(box)


def test_a_folder_of_twelve_thousand_costs_a_call_for_each_thousand(box: Box, drive: Mounted) -> None:
    box.bulk(folders=1, files=12_000, size=1, under="/data")
    drive.start()
    box.clear_log()
    assert len(run("ls -l data/d000000", drive.path).splitlines()) == 12_001
    assert set(asked(box)) == {LISTING}
    assert len(asked(box)) <= 14


def test_a_change_made_elsewhere_costs_two_calls_however_large_the_folder(box: Box, drive: Mounted) -> None:
    box.bulk(folders=1, files=3_000, size=1, under="/data")
    box.upload("/data/d000000/watched", b"old")
    drive.start()
    watched = drive.path / "data/d000000/watched"
    run("ls -l data/d000000", drive.path)
    assert os.stat(watched).st_size == 3
    eventually(lambda: "OPTIONS /2.0/events" in listening(box), "the mount listens")
    box.clear_log()
    box.call("POST", "/_emulator/act", json={"do": "edit", "path": "/data/d000000/watched", "content": "newer"})
    eventually(lambda: os.stat(watched).st_size == 5, "the edit is seen")
    assert asked(box) == []
    # One GET of events; a second one where the poll began before the edit was listed.  [61 s, and the listing again]
    assert listening(box).count("GET /2.0/events") <= 2


# Read by Python before the mount begins: each idle poll, which the server ends at once, has taken ten minutes by the
# clock that says when the stream is to be looked at all the same.
TEN_MINUTES_A_POLL = """
from boxfs.core.hearing import Hearing

begin, wait, polled = Hearing.__init__, Hearing._wait, [0]

def __init__(self, *arguments, now_ns, **more):
    begin(self, *arguments, now_ns=lambda: now_ns() + 600 * 10**9 * polled[0], **more)

def _wait(self):
    news = wait(self)
    polled[0] += not news
    return news

Hearing.__init__, Hearing._wait = __init__, _wait
"""


def test_an_idle_hour_costs_at_most_eight_calls(box: Box, home: Path, tmp_path: Path) -> None:
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock/sitecustomize.py").write_text(TEN_MINUTES_A_POLL)
    box.upload("/f", b"x")
    box.settings(poll_reconnect_s=0.5)
    path = os.pathsep.join([str(tmp_path / "clock"), *filter(None, [os.environ.get("PYTHONPATH")])])
    with Mounted(box.url, home, env={"PYTHONPATH": path}) as drive:
        os.listdir(drive.path)
        eventually(lambda: polls(box) >= 8, "an hour is over")
        entries = [entry for entry in box.log() if (entry["agent"] or "").startswith("boxfs/")]
    ended = [n for n, entry in enumerate(entries) if "subscribe" in entry["path"] and entry["status"] == 200]
    hour = entries[ended[1] : ended[7]]  # six polls
    calls = [f"{entry['method']} {entry['template']}" for entry in hour if "/2.0/" in entry["template"]]
    assert len(calls) <= 8, calls  # [60]
    assert calls.count("GET /2.0/events") == 2, calls  # every half hour, whatever the poll says


def test_the_last_mib_of_a_large_file_costs_one_call_and_two_mib(box: Box, drive: Mounted) -> None:
    data = content(40 * MIB)
    box.upload("/large", data)
    drive.start()
    os.listdir(drive.path)
    box.clear_log()
    out = subprocess.run(["tail", "-c", str(MIB), drive.path / "large"], capture_output=True, check=True, timeout=120)
    assert out.stdout == data[-MIB:]
    assert asked(box) == [CONTENT]
    assert sent(box) <= 2 * MIB


def test_the_heads_of_twenty_files_cost_a_call_each_and_little_more_than_a_mib(box: Box, drive: Mounted) -> None:
    files = {f"f{n:02}": content(3 * MIB, n) for n in range(20)}
    for name, data in files.items():
        box.upload(f"/{name}", data)
    drive.start()
    os.listdir(drive.path)
    box.clear_log()
    heads: dict[str, bytes] = {}

    def read(name: str) -> None:
        with (drive.path / name).open("rb", buffering=0) as file:
            heads[name] = file.read(4096)

    readers = [threading.Thread(target=read, args=(name,)) for name in files]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert heads == {name: data[:4096] for name, data in files.items()}
    assert asked(box).count(CONTENT) <= 20
    assert sent(box) <= 20 * 1.2 * MIB


def test_random_reads_of_one_open_file_cost_one_call(box: Box, drive: Mounted) -> None:
    data = content(16 * MIB)
    box.upload("/large", data)
    drive.start()
    os.listdir(drive.path)
    box.clear_log()
    with (drive.path / "large").open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        for n in range(50):
            at = (n * 7919 * 4096) % (16 * MIB)
            assert os.pread(file.fileno(), 4096, at) == data[at : at + 4096]
    assert asked(box) == [CONTENT]
