"""Sounds made by code: tones, noises, and what sampling and quantisation make of them.

A tone is a function of its frequency and has a stated amplitude. A noise is a function of its length and of
``rng`` and has a stated level, so that one can stand for another: ``noise(seconds, rng=rng)``. `mix` adds a
noise to speech at a stated signal-to-noise ratio, and `snr_db` measures one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.fft

from asrlib import audio
from asrlib.errors import AudioError

__all__ = [
    "alias_frequency",
    "babble",
    "brown_noise",
    "chirp",
    "fit_length",
    "hiss",
    "hum",
    "keep_every",
    "mix",
    "pink_noise",
    "quantize",
    "sample",
    "sinc_reconstruct",
    "sine",
    "snr_db",
    "speech_frames",
    "speech_level_db",
    "square",
    "white_noise",
]

_LEVEL_DB = -26.0
# ITU-T P.56 counts as speech what lies less than this below the level of the speech itself.
_SPEECH_MARGIN_DB = 15.9
_FRAME_SECONDS = 0.020
_METHODS = ("linear", "logarithmic")
_DITHERS = ("none", "rectangular", "triangular")
# float32 tells 24 bits apart.
_FEWEST_BITS, _MOST_BITS = 2, 24
# Distances between times and samples computed at once: they stay in a core's cache, and memory is bounded.
_CHUNK_VALUES = 1 << 15


def sine(
    frequency: float,
    *,
    seconds: float,
    sample_rate: int = audio.SAMPLE_RATE,
    amplitude: float = 0.5,
    phase: float = 0.0,
) -> np.ndarray:
    """Make a pure tone.

    A frequency above half the sample rate is not refused: its samples are those of a lower tone, the one that
    `alias_frequency` names.

    Parameters
    ----------
    frequency : float
        In Hz.
    seconds : float
        Length in seconds.
    sample_rate : int
        Samples per second.
    amplitude : float
        Height of the peaks, 0 to 1 of full scale.
    phase : float
        Where in its period the tone starts, in radians.

    Returns
    -------
    ndarray, shape (n_samples,)
        float32, within [-amplitude, amplitude].

    Raises
    ------
    ValueError
        When a number is not finite, the amplitude is not from 0 to 1, or the length holds no sample.

    Examples
    --------
    >>> sine(1000, seconds=0.5, sample_rate=4000)[:4].round(3).tolist()
    [0.0, 0.5, 0.0, -0.5]

    Lesson: 01
    """
    frequency, phase = _finite("frequency", frequency), _finite("phase", phase)
    cycles = frequency * np.arange(_n_samples(seconds, sample_rate)) / sample_rate
    return (_amplitude(amplitude) * np.sin(2 * np.pi * cycles + phase)).astype(np.float32)


def square(
    frequency: float,
    *,
    seconds: float,
    sample_rate: int = audio.SAMPLE_RATE,
    amplitude: float = 0.5,
) -> np.ndarray:
    """Make a square wave by reading off the ideal one, so that its partials alias.

    The ideal wave has odd partials without end. Those above half the sample rate come back as lower tones
    that fit no harmony: the wave is made so on purpose.

    Parameters
    ----------
    frequency : float
        Fundamental in Hz.
    seconds, sample_rate, amplitude
        As in `sine`.

    Returns
    -------
    ndarray, shape (n_samples,)
        float32: ``amplitude`` in the first half of each period, ``-amplitude`` in the second.

    Raises
    ------
    ValueError
        As in `sine`.

    Examples
    --------
    >>> square(1000, seconds=0.001, sample_rate=4000).tolist()
    [0.5, 0.5, -0.5, -0.5]

    Lesson: 01
    """
    cycles = _finite("frequency", frequency) * np.arange(_n_samples(seconds, sample_rate)) / sample_rate
    height = np.float32(_amplitude(amplitude))
    return np.where(cycles % 1 < 0.5, height, -height)


def chirp(
    start: float,
    stop: float,
    *,
    seconds: float,
    sample_rate: int = audio.SAMPLE_RATE,
    amplitude: float = 0.5,
    method: str = "linear",
) -> np.ndarray:
    """Make a tone that glides from one frequency to another.

    A glide that passes half the sample rate is not refused: it is heard to turn round there.

    Parameters
    ----------
    start, stop : float
        Frequency at the first sample, and the one reached after the last, in Hz.
    seconds, sample_rate, amplitude
        As in `sine`.
    method : {"linear", "logarithmic"}
        The same number of Hz in every second, or the same number of octaves.

    Returns
    -------
    ndarray, shape (n_samples,)
        float32, within [-amplitude, amplitude].

    Raises
    ------
    ValueError
        As in `sine`; also for an unknown method, and for a frequency of 0 or less in a logarithmic glide.

    Examples
    --------
    >>> len(chirp(100, 4000, seconds=0.5))
    8000

    Lesson: 01
    """
    start, stop = _finite("start", start), _finite("stop", stop)
    share = np.arange(_n_samples(seconds, sample_rate)) / (seconds * sample_rate)
    # Cycles are the integral of the frequency over time.
    if method == "linear":
        cycles = seconds * (start * share + (stop - start) * share**2 / 2)
    elif method == "logarithmic":
        if not (start > 0 and stop > 0):
            raise ValueError(
                f"start={start:g} and stop={stop:g} Hz came. A logarithmic glide needs both above 0 Hz: no "
                "number of octaves leads to 0. Raise them, or take method='linear'."
            )
        growth = math.log(stop / start)
        cycles = seconds * start * (np.expm1(growth * share) / growth if growth else share)
    else:
        raise ValueError(f"method={method!r} came. Expected one of {', '.join(_METHODS)}.")
    return (_amplitude(amplitude) * np.sin(2 * np.pi * cycles)).astype(np.float32)


def sample(
    function: Callable[[np.ndarray], np.ndarray], *, seconds: float, sample_rate: int = audio.SAMPLE_RATE
) -> np.ndarray:
    """Read off a function of time at equally spaced instants, as a converter reads off the air pressure.

    Parameters
    ----------
    function : callable
        Takes an array of times in seconds and returns the values there, within [-1, 1].
    seconds : float
        Length in seconds. The first sample is taken at time 0, the last one step before the end.
    sample_rate : int
        Samples per second.

    Returns
    -------
    ndarray, shape (n_samples,)
        float32: sample n is ``function(n / sample_rate)``.

    Raises
    ------
    ValueError
        When the length holds no sample, or the function gives another number of values than of times.
    AudioError
        When a value is not finite or lies outside [-1, 1].

    Examples
    --------
    >>> sample(lambda time: 0.5 * np.cos(2 * np.pi * 2 * time), seconds=1, sample_rate=4).tolist()
    [0.5, -0.5, 0.5, -0.5]

    Lesson: 01
    """
    times = np.arange(_n_samples(seconds, sample_rate)) / sample_rate
    values = np.asarray(function(times), dtype=np.float64)
    if values.ndim == 0:
        values = np.full(times.shape, values)  # a function that does not depend on time
    if values.shape != times.shape:
        raise ValueError(
            f"The function gave values of shape {values.shape} for {len(times)} times. "
            "Expected one value for each time; write it with np.sin and the like, which take arrays."
        )
    return audio.check(values, name="the values of the function", allow_silence=True)


def keep_every(samples: np.ndarray, factor: int) -> np.ndarray:
    """Keep every so many samples and drop the rest, without the filter that ought to come first.

    The sample rate falls by the factor. Whatever lies above half the new rate aliases: that is what this
    function is there to show. `asrlib.audio.resample` filters first.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        A recording.
    factor : int
        2 keeps every second sample, 3 every third.

    Returns
    -------
    ndarray, shape (ceil(n_samples / factor),)
        float32.

    Raises
    ------
    ValueError
        When the factor is not a whole number of at least 1.
    AudioError
        When the recording is unusable.

    Examples
    --------
    >>> keep_every(np.array([0.0, 0.25, 0.5, 0.75, 1.0]), 2).tolist()
    [0.0, 0.5, 1.0]

    Lesson: 01
    """
    factor = _whole("factor", factor, low=1)
    return audio.check(samples, allow_silence=True)[::factor].copy()


def alias_frequency(frequency: Any, *, sample_rate: int = audio.SAMPLE_RATE) -> Any:
    """Tell which frequency is heard when a tone is sampled without a filter.

    Parameters
    ----------
    frequency : float or ndarray
        Frequency of the tone in Hz.
    sample_rate : int
        Samples per second.

    Returns
    -------
    float or ndarray
        The frequency between 0 and half the sample rate whose samples are the same, in Hz. A tone in that
        range is heard as itself.

    Raises
    ------
    ValueError
        When a number is not finite, or the rate is not positive.

    Examples
    --------
    >>> alias_frequency(5000, sample_rate=8000)
    3000.0
    >>> alias_frequency(np.array([3000, 8000, 9000]), sample_rate=8000).tolist()
    [3000.0, 0.0, 1000.0]

    Lesson: 01
    """
    if not np.isfinite(frequency).all():
        raise ValueError(f"frequency={frequency!r} came. Expected finite numbers of Hz.")
    sample_rate = _checked_rate(sample_rate)
    # The distance to the nearest whole multiple of the sample rate.
    heard = np.abs(frequency - sample_rate * np.round(np.divide(frequency, sample_rate)))
    return heard if isinstance(frequency, np.ndarray) else float(heard)


def sinc_reconstruct(
    samples: np.ndarray, *, times: np.ndarray, sample_rate: int = audio.SAMPLE_RATE
) -> np.ndarray:
    """Compute the wave between its samples: a sum of sinc functions, one at each sample, as high as it.

    This is the sum of the sampling theorem, which runs over samples without end. A recording has an end, and
    counts as zero beyond it, so the wave is not exact near its ends.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        A recording. The first sample was taken at time 0.
    times : ndarray, shape (n_times,)
        When to compute the wave, in seconds, in any order.
    sample_rate : int
        Samples per second of the recording.

    Returns
    -------
    ndarray, shape (n_times,)
        float32. Between loud samples the wave may pass 1.

    Raises
    ------
    ValueError
        When the times are not a one-dimensional array of finite numbers.
    AudioError
        When the recording is unusable.

    Examples
    --------
    The wave passes through its samples.

    >>> samples = np.array([0.25, 0.5, 0.25, -0.5])
    >>> sinc_reconstruct(samples, times=np.arange(4) / 8000, sample_rate=8000).tolist()
    [0.25, 0.5, 0.25, -0.5]

    References
    ----------
    .. [1] C. E. Shannon, "Communication in the presence of noise", Proceedings of the IRE 37 (1), 1949.

    Lesson: 01
    """
    samples = audio.check(samples, allow_silence=True).astype(np.float64)
    times = np.asarray(times, dtype=np.float64)
    if times.ndim != 1 or not np.isfinite(times).all():
        raise ValueError(f"times of shape {times.shape} came. Expected one row of finite numbers of seconds.")
    positions = times * _checked_rate(sample_rate)
    values = np.empty(len(times), np.float32)
    n_rows = max(1, _CHUNK_VALUES // len(samples))
    for first in range(0, len(times), n_rows):
        values[first : first + n_rows] = _sinc_sum(samples, positions[first : first + n_rows])
    return values


def quantize(
    samples: np.ndarray,
    *,
    bits: int,
    dither: str = "none",
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Round samples to the levels that a number of bits can tell apart.

    The levels are equally far apart, from -1 to 1, with zero among them ("mid-tread"): ``2**bits - 1`` of
    them, with a step of ``1 / (2**(bits - 1) - 1)``.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        A recording, float, in [-1, 1].
    bits : int
        2 to 24. One bit has no level on either side of zero.
    dither : {"none", "rectangular", "triangular"}
        Noise added before rounding: none, of one step from end to end, or the sum of two such noises.
        Triangular dither makes the mean and the power of the error independent of the signal.
    rng : numpy.random.Generator, optional
        Draws the dither; needed where there is one.

    Returns
    -------
    ndarray, shape (n_samples,)
        float32, on the levels. Dither cannot lift a sample beyond the outermost level: leave it two steps of
        room.

    Raises
    ------
    ValueError
        When the number of bits or the kind of dither is not one of those, or `rng` is missing.
    AudioError
        When the recording is unusable.

    Examples
    --------
    Three bits are seven levels, a third apart.

    >>> (3 * quantize(np.array([-1.0, -0.2, 0.1, 0.6]), bits=3)).round().tolist()
    [-3.0, -1.0, 0.0, 2.0]

    References
    ----------
    .. [1] S. P. Lipshitz, R. A. Wannamaker, J. Vanderkooy, "Quantization and dither: a theoretical survey",
       Journal of the Audio Engineering Society 40 (5), 1992.

    Lesson: 01
    """
    samples = audio.check(samples, allow_silence=True)
    top = 2 ** (_whole("bits", bits, low=_FEWEST_BITS, high=_MOST_BITS) - 1) - 1
    steps = samples.astype(np.float64) * top + _dither(len(samples), dither, rng)
    return (np.clip(np.round(steps), -top, top) / top).astype(np.float32)


