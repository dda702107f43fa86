"""Lesson 8's explorers: the collapse game, and from a recording to its text with everything in between."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import ipywidgets
import numpy as np
from matplotlib.artist import Artist
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from asrlib import audio, decoding, features, signals, texts
from asrlib.datasets import SpeechDataset
from asrlib.decoding import BLANK, LengthGrammar
from asrlib.features import FeatureConfig
from asrlib.plots.common import look, prepared
from asrlib.plots.decoding import BLANK_SIGN, ink_on, label_color, peaks
from asrlib.texts import ErrorCounts
from asrlib.widgets.explorer import Explorer, choice, slider, steps, switch
from asrlib.widgets.picture import set_limits

__all__ = ["CollapseGame", "Collapsed", "Decoded", "DecodingExplorer"]

# --- the collapse game --------------------------------------------------------------------------------------

_NAMES = ("7", "9")
_SIGNS = (BLANK_SIGN, *_NAMES)
_STEPS = 6
_TASKS = ("7 9", "9", "9 9", "7 9 9", "9 9 9", "7 9 7 9")


@dataclass(frozen=True)
class Collapsed:
    """A path of the collapse game, and what becomes of it.

    Parameters
    ----------
    path : tuple of int
        A class for each step; 0 is the blank.
    runs : tuple of (int, int, int)
        Class, first step and number of steps of each run of equal classes.
    text : tuple of int
        What is left: the classes of the runs, without blanks.
    wanted : tuple of int
        The text to write.
    ways : int
        How many paths of so many steps write the wanted text.

    Lesson: 08
    """

    path: tuple[int, ...]
    runs: tuple[tuple[int, int, int], ...]
    text: tuple[int, ...]
    wanted: tuple[int, ...]
    ways: int

    @property
    def right(self) -> bool:
        """Whether the path writes what is wanted."""
        return self.text == self.wanted


class CollapseGame(Explorer):
    """Choose a symbol for each step, and see what the path writes once repeats are merged and blanks dropped.

    Examples
    --------
    >>> game = CollapseGame()
    >>> game.still(write="9 9", step_1="9", step_2="9", step_3="9", step_4="9")
    The path 9 9 9 9 – – writes 9. Wanted: 9 9. Not yet.
    >>> game.still(write="9 9", step_1="9", step_2="–", step_3="9", step_4="9").result.text
    (2, 2)

    Lesson: 08
    """

    size = (8.0, 3.4)

    def controls(self) -> dict[str, ipywidgets.Widget]:
        """Return the controls: what to write, and the symbol of each step."""
        game: dict[str, ipywidgets.Widget] = {"write": choice("write", list(_TASKS))}
        for step in range(1, _STEPS + 1):
            game[f"step_{step}"] = choice(f"step {step}", list(_SIGNS))
        for control in game.values():
            control.layout.width = "150px"
            control.style.description_width = "50px"
        return game

    def compute(self, *, write: str, **symbols: str) -> Collapsed:
        """Merge the path's repeats, drop its blanks, and count the paths that would do."""
        path = tuple(_SIGNS.index(symbols[f"step_{step}"]) for step in range(1, _STEPS + 1))
        runs: list[tuple[int, int, int]] = []
        for step, label in enumerate(path):
            if runs and runs[-1][0] == label:
                runs[-1] = (label, runs[-1][1], runs[-1][2] + 1)
            else:
                runs.append((label, step, 1))
        wanted = tuple(decoding.to_labels(write.split(), _NAMES))
        # All paths are equally probable, so the probability of the text counts its paths.
        loss = decoding.ctc_loss(np.zeros((_STEPS, len(_SIGNS))), wanted)
        ways = round(math.exp(-loss) * len(_SIGNS) ** _STEPS)
        return Collapsed(path, tuple(runs), tuple(decoding.collapse(path)), wanted, ways)

    def build(self, figure: Figure, result: Collapsed) -> list[Artist]:
        """Draw rows of tiles: the path, its runs, the text, and below them the text that is wanted."""
        axes = prepared(figure.subplots(), size=self.size)
        rows = ("the path", "1. merge repeats", "2. drop blanks", "wanted")
        axes.set_yticks(range(len(rows)), rows)
        axes.set_ylim(3.6, -0.6)
        axes.axhline(2.5, color=look().quiet, linewidth=0.8)
        axes.set_xlim(0, _STEPS)
        axes.set_xticks(np.arange(_STEPS) + 0.5, [f"step {step}" for step in range(1, _STEPS + 1)])
        axes.tick_params(length=0)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.autoscale(False)
        self._tiles: list[list[tuple[Rectangle, Text]]] = []
        for row in range(len(rows)):
            tiles = []
            for step in range(_STEPS):
                tile = axes.add_patch(Rectangle((step + 0.03, row - 0.36), 0.94, 0.72, linewidth=0))
                text = axes.text(
                    step + 0.5, row, "", ha="center", va="center_baseline", fontsize=13, fontweight="bold"
                )
                tiles.append((tile, text))
            self._tiles.append(tiles)
        return [artist for tiles in self._tiles for pair in tiles for artist in pair]

    def draw(self, result: Collapsed) -> None:
        """Colour the tiles, stretch them over their runs, and hide what is dropped."""
        path = [(label, step, 1) for step, label in enumerate(result.path)]
        kept = [run for run in result.runs if run[0] != BLANK]
        wanted = [(label, step, 1) for step, label in enumerate(result.wanted)]
        for tiles, shown in zip(self._tiles, (path, result.runs, kept, wanted), strict=True):
            for number, (tile, text) in enumerate(tiles):
                visible = number < len(shown)
                tile.set_visible(visible)
                text.set_visible(visible)
                if visible:
                    _place(tile, text, *shown[number])

    def describe(self, result: Collapsed) -> str:
        """Say what the path writes, and once it is right how many others would do."""
        path, wanted = _written(result.path), _written(result.wanted)
        text = f"The path {path} writes {_written(result.text) or 'nothing'}. Wanted: {wanted}. "
        if not result.right:
            return text + "Not yet."
        others = result.ways - 1
        return text + (
            "Right, and it is the only path that does."
            if not others
            else f"Right, and so {'does one other path' if others == 1 else f'do {others} other paths'}."
        )


