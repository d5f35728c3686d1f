"""`imagemill restore`: wherever the pictures are to lie, and killed at any moment, the old or the new, and whole."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from imagemill.appliance.backup import make_backup
from imagemill.appliance.checks import examine
from imagemill.appliance.restore import restore
from imagemill.core.errors import BackupError
from imagemill.settings import load
from imagemill.storage import Folders, exchange, held
from tests.cli.children import ended, started
from tests.cli.homes import left, made, settings

NAME = f"{'ab' * 20}.jpg"
PLACES = ("outputs", "pictures", "deep/er/pictures", "outputs/of/mine", "../elsewhere")

# Each rename is counted, and at the chosen one the process is gone: what the kill of a busy machine hits by chance.
KILLED = """
import os, signal, sys
from pathlib import Path
from imagemill.appliance.restore import restore
from tests.cli.homes import settings

def killed_at(number, file, folder):
    left = [number]
    def count(event, _):
        if event == "os.rename":
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(count)
    restore(file, settings(folder), replaces=True)
    os._exit(0)

for number, folder in enumerate(sys.argv[2:]):
    child = os.fork() or killed_at(number, Path(sys.argv[1]), Path(folder))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a data folder whose pictures lie elsewhere."""
    folder = left(tmp_path / "data")
    (tmp_path / "shelf" / "ab").mkdir(parents=True)
    (tmp_path / "shelf" / "ab" / NAME).write_bytes(b"picture")
    (tmp_path / "shelf" / "ab" / "holiday.jpg").write_bytes(b"somebody's own")
    return folder


def contents(root: Path) -> dict[str, bytes]:
    """Return what an appliance would find; of a database its job's sheets speak, and its bytes are its own affair."""
    aside = {path for path in root.rglob("*") if path.parts[len(root.parts)].startswith("before-restore-")}
    files = {path for path in root.rglob("*") if path.is_file()} - aside - {Folders(root).lock}
    return {str(path.relative_to(root)): b"" if "imagemill" in path.name else path.read_bytes() for path in files}


@pytest.mark.parametrize("place", PLACES)
def test_pictures_come_back_wherever_they_are_to_lie(home: Path, tmp_path: Path, place: str) -> None:
    file = made(home, tmp_path / "b.zip", **{"storage.url": f"file:{tmp_path}/shelf"})
    new = tmp_path / "new"
    flags = {"data_dir": str(new), "storage.url": f"file:{new}/{place}", "disk_reserve_mb": "0"}
    for replaces in (False, True):
        restored = restore(file, load(flags, {}, None).settings, replaces=replaces)
        assert (restored.again, restored.aside is None) == (0, not replaces)
        assert [path.name for path in (new / place).rglob("*.jpg")] == [NAME]
        assert (new / "imagemill.db").is_file()
        (new / place / "ab" / "old").touch()
    assert restored.aside is not None
    is_aside = (Path(restored.aside) / place / "ab" / "old").exists()
    assert is_aside == (".." not in place), "what lies in the folder goes aside with it"


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs symbolic links")
def test_the_folder_may_have_two_names(home: Path, tmp_path: Path) -> None:
    file = made(home, tmp_path / "b.zip", **{"storage.url": f"file:{tmp_path}/shelf"})
    (tmp_path / "real").mkdir()
    (tmp_path / "alias").symlink_to(tmp_path / "real")
    flags = {"data_dir": str(tmp_path / "alias"), "storage.url": f"file:{tmp_path}/real/pictures"}
    restore(file, load(flags, {}, None).settings)
    assert (tmp_path / "real/pictures/ab" / NAME).is_file()
    assert not exchange.is_half_exchanged(tmp_path / "real")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_moment_the_old_or_the_new_is_whole(home: Path, tmp_path: Path) -> None:
    file = made(home, tmp_path / "b.zip", **{"storage.url": f"file:{tmp_path}/shelf"})
    old = left(tmp_path / "old")
    (old / "token").write_text("im_old\n")
    (old / "outputs" / "cd").mkdir(parents=True)
    (old / "outputs" / "cd" / f"{'cd' * 20}.jpg").write_bytes(b"old")
    shutil.copytree(old, tmp_path / "whole")
    restore(file, settings(tmp_path / "whole"), replaces=True)
    before, after = contents(old), contents(tmp_path / "whole")
    copies = [shutil.copytree(old, tmp_path / f"killed{number:02}") for number in range(20)]
    command = [sys.executable, "-c", KILLED, str(file), *map(str, copies)]
    codes = subprocess.run(command, check=True, capture_output=True, text=True, timeout=180).stdout.split()
    assert (codes[0], codes[-1]) == ("-9", "0"), "every rename was the last one once"
    seen = []
    for number, copy in enumerate(copies):
        is_half = exchange.is_half_exchanged(copy)
        if number % 2:
            Folders(copy).make()  # as the icon does before it starts the appliance
        with held(Folders(copy)) as is_finished:
            assert is_finished == is_half
            found = contents(copy)
        assert found in (before, after), codes
        seen.append(found == after)
        kept = [path.read_bytes() for path in copy.glob(f"before-restore-*/outputs/cd/{'cd' * 20}.jpg")]
        assert kept == [b"old"] * seen[-1]
    assert seen == sorted(seen)
    assert seen.count(False) < seen.count(True) < len(seen)


def test_a_half_restored_folder_is_no_folder_yet(home: Path, tmp_path: Path) -> None:
    half = tmp_path / "half"
    (half / ".decided-1").mkdir(parents=True)
    with pytest.raises(BackupError, match="broken off"):
        make_backup(load({"data_dir": str(half)}, {}, None), tmp_path / "b.zip", has_outputs=False)
    found = {each.check: each for each in examine(settings(half))}
    assert (found["data folder"].state, "finishes it" in found["data folder"].next_step) == ("warning", True)
    shutil.rmtree(half)
    shutil.copytree(home, half / ".decided-1")
    (half / "token").write_text("im_old\n")
    with started(tmp_path, "serve", "--port", "0", "--data-dir", str(half)) as process:
        assert process.stdout is not None
        assert "ready at" in process.stdout.readline()
        process.terminate()
        code, _, err = ended(process)
    assert (code, "a restore was broken off and is finished" in err) == (0, True), err
    assert (half / "token").read_text() == "im_token\n"
    assert [path.read_text() for path in half.glob("before-restore-1/token")] == ["im_old\n"]
