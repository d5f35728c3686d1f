"""Two servers behind a proxy that gives each request to the other one: the page's and the API's story, all of it."""

from __future__ import annotations

import contextlib
import io
import itertools
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self, TypeAlias

import httpx
import msgspec
import pytest

from tests.appliance_process import ENDED, ApplianceProcess, needs_proc, until
from tests.origin_nginx import Nginx, needs_nginx
from tests.places import needs_shared
from tests.ports import free_port
from tests.postgres_server import PostgresServer, needs_postgres
from tests.redis_server import RedisServer, needs_redis
from tests.story.ledger import PRODUCTS, sheet

pytestmark = [pytest.mark.slow, needs_shared, needs_nginx, needs_proc, needs_postgres, needs_redis]

CONF = """
user root; daemon off; pid {run}/pid; error_log {run}/error.log; events {{}}
http {{
    access_log off; client_max_body_size 1g;
    client_body_temp_path {run}/body; proxy_temp_path {run}/proxy; fastcgi_temp_path {run}/fastcgi;
    uwsgi_temp_path {run}/uwsgi; scgi_temp_path {run}/scgi;
    upstream servers {{ server 127.0.0.1:{first} max_fails=0; server 127.0.0.1:{second} max_fails=0; }}
    server {{
        listen 127.0.0.1:{port};
        add_header X-Server $upstream_addr always;
        location / {{
            proxy_pass http://servers; proxy_http_version 1.1; proxy_set_header Host $http_host;
            proxy_request_buffering off; proxy_buffering off; proxy_read_timeout 1h;
        }}
    }}
}}
"""


class Proxy:
    """Gives requests to two servers by turns, and remembers whom it gave each to."""

    def __init__(self, run: Path, port: int, servers: list[ApplianceProcess]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.answered_by: list[str] = []
        token = (servers[0].data_dir / "token").read_text().strip()
        self._headers = {"Authorization": f"Bearer {token}"}
        self._stack = contextlib.ExitStack()
        run.mkdir()
        text = CONF.format(run=run, port=port, first=servers[0].port, second=servers[1].port)
        (run / "nginx.conf").write_text(text)
        self._command = ["nginx", "-p", f"{run}", "-e", f"{run}/error.log", "-c", f"{run}/nginx.conf"]
        self._pid = run / "pid"

    def __enter__(self) -> Self:
        nginx = subprocess.Popen(self._command, env={"PATH": "/usr/sbin:/usr/bin"})
        self._stack.callback(nginx.wait, 60)
        self._stack.callback(nginx.terminate)
        until(lambda: self._pid.exists() and self._pid.read_text(), 20, "nginx runs")
        self.client = self.visitor(self._headers)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def visitor(self, headers: dict[str, str]) -> httpx.Client:
        """Return a client of the proxy."""
        hooks = {"response": [lambda answer: self.answered_by.append(answer.headers["x-server"])]}
        client = httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False, event_hooks=hooks)
        return self._stack.enter_context(client)

    def ask(self, path: str, method: str = "GET", **rest: Any) -> Any:  # noqa: ANN401
        """Return what a request under /api/v1 is answered with; it must be answered well."""
        answer = self.client.request(method, f"/api/v1{path}", **rest)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        kind = answer.headers.get("content-type", "")
        return answer.json() if kind.startswith("application/json") else answer.content

    def both(self, path: str) -> Any:  # noqa: ANN401
        """Return what two requests are answered with, which must be the same."""
        first, second = self.ask(path), self.ask(path)
        assert first == second, path
        return first

    def ended(self, job: str) -> dict[str, Any]:
        """Wait for the end of a job."""
        until(lambda: self.ask(f"/jobs/{job}")["state"] in ENDED, 60, "the job ends", 0.1)
        found: dict[str, Any] = self.ask(f"/jobs/{job}")
        assert found["state"] == "completed"
        return found

    def events(self, job: str, after: str, most: int) -> Iterator[tuple[str, str, Any]]:
        """Yield a job's events and their ids, as many as were asked for or until the job has ended."""
        path = f"/api/v1/jobs/{job}/events?images=1"
        with self.client.stream("GET", path, headers={"Last-Event-ID": after}) as answer:
            yield from itertools.islice(told(answer.iter_lines()), most)


Servers: TypeAlias = tuple[list[ApplianceProcess], Proxy]


def told(lines: Iterator[str]) -> Iterator[tuple[str, str, Any]]:
    event: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        event[name] = value
        if not line and "event" in event:
            yield event["event"], event["id"], msgspec.json.decode(event["data"])
            event = {}


@pytest.fixture(scope="module")
def servers(
    postgres: PostgresServer, redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Servers]:
    """The two, and the proxy; they share PostgreSQL, Redis and a folder."""
    folder, port = tmp_path_factory.mktemp("servers"), free_port()
    (folder / "stored").mkdir()
    places = {"database_url": postgres.make_database(), "queue_url": redis.url, "storage_url": f"file:{folder}/stored"}
    settings = {**places, "public_url": f"http://127.0.0.1:{port}", "workers": 1}
    with contextlib.ExitStack() as stack:
        both = [stack.enter_context(ApplianceProcess(folder / name, settings)) for name in ("one", "two")]
        yield both, stack.enter_context(Proxy(folder / "nginx", port, both))


