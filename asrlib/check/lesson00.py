"""The checks of lesson 0, "A machine that hears digits"."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from asrlib.check.base import call, exercise, expect, show

__all__ = ["accuracy", "breaking_point", "decide", "to_course_rate"]

_WORDS = tuple("0123456789")
_COURSE_RATE = 16_000


@exercise
def decide(answer: Callable[[dict[str, float], float], str]) -> None:
    """Check a function that turns probabilities into text, and writes "?" when it is not sure enough.

    Parameters
    ----------
    answer : callable
        ``answer(probabilities, threshold)`` takes a dict of word to probability and a number from 0 to 1; it
        returns the most probable word, or "?" when that word's probability is below the threshold.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = decide(lambda probabilities, threshold: max(probabilities))
    not yet: the answer is the word with the highest probability
    hint: For {'3': 0.1, '7': 0.8, '9': 0.1} it returns '9', the word that comes last in the alphabet. max
    compares the words themselves; tell it with key= to compare their probabilities.

    Lesson: 00
    """
    sure = {"3": 0.1, "7": 0.8, "9": 0.1}
    _expect_word(call(answer, dict(sure), 0.5), sure)
    unsure = {"1": 0.3, "5": 0.45, "9": 0.25}
    got = call(answer, dict(unsure), 0.6)
    expect(
        got == "?",
        'below the threshold the answer is "?"',
        hint=f"For {unsure} and a threshold of 0.6 it returns {show(got)}. The best word has less than that: "
        'write "?".',
    )
    got = call(answer, dict(unsure), 0.45)
    expect(
        got == "5",
        "a probability equal to the threshold is enough",
        hint=f'For {unsure} and a threshold of 0.45 it returns {show(got)}. "Below" means <, not <=.',
    )
    rng = np.random.default_rng(0)
    for _ in range(50):
        values = rng.dirichlet(np.full(10, 0.4)).tolist()
        drawn, threshold = dict(zip(_WORDS, values, strict=True)), float(rng.uniform())
        best = _WORDS[int(np.argmax(values))]
        expected = best if max(values) >= threshold else "?"
        got = call(answer, dict(drawn), threshold)
        expect(
            got == expected,
            "it holds for any probabilities and any threshold",
            hint=f"The best word is {best!r} with {max(values):.2f}, the threshold {threshold:.2f}; it "
            f"returns {show(got)}.",
        )


def _expect_word(got: Any, probabilities: dict[str, float]) -> None:
    """Expect the most probable word, and recognise what is often returned instead."""
    best = max(probabilities, key=probabilities.get)
    start = f"For {probabilities} it returns {show(got)}"
    if isinstance(got, (int, float, np.number)):
        what = "the probability" if got == probabilities[best] else "a number"
        hint = f"{start}, {what}. Return the word that belongs to it, as text."
        expect(False, "the answer is a word", hint=hint)
    if got == max(probabilities) and got != best:
        hint = (
            f"{start}, the word that comes last in the alphabet. max compares the words themselves; tell it "
            "with key= to compare their probabilities."
        )
    elif got == "?":
        hint = f'{start}, although {best!r} has {probabilities[best]}. Write "?" only below the threshold.'
    else:
        hint = f"{start}. Look for the largest of the values, and return the word that it belongs to."
    expect(got == best, "the answer is the word with the highest probability", hint=hint)


@exercise
def breaking_point(answer: Callable[[Callable[[float], bool], list[float]], float | None]) -> None:
    """Check a function that finds the noise level at which the machine first fails.

    Parameters
    ----------
    answer : callable
        ``answer(is_right, levels)`` takes a function that says whether the machine is right at a
        signal-to-noise ratio in dB, and a list of ratios in any order. It returns the first ratio at which
        the machine is wrong, going from the least noise (the highest ratio) to the most; None when it is
        never wrong.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = breaking_point(lambda is_right, levels: min(level for level in levels if is_right(level)))
    not yet: the answer is a level at which the machine is wrong
    hint: The machine is right down to 10 dB and wrong at 5 dB and below; it returns 10. That is the last
    level it survives. Return the first at which is_right(level) is False.

    Lesson: 00
    """
    levels = [20, 15, 10, 5, 0, -5]
    story = "The machine is right down to 10 dB and wrong at 5 dB and below"
    got = call(answer, lambda level: level >= 10, list(levels), may_be_none=True)
    expect(
        got is not None,
        "a machine that fails gives a level",
        hint=f"{story}; it returns None. Return the first level at which is_right(level) is False.",
    )
    expect(
        not isinstance(got, bool),
        "the answer is a level",
        hint=f"{story}; it returns {show(got)}. Return the level itself, in dB.",
    )
    expect(
        got != 10,
        "the answer is a level at which the machine is wrong",
        hint=f"{story}; it returns 10. That is the last level it survives. Return the first at which "
        "is_right(level) is False.",
    )
    expect(
        got == 5,
        "the search goes from the least noise to the most",
        hint=f"{story}; it returns {show(got)}. A high ratio is little noise: start at the highest.",
    )
    got = call(answer, lambda level: level >= 10, [0, 20, 5, -5, 10, 15], may_be_none=True)
    expect(
        got == 5,
        "the order of the list does not matter",
        hint=f"For the same levels shuffled it returns {show(got)}, not 5. Sort them, the highest first.",
    )
    got = call(answer, lambda level: level not in (10, 0), list(levels), may_be_none=True)
    expect(
        got == 10,
        "a lucky guess in louder noise changes nothing",
        hint="The machine is wrong at 10 dB, right again at 5 dB, wrong at 0 dB; it returns "
        f"{show(got)}. Stop at the first failure.",
    )
    got = call(answer, lambda level: True, list(levels), may_be_none=True)
    expect(
        got is None,
        "a machine that never fails gives None",
        hint=f"The machine is right at every level; it returns {show(got)}. When the loop ends without a "
        "failure, return None.",
    )


@exercise
def to_course_rate(answer: Callable[[np.ndarray, int], np.ndarray]) -> None:
    """Check a function that brings a recording from its own sample rate to 16 000 Hz.

    Parameters
    ----------
    answer : callable
        ``answer(samples, sample_rate)`` takes float32 samples and their rate in Hz, and returns the same
        sound at 16 000 Hz.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = to_course_rate(lambda samples, sample_rate: samples)
    not yet: the sound lasts as long as before
    hint: A tone of 0.50 s at 8000 Hz comes back with 4000 samples, which last 0.25 s at 16000 Hz. At
    twice the rate the same time holds twice the samples.

    Lesson: 00
    """
    for rate, why in (
        (8_000, "At twice the rate the same time holds twice the samples."),
        (16_000, "It had the right rate already: nothing needs to change."),
        (44_100, "Use the rate that comes in, not a fixed one: recordings come at many rates."),
    ):
        tone = _tone(500.0, rate=rate)
        got = np.asarray(call(answer, tone.copy(), rate))
        expect(
            got.ndim == 1 and got.size > 0 and np.issubdtype(got.dtype, np.floating),
            "the answer is one row of samples",
            hint=f"For a tone at {rate} Hz it returns {show(got)} of type {got.dtype}.",
        )
        seconds = len(got) / _COURSE_RATE
        expect(
            abs(seconds - 0.5) < 0.002,
            "the sound lasts as long as before",
            hint=f"A tone of 0.50 s at {rate} Hz comes back with {len(got)} samples, which last "
            f"{seconds:.2f} s at {_COURSE_RATE} Hz. {why}",
        )
        pitch = _pitch(got)
        expect(
            abs(pitch - 500) < 8,
            "the pitch stays what it was",
            hint=f"A tone of 500 Hz, recorded at {rate} Hz, comes back with {pitch:.0f} Hz. The length is "
            "right, so look at the samples: cutting or padding does not change the rate. Use audio.resample.",
        )
        ghost = _share_beyond(got, wanted_hz=500.0)
        expect(
            ghost < 1e-3,
            "no new tones appear",
            hint=f"A pure tone, recorded at {rate} Hz, comes back with {100 * ghost:.1f} % of its power at "
            "other frequencies. Samples that are only repeated or dropped make new ones; use audio.resample.",
        )


def _tone(hz: float, *, rate: int) -> np.ndarray:
    """Make half a second of a tone that fades in and out, so that it has no clicks."""
    time = np.arange(rate // 2) / rate
    return (0.3 * np.sin(2 * np.pi * hz * time) * np.hanning(len(time))).astype(np.float32)


def _pitch(samples: np.ndarray) -> float:
    """Return the frequency of the strongest partial at the course's rate, in Hz."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    return float(power.argmax() * _COURSE_RATE / len(samples))


