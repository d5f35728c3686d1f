"""The web application on one page: its routes, and what is around them."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeAlias, cast

from litestar import Litestar, Request, Response, Router
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from imagemill.api.auth import NEEDS, Authentication, demand_scope, provide_caller
from imagemill.api.callbacks import list_deliveries, redeliver, try_callback
from imagemill.api.docs import DocsPage, docs_asset, openapi_json, page_policy
from imagemill.api.documents import JsonRequest
from imagemill.api.downloads import download_archive, download_input, download_output, download_report
from imagemill.api.drafts import create_draft, delete_draft, preview_picture, show_draft, show_picture, show_preview
from imagemill.api.events import stream_events
from imagemill.api.gate import Gate
from imagemill.api.health import healthz, readyz
from imagemill.api.hot import Answers
from imagemill.api.images import delete_image, download_original, find_output, show_image
from imagemill.api.jobs import (
    estimate_sheet,
    list_failures,
    list_images,
    list_jobs,
    show_job,
    submit_images,
    submit_sheet,
)
from imagemill.api.openapi import openapi_config
from imagemill.api.parts import Parts
from imagemill.api.problems import answer_problem
from imagemill.api.published import Published
from imagemill.api.rates import Rates
from imagemill.api.sign_in import create_sign_in_link
from imagemill.api.system import metrics, pause_system, resume_system, show_system
from imagemill.api.tokens import create_token, list_tokens, revoke_token
from imagemill.api.verbs import cancel_job, delete_job, pause_job, resume_job, retry_job

OnError: TypeAlias = Callable[[Request[Any, Any, Any], Exception], Response[Any]]

THREADS: Final = 32
"""Synchronous routes wait for the database and the disk, not for the processor; asyncio's own number is cores + 4."""

ROUTES: Final[list[HTTPRouteHandler]] = [
    submit_sheet,
    submit_images,
    estimate_sheet,
    create_draft,
    show_draft,
    delete_draft,
    show_picture,
    show_preview,
    preview_picture,
    list_jobs,
    show_job,
    list_images,
    list_failures,
    stream_events,
    download_input,
    download_output,
    download_report,
    download_archive,
    list_deliveries,
    redeliver,
    try_callback,
    list_tokens,
    create_token,
    revoke_token,
    cancel_job,
    pause_job,
    resume_job,
    retry_job,
    delete_job,
    show_image,
    delete_image,
    download_original,
    find_output,
    show_system,
    pause_system,
    resume_system,
    create_sign_in_link,
]
"""Everything under /api/v1."""


App = Litestar


def create_app(parts: Parts, others: Sequence[Router] = (), on_error: OnError = answer_problem) -> App:
    """Build the application. It owns nothing: parts are started and stopped by whoever gave them.

    `others` are routes beside /api/v1, guarded as those are. `on_error` answers errors, of unknown addresses too.
    """
    rates = Rates(parts.settings)
    published = Published(parts.storage, parts.settings.image_cache_mb << 20)
    guarded = Router(
        "/",
        route_handlers=[Router("/api/v1", route_handlers=ROUTES, tags=["jobs"]), metrics, *others],
        middleware=[_authentication(parts, rates)],
        guards=[demand_scope],
        dependencies={"caller": Provide(provide_caller, sync_to_thread=False)},
        opt={NEEDS: "read"},
    )
    app = Litestar(
        [guarded, healthz, readyz, openapi_json, docs_asset],
        dependencies={
            "parts": Provide(lambda: parts, sync_to_thread=False),
            "published": Provide(lambda: published, sync_to_thread=False),
            "rates": Provide(lambda: rates, sync_to_thread=False),
        },
        request_class=JsonRequest,
        exception_handlers={Exception: on_error},
        after_request=page_policy,
        openapi_config=openapi_config(DocsPage()),
        on_startup=[_widen_threads],
        # Litestar's would set the root logger's handlers; ours is set by whoever starts the program.
        logging_config=None,
        debug=False,
    )
    app.asgi_handler = Gate(app.asgi_handler, published, parts, rates)
    return app


def answers_in_memory(app: App) -> Answers:
    """Return what knows the answers that lie in memory; any thread may ask it, and it never waits."""
    return cast("Gate", app.asgi_handler).ready


def _authentication(parts: Parts, rates: Rates) -> Callable[[ASGIApp], ASGIApp]:
    """Return the middleware; what Litestar is given in any other way it copies for each route, the counting too."""
    store = parts.store if parts.settings.auth == "token" else None
    return lambda app: Authentication(app, store, rates, parts.settings)


def _widen_threads() -> None:
    """Give the server's loop its threads; asyncio shuts them down with the loop."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, thread_name_prefix="api"))
