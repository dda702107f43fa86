"""From scores to text: the figures of lesson 8."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle

from asrlib import decoding, features, texts
from asrlib.features import FeatureConfig
from asrlib.plots.common import describe, look, prepared
from asrlib.plots.machine import log_mel

__all__ = [
    "beam",
    "edit_table",
    "error_rates",
    "lattice",
    "paths_by_text",
    "spikes",
    "words_in_time",
]

BLANK_SIGN = "\N{EN DASH}"
_PICTURE = FeatureConfig()
_MOST_NUMBERS = 60  # a lattice with more nodes has no room to write in them
_MOST_PATHS = 4096
_FAINT = 0.002  # shares of the probability below this are not drawn
_MARKERS = "osD^v"
_LINES = ("-", "--", "-.", ":")
_DIGITS = tuple("0123456789")
_PLACES = (2, 3, 0, 1, 2, 3, 1, 0, 0, 1)  # digits that are often neighbours here differ
_SHOWN = 0.5  # the peak that a label must reach to be named


def words_in_time(
    samples: np.ndarray,
    rows: Mapping[str, Sequence[tuple[str, float, float]]],
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw a recording as a log-mel picture, with rows of words above it, each word over its time.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        A recording at 16 kHz.
    rows : mapping of str to sequence of (str, float, float)
        For each row its name, and words with where they start and stop, in seconds.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When a word stops before it starts.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> noise = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    >>> alt_text(words_in_time(noise, {"by eye": [("5", 0.1, 0.45), ("0", 0.45, 0.9)]}))
    'Log-mel picture of 1.00 seconds. by eye: 5 from 0.10 to 0.45 s, 0 from 0.45 to 0.90 s.'

    Lesson: 08
    """
    for words in rows.values():
        for word, start, stop in words:
            if not stop >= start:
                raise ValueError(
                    f"{word!r} starts at {start:.2f} s and stops at {stop:.2f} s. Give where it starts first."
                )
    ax = prepared(ax, size=(8.4, 2.3 + 0.35 * len(rows)))
    picture = features.extract(samples, _PICTURE)
    log_mel(picture, config=_PICTURE, colorbar=False, ax=ax)
    n_bands = picture.shape[1]
    height = 0.16 * n_bands
    said = []
    for number, (name, words) in enumerate(rows.items()):
        low = n_bands + 0.5 + 1.15 * height * (len(rows) - 1 - number)
        color = look().colors[number % len(look().colors)]
        for word, start, stop in words:
            ax.add_patch(
                Rectangle((start, low), stop - start, height, facecolor=color, alpha=0.25, edgecolor="none")
            )
            ax.plot([start, start], [low, low + height], color=color, linewidth=1.5)
            ax.plot([stop, stop], [low, low + height], color=color, linewidth=1.5)
            if number == 0:
                for at in (start, stop):
                    ax.plot([at, at], [-0.5, n_bands - 0.5], color="#ffffff", linewidth=1, linestyle="--")
            middle, centre = (start + stop) / 2, low + height / 2
            ax.text(middle, centre, word, ha="center", va="center_baseline", fontweight="bold", clip_on=True)
        ax.annotate(
            name,
            (1.0, low + height / 2),
            xycoords=("axes fraction", "data"),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color=color,
            annotation_clip=False,
        )
        times = ", ".join(f"{word} from {start:.2f} to {stop:.2f} s" for word, start, stop in words)
        said.append(f"{name}: {times}.")
    ax.set_ylim(-0.5, n_bands + 0.8 + 1.15 * height * len(rows))
    ax.set_xlim(0, len(samples) / 16_000)
    ax.spines["left"].set_bounds(-0.5, n_bands - 0.5)
    ax.yaxis.set_label_coords(-0.075, 0.4)
    describe(ax, " ".join([f"Log-mel picture of {len(samples) / 16_000:.2f} seconds.", *said]))
    return ax


