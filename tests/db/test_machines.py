"""Who lives is known to all, and who is gone is forgotten."""

from __future__ import annotations

from imagemill.db import Store
from imagemill.db.machines import LIVES_S
from tests.seeds import Clock


def test_a_machine_lives_while_it_says_so(store: Store, clock: Clock) -> None:
    assert store.machines() == []
    for name in ("b-", "a-"):
        store.note_machine(name)
    clock.now += LIVES_S - 1
    store.note_machine("a-")
    assert store.machines() == ["a-", "b-"]
    clock.now += 2
    assert store.machines() == ["a-"]
    store.forget_machine("a-")
    assert store.machines() == []


def test_machines_that_are_gone_for_long_leave_no_row(store: Store, clock: Clock) -> None:
    store.note_machine("old-")
    clock.now += 61 * LIVES_S
    store.forget_machine("other-")
    assert store._rows("SELECT count(*) FROM machine") == [(0,)]
