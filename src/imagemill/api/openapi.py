"""What routes say of themselves for /openapi.json beyond their types: forms, downloads, streams, refusals, examples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import msgspec
from litestar.datastructures import ResponseHeader
from litestar.openapi import ResponseSpec
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import (
    Components,
    Example,
    License,
    OpenAPIHeader,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Parameter,
    Reference,
    RequestBody,
    Schema,
    SecurityScheme,
    Tag,
)

from imagemill import __version__
from imagemill.api.fields import (
    FIELDS,
    KEY_ACCEPTS,
    KEY_HEADER,
    KEY_PATTERN,
    MAX_KEY_CHARS,
    MAX_THUMBNAILS,
    RECIPE_FIELDS,
    Field,
)
from imagemill.api.problems import MEDIA_TYPE, Problem
from imagemill.core.recipe import THUMBNAIL_PATTERN

_BEARER: Final = (
    "`imagemill token show` prints the first token. The page sends its session's cookie instead, and with that what"
    " changes something must come from the page: its `Origin`, or `Sec-Fetch-Site: same-origin`."
)
_DESCRIPTION: Final = """\
Send a sheet of products with links to their pictures, get the same sheet back with one column more: links to the same
pictures, compressed.

Everything under `/api/v1` needs `Authorization: Bearer <token>`; `imagemill token show` prints the first one. Errors
are [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem details: `code` is stable, `detail` says what to do.
Times are RFC 3339 in UTC, sizes are bytes, ids are UUIDv7. Every answer but a published picture
bears `X-Request-Id`, which the log has too.
"""

BINARY: Final = "application/octet-stream"
UNCHANGED: Final = Parameter(
    name="If-None-Match",
    param_in="header",
    description="The `ETag` that the client has.",
    schema=Schema(type=OpenAPIType.STRING),
)
ACCEPTED: Final = [
    ResponseHeader("Location", documentation_only=True),
    ResponseHeader("Retry-After", documentation_only=True),
]
WATCHED: Final = [
    ResponseHeader("ETag", documentation_only=True),
    ResponseHeader("Retry-After", documentation_only=True),
]
_STILL: Final[dict[str, OpenAPIHeader | Reference]] = {"Retry-After": OpenAPIHeader()}
_ADDRESS: Final = {"type": "string", "format": "uri", "pattern": "^https?://"}

_FORM_EXAMPLE: Final = Example(
    summary="a sheet of one product",
    value={
        "file": "S. No.,Product Name,Input Image Urls\n1,Apple,https://shop.example/apple.jpg\n",
        "quality": 50,
        "thumbnails": "200x200:cover",
    },
)
_DOCUMENT_EXAMPLES: Final = (
    Example(
        summary="images without a sheet",
        value={"images": ["https://shop.example/apple.jpg"], "quality": 50, "thumbnails": ["200x200:cover"]},
    ),
    Example(summary="a sheet to be fetched", value={"sheet_url": "https://shop.example/products.csv"}),
)
_EVENTS_EXAMPLE: Final = """\
event: image
id: 41
data: {"id":"01990b5e-…","state":"done", …}

event: finished
id: 41
data: {"id":"01990b5e-…","state":"completed", …}

"""

_REFUSALS: Final = {
    400: ("bad_request", "The body is not JSON."),
    401: ("unauthorized", "There is no token, or it is not known."),
    403: ("forbidden", "The token lacks the scope."),
    404: ("not_found", "There is no such job, or it is another owner's."),
    408: ("slow_body", "The body came too slowly."),
    409: ("not_finished", "The job has not ended yet; `Retry-After` of the job says when to look again."),
    413: ("too_large", "The sheet is larger than `max_upload_bytes`."),
    415: ("unsupported_media_type", "The body is not multipart/form-data."),
    416: ("range_not_satisfiable", "No byte of it is in the range."),
    422: (
        "invalid_request",
        "A field or parameter is wrong (`invalid_request`), or the sheet has faults (`invalid_sheet`).",
    ),
    429: ("rate_limited", "The token, or the address, asks too often: come again after `Retry-After` seconds."),
    503: ("no_room", "The disk is low or the queue is full: come again after `Retry-After` seconds."),
}


def refusals(*statuses: int, **others: tuple[int, str]) -> dict[int, ResponseSpec]:
    """Return the documented refusals of a route: the usual ones, and `others`, code = (status, when)."""
    everywhere = (429,) if 401 in statuses else ()
    usual = {status: _refusal(status, *_REFUSALS[status]) for status in (*statuses, *everywhere)}
    return usual | {status: _refusal(status, code, when) for code, (status, when) in others.items()}


def _refusal(status: int, code: str, when: str) -> ResponseSpec:
    example = Example(summary=code, value=_example(status, code, when))
    return ResponseSpec(Problem, generate_examples=False, description=when, media_type=MEDIA_TYPE, examples=[example])


@dataclass
class FormOperation(Operation):
    """Documents the multipart form, which is read as a stream and so has no type, and its like in JSON."""

    def __post_init__(self) -> None:
        """Describe the sheet and every field."""
        sheet = _part("The sheet: CSV or the like. Also accepted as `csv`, `csvFile`, `csv_file`, `sheet`.")
        content = {
            "multipart/form-data": _body(_form({"file": sheet}), _FORM_EXAMPLE),
            "application/json": _body(_document(), *_DOCUMENT_EXAMPLES),
        }
        self.request_body = RequestBody(content=content, required=True)


@dataclass
class UploadOperation(FormOperation):
    """Documents the form, and the header that makes it safe to send again."""

    def __post_init__(self) -> None:
        """Describe the header too."""
        super().__post_init__()
        self.parameters = [*(self.parameters or []), _key_header()]


@dataclass
class ImagesOperation(Operation):
    """Documents the multipart form with images, and the header that makes it safe to send again."""

    def __post_init__(self) -> None:
        """Describe the images, every field and the header."""
        images = {"type": "array", "items": _part("A picture."), "minItems": 1}
        told = images | {"description": "Pictures. Also accepted as `images`, `file`."}
        self.request_body = RequestBody(content={"multipart/form-data": _body(_form({"image": told}))}, required=True)
        self.parameters = [*(self.parameters or []), _key_header()]


@dataclass
class DownloadOperation(Operation):
    """Documents a download as what it is: text/csv."""

    types: ClassVar[Sequence[str]] = ("text/csv",)
    what: ClassVar[str] = "The sheet."

    def __post_init__(self) -> None:
        """Replace the successful answer, which Litestar knows nothing of."""
        self.responses = {**(self.responses or {}), "200": self._answer(self.what, "Content-Disposition")}

    def _answer(self, what: str, *headers: str) -> OpenAPIResponse:
        content = {kind: OpenAPIMediaType(schema=Schema() if kind == BINARY else None) for kind in self.types}
        named: dict[str, OpenAPIHeader | Reference] = {name: OpenAPIHeader() for name in headers}
        return OpenAPIResponse(description=what, content=content, headers=named)


@dataclass
class FileOperation(DownloadOperation):
    """Documents a download that lies in a file: it can be asked for in parts, and again."""

    types: ClassVar[Sequence[str]] = ("text/csv",)
    what: ClassVar[str] = "The sheet."

    def __post_init__(self) -> None:
        """Add the answers to `Range` and `If-None-Match`."""
        super().__post_init__()
        whole = self._answer(self.what, "Content-Disposition", "ETag", "Accept-Ranges")
        part = self._answer("The part that `Range` asked for.", "Content-Disposition")
        unchanged = self._answer("The client has it: `If-None-Match` matched.", "Content-Disposition", "Accept-Ranges")
        unchanged.content = None
        self.responses = {**(self.responses or {}), "200": whole, "206": part, "304": unchanged}
        self.parameters = [*(self.parameters or []), _header("Range", "`bytes=0-99` and the like."), UNCHANGED]


@dataclass
class OriginalOperation(FileOperation):
    """Documents a source as what it is: an image of whatever type it came in."""

    types: ClassVar[Sequence[str]] = ("image/*", BINARY)
    what: ClassVar[str] = "The source."


@dataclass
class PreviewOperation(DownloadOperation):
    """Documents a picture made for showing, what is said of it, and the recipe's fields as parameters."""

    types: ClassVar[Sequence[str]] = ("image/*",)
    what: ClassVar[str] = "The output."

    def __post_init__(self) -> None:
        """Add the header, and every field of a recipe but for the thumbnails, which are not made."""
        super().__post_init__()
        self.responses = {**(self.responses or {}), "200": self._answer(self.what, "X-Preview")}
        self._take_fields()

    def _take_fields(self) -> None:
        self.parameters = [
            *(self.parameters or []),
            *(
                Parameter(name=name, param_in="query", schema=_kind(field), **_told(field))  # type: ignore[arg-type]
                for name, field in RECIPE_FIELDS.items()
                if name != "thumbnails"
            ),
        ]


@dataclass
class TrialOperation(PreviewOperation):
    """Documents the same for a picture that the client sends."""

    def _take_fields(self) -> None:
        body = _body(_form({"image": _part("A picture. Also accepted as `images`, `file`.")}))
        self.request_body = RequestBody(content={"multipart/form-data": body}, required=True)


@dataclass
class ArchiveOperation(DownloadOperation):
    """Documents a download as what it is: a ZIP file."""

    types: ClassVar[Sequence[str]] = ("application/zip",)
    what: ClassVar[str] = "The pictures."


@dataclass
class EventsOperation(Operation):
    """Documents a stream of events as what it is, and the header that goes on with one."""

    def __post_init__(self) -> None:
        """Replace the successful answer; name the header."""
        example = Example(summary="one image, and the end", value=_EVENTS_EXAMPLE)
        stream = OpenAPIMediaType(schema=_event(), examples={"events": example})  # type: ignore[arg-type]
        answer = OpenAPIResponse(
            description="Events, until the job has ended.",
            content={"text/event-stream": stream},
            headers={"X-Accel-Buffering": OpenAPIHeader()},
        )
        self.responses = {**(self.responses or {}), "200": answer}
        last = _header("Last-Event-ID", "The `id` of the last event that came; browsers send it by themselves.")
        self.parameters = [*(self.parameters or []), last]


@dataclass
class WatchedOperation(Operation):
    """Documents an answer that is not sent again while nothing has changed."""

    def __post_init__(self) -> None:
        """Add the short answer, and what asks for it."""
        unchanged = OpenAPIResponse(description="Nothing has changed: `If-None-Match` matched.", headers=_STILL)
        self.responses = {**(self.responses or {}), "304": unchanged}
        self.parameters = [*(self.parameters or []), UNCHANGED]


@dataclass
class MetricsOperation(Operation):
    """Documents what Prometheus reads as what it is: text/plain."""

    def __post_init__(self) -> None:
        """Replace the successful answer."""
        numbers = {"text/plain": OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))}
        answer = OpenAPIResponse(description="The numbers.", content=numbers)
        self.responses = {**(self.responses or {}), "200": answer}


