"""Reading and writing: offsets, holes, truncation, append, descriptors, fsync."""

import errno
import os
import random
from pathlib import Path

from tests.mount.cases.register import case, fails, opened, touch

RW = os.O_RDWR | os.O_CREAT


@case()
def written_bytes_are_read_back(d: Path) -> None:
    assert touch(d / "f", b"hello").read_bytes() == b"hello"


@case()
def three_megabytes_are_read_back(d: Path) -> None:
    content = random.Random(1).randbytes(3_000_001)
    assert touch(d / "f", content).read_bytes() == content


@case()
def size_follows_writes_while_open(d: Path) -> None:
    with opened(d / "f", RW) as f:
        for count in range(1, 6):
            os.write(f, b"x" * 1000)
            assert os.fstat(f).st_size == os.stat(d / "f").st_size == 1000 * count


@case()
def another_descriptor_sees_a_write_at_once(d: Path) -> None:
    with opened(d / "f", RW) as writer, opened(d / "f", os.O_RDONLY) as reader:
        for text in (b"one", b"two", b"three"):
            os.pwrite(writer, text, 0)
            assert os.pread(reader, len(text), 0) == text


@case()
def read_at_the_end_is_empty(d: Path) -> None:
    with opened(touch(d / "f", b"abc"), os.O_RDONLY) as f:
        assert os.pread(f, 10, 3) == b""
        assert os.pread(f, 10, 1000) == b""


@case()
def read_across_the_end_is_short(d: Path) -> None:
    with opened(touch(d / "f", b"abcdef"), os.O_RDONLY) as f:
        assert os.pread(f, 100, 4) == b"ef"


@case()
def write_beyond_the_end_leaves_zeros(d: Path) -> None:
    with opened(d / "f", RW) as f:
        os.pwrite(f, b"end", 10_000)
        assert os.pread(f, 10_003, 0) == bytes(10_000) + b"end"


@case()
def write_in_the_middle_keeps_both_sides(d: Path) -> None:
    touch(d / "f", b"a" * 300_000)
    with opened(d / "f", os.O_RDWR) as f:
        os.pwrite(f, b"bbb", 150_000)
    found = (d / "f").read_bytes()
    assert found == b"a" * 150_000 + b"bbb" + b"a" * 149_997


@case()
def random_writes_match_a_model(d: Path) -> None:
    rng = random.Random(2)
    model = bytearray()
    with opened(d / "f", RW) as f:
        for _ in range(200):
            offset, data = rng.randrange(200_000), rng.randbytes(rng.randrange(1, 20_000))
            os.pwrite(f, data, offset)
            model.extend(bytes(max(0, offset - len(model))))
            model[offset : offset + len(data)] = data
        assert os.pread(f, len(model) + 1, 0) == model
    assert (d / "f").read_bytes() == model


@case()
def o_append_writes_at_the_end(d: Path) -> None:
    touch(d / "f", b"one")
    with opened(d / "f", os.O_WRONLY | os.O_APPEND) as f:
        os.lseek(f, 0, os.SEEK_SET)
        os.write(f, b"two")
    assert (d / "f").read_bytes() == b"onetwo"


@case()
def two_appenders_lose_nothing(d: Path) -> None:
    touch(d / "f")
    with opened(d / "f", os.O_WRONLY | os.O_APPEND) as a, opened(d / "f", os.O_WRONLY | os.O_APPEND) as b:
        for number in range(50):
            os.write(a, b"a%03d\n" % number)
            os.write(b, b"b%03d\n" % number)
    assert len((d / "f").read_bytes().splitlines()) == 100


@case()
def appenders_in_two_processes_lose_nothing(d: Path) -> None:
    touch(d / "f")
    child = os.fork()
    mark = b"c" if child == 0 else b"p"
    with opened(d / "f", os.O_WRONLY | os.O_APPEND) as f:
        for number in range(100):
            os.write(f, mark + b"%04d\n" % number)
    if child == 0:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    lines = (d / "f").read_bytes().splitlines()
    assert len(lines) == 200
    assert sorted(lines) == sorted(b"%c%04d" % (m, n) for m in b"cp" for n in range(100))


@case()
def o_trunc_empties_the_file(d: Path) -> None:
    with opened(touch(d / "f", b"abc"), os.O_WRONLY | os.O_TRUNC) as f:
        assert os.fstat(f).st_size == 0
    assert (d / "f").read_bytes() == b""


