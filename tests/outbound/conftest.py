"""An origin with one picture, clients that are closed at the end, a certificate."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagemill.outbound import Client
from tests.origin import Origin
from tests.outbound.calls import PICTURE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.jpg").write_bytes(PICTURE)
    return tmp_path


@pytest.fixture
def origin(folder: Path) -> Iterator[Origin]:
    with Origin(folder) as running:
        yield running


@pytest.fixture
def clients() -> Iterator[list[Client]]:
    """Clients that are closed at the end: a socket left open is a warning, and so an error."""
    made: list[Client] = []
    yield made
    for client in made:
        client.close()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate and key for img.example in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl")
    pem = tmp_path / "img.pem"
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=img.example", "-addext", "subjectAltName=DNS:img.example"]
    files = ["-keyout", str(pem), "-out", str(tmp_path / "cert.pem")]
    subprocess.run([openssl, "req", *kind, *names, *files], check=True, capture_output=True)
    pem.write_bytes(pem.read_bytes() + (tmp_path / "cert.pem").read_bytes())
    return pem
