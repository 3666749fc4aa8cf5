"""docs/PERFORMANCE.md: its table of what was asked for names every row; its tables are those of the results."""

from __future__ import annotations

import re
from pathlib import Path

from bench import report, results
from bench.workloads import ALL

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/PERFORMANCE.md").read_text()
ASKED = PAGE.partition("| Asked for | Row |")[2].partition("\n\n")[0]


def test_every_row_stands_in_the_table_of_what_was_asked_for() -> None:
    cells = [line.split("|") for line in ASKED.splitlines() if line.count("|") >= 4]
    named = {name for cell in cells for name in re.findall(r"`([a-z0-9-]+)`", cell[2])}
    assert named == {one.name for one in ALL}


def test_the_tables_are_those_of_the_results() -> None:
    written = PAGE.partition(report.BEGIN)[2].partition(report.END)[0]
    assert written.strip() == report.tables(results.load(ROOT / "bench/results.json")).strip()
