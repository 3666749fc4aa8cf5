"""Signals are calls in another thread: whatever the main thread does and holds."""

from __future__ import annotations

import os
import queue
import signal
import threading

from boxfs.fuse.signals import Signals


def test_signal_is_heard_while_the_main_thread_holds_a_lock_the_call_needs() -> None:
    heard: queue.Queue[int] = queue.Queue()
    lock = threading.Lock()

    def call(number: int) -> None:
        with lock:
            heard.put(number)

    with Signals({signal.SIGUSR1: call}):
        with lock:
            os.kill(os.getpid(), signal.SIGUSR1)
        assert heard.get(timeout=60) == signal.SIGUSR1


def test_every_kind_of_signal_is_heard_and_a_failing_call_deafens_nobody() -> None:
    heard: queue.Queue[int] = queue.Queue()

    def fail(number: int) -> None:
        heard.put(number)
        raise RuntimeError("broken on purpose")

    with Signals({signal.SIGUSR1: fail, signal.SIGUSR2: heard.put}):
        os.kill(os.getpid(), signal.SIGUSR1)
        assert heard.get(timeout=60) == signal.SIGUSR1
        os.kill(os.getpid(), signal.SIGUSR2)
        assert heard.get(timeout=60) == signal.SIGUSR2


def test_former_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with Signals({signal.SIGUSR1: lambda number: None}):
        assert signal.getsignal(signal.SIGUSR1) is not before
    assert signal.getsignal(signal.SIGUSR1) is before
    assert not any(thread.name == "boxfs-signals" for thread in threading.enumerate())


def test_another_thread_hears_nothing_and_breaks_nothing() -> None:
    done: queue.Queue[bool] = queue.Queue()

    def work() -> None:
        with Signals({signal.SIGUSR1: lambda number: None}):
            done.put(True)

    thread = threading.Thread(target=work)
    thread.start()
    assert done.get(timeout=60)
    thread.join()
