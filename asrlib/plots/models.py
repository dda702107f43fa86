"""Inside networks: weights, kernels, activations, states, gradients, and the network itself as a picture."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from asrlib.features import FeatureConfig
from asrlib.plots.common import describe, empty_figure, look, one, prepared, settings
from asrlib.plots.machine import log_mel

if TYPE_CHECKING:
    from asrlib.models import Description

__all__ = [
    "accuracy_by_pieces",
    "activations",
    "answer_over_time",
    "architecture",
    "gradient_reach",
    "kernels",
    "signed_pictures",
    "states",
    "through_layers",
    "unrolled",
]

_SIGNED_MAP = "PuOr"  # orange below zero, purple above
_POWER_MAP = "magma"
_LINES = ("-", "--", "-.", ":")
_MARKS = ("o", "s", "^", "D", "v", "P")
_DIGITS = tuple("0123456789")


def signed_pictures(
    named: Mapping[str, np.ndarray],
    *,
    hop_seconds: float | None = None,
    columns: int = 5,
    own_scale: bool = False,
    figure: Figure | None = None,
) -> Figure:
    """Draw pictures of numbers around zero as a sheet: purple above zero, orange below, pale at zero.

    Parameters
    ----------
    named : mapping of str to ndarray, shape (n_frames, n_features)
        The pictures by their titles: weights, evidence, what a filter answers.
    hop_seconds : float, optional
        Seconds from one row to the next; left out, the axis counts frames.
    columns : int
        Pictures in a row.
    own_scale : bool
        Whether each picture has its own strongest colour, instead of one for all.
    figure : Figure, optional
        Where to draw, after clearing it; a new figure when left out.

    Returns
    -------
    Figure
        Its axes are the pictures, in their order.

    Raises
    ------
    ValueError
        When there is no picture.

    Examples
    --------
    >>> figure = signed_pictures({"six": np.eye(4), "two": -np.eye(4)}, columns=2)
    >>> from asrlib.plots import alt_text
    >>> alt_text(figure)
    '2 pictures of numbers around zero: six, two.'

    Lesson: 04
    """
    if not named:
        raise ValueError("There is no picture to draw. Pass a dict of title to numbers.")
    rows = math.ceil(len(named) / columns)
    pictures = {
        title: one(picture, title, ndim=2, shape="(n_frames, n_features)") for title, picture in named.items()
    }
    strongest = max(_reach(picture) for picture in pictures.values())
    unit = hop_seconds or 1.0
    with mpl.rc_context(settings()):
        figure = empty_figure(figure, size=(9.0, 0.7 + 1.55 * rows))
        figure.set_layout_engine("constrained")
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes, (title, picture) in zip(grid.flat, pictures.items(), strict=False):
            reach = _reach(picture) if own_scale else strongest
            _image(axes, picture, cmap=_SIGNED_MAP, limits=(-reach, reach), unit=unit)
            axes.set_title(title, loc="left")
        _label_sheet(grid, len(pictures), x="time (s)" if hop_seconds else "frame", y="mel band")
    describe(figure, f"{len(pictures)} pictures of numbers around zero: {', '.join(pictures)}.")
    return figure


def kernels(weights: np.ndarray, *, columns: int = 8, figure: Figure | None = None) -> Figure:
    """Draw the kernels of a first convolution as small pictures: purple adds, orange subtracts.

    Parameters
    ----------
    weights : ndarray, shape (kernel_time, kernel_frequency, 1, n_kernels)
        As Keras keeps them; the axis of the one input channel may be left out.
    columns : int
        Kernels in a row.
    figure : Figure, optional
        Where to draw, after clearing it; a new figure when left out.

    Returns
    -------
    Figure
        One axes for each kernel, with its number above it.

    Raises
    ------
    ValueError
        When the weights are not those of a first convolution.

    Examples
    --------
    >>> figure = kernels(np.ones((3, 3, 1, 4)))
    >>> from asrlib.plots import alt_text
    >>> alt_text(figure)
    '4 kernels of 3 frames by 3 bands.'

    Lesson: 04
    """
    weights = np.asarray(weights)
    if weights.ndim == 4 and weights.shape[2] == 1:
        weights = weights[:, :, 0]
    if weights.ndim != 3 or weights.size == 0:
        raise ValueError(
            f"The weights have shape {np.shape(weights)}; expected (time, frequency, 1, n_kernels) of a "
            "convolution over one picture."
        )
    high, wide, count = weights.shape
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    with mpl.rc_context(settings()):
        figure = empty_figure(figure, size=(1.05 * columns + 0.4, 1.25 * rows + 0.3))
        figure.set_layout_engine("constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for number, axes in enumerate(grid.flat[:count]):
            kernel = weights[:, :, number]
            reach = _reach(kernel)
            _image(axes, kernel, cmap=_SIGNED_MAP, limits=(-reach, reach), aspect="equal")
            axes.set_title(str(number), loc="left", fontsize=9)
            axes.set_xticks([])
            axes.set_yticks([])
        for axes in grid.flat[count:]:
            axes.remove()
        grid[-1, 0].set_xlabel("time →")
        grid[-1, 0].set_ylabel("pitch →")
        for text in (grid[-1, 0].xaxis.label, grid[-1, 0].yaxis.label):
            text.set_color(look().ink)
    describe(figure, f"{count} kernels of {high} frames by {wide} bands.")
    return figure


def activations(
    maps: np.ndarray,
    *,
    seconds: float | None = None,
    channels: Sequence[int] | None = None,
    columns: int = 8,
    figure: Figure | None = None,
) -> Figure:
    """Draw what each channel of a convolution answers to one clip: dark is nothing, bright is much.

    Parameters
    ----------
    maps : ndarray, shape (time, frequency, n_channels)
        Activations of one clip.
    seconds : float, optional
        How long the time axis is; left out, it counts steps.
    channels : sequence of int, optional
        Which channels to show; all when left out.
    columns : int
        Pictures in a row.
    figure : Figure, optional
        Where to draw, after clearing it; a new figure when left out.

    Returns
    -------
    Figure
        One axes for each channel, with its number above it.

    Examples
    --------
    >>> figure = activations(np.random.default_rng(0).random((50, 10, 4)), seconds=1.0)
    >>> from asrlib.plots import alt_text
    >>> alt_text(figure)
    'What 4 channels answer to one clip, each as a picture of time and frequency.'

    Lesson: 04
    """
    maps = one(maps, "maps", ndim=3, shape="(time, frequency, n_channels)")
    channels = range(maps.shape[2]) if channels is None else list(channels)
    columns = min(columns, len(channels))
    rows = math.ceil(len(channels) / columns)
    brightest = max(float(maps[:, :, list(channels)].max()), 1e-9)
    unit = 1.0 if seconds is None else seconds / maps.shape[0]
    with mpl.rc_context(settings()):
        figure = empty_figure(figure, size=(9.4, 0.6 + 1.0 * rows))
        figure.set_layout_engine("constrained")
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes, channel in zip(grid.flat, channels, strict=False):
            _image(axes, maps[:, :, channel], cmap=_POWER_MAP, limits=(0, brightest), unit=unit)
            axes.set_title(str(channel), loc="left", fontsize=9, pad=2)
            axes.set_yticks([])
        _label_sheet(grid, len(channels), x="step" if seconds is None else "time (s)", y="frequency")
    describe(
        figure,
        f"What {len(channels)} channels answer to one clip, each as a picture of time and frequency.",
    )
    return figure


def states(
    values: np.ndarray, *, hop_seconds: float | None = None, name: str = "unit", ax: Axes | None = None
) -> Axes:
    """Draw the state of a recurrent layer as it walks through a clip: time to the right, a row for each unit.

    Parameters
    ----------
    values : ndarray, shape (time, n_units)
        The state after each step; purple above zero, orange below.
    hop_seconds : float, optional
        Seconds between two steps; left out, the axis counts steps.
    name : str
        What a row is.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Examples
    --------
    >>> ax = states(np.zeros((50, 8)), hop_seconds=0.02)
    >>> from asrlib.plots import alt_text
    >>> alt_text(ax)
    '8 units over 50 steps of 20 ms.'

    Lesson: 04
    """
    values = one(values, "values", ndim=2, shape="(time, n_units)")
    ax = prepared(ax, size=(7.0, 2.2))
    reach = _reach(values)
    _image(ax, _sorted_units(values), cmap=_SIGNED_MAP, limits=(-reach, reach), unit=hop_seconds or 1.0)
    ax.set_xlabel("time (s)" if hop_seconds else "step")
    ax.set_ylabel(f"{name}s, sorted")
    ax.set_yticks([])
    spacing = f" of {1000 * hop_seconds:g} ms" if hop_seconds else ""
    describe(ax, f"{values.shape[1]} {name}s over {len(values)} steps{spacing}.")
    return ax


def answer_over_time(
    probabilities: np.ndarray,
    *,
    hop_seconds: float,
    labels: Sequence[str] = _DIGITS,
    ax: Axes | None = None,
) -> Axes:
    """Draw what a network would answer if the clip ended here, for each moment.

    Parameters
    ----------
    probabilities : ndarray, shape (time, n_labels)
        Shares that sum to one in each row.
    hop_seconds : float
        Seconds between two rows.
    labels : sequence of str
        Names of the columns.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When the labels do not fit.

    Examples
    --------
    >>> ax = answer_over_time(np.eye(10)[[0, 6, 6]], hop_seconds=0.02)
    >>> from asrlib.plots import alt_text
    >>> alt_text(ax)
    'The answer from moment to moment; at the end it is 6, with 100 %.'

    Lesson: 04
    """
    probabilities = one(probabilities, "probabilities", ndim=2, shape="(time, n_labels)")
    if probabilities.shape[1] != len(labels):
        raise ValueError(f"{probabilities.shape[1]} probabilities came with {len(labels)} labels.")
    ax = prepared(ax, size=(7.0, 2.2))
    _image(ax, probabilities, cmap=_POWER_MAP, limits=(0, 1), unit=hop_seconds)
    ax.set_yticks(range(len(labels)), labels)
    ax.set_xlabel("time (s)")
    ax.set_ylabel("answer")
    last = probabilities[-1]
    describe(
        ax,
        f"The answer from moment to moment; at the end it is {labels[int(last.argmax())]}, with "
        f"{100 * last.max():.0f} %.",
    )
    return ax


def gradient_reach(
    curves: Mapping[str, np.ndarray],
    *,
    hop_seconds: float,
    floor: float = 1e-12,
    ax: Axes | None = None,
) -> Axes:
    """Draw how much the last output hears of each frame: the norm of its gradient, the past to the left.

    Parameters
    ----------
    curves : mapping of str to ndarray, shape (n_frames,)
        Norms by name; the last one belongs to the last frame.
    hop_seconds : float
        Seconds between two frames.
    floor : float
        What is smaller is drawn here.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When there is no curve.

    Examples
    --------
    >>> ax = gradient_reach({"halved": 0.5 ** np.arange(50)[::-1]}, hop_seconds=0.02)
    >>> from asrlib.plots import alt_text
    >>> alt_text(ax)
    'Norm of the gradient against the distance from the end. From the last frame to the first: halved
    falls to 2e-15.'

    Lesson: 04
    """
    if not curves:
        raise ValueError("There is no curve to draw. Pass a dict of name to norms.")
    ax = prepared(ax, size=(7.0, 3.0))
    said = []
    for i, (name, norms) in enumerate(curves.items()):
        norms = one(norms, f"the norms of {name}", ndim=1, shape="(n_frames,)")
        back = -hop_seconds * np.arange(len(norms))[::-1]
        ax.semilogy(
            back,
            np.maximum(norms, floor),
            label=name,
            color=look().colors[i % len(look().colors)],
            linestyle=_LINES[i % len(_LINES)],
        )
        said.append(f"{name} falls to {norms[0] / max(norms[-1], floor):.0e}")
    ax.set_xlabel("seconds before the end")
    ax.set_ylabel("norm of the gradient")
    ax.legend(loc="best", labelcolor=look().ink)
    describe(
        ax,
        "Norm of the gradient against the distance from the end. From the last frame to the first: "
        f"{'; '.join(said)}.",
    )
    return ax


def accuracy_by_pieces(
    curves: Mapping[str, Mapping[float, float]],
    *,
    chance: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the accuracy on clips that were cut into pieces and put together in another order.

    Parameters
    ----------
    curves : mapping of str to mapping of float to float
        For each network, the accuracy (from 0 to 1) by the length of the pieces in milliseconds; infinity
        means a whole clip and stands apart, at the right.
    chance : float, optional
        Accuracy of guessing, drawn as a line.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When there is no curve.

    Examples
    --------
    >>> ax = accuracy_by_pieces({"bag": {20: 0.4, 160: 0.4, math.inf: 0.4}}, chance=0.1)
    >>> from asrlib.plots import alt_text
    >>> alt_text(ax)
    'Accuracy against the length of the shuffled pieces: bag from 40 % with 20 ms to 40 % of whole clips.'

    Lesson: 04
    """
    if not curves:
        raise ValueError("There is no curve to draw. Pass a dict of name to accuracies.")
    ax = prepared(ax, size=(7.0, 3.2))
    lengths = sorted({length for curve in curves.values() for length in curve})
    place = {length: i + (0.5 if math.isinf(length) else 0.0) for i, length in enumerate(lengths)}
    said = []
    for i, (name, curve) in enumerate(curves.items()):
        shown = sorted(curve)
        cut = [length for length in shown if math.isfinite(length)]
        looks = {
            "color": look().colors[i % len(look().colors)],
            "marker": _MARKS[i % len(_MARKS)],
            "markersize": 5,
        }
        style = _LINES[i // len(look().colors) % len(_LINES)]
        ax.plot([place[n] for n in cut], [100 * curve[n] for n in cut], label=name, linestyle=style, **looks)
        if math.inf in curve:
            ax.plot([place[math.inf]], [100 * curve[math.inf]], linestyle="none", **looks)
        ends = ["of whole clips" if math.isinf(n) else f"with {n:g} ms" for n in (shown[0], shown[-1])]
        said.append(
            f"{name} from {100 * curve[shown[0]]:.0f} % {ends[0]} to {100 * curve[shown[-1]]:.0f} % {ends[1]}"
        )
    if chance is not None:
        ax.axhline(100 * chance, color=look().quiet, linewidth=1, linestyle=":")
        beside = {"xytext": (4, 0), "textcoords": "offset points", "va": "center", "fontsize": 8}
        ax.annotate("guessing", (1, 100 * chance), xycoords=("axes fraction", "data"), **beside)
        ax.texts[-1].set_color(look().ink)
    ax.set_xticks([place[n] for n in lengths], ["whole" if math.isinf(n) else f"{n:g}" for n in lengths])
    ax.set_ylim(0, 102)
    ax.set_xlabel("length of the shuffled pieces (ms)")
    ax.set_ylabel("right (%)")
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), labelcolor=look().ink)
    describe(ax, f"Accuracy against the length of the shuffled pieces: {'; '.join(said)}.")
    return ax


