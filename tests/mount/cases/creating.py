"""Making files: open(2), creat, O_EXCL, mknod, symlink, umask."""

import errno
import os
import socket
import stat
from pathlib import Path

from tests.mount.cases.register import case, fails, mode, opened, touch, umask


@case()
def new_file_is_empty(d: Path) -> None:
    assert touch(d / "f").stat().st_size == 0


@case()
def new_file_is_a_regular_file(d: Path) -> None:
    assert stat.S_ISREG(touch(d / "f").lstat().st_mode)


@case()
def new_file_has_one_link(d: Path) -> None:
    assert touch(d / "f").stat().st_nlink == 1


@case()
def new_file_belongs_to_its_maker(d: Path) -> None:
    found = touch(d / "f").stat()
    assert (found.st_uid, found.st_gid) == (os.geteuid(), os.getegid())


@case()
def umask_takes_bits_from_open(d: Path) -> None:
    with umask(0o027), opened(d / "f", os.O_CREAT | os.O_WRONLY, 0o666):
        assert mode(d / "f") == 0o640


@case()
def umask_takes_bits_from_mkdir(d: Path) -> None:
    with umask(0o027):
        os.mkdir(d / "n", 0o777)
    assert mode(d / "n") == 0o750


@case()
def umask_takes_bits_from_mkfifo_mode_of_file(d: Path) -> None:
    with umask(0o777), opened(d / "f", os.O_CREAT | os.O_WRONLY, 0o777):
        assert mode(d / "f") == 0


@case()
def umask_zero_keeps_all_bits(d: Path) -> None:
    with umask(0), opened(d / "f", os.O_CREAT | os.O_WRONLY, 0o666):
        assert mode(d / "f") == 0o666


@case()
def executable_bits_of_open_are_kept(d: Path) -> None:
    with umask(0o022), opened(d / "f", os.O_CREAT | os.O_WRONLY, 0o777):
        assert mode(d / "f") == 0o755


@case()
def o_excl_makes_a_new_file(d: Path) -> None:
    with opened(d / "f", os.O_CREAT | os.O_EXCL | os.O_WRONLY):
        assert (d / "f").exists()


@case()
def o_excl_refuses_a_file(d: Path) -> None:
    fails(errno.EEXIST, os.open, touch(d / "f"), os.O_CREAT | os.O_EXCL | os.O_WRONLY)


@case()
def o_excl_refuses_a_folder(d: Path) -> None:
    (d / "n").mkdir()
    fails(errno.EEXIST, os.open, d / "n", os.O_CREAT | os.O_EXCL | os.O_WRONLY)


@case()
def o_excl_refuses_a_dangling_link(d: Path) -> None:
    (d / "l").symlink_to("nowhere")
    fails(errno.EEXIST, os.open, d / "l", os.O_CREAT | os.O_EXCL | os.O_WRONLY)


@case()
def o_excl_leaves_the_content_alone(d: Path) -> None:
    touch(d / "f", b"mine")
    fails(errno.EEXIST, os.open, d / "f", os.O_CREAT | os.O_EXCL | os.O_TRUNC | os.O_RDWR)
    assert (d / "f").read_bytes() == b"mine"


@case()
def o_creat_of_an_existing_file_keeps_mode_and_content(d: Path) -> None:
    os.chmod(touch(d / "f", b"abc"), 0o600)
    with opened(d / "f", os.O_CREAT | os.O_RDWR, 0o777) as f:
        assert os.read(f, 9) == b"abc"
    assert mode(d / "f") == 0o600


@case()
def o_creat_through_a_dangling_link_makes_its_target(d: Path) -> None:
    (d / "l").symlink_to("target")
    (d / "l").write_bytes(b"x")
    assert (d / "target").read_bytes() == b"x"


@case()
def file_made_read_only_can_be_written_by_its_maker(d: Path) -> None:
    with opened(d / "f", os.O_CREAT | os.O_RDWR, 0o400) as f:
        os.write(f, b"abc")
        assert os.pread(f, 9, 0) == b"abc"
    assert (d / "f").stat().st_size == 3


@case()
def open_of_a_missing_file_is_enoent(d: Path) -> None:
    fails(errno.ENOENT, os.open, d / "none", os.O_RDONLY)


@case()
def open_in_a_missing_folder_is_enoent(d: Path) -> None:
    fails(errno.ENOENT, os.open, d / "none" / "f", os.O_CREAT | os.O_WRONLY)


@case()
def open_below_a_file_is_enotdir(d: Path) -> None:
    fails(errno.ENOTDIR, os.open, touch(d / "f") / "g", os.O_CREAT | os.O_WRONLY)


@case()
def open_of_a_folder_for_writing_is_eisdir(d: Path) -> None:
    (d / "n").mkdir()
    fails(errno.EISDIR, os.open, d / "n", os.O_WRONLY)


