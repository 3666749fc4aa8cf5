"""The tables of docs/PERFORMANCE.md, between two marks; what stands around them is written by hand."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.results import Row

BEGIN, END = "<!-- tables: written by scripts/bench -->", "<!-- tables: end -->"
GROUPS = {"metadata": "Metadata", "reading": "Reading", "writing": "Writing", "life": "The life of a mount"}


def write(path: Path, results: dict[str, Any]) -> None:
    """Replace what is between the marks.  Raises ValueError where the file has none."""
    text = path.read_text()
    before, begin, rest = text.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no marks for the tables")
    path.write_text(f"{before}{BEGIN}\n\n{tables(results)}\n{END}{after}")


def tables(results: dict[str, Any]) -> str:
    rows: dict[str, Row] = results["workloads"]
    parts = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in results["machine"].items()), ""]
    behind = {name: row for name, row in rows.items() if is_behind(row)}
    parts += ["### Where rclone is ahead, or takes fewer calls", ""]
    parts += _table(behind.values()) if behind else ["No row.", ""]
    missed = [row for row in rows.values() if _ratio(row) and row["goal"] and (_ratio(row) or 0) < row["goal"]]
    parts += ["### Goals not met", ""]
    parts += _table(missed) if missed else ["None.", ""]
    for group, title in GROUPS.items():
        parts += [f"### {title}", "", *_table(row for row in rows.values() if row["group"] == group)]
    parts += ["### What limits each row", "", "| Workload | Limit | boxfs: time, of it daemon's CPU, server's CPU |"]
    parts += ["|---|---|---|", *(_limit(row) for row in rows.values() if "boxfs" in row), ""]
    return "\n".join(parts)


def is_behind(row: Row) -> bool:
    """rclone is quicker in every run, or by a tenth in the median, or asks less."""
    if "boxfs" not in row or "rclone" not in row:
        return "rclone" in row
    boxfs, rclone = row["boxfs"], row["rclone"]
    quicker = rclone["worst_s"] < boxfs["best_s"] or rclone["wall_s"] < 0.9 * boxfs["wall_s"]
    return bool(quicker or calls_of(rclone, row) < calls_of(boxfs, row))


def calls_of(side: Row, row: Row) -> float:
    """Calls that count for the row: where nothing happens, listening is all there is."""
    return float(side["calls"] + (side["listening"] if row["group"] == "life" else 0))


def _ratio(row: Row) -> float | None:
    if "boxfs" not in row or "rclone" not in row or not row["boxfs"]["wall_s"]:
        return None
    return float(row["rclone"]["wall_s"] / row["boxfs"]["wall_s"])


def _table(rows: Iterable[Row]) -> list[str]:
    made = [
        "| Workload | boxfs | rclone | times as quick | goal | API calls | downloads | MiB received | peak MiB "
        "| CPU s | runs | load |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        boxfs, rclone = row.get("boxfs"), row.get("rclone")
        ratio = _ratio(row)

        def both(field: str, form: str = "{:.0f}", sides: tuple[Row | None, ...] = (boxfs, rclone)) -> str:
            return " / ".join(form.format(side[field]) if side else "failed" for side in sides)

        runs = len((boxfs or rclone or {"samples": ()})["samples"])
        calls = " / ".join(f"{calls_of(side, row):.0f}" if side else "failed" for side in (boxfs, rclone))
        made.append(
            f"| {row['title']} | {_time(boxfs, row)} | {_time(rclone, row)} | {f'{ratio:.1f}' if ratio else ''} "
            f"| {row['goal'] or ''} | {calls} | {both('downloads')} | {both('received_mib', '{:.1f}')} "
            f"| {both('peak_mib')} | {both('cpu_s', '{:.2f}')} | {runs} | {row['load']:.0f} |"
        )
    return [*made, ""]


def _time(side: Row | None, row: Row) -> str:
    if side is None:
        return "failed"
    text = f"{seconds(side['wall_s'])} ({seconds(side['best_s'])}-{seconds(side['worst_s'])})"
    return f"{text}, at Box +{seconds(side['settled_s'])}" if row["writes"] else text


def seconds(value: float) -> str:
    if value < 0.1:
        return f"{value * 1000:.1f} ms"
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def _limit(row: Row) -> str:
    side = row["boxfs"]
    whole = side["wall_s"] + side["settled_s"]
    told = f"{seconds(whole)}, {seconds(side['cpu_s'])}, {seconds(side['server_cpu_s'])}"
    return f"| {row['title']} | {row['limit']} | {told} |"