def through_layers(
    features: np.ndarray,
    layers: Mapping[str, np.ndarray],
    *,
    config: FeatureConfig,
    labels: Sequence[str] = _DIGITS,
    figure: Figure | None = None,
) -> Figure:
    """Draw one clip on its way through a network: every layer below the one before, aligned in time.

    Parameters
    ----------
    features : ndarray, shape (n_frames, n_features)
        What goes in.
    layers : mapping of str to ndarray
        What each layer gives for this clip: (time, units), or (time, frequency, channels), of which the
        strongest channel of each place is shown. "probabilities" (n_labels,) becomes bars at the end;
        whatever else has no time axis is left out.
    config : FeatureConfig
        The configuration that made the features.
    labels : sequence of str
        Names of the probabilities.
    figure : Figure, optional
        Where to draw, after clearing it; a new figure when left out.

    Returns
    -------
    Figure
        Its axes are the features, the layers in their order, and the probabilities.

    Examples
    --------
    >>> layers = {"conv1": np.ones((50, 10, 4)), "gru": np.ones((25, 8)), "probabilities": np.eye(10)[6]}
    >>> figure = through_layers(np.ones((100, 40)), layers, config=FeatureConfig())
    >>> from asrlib.plots import alt_text
    >>> alt_text(figure)
    'One clip through a network: features 100 by 40, conv1 50 by 10 by 4, gru 25 by 8. The answer is 6.'

    Lesson: 04
    """
    features = one(features, "features", ndim=2, shape="(n_frames, n_features)")
    seconds = len(features) * config.hop_seconds
    rows = {name: np.asarray(values) for name, values in layers.items() if np.ndim(values) in (2, 3)}
    answer = layers.get("probabilities")
    said = [f"features {features.shape[0]} by {features.shape[1]}"]
    with mpl.rc_context(settings()):
        n_rows = 1 + len(rows) + (answer is not None)
        figure = empty_figure(figure, size=(7.6, 1.3 + 1.15 * n_rows))
        figure.set_layout_engine("constrained")
        all_axes = figure.subplots(n_rows, 1)
        log_mel(features, config=config, ax=all_axes[0])
        all_axes[0].images[0].set_extent((0, seconds, -0.5, features.shape[1] - 0.5))
        all_axes[0].set_title("features", loc="left")
        for axes, (name, values) in zip(all_axes[1:], rows.items(), strict=False):
            size = " × ".join(map(str, values.shape))
            said.append(f"{name} {' by '.join(map(str, values.shape))}")
            shown = values.max(axis=2) if values.ndim == 3 else _sorted_units(values)
            signed = shown.min() < 0
            reach = _reach(shown)
            _image(
                axes,
                shown,
                cmap=_SIGNED_MAP if signed else _POWER_MAP,
                limits=(-reach if signed else 0, reach),
                unit=seconds / len(values),
            )
            axes.set_title(f"{name}: {size}", loc="left")
            axes.set_ylabel("frequency" if values.ndim == 3 else "unit, sorted")
            axes.set_yticks([])
        last_picture = all_axes[len(rows)]
        for axes in all_axes[: len(rows) + 1]:
            axes.set_xlim(0, seconds)
            axes.tick_params(labelbottom=axes is last_picture)
            axes.set_xlabel("time (s)" if axes is last_picture else "")
        if answer is not None:
            _bars(all_axes[-1], np.asarray(answer), labels)
    ending = "" if answer is None else f" The answer is {labels[int(np.argmax(answer))]}."
    describe(figure, f"One clip through a network: {', '.join(said)}.{ending}")
    return figure


