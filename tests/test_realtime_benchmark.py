"""What the benchmark of real time must hold: a word counts from its end until it stands there for good."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from standin import standin

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))

import realtime

RATE = 16_000


def test_a_word_counts_once_it_stands_for_good():
    shots = [(0.1, ("5",)), (0.2, ("5", "0")), (0.3, ("4", "0")), (0.4, ("5", "0")), (0.5, ("5", "0", "3"))]
    assert realtime.settled(shots) == [0.4, 0.4, 0.5]
    assert realtime.settled([(0.1, ("5",)), (0.2, ())]) == []
    assert realtime.settled([(0.1, ()), (0.2, ("7",)), (0.3, ("7",))]) == [0.2]


class Scripted:
    """Somebody who writes each word a fixed number of chunks after its end."""

    def __init__(self, stops, words, *, wait):
        self.stops, self.words, self.wait = stops, words, wait

    def begin(self):
        self.heard = 0.0

    def hear(self, chunk):
        self.heard += len(chunk) / RATE
        written = sum(stop + self.wait <= self.heard + 1e-9 for stop in self.stops)
        return tuple(self.words[:written])


def test_latency_is_measured_on_the_words_that_are_right():
    string = realtime.Spoken(np.zeros(4 * RATE, np.float32), ("5", "0", "3"), (1.0, 1.5, 2.0))
    result = realtime.Result()
    contender = Scripted((1.0, 1.5, 2.0), ("5", "9", "3"), wait=0.3)
    realtime.listen(contender, string, result, chunk_seconds=0.1, clock=lambda: 0.0)
    assert result.wer == pytest.approx(1 / 3)
    assert result.late_ms == pytest.approx([300, 300])  # the middle one is wrong
    assert result.sound_seconds == pytest.approx(4) and len(result.chunk_ms) == 40


def test_strings_end_where_they_say_and_are_followed_by_a_pause():
    for string in realtime.spoken(3):
        assert len(string.words) == len(string.stops) and list(string.stops) == sorted(string.stops)
        after = string.samples[round((string.stops[-1] + 0.3) * RATE) :]
        assert len(after) > RATE and np.abs(after).max() < 0.01 < np.abs(string.samples).max()


def test_reading_again_gives_the_same_scores_as_carried_state():
    recognizer = standin(seed=3)
    again = realtime.WithoutState(recognizer.network, frames_per_step=4)
    string = realtime.spoken(1)[0]
    one, other = realtime.Listening(recognizer), realtime.Listening(recognizer, stream=again)
    for chunk in realtime.cut(string.samples, 0.1):
        assert one.hear(chunk) == other.hear(chunk)
