"""What a whole request is: redirects hop by hop, limits in time and bytes, limited decoding, errors in our words."""

from __future__ import annotations

import http.client
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Final, Self, cast
from urllib.parse import urljoin

import httpx
import msgspec

from imagemill.core.addresses import Policy, web_url
from imagemill.core.errors import ImageCode, ImageError
from imagemill.outbound.breaker import Breaker
from imagemill.outbound.guard import Guard, Resolve, resolve
from imagemill.outbound.transport import STEP_BYTES, Transport

Slot = Callable[[str], AbstractContextManager[None]]

_DRAIN_BYTES: Final = 1 << 16
_LENGTH_DIGITS: Final = 18
_LONGEST_WAIT_S: Final = 86_400.0
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_GZIP: Final = frozenset({"gzip", "x-gzip"})
_FOREIGN_CODINGS: Final = frozenset({"br", "zstd", "compress", "x-compress"})
_FAILURES: Final = (OSError, http.client.HTTPException, ValueError)
_ANY_HEADER: Final = zlib.MAX_WBITS | 32
_MAKING: Final = threading.Lock()


class Limits(msgspec.Struct, frozen=True):
    """Seconds to connect, to the first byte and between bytes, and in all; bytes of a body, decoded or not.

    `dns_cache_s` is how long a host's checked addresses are used without asking DNS again.
    """

    connect_timeout_s: float = 10.0
    read_timeout_s: float = 20.0
    total_timeout_s: float = 120.0
    max_bytes: int = 100 << 20
    max_redirects: int = 0
    dns_cache_s: float = 30.0


