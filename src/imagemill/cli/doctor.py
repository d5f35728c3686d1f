"""`imagemill doctor`: what is well, what is not, and what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from imagemill.cli import console

if TYPE_CHECKING:
    from imagemill.appliance.checks import Finding

_SIGNS: Final = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "red")}


@click.command(
    short_help="Check that everything imagemill needs is well.",
    epilog="Example: imagemill doctor --data-dir /var/lib/imagemill",
)
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on.  [default: 8750]")
@click.option("--data-dir", type=click.Path(), help="Folder of everything we keep.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@console.common_flags
def doctor(config: Path | None, as_json: bool, **flags: object) -> int:
    """Check port, certificate, disk, clock, database, engine, codecs, pool, storage and callback: one line each.

    Works while imagemill runs and while it does not. A callback.url is called with a test. Exit codes: 0 all is well
    or nearly so, 1 something must be mended.
    """
    loaded = console.load_settings(config, flags)
    console.start_logging("error")
    from imagemill.appliance.checks import examine

    found = []
    for finding in examine(loaded.settings):
        found.append(finding)
        if not as_json:
            tell(finding)
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(found))
    return console.ExitCode.FAILED if any(each.state == "failed" for each in found) else console.ExitCode.DONE


def tell(finding: Finding) -> None:
    """Print a finding."""
    sign, colour = _SIGNS[finding.state]
    step = f" → {finding.next_step}" if finding.next_step else ""
    click.echo(f"{click.style(sign, fg=colour)} {finding.check}: {console.printable(finding.detail + step)}")
