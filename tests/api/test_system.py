"""/metrics as Prometheus reads it, /api/v1/system, and the pause of everything."""

from typing import Any

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families as parsed

from imagemill import __version__
from imagemill.pipeline import Work
from tests.api.conftest import READER, SUBMITTER, Site


def scraped(client: httpx.Client) -> dict[str, Metric]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {family.name: family for family in parsed(answer.text)}


def values(family: Metric) -> dict[tuple[str, ...], float]:
    return {tuple(sample.labels.values()): sample.value for sample in family.samples}


def test_prometheus_reads_what_there_is(fresh: Site) -> None:
    job = fresh.submit()
    fresh.finish(failed=(1,), most=1)
    with fresh.client(READER) as client:
        client.get(f"/api/v1/jobs/{job['id']}")
        client.get("/no/such/page")
        client.get("/images/none.jpg")
        client.request("BREW", "/healthz")
        found = scraped(client)
    assert values(found["imagemill_images"]) == {("pending",): 1, ("running",): 0}
    assert values(found["imagemill_queue_depth"]) == {(): 1}
    assert values(found["imagemill_ready"]) == {("database",): 1, ("disk",): 1}
    assert values(found["imagemill_info"]).keys() == {(__version__, "", found_python())}
    requests = values(found["imagemill_http_requests"])
    assert requests["POST", "/api/v1/jobs", "202"] == 1
    assert requests["GET", "/api/v1/jobs/{job_id}", "404"] == 1  # another owner's
    assert requests["GET", "other", "404"] == 1
    assert requests["GET", "/images/{name}", "404"] == 1
    assert requests["other", "other", "405"] == 1
    assert not any(job["id"] in "".join(labels) for labels in requests)
    assert found["imagemill_disk_free_bytes"].samples[0].value > 0
    assert all(family.documentation for family in found.values())


def found_python() -> str:
    import platform

    return platform.python_version()


def test_metrics_need_a_token(site: Site) -> None:
    with site.client(None) as client:
        assert client.get("/metrics").status_code == 401
    for token in (READER, SUBMITTER):
        with site.client(token) as client:
            assert client.get("/metrics").status_code == 200


def test_the_system_says_how_it_is(fresh: Site) -> None:
    fresh.submit()
    with fresh.client(READER) as client:
        found = client.get("/api/v1/system").json()
    assert (found["version"], found["paused_at"], found["ready"]) == (__version__, None, True)
    assert found["readiness"] == {"database": "ok", "disk": "ok"}
    assert (found["unfinished_jobs"], found["waiting"], found["running"]) == (1, 3, 0)
    assert (found["queue_depth"], found["storage"]) == (1, "local")
    assert found["throughput"] == {"images_per_s": 0.0, "source_bytes_per_s": 0.0}
    assert found["disk"]["reserve_bytes"] == 512 << 20
    assert found["pool"] == {"wanted": 1, "ready": 0, "restarts": 0}
    assert found["hosts"] == {"paused": 0, "slowed": 0, "given_up": 0}
    assert 0 <= found["uptime_s"] < 120


def state_of(client: httpx.Client, job: dict[str, Any]) -> str:
    return str(client.get(f"/api/v1/jobs/{job['id']}").json()["state"])


def test_a_pause_holds_every_job_and_no_new_one_back(fresh: Site) -> None:
    early = fresh.submit()
    with fresh.client() as client:
        paused = client.post("/api/v1/system/pause").json()
        assert client.post("/api/v1/system/pause").json()["paused_at"] == paused["paused_at"] is not None
        late = fresh.submit()
        assert [state_of(client, job) for job in (early, late)] == ["paused", "paused"]
        listed = client.get("/api/v1/jobs", params={"state": "paused"}).json()["jobs"]
        assert [job["id"] for job in listed] == [late["id"], early["id"]]
        assert client.get("/readyz").status_code == 200
        assert values(scraped(client)["imagemill_paused"]) == {(): 1}
        for step in [step for step in fresh.steps if isinstance(step, Work)]:
            claim = fresh.store.claim_images(step.job_id, most=9, shares=1, token="t", lease_s=60)
            assert claim is None
        fresh.steps.clear()
        assert client.post("/api/v1/system/resume").json()["paused_at"] is None
        assert client.post("/api/v1/system/resume").status_code == 200
        assert [state_of(client, job) for job in (early, late)] == ["pending", "pending"]
    assert len({step.job_id for step in fresh.steps if isinstance(step, Work)}) == 2
    fresh.finish()


def test_a_job_paused_itself_stays_so(fresh: Site) -> None:
    job = fresh.submit()
    with fresh.client() as client:
        client.post(f"/api/v1/jobs/{job['id']}/pause")
        for verb in ("pause", "resume"):
            client.post(f"/api/v1/system/{verb}")
            assert state_of(client, job) == "paused"
        assert client.post(f"/api/v1/jobs/{job['id']}/resume").json()["state"] == "pending"


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_only_an_admin_pauses(site: Site, verb: str) -> None:
    for token in (READER, SUBMITTER):
        with site.client(token) as client:
            assert client.post(f"/api/v1/system/{verb}").status_code == 403
