"""What was saved, by span of time; and jobs that are looked for by words."""

from __future__ import annotations

from imagemill.core.job import Submission
from imagemill.db import JobFilter, Saving, Store
from tests.seeds import NOON, Clock, Seeds, done

DAY_S = 86_400.0


def saved(seeds: Seeds, at: float, source_bytes: int, output_bytes: int, owner: str = "shop") -> str:
    seeds.clock.now = at
    job = seeds.job([["http://a/1.jpg"]], owner=owner)
    claim = seeds.claim(job)
    record = done(claim, 1, made_of=f"{at} {owner}", size=source_bytes, output_bytes=output_bytes)
    seeds.store.record_images(claim, [record])
    return job.uid


def test_savings_are_added_up_by_span(store: Store, seeds: Seeds, clock: Clock) -> None:
    for at, source_bytes, output_bytes in ((NOON, 100, 40), (NOON + 1, 50, 50), (NOON + DAY_S, 10, 1)):
        saved(seeds, at, source_bytes, output_bytes)
    saved(seeds, NOON, 1000, 1, owner="another")
    saved(seeds, NOON - 1, 7, 1)
    bounds = [NOON, NOON + DAY_S, NOON + 2 * DAY_S, NOON + 3 * DAY_S]
    assert store.savings(bounds, "shop") == [Saving(2, 2, 150, 90), Saving(1, 1, 10, 1), Saving()]
    assert store.savings(bounds)[0] == Saving(3, 3, 1150, 91)


def test_what_grew_has_saved_nothing() -> None:
    assert Saving(1, 1, 10, 12).saved_bytes == 0


def test_deleted_jobs_are_not_counted(store: Store, seeds: Seeds) -> None:
    uid = saved(seeds, NOON, 100, 40)
    store.delete_job(uid)
    assert store.savings([NOON, NOON + 1]) == [Saving()]


def test_words_are_looked_for_in_names_sheets_and_owners(store: Store, seeds: Seeds) -> None:
    for name, owner in (("Spring 50% off", "shop"), ("Garden_chairs", "studio"), ("", "studio")):
        seeds.job([["http://a/1.jpg"]], Submission(name=name), owner=owner)

    def found(words: str, owner: str | None = None) -> list[str]:
        jobs, _ = store.jobs(JobFilter(words=words, owner=owner), 10, None)
        return [job.name for job in jobs]

    assert found("SPRING") == ["Spring 50% off"]
    assert found("studio") == ["", "Garden_chairs"]
    assert found("0% o") == ["Spring 50% off"]
    assert found("0%of") == []
    assert found("n_c") == ["Garden_chairs"]
    assert found("g_50") == []
    assert found("!") == []
    assert len(found("shop.csv")) == 3
    assert found("shop.csv", "shop") == ["Spring 50% off"]
    assert len(found("")) == 3


def test_sheets_have_names_of_their_own(store: Store, seeds: Seeds) -> None:
    uids = [seeds.job([["http://a/1.jpg"]]).uid for _ in range(2)]
    assert store.sheet_filenames(uids) == dict.fromkeys(uids, "shop.csv")