def unrolled(*, steps: int = 4, cell: str = "tanh", ax: Axes | None = None) -> Axes:
    """Draw a recurrent layer unrolled in time: the same cell at each frame, the state handed on.

    Parameters
    ----------
    steps : int
        How many frames.
    cell : str
        What stands in each cell.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> alt_text(unrolled(steps=3))
    'A recurrent layer unrolled over 3 frames: each cell gets a frame from below and the state from the left,
    and hands its state on to the right.'

    Lesson: 04
    """
    ax = prepared(ax, size=(7.6, 2.4))
    ax.set_axis_off()
    ink, main, strong = look().ink, look().main, look().strong

    def arrow(start: tuple[float, float], end: tuple[float, float], color: str) -> None:
        ax.add_patch(
            FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=12, linewidth=1.6, color=color)
        )

    for step in range(steps):
        x = 2.0 * step
        ax.add_patch(
            FancyBboxPatch(
                (x - 0.5, 0.7),
                1.0,
                0.8,
                boxstyle="round,pad=0.04",
                facecolor="none",
                edgecolor=main,
                linewidth=1.8,
            )
        )
        ax.text(x, 1.1, cell, ha="center", va="center", color=ink)
        ax.text(x, -0.2, f"$x_{{{step}}}$", ha="center", va="center", color=ink, fontsize=12)
        arrow((x, 0.02), (x, 0.66), main)
        ax.text(x - 0.16, 0.3, "$W$", ha="right", va="center", color=main, fontsize=10)
        arrow((x + 0.54, 1.1), (x + 1.46, 1.1), strong)
        ax.text(x + 1.0, 1.22, f"$h_{{{step}}}$", ha="center", va="bottom", color=ink, fontsize=12)
        if step < steps - 1:
            ax.text(x + 1.0, 1.0, "$U$", ha="center", va="top", color=strong, fontsize=10)
    end = 2.0 * steps - 0.35
    ax.text(end, 1.1, "output", ha="left", va="center", color=ink)
    ax.set_xlim(-0.8, end + 1.0)
    ax.set_ylim(-0.5, 1.8)
    describe(
        ax,
        f"A recurrent layer unrolled over {steps} frames: each cell gets a frame from below and the state "
        "from the left, and hands its state on to the right.",
    )
    return ax