@pytest.fixture(scope="module")
def pictures() -> Iterator[list[str]]:
    """Addresses of pictures."""
    with Nginx(PRODUCTS) as origin:
        yield [f"{origin.url}/{path.name}" for path in sorted(PRODUCTS.glob("*.jpg"))[:40]]


def sends(proxy: Proxy, pictures: list[str], **fields: object) -> str:
    """Make a draft of a sheet with a column that nobody knows, look at it, and make it a job; by turns."""
    rows = sheet(pictures).replace(b"Input Image Urls", b"Bild")
    draft = proxy.ask("/drafts", "POST", files={"file": ("sheet.csv", rows, "text/csv")})
    assert draft["faults"][0]["code"] == "missing_column"
    path = f"/drafts/{draft['id']}"
    assert proxy.ask(f"{path}?image_column=Bild")["counts"]["images"] == len(pictures)
    seen = proxy.ask(path + "?image_column=Bild")
    source = proxy.both(f"{path}/pictures/0")
    assert source == (PRODUCTS / seen["pictures"][0].rpartition("/")[2]).read_bytes()
    assert len(proxy.both(f"{path}/pictures/0/output?quality=30")) < len(source)
    wanted = {"draft": draft["id"], "image_column": "Bild", **fields}
    for _ in range(2):
        assert proxy.ask("/estimate", "POST", json=wanted)["images"] == len(pictures)
    key = {"Idempotency-Key": f"once-{draft['id']}"}
    jobs = [proxy.ask("/jobs", "POST", json=wanted, headers=key)["id"] for _ in range(2)]
    assert jobs[0] == jobs[1]
    proxy.ask(path, "DELETE")
    assert proxy.client.get(f"/api/v1{path}").status_code == 404
    return str(jobs[0])


def test_a_sheet_goes_through_both(servers: Servers, pictures: list[str]) -> None:
    (one, two), proxy = servers
    job = sends(proxy, pictures, keep_original=True)
    seen = list(proxy.events(job, "0", 10))
    seen += proxy.events(job, seen[-1][1], 10)
    seen += proxy.events(job, seen[-1][1], 10_000)
    assert seen[-1][0] == "finished"
    positions = [event[2]["row"] for event in seen if event[0] == "image"]
    assert sorted(positions) == list(range(2, 2 + len(pictures)))
    assert proxy.ended(job)["counts"]["done"] == len(pictures)
    for part in ("input", "output.csv", "report.csv", "images"):
        proxy.both(f"/jobs/{job}/{part}")
    names = [zipfile.ZipFile(io.BytesIO(proxy.ask(f"/jobs/{job}/images.zip"))).namelist() for _ in range(2)]
    assert (names[0], len(names[0])) == (names[1], len(pictures))
    image = proxy.ask(f"/jobs/{job}/images")["images"][0]
    original = proxy.both(f"/images/{image['id']}/original")
    assert original == (PRODUCTS / image["source_url"].rpartition("/")[2]).read_bytes()
    published = image["outputs"][0]["url"]
    assert published.startswith(f"{proxy.url}/images/")
    assert [proxy.client.get(published).status_code for _ in range(2)] == [200, 200]
    assert {server.url.removeprefix("http://") for server in (one, two)} == set(proxy.answered_by)


def test_what_is_sent_said_and_removed_holds_for_both(servers: Servers) -> None:
    _, proxy = servers
    picture = next(PRODUCTS.glob("*.jpg")).read_bytes()
    proxy.ask("/system/pause", "POST")
    assert all(proxy.ask("/system")["paused_at"] for _ in range(2))
    job = proxy.ask("/images", "POST", files={"image": ("a.jpg", picture)})["id"]
    assert proxy.ask(f"/jobs/{job}")["state"] == "paused"
    proxy.ask("/system/resume", "POST")
    proxy.ended(job)
    image = proxy.ask(f"/jobs/{job}/images")["images"][0]
    assert proxy.both(f"/images/{image['id']}/original") == picture
    proxy.ask(f"/jobs/{job}", "DELETE")
    for path in (f"/api/v1/jobs/{job}", f"/api/v1/images/{image['id']}"):
        assert [proxy.client.get(path).status_code for _ in range(2)] == [404, 404]


def test_who_is_signed_in_is_so_everywhere(servers: Servers) -> None:
    _, proxy = servers
    link = proxy.ask("/sign-in-links", "POST")["url"]
    assert link.startswith(f"{proxy.url}/sign-in?")
    browser = proxy.visitor({"Accept": "text/html"})
    assert browser.get(link).status_code == 303
    assert browser.get(link).status_code == 401, "the other one knows that it was used"
    for path in ("/", "/jobs", "/system") * 2:
        assert browser.get(path).status_code == 200, path
    own = {"Origin": proxy.url}
    assert [browser.post("/api/v1/estimate", json={}, headers=own).status_code for _ in range(2)] == [422, 422]
    assert browser.post("/sign-out", headers=own).status_code == 303
    assert [browser.get("/jobs").status_code for _ in range(2)] == [303, 303]


def test_what_one_has_begun_the_other_ends(servers: Servers, pictures: list[str]) -> None:
    (one, _), proxy = servers
    draft = one.post("/drafts", images=pictures[:3]).json()["id"]
    one.kill()
    job = proxy.ask("/jobs", "POST", json={"draft": draft})["id"]
    assert proxy.ended(job)["counts"]["done"] == 3
    one.launch()
    one.ready()
    assert one.job(job)["state"] == "completed"
