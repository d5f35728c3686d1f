"""What is counted, and how it is written down: read back by Prometheus' own parser."""

import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families as parsed

from imagemill.metrics import (
    Counter,
    Histogram,
    Meters,
    Pace,
    Paces,
    Sightings,
    Throughput,
    count,
    exposition,
    gauge,
    gauges,
)


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    found = [sample for family in parsed(text) for sample in family.samples]
    read = {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in found}
    assert len(read) == len(found)  # no number twice
    return read


def test_counters_count_by_their_labels() -> None:
    counter = Counter("mill_x_total", "Things.", "kind", "code")
    counter.add("good", "")
    counter.add("good", "", amount=2)
    counter.add("bad", 'a "quoted"\\ line\nand more')
    read = samples(exposition([counter.family()]))
    assert read["mill_x_total", (("code", ""), ("kind", "good"))] == 3
    assert read["mill_x_total", (("code", 'a "quoted"\\ line\nand more'), ("kind", "bad"))] == 1


def test_a_counter_without_labels_is_there_from_the_start() -> None:
    assert exposition([Counter("mill_y_total", "Y.").family()]) == (
        "# HELP mill_y_total Y.\n# TYPE mill_y_total counter\nmill_y_total 0\n"
    )


def test_histograms_are_cumulative() -> None:
    histogram = Histogram("mill_s", "Seconds.", "stage")
    for seconds in (0.0005, 0.001, 0.3, 1000.0):
        histogram.observe(seconds, "fetch")
    read = samples(exposition([histogram.family()]))
    below = {dict(labels)["le"]: n for (name, labels), n in read.items() if name == "mill_s_bucket"}
    assert (below["0.001"], below["0.25"], below["0.5"], below["60.0"], below["+Inf"]) == (2, 2, 3, 3, 4)
    assert list(below.values()) == sorted(below.values())
    assert read["mill_s_count", (("stage", "fetch"),)] == 4
    assert read["mill_s_sum", (("stage", "fetch"),)] == pytest.approx(1000.3015)


def test_a_block_is_timed_however_it_ends() -> None:
    histogram = Histogram("mill_s", "Seconds.", "stage")
    with pytest.raises(KeyError), histogram.timed("put"):
        raise KeyError
    assert samples(exposition([histogram.family()]))["mill_s_count", (("stage", "put"),)] == 1


def test_large_numbers_keep_their_digits() -> None:
    families = [
        gauge("mill_free", "Free.", 123_456_789_012.0),
        gauges("mill_of", "Of.", "state", {"a": 1.5, "b": 0}),
        count("mill_n_total", "N.", 7),
    ]
    read = samples(exposition(families))
    assert list(read.values()) == [123_456_789_012.0, 1.5, 0, 7]


def test_threads_lose_no_count() -> None:
    meters = Meters()

    def work() -> None:
        for _ in range(2000):
            meters.images.add("done", "")
            meters.stages.observe(0.01, "fetch")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    read = samples(exposition(meters.families()))
    assert read["imagemill_images_recorded_total", (("code", ""), ("outcome", "done"))] == 16_000
    assert read["imagemill_stage_seconds_count", (("stage", "fetch"),)] == 16_000


def test_the_pace_is_of_the_last_minute() -> None:
    now = [1000.0]
    pace = Pace(lambda: now[0])
    pace.add(10, 1000)
    assert pace.now() == Throughput(10, 1000)  # in the first second
    now[0] += 20
    pace.add(10, 1000)
    assert pace.now() == Throughput(1, 100)
    now[0] += 45
    assert pace.now() == Throughput(round(10 / 60, 2), round(1000 / 60, 1))
    for _ in range(200):
        now[0] += 1
        pace.add(3, 30)
    assert pace.now() == Throughput(3, 30)
    now[0] += 100
    assert pace.now() == Throughput(0, 0)


def test_the_pace_of_a_job_is_of_the_last_seconds() -> None:
    now = [100.0]
    paces = Paces(lambda: now[0])
    assert paces.now("a") is None
    paces.add("a", 8)
    assert paces.now("a") == 8
    now[0] += 4
    paces.add("a", 8)
    paces.add("b", 1)
    assert (paces.now("a"), paces.now("b")) == (4, 1)
    now[0] += 7
    assert (paces.now("a"), paces.now("b")) == (8 / 7, 1 / 7)
    now[0] += 7
    assert paces.now("a") is None
    paces.add("c", 1)
    assert set(paces._ends) == {"c"}


def test_a_jobs_pace_is_seen_where_others_work_on_it() -> None:
    now = [1000.0]
    sightings = Sightings(lambda: now[0])
    assert [sightings.pace("a", 100), sightings.pace("b", 0)] == [None, None]
    now[0] += 2
    assert [sightings.pace("a", 120), sightings.pace("b", 1)] == [10, 0.5]
    now[0] += 8
    assert sightings.pace("a", 160) == 6
    now[0] += 8
    assert sightings.pace("a", 160) == 40 / 16  # since the last time that was ten seconds ago
    now[0] += 50
    assert sightings.pace("a", 160) == 0
    assert sightings.pace("a", 150) is None  # some are tried again
    assert set(sightings._seen) == {"a"}
