"""The memory of fetched data: within its limit, and used again."""

from boxfs.core.buffers import MOST_SPARE, POOLED, Buffers


def test_large_memory_is_used_again_while_somebody_fetches() -> None:
    buffers = Buffers(64 << 20)
    buffers.take(POOLED)
    first = buffers.lend(POOLED)
    first[:3] = b"abc"
    buffers.take_back(first)
    assert buffers.lend(POOLED) is first
    assert buffers.lend(POOLED) is not first
    assert len(buffers.lend(2 * POOLED)) == 2 * POOLED
    assert len(buffers.lend(1000)) == 1000


def test_nothing_is_kept_when_nobody_fetches() -> None:
    buffers = Buffers(64 << 20)
    buffers.take(POOLED)
    memory = buffers.lend(POOLED)
    buffers.take_back(memory)
    buffers.give_back(POOLED)
    assert buffers.lend(POOLED) is not memory


def test_spare_memory_has_a_limit() -> None:
    buffers = Buffers(64 << 20)
    buffers.take(POOLED)
    size = MOST_SPARE // 2
    many = [buffers.lend(size) for _ in range(4)]
    for memory in many:
        buffers.take_back(memory)
    again = [buffers.lend(size) for _ in range(4)]
    assert sum(any(one is other for other in many) for one in again) == 2
