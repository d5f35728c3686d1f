"""`imagemill settings`: looking after an installation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagemill.cli import console

if TYPE_CHECKING:
    from imagemill.settings import Described, Loaded


@click.command(
    short_help="Show every setting and where it came from.", epilog="Example: imagemill settings --toml imagemill.toml"
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option(
    "--toml",
    is_flag=False,
    flag_value="-",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="Write a commented imagemill.toml: to this new file, or to standard output.",
)
@console.common_flags
def settings(config: Path | None, as_json: bool, toml: str | None) -> None:
    """Show every setting, its value, where it came from and its help; secrets are masked.

    Defaults come first, then imagemill.toml, then systemd's credentials (files named like a setting in
    $CREDENTIALS_DIRECTORY), then the environment (fetch.allow is IMAGEMILL_FETCH_ALLOW, lists with commas), then flags.
    """
    loaded = console.load_settings(config)
    if toml is not None:
        _write_toml(loaded, toml)
    elif as_json:
        _print_json(loaded)
    else:
        _print_table(loaded)


def _write_toml(loaded: Loaded, target: str) -> None:
    from imagemill.settings import as_toml

    if target == "-":
        click.echo(as_toml(loaded), nl=False)
        return
    try:
        with Path(target).open("x", encoding="utf-8") as file:
            file.write(as_toml(loaded))
    except FileExistsError:
        raise click.UsageError(f"{target} exists already: name a new file, or move the old one away") from None


def _print_json(loaded: Loaded) -> None:
    import msgspec

    from imagemill.settings import describe

    click.echo(msgspec.json.format(msgspec.json.encode(describe(loaded)), indent=2))


def _print_table(loaded: Loaded) -> None:
    from rich.table import Table
    from rich.text import Text

    from imagemill.cli.tables import console_for
    from imagemill.settings import describe

    table = Table(box=None, pad_edge=False)
    for title in ("setting", "value", "from", "help"):
        table.add_column(title, overflow="fold")
    for row in describe(loaded):
        style = "" if row.origin == "default" else "bold"
        table.add_row(*(Text(cell, style) for cell in (row.name, _word(row), console.printable(row.origin), row.help)))
    console_for(sys.stdout).print(table)


def _word(row: Described) -> str:
    if isinstance(row.value, list):
        return ", ".join(row.value) or "-"
    return "-" if row.value is None else console.printable(str(row.value))