def paths_by_text(
    probabilities: np.ndarray, names: Sequence[str], *, blank: int = decoding.BLANK, ax: Axes | None = None
) -> Axes:
    """Draw every path of a few steps as a strip of tiles, sorted by the text that it collapses to.

    Behind each text stands the sum of the probabilities of its paths. The most probable path has a frame.

    Parameters
    ----------
    probabilities : array, shape (n_steps, n_classes)
        Of each class in each step; each step adds up to 1.
    names : sequence of str
        The labels in the order of their classes, without the blank.
    blank : int
        The class of the blank.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When there are too many paths to draw.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> alt_text(paths_by_text(np.array([[0.6, 0.4], [0.6, 0.4]]), ["3"]))
    'All 4 paths of 2 steps, sorted by their text: 3 from 3 paths with 0.640 together, no text from 1 path
    with 0.360 together. The most probable path, – –, has 0.360 and writes nothing.'

    Lesson: 08
    """
    probabilities = np.asarray(probabilities, float)
    n_steps, n_classes = probabilities.shape
    if n_classes**n_steps > _MOST_PATHS or len(names) + 1 != n_classes:
        raise ValueError(
            f"{n_steps} steps with {n_classes} classes and {len(names)} names came. Expected one name fewer "
            f"than classes, and at most {_MOST_PATHS} paths to draw."
        )
    weights = {
        path: float(np.prod(probabilities[np.arange(n_steps), path]))
        for path in product(range(n_classes), repeat=n_steps)
    }
    groups: dict[tuple[int, ...], list[tuple[int, ...]]] = defaultdict(list)
    for path in weights:
        groups[tuple(decoding.collapse(path, blank=blank))].append(path)
    sums = {text: math.fsum(weights[path] for path in group) for text, group in groups.items()}
    ranked = sorted(sums, key=sums.get, reverse=True)
    best = max(weights, key=weights.get)

    ax = prepared(ax, size=(8.8, 0.8 + 0.3 * len(ranked)))
    most = max(map(len, groups.values()))
    pitch = n_steps + 1.2
    for row, text in enumerate(ranked):
        for place, path in enumerate(sorted(groups[text], key=weights.get, reverse=True)):
            _tiles(path, names, ax, at=(place * pitch, row), blank=blank, size=6.5)
            if path == best:
                ax.add_patch(
                    Rectangle(
                        (place * pitch - 0.25, row - 0.45),
                        n_steps + 0.5,
                        0.9,
                        fill=False,
                        edgecolor=look().ink,
                        linewidth=1.6,
                    )
                )
        _bar(sums[text], sums[ranked[0]], ax, at=(most * pitch + 0.6, row), length=0.22 * most * pitch)
    ax.set_yticks(range(len(ranked)), [_text_of(text, names, blank) or "(nothing)" for text in ranked])
    ax.set_xticks([])
    ax.set_xlim(-0.6, most * pitch * 1.3 + 2)
    ax.set_ylim(len(ranked) - 0.4, -0.6)
    ax.spines[["bottom", "left"]].set_visible(False)
    ax.tick_params(length=0)
    ax.set_ylabel("text")
    ax.set_title("every path, under the text that it collapses to; bars: their probabilities together")
    rows = [
        f"{_text_of(text, names, blank) or 'no text'} from {_paths(len(groups[text]))} with "
        f"{sums[text]:.3f} together"
        for text in ranked
    ]
    writes = _text_of(decoding.collapse(best, blank=blank), names, blank) or "nothing"
    describe(
        ax,
        f"All {len(weights)} paths of {n_steps} steps, sorted by their text: {', '.join(rows)}. The most "
        f"probable path, {_signs(best, names, blank)}, has {weights[best]:.3f} and writes {writes}.",
    )
    return ax