def _place(tile: Rectangle, text: Text, label: int, step: int, n_steps: int) -> None:
    tile.set_x(step + 0.03)
    tile.set_width(n_steps - 0.06)
    tile.set_facecolor(label_color(label, _NAMES, BLANK))
    tile.set_alpha(0.3 if label == BLANK else 1.0)
    text.set_x(step + n_steps / 2)
    text.set_text(_SIGNS[label])
    text.set_color(look().ink if label == BLANK else ink_on(label, _NAMES, BLANK))


def _written(labels: Sequence[int]) -> str:
    return " ".join(_SIGNS[label] for label in labels)


# --- from sound to text -------------------------------------------------------------------------------------

_NOISE_LEVELS = [
    ("no noise", math.inf),
    *((f"{db} dB".replace("-", "\N{MINUS SIGN}"), float(db)) for db in (20, 15, 10, 5, 0, -5)),
]
_GREEDY = 0
_WIDTHS = [("greedy", _GREEDY), *((f"beam of {width}", width) for width in (1, 2, 4, 8, 16))]
_PICTURE = FeatureConfig()
_SHOWN_DB = 60.0
_CUTOFF = 1e-3  # labels less probable than this are not begun: the search of all clips stays quick
_MOST_SPIKES = 24
# All texts of a known length get the same bonus; it only keeps long beginnings in the beam.
_BONUSES = (0.0, 3.0, 15.0)


class Scorer(Protocol):
    """What the explorer asks of a recogniser: its labels, its step, and scores for a recording."""

    labels: Sequence[str]
    step_seconds: float

    def scores(self, samples: np.ndarray) -> np.ndarray:
        """Return log-probabilities, shape (n_steps, 1 + n_labels)."""
        ...


@dataclass(frozen=True, eq=False)
class Decoded:
    """One recording on its way to text, and how all of them fare.

    Parameters
    ----------
    clip : str
        Its name.
    samples : float32 array, shape (n_samples,)
        The recording with its noise.
    picture : float32 array, shape (n_frames, n_bands)
        Its log-mel picture.
    scores : float64 array, shape (n_steps, n_classes)
        Log-probabilities after the blank's bias.
    step_seconds : float
        Time from step to step.
    labels : tuple of str
        Names of classes 1, 2, ...
    said, heard : tuple of str
        Words.
    posterior : float64 array, shape (n_steps, 2 n_said + 1), or None
        Where the text that was said lies, given that it is the text; None when no path has it.
    path : tuple of int
        Nodes of the most probable path of what was said, one for each step; empty when there is none.
    loss : float
        Of the text that was said, in nats; infinity when no path has it.
    errors, all_errors : ErrorCounts
        Of this recording, and of all with these settings.
    n_clips : int
        How many these are.
    greedy : bool
        Whether the most probable path was read instead of searching for the most probable text.

    Lesson: 08
    """

    clip: str
    samples: np.ndarray
    picture: np.ndarray
    scores: np.ndarray
    step_seconds: float
    labels: tuple[str, ...]
    said: tuple[str, ...]
    heard: tuple[str, ...]
    posterior: np.ndarray | None
    path: tuple[int, ...]
    loss: float
    errors: ErrorCounts
    all_errors: ErrorCounts
    n_clips: int
    greedy: bool


