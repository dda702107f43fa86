"""How good is a recogniser, for whom, and how sure are we?

A recogniser is here anything with ``labels`` and ``predict(list of arrays) -> (n, n_classes)`` probabilities.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from asrlib import signals

if TYPE_CHECKING:
    from asrlib.datasets import SpeechDataset

__all__ = [
    "Interval",
    "NoiseRow",
    "Report",
    "Row",
    "accuracy",
    "accuracy_against_snr",
    "bootstrap_speakers",
    "by_group",
    "confusion_matrix",
    "evaluate",
    "wilson_interval",
]

_CLIPS_AT_A_TIME = 512
_ENOUGH_SPEAKERS = 10


class Predictor(Protocol):
    """What `evaluate` needs of a recogniser."""

    labels: Sequence[str]

    def predict(self, clips: list[np.ndarray]) -> np.ndarray:
        """Give the probability of each label for each clip, shape (n_clips, n_labels)."""
        ...


class Interval(NamedTuple):
    """A confidence interval, as fractions from 0 to 1."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.low:.1f} to {100 * self.high:.1f} %"


@dataclass(frozen=True)
class Row:
    """The accuracy on one part of the data: a speaker, a group, or all of it."""

    name: str
    n: int
    n_correct: int
    interval: Interval

    @property
    def accuracy(self) -> float:
        """Fraction of right answers."""
        return self.n_correct / self.n


@dataclass(frozen=True)
class NoiseRow(Row):
    """The accuracy at one signal-to-noise ratio, in dB."""

    snr_db: float


def accuracy(expected: Iterable[str], predicted: Iterable[str]) -> float:
    """Compute the fraction of right answers.

    Parameters
    ----------
    expected, predicted : sequences of labels, shape (n,)
        What was said, and what the recogniser answered.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    ValueError
        When there are no answers, or the two differ in number.

    Examples
    --------
    >>> accuracy(["1", "2", "3", "4"], ["1", "2", "3", "8"])
    0.75

    Lesson: 07
    """
    expected, predicted = _label_pair(expected, predicted)
    return float(np.mean(expected == predicted))


