"""Recording: the workloads run once under strace, and each system call that changes the disk, as a step of `disk.py`.

The steps of a run stand between the markers of its operations and of Box's changes, as they happened.
"""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.disk import FOLDER, Disk, Grow, Name, Remove, Rename, Step, SyncFile, SyncFolder, Write
from tests.crash.shell import MARK, Run
from tests.crash.strace import COMMAND, SystemCall, calls

ROOT = Path(__file__).parents[2]
AT_FDCWD = -100
FALLOC_KEEP_SIZE = 1


class CannotTrace(Exception):
    """This machine has no strace, or does not let it trace."""


@dataclass(frozen=True)
class Mark:
    """kind: "box" (Box has changed), "begun", "done" (an operation); number: which."""

    kind: str
    number: int


@dataclass
class Recorded:
    run: Run
    steps: list[Step | Mark] = field(default_factory=list)


def record(folder: Path, names: Iterable[str] = ()) -> list[Recorded]:
    """Run the workloads (all, or those named).  Raises CannotTrace."""
    strace = shutil.which("strace")
    if strace is None:
        raise CannotTrace("strace is not installed")
    probe = subprocess.run(
        [strace, *COMMAND[1:], "-o", os.devnull, "true"], capture_output=True, text=True, timeout=60, check=False
    )
    if probe.returncode:
        raise CannotTrace(f"strace cannot trace here: {probe.stderr.strip()}")
    trace = folder / "trace"
    subprocess.run(
        [strace, *COMMAND[1:], "-o", trace, sys.executable, "-m", "tests.crash.record", folder, *names],
        check=True,
        timeout=300,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    runs: list[Run] = pickle.loads((folder / "runs").read_bytes())
    with trace.open() as lines:
        return _Reader({run.name: run for run in runs}).read(calls(lines))


class _Reader:
    """Follows descriptors and names, so that each call is told of the file that it changes."""

    def __init__(self, runs: dict[str, Run]) -> None:
        self._runs = runs
        self._found: list[Recorded] = []
        # Of the run under way
        self._steps: list[Step | Mark] | None = None
        self._root = ""
        self._disk = Disk()
        self._files: dict[int, int] = {}  # descriptor -> number of the file
        self._folders: dict[int, str] = {}  # descriptor -> absolute path
        self._places: dict[int, int] = {}  # descriptor -> where write(2) goes on

    def read(self, told: Iterable[SystemCall]) -> list[Recorded]:
        for call in told:
            if call.name == "write" and call.args[1].startswith('"\\x40\\x62\\x6f') and MARK in call.data(1):
                self._mark(call.data(1).removeprefix(MARK).decode())
            elif self._steps is not None:
                getattr(self, f"_{call.name}", self._unknown)(call)
        return self._found

    def _mark(self, text: str) -> None:
        name, kind, *number = text.split()
        if kind == "begin":
            run = self._runs[name]
            self._found.append(Recorded(run))
            self._steps = self._found[-1].steps
            self._root = run.root
            self._disk = Disk(run.base)
            self._files, self._folders, self._places = {}, {}, {}
        elif kind == "end":
            self._steps = None
        else:
            assert self._steps is not None
            self._steps.append(Mark(kind, int(number[0])))

    def _unknown(self, call: SystemCall) -> None:
        raise NotImplementedError(f"{call.name} changes disks in a way that this does not know")

    # Places

    def _take(self, step: Step) -> None:
        assert self._steps is not None
        self._disk.take(step)
        self._steps.append(step)

    def _path(self, folder_fd: int, path: str) -> str | None:
        """The path below the root ("" is the root); None: somewhere else."""
        if not path.startswith("/"):
            above = self._folders.get(folder_fd)
            if above is None:
                return None
            path = f"{above}/{path}"
        path = os.path.normpath(path)
        if path == self._root:
            return ""
        return path[len(self._root) + 1 :] if path.startswith(self._root + "/") else None

    # Descriptors

    def _opened(self, fd: int, path: str | None, flags: str) -> None:
        self._forget(fd)
        if path is None:
            return
        number = self._disk.names.get(path)
        if path == "" or number == FOLDER:
            self._folders[fd] = os.path.join(self._root, path)
            return
        if number is None:
            assert "O_CREAT" in flags, path
            number = len(self._disk.files)
            self._take(Name(path, number))
        elif "O_TRUNC" in flags and self._disk.files[number].data:
            self._take(Write(number, 0, None))
        assert "O_APPEND" not in flags
        self._files[fd] = number
        self._places[fd] = 0

    def _forget(self, fd: int) -> None:
        self._files.pop(fd, None)
        self._folders.pop(fd, None)

    def _openat(self, call: SystemCall) -> None:
        self._opened(call.result, self._path(call.number(0), call.path(1)), call.args[2])

    def _open(self, call: SystemCall) -> None:
        self._opened(call.result, self._path(AT_FDCWD, call.path(0)), call.args[1])

    def _creat(self, call: SystemCall) -> None:
        self._opened(call.result, self._path(AT_FDCWD, call.path(0)), "O_CREAT|O_TRUNC")

    def _close(self, call: SystemCall) -> None:
        self._forget(call.number(0))

    def _dup(self, call: SystemCall) -> None:
        assert call.number(0) not in self._files, "a second descriptor of a file of the state"
        self._forget(call.result)

    _dup2 = _dup3 = _dup

    def _lseek(self, call: SystemCall) -> None:
        if call.number(0) in self._places:
            self._places[call.number(0)] = call.result

    # Bytes

    def _wrote(self, fd: int, offset: int, data: bytes) -> None:
        if fd in self._files and data:
            self._take(Write(self._files[fd], offset, data))

    def _write(self, call: SystemCall) -> None:
        fd = call.number(0)
        if fd in self._files:
            self._wrote(fd, self._places[fd], call.data(1)[: call.result])
            self._places[fd] += call.result

    def _writev(self, call: SystemCall) -> None:
        fd = call.number(0)
        if fd in self._files:
            self._wrote(fd, self._places[fd], call.vector(1)[: call.result])
            self._places[fd] += call.result

    def _pwrite64(self, call: SystemCall) -> None:
        if call.number(0) in self._files:
            self._wrote(call.number(0), call.number(3), call.data(1)[: call.result])

    def _pwritev(self, call: SystemCall) -> None:
        if call.number(0) in self._files:
            self._wrote(call.number(0), call.number(3), call.vector(1)[: call.result])

    _pwritev2 = _pwritev

    def _copy_file_range(self, call: SystemCall) -> None:
        source, target = call.number(0), call.number(2)
        if target in self._files:
            start = call.number(1)
            self._wrote(target, call.number(3), bytes(self._bytes(source)[start : start + call.result]))

    def _bytes(self, fd: int) -> bytearray:
        return self._disk.files[self._files[fd]].data

    def _sendfile(self, call: SystemCall) -> None:
        assert call.number(0) not in self._files, "sendfile into a file of the state"

    def _ftruncate(self, call: SystemCall) -> None:
        fd, size = call.number(0), call.number(1)
        if fd in self._files and len(self._bytes(fd)) != size:
            self._take(Write(self._files[fd], size, None))

    def _truncate(self, call: SystemCall) -> None:
        path = self._path(AT_FDCWD, call.path(0))
        if path is not None:
            self._take(Write(self._disk.names[path], call.number(1), None))

    def _fallocate(self, call: SystemCall) -> None:
        fd, mode, stop = call.number(0), call.args[1], call.number(2) + call.number(3)
        if fd in self._files:
            assert mode in ("0", "FALLOC_FL_KEEP_SIZE"), mode
            if mode == "0" and len(self._bytes(fd)) < stop:
                self._take(Grow(self._files[fd], stop))

    # Names

    def _renamed(self, old: str | None, new: str | None) -> None:
        if old is not None and new is not None:
            self._take(Rename(old, new))
        else:
            assert old is None, f"{old} leaves the state folder"
            assert new is None, f"{new} comes into the state folder"

    def _rename(self, call: SystemCall) -> None:
        self._renamed(self._path(AT_FDCWD, call.path(0)), self._path(AT_FDCWD, call.path(1)))

    def _renameat(self, call: SystemCall) -> None:
        self._renamed(self._path(call.number(0), call.path(1)), self._path(call.number(2), call.path(3)))

    _renameat2 = _renameat

    def _removed(self, path: str | None) -> None:
        if path is not None:
            self._take(Remove(path))

    def _unlink(self, call: SystemCall) -> None:
        self._removed(self._path(AT_FDCWD, call.path(0)))

    _rmdir = _unlink

    def _unlinkat(self, call: SystemCall) -> None:
        self._removed(self._path(call.number(0), call.path(1)))

    def _made(self, path: str | None) -> None:
        if path is not None:
            self._take(Name(path, FOLDER))

    def _mkdir(self, call: SystemCall) -> None:
        self._made(self._path(AT_FDCWD, call.path(0)))

    def _mkdirat(self, call: SystemCall) -> None:
        self._made(self._path(call.number(0), call.path(1)))

    # Safety

    def _fsync(self, call: SystemCall) -> None:
        fd = call.number(0)
        if fd in self._files:
            self._take(SyncFile(self._files[fd]))
        elif fd in self._folders:
            path = self._path(AT_FDCWD, self._folders[fd])
            assert path is not None
            self._take(SyncFolder(path))

    _fdatasync = _fsync

    def _sync_file_range(self, call: SystemCall) -> None:
        """Promises nothing."""

    def _msync(self, call: SystemCall) -> None:
        """What is mapped is never written to by way of memory."""
