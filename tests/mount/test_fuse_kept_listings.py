"""The kernel keeps folders' listings: a second look asks nothing, and no change is missed by it."""

from __future__ import annotations

import os
import random
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mount.cases.register import opened
from tests.support.fusemount import MemoryMount, needs_fuse

pytestmark = needs_fuse


@pytest.fixture
def place(memory: MemoryMount, request: pytest.FixtureRequest) -> Path:
    """A folder of the test's own, with two in it, all listed by the kernel already."""
    path: Path = memory.path / request.node.name
    path.mkdir()
    for folder in ("one", "two"):
        (path / folder).mkdir()
        for n in range(40):
            (path / folder / f"f{n:02}").write_text(folder)
    walked(path)
    walked(path)
    return path


def walked(path: Path) -> dict[str, list[str]]:
    return {os.path.relpath(top, path): sorted(folders + files) for top, folders, files in os.walk(path)}


def asked(memory: MemoryMount) -> int:
    found: int = memory.tell("counts").get("readdir", 0)
    return found


def below(memory: MemoryMount, path: Path) -> str:
    return str(path.relative_to(memory.path))


def long_list(path: Path) -> str:
    return subprocess.run(["ls", "-lR", path], stdout=subprocess.PIPE, text=True, check=True).stdout


def test_second_ls_asks_for_no_listing(memory: MemoryMount, place: Path) -> None:
    first = long_list(place)
    asked(memory)
    assert long_list(place) == first
    assert asked(memory) == 0


def test_large_folder_is_kept_whole(memory: MemoryMount, place: Path) -> None:
    names = [f"{n:05}-{'x' * (n % 200)}" for n in range(5_000)]
    (place / "many").mkdir()
    for name in names:
        (place / "many" / name).touch()
    assert sorted(os.listdir(place / "many")) == names
    asked(memory)
    assert sorted(os.listdir(place / "many")) == names
    assert asked(memory) == 0


