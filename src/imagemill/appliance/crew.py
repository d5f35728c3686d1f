"""What several machines must have in common, and what they share of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from imagemill.core.errors import StartError, UnfitError
from imagemill.storage import LocalStorage, storage_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagemill.settings import Settings, StorageSettings
    from imagemill.storage import Folders, Storage


def check_worker(settings: Settings) -> None:
    """Refuse to be a worker without what it shares with servers (UnfitError)."""
    needed = {
        "database.url": settings.database.url,
        "queue.url": settings.queue.url,
        "storage.url": settings.storage.url,
        "public_url": settings.public_url,
    }
    missing = [name for name, value in needed.items() if value is None]
    if missing:
        message = f"a worker shares these with its servers: set {', '.join(missing)} as they have it"
        raise UnfitError(message)


def check_storage(section: StorageSettings, others: Sequence[str]) -> None:
    """Refuse outputs in a folder of this machine's own where others work on the same database (StartError)."""
    if others and section.url is None:
        message = (
            f"{len(others)} other machines work on this database, and would not find outputs in this data folder:"
            " set storage.url, the same for all; a machine that stopped is forgotten after a minute"
        )
        raise StartError(message)


def originals_of(section: StorageSettings, folders: Folders, *, is_shared: bool) -> Storage:
    """Return where sources are kept: in the data folder, or beside the outputs that several machines share."""
    if section.url is None or not is_shared:
        return LocalStorage(folders.sources, folders.spool)
    url = section.url.rstrip("/")
    beside = f"{url}/originals" if section.is_s3 else f"{url}-originals"
    return storage_of(msgspec.structs.replace(section, url=beside, publish="proxy", public_url=None), folders.sources)
