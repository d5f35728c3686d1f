"""`imagemill migrate`: one machine's data folder to the database and the storage that the settings name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from imagemill.appliance.crew import originals_of
from imagemill.appliance.parcel import Tell, silent
from imagemill.core.errors import StartError
from imagemill.db import open_store
from imagemill.db.moving import move_database
from imagemill.pipeline.sent import pieces
from imagemill.storage import Folders, LocalStorage, held, storage_of

if TYPE_CHECKING:
    from imagemill.db import Store
    from imagemill.settings import Settings
    from imagemill.storage import Storage


class Moved(msgspec.Struct, frozen=True):
    """What was moved: jobs, files that clients sent, and stored files (outputs and kept sources)."""

    jobs: int
    sent: int
    files: int


def migrate(settings: Settings, tell: Tell = silent) -> Moved:
    """Copy everything; what is there already is not copied again, and the jobs come last, all at once.

    `tell` hears how far it is after each file.

    StartError while an appliance uses the folder, where no server is named, and where there are jobs already.
    """
    folders, url = Folders(Path(settings.data_dir).absolute()), settings.database.url
    if url is None:
        raise StartError("database.url is not set: name the PostgreSQL database that everything shall move to")
    if not folders.database.is_file():
        raise StartError(f"there is no {folders.database}: name the data folder by --data-dir")
    with held(folders):
        load = Load(tell)
        load.put_all(LocalStorage(folders.outputs), storage_of(settings.storage, folders.outputs))
        originals = originals_of(settings.storage, folders, is_shared=True)
        load.put_all(LocalStorage(folders.sources, folders.spool), originals)
        files = load.files
        store = open_store(settings.database, folders.database)
        try:
            for uid in sorted(folders.sent()):
                load.send(store, folders, uid)
        finally:
            store.close()
        return Moved(move_database(folders.database, url), load.files - files, files)


class Load:
    """What is carried over, and how much that is by now."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._bytes = 0
        self.files = 0

    def put_all(self, here: LocalStorage, there: Storage) -> None:
        """Put what the other storage has not; the same folder has it all."""
        for name in there.missing(here.names()):
            if path := here.path(name):
                there.put(name, path)
                self._note(path)

    def send(self, store: Store, folders: Folders, uid: str) -> None:
        """Give the database what a job's client sent."""
        sheet, uploads = folders.sheets / uid, folders.uploads / uid
        found = {"": sheet} if sheet.is_file() else {}
        found |= {path.name: path for path in uploads.iterdir()} if uploads.is_dir() else {}
        for name, path in found.items():
            store.keep_sent(uid, name, pieces(path))
            self._note(path)

    def _note(self, path: Path) -> None:
        self.files += 1
        self._bytes += path.stat().st_size
        self._tell(self.files, self._bytes)
