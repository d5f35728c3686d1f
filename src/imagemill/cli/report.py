"""What came of a run: for people as a summary with a table of failures, for scripts as JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING

import click
import msgspec

from imagemill.cli.console import ExitCode, complain, printable
from imagemill.cli.progress import size
from imagemill.cli.tables import console_for, failures_table, faults_table
from imagemill.core import keys
from imagemill.core.failures import Failures, Group
from imagemill.core.job import Job
from imagemill.core.sheet import Fault, SheetError
from imagemill.core.states import JobState

if TYPE_CHECKING:
    from imagemill.appliance import Appliance
    from imagemill.cli.paths import Places
    from imagemill.db import Store

_WARNINGS = 5
_GROUPS = 1000
_CODES = {JobState.COMPLETED: ExitCode.DONE, JobState.PARTIAL: ExitCode.PARTIAL}


class Unlike(msgspec.Struct, frozen=True):
    """The image that is least like its source, of those that were compared: where it stands, and its SSIM."""

    row: int
    position: int
    url: str
    ssim: float


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended; what `--json` prints."""

    job: Job
    exit_code: int
    sheet: str
    output: str
    images: str
    report: str | None
    warnings: list[Fault]
    failures: list[Group]
    worst: Unlike | None = None


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a sheet was refused, in the words of the API's problem (API.md, `invalid_sheet`)."""

    code: str
    errors: list[Fault]
    error_count: int


def outcome(appliance: Appliance, job: Job, places: Places, warnings: list[Fault]) -> Outcome:
    """Look at a job's end, or at where it was interrupted."""
    return Outcome(
        job=job,
        exit_code=_CODES.get(job.state, ExitCode.FAILED) if job.is_finished else ExitCode.INTERRUPTED,
        sheet=places.sheet,
        output=places.output,
        images=str(places.images),
        report=places.report,
        warnings=warnings,
        failures=appliance.store.failures(job.id, most=_GROUPS).groups,
        worst=worst(appliance.store, job),
    )


def worst(store: Store, job: Job) -> Unlike | None:
    """Return the image to look at first, if any was compared with its source."""
    place = keys.split_image_id(job.worst_ssim.image_id) if job.worst_ssim else None
    if job.worst_ssim is None or place is None:
        return None
    (image,), _ = store.images(job.id, None, 1, str(place[1] - 1))
    return Unlike(image.row, image.position, image.source_url, job.worst_ssim.ssim)


def tell(result: Outcome, *, as_json: bool = False) -> None:
    """Say it: to a script as JSON, to people on standard output unless the sheet itself went there."""
    if as_json:
        click.echo(msgspec.json.encode(result))
        return
    stream = sys.stderr if result.output == "-" else sys.stdout
    for fault in result.warnings[:_WARNINGS]:
        click.echo(f"Row {fault.row}: {printable(fault.message)}", stream)
    if len(result.warnings) > _WARNINGS:
        click.echo(f"… and {len(result.warnings) - _WARNINGS:,} more rows like that", stream)
    if result.failures and result.exit_code != ExitCode.INTERRUPTED:
        console_for(stream).print(failures_table(result.failures))
    for line in summary(result):
        click.echo(line, stream)


def summary(result: Outcome) -> list[str]:
    """Return the last lines of a run: what is done, where it is, and what to do next."""
    counts, volume = result.job.counts, result.job.bytes
    saved = f"{size(volume.source)} → {size(volume.output)}, {volume.saved_percent:.0f} % saved"
    lines = [f"{counts.done:,} of {counts.images:,} images done, {counts.failed:,} failed · {saved}"]
    if result.exit_code == ExitCode.INTERRUPTED:
        return [*lines, "Interrupted: run the same command again to continue where it was."]
    if (least := result.worst) and least.ssim < 1:
        where = f"row {least.row}, image {least.position}, {printable(least.url)}"
        lines.append(f"Least like its source, of a sample: {where} (SSIM {least.ssim:.3f})")
    lines.append(f"Sheet: {result.output}  Images: {result.images}")
    if result.failures:
        lines += next_steps(result)
    return lines


def next_steps(result: Outcome) -> list[str]:
    """Return what to do about failed images."""
    full = "" if result.report else " Every image by name: --report FILE."
    return [
        *steps_by_code(result.failures),
        f"Correct these in the sheet and run it again: what is done is not compressed twice.{full}",
        "To try these again: the same command with --retry-failed.",
    ]


def steps_by_code(groups: Iterable[Group]) -> list[str]:
    """Return a line for each code: what a person can do about it."""
    steps = {group.code: group.next_step for group in groups}
    return [f"{code}: {step}" for code, step in steps.items() if step]


def tell_failures(found: Failures, job: Job, stream: IO[str]) -> None:
    """Say why images of an appliance's job failed, and what to do."""
    console_for(stream).print(failures_table(found.groups))
    click.echo("\n".join([*steps_by_code(found.groups), f"To try these again: imagemill jobs retry {job.id}"]), stream)


def refusal(error: SheetError) -> Refusal:
    """Return why a sheet was refused."""
    return Refusal(code=error.code, errors=list(error.faults), error_count=error.total)


def tell_refusal(refused: Refusal, *, as_json: bool = False) -> None:
    """Show every fault of a sheet that was refused."""
    if as_json:
        click.echo(msgspec.json.encode(refused))
        return
    console_for(sys.stderr).print(faults_table(refused.errors))
    if refused.error_count > len(refused.errors):
        click.echo(f"… and {refused.error_count - len(refused.errors):,} more", err=True)
    count = refused.error_count
    many = "1 fault: correct it" if count == 1 else f"{count:,} faults: correct them"
    complain(f"the sheet has {many} and run it again. Nothing was done.")
