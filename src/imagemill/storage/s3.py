"""S3, or whatever speaks it: the only file that knows obstore, and loaded only where the storage is `s3://…`.

obstore's retries are off, because ours (`core.retry`) are the only ones, and its synchronous calls are used from our
threads: its asynchronous ones abort at the interpreter's end. A PUT is atomic, a multipart upload appears when it is
completed: what is cut off in the middle is never seen.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from imagemill.core import keys
from imagemill.storage.base import CHUNK_BYTES, Opened, StorageError, checked, is_ours

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from obstore import GetOptions, GetResult
    from obstore.store import ClientConfig, S3Config

    from imagemill.settings import StorageSettings

PART_BYTES: Final = 8 << 20
"""A larger file goes up in parts of this size, two at a time (S3 takes none below 5 MiB): what a thread may hold."""

ASKED_PER_LIST: Final = 100
"""One request that lists a thousand names is taken to cost what so many requests for one name do."""

_ASKING: Final = 16
"""Requests at a time when some names are asked for."""

_DELETED: Final = 1_000
"""Names in one request to delete: S3's most."""

_PROBE: Final = "imagemill-probe"
_CACHE_CONTROL: Final = "public, max-age=31536000, immutable"

_STATUS = re.compile(r"status code: (\d{3}) ?([A-Za-z ]*)")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_REASON = re.compile(r'(?:message|error): "([^"\n]{1,200})"|\b(TimedOut|IncompleteMessage|ConnectionReset)\b')
_REFUSED: Final = frozenset({301, 400, 401, 403, 404})
_BUSY: Final = frozenset({429, 503})


