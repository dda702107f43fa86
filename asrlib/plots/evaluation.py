"""How good, for whom, how sure: the figures of lesson 7."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from asrlib.evaluation import Calibration, Interval, Row
from asrlib.plots.common import describe, look, prepared

__all__ = [
    "accuracy_against_parameters",
    "coin_tosses",
    "coverage",
    "intervals",
    "reliability",
    "split_gap",
]

_LINES = ("-", "--", "-.", ":")
_MARKERS = "osD^v"


def intervals(found: Sequence[Interval], *, truth: float, ax: Axes | None = None) -> Axes:
    """Draw the intervals of many tests as bars and the true accuracy as a line; those that miss it in colour.

    Parameters
    ----------
    found : sequence of Interval
        One for each test, from 0 to 1.
    truth : float
        The accuracy that all tests measured, from 0 to 1.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When there is no interval.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> alt_text(intervals([Interval(0.8, 0.95), Interval(0.92, 0.99)], truth=0.9))
    '2 intervals around a true accuracy of 90.0 %; 1 of them misses it.'

    Lesson: 07
    """
    if len(found) == 0:
        raise ValueError("There is no interval to draw. Pass a list of Interval.")
    ax = prepared(ax, size=(7.4, 2.8))
    missed = 0
    for number, (low, high) in enumerate(found, 1):
        hit = low <= truth <= high
        missed += not hit
        color, width = (look().quiet, 1.6) if hit else (look().strong, 2.6)
        ax.plot([number, number], [100 * low, 100 * high], color=color, linewidth=width)
    ax.axhline(100 * truth, color=look().main, linewidth=1.4)
    ax.annotate(
        "the truth",
        (1.0, 100 * truth),
        xycoords=("axes fraction", "data"),
        xytext=(4, -3),
        textcoords="offset points",
        color=look().main,
        fontsize=9,
    )
    ax.set_xlim(0, len(found) + 1)
    ax.set_xlabel("test")
    ax.set_ylabel("accuracy (%)")
    misses = f"{missed} of them miss{'es' if missed == 1 else ''} it"
    describe(ax, f"{len(found)} intervals around a true accuracy of {100 * truth:.1f} %; {misses}.")
    return ax


def coverage(
    shares: Mapping[str, Sequence[float]],
    truths: Sequence[float],
    *,
    confidence: float = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """Draw how often each kind of interval holds the truth, over the truth; a line marks what is promised.

    Parameters
    ----------
    shares : mapping of str to sequence of float
        For each kind of interval, the share of tests in which it held the truth, one for each truth.
    truths : sequence of float
        True accuracies, from 0 to 1.
    confidence : float
        What the intervals promise.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When there is no curve, or one does not fit the truths.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> alt_text(coverage({"Wilson": [0.95, 0.94]}, [0.5, 0.9]))
    'How often an interval of 95 % holds the truth: Wilson in 94.0 to 95.0 % of the tests.'

    Lesson: 07
    """
    if not shares or any(len(values) != len(truths) for values in shares.values()):
        raise ValueError("Pass a dict of name to shares, each with one share for each of the truths.")
    ax = prepared(ax, size=(6.4, 3.0))
    said = []
    for i, (name, values) in enumerate(shares.items()):
        percent = 100 * np.asarray(values, float)
        ax.plot(
            100 * np.asarray(truths, float),
            percent,
            _LINES[i % 4],
            color=look().colors[i % len(look().colors)],
            marker=_MARKERS[i % 5],
            markersize=3.5,
            label=name,
        )
        said.append(f"{name} in {percent.min():.1f} to {percent.max():.1f} % of the tests")
    ax.axhline(100 * confidence, color=look().quiet, linewidth=1, linestyle=(0, (4, 3)))
    ax.annotate(
        "promised",
        (0.01, 100 * confidence),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        fontsize=8,
        color=look().ink,
    )
    ax.set_xlabel("true accuracy (%)")
    ax.set_ylabel("tests that hold it (%)")
    ax.legend(loc="lower left", labelcolor=look().ink)
    describe(ax, f"How often an interval of {100 * confidence:g} % holds the truth: {'; '.join(said)}.")
    return ax


def split_gap(
    heard: Sequence[Row], unheard: Sequence[Row], *, chance: float | None = None, ax: Axes | None = None
) -> Axes:
    """Draw each speaker's accuracy twice: when the network knew the voice, and when it did not.

    Parameters
    ----------
    heard, unheard : sequence of Row
        One for each speaker, by the speaker's name; both for the same speakers.
    chance : float, optional
        Accuracy of guessing, from 0 to 1, drawn as a line.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When the two are not about the same speakers.

    Examples
    --------
    >>> from asrlib.evaluation import by_group
    >>> from asrlib.plots import alt_text
    >>> known = by_group(np.array([True, True]), ["theo", "theo"])
    >>> new = by_group(np.array([True, False]), ["theo", "theo"])
    >>> alt_text(split_gap(known, new))
    'Accuracy for 1 speakers, voice known and not known: theo 100 and 50 %.'

    Lesson: 07
    """
    known, new = ({row.name: row for row in rows} for rows in (heard, unheard))
    if not known or known.keys() != new.keys():
        raise ValueError(f"Both must be about the same speakers; {sorted(known)} and {sorted(new)} came.")
    names = sorted(new, key=lambda name: new[name].accuracy)
    ax = prepared(ax, size=(6.4, 0.9 + 0.36 * len(names)))
    for height, name in enumerate(names):
        ends = [100 * new[name].accuracy, 100 * known[name].accuracy]
        ax.plot(ends, [height, height], color=look().quiet, linewidth=2.5, zorder=1)
    for rows, marker, color, label in (
        (known, "s", look().main, "voice known from training"),
        (new, "o", look().strong, "voice never heard"),
    ):
        percent = np.array([100 * rows[name].accuracy for name in names])
        bounds = 100 * np.array([rows[name].interval for name in names])
        reach = np.maximum(0, np.stack([percent - bounds[:, 0], bounds[:, 1] - percent]))
        shift = 0.1 if rows is known else -0.1  # so that intervals do not hide each other
        ax.errorbar(
            percent,
            np.arange(len(names)) + shift,
            xerr=reach,
            fmt=marker,
            markersize=6,
            color=color,
            elinewidth=1.1,
            capsize=2.5,
            label=label,
            zorder=2,
        )
    if chance is not None:
        ax.axvline(100 * chance, color=look().quiet, linewidth=1, linestyle=(0, (4, 3)))
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(-0.6, len(names) - 0.4)
    ax.set_xlim(0, 101.5)
    ax.set_xlabel("accuracy (%)")
    ax.legend(loc="upper left", bbox_to_anchor=(0.0, 1.0), labelcolor=look().ink, fontsize=9)
    numbers = ", ".join(
        f"{name} {100 * known[name].accuracy:.0f} and {100 * new[name].accuracy:.0f} %"
        for name in reversed(names)
    )
    describe(ax, f"Accuracy for {len(names)} speakers, voice known and not known: {numbers}.")
    return ax


def accuracy_against_parameters(
    rows: Mapping[str, Row], parameters: Mapping[str, int], *, ax: Axes | None = None
) -> Axes:
    """Draw the accuracy of models, with its interval, over the number of their parameters.

    Parameters
    ----------
    rows : mapping of str to Row
        The accuracy of each model.
    parameters : mapping of str to int
        How many numbers each of them learned.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When there is no model, or the two do not name the same ones.

    Examples
    --------
    >>> from asrlib.evaluation import by_group
    >>> from asrlib.plots import alt_text
    >>> (row,) = by_group(np.array([True, True, True, False]), ["cnn"] * 4)
    >>> alt_text(accuracy_against_parameters({"cnn": row}, {"cnn": 20_000}))
    'Accuracy against parameters: cnn 75.0 % with 20000.'

    Lesson: 07
    """
    if not rows or rows.keys() != parameters.keys():
        raise ValueError(
            f"Both must name the same models, at least one; {list(rows)} and {list(parameters)} came."
        )
    ax = prepared(ax, size=(6.4, 3.4))
    said = []
    for i, name in enumerate(sorted(rows, key=parameters.__getitem__)):
        row, color = rows[name], look().colors[i % len(look().colors)]
        percent, (low, high) = 100 * row.accuracy, row.interval
        reach = np.maximum(0, [[percent - 100 * low], [100 * high - percent]])
        ax.errorbar(
            parameters[name],
            percent,
            yerr=reach,
            fmt=_MARKERS[i % 5],
            markersize=6,
            color=color,
            elinewidth=1.3,
            capsize=3,
        )
        ax.annotate(
            name,
            (parameters[name], percent),
            xytext=(7, 4),
            textcoords="offset points",
            color=look().ink,
            fontsize=9,
        )
        said.append(f"{name} {percent:.1f} % with {parameters[name]}")
    ax.set_xscale("log")
    least, most = min(parameters.values()), max(parameters.values())
    ax.set_xlim(least / 1.6, most * 3)  # room for the name of the largest
    ax.set_xlabel("parameters")
    ax.set_ylabel("accuracy (%)")
    describe(ax, f"Accuracy against parameters: {', '.join(said)}.")
    return ax


def reliability(
    calibrations: Calibration | Mapping[str, Calibration], *, fewest: int = 1, ax: Axes | None = None
) -> Axes:
    """Draw how often answers were right over how sure the recogniser was of them.

    On the diagonal, 80 % means right in 80 of 100. Below it the recogniser is too sure, above it not sure
    enough. Larger dots stand for more answers.

    Parameters
    ----------
    calibrations : Calibration or mapping of str to Calibration
        As `asrlib.evaluation.calibration` gives them; with names, for a legend.
    fewest : int
        Bins with fewer answers are left out.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When there is no calibration.

    Examples
    --------
    >>> from asrlib.evaluation import calibration
    >>> from asrlib.plots import alt_text
    >>> sure = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9]])
    >>> ax = reliability(calibration(sure, ["no", "no", "yes", "no"], labels=["no", "yes"]))
    >>> alt_text(ax)
    'Reliability diagram. Probability 90 %, right 75 %; expected calibration error 15.0 points.'

    Lesson: 07
    """
    named = {"": calibrations} if isinstance(calibrations, Calibration) else dict(calibrations)
    if not named:
        raise ValueError("There is no calibration to draw. Pass one, or a dict of name to calibration.")
    ax = prepared(ax, size=(4.6, 4.2))
    ax.plot([0, 100], [0, 100], color=look().quiet, linewidth=1, linestyle=(0, (4, 3)))
    ax.text(3, 97, "not sure enough", fontsize=8, color=look().ink, va="center")
    ax.text(97, 4, "too sure", fontsize=8, color=look().ink, ha="right")
    said = []
    for i, (name, found) in enumerate(named.items()):
        shown = [each for each in found.bins if each.n >= max(1, fewest)]
        x = [100 * each.probability for each in shown]
        y = np.array([100 * each.accuracy for each in shown])
        bounds = 100 * np.array([each.interval for each in shown]).reshape(-1, 2)
        reach = np.maximum(0, np.stack([y - bounds[:, 0], bounds[:, 1] - y]))
        color = look().colors[i % len(look().colors)]
        ax.errorbar(x, y, yerr=reach, fmt="none", ecolor=color, elinewidth=1, capsize=2)
        ax.plot(x, y, _LINES[i % 4], color=color, linewidth=1.2)
        label = f"{name}: ECE {100 * found.ece:.1f} points" if name else None
        ax.plot([], [], _LINES[i % 4], marker=_MARKERS[i % 5], color=color, linewidth=1.2, label=label)
        ax.scatter(
            x,
            y,
            s=[14 + 160 * each.n / found.n for each in shown],
            marker=_MARKERS[i % 5],
            color=color,
        )
        what = f"{name}: probability" if name else "Probability"
        said.append(
            f"{what} {100 * found.probability:.0f} %, right {100 * found.accuracy:.0f} %; expected "
            f"calibration error {100 * found.ece:.1f} points"
        )
    ax.set(xlim=(0, 101), ylim=(0, 104), xlabel="probability of the answer (%)", ylabel="right (%)")
    if any(named):
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), labelcolor=look().ink, fontsize=8)
    describe(ax, f"Reliability diagram. {'. '.join(said)}.")
    return ax


def coin_tosses(only_a: int, only_b: int, *, ax: Axes | None = None) -> Axes:
    """Draw how often a fair coin gives each number of heads, and mark all results as uneven as this one.

    Parameters
    ----------
    only_a, only_b : int
        Clips that one recogniser alone got right: heads and tails.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When there is no toss.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> alt_text(coin_tosses(9, 1))
    'Heads in 10 tosses of a fair coin. Results as uneven as 9 to 1 make up 2.15 %.'

    Lesson: 07
    """
    n = only_a + only_b
    if n < 1 or min(only_a, only_b) < 0:
        raise ValueError(f"{only_a} and {only_b} came; expected two counts, not both 0.")
    chances = np.array([math.comb(n, k) / 2**n for k in range(n + 1)])
    uneven = np.abs(np.arange(n + 1) - n / 2) >= abs(only_a - n / 2) - 1e-9
    ax = prepared(ax, size=(6.4, 2.6))
    colors = [look().strong if each else look().quiet for each in uneven]
    ax.bar(range(n + 1), 100 * chances, color=colors, width=0.8)
    ax.axvline(only_a, color=look().main, linewidth=1.4)
    ax.annotate(
        "counted",
        (only_a, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(4, -8),
        textcoords="offset points",
        color=look().main,
        fontsize=9,
    )
    # Beyond five standard deviations there is nothing to see.
    reach = max(2.5 * math.sqrt(n), abs(only_a - n / 2) + 1.5, 2)
    ax.set_xlim(max(-0.8, n / 2 - reach), min(n + 0.8, n / 2 + reach))
    ax.set_xlabel(f"heads in {n} tosses")
    ax.set_ylabel("chance (%)")
    share = min(1.0, float(chances[uneven].sum()))
    describe(
        ax,
        f"Heads in {n} tosses of a fair coin. Results as uneven as {max(only_a, only_b)} to "
        f"{min(only_a, only_b)} make up {100 * share:.3g} %.",
    )
    return ax