def white_noise(
    seconds: float,
    *,
    rng: np.random.Generator,
    level_db: float = _LEVEL_DB,
    sample_rate: int = audio.SAMPLE_RATE,
) -> np.ndarray:
    """Make noise with equal power at all frequencies.

    Parameters
    ----------
    seconds : float
        Length in seconds.
    rng : numpy.random.Generator
        Source of the randomness.
    level_db : float
        Root-mean-square level in dB re full scale, as `asrlib.audio.level_db` measures it.
    sample_rate : int
        Samples per second.

    Returns
    -------
    ndarray, shape (n_samples,)
        float32, within [-1, 1].

    Raises
    ------
    AudioError
        When the level is so high that peaks would pass 1.

    Examples
    --------
    >>> noise = white_noise(0.5, rng=np.random.default_rng(0), level_db=-30)
    >>> len(noise), round(audio.level_db(noise), 1)
    (8000, -30.0)

    Lesson: 02
    """
    samples = rng.standard_normal(_n_samples(seconds, sample_rate))
    return _at_level(samples, level_db)


def pink_noise(
    seconds: float,
    *,
    rng: np.random.Generator,
    level_db: float = _LEVEL_DB,
    sample_rate: int = audio.SAMPLE_RATE,
) -> np.ndarray:
    """Make noise with equal power in every octave: 3 dB less at each doubling of the frequency.

    Parameters
    ----------
    seconds, rng, level_db, sample_rate
        As in `white_noise`.

    Returns
    -------
    ndarray, shape (n_samples,)
        float32, within [-1, 1].

    Raises
    ------
    AudioError
        When the level is so high that peaks would pass 1.

    Examples
    --------
    >>> len(pink_noise(0.5, rng=np.random.default_rng(0)))
    8000

    Lesson: 02
    """
    samples = rng.standard_normal(_n_samples(seconds, sample_rate))
    frequencies = scipy.fft.rfftfreq(len(samples), 1 / sample_rate)
    # Below 20 Hz nobody hears it, but most of its power would lie there.
    gain = np.where(frequencies < 20, 0, 1 / np.sqrt(np.maximum(frequencies, 20)))
    return _at_level(_shaped(samples, gain), level_db)


