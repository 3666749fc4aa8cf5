"""How real programs save, system call by system call.

Each function takes the path of an existing file and its new bytes, and does what the program does between "save" and
"saved" as seen in its source or under strace(1): the order of open, write, rename, chmod, utime and unlink is what
counts.
`PATTERNS` names them all.  Nothing here knows boxfs; on a local disk each leaves `path` holding `data`.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

Save = Callable[[Path, bytes], None]


def _write(path: Path, data: bytes, flags: int, mode: int = 0o666, *, sync: bool = False) -> None:
    fd = os.open(path, flags, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view[:8192]) :]
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)


def _copy_attributes(source: os.stat_result, target: Path) -> None:
    os.chmod(target, stat.S_IMODE(source.st_mode))
    with contextlib.suppress(PermissionError):
        os.chown(target, source.st_uid, source.st_gid)


def in_place(path: Path, data: bytes) -> None:
    """nano, gedit on some mounts, `cat >`: truncate and write."""
    _write(path, data, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)


def nano(path: Path, data: bytes) -> None:
    """nano 7: its lock file `.NAME.swp` comes first and goes last; truncates and writes in place."""
    lock = path.with_name(f".{path.name}.swp")
    _write(lock, b"b0nano 7.2" + b"\0" * 1014, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        _write(path, data, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    finally:
        os.unlink(lock)


def vim_rename(path: Path, data: bytes) -> None:
    """vim, backupcopy=no, nobackup, writebackup: a probe file `4913`, rename to `f~`, write anew, remove `f~`."""
    old = os.stat(path)
    swap = path.with_name(f".{path.name}.swp")
    _write(swap, b"b0VIM 9.0" + b"\0" * 4087, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    probe = path.with_name("4913")
    _write(probe, b"", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, stat.S_IMODE(old.st_mode))
    os.unlink(probe)
    backup = path.with_name(path.name + "~")
    os.rename(path, backup)
    _write(path, data, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, stat.S_IMODE(old.st_mode), sync=True)
    _copy_attributes(old, path)
    os.unlink(backup)
    os.unlink(swap)


def vim_copy(path: Path, data: bytes) -> None:
    """vim, backupcopy=yes, nobackup: copies to `f~`, truncates and writes the file itself, removes `f~`."""
    old = os.stat(path)
    backup = path.with_name(path.name + "~")
    _write(backup, path.read_bytes(), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    _copy_attributes(old, backup)
    os.utime(backup, ns=(old.st_atime_ns, old.st_mtime_ns))
    _write(path, data, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, sync=True)
    os.unlink(backup)


def emacs_first(path: Path, data: bytes) -> None:
    """emacs, the first save of a session: renames to `f~` (which stays) after a lock link, writes a new file."""
    old = os.stat(path)
    lock = path.with_name(f".#{path.name}")
    os.symlink("ada@host.4711:1700000000", lock)
    backup = path.with_name(path.name + "~")
    os.rename(path, backup)
    _write(path, data, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, stat.S_IMODE(old.st_mode), sync=True)
    _copy_attributes(old, path)
    os.unlink(lock)


def emacs_later(path: Path, data: bytes) -> None:
    """emacs, later saves: lock link, writes in place, auto-save file `#f#` removed."""
    lock = path.with_name(f".#{path.name}")
    os.symlink("ada@host.4711:1700000000", lock)
    auto = path.with_name(f"#{path.name}#")
    _write(auto, data[: len(data) // 2], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    _write(path, data, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, sync=True)
    os.unlink(auto)
    os.unlink(lock)


def vscode(path: Path, data: bytes) -> None:
    """VS Code: opens r+ and truncates, then writes and syncs (its default for local files)."""
    fd = os.open(path, os.O_RDWR)
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, data, 0)
        os.fdatasync(fd)
    finally:
        os.close(fd)


def kate(path: Path, data: bytes) -> None:
    """Kate (QSaveFile): temporary file beside it with six random letters, fsync, chmod, rename over."""
    old = os.stat(path)
    fd, name = tempfile.mkstemp(prefix=path.name + ".", dir=path.parent)
    try:
        os.fchmod(fd, stat.S_IMODE(old.st_mode))
        os.write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(name, path)


def gedit(path: Path, data: bytes) -> None:
    """gedit and all of GIO (g_file_replace): `.goutputstream-XXXXXX`, fsync, copies attributes, rename over."""
    old = os.stat(path)
    temporary = path.with_name(".goutputstream-A1B2C3")
    fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.fchmod(fd, stat.S_IMODE(old.st_mode))
        os.write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(temporary, path)


def libreoffice(path: Path, data: bytes) -> None:
    """LibreOffice: lock file `.~lock.NAME#`, writes `luXXXX.tmp` beside it, renames over, unlocks at close."""
    lock = path.with_name(f".~lock.{path.name}#")
    _write(lock, b",ada,host,22.11.2026 10:00,file:///home/ada;", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    temporary = path.with_name("lu4711abcdef.tmp")
    _write(temporary, b"", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    _write(temporary, data, os.O_WRONLY | os.O_TRUNC)
    os.chmod(temporary, stat.S_IMODE(os.stat(path).st_mode))
    os.rename(temporary, path)
    os.unlink(lock)


def office(path: Path, data: bytes) -> None:
    """MS Office under Wine: `~$NAME` owner file; new bytes to a `.tmp`; old one renamed away; swap; old removed."""
    owner = path.with_name("~$" + path.name[2:])
    _write(owner, b"\x03Ada" + b"\0" * 158, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    temporary, away = path.with_name("3F2A1B00.tmp"), path.with_name("9C8D7E00.tmp")
    _write(temporary, data, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    os.rename(path, away)
    os.rename(temporary, path)
    os.unlink(away)
    os.unlink(owner)


def rsync(path: Path, data: bytes) -> None:
    """The real rsync -a of one changed file: `.NAME.XXXXXX`, times, mode, rename over."""
    _real_rsync(path, data)


def rsync_inplace(path: Path, data: bytes) -> None:
    """The real rsync --inplace: writes into the file."""
    _real_rsync(path, data, "--inplace")


def _real_rsync(path: Path, data: bytes, *options: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, path.name)
        source.write_bytes(data)
        subprocess.run(["rsync", "-a", *options, str(source), str(path)], check=True, timeout=120)


def git_style(path: Path, data: bytes) -> None:
    """git (index, refs, config): `NAME.lock` with O_EXCL, write, close, rename over."""
    lock = path.with_name(path.name + ".lock")
    _write(lock, data, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC)
    os.rename(lock, path)


def atomic_python(path: Path, data: bytes) -> None:
    """Python's idiom: NamedTemporaryFile(delete=False, dir=…), flush, fsync, os.replace, fsync of the folder."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(file.name, path)
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sed_i(path: Path, data: bytes) -> None:
    """sed -i: `sedXXXXXX` beside it, fchmod and fchown like the original, rename over."""
    old = os.stat(path)
    fd, name = tempfile.mkstemp(prefix="sed", dir=path.parent)
    try:
        os.fchmod(fd, stat.S_IMODE(old.st_mode))
        with contextlib.suppress(PermissionError):
            os.fchown(fd, old.st_uid, old.st_gid)
        os.write(fd, data)
    finally:
        os.close(fd)
    os.rename(name, path)


PATTERNS: dict[str, Save] = {
    save.__name__: save
    for save in (
        in_place,
        nano,
        vim_rename,
        vim_copy,
        emacs_first,
        emacs_later,
        vscode,
        kate,
        gedit,
        libreoffice,
        office,
        rsync,
        rsync_inplace,
        git_style,
        atomic_python,
        sed_i,
    )
}

KEEPS_BACKUP = frozenset({"emacs_first"})
"""Those whose backup `NAME~` stays and is a new file at Box of its own."""


def sqlite_save(path: Path, journal: str, rows: int) -> None:
    """One transaction of `rows` rows in the given journal mode; closes the database."""
    with contextlib.closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as db:
        db.execute(f"pragma journal_mode={journal}")
        db.execute("create table if not exists t(n integer, text text)")
        db.execute("begin")
        db.executemany("insert into t values(?, ?)", [(n, "x" * 100) for n in range(rows)])
        db.execute("commit")


SQLITE_JOURNALS = ("delete", "truncate", "persist", "memory", "wal")
