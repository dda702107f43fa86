"""What lesson 6 shows of training: who waits for whom, how far seen and unseen part, what luck is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from asrlib.plots.common import describe, look, prepared

__all__ = ["accuracy_against_voices", "gap", "learning_rates", "spread", "step_times"]

_LINES = ("-", "--", "-.", ":")
_MARKS = ("o", "s", "^", "D")


def step_times(
    times: Mapping[str, np.ndarray], *, first: int = 0, count: int = 10, ax: Axes | None = None
) -> Axes:
    """Draw when a training waits for its input and when it computes, one bar for each stream of batches.

    Parameters
    ----------
    times : mapping of str to ndarray, shape (n_steps, 2)
        For each step the seconds that it waited for its batch and the seconds that it computed.
    first, count : int
        Which steps to draw.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When a stream has fewer steps than are to be drawn, or another shape.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> ax = step_times({"as asked": np.array([[0.3, 0.1], [0.2, 0.2]])}, count=2)
    >>> alt_text(ax)
    'When 2 steps wait for their batch and when they compute. Waiting: as asked 62 %.'

    Lesson: 06
    """
    times = {name: np.asarray(values, float) for name, values in times.items()}
    for name, values in times.items():
        if values.ndim != 2 or values.shape[1] != 2 or len(values) < first + count:
            raise ValueError(
                f"The times of {name!r} have shape {values.shape}; expected (n_steps, 2) with at least "
                f"{first + count} steps."
            )
    ax = prepared(ax, size=(8.0, 0.9 + 0.55 * len(times)))
    shares = {}
    for row, (name, values) in enumerate(times.items()):
        shown = 1000 * values[first : first + count]
        ends = np.cumsum(shown.ravel()).reshape(-1, 2)
        waits = [(end - length, length) for end, length in zip(ends[:, 0], shown[:, 0], strict=True)]
        works = [(end - length, length) for end, length in zip(ends[:, 1], shown[:, 1], strict=True)]
        # Thin for waiting, thick for work: told apart without colours too.
        ax.broken_barh(waits, (row - 0.09, 0.18), color=look().strong, label="" if row else "waits")
        ax.broken_barh(works, (row - 0.32, 0.64), color=look().main, label="" if row else "computes")
        shares[name] = shown[:, 0].sum() / shown.sum()
    ax.set_yticks(range(len(times)), list(times))
    ax.set_ylim(len(times) - 0.5, -0.5)
    ax.set_xlim(0, None)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("time (ms)")
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, labelcolor=look().ink, borderaxespad=0.2)
    said = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items())
    describe(ax, f"When {count} steps wait for their batch and when they compute. Waiting: {said}.")
    return ax


def gap(history: Mapping[str, Sequence[float]], *, metric: str = "loss", ax: Axes | None = None) -> Axes:
    """Draw the loss on what was learned and on unseen voices, and shade what lies between them.

    Parameters
    ----------
    history : mapping of str to sequence of float
        One value for each epoch under `metric` and under ``"val_" + metric``.
    metric : str
        What to draw; a smaller value must be better.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When one of the two is missing, or they do not have as many epochs.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> ax = gap({"loss": [2.0, 1.0, 0.2], "val_loss": [2.1, 1.5, 1.8]})
    >>> alt_text(ax)
    'Loss over 3 epochs. Learned clips end at 0.2. Unseen voices are lowest, 1.5, at epoch 2 and end at 1.8.'

    Lesson: 06
    """
    seen = np.asarray(history.get(metric, ()), float)
    unseen = np.asarray(history.get(f"val_{metric}", ()), float)
    if not len(seen) or len(seen) != len(unseen):
        raise ValueError(
            f"The history has {len(seen)} epochs of {metric!r} and {len(unseen)} of 'val_{metric}'; expected "
            "as many of both, at least one."
        )
    ax = prepared(ax, size=(6.4, 3.2))
    epochs = np.arange(1, len(seen) + 1)
    best = int(np.argmin(unseen))
    ax.fill_between(epochs, seen, unseen, color=look().quiet, alpha=0.25, linewidth=0)
    ax.plot(epochs, unseen, color=look().main, label="unseen voices")
    ax.plot(epochs, seen, color=look().strong, linestyle="--", label="learned clips")
    ax.plot(epochs[best], unseen[best], "*", markersize=12, color=look().main)
    ax.annotate(
        f"epoch {best + 1}", (epochs[best], unseen[best]), xytext=(0, 9), textcoords="offset points",
        ha="center", fontsize=8.5, color=look().ink,
    )  # fmt: skip
    ax.set_ylim(0, 1.12 * float(max(seen.max(), unseen.max())))
    ax.set_xlim(1, max(2, len(seen)))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.set_xlabel("epoch")
    ax.set_ylabel(metric)
    ax.legend(loc="best", labelcolor=look().ink)
    describe(
        ax,
        f"{metric.capitalize()} over {len(seen)} epoch{'s' if len(seen) > 1 else ''}. Learned clips end at "
        f"{seen[-1]:.3g}. Unseen voices are lowest, {unseen[best]:.3g}, at epoch {best + 1} and end at "
        f"{unseen[-1]:.3g}.",
    )
    return ax


def spread(
    groups: Mapping[str, Sequence[float]], *, label: str = "accuracy on unseen voices", ax: Axes | None = None
) -> Axes:
    """Draw every repetition of an experiment as a dot, a row for each way of doing it, with the mean.

    Parameters
    ----------
    groups : mapping of str to sequence of float
        Shares from 0 to 1 by the name of what was tried, such as one accuracy for each seed.
    label : str
        What the shares are.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When a group is empty.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> ax = spread({"plain": [0.7, 0.8], "dropout": [0.75]})
    >>> alt_text(ax)
    'Accuracy on unseen voices: plain 75.0 % on average, from 70.0 to 80.0 %; dropout 75.0 %.'

    Lesson: 06
    """
    values = {name: 100 * np.asarray(each, float) for name, each in groups.items()}
    empty = [name for name, each in values.items() if not each.size]
    if empty or not values:
        raise ValueError(f"There is nothing to draw for {', '.join(map(repr, empty)) or 'no group at all'}.")
    ax = prepared(ax, size=(7.0, 0.9 + 0.42 * len(values)))
    for row, each in enumerate(values.values()):
        ax.plot([each.min(), each.max()], [row, row], color=look().quiet, linewidth=1.2, zorder=1)
        ax.plot(each, [row] * len(each), "o", color=look().main, markersize=6, alpha=0.7, zorder=2)
        ax.plot([each.mean()] * 2, [row - 0.28, row + 0.28], color=look().strong, linewidth=2.4, zorder=3)
    ax.set_yticks(range(len(values)), list(values))
    ax.set_ylim(len(values) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(f"{label} (%)")
    ax.grid(axis="x", color=look().quiet, alpha=0.25, linewidth=0.6)
    said = "; ".join(
        f"{name} {each.mean():.1f} %"
        + (f" on average, from {each.min():.1f} to {each.max():.1f} %" if len(each) > 1 else "")
        for name, each in values.items()
    )
    describe(ax, f"{label.capitalize()}: {said}.")
    return ax


def learning_rates(
    rates: Mapping[str, Sequence[float]], *, steps_per_epoch: int | None = None, ax: Axes | None = None
) -> Axes:
    """Draw how learning rates change from step to step.

    Parameters
    ----------
    rates : mapping of str to sequence of float
        The learning rate of every step, by the name of the schedule.
    steps_per_epoch : int, optional
        Write epochs on the axis instead of steps.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When there is no schedule, or one has no step.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> ax = learning_rates({"constant": [0.1, 0.1], "falling": [0.1, 0.05]})
    >>> alt_text(ax)
    'Learning rate over 2 steps: constant from 0.1 to 0.1, falling from 0.1 to 0.05.'

    Lesson: 06
    """
    curves = {name: np.asarray(values, float) for name, values in rates.items()}
    if not curves or any(not values.size for values in curves.values()):
        raise ValueError("There is no learning rate to draw; give one for each step.")
    ax = prepared(ax, size=(7.0, 2.8))
    for number, (name, values) in enumerate(curves.items()):
        at = np.arange(len(values)) / (steps_per_epoch or 1)
        ax.plot(at, values, color=_color(number), linestyle=_LINES[number % 4], label=name)
    ax.set_ylim(0, None)
    ax.set_xlim(0, None)
    ax.set_xlabel("epochs done" if steps_per_epoch else "steps done")
    ax.set_ylabel("learning rate")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), labelcolor=look().ink)
    n_steps = max(len(values) for values in curves.values())
    said = ", ".join(f"{name} from {values[0]:.3g} to {values[-1]:.3g}" for name, values in curves.items())
    describe(ax, f"Learning rate over {n_steps} steps: {said}.")
    return ax


def accuracy_against_voices(
    voices: Sequence[int], curves: Mapping[str, Sequence[float]], *, ax: Axes | None = None
) -> Axes:
    """Draw accuracy against the number of voices that a network learned from.

    Parameters
    ----------
    voices : sequence of int
        How many voices there were, rising.
    curves : mapping of str to sequence of float
        Accuracy from 0 to 1 for each of them, by what was tested.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When a curve has another length.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> ax = accuracy_against_voices([2, 4], {"unseen voices": [0.5, 0.7]})
    >>> alt_text(ax)
    'Accuracy after learning from 2 to 4 voices: unseen voices from 50.0 % to 70.0 %.'

    Lesson: 06
    """
    for name, values in curves.items():
        if len(values) != len(voices):
            raise ValueError(f"{name!r} has {len(values)} values for {len(voices)} numbers of voices.")
    ax = prepared(ax, size=(6.4, 3.0))
    for number, (name, values) in enumerate(curves.items()):
        ax.plot(
            voices, 100 * np.asarray(values, float), color=_color(number), linestyle=_LINES[number % 4],
            marker=_MARKS[number % 4], markersize=5, label=name,
        )  # fmt: skip
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_locator(FixedLocator(list(voices)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticks(list(voices), [str(count) for count in voices])
    ax.set_ylim(0, 104)
    ax.set_xlabel("voices learned from, each step twice as many")
    ax.set_ylabel("accuracy (%)")
    ax.legend(loc="lower right", labelcolor=look().ink)
    said = ", ".join(
        f"{name} from {100 * values[0]:.1f} % to {100 * values[-1]:.1f} %" for name, values in curves.items()
    )
    describe(ax, f"Accuracy after learning from {voices[0]} to {voices[-1]} voices: {said}.")
    return ax


def _color(number: int) -> str:
    return look().colors[number % len(look().colors)]
