"""The light verbs, the flags that all share, and what an error looks like from outside."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from imagemill import __version__
from imagemill.cli import VERBS, console, main, recipe_flags
from imagemill.cli.paths import places_of
from imagemill.cli.run import settings_of, trouble
from imagemill.cli.serve import is_journal
from imagemill.core.errors import NotFoundError, RequestError, SettingError, StartError, UnfitError
from imagemill.core.recipe import Recipe, Thumbnail
from imagemill.db import StoreError
from imagemill.settings import CallbackSettings, ImageSettings, Settings

TOKEN_VERBS = [("token", verb) for verb in ("show", "create", "list", "revoke")]
HEAVY = {"litestar", "granian", "httpx", "huey", "peewee", "PIL", "rich"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test a home and an environment of its own."""
    for name in [name for name in os.environ if name.startswith(("IMAGEMILL_", "XDG_", "DISPLAY", "WAYLAND_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    out, err = capsys.readouterr()
    return code, out, err


def test_without_a_verb_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys)
    assert code == 0
    assert all(f"  {verb} " in out for verb in VERBS)


@pytest.mark.parametrize("verb", [(), *((verb,) for verb in VERBS), *TOKEN_VERBS])
def test_every_level_has_help_with_an_example(verb: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, *verb, "--help")
    assert code == 0
    assert "Example: " in out


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "--version") == (0, f"imagemill {__version__}\n", "")


def test_help_loads_nothing_heavy_and_is_quick() -> None:
    code = "import sys; from imagemill.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    began_s = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {name.partition(".")[0] for name in done.stderr.split()} & HEAVY
    assert time.monotonic() - began_s < 30  # on a machine that others use too


def test_a_run_without_failures_loads_no_server_no_driver_and_nothing_that_draws() -> None:
    modules = "imagemill.cli.run, imagemill.cli.report, imagemill.appliance"
    code = f"import sys, {modules}; print(*(name for name, each in sys.modules.items() if each))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    dear = {"litestar", "granian", "rich", "pygments", "psycopg", "redis", "PIL.Image", "httpx._main"}
    assert not set(done.stdout.split()) & dear


def test_what_comes_before_the_pool_loads_none_of_what_comes_after() -> None:
    code = "import sys, imagemill.cli.run, imagemill.ground; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"httpx", "peewee", "huey", "imagemill.appliance", "imagemill.pipeline"}


def test_a_spawned_child_that_imports_the_main_module_loads_no_command_line() -> None:
    code = "import sys, imagemill.__main__; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "imagemill.cli" not in done.stdout.split()
    assert "click" not in done.stdout.split()


@pytest.mark.parametrize("program", [["-m", "imagemill"], ["-c", "from imagemill.__main__ import main; main()"]])
def test_the_program_ends_with_the_verbs_exit_code(program: list[str]) -> None:
    done = subprocess.run([sys.executable, *program, "nonsense"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "No such command 'nonsense'" in done.stderr
    assert done.stdout == ""


def test_a_verb_with_a_slip_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["srve", "--port", "1"]) == 2
    assert "there is no verb srve: did you mean serve?" in capsys.readouterr().err


RIGHTS = "give it to the user who calls imagemill, or name another place"
DOCTOR = "run `imagemill doctor`, which looks at all that imagemill needs"
LOCKED = "database is locked; another program holds it: close that one, and try again"


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (NotFoundError("no such job"), 1, "Error: no such job\n"),
        (StartError("port taken"), 1, "Error: port taken\n"),
        (UnfitError("a newer database"), 2, "Error: a newer database\n"),
        (SettingError("setting port"), 2, "Error: setting port\n"),
        (RequestError("wrong fields", [("quality", "1 to 100")]), 2, "Error: wrong fields\n  quality: 1 to 100\n"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 1, f"Error: Permission denied: /x; {RIGHTS}\n"),
        (OSError(errno.ENOSPC, "No space"), 1, "Error: No space; free some space, or name a place on another disk\n"),
        (
            OSError(errno.ENOEXEC, "Odd"),
            1,
            f"Error: Odd; {DOCTOR}\n",
        ),
        (
            StoreError("", cause="database is locked"),
            1,
            f"Error: the database cannot be read or written now: {LOCKED}\n",
        ),
        (StoreError("the database cannot be read"), 1, "Error: the database cannot be read\n"),
        (NotFoundError("a\x1b[2Jb"), 1, "Error: a\ufffd[2Jb\n"),
        (click.UsageError("no"), 2, "Error: no\n"),
        (click.Abort(), 130, "Interrupted.\n"),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
    ],
)
def test_an_error_is_one_message_and_an_exit_code(
    error: BaseException, code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert console.exit_code(lambda: raising(error), console.Session()) == code
    assert capsys.readouterr().err == told


def test_what_nobody_foresaw_is_told_without_a_traceback_unless_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = console.Session()
    assert console.exit_code(lambda: raising(ZeroDivisionError("by zero")), session) == 1
    err = capsys.readouterr().err
    assert "unexpected ZeroDivisionError: by zero" in err
    assert "--debug" in err
    assert "Traceback" not in err
    monkeypatch.setenv("IMAGEMILL_DEBUG", "1")
    console.exit_code(lambda: raising(ZeroDivisionError()), console.Session())
    assert "Traceback" in capsys.readouterr().err


def raising(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("arguments", [("--debug", "settings"), ("settings", "--debug")])
def test_debug_may_stand_before_or_after_the_verb(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGEMILL_PORT", "x")
    code, _, err = said(capsys, *arguments)
    assert code == 2
    assert "Traceback" in err
    assert "IMAGEMILL_PORT" in err


def test_a_terminal_without_our_characters_gets_question_marks() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    console.forgive(stream)
    stream.write("a → b")
    stream.flush()
    assert raw.getvalue() == b"a ? b"
    console.forgive(io.StringIO())


def test_settings_as_a_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEMILL_FETCH_ALLOW", "a.example,10.0.0.0/8")
    monkeypatch.setenv("IMAGEMILL_CALLBACK_SECRET", "hunter2")
    code, out, _ = said(capsys, "settings")
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert code == 0
    assert lines["setting"].split() == ["setting", "value", "from", "help"]
    assert "a.example, 10.0.0.0/8" in lines["fetch.allow"]
    assert "IMAGEMILL_FETCH_ALLOW" in lines["fetch.allow"]
    assert lines["public_url"].split()[1:3] == ["-", "default"]
    assert "hunter2" not in out


def test_settings_as_json(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    (home / "some.toml").write_text("port = 1\n")
    code, out, _ = said(capsys, "settings", "--json", "--config", "some.toml")
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0
    assert (rows["port"]["value"], rows["port"]["origin"]) == (1, str(home / "some.toml"))
    assert rows["fetch.allow"]["environment"] == "IMAGEMILL_FETCH_ALLOW"


def test_settings_as_a_file(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    code, out, _ = said(capsys, "settings", "--toml")
    assert code == 0
    assert "# port = 8750\n" in out
    assert said(capsys, "settings", "--toml", "new.toml") == (0, "", "")
    assert (home / "new.toml").read_text() == out
    code, _, err = said(capsys, "settings", "--toml", "new.toml")
    assert code == 2
    assert "new.toml exists already" in err


def test_the_token_is_shown_where_there_is_one(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    code, out, err = said(capsys, "token", "show", "--data-dir", "mill")
    assert (code, out) == (1, "")
    assert "start `imagemill serve` once" in err
    (home / "mill").mkdir()
    (home / "mill" / "token").write_text("im_abc\n")
    assert said(capsys, "token", "show", "--data-dir", "mill") == (0, "im_abc\n", "")


def test_recipe_flags_are_a_recipe_over_the_settings_defaults() -> None:
    defaults = ImageSettings(quality=70, accept_truncated=True).recipe_defaults()
    assert recipe_flags.recipe({"quality": None}, defaults) == Recipe(quality=70, accept_truncated=True)
    given = {"quality": 40, "thumbnails": (Thumbnail(1, 2),), "background": "#000000", "metadata": "keep"}
    expected = Recipe(quality=40, thumbnails=(Thumbnail(1, 2),), background="#000000", metadata="keep")
    assert recipe_flags.recipe(given | {"accept_truncated": False}, defaults) == expected


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--quality", "0"), "--quality: Expected `int` >= 1"),
        (("--quality", "high"), "'high' is not a valid integer"),
        (("--format", "gif"), "'auto', 'keep', 'jpeg', 'png', 'webp'"),
        (("--max-width", "0"), "--max-width: Expected `int` >= 1"),
        (("--background", "white"), "--background: Expected `str` matching regex"),
        (("--thumbnail", "10"), "write WxH, WxH:cover or WxH:contain"),
        (("--thumbnail", "0x10"), "Expected `int` >= 1"),
        (("--on-failure", "stop"), "'keep-url', 'empty'"),
        (("--workers", "-1"), "setting workers: -1 (from --workers)"),
        (("--public-url", "nowhere"), "from --public-url"),
        (("--json", "-o", "-"), "both want standard output"),
        (("-o", "sheet.csv"), "would overwrite the sheet"),
        (("--config", "none.toml"), "does not exist"),
    ],
)
def test_wrong_use_of_run_is_told_before_anything_starts(
    flags: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    (home / "sheet.csv").write_text("Images\nhttp://a.example/1.jpg\n")
    code, out, err = said(capsys, "run", "sheet.csv", *flags)
    assert (code, out) == (2, "")
    assert told in " ".join(err.split())
    assert [path.name for path in home.iterdir()] == ["sheet.csv"]


def test_a_run_of_no_sheet_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = said(capsys, "run", "none.csv")
    assert code == 2
    assert "'none.csv' does not exist" in err


@pytest.mark.parametrize(
    ("sheet", "output", "images", "expected"),
    [
        ("in/a.csv", None, None, ("in/a.out.csv", "in/a-images")),
        ("in/a.csv", "out/b.csv", None, ("out/b.csv", "out/a-images")),
        ("in/a.csv", "-", None, ("-", "in/a-images")),
        ("in/a.csv", os.devnull, None, (os.devnull, "in/a-images")),
        ("in/a.csv", "out/b.csv", Path("pictures"), ("out/b.csv", "pictures")),
        ("-", None, None, ("sheet.out.csv", "sheet-images")),
        ("-", "-", None, ("-", "sheet-images")),
    ],
)
def test_a_run_writes_beside_what_it_reads(
    sheet: str, output: str | None, images: Path | None, expected: tuple[str, str]
) -> None:
    places = places_of(sheet, output, images, None)
    assert (places.output, places.images) == (expected[0], Path(expected[1]).absolute())
    assert places.filename == ("sheet.csv" if sheet == "-" else "a.csv")


def test_a_run_keeps_its_state_beside_the_pictures_and_calls_nobody() -> None:
    service = Settings(
        public_url="https://shop.example", callback=CallbackSettings(url="https://hook.example"), workers=3
    )
    places = places_of("a.csv", None, Path("/pictures"), None)
    settings = settings_of(service, places, None)
    assert (settings.data_dir, settings.storage.url) == ("/pictures/.imagemill", "file:/pictures")
    assert (settings.public_url, settings.callback.url, settings.workers) == (None, None, 3)
    assert settings_of(service, places, "https://shop.example").public_url == "https://shop.example"


def test_trouble_is_what_readiness_says_in_words() -> None:
    assert trouble({"database": True, "disk": "disk: 3 MiB free", "workers": "dead"}) == "disk: 3 MiB free; dead"
    assert trouble({"database": True}) == ""


def test_the_journal_is_recognised(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "stream").open("w") as file:
        assert not is_journal(file.fileno())
        status = os.fstat(file.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        assert is_journal(file.fileno())
