"""What every storage promises; each implementation runs this suite (a class that gives it a `storage`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from imagemill.storage import CHUNK_BYTES, Storage

NAME = "0123456789abcdef0123456789abcdef01234567.jpg"
OTHER = "01ffffffffffffffffffffffffffffffffffffff.webp"
FOREIGN = [
    "",
    ".",
    "..",
    "../secret",
    "/etc/passwd",
    "..\\secret",
    "ab/../../secret.jpg",
    "C:ab.jpg",
    f"{NAME}.part",
    f"{NAME}\n",
    "ab\0.jpg",
    "AB.jpg",
    "ab",
    "ab.",
    "a.jpg",
]


class StorageContract:
    """A subclass has the fixture `storage`, and `read`, which looks past it."""

    def read(self, storage: Storage, name: str) -> bytes | None:
        raise NotImplementedError

    @pytest.mark.parametrize("data", [b"", b"x", b"x" * 3_000_000])
    @pytest.mark.parametrize("is_file", [False, True])
    def test_what_is_put_is_there(self, storage: Storage, tmp_path: Path, data: bytes, is_file: bool) -> None:
        file = tmp_path / "spooled"
        file.write_bytes(data)
        storage.put(NAME, file if is_file else data)
        assert self.read(storage, NAME) == data
        assert file.read_bytes() == data  # the source is the caller's to remove
        assert storage.has(NAME)
        path = storage.path(NAME)
        assert path is None or path.read_bytes() == data

    @pytest.mark.parametrize("data", [b"", b"x", b"x" * 3_000_000])
    def test_what_is_adopted_is_there_and_gone_from_its_place(
        self, storage: Storage, tmp_path: Path, data: bytes
    ) -> None:
        storage.put(NAME, b"old")
        for name in (NAME, OTHER):
            file = tmp_path / "flushed"
            file.write_bytes(data)
            storage.adopt(name, file)
            assert (self.read(storage, name), file.exists()) == (data, False)
        assert sorted(storage.names()) == [NAME, OTHER]
        with pytest.raises(FileNotFoundError):
            storage.adopt(NAME, tmp_path / "missing")
        assert self.read(storage, NAME) == data

    def test_what_is_stored_is_read_in_chunks(self, storage: Storage) -> None:
        data = bytes(range(256)) * 8_000
        for name, stored in ((NAME, data), (OTHER, b"")):
            storage.put(name, stored)
            opened = storage.open(name)
            chunks = list(opened.chunks)
            assert (opened.size, storage.size(name), b"".join(chunks)) == (len(stored), len(stored), stored)
            assert max(map(len, chunks), default=0) < 4 * CHUNK_BYTES

    @pytest.mark.parametrize("span", [range(1), range(5, 999_999), range(999_999, 1_000_000), range(1_000_000)])
    def test_a_part_is_read(self, storage: Storage, span: range) -> None:
        data = bytes(range(250)) * 4_000
        storage.put(NAME, data)
        opened = storage.open(NAME, span)
        assert (opened.size, b"".join(opened.chunks)) == (len(data), data[span.start : span.stop])

    def test_reading_may_end_early(self, storage: Storage) -> None:
        storage.put(NAME, bytes(3_000_000))
        for _ in range(40):
            assert next(storage.open(NAME).chunks)
        assert storage.size(NAME) == 3_000_000

    def test_what_is_not_there_cannot_be_read(self, storage: Storage) -> None:
        for call in (storage.size, storage.open, lambda name: storage.open(name, range(1))):
            with pytest.raises(FileNotFoundError):
                call(NAME)

    def test_put_replaces(self, storage: Storage) -> None:
        for data in (b"a long first text", b"short"):
            storage.put(NAME, data)
        assert self.read(storage, NAME) == b"short"
        assert list(storage.names()) == [NAME]

    def test_nothing_is_said_to_be_nothing(self, storage: Storage) -> None:
        assert (storage.has(NAME), storage.path(NAME), list(storage.names())) == (False, None, [])

    def test_delete_may_be_repeated(self, storage: Storage) -> None:
        storage.put(NAME, b"x")
        storage.put(OTHER, b"y")
        for _ in range(2):
            storage.delete(NAME)
            assert (storage.has(NAME), storage.path(NAME), list(storage.names())) == (False, None, [OTHER])
        storage.put(NAME, b"again")
        assert self.read(storage, NAME) == b"again"

    @pytest.mark.parametrize("count", [0, 1, 9, 600])
    def test_many_are_looked_for_and_deleted_together(self, storage: Storage, count: int) -> None:
        kept = [f"{n:040x}.jpg" for n in range(2)]
        gone = [f"{n:040x}.png" for n in range(count)]
        for name in kept:
            storage.put(name, b"x")
        assert sorted(storage.missing(iter([*gone, *kept, *gone]))) == gone
        assert storage.missing(kept) == []
        storage.delete(*gone, kept[0])
        assert list(storage.names()) == kept[1:]

    def test_it_can_store(self, storage: Storage) -> None:
        storage.check()
        assert list(storage.names()) == []

    def test_every_name_is_listed_once(self, storage: Storage) -> None:
        names = [f"{n:02x}{n:038x}.png" for n in range(0, 256, 5)]
        for name in names:
            storage.put(name, name.encode())
        assert sorted(storage.names()) == sorted(names)
        assert {self.read(storage, name) for name in names} == {name.encode() for name in names}

    def test_a_source_that_is_not_there_leaves_nothing(self, storage: Storage, tmp_path: Path) -> None:
        storage.put(NAME, b"old")
        for name in (NAME, OTHER):
            with pytest.raises(FileNotFoundError):
                storage.put(name, tmp_path / "missing")
        assert (self.read(storage, NAME), list(storage.names())) == (b"old", [NAME])

    @pytest.mark.parametrize("name", FOREIGN)
    def test_a_foreign_name_is_refused(self, storage: Storage, name: str, tmp_path: Path) -> None:
        before = sorted(tmp_path.rglob("*"))
        calls: list[Callable[[str], object]] = [storage.has, storage.path, storage.url, storage.size, storage.open]
        calls += [storage.delete, lambda name: storage.missing([NAME, name]), lambda name: storage.put(name, b"x")]
        for call in calls:
            with pytest.raises(ValueError, match="not a name of ours"):
                call(name)
        assert sorted(tmp_path.rglob("*")) == before
