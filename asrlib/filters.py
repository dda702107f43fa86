"""Filters: how they are designed, what they do to each frequency, and how they clean noisy speech.

A filter is its numbers and the rate they were made for: `Fir` holds taps, `Iir` second-order sections. The
designs (`fir`, `butterworth`, `notch`) refuse what cannot work. `apply` runs a filter over a recording, and
`frequency_response`, `group_delay` and `impulse_response` tell what it will do.

Filters take any finite recording and may give one that passes 1: the peaks of a filtered wave need not lie
where those of the wave lay. `asrlib.audio.peak_limit` scales it down; nothing here clips.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import scipy

from asrlib import audio
from asrlib.errors import AudioError

# scipy.signal takes a while to load. `import scipy` loads it where it is first used, so that a lesson starts
# at once.

__all__ = [
    "Filter",
    "Fir",
    "Iir",
    "Response",
    "apply",
    "butterworth",
    "convolve",
    "deemphasis",
    "fir",
    "frequency_response",
    "group_delay",
    "impulse_response",
    "notch",
    "preemphasis",
    "spectral_subtraction",
    "wiener",
]

_KINDS = ("lowpass", "highpass", "bandpass", "bandstop")
# Symmetric cosine-sum windows: w[n] = sum_k (-1)^k a_k cos(2 pi k n / (N - 1)).
_WINDOWS = {
    "rectangular": (1.0,),
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
}
_FEWEST_TAPS = 3
_HIGHEST_ORDER = 24
_LARGEST_ROUNDING = 1e-5
# What lies this far below full scale is rounding error of double precision.
_LOWEST_GAIN_DB = -300.0
# The denoisers' frames: long enough to tell the harmonics of a voice apart, short enough for a plosive.
_GATE_HOP_SECONDS = 0.008
_HOPS_PER_WINDOW = 4
_QUIETEST_SHARE = 0.1
_QUIETEST_FRAMES = 4


@dataclass(frozen=True, eq=False)
class Fir:
    """A filter with a finite impulse response: a weighted sum of the latest samples.

    Parameters
    ----------
    taps : ndarray, shape (n_taps,)
        The weights, that of the newest sample first; kept as float64. They are the impulse response.
    sample_rate : int
        The rate in Hz of the recordings it is meant for.

    Raises
    ------
    ValueError
        When the taps are not a row of finite numbers.

    Examples
    --------
    >>> mean_of_two = Fir([0.5, 0.5])
    >>> apply(mean_of_two, np.array([1.0, 0.0, 0.5])).tolist()
    [0.5, 0.5, 0.25]

    Lesson: 02
    """

    taps: np.ndarray
    sample_rate: int = audio.SAMPLE_RATE

    def __post_init__(self) -> None:
        taps = _numbers("taps", self.taps)
        if taps.ndim != 1 or taps.size == 0:
            raise ValueError(f"taps of shape {taps.shape} came. Expected one row of at least one number.")
        object.__setattr__(self, "taps", taps)
        object.__setattr__(self, "sample_rate", _rate(self.sample_rate))

    def __repr__(self) -> str:
        return f"Fir({len(self.taps)} taps, {self.sample_rate} Hz)"


@dataclass(frozen=True, eq=False)
class Iir:
    """A filter with an infinite impulse response: its output also depends on its earlier output.

    It is kept as second-order sections, one after the other, because a long polynomial loses in rounding
    errors what it is to keep apart.

    Parameters
    ----------
    sos : ndarray, shape (n_sections, 6)
        One row ``b0 b1 b2 1 a1 a2`` for each section, as in SciPy; kept as float64.
    sample_rate : int
        The rate in Hz of the recordings it is meant for.

    Raises
    ------
    ValueError
        When the shape is another, a number is not finite, or a section is unstable: it would go on for ever,
        or grow.

    Examples
    --------
    >>> Iir([[1, 0, 0, 1, -1.1, 0]])
    Traceback (most recent call last):
    ...
    ValueError: Section 0 has a pole 1.1 away from zero. Expected less than 1, inside the unit circle: this
    filter would ring for ever or grow. Lower the order, or move the cut-off away from 0 Hz and from half the
    sample rate.

    Lesson: 02
    """

    sos: np.ndarray
    sample_rate: int = audio.SAMPLE_RATE

    def __post_init__(self) -> None:
        sos = _numbers("sos", self.sos)
        if sos.ndim != 2 or sos.shape[1] != 6 or len(sos) == 0:
            raise ValueError(f"sos of shape {sos.shape} came. Expected (n_sections, 6), as SciPy makes them.")
        if not (sos[:, 3] == 1).all():
            raise ValueError(
                f"sos with a0 = {sos[:, 3].tolist()} in column 3 came. Expected 1: divide each row by its a0."
            )
        _refuse_unstable(sos)
        object.__setattr__(self, "sos", sos)
        object.__setattr__(self, "sample_rate", _rate(self.sample_rate))

    def __repr__(self) -> str:
        return f"Iir({len(self.sos)} second-order sections, {self.sample_rate} Hz)"


Filter: TypeAlias = Fir | Iir


@dataclass(frozen=True, eq=False)
class Response:
    """What a filter does to each frequency.

    Parameters
    ----------
    frequencies : ndarray, shape (n_points,)
        In Hz.
    values : ndarray, shape (n_points,)
        Complex: a tone of that frequency comes out multiplied by the magnitude and shifted by the angle.

    Examples
    --------
    >>> response = Response(np.array([0.0, 8000.0]), np.array([1.0, 0.5j]))
    >>> response.gain_db.round(2).tolist(), response.phase.round(3).tolist()
    ([0.0, -6.02], [0.0, 1.571])

    Lesson: 02
    """

    frequencies: np.ndarray
    values: np.ndarray

    @property
    def gain(self) -> np.ndarray:
        """Factor on the amplitude of a tone of each frequency."""
        return np.abs(self.values)

    @property
    def gain_db(self) -> np.ndarray:
        """The gain in dB, at least -300: what is lower is zero but for rounding."""
        return 20 * np.log10(np.maximum(self.gain, 10 ** (_LOWEST_GAIN_DB / 20)))

    @property
    def phase(self) -> np.ndarray:
        """Phase in radians, without the jumps of whole turns; negative for a delay."""
        return np.unwrap(np.angle(self.values))


def fir(
    kind: str,
    cutoff: float | Sequence[float],
    *,
    n_taps: int = 101,
    sample_rate: int = audio.SAMPLE_RATE,
    window: str = "hamming",
) -> Fir:
    """Design an FIR filter: the ideal filter's impulse response, cut off and weighted by a window.

    Its taps are symmetric, so it delays all frequencies alike, by ``(n_taps - 1) / 2`` samples.

    Parameters
    ----------
    kind : {"lowpass", "highpass", "bandpass", "bandstop"}
        What to keep: below the cut-off, above it, between two, or outside two.
    cutoff : float or (float, float)
        One frequency in Hz for lowpass and highpass, two for bandpass and bandstop, where the gain has fallen
        to one half (-6 dB).
    n_taps : int
        At least 3. More taps make the step from pass to stop steeper and the delay longer. An odd number for
        highpass and bandstop.
    sample_rate : int
        Samples per second of what is to be filtered.
    window : {"hamming", "hann", "blackman", "rectangular"}
        How the taps fade out: a softer end lets less through in the stop band, and widens the step.

    Returns
    -------
    Fir
        With a gain of exactly 1 at 0 Hz; for highpass at half the sample rate, for bandpass in the middle of
        the band.

    Raises
    ------
    ValueError
        When a cut-off is not between 0 and half the sample rate, two are not in order, the number of taps is
        too small or even where it must be odd, or a name is unknown.

    Examples
    --------
    >>> telephone = fir("bandpass", (300, 3400), n_taps=201)
    >>> frequency_response(telephone, frequencies=[50, 1850, 7000]).gain.round(2).tolist()
    [0.0, 1.0, 0.0]

    References
    ----------
    .. [1] A. V. Oppenheim, R. W. Schafer, "Discrete-Time Signal Processing", 3rd edition, Pearson, 2010,
       section 7.5.

    Lesson: 02
    """
    sample_rate = _rate(sample_rate)
    edges = _edges(kind, cutoff, sample_rate)
    n_taps = _tap_count(kind, n_taps)
    # Samples from the middle tap, which may lie between two of them.
    offsets = np.arange(n_taps) - (n_taps - 1) / 2
    ideal = sum(
        _ideal_lowpass(high, offsets, sample_rate) - _ideal_lowpass(low, offsets, sample_rate)
        for low, high in _pass_bands(kind, edges, sample_rate / 2)
    )
    taps = ideal * _window(window, n_taps)
    reference = {"highpass": sample_rate / 2, "bandpass": sum(edges) / 2}.get(kind, 0.0)
    gain = float(np.sum(taps * np.cos(2 * np.pi * reference / sample_rate * offsets)))
    if gain < 1e-9:
        raise ValueError(
            f"A {kind} at {cutoff!r} Hz with {n_taps} taps lets nothing through at {reference:g} Hz. Take an "
            "odd number of taps, or a band further from half the sample rate."
        )
    return Fir(taps / gain, sample_rate)


def butterworth(
    kind: str, cutoff: float | Sequence[float], *, order: int = 4, sample_rate: int = audio.SAMPLE_RATE
) -> Iir:
    """Design a Butterworth filter: as flat as can be where it keeps, falling steadily where it does not.

    Parameters
    ----------
    kind : {"lowpass", "highpass", "bandpass", "bandstop"}
        What to keep: below the cut-off, above it, between two, or outside two.
    cutoff : float or (float, float)
        One frequency in Hz for lowpass and highpass, two for bandpass and bandstop, where the power has
        fallen to one half (-3.01 dB).
    order : int
        1 to 24. The fall beyond the cut-off is 6 dB per octave times the order. Bandpass and bandstop need
        twice as many poles.
    sample_rate : int
        Samples per second of what is to be filtered.

    Returns
    -------
    Iir

    Raises
    ------
    ValueError
        When a cut-off is not between 0 and half the sample rate, two are not in order, the order is out of
        range, the kind is unknown, or rounding errors spoil the filter: a high order with a cut-off next to
        0 Hz or half the sample rate, or a wide bandstop.

    Examples
    --------
    >>> rumble_off = butterworth("highpass", 100, order=4)
    >>> frequency_response(rumble_off, frequencies=[50, 100, 1000]).gain_db.round(1).tolist()
    [-24.1, -3.0, -0.0]

    References
    ----------
    .. [1] S. Butterworth, "On the theory of filter amplifiers", Experimental Wireless and the Wireless
       Engineer 7, 1930.

    Lesson: 02
    """
    sample_rate = _rate(sample_rate)
    edges = _edges(kind, cutoff, sample_rate)
    whole = not isinstance(order, bool) and isinstance(order, (int, np.integer))
    if not whole or not 1 <= order <= _HIGHEST_ORDER:
        raise ValueError(f"order={order!r} came. Expected a whole number from 1 to {_HIGHEST_ORDER}.")
    edge = edges[0] if len(edges) == 1 else edges
    filter = Iir(scipy.signal.butter(order, edge, kind, fs=sample_rate, output="sos"), sample_rate)
    if kind == "bandstop":
        _refuse_loud_rounding(filter, f"An order of {order} for a bandstop at {cutoff!r} Hz")
    return filter


def notch(frequency: float, *, q: float = 30.0, sample_rate: int = audio.SAMPLE_RATE) -> Iir:
    """Design a filter that takes out one frequency and little else, such as the hum of the mains.

    Parameters
    ----------
    frequency : float
        What to take out, in Hz.
    q : float
        Quality: the frequency over the width of the notch between its points at -3 dB. A higher one is
        narrower, and rings longer.
    sample_rate : int
        Samples per second of what is to be filtered.

    Returns
    -------
    Iir
        One section. The gain is 0 at `frequency`, and 1 at 0 Hz and at half the sample rate.

    Raises
    ------
    ValueError
        When the frequency is not between 0 and half the sample rate, or `q` is not positive or so low that
        the notch would be as wide as the whole range.

    Examples
    --------
    >>> no_hum = notch(50, q=10)
    >>> frequency_response(no_hum, frequencies=[50, 52.5, 100]).gain.round(2).tolist()
    [0.0, 0.7, 1.0]

    Lesson: 02
    """
    sample_rate = _rate(sample_rate)
    frequency = _inside("frequency", frequency, sample_rate)
    if not (isinstance(q, (int, float, np.number)) and math.isfinite(q) and q > 0):
        raise ValueError(f"q={q!r} came. Expected a positive number, such as 30; a higher one is narrower.")
    if frequency / q >= sample_rate / 2:
        raise ValueError(
            f"q={q!r} at {frequency:g} Hz came: a notch {frequency / q:g} Hz wide. Expected less than half "
            f"the sample rate, {sample_rate / 2:g} Hz; raise q above {2 * frequency / sample_rate:.3g}."
        )
    b, a = scipy.signal.iirnotch(frequency, q, fs=sample_rate)
    return Iir(np.concatenate([b, a])[np.newaxis], sample_rate)


def convolve(samples: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """Convolve two sequences as the definition says: for each tap, add a delayed and weighted copy.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        A recording, or any row of numbers.
    taps : ndarray, shape (n_taps,)
        What each sample sets off: an impulse response.

    Returns
    -------
    ndarray, shape (n_samples + n_taps - 1,)
        ``y[n] = sum over k of taps[k] * samples[n - k]``, the whole of it, computed in float64 and given in
        the type of `samples` (whole numbers give float64).

    Raises
    ------
    ValueError
        When one of the two is empty, not one-dimensional or not finite.

    Examples
    --------
    >>> convolve(np.array([1.0, 0.0, 2.0]), np.array([1.0, 0.5])).tolist()
    [1.0, 0.5, 2.0, 1.0]

    Lesson: 02
    """
    dtype = np.asarray(samples).dtype
    samples, taps = _numbers("samples", samples), _numbers("taps", taps)
    for name, values in (("samples", samples), ("taps", taps)):
        if values.ndim != 1 or values.size == 0:
            raise ValueError(f"{name} of shape {values.shape} came. Expected one row of at least one number.")
    convolved = np.zeros(len(samples) + len(taps) - 1)
    for delay, weight in enumerate(taps):
        convolved[delay : delay + len(samples)] += weight * samples
    return convolved.astype(dtype if dtype.kind == "f" else np.float64)


def apply(filter: Filter, samples: np.ndarray, *, zero_phase: bool = False) -> np.ndarray:
    """Run a filter over a recording.

    Parameters
    ----------
    filter : Fir or Iir
        A filter for the rate of the recording.
    samples : ndarray, shape (n_samples,)
        A recording, float, finite; may pass [-1, 1].
    zero_phase : bool
        False: as in real time. What comes out depends on the past only, so it comes late; before the first
        sample there was silence. True: forwards, then backwards over the result, which needs the whole
        recording. No frequency is delayed, and the gain in dB counts twice. Beyond its ends the recording is
        continued by its own mirror image turned upside down, so that its edges set off no click.

    Returns
    -------
    ndarray, shape (n_samples,)
        float32; may pass [-1, 1]. What would ring on after the last sample is left off.

    Raises
    ------
    AudioError
        When the recording is empty, not finite, or not a one-dimensional array of floats.
    TypeError
        When `filter` is neither `Fir` nor `Iir`.

    Examples
    --------
    A click comes out 50 samples late, or at its place.

    >>> smooth, click = fir("lowpass", 1000, n_taps=101), np.zeros(400)
    >>> click[200] = 1
    >>> int(apply(smooth, click).argmax()), int(apply(smooth, click, zero_phase=True).argmax())
    (250, 200)

    Lesson: 02
    """
    samples = _finite_clip(samples).astype(np.float64)
    return _run(filter, samples, zero_phase=zero_phase).astype(np.float32)


def frequency_response(
    filter: Filter, *, n_points: int = 512, frequencies: Sequence[float] | np.ndarray | None = None
) -> Response:
    """Compute what a filter does to a tone of each frequency, once the tone has gone on for a while.

    Parameters
    ----------
    filter : Fir or Iir
        The filter.
    n_points : int
        Number of frequencies, equally far apart from 0 Hz to half the sample rate, both included.
    frequencies : sequence of float, optional
        In Hz: these instead, in any order.

    Returns
    -------
    Response
        `frequencies` in Hz, complex `values`, and from them `gain`, `gain_db` and `phase`.

    Raises
    ------
    ValueError
        When there is no frequency, or one is not from 0 to half the sample rate.

    Examples
    --------
    >>> response = frequency_response(butterworth("lowpass", 1000, order=2), frequencies=[0, 1000, 4000])
    >>> response.gain_db.round(1).tolist()
    [0.0, -3.0, -28.1]

    Lesson: 02
    """
    frequencies = _grid(filter, n_points, frequencies)
    delay = np.exp(-2j * np.pi * frequencies / filter.sample_rate)  # of one sample: z to the power of -1
    values = np.ones(len(frequencies), complex)
    for above, below in _polynomials(filter):
        values *= _evaluate(above, delay) / _evaluate(below, delay)
    return Response(frequencies, values)


def group_delay(
    filter: Filter, *, n_points: int = 512, frequencies: Sequence[float] | np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Compute by how much a filter delays the swelling and fading of a tone of each frequency.

    It is how fast the phase falls with frequency. An FIR filter with symmetric taps delays all frequencies
    alike; where its gain is exactly zero, the value given is that of its neighbours.

    Parameters
    ----------
    filter : Fir or Iir
        The filter.
    n_points, frequencies
        As in `frequency_response`.

    Returns
    -------
    frequencies : ndarray, shape (n_points,)
        In Hz.
    seconds : ndarray, shape (n_points,)
        The delay in seconds; NaN where the gain is zero and the delay of the neighbours differs.

    Raises
    ------
    ValueError
        As in `frequency_response`.

    Examples
    --------
    >>> frequencies, seconds = group_delay(fir("lowpass", 1000, n_taps=161), n_points=3)
    >>> (1000 * seconds).tolist()
    [5.0, 5.0, 5.0]

    Lesson: 02
    """
    frequencies = _grid(filter, n_points, frequencies)
    angles = 2 * np.pi * frequencies / filter.sample_rate
    samples = np.zeros(len(frequencies))
    for above, below in _polynomials(filter):
        samples += _delay(above, angles) - _delay(below, angles)
    return frequencies, samples / filter.sample_rate


