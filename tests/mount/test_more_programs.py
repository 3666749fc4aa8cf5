"""Programs that decide in the first minute whether this is a disk: rsync's ways, zip, git, make, pip, Python, grep."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mount.test_programs import GIT, make_tree, read_tree, run, sha1s
from tests.support.box import Box
from tests.support.mounting import Mounted

pytestmark = pytest.mark.fuse


def again_without_cache(mounted: Mounted) -> None:
    """Unmount, draining; forget all local state; mount."""
    done = mounted.unmount()
    assert done.returncode == 0, done.stderr
    shutil.rmtree(mounted.cache_dir)
    mounted.start()


def transferred(*command: str) -> int:
    """How many files rsync took for changed."""
    line = next(text for text in run(*command).splitlines() if "regular files transferred" in text)
    return int(line.rpartition(" ")[2])


def test_rsync_by_checksum_in_place_and_with_delete(mounted: Mounted, box: Box, tmp_path: Path) -> None:
    source, target = tmp_path / "source", mounted.path / "copy"
    contents = make_tree(source, 3, 15)
    base = ("rsync", "-a", "--stats", f"{source}/", str(target))
    assert transferred(*base) == 15
    # Same size, same time, other bytes: only a look at the bytes finds it.
    changed = source / "d00/file 000.txt"
    times = changed.stat()
    contents["d00/file 000.txt"] = contents["d00/file 000.txt"].upper()
    changed.write_bytes(contents["d00/file 000.txt"])
    os.utime(changed, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert transferred(*base) == 0
    assert transferred(*base, "-c") == 1
    large = source / "d01/file 001.txt"
    contents["d01/file 001.txt"] = os.urandom(300_000)
    large.write_bytes(contents["d01/file 001.txt"])
    assert transferred(*base, "--inplace") == 1
    with large.open("r+b") as file:
        file.seek(100_000)
        file.write(b"changed in the middle")
    os.utime(large, (1_700_000_000, 1_700_000_000))  # else within the second that rsync compares
    contents["d01/file 001.txt"] = large.read_bytes()
    assert transferred(*base, "--inplace", "--no-whole-file") == 1
    shutil.rmtree(source / "d02")
    contents = {path: data for path, data in contents.items() if not path.startswith("d02/")}
    run(*base, "--delete")
    assert read_tree(target) == contents
    mounted.sync()
    assert box.files() == sha1s(contents, "/copy")
    again_without_cache(mounted)
    assert transferred(*base, "-c", "--delete") == 0


def test_zip_packs_tests_and_unpacks(mounted: Mounted, tmp_path: Path) -> None:
    contents = make_tree(mounted.path / "tree", 3, 20)
    archive = mounted.path / "a.zip"
    run("zip", "-qr", str(archive), "tree", cwd=mounted.path)
    run("zip", "-q", str(archive), "-d", "tree/d00/*", cwd=mounted.path)  # written anew beside it, renamed over
    left = {path: data for path, data in contents.items() if not path.startswith("d00/")}
    again_without_cache(mounted)
    run(sys.executable, "-m", "zipfile", "-t", str(archive))
    run(sys.executable, "-m", "zipfile", "-e", str(archive), str(mounted.path / "out"))
    assert read_tree(mounted.path / "out/tree") == left


def test_git_clone_with_executables_and_links_is_clean_on_an_empty_cache(mounted: Mounted, tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    make_tree(origin, 2, 10)
    for number in range(3):
        (origin / f"run{number}.sh").write_text(f"#!/bin/sh\necho {number}\n")
        (origin / f"run{number}.sh").chmod(0o755)
        (origin / f"link{number}").symlink_to(f"run{number}.sh")
    (origin / "folder-link").symlink_to("d00")
    run(*GIT, "init", "-q", cwd=origin)
    run(*GIT, "add", "-A", cwd=origin)
    run(*GIT, "commit", "-qm", "first", cwd=origin)
    clone = mounted.path / "clone"
    run(*GIT, "clone", "-q", str(origin), str(clone))
    again_without_cache(mounted)
    assert run(*GIT, "status", "--porcelain", cwd=clone, env={"GIT_OPTIONAL_LOCKS": "0"}) == ""
    assert run(*GIT, "diff", "--stat", cwd=clone) == ""
    assert run("./run1.sh", cwd=clone) == "1\n"
    assert os.readlink(clone / "link2") == "run2.sh"
    run(*GIT, "fsck", "--strict", cwd=clone)


def test_git_commits_rebases_and_collects_garbage(mounted: Mounted) -> None:
    work = mounted.path / "work"
    work.mkdir()

    def git(*words: str) -> str:
        return run(*GIT, *words, cwd=work)

    git("init", "-q")
    for name, branch in (("base", "main"), ("one", "topic"), ("two", "topic"), ("other", "main")):
        if name != "base":
            git("checkout", "-q", *(["-b"] if name == "one" else []), branch)
        (work / f"{name}.txt").write_text(f"{name}\n")
        git("add", "-A")
        git("commit", "-qm", name)
    git("checkout", "-q", "topic")
    git("rebase", "-q", "main")
    git("gc", "-q", "--prune=now")
    assert git("log", "--format=%s").split() == ["two", "one", "other", "base"]
    again_without_cache(mounted)
    git("fsck", "--strict")
    assert git("status", "--porcelain") == ""
    git("reset", "-q", "--hard", "HEAD~2")
    assert sorted(p.name for p in work.glob("*.txt")) == ["base.txt", "other.txt"]


def test_make_builds_once_and_what_changed(mounted: Mounted) -> None:
    work = mounted.path / "work"
    work.mkdir()
    sources = [f"part{number}" for number in range(6)]
    for name in sources:
        (work / f"{name}.in").write_text(f"{name}\n")
    objects = " ".join(f"{name}.out" for name in sources)
    (work / "Makefile").write_text(
        f"all: whole\nwhole: {objects}\n\tcat {objects} > whole\n%.out: %.in\n"
        "\ttr a-z A-Z < $< > $@\n\t@echo $@ >> log\n"
    )
    run("make", "-j4", cwd=work)
    assert (work / "whole").read_text() == "".join(f"{name.upper()}\n" for name in sources)
    run("make", "-q", cwd=work)  # nothing to do; it says so by its exit code
    later = (work / "whole").stat().st_mtime_ns + 1_000_000_000
    (work / "part3.in").write_text("other\n")
    os.utime(work / "part3.in", ns=(later, later))
    run("make", cwd=work)
    assert sorted((work / "log").read_text().split()) == sorted([f"{name}.out" for name in sources] + ["part3.out"])
    assert "OTHER" in (work / "whole").read_text()


def test_pip_installs_and_python_compiles_and_imports(mounted: Mounted, tmp_path: Path) -> None:
    package = tmp_path / "package"
    for name in ("hello", "hello/sub"):
        (package / name).mkdir(parents=True)
        (package / name / "__init__.py").write_text(f"WORD = {name!r}\n")
    (package / "backend.py").write_text(BACKEND)
    (package / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    site = mounted.path / "site"
    run(
        *(sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-build-isolation"),
        *("--disable-pip-version-check", "--no-input", "--no-cache-dir", "--target", str(site), str(package)),
        env={"TMPDIR": str(tmp_path), "PIP_CONFIG_FILE": "/dev/null", "PIP_ROOT_USER_ACTION": "ignore"},
    )
    run(sys.executable, "-m", "compileall", "-q", "-f", str(site))
    again_without_cache(mounted)
    assert len(list(site.rglob("*.pyc"))) == 2
    code = "import hello.sub; print(hello.sub.WORD, hello.sub.__cached__)"
    told = run(sys.executable, "-B", "-v", "-c", code, env={"PYTHONPATH": str(site)}).split()
    assert told[0] == "hello/sub"
    assert told[1].startswith(str(site))


BACKEND = """
import zipfile

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = "hello-1.0-py3-none-any.whl"
    info = "hello-1.0.dist-info"
    files = {
        "hello/__init__.py": open("hello/__init__.py").read(),
        "hello/sub/__init__.py": open("hello/sub/__init__.py").read(),
        f"{info}/METADATA": "Metadata-Version: 2.1\\nName: hello\\nVersion: 1.0\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: here\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(f"{wheel_directory}/{name}", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return name
"""


def test_grep_r_finds_what_is_there(mounted: Mounted) -> None:
    make_tree(mounted.path / "tree", 4, 24)
    again_without_cache(mounted)
    told = run("grep", "-rlx", "file 7", str(mounted.path / "tree"))
    assert told.split("\n") == [str(mounted.path / "tree/d03/file 007.txt"), ""]
    assert len(run("grep", "-rc", "^file", str(mounted.path / "tree")).splitlines()) == 24


@pytest.mark.parametrize("engine", ["psync", "mmap"])
def test_fio_verifies_what_it_wrote(engine: str, mounted: Mounted, tmp_path: Path) -> None:
    """Random writes of several sizes, each block with a checksum in itself; the same on an empty cache."""
    if shutil.which("fio") is None:
        pytest.skip("FIO NOT TESTED: it is not installed (Debian: fio)")
    size = "64m" if os.environ.get("BOXFS_BIG") else "6m"
    # Blocks of all sizes; of the mapped ones fio wants them to be pages.
    blocks = ("--bs=4k",) if engine == "mmap" else ("--bsrange=512-64k", "--bs_unaligned=1")
    run(
        *("fio", "--name=f", f"--directory={mounted.path}", f"--size={size}", f"--ioengine={engine}", "--rw=randwrite"),
        *(*blocks, "--verify=crc32c", "--verify_fatal=1", "--randseed=7", "--fallocate=none", "--minimal"),
        *("--end_fsync=1", "--verify_state_save=0"),
        cwd=tmp_path,
    )
    file = mounted.path / "f.0.0"
    wrote = hashlib.sha256(file.read_bytes()).hexdigest()
    again_without_cache(mounted)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == wrote


STRESSORS = (
    "access chdir chmod chown dentry dir dirdeep dup fallocate fcntl filename flock fpunch fstat getdent hdd iomix "
    "lease locka lockf lockofd metamix mknod open readahead rename seek symlink sync-file utime xattr"
).split()


SMALL = {
    **{name: (f"--{name}-bytes", "4m") for name in ("hdd", "iomix", "fallocate", "readahead", "sync-file")},
    "seek": ("--seek-size", "2m"),
    "dentry": ("--dentries", "64"),
    "filename": ("--filename-opts", "posix"),  # others count characters that Box's encoding doubles
}


def test_stress_ng_finds_nothing_wrong(mounted: Mounted) -> None:
    """Its file-system stressors, all at once, checking what they do (--verify)."""
    if shutil.which("stress-ng") is None:
        pytest.skip("STRESS-NG NOT TESTED: it is not installed (Debian: stress-ng)")
    known = subprocess.run(["stress-ng", "--stressors"], capture_output=True, text=True, check=True).stdout.split()
    place = mounted.path / "stress"
    place.mkdir()
    ops, limit_s = ("1000", "90") if os.environ.get("BOXFS_BIG") else ("10", "10")
    words = ["--verify", "--timeout", limit_s, "--temp-path", str(place), "--oom-avoid"]
    for name in sorted({*STRESSORS} & {*known}):
        words += [f"--{name}", "1", f"--{name}-ops", ops, *SMALL.get(name, ())]
    done = subprocess.run(
        ["stress-ng", *words], capture_output=True, text=True, timeout=150, check=False, stdin=subprocess.DEVNULL
    )
    said = done.stdout + done.stderr
    # 3, 4: some stressor cannot run here, as it says
    assert done.returncode in (0, 3, 4), said[-4000:]
    assert "fail:" not in said
    assert mounted.alive
