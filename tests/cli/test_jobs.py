"""`imagemill submit` and `imagemill jobs` against a running imagemill, as a user types them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from imagemill.cli import main
from imagemill.cli.client import local_address
from imagemill.cli.submit import form_of
from imagemill.core.errors import ImageCode
from imagemill.core.failures import NEXT_STEPS
from imagemill.core.recipe import Thumbnail
from imagemill.settings import Settings
from tests.appliance_process import ApplianceProcess, needs_proc
from tests.origin import Origin
from tests.ports import free_port

pytestmark = needs_proc

NOBODY = "0193b6a8-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApplianceProcess]:
    settings = {"workers": 1, "fetch_retries": 0, "fetch_read_timeout_s": 2}
    with ApplianceProcess(tmp_path_factory.mktemp("appliance") / "data", settings) as running:
        yield running


class Shell:
    """Types verbs on the machine of an appliance."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str) -> tuple[int, str, str]:
        code = main(words)
        out, err = self._capsys.readouterr()
        return code, out, err


@pytest.fixture
def shell(
    appliance: ApplianceProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    for name in [name for name in os.environ if name.startswith(("IMAGEMILL_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("IMAGEMILL_DATA_DIR", str(appliance.data_dir))
    monkeypatch.setenv("IMAGEMILL_PORT", str(appliance.port))
    monkeypatch.chdir(tmp_path)
    return Shell(capsys)


def write(*urls: str, header: str = "ID,Images") -> str:
    Path("shop.csv").write_text(f"{header}\n" + "".join(f"{n},{url}\n" for n, url in enumerate(urls, 1)))
    return "shop.csv"


def test_a_sheet_is_sent_awaited_and_fetched(shell: Shell, origin: Origin, appliance: ApplianceProcess) -> None:
    assert "imagemill submit products.csv" in shell("jobs")[2]
    flags = ("--quality", "40", "--thumbnail", "20x20", "--keep-original", "--name", "spring", "--errors-column")
    sheet = write(f"{origin.url}/0.jpg", header="ID,Bild")
    code, out, err = shell("submit", sheet, *flags, "--image-column", "Bild", "-o", "done.csv")
    assert code == 0, err
    assert "completed" in out
    assert "1 of 1 done, 0 failed" in out
    assert f"{appliance.url}/images/" in Path("done.csv").read_text()
    code, out, _ = shell("jobs", "--name", "spring", "--json")
    (job,) = json.loads(out)["jobs"]
    assert (code, job["recipe"]["quality"], job["state"]) == (0, 40, "completed")
    code, out, _ = shell("jobs")
    assert code == 0
    assert out.split()[:3] == ["id", "state", "images"]
    assert job["id"] in out
    assert shell("jobs", "--name", "autumn") == (0, "", "There are no such jobs.\n")


def test_the_page_is_opened_by_a_link(
    shell: Shell, appliance: ApplianceProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = shell("page")
    assert (code, err) == (0, "")
    assert out.startswith(f"{appliance.url}/sign-in?code=")
    assert httpx.get(out.strip(), trust_env=False).headers["location"] == "/"
    assert httpx.get(out.strip(), trust_env=False).status_code == 401
    assert set(json.loads(shell("page", "--json")[1])) == {"url", "expires_at"}
    monkeypatch.setenv("BROWSER", "/bin/false")
    monkeypatch.setattr("webbrowser._tryorder", None)
    code, out, err = shell("page", "--open")
    assert (code, err) == (0, "there is no browser to open here: copy the link into one\n")


def test_a_job_is_moved(shell: Shell, origin: Origin) -> None:
    sheet = write(f"{origin.url}/1.jpg", f"{origin.url}/none.jpg")
    code, out, _ = shell("submit", sheet, "--wait", "--json")
    job = json.loads(out)
    assert (code, job["state"]) == (3, "partial")
    for words in (("jobs", "show", job["id"]), ("jobs", "wait", job["id"]), ("submit", sheet, "--wait")):
        _, out, _ = shell(*words)
        assert f"{origin.url}/none.jpg" in out
        assert f"http_status: {NEXT_STEPS[ImageCode.HTTP_STATUS]}" in out.splitlines()
        assert "To try these again: imagemill jobs retry" in out
    _, out, err = shell("submit", sheet, "-o", "-")
    assert (out.splitlines()[0], "http_status: " in err) == ("ID,Images,Output Image Urls", True)
    failed = json.loads(shell("jobs", "show", job["id"], "--json")[1])["counts"]["failed"]
    assert failed == 1
    (origin.folder / "none.jpg").write_bytes((origin.folder / "1.jpg").read_bytes())  # type: ignore[operator]
    code, out, err = shell("jobs", "retry", job["id"])
    assert code == 0, err
    code, out, _ = shell("jobs", "wait", job["id"])
    assert (code, "completed" in out) == (0, True)
    code, out, err = shell("jobs", "cancel", job["id"])
    assert (code, out) == (1, "")
    assert "this job is completed" in err
    assert shell("jobs", "delete", job["id"]) == (0, f"{job['id']} is deleted\n", "")
    code, _, err = shell("jobs", "show", job["id"])
    assert (code, "there is no such job" in err) == (1, True)


def test_pause_resume_cancel(shell: Shell, origin: Origin) -> None:
    sheet = write(*(f"{origin.url}/silent?{n}" for n in range(40)))
    job = json.loads(shell("submit", sheet, "--json")[1])["id"]
    for verb, state in (("pause", "paused"), ("resume", "processing"), ("cancel", "cancelled")):
        code, out, err = shell("jobs", verb, job, "--json")
        assert code == 0, err
        assert json.loads(out)["state"] in {state, "pending" if verb == "resume" else state}
    assert shell("jobs", "wait", job)[0] == 1
    image = json.loads(shell("jobs", "show", job, "--json")[1])["id"]
    code, _, err = shell("jobs", "retry", job, "--image", image)
    assert (code, "not of this job's images" in err, "images: " in err) == (1, True, True)
    assert shell("jobs", "delete", job, "--json")[1] == "{}\n"


def test_a_faulty_sheet_is_shown_as_run_shows_it(shell: Shell) -> None:
    code, out, err = shell("submit", write("nonsense", "http://a.example/1.jpg"))
    assert (code, out) == (1, "")
    assert "the sheet has 1 fault: correct it" in err
    code, out, _ = shell("submit", write("nonsense"), "--json")
    assert (code, json.loads(out)["code"], json.loads(out)["error_count"]) == (1, "invalid_sheet", 1)


def test_a_wrong_field_is_named(shell: Shell) -> None:
    code, out, err = shell("submit", write("http://a.example/1.jpg"), "--priority", "99")
    assert (code, out) == (1, "")
    assert "priority: Must be" in err


def test_the_sheet_may_come_through_a_pipe(shell: Shell, origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    with Path(write(f"{origin.url}/2.jpg")).open() as stream:
        monkeypatch.setattr("sys.stdin", stream)
        code, out, err = shell("submit", "-", "-o", "-")
    assert code == 0, err
    assert out.splitlines()[0] == "ID,Images,Output Image Urls"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("jobs", "--url", "http://mill.example"), 2, "name a token for that address"),
        (("jobs", "--url", "http://127.0.0.1:1", "show", NOBODY), 2, "after the verb"),
        (("jobs", "show", NOBODY, "--token", "im_wrong"), 1, "This token is not known here: `imagemill token create`"),
        (("jobs", "show", NOBODY, "--token", "@none"), 1, "No such file or directory: none; see how"),
        (("jobs", "--url", "mill", "--token", "im_x"), 1, "write it with http://"),
        (("jobs", "show", NOBODY), 1, "there is no such job"),
        (("jobs", "show", "../system"), 2, "not a valid UUID"),
        (("submit", "shop.csv", "--json", "-o", "-"), 2, "both want standard output"),
    ],
)
def test_what_is_wrong_is_told(shell: Shell, words: tuple[str, ...], code: int, told: str) -> None:
    write("http://a.example/1.jpg")
    ended, out, err = shell(*words)
    assert (ended, out) == (code, "")
    assert told in " ".join(err.split())


def test_nobody_there(shell: Shell) -> None:
    code, _, err = shell("jobs", "--url", f"http://127.0.0.1:{free_port()}")
    assert code == 1
    assert "start `imagemill serve`" in err


def test_a_stranger_on_the_port_of_one_that_died_is_not_shown_the_token(
    shell: Shell, origin: Origin, appliance: ApplianceProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGEMILL_PORT", origin.url.rpartition(":")[2])
    shutil.copy(appliance.data_dir / "token", tmp_path / "token")
    running = {"address": origin.url, "pid": os.getpid()}
    (tmp_path / "running.json").write_text(json.dumps(running))
    code, _, err = shell("jobs", "--data-dir", str(tmp_path))
    assert (code, "no imagemill runs on" in err, "imagemill serve" in err) == (1, True, True), err


def test_somebody_else_there(shell: Shell, origin: Origin) -> None:
    code, _, err = shell("jobs", "--url", origin.url)
    assert code == 1
    assert "check --url" in err


def test_a_token_may_be_in_a_file(shell: Shell, appliance: ApplianceProcess) -> None:
    Path("token.txt").write_text((appliance.data_dir / "token").read_text())
    assert shell("jobs", "--token", "@token.txt", "--url", appliance.url)[0] == 0
    assert shell("jobs", "show", NOBODY, "--token", "@token.txt")[0] == 1


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", "http://127.0.0.1:9"), ("0.0.0.0", "http://127.0.0.1:9"), ("::", "http://[::1]:9")],
)
def test_the_local_address(host: str, expected: str) -> None:
    assert local_address(Settings(host=host, port=9)) == expected


def test_flags_become_fields() -> None:
    flags = {"quality": 40, "thumbnails": (Thumbnail(1, 2), Thumbnail(3, 4, "contain")), "name": None}
    assert form_of({**flags, "errors_column": True, "keep_original": False}) == {
        "quality": "40",
        "thumbnails": "1x2:cover,3x4:contain",
        "errors_column": "true",
    }
