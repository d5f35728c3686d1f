"""Names made of content: ids, fingerprints and storage keys. Pure: the clock and the randomness come as arguments."""

from __future__ import annotations

import hashlib
import re
import uuid
from functools import lru_cache
from typing import Final
from urllib.parse import quote

import msgspec

from imagemill.core.recipe import Recipe

CODEC_VERSION: Final = "rq5"
"""Part of every output key: raised whenever equal input would give other bytes."""

HOST_BITS: Final = 48
"""Bits of `host_number`."""

_ORDINAL_BITS: Final = 32
_ORDINAL_MASK: Final = (1 << _ORDINAL_BITS) - 1

_UPLOADS: Final = "https://uploads.invalid/"
_UPLOADED: Final = re.compile(re.escape(_UPLOADS) + "([0-9a-f]{64})/")


def job_id(unix_ms: int, random_bits: int) -> str:
    """Return a UUIDv7 (RFC 9562) whose last 32 bits are zero: they number the job's images (`image_id`).

    `random_bits` gives the 42 bits that tell jobs of one millisecond apart.
    """
    rand_a = random_bits >> 30 & 0xFFF
    rand_b = random_bits & 0x3FFFFFFF
    value = (unix_ms & (1 << 48) - 1) << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b << _ORDINAL_BITS
    return str(uuid.UUID(int=value))


def image_id(job: str, ordinal: int) -> str:
    """Return the id of a job's n-th image (from 1), so that a million ids need not be stored."""
    return str(uuid.UUID(int=uuid.UUID(job).int | ordinal))


def split_image_id(text: str) -> tuple[str, int] | None:
    """Return (job id, ordinal) of an image's id; None where it cannot be one."""
    try:
        value = uuid.UUID(text).int
    except ValueError:
        return None
    ordinal = value & _ORDINAL_MASK
    return (str(uuid.UUID(int=value - ordinal)), ordinal) if ordinal else None


def fingerprint(recipe: Recipe) -> str:
    """Return what identifies a recipe together with our codec: equal ones give equal bytes."""
    text = msgspec.json.encode(recipe, order="sorted") + CODEC_VERSION.encode()
    return hashlib.sha256(text).hexdigest()[:32]


def output_key(source_sha256: str, recipe_fingerprint: str, name: str) -> str:
    """Return the key under which an output is stored and published, without its extension: 40 hex digits."""
    return hashlib.sha256(f"{source_sha256}/{recipe_fingerprint}/{name}".encode()).hexdigest()[:40]


def is_sampled(source_sha256: str, every: int) -> bool:
    """Say whether a source is one of the one in `every` that are looked at more closely; 0 is none.

    The same source always is or never is, so that what is found of it can be found again.
    """
    return every > 0 and int(source_sha256[:16], 16) % every == 0


EXTENSIONS: Final = {"jpeg": "jpg", "png": "png", "webp": "webp", "gif": "gif", "bmp": "bmp", "tiff": "tif"}
"""Format names and the extensions their files bear."""

_MEDIA_TYPES: Final = {extension: f"image/{image_format}" for image_format, extension in EXTENSIONS.items()}


def file_name(key: str, image_format: str) -> str:
    """Return the name under which an output is stored and published."""
    return f"{key}.{EXTENSIONS[image_format]}"


def media_type(name: str) -> str:
    """Return the media type of a file by its name."""
    return _MEDIA_TYPES.get(name.rpartition(".")[2], "application/octet-stream")


def message_id(job: int, event: str, at: float) -> str:
    """Return the `webhook-id` of a callback: the same for every attempt, another for every end of a job."""
    return "msg_" + hashlib.sha256(f"{job}/{event}/{at!r}".encode()).hexdigest()[:32]


def source_name(source_sha256: str, image_format: str) -> str:
    """Return the name under which a source is kept."""
    return f"{source_sha256}.{EXTENSIONS[image_format]}"


def url_key(url: str) -> bytes:
    """Return what stands for an address where many are remembered: nobody can find two that share it."""
    return hashlib.blake2b(url.encode(), digest_size=16).digest()


def upload_url(sha256: str, filename: str) -> str:
    """Return what stands for an uploaded image where others have their URL; its host cannot be (RFC 6761, 6.4)."""
    return f"{_UPLOADS}{sha256}/{quote(filename, safe='')}"


def uploaded(url: str) -> str | None:
    """Return the SHA-256 of the uploaded image that a URL stands for; None for a URL that is one."""
    match = _UPLOADED.match(url)
    return match[1] if match else None


def host_of(url: str) -> str:
    """Return the host of a canonical URL (`web_url`) as politeness knows it: with its port, where that is written."""
    return url.split("/", 3)[2] if "://" in url else ""


@lru_cache(4096)
def host_number(host: str) -> int:
    """Return the 48 bits that stand for a host in our tables: two that share one would be slowed down together."""
    return int.from_bytes(hashlib.blake2b(host.encode(), digest_size=HOST_BITS // 8).digest())
