"""`imagemill serve`: server, queue and pool in the foreground; what systemd starts."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from imagemill import __version__, sdnotify
from imagemill.cli import console, stopping

if TYPE_CHECKING:
    from imagemill.appliance import Appliance

WAKE_S: Final = 0.5
"""How often the main thread looks up: on Windows a signal does not interrupt its wait."""


@click.command(
    short_help="Start the server, until Ctrl-C.",
    epilog="Example: imagemill serve --port 8080 --public-url https://pictures.example",
)
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on.  [default: 8750]")
@click.option("--workers", type=int, help="Pool children, 0 for one more than cores.  [default: 0]")
@click.option("--data-dir", type=click.Path(file_okay=False), help="Folder of everything we keep.")
@click.option("--public-url", help="Address that links in sheets begin with.")
@click.option("--detached", "is_detached", is_flag=True, hidden=True)  # as the tray starts it: its streams are a file
@console.common_flags
def serve(config: Path | None, *, is_detached: bool, **flags: object) -> int:
    """Start the server, the queue and the pool, and run until a signal comes.

    Ctrl-C or SIGTERM ends it within ten seconds and hands unfinished work back; a second one ends it at once.
    """
    loaded = console.load_settings(config, flags)
    console.start_logging(loaded.settings.log_level, loaded.settings, is_seen=not is_detached)
    from imagemill.appliance import Appliance

    with (
        stopping.listening() as stop,
        Appliance(loaded.settings, origins=loaded.origins) as appliance,
        sdnotify.supervised(appliance.pulse, os.environ),
    ):
        if not is_detached:
            announce(appliance)
        while not stop.wait(WAKE_S):
            pass
        stopping.end_within(stop)
    return console.ExitCode.INTERRUPTED if stop.signal_number == signal.SIGINT else console.ExitCode.DONE


def announce(appliance: Appliance) -> None:
    """Print the address, a link and the token. The secrets never go to systemd's journal: others may read it."""
    click.echo(f"imagemill {__version__} is ready at {appliance.address}")
    if not is_journal(sys.stdout.fileno()):
        click.echo(f"open the page: {appliance.sign_in_url()}")
    token = "in the file" if is_journal(sys.stdout.fileno()) else appliance.token
    if appliance.settings.auth == "token":
        click.echo(f"token: {token}  ({Path(appliance.settings.data_dir, 'token')})")
    sys.stdout.flush()


def is_journal(descriptor: int) -> bool:
    """Say whether this is the stream that systemd connected to the journal (systemd.exec, JOURNAL_STREAM)."""
    status = os.fstat(descriptor)
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
