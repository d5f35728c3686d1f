"""What lies where in the data folder: `data_dir` moves everything at once (CLI.md)."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import msgspec


class Folders(msgspec.Struct, frozen=True):
    """The parts of one data folder; nothing of them is readable by other users."""

    root: Path

    @property
    def database(self) -> Path:
        """The truth."""
        return self.root / "imagemill.db"

    @property
    def queue(self) -> Path:
        """The reminder; losing it loses nothing."""
        return self.root / "queue.db"

    @property
    def sheets(self) -> Path:
        """The uploads, byte for byte, each under its job's id."""
        return self.root / "sources" / "sheets"

    @property
    def uploads(self) -> Path:
        """Images that clients sent, each under its SHA-256 in the folder of its job's id."""
        return self.root / "sources" / "uploads"

    @property
    def sources(self) -> Path:
        """Kept originals."""
        return self.root / "sources" / "images"

    @property
    def outputs(self) -> Path:
        """What we made."""
        return self.root / "outputs"

    @property
    def spool(self) -> Path:
        """What is on its way in or out; emptied at each start."""
        return self.root / "spool"

    @property
    def drafts(self) -> Path:
        """Sheets that were checked and are no jobs yet, each in a folder of its own."""
        return self.root / "drafts"

    @property
    def token(self) -> Path:
        """The first token, for the local tools."""
        return self.root / "token"

    @property
    def logs(self) -> Path:
        """The log's newest lines."""
        return self.root / "logs"

    @property
    def lock(self) -> Path:
        """Held by the one appliance that uses this folder."""
        return self.root / "lock"

    @property
    def node(self) -> Path:
        """What this machine is called among others."""
        return self.root / "node"

    @property
    def tray_lock(self) -> Path:
        """Held by the one tray that shows this folder's appliance."""
        return self.root / "tray.lock"

    @property
    def running(self) -> Path:
        """Where the appliance answers, while it runs."""
        return self.root / "running.json"

    def draft(self, uid: str) -> Path:
        """Return the place of a draft's sheet, in the draft's folder."""
        return self.drafts / uid / "sheet"

    def written(self) -> tuple[Path, ...]:
        """Return the folders that grow: each may be a disk of its own."""
        return self.root, self.sheets, self.uploads, self.sources, self.spool, self.drafts

    def make(self) -> None:
        """Make what is missing, mode 0700."""
        self.root.parent.mkdir(parents=True, exist_ok=True)
        # One by one, from above: `parents=True` would give the ones between the mode of the umask.
        for folder in (*self.written()[:1], self.sheets.parent, *self.written()[1:], self.outputs):
            folder.mkdir(mode=0o700, exist_ok=True)

    def forget(self, uid: str) -> None:
        """Remove what a job's client sent; nothing happens where that is gone."""
        (self.sheets / uid).unlink(missing_ok=True)
        shutil.rmtree(self.uploads / uid, ignore_errors=True)

    def sent(self) -> set[str]:
        """Return the ids of the jobs of which something is kept that a client sent."""
        return {place.name for folder in (self.sheets, self.uploads) for place in folder.iterdir()}

    def empty_spool(self) -> None:
        """Forget what an earlier process had in hand. The folder itself stays: pool children are bound to it."""
        for place in self.spool.iterdir():
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    place.unlink()
