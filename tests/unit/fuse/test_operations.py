"""What the requests do beside what the core does."""

from __future__ import annotations

import os
import stat
from typing import Any

import pytest

from boxfs.base.errors import NoSpace
from boxfs.base.types import ROOT_INO, Ino
from boxfs.core.interface import Caller
from boxfs.fuse.operations import Operations
from tests.support.memoryfiles import MemoryFiles

ROOT, SOMEONE = Caller(0, 0, 1), Caller(1000, 1000, 2)


@pytest.fixture
def operations() -> Operations:
    operations = Operations(MemoryFiles())
    operations.clears_set_id = True
    return operations


@pytest.mark.parametrize("what", ["write", "chown"])
def test_set_user_id_that_could_not_be_taken_is_taken_the_next_time(
    operations: Operations, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    attr, node, handle = operations.create(ROOT_INO, b"f", 0o666, os.O_RDWR, ROOT)
    operations.setattr(node, ROOT, mode=0o4777)

    def change() -> None:
        if what == "chown":
            operations.setattr(node, SOMEONE, uid=1000)
        else:
            assert operations.writing_needs_caller(node)
            operations.write(node, handle, memoryview(b"x"), 0, SOMEONE)

    def full(*_args: Any, **_more: Any) -> None:
        raise NoSpace("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(operations.files, "setattr", full)
        with pytest.raises(NoSpace):
            change()
    assert operations.files.getattr(Ino(attr.ino)).size == 0, "nothing is written by who keeps the bit"
    change()
    assert not operations.files.getattr(Ino(attr.ino)).mode & stat.S_ISUID
