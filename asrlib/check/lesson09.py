"""The checks of lesson 9, "Real time"."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from asrlib.check.base import call, exercise, expect, show

__all__ = ["causal_filter", "end_points", "latency_ms", "shortest_chunk", "write"]


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
                "newest samples are not where they belong. (np.arange(end, end + len(chunk)) % len(places) "
                "names their places.)",
            )


def _written(answer: Any, places: np.ndarray, end: int, chunk: np.ndarray) -> int:
    got = call(answer, places, end, chunk)
    return int(_number(got, f"After {end} samples and a chunk of {len(chunk)}"))


@exercise
def end_points(answer: Callable[[np.ndarray, int], list[tuple[int, int, int]]]) -> None:
    """Check a function that finds where stretches of speech begin, end, and are known to have ended.

    Parameters
    ----------
    answer : callable
        ``answer(loud, hang_over)`` returns a list of (start, stop, certain), counted in frames: the first
        loud frame, the frame after the last loud one, and how many frames had been heard when `hang_over`
        quiet ones in a row made the end certain. `loud` is True or False for each frame.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = end_points(lambda loud, hang_over: [(2, 4, 4)])
    not yet: an end is certain a hang-over after it
    hint: Frames --##---- and hang_over = 3: loud are frames 2 and 3, and after frame 6 the third quiet one
    has passed. Expected (2, 4, 7); it returns (2, 4, 4).

    Lesson: 09
    """

    def found(marks: str, hang_over: int) -> list[tuple[int, int, int]]:
        loud = np.array([mark == "#" for mark in marks])
        made = call(answer, loud, hang_over)
        rows = list(made) if isinstance(made, (list, tuple, np.ndarray)) else [made]
        fit = isinstance(made, (list, tuple, np.ndarray)) and all(np.shape(row) == (3,) for row in rows)
        expect(
            fit,
            "there is a list with three numbers for each stretch",
            hint=f"Frames {marks}: it returns {show(made)}. Return a list of (start, stop, certain).",
        )
        return [tuple(int(value) for value in row) for row in rows]

    got = found("--##----", 3)
    expect(
        len(got) == 1,
        "one run of loud frames is one stretch",
        hint=f"Frames --##---- and hang_over = 3: one stretch, (2, 4, 7). It returns {got}.",
    )
    ((start, stop, certain),) = got
    story = (
        "Frames --##---- and hang_over = 3: loud are frames 2 and 3, and after frame 6 the third quiet one "
        f"has passed. Expected (2, 4, 7); it returns {got[0]}."
    )
    expect(start == 2, "a stretch starts with its first loud frame", hint=story)
    expect(
        stop not in (6, 7),
        "the hang-over does not belong to the speech",
        hint=f"{story} Remember where the last loud frame was.",
    )
    expect(stop != 3, "stop is the frame after the last loud one", hint=f"{story} As in a slice.")
    expect(stop == 4, "a stretch stops with its last loud frame", hint=story)
    expect(certain not in (3, 4), "an end is certain a hang-over after it", hint=story)
    expect(
        certain == 7,
        "certain counts the frames that had been heard",
        hint=f"{story} Frame 6 is the seventh: frames 0 to 6 had to be heard.",
    )
    got = found("-##--##----", 3)
    expect(
        got == [(1, 7, 10)],
        "a pause shorter than the hang-over does not end a stretch",
        hint="Frames -##--##---- and hang_over = 3: two quiet frames are too few, so one stretch, (1, 7, "
        f"10). It returns {got}.",
    )
    got = found("#---#---", 3)
    expect(
        got == [(0, 1, 4), (4, 5, 8)],
        "a pause as long as the hang-over ends it",
        hint="Frames #---#--- and hang_over = 3: (0, 1, 4) and (4, 5, 8); the fourth frame makes the first "
        f"end certain, before the next word begins. It returns {got}.",
    )
    got = found("-#---##-", 3)
    expect(
        got == [(1, 2, 5)],
        "what has not ended for certain is not given yet",
        hint="Frames -#---##- and hang_over = 3: the second stretch may go on, only (1, 2, 5) is certain. It "
        f"returns {got}.",
    )
    expect(
        found("-----", 2) == [],
        "silence has no stretch",
        hint=f"Five quiet frames: an empty list. It returns {found('-----', 2)}.",
    )
    rng = np.random.default_rng(0)
    for hang_over in (1, 2, 5):
        marks = "".join(rng.choice(["#", "-"], 60, p=[0.3, 0.7]))
        got, wanted = found(marks, hang_over), _end_points(marks, hang_over)
        expect(
            got == wanted,
            "it holds for any frames",
            hint=f"Frames {marks} and hang_over = {hang_over}: expected {_few(wanted)}; it returns "
            f"{_few(got)}.",
        )


def _end_points(marks: str, hang_over: int) -> list[tuple[int, int, int]]:
    rows, start, quiet = [], None, 0
    for frame, mark in enumerate(marks):
        if mark == "#":
            start, quiet = (frame if start is None else start), 0
        elif start is not None:
            quiet += 1
            if quiet == hang_over:
                rows.append((start, frame + 1 - hang_over, frame + 1))
                start = None
    return rows


def _few(rows: list[tuple[int, int, int]]) -> str:
    return ", ".join(map(str, rows[:3])) + (", ..." if len(rows) > 3 else "") if rows else "nothing"


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
def shortest_chunk(answer: Callable[[float, float], float]) -> None:
    """Check a function that says how long chunks must be for a machine to keep up.

    Parameters
    ----------
    answer : callable
        ``answer(overhead, per_second)`` returns the shortest chunk, in seconds, for which computing takes no
        longer than the chunk lasts; each call costs `overhead` seconds, and `per_second` seconds for each
        second of sound in it. Where no chunk is long enough, infinity.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = shortest_chunk(lambda overhead, per_second: overhead / per_second)
    not yet: computing takes just as long as the chunk lasts
    hint: 0.05 s a call and 0.5 s for each second of sound: a chunk of 0.1 s takes 0.05 + 0.5 · 0.1 = 0.1 s,
    just right. It returns 0.1 by luck, perhaps; with 0.06 and 0.25 the answer is 0.08, and it returns 0.24.

    Lesson: 09
    """
    got = _number(call(answer, 0.05, 0.5), "For 0.05 and 0.5")
    story = (
        "0.05 s a call and 0.5 s for each second of sound: a chunk of 0.1 s takes 0.05 + 0.5 · 0.1 = 0.1 s, "
        f"just right. It returns {got:.3g}"
    )
    near = {
        0.05: ("the sound in the chunk costs time too", "The chunk must last overhead + per_second · chunk."),
        0.075: (
            "a longer chunk takes longer",
            "The chunk has grown, and so has its computing: solve chunk = overhead + per_second · chunk.",
        ),
        0.55: ("a chunk is not a second", "per_second counts for each second of sound in the chunk."),
        100.0: ("the chunk is in seconds", "Leave it in seconds."),
        0.05 / 1.5: (
            "a machine that computes more needs longer chunks",
            "The sign is wrong: chunk - per_second · chunk = overhead.",
        ),
    }
    for value, (statement, hint) in near.items():
        expect(not math.isclose(got, value, rel_tol=1e-6), statement, hint=f"{story}. {hint}")
    other = _number(call(answer, 0.06, 0.25), "For 0.06 and 0.25")
    lucky = math.isclose(got, 0.1, rel_tol=1e-6)
    expect(
        lucky and math.isclose(other, 0.08, rel_tol=1e-6),
        "computing takes just as long as the chunk lasts",
        hint=f"{story} by luck, perhaps; with 0.06 and 0.25 the answer is 0.08, and it returns {other:.3g}."
        if lucky
        else f"{story}. Solve chunk = overhead + per_second · chunk.",
    )
    for per_second in (1.0, 1.7):
        try:
            never = answer(0.05, per_second)
        except ZeroDivisionError:
            never = "nothing, it divides by 0"
        expect(
            isinstance(never, (float, np.floating)) and never == math.inf,
            "a machine slower than the sound never keeps up",
            hint=f"0.05 s a call and {per_second:g} s for each second of sound: no chunk is long enough. It "
            f"returns {never if isinstance(never, str) else show(never)}. Return np.inf where per_second is "
            "1 or more.",
        )
    for overhead, per_second in ((0.0, 0.3), (0.27, 0.02), (0.004, 0.9)):
        got = _number(call(answer, overhead, per_second), f"For {overhead} and {per_second}")
        wanted = overhead / (1 - per_second)
        expect(
            math.isclose(got, wanted, rel_tol=1e-6, abs_tol=1e-12),
            "it holds for any machine",
            hint=f"For {overhead} s a call and {per_second} s a second it returns {got:.4g}; computing takes "
            f"as long as the chunk lasts at {wanted:.4g} s.",
        )


def _number(got: Any, story: str) -> float:
    one = isinstance(got, (int, float, np.number)) and not isinstance(got, bool) and math.isfinite(got)
    expect(one, "the answer is a number", hint=f"{story}: it returns {show(got)}.")
    return float(got)


def _row(values: np.ndarray) -> str:
    """Write a few numbers without a box around them."""
    return " ".join(f"{value:.3g}" for value in np.ravel(values))
