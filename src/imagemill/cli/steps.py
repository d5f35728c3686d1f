"""What to do next, by what the system or the database says: a message that only complains helps nobody."""

from __future__ import annotations

import errno
from typing import Final

_ROOM: Final = "free some space, or name a place on another disk"
_RIGHTS: Final = "give it to the user who calls imagemill, or name another place"
_ANY: Final = "run `imagemill doctor`, which looks at all that imagemill needs"

_OF_THE_SYSTEM: Final = {
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EROFS: "name a place on a disk that may be written",
    errno.ENOENT: "see how the path is written, or name another place",
    errno.ENOTDIR: "a part of the path is a file: name another place",
    errno.EISDIR: "that is a folder: name a file",
    errno.EMFILE: "let it open more files: ulimit -n 65536",
    errno.EIO: "the disk fails: see what the system says of it, and restore a backup elsewhere",
}
_OF_THE_DATABASE: Final = {
    "is full": "free some space on the disk of the data folder",
    "locked": "another program holds it: close that one, and try again",
    "readonly": "give the data folder and all in it to the user who calls imagemill",
    "unable to open": "give the data folder and all in it to the user who calls imagemill",
    "malformed": "restore a backup: imagemill restore FILE --force",
    "not a database": "restore a backup: imagemill restore FILE --force",
    "connect": "see that its server runs and lets us in",
}
"""By words of SQLite's and PostgreSQL's."""


def of_system(error: OSError) -> str:
    """Return what to do about what the system says."""
    return _OF_THE_SYSTEM.get(error.errno or 0, _ANY)


def of_database(cause: str) -> str:
    """Return what to do about what the database says."""
    return next((step for words, step in _OF_THE_DATABASE.items() if words in cause), _ANY)
