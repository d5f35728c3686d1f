"""`tls_cert` and `tls_key`: the whole appliance behind a real certificate, and each file that is not right, told."""

from __future__ import annotations

import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from imagemill.appliance.checks import CHECKS, Scene
from imagemill.appliance.tls import identity
from imagemill.core.errors import SettingError, StartError
from imagemill.settings import Settings, load
from imagemill.storage import Folders
from tests.cli.children import ended, imagemill, read_line, started
from tests.ports import free_port

SUBJECT = ("-subj", "/CN=pictures.example", "-addext", "subjectAltName=DNS:pictures.example,DNS:localhost")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a certificate, its key, the key under a passphrase, and another's key."""
    folder = tmp_path_factory.mktemp("tls")
    made = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2", *SUBJECT)
    for name, flags in {"ours": ("-nodes",), "locked": ("-passout", "pass:word"), "other": ("-nodes",)}.items():
        parts = ("-out", f"{name}.pem", "-keyout", f"{name}.key")
        subprocess.run(["openssl", *made, *flags, *parts], cwd=folder, capture_output=True, check=True)
    (folder / "nonsense.pem").write_text("-----BEGIN CERTIFICATE-----\nnonsense\n")
    return folder


def test_all_that_is_asked_goes_through_tls(files: Path, tmp_path: Path) -> None:
    ours: dict[str, Any] = {"tls_cert": files / "ours.pem", "tls_key": files / "ours.key"}
    port = free_port()
    with started(tmp_path, "serve", "--port", str(port), **ours) as process:
        address, link = read_line(process)[-1], read_line(process)[-1]
        _, token, _ = read_line(process)
        assert address == f"https://127.0.0.1:{port}"
        trusted = ssl.create_default_context(cafile=str(files / "ours.pem"))
        with httpx.Client(base_url=f"https://localhost:{port}", verify=trusted, trust_env=False) as client:
            assert client.get("/healthz").is_success
            signed_in = client.get(link.removeprefix(address))
            assert "secure" in signed_in.headers["set-cookie"].lower().split("; ")
            answer = client.get("/api/v1/jobs", headers={"Authorization": f"Bearer {token}"})
            assert answer.json()["jobs"] == []
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False)
        with pytest.raises(httpx.ConnectError, match="self-signed certificate"):
            httpx.get(f"https://localhost:{port}/healthz", trust_env=False)
        for protocol in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            assert spoken(port, protocol) == protocol.name.replace("_", ".")
        code, _, said = imagemill(tmp_path, "jobs", port=port, **ours)
        assert (code, said.partition(".")[0]) == (0, "There are no jobs yet")
        code, _, err = imagemill(tmp_path, "jobs", port=port, tls_cert=files / "other.pem", tls_key=files / "other.key")
        assert (code, "nobody answers" in err) == (1, True)
        process.terminate()
        assert ended(process)[0] == 0


def spoken(port: int, protocol: ssl.TLSVersion) -> str | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = protocol
    with socket.create_connection(("127.0.0.1", port), 10) as plain, context.wrap_socket(plain) as wrapped:
        return wrapped.version()


@pytest.mark.parametrize(
    ("certificate", "key", "told"),
    [
        ("absent.pem", "ours.key", "tls_cert: {}/absent.pem cannot be read: No such file or directory"),
        ("ours.pem", "absent.key", "tls_key: {}/absent.key cannot be read: No such file or directory"),
        ("ours.pem", "other.key", "tls_key: {}/other.key does not belong to the certificate {}/ours.pem"),
        ("locked.pem", "locked.key", "tls_key: {}/locked.key is locked by a passphrase"),
        ("nonsense.pem", "ours.key", "{}/nonsense.pem and {}/ours.key are not a certificate and its key in PEM"),
        ("ours.key", "ours.pem", "are not a certificate and its key in PEM"),
    ],
)
def test_a_file_that_is_not_right_is_told(files: Path, certificate: str, key: str, told: str) -> None:
    with pytest.raises(StartError) as caught:
        identity(Settings(tls_cert=str(files / certificate), tls_key=str(files / key)))
    assert told.replace("{}", str(files)) in caught.value.detail


def test_doctor_says_how_long_the_certificate_is_good(files: Path, tmp_path: Path) -> None:
    key = str(files / "ours.key")
    parts = ("openssl", "req", "-new", "-key", key, "-subj", "/CN=a", "-out", str(tmp_path / "a.csr"))
    subprocess.run(parts, capture_output=True, check=True)
    said = {}
    for days in (-1, 2, 100):
        made = tmp_path / f"{days}.pem"
        sign = ("x509", "-req", "-in", str(tmp_path / "a.csr"), "-signkey", key, "-days", str(days), "-out", str(made))
        subprocess.run(("openssl", *sign), capture_output=True, check=True)
        scene = Scene(Settings(tls_cert=str(made), tls_key=key), Folders(tmp_path), is_running=False)
        found = CHECKS["certificate"](scene)
        said[days] = found.state
        assert str(made) in found.detail
        assert ("start imagemill again" in found.next_step) == (days < 100)
    assert said == {-1: "failed", 2: "warning", 100: "ok"}


def test_the_start_tells_it_in_one_line(files: Path, tmp_path: Path) -> None:
    code, out, err = imagemill(
        tmp_path, "serve", "--port", str(free_port()), tls_cert=files / "ours.pem", tls_key=files / "other.key"
    )
    assert (code, out) == (1, "")
    assert err.startswith("Error: tls_key: ")
    assert err.count("\n") == 1


def test_one_without_the_other_is_a_mistake_and_paths_are_made_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingError, match=r"setting tls_key is missing: tls_cert \(from IMAGEMILL_TLS_CERT\)"):
        load({}, {"IMAGEMILL_TLS_CERT": "x.pem"}, None)
    monkeypatch.chdir(tmp_path)
    loaded = load({"tls_cert": "x.pem", "tls_key": "sub/../x.key"}, {}, None).settings
    assert (loaded.tls_cert, loaded.tls_key) == (str(tmp_path / "x.pem"), str(tmp_path / "x.key"))
    assert loaded.scheme == "https"
    assert msgspec.structs.replace(loaded, tls_cert=None).scheme == "http"
