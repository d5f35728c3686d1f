"""Numbers, sizes and times as people read them: the filters of the templates. Pure."""

from datetime import UTC, datetime
from typing import Final

from markupsafe import Markup

_GAP: Final = "\u00a0"
"""Between a number and its unit no line ends."""

_MOMENT: Final = 0.1
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400


def count(number: int) -> str:
    """Return `12,345`."""
    return f"{number:,}"


def size(number: int) -> str:
    """Return bytes in thousands, with at most three digits that matter: `850 B`, `12.3 MB`, `345 MB`."""
    value, unit = float(number), "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if abs(value) < 999.5:
            break
        value, unit = value / 1000, larger
    digits = 0 if unit == "B" or abs(value) >= 99.95 else 1
    return f"{value:.{digits}f}{_GAP}{unit}"


def percent(number: float) -> str:
    """Return `63 %`, and below ten `4.2 %`."""
    return f"{number:.0f}{_GAP}%" if abs(number) >= 9.95 or number == 0 else f"{number:.1f}{_GAP}%"


def duration(seconds: float) -> str:
    """Return `12 ms`, `0.4 s`, `16 s`, `2 min 5 s`, `3 h 10 min`, `2 days`."""
    if 0 < seconds < _MOMENT:
        return f"{max(1, round(1000 * seconds))}{_GAP}ms"
    if 0 < seconds < 1:
        return f"{seconds:.1f}{_GAP}s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole}{_GAP}s"
    if whole < _HOUR:
        return _two(whole, _MINUTE, "min", 1, "s")
    if whole < 2 * _DAY:
        return _two(whole, _HOUR, "h", _MINUTE, "min")
    return f"{whole // _DAY}{_GAP}days"


def sentence(words: str) -> str:
    """Return words with a capital letter before them and a full stop behind."""
    return f"{words[:1].upper()}{words[1:]}." if words else ""


def when(moment: datetime) -> Markup:
    """Return a `<time>` in UTC; the page's script puts it into the reader's own zone."""
    utc = moment.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(f"{utc:%Y-%m-%dT%H:%M:%SZ}", f"{utc:%d %b %Y, %H:%M} UTC")


def _two(whole: int, large: int, large_word: str, small: int, small_word: str) -> str:
    rest = whole % large // small
    return f"{whole // large}{_GAP}{large_word}" + (f" {rest}{_GAP}{small_word}" if rest else "")


FILTERS: Final = {
    "count": count,
    "size": size,
    "percent": percent,
    "duration": duration,
    "sentence": sentence,
    "when": when,
}
