"""The list of the page's routes. Each page is a module of its own, its templates are named for it."""

from typing import Final

from litestar.handlers import HTTPRouteHandler

from imagemill.web import compare, job, jobs, start, system
from imagemill.web.assets import show_asset
from imagemill.web.sign_in import show_sign_in, sign_in, sign_out

ROUTES: Final[list[HTTPRouteHandler]] = [
    show_asset,
    show_sign_in,
    sign_in,
    sign_out,
    *start.ROUTES,
    *jobs.ROUTES,
    *job.ROUTES,
    *compare.ROUTES,
    *system.ROUTES,
]
