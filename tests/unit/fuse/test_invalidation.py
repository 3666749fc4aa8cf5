"""The notifier: everything queued is told, in order, what is the same once, and a refusal stops nothing."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from boxfs.base.types import ROOT_INO, Ino
from boxfs.fuse.invalidation import Invalidator, SeenNames
from boxfs.fuse.operations import Operations
from tests.support.memoryfiles import MemoryFiles


class Told:
    """A kernel that takes notes; `gate` holds the first notice up until it is set."""

    def __init__(self) -> None:
        self.notices: list[tuple[object, ...]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.answer: Callable[[], int] = lambda: 0

    def _note(self, *notice: object) -> int:
        assert self.gate.wait(60)
        self.notices.append(notice)
        return self.answer()

    def drop_inode(self, ino: int) -> int:
        return self._note("inode", ino)

    def drop_attributes(self, ino: int) -> int:
        return self._note("attributes", ino)

    def drop_name(self, parent: int, name: bytes) -> int:
        return self._note("name", parent, name)

    def drop_listing(self, ino: int) -> int:
        return self._note("listing", ino)

    def drop_all_names(self) -> int:
        return self._note("all")


@contextmanager
def running(kernel: Told, seen: SeenNames | None = None) -> Iterator[Invalidator]:
    invalidator = Invalidator(kernel, Operations(MemoryFiles()), lambda: seen)
    invalidator.start()
    try:
        yield invalidator
    finally:
        kernel.gate.set()
        invalidator.stop(60)


def test_notices_are_told_in_order() -> None:
    kernel = Told()
    with running(kernel) as invalidator:
        invalidator.content_changed(Ino(5))
        invalidator.entry_gone(Ino(1), "näme")
        invalidator.attributes_changed(Ino(6))
        invalidator.entry_appeared(Ino(2), "b\udcff")
        invalidator.everything_changed()
        assert invalidator.settle(60)
    assert kernel.notices == [
        ("inode", 5),
        ("name", 1, "näme".encode()),
        ("attributes", 6),
        ("name", 2, b"b\xff"),
        ("all",),
    ]


def test_same_notice_waits_once() -> None:
    kernel = Told()
    kernel.gate.clear()
    with running(kernel) as invalidator:
        for _ in range(100):
            invalidator.content_changed(Ino(5))
        kernel.gate.set()
        assert invalidator.settle(60)
    assert 1 <= len(kernel.notices) <= 2  # one was perhaps on its way already


def test_caller_never_waits_for_the_kernel() -> None:
    kernel = Told()
    kernel.gate.clear()
    with running(kernel) as invalidator:
        for number in range(1000):
            invalidator.content_changed(Ino(number))
        assert kernel.notices == []
        assert not invalidator.settle(0)


def test_unknown_inode_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    kernel = Told()
    kernel.answer = lambda: -errno.ENOENT
    with running(kernel) as invalidator:
        invalidator.content_changed(Ino(5))
        assert invalidator.settle(60)
    assert caplog.records == []


def test_a_content_that_the_kernel_does_not_hold_is_told_of_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that tells of it may be on its way to who asked: it would bring the former size."""
    monkeypatch.setattr("boxfs.fuse.invalidation.LATE_S", 0.001)
    kernel = Told()
    kernel.answer = lambda: -errno.ENOENT
    with running(kernel) as invalidator:
        views = invalidator._operations.views
        invalidator.content_changed(Ino(7))
        deadline = time.monotonic() + 60
        while views.is_changing(Ino(7)):
            assert time.monotonic() < deadline
            time.sleep(0.002)
        assert kernel.notices == [("inode", 7), ("inode", 7)]


def test_failure_is_logged_and_the_rest_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    kernel = Told()

    def fail() -> int:
        raise RuntimeError("broken on purpose")

    kernel.answer = fail
    with running(kernel) as invalidator:
        invalidator.content_changed(Ino(5))
        assert invalidator.settle(60)
        kernel.answer = lambda: 0
        invalidator.content_changed(Ino(6))
        assert invalidator.settle(60)
    assert kernel.notices == [("inode", 5), ("inode", 6)]
    assert "broken on purpose" in caplog.text


def test_everything_means_each_name_where_the_kernel_needs_it() -> None:
    kernel, seen = Told(), SeenNames()
    seen.note(10, 1, b"a")
    seen.note(11, 1, b"b")
    with running(kernel, seen) as invalidator:
        invalidator.everything_changed()
        assert invalidator.settle(60)
    assert kernel.notices == [("name", 1, b"a"), ("name", 1, b"b")]


def test_everything_means_each_listing_that_the_kernel_may_hold() -> None:
    kernel, operations = Told(), Operations(MemoryFiles())
    operations.opendir(ROOT_INO)
    invalidator = Invalidator(kernel, operations, lambda: None)
    invalidator.start()
    try:
        invalidator.everything_changed()
        invalidator.names_changed(Ino(7))
        assert invalidator.settle(60)
    finally:
        invalidator.stop(60)
    assert kernel.notices == [("all",), ("listing", ROOT_INO), ("listing", 7)]


def test_every_notice_makes_listings_look_again() -> None:
    operations = Operations(MemoryFiles())
    invalidator = Invalidator(Told(), operations, lambda: None)
    before = operations.changes.number
    invalidator.content_changed(Ino(5))
    assert operations.changes.number != before


def test_seen_names_follow_renames_and_are_forgotten() -> None:
    seen = SeenNames()
    for ino, name in ((10, b"a"), (11, b"b"), (12, b"c")):
        seen.note(ino, 1, name)
    seen.renamed(1, b"a", 2, b"b", exchanged=False)
    assert sorted(seen.all()) == [(1, b"b"), (1, b"c"), (2, b"b")]
    seen.renamed(1, b"b", 1, b"c", exchanged=True)
    assert sorted(seen.all()) == [(1, b"b"), (1, b"c"), (2, b"b")]
    seen.forget(11)
    assert sorted(seen.all()) == [(1, b"b"), (2, b"b")]


def test_seen_names_forget_what_a_rename_replaced() -> None:
    seen = SeenNames()
    seen.note(10, 1, b"a")
    seen.note(11, 1, b"b")
    seen.renamed(1, b"a", 1, b"b", exchanged=False)
    assert seen.all() == [(1, b"b")]
    seen.forget(11)
    assert seen.all() == [(1, b"b")]
