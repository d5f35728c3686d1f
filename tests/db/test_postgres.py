"""What only a server does: it goes away and comes back, has its own time, few connections, and many who wait."""

from __future__ import annotations

import builtins
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imagemill.core.errors import StartError
from imagemill.core.job import Submission
from imagemill.db import Key, KeyTaken, Store, StoreError, open_database, open_store
from imagemill.db.dialect import Grip
from imagemill.db.postgres import Postgres, _Clock, _driver, _spoken
from imagemill.db.soundness import inspect, newest_at
from imagemill.settings import DatabaseSettings
from tests.appliance_process import until
from tests.cli.children import imagemill
from tests.db.test_images import together
from tests.postgres_server import PostgresServer, needs_postgres
from tests.seeds import Clock, Seeds, done, failed
from tests.tcp_proxy import TcpProxy

pytestmark = needs_postgres


@pytest.fixture
def on() -> str:
    return "postgres"


@pytest.fixture(scope="module")
def own() -> Iterator[PostgresServer]:
    """A server that may go away."""
    with PostgresServer() as server:
        yield server


def in_background(call: Any) -> threading.Thread:  # noqa: ANN401
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def waiting(store: Store) -> int:
    """Return how many wait for a lock."""
    return int(store._rows("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted")[0][0])


def test_a_server_that_was_away_is_found_again(own: PostgresServer, tmp_path: Path) -> None:
    store = Store(open_database(own.make_database()), Clock())
    seeds = Seeds(store, tmp_path, Clock())
    claim = seeds.claim(seeds.images(2))
    store.pause_all()  # is on the disk, and with it what was before
    with own.outage():
        for _ in range(2):
            with pytest.raises(StoreError) as caught:
                store.record_images(claim, [done(claim, 1)])
            assert "try again" in caught.value.detail
        with pytest.raises(StoreError):
            seeds.images(1)
    store.record_images(claim, [done(claim, 1), failed(2)])
    assert [image.state for image in store.images(claim.job_uid, None, 9, None)[0]] == ["done", "failed"]
    store.close()


