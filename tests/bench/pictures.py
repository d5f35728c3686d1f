"""What is compressed: folders of images, each made once in the cache where the corpus does not hold it."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

from PIL import Image

from tests.bench.contenders import CACHE
from tests.places import SHARED

PRODUCTS = SHARED / "corpus" / "products"
SHOP = SHARED / "corpus" / "shop" / "images"
_SOI = b"\xff\xd8"


def photos() -> Path:
    """The large photographs of photos.sh, and each again with a JPEG comment: other bytes, equal work.

    Equal bytes would be compressed once by the product and twice by the peer, which is not what this set asks.
    """
    folder = CACHE / "photos"
    if not folder.is_dir():
        subprocess.run(["sh", str(SHARED / "corpus" / "photos.sh"), str(folder)], check=True, cwd="/tmp")
    for original in list(folder.glob("*.jpg")):
        again = folder / f"again-{original.name}"
        if not original.name.startswith("again-") and not again.exists():
            again.write_bytes(_SOI + b"\xff\xfe\x00\x07again" + original.read_bytes()[2:])
    return folder


def tiny(count: int) -> Path:
    """`count` JPEGs of under 1 KB, all different: next to nothing to download or to compress."""
    folder = CACHE / f"tiny-{count}"
    if not folder.is_dir():
        folder.mkdir(parents=True)
        dice = random.Random(count)
        for n in range(count):
            colour = tuple(dice.randrange(256) for _ in range(3))
            Image.new("RGB", (32, 32), colour).save(folder / f"{n:06}.jpg", quality=90, comment=str(n).encode())
    return folder
