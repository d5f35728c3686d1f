"""The log's lines: whole, harmless, with the ids of what they are about, and not too many."""

import contextvars
import io
import json
import logging
import stat
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from imagemill import logs

EVIL = "shop.example\r\n2026-01-01 INFO imagemill: all is well\x1b[2J\x9b\u2028\ud800 \x00"
log = logging.getLogger("imagemill.test")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers.clear()
    yield io.StringIO()
    root.handlers[:], root.level = before, level


def written(stream: io.StringIO) -> list[str]:
    return stream.getvalue().splitlines()


def test_people_get_one_line_an_event(stream: io.StringIO) -> None:
    logs.start("info", stream=stream)
    with logs.about(job="j1", image="i1"):
        log.info("image failed: %s", "timeout")
    log.debug("not asked for")
    (line,) = written(stream)
    at, rest = line.split(" INFO ")
    assert datetime.fromisoformat(at).tzinfo is not None
    assert rest == "imagemill.test: image failed: timeout job=j1 image=i1"


def test_machines_get_objects(stream: io.StringIO) -> None:
    logs.start("info", style="json", stream=stream)
    with logs.about(request="r1"), logs.about(job="j1"):
        log.warning("häßlich: %d", 7)
    (line,) = written(stream)
    read = json.loads(line)
    assert read.pop("time").endswith("Z")
    assert read == {
        "level": "warning",
        "logger": "imagemill.test",
        "message": "häßlich: 7",
        "request": "r1",
        "job": "j1",
    }
    assert line.isascii()


@pytest.mark.parametrize("style", ["human", "json"])
def test_what_strangers_wrote_begins_no_line_and_steers_no_terminal(stream: io.StringIO, style: str) -> None:
    logs.start("info", style=style, stream=stream)
    log.info("host %s", EVIL)
    try:
        int(EVIL)
    except ValueError:
        log.exception("that")
    text = stream.getvalue()
    assert all(char.isprintable() for char in text.replace("\n", ""))
    if style == "json":
        first, second = (json.loads(line) for line in written(stream))
        assert r"shop.example\r\n2026" in first["message"]
        assert "ValueError: invalid literal" in second["traceback"]
    else:
        first, second, *trace = written(stream)
        assert first.endswith(r"all is well\x1b[2J\x9b\u2028\ud800 \x00")
        assert second.endswith("that")
        assert trace
        assert all(line.startswith("  | ") for line in trace)


def test_a_mistake_in_a_line_does_not_cost_the_line(stream: io.StringIO) -> None:
    logs.start("info", stream=stream)
    log.info("%d images", "many")
    log.info("%s %d", "one", "two")
    assert [line.partition("test: ")[2] for line in written(stream)] == ["%d images ('many',)", "%s %d ('one', 'two')"]
    log.info("x" * 100_000)
    assert len(written(stream)[-1]) < 5_000


def test_ids_end_with_their_block_and_are_the_thread_s_own() -> None:
    seen = []
    with logs.about(job="j1"):
        with logs.about(image="i1"):
            assert logs.bound() == {"job": "j1", "image": "i1"}
        context = contextvars.copy_context()
        for work in (lambda: seen.append(logs.bound()), lambda: context.run(lambda: seen.append(logs.bound()))):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
    assert seen == [{}, {"job": "j1"}]
    assert logs.bound() == {}


def flood(most: int) -> tuple[logs.Flood, list[logging.LogRecord], list[float]]:
    now, told = [100.0], list[logging.LogRecord]()
    return logs.Flood(most, told.append, lambda: now[0]), told, now