# --- a network as a picture -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """One block of a network's picture: a layer, and what only prepares or cleans up after it.

    Parameters
    ----------
    name : str
        Name of the layer.
    kind : str
        "input", "convolution", "recurrent", "dense" or "other".
    shape : tuple of int
        What comes out for one clip.
    parameters, multiply_adds, activation_bytes : int
        Of all its layers.
    receptive_field_seconds : float or None
        How much sound its last layer has heard; None where that is the whole clip.

    Lesson: 04
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int = 0
    activation_bytes: int = 0
    receptive_field_seconds: float | None = None

    @property
    def label(self) -> str:
        """Name, shape and weights, one below the other."""
        weights = f"{self.parameters:,}" if self.parameters else "–"
        return f"{self.name}\n{' × '.join(map(str, self.shape))}\n{weights}"


def network_blocks(description: Description) -> list[Block]:
    """Take a network's layers together to the few blocks that its picture shows.

    Pooling, normalisation, ReLU, dropout and reshaping belong to the layer before; the softmax to the logits.

    Parameters
    ----------
    description : Description
        As `asrlib.models.describe` gives it.

    Returns
    -------
    list of Block

    Examples
    --------
    >>> from asrlib import models
    >>> [block.name for block in network_blocks(models.describe(models.ArticleCnnConfig()))]
    ['features', 'conv1', 'flatten', 'hidden', 'logits']

    Lesson: 04
    """
    blocks: list[Block] = []
    for row in description.layers:
        before = blocks[-1] if blocks else None
        pooling = "Pooling" in row.kind and not row.kind.startswith("Global")
        name, kind = row.name.replace("_forward", "").replace("_", " "), _kind_of(row.kind)
        shape, sums = tuple(row.output_shape), [0, 0, 0]
        if before and (pooling or row.kind in _QUIET_KINDS or row.name.startswith("weighted")):
            name, kind = before.name, before.kind
            shape = before.shape if row.kind == "Reshape" else shape
            sums = [before.parameters, before.multiply_adds, before.activation_bytes]
            blocks.pop()
        blocks.append(
            Block(
                name,
                kind,
                shape,
                sums[0] + row.parameters,
                sums[1] + row.multiply_adds,
                sums[2] + row.activation_bytes,
                row.receptive_field_seconds,
            )
        )
    return blocks


