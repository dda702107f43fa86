"""Lesson 4's explorers: a network of any size and what it costs; what the layers of a trained one answer."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import ipywidgets
import numpy as np
from matplotlib.artist import Artist
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from asrlib import audio, features, models
from asrlib.datasets import Clip
from asrlib.models import Description, ModelConfig
from asrlib.plots.common import look, prepared
from asrlib.plots.models import block_face, block_polygons, network_blocks
from asrlib.recognizer import Recognizer, fit_window
from asrlib.widgets.digits import WORDS
from asrlib.widgets.explorer import Explorer, choice, set_limits, slider, steps, switch

__all__ = [
    "Layers",
    "LayersExplorer",
    "ModelExplorer",
    "Sized",
    "in_pieces",
    "measured_step",
    "multiply_adds_per_second",
]

FAMILIES = (
    "softmax regression",
    "the article's Conv1D",
    "CNN",
    "RNN, simple cells",
    "RNN, GRU cells",
    "RNN, LSTM cells",
    "CRNN",
)
"""The networks to choose from."""

_CELLS = {"RNN, simple cells": "simple", "RNN, GRU cells": "gru", "RNN, LSTM cells": "lstm"}
_USED = {
    "softmax regression": (),
    "the article's Conv1D": ("width", "kernel"),
    "CNN": ("width", "depth", "kernel"),
    "RNN, simple cells": ("width", "depth", "both"),
    "RNN, GRU cells": ("width", "depth", "both"),
    "RNN, LSTM cells": ("width", "depth", "both"),
    "CRNN": ("width", "depth", "kernel", "both"),
}
_NAMES = {"width": "width", "depth": "depth", "kernel": "kernel", "both": "direction"}

# The way forward, and about twice as much for the way back: once for the weights, once for the inputs.
_STEP_AND_ANSWER = 3


@dataclass(frozen=True, eq=False)
class Sized:
    """A network of the chosen sizes, and what it costs.

    Parameters
    ----------
    family : str
        One of `FAMILIES`.
    config : ModelConfig or None
        Its configuration; None when there is no such network.
    description : Description or None
        Its layers and their sizes.
    estimated_ms : float
        A training step of one batch, if the processor did nothing but multiply and add at its best.
    measured_ms : float or None
        The same by the clock; None when that was not asked for.
    batch_size : int
        Clips in a batch.
    trouble : str
        Why there is no such network; empty when there is one.

    Lesson: 04
    """

    family: str
    config: ModelConfig | None
    description: Description | None
    estimated_ms: float
    measured_ms: float | None
    batch_size: int
    trouble: str = ""


class ModelExplorer(Explorer):
    """Turn a network's family, width and depth; see it, its parameters, its reach, and the time of a step.

    Parameters
    ----------
    input_shape : (int, int)
        Frames and bands of one clip.
    n_classes : int
        Words to tell apart.
    hop_seconds : float
        Seconds from one frame to the next.
    batch_size : int
        Clips in one training step.
    measure : callable, optional
        ``measure(config, input_shape=..., n_classes=..., batch_size=...)`` gives the milliseconds of a
        training step; `measured_step` when left out.
    speed : float, optional
        Multiply-adds that the processor does in a second; measured when left out.

    Examples
    --------
    >>> explorer = ModelExplorer(input_shape=(50, 20), hop_seconds=0.02, speed=1e10)
    >>> explorer.still(family="softmax regression")
    Softmax regression: 10,010 parameters, 10,000 multiply-adds for one clip. Each answer has heard the whole
    clip. A training step of 64 clips: 0.19 ms estimated. Width, depth, kernel and direction have no meaning
    for this family.

    Lesson: 04
    """

    size = (9.2, 4.4)

    def __init__(
        self,
        *,
        input_shape: tuple[int, int] = (50, 20),
        n_classes: int = 10,
        hop_seconds: float = 0.020,
        batch_size: int = 64,
        measure: Callable[..., float] | None = None,
        speed: float | None = None,
    ) -> None:
        self.input_shape, self.n_classes = tuple(input_shape), n_classes
        self.hop_seconds, self.batch_size = hop_seconds, batch_size
        self.measure, self.speed = measure or measured_step, speed
        super().__init__()

    def controls(self) -> dict[str, ipywidgets.Widget]:
        """Return the controls: family, width, depth, kernel in frames, both directions, measure."""
        return {
            "family": choice("family", FAMILIES, value="CNN"),
            "width": slider("width", 16, low=4, high=96, step=4, unit="channels or units"),
            "depth": slider("depth", 2, low=1, high=4, step=1, unit="layers"),
            "kernel": slider("kernel", 3, low=1, high=11, step=2, unit="frames"),
            "both": switch("both directions", True),
            "measure": switch("measure a step (takes seconds)", False),
        }

    def compute(
        self, *, family: str, width: float, depth: float, kernel: float, both: bool, measure: bool
    ) -> Sized:
        """Describe the network of these sizes; build it and time it only if asked to."""
        shape = {"input_shape": self.input_shape, "n_classes": self.n_classes}
        try:
            config = _config(
                family, int(width), int(depth), int(kernel), both=both, input_shape=self.input_shape
            )
            description = models.describe(config, hop_seconds=self.hop_seconds, **shape)
        except ValueError as error:
            return Sized(family, None, None, math.nan, None, self.batch_size, str(error))
        speed = self.speed or multiply_adds_per_second()
        estimated = 1000 * _STEP_AND_ANSWER * self.batch_size * description.multiply_adds / speed
        measured = self.measure(config, batch_size=self.batch_size, **shape) if measure else None
        return Sized(family, config, description, estimated, measured, self.batch_size)

    def build(self, figure: Figure, result: Sized) -> list[Artist]:
        """Make room for the network above and its table below."""
        grid = figure.add_gridspec(2, 1, height_ratios=(1.1, 1))
        self._above = prepared(figure.add_subplot(grid[0]), size=self.size)
        self._below = prepared(figure.add_subplot(grid[1]), size=self.size)
        for axes in (self._above, self._below):
            axes.set_axis_off()
            axes.autoscale(False)
        self._blocks = PolyCollection([], linewidths=1.2)
        self._above.add_collection(self._blocks, autolim=False)
        looks = {"color": look().ink, "fontsize": 8.5}
        self._labels = [
            self._above.text(0, 0, "", ha="center", va="top", **looks) for _ in range(_MOST_BLOCKS)
        ]
        # A text for each column: to pad one large text with spaces would take three times as long to draw.
        self._columns = []
        for x, side, title in _COLUMNS:
            place = {"transform": self._below.transAxes, "ha": side}
            self._below.text(x, 0.93, title, va="baseline", **place, **looks, fontweight="bold")
            cells = {"va": "top", "linespacing": 1.35, "multialignment": side}
            self._columns.append(self._below.text(x, 0.87, "", **cells, **place, **looks))
        return [self._blocks, *self._labels, *self._columns]

    def draw(self, result: Sized) -> None:
        """Move the blocks and write the table."""
        blocks = network_blocks(result.description) if result.description else []
        polygons, colors, edges = block_polygons(blocks)
        self._blocks.set_verts(polygons)
        self._blocks.set_edgecolor(colors or "none")
        self._blocks.set_facecolor(list(map(block_face, colors)) or "none")
        width = edges[-1][1] if edges else 0.0
        # One scale for all networks, so that a wider one looks wider; only very long ones shrink.
        lowest = min((polygon[:, 1].min() for polygon in polygons), default=0.0)
        for label, block, (left, right) in zip(self._labels, blocks, edges, strict=False):
            label.set_text(block.name)
            label.set_position(((left + right) / 2, lowest - 0.15))
        for label in self._labels[len(blocks) :]:
            label.set_text("")
        set_limits(self._above, x=(-0.3, max(width, 8.6) + 0.3), y=(-1.75, 1.15))
        for column, cells in zip(self._columns, _table(result), strict=True):
            column.set_text("\n".join(cells))

    def describe(self, result: Sized) -> str:
        """Say what the network costs, and what the controls do not change."""
        if result.description is None:
            return f"There is no such network. {result.trouble}"
        description = result.description
        local = [row for row in description.layers if row.kind.startswith(("Conv", "MaxPooling"))]
        heard = local[-1].receptive_field_seconds if local else None
        reach = (
            f"Its last convolution has heard {1000 * heard:.0f} ms at once."
            if heard
            else "Each answer has heard the whole clip."
        )
        said = (
            f"{result.family[0].upper()}{result.family[1:]}: {description.parameters:,} parameters, "
            f"{description.multiply_adds:,} multiply-adds for one clip. {reach} A training step of "
            f"{result.batch_size} clips: {_ms(result.estimated_ms)} estimated"
        )
        said += f", {_ms(result.measured_ms)} measured." if result.measured_ms is not None else "."
        unused = [name for key, name in _NAMES.items() if key not in _USED[result.family]]
        if unused:
            listed = unused[0] if len(unused) == 1 else f"{', '.join(unused[:-1])} and {unused[-1]}"
            verb = "has" if len(unused) == 1 else "have"
            said += f" {listed[0].upper()}{listed[1:]} {verb} no meaning for this family."
        return said


_MOST_BLOCKS = 12
_COLUMNS = (
    (0.02, "left", "layer"),
    (0.20, "left", "what comes out"),
    (0.50, "right", "parameters"),
    (0.66, "right", "multiply-adds"),
    (0.80, "right", "memory"),
    (0.95, "right", "has heard"),
)


def _config(
    family: str, width: int, depth: int, kernel: int, *, both: bool, input_shape: tuple[int, int]
) -> ModelConfig:
    """Give the configuration of a family with these sizes."""
    if family == "softmax regression":
        return models.SoftmaxConfig()
    if family == "the article's Conv1D":
        return models.ArticleCnnConfig(filters=width, kernel_size=kernel)
    if family in _CELLS:
        return models.RnnConfig(cell=_CELLS[family], units=width, layers=depth, bidirectional=both)
    channels, pools = (width,) * depth, _pools(depth, input_shape)
    if family == "CNN":
        return models.CnnConfig(channels=channels, kernel_size=(kernel, 3), pools=pools)
    return models.CrnnConfig(
        conv_channels=channels,
        kernel_size=(kernel, 3),
        pools=pools,
        gru_units=width,
        bidirectional=both,
        head="max",
    )


def _pools(depth: int, input_shape: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Halve time twice and frequency as long as two bands are left."""
    bands, pools = input_shape[1], []
    for number in range(depth):
        pools.append((2 if number < 2 else 1, 2 if bands >= 4 else 1))
        bands //= pools[-1][1]
    return tuple(pools)