class Client:
    """Sends requests to hosts the policy permits. Safe to use from many threads at a time.

    `slot` is asked for a turn at a host for each hop; `resolve` is how names become addresses.
    """

    def __init__(
        self,
        policy: Policy,
        limits: Limits,
        *,
        user_agent: str,
        proxy: str | None = None,
        resolve: Resolve = resolve,
        slot: Slot | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.guard = Guard(policy, resolve, limits.dns_cache_s)
        self._limits = limits
        self._slot: Slot = slot or (lambda _: nullcontext())
        self._transport = Transport(self.guard, tls=_tls if tls is None else lambda: tls, proxy=proxy)
        # An image is wanted as it is: a coding would only cost time on both sides.
        self._headers = httpx.Headers({"User-Agent": user_agent, "Accept": "*/*", "Accept-Encoding": "identity"})

    def close(self) -> None:
        """Close the connections that are kept."""
        self._transport.close()

    @contextmanager
    def get(self, url: str, headers: dict[str, str] | None = None, breaker: Breaker | None = None) -> Iterator[Answer]:
        """Give the answer behind at most `max_redirects` redirects. `headers` go with the first request only.

        What `breaker` breaks off is an ImageError that is no attempt (`cancelled`).
        """
        deadline = None
        breaker = breaker or Breaker()
        for _ in range(self._limits.max_redirects + 1):
            request = httpx.Request("GET", url, headers=self._with(headers), extensions={"breaker": breaker})
            with (
                self._slot(request.url.netloc.decode()),
                breaker.told(),
                self._send(request, deadline) as answer,
            ):
                if not answer.location:
                    yield answer
                    return
                deadline = answer.deadline
                target = answer.next_url()
                answer.drain()
            url, headers = target, None
        detail = f"{request.url.host} redirects more than {self._limits.max_redirects} times: write the final address"
        raise ImageError(ImageCode.TOO_MANY_REDIRECTS, detail)

    @contextmanager
    def post(self, url: str, body: bytes, headers: dict[str, str]) -> Iterator[Answer]:
        """Give the answer to a POST on a connection of its own; a redirect is an answer like others."""
        request = httpx.Request("POST", url, headers=self._with({"Connection": "close"} | headers), content=body)
        with self._send(request) as answer:
            yield answer

    def _with(self, headers: dict[str, str] | None) -> httpx.Headers:
        return httpx.Headers({**self._headers, **headers}) if headers else self._headers

    def _send(self, request: httpx.Request, deadline: float | None = None) -> Answer:
        """Send `request`. Its time begins here, not with the wait for the host's turn; redirects share the first's."""
        limits = self._limits
        if deadline is None:
            deadline = time.monotonic() + limits.total_timeout_s
        request.extensions["timeout"] = {
            "connect": limits.connect_timeout_s,
            "read": limits.read_timeout_s,
            "deadline": deadline,
        }
        try:
            response = self._transport.carry(request)
        except _FAILURES as error:
            raise _no_answer(error, request.url.host) from error
        return Answer(response, request, limits.max_bytes)


class Answer:
    """An answer whose body is still on the wire: read it inside its `with`."""

    def __init__(self, response: httpx.Response, request: httpx.Request, max_bytes: int) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.url = str(request.url)
        self.host = request.url.host
        self.deadline: float = request.extensions["timeout"]["deadline"]
        self._body = cast("httpx.SyncByteStream", response.stream)
        self._breaker: Breaker = request.extensions.get("breaker") or Breaker()
        self._max_bytes = max_bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._breaker.detach()
        self._body.close()

    @property
    def location(self) -> str:
        """Where a redirect points to, as it says; empty when this is no redirect."""
        return self.headers.get("location", "") if self.status in _REDIRECTS else ""

    def next_url(self) -> str:
        """Return the canonical address a redirect points to."""
        try:
            return web_url(urljoin(self.url, self.location))
        except ValueError as error:
            detail = f"{self.host} redirects to an address that is not fetched: write the final address"
            cause = f"{self.location!r}: {error}"
            raise ImageError(ImageCode.HTTP_STATUS, detail, transient=False, cause=cause) from error

    def drain(self) -> None:
        """Read what is left when it is little, so that the connection can be used again."""
        if (self._length() or 0) <= _DRAIN_BYTES:
            self.head(_DRAIN_BYTES)

    def chunks(self) -> Iterator[bytes]:
        """Yield the body, its content coding undone; ImageError when it is too large, too slow or too short."""
        if (self._length() or 0) > self._max_bytes:
            raise self._too_large()
        size = 0
        for piece in self._decoded():
            size += len(piece)
            if size > self._max_bytes:
                raise self._too_large()
            yield piece

    def head(self, size: int) -> bytes:
        """Return the first `size` bytes of the body as they came."""
        head = bytearray()
        for piece in self._pieces():
            head += piece
            if len(head) >= size:
                break
        return bytes(head[:size])

    def _too_large(self) -> ImageError:
        detail = f"{self.host} sends more than {self._max_bytes} bytes: use a smaller image, or raise fetch.max_bytes"
        return ImageError(ImageCode.TOO_LARGE, detail)

    def _length(self) -> int | None:
        text = self.headers.get("content-length", "")
        return int(text) if text.isdecimal() and len(text) <= _LENGTH_DIGITS else None

    def _pieces(self) -> Iterator[bytes]:
        size = 0
        try:
            for piece in self._body:
                size += len(piece)
                if size > self._max_bytes:
                    raise self._too_large()
                yield piece
            self._breaker.check()  # a body without a length looks whole wherever it ends
        except TimeoutError as error:
            detail = f"{self.host} stopped sending, or sends too slowly: try again later"
            raise ImageError(ImageCode.TIMEOUT, detail, cause=repr(error)) from error
        except _FAILURES as error:
            detail = f"{self.host} closed the connection before the end of its answer: try again later"
            raise ImageError(ImageCode.TRUNCATED, detail, cause=repr(error)) from error

    def _decoded(self) -> Iterator[bytes]:
        coding = self.headers.get("content-encoding", "").strip().lower()
        if coding in _GZIP or coding == "deflate":
            return self._inflated()
        if coding in _FOREIGN_CODINGS or "," in coding:
            detail = f"{self.host} sends its answer coded as {coding[:40]}, which was not asked for: correct the server"
            raise ImageError(ImageCode.NOT_AN_IMAGE, detail)
        return self._pieces()

    def _inflated(self) -> Iterator[bytes]:
        inflater = zlib.decompressobj(_ANY_HEADER)
        try:
            for piece in self._pieces():
                left = piece
                while left and not inflater.eof:
                    yield inflater.decompress(left, STEP_BYTES)
                    left = inflater.unconsumed_tail
            # All input may be taken while its last output, a few KB at most, still waits.
            yield inflater.flush()
        except zlib.error as error:
            detail = f"{self.host} sends an answer whose content coding is broken: correct the server"
            raise ImageError(ImageCode.NOT_AN_IMAGE, detail, cause=str(error)) from error
        if not inflater.eof:
            detail = f"{self.host} closed the connection before the end of its answer: try again later"
            raise ImageError(ImageCode.TRUNCATED, detail)


def retry_after_s(headers: httpx.Headers, now: float) -> float | None:
    """Return how long `Retry-After` asks to wait, by seconds or by date (RFC 9110, 10.2.3); `now` is Unix time."""
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return min(float(text), _LONGEST_WAIT_S)
    try:
        wait_s = parsedate_to_datetime(text).timestamp() - now
    except (ValueError, OverflowError):
        return None
    return min(max(wait_s, 0.0), _LONGEST_WAIT_S)


def _tls() -> ssl.SSLContext:
    """Return the context of all clients, made for the first connection that needs it: that takes 40 ms."""
    with _MAKING:
        return _trusting()


@cache
def _trusting() -> ssl.SSLContext:
    """Return a context that trusts httpx's list of authorities and the system's, where a company adds its own."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _no_answer(error: Exception, host: str) -> ImageError:
    cause = repr(error)
    if isinstance(error, TimeoutError):
        return ImageError(ImageCode.TIMEOUT, f"{host} did not answer in time: try again later", cause=cause)
    if isinstance(error, ssl.SSLCertVerificationError):
        detail = f"{host} has no valid certificate ({error.verify_message}): correct the server, or use another address"
        return ImageError(ImageCode.TLS_FAILED, detail, cause=cause)
    if isinstance(error, ssl.SSLError):
        return ImageError(
            ImageCode.TLS_FAILED, f"{host} does not speak TLS as it should: check the address", cause=cause
        )
    if isinstance(error, OSError):
        return ImageError(ImageCode.CONNECT_FAILED, f"{host} could not be reached: check the address", cause=cause)
    return ImageError(ImageCode.CONNECT_FAILED, f"{host} does not answer in HTTP: check the address", cause=cause)
