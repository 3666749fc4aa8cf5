"""Workloads: what programs do, and what the mount's threads do meanwhile, that a crash is to cut into.

Contents differ everywhere, so that a content says whose it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from tests.crash.shell import Shell

Workload = Callable[[Shell], None]


def text(word: str, size: int = 0) -> bytes:
    """Bytes that no other word gives."""
    line = f"{word}\n".encode()
    return (line * (size // len(line) + 1))[:size] if size else line


def small_files(sh: Shell) -> None:
    """The first start of all; new files, one after the other, and their upload."""
    sh.begin()
    sh.write("one", text("one"))
    sh.write("two", text("two", 5000), sync=True)
    sh.push()
    sh.write("three", text("three"))
    sh.write("one", text("one again"))
    sh.push()
    sh.keep_house()
    sh.end()


def saved_by_rename(sh: Shell) -> None:
    """New bytes under a temporary name, fsync, rename over a file that Box knows; and once more, sent between."""
    sh.given("doc", text("doc 0"))
    sh.prepare()
    sh.home.read("doc")
    sh.begin()
    sh.run.trashes = True
    sh.write("doc.tmp", text("doc 1", 900), sync=True)
    sh.rename("doc.tmp", "doc")
    sh.push()
    sh.write("doc.new", text("doc 2"), sync=True)
    sh.push()
    sh.rename("doc.new", "doc")
    sh.sync_folder("")
    sh.push()
    sh.keep_house()
    sh.end()


def part_of_a_large_file(sh: Shell) -> None:
    """In-place writes into a file of which Box has the rest."""
    sh.given("large", text("large", 200_000))
    sh.prepare()
    sh.begin()
    sh.patch("large", 50_000, text("first patch", 6000))
    sh.patch("large", 53_000, text("second patch", 9000), sync=True)
    sh.push()
    sh.patch("large", 199_000, text("third patch", 4000), sync=True)
    sh.push()
    sh.keep_house()
    sh.end()


def appended(sh: Shell) -> None:
    """A log: append and fsync, again and again, with an upload in the middle."""
    sh.begin()
    with sh.opened("log", os.O_WRONLY) as handle:
        for n in range(6):
            at = len(sh.world["log"].content or b"")
            sh.put(handle, "log", at, text(f"line {n}", 700), sync=True)
        sh.close(handle)
    sh.push()
    with sh.opened("log", os.O_WRONLY | os.O_APPEND) as handle:
        for n in range(3):
            at = len(sh.world["log"].content or b"")
            sh.put(handle, "log", at, text(f"more {n}", 300), sync=True)
            sh.push()
        sh.close(handle)
    sh.push()
    sh.end()


def truncated(sh: Shell) -> None:
    """truncate(2) down, up and to nothing, of files here and at Box."""
    sh.given("theirs", text("theirs", 9000))
    sh.prepare()
    sh.begin()
    sh.truncate("theirs", 4000)
    sh.push()
    sh.truncate("theirs", 7000)
    sh.write("ours", text("ours", 3000), sync=True)
    sh.truncate("ours", 10)
    sh.push()
    sh.truncate("ours", 0)
    sh.write("ours", text("ours again"), sync=True)
    sh.push()
    sh.end()


def made_tree(sh: Shell) -> None:
    """mkdir -p and files in it, as tar does."""
    sh.begin()
    for folder in ("a", "a/b", "a/b/c", "d"):
        sh.mkdir(folder)
        sh.write(f"{folder}/file", text(f"file of {folder}"))
    sh.sync_folder("")
    sh.push()
    sh.mkdir("d/e")
    sh.push()
    sh.end()


def moved_folder(sh: Shell) -> None:
    """A folder that Box knows gets another name, another place, and new files meanwhile."""
    for path in ("old", "old/sub", "place"):
        sh.given(path, None)
    sh.given("old/file", text("file"))
    sh.given("old/sub/deep", text("deep"))
    sh.prepare()
    sh.home.ls("old/sub")
    sh.home.ls("place")
    sh.begin()
    sh.rename("old", "new")
    sh.write("new/sub/more", text("more"))
    sh.push()
    sh.rename("new", "place/new")
    sh.rename("place/new/file", "file")
    sh.sync_folder("")
    sh.push()
    sh.end()


def deleted_tree(sh: Shell) -> None:
    """rm -r, of what Box has and of what it has not got yet."""
    for path in ("tree", "tree/a", "tree/b"):
        sh.given(path, None)
    for path in ("tree/one", "tree/a/two", "tree/b/three"):
        sh.given(path, text(path))
    sh.prepare()
    for path in ("tree", "tree/a", "tree/b"):
        sh.home.ls(path)
    sh.begin()
    sh.write("tree/a/new", text("new"), sync=True)
    for path in ("tree/a/new", "tree/a/two", "tree/a", "tree/b/three", "tree/b", "tree/one", "tree"):
        sh.remove(path)
    sh.push()
    sh.mkdir("tree")
    sh.write("tree/one", text("one anew"))
    sh.push()
    sh.end()


def saved_by_vim(sh: Shell) -> None:
    """vim: the old file becomes the backup, the new one is written and fsynced, the backup goes."""
    sh.given("notes", text("notes 0"))
    sh.prepare()
    sh.begin()
    for n in (1, 2):
        sh.rename("notes", "notes~")
        sh.write("notes", text(f"notes {n}", 1500), sync=True)
        sh.remove("notes~")
        sh.push()
    sh.keep_house()
    sh.end()


def journalled(sh: Shell) -> None:
    """SQLite with a rollback journal: journal, fsync, pages in place, fsync, journal away."""
    sh.given("db", text("page", 12_000))
    sh.prepare()
    sh.begin()
    for n in range(3):
        sh.write("db-journal", text(f"journal {n}", 4500), sync=True)
        sh.sync_folder("")
        sh.patch("db", n * 4000, text(f"page {n}", 4000), sync=True)
        sh.remove("db-journal")
        if n == 1:
            sh.push()
    sh.push()
    sh.end()


def sent_in_parts(sh: Shell) -> None:
    """A new file and a new version, each sent in parts with a journal of them."""
    sh.settings["chunked_from"] = 3000
    sh.begin()
    sh.write("big", text("big", 5500), sync=True)
    sh.push()
    sh.write("big", text("bigger", 6200))
    sh.push()
    sh.end()


def resumed_in_parts(sh: Shell) -> None:
    """The mount was killed amid an upload in parts: the next one goes on, while another file is edited."""
    sh.settings["chunked_from"] = 3000
    sh.prepare()
    sh.write("big", text("big", 8300))
    sh.remote.fail("upload_part", sh.lost(), skip=3, times=20)
    sh.push()
    sh.remote.faults.clear()
    sh.clock.pass_(500)
    sh.begin()
    sh.write("other", text("other"))
    sh.push()
    sh.write("big", text("other bytes", 4100))
    sh.push()
    sh.end()


def conflicted(sh: Shell) -> None:
    """Somebody else saves what we have edited: a copy is made of ours."""
    sh.given("shared", text("shared 0"))
    sh.given("calm", text("calm 0"))
    sh.prepare()
    sh.begin()
    sh.run.strangers = True
    sh.write("shared", text("ours"), sync=True)
    sh.theirs("shared", text("theirs"))
    sh.push()
    sh.hear()
    sh.push()
    sh.write("calm", text("ours of calm"))
    sh.theirs("calm", text("theirs of calm"))
    sh.hear()
    sh.push()
    sh.end()


def attributed(sh: Shell) -> None:
    """Modes, links and extended attributes, of new files and of Box's."""
    sh.given("script", text("script"))
    sh.prepare()
    sh.begin()
    sh.chmod("script", 0o755)
    sh.symlink("link", "script")
    sh.push()
    sh.setxattr("script", "user.colour", b"blue")
    sh.write("fresh", text("fresh"))
    sh.setxattr("fresh", "user.colour", b"green")
    sh.sync_folder("")
    sh.push()
    sh.chmod("fresh", 0o700)
    sh.push()
    sh.end()


