"""Workers: what somebody waits for is not held up by what nobody waits for."""

from __future__ import annotations

import threading

from boxfs.core.workers import Job, Workers


def test_jobs_submitted_in_a_row_run_side_by_side() -> None:
    workers = Workers("test", background=4, most=8)
    for _ in range(20):
        together = threading.Barrier(5)
        for _ in range(4):
            workers.submit(Job(lambda: together.wait(60)), urgent=False)  # noqa: B023
        together.wait(60)
    workers.close()


def test_an_urgent_job_passes_those_that_wait_and_runs_once() -> None:
    workers = Workers("test", background=1, most=2)
    go, urgent_ran, all_ran = threading.Event(), threading.Event(), threading.Event()
    ran: list[str] = []
    workers.submit(Job(lambda: go.wait(60)), urgent=False)

    def wanted() -> None:
        ran.append("wanted")
        urgent_ran.set()

    job = Job(wanted)
    workers.submit(Job(lambda: ran.append("later")), urgent=False)
    workers.submit(job, urgent=False)
    workers.submit(Job(all_ran.set), urgent=False)
    workers.submit(job, urgent=True)
    assert urgent_ran.wait(60)
    go.set()
    assert all_ran.wait(60)
    workers.close()
    assert ran == ["wanted", "later"]


def test_after_close_nothing_is_taken() -> None:
    workers = Workers("test", background=1, most=2)
    workers.close()
    assert not workers.submit(Job(lambda: None), urgent=True)


def test_more_at_once_holds_for_jobs_that_wait_already() -> None:
    workers = Workers("test", background=1, most=2)
    together = threading.Barrier(9)
    for _ in range(8):
        workers.submit(Job(lambda: together.wait(60)), urgent=False)
    workers.set_background(8)
    together.wait(60)
    workers.close()
