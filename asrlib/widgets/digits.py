"""Lesson 0's explorer: one spoken digit, made noisier, faster or slower, and what the machine makes of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import ipywidgets
import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from asrlib import audio, augment, features, plots, signals
from asrlib.datasets import Clip, SpeechDataset
from asrlib.recognizer import Recognizer, Transcript
from asrlib.widgets.explorer import Explorer, choice, set_limits, slider, steps
from asrlib.widgets.picture import outline

__all__ = ["WORDS", "DigitExplorer", "Heard", "some_clips"]

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
"""The digits' English names, in order."""

_SNR_STEPS = (30, 25, 20, 15, 10, 5, 0, -5, -10)
_NOISE_LEVELS = [
    ("no noise", math.inf),
    *((f"{db} dB".replace("-", "\N{MINUS SIGN}"), float(db)) for db in _SNR_STEPS),
]
_LEAST_SECONDS = 1.0  # on the time axis, so that a slower word looks longer
_AMPLITUDES = (0.1, 0.25, 0.5, 1.0)
_SHOWN_DB = 60.0
_QUIET_BAR = "#8c8c8c"


@dataclass(frozen=True, eq=False)
class Heard:
    """What the machine made of one sound.

    Parameters
    ----------
    samples : float32 array, shape (n_samples,)
        What it heard.
    features : float32 array, shape (n_frames, n_coefficients)
        The picture of it, before normalisation.
    transcript : Transcript
        What it wrote.
    expected : str
        What was said; empty when nobody knows.

    Lesson: 00
    """

    samples: np.ndarray
    features: np.ndarray
    transcript: Transcript
    expected: str


def some_clips(dataset: SpeechDataset, *, n_speakers: int = 3) -> list[Clip]:
    """Choose one clip of each word by a few speakers, spread over the data set's list of speakers.

    Parameters
    ----------
    dataset : SpeechDataset
        Such as ``datasets.digits("test")``.
    n_speakers : int
        How many voices.

    Returns
    -------
    list of Clip
        Sorted by word, then by speaker.

    Raises
    ------
    ValueError
        When the data set has fewer speakers.

    Lesson: 00
    """
    speakers = sorted(set(map(str, dataset.speakers)))
    if not 1 <= n_speakers <= len(speakers):
        raise ValueError(f"n_speakers is {n_speakers}; {dataset.name} has {len(speakers)} speakers.")
    chosen = [speakers[i] for i in np.linspace(0, len(speakers) - 1, n_speakers).round().astype(int)]
    clips = []
    for label in sorted(set(map(str, dataset.labels))):
        for speaker in chosen:
            of_word = dataset.where(label=label, speaker=speaker)
            if len(of_word):
                clips.append(of_word[0])
    return clips


