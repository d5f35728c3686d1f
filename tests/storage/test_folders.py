"""The data folder is private, the spool is emptied, and one process at a time has the lock."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from imagemill.core.errors import StartError
from imagemill.storage import LOOK_S, Folders, is_held, locked

HOLD = """
import sys
import threading
from pathlib import Path
from imagemill.storage import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
Holder = subprocess.Popen[str]


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX modes")
def test_every_folder_is_private(tmp_path: Path) -> None:
    previous = os.umask(0o022)
    try:
        folders = Folders(tmp_path / "home" / "data")
        for _ in range(2):
            folders.make()
    finally:
        os.umask(previous)
    modes = {str(p.relative_to(tmp_path)): stat.S_IMODE(p.stat().st_mode) for p in tmp_path.glob("home/**/*")}
    below = ("", "/sources", "/sources/sheets", "/sources/uploads", "/sources/images", "/outputs", "/spool", "/drafts")
    assert modes == {f"home/data{name}": 0o700 for name in below}


def test_everything_lies_below_the_root(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    names = ("database", "queue", "sheets", "sources", "outputs", "spool", "drafts", "token", "lock")
    places = [getattr(folders, name) for name in names]
    assert len(set(places)) == len(names)
    assert all(place.is_relative_to(tmp_path) for place in places)


def test_the_spool_is_emptied(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    folders.make()
    (folders.spool / "intake").mkdir()
    (folders.spool / "intake" / "sheet").write_bytes(b"half")
    (folders.spool / "made").write_bytes(b"whole")
    (folders.sheets / "kept").write_bytes(b"whole")
    bound = folders.spool.stat().st_ino
    folders.empty_spool()
    assert folders.spool.stat().st_ino == bound
    assert (list(folders.spool.iterdir()), (folders.sheets / "kept").read_bytes()) == ([], b"whole")
    assert stat.S_IMODE(folders.spool.stat().st_mode) & 0o077 == 0


def holder(path: Path) -> Holder:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def leave(process: Holder) -> None:
    process.communicate("", timeout=180)


@pytest.mark.parametrize("end", [leave, Holder.kill], ids=["leaves", "is killed"])
def test_the_lock_is_held_until_its_process_ends(tmp_path: Path, end: Callable[[Holder], None]) -> None:
    path = tmp_path / "lock"
    with holder(path) as process:
        try:
            with pytest.raises(StartError, match="another imagemill"), locked(path):
                pass
        finally:
            end(process)
            process.wait(60)
    with locked(path):
        pass


def test_who_only_looks_at_the_lock_keeps_nobody_from_it(tmp_path: Path) -> None:
    path, looker = tmp_path / "lock", ExitStack()
    looker.enter_context(locked(path))
    look = threading.Timer(0.1, looker.close)
    look.start()
    with locked(path, 60):
        assert is_held(path)
    assert LOOK_S > 0
    look.join(60)
    assert not any(map(is_held, (path, tmp_path / "none", tmp_path)))


def test_the_lock_is_free_after_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with pytest.raises(KeyError), locked(path):
        raise KeyError
    with locked(path), pytest.raises(StartError), locked(path):
        pass