def lattice(
    scores: np.ndarray,
    target: Sequence[int],
    names: Sequence[str],
    *,
    numbers: bool | None = None,
    step_seconds: float | None = None,
    blank: int = decoding.BLANK,
    ax: Axes | None = None,
) -> Axes:
    """Draw all paths of a text at once: the wider a way, the more of the text's probability goes along it.

    Nodes are the labels of the text with blanks around them, one row each, from the top down. The most
    probable single path is drawn in a colour of its own.

    Parameters
    ----------
    scores : array, shape (n_steps, n_classes)
        Raw scores or logarithms of probabilities.
    target : sequence of int
        The text as class numbers, without blanks.
    names : sequence of str
        The labels in the order of their classes, without the blank.
    numbers : bool, optional
        Write α, the sum of the paths that arrive, at each node. Left out: in small lattices.
    step_seconds : float, optional
        Time from step to step, for an axis in seconds; without it steps are counted.
    blank : int
        The class of the blank.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When the scores or the target are impossible, or no path has this text.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> alt_text(lattice(np.zeros((3, 3)), [1, 2], ["3", "8"]))
    'Lattice of the text 3 8: 5 nodes over 3 steps, 5 paths. Together they have a probability of 0.185; the
    most probable of them has 0.037: 3 8 8.'

    Lesson: 08
    """
    logs = decoding.log_softmax(scores)
    best = decoding.forced_alignment(logs, target, blank=blank)
    nodes = decoding.with_blanks(target, blank=blank)
    alphas = decoding.ctc_forward(logs, target, blank=blank)
    betas = decoding.ctc_backward(logs, target, blank=blank)
    total = float(np.logaddexp.reduce(alphas[-1, -2:]))
    n_steps, n_nodes = alphas.shape
    share = np.exp(alphas + betas - total)
    numbers = n_steps * n_nodes <= _MOST_NUMBERS if numbers is None else numbers

    size = (min(max(4.5, 1.15 * n_steps), 9.5), 1.1 + (0.62 if numbers else 0.34) * n_nodes)
    ax = prepared(ax, size=size)
    for node in range(n_nodes):
        if nodes[node] != blank:
            ax.axhspan(
                node - 0.5, node + 0.5, color=label_color(nodes[node], names, blank), alpha=0.08, linewidth=0
            )
    _ways(alphas, betas, logs[:, nodes], nodes, total, blank, ax, wide=7 if numbers else 4)
    visited = _nodes_of(best.path, nodes, blank)
    ax.plot(range(n_steps), visited, color=look().strong, linewidth=1.6, linestyle=(0, (3, 1.5)), zorder=3)
    frames, rows = np.nonzero(share > -1)
    possible = np.isfinite(alphas) & np.isfinite(betas)
    area = (900 if numbers else 70) * share[frames, rows]
    kept = possible[frames, rows]
    base = 500 if numbers else 6
    ax.scatter(
        frames[~kept], rows[~kept], s=8, facecolor="none", edgecolor=look().quiet, linewidth=0.6, alpha=0.5
    )
    ax.scatter(
        frames[kept],
        rows[kept],
        s=base if numbers else np.maximum(area[kept], base),
        color=[label_color(nodes[row], names, blank) for row in rows[kept]],
        edgecolor=look().ink if numbers else "none",
        linewidth=0.8,
        zorder=4,
    )
    if numbers:
        for frame, row in zip(frames[kept], rows[kept], strict=True):
            ink = ink_on(nodes[row], names, blank)
            text = _short(math.exp(alphas[frame, row]))
            ax.text(frame, row, text, ha="center", va="center", fontsize=7, color=ink, zorder=5)
    ax.set_yticks(range(n_nodes), [_sign(node, names, blank) for node in nodes])
    ax.set_ylim(n_nodes - 0.4, -0.6)
    ax.set_xlim(-0.6, n_steps - 0.4)
    ax.tick_params(axis="y", length=0)
    ax.set_ylabel("node")
    if step_seconds is None:
        ax.set_xticks(range(n_steps), [str(step + 1) for step in range(n_steps)])
        ax.set_xlabel("step")
    else:
        _time_ticks(ax, n_steps, step_seconds)
    found = _signs(best.path, names, blank) if numbers else f"{n_steps} steps"
    describe(
        ax,
        f"Lattice of the text {_text_of(target, names, blank) or '(nothing)'}: {n_nodes} nodes over "
        f"{n_steps} steps, {_paths(_count(nodes, n_steps, blank))}. Together they have a probability "
        f"of {math.exp(total):.3g}; the most probable of them has {math.exp(best.log_probability):.3g}"
        + (f": {found}." if numbers else "."),
    )
    return ax


