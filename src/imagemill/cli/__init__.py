"""The command line: verbs, progress bars, exit codes (CLI.md). One file a family of verbs, loaded when it is asked for.

`VERBS` is the list. A verb's module imports the parts it needs inside the verb: `--help` starts without a server.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Final

import click

from imagemill import __version__
from imagemill.cli import console, desk

VERBS: Final = {
    "backup": "imagemill.cli.backup",
    "compress": "imagemill.cli.compress",
    "diagnostics": "imagemill.cli.diagnostics",
    "doctor": "imagemill.cli.doctor",
    "jobs": "imagemill.cli.jobs",
    "page": "imagemill.cli.page",
    "migrate": "imagemill.cli.migrate",
    "restore": "imagemill.cli.backup",
    "run": "imagemill.cli.run",
    "serve": "imagemill.cli.serve",
    "service": "imagemill.cli.service",
    "settings": "imagemill.cli.upkeep",
    "submit": "imagemill.cli.submit",
    "token": "imagemill.cli.tokens",
    "worker": "imagemill.cli.worker",
}
"""Each verb and the module that has a command of its name."""


class _Verbs(click.Group):
    """A group whose verbs are imported one by one."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            if not ctx.resilient_parsing:  # as the shell's completion does, which no error may disturb
                _check_near(ctx, cmd_name)
            return None
        command = getattr(importlib.import_module(VERBS[cmd_name]), cmd_name)
        return command if isinstance(command, click.Command) else None


def _check_near(ctx: click.Context, verb: str) -> None:
    """Name the verb that was meant; where none is near, click says that there is none."""
    import difflib

    if near := difflib.get_close_matches(verb, VERBS, 1):
        raise click.UsageError(f"there is no verb {console.printable(verb)}: did you mean {near[0]}?", ctx)


@click.command(cls=_Verbs, invoke_without_command=True, epilog="Example: imagemill run products.csv")
@click.version_option(__version__, message="imagemill %(version)s")
@click.option("--at-login", "is_at_login", is_flag=True, help="Without a verb: show the icon, and open no page.")
@click.option("--quit", "quits", is_flag=True, help="Without a verb: end what the icon has started.")
@console.debug_flag
@click.pass_context
def root(ctx: click.Context, *, is_at_login: bool, quits: bool) -> int:
    """A sheet of product pictures in, the same sheet with links to compressed pictures out.

    Without a verb, on a desktop: starts imagemill if it does not run, shows its icon, and opens its page.
    """
    if ctx.invoked_subcommand is not None:
        return console.ExitCode.DONE
    if quits:
        return desk.quit_desk()
    if desk.has_display():
        return desk.show_desk(is_at_login=is_at_login)
    click.echo(ctx.get_help())
    return console.ExitCode.DONE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; return its exit code, after saying on standard error what went wrong."""
    for stream in (sys.stdout, sys.stderr):
        console.forgive(stream)
    session = console.Session()
    return console.exit_code(lambda: root.main(arguments, "imagemill", standalone_mode=False, obj=session), session)
