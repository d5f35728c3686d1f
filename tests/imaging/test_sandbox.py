"""A child that tries to get out: to the network, to other processes, to files that are not its own."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imagemill.imaging import confine
from tests.imaging import escapes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces, seccomp and Landlock are Linux's")

Told = tuple[dict[str, str], list[str], int]
CALLS = set(escapes.ways("/x/y", 1))
FILES = {name for name in CALLS if any(word in name for word in ("secret", "read", "write", "list", "look", "climb"))}


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Told, Path]]:
    data = tmp_path_factory.mktemp("data")
    (data / "spool").mkdir()
    secret = data / "token"
    secret.write_text("im_secret")
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    left = os.open(data / "token", os.O_RDONLY)
    os.set_inheritable(left, True)
    process = spawn.Process(target=escapes.main, args=(theirs, str(secret), os.getpid()))
    process.start()
    os.close(left)
    theirs.close()
    assert ours.poll(60)
    told: Any = ours.recv()
    yield told, secret
    ours.close()
    process.join(20)
    assert process.exitcode == -signal.SIGABRT, "it can still end itself"


@pytest.mark.skipif(platform.machine() not in confine._MACHINES, reason="the filter is written for two machines")
@pytest.mark.parametrize("way", sorted(CALLS - FILES))
def test_no_way_to_the_network_or_another_process(tried: tuple[Told, Path], way: str) -> None:
    assert tried[0][0][way] in {"EPERM", "EACCES", "no address"}, way


@pytest.mark.parametrize("way", sorted(FILES))
def test_no_way_to_files_of_others(tried: tuple[Told, Path], way: str) -> None:
    version = ctypes.CDLL(None).syscall(444, None, 0, 1)
    if version < 1:
        pytest.skip("this kernel has no Landlock")
    (told, _, _), secret = tried
    assert told[way] in {"EACCES", "EPERM", "EXDEV"}, way
    assert secret.read_text() == "im_secret"
    assert sorted(each.name for each in secret.parent.iterdir()) == ["spool", "token"]


@pytest.mark.parametrize("chore", sorted(escapes.chores("/x")))
def test_what_a_child_needs_stays(tried: tuple[Told, Path], chore: str) -> None:
    assert tried[0][0][chore] == "done"


def test_a_child_has_its_pipe_and_nothing_else(tried: tuple[Told, Path]) -> None:
    """Not the database, not a client's connection: spawn closes all, also what somebody made inheritable."""
    (_, descriptors, pipe), _ = tried
    others = [kind for number, kind in enumerate(descriptors) if kind and number not in {0, 1, 2, pipe}]
    assert "file" not in others
    assert "socket" not in others, "the pipe is the only one"
    assert descriptors[:3] == ["device"] * 3


def test_where_the_system_has_none_of_it_the_child_lives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Lacking:
        def syscall(self, *_: object) -> int:
            return -1

    assert not confine.close_files(Lacking(), tmp_path)  # type: ignore[arg-type]
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert not confine.refuse_calls(Lacking())  # type: ignore[arg-type]


def test_the_filters_of_both_machines_are_whole() -> None:
    for machine, column in confine._MACHINES.values():
        program = confine._program(machine, column, 1)
        assert len(program) % 8 == 0
        assert len(program) // 8 < 4096
        numbers = [each[column] for each in confine._REFUSED.values() if each[column] is not None]
        assert len(set(numbers)) == len(numbers)


def test_no_process_watches_over_what_the_pool_has_not() -> None:
    """Its door is a private one of multiprocessing: a Python that has moved it would start the process again."""
    program = """if True:
        import multiprocessing, time
        from multiprocessing import resource_tracker
        from imagemill.imaging import sandbox
        sandbox.forgo_tracker()
        multiprocessing.get_context("spawn").Process(target=time.time).start()
        print(resource_tracker._resource_tracker._pid)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=180)
    assert done.stdout == "None\n", done.stderr
