"""`imagemill diagnostics`: one file to send to whoever helps, without anything that is nobody's business."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from imagemill.cli import console
from imagemill.cli.progress import size
from imagemill.cli.tokens import folder_flags


@click.command(
    short_help="Write a file to send to whoever helps you, without secrets or pictures.",
    epilog="Example: imagemill diagnostics -o for-support.zip --data-dir /var/lib/imagemill",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The new file.  [default: imagemill-diagnostics-DATE.zip]",
)
@folder_flags
def diagnostics(output: Path | None, config: Path | None, data_dir: str | None) -> None:
    """Write versions, settings, what doctor says, counts of jobs and the end of the log to a ZIP of text files.

    Secrets, tokens, names of files and jobs, and all of an address but its host are left out. Works while imagemill
    runs and while it does not; doctor is run, so a callback.url is called with a test.
    """
    loaded = console.load_settings(config, {"data_dir": data_dir})
    console.start_logging("error")
    from imagemill.appliance.diagnosis import write

    target = output or Path(f"imagemill-diagnostics-{datetime.now().astimezone():%Y%m%d-%H%M%S}.zip")
    try:
        for name, count in write(loaded, target):
            click.echo(f"  {name}  {size(count)}", err=True)
    except FileExistsError:
        raise click.UsageError(f"{target} exists already: name a new file, or move the old one away") from None
    click.echo(f"{target}  {size(target.stat().st_size)}: look through it before you send it")
