"""A machine that vanishes in the middle of a transaction: how long what it had locked stays locked for others."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from imagemill.db import open_database
from tests.network import Line

_NAME = "what both want"

_HOLD = f"""
import sys, time
from imagemill.db import open_database

database = open_database(sys.argv[1])
with database.transaction():
    database.alone_with({_NAME!r})
    print("held", flush=True)
    time.sleep(600)
"""


def freed_after_s(line: Line, folder: Path, url: str) -> float:
    """Let a process at the end of `line` lock something, cut it off, and return how long others wait for it."""
    python = line.program(folder, Path(sys.executable))
    holder = subprocess.Popen([python, "-c", _HOLD, url], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        line.drop()
        began = time.monotonic()
        with closing(open_database(url)) as database, database.transaction():
            database.alone_with(_NAME)
        return time.monotonic() - began
    finally:
        line.mend()
        holder.kill()
        holder.wait(10)
