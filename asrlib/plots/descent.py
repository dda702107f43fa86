"""Walks down a loss: what lesson 5 shows of gradients, learning rates, batches and optimisers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from asrlib.descent import Bowl, Path
from asrlib.plots.common import describe, empty_figure, look, one, prepared, settings

__all__ = ["digit_pictures", "loss_against_work", "loss_surface", "steps_in_a_bowl"]

_SIGNED_MAP = "PuOr"
# A path must stand out from the whole surface, on light and dark pages alike: so the surface is pale.
VALLEY = LinearSegmentedColormap.from_list("valley", ["#86a7bf", "#f6f8fa"])
ON_VALLEY = "#b53a00"
_LINES = ("-", "--", "-.", (0, (1, 1)))
_MARKS = "osD^"


def digit_pictures(
    pictures: np.ndarray,
    *,
    titles: Sequence[str] | None = None,
    limit: float | None = None,
    columns: int = 5,
    figure: Figure | None = None,
) -> Figure:
    """Draw one small picture per digit: the part of the word to the right, the mel band upwards.

    Parameters
    ----------
    pictures : ndarray, shape (n_digits, n_parts, n_bands)
        Weights, gradients or mean features, around zero.
    titles : sequence of str, optional
        Above the pictures; the digits when left out.
    limit : float, optional
        The number at the ends of the colours; the largest in size when left out.
    columns : int
        Pictures in a row.
    figure : Figure, optional
        Where to draw, after clearing it; a new figure when left out.

    Returns
    -------
    Figure
        Its axes are the pictures, in their order.

    Raises
    ------
    ValueError
        When there is no title for each picture.

    Examples
    --------
    >>> figure = digit_pictures(np.random.default_rng(0).normal(size=(10, 8, 20)))
    >>> [axes.get_title(loc="left") for axes in figure.axes[:3]]
    ['0', '1', '2']

    Lesson: 05
    """
    pictures = one(pictures, "pictures", ndim=3, shape="(n_digits, n_parts, n_bands)")
    titles = [str(digit) for digit in range(len(pictures))] if titles is None else list(titles)
    if len(titles) != len(pictures):
        raise ValueError(f"There are {len(titles)} titles for {len(pictures)} pictures.")
    reach = float(np.abs(pictures).max() if limit is None else limit) or 1.0
    rows = -(-len(pictures) // columns)
    with mpl.rc_context(settings()):
        figure = empty_figure(figure, size=(1.7 * columns, 1.55 * rows + 0.3))
        figure.set_layout_engine("constrained")
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for place, axes in enumerate(grid.flat):
            if place >= len(pictures):
                axes.remove()
                continue
            axes.imshow(
                pictures[place].T,
                origin="lower",
                aspect="auto",
                interpolation="nearest",
                cmap=_SIGNED_MAP,
                vmin=-reach,
                vmax=reach,
            )
            axes.set_title(titles[place], loc="left")
            axes.set_xticks([])
            axes.set_yticks([])
        figure.supxlabel("part of the word", fontsize=9, color=look().ink)
        figure.supylabel("mel band", fontsize=9, color=look().ink)
    describe(
        figure,
        f"{len(pictures)} small pictures, {', '.join(titles)}, each of {pictures.shape[1]} parts of a word "
        f"and {pictures.shape[2]} mel bands. One colour is above zero, the other below; the ends are "
        f"±{reach:.2g}.",
    )
    return figure


def loss_against_work(
    paths: Mapping[str, Path],
    *,
    lowest: float = 0.0,
    clips_per_epoch: int | None = None,
    by: str = "work",
    limits: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how the loss falls along several walks, on one axis of work, or of steps.

    Parameters
    ----------
    paths : mapping of str to Path
        The walks, by name.
    lowest : float
        The least loss there is. With it the curves show how far above it they still are, on a logarithmic
        scale.
    clips_per_epoch : int, optional
        With it the work is counted in epochs, otherwise in clips.
    by : {"work", "steps"}
        What runs to the right.
    limits : (float, float), optional
        The ends of the loss axis, in nats.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When there is no path, or `by` is neither.

    Examples
    --------
    >>> from asrlib import descent
    >>> bowl = descent.Bowl(np.array([1.0]))
    >>> path = descent.minimise(bowl, np.ones(1), optimizer=descent.SGD(0.5), epochs=3)
    >>> ax = loss_against_work({"half": path})
    >>> ax.get_ylabel()
    'loss (nats per clip)'

    Lesson: 05
    """
    if not paths:
        raise ValueError("There is no path to draw. Pass a dict of name to path.")
    if by not in ("work", "steps"):
        raise ValueError(f"by is {by!r}; expected 'work' or 'steps'.")
    ax = prepared(ax, size=(7.0, 3.2))
    said = []
    for i, (name, path) in enumerate(paths.items()):
        done = path.steps if by == "steps" else path.work / (clips_per_epoch or 1)
        colors = look().colors
        ax.plot(
            done,
            path.losses - lowest,
            label=name,
            color=colors[i % len(colors)],
            linestyle=_LINES[i % 4],
            linewidth=1.5,
        )
        said.append(f"{name} ends at {path.losses[-1]:.2f}")
    if lowest:
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        ax.yaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    ax.set_ylabel("loss above the lowest (nats)" if lowest else "loss (nats per clip)")
    words = "epochs" if clips_per_epoch else "clips seen"
    ax.set_xlabel("steps" if by == "steps" else f"work ({words})")
    if limits:
        ax.set_ylim(*limits)
    ax.legend(loc="upper right", fontsize=9, labelcolor=look().ink)
    describe(ax, f"Loss against {by} for {len(paths)} walks: {'; '.join(said)}.")
    return ax