@case()
def o_trunc_is_seen_by_other_descriptors(d: Path) -> None:
    with opened(touch(d / "f", b"abc"), os.O_RDONLY) as reader:
        with opened(d / "f", os.O_WRONLY | os.O_TRUNC) as writer:
            assert os.fstat(reader).st_size == 0
            os.write(writer, b"xy")
        assert os.pread(reader, 9, 0) == b"xy"


@case()
def truncate_cuts(d: Path) -> None:
    os.truncate(touch(d / "f", b"abcdef"), 2)
    assert (d / "f").read_bytes() == b"ab"


@case()
def truncate_extends_with_zeros(d: Path) -> None:
    os.truncate(touch(d / "f", b"abc"), 100_000)
    assert (d / "f").read_bytes() == b"abc" + bytes(99_997)


@case()
def truncate_then_extend_shows_no_old_bytes(d: Path) -> None:
    touch(d / "f", b"x" * 9000)
    os.truncate(d / "f", 10)
    os.truncate(d / "f", 9000)
    assert (d / "f").read_bytes() == b"x" * 10 + bytes(8990)


@case()
def ftruncate_through_the_descriptor(d: Path) -> None:
    with opened(d / "f", RW) as f:
        os.write(f, b"abcdef")
        os.ftruncate(f, 3)
        assert os.fstat(f).st_size == 3
        assert os.pread(f, 9, 0) == b"abc"


@case()
def truncate_to_a_huge_size_is_sparse(d: Path) -> None:
    os.truncate(touch(d / "f"), 1 << 33)
    with opened(d / "f", os.O_RDWR) as f:
        assert os.pread(f, 4, (1 << 33) - 4) == bytes(4)
        os.ftruncate(f, 5)
    assert (d / "f").read_bytes() == bytes(5)


@case()
def truncate_of_a_folder_is_eisdir(d: Path) -> None:
    (d / "n").mkdir()
    fails(errno.EISDIR, os.truncate, d / "n", 0)


@case()
def truncate_of_a_missing_file_is_enoent(d: Path) -> None:
    fails(errno.ENOENT, os.truncate, d / "none", 0)


@case()
def truncate_to_a_negative_size_is_einval(d: Path) -> None:
    fails(errno.EINVAL, os.truncate, touch(d / "f"), -1)


@case()
def ftruncate_of_a_read_only_descriptor_is_einval(d: Path) -> None:
    with opened(touch(d / "f"), os.O_RDONLY) as f:
        fails(errno.EINVAL, os.ftruncate, f, 0)


@case()
def write_to_a_read_only_descriptor_is_ebadf(d: Path) -> None:
    with opened(touch(d / "f"), os.O_RDONLY) as f:
        fails(errno.EBADF, os.write, f, b"x")


@case()
def read_of_a_write_only_descriptor_is_ebadf(d: Path) -> None:
    with opened(touch(d / "f"), os.O_WRONLY) as f:
        fails(errno.EBADF, os.read, f, 1)


@case()
def read_of_a_folder_is_eisdir(d: Path) -> None:
    with opened(d, os.O_RDONLY) as f:
        fails(errno.EISDIR, os.read, f, 1)


@case()
def seek_end_knows_the_size(d: Path) -> None:
    with opened(touch(d / "f", b"abc"), os.O_RDONLY) as f:
        assert os.lseek(f, 0, os.SEEK_END) == 3
        assert os.lseek(f, -1, os.SEEK_END) == 2


@case()
def seek_before_the_start_is_einval(d: Path) -> None:
    with opened(touch(d / "f", b"abc"), os.O_RDONLY) as f:
        fails(errno.EINVAL, os.lseek, f, -1, os.SEEK_SET)


@case()
def seek_data_finds_data(d: Path) -> None:
    with opened(touch(d / "f", b"abc"), os.O_RDONLY) as f:
        assert os.lseek(f, 1, os.SEEK_DATA) == 1


@case()
def seek_hole_of_a_full_file_is_its_end(d: Path) -> None:
    with opened(touch(d / "f", b"abc"), os.O_RDONLY) as f:
        assert os.lseek(f, 0, os.SEEK_HOLE) == 3


@case()
def seek_data_beyond_the_end_is_enxio(d: Path) -> None:
    with opened(touch(d / "f", b"abc"), os.O_RDONLY) as f:
        fails(errno.ENXIO, os.lseek, f, 3, os.SEEK_DATA)
        fails(errno.ENXIO, os.lseek, f, 3, os.SEEK_HOLE)


