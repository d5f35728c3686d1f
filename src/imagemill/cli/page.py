"""`imagemill page`: a link that opens the page of a running imagemill signed in."""

from __future__ import annotations

import webbrowser
from datetime import datetime

import click
import msgspec

from imagemill.cli.client import Asking, client_flags


class _Link(msgspec.Struct, frozen=True):
    url: str
    expires_at: datetime | None


@click.command(
    short_help="Print a link that opens the page, signed in.",
    epilog="Example: imagemill page --open",
)
@click.option("--open", "opens", is_flag=True, help="Open it in the browser too.")
@client_flags
def page(*, opens: bool, as_json: bool, asking: Asking) -> None:
    """Print a link to the page that signs in, once and soon: keep it as secret as the token."""
    with asking.remote() as remote:
        link = remote.post("/api/v1/sign-in-links", _Link)
    click.echo(msgspec.json.encode(link) if as_json else link.url)
    if opens and not webbrowser.open(link.url):
        click.echo("there is no browser to open here: copy the link into one", err=True)
