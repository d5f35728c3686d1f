"""`imagemill migrate`: from one machine's data folder to what several machines share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from imagemill.cli import console
from imagemill.cli.backup import Ticker
from imagemill.cli.tokens import folder_flags

if TYPE_CHECKING:
    from pathlib import Path


@click.command(
    short_help="Move from the data folder to PostgreSQL and S3.",
    epilog="Example: imagemill migrate --config /etc/imagemill/imagemill.toml",
)
@folder_flags
def migrate(config: Path | None, data_dir: str | None) -> None:
    """Copy what the data folder has to `database.url` and `storage.url`, which are to be set before.

    Stop imagemill first. Jobs that have not ended go on where it is started next with these settings, and links stay as
    they are where public_url does. Every few seconds it says how far it is. Run again after an interruption it goes on.
    The folder keeps imagemill.db and the files: remove them when all is well.
    """
    settings = console.load_settings(config, {"data_dir": data_dir}).settings
    from imagemill.appliance.move import migrate as move

    moved = move(settings, tell=Ticker().see)
    click.echo(f"moved: {moved.jobs:,} jobs, {moved.sent:,} files of clients, {moved.files:,} pictures")
