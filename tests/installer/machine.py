"""A copy of this machine to install into: its root folder under an overlay, in a mount namespace of its own.

What is written goes to memory and is gone with the namespace; the machine itself is not touched. Needs root.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final, Self

import pytest

_OVERLAY: Final = """
set -e
mount -t tmpfs upper "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
for each in proc dev sys; do mount --rbind "/$each" "$1/root/$each"; done
mount -t tmpfs run "$1/root/run"
echo ready
exec sleep infinity
"""


def _can_overlay() -> bool:
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter", "chroot", "dpkg"))):
        return False
    tried = ["unshare", "-m", "sh", "-c", _OVERLAY.replace("sleep infinity", "true"), "sh", "/mnt"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


needs_copy = pytest.mark.skipif(not _can_overlay(), reason="needs root, overlayfs and dpkg")


class Copy:
    """The copy, as long as the block lasts. `place` is an empty folder of this machine."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._keeper: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        command = ["unshare", "-m", "sh", "-c", _OVERLAY, "sh", str(self._place)]
        self._keeper = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self._keeper.stdout is not None
        assert (said := self._keeper.stdout.readline()) == "ready\n", said
        return self

    def __exit__(self, *_: object) -> None:
        if self._keeper is not None:
            self._keeper.kill()
            self._keeper.wait()
            with contextlib.suppress(AttributeError):
                self._keeper.stdout.close()  # type: ignore[union-attr]

    @property
    def root(self) -> Path:
        """Its root folder, as this process can open it."""
        assert self._keeper is not None, "not entered"
        return Path(f"/proc/{self._keeper.pid}/root{self._place}/root")

    def entering(self) -> list[str]:
        """Return the words that a command begins with to run there."""
        assert self._keeper is not None, "not entered"
        return ["nsenter", f"--target={self._keeper.pid}", "--mount", "chroot", f"{self._place}/root"]

    def run(self, *command: str | Path) -> str:
        """Run a command there; it must succeed. Returns what it printed."""
        done = subprocess.run([*self.entering(), *command], capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def take(self, file: Path) -> Path:
        """Copy a file into it; returns where it lies there."""
        shutil.copy(file, self.root / "root" / file.name)
        return Path("/root", file.name)
