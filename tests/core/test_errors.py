"""The tree is whole: one root, a code of its own for each branch, and nothing of a cause in what clients see."""

from __future__ import annotations

import pytest

from imagemill.core import errors
from imagemill.core.errors import ImageCode, ImageError, ImagemillError, NoRoomError, RequestError
from tests.places import SHARED, needs_shared

TREE = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ImagemillError)]


def test_every_error_has_a_code_of_its_own() -> None:
    named = [kind for kind in TREE if kind not in {ImagemillError, ImageError}]  # an image's code is its `image_code`
    assert len({kind.code for kind in named} | {"internal"}) == len(named) + 1


@pytest.mark.parametrize("kind", [kind for kind in TREE if kind not in {ImageError, RequestError}])
def test_detail_and_cause_are_kept_apart(kind: type[ImagemillError]) -> None:
    assert str(kind("do this")) == kind("do this").detail == "do this"
    if kind.__init__ in {ImagemillError.__init__, NoRoomError.__init__}:
        assert kind("do this", cause="disk sda1").cause == "disk sda1"
        assert "sda1" not in str(kind("do this", cause="disk sda1"))


def test_an_image_error_says_what_retry_needs_to_know() -> None:
    error = ImageError(ImageCode.TIMEOUT, "too slow", transient=False, retry_after_s=3.0, cause="read")
    assert (error.image_code, error.transient, error.retry_after_s, error.cause) == ("timeout", False, 3.0, "read")
    plain = ImageError(ImageCode.TIMEOUT, "too slow")
    assert (plain.transient, plain.retry_after_s, plain.cause) == (None, None, "")


def test_requests_and_pressure_carry_their_facts() -> None:
    assert RequestError("wrong").errors == []
    assert RequestError("wrong", [("quality", "1 to 100")]).errors == [("quality", "1 to 100")]
    assert NoRoomError("full").retry_after_s == 60
    assert NoRoomError("full", retry_after_s=5).retry_after_s == 5


@needs_shared
def test_image_codes_are_the_contract_s() -> None:
    text = (SHARED / "API.md").read_text()
    listed = text.split("**Image error codes**")[1].split(".\n")[0].replace("`", "").split()
    assert set(listed) == {code.value for code in ImageCode}
