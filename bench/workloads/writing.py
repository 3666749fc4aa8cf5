"""Writing: how soon the shell is free, and how soon all of it is at Box.

boxfs keeps to Box's 240 uploads a minute, which a fresh mount may spend at once, and rclone does not.  Where many files
are made every run has a mount of its own, and they are fewer than 240.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tarfile
from pathlib import Path

from bench.workload import Place, Start, Workload
from bench.workloads.data import MIB, content, tree
from bench.workloads.reading import in_children

GIT = "git -c user.name=Ada -c user.email=ada@example.com -c protocol.file.allow=always -c init.defaultBranch=main"
_ENV = os.environ | {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}


def _small_tree(local: Path, fast: bool) -> None:
    tree(local / "tree", 20 if fast else 200, 10, 2_000)


def _tar(local: Path, fast: bool) -> None:
    tree(local / "tree", 30 if fast else 220, 15, 2_000)
    with tarfile.open(local / "tree.tar", "w") as archive:
        archive.add(local / "tree", "tree")


def _many_small(local: Path, fast: bool) -> None:
    """What a package manager unpacks: 200 files of 1 to 2 KB, 5 to a folder."""
    for n in range(50 if fast else 200):
        path = local / "tree" / f"package{n // 5:03d}" / f"module{n % 5}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(1000 + n * 4, n))


def _origin(local: Path, fast: bool) -> None:
    """A repository of 60 files and 12 commits."""
    origin = local / "origin"
    origin.mkdir()
    subprocess.run(f"{GIT} init -q", shell=True, cwd=origin, env=_ENV, check=True)
    for commit in range(2 if fast else 12):
        for n in range(5):
            path = origin / f"c{commit:02d}" / f"f{n}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content(2000, commit * 5 + n))
        subprocess.run(f"{GIT} add -A && {GIT} commit -qm c{commit}", shell=True, cwd=origin, env=_ENV, check=True)


def _large(local: Path, fast: bool) -> None:
    (local / "large").write_bytes(content(5 * MIB if fast else 50 * MIB, 7))


def _twenty(local: Path, _fast: bool) -> None:
    tree(local / "tree", 20, 1, MIB)


def _cp(place: Place) -> None:
    place.sh(f"cp -r '{place.scratch}/tree' .")


def _rsync(place: Place) -> None:
    place.sh(f"rsync -a '{place.scratch}/tree' .")


def _untar(place: Place) -> None:
    place.sh(f"tar xf '{place.scratch}/tree.tar'")


def _install(place: Place) -> None:
    """As pip does it: written in order, each folder made when it is come to."""
    for source in sorted((place.scratch / "tree").rglob("*.py")):
        target = place.path / source.parent.name / source.name
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(source, target)


def _clone(place: Place) -> None:
    subprocess.run(f"{GIT} clone -q '{place.scratch}/origin' clone", shell=True, cwd=place.path, env=_ENV, check=True)


def _create(place: Place) -> None:
    for n in range(50 if place.quick else 200):
        fd = os.open(place.path / f"n{n:04d}", os.O_CREAT | os.O_WRONLY, 0o644)
        os.write(fd, b"x")
        os.close(fd)


def _append(place: Place) -> None:
    with open(place.path / "log", "ab", buffering=0) as log:
        for n in range(200 if place.quick else 5_000):
            log.write(b"%08d a line of a log that is kept open\n" % n)


def _parallel(place: Place) -> None:
    sources = sorted((place.scratch / "tree/d000").iterdir())

    def copy(number: int) -> None:
        shutil.copyfile(sources[number], place.path / sources[number].name)

    in_children(20, copy)


def _copy_in(place: Place) -> None:
    place.sh(f"cp '{place.scratch}/large' .")


def _put_large(place: Place) -> None:
    place.sh(f"cp '{place.scratch}/large' .")
    place.system.settle()


def _copy_inside(place: Place) -> None:
    place.sh("cp large copy")


def _put_tree(place: Place) -> None:
    place.sh(f"cp -r '{place.scratch}/tree' .")
    place.system.settle()


def _remove(place: Place) -> None:
    place.sh("rm -r tree")


def _move(place: Place) -> None:
    place.sh("mv tree moved")


def _random_writes(place: Place) -> None:
    with open(place.path / "large", "r+b", buffering=0) as file:
        blocks = os.fstat(file.fileno()).st_size // 4096
        piece = content(4096, 3)
        for block in random.Random(5).sample(
            range(blocks), 100 if place.quick else 2_000 if blocks > 2_000 else blocks
        ):
            os.pwrite(file.fileno(), piece, block * 4096)


_LOCAL = "the kernel's requests, each through Python, and one SQLite transaction a change"

WORKLOADS = (
    Workload("cp-200", "writing", "`cp -r` of 200 files in 10 folders", _cp, Start.COLD, local=_small_tree, own=True,
             max_calls=212, limit=_LOCAL),
    Workload("rsync-200", "writing", "`rsync -a` of 200 files in 10 folders", _rsync, Start.COLD, local=_small_tree,
             own=True, max_calls=212, limit=_LOCAL),
    Workload("tar-220", "writing", "`tar x` of 220 files in 15 folders", _untar, Start.COLD, local=_tar, own=True,
             max_calls=236, limit=_LOCAL),
    Workload("clone", "writing", "`git clone` of 60 files and 12 commits, 50 ms", _clone, Start.COLD, local=_origin,
             own=True, latency_s=0.05, limit=_LOCAL),
    Workload("install-200", "writing", "as `pip install --target` or `npm ci`: 200 files in 40 folders", _install,
             local=_many_small, own=True, limit=_LOCAL),
    Workload("create-200", "writing", "200 new files of one byte", _create, own=True, limit=_LOCAL),
    Workload("append", "writing", "5,000 lines appended to a log that is kept open", _append, Start.WARM, own=True,
             limit=_LOCAL),
    Workload("parallel-cp", "writing", "20 copies of 1 MiB at once", _parallel, Start.WARM, local=_twenty, own=True,
             limit="copies: reader, kernel, daemon, spool"),
    Workload("cp-50m", "writing", "`cp` of 50 MiB", _copy_in, Start.WARM, local=_large, own=True,
             limit="copies: reader, kernel, daemon, spool"),
    Workload("cp-inside", "writing", "`cp` of 50 MiB inside the mount", _copy_inside, Start.WARM, local=_large,
             each=_put_large, own=True, max_calls=1, limit="a copy that Box makes"),
    Workload("random-writes", "writing", "2,000 random 4 KB writes into 50 MiB", _random_writes, Start.WARM,
             local=_large, each=_put_large, own=True, limit=_LOCAL),
    Workload("rm-200", "writing", "`rm -r` of 200 files in 10 folders", _remove, Start.WARM, local=_small_tree,
             each=_put_tree, own=True, max_calls=3, limit=_LOCAL),
    Workload("mv-folder", "writing", "`mv` of a folder of 200 files", _move, Start.WARM, local=_small_tree,
             each=_put_tree, own=True, max_calls=1, limit="one call"),
)  # fmt: skip
