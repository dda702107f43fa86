"""How good is a recogniser, for whom, and how sure are we?

A recogniser is here anything with ``labels`` and ``predict(list of arrays) -> (n, n_classes)`` probabilities.
How far one text is from another is counted in `asrlib.texts`; its error rates stand here, too.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from asrlib import audio, filters, signals
from asrlib.texts import cer, wer

if TYPE_CHECKING:
    from asrlib.datasets import SpeechDataset

__all__ = [
    "BandwidthRow",
    "Calibration",
    "CalibrationBin",
    "Interval",
    "NoiseRow",
    "Report",
    "Row",
    "accuracy",
    "accuracy_against_bandwidth",
    "accuracy_against_snr",
    "bootstrap_speakers",
    "by_group",
    "calibration",
    "cer",
    "confusion_matrix",
    "evaluate",
    "expected_calibration_error",
    "fit_temperature",
    "leave_one_speaker_out",
    "mcnemar",
    "temper",
    "wer",
    "wilson_interval",
]

_CLIPS_AT_A_TIME = 512
_ENOUGH_SPEAKERS = 10
_LOWPASS_TAPS = 401  # odd; the step from pass to stop is 130 Hz wide at 16 kHz
_TEMPERATURES = (0.01, 100.0)


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


@dataclass(frozen=True)
class BandwidthRow(Row):
    """The accuracy when no frequency above `high_hz` is left; infinity means that all are."""

    high_hz: float


class CalibrationBin(NamedTuple):
    """The answers whose probability lies above `low` and up to `high`."""

    low: float
    high: float
    n: int
    probability: float
    """Their mean probability; not a number when there are none."""
    accuracy: float
    """The share of them that was right; not a number when there are none."""
    interval: Interval
    """Wilson interval of that share; 0 to 1 when there are none."""


@dataclass(frozen=True)
class Calibration:
    """How the probability of an answer compares with how often such answers were right.

    Parameters
    ----------
    bins : tuple of CalibrationBin
        From the least to the most probable answers; together they cover 0 to 1.
    ece : float
        Expected calibration error: the distance of probability and accuracy, averaged over all answers.

    Lesson: 07
    """

    bins: tuple[CalibrationBin, ...]
    ece: float

    @property
    def n(self) -> int:
        """Number of answers."""
        return sum(each.n for each in self.bins)

    @property
    def probability(self) -> float:
        """Mean probability of all answers: the accuracy that the recogniser claims."""
        return sum(each.n * each.probability for each in self.bins if each.n) / self.n

    @property
    def accuracy(self) -> float:
        """Share of right answers: the accuracy that it has."""
        return sum(each.n * each.accuracy for each in self.bins if each.n) / self.n

    def __str__(self) -> str:
        head = f"{'probability':>13} {'answers':>8} {'mean':>8} {'right':>8}"
        rows = [
            f"{100 * each.low:4.0f} to {100 * each.high:3.0f} % {each.n:8d} {100 * each.probability:6.1f} % "
            f"{100 * each.accuracy:6.1f} %"
            for each in self.bins
            if each.n
        ]
        return "\n".join([head, *rows, f"expected calibration error: {100 * self.ece:.1f} points"])


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

    def calibration(self, *, n_bins: int = 10) -> Calibration:
        """Compare the probabilities of the answers with how often they were right (`calibration`)."""
        return calibration(
            self.probabilities, self.expected, labels=self.labels, n_bins=n_bins, confidence=self.confidence
        )

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
    return _report(dataset, labels, probabilities, rng=rng, confidence=confidence)


def leave_one_speaker_out(
    train: Callable[[SpeechDataset], Predictor],
    dataset: SpeechDataset,
    *,
    rng: np.random.Generator | None = None,
    confidence: float = 0.95,
) -> Report:
    """Judge a way of training by speakers that it never heard: each speaker in turn is left out of it.

    There is one training for each speaker, on the clips of all others. So every clip is answered once, by a
    network that did not hear its voice, and no clip is wasted.

    Parameters
    ----------
    train : callable
        ``train(clips)`` takes a `SpeechDataset` and gives a recogniser, as `evaluate` wants it.
    dataset : SpeechDataset
        Clips of two speakers or more.
    rng, confidence
        As in `evaluate`.

    Returns
    -------
    Report
        Of all clips, in the data set's order.

    Raises
    ------
    ValueError
        As in `evaluate`; also with a single speaker, or when the recognisers do not know the same labels.

    Examples
    --------
    >>> from asrlib import datasets, training                                # doctest: +SKIP
    >>> report = leave_one_speaker_out(                                      # doctest: +SKIP
    ...     lambda clips: training.train(clips).recognizer, datasets.fsdd()
    ... )

    References
    ----------
    .. [1] M. Stone, "Cross-validatory choice and assessment of statistical predictions", Journal of the Royal
       Statistical Society B 36 (2), 1974, pp. 111-147. https://doi.org/10.1111/j.2517-6161.1974.tb00994.x

    Lesson: 07
    """
    speakers = np.asarray(dataset.speakers).astype(str)
    names = np.unique(speakers)
    if len(names) < 2:
        raise ValueError(
            f"The data set {dataset.name!r} has {len(names)} speaker; when one is left out, another must be "
            "there to learn from."
        )
    labels: tuple[str, ...] | None = None
    for name in names:
        recognizer, unheard = train(dataset[speakers != name]), dataset[speakers == name]
        known = _checked_labels(recognizer, unheard)
        if labels is None:
            labels = known
            probabilities = np.empty((len(dataset), len(labels)), np.float32)
        elif known != labels:
            raise ValueError(
                f"The recogniser trained without {name} knows {list(known)}, the one before it knew "
                f"{list(labels)}. All must know the same labels in the same order."
            )
        probabilities[speakers == name] = _answers(recognizer, unheard, unheard.audio)
    return _report(dataset, labels, probabilities, rng=rng, confidence=confidence)


def _report(
    dataset: SpeechDataset,
    labels: tuple[str, ...],
    probabilities: np.ndarray,
    *,
    rng: np.random.Generator | None,
    confidence: float,
) -> Report:
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
            added = noise(len(clip) / audio.SAMPLE_RATE, rng=same_at_every_ratio)
            return signals.mix(clip, added, snr_db=snr_db, limit=True)

        predicted = labels[_answers(recognizer, dataset, noisy).argmax(axis=1)]
        row = _row(_decibels(snr_db), expected == predicted, confidence=confidence)
        rows.append(NoiseRow(row.name, row.n, row.n_correct, row.interval, float(snr_db)))
    return tuple(rows)


def accuracy_against_bandwidth(
    recognizer: Predictor,
    dataset: SpeechDataset,
    *,
    cutoffs_hz: Sequence[float],
    confidence: float = 0.95,
) -> tuple[BandwidthRow, ...]:
    """Measure the accuracy when only frequencies up to a cut-off are left, as on a line or an old recording.

    Parameters
    ----------
    recognizer, dataset
        As in `evaluate`.
    cutoffs_hz : sequence of float
        Highest frequencies, in Hz, below half the sample rate. Infinity leaves the clips as they are.
    confidence : float
        Of the Wilson intervals.

    Returns
    -------
    tuple of BandwidthRow
        One for each cut-off, in the order asked for.

    Raises
    ------
    ValueError
        As in `evaluate`, or when there is no cut-off, or one that is not above 0 and below half the rate.

    Notes
    -----
    The filter is a low-pass of 401 taps (`asrlib.filters.fir`), half of the amplitude being left at the
    cut-off. Its delay is taken out. A clip that would pass 1 after it is made softer as a whole.

    Examples
    --------
    >>> from asrlib import datasets, recognizer                              # doctest: +SKIP
    >>> rows = accuracy_against_bandwidth(recognizer.Recognizer.default(), datasets.digits("test"),
    ...                                   cutoffs_hz=[np.inf, 4000, 2000, 1000])  # doctest: +SKIP

    Lesson: 07
    """
    labels = np.asarray(_checked_labels(recognizer, dataset))
    nyquist = audio.SAMPLE_RATE / 2
    if len(cutoffs_hz) == 0 or not all(0 < hz < nyquist or hz == math.inf for hz in cutoffs_hz):
        raise ValueError(
            f"cutoffs_hz={list(cutoffs_hz)} came. Expected frequencies above 0 and below {nyquist:g} Hz, or "
            "infinity for no filter, such as [np.inf, 4000, 2000]."
        )
    expected = np.asarray(dataset.labels).astype(str)
    rows = []
    for cutoff in map(float, cutoffs_hz):
        name = "no filter" if math.isinf(cutoff) else f"{cutoff:g} Hz"
        lowpass = None if math.isinf(cutoff) else filters.fir("lowpass", cutoff, n_taps=_LOWPASS_TAPS)

        def filtered(i: int, lowpass: filters.Fir | None = lowpass) -> np.ndarray:
            clip = dataset.audio(i)
            if lowpass is None:
                return clip
            delay = _LOWPASS_TAPS // 2
            late = filters.apply(lowpass, np.pad(clip, (0, delay)))
            return audio.peak_limit(late[delay:], peak=1.0)

        predicted = labels[_answers(recognizer, dataset, filtered).argmax(axis=1)]
        row = _row(name, expected == predicted, confidence=confidence)
        rows.append(BandwidthRow(row.name, row.n, row.n_correct, row.interval, cutoff))
    return tuple(rows)


def calibration(
    probabilities: np.ndarray,
    expected: Iterable[str],
    *,
    labels: Sequence[str],
    n_bins: int = 10,
    confidence: float = 0.95,
) -> Calibration:
    """Compare how sure a recogniser was of its answers with how often they were right.

    Of each clip the most probable label counts. The answers are sorted by its probability into bins of equal
    width, which hold their upper ends.

    Parameters
    ----------
    probabilities : ndarray, shape (n, n_labels)
        What the recogniser gave; each row adds up to 1.
    expected : sequence of str, shape (n,)
        What was said.
    labels : sequence of str, shape (n_labels,)
        The labels of the columns.
    n_bins : int
        Number of bins.
    confidence : float
        Of the Wilson intervals.

    Returns
    -------
    Calibration
        Print it for a table; `asrlib.plots.reliability` draws it.

    Raises
    ------
    ValueError
        When the arrays do not fit together, or the numbers are no probabilities.

    Examples
    --------
    Four answers, each with 90 %, of which three are right: 15 points too sure.

    >>> sure = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9]])
    >>> print(calibration(sure, ["no", "no", "yes", "no"], labels=["no", "yes"], n_bins=2))
      probability  answers     mean    right
      50 to 100 %        4   90.0 %   75.0 %
    expected calibration error: 15.0 points

    References
    ----------
    .. [1] M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian
       binning", Proc. AAAI 29, 2015, pp. 2901-2907. https://doi.org/10.1609/aaai.v29i1.9602
    .. [2] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of modern neural networks", Proc.
       ICML, 2017, pp. 1321-1330. https://proceedings.mlr.press/v70/guo17a.html

    Lesson: 07
    """
    _check_confidence(confidence)
    if isinstance(n_bins, bool) or not isinstance(n_bins, (int, np.integer)) or n_bins < 1:
        raise ValueError(f"n_bins is {n_bins!r}; expected a whole number of at least 1, such as 10.")
    probabilities, said = _probabilities_and_columns(probabilities, expected, labels)
    correct = probabilities.argmax(axis=1) == said
    sure = np.minimum(probabilities.max(axis=1), 1.0)
    edges = np.linspace(0, 1, n_bins + 1)
    bin_of_answer = np.searchsorted(edges[1:-1], sure)  # an answer on an edge belongs to the bin below it
    bins = tuple(
        _calibration_bin(edges[i], edges[i + 1], sure[mine], correct[mine], confidence=confidence)
        for i in range(n_bins)
        for mine in [bin_of_answer == i]
    )
    gaps = sum(each.n * abs(each.accuracy - each.probability) for each in bins if each.n)
    return Calibration(bins, float(gaps / len(sure)))


def expected_calibration_error(
    probabilities: np.ndarray, expected: Iterable[str], *, labels: Sequence[str], n_bins: int = 10
) -> float:
    """Compute how far the probability of an answer is from the share of right ones, on average.

    Parameters
    ----------
    probabilities, expected, labels, n_bins
        As in `calibration`.

    Returns
    -------
    float
        From 0, where 80 % means right in 80 of 100, to 1.

    Raises
    ------
    ValueError
        As in `calibration`.

    Examples
    --------
    >>> expected_calibration_error(np.array([[0.75, 0.25]]), ["a"], labels=["a", "b"])
    0.25

    Lesson: 07
    """
    return calibration(probabilities, expected, labels=labels, n_bins=n_bins).ece


def temper(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Make probabilities more even (temperature above 1) or more decided (below 1); the order stays.

    The logarithms are divided by the temperature, which is the same as dividing the network's scores before
    the softmax.

    Parameters
    ----------
    probabilities : ndarray, shape (n, n_labels)
        Each row adds up to 1.
    temperature : float
        Above 0. 1 leaves them as they are.

    Returns
    -------
    ndarray, shape (n, n_labels)
        float64; each row adds up to 1.

    Raises
    ------
    ValueError
        When the numbers are no probabilities or the temperature is not above 0.

    Examples
    --------
    >>> temper(np.array([[0.8, 0.2]]), 2.0).round(3).tolist()
    [[0.667, 0.333]]

    Lesson: 07
    """
    probabilities = _checked_probabilities(probabilities)
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature is {temperature!r}; expected a number above 0.")
    scores = _logarithms(probabilities) / temperature
    tempered = np.exp(scores - scores.max(axis=1, keepdims=True))
    return tempered / tempered.sum(axis=1, keepdims=True)


