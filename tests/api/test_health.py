import httpx
import pytest

from tests.api.conftest import Site


def test_alive(client: httpx.Client) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_ready_names_each_part(client: httpx.Client) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "parts": {"database": "ok", "disk": "ok"}})


@pytest.mark.parametrize("word", ["disk: 3 MiB free", False])
def test_one_part_that_cannot_is_enough(
    site: Site, client: httpx.Client, monkeypatch: pytest.MonkeyPatch, word: str | bool
) -> None:
    monkeypatch.setitem(site.ready, "disk", word)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["parts"] == {"database": "ok", "disk": word or "not ready"}
