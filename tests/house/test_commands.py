"""What is promised as a command is one: README, the other pages and scripts name targets that the Makefile has."""

from __future__ import annotations

import re

from tests.places import ROOT

TARGETS = set(re.findall(r"^([a-z][a-z-]*):[^=]", (ROOT / "Makefile").read_text(), re.MULTILINE))
NAMED = re.compile(r"(?:`|^)make ([a-z][a-z-]*)", re.MULTILINE)
ROW = re.compile(r"^\| ((?:`[a-z-]+` )+)\|", re.MULTILINE)


def test_every_command_that_a_page_names_is_there() -> None:
    pages = [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        ROOT / "installer/setup.sh",
        *sorted((ROOT / "docs").glob("*.md")),
    ]
    named = {page.name: set(NAMED.findall(page.read_text())) for page in pages}
    assert len(named["README.md"]) > 3
    assert {page: names - TARGETS for page, names in named.items() if names - TARGETS} == {}


def test_readme_lists_every_command() -> None:
    section = (ROOT / "README.md").read_text().partition("\n## Commands\n")[2].partition("\n## ")[0]
    listed = {name for row in ROW.findall(section) for name in re.findall(r"`([a-z-]+)`", row)}
    assert listed == TARGETS
