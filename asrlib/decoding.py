"""From one score per frame and class to text: connectionist temporal classification (CTC), in NumPy alone.

A network looks at many frames and gives each of them one score per class: the labels that text is made of,
and the *blank*, which writes nothing. A *path* picks one class per frame. Its text is what `collapse` leaves:
merge repeats, then drop blanks. Many paths have the same text, and everything here follows from summing over
them:

- the *loss* of a text: `ctc_forward`, `ctc_backward`, `ctc_posterior`, `ctc_loss`, `ctc_gradient`;
- the *most probable path*: `greedy` for any text, `forced_alignment` for a given one;
- the *most probable text*: `beam_search`, which may ask a grammar or a language model for its opinion.

``scores`` always has the shape (n_frames, n_classes). Raw scores (logits) and natural logarithms of
probabilities are both right, since `log_softmax`, which every function begins with, turns the first into the
second and leaves the second as they are. Probabilities themselves are refused. The blank is class 0, as in
Keras, unless you say otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import NamedTuple, Protocol, TypeVar

import numpy as np

__all__ = [
    "BLANK",
    "Alignment",
    "Bigram",
    "Hypothesis",
    "LengthGrammar",
    "Span",
    "TextScore",
    "beam_search",
    "collapse",
    "ctc_backward",
    "ctc_forward",
    "ctc_gradient",
    "ctc_loss",
    "ctc_posterior",
    "forced_alignment",
    "frames_needed",
    "greedy",
    "log_softmax",
    "to_labels",
    "to_words",
    "with_blanks",
]

BLANK = 0
"""The class that writes nothing: 0, as in ``keras.losses.CTC`` and ``keras.ops.ctc_loss``."""

Symbol = TypeVar("Symbol", bound=Hashable)
_NEVER = -math.inf  # the logarithm of a probability of 0
_ONE = 1e-5  # softmax in float32 misses a sum of 1 by less


# --- scores, paths and texts --------------------------------------------------------------------------------


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """Turn scores into natural logarithms of probabilities; what already is one stays as it is.

    Parameters
    ----------
    scores : array, shape (..., n_classes)
        Raw scores or logarithms of probabilities; minus infinity stands for a probability of 0.

    Returns
    -------
    float64 array, shape (..., n_classes)
        The exponentials add up to 1 along the last axis.

    Raises
    ------
    ValueError
        When there are fewer than two classes, a value is not a number, or probabilities came.

    Examples
    --------
    >>> logs = log_softmax([[0.0, 0.0, 0.0, 0.0]])
    >>> np.exp(logs)
    array([[0.25, 0.25, 0.25, 0.25]])
    >>> bool(np.allclose(log_softmax(logs), logs))
    True

    Lesson: 08
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim < 1 or scores.shape[-1] < 2 or not scores.size:
        raise ValueError(
            f"scores of shape {scores.shape} came. Expected (n_frames, n_classes) with at least one frame "
            "and two classes, the blank and one label."
        )
    top = scores.max(axis=-1, keepdims=True)
    if not np.isfinite(top).all():  # NaN, plus infinity, or a frame of nothing but minus infinity
        raise ValueError(
            "scores hold NaN, plus infinity, or a frame in which every class is impossible. Expected raw "
            "scores or logarithms of probabilities; look at the features or the training that they came from."
        )
    if (scores >= 0).all() and np.allclose(scores.sum(axis=-1), 1, rtol=0, atol=_ONE):
        raise ValueError(
            "These look like probabilities: none is negative, and each frame adds up to 1. Expected raw "
            "scores or logarithms; pass np.log(probabilities)."
        )
    return scores - top - np.log(np.exp(scores - top).sum(axis=-1, keepdims=True))


def collapse(path: Iterable[Symbol], *, blank: Symbol = BLANK) -> list[Symbol]:
    """Read a path as text: merge repeats, then drop blanks.

    A blank between two equal symbols keeps them apart; that is how a doubled one is written.

    Parameters
    ----------
    path : iterable
        One symbol per frame: class numbers, or characters.
    blank : symbol
        The one that writes nothing; 0 if left out. Name it when the symbols are characters.

    Returns
    -------
    list
        What is left, in order.

    Raises
    ------
    ValueError
        When the path consists of text and the blank does not, or the other way round, so that it could never
        occur.

    Examples
    --------
    >>> collapse([0, 5, 5, 0, 0, 3, 0, 3])
    [5, 3, 3]
    >>> "".join(collapse("hheel-llo--", blank="-"))
    'hello'

    References
    ----------
    A. Graves, S. Fernández, F. Gomez, J. Schmidhuber, "Connectionist Temporal Classification: Labelling
    Unsegmented Sequence Data with Recurrent Neural Networks", ICML 2006, section 3.1.
    https://doi.org/10.1145/1143844.1143891

    Lesson: 08
    """
    path = path.tolist() if isinstance(path, np.ndarray) else list(path)
    for symbol in path:
        if isinstance(symbol, str) != isinstance(blank, str):
            raise ValueError(
                f"The path holds {symbol!r} and the blank is {blank!r}: they are never equal. Expected both "
                "as class numbers or both as text, such as collapse('a-a', blank='-')."
            )
    return [symbol for symbol, _ in groupby(path) if symbol != blank]