def _table(result: Sized) -> list[list[str]]:
    """Write what comes out of each block and what it costs: a list of cells for each column."""
    if result.description is None:
        return [[] for _ in _COLUMNS]
    lines = []
    for block in network_blocks(result.description):
        heard = block.receptive_field_seconds
        reach = "whole clip" if heard is None else f"{1000 * heard:.0f} ms"
        lines.append((block.name, " × ".join(map(str, block.shape)), *_costs(block), reach))
    lines.append(("whole network", "", *_costs(result.description), ""))
    return [list(column) for column in zip(*lines, strict=True)]


def _costs(counted: Any) -> tuple[str, str, str]:
    kilobytes = counted.activation_bytes / 1024
    return f"{counted.parameters:,}", f"{counted.multiply_adds:,}", f"{kilobytes:.1f} KiB"


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.2g} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"


# --- time -----------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1)
def multiply_adds_per_second(size: int = 512, tries: int = 5) -> float:
    """Measure how many multiply-adds this processor does in a second at its best: a large matrix product.

    Parameters
    ----------
    size : int
        Rows and columns of both matrices.
    tries : int
        Products to time; the fastest counts.

    Returns
    -------
    float

    Examples
    --------
    >>> multiply_adds_per_second(64) > 1e6
    True

    Lesson: 04
    """
    matrix = np.ones((size, size), np.float32)
    taken = []
    for _ in range(tries + 1):  # the first one wakes the processor's threads
        began = time.perf_counter()
        matrix @ matrix
        taken.append(time.perf_counter() - began)
    return size**3 / max(min(taken), 1e-9)


