"""The page's files: named by their content, kept for ever, few and small; and nothing else is given."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import httpx
import pytest

from imagemill.web.assets import STATIC, Assets
from tests.cli.children import imagemill

ASSET_BYTES = 150_000


def test_a_file_is_kept_for_ever(nobody: httpx.Client) -> None:
    answer = nobody.get(Assets().url("css/base.css"))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.content == (STATIC / "css" / "base.css").read_bytes()
    plain = nobody.get(Assets().url("css/base.css"), headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == answer.content


def test_a_file_of_another_version_is_not_kept(nobody: httpx.Client) -> None:
    assert nobody.get("/assets/000000000000/css/base.css").headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["css/none.css", "../site.py", "..%2fsite.py", "/etc/passwd", "css/", "css"])
def test_nothing_else_is_given(nobody: httpx.Client, path: str) -> None:
    assert nobody.get(f"/assets/{Assets().digest}/{path}").status_code in {400, 404}


def test_a_checkout_that_was_not_set_up_says_so_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not by an error on every page: `pip install` of a checkout brings what is committed alone."""
    ignored = shutil.ignore_patterns("vendor", "__pycache__")
    shutil.copytree(STATIC.parents[1], tmp_path / "imagemill", ignore=ignored)  # `-m` looks in its folder first
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # no report finds the source of a copy
    code, _, err = imagemill(tmp_path, "serve", "--port", "0")
    assert (code, "run `make setup`" in err, "Traceback" in err) == (2, True, False), err


def test_a_changed_file_changes_all_addresses(tmp_path: Path) -> None:
    style = tmp_path / "a.css"
    style.write_text("a {}")
    before = Assets(tmp_path).url("a.css")
    assert Assets(tmp_path).url("a.css") == before
    style.write_text("b {}")
    assert Assets(tmp_path).url("a.css") != before


def test_no_template_names_a_file_in_vain() -> None:
    with pytest.raises(KeyError):
        Assets().url("css/none.css")


def test_all_files_together_are_small() -> None:
    sent = {path.name: len(gzip.compress(path.read_bytes())) for path in STATIC.rglob("*") if path.is_file()}
    print(sent)
    assert sum(sent.values()) <= ASSET_BYTES