def brown_noise(
    seconds: float,
    *,
    rng: np.random.Generator,
    level_db: float = _LEVEL_DB,
    sample_rate: int = audio.SAMPLE_RATE,
) -> np.ndarray:
    """Make noise like distant surf: 6 dB less at each doubling of the frequency, nothing below 20 Hz.

    Parameters
    ----------
    seconds, rng, level_db, sample_rate
        As in `white_noise`.

    Returns
    -------
    ndarray, shape (n_samples,)
        float32, within [-1, 1].

    Raises
    ------
    AudioError
        When the level is so high that peaks would pass 1.

    Examples
    --------
    >>> len(brown_noise(0.5, rng=np.random.default_rng(0)))
    8000

    Lesson: 02
    """
    samples = rng.standard_normal(_n_samples(seconds, sample_rate))
    frequencies = scipy.fft.rfftfreq(len(samples), 1 / sample_rate)
    gain = np.where(frequencies < 20, 0, 1 / np.maximum(frequencies, 20))
    return _at_level(_shaped(samples, gain), level_db)


def hiss(
    seconds: float,
    *,
    rng: np.random.Generator,
    level_db: float = _LEVEL_DB,
    sample_rate: int = audio.SAMPLE_RATE,
) -> np.ndarray:
    """Make the noise of tape and cheap amplifiers: white above 2 kHz, falling by 6 dB per octave below.

    Parameters
    ----------
    seconds, rng, level_db, sample_rate
        As in `white_noise`.

    Returns
    -------
    ndarray, shape (n_samples,)
        float32, within [-1, 1].

    Raises
    ------
    AudioError
        When the level is so high that peaks would pass 1.

    Examples
    --------
    >>> len(hiss(0.5, rng=np.random.default_rng(0)))
    8000

    Lesson: 02
    """
    samples = rng.standard_normal(_n_samples(seconds, sample_rate))
    relative = scipy.fft.rfftfreq(len(samples), 1 / sample_rate) / 2000
    return _at_level(_shaped(samples, relative / np.sqrt(1 + relative**2)), level_db)