FOREIGN: dict[str, tuple[tuple[str, ...], dict[str, set[str]]]] = {
    "new file": (("write one/new 1",), {"one": {"new"}}),
    "new folder": (("mkdir one/new",), {"one": {"new"}}),
    "removed": (("remove one/f03",), {"one": {"-f03"}}),
    "removed folder": (("remove two",), {".": {"-two"}}),
    "renamed": (("rename one/f03 one/g",), {"one": {"-f03", "g"}}),
    "moved": (("rename one/f03 two/g",), {"one": {"-f03"}, "two": {"g"}}),
    "moved folder": (("rename one two/one",), {".": {"-one"}, "two": {"one"}}),
    "replaced": (("rename one/f03 one/f04",), {"one": {"-f03"}}),
    "removed and made again": (("remove one/f03", "write one/f03 2"), {}),
    "removed, told of nothing but a folder": (("remove one/f03", "mkdir one/f03"), {}),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_change_by_somebody_else_shows_in_kept_listings(memory: MemoryMount, place: Path, kind: str) -> None:
    commands, expected = FOREIGN[kind]
    wanted = {folder: set(names) for folder, names in walked(place).items()}
    for folder, names in expected.items():
        for name in names:
            (wanted[folder].discard if name.startswith("-") else wanted[folder].add)(name.removeprefix("-"))
    with opened(place / "one", os.O_RDONLY | os.O_DIRECTORY) as folder_opened_before:
        for command in commands:
            word, *paths = command.split()
            text = [paths.pop()] if word == "write" else []
            memory.tell(word, *(below(memory, place / path) for path in paths), *text)
        assert memory.tell("settle")
        assert {top: set(names) for top, names in walked(place).items() if top in wanted and top != "two/one"} == {
            top: names for top, names in wanted.items() if (place / top).exists()
        }
        if kind != "moved folder":
            assert set(os.listdir(folder_opened_before)) == wanted["one"]


def test_without_being_told_the_kernel_goes_on_with_what_it_has(memory: MemoryMount, place: Path) -> None:
    """The other half: it is the notice that the tests above see."""
    memory.tell("quietly", "write", below(memory, place / "one/new"), "1")
    assert "new" not in os.listdir(place / "one")


def test_when_everything_may_have_changed_no_listing_is_kept(memory: MemoryMount, place: Path) -> None:
    memory.tell("quietly", "write", below(memory, place / "one/new"), "1")
    with opened(place / "two", os.O_RDONLY | os.O_DIRECTORY) as folder:
        memory.tell("quietly", "remove", below(memory, place / "two/f01"))
        memory.change("everything")
        assert "new" in os.listdir(place / "one")
        assert "f01" not in os.listdir(folder)


OWN: dict[str, Callable[[Path], object]] = {
    "create": lambda p: (p / "one/new").touch(),
    "mkdir": lambda p: (p / "one/new").mkdir(),
    "symlink": lambda p: (p / "one/new").symlink_to("f01"),
    "mknod": lambda p: os.mkfifo(p / "one/new"),
    "unlink": lambda p: (p / "one/f01").unlink(),
    "rename": lambda p: (p / "one/f01").rename(p / "one/new"),
    "move": lambda p: (p / "one/f01").rename(p / "two/new"),
    "move of a folder": lambda p: (p / "one").rename(p / "two/one"),
    "replace": lambda p: (p / "one/f01").rename(p / "one/f02"),
}


@pytest.mark.parametrize("kind", OWN)
def test_change_by_a_program_shows_at_once(memory: MemoryMount, place: Path, kind: str, tmp_path: Path) -> None:
    beside = tmp_path / "beside"
    for folder in ("one", "two"):
        (beside / folder).mkdir(parents=True)
        for n in range(40):
            (beside / folder / f"f{n:02}").touch()
    for top in (place, beside):
        OWN[kind](top)
    assert walked(place) == walked(beside)
    assert walked(place) == walked(beside)


def test_rmdir_shows_at_once(place: Path) -> None:
    for name in os.listdir(place / "one"):
        (place / "one" / name).unlink()
    (place / "one").rmdir()
    assert os.listdir(place) == ["two"]


def test_who_left_off_in_the_middle_does_no_harm(memory: MemoryMount, place: Path) -> None:
    """The kernel goes on with the listing that somebody began to read."""
    (place / "many").mkdir()
    for n in range(3_000):
        (place / "many" / f"{n:05}-{'y' * 100}").touch()
    wanted = sorted(os.listdir(place / "many"))
    for turn in range(3):
        memory.change("write", below(memory, place / f"many/new{turn}"), "1")
        wanted = sorted([*wanted, f"new{turn}"])
        with os.scandir(place / "many") as entries:
            for _ in range(700):
                next(entries)
            gone = wanted[turn]
            memory.change("remove", below(memory, place / "many" / gone))
            wanted.remove(gone)
        assert sorted(os.listdir(place / "many")) == wanted
        assert sorted(os.listdir(place / "many")) == wanted


def test_listings_are_right_in_the_end_however_changes_and_readers_meet(memory: MemoryMount, place: Path) -> None:
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            os.listdir(place / "one")

    def change_here() -> None:
        for n in range(200):
            (place / "one" / f"mine{n}").touch()
            if n % 3:
                (place / "one" / f"mine{n}").unlink()

    chance = random.Random(3)
    threads = [threading.Thread(target=read) for _ in range(3)] + [threading.Thread(target=change_here)]
    wanted = {f"f{n:02}" for n in range(40)} | {f"mine{n}" for n in range(200) if n % 3 == 0}
    for thread in threads:
        thread.start()
    try:
        for n in range(100):
            memory.tell("write", below(memory, place / f"one/theirs{n}"), "1")
            wanted.add(f"theirs{n}")
            if chance.random() < 0.5:
                memory.tell("remove", below(memory, place / f"one/theirs{n}"))
                wanted.remove(f"theirs{n}")
        threads[-1].join()
        assert memory.tell("settle")
        assert set(os.listdir(place / "one")) == wanted
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert set(os.listdir(place / "one")) == wanted
    asked(memory)
    assert set(os.listdir(place / "one")) == wanted
