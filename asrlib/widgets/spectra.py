"""Lesson 3's explorers: what a window shows of time and of frequency, and what the coefficients keep."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import ipywidgets
import numpy as np
import scipy.fft
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from asrlib import audio, features
from asrlib.datasets import Clip
from asrlib.features import FeatureConfig
from asrlib.plots.common import COLORS, look, prepared
from asrlib.widgets.digits import WORDS
from asrlib.widgets.explorer import Explorer, choice, slider
from asrlib.widgets.picture import outline, set_limits

__all__ = ["Cepstra", "MfccExplorer", "TimeFrequency", "TimeFrequencyExplorer", "resynthesize"]

RATE = audio.SAMPLE_RATE

# --- a sound from nothing but its coefficients ----------------------------------------------------------

_PULSES_HZ = 110.0


def resynthesize(
    mfcc: np.ndarray, config: FeatureConfig, *, voice: str = "whisper", seed: int = 0
) -> np.ndarray:
    """Make a sound that has these cepstral coefficients; pitch and voice are not among them, so one is lent.

    The cosine transform is undone, which gives a smooth spectrum for each frame. Noise (a whisper) or a train
    of pulses (a hum) gets that spectrum, frame by frame.

    Parameters
    ----------
    mfcc : ndarray, shape (n_frames, n_mfcc)
        Coefficients as `asrlib.features.mfcc` gives them, in natural logarithms of power.
    config : FeatureConfig
        The configuration that made them. Pre-emphasis stays in the sound; lifter and normalisation must be
        off.
    voice : {"whisper", "hum"}
        White noise, or pulses at 110 Hz.
    seed : int
        Of the noise.

    Returns
    -------
    float32 array, shape (n_samples,)
        The sound, about as loud as the original.

    Raises
    ------
    ValueError
        When the voice is unknown or the coefficients do not fit the configuration.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32)
    >>> config = FeatureConfig(n_mfcc=30)
    >>> resynthesize(features.mfcc(tone, config), config).shape
    (15872,)

    Lesson: 03
    """
    mfcc = np.asarray(mfcc)
    if mfcc.ndim != 2 or mfcc.shape[1] > config.n_mels:
        raise ValueError(
            f"The coefficients have shape {mfcc.shape}; expected (n_frames, n_mfcc) with at most "
            f"{config.n_mels} of them."
        )
    if voice not in ("whisper", "hum"):
        raise ValueError(f"voice is {voice!r}; it must be 'whisper' or 'hum'.")
    n_samples = (len(mfcc) - 1) * config.hop_length + config.n_fft
    window = np.zeros(config.n_fft)
    start = (config.n_fft - config.window_length) // 2
    window[start : start + config.window_length] = features.window("hann", config.window_length)

    excitation = _excitation(voice, n_samples, seed)
    frames = np.lib.stride_tricks.sliding_window_view(excitation, config.n_fft)[:: config.hop_length]
    spectra = scipy.fft.rfft(frames * window) * np.sqrt(_power_of(mfcc, config) / np.square(window).sum())
    pieces = scipy.fft.irfft(spectra, config.n_fft) * window

    sound, weight = np.zeros(n_samples), np.zeros(n_samples)
    for i, piece in enumerate(pieces):
        place = slice(i * config.hop_length, i * config.hop_length + config.n_fft)
        sound[place] += piece
        weight[place] += np.square(window)
    # Where hardly any window reaches, at both ends, there is nothing to restore.
    return (sound / np.maximum(weight, 0.1 * weight.max())).astype(np.float32)


def _excitation(voice: str, n_samples: int, seed: int) -> np.ndarray:
    """Give a flat spectrum of power 1: noise, or pulses."""
    if voice == "whisper":
        return np.random.default_rng(seed).normal(size=n_samples)
    pulses = np.zeros(n_samples)
    period = round(RATE / _PULSES_HZ)
    pulses[::period] = math.sqrt(period)
    return pulses


def _power_of(mfcc: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Undo the cosine transform and the mel bands: smooth power for each bin of each frame."""
    bands = scipy.fft.idct(mfcc, n=config.n_mels, norm="ortho", axis=1)  # missing coefficients count as 0
    weights = features.mel_filterbank(config)
    # A band's value is the mean power under its triangle times the triangle's sum.
    bands = bands - np.log(weights.sum(axis=1))
    bins = np.arange(config.n_bins) * config.sample_rate / config.n_fft
    peaks = config.band_frequencies()
    right = np.clip(np.searchsorted(peaks, bins), 1, len(peaks) - 1)
    share = np.clip((bins - peaks[right - 1]) / (peaks[right] - peaks[right - 1]), 0, 1)
    power = np.exp(bands[:, right - 1] * (1 - share) + bands[:, right] * share)
    return power * (bins <= config.top_frequency)