def to_labels(words: Iterable[str], names: Sequence[str], *, blank: int = BLANK) -> list[int]:
    """Return the class number of each word: its place among the names, leaving a place for the blank.

    Parameters
    ----------
    words : iterable of str
        A text, cut into what the names name; ``"5 0 3".split()``, for example.
    names : sequence of str
        The labels in the order of their classes, without the blank.
    blank : int
        The class of the blank.

    Returns
    -------
    list of int

    Raises
    ------
    ValueError
        When a word has no name, or the blank no place.

    Examples
    --------
    >>> to_labels("5 0 3".split(), "0123456789")
    [6, 1, 4]

    Lesson: 08
    """
    classes = _classes(names, blank)
    number = {name: place for place, name in enumerate(classes) if name is not None}
    words = list(words)
    unknown = sorted({str(word) for word in words if word not in number})
    if unknown:
        raise ValueError(f"{', '.join(unknown)} came. Expected words among {', '.join(number)}.")
    return [number[word] for word in words]


def to_words(labels: Iterable[int], names: Sequence[str], *, blank: int = BLANK) -> list[str]:
    """Return the name of each class number: the inverse of `to_labels`.

    Parameters
    ----------
    labels : iterable of int
        Class numbers without blanks, such as ``greedy(scores).labels``.
    names : sequence of str
        The labels in the order of their classes, without the blank.
    blank : int
        The class of the blank.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        When a number is the blank's or no class's.

    Examples
    --------
    >>> to_words([6, 1, 4], "0123456789")
    ['5', '0', '3']

    Lesson: 08
    """
    classes = _classes(names, blank)
    return [classes[label] for label in _checked_target(labels, n_classes=len(classes), blank=blank)]


def _classes(names: Sequence[str], blank: int) -> list[str | None]:
    """Put None where the blank stands among the names."""
    names = list(names)
    if len(set(names)) < len(names):
        raise ValueError(f"The names {', '.join(names)} hold one twice. Expected each class to have its own.")
    _check_blank(blank, len(names) + 1)
    return [*names[:blank], None, *names[blank:]]


def with_blanks(target: Iterable[int], *, blank: int = BLANK) -> np.ndarray:
    """Return the nodes of the lattice: the labels of a text with a blank before, between and after them.

    Parameters
    ----------
    target : iterable of int, shape (n_labels,)
        The text as class numbers.
    blank : int
        The class of the blank.

    Returns
    -------
    int array, shape (2 n_labels + 1,)

    Raises
    ------
    ValueError
        When the text holds the blank, or what is no class number.

    Examples
    --------
    >>> with_blanks([5, 3, 3]).tolist()
    [0, 5, 0, 3, 0, 3, 0]

    Lesson: 08
    """
    target = _checked_target(target, n_classes=None, blank=blank)
    nodes = np.full(2 * len(target) + 1, blank)
    nodes[1::2] = target
    return nodes


def frames_needed(target: Iterable[int]) -> int:
    """Return how many frames a text needs at least.

    One per label, and one per blank between equal neighbours.


    Parameters
    ----------
    target : iterable of int
        The text as class numbers, without blanks.

    Returns
    -------
    int

    Examples
    --------
    >>> frames_needed([5, 3, 3])
    4

    Lesson: 08
    """
    target = list(target)
    return len(target) + sum(one == next_one for one, next_one in pairwise(target))


# --- all paths of one text: the forward and the backward recursion ------------------------------------------


def ctc_forward(scores: np.ndarray, target: Sequence[int], *, blank: int = BLANK) -> np.ndarray:
    """Sum the paths that reach each node of the lattice at each frame, in the log domain.

    With node s of `with_blanks`, y the probabilities and l its class, the recursion is
    α(t, s) = y(t, l(s)) · [α(t-1, s) + α(t-1, s-1) + α(t-1, s-2)]: a path stays, goes on by one node, or
    jumps over a blank. The jump exists only towards a label that differs from the one before. A path starts
    at one of the first two nodes and ends at one of the last two. Products of hundreds of probabilities leave
    the range of floating-point numbers, and so their logarithms are added.

    Parameters
    ----------
    scores : array, shape (n_frames, n_classes)
        Raw scores or logarithms of probabilities.
    target : sequence of int, shape (n_labels,)
        The text as class numbers, without blanks. It may be empty.
    blank : int
        The class of the blank.

    Returns
    -------
    float64 array, shape (n_frames, 2 n_labels + 1)
        log α; minus infinity where no path leads.

    Raises
    ------
    ValueError
        When the scores, the target or the blank are impossible.

    Examples
    --------
    All three classes are equally probable, so each of the 27 paths of three frames has a probability of 1/27.
    Those for [1, 2] are 112, 122, 012, 102 and 120:

    >>> alphas = ctc_forward(np.zeros((3, 3)), [1, 2])
    >>> (27 * np.exp(alphas[-1, -2:])).round(6).tolist()
    [4.0, 1.0]

    References
    ----------
    A. Graves, S. Fernández, F. Gomez, J. Schmidhuber, "Connectionist Temporal Classification: Labelling
    Unsegmented Sequence Data with Recurrent Neural Networks", ICML 2006, section 4.1.
    https://doi.org/10.1145/1143844.1143891

    Lesson: 08
    """
    log_probabilities, nodes, jumps = _lattice(scores, target, blank)
    emitted = log_probabilities[:, nodes]
    alphas = np.full_like(emitted, _NEVER)
    alphas[0, :2] = emitted[0, :2]
    for frame in range(1, len(alphas)):
        alphas[frame] = emitted[frame] + _arrive(alphas[frame - 1], jumps)
    return alphas


