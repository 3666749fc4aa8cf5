"""The tables of docs/PERFORMANCE.md, between two marks; what stands around them is written by hand."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench import limits, verdict
from bench.results import Row

BEGIN, END = "<!-- tables: written by scripts/bench -->", "<!-- tables: end -->"
GROUPS = {"metadata": "Metadata", "reading": "Reading", "writing": "Writing", "life": "The life of a mount"}
_BUSY = 1.5
LEAST_RATIO = 0.1


def write(path: Path, results: dict[str, Any]) -> None:
    """Replace what is between the marks.  Raises ValueError where the file has none."""
    text = path.read_text()
    before, begin, rest = text.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no marks for the tables")
    path.write_text(f"{before}{BEGIN}\n\n{tables(results)}\n{END}{after}")


def tables(results: dict[str, Any]) -> str:
    rows: list[Row] = list(results["workloads"].values())
    whole = [row for row in rows if "boxfs" in row and "rclone" in row]
    compared = [row for row in whole if not kinds_of(row)]  # those have a table of their own
    parts = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in results["machine"].items()), ""]
    parts += [_runs(rows), ""]
    parts += [*_summary(compared), ""]
    parts += ["### Where rclone is ahead", "", *_section((row for row in compared if lead_of_rclone(row)), _lead)]
    parts += ["### Goals not met", "", *_section((row for row in compared if missed(row)), _table)]
    if failed := [row for row in rows if "boxfs" not in row or "rclone" not in row]:
        parts += ["### Rows that failed", "", *_table(failed)]
    if over := [row for row in rows if over_budget(row)]:
        parts += ["### Budgets exceeded", "", *_table(over)]
    for group, title in GROUPS.items():
        parts += [f"### {title}", "", *_table(row for row in rows if row["group"] == group)]
    parts += _kinds([row for row in whole if kinds_of(row)])
    parts += ["### Scale", "", *_scale([row for row in rows if row["scale"]])]
    parts += ["### What limits each row, and how far it is from that", "", *_limits(compared)]
    return "\n".join(parts)


def lead_of_rclone(row: Row) -> list[str]:
    """In what rclone is ahead; times by `bench/verdict.py`."""
    boxfs, rclone = row["boxfs"], row["rclone"]
    found = []
    if verdict.quicker(walls(rclone), walls(boxfs)):
        found.append("time")
    if row["writes"] and verdict.quicker(walls(rclone, settled=True), walls(boxfs, settled=True)):
        found.append("time until all is at Box")
    if calls_of(rclone, row) < calls_of(boxfs, row):
        found.append("calls")
    return found


def missed(row: Row) -> bool:
    return bool(row["goal"]) and ratio_of(row) < row["goal"]


def over_budget(row: Row) -> bool:
    side, budget = row.get("boxfs"), row["budget"]
    if side is None or budget is None:
        return False
    return bool(
        calls_of(side, row) > budget["api"]
        or side["downloads"] > budget["downloads"]
        or side["received_mib"] > budget["mib"]
    )


def walls(side: Row, *, settled: bool = False) -> list[float]:
    return [sample["wall_s"] + (sample["settled_s"] if settled else 0.0) for sample in side["samples"]]


def calls_of(side: Row, row: Row) -> float:
    """Calls that count for the row: where it is about hearing of changes, listening is what there is."""
    return float(side["calls"] + (side["listening"] if row.get("listening") else 0))


def ratio_of(row: Row) -> float:
    return float(row["rclone"]["wall_s"] / max(row["boxfs"]["wall_s"], 1e-9))


def _ratio(row: Row) -> str:
    ratio = ratio_of(row)
    return f"{ratio:.1f}" if ratio >= LEAST_RATIO else f"{ratio:.2f}"


def _runs(rows: list[Row]) -> str:
    """Of which runs the rows are."""
    runs: dict[str, list[str]] = {}
    for row in rows:
        runs.setdefault(row.get("run", ""), []).append(row["title"])
    first, *others = sorted(runs.items(), key=lambda pair: -len(pair[1])) or [("", [])]
    if not others:
        return f"All {len(rows)} rows are of one run."
    alone = "; ".join(f"{', '.join(titles)} ({run or 'at another time'})" for run, titles in others)
    return f"{len(first[1])} of {len(rows)} rows are of one run; measured at other times were: {alone}."


def kinds_of(row: Row) -> list[str]:
    """Of what kinds the row's samples are, where it has several."""
    names = [sample.get("kind", "") for side in ("boxfs", "rclone") for sample in row[side]["samples"]]
    return [name for name in dict.fromkeys(names) if name]


