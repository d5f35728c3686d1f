"""What a customer can send to whoever helps him: how imagemill is set up and how it is, and nothing of his pictures."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import sqlite3
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from imagemill import __version__
from imagemill.appliance.checks import examine
from imagemill.appliance.scrub import Scrub
from imagemill.core.errors import ImagemillError
from imagemill.db import overview, secrets_and_names
from imagemill.settings import describe
from imagemill.storage import Folders

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imagemill.settings import Loaded

LOG_BYTES: Final = 8 << 20
"""So much of the log's end goes in, before it is packed."""

_LIBRARIES: Final = (
    *("granian", "httpx", "huey", "jinja2", "litestar", "msgspec", "multipart", "obstore", "peewee", "pillow"),
    *("pillow-simd", "platformdirs", "psycopg", "pystray", "redis", "rich"),
)
_ABOUT: Final = """\
Made by `imagemill diagnostics`, to be sent to whoever helps you.

In it: versions, settings, what `imagemill doctor` says, the sizes of things, counts and times of the newest jobs, and
the end of the log. Not in it: secrets, tokens, pictures, sheets, their names, and of an address anything but the host.
Look through it before you send it: it is text.
"""


def diagnose(loaded: Loaded) -> Iterator[tuple[str, bytes]]:
    """Yield the files, one by one as each is found out; nothing is in them that `Scrub` would take out."""
    folders = Folders(Path(loaded.settings.data_dir))
    scrub = Scrub(_known(loaded, folders), Path.home())
    yield "README.txt", _ABOUT.encode()
    yield "about.json", _json(scrub, _about())
    yield "settings.json", _json(scrub, msgspec.to_builtins(describe(loaded)))
    yield "disk.json", _json(scrub, _disk(folders))
    yield "database.json", _json(scrub, _asked(lambda: overview(_database(loaded, folders))))
    yield "doctor.json", _json(scrub, msgspec.to_builtins(list(examine(loaded.settings))))
    for path, text in _logs(folders):
        yield f"logs/{path.name}", "".join(f"{_line(scrub, line)}\n" for line in text.splitlines()).encode()


def write(loaded: Loaded, target: Path) -> Iterator[tuple[str, int]]:
    """Write them to a new ZIP file, mode 0600; yield each name and size as it is done."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in diagnose(loaded):
            archive.writestr(name, data)
            yield name, len(data)


def _known(loaded: Loaded, folders: Folders) -> set[str]:
    """Return the secrets and names of this installation: what is masked in the settings, the token, the jobs' own."""
    plain = {row.name: row.value for row in describe(loaded, is_masked=False)}
    known = {part for row in describe(loaded) if row.is_masked for part in _secret_parts(str(plain[row.name]))}
    if folders.token.is_file():
        known.add(folders.token.read_text(encoding="utf-8", errors="replace").strip())
    names = _asked(lambda: secrets_and_names(_database(loaded, folders)))
    return known | (names if isinstance(names, set) else set())


def _database(loaded: Loaded, folders: Folders) -> Path | str:
    return loaded.settings.database.url or folders.database


def _secret_parts(value: str) -> list[str]:
    """Return what of a masked setting is secret: all of it, or the password and the query of an address."""
    if "://" not in value:
        return [value]
    parts = urlsplit(value)
    return [part for part in (parts.password, parts.query) if part]


def _asked(question: Any) -> Any:  # noqa: ANN401
    """Return an answer, or why there is none: what is broken is why people make a diagnosis."""
    try:
        return question()
    except (ImagemillError, OSError) as error:
        return {"error": getattr(error, "detail", str(error))}


def _about() -> dict[str, object]:
    return {
        "imagemill": __version__,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": sys.version,
        "system": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "is_frozen": bool(getattr(sys, "frozen", False)),
        "sqlite": sqlite3.sqlite_version,
        "libraries": {name: version for name in _LIBRARIES if (version := _version(name))},
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _disk(folders: Folders) -> dict[str, object]:
    if not folders.root.is_dir():
        return {"data_dir": "does not exist"}
    usage = shutil.disk_usage(folders.root)
    files = {path.name: path.stat().st_size for path in sorted(folders.root.iterdir()) if path.is_file()}
    return {"total_bytes": usage.total, "free_bytes": usage.free, "file_bytes": files}


def _logs(folders: Folders) -> list[tuple[Path, str]]:
    """Return the files of the log, the newest first, until there is enough; of the last one its end."""
    found, left = [], LOG_BYTES
    for path in sorted(folders.logs.glob("imagemill.log*"), key=lambda path: (len(path.name), path.name)):
        if left <= 0:
            break
        data = path.read_bytes()
        found.append((path, data[-left:].decode("utf-8", "replace")))
        left -= len(data)
    return found


def _line(scrub: Scrub, line: str) -> str:
    """Return a line of the log; one of JSON stays one."""
    if line.startswith("{"):
        try:
            return json.dumps(scrub.data(json.loads(line)))
        except ValueError:
            pass
    return scrub.text(line)


def _json(scrub: Scrub, data: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(scrub.data(data)), indent=2)