def openapi_config(page: OpenAPIRenderPlugin) -> OpenAPIConfig:
    """Return the configuration: one page, no CDN."""
    bearer = SecurityScheme(type="http", scheme="bearer", description=_BEARER)
    return OpenAPIConfig(
        title="imagemill",
        version=__version__,
        description=_DESCRIPTION,
        license=License(name="MIT", identifier="MIT"),
        components=Components(security_schemes={"bearer": bearer}),
        security=[{"bearer": []}],
        tags=[
            Tag(name="jobs", description="Submit sheets, watch them, fetch what came out."),
            Tag(name="drafts", description="Check a sheet, and see some of its pictures, before it is a job."),
            Tag(name="callbacks", description="How the end of a job is told."),
            Tag(name="tokens", description="Who may call."),
            Tag(name="system", description="How the work is going, and its pause."),
        ],
        path="/docs",
        render_plugins=[page],
        operation_id_creator=lambda handler, _method, _path: handler.handler_name,
    )


def _key_header() -> Parameter:
    return Parameter(
        name=KEY_HEADER,
        param_in="header",
        description="Your name for this request. Sent again within 24 h (`idempotency_s`) with the same sheet and"
        f" fields, it is answered with the same job: no second one is made. {KEY_ACCEPTS}.",
        schema=Schema(type=OpenAPIType.STRING, min_length=1, max_length=MAX_KEY_CHARS, pattern=KEY_PATTERN),
    )


