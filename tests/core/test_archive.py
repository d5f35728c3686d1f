"""The ZIP file that is written front to back, read by the standard library and by Info-ZIP's rules."""

from __future__ import annotations

import io
import struct
import zipfile
from datetime import UTC, datetime

import pytest

from imagemill.core.archive import Zip, entry_name

NOON = datetime(2026, 11, 24, 12, 30, 14, tzinfo=UTC)


def written(entries: dict[str, bytes], moment: datetime = NOON) -> bytes:
    archive, file, records = Zip(), io.BytesIO(), io.BytesIO()
    for name, data in entries.items():
        head, record = archive.entry(name, data, moment)
        file.write(head + data)
        records.write(record)
    return file.getvalue() + records.getvalue() + archive.close()


def test_what_goes_in_comes_out() -> None:
    entries = {"00002-1-apple.jpg": b"\xff\xd8" * 500, "00002-2-Äpfel.png": b"", "00003-1.webp": b"RIFF"}
    with zipfile.ZipFile(io.BytesIO(written(entries))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == entries
        first = archive.infolist()[0]
        assert (first.date_time, first.compress_type) == ((2026, 11, 24, 12, 30, 14), zipfile.ZIP_STORED)
        assert first.external_attr >> 16 == 0o100644


def test_nothing_is_a_whole_file_too() -> None:
    assert zipfile.ZipFile(io.BytesIO(written({}))).namelist() == []


def test_a_clock_before_1980_does_no_harm() -> None:
    with zipfile.ZipFile(io.BytesIO(written({"a": b"1"}, datetime(1970, 1, 2, tzinfo=UTC)))) as archive:
        assert archive.infolist()[0].date_time[:3] == (1980, 1, 2)


def test_more_entries_than_sixteen_bits_count() -> None:
    entries = {f"{n:05d}.jpg": b"x" for n in range(70_000)}
    with zipfile.ZipFile(io.BytesIO(written(entries))) as archive:
        assert len(archive.namelist()) == 70_000
        assert archive.read("69999.jpg") == b"x"


def test_an_entry_behind_four_gigabytes_is_found() -> None:
    archive = Zip()
    archive._at = before = (1 << 32) + 17  # as if so much had been written
    head, record = archive.entry("far.jpg", b"data", NOON)
    extra = struct.pack("<HHQ", 1, 8, before)
    assert record.endswith(b"far.jpg" + extra)
    assert record[42:46] == b"\xff" * 4
    end = archive.close()
    assert end.startswith(b"PK\x06\x06")
    assert struct.unpack_from("<Q", end, 48) == (before + len(head) + 4,)
    assert struct.unpack_from("<4sIQ", end, 56) == (b"PK\x06\x07", 0, before + len(head) + 4 + len(record))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://a/b/apple.jpg", "00002-1-apple.png"),
        ("http://a/b/apple.large.jpg?x=/etc/passwd", "00002-1-apple_large.png"),
        ("http://a/%2e%2e%2fetc%2fpasswd", "00002-1-2e_2e_2fetc_2fpasswd.png"),
        ("http://a/", "00002-1-a.png"),
        ("http://a/..", "00002-1.png"),
        ("http://a/b/CON%00.jpg", "00002-1-CON_00.png"),
        (f"http://a/{'x' * 300}.jpg", f"00002-1-{'x' * 80}.png"),
    ],
)
def test_names_sort_as_the_sheet_and_lead_nowhere(url: str, expected: str) -> None:
    assert entry_name(2, 1, url, "image", "png") == expected


def test_a_thumbnail_is_named_for_itself() -> None:
    assert entry_name(12, 3, "http://a/b.jpg", "thumb-80x80", "jpg") == "00012-3-b-thumb-80x80.jpg"
