from pathlib import Path

import httpx
import pytest

from imagemill.api import rates
from imagemill.api.rates import Rate, address_of
from imagemill.core.errors import TooManyRequestsError
from imagemill.settings import Settings
from tests.api.conftest import READER, SUBMITTER, running


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def asked(rate: Rate, key: str, times: int) -> list[int]:
    """Ask so often; for each, 0 or the seconds to wait."""
    waits = []
    for _ in range(times):
        try:
            rate.count(key, "from here")
            waits.append(0)
        except TooManyRequestsError as error:
            waits.append(error.retry_after_s)
    return waits


def test_a_burst_and_then_the_rate() -> None:
    clock = Clock()
    rate = Rate(2.0, 2.0, clock)
    assert asked(rate, "a", 6) == [0, 0, 0, 0, 1, 1]
    assert asked(rate, "b", 1) == [0]
    clock.now += 1.0
    assert asked(rate, "a", 3) == [0, 0, 1]
    clock.now += 3600.0
    assert asked(rate, "a", 6) == [0, 0, 0, 0, 1, 1]


def test_slow_rates_let_one_through_and_say_when_the_next() -> None:
    clock = Clock()
    rate = Rate(0.1, 2.0, clock)
    assert asked(rate, "a", 2) == [0, 10]
    clock.now += 9.9
    assert asked(rate, "a", 1) == [1]


def test_none_is_no_limit() -> None:
    assert asked(Rate(0.0), "a", 1000) == [0] * 1000


def test_addresses_are_endless_and_memory_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "_KEYS", 3)
    clock = Clock()
    rate = Rate(1.0, 1.0, clock)
    assert [asked(rate, key, 1) for key in "abc"] == [[0]] * 3
    assert asked(rate, "a", 1) == [1]
    clock.now += 5.0
    assert asked(rate, "d", 2) == [0, 1], "those that owe nothing made room"
    assert [asked(rate, key, 1) for key in "efg"] == [[0]] * 3, "all were forgiven"
    assert len(rate._due) <= 3


@pytest.mark.parametrize(
    ("client", "counted"),
    [
        (("192.0.2.7", 1), "192.0.2.7"),
        (("::ffff:192.0.2.7", 1), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 1), "fe80::/64"),
        (("a socket", 1), "a socket"),
        (None, ""),
    ],
)
def test_whom_a_request_counts_for(client: tuple[str, int] | None, counted: str) -> None:
    assert address_of({"client": client}) == counted  # type: ignore[arg-type]


def statuses(client: httpx.Client, path: str, times: int) -> list[int]:
    return [client.get(path).status_code for _ in range(times)]


def test_a_token_has_its_rate(tmp_path: Path) -> None:
    with running(tmp_path / "data", Settings(rate_limit_per_token=0.01)) as site:
        with site.client(SUBMITTER) as client:
            assert client.get("/api/v1/jobs").status_code == 200
            refused = client.post("/api/v1/jobs", files={"file": ("a.csv", b"x" * 300_000)})
            assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
            assert 1 <= int(refused.headers["retry-after"]) <= 100
        with site.client(READER) as other:
            assert statuses(other, "/api/v1/jobs", 2) == [200, 429]
            assert statuses(other, "/readyz", 3) == [200] * 3


def test_an_address_has_its_rate_and_pictures_and_health_are_not_counted(tmp_path: Path) -> None:
    with running(tmp_path / "data", Settings(rate_limit_per_address=0.01)) as site, site.client() as client:
        assert statuses(client, "/api/v1/jobs", 1) == [200]
        refused = client.get("/docs")
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert refused.headers["x-content-type-options"] == "nosniff"
        assert statuses(client, "/healthz", 3) == [200] * 3
        assert statuses(client, "/images/" + "0" * 40 + ".jpg", 3) == [404] * 3


def test_guessing_is_slowed_and_costs_nobody_else(tmp_path: Path) -> None:
    with running(tmp_path / "data", Settings(rate_limit_failures=0.01)) as site, site.client() as known:
        with site.client("im_guess") as stranger:
            assert statuses(stranger, "/api/v1/jobs", 3) == [401, 429, 429]
        with site.client(None) as nobody:
            assert statuses(nobody, "/api/v1/jobs", 1) == [429]
        assert statuses(known, "/api/v1/jobs", 3) == [200] * 3
