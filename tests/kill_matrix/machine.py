"""What no process can do to itself: a disk that loses its power or fills up, and a clock that is stepped."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Final, Self

from tests.appliance_process import until
from tests.s3_server import needs_s3

_SBIN: Final = "/usr/sbin:/sbin:/usr/bin:/bin"
_SHUTDOWN: Final = 0x8004587D  # _IOR('X', 125, __u32): EXT4_IOC_SHUTDOWN, as xfstests' `godown` uses it
_NOLOGFLUSH: Final = struct.pack("I", 2)
DISK_BYTES: Final = 96 << 20
PLAIN: Final = "commit=30"
CARELESS: Final = "commit=30,data=writeback,noauto_da_alloc"
"""How the disk is mounted: as usual, or so that a file may get its name long before its bytes; both write seldom."""


class Disk:
    """A small ext4 in a file, mounted on `folder` while entered. Needs root and a loop device.

    `cut` stops the file system between two writes: what was not written to the device (dirty pages, uncommitted
    renames and sizes) is lost, and mounting replays the journal. The device itself keeps what it was sent: its own
    write cache, torn sectors and devices that lie about a flush are not covered.
    """

    def __init__(self, parent: Path, options: str = PLAIN) -> None:
        self.folder = parent / "disk"
        self._file = parent / "disk.ext4"
        self._options = options
        self._ballast = self.folder / "ballast"

    def __enter__(self) -> Self:
        self.folder.mkdir()
        with self._file.open("wb") as file:
            file.truncate(DISK_BYTES)
        _run("mkfs.ext4", "-q", "-F", "-m", "0", str(self._file))
        self._mount()
        return self

    def __exit__(self, *_: object) -> None:
        _run("umount", "--lazy", str(self.folder))
        self._file.unlink()

    def _mount(self) -> None:
        _run("mount", *self._how())

    def _how(self) -> tuple[str, ...]:
        return "-o", f"loop,{self._options}", str(self._file), str(self.folder)

    def cut(self) -> None:
        """Nothing more reaches the device."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, _NOLOGFLUSH)
        finally:
            os.close(descriptor)

    def power_up(self) -> None:
        """Mount what is on the device. Nobody may have a file open.

        A process that was killed may close its last file, and the kernel let go of the device, a moment later.
        """
        until(lambda: _has_run("umount", str(self.folder)), 60, "nobody has a file open")
        until(lambda: _has_run("mount", *self._how()), 60, "the device is free")

    def fill(self, left_bytes: int) -> None:
        """Leave about so many bytes: others write too, and a file in many pieces needs blocks to say where they are."""
        free = os.statvfs(self.folder)
        size = free.f_bavail * free.f_frsize - left_bytes
        with self._ballast.open("wb") as file:
            while size > 0 and not _allocated(file.fileno(), size):
                size -= 16 << 10

    def empty(self) -> None:
        """Make room again."""
        self._ballast.unlink()


def _allocated(descriptor: int, size: int) -> bool:
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False
    return True


class WallClock:
    """A program whose wall clock is `step`ped while it runs. Needs Linux and a C compiler."""

    def __init__(self, parent: Path, program: Path) -> None:
        self._offset = parent / "clock"
        self._offset.write_bytes(struct.pack("q", 0))
        self._seconds = 0
        self.program = parent / "imagemill-by-clock"
        preloaded = f"LD_PRELOAD='{_clock_library()}' CLOCK_OFFSET='{self._offset}'"
        self.program.write_text(f"#!/bin/sh\nexec env {preloaded} '{program}' \"$@\"\n")
        self.program.chmod(0o755)

    def step(self, seconds: int) -> None:
        """Set the clock, forward or back."""
        self._seconds += seconds
        with self._offset.open("r+b") as file:  # in place: the processes have it mapped
            file.write(struct.pack("q", self._seconds))


@cache
def _clock_library() -> Path:
    library = Path(tempfile.mkdtemp(prefix="imagemill-clock-")) / "clock.so"
    _run("cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(Path(__file__).with_name("clock.c")))
    return library


@cache
def no_disk() -> str:
    """Say why there can be no Disk here; empty where there can."""
    if not sys.platform.startswith("linux") or os.getuid():
        return "needs Linux and root, for an ext4 of its own"
    try:
        with tempfile.TemporaryDirectory() as folder, Disk(Path(folder)) as disk:
            disk.cut()
            disk.power_up()
    except (OSError, subprocess.CalledProcessError) as error:
        return f"needs an ext4 on a loop device: {error}"
    return ""


@cache
def no_clock() -> str:
    """Say why there can be no WallClock here; empty where there can."""
    if not sys.platform.startswith("linux"):
        return "needs Linux, for LD_PRELOAD"
    try:
        _clock_library()
    except (OSError, subprocess.CalledProcessError) as error:
        return f"needs a C compiler: {error}"
    return ""


@cache
def no_s3() -> str:
    """Say why there can be no S3 server here; empty where there can."""
    condition, reason = needs_s3.args[0], needs_s3.kwargs["reason"]
    return str(reason) if condition else ""


def _has_run(name: str, *arguments: str) -> bool:
    with contextlib.suppress(subprocess.CalledProcessError):
        _run(name, *arguments)
        return True
    return False


def _run(name: str, *arguments: str) -> None:
    program = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_SBIN}") or name
    subprocess.run([program, *arguments], check=True, capture_output=True)