def _header(name: str, description: str) -> Parameter:
    return Parameter(name=name, param_in="header", description=description, schema=Schema(type=OpenAPIType.STRING))


def _event() -> dict[str, Any]:
    """Return what one event is: 3.1 has no word for the whole stream."""
    whats = [{"$ref": f"#/components/schemas/{name}"} for name in ("Job", "Image")]
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": {"anyOf": whats}}
    properties = {
        "event": {"enum": ["progress", "image", "finished"]},
        "id": {"type": "string", "pattern": "^[0-9]+$"},
        "data": data | {"description": "The job; for `image` the image."},
        "retry": {"type": "integer", "description": "Milliseconds; once, with the first event."},
    }
    return {"type": "object", "properties": properties, "required": ["event", "id", "data"]}


def _part(description: str) -> dict[str, Any]:
    return {"type": "string", "contentMediaType": BINARY, "description": description}


def _body(schema: dict[str, Any], *examples: Example) -> OpenAPIMediaType:
    named = {f"example-{number}": example for number, example in enumerate(examples, start=1)}
    return OpenAPIMediaType(schema=schema, examples=named or None)  # type: ignore[arg-type]


def _form(files: dict[str, Any]) -> dict[str, Any]:
    """Return what a form may say; numbers and the like are texts there."""
    properties = files | {name: _kind(field) | _told(field) for name, field in FIELDS.items()}
    return {"type": "object", "properties": properties, "required": list(files), "additionalProperties": False}


