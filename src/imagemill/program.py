"""How this very program is called, by a service, by the icon, at login: frozen, by its script or its interpreter."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def own_command() -> list[str]:
    """Return the words that call it, without a verb."""
    if getattr(sys, "frozen", False):
        return [sys.executable]
    script = Path(sys.argv[0]).absolute()
    if script.stem == "imagemill" and os.access(script, os.X_OK):
        return [str(script)]
    return [sys.executable, "-m", "imagemill"]
