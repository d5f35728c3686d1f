"""Reading images back by their place in the sheet: for the output, the report and the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from imagemill.core import keys
from imagemill.core.errors import NotFoundError
from imagemill.core.job import ErrorInfo, Image, Output, Source
from imagemill.core.states import ImageState
from imagemill.db.database import Queries
from imagemill.db.images import MAIN, OUTPUTS
from imagemill.db.jobs import no_such_job, optional_moment, ordinal, saved_percent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PAGE = 5_000
_OUTPUTS_PAGE = 500
_LATELY = 1_000

RARE = 20_000
"""So many places in one state are looked for by their state (27 ms); more by a walk, which soon meets them."""

# An image's first place has its number. The others are found by `place_again`; CROSS JOIN and + hold SQLite to it: it
# would walk all places, 0.4 s in a job of a million.
_RARE = (
    "SELECT n FROM (SELECT n FROM image WHERE job_id = ? AND state = ? AND n > ? UNION ALL"
    " SELECT +p.n FROM image i CROSS JOIN place p ON p.job_id = i.job_id AND p.image_n = i.n AND p.n <> p.image_n"
    " WHERE i.job_id = ? AND i.state = ? AND +p.n > ?) AS found ORDER BY n LIMIT ?"
)

_IMAGES = (
    "SELECT p.n, p.sheet_row, p.position, i.url, i.state, i.attempts, i.next_attempt_at, i.error_code, i.error_message,"
    " s.sha256, s.bytes, s.format, s.width, s.height, i.ssim, i.seconds FROM place p"
    " JOIN image i ON i.job_id = p.job_id AND i.n = p.image_n LEFT JOIN source s ON s.sha256 = i.source_sha256"
)


class Fate(msgspec.Struct, frozen=True):
    """What stands at one place of the output sheet: a stored file's name, or an error's code; and why."""

    output: str | None
    error_code: str | None
    state: ImageState


class Places(Queries):
    """Queries about where images stand."""

    def output(self, key: str) -> Output | None:
        """Return one output by its key."""
        row = self._row(OUTPUTS + " WHERE o.key = ?", (key,))
        return Output(*row[1:]) if row else None

    def fates(self, uid: str) -> Iterator[Fate]:
        """Return what stands at each place of a job's sheet, in order; in pages, so that no transaction stays open."""
        (job_id, _), n = self._found(uid), 0
        while True:
            rows = self._rows(
                "SELECT p.n, i.output, i.error_code, i.state FROM place p"
                " JOIN image i ON i.job_id = p.job_id AND i.n = p.image_n"
                " WHERE p.job_id = ? AND p.n > ? ORDER BY p.n LIMIT ?",
                (job_id, n, _PAGE),
            )
            for n, output, error_code, state in rows:  # noqa: B007  the last n is where the next page begins
                yield Fate(output, error_code, ImageState(state))
            if len(rows) < _PAGE:
                return

    def images(
        self, uid: str, state: ImageState | None, limit: int, cursor: str | None
    ) -> tuple[list[Image], str | None]:
        """Return a page of a job's images in sheet order, and the cursor of the next."""
        job_id, _ = self._found(uid)
        after = ordinal(cursor) or 0
        rare = self._rare_places(job_id, state, after, limit + 1) if state else None
        if rare is not None:
            page, is_last = self.images_at(uid, rare[:limit]), len(rare) <= limit
            return page, None if is_last else str(rare[limit - 1])
        condition, params = (" AND i.state = ?", [state.value]) if state else ("", [])
        found = self._read(uid, f"p.n > ?{condition} ORDER BY p.n LIMIT ?", (after, *params, limit + 1))
        page = [image for _, image in found[:limit]]
        return page, str(found[limit - 1][0]) if len(found) > limit else None

    def _rare_places(self, job_id: int, state: ImageState, after: int, limit: int) -> list[int] | None:
        """Return where the next images of a state stand, without a walk over the job; None where many are in it."""
        count = self._rows(f"SELECT {state} FROM tally WHERE job_id = ?", (job_id,))[0][0]
        if count > RARE:
            return None
        rows = self._rows(_RARE, (job_id, state.value, after, job_id, state.value, after, limit)) if count else []
        return [n for (n,) in rows]

    def image(self, uid: str, place: int) -> Image:
        """Return the image at one place of a job; NotFoundError when there is no such place."""
        found = self.images_at(uid, [place])
        if not found:
            message = "there is no such image: list them with GET /api/v1/jobs/{id}/images"
            raise NotFoundError(message)
        return found[0]

    def images_at(self, uid: str, places: Sequence[int]) -> list[Image]:
        """Return the images at some places of a job, in the order asked for; nothing where there is no such place."""
        found = dict(self._read(uid, f"p.n IN ({','.join('?' * len(places))})", places))
        return [found[n] for n in places if n in found]

    def _read(self, uid: str, condition: str, params: Sequence[object]) -> list[tuple[int, Image]]:
        job_id, fingerprint = self._found(uid)
        rows = self._rows(f"{_IMAGES} WHERE p.job_id = ? AND {condition}", (job_id, *params))
        outputs = self._outputs_of({row[9] for row in rows if row[9]}, fingerprint)
        return [(row[0], _image(uid, row, outputs.get(row[9], []))) for row in rows]

    def made_outputs(self, uid: str) -> Iterator[tuple[int, int, str, Output]]:
        """Return (row, position, URL, output) of every output of a job's images, each image at its first place."""
        (job_id, fingerprint), n = self._found(uid), 0
        while rows := self._rows(
            "SELECT i.n, p.sheet_row, p.position, i.url, i.source_sha256 FROM image i"
            " JOIN place p ON p.job_id = i.job_id AND p.n = i.n"
            " WHERE i.job_id = ? AND i.n > ? AND i.state = 'done' ORDER BY i.n LIMIT ?",
            (job_id, n, _OUTPUTS_PAGE),
        ):
            outputs = self._outputs_of({row[4] for row in rows}, fingerprint)
            for n, sheet_row, position, url, sha256 in rows:  # noqa: B007  the last n is where the next page begins
                for output in outputs.get(sha256, []):
                    yield sheet_row, position, url, output

    def settled_images(self, uid: str, after: int, limit: int) -> list[tuple[int, Image]]:
        """Return (revision, image) of images that ended after a revision, in the order they did.

        An image stands for all its places by the first. One that ends again, after a retry, has a new revision.
        """
        job_id, fingerprint = self._found(uid)
        rows = self._rows(
            f"{_IMAGES.replace('SELECT', 'SELECT i.revision,', 1)} WHERE i.job_id = ? AND i.revision > ?"
            " AND p.n = i.n AND i.state IN ('done', 'failed') ORDER BY i.revision LIMIT ?",
            (job_id, after, limit),
        )
        outputs = self._outputs_of({row[10] for row in rows if row[10]}, fingerprint)
        return [(row[0], _image(uid, row[1:], outputs.get(row[10], []))) for row in rows]

    def newest_images(self, uid: str, limit: int) -> list[Image]:
        """Return images of a job that were done last, the last one first, each at its first place.

        Only what ended lately is looked at: behind a hundred thousand failures there are none.
        """
        job_id, _ = self._found(uid)
        rows = self._rows(
            "SELECT n FROM (SELECT n, state, revision FROM image WHERE job_id = ? AND revision IS NOT NULL"
            f" ORDER BY revision DESC LIMIT {_LATELY}) AS lately WHERE state = 'done' ORDER BY revision DESC LIMIT ?",
            (job_id, limit),
        )
        return self.images_at(uid, [n for (n,) in rows])

    def last_revision(self, uid: str) -> int:
        """Return the revision of a job's image that ended last; 0 while none has."""
        job_id, _ = self._found(uid)
        sql = "SELECT max(revision) FROM image WHERE job_id = ? AND revision IS NOT NULL"
        return int(self._rows(sql, (job_id,))[0][0] or 0)

    def _outputs_of(self, sources: set[str], fingerprint: str) -> dict[str, list[Output]]:
        found: dict[str, list[Output]] = {}
        wanted = sorted(sources)
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            marks = ",".join("?" * len(part))
            sql = f"{OUTPUTS} WHERE o.fingerprint = ? AND o.source_sha256 IN ({marks}) ORDER BY o.name"
            for row in self._rows(sql, (fingerprint, *part)):
                found.setdefault(row[0], []).append(Output(*row[1:]))
        return found

    def _found(self, uid: str) -> tuple[int, str]:
        row = self._row("SELECT id, fingerprint FROM job WHERE uid = ? AND deleted_at IS NULL", (uid,))
        if row is None:
            raise no_such_job()
        return row[0], row[1]


def _image(uid: str, row: tuple[Any, ...], outputs: list[Output]) -> Image:
    n, sheet_row, position, url, state, attempts, next_attempt_at, code, message = row[:9]
    sha256, size, kind, width, height, ssim, seconds = row[9:]
    main = next((output for output in outputs if output.name == MAIN), None)
    is_waiting = state == ImageState.PENDING and next_attempt_at > 0
    return Image(
        id=keys.image_id(uid, n),
        job_id=uid,
        row=sheet_row,
        position=position,
        source_url=url,
        state=ImageState(state),
        attempts=attempts,
        next_attempt_at=optional_moment(next_attempt_at if is_waiting else None),
        error=ErrorInfo(code=code, message=message) if code else None,
        source=Source(bytes=size, format=kind, width=width, height=height, sha256=sha256) if sha256 else None,
        outputs=outputs,
        saved_percent=saved_percent(size, main.bytes) if main and sha256 else None,
        ssim=ssim,
        seconds=seconds,
    )