def fit_temperature(probabilities: np.ndarray, expected: Iterable[str], *, labels: Sequence[str]) -> float:
    """Find the temperature at which what was said becomes most likely.

    Fit it on validation clips: on the training clips a network is far surer than on new voices, and on the
    test clips it would no longer be a test.

    Parameters
    ----------
    probabilities, expected, labels
        As in `calibration`.

    Returns
    -------
    float
        From 0.01 to 100: above 1 when the recogniser is too sure, below 1 when it is not sure enough.

    Raises
    ------
    ValueError
        As in `calibration`.

    Examples
    --------
    Sure to 90 %, right in three of four: the answers of 75 % have a temperature of 2.

    >>> sure = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9]])
    >>> round(fit_temperature(sure, ["no", "no", "yes", "no"], labels=["no", "yes"]), 3)
    2.0

    References
    ----------
    .. [1] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of modern neural networks", Proc.
       ICML, 2017, pp. 1321-1330. https://proceedings.mlr.press/v70/guo17a.html

    Lesson: 07
    """
    probabilities, said = _probabilities_and_columns(probabilities, expected, labels)
    scores = _logarithms(probabilities)
    mean_said = scores[np.arange(len(said)), said].mean()

    def slope(sharpness: float) -> float:
        """Give the derivative of the mean negative log-likelihood, which only grows with the sharpness."""
        mean_expected = (temper(probabilities, 1 / sharpness) * scores).sum(axis=1).mean()
        return float(mean_expected - mean_said)

    low, high = (math.log(1 / temperature) for temperature in reversed(_TEMPERATURES))
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(math.exp(middle)) > 0 else (middle, high)
    return math.exp(-(low + high) / 2)


