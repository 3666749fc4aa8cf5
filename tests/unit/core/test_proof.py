"""Proof: what comes again is proved again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from boxfs.core.digest import ReadReady, RunningDigest
from boxfs.core.proof import Proof
from boxfs.core.version import FileVersion
from boxfs.store.blocks import Blocks
from tests.support.downloads import content

SIZE = 3 << 20


def test_what_is_fetched_again_while_the_whole_is_proved_is_not_proved_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = content(SIZE)
    version = FileVersion("1", "7", SIZE, hashlib.sha1(data).hexdigest())  # type: ignore[arg-type]
    blocks = Blocks(tmp_path, 64 << 20)
    proof = Proof(version, blocks, shown_proved=False)
    right = RunningDigest.is_right

    def and_then_some_comes(digest: RunningDigest, read_ready: ReadReady) -> bool | None:
        try:
            return right(digest, read_ready)
        finally:
            proof.comes(0)

    def ready(buffer: memoryview, at: int) -> int:
        count = min(len(buffer), SIZE - at)
        buffer[:count] = data[at : at + count]
        return count

    with monkeypatch.context() as patch:
        patch.setattr(RunningDigest, "is_right", and_then_some_comes)
        assert proof.is_right(ready, lambda _at: None)
    assert not proof.is_there()
    assert not blocks.is_proven(version.key)
    data = bytes(SIZE)  # what has come
    assert proof.is_right(ready, lambda _at: None) is False
    blocks.close()
