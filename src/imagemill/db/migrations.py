"""The schema as an append-only list: step and version in one transaction; a fresh schema is a migrated one.

Never change a step that has been released: append one.

Ids: a job has a small integer beside its public `uid`, so that a million images carry 1 byte each and not 36. An image
is (job_id, n) where n is the ordinal of its first place in the sheet; a place is (job_id, n) with n counting every URL
of every cell. Times are seconds since 1970, UTC.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeAlias

from imagemill.core.errors import UnfitError
from imagemill.db.tally import TALLY_ON_POSTGRES

if TYPE_CHECKING:
    from imagemill.db.dialect import Dialect

Statements: TypeAlias = tuple[str | tuple[tuple[str, ...], tuple[str, ...]], ...]
"""A step: a statement for every database, or a pair of lists: SQLite's, and PostgreSQL's."""

_SCHEMA: Final = "imagemill schema"

STEPS: tuple[Statements, ...] = (
    (
        """CREATE TABLE job (
            id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, name TEXT NOT NULL,
            owner TEXT NOT NULL, priority INTEGER NOT NULL, submission TEXT NOT NULL, fingerprint TEXT NOT NULL,
            filename TEXT NOT NULL, sheet_sha256 TEXT NOT NULL, sheet_rows INTEGER NOT NULL, places INTEGER NOT NULL,
            images INTEGER NOT NULL, created_at REAL NOT NULL, started_at REAL, finished_at REAL, paused_at REAL,
            cancelled_at REAL, expires_at REAL)""",
        "CREATE INDEX job_owner ON job (owner, id)",
        "CREATE INDEX job_sheet ON job (sheet_sha256)",
        "CREATE INDEX job_unfinished ON job (priority, id) WHERE finished_at IS NULL",
        """CREATE TABLE image (
            job_id INTEGER NOT NULL, n INTEGER NOT NULL, url TEXT NOT NULL, places INTEGER NOT NULL,
            state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, crashes INTEGER NOT NULL DEFAULT 0,
            next_attempt_at REAL NOT NULL DEFAULT 0, lease TEXT, lease_until REAL, error_code TEXT,
            error_message TEXT, source_sha256 TEXT, source_bytes INTEGER, output TEXT, output_bytes INTEGER, ssim REAL,
            seconds REAL, PRIMARY KEY (job_id, n)) WITHOUT ROWID""",
        # Two covering indexes instead of counters beside the rows: one finds work, one sums what is done.
        "CREATE INDEX image_due ON image (job_id, next_attempt_at, n) WHERE state = 'pending'",
        "CREATE INDEX image_tally ON image (job_id, state, places, source_bytes, output_bytes)",
        "CREATE INDEX image_leased ON image (lease_until) WHERE state = 'running'",
        """CREATE TABLE place (
            job_id INTEGER NOT NULL, n INTEGER NOT NULL, sheet_row INTEGER NOT NULL, position INTEGER NOT NULL,
            image_n INTEGER NOT NULL, PRIMARY KEY (job_id, n)) WITHOUT ROWID""",
        """CREATE TABLE source (
            sha256 TEXT PRIMARY KEY, bytes INTEGER NOT NULL, format TEXT NOT NULL, width INTEGER NOT NULL,
            height INTEGER NOT NULL) WITHOUT ROWID""",
        # The id tells in which order outputs were stored: `recent_outputs` walks it backwards.
        """CREATE TABLE output (
            id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, source_sha256 TEXT NOT NULL, fingerprint TEXT NOT NULL,
            name TEXT NOT NULL, bytes INTEGER NOT NULL, format TEXT NOT NULL, width INTEGER NOT NULL,
            height INTEGER NOT NULL, created_at REAL NOT NULL)""",
        "CREATE INDEX output_source ON output (source_sha256, fingerprint)",
        """CREATE TABLE delivery (
            id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, job_id INTEGER NOT NULL, event TEXT NOT NULL,
            url TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, next_attempt_at REAL,
            lease_until REAL, last_status INTEGER, created_at REAL NOT NULL)""",
        "CREATE INDEX delivery_job ON delivery (job_id, id)",
        "CREATE INDEX delivery_due ON delivery (next_attempt_at) WHERE state = 'pending'",
        """CREATE TABLE attempt (
            delivery_id INTEGER NOT NULL, n INTEGER NOT NULL, at REAL NOT NULL, status INTEGER, answer TEXT NOT NULL,
            error TEXT, PRIMARY KEY (delivery_id, n)) WITHOUT ROWID""",
        """CREATE TABLE token (
            name TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, scopes TEXT NOT NULL, owner TEXT NOT NULL,
            created_at REAL NOT NULL) WITHOUT ROWID""",
    ),
    (
        """CREATE TABLE request_key (
            owner TEXT NOT NULL, name TEXT NOT NULL, content TEXT NOT NULL, job_uid TEXT NOT NULL,
            expires_at REAL NOT NULL, PRIMARY KEY (owner, name)) WITHOUT ROWID""",
        "CREATE INDEX request_key_expires ON request_key (expires_at)",
    ),
    (
        # Set once, and the job is gone for everybody; its rows and files follow in small steps.
        "ALTER TABLE job ADD COLUMN deleted_at REAL",
        "CREATE INDEX job_deleted ON job (id) WHERE deleted_at IS NOT NULL",
        # Who else uses a source's outputs? 48 bits of its hash make a third of the index that all of it would.
        "CREATE INDEX image_source ON image (substr(source_sha256, 1, 12)) WHERE source_sha256 IS NOT NULL",
        # Files that perhaps nobody uses any more (db/leftovers.py); `is_going` from the decision to the deed.
        """CREATE TABLE leftover (
            shelf TEXT NOT NULL, name TEXT NOT NULL, source_sha256 TEXT NOT NULL, fingerprint TEXT NOT NULL,
            is_going INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (shelf, name)) WITHOUT ROWID""",
        # SQLite has no truths but numbers.
        (
            (),
            (
                "ALTER TABLE leftover ALTER is_going DROP DEFAULT, ALTER is_going TYPE BOOLEAN USING is_going <> 0",
                "ALTER TABLE leftover ALTER is_going SET DEFAULT FALSE",
            ),
        ),
        "CREATE INDEX leftover_going ON leftover (shelf, name) WHERE is_going",
        # Files that no row speaks of, and since when that is known.
        """CREATE TABLE stray (
            shelf TEXT NOT NULL, name TEXT NOT NULL, seen_at REAL NOT NULL, PRIMARY KEY (shelf, name)) WITHOUT ROWID""",
    ),
    (
        "ALTER TABLE image ADD COLUMN revision INTEGER",
        "CREATE INDEX image_settled ON image (job_id, revision) WHERE revision IS NOT NULL",
    ),
    (
        # Which host an image is of (`core.keys.host_number`), 0 where it was accepted before this step: a claim takes
        # images of one host, and passes over hosts that are left alone without reading their images.
        "ALTER TABLE image ADD COLUMN host INTEGER NOT NULL DEFAULT 0",
        "DROP INDEX image_due",
        "CREATE INDEX image_due ON image (job_id, host, next_attempt_at, n) WHERE state = 'pending'",
        # Only what was postponed: few, and most images never.
        "CREATE INDEX image_postponed ON image (next_attempt_at) WHERE state = 'pending' AND next_attempt_at > 0",
    ),
    (
        # The id tells what was used last: `forget_fetched` keeps the newest. `validator` is an ETag or a date.
        """CREATE TABLE fetched (
            id INTEGER PRIMARY KEY, url BLOB NOT NULL UNIQUE, validator TEXT NOT NULL, sha256 BLOB NOT NULL)""",
    ),
    (
        "ALTER TABLE output ADD COLUMN ssim REAL",
        "CREATE INDEX image_ssim ON image (job_id, ssim) WHERE ssim IS NOT NULL",
    ),
    (
        # What a job's images come to, by place: counting a million rows takes 0.1 s, and clients ask each second.
        # By triggers, so that no write can forget it.
        """CREATE TABLE tally (
            job_id INTEGER PRIMARY KEY, pending INTEGER NOT NULL DEFAULT 0, running INTEGER NOT NULL DEFAULT 0,
            done INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0, cancelled INTEGER NOT NULL DEFAULT 0,
            source_bytes INTEGER NOT NULL DEFAULT 0, output_bytes INTEGER NOT NULL DEFAULT 0)""",
        (
            (
                """INSERT INTO tally SELECT job.id, coalesce(sum(i.places * (i.state = 'pending')), 0),
            coalesce(sum(i.places * (i.state = 'running')), 0), coalesce(sum(i.places * (i.state = 'done')), 0),
            coalesce(sum(i.places * (i.state = 'failed')), 0), coalesce(sum(i.places * (i.state = 'cancelled')), 0),
            coalesce(sum(i.places * i.source_bytes), 0), coalesce(sum(i.places * i.output_bytes), 0)
            FROM job LEFT JOIN image i ON i.job_id = job.id GROUP BY job.id""",
                """CREATE TRIGGER job_begins AFTER INSERT ON job BEGIN
            INSERT INTO tally (job_id, pending) VALUES (new.id, new.places); END""",
                "CREATE TRIGGER job_goes AFTER DELETE ON job BEGIN DELETE FROM tally WHERE job_id = old.id; END",
                """CREATE TRIGGER image_moves AFTER UPDATE OF state, source_bytes, output_bytes ON image BEGIN
            UPDATE tally SET
                pending = pending + new.places * ((new.state = 'pending') - (old.state = 'pending')),
                running = running + new.places * ((new.state = 'running') - (old.state = 'running')),
                done = done + new.places * ((new.state = 'done') - (old.state = 'done')),
                failed = failed + new.places * ((new.state = 'failed') - (old.state = 'failed')),
                cancelled = cancelled + new.places * ((new.state = 'cancelled') - (old.state = 'cancelled')),
                source_bytes = source_bytes
                    + new.places * (coalesce(new.source_bytes, 0) - coalesce(old.source_bytes, 0)),
                output_bytes = output_bytes
                    + new.places * (coalesce(new.output_bytes, 0) - coalesce(old.output_bytes, 0))
            WHERE job_id = new.job_id; END""",
            ),
            TALLY_ON_POSTGRES,
        ),
        # The index that was summed, without what was summed.
        "DROP INDEX image_tally",
        "CREATE INDEX image_state ON image (job_id, state)",
    ),
    (
        # The old service whose client asked for the job: those list theirs by it.
        "ALTER TABLE job ADD COLUMN profile TEXT",
        "CREATE INDEX job_profile ON job (profile, id) WHERE profile IS NOT NULL",
    ),
    (
        # At most one row: while it is there, nothing is claimed.
        "CREATE TABLE pause (id INTEGER PRIMARY KEY CHECK (id = 1), paused_at REAL NOT NULL)",
    ),
    (
        # What failed, by what and where: a million failures are grouped without a look at their rows.
        "CREATE INDEX image_failed ON image (job_id, error_code, host, n, places, state) WHERE state = 'failed'",
    ),
    (
        # One-time links to the page, and who is signed in: both lead to a token, and are nothing when that is revoked.
        """CREATE TABLE sign_in (
            hash TEXT PRIMARY KEY, token_hash TEXT NOT NULL, ends_at REAL NOT NULL) WITHOUT ROWID""",
        """CREATE TABLE session (
            hash TEXT PRIMARY KEY, token_hash TEXT NOT NULL, ends_at REAL NOT NULL) WITHOUT ROWID""",
    ),
    (
        # Which outputs are the largest is read from it, which saved least is found in it, without a look at the rows.
        "CREATE INDEX image_weight ON image (job_id, output_bytes, n, source_bytes) WHERE output_bytes IS NOT NULL",
    ),
    (
        # Who works on this database, and when it last said so.
        "CREATE TABLE machine (name TEXT PRIMARY KEY, seen_at REAL NOT NULL) WITHOUT ROWID",
    ),
    (
        # What clients sent, where several machines need it (db/sent.py).
        """CREATE TABLE sent (
            uid TEXT NOT NULL, name TEXT NOT NULL, n INTEGER NOT NULL, body BLOB NOT NULL, at REAL NOT NULL,
            PRIMARY KEY (uid, name, n)) WITHOUT ROWID""",
        # What one machine does at a time.
        "CREATE TABLE turn (name TEXT PRIMARY KEY, machine TEXT NOT NULL, ends_at REAL NOT NULL) WITHOUT ROWID",
    ),
    (
        # Where an image stands once more: the few images of a state are found in a sheet of a million.
        "CREATE INDEX place_again ON place (job_id, image_n) WHERE n <> image_n",
    ),
    (
        # Sheets that were checked and are no jobs yet (db/drafts.py).
        """CREATE TABLE draft (
            uid TEXT PRIMARY KEY, owner TEXT NOT NULL, about TEXT NOT NULL, used_at REAL NOT NULL) WITHOUT ROWID""",
    ),
)


def migrate(dialect: Dialect, steps: tuple[Statements, ...] = STEPS) -> None:
    """Bring the schema to the newest version; refuse one that is newer than this program (UnfitError)."""
    with dialect.transaction():
        dialect.alone_with(_SCHEMA)
        dialect.define("CREATE TABLE IF NOT EXISTS migration (version INTEGER PRIMARY KEY, applied_at REAL NOT NULL)")
    version = schema_version(dialect)
    if version > len(steps):
        message = (
            f"the database has schema {version}, this program knows {len(steps)}:"
            " start the newer imagemill, or restore a backup"
        )
        raise UnfitError(message)
    for number, statements in enumerate(steps[version:], version + 1):
        _apply(dialect, number, statements)


def schema_version(dialect: Dialect) -> int:
    """Return the number of steps applied."""
    return int(dialect.rows("SELECT coalesce(max(version), 0) FROM migration")[0][0])


def _apply(dialect: Dialect, number: int, statements: Statements) -> None:
    with dialect.transaction():
        dialect.alone_with(_SCHEMA)
        if schema_version(dialect) >= number:
            return  # another machine was faster
        for statement in statements:
            for sql in (statement,) if isinstance(statement, str) else statement[dialect.is_shared]:
                dialect.define(sql)
        dialect.touched("INSERT INTO migration VALUES (?, ?)", (number, time.time()))
