"""From waveform to features: frames, power spectrogram, mel bands, logarithm, cosine transform.

Every function takes one recording ``(n_samples,)`` or a batch ``(batch, n_samples)`` and one
`FeatureConfig`, and gives float32 with time before frequency. Frames, mel bands and cosine transform follow
librosa's conventions, so the numbers are librosa's; only the logarithm is the natural one. As in librosa, the
Fourier transform runs in double precision: in single precision a loud band would drown bands 60 dB below it
in rounding errors.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import scipy.fft

from asrlib.errors import AudioError

__all__ = [
    "FeatureConfig",
    "cmvn",
    "extract",
    "frame",
    "log_mel",
    "mel_filterbank",
    "mfcc",
    "power_spectrogram",
]

# Periodic cosine-sum windows: w[n] = sum_k (-1)^k a_k cos(2 pi k n / N).
_COSINE_WINDOWS = {
    "rectangular": (1.0,),
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
}
_MEL_SCALES = ("slaney", "htk")
_KINDS = ("log_mel", "mfcc")
_NORMALIZATIONS = ("none", "mean", "utterance")

# Frames and spectra of one chunk stay in a core's cache: faster than one large pass, and memory is bounded.
_CHUNK_VALUES = 128 * 1024
# OpenBLAS spreads larger products over threads. On a busy machine those wait for each other for milliseconds.
_ONE_THREAD_PRODUCT = 4 * 65536


@dataclasses.dataclass(frozen=True)
class FeatureConfig:
    """Every setting between a waveform and its features, checked when it is made.

    Parameters
    ----------
    sample_rate : int
        Samples per second of the recordings, in Hz.
    window_seconds, hop_seconds : float
        Length of the analysis window, and the step from one frame to the next, in seconds.
    n_fft : int
        Samples in one frame. A window shorter than the frame sits in its middle, with zeros around it.
    window : {"hann", "hamming", "blackman", "rectangular"}
        Shape of the window (periodic form).
    n_mels : int
        Number of mel bands.
    f_min, f_max : float
        Lower and upper edge of the mel bands, in Hz. ``f_max=None`` means half the sample rate.
    mel_scale : {"slaney", "htk"}
        Formula of the mel scale. Both have bands of equal area, as in librosa.
    kind : {"log_mel", "mfcc"}
        What `extract` gives.
    n_mfcc : int
        Number of cepstral coefficients that `mfcc` keeps.
    preemphasis : float
        Coefficient a of ``y[n] = x[n] - a x[n-1]``, from 0 (off) to below 1.
    center : bool
        False: only whole frames, the first starts at the first sample. True: frame i is centred on time
        ``i * hop_seconds``, with zeros beyond both ends.
    normalization : {"none", "mean", "utterance"}
        What `extract` does per recording: nothing, subtract the mean over time, or also divide by the
        standard deviation.
    log_floor : float
        Mel power below this value counts as this value, so that silence has a logarithm.
    top_db : float or None
        Dynamic range in dB: mel power further than this below the greatest of the recording counts as that
        far below. None keeps all.

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
    """

    sample_rate: int = 16_000
    window_seconds: float = 0.025
    hop_seconds: float = 0.010
    n_fft: int = 512
    window: str = "hann"
    n_mels: int = 40
    f_min: float = 20.0
    f_max: float | None = None
    mel_scale: str = "slaney"
    kind: str = "log_mel"
    n_mfcc: int = 13
    preemphasis: float = 0.0
    center: bool = False
    normalization: str = "none"
    log_floor: float = 1e-10
    top_db: float | None = None

    def __post_init__(self) -> None:
        self._check_types()
        self._check_choices()
        self._check_frames()
        self._check_frequencies()
        _check_no_empty_band(self)

    @property
    def window_length(self) -> int:
        """Samples under the window."""
        return round(self.window_seconds * self.sample_rate)

    @property
    def hop_length(self) -> int:
        """Samples from one frame to the next."""
        return round(self.hop_seconds * self.sample_rate)

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
        return self.n_mfcc if self.kind == "mfcc" else self.n_mels

    def n_frames(self, n_samples: int) -> int:
        """Count the frames of a recording of `n_samples` samples; 0 when it is too short for one.

        Examples
        --------
        >>> FeatureConfig().n_frames(16_000)
        97
        """
        padded = n_samples + 2 * (self.n_fft // 2) if self.center else n_samples
        return max(0, 1 + (padded - self.n_fft) // self.hop_length) if n_samples > 0 else 0

    def times(self, n_frames: int) -> np.ndarray:
        """Give the time in seconds of the middle of each of the first `n_frames` frames.

        Examples
        --------
        >>> FeatureConfig().times(3).tolist()
        [0.016, 0.026, 0.036]
        """
        first = 0 if self.center else self.n_fft / 2
        return (first + np.arange(n_frames) * self.hop_length) / self.sample_rate

    def band_frequencies(self) -> np.ndarray:
        """Give the frequency in Hz at which each mel band peaks, shape (n_mels,).

        Examples
        --------
        >>> FeatureConfig().band_frequencies()[[0, -1]].round().tolist()
        [93.0, 7419.0]
        """
        return _band_edges(self.n_mels, self.f_min, self.top_frequency, self.mel_scale)[1:-1]

    def to_dict(self) -> dict[str, Any]:
        """Give the settings as a dictionary of plain values, fit for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> FeatureConfig:
        """Make a configuration from what `to_dict` gave; unknown names are refused.

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

    def _check_types(self) -> None:
        for name in ("sample_rate", "n_fft", "n_mels", "n_mfcc"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                raise ValueError(f"{name} is {value!r}; it must be a whole number of at least 1.")
            object.__setattr__(self, name, int(value))
        for name in ("window_seconds", "hop_seconds", "f_min", "f_max", "preemphasis", "log_floor", "top_db"):
            value = getattr(self, name)
            if name in ("f_max", "top_db") and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float | np.number):
                raise ValueError(f"{name} is {value!r}; it must be a number.")
            if not math.isfinite(value):
                raise ValueError(f"{name} is {value!r}; it must be a finite number.")
            object.__setattr__(self, name, float(value))
        if not isinstance(self.center, bool | np.bool_):
            raise ValueError(f"center is {self.center!r}; it must be True or False.")
        object.__setattr__(self, "center", bool(self.center))

    def _check_choices(self) -> None:
        choices = {
            "window": tuple(_COSINE_WINDOWS),
            "mel_scale": _MEL_SCALES,
            "kind": _KINDS,
            "normalization": _NORMALIZATIONS,
        }
        for name, allowed in choices.items():
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
        if not 0 <= self.preemphasis < 1:
            raise ValueError(f"preemphasis is {self.preemphasis}; it must be from 0 (off) to below 1.")
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


def frame(samples: np.ndarray, config: FeatureConfig | None = None) -> np.ndarray:
    """Cut recordings into overlapping frames of `n_fft` samples, without copying them.

    With ``center=False`` only whole frames count: samples after the last whole frame are in none. With
    ``center=True`` half a frame of zeros goes before the start and after the end first, and that is a copy.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,) or (batch, n_samples)
        Recordings, float, in [-1, 1].
    config : FeatureConfig, optional
        Frame settings; the defaults when left out. Pre-emphasis is not applied here.

    Returns
    -------
    ndarray, shape (n_frames, n_fft) or (batch, n_frames, n_fft)
        A read-only view of float32.

    Raises
    ------
    AudioError
        When the recording is shorter than one frame (``center=False``), empty, not finite or not float.

    Examples
    --------
    >>> frame(np.zeros(16_000, np.float32)).shape
    (97, 512)

    Lesson: 03
    """
    config = config or FeatureConfig()
    samples = _checked(samples, config)
    if config.center:
        half = config.n_fft // 2
        samples = np.pad(samples, [(0, 0)] * (samples.ndim - 1) + [(half, half)])
    windows = np.lib.stride_tricks.sliding_window_view(samples, config.n_fft, axis=-1)
    return windows[..., :: config.hop_length, :]


def power_spectrogram(samples: np.ndarray, config: FeatureConfig | None = None) -> np.ndarray:
    """Compute the power of every frequency bin in every windowed frame.

    Bin k lies at ``k * sample_rate / n_fft`` Hz; its power is the squared magnitude of the Fourier transform,
    without further scaling, as in librosa.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,) or (batch, n_samples)
        Recordings, float, in [-1, 1].
    config : FeatureConfig, optional
        Frame, window and pre-emphasis settings.

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
    return _in_chunks(samples, config, lambda power: power, config.n_bins)


