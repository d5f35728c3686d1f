"""Writes the licences of what the frozen folder carries: Python's packages, and the libraries of the system.

`python installer/licences.py dist/imagemill FILE`. A package without a licence in its metadata is an error.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution, packages_distributions
from pathlib import Path

from PyInstaller.archive.readers import CArchiveReader

RULE = "=" * 78


def packages(program: Path) -> list[Distribution]:
    """Return the distributions of which something is in the bundle, by name."""
    archive = CArchiveReader(str(program))
    inside = archive.open_embedded_archive(next(name for name in archive.toc if name.endswith(".pyz")))
    modules = {str(name).partition(".")[0] for name in inside.toc}
    modules |= {entry.name for entry in (program.parent / "_internal").iterdir() if entry.is_dir()}
    named = {name for module, names in packages_distributions().items() if module in modules for name in names}
    return [distribution(name) for name in sorted(named - {"imagemill", "pyinstaller"}, key=str.lower)]


def licence_texts(package: Distribution) -> Iterator[str]:
    """Yield the texts that a package brings of its own licence, and of what it took in."""
    for file in package.files or ():
        is_text = file.suffix not in {".py", ".pyc"}
        if is_text and file.name.lower().startswith(("licen", "copying", "notice")):
            yield Path(str(file.locate())).read_text(encoding="utf-8", errors="replace")


def licence_name(package: Distribution) -> str:
    """Return how a package calls its licence; empty where only a text says it."""
    known = package.metadata
    name = next((known[key] for key in ("License-Expression", "License") if key in known), "")
    classes = [each.rpartition(" :: ")[2] for each in known.get_all("Classifier") or () if "License" in each]
    return name.partition("\n")[0] or ", ".join(classes)


def system_copyrights(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the Debian packages that the shared libraries came from, each with its copyright file."""
    names = sorted(entry.name for entry in folder.iterdir() if ".so" in entry.name)
    places = [Path("/usr/lib", sysconfig.get_config_var("MULTIARCH") or "", name) for name in names]
    owners = {owner for place in places if (owner := owner_of(place))}
    for owner in sorted(owners):
        text = Path("/usr/share/doc", owner, "copyright")
        if text.is_file():
            yield owner, text.read_text(encoding="utf-8", errors="replace")


def owner_of(library: Path) -> str:
    """Return the Debian package of a library; empty where it is none's. It may be listed under /lib, or /usr/lib."""
    for place in (library, library.resolve(), Path(str(library).removeprefix("/usr"))):
        command = ["dpkg", "-S", str(place)]
        asked = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  a path of ours
        if asked.returncode == 0:
            return asked.stdout.partition(":")[0]
    return ""


def page(program: Path) -> Iterator[str]:
    """Yield the parts of the file."""
    yield "imagemill carries these packages and libraries, each under its own licence.\n"
    for package in packages(program):
        name, texts = licence_name(package), "\n".join(licence_texts(package))
        if not name and not texts:
            raise LookupError(f"{package.name} does not say under which licence it is")
        yield f"\n{RULE}\n{package.name} {package.version} {name}\n{RULE}\n\n{texts}"
    for owner, text in system_copyrights(program.parent / "_internal"):
        yield f"\n{RULE}\n{owner}, from Debian\n{RULE}\n\n{text}"


if __name__ == "__main__":
    Path(sys.argv[2]).write_text("".join(page(Path(sys.argv[1], "imagemill"))), encoding="utf-8")
