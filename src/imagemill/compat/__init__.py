"""Old services, for their clients: each profile is a thin translation onto our own calls (COMPAT.md, README).

`forms` and `profile` are what they share; beside them each has one file. Refused: any logic of their own, and any way
around tokens and limits.
"""

from collections.abc import Callable
from typing import Final

from litestar import Router

from imagemill.compat import bip, csv_api, image_api, thumbnails
from imagemill.settings import CompatSettings

PROFILES: Final[dict[str, Callable[[], Router]]] = {
    "bip": bip.routes,
    "csv-api": csv_api.routes,
    "thumbnails": thumbnails.routes,
    "image-api": image_api.routes,
}


def routers(section: CompatSettings) -> list[Router]:
    """Return the routes of the profiles that are switched on."""
    return [PROFILES[name]() for name in dict.fromkeys(section.profiles)]