def spikes(
    scores: np.ndarray,
    names: Sequence[str],
    *,
    step_seconds: float | None = None,
    blank: int = decoding.BLANK,
    ax: Axes | None = None,
) -> Axes:
    """Draw the probability of each class over time: the blank in grey, each label's spike with its name.

    Parameters
    ----------
    scores : array, shape (n_steps, n_classes)
        Raw scores or logarithms of probabilities.
    names : sequence of str
        The labels in the order of their classes, without the blank.
    step_seconds : float, optional
        Time from step to step, for an axis in seconds; without it steps are counted.
    blank : int
        The class of the blank.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> scores = np.log([[0.9, 0.1, 1e-9], [0.1, 0.9, 1e-9], [0.8, 0.1, 0.1]])
    >>> alt_text(spikes(scores, ["3", "8"], step_seconds=0.04))
    'Probability of each class over 0.12 s. The blank leads in 2 of 3 steps. Spikes: 3 at 0.06 s.'

    Lesson: 08
    """
    chances = np.exp(decoding.log_softmax(scores))
    n_steps = len(chances)
    ax = prepared(ax, size=(8.4, 2.2))
    seconds = step_seconds or 1.0
    # A step stands for the time that it covers: its value is drawn at its middle.
    middles = (np.arange(n_steps) + 0.5) * seconds if step_seconds else np.arange(1, n_steps + 1)
    percent = 100 * chances
    ax.fill_between(middles, percent[:, blank], color=look().quiet, alpha=0.18, linewidth=0)
    ax.plot(middles, percent[:, blank], color=look().quiet, linewidth=1)
    for label in range(chances.shape[1]):
        if label != blank:
            color = label_color(label, names, blank)
            ax.fill_between(middles, percent[:, label], color=color, alpha=0.5, linewidth=0)
            ax.plot(middles, percent[:, label], color=color, linewidth=1.2)
    for step, label in peaks(chances, blank):
        ax.annotate(
            _sign(label, names, blank),
            (middles[step], min(percent[step, label], 100)),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontweight="bold",
            color=look().ink,
            annotation_clip=False,
        )
    ax.set_ylim(0, 118)
    ax.set_yticks([0, 50, 100])
    ax.set_ylabel("probability (%)")
    ax.set_xlabel("time (s)" if step_seconds else "step")
    ax.set_xlim(0 if step_seconds else 0.5, n_steps * seconds if step_seconds else n_steps + 0.5)
    place = "{:.2f} s" if step_seconds else "step {:g}"
    found = ", ".join(
        f"{_sign(label, names, blank)} at {place.format(middles[step])}"
        for step, label in peaks(chances, blank)
    )
    length = f"{n_steps * seconds:.2f} s" if step_seconds else f"{n_steps} steps"
    leads = int(np.sum(chances.argmax(axis=1) == blank))
    describe(
        ax,
        f"Probability of each class over {length}. The blank leads in {leads} of {n_steps} steps. "
        + (f"Spikes: {found}." if found else f"No label reaches {100 * _SHOWN:.0f} %."),
    )
    return ax