def mcnemar(correct_a: np.ndarray, correct_b: np.ndarray) -> float:
    """Compute how likely chance alone makes two recognisers differ on the same clips as much as these do.

    Only clips count that one of them got right and the other wrong. If the two were equally good, each such
    clip would be a throw of a coin; the exact binomial distribution says how rare so uneven a result is, in
    either direction. Clips are taken as independent of each other.

    Parameters
    ----------
    correct_a, correct_b : ndarray of bool, shape (n,)
        Whether each answered each clip rightly, in the same order.

    Returns
    -------
    float
        The p-value: from 0, which chance cannot explain, to 1.

    Raises
    ------
    ValueError
        When the two are not arrays of True and False of the same length.

    Examples
    --------
    Two recognisers disagree about ten clips, and one of them is right about nine.

    >>> a = np.array([True] * 99 + [False])
    >>> b = np.array([True] * 90 + [False] * 9 + [True])
    >>> round(mcnemar(a, b), 4)
    0.0215

    References
    ----------
    .. [1] Q. McNemar, "Note on the sampling error of the difference between correlated proportions or
       percentages", Psychometrika 12 (2), 1947, pp. 153-157. https://doi.org/10.1007/BF02295996
    .. [2] L. Gillick and S. J. Cox, "Some statistical issues in the comparison of speech recognition
       algorithms", Proc. ICASSP, 1989, pp. 532-535. https://doi.org/10.1109/ICASSP.1989.266481

    Lesson: 07
    """
    a, b = np.asarray(correct_a), np.asarray(correct_b)
    if a.dtype != bool or b.dtype != bool or a.ndim != 1 or a.shape != b.shape or a.size == 0:
        raise ValueError(
            f"Answers ({a.dtype}, shape {a.shape}) and ({b.dtype}, shape {b.shape}) came; expected True or "
            "False for the same clips in the same order, such as Report.correct of two reports."
        )
    only_a, only_b = int(np.count_nonzero(a & ~b)), int(np.count_nonzero(b & ~a))
    n, fewer = only_a + only_b, min(only_a, only_b)
    as_uneven = sum(math.comb(n, k) for k in range(fewer + 1))  # whole numbers: exact, however many
    return min(1.0, 2 * as_uneven / 2**n)


