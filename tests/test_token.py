"""The first token: made once, kept for the local tools, and never half a one."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from imagemill.appliance.names import first_token
from imagemill.db import Store
from imagemill.storage import Folders


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    folders = Folders(tmp_path / "data")
    folders.make()
    return folders


def test_it_is_made_once(store: Store, folders: Folders) -> None:
    token = first_token(store, folders)
    assert stat.S_IMODE(folders.token.stat().st_mode) == 0o600
    assert first_token(store, folders) == token == folders.token.read_text().strip()
    caller = store.caller(token)
    assert caller is not None
    assert (caller.name, sorted(caller.scopes)) == ("first", ["admin", "read", "submit"])


@pytest.mark.parametrize("left", [b"", b"\n"])
def test_a_file_that_the_power_emptied_is_no_token(store: Store, folders: Folders, left: bytes) -> None:
    folders.token.write_bytes(left)
    folders.token.with_name("token.part").write_bytes(b"im_hal")
    token = first_token(store, folders)
    assert len(token) > 40
    assert folders.token.read_text().strip() == token
    assert store.caller("") is None
    assert not folders.token.with_name("token.part").exists()
