"""Programs that go by the link count of a folder (2: no folders in it) find everything all the same."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

import pytest

from tests.support.box import Box
from tests.support.mounting import Mounted

pytestmark = pytest.mark.fuse

PERL = "$File::Find::dont_use_nlink = 0; find({no_chdir => 1, wanted => sub { print qq($File::Find::name\\n) }}, @ARGV)"


PROGRAMS = [
    ["find"],
    ["find", "-O3"],
    ["perl", "-MFile::Find", "-e", PERL],
    ["du", "-a"],
    ["rsync", "-r", "--list-only"],
]


def test_programs_that_go_by_link_counts_miss_no_folder(mount: Callable[..., Mounted], box: Box) -> None:
    box.makedirs("/a/b/c")
    for folder in ("/a", "/a/b", "/a/b/c"):
        box.upload(f"{folder}/file", b"x")
    mounted = mount()
    (mounted.path / "here/there").mkdir(parents=True)
    (mounted.path / "here/there/file").write_text("x")
    for program in PROGRAMS:
        if shutil.which(program[0]) is None:
            continue
        words = [*program, f"{mounted.path}/"]
        said = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout
        for path in ("a/file", "a/b/file", "a/b/c/file", "here/there/file"):
            assert any(line.endswith(path) for line in said.splitlines()), (program, path, said)
    assert {(mounted.path / name).stat().st_nlink for name in ("", "a", "a/b", "here")} == {1}
