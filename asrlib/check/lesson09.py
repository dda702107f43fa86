"""The checks of lesson 9, "Real time"."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from asrlib.check.base import call, exercise, expect, show

__all__ = ["backlog", "causal_filter", "latency_ms", "speech", "write"]


@exercise
def latency_ms(answer: Callable[[int, int, int, int], int]) -> None:
    """Check a function that says how long after its end a word is written.

    Parameters
    ----------
    answer : callable
        ``answer(stop, certain, chunk, compute)`` returns the latency in ms; all four are whole numbers of ms:
        when the word ended, when it was certain, the length of a chunk, the time for computing.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = latency_ms(lambda stop, certain, chunk, compute: certain - stop + compute)
    not yet: the chunk must be full
    hint: The word ends at 730 ms and is certain at 930, a chunk is 100 long. The chunk with 930 is full
          at 1000, and computing takes 5: 1000 + 5 - 730 = 275. It returns 205.

    Lesson: 09
    """
    got = _number(call(answer, 730, 930, 100, 5), "For (730, 930, 100, 5)")
    story = (
        "The word ends at 730 ms and is certain at 930, a chunk is 100 long. The chunk with 930 is full at "
        f"1000, and computing takes 5: 1000 + 5 - 730 = 275. It returns {got:g}."
    )
    expect(
        got >= 200,
        "no answer comes before it is certain",
        hint=f"{story} The chunk that ended at 900 did not hold all that is needed: round up, not down.",
    )
    expect(got != 205, "the chunk must be full", hint=story)
    expect(
        got not in (255, 305),
        "the wait for the chunk is that of this word",
        hint=f"{story} Half a chunk, or a whole one, is the mean and the worst; here the times are known.",
    )
    expect(got != 270, "computing takes time too", hint=f"{story} Add compute.")
    expect(got != 1005, "latency counts from the end of the word", hint=f"{story} Subtract stop.")
    expect(got == 275, "waiting for certainty, waiting for the chunk, computing: no more", hint=story)
    got = _number(call(answer, 500, 700, 100, 8), "For (500, 700, 100, 8)")
    expect(
        got == 208,
        "what is certain with the last sample of a chunk does not wait for another",
        hint=f"Certain at 700, and a chunk of 100 ends at 700: 700 + 8 - 500 = 208. It returns {got:g}. "
        "Round up with -(-certain // chunk) * chunk, which leaves 700 where it is.",
    )
    rng = np.random.default_rng(0)
    for _ in range(40):
        stop, chunk, compute = int(rng.integers(100, 5000)), int(rng.integers(1, 400)), int(rng.integers(90))
        certain = stop + int(rng.integers(400))
        wanted = -(-certain // chunk) * chunk + compute - stop
        got = _number(call(answer, stop, certain, chunk, compute), "For other times")
        expect(
            got == wanted,
            "it holds for any chunk",
            hint=f"For {(stop, certain, chunk, compute)} it returns {got:g}; chunks of {chunk} ms end at "
            f"{-(-certain // chunk) * chunk} next, so {wanted} is right. Use whole numbers: // and no float.",
        )


@exercise
def write(answer: Callable[[np.ndarray, int, np.ndarray], int]) -> None:
    """Check a function that writes a chunk into a ring.

    Parameters
    ----------
    answer : callable
        ``answer(places, end, chunk)`` puts the chunk into `places`, in which sample n of the stream lies at
        ``n % len(places)``, and returns the new end; `end` samples of the stream were written before.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> def forgets_the_rest(places, end, chunk):
    ...     at = end % len(places)
    ...     fits = chunk[: len(places) - at]
    ...     places[at : at + len(fits)] = fits
    ...     return end + len(chunk)
    >>> outcome = write(forgets_the_rest)
    not yet: what does not fit before the last place goes on at the first
    hint: A ring of 8, samples 0 to 5 are in it, and 6, 7, 8, 9 come. It should hold 8 9 2 3 4 5 6 7; it
    holds 0 1 2 3 4 5 6 7.

    Lesson: 09
    """
    places = np.zeros(8)
    end = _written(answer, places, 0, np.arange(6.0))
    expect(
        places.tolist() == [0, 1, 2, 3, 4, 5, 0, 0],
        "samples lie in the ring in their order",
        hint=f"A ring of 8, samples 0 to 5 come. It should hold 0 1 2 3 4 5 0 0; it holds {_row(places)}. "
        "Change places itself, not a copy of it.",
    )
    expect(
        end == 6,
        "the new end counts all samples of the stream",
        hint=f"After 6 samples it returns {end}. Return end + len(chunk).",
    )
    end = _written(answer, places, 6, np.arange(6.0, 10.0))
    expect(
        places.tolist() == [8, 9, 2, 3, 4, 5, 6, 7],
        "what does not fit before the last place goes on at the first",
        hint="A ring of 8, samples 0 to 5 are in it, and 6, 7, 8, 9 come. It should hold 8 9 2 3 4 5 6 7; "
        f"it holds {_row(places)}.",
    )
    expect(
        end == 10,
        "the new end counts all samples of the stream",
        hint=f"After 10 samples it returns {end}. The end is not a place in the ring: it only grows, and "
        "% finds the place.",
    )
    places = np.zeros(5)
    end = _written(answer, places, 3, np.arange(3.0, 15.0))
    expect(
        sorted(places.tolist()) == [10, 11, 12, 13, 14] and end == 15,
        "of a chunk longer than the ring the newest samples stay",
        hint=f"A ring of 5, samples 3 to 14 come. It should hold the last five, 10 11 12 13 14, in some "
        f"order; it holds {_row(places)} and the end is {end}, 15 expected.",
    )
    rng = np.random.default_rng(0)
    for capacity in (1, 7, 50):
        places, end, stream = np.zeros(capacity), 0, np.arange(400.0) + 1
        while end < 300:
            size = int(rng.integers(1, 2 * capacity + 2))
            before = end
            end = _written(answer, places, end, stream[end : end + size].copy())
            newest = np.arange(max(0, before + size - capacity), before + size)
            expect(
                end == before + size and np.array_equal(places[newest % capacity], stream[newest]),
                "sample n lies at n % len(places), whatever the chunks",
                hint=f"In a ring of {capacity}, after {before} samples a chunk of {size} came, and the "
                "newest samples are not where they belong. (np.arange(end, end + len(chunk)) % len(places) names "
                "their places.)",
            )


def _written(answer: Any, places: np.ndarray, end: int, chunk: np.ndarray) -> int:
    got = call(answer, places, end, chunk)
    return int(_number(got, f"After {end} samples and a chunk of {len(chunk)}"))


@exercise
def speech(answer: Callable[[np.ndarray, np.ndarray, float, float, int], np.ndarray]) -> None:
    """Check a function that decides frame by frame who speaks, with hysteresis and hang-over.

    Parameters
    ----------
    answer : callable
        ``answer(level, floor, on, off, hang_over)`` returns True or False for each frame: level and floor in
        dB, shape (n_frames,), `on` and `off` in dB above the floor, `hang_over` in frames.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = speech(lambda level, floor, on, off, hang_over: level >= floor + on)
    not yet: speech lasts while the level is above off
    hint: Levels 0 9 6 6 9 2 0 0 0 dB over a floor of 0, on = 8, off = 4, hang_over = 1: loud are frames 1
          to 4, though 6 dB are less than on. It gives -#--#----.

    Lesson: 09
    """

    def decided(level: list[float], on: float, off: float, hang_over: int, floor: Any = 0.0) -> np.ndarray:
        levels = np.asarray(level, float)
        made = call(answer, levels, np.broadcast_to(floor, levels.shape).astype(float), on, off, hang_over)
        got = np.asarray(made)
        expect(
            got.shape == levels.shape,
            "there is one decision for each frame",
            hint=f"{len(levels)} frames came, and it returns {show(made)}.",
        )
        expect(
            got.dtype == bool or set(np.unique(got).tolist()) <= {0, 1},
            "a decision is True or False",
            hint=f"It returns values such as {show(got[0])}. Collect True or False, np.array(decisions).",
        )
        return got.astype(bool)

    levels = [0, 9, 6, 6, 9, 2, 0, 0, 0]
    # "No hang-over" is one frame: speech while less than one quiet frame has passed.
    got = decided(levels, 8, 4, 1)
    story = (
        "Levels 0 9 6 6 9 2 0 0 0 dB over a floor of 0, on = 8, off = 4, hang_over = 1: loud are frames 1 "
        f"to 4, though 6 dB are less than on. It gives {_marks(got)}."
    )
    expect(got[1], "speech begins where the level passes on", hint=story)
    expect(got[[2, 3]].all(), "speech lasts while the level is above off", hint=story)
    expect(not got[0], "nothing is speech before the level passed on", hint=story)
    expect(
        not got[5:].any(),
        "hang_over = 1 means that the first quiet frame ends it",
        hint=f"{story} Count quiet frames since the last loud one; speech is where that count is below "
        "hang_over.",
    )
    got = decided([5, 5, 6, 5, 5], 8, 4, 1)
    expect(
        not got.any(),
        "what never passes on is no speech",
        hint=f"Levels of 5 and 6 dB never pass on = 8. It gives {_marks(got)}: off counts only after a loud "
        "frame.",
    )
    got = decided([0, 9, 0, 0, 0, 0, 0, 0, 0, 0], 8, 4, 4)
    expect(
        _marks(got) == "-####-----",
        "the hang-over lasts hang_over frames, the last loud one included",
        hint=f"One loud frame and hang_over = 4: -####----- is right. It gives {_marks(got)}. Speech is "
        "where fewer than hang_over quiet frames came since the last loud one.",
    )
    got = decided([0, 9, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0], 8, 4, 4)
    expect(
        _marks(got) == "-########---",
        "a loud frame within the hang-over starts it anew",
        hint=f"Loud frames 1 and 5, hang_over = 4: -########--- is right. It gives {_marks(got)}. Set the "
        "count of quiet frames to 0 at every loud frame.",
    )
    got = decided([0, 9, 0, 6, 6, 0, 0, 0], 8, 4, 4)
    expect(
        _marks(got) == "-####---",
        "the hang-over is not hysteresis",
        hint="Levels 0 9 0 6 6 0 0 0, on = 8, off = 4, hang_over = 4: at frame 2 it is no longer loud, so "
        f"6 dB later do not pass. -####--- is right; it gives {_marks(got)}. Keep two things: whether the "
        "last frame was loud, and how many quiet ones came since.",
    )
    got = decided([-50, -41, -45, -45, -49], 8, 4, 1, floor=[-50, -50, -50, -50, -50])
    expect(
        _marks(got) == "-###-",
        "on and off count from the floor",
        hint="With a floor of -50 dB and levels -50 -41 -45 -45 -49, -###- is right; it gives "
        f"{_marks(got)}.",
    )
    got = decided([-50, -41, -41, -41], 8, 4, 1, floor=[-50, -50, -44, -50])
    expect(
        _marks(got) == "-#-#",
        "each frame has its own floor",
        hint=f"The floor rises to -44 dB in frame 2 alone: -#-# is right; it gives {_marks(got)}.",
    )
    rng = np.random.default_rng(0)
    noisy = rng.normal(5, 4, 300)
    whole = decided(noisy.tolist(), 8, 4, 7)
    part = decided(noisy[:150].tolist(), 8, 4, 7)
    expect(
        np.array_equal(whole[:150], part),
        "no frame waits for a later one",
        hint="Given the first 150 of 300 frames alone, it decides them otherwise. In real time the future "
        "is not there yet: decide frame t from frames up to t.",
    )
    expect(
        np.array_equal(whole, _speech(noisy, 8, 4, 7)),
        "it holds for any level",
        hint="For 300 random levels some frames are wrong. Go frame by frame: loud if the level is at least "
        "floor + off after a loud frame, else floor + on; then count the quiet ones.",
    )


def _speech(level: np.ndarray, on: float, off: float, hang_over: int) -> np.ndarray:
    loud, quiet, decisions = False, hang_over, []
    for value in level:
        loud = value >= (off if loud else on)
        quiet = 0 if loud else quiet + 1
        decisions.append(quiet < hang_over)
    return np.array(decisions)


@exercise
def causal_filter(answer: Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[Any, Any]]) -> None:
    """Check a step of a filter that carries what it needs of the past from chunk to chunk.

    Parameters
    ----------
    answer : callable
        ``answer(chunk, kernel, past)`` returns the filtered chunk, as long as the chunk, and the past for the
        next one: the last ``len(kernel) - 1`` samples of all that came.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = causal_filter(lambda x, k, past: (np.convolve(x, k)[: len(x)], x[len(x) - len(k) + 1 :]))
    not yet: the first samples of a chunk hear the last ones of the chunk before
    hint: kernel 1 2 4, past 0 0, chunks 0 0 1 and 0 0 0: filtered 0 0 1, then 2 4 0. It gives 0 0 1,
          then 0 0 0. Put past before the chunk.

    Lesson: 09
    """
    kernel = np.array([1.0, 2.0, 4.0])
    first, past = _filtered(answer, np.array([1.0, 0, 0]), kernel, np.zeros(2))
    story = f"kernel 1 2 4, past 0 0, chunk 1 0 0: filtered 1 2 4. It gives {_row(first)}."
    expect(
        _row(first) != "4 2 1" and _row(first) != "4 0 0",
        "the kernel's first value meets the newest sample",
        hint=f"{story} The kernel is the other way round: np.convolve turns it, np.correlate and @ do not.",
    )
    expect(
        _row(first) != "2 4 0",
        "no sample hears a later one",
        hint=f"{story} That is mode='same', which looks ahead. Put past before the chunk, and take "
        "mode='valid'.",
    )
    expect(np.allclose(first, [1, 2, 4]), "a chunk is filtered as a whole sound is", hint=story)
    expect(
        past.shape == (2,),
        "the past is as long as the kernel, less one",
        hint=f"kernel of 3, chunk of 3: it returns a past of {len(past)} samples; expected 2.",
    )
    first, past = _filtered(answer, np.array([0, 0, 1.0]), kernel, np.zeros(2))
    second, _ = _filtered(answer, np.zeros(3), kernel, past)
    expect(
        np.allclose(second, [2, 4, 0]),
        "the first samples of a chunk hear the last ones of the chunk before",
        hint="kernel 1 2 4, past 0 0, chunks 0 0 1 and 0 0 0: filtered 0 0 1, then 2 4 0. It gives "
        f"{_row(first)}, then {_row(second)}. Put past before the chunk.",
    )
    _, past = _filtered(answer, np.array([7.0]), kernel, np.array([3.0, 5.0]))
    expect(
        past.shape == (2,) and np.allclose(past, [5, 7]),
        "the past may reach back beyond a short chunk",
        hint=f"past 3 5, chunk 7, kernel of 3: the next past is 5 7. It returns {_row(past)}. Take the last "
        "samples of past and chunk together, not of the chunk alone.",
    )
    rng = np.random.default_rng(0)
    for taps in (1, 2, 6, 31):
        kernel, sound = rng.normal(size=taps), rng.normal(size=200)
        parts, past, start = [], np.zeros(taps - 1), 0
        while start < len(sound):
            chunk = sound[start : start + int(rng.integers(1, 40))]
            part, past = _filtered(answer, chunk.copy(), kernel, past)
            parts.append(part)
            start += len(chunk)
        joined, whole = np.concatenate(parts), np.convolve(sound, kernel)[: len(sound)]
        same = joined.shape == whole.shape and np.allclose(joined, whole)
        cure = (
            "A kernel of one value has no past: an array of no samples ([-0:] is everything)."
            if taps == 1
            else "Try chunks shorter than the kernel."
        )
        expect(
            same,
            "cut into chunks, a sound gives what it gives whole",
            hint=f"A kernel of {taps}, 200 samples in random chunks: it is not np.convolve of the "
            f"whole. {cure}",
        )


def _filtered(answer: Any, chunk: np.ndarray, kernel: np.ndarray, past: np.ndarray) -> tuple[Any, Any]:
    made = call(answer, chunk, kernel, past)
    expect(
        isinstance(made, (tuple, list)) and len(made) == 2,
        "there are two results: the filtered chunk, and the past for the next one",
        hint=f"It returns {show(made)}. Return filtered, past.",
    )
    filtered, after = (np.atleast_1d(np.asarray(each, float)) for each in made)
    expect(
        filtered.shape == chunk.shape,
        "what comes out is as long as what went in",
        hint=f"A chunk of {len(chunk)} samples and a past of {len(past)} gave {len(filtered)} samples. With "
        "the past before the chunk, mode='valid' gives as many as the chunk has.",
    )
    return filtered, after


@exercise
def backlog(answer: Callable[[np.ndarray, float], np.ndarray]) -> None:
    """Check a function that says how far a machine lies behind the sound, chunk by chunk.

    Parameters
    ----------
    answer : callable
        ``answer(computing, chunk)`` returns the backlog in seconds after each chunk; `computing` are the
        seconds that each chunk took, shape (n_chunks,), `chunk` is the length of one in seconds.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = backlog(lambda computing, chunk: np.cumsum(computing - chunk))
    not yet: time that was left over is gone
    hint: Chunks of 0.1 s take 0.05, 0.05 and 0.25 s. The machine waits for the third one, then falls 0.15 s
          behind. It returns -0.05 -0.1 0.05. The backlog never falls below 0.

    Lesson: 09
    """

    def behind(computing: list[float], chunk: float) -> np.ndarray:
        made = call(answer, np.array(computing), chunk)
        got = np.asarray(made, float)
        expect(
            got.shape == (len(computing),),
            "there is one value for each chunk",
            hint=f"{len(computing)} chunks came, and it returns {show(made)}. Return the backlog after each.",
        )
        return got

    got = behind([0.05, 0.05, 0.25], 0.1)
    story = (
        "Chunks of 0.1 s take 0.05, 0.05 and 0.25 s. The machine waits for the third one, then falls 0.15 s "
        f"behind. It returns {_row(got)}."
    )
    expect(
        (got >= -1e-12).all() and not np.allclose(got, [0, 0, 0.05]),
        "time that was left over is gone",
        hint=f"{story} The backlog never falls below 0.",
    )
    expect(np.allclose(got, [0, 0, 0.15]), "it is computing less sound, where that is more", hint=story)
    got = behind([0.3, 0.05, 0.05, 0.05, 0.05, 0.05], 0.1)
    story = f"One chunk takes 0.3 s, five more 0.05 s: 0.2 0.15 0.1 0.05 0 0. It returns {_row(got)}."
    expect(
        not np.allclose(got[1:], 0),
        "the backlog is carried from chunk to chunk",
        hint=f"{story} Start from the backlog before: max(0, before + computing - chunk).",
    )
    expect(np.allclose(got, [0.2, 0.15, 0.1, 0.05, 0, 0]), "a pause lets the machine catch up", hint=story)
    rng = np.random.default_rng(0)
    for chunk in (0.02, 0.1):
        computing = rng.exponential(chunk * 0.9, 300)
        wanted, before = [], 0.0
        for each in computing:
            before = max(0.0, before + each - chunk)
            wanted.append(before)
        expect(
            np.allclose(behind(computing.tolist(), chunk), wanted),
            "it holds for any times",
            hint=f"For 300 random times and chunks of {chunk} s it is not max(0, before + computing - "
            "chunk).",
        )


def _number(got: Any, story: str) -> float:
    one = isinstance(got, (int, float, np.number)) and not isinstance(got, bool) and math.isfinite(got)
    expect(one, "the answer is a number", hint=f"{story}: it returns {show(got)}.")
    return float(got)


def _row(values: np.ndarray) -> str:
    """Write a few numbers without a box around them."""
    return " ".join(f"{value:.3g}" for value in np.ravel(values))


def _marks(decisions: np.ndarray) -> str:
    return "".join("#" if each else "-" for each in decisions)