# --- the MFCC explorer ----------------------------------------------------------------------------------

_MOST_COEFFICIENTS = 26
_SHOWN_DB = 60.0
_TICK_HZ = (500, 1000, 2000, 4000, 8000)
_HEAR = ("the clip", "whisper from its MFCC", "hum from its MFCC")


@dataclass(frozen=True, eq=False)
class Cepstra:
    """A sound and what the chosen settings make of it.

    Parameters
    ----------
    samples : float32 array, shape (n_samples,)
        The sound, after pre-emphasis.
    log_mel : float32 array, shape (n_frames, n_mels)
        Natural log of the power of each band.
    mfcc : float32 array, shape (n_frames, n_mfcc)
        The coefficients that are kept.
    kept : float32 array, shape (n_frames, n_mels)
        What these coefficients say the bands are: the transform undone.
    config : FeatureConfig
        The settings.
    hear : str
        Which sound was asked for.
    asked : int
        How many coefficients were asked for; more than bands do not exist.

    Lesson: 03
    """

    samples: np.ndarray
    log_mel: np.ndarray
    mfcc: np.ndarray
    kept: np.ndarray
    config: FeatureConfig
    hear: str
    asked: int

    @property
    def loudest(self) -> int:
        """The frame with the most energy."""
        return int(self.log_mel.mean(axis=1).argmax())

    @property
    def error_db(self) -> float:
        """How far the kept coefficients miss the bands, root mean square over all frames, in dB."""
        return float(np.sqrt(np.square(self.kept - self.log_mel).mean()) / self.config.from_db(1.0))


