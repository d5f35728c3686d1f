"""What a sheet must be to become a job: from the settings, the kind of job and the profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from imagemill.core.errors import RequestError
from imagemill.core.sheet import Rules

if TYPE_CHECKING:
    from imagemill.core.job import JobKind, Profile
    from imagemill.settings import Settings

_STRICT: Final = frozenset({"bip"})
"""Profiles whose sheets must have every column, and a value in each cell of it (SHEETS.md)."""
_ROLES: Final = ("serial", "product", "input")


def rules(settings: Settings, kind: JobKind = "sheet", profile: Profile | None = None) -> Rules:
    """Return what a job's sheet must be, from the settings; ours has one address a cell, with commas and all.

    A profile only demands more: how a sheet is read does not depend on it, so the output needs not know it.
    """
    section = settings.sheet
    if kind == "images":
        return Rules(has_lists=False, max_rows=settings.max_rows, max_cell_chars=section.max_cell_chars)
    is_strict = profile in _STRICT
    return Rules(
        required=_ROLES if is_strict else section.required,
        require_values=("input",) if is_strict else (),
        unique=("serial",) if is_strict else section.unique,
        max_rows=settings.max_rows,
        max_urls_per_cell=settings.max_urls_per_cell,
        max_cell_chars=section.max_cell_chars,
        serial_aliases=section.serial_aliases,
        product_aliases=section.product_aliases,
        input_aliases=section.input_aliases,
    )


def with_column(known: Rules, kind: JobKind, column: str | None) -> Rules:
    """Return the rules for a sheet whose column of links somebody chose; RequestError where there are no columns."""
    if column is None:
        return known
    if kind == "images":
        message = "Only a sheet has columns."
        raise RequestError(message, [("image_column", message)])
    return msgspec.structs.replace(known, input_column=column)
