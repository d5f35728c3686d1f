"""A child of its own, without the pool: what it loads, what it may do, what it answers."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest

from imagemill.core.errors import ImageCode
from imagemill.core.recipe import Recipe, Thumbnail
from imagemill.imaging import child as pool_child
from imagemill.imaging import protocol
from tests.imaging import probe
from tests.imaging.pictures import LIMITS, noise, opened, photo, written

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
Child = tuple[SpawnProcess, Connection, Path]


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    report = tmp_path / "modules.json"
    config = protocol.Config(memory_mb=256, timeout_s=60.0)
    process = spawn.Process(target=probe.main, args=(theirs, config, os.getpid(), str(report)))
    process.start()
    theirs.close()
    assert ours.poll(60)
    assert protocol.decode_hello(ours.recv_bytes()).engine["engine"].startswith("pillow")
    yield process, ours, report
    ours.close()
    process.join(20)
    assert process.exitcode == 0


def _ask(
    pipe: Connection, tmp_path: Path, data: bytes | Path, recipe: Recipe | None = None
) -> protocol.Compressed | protocol.Failure:
    return _ask_all(pipe, tmp_path, [data], recipe).results[0]


def _ask_all(
    pipe: Connection,
    tmp_path: Path,
    sources: list[bytes | Path],
    recipe: Recipe | None = None,
    measured: tuple[int, ...] = (),
) -> protocol.Reply:
    named = [len(source) if isinstance(source, bytes) else str(source) for source in sources]
    stem = f"{tmp_path}/made-{secrets.token_hex(4)}"
    pipe.send_bytes(protocol.encode(protocol.Order(recipe or Recipe(), named, stem, LIMITS, list(measured))))
    if inline := [source for source in sources if isinstance(source, bytes)]:
        pipe.send_bytes(b"".join(inline))
    assert pipe.poll(60)
    return protocol.decode_reply(pipe.recv_bytes())


def test_a_child_loads_imaging_and_core_and_nothing_else_of_ours(child: Child, tmp_path: Path) -> None:
    process, pipe, report = child
    for form in LIMITS.formats:
        assert isinstance(_ask(pipe, tmp_path, written(photo(), form)), protocol.Compressed)
    pipe.close()
    process.join(20)
    loaded = set(json.loads(report.read_text()))
    ours = {name for name in loaded if name.split(".")[0] == "imagemill"}
    assert all(name == "imagemill" or name.startswith(("imagemill.core", "imagemill.imaging")) for name in ours)
    assert "imagemill.settings" not in loaded
    strange = {"litestar", "huey", "peewee", "httpx", "granian", "jinja2", "rich", "sqlite3", "ssl", "numpy"}
    if "coverage" in loaded:  # it measures this child too, and brings these along
        strange -= {"sqlite3", "ssl"}
    assert not loaded & strange
    assert "PIL.Image" in loaded


def test_the_parent_loads_no_pillow() -> None:
    script = "import sys, imagemill.pool; print([name for name in sys.modules if name.split('.')[0] == 'PIL'])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_outputs_are_files(child: Child, tmp_path: Path) -> None:
    _, pipe, _ = child
    kept = tmp_path / "source"
    kept.write_bytes(written(noise(90, 60), "png"))
    reply = _ask_all(pipe, tmp_path, [written(noise(900, 900), "png"), b"<html>", kept, written(photo(), "jpeg")])
    results = [each for each in reply.results if isinstance(each, protocol.Compressed)]
    assert [isinstance(each, protocol.Failure) for each in reply.results] == [False, True, False, False]
    assert len({made.path for result in results for made in result.outputs}) == 3
    for result, size in zip(results, [(900, 900), (90, 60), (256, 256)], strict=True):
        (made,) = result.outputs
        file = Path(made.path)
        assert (file.stat().st_size, file.stat().st_mode & 0o777) == (made.size, 0o600)
        assert opened(file.read_bytes()).size == size
    assert reply.resident_bytes > 0 or sys.platform != "linux"


def test_likeness_is_told_of_those_that_were_asked_for(child: Child, tmp_path: Path) -> None:
    picture, still = written(photo(), "jpeg", quality=95), written(photo(64, 64), "gif")
    moving = written(photo(64, 64), "gif", save_all=True, append_images=[noise(64, 64)])
    sources: list[bytes | Path] = [picture, picture, b"<html>", still, moving]
    results = _ask_all(child[1], tmp_path, sources, measured=(1, 2, 3)).results
    told = [each.ssim if isinstance(each, protocol.Compressed) else "failed" for each in results]
    assert [told[0], told[2], told[4]] == [None, "failed", 1.0]  # the last is published as it came
    assert all(isinstance(ssim, float) and 0.9 < ssim <= 1 for ssim in (told[1], told[3]))


def test_an_output_that_cannot_be_written_says_why(child: Child, tmp_path: Path) -> None:
    failure = _ask(child[1], tmp_path / "missing", written(photo(), "png"))
    assert isinstance(failure, protocol.Failure)
    assert (failure.code, failure.transient, failure.cause) == ("storage_failed", None, "ENOENT")


def test_all_outputs_of_an_image_are_written_or_none(child: Child, tmp_path: Path) -> None:
    picture, stem = written(photo(), "png"), f"{tmp_path}/made"
    recipe = Recipe(thumbnails=(Thumbnail(16, 16), Thumbnail(8, 8)))
    Path(protocol.output_path(stem, 0, 1)).touch()
    child[1].send_bytes(protocol.encode(protocol.Order(recipe, [len(picture)], stem, LIMITS)))
    child[1].send_bytes(picture)
    (failure,) = protocol.decode_reply(child[1].recv_bytes()).results
    assert isinstance(failure, protocol.Failure)
    assert (failure.code, failure.cause) == ("storage_failed", "EEXIST")
    assert not list(tmp_path.glob("made*"))


@linux_only
def test_each_output_is_flushed_or_all_of_its_image_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [tmp_path / "main", tmp_path / "thumbnail"]
    for file in files:
        pool_child._write(str(file), b"made")
    made = [protocol.Made(file.name, str(file), 4, "jpeg", 1, 1) for file in files]
    result = protocol.Compressed("jpeg", 1, 1, made, None)
    seen: list[Path] = []
    fsync = os.fsync

    def look(descriptor: int) -> None:
        fsync(descriptor)
        seen.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    def refuse(descriptor: int) -> None:
        look(descriptor)
        if seen[-1] == files[1]:
            raise OSError(errno.EIO, "a disk that is going")

    monkeypatch.setattr(os, "fsync", look)
    assert pool_child._flushed(result) is result
    assert seen == files
    monkeypatch.setattr(os, "fsync", refuse)
    detail = "the output could not be written"
    assert pool_child._flushed(result) == protocol.Failure(ImageCode.STORAGE_FAILED, detail, None, "EIO")
    assert not any(file.exists() for file in files)


def test_a_source_may_be_a_file(child: Child, tmp_path: Path) -> None:
    file = tmp_path / "source"
    file.write_bytes(written(photo(), "png"))
    result = _ask(child[1], tmp_path, file)
    assert isinstance(result, protocol.Compressed)
    assert result.format == "png"


def test_failures_are_told_and_the_child_goes_on(child: Child, tmp_path: Path) -> None:
    _, pipe, _ = child
    failure = _ask(pipe, tmp_path, b"<html>")
    assert failure == protocol.Failure(ImageCode.NOT_AN_IMAGE, "the source is an HTML page, not an image")
    gone = _ask(pipe, tmp_path, tmp_path / "gone")
    assert isinstance(gone, protocol.Failure)
    assert (gone.code, gone.transient) == (ImageCode.INTERNAL, False)
    assert "FileNotFoundError" in gone.detail
    assert isinstance(_ask(pipe, tmp_path, written(photo(), "jpeg")), protocol.Compressed)


@linux_only
def test_memory_is_limited(child: Child, tmp_path: Path) -> None:
    from PIL import Image

    _, pipe, _ = child
    failure = _ask(pipe, tmp_path, written(Image.new("RGB", (9000, 9000)), "png", compress_level=1))
    assert isinstance(failure, protocol.Failure)
    assert (failure.code, failure.transient) == (ImageCode.DECODE_FAILED, False)
    assert "image.memory_mb" in failure.detail
    assert isinstance(_ask(pipe, tmp_path, written(photo(), "jpeg")), protocol.Compressed)


def test_a_child_gives_way_to_its_parent(child: Child) -> None:
    assert os.getpriority(os.PRIO_PROCESS, child[0].pid or 0) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)


@linux_only
def test_the_sandbox_holds(child: Child, tmp_path: Path) -> None:
    process, pipe, _ = child
    _ask(pipe, tmp_path, written(photo(), "jpeg"))
    folder = Path(f"/proc/{process.pid}")
    limits = {line[:26].strip(): line[26:].split() for line in (folder / "limits").read_text().splitlines()}
    assert limits["Max core file size"][:2] == ["0", "0"]
    assert limits["Max open files"][:2] == ["64", "64"]
    assert int(limits["Max file size"][0]) == 1 << 30
    assert int(limits["Max address space"][1]) < 4 << 30
    assert 60 < int(limits["Max cpu time"][0]) < 120
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    assert status["NoNewPrivs"].strip() == "1"
    assert all((folder / "fd" / str(number)).readlink() == Path(os.devnull) for number in (0, 1, 2))
    if os.geteuid() == 0:
        assert (folder / "ns" / "net").readlink() != Path("/proc/self/ns/net").readlink()


def test_a_child_whose_parent_is_another_process_ends_at_once() -> None:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    config = protocol.Config(memory_mb=256, timeout_s=60.0)
    process = spawn.Process(target=probe.main, args=(theirs, config, 1 << 22, "unused"))
    process.start()
    theirs.close()
    process.join(60)
    assert process.exitcode == 1
    ours.close()