class DigitExplorer(Explorer):
    """Choose a clip, add noise, change the speed; the picture and the answer follow.

    Parameters
    ----------
    recognizer : Recognizer
        The machine.
    clips : iterable of Clip
        The clips to choose from, such as `some_clips` gives.

    Raises
    ------
    ValueError
        When there is no clip.

    Examples
    --------
    >>> from asrlib import datasets
    >>> from asrlib.recognizer import Recognizer
    >>> clips = some_clips(datasets.digits("test"))                     # doctest: +SKIP
    >>> DigitExplorer(Recognizer.default(), clips).still(snr_db=0.0)    # doctest: +SKIP

    Lesson: 00
    """

    dpi = 90  # fewer points are drawn, packed and sent sooner

    def __init__(self, recognizer: Recognizer, clips: Iterable[Clip]) -> None:
        self.recognizer = recognizer
        self.clips = {f"{_word(clip.label)} · {clip.speaker}": (clip.samples, clip.label) for clip in clips}
        if not self.clips:
            raise ValueError(
                "There is no clip to explore. Pass clips, such as some_clips(datasets.digits('test'))."
            )
        # One noise for all levels: what changes with the slider is the level and nothing else.
        self._noise = signals.white_noise(4.0, rng=np.random.default_rng(0))
        self._picture_config = replace(recognizer.features, normalization="none")
        super().__init__()

    def controls(self) -> dict[str, ipywidgets.Widget]:
        """Return the controls: the clip, its signal-to-noise ratio in dB, its speed."""
        return {
            "clip": choice("clip", list(self.clips)),
            "snr_db": steps("noise (SNR)", _NOISE_LEVELS, value=math.inf),
            "speed": slider("speed", 1.0, low=0.7, high=1.6, step=0.05, unit="×"),
        }

    def add_clip(self, name: str, samples: np.ndarray, *, label: str = "") -> None:
        """Offer one more sound, such as the learner's own, and choose it.

        Parameters
        ----------
        name : str
            How the list calls it. A name that is there already is replaced.
        samples : float32 array, shape (n_samples,)
            The sound, at 16 kHz.
        label : str
            What is said, when it is known.

        Raises
        ------
        AudioError
            When the samples are not a usable clip.
        """
        self.clips[name] = (audio.check(samples), label)
        with self.held():
            self.inputs["clip"].options = list(self.clips)
            self.inputs["clip"].value = name

    def compute(self, *, clip: str, snr_db: float, speed: float) -> Heard:
        """Disturb the clip and let the machine answer."""
        samples, expected = self.clips[clip]
        samples = augment.change_speed(samples, speed)
        noise = signals.fit_length(self._noise, samples)
        samples = signals.mix(samples, noise, snr_db=snr_db, limit=True)
        picture = features.extract(samples, self._picture_config)
        return Heard(samples, picture, self.recognizer.transcribe(samples), expected)

    def build(self, figure: Figure, result: Heard) -> list[Artist]:
        """Draw the sound above its picture, and the ten probabilities beside them."""
        grid = figure.add_gridspec(2, 2, width_ratios=(3, 2))
        self._sound = plots.waveform(result.samples, ax=figure.add_subplot(grid[0, 0]))
        self._mel = plots.log_mel(
            result.features,
            config=self._picture_config,
            ax=figure.add_subplot(grid[1, 0], sharex=self._sound),
        )
        self._sound.set_xlabel("")
        self._sound.tick_params(labelbottom=False)
        self._mel.set_autoscale_on(False)  # it keeps the limits of the sound above it
        self._bars = figure.add_subplot(grid[:, 1])
        labels = list(result.transcript.probabilities)
        # The artists of a probability chart that says nothing yet; `draw` gives it the numbers.
        plots.probabilities(np.full(len(labels), 1 / len(labels)), labels=labels, ax=self._bars)
        self._bars.get_xticklabels()[0].set_fontweight("normal")
        for axes, title in ((self._sound, "sound"), (self._mel, "features"), (self._bars, "network")):
            axes.set_title(title, loc="left", fontsize=10)
        return [self._sound.lines[0], self._mel.images[0], *self._bars.patches, *self._bars.texts]

    def draw(self, result: Heard) -> None:
        """Move the curve, the picture and the bars."""
        self._draw_sound(result.samples)
        self._draw_features(result.features)
        self._draw_probabilities(list(result.transcript.probabilities.values()))

    def describe(self, result: Heard) -> str:
        """Say what the machine writes, how sure it is, and whether that is right."""
        sure = f"{100 * result.transcript.probability:.0f} %"
        answer = f"The machine writes {result.transcript.text} and gives it {sure}."
        if not result.expected:
            return answer
        verdict = (
            "Right." if result.transcript.text == result.expected else f"Wrong: it was {result.expected}."
        )
        return f"{answer} {verdict}"

    def sound(self, result: Heard) -> np.ndarray:
        """Return what the machine heard."""
        return result.samples

    def _draw_sound(self, samples: np.ndarray) -> None:
        seconds = len(samples) / audio.SAMPLE_RATE
        self._sound.lines[0].set_data(*outline(samples))
        peak = float(np.abs(samples).max())
        reach = next((limit for limit in _AMPLITUDES if peak <= limit), 1.0)
        if self._sound.get_ylim()[1] != 1.05 * reach:  # placing ticks takes its time
            self._sound.set_ylim(-1.05 * reach, 1.05 * reach)
            self._sound.set_yticks([-reach, 0, reach], [f"\N{MINUS SIGN}{reach:.2f}", "0.00", f"{reach:.2f}"])
        set_limits(self._sound, x=(0, max(_LEAST_SECONDS, np.ceil(10 * seconds) / 10)))

    def _draw_features(self, picture: np.ndarray) -> None:
        times = self._picture_config.times(len(picture))
        half = self._picture_config.hop_seconds / 2
        image, loudest = self._mel.images[0], float(picture.max())
        image.set_data(picture.T)
        image.set_extent((times[0] - half, times[-1] + half, -0.5, picture.shape[1] - 0.5))
        # What the features leave of silence is black, so that noise is seen to fill it.
        shown_db = min(_SHOWN_DB, self._picture_config.top_db or _SHOWN_DB)
        image.set_clim(loudest - self._picture_config.from_db(shown_db), loudest)

    def _draw_probabilities(self, values: Sequence[float]) -> None:
        winner = int(np.argmax(values))
        for i, (bar, text, value) in enumerate(
            zip(self._bars.patches, self._bars.texts, values, strict=True)
        ):
            bar.set_height(value)
            bar.set_facecolor(plots.COLORS["vermillion"] if i == winner else _QUIET_BAR)
            text.set_visible(i == winner)
            text.xy = (i, value)
            text.set_text(f"{100 * value:.0f} %")


def _word(label: str) -> str:
    return WORDS[int(label)] if label.isdigit() and int(label) < len(WORDS) else label
