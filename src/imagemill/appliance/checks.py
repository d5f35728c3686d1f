"""What `imagemill doctor` looks at: small checks, each of one thing, on an appliance that runs or does not.

Nothing is left behind, nothing is migrated, and the lock of a running appliance is only looked at.
"""

from __future__ import annotations

import os
import secrets
import stat
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from imagemill.appliance import tls
from imagemill.core.errors import ImagemillError, StartError
from imagemill.core.recipe import Recipe
from imagemill.db import StoreError, inspect, newest_at
from imagemill.imaging import engine
from imagemill.pipeline import Room, callbacks
from imagemill.pool import Pool
from imagemill.settings import Settings
from imagemill.settings.loading import masked_url
from imagemill.storage import Folders, exchange, is_held, local_folder, storage_of
from imagemill.webhook import Caller

_WRITTEN_AT: Final = 1_760_000_000
"""No clock that is right says less: imagemill did not exist then."""
_SOON_S: Final = 14 * 86_400
"""A certificate that ends sooner should have been renewed."""
_CODECS: Final = ("jpeg", "png", "webp", "tiff", "colour profiles")
_OTHERS: Final = 0o077
_SIDE: Final = 16
_MIB: Final = 1 << 20

State: TypeAlias = Literal["ok", "warning", "failed"]


class Finding(msgspec.Struct, frozen=True):
    """What one check found; `next_step` says what to do, and is empty where all is well."""

    check: str
    state: State
    detail: str
    next_step: str = ""


class Scene(NamedTuple):
    """What is looked at."""

    settings: Settings
    folders: Folders
    is_running: bool


class _Said(NamedTuple):
    state: State
    detail: str
    next_step: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Make one check after the other; each that cannot even be made has failed."""
    folders = Folders(Path(settings.data_dir).absolute())
    scene = Scene(settings, folders, is_held(folders.lock))
    for name, check in CHECKS.items():
        try:
            said = check(scene)
        except (ImagemillError, OSError) as error:
            said = _Said("failed", _words(error), _NEXT[name])
        yield Finding(name, *said)


def _words(error: Exception) -> str:
    if isinstance(error, ImagemillError):
        return error.detail
    named = getattr(error, "filename", None)
    words = getattr(error, "strerror", None) or str(error)
    return f"{words}: {named}" if named else words


def _appliance(scene: Scene) -> _Said:
    return _Said("ok", "it is running" if scene.is_running else f"none is running on {scene.folders.root}")


def _folder(scene: Scene) -> _Said:
    """Try to write where we write, as who we are."""
    root = scene.folders.root
    for folder in (root, *scene.folders.written()):
        with tempfile.TemporaryFile(dir=_existing(folder)):
            pass
    if not root.exists():
        return _Said("ok", f"{root} is made at the first start")
    if exchange.is_half_exchanged(root):
        return _Said("warning", f"a restore into {root} was broken off", "start imagemill, which finishes it")
    if os.name == "posix" and stat.S_IMODE(root.stat().st_mode) & _OTHERS:
        return _Said("warning", f"other users can look into {root}", f"run: chmod 700 {root}")
    return _Said("ok", f"{root} can be written")


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest above it that there is."""
    return next((path for path in (folder, *folder.parents) if path.exists()), folder)


def _port(scene: Scene) -> _Said:
    from imagemill.appliance.web import answers, check_port  # noqa: PLC0415 — Granian and the whole API

    host, port = scene.settings.host, scene.settings.port
    if port == 0:
        return _Said("ok", "any that is free")
    try:
        check_port(host, port)
    except StartError as error:
        if scene.is_running and answers(host, port):
            return _Said("ok", f"{host}:{port} answers")
        return _Said("failed", error.detail.partition(";")[0], _NEXT["port"])
    if scene.is_running:
        return _Said("warning", f"imagemill runs, but not on {host}:{port}", "give doctor the settings it runs with")
    return _Said("ok", f"{host}:{port} is free")


def _certificate(scene: Scene) -> _Said:
    found = tls.identity(scene.settings)
    if found is None:
        return _Said("ok", "no tls_cert is set")
    ends_at, now = tls.ends_at(found), time.time()
    if ends_at is None:
        return _Said("failed", f"{found.certificate} has ended", _NEXT["certificate"])
    detail = f"{found.certificate} ends on {datetime.fromtimestamp(ends_at, UTC):%Y-%m-%d}"
    is_soon = ends_at - now < _SOON_S
    return _Said("warning", detail, _NEXT["certificate"]) if is_soon else _Said("ok", detail)


def _disk(scene: Scene) -> _Said:
    outputs = local_folder(scene.settings.storage, scene.folders.outputs)
    places = [_existing(place) for place in (scene.folders.root, outputs) if place is not None]
    shortage = Room(places, scene.settings.disk_reserve_mb).shortage()
    return _Said("failed", shortage, _NEXT["disk"]) if shortage else _Said("ok", "there is room above the reserve")


def _clock(scene: Scene) -> _Said:
    now, newest = time.time(), newest_at(scene.settings.database.url or scene.folders.database)
    shown = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    if now < _WRITTEN_AT or (newest is not None and now < newest):
        return _Said("failed", f"{shown} is in the past: there are things that are newer", _NEXT["clock"])
    return _Said("ok", shown)