def hum(
    seconds: float,
    *,
    rng: np.random.Generator | None = None,
    mains_hz: float = 50.0,
    n_harmonics: int = 8,
    level_db: float = _LEVEL_DB,
    sample_rate: int = audio.SAMPLE_RATE,
) -> np.ndarray:
    """Make the hum of the mains: its frequency and whole multiples of it, the k-th with 1/k of the amplitude.

    Parameters
    ----------
    seconds : float
        Length in seconds.
    rng : numpy.random.Generator, optional
        Draws the phase of each partial. Without it all start at zero.
    mains_hz : float
        50 in most of the world, 60 in the Americas and parts of Asia.
    n_harmonics : int
        Number of partials, the fundamental included.
    level_db, sample_rate
        As in `white_noise`.

    Returns
    -------
    ndarray, shape (n_samples,)
        float32, within [-1, 1].

    Raises
    ------
    ValueError
        When a partial would lie at or above half the sample rate.
    AudioError
        When the level is so high that peaks would pass 1.

    Examples
    --------
    >>> round(audio.level_db(hum(1.0, mains_hz=60, level_db=-20)), 1)
    -20.0

    Lesson: 02
    """
    if n_harmonics < 1 or not 0 < mains_hz * n_harmonics < sample_rate / 2:
        raise ValueError(
            f"{n_harmonics} partials of {mains_hz} Hz do not fit between 0 and half the sample rate, "
            f"{sample_rate / 2} Hz. Choose at least one partial, and fewer if the highest is above."
        )
    time = np.arange(_n_samples(seconds, sample_rate)) / sample_rate
    phases = np.zeros(n_harmonics) if rng is None else rng.uniform(0, 2 * np.pi, n_harmonics)
    partials = (
        np.sin(2 * np.pi * k * mains_hz * time + phase) / k for k, phase in enumerate(phases, start=1)
    )
    return _at_level(sum(partials), level_db)


