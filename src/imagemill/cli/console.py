"""What all verbs share: exit codes, the place where errors become messages, flags, and text that harms no terminal."""

from __future__ import annotations

import enum
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

from imagemill.cli import steps
from imagemill.core.errors import ImagemillError, RequestError, SettingError, UnfitError

if TYPE_CHECKING:
    from imagemill.settings import Loaded, Settings

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class ExitCode(enum.IntEnum):
    """CLI.md's five."""

    DONE = 0
    FAILED = 1
    WRONG_USE = 2
    PARTIAL = 3
    INTERRUPTED = 130


class Session:
    """What the flags said about the program as a whole."""

    def __init__(self) -> None:
        self.is_debug = bool(os.environ.get("IMAGEMILL_DEBUG"))


def debug_flag(command: Decorated) -> Decorated:
    """Add --debug, which shows the traceback of an error."""
    return click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        callback=_note_debug,
        help="Show the inside of an error, and all of the log (IMAGEMILL_DEBUG=1 does the same).",
    )(command)


def _note_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Session).is_debug = True


def common_flags(command: Decorated) -> Decorated:
    """Add --config and --debug."""
    config = click.option("--config", type=click.Path(path_type=Path), help="Read this file instead of imagemill.toml.")
    return config(debug_flag(command))


def load_settings(config: Path | None, flags: Mapping[str, object] | None = None) -> Loaded:
    """Load the settings as this process was started."""
    from imagemill.settings import load

    return load(flags or {}, os.environ, config)


def start_logging(level: str, settings: Settings | None = None, *, is_seen: bool = True) -> None:
    """Send the log to standard error: at `level`, or all of it with --debug; as `settings` say, or for people.

    Where nobody reads that (`is_seen` false), only the files of the data folder have it.
    """
    from imagemill import logs

    session = click.get_current_context().find_object(Session)
    name = "debug" if session is not None and session.is_debug else level
    style, most = (settings.log_format, settings.log_lines_per_s) if settings else ("human", 20)
    logs.start(name, style=style, most=most, stream=sys.stderr if is_seen else None)


def exit_code(verb: Callable[[], object], session: Session) -> int:
    """Run a verb and translate how it ended: its own number, or an error that is told on standard error."""
    try:
        result = verb()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return ExitCode.INTERRUPTED
    except Exception as error:  # the last line: whatever it is, nobody is shown a traceback who did not ask
        if session.is_debug:
            traceback.print_exc()
        return _tell(error)
    return result if isinstance(result, int) else ExitCode.DONE


def _tell(error: Exception) -> int:
    if isinstance(error, ImagemillError):
        complain("\n".join([_words(error), *_field_lines(error)]))
        return ExitCode.WRONG_USE if isinstance(error, SettingError | RequestError | UnfitError) else ExitCode.FAILED
    if isinstance(error, OSError) and error.strerror:
        said = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
        complain(f"{said}; {steps.of_system(error)}")
    else:
        complain(f"unexpected {type(error).__name__}: {error}. Run it again with --debug, and report what it shows.")
    return ExitCode.FAILED


def _words(error: ImagemillError) -> str:
    """Return its own words; a client is not told what the database says, who sits at its machine is."""
    if error.code == "database_unavailable" and error.cause:
        return f"the database cannot be read or written now: {error.cause}; {steps.of_database(error.cause)}"
    return error.detail


def _field_lines(error: ImagemillError) -> list[str]:
    return [f"  {field}: {message}" for field, message in error.errors] if isinstance(error, RequestError) else []


def complain(text: str) -> None:
    """Say on standard error that something is wrong."""
    click.secho("Error: ", fg="red", nl=False, err=True)
    click.echo("\n".join(map(printable, text.expandtabs(1).splitlines())), err=True)


def printable(text: str) -> str:
    """Replace what could steer a terminal: sheets and URLs are written by strangers."""
    return (
        text
        if text.isprintable()
        else "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    )


def forgive(stream: IO[str]) -> None:
    """Write `?` for what the terminal's encoding does not have, instead of failing in mid-table."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
