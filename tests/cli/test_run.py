"""`imagemill run` from outside: a sheet in, pictures and the same sheet out; interrupted, killed and begun again."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import signal
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from PIL import Image

from tests.appliance_process import kill_session, needs_proc, until
from tests.cli.children import ended, imagemill, started
from tests.origin import Origin

COLUMN = "Output Image Urls"


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Origin]:
    folder = tmp_path_factory.mktemp("origin")
    for number in range(12):
        picture = Image.effect_noise((160, 120), 30 + number).convert("RGB")
        picture.save(folder / f"{number}.jpg", quality=95)
    with Origin(folder) as running:
        yield running


def write_sheet(folder: Path, cells: Sequence[str], name: str = "shop.csv") -> Path:
    rows = [f'{number};SKU{number};"{cell}"' for number, cell in enumerate(cells, 1)]
    path = folder / name
    path.write_text("\r\n".join(["S. No.;Product Name;Input Image Urls", *rows, ""]), encoding="utf-8", newline="")
    return path


def links(sheet: str) -> list[list[str]]:
    """Return the output links of each row."""
    rows = csv.DictReader(io.StringIO(sheet), delimiter=";")
    return [[part.strip() for part in row[COLUMN].split(",")] for row in rows]


def opened(link: str) -> tuple[str | None, tuple[int, int]]:
    """Return format and size of the picture behind a file:// link."""
    with Image.open(unquote(urlsplit(link).path)) as picture:
        picture.load()
        return picture.format, picture.size


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_sheet_in_pictures_and_the_same_sheet_out(origin: Origin, tmp_path: Path) -> None:
    write_sheet(tmp_path, [f"{origin.url}/0.jpg, {origin.url}/1.jpg", f"{origin.url}/0.jpg"])
    code, out, err = imagemill(tmp_path, "run", "shop.csv")
    assert (code, err.count("Error")) == (0, 0), err
    assert "2 rows, 3 images, 2 different" in err
    assert "3/3 images (100 %)" in err
    assert "3 of 3 images done, 0 failed" in out
    sheet = (tmp_path / "shop.out.csv").read_bytes().decode()
    assert sheet.splitlines()[0] == "S. No.;Product Name;Input Image Urls;Output Image Urls"
    assert sheet.count("\r\n") == 3
    (first, second), (third,) = links(sheet)
    assert first == third != second
    assert opened(first) == opened(second) == ("JPEG", (160, 120))
    assert Path(urlsplit(first).path).is_relative_to(tmp_path / "shop-images")
    assert ".imagemill" in names(tmp_path / "shop-images")


def test_the_same_command_again_is_done_at_once_and_asks_the_origin_nothing(origin: Origin, tmp_path: Path) -> None:
    write_sheet(tmp_path, [f"{origin.url}/2.jpg"])
    assert imagemill(tmp_path, "run", "shop.csv")[0] == 0
    first = (tmp_path / "shop.out.csv").read_bytes()
    (tmp_path / "shop.out.csv").unlink()
    hits = origin.hits["/2.jpg"]
    code, _, err = imagemill(tmp_path, "run", "shop.csv")
    assert code == 0
    assert "1 of them by an earlier run" in err
    assert (tmp_path / "shop.out.csv").read_bytes() == first
    assert origin.hits["/2.jpg"] == hits


def test_a_picture_that_somebody_removed_is_made_again(origin: Origin, tmp_path: Path) -> None:
    write_sheet(tmp_path, [f"{origin.url}/1.jpg", f"{origin.url}/3.jpg"])
    assert imagemill(tmp_path, "run", "shop.csv")[0] == 0
    sheet = (tmp_path / "shop.out.csv").read_text()
    pictures = {link: Path(urlsplit(link).path).read_bytes() for (link,) in links(sheet)}
    with closing(sqlite3.connect(tmp_path / "shop-images/.imagemill/imagemill.db")) as database, database:
        long_ago = "UPDATE output SET created_at = created_at - 3600 WHERE id = 1 RETURNING key"
        ((removed,),) = database.execute(long_ago).fetchall()
    next((tmp_path / "shop-images").rglob(f"{removed}.jpg")).unlink()
    code, _, err = imagemill(tmp_path, "run", "shop.csv")
    assert code == 0, err
    assert "1 of them by an earlier run" in err
    assert "2/2 images (100 %)" in err
    assert {link: Path(urlsplit(link).path).read_bytes() for link in pictures} == pictures
    assert (tmp_path / "shop.out.csv").read_text() == sheet