def beam(
    scores: np.ndarray,
    names: Sequence[str],
    *,
    beam_width: int = 3,
    blank: int = decoding.BLANK,
    ax: Axes | None = None,
) -> Axes:
    """Draw a prefix beam search as it goes: what is kept after each step, and whence it came.

    Parameters
    ----------
    scores : array, shape (n_steps, n_classes)
        Raw scores or logarithms of probabilities.
    names : sequence of str
        The labels in the order of their classes, without the blank.
    beam_width : int
        How many beginnings are kept.
    blank : int
        The class of the blank.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> alt_text(beam(np.log([[0.6, 0.4], [0.6, 0.4]]), ["3"], beam_width=2))
    'Beam search with 2 beginnings. After step 1: nothing 0.60, 3 0.40. After step 2: 3 0.64, nothing 0.36.'

    Lesson: 08
    """
    logs = decoding.log_softmax(scores)
    kept = [
        decoding.beam_search(logs[:end], beam_width=beam_width, blank=blank)
        for end in range(1, len(logs) + 1)
    ]
    ax = prepared(ax, size=(1.2 + 1.6 * len(logs), 0.9 + 0.55 * beam_width))
    places = [{(): beam_width / 2 - 0.5}]
    ax.text(0, places[0][()], "(start)", ha="center", va="center", fontsize=9)
    said = []
    for step, found in enumerate(kept, 1):
        here = {}
        for rank, hypothesis in enumerate(found):
            here[hypothesis.labels] = rank
            for source in (hypothesis.labels, hypothesis.labels[:-1]):
                if source in places[-1] and (source != hypothesis.labels or step > 0):
                    ax.plot(
                        [step - 0.68, step - 0.34],
                        [places[-1][source], rank],
                        color=look().main if source == hypothesis.labels else look().strong,
                        linewidth=1 + 4 * math.exp(hypothesis.log_probability),
                        alpha=0.8,
                        linestyle="-" if source == hypothesis.labels else (0, (3, 1)),
                    )
                if not hypothesis.labels:
                    break
            text = _text_of(hypothesis.labels, names, blank) or "(nothing)"
            chance = math.exp(hypothesis.log_probability)
            ax.text(
                step, rank, f"{text}\n{chance:.3f}", ha="center", va="center", fontsize=9, linespacing=1.05
            )
        places.append(here)
        words = ", ".join(
            f"{_text_of(each.labels, names, blank) or 'nothing'} {math.exp(each.log_probability):.2f}"
            for each in found
        )
        said.append(f"After step {step}: {words}.")
    ax.set_xlim(-0.4, len(logs) + 0.5)
    ax.set_ylim(beam_width - 0.4, -0.6)
    ax.set_xticks(range(1, len(logs) + 1))
    ax.set_xlabel("step")
    ax.set_title("full: nothing is added; dashed: a label is")
    ax.set_yticks(range(beam_width), [f"{rank}." for rank in range(1, beam_width + 1)])
    ax.tick_params(axis="y", length=0)
    ax.set_ylabel("rank")
    describe(ax, f"Beam search with {beam_width} beginnings. {' '.join(said)}")
    return ax


def edit_table(expected: Sequence[Hashable], heard: Sequence[Hashable], *, ax: Axes | None = None) -> Axes:
    """Draw the table of edit distances, with the cheapest way through it and a letter at each error.

    Parameters
    ----------
    expected, heard : sequences
        What was said and what was heard: two strings, compared by their characters, or two lists of words.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> alt_text(edit_table("5 0 3".split(), "5 3 3".split()))
    'Table of edit distances from 5 0 3 to 5 3 3. The distance is 1. The cheapest way: hit 5, substitution 0
    by 3, hit 3.'

    Lesson: 08
    """
    table, edits = texts.distance_table(expected, heard), texts.align(expected, heard)
    n_rows, n_columns = table.shape
    ax = prepared(ax, size=(1.2 + 0.55 * n_columns, 0.9 + 0.45 * n_rows))
    for row in range(n_rows):
        for column in range(n_columns):
            ax.text(column, row, str(table[row, column]), ha="center", va="center", color=look().ink)
    row = column = 0
    steps = [(0, 0)]
    for edit in edits:
        row, column = row + (edit.expected is not None), column + (edit.heard is not None)
        steps.append((row, column))
        color = look().main if edit.kind == "hit" else look().strong
        ax.add_patch(
            Rectangle((column - 0.42, row - 0.42), 0.84, 0.84, facecolor=color, alpha=0.28, edgecolor=color)
        )
        if edit.kind != "hit":
            ax.text(
                column + 0.38,
                row - 0.38,
                edit.kind[0].upper(),
                ha="right",
                va="top",
                fontsize=7.5,
                fontweight="bold",
                color=look().ink,
            )
    way = np.array(steps)
    ax.plot(way[:, 1], way[:, 0], color=look().quiet, linewidth=3, alpha=0.35, zorder=0)
    ax.set_xticks(range(n_columns), ["", *map(str, heard)])
    ax.set_yticks(range(n_rows), ["", *map(str, expected)])
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    ax.tick_params(length=0)
    ax.set_xlabel("heard")
    ax.set_ylabel("said")
    ax.set_xlim(-0.6, n_columns - 0.4)
    ax.set_ylim(n_rows - 0.4, -0.6)
    ax.set_aspect("equal")
    ax.spines[["left", "bottom"]].set_visible(False)
    words = []
    for edit in edits:
        if edit.kind == "substitution":
            words.append(f"substitution {edit.expected} by {edit.heard}")
        else:
            words.append(f"{edit.kind} {edit.heard if edit.expected is None else edit.expected}")
    describe(
        ax,
        f"Table of edit distances from {' '.join(map(str, expected))} to {' '.join(map(str, heard))}. The "
        f"distance is {table[-1, -1]}. The cheapest way: {', '.join(words) or 'nothing to do'}.",
    )
    return ax


