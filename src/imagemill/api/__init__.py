"""The HTTP API (API.md) and the published images, on Litestar: it translates, the parts below do the work."""

from imagemill.api.app import create_app
from imagemill.api.parts import Parts
from imagemill.api.sign_in import sign_in_link

__all__ = ["Parts", "create_app", "sign_in_link"]
