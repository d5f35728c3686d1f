"""The outermost layer: who is meant by Host, who asks too often, headers on every answer, and bodies that nobody read.

A page of another site can make its name resolve to 127.0.0.1 and so talk to us with its own origin (DNS rebinding):
only names that are ours are answered. With its own name it can still send forms to us (CSRF), which matters where the
browser brings the right to do so along (a cookie) or none is needed (`auth = "none"`): what changes something is
refused when its Origin is not ours. Published images leave from here, before Litestar's routing, which costs more
than sending one.
"""

import asyncio
import contextlib
import ipaddress
import time
import uuid
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, HTTPResponseStartEvent, HTTPScope, Message, Receive, ReceiveMessage, Scope, Send

from imagemill.api.auth import SAFE
from imagemill.api.head import answer_head
from imagemill.api.hot import Ready
from imagemill.api.parts import Parts
from imagemill.api.problems import send_problem
from imagemill.api.published import IMAGES, SECURITY_HEADERS, Published
from imagemill.api.rates import Rates, address_of
from imagemill.core.errors import ForbiddenError, TooManyRequestsError
from imagemill.logs import about
from imagemill.metrics import Meters
from imagemill.settings import Settings

DRAIN_BYTES: Final = 4 * 1024 * 1024
DRAIN_S: Final = 2.0
DRAIN_PAUSE_S: Final = 0.5

_IMAGE_ROUTE: Final = f"{IMAGES}{{name}}"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS"})
_GONE: Final = 499
_UNCOUNTED: Final = frozenset({"/healthz", "/readyz"})
_ORIGIN_HEADERS: Final = frozenset({b"host", b"origin", b"sec-fetch-site"})
_DEFAULT_HEADERS: Final = (*SECURITY_HEADERS, (b"cache-control", b"private, no-cache"))


class Hosts:
    """The names by which we may be called."""

    def __init__(self, settings: Settings) -> None:
        public = urlsplit(settings.public_url).hostname if settings.public_url else None
        names: Iterable[str | None] = ("localhost", "127.0.0.1", "::1", settings.host, public, *settings.allowed_hosts)
        self._names = frozenset(_bare(name) for name in names if name)
        self._allowed = frozenset(map(_bare, settings.allowed_hosts))
        self._public = urlsplit(settings.public_url or "").netloc.lower()
        self._is_open = settings.host in {"", "0.0.0.0", "::", "[::]"}  # noqa: S104 - compared, not bound

    def allow(self, header: str) -> bool:
        """Say whether a Host header is ours; bound to every address, any address is: only names can be rebound."""
        name = _bare(_without_port(header))
        return name in self._names or (self._is_open and _is_address(name))

    def is_origin(self, origin: str, header: str) -> bool:
        """Say whether a page of `origin` may send what changes something: it is the Host's own, or of the settings.

        Another port of this machine is another origin. The scheme does not count: TLS may end before us.
        """
        netloc = origin.partition("://")[2].lower()
        return bool(netloc) and (netloc == header.lower() or netloc == self._public or _bare(netloc) in self._allowed)