def test_a_connection_that_breaks_in_a_transaction_leaves_nothing_half(store: Store, seeds: Seeds) -> None:
    claim = seeds.claim(seeds.images(2))

    def break_off() -> None:
        with store._transaction(claim.job_id):
            store._touched("UPDATE image SET state = 'failed'")
            store._rows("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(StoreError):
        break_off()
    store.record_images(claim, [done(claim, 1)])
    assert [image.state for image in store.images(claim.job_uid, None, 9, None)[0]] == ["done", "running"]


def test_whoever_hangs_in_a_transaction_loses_what_it_had_locked(
    store: Store, seeds: Seeds, postgres: PostgresServer
) -> None:
    claim = seeds.claim(seeds.images(2))
    url = postgres.url(str(store._rows("SELECT current_database()")[0][0]))
    other = Store(open_database(url), Clock())

    def hang() -> None:
        with store._transaction(claim.job_id):
            me = store._rows("SELECT pg_backend_pid()")[0][0]
            store._touched("SET idle_in_transaction_session_timeout = 1")
            until(
                lambda: not other._rows("SELECT 1 FROM pg_stat_activity WHERE pid = ?", (me,)), 20, "it is thrown out"
            )
            store._rows("SELECT 1")

    with pytest.raises(StoreError):
        hang()
    other.record_images(claim, [done(claim, 1)])
    store.record_images(claim, [done(claim, 2)])
    other.close()


def test_what_the_server_is_told_of_a_session(postgres: PostgresServer) -> None:
    """The kernel's own patience with a machine that has vanished is two hours: tests/cluster cuts a real line."""
    server = open_database(postgres.make_database())
    told = dict(server.rows("SELECT name, setting FROM pg_settings WHERE source = 'client'"))
    server.close()
    assert told["lock_timeout"] == "30000"
    gone_s = int(told["tcp_keepalives_idle"]) + int(told["tcp_keepalives_interval"]) * int(told["tcp_keepalives_count"])
    assert (gone_s, told["tcp_user_timeout"], told["idle_in_transaction_session_timeout"]) == (15, "15000", "25000")


def test_who_comes_after_a_restart_of_the_server_notices_nothing(own: PostgresServer) -> None:
    store = Store(open_database(own.make_database()), Clock())
    together(*[store.ping] * 4)
    with own.outage():
        pass
    together(*[store.ping] * 4)
    store.close()


def test_its_time_is_ours(postgres: PostgresServer) -> None:
    server = open_database(postgres.make_database())
    assert abs(server.now() - time.time()) < 5
    before = server.now()
    until(lambda: server.now() > before, 5, "time goes on")
    server.close()


def test_while_it_is_away_its_time_goes_on(own: PostgresServer) -> None:
    """Who says every 15 s that it lives must not be silent for ever because the server was away at that moment."""
    server = open_database(own.make_database())
    clock = _Clock(lambda: server.rows("SELECT 1000000000.0::float8")[0][0], server.errors, every_s=0)
    unheard = Store(server)
    with own.outage():
        with pytest.raises(StoreError):
            unheard.note_machine("a")
        with pytest.raises(server.errors):
            clock.now()
    assert clock.now() == pytest.approx(1e9, abs=60)
    with own.outage():
        assert clock.now() == pytest.approx(1e9, abs=60)
    unheard.note_machine("a")
    assert unheard.machines() == ["a"]
    server.close()


def test_many_threads_share_few_connections(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.make_database()
    server = open_database(url, 2)
    store = Store(server, Clock())
    job = Seeds(store, tmp_path, Clock()).images(40)
    ours = f"datname = '{url.rpartition('/')[2]}' AND backend_type = 'client backend'"
    used = f"SELECT count(*) FROM pg_stat_activity WHERE {ours}"

    def work() -> int:
        while claim := store.claim_images(job.id, most=2, shares=1, token=threading.current_thread().name, lease_s=9):
            store.record_images(claim, [done(claim, image.n) for image in claim.images])
        return int(store._rows(used)[0][0])

    assert set(together(*[work] * 6)) <= {1, 2}
    assert store.job(job.uid).counts.done == 40
    store.close()


def test_claims_pass_over_images_that_others_are_about_to_take(store: Store, seeds: Seeds) -> None:
    job = seeds.images(6)
    seeds.claim(job, 1)
    with store._transaction(job.id, Grip.CLAIM):
        store._rows("SELECT n FROM image WHERE job_id = ? AND n < 5 FOR UPDATE", (job.id,))
        found: list[list[int]] = []
        thread = in_background(lambda: found.append([image.n for image in seeds.claim(job).images]))
        thread.join(60)
    assert found == [[5, 6]]


def test_who_must_be_alone_waits_for_who_holds_a_job_and_keeps_others_out(store: Store, seeds: Seeds) -> None:
    job = seeds.images(2)
    order: list[str] = []

    def alone() -> None:
        with store._alone():
            order.append("alone")

    def claim() -> None:
        seeds.claim(job)
        order.append("claim")

    with store._transaction(job.id):
        first = in_background(alone)
        until(lambda: waiting(store) == 1, 10, "it waits")
        second = in_background(claim)
        until(lambda: waiting(store) == 2, 10, "the claim waits behind it")
        order.append("held")
    for thread in (first, second):
        thread.join(60)
    assert order == ["held", "alone", "claim"]


def test_of_twins_on_two_machines_one_is_accepted(store: Store, seeds: Seeds) -> None:
    key = Key(owner="shop", name="monday", content="a sheet", expires_at=seeds.clock() + 60)
    sheets = [(seeds.new(asked=Submission()), seeds.staged([["http://a/1"]])) for _ in range(4)]

    def accept(number: int) -> bool:
        try:
            store.accept_job(*sheets[number], key)
        except KeyTaken:
            return False
        return True

    assert together(*[lambda n=n: accept(n) for n in range(4)]).count(True) == 1
    assert len(store.known_uids()) == 1


def test_a_claim_and_what_follows_cost_few_round_trips(postgres: PostgresServer, tmp_path: Path) -> None:
    def work() -> float:
        """Return the round trips an image of one claim costs, with all that a hand asks on the way."""
        before = line.trips
        claim = store.claim_images(job.id, most=64, shares=1, token="hand", lease_s=60)
        assert claim is not None
        assert store.due_images(job.id, 16).images == 16
        store.remembered([image.url for image in claim.images])
        records = [done(claim, image.n) for image in claim.images]
        store.known_outputs([record.source.sha256 for record in records if record.source], claim.fingerprint)
        assert store.prolong_leases([claim], 60) == 64
        store.record_images(claim, records[:-1], [claim.images[-1].n])
        return (line.trips - before) / 64

    with TcpProxy(postgres.port) as line:
        store = Store(open_database(postgres.make_database().replace(str(postgres.port), str(line.port))), Clock())
        job = Seeds(store, tmp_path, Clock()).images(7 * 64)
        costs = [work() for _ in range(6)]
        store.close()
    assert min(costs) > 0  # the line is used
    assert min(costs) < 0.16
    assert sum(costs) / 6 < 0.2  # the first times, statements are prepared


def test_a_text_may_have_what_a_server_has_no_place_for(store: Store) -> None:
    store.add_token("shop", "secret", scopes=frozenset({"read"}), owner="a\0b")
    caller = store.caller("secret")
    assert caller is not None
    assert caller.owner == "a\N{REPLACEMENT CHARACTER}b"


def test_words_that_only_sqlite_has_are_replaced() -> None:
    assert _spoken("a CROSS JOIN b WHERE x IN () AND y NOT IN () AND z LIKE '%' AND w = ?") == (
        "a JOIN b WHERE false AND true AND z LIKE '%%' AND w = %s"
    )


def test_without_a_driver_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    load = builtins.__import__

    def absent(name: str, *rest: Any) -> object:  # noqa: ANN401
        if name == "psycopg":
            raise ImportError
        return load(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    _driver.cache_clear()
    with pytest.raises(StartError, match="imagemill\\[shared\\]"):
        Postgres("postgresql://nowhere/x", 1)


def test_a_server_that_is_not_there_is_named_at_the_start(own: PostgresServer, tmp_path: Path) -> None:
    url = own.url("nothing")
    with pytest.raises(StartError, match=r"database\.url cannot be reached: .*does not exist"):
        open_store(DatabaseSettings(url=url), tmp_path / "none")


def test_a_server_is_looked_at_without_a_change(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.make_database()
    assert (inspect(url).is_newer, newest_at(url)) == (False, None)
    store = Store(open_database(url), Clock())
    assert newest_at(url) is None
    Seeds(store, tmp_path, Clock(5.0)).images(1)
    store._touched("INSERT INTO migration VALUES (999, 0)")
    assert (inspect(url).is_newer, newest_at(url)) == (True, 5.0)
    store.close()


def test_a_server_is_backed_up_by_its_own_means(postgres: PostgresServer, tmp_path: Path) -> None:
    code, _, told = imagemill(tmp_path, "backup", "copy.zip", database_url=postgres.url("any"))
    assert (code, "pg_dump" in told) == (1, True)
