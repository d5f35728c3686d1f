"""The decisions of the only retry layer there is."""

from __future__ import annotations

import pytest

from imagemill.core.errors import ImageCode, ImageError
from imagemill.core.retry import CALLBACK_DELAYS_S, Policy, after, callback_after, delay_s, is_transient

CURABLE = "dns_failed connect_failed timeout truncated storage_failed internal decode_crashed".split()  # noqa: SIM905


def failed(code: str, *, transient: bool | None = None, retry_after_s: float | None = None) -> ImageError:
    return ImageError(ImageCode(code), "what to do", transient=transient, retry_after_s=retry_after_s)


@pytest.mark.parametrize("code", ImageCode)
def test_the_error_s_own_word_beats_its_code(code: str) -> None:
    assert is_transient(failed(code)) is (code in CURABLE)
    assert is_transient(failed(code, transient=True))
    assert not is_transient(failed(code, transient=False))


@pytest.mark.parametrize(
    ("attempts", "jitter", "expected"),
    [(1, 0.0, 0.5), (1, 1.0, 1.0), (2, 0.0, 1.0), (4, 0.0, 4.0), (9, 0.0, 128.0), (10, 0.0, 150.0), (60, 1.0, 300.0)],
)
def test_waits_double_up_to_the_ceiling(attempts: int, jitter: float, expected: float) -> None:
    assert delay_s(Policy(), attempts, jitter) == expected


@pytest.mark.parametrize(
    ("error", "attempts", "expected"),
    [
        (failed("timeout"), 1, 0.5),
        (failed("timeout"), 4, 4.0),
        (failed("timeout"), 5, None),  # 4 retries after the first attempt
        (failed("not_an_image"), 1, None),
        (failed("http_status", transient=True), 1, 0.5),
        (failed("http_status", transient=True, retry_after_s=7.0), 1, 7.0),
        (failed("http_status", transient=True, retry_after_s=0.1), 4, 4.0),  # no sooner than we would
        (failed("http_status", transient=True, retry_after_s=86400.0), 1, 300.0),  # an origin may not park a job
        (failed("http_status", transient=False, retry_after_s=7.0), 1, None),
        (failed("decode_crashed"), 1, 0.5),
        (failed("decode_crashed"), 2, None),
    ],
)
def test_an_image_is_tried_again(error: ImageError, attempts: int, expected: float | None) -> None:
    assert after(error, attempts, Policy(), 0.0) == expected


def test_no_retries_means_one_attempt() -> None:
    assert after(failed("timeout"), 1, Policy(retries=0), 0.0) is None


@pytest.mark.parametrize("attempts", range(len(CALLBACK_DELAYS_S)))
def test_callbacks_keep_to_the_schedule(attempts: int) -> None:
    planned = CALLBACK_DELAYS_S[attempts]
    assert callback_after(attempts, 0.5) == pytest.approx(planned)
    assert callback_after(attempts, 0.0) == pytest.approx(planned * 0.9)
    assert callback_after(attempts, 0.0, retry_after_s=90_000.0) == 90_000.0


def test_the_schedule_ends() -> None:
    assert callback_after(len(CALLBACK_DELAYS_S), 0.5) is None
    assert callback_after(len(CALLBACK_DELAYS_S), 0.5, retry_after_s=1.0) is None
    assert sum(CALLBACK_DELAYS_S) / 3600 == pytest.approx(75.6, abs=0.1)  # three days
