import importlib
import logging
import pkgutil
from collections.abc import Iterator

import httpx
import msgspec
import pytest
from litestar.exceptions import HTTPException, ValidationException

import imagemill
from imagemill.api.problems import MEDIA_TYPE, TABLE, problem_of
from imagemill.core import errors
from imagemill.core.errors import ImageCode, ImagemillError
from imagemill.core.sheet import Fault, Faults, SheetError
from imagemill.db import StoreError
from tests.api.conftest import Site


def subclasses(kind: type[ImagemillError]) -> Iterator[type[ImagemillError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from subclasses(child)


def test_no_error_of_ours_is_forgotten() -> None:
    for module in pkgutil.walk_packages(imagemill.__path__, "imagemill."):
        if module.name.rpartition(".")[2] not in {"__main__", "tray"}:
            importlib.import_module(module.name)
    # The pool's own is for the pipeline alone: it means that an image goes back. The icon's do not leave it.
    ours = {kind for kind in subclasses(ImagemillError) if kind.__module__.startswith("imagemill.")}
    assert {kind for kind in ours - set(TABLE) if kind.__module__.split(".")[1] not in {"pool", "tray"}} == set()


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.RequestError("x"), 422, "invalid_request"),
        (errors.UnauthorizedError("x"), 401, "unauthorized"),
        (errors.ForbiddenError("x"), 403, "forbidden"),
        (errors.NotFoundError("x"), 404, "not_found"),
        (errors.NotFinishedError("x"), 409, "not_finished"),
        (errors.IllegalTransitionError("x"), 409, "illegal_transition"),
        (errors.TooLargeError("x"), 413, "too_large"),
        (errors.NoRoomError("x"), 503, "no_room"),
        (StoreError("x"), 503, "database_unavailable"),
        (HTTPException("x", status_code=418), 418, "refused"),
    ],
)
def test_statuses_and_codes(error: Exception, status: int, code: str) -> None:
    problem, _ = problem_of(error)
    assert (problem.status, problem.code, problem.detail) == (status, code, "x")
    assert problem.type == f"urn:imagemill:problem:{code}"
    assert problem.instance.startswith("urn:uuid:")


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("/secret/path"),
        errors.ImageError(ImageCode.INTERNAL, "/secret/path", cause="/secret/path"),
        errors.SettingError("/secret/path"),
        ImagemillError("/secret/path"),
        HTTPException("/secret/path", status_code=500),
    ],
)
def test_the_unforeseen_goes_to_the_log_and_not_to_the_client(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    problem, headers = problem_of(error)
    assert (problem.status, problem.code) == (500, "internal")
    assert "secret" not in f"{problem} {headers}"
    assert problem.instance in caplog.text
    assert "/secret/path" in caplog.text


def test_the_cause_of_a_refusal_is_logged_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    problem, headers = problem_of(errors.NoRoomError("The disk is low.", retry_after_s=7, cause="12 MiB on /data"))
    assert headers == {"Retry-After": "7"}
    assert "/data" not in str(problem)
    assert "/data" in caplog.text


def test_faults_of_a_sheet_are_listed() -> None:
    faults = Faults()
    faults.add(Fault(2, 3, "input", "bad_url", "is no URL"))
    problem, _ = problem_of(SheetError(faults))
    wrong = {"row": 2, "column": 3, "column_name": "input", "code": "bad_url", "message": "is no URL"}
    assert msgspec.to_builtins(problem.errors) == [wrong]
    assert problem.error_count == 1


def test_parameters_are_named() -> None:
    problem, _ = problem_of(ValidationException("x", extra=[{"key": "limit", "message": "Expected `int`"}]))
    assert (problem.status, problem.code) == (422, "invalid_request")
    assert isinstance(problem.errors, list)
    assert len(problem.errors) == 1


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/api/v1/nothing", 404, "not_found"),
        ("GET", "/docs/assets/nothing", 404, "not_found"),
        ("GET", "/docs/nothing", 404, "not_found"),
        ("GET", "/images/nothing", 404, "not_found"),
        ("DELETE", "/healthz", 405, "method_not_allowed"),
        ("POST", "/images/nothing", 405, "method_not_allowed"),
        ("GET", "/api/v1/jobs?limit=501", 422, "invalid_request"),
        ("GET", "/api/v1/jobs?limit=many", 422, "invalid_request"),
        ("GET", "/api/v1/jobs?state=sleeping", 422, "invalid_request"),
        ("GET", "/api/v1/jobs?cursor=mine", 422, "invalid_request"),
        ("GET", "/api/v1/jobs?created_after=yesterday", 422, "invalid_request"),
        ("GET", "/api/v1/jobs?created_before=null", 422, "invalid_request"),
        ("GET", "/api/v1/jobs?state=null", 422, "invalid_request"),
        ("GET", "/api/v1/jobs?created_before=0", 422, "invalid_request"),
        ("GET", "/api/v1/jobs/not-a-uuid", 404, "not_found"),
        ("GET", "/api/v1/jobs/018f0000-0000-7000-8000-000000000000", 404, "not_found"),
    ],
)
def test_every_refusal_is_a_problem(client: httpx.Client, method: str, path: str, status: int, code: str) -> None:
    answer = client.request(method, path)
    body = answer.json()
    assert answer.status_code == status
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert (body["status"], body["code"]) == (status, code)
    assert {"type", "title", "status", "detail", "instance", "code"} <= set(body)
    assert (status == 405) == ("allow" in answer.headers)
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_error_of_a_route_leaks_nothing(fresh: Site, caplog: pytest.LogCaptureFixture) -> None:
    fresh.submit()
    fresh.spoil_jobs()
    with fresh.client() as client:
        body = client.get("/api/v1/jobs").json()
    assert (body["status"], body["code"]) == (500, "internal")
    assert "JSON" not in body["detail"]
    assert body["instance"] in caplog.text


def test_a_database_that_does_not_answer_is_said_to(fresh: Site) -> None:
    fresh.break_table("job")
    with fresh.client() as client:
        answer = client.get("/api/v1/jobs")
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert "job" not in answer.json()["detail"]
