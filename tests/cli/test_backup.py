"""`imagemill backup` and `restore`: in the middle of the work, elsewhere, to the byte; and archives that lie."""

from __future__ import annotations

import contextlib
import json
import os
import random
import sqlite3
import stat
import tomllib
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imagemill.appliance.backup import make_backup
from imagemill.appliance.parcel import is_ours
from imagemill.appliance.restore import restore
from imagemill.cli.backup import Ticker
from imagemill.core.errors import BackupError, StartError
from imagemill.db import StoreError
from imagemill.settings import Loaded, Settings, load
from tests.appliance_process import ApplianceProcess, needs_proc, until
from tests.cli.children import imagemill
from tests.cli.homes import JOB, left, made, settings
from tests.db.test_copies import put_back
from tests.origin import Origin
from tests.story.ledger import assert_pictures, mapping, names, pairs, sheet

PICTURES = 60


def drawn(folder: Path, count: int) -> list[Path]:
    """Write pictures that differ, and are worth compressing."""
    folder.mkdir()
    for n in range(count):
        dice = random.Random(n)
        noise = Image.frombytes("RGB", (12, 9), bytes(dice.randrange(256) for _ in range(12 * 9 * 3)))
        noise.resize((240, 180), Image.Resampling.BICUBIC).save(folder / f"{n}.jpg", quality=95)
    return sorted(folder.iterdir())


@needs_proc
@pytest.mark.slow
def test_backed_up_in_the_middle_of_a_job_it_ends_elsewhere_to_the_byte(tmp_path: Path) -> None:
    pictures = drawn(tmp_path / "pictures", PICTURES)
    patient = {"fetch_read_timeout_s": 600, "fetch_total_timeout_s": 600}
    slow: dict[str, Any] = {**patient, "fetch_per_host_rate": 5, "fetch_retries": 0, "callback_secret": "whsec_hunter2"}
    with Origin(tmp_path / "pictures") as origin:
        last = f"/silent/{pictures[-1].name}"  # it comes when the appliance is gone: so the job runs meanwhile
        links = [*(f"/{picture.name}" for picture in pictures[:-1]), last, "/status/404"]
        given = sheet(origin.url + link for link in links)
        with ApplianceProcess(tmp_path / "data", slow) as appliance:
            job = appliance.submit(given, keep_original="true", name="spring")
            until(lambda: appliance.job(job)["counts"]["done"] >= 10, 30, "some are done")
            appliance.post("/system/pause")
            sent = sent_pictures(appliance, pictures[:3])
            appliance.post("/system/resume")
            for flags in ((), ("--outputs",)):
                file = tmp_path / f"backup{len(flags)}.zip"
                code, out, err = imagemill(tmp_path, "backup", str(file), *flags, **slow)
                assert (code, err) == (0, ""), err
                assert ("jobs: 2, " in out, "without the pictures" in out) == (True, not flags)
                assert stat.S_IMODE(file.stat().st_mode) == 0o600
            running = appliance.job(job)
            assert running["state"] == "processing", "the story wants a job that runs"
            token = (tmp_path / "data" / "token").read_text()
            appliance.kill()
        data = pictures[-1].read_bytes()
        origin.answers[last] = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data
        for n in (0, 1):
            folder = tmp_path / f"restored{n}"
            code, out, err = imagemill(tmp_path, "restore", str(tmp_path / f"backup{n}.zip"), "--data-dir", str(folder))
            assert (code, err) == (0, ""), err
            assert ("they are made again" in out) == (n == 0)
            assert (folder / "token").read_text() == token
            kept = tomllib.loads((folder / "imagemill.toml").read_text())
            assert (kept["callback"]["secret"], "data_dir" in kept) == ("whsec_hunter2", False)
            assert_ends(folder, {job: given}, sent, tmp_path / "pictures")


