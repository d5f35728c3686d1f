"""The command line is a client like others: what it asks of a server stands in /openapi.json."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import jsonschema_rs
import pytest

from imagemill.cli import main
from imagemill.settings import Settings
from tests.api.conftest import ADMIN, SHEET, Site, running


class Between(BaseHTTPRequestHandler):
    """Hands requests on to a site, and remembers them."""

    site: Site
    seen: list[tuple[str, str, str, bytes]]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.seen.append((self.command.lower(), self.path, self.headers.get("Content-Type", ""), body))
        with self.site.client(None) as client:
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            answer = client.request(self.command, self.path, headers=headers, content=body)
        self.send_response(answer.status_code)
        self.send_header("Content-Type", answer.headers.get("content-type", ""))
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_POST = do_DELETE = do_GET  # noqa: N815 - the library's words

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's word
        """Say nothing."""


@pytest.fixture
def between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with running(tmp_path / "data", Settings()) as site:
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Ours", (Between,), {"site": site, "seen": []}))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
        server.server_close()


def test_every_request_of_the_command_line_is_documented(
    between: ThreadingHTTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    ours: Any = between.RequestHandlerClass
    to = ("--url", f"http://127.0.0.1:{between.server_address[1]}", "--token", ADMIN)
    Path("shop.csv").write_bytes(SHEET)
    flags = ("--quality", "40", "--thumbnail", "20x20", "--keep-original", "--name", "spring", "--errors-column")
    assert main(("submit", "shop.csv", *flags, *to)) == 0
    assert main(("jobs", "--state", "pending", "--name", "spring", "--limit", "5", "--json", *to)) == 0
    job = json.loads(capsys.readouterr().out.partition("\n{")[2].join(("{", "")) or "{}")["jobs"][0]["id"]
    for verb in ("show", "pause", "resume", "cancel", "retry"):
        assert main(("jobs", verb, job, *to)) == 0, verb
    ours.site.finish(failed=(1,))
    assert main(("jobs", "wait", job, *to)) == 3
    assert main(("jobs", "delete", job, *to)) == 0
    document = httpx.get(f"{ours.site.url}/openapi.json", trust_env=False).json()
    asked = {conforming(document, *request) for request in ours.seen}
    assert asked >= {
        "submit_sheet",
        "list_jobs",
        "show_job",
        "pause_job",
        "resume_job",
        "cancel_job",
        "retry_job",
        "delete_job",
    }


def conforming(document: dict[str, Any], method: str, target: str, kind: str, body: bytes) -> str:
    """Fail where a request is not what the document describes; returns the operation's id."""
    url = urlsplit(target)
    found = [item for path, item in document["paths"].items() if is_at(path, url.path) and method in item]
    operation = found[0][method]
    known = {each["name"]: each["schema"] for each in operation.get("parameters", ()) if each["in"] == "query"}
    for name, value in parse_qsl(url.query):
        valid(document, known[name], read(value))
    if body:
        schema = operation["requestBody"]["content"][kind.partition(";")[0]]["schema"]
        valid(document, schema, form(kind, body) if kind.startswith("multipart/") else json.loads(body))
    return str(operation["operationId"])


def is_at(template: str, path: str) -> bool:
    steps = zip(template.split("/"), path.split("/"), strict=False)
    return template.count("/") == path.count("/") and all(each == step or each[:1] == "{" for each, step in steps)


def valid(document: dict[str, Any], schema: dict[str, Any], value: object) -> None:
    jsonschema_rs.validator_for(schema | {"components": document["components"]}).validate(value)


def form(kind: str, body: bytes) -> dict[str, Any]:
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    parts: dict[str, Any] = {}
    for part in message.iter_parts():
        text = bytes(part.get_payload(decode=True)).decode()
        name = str(part.get_param("name", header="content-disposition"))
        parts[name] = text if part.get_filename() else read(text)
    return parts


def read(text: str) -> object:
    """A text of a form or an address as the value that is meant."""
    return json.loads(text) if text in {"true", "false"} or text.isdigit() else text