def impulse_response(filter: Filter, *, seconds: float) -> np.ndarray:
    """Compute what comes out of a filter when a single 1 goes in.

    Parameters
    ----------
    filter : Fir or Iir
        The filter.
    seconds : float
        How long to listen.

    Returns
    -------
    ndarray, shape (n_samples,)
        float32. An FIR filter gives its taps and then zeros.

    Raises
    ------
    ValueError
        When the length holds no sample.

    Examples
    --------
    >>> impulse_response(Fir([0.5, 0.25]), seconds=4 / 16_000).tolist()
    [0.5, 0.25, 0.0, 0.0]

    Lesson: 02
    """
    sample_rate = _filter(filter).sample_rate
    n_samples = round(seconds * sample_rate) if math.isfinite(seconds) else 0
    if n_samples < 1:
        raise ValueError(
            f"seconds={seconds!r} came: no sample at {sample_rate} Hz. Expected more, such as 0.02."
        )
    return _run(filter, (np.arange(n_samples) == 0).astype(np.float64), zero_phase=False).astype(np.float32)


def preemphasis(samples: np.ndarray, *, coefficient: float = 0.97) -> np.ndarray:
    """Raise the high frequencies of speech: subtract from each sample most of the one before it.

    ``y[n] = x[n] - coefficient * x[n - 1]``, with silence before the first sample.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        A recording, float, finite; may pass [-1, 1].
    coefficient : float
        From 0, which changes nothing, to below 1.

    Returns
    -------
    ndarray, shape (n_samples,)
        float32; may pass [-1, 1], up to twice the peak.

    Raises
    ------
    AudioError
        When the recording is unusable.
    ValueError
        When the coefficient is out of range.

    Examples
    --------
    >>> preemphasis(np.array([0.5, 0.5, 0.5]), coefficient=0.5).tolist()
    [0.5, 0.25, 0.25]

    Lesson: 02
    """
    samples = _finite_clip(samples).astype(np.float64)
    raised = samples.copy()
    raised[1:] -= _coefficient(coefficient) * samples[:-1]
    return raised.astype(np.float32)