@case()
def open_of_a_file_as_folder_is_enotdir(d: Path) -> None:
    fails(errno.ENOTDIR, os.open, touch(d / "f"), os.O_RDONLY | os.O_DIRECTORY)


@case()
def open_with_slash_after_a_file_is_enotdir(d: Path) -> None:
    touch(d / "f")
    fails(errno.ENOTDIR, os.open, f"{d}/f/", os.O_RDONLY)


@case()
def o_nofollow_refuses_a_link(d: Path) -> None:
    touch(d / "f")
    (d / "l").symlink_to("f")
    fails(errno.ELOOP, os.open, d / "l", os.O_RDONLY | os.O_NOFOLLOW)


@case()
def name_of_255_bytes_is_allowed(d: Path) -> None:
    name = "n" * os.statvfs(d).f_namemax
    touch(d / name)
    assert os.listdir(d) == [name]


@case()
def name_too_long_is_enametoolong(d: Path) -> None:
    fails(errno.ENAMETOOLONG, os.open, d / ("n" * (os.statvfs(d).f_namemax + 1)), os.O_CREAT | os.O_WRONLY)


@case()
def stat_of_a_name_too_long_is_enametoolong(d: Path) -> None:
    fails(errno.ENAMETOOLONG, os.stat, d / ("n" * (os.statvfs(d).f_namemax + 1)))


@case()
def names_in_several_scripts_come_back_as_given(d: Path) -> None:
    names = {
        "plain",
        "with blank",
        "ünïcödé",
        "日本語",
        "Ελληνικά",
        "עברית",
        "emoji 🙂",
        "tab-less;&$'\"",
        "%41",
        ".dot",
    }
    for name in names:
        touch(d / name, name.encode())
    assert set(os.listdir(d)) == names
    assert all((d / name).read_text() == name for name in names)


@case()
def hidden_name_is_an_ordinary_name(d: Path) -> None:
    touch(d / ".hidden", b"x")
    assert os.listdir(d) == [".hidden"]


@case()
def symlink_keeps_its_target_byte_for_byte(d: Path) -> None:
    for target in ("f", "../x/y", "/absolute/path", "a b", "日本", "x" * 1000):
        os.symlink(target, d / "l")
        assert os.readlink(d / "l") == target
        os.unlink(d / "l")


@case()
def symlink_over_a_name_is_eexist(d: Path) -> None:
    fails(errno.EEXIST, os.symlink, "x", touch(d / "f"))


@case()
def symlink_size_is_the_length_of_its_target(d: Path) -> None:
    os.symlink("twelve bytes", d / "l")
    assert os.lstat(d / "l").st_size == 12


@case()
def symlink_leads_to_the_file(d: Path) -> None:
    touch(d / "f", b"abc")
    os.symlink("f", d / "l")
    assert (d / "l").read_bytes() == b"abc"
    assert os.stat(d / "l").st_ino == os.stat(d / "f").st_ino


@case()
def symlink_to_a_folder_is_walked(d: Path) -> None:
    (d / "n").mkdir()
    os.symlink("n", d / "l")
    touch(d / "l" / "f", b"abc")
    assert (d / "n" / "f").read_bytes() == b"abc"


@case()
def symlink_loop_is_eloop(d: Path) -> None:
    os.symlink("b", d / "a")
    os.symlink("a", d / "b")
    fails(errno.ELOOP, os.stat, d / "a")


@case()
def readlink_of_a_file_is_einval(d: Path) -> None:
    fails(errno.EINVAL, os.readlink, touch(d / "f"))


@case("mknod")
def fifo_is_a_fifo(d: Path) -> None:
    os.mkfifo(d / "p")
    assert stat.S_ISFIFO(os.lstat(d / "p").st_mode)


@case("mknod")
def fifo_carries_bytes(d: Path) -> None:
    os.mkfifo(d / "p")
    with opened(d / "p", os.O_RDWR | os.O_NONBLOCK) as p:
        os.write(p, b"through")
        assert os.read(p, 100) == b"through"


@case("mknod")
def mkfifo_over_a_name_is_eexist(d: Path) -> None:
    fails(errno.EEXIST, os.mkfifo, touch(d / "f"))


@case("mknod")
def unix_socket_is_a_socket(d: Path) -> None:
    with opened(d, os.O_RDONLY | os.O_DIRECTORY) as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{folder}/s")  # since sun_path holds 108 bytes only
        assert stat.S_ISSOCK(os.lstat(d / "s").st_mode)


@case("mknod", "root")
def device_node_keeps_its_numbers(d: Path) -> None:
    os.mknod(d / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    found = os.lstat(d / "null")
    assert stat.S_ISCHR(found.st_mode)
    assert found.st_rdev == os.makedev(1, 3)


@case("mknod")
def mknod_makes_a_plain_file(d: Path) -> None:
    os.mknod(d / "f", stat.S_IFREG | 0o640)
    assert stat.S_ISREG(os.lstat(d / "f").st_mode)
    assert (d / "f").read_bytes() == b""
