"""The explorer of lesson 5: turn the knobs of a descent, see its path, and play it."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import anywidget
import ipywidgets
import numpy as np
import traitlets
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from asrlib import descent
from asrlib.descent import Path, Plane, SoftmaxRegression
from asrlib.plots.common import look, prepared
from asrlib.plots.descent import ON_VALLEY, VALLEY
from asrlib.widgets.explorer import Explorer, choice, slider, steps
from asrlib.widgets.picture import encode_png
from asrlib.widgets.view import View

__all__ = ["DescentExplorer", "Walk"]

OPTIMIZERS = {
    "SGD": lambda rate, momentum: descent.SGD(rate),
    "momentum": descent.Momentum,
    "Nesterov": descent.Nesterov,
    "RMSProp": lambda rate, momentum: descent.RMSProp(rate),
    "Adam": lambda rate, momentum: descent.Adam(rate, beta_1=momentum),
}
_WITHOUT_MOMENTUM = ("SGD", "RMSProp")
_RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0, 1.1, 1.2, 1.5, 2.0, 3.0, 5.0)
_BATCHES = (1, 4, 16, 64)
_TWO, _ALL = "two", "all"
_LOSS_ABOVE_LOWEST = (0.002, 30.0)


@dataclass(frozen=True, eq=False)
class Walk:
    """A walk down the loss and how it looks from above.

    Parameters
    ----------
    path : Path
        The walk: of two weights, or of all.
    points : ndarray, shape (n_points, 2)
        Where it is on the surface; for all weights, its shadow.
    accuracy : float
        Part of other clips that the last weights know; NaN without other clips.
    optimizer, schedule, weights : str
        As the controls say.
    learning_rate, momentum : float
        As the controls say.
    batch_size : int
        Clips per step.

    Lesson: 05
    """

    path: Path
    points: np.ndarray
    accuracy: float
    optimizer: str
    schedule: str
    weights: str
    learning_rate: float
    momentum: float
    batch_size: int


class Player(anywidget.AnyWidget):
    """The browser's half of the animation: a Play button and a line to drag along."""

    _esm = FilePath(__file__).parent / "descent.js"

    version = traitlets.Int(0).tag(sync=True)  # of the walk that the picture shows
    seconds = traitlets.Float(6.0).tag(sync=True)


