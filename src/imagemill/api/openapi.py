"""What /openapi.json says beyond what Litestar reads from the routes: form, downloads, refusals, published images."""

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from litestar.openapi import ResponseSpec
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import (
    Components,
    Example,
    License,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Parameter,
    RequestBody,
    Schema,
    SecurityScheme,
    Tag,
)
from litestar.openapi.spec.enums import OpenAPIFormat

from imagemill import __version__
from imagemill.api.fields import FIELDS, KEY_ACCEPTS, KEY_HEADER, KEY_PATTERN, MAX_KEY_CHARS, Field
from imagemill.api.problems import MEDIA_TYPE, Problem

_DESCRIPTION: Final = """\
Send a sheet of products with links to their pictures, get the same sheet back with one column more: links to the same
pictures, compressed.

Everything under `/api/v1` needs `Authorization: Bearer <token>`; `imagemill token show` prints the first one. Errors
are [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem details: `code` is stable, `detail` says what to do.
Times are RFC 3339 in UTC, sizes are bytes, ids are UUIDv7.
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
    422: (
        "invalid_request",
        "A field or parameter is wrong (`invalid_request`), or the sheet has faults (`invalid_sheet`).",
    ),
    429: ("rate_limited", "The token, or the address, asks too often: come again after `Retry-After` seconds."),
    503: ("no_room", "The disk is low or the queue is full: come again after `Retry-After` seconds."),
}

_NOT_PUBLIC: Final = ("/api/", "/metrics")
_PUBLIC: Final[dict[str, Any]] = {"security": []}


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
        sheet = Schema(
            type=OpenAPIType.STRING,
            content_media_type="application/octet-stream",
            description="The sheet: CSV or the like. Also accepted as `csv`, `csvFile`, `csv_file`, `sheet`.",
        )
        properties = {"file": sheet} | _form_fields()
        form = Schema(type=OpenAPIType.OBJECT, properties=properties, required=["file"])  # type: ignore[arg-type]
        content = {
            "multipart/form-data": OpenAPIMediaType(schema=form),
            "application/json": OpenAPIMediaType(schema=_document_schema()),
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
        image = Schema(type=OpenAPIType.STRING, content_media_type="application/octet-stream")
        images = Schema(
            type=OpenAPIType.ARRAY, items=image, min_items=1, description="Pictures. Also accepted as `images`, `file`."
        )
        properties = {"image": images} | _form_fields()
        form = Schema(type=OpenAPIType.OBJECT, properties=properties, required=["image"])  # type: ignore[arg-type]
        self.request_body = RequestBody(content={"multipart/form-data": OpenAPIMediaType(schema=form)}, required=True)
        self.parameters = [*(self.parameters or []), _key_header()]


@dataclass
class DownloadOperation(Operation):
    """Documents a download as what it is: text/csv."""

    def __post_init__(self) -> None:
        """Replace the successful answer."""
        self.responses = {**(self.responses or {}), "200": _file("text/csv", "The sheet.")}


@dataclass
class ArchiveOperation(Operation):
    """Documents a download as what it is: a ZIP file."""

    def __post_init__(self) -> None:
        """Replace the successful answer."""
        self.responses = {**(self.responses or {}), "200": _file("application/zip", "The pictures.")}


@dataclass
class EventsOperation(Operation):
    """Documents a stream of events as what it is, and the header that goes on with one."""

    def __post_init__(self) -> None:
        """Replace the successful answer; name the header."""
        stream = _file("text/event-stream", "Events, until the job has ended.")
        self.responses = {**(self.responses or {}), "200": stream}
        last = Parameter(
            name="Last-Event-ID",
            param_in="header",
            description="The `id` of the last event that came; browsers send it by themselves.",
            schema=Schema(type=OpenAPIType.STRING),
        )
        self.parameters = [*(self.parameters or []), last]


@dataclass
class OriginalOperation(Operation):
    """Documents a source as what it is: an image of whatever type it came in."""

    def __post_init__(self) -> None:
        """Replace the successful answer."""
        answer = OpenAPIResponse(description="The source.", content={"image/*": OpenAPIMediaType()})
        self.responses = {**(self.responses or {}), "200": answer}


@dataclass
class MetricsOperation(Operation):
    """Documents what Prometheus reads as what it is: text/plain."""

    def __post_init__(self) -> None:
        """Replace the successful answer."""
        self.responses = {**(self.responses or {}), "200": _file("text/plain", "The numbers.")}


def openapi_config(page: OpenAPIRenderPlugin) -> OpenAPIConfig:
    """Return the configuration: one page, no CDN."""
    bearer = SecurityScheme(type="http", scheme="bearer", description="`imagemill token show` prints the first token.")
    return OpenAPIConfig(
        title="imagemill",
        version=__version__,
        description=_DESCRIPTION,
        license=License(name="MIT", identifier="MIT"),
        components=Components(security_schemes={"bearer": bearer}),
        security=[{"bearer": []}],
        tags=[
            Tag(name="jobs", description="Submit sheets, watch them, fetch what came out."),
            Tag(name="callbacks", description="How the end of a job is told."),
            Tag(name="tokens", description="Who may call."),
            Tag(name="system", description="How the work is going, and its pause."),
        ],
        path="/docs",
        render_plugins=[page],
    )


def with_published_images(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the document with `/images/…`, which is served outside Litestar's routes.

    It also says of what is outside the API that no token is needed: Litestar drops `security=[]`.
    """
    name = {"name": "name", "in": "path", "required": True, "description": "`{key}.{ext}`, as outputs' `url` has it."}
    answers = {
        "200": {"description": "The image; immutable, with a strong `ETag`.", "content": {"image/*": {}}},
        "206": {"description": "The part that `Range` asked for.", "content": {"image/*": {}}},
        "304": {"description": "The client has it: `If-None-Match` matched."},
        "404": {"description": "There is no such image."},
        "416": {"description": "No byte of it is in the range."},
    }
    operation = {
        "summary": "Fetch a published image",
        "operationId": "PublishedImage",
        "parameters": [name | {"schema": {"type": "string", "pattern": r"^[0-9a-f]{40}\.(jpg|png|webp|gif|bmp|tif)$"}}],
        "responses": answers,
    }
    paths = {
        path: operations
        if path.startswith(_NOT_PUBLIC)
        else {name: each | _PUBLIC for name, each in operations.items()}
        for path, operations in (schema["paths"] | {"/images/{name}": {"get": operation}}).items()
    }
    return schema | {"paths": paths}