def _kinds(rows: list[Row]) -> list[str]:
    """How long each kind of change took to show."""
    if not rows:
        return []
    heads = [f"{system}, {row['latency_s'] * 1000:.0f} ms" for row in rows for system in ("boxfs", "rclone")]
    made = [f"| What someone else did | {' | '.join(heads)} |", f"|---|{'--:|' * len(heads)}"]
    for kind in dict.fromkeys(kind for row in rows for kind in kinds_of(row)):
        cells = []
        for side in (row[system] for row in rows for system in ("boxfs", "rclone")):
            times = [sample["wall_s"] for sample in side["samples"] if sample.get("kind") == kind]
            cells.append(seconds(statistics.median(times)) if times else "not seen")
        made.append(f"| {kind} | {' | '.join(cells)} |")
    asked = [f"{row[one]['calls']:.0f} and {row[one]['listening']:.0f}" for row in rows for one in ("boxfs", "rclone")]
    made.append(f"| calls meanwhile, and those to hear of changes | {' | '.join(asked)} |")
    return ["### How soon a change made elsewhere shows", "", *made, ""]


def _verdict(row: Row) -> str:
    boxfs, rclone = walls(row["boxfs"]), walls(row["rclone"])
    if verdict.quicker(boxfs, rclone):
        return "boxfs"
    return "**rclone**" if verdict.quicker(rclone, boxfs) else "same"


def _summary(rows: list[Row]) -> list[str]:
    """Who is ahead, counted; figures that the tables below do not sort by as well."""
    told = [_verdict(row) for row in rows]

    def fewer(field: str) -> str:
        ours = sum(row["boxfs"][field] < 0.95 * row["rclone"][field] for row in rows)
        theirs = sum(row["rclone"][field] < 0.95 * row["boxfs"][field] for row in rows)
        return f"| {ours} | {len(rows) - ours - theirs} | {theirs} |"

    calls = [calls_of(row["boxfs"], row) - calls_of(row["rclone"], row) for row in rows]
    return [
        f"| Of {len(rows)} rows | boxfs ahead | same | rclone ahead |",
        "|---|--:|--:|--:|",
        f"| time | {told.count('boxfs')} | {told.count('same')} | {told.count('**rclone**')} |",
        f"| API calls | {sum(n < 0 for n in calls)} | {calls.count(0)} | {sum(n > 0 for n in calls)} |",
        f"| requests to the download host (no quota counts them) {fewer('downloads')}",
        f"| bytes received {fewer('received_mib')}",
        f"| peak memory {fewer('peak_mib')}",
        f"| the daemon's CPU {fewer('cpu_s')}",
    ]


def _section(rows: Iterable[Row], table: Any) -> list[str]:
    found = list(rows)
    return table(found) if found else ["No row.", ""]


def _lead(rows: list[Row]) -> list[str]:
    made = _table(rows)
    heads = [" rclone is ahead in |", "---|", *(f" {', '.join(lead_of_rclone(row))} |" for row in rows)]
    return [line + more for line, more in zip(made, heads, strict=False)] + [""]


