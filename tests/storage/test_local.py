"""The local disk keeps the contract, is private, and writes whole files or none."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from imagemill.storage import LocalStorage, Storage
from tests.appliance_process import until
from tests.kill_matrix.machine import Disk, no_disk
from tests.storage.contract import NAME, OTHER, StorageContract

needs_posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX modes and limits")

FULL = """
import resource, sys
from pathlib import Path
from imagemill.storage import LocalStorage
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
storage, spooled = LocalStorage(Path(sys.argv[1])), Path(sys.argv[2])
for name in sys.argv[3:]:
    for data in (bytes(10_000), spooled):
        try:
            storage.put(name, data)
        except OSError as error:
            print(error.errno)
"""


class TestLocal(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> LocalStorage:
        return LocalStorage(tmp_path / "outputs")

    def read(self, storage: Storage, name: str) -> bytes | None:
        assert isinstance(storage, LocalStorage)
        place = storage._root / name[:2] / name
        return place.read_bytes() if place.exists() else None


class TestLocalBySpool(TestLocal):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> LocalStorage:
        (tmp_path / "spool").mkdir()
        return LocalStorage(tmp_path / "outputs", tmp_path / "spool")


@needs_posix
def test_what_a_put_is_killed_at_is_left_in_the_spool(tmp_path: Path) -> None:
    spool, endless = tmp_path / "spool", tmp_path / "endless"
    spool.mkdir()
    os.mkfifo(endless)
    put = "LocalStorage(Path('outputs'), Path('spool')).put(sys.argv[1], Path('endless'))"
    script = f"import sys; from pathlib import Path; from imagemill.storage import LocalStorage; {put}"
    with subprocess.Popen([sys.executable, "-c", script, NAME], cwd=tmp_path) as process:
        until(lambda: list(spool.glob("*.part")), 30, "it writes")
        process.kill()
    assert not [file for file in (tmp_path / "outputs").rglob("*") if file.is_file()]


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    return tmp_path / "data" / "outputs"


@needs_posix
def test_a_write_that_finds_no_room_leaves_nothing(outputs: Path, tmp_path: Path) -> None:
    """A file size limit stands for the full disk: write(2) fails in the middle, with another errno (setrlimit(2))."""
    LocalStorage(outputs).put(NAME, b"old")
    spooled = tmp_path / "spooled"
    spooled.write_bytes(bytes(10_000))
    command = [sys.executable, "-c", FULL, str(outputs), str(spooled), NAME, OTHER]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=180)
    assert answer.stdout.split() == ["27"] * 4  # EFBIG
    files = [file for file in outputs.rglob("*") if file.is_file()]
    assert files == [outputs / "01" / NAME]
    assert files[0].read_bytes() == b"old"


@needs_posix
def test_nobody_else_may_look(outputs: Path) -> None:
    previous = os.umask(0o022)
    try:
        LocalStorage(outputs).put(NAME, b"x")
    finally:
        os.umask(previous)
    modes = {folder.name: stat.S_IMODE(folder.stat().st_mode) for folder in (outputs, outputs / "01")}
    assert modes == {"outputs": 0o700, "01": 0o700}


def test_a_reader_never_sees_half_a_file(outputs: Path) -> None:
    storage = LocalStorage(outputs)
    texts = [bytes([letter]) * 300_000 for letter in b"ab"]
    storage.put(NAME, texts[0])
    is_over = threading.Event()

    def write() -> None:
        for n in range(60):
            storage.put(NAME, texts[n % 2])
        is_over.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not is_over.is_set():
        path = storage.path(NAME)
        assert path is not None
        seen.add(path.read_bytes())
    writer.join()
    assert seen <= set(texts)


def test_what_a_crash_left_is_not_listed(outputs: Path) -> None:
    storage = LocalStorage(outputs)
    storage.put(NAME, b"x")
    (outputs / "01" / f"{OTHER}.0a1b.part").write_bytes(b"ha")
    (outputs / "notes.txt").write_text("by hand")
    assert list(storage.names()) == [NAME]


@needs_posix
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")
def test_the_file_and_its_folders_are_flushed(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed = []
    fsync = os.fsync

    def look(descriptor: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    storage = LocalStorage(outputs)
    monkeypatch.setattr(os, "fsync", look)
    storage.put(NAME, b"x")
    storage.put(OTHER, b"x")
    before = outputs.stat().st_mtime_ns
    os.utime(outputs, ns=(0, 0))
    storage.settle()
    names = [path.name.split(".")[0] for path in flushed]
    assert names == ["outputs", NAME.split(".")[0], "01", OTHER.split(".")[0], "01", "outputs"]
    assert outputs.stat().st_mtime_ns >= before, "a folder without a change has nothing that is waited for"


def test_what_was_adopted_and_settled_outlives_a_power_cut(tmp_path: Path) -> None:
    if reason := no_disk():
        pytest.skip(reason)
    with Disk(tmp_path) as disk:
        storage = LocalStorage(disk.folder / "outputs")
        storage.put(OTHER, b"x")
        for name in (NAME, f"01{NAME[2:]}"):
            file = disk.folder / "flushed"
            with file.open("wb") as spooled:
                spooled.write(b"x")
                spooled.flush()
                os.fsync(spooled.fileno())
            storage.adopt(name, file)
        storage.settle()
        disk.cut()
        disk.power_up()
        assert storage.missing([NAME, f"01{NAME[2:]}", OTHER]) == []


@needs_posix
def test_what_cannot_be_looked_at_is_not_said_to_be_gone(outputs: Path) -> None:
    storage = LocalStorage(outputs)
    folder = outputs / NAME[:2]
    folder.symlink_to(folder)  # a disk that fails, as far as root can be refused
    with pytest.raises(OSError, match="symbolic links"):
        storage.has(NAME)
    folder.unlink()
    folder.touch()
    assert not storage.has(NAME)