def mel_filterbank(config: FeatureConfig | None = None) -> np.ndarray:
    """Build the triangular mel bands, one row of weights over the frequency bins for each band.

    The peaks are equally far apart on the mel scale; each triangle reaches to its neighbours' peaks and has
    an area of 1 Hz, so a wide band does not gain by its width.

    Parameters
    ----------
    config : FeatureConfig, optional
        `sample_rate`, `n_fft`, `n_mels`, `f_min`, `f_max` and `mel_scale` matter.

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
    config = config or FeatureConfig()
    return _filterbank(
        config.sample_rate, config.n_fft, config.n_mels, config.f_min, config.top_frequency, config.mel_scale
    )


def log_mel(samples: np.ndarray, config: FeatureConfig | None = None) -> np.ndarray:
    """Compute the natural logarithm of the power in each mel band of each frame.

    Power below `log_floor` counts as `log_floor`. librosa's ``power_to_db(melspectrogram(...),
    amin=log_floor, top_db=top_db)`` of one recording is this times 10 / ln 10, about 4.343.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,) or (batch, n_samples)
        Recordings, float, in [-1, 1].
    config : FeatureConfig, optional
        Settings; `kind` and `normalization` do not matter here.

    Returns
    -------
    ndarray, shape (n_frames, n_mels) or (batch, n_frames, n_mels)
        Natural log of the mel power, float32.

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
    bands = _in_chunks(samples, config, _log_mel_of_power(config), config.n_mels)
    return _limit_range(bands, config.top_db)