def ctc_backward(scores: np.ndarray, target: Sequence[int], *, blank: int = BLANK) -> np.ndarray:
    """Sum the ways to complete the text from each node of the lattice after each frame, in the log domain.

    The recursion of `ctc_forward` from the end. The frame itself is not counted, and so α · β is the
    probability of all paths through a node: at every frame, these add up to the probability of the text.

    Parameters
    ----------
    scores : array, shape (n_frames, n_classes)
        Raw scores or logarithms of probabilities.
    target : sequence of int, shape (n_labels,)
        The text as class numbers, without blanks.
    blank : int
        The class of the blank.

    Returns
    -------
    float64 array, shape (n_frames, 2 n_labels + 1)
        log β; 0 at the last two nodes of the last frame.

    Raises
    ------
    ValueError
        When the scores, the target or the blank are impossible.

    Examples
    --------
    >>> scores, target = np.random.default_rng(0).normal(size=(6, 4)), [1, 3]
    >>> through = ctc_forward(scores, target) + ctc_backward(scores, target)
    >>> bool(np.allclose(np.logaddexp.reduce(through, axis=1), -ctc_loss(scores, target)))
    True

    References
    ----------
    Graves et al. 2006, section 4.1; they count the frame itself in β too. See `ctc_forward`.

    Lesson: 08
    """
    log_probabilities, nodes, jumps = _lattice(scores, target, blank)
    emitted = log_probabilities[:, nodes]
    betas = np.full_like(emitted, _NEVER)
    betas[-1, -2:] = 0.0
    for frame in reversed(range(len(betas) - 1)):
        betas[frame] = _leave(betas[frame + 1] + emitted[frame + 1], jumps)
    return betas


def ctc_posterior(scores: np.ndarray, target: Sequence[int], *, blank: int = BLANK) -> np.ndarray:
    """Say how probable it is that the text was at each node in each frame, given that it is the text.

    Parameters
    ----------
    scores : array, shape (n_frames, n_classes)
        Raw scores or logarithms of probabilities.
    target : sequence of int, shape (n_labels,)
        The text as class numbers, without blanks.
    blank : int
        The class of the blank.

    Returns
    -------
    float64 array, shape (n_frames, 2 n_labels + 1)
        Probabilities; each frame adds up to 1.

    Raises
    ------
    ValueError
        When the scores, the target or the blank are impossible, or no path has this text.

    Examples
    --------
    >>> ctc_posterior(np.zeros((3, 3)), [1, 2]).round(1).tolist()
    [[0.2, 0.8, 0.0, 0.0, 0.0], [0.0, 0.4, 0.2, 0.4, 0.0], [0.0, 0.0, 0.0, 0.8, 0.2]]

    References
    ----------
    Graves et al. 2006, section 4.2. See `ctc_forward`.

    Lesson: 08
    """
    through = ctc_forward(scores, target, blank=blank) + ctc_backward(scores, target, blank=blank)
    total = np.logaddexp.reduce(through[-1])
    if total == _NEVER:
        raise _no_path(len(through), target)
    return np.exp(through - total)


def ctc_loss(
    scores: np.ndarray,
    target: Sequence[int] | np.ndarray | Sequence[Sequence[int]],
    *,
    n_frames: Sequence[int] | None = None,
    n_labels: Sequence[int] | None = None,
    blank: int = BLANK,
) -> float | np.ndarray:
    """Return minus the logarithm of the probability of a text: of all its paths together.

    Parameters
    ----------
    scores : array, shape (n_frames, n_classes) or (batch, n_frames, n_classes)
        Raw scores or logarithms of probabilities, of one clip or of a padded batch.
    target : sequence of int, or for a batch an array, shape (batch, n_labels), or a list of sequences
        The text as class numbers, without blanks. It may be empty.
    n_frames : sequence of int, shape (batch,), optional
        Frames of each clip of a batch, when later ones only pad it.
    n_labels : sequence of int, shape (batch,), optional
        Labels of each text of a batch, when `target` is a padded array. What pads it does not matter.
    blank : int
        The class of the blank.

    Returns
    -------
    float, or float64 array of shape (batch,)
        In nats, one per clip. Infinity for a text that no path has, where Keras on TensorFlow gives a number
        above 700.

    Raises
    ------
    ValueError
        When the scores, the target, the lengths or the blank are impossible.

    Examples
    --------
    Five of 27 equally probable paths have the text [1, 2]; none of three frames has [1, 1, 1]:

    >>> round(27 * float(np.exp(-ctc_loss(np.zeros((3, 3)), [1, 2]))), 6)
    5.0
    >>> ctc_loss(np.zeros((2, 3, 3)), [[1, 2], [1, 1, 1]]).round(3).tolist()
    [1.686, inf]

    References
    ----------
    Graves et al. 2006, equation 8. See `ctc_forward`.

    Lesson: 08
    """
    scores = np.asarray(scores)
    if scores.ndim == 3:
        return _batch_loss(scores, target, n_frames=n_frames, n_labels=n_labels, blank=blank)
    if n_frames is not None or n_labels is not None:
        raise ValueError(
            f"n_frames or n_labels came with scores of shape {scores.shape}. They are for a batch; cut one "
            "clip to its length, or pass scores of shape (batch, n_frames, n_classes)."
        )
    return -float(np.logaddexp.reduce(ctc_forward(scores, target, blank=blank)[-1, -2:]))


