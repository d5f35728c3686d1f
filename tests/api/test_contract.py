"""What /openapi.json says is what is answered: Schemathesis asks every operation, with fitting and unfitting requests.

An answer fails that is a fault of ours, or has a status, media type, header or field that is not documented. Here with
few examples, always the same; `make contract EXAMPLES=1000` asks others.
"""

import contextlib
import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from PIL import Image
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from imagemill import api
from imagemill.api.contract import contract
from imagemill.settings import EstimateSettings, FetchSettings, Settings
from tests.api.conftest import ADMIN, READER, SHEET, SUBMITTER, Site, running
from tests.origin import Origin

EXAMPLES: Final = int(os.environ.get("EXAMPLES", "0"))
TOKENS: Final = {"admin": ADMIN, "submitter": SUBMITTER, "reader": READER, "stranger": "im_stranger", "nobody": None}
ON_EVERYTHING: Final = frozenset({
    "cache-control", "connection", "content-length", "content-security-policy", "content-type", "date",
    "referrer-policy", "server", "transfer-encoding", "x-content-type-options", "x-frame-options", "x-request-id",
})  # fmt: skip
CHECKED: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
)
NOWHERE: Final = ("http://127.0.0.1:9/a.jpg", "https://127.0.0.1:9/b")
LENIENT: Final = {"submit_sheet", "submit_images", "estimate_sheet", "create_draft", "show_preview", "preview_picture"}
"""Their fields are taken as texts too (`"quality": "50"`), and numbers where a text is meant: no fault."""

load_all_checks()
schemathesis.openapi.format("uri", st.sampled_from(NOWHERE))


def closed(document: dict[str, Any]) -> dict[str, Any]:
    """The document as if nothing could ever be added to an answer: a field it does not name is a fault, today."""
    for schema in document["components"]["schemas"].values():
        if schema.get("type") == "object":
            schema.setdefault("additionalProperties", False)
    return document


def described() -> dict[str, Any]:
    nothing: Any = None
    parts = api.Parts(settings=Settings(), store=nothing, pipeline=nothing, storage=nothing, readiness=dict)
    return contract(api.create_app(parts))


DOCUMENT: Final = described()
SCHEMA: Final = schemathesis.openapi.from_dict(closed(copy.deepcopy(DOCUMENT)))
SCHEMA.config.generation.update(allow_extra_parameters=False, with_security_parameters=False)
FOUND: Final[list[Any]] = [found.ok() for found in SCHEMA.get_all_operations()]  # type: ignore[union-attr]
OPERATIONS: Final = {operation.label: operation for operation in FOUND}


