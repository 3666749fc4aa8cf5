"""The table that every case enters itself into, and the few words that cases are written in."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

Check = Callable[[Path], None]
# Names of a big folder: many replies of the kernel's (one holds about 25 names).  BOXFS_BIG=1: ten times as many.
MANY = 2000 if os.environ.get("BOXFS_BIG") else 200


@dataclass(frozen=True, slots=True)
class Case:
    """needs: what else the file system must have: "xattr" (user.* attributes), "root" (the right to make device nodes,
    to change owners), "fallocate", "holes" (SEEK_HOLE finds holes), "folder_times" (any time can be given to a folder).
    """

    name: str
    check: Check
    needs: frozenset[str]


CASES: dict[str, Case] = {}


def case(*needs: str) -> Callable[[Check], Check]:
    def enter(check: Check) -> Check:
        assert check.__name__ not in CASES, f"two cases named {check.__name__}"
        CASES[check.__name__] = Case(check.__name__, check, frozenset(needs))
        return check

    return enter


def fails(number: int, call: Callable[..., object], *arguments: object, **more: object) -> None:
    """The call must fail with this errno."""
    found = 0
    try:
        call(*arguments, **more)
    except OSError as error:
        found = error.errno or -1
    wanted = errno.errorcode[number]
    assert found, f"did not fail with {wanted}"
    assert found == number, f"failed with {errno.errorcode.get(found)}, not {wanted}"


def touch(path: Path, content: bytes = b"") -> Path:
    path.write_bytes(content)
    return path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@contextmanager
def opened(path: Path, flags: int, permissions: int = 0o644) -> Iterator[int]:
    descriptor = os.open(path, flags, permissions)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)