def error_rates(
    rates: Mapping[str, Sequence[float]],
    over: Sequence[str],
    *,
    label: str,
    ax: Axes | None = None,
) -> Axes:
    """Draw word error rates over conditions, such as noise, one line for each way to decode.

    Parameters
    ----------
    rates : mapping of str to sequence of float
        By name: one word error rate for each condition; 0 is perfect.
    over : sequence of str
        The conditions, in order.
    label : str
        What the conditions are.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When a line has another number of rates than there are conditions.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> ax = error_rates({"greedy": [0.05, 0.4], "beam": [0.04, 0.35]}, ["quiet", "0 dB"], label="noise")
    >>> alt_text(ax)
    'Word error rate over noise (quiet, 0 dB). greedy: 5.0, 40.0 %. beam: 4.0, 35.0 %.'

    Lesson: 08
    """
    if not rates or any(len(values) != len(over) for values in rates.values()):
        raise ValueError(f"Pass for each name {len(over)} rates, one for each of: {', '.join(over)}.")
    ax = prepared(ax, size=(6.6, 3.0))
    said = []
    for number, (name, values) in enumerate(rates.items()):
        percent = 100 * np.asarray(values, float)
        ax.plot(
            range(len(over)),
            percent,
            _LINES[number % 4],
            marker=_MARKERS[number % 5],
            color=look().colors[number % len(look().colors)],
            markersize=5,
            label=name,
        )
        said.append(f"{name}: {', '.join(f'{value:.1f}' for value in percent)} %.")
    ax.set_xticks(range(len(over)), over)
    ax.set_xlabel(label)
    ax.set_ylabel("word error rate (%)")
    ax.set_ylim(bottom=0)
    ax.legend(labelcolor=look().ink)
    describe(ax, f"Word error rate over {label} ({', '.join(over)}). {' '.join(said)}")
    return ax


def label_color(label: int, names: Sequence[str], blank: int) -> str:
    """Give each label one of four colours, the same wherever its name is drawn, and the blank grey."""
    if label == blank:
        return look().quiet
    name = _sign(label, names, blank)
    place = _PLACES[int(name)] if name in _DIGITS else int(label) - 1
    return look().colors[place % len(look().colors)]


def ink_on(label: int, names: Sequence[str], blank: int) -> str:
    """Return what is readable on a label's colour: white on dark ones, black on others."""
    color = label_color(label, names, blank)
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if luminance > 0.18 else "#ffffff"


def _tiles(
    path: Sequence[int], names: Sequence[str], ax: Axes, *, at: tuple[float, float], blank: int, size: float
) -> None:
    """Draw a path as a strip of coloured tiles with their names."""
    for step, label in enumerate(path):
        left = at[0] + step
        ax.add_patch(
            Rectangle(
                (left, at[1] - 0.34),
                0.94,
                0.68,
                facecolor=label_color(label, names, blank),
                alpha=0.35 if label == blank else 1,
                linewidth=0,
            )
        )
        ink = look().ink if label == blank else ink_on(label, names, blank)
        ax.text(
            left + 0.47,
            at[1],
            _sign(label, names, blank),
            ha="center",
            va="center_baseline",
            fontsize=size,
            color=ink,
        )


def _bar(value: float, longest: float, ax: Axes, *, at: tuple[float, float], length: float) -> None:
    width = length * value / longest
    ax.add_patch(Rectangle((at[0], at[1] - 0.25), width, 0.5, facecolor=look().ink, alpha=0.55, linewidth=0))
    ax.text(at[0] + width + 0.4, at[1], f"{value:.3f}", va="center_baseline", fontsize=8, color=look().ink)


