"""The pool with real children, real signals and real deaths."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image

from imagemill.core.errors import ImageCode, ImageError
from imagemill.core.recipe import Recipe
from imagemill.imaging import protocol
from imagemill.pool import Pool, PoolClosed
from imagemill.settings import ImageSettings
from tests.imaging.pictures import noise, opened, photo, written

pytestmark = pytest.mark.slow  # all of them together: so this file is not begun last

SMALL = written(photo(), "jpeg", quality=95)
SLOW = written(Image.new("RGB", (9900, 9900)), "png", compress_level=1)
"""Takes a child a second or more: 98 megapixels to decode, to judge, and to write again."""
DEEP_BYTES = 150 << 20
"""A child that holds so much is deep in it."""
DEADLINE_S = 120.0


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[..., Pool]]:
    """Makes pools that are gone when the test ends."""
    pools: list[Pool] = []

    def make(workers: int = 2, **settings: float) -> Pool:
        pool = Pool(msgspec.convert(settings, ImageSettings), workers, tmp_path)
        pools.append(pool)
        pool.start()
        return pool

    yield make
    for pool in pools:
        pool.kill()
        assert pool.pids() == []


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _busy(pool: Pool) -> int:
    """Wait for one child to be deep in the slow image, and return its process id."""
    _until(lambda: len(pool.pids()) == pool.workers and len(pool._idle) == pool.workers - 1)
    with pool._changed:
        (busy,) = {each.process.pid for each in pool._children} - {each.process.pid for each in pool._idle}
    assert busy is not None
    _until(lambda: _is_deep(busy))
    return busy


def _is_deep(pid: int) -> bool:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() > DEEP_BYTES


def _frozen(pool: Pool) -> int:
    """Stop the child that is deep in the slow image: it stays so until it is killed or continued."""
    busy = _busy(pool)
    os.kill(busy, signal.SIGSTOP)
    return busy


def _freeze(pool: Pool, future: Future[Any]) -> None:
    """Stop every child that gets deep into the slow image until `future` is done: it overruns on a fast machine too."""
    while not future.done():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # of one that has just been killed
            for pid in filter(_is_deep, pool.pids()):
                os.kill(pid, signal.SIGSTOP)
        threading.Event().wait(0.01)


def _slowly(pool: Pool, threads: ThreadPoolExecutor) -> Future[protocol.Compressed]:
    _until(lambda: len(pool.pids()) == pool.workers)
    return threads.submit(pool.compress, SLOW, Recipe())


def _error(future: Future[protocol.Compressed]) -> BaseException | None:
    return future.exception(DEADLINE_S)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as executor:
        yield executor


def test_many_threads_share_few_children(made: Callable[..., Pool], threads: ThreadPoolExecutor) -> None:
    pool = made()
    results = list(threads.map(lambda _: pool.compress(SMALL, Recipe()), range(100)))
    (data,) = {Path(result.outputs[0].path).read_bytes() for result in results}
    assert opened(data).size == (256, 256)
    _until(lambda: len(pool.pids()) == 2)
    assert pool.restarts == 0
    assert pool.engine["engine"].startswith("pillow")


def test_sources_and_outputs_may_be_files(made: Callable[..., Pool], tmp_path: Path) -> None:
    source = tmp_path / "source.png"
    source.write_bytes(written(noise(900, 900), "png"))
    (output,) = made().compress(source, Recipe(format="png")).outputs
    assert Path(output.path).parent == tmp_path
    assert Path(output.path).stat().st_size == output.size


def test_company_is_compressed_together(made: Callable[..., Pool], tmp_path: Path) -> None:
    kept = tmp_path / "source.png"
    kept.write_bytes(written(noise(90, 60), "png"))
    pool = made(1)
    whole, broken, file, last = pool.compress_all([SMALL, b"<html>", kept, SMALL], Recipe())
    assert isinstance(broken, ImageError)
    assert broken.image_code is ImageCode.NOT_AN_IMAGE
    sizes = [(each.width, each.height) for each in (whole, file, last) if isinstance(each, protocol.Compressed)]
    assert sizes == [(256, 256), (90, 60), (256, 256)]


def test_who_crashes_in_company_is_found_out(made: Callable[..., Pool], threads: ThreadPoolExecutor) -> None:
    """The company is compressed alone after an overrun: one image fails, the others are none the worse."""
    pool = made(1, timeout_s=3.0)
    _until(lambda: len(pool.pids()) == 1)
    future = threads.submit(pool.compress_all, [SMALL, SLOW, SMALL], Recipe(format="png"), measured=[2])
    _freeze(pool, future)
    first, slow, last = future.result()
    assert isinstance(slow, ImageError)
    assert slow.image_code is ImageCode.DECODE_TIMEOUT
    assert isinstance(first, protocol.Compressed)
    assert isinstance(last, protocol.Compressed)
    assert (first.ssim, last.ssim) == (None, 1.0)  # as PNG nothing is lost


def test_an_image_error_crosses_the_pipe_whole(made: Callable[..., Pool]) -> None:
    with pytest.raises(ImageError) as caught:
        made().compress(written(noise(90, 90), "png")[:-9000], Recipe())
    assert (caught.value.image_code, caught.value.transient) == (ImageCode.TRUNCATED, False)
    assert "OSError" in caught.value.cause
    assert "OSError" not in caught.value.detail


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_crash_costs_one_image_and_the_child_is_replaced(
    made: Callable[..., Pool], threads: ThreadPoolExecutor, number: signal.Signals, caplog: pytest.LogCaptureFixture
) -> None:
    pool = made()
    slow = _slowly(pool, threads)
    busy = _busy(pool)
    others = [threads.submit(pool.compress, SMALL, Recipe()) for _ in range(30)]
    os.kill(busy, number)
    error = _error(slow)
    assert isinstance(error, ImageError)
    assert (error.image_code, error.transient) == (ImageCode.DECODE_CRASHED, None)
    assert number.name in error.detail
    assert f"pool child {busy} was lost at work ({number.name}) and is replaced" in caplog.text
    assert [_error(other) for other in others] == [None] * 30
    _until(lambda: len(pool.pids()) == 2)
    assert pool.restarts == 1
    assert busy not in pool.pids()
    assert not _is_alive(busy)


def test_an_idle_child_that_is_killed_costs_nothing(made: Callable[..., Pool]) -> None:
    pool = made(workers=1)
    for round_number in range(1, 4):
        pool.compress(SMALL, Recipe())
        (pid,) = pool.pids()
        os.kill(pid, signal.SIGKILL)
        pool.compress(SMALL, Recipe())
        _until(lambda: len(pool.pids()) == 1)
        assert pool.restarts == round_number


def test_an_image_that_takes_too_long_is_killed(
    made: Callable[..., Pool], threads: ThreadPoolExecutor, tmp_path: Path
) -> None:
    pool = made(timeout_s=3.0)
    slow = _slowly(pool, threads)
    others = [threads.submit(pool.compress, SMALL, Recipe()) for _ in range(30)]
    _freeze(pool, slow)
    error = _error(slow)
    assert isinstance(error, ImageError)
    assert (error.image_code, error.transient) == (ImageCode.DECODE_TIMEOUT, False)
    assert "image.timeout_s, 3 s" in error.detail
    assert [_error(other) for other in others] == [None] * 30
    _until(lambda: len(pool.pids()) == 2)
    outputs = {other.result().outputs[0].path for other in others}
    assert {str(path) for path in tmp_path.iterdir()} == outputs  # nothing of the slow one


@pytest.mark.parametrize("source", [SMALL, bytes(1 << 24)], ids=["does not answer", "does not read"])
def test_a_child_that_stands_still_is_killed(made: Callable[..., Pool], source: bytes) -> None:
    pool = made(workers=1, timeout_s=2.0)
    _until(lambda: len(pool.pids()) == 1)
    os.kill(pool.pids()[0], signal.SIGSTOP)
    with pytest.raises(ImageError) as caught:
        pool.compress(source, Recipe())
    assert caught.value.image_code is ImageCode.DECODE_TIMEOUT
    assert pool.compress(SMALL, Recipe()).format == "jpeg"


def test_a_large_image_meets_the_memory_limit_and_the_child_lives(made: Callable[..., Pool]) -> None:
    pool = made(workers=1, memory_mb=128)
    with pytest.raises(ImageError, match=r"image\.memory_mb") as caught:
        pool.compress(SLOW, Recipe())
    assert caught.value.image_code is ImageCode.DECODE_FAILED
    assert pool.compress(SMALL, Recipe()).format == "jpeg"
    assert pool.restarts == 0


def test_children_are_replaced_after_so_many_images(made: Callable[..., Pool]) -> None:
    pool = made(workers=1, recycle_after=3)
    seen = set()
    while pool.restarts < 2:
        pool.compress(SMALL, Recipe())
        seen |= set(pool.pids())
    _until(lambda: len(pool.pids()) == 1)
    assert len(seen | set(pool.pids())) >= 3


def test_a_child_that_has_grown_is_replaced(made: Callable[..., Pool]) -> None:
    pool = made(workers=1, recycle_mb=64)
    pool.compress(SMALL, Recipe())
    assert pool.restarts == 0
    pool.compress(written(Image.new("RGB", (2800, 2800)), "png"), Recipe())
    _until(lambda: pool.restarts == 1)
    assert pool.compress(SMALL, Recipe()).format == "jpeg"


def test_large_images_wait_for_their_turn_and_small_ones_pass(
    made: Callable[..., Pool], threads: ThreadPoolExecutor
) -> None:
    pool = made(max_megapixels_in_flight=150)
    first = _slowly(pool, threads)
    frozen = _frozen(pool)
    second = threads.submit(pool.compress, SLOW, Recipe())
    _until(lambda: len(pool._pixels._waiting) == 1)
    assert pool.compress(SMALL, Recipe()).format == "jpeg"
    assert not first.done()
    assert len(pool._idle) == 1
    os.kill(frozen, signal.SIGCONT)
    assert (_error(first), _error(second)) == (None, None)


def test_an_image_that_waits_when_the_pool_ends_is_not_to_blame(
    made: Callable[..., Pool], threads: ThreadPoolExecutor
) -> None:
    pool = made(max_megapixels_in_flight=1)
    _slowly(pool, threads)
    _frozen(pool)
    waiting = threads.submit(pool.compress, SLOW, Recipe())
    _until(lambda: len(pool._pixels._waiting) == 1)
    pool.kill()
    assert isinstance(_error(waiting), PoolClosed)


def test_signals_to_the_group_are_the_parents_business(made: Callable[..., Pool]) -> None:
    pool = made(workers=1)
    pool.compress(SMALL, Recipe())
    (pid,) = pool.pids()
    os.kill(pid, signal.SIGTERM)
    os.kill(pid, signal.SIGINT)
    pool.compress(SMALL, Recipe())
    assert pool.pids() == [pid]


def test_close_lets_images_finish(made: Callable[..., Pool], threads: ThreadPoolExecutor) -> None:
    pool = made(workers=1)
    slow = _slowly(pool, threads)
    pid = _busy(pool)
    waiting = threads.submit(pool.compress, SMALL, Recipe())
    pool.close(grace_s=DEADLINE_S)
    assert slow.result(60).outputs[0].format == "png"
    assert isinstance(_error(waiting), PoolClosed)
    assert not _is_alive(pid)
    with pytest.raises(PoolClosed):
        pool.compress(SMALL, Recipe())


@pytest.mark.parametrize("end", [Pool.kill, lambda pool: pool.close(grace_s=0.1)], ids=["kill", "close"])
def test_an_image_that_the_end_cuts_off_is_not_to_blame(
    made: Callable[..., Pool], threads: ThreadPoolExecutor, end: Callable[[Pool], None]
) -> None:
    pool = made()
    slow = _slowly(pool, threads)
    _frozen(pool)
    pids = pool.pids()
    end(pool)
    assert isinstance(_error(slow), PoolClosed)
    assert not any(_is_alive(pid) for pid in pids)


def test_a_pool_that_was_never_started_can_be_closed(tmp_path: Path) -> None:
    Pool(ImageSettings(), 2, tmp_path).close()


def test_nothing_is_left_behind(made: Callable[..., Pool]) -> None:
    with_tracker = made(workers=1)  # multiprocessing starts its own resource tracker once
    with_tracker.compress(SMALL, Recipe())
    with_tracker.close()
    gc.collect()
    descriptors, running = _held()
    for _ in range(3):
        pool = made(recycle_after=2)
        for _ in range(6):
            pool.compress(SMALL, Recipe())
        os.kill(pool.pids()[0], signal.SIGKILL)
        pool.compress(SMALL, Recipe())
        pool.close()
    # Not more: what an earlier test has left may end meanwhile.
    _until(lambda: _held()[0] <= descriptors and _held()[1] <= running)


def _held() -> tuple[int, int]:
    """Return how many descriptors and threads this process has."""
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()


SCRIPT = """
import sys, threading
from pathlib import Path
from imagemill.pool import Pool
from imagemill.settings import ImageSettings
from imagemill.core.recipe import Recipe

