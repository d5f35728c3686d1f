"""`imagemill worker`: queue and pool on a further machine, in the foreground; what systemd starts there."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import click

from imagemill import __version__, sdnotify
from imagemill.cli import console, stopping
from imagemill.cli.serve import WAKE_S

if TYPE_CHECKING:
    from pathlib import Path


@click.command(
    short_help="Compress for a server on another machine, until Ctrl-C.",
    epilog="Example: imagemill worker --config /etc/imagemill/imagemill.toml",
)
@click.option("--workers", type=int, help="Pool children, 0 for one more than cores.  [default: 0]")
@click.option("--data-dir", type=click.Path(file_okay=False), help="Folder of everything this machine keeps.")
@console.common_flags
def worker(config: Path | None, **flags: object) -> int:
    """Start the queue and the pool alone, for the servers that share database, queue and storage with it.

    It needs `database.url`, `queue.url`, `storage.url` and `public_url`, as the servers have them. Ctrl-C or SIGTERM
    ends it within ten seconds and hands unfinished work back.
    """
    loaded = console.load_settings(config, flags)
    console.start_logging(loaded.settings.log_level, loaded.settings)
    from imagemill.appliance import Appliance

    with (
        stopping.listening() as stop,
        Appliance(loaded.settings, web=False, is_worker=True) as appliance,
        sdnotify.supervised(appliance.pulse, os.environ),
    ):
        click.echo(f"imagemill {__version__} works for {appliance.public_url}")
        while not stop.wait(WAKE_S):
            pass
        stopping.end_within(stop)
    return console.ExitCode.INTERRUPTED if stop.signal_number == signal.SIGINT else console.ExitCode.DONE