_QUIET_KINDS = ("Reshape", "ReLU", "Dropout", "BatchNormalization", "Softmax")
_BLOCK_GAP = 0.55


def _kind_of(kind: str) -> str:
    if kind == "InputLayer":
        return "input"
    if kind.startswith("Conv"):
        return "convolution"
    if any(cell in kind for cell in ("GRU", "LSTM", "RNN")):
        return "recurrent"
    return "dense" if kind == "Dense" else "other"


def block_color(block: Block) -> str:
    """Give the colour of a block: one for each kind of layer, grey for what has nothing to learn."""
    colors = look().colors
    kinds = {"convolution": colors[0], "recurrent": colors[1], "dense": colors[2]}
    return kinds.get(block.kind, look().quiet)


def block_face(color: str) -> tuple[float, ...]:
    """Give the pale colour that fills a block, opaque wherever the background is known."""
    if look().face == "none":
        return mpl.colors.to_rgba(color, 0.25)
    edge, face = np.array(mpl.colors.to_rgb(color)), np.array(mpl.colors.to_rgb(look().face))
    return (*(0.25 * edge + 0.75 * face), 1.0)


def block_polygons(blocks: Sequence[Block]) -> tuple[list[np.ndarray], list[str], list[tuple[float, float]]]:
    """Lay a network's blocks out from left to right, in units of about an inch.

    The width of a block is its length in time; its height goes with the logarithm of how many numbers there
    are at each moment; a block with channels is a pile of sheets.

    Parameters
    ----------
    blocks : sequence of Block
        As `network_blocks` gives them.

    Returns
    -------
    polygons : list of ndarray, shape (4, 2)
        Corners of each rectangle, around a height of 0.
    colors : list of str
        One for each rectangle.
    edges : list of (float, float)
        Where each block begins and ends.

    Examples
    --------
    >>> polygons, colors, edges = block_polygons([Block("features", "input", (50, 20), 0)])
    >>> len(polygons), len(edges)
    (1, 1)

    Lesson: 04
    """
    longest = max((block.shape[0] for block in blocks if len(block.shape) > 1), default=1)
    polygons, colors, edges, x = [], [], [], 0.0
    for block in blocks:
        wide = 0.12 + 0.75 * block.shape[0] / longest if len(block.shape) > 1 else 0.12
        tall = 0.2 * math.log2(1 + (block.shape[1] if len(block.shape) > 1 else block.shape[0]))
        sheets = 1 + round(math.log2(block.shape[2])) if len(block.shape) == 3 else 1
        room = max(wide + 0.05 * (sheets - 1), 0.6)  # a label needs that much
        left = x + (room - wide - 0.05 * (sheets - 1)) / 2
        for sheet in range(sheets):
            step = 0.05 * sheet
            low, high = -tall / 2 - step, tall / 2 - step
            polygons.append(
                np.array(
                    [
                        (left + step, low),
                        (left + step + wide, low),
                        (left + step + wide, high),
                        (left + step, high),
                    ]
                )
            )
            colors.append(block_color(block))
        edges.append((left, left + wide + 0.05 * (sheets - 1)))
        x += room + _BLOCK_GAP
    return polygons, colors, edges


