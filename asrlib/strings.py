"""Strings of digits put together from single ones, as a breath puts them together.

Whoever says a number in one breath says each digit in half the time that it takes alone, lets one flow into
the next and swallows edges. `compose` does the same to recordings of single digits of one speaker: it cuts
quiet edges, shortens without changing the pitch (`time_scale`), and lays each digit over the end of the one
before. A network that learns from such strings can read naturally spoken ones that nobody recorded for it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from asrlib import audio
from asrlib.augment import Augmentation, augment, change_speed, trim_quiet_edges

if TYPE_CHECKING:
    from asrlib.datasets import SpeechDataset

__all__ = ["ComposeConfig", "Composed", "Composer", "compose", "fade_edges", "join", "time_scale"]

_STRETCH = (0.6, 2.8)  # beyond this, what comes out of `time_scale` is no speech any more
_WINDOW_SECONDS = 0.025
_QUICK_LENGTH = 80  # samples; 5 ms
_SEARCH_SECONDS = 0.006  # half a period of the lowest voice


def time_scale(samples: np.ndarray, factor: float, *, sample_rate: int = audio.SAMPLE_RATE) -> np.ndarray:
    """Say it faster or slower at the same pitch: cut into overlapping pieces, lay them closer together.

    Each piece is moved a little to where it fits best to the one before, so that the periods of a voice
    stay whole (WSOLA).

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        A recording.
    factor : float
        Above 1: faster. 1 changes nothing.
    sample_rate : int
        Samples per second, the same before and after.

    Returns
    -------
    ndarray, shape (round(n_samples / factor),)
        float32.

    Raises
    ------
    ValueError
        When the factor is not between 0.25 and 4.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 200 * np.arange(16_000) / 16_000).astype(np.float32)
    >>> fast = time_scale(tone, 2.0)
    >>> len(fast), int(np.abs(np.fft.rfft(fast[1000:7400])).argmax() * 16_000 / 6400)
    (8000, 200)

    References
    ----------
    W. Verhelst, M. Roelands, "An overlap-add technique based on waveform similarity (WSOLA) for high quality
    time-scale modification of speech", ICASSP 1993.

    Lesson: 08
    """
    if not 0.25 <= factor <= 4:
        raise ValueError(f"factor is {factor}; expected a speed between 0.25 (a quarter) and 4 (four times).")
    samples = np.asarray(samples, np.float32)
    if factor == 1 or not len(samples):
        return samples
    half = round(_WINDOW_SECONDS * sample_rate / 2)
    reach = round(_SEARCH_SECONDS * sample_rate)
    n_out = round(len(samples) / factor)
    # Zeros around let the first and last piece move as freely as the others.
    padded = np.pad(samples, (half + reach, 4 * half + 3 * reach))
    rise = np.sin(np.pi / 2 * (np.arange(half) + 0.5) / half).astype(np.float32) ** 2
    out = np.zeros(n_out + 3 * half, np.float32)
    at = reach  # where the piece starts in `padded`
    for number in range(math.ceil(n_out / half) + 1):
        if number:
            wanted = padded[at + half : at + 2 * half]  # what would follow the piece before, unchanged
            first = min(round(number * half * factor), len(samples) + half)
            fits = np.correlate(padded[first : first + 2 * reach + half], wanted)
            at = first + int(fits.argmax())
        place = number * half
        out[place : place + half] += rise * padded[at : at + half]
        out[place + half : place + 2 * half] += rise[::-1] * padded[at + half : at + 2 * half]
    return out[half : half + n_out]


@dataclass(frozen=True)
class ComposeConfig:
    """How strings are put together: each range is drawn from anew for every string or every digit.

    Parameters
    ----------
    n_digits, alone_digits : (int, int)
        Fewest and most digits of a string said in one breath, and of one whose digits stand for themselves.
    breath_share : float
        Share of strings that are said in one breath; in the others each digit stands for itself, at its own
        pace, with a pause around it.
    pace : (float, float)
        Seconds a digit in one breath; naturally spoken strings of the bundle take 0.19 to 0.43, half of
        them 0.26 to 0.33, while the same digits alone take 0.50.
    pace_spread : float
        How much single digits are faster or slower than their string, as a share.
    speed : (float, float)
        The part of the pace that comes from playing faster or slower, pitch and all; the rest is done by
        `time_scale`.
    alone_speed : (float, float)
        Speed of digits that stand for themselves.
    trim_db : (float, float)
        Threshold, re the loudest 10 ms, below which the edges of a digit are cut.
    overlap_seconds : (float, float)
        How far a digit reaches into the one before, in one breath; below 0 is a short gap.
    gap_seconds : (float, float)
        Pauses between digits that stand for themselves, and between breaths.
    pause_share : float
        How often a breath is taken between two digits of a string.
    before_seconds, after_seconds : (float, float)
        Silence around the string.
    tight_share, long_share, long_seconds : float, float, (float, float)
        Share of strings with no silence around them at all, share of those with a long one on either side,
        and how long that is.
    digit_level_db : float
        How much single digits are louder or softer than their string, at most, in dB.
    level_db : (float, float)
        Level of the string, RMS re full scale.
    augmentation : Augmentation
        Room, microphone, line and noise, which the whole string gets at once. Its speed and its cut edges are
        left aside, and what it does to features is up to the training.

    Raises
    ------
    ValueError
        When a range is not in order or a share is outside [0, 1].

    Examples
    --------
    >>> ComposeConfig(n_digits=(3, 3)).clean().augmentation.noise_share
    0.0

    Lesson: 08
    """

    n_digits: tuple[int, int] = (1, 7)
    alone_digits: tuple[int, int] = (1, 4)
    breath_share: float = 0.75
    pace: tuple[float, float] = (0.17, 0.42)
    pace_spread: float = 0.3
    speed: tuple[float, float] = (0.9, 1.15)
    alone_speed: tuple[float, float] = (0.75, 1.4)
    trim_db: tuple[float, float] = (-40.0, -12.0)
    overlap_seconds: tuple[float, float] = (-0.03, 0.1)
    gap_seconds: tuple[float, float] = (0.02, 0.4)
    pause_share: float = 0.05
    before_seconds: tuple[float, float] = (0.03, 0.3)
    after_seconds: tuple[float, float] = (0.03, 0.3)
    tight_share: float = 0.2
    long_share: float = 0.1
    long_seconds: tuple[float, float] = (0.3, 1.5)
    digit_level_db: float = 4.0
    level_db: tuple[float, float] = (-40.0, -16.0)
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.name.endswith("_share") and not 0 <= value <= 1:
                raise ValueError(f"{entry.name} is {value}; a share lies between 0 and 1.")
            if isinstance(value, tuple | list):
                object.__setattr__(self, entry.name, tuple(value))
                if len(value) != 2 or not value[0] <= value[1]:
                    raise ValueError(f"{entry.name} is {value}; a range is (lowest, highest).")
        for name in ("n_digits", "alone_digits"):
            if getattr(self, name)[0] < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; a string has at least one digit.")
        for name in ("pace", "speed", "alone_speed"):
            if getattr(self, name)[0] <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0.")
        for name in ("gap_seconds", "before_seconds", "after_seconds", "long_seconds"):
            if getattr(self, name)[0] < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; silence lasts 0 s or more.")

    def clean(self) -> ComposeConfig:
        """Give the same without room, microphone, line and noise."""
        return replace(self, augmentation=Augmentation.none())


@dataclass(frozen=True, eq=False)
class Composed:
    """A string put together, and where each digit of it lies.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        float32 at 16 kHz, within [-1, 1].
    label : str
        What is said: ``"5 0 3"``.
    starts, stops : ndarray, shape (n_digits,)
        When each digit begins and ends, in seconds. Where one reaches into the next, they overlap.
    speaker : str
        Who says all of it.

    Lesson: 08
    """

    samples: np.ndarray
    label: str
    starts: np.ndarray
    stops: np.ndarray
    speaker: str

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / audio.SAMPLE_RATE

    def __repr__(self) -> str:
        return f"Composed({self.label!r} by {self.speaker}, {self.seconds:.2f} s)"


class Composer:
    """Compose strings from the digits of a data set, speaker by speaker.

    Parameters
    ----------
    digits : SpeechDataset
        Single digits (or other words) at 16 kHz.
    config : ComposeConfig, optional
        How.

    Raises
    ------
    ValueError
        When there are no clips, or not at 16 kHz.

    Examples
    --------
    >>> from asrlib import datasets
    >>> composer = Composer(datasets.digits("train"))
    >>> composer(text="5 0 3", rng=np.random.default_rng(0)).label
    '5 0 3'

    Lesson: 08
    """

    def __init__(self, digits: SpeechDataset, config: ComposeConfig | None = None) -> None:
        if not len(digits):
            raise ValueError(f"{digits.name} is empty: there is nothing to compose from.")
        if digits.sample_rate != audio.SAMPLE_RATE:
            raise ValueError(
                f"{digits.name} is given at {digits.sample_rate} Hz; expected {audio.SAMPLE_RATE} Hz."
            )
        self.config = ComposeConfig() if config is None else config
        self.labels = tuple(np.unique(digits.labels).tolist())
        self._samples = digits.arrays()
        self._clips: dict[str, dict[str, list[int]]] = {}  # speaker -> label -> positions
        for position, (speaker, label) in enumerate(
            zip(digits.speakers.tolist(), digits.labels.tolist(), strict=True)
        ):
            self._clips.setdefault(speaker, {}).setdefault(label, []).append(position)
        self._name = digits.name

    @property
    def speakers(self) -> tuple[str, ...]:
        """Who can speak."""
        return tuple(self._clips)

    def __call__(
        self,
        *,
        rng: np.random.Generator,
        text: str | None = None,
        n_digits: int | None = None,
        speaker: str | None = None,
    ) -> Composed:
        """Compose one string; see `compose`."""
        in_one_breath = rng.random() < self.config.breath_share
        if text is None and n_digits is None:
            n_digits = self.config.n_digits if in_one_breath else self.config.alone_digits
        words, speaker = self._choose(text, n_digits, speaker, rng)
        pieces, gaps = self.pieces(words, speaker=speaker, rng=rng, in_one_breath=in_one_breath)
        before, after = silence_around(self.config, rng)
        samples, starts = join(pieces, gaps=gaps, before_seconds=before, after_seconds=after)
        samples = to_quick_length(samples)
        stops = starts + [len(piece) / audio.SAMPLE_RATE for piece in pieces]
        samples = _disturbed(samples, self.config.augmentation, rng)
        samples = _at_level(samples, float(rng.uniform(*self.config.level_db)))
        return Composed(samples, " ".join(words), starts, stops, speaker)

    def pieces(
        self,
        words: Sequence[str],
        *,
        speaker: str,
        rng: np.random.Generator,
        in_one_breath: bool = True,
    ) -> tuple[list[np.ndarray], list[float]]:
        """Give the recordings of some words as `join` takes them, and the gaps between them.

        Parameters
        ----------
        words : sequence of str
            What is said; the speaker must have a clip of each.
        speaker : str
            Who says it.
        rng : numpy.random.Generator
            Draws takes, pace, gaps and levels.
        in_one_breath : bool
            Whether the words are shortened and flow into each other.

        Returns
        -------
        pieces : list of ndarray, each of shape (n_samples,)
        gaps : list of float
            In seconds, one fewer.
        """
        of_speaker = self._clips[speaker]
        clips = [self._samples[of_speaker[word][rng.integers(len(of_speaker[word]))]] for word in words]
        prepare = _in_one_breath if in_one_breath else _one_by_one
        return prepare(clips, self.config, rng)

    def words_of(self, speaker: str) -> tuple[str, ...]:
        """Which words there are of a speaker; none of somebody unknown."""
        return tuple(sorted(self._clips.get(speaker, ())))

    def _choose(
        self,
        text: str | None,
        n_digits: int | tuple[int, int] | None,
        speaker: str | None,
        rng: np.random.Generator,
    ) -> tuple[list[str], str]:
        if text is not None and n_digits is not None:
            raise ValueError("Pass the text, or how many digits to draw, not both.")
        if speaker is not None and speaker not in self._clips:
            raise ValueError(f"{self._name} has no speaker {speaker!r}; there are {', '.join(self._clips)}.")
        wanted = None if text is None else text.split()
        if wanted is not None and not wanted:
            raise ValueError("The text is empty; expected words such as '5 0 3'.")
        able = [
            name
            for name in ([speaker] if speaker is not None else self._clips)
            if wanted is None or all(word in self._clips[name] for word in wanted)
        ]
        if not able:
            raise ValueError(
                f"No speaker of {self._name} has a clip of every word of {text!r}; the words are "
                f"{', '.join(self.labels)}."
            )
        chosen = able[rng.integers(len(able))]
        if wanted is None:
            count = rng.integers(*n_digits, endpoint=True) if isinstance(n_digits, tuple) else n_digits
            there = sorted(self._clips[chosen])
            wanted = [there[i] for i in rng.integers(len(there), size=int(count))]
        return wanted, chosen


def compose(
    digits: SpeechDataset,
    *,
    rng: np.random.Generator,
    text: str | None = None,
    n_digits: int | None = None,
    speaker: str | None = None,
    config: ComposeConfig | None = None,
) -> Composed:
    """Put one string together from single digits of one speaker.

    Parameters
    ----------
    digits : SpeechDataset
        Single digits at 16 kHz.
    rng : numpy.random.Generator
        Draws everything: speaker, digits, takes, pace, overlaps, silence, noise, level.
    text : str, optional
        What shall be said, such as ``"5 0 3"``.
    n_digits : int, optional
        How many digits to draw instead; as many as the configuration allows if both are left out.
    speaker : str, optional
        Who shall say it.
    config : ComposeConfig, optional
        How.

    Returns
    -------
    Composed

    Raises
    ------
    ValueError
        When nobody has all the words, or text and number are both given.

    Examples
    --------
    >>> from asrlib import datasets
    >>> string = compose(datasets.digits("train"), text="5 0 3", rng=np.random.default_rng(0))
    >>> string.label, len(string.starts)
    ('5 0 3', 3)

    Lesson: 08
    """
    return Composer(digits, config)(rng=rng, text=text, n_digits=n_digits, speaker=speaker)


def join(
    pieces: Sequence[np.ndarray],
    *,
    gaps: Sequence[float],
    before_seconds: float = 0.0,
    after_seconds: float = 0.0,
    sample_rate: int = audio.SAMPLE_RATE,
) -> tuple[np.ndarray, np.ndarray]:
    """Lay recordings one after the other, with gaps, or with overlaps that fade into each other.

    Parameters
    ----------
    pieces : sequence of ndarray, each of shape (n_samples,)
        Recordings in their order.
    gaps : sequence of float
        Seconds between each and the next, one fewer than there are pieces; below 0 is an overlap. It ends
        where half of the shorter neighbour is left.
    before_seconds, after_seconds : float
        Silence around all of it.
    sample_rate : int
        Samples per second.

    Returns
    -------
    samples : ndarray, shape (n_samples,)
        float32.
    starts : ndarray, shape (n_pieces,)
        When each piece begins, in seconds.

    Raises
    ------
    ValueError
        When the number of gaps does not fit.

    Examples
    --------
    >>> samples, starts = join([np.ones(1600), np.ones(1600)], gaps=[-0.05], before_seconds=0.1)
    >>> len(samples), starts.tolist(), bool(np.allclose(samples[1600:], 1))
    (4000, [0.1, 0.15], True)

    Lesson: 08
    """
    if len(gaps) != len(pieces) - 1:
        raise ValueError(
            f"{len(pieces)} pieces have {len(pieces) - 1} places between them; {len(gaps)} gaps came."
        )
    pieces = [np.array(piece, np.float32) for piece in pieces]
    starts = [round(before_seconds * sample_rate)]
    for one, other, gap in zip(pieces, pieces[1:], gaps, strict=False):
        step = round(gap * sample_rate)
        overlap = min(max(-step, 0), len(one) // 2, len(other) // 2)
        if overlap:
            fade = (np.arange(overlap, dtype=np.float32) + 0.5) / overlap
            one[-overlap:] *= fade[::-1]
            other[:overlap] *= fade
        starts.append(starts[-1] + len(one) + (step if step > 0 else -overlap))
    samples = np.zeros(starts[-1] + len(pieces[-1]) + round(after_seconds * sample_rate), np.float32)
    for start, piece in zip(starts, pieces, strict=True):
        samples[start : start + len(piece)] += piece
    return samples, np.array(starts) / sample_rate


def to_quick_length(samples: np.ndarray) -> np.ndarray:
    """Fill up to a length without large prime factors, of which a Fourier transform is quick."""
    return np.pad(samples, (0, -len(samples) % _QUICK_LENGTH))


def silence_around(config: ComposeConfig, rng: np.random.Generator) -> tuple[float, float]:
    """Draw the seconds of silence before and after a string."""
    if rng.random() < config.tight_share:
        return 0.0, 0.0
    before, after = (
        float(rng.uniform(*(config.long_seconds if rng.random() < config.long_share else usual)))
        for usual in (config.before_seconds, config.after_seconds)
    )
    return before, after


def _in_one_breath(
    clips: Sequence[np.ndarray], config: ComposeConfig, rng: np.random.Generator
) -> tuple[list[np.ndarray], list[float]]:
    """Shorten the clips to the pace of a string, and let them flow into each other."""
    clips = [_cut(clip, config, rng) for clip in clips]
    gaps = rng.uniform(*config.overlap_seconds, size=len(clips) - 1)
    pause = rng.random(len(gaps)) < config.pause_share
    mean = sum(map(len, clips)) / len(clips) / audio.SAMPLE_RATE
    # What overlaps is counted once, so the digits themselves may be as much longer.
    pace = rng.uniform(*config.pace) - (float(gaps.mean()) if len(gaps) else 0.0)
    factors = mean / pace * (1 + rng.uniform(-1, 1, len(clips)) * config.pace_spread)
    speed = round(float(rng.uniform(*config.speed)), 2)
    pieces = []
    for clip, factor in zip(clips, factors, strict=True):
        stretched = time_scale(clip, round(float(np.clip(factor / speed, *_STRETCH)), 3))
        pieces.append(_softened(change_speed(stretched, speed), config, rng))
    gaps[pause] = rng.uniform(*config.gap_seconds, size=int(pause.sum()))
    return pieces, gaps.tolist()


def _one_by_one(
    clips: Sequence[np.ndarray], config: ComposeConfig, rng: np.random.Generator
) -> tuple[list[np.ndarray], list[float]]:
    speed = round(float(rng.uniform(*config.alone_speed)), 2)
    pieces = [_softened(change_speed(_cut(clip, config, rng), speed), config, rng) for clip in clips]
    return pieces, rng.uniform(*config.gap_seconds, size=len(clips) - 1).tolist()


def _cut(clip: np.ndarray, config: ComposeConfig, rng: np.random.Generator) -> np.ndarray:
    return trim_quiet_edges(clip, threshold_db=float(rng.uniform(*config.trim_db)))


def _softened(clip: np.ndarray, config: ComposeConfig, rng: np.random.Generator) -> np.ndarray:
    gain = 10 ** (float(rng.uniform(-1, 1)) * config.digit_level_db / 20)
    return fade_edges(clip * np.float32(gain))


def fade_edges(samples: np.ndarray, *, sample_rate: int = audio.SAMPLE_RATE) -> np.ndarray:
    """Fade a recording in and out over 5 ms, so that an edge that was cut does not click.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        A recording.
    sample_rate : int
        Samples per second.

    Returns
    -------
    ndarray, shape (n_samples,)
        A copy.

    Examples
    --------
    >>> faded = fade_edges(np.ones(400, np.float32))
    >>> float(faded[0]) < 0.1, float(faded[200])
    (True, 1.0)

    Lesson: 08
    """
    return samples * _edges(len(samples), round(0.005 * sample_rate))


@functools.lru_cache(maxsize=256)
def _edges(length: int, fade: int) -> np.ndarray:
    n = min(fade, length // 2)
    shape = np.ones(length, np.float32)
    if n:
        shape[:n] = (np.arange(n) + 0.5) / n
        shape[-n:] = shape[:n][::-1]
    return shape


def _disturbed(samples: np.ndarray, augmentation: Augmentation, rng: np.random.Generator) -> np.ndarray:
    whole = replace(augmentation, speed=(1.0, 1.0), trim_share=0.0)
    return augment(audio.peak_limit(samples, peak=1.0), whole, rng=rng)


def _at_level(samples: np.ndarray, level_db: float) -> np.ndarray:
    gain = 10 ** ((level_db - audio.level_db(samples)) / 20)
    return audio.peak_limit((samples * gain).astype(np.float32), peak=1.0)