def mfcc(samples: np.ndarray, config: FeatureConfig | None = None) -> np.ndarray:
    """Compute mel-frequency cepstral coefficients: the cosine transform of the log-mel features.

    The transform is the orthonormal DCT-II over the bands. ``librosa.feature.mfcc`` works on decibels, so it
    is this times 10 / ln 10 when its ``top_db`` does not bite.

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
    log_mel_of_power = _log_mel_of_power(config)
    cosines = _cosines(config.n_mels, config.n_mfcc)
    if config.top_db is not None:  # the range is known only once all of the recording is
        bands = log_mel(samples, config)
        return _product(bands.reshape(-1, config.n_mels), cosines).reshape(*bands.shape[:-1], config.n_mfcc)

    def cepstrum(power: np.ndarray) -> np.ndarray:
        return _product(log_mel_of_power(power), cosines)

    return _in_chunks(samples, config, cepstrum, config.n_mfcc)


def cmvn(features: np.ndarray, kind: str = "utterance", *, mask: np.ndarray | None = None) -> np.ndarray:
    """Normalise every coefficient over time: subtract its mean and, if asked, divide by its deviation.

    A fixed microphone or telephone line multiplies the spectrum, so it adds a constant to the logarithm;
    the subtraction takes that away.

    Parameters
    ----------
    features : ndarray, shape (n_frames, n_coefficients) or (batch, n_frames, n_coefficients)
        Log-mel or cepstral features.
    kind : {"utterance", "mean", "none"}
        "mean" subtracts the mean; "utterance" divides by the standard deviation too; "none" changes nothing.
    mask : ndarray of bool, shape (n_frames,) or (batch, n_frames), optional
        The frames whose mean and deviation count, such as those with speech. All frames are changed.

    Returns
    -------
    ndarray
        Same shape, float32. A coefficient that never changes becomes 0.

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
    if kind not in _NORMALIZATIONS:
        raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(_NORMALIZATIONS)}.")
    features = np.asarray(features, np.float32)
    if features.ndim not in (2, 3) or 0 in features.shape:
        raise ValueError(
            f"Features have shape {features.shape}; expected (n_frames, n_coefficients) or "
            "(batch, n_frames, n_coefficients), none of them 0."
        )
    if kind == "none":
        return features
    counted = _counted_frames(features, mask)
    # Sums in double precision: the mean of equal values is then exactly that value.
    count = counted.sum(axis=-2, keepdims=True, dtype=np.float64)
    mean = (features * counted).sum(axis=-2, keepdims=True, dtype=np.float64) / count
    centred = features - mean.astype(np.float32)
    if kind == "mean":
        return centred
    squares = np.square(centred) * counted
    deviation = np.sqrt(squares.sum(axis=-2, keepdims=True, dtype=np.float64) / count).astype(np.float32)
    # A coefficient that hardly varies is left hardly varying: no division by rounding errors.
    return centred / np.where(deviation < 1e-4, np.float32(1), deviation)


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
        rate = config.sample_rate
        raise AudioError(
            f"Samples have shape {samples.shape}: {n_samples / rate:.4f} s at {rate} Hz, shorter than "
            f"one frame of {config.n_fft} samples, {config.n_fft / rate:.4f} s. Use a longer recording, a "
            "smaller n_fft, or center=True."
        )
    samples = samples.astype(np.float32, copy=False)
    if not np.isfinite(samples).all():
        raise AudioError("Samples contain NaN or infinite values. Check how they were computed or recorded.")
    return samples