class Stage:
    """A site with a job in every interesting state, and the names that reach them."""

    def __init__(self, site: Site) -> None:
        self.site = site
        ended = site.submit(SUBMITTER)
        site.finish(failed=(1,))
        self.ended, self.open = ended["id"], site.submit(SUBMITTER)["id"]
        with site.client() as client:
            images = client.get(f"/api/v1/jobs/{self.ended}/images").json()["images"]
            sent = client.post("/api/v1/images", files={"image": ("a.jpg", b"\xff\xd8\xff\xe0" + bytes(99))})
            kept = client.get(f"/api/v1/jobs/{sent.json()['id']}/images").json()["images"]
        self.kept = self.draft()
        self.images = [image["id"] for image in (*images, *kept)]
        name = images[1]["outputs"][0]["url"].rpartition("/")[2]
        site.storage.put(name, b"\xff\xd8\xff" + bytes(497))
        self.names = {"find_output": "image", "fetch_published": name, "revoke_token": "spare"}

    def real(self, case: Any, data: st.DataObject) -> None:  # noqa: ANN401
        """Put what there is in place of what was made up."""
        operation, path = case.operation.definition.raw["operationId"], case.path_parameters or {}
        if "job_id" in path:
            path["job_id"] = self.job(operation, data)
        if "image_id" in path:
            path["image_id"] = data.draw(st.sampled_from(self.images))
        if "draft_id" in path:
            path["draft_id"] = self.draft() if operation == "delete_draft" else self.kept
        if "number" in path:
            path["number"] = 0
        if "name" in path:
            path["name"] = self.names[operation]
        if operation == "revoke_token":
            self.site.store.add_token("spare", "im_spare", scopes=frozenset({"read"}), owner="spare")

    def draft(self) -> str:
        with self.site.client(SUBMITTER) as client:
            return str(client.post("/api/v1/drafts", json={"images": [NOWHERE[0]]}).json()["id"])

    def job(self, operation: str, data: st.DataObject) -> str:
        if operation == "delete_job":
            return str(self.site.submit(SUBMITTER)["id"])
        # The events of an open job do not end.
        return str(
            data.draw(st.sampled_from([self.ended] if operation == "stream_events" else [self.ended, self.open]))
        )


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    unlimited = Settings(rate_limit_per_token=0, rate_limit_per_address=0, rate_limit_failures=0, workers=1)
    with running(tmp_path_factory.mktemp("site") / "data", unlimited, works=True) as site:
        yield Stage(site)


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Origin]:
    (tmp_path / "shop").mkdir()
    Image.effect_noise((80, 60), 30).convert("RGB").save(tmp_path / "shop" / "apple.jpg", quality=95)
    (tmp_path / "shop" / "products.csv").write_bytes(SHEET)
    with Origin(tmp_path / "shop") as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_is_documented(stage: Stage, label: str, mode: GenerationMode) -> None:
    operation = OPERATIONS[label]
    if mode == GenerationMode.NEGATIVE and not operation.definition.raw.get("parameters") and not operation.body:
        pytest.skip("nothing can be wrong with a request that has neither parameters nor body")

    @settings(
        max_examples=EXAMPLES or 12,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def ask(data: st.DataObject) -> None:
        case = data.draw(operation.as_strategy(generation_mode=mode))
        if mode == GenerationMode.POSITIVE and data.draw(st.booleans()):
            stage.real(case, data)
        token = TOKENS[data.draw(st.sampled_from([*TOKENS, "admin", "admin"]))]
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = case.call(stage.site.url, headers=headers, timeout=60)
        case.validate_response(answer, checks=checks(label, case))
        assert set(answer.headers) - ON_EVERYTHING <= documented_headers(case, answer.status_code)

    with contextlib.suppress(Unsatisfiable):  # a name in a path can be any text: none is unfitting
        ask()


def checks(label: str, case: Any) -> list[Any]:  # noqa: ANN401
    # `?state=null` is no state: msgspec reads it as nothing given.
    is_lenient = OPERATIONS[label].definition.raw["operationId"] in LENIENT or "null" in (case.query or {}).values()
    return [CHECKS.get_one(name) for name in CHECKED if not (is_lenient and name == "negative_data_rejection")]


def documented_headers(case: Any, status: int) -> set[str]:  # noqa: ANN401
    answer = case.operation.definition.raw["responses"][str(status)]
    return {name.lower() for name in answer.get("headers", ())}


@pytest.mark.parametrize("path", DOCUMENT["paths"])
def test_every_other_method_is_refused_in_our_words(stage: Stage, path: str) -> None:
    real = path.format(job_id=stage.ended, image_id=stage.images[0], draft_id=stage.kept, number=0, name="image")
    with stage.site.client() as client:
        for method in {"get", "put", "post", "delete", "patch", "trace"} - set(DOCUMENT["paths"][path]):
            answer = client.request(method, real)
            assert answer.status_code == 405, method
            assert answer.json()["code"] == "method_not_allowed"
            assert set(DOCUMENT["paths"][path]) <= set(answer.headers["allow"].lower().split(", "))


def bodies() -> list[tuple[str, str, str, Any]]:
    """Method, path, media type and description of everything that can be sent."""
    return [
        (method, path, kind, body)
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
        for kind, body in operation.get("requestBody", {}).get("content", {}).items()
    ]


EXAMPLES_OF_BODIES: Final = [
    (method, path, kind, example["value"])
    for method, path, kind, body in bodies()
    for example in body.get("examples", {}).values()
]


@pytest.mark.parametrize(("method", "path", "kind", "body"), EXAMPLES_OF_BODIES)
def test_every_example_works_as_it_is(
    method: str,
    path: str,
    kind: str,
    body: Any,  # noqa: ANN401
    tmp_path: Path,
    origin: Origin,
) -> None:
    allowed = Settings(
        workers=1, fetch=FetchSettings(allow=("127.0.0.0/8",)), estimate=EstimateSettings(timeout_s=30.0)
    )
    ours = msgspec.json.decode(msgspec.json.encode(body).replace(b"https://shop.example", origin.url.encode()))
    with running(tmp_path / "data", allowed, works=path.endswith("estimate")) as site, site.client() as client:
        job = site.submit()["id"]
        site.finish(failed=(1,))
        if kind == "application/json":
            answer = client.request(method, path.format(job_id=job), json=ours)
        else:
            files = {"file": ("sheet.csv", ours.pop("file"))}
            answer = client.request(method, path.format(job_id=job), files=files, data=ours)
    assert answer.is_success, answer.text


def test_every_body_of_json_has_an_example() -> None:
    assert all("examples" in body for _, _, kind, body in bodies() if kind == "application/json")