def loss_surface(
    losses: np.ndarray,
    *,
    across: np.ndarray,
    up: np.ndarray,
    paths: Mapping[str, np.ndarray] | None = None,
    names: tuple[str, str] = ("first direction", "second direction"),
    ax: Axes | None = None,
) -> Axes:
    """Draw a loss over two weights as a map, darker where it is lower, with the walks on it.

    Parameters
    ----------
    losses : ndarray, shape (n_up, n_across)
        As `asrlib.descent.loss_surface` gives them.
    across, up : ndarray, shape (n_across,), (n_up,)
        The two weights.
    paths : mapping of str to ndarray, shape (n_points, 2), optional
        Points of each walk, by name. A dot marks its start, another mark its end.
    names : (str, str)
        What the two weights are.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When the losses do not fit the axes.

    Examples
    --------
    >>> grid = np.linspace(-1, 1, 5)
    >>> ax = loss_surface(grid**2 + grid[:, None] ** 2, across=grid, up=grid)
    >>> from asrlib.plots import alt_text
    >>> alt_text(ax)
    'Map of a loss, lowest at 0.0 and 0.0.'

    Lesson: 05
    """
    losses = one(losses, "losses", ndim=2, shape="(n_up, n_across)")
    if losses.shape != (len(up), len(across)):
        raise ValueError(f"The losses have shape {losses.shape}; expected ({len(up)}, {len(across)}).")
    ax = prepared(ax, size=(6.4, 3.8))
    height = np.log(losses - losses.min() + 0.02 * np.ptp(losses))
    levels = np.linspace(height.min(), height.max(), 15)
    ax.contourf(across, up, height, levels=levels, cmap=VALLEY)
    ax.contour(across, up, height, levels=levels, colors="#ffffff", linewidths=0.4)
    # The colours of `loss_against_work`; an outline lets them stand out from the surface in both themes.
    outline = [withStroke(linewidth=3.5, foreground=look().face if look().face != "none" else "#ffffff")]
    for i, (name, points) in enumerate((paths or {}).items()):
        color = look().colors[i % len(look().colors)]
        dressed = {"color": color, "path_effects": outline}
        ax.plot(points[:, 0], points[:, 1], linewidth=1.6, label=name, **dressed)
        ax.plot(*points[0], "o", markersize=4, **dressed)
        ax.plot(*points[-1], _MARKS[i % 4], markersize=8, **dressed)
    ax.set_xlim(across[0], across[-1])
    ax.set_ylim(up[0], up[-1])
    ax.set_xlabel(names[0])
    ax.set_ylabel(names[1])
    if paths:
        face = "#111111" if look().face == "#111111" else "#ffffff"
        ink = look().ink if face == "#111111" else "#222222"
        ax.legend(loc="lower right", fontsize=8.5, labelcolor=ink, frameon=True, facecolor=face)
    row, column = np.unravel_index(int(losses.argmin()), losses.shape)
    ends = "".join(
        f" {name} ends at {_tenth(points[-1][0])} and {_tenth(points[-1][1])}."
        for name, points in (paths or {}).items()
    )
    describe(ax, f"Map of a loss, lowest at {_tenth(across[column])} and {_tenth(up[row])}.{ends}")
    return ax


