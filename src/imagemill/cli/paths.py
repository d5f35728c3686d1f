"""Where a run reads and writes."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from imagemill.cli.footprint import is_stream


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run reads and writes; `-` is standard input or output."""

    sheet: str
    output: str
    images: Path
    report: str | None

    @property
    def filename(self) -> str:
        """The sheet's name, as the job keeps it."""
        return "sheet.csv" if self.sheet == "-" else Path(self.sheet).name


def places_of(sheet: str, output: str | None, images: Path | None, report: str | None) -> Places:
    """Return where a run writes: beside the sheet where nothing else was said, in this folder for standard input."""
    source = Path("sheet.csv") if sheet == "-" else Path(sheet)
    target = output or str(source.with_name(f"{source.stem}.out.csv"))
    beside = source if is_stream(target) else Path(target)
    folder = images or beside.with_name(f"{source.stem}-images")
    if target != "-" and Path(target).resolve() == Path(sheet).resolve():
        raise click.UsageError("the output would overwrite the sheet: name another file by -o")
    return Places(sheet=sheet, output=target, images=folder.absolute(), report=report)
