"""`imagemill backup` and `imagemill restore`: one file of everything, made while imagemill runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagemill.cli import console
from imagemill.cli.progress import LINE_EVERY_S, size
from imagemill.cli.tokens import folder_flags

if TYPE_CHECKING:
    from imagemill.appliance.parcel import Manifest
    from imagemill.appliance.restore import Restored

_JSON_HELP = "Print what is in it as JSON."


@click.command(
    short_help="Write everything that could not be made again to one file.",
    epilog="Example: imagemill backup /mnt/backups/imagemill-monday.zip --outputs",
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--outputs", is_flag=True, help="With the pictures that were made; else they are made again.")
@click.option("--json", "as_json", is_flag=True, help=_JSON_HELP)
@folder_flags
def backup(file: Path, outputs: bool, as_json: bool, config: Path | None, data_dir: str | None) -> None:
    """Write database, settings, token, sheets, pictures that were sent and originals that are kept to the new FILE.

    May be run while imagemill works: it is one moment's state, and unfinished jobs go on where it is restored. FILE has
    every secret, and is readable by its owner alone.
    """
    loaded = console.load_settings(config, {"data_dir": data_dir})
    from imagemill.appliance.backup import make_backup

    manifest = make_backup(loaded, file, has_outputs=outputs, tell=Ticker().see)
    if as_json:
        _print_json(manifest)
        return
    pictures = f"pictures: {manifest.named('outputs'):,}" if outputs else "without the pictures"
    click.echo(f"{file}: {_counted(manifest)}, {pictures}, {size(file.stat().st_size)}")


@click.command(
    short_help="Put a backup back.",
    epilog="Example: imagemill restore /mnt/backups/imagemill-monday.zip --data-dir /var/lib/imagemill",
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Also where something is: that is moved aside, not removed.")
@click.option("--json", "as_json", is_flag=True, help=_JSON_HELP)
@folder_flags
def restore(file: Path, force: bool, as_json: bool, config: Path | None, data_dir: str | None) -> None:
    """Put the backup FILE into the data folder, which is empty and which no imagemill uses.

    Everything is checked before anything is put in place. Afterwards `imagemill serve` goes on with the jobs that had
    not ended; pictures that are not in FILE are made again. Do not let the imagemill that was backed up run on: both
    would make the callbacks.
    """
    settings = console.load_settings(config, {"data_dir": data_dir}).settings
    from imagemill.appliance.restore import restore as put_back

    restored = put_back(file, settings, replaces=force, tell=Ticker().see)
    if as_json:
        _print_json(restored.manifest)
        return
    for line in _told(restored, settings.data_dir):
        click.echo(line)


class Ticker:
    """Says every few seconds how far it is: pictures may be many."""

    def __init__(self) -> None:
        self._last_s = time.monotonic()

    def see(self, files: int, file_bytes: int) -> None:
        """Take note of one more file."""
        now_s = time.monotonic()
        if now_s - self._last_s >= LINE_EVERY_S:
            self._last_s = now_s
            click.echo(f"{files:,} files, {size(file_bytes)}", err=True)


def _told(restored: Restored, folder: str) -> list[str]:
    manifest = restored.manifest
    lines = [f"{folder}: {_counted(manifest)}, as of {manifest.created_at:%Y-%m-%d %H:%M} UTC"]
    if restored.again:
        lines.append(f"Pictures of {restored.again:,} images were not in the backup: they are made again.")
    if restored.aside:
        lines.append(f"What was there before is in {restored.aside}; delete it when you do not need it.")
    if restored.settings:
        lines.append(f"Its settings are in {restored.settings}: give them by --config, or copy what you need.")
    return lines


def _counted(manifest: Manifest) -> str:
    return f"jobs: {manifest.jobs:,}, unfinished: {manifest.unfinished:,}"


def _print_json(manifest: Manifest) -> None:
    import msgspec

    summary = {name: getattr(manifest, name) for name in manifest.__struct_fields__ if name != "files"}
    counts = {"files": len(manifest.files), "file_bytes": manifest.file_bytes, "outputs": manifest.named("outputs")}
    click.echo(msgspec.json.encode(summary | counts))
