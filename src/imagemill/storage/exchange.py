"""All that a data folder has, exchanged for what lies ready inside it: wholly or not at all, also after a kill.

One rename decides. From then on `.decided-WHEN` shall be in the folder: what was there goes to `before-restore-WHEN`;
when nothing is left a second rename says so (`.placing-WHEN`), and what is new moves up. Each step may be broken off,
by a kill or the power, and whoever holds the folder's lock next goes on: `finish_exchange`.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Final

from imagemill.storage.folders import Folders
from imagemill.storage.local import flush_folder

READY: Final = ".restoring"
"""What is not decided yet lies here; of a process that has ended, it is nothing."""

_ASIDE: Final = "before-restore-"
_DECIDED: Final = ".decided-"
_PLACING: Final = ".placing-"


def present(root: Path) -> list[Path]:
    """Return what somebody would miss: the token and the database first, for without them nothing begins here."""
    own = (READY, _ASIDE, _DECIDED, _PLACING)
    lock = Folders(root).lock
    found = [each for each in root.iterdir() if each != lock and not each.name.startswith(own)]
    return sorted(found, key=_importance, reverse=True)


def new_aside(root: Path) -> Path:
    """Make the folder for what is there; empty, it goes with the exchange."""
    aside = root / f"{_ASIDE}{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
    aside.mkdir(mode=0o700)
    return aside


def decide(aside: Path) -> bool:
    """Put what is READY in the place of what is there, which goes aside; say whether there was any."""
    root = aside.parent
    _renamed(root / READY, root / f"{_DECIDED}{aside.name.removeprefix(_ASIDE)}")
    finish_exchange(root)
    return aside.exists()


def is_half_exchanged(root: Path) -> bool:
    """Say whether an exchange was broken off after it was decided."""
    return root.is_dir() and any(_begun(root, prefix) for prefix in (_DECIDED, _PLACING))


def finish_exchange(root: Path) -> bool:
    """Go on with an exchange that was broken off, if there is one; what was never decided is forgotten."""
    shutil.rmtree(root / READY, ignore_errors=True)
    is_any = is_half_exchanged(root)
    for decided in _begun(root, _DECIDED):
        aside = _aside_of(decided)
        for each in present(root):
            _move(each, aside)
        flush_folder(aside)
        _renamed(decided, root / decided.name.replace(_DECIDED, _PLACING, 1))
    for placing in _begun(root, _PLACING):
        for each in sorted(placing.iterdir(), key=_importance):
            if (root / each.name).exists():  # made since, by a program that only looked in
                _move(root / each.name, _aside_of(placing))
            each.replace(root / each.name)
        flush_folder(root)
        placing.rmdir()
    for aside in _begun(root, _ASIDE):
        with suppress(OSError):
            aside.rmdir()  # there was nothing
    return is_any


def _begun(root: Path, prefix: str) -> list[Path]:
    return [each for each in root.iterdir() if each.name.startswith(prefix)]


def _aside_of(begun: Path) -> Path:
    aside = begun.parent / f"{_ASIDE}{begun.name.partition('-')[2]}"
    aside.mkdir(mode=0o700, exist_ok=True)
    return aside


def _move(each: Path, aside: Path) -> None:
    """Move one aside; nothing that is there already is written over."""
    names = (each.name if number == 1 else f"{each.name}-{number}" for number in count(1))
    each.replace(next(place for name in names if not os.path.lexists(place := aside / name)))


def _renamed(folder: Path, name: Path) -> None:
    flush_folder(folder)
    folder.replace(name)
    flush_folder(name.parent)


def _importance(path: Path) -> int:
    """Sort the database behind all else, and the token last: who finds no token, or no database, does not go on."""
    return ("imagemill.db", "token").index(path.name) if path.name in {"imagemill.db", "token"} else -1
