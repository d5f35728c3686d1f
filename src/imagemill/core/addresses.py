"""Which web addresses are accepted, and which network addresses may be connected to (SECURITY.md).

Pure: a name is never resolved here. `web_url` reads an address as a browser would (WHATWG URL Standard), so that the
host we check is the host everybody else sees; `blocked` judges one resolved address.
"""

from __future__ import annotations

import re
from encodings.idna import nameprep
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, NoReturn
from urllib.parse import quote

import msgspec

MAX_URL_CHARS: Final = 8192
_MAX_HOST_CHARS: Final = 253
_MAX_PORT: Final = 65535
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_ADDRESS_BITS: Final = 32
_OCTET_BITS: Final = 8
_ADVICE: Final = "write the full address, beginning with https://"

_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_CLEAN = re.compile(
    r"https?://"
    # The last label begins with a letter (so it is no number) and is not the end of a name with an empty label.
    rf"(?:(?:[a-z0-9](?:[a-z0-9-]{{0,61}}[a-z0-9])?\.){{0,8}}[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?|(?:{_OCTET}\.){{3}}{_OCTET})"
    r"(?::(?!(?:80|443)/)(?:[1-9]\d{0,3}|[1-5]\d{4}))?"
    # No segment that begins with a dot, written out or not: those may be `.` or `..`.
    r"(?:/(?!\.|%2[eE])[\w!$%&'()*+,.:;=@~|-]*)+"
    r"(?:\?[\w!$%&()*+,./:;=?@~|\[\]-]*)?",
    re.ASCII,
)
"""Addresses that are canonical as they are: most of them, and a sheet has millions. A miss only costs time."""

_PARTS = re.compile(r"([^:/?#]+):[/\\]{2}([^/\\?#]*)([^?#]*)(\?[^#]*)?", re.DOTALL)
_HOST_AND_PORT = re.compile(r"(\[[^\[\]]*\]|[^:]*)(?::(\d*))?", re.ASCII)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_EDGES: Final = "\ufeff\u200b\u200e\u200f\u2060"
_NAME = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
_DOTS = re.compile("[.\u3002\uff0e\uff61]")
_DEVIATIONS = re.compile("([\u00df\u1e9e\u03c2])")
_SAFE_IN_PATH: Final = "!$%&'()*+,-./:;=@[]^_|~"
_SAFE_IN_QUERY: Final = _SAFE_IN_PATH.replace("'", "") + "?`{}\\"


class Policy(msgspec.Struct, frozen=True):
    """Exceptions from the block list: host names, addresses or networks; `allow_lan` opens the private IPv4 ranges."""

    allow: tuple[str, ...] = ()
    allow_lan: bool = False


def web_url(text: str) -> str:
    """Return the canonical absolute http(s) URL for `text`; ValueError says in one sentence what to write instead."""
    if len(text) <= MAX_URL_CHARS and _CLEAN.fullmatch(text):
        return text
    url = _canonical(text.strip().strip(_EDGES).strip())
    if len(url) > MAX_URL_CHARS:
        _refuse(f"the address is longer than {MAX_URL_CHARS} characters: use a shorter one")
    return url


def _canonical(text: str) -> str:
    if not text:
        _refuse(f"the address is empty: {_ADVICE}")
    if len(text) > MAX_URL_CHARS:
        _refuse(f"the address is longer than {MAX_URL_CHARS} characters: use a shorter one")
    if _CONTROLS.search(text):
        _refuse("the address contains a line break or another control character: remove it")
    parts = _PARTS.match(text)
    if parts is None:
        _refuse(f"the address is not absolute: {_ADVICE}")
    scheme, authority, path, query = parts.groups(default="")
    scheme = scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        _refuse(f"only http and https are fetched: {_ADVICE}")
    return f"{scheme}://{_authority(authority, _DEFAULT_PORTS[scheme])}{_path(path)}{_encoded(query, _SAFE_IN_QUERY)}"


def _refuse(reason: str) -> NoReturn:
    raise ValueError(reason)


