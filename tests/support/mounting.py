"""Mounted: a real mount of boxfs in a process of its own, against the emulator; a dead mount cannot hang the tests.

with Mounted(url, tmp_path) as m:
    (m.path / "a.txt").write_text("hello")
    m.sync()
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from boxfs.cli import control, places
from boxfs.cli.exits import CliError

TOKEN = "dev-token"
# Generous: a start is under a second on an idle machine, and CI machines are not idle.
PATIENCE_S = 60.0


def eventually(condition: Callable[[], Any], what: str, timeout_s: float = PATIENCE_S) -> Any:
    """Return the first true value of `condition`; fail saying `what` did not happen."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"after {timeout_s:g} s still not: {what}")
        time.sleep(0.02)


class MountFailed(AssertionError):
    """The mount did not become ready.  message: its one line; code: its exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(f"{message} (exit {code})")
        self.message = message
        self.code = code


class Mounted:
    """A mount of `remote` at `path`.  The folder `home` holds its state: another Mounted of one home is the next start.

    options: of `-o`.  env: on top of ours.  Everything is cleaned up by `close`, whatever state it is in.
    """

    def __init__(
        self,
        url: str,
        home: Path,
        *,
        token: str = TOKEN,
        remote: str = "box:",
        options: Sequence[str] = (),
        path: Path | None = None,
        cache_dir: Path | None = None,
        env: Mapping[str, str] | None = None,
        start: bool = True,
    ) -> None:
        self.home = home
        self.path = path or home / "mnt"
        self.cache_dir = cache_dir or home / "cache"
        self.remote = remote
        self.options = tuple(options)
        runtime = home / "run"
        for folder in (self.path, runtime):
            if not os.path.ismount(folder):
                with contextlib.suppress(FileExistsError):
                    folder.mkdir(parents=True)
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("BOXFS_")},
            "BOXFS_API_URL": url,
            "BOXFS_TOKEN": token,
            "BOXFS_CONFIG": str(home / "config.toml"),
            "BOXFS_LOG_LEVEL": "debug",
            "XDG_RUNTIME_DIR": str(runtime),
            "XDG_STATE_HOME": str(home / "state"),
            "PYTHONWARNINGS": "default",
            **(env or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = home / "stderr.txt"
        if start:
            self.start()

    # Beginning

    def arguments(self) -> list[str]:
        words = [part for word in self.options for part in ("-o", word)]
        return ["mount", "--foreground", "--cache-dir", str(self.cache_dir), *words, self.remote, str(self.path)]

    def start(self, *, rested: bool = True) -> None:
        """Mount; returns when ready.  Raises MountFailed with the line that a user would see.

        rested: what a first mount asks of Box a second later (whose account it is) is asked now, so that who counts
        calls from here on counts those of his own doing.
        """
        assert self._process is None
        read_end, write_end = os.pipe()
        try:
            with self._errors.open("ab") as errors:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "boxfs", *self.arguments()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    env={**self.env, "BOXFS_READY_FD": str(write_end)},
                    pass_fds=(write_end,),
                    start_new_session=True,
                )
        finally:
            os.close(write_end)
        with os.fdopen(read_end, "rb") as pipe:
            if not select.select([pipe], [], [], PATIENCE_S)[0]:
                self.close()
                raise AssertionError(f"not mounted after {PATIENCE_S:g} s\n{self.log}")
            line = pipe.readline()
            while b'"waiting"' in line:  # for the end of the last mount of the same home
                line = pipe.readline()
        message = json.loads(line) if line else {}
        if "ready" not in message:
            code = self._process.wait(PATIENCE_S)
            self._process = None
            raise MountFailed(message.get("error") or self._errors.read_text(), code)
        if rested:
            self._ask_status()

    def socket(self) -> Path | None:
        """Of the mount's control; where the runtime folder's path is too long for a socket it is elsewhere."""
        name = f"{places.mount_key(self.path)}.sock"
        lines = Path("/proc/net/unix").read_text().splitlines()
        return next((Path(line.split()[-1]) for line in lines if line.endswith(f"/{name}")), None)

    def _ask_status(self) -> None:
        socket = self.socket()
        if socket is not None:  # else it is of another network namespace
            with contextlib.suppress(CliError):
                control.call(socket, "status", timeout_s=PATIENCE_S)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """All that the mount has said, its log file and its stderr."""
        files = [*sorted(self.cache_dir.glob("log/*"), reverse=True), self._errors]
        return "".join(file.read_text(errors="replace") for file in files if file.exists())

    # The commands of a user

    def run(
        self, *arguments: str, env: Mapping[str, str] | None = None, timeout_s: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        """Run `boxfs ARGUMENTS` in the same surroundings, with `env` on top."""
        return subprocess.run(
            [sys.executable, "-m", "boxfs", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**self.env, **(env or {})},
            timeout=timeout_s,
            check=False,
        )

    def sync(self, path: str | None = None) -> None:
        """Return when everything (below `path`, relative to the mount) is at Box; fail where it does not get there."""
        done = self.run("sync", "-q", "-t", "100", str(self.path / (path or "")))
        assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{self.log[-4000:]}"

    def status(self) -> dict[str, Any]:
        """Return the mount's own part of `boxfs status --json`."""
        done = self.run("status", "--json", str(self.path))
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)["mounts"][0]
        return found

    def unmount(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`boxfs umount`: drains; returns when the process has ended, or the mount was busy."""
        done = self.run("umount", *arguments, str(self.path))
        if not self._is_mounted():
            self.ended()
        return done

    # Ends

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def ended(self, timeout_s: float = PATIENCE_S) -> int:
        """Wait for the process's end; return its exit code."""
        assert self._process is not None
        code = self._process.wait(timeout_s)
        self._process = None
        return code

    def kill9(self) -> None:
        """Kill it as a power cut of the process would; what the kernel still shows of it is taken away."""
        self.signal(signal.SIGKILL)
        self.ended()
        self._detach()

    def restart(self) -> None:
        """Unmount (draining) and mount again."""
        done = self.unmount()
        assert done.returncode == 0, done.stderr
        self.start()

    def close(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            self._detach()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self._detach()

    def _is_mounted(self) -> bool:
        """Ask the kernel's table, and nothing of the mount."""
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
            return any(line.split()[4] == str(self.path) for line in table)

    def _detach(self) -> None:
        for _ in range(3):
            if not self._is_mounted():
                return
            subprocess.run(["fusermount3", "-u", "-z", str(self.path)], capture_output=True, check=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
