"""Small real pictures of files: a picture scaled down, or the first lines of a text drawn on paper.

The one door to pillow, which is imported when the first picture is wanted.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

TEXT_BYTES = 2000
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff")
TEXTS = (".txt", ".md", ".csv", ".json", ".py", ".log", ".html", ".xml", ".toml", ".yml", ".yaml", ".ini", ".sh")


class NoPicture(Exception):
    """None can be made of this file."""


def can_draw(name: str) -> bool:
    return name.lower().endswith(PICTURES + TEXTS)


def draw(path: Path, name: str, box: tuple[int, int], form: str) -> bytes:
    """A picture that fits the box (width, height in pixels).  form: PNG, JPEG or PDF.  Raises NoPicture."""
    from PIL import Image, ImageDraw

    if not can_draw(name):
        raise NoPicture(name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pillow warns of odd pictures; we only want a small one
            if name.lower().endswith(PICTURES):
                with Image.open(path) as source:
                    picture = source.convert("RGB")
            else:
                picture = Image.new("RGB", (320, 320), "white")
                with path.open("rb") as file:
                    text = file.read(TEXT_BYTES).decode("utf-8", "replace")
                lines = [line[:60] for line in text.splitlines()[:25]]
                ImageDraw.Draw(picture).multiline_text((8, 8), "\n".join(lines), fill="black")
            picture.thumbnail(box)
            made = io.BytesIO()
            picture.save(made, form)
    except (OSError, ValueError, Image.DecompressionBombError) as e:
        raise NoPicture(f"{name}: {e}") from None
    return made.getvalue()