def _preemphasised(samples: np.ndarray, coefficient: float) -> np.ndarray:
    """Subtract the previous sample; the first one stands for its own predecessor, so no click arises."""
    previous = np.concatenate([samples[..., :1], samples[..., :-1]], axis=-1)
    return samples - np.float32(coefficient) * previous


def _in_chunks(
    samples: np.ndarray, config: FeatureConfig, transform: Callable[[np.ndarray], np.ndarray], width: int
) -> np.ndarray:
    """Frame, window and Fourier-transform a chunk at a time; collect what `transform` makes of each power."""
    samples = _checked(samples, config)
    if config.preemphasis:
        samples = _preemphasised(samples, config.preemphasis)
    frames = frame(samples, config)
    batch = frames if frames.ndim == 3 else frames[np.newaxis]
    n_clips, n_frames, n_fft = batch.shape
    result = np.empty((n_clips, n_frames, width), np.float32)

    frames_per_chunk = min(n_frames, max(1, _CHUNK_VALUES // n_fft))
    clips_per_chunk = min(n_clips, max(1, _CHUNK_VALUES // n_fft // n_frames))
    window = _window(config.window, config.window_length)
    start = (n_fft - config.window_length) // 2
    under_window = slice(start, start + config.window_length)
    # Only the part under the window is ever written, so the zeros around it stay.
    buffer = np.zeros((clips_per_chunk, frames_per_chunk, n_fft))
    for clip in range(0, n_clips, clips_per_chunk):
        for first in range(0, n_frames, frames_per_chunk):
            chunk = batch[clip : clip + clips_per_chunk, first : first + frames_per_chunk]
            windowed = buffer[: chunk.shape[0], : chunk.shape[1]]
            np.multiply(chunk[..., under_window], window, out=windowed[..., under_window])
            power = _power(scipy.fft.rfft(windowed, axis=-1)).reshape(-1, config.n_bins)
            made = transform(power).reshape(*chunk.shape[:2], width)
            result[clip : clip + clips_per_chunk, first : first + frames_per_chunk] = made
    return result if frames.ndim == 3 else result[0]


def _power(spectrum: np.ndarray) -> np.ndarray:
    """Give the squared magnitude in single precision: after the transform that is precise enough."""
    parts = spectrum.astype(np.complex64).view(np.float32)
    np.square(parts, out=parts)
    return parts[..., 0::2] + parts[..., 1::2]


def _product(rows: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Multiply rows by a matrix in groups that are each too small for a matrix library to start threads."""
    size = max(8, _ONE_THREAD_PRODUCT // matrix.size)
    whole = len(rows) // size * size
    groups = rows[:whole].reshape(-1, size, rows.shape[1]) @ matrix
    groups = groups.reshape(whole, matrix.shape[1])
    return groups if whole == len(rows) else np.concatenate([groups, rows[whole:] @ matrix])


def _log_mel_of_power(config: FeatureConfig) -> Callable[[np.ndarray], np.ndarray]:
    """Give the step from the power of the bins to the log of the power of the mel bands."""
    weights = mel_filterbank(config).T
    floor = np.float32(config.log_floor)

    def apply(power: np.ndarray) -> np.ndarray:
        mel_power = _product(power, weights)
        np.maximum(mel_power, floor, out=mel_power)
        return np.log(mel_power, out=mel_power)

    return apply


def _limit_range(bands: np.ndarray, top_db: float | None) -> np.ndarray:
    """Raise what lies more than `top_db` below the greatest value of its own recording."""
    if top_db is None:
        return bands
    return np.maximum(bands, bands.max(axis=(-2, -1), keepdims=True) - np.float32(top_db * math.log(10) / 10))


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
def _window(name: str, length: int) -> np.ndarray:
    angles = 2 * np.pi * np.arange(length) / length
    terms = [(-1) ** k * a * np.cos(k * angles) for k, a in enumerate(_COSINE_WINDOWS[name])]
    return _read_only(np.sum(terms, axis=0), np.float64)


@functools.lru_cache(maxsize=32)
def _cosines(n_mels: int, n_mfcc: int) -> np.ndarray:
    """Give the matrix of the orthonormal DCT-II, shape (n_mels, n_mfcc)."""
    return _read_only(scipy.fft.dct(np.eye(n_mels), axis=1, norm="ortho")[:, :n_mfcc])


@functools.lru_cache(maxsize=64)
def _filterbank(
    sample_rate: int, n_fft: int, n_mels: int, f_min: float, f_max: float, mel_scale: str
) -> np.ndarray:
    bins = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
    edges = _band_edges(n_mels, f_min, f_max, mel_scale)
    left, peak, right = edges[:-2, np.newaxis], edges[1:-1, np.newaxis], edges[2:, np.newaxis]
    rising = (bins - left) / (peak - left)
    falling = (right - bins) / (right - peak)
    triangles = np.maximum(0, np.minimum(rising, falling))
    return _read_only(triangles * 2 / (right - left))


def _band_edges(n_mels: int, f_min: float, f_max: float, mel_scale: str) -> np.ndarray:
    """Give n_mels + 2 frequencies in equal steps of mel; band i reaches from edge i to edge i + 2."""
    mels = np.linspace(_hz_to_mel(f_min, mel_scale), _hz_to_mel(f_max, mel_scale), n_mels + 2)
    return _mel_to_hz(mels, mel_scale)


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


def _hz_to_mel(hz: float, scale: str) -> float:
    if scale == "htk":
        return 2595 * math.log10(1 + hz / 700)
    if hz < _SLANEY_KNEE_HZ:
        return hz / _SLANEY_HZ_PER_MEL
    return _SLANEY_KNEE_MEL + math.log(hz / _SLANEY_KNEE_HZ) / _SLANEY_LOG_STEP


def _mel_to_hz(mel: np.ndarray, scale: str) -> np.ndarray:
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    logarithmic = _SLANEY_KNEE_HZ * np.exp(_SLANEY_LOG_STEP * (mel - _SLANEY_KNEE_MEL))
    return np.where(mel < _SLANEY_KNEE_MEL, mel * _SLANEY_HZ_PER_MEL, logarithmic)


def _read_only(array: np.ndarray, dtype: type = np.float32) -> np.ndarray:
    """Give a contiguous array that callers of a cached function cannot change."""
    array = np.ascontiguousarray(array, dtype)
    array.setflags(write=False)
    return array
