"""Opening an address or a folder with what the user has chosen for it, and never waiting for that."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

from imagemill.core.errors import ImagemillError

_OPENERS: Final = ("xdg-open", "gio open", "sensible-browser", "x-www-browser")


class OpenError(ImagemillError):
    """There is nothing here that opens it."""

    code = "cannot_open"


def open_address(url: str) -> None:
    """Show an address in the browser: $BROWSER, or the desktop's (OpenError)."""
    _open(url, [*filter(None, os.environ.get("BROWSER", "").split(os.pathsep)), *_OPENERS])


def open_folder(folder: Path) -> None:
    """Show a folder in the file manager (OpenError)."""
    _open(str(folder), list(_OPENERS[:2]))


def restore_environment(environ: MutableMapping[str, str]) -> None:
    """Undo for our children what the frozen program's start did to the path of shared libraries.

    A browser that was given ours would not start (PyInstaller's manual, "Launching external programs").
    """
    for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"):
        original = environ.pop(f"{name}_ORIG", None)
        if original is not None:
            environ[name] = original
        elif getattr(sys, "frozen", False):
            environ.pop(name, None)


def _open(what: str, openers: list[str]) -> None:
    if sys.platform == "win32":
        os.startfile(what)  # noqa: S606  an address or a folder of ours
        return
    command = ["open", what] if sys.platform == "darwin" else _command(what, openers)
    process = subprocess.Popen(  # noqa: S603  what the user has chosen, an address of ours behind it
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    threading.Thread(target=process.wait, daemon=True).start()


def _command(what: str, openers: list[str]) -> list[str]:
    """Return the first opener that is installed, with its argument: `%s` in it says where."""
    for opener in openers:
        words = shlex.split(opener)
        if words and shutil.which(words[0]):
            placed = [word.replace("%s", what) for word in words]
            return placed if placed != words else [*words, what]
    raise OpenError(f"nothing here opens {what}: install xdg-utils, or open it yourself")