class DescentExplorer(Explorer):
    """Choose an optimiser and its settings; see its path on the loss surface, its loss, and play it.

    The loss is that of a softmax regression on these clips. The surface shows it over two of its directions:
    towards its lowest point, and where it bends most. With "two" weights the walk may use only these and lies
    on the surface; with "all" it may go anywhere, and its shadow is shown.

    Parameters
    ----------
    features : array, shape (n_clips, n_features)
        What is known of each clip. A few hundred clips keep the sliders quick.
    labels : array of int, shape (n_clips,)
        Their classes.
    others : (array, array), optional
        Features and labels of other clips, which the answer counts.
    l2 : float
        Penalty on large weights, without which there is no lowest point.
    epochs : int
        How often every walk sees all clips: all walks do the same work.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(60) % 3
    >>> explorer = DescentExplorer(rng.normal(size=(60, 4)) + 2 * np.eye(3, 4)[labels], labels)
    >>> still = explorer.still(optimizer="SGD", learning_rate=0.1, batch_size=0)
    >>> still.result.path
    Path(24 steps, 1440 clips seen, loss ... to ...)

    Lesson: 05
    """

    size = (9.4, 3.9)

    def __init__(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        *,
        others: tuple[np.ndarray, np.ndarray] | None = None,
        l2: float = 0.01,
        epochs: int = 24,
    ) -> None:
        self.objective = SoftmaxRegression(features, labels, l2=l2)
        self.others, self.epochs = others, epochs
        zero = self.objective.start()
        rate = 1 / descent.sharpest(self.objective, zero, rng=np.random.default_rng(0))[0]
        lowest = descent.minimise(
            self.objective, zero, optimizer=descent.Nesterov(rate, momentum=0.9), epochs=400, n_points=2
        )
        self.lowest = float(lowest.losses[-1])
        self.curvature, sharp = descent.sharpest(self.objective, lowest.end, rng=np.random.default_rng(0))
        self.plane = Plane(self.objective, origin=zero, directions=[lowest.end, sharp])
        self.goal = self.plane.project(lowest.end)
        # Beside the valley, so that the walk comes down a slope first.
        self.start = self.goal[0] * np.array([-0.25, 0.6])
        self.across = self.goal[0] * np.linspace(-0.45, 1.85, 47)
        self.up = self.goal[0] * np.linspace(-0.8, 0.8, 33)
        self.surface = descent.loss_surface(self.plane, across=self.across, up=self.up)
        self._compute = functools.lru_cache(maxsize=64)(self._walk)
        self._player: Player | None = None
        super().__init__()

    def controls(self) -> dict[str, ipywidgets.Widget]:
        """Return the controls; a batch of 0 is all clips."""
        sizes = [(f"{size} clip{'s' * (size > 1)}", size) for size in _BATCHES if size < len(self.objective)]
        return {
            "optimizer": choice("optimiser", list(OPTIMIZERS), value="momentum"),
            "learning_rate": steps("learning rate", [(f"{rate:g}", rate) for rate in _RATES], value=0.1),
            "batch_size": steps("batch", [*sizes, (f"all {len(self.objective)} clips", 0)], value=0),
            "momentum": slider("momentum", 0.9, low=0.0, high=0.98, step=0.02),
            "schedule": choice("schedule", ["constant", "cosine"]),
            "weights": choice("weights that move", [_TWO, _ALL]),
        }

    def compute(
        self,
        *,
        optimizer: str,
        learning_rate: float,
        batch_size: int,
        momentum: float,
        schedule: str,
        weights: str,
    ) -> Walk:
        """Walk down the loss; always from the same start, with the same order of clips."""
        return self._compute(optimizer, learning_rate, batch_size, momentum, schedule, weights)

    def _walk(
        self,
        optimizer: str,
        learning_rate: float,
        batch_size: int,
        momentum: float,
        schedule: str,
        weights: str,
    ) -> Walk:
        size = batch_size or len(self.objective)
        n_steps = self.epochs * math.ceil(len(self.objective) / size)
        rate = descent.CosineDecay(learning_rate, n_steps) if schedule == "cosine" else learning_rate
        two = weights == _TWO
        path = descent.minimise(
            self.plane if two else self.objective,
            self.start if two else self.plane.weights(self.start),
            optimizer=OPTIMIZERS[optimizer](rate, momentum),
            batch_size=size,
            epochs=self.epochs,
            rng=np.random.default_rng(0),
            n_points=120,
        )
        points = path.weights if two else self.plane.project(path.weights)
        accuracy = math.nan
        if self.others is not None:
            features, labels = self.others
            last = self.plane.weights(path.end) if two else path.end
            accuracy = float(np.mean(self.objective.scores(last, features).argmax(axis=1) == labels))
        return Walk(path, points, accuracy, optimizer, schedule, weights, learning_rate, momentum, size)

    def build(self, figure: Figure, result: Walk) -> list[Artist]:
        """Draw the surface at the left, the loss against the work at the right."""
        grid = figure.add_gridspec(1, 2, width_ratios=(1.35, 1))
        self._map = prepared(figure.add_subplot(grid[0]), size=self.size)
        self._curve = prepared(figure.add_subplot(grid[1]), size=self.size)
        height = np.log(self.surface - self.lowest + 0.02 * np.ptp(self.surface))
        levels = np.linspace(height.min(), height.max(), 16)
        self._map.contourf(self.across, self.up, height, levels=levels, cmap=VALLEY)
        self._map.contour(self.across, self.up, height, levels=levels, colors="#ffffff", linewidths=0.4)
        self._map.plot(*self.goal, "x", color="#444444", markersize=7)
        self._map.plot(*self.start, "o", color="#444444", markersize=5)
        (self._track,) = self._map.plot([], [], color=ON_VALLEY, linewidth=1.6)
        (self._dots,) = self._map.plot([], [], ".", color=ON_VALLEY, markersize=4)
        (self._end,) = self._map.plot([], [], "o", color=ON_VALLEY, markersize=9, markeredgecolor="white")
        self._map.set(xlim=self.across[[0, -1]], ylim=self.up[[0, -1]])
        self._map.set_xlabel("towards the lowest point ×")
        self._map.set_ylabel("where it bends most")
        self._map.set_title("loss surface, darker is lower", loc="left", fontsize=10)

        work = self.epochs * len(self.objective)
        self._curve.set(xlim=(0, work), ylim=_LOSS_ABOVE_LOWEST, yscale="log")
        self._curve.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        self._curve.yaxis.set_minor_formatter(NullFormatter())
        plain = {"optimizer": "SGD", "learning_rate": 0.3, "batch_size": 0, "momentum": 0.0}
        reference = self.compute(**plain, schedule="constant", weights=_TWO).path
        self._curve.plot(
            reference.work,
            reference.losses - self.lowest,
            color=look().quiet,
            linewidth=1.2,
            linestyle="--",
            label="SGD 0.3, all clips, two weights",
        )
        (self._losses,) = self._curve.plot([], [], color=look().strong, linewidth=1.6)
        self._curve.set_xlabel("work (clips seen)")
        self._curve.set_ylabel("loss above the lowest (nats)")
        self._curve.set_title("loss of all clips", loc="left", fontsize=10)
        self._curve.legend(loc="upper right", fontsize=8, labelcolor=look().ink, frameon=False)
        return [self._track, self._dots, self._end, self._losses]

    def draw(self, result: Walk) -> None:
        """Move the path and the curve."""
        points, path = result.points, result.path
        self._track.set_data(points[:, 0], points[:, 1])
        self._dots.set_data(points[:, 0], points[:, 1])
        self._end.set_data(points[-1:, 0], points[-1:, 1])
        self._losses.set_data(path.work, self._above(path.losses))

    def _above(self, losses: np.ndarray) -> np.ndarray:
        return np.maximum(losses - self.lowest, _LOSS_ABOVE_LOWEST[0] / 2)

    def describe(self, result: Walk) -> str:
        """Say how far it came for its work, and what has no meaning for this optimiser."""
        path = result.path
        batch = "all clips" if result.batch_size == len(self.objective) else f"{result.batch_size} at a time"
        text = (
            f"{_sentence(result.optimizer)}, {batch}: {_count(path.steps[-1])} "
            f"step{'s' * int(path.steps[-1] != 1)}, "
            f"{_count(path.work[-1])} clips seen. The loss goes from {path.losses[0]:.2f} to "
            f"{path.losses[-1]:.3g}; the lowest is {self.lowest:.3f}."
        )
        if path.losses[-1] > path.losses[0]:
            text += " It diverges."
        if not math.isnan(result.accuracy):
            text += f" Of {len(self.others[1])} other clips it knows {100 * result.accuracy:.0f} %."
        if result.optimizer == "SGD":
            text += f" In the valley plain descent diverges above a rate of {2 / self.curvature:.2f}."
        if result.optimizer in _WITHOUT_MOMENTUM:
            text += f" {_sentence(result.optimizer)} has no momentum."
        if result.optimizer == "Adam":
            text += f" Adam's momentum is its beta 1, {result.momentum:.2f}."
        return text

    # -- the animation ---------------------------------------------------------------------------------------

    @property
    def widget(self) -> View:
        """The explorer as a widget, the player below its picture."""
        view = super().widget
        if self._player is None:
            self._player = Player()
            self._player.on_msg(self._message_came)
            place = view.children.index(view.image) + 1
            view.children = (*view.children[:place], self._player, *view.children[place:])
        return view

    def refresh(self) -> None:
        """Compute and draw the present values; what plays is stopped."""
        super().refresh()
        if self._player is not None:
            self._player.version += 1

    def animation(self, result: Walk) -> tuple[bytes, np.ndarray, list[list[float]]]:
        """Return what the browser needs to play a walk.

        Parameters
        ----------
        result : Walk
            What `compute` gave. Something must have been drawn before, by `still` or on the page.

        Returns
        -------
        background : bytes
            The picture without the walk, as PNG.
        points : float32 ndarray, shape (n_points, 7)
            The part of the work, the places on the surface and on the curve, all from 0 to 1 with (0, 0) at
            the top left of the picture, then clips seen and loss.
        boxes : list of list of float
            Left, top, right and bottom of the two parts of the picture, from 0 to 1.
        """
        path = result.path
        background = self.picture.pixels
        for artist in self.picture.moving:
            artist.set_visible(False)
        try:
            png = encode_png(background())
        finally:
            for artist in self.picture.moving:
                artist.set_visible(True)
        places = [
            _in_picture(self._map, result.points),
            _in_picture(self._curve, np.column_stack([path.work, self._above(path.losses)])),
        ]
        part = path.work / max(1, self.epochs * len(self.objective))
        rows = np.column_stack([part / max(part[-1], 1e-9), *places, path.work, path.losses])
        boxes = []
        for axes in (self._map, self._curve):
            box = axes.get_position()
            boxes.append([box.x0, 1 - box.y1, box.x1, 1 - box.y0])
        return png, rows.astype(np.float32), boxes

    def _message_came(self, player: Player, content: Mapping[str, Any], buffers: list) -> None:
        if content.get("kind") != "walk" or self.result is None:
            return
        png, points, boxes = self.animation(self.result)
        colors = [ON_VALLEY, look().strong]
        answer = {"kind": "walk", "version": player.version, "boxes": boxes, "colors": colors}
        player.send(answer, buffers=[png, points.tobytes()])


def _in_picture(axes: Axes, points: np.ndarray) -> np.ndarray:
    """Return points of axes as parts of the picture's width and height, from its top left corner."""
    with np.errstate(invalid="ignore", over="ignore"):
        pixels = axes.transData.transform(points)
    # The browser's canvas takes no infinite number; far outside is far enough.
    pixels = np.nan_to_num(pixels, nan=0.0, posinf=1e6, neginf=-1e6).clip(-1e6, 1e6)
    box = axes.figure.bbox
    return np.column_stack([pixels[:, 0] / box.width, 1 - pixels[:, 1] / box.height])


def _sentence(name: str) -> str:
    return name[0].upper() + name[1:]


def _count(number: int) -> str:
    return f"{number:,}".replace(",", "\N{NO-BREAK SPACE}")
