"""All workloads, in the order of the tables, those that take minutes last."""

from bench.workload import Workload
from bench.workloads import life, listing, reading, scale, seen, writing

ALL: tuple[Workload, ...] = (
    *listing.WORKLOADS, *seen.WORKLOADS, *reading.WORKLOADS, *writing.WORKLOADS, *scale.WORKLOADS, *life.WORKLOADS,
)  # fmt: skip
