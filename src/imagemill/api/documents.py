"""A job asked for in JSON: `images` or `sheet_url`, and beside them a form's fields as JSON values. No I/O."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from litestar import Request
from litestar.exceptions import ClientException

from imagemill.core.errors import RequestError
from imagemill.core.sheet import SheetError

_IMAGES, _SHEET_URL = "images", "sheet_url"
_FIRST_ROW: Final = 2
"""Of the sheet that is made of `images`: its header is row 1."""

_UNREADABLE: Final = (RecursionError, UnicodeDecodeError)
"""What msgspec raises beside its own errors."""

_MISSING: Final = "Send `images`, a list of addresses, or `sheet_url`, the address of a sheet."
_BOTH: Final = "Send `images` or `sheet_url`, not both."


class Document:
    """What a body in JSON asks for. `fields` and `errors` are as a form's; `images` or `sheet_url` may be None."""

    filename = ""

    def __init__(self, body: bytes) -> None:
        self.errors: list[tuple[str, str]] = []
        values = _object(body)
        self.images = self._images(values.pop(_IMAGES, None))
        self.sheet_url = self._address(values.pop(_SHEET_URL, None))
        if self.images is None and self.sheet_url is None and not self.errors:
            self.errors.append((_IMAGES, _MISSING))
        if self.images is not None and self.sheet_url is not None:
            self.errors.append((_SHEET_URL, _BOTH))
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
