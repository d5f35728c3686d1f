"""What can be set: frozen sections with defaults, help and bounds. Nothing is read here (see loading).

`Meta.extra` says what no bound can: `accepts` words a pattern for people, `secret` keeps a value out of every listing.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

MIB = 1 << 20

Address = Annotated[
    str, Meta(pattern=r"^https?://[^\s/?#]+[^\s?#]*$", extra={"accepts": "an address http://… or https://…"})
]
"""An http(s) address without a query."""

Callee = Annotated[str, Meta(pattern=r"^https?://[^\s/?#]+\S*$", extra={"accepts": "an address http://… or https://…"})]
"""An http(s) address; a query is welcome."""

Place = Annotated[
    str,
    Meta(pattern=r"^[^\s/@]+(/\d{1,3})?$", extra={"accepts": "a host name, an address or a network like 10.1.0.0/16"}),
]
"""A host, an address or a network: never a whole URL."""

Format = Annotated[
    str, Meta(pattern=r"^(jpeg|png|webp|gif|bmp|tiff)$", extra={"accepts": "jpeg, png, webp, gif, bmp, tiff"})
]
Role = Annotated[str, Meta(pattern=r"^(serial|product|input)$", extra={"accepts": "serial, product, input"})]
Service = Annotated[
    str, Meta(pattern=r"^(bip|csv-api|thumbnails|image-api)$", extra={"accepts": "bip, csv-api, thumbnails, image-api"})
]
Where = Annotated[
    str,
    Meta(
        pattern=r"^(file:.+|s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_-][A-Za-z0-9._-]*)*/?)$",
        extra={"accepts": "file:///folder or s3://bucket/prefix"},
    ),
]
"""A folder of this machine, or a bucket and what its keys begin with."""


Server = Annotated[
    str,
    Meta(
        pattern=r"^postgres(ql)?://[^\s/?#]+/[^\s/?#]+(\?\S*)?$",
        extra={"accepts": "postgresql://user:password@host/name"},
    ),
]
"""A database of a PostgreSQL server, as psql takes it."""


RedisServer = Annotated[
    str,
    Meta(pattern=r"^rediss?://[^\s/?#]+(/\d*)?(\?\S*)?$", extra={"accepts": "redis://:password@host:6379/0"}),
]
"""A Redis server and one of its databases."""


class FetchSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section `fetch`: downloading sources."""

    allow: Annotated[tuple[Place, ...], Meta(description="hosts and networks allowed though blocked")] = ()
    allow_lan: Annotated[bool, Meta(description="allow 10/8, 172.16/12 and 192.168/16")] = False
    per_host: Annotated[int, Meta(ge=1, le=256, description="connections to one host at a time")] = 16
    per_host_rate: Annotated[float, Meta(ge=0, description="requests per second to one host, 0 for no limit")] = 0.0
    host_pause_s: Annotated[
        float, Meta(gt=0, le=300, description="first pause of a host that keeps failing, doubled each time")
    ] = 5.0
    dns_cache_s: Annotated[
        float, Meta(ge=0, le=3600, description="seconds for which a host's checked addresses are used")
    ] = 60.0
    connect_timeout_s: Annotated[float, Meta(gt=0, le=600, description="seconds to connect")] = 10.0
    read_timeout_s: Annotated[float, Meta(gt=0, le=600, description="seconds to the first byte, and between bytes")] = (
        20.0
    )
    total_timeout_s: Annotated[float, Meta(gt=0, le=3600, description="seconds for one download in all")] = 120.0
    max_bytes: Annotated[int, Meta(ge=1, description="largest source in bytes")] = 100 * MIB
    memory_mb: Annotated[int, Meta(ge=1, le=65536, description="MiB of sources in memory, the rest are files")] = 32
    max_redirects: Annotated[int, Meta(ge=0, le=20, description="redirects followed")] = 5
    retries: Annotated[int, Meta(ge=0, le=20, description="further attempts after a transient error")] = 4
    retry_base_s: Annotated[
        float, Meta(gt=0, le=600, description="first wait before a further attempt, doubled each time")
    ] = 1.0
    remember_urls: Annotated[
        int, Meta(ge=0, le=100_000_000, description="addresses whose last answer is remembered, about 100 bytes each")
    ] = 1_000_000
    user_agent: Annotated[str, Meta(min_length=1, description="User-Agent sent to origins")] = "imagemill"
    proxy: Annotated[Address | None, Meta(description="HTTP proxy for sources; the environment's is ignored")] = None


class ImageSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section `image`: decoding and the default recipe."""

    quality: Annotated[int, Meta(ge=1, le=100, description="default quality, libjpeg's scale")] = 50
    format: Annotated[Literal["auto", "keep", "jpeg", "png", "webp"], Meta(description="default output format")] = (
        "auto"
    )
    max_pixels: Annotated[int, Meta(ge=1, description="largest source in pixels, all frames together")] = 100_000_000
    max_scans: Annotated[int, Meta(ge=1, le=1000, description="scans of a JPEG: each walks over the whole image")] = 64
    max_megapixels_in_flight: Annotated[
        int, Meta(ge=1, le=100_000, description="megapixels compressed at a time; a larger image waits to be alone")
    ] = 40
    timeout_s: Annotated[float, Meta(gt=0, le=3600, description="seconds to compress one image")] = 60.0
    memory_mb: Annotated[int, Meta(ge=128, description="address space of a pool child, MiB above its start")] = 1536
    formats: Annotated[tuple[Format, ...], Meta(min_length=1, description="formats that are opened")] = (
        "jpeg",
        "png",
        "webp",
        "gif",
        "bmp",
        "tiff",
    )
    accept_truncated: Annotated[bool, Meta(description="default for sources without their end: what is there")] = False
    ssim_every: Annotated[
        int, Meta(ge=0, le=1_000_000, description="one in so many images is compared with its source, 0 for none")
    ] = 20
    recycle_after: Annotated[int, Meta(ge=1, description="images after which a pool child is replaced")] = 10_000
    recycle_mb: Annotated[int, Meta(ge=64, description="resident MiB after which a pool child is replaced")] = 400

    def recipe_defaults(self) -> dict[str, Any]:
        """Return the fields of a recipe that are settings."""
        return {"quality": self.quality, "format": self.format, "accept_truncated": self.accept_truncated}


class CallbackSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section `callback`: telling others that a job has ended."""

    url: Annotated[Callee | None, Meta(description="called for every job that names none")] = None
    secret: Annotated[
        str | None, Meta(description="signs callbacks (Standard Webhooks, whsec_… or text)", extra={"secret": True})
    ] = None
    allow: Annotated[tuple[Place, ...], Meta(description="hosts and networks allowed though blocked")] = ()
    allow_lan: Annotated[bool, Meta(description="allow private networks")] = True
    timeout_s: Annotated[float, Meta(gt=0, le=120, description="seconds for one attempt")] = 15.0


class SheetSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section `sheet`: what a sheet must and may be (SHEETS.md)."""

    required: Annotated[tuple[Role, ...], Meta(description="columns that must exist")] = ("input",)
    unique: Annotated[tuple[Role, ...], Meta(description="columns whose values must be unique")] = ("serial",)
    max_cell_chars: Annotated[int, Meta(ge=1, description="longest cell in characters")] = 131_072
    serial_aliases: Annotated[tuple[str, ...], Meta(description="further header names of the serial column")] = ()
    product_aliases: Annotated[tuple[str, ...], Meta(description="further header names of the product column")] = ()
    input_aliases: Annotated[tuple[str, ...], Meta(description="further header names of the input column")] = ()


class StorageSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section `storage`: where outputs live."""

    url: Annotated[Where | None, Meta(description="where outputs are kept, instead of outputs/ in the data folder")] = (
        None
    )
    endpoint: Annotated[Address | None, Meta(description="address of the S3 server, where it is not AWS")] = None
    region: Annotated[
        str,
        Meta(pattern=r"^[A-Za-z0-9-]+$", description="region of the bucket", extra={"accepts": "letters, digits, -"}),
    ] = "us-east-1"
    access_key: Annotated[
        str | None, Meta(description="id of the S3 key; without one, AWS_… of the environment or the machine's role")
    ] = None
    secret_key: Annotated[str | None, Meta(description="secret of the S3 key", extra={"secret": True})] = None
    publish: Annotated[
        Literal["proxy", "public", "presigned"],
        Meta(description="links to S3 lead through us, to the bucket that all may read, or to it for a time"),
    ] = "proxy"
    public_url: Annotated[
        Address | None, Meta(description="what public links begin with, instead of the bucket's address")
    ] = None
    presign_s: Annotated[int, Meta(ge=60, le=7 * 86_400, description="seconds that a presigned link works")] = (
        7 * 86_400
    )
    connect_timeout_s: Annotated[float, Meta(gt=0, le=600, description="seconds to connect to S3")] = 5.0
    timeout_s: Annotated[
        float, Meta(gt=0, le=600, description="seconds for one request to S3; between bytes when it is streamed")
    ] = 30.0

    @property
    def is_s3(self) -> bool:
        """Whether outputs live in S3."""
        return self.url is not None and self.url.startswith("s3://")


class DatabaseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section `database`: where what is known lives."""

    url: Annotated[
        Server | None, Meta(description="PostgreSQL database, instead of imagemill.db in the data folder")
    ] = None
    connections: Annotated[int, Meta(ge=2, le=256, description="connections to it at a time, further ones wait")] = 8


class QueueSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section `queue`: where the reminders of what is to be done lie."""

    url: Annotated[RedisServer | None, Meta(description="Redis instead of queue.db in the data folder")] = None


class CompatSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section `compat`: clients of old services."""

    profiles: Annotated[tuple[Service, ...], Meta(description="old services whose clients are answered")] = (
        "bip",
        "csv-api",
        "thumbnails",
        "image-api",
    )
    callback_get: Annotated[bool, Meta(description="csv-api calls back by a bare GET instead of a POST")] = False


class EstimateSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section `estimate`: saying beforehand what a sheet would cost."""

    samples: Annotated[int, Meta(ge=1, le=100, description="images that are fetched and compressed for it")] = 8
    timeout_s: Annotated[float, Meta(gt=0, le=600, description="seconds after which it tells what it has")] = 20.0
    at_once: Annotated[int, Meta(ge=1, le=64, description="estimates made at a time")] = 2


class DraftSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section `draft`: sheets that are checked and shown before they become jobs."""

    keep_s: Annotated[int, Meta(ge=60, le=30 * 86_400, description="seconds after its last use that a draft goes")] = (
        3_600
    )
    per_owner: Annotated[int, Meta(ge=1, le=1_000, description="drafts of one owner, beyond which the oldest goes")] = 8
    previews_at_once: Annotated[int, Meta(ge=1, le=64, description="pictures made at a time to be shown before")] = 2
    max_picture_bytes: Annotated[int, Meta(ge=1, description="largest source shown before, in bytes")] = 32 * MIB


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set. Top-level names first, then the sections."""

    host: Annotated[str, Meta(min_length=1, description="address to listen on")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="port to listen on")] = 8750
    public_url: Annotated[Address | None, Meta(description="address that links in sheets begin with")] = None
    data_dir: Annotated[str, Meta(description="folder of everything we keep")] = ""
    auth: Annotated[Literal["token", "none"], Meta(description="none is only for loopback")] = "token"
    tls_cert: Annotated[str | None, Meta(description="PEM file of our certificate, and its chain: https, not http")] = (
        None
    )
    tls_key: Annotated[str | None, Meta(description="PEM file of its key, without a passphrase")] = None
    allowed_hosts: Annotated[tuple[str, ...], Meta(description="further Host headers answered")] = ()
    max_connections: Annotated[
        int, Meta(ge=16, le=65_536, description="connections of clients at a time; further ones wait")
    ] = 1024
    head_timeout_s: Annotated[
        int, Meta(ge=1, le=3600, description="seconds for the head of a request, and between two on one connection")
    ] = 30
    image_cache_mb: Annotated[
        int, Meta(ge=0, le=65_536, description="MiB of small published images kept in memory, 0 for none")
    ] = 32
    rate_limit_per_token: Annotated[
        float, Meta(ge=0, description="requests per second with one token, 0 for no limit; two seconds' worth at once")
    ] = 1000.0
    rate_limit_per_address: Annotated[
        float, Meta(ge=0, description="the same from one address; published images are not counted")
    ] = 2000.0
    rate_limit_failures: Annotated[
        float, Meta(ge=0, description="unknown tokens per second from one address, 0 for no limit; ten seconds' worth")
    ] = 10.0
    sign_in_link_s: Annotated[
        int, Meta(ge=60, le=86_400, description="seconds for which a link that signs in to the page works, once")
    ] = 900
    session_s: Annotated[
        int, Meta(ge=300, le=366 * 86_400, description="seconds after which the page asks to sign in again")
    ] = 30 * 86_400
    workers: Annotated[int, Meta(ge=0, le=256, description="pool children, 0 for one more than cores")] = 0
    threads: Annotated[int, Meta(ge=1, le=256, description="threads that fetch and hand over")] = 16
    max_upload_bytes: Annotated[int, Meta(ge=1, description="largest upload in bytes")] = 1024 * MIB
    max_uploads: Annotated[int, Meta(ge=1, le=256, description="sheets coming in at a time")] = 8
    max_open_images: Annotated[
        int, Meta(ge=1, description="images of unfinished jobs beyond which new jobs are refused")
    ] = 10_000_000
    max_upload_images: Annotated[int, Meta(ge=1, le=10_000, description="images in one upload")] = 500
    max_json_bytes: Annotated[int, Meta(ge=1024, le=1 << 30, description="largest JSON body in bytes")] = 16 * MIB
    max_rows: Annotated[int, Meta(ge=1, description="rows of a sheet")] = 2_000_000
    max_urls_per_cell: Annotated[int, Meta(ge=1, description="URLs in one cell")] = 200
    idempotency_s: Annotated[
        int, Meta(ge=60, le=30 * 86_400, description="seconds for which an Idempotency-Key is honoured")
    ] = 86_400
    retention_days: Annotated[
        int, Meta(ge=0, le=36_500, description="days after their end that jobs are deleted, 0 for never")
    ] = 0
    disk_reserve_mb: Annotated[int, Meta(ge=0, description="free MiB below which work pauses")] = 512
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="least severity logged")] = (
        "info"
    )
    log_format: Annotated[Literal["human", "json"], Meta(description="lines of the log")] = "human"
    log_lines_per_s: Annotated[
        int, Meta(ge=1, le=100_000, description="lines of one kind logged in a second, the rest are counted")
    ] = 20
    log_files: Annotated[
        int, Meta(ge=0, le=100, description="files of the log kept in logs/ of the data folder, 0 for none")
    ] = 5
    log_file_mb: Annotated[int, Meta(ge=1, le=1024, description="MiB of such a file, then a new one begins")] = 10
    fetch: FetchSettings = FetchSettings()
    image: ImageSettings = ImageSettings()
    callback: CallbackSettings = CallbackSettings()
    sheet: SheetSettings = SheetSettings()
    estimate: EstimateSettings = EstimateSettings()
    draft: DraftSettings = DraftSettings()
    storage: StorageSettings = StorageSettings()
    database: DatabaseSettings = DatabaseSettings()
    queue: QueueSettings = QueueSettings()
    compat: CompatSettings = CompatSettings()

    @property
    def scheme(self) -> str:
        """How our own addresses begin."""
        return "http" if self.tls_cert is None else "https"