def _ways(
    alphas: np.ndarray,
    betas: np.ndarray,
    emitted: np.ndarray,
    nodes: np.ndarray,
    total: float,
    blank: int,
    ax: Axes,
    *,
    wide: float,
) -> None:
    """Draw the moves of the lattice, each as wide as its share of the text's probability."""
    segments, widths = [], []
    for move in (0, 1, 2):
        sources = np.arange(len(nodes) - move)
        if move == 2:
            goal = nodes[2:]
            sources = sources[(goal != blank) & (goal != nodes[:-2])]
        for frame in range(len(alphas) - 1):
            flow = (
                alphas[frame, sources] + emitted[frame + 1, sources + move] + betas[frame + 1, sources + move]
            )
            for source, share in zip(sources, np.exp(flow - total), strict=True):
                if share > _FAINT:
                    segments.append([(frame, source), (frame + 1, source + move)])
                    widths.append(0.4 + wide * share)
    ax.add_collection(LineCollection(segments, linewidths=widths, colors=look().quiet, alpha=0.6, zorder=2))


def _nodes_of(path: Sequence[int], nodes: np.ndarray, blank: int) -> list[int]:
    """Find the nodes that a path visits."""
    visited, label_node = [], -1
    before = blank
    for label in path:
        if label != blank and label != before:
            label_node += 2
        visited.append(label_node + 1 if label == blank else label_node)
        before = label
    return visited


def _count(nodes: np.ndarray, n_steps: int, blank: int) -> int:
    """Count the paths of a text, exactly."""
    ways = [1, 1][: len(nodes)] + [0] * (len(nodes) - 2)
    for _ in range(n_steps - 1):
        ways = [
            ways[s]
            + (ways[s - 1] if s else 0)
            + (ways[s - 2] if s > 1 and nodes[s] != blank and nodes[s] != nodes[s - 2] else 0)
            for s in range(len(nodes))
        ]
    return sum(ways[-2:])


def _paths(number: int) -> str:
    many = f"{number:,}".replace(",", " ") if number < 10**7 else f"{float(number):.1e}"
    return f"{many} path{'s' * (number != 1)}"


def peaks(chances: np.ndarray, blank: int) -> list[tuple[int, int]]:
    """List where a label reaches its greatest probability, each time that it leads for a while."""
    found = []
    leading = chances.argmax(axis=1)
    step = 0
    while step < len(chances):
        label, end = int(leading[step]), step
        while end < len(chances) and leading[end] == label:
            end += 1
        top = step + int(chances[step:end, label].argmax())
        if label != blank and chances[top, label] >= _SHOWN:
            found.append((top, label))
        step = end
    return found


def _sign(label: int, names: Sequence[str], blank: int) -> str:
    return BLANK_SIGN if label == blank else str(names[label - (label > blank)])


def _signs(path: Sequence[int], names: Sequence[str], blank: int) -> str:
    return " ".join(_sign(label, names, blank) for label in path)


def _text_of(labels: Sequence[int], names: Sequence[str], blank: int) -> str:
    return " ".join(_sign(label, names, blank) for label in labels)


def _short(value: float) -> str:
    """Write a probability in few characters: .123, or 1e-5."""
    if value >= 0.9995:
        return "1"
    return f"{value:.3f}"[1:] if value >= 0.0005 else f"{value:.0e}".replace("e-0", "e\N{MINUS SIGN}")


def _time_ticks(ax: Axes, n_steps: int, step_seconds: float) -> None:
    """Label an axis of steps in seconds; a step stands at its middle."""
    length = n_steps * step_seconds
    gap = next(gap for gap in (0.1, 0.2, 0.5, 1, 2, 5, 10, 60) if length / gap <= 12 or gap == 60)
    seconds = np.arange(0, length + 1e-9, gap)
    ax.set_xticks(seconds / step_seconds - 0.5, [f"{second:g}" for second in seconds])
    ax.set_xlabel("time (s)")
