"""The log: a line an event, for people or as JSON, with the ids of what it is about, and no more than can be read.

An id that is bound (`about`) is on every line until its block ends, also in threads that asyncio starts: so one request
leads to its job, the job to its images, an image to the child it was lost with. What others wrote, a host's name or an
error of the system, can neither begin a line nor steer a terminal. `start` sends it to a stream, `kept` to files too.
"""

from __future__ import annotations

import contextlib
import json
import logging
import logging.handlers
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO, TypeVar

_ABOUT: ContextVar[dict[str, str | int]] = ContextVar("about")

_TALKATIVE = ("peewee", "huey", "httpx", "httpcore", "asyncio")
"""Libraries whose debug messages repeat what they are given: peewee each statement with its values, secrets too."""

Dressed = TypeVar("Dressed", bound=logging.Handler)

LOG_NAME = "imagemill.log"
_WINDOW_S = 1.0
_MOST_KINDS = 1_000
_MOST_CHARS = 4_000


@contextmanager
def about(**ids: str | int) -> Iterator[None]:
    """Bind ids to every line that is logged inside the block: `request`, `job`, `image`, `child`."""
    token = _ABOUT.set(bound() | ids)
    try:
        yield
    finally:
        _ABOUT.reset(token)


def bound() -> dict[str, str | int]:
    """Return the ids that are bound here."""
    return _ABOUT.get({})


def start(level: str, *, style: str = "human", most: int = 20, stream: TextIO | None) -> None:
    """Send the log to a stream: at `level`, `human` or `json`, at most so many lines of a kind in a second.

    Without a stream it goes nowhere yet: `kept` may follow.
    """
    handler = _dressed(logging.StreamHandler(stream), style, most) if stream else logging.NullHandler()
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for library in _TALKATIVE:
        logging.getLogger(library).setLevel(max(logging.INFO, logging.getLogger().level))


@contextmanager
def kept(folder: Path, *, files: int, file_bytes: int, style: str = "human", most: int = 20) -> Iterator[None]:
    """Write the log to `folder`/imagemill.log too, inside the block; with no `files`, to none.

    A file of `file_bytes` gives way to a new one, and becomes imagemill.log.1; there are `files` of them at most. Only
    one process at a time may do this in a folder.
    """
    if not files:
        yield
        return
    folder.mkdir(mode=0o700, exist_ok=True)
    handler = _dressed(LogFile(folder / LOG_NAME, files - 1, file_bytes), style, most)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        with contextlib.suppress(OSError):  # its disk is full: that was told
            handler.close()


class LogFile(logging.handlers.RotatingFileHandler):
    """A file that nobody else can read, and its predecessors. What cannot be written is on the stream all the same."""

    def __init__(self, path: Path, older: int, file_bytes: int) -> None:
        # Without an older one the standard library never begins anew, so one is kept, and then removed.
        super().__init__(path, "a", file_bytes, max(older, 1), "utf-8")
        self._has_older = older > 0
        self._is_broken = False

    def doRollover(self) -> None:  # noqa: N802 - the standard library's name
        """Begin a new file."""
        super().doRollover()
        if not self._has_older:
            Path(f"{self.baseFilename}.1").unlink(missing_ok=True)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - as above
        """Tell the stream once, without a line of the file for it: it is the file that is broken."""
        if not self._is_broken:
            self._is_broken = True
            logging.getLogger(__name__).error("the log file cannot be written: %s", self.baseFilename)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, unless it is about the file itself."""
        if record.name != __name__:
            super().emit(record)

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, "a", encoding="utf-8", opener=_private)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _dressed(handler: Dressed, style: str, most: int) -> Dressed:
    handler.setFormatter(JsonLines() if style == "json" else HumanLines())
    handler.addFilter(Flood(most, handler.handle))
    return handler


class HumanLines(logging.Formatter):
    """Time, severity, place, what happened, and the ids; a traceback follows on lines that none can be taken for."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        at = datetime.fromtimestamp(record.created).astimezone().isoformat(" ", "milliseconds")
        ids = "".join(f" {name}={value}" for name, value in bound().items())
        head = f"{at} {record.levelname} {record.name}: {_message(record)}{ids}"
        return "\n".join([head, *(f"  | {harmless(line)}" for line in _traceback(self, record).splitlines())])


class JsonLines(logging.Formatter):
    """An object a line: `time`, `level`, `logger`, `message`, the ids, and `traceback` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, in ASCII."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        traceback = _traceback(self, record)
        return json.dumps(line | bound() | ({"traceback": traceback} if traceback else {}))


class Flood(logging.Filter):
    """Lets so many lines of a kind through in a second, and tells afterwards how many it left out.

    A kind is a place, a severity and a text without what is filled in.
    """

    def __init__(
        self, most: int, tell: Callable[[logging.LogRecord], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._most = most
        self._tell = tell
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: dict[tuple[str, int, str], _Window] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a line is let through."""
        if hasattr(record, "left_out"):
            return True
        kind = record.name, record.levelno, str(record.msg)
        with self._lock:
            window = self._window(kind)
            window.seen += 1
            if window.seen == self._most + 1:
                _later(lambda: self.close(kind))
        return window.seen <= self._most

    def close(self, kind: tuple[str, int, str]) -> None:
        """End the second of a kind, and tell what was left out."""
        with self._lock:
            window = self._windows.pop(kind, None)
        if window is not None and window.seen > self._most:
            name, level, text = kind
            message = "%d more lines of this kind were left out: %s"
            record = logging.LogRecord(name, level, __file__, 0, message, (window.seen - self._most, text), None)
            record.left_out = True
            self._tell(record)

    def _window(self, kind: tuple[str, int, str]) -> _Window:
        now = self._clock()
        window = self._windows.get(kind)
        # One that leaves out is ended by its timer, which tells.
        if window is None or (window.seen <= self._most and now - window.began_s >= _WINDOW_S):
            if len(self._windows) >= _MOST_KINDS:
                self._windows = {kind: each for kind, each in self._windows.items() if each.seen > self._most}
            window = self._windows[kind] = _Window(now)
        return window


class _Window:
    def __init__(self, began_s: float) -> None:
        self.began_s = began_s
        self.seen = 0


def _later(close: Callable[[], None]) -> None:
    timer = threading.Timer(_WINDOW_S, close)
    timer.daemon = True
    with contextlib.suppress(RuntimeError):  # the interpreter ends: nobody is left to tell
        timer.start()


def _message(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
    except (TypeError, ValueError):  # a mistake in a line must not cost the line
        text = f"{record.msg} {record.args}"
    return harmless(text[:_MOST_CHARS])


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return formatter.formatException(record.exc_info) if record.exc_info else ""


def harmless(text: str) -> str:
    r"""Write what is not printable as Python does: a line feed as \n, an escape as \x1b."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