class S3Storage:
    """Objects under a prefix of a bucket (contract: `base.Storage`)."""

    is_durable = True

    def __init__(self, section: StorageSettings) -> None:
        """Ask nobody yet."""
        bucket, _, prefix = (section.url or "").removeprefix("s3://").partition("/")
        self._where = f"S3 ({section.endpoint or 'AWS'}, bucket {bucket})"
        self._prefix = f"{prefix.rstrip('/')}/" if prefix else ""
        self._publish, self._presign = section.publish, timedelta(seconds=section.presign_s)
        self._public = (section.public_url or f"{_endpoint(section)}/{bucket}/{self._prefix}").rstrip("/")
        self._store = _store(bucket, section, {"timeout": timedelta(seconds=section.timeout_s)})
        # Who reads slowly may take as long as he likes: the time counts between bytes.
        reading: ClientConfig = {"timeout": timedelta(days=1), "read_timeout": timedelta(seconds=section.timeout_s)}
        self._reading = _store(bucket, section, reading)

    def put(self, name: str, data: bytes | Path) -> None:
        """Put in one request, or in parts what is large."""
        key = self._key(name)
        is_large = isinstance(data, Path) and data.stat().st_size > PART_BYTES
        content = data if isinstance(data, bytes) or is_large else data.read_bytes()
        with self._translated():
            obstore.put(
                self._store,
                key,
                content,
                attributes={"Content-Type": keys.media_type(name), "Cache-Control": _CACHE_CONTROL},
                use_multipart=is_large,
                chunk_size=PART_BYTES,
                max_concurrency=2,
            )

    def adopt(self, name: str, file: Path) -> None:
        """Put the file, and only then remove it."""
        self.put(name, file)
        file.unlink()

    def settle(self) -> None:
        """Have nothing to wait for: what is put is there."""

    def has(self, name: str) -> bool:
        """Ask for its head."""
        try:
            self.size(name)
        except FileNotFoundError:
            return False
        return True

    def missing(self, names: Iterable[str]) -> list[str]:
        """List what there is where that is cheaper; ask for the rest one by one, several at a time."""
        asked = dict.fromkeys(map(checked, names))
        if self._strikes_all_listed(asked):
            return list(asked)
        with ThreadPoolExecutor(_ASKING, thread_name_prefix="s3") as threads:
            gone = [name for name, is_there in zip(asked, threads.map(self.has, asked), strict=True) if not is_there]
        if gone:
            self._check_bucket()
        return gone

    def size(self, name: str) -> int:
        """Ask for its head."""
        key = self._key(name)
        with self._translated(finds=True):
            return obstore.head(self._store, key)["size"]

    def open(self, name: str, span: range | None = None) -> Opened:
        """Ask for the bytes; they come as they are taken."""
        options: GetOptions = {} if span is None else {"range": (span.start, span.stop)}
        key = self._key(name)
        with self._translated(finds=True):
            found = obstore.get(self._reading, key, options=options)
        return Opened(found.meta["size"], self._chunks(found))

    def path(self, name: str) -> Path | None:
        """Know no local file."""
        checked(name)
        return None

    def url(self, name: str) -> str | None:
        """Return the public or a presigned address, as the settings say; signing asks nobody."""
        key = self._key(name)
        if self._publish == "presigned":
            with self._translated():
                return obstore.sign(self._store, "GET", key, self._presign)
        return f"{self._public}/{name}" if self._publish == "public" else None

    def delete(self, *names: str) -> None:
        """Delete up to a thousand in a request."""
        asked = [self._key(name) for name in names]
        for start in range(0, len(asked), _DELETED):
            with self._translated():
                obstore.delete(self._store, asked[start : start + _DELETED])

    def names(self) -> Iterator[str]:
        """List all that lies right under the prefix, a thousand a request; an OSError may come in the middle."""
        for page in self._pages():
            yield from page

    def check(self) -> None:
        """Put a small object of its own: reading may be allowed where writing is not, or has no room."""
        with self._translated():
            obstore.put(self._store, f"{self._prefix}{_PROBE}", b"", use_multipart=False)

    def _pages(self) -> Iterator[list[str]]:
        with self._translated():
            for page in obstore.list(self._store, self._prefix or None, chunk_size=1_000):
                yield [name for found in page if is_ours(name := found["path"].removeprefix(self._prefix))]

    def _strikes_all_listed(self, asked: dict[str, None]) -> bool:
        """Strike out names that are listed, within as many requests as they are worth; say whether that was all."""
        worth, pages = len(asked) // ASKED_PER_LIST, self._pages()
        for name in chain.from_iterable(islice(pages, worth)):
            asked.pop(name, None)
        return worth > 0 and next(pages, None) is None

    def _check_bucket(self) -> None:
        """Tell a missing bucket from a missing object, which answer HEAD alike: list what there never is."""
        with self._translated():
            list(obstore.list(self._store, f"{self._prefix}{_PROBE}"))

    def _key(self, name: str) -> str:
        return self._prefix + checked(name)

    def _chunks(self, found: GetResult) -> Iterator[bytes]:
        with self._translated():
            yield from found.stream(min_chunk_size=CHUNK_BYTES)

    @contextmanager
    def _translated(self, *, finds: bool = False) -> Iterator[None]:
        """Turn obstore's errors into ours; where `finds`, nothing found is FileNotFoundError, else a missing bucket."""
        try:
            yield
        except FileNotFoundError as error:
            if finds and "NoSuchBucket" not in str(error):
                raise FileNotFoundError("there is nothing of this name") from None
            raise self._error(error) from error
        except BaseError as error:
            raise self._error(error) from error

    def _error(self, error: Exception) -> StorageError:
        text = str(error)
        status, code, reason = _STATUS.search(text), _CODE.search(text), _REASON.search(text)
        if status is None:
            said = (reason[1] or reason[2]) if reason else text.partition("\n")[0]
            is_late = "TimedOut" in text or "timed out" in text
            return StorageError(f"{self._where} does not answer: {said}", is_busy=is_late)
        said = f"{status[1]} {status[2].strip()}" + (f" ({code[1]})" if code else "")
        number = int(status[1])
        if number in _REFUSED:
            advice = "look at storage.url, storage.endpoint, storage.region, the key and its rights"
            return StorageError(f"{self._where} answers {said}; {advice}", is_refusal=True)
        return StorageError(f"{self._where} answers {said}", is_busy=number in _BUSY)


def _endpoint(section: StorageSettings) -> str:
    return (section.endpoint or f"https://s3.{section.region}.amazonaws.com").rstrip("/")


def _store(bucket: str, section: StorageSettings, timeouts: ClientConfig) -> S3Store:
    """Make a client that takes nothing from the environment but, where the settings have no key, a key."""
    endpoint = _endpoint(section)
    # `aws_endpoint_url_s3` too: AWS_ENDPOINT_URL_S3 of the environment would come before `endpoint`.
    config: S3Config = {"region": section.region, "endpoint": endpoint, "aws_endpoint_url_s3": endpoint}
    if section.access_key and section.secret_key:
        config |= {"access_key_id": section.access_key, "secret_access_key": section.secret_key}
    client: ClientConfig = {
        "allow_http": endpoint.startswith("http://"),
        "connect_timeout": timedelta(seconds=section.connect_timeout_s),
        "user_agent": "imagemill",
        # A proxy that is used for nothing keeps the environment's away, which would answer in S3's place.
        "proxy_url": "http://127.0.0.1:9",
        "proxy_excludes": "*,0.0.0.0/0,::/0",
    }
    return S3Store(bucket, config=config, client_options=client | timeouts, retry_config={"max_retries": 0})