def assert_ends(folder: Path, sheets: dict[str, bytes], sent: str, pictures: Path) -> None:
    """Start what was restored: its jobs end as if nothing had been, sheets, pictures, originals and rows."""
    with ApplianceProcess(folder, {"fetch_retries": 0, "fetch_per_host_rate": 0}) as restored:
        for job, given in sheets.items():
            ended = restored.finished(job, 60)
            assert (ended["counts"]["done"], ended["counts"]["failed"]) == (PICTURES, 1)
            outputs = mapping(pairs(given, restored.output(job)))
            assert len(set(names(outputs).values())) == PICTURES + 1
            assert_pictures({url: made for url, made in outputs.items() if "status" not in url}, pictures)
            for image in restored.images(job, state="done"):
                original = restored.get(f"/api/v1/images/{image['id']}/original").content
                assert original == (pictures / image["source_url"].rpartition("/")[2]).read_bytes()
        assert restored.finished(sent, 60)["counts"]["done"] == 3
        restored.stop()
    assert audit(folder)


def sent_pictures(appliance: ApplianceProcess, pictures: list[Path]) -> str:
    files = [("image", (picture.name, picture.read_bytes())) for picture in pictures]
    answer = appliance._client.post("/api/v1/images", files=files)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def audit(folder: Path) -> bool:
    """Say whether rows and files of a data folder match, both ways."""
    with contextlib.closing(sqlite3.connect(folder / "imagemill.db")) as database:
        rows = {f"{key}.jpg" for (key,) in database.execute("SELECT key FROM output")}
        assert database.execute("SELECT count(*) FROM image WHERE state IN ('pending', 'running')").fetchone() == (0,)
    assert rows == {path.name for path in (folder / "outputs").rglob("*.jpg")}
    return len(rows) == PICTURES


