"""Failed images become few things to mend; faults and failures become tables that cannot harm a terminal."""

from __future__ import annotations

import io

import pytest
from rich.table import Table

from imagemill.cli import report
from imagemill.cli.console import ExitCode, printable
from imagemill.cli.report import Outcome, Refusal, Unlike
from imagemill.cli.tables import GROUPS, console_for, failures_table, faults_table
from imagemill.core.errors import ImageCode
from imagemill.core.failures import NEXT_STEPS, Example, Group, cause, next_step
from imagemill.core.job import Counts, Volume
from imagemill.core.sheet import Fault, Faults, SheetError
from imagemill.core.states import JobState
from tests.cli.stories import JOB_ID, job


def shown(table: Table) -> str:
    stream = io.StringIO()
    console_for(stream).print(table)
    return stream.getvalue()


def group(code: str, host: str, *images: tuple[int, str, str]) -> Group:
    examples = [Example(row, 1, url, message, JOB_ID) for row, url, message in images]
    return Group(code, cause(code), host, len(examples), examples, next_step(code))


def outcome(exit_code: ExitCode, output: str = "out.csv", **more: object) -> Outcome:
    failures = [group("timeout", "a.example", (2, "http://a.example/1.jpg", "too slow"))]
    counts = Counts(rows=2, images=3, unique=3, done=2, failed=1)
    values: dict[str, object] = {"warnings": [], "report": None, "failures": failures} | more
    return Outcome(
        job=job(counts, JobState.PARTIAL, Volume(2_000_000, 500_000, 75.0)),
        exit_code=exit_code,
        sheet="in.csv",
        output=output,
        images="/pictures",
        **values,  # type: ignore[arg-type]
    )


def test_the_table_of_failures_has_examples() -> None:
    images = [(row, f"http://a.example/[b]{row}.jpg", "HTTP 404") for row in (2, 3)]
    lines = shown(failures_table([group("http_status", "a.example", *images)])).splitlines()
    assert lines[0].split() == ["images", "code", "host", "row", "image", "url", "message"]
    assert lines[1].split() == ["2", "http_status", "a.example", "2", "1", "http://a.example/[b]2.jpg", "HTTP", "404"]
    assert lines[2].split() == ["3", "1", "http://a.example/[b]3.jpg", "HTTP", "404"]


def test_many_groups_are_counted_and_not_all_shown() -> None:
    hosts = [f"{n:03}.example" for n in range(GROUPS + 5)]
    text = shown(failures_table([group("timeout", host, (2, f"http://{host}/", "too slow")) for host in hosts]))
    assert "5 more groups" in text
    assert f"{GROUPS:03}.example" not in text


def test_the_table_of_faults_says_where_and_what() -> None:
    fault = Fault(row=3, column=2, column_name="Input Image Urls", code="bad_url", message="write http:// before it")
    header, line = shown(faults_table([fault])).splitlines()
    assert header.split() == ["row", "column", "name", "code", "message"]
    assert line.split() == ["3", "2", "Input", "Image", "Urls", "bad_url", "write", "http://", "before", "it"]


def test_strangers_text_does_not_steer_the_terminal() -> None:
    fault = Fault(row=1, column=1, column_name="\x1b]0;title\x07", code="bad_url", message="a\x1b[2Jb\u202ec")
    text = shown(faults_table([fault]))
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert printable("a\x1b[2Jb") == "a\ufffd[2Jb"


def test_the_summary_says_what_is_done_where_it_is_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    report.tell(outcome(ExitCode.PARTIAL))
    out, err = capsys.readouterr()
    assert err == ""
    assert "2 of 3 images done, 1 failed · 2.0 MB → 500.0 kB, 75 % saved" in out
    assert "Sheet: out.csv  Images: /pictures" in out
    assert "http://a.example/1.jpg" in out
    assert f"timeout: {NEXT_STEPS[ImageCode.TIMEOUT]}" in out.splitlines()
    assert "Every image by name: --report FILE." in out
    report.tell(outcome(ExitCode.PARTIAL, report="report.csv"))
    assert "--report" not in capsys.readouterr().out


def test_an_interrupted_run_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    report.tell(outcome(ExitCode.INTERRUPTED))
    out = capsys.readouterr().out
    assert "run the same command again to continue" in out
    assert "http://a.example/1.jpg" not in out


def test_when_the_sheet_goes_to_standard_output_people_are_told_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    report.tell(outcome(ExitCode.DONE, output="-", failures=[]))
    out, err = capsys.readouterr()
    assert out == ""
    assert "2 of 3 images done" in err


def test_warnings_are_shown_up_to_a_few(capsys: pytest.CaptureFixture[str]) -> None:
    warnings = [Fault(row, 3, "Images", "no_images_in_row", "this row has no image") for row in range(2, 10)]
    report.tell(outcome(ExitCode.DONE, warnings=warnings, failures=[]))
    out = capsys.readouterr().out
    assert "Row 2: this row has no image" in out
    assert "… and 3 more rows like that" in out


def test_a_refused_sheet_is_told_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    faults = Faults()
    for row in range(2, 1500):
        faults.add(Fault(row, 3, "Images", "bad_url", "not a URL"))
    report.tell_refusal(report.refusal(SheetError(faults)))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("bad_url") == len(faults.listed)
    assert "… and 498 more" in err
    assert "the sheet has 1,498 faults: correct them" in err


def test_one_fault_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    report.tell_refusal(Refusal(code="invalid_sheet", errors=[], error_count=1))
    assert "the sheet has 1 fault: correct it and run it again" in capsys.readouterr().err


@pytest.mark.parametrize(("ssim", "said"), [(0.9126, "row 5, image 2, http://a.example/x (SSIM 0.913)"), (1.0, "")])
def test_the_summary_names_the_image_least_like_its_source(ssim: float, said: str) -> None:
    lines = report.summary(outcome(ExitCode.DONE, worst=Unlike(5, 2, "http://a.example/x", ssim), failures=[]))
    assert [line.partition("of a sample: ")[2] for line in lines if "Least like" in line] == ([said] if said else [])
