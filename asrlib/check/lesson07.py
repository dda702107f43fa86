"""The checks of lesson 7, "Evaluation"."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from asrlib.check.base import call, exercise, expect, show

__all__ = [
    "answered",
    "calibration_error",
    "clips_needed",
    "difference_interval",
    "held_out",
    "precision_and_recall",
]

_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@exercise
def clips_needed(answer: Callable[[float, float], int]) -> None:
    """Check a function that says how many clips an accuracy needs.

    Parameters
    ----------
    answer : callable
        ``answer(accuracy, reach)`` returns how many clips make the 95 % interval reach so far to each side;
        both are shares from 0 to 1.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = clips_needed(lambda accuracy, reach: 1.96 * accuracy * (1 - accuracy) / reach**2)
    not yet: the reach is z standard deviations
    hint: For 0.9 within 0.03 it returns 196, and 385 are needed. Square z too: reach² = z² p (1 - p) / n.

    Lesson: 07
    """
    got = _number(call(answer, 0.9, 0.03), "For 0.9 within 0.03")
    start = f"For 0.9 within 0.03 it returns {got:.4g}, and 385 are needed."
    near = {
        196.0: (
            "the reach is z standard deviations",
            "Square z too: reach² = z² p (1 - p) / n.",
        ),
        100.0: (
            "the reach is z standard deviations",
            "That is for one standard deviation. For 95 % the reach is 1.96 of them.",
        ),
        96.04: (
            "the reach goes to each side",
            "A quarter of it: the interval is to reach so far to each side, not from end to end.",
        ),
        math.sqrt(384.16): (
            "the reach is the root of a share of n",
            "That is the root of it. Solve reach² = z² p (1 - p) / n for n.",
        ),
        1067.0: (
            "the accuracy counts",
            "That is for an accuracy of one half. Near 1 there is less to scatter: p (1 - p) = 0.09.",
        ),
    }
    for value, (statement, hint) in near.items():
        expect(not math.isclose(got, value, rel_tol=0.012), statement, hint=f"{start} {hint}")
    expect(
        abs(got - 384.16) < 8,
        "the interval reaches as far as wanted",
        hint=f"{start} Solve reach = z √(p (1 - p) / n) for n, with z = 1.96.",
    )
    expect(
        got == int(got),
        "the number of clips is a whole one",
        hint=f"{start} Half a clip does not exist: round up, with np.ceil, and make it an int.",
    )
    expect(
        got >= 384.1,
        "it is enough",
        hint=f"{start} Round up, not down: with 384 the interval is a trifle too wide.",
    )
    for accuracy, reach in ((0.5, 0.1), (0.97, 0.005), (0.8, 0.02)):
        wanted = 1.96**2 * accuracy * (1 - accuracy) / reach**2
        got = _number(call(answer, accuracy, reach), f"For {accuracy} within {reach}")
        expect(
            abs(got - wanted) < 1.5 + 1e-4 * wanted,
            "it holds for any accuracy and reach",
            hint=f"For {accuracy} within {reach} it returns {got:g}; about {wanted:.0f} are needed.",
        )


@exercise
def held_out(answer: Callable[[np.ndarray, np.ndarray, int, np.random.Generator], np.ndarray]) -> None:
    """Check a function that holds all clips of a few voices out of the training.

    Parameters
    ----------
    answer : callable
        ``answer(labels, speakers, count, rng)`` returns an array of bool: True for each clip of the `count`
        voices that `rng` drew.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = held_out(lambda labels, speakers, count, rng: rng.random(len(labels)) < 0.3)
    not yet: no voice is on both sides
    hint: Of 8 voices, 8 have clips in the test and in the training. Draw voices, not clips: np.isin(speakers,
    voices).

    Lesson: 07
    """
    speakers = np.repeat([f"voice {i}" for i in range(8)], 20)
    labels = np.tile([str(digit) for digit in range(10)], 16)
    order = np.random.default_rng(5).permutation(len(labels))
    speakers, labels = speakers[order], labels[order]

    def test_of(count: int, seed: int) -> np.ndarray:
        made = call(answer, labels.copy(), speakers.copy(), count, np.random.default_rng(seed))
        got = np.asarray(made)
        expect(
            got.shape == labels.shape and got.dtype == bool,
            "there is True or False for each clip",
            hint=f"160 clips came, and it returns {show(made)} of {got.dtype}. Return an array of bool as "
            "long as labels.",
        )
        return got

    first = test_of(3, 0)
    expect(first.any(), "somebody is held out", hint="It returns False for all clips.")
    expect(not first.all(), "somebody is left to learn from", hint="It returns True for all clips.")
    both = np.intersect1d(speakers[first], speakers[~first])
    per_word = len({tuple(np.unique(speakers[first & (labels == word)])) for word in np.unique(labels)}) > 1
    cure = (
        "The voices are drawn anew for each word, so the voice of one word's test says other words in the "
        "training. Draw them once."
        if per_word and all(len(np.unique(speakers[first & (labels == w)])) == 3 for w in np.unique(labels))
        else "Draw voices, not clips: np.isin(speakers, voices)."
    )
    expect(
        len(both) == 0,
        "no voice is on both sides",
        hint=f"Of 8 voices, {len(both)} have clips in the test and in the training. {cure}",
    )
    expect(
        np.unique(labels[first]).size == 10,
        "every word is in the test",
        hint=f"The test has only the words {np.unique(labels[first]).tolist()}. Take all clips of a voice.",
    )
    for count, seed in ((1, 1), (3, 1), (5, 1), (5, 2), (5, 3)):
        chosen = np.unique(speakers[test_of(count, seed)])
        expect(
            len(chosen) == count,
            "as many voices are held out as asked for",
            hint=f"Asked for {count}, it holds {len(chosen)} out. Draw without replacement: replace=False.",
        )
    drawn = [tuple(np.unique(speakers[test_of(2, seed)])) for seed in range(12)]
    expect(
        len(set(drawn)) > 1,
        "rng draws the voices",
        hint=f"Twelve generators with different seeds give the same voices, {', '.join(drawn[0])}. Draw with "
        "rng.choice.",
    )
    expect(
        np.array_equal(test_of(2, 3), test_of(2, 3)),
        "the same generator gives the same voices",
        hint="Called twice with equal generators it gives different tests. Draw with rng and nothing else.",
    )


@exercise
def answered(answer: Callable[[np.ndarray, list[str]], np.ndarray]) -> None:
    """Check a function that names the answers of a network.

    Parameters
    ----------
    answer : callable
        ``answer(probabilities, columns)`` returns the word answered for each row; `columns` are the words in
        the order of the network's outputs.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = answered(lambda probabilities, columns: probabilities.argmax(axis=1))
    not yet: the answers are words
    hint: It returns 7 for a clip, a number. Return the word in that column: np.array(columns)[...].

    Lesson: 07
    """
    rng = np.random.default_rng(0)
    for columns in (sorted(_WORDS), list(_WORDS), ["yes", "no", "stop"]):
        said = rng.choice(columns, 12)
        said[0] = columns[min(7, len(columns) - 1)]
        winner = np.array(columns) == said[:, None]
        probabilities = np.where(winner, 0.6, 0.4 / (len(columns) - 1))
        made = call(answer, probabilities.copy(), list(columns))
        got = np.asarray(made)
        expect(
            got.shape == (12,),
            "there is one answer for each clip",
            hint=f"12 clips came, and it returns {show(made)}. Take the largest of each row: argmax(axis=1).",
        )
        expect(
            got.dtype.kind in "UO" and all(isinstance(word, str) for word in got.tolist()),
            "the answers are words",
            hint=f"It returns {show(got[0])} for a clip, a number. Return the word in that column: "
            "np.array(columns)[...].",
        )
        wrong = int(np.sum(got != said))
        if not wrong:
            continue
        clip = int(np.flatnonzero(got != said)[0])
        place = list(columns).index(said[clip])
        hint = (
            f"With columns = {columns[:3]} ... column {place} is {str(said[clip])!r}, and it answers "
            f"{str(got[clip])!r}. The list that the network was trained with is the only one that counts: "
            "use columns, not a list of your own."
        )
        expect(False, "each column has the network's own word", hint=hint)


@exercise
def precision_and_recall(answer: Callable[[np.ndarray, int], tuple[float, float]]) -> None:
    """Check a function that computes precision and recall of one word.

    Parameters
    ----------
    answer : callable
        ``answer(matrix, word)`` returns precision and recall of the word with this number; rows of the matrix
        are what was said, columns what was answered.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = precision_and_recall(lambda m, w: (m[w, w] / m[w].sum(), m[w, w] / m[:, w].sum()))
    not yet: precision comes first, and counts what was answered
    hint: Of 10 times that word 0 was answered, 8 were right: precision 0.8. Of 16 times that it was said,
    8 were heard: recall 0.5. It returns 0.5 and 0.8: the other way round. Columns are what was answered.

    Lesson: 07
    """
    matrix = np.array([[8, 6, 2], [1, 9, 0], [1, 0, 19]])

    def both(matrix: np.ndarray, word: int) -> tuple[float, float]:
        made = call(answer, matrix.copy(), word)
        expect(
            isinstance(made, (tuple, list, np.ndarray)) and len(made) == 2,
            "there are two numbers",
            hint=f"It returns {show(made)}. Return precision and recall: return precision, recall.",
        )
        return tuple(_number(each, "One of the two", finite=False) for each in made)

    precision, recall = both(matrix, 0)
    story = (
        "Of 10 times that word 0 was answered, 8 were right: precision 0.8. Of 16 times that it was said, 8 "
        f"were heard: recall 0.5. It returns {precision:.3g} and {recall:.3g}"
    )
    expect(
        not (math.isclose(precision, 0.5) and math.isclose(recall, 0.8)),
        "precision comes first, and counts what was answered",
        hint=f"{story}: the other way round. Columns are what was answered.",
    )
    expect(
        not (math.isclose(precision, 4.0) or math.isclose(recall, 1.0)),
        "right answers count among all",
        hint=f"{story}. Divide by the sum of the whole row or column, the right ones included.",
    )
    expect(
        not math.isclose(precision, 8 / 46) and not math.isclose(recall, 8 / 46),
        "only this word's answers count",
        hint=f"{story}. Divide by the sum of a row or a column, not of the whole matrix.",
    )
    expect(
        math.isclose(precision, 0.8) and math.isclose(recall, 0.5),
        "precision is the share of what was answered, recall of what was said",
        hint=f"{story}. Divide the right ones, matrix[word, word], by the column's sum and by the row's.",
    )
    rng = np.random.default_rng(0)
    for size in (2, 10):
        other = rng.integers(1, 30, (size, size))
        for word in range(size):
            wanted = other[word, word] / other[:, word].sum(), other[word, word] / other[word].sum()
            expect(
                np.allclose(both(other, word), wanted),
                "it holds for any matrix and any word",
                hint=f"For word {word} of a matrix of {size} words it should be {wanted[0]:.3f} and "
                f"{wanted[1]:.3f}.",
            )
    with np.errstate(all="ignore"):
        never_answered = both(np.array([[0, 4], [0, 3]]), 0)
        never_said = both(np.array([[0, 0], [2, 3]]), 0)
    expect(
        math.isnan(never_answered[0]) and never_answered[1] == 0,
        "the precision of a word never answered is not a number",
        hint=f"Said four times, never answered: it returns {never_answered[0]:g} and {never_answered[1]:g}; "
        "expected nan and 0. Nothing over nothing is neither good nor bad: return np.nan there.",
    )
    expect(
        math.isnan(never_said[1]) and never_said[0] == 0,
        "the recall of a word never said is not a number",
        hint=f"Never said, answered twice: it returns {never_said[0]:g} and {never_said[1]:g}; expected "
        "0 and nan.",
    )


@exercise
def calibration_error(answer: Callable[[np.ndarray, np.ndarray, int], float]) -> None:
    """Check a function that computes the expected calibration error.

    Parameters
    ----------
    answer : callable
        ``answer(sure, right, n_bins)`` returns the error; `sure` are probabilities, shape (n,), `right` is
        True or False for each.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = calibration_error(lambda sure, right, n_bins: abs(sure.mean() - right.mean()))
    not yet: bins do not make up for each other
    hint: Half of the answers are 20 points too sure and half 20 points not sure enough: the error is 0.2.
    It returns 0. Take the absolute difference in each bin, then the mean.

    Lesson: 07
    """
    sure, right = np.repeat([0.75, 0.95, 0.25], [6, 2, 2]), np.arange(10) < 6
    right[6:8], right[8:] = True, False
    right[:6] = [True, True, True, False, False, False]
    # Bins of 10: 0.75 right 1/2, gap 0.25, six answers; 0.95 right 1, gap 0.05, two; 0.25 right 0, gap 0.25.
    crossed_sure, crossed_right = np.repeat([0.65, 0.85], 100), np.zeros(200, bool)
    crossed_right[:85], crossed_right[100:165] = True, True
    got = _number(call(answer, crossed_sure, crossed_right, 10), "For 200 answers")
    expect(
        not math.isclose(got, 0.0, abs_tol=1e-6),
        "bins do not make up for each other",
        hint="Half of the answers are 20 points too sure and half 20 points not sure enough: the error is "
        f"0.2. It returns {abs(got):.2g}. Take the absolute difference in each bin, then the mean.",
    )
    expect(
        not math.isclose(got, 20, rel_tol=1e-6),
        "the error is a share",
        hint="It returns 20 where 0.2 is meant: leave it a share, from 0 to 1.",
    )
    expect(
        not math.isclose(got, 0.4, rel_tol=1e-6),
        "the bins' gaps are averaged",
        hint="It returns 0.4, the sum of two gaps of 0.2. Weigh each by its share of the answers, n_b / n.",
    )
    expect(
        not math.isclose(got, 0.04, rel_tol=1e-6),
        "gaps count as they are",
        hint="It returns 0.04, the mean of the squares. Take the absolute difference, not its square.",
    )
    expect(
        math.isclose(got, 0.2, rel_tol=1e-6),
        "a bin's gap is the difference of how sure and how often right",
        hint=f"Answers of 65 % are right in 85 %, and those of 85 % in 65 %. The error is 0.2; it returns "
        f"{got:.4g}.",
    )
    got = _number(call(answer, sure, right, 10), "For ten answers in three bins")
    wanted = 0.6 * 0.25 + 0.2 * 0.05 + 0.2 * 0.25
    expect(
        not math.isclose(got, (0.25 + 0.05 + 0.25) / 3, rel_tol=1e-6),
        "a bin counts by its answers",
        hint=f"Six answers with a gap of 0.25, two with 0.05, two with 0.25: {wanted:.3f}. It returns "
        f"{got:.3f}, the plain mean of the three. Weigh each bin by n_b / n.",
    )
    expect(
        not math.isclose(got, (0.25 + 0.05 + 0.25) / 10, rel_tol=1e-6),
        "a bin counts by its answers",
        hint=f"It returns {got:.3f}: empty bins count as if they had no error. Weigh each bin by n_b / n.",
    )
    expect(
        math.isclose(got, wanted, rel_tol=1e-6),
        "each bin counts by its answers",
        hint=f"Six answers with a gap of 0.25, two with 0.05, two with 0.25: {wanted:.3f}. It returns "
        f"{got:.3f}.",
    )
    certain = _number(call(answer, np.ones(4), np.array([True, True, True, False]), 10), "When all are sure")
    expect(
        math.isclose(certain, 0.25, rel_tol=1e-6),
        "a probability of 1 has a bin too",
        hint=f"Four answers of 100 %, three right: 0.25. It returns {certain:.3g}. The last bin includes 1.",
    )
    rng = np.random.default_rng(1)
    for n_bins in (1, 5, 15):
        sure, right = rng.random(300), rng.random(300) < 0.6
        got = _number(call(answer, sure, right, n_bins), f"With {n_bins} bins")
        wanted = _calibration_error(sure, right, n_bins)
        expect(
            math.isclose(got, wanted, rel_tol=1e-6),
            "it holds for any number of bins",
            hint=f"With n_bins = {n_bins} and 300 answers it should be {wanted:.4f}; it returns {got:.4f}. "
            "Let n_bins decide the width.",
        )


def _calibration_error(sure: np.ndarray, right: np.ndarray, n_bins: int) -> float:
    bins = np.searchsorted(np.linspace(0, 1, n_bins + 1)[1:-1], sure)
    gaps = [
        np.mean(bins == b) * abs(right[bins == b].mean() - sure[bins == b].mean()) for b in np.unique(bins)
    ]
    return float(sum(gaps))


@exercise
def difference_interval(
    answer: Callable[[np.ndarray, np.ndarray, np.ndarray, np.random.Generator], tuple[float, float]],
) -> None:
    """Check a function that redraws voices to see by how much one recogniser is better than another.

    Parameters
    ----------
    answer : callable
        ``answer(right_a, right_b, speakers, rng)`` returns the 2.5 % and the 97.5 % quantile of the accuracy
        of B minus that of A over 2000 draws of the voices.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> def clips_not_voices(a, b, speakers, rng):
    ...     drawn = rng.integers(len(a), size=(2000, len(a)))
    ...     return np.quantile(b[drawn].mean(axis=1) - a[drawn].mean(axis=1), [0.025, 0.975])
    >>> outcome = difference_interval(clips_not_voices)
    not yet: voices are drawn, each with all of its clips
    hint: Ten voices: B gains 40 points for three of them and nothing for the others. The interval
          should be about 0.00 to 0.24; it is 0.09 to 0.15, as if clips were drawn.

    Lesson: 07
    """
    speakers = np.repeat([f"voice {i}" for i in range(10)], 50)
    a = np.tile(np.arange(50) < 30, 10)
    b = a.copy()
    for voice in (2, 5, 8):
        b[50 * voice : 50 * voice + 50] = True
    low, high = _pair(answer, a, b, speakers, 0)
    expect(
        low <= high,
        "the lower end comes first",
        hint=f"It returns {low:.3f} and {high:.3f}. Return the 2.5 % quantile, then the 97.5 % one.",
    )
    expect(
        high > 0.01,
        "the difference is B minus A",
        hint=f"B is right wherever A is, and more: it returns {low:.2f} to {high:.2f}. Subtract A from B.",
    )
    expect(
        high < 1,
        "the difference is a share",
        hint=f"It returns {low:.3g} to {high:.3g}. Divide by the number of clips that were drawn.",
    )
    story = (
        "Ten voices: B gains 40 points for three of them and nothing for the others. The interval should be"
    )
    width = high - low
    expect(
        not 0.04 < width < 0.12,
        "voices are drawn, each with all of its clips",
        hint=f"{story} about 0.00 to 0.24; it is {low:.2f} to {high:.2f}, as if clips were drawn.",
    )
    expect(
        0.15 < width < 0.29 and low <= 0.041,
        "both machines get the same draw, and the ends are those of 95 %",
        hint=f"{story} about 0.00 to 0.24; it is {low:.2f} to {high:.2f}. Draw the voices once, compute "
        "both accuracies with that draw, and take the quantiles of the difference at 0.025 and 0.975.",
    )
    low, high = _pair(answer, np.roll(a, 1), np.roll(a, 1), speakers, 1)
    expect(
        abs(low) < 1e-9 and abs(high) < 1e-9,
        "a machine is not better than itself",
        hint=f"Given the same answers twice it returns {low:.3f} to {high:.3f}, not 0 to 0. Use one draw for "
        "both machines.",
    )
    sizes = [90] * 6 + [10] * 6
    uneven = np.repeat([f"voice {i:02d}" for i in range(12)], sizes)
    helped = np.repeat(np.arange(12) >= 6, sizes)
    low, high = _pair(answer, ~helped, np.ones(600, bool), uneven, 2)
    story = (
        "Six voices with 90 clips each, six with 10; B helps all of the small ones. The upper end should be "
        f"about 0.25; it is {high:.2f}."
    )
    expect(
        high < 0.45,
        "a voice with more clips counts more",
        hint=f"{story} Add up right answers and clips of all voices drawn, then divide; do not average "
        "the accuracies of voices.",
    )
    expect(
        high > 0.19,
        "a draw's accuracy is a share of the clips drawn",
        hint=f"{story} Divide by the number of clips of the voices that were drawn, which differs from draw "
        "to draw.",
    )


def _pair(answer: Any, a: np.ndarray, b: np.ndarray, speakers: np.ndarray, seed: int) -> tuple[float, float]:
    made = call(answer, a.copy(), b.copy(), speakers.copy(), np.random.default_rng(seed))
    expect(
        isinstance(made, (tuple, list, np.ndarray)) and len(made) == 2,
        "there are two ends",
        hint=f"It returns {show(made)}. Return (low, high).",
    )
    return tuple(_number(each, "One of the ends") for each in made)


def _number(got: Any, story: str, *, finite: bool = True) -> float:
    one = isinstance(got, (int, float, np.number)) and not isinstance(got, bool)
    expect(
        one and (not finite or math.isfinite(got)),
        "the answer is a number",
        hint=f"{story}: it returns {show(got)}.",
    )
    return float(got)