class MfccExplorer(Explorer):
    """Turn every setting between a waveform and its coefficients; see all stages, hear what is kept.

    Parameters
    ----------
    clips : iterable of Clip
        The clips to choose from, such as `asrlib.widgets.digits.some_clips` gives.

    Raises
    ------
    ValueError
        When there is no clip.

    Examples
    --------
    >>> from asrlib import datasets
    >>> from asrlib.widgets.digits import some_clips
    >>> mfcc = MfccExplorer(some_clips(datasets.digits("test"), n_speakers=1))
    >>> mfcc.still(window=25, coefficients=5)
    81 frames of 40 bands, 5 coefficients kept of each: 12800 samples have become 405 numbers. They miss the
    bands by 5.1 dB.

    Lesson: 03
    """

    size = (8.8, 5.0)

    def __init__(self, clips: Iterable[Clip]) -> None:
        self.clips = {f"{_word(clip.label)} · {clip.speaker}": clip.samples for clip in clips}
        if not self.clips:
            raise ValueError("There is no clip to explore. Pass clips, such as datasets.digits('test').")
        super().__init__()

    def controls(self) -> dict[str, ipywidgets.Widget]:
        """Return the controls: clip, window and hop in ms, bands, coefficients, pre-emphasis, sound."""
        return {
            "clip": choice("clip", list(self.clips)),
            "window": slider("window", 25, low=4, high=64, step=1, unit="ms"),
            "hop": slider("hop", 10, low=2, high=30, step=1, unit="ms"),
            "bands": slider("mel bands", 40, low=8, high=80, step=1),
            "coefficients": slider("coefficients", 13, low=1, high=_MOST_COEFFICIENTS, step=1),
            "preemphasis": slider("pre-emphasis", 0.0, low=0.0, high=0.97, step=0.01),
            "hear": choice("hear", _HEAR),
        }

    def compute(
        self,
        *,
        clip: str,
        window: float,
        hop: float,
        bands: float,
        coefficients: float,
        preemphasis: float,
        hear: str,
    ) -> Cepstra:
        """Compute every stage with these settings; window and hop are in milliseconds."""
        samples = self.clips[clip]
        config = FeatureConfig(
            window_seconds=window / 1000,
            hop_seconds=hop / 1000,
            n_fft=512 if window <= 32 else 1024,
            n_mels=int(bands),
            n_mfcc=min(int(coefficients), int(bands)),
            preemphasis=preemphasis,
            log_floor=1e-8,
            center=True,  # so that pictures with long and with short windows begin at the same time
        )
        log_mel = features.log_mel(samples, config)
        mfcc = scipy.fft.dct(log_mel, norm="ortho", axis=1)[:, : config.n_mfcc]
        kept = scipy.fft.idct(mfcc, n=config.n_mels, norm="ortho", axis=1)
        shown = samples - np.float32(preemphasis) * np.concatenate([samples[:1], samples[:-1]])
        return Cepstra(shown, log_mel, mfcc, kept, config, hear, int(coefficients))

    def build(self, figure: Figure, result: Cepstra) -> list[Artist]:
        """Draw waveform, bands and coefficients below one another; beside them, one frame."""
        grid = figure.add_gridspec(3, 2, width_ratios=(3, 2), height_ratios=(2, 3, 3))
        self._sound = prepared(figure.add_subplot(grid[0, 0]), size=self.size)
        self._mel = prepared(figure.add_subplot(grid[1, 0], sharex=self._sound), size=self.size)
        self._mfcc = prepared(figure.add_subplot(grid[2, 0], sharex=self._sound), size=self.size)
        self._one_frame = prepared(figure.add_subplot(grid[:, 1]), size=self.size)
        (self._wave,) = self._sound.plot([], [], color=look().main, linewidth=0.7)
        self._mark = self._sound.axvline(0, color=look().strong, linewidth=1.2)
        looks = {"origin": "lower", "aspect": "auto", "interpolation": "nearest"}
        self._mel_image = self._mel.imshow([[0, 1]], cmap="magma", **looks)
        self._mfcc_image = self._mfcc.imshow([[0, 1]], cmap="PuOr", **looks)
        (self._true,) = self._one_frame.plot(
            [], [], color=look().main, marker="o", markersize=3, linewidth=0.8
        )
        (self._kept,) = self._one_frame.plot([], [], color=look().strong, linewidth=2)

        self._sound.set_ylabel("amplitude")
        self._mel.set(ylabel="frequency (Hz)", ylim=(0, 1), facecolor="black")
        self._mel.set_yticks([_height(hz) for hz in _TICK_HZ], [f"{hz}" for hz in _TICK_HZ])
        self._mfcc.set(ylabel="coefficient", xlabel="time (s)", ylim=(-0.5, _MOST_COEFFICIENTS - 0.5))
        self._mfcc.set_yticks([0, 5, 10, 15, 20, 25])
        self._one_frame.set(
            xlabel="frequency (Hz)", ylabel="power of the band (dB)", xlim=(0, 1), ylim=(-82, 38)
        )
        self._one_frame.set_xticks([_height(hz) for hz in _TICK_HZ], [_short(hz) for hz in _TICK_HZ])
        self._one_frame.legend(
            [self._true, self._kept],
            ["mel bands of the frame at the line", "what the coefficients keep"],
            loc="upper right",
            frameon=False,
            fontsize=8,
        )
        for axes, title in (
            (self._sound, "waveform"),
            (self._mel, "log-mel"),
            (self._mfcc, "MFCC"),
            (self._one_frame, "one frame"),
        ):
            axes.set_title(title, loc="left", fontsize=10)
        for axes in (self._sound, self._mel):
            axes.tick_params(labelbottom=False)
        for axes in figure.axes:
            axes.autoscale(False)  # an image that is moved leaves the limits alone
        return [self._wave, self._mark, self._mel_image, self._mfcc_image, self._true, self._kept]

    def draw(self, result: Cepstra) -> None:
        """Move the curves and the pictures."""
        times, half_hop = result.config.times(len(result.log_mel)), result.config.hop_seconds / 2
        peak = max(float(np.abs(result.samples).max()), 1e-3)
        # The scale moves in few steps: every new one lets all ticks be drawn anew.
        reach = next((limit for limit in (0.02, 0.05, 0.1, 0.25, 0.5, 1.0) if peak <= limit), 1.0)
        self._wave.set_data(*outline(result.samples))
        if self._sound.get_ylim()[1] != reach:
            self._sound.set_ylim(-reach, reach)
            self._sound.set_yticks([-reach, 0, reach], [f"\N{MINUS SIGN}{reach:.2f}", "0.00", f"{reach:.2f}"])
        width = (times[0] - half_hop, times[-1] + half_hop)

        loudest = float(result.log_mel.max())
        self._mel_image.set_data(result.log_mel.T)
        self._mel_image.set_extent((*width, 0, 1))
        self._mel_image.set_clim(loudest - result.config.from_db(_SHOWN_DB), loudest)
        # c0 and c1, loudness and tilt, are far larger than the others and would drown them.
        others = result.mfcc[:, 2:] if result.mfcc.shape[1] > 2 else result.mfcc
        strongest = max(float(np.percentile(np.abs(others), 97)), 1e-3)
        self._mfcc_image.set_data(result.mfcc.T)
        self._mfcc_image.set_extent((*width, -0.5, result.mfcc.shape[1] - 0.5))
        self._mfcc_image.set_clim(-strongest, strongest)

        places = (np.arange(result.config.n_mels) + 0.5) / result.config.n_mels
        one_db = result.config.from_db(1.0)
        self._true.set_data(places, result.log_mel[result.loudest] / one_db)
        self._kept.set_data(places, result.kept[result.loudest] / one_db)
        self._mark.set_xdata([times[result.loudest]] * 2)
        # The same time axis for every clip: a new one lets three axes be drawn anew, which a hand would feel.
        longest = max(len(samples) for samples in self.clips.values()) / RATE
        set_limits(self._sound, x=(0, math.ceil(10 * longest) / 10))

    def describe(self, result: Cepstra) -> str:
        """Say how many numbers there are, and how well the coefficients keep the bands."""
        n_frames, n_kept = result.mfcc.shape
        numbers = (
            f"{n_frames} frames of {result.config.n_mels} bands, {n_kept} "
            f"coefficient{'s' if n_kept > 1 else ''} kept of each: {len(result.samples)} samples have become "
            f"{result.mfcc.size} numbers. They miss the bands by {result.error_db:.1f} dB."
        )
        if result.asked > n_kept:
            numbers += (
                f" {result.asked} coefficients were asked for; {n_kept} bands have no more than {n_kept}."
            )
        return numbers

    def sound(self, result: Cepstra) -> np.ndarray:
        """Return the clip after pre-emphasis, or a sound made from its coefficients alone."""
        if result.hear == _HEAR[0]:
            return result.samples
        voice = "whisper" if result.hear == _HEAR[1] else "hum"
        return resynthesize(result.mfcc, result.config, voice=voice)