def _table(rows: Iterable[Row]) -> list[str]:
    made = [
        "| Workload | boxfs | rclone | times as quick | quicker | goal | API calls (budget) | downloads "
        "| MiB received | peak MiB | CPU s | runs |",
        "|---|--:|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        boxfs, rclone = row.get("boxfs"), row.get("rclone")
        whole = boxfs is not None and rclone is not None

        def both(field: str, form: str = "{:.0f}", sides: tuple[Row | None, ...] = (boxfs, rclone)) -> str:
            return " / ".join(form.format(side[field]) if side else "failed" for side in sides)

        calls = " / ".join(_calls(side, row) if side else "failed" for side in (boxfs, rclone))
        budget = f" ({row['budget']['api']})" if row["budget"] else ""
        runs = str(len((boxfs or rclone or {"samples": ()})["samples"]))
        if row["load"] > _BUSY * row["processors"]:
            runs += f", at a load of {row['load']:.0f}"
        made.append(
            f"| {row['title']} | {_time(boxfs, row)} | {_time(rclone, row)} "
            f"| {_ratio(row) if whole else ''} | {_verdict(row) if whole else ''} | {row['goal'] or ''} "
            f"| {calls}{budget} | {both('downloads')} | {both('received_mib', '{:.1f}')} | {both('peak_mib')} "
            f"| {both('cpu_s', '{:.2f}')} | {runs} |"
        )
    return [*made, ""]


def _calls(side: Row, row: Row) -> str:
    """Long polls are on another host and no calls; a row that is about them tells how many ended."""
    polls = f" and {side['polls']:.0f} polls" if row.get("listening") and side["polls"] else ""
    return f"{calls_of(side, row):.0f}{polls}"


def _time(side: Row | None, row: Row) -> str:
    if side is None:
        return "failed"
    text = f"{seconds(side['wall_s'])} ({seconds(side['best_s'])}-{seconds(side['worst_s'])})"
    return f"{text}, at Box +{seconds(side['settled_s'])}" if row["writes"] else text


def seconds(value: float) -> str:
    if value < 0.1:
        return f"{value * 1000:.1f} ms"
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def _scale(rows: list[Row]) -> list[str]:
    """How each step grows from a thousand files to a hundred thousand."""
    made = ["| Step | files | boxfs | rclone | quicker | API calls | peak MiB | CPU s | boxfs, us a file |"]
    made += ["|---|--:|--:|--:|---|--:|--:|--:|--:|"]
    for row in sorted(rows, key=lambda row: (row["scale"]["step"], row["scale"]["files"])):
        sides = [row.get("boxfs"), row.get("rclone")]

        def both(field: str, form: str, sides: list[Row | None] = sides) -> str:
            return " / ".join(form.format(side[field]) if side else "failed" for side in sides)

        files = row["scale"]["files"]
        each = f"{sides[0]['wall_s'] / files * 1e6:.0f}" if sides[0] else ""
        times = " | ".join(seconds(side["wall_s"]) if side else "failed" for side in sides)
        made.append(
            f"| {row['scale']['step']} | {files:,} | {times} | {_verdict(row) if all(sides) else ''} "
            f"| {both('calls', '{:.0f}')} | {both('peak_mib', '{:.0f}')} | {both('cpu_s', '{:.2f}')} | {each} |"
        )
    return [*made, ""]


def _bound(value: float) -> str:
    return seconds(value) if value >= limits.LEAST_S else ""


def _limits(rows: Iterable[Row]) -> list[str]:
    made = [
        "| Workload | boxfs | calls | wire | Python | kernel and program | limit | times the limit | what to know |"
    ]
    made += ["|---|--:|--:|--:|--:|--:|---|--:|---|"]
    for row in rows:
        bounds = limits.of(row, row["boxfs"])
        name, least = bounds.nearest
        wall = row["boxfs"]["wall_s"]
        told = [_bound(value) for value in (bounds.calls, bounds.wire, bounds.python, bounds.program or 0.0)]
        far = f"{wall / least:.1f}" if least > wall / limits.FAR else ""
        made.append(
            f"| {row['title']} | {seconds(wall)} | {' | '.join(told)} | {name if far else 'none of them'} | {far} "
            f"| {row['limit']} |"
        )
    return [*made, ""]