def babble(
    seconds: float,
    *,
    clips: Sequence[np.ndarray],
    rng: np.random.Generator,
    n_voices: int = 6,
    level_db: float = _LEVEL_DB,
    sample_rate: int = audio.SAMPLE_RATE,
) -> np.ndarray:
    """Let several voices talk at once, each saying clip after clip at the same speech level.

    Parameters
    ----------
    seconds : float
        Length in seconds.
    clips : sequence of ndarray, each (n_samples,)
        What the voices say, at `sample_rate`. Each voice draws from all of them.
    rng : numpy.random.Generator
        Draws the clips and where each voice starts.
    n_voices : int
        Number of voices.
    level_db, sample_rate
        As in `white_noise`.

    Returns
    -------
    ndarray, shape (n_samples,)
        float32, within [-1, 1].

    Raises
    ------
    ValueError
        When there is no clip or no voice.
    AudioError
        When a clip is silent or unusable, or the level is so high that peaks would pass 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> clips = [white_noise(0.3, rng=rng), pink_noise(0.2, rng=rng)]
    >>> len(babble(1.0, clips=clips, rng=rng))
    16000

    Lesson: 02
    """
    if len(clips) == 0 or n_voices < 1:
        raise ValueError(f"{len(clips)} clips and {n_voices} voices came. Babble needs at least one of each.")
    n_samples = _n_samples(seconds, sample_rate)
    mixture = np.zeros(n_samples)
    for _ in range(n_voices):
        mixture += _one_voice(n_samples, clips, rng, sample_rate)
    return _at_level(mixture, level_db)


