"""A change of a watched file is noticed however it comes about."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from boxfs.cli.watching import Watching

PATIENCE_S = 30


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[tuple[Path, threading.Semaphore]]:
    seen = threading.Semaphore(0)
    watching = Watching([tmp_path / "config.toml"], lambda path: seen.release())
    watching.start()
    yield tmp_path / "config.toml", seen
    watching.close()


def test_creating_writing_replacing_and_removing_are_noticed(watched: tuple[Path, threading.Semaphore]) -> None:
    path, seen = watched
    path.write_text("a")
    assert seen.acquire(timeout=PATIENCE_S)
    with path.open("a") as file:
        file.write("b")
    assert seen.acquire(timeout=PATIENCE_S)
    fresh = path.with_name("config.new")
    fresh.write_text("c")
    fresh.replace(path)
    assert seen.acquire(timeout=PATIENCE_S)
    path.unlink()
    assert seen.acquire(timeout=PATIENCE_S)


def test_its_neighbours_are_not(watched: tuple[Path, threading.Semaphore]) -> None:
    path, seen = watched
    path.with_name("other.toml").write_text("a")
    path.write_text("a")
    assert seen.acquire(timeout=PATIENCE_S)
    assert not seen.acquire(blocking=False)