def _authority(text: str, default_port: int) -> str:
    if "@" in text:
        _refuse("the address contains a user name or password: remove the part before @")
    match = _HOST_AND_PORT.fullmatch(text)
    if match is None:
        _refuse("the address has no valid port: write a number from 1 to 65535 after the colon, or nothing")
    host, port = _host(match[1]), int((match[2] or "")[:9] or default_port)
    if not 0 < port <= _MAX_PORT:
        _refuse(f"port {port} does not exist: write a number from 1 to {_MAX_PORT}")
    return host if port == default_port else f"{host}:{port}"


def _host(text: str) -> str:
    if not text:
        _refuse(f"the address names no host: {_ADVICE}")
    if text.startswith("["):
        return _ipv6(text[1:-1])
    host = (text.lower() if text.isascii() else _idna(text)).removesuffix(".")
    if len(host) > _MAX_HOST_CHARS or not _NAME.fullmatch(host):
        _refuse("the address names no valid host: check the part after ://")
    return _ipv4(host) if _NUMBER.fullmatch(host.rpartition(".")[2]) else host


def _ipv6(text: str) -> str:
    try:
        address = IPv6Address(text)
    except ValueError:
        address = None
    if address is None or address.scope_id is not None:
        _refuse("the address names no valid IPv6 address: write it as [2001:db8::1], without a zone")
    return f"[{address.compressed}]"


def _ipv4(host: str) -> str:
    """Read the decimal, octal, hexadecimal and short spellings browsers read (WHATWG "IPv4 parser")."""
    *heads, last = [_number(part) for part in host.split(".")]
    # The last number fills all the bytes that are left: 127.1 is 127.0.0.1.
    room = _ADDRESS_BITS - _OCTET_BITS * len(heads)
    if room <= 0 or last >> room or any(head >> _OCTET_BITS for head in heads):
        _refuse("the address names no valid IPv4 address: write four numbers from 0 to 255")
    for place, head in enumerate(heads, start=1):
        last += head << _ADDRESS_BITS - _OCTET_BITS * place
    return str(IPv4Address(last))


def _number(text: str) -> int:
    """Return the value of one part; what is no number is too large for any place."""
    if not _NUMBER.fullmatch(text):
        return 1 << _ADDRESS_BITS
    if text.startswith("0x"):
        return int(text[2:] or "0", 16)
    try:
        return int(text, 8 if text.startswith("0") else 10)
    except ValueError:
        return 1 << _ADDRESS_BITS


def _idna(text: str) -> str:
    """Return the name as DNS has it. The codec is IDNA 2003; the letters browsers treat otherwise (UTS 46) are kept."""
    try:
        return ".".join(_label(label) for label in _DOTS.split(text.lower()))
    except UnicodeError:
        return _refuse("the address names a host that cannot be written in DNS: check the part after ://")


def _label(label: str) -> str:
    pieces = _DEVIATIONS.split(label.replace("\u1e9e", "\u00df"))
    prepared = "".join(piece if place % 2 else nameprep(piece) for place, piece in enumerate(pieces))
    return prepared if prepared.isascii() else "xn--" + prepared.encode("punycode").decode()


def _path(text: str) -> str:
    """Return the encoded path without its dot segments; a backslash separates like a slash."""
    kept: list[str] = []
    segments = text.replace("\\", "/").split("/")[1:] or [""]
    for segment in segments:
        plain = segment.lower().replace("%2e", ".")
        if plain == "..":
            del kept[-1:]
        elif plain != ".":
            kept.append(segment)
    if plain in {".", ".."}:
        kept.append("")
    return "/" + _encoded("/".join(kept), _SAFE_IN_PATH)


def _encoded(text: str, safe: str) -> str:
    try:
        return quote(text, safe=safe)
    except UnicodeError:
        return _refuse("the address contains half a character: write it again")