def ctc_gradient(scores: np.ndarray, target: Sequence[int], *, blank: int = BLANK) -> np.ndarray:
    """Return how `ctc_loss` changes with each raw score: what was predicted minus what the text asks for.

    Parameters
    ----------
    scores : array, shape (n_frames, n_classes)
        Raw scores.
    target : sequence of int, shape (n_labels,)
        The text as class numbers, without blanks.
    blank : int
        The class of the blank.

    Returns
    -------
    float64 array, shape (n_frames, n_classes)
        softmax(scores) minus the posterior of each class; each frame adds up to 0.

    Raises
    ------
    ValueError
        When the scores, the target or the blank are impossible, or no path has this text.

    Examples
    --------
    With one frame and one label it is the gradient of the ordinary cross-entropy:

    >>> ctc_gradient(np.zeros((1, 4)), [2]).tolist()
    [[0.25, 0.25, -0.75, 0.25]]

    References
    ----------
    Graves et al. 2006, equation 16. See `ctc_forward`.

    Lesson: 08
    """
    posterior = ctc_posterior(scores, target, blank=blank)
    slopes = np.exp(log_softmax(scores))
    # A class may stand at several nodes, the blank always does: subtract.at takes away from it each time.
    np.subtract.at(slopes, (slice(None), with_blanks(target, blank=blank)), posterior)
    return slopes


