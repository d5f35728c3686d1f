"""The appliance beside the desk: what can be said of it without one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from imagemill.cli.client import running_address
from imagemill.core.errors import RemoteError
from imagemill.settings import Settings, StorageSettings
from imagemill.storage import Folders, Running, announced, held, read_running
from imagemill.tray.neighbour import Neighbour


def test_before_the_first_start_there_is_nobody(tmp_path: Path) -> None:
    neighbour = Neighbour(Settings(data_dir=str(tmp_path)))
    assert (neighbour.running, neighbour.address) == (None, "")
    assert not any((neighbour.is_ours, neighbour.is_starting, neighbour.has_failed))
    assert neighbour.last_words() == "it said nothing"
    neighbour.stop()
    with pytest.raises(RemoteError, match="not running"):
        neighbour.system()


def test_only_what_a_tray_has_started_is_ours(tmp_path: Path) -> None:
    neighbour = Neighbour(Settings(data_dir=str(tmp_path)))
    with held(neighbour.folders), announced(neighbour.folders.running, Running("http://127.0.0.1:1", os.getpid())):
        seen = [neighbour.is_ours]
        for pid in (str(os.getpid()), "4712", "nonsense"):
            (tmp_path / "started-by-tray").write_text(pid)
            seen.append(neighbour.is_ours)
    assert seen == [False, True, False, False]
    assert neighbour.running is None


@pytest.mark.parametrize("text", ['{"address": 1}', '{"address": "http://a.example", "pid": -1}', ""])
def test_what_is_announced_badly_is_not_announced(text: str, tmp_path: Path) -> None:
    with held(Folders(tmp_path)):
        (tmp_path / "running.json").write_text(text)
        assert read_running(Folders(tmp_path)) is None


def test_nobody_is_signalled_or_told_our_token_in_the_place_of_the_dead(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path))
    neighbour = Neighbour(settings)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        with held(neighbour.folders), announced(neighbour.folders.running, Running("http://127.0.0.1:1", stranger.pid)):
            left = neighbour.folders.running.read_bytes()
        neighbour.folders.running.write_bytes(left)
        (tmp_path / "started-by-tray").write_text(str(stranger.pid))
        assert (neighbour.running, neighbour.is_ours, running_address(settings)) == (None, False, None)
        neighbour.stop()
        with held(neighbour.folders):
            assert neighbour.running is None, "whoever holds the folder next has announced nothing yet"
        stranger.communicate(b"\n", timeout=180)
    assert stranger.returncode == 0, "it ended by itself"


def test_pictures_may_be_elsewhere(tmp_path: Path) -> None:
    assert Neighbour(Settings(data_dir=str(tmp_path))).outputs == tmp_path / "outputs"
    s3 = StorageSettings(url="s3://bucket")
    assert Neighbour(Settings(data_dir=str(tmp_path), storage=s3)).outputs is None
