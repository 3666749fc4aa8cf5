"""Writing: how soon the shell is free, and how soon all of it is at Box.

boxfs keeps to Box's 240 uploads a minute, which a fresh mount may spend at once, and rclone does not.  Where many files
are made every run has a mount of its own, and they are fewer than 240.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from bench.budget import Budget, Calls
from bench.workload import FEW, Limits, Place, Start, Workload
from bench.workloads.data import MIB, content, tree
from bench.workloads.reading import in_children
from tests.support.box import Box

TURNS = 40  # runs of a workload that uses up what it finds, both systems together
GIT = "git -c user.name=Ada -c user.email=ada@example.com -c protocol.file.allow=always -c init.defaultBranch=main"
_ENV = os.environ | {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}


def _small_tree(local: Path, fast: bool) -> None:
    tree(local / "tree", 20 if fast else 200, 10, 2_000)


def _tar(local: Path, fast: bool) -> None:
    tree(local / "tree", 30 if fast else 220, 15, 2_000)
    with tarfile.open(local / "tree.tar", "w") as archive:
        archive.add(local / "tree", "tree")


def _wheel(local: Path, fast: bool) -> None:
    """A wheel of ten packages of ten modules; pip compiles them and notes the origin: 206 files in 22 folders."""
    packages, modules = (2, 10) if fast else (10, 10)
    about = {
        "METADATA": "Metadata-Version: 2.1\nName: many\nVersion: 1\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(local / "many-1-py3-none-any.whl", "w") as wheel:
        for n in range(packages * modules):
            name = "__init__" if n % modules == 0 else f"module{n % modules}"
            wheel.writestr(f"package{n // modules:02d}/{name}.py", f"NUMBER = {n}\n" * 100)
        for name, text in about.items():
            wheel.writestr(f"many-1.dist-info/{name}", text)
        wheel.writestr("many-1.dist-info/RECORD", "".join(f"{name},,\n" for name in wheel.namelist()))


def _packages(local: Path, fast: bool) -> None:
    """What npm unpacks: 40 packages of 5 small files, with a folder `lib` in each."""
    for package in range(8 if fast else 40):
        top = local / f"package{package:02d}" / "package"
        (top / "lib").mkdir(parents=True)
        for n, name in enumerate(("package.json", "README.md", "index.js", "lib/a.js", "lib/b.js")):
            (top / name).write_bytes(content(1_000 + 100 * n, 5 * package + n))
        with tarfile.open(local / f"package{package:02d}.tgz", "w:gz") as archive:
            archive.add(top, "package")


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


def _middling(local: Path, fast: bool) -> None:
    (local / "large").write_bytes(content(2 * MIB if fast else 16 * MIB, 7))


def _very_large(local: Path, fast: bool) -> None:
    (local / "large").write_bytes(content((20 if fast else 200) * MIB, 7))


def _twenty(local: Path, _fast: bool) -> None:
    tree(local / "tree", 20, 1, MIB)


def _cp(place: Place) -> None:
    place.sh(f"cp -r '{place.scratch}/tree' .")


def _rsync(place: Place) -> None:
    place.sh(f"rsync -a '{place.scratch}/tree' .")


def _untar(place: Place) -> None:
    place.sh(f"tar xf '{place.scratch}/tree.tar'")


def _pip(place: Place) -> None:
    """pip itself: it unpacks and compiles on the local disk, then moves all of it to the target."""
    wheel = next(place.scratch.glob("*.whl"))
    options = "--no-index --no-deps --disable-pip-version-check --no-cache-dir --root-user-action ignore -q"
    place.sh(f"'{sys.executable}' -m pip install {options} --target '{place.path}/site' '{wheel}'")


def _npm(place: Place) -> None:
    """As `npm ci` does it: packages are unpacked straight into place, several at once."""
    archives = sorted(place.scratch.glob("*.tgz"))

    def unpack(job: int) -> None:
        for archive in archives[job::4]:
            target = place.path / "node_modules" / archive.stem
            target.mkdir(parents=True)
            place.sh(f"tar xzf '{archive}' --strip-components 1 -C '{target}'")

    in_children(4, unpack)


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


def _trees(box: Box, fast: bool) -> None:
    """A tree of 200 files in 10 folders for each run."""
    for turn in range(2 if fast else TURNS):
        box.bulk(folders=10, files=2 if fast else 20, size=1, under=f"/data/tree{turn}")


def _look_at_tree(place: Place) -> None:
    place.sh(f"ls -lR tree{place.turn}")


def _remove(place: Place) -> None:
    place.sh(f"rm -r tree{place.turn}")


def _move(place: Place) -> None:
    place.sh(f"mv tree{place.turn} moved{place.turn}")


def _one_file(place: Place) -> None:
    (place.path / "new").write_bytes(b"x" * 1000)


def _readme(place: Place) -> None:
    (place.path / "readme.md").write_bytes(b"x" * 1000)
    place.system.settle()


def _change_case(place: Place) -> None:
    os.rename(place.path / "readme.md", place.path / "README.md")


def _made_and_deleted(place: Place) -> None:
    place.sh("mkdir t && echo x >t/a && mv t/a b && rm b && rmdir t")


def _random_writes(place: Place) -> None:
    with open(place.path / "large", "r+b", buffering=0) as file:
        blocks = os.fstat(file.fileno()).st_size // 4096
        piece = content(4096, 3)
        for block in random.Random(5).sample(
            range(blocks), 100 if place.quick else 2_000 if blocks > 2_000 else blocks
        ):
            os.pwrite(file.fileno(), piece, block * 4096)


_LOCAL = Limits("the kernel's requests, each through Python, and one SQLite transaction a change")
_COPIES = Limits("copies: reader, kernel, daemon, spool")

WORKLOADS = (
    Workload("cp-200", "writing", "`cp -r` of 200 files in 10 folders", _cp, local=_small_tree, own=True,
             budget=Budget(Calls(211), Calls(31)), limits=_LOCAL),
    Workload("rsync-200", "writing", "`rsync -a` of 200 files in 10 folders", _rsync, local=_small_tree, own=True,
             budget=Budget(Calls(211), Calls(31)), limits=_LOCAL),
    Workload("tar-220", "writing", "`tar x` of 220 files in 15 folders", _untar, local=_tar, own=True,
             budget=Budget(Calls(236), Calls(46)), limits=_LOCAL),
    Workload("clone", "writing", "`git clone` of 60 files and 12 commits, 50 ms", _clone, local=_origin, own=True,
             latency_s=0.05, rounds=FEW, budget=Budget(Calls(297), Calls(87)), limits=_LOCAL),
    Workload("pip-target", "writing", "`pip install --target` of a wheel: 206 files in 22 folders", _pip, local=_wheel,
             own=True, budget=Budget(Calls(228), Calls(52)),
             limits=Limits("pip, which unpacks and compiles on the local disk first")),
    Workload("npm-ci", "writing", "as `npm ci`: 40 packages of 5 files, 4 unpacked at once", _npm, local=_packages,
             own=True, budget=Budget(Calls(281), Calls(57)), limits=_LOCAL),
    Workload("create-200", "writing", "200 new files of one byte", _create, own=True,
             budget=Budget(Calls(200), Calls(50)), limits=_LOCAL),
    Workload("one-file", "writing", "one small file", _one_file, Start.WARM, own=True,
             budget=Budget(Calls(1), Calls(1)), limits=_LOCAL),
    Workload("append", "writing", "5,000 lines appended to a log that is kept open", _append, Start.WARM, own=True,
             budget=Budget(Calls(1), Calls(1)), limits=_LOCAL),
    Workload("parallel-cp", "writing", "20 copies of 1 MiB at once", _parallel, Start.WARM, local=_twenty, own=True,
             budget=Budget(Calls(20), Calls(20)), limits=_COPIES),
    Workload("cp-200m", "writing", "`cp` of 200 MiB", _copy_in, Start.WARM, local=_very_large, own=True,
             budget=Budget(Calls(27), Calls(5)), limits=_COPIES),
    Workload("cp-inside", "writing", "`cp` of 50 MiB inside the mount", _copy_inside, Start.WARM, local=_large,
             each=_put_large, own=True, rounds=FEW, budget=Budget(Calls(1), Calls(1)),
             limits=Limits("a copy that Box makes", disk=False)),
    Workload("random-writes", "writing", "2,000 random 4 KB writes into 16 MiB", _random_writes, Start.WARM,
             local=_middling, each=_put_large, own=True, budget=Budget(Calls(1), Calls(1)), limits=_LOCAL),
    Workload("rm-200", "writing", "`rm -r` of 200 files in 10 folders", _remove, prepare=_trees,
             each=_look_at_tree, writes=True, budget=Budget(Calls(3), Calls(3)), limits=_LOCAL),
    Workload("mv-folder", "writing", "`mv` of a folder of 200 files", _move, prepare=_trees, each=_look_at_tree,
             writes=True, budget=Budget(Calls(1), Calls(1)), limits=_LOCAL),
    Workload("case-rename", "writing", "a rename that changes the case alone", _change_case, Start.WARM, each=_readme,
             own=True, budget=Budget(Calls(1), Calls(1)), limits=_LOCAL),
    Workload("made-and-deleted", "writing", "a folder and a file made, moved and deleted at once", _made_and_deleted,
             Start.WARM, own=True, budget=Budget(Calls(0), Calls(0)), limits=_LOCAL),
)  # fmt: skip