class DecodingExplorer(Explorer):
    """Choose a recording, noise, a blank bias and a way to decode; see the spikes, the lattice, the text.

    Parameters
    ----------
    recognizer : StringRecognizer
        Or anything with `labels`, `step_seconds` and `scores`.
    clips : SpeechDataset
        Recordings whose labels are texts, such as "5 0 3". All of them are decoded with the same settings; a
        dozen keeps the sliders quick.
    seed : int
        Of the noise. Each clip meets the same noise at every level, only louder or softer.

    Raises
    ------
    ValueError
        When there are no clips, or one says what the recogniser has no label for.

    Examples
    --------
    >>> from asrlib import datasets
    >>> from asrlib.string_recognizer import StringRecognizer                             # doctest: +SKIP
    >>> some = datasets.strings("test")[:6]                                               # doctest: +SKIP
    >>> explorer = DecodingExplorer(StringRecognizer.default(), some)                     # doctest: +SKIP
    >>> explorer.still(snr_db=0.0, blank_bias=3.0)                                        # doctest: +SKIP

    Lesson: 08
    """

    size = (9.2, 5.4)
    dpi = 90

    def __init__(self, recognizer: Scorer, clips: SpeechDataset, *, seed: int = 0) -> None:
        if len(clips) == 0:
            raise ValueError(
                "No clips came. Expected a few recordings, such as datasets.strings('test')[:12]."
            )
        self.recognizer, self.clips, self.seed = recognizer, clips, seed
        self.labels = tuple(map(str, recognizer.labels))
        self._said = [tuple(str(label).split()) for label in clips.labels]
        self._targets = [decoding.to_labels(words, self.labels) for words in self._said]
        names = [f"{' '.join(words)} ({who})" for words, who in zip(self._said, clips.speakers, strict=True)]
        self._number = {name: number for number, name in enumerate(names)}
        self._scores: dict[tuple[int, float], np.ndarray] = {}
        self._texts: dict[tuple[int, float, float, int, bool], tuple[str, ...]] = {}
        super().__init__()

    @property
    def clip_names(self) -> tuple[str, ...]:
        """The names of the recordings, in their order."""
        return tuple(self._number)

    def controls(self) -> dict[str, ipywidgets.Widget]:
        """Return the controls: recording, noise, the blank's bias, the search, and what it may know."""
        return {
            "clip": choice("clip", list(self._number)),
            "snr_db": steps("noise (SNR)", _NOISE_LEVELS, value=math.inf),
            "blank_bias": slider("blank bias", 0, low=-10, high=10, step=0.5, unit="nats"),
            "beam_width": steps("decoding", _WIDTHS, value=8),
            "known_length": switch("number of digits known", False),
        }

    def compute(
        self, *, clip: str, snr_db: float, blank_bias: float, beam_width: int, known_length: bool
    ) -> Decoded:
        """Score the recording, decode it, and decode all others with the same settings."""
        number = self._number[clip]
        settings = (snr_db, blank_bias, beam_width, known_length and beam_width != _GREEDY)
        heard = [self._heard(each, *settings) for each in range(len(self.clips))]
        scores, target = self._biased(number, snr_db, blank_bias), self._targets[number]
        loss = decoding.ctc_loss(scores, target)
        possible = math.isfinite(loss)
        samples = self._noisy(number, snr_db)
        joined = [" ".join(words) for words in heard]
        expected = [" ".join(words) for words in self._said]
        return Decoded(
            clip=clip,
            samples=samples,
            picture=features.extract(samples, _PICTURE),
            scores=scores,
            step_seconds=float(self.recognizer.step_seconds),
            labels=self.labels,
            said=self._said[number],
            heard=heard[number],
            posterior=decoding.ctc_posterior(scores, target) if possible else None,
            path=_nodes_on(decoding.forced_alignment(scores, target).path) if possible else (),
            loss=loss,
            errors=texts.word_errors(expected[number], joined[number]),
            all_errors=texts.word_errors(expected, joined),
            n_clips=len(self.clips),
            greedy=beam_width == _GREEDY,
        )

    def build(self, figure: Figure, result: Decoded) -> list[Artist]:
        """Draw, over the same time: the picture of the sound, the spikes, the lattice of what was said."""
        sound, chances, lattice = figure.subplots(3, 1, sharex=True, height_ratios=(1.1, 1.2, 1.7))
        self._sound, self._chances, self._lattice = (
            prepared(axes, size=self.size) for axes in (sound, chances, lattice)
        )
        self._image = sound.imshow(
            [[0, 1]], origin="lower", aspect="auto", interpolation="nearest", cmap="magma"
        )
        sound.set(
            ylabel="mel band", yticks=[0, 20, 39], ylim=(-0.5, _PICTURE.n_mels - 0.5), facecolor="black"
        )
        sound.set_title(" ")  # keeps the place of what is written above
        self._written = sound.text(
            0, 1.04, "", transform=sound.transAxes, fontsize=12, fontweight="bold", color=look().ink
        )
        self._lines = []
        for label in range(len(result.labels) + 1):
            (line,) = chances.plot(
                [],
                [],
                color=label_color(label, result.labels, BLANK),
                linewidth=1.0 if label == BLANK else 1.6,
            )
            self._lines.append(line)
        self._names = [
            chances.text(0, 0, "", ha="center", va="bottom", fontweight="bold", color=look().ink)
            for _ in range(_MOST_SPIKES)
        ]
        chances.set(ylabel="probability (%)", ylim=(0, 120), yticks=[0, 50, 100])
        shades = LinearSegmentedColormap.from_list("share", [look().face, look().main])
        self._share = lattice.imshow(
            [[0, 1]], aspect="auto", interpolation="nearest", cmap=shades, vmin=0, vmax=1
        )
        (self._path,) = lattice.plot([], [], color=look().strong, linewidth=1.4, linestyle=(0, (3, 1.5)))
        self._missing = lattice.text(
            0.5, 0.5, "", ha="center", va="center", transform=lattice.transAxes, color=look().ink
        )
        lattice.set(xlabel="time (s)", ylabel="what was said")
        lattice.tick_params(axis="y", length=0)
        self._drawn_said: tuple[str, ...] | None = None
        self._shown_seconds = 0.0
        for axes in figure.axes:
            axes.autoscale(False)
        return [
            self._image,
            self._written,
            *self._lines,
            *self._names,
            self._share,
            self._path,
            self._missing,
        ]

    def draw(self, result: Decoded) -> None:
        """Show this recording's picture, spikes and lattice."""
        times, half_hop = _PICTURE.times(len(result.picture)), _PICTURE.hop_seconds / 2
        self._image.set_data(result.picture.T)
        self._image.set_extent((times[0] - half_hop, times[-1] + half_hop, -0.5, _PICTURE.n_mels - 0.5))
        loudest = float(result.picture.max())
        self._image.set_clim(loudest - _PICTURE.from_db(_SHOWN_DB), loudest)
        seconds = len(result.samples) / audio.SAMPLE_RATE
        if not 0.7 * self._shown_seconds < seconds <= self._shown_seconds:
            self._shown_seconds = math.ceil(5 * seconds) / 5
            set_limits(self._lattice, x=(0, self._shown_seconds))
        self._written.set_text(f"heard: {' '.join(result.heard) or '(nothing)'}")
        self._draw_spikes(result)
        self._draw_lattice(result)

    def describe(self, result: Decoded) -> str:
        """Say what was said, what was heard, the errors of this recording and of all."""
        said, heard = " ".join(result.said), " ".join(result.heard) or "nothing"
        way = "the most probable path" if result.greedy else "the most probable text found"
        text = f"Said {said}, heard {heard} ({way}). "
        counts = result.errors
        if counts.errors:
            kinds = {
                "substituted": counts.substitutions,
                "deleted": counts.deletions,
                "inserted": counts.insertions,
            }
            named = ", ".join(f"{number} {kind}" for kind, number in kinds.items() if number)
            text += f"Word error rate {100 * counts.rate:.0f} %: {named}. "
        else:
            text += "All right. "
        loss = f"a loss of {result.loss:.1f} nats" if math.isfinite(result.loss) else "no path at all"
        return (
            f"{text}What was said has {loss} in {len(result.scores)} steps. All {result.n_clips} clips with "
            f"these settings: {100 * result.all_errors.rate:.1f} %."
        )

    def sound(self, result: Decoded) -> np.ndarray | None:
        """Return the recording with its noise."""
        return result.samples

    def _draw_spikes(self, result: Decoded) -> None:
        chances = np.exp(result.scores)
        middles = (np.arange(len(chances)) + 0.5) * result.step_seconds
        for label, line in enumerate(self._lines):
            line.set_data(middles, 100 * chances[:, label])
        found = peaks(chances, BLANK)[:_MOST_SPIKES]
        for name, peak in zip(self._names, [*found, *[None] * (_MOST_SPIKES - len(found))], strict=True):
            name.set_visible(peak is not None)
            if peak is not None:
                step, label = peak
                name.set_position((middles[step], 100 * chances[step, label] + 2))
                name.set_text(result.labels[label - 1])

    def _draw_lattice(self, result: Decoded) -> None:
        if self._drawn_said != result.said:
            self._drawn_said = result.said
            signs = [BLANK_SIGN]
            for word in result.said:
                signs += [word, BLANK_SIGN]
            self._lattice.set_yticks(range(len(signs)), signs)
            set_limits(self._lattice, y=(len(signs) - 0.5, -0.5))
        possible = result.posterior is not None
        self._share.set_visible(possible)
        self._path.set_visible(possible)
        self._missing.set_text("" if possible else "no path of so few steps has this text")
        if possible:
            n_steps, n_nodes = result.posterior.shape
            self._share.set_data(result.posterior.T)
            self._share.set_extent((0, n_steps * result.step_seconds, n_nodes - 0.5, -0.5))
            middles = (np.arange(n_steps) + 0.5) * result.step_seconds
            self._path.set_data(middles, result.path)

    def _heard(
        self, number: int, snr_db: float, blank_bias: float, beam_width: int, known_length: bool
    ) -> tuple[str, ...]:
        """Decode one recording; kept once it is known."""
        key = (number, snr_db, blank_bias, beam_width, known_length)
        if key not in self._texts:
            scores = self._biased(number, snr_db, blank_bias)
            if beam_width == _GREEDY:
                found = decoding.greedy(scores).labels
            else:
                found = _searched(scores, beam_width, len(self._said[number]) if known_length else None)
            self._texts[key] = tuple(decoding.to_words(found, self.labels))
        return self._texts[key]

    def _biased(self, number: int, snr_db: float, blank_bias: float) -> np.ndarray:
        """Score a recording, kept once it is known, and favour the blank by so many nats."""
        key = (number, snr_db)
        if key not in self._scores:
            self._scores[key] = np.asarray(self.recognizer.scores(self._noisy(number, snr_db)), float)
        scores = self._scores[key].copy()
        scores[:, BLANK] += blank_bias
        return decoding.log_softmax(scores)

    def _noisy(self, number: int, snr_db: float) -> np.ndarray:
        clip = self.clips.audio(number)
        if math.isinf(snr_db):
            return clip
        same_at_every_level = np.random.default_rng([self.seed, number])
        noise = signals.white_noise(len(clip) / audio.SAMPLE_RATE, rng=same_at_every_level)
        return signals.mix(clip, signals.fit_length(noise, clip), snr_db=snr_db, limit=True)


def _searched(scores: np.ndarray, beam_width: int, length: int | None) -> tuple[int, ...]:
    if length is not None:
        grammar = LengthGrammar(shortest=length, longest=length)
        for bonus in _BONUSES:
            with contextlib.suppress(ValueError):  # none of that length was left in the beam
                return decoding.beam_search(
                    scores, beam_width=beam_width, text=grammar, label_bonus=bonus, cutoff=_CUTOFF
                )[0].labels
    return decoding.beam_search(scores, beam_width=beam_width, cutoff=_CUTOFF)[0].labels


def _nodes_on(path: Sequence[int]) -> tuple[int, ...]:
    """Return the nodes of the lattice that a path visits."""
    visited, node, before = [], -1, BLANK
    for label in path:
        if label not in (BLANK, before):
            node += 2
        visited.append(node + 1 if label == BLANK else node)
        before = label
    return tuple(visited)