class Gate:
    """The ASGI application around Litestar's."""

    def __init__(self, app: ASGIApp, published: Published, parts: Parts, rates: Rates) -> None:
        self._app = app
        self._published = published
        self._rates = rates
        self._meters = parts.meters
        self._hosts = Hosts(parts.settings)
        self._known: set[bytes] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, then pass on."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        ready = self.ready(scope)
        if ready:
            await ready.sent(send)
            return
        watch = Watch(scope, send, self._meters)
        try:
            with about(request=watch.id) if watch.id else contextlib.nullcontext():
                await self._answer(scope, receive, watch.send)
        finally:
            watch.note()

    def ready(self, scope: HTTPScope) -> Ready | None:
        """Return the answer to a request, an image's, that needs nothing but memory. Never waits."""
        if not scope["path"].startswith(IMAGES):
            return None
        began_s = time.monotonic()
        ready = self._published.ready(scope)
        if ready is None or not self._is_ours(scope["headers"]):
            return None
        self._meters.requests.add("GET", _IMAGE_ROUTE, "200")
        self._meters.request_s.observe(time.monotonic() - began_s, _IMAGE_ROUTE)
        return ready

    async def _answer(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        try:
            self._check(scope)
        except (HTTPException, ForbiddenError, TooManyRequestsError) as refusal:
            is_for_people = any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])
            exchange = Exchange(receive, send, scope["headers"])
            await send_problem(exchange.send, refusal, is_for_people=is_for_people)
            return
        if scope["path"].startswith(IMAGES):
            await self._published(scope, receive, send)
            return
        exchange = Exchange(receive, send, scope["headers"])
        if scope["method"] == "HEAD":
            await answer_head(self._app, scope, exchange.receive, exchange.send)
        else:
            await self._app(scope, exchange.receive, exchange.send)

    def _check(self, scope: HTTPScope) -> None:
        """Refuse what is not for us. Images are not counted, they are sent for less than others; nor is our health."""
        if not self._is_ours(scope["headers"]):
            message = (
                "This Host is not answered. Use the address imagemill listens on, or add the name to `allowed_hosts`."
            )
            raise HTTPException(message, status_code=421)
        if scope["path"].startswith(IMAGES):
            return
        if scope["path"] not in _UNCOUNTED:
            self._rates.of_addresses.count(address_of(scope), "from this address")
        if scope["method"] not in SAFE and not self._has_our_origin(scope["headers"]):
            message = "This comes from a page of another site. Add its host to `allowed_hosts` when that is right."
            raise ForbiddenError(message)

    def _has_our_origin(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Say whether no other site sends this; programs name no origin, browsers always do."""
        found = {name: value.decode("latin-1") for name, value in headers if name in _ORIGIN_HEADERS}
        if found.get(b"sec-fetch-site") == "cross-site" and b"origin" not in found:
            return False
        return b"origin" not in found or self._hosts.is_origin(found[b"origin"], found[b"host"])

    def _is_ours(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1:
            return False
        if hosts[0] not in self._known:
            if not self._hosts.allow(hosts[0].decode("latin-1")):
                return False
            # Ports and spellings are endless, memory is not.
            if len(self._known) < 100:
                self._known.add(hosts[0])
        return True


class Watch:
    """Measures one request for /metrics: by its route's template, never by what is filled in."""

    def __init__(self, scope: HTTPScope, send: Send, meters: Meters) -> None:
        self._scope = scope
        self._method = scope["method"] if scope["method"] in _METHODS else "other"
        self._send = send
        self._meters = meters
        self._began_s = time.monotonic()
        self._is_image = scope["path"].startswith(IMAGES)
        # Images have no number: a link is asked for by everybody, and nothing is logged of it.
        self.id = "" if self._is_image else str(uuid.uuid4())
        self._status = _GONE
        self._took_s = 0.0

    async def send(self, message: Message) -> None:
        """Pass on; the head is looked at, and names the request as the log does."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._took_s = time.monotonic() - self._began_s
            if self.id:
                headers = [*message["headers"], (b"x-request-id", self.id.encode())]
                message = HTTPResponseStartEvent(type=message["type"], status=message["status"], headers=headers)
        await self._send(message)

    def note(self) -> None:
        """Count the request, which is over; one that was never answered has the status 499, as nginx calls it."""
        route = _IMAGE_ROUTE if self._is_image else self._scope.get("path_template") or "other"
        self._meters.requests.add(self._method, route, str(self._status))
        self._meters.request_s.observe(self._took_s or time.monotonic() - self._began_s, route)


class Exchange:
    """One request and its answer: adds the headers, and drains what was not read of a refused body.

    A server that closes while the client still sends makes the client's system throw the answer away (RFC 9112, 9.6),
    so a bounded rest is read first; what is longer is cut off.
    """

    def __init__(self, receive: Receive, send: Send, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._receive = receive
        self._send = send
        self._is_unread = any(
            name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in headers
        )
        # Who waits for `100 Continue` has sent nothing yet, and the first read would invite it.
        self._awaits_word = any(name == b"expect" for name, _ in headers)

    async def receive(self) -> ReceiveMessage:
        """Receive, remembering where the body ends."""
        message = await self._receive()
        self._awaits_word = False
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._is_unread = False
        return message

    async def send(self, message: Message) -> None:
        """Send; the head of an answer gets what every answer has."""
        if message["type"] == "http.response.start":
            headers = list(message["headers"])
            present = {name.lower() for name, _ in headers}
            headers += [header for header in _DEFAULT_HEADERS if header[0] not in present]
            if self._is_unread and not self._awaits_word and message["status"] != 408:
                await self._drain()
            if self._is_unread:
                headers.append((b"connection", b"close"))
            message = HTTPResponseStartEvent(type=message["type"], status=message["status"], headers=headers)
        await self._send(message)

    async def _drain(self) -> None:
        """Read on for a moment, and no longer than something comes."""
        left = DRAIN_BYTES
        try:
            async with asyncio.timeout(DRAIN_S):
                while self._is_unread and left > 0:
                    message = await asyncio.wait_for(self.receive(), DRAIN_PAUSE_S)
                    left -= len(message["body"]) if message["type"] == "http.request" else left
        except TimeoutError:
            return


def _without_port(header: str) -> str:
    head, colon, port = header.rpartition(":")
    return head if colon and port.isascii() and port.isdigit() and not head.endswith(":") else header


def _bare(name: str) -> str:
    return name.strip().lower().rstrip(".").removeprefix("[").removesuffix("]")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
