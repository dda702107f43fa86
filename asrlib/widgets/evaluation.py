"""Lesson 7's explorer: who is mistaken for whom, at which noise, and how each of these clips sounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import ipywidgets
import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from asrlib import audio, evaluation, features, signals
from asrlib.datasets import SpeechDataset
from asrlib.evaluation import Predictor
from asrlib.features import FeatureConfig
from asrlib.plots.common import look, prepared
from asrlib.widgets.explorer import Explorer, choice, slider, steps
from asrlib.widgets.picture import outline, set_limits

__all__ = ["Cell", "ConfusionExplorer"]

_NOISE_LEVELS = [
    ("no noise", math.inf),
    *((f"{db} dB".replace("-", "\N{MINUS SIGN}"), float(db)) for db in (20, 15, 10, 5, 0, -5)),
]
_PICTURES = {"log-mel": FeatureConfig(), "MFCC": FeatureConfig(kind="mfcc")}
_SHOWN_DB = 60.0
_AMPLITUDES = (0.05, 0.1, 0.25, 0.5, 1.0)
_MOST_CLIPS = 12
_TICK_HZ = (250, 1000, 4000)


@dataclass(frozen=True, eq=False)
class Cell:
    """One cell of a confusion matrix, and one of its clips.

    Parameters
    ----------
    model : str
        Name of the recogniser.
    snr_db : float
        Signal-to-noise ratio in dB; infinity without noise.
    labels : tuple of str
        Order of the matrix' rows and columns.
    matrix : ndarray of int, shape (n_labels, n_labels)
        Rows: what was said. Columns: what was answered.
    said, answered : str
        The cell.
    number, count : int
        Which of the cell's clips this is, from 1, and how many it has; both 0 when it has none.
    samples : float32 array, shape (n_samples,), or None
        The clip with its noise; None when the cell is empty.
    picture : float32 array, shape (n_frames, n_coefficients), or None
        What is shown of it.
    show : str
        "log-mel" or "MFCC".
    speaker : str
        Who speaks; empty when the cell is empty.
    probabilities : dict of str to float
        What the recogniser gave for said and answered; empty when the cell is empty.

    Lesson: 07
    """

    model: str
    snr_db: float
    labels: tuple[str, ...]
    matrix: np.ndarray
    said: str
    answered: str
    number: int
    count: int
    samples: np.ndarray | None
    picture: np.ndarray | None
    show: str
    speaker: str
    probabilities: Mapping[str, float]


class ConfusionExplorer(Explorer):
    """Choose a recogniser, a noise and a cell of its confusion matrix; see and hear the clips in it.

    Parameters
    ----------
    recognizers : mapping of str to recogniser
        By name. All must know the same labels in the same order.
    clips : SpeechDataset
        What they answer. All of it is answered anew when recogniser or noise change, and then kept; a few
        hundred clips take a fraction of a second.
    seed : int
        Of the noise. Each clip meets the same noise at every level, only louder or softer.

    Raises
    ------
    ValueError
        When there is no recogniser or no clip, or labels do not fit.

    Examples
    --------
    >>> from asrlib import datasets
    >>> from asrlib.recognizer import Recognizer
    >>> several = datasets.digits("test").where(take=0)                           # doctest: +SKIP
    >>> explorer = ConfusionExplorer({"shipped": Recognizer.default()}, several)  # doctest: +SKIP
    >>> explorer.still(snr_db=0.0, said="5", answered="9")                        # doctest: +SKIP

    Lesson: 07
    """

    size = (9.0, 4.6)
    dpi = 90

    def __init__(self, recognizers: Mapping[str, Predictor], clips: SpeechDataset, *, seed: int = 0) -> None:
        if not recognizers or len(clips) == 0:
            raise ValueError(
                f"{len(recognizers)} recognisers and {len(clips)} clips came; expected one of each at least."
            )
        self.recognizers, self.clips, self.seed = dict(recognizers), clips, seed
        known = {tuple(map(str, each.labels)) for each in self.recognizers.values()}
        if len(known) != 1 or not set(map(str, clips.labels)) <= set(next(iter(known))):
            raise ValueError(
                "Recognisers and clips must share their labels, in the same order; the recognisers know "
                f"{sorted(known)}, the clips say {sorted(set(map(str, clips.labels)))}."
            )
        self.labels = next(iter(known))
        self._expected = np.asarray(clips.labels).astype(str)
        self._kept: dict[tuple[str, float], np.ndarray] = {}
        super().__init__()

    def controls(self) -> dict[str, ipywidgets.Widget]:
        """Return the controls: recogniser, noise, the cell, which of its clips, and how it is shown."""
        first = next(iter(self.recognizers))
        said, answered = self._worst(first)
        return {
            "model": choice("model", list(self.recognizers)),
            "snr_db": steps("noise (SNR)", _NOISE_LEVELS, value=math.inf),
            "said": choice("said", list(self.labels), value=said),
            "answered": choice("answered", list(self.labels), value=answered),
            "number": slider("clip number", 1, low=1, high=_MOST_CLIPS, step=1),
            "show": choice("show", list(_PICTURES)),
        }

    def compute(
        self, *, model: str, snr_db: float, said: str, answered: str, number: float, show: str
    ) -> Cell:
        """Let the recogniser answer all clips at this noise, and take one clip from the cell."""
        probabilities = self._answers(model, snr_db)
        predicted = np.array(self.labels)[probabilities.argmax(axis=1)]
        matrix = evaluation.confusion_matrix(self._expected, predicted, labels=self.labels)
        inside = np.flatnonzero((self._expected == said) & (predicted == answered))
        cell = {
            "model": model,
            "snr_db": snr_db,
            "labels": self.labels,
            "matrix": matrix,
            "said": said,
            "answered": answered,
            "show": show,
            "count": len(inside),
        }
        if not len(inside):
            return Cell(**cell, number=0, samples=None, picture=None, speaker="", probabilities={})
        # The surest first: an error that the recogniser is certain of says most.
        column = self.labels.index(answered)
        inside = inside[np.argsort(-probabilities[inside, column], kind="stable")]
        number = min(int(number), len(inside))
        index = int(inside[number - 1])
        samples = self._noisy(index, snr_db)
        return Cell(
            **cell,
            number=number,
            samples=samples,
            picture=features.extract(samples, _PICTURES[show]),
            speaker=str(self.clips.speakers[index]),
            probabilities={
                label: float(probabilities[index, self.labels.index(label)]) for label in (answered, said)
            },
        )

    def build(self, figure: Figure, result: Cell) -> list[Artist]:
        """Draw the matrix at the left; at the right, the clip's wave above its picture."""
        grid = figure.add_gridspec(2, 2, width_ratios=(1, 1), height_ratios=(1, 2))
        self._matrix = prepared(figure.add_subplot(grid[:, 0]), size=self.size)
        self._sound = prepared(figure.add_subplot(grid[0, 1]), size=self.size)
        self._shown = prepared(figure.add_subplot(grid[1, 1], sharex=self._sound), size=self.size)
        n = len(self.labels)
        self._shares = self._matrix.imshow(np.zeros((n, n)), cmap="Blues", vmin=0, vmax=1, aspect="equal")
        self._counts = [
            [self._matrix.text(column, row, "", ha="center", va="center", fontsize=8) for column in range(n)]
            for row in range(n)
        ]
        self._box = Rectangle((0, 0), 1, 1, fill=False, edgecolor="#D55E00", linewidth=2.5)
        self._matrix.add_patch(self._box)
        self._matrix.set_xticks(range(n), self.labels)
        self._matrix.set_yticks(range(n), self.labels)
        self._matrix.tick_params(length=0)
        self._matrix.set(xlabel="answered", ylabel="said")
        (self._wave,) = self._sound.plot([], [], color=look().main, linewidth=0.7)
        self._sound.set_ylabel("amplitude")
        self._sound.tick_params(labelbottom=False)
        self._image = self._shown.imshow(
            [[0, 1]], origin="lower", aspect="auto", interpolation="nearest", cmap="magma"
        )
        self._shown.set(xlabel="time (s)", ylim=(0, 1), facecolor="black")
        longest = max(float(np.max(self.clips.seconds)), 0.1)
        self._sound.set_xlim(0, math.ceil(10 * longest) / 10)
        self._drawn_matrix: np.ndarray | None = None
        self._drawn_show = ""
        for axes in figure.axes:
            axes.autoscale(False)
        return [self._box, self._wave, self._image]

    def draw(self, result: Cell) -> None:
        """Fill the matrix, move the frame around the cell, draw the clip."""
        self._draw_matrix(result.matrix)
        row, column = self.labels.index(result.said), self.labels.index(result.answered)
        self._box.set_xy((column - 0.5, row - 0.5))
        if self._drawn_show != result.show:
            self._label_picture(result.show)
        empty = result.samples is None
        self._image.set_visible(not empty)
        self._wave.set_visible(not empty)
        if empty:
            return
        self._wave.set_data(*outline(result.samples))
        peak = float(np.abs(result.samples).max())
        reach = next((limit for limit in _AMPLITUDES if peak <= limit), 1.0)
        if self._sound.get_ylim()[1] != reach:
            set_limits(self._sound, y=(-reach, reach))
            self._sound.set_yticks([-reach, 0, reach], [f"\N{MINUS SIGN}{reach:.2f}", "0.00", f"{reach:.2f}"])
        config = _PICTURES[result.show]
        times, half_hop = config.times(len(result.picture)), config.hop_seconds / 2
        self._image.set_data(result.picture.T)
        self._image.set_extent((times[0] - half_hop, times[-1] + half_hop, 0, 1))
        if result.show == "MFCC":
            # c0 and c1, loudness and tilt, are far larger than the others and would drown them.
            strongest = max(float(np.percentile(np.abs(result.picture[:, 2:]), 97)), 1e-3)
            self._image.set_clim(-strongest, strongest)
        else:
            loudest = float(result.picture.max())
            self._image.set_clim(loudest - config.from_db(_SHOWN_DB), loudest)

    def describe(self, result: Cell) -> str:
        """Say how many were right, what is in the cell, and how sure the recogniser was of this clip."""
        right, total = int(np.trace(result.matrix)), int(result.matrix.sum())
        noise = "without noise" if math.isinf(result.snr_db) else f"at {result.snr_db:g} dB"
        text = f"{result.model}, {noise}: {right} of {total} right. "
        if not result.count:
            return text + f"No {result.said} was answered with {result.answered}."
        given = {label: f"{100 * share:.0f} % to {label}" for label, share in result.probabilities.items()}
        text += (
            f"Said {result.said}, answered {result.answered}: clip {result.number} of {result.count}, by "
            f"{result.speaker}. The machine gave {' and '.join(given.values())}."
        )
        return f"{text} Right." if result.said == result.answered else text

    def sound(self, result: Cell) -> np.ndarray | None:
        """Return the clip with its noise."""
        return result.samples

    def _answers(self, model: str, snr_db: float) -> np.ndarray:
        """Return the probabilities for all clips, shape (n_clips, n_labels); kept once they are known."""
        if (model, snr_db) not in self._kept:
            noisy = [self._noisy(index, snr_db) for index in range(len(self.clips))]
            self._kept[model, snr_db] = np.asarray(self.recognizers[model].predict(noisy))
        return self._kept[model, snr_db]

    def _noisy(self, index: int, snr_db: float) -> np.ndarray:
        clip = self.clips.audio(index)
        if math.isinf(snr_db):
            return clip
        same_at_every_level = np.random.default_rng([self.seed, index])
        noise = signals.white_noise(len(clip) / audio.SAMPLE_RATE, rng=same_at_every_level)
        return signals.mix(clip, noise, snr_db=snr_db, limit=True)

    def _worst(self, model: str) -> tuple[str, str]:
        """Return the most frequent error without noise as (said, answered); some cell when there is none."""
        predicted = np.array(self.labels)[self._answers(model, math.inf).argmax(axis=1)]
        matrix = evaluation.confusion_matrix(self._expected, predicted, labels=self.labels)
        row, column = np.unravel_index(int((matrix - np.diag(np.diag(matrix))).argmax()), matrix.shape)
        return self.labels[row], self.labels[column]

    def _draw_matrix(self, matrix: np.ndarray) -> None:
        """Write a hundred numbers, which takes longest of all; so only when they changed."""
        if self._drawn_matrix is not None and np.array_equal(matrix, self._drawn_matrix):
            return
        self._drawn_matrix = matrix
        shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        self._shares.set_data(shares)
        for row, texts in enumerate(self._counts):
            for column, text in enumerate(texts):
                count = int(matrix[row, column])
                text.set_text(str(count) if count else "")
                text.set_color("#ffffff" if shares[row, column] > 0.55 else "#111111")
                text.set_fontweight("normal" if row == column else "bold")
        self._matrix.stale = True

    def _label_picture(self, show: str) -> None:
        self._drawn_show = show
        config = _PICTURES[show]
        if show == "MFCC":
            self._image.set_cmap("PuOr")
            ticks = range(0, config.n_mfcc, 4)
            self._shown.set_yticks([(q + 0.5) / config.n_mfcc for q in ticks], [str(q) for q in ticks])
            self._shown.set_ylabel("coefficient")
            return
        self._image.set_cmap("magma")
        peaks = config.band_frequencies()
        places = (np.interp(_TICK_HZ, peaks, np.arange(len(peaks))) + 0.5) / len(peaks)
        self._shown.set_yticks(places, [str(hz) for hz in _TICK_HZ])
        self._shown.set_ylabel("frequency (Hz)")
