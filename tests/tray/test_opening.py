"""Opening addresses and folders: with what the user has chosen, and the environment he had."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from imagemill.tray import opening
from tests.appliance_process import until


@pytest.fixture
def opener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one program of a path: it notes what it is given."""
    opener = tmp_path / "bin" / "xdg-open"
    opener.parent.mkdir()
    opener.write_text(f'#!/bin/sh\necho "$0 $*" >{tmp_path}/part; mv {tmp_path}/part {tmp_path}/given\n')
    opener.chmod(0o755)
    monkeypatch.setenv("PATH", f"{opener.parent}:/usr/bin:/bin")
    monkeypatch.delenv("BROWSER", raising=False)
    return opener


def given(tmp_path: Path) -> str:
    until((tmp_path / "given").exists, 20, "something was opened")
    return (tmp_path / "given").read_text().strip()


def test_an_address_is_opened_by_the_desktop(opener: Path, tmp_path: Path) -> None:
    opening.open_address("http://127.0.0.1:1/?a=b&c")
    assert given(tmp_path) == f"{opener} http://127.0.0.1:1/?a=b&c"


@pytest.mark.parametrize("browser", ["{} --new %s", "nothing-of-that-name:{} --new"])
def test_the_users_browser_goes_first(
    browser: str, opener: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = opener.with_name("own")
    opener.rename(own)
    monkeypatch.setenv("BROWSER", browser.format(own))
    opening.open_address("http://a.example/")
    assert given(tmp_path) == f"{own} --new http://a.example/"


def test_a_folder_is_not_for_the_browser(opener: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER", "false")
    opening.open_folder(tmp_path)
    assert given(tmp_path) == f"{opener} {tmp_path}"


def test_where_nothing_opens_it_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("BROWSER", raising=False)
    with pytest.raises(opening.OpenError, match="install xdg-utils"):
        opening.open_address("http://a.example/")


def test_children_get_the_environment_from_before_the_frozen_start(monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"LD_LIBRARY_PATH": "/bundle", "LD_LIBRARY_PATH_ORIG": "/own", "DYLD_LIBRARY_PATH": "/kept"}
    opening.restore_environment(environ)
    assert environ == {"LD_LIBRARY_PATH": "/own", "DYLD_LIBRARY_PATH": "/kept"}
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    environ = {"LD_LIBRARY_PATH": "/bundle", "HOME": "/home"}
    opening.restore_environment(environ)
    assert environ == {"HOME": "/home"}