def test_recipe_flags_public_url_and_report(origin: Origin, tmp_path: Path) -> None:
    write_sheet(tmp_path, [f"{origin.url}/3.jpg"])
    flags = ("--format", "webp", "--max-width", "80", "--thumbnail", "10x10", "--public-url", "https://shop.example/p/")
    code, _, err = imagemill(
        tmp_path, "run", "shop.csv", "-o", "out/o.csv", "--images", "pictures", "--report", "r.csv", *flags
    )
    assert code == 0, err
    ((link,),) = links((tmp_path / "out/o.csv").read_text())
    assert link.startswith("https://shop.example/p/")
    kept = tmp_path / "pictures" / link.removeprefix("https://shop.example/p/")
    assert opened(kept.as_uri()) == ("WEBP", (80, 60))
    assert len([path for path in (tmp_path / "pictures").rglob("*.webp") if ".imagemill" not in path.parts]) == 2
    (line,) = csv.DictReader(io.StringIO((tmp_path / "r.csv").read_text()))
    assert f"{origin.url}/3.jpg" in line.values()


def test_some_failed_is_exit_code_3_and_a_table(origin: Origin, tmp_path: Path) -> None:
    cells = [f"{origin.url}/4.jpg,{origin.url}/none.jpg", f"{origin.url}/page/4.jpg", f"{origin.url}/none2.jpg"]
    write_sheet(tmp_path, cells)
    chosen = ("--image-column", "#3", "--on-failure", "empty")
    code, out, err = imagemill(tmp_path, "run", "shop.csv", *chosen, "--errors-column")
    assert code == 3, err
    assert "1 of 4 images done, 3 failed" in out
    table, host = [line.split() for line in out.splitlines()], origin.url.removeprefix("http://")
    assert ["2", "http_status", host, "2", "2", f"{origin.url}/none.jpg"] in [line[:6] for line in table]
    assert ["1", "not_an_image", host, "3", "1", f"{origin.url}/page/4.jpg"] in [line[:6] for line in table]
    assert "open the URL in a browser and correct it in the sheet" in out
    first, second, third = links((tmp_path / "shop.out.csv").read_text())
    assert (len(first), first[1], second, third) == (2, "", [""], [""])
    assert "http_status" in (tmp_path / "shop.out.csv").read_text().splitlines()[1]


def test_all_failed_is_exit_code_1(origin: Origin, tmp_path: Path) -> None:
    write_sheet(tmp_path, [f"{origin.url}/5.jpg"])
    code, out, _ = imagemill(tmp_path, "run", "shop.csv", fetch_allow="")
    assert code == 1
    assert "blocked_address" in out
    assert "allow the host by fetch.allow" in out
    assert links((tmp_path / "shop.out.csv").read_text()) == [[f"{origin.url}/5.jpg"]]


def test_a_faulty_sheet_is_a_table_of_faults_and_leaves_nothing(tmp_path: Path) -> None:
    write_sheet(tmp_path, ["ftp://a.example/1.jpg", "C:\\pictures\\1.jpg"])
    before = names(tmp_path)
    code, out, err = imagemill(tmp_path, "run", "shop.csv", "--images", "deep/pictures")
    assert (code, out) == (1, "")
    lines = [line.split() for line in err.splitlines()]
    assert [line[:2] for line in lines if "bad_url" in line] == [["2", "3"], ["3", "3"]]
    assert "the sheet has 2 faults: correct them and run it again. Nothing was done." in err
    assert names(tmp_path) == before


def test_json_is_all_there_is_on_standard_output(origin: Origin, tmp_path: Path) -> None:
    write_sheet(tmp_path, [f"{origin.url}/6.jpg,{origin.url}/none.jpg"])
    code, out, _ = imagemill(tmp_path, "run", "shop.csv", "--json", image_ssim_every=1)
    told = json.loads(out)
    assert (code, told["exit_code"], told["job"]["state"]) == (3, 3, "partial")
    assert told["output"] == "shop.out.csv"
    worst = told["worst"]
    assert (worst["row"], worst["position"], worst["url"]) == (2, 1, f"{origin.url}/6.jpg")
    assert 0.5 < worst["ssim"] == told["job"]["worst_ssim"]["ssim"] < 1
    assert told["failures"][0]["code"] == "http_status"
    assert told["failures"][0]["examples"][0]["url"] == f"{origin.url}/none.jpg"
    write_sheet(tmp_path, ["nonsense"], "bad.csv")
    code, out, _ = imagemill(tmp_path, "run", "bad.csv", "--json")
    refused = json.loads(out)
    assert (code, refused["code"], refused["error_count"]) == (1, "invalid_sheet", 1)
    assert refused["errors"][0]["row"] == 2