def speech_frames(samples: np.ndarray, *, sample_rate: int = audio.SAMPLE_RATE) -> np.ndarray:
    """Tell which frames of 20 ms hold speech, judged by their energy.

    Speech is the largest set of loudest frames in which no frame lies more than 15.9 dB below the mean power
    of the set. That is the margin of ITU-T P.56, on frames instead of an envelope. In a recording whose
    pauses are nearly as loud as its speech, all frames count.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        A recording, float, in [-1, 1], not silent.
    sample_rate : int
        Samples per second.

    Returns
    -------
    ndarray of bool, shape (n_frames,)
        One value for every 20 ms; the last frame may be shorter.

    Raises
    ------
    AudioError
        When the recording is silent or unusable.

    Examples
    --------
    >>> sound = np.concatenate([np.zeros(8000), 0.1 * np.ones(8000)])
    >>> mask = speech_frames(sound)
    >>> len(mask), int(mask.sum()), bool(mask[:25].any())
    (50, 25, False)

    References
    ----------
    .. [1] ITU-T Recommendation P.56, "Objective measurement of active speech level", 2011.

    Lesson: 02
    """
    samples = audio.check(samples)
    return _active(_frame_energies(samples, sample_rate)[1])


def speech_level_db(samples: np.ndarray, *, sample_rate: int = audio.SAMPLE_RATE) -> float:
    """Measure the level of the speech alone: the mean power of the frames that `speech_frames` finds.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        A recording, float, in [-1, 1], not silent.
    sample_rate : int
        Samples per second.

    Returns
    -------
    float
        Level in dB re full scale. Silence around the speech does not change it.

    Raises
    ------
    AudioError
        When the recording is silent or unusable.

    Examples
    --------
    >>> tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    >>> padded = np.concatenate([np.zeros(16_000), tone, np.zeros(16_000)])
    >>> round(audio.level_db(padded), 2), round(speech_level_db(padded), 2)
    (-27.78, -23.01)

    Lesson: 02
    """
    lengths, powers = _frame_energies(audio.check(samples), sample_rate)
    active = _active(powers)
    return 10 * math.log10(float(np.average(powers[active], weights=lengths[active])))


