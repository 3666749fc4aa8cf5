"""What the demo's Box holds at first: folders, texts, pictures, a large file, names in several scripts.

The same on every machine: drawn and counted, not downloaded.  Pure: (path, bytes) come out, nothing is written.
"""

from __future__ import annotations

import csv
import io
import math
import random
from collections.abc import Iterator

BIG_FILE = "Archive/measurements.csv"
BIG_FILE_BYTES = 56 << 20  # over 50 MB: Box wants it in a chunked upload

_README = """\
# This is a Box of your own

It runs on this machine and is yours to break: what you delete goes to its trash, and it keeps everything between runs.
Everything that works on files works here: ls, cp, mv, rm, rsync, tar, git, vim, a file manager, Python.
"""

_POEM = """\
Der Mond ist aufgegangen,
Die goldnen Sternlein prangen
Am Himmel hell und klar;
Der Wald steht schwarz und schweiget,
Und aus den Wiesen steiget
Der weiße Nebel wunderbar.
"""

_SCRIPT = '''\
"""Counts the words of the files that are given."""
import pathlib
import sys

for name in sys.argv[1:]:
    print(len(pathlib.Path(name).read_text(errors="replace").split()), name)
'''


def small_files() -> Iterator[tuple[str, bytes]]:
    """Yield (path, bytes) of everything but the large file."""
    yield "README.md", _README.encode()
    yield "Documents/Abendlied.txt", _POEM.encode()
    yield "Documents/shopping list.txt", b"bread\nsalt\ntwo lemons\n"
    yield "Documents/2026/Q1/budget.csv", _budget(1)
    yield "Documents/2026/Q2/budget.csv", _budget(2)
    yield "Documents/2026/Q2/notes.md", b"# Notes\n\n- the second quarter is the better one\n"
    yield "Code/wordcount.py", _SCRIPT.encode()
    yield "Code/data/squares.txt", "".join(f"{n} {n * n}\n" for n in range(1, 1001)).encode()
    yield "Names/Grüße aus Köln.txt", "Grüße!\n".encode()
    yield "Names/日本語のファイル.txt", "こんにちは\n".encode()
    yield "Names/Привет мир.txt", "Привет\n".encode()
    yield "Names/مرحبا.txt", "مرحبا\n".encode()
    yield "Names/שלום.txt", "שלום\n".encode()
    yield "Names/Ελληνικά/αρχείο.txt", "γειά\n".encode()
    yield "Names/emoji 🎉.txt", "🎉\n".encode()
    for number, (title, hue) in enumerate((("Sunrise", 20), ("Forest", 120), ("Sea", 210)), start=1):
        yield f"Pictures/{number:02d} {title}.jpg", _picture(title, hue, number)


def _budget(quarter: int) -> bytes:
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(("month", "income", "spending"))
    chance = random.Random(quarter)
    for month in range(quarter * 3 - 2, quarter * 3 + 1):
        table.writerow((f"2026-{month:02d}", chance.randint(2000, 3000), chance.randint(1000, 2500)))
    return out.getvalue().encode()


def _picture(title: str, hue: int, seed: int) -> bytes:
    """Draw hills under a sky, as JPEG."""
    from PIL import Image, ImageDraw

    width, height = 1280, 800
    picture = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(picture)
    for y in range(height):
        draw.line((0, y, width, y), fill=f"hsl({hue},{70 - 40 * y // height}%,{45 + 45 * y // height}%)")
    chance = random.Random(seed)
    for layer in range(4):
        base, steep, shift = 380 + 100 * layer, 40 + chance.random() * 60, chance.random() * 6
        hills = [
            (x, base + steep * math.sin(x / 190 + shift) + 18 * math.sin(x / 47 + 2 * shift)) for x in range(width + 1)
        ]
        draw.polygon([(0, height), *hills, (width, height)], fill=f"hsl({hue},45%,{42 - 9 * layer}%)")
    draw.text((24, 20), title, fill="white")
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=88)
    return out.getvalue()


def big_file() -> Iterator[bytes]:
    """Yield the large file, BIG_FILE_BYTES in all, a mebibyte at a time."""
    left = BIG_FILE_BYTES
    second = 0
    while left:
        lines = []
        size = 0
        while size < min(1 << 20, left):
            line = f"{second},{20 + 5 * math.sin(second / 13750):.3f},{1013 + 8 * math.sin(second / 86400):.2f}\n"
            lines.append(line)
            size += len(line)
            second += 1
        block = "".join(lines).encode()[: min(1 << 20, left)]
        left -= len(block)
        yield block
