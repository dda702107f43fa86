"""How networks learn: the curves of one run, drawn whole or while it runs, and many runs side by side."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from asrlib.plots.common import Look, describe, empty_figure, look, prepared, settings

__all__ = ["LearningCurves", "compare_runs", "learning_curves"]

History = Mapping[str, Sequence[float]]

_MOST_POINTS = 600  # of a curve: more than a screen has room for, and drawn in a millisecond
_LEAST_LOSS_SHOWN = 2.5  # guessing among ten words costs log(10) = 2.3


class LearningCurves:
    """The loss and the accuracy of a run, side by side, in a figure that follows the run while it learns.

    What moves is in `moving`; only the limits of the axes change the rest, and they change seldom. So a
    picture that keeps what stands still (`asrlib.widgets.picture.Picture`) follows within milliseconds.

    Parameters
    ----------
    figure : Figure
        An empty one.
    chance : float, optional
        Accuracy of guessing, from 0 to 1, drawn as a line.
    compared : bool
        Whether the legend names the curve of another run.
    theme : Look, optional
        Colours; those of `asrlib.plots.style` when left out.

    Examples
    --------
    >>> curves = LearningCurves(Figure(layout="constrained"))
    >>> curves.show({"loss": [2.1], "accuracy": [0.3]}, epochs=8)
    >>> [axes.get_xlim() == (0, 8) for axes in curves.axes]
    [True, True]

    Lesson: 06
    """

    def __init__(
        self,
        figure: Figure,
        *,
        chance: float | None = None,
        compared: bool = True,
        theme: Look | None = None,
    ) -> None:
        self.theme = theme = theme or look()
        figure.set_facecolor(theme.face)
        with mpl.rc_context(settings()):
            self.axes: tuple[Axes, Axes] = tuple(figure.subplots(1, 2))
        self._lines = {}
        for axes, metric, title in zip(
            self.axes, ("loss", "accuracy"), ("loss", "accuracy (%)"), strict=True
        ):
            _dress(axes, theme)
            axes.set_title(title, loc="left", fontsize=10, fontweight="bold", color=theme.ink)
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, nbins=8))
            for name, looks in self._looks().items():
                (self._lines[metric, name],) = axes.plot([], [], label=name, **looks)
                self._lines[metric, name].set_in_layout(False)  # without points it has no place yet
        self.axes[1].set_ylim(0, 100)
        self.axes[1].set_yticks([0, 25, 50, 75, 100])
        for axes in self.axes:
            axes.grid(axis="y", color=theme.quiet, alpha=0.25, linewidth=0.6)
        if chance is not None:
            _mark_guessing(self.axes[1], 100 * chance, theme)
        self._frame(epochs=1, largest_loss=0.0)
        self._name_the_curves(("training", "validation", "best run so far")[: 3 if compared else 2])

    @property
    def moving(self) -> list[Artist]:
        """The artists that `show` changes every time."""
        return list(self._lines.values())

    def show(
        self,
        history: History,
        *,
        epochs: int | None = None,
        steps: Mapping[str, Sequence[float]] | None = None,
        best: History | None = None,
        until: float | None = None,
    ) -> None:
        """Move the curves.

        Parameters
        ----------
        history : mapping of str to sequence of float
            One value for each finished epoch under "loss", "accuracy", "val_loss" and "val_accuracy". What is
            missing is not drawn.
        epochs : int, optional
            Epochs the axes have room for; those of the history when left out.
        steps : mapping of str to sequence of float, optional
            How each batch went, in place of the epochs' training values: "epoch" (such as 1.5, halfway
            through the second), "loss" and "accuracy", one number for each step. Drawn is their mean over the
            last half epoch: one batch alone says little.
        best : mapping of str to sequence of float, optional
            History of another run to compare with.
        until : float, optional
            Where the last epoch of the history ended, when it was stopped within it: such as 2.5.
        """
        steps, best = _smoothed(steps or {}), best or {}
        epochs = epochs or max(1, len(history.get("loss", ())))
        for metric in ("loss", "accuracy"):
            finished = _ends(len(history.get(metric, ())), until)
            at, values = (steps["epoch"], steps[metric]) if len(steps.get("epoch", ())) else (finished, None)
            self._move(metric, "training", at, history.get(metric, ()) if values is None else values)
            judged = history.get(f"val_{metric}", ())
            self._move(metric, "validation", _ends(len(judged), until), judged)
            other = best.get(f"val_{metric}", ())[:epochs]
            self._move(metric, "best run so far", _ends(len(other)), other)
        seen = [line.get_ydata() for (metric, _), line in self._lines.items() if metric == "loss"]
        largest = max((np.max(values[np.isfinite(values)], initial=0.0) for values in seen), default=0.0)
        self._frame(epochs=epochs, largest_loss=float(largest))

    def _looks(self) -> dict[str, dict[str, Any]]:
        theme = self.theme
        return {
            "best run so far": {"color": theme.quiet, "linestyle": (0, (4, 2)), "linewidth": 1.4},
            "training": {"color": theme.strong, "linewidth": 1.3},
            "validation": {
                "color": theme.main,
                "linewidth": 2.0,
                "marker": "o",
                "markersize": 4.5,
                "clip_on": False,
            },
        }

    def _move(self, metric: str, name: str, at: Sequence[float], values: Sequence[float]) -> None:
        at, values = np.asarray(at, float), np.asarray(values, float)
        stride = math.ceil(len(values) / _MOST_POINTS) or 1
        # The last point is always among them: it is the one that is looked at.
        kept = np.arange(len(values) - 1, -1, -stride)[::-1]
        scale = 100 if metric == "accuracy" else 1
        self._lines[metric, name].set_data(at[kept], scale * values[kept])

    def _frame(self, *, epochs: int, largest_loss: float) -> None:
        """Make room. The top of the loss goes up in steps, so that the axes need not be drawn every time."""
        top = _LEAST_LOSS_SHOWN if largest_loss <= _LEAST_LOSS_SHOWN else _rounded_up(largest_loss)
        loss, accuracy = self.axes
        for axes in (loss, accuracy):
            if tuple(axes.get_xlim()) != (0, epochs):
                axes.set_xlim(0, epochs)
        if tuple(loss.get_ylim()) != (0, top):
            loss.set_ylim(0, top)

    def _name_the_curves(self, names: Sequence[str]) -> None:
        """Write the legend above the loss, where no curve can run through it and the title is short."""
        # Lines of its own: those that move are left out of the still picture, and their legend would be too.
        handles = [Line2D([], [], label=name, **self._looks()[name]) for name in names]
        self.axes[0].legend(
            handles=handles, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, frameon=False, fontsize=9,
            labelcolor=self.theme.ink, borderaxespad=0.2, handlelength=1.6, columnspacing=1.0,
            handletextpad=0.5,
        )  # fmt: skip


def learning_curves(
    history: History,
    *,
    best: History | None = None,
    chance: float | None = None,
    figure: Figure | None = None,
) -> Figure:
    """Draw the loss and the accuracy of a run over its epochs, on the training and on the validation clips.

    Parameters
    ----------
    history : mapping of str to sequence of float
        One value for each epoch under "loss" and "accuracy" and, where there was validation, "val_loss" and
        "val_accuracy", such as a `asrlib.training.TrainingResult` has.
    best : mapping of str to sequence of float, optional
        History of another run, whose validation is drawn beside it.
    chance : float, optional
        Accuracy of guessing, from 0 to 1, drawn as a line.
    figure : Figure, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        When the history holds no epoch.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> figure = learning_curves({"loss": [2.0, 1.2], "val_accuracy": [0.3, 0.5]})
    >>> alt_text(figure)
    'Curves of 2 epochs. Loss: training from 2 to 1.2. Accuracy: validation from 30.0 % to 50.0 %.'

    Lesson: 06
    """
    if not len(history.get("loss", ())):
        raise ValueError(
            f"The history holds no epoch under 'loss'; it has {', '.join(history) or 'nothing'}."
        )
    figure = empty_figure(figure, size=(8.8, 2.9))
    figure.set_layout_engine("constrained")
    LearningCurves(figure, chance=chance, compared=best is not None).show(history, best=best)
    describe(figure, _curves_in_words(history))
    return figure


def compare_runs(
    runs: Iterable[Any] | Mapping[str, History], *, metric: str = "val_accuracy", ax: Axes | None = None
) -> Axes:
    """Draw one curve for each run over its epochs; the run that reached the best value stands out.

    Parameters
    ----------
    runs : iterable of Run, or mapping of str to history
        Such as `asrlib.training.Runs`, or histories by a name of your own.
    metric : str
        A name in the histories. Accuracies are drawn in percent.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When no run has an epoch of this metric.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> ax = compare_runs({"small": {"val_accuracy": [0.4, 0.5]}, "large": {"val_accuracy": [0.3, 0.7]}})
    >>> alt_text(ax)
    'Validation accuracy of 2 runs over their epochs. Best is large with 70.0 %, then small with 50.0 %.'

    Lesson: 06
    """
    curves = _curves_of(runs, metric)
    percent = metric.endswith("accuracy")
    best_of = max if percent else min
    ranked = sorted(curves, key=lambda name: best_of(curves[name]), reverse=percent)
    ax = prepared(ax, size=(7.2, 3.4))
    scale = 100 if percent else 1
    colors = _colors_of_ranks(len(ranked))
    for rank, name in reversed(list(enumerate(ranked))):
        values = scale * curves[name]
        epochs = np.arange(1, len(values) + 1)
        ax.plot(
            epochs, values, color=colors[rank], linewidth=2.4 if rank == 0 else 1.2, label=name,
            marker="o", markersize=4 if rank == 0 else 2.5,
        )  # fmt: skip
    at = best_of(range(len(curves[ranked[0]])), key=lambda epoch: curves[ranked[0]][epoch])
    ax.plot(
        at + 1, scale * curves[ranked[0]][at], marker="*", markersize=13, color=colors[0], linestyle="none",
        markeredgecolor=look().ink, markeredgewidth=0.6, zorder=5,
    )  # fmt: skip
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.set_xlabel("epoch")
    ax.set_ylabel(f"{_in_words(metric)} (%)" if percent else _in_words(metric))
    _name_at_the_end(
        ax, ranked[: len(look().colors)], {name: scale * curves[name] for name in ranked}, colors
    )
    describe(ax, _comparison_in_words(ranked, curves, metric=metric))
    return ax


def _ends(count: int, until: float | None = None) -> np.ndarray:
    """Return where each epoch ended; the last one may have been cut off."""
    ends = np.arange(1.0, count + 1)
    if count and until is not None:
        ends[-1] = min(ends[-1], until)
    return ends


def _smoothed(steps: Mapping[str, Sequence[float]]) -> dict[str, np.ndarray]:
    """Return each step's mean over the half epoch that it ends, as far as there is one."""
    at = np.asarray(steps.get("epoch", ()), float)
    if not at.size:
        return {}
    first = np.searchsorted(at, at - 0.5, side="right")
    count = np.arange(1, len(at) + 1) - first
    smooth = {"epoch": at}
    for metric in ("loss", "accuracy"):
        with np.errstate(invalid="ignore", over="ignore"):  # of a training that lost its way
            sums = np.concatenate([[0.0], np.cumsum(steps[metric])])
            smooth[metric] = (sums[1:] - sums[first]) / count
    return smooth


