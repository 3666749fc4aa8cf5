"""Walking: a walk is seen, and what it will need is listed once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from boxfs.base.errors import Unreachable
from boxfs.base.types import ROOT_INO, Ino
from boxfs.core.walking import MOST_AHEAD, Walking
from tests.support.waiting import until


class Forest:
    """A tree of folders; what is below a folder is known once it is listed."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.parents: dict[Ino, Ino | None] = {ROOT_INO: None}
        self.below: dict[Ino, list[Ino]] = {ROOT_INO: []}
        level = [ROOT_INO]
        for width in shape:
            above, level = level, []
            for folder in above:
                for _ in range(width):
                    ino = Ino(len(self.parents) + 1)
                    self.parents[ino], self.below[ino] = folder, []
                    self.below[folder].append(ino)
                    level.append(ino)
        self.listed: list[Ino] = []
        self.lock = threading.Lock()
        self.error: Exception | None = None

    def parent(self, folder: Ino) -> Ino | None:
        return self.parents[folder]

    def is_listed(self, folder: Ino) -> bool:
        return folder in self.listed

    def after(self, folder: Ino, top: Ino) -> Iterator[Ino]:
        yield from self._known_below(folder)
        parent = self.parents[folder]
        while parent is not None and folder != top:
            beside = self.below[parent]
            for other in beside[beside.index(folder) + 1 :]:
                yield other
                yield from self._known_below(other)
            folder, parent = parent, self.parents[parent]

    def _known_below(self, folder: Ino) -> Iterator[Ino]:
        for child in self.below[folder] if self.is_listed(folder) else []:
            yield child
            yield from self._known_below(child)

    def list(self, folder: Ino) -> None:
        if self.error is not None:
            raise self.error
        with self.lock:
            if folder not in self.listed:
                self.listed.append(folder)


def quiet(walking: Walking) -> bool:
    workers = walking._workers
    with workers._ready:
        return not workers._urgent and not workers._later and workers._idle == len(workers._threads)


@pytest.fixture
def make() -> Iterator[Callable[[Forest], Walking]]:
    made: list[Walking] = []

    def build(forest: Forest) -> Walking:
        made.append(Walking(forest, forest.list))
        return made[-1]

    yield build
    for walking in made:
        walking.close()


def visit(walking: Walking, forest: Forest, folder: Ino) -> bool:
    """Open a folder as `find` does; return whether it was there already."""
    walking.opened(folder)
    until(lambda: quiet(walking))
    ready = forest.is_listed(folder)
    if not ready:
        forest.list(folder)
        walking.listed()
        until(lambda: quiet(walking))
    return ready


@pytest.mark.parametrize("shape", [(100,), (5, 5, 5), (1, 10, 10)])
def test_find_waits_for_few_folders(make: Callable[[Forest], Walking], shape: tuple[int, ...]) -> None:
    forest = Forest(shape)
    walking = make(forest)
    waited = 0
    stack = [ROOT_INO]
    while stack:
        folder = stack.pop()
        waited += not visit(walking, forest, folder)
        stack.extend(reversed(forest.below[folder]))
    assert waited <= 8
    assert len(forest.listed) == len(set(forest.listed)) == len(forest.parents)


def test_two_listings_are_no_walk_and_jumps_end_one(make: Callable[[Forest], Walking]) -> None:
    forest = Forest((50, 2))
    walking = make(forest)
    top = forest.below[ROOT_INO]
    visit(walking, forest, ROOT_INO)
    visit(walking, forest, top[7])
    assert len(forest.listed) == 2
    visit(walking, forest, top[8])
    assert 3 < len(forest.listed) <= 3 + 4
    before = len(forest.listed)
    visit(walking, forest, forest.below[top[40]][0])
    visit(walking, forest, ROOT_INO)
    assert len(forest.listed) <= before + 1


def test_a_walk_that_ends_has_asked_for_at_most_as_much_again(make: Callable[[Forest], Walking]) -> None:
    forest = Forest((500,))
    walking = make(forest)
    folders = [ROOT_INO, *forest.below[ROOT_INO]]
    for opened, folder in enumerate(folders[:200], 1):
        visit(walking, forest, folder)
        assert len(forest.listed) <= opened + min(max(opened, 4), MOST_AHEAD)


def test_listings_under_way_do_not_stand_in_the_way_of_more(make: Callable[[Forest], Walking]) -> None:
    forest = Forest((60,))
    known = [ROOT_INO, *forest.below[ROOT_INO][:11]]
    for folder in known:
        forest.list(folder)
    begun: list[Ino] = []
    answers = threading.Event()

    def list_slowly(folder: Ino) -> None:
        begun.append(folder)
        assert answers.wait(60)

    forest.list = list_slowly  # type: ignore[method-assign]
    walking = make(forest)
    try:
        for folder in known:  # what a walk finds known, it passes by
            walking.opened(folder)
            until(lambda: not walking._looking)
        until(lambda: len(begun) >= 10)
        assert len(begun) == len(set(begun)) <= 12
    finally:
        answers.set()
    until(lambda: quiet(walking))


def test_a_walk_through_what_is_known_looks_ahead_once_in_a_while(make: Callable[[Forest], Walking]) -> None:
    forest = Forest((300,))
    looked = 0
    after = forest.after

    def counted(folder: Ino, top: Ino) -> Iterator[Ino]:
        nonlocal looked
        looked += 1
        return after(folder, top)

    forest.after = counted  # type: ignore[method-assign]
    walking = make(forest)
    folders = [ROOT_INO, *forest.below[ROOT_INO]]
    for folder in folders:
        forest.list(folder)
    for folder in folders:
        visit(walking, forest, folder)
    assert 0 < looked <= 20
    assert len(forest.listed) == 301


def test_a_box_that_cannot_be_reached_is_not_asked_for_ever(make: Callable[[Forest], Walking]) -> None:
    forest = Forest((50,))
    walking = make(forest)
    folders = [ROOT_INO, *forest.below[ROOT_INO]]
    for folder in folders[:3]:
        forest.list(folder)
    forest.error = Unreachable("no network")
    for folder in folders[:4]:
        walking.opened(folder)
        until(lambda: quiet(walking))
    assert len(forest.listed) == 3


def test_a_walk_stays_below_where_it_began(make: Callable[[Forest], Walking]) -> None:
    forest = Forest((10, 10))
    forest.list(ROOT_INO)
    walking = make(forest)
    top = forest.below[ROOT_INO][3]
    for folder in (top, *forest.below[top]):
        visit(walking, forest, folder)
    assert walking.top() == top
    assert set(forest.listed) == {ROOT_INO, top, *forest.below[top]}
    beside = forest.below[ROOT_INO][4]
    visit(walking, forest, beside)
    assert walking.top() == ROOT_INO