def architecture(description: Description, *, ax: Axes | None = None) -> Axes:
    """Draw a network from left to right: a block for each layer, with its name, output and weights below.

    A block is as wide as its time axis is long, and taller the more numbers it has at each moment; sheets
    behind each other are channels. Blue blocks are convolutions, red ones recurrent, green ones dense (in the
    dark theme: light blue, orange, green); grey ones have nothing to learn.

    Parameters
    ----------
    description : Description
        As `asrlib.models.describe` gives it.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Examples
    --------
    >>> from asrlib import models
    >>> from asrlib.plots import alt_text
    >>> alt_text(architecture(models.describe(models.SoftmaxConfig(), input_shape=(50, 20))))
    'A network from left to right: features 50 × 20, flatten 1000, logits 10.'

    Lesson: 04
    """
    blocks = network_blocks(description)
    polygons, colors, edges = block_polygons(blocks)
    width = edges[-1][1]
    ax = prepared(ax, size=(max(5.0, 1.15 * width), 2.6))
    ax.set_axis_off()
    faces = list(map(block_face, colors))
    ax.add_collection(PolyCollection(polygons, facecolors=faces, edgecolors=colors, linewidths=1.2))
    lowest = min(polygon[:, 1].min() for polygon in polygons)
    for block, (left, right) in zip(blocks, edges, strict=True):
        place = {"ha": "center", "va": "top", "fontsize": 8, "color": look().ink}
        ax.text((left + right) / 2, lowest - 0.2, block.label, **place)
    for (_, start), (end, _) in itertools.pairwise(edges):
        arrow = {"arrowstyle": "->", "color": look().quiet}
        ax.annotate("", (end - 0.06, 0), (start + 0.06, 0), arrowprops=arrow)
    ax.set_xlim(-0.3, width + 0.3)
    ax.set_ylim(lowest - 0.95, max(polygon[:, 1].max() for polygon in polygons) + 0.2)
    listed = ", ".join(f"{block.name} {' × '.join(map(str, block.shape))}" for block in blocks)
    describe(ax, f"A network from left to right: {listed}.")
    return ax


