"""`make screenshots`, the desk's part: README's pictures, cut out of what the tests of the story saw."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from PIL import Image

from tests.places import ROOT

PARTS: Final = {
    "icon": ("working", (0, 0, 372, 37)),
    "menu": ("menu", (0, 0, 372, 300)),
    "notification": ("notification", (268, 0, 640, 140)),
}
"""Each picture's name, the test's picture that it is a part of, and where in that."""

_COLOURS: Final = 64


def main() -> None:
    """Run the story and keep its pictures."""
    with tempfile.TemporaryDirectory() as folder:
        story = [sys.executable, "-m", "pytest", "-q", "tests/tray/test_story.py"]
        subprocess.run(story, cwd=ROOT, env={**os.environ, "SCREENSHOTS": folder}, check=True)
        for name, (whole, part) in PARTS.items():
            with Image.open(Path(folder, f"{whole}.png")) as picture:
                small = picture.convert("RGB").crop(part).quantize(_COLOURS, dither=Image.Dither.NONE)
            small.save(ROOT / "docs" / f"desk-{name}.png", optimize=True)


if __name__ == "__main__":
    main()