def wilson_interval(n_correct: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Compute the interval of true accuracies that are compatible with the answers counted.

    With p the fraction right and z the normal quantile of the confidence, the bounds are
    ``(p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n)``. Unlike p ± z √(p(1-p)/n), they stay within 0 and 1,
    and they leave room for doubt when every answer was right. Clips are taken as independent of each other.

    Parameters
    ----------
    n_correct, n : int
        Number of right answers, and of all answers.
    confidence : float
        Between 0 and 1.

    Returns
    -------
    Interval
        `low` and `high`, from 0 to 1.

    Raises
    ------
    ValueError
        When the counts or the confidence are impossible.

    Examples
    --------
    >>> print(wilson_interval(20, 20))
    83.9 to 100.0 %

    References
    ----------
    .. [1] E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of
       the American Statistical Association 22 (158), 1927, pp. 209-212.
       https://doi.org/10.1080/01621459.1927.10502953

    Lesson: 07
    """
    if not 0 <= n_correct <= n or n < 1:
        raise ValueError(
            f"{n_correct} right of {n} came; expected 0 <= right <= all, and at least one answer."
        )
    _check_confidence(confidence)
    z = statistics.NormalDist().inv_cdf((1 + confidence) / 2)
    p = n_correct / n
    centre = p + z * z / (2 * n)
    reach = z * math.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2)
    scale = 1 + z * z / n
    # All wrong or all right reach the end exactly; rounding must not push them past it.
    low = 0.0 if n_correct == 0 else (centre - reach) / scale
    high = 1.0 if n_correct == n else (centre + reach) / scale
    return Interval(low, high)


def bootstrap_speakers(
    correct: np.ndarray,
    speakers: Iterable[str],
    *,
    rng: np.random.Generator,
    confidence: float = 0.95,
    n_resamples: int = 5000,
) -> Interval:
    """Compute how far the accuracy would move with other speakers of the same kind.

    The clips of one voice succeed or fail together, so the unit that is drawn again, with replacement, is the
    speaker with all of its clips. With fewer than about ten speakers the interval comes out too narrow.

    Parameters
    ----------
    correct : ndarray of bool, shape (n,)
        Whether each answer was right.
    speakers : sequence of str, shape (n,)
        Who spoke each clip.
    rng : numpy.random.Generator
        Draws the speakers.
    confidence : float
        Between 0 and 1.
    n_resamples : int
        Number of draws.

    Returns
    -------
    Interval
        Percentiles of the accuracy over the draws.

    Raises
    ------
    ValueError
        With fewer than two speakers, or when the arrays do not fit.

    Examples
    --------
    Three speakers, of whom one is never understood: anything is possible.

    >>> correct = np.repeat([True, True, False], 100)
    >>> print(bootstrap_speakers(correct, np.repeat(["a", "b", "c"], 100), rng=np.random.default_rng(0)))
    0.0 to 100.0 %

    References
    ----------
    .. [1] M. Bisani and H. Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation",
       Proc. ICASSP, 2004, pp. I-409-412. https://doi.org/10.1109/ICASSP.2004.1326009

    Lesson: 07
    """
    _check_confidence(confidence)
    correct, speakers = _answers_and_names(correct, speakers)
    names, speaker_of_clip = np.unique(speakers, return_inverse=True)
    if len(names) < 2:
        raise ValueError("All clips are by one speaker; drawing speakers again needs at least two.")
    counts = np.bincount(speaker_of_clip)
    right = np.bincount(speaker_of_clip, weights=correct)
    draws = rng.integers(len(names), size=(n_resamples, len(names)))
    accuracies = right[draws].sum(axis=1) / counts[draws].sum(axis=1)
    tail = (1 - confidence) / 2
    return Interval(*(float(bound) for bound in np.quantile(accuracies, [tail, 1 - tail])))


def confusion_matrix(
    expected: Iterable[str], predicted: Iterable[str], *, labels: Sequence[str] | None = None
) -> np.ndarray:
    """Count how often each label was answered for each label that was said.

    Parameters
    ----------
    expected, predicted : sequences of labels, shape (n,)
        What was said, and what the recogniser answered.
    labels : sequence of str, optional
        Order of rows and columns; the sorted labels that occur when left out.

    Returns
    -------
    ndarray of int, shape (n_labels, n_labels)
        Row: what was said. Column: what was answered.

    Raises
    ------
    ValueError
        When a label occurs that is not in `labels`, or the sequences do not fit.

    Examples
    --------
    >>> confusion_matrix(["yes", "yes", "no"], ["yes", "no", "no"], labels=["yes", "no"]).tolist()
    [[1, 1], [0, 1]]

    Lesson: 07
    """
    expected, predicted = _label_pair(expected, predicted)
    occurring = np.union1d(expected, predicted)
    names = occurring.tolist() if labels is None else [str(label) for label in labels]
    unknown = sorted(set(occurring.tolist()) - set(names))
    if unknown:
        raise ValueError(f"The labels {unknown} occur, but labels lists only {names}.")
    position = {name: index for index, name in enumerate(names)}
    rows = [position[name] for name in expected.tolist()]
    columns = [position[name] for name in predicted.tolist()]
    matrix = np.zeros((len(names), len(names)), np.int64)
    np.add.at(matrix, (rows, columns), 1)
    return matrix


def by_group(correct: np.ndarray, groups: Iterable[str], *, confidence: float = 0.95) -> tuple[Row, ...]:
    """Compute the accuracy of each group of clips, such as each speaker, with its Wilson interval.

    Parameters
    ----------
    correct : ndarray of bool, shape (n,)
        Whether each answer was right.
    groups : sequence of str, shape (n,)
        The group of each clip.
    confidence : float
        Between 0 and 1.

    Returns
    -------
    tuple of Row
        One for each group, in order of their names.

    Raises
    ------
    ValueError
        When the arrays do not fit or are empty.

    Examples
    --------
    >>> for row in by_group(np.array([True, False, True]), ["theo", "theo", "lucas"]):
    ...     print(row.name, row.n_correct, "of", row.n)
    lucas 1 of 1
    theo 1 of 2

    Lesson: 07
    """
    correct, groups = _answers_and_names(correct, groups)
    return tuple(
        _row(str(name), correct[groups == name], confidence=confidence) for name in np.unique(groups)
    )


@dataclass(frozen=True, eq=False)
class Report:
    """What an evaluation found. Printed, it is a table.

    Parameters
    ----------
    name : str
        Name of the data set.
    total : Row
        All clips; its interval takes clips as independent (Wilson).
    speaker_interval : Interval or None
        The interval for other speakers (bootstrap); None with a single speaker.
    speakers, groups : tuple of Row
        The accuracy of each speaker and of each group of speakers.
    labels : tuple of str
        Order of the rows and columns of `confusion`, and of the columns of `probabilities`.
    confusion : ndarray of int, shape (n_labels, n_labels)
        Rows: what was said. Columns: what was answered.
    expected, predicted : ndarray of str, shape (n,)
        Labels of each clip, in the data set's order.
    probabilities : ndarray, shape (n, n_labels)
        What the recogniser gave, float32.
    confidence : float
        Of all intervals.
    """

    name: str
    total: Row
    speaker_interval: Interval | None
    speakers: tuple[Row, ...]
    groups: tuple[Row, ...]
    labels: tuple[str, ...]
    confusion: np.ndarray
    expected: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray
    confidence: float = 0.95

    @property
    def n(self) -> int:
        """Number of clips."""
        return self.total.n

    @property
    def accuracy(self) -> float:
        """Fraction of right answers."""
        return self.total.accuracy

    @property
    def interval(self) -> Interval:
        """Wilson interval of the accuracy."""
        return self.total.interval

    @property
    def correct(self) -> np.ndarray:
        """Whether each answer was right, shape (n,)."""
        return self.expected == self.predicted

    def errors(self) -> np.ndarray:
        """Give the positions of the clips that were misheard, to be listened to."""
        return np.flatnonzero(~self.correct)

    def confusions(self, count: int = 5) -> list[tuple[str, str, int]]:
        """List the most frequent errors as (said, answered, how often)."""
        wrong = self.confusion - np.diag(np.diag(self.confusion))
        order = np.argsort(-wrong, axis=None, kind="stable")[:count]
        cells = [np.unravel_index(index, wrong.shape) for index in order]
        return [(self.labels[r], self.labels[c], int(wrong[r, c])) for r, c in cells if wrong[r, c]]

    def table(self, *, most_speakers: int = 12) -> str:
        """Lay the accuracies out as plain text in aligned columns.

        Parameters
        ----------
        most_speakers : int
            With more speakers than this, only the worst of them are listed, and a line says so.
        """
        several_groups = self.groups if len(self.groups) > 1 else ()
        listed, note = self.speakers, ""
        if len(listed) > most_speakers:
            worst_first = sorted(listed, key=lambda row: (row.accuracy, row.name))
            listed = tuple(worst_first[:most_speakers])
            note = f"\n({most_speakers} of {len(self.speakers)} speakers: those with the lowest accuracy)"
        parts = [_Line("all", self.total), *_lines("group", several_groups), *_lines("speaker", listed)]
        return _aligned(parts, self.confidence) + note

    def __str__(self) -> str:
        lines = [f"{self.name}: {100 * self.accuracy:.1f} % of {self.n} clips", "", self.table()]
        if self.speaker_interval is not None:
            few = " (so few that this is too narrow)" if len(self.speakers) < _ENOUGH_SPEAKERS else ""
            lines += [
                "",
                f"With other speakers like these {len(self.speakers)}{few}: {self.speaker_interval}.",
            ]
        if self.confusions():
            heard = ", ".join(f"{said} as {answer} ({count}×)" for said, answer, count in self.confusions())
            lines += [f"Most often misheard: {heard}."]
        return "\n".join(lines)


def evaluate(
    recognizer: Predictor,
    dataset: SpeechDataset,
    *,
    rng: np.random.Generator | None = None,
    confidence: float = 0.95,
) -> Report:
    """Let a recogniser answer every clip of a data set, and count.

    Parameters
    ----------
    recognizer : object with labels and predict
        Its `predict` takes a list of float32 arrays and gives probabilities, shape (n, n_labels).
    dataset : SpeechDataset
        Clips with labels and speakers.
    rng : numpy.random.Generator, optional
        Draws the speakers for `Report.speaker_interval`; ``default_rng(0)`` when left out, so that the same
        answers give the same report.
    confidence : float
        Of the intervals.

    Returns
    -------
    Report
        Print it for a table.

    Raises
    ------
    ValueError
        When the data set is empty, has labels that the recogniser does not know, or the recogniser's
        probabilities have the wrong shape or are not finite.

    Examples
    --------
    >>> from asrlib import datasets, evaluation, recognizer                  # doctest: +SKIP
    >>> print(evaluation.evaluate(recognizer.Recognizer.default(), datasets.digits("test")))  # doctest: +SKIP

    Lesson: 07
    """
    labels = _checked_labels(recognizer, dataset)
    probabilities = _answers(recognizer, dataset, lambda i: dataset.audio(i))
    expected = np.asarray(dataset.labels).astype(str)
    predicted = np.asarray(labels)[probabilities.argmax(axis=1)]
    correct = expected == predicted
    speakers = np.asarray(dataset.speakers).astype(str)
    rng = np.random.default_rng(0) if rng is None else rng
    several = len(np.unique(speakers)) > 1
    return Report(
        name=dataset.name,
        total=_row("all", correct, confidence=confidence),
        speaker_interval=bootstrap_speakers(correct, speakers, rng=rng, confidence=confidence)
        if several
        else None,
        speakers=by_group(correct, speakers, confidence=confidence),
        groups=by_group(correct, dataset.groups, confidence=confidence),
        labels=labels,
        confusion=confusion_matrix(expected, predicted, labels=labels),
        expected=expected,
        predicted=predicted,
        probabilities=probabilities,
        confidence=confidence,
    )


def accuracy_against_snr(
    recognizer: Predictor,
    dataset: SpeechDataset,
    *,
    snrs_db: Sequence[float],
    rng: np.random.Generator,
    noise: Callable[..., np.ndarray] = signals.white_noise,
    confidence: float = 0.95,
) -> tuple[NoiseRow, ...]:
    """Measure the accuracy at several signal-to-noise ratios.

    Every clip meets the same noise at every ratio, only louder or softer, so the curve shows the ratio and
    not the luck of the draw. Mixtures that would pass 1 are scaled down as a whole.

    Parameters
    ----------
    recognizer, dataset
        As in `evaluate`.
    snrs_db : sequence of float
        Ratios in dB, measured during speech (`asrlib.signals.mix`). Infinity means no noise.
    rng : numpy.random.Generator
        Draws the noise.
    noise : callable
        ``noise(seconds, rng=rng)`` gives noise at 16 kHz, as the functions of `asrlib.signals` do;
        ``functools.partial(signals.babble, clips=clips)`` fits too.
    confidence : float
        Of the Wilson intervals.

    Returns
    -------
    tuple of NoiseRow
        One for each ratio, in the order asked for.

    Raises
    ------
    ValueError
        As in `evaluate`, or when no ratio is given.

    Examples
    --------
    >>> from asrlib import datasets, recognizer                              # doctest: +SKIP
    >>> rows = accuracy_against_snr(recognizer.Recognizer.default(), datasets.digits("test"),
    ...                             snrs_db=[20, 10, 0], rng=np.random.default_rng(0))  # doctest: +SKIP

    Lesson: 07
    """
    labels = np.asarray(_checked_labels(recognizer, dataset))
    if len(snrs_db) == 0:
        raise ValueError("snrs_db is empty. Ask for at least one ratio, such as [20, 10, 0].")
    seed = int(rng.integers(2**63))
    expected = np.asarray(dataset.labels).astype(str)
    rows = []
    for snr_db in snrs_db:

        def noisy(i: int, snr_db: float = snr_db) -> np.ndarray:
            clip = dataset.audio(i)
            same_at_every_ratio = np.random.default_rng([seed, i])
            added = noise(len(clip) / signals.audio.SAMPLE_RATE, rng=same_at_every_ratio)
            return signals.mix(clip, added, snr_db=snr_db, limit=True)

        predicted = labels[_answers(recognizer, dataset, noisy).argmax(axis=1)]
        row = _row(_decibels(snr_db), expected == predicted, confidence=confidence)
        rows.append(NoiseRow(row.name, row.n, row.n_correct, row.interval, float(snr_db)))
    return tuple(rows)


def _decibels(snr_db: float) -> str:
    return "no noise" if math.isinf(snr_db) else f"{snr_db:g} dB"


def _row(name: str, correct: np.ndarray, *, confidence: float) -> Row:
    n_correct = int(np.count_nonzero(correct))
    return Row(name, len(correct), n_correct, wilson_interval(n_correct, len(correct), confidence=confidence))


def _checked_labels(recognizer: Predictor, dataset: SpeechDataset) -> tuple[str, ...]:
    labels = tuple(str(label) for label in recognizer.labels)
    if len(dataset) == 0:
        raise ValueError(f"The data set {dataset.name!r} is empty; there is nothing to evaluate.")
    unknown = sorted(set(np.asarray(dataset.labels).astype(str).tolist()) - set(labels))
    if unknown:
        raise ValueError(
            f"The data set {dataset.name!r} has labels that the recogniser does not know: {unknown[:5]}. "
            f"It knows {list(labels)}. Choose clips it was made for, such as dataset.where(label=[...])."
        )
    return labels


def _answers(recognizer: Predictor, dataset: SpeechDataset, clip: Callable[[int], np.ndarray]) -> np.ndarray:
    """Predict a part of the data set at a time, so that a large one does not fill the memory."""
    answers = []
    for start in range(0, len(dataset), _CLIPS_AT_A_TIME):
        part = [clip(i) for i in range(start, min(start + _CLIPS_AT_A_TIME, len(dataset)))]
        answer = np.asarray(recognizer.predict(part), np.float32)
        if answer.shape != (len(part), len(recognizer.labels)) or not np.isfinite(answer).all():
            raise ValueError(
                f"predict gave shape {answer.shape} for {len(part)} clips; expected finite probabilities of "
                f"shape {(len(part), len(recognizer.labels))}."
            )
        answers.append(answer)
    return np.concatenate(answers)


def _label_pair(expected: Iterable[str], predicted: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(expected).astype(str), np.asarray(predicted).astype(str)
    if first.shape != second.shape or first.ndim != 1 or first.size == 0:
        raise ValueError(
            f"Labels of shapes {first.shape} and {second.shape} came; expected two lists of equal length, "
            "with at least one label each."
        )
    return first, second


def _answers_and_names(correct: np.ndarray, names: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    correct, names = np.asarray(correct), np.asarray(names).astype(str)
    if correct.dtype != bool or correct.ndim != 1 or correct.shape != names.shape or correct.size == 0:
        raise ValueError(
            f"Answers ({correct.dtype}, shape {correct.shape}) and names (shape {names.shape}) came; "
            "expected one True or False and one name for each clip, and at least one clip."
        )
    return correct, names


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; it must lie between 0 and 1, such as 0.95.")


class _Line(NamedTuple):
    kind: str
    row: Row


def _lines(kind: str, rows: Iterable[Row]) -> list[_Line]:
    return [_Line(kind, row) for row in rows]


def _aligned(lines: Iterable[_Line], confidence: float) -> str:
    head = ("", "", "clips", "right", f"{100 * confidence:g} % interval")
    cells = [head]
    for kind, row in lines:
        name = "" if kind == row.name else row.name
        cells.append((kind, name, str(row.n), f"{100 * row.accuracy:.1f} %", str(row.interval)))
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    aligned = []
    for line in cells:
        words = [text.ljust(width) for text, width in zip(line[:2], widths[:2], strict=True)]
        numbers = [text.rjust(width) for text, width in zip(line[2:], widths[2:], strict=True)]
        aligned.append("  ".join(words + numbers).rstrip())
    return "\n".join(aligned)