def _document() -> dict[str, Any]:
    """Return what a job asked for in JSON may say: one of `images`, `sheet_url` and `draft`, and the fields."""
    given = {
        "images": {"type": "array", "items": _ADDRESS, "minItems": 1, "description": "Addresses of images, in order."},
        "sheet_url": _ADDRESS | {"description": "The address of a sheet."},
        "draft": {"type": "string", "format": "uuid", "description": "The id of a sheet that was checked."},
    }
    fields = {
        name: {"anyOf": [_listed(field) if name == "thumbnails" else _kind(field), {"type": "null"}]} | _told(field)
        for name, field in FIELDS.items()
    }
    either = [
        {"required": [name], "not": {"anyOf": [{"required": [other]} for other in given if other != name]}}
        for name in given
    ]
    return {"type": "object", "properties": given | fields, "oneOf": either, "additionalProperties": False}


def _kind(field: Field) -> dict[str, Any]:
    return msgspec.json.schema(field.kind)


def _listed(field: Field) -> dict[str, Any]:
    """Return a text of several as the list that it is in JSON."""
    one = {"type": "string", "pattern": f"^{THUMBNAIL_PATTERN}$"}
    return {"anyOf": [{"type": "array", "items": one, "maxItems": MAX_THUMBNAILS}, _kind(field)]}


def _told(field: Field) -> dict[str, str]:
    return {"description": f"{field.help} Accepts {field.accepts}."}


def _example(status: int, code: str, detail: str) -> object:
    instance = "urn:uuid:0b6f3c53-6f0a-4e1c-9a51-5a1c1d7d3f7e"
    kind = f"urn:imagemill:problem:{code}"
    problem = Problem(type=kind, title=code, status=status, detail=detail, instance=instance, code=code)
    return msgspec.to_builtins(problem)
