"""From a sample to a sheet: arithmetic, and honesty where there is nothing to count with."""

from __future__ import annotations

from imagemill.core.estimate import Fault, Hands, Sample, extrapolated

HANDS = Hands(fetching=4, compressing=2)
FAULT = Fault("http://a/1", "timeout", "try again later")


def test_a_sample_stands_for_all() -> None:
    samples = [Sample(1000, 400, 0.2, 0.1), Sample(3000, 600, 0.2, 0.5)]
    found = extrapolated(500, 100, samples, [], HANDS)
    assert (found.images, found.unique_images, found.sampled, found.already_done) == (500, 100, 2, 0)
    assert (found.bytes_in_estimate, found.bytes_out_estimate) == (200_000, 50_000)
    assert found.seconds_estimate == 15.0  # 100 × 0.3 s of compressing in two hands; fetching would take 5 s
    assert found.errors == []


def test_what_failed_or_is_done_counts_as_such() -> None:
    samples = [Sample(1000, 400, 0.8, is_done=True), Sample(1000, 400, 0.8, 0.1)]
    found = extrapolated(100, 100, samples, [FAULT, FAULT], HANDS)
    assert (found.sampled, found.already_done, found.errors) == (4, 25, [FAULT, FAULT])
    assert (found.bytes_in_estimate, found.bytes_out_estimate, found.seconds_estimate) == (50_000, 20_000, 10.0)


def test_a_rate_is_kept_to() -> None:
    hands = Hands(fetching=4, compressing=2, per_s=2.0)
    assert extrapolated(100, 100, [Sample(1, 1, 0.001)], [], hands).seconds_estimate == 50.0


def test_nothing_is_said_from_nothing() -> None:
    found = extrapolated(9, 9, [], [FAULT], HANDS)
    assert (found.bytes_in_estimate, found.bytes_out_estimate, found.seconds_estimate) == (None, None, None)
    late = extrapolated(9, 9, [], [], HANDS)
    assert (late.sampled, late.seconds_estimate) == (0, None)


def test_a_sheet_without_images_costs_nothing() -> None:
    found = extrapolated(0, 0, [], [], HANDS)
    assert (found.bytes_in_estimate, found.bytes_out_estimate, found.seconds_estimate) == (0, 0, 0.0)
