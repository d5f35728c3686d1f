"""`imagemill submit`: a sheet for a running imagemill."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import click
import msgspec

from imagemill.cli import console, recipe_flags
from imagemill.cli.client import EXIT_CODES, Asking, client_flags
from imagemill.cli.footprint import write_whole
from imagemill.cli.jobs import JOBS, tell, tell_failures, wait_for
from imagemill.core.errors import RemoteError
from imagemill.core.job import Job
from imagemill.core.recipe import Thumbnail
from imagemill.core.sheet import Fault

if TYPE_CHECKING:
    from imagemill.outbound import Remote

_MEMORY_BYTES: Final = 1 << 20
_WARNINGS: Final = 5


class _Accepted(Job, frozen=True, kw_only=True):
    warnings: list[Fault]


@click.command(
    short_help="Send a sheet to a running imagemill.",
    epilog="Example: imagemill submit products.csv --name spring --wait -o compressed.csv",
)
@click.argument("sheet", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, allow_dash=True), help="Wait, and write the sheet here."
)
@click.option("--wait", "waits", is_flag=True, help="Wait for the end.")
@click.option("--name", help="For finding the job again.")
@click.option("--priority", type=int, help="-10 to 10: jobs of a higher one go first.")
@click.option("--keep-original", is_flag=True, help="Keep the sources as long as the job.")
@click.option("--expires-in", "expires_in_s", type=int, help="Seconds after which the job may be deleted.")
@click.option("--callback-url", help="Called when the job has ended.")
@recipe_flags.recipe_flags
@recipe_flags.sheet_flags
@client_flags
def submit(sheet: str, *, output: str | None, waits: bool, as_json: bool, asking: Asking, **fields: object) -> int:
    """Send SHEET (- for standard input) and print the job.

    Exit codes with --wait: 0 done, 3 done with failed images, 1 failed.
    """
    if as_json and output == "-":
        raise click.UsageError("--json and -o - both want standard output: name a file for the sheet")
    with asking.remote() as remote:
        try:
            job: Job = _sent(remote, sheet, form_of(fields))
        except RemoteError as error:
            return _refused(error, as_json=as_json)
        if waits or output:
            job = wait_for(remote, job.id)
        if output:
            _download(remote, job, output)
        if output != "-":
            tell(remote, job, as_json=as_json)
        else:
            tell_failures(remote, job, sys.stderr)
    return EXIT_CODES.get(job.state, console.ExitCode.FAILED) if waits or output else console.ExitCode.DONE


def form_of(flags: Mapping[str, object]) -> dict[str, str]:
    """Return the flags that were given as form fields."""
    return {name: _text(value) for name, value in flags.items() if value is not None and value is not False}


def _text(value: object) -> str:
    if isinstance(value, tuple):
        sizes = [size for size in value if isinstance(size, Thumbnail)]
        return ",".join(f"{size.width}x{size.height}:{size.fit}" for size in sizes)
    return "true" if value is True else str(value)


def _sent(remote: Remote, sheet: str, fields: dict[str, str]) -> Job:
    with _opened(sheet) as file:
        accepted = remote.upload(JOBS, _Accepted, file, "sheet.csv" if sheet == "-" else Path(sheet).name, fields)
    for fault in accepted.warnings[:_WARNINGS]:
        click.echo(f"Row {fault.row}: {console.printable(fault.message)}", err=True)
    return accepted


@contextmanager
def _opened(sheet: str) -> Iterator[IO[bytes]]:
    """Open a sheet; standard input is read to its end before, so that its length can be told."""
    if sheet != "-":
        with Path(sheet).open("rb") as file:
            yield file
        return
    with tempfile.SpooledTemporaryFile(_MEMORY_BYTES) as spooled, click.open_file(sheet, "rb") as stream:
        for piece in iter(lambda: stream.read(_MEMORY_BYTES), b""):
            spooled.write(piece)
        spooled.seek(0)
        yield spooled


def _refused(error: RemoteError, *, as_json: bool) -> int:
    """Show every fault where it is the sheet that was refused."""
    from imagemill.cli import report

    if error.code != "invalid_sheet":
        raise error
    report.tell_refusal(msgspec.json.decode(error.answer, type=report.Refusal), as_json=as_json)
    return console.ExitCode.FAILED


def _download(remote: Remote, job: Job, output: str) -> None:
    with remote.download(f"{JOBS}/{job.id}/output.csv") as pieces:
        write_whole(output, pieces)
    if output == "-":
        sys.stdout.flush()
