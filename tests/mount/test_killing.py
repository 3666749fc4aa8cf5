"""Programs that wait for a Box that says nothing can be killed, and do not keep others from what is at hand.

The time-out of the network is an hour here: what is not let go would wait for longer than a test does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.box import Box, EmulatorProcess
from tests.support.mounting import Mounted, eventually

pytestmark = [pytest.mark.fuse, pytest.mark.timeout(300)]

MANY = 40


class Silence:
    """A mount whose Box takes requests for listings and bytes and never answers; `f0`.. and `d0`.. are asked for."""

    def __init__(self, server: EmulatorProcess, home: Path, *options: str) -> None:
        self.other = Box(server.url)
        for number in range(MANY):
            self.other.upload(f"/f{number}", b"f" * 300_000)
        for number in range(4):
            self.other.makedirs(f"/d{number}/sub")
        self.mount = Mounted(server.url, home, options=["timeout=3600", "drain_timeout=1", "settle=0", *options])
        os.listdir(self.mount.path)
        self.folder = self.other.folder_id("/d0")
        for path in ("/content", r"/folders/\d+/items"):
            self.other.fault(do="stall", seconds=None, at="before", path=path, method="GET", times=None)
        self.programs: list[subprocess.Popen[str]] = []

    def run(self, *words: str, cwd: Path | None = None) -> subprocess.Popen[str]:
        """cwd: where it begins, else in the mount."""
        out = subprocess.PIPE
        # What runs in the background (these tests may) has some signals ignored, and passes that on.
        words = ("env", "--default-signal", *words)
        self.programs.append(
            subprocess.Popen(words, stdout=out, stderr=subprocess.STDOUT, text=True, cwd=cwd or self.mount.path)
        )
        return self.programs[-1]

    def waits(self, program: subprocess.Popen[str]) -> None:
        """It sleeps in a request to the mount: fuse's own wait, or that for a page."""

        def is_waiting() -> bool:
            state, _, channel = _task(program.pid)
            return state in "DS" and ("fuse" in channel or "request_wait" in channel or "folio" in channel)

        eventually(is_waiting, f"{program.args!r} waits for Box")

    def asked(self, times: int) -> None:
        eventually(
            lambda: sum(each["fired"] for each in self.other.call("GET", "/_emulator/faults")["faults"]) >= times,
            f"Box was asked {times} times",
        )

    def close(self) -> None:
        for program in self.programs:
            program.kill()
        self.mount.close()
        for program in self.programs:
            program.wait(60)
            if program.stdout is not None:
                program.stdout.close()
        self.other.close()


def _task(pid: int) -> tuple[str, str, str]:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state, "", Path(f"/proc/{pid}/wchan").read_text()
    except OSError:
        return "Z", "", ""


@contextlib.contextmanager
def _silence(folder: Path, *options: str) -> Iterator[Silence]:
    with EmulatorProcess(folder / "server" / "data") as process:
        scene = Silence(process, folder / "m", *options)
        try:
            yield scene
        finally:
            scene.close()


@pytest.fixture
def silence(tmp_path: Path) -> Iterator[Silence]:
    with _silence(tmp_path) as scene:
        yield scene


def _ended(program: subprocess.Popen[str]) -> int:
    return program.wait(60)


