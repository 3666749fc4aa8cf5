"""Old bytes must not come back into the kernel's cache behind its back."""

from __future__ import annotations

from boxfs.base.types import HandleNo, Ino
from boxfs.fuse.openings import Openings

FILE, OTHER = Ino(7), Ino(8)


def opened(openings: Openings, handle: int, ino: Ino = FILE) -> bool:
    return openings.opened(ino, openings.opening(ino), HandleNo(handle))


def test_what_did_not_change_is_kept() -> None:
    openings = Openings()
    assert opened(openings, 1)
    assert opened(openings, 2)
    openings.content_changed(OTHER)
    assert opened(openings, 3)


def test_a_change_while_nobody_has_the_file_open_needs_the_notice_only() -> None:
    openings = Openings()
    opened(openings, 1)
    openings.released(HandleNo(1))
    openings.content_changed(FILE)
    assert opened(openings, 2)


def test_a_handle_from_before_a_change_may_have_put_old_bytes_back() -> None:
    openings = Openings()
    opened(openings, 1)
    openings.content_changed(FILE)
    openings.released(HandleNo(1))
    assert not opened(openings, 2)
    assert opened(openings, 3)


def test_as_long_as_an_old_handle_is_open_each_open_drops_what_is_held() -> None:
    openings = Openings()
    opened(openings, 1)
    openings.content_changed(FILE)
    assert not opened(openings, 2)
    assert not opened(openings, 3)
    openings.released(HandleNo(1))
    assert not opened(openings, 4)
    assert opened(openings, 5)


def test_a_change_in_the_middle_of_an_open_counts_as_after_it() -> None:
    openings = Openings()
    ticket = openings.opening(FILE)
    openings.content_changed(FILE)
    assert not openings.opened(FILE, ticket, HandleNo(1))
    assert not opened(openings, 2)
    openings.released(HandleNo(1))
    assert not opened(openings, 3)
    assert opened(openings, 4)


def test_nothing_is_remembered_of_what_is_closed_and_forgotten() -> None:
    openings = Openings()
    opened(openings, 1)
    openings.gave_up(FILE, openings.opening(FILE))
    openings.content_changed(FILE)
    openings.released(HandleNo(1))
    openings.forget(FILE)
    assert opened(openings, 2)
    openings.released(HandleNo(2))
    assert not any((openings._open, openings._changes, openings._stale, openings._handles))
