"""The table: addresses that lead, or seem to lead, to the inside, and what each policy says of them.

Sources and callbacks differ by the LAN alone. `shut` is blocked before anything is connected to, `bad` is no address
that is fetched at all, `open` may be connected to.
"""

from __future__ import annotations

from typing import Final

_LOOPBACK: Final = """
127.0.0.1 127.0.0.2 127.1 127.0.1 127.255.255.254 2130706433 0x7f000001 0x7f.0.0.1 0x7F.1 0x7f.0x0.0x0.0x1 017700000001
0177.0.0.1 0177.1 00177.0.0.01 127.0.0.0x1 127.0x1 0x7f.0.1 127.000.000.001 127.0.0.1. 2130706433. 0x7f000001.
0x000000007f000001 [::1] [0:0:0:0:0:0:0:1] [0000::0001] [::0.0.0.1] [::127.0.0.1] [::7f00:1] [::ffff:127.0.0.1]
[::ffff:7f00:1] [::FFFF:127.0.0.1] [0:0:0:0:0:ffff:127.0.0.1] [::ffff:0:127.0.0.1] [64:ff9b::127.0.0.1]
[64:ff9b::7f00:1] [64:ff9b:1::7f00:1] [2002:7f00:1::] [2002:7f00:0001::1] [2001:0:7f00:1::] [2001:0:808:808::80ff:fffe]
[2001:0:808:808:0:0:80ff:fffe] [2606:4700::5efe:127.0.0.1] [2606:4700::200:5efe:127.0.0.1] [fe80::5efe:127.0.0.1]
１２７.０.０.１ ①②⑦.⓪.⓪.① 127。0。0。1 127．0．0．1 127｡0｡0｡1 ⑫7.0.0.1 𝟏𝟐𝟕.𝟎.𝟎.𝟏 0x7f.0x0.0x0.0x1.
"""

_METADATA: Final = """
169.254.169.254 2852039166 0xa9fea9fe 0xa9.0xfe.0xa9.0xfe 0251.0376.0251.0376 025177524776 169.254.43518 169.16689662
0xA9FEA9FE 169.254.169.254. 169.0xfe.0251.254 [::ffff:169.254.169.254] [::ffff:a9fe:a9fe] [::169.254.169.254]
[64:ff9b::169.254.169.254] [2002:a9fe:a9fe::] [2001:0:a9fe:a9fe::] [2001:0:808:808::5601:5601]
[2606:4700::5efe:169.254.169.254] 169。254。169。254 １６９.２５４.１６９.２５４ 169.254.170.2 168.63.129.16 0xa83f8110
100.100.100.200 192.0.0.192 [fd00:ec2::254] [fd20:ce::254] [fe80::a9fe:a9fe] ①⑥⑨.②⑤④.①⑥⑨.②⑤④
"""

_RANGES: Final = """
0.0.0.0 0 0x0 00 0.1 [::] [::0.0.0.0] [::ffff:0.0.0.0] 0.255.255.255 100.64.0.1 100.127.255.255 1681915905
192.0.0.1 192.0.0.170 192.0.2.1 192.88.99.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.7 224.0.0.1
239.255.255.250 240.0.0.1 255.255.255.255 4294967295 0xffffffff 037777777777 [ff02::1] [ff0e::1] [fe80::1] [febf::1]
[fec0::1] [fc00::1] [fd12:3456:789a::1] [2001:db8::1] [3fff::1] [2001:2::1] [2001:10::1] [2001:20::1] [100::1]
[64:ff9b:1:2::1] [4000::1] [::ffff:100.64.0.1] [64:ff9b::100.64.0.1] [2002:6440:1::] [::ffff:255.255.255.255]
[64:ff9b::224.0.0.1] [5f00::1] [::2]
"""

_LAN: Final = """
10.0.0.1 10.1 0xa000001 012.0.0.1 167772161 10.255.255.255 172.16.0.1 172.31.255.255 0xac100001 192.168.0.1 192.168.1
3232235521 0xc0a80001 0300.0250.0.1 192.168.0.1. [::ffff:10.0.0.1] [::ffff:c0a8:1] [::ffff:172.16.0.1]
１９２.１６８.０.１ 192。168。0。1
"""
_LAN_EMBEDDED: Final = "[64:ff9b::10.0.0.1] [2002:a00:1::] [2606:4700::5efe:192.168.0.1]"

_PUBLIC: Final = """
93.184.216.34 1572395042 0x5db8d822 0135.0270.0330.042 93.184.216.34. 8.8.8.8 100.63.255.255 100.128.0.1 172.15.0.1
172.32.0.1 192.167.1.1 192.169.1.1 169.253.1.1 126.0.0.1 128.0.0.1 [2606:4700:4700::1111] [2a00:1450:4001:81b::200e]
[::ffff:8.8.8.8] [64:ff9b::8.8.8.8] [2002:808:808::1] [2606:4700::5efe:8.8.8.8] public.example PUBLIC.Example.
"""

