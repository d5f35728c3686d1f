"""Fetches sources: one URL in, its bytes and their SHA-256 out, and an ImageError with its own code for all that fails.

Bytes stay in memory up to 1 MiB, while all together are within `fetch.memory_mb`, and go to a file of the spool above
that. Whether they are a picture is not judged here, except for the two answers that say so themselves: nothing, and a
web page.
"""

from __future__ import annotations

import errno
import hashlib
import http
import os
import re
import shutil
import ssl
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from email.utils import parsedate_to_datetime
from itertools import chain
from pathlib import Path
from typing import Final

import msgspec

from imagemill.budget import Budget
from imagemill.core.addresses import Policy
from imagemill.core.errors import ImageCode, ImageError
from imagemill.core.keys import host_of
from imagemill.core.retry import TRANSIENT_STATUS
from imagemill.hosts import Hosts, Rules
from imagemill.outbound import Answer, Breaker, Client, Limits, Resolve, resolve, retry_after_s
from imagemill.settings import FetchSettings

MEMORY_BYTES: Final = 1 << 20
"""A larger source is a file in the spool."""

_SETTLED_S: Final = 60

# As RFC 9110 writes them (8.8.3, 5.6.7), at a sane length: they come from strangers, are kept, and are sent back.
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{1,200}"')
_MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_DATE = re.compile(
    rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (?:{_MONTHS}) (?:19|20)\d\d (?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d GMT"
)

_WEB_PAGE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<!--.{0,500}?-->\s*)?<(?:!doctype\s+html|html|head|body|script)\b",
    re.IGNORECASE | re.DOTALL,
)


class Fetched(msgspec.Struct, frozen=True):
    """A source: its bytes, or the path of its file in the spool. `forget` says that the bytes are let go of.

    `validator` is the ETag or the date by which its origin recognises it (`refetch`); empty where there is none.
    """

    data: bytes | Path
    size: int
    sha256: str
    forget: Callable[[], None] = ExitStack().close
    validator: str = ""

    def discard(self) -> None:
        """Remove the spool file, where there is one. May be called again."""
        self.forget()
        if isinstance(self.data, Path):
            self.data.unlink(missing_ok=True)


