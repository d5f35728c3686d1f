"""README's nginx in front of the appliance, as it is written there: TLS, links, an upload, events as they happen."""

from __future__ import annotations

import re
import signal
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.appliance_process import ApplianceProcess, needs_proc, until
from tests.origin_nginx import Nginx, needs_nginx
from tests.places import ROOT, needs_shared
from tests.ports import free_port
from tests.story.ledger import PRODUCTS, sheet

NAME = "pictures.example"

pytestmark = [needs_shared, needs_nginx, needs_proc, pytest.mark.slow]


@contextmanager
def proxy(folder: Path, upstream: int) -> Iterator[int]:
    """Run README's server block with a certificate and ports of this test's own; gives its port."""
    port = free_port()
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}")
    files = ("-addext", f"subjectAltName=DNS:{NAME}", "-keyout", folder / "key.pem", "-out", folder / "cert.pem")
    subprocess.run([*made, *files], check=True, capture_output=True)
    block = re.search(r"```nginx\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    text = (
        block.group(1)
        .replace("listen 443", f"listen 127.0.0.1:{port}")
        .replace("127.0.0.1:8750", f"127.0.0.1:{upstream}")
    )
    text = text.replace("/etc/ssl/pictures.pem", f"{folder}/cert.pem").replace(
        "/etc/ssl/pictures.key", f"{folder}/key.pem"
    )
    paths = " ".join(
        f"{each}_temp_path {folder}/{each};" for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    head = f"user root; daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}"
    (folder / "nginx.conf").write_text(f"{head} http {{ access_log off; {paths} {text} }}")
    command = ["nginx", "-p", f"{folder}", "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]
    nginx = subprocess.Popen(command, env={"PATH": "/usr/sbin:/usr/bin"})
    try:
        yield port
    finally:
        nginx.send_signal(signal.SIGQUIT)
        nginx.wait(60)


@contextmanager
def customer(appliance: ApplianceProcess, folder: Path) -> Iterator[httpx.Client]:
    """A client outside, who knows the name and the certificate."""
    folder.mkdir()
    with proxy(folder, appliance.port) as port:
        until((folder / "pid").exists, 20, "nginx runs")
        token = (appliance.data_dir / "token").read_text().strip()
        context = ssl.create_default_context(cafile=str(folder / "cert.pem"))
        headers = {"Authorization": f"Bearer {token}", "Host": NAME}
        with httpx.Client(
            base_url=f"https://127.0.0.1:{port}", headers=headers, verify=context, trust_env=False
        ) as client:
            yield client


def test_everything_goes_through_the_proxy_of_the_readme(tmp_path: Path) -> None:
    names = {"public_url": f"https://{NAME}", "allowed_hosts": NAME}
    named: dict[str, Any] = {"extensions": {"sni_hostname": NAME}}
    with (
        Nginx(PRODUCTS) as origin,
        ApplianceProcess(tmp_path / "data", names) as appliance,
        customer(appliance, tmp_path / "nginx") as client,
    ):
        pictures = [f"{origin.url}/{path.name}" for path in sorted(PRODUCTS.glob("*.jpg"))[:20]]
        answer = client.post("/api/v1/jobs", files={"file": ("sheet.csv", sheet(pictures), "text/csv")}, **named)
        assert answer.status_code == 202, answer.text
        job = answer.json()["id"]
        with client.stream("GET", f"/api/v1/jobs/{job}/events", **named) as events:
            assert any("completed" in line for line in events.iter_lines())
        output = client.get(f"/api/v1/jobs/{job}/output.csv", **named).text
        links = re.findall(rf"https://{NAME}(/images/[^,\"\s]+)", output)
        assert len(links) == len(pictures)
        assert client.get(links[0], **named).headers["Content-Type"] == "image/jpeg"
