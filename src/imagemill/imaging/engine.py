"""Which `PIL` this is. pillow-simd and Pillow are one folder: of both, one silently overwrites the other."""

from __future__ import annotations

import sys
from typing import Final

from imagemill.core.errors import UnfitError

_DISTRIBUTIONS: Final = ("pillow-simd", "pillow")
_CURE: Final = "run `make setup`, or: pip uninstall -y pillow pillow-simd && pip install --no-deps pillow-simd"
ABSENT: Final = "absent"
"""What the description of a part that was not built begins with."""

_CODECS: Final = {"jpg": "jpeg", "zlib": "png", "webp": "webp", "libtiff": "tiff", "littlecms2": "colour profiles"}


def check() -> None:
    """Raise UnfitError unless `PIL` is exactly what one distribution installed.

    Which of the two is the build's choice. A frozen program has no distributions to compare; its build was checked.
    """
    version = _pil_version()
    installed = {name: found for name in _DISTRIBUTIONS if (found := _installed_version(name)) is not None}
    if len(installed) > 1:
        both = " and ".join(f"{name} {found}" for name, found in installed.items())
        raise UnfitError(f"PIL is mixed: {both} are both installed, and one has overwritten the other. Cure: {_CURE}")
    for name, found in installed.items():
        if found != version:
            raise UnfitError(f"PIL is mixed: {name} {found} is installed, but PIL says it is {version}. Cure: {_CURE}")
    if not installed and not getattr(sys, "frozen", False):
        raise UnfitError(f"PIL {version} belongs to no installed package. Cure: {_CURE}")


def name() -> str:
    """Return what `PIL` is, by its version: pillow-simd ends its versions in .postN."""
    return "pillow-simd" if ".post" in _pil_version() else "pillow"


def describe() -> dict[str, str]:
    """Return name, version and the versions of the codecs inside. Loads Pillow's core, decodes nothing."""
    from PIL import features  # noqa: PLC0415 — `check` and `name` stay light

    from imagemill.imaging import coefficients, palette  # noqa: PLC0415 — as above

    codecs = {label: str(features.version(feature)) for feature, label in _CODECS.items() if features.check(feature)}
    requantiser = coefficients.library() or f"{ABSENT}: JPEGs take the slower way through pixels"
    palettes = "built" if palette.IS_BUILT else f"{ABSENT}: a PNG gets a palette only where that loses nothing"
    return {"engine": name(), "version": _pil_version(), "requantiser": requantiser, "palettes": palettes, **codecs}


def _pil_version() -> str:
    try:
        import PIL  # noqa: PLC0415 — its absence is an answer too
    except ImportError as error:
        raise UnfitError(f"PIL cannot be imported. Cure: {_CURE}", cause=str(error)) from error
    return str(getattr(PIL, "__version__", ""))


def _installed_version(distribution: str) -> str | None:
    # Here and not above: `check` is the parent's, and the children, who only describe, need 8 ms each to load it.
    from importlib import metadata  # noqa: PLC0415

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
