"""The pool: N spawned children, each with a pipe that belongs to one thread at a time.

One thread, the keeper, starts and buries every child: a child dies with the thread that created it (PR_SET_PDEATHSIG),
and a process must be waited for in one place. It also kills the children whose image takes too long, so those who wait
for an answer just read. A child that dies costs the image it was working on, nothing else, and is replaced at once.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import logging
import multiprocessing
import os
import secrets
import signal
import threading
import time
from collections.abc import Collection, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from imagemill.budget import Budget, BudgetClosed
from imagemill.core.errors import ImageCode, ImageError, ImagemillError
from imagemill.core.recipe import Recipe
from imagemill.imaging import child, headers, protocol
from imagemill.settings import ImageSettings

log = logging.getLogger(__name__)

_SPAWN: Final = multiprocessing.get_context("spawn")
_HELLO_S: Final = 60.0
_LEAVE_S: Final = 10.0
_BURIAL_S: Final = 10.0
_KILL_S: Final = 5.0
_HOPELESS: Final = 5
_NO_CHILD: Final = "no pool child can be started"
_SLOWEST_START_S: Final = 5.0
_SENDS: Final = 3
_REPLY_BYTES: Final = 1 << 26
_MIB: Final = 1 << 20
_MEGAPIXEL: Final = 1_000_000
_SMALL: Final = 16
"""What has no more than this part of the pixels in flight is not worth waiting for others: see `Budget`."""


class PoolClosed(ImagemillError):
    """The pool was closed before this image was done: nothing is wrong with the image, it goes back uncounted."""

    code = "pool_closed"


class _Child:
    """A process and its pipe. `deadline` is when the keeper kills it, on the monotonic clock; None while it is idle."""

    def __init__(self, process: SpawnProcess, pipe: Connection) -> None:
        self.process = process
        self.pipe = pipe
        self.pid = process.pid or 0
        self.images = 0
        self.deadline: float | None = time.monotonic() + _HELLO_S
        self.is_ready = False
        self.is_working = False
        self.is_due = False
        """Old or fat: it works on until its replacement is ready."""
        self.is_leaving = False
        self.is_overdue = False
        self.exit_code: int | None = None
        self.buried = threading.Event()

    def retire(self) -> None:
        """Let it end by itself: it reads the end of its pipe. Whoever calls this owns the pipe."""
        self.is_leaving = True
        self.deadline = time.monotonic() + _LEAVE_S
        self.pipe.close()


class Pool:
    """N children for N images at a time; `compress` may be called from any number of threads."""

    def __init__(self, section: ImageSettings, workers: int, spool: Path) -> None:
        self._section = section
        self.workers = workers
        self._limits = protocol.Limits(section.max_pixels, section.formats, section.max_scans)
        self._stem = str(spool / f"made-{secrets.token_hex(6)}")
        self._numbers = itertools.count()
        pixels = section.max_megapixels_in_flight * _MEGAPIXEL
        self._pixels = Budget(pixels, small=pixels // _SMALL)
        self._changed = threading.Condition()  # guards everything below
        self._children: list[_Child] = []
        self._idle: list[_Child] = []
        self._is_closed = False
        self._rounds = 0
        self._end_at: float | None = None
        self._stillbirths = 0
        self._start_at = 0.0
        self._bell, self._rope = _SPAWN.Pipe(duplex=False)
        self._keeper = threading.Thread(target=self._keep, name="pool-keeper", daemon=True)
        self.restarts = 0
        self.engine: dict[str, str] = {}
        """What the children decode with, as the first of them said; empty until then."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def start(self) -> None:
        """Begin to start the children and return; `compress` waits for the first."""
        atexit.register(self.kill)  # before multiprocessing's own, which would wait for the children for ever
        self._keeper.start()

    def close(self, grace_s: float = 5.0) -> None:
        """Let images in progress finish for so many seconds, then kill; those that wait for a child get PoolClosed."""
        self._shut(time.monotonic() + grace_s)
        self._join(grace_s + _KILL_S)

    def kill(self) -> None:
        """Kill all children at once: images in progress end with PoolClosed."""
        self._shut(time.monotonic())
        self._join(_KILL_S)

    def pids(self) -> list[int]:
        """Return the process ids of the children that are ready."""
        with self._changed:
            return [each.process.pid for each in self._children if each.is_ready and each.process.pid is not None]

    def trouble(self) -> str | None:
        """Say what keeps images from being compressed; None when nothing does."""
        return _NO_CHILD if self._stillbirths >= _HOPELESS else None

    def reach(self) -> None:
        """Wait until the keeper has gone round once more: it starts, kills and buries, and all share its lock."""
        with self._changed:
            wanted = self._rounds + 1
            self._ring()
            self._changed.wait_for(lambda: self._is_closed or self._rounds >= wanted)

    def compress(self, source: bytes | Path, recipe: Recipe) -> protocol.Compressed:
        """Compress one source, waiting for a free child. Files named in the answer belong to the caller.

        Raises ImageError, `decode_timeout` and `decode_crashed` among them; PoolClosed when the pool ends first.
        """
        (result,) = self.compress_all([source], recipe)
        if isinstance(result, ImageError):
            raise result
        return result

    def compress_all(
        self, sources: Sequence[bytes | Path], recipe: Recipe, measured: Collection[int] = ()
    ) -> list[protocol.Compressed | ImageError]:
        """Compress some sources, one after the other in one child: small ones cost less to hand over together.

        `timeout_s` holds for all together. A crash or an overrun does not say whose it was: each is then compressed
        alone. Pictures of many megapixels wait for their turn, by what their headers say, because each takes memory by
        its pixels. The outputs of the sources whose numbers, from 0, are in `measured` are compared with them. Raises
        PoolClosed when the pool ends first.
        """
        inline = [source for source in sources if isinstance(source, bytes)]
        named = [len(source) if isinstance(source, bytes) else str(source) for source in sources]
        stem = f"{self._stem}-{next(self._numbers)}"
        order = protocol.Order(recipe, named, stem, self._limits, sorted(measured))
        messages = [protocol.encode(order), b"".join(inline)] if inline else [protocol.encode(order)]
        try:
            with self._pixels.held(max(map(self._weight, sources))):
                reply = self._ask(messages, order)
        except BudgetClosed as error:
            raise PoolClosed("the pool is closed") from error
        except ImageError as error:
            if len(sources) == 1:
                return [error]
            alone = [([source], [0] if number in measured else []) for number, source in enumerate(sources)]
            return [result for source, which in alone for result in self.compress_all(source, recipe, which)]
        return [each.error() if isinstance(each, protocol.Failure) else each for each in reply.results]

    def _weight(self, source: bytes | Path) -> int:
        worst = self._limits.max_pixels
        known = headers.pixels(source)
        return worst if known is None else min(known, worst)

    # One order, on the caller's thread

    def _ask(self, messages: Sequence[bytes], order: protocol.Order) -> protocol.Reply:
        """Have a child compress. One that dies before it has read all of the image did not die of it: try the next.

        A Unix socket tells these apart: what is left unread there makes the end a reset connection.
        """
        for _ in range(_SENDS):
            lent = self._lend()
            try:
                for message in messages:
                    lent.pipe.send_bytes(message)
                reply = protocol.decode_reply(lent.pipe.recv_bytes(_REPLY_BYTES))
                protocol.check_paths(reply, order)
            except (EOFError, OSError, msgspec.MsgspecError) as error:
                self._drop(lent)
                protocol.remove_leftovers(order)
                if lent.is_overdue or not isinstance(error, ConnectionError):
                    raise self._fate(lent) from error
            else:
                self._give_back(lent, len(order.sources), reply.resident_bytes)
                return reply
        raise self._fate(lent)

    def _lend(self) -> _Child:
        with self._changed:
            while not self._idle:
                if self._is_closed:
                    raise PoolClosed("the pool is closed")
                if self._stillbirths >= _HOPELESS:
                    raise ImageError(ImageCode.INTERNAL, _NO_CHILD, transient=True)
                self._changed.wait()
            lent = self._idle.pop()  # last in, first out: its memory is warm
            lent.deadline = time.monotonic() + self._section.timeout_s
            lent.is_working = True
            return lent

    def _give_back(self, lent: _Child, images: int, resident_bytes: int) -> None:
        section = self._section
        with self._changed:
            lent.images += images
            lent.deadline = None
            lent.is_working = False
            if lent.is_leaving or self._is_closed:
                lent.retire()
                return
            is_worn = lent.images >= section.recycle_after or resident_bytes > section.recycle_mb * _MIB
            if is_worn and not lent.is_due:
                lent.is_due = True
                self._ring()
            self._idle.append(lent)
            self._changed.notify()

    def _drop(self, lent: _Child) -> None:
        """Have a child that broke off buried; its pipe is ours until then."""
        with self._changed:
            lent.is_leaving = True
            lent.is_working = False
            lent.deadline = 0.0
            self._ring()
        lent.buried.wait(_BURIAL_S)
        if not self._is_closed:
            log.warning("pool child %d was lost at work (%s) and is replaced", lent.pid, _ended(lent.exit_code))
        lent.pipe.close()

    def _fate(self, lost: _Child) -> ImagemillError:
        """Say why a child was lost."""
        code = lost.exit_code
        if lost.is_overdue or (code is not None and -code == getattr(signal, "SIGXCPU", None)):
            detail = f"decoding took longer than image.timeout_s, {self._section.timeout_s:g} s"
            return ImageError(ImageCode.DECODE_TIMEOUT, detail, transient=False)
        if self._is_closed:
            return PoolClosed("the pool was closed while this image was being compressed")
        return ImageError(ImageCode.DECODE_CRASHED, f"decoding crashed ({_ended(code)})")

    # The children, on the keeper's thread

    def _keep(self) -> None:
        while not (self._is_closed and not self._children):
            self._start_missing()
            self._sleep()
            self._kill_overdue()
            for each in list(self._children):
                if not each.is_ready:
                    self._welcome(each)
                if each.process.exitcode is not None:
                    self._bury(each)
            with self._changed:
                self._rounds += 1
                self._changed.notify_all()

    def _start_missing(self) -> None:
        while not self._is_closed and time.monotonic() >= self._start_at:
            with self._changed:
                missing = self.workers - sum(not (each.is_due or each.is_leaving) for each in self._children)
            if missing <= 0:
                return
            born = self._born()
            with self._changed:
                self._children.append(born)

    def _born(self) -> _Child:
        ours, theirs = _SPAWN.Pipe()
        config = protocol.Config(self._section.memory_mb, self._section.timeout_s, str(Path(self._stem).parent))
        process = _SPAWN.Process(target=child.main, args=(theirs, config, os.getpid()), name="pool-child", daemon=True)
        process.start()
        theirs.close()
        return _Child(process, ours)

    def _sleep(self) -> None:
        """Wait until a child is ready, has ended or is overdue, or somebody rings.

        An image lent meanwhile cannot be overdue before `timeout_s`, so nobody needs to ring for it.
        """
        now = time.monotonic()
        with self._changed:
            dates = [each.deadline for each in self._children if each.deadline is not None]
            dates += [date for date in (self._end_at, self._start_at) if date and date > now]
            things: list[Any] = [self._bell, *(each.process.sentinel for each in self._children)]
            things += [each.pipe for each in self._children if not each.is_ready]
        wait(things, max(0.0, min([*dates, now + self._section.timeout_s]) - now))
        while self._bell.poll():
            self._bell.recv_bytes()

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        with self._changed:
            is_over = self._end_at is not None and now >= self._end_at
            for each in self._children:
                is_late = each.deadline is not None and now >= each.deadline
                if is_late and each.is_working:
                    each.is_overdue = each.is_leaving = True
                if is_late or is_over:
                    each.process.kill()
                    each.deadline = None

    def _welcome(self, newborn: _Child) -> None:
        """Take a child's hello, and let one that is due for replacement go."""
        try:
            if not newborn.pipe.poll():
                return
            self.engine = protocol.decode_hello(newborn.pipe.recv_bytes(_REPLY_BYTES)).engine
        except (EOFError, OSError, msgspec.MsgspecError):
            newborn.process.kill()
            return
        with self._changed:
            newborn.is_ready = True
            newborn.deadline = None
            self._stillbirths = 0
            self._idle.append(newborn)
            due = next((each for each in self._children if each.is_due and not each.is_leaving), None)
            if due is not None:
                due.is_leaving = True
            for each in [each for each in self._idle if each.is_leaving or self._is_closed]:
                self._idle.remove(each)
                each.retire()
            self._changed.notify_all()

    def _bury(self, dead: _Child) -> None:
        dead.process.join()
        log.debug("pool child %d has ended after %d images", dead.pid, dead.images)
        with self._changed:
            dead.exit_code = dead.process.exitcode
            dead.process.close()
            self._children.remove(dead)
            is_ours = not dead.is_ready or dead in self._idle
            if dead in self._idle:
                self._idle.remove(dead)
            if not dead.is_ready:
                self._stillbirths += 1
                self._start_at = time.monotonic() + min(_SLOWEST_START_S, 0.1 * 2.0**self._stillbirths)
            if not self._is_closed:
                self.restarts += 1
            dead.buried.set()
            self._changed.notify_all()
        if is_ours:
            dead.pipe.close()

    # The end

    def _shut(self, end_at: float) -> None:
        self._pixels.close()
        with self._changed:
            self._is_closed = True
            self._end_at = end_at if self._end_at is None else min(end_at, self._end_at)
            idle, self._idle = self._idle, []
            for each in idle:
                each.retire()
            self._changed.notify_all()
            self._ring()

    def _join(self, timeout_s: float) -> None:
        if self._keeper.ident is not None:
            self._keeper.join(timeout_s)
        if not self._keeper.is_alive():
            self._bell.close()
            self._rope.close()
            atexit.unregister(self.kill)

    def _ring(self) -> None:
        with contextlib.suppress(OSError):  # the keeper has gone, and its bell: nobody is left to tell
            self._rope.send_bytes(b"")


def _ended(code: int | None) -> str:
    if code is None:
        return "the pool child did not end"
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
