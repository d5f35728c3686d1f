"""`imagemill token`: the tokens that open the API. Works on the data folder, whether the appliance runs or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from imagemill.cli import console
from imagemill.core.errors import NotFoundError

if TYPE_CHECKING:
    from imagemill.db import Store

SCOPES: Final = ("admin", "submit", "read")

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def folder_flags(command: Decorated) -> Decorated:
    """Add --data-dir, --config and --debug."""
    where = click.option("--data-dir", type=click.Path(file_okay=False), help="Folder of everything we keep.")
    return where(console.common_flags(command))


@click.group(epilog="Example: imagemill token show")
def token() -> None:
    """Make, list, revoke and show the tokens that open the API."""


@token.command(
    epilog='Example: curl -H "Authorization: Bearer $(imagemill token show)" http://127.0.0.1:8750/api/v1/jobs'
)
@folder_flags
def show(config: Path | None, data_dir: str | None) -> None:
    """Print the local admin token."""
    click.echo(local_token(_folder(config, data_dir)))


@token.command(epilog="Example: imagemill token create shop --scope submit")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    default=("submit",),
    show_default=True,
    help="What it may do; may be given more than once.",
)
@click.option("--owner", help="Whose jobs it makes and sees.  [default: NAME]")
@folder_flags
def create(name: str, scopes: tuple[str, ...], owner: str | None, config: Path | None, data_dir: str | None) -> None:
    """Make the token NAME and print it: this once, for only its hash is kept."""
    from imagemill.db import checked_name, new_token

    made, whose = new_token(), checked_name(owner or name)
    with _store(config, data_dir) as store:
        store.create_token(checked_name(name), made, scopes=frozenset(scopes), owner=whose)
    click.echo(made)


@token.command("list", epilog="Example: imagemill token list")
@folder_flags
def show_all(config: Path | None, data_dir: str | None) -> None:
    """List names, scopes and owners, one token a line."""
    with _store(config, data_dir) as store:
        for each in store.tokens():
            click.echo(f"{each.name}\t{','.join(each.scopes)}\t{each.owner}\t{each.created_at:%Y-%m-%d}")


@token.command(epilog="Example: imagemill token revoke shop")
@click.argument("name")
@folder_flags
def revoke(name: str, config: Path | None, data_dir: str | None) -> None:
    """Revoke the token NAME: it is refused from the next request on."""
    with _store(config, data_dir) as store:
        store.revoke_token(name)
    click.echo(f"{console.printable(name)} is revoked", err=True)


def local_token(data_dir: Path) -> str:
    """Return the admin token of the appliance that keeps its things in `data_dir`."""
    try:
        return (data_dir / "token").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise NotFoundError(
            f"there is no token in {data_dir} yet: start `imagemill serve` once, which makes it, "
            "or name the folder it was started with by --data-dir"
        ) from None


def _folder(config: Path | None, data_dir: str | None) -> Path:
    return Path(console.load_settings(config, {"data_dir": data_dir}).settings.data_dir)


@contextmanager
def _store(config: Path | None, data_dir: str | None) -> Iterator[Store]:
    """Give the store of an appliance that was started at least once: a typing error in a path shall make no folder."""
    from imagemill.db import open_store
    from imagemill.storage import Folders

    settings = console.load_settings(config, {"data_dir": data_dir}).settings
    local_token(Path(settings.data_dir))
    store = open_store(settings.database, Folders(Path(settings.data_dir)).database)
    try:
        yield store
    finally:
        store.close()
