"""A client of our own HTTP API, for the command line and the tray: it asks a running imagemill of the user's choice.

Not guarded as the other client is: no stranger chooses this address, and it is loopback as a rule.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self, TypeVar

import httpx
import msgspec

from imagemill.core.errors import RemoteError

T = TypeVar("T")

_CONNECT_S: Final = 10.0
_ANSWER_S: Final = 120.0
"""Cancelling a million images is answered when it is done."""

_CHUNK_BYTES: Final = 1 << 16


class _Wrong(msgspec.Struct, frozen=True):
    message: str = ""
    field: str = ""


class _Problem(msgspec.Struct, frozen=True):
    detail: str = ""
    code: str = ""
    errors: list[_Wrong] = []


class Remote:
    """Asks one imagemill under one token. RemoteError for whatever is not an answer in the 200s.

    With a `certificate`, a PEM file, whoever answers must show that very one, under any name.
    """

    def __init__(
        self, url: str, token: str | None, certificate: Path | None = None, *, answer_s: float = _ANSWER_S
    ) -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        timeout = httpx.Timeout(answer_s, connect=min(_CONNECT_S, answer_s))
        self._client = httpx.Client(
            base_url=self.url, headers=headers, timeout=timeout, trust_env=False, verify=_trust(certificate)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End its connections."""
        self._client.close()

    def get(self, path: str, kind: type[T], query: Mapping[str, str] | None = None) -> T:
        """Return what lies under a path, as a struct of `kind`."""
        return _decoded(self._sent("GET", path, params=query), kind)

    def post(self, path: str, kind: type[T], body: object = None) -> T:
        """Ask for something to be done, with a JSON body where there is one."""
        content = None if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": "application/json"} if content else None
        return _decoded(self._sent("POST", path, content=content, headers=headers), kind)

    def upload(self, path: str, kind: type[T], sheet: IO[bytes], filename: str, fields: Mapping[str, str]) -> T:
        """Send a sheet, streamed, with form fields."""
        return _decoded(self._sent("POST", path, data=fields, files={"file": (filename, sheet, "text/csv")}), kind)

    def delete(self, path: str) -> None:
        """Remove what lies under a path."""
        self._sent("DELETE", path)

    @contextmanager
    def download(self, path: str) -> Iterator[Iterator[bytes]]:
        """Give a file in pieces."""
        with self._translated(), self._client.stream("GET", path) as answer:
            if not answer.is_success:
                answer.read()
                raise _refused(answer)
            yield answer.iter_bytes(_CHUNK_BYTES)

    def _sent(self, method: str, path: str, **how: object) -> httpx.Response:
        with self._translated():
            answer = self._client.request(method, path, **how)  # type: ignore[arg-type]
        if not answer.is_success:
            raise _refused(answer)
        return answer

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError as error:
            detail = f"nobody answers at {self.url}: start `imagemill serve`, or name another address by --url"
            raise RemoteError(detail, cause=repr(error)) from error
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            detail = f"{self.url} is no address of an imagemill: write it with http:// or https://"
            raise RemoteError(detail, cause=repr(error)) from error
        except httpx.HTTPError as error:
            raise RemoteError(f"{self.url} did not answer as it should: try again", cause=repr(error)) from error


def _trust(certificate: Path | None) -> ssl.SSLContext | bool:
    if certificate is None:
        return True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it vouches for itself, whoever has signed it
    context.load_verify_locations(certificate)
    return context


def _decoded(answer: httpx.Response, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except msgspec.MsgspecError as error:
        detail = f"what answers at {answer.request.url} is no imagemill of this version: check --url"
        raise RemoteError(detail, status=answer.status_code, cause=str(error)) from error


def _refused(answer: httpx.Response) -> RemoteError:
    try:
        problem = msgspec.json.decode(answer.content, type=_Problem)
    except msgspec.MsgspecError:
        problem = _Problem()
    lines = [f"  {wrong.field}: {wrong.message}" for wrong in problem.errors if wrong.field]
    detail = "\n".join([problem.detail or f"{answer.request.url} answered {answer.status_code}: check --url", *lines])
    return RemoteError(detail, status=answer.status_code, code=problem.code, answer=answer.content)
