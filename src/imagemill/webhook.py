"""Callbacks: one signed request (Standard Webhooks), its outcome as data. When to try again is `core.retry`'s.

Has its own policy, because the LAN is what people call back to (SECURITY.md, "Callbacks"). Redirects are not followed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ssl
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from imagemill.core.addresses import Policy, web_url
from imagemill.core.errors import ImageCode, ImageError, RequestError
from imagemill.core.job import Attempt
from imagemill.outbound import Answer, Client, Limits, Resolve, resolve, retry_after_s
from imagemill.settings import CallbackSettings

ANSWER_BYTES: Final = 1024
_ENCODED: Final = "whsec_"
_PORTS: Final = {"http": 80, "https": 443}


class Caller:
    """Posts callbacks under the settings' policy. Safe to use from many threads at a time."""

    def __init__(
        self,
        section: CallbackSettings,
        user_agent: str,
        *,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._client = Client(
            Policy(allow=section.allow, allow_lan=section.allow_lan),
            Limits(section.timeout_s, section.timeout_s, section.timeout_s, max_bytes=1 << 20),
            user_agent=user_agent,
            resolve=resolve,
            tls=tls,
        )

    def close(self) -> None:
        """Let go of the network."""
        self._client.close()

    def check(self, url: str) -> None:
        """Say no (RequestError, field `callback_url`) to what can never be called.

        A name that is not in DNS yet may be there when the job ends.
        """
        try:
            parts = urlsplit(web_url(url))
            self._client.guard.addresses(parts.hostname or "", parts.port or _PORTS[parts.scheme])
        except ValueError as error:
            raise _refused(str(error)) from error
        except ImageError as error:
            if error.image_code is not ImageCode.DNS_FAILED:
                raise _refused(error.detail) from error

    def post(self, url: str, secret: str | None, message_id: str, body: bytes, at: datetime) -> Attempt:
        """Make one attempt at `at`, signed unless there is no secret. Never raises for what the other side does."""
        headers = headers_of(secret, message_id, body, at)
        return _attempt(at, lambda: self._client.post(web_url(url), body, headers))

    def get(self, url: str, secret: str | None, message_id: str, at: datetime) -> Attempt:
        """Make one attempt by a GET that says nothing, signed as an empty body is; otherwise as `post`."""
        headers = headers_of(secret, message_id, b"", at)
        del headers["Content-Type"]
        return _attempt(at, lambda: self._client.get(web_url(url), headers))


def headers_of(secret: str | None, message_id: str, body: bytes, at: datetime) -> dict[str, str]:
    """Return the headers of an attempt at `at`, with a signature where there is a secret."""
    timestamp = int(at.timestamp())
    headers = {"Content-Type": "application/json", "Webhook-Id": message_id, "Webhook-Timestamp": str(timestamp)}
    if secret:
        headers["Webhook-Signature"] = sign(secret, message_id, timestamp, body)
    return headers


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`; `timestamp` is Unix time. A secret is `whsec_<base64>` or plain text."""
    message = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(_key(secret), message, hashlib.sha256)).decode()


def _key(secret: str) -> bytes:
    if secret.startswith(_ENCODED):
        try:
            return base64.b64decode(secret.removeprefix(_ENCODED), validate=True)
        except binascii.Error:
            pass
    return secret.encode()


def _refused(detail: str) -> RequestError:
    return RequestError("the callback's address cannot be used", [("callback_url", detail)])


def _attempt(at: datetime, call: Callable[[], AbstractContextManager[Answer]]) -> Attempt:
    try:
        with call() as answer:
            return Attempt(
                at=at,
                status=answer.status,
                answer=answer.head(ANSWER_BYTES).decode(errors="replace"),
                error=None,
                retry_after_s=retry_after_s(answer.headers, time.time()),
            )
    except ImageError as error:
        return Attempt(at=at, status=None, answer="", error=error.detail)
    except ValueError as error:
        return Attempt(at=at, status=None, answer="", error=str(error))
