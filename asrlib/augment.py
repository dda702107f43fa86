"""Change recordings the way the world does, so that a network hears more than its training speakers.

Each function changes one thing and takes what it changes by as an argument; only `Augmentation` and
`augment` draw at random. All of them leave the word what it is, but for `mix_up`, which changes the target
with it. Waveform changes come before the features, `fade_edge`, `wander`, `warp_frequency`, `mask_features`
and `mix_up` after them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
import scipy.signal

from asrlib import audio, signals

__all__ = [
    "Augmentation",
    "augment",
    "band_limit",
    "change_speed",
    "fade_edge",
    "mask_features",
    "mix_up",
    "reverberate",
    "tilt",
    "trim_quiet_edges",
    "wander",
    "warp_frequency",
]

_TELEPHONE_ORDER = 4


def change_speed(samples: np.ndarray, factor: float, *, sample_rate: int = audio.SAMPLE_RATE) -> np.ndarray:
    """Play a recording faster or slower, as a tape does: tempo, pitch and formants move together.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        A recording.
    factor : float
        Above 1: faster and higher. 1 changes nothing.
    sample_rate : int
        Samples per second, the same before and after.

    Returns
    -------
    ndarray, shape (about n_samples / factor,)
        float32. Resampling may overshoot a peak of 1 a little; `asrlib.audio.peak_limit` helps.

    Raises
    ------
    ValueError
        When the factor is not between 0.25 and 4.

    Examples
    --------
    >>> len(change_speed(0.5 * np.sin(np.arange(16_000) * 0.3, dtype=np.float32), 1.25))
    12800

    References
    ----------
    T. Ko, V. Peddinti, D. Povey, S. Khudanpur, "Audio augmentation for speech recognition", Interspeech 2015.

    Lesson: 06
    """
    if not 0.25 <= factor <= 4:
        raise ValueError(f"factor is {factor}; expected a speed between 0.25 (a quarter) and 4 (four times).")
    if factor == 1:
        return samples
    return audio.resample(samples, source_rate=round(sample_rate * factor), target_rate=sample_rate)


def reverberate(
    samples: np.ndarray,
    *,
    seconds: float,
    wet_db: float,
    rng: np.random.Generator,
    sample_rate: int = audio.SAMPLE_RATE,
) -> np.ndarray:
    """Put a recording into a room: add echoes that die away exponentially.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        A recording.
    seconds : float
        Reverberation time RT60: the echoes have lost 60 dB after it.
    wet_db : float
        Energy of all echoes together against the direct sound, in dB: 0 means as much.
    rng : numpy.random.Generator
        Draws the echoes.
    sample_rate : int
        Samples per second.

    Returns
    -------
    ndarray, shape (n_samples,)
        float32, cut to the length that came in.

    Raises
    ------
    ValueError
        When `seconds` is not positive.

    Examples
    --------
    >>> click = np.zeros(8000, np.float32); click[0] = 0.5
    >>> room = reverberate(click, seconds=0.3, wet_db=0, rng=np.random.default_rng(0))
    >>> bool(np.abs(room[4000:]).max() > 0), float(room[0])
    (True, 0.5)

    References
    ----------
    J. B. Allen, D. A. Berkley, "Image method for efficiently simulating small-room acoustics",
    J. Acoust. Soc. Am. 65 (1979), for rooms with walls; noise that decays is the simplest room of all.

    Lesson: 02
    """
    if not seconds > 0:
        raise ValueError(f"seconds is {seconds}; a reverberation time is positive, for example 0.4.")
    time = np.arange(1, round(seconds * sample_rate) + 1) / sample_rate
    echoes = rng.standard_normal(len(time)) * 10 ** (-3 * time / seconds)
    echoes *= 10 ** (wet_db / 20) / math.sqrt(np.square(echoes).sum())
    tail = scipy.signal.fftconvolve(samples, echoes.astype(np.float32))[: len(samples) - 1]
    room = np.array(samples, np.float32)
    room[1:] += tail
    return room


def band_limit(
    samples: np.ndarray,
    *,
    low_hz: float = 0.0,
    high_hz: float = 3_400.0,
    sample_rate: int = audio.SAMPLE_RATE,
) -> np.ndarray:
    """Keep only a band of frequencies, as a telephone line or a cheap microphone does.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        A recording.
    low_hz, high_hz : float
        Edges of the band, where the level has fallen by 3 dB. ``low_hz=0`` keeps the lowest frequencies.
    sample_rate : int
        Samples per second.

    Returns
    -------
    ndarray, shape (n_samples,)
        float32.

    Raises
    ------
    ValueError
        When the edges are not in order between 0 and half the sample rate.

    Examples
    --------
    >>> seconds = np.arange(16_000) / 16_000
    >>> hiss = np.sin(2 * np.pi * 6000 * seconds).astype(np.float32)
    >>> bool(np.abs(band_limit(hiss)[2000:]).max() < 0.01)
    True

    Lesson: 01
    """
    if not 0 <= low_hz < high_hz < sample_rate / 2:
        raise ValueError(
            f"The band from {low_hz} to {high_hz} Hz does not fit: "
            f"expected 0 <= low_hz < high_hz < {sample_rate / 2} Hz."
        )
    edges = (low_hz, high_hz) if low_hz > 0 else high_hz
    kind = "bandpass" if low_hz > 0 else "lowpass"
    # Steep enough that what the line takes is gone, as after a real 8 kHz converter.
    sections = scipy.signal.cheby2(
        2 * _TELEPHONE_ORDER, 60, _stop_edges(edges, sample_rate), kind, fs=sample_rate, output="sos"
    )
    return scipy.signal.sosfilt(sections, samples).astype(np.float32)


def _stop_edges(edges: tuple[float, float] | float, sample_rate: int) -> list[float] | float:
    """Where a Chebyshev filter of type II must reach its stop band, for 3 dB near the edges asked for."""
    room = 0.95 * sample_rate / 2
    if isinstance(edges, tuple):
        return [edges[0] * 0.7, min(edges[1] * 1.12, room)]
    return min(edges * 1.12, room)


def tilt(samples: np.ndarray, *, db_per_octave: float, sample_rate: int = audio.SAMPLE_RATE) -> np.ndarray:
    """Make a recording brighter or darker: a straight slope over the octaves, as microphones differ.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        A recording.
    db_per_octave : float
        Slope around 1 kHz; positive is brighter. Below 100 Hz the slope ends.
    sample_rate : int
        Samples per second.

    Returns
    -------
    ndarray, shape (n_samples,)
        float32.

    Examples
    --------
    >>> seconds = np.arange(16_000) / 16_000
    >>> tone = 0.1 * np.sin(2 * np.pi * 2000 * seconds).astype(np.float32)
    >>> round(float(audio.level_db(tilt(tone, db_per_octave=3.0)) - audio.level_db(tone)), 1)
    3.0

    Lesson: 06
    """
    spectrum = np.fft.rfft(samples)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(len(samples), 1 / sample_rate), 100.0) / 1000.0)
    return np.fft.irfft(spectrum * 10 ** (db_per_octave * octaves / 20), len(samples)).astype(np.float32)


def trim_quiet_edges(
    samples: np.ndarray, *, threshold_db: float, sample_rate: int = audio.SAMPLE_RATE
) -> np.ndarray:
    """Cut both ends down to what is louder than a threshold, as many recording programs do.

    Weak sounds at the edge of a word go with it: the /s/ of "six", the /f/ of "five".

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        A recording, not silent.
    threshold_db : float
        Level, re the loudest 10 ms, below which an edge is cut; for example -25.
    sample_rate : int
        Samples per second.

    Returns
    -------
    ndarray, shape (at most n_samples,)
        A view of the middle of the recording.

    Raises
    ------
    ValueError
        When the threshold is not below 0 dB.

    Examples
    --------
    >>> word = np.concatenate([np.full(1600, 0.001), np.full(4800, 0.1), np.full(1600, 0.001)])
    >>> len(trim_quiet_edges(word, threshold_db=-25))
    4800

    Lesson: 06
    """
    if not threshold_db < 0:
        raise ValueError(
            f"threshold_db is {threshold_db}; it must be below 0, the level of the loudest 10 ms."
        )
    block = sample_rate // 100
    power = np.add.reduceat(np.square(samples, dtype=np.float64), np.arange(0, len(samples), block))
    loud = np.flatnonzero(power >= power.max() * 10 ** (threshold_db / 10))
    return samples[loud[0] * block : (loud[-1] + 1) * block]


def fade_edge(features: np.ndarray, *, by: float, n_frames: int, edge: str = "start") -> np.ndarray:
    """Let a word begin or end more softly, as speakers differ in how strongly they say its outer consonants.

    The /s/ of one person's "six" is almost as loud as the vowel, of another's it is hardly there. A factor of
    the sound is a difference of its logarithm, so a straight line is subtracted.

    Parameters
    ----------
    features : ndarray, shape (n_frames, n_mels)
        Log-mel features.
    by : float
        What the outermost frame loses, 0 or more, in the unit of the features: natural logarithms of power
        lose 20 dB by ``20 * log(10) / 10``, which is 4.6.
    n_frames : int
        Length of the line, from the edge to where nothing is lost; at most half of the frames fade.
    edge : str
        "start" or "stop".

    Returns
    -------
    ndarray, shape (n_frames, n_mels)
        A new array.

    Raises
    ------
    ValueError
        When `by` or `n_frames` is below 0, or `edge` is something else.

    Examples
    --------
    >>> fade_edge(np.zeros((6, 1)), by=4.0, n_frames=2).ravel().tolist()
    [-4.0, -2.0, 0.0, 0.0, 0.0, 0.0]

    Lesson: 06
    """
    if not 0 <= by < math.inf:
        raise ValueError(f"by is {by}; a loss is 0 or more, for example 4.6 for 20 dB.")
    if n_frames < 0:
        raise ValueError(f"n_frames is {n_frames}; a fade has 0 frames or more, for example 10.")
    if edge not in ("start", "stop"):
        raise ValueError(f'edge is {edge!r}; it must be "start" or "stop".')
    length = min(n_frames, len(features) // 2)
    lost = np.zeros((len(features), 1), features.dtype)
    lost[:length, 0] = by * (1 - np.arange(length) / max(length, 1))
    return features - (lost if edge == "start" else lost[::-1])


def wander(features: np.ndarray, *, by: float, every: int, axis: int, rng: np.random.Generator) -> np.ndarray:
    """Add a random curve along one axis: loudness that comes and goes, or another microphone's colour.

    Parameters
    ----------
    features : ndarray, shape (n_frames, n_mels)
        Log-mel features.
    by : float
        Standard deviation of the curve at its corners, 0 or more, in the unit of the features.
    every : int
        About how many frames or bands lie between two corners, at least 1; the curve is straight between
        them, and has three or more.
    axis : int
        0 for a curve over time, the same in all bands; 1 for one over the bands, the same in all frames.
    rng : numpy.random.Generator
        Draws the corners.

    Returns
    -------
    ndarray, shape (n_frames, n_mels)
        A new array.

    Raises
    ------
    ValueError
        When `by`, `every` or `axis` is impossible.

    Examples
    --------
    >>> louder = wander(np.zeros((50, 4)), by=1.0, every=12, axis=0, rng=np.random.default_rng(0))
    >>> bool((louder == louder[:, :1]).all()), bool(0.2 < louder.std() < 1.5)
    (True, True)

    Lesson: 06
    """
    if not 0 <= by < math.inf:
        raise ValueError(f"by is {by}; a deviation is 0 or more, for example 0.5.")
    if every < 1:
        raise ValueError(f"every is {every}; corners are 1 frame or band apart, or more.")
    if axis not in (0, 1):
        raise ValueError(f"axis is {axis}; it must be 0, time, or 1, frequency.")
    length = features.shape[axis]
    corners = rng.normal(0, by, max(3, length // every + 2))
    places = np.arange(length) * ((len(corners) - 1) / max(length - 1, 1))  # in corners: 0, 1, 2 and so on
    curve = np.interp(places, np.arange(len(corners)), corners)
    return features + np.expand_dims(curve.astype(features.dtype), 1 - axis)


def warp_frequency(features: np.ndarray, factor: float) -> np.ndarray:
    """Stretch log-mel features along frequency, as if the speaker's vocal tract were shorter or longer.

    Parameters
    ----------
    features : ndarray, shape (n_frames, n_mels)
        Log-mel features.
    factor : float
        Above 1 moves formants up, below 1 down. Beyond the last band, the last band repeats.

    Returns
    -------
    ndarray, shape (n_frames, n_mels)
        float32, interpolated between bands.

    Raises
    ------
    ValueError
        When the factor is not between 0.5 and 2.

    Examples
    --------
    >>> peak = np.zeros((1, 40), np.float32); peak[0, 20] = 1
    >>> int(warp_frequency(peak, 1.1).argmax())
    22

    References
    ----------
    N. Jaitly, G. Hinton, "Vocal tract length perturbation (VTLP) improves speech recognition", ICML workshop
    on deep learning for audio, speech and language processing, 2013.

    Lesson: 06
    """
    if not 0.5 <= factor <= 2:
        raise ValueError(f"factor is {factor}; expected between 0.5 and 2; people differ by 0.8 to 1.25.")
    n_mels = features.shape[1]
    source = np.minimum(np.arange(n_mels) / factor, n_mels - 1)
    low = np.minimum(source.astype(int), n_mels - 2)
    share = (source - low).astype(np.float32)
    return (features[:, low] * (1 - share) + features[:, low + 1] * share).astype(np.float32)


def mask_features(
    features: np.ndarray,
    *,
    n_time: int,
    n_frequency: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Hide one stretch of time and one band of frequencies (SpecAugment), so that no single cue decides.

    Parameters
    ----------
    features : ndarray, shape (n_frames, n_coefficients)
        Normalised features: 0 stands for "average".
    n_time, n_frequency : int
        Greatest number of frames and of coefficients hidden; the width is drawn from 0 up to it.
    rng : numpy.random.Generator
        Draws widths and places.

    Returns
    -------
    ndarray, shape (n_frames, n_coefficients)
        A copy with the hidden part set to 0.

    Examples
    --------
    >>> hidden = mask_features(np.ones((50, 40)), n_time=10, n_frequency=8, rng=np.random.default_rng(0))
    >>> hidden.shape, bool(hidden.min() == 0)
    ((50, 40), True)

    References
    ----------
    D. S. Park et al., "SpecAugment: a simple data augmentation method for automatic speech recognition",
    Interspeech 2019.

    Lesson: 06
    """
    masked = np.array(features)
    for axis, greatest in ((0, n_time), (1, n_frequency)):
        width = int(rng.integers(0, min(greatest, features.shape[axis]) + 1))
        start = int(rng.integers(0, features.shape[axis] - width + 1))
        masked[(slice(None),) * axis + (slice(start, start + width),)] = 0
    return masked