def deemphasis(samples: np.ndarray, *, coefficient: float = 0.97) -> np.ndarray:
    """Undo `preemphasis`: add to each sample most of the one just computed.

    ``x[n] = y[n] + coefficient * x[n - 1]``, with silence before the first sample.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        What `preemphasis` gave; may pass [-1, 1].
    coefficient : float
        That of the pre-emphasis, from 0 to below 1.

    Returns
    -------
    ndarray, shape (n_samples,)
        float32: the recording before pre-emphasis, to within the rounding of float32.

    Raises
    ------
    AudioError
        When the recording is unusable.
    ValueError
        When the coefficient is out of range.

    Examples
    --------
    >>> deemphasis(preemphasis(np.array([0.5, 0.25, -0.5]))).round(6).tolist()
    [0.5, 0.25, -0.5]

    Lesson: 02
    """
    samples = _finite_clip(samples).astype(np.float64)
    return scipy.signal.lfilter([1.0], [1.0, -_coefficient(coefficient)], samples).astype(np.float32)


def spectral_subtraction(
    samples: np.ndarray,
    *,
    noise: np.ndarray | None = None,
    over: float = 1.0,
    floor: float = 0.05,
    sample_rate: int = audio.SAMPLE_RATE,
) -> np.ndarray:
    """Subtract the power spectrum of the noise from that of each short frame, and keep the phase.

    Noise fluctuates, and only its mean is subtracted, so crumbs remain that come and go as short tones:
    "musical noise". A larger `over` takes more of them, and more of the speech; a larger `floor` hides them
    under even noise.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        A noisy recording, float, finite.
    noise : ndarray, shape (n_noise,), optional
        A sample of the noise alone, at the same level, such as the moment before somebody speaks; 50 ms or
        more. Without it the quietest tenth of the frames is taken for noise.
    over : float
        How many times the noise's power is subtracted; 0 changes nothing.
    floor : float
        Least gain of a frequency in a frame, 0 to 1.
    sample_rate : int
        Samples per second.

    Returns
    -------
    ndarray, shape (n_samples,)
        float32.

    Raises
    ------
    AudioError
        When the recording or the noise is unusable.
    ValueError
        When `over` is negative or `floor` is not from 0 to 1.

    Examples
    --------
    >>> from asrlib import signals
    >>> speech = signals.sine(440, seconds=1, amplitude=0.1)
    >>> hiss = signals.hiss(1, rng=np.random.default_rng(0))
    >>> noisy = signals.mix(speech, hiss, snr_db=5)
    >>> signals.snr_db(speech, spectral_subtraction(noisy, noise=noisy - speech)) > 10
    True

    References
    ----------
    .. [1] S. F. Boll, "Suppression of acoustic noise in speech using spectral subtraction", IEEE Transactions
       on Acoustics, Speech, and Signal Processing 27 (2), 1979.
    .. [2] M. Berouti, R. Schwartz, J. Makhoul, "Enhancement of speech corrupted by acoustic noise", IEEE
       International Conference on Acoustics, Speech and Signal Processing, 1979 (`over` and `floor`).

    Lesson: 02
    """
    if not (math.isfinite(over) and over >= 0):
        raise ValueError(f"over={over!r} came. Expected 0 or more; 1 subtracts the noise once.")
    floor = _share("floor", floor)

    def gains(power: np.ndarray, noise_power: np.ndarray) -> np.ndarray:
        remaining = 1 - over * noise_power / power
        return np.maximum(np.sqrt(np.maximum(remaining, 0)), floor)

    return _gated(samples, noise, gains, sample_rate)