# --- small parts ----------------------------------------------------------------------------------------


def _image(
    ax: Axes,
    picture: np.ndarray,
    *,
    cmap: str,
    limits: tuple[float, float],
    unit: float = 1.0,
    aspect: str = "auto",
) -> None:
    """Draw (time, something) with time to the right, in units of so many seconds."""
    ax.imshow(
        np.asarray(picture).T,
        origin="lower",
        aspect=aspect,
        interpolation="nearest",
        cmap=cmap,
        vmin=limits[0],
        vmax=limits[1],
        extent=(0, len(picture) * unit, -0.5, picture.shape[1] - 0.5),
    )


def _sorted_units(values: np.ndarray) -> np.ndarray:
    """Order units by when they are strongest; their own order says nothing."""
    return values[:, np.argsort(np.abs(values).argmax(axis=0), kind="stable")]


def _reach(values: np.ndarray) -> float:
    return max(float(np.abs(values).max()), 1e-9)


def _label_sheet(grid: np.ndarray, count: int, *, x: str, y: str) -> None:
    """Label the outer axes of a sheet and take the empty ones away."""
    columns = grid.shape[1]
    for (row, column), axes in zip(np.ndindex(grid.shape), grid.flat, strict=True):
        if row * columns + column >= count:
            axes.remove()
            continue
        lowest = (row + 1) * columns + column >= count
        axes.tick_params(
            labelbottom=lowest, labelleft=column == 0, colors=look().quiet, labelcolor=look().ink
        )
        axes.set_xlabel(x if lowest else "")
        axes.set_ylabel(y if column == 0 else "")


def _bars(ax: Axes, values: np.ndarray, labels: Sequence[str]) -> None:
    winner = int(values.argmax())
    colors = [look().strong if i == winner else look().quiet for i in range(len(values))]
    ax.bar(range(len(values)), 100 * values, color=colors)
    ax.set_xticks(range(len(values)), labels)
    ax.set_ylim(0, 100)
    ax.set_ylabel("%")
    ax.set_title("probabilities", loc="left")