def _dress(axes: Axes, theme: Look) -> None:
    """Give axes the colours of a theme that need not be the present one."""
    axes.set_facecolor("none")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(theme.quiet)
    axes.tick_params(color=theme.quiet, labelcolor=theme.ink)
    for text in (axes.xaxis.label, axes.yaxis.label):
        text.set_color(theme.ink)


def _mark_guessing(axes: Axes, percent: float, theme: Look) -> None:
    axes.axhline(percent, color=theme.quiet, linewidth=1, linestyle=(0, (1, 2)))
    axes.annotate(
        "guessing", (1.0, percent), xycoords=("axes fraction", "data"), xytext=(-2, -2),
        textcoords="offset points", ha="right", va="top", fontsize=8, color=theme.ink,
    )  # fmt: skip


def _rounded_up(value: float) -> float:
    """Return the next of 1, 2, 3, 5, 10, 20, ... that is not smaller."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 3, 5, 10) if step * power >= value * (1 - 1e-9))


def _curves_of(runs: Iterable[Any] | Mapping[str, History], metric: str) -> dict[str, np.ndarray]:
    """Return the values of the metric by the run's name; runs without any are left out."""
    histories = runs.items() if isinstance(runs, Mapping) else [(_name_of(run), run.history) for run in runs]
    curves = {}
    for name, history in histories:
        values = np.asarray(history.get(metric, ()), float)
        if values.size and np.isfinite(values).any():
            curves[str(name)] = np.where(np.isfinite(values), values, np.nanmax(np.abs(values)))
    if not curves:
        raise ValueError(f"No run has an epoch of {metric!r} yet. Train one, or choose another metric.")
    return curves


