"""Plots, SVG by hand: how many times as quick boxfs is in each row, and how steps grow with the number of files."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path
from typing import Any

WIDTH, LEFT, RIGHT, LINE = 1000, 460, 60, 20
PANEL_W, PANEL_H, MARGIN = 250, 210, 44
COLOURS = {"boxfs": "#2a7ab9", "rclone": "#c0392b"}
LEAST, MOST = 0.25, 256.0


def write(path: Path, results: dict[str, Any]) -> None:
    rows = [
        (row["title"].replace("`", "")[:68], row["rclone"]["wall_s"] / row["boxfs"]["wall_s"], row["goal"])
        for row in results["workloads"].values()
        if "boxfs" in row and "rclone" in row and row["boxfs"]["wall_s"]
    ]
    height = (len(rows) + 3) * LINE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"',
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="14">times as quick as rclone mount (logarithmic; the mark is the goal)</text>',
    ]
    tick = LEAST
    while tick <= MOST:
        at = _x(tick)
        colour = "#333" if tick == 1 else "#ddd"
        parts.append(f'<line x1="{at:.0f}" x2="{at:.0f}" y1="{2 * LINE}" y2="{height - 4}" stroke="{colour}"/>')
        parts.append(f'<text x="{at:.0f}" y="{2 * LINE - 4}" text-anchor="middle" fill="#666">{tick:g}</text>')
        tick *= 2
    for number, (title, ratio, goal) in enumerate(rows):
        top = (number + 2) * LINE + 4
        here, one = _x(ratio), _x(1.0)
        colour = "#2a7ab9" if ratio >= 1 else "#c0392b"
        parts.append(
            f'<text x="{LEFT - 8}" y="{top + 11}" text-anchor="end">{escape(title)}</text>'
            f'<rect x="{min(here, one):.0f}" y="{top}" width="{abs(here - one):.0f}" height="13" fill="{colour}"/>'
            f'<text x="{max(here, one) + 4:.0f}" y="{top + 11}" fill="#333">{ratio:.1f}</text>'
        )
        if goal:
            parts.append(f'<rect x="{_x(goal) - 1:.0f}" y="{top - 2}" width="3" height="17" fill="#e6a100"/>')
    path.write_text("\n".join([*parts, "</svg>"]) + "\n")


def write_scale(path: Path, results: dict[str, Any]) -> None:
    """Time of each step, and memory and CPU of the cold one, against the number of files; both axes logarithmic."""
    rows = [row for row in results["workloads"].values() if row["scale"]]
    steps = sorted({row["scale"]["step"] for row in rows})
    panels = [(f"{step.replace('`', '')}: seconds", step, "wall_s") for step in steps]
    panels += [(f"{steps[0].replace('`', '')}: {word}", steps[0], field) for word, field in _MORE if steps]
    width = PANEL_W * len(panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{PANEL_H}"',
        ' font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{PANEL_H}" fill="white"/>',
    ]
    for number, (title, step, field) in enumerate(panels):
        mine = sorted((row for row in rows if row["scale"]["step"] == step), key=lambda row: row["scale"]["files"])
        parts += _panel(number * PANEL_W, title, mine, field)
    path.write_text("\n".join([*parts, "</svg>"]) + "\n")


_MORE = (("API calls", "calls"), ("peak MiB", "peak_mib"), ("CPU seconds", "cpu_s"))


def _panel(left: int, title: str, rows: list[dict[str, Any]], field: str) -> list[str]:
    values = [row[name][field] for row in rows for name in COLOURS if name in row]
    low = math.floor(math.log10(max(min(values, default=1), 0.001)))
    high = max(math.ceil(math.log10(max(max(values, default=1), 0.001))), low + 1)

    def x(files: int) -> float:
        return left + MARGIN + (math.log10(files) - 3) / 2 * (PANEL_W - 2 * MARGIN)

    def y(value: float) -> float:
        share = (math.log10(max(value, 10**low)) - low) / (high - low)
        return PANEL_H - 30 - share * (PANEL_H - 66)

    parts = [f'<text x="{left + MARGIN}" y="16" font-size="12">{escape(title)}</text>']
    for power in range(low, high + 1):
        at = y(10**power)
        parts.append(f'<line x1="{x(1000):.0f}" x2="{x(100_000):.0f}" y1="{at:.0f}" y2="{at:.0f}" stroke="#ddd"/>')
        parts.append(f'<text x="{x(1000) - 6:.0f}" y="{at + 4:.0f}" text-anchor="end" fill="#666">{10**power:g}</text>')
    for files, word in ((1_000, "1k"), (10_000, "10k"), (100_000, "100k")):
        parts.append(f'<text x="{x(files):.0f}" y="{PANEL_H - 14}" text-anchor="middle" fill="#666">{word}</text>')
    for number, (name, colour) in enumerate(COLOURS.items()):
        points = [(x(row["scale"]["files"]), y(row[name][field])) for row in rows if name in row]
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in points]
        parts.append(f'<text x="{left + MARGIN + 60 * number}" y="30" fill="{colour}">{name}</text>')
    return parts


def _x(ratio: float) -> float:
    share = math.log2(min(max(ratio, LEAST), MOST) / LEAST) / math.log2(MOST / LEAST)
    return LEFT + share * (WIDTH - LEFT - RIGHT)
