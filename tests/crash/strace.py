"""Strace's output as system calls: of one process and its threads, in the order in which they returned.

The output is that of `strace -f -xx`: every string is written in hexadecimal, so that commas and quotes are syntax.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# What changes a disk, and what says which file a descriptor stands for.
TRACED = (
    "open,openat,creat,close,dup,dup2,dup3,lseek,"
    "write,pwrite64,writev,pwritev,pwritev2,copy_file_range,sendfile,ftruncate,truncate,fallocate,"
    "rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,link,linkat,symlink,symlinkat,"
    "fsync,fdatasync,sync_file_range,syncfs,msync"
)
COMMAND = ("strace", "-f", "--seccomp-bpf", "-xx", "-s", "100000000", "-e", f"trace={TRACED}", "-e", "signal=none")

_WHOLE = re.compile(r"(?:\[pid +)?(\d+)\]? +(\w+)\((.*)\) += (-?\d+|0x[0-9a-f]+|\?)")
_BEGUN = re.compile(r"((?:\[pid +)?\d+\]? +)(\w+)\((.*?),? *<unfinished \.\.\.>$")
_RESUMED = re.compile(r"((?:\[pid +)?\d+\]? +)<\.\.\. (\w+) resumed>,? *(.*)$")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@dataclass(frozen=True)
class SystemCall:
    """args: as strace wrote them.  result: what it returned; a call that failed is not told of."""

    name: str
    args: tuple[str, ...]
    result: int

    def number(self, at: int) -> int:
        """The argument as a number; AT_FDCWD is -100."""
        text = self.args[at].strip("[]")
        return -100 if text == "AT_FDCWD" else int(text, 0)

    def data(self, at: int) -> bytes:
        """The bytes of a string argument."""
        found = _STRING.fullmatch(self.args[at])
        if found is None:
            raise ValueError(f"{self.name}: {self.args[at][:80]!r} is no string")
        return bytes.fromhex(found[1].replace("\\x", ""))

    def path(self, at: int) -> str:
        return self.data(at).decode()

    def vector(self, at: int) -> bytes:
        """The bytes of an iovec argument, all together."""
        return b"".join(bytes.fromhex(one.replace("\\x", "")) for one in _STRING.findall(self.args[at]))


def calls(lines: Iterable[str]) -> Iterator[SystemCall]:
    begun: dict[str, str] = {}
    for line in lines:
        line = line.rstrip("\n")
        if line.endswith("<unfinished ...>"):
            found = _BEGUN.match(line)
            assert found is not None, line[:200]
            begun[found[1].strip()] = f"{found[1]}{found[2]}({found[3]}"
            continue
        if "<... " in line[:40]:
            found = _RESUMED.match(line)
            assert found is not None, line[:200]
            first = begun.pop(found[1].strip())
            between = "" if first.endswith("(") or found[3].startswith(")") else ", "
            line = first + between + found[3]
        found = _WHOLE.match(line)
        if found is None or found[4] == "?":
            continue  # an exit, or a call that never returned
        result = int(found[4], 0)
        if result >= 0:
            yield SystemCall(found[2], tuple(_split(found[3])), result)


def _split(args: str) -> Iterator[str]:
    """Split at the commas that stand outside of brackets."""
    if "[" not in args and "{" not in args:
        yield from args.split(", ")
        return
    depth = start = 0
    for at, letter in enumerate(args):
        if letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        elif letter == "," and not depth:
            yield args[start:at]
            start = at + 2
    yield args[start:]