@functools.lru_cache(maxsize=64)
def measured_step(
    config: ModelConfig, *, input_shape: tuple[int, int], n_classes: int, batch_size: int
) -> float:
    """Build a network and time its training steps on random input.

    Parameters
    ----------
    config : ModelConfig
        Sizes of the network.
    input_shape : (int, int)
        Frames and bands of one clip.
    n_classes : int
        Words to tell apart.
    batch_size : int
        Clips in one step.

    Returns
    -------
    float
        Milliseconds of the fastest of several steps. The first, in which TensorFlow makes its graph, does
        not count.

    Lesson: 04
    """
    keras = models.import_keras()
    model = models.build(config, input_shape=input_shape, n_classes=n_classes, seed=0)
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch_size, *input_shape)).astype(np.float32)
    y = rng.integers(0, n_classes, batch_size)
    model.train_on_batch(x, y)
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        model.train_on_batch(x, y)
        taken.append(time.perf_counter() - began)
    return 1000 * min(taken)


# --- what the layers of a trained network answer --------------------------------------------------------


def in_pieces(samples: np.ndarray, seconds: float, *, seed: int = 0) -> np.ndarray:
    """Cut a sound into pieces and put them together in another order, each faded so that no cut clicks.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        The sound, at 16 kHz.
    seconds : float
        Length of a piece; infinity leaves the sound as it is.
    seed : int
        Of the order.

    Returns
    -------
    ndarray, shape (n_samples,)

    Examples
    --------
    >>> sound = np.ones(16_000, np.float32)
    >>> in_pieces(sound, 0.1).shape, in_pieces(sound, np.inf) is sound
    ((16000,), True)

    Lesson: 04
    """
    if math.isinf(seconds):
        return samples
    length = max(1, round(seconds * audio.SAMPLE_RATE))
    pieces = [samples[start : start + length] for start in range(0, len(samples), length)]
    faded = []
    for piece in pieces:
        n = np.arange(len(piece))
        faded.append(piece * np.minimum(1, np.minimum(n, n[::-1]) / _FADE_SAMPLES).astype(np.float32))
    order = np.random.default_rng(seed).permutation(len(faded))
    return np.concatenate([faded[i] for i in order])


