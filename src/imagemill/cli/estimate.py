"""`imagemill run --estimate`: what a sheet would cost, from a few of its images. Leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from imagemill.cli import stopping
from imagemill.cli.console import ExitCode, printable
from imagemill.cli.footprint import undone_unless_kept
from imagemill.cli.progress import duration, size
from imagemill.cli.source import read
from imagemill.core.job import Submission

if TYPE_CHECKING:
    from imagemill.cli.paths import Places
    from imagemill.core.estimate import Estimate
    from imagemill.settings import Settings


def show(settings: Settings, places: Places, submission: Submission, *, as_json: bool) -> int:
    """Estimate and say what came of it; return the exit code."""
    with stopping.listening() as stop:
        estimate = made(settings, places, submission, stop)
    if stop.is_asked:
        return ExitCode.INTERRUPTED
    if as_json:
        click.echo(msgspec.json.encode(estimate))
    else:
        for line in lines(estimate):
            click.echo(line)
    return ExitCode.FAILED if estimate.seconds_estimate is None else ExitCode.DONE


def made(settings: Settings, places: Places, submission: Submission, stop: stopping.Stop) -> Estimate:
    """Feed the sheet to an appliance that does no work; what an earlier run has stored counts as done."""
    from imagemill.appliance import Appliance

    with ExitStack() as stack:
        stack.enter_context(undone_unless_kept(Path(settings.data_dir)))
        appliance = stack.enter_context(Appliance(settings, web=False, works=False))
        survey = appliance.pipeline.survey()
        stack.callback(survey.discard)
        for data in read(places.sheet, stop):
            survey.feed(data)
        return survey.estimate(submission, lambda: stop.is_asked)


def lines(estimate: Estimate) -> Iterator[str]:
    """Say it to people."""
    yield f"{estimate.images:,} images, {estimate.unique_images:,} different; {estimate.sampled:,} of them tried"
    for fault in estimate.errors:
        yield f"  {fault.code}: {printable(fault.source_url)}: {printable(fault.message)}"
    before, after, seconds = estimate.bytes_in_estimate, estimate.bytes_out_estimate, estimate.seconds_estimate
    if before is None or after is None or seconds is None:
        yield "None of those came through: nothing can be said about the rest."
        return
    yield f"About {size(before)} to fetch, {size(after)} to keep, {duration(seconds)} of time."
    if estimate.already_done:
        yield f"About {estimate.already_done:,} are done already, by an earlier run."