def _name_of(run: Any) -> str:
    return str(run.id) if not run.name or str(run.name) == str(run.id) else f"{run.id} {run.name}"


def _colors_of_ranks(count: int) -> list[str]:
    """Give the best run the main colour, the next ones the others, and the rest the quiet one."""
    first = look().colors
    return [*first[:count], *([look().quiet] * max(0, count - len(first)))]


def _name_at_the_end(
    ax: Axes, names: Sequence[str], curves: Mapping[str, np.ndarray], colors: Sequence[str]
) -> None:
    """Write the names at the right of their curves, pushed apart until none covers another."""
    low, high = ax.get_ylim()
    apart = 0.075 * (high - low)
    right = max(len(values) for values in curves.values())
    order = sorted(range(len(names)), key=lambda i: curves[names[i]][-1])
    ends = np.array([curves[names[i]][-1] for i in order], float)
    heights = _pushed_apart(ends, apart=apart, high=high)
    for i, end, height in zip(order, ends, heights, strict=True):
        ax.annotate(
            f"★ {names[i]}" if i == 0 else names[i],
            (len(curves[names[i]]), end), xytext=(1.025, height), textcoords=("axes fraction", "data"),
            va="center", fontsize=9, fontweight="bold" if i == 0 else "normal", color=colors[i],
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-", "color": colors[i], "linewidth": 0.8, "linestyle": ":", "shrinkA": 1,
                "shrinkB": 4, "relpos": (0, 0.5),
            },
        )  # fmt: skip
    others = len(curves) - len(names)
    if others:
        ax.annotate(
            f"and {others} more" if others > 1 else "and 1 more", (1.025, 0.02), xycoords="axes fraction",
            fontsize=9, color=look().ink, annotation_clip=False,
        )  # fmt: skip
    ax.set_xlim(right=right + 0.02 * max(1, right - 1))


