"""`imagemill compress`: files and folders, where each goes, what is never written over, and two ways to end."""

from __future__ import annotations

import json
import os
import signal
import stat
from pathlib import Path
from typing import Any

import click
import pytest
from PIL import Image

from imagemill.cli.pairs import Pair, pairs_of
from tests.appliance_process import needs_proc, session_pids, until
from tests.cli.children import imagemill, started

FORMATS = ("jpeg", "png", "webp", "gif", "bmp", "tiff")


def drawn(path: Path, *, size: tuple[int, int] = (160, 120), **how: Any) -> Path:  # noqa: ANN401 - as `save` has them
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = Image.effect_noise(size, 60).convert("RGB")
    noise.save(path, **how)
    return path


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_files_and_folders_keep_their_structure_and_get_smaller(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    drawn(shop / "a.JPG", format="jpeg", quality=95).chmod(0o640)
    drawn(shop / "deep/er/b.jpeg", quality=95)
    drawn(shop / "deep/c.bmp")
    drawn(shop / ".hidden/d.jpg")
    (shop / "notes.txt").write_text("no picture")
    (shop / "liar.png").write_text("<html>")
    drawn(tmp_path / "large.png", size=(2100, 1100))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    flags = ("-o", "out", "--json", "--quality", "40", "--thumbnail", "20x20", "--max-width", "500")
    code, out, err = imagemill(tmp_path, "compress", "shop", "large.png", *flags)
    assert code == 3, err
    told = json.loads(out)
    assert (told["images"], told["done"], told["failed"], told["exit_code"]) == (5, 4, 1, 3)
    assert told["output_bytes"] < told["source_bytes"] / 2
    assert [each["code"] for each in told["files"] if each["code"]] == ["not_an_image"]
    (made,) = (each for each in told["files"] if each["source"] == "shop/deep/c.bmp")
    ending = Path(made["outputs"][0]["path"]).suffix
    assert files(tmp_path / "out") == sorted(
        [
            *("large.jpg", "large-thumb-20x20.jpg", "shop/a.JPG", "shop/a-thumb-20x20.JPG", "shop/deep/er/b.jpeg"),
            *("shop/deep/er/b-thumb-20x20.jpeg", f"shop/deep/c{ending}", f"shop/deep/c-thumb-20x20{ending}"),
        ]
    )
    for each in told["files"]:
        for output in each["outputs"]:
            with Image.open(tmp_path / output["path"]) as picture:
                assert picture.size == (output["width"], output["height"])
                assert picture.format == output["format"].upper()
    with Image.open(tmp_path / "out/large.jpg") as picture:
        assert picture.size == (500, 262)
    assert stat.S_IMODE((tmp_path / "out/shop/a.JPG").stat().st_mode) == 0o640
    assert {path: path.read_bytes() for path in before} == before


def test_people_read_a_summary_and_what_failed(tmp_path: Path) -> None:
    drawn(tmp_path / "a.jpg", quality=95)
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:2000])
    code, out, err = imagemill(tmp_path, "compress", "a.jpg", "b.jpg")
    assert (code, files(tmp_path / "compressed")) == (3, ["a.jpg"])
    assert "b.jpg: truncated: " in out
    assert "1 of 2 pictures done, 1 failed · " in out
    assert "Pictures: compressed" in out
    assert "2/2 images (100 %)" in err
    code, out, _ = imagemill(tmp_path, "compress", "b.jpg", "--accept-truncated", "-o", "half")
    assert (code, files(tmp_path / "half")) == (0, ["b.jpg"])
    code, out, _ = imagemill(tmp_path, "compress", "b.jpg", "-o", "none")
    assert (code, (tmp_path / "none").exists()) == (1, False)


def test_what_is_there_is_replaced_only_when_asked_for(tmp_path: Path) -> None:
    drawn(tmp_path / "a.jpg", quality=95)
    (tmp_path / "compressed").mkdir()
    (tmp_path / "compressed/a.jpg").write_text("somebody's own")
    code, out, _ = imagemill(tmp_path, "compress", "a.jpg")
    assert (code, "--overwrite" in out) == (1, True)
    assert (tmp_path / "compressed/a.jpg").read_text() == "somebody's own"
    code, _, _ = imagemill(tmp_path, "compress", "a.jpg", "--overwrite")
    assert code == 0
    assert files(tmp_path / "compressed") == ["a.jpg"]
    Image.open(tmp_path / "compressed/a.jpg").close()


