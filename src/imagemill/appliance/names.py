"""What an appliance is called: by its own token, and by its name among machines that share a database."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Final

from imagemill.db import FIRST, Store, new_token
from imagemill.storage import flush_folder

if TYPE_CHECKING:
    from pathlib import Path

    from imagemill.storage import Folders

_ALL_SCOPES: Final = frozenset({"admin", "submit", "read"})


def node_name(folders: Folders) -> str:
    """Return what this machine is called among those that share a database: made at the first start, and kept."""
    if not folders.node.is_file():
        _keep_secret(folders.node, secrets.token_hex(4))
    return folders.node.read_text().strip() + "-"


def first_token(store: Store, folders: Folders, node: str = "") -> str:
    """Return the appliance's own token: made at the first start, kept in the data folder with mode 0600.

    Each of several machines has its own, under its own name.
    """
    token = folders.token.read_text().strip() if folders.token.is_file() else ""
    if not token:
        token = new_token()
        _keep_secret(folders.token, token)
    store.add_token(first_name(node), token, scopes=_ALL_SCOPES, owner="admin")
    return token


def first_name(node: str) -> str:
    """Return what a machine's own token is called."""
    return f"{FIRST}-{node.rstrip('-')}" if node else FIRST


def _keep_secret(place: Path, text: str) -> None:
    """Write a file that the power takes whole or not at all: half a token, or an empty one, would be a key too."""
    part = place.with_name(f"{place.name}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{text}\n")
        file.flush()
        os.fsync(descriptor)
    part.replace(place)
    flush_folder(place.parent)