def _calibration_bin(
    low: float, high: float, sure: np.ndarray, correct: np.ndarray, *, confidence: float
) -> CalibrationBin:
    n, right = len(sure), int(np.count_nonzero(correct))
    if not n:
        return CalibrationBin(float(low), float(high), 0, math.nan, math.nan, Interval(0.0, 1.0))
    interval = wilson_interval(right, n, confidence=confidence)
    return CalibrationBin(float(low), float(high), n, float(sure.mean()), right / n, interval)


def _logarithms(probabilities: np.ndarray) -> np.ndarray:
    """Take logarithms; a probability that was rounded to 0 counts as the least that float32 can hold."""
    return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))


def _checked_probabilities(probabilities: np.ndarray) -> np.ndarray:
    values = np.asarray(probabilities, np.float64)
    if values.ndim != 2 or values.size == 0:
        raise ValueError(f"Probabilities of shape {values.shape} came; expected (n, n_labels), not empty.")
    if not np.isfinite(values).all() or values.min() < 0 or np.abs(values.sum(axis=1) - 1).max() > 1e-3:
        raise ValueError(
            f"Each row of probabilities adds up to 1 and has none below 0; these reach from {values.min():g} "
            f"to {values.max():g}, and rows add up to {values.sum(axis=1).min():g} to "
            f"{values.sum(axis=1).max():g}. Scores need a softmax first."
        )
    return values


def _probabilities_and_columns(
    probabilities: np.ndarray, expected: Iterable[str], labels: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the probabilities and, for each clip, the column of what was said."""
    values, names = _checked_probabilities(probabilities), [str(label) for label in labels]
    expected = np.asarray(expected).astype(str)
    if expected.ndim != 1 or values.shape != (len(expected), len(names)):
        raise ValueError(
            f"Probabilities of shape {values.shape} came for {expected.shape} labels said and {len(names)} "
            "labels known; expected one row for each clip and one column for each label known."
        )
    unknown = sorted(set(expected.tolist()) - set(names))
    if unknown:
        raise ValueError(f"The labels {unknown} were said, but labels lists only {names}.")
    position = {name: column for column, name in enumerate(names)}
    return values, np.array([position[name] for name in expected.tolist()])


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
