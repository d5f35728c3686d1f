"""Drafts over HTTP: a sheet is checked and shown before it is a job, and so are some of its pictures."""

from typing import Annotated, Final
from uuid import UUID

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.datastructures import State
from litestar.params import FromPath, QueryParameter
from litestar.types import ASGIApp

from imagemill.api.auth import NEEDS
from imagemill.api.fields import submission
from imagemill.api.files import ServedFile
from imagemill.api.image_uploads import try_picture
from imagemill.api.jobs import GivenCaller, GivenParts
from imagemill.api.openapi import FormOperation, OriginalOperation, PreviewOperation, TrialOperation, refusals
from imagemill.api.uploads import check_upload
from imagemill.db import Caller
from imagemill.pipeline import Draft, Preview

PREVIEW: Final = "X-Preview"
_NO_DRAFT: Final = (404, "There is no such draft any more, or it is another owner's; or it has no such picture.")
_NO_PICTURE: Final = (422, "The picture cannot be had: `code` says why, as an image's error does. Or a field is wrong.")

Number = Annotated[int, msgspec.Meta(ge=0, le=999)]
Column = Annotated[str | None, QueryParameter(description="The column of links: its name, or `#3`.", max_length=200)]


@post(
    "/drafts",
    status_code=201,
    summary="Check a sheet",
    description="Takes the same form as a job, and says what is in the sheet and what is wrong with it: columns and"
    " the parts they play, some rows, every fault. Of the fields only `image_column` matters. Nothing is queued. The"
    ' draft is kept for `draft.keep_s` after its last use; `{"draft": id}` makes it a job, or an estimate.',
    response_description="What is in it.",
    operation_class=FormOperation,
    responses=refusals(400, 401, 403, 408, 413, 415, 422, 503),
    opt={NEEDS: "submit"},
    tags=["drafts"],
    request_max_body_size=None,
)
async def create_draft(request: Request[Caller, None, State], parts: GivenParts) -> Draft:
    """Check a sheet."""
    return await check_upload(request, parts)


@get(
    "/drafts/{draft_id:uuid}",
    summary="Check a draft again",
    description="With another column of links, where the sheet's own was not recognised, or is not meant.",
    responses=refusals(401, 403, 422, 503, not_found=_NO_DRAFT),
    opt={NEEDS: "submit"},
    tags=["drafts"],
    sync_to_thread=True,
)
def show_draft(parts: GivenParts, caller: GivenCaller, draft_id: FromPath[UUID], image_column: Column = None) -> Draft:
    """Check again."""
    return parts.pipeline.look(str(draft_id), caller.sees_only, image_column or None)


@delete(
    "/drafts/{draft_id:uuid}",
    summary="Forget a draft",
    description="With its sheet and its pictures. A job that was made of it stays.",
    responses=refusals(401, 403, not_found=_NO_DRAFT),
    opt={NEEDS: "submit"},
    tags=["drafts"],
    sync_to_thread=True,
)
def delete_draft(parts: GivenParts, caller: GivenCaller, draft_id: FromPath[UUID]) -> None:
    """Forget it."""
    parts.pipeline.drafts.delete(str(draft_id), caller.sees_only)


@get(
    "/drafts/{draft_id:uuid}/pictures/{number:int}",
    summary="Show a draft's picture",
    description="One of `pictures`, counted from 0, as it is. It is fetched at the first time, as for a job.",
    operation_class=OriginalOperation,
    responses=refusals(401, 403, 416, not_found=_NO_DRAFT, picture_failed=_NO_PICTURE),
    opt={NEEDS: "submit"},
    tags=["drafts"],
    sync_to_thread=True,
)
def show_picture(parts: GivenParts, caller: GivenCaller, draft_id: FromPath[UUID], number: FromPath[Number]) -> ASGIApp:
    """Show a source."""
    path, kind = parts.pipeline.previews.source(str(draft_id), number, caller.sees_only)
    found = path.stat()
    # Its name is its address's: what is fetched again later may be another picture.
    return ServedFile(path, f'"{path.name}-{found.st_mtime_ns:x}-{found.st_size:x}"', f"image/{kind}")


@get(
    "/drafts/{draft_id:uuid}/pictures/{number:int}/output",
    summary="Show what becomes of a draft's picture",
    description="What a recipe makes of it. `X-Preview` says in JSON what it was, what it is now, what that saves, and"
    " how like its source it is (`ssim`). One at a time of each draft: 429 asks to come again.",
    operation_class=PreviewOperation,
    responses=refusals(401, 403, not_found=_NO_DRAFT, picture_failed=_NO_PICTURE),
    opt={NEEDS: "submit"},
    tags=["drafts"],
    sync_to_thread=True,
)
def show_preview(
    request: Request[Caller, None, State],
    parts: GivenParts,
    caller: GivenCaller,
    draft_id: FromPath[UUID],
    number: FromPath[Number],
) -> Response[bytes]:
    """Show an output."""
    fields = [(name, str(value)) for name, value in request.query_params.multi_items()]
    recipe = submission(parts.settings, fields).recipe
    return _shown(*parts.pipeline.previews.output(str(draft_id), number, recipe, caller.sees_only))


@post(
    "/previews",
    status_code=200,
    summary="Try a recipe on a picture",
    description="Takes one picture and the fields of a job, answers with what the recipe makes of it, keeps nothing."
    " `X-Preview` as for a draft's picture.",
    operation_class=TrialOperation,
    responses=refusals(401, 403, 408, 413, 415, 503, picture_failed=_NO_PICTURE),
    opt={NEEDS: "submit"},
    tags=["drafts"],
    request_max_body_size=None,
)
async def preview_picture(request: Request[Caller, None, State], parts: GivenParts) -> Response[bytes]:
    """Try it."""
    return _shown(*await try_picture(request, parts))


def _shown(preview: Preview, data: bytes) -> Response[bytes]:
    headers = {PREVIEW: msgspec.json.encode(preview).decode()}
    return Response(data, media_type=f"image/{preview.output.format}", headers=headers)
