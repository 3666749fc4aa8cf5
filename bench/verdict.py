"""Which of two sets of runs is quicker, and whether that is more than noise."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

SURE = 0.05
"""A difference that chance alone brings about more seldom than this is one."""
FEW = 4
"""Runs of each from which ranks can be that sure: of three and three, no order is rarer than one in ten."""
APART = 0.1
"""Of fewer runs: the medians must differ by this share too."""
_MOST_ORDERS = 200_000


def chance(one: Sequence[float], other: Sequence[float]) -> float:
    """How likely ranks at least as uneven are, if there is no difference: the exact two-sided Mann-Whitney test."""
    pooled = sorted([*one, *other])
    rank = {value: pooled.index(value) + (pooled.count(value) + 1) / 2 for value in set(pooled)}
    ranks = [rank[value] for value in pooled]
    middle = len(one) * (len(pooled) + 1) / 2
    found = abs(sum(rank[value] for value in one) - middle)
    if math.comb(len(pooled), len(one)) > _MOST_ORDERS:
        sigma = math.sqrt(len(one) * len(other) * (len(pooled) + 1) / 12)
        return math.erfc(found / sigma / math.sqrt(2))
    sums = [abs(sum(chosen) - middle) for chosen in itertools.combinations(ranks, len(one))]
    return sum(value >= found - 1e-9 for value in sums) / len(sums)


def quicker(one: Sequence[float], other: Sequence[float]) -> bool:
    """`one` takes less time than `other`, and not by chance."""
    if not one or not other or _median(one) >= _median(other):
        return False
    if min(len(one), len(other)) >= FEW:
        return chance(one, other) < SURE
    return max(one) < min(other) and _median(one) < (1 - APART) * _median(other)


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
