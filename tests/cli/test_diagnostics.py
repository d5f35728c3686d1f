"""`imagemill diagnostics`: secrets, tokens, addresses and names are planted everywhere; the file has none of them."""

from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imagemill.appliance.scrub import Scrub
from tests.appliance_process import ApplianceProcess, needs_proc, until
from tests.cli.children import imagemill
from tests.origin import Origin
from tests.ports import free_port

FILES = ["README.txt", "about.json", "settings.json", "disk.json", "database.json", "doctor.json"]
MARK = "pl4nted"
LINES = [
    "fetching https://cdn.example/{m}/{m}-shoe.jpg?X-Amz-Signature={m}&a={m}",
    "GET /images/{m}.webp?token={m} from 10.0.0.7",
    "Authorization: Bearer {m}.{m}-{m}",
    "ftp://user:{m}@files.example/{m},{m};{m}",
    '"secret": "{m}", password={m} api_key: {m}',
    "whsec_{m}{m} and im_{m}{m}{m} and AKIA{M}{M}",
    "could not open '/home/me/{m} holiday.tiff' and {m}.csv, {m}-2.XLSX",
    "file:///srv/{m}/{m} and s3://{m}-is-a-bucket-and-stays/{m}",
]
"""What no line of ours says, said by a mistake."""


def planted(text: str) -> str:
    return text.format(m=MARK, M=MARK.upper())


def slip(log: Path) -> None:
    """Write lines to the log that must never be there, in both forms."""
    lines = [planted(line) for line in LINES]
    forms = [f"2026-11-24 22:00:00 WARNING x: {line}" for line in lines]
    forms += [json.dumps({"level": "error", "message": line, "traceback": line}) for line in lines]
    with log.open("a") as file:
        file.writelines(f"{form}\n" for form in forms)


@needs_proc
@pytest.mark.slow
def test_nothing_that_was_planted_is_in_the_file(tmp_path: Path) -> None:
    Image.new("RGB", (300, 200), "teal").save(tmp_path / f"{MARK}.jpg")
    with Origin(tmp_path) as origin:
        settings: dict[str, Any] = {
            "callback_secret": f"{MARK}-callback",
            "callback_url": f"{origin.url}/status/500?key={MARK}",
            "callback_allow": "127.0.0.0/8",
            "fetch_retries": 0,
            "log_level": "debug",
            "log_format": "json",
            "storage_url": f"file:{tmp_path}/{MARK}",
        }
        with ApplianceProcess(tmp_path / "data", settings) as appliance:
            exercise(appliance, origin)
            slip(tmp_path / "data/logs/imagemill.log")
            token = (tmp_path / "data/token").read_text().strip()
            port = appliance.port
            code, out, err = imagemill(tmp_path, "diagnostics", "-o", "for-support.zip", port=port, **settings)
        assert (code, "look through it" in out) == (0, True), err
    assert stat.S_IMODE((tmp_path / "for-support.zip").stat().st_mode) == 0o600
    with zipfile.ZipFile(tmp_path / "for-support.zip") as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert [*texts] == [*FILES, "logs/imagemill.log"]
    for name, text in texts.items():
        told = text.replace(f"{MARK}-is-a-bucket-and-stays", "")
        assert MARK not in told.lower(), f"{name}: {told[max(0, told.lower().find(MARK) - 200) :][:300]}"
        assert token not in text
    assert_useful(texts)


def exercise(appliance: ApplianceProcess, origin: Origin) -> None:
    """Have jobs that end well and badly, with names everywhere."""
    urls = [f"{origin.url}/{MARK}.jpg?sig={MARK}", f"{origin.url}/status/404?{MARK}", f"https://{MARK}.invalid/x.jpg"]
    sheet = f"Product,images\n{MARK},{urls[0]}\n{MARK},{urls[1]}\n".encode()
    job = appliance.submit(sheet, name=f"{MARK} spring", callback_secret=f"{MARK}-job", thumbnails="20x20")
    answer = appliance._client.post(
        "/api/v1/jobs", files={"file": (f"{MARK} list.csv", sheet.replace(b"sig=", b"sig=2"), "text/csv")}
    )
    assert answer.status_code == 202, answer.text
    assert origin.folder is not None
    picture = (origin.folder / f"{MARK}.jpg").read_bytes()
    sent = appliance._client.post("/api/v1/images", files=[("image", (f"{MARK}.jpg", picture))])
    for each in (job, answer.json()["id"], sent.json()["id"]):
        appliance.finished(each, 60)
    until(lambda: appliance.ask(f"/jobs/{job}/deliveries")["deliveries"][0]["attempts"], 20, "the callback was tried")


