"""What the verbs share that ask a running imagemill: where it is, who asks, and how its answers are shown."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast
from urllib.parse import urlsplit

import click

from imagemill.cli import console
from imagemill.cli.progress import size
from imagemill.cli.tokens import local_token
from imagemill.core.errors import RemoteError
from imagemill.core.states import JobState

if TYPE_CHECKING:
    from imagemill.core.job import Job
    from imagemill.outbound import Remote
    from imagemill.settings import Settings

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

EXIT_CODES: Final = {JobState.COMPLETED: console.ExitCode.DONE, JobState.PARTIAL: console.ExitCode.PARTIAL}
_LOOPBACK: Final = {"127.0.0.1", "::1", "localhost"}


class Asking:
    """Where to ask, as the flags have it. They are taken by every verb, and looked at when it is certain to be run."""

    def __init__(self, url: str | None, token: str | None, data_dir: str | None, config: Path | None) -> None:
        self._url = url
        self._token = token
        self._data_dir = data_dir
        self._config = config

    @property
    def is_named(self) -> bool:
        """Whether any of the flags was given."""
        return any((self._url, self._token, self._data_dir, self._config))

    def remote(self) -> Remote:
        """Return the client; its errors say what to do."""
        from imagemill.outbound import Remote

        settings = console.load_settings(self._config, {"data_dir": self._data_dir}).settings
        running = running_address(settings)
        url = self._url or running or local_address(settings)
        # The port of one that has died may be another's by now: only who holds the folder's lock is shown its token
        # unasked, or whoever a flag names.
        is_here = url == running or (self._url is not None and urlsplit(url).hostname in _LOOPBACK)
        # Our own certificate is for a name that others call us by: here it is enough that it is ours.
        known = Path(settings.tls_cert) if settings.tls_cert and is_here else None
        return Remote(url, self._given_token() or self._local_token(settings, is_here=is_here), known)

    def _given_token(self) -> str | None:
        if self._token and self._token.startswith("@"):
            return Path(self._token[1:]).read_text(encoding="utf-8").strip()
        return self._token

    def _local_token(self, settings: Settings, *, is_here: bool) -> str | None:
        """Return the token of the data folder, which opens everything here and is nobody's business elsewhere."""
        if self._url is not None and not is_here:
            raise click.UsageError("name a token for that address: --token TOKEN, or --token @FILE")
        if settings.auth == "none":
            return None
        token = local_token(Path(settings.data_dir))
        if not is_here:
            message = f"no imagemill runs on {settings.data_dir}: start `imagemill serve`, or name an address by --url"
            raise RemoteError(message)
        return token


def client_flags(command: Decorated) -> Decorated:
    """Add --url, --token, --data-dir, --json, --config and --debug; the command gets `asking` and `as_json`."""

    @functools.wraps(command)
    def asked(
        *arguments: object,
        url: str | None,
        token: str | None,
        data_dir: str | None,
        config: Path | None,
        **flags: object,
    ) -> object:
        return command(*arguments, asking=Asking(url, token, data_dir, config), **flags)

    options = (
        click.option("--url", help="Address of the imagemill to ask.  [default: the one on this machine]"),
        click.option("--token", help="Token to ask with, or @FILE that has it.  [default: the local one]"),
        click.option("--data-dir", type=click.Path(file_okay=False), help="Data folder of the local one."),
        click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON."),
    )
    for option in reversed(options):
        asked = option(asked)
    return cast("Decorated", console.common_flags(asked))


def running_address(settings: Settings) -> str | None:
    """Return where the appliance of this data folder says that it answers: its flags may differ from the settings."""
    from imagemill.storage import Folders, read_running

    running = read_running(Folders(Path(settings.data_dir)))
    return running.address if running else None


def local_address(settings: Settings) -> str:
    """Return where the appliance with these settings would be reached from this machine."""
    if not settings.port:
        raise click.UsageError("with port = 0 the address is not known: name it by --url")
    from imagemill.ports import address_of

    return address_of(settings.scheme, settings.host, settings.port)


def show_job(job: Job, *, as_json: bool) -> None:
    """Print one job."""
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(job))
        return
    counts, volume = job.counts, job.bytes
    lines = {
        "job": job.id,
        "name": console.printable(job.name),
        "state": job.state,
        "images": f"{counts.done:,} of {counts.images:,} done, {counts.failed:,} failed",
        "cancelled": f"{counts.cancelled:,}" if counts.cancelled else "",
        "saved": f"{size(volume.source)} → {size(volume.output)}, {volume.saved_percent:.0f} %",
        "created": f"{job.created_at:%Y-%m-%d %H:%M:%S} UTC",
        "finished": f"{job.finished_at:%Y-%m-%d %H:%M:%S} UTC" if job.finished_at else "",
        "callback": f"{job.callback.state}, {console.printable(job.callback.url)}" if job.callback.url else "",
    }
    for name, value in lines.items():
        if value:
            click.echo(f"{name:<10}{value}")