def _tenth(number: float) -> str:
    return f"{round(float(number), 1) + 0.0:.1f}"  # adding 0.0 turns a minus zero into zero


def steps_in_a_bowl(
    paths: Mapping[str, Path], *, curvature: float, reach: float = 1.6, figure: Figure | None = None
) -> Figure:
    """Draw walks of one weight on the curve of its loss, one small picture each.

    Parameters
    ----------
    paths : mapping of str to Path
        Walks in a `Bowl` of one weight, by the title of their pictures.
    curvature : float
        Of the bowl.
    reach : float
        How far the axis of the weight goes to both sides.
    figure : Figure, optional
        Where to draw, after clearing it; a new figure when left out.

    Returns
    -------
    Figure
        Its axes are the pictures, in their order.

    Raises
    ------
    ValueError
        When there is no path.

    Examples
    --------
    >>> from asrlib import descent
    >>> path = descent.minimise(Bowl(np.array([1.0])), np.ones(1), optimizer=descent.SGD(1.5), epochs=3)
    >>> figure = steps_in_a_bowl({"too far": path}, curvature=1.0)
    >>> from asrlib.plots import alt_text
    >>> alt_text(figure)
    'Steps of one weight in a bowl. too far: 1.00, -0.50, 0.25, -0.12.'

    Lesson: 05
    """
    if not paths:
        raise ValueError("There is no path to draw. Pass a dict of name to path.")
    bowl, said = Bowl(np.array([curvature])), []
    weights = np.linspace(-reach, reach, 121)
    curve = np.array([bowl.loss(np.array([weight])) for weight in weights])
    with mpl.rc_context(settings()):
        figure = empty_figure(figure, size=(2.35 * len(paths), 2.3))
        figure.set_layout_engine("constrained")
        row = figure.subplots(1, len(paths), sharex=True, sharey=True, squeeze=False)[0]
        for axes, (name, path) in zip(row, paths.items(), strict=True):
            axes.plot(weights, curve, color=look().quiet, linewidth=1.2)
            axes.plot(path.weights[:, 0], path.losses, "o-", color=look().strong, linewidth=1, markersize=3.5)
            axes.plot(path.weights[0, 0], path.losses[0], "o", color=look().main, markersize=6)
            axes.set_title(name, loc="left", fontsize=9)
            axes.set_xlim(-reach, reach)
            axes.set_ylim(-0.05 * curve[0], curve[0])
            axes.set_xlabel("weight")
            shown = [f"{weight:.2f}" for weight in path.weights[:4, 0]]
            said.append(f"{name}: {', '.join(shown)}")
        row[0].set_ylabel("loss")
    describe(figure, f"Steps of one weight in a bowl. {'; '.join(said)}.")
    return figure
