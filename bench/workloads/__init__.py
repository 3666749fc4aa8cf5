"""All workloads, in the order of the tables."""

from bench.workload import Workload
from bench.workloads import life, listing, reading, scale, writing

ALL: tuple[Workload, ...] = (
    *listing.WORKLOADS, *reading.WORKLOADS, *writing.WORKLOADS, *life.WORKLOADS, *scale.WORKLOADS,
)  # fmt: skip
