"""`imagemill token create`, `list` and `revoke`, on a data folder whose appliance may be running."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagemill.cli import main
from imagemill.db import Store, open_database
from imagemill.storage import Folders


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The store of an appliance that was started once."""
    folders = Folders(tmp_path)
    folders.make()
    folders.token.write_text("im_first\n")
    return Store(open_database(folders.database))


def said(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> tuple[int, str, str]:
    code = main(("token", *arguments, "--data-dir", str(folder)))
    out, err = capsys.readouterr()
    return code, out, err


def test_a_token_lives_from_create_to_revoke(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, tmp_path, "create", "shop", "--scope", "submit", "--scope", "read", "--owner", "north")
    caller = store.caller(out.strip())
    assert code == 0
    assert caller is not None
    assert (caller.name, caller.owner, caller.scopes) == ("shop", "north", frozenset({"submit", "read"}))
    code, listed, _ = said(capsys, tmp_path, "list")
    assert (code, listed.split("\t")[:3]) == (0, ["shop", "read,submit", "north"])
    assert out.strip() not in listed
    assert said(capsys, tmp_path, "revoke", "shop")[0] == 0
    assert store.caller(out.strip()) is None
    assert said(capsys, tmp_path, "revoke", "shop")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("create", "../x"), 2, "letters, digits"),
        (("create", "x", "--owner", "a b"), 2, "letters, digits"),
        (("create", "x", "--scope", "root"), 2, "root"),
        (("revoke", "first"), 1, "no token named first"),
    ],
)
def test_wrong_words(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, says: str
) -> None:
    found, _, err = said(capsys, tmp_path, *arguments)
    assert (found, says in err) == (code, True), err
    assert store.tokens() == []


def test_a_name_is_given_once(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, tmp_path, "create", "shop")[0] == 0
    code, _, err = said(capsys, tmp_path, "create", "shop")
    assert (code, "revoke that one first" in err) == (1, True)
    assert [each.owner for each in store.tokens()] == ["shop"]


def test_a_folder_nobody_started_in_stays_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = said(capsys, tmp_path / "typo", "create", "shop")
    assert (code, "start `imagemill serve` once" in err) == (1, True)
    assert not (tmp_path / "typo").exists()
