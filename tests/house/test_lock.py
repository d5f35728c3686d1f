"""The lock is the whole installation: pinned, hashed, from no named place, and with one engine."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass

import pytest

from tests.house.source import ROOT

PINNED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)(?: ; (?P<marker>[^\\]+?))? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")
PLACE = re.compile(r"://|^\s*-|\bfile:|index|@ ")
LOCKS = [
    "requirements.lock",
    "installer/uv.txt",
    "installer/swagger.txt",
    "installer/htmx.txt",
    "installer/axe.txt",
    "installer/pillow.txt",
]


@dataclass(frozen=True)
class Entry:
    name: str
    version: str
    marker: str | None
    hashes: tuple[str, ...]


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def lines(lock: str) -> list[str]:
    return [line for line in (ROOT / lock).read_text("utf-8").splitlines() if not line.startswith("#")]


def entries(lock: str) -> list[Entry]:
    """Lines that are neither a pin nor a hash are an error."""
    found: list[Entry] = []
    hashes: list[str] = []
    for line in lines(lock):
        pin = PINNED.match(line)
        if pin:
            found.append(Entry(plain(pin["name"]), pin["version"], pin["marker"], ()))
            hashes = []
        else:
            assert found, f"{lock}: {line!r} belongs to no pin"
            assert HASH.match(line), f"{lock}: {line!r} is neither a pin nor a hash"
            hashes.append(line.split(":")[1][:64])
            found[-1] = Entry(found[-1].name, found[-1].version, found[-1].marker, tuple(hashes))
    return found


def declared(what: str) -> dict[str, str]:
    """Requirements of pyproject.toml by plain name: "runtime" (with the extras) or "development" (the groups)."""
    file = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    runtime = [file["project"]["dependencies"], *file["project"]["optional-dependencies"].values()]
    lists = {"runtime": runtime, "development": file["dependency-groups"].values()}[what]
    return {plain(re.split(r"[^A-Za-z0-9._-]", line)[0]): line for listed in lists for line in listed}


def everything_declared() -> dict[str, str]:
    return declared("runtime") | declared("development")


@pytest.mark.parametrize("lock", LOCKS)
def test_every_entry_is_hashed(lock: str) -> None:
    assert entries(lock)
    assert not [entry.name for entry in entries(lock) if not entry.hashes]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_place(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8").splitlines()
    assert not [line for line in text if PLACE.search(re.sub(r"--hash=sha256:[0-9a-f]{64}", "", line))]


def test_a_name_stands_once() -> None:
    names = [entry.name for entry in entries("requirements.lock")]
    assert names == sorted(set(names))


def test_pillow_is_not_locked_beside_pillow_simd() -> None:
    """They are the same folder `PIL`: whichever is installed last overwrites the other, and nothing tells."""
    by_name = {entry.name: entry for entry in entries("requirements.lock")}
    assert "pillow" not in by_name
    assert by_name["pillow-simd"].version == "12.1.1.post0"
    assert "x86_64" in (by_name["pillow-simd"].marker or "")
    assert [entry.name for entry in entries("installer/pillow.txt")] == ["pillow"]


def test_everything_declared_is_locked() -> None:
    locked = {entry.name for entry in entries("requirements.lock")} | {"pillow"}
    assert not set(everything_declared()) - locked


def test_the_lock_holds_declared_versions() -> None:
    """Lower bounds and pins, which is all that pyproject.toml uses; a lock older than a bound was not made anew."""
    versions = {entry.name: entry.version for entry in entries("requirements.lock")}
    for name, line in everything_declared().items():
        least = re.search(r"[>=]=([0-9.]+)", line)
        if least and name in versions:
            assert numbers(versions[name]) >= numbers(least[1]), line


def numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]