def fit_length(
    noise: np.ndarray, signal: np.ndarray, *, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Cut a noise, or repeat it in a loop, to the length of a signal.

    Parameters
    ----------
    noise : ndarray, shape (n_noise,)
        A recording of noise.
    signal : ndarray, shape (n_samples,)
        Gives the length.
    rng : numpy.random.Generator, optional
        Draws where in the noise to start. Without it, at its first sample.

    Returns
    -------
    ndarray, shape (n_samples,)
        float32. A loop may click where its end meets its start.

    Raises
    ------
    AudioError
        When the noise is empty or unusable.

    Examples
    --------
    >>> fit_length(np.array([0.1, 0.2, 0.3], np.float32), np.zeros(5)).round(1).tolist()
    [0.10000000149011612, 0.20000000298023224, 0.30000001192092896, 0.10000000149011612, 0.20000000298023224]

    Lesson: 02
    """
    noise = audio.check(noise, name="noise")
    start = 0
    if rng is not None:
        # A long noise is cut from within; a short one has to be looped, so it may start anywhere.
        start = int(rng.integers(len(noise) - len(signal) + 1 if len(noise) >= len(signal) else len(noise)))
    return np.take(noise, np.arange(start, start + len(signal)), mode="wrap")


def mix(
    signal: np.ndarray,
    noise: np.ndarray,
    *,
    snr_db: float,
    limit: bool = False,
    sample_rate: int = audio.SAMPLE_RATE,
) -> np.ndarray:
    """Add noise to speech at a stated signal-to-noise ratio.

    The ratio compares the power of the speech while somebody speaks (`speech_level_db`) with the mean power
    of the noise, so silence around a word does not change how noisy the word becomes. The speech keeps its
    level; the noise is scaled.

    Parameters
    ----------
    signal : ndarray, shape (n_samples,)
        Speech, float, in [-1, 1], not silent.
    noise : ndarray, shape (n_samples,)
        Noise of the same length; `fit_length` cuts or loops it.
    snr_db : float
        Signal-to-noise ratio in dB. Infinity gives the speech alone.
    limit : bool
        Where the sum passes 1: False raises an error, True scales the whole mixture down to a peak of 1,
        which keeps the ratio and lowers the level.
    sample_rate : int
        Samples per second of both.

    Returns
    -------
    ndarray, shape (n_samples,)
        The mixture, float32, within [-1, 1].

    Raises
    ------
    AudioError
        When the lengths differ, one of the two is silent or unusable, or the sum passes 1 and `limit` is
        False.
    ValueError
        When `snr_db` is not a number, or is minus infinity.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> speech = 0.1 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000).astype(np.float32)
    >>> noisy = mix(speech, white_noise(1.0, rng=rng), snr_db=10)
    >>> round(speech_level_db(speech) - audio.level_db(noisy - speech), 1)
    10.0

    Lesson: 02
    """
    signal = audio.check(signal, name="signal")
    noise = audio.check(noise, name="noise")
    if math.isnan(snr_db) or snr_db == -math.inf:
        raise ValueError(f"snr_db is {snr_db}; it must be a number of decibels, or infinity for no noise.")
    if len(noise) != len(signal):
        raise AudioError(
            f"The noise has {len(noise)} samples and the signal {len(signal)}. "
            "Cut or loop the noise with fit_length(noise, signal)."
        )
    noise_level_db = speech_level_db(signal, sample_rate=sample_rate) - snr_db
    gain = 10 ** ((noise_level_db - audio.level_db(noise)) / 20)
    mixture = signal + np.float32(gain) * noise
    peak = float(np.abs(mixture).max())
    if peak > 1 and not limit:
        raise AudioError(
            f"The mixture at {snr_db} dB reaches a peak of {peak:.2f}, beyond 1. Lower the signal's level, "
            "or pass limit=True to scale the whole mixture down."
        )
    return audio.peak_limit(mixture, peak=1.0)


def snr_db(clean: np.ndarray, received: np.ndarray, *, sample_rate: int = audio.SAMPLE_RATE) -> float:
    """Measure the signal-to-noise ratio while somebody speaks: everything that differs counts as noise.

    Parameters
    ----------
    clean : ndarray, shape (n_samples,)
        The speech as it was, float, in [-1, 1], not silent.
    received : ndarray, shape (n_samples,)
        The same speech after noise, a filter or a quantiser; may pass [-1, 1]. A delay or another level
        counts as noise too, so undo them first.
    sample_rate : int
        Samples per second of both.

    Returns
    -------
    float
        Power of `clean` over power of the difference, in dB, both over the frames that `speech_frames` finds
        in `clean`. Infinity when nothing differs there.

    Raises
    ------
    AudioError
        When the lengths differ, or one of the two is unusable.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> speech = sine(440, seconds=1, amplitude=0.1)
    >>> round(snr_db(speech, mix(speech, white_noise(1.0, rng=rng), snr_db=10)), 1)
    10.0

    Lesson: 01, 02
    """
    clean = audio.check(clean, name="clean")
    audio.level_db(received)  # says what is wrong where it is not a finite clip
    if len(clean) != len(received):
        raise AudioError(
            f"clean has {len(clean)} samples and received {len(received)}. Expected the same clip twice; cut "
            "what a filter added at the end."
        )
    lengths, powers = _frame_energies(clean, sample_rate)
    active = _active(powers)
    errors = _frame_energies(received.astype(np.float64) - clean, sample_rate)[1]
    error = float(np.average(errors[active], weights=lengths[active]))
    if error == 0:
        return math.inf
    return 10 * math.log10(float(np.average(powers[active], weights=lengths[active])) / error)


def _finite(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{name}={value!r} came. Expected a finite number.")
    return float(value)


def _amplitude(value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"amplitude={value!r} came. Expected 0 to 1; 1 is full scale.")
    return float(value)


def _whole(name: str, value: int, *, low: int, high: int | None = None) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ValueError(f"{name}={value!r} came. Expected a whole number.")
    if value < low or (high is not None and value > high):
        wanted = f"at least {low}" if high is None else f"{low} to {high}"
        raise ValueError(f"{name}={value!r} came. Expected {wanted}.")
    return int(value)


def _checked_rate(sample_rate: int) -> int:
    if not (math.isfinite(sample_rate) and sample_rate > 0):
        raise ValueError(
            f"sample_rate={sample_rate!r} came. Expected a positive number of Hz, such as 16000."
        )
    return sample_rate


def _dither(n_samples: int, kind: str, rng: np.random.Generator | None) -> np.ndarray | float:
    """Draw dither in steps of the quantiser."""
    if kind not in _DITHERS:
        raise ValueError(f"dither={kind!r} came. Expected one of {', '.join(_DITHERS)}.")
    if kind == "none":
        return 0.0
    if rng is None:
        raise ValueError(
            f"dither={kind!r} came without rng. Dither is random: pass rng=np.random.default_rng(0)."
        )
    n_sources = 1 if kind == "rectangular" else 2
    return rng.uniform(-0.5, 0.5, (n_sources, n_samples)).sum(axis=0)


def _sinc_sum(samples: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Compute ``np.sinc(positions[:, np.newaxis] - np.arange(len(samples))) @ samples``, but faster.

    The sines of one position differ in sign only, so one is computed, and the sum is over 1 / distance.
    """
    nearest = np.round(positions)
    on_a_sample = np.abs(positions - nearest) < 1e-9
    numbers = np.arange(len(samples))
    distances = np.where(on_a_sample, 0.5, positions)[:, np.newaxis] - numbers
    signs = 1.0 - 2.0 * (numbers % 2)
    sines = np.sin(np.pi * (positions - nearest)) * (1 - 2 * (nearest % 2))
    values = sines / np.pi * (np.reciprocal(distances) @ (signs * samples))
    hit = np.clip(nearest, 0, len(samples) - 1).astype(int)
    return np.where(on_a_sample, samples[hit] * (hit == nearest), values)