def _key_header() -> Parameter:
    return Parameter(
        name=KEY_HEADER,
        param_in="header",
        description="Your name for this request. Sent again within 24 h (`idempotency_s`) with the same sheet and"
        f" fields, it is answered with the same job: no second one is made. {KEY_ACCEPTS}.",
        schema=Schema(type=OpenAPIType.STRING, min_length=1, max_length=MAX_KEY_CHARS, pattern=KEY_PATTERN),
    )


def _form_fields() -> dict[str, Schema]:
    return {
        name: Schema(type=OpenAPIType.STRING, description=f"{field.help} Accepts {field.accepts}.")
        for name, field in FIELDS.items()
    }


def _document_schema() -> Schema:
    """Return what a job asked for in JSON may say: one of `images` and `sheet_url`, and the fields."""
    address = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.URI)
    properties = {
        "images": Schema(
            type=OpenAPIType.ARRAY, items=address, min_items=1, description="Addresses of images, in order."
        ),
        "sheet_url": Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.URI, description="The address of a sheet."),
    } | {name: _field_schema(field) for name, field in FIELDS.items()}
    either = [Schema(required=["images"]), Schema(required=["sheet_url"])]
    return Schema(type=OpenAPIType.OBJECT, properties=properties, one_of=either)  # type: ignore[arg-type]


def _field_schema(field: Field) -> Schema:
    """Return a field as JSON has it; a text that says the same is taken too."""
    types = {bool: OpenAPIType.BOOLEAN, int: OpenAPIType.INTEGER}
    kind = next((types[each] for each in types if _is_of(field.kind, each)), OpenAPIType.STRING)
    return Schema(type=[kind, OpenAPIType.NULL], description=f"{field.help} Accepts {field.accepts}.")


def _is_of(kind: object, wanted: type) -> bool:
    return kind is wanted or getattr(kind, "__origin__", None) is wanted


def _file(media_type: str, description: str) -> OpenAPIResponse:
    content = {media_type: OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))}
    return OpenAPIResponse(description=description, content=content)


def _example(status: int, code: str, detail: str) -> object:
    instance = "urn:uuid:0b6f3c53-6f0a-4e1c-9a51-5a1c1d7d3f7e"
    kind = f"urn:imagemill:problem:{code}"
    problem = Problem(type=kind, title=code, status=status, detail=detail, instance=instance, code=code)
    return msgspec.to_builtins(problem)
