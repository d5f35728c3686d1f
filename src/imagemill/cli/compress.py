"""`imagemill compress`: files and folders of this machine, through the same codec as a sheet's pictures."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from imagemill.cli import console, progress, recipe_flags, stopping
from imagemill.cli.console import ExitCode, printable
from imagemill.cli.local import Bench, Done
from imagemill.cli.pairs import Pair, pairs_of
from imagemill.cli.progress import size

if TYPE_CHECKING:
    from imagemill.core.recipe import Recipe
    from imagemill.settings import Settings

_SHOWN: Final = 20


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How it ended; what `--json` prints."""

    exit_code: int
    images: int
    done: int
    failed: int
    source_bytes: int
    output_bytes: int
    files: list[Done]


@click.command(
    short_help="Compress files and folders of this machine.",
    epilog="Example: imagemill compress photos logo.png -o small --max-width 1600",
)
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="FILE...")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("compressed"),
    show_default=True,
    help="Folder of the compressed pictures.",
)
@click.option("--overwrite", is_flag=True, help="Replace what an earlier run has written there.")
@recipe_flags.recipe_flags
@click.option("--workers", type=int, help="Pool children, 0 for one more than cores.  [default: 0]")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on standard output.")
@console.common_flags
def compress(
    *,
    files: tuple[Path, ...],
    output: Path,
    overwrite: bool,
    workers: int | None,
    as_json: bool,
    config: Path | None,
    **recipe: object,
) -> int:
    """Compress each FILE, and the pictures of each folder FILE with all below it, into the folder of -o.

    Folders keep their structure; sources are never written over. Exit codes: 0 done, 1 failed, 2 wrong use, 3 done
    with failed pictures, 130 interrupted.
    """
    settings = console.load_settings(config, {"workers": workers}).settings
    console.start_logging("error")
    chosen = recipe_flags.recipe(recipe, settings.image.recipe_defaults())
    pairs = pairs_of(files, output, settings.image.formats)
    outcome = compressed(settings, chosen, pairs, output, replaces=overwrite)
    tell(outcome, output, as_json=as_json)
    return outcome.exit_code


def compressed(settings: Settings, recipe: Recipe, pairs: list[Pair], target: Path, *, replaces: bool) -> Outcome:
    """Compress them all, showing how far it is, until a signal comes."""
    from imagemill.ground import pool_of
    from imagemill.imaging import engine, sandbox

    engine.check()
    sandbox.share_arenas()
    tally = Tally(len(pairs))
    with ExitStack() as stack:
        spool = stack.enter_context(_spool(target))
        stop = stack.enter_context(stopping.listening())
        pool = stack.enter_context(pool_of(settings, spool))
        display = stack.enter_context(progress.display())
        for each in Bench(settings, recipe, pool, spool, replaces=replaces).compressed(pairs, stop):
            tally.add(each)
            display.show(tally.snapshot(), time.monotonic())
        if stop.is_asked:
            stopping.end_within(stop)
    return tally.outcome()


class Tally:
    """What has ended so far."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._began_s = time.monotonic()
        self._done: list[Done] = []
        self._failed = self._source_bytes = self._output_bytes = 0

    def add(self, done: Done | None) -> None:
        """Count one that has ended; None is none."""
        if done is None:
            return
        self._done.append(done)
        self._failed += done.code is not None
        self._source_bytes += done.source_bytes if done.outputs else 0
        self._output_bytes += done.output_bytes

    def snapshot(self) -> progress.Snapshot:
        """Return how far it is."""
        ended = len(self._done)
        pace = ended / max(time.monotonic() - self._began_s, 0.001)
        saved = self._source_bytes - self._output_bytes
        return progress.Snapshot(
            settled=ended,
            total=self._total,
            failed=self._failed,
            images_per_s=pace,
            left_s=(self._total - ended) / pace if pace else None,
            saved_bytes=saved,
            saved_percent=100 * saved / self._source_bytes if self._source_bytes else 0.0,
        )

    def outcome(self) -> Outcome:
        """Return how it ended."""
        ended = len(self._done)
        codes = {0: ExitCode.DONE, self._total: ExitCode.FAILED}
        return Outcome(
            exit_code=codes.get(self._failed, ExitCode.PARTIAL) if ended == self._total else ExitCode.INTERRUPTED,
            images=self._total,
            done=ended - self._failed,
            failed=self._failed,
            source_bytes=self._source_bytes,
            output_bytes=self._output_bytes,
            files=sorted(self._done, key=lambda each: each.source),
        )


@contextmanager
def _spool(target: Path) -> Iterator[Path]:
    """Make a folder beside the outputs, so that these only have to be renamed; leave none that stayed empty."""
    is_new = not target.exists()
    spool = target / f".imagemill-{secrets.token_hex(6)}"
    spool.mkdir(mode=0o700, parents=True)
    try:
        yield spool
    finally:
        shutil.rmtree(spool, ignore_errors=True)
        if is_new and not any(target.iterdir()):
            target.rmdir()


def tell(outcome: Outcome, target: Path, *, as_json: bool) -> None:
    """Say it: to a script as JSON, to people with the failures by name."""
    if as_json:
        click.echo(msgspec.json.encode(outcome))
        return
    failures = [each for each in outcome.files if each.code is not None]
    for each in failures[:_SHOWN]:
        click.echo(f"{printable(each.source)}: {each.code}: {printable(each.message or '')}")
    if len(failures) > _SHOWN:
        click.echo(f"… and {len(failures) - _SHOWN:,} more; --json names them all")
    before, after = outcome.source_bytes, outcome.output_bytes
    saved = f"{100 * (before - after) / before:.0f} % saved" if before else "nothing saved"
    counted = f"{outcome.done:,} of {outcome.images:,} pictures done, {outcome.failed:,} failed"
    click.echo(f"{counted} · {size(before)} → {size(after)}, {saved}")
    click.echo(f"Pictures: {printable(str(target))}")