def _share_beyond(samples: np.ndarray, *, wanted_hz: float) -> float:
    """Return the share of the power more than 50 Hz away from a frequency."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    away = np.abs(np.fft.rfftfreq(len(samples), 1 / _COURSE_RATE) - wanted_hz) > 50
    return float(power[away].sum() / power.sum())


@exercise
def accuracy(answer: Callable[[list[str], list[str]], float]) -> None:
    """Check a function that computes the share of right answers.

    Parameters
    ----------
    answer : callable
        ``answer(said, answered)`` takes two lists of words and returns the share of places where they agree,
        from 0 to 1.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = accuracy(lambda said, answered: sum(a == b for a, b in zip(said, answered)))
    not yet: the answer is a share, from 0 to 1
    hint: Of 4 words 3 are right; it returns 3, a count. Divide by the number of words.

    Lesson: 00
    """
    said, answered = ["7", "2", "0", "3"], ["7", "2", "0", "8"]
    got = _number(call(answer, list(said), list(answered)), "Of 4 words 3 are right")
    expect(
        got not in (3, 1),
        "the answer is a share, from 0 to 1",
        hint=f"Of 4 words 3 are right; it returns {got:g}, a count. Divide by the number of words.",
    )
    expect(
        got != 75,
        "the answer is a share, from 0 to 1",
        hint="Of 4 words 3 are right; it returns 75, per cent. The rest of the course expects 0.75.",
    )
    expect(
        got != 0.25,
        "right answers are counted, not wrong ones",
        hint="Of 4 words 3 are right; it returns 0.25, the share of errors.",
    )
    expect(
        math.isclose(got, 0.75),
        "the answer is the number of right words over the number of words",
        hint=f"Of 4 words 3 are right; it returns {got:g}. Compare word by word: as a whole, two lists are "
        "equal or not.",
    )
    got = _number(call(answer, ["1", "2", "2"], ["2", "1", "2"]), "Of 3 words 1 is right")
    expect(
        math.isclose(got, 1 / 3),
        "words are compared place by place",
        hint=f"Said 1 2 2, answered 2 1 2: one place agrees; it returns {got:g}. Which words occur is not "
        "enough.",
    )
    rng = np.random.default_rng(0)
    for size in (1, 7, 200):
        first, second = (rng.choice(_WORDS[:3], size).tolist() for _ in range(2))
        expected = float(np.mean(np.array(first) == np.array(second)))
        got = _number(call(answer, first, second), f"Of {size} words {100 * expected:.0f} % are right")
        expect(
            math.isclose(got, expected),
            "it holds for lists of any length",
            hint=f"Of {size} words {round(expected * size)} are right; it returns {got:g}. Divide by the "
            "length of the list.",
        )


def _number(got: Any, story: str) -> float:
    """Expect one number."""
    one = isinstance(got, (int, float, np.number)) and not isinstance(got, bool)
    expect(
        one,
        "the answer is a number",
        hint=f"{story}; it returns {show(got)}. Compare word by word, and count the places that agree.",
    )
    return float(got)