def wiener(
    samples: np.ndarray,
    *,
    noise: np.ndarray | None = None,
    smoothing: float = 0.95,
    floor: float = 0.05,
    sample_rate: int = audio.SAMPLE_RATE,
) -> np.ndarray:
    """Weight each frequency of each short frame by the share of its power that is speech.

    The gain is ``snr / (1 + snr)``, Wiener's. The ratio is estimated from this frame and from what the frame
    before kept, so that it follows speech at once and ignores the flicker of the noise: less musical noise
    than `spectral_subtraction`, and softer onsets.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        A noisy recording, float, finite.
    noise : ndarray, shape (n_noise,), optional
        As in `spectral_subtraction`.
    smoothing : float
        Weight of the frame before, from 0 to below 1.
    floor : float
        Least gain of a frequency in a frame, 0 to 1.
    sample_rate : int
        Samples per second.

    Returns
    -------
    ndarray, shape (n_samples,)
        float32.

    Raises
    ------
    AudioError
        When the recording or the noise is unusable.
    ValueError
        When `smoothing` or `floor` is out of range.

    Examples
    --------
    >>> from asrlib import signals
    >>> speech = signals.sine(440, seconds=1, amplitude=0.1)
    >>> hiss = signals.hiss(1, rng=np.random.default_rng(0))
    >>> noisy = signals.mix(speech, hiss, snr_db=5)
    >>> signals.snr_db(speech, wiener(noisy, noise=noisy - speech)) > 10
    True

    References
    ----------
    .. [1] Y. Ephraim, D. Malah, "Speech enhancement using a minimum mean-square error short-time spectral
       amplitude estimator", IEEE Transactions on Acoustics, Speech, and Signal Processing 32 (6), 1984
       (the "decision-directed" estimate of the ratio).

    Lesson: 02
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing={smoothing!r} came. Expected 0 to below 1, such as 0.95.")
    floor = _share("floor", floor)

    def gains(power: np.ndarray, noise_power: np.ndarray) -> np.ndarray:
        now = power / noise_power
        result = np.empty_like(power)
        kept = np.maximum(now[0] - 1, 0)
        for index, ratio in enumerate(now):
            snr = smoothing * kept + (1 - smoothing) * np.maximum(ratio - 1, 0)
            result[index] = np.maximum(snr / (1 + snr), floor)
            kept = result[index] ** 2 * ratio
        return result

    return _gated(samples, noise, gains, sample_rate)


# ------------------------------------------------------------------------------------------------- checks


def _rate(value: Any) -> int:
    whole = isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and value == value // 1
    if not whole or not 0 < value < math.inf:
        raise ValueError(
            f"sample_rate={value!r} came. Expected a positive whole number of Hz, such as 16000."
        )
    return int(value)


def _numbers(name: str, values: Any) -> np.ndarray:
    numbers = np.array(values, dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name} with NaN or infinite values came. Expected finite numbers.")
    return numbers


def _refuse_unstable(sos: np.ndarray) -> None:
    for number, (a1, a2) in enumerate(sos[:, 4:].tolist()):
        # Both roots of z^2 + a1 z + a2 lie inside the unit circle; exact where np.roots would round.
        if abs(a2) < 1 and abs(a1) < 1 + a2:
            continue
        radius = float(np.abs(np.roots([1.0, a1, a2])).max())
        raise ValueError(
            f"Section {number} has a pole {radius:.6g} away from zero. Expected less than 1, inside the unit "
            "circle: this filter would ring for ever or grow. Lower the order, or move the cut-off away from "
            "0 Hz and from half the sample rate."
        )


def _refuse_loud_rounding(filter: Iir, what: str) -> None:
    """Compare the sections run in both orders: the same filter, but for its rounding errors.

    The sections of a wide bandstop amplify and then attenuate by a million and more, so double precision
    runs out, while the response computed from the same numbers looks perfect.
    """
    step = np.ones(filter.sample_rate)
    orders = (filter.sos, filter.sos[::-1].copy())
    first, second = (scipy.signal.sosfilt(sections, step) for sections in orders)
    error = float(np.abs(first - second).max())
    if not error < _LARGEST_ROUNDING:
        raise ValueError(
            f"{what} came. Rounding errors would reach {error:.1g} of full scale. Lower the order, or move "
            "the edges closer together."
        )


def _filter(filter: Any) -> Filter:
    if not isinstance(filter, Fir | Iir):
        raise TypeError(
            f"A filter of type {type(filter).__name__} came. Expected Fir or Iir: wrap taps as "
            "Fir(taps, sample_rate)."
        )
    return filter


def _inside(name: str, frequency: Any, sample_rate: int) -> float:
    number = isinstance(frequency, (int, float, np.number)) and not isinstance(frequency, bool)
    if not number or not 0 < frequency < sample_rate / 2:
        raise ValueError(
            f"{name}={frequency!r} came. Expected a frequency above 0 and below half the sample rate, "
            f"{sample_rate / 2:g} Hz at {sample_rate} Hz; lower it, or raise the sample rate."
        )
    return float(frequency)


def _edges(kind: str, cutoff: Any, sample_rate: int) -> list[float]:
    """Return one or two cut-off frequencies in Hz, as the kind needs."""
    if kind not in _KINDS:
        raise ValueError(f"kind={kind!r} came. Expected one of {', '.join(_KINDS)}.")
    edges = [cutoff] if np.ndim(cutoff) == 0 else list(cutoff)
    n_edges = 2 if kind.startswith("band") else 1
    if len(edges) != n_edges:
        expected = "two frequencies, such as (300, 3400)" if n_edges == 2 else "one frequency, such as 1000"
        raise ValueError(f"cutoff={cutoff!r} came for a {kind}. Expected {expected}.")
    edges = [_inside("cutoff", edge, sample_rate) for edge in edges]
    if n_edges == 2 and edges[0] >= edges[1]:
        raise ValueError(
            f"cutoff={cutoff!r} came for a {kind}. Expected the lower edge first: "
            f"({min(edges):g}, {max(edges):g}) with two different values."
        )
    return edges


def _tap_count(kind: str, n_taps: Any) -> int:
    whole = isinstance(n_taps, (int, np.integer)) and not isinstance(n_taps, bool)
    if not whole or n_taps < _FEWEST_TAPS:
        raise ValueError(f"n_taps={n_taps!r} came. Expected a whole number of at least {_FEWEST_TAPS}.")
    if n_taps % 2 == 0 and kind in ("highpass", "bandstop"):
        raise ValueError(
            f"n_taps={n_taps} came for a {kind}. Expected an odd number: an even number of symmetric taps "
            f"always has a gain of 0 at half the sample rate. Take {n_taps + 1}."
        )
    return int(n_taps)


def _coefficient(value: Any) -> float:
    if not 0 <= value < 1:
        raise ValueError(f"coefficient={value!r} came. Expected 0 to below 1, such as 0.97.")
    return float(value)


def _share(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"{name}={value!r} came. Expected 0 to 1.")
    return float(value)


def _finite_clip(samples: np.ndarray, *, name: str = "samples") -> np.ndarray:
    """Return a recording whose peak may pass 1 as float32, or say what is wrong with it."""
    one_row = isinstance(samples, np.ndarray) and samples.dtype.kind == "f" and samples.ndim == 1
    if one_row and samples.size > 0 and np.isfinite(samples).all():
        return samples.astype(np.float32, copy=False)
    return audio.check(samples, name=name)  # raises, with the reason


# ------------------------------------------------------------------------------------------------- design


def _pass_bands(kind: str, edges: list[float], nyquist: float) -> list[tuple[float, float]]:
    """Return the bands that an ideal filter of this kind lets through, in Hz."""
    return {
        "lowpass": [(0.0, edges[0])],
        "highpass": [(edges[0], nyquist)],
        "bandpass": [(edges[0], edges[-1])],
        "bandstop": [(0.0, edges[0]), (edges[-1], nyquist)],
    }[kind]


def _ideal_lowpass(cutoff: float, offsets: np.ndarray, sample_rate: int) -> np.ndarray:
    """Sample the impulse response of a filter that keeps all below the cut-off and nothing above."""
    relative = 2 * cutoff / sample_rate
    return relative * np.sinc(relative * offsets)


def _window(name: str, length: int) -> np.ndarray:
    if name not in _WINDOWS:
        raise ValueError(f"window={name!r} came. Expected one of {', '.join(_WINDOWS)}.")
    angles = 2 * np.pi * np.arange(length) / (length - 1)
    return sum((-1) ** k * weight * np.cos(k * angles) for k, weight in enumerate(_WINDOWS[name]))


# ------------------------------------------------------------------------------------------- running, looking


def _run(filter: Filter, samples: np.ndarray, *, zero_phase: bool) -> np.ndarray:
    """Filter float64 samples."""
    if isinstance(_filter(filter), Fir):
        if zero_phase:
            both_ways = np.convolve(filter.taps, filter.taps[::-1])
            continued = np.pad(samples, len(filter.taps) - 1, mode="reflect", reflect_type="odd")
            return np.convolve(continued, both_ways, mode="valid")
        # Not by Fourier transform: its rounding errors would come out before what caused them.
        return np.convolve(samples, filter.taps)[: len(samples)]
    if zero_phase:
        # A longer mirror image than the recording does not exist.
        padding = min(3 * (2 * len(filter.sos) + 1), len(samples) - 1)
        return scipy.signal.sosfiltfilt(filter.sos, samples, padlen=padding)
    return scipy.signal.sosfilt(filter.sos, samples)


def _grid(filter: Filter, n_points: int, frequencies: Sequence[float] | np.ndarray | None) -> np.ndarray:
    nyquist = _filter(filter).sample_rate / 2
    if frequencies is None:
        if isinstance(n_points, bool) or not isinstance(n_points, (int, np.integer)) or n_points < 1:
            raise ValueError(f"n_points={n_points!r} came. Expected a whole number of at least 1.")
        return np.linspace(0, nyquist, n_points)
    frequencies = np.asarray(frequencies, dtype=np.float64)
    if frequencies.ndim != 1 or frequencies.size == 0:
        raise ValueError(f"frequencies of shape {frequencies.shape} came. Expected a row of at least one.")
    if not ((frequencies >= 0) & (frequencies <= nyquist)).all():
        raise ValueError(
            f"frequencies from {frequencies.min():g} to {frequencies.max():g} Hz came. Expected 0 to half "
            f"the sample rate, {nyquist:g} Hz."
        )
    return frequencies


def _polynomials(filter: Filter) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the sections of a filter as pairs of coefficients of z to the power of 0, -1, -2 and so on."""
    if isinstance(filter, Fir):
        return [(filter.taps, np.ones(1))]
    return [(section[:3], section[3:]) for section in filter.sos]


