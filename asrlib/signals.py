"""Noises made by code, the level of speech, and mixing the two at a stated signal-to-noise ratio.

Every noise is a function of its length in seconds and of ``rng``, and has a stated level, so that one can
stand for another: ``noise(seconds, rng=rng)``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy.fft

from asrlib import audio
from asrlib.errors import AudioError

__all__ = [
    "babble",
    "fit_length",
    "hiss",
    "hum",
    "mix",
    "pink_noise",
    "speech_frames",
    "speech_level_db",
    "white_noise",
]

_LEVEL_DB = -26.0
# ITU-T P.56 counts as speech what lies less than this below the level of the speech itself.
_SPEECH_MARGIN_DB = 15.9
_FRAME_SECONDS = 0.020


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


def _n_samples(seconds: float, sample_rate: int) -> int:
    n_samples = round(seconds * sample_rate)
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
