"""Start as a browser gets it: what it may do, and the limits its script keeps to."""

from __future__ import annotations

import httpx

from tests.api.conftest import READER, Site
from tests.web.conftest import link


def test_who_may_submit_gets_a_place_to_drop(member: httpx.Client) -> None:
    page = member.get("/").text
    assert "Drop a sheet here" in page
    assert 'data-sheet-bytes="1073741824" data-images="500" data-image-bytes="104857600"' in page
    assert '<option value="auto" selected>' in page


def test_who_may_only_look_is_told_so(site: Site, nobody: httpx.Client) -> None:
    nobody.get(link(site, READER))
    page = nobody.get("/").text
    assert "This token may look, not submit" in page
    assert 'type="file"' not in page
