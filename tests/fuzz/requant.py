"""Breaks JPEGs and feeds them to the requantiser under sanitizers: python -m tests.fuzz.requant EXECUTIONS [SEED].

Small JPEGs of every kind that it knows are made here; the shared collection of hostile ones comes in where it is there.
A finding leaves what it was fed in `last.jpg`, in the current folder.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from PIL import Image

from tests.fuzz import program
from tests.imaging.pictures import noise, photo, written
from tests.places import ROOT, SHARED

CORE = [
    ROOT / "src" / "imagemill" / "imaging" / f"{name}.c"
    for name in ("requant", "requant_blocks", "requant_decode", "requant_entropy")
]
KINDS: dict[str, dict[str, Any]] = {
    "444": {"subsampling": "4:4:4"},
    "422": {"subsampling": "4:2:2"},
    "420": {"subsampling": "4:2:0"},
    "progressive": {"progressive": True},
    "progressive-444": {"progressive": True, "subsampling": "4:4:4"},
    "restart": {"restart_marker_blocks": 2},
    "progressive-restart": {"progressive": True, "restart_marker_blocks": 3},
    "optimised": {"optimize": True},
    "rgb": {"keep_rgb": True},
}
RESHAPED: dict[str, tuple[dict[str, Any], int, tuple[int, int]]] = {
    # what no encoder at hand writes: (how it is written, sampling of luma then, its sides for 96 × 48 pixels' MCUs)
    "440": ({"subsampling": "4:2:2"}, 0x12, (48, 96)),
    "411": ({"subsampling": "4:2:0"}, 0x41, (192, 24)),
    "440-progressive": ({"subsampling": "4:2:2", "progressive": True}, 0x12, (48, 96)),
    "410-restart": ({"subsampling": "4:2:0", "restart_marker_blocks": 2}, 0x14, (48, 96)),
}
SIZES = ((16, 16), (33, 17), (1, 9), (48, 40))
SMALL_BYTES = 30_000


def reshaped(picture: Image.Image, kind: str) -> bytes:
    """Write a picture of 96 × 48 and change how its blocks are laid out: the pixels make no sense, the file does."""
    how, sampling, (width, height) = RESHAPED[kind]
    data = written(picture, "jpeg", quality=90, **how)
    frame = data.index(b"\xff\xc2" if "progressive" in how else b"\xff\xc0")
    sides = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    head, tail = data[: frame + 5] + sides + data[frame + 9 : frame + 11], data[frame + 12 :]
    return head + bytes([sampling]) + tail


def seeds(folder: Path) -> list[Path]:
    for width, height in SIZES:
        pictures: dict[str, Image.Image] = {"photo": photo(width, height), "noise": noise(width, height)}
        for name, picture in pictures.items():
            for kind, how in KINDS.items():
                data = written(picture, "jpeg", quality=90, **how)
                (folder / f"{name}-{width}x{height}-{kind}.jpg").write_bytes(data)
            for mode in ("L", "CMYK"):
                data = written(picture.convert(mode), "jpeg", quality=80)
                (folder / f"{name}-{width}x{height}-{mode}.jpg").write_bytes(data)
    for kind in RESHAPED:
        (folder / f"reshaped-{kind}.jpg").write_bytes(reshaped(photo(96, 48), kind))
    hostile = (SHARED / "corpus" / "hostile").glob("*.jpg")
    return [*folder.glob("*.jpg"), *(path for path in hostile if path.stat().st_size < SMALL_BYTES)]


def run(executions: int, seed: int, folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    built = program.built(folder, "requant_fuzz", *map(str, CORE), "-ljpeg", *flags)
    return program.run(built, seed, executions, *sorted(seeds(folder)))


if __name__ == "__main__":
    program.main(run)
