"""`imagemill doctor` from outside: each thing that can be wrong is made wrong, and named with what to do."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from imagemill.appliance.checks import CHECKS
from imagemill.db import open_database
from tests.appliance_process import ApplianceProcess, environment
from tests.cli.children import PLACES, imagemill
from tests.origin import Origin
from tests.ports import free_port

Told = dict[str, dict[str, str]]


def examined(folder: Path, **settings: object) -> tuple[int, Told]:
    chosen: dict[str, Any] = {"port": free_port(), **settings}
    code, out, err = imagemill(folder, "doctor", "--json", **chosen)
    assert out, err
    return code, {each["check"]: each for each in json.loads(out)}


def failed(folder: Path, check: str, **settings: object) -> str:
    """Examine; only `check` has failed. Return what it said."""
    code, told = examined(folder, **settings)
    assert code == 1
    assert [name for name, each in told.items() if each["state"] == "failed"] == [check]
    assert told[check]["next_step"]
    return told[check]["detail"]


def made(folder: Path) -> Path:
    """Make a data folder as a first start leaves it."""
    with ApplianceProcess(folder / "data") as appliance:
        assert appliance.stop() == 0
    return folder / "data"


def test_before_the_first_start_all_is_well_and_nothing_is_made(tmp_path: Path) -> None:
    code, told = examined(tmp_path)
    assert (code, list(told)) == (0, list(CHECKS))
    assert {each["state"] for each in told.values()} <= {"ok", "warning"}
    assert not (tmp_path / "data").exists()
    assert told["pool child"]["detail"].startswith("it works")


def test_while_it_runs_it_goes_on_and_its_port_answers(tmp_path: Path) -> None:
    with ApplianceProcess(tmp_path / "data") as appliance:
        code, told = examined(tmp_path, port=appliance.port)
        assert (code, told["appliance"]["detail"]) == (0, "it is running")
        assert told["port"]["detail"].endswith("answers")
        assert told["storage"]["detail"].startswith("put, got and deleted")
        assert examined(tmp_path)[1]["port"]["state"] == "warning"
        assert appliance.get("/readyz").status_code == 200
    assert not [path for path in (tmp_path / "data/outputs").rglob("*") if path.is_file()]


def test_after_a_stop_its_things_are_sound_and_people_read_a_line_each(tmp_path: Path) -> None:
    made(tmp_path)
    code, out, err = imagemill(tmp_path, "doctor", port=free_port())
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line[2:].partition(":")[0] for line in lines] == list(CHECKS)
    assert "✓ database: imagemill.db is sound" in lines
    assert "✓ callback: no callback.url is set" in lines


def test_a_port_of_another_program(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert f"127.0.0.1:{port}" in failed(tmp_path, "port", port=port)


def test_a_disk_below_its_reserve(tmp_path: Path) -> None:
    assert "kept in reserve" in failed(tmp_path, "disk", disk_reserve_mb=1 << 40)


def test_a_broken_database(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "imagemill.db").write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 40)
    code, told = examined(tmp_path)
    assert (code, told["database"]["state"]) == (1, "failed")
    assert "imagemill.db cannot be read" in told["database"]["detail"]
    assert "restore a backup" in told["database"]["next_step"]


def test_a_database_whose_pages_are_damaged(tmp_path: Path) -> None:
    path = made(tmp_path) / "imagemill.db"
    with closing(sqlite3.connect(path)) as database:
        (root,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'token'").fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * 64)
    assert "imagemill.db" in failed(tmp_path, "database")


def test_a_clock_that_went_back_and_a_newer_schema(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    open_database(data / "imagemill.db").close()
    with closing(sqlite3.connect(data / "imagemill.db")) as database, database:
        database.execute(
            "INSERT INTO job (uid, kind, name, owner, priority, submission, fingerprint, filename, sheet_sha256,"
            " sheet_rows, places, images, created_at) VALUES ('a', 'sheet', '', '', 0, '{}', '', '', '', 0, 0, 0, ?)",
            (time.time() + 5000,),
        )
    assert "in the past" in failed(tmp_path, "clock")
    with closing(sqlite3.connect(data / "imagemill.db")) as database, database:
        database.execute("UPDATE job SET created_at = 5")
        database.execute("INSERT INTO migration VALUES (9999, 0)")
    assert "newer imagemill" in failed(tmp_path, "database")


def test_a_file_where_a_folder_belongs(tmp_path: Path) -> None:
    made(tmp_path)
    for name in ("outputs", "spool"):
        (tmp_path / "data" / name).rmdir()
        (tmp_path / "data" / name).touch()
    code, told = examined(tmp_path)
    assert (code, told["data folder"]["state"], told["storage"]["state"]) == (1, "failed", "failed")
    assert str(tmp_path / "data/spool") in told["data folder"]["detail"]
    assert str(tmp_path / "data/outputs") in told["storage"]["detail"]


def test_a_data_folder_that_others_can_see_or_we_cannot_write(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    data.chmod(0o755)
    code, told = examined(tmp_path)
    assert (code, told["data folder"]["state"]) == (0, "warning")
    assert f"chmod 700 {data}" in told["data folder"]["next_step"]
    if os.geteuid() == 0:
        script = (
            "import os, sys; from imagemill.appliance.checks import examine; from imagemill.settings import Settings;"
            "os.seteuid(65534); found = examine(Settings(data_dir=sys.argv[1])); next(found); print(next(found))"
        )
        done = subprocess.run([sys.executable, "-c", script, data], capture_output=True, text=True, check=True)
        assert "check='data folder', state='failed', detail='Permission denied" in done.stdout


def run_doctor(folder: Path, loaded: str, before: str, **settings: object) -> str:
    """Run doctor in a process in which something is done before; return what it printed."""
    script = (
        f"import os, sys; import {loaded}; {before}\n"
        "if __name__ == '__main__':\n    from imagemill.cli import main; sys.exit(main(['doctor']))"
    )
    file = folder / "doctor_with.py"
    file.write_text(script)
    done = subprocess.run(
        [sys.executable, str(file)],
        env=environment(folder / "data", {"port": free_port(), **settings}) | PLACES | {"XDG_CONFIG_HOME": str(folder)},
        capture_output=True,
        encoding="utf-8",
        cwd=folder,
        timeout=100,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.stdout


@pytest.mark.parametrize(("module", "part"), [("_requant", "codec"), ("_palette", "palette")])
def test_without_a_native_module_it_says_what_that_means(tmp_path: Path, module: str, part: str) -> None:
    out = run_doctor(tmp_path, "imagemill.imaging", f"sys.modules['imagemill.imaging.{module}'] = None")
    line = next(line for line in out.splitlines() if "pool child" in line)
    assert line.startswith(f"! pool child: it works, but the native {part} is absent")
    assert "nothing is wrong with the pictures" in line
    assert "make setup" in line


def test_a_mixed_pil(tmp_path: Path) -> None:
    for name in ("pillow", "pillow_simd"):
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\n")
    out = run_doctor(tmp_path, "imagemill", f"sys.path.insert(0, {str(tmp_path)!r})")
    line = next(line for line in out.splitlines() if "engine" in line)
    assert line.startswith("✗ engine: PIL is mixed")
    assert "make setup" in line


@pytest.mark.parametrize(("answer", "state"), [("200 OK", "ok"), ("404 Not Found", "warning")])
def test_a_callback_is_called(tmp_path: Path, answer: str, state: str) -> None:
    with Origin() as receiver:
        receiver.answers["/hook"] = f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n".encode()
        code, told = examined(tmp_path, callback_url=f"{receiver.url}/hook", callback_allow="127.0.0.0/8")
        assert (code, told["callback"]["state"]) == (0, state)
        assert answer[:3] in told["callback"]["detail"]


def test_a_callback_that_nobody_answers_or_that_is_not_allowed(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/hook"
    assert failed(tmp_path, "callback", callback_url=url, callback_allow="127.0.0.0/8")
    assert failed(tmp_path, "callback", callback_url=url, callback_allow="")


def test_an_s3_that_is_not_there(tmp_path: Path) -> None:
    settings = {
        "storage_url": "s3://bucket/pictures",
        "storage_endpoint": f"http://127.0.0.1:{free_port()}",
        "storage_access_key": "key",
        "storage_secret_key": "secret",
    }
    assert failed(tmp_path, "storage", **settings)
