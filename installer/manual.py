"""Writes the manual page imagemill(1) and the completions of three shells, from the verbs as they are.

`python installer/manual.py FOLDER` leaves imagemill.1, imagemill.bash, _imagemill and imagemill.fish there.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from imagemill import __version__
from imagemill.cli import root

COMPLETIONS = {"bash": "imagemill.bash", "zsh": "_imagemill", "fish": "imagemill.fish"}
"""Each shell and what it wants its file to be called."""

HEAD = """.SH NAME
imagemill \\- product sheets in, compressed pictures and the same sheet with links out
.SH SYNOPSIS
.B imagemill
.RI [ VERB ]
.RI [ OPTIONS ]
.SH DESCRIPTION
"""

TAIL = """.SH EXIT STATUS
0 done, 1 failed, 2 wrong use, 3 done with failed images, 130 interrupted.
.SH ENVIRONMENT
Every setting has a name there: fetch.allow is
.BR IMAGEMILL_FETCH_ALLOW .
.B imagemill settings
lists them all.
.SH FILES
.TP
.I /etc/imagemill/imagemill.toml
Settings of the service.
.TP
.I /etc/imagemill/imagemill.credentials/
Its secret settings, a file each (callback.secret).
.TP
.I /var/lib/imagemill
All that the service keeps.
.TP
.I ~/.config/imagemill/imagemill.toml, ~/.local/share/imagemill
The same for one user.
.SH EXAMPLE
.nf
sudo systemctl enable \\-\\-now imagemill
sudo imagemill token show \\-\\-data\\-dir /var/lib/imagemill
.fi
"""


def escaped(text: str) -> str:
    """Return text that roff shows as it is; no line of it is a request."""
    shown = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in shown.split("\n"))


def manual() -> str:
    """Return the page."""
    released = os.environ.get("SOURCE_DATE_EPOCH")
    at = datetime.fromtimestamp(int(released), UTC) if released else datetime.now(UTC)
    title = f'.TH IMAGEMILL 1 "{at:%Y-%m-%d}" "imagemill {__version__}" "User Commands"\n'
    context = click.Context(root, info_name="imagemill")
    verbs = "".join(each for verb in sorted(root.list_commands(context)) for each in section(context, verb))
    return f"{title}{HEAD}{escaped(root.help or '')}\n{options(context)}.SH VERBS\n{verbs}{TAIL}"


def section(above: click.Context, verb: str) -> Iterator[str]:
    """Yield what the page says of a verb, and of those below it."""
    group = above.command
    command = group.get_command(above, verb) if isinstance(group, click.Group) else None
    if command is None or command.hidden:
        return
    context = click.Context(command, info_name=verb, parent=above)
    usage = escaped(" ".join(command.collect_usage_pieces(context)))
    yield f".SS {escaped(context.command_path)} {usage}\n{paragraphs(command.help or '')}{options(context)}"
    if command.epilog:
        yield f".PP\n{escaped(command.epilog)}\n"
    for below in command.list_commands(context) if isinstance(command, click.Group) else ():
        yield from section(context, below)


def paragraphs(text: str) -> str:
    """Return help text as it is broken into paragraphs."""
    return "\n.PP\n".join(" ".join(escaped(part).split("\n")) for part in inspect.cleandoc(text).split("\n\n")) + "\n"


def options(context: click.Context) -> str:
    """Return the options of a verb, each with its help."""
    records = [each.get_help_record(context) for each in context.command.get_params(context)]
    return "".join(f".TP\n.B {escaped(name)}\n{escaped(words)}\n" for name, words in filter(None, records) if words)


def completion(shell: str) -> str:
    """Return the script that asks imagemill itself at each press of the key."""
    kind = get_completion_class(shell)
    if kind is None:
        raise LookupError(shell)
    return kind(root, {}, "imagemill", "_IMAGEMILL_COMPLETE").source() + "\n"


def write(folder: Path) -> None:
    """Write the page and the three completions."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "imagemill.1").write_text(manual(), encoding="utf-8")
    for shell, name in COMPLETIONS.items():
        (folder / name).write_text(completion(shell), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