def _word(label: str) -> str:
    return WORDS[int(label)] if label.isdigit() and int(label) < len(WORDS) else label


def _short(hz: int) -> str:
    return str(hz) if hz < 1000 else f"{hz // 1000}k"


@functools.lru_cache
def _mel_ends() -> tuple[float, float]:
    config = FeatureConfig()
    return float(features.hz_to_mel(config.f_min)), float(features.hz_to_mel(config.top_frequency))


def _height(hz: float) -> float:
    """Give the place of a frequency between the lowest and the highest band, from 0 to 1."""
    low, high = _mel_ends()
    return (float(features.hz_to_mel(hz)) - low) / (high - low)


# --- the explorer of the trade-off ----------------------------------------------------------------------

_TONES_AND_CLICKS = "two tones and two clicks"
_TONE_HZ = 1000.0
_CLICK_SECONDS = 0.3
_PROBE_SECONDS = 0.1  # only the tones sound here
_PROBE_HZ = 2400.0  # only the clicks have power here
_SECONDS = 0.5
_DEEP_ENOUGH_DB = 3.0
_WINDOWS = ("hann", "hamming", "blackman", "rectangular")
_NAMES = {"hann": "Hann", "hamming": "Hamming", "blackman": "Blackman"}


@dataclass(frozen=True, eq=False)
class TimeFrequency:
    """A spectrogram with one cut through it at a time and one at a frequency.

    Parameters
    ----------
    samples : float32 array, shape (n_samples,)
        The sound.
    db : float32 array, shape (n_frames, n_bins)
        Power in dB below its greatest value.
    config : FeatureConfig
        Window, hop and transform.
    at_seconds, at_hz : float
        Where it is cut.
    tones_dip_db, clicks_dip_db : float
        How deep the power falls between the two tones, and between the two clicks; NaN for a clip.
    tones_hz, clicks_ms : float
        How far apart they are; NaN for a clip.

    Lesson: 03
    """

    samples: np.ndarray
    db: np.ndarray
    config: FeatureConfig
    at_seconds: float
    at_hz: float
    tones_dip_db: float
    clicks_dip_db: float
    tones_hz: float
    clicks_ms: float

    @property
    def spectrum(self) -> np.ndarray:
        """Power in dB over frequency, at the time of the cut."""
        return self.db[self.frame]

    @property
    def course(self) -> np.ndarray:
        """Power in dB over time, at the frequency of the cut."""
        return self.db[:, round(self.at_hz * self.config.n_fft / self.config.sample_rate)]

    @property
    def frame(self) -> int:
        """The frame at the time of the cut."""
        return min(len(self.db) - 1, round(self.at_seconds / self.config.hop_seconds))