def _n_samples(seconds: float, sample_rate: int) -> int:
    n_samples = round(_finite("seconds", seconds) * _checked_rate(sample_rate))
    if n_samples < 1:
        raise ValueError(f"{seconds} s at {sample_rate} Hz hold no sample. Ask for a positive length.")
    return n_samples


def _shaped(samples: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Weight the frequencies of a noise; its end then fits its start, so it loops without a click."""
    return scipy.fft.irfft(scipy.fft.rfft(samples) * gain, len(samples))


def _at_level(samples: np.ndarray, level_db: float) -> np.ndarray:
    power = float(np.mean(np.square(samples)))
    if power == 0:
        raise AudioError("The noise is silent, so no gain brings it to a level. Ask for a longer one.")
    scaled = (samples * (10 ** (level_db / 20) / math.sqrt(power))).astype(np.float32)
    peak = float(np.abs(scaled).max())
    if peak > 1:
        raise AudioError(
            f"At {level_db} dB the noise reaches a peak of {peak:.2f}, beyond 1. Lower level_db."
        )
    return scaled


def _one_voice(
    n_samples: int, clips: Sequence[np.ndarray], rng: np.random.Generator, sample_rate: int
) -> np.ndarray:
    said: list[np.ndarray] = []
    # As long again as its longest clip: the voice can then start anywhere in its first clip.
    while sum(map(len, said)) < n_samples + len(max(said, key=len, default=())):
        clip = clips[int(rng.integers(len(clips)))]
        said.append(clip / 10 ** (speech_level_db(clip, sample_rate=sample_rate) / 20))
    start = int(rng.integers(len(said[0])))
    return np.concatenate(said)[start : start + n_samples]


def _frame_energies(samples: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Give the length and the mean power of each frame; together they cover every sample."""
    starts = np.arange(0, len(samples), max(1, round(_FRAME_SECONDS * sample_rate)))
    lengths = np.diff(starts, append=len(samples))
    return lengths, np.add.reduceat(np.square(samples, dtype=np.float64), starts) / lengths


def _active(powers: np.ndarray) -> np.ndarray:
    """Mark the largest set of loudest frames of which none lies below the set's mean by the margin."""
    loudest_first = np.argsort(-powers, kind="stable")
    ordered = powers[loudest_first]
    means = np.cumsum(ordered) / np.arange(1, len(ordered) + 1)
    within = ordered >= means * 10 ** (-_SPEECH_MARGIN_DB / 10)
    active = np.zeros(len(powers), bool)
    active[loudest_first[: np.flatnonzero(within)[-1] + 1]] = True
    return active