def test_standard_input_and_output(origin: Origin, tmp_path: Path) -> None:
    text = f"S. No.;Product Name;Input Image Urls\n1;SKU;{origin.url}/7.jpg\n"
    code, out, err = imagemill(tmp_path, "run", "-", "-o", "-", given=text)
    assert code == 0, err
    ((link,),) = links(out)
    assert opened(link)[0] == "JPEG"
    assert "1 of 1 images done" in err
    assert names(tmp_path) == {"sheet-images"}


def test_a_second_run_in_the_same_place_is_told_so(origin: Origin, tmp_path: Path) -> None:
    write_sheet(tmp_path, [f"{origin.url}/silent/1"])
    with started(tmp_path, "run", "shop.csv") as first:
        until(lambda: origin.hits["/silent/1"], 30, "the first run is at work")
        code, _, err = imagemill(tmp_path, "run", "shop.csv")
        assert code == 1
        assert err.startswith("Error: ")
        first.send_signal(signal.SIGINT)
        assert ended(first)[0] == 130
    assert (tmp_path / "shop-images/.imagemill").is_dir()


def test_interrupted_it_says_how_to_go_on_and_goes_on(origin: Origin, tmp_path: Path) -> None:
    write_sheet(tmp_path, [f"{origin.url}/8.jpg", f"{origin.url}/9.jpg", f"{origin.url}/silent/8"])
    with started(tmp_path, "run", "shop.csv") as process:
        until(lambda: has_done(tmp_path, 2), 30, "two images are done")
        process.send_signal(signal.SIGINT)
        code, out, _ = ended(process)
    assert code == 130
    assert "run the same command again to continue" in out
    assert not (tmp_path / "shop.out.csv").exists()
    wake(origin, "/silent/8", "/8.jpg")
    code, out, _ = imagemill(tmp_path, "run", "shop.csv")
    assert code == 0
    assert "3 of 3 images done" in out
    assert origin.hits["/8.jpg"] == origin.hits["/9.jpg"] == 1


@needs_proc
def test_killed_it_goes_on_where_it_was(origin: Origin, tmp_path: Path) -> None:
    write_sheet(tmp_path, [f"{origin.url}/10.jpg", f"{origin.url}/11.jpg", f"{origin.url}/silent/10"])
    with started(tmp_path, "run", "shop.csv") as process:
        until(lambda: has_done(tmp_path, 2), 30, "two images are done")
        kill_session(process.pid)
        process.wait(60)
    assert not (tmp_path / "shop.out.csv").exists()
    wake(origin, "/silent/10", "/10.jpg")
    code, out, _ = imagemill(tmp_path, "run", "shop.csv")
    assert code == 0
    assert "3 of 3 images done" in out
    assert len(links((tmp_path / "shop.out.csv").read_text())) == 3
    assert origin.hits["/10.jpg"] == origin.hits["/11.jpg"] == 1


def test_interrupted_while_the_sheet_comes_in_it_leaves_nothing(tmp_path: Path) -> None:
    spool = tmp_path / "sheet-images/.imagemill/spool"
    with started(tmp_path, "run", "-") as process:
        until(lambda: spool.is_dir() and any(spool.glob("intake-*")), 30, "the sheet is being read")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert names(tmp_path) == set()


def has_done(folder: Path, count: int) -> bool:
    """Say whether so many images are recorded as done: their files are there a moment before."""
    path = folder / "shop-images/.imagemill/imagemill.db"
    if not path.is_file():
        return False
    with contextlib.closing(sqlite3.connect(path, 60)) as database:
        is_made = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'image'").fetchone()
        return bool(is_made) and count_done(database) >= count


def count_done(database: sqlite3.Connection) -> int:
    return int(database.execute("SELECT count(*) FROM image WHERE state = 'done'").fetchone()[0])


def wake(origin: Origin, path: str, name: str) -> None:
    """Let a silent path answer from now on."""
    data = origin.file(name) or b""
    origin.answers[path] = f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data


def test_what_failed_is_tried_again_when_that_is_asked(origin: Origin, tmp_path: Path) -> None:
    write_sheet(tmp_path, [f"{origin.url}/3.jpg, {origin.url}/late.jpg"])
    code, out, _ = imagemill(tmp_path, "run", "shop.csv")
    assert (code, "the same command with --retry-failed" in out) == (3, True)
    assert origin.folder is not None
    (origin.folder / "late.jpg").write_bytes((origin.folder / "4.jpg").read_bytes())
    assert imagemill(tmp_path, "run", "shop.csv")[0] == 3  # what has failed stays so by itself
    before = origin.hits["/3.jpg"]
    code, out, err = imagemill(tmp_path, "run", "shop.csv", "--retry-failed")
    assert (code, "1 failed and are tried again" in err, "2 of 2 images done" in out) == (0, True, True)
    assert origin.hits["/3.jpg"] == before
    assert imagemill(tmp_path, "run", "shop.csv", "--retry-failed")[0] == 0
