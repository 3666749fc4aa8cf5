"""One login, several processes: renewals that meet, and processes that are killed in the middle of one."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from boxfs.api import FileStore, OAuth2, RedisStore, Session, TokenStore
from boxfs.base.errors import Unauthorized, Unreachable
from tests.client.test_ways_in import log_in
from tests.support.box import Box

ROOT = Path(__file__).parents[2]


class Worker:
    """See worker.py."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.client.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        self.say(json.dumps(told))

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def workers(count: int, told: dict[str, Any]) -> Iterator[list[Worker]]:
    with ExitStack() as stack:
        started = []
        for _ in range(count):
            worker = Worker(told)
            stack.callback(worker.close)
            started.append(worker)
        yield started


def told_of(box: Box, console: dict[str, Any], **where: str) -> dict[str, Any]:
    app = console["boxAppSettings"]
    return {"url": box.url, "id": app["clientID"], "secret": app["clientSecret"], **where}


def renewals(box: Box) -> int:
    return sum(1 for each in box.log() if each["path"].endswith("/oauth2/token"))


def expire_again_and_again(box: Box, pool: list[Worker], times: int) -> None:
    """The token ends `times` times; each time all ask at once, and all are answered."""
    for number in range(1, times + 1):
        box.settings(clock_offset_s=3700.0 * number)
        for worker in pool:
            worker.say("ask")
        answers = [worker.hear() for worker in pool]
        assert answers == ["ok"] * len(pool), f"expiry {number}"


def test_two_processes_live_through_200_expiries(box: Box, console: dict[str, Any], tmp_path: Path) -> None:
    log_in(box, console, FileStore(tmp_path / "tokens.json"))
    box.clear_log()
    with workers(2, told_of(box, console, file=str(tmp_path / "tokens.json"))) as pool:
        expire_again_and_again(box, pool, 200)
    assert renewals(box) == 200  # one each, whoever asked


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A real redis-server, on a socket in a folder of its own."""
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("no redis-server here (package redis-server)")
    socket = tmp_path / "redis.sock"
    process = subprocess.Popen(
        [server, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not socket.exists():
        assert process.poll() is None, "redis-server ended"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield f"unix://{socket}"
    process.kill()
    process.wait()


def test_machines_share_a_login_through_redis(box: Box, console: dict[str, Any], redis_url: str) -> None:
    store = RedisStore(redis_url)
    log_in(box, console, store)
    box.clear_log()
    with workers(2, told_of(box, console, redis=redis_url)) as pool:
        expire_again_and_again(box, pool, 30)
    assert renewals(box) == 30
    store.clear()
    assert store.load() is None
    store.close()


def test_a_lock_of_a_dead_machine_ends_by_itself_and_redis_away_is_said(redis_url: str, tmp_path: Path) -> None:
    first, second = RedisStore(redis_url), RedisStore(redis_url, patience_s=0.05)
    with first.exclusive(), pytest.raises(Unreachable, match="lock"), second.exclusive():
        pass
    with second.exclusive():
        pass
    away = RedisStore(f"unix://{tmp_path}/nobody")
    with pytest.raises(Unreachable, match="Redis"):
        away.load()
    for store in (first, second, away):
        store.close()


def asked(box: Box, console: dict[str, Any], store: TokenStore) -> str:
    """Make one call with what is in the store, as a program that starts now would."""
    app = console["boxAppSettings"]
    session = Session(OAuth2(app["clientID"], app["clientSecret"], store=store, api_url=box.url), api_url=box.url)
    try:
        session.json("GET", "/users/me")
    except Unauthorized as error:
        return str(error)
    finally:
        session.close()
    return "ok"


def test_kill_9_in_the_middle_of_a_renewal_a_hundred_times(box: Box, console: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    store = FileStore(path)
    log_in(box, console, store)
    chance = random.Random(8)
    with workers(1, told_of(box, console, file=str(path))) as [worker]:
        for number in range(1, 101):
            worker.say(f"kill {chance.uniform(0, 40):.3f}")
            assert worker.hear() == "ok"
            assert store.load() is not None, "the file holds the old pair or the new one, never less"
            # The access token on the disk may be alive though its refresh token was spent: look beyond its end.
            box.settings(clock_offset_s=3700.0 * number)
            said = asked(box, console, store)
            if said != "ok":
                assert "log in again" in said
                log_in(box, console, store)
            assert path.stat().st_mode & 0o777 == 0o600


def test_after_a_kill_between_spending_and_saving_one_clear_word_says_to_log_in(
    box: Box, console: dict[str, Any], tmp_path: Path
) -> None:
    store = FileStore(tmp_path / "tokens.json")
    auth = log_in(box, console, store)
    before = store.load()
    assert before is not None
    session = Session(auth, api_url=box.url)
    auth.renewed(session.anonymous, before.access)
    session.close()
    store.save(before)  # as if the new pair had never reached the disk
    box.settings(clock_offset_s=3700.0)
    box.clear_log()
    assert "log in again (boxfs login)" in asked(box, console, store)
    assert renewals(box) == 1  # and no loop
