"""The demo, as its user meets it: content to look at, Ctrl-C keeps everything, a second start finds it again."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from boxfs.cli.demo_content import BIG_FILE, BIG_FILE_BYTES
from tests.support.mounting import eventually

pytestmark = [pytest.mark.fuse, pytest.mark.timeout(600)]

PATIENCE_S = 120


class Demo:
    def __init__(self, home: Path) -> None:
        self.path = home / "box"
        self._said = home / "said.txt"
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("BOXFS_")},
            "BOXFS_CONFIG": str(home / "config.toml"),
            "XDG_RUNTIME_DIR": str(home),
        }
        with self._said.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "boxfs", "demo", "--data-dir", str(home / "data"), str(self.path)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                start_new_session=True,
            )
        eventually(self._is_ready, "the demo says what to try", PATIENCE_S)

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.said
        return "Ctrl-C" in self.said

    @property
    def said(self) -> str:
        return self._said.read_text()

    def end(self) -> int:
        """Ctrl-C, whatever our parent made of SIGINT."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE_S)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    subprocess.run(["fusermount3", "-uzq", str(tmp_path / "box")], capture_output=True, check=False)


def test_the_demo_keeps_everything_between_two_starts(home: Path) -> None:
    demo = Demo(home)
    try:
        names = {str(path.relative_to(demo.path)) for path in demo.path.rglob("*")}
        assert {"README.md", "Pictures/01 Sunrise.jpg", "Names/日本語のファイル.txt", "Names/שלום.txt"} <= names
        assert (demo.path / BIG_FILE).stat().st_size == BIG_FILE_BYTES > 50_000_000
        assert (demo.path / "Pictures/02 Forest.jpg").read_bytes()[:3] == b"\xff\xd8\xff"
        tried = demo.said.partition("Try, in another terminal:\n")[2].splitlines()
        assert len([line for line in tried if line.startswith("  ")]) == 6
        (demo.path / "mine.txt").write_text("mine")
        (demo.path / "Documents/Abendlied.txt").unlink()
    finally:
        code = demo.end()
    assert code == 0, demo.said
    assert not os.path.ismount(demo.path)
    assert os.listdir(demo.path) == []

    demo = Demo(home)
    try:
        assert (demo.path / "mine.txt").read_text() == "mine"
        assert not (demo.path / "Documents/Abendlied.txt").exists()
        assert "filling" not in demo.said
    finally:
        assert demo.end() == 0, demo.said
    demo = Demo(home)
    try:
        (demo.path / "late.txt").write_text("late")
        mount = next(each for each in _processes(demo.process.pid) if " mount " in each.read_text().replace("\0", " "))
        os.kill(int(mount.parent.name), signal.SIGKILL)
        assert demo.process.wait(PATIENCE_S) == 0, demo.said
    finally:
        demo.process.kill()
    assert "its mount has ended" in demo.said
    assert "sending" not in demo.said.partition("Ctrl-C")[2].partition("\n")[2]
    assert os.listdir(demo.path) == [], "the place is free"


def _processes(parent: int) -> list[Path]:
    """The command lines of its children."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [Path(f"/proc/{child}/cmdline") for child in children]