PROGRAMS: dict[str, tuple[str, ...]] = {
    "list": ("ls", "d0"),
    "look up": ("stat", "d1/sub"),
    "make": ("mkdir", "d2/sub/new"),
    "open and read": ("cat", "f0"),
    "read the end": ("tail", "-c", "10", "f1"),
}
# What it does with signals that it handles, it says after the call that waits.
HANDLES = """if True:
    import os, signal
    for number in (signal.SIGALRM, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    try:
        os.listdir("d3")
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_programs_that_wait_for_box_can_be_killed(silence: Silence, number: signal.Signals) -> None:
    waiting = {what: silence.run(*words) for what, words in PROGRAMS.items()}
    for program in waiting.values():
        silence.waits(program)
    for program in waiting.values():
        program.send_signal(number)
    ends = {what: program.wait(60) for what, program in waiting.items()}
    assert set(ends.values()) == {-number}


def test_a_signal_that_a_program_handles_does_not_break_what_it_waits_for(silence: Silence) -> None:
    """A timer, a reload, a word to finish: on a disk, too, they interrupt nothing.  It can be killed all the same."""
    program = silence.run(sys.executable, "-c", HANDLES)
    silence.waits(program)
    for number in (signal.SIGALRM, signal.SIGHUP, signal.SIGTERM):
        program.send_signal(number)
        eventually(lambda: f"thread {program.pid} had a signal" in silence.mount.log, "boxfs hears of it")
        assert program.poll() is None
    silence.waits(program)
    program.kill()
    assert program.wait(60) == -signal.SIGKILL


def test_a_program_that_handles_ctrl_c_hears_it_while_it_lists(silence: Silence) -> None:
    program = silence.run(sys.executable, "-c", HANDLES)
    silence.waits(program)
    program.send_signal(signal.SIGINT)
    out, _ = program.communicate(timeout=60)
    assert (out, program.returncode) == ("interrupted\n", 0)


def test_with_forty_readers_waiting_others_are_answered(silence: Silence) -> None:
    for number in range(MANY):
        silence.run("cat", f"f{number}")
    for program in silence.programs:
        silence.waits(program)
    # Nothing of these is held by the kernel: the daemon has to answer.
    probe = silence.run("stat", "-f", ".")
    assert probe.wait(60) == 0
    new = silence.run("sh", "-c", "echo kept > new && mv new newer && cat newer && rm newer")
    assert (new.wait(60), new.stdout.read() if new.stdout else "") == (0, "kept\n")
    for program in silence.programs[:MANY]:
        program.kill()
    assert {program.wait(60) for program in silence.programs[:MANY]} == {-signal.SIGKILL}


def test_with_as_many_waiting_as_may_be_each_can_be_killed(tmp_path: Path) -> None:
    """Two requests may be at work, and wait; two more are held.  No answer of Box makes room for any of them."""
    with _silence(tmp_path, "workers=2") as silence:
        for number in range(4):
            silence.waits(silence.run("ls", str(silence.mount.path / f"d{number}"), cwd=tmp_path))
        silence.asked(2)
        for program in reversed(silence.programs):
            program.kill()
            assert program.wait(60) == -signal.SIGKILL
        assert silence.mount.alive


@pytest.mark.parametrize("cure", ["mount", "umount"])
def test_a_killed_boxfs_that_the_kernel_holds_does_not_stand_in_the_way(silence: Silence, cure: str) -> None:
    """A notice of ours waits in the kernel for who is in that folder, and he for us: kill -9 leaves that thread."""
    mount, pid = silence.mount, silence.mount.pid
    program = silence.run("ls", "d0")
    silence.waits(program)
    silence.other.call("POST", "/2.0/folders", json={"name": "new", "parent": {"id": silence.folder}})
    silence.other.call("PUT", f"/2.0/folders/{silence.folder}", json={"name": "moved"})
    eventually(lambda: "fuse_reverse" in _waits_in_the_kernel(pid), "a notice waits")
    mount.signal(signal.SIGKILL)
    eventually(lambda: _task(pid)[0] == "Z", "all other threads have ended")
    assert "fuse_reverse" in _waits_in_the_kernel(pid)
    silence.other.reset()
    if cure == "umount":
        done = mount.run("umount", str(mount.path))
        assert (done.returncode, "its process was dead" in done.stderr) == (0, True)
    else:
        done = mount.run(*mount.arguments()[:1], *mount.arguments()[2:])
        assert done.returncode == 0, done.stderr
        assert "f0" in os.listdir(mount.path)
        assert mount.run("umount", str(mount.path)).returncode == 0
    assert program.wait(60) != 0
    mount.ended()


def _waits_in_the_kernel(pid: int) -> str:
    channels = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            channels.append((task / "wchan").read_text())
    return " ".join(channels)