_NAMES: Final = """
local.example meta.example mixed-v4.example mixed-v6.example mapped.example nat64.example unspecified.example
LOCAL.example. ⓛocal.example local。example localhost localhost.
"""


def _rows() -> list[tuple[str, str, str]]:
    kinds = (
        ("shut", "shut", f"{_LOOPBACK} {_METADATA} {_RANGES} {_NAMES} [::10.0.0.1]"),
        ("shut", "open", f"{_LAN} {_LAN_EMBEDDED} lan.example"),
        ("open", "open", _PUBLIC),
    )
    urls = [(f"http://{host}/a.jpg", source, callback) for source, callback, hosts in kinds for host in hosts.split()]
    spelled = [
        "HTTP://127.0.0.1/", "https://127.0.0.1/", "http:\\\\127.0.0.1\\a", "http:/\\127.0.0.1/", "http://127.0.0.1:22/",
        "http://127.0.0.1:00080/", "http://127.0.0.1?a", "http://127.0.0.1#a", "http://127.0.0.1\\a@public.example",
        "http://127.0.0.1/@public.example", "http://127.0.0.1?@public.example/", "http://127.0.0.1#@public.example/",
        "  http://127.0.0.1/", "http://127.0.0.1/\n", "\ufeffhttp://127.0.0.1/", "http://127.0.0.1:6379/%0d%0aFLUSHALL",
        "http://[::1]:9200/", "http://127.0.0.1:443/..%2f", "http://meta.example:80/latest/meta-data/",
    ]  # fmt: skip
    urls += [(url, "shut", "shut") for url in spelled]
    return urls + [(url, "bad", "bad") for url in bad_addresses()]


def bad_addresses() -> list[str]:
    """Return what is no address of the web."""
    return [
        "http://user:word@127.0.0.1/", "http://public.example@127.0.0.1/", "http://127.0.0.1@public.example/",
        "http://@127.0.0.1/", "http://public.example:80@127.0.0.1/", "http://public.example%40127.0.0.1/",
        "http://127.0.0.1:80@public.example/", "http://a:b:c@d/", "http://127.0.0.1:80:80/", "http://127.0.0.1:0/",
        "http://127.0.0.1:65536/", "http://127.0.0.1:1e3/", "http://127.0.0.1:-1/", "http://127.0.0.1:+80/",
        "http://127.0.0.1:８０/", "http://[::1%25lo]/", "http://[::1%lo]/", "http://[fe80::1%25eth0]/", "http://[::1/",
        "http://::1/", "http://[127.0.0.1]/", "http://[::ffff:127.0.0.1 ]/", "http://[v1.x]/", "http://%31%32%37.0.0.1/",
        "http://127.0.0.1%00.public.example/", "http://127.0.0.1%2f.public.example/", "http://127.0.0.256/",
        "http://127.0.0.0.1/", "http://4294967296/", "http://0x100000000/", "http://040000000000/", "http://127..1/",
        "http://.127.0.0.1/", "http:///127.0.0.1/", "http:/127.0.0.1/", "http:127.0.0.1", "//127.0.0.1/", "127.0.0.1/",
        "ftp://127.0.0.1/", "file:///etc/passwd", "file://127.0.0.1/etc/passwd", "gopher://127.0.0.1:6379/_INFO",
        "dict://127.0.0.1:11211/stats", "ldap://127.0.0.1/", "ws://127.0.0.1/", "data:image/png;base64,AAAA",
        "javascript:alert(1)", "jar:http://127.0.0.1!/", "unix:///var/run/docker.sock", "blob:http://127.0.0.1/x",
        "http+unix://%2Fvar%2Frun%2Fdocker.sock/", "view-source:http://127.0.0.1/", "\\\\127.0.0.1\\share",
        "http://12\t7.0.0.1/", "http://127.0.0.1\r\nHost: x/", "htt\np://127.0.0.1/", "http://127.0.0.1\x00/",
        "http://0x7g.1/", "http://09.0.0.1/", "http://public.example.127/", "http://public.example.0x7f/",
        "http://127.0.0.1\u2028/", "http://*.example/", "http://127.0.0.1 .public.example/", "", "http://", "http://#",
    ]  # fmt: skip


TABLE: Final = _rows()
METADATA: Final = [f"http://{host}/latest/meta-data/ami-id" for host in _METADATA.split()]

ZONE: Final = {
    "public.example": [["93.184.216.34", "2606:4700:4700::1111"]],
    "lan.example": [["192.168.7.7"]],
    "local.example": [["127.0.0.1"]],
    "meta.example": [["169.254.169.254"]],
    "mixed-v4.example": [["93.184.216.34", "127.0.0.1"]],
    "mixed-v6.example": [["93.184.216.34", "2606:4700:4700::1111", "fe80::1"]],
    "mapped.example": [["::ffff:127.0.0.1"]],
    "nat64.example": [["64:ff9b::7f00:1"]],
    "unspecified.example": [["0.0.0.0", "::"]],
    "localhost": [["127.0.0.1", "::1"]],
}
"""What the names of the table lead to."""
