"""Stacks with their counts ("a;b;c" -> 12) as a flame graph in SVG and as a table of functions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from html import escape

WIDTH, LINE, LEAST = 1200, 17, 0.003
OURS, OTHERS = "#7fb3d9", "#e3c08a"


def _name(frame: str) -> str:
    """ "read (boxfs/core/reads.py)" of "read (/home/ada/boxfs/boxfs/core/reads.py:12)": nothing of this machine."""
    frame = re.sub(r":\d+\)$", ")", frame)
    return re.sub(r"\(.*/(?=(?:boxfs|site-packages|python3[.\d]*)/)(?:site-packages/|python3[.\d]*/)?", "(", frame)


def table(stacks: Mapping[str, int], most: int) -> str:
    """The functions that run most, as Markdown."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for stack, count in stacks.items():
        frames = [_name(frame) for frame in stack.split(";")]
        own[frames[-1]] += count
        for frame in set(frames):
            whole[frame] += count
    total = sum(stacks.values())
    lines = ["| Function | own | with calls |", "|---|--:|--:|"]
    for frame, count in own.most_common(most):
        lines.append(f"| `{frame}` | {count / total:.0%} | {whole[frame] / total:.0%} |")
    return "\n".join(lines) + "\n"


class _Frame:
    def __init__(self) -> None:
        self.count = 0
        self.below: dict[str, _Frame] = {}


def svg(stacks: Mapping[str, int], title: str) -> str:
    """Callers below, callees above; what boxfs wrote itself in blue.  Frames narrower than 0.3 % are left out."""
    root = _Frame()
    for stack, count in stacks.items():
        root.count += count
        at = root
        for frame in stack.split(";"):
            at = at.below.setdefault(_name(frame), _Frame())
            at.count += count
    boxes: list[tuple[int, float, float, str, int]] = []

    def lay(frame: _Frame, depth: int, left: float) -> None:
        for name, child in sorted(frame.below.items()):
            share = child.count / root.count
            if share >= LEAST:
                boxes.append((depth, left, share, name, child.count))
                lay(child, depth + 1, left)
            left += share

    lay(root, 0, 0.0)
    height = (max((depth for depth, *_ in boxes), default=0) + 3) * LINE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"',
        ' font-family="monospace" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="4" y="13" font-size="13">{escape(title)}: {root.count} samples</text>',
    ]
    for depth, left, share, name, count in boxes:
        x, y, wide = left * WIDTH, height - (depth + 1) * LINE, share * WIDTH
        letters = int(wide / 6.7)
        colour = OURS if "(boxfs/" in name else OTHERS
        parts.append(
            f"<g><title>{escape(name)}: {count} samples, {share:.1%}</title>"
            f'<rect x="{x:.1f}" y="{y}" width="{max(wide - 0.5, 0.5):.1f}" height="{LINE - 1}" fill="{colour}"/>'
            + (f'<text x="{x + 2:.1f}" y="{y + 12}">{escape(name[:letters])}</text>' if letters > 3 else "")
            + "</g>"
        )
    return "\n".join([*parts, "</svg>"]) + "\n"
