"""/openapi.json as it is given: Litestar's document, held to what the routes really answer.

Types are described by msgspec, which also writes them: what Litestar guesses of a `tuple[Scope, ...]`, or of a field
that may be null, is not what goes over the wire. A type that is only answered has all its fields, always; one that is
also asked for says which may be left away. Published images are served outside Litestar's routes and are added here.
"""

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, Final

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.typing import FieldDefinition

from imagemill.api.problems import MEDIA_TYPE, Problem

_NOT_PUBLIC: Final = ("/api/", "/metrics")
_REFERENCE: Final = "#/components/schemas/{name}"
_TEXT: Final = {"type": "string"}
_PROBLEM: Final = {MEDIA_TYPE: {"schema": {"$ref": _REFERENCE.format(name="Problem")}}}

_NUMBER: Final = {"type": "string", "pattern": "^[0-9]+$"}
_HEADERS: Final = {
    "Retry-After": {"description": "After so many seconds it is worth asking again.", "schema": _NUMBER},
    "WWW-Authenticate": {"description": "`Bearer`.", "schema": _TEXT},
    "Location": {"description": "Where it is.", "schema": {"type": "string", "format": "uri-reference"}},
    "ETag": {"description": "For `If-None-Match`.", "schema": {"type": "string", "pattern": '^"[!-~]+"$'}},
    "Content-Disposition": {"description": "A filename for keeping it.", "schema": _TEXT},
    "Content-Range": {"description": "Which bytes these are, of how many.", "schema": _TEXT},
    "X-Accel-Buffering": {"description": "Proxies hand on each event at once.", "schema": {"const": "no"}},
    "Accept-Ranges": {"description": "`bytes`.", "schema": {"const": "bytes"}},
}
"""Every header an answer may name, described once."""

_OF_STATUS: Final = {
    "401": ["WWW-Authenticate"],
    "429": ["Retry-After"],
    "503": ["Retry-After"],
    "206": ["Content-Range", "ETag", "Accept-Ranges"],
    "304": ["ETag"],
    "416": ["Content-Range"],
}

_EXAMPLES: Final[dict[str, Any]] = {
    "create_token": {"name": "shop", "scopes": ["submit"]},
    "try_callback": {"url": "https://shop.example/hook", "secret": "whsec_c2VjcmV0"},
    "retry_job": {},
}
"""Bodies of JSON by operation; those of jobs stand beside their fields."""

_EVERYWHERE: Final = {
    "421": "`bad_host`: the `Host` is none of ours; `allowed_hosts` names further ones.",
    "500": "`internal`: a fault of ours. The log has the cause under `instance`.",
    "503": "`no_room` or the like: something that is needed cannot be reached now. Come again after `Retry-After`.",
}
"""What any call may be answered."""


def contract(app: Litestar) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document."""
    document = app.openapi_schema.to_schema()
    paths = document["paths"] | {"/images/{name}": {"get": _published()}}
    for path, item in paths.items():
        for operation in item.values():
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = _given(parameter["schema"])
            if operation["operationId"] in _EXAMPLES:
                body = operation["requestBody"]["content"]["application/json"]
                body["examples"] = {"example-1": {"value": _EXAMPLES[operation["operationId"]]}}
            operation["responses"] = _answers(path, operation["responses"])
            if not path.startswith(_NOT_PUBLIC):
                operation["security"] = []  # which Litestar drops
    components = document["components"] | {"schemas": _schemas(_types(app)), "headers": _HEADERS}
    return document | {"paths": paths, "components": components}


def _answers(path: str, answers: dict[str, Any]) -> dict[str, Any]:
    """Return the answers of an operation: its own, and those that any has, each with its headers."""
    # Litestar believes that it answers a wrong parameter with 400; ours is 422, and routes name it.
    own = {status: answer for status, answer in answers.items() if not _is_litestars(answer)}
    everywhere = _EVERYWHERE if path.startswith(_NOT_PUBLIC) else {"421": _EVERYWHERE["421"], "500": _EVERYWHERE["500"]}
    for status, why in everywhere.items():
        own.setdefault(status, {"description": why, "content": _PROBLEM})
    for status, answer in own.items():
        found = {name.lower() for name in answer.pop("headers", ())} | {*_OF_STATUS.get(status, ())}
        answer["headers"] = {
            name: {"$ref": f"#/components/headers/{name}"} for name in _HEADERS if found & {name, name.lower()}
        }
    return dict(sorted(own.items()))


def _given(schema: dict[str, Any]) -> dict[str, Any]:
    """Return what a parameter is where it is given: left away it is None, but there is no way to write that."""
    return next((kind for kind in schema.get("oneOf", ()) if kind != {"type": "null"}), schema)


def _is_litestars(answer: dict[str, Any]) -> bool:
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    return "status_code" in schema.get("properties", {})


def _types(app: Litestar) -> Iterator[type]:
    """Yield the types that routes take and answer."""
    yield Problem
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if isinstance(handler, HTTPRouteHandler) and handler.resolve_include_in_schema():
                fields = [handler.parsed_return_field, handler.parsed_data_field]
                yield from (kind for field in fields if field for kind in _structs(field))
                asked = [field.annotation for field in handler.parsed_fn_signature.parameters.values()]
                yield from (kind for kind in asked if isinstance(kind, type) and issubclass(kind, Enum))


def _structs(field: FieldDefinition) -> Iterator[type]:
    if isinstance(field.annotation, type) and issubclass(field.annotation, msgspec.Struct):
        yield field.annotation
    for inner in field.inner_types:
        yield from _structs(inner)


def _schemas(types: Iterable[type]) -> dict[str, Any]:
    """Return how these, and what they are made of, look in JSON."""
    _, schemas = msgspec.json.schema_components(list(dict.fromkeys(types)), ref_template=_REFERENCE)
    for schema in schemas.values():
        if "description" in schema:
            schema["description"] = " ".join(schema["description"].split())
        if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
            _answered_whole(schema)
    return schemas


def _answered_whole(schema: dict[str, Any]) -> None:
    """Say that a field with a default is written too; only what may be UNSET is left away, and that has none."""
    schema["required"] = [
        name for name, field in schema["properties"].items() if name in schema["required"] or "default" in field
    ]
    for field in schema["properties"].values():
        field.pop("default", None)


def _published() -> dict[str, Any]:
    name = {"name": "name", "in": "path", "required": True, "description": "`{key}.{ext}`, as outputs' `url` has it."}
    immutable = ["ETag", "Accept-Ranges"]
    answers = {
        "200": {"description": "The image; it never changes.", "content": {"image/*": {}}, "headers": immutable},
        "206": {"description": "The part that `Range` asked for.", "content": {"image/*": {}}},
        "304": {"description": "The client has it: `If-None-Match` matched."},
        "404": {"description": "There is no such image.", "content": _PROBLEM},
        "416": {"description": "No byte of it is in the range.", "content": _PROBLEM},
        "503": {"description": "The storage cannot be reached now.", "content": _PROBLEM},
    }
    return {
        "summary": "Fetch a published image",
        "operationId": "fetch_published",
        "tags": ["published"],
        "parameters": [name | {"schema": {"type": "string", "pattern": r"^[0-9a-f]{40}\.(jpg|png|webp|gif|bmp|tif)$"}}],
        "responses": answers,
    }
