"""Extents: arithmetic of half-open byte ranges, for "which bytes of this file are here".

An `Extents` is a sorted list of disjoint, non-touching ranges [start, stop).  It is not thread-safe; whoever owns one
guards it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

Range = tuple[int, int]


class Extents:
    __slots__ = ("_starts", "_stops")

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        # invariant: _starts[i] < _stops[i] < _starts[i + 1]
        self._starts: list[int] = []
        self._stops: list[int] = []
        for start, stop in ranges:
            self.add(start, stop)

    def __iter__(self) -> Iterator[Range]:
        return iter(zip(self._starts, self._stops, strict=True))

    def __bool__(self) -> bool:
        return bool(self._starts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Extents) and self._starts == other._starts and self._stops == other._stops

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Extents({list(self)})"

    def copy(self) -> Extents:
        new = Extents()
        new._starts, new._stops = self._starts[:], self._stops[:]
        return new

    @property
    def total(self) -> int:
        """Bytes covered."""
        return sum(self._stops) - sum(self._starts)

    @property
    def stop(self) -> int:
        """End of the last range; 0 where there is none."""
        return self._stops[-1] if self._stops else 0

    def add(self, start: int, stop: int) -> bool:
        """Cover [start, stop); return whether anything changed."""
        if start >= stop:
            return False
        starts, stops = self._starts, self._stops
        if starts and stops[-1] == start:  # appending, the usual case
            stops[-1] = stop
            return True
        first = bisect_left(stops, start)  # the first range that ends at or after start: it touches or lies beyond
        last = bisect_right(starts, stop)  # one past the last range that begins at or before stop
        if first < last:
            if starts[first] <= start and stops[first] >= stop:
                return False
            start, stop = min(start, starts[first]), max(stop, stops[last - 1])
        starts[first:last] = [start]
        stops[first:last] = [stop]
        return True

    def remove(self, start: int, stop: int) -> None:
        """Uncover [start, stop)."""
        if start >= stop:
            return
        starts, stops = self._starts, self._stops
        first = bisect_right(stops, start)  # the first range that ends after start
        last = bisect_left(starts, stop)  # one past the last range that begins before stop
        if first >= last:
            return
        new: list[Range] = []
        if starts[first] < start:
            new.append((starts[first], start))
        if stops[last - 1] > stop:
            new.append((stop, stops[last - 1]))
        starts[first:last] = [one[0] for one in new]
        stops[first:last] = [one[1] for one in new]

    def cut(self, size: int) -> None:
        """Uncover everything from `size` on."""
        if self.stop > size:
            self.remove(size, self.stop)

    def covers(self, start: int, stop: int) -> bool:
        """Tell whether all of [start, stop) is covered; an empty range is."""
        if start >= stop:
            return True
        at = bisect_right(self._starts, start) - 1
        return at >= 0 and self._stops[at] >= stop

    def split(self, start: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """Yield the pieces of [start, stop) in order as (start, stop, covered)."""
        at = bisect_right(self._stops, start)
        while start < stop:
            if at == len(self._starts) or self._starts[at] >= stop:
                yield start, stop, False
                return
            if self._starts[at] > start:
                yield start, self._starts[at], False
                start = self._starts[at]
            end = min(self._stops[at], stop)
            yield start, end, True
            start = end
            at += 1

    def missing(self, start: int, stop: int) -> list[Range]:
        """Return the parts of [start, stop) that are not covered."""
        return [(a, b) for a, b, covered in self.split(start, stop) if not covered]

    def to_text(self) -> str:
        """Return "0-10 20-30", readable by `from_text` and by people."""
        return " ".join(f"{start}-{stop}" for start, stop in self)

    @classmethod
    def from_text(cls, text: str) -> Extents:
        new = cls()
        for word in text.split():
            start, _, stop = word.partition("-")
            new.add(int(start), int(stop))
        return new
