"""Names through the mount: all of Unicode, what Box refuses, and names that differ by case only."""

from __future__ import annotations

import errno
import os
import random
import shutil
import sys
import unicodedata
from pathlib import Path

import pytest

from boxfs.core import names
from tests.support.box import Box
from tests.support.mounting import Mounted

pytestmark = pytest.mark.fuse

COUNT = 3000 if os.environ.get("BOXFS_BIG") else 150
# What Box, rclone's encoding, or Unicode has a rule for.
SPECIAL = list(
    "\\ \t\n\x01\x1f\x7f␁␡␠␀␉＼／．‛~:*?\"<>|'%#&$.é\u0301ıİﬁſßẞΣςǅ\u200b\u202e\ufeff\u00a0\u3000😀\U0010ffff"
)


def made_up(count: int, seed: int) -> list[bytes]:
    """Different names as Linux allows them, none equal to another as Box compares."""
    rng = random.Random(seed)
    found: dict[str, bytes] = {}
    fixed = [
        b"\xff",
        b"a\xc3",
        b" ",
        b"a ",
        b" a",
        b".hidden",
        b"...",
        b"a.",
        b"con",
        b"-rf",
        b"x" * 255,
        "ü".encode() * 120,
    ]
    while len(found) < count:
        kind = rng.random()
        if fixed:
            raw = fixed.pop()
        elif kind < 0.5:
            raw = "".join(rng.choice(SPECIAL) for _ in range(rng.randrange(1, 12))).encode()
        elif kind < 0.8:
            points = (rng.choice((rng.randrange(0x20, 0x3000), rng.randrange(sys.maxunicode + 1))) for _ in range(8))
            raw = "".join(chr(point) for point in points).encode("utf-8", "ignore")
        else:
            raw = rng.randbytes(rng.randrange(1, 20))
        raw = raw.replace(b"/", b"").replace(b"\0", b"")
        name = os.fsdecode(raw)
        if raw and raw not in (b".", b"..") and len(names.to_box(name)) <= 255 and len(raw) <= 255:
            found.setdefault(unicodedata.normalize("NFKC", names.to_box(name)).casefold(), raw)
    return list(found.values())


def contents(folder: Path) -> dict[bytes, bytes]:
    found = {}
    for raw in os.listdir(os.fsencode(folder)):
        with open(os.fsencode(folder) + b"/" + raw, "rb") as file:
            found[raw] = file.read()
    return found


def test_names_are_written_listed_read_renamed_and_found_on_an_empty_cache(box: Box, tmp_path: Path) -> None:
    """Every second file is renamed to a name that was made up for it, before or after it is at Box."""
    first, then = made_up(COUNT, 1), made_up(COUNT, 2)
    with Mounted(box.url, tmp_path / "home") as drive:
        folder = drive.path / "names"
        folder.mkdir()
        wanted = {raw: b"%d" % number for number, raw in enumerate(first)}
        for raw, data in wanted.items():
            with open(os.fsencode(folder) + b"/" + raw, "xb") as file:
                file.write(data)
        assert contents(folder) == wanted
        drive.sync()
        taken = {names.fold(names.to_box(os.fsdecode(raw))) for raw in first}
        for old, new in zip(first[::2], then, strict=False):
            if names.fold(names.to_box(os.fsdecode(new))) in taken:
                continue
            os.rename(os.fsencode(folder) + b"/" + old, os.fsencode(folder) + b"/" + new)
            wanted[new] = wanted.pop(old)
        assert contents(folder) == wanted
        assert drive.unmount().returncode == 0
        shutil.rmtree(drive.cache_dir)
        drive.start()
        assert contents(folder) == wanted
    at_box = {path.removeprefix("/names/") for path in box.files()}
    assert at_box == {names.to_box(os.fsdecode(raw)) for raw in wanted}


def test_a_name_that_differs_by_case_only_touches_no_other_files_bytes(box: Box, tmp_path: Path) -> None:
    with Mounted(box.url, tmp_path / "home") as drive:
        readme, other = drive.path / "README", drive.path / "readme"
        readme.write_bytes(b"mine")
        (drive.path / "z").write_bytes(b"z")
        for clash in (
            lambda: other.write_bytes(b"other"),
            lambda: other.open("xb").close(),
            lambda: os.mkdir(other),
            lambda: os.symlink("x", other),
            lambda: os.rename(drive.path / "z", other),
        ):
            with pytest.raises(OSError) as caught:
                clash()
            assert caught.value.errno == errno.EEXIST
        assert not other.exists()
        drive.sync()
        assert os.listdir(drive.path) == ["README", "z"]
        assert readme.read_bytes() == b"mine"
        assert set(box.files()) == {"/README", "/z"}


def test_with_case_encode_a_tree_comes_back_on_an_empty_cache(box: Box, tmp_path: Path) -> None:
    wanted = {name: name.encode() for name in ("README", "readme", "ReadMe", "net/xt_DSCP.c", "net/xt_dscp.c")}
    with Mounted(box.url, tmp_path / "home", options=["case=encode"]) as drive:
        for _ in range(2):
            (drive.path / "net").mkdir(exist_ok=True)
            (drive.path / "Net").mkdir(exist_ok=True)
            for name, data in wanted.items():
                (drive.path / name).write_bytes(data)
            drive.sync()
        os.rename(drive.path / "ReadMe", drive.path / "Other")
        os.rename(drive.path / "readme", drive.path / "readMe")
        wanted["Other"], wanted["readMe"] = wanted.pop("ReadMe"), wanted.pop("readme")
        assert drive.unmount().returncode == 0
        shutil.rmtree(drive.cache_dir)
        drive.start()
        found = {
            str(path.relative_to(drive.path)): path.read_bytes() for path in drive.path.rglob("*") if path.is_file()
        }
        assert found == wanted
        assert (drive.path / "Net").is_dir()
    assert len(box.files()) == 5
