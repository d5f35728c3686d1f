"""What origins said of their answers, so that next time they need to say only that nothing has changed.

A row is an address (its hash), the validator of its last answer, and the SHA-256 of the bytes. It is worth something
only together with what was made of those bytes, so a row that nobody needs does no harm and is not looked for. The ids
tell which rows were used last: the oldest are forgotten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from imagemill.core.keys import url_key
from imagemill.db.database import Queries

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_FORGOTTEN_AT_ONCE: Final = 5_000


class Validators(Queries):
    """Queries about answers that were seen before."""

    def remembered(self, urls: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Return the validator and the SHA-256 of the last answer, by URL, where they are known."""
        keys = {url_key(url): url for url in urls}
        sql = f"SELECT url, validator, sha256 FROM fetched WHERE url IN ({','.join('?' * len(keys))})"
        return {keys[key]: (validator, sha256.hex()) for key, validator, sha256 in self._rows(sql, tuple(keys))}

    def forget_fetched(self, most: int) -> None:
        """Keep the `most` addresses that were used last. A few thousand at a time, so that others can write."""
        newest = self._rows("SELECT coalesce(max(id), 0) FROM fetched")[0][0]
        oldest = f"SELECT id FROM fetched WHERE id <= ? ORDER BY id LIMIT {_FORGOTTEN_AT_ONCE}"
        while self._touched(f"DELETE FROM fetched WHERE id IN ({oldest})", (newest - most,)):
            pass

    def _remember(self, answers: Iterable[tuple[str, str, str]]) -> None:
        """Take note of (URL, validator, SHA-256); what was known is replaced, or forgotten where no validator came."""
        given = sorted(answers)  # in one order, so that no two writers wait for each other
        self._many(
            "INSERT INTO fetched (url, validator, sha256) VALUES (?, ?, ?) ON CONFLICT (url) DO UPDATE"
            " SET id = excluded.id, validator = excluded.validator, sha256 = excluded.sha256",
            [(url_key(url), validator, bytes.fromhex(sha256)) for url, validator, sha256 in given if validator],
        )
        self._many(
            "DELETE FROM fetched WHERE url = ?", [(url_key(url),) for url, validator, _ in given if not validator]
        )