def restarted(sh: Shell) -> None:
    """A mount that was killed left work of every kind; the next one is stopped in order before all is sent."""
    sh.given("known", text("known"))
    sh.given("moved", text("moved"))
    sh.given("gone", text("gone"))
    sh.prepare()
    sh.write("new", text("new"))
    sh.patch("known", 2, text("patch"))
    sh.rename("moved", "moved away")
    sh.remove("gone")
    sh.mkdir("folder")
    sh.write("folder/inside", text("inside"))
    sh.begin()
    sh.write("later", text("later"), sync=True)
    sh.restart()
    sh.push()
    sh.restart()
    sh.write("new", text("new again"))
    sh.end()


def evicted(sh: Shell) -> None:
    """The block cache is too small for what is read and sent; blocks come and go."""
    for n in range(3):
        sh.given(f"read {n}", text(f"read {n}", 150_000))
    sh.settings["cache"] = 400_000
    sh.prepare()
    sh.begin()
    for n in range(3):
        sh.home.read(f"read {n}")
        sh.write(f"sent {n}", text(f"sent {n}", 2000))
        sh.push()
        sh.keep_house(5)
    sh.keep_house()
    sh.patch("read 0", 70_000, text("patch", 5000), sync=True)
    sh.push()
    sh.end()


def swept(sh: Shell) -> None:
    """A kill left bytes of files that were never closed: the start sweeps them, and takes numbers anew."""
    sh.prepare()
    sh.write("closed", text("closed", 2500))
    for n in range(3):
        with sh.opened(f"open {n}", os.O_WRONLY) as handle:
            sh.home.put(handle, text(f"never closed {n}", 2500), 0)
    sh.begin()
    sh.write("open 0", text("closed at last"))
    sh.push()
    sh.write("after", text("after"), sync=True)
    sh.push()
    sh.end()


def checkpointed(sh: Shell) -> None:
    """SQLite's log is so short that it is carried into the database again and again."""
    sh.settings["checkpoint"] = 12
    sh.begin()
    for n in range(4):
        sh.write(f"file {n}", text(f"file {n}"), sync=n % 2 == 0)
        sh.push()
    sh.rename("file 0", "file 9")
    sh.remove("file 1")
    sh.sync_folder("")
    sh.push()
    sh.end()


WORKLOADS: tuple[Workload, ...] = (
    small_files,
    saved_by_rename,
    part_of_a_large_file,
    appended,
    truncated,
    made_tree,
    moved_folder,
    deleted_tree,
    saved_by_vim,
    journalled,
    sent_in_parts,
    resumed_in_parts,
    conflicted,
    attributed,
    restarted,
    evicted,
    swept,
    checkpointed,
)
