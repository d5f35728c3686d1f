"""Real signals: the first asks, the second ends at once, and a blocked read is interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from imagemill.cli import stopping

READY = b"ready\n"
# What a child does; it says `ready` when its handlers are in place.
WAITS_FOR_EVER = """
with listening() as stop:
    print("ready", flush=True)
    while not stop.wait(30): pass
    print("asked", flush=True)
    time.sleep(30)
"""
STOPS_TOO_SLOWLY = """
with listening() as stop:
    print("ready", flush=True)
    while not stop.wait(30): pass
    end_within(stop, 0.2)
    time.sleep(30)
"""
READS_A_PIPE = """
with listening() as stop:
    try:
        with stop.breaking():
            print("ready", flush=True)
            sys.stdin.buffer.read()
    except KeyboardInterrupt:
        sys.exit(7)
"""


def child(code: str) -> subprocess.Popen[bytes]:
    text = "import sys, time\nfrom imagemill.cli.stopping import *\n" + code
    started = subprocess.Popen(
        [sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert started.stdout is not None
    assert started.stdout.readline() == READY
    return started


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_at_once_with_the_shells_number(number: signal.Signals) -> None:
    with child(WAITS_FOR_EVER) as process:
        assert process.stdout is not None
        process.send_signal(number)
        assert process.stdout.readline() == b"asked\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=180)
    assert process.returncode == 128 + number
    assert b"taken up again next time" in err


def test_an_end_that_takes_too_long_is_cut_short() -> None:
    with child(STOPS_TOO_SLOWLY) as process:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=180)
    assert process.returncode == 128 + signal.SIGTERM


def test_a_read_that_waits_for_ever_is_interrupted() -> None:
    with child(READS_A_PIPE) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 7


def test_a_first_signal_only_asks_and_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stopping.listening() as stop:
        assert not stop.wait(0)
        threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGTERM]).start()
        assert stop.wait(60)
        assert stop.wait(60), "once asked, it stays so"
        assert stop.signal_number == signal.SIGTERM
        with pytest.raises(KeyboardInterrupt), stop.breaking():
            pytest.fail("nothing is begun after a signal")
    assert signal.getsignal(signal.SIGTERM) is before
