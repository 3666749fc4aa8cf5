"""A network and mount namespace of its own: there api.box.com and its like are this machine, on port 443.

Nothing of it is seen outside: not the port, not /etc/hosts, not what is mounted.
"""

from __future__ import annotations

import contextlib
import queue
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

PATIENCE_S = 120.0


class NoIsland(Exception):
    """This machine does not let us make namespaces; the message says what it said."""


class Island:
    """names: hosts that are 127.0.0.1 here.  Raises NoIsland."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        hosts = folder / "hosts"
        hosts.write_text(f"127.0.0.1 localhost {' '.join(names)}\n")
        script = (
            "set -e; ip link set lo up; mount --make-rprivate /; "
            f"mount --bind '{hosts}' /etc/hosts; echo up; exec sleep infinity"
        )
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--net", "sh", "-c", script],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        self._processes: list[subprocess.Popen[str]] = []
        said = self.wait_for(self._holder, "up")
        if said is not None:
            self.close()
            raise NoIsland(said)

    def command(self, *words: str | Path) -> list[str]:
        """The command line that runs these words on the island."""
        # --root: entering a mount namespace leaves a chroot, where a build may well run.
        return ["nsenter", f"--target={self._holder.pid}", "--mount", "--net", "--root", "--wd", "--", *map(str, words)]

    def run(self, *words: str | Path) -> str:
        """Run to the end; what it printed.  Raises AssertionError with all it said, if it failed."""
        done = subprocess.run(
            self.command(*words),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, *words: str | Path, cwd: Path | None = None) -> subprocess.Popen[str]:
        """Run in the background until the island is gone."""
        process = subprocess.Popen(
            self.command(*words),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            cwd=cwd,
        )
        self._processes.append(process)
        return process

    @staticmethod
    def wait_for(process: subprocess.Popen[str], word: str) -> str | None:
        """Until it prints a line with the word: None.  Else what it said before it ended or the time was over."""
        stdout = process.stdout
        assert stdout is not None
        lines: queue.Queue[str] = queue.Queue()

        def read() -> None:
            with contextlib.suppress(ValueError):
                for line in stdout:
                    lines.put(line)
            lines.put("")

        threading.Thread(target=read, daemon=True).start()
        said = ""
        with contextlib.suppress(queue.Empty):
            while line := lines.get(timeout=PATIENCE_S):
                said += line
                if word in line:
                    return None
        return said or "it said nothing"

    def close(self) -> None:
        """End everything on the island; its mounts go with it."""
        for process in [*reversed(self._processes), self._holder]:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                with contextlib.suppress(OSError):
                    process.stdout.close()
