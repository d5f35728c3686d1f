"""The fake keeps the contract."""

from __future__ import annotations

import pytest

from imagemill.storage import MemoryStorage, Storage
from tests.storage.contract import StorageContract


class TestMemory(StorageContract):
    @pytest.fixture
    def storage(self) -> MemoryStorage:
        return MemoryStorage()

    def read(self, storage: Storage, name: str) -> bytes | None:
        assert isinstance(storage, MemoryStorage)
        return storage._files.get(name)
