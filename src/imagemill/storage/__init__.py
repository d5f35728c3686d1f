"""Where outputs lie: one small interface, one contract suite, several places behind it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imagemill.storage.base import CHUNK_BYTES, Opened, Storage, StorageError
from imagemill.storage.folders import Folders
from imagemill.storage.local import LocalStorage, flush_folder
from imagemill.storage.lock import LOOK_S, held, is_held, locked
from imagemill.storage.memory import MemoryStorage
from imagemill.storage.running import Running, announced, read_running

if TYPE_CHECKING:
    from imagemill.settings import StorageSettings

__all__ = [
    "CHUNK_BYTES",
    "LOOK_S",
    "Folders",
    "LocalStorage",
    "MemoryStorage",
    "Opened",
    "Running",
    "Storage",
    "StorageError",
    "announced",
    "flush_folder",
    "held",
    "is_held",
    "local_folder",
    "locked",
    "read_running",
    "storage_of",
]


def local_folder(section: StorageSettings, default: Path) -> Path | None:
    """Return the folder of the outputs; None where they lie elsewhere."""
    if section.url is None:
        return default
    if section.is_s3:
        return None
    return Path(section.url.removeprefix("file:").removeprefix("//")).absolute()


def storage_of(section: StorageSettings, default: Path) -> Storage:
    """Make the storage that the settings name; by default the folder `default`."""
    folder = local_folder(section, default)
    if folder is not None:
        return LocalStorage(folder)
    # Here and not above: it takes 20 ms and 15 MB that nobody else needs.
    from imagemill.storage.s3 import S3Storage  # noqa: PLC0415

    return S3Storage(section)
