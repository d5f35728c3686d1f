"""Uploads as old services' clients send them, received as our own are: the same limits, the same intake.

Their fields are translated; fields that mean nothing to us are passed over, for those clients cannot be corrected.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from litestar import Request
from litestar.datastructures import State
from litestar.exceptions import ClientException

from imagemill.api.fields import submission
from imagemill.api.form import ImagesForm, UploadForm
from imagemill.api.image_uploads import receive_images
from imagemill.api.parts import Parts
from imagemill.api.uploads import Form, Upload, boundary_of, receive_sheet
from imagemill.compat.profile import Refusal, Refused
from imagemill.core.errors import ImageError
from imagemill.core.job import Profile
from imagemill.db import Caller
from imagemill.imaging.sniff import sniff
from imagemill.pipeline import Accepted, Intake

HEAD_BYTES: Final = 64
"""So much of a picture says what it is."""

CALLBACKS: Final = ("webhook", "webhookUrl", "webhook_url", "callbackUrl", "callback_url")
_MEANT: Final = frozenset({*CALLBACKS, "size", "sizeX", "sizeY"})
"""What some profile takes: one of these that cannot be read is a fault, not one that may be passed over."""

Ask = Callable[[dict[str, str]], list[tuple[str, str]]]
"""From a profile's fields to ours."""


class PictureForm(ImagesForm):
    """A form with one picture of some `formats`, known by its first bytes: `refused` where it is of another."""

    def __init__(self, boundary: str, formats: tuple[str, ...], most_bytes: int, refused: Refusal) -> None:
        super().__init__(boundary, most_images=2, most_bytes=most_bytes)
        self.has_picture = False
        self._formats, self._refused = formats, refused
        self._head = b""
        self._is_known = False

    def feed(self, chunk: bytes) -> list[str | bytes | None]:
        """Take some of the body, return what of it belongs to the picture."""
        events = super().feed(chunk)
        for event in events:
            if isinstance(event, str):
                self._begin()
            else:
                self._look(event)
        return events

    def _begin(self) -> None:
        if self.has_picture:
            raise ClientException("Send one picture at a time.")
        self.has_picture = True

    def _look(self, event: bytes | None) -> None:
        self._head += (event or b"")[: HEAD_BYTES - len(self._head)]
        if self._is_known or (event is not None and len(self._head) < HEAD_BYTES):
            return
        try:
            sniff(self._head, self._formats)
        except ImageError as error:
            raise Refused(*self._refused) from error
        self._is_known = True


async def take_sheet(
    request: Request[Caller, None, State], parts: Parts, profile: Profile, ask: Ask, missing: Refusal
) -> Accepted:
    """Make a job of a form with a sheet; `missing` where it has none."""
    form = UploadForm(_boundary(request, missing), parts.settings.max_upload_bytes)
    owner = request.user.owner

    async def accept(upload: Upload[Intake], _: object) -> Accepted:
        if form.filename is None:
            raise Refused(*missing)
        return await upload.finish(partial(_accepted, parts, form, ask(dict(form.fields)), owner))

    return await receive_sheet(request, parts, form, partial(parts.pipeline.intake, profile=profile), accept)


async def take_picture(
    request: Request[Caller, None, State],
    parts: Parts,
    profile: Profile,
    form: Callable[[str], PictureForm],
    ask: Callable[[dict[str, str], bool], list[tuple[str, str]]],
    missing: Refusal,
) -> Accepted:
    """Make a job of a form with a picture; `ask` is told whether it has one."""
    pictures = form(_boundary(request, missing))
    owner = request.user.owner

    def accept(intake: Intake) -> Accepted:
        return _accepted(parts, pictures, ask(dict(pictures.fields), pictures.has_picture), owner, intake)

    return await receive_images(request, parts, pictures, partial(parts.pipeline.image_intake, profile), accept)


def _boundary(request: Request[Caller, None, State], missing: Refusal) -> str:
    boundary = boundary_of(request)
    if boundary is None:
        raise Refused(*missing)
    return boundary


def _accepted(parts: Parts, form: Form, fields: list[tuple[str, str]], owner: str, intake: Intake) -> Accepted:
    asked = submission(parts.settings, fields, [(name, message) for name, message in form.errors if name in _MEANT])
    return intake.accept(asked, owner=owner, filename=form.filename or "")
