"""Lesson 6's explorer: what may be done to a recording before it stops being that word."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import ipywidgets
import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from asrlib import audio, features, signals
from asrlib.augment import band_limit, change_speed, reverberate, warp_frequency
from asrlib.datasets import Clip
from asrlib.features import FeatureConfig
from asrlib.plots.common import prepared
from asrlib.recognizer import Recognizer, fit_window
from asrlib.widgets.digits import WORDS
from asrlib.widgets.explorer import Explorer, choice, slider, steps

__all__ = ["AugmentationExplorer", "Disturbed"]

_TICK_HZ = (250, 500, 1000, 2000, 4000)
_ROOMS = [("no room", 0.0)] + [(f"{s:.1f} s", s) for s in (0.1, 0.2, 0.3, 0.5, 0.8)]
_NOISES = [("no noise", math.inf)] + [(f"{db} dB", float(db)) for db in (30, 20, 15, 10, 5, 0, -5)]
_LINES = [("whole", math.inf)] + [(f"{hz} Hz", float(hz)) for hz in (5000, 3900, 3400, 3000, 2000, 1000)]
_MOST_SECONDS = 1.6


@dataclass(frozen=True, eq=False)
class Disturbed:
    """A recording and what was made of it: both as pictures, the second one also as sound."""

    word: str
    samples: np.ndarray  # (n_samples,), what is heard; warp and masks are done to the picture only
    before: np.ndarray  # (n_frames, n_mels), log-mel; of a machine that sees two pictures the mean-free one
    after: np.ndarray
    heard: str  # what the machine writes for `after`
    probability: float


class AugmentationExplorer(Explorer):
    """Disturb a recording as training does, knob by knob; hear it, see its picture, ask the machine.

    Parameters
    ----------
    clips : iterable of Clip
        The clips to choose from, such as `asrlib.widgets.digits.some_clips` gives.
    recognizer : Recognizer, optional
        The machine that is asked; the one that ships with asrlib when left out.

    Raises
    ------
    ValueError
        When there is no clip.

    Examples
    --------
    >>> from asrlib import datasets
    >>> from asrlib.widgets.digits import some_clips
    >>> explorer = AugmentationExplorer(some_clips(datasets.digits("test"), n_speakers=1))
    >>> explorer.still(speed=1.25).result.after.shape
    (61, 20)

    Lesson: 06
    """

    size = (8.8, 3.4)

    def __init__(self, clips: Iterable[Clip], *, recognizer: Recognizer | None = None) -> None:
        self.clips = {f"{_word(clip.label)} · {clip.speaker}": clip for clip in clips}
        if not self.clips:
            raise ValueError("There is no clip to disturb. Pass clips, such as datasets.digits('test').")
        self.recognizer = recognizer or Recognizer.default()
        super().__init__()

    @property
    def config(self) -> FeatureConfig:
        """How the machine sees a recording."""
        return self.recognizer.features

    def controls(self) -> dict[str, ipywidgets.Widget]:
        """Return the controls: clip, speed, room, noise, line, vocal tract, hidden frames and bands."""
        return {
            "clip": choice("clip", list(self.clips)),
            "speed": slider("speed", 1.0, low=0.5, high=2.0, step=0.05, unit="times"),
            "room": steps("reverberation", _ROOMS, value=0.0),
            "snr": steps("noise, SNR", _NOISES, value=math.inf),
            "line": steps("band up to", _LINES, value=math.inf),
            "tract": slider("formants", 1.0, low=0.6, high=1.6, step=0.02, unit="times"),
            "hidden_frames": slider("hide", 0, low=0, high=60, step=1, unit="frames"),
            "hidden_bands": slider("hide", 0, low=0, high=12, step=1, unit="bands"),
        }

    def compute(
        self,
        *,
        clip: str,
        speed: float,
        room: float,
        snr: float,
        line: float,
        tract: float,
        hidden_frames: float,
        hidden_bands: float,
    ) -> Disturbed:
        """Disturb the recording, make its picture, disturb that, and ask the machine."""
        original = self.clips[clip]
        rng = np.random.default_rng(0)  # so that one knob leaves the draws of the others alone
        changed = change_speed(original.samples, round(speed, 2))
        if room:
            changed = reverberate(changed, seconds=room, wet_db=0.0, rng=rng)
        changed = audio.peak_limit(changed, peak=1.0)
        if math.isfinite(snr):
            noise = signals.pink_noise(len(changed) / audio.SAMPLE_RATE, rng=np.random.default_rng(1))
            changed = signals.mix(changed, np.resize(noise, len(changed)), snr_db=snr, limit=True)
        if math.isfinite(line):
            changed = audio.peak_limit(band_limit(changed, high_hz=line), peak=1.0)
        pictures = [
            _hidden(
                warp_frequency(picture, round(tract, 2)),
                n_frames=int(hidden_frames),
                n_bands=int(hidden_bands),
            )
            for picture in self._pictures(changed)
        ]
        window, _ = fit_window(np.concatenate(pictures, axis=1), self.recognizer.n_frames)
        probabilities = self.recognizer.network(window[None])[0]
        best = int(probabilities.argmax())
        return Disturbed(
            word=_word(original.label),
            samples=changed,
            before=self._pictures(original.samples)[-1],
            after=pictures[-1],
            heard=_word(self.recognizer.labels[best]),
            probability=float(probabilities[best]),
        )

    def _pictures(self, samples: np.ndarray) -> list[np.ndarray]:
        """Make what the machine sees: one picture or, where it is normalised both ways, two."""
        seen = features.extract(samples, self.config)
        return np.split(seen, 2 if self.config.normalization == "both" else 1, axis=1)

    def build(self, figure: Figure, result: Disturbed) -> list[Artist]:
        """Draw the picture of the recording and, below on the same axis, the disturbed one."""
        self._images = []
        axes = figure.subplots(2, 1, sharex=True)
        peaks = self.config.band_frequencies()
        ticks = [hz for hz in _TICK_HZ if peaks[0] <= hz <= peaks[-1]]
        places = np.interp(ticks, peaks, np.arange(len(peaks)))
        for ax, title in zip(axes, ("as recorded", "disturbed"), strict=True):
            prepared(ax, size=self.size)
            ax.set_title(title, loc="left", fontsize=10)
            ax.set_ylabel("frequency (Hz)")
            ax.set(xlim=(0, _MOST_SECONDS), ylim=(-0.5, len(peaks) - 0.5))
            ax.set_yticks(places, [str(hz) for hz in ticks])
            self._images.append(
                ax.imshow([[0, 1]], origin="lower", aspect="auto", cmap="magma", interpolation="nearest")
            )
            ax.autoscale(False)  # an image that is moved leaves the limits alone
        axes[1].set_xlabel("time (s)")
        axes[0].tick_params(labelbottom=False)
        return self._images

    def draw(self, result: Disturbed) -> None:
        """Move both pictures; their colours have one scale, that of the recording."""
        low, high = np.percentile(result.before, (2, 99.5))
        for image, picture in zip(self._images, (result.before, result.after), strict=True):
            image.set_data(picture.T)
            seconds = len(picture) * self.config.hop_length / self.config.sample_rate
            image.set_extent((0, seconds, -0.5, picture.shape[1] - 0.5))
            image.set_clim(low, high)

    def describe(self, result: Disturbed) -> str:
        """Say what the machine makes of it."""
        verdict = "right" if result.heard == result.word else f"wrong: it was {result.word}"
        return f"The machine writes {result.heard}, {100 * result.probability:.0f} % sure: {verdict}."

    def sound(self, result: Disturbed) -> np.ndarray:
        """Return the disturbed recording. What was done to the picture alone cannot be heard."""
        return result.samples


def _hidden(picture: np.ndarray, *, n_frames: int, n_bands: int) -> np.ndarray:
    """Hide a stretch and a band in the middle, as wide as asked for."""
    hidden = np.array(picture)
    for axis, width in ((0, n_frames), (1, n_bands)):
        width = min(width, picture.shape[axis])
        start = (picture.shape[axis] - width) // 2
        hidden[(slice(None),) * axis + (slice(start, start + width),)] = 0
    return hidden


def _word(label: str) -> str:
    """Return "seven" for "7", and other labels as they are."""
    return WORDS[int(label)] if label.isdecimal() and int(label) < len(WORDS) else label
