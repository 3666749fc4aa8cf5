"""Where OpenSSL is in FIPS mode, SHA-1 and MD5 are refused unless a program says that no security rests on them.

Such an OpenSSL cannot be had everywhere, so a process of its own refuses them in its place, before it imports anything.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.box import TOKEN, Box, EmulatorProcess

PROGRAM = """
import hashlib, sys

def strict(real):
    def digest(*args, usedforsecurity=True, **options):
        if usedforsecurity:
            raise ValueError("[digital envelope routines] unsupported: FIPS mode")
        return real(*args, usedforsecurity=False, **options)
    return digest

real_new = hashlib.new
hashlib.md5, hashlib.sha1 = strict(hashlib.md5), strict(hashlib.sha1)
hashlib.new = lambda name, *a, **o: (strict(real_new) if name.lower() in ("md5", "sha1") else real_new)(name, *a, **o)
for refused in (hashlib.sha1, lambda: hashlib.new("md5")):
    try:
        refused()
        raise SystemExit("the restriction does not work")
    except ValueError:
        pass

from boxfs.api import BoxClient, Jwt, JwtConfig, StaticToken
import boxfs.api.resources.files as files

url, token, config = sys.stdin.read().split("\\n")
files.CHUNKED_FROM_BYTES = 100_000
with BoxClient(StaticToken(token), api_url=url) as client:
    small = client.files.upload("0", "small", b"x")
    large = client.files.upload("0", "large", b"x" * 200_000)
    assert client.files.read(small) == b"x"
    assert client.files.read(large.id) == b"x" * 200_000
    client.events.position_now()
with BoxClient(Jwt(JwtConfig.from_file(config), api_url=url), api_url=url) as service:
    assert service.users.me().id
print("works")
"""


def test_it_works_where_sha1_and_md5_are_refused(box: Box, emulator: EmulatorProcess) -> None:
    box.settings(part_size=65536, min_session_size=100_000)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=f"{box.url}\n{TOKEN}\n{emulator.data / 'box_config.json'}",
        capture_output=True, text=True, timeout=120, env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.stdout.strip() == "works", done.stderr
