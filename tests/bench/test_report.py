"""The tables: what stands first, what is judged, what limits a row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import limits, plot, report, results
from bench.flame import svg, table
from bench.progress import Progress

MIB = 2**20


def side(*walls: float, **more: Any) -> dict[str, Any]:
    ordered = sorted(walls)
    return {
        "wall_s": ordered[len(ordered) // 2], "best_s": ordered[0], "worst_s": ordered[-1], "settled_s": 0.0,
        "calls": 10.0, "downloads": 0.0, "listening": 0.0, "received_mib": 0.1, "peak_mib": 60.0, "cpu_s": 0.5,
        "run_cpu_s": 0.5, "program_cpu_s": 0.1, "server_cpu_s": 0.1,
        "samples": [{"wall_s": wall, "settled_s": 0.0} for wall in walls],
    } | more  # fmt: skip


def row(title: str, boxfs: dict[str, Any] | None, rclone: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    made = {
        "group": "metadata", "title": title, "limit": "words", "waves": 0, "latency_s": 0.0, "bandwidth": 0,
        "connections": 1, "wire_mib_s": 500, "disk_s": 0.01, "goal": None, "writes": False, "scale": None,
        "load": 0.5, "processors": 2,
        "budget": {"api": 10, "downloads": 0, "mib": 1.0},
    }  # fmt: skip
    sides = {"boxfs": boxfs, "rclone": rclone}
    return made | {name: found for name, found in sides.items() if found is not None} | more


QUICK, SLOW = (1.0, 1.1, 1.2, 1.3, 1.4), (2.0, 2.1, 2.2, 2.3, 2.4)


def section(text: str, title: str) -> str:
    return text.partition(f"### {title}\n")[2].partition("\n### ")[0]


def tables(*rows: dict[str, Any]) -> str:
    return report.tables({"machine": {"kernel": "6"}, "workloads": {str(n): one for n, one in enumerate(rows)}})


def test_rows_where_rclone_is_ahead_come_first_with_what_it_is_ahead_in() -> None:
    text = tables(
        row("boxfs wins", side(*QUICK), side(*SLOW)),
        row("rclone wins", side(*SLOW), side(*QUICK)),
        row("noise", side(*QUICK), side(1.05, 1.0, 1.15, 1.3, 1.4)),
        row("fewer calls", side(*QUICK), side(*SLOW, calls=9.0)),
        row("sooner at Box", side(*QUICK, samples=[{"wall_s": 1.0, "settled_s": 9.0}] * 5), side(*SLOW), writes=True),
    )
    first = section(text, "Where rclone is ahead")
    assert "| rclone wins |" in first
    assert "| time |" in first
    assert "| fewer calls |" in first
    assert "| calls |" in first
    assert "| time until all is at Box |" in first
    assert "boxfs wins" not in first
    assert "noise" not in first
    assert text.index("Where rclone is ahead") < text.index("### Metadata")
    assert "| time | 3 | 1 | 1 |" in text


def test_goals_budgets_and_failures_have_sections_of_their_own() -> None:
    text = tables(
        row("far from it", side(*QUICK), side(*SLOW), goal=8),
        row("too many", side(*QUICK, calls=11.0), side(*SLOW, calls=20.0)),
        row("broken", None, side(*SLOW)),
    )
    assert "far from it" in section(text, "Goals not met")
    assert "too many" in section(text, "Budgets exceeded")
    assert "broken" in section(text, "Rows that failed")
    assert "10 / " not in section(text, "Where rclone is ahead")


def test_no_row_is_said_where_there_is_none() -> None:
    assert "No row." in section(tables(row("boxfs wins", side(*QUICK), side(*SLOW))), "Where rclone is ahead")


def test_the_load_is_told_where_it_was_high() -> None:
    assert "at a load of 23" in tables(row("noisy", side(*QUICK), side(*SLOW), load=23.0))
    assert "at a load" not in tables(row("calm", side(*QUICK), side(*SLOW)))


@pytest.mark.parametrize(
    ("more", "found", "name", "least"),
    [
        ({"waves": 9, "latency_s": 0.05}, {"run_cpu_s": 0.2}, "calls", 0.45),
        ({"waves": 9, "latency_s": 0.05}, {"run_cpu_s": 0.8}, "Python", 0.8),
        ({}, {"run_cpu_s": 0.0}, "kernel and program", 0.01),
        ({"bandwidth": 8 * MIB, "connections": 8}, {"received_mib": 128.0, "run_cpu_s": 1.0}, "wire", 2.0),
        ({}, {"received_mib": 400.0, "run_cpu_s": 0.0, "server_cpu_s": 0.0}, "wire", 0.8),
    ],
)
def test_the_nearest_limit_is_the_greatest(
    more: dict[str, Any], found: dict[str, Any], name: str, least: float
) -> None:
    one = row("any", side(*QUICK, **found), side(*SLOW), **more)
    found_name, found_least = limits.of(one, one["boxfs"]).nearest
    assert found_name == name
    assert found_least == pytest.approx(least)


@pytest.mark.parametrize(
    ("more", "found", "cells"),
    [
        ({"load_counts": False}, {"received_mib": 400.0}, "|  |  |  | 10.0 ms | none of them |  |"),
        ({"disk_s": None}, {"run_cpu_s": 0.0, "server_cpu_s": 0.0}, "|  | 0.2 ms |  |  | none of them |  |"),
        ({"disk_s": None}, {"run_cpu_s": 0.6}, "|  | 0.2 ms | 0.60 s |  | Python | 2.0 |"),
    ],
)
def test_what_cannot_be_a_limit_is_told_as_none(more: dict[str, Any], found: dict[str, Any], cells: str) -> None:
    text = tables(row("any", side(*QUICK, **found), side(*SLOW), **more))
    assert f"| any | 1.20 s {cells}" in section(text, "What limits each row, and how far it is from that")


def test_kinds_of_change_have_a_table_of_their_own_and_are_no_row_of_the_others() -> None:
    def seen(**times: float) -> list[dict[str, Any]]:
        return [{"wall_s": wall, "settled_s": 0.0, "kind": kind} for kind, wall in times.items()]

    text = tables(
        row("the row", side(*QUICK), side(*SLOW)),
        row("kinds", side(0.1, samples=seen(edit=0.1, rename=0.2), listening=4.0), side(60, samples=seen(edit=60.0)),
            latency_s=0.05, group="seen"),
    )  # fmt: skip
    found = section(text, "How soon a change made elsewhere shows")
    assert "| What someone else did | boxfs, 50 ms | rclone, 50 ms |" in found
    assert "| edit | 0.10 s | 60.0 s |" in found
    assert "| rename | 0.20 s | not seen |" in found
    assert "| 10 and 4 | 10 and 0 |" in found
    assert "Of 1 rows" in text


def test_listening_counts_where_a_row_is_about_it_and_polls_are_told() -> None:
    heard = row("idle", side(*QUICK, calls=0, listening=6.0, polls=5.0), side(*SLOW, calls=0, listening=60.0, polls=0))
    assert "| 0 / 0 (10) |" in tables(heard | {"group": "life"})
    assert "| 6 and 5 polls / 60 (10) |" in tables(heard | {"group": "life", "listening": True})


def test_a_ratio_near_nothing_is_not_told_as_nothing() -> None:
    assert "| 0.02 |" in section(tables(row("unmount", side(0.2), side(0.004))), "Metadata")


def test_the_tables_tell_of_which_runs_they_are() -> None:
    one, two = row("one", side(*QUICK), side(*SLOW), run="a"), row("two", side(*QUICK), side(*SLOW), run="a")
    assert "All 2 rows are of one run." in tables(one, two)
    alone = row("three", side(*QUICK), side(*SLOW), run="2026-01-02 03:04")
    assert "2 of 3 rows are of one run; measured at other times were: three (2026-01-02 03:04)." in tables(
        one, two, alone
    )


def test_a_row_that_is_measured_alone_leaves_what_the_others_hold_for(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    results.merge(path, {"a": {"title": "a"}, "b": {"title": "b"}}, ["a", "b"], {"wire": "1"})
    results.merge(path, {"b": {"title": "again"}}, ["a", "b"], {"wire": "2"}, whole=False)
    found = results.load(path)
    assert found["machine"] == {"wire": "1"}
    assert [one["title"] for one in found["workloads"].values()] == ["a", "again"]


def test_the_tables_replace_what_stands_between_the_marks_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    results = {"machine": {}, "workloads": {"a": row("the row", side(*QUICK), side(*SLOW))}}
    report.write(page, results)
    text = page.read_text()
    assert text.startswith(f"before\n{report.BEGIN}\n")
    assert text.endswith(f"{report.END}\nafter\n")
    assert "the row" in text
    assert "old" not in text
    page.write_text("no marks")
    with pytest.raises(ValueError, match="no marks"):
        report.write(page, results)


def test_scale_has_a_table_and_a_plot(tmp_path: Path) -> None:
    rows = {
        f"find-{files}": row(
            "find", side(files / 1e4), side(files / 1e3), group="scale", scale={"step": "find, cold", "files": files}
        )
        for files in (1_000, 10_000, 100_000)
    }
    results = {"machine": {}, "workloads": rows}
    assert section(report.tables(results), "Scale").count("find, cold") == 3
    plot.write_scale(tmp_path / "scale.svg", results)
    assert "find, cold: seconds" in (tmp_path / "scale.svg").read_text()
    plot.write(tmp_path / "all.svg", results)
    assert "<svg" in (tmp_path / "all.svg").read_text()


def test_a_profile_names_functions_without_naming_the_machine() -> None:
    stacks = {
        "run (/home/ada/src/boxfs/boxfs/cli/main.py:3);read (/home/ada/src/boxfs/boxfs/core/reads.py:12)": 3,
        "run (/home/ada/src/boxfs/boxfs/cli/main.py:3);recv (/usr/lib/python3.11/ssl.py:1)": 1,
    }
    text = table(stacks, 5)
    assert "| `read (boxfs/core/reads.py)` | 75% | 75% |" in text
    assert "`recv (ssl.py)`" in text
    assert "/home" not in text
    picture = svg(stacks, "a <title>")
    assert "/home" not in picture
    assert "a &lt;title&gt;" in picture


def test_a_run_that_was_cut_short_is_gone_on_with(tmp_path: Path) -> None:
    first = Progress(tmp_path / "p", resume=False)
    first.add("a")
    again = Progress(tmp_path / "p", resume=True)
    assert again.left(["a", "b"]) == ["b"]
    assert Progress(tmp_path / "p", resume=False).left(["a", "b"]) == ["a", "b"]
    again.end()
    assert Progress(tmp_path / "p", resume=True).left(["a", "b"]) == ["a", "b"]