class TimeFrequencyExplorer(Explorer):
    """Change the length of the window: what is close in frequency comes apart, what is close in time melts.

    Parameters
    ----------
    clips : mapping of str to ndarray, shape (n_samples,), optional
        Sounds at 16 kHz to look at as well, by name.

    Examples
    --------
    >>> explorer = TimeFrequencyExplorer()
    >>> short = explorer.still(window=8, tones=60, clicks=20).result
    >>> short.clicks_dip_db > 3 > short.tones_dip_db
    True

    Lesson: 03
    """

    size = (8.8, 4.8)

    def __init__(self, clips: Mapping[str, np.ndarray] | None = None) -> None:
        self.clips = {name: audio.check(samples) for name, samples in (clips or {}).items()}
        super().__init__()

    def controls(self) -> dict[str, ipywidgets.Widget]:
        """Return the controls: the sound, the window in ms and its shape, the distances in Hz and ms."""
        return {
            "signal": choice("sound", [_TONES_AND_CLICKS, *self.clips]),
            "window": slider("window", 25, low=3, high=125, step=1, unit="ms"),
            "tones": slider("tones apart", 60, low=10, high=300, step=5, unit="Hz"),
            "clicks": slider("clicks apart", 20, low=2, high=80, step=1, unit="ms"),
            "shape": choice("window shape", _WINDOWS),
        }

    def compute(
        self, *, signal: str, window: float, tones: float, clicks: float, shape: str
    ) -> TimeFrequency:
        """Compute the spectrogram and its two cuts; the window and the clicks' distance are in ms."""
        artificial = signal == _TONES_AND_CLICKS
        samples = _tones_and_clicks(tones, clicks) if artificial else self.clips[signal]
        config = FeatureConfig(
            window_seconds=window / 1000,
            hop_seconds=0.002,
            n_fft=2048,
            window=shape,
            center=True,
        )
        power = features.power_spectrogram(samples, config)
        db = 10 * np.log10(np.maximum(power, power.max() * np.float32(1e-10)) / power.max())
        if artificial:
            at_seconds, at_hz = _PROBE_SECONDS, _PROBE_HZ
        else:
            frame, bin_ = np.unravel_index(int(power.argmax()), power.shape)
            at_seconds, at_hz = frame * config.hop_seconds, bin_ * RATE / config.n_fft
        made = TimeFrequency(samples, db, config, at_seconds, at_hz, *[math.nan] * 4)
        if not artificial:
            return made
        place_hz, place_s = config.n_fft / RATE, 1 / config.hop_seconds
        return TimeFrequency(
            samples,
            db,
            config,
            at_seconds,
            at_hz,
            _dip(made.spectrum, _TONE_HZ * place_hz, tones * place_hz),
            _dip(made.course, _CLICK_SECONDS * place_s, clicks / 1000 * place_s),
            tones,
            clicks,
        )

    def build(self, figure: Figure, result: TimeFrequency) -> list[Artist]:
        """Draw the spectrogram; below it one frequency over time, beside it the spectrum of one moment."""
        grid = figure.add_gridspec(2, 2, width_ratios=(3, 1.3), height_ratios=(3, 1.3))
        self._map = prepared(figure.add_subplot(grid[0, 0]), size=self.size)
        self._side = prepared(figure.add_subplot(grid[0, 1], sharey=self._map), size=self.size)
        self._below = prepared(figure.add_subplot(grid[1, 0], sharex=self._map), size=self.size)
        self._brightness = self._map.imshow(
            [[0, 1]], origin="lower", aspect="auto", interpolation="nearest", cmap="magma", vmin=-60, vmax=0
        )
        lines = {"color": COLORS["sky"], "linewidth": 1.2, "linestyle": (0, (4, 3))}
        self._moment = self._map.axvline(0, **lines)
        self._pitch = self._map.axhline(0, **lines)
        (self._spectrum,) = self._side.plot([], [], color=look().main, linewidth=1)
        (self._course,) = self._below.plot([], [], color=look().main, linewidth=1)
        self._map.set_ylabel("frequency (Hz)")
        self._map.set_title("spectrogram", loc="left", fontsize=10)
        self._side.set_title("at the upright line", loc="left", fontsize=10)
        self._side.set(xlim=(-60, 3), xlabel="power (dB)")
        self._below.set_title("along the level line", loc="left", fontsize=10)
        self._below.set(ylim=(-60, 3), ylabel="power (dB)", xlabel="time (s)")
        self._map.tick_params(labelbottom=False)
        self._side.tick_params(labelleft=False)
        for axes in figure.axes:
            axes.autoscale(False)  # an image that is moved leaves the limits alone
        return [self._brightness, self._moment, self._pitch, self._spectrum, self._course]

    def draw(self, result: TimeFrequency) -> None:
        """Move the picture, the lines and the two cuts."""
        artificial = not math.isnan(result.tones_hz)
        low, high = (500.0, 2600.0) if artificial else (0.0, 4000.0)
        per_hz = result.config.n_fft / RATE
        first, last = int(low * per_hz), int(high * per_hz) + 1
        times = result.config.times(len(result.db))
        frequencies = np.arange(first, last) / per_hz
        half_hop = result.config.hop_seconds / 2
        self._brightness.set_data(result.db[:, first:last].T)
        self._brightness.set_extent(
            (times[0] - half_hop, times[-1] + half_hop, frequencies[0], frequencies[-1])
        )
        self._moment.set_xdata([result.at_seconds] * 2)
        self._pitch.set_ydata([result.at_hz] * 2)
        self._spectrum.set_data(result.spectrum[first:last], frequencies)
        # The course of a frequency is shown below its own top: what counts is its shape.
        self._course.set_data(times, result.course - result.course.max())
        set_limits(self._map, x=(0, len(result.samples) / RATE), y=(low, high))

    def describe(self, result: TimeFrequency) -> str:
        """Say what can be told apart with this window."""
        milliseconds = 1000 * result.config.window_seconds
        start = f"A {_NAMES.get(result.config.window, result.config.window)} window of {milliseconds:.0f} ms"
        if math.isnan(result.tones_hz):
            return (
                f"{start}. To be seen as two, tones must be about {2000 / milliseconds:.0f} Hz apart, and "
                f"clicks about {milliseconds / 2:.0f} ms."
            )
        tones = _seen("tones", f"{result.tones_hz:.0f} Hz", result.tones_dip_db)
        clicks = _seen("clicks", f"{result.clicks_ms:.0f} ms", result.clicks_dip_db)
        return f"{start}: {tones}; {clicks}."

    def sound(self, result: TimeFrequency) -> np.ndarray:
        """Return the sound."""
        return result.samples


