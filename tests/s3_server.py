"""A real S3 server on loopback for tests: Ceph's RADOS gateway over one monitor and one disk in memory, on free ports.

How to use it:

    @needs_s3                                       # skips, with a reason, where Ceph is not installed
    def test_…(s3: S3Server) -> None:               # the session's one server, from tests/conftest.py
        bucket = s3.make_bucket()                   # a bucket of one's own
        ApplianceProcess(folder, s3.settings(bucket))    # an appliance that stores there, as environment settings
        S3Storage(s3.section(bucket))                    # or the storage alone
        with s3.outage():                           # refuses connections, as a server that is down
            …                                       # what is stored stays: only the gateway is away

`stop` and `restart` are the two halves of `outage`. `with S3Server(folder) as s3:` starts one of one's own, when a test
would disturb others by an outage. A whole start takes 1.5 s, a restart 0.2 s, and it all needs 350 MB of memory.
`objects` and `read` look into a bucket past our code, `refuse_writes` makes the server say no.
`installer/setup.sh tests` installs the packages; nothing but tests needs them.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self
from urllib.parse import quote
from xml.etree import ElementTree as ET

import httpx
import msgspec
import pytest

from imagemill.settings import StorageSettings
from tests.appliance_process import until
from tests.ports import free_port

ACCESS_KEY: Final = "IMAGEMILLTESTKEY"
SECRET_KEY: Final = "imagemill-test-secret-key"
REGION: Final = "us-east-1"

_PROGRAMS: Final = ("ceph-mon", "ceph-osd", "radosgw", "ceph", "ceph-authtool", "monmaptool", "radosgw-admin")

needs_s3 = pytest.mark.skipif(
    not all(map(shutil.which, _PROGRAMS)),
    reason="needs Ceph as the S3 server (Debian packages ceph-mon ceph-osd radosgw ceph-common)",
)

_CONTENTS: Final = "{http://s3.amazonaws.com/doc/2006-03-01/}Contents"

# One copy of everything, in memory; the monitor agrees with itself without waiting for others; a gateway that was
# killed is not waited for (30 s by default) when its successor changes a bucket.
_CONF: Final = """
[global]
fsid = {fsid}
mon host = {monitor}
keyring = {root}/keyring
run dir = {root}
admin socket = {root}/$name.asok
pid file = {root}/$name.pid
log file = {root}/$name.log
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd client watch timeout = 1
mon allow pool size one = true
paxos propose interval = 0.05
paxos min wait = 0.01
[mon.a]
mon data = {root}/mon
[osd.0]
osd data = {root}/osd
keyring = {root}/osd/keyring
public addr = 127.0.0.1
osd objectstore = memstore
memstore device bytes = 2147483648
[client.admin]
rgw data = {root}/rgw
rgw frontends = beast endpoint={address} tcp_nodelay=1
"""


class S3Server:
    """The server, while entered; `url` is its endpoint."""

    def __init__(self, folder: Path, address: str = "127.0.0.1") -> None:
        """Take a free port of an address of ours; nothing runs yet."""
        self.port = free_port(address)
        self._address = f"{address}:{self.port}"
        self.url = f"http://{self._address}"
        self._root = folder
        self._conf = folder / "ceph.conf"
        self._cluster: list[subprocess.Popen[bytes]] = []
        self._gateway: subprocess.Popen[bytes] | None = None
        self._client = httpx.Client(base_url=self.url, trust_env=False, timeout=60)

    def __enter__(self) -> Self:
        """Start everything and wait until it answers."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._end)
            self._start_cluster()
            self.restart()
            stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing running."""
        self._end()

    def stop(self) -> None:
        """Be down, at once: connections break, further ones are refused. What is stored stays."""
        if self._gateway is not None:
            _kill(self._gateway)
            self._gateway = None

    def restart(self) -> None:
        """Be up again, on the same port."""
        self._gateway = self._daemon("radosgw", "-n", "client.admin")
        until(self._answers, 30, "the S3 server answers")

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        """Be down for a block."""
        self.stop()
        try:
            yield
        finally:
            self.restart()

    def make_bucket(self, *, is_public: bool = False) -> str:
        """Make a bucket of a new name; everybody may read from a public one."""
        bucket = f"test-{uuid.uuid4().hex}"
        self.ask("PUT", f"/{bucket}")
        if is_public:
            self._allow(bucket, {"Effect": "Allow", "Action": "s3:GetObject"})
        return bucket

    def refuse_writes(self, bucket: str) -> None:
        """Let nobody write to a bucket any more, whatever the key."""
        self._allow(bucket, {"Effect": "Deny", "Action": "s3:PutObject"})

    def settings(self, bucket: str, prefix: str = "shop") -> dict[str, object]:
        """Return the settings of an appliance that stores there, named as in the environment."""
        return {
            "storage_url": f"s3://{bucket}/{prefix}",
            "storage_endpoint": self.url,
            "storage_region": REGION,
            "storage_access_key": ACCESS_KEY,
            "storage_secret_key": SECRET_KEY,
        }

    def section(self, bucket: str, prefix: str = "shop", **changes: Any) -> StorageSettings:  # noqa: ANN401
        """Return the same as the settings of a storage."""
        given = {name.removeprefix("storage_"): value for name, value in self.settings(bucket, prefix).items()}
        return msgspec.convert(given | changes, StorageSettings)

    def objects(self, bucket: str) -> dict[str, int]:
        """Return the size of every object by its whole key."""
        found: dict[str, int] = {}
        start = ""
        while True:
            page = ET.fromstring(self.ask("GET", f"/{bucket}", {"list-type": "2", "start-after": start}).text)
            listed = [(entry[0].text or "", int(entry.findtext("{*}Size") or 0)) for entry in page.iter(_CONTENTS)]
            found.update(listed)
            if page.findtext("{*}IsTruncated") != "true":
                return found
            start = listed[-1][0]

    def read(self, bucket: str, key: str) -> httpx.Response:
        """Return an object with its headers."""
        return self.ask("GET", f"/{bucket}/{key}")

    def ask(
        self, method: str, path: str, query: Mapping[str, str] = MappingProxyType({}), body: bytes = b""
    ) -> httpx.Response:
        """Send a request that is signed (Signature Version 4), past all code of ours; it must succeed."""
        listed = "&".join(f"{name}={quote(value, safe='')}" for name, value in sorted(query.items()))
        headers = signed(method, f"127.0.0.1:{self.port}", path, listed, hashlib.sha256(body).hexdigest())
        answer = self._client.request(method, f"{path}?{listed}", content=body, headers=headers)
        assert answer.is_success, answer.text
        return answer

    def _allow(self, bucket: str, statement: dict[str, str]) -> None:
        full = {**statement, "Principal": "*", "Resource": f"arn:aws:s3:::{bucket}/*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [full]})
        self.ask("PUT", f"/{bucket}", {"policy": ""}, policy.encode())

    def _start_cluster(self) -> None:
        """Make a monitor and a disk out of nothing, and a user of the gateway."""
        root, fsid, monitor = self._root, str(uuid.uuid4()), f"[v2:127.0.0.1:{free_port()}]"
        for folder in (root, root / "mon", root / "osd", root / "rgw"):
            folder.mkdir(exist_ok=True)
        self._conf.write_text(_CONF.format(fsid=fsid, root=root, monitor=monitor, address=self._address))
        keyring, map_file = str(root / "keyring"), str(root / "monmap")
        self._run("ceph-authtool", "-C", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        capable = [word for part in ("mon", "osd", "mgr") for word in ("--cap", part, "allow *")]
        self._run("ceph-authtool", keyring, "--gen-key", "-n", "client.admin", *capable)
        self._run("monmaptool", "--create", "--addv", "a", monitor, "--fsid", fsid, map_file)
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", map_file, "--keyring", keyring)
        self._cluster.append(self._daemon("ceph-mon", "-i", "a"))
        disk, secret = str(uuid.uuid4()), self._run("ceph-authtool", "--gen-print-key").strip()
        self._run("ceph", "osd", "new", disk, "-i", "-", told=json.dumps({"cephx_secret": secret}))
        (root / "osd" / "keyring").write_text(f"[osd.0]\nkey = {secret}\n")
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", disk)
        self._cluster.append(self._daemon("ceph-osd", "-i", "0"))
        user = ("--uid", "imagemill", "--display-name", "imagemill")
        self._run("radosgw-admin", "user", "create", *user, "--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY)

    def _run(self, program: str, *words: str, told: str = "") -> str:
        command = [program, "-c", str(self._conf), *words]
        done = subprocess.run(command, input=told, capture_output=True, text=True, timeout=180, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def _daemon(self, program: str, *words: str) -> subprocess.Popen[bytes]:
        """Start a part that goes when we go, however that is."""
        command = ["setpriv", "--pdeathsig", "KILL", program, "-f", "-c", str(self._conf), *words]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _answers(self) -> bool:
        assert self._gateway is not None
        assert self._gateway.poll() is None, f"the S3 server ended; see {self._root}"
        with contextlib.suppress(httpx.TransportError):
            return self._client.get("/").is_success
        return False

    def _end(self) -> None:
        self.stop()
        while self._cluster:
            _kill(self._cluster.pop())
        self._client.close()


def signed(method: str, host: str, path: str, query: str, digest: str) -> dict[str, str]:
    """Return the headers that sign a request ("Authenticating Requests: Using the Authorization Header", S3's API)."""
    at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": at}
    names = ";".join(headers)
    lines = [method, quote(path), query, *(f"{name}:{value}" for name, value in headers.items()), "", names, digest]
    scope = f"{at[:8]}/{REGION}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", at, scope, hashlib.sha256("\n".join(lines).encode()).hexdigest()])
    key = f"AWS4{SECRET_KEY}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    credential = f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}"
    return {**headers, "Authorization": f"{credential}, SignedHeaders={names}, Signature={signature}"}


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(60)
