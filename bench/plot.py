"""A plot of all rows: how many times as quick boxfs is, on a scale of powers of two.  SVG, made by hand."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path
from typing import Any

WIDTH, LEFT, RIGHT, LINE = 1000, 460, 60, 20
LEAST, MOST = 0.25, 256.0


def write(path: Path, results: dict[str, Any]) -> None:
    rows = [
        (row["title"].replace("`", ""), row["rclone"]["wall_s"] / row["boxfs"]["wall_s"], row["goal"])
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


def _x(ratio: float) -> float:
    share = math.log2(min(max(ratio, LEAST), MOST) / LEAST) / math.log2(MOST / LEAST)
    return LEFT + share * (WIDTH - LEFT - RIGHT)
