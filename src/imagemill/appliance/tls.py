"""Our certificate and its key, looked at before the web server does: that ends with a backtrace, or asks for a word."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from imagemill.core.errors import StartError

if TYPE_CHECKING:
    from imagemill.settings import Settings


_EXPIRED: Final = 10
"""X509_V_ERR_CERT_HAS_EXPIRED."""

_FLIGHTS: Final = 3


class Identity(NamedTuple):
    """The files of a certificate, with those that vouch for it behind it, and of its key."""

    certificate: Path
    key: Path


def identity(settings: Settings) -> Identity | None:
    """Return the files to show who we are, None without TLS; StartError says which of them is not right, and why."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    found = Identity(Path(settings.tls_cert), Path(settings.tls_key))
    for name, path in zip(("tls_cert", "tls_key"), found, strict=True):
        _check_readable(name, path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*found, password=_no_word)
    except ssl.SSLError as error:
        raise StartError(_words(error, found), cause=repr(error)) from error
    except _Locked as error:
        message = f"tls_key: {found.key} is locked by a passphrase: write the key without one, readable by us alone"
        raise StartError(message) from error
    return found


def ends_at(found: Identity) -> float | None:
    """Return when the certificate ends, in seconds since 1970; None where that has been.

    It is asked as clients are: by a handshake, with ourselves, in which it vouches for itself.
    """
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.load_cert_chain(*found, password=_no_word)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(found.certificate)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking, shown = client.wrap_bio(back, there), server.wrap_bio(there, back, server_side=True)
    try:
        for side in (asking, shown) * _FLIGHTS:
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    except ssl.SSLCertVerificationError as error:
        if error.verify_code == _EXPIRED:
            return None
        raise StartError(f"tls_cert: {found.certificate}: {error.verify_message}", cause=repr(error)) from error
    return float(ssl.cert_time_to_seconds(str((asking.getpeercert() or {})["notAfter"])))


class _Locked(Exception):
    """The key wants a passphrase."""


def _no_word() -> str:
    raise _Locked


def _check_readable(name: str, path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        message = f"{name}: {path} cannot be read: {error.strerror}; name a file in PEM that its user may read"
        raise StartError(message) from error


def _words(error: ssl.SSLError, found: Identity) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"tls_key: {found.key} does not belong to the certificate {found.certificate}: name the pair"
    return f"tls_cert, tls_key: {found.certificate} and {found.key} are not a certificate and its key in PEM"