class Fetcher:
    """Fetches under the settings' policy and limits. Safe to use from many threads at a time."""

    def __init__(
        self,
        section: FetchSettings,
        spool: Path,
        *,
        hosts: Hosts | None = None,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._spool = spool
        self._memory = Budget(section.memory_mb << 20)
        self._hosts = hosts or Hosts(rules(section))
        self._client = Client(
            Policy(allow=section.allow, allow_lan=section.allow_lan),
            Limits(
                connect_timeout_s=section.connect_timeout_s,
                read_timeout_s=section.read_timeout_s,
                total_timeout_s=section.total_timeout_s,
                max_bytes=section.max_bytes,
                max_redirects=section.max_redirects,
                dns_cache_s=section.dns_cache_s,
            ),
            user_agent=section.user_agent,
            proxy=section.proxy,
            resolve=resolve,
            slot=self._hosts.slot,
            tls=tls,
        )

    def fetch(self, url: str, breaker: Breaker | None = None) -> Fetched:
        """Return the source behind `url`, which is canonical (`web_url`); ImageError when there is none.

        With a `breaker` another thread may end it.
        """
        with self._hosts.visit(host_of(url)), self._client.get(url, breaker=breaker) as answer:
            return self._source(url, answer)

    def refetch(self, url: str, validator: str, breaker: Breaker | None = None) -> Fetched | None:
        """Return the source behind `url`, or None when it is still the one that `validator` came with."""
        name = "If-None-Match" if validator.endswith('"') else "If-Modified-Since"
        with self._hosts.visit(host_of(url)), self._client.get(url, {name: validator}, breaker) as answer:
            if answer.status == http.HTTPStatus.NOT_MODIFIED and answer.url == url:
                answer.drain()
                return None
            return self._source(url, answer)

    def pieces(self, url: str) -> Iterator[bytes]:
        """Yield what is behind `url` as it comes, whatever it is; ImageError when there is nothing."""
        with self._hosts.visit(host_of(url)), self._client.get(url) as answer:
            _check_status(answer)
            yield from answer.chunks()

    def close(self) -> None:
        """Wake who waits for a host, and close the connections that are kept."""
        self._hosts.close()
        self._client.close()

    def _source(self, url: str, answer: Answer) -> Fetched:
        _check_status(answer)
        fetched = self._read(answer)
        # Behind a redirect the validator would be another address's.
        is_direct = answer.url == url and answer.status == http.HTTPStatus.OK
        return msgspec.structs.replace(fetched, validator=validator_of(answer.headers)) if is_direct else fetched

    def _read(self, answer: Answer) -> Fetched:
        chunks = answer.chunks()
        held: list[bytes] = []
        size = 0
        with ExitStack() as memory:
            for chunk in chunks:
                held.append(chunk)
                size += len(chunk)
                if size > MEMORY_BYTES or not self._memory.takes(len(chunk)):
                    break
                memory.callback(self._memory.give, len(chunk))
            else:
                data = b"".join(held)
                _check_beginning(data, answer.host)
                return Fetched(data, size, hashlib.sha256(data).hexdigest(), memory.pop_all().close)
            data = b"".join(held)
            _check_beginning(data, answer.host)
            return self._spooled(chain([data], chunks))

    def _spooled(self, pieces: Iterable[bytes]) -> Fetched:
        path = self._spool / f"source-{uuid.uuid4().hex}"
        digest = hashlib.sha256()
        size = 0
        try:
            with path.open("xb") as file:
                for piece in pieces:
                    file.write(piece)
                    digest.update(piece)
                    size += len(piece)
        except BaseException as error:
            path.unlink(missing_ok=True)
            if isinstance(error, OSError):
                detail = "the source could not be written to the spool: make room on the disk"
                cause = errno.errorcode.get(error.errno or 0, repr(error))
                raise ImageError(ImageCode.STORAGE_FAILED, detail, cause=cause) from error
            raise
        return Fetched(path, size, digest.hexdigest())


def kept(file: Path, spool: Path, sha256: str) -> Fetched:
    """Return a source that lies here already; FileNotFoundError where it does not. The file itself stays."""
    size = file.stat().st_size
    if size <= MEMORY_BYTES:
        return Fetched(file.read_bytes(), size, sha256)
    path = spool / f"source-{uuid.uuid4().hex}"
    try:
        os.link(file, path)
    except OSError:  # another disk, or one without links
        shutil.copyfile(file, path)
    return Fetched(path, size, sha256)


def rules(section: FetchSettings, threads: int = 16) -> Rules:
    """Return what politeness is to keep to: a host is probed as often as an image is tried again, and at least once."""
    return Rules(
        per_host=section.per_host,
        rate=section.per_host_rate,
        threads=threads,
        probes=max(1, section.retries),
        pause_s=section.host_pause_s,
    )


def validator_of(headers: Mapping[str, str]) -> str:
    """Return the ETag of an answer, or else its date of change; empty where neither is to be relied upon.

    A date is believed when the answer is a minute younger: within a second a file may change twice (RFC 9110, 8.8.2.2).
    """
    etag, changed, said = (headers.get(name, "") for name in ("etag", "last-modified", "date"))
    if _ETAG.fullmatch(etag):
        return etag
    if not (_DATE.fullmatch(changed) and _DATE.fullmatch(said)):
        return ""
    try:
        age = parsedate_to_datetime(said) - parsedate_to_datetime(changed)
    except ValueError:  # 30 Feb
        return ""
    return changed if age.total_seconds() >= _SETTLED_S else ""


def _check_status(answer: Answer) -> None:
    if not http.HTTPStatus.OK <= answer.status < http.HTTPStatus.MULTIPLE_CHOICES:
        answer.drain()
        raise _refused(answer)


def _check_beginning(data: bytes, host: str) -> None:
    if not data:
        raise ImageError(ImageCode.NOT_AN_IMAGE, f"{host} sent nothing: check the address")
    if _WEB_PAGE.match(data[:2048]):
        detail = f"{host} sent a web page instead of an image: write the address of the image itself"
        raise ImageError(ImageCode.NOT_AN_IMAGE, detail)


def _refused(answer: Answer) -> ImageError:
    status = answer.status
    is_transient = status in TRANSIENT_STATUS or status >= http.HTTPStatus.INTERNAL_SERVER_ERROR
    advice = "try again later" if is_transient else "check the address"
    return ImageError(
        ImageCode.HTTP_STATUS,
        f"{answer.host} answered {status}{_phrase(status)}: {advice}",
        transient=is_transient,
        retry_after_s=retry_after_s(answer.headers, time.time()) if is_transient else None,
        status=status,
    )


def _phrase(status: int) -> str:
    try:
        return f" {http.HTTPStatus(status).phrase}"
    except ValueError:
        return ""
