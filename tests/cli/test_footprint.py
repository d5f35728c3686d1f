"""Files are whole or absent; a refused sheet leaves nothing; a device is never replaced."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagemill.cli.footprint import is_stream, undone_unless_kept, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def breaking_off() -> Iterator[bytes]:
    yield b"half"
    raise OSError(28, "No space left on device")


def test_a_file_appears_whole_in_place_of_the_earlier_one(tmp_path: Path) -> None:
    target = tmp_path / "new folder" / "out.csv"
    write_whole(str(target), [b"one"])
    write_whole(str(target), [b"a", b"b"])
    assert target.read_bytes() == b"ab"
    assert names(target.parent) == ["out.csv"]


def test_what_breaks_off_leaves_the_earlier_file(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_bytes(b"earlier")
    with pytest.raises(OSError, match="No space"):
        write_whole(str(target), breaking_off())
    assert target.read_bytes() == b"earlier"
    assert names(tmp_path) == ["out.csv"]


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_whole(str(pipe), [b"ab"])
    assert os.read(reader, 10) == b"ab"
    assert pipe.is_fifo()
    os.close(reader)


def test_streams_are_told_from_files(tmp_path: Path) -> None:
    assert is_stream("-")
    assert is_stream(os.devnull)
    assert not is_stream(str(tmp_path / "new.csv"))


def test_a_refusal_removes_what_the_run_made(tmp_path: Path) -> None:
    state = tmp_path / "deep" / "pictures" / ".imagemill"
    with undone_unless_kept(state):
        (state / "spool").mkdir(parents=True)
        (state.parent / "00").mkdir()
    assert names(tmp_path) == []


def test_a_refusal_leaves_what_was_there_before(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "mine.jpg").write_bytes(b"mine")
    with undone_unless_kept(pictures / ".imagemill"):
        (pictures / ".imagemill" / "spool").mkdir(parents=True)
    assert names(pictures) == ["mine.jpg"]
    (pictures / ".imagemill").mkdir()
    with undone_unless_kept(pictures / ".imagemill"):
        pass
    assert (pictures / ".imagemill").is_dir()


def test_a_folder_around_that_others_have_filled_meanwhile_stays(tmp_path: Path) -> None:
    state = tmp_path / "deep" / "pictures" / ".imagemill"
    with undone_unless_kept(state):
        state.mkdir(parents=True)
        (tmp_path / "deep" / "other.csv").write_bytes(b"")
    assert names(tmp_path / "deep") == ["other.csv"]


def test_what_was_kept_stays(tmp_path: Path) -> None:
    state = tmp_path / "pictures" / ".imagemill"
    with undone_unless_kept(state) as footprint:
        state.mkdir(parents=True)
        footprint.keep()
    assert state.is_dir()
