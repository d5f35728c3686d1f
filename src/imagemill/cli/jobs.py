"""`imagemill jobs`: what a running imagemill has to do, and moving it."""

from __future__ import annotations

import sys
import time
from typing import IO, TYPE_CHECKING, Final
from uuid import UUID

import click
import msgspec

from imagemill.cli import console, progress
from imagemill.cli.client import EXIT_CODES, Asking, client_flags, show_job
from imagemill.core.failures import Failures
from imagemill.core.job import Job
from imagemill.core.states import JobState, Verb

if TYPE_CHECKING:
    from imagemill.outbound import Remote

JOBS: Final = "/api/v1/jobs"
_LOOK_EVERY_S: Final = 0.5
_GROUPS: Final = "500"
_NO_SUCH: Final = "There are no such jobs."
_NONE: Final = "There are no jobs yet. Send it a sheet: imagemill submit products.csv --wait -o compressed.csv"


class _Page(msgspec.Struct, frozen=True):
    jobs: list[Job]


@click.group(
    invoke_without_command=True,
    short_help="List, watch and move the jobs of a running imagemill.",
    epilog="Example: imagemill jobs --state processing",
)
@click.option("--state", type=click.Choice([state.value for state in JobState]), help="Only jobs in this state.")
@click.option("--name", help="Only jobs of this name.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="How many, at most.")
@client_flags
def jobs(*, state: str | None, name: str | None, limit: int, as_json: bool, asking: Asking) -> None:
    """List jobs, the newest first."""
    if click.get_current_context().invoked_subcommand is not None:
        if asking.is_named:
            raise click.UsageError("give --url, --token, --data-dir and --config after the verb")
        return
    query = {key: str(value) for key, value in (("state", state), ("name", name), ("limit", limit)) if value}
    with asking.remote() as remote:
        page = remote.get(JOBS, msgspec.Raw, query)
    if as_json:
        click.echo(bytes(page))
    else:
        found = msgspec.json.decode(page, type=_Page).jobs
        _print_table(found, _NO_SUCH if state or name else _NONE)


@jobs.command(epilog="Example: imagemill jobs show 0193b6a8-0000-7000-8000-000000000000")
@click.argument("job_id", metavar="ID", type=click.UUID)
@client_flags
def show(job_id: UUID, *, as_json: bool, asking: Asking) -> None:
    """Show one job."""
    with asking.remote() as remote:
        tell(remote, _job(remote, job_id), as_json=as_json)


@jobs.command(epilog="Example: imagemill jobs wait 0193b6a8-0000-7000-8000-000000000000 && echo done")
@click.argument("job_id", metavar="ID", type=click.UUID)
@client_flags
def wait(job_id: UUID, *, as_json: bool, asking: Asking) -> int:
    """Wait for a job's end. Exit codes: 0 done, 3 done with failed images, 1 failed or cancelled."""
    with asking.remote() as remote:
        job = wait_for(remote, job_id)
        tell(remote, job, as_json=as_json)
    return EXIT_CODES.get(job.state, console.ExitCode.FAILED)


@jobs.command(epilog="Example: imagemill jobs retry 0193b6a8-0000-7000-8000-000000000000")
@click.argument("job_id", metavar="ID", type=click.UUID)
@click.option("--image", "images", multiple=True, metavar="ID", help="Only this image; may be given again.")
@client_flags
def retry(job_id: UUID, images: tuple[str, ...], *, as_json: bool, asking: Asking) -> None:
    """Try a job's failed and cancelled images again."""
    _move(Verb.RETRY, job_id, asking, as_json=as_json, body={"images": images} if images else None)


@jobs.command(epilog="Example: imagemill jobs cancel 0193b6a8-0000-7000-8000-000000000000")
@click.argument("job_id", metavar="ID", type=click.UUID)
@client_flags
def cancel(job_id: UUID, *, as_json: bool, asking: Asking) -> None:
    """End a job now; what is done stays."""
    _move(Verb.CANCEL, job_id, asking, as_json=as_json)


@jobs.command(epilog="Example: imagemill jobs pause 0193b6a8-0000-7000-8000-000000000000")
@click.argument("job_id", metavar="ID", type=click.UUID)
@client_flags
def pause(job_id: UUID, *, as_json: bool, asking: Asking) -> None:
    """Begin no further image of a job until it is resumed."""
    _move(Verb.PAUSE, job_id, asking, as_json=as_json)


@jobs.command(epilog="Example: imagemill jobs resume 0193b6a8-0000-7000-8000-000000000000")
@click.argument("job_id", metavar="ID", type=click.UUID)
@client_flags
def resume(job_id: UUID, *, as_json: bool, asking: Asking) -> None:
    """Go on with a paused job."""
    _move(Verb.RESUME, job_id, asking, as_json=as_json)


@jobs.command(epilog="Example: imagemill jobs delete 0193b6a8-0000-7000-8000-000000000000")
@click.argument("job_id", metavar="ID", type=click.UUID)
@client_flags
def delete(job_id: UUID, *, as_json: bool, asking: Asking) -> None:
    """Delete a job, and every picture that no other job has."""
    with asking.remote() as remote:
        remote.delete(f"{JOBS}/{job_id}")
    click.echo("{}" if as_json else f"{job_id} is deleted")


def wait_for(remote: Remote, job_id: UUID | str) -> Job:
    """Show how far a job is until it has ended; return it as it is then."""
    meter = progress.Meter()
    with progress.display() as display:
        while True:
            now_s = time.monotonic()
            job = _job(remote, job_id)
            display.show(meter.see(job, now_s), now_s)
            if job.is_finished:
                return job
            time.sleep(_LOOK_EVERY_S)


def tell(remote: Remote, job: Job, *, as_json: bool) -> None:
    """Print a job, for people with why images of it failed."""
    show_job(job, as_json=as_json)
    if not as_json:
        tell_failures(remote, job, sys.stdout)


def tell_failures(remote: Remote, job: Job, stream: IO[str]) -> None:
    """Print why images of a job failed, if any did, and what to do about it."""
    if job.counts.failed:
        from imagemill.cli import report

        report.tell_failures(remote.get(f"{JOBS}/{job.id}/failures", Failures, {"limit": _GROUPS}), job, stream)


def _job(remote: Remote, job_id: UUID | str) -> Job:
    return remote.get(f"{JOBS}/{job_id}", Job)


def _move(verb: Verb, job_id: UUID, asking: Asking, *, as_json: bool, body: object = None) -> None:
    with asking.remote() as remote:
        show_job(remote.post(f"{JOBS}/{job_id}/{verb}", Job, body), as_json=as_json)


def _print_table(page: list[Job], word: str) -> None:
    from imagemill.cli.tables import console_for, jobs_table

    if page:
        console_for(sys.stdout).print(jobs_table(page))
    else:
        click.echo(word, err=True)