# What follows needs no running appliance: a data folder as one leaves it, with a job that has not ended.


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return the data folder of a job whose sheet is there, and of one whose sheet has gone."""
    return left(tmp_path / "data")


def test_a_job_whose_sheet_went_meanwhile_is_no_job_of_the_backup(home: Path, tmp_path: Path) -> None:
    file = made(home, tmp_path / "b.zip")
    with zipfile.ZipFile(file) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert (manifest["jobs"], manifest["unfinished"]) == (1, 1)
        assert sorted(archive.namelist()) == [
            "imagemill.db",
            "imagemill.toml",
            "manifest.json",
            f"sources/sheets/{JOB}",
            f"sources/uploads/{JOB}/{'ab' * 32}",
            "token",
        ]
    restored = restore(file, settings(tmp_path / "new"))
    assert (restored.again, restored.aside) == (0, None)
    assert (tmp_path / "new/sources/uploads" / JOB / ("ab" * 32)).read_bytes() == b"picture" * 100
    files = [path for path in (tmp_path / "new").rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files if path.name != "lock"} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").rglob("*") if path.is_dir()} == {0o700}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.zip", "data", "new"]


def test_refusals_of_backup_say_what_to_do(home: Path, tmp_path: Path) -> None:
    file = made(home, tmp_path / "b.zip")
    before = file.read_bytes()
    for flags, told in (
        ((str(file), "--data-dir", str(home)), "exists already"),
        ((str(tmp_path / "c.zip"), "--data-dir", str(tmp_path)), "nothing to back up"),
    ):
        code, out, err = imagemill(tmp_path, "backup", *flags)
        assert (code, out, told in err) == (1, "", True), err
    loaded = load({"data_dir": str(home), "storage.url": "s3://bucket"}, {}, None)
    with pytest.raises(BackupError, match="kept in S3"):
        make_backup(loaded, tmp_path / "c.zip", has_outputs=True)
    server = load({"data_dir": str(home), "database.url": "postgresql://a@b/c"}, {}, None)
    with pytest.raises(BackupError, match="pg_dump"):
        make_backup(server, tmp_path / "c.zip", has_outputs=False)
    with pytest.raises(BackupError, match=r"database\.url"):
        restore(file, server.settings)
    whole = (home / "imagemill.db").read_bytes()
    for broken in (whole[:8192] + b"\xff" * 60_000, whole[:8000], b"\xff" * 8192):
        (home / "imagemill.db").write_bytes(broken)
        with pytest.raises((BackupError, StartError, StoreError)):
            made(home, tmp_path / "c.zip")
    assert file.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.zip", "data"]


def test_what_is_there_is_refused_and_with_force_moved_aside(home: Path, tmp_path: Path) -> None:
    file = made(home, tmp_path / "b.zip")
    (home / "sources" / "sheets" / "later").write_text("of after the backup")
    (code, _, err) = imagemill(tmp_path, "restore", str(file))
    assert (code, "is not empty" in err, "--force" in err) == (1, True, True)
    code, out, _ = imagemill(tmp_path, "restore", str(file), "--force", "--json")
    assert (code, json.loads(out)["jobs"]) == (0, 1)
    (aside,) = home.glob("before-restore-*")
    assert (aside / "sources/sheets/later").read_text() == "of after the backup"
    assert not (home / "sources/sheets/later").exists()
    code, out, _ = imagemill(tmp_path, "restore", str(file), "--force")
    assert (code, "jobs: 1, unfinished: 1" in out, len(list(home.glob("before-restore-*")))) == (0, True, 2)


@needs_proc
def test_a_folder_in_use_is_left_alone_whatever_the_flags(home: Path, tmp_path: Path) -> None:
    file = made(home, tmp_path / "b.zip")
    with ApplianceProcess(tmp_path / "other"):
        before = sorted(path.name for path in (tmp_path / "other").iterdir())
        code, _, err = imagemill(tmp_path, "restore", str(file), "--force", "--data-dir", str(tmp_path / "other"))
        assert (code, "another imagemill uses the folder" in err) == (1, True)
        assert sorted(path.name for path in (tmp_path / "other").iterdir()) == before


def test_a_backup_of_the_former_schema_is_upgraded_and_one_of_a_newer_refused(home: Path, tmp_path: Path) -> None:
    from imagemill.db.migrations import STEPS

    put_back(home / "imagemill.db", len(STEPS) - 1)
    older = made(home, tmp_path / "older.zip")
    restore(older, settings(tmp_path / "new"))
    assert (tmp_path / "new" / f"imagemill.schema-{len(STEPS) - 1}.db").is_file()
    with contextlib.closing(sqlite3.connect(home / "imagemill.db")) as database, database:
        database.execute("INSERT INTO migration VALUES (9999, 0)")
    newer = made(home, tmp_path / "newer.zip")
    code, _, err = imagemill(tmp_path, "restore", str(newer), "--data-dir", str(tmp_path / "newer"))
    assert (code, "has schema 9999" in err) == (2, True)
    assert [path.name for path in (tmp_path / "newer").iterdir()] == ["lock"]


def changed(file: Path, target: Path, **how: Any) -> Path:  # noqa: ANN401 - what is wrong
    """Write an archive anew, with other bytes, names or claims."""
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        manifest = json.loads(old.read("manifest.json"))
        manifest.update({name: value for name, value in how.items() if name in manifest})
        for entry in manifest["files"]:
            data = old.read(entry["name"])
            entry["name"] = how.get("renamed", {}).get(entry["name"], entry["name"])
            if entry["name"] == "token":
                entry.update(how.get("claims", {}))
                data = how.get("token", b"\0" * how.get("zeros", 0) or data)
            new.writestr(entry["name"], data)
        if "twice" in how:
            with warnings.catch_warnings(action="ignore"):
                new.writestr("token", b"im_second\n")
        if "more" in how:
            new.writestr(str(how["more"]), b"more")
        if not how.get("is_bare"):
            new.writestr("manifest.json", json.dumps(manifest))
    return target


@pytest.mark.parametrize(
    "how",
    [
        {"renamed": {"token": "../token"}},
        {"renamed": {"token": "/etc/token"}},
        {"renamed": {"token": "outputs/../../token"}},
        {"renamed": {"token": "lock"}},
        {"twice": True},
        {"renamed": {"token": "sources/sheets/.."}},
        {"renamed": {"imagemill.db": f"sources/sheets/{JOB[:-1]}1"}},
        {"more": "../../evil"},
        {"more": "outputs/ab/more.jpg"},
        {"token": b"im_other\n"},
        {"zeros": 50_000_000},
        {"claims": {"bytes": 1 << 60}},
        {"claims": {"bytes": -1}},
        {"claims": {"sha256": "00"}},
        {"format": 2},
        {"format": "two"},
        {"is_bare": True},
    ],
    ids=str,
)
def test_an_archive_that_lies_changes_nothing(home: Path, tmp_path: Path, how: dict[str, object]) -> None:
    file = changed(made(home, tmp_path / "b.zip"), tmp_path / "evil.zip", **how)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(BackupError):
        restore(file, settings(tmp_path / "new" / "deep"))
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != "lock"}
    assert after == before
    assert not (tmp_path / "new" / "deep" / ".restoring").exists()


@pytest.mark.parametrize("part", [0.3, 0.9, 0.999])
def test_an_archive_that_is_cut_off_or_flipped_changes_nothing(home: Path, tmp_path: Path, part: float) -> None:
    data = made(home, tmp_path / "b.zip").read_bytes()
    at = int(len(data) * part)
    for n, broken in enumerate((data[:at], data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])):
        (tmp_path / "broken.zip").write_bytes(broken)
        new = tmp_path / f"new{n}"
        try:
            restore(tmp_path / "broken.zip", settings(new))
        except BackupError:
            assert not new.exists() or [path.name for path in new.iterdir()] == ["lock"]
        else:  # what was flipped says nothing: a date in the list
            assert (new / "sources/sheets" / JOB).read_bytes() == (home / "sources/sheets" / JOB).read_bytes()


def test_a_bomb_is_refused_before_it_is_unpacked(home: Path, tmp_path: Path) -> None:
    file = made(home, tmp_path / "b.zip")
    reserve = Settings(data_dir=str(tmp_path / "new"), disk_reserve_mb=1 << 40)
    with pytest.raises(BackupError, match="there is no room"):
        restore(file, reserve)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["lock"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_what_root_restores_belongs_to_the_folder_s_owner(home: Path, tmp_path: Path) -> None:
    file = made(home, tmp_path / "b.zip")
    (tmp_path / "new").mkdir()
    os.chown(tmp_path / "new", 65534, 65534)
    restore(file, settings(tmp_path / "new"))
    assert {path.stat().st_uid for path in (tmp_path / "new").rglob("*")} == {65534}


def test_how_far_it_is_is_told(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    loaded = load({"data_dir": str(home)}, {}, None)
    tell = lambda files, size: seen.append((files, size))  # noqa: E731
    manifest = make_backup(loaded, tmp_path / "b.zip", has_outputs=True, tell=tell)
    assert seen[-1] == (len(manifest.files), manifest.file_bytes)
    again, seen = seen, []
    restore(tmp_path / "b.zip", settings(tmp_path / "new"), tell=lambda files, size: seen.append((files, size)))
    assert seen == again
    monkeypatch.setattr("imagemill.cli.backup.LINE_EVERY_S", 0)
    Ticker().see(12_000, 3_400_000_000)
    assert capsys.readouterr().err == "12,000 files, 3.4 GB\n"


def test_names_of_ours() -> None:
    good = [f"sources/images/ab/{'ab' * 32}.jpg", f"outputs/cd/{'cd' * 20}.webp", "token", f"sources/sheets/{JOB}"]
    bad = ["", "outputs/ab/cd.jpg", "outputs/ab/ab.jpg/x", "outputs/AB/AB.jpg", "token\n", f"sources/sheets/{JOB}/x"]
    assert all(map(is_ours, good))
    assert not any(map(is_ours, bad))


def test_a_backup_s_settings_are_the_settings(home: Path, tmp_path: Path) -> None:
    environ = {"IMAGEMILL_STORAGE_ACCESS_KEY": "a", "IMAGEMILL_STORAGE_SECRET_KEY": "hunter2"}
    loaded: Loaded = load({"data_dir": str(home), "storage.url": "s3://bucket/x", "port": 1}, environ, None)
    make_backup(loaded, tmp_path / "b.zip", has_outputs=False)
    restored = restore(tmp_path / "b.zip", settings(tmp_path / "new"))
    assert restored.settings is not None
    again = load({"data_dir": str(home)}, {}, Path(restored.settings))
    assert again.settings == loaded.settings