def record(text: str, *args: object, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("imagemill.x", level, "x.py", 1, text, args, None)


def test_a_flood_is_cut_off_and_counted() -> None:
    gate, told, now = flood(5)
    assert sum(gate.filter(record("image failed: %d", n)) for n in range(10_000)) == 5
    assert gate.filter(record("another kind"))
    assert gate.filter(record("image failed: %d", 1, level=logging.ERROR))
    now[0] += 5
    assert not gate.filter(record("image failed: %d", 1))  # its second is not told yet
    gate.close(("imagemill.x", logging.INFO, "image failed: %d"))
    (summary,) = told
    assert summary.getMessage() == "9996 more lines of this kind were left out: image failed: %d"
    assert gate.filter(summary)
    assert gate.filter(record("image failed: %d", 1))


def test_few_lines_are_never_left_out() -> None:
    gate, told, now = flood(2)
    for _ in range(50):
        now[0] += 0.6
        assert gate.filter(record("now and then"))
    gate.close(("imagemill.x", logging.INFO, "now and then"))
    assert told == []


def test_kinds_without_end_take_no_memory_without_end() -> None:
    gate, _, _ = flood(2)
    for n in range(5_000):
        assert gate.filter(record(f"kind {n}"))
    assert len(gate._windows) <= 1_000


def test_the_rest_of_a_flood_is_told_by_itself(stream: io.StringIO) -> None:
    logs.start("info", most=3, stream=stream)
    for n in range(100):
        log.info("image failed: %d", n)
    assert len(written(stream)) == 3
    never = threading.Event()
    for _ in range(5_000):
        if len(written(stream)) > 3:
            break
        never.wait(0.02)
    assert written(stream)[-1].endswith("97 more lines of this kind were left out: image failed: %d")


def kept_lines(folder: Path, **how: Any) -> tuple[dict[str, str], list[str]]:  # noqa: ANN401 - as `kept` has them
    """Log a thousand lines to files of `folder`; return what the files have, and all lines, the oldest first."""
    with logs.kept(folder, most=100_000, **how):
        for n in range(1000):
            log.info("line %04d %s", n, "ü" * 50)
    texts = {path.name: path.read_text("utf-8") for path in sorted(folder.iterdir(), reverse=True)}
    return texts, "".join(texts.values()).splitlines()


@pytest.mark.parametrize("style", ["human", "json"])
@pytest.mark.parametrize("files", [1, 3])
def test_files_of_the_log_are_bounded_whole_and_the_newest(
    stream: io.StringIO, tmp_path: Path, style: str, files: int
) -> None:
    logs.start("info", most=100_000, stream=stream)
    texts, lines = kept_lines(tmp_path / "logs", files=files, file_bytes=20_000, style=style)
    assert list(texts) == ["imagemill.log.2", "imagemill.log.1", "imagemill.log"][-files:]
    assert all(len(text) <= 20_000 for text in texts.values())
    told = [json.loads(line)["message"] if style == "json" else line.partition("test: ")[2] for line in lines]
    assert [int(text[5:9]) for text in told] == list(range(1000 - len(lines), 1000))
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "logs").iterdir()} == {0o600}
    assert stat.S_IMODE((tmp_path / "logs").stat().st_mode) == 0o700
    log.info("afterwards")
    assert len(written(stream)) == 1001


def test_a_line_is_in_its_file_at_once_and_the_next_start_goes_on_behind_it(tmp_path: Path) -> None:
    logs.start("info", stream=io.StringIO())
    for text in ("one", "two"):
        with logs.kept(tmp_path, files=2, file_bytes=1 << 20):
            log.info(text)
            assert (tmp_path / "imagemill.log").read_text().endswith(f"test: {text}\n")
    assert len((tmp_path / "imagemill.log").read_text().splitlines()) == 2


def test_no_files_where_none_are_asked_for(tmp_path: Path) -> None:
    with logs.kept(tmp_path / "logs", files=0, file_bytes=1 << 20):
        log.warning("to the stream alone")
    assert not (tmp_path / "logs").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_told_once_and_costs_the_stream_nothing(stream: io.StringIO, tmp_path: Path) -> None:
    logs.start("info", stream=stream)
    (tmp_path / "imagemill.log").symlink_to("/dev/full")
    with logs.kept(tmp_path, files=2, file_bytes=1 << 20):
        for n in range(3):
            log.info("line %d", n)
    told = sorted(line.partition(": ")[2] for line in written(stream))
    assert told == ["line 0", "line 1", "line 2", f"the log file cannot be written: {tmp_path / 'imagemill.log'}"]
