"""`imagemill token`: the tokens that open the API."""

from __future__ import annotations

from pathlib import Path

import click

from imagemill.cli import console
from imagemill.core.errors import NotFoundError


@click.group(epilog="Example: imagemill token show")
def token() -> None:
    """Show the token that opens the API."""


@token.command(
    epilog='Example: curl -H "Authorization: Bearer $(imagemill token show)" http://127.0.0.1:8750/api/v1/jobs'
)
@click.option("--data-dir", type=click.Path(file_okay=False), help="Folder of everything we keep.")
@console.common_flags
def show(config: Path | None, data_dir: str | None) -> None:
    """Print the local admin token."""
    folder = console.load_settings(config, {"data_dir": data_dir}).settings.data_dir
    click.echo(local_token(Path(folder)))


def local_token(data_dir: Path) -> str:
    """Return the admin token of the appliance that keeps its things in `data_dir`."""
    try:
        return (data_dir / "token").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise NotFoundError(
            f"there is no token in {data_dir} yet: start `imagemill serve` once, which makes it, "
            "or name the folder it was started with by --data-dir"
        ) from None