_BLOCKED_V4: Final = tuple(
    (ip_network(network), reason)
    for network, reason in (
        # IANA IPv4 Special-Purpose Address Registry (RFC 6890), what is not globally reachable.
        ("0.0.0.0/8", "unspecified"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "reserved"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
        # Azure's platform server has a public number, but is the host's own metadata and agent endpoint.
        ("168.63.129.16/32", "metadata"),
    )
)
_LAN: Final = tuple(IPv4Network(network) for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_BLOCKED_V6: Final = tuple(
    (IPv6Network(network), reason)
    for network, reason in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("fc00::/7", "unique-local"),
        ("ff00::/8", "multicast"),
        ("2001:db8::/32", "documentation"),
        ("3fff::/20", "documentation"),
        ("2001:2::/48", "benchmarking"),
        ("2001::/23", "reserved"),
        # Local-use NAT64 (RFC 8215): where the IPv4 address lies in it is the network's own secret.
        ("64:ff9b:1::/48", "local NAT64"),
    )
)
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_COMPATIBLE: Final = IPv6Network("::/96")
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")
_TEREDO: Final = IPv6Network("2001::/32")
_GLOBAL: Final = IPv6Network("2000::/3")
_LOW_32: Final = 0xFFFFFFFF
_ISATAP: Final = 0x00005EFE
_ISATAP_UNIVERSAL_BIT: Final = 0x02000000


def blocked(address: str, policy: Policy, host: str = "") -> str | None:
    """Return in a word why `address` must not be connected to, or None when it may be.

    `host` is the name that was asked for: a name in `policy.allow` permits whatever it resolves to.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return "not an address"
    # A mapped address is the IPv4 address: the kernel connects to that.
    if isinstance(parsed, IPv6Address) and parsed in _MAPPED:
        parsed = IPv4Address(int(parsed) & _LOW_32)
    if _is_allowed(parsed, policy, host):
        return None
    return _reason_v4(parsed, policy) if isinstance(parsed, IPv4Address) else _reason_v6(parsed, policy)


def _is_allowed(address: IPv4Address | IPv6Address, policy: Policy, host: str) -> bool:
    names, networks = _allowed(policy.allow)
    return host.lower().removesuffix(".") in names or any(address in network for network in networks)


@lru_cache(maxsize=16)
def _allowed(allow: tuple[str, ...]) -> tuple[frozenset[str], tuple[IPv4Network | IPv6Network, ...]]:
    names, networks = [], []
    for item in allow:
        try:
            networks.append(ip_network(item.strip().strip("[]"), strict=False))
        except ValueError:
            names.append(item.strip().lower().removesuffix("."))
    return frozenset(filter(None, names)), tuple(networks)


def _reason_v4(address: IPv4Address, policy: Policy) -> str | None:
    if any(address in network for network in _LAN):
        return None if policy.allow_lan else "private network"
    return next((reason for network, reason in _BLOCKED_V4 if address in network), None)


def _reason_v6(address: IPv6Address, policy: Policy) -> str | None:
    reason = next((reason for network, reason in _BLOCKED_V6[:2] if address in network), None)
    if reason:
        return reason
    for kind, inner in _embedded(address):
        if reason := _reason_v4(inner, policy):
            return f"{reason} inside {kind}"
    listed = next((reason for network, reason in _BLOCKED_V6 if address in network), None)
    # What IANA has not given out as global unicast is reserved, NAT64's well-known prefix excepted.
    return listed or (None if address in _GLOBAL or address in _NAT64 else "reserved")


def _embedded(address: IPv6Address) -> list[tuple[str, IPv4Address]]:
    """Return the IPv4 addresses an IPv6 address leads to, with the name of the scheme."""
    value = int(address)
    low = IPv4Address(value & _LOW_32)
    found = []
    if address in _COMPATIBLE:
        found.append(("IPv4-compatible", low))
    if address in _NAT64:
        found.append(("NAT64", low))
    if address in _SIX_TO_FOUR:
        found.append(("6to4", IPv4Address(value >> 80 & _LOW_32)))
    if address in _TEREDO:
        # RFC 4380: the server as it is, the client with every bit inverted.
        found += [("Teredo", IPv4Address(value >> 64 & _LOW_32)), ("Teredo", IPv4Address(~value & _LOW_32))]
    if value >> 32 & _LOW_32 & ~_ISATAP_UNIVERSAL_BIT == _ISATAP:
        found.append(("ISATAP", low))
    return found