def test_limits_hold_here_too(tmp_path: Path) -> None:
    drawn(tmp_path / "a.png", size=(400, 300))
    for settings, code in (
        ({"fetch_max_bytes": 100}, "too_large"),
        ({"image_max_pixels": 1000}, "too_many_pixels"),
        ({"image_formats": "jpeg"}, "unsupported_format"),
    ):
        given: dict[str, Any] = settings
        ended, out, err = imagemill(tmp_path, "compress", "a.png", **given)
        assert (ended, f"a.png: {code}: " in out) == (1, True), out + err


def test_a_large_source_goes_through_a_file(tmp_path: Path) -> None:
    source = drawn(tmp_path / "large.bmp", size=(1400, 1100))
    assert source.stat().st_size > 4 << 20
    code, out, _ = imagemill(tmp_path, "compress", "large.bmp", "--format", "png", "--json")
    assert code == 0, out
    assert files(tmp_path / "compressed") == ["large.png"]


def pair_names(tmp_path: Path, *given: str) -> list[tuple[str, str]]:
    pairs = pairs_of([Path(each) for each in given], Path("out"), FORMATS)
    return [(pair.source.as_posix(), pair.place.as_posix()) for pair in pairs]


def test_where_each_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("x/a.png", "x/y/a.png", "b.jpg", "out/x/a.png"):
        drawn(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert pair_names(tmp_path, "x", "b.jpg") == [
        ("x/a.png", "out/x/a.png"),
        ("x/y/a.png", "out/x/y/a.png"),
        ("b.jpg", "out/b.jpg"),
    ]
    assert pair_names(tmp_path, ".") == [
        ("b.jpg", "out/b.jpg"),
        ("x/a.png", "out/x/a.png"),
        ("x/y/a.png", "out/x/y/a.png"),
    ]
    (tmp_path / "x/loop").symlink_to(tmp_path, target_is_directory=True)
    assert len(pair_names(tmp_path, "x")) == 2


@pytest.mark.parametrize(
    ("given", "target", "told"),
    [
        (("x/a.png", "y/a.png"), "out", r"x/a.png and y/a.png would both become out/a.png"),
        (("x/a.png", "y/A.PNG"), "out", r"would both become"),
        (("x",), ".", r"x/a.png is a source"),
        (("x/a.png",), "x", r"x/a.png is a source"),
        (("x/a.png",), "link", r"link/a.png is a source"),
        (("empty",), "out", r"there is no picture"),
    ],
)
def test_clashes_are_told_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], target: str, told: str
) -> None:
    for name in ("x/a.png", "y/a.png", "y/A.PNG", "empty/notes.png.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to(tmp_path / "x", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(click.UsageError, match=told):
        pairs_of([Path(each) for each in given], Path(target), FORMATS)


def test_two_that_get_one_name_by_their_format_are_one_failure(tmp_path: Path) -> None:
    drawn(tmp_path / "x/a.bmp")
    drawn(tmp_path / "x/a.png")
    code, out, err = imagemill(tmp_path, "compress", "x", "--format", "jpeg")
    assert code == 3, err
    assert "name_taken: compressed/x/a.jpg was made of x/a." in out
    assert files(tmp_path / "compressed") == ["x/a.jpg"]
    assert Pair(Path("a.bmp"), Path("out/a.bmp")).output("thumb-1x1", "jpeg") == Path("out/a-thumb-1x1.jpg")


@needs_proc
def test_a_signal_ends_it_in_order_and_leaves_no_half_file(tmp_path: Path) -> None:
    first = drawn(tmp_path / "x/0.png", size=(900, 700))
    for n in range(1, 120):
        os.link(first, tmp_path / f"x/{n}.png")
    with started(tmp_path, "compress", "x", "-o", "out") as process:
        until(lambda: (tmp_path / "out/x").is_dir() and files(tmp_path / "out/x"), 40, "some are made")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=180)
        assert process.returncode == 130, err
        until(lambda: not session_pids(process.pid), 5, "its children are gone")
    made = files(tmp_path / "out")
    assert 0 < len(made) < 120
    assert all(name.startswith("x/") for name in made)
    for name in made:
        with Image.open(tmp_path / "out" / name) as picture:
            picture.load()


def test_nothing_named_is_wrong_use(tmp_path: Path) -> None:
    code, _, err = imagemill(tmp_path, "compress")
    assert (code, "Missing argument" in err) == (2, True)
    code, _, err = imagemill(tmp_path, "compress", "absent.jpg")
    assert (code, "does not exist" in err) == (2, True)
