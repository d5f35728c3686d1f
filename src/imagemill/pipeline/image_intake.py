"""Accept images themselves: each is written and digested while it comes; together they become a job of images."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final

from imagemill.core import keys
from imagemill.core.errors import RequestError
from imagemill.pipeline.intake import IMAGES_HEADER, Intake, images_row
from imagemill.storage.local import flush_folder

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from imagemill.core.job import Submission

_UNNAMED: Final = "image"


class ImageIntake(Intake):
    """`begin`, `write` …, `end` for each image, then `accept`; `discard` when it ends otherwise."""

    _name = ""
    _image: BinaryIO | None = None

    def begin(self, filename: str) -> None:
        """Begin an image; its name is for showing."""
        if not self._images.is_dir():
            self._images.mkdir(mode=0o700)
            self.feed(IMAGES_HEADER)
        self._name = filename or _UNNAMED
        self._image = (self._images / "part").open("xb")
        self._sum = hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Take the next bytes of the image."""
        with self._parts.room.watched():
            self._opened().write(data)
        self._sum.update(data)

    def end(self) -> None:
        """The image is whole."""
        file = self._opened()
        with self._parts.room.watched():
            file.flush()
            os.fsync(file.fileno())
            file.close()
        self._parts.room.check()
        sha256 = self._sum.hexdigest()
        (self._images / "part").replace(self._images / sha256)
        self._image = None
        self.feed(images_row(keys.upload_url(sha256, self._name)))

    def discard(self) -> None:
        """Leave nothing on the disk."""
        if self._image is not None:
            self._image.close()
        super().discard()

    @property
    def _images(self) -> Path:
        return self._folder / "images"

    def _opened(self) -> BinaryIO:
        if self._image is None:
            message = "no image was begun"
            raise ValueError(message)
        return self._image

    def _read(self, submission: Submission) -> None:
        if not self._images.is_dir():
            raise nothing_sent()
        super()._read(submission)

    def _keep(self, uid: str) -> None:
        uploads = self._parts.folders.uploads
        flush_folder(self._images)
        self._images.rename(uploads / uid)
        flush_folder(uploads)
        super()._keep(uid)


def nothing_sent() -> RequestError:
    """Return what is said where a form has no picture."""
    message = "No image was sent: send it as the multipart file `image`."
    return RequestError(message, [("image", message)])
