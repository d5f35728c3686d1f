"""`imagemill run`: the main job without a server. Its state lies beside the pictures: the same command continues it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import click
import msgspec

from imagemill.cli import console, estimate, progress, recipe_flags, stopping
from imagemill.cli.footprint import undone_unless_kept, write_whole
from imagemill.cli.paths import Places, places_of
from imagemill.cli.source import read
from imagemill.core.job import Job, Submission

if TYPE_CHECKING:
    from imagemill.appliance import Appliance
    from imagemill.cli.report import Outcome
    from imagemill.pipeline import Accepted
    from imagemill.settings import Settings

STATE: Final = ".imagemill"
"""The folder of a run's state, inside the images folder."""

OWNER: Final = "local"
_LOOK_SHARE: Final = 10
"""Looking takes at most this part of the time: counting a million images is not free."""


@click.command(
    short_help="Compress the pictures of a sheet, without a server.",
    epilog="Example: imagemill run products.csv -o compressed.csv --images pictures --max-width 1600",
)
@click.argument("sheet", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="The sheet with links.  [default: SHEET.out.csv]",
)
@click.option(
    "--images",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the pictures.  [default: SHEET-images]",
)
@click.option("--report", type=click.Path(dir_okay=False), help="Also write what happened to each image, as CSV.")
@click.option("--public-url", help="Address that the links begin with.  [default: file:// links]")
@recipe_flags.recipe_flags
@recipe_flags.sheet_flags
@click.option("--workers", type=int, help="Pool children, 0 for one more than cores.  [default: 0]")
@click.option("--retry-failed", is_flag=True, help="Try the images again that failed in an earlier run of this sheet.")
@click.option("--estimate", "estimates", is_flag=True, help="Only say what it would cost, and leave nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on standard output.")
@console.common_flags
def run(
    *,
    sheet: str,
    output: str | None,
    images: Path | None,
    report: str | None,
    public_url: str | None,
    on_failure: Literal["keep-url", "empty"],
    errors_column: bool,
    image_column: str | None,
    workers: int | None,
    retry_failed: bool,
    estimates: bool,
    as_json: bool,
    config: Path | None,
    **recipe: object,
) -> int:
    """Compress the pictures of SHEET (- for standard input) and write the same sheet with their links.

    Run again after an interruption, the same command continues where it was. Exit codes: 0 done, 1 failed, 2 wrong
    use, 3 done with failed images, 130 interrupted.
    """
    places = places_of(sheet, output, images, report)
    if as_json and places.output == "-":
        raise click.UsageError("--json and -o - both want standard output: name a file for the sheet")
    loaded = console.load_settings(config, {"public_url": public_url, "workers": workers})
    console.start_logging("error")
    settings = settings_of(loaded.settings, places, public_url)
    submission = Submission(
        recipe=recipe_flags.recipe(recipe, settings.image.recipe_defaults()),
        on_failure=on_failure,
        errors_column=errors_column,
        image_column=image_column,
    )
    shown = estimate.show if estimates else partial(show, retries=retry_failed)
    return unless_refused(lambda: shown(settings, places, submission, as_json=as_json), as_json=as_json)


def settings_of(settings: Settings, places: Places, public_url: str | None) -> Settings:
    """Return the settings of a run: everything beside the pictures, links by flag only, nobody called back."""
    from imagemill.settings import DatabaseSettings, StorageSettings

    return msgspec.structs.replace(
        settings,
        data_dir=str(places.images / STATE),
        storage=StorageSettings(url=f"file:{places.images}"),
        database=DatabaseSettings(),
        callback=msgspec.structs.replace(settings.callback, url=None),
        public_url=settings.public_url if public_url else None,
    )


def compress(settings: Settings, places: Places, submission: Submission, *, retries: bool) -> Outcome:
    """Accept the sheet, wait for its end, write what comes of it; stop in between when a signal comes."""
    from imagemill.ground import Ground

    with ExitStack() as stack:
        footprint = stack.enter_context(undone_unless_kept(Path(settings.data_dir)))
        stop = stack.enter_context(stopping.listening())
        ground = stack.enter_context(Ground(settings))
        # Below it: these take as long to load as the children to start, on another core.
        from imagemill.appliance import Appliance
        from imagemill.cli.report import outcome

        appliance = stack.enter_context(Appliance(settings, web=False, ground=ground))
        accepted = accept(appliance, places, submission, stop)
        footprint.keep()
        if retries and accepted.job.counts.failed:
            appliance.pipeline.verbs.retry(accepted.job.id)
        announce(accepted.job, retries=retries)
        job = wait(appliance, accepted.job.id, stop)
        if not job.is_finished:
            stopping.end_within(stop)
            return outcome(appliance, job, places, accepted.warnings)
        write_whole(places.output, appliance.pipeline.output_sheet(job))
        if places.report:
            write_whole(places.report, appliance.pipeline.report(job))
        return outcome(appliance, job, places, accepted.warnings)


def announce(job: Job, *, retries: bool = False) -> None:
    """Say what there is to do, and whether an earlier run began it."""
    counts = job.counts
    begun = f", {counts.done + counts.failed:,} of them by an earlier run" if counts.done + counts.failed else ""
    begun += f"; {counts.failed:,} failed and are tried again" if retries and counts.failed else ""
    click.echo(f"{counts.rows:,} rows, {counts.images:,} images, {counts.unique:,} different{begun}", err=True)


def accept(appliance: Appliance, places: Places, submission: Submission, stop: stopping.Stop) -> Accepted:
    """Feed the sheet in; the job may be one that an earlier run began, or ended."""
    intake = appliance.pipeline.intake(is_new=False)
    try:
        for data in read(places.sheet, stop):
            intake.feed(data)
        return intake.accept(submission, owner=OWNER, filename=places.filename, continue_same=True)
    finally:
        intake.discard()


def wait(appliance: Appliance, job_id: str, stop: stopping.Stop) -> Job:
    """Show how far the job is until it ends or a signal comes; return it as it is then."""
    meter, pauses = progress.Meter(), progress.Pauses()
    with progress.display() as display:
        while True:
            began_s = time.monotonic()
            job = appliance.store.job(job_id, None)
            snapshot = meter.see(job, began_s)
            if meter.is_idle(began_s):
                snapshot = msgspec.structs.replace(snapshot, trouble=trouble(appliance.readiness()))
            display.show(snapshot, began_s)
            took_s = time.monotonic() - began_s
            if job.is_finished or stop.wait(max(pauses.next(snapshot.left_s), took_s * _LOOK_SHARE)):
                return job


def trouble(readiness: Mapping[str, str | bool]) -> str:
    """Return what keeps the work from going on, in words; nothing when all parts are able."""
    return "; ".join(sentence for sentence in readiness.values() if isinstance(sentence, str))


def show(settings: Settings, places: Places, submission: Submission, *, as_json: bool, retries: bool) -> int:
    """Compress and tell what came of it; return the exit code."""
    from imagemill.cli import report

    result = compress(settings, places, submission, retries=retries)
    report.tell(result, as_json=as_json)
    return result.exit_code


def unless_refused(perform: Callable[[], int], *, as_json: bool) -> int:
    """Return the exit code of what was performed, or tell why the sheet was refused."""
    from imagemill.cli import report
    from imagemill.core.sheet import SheetError

    try:
        return perform()
    except SheetError as error:
        report.tell_refusal(report.refusal(error), as_json=as_json)
        return console.ExitCode.FAILED