_FADE_SAMPLES = 32
_PIECES = (("whole", math.inf), *((f"{ms} ms", ms / 1000) for ms in (400, 200, 100, 50, 20)))


@dataclass(frozen=True, eq=False)
class Layers:
    """A sound, and what a network makes of it.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        The sound, cut into pieces if that was asked for.
    window : ndarray, shape (n_frames, n_features)
        What the network reads.
    name : str
        The layer that was asked for.
    values : ndarray, shape (time, frequency, channels) or (time, units)
        What it gives.
    probabilities : ndarray, shape (n_labels,)
        The answer.

    Lesson: 04
    """

    samples: np.ndarray
    window: np.ndarray
    name: str
    values: np.ndarray
    probabilities: np.ndarray


class LayersExplorer(Explorer):
    """Choose a clip and a layer of a trained recogniser; cut the clip into pieces; see and hear what changes.

    Parameters
    ----------
    recognizer : Recognizer
        Whose network is looked into. Of several networks that answer together, the first is shown.
    clips : iterable of Clip
        The clips to choose from.

    Raises
    ------
    ValueError
        When there is no clip.

    Examples
    --------
    >>> from asrlib import datasets
    >>> clips = datasets.digits("test").where(speaker="bm_daniel", take=1)
    >>> explorer = LayersExplorer(Recognizer.default(), clips)
    >>> explorer.still(clip="seven · bm_daniel").result.probabilities.shape
    (10,)

    Lesson: 04
    """

    size = (9.2, 4.6)

    def __init__(self, recognizer: Recognizer, clips: Iterable[Clip]) -> None:
        self.recognizer = recognizer
        self.clips = {f"{_word(clip.label)} · {clip.speaker}": clip.samples for clip in clips}
        if not self.clips:
            raise ValueError("There is no clip to explore. Pass clips, such as datasets.digits('test').")
        self.layers = self._layer_names()
        super().__init__()

    def controls(self) -> dict[str, ipywidgets.Widget]:
        """Return the controls: clip, layer, length of the shuffled pieces."""
        return {
            "clip": choice("clip", list(self.clips)),
            "layer": choice("layer", list(self.layers)),
            "pieces": steps("in pieces of", _PIECES, value=math.inf),
        }

    def compute(self, *, clip: str, layer: str, pieces: float) -> Layers:
        """Let the network answer, and keep what the layer gave; the pieces' length is in seconds."""
        samples = in_pieces(self.clips[clip], pieces)
        config = self.recognizer.features
        window = fit_window(features.extract(samples, config), self.recognizer.n_frames)[0]
        trace = self.recognizer.network.trace(window[None])
        return Layers(samples, window, layer, trace[self.layers[layer]][0], trace["probabilities"][0])

    def build(self, figure: Figure, result: Layers) -> list[Artist]:
        """Draw what goes in and what comes out on the left, the layer's tiles on the right."""
        grid = figure.add_gridspec(2, 2, width_ratios=(1, 2.4), height_ratios=(1.2, 1))
        self._in = prepared(figure.add_subplot(grid[0, 0]), size=self.size)
        self._out = prepared(figure.add_subplot(grid[1, 0]), size=self.size)
        self._inside = prepared(figure.add_subplot(grid[:, 1]), size=self.size)
        seconds = len(result.window) * self.recognizer.features.hop_seconds
        looks = {"origin": "lower", "aspect": "auto", "interpolation": "nearest"}
        self._features = self._in.imshow(result.window.T, cmap="magma", extent=(0, seconds, 0, 1), **looks)
        self._in.set(xlabel="time (s)", ylabel="frequency", yticks=[])
        labels = self.recognizer.labels
        self._bars = self._out.bar(range(len(labels)), [0] * len(labels))
        self._out.set(ylim=(0, 100), ylabel="%", xlabel="answer")
        self._out.set_xticks(range(len(labels)), labels)
        self._tiles = self._inside.imshow([[0.0]], extent=(0, 1, 0, 1), **looks)
        self._inside.set_axis_off()
        self._note = self._inside.text(0, 1.01, "", color=look().ink, fontsize=10, va="bottom")
        for axes, title in ((self._in, "goes in"), (self._out, "comes out")):
            axes.set_title(title, loc="left", fontsize=10)
        for axes in figure.axes:
            axes.autoscale(False)
        return [self._features, *self._bars, self._tiles, self._note]

    def draw(self, result: Layers) -> None:
        """Move the pictures and the bars."""
        self._features.set_data(result.window.T)
        self._features.set_clim(np.percentile(result.window, 5), result.window.max())
        winner = int(result.probabilities.argmax())
        for i, (bar, share) in enumerate(zip(self._bars, result.probabilities, strict=True)):
            bar.set_height(100 * share)
            bar.set_color(look().strong if i == winner else look().quiet)
        picture = tiles(result.values)
        reach = max(float(np.nanmax(np.abs(picture))), 1e-9)
        signed = np.nanmin(picture) < 0
        self._tiles.set_data(picture)
        self._tiles.set_cmap("PuOr" if signed else "magma")
        self._tiles.set_clim(-reach if signed else 0, reach)
        size = " × ".join(map(str, result.values.shape))
        each = (
            "a tile for each channel" if result.values.ndim == 3 else "a row for each unit, time to the right"
        )
        self._note.set_text(f"{result.name}: {size}, {each}")

    def describe(self, result: Layers) -> str:
        """Say what the machine writes, and how sure it is."""
        winner = int(result.probabilities.argmax())
        answer, share = self.recognizer.labels[winner], result.probabilities[winner]
        size = " × ".join(map(str, result.values.shape))
        said = f"The machine writes {answer}, {100 * share:.0f} % sure."
        return f"{said} Layer {result.name} gives {size} numbers."

    def sound(self, result: Layers) -> np.ndarray:
        """Return the clip as the network heard it."""
        return result.samples

    def _layer_names(self) -> dict[str, str]:
        """Name the layers that have a time axis, as the network's trace names them."""
        window = np.zeros((1, *self.recognizer.input_shape), np.float32)
        found = {}
        for name, values in self.recognizer.network.trace(window).items():
            short = name.rpartition("/")[2]
            if values.ndim > 2 and short not in found:
                found[short] = name
        return found


