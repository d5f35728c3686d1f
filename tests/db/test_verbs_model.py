"""The store against a model of the tables: whatever is said and recorded in whatever order, both agree."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from imagemill.core.errors import IllegalTransitionError
from imagemill.core.job import Submission
from imagemill.core.states import OPEN, TRANSITIONS, ImageState, JobState, Move, Verb, allowed, job_state
from imagemill.db import Claim, Store, open_database
from tests.db.test_images import states
from tests.db.test_verbs import EVENTS, say
from tests.seeds import Clock, Seeds, done, failed, mistallied

IMAGES = 4
LEASE_S = 60.0
SPOKEN = st.sampled_from([verb for verb in Verb if verb is not Verb.DELETE])
FATES = st.lists(st.sampled_from([Move.COMPLETE, Move.FAIL, Move.RELEASE]), min_size=IMAGES, max_size=IMAGES)


class Moves(RuleBasedStateMachine):
    """One job, its images and the three facts, as `core.states` says that they move."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = Clock()
        self.store = Store(open_database(Path(self.folder.name) / "imagemill.db"), self.clock)
        self.seeds = Seeds(self.store, Path(self.folder.name), self.clock)
        self.job = self.seeds.images(IMAGES, Submission(callback_url="http://caller/end"))
        self.images = dict.fromkeys(range(1, IMAGES + 1), ImageState.PENDING)
        self.facts = {"started": False, "paused": False, "cancelled": False}
        self.held: dict[int, str] = {}
        self.claims: list[Claim] = []

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @property
    def state(self) -> JobState:
        counts = {state: [*self.images.values()].count(state) for state in ImageState}
        return job_state(counts, **self.facts)

    @property
    def is_open(self) -> bool:
        return any(state in OPEN for state in self.images.values())

    def move(self, n: int, move: Move) -> None:
        self.images[n] = TRANSITIONS[self.images[n], move]

    def move_all(self, move: Move) -> None:
        for n, state in self.images.items():
            if (state, move) in TRANSITIONS:
                self.move(n, move)

    @rule(most=st.integers(1, IMAGES))
    def claim(self, most: int) -> None:
        claim = self.store.claim_images(self.job.id, most=most, shares=1, token=str(len(self.claims)), lease_s=LEASE_S)
        waits = [n for n, state in self.images.items() if state is ImageState.PENDING]
        if self.facts["paused"] or not self.is_open or not waits:
            assert claim is None
            return
        assert claim is not None
        assert [image.n for image in claim.images] == waits[:most]
        self.facts["started"] = True
        self.claims.append(claim)
        for n in waits[:most]:
            self.move(n, Move.CLAIM)
            self.held[n] = claim.token

    @rule(fates=FATES, which=st.integers(0, 9))
    def record(self, fates: list[Move], which: int) -> None:
        """Record what became of a claim, perhaps one that is lost, or recorded already."""
        if not self.claims:
            return
        claim = self.claims[which % len(self.claims)]
        told = [(image.n, fates[image.n - 1]) for image in claim.images]
        records = [done(claim, n) if fate is Move.COMPLETE else failed(n) for n, fate in told if fate != Move.RELEASE]
        self.store.record_images(claim, records, returned=[n for n, fate in told if fate is Move.RELEASE])
        for n, fate in told:
            if self.held.get(n) == claim.token and self.images[n] is ImageState.RUNNING:
                self.move(n, fate)
                del self.held[n]

    @rule(later_s=st.sampled_from([LEASE_S / 2, LEASE_S * 2]))
    def lose_leases(self, later_s: float) -> None:
        self.store.prolong_leases(self.claims, LEASE_S)
        self.clock.now += later_s
        self.store.release_leases(before=self.clock.now)
        if later_s > LEASE_S:
            self.move_all(Move.RELEASE)
            self.held.clear()

    @rule(verb=SPOKEN)
    def speak(self, verb: Verb) -> None:
        if verb not in allowed(self.state):
            with pytest.raises(IllegalTransitionError):
                say(self.store, verb, self.job.uid)
            return
        say(self.store, verb, self.job.uid)
        was_open = self.is_open
        if verb is Verb.CANCEL:
            self.facts["cancelled"] = True
            self.move_all(Move.CANCEL)
        elif verb is Verb.RETRY:
            self.move_all(Move.RETRY)
            self.facts["cancelled"] = False
            self.facts["paused"] &= was_open
        else:
            self.facts["paused"] = verb is Verb.PAUSE
        self.clock.now += 1

    @invariant()
    def agrees(self) -> None:
        assert states(self.store, self.job) == [state.value for state in self.images.values()]
        read = self.store.job(self.job.uid)
        assert (read.state, read.finished_at is None) == (self.state, self.is_open)
        assert not mistallied(self.store)
        events = self.store._rows(EVENTS, (self.job.id,))
        assert events == ([] if self.is_open else [(f"job.{self.state}",)])


Moves.TestCase.settings = settings(max_examples=25, stateful_step_count=25)
TestMoves = Moves.TestCase
