"""From waveform to features: frames, power spectrogram, mel bands, logarithm, cosine transform.

Every function takes one recording ``(n_samples,)`` or a batch ``(batch, n_samples)`` and one
`FeatureConfig`, and gives float32 with time before frequency. The defaults follow librosa's conventions for
frames, mel bands and cosine transform; only the logarithm is the natural one. `FeatureConfig.librosa`,
`FeatureConfig.kaldi` and `FeatureConfig.python_speech_features` name every setting in which those three
libraries differ, and give their numbers.

The steps, in the order in which `mfcc` takes them, and the settings of each:

===================  =====================================================================================
the recording        `sample_rate`, `sample_scale`, `preemphasis`, `preemphasis_start`
frames               `window_seconds`, `hop_seconds`, `window_position`, `center`, `pad_end`, `padding`
each frame           `remove_dc`, `preemphasis_per_frame`, `window`, `symmetric_window`
spectrum             `n_fft`, `spectrum`, `precision`
mel bands            `n_mels`, `f_min`, `f_max`, `mel_scale`, `mel_triangles`, `mel_norm`
logarithm            `log_floor`, `log_unit`, `top_db`
cosine transform     `n_mfcc`; orthonormal in all three libraries
cepstrum             `lifter`, `first_coefficient`
over time            `delta`, `cmvn`
===================  =====================================================================================
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import scipy.fft

from asrlib.errors import AudioError

__all__ = [
    "FeatureConfig",
    "cmvn",
    "delta",
    "extract",
    "frame",
    "hz_to_mel",
    "lifter",
    "limit_range",
    "log_mel",
    "mel_filterbank",
    "mel_to_hz",
    "mfcc",
    "power_spectrogram",
    "window",
]

# Cosine-sum windows: w[n] = sum_k (-1)^k a_k cos(2 pi k n / N).
_COSINE_WINDOWS = {
    "rectangular": (1.0,),
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
}
_WINDOWS = (*_COSINE_WINDOWS, "povey")
_POVEY_EXPONENT = 0.85
_PADDINGS = {"zeros": "constant", "reflect": "reflect", "symmetric": "symmetric", "edge": "edge"}
_MEL_SCALES = ("slaney", "htk")
_CHOICES = {
    "preemphasis_start": ("repeat", "zero"),
    "window_position": ("middle", "start"),
    "padding": tuple(_PADDINGS),
    "window": _WINDOWS,
    "spectrum": ("power", "periodogram", "magnitude"),
    "precision": ("single", "double"),
    "mel_scale": _MEL_SCALES,
    "mel_triangles": ("hertz", "mel", "bins"),
    "mel_norm": ("area", "none"),
    "log_unit": ("natural", "decibel"),
    "first_coefficient": ("cepstrum", "frame_energy", "spectrum_energy"),
    "kind": ("log_mel", "mfcc"),
    "normalization": ("none", "level", "mean", "both", "utterance"),
}
_DECIBELS_PER_NEPER = 10 / math.log(10)

# Frames and spectra of one chunk (these many values each) stay in a core's cache, and memory is bounded.
_CHUNK_VALUES = 160 * 1024
# Mel bands are narrow: a few neighbours together need only a part of the spectrum.
_BANDS_PER_BLOCK = 8
# OpenBLAS spreads larger products over threads. On a busy machine those wait for each other for milliseconds.
_ONE_THREAD_PRODUCT = 4 * 65536


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureConfig:
    """Every setting between a waveform and its features, in the order of the steps, checked when it is made.

    Parameters
    ----------
    sample_rate : int
        Samples per second of the recordings, in Hz.
    sample_scale : float
        Factor on the samples. 32768 gives the numbers of 16-bit integers, which some libraries expect.
    preemphasis : float
        Coefficient a of ``y[n] = x[n] - a x[n-1]``, from 0 (off) to below 1.
    preemphasis_start : {"repeat", "zero"}
        What stands before the first sample: that sample once more, or zero.
    preemphasis_per_frame : bool
        False: the whole recording is filtered, then cut. True: each frame is filtered by itself.
    window_seconds, hop_seconds : float
        Length of the analysis window, and the step from one frame to the next, in seconds.
    n_fft : int
        Length of the Fourier transform in samples, at least that of the window.
    window_position : {"middle", "start"}
        Where the window lies when it is shorter than `n_fft`. "middle": a frame holds `n_fft` samples, the
        window lies in its middle, so a frame begins before its window does. "start": a frame is as long as
        the window, and zeros follow it up to `n_fft`.
    center : bool
        False: the first frame starts at the first sample. True: frame i is centred on time
        ``i * hop_seconds``, with `padding` beyond both ends.
    pad_end : bool
        False: only whole frames. True: as many frames as it takes for the last sample to be in one.
    padding : {"zeros", "reflect", "symmetric", "edge"}
        What lies beyond the ends where `center` or `pad_end` reaches there: zeros, the samples backwards
        without the outermost, the samples backwards with it, or the outermost again and again.
    remove_dc : bool
        Whether the mean of each frame is subtracted from it, before any pre-emphasis of frames.
    window : {"hann", "hamming", "blackman", "rectangular", "povey"}
        Shape of the window, see `window`.
    symmetric_window : bool
        False: a period of the window is its length, as for spectra. True: the window ends as it begins.
    spectrum : {"power", "periodogram", "magnitude"}
        ``abs(X) ** 2``, ``abs(X) ** 2 / n_fft`` or ``abs(X)`` of the Fourier transform X.
    precision : {"single", "double"}
        Of window, Fourier and cosine transform. "single" is faster; its rounding errors reach 1e-4 in bands
        that lie 70 dB or more below the loudest of their frame. The features are float32 either way.
    n_mels : int
        Number of mel bands.
    f_min, f_max : float
        Lower and upper edge of the mel bands, in Hz. ``f_max=None`` means half the sample rate.
    mel_scale : {"slaney", "htk"}
        Formula of the mel scale.
    mel_triangles : {"hertz", "mel", "bins"}
        Where the sides of the bands are straight: over Hz, over mel, or over Hz with every corner moved down
        to a frequency bin.
    mel_norm : {"area", "none"}
        "area": each band has an area of 1 Hz. "none": each has a height of 1.
    log_floor : float
        Mel power below this value counts as this value, so that silence has a logarithm. The same holds for
        the energy that `first_coefficient` asks for.
    log_unit : {"natural", "decibel"}
        ``log(power)`` or ``10 * log10(power)``.
    top_db : float or None
        Dynamic range in dB: mel power further than this below the greatest of the recording counts as that
        far below. None keeps all.
    n_mfcc : int
        Number of cepstral coefficients that `mfcc` keeps.
    lifter : int
        L of `lifter`; 0 leaves the cepstral coefficients as they are.
    first_coefficient : {"cepstrum", "frame_energy", "spectrum_energy"}
        The first cepstral coefficient as the transform gives it, or instead of it the log of the sum of
        squares of the frame (before its pre-emphasis and window), or the log of the sum of its spectrum.
    kind : {"log_mel", "mfcc"}
        What `extract` gives.
    normalization : {"none", "level", "mean", "both", "utterance"}
        What `extract` does per recording: nothing; subtract one number, the mean of all features, which takes
        away how loud it is; subtract the mean over time of each coefficient, which also takes away the
        microphone and the word's average colour; give the two side by side, twice as many coefficients; or
        divide by the standard deviation too.

    Raises
    ------
    ValueError
        When settings contradict each other. The message says which, and what to change.

    Examples
    --------
    >>> config = FeatureConfig(n_mels=64)
    >>> config.window_length, config.hop_length, config.n_coefficients
    (400, 160, 64)
    >>> FeatureConfig.from_dict(config.to_dict()) == config
    True

    Lesson: 03
    """

    sample_rate: int = 16_000
    sample_scale: float = 1.0
    preemphasis: float = 0.0
    preemphasis_start: str = "repeat"
    preemphasis_per_frame: bool = False

    window_seconds: float = 0.025
    hop_seconds: float = 0.010
    n_fft: int = 512
    window_position: str = "middle"
    center: bool = False
    pad_end: bool = False
    padding: str = "zeros"

    remove_dc: bool = False
    window: str = "hann"
    symmetric_window: bool = False

    spectrum: str = "power"
    precision: str = "single"

    n_mels: int = 40
    f_min: float = 20.0
    f_max: float | None = None
    mel_scale: str = "slaney"
    mel_triangles: str = "hertz"
    mel_norm: str = "area"

    log_floor: float = 1e-10
    log_unit: str = "natural"
    top_db: float | None = None

    n_mfcc: int = 13
    lifter: int = 0
    first_coefficient: str = "cepstrum"

    kind: str = "log_mel"
    normalization: str = "none"

    def __post_init__(self) -> None:
        self._check_types()
        self._check_choices()
        self._check_frames()
        self._check_values()
        self._check_frequencies()
        _check_no_empty_band(self)

    @classmethod
    def librosa(cls, **changes: Any) -> FeatureConfig:
        """Give the settings of ``librosa.feature.mfcc(y=samples, sr=16_000)``, with `changes`.

        With ``kind="log_mel"`` they are those of ``power_to_db(melspectrogram(...))``.

        Examples
        --------
        >>> config = FeatureConfig.librosa()
        >>> config.n_fft, config.hop_length, config.n_mels, config.n_mfcc, config.log_unit
        (2048, 512, 128, 20, 'decibel')

        References
        ----------
        .. [1] B. McFee et al., "librosa: Audio and music signal analysis in Python", Proceedings of the 14th
           Python in Science Conference, 2015, pp. 18-24. https://doi.org/10.25080/Majora-7b98e3ed-003

        Lesson: 03
        """
        rate = _whole_number("sample_rate", changes.get("sample_rate", 16_000), at_least=1)
        n_fft = changes.get("n_fft", 2048)
        settings = {
            "window_seconds": n_fft / rate, "hop_seconds": 512 / rate, "n_fft": n_fft, "center": True,
            "precision": "double",
            "n_mels": 128, "f_min": 0.0,
            "log_unit": "decibel", "top_db": 80.0,
            "n_mfcc": 20, "kind": "mfcc",
        }  # fmt: skip
        return cls(**(settings | changes))

    @classmethod
    def kaldi(cls, **changes: Any) -> FeatureConfig:
        """Give the settings of Kaldi's ``compute-mfcc-feats --dither=0``, with `changes`.

        With ``kind="log_mel"`` they are those of ``compute-fbank-feats --dither=0``. Kaldi adds a little
        noise to every frame unless it is told not to; nothing is added here.

        Examples
        --------
        >>> config = FeatureConfig.kaldi()
        >>> config.window, config.remove_dc, config.first_coefficient, config.sample_scale
        ('povey', True, 'frame_energy', 32768.0)

        References
        ----------
        .. [1] D. Povey et al., "The Kaldi speech recognition toolkit", IEEE Workshop on Automatic Speech
           Recognition and Understanding, 2011.

        Lesson: 03
        """
        rate = _whole_number("sample_rate", changes.get("sample_rate", 16_000), at_least=1)
        window_length = round(changes.get("window_seconds", 0.025) * rate)
        settings = {
            "sample_scale": 32768.0, "preemphasis": 0.97, "preemphasis_per_frame": True,
            "n_fft": 1 << max(1, window_length - 1).bit_length(), "window_position": "start",
            "remove_dc": True, "window": "povey", "symmetric_window": True,
            "n_mels": 23, "f_min": 20.0, "mel_scale": "htk", "mel_triangles": "mel", "mel_norm": "none",
            "log_floor": float(np.finfo(np.float32).eps),
            "n_mfcc": 13, "lifter": 22, "first_coefficient": "frame_energy", "kind": "mfcc",
        }  # fmt: skip
        return cls(**(settings | changes))

    @classmethod
    def python_speech_features(cls, **changes: Any) -> FeatureConfig:
        """Give the settings of ``python_speech_features.mfcc`` of 16-bit integers, with `changes`.

        With ``kind="log_mel"`` they are those of ``python_speech_features.logfbank``.

        Examples
        --------
        >>> config = FeatureConfig.python_speech_features()
        >>> config.window, config.spectrum, config.mel_triangles, config.first_coefficient
        ('rectangular', 'periodogram', 'bins', 'spectrum_energy')

        Lesson: 03
        """
        settings = {
            "sample_scale": 32768.0, "preemphasis": 0.97, "preemphasis_start": "zero",
            "n_fft": 512, "window_position": "start", "pad_end": True,
            "window": "rectangular",
            "spectrum": "periodogram", "precision": "double",
            "n_mels": 26, "f_min": 0.0, "mel_scale": "htk", "mel_triangles": "bins", "mel_norm": "none",
            "log_floor": float(np.finfo(np.float64).eps),
            "n_mfcc": 13, "lifter": 22, "first_coefficient": "spectrum_energy", "kind": "mfcc",
        }  # fmt: skip
        return cls(**(settings | changes))

    @property
    def window_length(self) -> int:
        """Samples under the window."""
        return round(self.window_seconds * self.sample_rate)

    @property
    def hop_length(self) -> int:
        """Samples from one frame to the next."""
        return round(self.hop_seconds * self.sample_rate)

    @property
    def frame_length(self) -> int:
        """Samples in one frame: `n_fft`, or those under the window when ``window_position="start"``."""
        return self.n_fft if self.window_position == "middle" else self.window_length

    @property
    def n_bins(self) -> int:
        """Frequency bins of the spectrum of a frame."""
        return self.n_fft // 2 + 1

    @property
    def top_frequency(self) -> float:
        """Upper edge of the mel bands in Hz: `f_max`, or half the sample rate."""
        return self.sample_rate / 2 if self.f_max is None else self.f_max

    @property
    def n_coefficients(self) -> int:
        """Width of the features that `extract` gives."""
        width = self.n_mfcc if self.kind == "mfcc" else self.n_mels
        return 2 * width if self.normalization == "both" else width

    def from_db(self, db: float) -> float:
        """Express a difference of levels in the unit that `log_unit` gives log-mel features.

        Examples
        --------
        >>> round(FeatureConfig(log_unit="natural").from_db(20.0), 2)
        4.61
        """
        return db if self.log_unit == "decibel" else db / _DECIBELS_PER_NEPER

    def n_frames(self, n_samples: int) -> int:
        """Count the frames of a recording of `n_samples` samples; 0 when it is too short for one.

        Examples
        --------
        >>> FeatureConfig().n_frames(16_000)
        97
        """
        if n_samples < 1:
            return 0
        before, after = self._samples_beyond_the_ends(n_samples)
        return max(0, 1 + (before + n_samples + after - self.frame_length) // self.hop_length)

    def times(self, n_frames: int) -> np.ndarray:
        """Give the time in seconds of the middle of each of the first `n_frames` frames.

        Examples
        --------
        >>> FeatureConfig().times(3).tolist()
        [0.016, 0.026, 0.036]
        """
        first = 0 if self.center else self.frame_length / 2
        return (first + np.arange(n_frames) * self.hop_length) / self.sample_rate

    def band_frequencies(self) -> np.ndarray:
        """Give the frequency in Hz at which each mel band peaks, shape (n_mels,).

        Examples
        --------
        >>> FeatureConfig().band_frequencies()[[0, -1]].round().tolist()
        [93.0, 7419.0]
        """
        return _band_edges(self)[1:-1]

    def to_dict(self) -> dict[str, Any]:
        """Give the settings as a dictionary of plain values, fit for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> FeatureConfig:
        """Make a configuration from what `to_dict` gave; unknown names are refused.

        A setting that is missing has its default, so what an older version wrote means what it meant.

        Raises
        ------
        ValueError
            When a name is unknown or a value does not fit.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(settings) - set(known))
        if unknown:
            raise ValueError(f"Unknown feature settings {unknown}. Known are {known}.")
        return cls(**settings)

    def _samples_beyond_the_ends(self, n_samples: int) -> tuple[int, int]:
        """Count the samples that padding adds before and after a recording."""
        if self.center:
            return self.frame_length // 2, self.frame_length // 2
        if self.pad_end:
            hops = math.ceil(max(0, n_samples - self.frame_length) / self.hop_length)
            return 0, max(0, hops * self.hop_length + self.frame_length - n_samples)
        return 0, 0

    def _check_types(self) -> None:
        for name, least in (("sample_rate", 1), ("n_fft", 1), ("n_mels", 1), ("n_mfcc", 1), ("lifter", 0)):
            object.__setattr__(self, name, _whole_number(name, getattr(self, name), at_least=least))
        for name in (
            "window_seconds", "hop_seconds", "f_min", "f_max", "preemphasis", "log_floor", "top_db",
            "sample_scale",
        ):  # fmt: skip
            value = getattr(self, name)
            if name in ("f_max", "top_db") and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float | np.number):
                raise ValueError(f"{name} is {value!r}; it must be a number.")
            if not math.isfinite(value):
                raise ValueError(f"{name} is {value!r}; it must be a finite number.")
            object.__setattr__(self, name, float(value))
        for name in ("center", "pad_end", "symmetric_window", "remove_dc", "preemphasis_per_frame"):
            value = getattr(self, name)
            if not isinstance(value, bool | np.bool_):
                raise ValueError(f"{name} is {value!r}; it must be True or False.")
            object.__setattr__(self, name, bool(value))

    def _check_choices(self) -> None:
        for name, allowed in _CHOICES.items():
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}.")

    def _check_frames(self) -> None:
        if self.n_fft < 2:
            raise ValueError(f"n_fft is {self.n_fft}; a spectrum needs at least 2 samples.")
        if self.window_length < 1 or self.hop_length < 1:
            raise ValueError(
                f"window_seconds={self.window_seconds} and hop_seconds={self.hop_seconds} must each hold at "
                f"least one sample at {self.sample_rate} Hz."
            )
        if self.window_length > self.n_fft:
            enough = scipy.fft.next_fast_len(self.window_length, True)
            raise ValueError(
                f"The window of {self.window_seconds} s holds {self.window_length} samples at "
                f"{self.sample_rate} Hz, more than n_fft={self.n_fft}. Take n_fft={enough} or more, or a "
                "shorter window."
            )
        if self.center and self.pad_end:
            raise ValueError("center=True reaches beyond both ends already; leave pad_end False.")

    def _check_values(self) -> None:
        if not 0 <= self.preemphasis < 1:
            raise ValueError(f"preemphasis is {self.preemphasis}; it must be from 0 (off) to below 1.")
        if self.sample_scale <= 0:
            raise ValueError(f"sample_scale is {self.sample_scale}; it must be above 0, for example 1.0.")
        # Below float32's smallest normal number the floor itself would round to zero.
        if self.log_floor < np.finfo(np.float32).tiny:
            raise ValueError(f"log_floor is {self.log_floor}; it must be above 1.2e-38, for example 1e-10.")
        if self.top_db is not None and self.top_db <= 0:
            raise ValueError(
                f"top_db is {self.top_db}; a dynamic range is positive, for example 80, or None."
            )

    def _check_frequencies(self) -> None:
        nyquist = self.sample_rate / 2
        if self.top_frequency > nyquist:
            raise ValueError(
                f"f_max={self.f_max} Hz is above half the sample rate, {nyquist} Hz. "
                "Lower f_max, or leave it None to take half the sample rate."
            )
        if not 0 <= self.f_min < self.top_frequency:
            raise ValueError(
                f"f_min={self.f_min} Hz must be at least 0 and below the upper edge, {self.top_frequency} Hz."
            )
        if self.n_mfcc > self.n_mels:
            raise ValueError(
                f"n_mfcc={self.n_mfcc} coefficients cannot come from n_mels={self.n_mels} bands. "
                "Lower n_mfcc or raise n_mels."
            )


def window(name: str, length: int, *, symmetric: bool = False) -> np.ndarray:
    """Give the weights of a window.

    The periodic form is one period of a cosine sum, so its spectrum has exact zeros; it is the one for
    spectra. The symmetric form ends as it begins. "povey" is a Hann window to the power of 0.85, Kaldi's own.

    Parameters
    ----------
    name : {"hann", "hamming", "blackman", "rectangular", "povey"}
        Shape.
    length : int
        Samples, at least 1.
    symmetric : bool
        False for the periodic form, True for the symmetric one.

    Returns
    -------
    ndarray, shape (length,)
        Weights, float64, read-only: the same arguments give the same array again.

    Raises
    ------
    ValueError
        When the name is unknown or the length is below 1.

    Examples
    --------
    >>> window("hann", 4).round(3).tolist()
    [0.0, 0.5, 1.0, 0.5]
    >>> window("hann", 5, symmetric=True).round(3).tolist()
    [0.0, 0.5, 1.0, 0.5, 0.0]

    References
    ----------
    .. [1] F. J. Harris, "On the use of windows for harmonic analysis with the discrete Fourier transform",
       Proceedings of the IEEE 66 (1), 1978, pp. 51-83. https://doi.org/10.1109/PROC.1978.10837

    Lesson: 03
    """
    if name not in _WINDOWS:
        raise ValueError(f"name is {name!r}; it must be one of {', '.join(_WINDOWS)}.")
    return _window(name, _whole_number("length", length, at_least=1), bool(symmetric))


def frame(samples: np.ndarray, config: FeatureConfig | None = None) -> np.ndarray:
    """Cut recordings into overlapping frames, without copying them where nothing is padded.

    With ``center=False`` only whole frames count: samples after the last whole frame are in none, unless
    ``pad_end=True``. With ``center=True`` half a frame goes before the start and after the end first. What
    stands there is `padding`, and padding makes a copy.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,) or (batch, n_samples)
        Recordings, float, in [-1, 1].
    config : FeatureConfig, optional
        Frame settings; the defaults when left out. Scale, pre-emphasis and window are not applied here.

    Returns
    -------
    ndarray, shape (n_frames, frame_length) or (batch, n_frames, frame_length)
        A read-only view of float32. `frame_length` is `n_fft`, or the window's length when
        ``window_position="start"``.

    Raises
    ------
    AudioError
        When the recording is shorter than one frame (and nothing is padded), empty, not finite or not float,
        or too short to be reflected.

    Examples
    --------
    >>> frame(np.zeros(16_000, np.float32)).shape
    (97, 512)

    Lesson: 03
    """
    config = config or FeatureConfig()
    return _frames(_checked(samples, config), config)


def power_spectrogram(samples: np.ndarray, config: FeatureConfig | None = None) -> np.ndarray:
    """Compute the power of every frequency bin in every windowed frame.

    Bin k lies at ``k * sample_rate / n_fft`` Hz. Its power is the squared magnitude of the Fourier transform,
    without further scaling, as in librosa; `spectrum` can ask for that over `n_fft`, or for the magnitude.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,) or (batch, n_samples)
        Recordings, float, in [-1, 1].
    config : FeatureConfig, optional
        Settings of pre-emphasis, frames, window and spectrum.

    Returns
    -------
    ndarray, shape (n_frames, n_fft // 2 + 1) or (batch, n_frames, n_fft // 2 + 1)
        Power, float32.

    Raises
    ------
    AudioError
        As in `frame`.

    Examples
    --------
    A tone of 1000 Hz peaks in the bin at 1000 Hz.

    >>> seconds = np.arange(16_000) / 16_000
    >>> power = power_spectrogram(np.sin(2 * np.pi * 1000 * seconds).astype(np.float32))
    >>> int(power[0].argmax()) * 16_000 / 512
    1000.0

    Lesson: 03
    """
    config = config or FeatureConfig()
    return _by_group(samples, config, _fill_power, width=config.n_bins)


def hz_to_mel(hz: float | np.ndarray, scale: str = "slaney") -> float | np.ndarray:
    """Convert frequencies in Hz to mel, a scale of equal steps for the ear.

    Parameters
    ----------
    hz : float or ndarray
        Frequencies in Hz, at least 0.
    scale : {"slaney", "htk"}
        "htk": ``2595 log10(1 + hz / 700)``. "slaney": linear up to 1000 Hz, 200/3 Hz to a mel, then
        logarithmic, 27 mel to a factor of 6.4.

    Returns
    -------
    float or ndarray
        Mel, in float64. The two scales have different units: 1000 Hz is 15 mel on one, 1000 on the other.

    Raises
    ------
    ValueError
        When the scale is unknown.

    Examples
    --------
    >>> hz_to_mel(np.array([0.0, 500.0, 1000.0])).round(3).tolist()
    [0.0, 7.5, 15.0]

    References
    ----------
    .. [1] M. Slaney, "Auditory Toolbox, version 2", Interval Research, technical report 1998-010.
    .. [2] S. Young et al., "The HTK Book", Cambridge University Engineering Department.

    Lesson: 03
    """
    hz = np.asarray(hz, np.float64)
    if _known_scale(scale) == "htk":
        return 2595 * np.log10(1 + hz / 700)
    knees = np.maximum(hz, _SLANEY_KNEE_HZ) / _SLANEY_KNEE_HZ
    return np.minimum(hz, _SLANEY_KNEE_HZ) / _SLANEY_HZ_PER_MEL + np.log(knees) / _SLANEY_LOG_STEP


def mel_to_hz(mel: float | np.ndarray, scale: str = "slaney") -> float | np.ndarray:
    """Convert mel to frequencies in Hz: the inverse of `hz_to_mel`.

    Parameters
    ----------
    mel : float or ndarray
        Mel, at least 0.
    scale : {"slaney", "htk"}
        Formula of the mel scale.

    Returns
    -------
    float or ndarray
        Hz, in float64.

    Raises
    ------
    ValueError
        When the scale is unknown.

    Examples
    --------
    >>> mel_to_hz(np.array([0.0, 7.5, 15.0])).round(3).tolist()
    [0.0, 500.0, 1000.0]

    Lesson: 03
    """
    mel = np.asarray(mel, np.float64)
    if _known_scale(scale) == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    above_knee = np.maximum(mel - _SLANEY_KNEE_MEL, 0)
    return np.minimum(mel, _SLANEY_KNEE_MEL) * _SLANEY_HZ_PER_MEL * np.exp(_SLANEY_LOG_STEP * above_knee)


def mel_filterbank(config: FeatureConfig | None = None) -> np.ndarray:
    """Build the triangular mel bands, one row of weights over the frequency bins for each band.

    The peaks are equally far apart on the mel scale, and each triangle reaches to its neighbours' peaks. With
    ``mel_norm="area"`` each has an area of 1 Hz, so a wide band does not gain by its width.

    Parameters
    ----------
    config : FeatureConfig, optional
        What matters is `sample_rate`, `n_fft`, `n_mels`, `f_min`, `f_max` and the settings named ``mel_``.

    Returns
    -------
    ndarray, shape (n_mels, n_fft // 2 + 1)
        Weights, float32, read-only: the same settings give the same array again.

    Examples
    --------
    >>> mel_filterbank().shape
    (40, 257)

    References
    ----------
    .. [1] M. Slaney, "Auditory Toolbox, version 2", Interval Research, technical report 1998-010 (scale
       "slaney": linear below 1000 Hz, logarithmic above).
    .. [2] S. Young et al., "The HTK Book", Cambridge University Engineering Department (scale "htk").

    Lesson: 03
    """
    return _filterbank(*_filterbank_settings(config or FeatureConfig()))


def log_mel(samples: np.ndarray, config: FeatureConfig | None = None) -> np.ndarray:
    """Compute the logarithm of the power in each mel band of each frame.

    Power below `log_floor` counts as `log_floor`. librosa's ``power_to_db(melspectrogram(...),
    amin=log_floor, top_db=top_db)`` of one recording is this with ``log_unit="decibel"``, or the natural
    logarithm times 10 / ln 10, about 4.343.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,) or (batch, n_samples)
        Recordings, float, in [-1, 1].
    config : FeatureConfig, optional
        Settings; `kind` and `normalization` do not matter here.

    Returns
    -------
    ndarray, shape (n_frames, n_mels) or (batch, n_frames, n_mels)
        Log of the mel power in `log_unit`, float32.

    Raises
    ------
    AudioError
        As in `frame`.

    Examples
    --------
    Silence lies on the floor.

    >>> features = log_mel(np.zeros(16_000, np.float32), FeatureConfig(log_floor=1e-10))
    >>> features.shape, round(float(features.max()), 2)
    ((97, 40), -23.03)

    Lesson: 03
    """
    config = config or FeatureConfig()
    return _by_group(samples, config, _fill_log_mel, width=config.n_mels)


def mfcc(samples: np.ndarray, config: FeatureConfig | None = None) -> np.ndarray:
    """Compute mel-frequency cepstral coefficients: the cosine transform of the log-mel features.

    The transform is the orthonormal DCT-II over the bands. `lifter` and `first_coefficient` say what happens
    to the coefficients then; by default nothing. ``librosa.feature.mfcc`` works on decibels, so it is this
    with ``log_unit="decibel"`` and the same `top_db`.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,) or (batch, n_samples)
        Recordings, float, in [-1, 1].
    config : FeatureConfig, optional
        Settings; `kind` and `normalization` do not matter here.

    Returns
    -------
    ndarray, shape (n_frames, n_mfcc) or (batch, n_frames, n_mfcc)
        Coefficients, float32.

    Raises
    ------
    AudioError
        As in `frame`.

    Examples
    --------
    >>> mfcc(np.zeros(16_000, np.float32)).shape
    (97, 13)

    References
    ----------
    .. [1] S. B. Davis and P. Mermelstein, "Comparison of parametric representations for monosyllabic word
       recognition in continuously spoken sentences", IEEE Transactions on Acoustics, Speech, and Signal
       Processing 28 (4), 1980, pp. 357-366. https://doi.org/10.1109/TASSP.1980.1163420

    Lesson: 03
    """
    config = config or FeatureConfig()
    return _by_group(samples, config, _fill_mfcc, width=config.n_mfcc)


def lifter(cepstra: np.ndarray, n: int = 22) -> np.ndarray:
    """Weight cepstral coefficients so that the high ones, which are small, count as much as the low ones.

    Coefficient k is multiplied by ``1 + n / 2 * sin(pi * k / n)``, as in HTK, Kaldi and
    python_speech_features. (librosa's ``lifter`` has ``k + 1`` in the place of ``k``.)

    Parameters
    ----------
    cepstra : ndarray, shape (..., n_mfcc)
        Coefficients, the first of which is number 0.
    n : int
        The weight is greatest at coefficient n / 2 and back at 1 at n. 0 changes nothing.

    Returns
    -------
    ndarray
        Same shape, float32.

    Raises
    ------
    ValueError
        When n is negative or not a whole number.

    Examples
    --------
    >>> lifter(np.ones((1, 4)), 2).round(3).tolist()
    [[1.0, 2.0, 1.0, 0.0]]

    References
    ----------
    .. [1] B.-H. Juang, L. R. Rabiner and J. G. Wilpon, "On the use of bandpass liftering in speech
       recognition", IEEE Transactions on Acoustics, Speech, and Signal Processing 35 (7), 1987, pp. 947-954.
       https://doi.org/10.1109/TASSP.1987.1165237

    Lesson: 03
    """
    n = _whole_number("n", n, at_least=0)
    cepstra = np.asarray(cepstra, np.float32)
    return cepstra * _lifter_weights(cepstra.shape[-1], n).astype(np.float32)


def delta(features: np.ndarray, *, width: int = 9, order: int = 1, edges: str = "fit") -> np.ndarray:
    """Compute how fast every coefficient changes from frame to frame.

    A polynomial of degree `order` is fitted to `width` frames by least squares, and its derivative of that
    order is the result in the middle frame. This is ``librosa.feature.delta``.

    Parameters
    ----------
    features : ndarray, shape (n_frames, n_coefficients) or (batch, n_frames, n_coefficients)
        Features over time.
    width : int
        Frames under one fit, odd, at least 3 and above `order`.
    order : int
        1 for the slope, 2 for the curvature ("delta-delta").
    edges : {"fit", "repeat"}
        In the first and last ``width // 2`` frames: "fit" takes the first and the last fit, as librosa does;
        "repeat" repeats the first and the last frame, as HTK, Kaldi and python_speech_features do.

    Returns
    -------
    ndarray
        Same shape, float32, in units of the features per frame (per frame squared for order 2).

    Raises
    ------
    ValueError
        When width or order do not fit, or the features have fewer than `width` frames and ``edges="fit"``.

    Examples
    --------
    >>> line = np.arange(12.0)[:, np.newaxis] * 0.5
    >>> delta(line).ravel().round(3).tolist() == [0.5] * 12
    True

    References
    ----------
    .. [1] S. Furui, "Speaker-independent isolated word recognition using dynamic features of speech
       spectrum", IEEE Transactions on Acoustics, Speech, and Signal Processing 34 (1), 1986, pp. 52-59.
       https://doi.org/10.1109/TASSP.1986.1164788

    Lesson: 03
    """
    features = _checked_features(features)
    _check_delta(width, order, edges, n_frames=features.shape[-2])
    half = width // 2
    beyond = [(0, 0)] * (features.ndim - 2) + [(half, half), (0, 0)]
    if edges == "repeat":
        features = np.pad(features, beyond, "edge")
    under_fit = np.lib.stride_tricks.sliding_window_view(features, width, axis=-2)
    slopes = (under_fit @ _delta_taps(width, order)).astype(np.float32)
    return np.pad(slopes, beyond, "edge") if edges == "fit" else slopes


def cmvn(features: np.ndarray, kind: str = "utterance", *, mask: np.ndarray | None = None) -> np.ndarray:
    """Normalise every coefficient over time: subtract its mean and, if asked, divide by its deviation.

    A fixed microphone or telephone line multiplies the spectrum, so it adds a constant to the logarithm;
    the subtraction takes that away.

    Parameters
    ----------
    features : ndarray, shape (n_frames, n_coefficients) or (batch, n_frames, n_coefficients)
        Log-mel or cepstral features.
    kind : {"utterance", "mean", "level", "both", "none"}
        "mean" subtracts the mean of each coefficient; "utterance" divides by its standard deviation too;
        "level" subtracts one number, the mean over all coefficients; "both" gives the result of "level" and
        beside it that of "mean"; "none" changes nothing.
    mask : ndarray of bool, shape (n_frames,) or (batch, n_frames), optional
        The frames whose mean and deviation count, such as those with speech. All frames are changed.

    Returns
    -------
    ndarray
        Same shape, for "both" with twice as many coefficients; float32. A coefficient that never changes
        becomes 0 where its mean is subtracted.

    Raises
    ------
    ValueError
        When `kind` is unknown, or the mask does not fit or leaves a recording without a frame.

    Examples
    --------
    >>> cmvn(np.array([[1.0, 5.0], [3.0, 5.0]])).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]

    References
    ----------
    .. [1] O. Viikki and K. Laurila, "Cepstral domain segmental feature vector normalization for noise robust
       speech recognition", Speech Communication 25 (1-3), 1998, pp. 133-147.
       https://doi.org/10.1016/S0167-6393(98)00033-8

    Lesson: 03
    """
    if kind not in _CHOICES["normalization"]:
        raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(_CHOICES['normalization'])}.")
    features = _checked_features(features)
    if kind == "none":
        return features
    counted = _counted_frames(features, mask)
    # Sums in double precision: the mean of equal values is then exactly that value.
    count = counted.sum(axis=-2, keepdims=True, dtype=np.float64)
    mean = (features * counted).sum(axis=-2, keepdims=True, dtype=np.float64) / count
    level = mean.mean(axis=-1, keepdims=True)
    if kind == "level":
        return features - level.astype(np.float32)
    centred = features - mean.astype(np.float32)
    if kind == "both":
        return np.concatenate([features - level.astype(np.float32), centred], axis=-1)
    if kind == "mean":
        return centred
    squares = np.square(centred) * counted
    deviation = np.sqrt(squares.sum(axis=-2, keepdims=True, dtype=np.float64) / count).astype(np.float32)
    # A coefficient that hardly varies is left hardly varying: no division by rounding errors.
    return centred / np.where(deviation < 1e-4, np.float32(1), deviation)


def limit_range(features: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Raise what lies more than `config.top_db` below the loudest value, as `log_mel` does.

    Whoever changes log-mel features, and the quiet ones among them, uses it to put the floor back.

    Parameters
    ----------
    features : ndarray, shape (n_frames, n_mels) or (batch, n_frames, n_mels)
        Log-mel features, not normalised, in the unit of `config.log_unit`.
    config : FeatureConfig
        `top_db` and `log_unit` matter here.

    Returns
    -------
    ndarray
        Same shape, a new array.

    Examples
    --------
    >>> limit_range(np.array([[0.0, -10.0, -90.0]]), FeatureConfig(top_db=40.0, log_unit="decibel")).tolist()
    [[0.0, -10.0, -40.0]]

    Lesson: 03
    """
    limited = np.array(features)
    if config.top_db is not None:
        _limit_range(limited, config)
    return limited


