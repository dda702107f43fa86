"""Lesson 1's explorers: what sampling makes of a sound, and what rounding makes of it."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import ipywidgets
import numpy as np
import scipy.fft
import scipy.signal
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from asrlib import audio, filters, signals
from asrlib.datasets import Clip
from asrlib.plots.common import look
from asrlib.widgets.explorer import Explorer, choice, slider, steps, switch

__all__ = ["QuantizationExplorer", "Rounded", "Sampled", "SamplingExplorer"]

AIR_RATE = 48_000
"""Samples per second of what stands for the sound in the air: so many that it passes for continuous."""

TONE = "tone"
RISING = "rising tone"
FADING = "fading tone"
_RATES = (16_000, 12_000, 8_000, 6_000, 4_800, 4_000, 3_000, 2_400, 2_000)
_TONE_SECONDS = 1.2
_RISING_SECONDS = 3.0
_RISING_HZ = (200.0, 15_000.0)
_FADE_SECONDS = 0.02
_AMPLITUDE = 0.5
_VIEW_SECONDS = 0.006
_SPECTRUM_LENGTH = 2_048
_SMOOTH = 4  # points drawn for each sample of the air, so that its highest tones look round
_MARGIN = 240  # samples of the air around the view, from which those points are computed
_LONGEST_CLIP_SECONDS = 4.0
_ROUNDED_VIEW = 160  # samples at 16 kHz: 10 ms
_ROUNDED_TONE_HZ = 443.0  # no whole number of periods fits into the view, so that steps fall anywhere
_WELCH_LENGTH = 1_024


@dataclass(frozen=True, eq=False)
class Sampled:
    """What sampling made of one sound.

    Parameters
    ----------
    times, air, rebuilt : float arrays, shape (n_times,)
        A few milliseconds: seconds, the wave in the air, the wave through the samples.
    sample_times, samples : float arrays, shape (n_samples,)
        The samples taken within them.
    frequencies, air_db, rebuilt_db : float arrays, shape (n_bins,)
        Power over frequency at that moment, in dB re a sine at full scale.
    sample_rate : int
        Samples per second.
    filtered : bool
        Whether the anti-alias filter came first.
    sound : float32 array, shape (n_sound,)
        All of what comes back, at 16 kHz.
    source : str
        What was sampled.
    frequency, heard : float
        Of a tone: its frequency in the air and the one that comes back, in Hz; NaN for other sounds.
    change_db : float
        Level of what comes back, less that of what was in the air, in dB.
    share_above : float
        Share of the power in the air that lies above half the rate, 0 to 1.

    Lesson: 01
    """

    times: np.ndarray
    air: np.ndarray
    rebuilt: np.ndarray
    sample_times: np.ndarray
    samples: np.ndarray
    frequencies: np.ndarray
    air_db: np.ndarray
    rebuilt_db: np.ndarray
    sample_rate: int
    filtered: bool
    sound: np.ndarray
    source: str
    frequency: float
    heard: float
    change_db: float
    share_above: float


class SamplingExplorer(Explorer):
    """Choose a sound and a sample rate, switch the anti-alias filter; see and hear what comes back.

    Parameters
    ----------
    clips : iterable of Clip
        Recordings to offer beside the tones, at any rate; the lesson takes those of `asrlib.datasets.listen`.

    Raises
    ------
    ValueError
        When a clip lasts more than 4 s.

    Examples
    --------
    >>> SamplingExplorer().still(frequency=7000, sample_rate=8000, filtered=False)
    A tone of 7000 Hz, measured 8000 times a second, comes back as a tone of 1000 Hz: it lies above half the
    rate, 4000 Hz.

    Lesson: 01
    """

    size = (8.4, 3.4)

    def __init__(self, clips: Iterable[Clip] = ()) -> None:
        self.clips = {clip.label: _in_the_air(clip) for clip in clips}
        self._kept: dict[tuple[str, int, bool], _Back] = {}
        super().__init__()

    def controls(self) -> dict[str, ipywidgets.Widget]:
        """Return the controls: the sound, where to look, the rate in Hz, the filter."""
        rates = [(f"{rate} Hz", rate) for rate in _RATES]
        inputs = {
            "source": choice("sound", [TONE, RISING, *self.clips]),
            "frequency": slider("tone", 3000, low=100, high=15_000, step=100, unit="Hz"),
            "moment": slider("moment", 0.1, low=0, high=3, step=0.1, unit="s"),
            "sample_rate": steps("sample rate", rates, value=8_000),
            "filtered": switch("anti-alias filter", False),
        }

        def leave_what_matters(_: object = None) -> None:
            """A tone has a frequency and looks the same at every moment; other sounds are the other way."""
            is_tone = inputs["source"].value == TONE
            inputs["frequency"].disabled, inputs["moment"].disabled = not is_tone, is_tone

        inputs["source"].observe(leave_what_matters, names="value")
        leave_what_matters()
        return inputs

    def compute(
        self, *, source: str, frequency: float, moment: float, sample_rate: int, filtered: bool
    ) -> Sampled:
        """Filter if wanted, sample, and draw the one wave below half the rate through the samples."""
        air = self._air(source, float(frequency))
        factor = AIR_RATE // sample_rate
        # Of a clip the work is kept, so that moving to another moment is quick.
        key = (source, sample_rate, filtered)
        back = self._kept.get(key) or _measured_and_rebuilt(air, sample_rate, filtered=filtered)
        if source in self.clips:
            self._kept[key] = back
        middle = len(air) // 2 if source == TONE else round(moment * AIR_RATE)
        start = min(max(_MARGIN, middle), len(air) - _SPECTRUM_LENGTH) // factor * factor
        view = slice(start, start + round(_VIEW_SECONDS * AIR_RATE))
        here = slice(start, start + _SPECTRUM_LENGTH)
        is_tone = source == TONE
        return Sampled(
            times=(view.start + np.arange(_SMOOTH * (view.stop - view.start)) / _SMOOTH) / AIR_RATE,
            air=_smooth(air, view),
            rebuilt=_smooth(back.wave, view),
            sample_times=np.arange(len(air))[view][::factor] / AIR_RATE,
            samples=back.samples[view.start // factor : -(-view.stop // factor)],
            frequencies=np.fft.rfftfreq(_SPECTRUM_LENGTH, 1 / AIR_RATE),
            air_db=_spectrum_db(air[here]),
            rebuilt_db=_spectrum_db(back.wave[here]),
            sample_rate=sample_rate,
            filtered=filtered,
            # Nothing in it lies above 8 kHz, so that every third sample is enough.
            sound=back.wave[::3].astype(np.float32),
            source=source,
            frequency=float(frequency) if is_tone else math.nan,
            heard=signals.alias_frequency(frequency, sample_rate=sample_rate) if is_tone else math.nan,
            change_db=back.change_db,
            share_above=back.share_above,
        )

    def build(self, figure: Figure, result: Sampled) -> list[Artist]:
        """Draw the wave with its samples at the left, the spectra at the right."""
        self._wave, self._spectrum = figure.subplots(1, 2, width_ratios=(3, 2))
        for axes, title in ((self._wave, "wave and samples"), (self._spectrum, "spectrum at that moment")):
            axes.spines[["top", "right"]].set_visible(False)
            axes.set_title(title, loc="left", fontsize=10)
        blue, red, quiet = look().main, look().strong, look().quiet
        (self._air_line,) = self._wave.plot([], [], color=quiet, linewidth=1, label="in the air")
        (self._rebuilt_line,) = self._wave.plot([], [], color=blue, linewidth=2, label="what comes back")
        (self._dots,) = self._wave.plot([], [], "o", color=red, markersize=4, label="samples")
        (self._air_db,) = self._spectrum.plot([], [], color=quiet, linewidth=1)
        (self._rebuilt_db,) = self._spectrum.plot([], [], color=blue, linewidth=1.4)
        self._half = self._spectrum.axvline(0, color=red, linestyle="--", linewidth=1, label="half the rate")
        self._wave.set(xlabel="time (ms)", ylabel="amplitude", ylim=(-0.85, 0.85))
        self._wave.set_xlim(0, 1000 * _VIEW_SECONDS)
        self._spectrum.set(xlabel="frequency (kHz)", ylabel="power (dB)", xlim=(0, 16), ylim=(-90, 0))
        self._wave.legend(loc="upper center", ncols=3, frameon=False, fontsize=8)
        self._spectrum.legend(loc="upper right", frameon=False, fontsize=8)
        moving = [self._air_line, self._rebuilt_line, self._dots]
        return [*moving, self._air_db, self._rebuilt_db, self._half]

    def draw(self, result: Sampled) -> None:
        """Move the curves, the samples and the mark at half the rate."""
        begin = result.times[0]
        self._air_line.set_data(1000 * (result.times - begin), result.air)
        self._rebuilt_line.set_data(1000 * (result.times - begin), result.rebuilt)
        self._dots.set_data(1000 * (result.sample_times - begin), result.samples)
        self._air_db.set_data(result.frequencies / 1000, result.air_db)
        self._rebuilt_db.set_data(result.frequencies / 1000, result.rebuilt_db)
        self._half.set_xdata([result.sample_rate / 2000] * 2)

    def describe(self, result: Sampled) -> str:
        """Say what comes back, and why."""
        half = result.sample_rate / 2
        measured = f"measured {result.sample_rate} times a second"
        if result.source == TONE:
            return f"A tone of {result.frequency:.0f} Hz, {measured}, {_fate(result)}"
        if result.source == RISING:
            fate = "falls silent at" if result.filtered else "turns round at"
            return f"The rising tone, {measured}, {fate} half the rate, {half:.0f} Hz."
        fate = (
            "The filter took it away."
            if result.filtered
            else "It came back below, as sound that was never there."
        )
        share = 100 * result.share_above
        return f"Of the power of this clip {share:.2g} % lies above half the rate, {half:.0f} Hz. {fate}"

    def sound(self, result: Sampled) -> np.ndarray:
        """Return all of what comes back, at 16 kHz."""
        return result.sound

    def _air(self, source: str, frequency: float) -> np.ndarray:
        if source in self.clips:
            return self.clips[source]
        return _tone_in_the_air(frequency if source == TONE else None)


def _fate(result: Sampled) -> str:
    """Say what became of a tone."""
    half = result.sample_rate / 2
    if result.heard == half and not result.filtered:
        return (
            f"comes back at exactly half the rate, {half:.0f} Hz: how loud depends on where in its round the "
            "samples catch it."
        )
    if result.frequency > half:
        if result.filtered:
            return f"is gone: it lies above half the rate, {half:.0f} Hz, and the filter took it away first."
        return f"comes back as a tone of {result.heard:.0f} Hz: it lies above half the rate, {half:.0f} Hz."
    if result.change_db < -1:
        return (
            f"comes back {-result.change_db:.0f} dB softer: the filter begins to work a little below half "
            "the "
            f"rate, {half:.0f} Hz."
        )
    return f"comes back as it was: it lies below half the rate, {half:.0f} Hz."


@functools.lru_cache(maxsize=32)
def _tone_in_the_air(frequency: float | None) -> np.ndarray:
    """Make a tone, or the rising one when None, at the rate of the air, fading in and out."""
    if frequency is None:
        made = signals.chirp(*_RISING_HZ, seconds=_RISING_SECONDS, sample_rate=AIR_RATE, amplitude=_AMPLITUDE)
    else:
        # The phase is such that the samples of a tone at half the rate do not all fall on its zeros.
        made = signals.sine(
            frequency, seconds=_TONE_SECONDS, sample_rate=AIR_RATE, amplitude=_AMPLITUDE, phase=np.pi / 4
        )
    n_fade = round(_FADE_SECONDS * AIR_RATE)
    fade = (np.sin(np.linspace(0, np.pi / 2, n_fade)) ** 2).astype(np.float32)
    made[:n_fade] *= fade
    made[-n_fade:] *= fade[::-1]
    made.setflags(write=False)
    return made


def _smooth(wave: np.ndarray, view: slice) -> np.ndarray:
    """Compute the wave between its samples, for drawing a part of it."""
    around = wave[view.start - _MARGIN : view.stop + _MARGIN] * _tapered(view.stop - view.start)
    return scipy.signal.resample(around, _SMOOTH * len(around))[_SMOOTH * _MARGIN : -_SMOOTH * _MARGIN]


@functools.lru_cache(maxsize=2)
def _tapered(n_view: int) -> np.ndarray:
    """Return a window that is 1 in the middle and falls to 0 over both margins."""
    rise = np.sin(np.linspace(0, np.pi / 2, _MARGIN)) ** 2
    return np.concatenate([rise, np.ones(n_view), rise[::-1]])


def _in_the_air(clip: Clip) -> np.ndarray:
    """Bring a clip to the rate of the air and to the loudness of the tones."""
    if clip.seconds > _LONGEST_CLIP_SECONDS:
        raise ValueError(
            f"The clip {clip.label!r} lasts {clip.seconds:.1f} s. Pass clips of at most "
            f"{_LONGEST_CLIP_SECONDS:g} s, "
            "so that the picture can follow the controls."
        )
    samples = audio.resample(clip.samples, source_rate=clip.sample_rate, target_rate=AIR_RATE)
    samples = samples * (_AMPLITUDE / np.abs(samples).max())
    # Silence up to a length that every factor divides.
    return np.pad(samples, (0, -len(samples) % 4_800))


@functools.lru_cache(maxsize=len(_RATES))
def _lowpass(sample_rate: int) -> np.ndarray:
    """Return the taps that pass what lies below 0.45 of a rate and stop what lies above half of it."""
    n_taps = 64 * (AIR_RATE // sample_rate) + 1
    return filters.fir("lowpass", 0.475 * sample_rate, n_taps=n_taps, sample_rate=AIR_RATE).taps.astype(
        np.float32
    )


class _Back(NamedTuple):
    """What comes back of a sound: its samples, the wave through them at the rate of the air, two measures."""

    samples: np.ndarray
    wave: np.ndarray
    change_db: float
    share_above: float


def _measured_and_rebuilt(air: np.ndarray, sample_rate: int, *, filtered: bool) -> _Back:
    """Filter if wanted, sample, and sum the sincs."""
    factor = AIR_RATE // sample_rate
    measured = scipy.signal.oaconvolve(air, _lowpass(sample_rate), mode="same") if filtered else air
    samples = measured[::factor]
    # Every sound here begins and ends in silence, so the periodic sum of sincs is the plain one.
    wave = scipy.signal.resample(samples, len(samples) * factor)[: len(air)]
    change_db = float(_db(np.mean(wave**2)) - _db(np.mean(air**2)))
    return _Back(samples, wave, change_db, _share_above(air, sample_rate / 2))


def _spectrum_db(samples: np.ndarray) -> np.ndarray:
    window = np.hanning(len(samples) + 1)[:-1]
    return _db((np.abs(np.fft.rfft(samples * window)) / (window.sum() / 2)) ** 2)


def _share_above(air: np.ndarray, frequency: float) -> float:
    power = np.abs(scipy.fft.rfft(air)) ** 2
    first = math.ceil(frequency * len(air) / AIR_RATE)
    return float(power[first:].sum() / power.sum())


def _db(power: np.ndarray | float) -> np.ndarray | float:
    return 10 * np.log10(np.maximum(power, 1e-20))


@dataclass(frozen=True, eq=False)
class Rounded:
    """What rounding made of one sound.

    Parameters
    ----------
    samples, quantized : float32 arrays, shape (n_samples,)
        All of it before and after, at 16 kHz.
    start : int
        Index of the first sample to draw.
    frequencies, sound_db, error_db : float arrays, shape (n_bins,)
        Power of the sound and of the error over frequency, in dB re a sine at full scale.
    bits : int
        Bits per sample.
    dither : str
        "none", "rectangular" or "triangular".
    snr_db : float
        Power of the sound over power of the error, in dB.
    rule_db : float
        What the rule promises a sine of this peak at that many bits, in dB.
    peak_over_mean_db : float
        How far the strongest frequency of the error stands above its mean: large for tones, small for hiss.

    Lesson: 01
    """

    samples: np.ndarray
    quantized: np.ndarray
    start: int
    frequencies: np.ndarray
    sound_db: np.ndarray
    error_db: np.ndarray
    bits: int
    dither: str
    snr_db: float
    rule_db: float
    peak_over_mean_db: float


class QuantizationExplorer(Explorer):
    """Choose a sound, its level, the bits and the dither; see and hear what rounding leaves.

    Parameters
    ----------
    clips : iterable of Clip
        Recordings to offer beside the tones, at any rate.

    Examples
    --------
    >>> QuantizationExplorer().still(level_db=0.0, bits=8.0, dither="none")
    8 bits: 255 levels, 0.0079 of full scale apart. Measured signal-to-noise ratio: 50.0 dB; the rule for a
    sine of this peak: 49.9 dB. The strongest frequency of the error stands ... dB above its mean.

    Lesson: 01
    """

    size = (8.4, 3.5)

    def __init__(self, clips: Iterable[Clip] = ()) -> None:
        self.clips = {clip.label: _at_full_scale(clip) for clip in clips}
        super().__init__()

    def controls(self) -> dict[str, ipywidgets.Widget]:
        """Return the controls: the sound, the level of its peak in dB, the bits, the dither."""
        return {
            "source": choice("sound", [TONE, FADING, *self.clips]),
            "level_db": slider("peak level", -3, low=-60, high=0, step=1, unit="dB"),
            "bits": slider("resolution", 4, low=2, high=16, step=1, unit="bits"),
            "dither": choice("dither", ["none", "rectangular", "triangular"]),
        }

    def compute(self, *, source: str, level_db: float, bits: float, dither: str) -> Rounded:
        """Bring the sound to its level and round it."""
        whole = self.clips[source] if source in self.clips else _full_scale_tone(fading=source == FADING)
        samples = whole * np.float32(10 ** (level_db / 20))
        # The same dither each time: what changes with a control is the control and nothing else.
        quantized = signals.quantize(samples, bits=int(bits), dither=dither, rng=np.random.default_rng(0))
        error = quantized.astype(np.float64) - samples
        frequencies, sound = _welch(samples)
        _, noise = _welch(error)
        loudest = int(np.abs(samples).argmax())
        return Rounded(
            samples=samples,
            quantized=quantized,
            start=min(max(0, loudest - _ROUNDED_VIEW // 2), len(samples) - _ROUNDED_VIEW),
            frequencies=frequencies,
            sound_db=_db(sound),
            error_db=_db(noise),
            bits=int(bits),
            dither=dither,
            snr_db=float(_db(np.mean(samples.astype(np.float64) ** 2)) - _db(np.mean(error**2))),
            rule_db=20 * math.log10(2) * int(bits) + 10 * math.log10(1.5) + level_db,
            peak_over_mean_db=float(_db(noise.max()) - _db(noise.mean())),
        )

    def build(self, figure: Figure, result: Rounded) -> list[Artist]:
        """Draw the wave before and after with the error at the left, the spectra at the right."""
        wave, spectrum = figure.subplots(1, 2, width_ratios=(3, 2))
        for axes, title in ((wave, "wave, scaled to its peak"), (spectrum, "spectrum")):
            axes.spines[["top", "right"]].set_visible(False)
            axes.set_title(title, loc="left", fontsize=10)
        blue, red, quiet = look().main, look().strong, look().quiet
        (self._before,) = wave.plot([], [], color=quiet, linewidth=1, label="before")
        (self._after,) = wave.plot([], [], color=blue, linewidth=1.6, drawstyle="steps-mid", label="after")
        (self._error,) = wave.plot([], [], ":", color=red, linewidth=1.4, label="error")
        (self._sound_db,) = spectrum.plot([], [], color=quiet, linewidth=1, label="sound")
        (self._error_db,) = spectrum.plot([], [], color=red, linewidth=1.2, label="error")
        wave.set(xlabel="time (ms)", ylabel="amplitude (peak = 1)", xlim=(0, 10), ylim=(-1.8, 1.8))
        spectrum.set(xlabel="frequency (kHz)", ylabel="power (dB)", xlim=(0, 8), ylim=(-140, 0))
        wave.legend(loc="upper center", ncols=3, frameon=False, fontsize=8)
        spectrum.legend(loc="upper right", frameon=False, fontsize=8)
        return [self._before, self._after, self._error, self._sound_db, self._error_db]

    def draw(self, result: Rounded) -> None:
        """Move the curves."""
        view = slice(result.start, result.start + _ROUNDED_VIEW)
        before, after = result.samples[view], result.quantized[view]
        peak = np.abs(result.samples).max()
        milliseconds = 1000 * np.arange(len(before)) / audio.SAMPLE_RATE
        self._before.set_data(milliseconds, before / peak)
        self._after.set_data(milliseconds, after / peak)
        self._error.set_data(milliseconds, (after - before) / peak)
        self._sound_db.set_data(result.frequencies / 1000, result.sound_db)
        self._error_db.set_data(result.frequencies / 1000, result.error_db)

    def describe(self, result: Rounded) -> str:
        """Say how many levels there are, what ratio they leave, and what the error sounds like."""
        n_levels = 2**result.bits - 1
        text = f"{result.bits} bits: {n_levels} levels, {2 / (n_levels - 1):.2g} of full scale apart."
        if not result.quantized.any():
            return f"{text} The sound is softer than half a step: every sample became zero."
        return (
            f"{text} Measured signal-to-noise ratio: {result.snr_db:.1f} dB; the rule for a sine of this "
            f"peak: {result.rule_db:.1f} dB. The strongest frequency of the error stands "
            f"{result.peak_over_mean_db:.0f} dB above its mean."
        )

    def sound(self, result: Rounded) -> np.ndarray:
        """Return the rounded sound."""
        return result.quantized


@functools.lru_cache(maxsize=2)
def _full_scale_tone(*, fading: bool) -> np.ndarray:
    tone = signals.sine(_ROUNDED_TONE_HZ, seconds=_TONE_SECONDS, amplitude=1.0)
    if fading:
        # From full scale down by 60 dB, as a plucked string or the end of a word dies away.
        tone = tone * (10 ** (-3 * np.arange(len(tone)) / len(tone))).astype(np.float32)
    tone.setflags(write=False)
    return tone


def _at_full_scale(clip: Clip) -> np.ndarray:
    samples = audio.resample(clip.samples, source_rate=clip.sample_rate, target_rate=audio.SAMPLE_RATE)
    return samples / np.abs(samples).max()


def _welch(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return frequencies in Hz and the mean power there, where a sine at full scale has 1."""
    window = np.hanning(_WELCH_LENGTH + 1)[:-1]
    frames = np.lib.stride_tricks.sliding_window_view(samples, _WELCH_LENGTH)[:: _WELCH_LENGTH // 2]
    power = np.abs(scipy.fft.rfft(frames * window)) ** 2 / (window.sum() / 2) ** 2
    return np.fft.rfftfreq(_WELCH_LENGTH, 1 / audio.SAMPLE_RATE), power.mean(axis=0)