def _seen(what: str, distance: str, dip_db: float) -> str:
    verdict = (
        f"two, with a dip of {dip_db:.0f} dB" if dip_db >= _DEEP_ENOUGH_DB else "one: they melt together"
    )
    return f"the {what}, {distance} apart, are seen as {verdict}"


@functools.lru_cache(maxsize=64)
def _tones_and_clicks(tones_hz: float, clicks_ms: float) -> np.ndarray:
    """Make two steady tones around 1000 Hz and two clicks around 0.3 s."""
    times = np.arange(round(_SECONDS * RATE)) / RATE
    sound = np.zeros(len(times))
    for side in (-0.5, 0.5):
        # In step at the probe: out of step they would cancel there, which looks like two tones and is none.
        sound += 0.1 * np.cos(2 * np.pi * (_TONE_HZ + side * tones_hz) * (times - _PROBE_SECONDS))
        sound[round((_CLICK_SECONDS + side * clicks_ms / 1000) * RATE)] += 0.7
    fade = np.minimum(1, np.minimum(times, times[::-1]) / 0.02)  # else both ends would click as well
    sound = (sound * fade).astype(np.float32)
    sound.setflags(write=False)
    return sound


def _dip(db: np.ndarray, middle: float, distance: float) -> float:
    """Return how far the curve falls between two places, below the lower of the two peaks, in dB."""
    reach = max(1, round(distance / 4))
    left, right = round(middle - distance / 2), round(middle + distance / 2)
    between = slice(left, right + 1)
    peaks = [db[max(0, place - reach) : place + reach + 1].max() for place in (left, right)]
    return max(0.0, float(min(peaks) - db[between].min()))
