"""The guarded HTTP client: the only way out of the process, and the only package that knows httpx.

`remote` asks our own API, for the command line. For strangers' addresses: `guard` says which addresses may be
connected to, `transport` carries requests over connections to those, `client` adds what a whole request is: redirects
followed hop by hop, limits in time and bytes, errors in our words; `breaker` ends one from another thread.
Refused: cookies, the environment's proxies, and retries (`core.retry` is the only retry layer).
"""

from imagemill.imports import hidden

with hidden(("httpx._main",)):
    import httpx  # noqa: F401  before those that need it

from imagemill.outbound.breaker import Breaker
from imagemill.outbound.client import Answer, Client, Limits, retry_after_s
from imagemill.outbound.guard import Guard, Resolve, resolve
from imagemill.outbound.remote import Remote
from imagemill.outbound.transport import Transport

__all__ = [
    "Answer",
    "Breaker",
    "Client",
    "Guard",
    "Limits",
    "Remote",
    "Resolve",
    "Transport",
    "resolve",
    "retry_after_s",
]
