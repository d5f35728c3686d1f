"""`imagemill run --estimate`, from outside: numbers out, and not a file left."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from imagemill.cli.estimate import lines
from imagemill.core.estimate import Estimate, Fault
from tests.appliance_process import until
from tests.cli.children import ended, imagemill, started
from tests.cli.test_run import names, write_sheet
from tests.origin import Origin


def test_it_estimates_and_leaves_nothing(origin: Origin, tmp_path: Path) -> None:
    write_sheet(tmp_path, [f"{origin.url}/0.jpg, {origin.url}/1.jpg", f"{origin.url}/0.jpg,{origin.url}/none.jpg"])
    before = names(tmp_path)
    code, out, err = imagemill(tmp_path, "run", "shop.csv", "--estimate", "--images", "deep/pictures")
    assert code == 0, err
    first, fault, last = out.splitlines()
    assert first == "4 images, 3 different; 3 of them tried"
    assert fault.startswith(f"  http_status: {origin.url}/none.jpg: ")
    assert last.startswith("About ")
    assert "kB to fetch" in last
    assert names(tmp_path) == before


def test_it_knows_what_an_earlier_run_made_and_does_not_go_on_with_it(origin: Origin, tmp_path: Path) -> None:
    write_sheet(tmp_path, [f"{origin.url}/0.jpg"])
    assert imagemill(tmp_path, "run", "shop.csv")[0] == 0
    state = tmp_path / "shop-images/.imagemill"
    kept = {path for path in (tmp_path / "shop-images").rglob("*") if path.parent != state}
    code, out, _ = imagemill(tmp_path, "run", "shop.csv", "--estimate", "--json")
    told = json.loads(out)
    assert (code, told["unique_images"], told["already_done"], told["errors"]) == (0, 1, 1, [])
    assert {path for path in (tmp_path / "shop-images").rglob("*") if path.parent != state} == kept


def test_a_faulty_sheet_is_refused_as_ever(tmp_path: Path) -> None:
    write_sheet(tmp_path, ["ftp://a.example/1.jpg"])
    before = names(tmp_path)
    code, out, err = imagemill(tmp_path, "run", "shop.csv", "--estimate")
    assert (code, out) == (1, "")
    assert "bad_url" in err
    assert names(tmp_path) == before


def test_interrupted_it_says_nothing_and_leaves_nothing(origin: Origin, tmp_path: Path) -> None:
    write_sheet(tmp_path, [f"{origin.url}/silent/1"])
    before = names(tmp_path)
    with started(tmp_path, "run", "shop.csv", "--estimate") as process:
        until(lambda: origin.hits["/silent/1"], 30, "the origin is asked")
        process.send_signal(signal.SIGINT)
        code, out, _ = ended(process)
    assert (code, out) == (130, "")
    assert names(tmp_path) == before


def test_people_are_told_what_is_known() -> None:
    known = Estimate(
        images=3408,
        unique_images=714,
        already_done=89,
        sampled=8,
        bytes_in_estimate=72_000_000,
        bytes_out_estimate=43_000_000,
        seconds_estimate=61.4,
        errors=[],
    )
    assert list(lines(known)) == [
        "3,408 images, 714 different; 8 of them tried",
        "About 72.0 MB to fetch, 43.0 MB to keep, 1:01 of time.",
        "About 89 are done already, by an earlier run.",
    ]
    fault = Fault("http://a/\x1b[2J", "timeout", "too slow")
    unknown = Estimate(
        images=1,
        unique_images=1,
        already_done=0,
        sampled=1,
        bytes_in_estimate=None,
        bytes_out_estimate=None,
        seconds_estimate=None,
        errors=[fault],
    )
    assert list(lines(unknown))[1:] == [
        "  timeout: http://a/\N{REPLACEMENT CHARACTER}[2J: too slow",
        "None of those came through: nothing can be said about the rest.",
    ]