def _evaluate(coefficients: np.ndarray, points: np.ndarray) -> np.ndarray:
    return np.polynomial.polynomial.polyval(points, coefficients)


def _delay(coefficients: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Return the group delay in samples of one polynomial."""
    trimmed = np.trim_zeros(coefficients)
    if len(trimmed) == 0:
        return np.full(len(angles), np.nan)
    lead = int(np.flatnonzero(coefficients)[0])
    tolerance = 1e-12 * np.abs(trimmed).max()
    for mirrored in (trimmed[::-1], -trimmed[::-1]):
        if np.allclose(trimmed, mirrored, rtol=0, atol=tolerance):
            return np.full(len(angles), lead + (len(trimmed) - 1) / 2)
    # With C(w) = sum c_n exp(-j w n): minus the slope of its angle is the real part of sum n c_n (...) / C.
    steps = np.exp(-1j * angles)
    value = _evaluate(trimmed, steps)
    weighted = _evaluate(np.arange(len(trimmed)) * trimmed, steps)
    tiny = np.abs(value) <= tolerance
    return lead + np.where(tiny, np.nan, (weighted / np.where(tiny, 1, value)).real)


# ---------------------------------------------------------------------------------------------- denoising


def _gated(
    samples: np.ndarray,
    noise: np.ndarray | None,
    gains: Callable[[np.ndarray, np.ndarray], np.ndarray],
    sample_rate: int,
) -> np.ndarray:
    """Multiply the spectra of overlapping frames by gains between 0 and 1, and put the frames together."""
    samples = _finite_clip(samples).astype(np.float64)
    hop = max(1, round(_GATE_HOP_SECONDS * _rate(sample_rate)))
    spectra = _spectra(samples, hop)
    power = np.square(np.abs(spectra))
    noise_power = _quietest(power) if noise is None else _mean_power(noise, hop)
    # Where the noise has no power nothing has to go; where the frame has none there is nothing to weigh.
    audible = (power > 0) & (noise_power > 0)
    weights = gains(np.where(audible, power, 1.0), np.where(audible.any(axis=0), noise_power, 1.0))
    return _joined(np.where(audible, weights, 1.0) * spectra, hop, len(samples)).astype(np.float32)


def _gate_window(hop: int) -> np.ndarray:
    """Return the periodic Hann window over four hops, whose shifted squares add up to 1.5."""
    length = _HOPS_PER_WINDOW * hop
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)


def _spectra(samples: np.ndarray, hop: int) -> np.ndarray:
    """Return the spectra of windowed frames, which begin before the recording and end after it."""
    length = _HOPS_PER_WINDOW * hop
    padded = np.pad(samples, (length - hop, length + -len(samples) % hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, length)[::hop]
    return scipy.fft.rfft(frames * _gate_window(hop), axis=-1)


def _joined(spectra: np.ndarray, hop: int, n_samples: int) -> np.ndarray:
    """Undo `_spectra`: window again, add the frames where they overlap, and cut what was put around."""
    length = _HOPS_PER_WINDOW * hop
    frames = scipy.fft.irfft(spectra, length, axis=-1) * (_gate_window(hop) / 1.5)
    joined = np.zeros((len(frames) + _HOPS_PER_WINDOW - 1) * hop)
    for quarter in range(_HOPS_PER_WINDOW):
        part = frames[:, quarter * hop : (quarter + 1) * hop].ravel()
        joined[quarter * hop : quarter * hop + len(part)] += part
    return joined[length - hop : length - hop + n_samples]


def _quietest(power: np.ndarray) -> np.ndarray:
    """Return the mean power spectrum of the quietest frames that lie whole inside the recording."""
    edge = _HOPS_PER_WINDOW - 1
    inside = power[edge : len(power) - _HOPS_PER_WINDOW]
    if len(inside) == 0:
        raise AudioError(
            "samples: a recording too short to hold one frame of 32 ms came, and no noise. Expected a longer "
            "recording; or pass noise=, a sample of the noise alone."
        )
    n_frames = min(len(inside), max(_QUIETEST_FRAMES, round(_QUIETEST_SHARE * len(inside))))
    quietest = np.argsort(inside.sum(axis=1), kind="stable")[:n_frames]
    return inside[quietest].mean(axis=0)


def _mean_power(noise: np.ndarray, hop: int) -> np.ndarray:
    """Return the mean power spectrum of the frames that lie whole inside a noise."""
    noise = _finite_clip(noise, name="noise").astype(np.float64)
    length = _HOPS_PER_WINDOW * hop
    if len(noise) < length:
        raise AudioError(
            f"noise: {len(noise)} samples came. Expected at least one frame of 32 ms, {length} samples, and "
            "better ten times as many."
        )
    frames = np.lib.stride_tricks.sliding_window_view(noise, length)[::hop]
    return np.square(np.abs(scipy.fft.rfft(frames * _gate_window(hop), axis=-1))).mean(axis=0)
