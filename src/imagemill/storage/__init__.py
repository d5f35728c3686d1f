"""Where outputs lie: one small interface, one contract suite, several places behind it."""

from imagemill.storage.base import Storage
from imagemill.storage.folders import Folders
from imagemill.storage.local import LocalStorage, flush_folder
from imagemill.storage.lock import locked
from imagemill.storage.memory import MemoryStorage

__all__ = ["Folders", "LocalStorage", "MemoryStorage", "Storage", "flush_folder", "locked"]