def _lattice(
    scores: np.ndarray, target: Sequence[int], blank: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the log-probabilities, the class of each node, and which nodes a jump leads to."""
    log_probabilities = _checked_scores(scores, blank)
    target = _checked_target(target, n_classes=log_probabilities.shape[1], blank=blank)
    nodes = with_blanks(target, blank=blank)
    return log_probabilities, nodes, _jumps(nodes, blank)


def _jumps(nodes: np.ndarray, blank: int) -> np.ndarray:
    """Say which nodes may be reached from two before: labels that differ from the label before."""
    jumps = np.zeros(nodes.shape, bool)
    jumps[..., 2:] = (nodes[..., 2:] != blank) & (nodes[..., 2:] != nodes[..., :-2])
    return jumps


def _arrive(before: np.ndarray, jumps: np.ndarray) -> np.ndarray:
    """Add up, for each node, what stays there, comes from one before, and jumps from two before."""
    jumping = np.where(jumps, _later(before, 2), _NEVER)
    return np.logaddexp(np.logaddexp(before, _later(before, 1)), jumping)


def _leave(after: np.ndarray, jumps: np.ndarray) -> np.ndarray:
    """Add up, for each node, where a path may go: the same three moves, seen from where they start."""
    jumping = np.where(jumps, after, _NEVER)
    return np.logaddexp(np.logaddexp(after, _later(after[::-1], 1)[::-1]), _later(jumping[::-1], 2)[::-1])


def _later(values: np.ndarray, by: int) -> np.ndarray:
    """Move values to later nodes; nothing comes from before the first."""
    moved = np.full_like(values, _NEVER)
    moved[..., by:] = values[..., :-by]
    return moved


def _batch_loss(
    scores: np.ndarray,
    targets: np.ndarray | Sequence[Sequence[int]],
    *,
    n_frames: Sequence[int] | None,
    n_labels: Sequence[int] | None,
    blank: int,
) -> np.ndarray:
    """Run the forward recursion of all clips of a batch at once."""
    batch, longest, n_classes = scores.shape
    _check_blank(blank, n_classes)
    log_probabilities = log_softmax(scores)
    ends = _lengths(n_frames, "n_frames", batch=batch, low=1, high=longest)
    texts = _texts(targets, n_labels, batch=batch, n_classes=n_classes, blank=blank)
    nodes = np.full((batch, 2 * max(map(len, texts)) + 1), blank)
    for row, text in zip(nodes, texts, strict=True):
        row[1 : 2 * len(text) : 2] = text
    jumps = _jumps(nodes, blank)
    emitted = np.take_along_axis(log_probabilities, nodes[:, None, :], axis=2)  # (batch, n_frames, n_nodes)
    alphas = np.full(nodes.shape, _NEVER)
    alphas[:, :2] = emitted[:, 0, :2]
    for frame in range(1, longest):
        going_on = (frame < ends)[:, None]
        alphas = np.where(going_on, emitted[:, frame] + _arrive(alphas, jumps), alphas)
    # Nodes that only pad a text lie after its own, and no path comes back from there.
    return np.array(
        [
            -np.logaddexp.reduce(row[max(2 * len(text) - 1, 0) : 2 * len(text) + 1])
            for row, text in zip(alphas, texts, strict=True)
        ]
    )


# --- the most probable path ---------------------------------------------------------------------------------


class Span(NamedTuple):
    """Where a path holds one label."""

    label: int
    start: float
    """In seconds, of the first frame with this label."""
    end: float
    """In seconds, of the end of the last one."""
    probability: float
    """Of the label in these frames: their geometric mean."""


@dataclass(frozen=True)
class Alignment:
    """One path: a class for each frame.

    Parameters
    ----------
    path : tuple of int, length n_frames
        Class numbers, with blanks.
    log_probabilities : tuple of float, length n_frames
        Of these classes, in their frames.
    blank : int
        The class of the blank.

    Examples
    --------
    >>> alignment = Alignment(path=(0, 5, 5, 0), log_probabilities=(-0.5, -0.25, -0.25, -1.0))
    >>> alignment.labels, alignment.log_probability
    ((5,), -2.0)

    Lesson: 08
    """

    path: tuple[int, ...]
    log_probabilities: tuple[float, ...]
    blank: int = BLANK

    @property
    def labels(self) -> tuple[int, ...]:
        """The text: what is left of the path when repeats are merged and blanks dropped."""
        return tuple(collapse(self.path, blank=self.blank))

    @property
    def log_probability(self) -> float:
        """Natural logarithm of the probability of this one path."""
        return math.fsum(self.log_probabilities)

    def spans(self, *, frame_seconds: float) -> list[Span]:
        """Return when each label of the text is there.

        A network that was trained with CTC often holds a label for a frame or two only, and blanks around it:
        the times say where a word is, not how long it lasts.

        Parameters
        ----------
        frame_seconds : float
            Time from one frame of the scores to the next, in seconds: the hop of the features, times all
            pooling over time.

        Returns
        -------
        list of Span
            One per label, in order.

        Raises
        ------
        ValueError
            When the time is not positive.

        Examples
        --------
        >>> path = Alignment(path=(0, 5, 5, 0, 3), log_probabilities=(0.0,) * 5)
        >>> [(span.label, span.start, span.end) for span in path.spans(frame_seconds=0.25)]
        [(5, 0.25, 0.75), (3, 1.0, 1.25)]
        """
        if not (math.isfinite(frame_seconds) and frame_seconds > 0):
            raise ValueError(
                f"frame_seconds={frame_seconds!r} came. Expected a positive number of seconds, such as 0.020."
            )
        spans, frame = [], 0
        for label, same in groupby(self.path):
            first, frame = frame, frame + len(list(same))
            if label != self.blank:
                mean = math.fsum(self.log_probabilities[first:frame]) / (frame - first)
                spans.append(Span(label, first * frame_seconds, frame * frame_seconds, math.exp(mean)))
        return spans


def greedy(scores: np.ndarray, *, blank: int = BLANK) -> Alignment:
    """Take the most probable class in every frame: the most probable path.

    Its text need not be the most probable one: another text may have many paths that together weigh more.

    Parameters
    ----------
    scores : array, shape (n_frames, n_classes)
        Raw scores or logarithms of probabilities.
    blank : int
        The class of the blank.

    Returns
    -------
    Alignment
        `labels` is the text, `path` the class of each frame; `spans` gives times.

    Raises
    ------
    ValueError
        When the scores or the blank are impossible.

    Examples
    --------
    >>> greedy(np.log([[0.6, 0.4], [0.6, 0.4]])).labels
    ()

    References
    ----------
    Graves et al. 2006, section 3.2, "best path decoding". See `ctc_forward`.

    Lesson: 08
    """
    log_probabilities = _checked_scores(scores, blank)
    return _alignment(log_probabilities, log_probabilities.argmax(axis=1), blank)


def forced_alignment(scores: np.ndarray, target: Sequence[int], *, blank: int = BLANK) -> Alignment:
    """Find the most probable path of a given text, and with it when each label was said (Viterbi).

    The lattice of `ctc_forward`, but each node keeps the best of the ways that lead there instead of their
    sum, and remembers which it was. Of equally good ways the one that stays longer is taken.

    Parameters
    ----------
    scores : array, shape (n_frames, n_classes)
        Raw scores or logarithms of probabilities.
    target : sequence of int, shape (n_labels,)
        The text as class numbers, without blanks.
    blank : int
        The class of the blank.

    Returns
    -------
    Alignment
        `spans` gives the time of each label of the text; `log_probability` is that of this path.

    Raises
    ------
    ValueError
        When the scores, the target or the blank are impossible, or no path has this text.

    Examples
    --------
    >>> alignment = forced_alignment(np.log([[0.6, 0.4], [0.3, 0.7]]), [1])
    >>> alignment.path
    (0, 1)
    >>> [(span.label, span.start, span.end) for span in alignment.spans(frame_seconds=0.5)]
    [(1, 0.5, 1.0)]

    References
    ----------
    A. J. Viterbi, "Error bounds for convolutional codes and an asymptotically optimum decoding algorithm",
    IEEE Transactions on Information Theory 13(2), 1967. https://doi.org/10.1109/TIT.1967.1054010

    Lesson: 08
    """
    log_probabilities, nodes, jumps = _lattice(scores, target, blank)
    emitted = log_probabilities[:, nodes]
    best = np.full(len(nodes), _NEVER)
    best[:2] = emitted[0, :2]
    moves = np.zeros(emitted.shape, int)  # by how many nodes the best way moved to arrive here
    for frame in range(1, len(emitted)):
        ways = np.stack([best, _later(best, 1), np.where(jumps, _later(best, 2), _NEVER)])
        moves[frame] = ways.argmax(axis=0)
        best = emitted[frame] + ways.max(axis=0)
    node = len(nodes) - 1
    if len(nodes) > 1 and best[-2] >= best[-1]:
        node -= 1
    if best[node] == _NEVER:
        raise _no_path(len(emitted), target)
    visited = np.empty(len(emitted), int)
    for frame in reversed(range(len(emitted))):
        visited[frame] = node
        node -= moves[frame, node]
    return _alignment(log_probabilities, nodes[visited], blank)


def _alignment(log_probabilities: np.ndarray, path: np.ndarray, blank: int) -> Alignment:
    chosen = np.take_along_axis(log_probabilities, path[:, None], axis=1)[:, 0]
    return Alignment(path=tuple(path.tolist()), log_probabilities=tuple(chosen.tolist()), blank=int(blank))


# --- the most probable text ---------------------------------------------------------------------------------


class TextScore(Protocol):
    """What `beam_search` asks about a text: anything with these two methods.

    Both answer with a natural logarithm: of a probability, or of any other weight. Minus infinity forbids.

    Lesson: 08
    """

    def step(self, prefix: tuple[int, ...], label: int) -> float:
        """Say how well a label goes on after a prefix."""
        ...

    def end(self, prefix: tuple[int, ...]) -> float:
        """Say how well a text ends after a prefix."""
        ...


@dataclass(frozen=True)
class LengthGrammar:
    """A grammar that permits some numbers of labels, and some labels.

    Parameters
    ----------
    shortest, longest : int
        Fewest and most labels of a text; any number of them if `longest` is left out.
    labels : collection of int, optional
        Class numbers that may occur; all if left out.

    Raises
    ------
    ValueError
        When no text could be permitted.

    Examples
    --------
    Two digits, neither more nor less:

    >>> grammar = LengthGrammar(shortest=2, longest=2)
    >>> grammar.step((5,), 3), grammar.step((5, 3), 1), grammar.end((5,))
    (0.0, -inf, -inf)

    Lesson: 08
    """

    shortest: int = 0
    longest: int | None = None
    labels: Collection[int] | None = None

    def __post_init__(self) -> None:
        if self.shortest < 0 or (self.longest is not None and self.longest < self.shortest):
            raise ValueError(
                f"shortest={self.shortest!r} and longest={self.longest!r} came. Expected 0 <= shortest <= "
                "longest."
            )

    def step(self, prefix: tuple[int, ...], label: int) -> float:
        """Forbid labels that the grammar does not know, and one too many."""
        too_long = self.longest is not None and len(prefix) >= self.longest
        return _NEVER if too_long or (self.labels is not None and label not in self.labels) else 0.0

    def end(self, prefix: tuple[int, ...]) -> float:
        """Forbid a text that is too short."""
        return _NEVER if len(prefix) < self.shortest else 0.0


class Bigram:
    """A language model that knows how probable each label is after each other one.

    Parameters
    ----------
    log_probabilities : array, shape (n_classes, n_classes)
        Natural logarithms. Row: the label before. Column: the label after. No text holds a blank, so that its
        row stands for the beginning of a text and its column for the end. The exponentials of each row add up
        to 1.
    blank : int
        The class of the blank.

    Raises
    ------
    ValueError
        When the table is not square, or a row does not add up to 1.

    Examples
    --------
    >>> model = Bigram.from_texts([[1, 2], [1, 2], [1, 1]], n_classes=3, smoothing=0.5)
    >>> model.step((), 1) > model.step((), 2)
    True
    >>> round(float(np.exp(model.log_probability([1, 2]))), 3)
    0.253

    References
    ----------
    S. F. Chen, J. Goodman, "An empirical study of smoothing techniques for language modeling", Computer
    Speech & Language 13(4), 1999, section 2. https://doi.org/10.1006/csla.1999.0128

    Lesson: 08
    """

    def __init__(self, log_probabilities: np.ndarray, *, blank: int = BLANK) -> None:
        table = np.array(log_probabilities, dtype=np.float64)
        if table.ndim != 2 or table.shape[0] != table.shape[1] or len(table) < 2:
            raise ValueError(f"A table of shape {table.shape} came. Expected (n_classes, n_classes).")
        _check_blank(blank, len(table))
        if not np.allclose(np.exp(table).sum(axis=1), 1, rtol=0, atol=_ONE):
            raise ValueError(
                "A row of the table does not add up to 1. Expected natural logarithms of probabilities; "
                "Bigram.from_texts counts them."
            )
        self.log_probabilities = table
        self.blank = blank

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[Sequence[int]],
        *,
        n_classes: int,
        smoothing: float = 1.0,
        blank: int = BLANK,
    ) -> Bigram:
        """Count pairs of neighbours in texts.

        Parameters
        ----------
        texts : iterable of sequences of int
            Class numbers, without blanks.
        n_classes : int
            Number of classes, with the blank.
        smoothing : float
            Added to each count, so that what never occurred stays possible. The more, the less the texts
            matter.
        blank : int
            The class of the blank.

        Returns
        -------
        Bigram

        Raises
        ------
        ValueError
            When there are no texts, one holds what is no label, or `smoothing` is not positive.

        Examples
        --------
        One text, and one more of each pair for caution. After 1 there was 2 once, and now it is 2 of 4:

        >>> model = Bigram.from_texts([[1, 2]], n_classes=3)
        >>> np.exp(model.log_probabilities[1])
        array([0.25, 0.25, 0.5 ])
        """
        if not (math.isfinite(smoothing) and smoothing > 0):
            raise ValueError(f"smoothing={smoothing!r} came. Expected a positive number, such as 1.0.")
        _check_blank(blank, n_classes)
        counts = np.full((n_classes, n_classes), float(smoothing))
        n_texts = 0
        for text in texts:
            n_texts += 1
            labels = _checked_target(text, n_classes=n_classes, blank=blank).tolist()
            for before, after in pairwise([blank, *labels, blank]):
                counts[before, after] += 1
        if not n_texts:
            raise ValueError("No texts came. Expected at least one to count in.")
        return cls(np.log(counts / counts.sum(axis=1, keepdims=True)), blank=blank)

    def step(self, prefix: tuple[int, ...], label: int) -> float:
        """Return the log-probability of a label after the last one of a prefix."""
        return float(self.log_probabilities[prefix[-1] if prefix else self.blank, label])

    def end(self, prefix: tuple[int, ...]) -> float:
        """Return the log-probability that a text ends after a prefix."""
        return self.step(prefix, self.blank)

    def log_probability(self, text: Sequence[int]) -> float:
        """Return the log-probability of a whole text.

        Parameters
        ----------
        text : sequence of int
            Class numbers, without blanks.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            When it holds what is no label.
        """
        text = _checked_target(text, n_classes=len(self.log_probabilities), blank=self.blank).tolist()
        pairs = pairwise([self.blank, *text, self.blank])
        return math.fsum(self.step((before,), after) for before, after in pairs)


@dataclass(frozen=True)
class Hypothesis:
    """A text that `beam_search` found.

    Parameters
    ----------
    labels : tuple of int
        Class numbers, without blanks.
    score : float
        What hypotheses are sorted by: `log_probability`, plus what the text score and the bonus say.
    log_probability : float
        Natural logarithm of the probability of this text's paths, as far as the beam kept them.

    Lesson: 08
    """

    labels: tuple[int, ...]
    score: float
    log_probability: float


class _Prefix:
    """The paths that end in one prefix: the sum of those at a blank, of those at its last label, and its "
    "text."""

    __slots__ = ("at_blank", "at_label", "text")

    def __init__(self, text: float, *, at_blank: float = _NEVER) -> None:
        self.at_blank, self.at_label, self.text = at_blank, _NEVER, text

    @property
    def log_probability(self) -> float:
        return _log_add(self.at_blank, self.at_label)

    @property
    def score(self) -> float:
        return self.log_probability + self.text


def beam_search(
    scores: np.ndarray,
    *,
    beam_width: int = 16,
    text: TextScore | None = None,
    text_weight: float = 1.0,
    label_bonus: float = 0.0,
    cutoff: float = 0.0,
    blank: int = BLANK,
) -> list[Hypothesis]:
    """Look for the most probable texts, frame by frame, keeping the best prefixes (prefix beam search).

    Paths with the same text so far are added up, apart for those that end in a blank and in a label: after a
    blank the last label may come again and be written again, after the label itself it only lasts. A text's
    score is log P(text | scores) + `text_weight` · log P(text) + `label_bonus` · number of labels.

    Parameters
    ----------
    scores : array, shape (n_frames, n_classes)
        Raw scores or logarithms of probabilities.
    beam_width : int
        Prefixes kept after each frame. When it exceeds the number of possible prefixes, and nothing is
        cut off, the search is exact.
    text : TextScore, optional
        A grammar or a language model: `LengthGrammar`, `Bigram`, or your own.
    text_weight : float
        How much its opinion counts, from 0, for not at all.
    label_bonus : float
        Added for every label, in nats. Above 0 it makes up for a language model's liking for short texts.
    cutoff : float
        Labels less probable than this are not begun in a frame. 0 leaves out nothing; a small one,
        such as 0.001, makes the search of a sure network faster.
    blank : int
        The class of the blank.

    Returns
    -------
    list of Hypothesis
        At most `beam_width`, the best first.

    Raises
    ------
    ValueError
        When the scores or a setting are impossible, or no text that is left in the beam is permitted.

    Examples
    --------
    The most probable path is two blanks, 0.6 · 0.6. The three paths with a 1 outweigh it together:

    >>> scores = np.log([[0.6, 0.4], [0.6, 0.4]])
    >>> [(found.labels, round(float(np.exp(found.score)), 2)) for found in beam_search(scores)]
    [((1,), 0.64), ((), 0.36)]

    References
    ----------
    A. Y. Hannun, A. L. Maas, D. Jurafsky, A. Y. Ng, "First-Pass Large Vocabulary Continuous Speech
    Recognition using Bi-Directional Recurrent DNNs", 2014, algorithm 1. https://arxiv.org/abs/1408.2873

    Lesson: 08
    """
    log_probabilities = _checked_scores(scores, blank)
    _check_search(beam_width, text_weight, label_bonus, cutoff)
    if text_weight == 0:
        text = None

    def opinion(prefix: tuple[int, ...], label: int | None) -> float:
        bonus = 0.0 if label is None else label_bonus
        if text is None:
            return bonus
        value = float(text.end(prefix) if label is None else text.step(prefix, label))
        if not value < math.inf:
            raise ValueError(
                f"The text score answered {value!r} for {label!r} after {prefix}. Expected a logarithm: a "
                "finite number, or minus infinity for what is forbidden."
            )
        return bonus + text_weight * value

    least = math.log(cutoff) if cutoff else _NEVER
    beam = {(): _Prefix(0.0, at_blank=0.0)}
    for frame in log_probabilities.tolist():
        begun = [(label, log) for label, log in enumerate(frame) if label != blank and log > least]
        grown: dict[tuple[int, ...], _Prefix] = {}
        for prefix, state in beam.items():
            total = state.log_probability
            same = grown.setdefault(prefix, _Prefix(state.text))
            same.at_blank = _log_add(same.at_blank, total + frame[blank])
            if prefix:
                same.at_label = _log_add(same.at_label, state.at_label + frame[prefix[-1]])
            for label, log_probability in begun:
                # The last label is written again only by paths that were at a blank in between.
                arriving = (state.at_blank if prefix[-1:] == (label,) else total) + log_probability
                if arriving == _NEVER:
                    continue
                longer = (*prefix, label)
                reached = grown.get(longer)
                if reached is None:
                    reached = grown[longer] = _Prefix(state.text + opinion(prefix, label))
                reached.at_label = _log_add(reached.at_label, arriving)
        beam = dict(_best(grown, beam_width))
    found = [
        Hypothesis(prefix, state.score + opinion(prefix, None), state.log_probability)
        for prefix, state in beam.items()
    ]
    found = sorted((each for each in found if each.score > _NEVER), key=lambda each: -each.score)
    if not found:
        raise ValueError(
            f"None of the texts that {len(log_probabilities)} frames left in a beam of {beam_width} is "
            "permitted. Widen the beam, or loosen the grammar."
        )
    return found


def _best(grown: dict[tuple[int, ...], _Prefix], n: int) -> Iterator[tuple[tuple[int, ...], _Prefix]]:
    """Return the n best prefixes; what is forbidden or has no path is none. Of equals, the first found "
    "wins."""
    scored = [(state.score, prefix) for prefix, state in grown.items()]
    scored = sorted((each for each in scored if each[0] > _NEVER), key=lambda each: -each[0])
    return ((prefix, grown[prefix]) for _, prefix in scored[:n])


def _log_add(one: float, other: float) -> float:
    """Return log(exp(one) + exp(other)); for two numbers several times faster than np.logaddexp."""
    if one < other:
        one, other = other, one
    return one if other == _NEVER else one + math.log1p(math.exp(other - one))


# --- what may come in ---------------------------------------------------------------------------------------


def _checked_scores(scores: np.ndarray, blank: int) -> np.ndarray:
    scores = np.asarray(scores)
    if scores.ndim != 2:
        raise ValueError(
            f"scores of shape {scores.shape} came. Expected (n_frames, n_classes), one clip; take scores[i] "
            "of a batch."
        )
    _check_blank(blank, scores.shape[1])
    return log_softmax(scores)


def _check_blank(blank: int, n_classes: int) -> None:
    if isinstance(blank, bool) or not isinstance(blank, (int, np.integer)) or not 0 <= blank < n_classes:
        raise ValueError(
            f"blank={blank!r} came. Expected the number of a class, from 0 to {n_classes - 1}; for the last "
            f"of them say {n_classes - 1}."
        )


def _checked_target(target: Iterable[int], *, n_classes: int | None, blank: int) -> np.ndarray:
    values = np.asarray(target if isinstance(target, (np.ndarray, str)) else list(target))
    if values.ndim == 1 and not values.size:
        return np.zeros(0, int)
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise ValueError(
            f"{target!r} came as a text. Expected class numbers in one row, such as [6, 1, 4]; to_labels "
            "makes them of words."
        )
    if (values == blank).any():
        raise ValueError(
            f"The text {values.tolist()} holds {blank}, which is the blank. Expected labels only; when it "
            "pads a shorter text, cut it off or give n_labels."
        )
    if values.min() < 0 or (n_classes is not None and values.max() >= n_classes):
        allowed = "from 0 on" if n_classes is None else f"from 0 to {n_classes - 1}"
        raise ValueError(f"The text {values.tolist()} holds what is no class. Expected numbers {allowed}.")
    return values


def _texts(
    targets: np.ndarray | Sequence[Sequence[int]],
    n_labels: Sequence[int] | None,
    *,
    batch: int,
    n_classes: int,
    blank: int,
) -> list[np.ndarray]:
    """Return the labels of each clip of a batch, without what pads them."""
    if len(targets) != batch:
        raise ValueError(f"{len(targets)} texts came for {batch} clips. Expected one for each.")
    if n_labels is not None:
        ends = _lengths(n_labels, "n_labels", batch=batch, low=0, high=min(map(len, targets)))
        targets = [target[:end] for target, end in zip(targets, ends, strict=True)]
    return [_checked_target(target, n_classes=n_classes, blank=blank) for target in targets]


def _lengths(values: Sequence[int] | None, name: str, *, batch: int, low: int, high: int) -> np.ndarray:
    if values is None:
        return np.full(batch, high)
    lengths = np.asarray(values)
    right = lengths.shape == (batch,) and lengths.dtype.kind in "iu"
    if not right or ((lengths < low) | (lengths > high)).any():
        raise ValueError(
            f"{name}={values!r} came. Expected {batch} whole numbers from {low} to {high}, one for each clip."
        )
    return lengths


def _check_search(beam_width: int, text_weight: float, label_bonus: float, cutoff: float) -> None:
    whole = isinstance(beam_width, (int, np.integer)) and not isinstance(beam_width, bool)
    if not whole or beam_width < 1:
        raise ValueError(f"beam_width={beam_width!r} came. Expected a whole number from 1, such as 16.")
    if not (math.isfinite(text_weight) and text_weight >= 0):
        raise ValueError(f"text_weight={text_weight!r} came. Expected a number from 0, such as 1.0.")
    if not math.isfinite(label_bonus):
        raise ValueError(f"label_bonus={label_bonus!r} came. Expected a finite number of nats, such as 0.0.")
    if not 0 <= cutoff < 1:
        raise ValueError(
            f"cutoff={cutoff!r} came. Expected a probability from 0 up to below 1, such as 0.001."
        )


def _no_path(n_frames: int, target: Sequence[int]) -> ValueError:
    target = [int(label) for label in target]
    needed = frames_needed(target)
    if needed > n_frames:
        return ValueError(
            f"No path of {n_frames} frames has the text {target}. Expected at least {needed}: one for each "
            "label, and one for the blank between equal neighbours. Take a longer clip, or less pooling over "
            "time."
        )
    return ValueError(
        f"Every path with the text {target} has a probability of 0: a score of minus infinity stands in its "
        "way. Expected scores that leave it possible."
    )