def _database(scene: Scene) -> _Said:
    path, url = scene.folders.database, scene.settings.database.url
    name = masked_url(url) if url else path.name
    if url is None and not path.exists():
        return _Said("ok", "is made at the first start")
    try:
        found = inspect(url or path)
    except StoreError as error:
        if url is None:
            raise
        return _Said("failed", f"{name} cannot be reached: {error.cause}", _SERVER)
    if found.faults:
        return _Said("failed", f"{name} is damaged: {found.faults[0]}", _NEXT["database"])
    if found.is_newer:
        return _Said("failed", f"{name} is of a newer imagemill", "start the newer imagemill")
    return _Said("ok", f"{name} {'answers' if url else 'is sound'}")


def _engine(_: Scene) -> _Said:
    engine.check()
    return _Said("ok", f"{engine.name()} alone")


def _child(scene: Scene) -> _Said:
    """Start a child of the pool, have it compress a tiny picture, and look at what it says of its codecs."""
    section = msgspec.structs.replace(scene.settings.image, formats=("bmp",))
    with tempfile.TemporaryDirectory(prefix="imagemill-doctor-") as folder, Pool(section, 1, Path(folder)) as pool:
        pool.compress(_picture(), Recipe(format="png"))
        inside = pool.engine
    missing = [codec for codec in _CODECS if codec not in inside]
    if missing:
        return _Said("failed", f"it works, but without {', '.join(missing)}", "build the engine anew: make setup")
    if inside["requantiser"].startswith(engine.ABSENT):
        return _Said("warning", f"it works, but the native codec is {inside['requantiser']}", _NATIVE)
    if inside["palettes"].startswith(engine.ABSENT):
        return _Said("warning", f"it works, but the native palette is {inside['palettes']}", _PALETTE)
    native = f"native codec with {inside['requantiser']}, native palette"
    return _Said("ok", f"it works: {inside['engine']} {inside['version']}, {native}")


def _picture() -> bytes:
    """Return a grey BMP, made by hand: the parent loads no Pillow."""
    pixels = bytes([128]) * (3 * _SIDE * _SIDE)
    head = struct.pack("<2sIHHI", b"BM", 54 + len(pixels), 0, 0, 54)
    return head + struct.pack("<IiiHHIIiiII", 40, _SIDE, _SIDE, 1, 24, 0, len(pixels), 2835, 2835, 0, 0) + pixels


def _storage(scene: Scene) -> _Said:
    """Put, get and delete something that nobody will ask for."""
    folder = local_folder(scene.settings.storage, scene.folders.outputs)
    if folder is not None and not folder.exists():
        with tempfile.TemporaryFile(dir=_existing(folder)):
            return _Said("ok", f"{folder} is made at the first start")
    storage, name, data = storage_of(scene.settings.storage, scene.folders.outputs), _probe(), secrets.token_bytes(1000)
    storage.put(name, data)
    try:
        opened = storage.open(name)
        is_same = b"".join(opened.chunks) == data
    finally:
        storage.delete(name)
    if not is_same:
        return _Said("failed", "it gives back other bytes than were put", _NEXT["storage"])
    return _Said("ok", f"put, got and deleted in {scene.settings.storage.url or folder}")


def _probe() -> str:
    return f"{secrets.token_hex(20)}.probe"


def _callback(scene: Scene) -> _Said:
    """Call it with a test, as the API's `callbacks/test` does: only an answer shows that it can be reached."""
    section = scene.settings.callback
    if section.url is None:
        return _Said("ok", "no callback.url is set")
    caller = Caller(section, scene.settings.fetch.user_agent)
    try:
        caller.check(section.url)
        attempt = callbacks.tried(caller, section.url, section.secret, datetime.now(UTC)).attempt
    finally:
        caller.close()
    if attempt.status is None:
        return _Said("failed", attempt.error or "no answer", _NEXT["callback"])
    if not 200 <= attempt.status < 300:
        return _Said("warning", f"it answers a test with {attempt.status}", "see that it answers 2xx to real callbacks")
    return _Said("ok", f"it answers a test with {attempt.status}")


_NATIVE: Final = (
    "nothing is wrong with the pictures, JPEGs only take longer, get larger and are not compared with their source:"
    " install a C compiler and libjpeg's headers (libjpeg62-turbo-dev), then run: make setup"
)
_PALETTE: Final = (
    "nothing is wrong with the pictures, PNGs only stay larger: install a C compiler, then run: make setup"
)

_SERVER: Final = "see that PostgreSQL runs there, that database.url is right, and that pg_hba.conf lets us in"

_NEXT: Final = {
    "appliance": "see who owns the file lock in the data folder",
    "data folder": "give it to the user who runs imagemill, or name another by --data-dir",
    "port": "stop the other program, or take another port by --port or the setting port",
    "certificate": "have it renewed, write the files of tls_cert and tls_key anew, and start imagemill again",
    "disk": "free some space, or lower disk_reserve_mb",
    "clock": "set it: timedatectl set-ntp true",
    "database": "stop imagemill and restore a backup; jobs that are not in it are to be submitted again",
    "engine": "run: make setup",
    "pool child": "run it again with --debug; make setup builds the engine anew",
    "storage": "see that the place of storage.url is there and may be written, and its keys are right",
    "callback": "see that the address of callback.url is right and its receiver runs; callback.allow lists exceptions",
}
"""What to do where a check fails and knows nothing better."""

CHECKS: Final[dict[str, Callable[[Scene], _Said]]] = {
    "appliance": _appliance,
    "data folder": _folder,
    "port": _port,
    "certificate": _certificate,
    "disk": _disk,
    "clock": _clock,
    "database": _database,
    "engine": _engine,
    "pool child": _child,
    "storage": _storage,
    "callback": _callback,
}
