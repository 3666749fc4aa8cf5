from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from boxfs.store.extents import Extents

STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 40), st.integers(0, 40)), max_size=30)


@given(STEPS, st.integers(0, 40), st.integers(0, 40))
def test_extents_are_the_set_of_their_bytes(steps: list[tuple[bool, int, int]], start: int, stop: int) -> None:
    extents, model = Extents(), set[int]()
    for add, a, b in steps:
        if add:
            changed = extents.add(a, b)
            assert changed == (not set(range(a, b)) <= model)
            model |= set(range(a, b))
        else:
            extents.remove(a, b)
            model -= set(range(a, b))
    ranges = list(extents)
    assert {at for a, b in ranges for at in range(a, b)} == model
    assert all(a < b for a, b in ranges)
    assert all(one[1] < two[0] for one, two in pairwise(ranges))
    assert extents.total == len(model)
    assert extents.covers(start, stop) == (set(range(start, stop)) <= model)
    pieces = list(extents.split(start, stop))
    assert [at for a, b, _ in pieces for at in range(a, b)] == list(range(start, stop))
    assert all((at in model) == covered for a, b, covered in pieces for at in range(a, b))
    assert Extents.from_text(extents.to_text()) == extents
    cut = extents.copy()
    cut.cut(start)
    assert {at for a, b in cut for at in range(a, b)} == {at for at in model if at < start}