@case("holes")
def seek_data_jumps_over_a_hole(d: Path) -> None:
    with opened(d / "f", RW) as f:
        os.pwrite(f, b"x" * 4096, 1 << 20)
        assert os.lseek(f, 0, os.SEEK_DATA) == 1 << 20
        assert os.lseek(f, 0, os.SEEK_HOLE) == 0


@case()
def vectors_are_written_and_read(d: Path) -> None:
    with opened(d / "f", RW) as f:
        assert os.writev(f, [b"ab", b"", b"cde"]) == 5
        buffers = [bytearray(1), bytearray(9)]
        assert os.preadv(f, buffers, 0) == 5
        assert bytes(buffers[0]) + bytes(buffers[1][:4]) == b"abcde"


@case()
def duplicated_descriptor_shares_its_offset(d: Path) -> None:
    with opened(d / "f", RW) as f:
        twin = os.dup(f)
        try:
            os.write(f, b"ab")
            os.write(twin, b"cd")
        finally:
            os.close(twin)
        assert os.pread(f, 9, 0) == b"abcd"


@case()
def descriptor_outlives_a_fork(d: Path) -> None:
    with opened(d / "f", RW) as f:
        child = os.fork()
        if child == 0:
            os.write(f, b"child")
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert os.pread(f, 9, 0) == b"child"


@case()
def fsync_and_fdatasync_succeed(d: Path) -> None:
    with opened(d / "f", RW) as f:
        os.write(f, b"x")
        os.fsync(f)
        os.fdatasync(f)


@case()
def fsync_of_a_read_only_descriptor_succeeds(d: Path) -> None:
    with opened(touch(d / "f"), os.O_RDONLY) as f:
        os.fsync(f)


@case()
def fsync_of_a_folder_succeeds(d: Path) -> None:
    with opened(d, os.O_RDONLY | os.O_DIRECTORY) as f:
        os.fsync(f)


@case()
def o_sync_writes_arrive(d: Path) -> None:
    with opened(d / "f", RW | os.O_SYNC) as f:
        os.write(f, b"abc")
    assert (d / "f").read_bytes() == b"abc"


@case()
def blocks_cover_the_size(d: Path) -> None:
    found = touch(d / "f", b"x" * 100_000).stat()
    assert found.st_blocks * 512 >= 100_000
    assert found.st_blksize > 0


@case()
def many_files_open_at_once(d: Path) -> None:
    descriptors = [os.open(d / str(number), RW) for number in range(200)]
    try:
        for number, f in enumerate(descriptors):
            os.write(f, b"%d" % number)
        assert [os.pread(f, 9, 0) for f in descriptors] == [b"%d" % number for number in range(200)]
    finally:
        for f in descriptors:
            os.close(f)


@case("fallocate")
def posix_fallocate_extends(d: Path) -> None:
    with opened(d / "f", RW) as f:
        os.write(f, b"abc")
        os.posix_fallocate(f, 0, 10_000)
        assert os.fstat(f).st_size == 10_000
        assert os.pread(f, 10_000, 0) == b"abc" + bytes(9_997)


@case("fallocate")
def posix_fallocate_never_shrinks(d: Path) -> None:
    with opened(touch(d / "f", b"x" * 5000), os.O_RDWR) as f:
        os.posix_fallocate(f, 0, 10)
        assert os.fstat(f).st_size == 5000


@case()
def copy_file_range_copies(d: Path) -> None:
    content = random.Random(3).randbytes(400_000)
    with opened(touch(d / "a", content), os.O_RDONLY) as a, opened(d / "b", RW) as b:
        copied = 0
        while copied < len(content):
            step = os.copy_file_range(a, b, len(content) - copied, copied, copied)
            assert step > 0
            copied += step
        assert os.copy_file_range(a, b, 100, len(content), len(content)) == 0
    assert (d / "b").read_bytes() == content


@case()
def copy_file_range_into_the_middle(d: Path) -> None:
    with opened(touch(d / "a", b"0123456789"), os.O_RDONLY) as a, opened(touch(d / "b", b"abcdef"), os.O_RDWR) as b:
        assert os.copy_file_range(a, b, 3, 4, 2) == 3
    assert (d / "b").read_bytes() == b"ab456f"


@case()
def sendfile_reads_from_here(d: Path) -> None:
    with opened(touch(d / "a", b"abcdef"), os.O_RDONLY) as a, opened(d / "b", RW) as b:
        assert os.sendfile(b, a, 1, 4) == 4
    assert (d / "b").read_bytes() == b"bcde"
