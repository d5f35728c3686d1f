"""Data folders as an appliance leaves them, and backups of them, without an appliance."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from imagemill.appliance.backup import make_backup
from imagemill.db import open_database
from imagemill.settings import Settings, load

JOB = "0193b6a8-0000-7000-8000-000000000000"


def left(root: Path) -> Path:
    """Leave the data folder of a job whose sheet is there, and of one whose sheet has gone."""
    (root / "sources" / "sheets").mkdir(parents=True)
    (root / "sources" / "uploads" / JOB).mkdir(parents=True)
    (root / "sources" / "sheets" / JOB).write_bytes(b"Input Image Urls\r\nhttp://a/1.jpg\r\n")
    (root / "sources" / "uploads" / JOB / ("ab" * 32)).write_bytes(b"picture" * 100)
    (root / "sources" / "uploads" / JOB / "part").write_bytes(b"half")
    (root / "token").write_text("im_token\n")
    open_database(root / "imagemill.db").close()
    columns = "kind, name, owner, priority, submission, fingerprint, filename, sheet_sha256, sheet_rows, places, images"
    values = "'sheet', '', '', 0, '{}', '', '', '', 0, 0, 0"
    with contextlib.closing(sqlite3.connect(root / "imagemill.db")) as database, database:
        for uid in (JOB, JOB.replace("0193", "0194")):
            database.execute(f"INSERT INTO job (uid, {columns}, created_at) VALUES (?, {values}, 1)", (uid,))
    return root


def settings(folder: Path) -> Settings:
    """Return the settings of a data folder, with no reserve on its disk."""
    return Settings(data_dir=str(folder), disk_reserve_mb=0)


def made(home: Path, target: Path, **flags: str) -> Path:
    """Make a backup with pictures."""
    make_backup(load({"data_dir": str(home), **flags}, {}, None), target, has_outputs=True)
    return target
