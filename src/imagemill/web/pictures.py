"""How an image is shown on the page: its address from here, its name for people, what became of it in words."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from imagemill.api.jobs import with_urls
from imagemill.api.parts import Parts
from imagemill.core import keys
from imagemill.core.job import Image, Output
from imagemill.db import MAIN

LIKENESS: Final = ((0.99, "no visible difference"), (0.97, "hardly a difference"), (0.93, "a slight difference"))
_UNLIKE: Final = "look closely"
_MOST_CHARS: Final = 60


@dataclass(frozen=True)
class Picture:
    """An image as it is shown: `shown` is looked at, `small` stands in lists; None where nothing is made."""

    image: Image
    name: str
    host: str
    shown: Output | None
    small: Output | None

    @property
    def link(self) -> str | None:
        """Where the source lies, for those who want to open it; None where it was sent to us."""
        return None if keys.uploaded(self.image.source_url) else self.image.source_url

    @property
    def likeness(self) -> str:
        """What the SSIM says, in words; nothing where it was not measured."""
        if self.image.ssim is None:
            return ""
        return next((words for least, words in LIKENESS if self.image.ssim >= least), _UNLIKE)


def picture(image: Image, parts: Parts) -> Picture:
    """Return an image as it is shown."""
    base = parts.public_url()
    outputs = [_here(output, base) for output in with_urls(image, parts).outputs]
    shown = next((output for output in outputs if output.name == MAIN), None)
    small = min(outputs, key=lambda output: (output.name == MAIN, output.bytes), default=None)
    return Picture(image, name_of(image.source_url), host_of(image.source_url), shown, small)


def name_of(url: str) -> str:
    """Return the last part of an address, as people wrote it; what is long is cut in the middle."""
    try:
        path = urlsplit(url).path
    except ValueError:
        path = url
    name = unquote(path.rstrip("/").rpartition("/")[2]) or url
    return name if len(name) <= _MOST_CHARS else f"{name[: _MOST_CHARS // 2]}…{name[-_MOST_CHARS // 2 + 1 :]}"


def host_of(url: str) -> str:
    """Return where an image comes from."""
    return "sent" if keys.uploaded(url) else keys.host_of(url)


def _here(output: Output, base: str) -> Output:
    """Return an output with its address on this page's own host, where it is published by us.

    The public address may lead past a proxy that whoever looks at the page cannot reach.
    """
    path = output.url.removeprefix(base) if base else output.url
    url = path if path.startswith("/images/") else output.url
    return Output(output.name, output.key, output.bytes, output.format, output.width, output.height, url)
