"""What a browser would make of an address, and which addresses stay shut."""

from __future__ import annotations

import re
import timeit
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imagemill.core import addresses
from imagemill.core.addresses import MAX_URL_CHARS, Policy, blocked, web_url

CLEAN = [
    "https://img.example.com/a.jpg",
    "http://img.example.com:8080/photos/2024/a_b-c.1.jpg?w=800&h=600&fit=crop",
    "http://127.0.0.1:8123/a%20b.jpg",
    "https://x/",
    "https://xn--bcher-kva.example/(1)/a,b;c=d@e!$&'*+~|.png",
    "http://10.0.0.1:59999/a//b/",
    "https://a.b.c.d.example/?u=http://other.example/[1]",
]

AS_A_BROWSER = [
    ("HTTPS://IMG.Example.COM/A.jpg", "https://img.example.com/A.jpg"),
    ("  https://example.com/a.jpg\n", "https://example.com/a.jpg"),
    ("\ufeffhttps://example.com/a.jpg\u200b", "https://example.com/a.jpg"),
    ("https://example.com", "https://example.com/"),
    ("https://example.com?x=1", "https://example.com/?x=1"),
    ("https://example.com#top", "https://example.com/"),
    ("https://example.com/a#b?c", "https://example.com/a"),
    ("https://example.com:443/a", "https://example.com/a"),
    ("http://example.com:80/a", "http://example.com/a"),
    ("http://example.com:443/a", "http://example.com:443/a"),
    ("http://example.com:/a", "http://example.com/a"),
    ("http://example.com:00080/a", "http://example.com/a"),
    ("http://example.com:60000/a", "http://example.com:60000/a"),
    ("https://example.com./a", "https://example.com/a"),
    ("https://my_shop.example.com/a", "https://my_shop.example.com/a"),
    ("https://example.com/a b.jpg?c d", "https://example.com/a%20b.jpg?c%20d"),
    ("https://example.com/ä.jpg?ö='ü'", "https://example.com/%C3%A4.jpg?%C3%B6=%27%C3%BC%27"),
    ("https://example.com/a%20b%zz%41.jpg", "https://example.com/a%20b%zz%41.jpg"),
    ('https://example.com/<"`{}>', "https://example.com/%3C%22%60%7B%7D%3E"),
    ("https://example.com/?{`}\\", "https://example.com/?{`}\\"),
    ("https:\\\\example.com\\a\\b?c\\d", "https://example.com/a/b?c\\d"),
    ("https://example.com/a/../b/./c/.", "https://example.com/b/c/"),
    ("https://example.com/a/%2E%2e/.%2e/b/..", "https://example.com/"),
    ("https://example.com/.hidden/...", "https://example.com/.hidden/..."),
    ("https://bücher.example/", "https://xn--bcher-kva.example/"),
    ("https://BÜCHER.Example/", "https://xn--bcher-kva.example/"),
    ("https://例え。テスト/", "https://xn--r8jz45g.xn--zckzah/"),
    # Browsers keep these letters (UTS 46, non-transitional); IDNA 2003 would name another host.
    ("https://straße.example/", "https://xn--strae-oqa.example/"),
    ("https://STRAẞE.example/", "https://xn--strae-oqa.example/"),
    ("http://[2001:DB8:0:0::1]/", "http://[2001:db8::1]/"),
    ("http://[::ffff:127.0.0.1]:8080/", "http://[::ffff:7f00:1]:8080/"),
    # WHATWG "IPv4 parser"
    ("http://2130706433/", "http://127.0.0.1/"),
    ("http://0x7f000001/", "http://127.0.0.1/"),
    ("http://0x7f.1/", "http://127.0.0.1/"),
    ("http://0X7F.0.0.0x1/", "http://127.0.0.1/"),
    ("http://017700000001/", "http://127.0.0.1/"),
    ("http://0177.0.0.01/", "http://127.0.0.1/"),
    ("http://127.1/", "http://127.0.0.1/"),
    ("http://127.0.1/", "http://127.0.0.1/"),
    ("http://127.0.0.1./", "http://127.0.0.1/"),
    ("http://0/", "http://0.0.0.0/"),
    ("http://0x/", "http://0.0.0.0/"),
    ("http://4294967295/", "http://255.255.255.255/"),
    ("http://１２７.０.０.１/", "http://127.0.0.1/"),
    ("http://①②⑦.⓪.⓪.①/", "http://127.0.0.1/"),
    ("http://127。0。0。1/", "http://127.0.0.1/"),
    ("http://ⓔxample.com/", "http://example.com/"),
]