if __name__ == "__main__":
    pool = Pool(ImageSettings(), 2, Path(sys.argv[1]))
    pool.start()
    source = Path(sys.argv[2])
    thread = threading.Thread(target=pool.compress, args=(source, Recipe()), daemon=True)
    thread.start()
    while len(pool.pids()) < 2 or len(pool._idle) > 1:
        threading.Event().wait(0.01)
    print(*pool.pids(), flush=True)
    if sys.argv[3] == "wait":
        sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG")
@pytest.mark.parametrize("end", ["wait", "exit"])
def test_children_do_not_outlive_their_parent(tmp_path: Path, end: str) -> None:
    source = tmp_path / "slow.png"
    source.write_bytes(SLOW)
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), str(source), end]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        if end == "wait":
            parent.kill()
        parent.wait(DEADLINE_S)
    _until(lambda: not any(_is_alive(pid) for pid in pids))


@pytest.mark.parametrize("path", ["/etc/passwd", "{spool}-0-1", "{spool}-1-0", "{spool}-0-0"])
def test_a_child_is_believed_only_about_its_own_files(tmp_path: Path, path: str) -> None:
    spool = str(tmp_path / "made")
    Path(f"{spool}-0-0").symlink_to("/etc/passwd")
    order = protocol.Order(Recipe(), [1], spool, protocol.Limits(1, ()))
    output = protocol.Made("image", path.format(spool=spool), 1, "jpeg", 1, 1)
    result = protocol.Compressed("jpeg", 1, 1, [output])
    for results in ([result], [result, result]):
        with pytest.raises(msgspec.ValidationError):
            protocol.check_paths(protocol.Reply(list(results), 0), order)


def test_children_that_cannot_start_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "PIL.py").write_text("raise SystemExit(3)")  # what a broken installation does to every child
    monkeypatch.syspath_prepend(tmp_path)
    with Pool(ImageSettings(), 1, tmp_path) as pool, pytest.raises(ImageError, match="no pool child can be started"):
        pool.compress(SMALL, Recipe())
    assert "no pool child" in str(pool.trouble())
