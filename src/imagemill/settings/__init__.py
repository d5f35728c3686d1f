"""Settings as data: frozen sections with defaults, help and bounds; loaded once, validated at the start (CLI.md).

Reading order: sections (what there is), loading (the layers, from defaults to flags), listing (what is in force and
why). Each part of the program is given its own section, never the whole.
"""

from imagemill.settings.listing import Described, as_toml, describe
from imagemill.settings.loading import Loaded, load
from imagemill.settings.sections import (
    CallbackSettings,
    CompatSettings,
    DatabaseSettings,
    DraftSettings,
    EstimateSettings,
    FetchSettings,
    ImageSettings,
    Settings,
    SheetSettings,
    StorageSettings,
)

__all__ = [
    "CallbackSettings",
    "CompatSettings",
    "DatabaseSettings",
    "Described",
    "DraftSettings",
    "EstimateSettings",
    "FetchSettings",
    "ImageSettings",
    "Loaded",
    "Settings",
    "SheetSettings",
    "StorageSettings",
    "as_toml",
    "describe",
    "load",
]