def assert_useful(texts: dict[str, str]) -> None:
    """There is all in it that helps."""
    database = json.loads(texts["database.json"])
    assert database["rows"]["job"] == 3
    first = database["jobs"][-1]
    assert first["counts"]["done"] == first["counts"]["failed"] == 1
    assert first["failed"] == {"http_status": 1}
    assert first["recipe"]["thumbnails"] == [{"width": 20, "height": 20, "fit": "cover"}]
    assert first["callbacks"][0]["last_status"] == 500
    rows = {row["name"]: row for row in json.loads(texts["settings.json"])}
    assert (rows["callback.secret"]["value"], rows["fetch.retries"]["value"]) == ("***", 0)
    assert rows["fetch.retries"]["origin"] == "IMAGEMILL_FETCH_RETRIES"
    doctor = {each["check"]: each["state"] for each in json.loads(texts["doctor.json"])}
    assert (doctor["appliance"], doctor["database"], doctor["callback"]) == ("ok", "ok", "warning")
    about = json.loads(texts["about.json"])
    assert about["libraries"]["litestar"]
    assert "job finished: partial" in texts["logs/imagemill.log"]
    assert "https://cdn.example/" in texts["logs/imagemill.log"]
    lines = [json.loads(line) for line in texts["logs/imagemill.log"].splitlines() if line.startswith("{")]
    assert {"time", "level", "logger", "message"} <= set(lines[0])
    assert json.loads(texts["disk.json"])["file_bytes"]["imagemill.db"] > 0


def test_it_is_made_where_nothing_runs_and_where_things_are_broken(tmp_path: Path) -> None:
    code, out, err = imagemill(tmp_path, "diagnostics", port=free_port())
    assert code == 0, err
    (made,) = tmp_path.glob("imagemill-diagnostics-*.zip")
    assert made.name in out
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data/imagemill.db").write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 40)
    code, _, err = imagemill(tmp_path, "diagnostics", "-o", "broken.zip", port=free_port())
    assert code == 0, err
    with zipfile.ZipFile(tmp_path / "broken.zip") as archive:
        assert "imagemill.db cannot be read" in json.loads(archive.read("database.json"))["error"]
    code, _, err = imagemill(tmp_path, "diagnostics", "-o", "broken.zip", port=free_port())
    assert (code, "broken.zip exists already" in err) == (2, True)


@pytest.mark.parametrize("line", LINES)
def test_each_line_is_scrubbed_by_its_looks(line: str) -> None:
    clean = Scrub([]).text(planted(line)).replace(f"{MARK}-is-a-bucket-and-stays", "")
    assert MARK not in clean.lower()
    assert clean != ""


def test_what_is_known_is_taken_out_wherever_it_stands() -> None:
    scrub = Scrub(["hunter2", "hunter2-and-more", "a"], Path("/home/me"))
    assert scrub.text("ahunter2-and-more,hunter2: /home/me/x") == "a***,***: ~/x"
    assert scrub.data({"hunter2": ["hunter2", 1, None, True, ("x",)]}) == {"***": ["***", 1, None, True, ["x"]]}
    assert Scrub([], Path("/")).text("/x/y") == "/x/y"


@pytest.mark.timeout(300)
def test_ten_thousand_names_take_no_time_either() -> None:
    scrub = Scrub(f"product list {n}" for n in range(10_000))
    text = "2026-11-24 INFO imagemill: product list 77, a product list, product lists and products\n" * 10_000
    assert scrub.text(text).count("***") == 10_000


@pytest.mark.timeout(120)
@pytest.mark.parametrize("piece", ["a", "a.", "?", "?a", "'", "a=", "://", "@", "token=", ".jpg", "http://a@", "im_"])
def test_a_line_that_was_made_to_take_long_takes_no_time(piece: str) -> None:
    """Walked through from each of its places, a line of 4,000 characters takes 8 million steps: these, ten minutes."""
    line = (piece * 4000)[:4000]
    for _ in range(40):
        Scrub(["hunter2"]).text(line)


@pytest.mark.parametrize(
    "line",
    [
        "job finished: completed, 3 done job=0193b6a8-0000-7000-8000-000000000000",
        "image failed: timeout, attempt 5, host shop.example",
        "pool child 4711 was lost at work (SIGSEGV) and is replaced",
        "127.0.0.1:8750 is free",
    ],
)
def test_what_helps_is_left(line: str) -> None:
    assert Scrub(["hunter2"]).text(line) == line
