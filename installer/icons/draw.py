"""Writes imagemill.ico and imagemill.icns from the PNGs: `python installer/icons/draw.py FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
SIZES = (16, 24, 32, 48, 64, 128, 256)


def draw(folder: Path) -> None:
    """Write both; each has every size that its system asks for and we have."""
    pictures = [Image.open(HERE / f"imagemill-{size}.png") for size in SIZES]
    folder.mkdir(parents=True, exist_ok=True)
    largest = pictures[-1]
    largest.save(folder / "imagemill.ico", sizes=[(size, size) for size in SIZES], append_images=pictures[:-1])
    largest.save(folder / "imagemill.icns", append_images=pictures[:-1])


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
