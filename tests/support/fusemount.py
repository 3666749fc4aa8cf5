"""MemoryMount: tests/support/memorymount.py as a context manager, always cleaned up, never waited for without bound."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

DEADLINE_S = 60.0


def fuse_works() -> bool:
    return os.access("/dev/fuse", os.R_OK | os.W_OK)


needs_fuse = [pytest.mark.fuse, pytest.mark.skipif(not fuse_works(), reason="needs /dev/fuse")]


def is_mounted(path: Path) -> bool:
    wanted = str(path)
    return any(line.split()[4] == wanted for line in Path("/proc/self/mountinfo").read_text().splitlines())


def force_unmount(path: Path) -> None:
    """Whatever is mounted there, off it comes."""
    for _ in range(5):
        if not is_mounted(path):
            return
        program = ["umount", "-l"] if os.geteuid() == 0 else ["fusermount3", "-uz"]
        subprocess.run([*program, str(path)], stderr=subprocess.DEVNULL, timeout=DEADLINE_S, check=False)


class MemoryMount:
    """`path` is the mount.  Commands of tests/support/memorymount.py are called by `tell`."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.path = path
        self._options = options
        self.log: str = ""

    def start(self, *, wait: bool = True) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.memorymount", str(self.path), json.dumps(self._options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        self._answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._readers = [threading.Thread(target=self._listen), threading.Thread(target=self._keep_log)]
        for reader in self._readers:
            reader.start()
        if wait:
            first = self.event()
            assert first["event"] == "ready", (first, self.log)
        return self

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            message = json.loads(line)
            (self._events if "event" in message else self._answers).put(message)
        self._events.put(None)
        self._answers.put(None)

    def _keep_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log += line

    def event(self) -> dict[str, Any]:
        message = self._events.get(timeout=DEADLINE_S)
        assert message is not None, f"the mount ended: {self.log}"
        return message

    def tell(self, *command: Any) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        answer = self._answers.get(timeout=DEADLINE_S)
        assert answer is not None, f"the mount ended: {self.log}"
        assert "error" not in answer, answer["error"]
        return answer["ok"]

    def change(self, *command: Any) -> None:
        """A change by somebody else, and the kernel told of it."""
        self.tell(*command)
        assert self.tell("settle")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """The exit code, once the process has ended by itself."""
        code = self.process.wait(DEADLINE_S)
        for reader in self._readers:
            reader.join(DEADLINE_S)
        return code

    def stop(self) -> None:
        try:
            if self.process.poll() is None:
                force_unmount(self.path)
                try:
                    self.process.wait(15)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait(DEADLINE_S)
        finally:
            force_unmount(self.path)
            for reader in self._readers:
                reader.join(DEADLINE_S)
            for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
                if pipe is not None:
                    pipe.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