def extract(samples: np.ndarray, config: FeatureConfig | None = None) -> np.ndarray:
    """Compute the features that a configuration describes: its kind, then its normalisation.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,) or (batch, n_samples)
        Recordings, float, in [-1, 1].
    config : FeatureConfig, optional
        All settings; the defaults when left out.

    Returns
    -------
    ndarray, shape (n_frames, n_coefficients) or (batch, n_frames, n_coefficients)
        Features, float32. Time comes before frequency.

    Raises
    ------
    AudioError
        As in `frame`.

    Examples
    --------
    >>> batch = np.random.default_rng(0).normal(0, 0.1, (8, 16_000)).astype(np.float32)
    >>> extract(batch, FeatureConfig(kind="mfcc", normalization="mean")).shape
    (8, 97, 13)
    """
    config = config or FeatureConfig()
    features = mfcc(samples, config) if config.kind == "mfcc" else log_mel(samples, config)
    return cmvn(features, config.normalization)


def _whole_number(name: str, value: Any, *, at_least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < at_least:
        raise ValueError(f"{name} is {value!r}; it must be a whole number of at least {at_least}.")
    return int(value)


def _checked(samples: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Give float32 samples that can be framed, or say what is wrong with them."""
    samples = np.asarray(samples)
    if samples.ndim not in (1, 2):
        raise AudioError(f"Samples have shape {samples.shape}; expected (n_samples,) or (batch, n_samples).")
    if not np.issubdtype(samples.dtype, np.floating):
        raise AudioError(
            f"Samples are {samples.dtype}; expected float values in [-1, 1]. asrlib.audio.load gives them."
        )
    n_samples = samples.shape[-1]
    if config.n_frames(n_samples) == 0 or samples.shape[0] == 0:
        rate, length = config.sample_rate, config.frame_length
        raise AudioError(
            f"Samples have shape {samples.shape}: {n_samples / rate:.4f} s at {rate} Hz, shorter than "
            f"one frame of {length} samples, {length / rate:.4f} s. Use a longer recording, a "
            "smaller n_fft, or center=True."
        )
    samples = samples.astype(np.float32, copy=False)
    if not _all_finite(samples):
        raise AudioError("Samples contain NaN or infinite values. Check how they were computed or recorded.")
    return samples


def _all_finite(samples: np.ndarray) -> bool:
    """Tell whether there is neither NaN nor infinity: either would show in the sum, which is quick."""
    with np.errstate(invalid="ignore", over="ignore"):
        return bool(np.isfinite(samples.sum()) or np.isfinite(samples).all())


def _frames(samples: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Pad if the settings say so, then cut: a view of shape (..., n_frames, frame_length)."""
    before, after = config._samples_beyond_the_ends(samples.shape[-1])
    if before or after:
        if config.padding == "reflect" and max(before, after) >= samples.shape[-1]:
            raise AudioError(
                f"A recording of {samples.shape[-1]} samples cannot be reflected by {max(before, after)} "
                'samples. Use a longer recording, a smaller n_fft, or padding="zeros".'
            )
        beyond = [(0, 0)] * (samples.ndim - 1) + [(before, after)]
        samples = np.pad(samples, beyond, _PADDINGS[config.padding])
    # sliding_window_view(...)[..., ::hop_length, :] is the same and takes three times as long to set up.
    n_frames = 1 + (samples.shape[-1] - config.frame_length) // config.hop_length
    *strides, step = samples.strides
    return np.lib.stride_tricks.as_strided(
        samples,
        shape=(*samples.shape[:-1], n_frames, config.frame_length),
        strides=(*strides, step * config.hop_length, step),
        writeable=False,
    )


def _preemphasised(samples: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Subtract the previous sample. Where the first one is its own predecessor, no click arises."""
    coefficient = np.float32(config.preemphasis)
    result = samples.copy()
    result[..., 1:] -= coefficient * samples[..., :-1]
    if config.preemphasis_start == "repeat":
        result[..., 0] -= coefficient * samples[..., 0]
    return result


class _Chunk(NamedTuple):
    """The spectra of some frames: those of one part of a long recording, or all of several short ones."""

    frames: slice  # which frames of each recording
    spectra: np.ndarray  # (rows, 2 * n_bins) squares of real and imaginary parts in turn, or (rows, n_bins)
    energy: np.ndarray | None  # (rows,) sum of squares of each frame, if it is wanted


class _Workspace:
    """What one call uses again for every chunk of frames, so that memory does not grow with the batch.

    A chunk is small enough to stay in the cache of one processor core from the first step to the last, which
    is what makes the whole chain hardly slower than its Fourier transform.
    """

    def __init__(self, config: FeatureConfig, n_clips: int, n_frames: int) -> None:
        frames_in_cache = max(1, _CHUNK_VALUES // config.n_fft)
        self.config = config
        self.clips_per_group = min(n_clips, max(1, frames_in_cache // n_frames))
        self.frames_per_chunk = min(n_frames, frames_in_cache)
        # Only the part under the window is ever written; zeros stay behind it.
        shape = (self.clips_per_group, self.frames_per_chunk, config.n_fft)
        self.frames = np.zeros(shape, _float(config))
        self.windows = _window_rows(config, self.frames_per_chunk)


def _by_group(
    samples: np.ndarray,
    config: FeatureConfig,
    fill: Callable[[np.ndarray, np.ndarray, _Workspace], Any],
    *,
    width: int,
) -> np.ndarray:
    """Let `fill` write the results of one group of whole recordings after the other."""
    clips = np.atleast_2d(_checked(samples, config))
    n_clips, n_frames = len(clips), config.n_frames(clips.shape[1])
    result = np.empty((n_clips, n_frames, width), np.float32)
    work = _Workspace(config, n_clips, n_frames)
    for start in range(0, n_clips, work.clips_per_group):
        group = slice(start, start + work.clips_per_group)
        fill(result[group], clips[group], work)
    return result if np.ndim(samples) == 2 else result[0]


def _fill_power(result: np.ndarray, clips: np.ndarray, work: _Workspace) -> None:
    """Write the power of every bin."""
    for chunk in _chunks(clips, work):
        power = chunk.spectra
        if work.config.spectrum != "magnitude":
            power = power[:, 0::2] + power[:, 1::2]
        _rows_of(result, chunk.frames)[...] = power


def _fill_log_mel(bands: np.ndarray, clips: np.ndarray, work: _Workspace) -> np.ndarray | None:
    """Write the log-mel features; give the log energies that replace the first coefficient, if any do."""
    config = work.config
    energies = np.empty((*bands.shape[:2], 1), np.float32) if config.first_coefficient != "cepstrum" else None
    for chunk in _chunks(clips, work):
        rows = _rows_of(bands, chunk.frames)
        for block in _mel_blocks(config):
            _multiply(chunk.spectra[:, block.inputs], block.weights, out=rows[:, block.bands])
        _take_log(rows, config)
        if energies is not None:
            energy = chunk.spectra.sum(axis=1) if chunk.energy is None else chunk.energy
            _rows_of(energies, chunk.frames)[:, 0] = _take_log(energy, config)
    if config.top_db is not None:
        _limit_range(bands, config)
    return energies


def _fill_mfcc(result: np.ndarray, clips: np.ndarray, work: _Workspace) -> None:
    """Write the cepstral coefficients."""
    config = work.config
    bands = np.empty((*result.shape[:2], config.n_mels), np.float32)
    energies = _fill_log_mel(bands, clips, work)
    cosines = _cosines(config.n_mels, config.n_mfcc, config.lifter, _float(config))
    _multiply(bands.reshape(-1, config.n_mels), cosines, out=result.reshape(-1, config.n_mfcc))
    if energies is not None:
        result[..., :1] = energies


def _chunks(clips: np.ndarray, work: _Workspace) -> Iterator[_Chunk]:
    """Frame, window and Fourier-transform a group of recordings, a chunk at a time."""
    config, length = work.config, work.config.window_length
    if config.preemphasis and not config.preemphasis_per_frame:
        clips = _preemphasised(clips, config)
    # Where the window lies in the transform moves nothing but the phase, so it may lie at the start.
    offset = (config.frame_length - length) // 2
    under_window = _frames(clips, config)[..., offset : offset + length]
    for first in range(0, under_window.shape[1], work.frames_per_chunk):
        chunk = under_window[:, first : first + work.frames_per_chunk]
        n_clips, n_frames, _ = chunk.shape
        frames = work.frames[:n_clips, :n_frames]
        frames[..., :length] = chunk
        energy = _prepare_frames(frames[..., :length], config)
        frames *= work.windows[:n_frames]
        spectra = _spectra(frames.reshape(-1, config.n_fft), config)
        yield _Chunk(slice(first, first + n_frames), spectra, energy)


def _prepare_frames(frames: np.ndarray, config: FeatureConfig) -> np.ndarray | None:
    """Do in place what is done to single frames before the window; give their energies if they are wanted."""
    energy = None
    if config.remove_dc:
        frames -= frames.mean(axis=-1, keepdims=True)
    if config.first_coefficient == "frame_energy":
        energy = np.vecdot(frames, frames).ravel() * config.sample_scale**2
    if config.preemphasis_per_frame:
        frames[...] = _preemphasised(frames, config)
    return energy


def _spectra(rows: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Transform each row, and give what the mel bands add up: squares of both parts, or magnitudes.

    The power of a bin is the sum of two squares. They are not added here: the bands add them all the same.
    """
    spectrum = scipy.fft.rfft(rows, axis=1).astype(np.complex64, copy=False)
    if config.spectrum == "magnitude":
        return np.abs(spectrum)
    parts = spectrum.view(np.float32)
    return np.square(parts, out=parts)


def _float(config: FeatureConfig) -> type:
    return np.float64 if config.precision == "double" else np.float32


def _rows_of(result: np.ndarray, frames: slice) -> np.ndarray:
    """Give the part of a result that belongs to a chunk, one row for each frame.

    It is a view, because a chunk holds all frames of several recordings or some frames of one.
    """
    return result[:, frames].reshape(-1, result.shape[-1])


def _take_log(power: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Take the logarithm in place, of nothing below the floor."""
    np.maximum(power, power.dtype.type(config.log_floor), out=power)
    np.log(power, out=power)
    if config.log_unit == "decibel":
        power *= power.dtype.type(_DECIBELS_PER_NEPER)
    return power


def _limit_range(bands: np.ndarray, config: FeatureConfig) -> None:
    """Raise what lies more than `top_db` below the greatest value of its own recording."""
    span = np.float32(config.from_db(config.top_db))
    np.maximum(bands, bands.max(axis=(-2, -1), keepdims=True) - span, out=bands)


def _multiply(rows: np.ndarray, matrix: np.ndarray, *, out: np.ndarray) -> None:
    """Multiply rows by a matrix in parts that are each too small for a matrix library to start threads."""
    size = max(8, _ONE_THREAD_PRODUCT // matrix.size)
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        np.matmul(rows[part], matrix, out=out[part])


def _checked_features(features: np.ndarray) -> np.ndarray:
    features = np.asarray(features, np.float32)
    if features.ndim not in (2, 3) or 0 in features.shape:
        raise ValueError(
            f"Features have shape {features.shape}; expected (n_frames, n_coefficients) or "
            "(batch, n_frames, n_coefficients), none of them 0."
        )
    return features


def _check_delta(width: int, order: int, edges: str, *, n_frames: int) -> None:
    if edges not in ("fit", "repeat"):
        raise ValueError(f"edges is {edges!r}; it must be one of fit, repeat.")
    _whole_number("order", order, at_least=1)
    if _whole_number("width", width, at_least=3) % 2 == 0 or width <= order:
        raise ValueError(f"width is {width}; it must be odd and above the order, {order}.")
    if edges == "fit" and n_frames < width:
        raise ValueError(
            f"{n_frames} frames are fewer than width={width}. Use a smaller width, or edges='repeat'."
        )


def _counted_frames(features: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Give 1 for each frame that counts in the mean over time, else 0, in shape (..., n_frames, 1)."""
    if mask is None:
        return np.ones((features.shape[-2], 1), np.float32)
    mask = np.asarray(mask, bool)
    if mask.shape != features.shape[:-1]:
        raise ValueError(f"The mask has shape {mask.shape}; the features need {features.shape[:-1]}.")
    if not mask.any(axis=-1).all():
        raise ValueError("The mask leaves a recording without any frame. Mark at least one frame of each.")
    return mask.astype(np.float32)[..., np.newaxis]


@functools.lru_cache(maxsize=32)
def _window(name: str, length: int, symmetric: bool) -> np.ndarray:
    if name == "povey":
        return _read_only(_window("hann", length, symmetric) ** _POVEY_EXPONENT, np.float64)
    period = max(1, length - 1) if symmetric else length
    angles = 2 * np.pi * np.arange(length) / period
    terms = [(-1) ** k * a * np.cos(k * angles) for k, a in enumerate(_COSINE_WINDOWS[name])]
    # Rounding may leave an edge a hair below zero.
    return _read_only(np.maximum(np.sum(terms, axis=0), 0), np.float64)


@functools.lru_cache(maxsize=4)
def _window_rows(config: FeatureConfig, n_rows: int) -> np.ndarray:
    """Give the window once for each row, with zeros behind it, and with all constant factors in it.

    Equal shapes multiply twice as fast as one row with many.
    """
    weights = window(config.window, config.window_length, symmetric=config.symmetric_window)
    weights = weights * config.sample_scale
    if config.spectrum == "periodogram":
        weights = weights / math.sqrt(config.n_fft)  # squared, that divides the power by n_fft
    row = np.pad(weights, (0, config.n_fft - config.window_length))
    return _read_only(np.tile(row, (n_rows, 1)), _float(config))


def _lifter_weights(n_mfcc: int, n: int) -> np.ndarray:
    return 1 + n / 2 * np.sin(np.pi * np.arange(n_mfcc) / n) if n else np.ones(n_mfcc)


@functools.lru_cache(maxsize=32)
def _cosines(n_mels: int, n_mfcc: int, n_lifter: int, dtype: type) -> np.ndarray:
    """Give the matrix of the orthonormal DCT-II and of the lifter after it, shape (n_mels, n_mfcc)."""
    cosines = scipy.fft.dct(np.eye(n_mels), axis=1, norm="ortho")[:, :n_mfcc]
    return _read_only(cosines * _lifter_weights(n_mfcc, n_lifter), dtype)


@functools.lru_cache(maxsize=32)
def _delta_taps(width: int, order: int) -> np.ndarray:
    """Give the weights under which `width` frames add up to the derivative of the fitted polynomial."""
    frames = np.arange(width) - width // 2
    powers = np.vander(frames, order + 1, increasing=True)
    highest = np.linalg.pinv(powers)[order]  # samples to the polynomial's coefficient of that degree
    return _read_only(math.factorial(order) * highest, np.float64)


class _MelBlock(NamedTuple):
    """Some neighbouring mel bands, and the part of the spectrum that they need."""

    inputs: slice
    bands: slice
    weights: np.ndarray  # (inputs, bands)


@functools.lru_cache(maxsize=32)
def _mel_blocks(config: FeatureConfig) -> tuple[_MelBlock, ...]:
    """Cut the filterbank into blocks: bands are narrow, so most of its weights are zeros."""
    weights = mel_filterbank(config).T
    if config.spectrum != "magnitude":
        weights = weights.repeat(2, axis=0)  # one weight for the square of each part of a bin
    blocks = []
    for first in range(0, config.n_mels, _BANDS_PER_BLOCK):
        bands = slice(first, min(first + _BANDS_PER_BLOCK, config.n_mels))
        used = np.flatnonzero(weights[:, bands].any(axis=1))
        inputs = slice(int(used[0]), int(used[-1]) + 1)
        blocks.append(_MelBlock(inputs, bands, _read_only(weights[inputs, bands])))
    return tuple(blocks)


def _filterbank_settings(config: FeatureConfig) -> tuple[Any, ...]:
    """Give what the bands depend on: configurations that differ elsewhere share one filterbank."""
    edges = (config.sample_rate, config.n_fft, config.n_mels, config.f_min, config.top_frequency)
    return (*edges, config.mel_scale, config.mel_triangles, config.mel_norm)


def _band_edges(config: FeatureConfig) -> np.ndarray:
    return _edges(*_filterbank_settings(config)[:-1])


def _edges(
    sample_rate: int, n_fft: int, n_mels: int, f_min: float, f_max: float, mel_scale: str, triangles: str
) -> np.ndarray:
    """Give n_mels + 2 frequencies in equal steps of mel; band i reaches from edge i to edge i + 2."""
    mels = np.linspace(hz_to_mel(f_min, mel_scale), hz_to_mel(f_max, mel_scale), n_mels + 2)
    edges = mel_to_hz(mels, mel_scale)
    if triangles == "bins":  # python_speech_features counts with n_fft + 1 here
        return np.floor((n_fft + 1) * edges / sample_rate) * sample_rate / n_fft
    return edges


@functools.lru_cache(maxsize=64)
def _filterbank(
    sample_rate: int,
    n_fft: int,
    n_mels: int,
    f_min: float,
    f_max: float,
    mel_scale: str,
    triangles: str,
    norm: str,
) -> np.ndarray:
    bins = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
    edges = _edges(sample_rate, n_fft, n_mels, f_min, f_max, mel_scale, triangles)
    widths = np.maximum(edges[2:] - edges[:-2], np.finfo(float).tiny)
    heights = 2 / widths if norm == "area" else np.ones(n_mels)
    if triangles == "mel":
        bins, edges = hz_to_mel(bins, mel_scale), hz_to_mel(edges, mel_scale)
    return _read_only(_triangles(bins, edges) * heights[:, np.newaxis])


def _triangles(x: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Give triangles of height 1 at the points x; triangle i rises from edge i and is back at 0 at i + 2."""
    left, peak, right = edges[:-2, np.newaxis], edges[1:-1, np.newaxis], edges[2:, np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):  # two edges may lie on one bin
        side = np.where(x < peak, (x - left) / (peak - left), (right - x) / (right - peak))
    return np.fmax(side, 0)


def _check_no_empty_band(config: FeatureConfig) -> None:
    """Refuse bands that lie between two frequency bins: they would be silent whatever is said."""
    empty = np.flatnonzero(mel_filterbank(config).max(axis=1) == 0)
    if empty.size:
        spacing = config.sample_rate / config.n_fft
        raise ValueError(
            f"{empty.size} of {config.n_mels} mel bands (the first is band {empty[0]}) hold no frequency "
            f"bin: bins are {spacing:.1f} Hz apart. Use a larger n_fft (now {config.n_fft}), fewer n_mels, "
            "or a wider span from f_min to f_max."
        )


# Slaney's scale: 15 mel up to 1000 Hz in equal steps, then 27 mel for each factor of 6.4.
_SLANEY_HZ_PER_MEL = 200 / 3
_SLANEY_KNEE_HZ = 1000.0
_SLANEY_KNEE_MEL = _SLANEY_KNEE_HZ / _SLANEY_HZ_PER_MEL
_SLANEY_LOG_STEP = math.log(6.4) / 27


def _known_scale(scale: str) -> str:
    if scale not in _MEL_SCALES:
        raise ValueError(f"scale is {scale!r}; it must be one of {', '.join(_MEL_SCALES)}.")
    return scale


def _read_only(array: np.ndarray, dtype: type = np.float32) -> np.ndarray:
    """Give a contiguous array that callers of a cached function cannot change."""
    array = np.ascontiguousarray(array, dtype)
    array.setflags(write=False)
    return array