REFUSED = [
    ("", "empty"),
    ("   ", "empty"),
    ("example.com/a.jpg", "beginning with https://"),
    ("//example.com/a.jpg", "beginning with https://"),
    ("/a.jpg", "beginning with https://"),
    ("a.jpg", "beginning with https://"),
    ("https:/example.com/a.jpg", "beginning with https://"),
    ("https://", "names no host"),
    ("https:///a.jpg", "names no host"),
    ("https://:8080/", "names no host"),
    ("https://./", "no valid host"),
    ("ftp://example.com/a.jpg", "only http and https"),
    ("file:///etc/passwd", "only http and https"),
    ("javascript://alert(1)", "only http and https"),
    ("data:image/png;base64,AAAA", "beginning with https://"),
    ("https://user:word@example.com/", "user name"),
    ("https://example.com@127.0.0.1/", "user name"),
    ("https://@example.com/", "user name"),
    ("https://exam\nple.com/", "control character"),
    ("https://example.com/a\tb", "control character"),
    ("https://example.com/a\x00b", "control character"),
    ("https://example.com/a\x85b", "control character"),
    ("https://example.com:0/", "port 0"),
    ("https://example.com:65536/", "port 65536"),
    ("https://example.com:99999999999999999999/", "does not exist"),
    ("https://example.com:8o/", "no valid port"),
    ("https://example.com:-1/", "no valid port"),
    ("https://example.com:１/", "no valid port"),
    ("https://a:b:c/", "no valid port"),
    ("https://exa mple.com/", "no valid host"),
    ("https://example..com/", "no valid host"),
    ("https://.example.com/", "no valid host"),
    ("https://%31%32%37.0.0.1/", "no valid host"),
    ("https://exa<mple.com/", "no valid host"),
    (f"https://{'a' * 64}.com/", "no valid host"),
    (f"https://{'a.' * 130}com/", "no valid host"),
    ("https://a\u0338\u2260\ue000.com/", "cannot be written in DNS"),
    ("http://1.2.3.4.5/", "valid IPv4"),
    ("http://256.1.1.1/", "valid IPv4"),
    ("http://1.2.3.256/", "valid IPv4"),
    ("http://1.2.65536/", "valid IPv4"),
    ("http://4294967296/", "valid IPv4"),
    ("http://09.1.1.1/", "valid IPv4"),
    ("http://1.-2.3.4/", "valid IPv4"),
    ("http://1_0.0.0.1/", "valid IPv4"),
    ("http://example.123/", "valid IPv4"),
    ("http://example.0x1f/", "valid IPv4"),
    ("http://[::1%25lo]/", "valid IPv6"),
    ("http://[::1%lo]/", "valid IPv6"),
    ("http://[1::2::3]/", "valid IPv6"),
    ("http://[127.0.0.1]/", "valid IPv6"),
    ("http://[]/", "valid IPv6"),
    ("http://[::1/", "no valid port"),
    ("http://[::1]x/", "no valid port"),
    ("https://example.com/\ud800", "half a character"),
    ("https://example.com/" + "a" * MAX_URL_CHARS, "longer than"),
    ("https://example.com/" + "ä" * (MAX_URL_CHARS // 3), "longer than"),
]


@pytest.mark.parametrize("url", CLEAN)
def test_a_clean_address_stays_as_it_is(url: str) -> None:
    assert addresses._CLEAN.fullmatch(url)
    assert web_url(url) == url
    assert addresses._canonical(url) == url, "the short way and the long way agree"


@pytest.mark.parametrize(("text", "url"), AS_A_BROWSER)
def test_an_address_is_read_as_a_browser_would(text: str, url: str) -> None:
    assert web_url(text) == url
    assert web_url(url) == url


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_a_refusal_says_what_to_write_instead(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)) as refused:
        web_url(text)
    assert len(str(refused.value)) < 200
    assert text.strip() not in str(refused.value) or len(text) < 20


@given(st.text(max_size=40))
@example("[::1]:8/..\\%2E/?'")
@example("1.0x.077.4294967295")
def test_what_is_accepted_is_canonical_and_plain(rest: str) -> None:
    try:
        url = web_url("https://" + rest)
    except ValueError:
        return
    assert web_url(url) == url
    assert addresses._canonical(url) == url
    assert url.isascii()
    assert not re.search(r"[\x00-\x20\x7f#]", url)
    assert urlsplit(url).hostname


@given(st.from_regex(addresses._CLEAN, fullmatch=True, alphabet=st.characters(max_codepoint=126)))
def test_the_short_way_accepts_nothing_the_long_way_would_change(url: str) -> None:
    assert addresses._canonical(url) == url


@given(st.ip_addresses(v=4), st.sampled_from(["{:d}", "{:#x}", "0{:o}"]))
def test_every_spelling_of_a_number_is_the_same_host(address: IPv4Address, spelling: str) -> None:
    assert web_url(f"http://{spelling.format(int(address))}/") == f"http://{address}/"


def test_a_clean_address_costs_little() -> None:
    best = min(timeit.repeat(lambda: web_url(CLEAN[1]), number=2000, repeat=5)) / 2000
    assert best < 20e-6


HOSTILE = [
    ("0.0.0.0", "unspecified"),
    ("0.1.2.3", "unspecified"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("10.0.0.1", "private network"),
    ("10.255.255.255", "private network"),
    ("172.16.0.1", "private network"),
    ("172.31.255.255", "private network"),
    ("192.168.0.1", "private network"),
    ("192.168.255.255", "private network"),
    ("100.64.0.1", "carrier-grade NAT"),
    ("100.100.100.200", "carrier-grade NAT"),
    ("100.127.255.255", "carrier-grade NAT"),
    ("169.254.0.1", "link-local"),
    ("169.254.169.254", "link-local"),
    ("169.254.170.2", "link-local"),
    ("168.63.129.16", "metadata"),
    ("192.0.0.1", "reserved"),
    ("192.0.0.192", "reserved"),
    ("192.0.2.1", "documentation"),
    ("198.51.100.1", "documentation"),
    ("203.0.113.1", "documentation"),
    ("192.88.99.1", "reserved"),
    ("198.18.0.1", "benchmarking"),
    ("198.19.255.255", "benchmarking"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.250", "multicast"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.254", "reserved"),
    ("255.255.255.255", "broadcast"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("::2", "unspecified inside IPv4-compatible"),
    ("fe80::1", "link-local"),
    ("fe80::1%eth0", "link-local"),
    ("febf::1", "link-local"),
    ("fec0::1", "site-local"),
    ("fc00::1", "unique-local"),
    ("fd00:ec2::254", "unique-local"),
    ("ff02::1", "multicast"),
    ("ff0e::1", "multicast"),
    ("100::1", "reserved"),
    ("2001:db8::1", "documentation"),
    ("3fff::1", "documentation"),
    ("2001:2::1", "benchmarking"),
    ("2001:10::1", "reserved"),
    ("2001:20::1", "reserved"),
    ("4000::1", "reserved"),
    ("5f00::1", "reserved"),
    ("::ffff:127.0.0.1", "loopback"),
    ("::ffff:7f00:1", "loopback"),
    ("::ffff:10.0.0.1", "private network"),
    ("::ffff:169.254.169.254", "link-local"),
    ("::ffff:0.0.0.0", "unspecified"),
    ("::ffff:127.0.0.1%lo", "loopback"),
    ("::ffff:0:127.0.0.1", "reserved"),
    ("::127.0.0.1", "loopback inside IPv4-compatible"),
    ("::169.254.169.254", "link-local inside IPv4-compatible"),
    ("::8.8.8.8", "reserved"),
    ("2002:7f00:1::", "loopback inside 6to4"),
    ("2002:a00:1::1", "private network inside 6to4"),
    ("2002:a9fe:a9fe::", "link-local inside 6to4"),
    ("64:ff9b::127.0.0.1", "loopback inside NAT64"),
    ("64:ff9b::10.1.2.3", "private network inside NAT64"),
    ("64:ff9b::a9fe:a9fe", "link-local inside NAT64"),
    ("64:ff9b:1::1", "local NAT64"),
    ("64:ff9b:1:a9fe:a9:fe00::", "local NAT64"),
    ("64:ff9b:0:1::1", "reserved"),
    ("2001:0:7f00:1::808:808", "loopback inside Teredo"),
    ("2001:0:808:808::80ff:fffe", "loopback inside Teredo"),
    ("2001:0:808:808:0:0:5601:5601", "link-local inside Teredo"),
    ("2001:0:808:808:0:0:f7f7:f7f7", "reserved"),
    ("2606:4700::5efe:127.0.0.1", "loopback inside ISATAP"),
    ("2606:4700::200:5efe:10.0.0.1", "private network inside ISATAP"),
    ("fe80::5efe:8.8.8.8", "link-local"),
    ("127.1", "not an address"),
    ("0x7f.0.0.1", "not an address"),
    ("0177.0.0.1", "not an address"),
    ("localhost", "not an address"),
    ("", "not an address"),
    ("[::1]", "not an address"),
]

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.255.255",
    "172.32.0.1",
    "192.167.255.255",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
    "2606:4700::5efe:8.8.8.8",
]


@pytest.mark.parametrize(("address", "reason"), HOSTILE)
def test_blocked(address: str, reason: str) -> None:
    assert blocked(address, Policy()) == reason


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    assert blocked(address, Policy()) is None


@given(st.ip_addresses(v=4))
def test_no_embedding_opens_what_is_shut(address: IPv4Address) -> None:
    if blocked(str(address), Policy()) is None:
        return
    low = int(address)
    for value in (0xFFFF << 32 | low, low, 0x2002 << 112 | low << 80, 0x64FF9B << 96 | low, 0x5EFE << 32 | low):
        assert blocked(str(IPv6Address(value)), Policy())
    for value in (0x20010000 << 96 | low << 64 | 0xF7F7F7F7, 0x20010000 << 96 | 0x808 << 80 | ~low & 0xFFFFFFFF):
        assert blocked(str(IPv6Address(value)), Policy())


@given(st.ip_addresses())
def test_nothing_is_opened_that_python_calls_private(address: IPv4Address | IPv6Address) -> None:
    if blocked(str(address), Policy()) is None and address not in addresses._NAT64:
        assert address.is_global
        assert not address.is_multicast


@pytest.mark.parametrize(
    ("address", "policy", "host", "is_open"),
    [
        ("10.1.2.3", Policy(allow_lan=True), "", True),
        ("::ffff:192.168.1.1", Policy(allow_lan=True), "", True),
        ("127.0.0.1", Policy(allow_lan=True), "", False),
        ("169.254.169.254", Policy(allow_lan=True), "", False),
        ("100.64.0.1", Policy(allow_lan=True), "", False),
        ("fd00::1", Policy(allow_lan=True), "", False),
        ("127.0.0.1", Policy(allow=("127.0.0.1",)), "", True),
        ("127.0.0.2", Policy(allow=("127.0.0.1",)), "", False),
        ("::ffff:127.0.0.1", Policy(allow=("127.0.0.1",)), "", True),
        ("127.9.9.9", Policy(allow=("127.0.0.5/8",)), "", True),
        ("fd12::1", Policy(allow=("fd12::/16",)), "", True),
        ("::1", Policy(allow=(" [::1] ",)), "", True),
        ("fe80::1%eth0", Policy(allow=("fe80::/10",)), "", True),
        ("10.0.0.9", Policy(allow=("Files.Shop.Example.",)), "files.shop.example", True),
        ("10.0.0.9", Policy(allow=("files.shop.example",)), "FILES.shop.example.", True),
        ("10.0.0.9", Policy(allow=("shop.example",)), "files.shop.example", False),
        ("10.0.0.9", Policy(allow=("files.shop.example",)), "", False),
        ("10.0.0.9", Policy(allow=("", " ")), "", False),
        ("nonsense", Policy(allow=("files.shop.example",)), "files.shop.example", False),
    ],
)
def test_exceptions_open_only_what_they_name(address: str, policy: Policy, host: str, is_open: bool) -> None:
    assert (blocked(address, policy, host) is None) == is_open
