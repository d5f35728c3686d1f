"""Templates: Jinja with everything escaped, and a name that is missing an error and not an empty place."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from imagemill import __version__
from imagemill.web.units import FILTERS

FOLDER: Final = Path(__file__).parent / "templates"


class Templates:
    """The templates of the page. `asset` turns a name below `static/` into its address."""

    def __init__(self, asset: Callable[[str], str]) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update(FILTERS)
        self._environment.globals.update(asset=asset, version=__version__)

    def render(self, name: str, **context: object) -> str:
        """Return a template filled in."""
        return self._environment.get_template(name).render(**context)