def _pushed_apart(heights: np.ndarray, *, apart: float, high: float) -> np.ndarray:
    """Move rising heights as little as it takes for neighbours to keep their distance below the top."""
    heights = heights.copy()
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + apart)
    heights -= max(0.0, heights[-1] - high)
    for i in range(len(heights) - 1, 0, -1):
        heights[i - 1] = min(heights[i - 1], heights[i] - apart)
    return heights


def _in_words(metric: str) -> str:
    """Return "validation loss" for "val_loss"."""
    return f"validation {metric[4:]}" if metric.startswith("val_") else f"training {metric}"


def _number(value: float, *, percent: bool) -> str:
    return f"{100 * value:.1f} %" if percent else f"{value:.3g}"


def _curves_in_words(history: History) -> str:
    epochs = len(history["loss"])
    said = [f"Curves of {epochs} epoch{'s' if epochs != 1 else ''}."]
    for metric in ("loss", "accuracy"):
        parts = [
            f"{name} from {_number(values[0], percent=metric == 'accuracy')} to "
            f"{_number(values[-1], percent=metric == 'accuracy')}"
            for name, values in (
                ("training", history.get(metric, ())), ("validation", history.get(f"val_{metric}", ())),
            )
            if len(values)
        ]  # fmt: skip
        if parts:
            said.append(f"{metric.capitalize()}: {', '.join(parts)}.")
    return " ".join(said)


def _comparison_in_words(ranked: Sequence[str], curves: Mapping[str, np.ndarray], *, metric: str) -> str:
    percent = metric.endswith("accuracy")
    best_of = max if percent else min
    said = ", then ".join(
        f"{name} with {_number(float(best_of(curves[name])), percent=percent)}" for name in ranked[:3]
    )
    count = f"{len(ranked)} runs over their epochs" if len(ranked) > 1 else "1 run over its epochs"
    return f"{_in_words(metric).capitalize()} of {count}. Best is {said}."
