"""Folders: making, listing, offsets, listings while names change."""

import ctypes
import errno
import os
import stat
from pathlib import Path

from tests.mount.cases.register import MANY, case, fails, opened, touch


class Listing:
    """opendir(3) with telldir and seekdir, which Python does not offer."""

    def __init__(self, path: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        for name, result, arguments in (
            ("opendir", ctypes.c_void_p, [ctypes.c_char_p]),
            ("readdir64", ctypes.c_void_p, [ctypes.c_void_p]),
            ("telldir", ctypes.c_long, [ctypes.c_void_p]),
            ("seekdir", None, [ctypes.c_void_p, ctypes.c_long]),
            ("rewinddir", None, [ctypes.c_void_p]),
            ("closedir", ctypes.c_int, [ctypes.c_void_p]),
        ):
            function = getattr(self._libc, name)
            function.restype, function.argtypes = result, arguments
        self._stream = self._libc.opendir(os.fsencode(path))
        assert self._stream

    def next(self) -> str | None:
        entry = self._libc.readdir64(self._stream)
        # struct dirent64: d_ino 8, d_off 8, d_reclen 2, d_type 1, d_name
        return None if not entry else os.fsdecode(ctypes.string_at(entry + 19))

    def rest(self) -> list[str]:
        names = []
        while (name := self.next()) is not None:
            names.append(name)
        return names

    def tell(self) -> int:
        return int(self._libc.telldir(self._stream))

    def seek(self, place: int) -> None:
        self._libc.seekdir(self._stream, place)

    def rewind(self) -> None:
        self._libc.rewinddir(self._stream)

    def close(self) -> None:
        self._libc.closedir(self._stream)


@case()
def mkdir_makes_a_folder(d: Path) -> None:
    (d / "n").mkdir()
    assert stat.S_ISDIR(os.lstat(d / "n").st_mode)


@case()
def mkdir_over_a_name_is_eexist(d: Path) -> None:
    touch(d / "f")
    (d / "n").mkdir()
    fails(errno.EEXIST, os.mkdir, d / "f")
    fails(errno.EEXIST, os.mkdir, d / "n")


@case()
def mkdir_in_a_missing_folder_is_enoent(d: Path) -> None:
    fails(errno.ENOENT, os.mkdir, d / "none" / "n")


@case()
def mkdir_below_a_file_is_enotdir(d: Path) -> None:
    fails(errno.ENOTDIR, os.mkdir, touch(d / "f") / "n")


@case()
def mkdir_of_a_name_too_long_is_enametoolong(d: Path) -> None:
    fails(errno.ENAMETOOLONG, os.mkdir, d / ("n" * (os.statvfs(d).f_namemax + 1)))


@case()
def folders_go_forty_deep(d: Path) -> None:
    deep = d
    for number in range(40):
        deep = deep / f"level{number}"
    deep.mkdir(parents=True)
    touch(deep / "f", b"deep")
    assert (deep / "f").read_bytes() == b"deep"


@case()
def empty_folder_lists_nothing(d: Path) -> None:
    assert os.listdir(d) == []


@case()
def listing_holds_dot_and_dot_dot(d: Path) -> None:
    listing = Listing(d)
    try:
        assert sorted(listing.rest()) == [".", ".."]
    finally:
        listing.close()


@case()
def listing_knows_kinds(d: Path) -> None:
    touch(d / "f")
    (d / "n").mkdir()
    os.symlink("f", d / "l")
    with os.scandir(d) as entries:
        found = {
            entry.name: (entry.is_file(follow_symlinks=False), entry.is_dir(), entry.is_symlink()) for entry in entries
        }
    assert found == {"f": (True, False, False), "n": (False, True, False), "l": (False, False, True)}


@case()
def listing_knows_inode_numbers(d: Path) -> None:
    for number in range(20):
        touch(d / str(number))
    with os.scandir(d) as entries:
        for entry in entries:
            assert entry.inode() == os.stat(entry.path).st_ino


@case()
def listing_of_many_pages_is_whole(d: Path) -> None:
    names = {f"name-{number:05d}" for number in range(3 * MANY)}
    for name in names:
        touch(d / name)
    assert sorted(os.listdir(d)) == sorted(names)


@case()
def listing_of_long_names_is_whole(d: Path) -> None:
    names = {f"{number:04d}-" + "n" * 200 for number in range(300)}
    for name in names:
        touch(d / name)
    assert sorted(os.listdir(d)) == sorted(names)


@case()
def listing_has_no_name_twice_while_names_are_added(d: Path) -> None:
    for number in range(400):
        touch(d / f"old-{number:04d}")
    seen: list[str] = []
    with os.scandir(d) as entries:
        for entry in entries:
            seen.append(entry.name)
            if len(seen) <= 400:
                touch(d / f"new-{len(seen):04d}")
    assert len(seen) == len(set(seen))
    assert {f"old-{number:04d}" for number in range(400)} <= set(seen)


@case()
def listing_is_whole_for_names_that_stay_while_others_go(d: Path) -> None:
    for number in range(MANY):
        touch(d / f"{'stay' if number % 2 else 'go'}-{number:04d}")
    seen: set[str] = set()
    with os.scandir(d) as entries:
        for index, entry in enumerate(entries):
            seen.add(entry.name)
            if index == 10:
                for number in range(0, MANY, 2):
                    os.unlink(d / f"go-{number:04d}")
    assert {f"stay-{number:04d}" for number in range(1, MANY, 2)} <= seen


@case()
def removed_names_do_not_come_back_by_a_listing(d: Path) -> None:
    """A listing begun before must not make the kernel believe in names that have gone since."""
    for number in range(MANY):
        touch(d / f"{number:04d}")
    with os.scandir(d) as entries:
        next(entries)
        for number in range(MANY):
            os.unlink(d / f"{number:04d}")
        for entry in entries:
            fails(errno.ENOENT, os.stat, entry.path)
    for number in range(MANY):
        fails(errno.ENOENT, os.stat, d / f"{number:04d}")


@case()
def sizes_are_right_after_a_listing_begun_before(d: Path) -> None:
    for number in range(MANY):
        touch(d / f"{number:04d}")
    with os.scandir(d) as entries:
        next(entries)
        for number in range(MANY):
            touch(d / f"{number:04d}", b"twelve bytes")
        for _ in entries:
            pass
    assert {os.stat(d / f"{number:04d}").st_size for number in range(MANY)} == {12}


@case()
def telldir_and_seekdir_come_back(d: Path) -> None:
    for number in range(300):
        touch(d / f"{number:04d}")
    listing = Listing(d)
    try:
        for _ in range(100):
            listing.next()
        place = listing.tell()
        first = listing.rest()
        listing.seek(place)
        assert listing.rest() == first
    finally:
        listing.close()


@case()
def every_telldir_leads_to_the_name_that_followed(d: Path) -> None:
    for number in range(60):
        touch(d / f"{number:04d}")
    listing = Listing(d)
    places: list[tuple[int, str]] = []
    try:
        while True:
            place = listing.tell()
            name = listing.next()
            if name is None:
                break
            places.append((place, name))
        for place, name in reversed(places):
            listing.seek(place)
            assert listing.next() == name
    finally:
        listing.close()


@case()
def rewinddir_shows_what_came_since(d: Path) -> None:
    touch(d / "a")
    listing = Listing(d)
    try:
        assert sorted(listing.rest()) == [".", "..", "a"]
        touch(d / "b")
        listing.rewind()
        assert sorted(listing.rest()) == [".", "..", "a", "b"]
    finally:
        listing.close()


@case()
def two_listings_of_one_folder_do_not_disturb_each_other(d: Path) -> None:
    for number in range(300):
        touch(d / f"{number:04d}")
    with os.scandir(d) as first, os.scandir(d) as second:
        pairs = list(zip(first, second, strict=True))
    assert len(pairs) == 300


@case()
def folder_link_count_counts_folders_or_is_one(d: Path) -> None:
    for name in "abc":
        (d / name).mkdir()
    assert d.stat().st_nlink in (1, 2, 5)


@case()
def folder_time_moves_when_a_name_comes_and_goes(d: Path) -> None:
    (d / "n").mkdir()
    os.utime(d / "n", ns=(10**18, 10**18))
    touch(d / "n" / "f")
    assert (d / "n").stat().st_mtime_ns > 10**18
    os.utime(d / "n", ns=(10**18, 10**18))
    os.unlink(d / "n" / "f")
    assert (d / "n").stat().st_mtime_ns > 10**18


@case()
def dot_and_dot_dot_lead_where_they_should(d: Path) -> None:
    (d / "n").mkdir()
    assert os.stat(f"{d}/n/.").st_ino == os.stat(d / "n").st_ino
    assert os.stat(f"{d}/n/..").st_ino == os.stat(d).st_ino


@case()
def open_folder_is_walked_from(d: Path) -> None:
    (d / "n").mkdir()
    touch(d / "n" / "f", b"x")
    with opened(d / "n", os.O_RDONLY | os.O_DIRECTORY) as folder:
        assert os.listdir(folder) == ["f"]
        assert os.stat("f", dir_fd=folder).st_size == 1
        os.unlink("f", dir_fd=folder)
    assert os.listdir(d / "n") == []


@case()
def folder_replaced_by_a_file(d: Path) -> None:
    (d / "x").mkdir()
    os.rmdir(d / "x")
    touch(d / "x", b"file")
    assert (d / "x").read_bytes() == b"file"
    os.unlink(d / "x")
    (d / "x").mkdir()
    assert (d / "x").is_dir()


@case()
def listing_of_a_file_is_enotdir(d: Path) -> None:
    fails(errno.ENOTDIR, os.listdir, touch(d / "f"))