def mix_up(
    features: np.ndarray, targets: np.ndarray, *, evenness: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Lay each clip of a batch over another one, and ask for both words in the same shares.

    Between two words the network learns to change its mind evenly, not at a line that fits the training
    voices.

    Parameters
    ----------
    features : ndarray, shape (n_clips, n_frames, n_coefficients)
        Normalised features, set into their windows.
    targets : ndarray, shape (n_clips, n_labels)
        Probabilities to learn; for one clip a 1 and zeros.
    evenness : float
        Both parameters of the Beta distribution that the shares are drawn from. Near 0 one of the two clips
        is hardly there, with 1 every share is as frequent.
    rng : numpy.random.Generator
        Draws shares and partners.

    Returns
    -------
    features, targets : ndarray
        Same shapes and types. A clip keeps the larger share of what stands at its place.

    Raises
    ------
    ValueError
        When `evenness` is not positive, or there is not one target for each clip.

    Examples
    --------
    >>> clips, words = np.array([[[0.0]], [[1.0]]]), np.eye(2)
    >>> mixed, wanted = mix_up(clips, words, evenness=1.0, rng=np.random.default_rng(3))
    >>> bool(np.allclose(mixed[:, 0, 0], wanted[:, 1])), wanted.sum(axis=1).tolist()
    (True, [1.0, 1.0])

    References
    ----------
    H. Zhang, M. Cisse, Y. N. Dauphin, D. Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018.

    Lesson: 06
    """
    if not 0 < evenness < math.inf:
        raise ValueError(f"evenness is {evenness}; it must be positive, for example 0.3.")
    if len(features) != len(targets):
        raise ValueError(f"There are {len(features)} clips and {len(targets)} targets; give one for each.")
    shares = rng.beta(evenness, evenness, len(features))
    shares = np.maximum(shares, 1 - shares)
    partners = rng.permutation(len(features))

    def mixed(values: np.ndarray) -> np.ndarray:
        own = shares.astype(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
        return own * values + (1 - own) * values[partners]

    return mixed(features), mixed(targets)


@dataclass(frozen=True)
class Augmentation:
    """What `augment` may do to a recording, and how often.

    Parameters
    ----------
    speed : (float, float)
        Range of the speed factor.
    trim_share, trim_db : float, (float, float)
        Share of recordings whose quiet edges are cut, and the range of the threshold in dB.
    reverberation_share, reverberation_seconds : float, (float, float)
        Share put into a room, and the range of its reverberation time in seconds.
    band_limit_share, band_limit_hz : float, (float, float)
        Share that loses its high frequencies, and the range of the upper edge in Hz.
    tilt_db_per_octave : float
        Greatest slope of the spectrum, in either direction.
    noise_share, snr_db : float, (float, float)
        Share that gets noise, and the range of the signal-to-noise ratio in dB.
    warp : (float, float)
        Range of the frequency warp of the features. This, `fade_share`, `wander_db` and `color_db` are for
        log-mel features; cepstra are left as they are.
    mask_frames, mask_bands : int
        Greatest width of the hidden stretch and band of the features.
    cut_share, cut_frames : float, int
        Share of edges at which frames of the features are cut off, each edge by itself, and the greatest
        number of them; never more than a third of a word. Whoever cuts recordings by hand, or by their level,
        now and then cuts off the start of a *three* or the end of a *six*.
    fade_share, fade_frames, fade_db : float, int, float
        Share of edges that fade, each by itself, the greatest number of frames that this takes and the
        greatest loss.
    wander_db, color_db : float
        Standard deviation of what is added to the word's loudness, as a curve over time with a corner every
        twelve frames, and to its bands, as a curve with a corner every five.

    Raises
    ------
    ValueError
        When a share is outside [0, 1] or a range is not in order.

    Examples
    --------
    >>> Augmentation(noise_share=0.5).snr_db
    (3.0, 30.0)
    >>> Augmentation.none().mask_bands
    0
    """

    speed: tuple[float, float] = (0.85, 1.25)
    trim_share: float = 0.5
    trim_db: tuple[float, float] = (-35.0, -15.0)
    reverberation_share: float = 0.3
    reverberation_seconds: tuple[float, float] = (0.1, 0.5)
    band_limit_share: float = 0.5
    band_limit_hz: tuple[float, float] = (3_000.0, 3_900.0)
    tilt_db_per_octave: float = 3.0
    noise_share: float = 0.7
    snr_db: tuple[float, float] = (3.0, 30.0)
    warp: tuple[float, float] = (0.78, 1.22)
    mask_frames: int = 12
    mask_bands: int = 3
    cut_share: float = 0.0
    cut_frames: int = 20
    fade_share: float = 0.0
    fade_frames: int = 30
    fade_db: float = 30.0
    wander_db: float = 0.0
    color_db: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_share") and not 0 <= value <= 1:
                raise ValueError(f"{field.name} is {value}; a share lies between 0 and 1.")
            if isinstance(value, tuple | list):
                object.__setattr__(self, field.name, tuple(value))
                if len(value) != 2 or not value[0] <= value[1]:
                    raise ValueError(f"{field.name} is {value}; a range is (lowest, highest).")

    @classmethod
    def none(cls) -> Augmentation:
        """Leave every recording as it is."""
        return cls(
            speed=(1.0, 1.0), trim_share=0.0, reverberation_share=0.0, band_limit_share=0.0,
            tilt_db_per_octave=0.0, noise_share=0.0, warp=(1.0, 1.0), mask_frames=0, mask_bands=0,
        )  # fmt: skip


def augment(
    samples: np.ndarray,
    augmentation: Augmentation,
    *,
    rng: np.random.Generator,
    others: list[np.ndarray] | None = None,
) -> np.ndarray:
    """Draw one variant of a recording: speed, room, microphone, noise, line, edges.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        A recording at 16 kHz.
    augmentation : Augmentation
        Ranges and shares.
    rng : numpy.random.Generator
        Draws the variant.
    others : list of ndarray, optional
        Recordings to make babble from; without them the noises are white and pink noise and hum.

    Returns
    -------
    ndarray, shape (n_other_samples,)
        float32, within [-1, 1].

    Examples
    --------
    >>> tone = 0.1 * np.sin(np.arange(8000) * 0.2).astype(np.float32)
    >>> same = augment(tone, Augmentation.none(), rng=np.random.default_rng(0))
    >>> bool(np.array_equal(same, tone))
    True

    Lesson: 06
    """
    samples = audio.check(samples)
    speed = float(rng.uniform(*augmentation.speed))
    changed = change_speed(samples, round(speed, 2))
    if rng.random() < augmentation.reverberation_share:
        changed = reverberate(
            changed,
            seconds=float(rng.uniform(*augmentation.reverberation_seconds)),
            wet_db=float(rng.uniform(-12, 0)),
            rng=rng,
        )
    if augmentation.tilt_db_per_octave:
        slope = float(rng.uniform(-1, 1)) * augmentation.tilt_db_per_octave
        changed = tilt(changed, db_per_octave=slope)
    changed = audio.peak_limit(changed, peak=1.0)
    if rng.random() < augmentation.noise_share:
        noise = _draw_noise(len(changed), rng=rng, others=others)
        changed = signals.mix(changed, noise, snr_db=float(rng.uniform(*augmentation.snr_db)), limit=True)
    if rng.random() < augmentation.band_limit_share:
        # After the noise: a telephone line narrows speech and room alike.
        low = float(rng.uniform(0, 300)) * (rng.random() < 0.5)
        changed = band_limit(changed, low_hz=low, high_hz=float(rng.uniform(*augmentation.band_limit_hz)))
    if rng.random() < augmentation.trim_share:
        # Last: who records a narrow band trims what is left of it, and an /s/ has little left below 4 kHz.
        changed = trim_quiet_edges(changed, threshold_db=float(rng.uniform(*augmentation.trim_db)))
    return audio.peak_limit(changed, peak=1.0)


def _draw_noise(n_samples: int, *, rng: np.random.Generator, others: list[np.ndarray] | None) -> np.ndarray:
    seconds = n_samples / audio.SAMPLE_RATE
    kind = rng.choice(["white", "pink", "hum", "babble"] if others else ["white", "pink", "hum"])
    if kind == "babble":
        voices = [others[i] for i in rng.integers(0, len(others), 8)]
        noise = signals.babble(seconds, clips=voices, rng=rng, n_voices=4)
    elif kind == "hum":
        noise = signals.hum(seconds, mains_hz=float(rng.choice([50.0, 60.0])), rng=rng)
    else:
        noise = {"white": signals.white_noise, "pink": signals.pink_noise}[kind](seconds, rng=rng)
    return np.resize(noise, n_samples)  # seconds round to a sample more or less
