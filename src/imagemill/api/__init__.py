"""The HTTP API (API.md) and the published images, on Litestar: it translates, the parts below do the work."""

from imagemill.api.app import App, answers_in_memory, create_app
from imagemill.api.hot import Answers
from imagemill.api.parts import Parts
from imagemill.api.sign_in import sign_in_link

__all__ = ["Answers", "App", "Parts", "answers_in_memory", "create_app", "sign_in_link"]
