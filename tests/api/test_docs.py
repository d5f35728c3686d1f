import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from imagemill.api import docs
from imagemill.api.docs import STATIC
from imagemill.api.fields import FIELDS

needs_swagger = pytest.mark.skipif(not (STATIC / "swagger").is_dir(), reason="needs Swagger UI's files: make setup")


@pytest.fixture
def document(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


PATHS = {
    "/api/v1/drafts",
    "/api/v1/drafts/{draft_id}",
    "/api/v1/drafts/{draft_id}/pictures/{number}",
    "/api/v1/drafts/{draft_id}/pictures/{number}/output",
    "/api/v1/previews",
    "/api/v1/estimate",
    "/api/v1/jobs",
    "/api/v1/jobs/{job_id}",
    "/api/v1/images",
    "/api/v1/jobs/{job_id}/cancel",
    "/api/v1/jobs/{job_id}/pause",
    "/api/v1/jobs/{job_id}/resume",
    "/api/v1/jobs/{job_id}/retry",
    "/api/v1/images/{image_id}",
    "/api/v1/images/{image_id}/original",
    "/api/v1/images/{image_id}/outputs/{name}",
    "/api/v1/jobs/{job_id}/images",
    "/api/v1/jobs/{job_id}/failures",
    "/api/v1/jobs/{job_id}/input",
    "/api/v1/jobs/{job_id}/output.csv",
    "/api/v1/jobs/{job_id}/report.csv",
    "/api/v1/jobs/{job_id}/events",
    "/api/v1/jobs/{job_id}/images.zip",
    "/api/v1/jobs/{job_id}/deliveries",
    "/api/v1/jobs/{job_id}/redeliver",
    "/api/v1/callbacks/test",
    "/api/v1/tokens",
    "/api/v1/tokens/{name}",
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/v1/system",
    "/api/v1/system/pause",
    "/api/v1/system/resume",
    "/api/v1/sign-in-links",
    "/images/{name}",
}


def test_the_document_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == "imagemill"
    assert (
        document["components"]["securitySchemes"]["bearer"] | {"type": "http", "scheme": "bearer"}
        == document["components"]["securitySchemes"]["bearer"]
    )
    assert set(document["paths"]) == PATHS


def test_every_call_is_described(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for operation in item.values():
            assert operation["summary"], path
            if path.startswith("/api/"):
                assert operation["description"], path
                assert {"401", "403"} <= set(operation["responses"]), path
                assert "security" not in operation, path


def test_the_form_is_described(document: dict[str, Any]) -> None:
    submit = document["paths"]["/api/v1/jobs"]["post"]
    form = submit["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) == {"file", *FIELDS}
    assert form["required"] == ["file"]
    assert set(submit["responses"]) >= {"202", "401", "403", "408", "413", "415", "422", "503"}
    refusal = submit["responses"]["422"]["content"]
    assert list(refusal) == ["application/problem+json"]


def test_answers_have_types(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert {"Job", "AcceptedJob", "JobList", "Image", "ImageList", "Problem", "Fault"} <= {
        name.rpartition(".")[2] for name in schemas
    }
    download = document["paths"]["/api/v1/jobs/{job_id}/output.csv"]["get"]["responses"]["200"]
    assert list(download["content"]) == ["text/csv"]


def test_every_reference_leads_somewhere(client: httpx.Client, document: dict[str, Any]) -> None:
    for reference in re.findall(r'"\$ref":\s*"#/([^"]+)"', client.get("/openapi.json").text):
        found: Any = document
        for step in reference.split("/"):
            found = found[step]
        assert found


@needs_swagger
def test_the_page_loads_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(assets) >= 5
    for asset in assets:
        assert asset.startswith("/")
        answer = client.get(asset)
        assert answer.status_code == 200, asset
        if asset == "/openapi.json":
            continue
        assert client.get(asset, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
        if asset.endswith((".html", "docs.js", ".css")):
            assert "//" not in re.sub(r"//[^\n]*|http://www.w3.org/[^\s\"')]+", "", answer.text) or asset.endswith(
                "ui.css"
            )
    assert "http" not in page.text
    assert "<script>" not in page.text
    assert " style=" not in page.text


def test_the_page_may_load_only_our_own(client: httpx.Client) -> None:
    policy = client.get("/docs").headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "connect-src 'self';" in policy
    assert "http" not in policy


def test_without_swagger_the_page_says_what_to_do(
    client: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docs, "STATIC", tmp_path)
    answer = client.get("/docs/assets/swagger-ui.css")
    assert answer.status_code == 404
    assert "make setup" in answer.json()["detail"]


def test_no_example_generator_is_loaded() -> None:
    # Faker and polyfactory are 25 MB that a frozen program must not need; pytest itself loads them as plugins.
    code = (
        "import sys; from imagemill import api, settings;"
        " parts = api.Parts(settings=settings.Settings(), store=None, pipeline=None, storage=None, readiness=dict);"
        " api.create_app(parts).openapi_schema.to_schema(); print({'faker', 'polyfactory'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
