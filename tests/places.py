"""Where tests find what is shared between the projects of the house; absent on a stranger's machine."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared corpus beside the checkout (../shared)")