def tiles(values: np.ndarray, *, columns: int = 8) -> np.ndarray:
    """Lay the channels of a layer out as one picture, frequency upwards; units are sorted by when they peak.

    Parameters
    ----------
    values : ndarray, shape (time, frequency, channels) or (time, units)
        What a layer gives for one clip.
    columns : int
        Tiles in a row, the first channel at the upper left.

    Returns
    -------
    ndarray
        Not a number between the tiles.

    Examples
    --------
    >>> tiles(np.ones((5, 4, 3)), columns=2).shape      # 2 rows of 4 + 1, 2 columns of 5 + 1
    (10, 12)

    Lesson: 04
    """
    if values.ndim == 2:
        return values[:, np.argsort(np.abs(values).argmax(axis=0), kind="stable")].T
    time_steps, bands, channels = values.shape
    rows = math.ceil(channels / columns)
    picture = np.full((rows * (bands + 1), columns * (time_steps + 1)), np.nan, np.float32)
    for channel in range(channels):
        row, column = rows - 1 - channel // columns, channel % columns
        low, left = row * (bands + 1), column * (time_steps + 1)
        picture[low : low + bands, left : left + time_steps] = values[:, :, channel].T
    return picture


def _word(label: str) -> str:
    return WORDS[int(label)] if label.isdigit() and int(label) < len(WORDS) else label
