"""A job asked for in JSON: `images`, `sheet_url` or `draft`, and beside them a form's fields as JSON values. No I/O."""

from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Request
from litestar.exceptions import ClientException

from imagemill.core.errors import RequestError
from imagemill.core.sheet import SheetError

_IMAGES, _SHEET_URL, _DRAFT = "images", "sheet_url", "draft"
_FIRST_ROW: Final = 2
"""Of the sheet that is made of `images`: its header is row 1."""

_UNREADABLE: Final = (RecursionError, UnicodeDecodeError)
"""What msgspec raises beside its own errors."""

_MISSING: Final = "Send `images`, a list of addresses, `sheet_url`, the address of a sheet, or `draft`, the id of one."
_BOTH: Final = "Send one of `images`, `sheet_url` and `draft`, not several."


class Document:
    """What a body in JSON asks for. `fields` and `errors` are as a form's; of the three sources one is not None.

    `filename` is a draft's, once that is found.
    """

    filename = ""

    def __init__(self, body: bytes) -> None:
        self.errors: list[tuple[str, str]] = []
        values = _object(body)
        self.images = self._images(values.pop(_IMAGES, None))
        self.sheet_url = self._address(values.pop(_SHEET_URL, None))
        self.draft = self._draft(values.pop(_DRAFT, None))
        given = [name for name in (_IMAGES, _SHEET_URL, _DRAFT) if getattr(self, name) is not None]
        if not given and not self.errors:
            self.errors.append((_IMAGES, _MISSING))
        if len(given) > 1:
            self.errors.append((given[1], _BOTH))
        self.fields = [pair for name, value in values.items() for pair in self._texts(name, value)]

    def refusal(self, error: SheetError) -> Exception:
        """Return what is wrong with the images in the client's own terms: it sent no sheet, so it has no rows."""
        if self.images is None:
            return error
        errors = [
            (f"{_IMAGES}[{fault.row - _FIRST_ROW}]" if fault.row >= _FIRST_ROW else _IMAGES, fault.message)
            for fault in error.faults
        ]
        return RequestError("Some images are not right: `errors` names them.", errors)

    def _images(self, value: object) -> list[str] | None:
        if value is None:
            return None
        if not isinstance(value, list) or not value:
            self.errors.append((_IMAGES, "Must be a list of addresses, at least one."))
            return []
        self.errors += [
            (f"{_IMAGES}[{number}]", "Must be an address.")
            for number, url in enumerate(value)
            if not isinstance(url, str) or not url.strip()
        ]
        return [str(url) for url in value]

    def _address(self, value: object) -> str | None:
        if value is None or isinstance(value, str):
            return value
        self.errors.append((_SHEET_URL, "Must be an address."))
        return ""

    def _draft(self, value: object) -> str | None:
        """Return a draft's id; as it names a folder, it must be one."""
        if value is None:
            return None
        try:
            return str(UUID(str(value)))
        except ValueError:
            self.errors.append((_DRAFT, "Must be the id of a draft."))
            return ""

    def _texts(self, name: str, value: object) -> Iterator[tuple[str, str]]:
        """Yield a field as a form would have sent it; null counts as absent."""
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, bool):
                yield name, str(each).lower()
            elif isinstance(each, str | int):
                yield name, str(each)
            elif each is not None:
                self.errors.append((name[:100], "Must be a text, a number, true or false."))


def _object(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.ValidationError as error:
        raise RequestError("The body must be a JSON object.", [("body", str(error))]) from error
    except (msgspec.DecodeError, *_UNREADABLE) as error:
        raise _no_json(error) from error


class JsonRequest(Request[Any, Any, Any]):
    """Litestar's request, which takes what is nested too deeply, or is no UTF-8, for a mistake of ours (500)."""

    async def json(self) -> Any:  # noqa: ANN401 - Litestar's signature
        """Return what the body says; ClientException 400 when it says nothing."""
        try:
            return await super().json()
        except _UNREADABLE as error:
            raise _no_json(error) from error


def _no_json(error: Exception) -> ClientException:
    return ClientException(f"The body cannot be read as JSON: {error}.", status_code=400)
