"""The figures of lesson 2: sounds by frequency, filters by what they do, speech found between pauses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle

from asrlib import audio
from asrlib.plots.common import add_colorbar, describe, look, minus, one, prepared

if TYPE_CHECKING:
    from asrlib.evaluation import NoiseRow
    from asrlib.filters import Filter, Response

__all__ = [
    "before_and_after",
    "gain",
    "group_delay",
    "impulse_response",
    "poles_and_zeros",
    "sound_spectrogram",
    "spectrogram_db",
    "speech_over_time",
]

_WINDOW, _HOP = 512, 128  # samples: 32 ms and 8 ms at the course's rate
_SHOWN_DB = 70.0
_LEAST_GAIN_DB = -80.0
_FREQUENCY_TICKS = (20, 50, 100, 200, 500, 1000, 2000, 4000, 8000)
_LINES = ("-", "--", "-.", ":")


def spectrogram_db(samples: np.ndarray) -> np.ndarray:
    """Measure the power at every frequency in short stretches of a sound.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        A recording.

    Returns
    -------
    ndarray, shape (n_frames, 257)
        Power of windows of 512 samples every 128 samples, in dB re a tone at full scale. From 0 Hz to half
        the sample rate.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 0.125 * np.arange(16_000))
    >>> picture = spectrogram_db(tone)
    >>> picture.shape, int(picture[60].argmax()), round(float(picture.max()), 1)
    ((126, 257), 64, 0.0)

    Lesson: 02
    """
    samples = one(samples, "samples", ndim=1, shape="(n_samples,)")
    padded = np.pad(np.asarray(samples, np.float32), _WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    window = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
    amplitude = np.abs(np.fft.rfft(frames * window)) / (window.sum() / 2)
    return (20 * np.log10(np.maximum(amplitude, 1e-6))).astype(np.float32)


def sound_spectrogram(
    samples: np.ndarray,
    *,
    sample_rate: int = audio.SAMPLE_RATE,
    loudest_db: float | None = None,
    colorbar: bool | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a sound as a picture: time to the right, frequency upwards, brighter where there is more power.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        Recording, in [-1, 1].
    sample_rate : int
        Samples per second.
    loudest_db : float, optional
        What the brightest colour stands for, in dB re a tone at full scale; black is 70 dB below. Left out:
        the loudest of this sound. Give pictures that are compared the same value.
    colorbar : bool, optional
        Whether to add the scale of the colours. Left out: only in a figure of its own.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When the samples are not one recording.

    Examples
    --------
    >>> tone = 0.5 * np.sin(2 * np.pi * 2000 * np.arange(16_000) / 16_000)
    >>> from asrlib.plots import alt_text
    >>> alt_text(sound_spectrogram(tone))
    'Spectrogram of 1.00 seconds. Its strongest frequency is 2000 Hz.'

    Lesson: 02
    """
    picture = spectrogram_db(samples)
    colorbar = ax is None if colorbar is None else colorbar
    ax = prepared(ax, size=(7.0, 2.6))
    loudest = float(picture.max()) if loudest_db is None else loudest_db
    seconds = len(samples) / sample_rate
    half_hop = _HOP / sample_rate / 2
    image = ax.imshow(
        picture.T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap="magma",
        vmin=loudest - _SHOWN_DB,
        vmax=loudest,
        extent=(-half_hop, (len(picture) - 0.5) * _HOP / sample_rate, 0, sample_rate / 2000),
    )
    ax.set_xlim(0, seconds)
    ax.set_xlabel("time (s)")
    ax.set_ylabel("frequency (kHz)")
    if colorbar:
        add_colorbar(image, ax, "power (dB)")
    strongest = np.mean(10 ** (picture / 10), axis=0).argmax() * sample_rate / _WINDOW
    describe(
        ax,
        f"Spectrogram of {seconds:.2f} seconds. Its strongest frequency is {strongest:.0f} Hz.",
    )
    return ax


def speech_over_time(
    samples: np.ndarray,
    frames: np.ndarray,
    *,
    frame_seconds: float = 0.020,
    sample_rate: int = audio.SAMPLE_RATE,
    ax: Axes | None = None,
) -> Axes:
    """Draw a sound over time, and shade the frames that count as speech.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        Recording, in [-1, 1].
    frames : ndarray of bool, shape (n_frames,)
        As `asrlib.signals.speech_frames` gives them.
    frame_seconds : float
        Length of a frame, in seconds.
    sample_rate : int
        Samples per second.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When the samples are not one recording.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> sound = np.concatenate([np.zeros(8000), np.full(8000, 0.1)])
    >>> alt_text(speech_over_time(sound, np.repeat([False, True], 25)))
    'Waveform of 1.00 seconds; 50 % of its frames, shaded, count as speech.'

    Lesson: 02
    """
    samples = one(samples, "samples", ndim=1, shape="(n_samples,)")
    frames = np.asarray(frames, bool)
    ax = prepared(ax, size=(7.0, 2.2))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], frames, [False]]).astype(np.int8)))
    for number, (first, last) in enumerate(edges.reshape(-1, 2)):
        label = None if number else "counts as speech"
        span = (first * frame_seconds, last * frame_seconds)
        ax.axvspan(*span, color=look().strong, alpha=0.25, linewidth=0, label=label)
    ax.plot(np.arange(len(samples)) / sample_rate, samples, color=look().main, linewidth=0.7)
    seconds = len(samples) / sample_rate
    peak = float(np.abs(samples).max()) or 1.0
    ax.set_xlim(0, seconds)
    ax.set_ylim(-1.08 * peak, 1.08 * peak)
    ax.set_xlabel("time (s)")
    ax.set_ylabel("amplitude")
    if frames.any():
        ax.legend(loc="upper right", frameon=False, labelcolor=look().ink)
    share = 100 * float(frames.mean()) if frames.size else 0.0
    describe(ax, f"Waveform of {seconds:.2f} seconds; {share:.0f} % of its frames, shaded, count as speech.")
    return ax


def gain(
    responses: Mapping[str, Response],
    *,
    lowest_db: float = _LEAST_GAIN_DB,
    logarithmic: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw what filters do to the level of each frequency.

    Parameters
    ----------
    responses : mapping of str to Response
        Name of each filter, and what `asrlib.filters.frequency_response` gave for it.
    lowest_db : float
        Where the axis of the gain ends.
    logarithmic : bool
        Whether octaves, and not kilohertz, are equally wide.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When there is no response.

    Examples
    --------
    >>> from asrlib import filters
    >>> from asrlib.plots import alt_text
    >>> low = filters.frequency_response(filters.butterworth("lowpass", 1000.0))
    >>> alt_text(gain({"low-pass": low}))
    'Gain over frequency. low-pass: within 3 dB of its greatest gain from 0 to about 986 Hz.'

    Lesson: 02
    """
    if not responses:
        raise ValueError("There is no response to draw. Pass {name: frequency_response(filter)}.")
    ax = prepared(ax, size=(6.4, 2.8))
    words = []
    for number, (name, response) in enumerate(responses.items()):
        color, line = look().colors[number % len(look().colors)], _LINES[number % len(_LINES)]
        shown = np.maximum(response.gain_db, lowest_db - 20)
        ax.plot(response.frequencies, shown, color=color, linestyle=line, label=name)
        words.append(f"{name}: {_band_in_words(response)}")
    top = max(float(np.max(response.gain_db)) for response in responses.values())
    nyquist = max(float(np.max(response.frequencies)) for response in responses.values())
    ax.set_ylim(lowest_db, max(5.0, top + 5))
    _frequency_axis(ax, nyquist, logarithmic=logarithmic)
    ax.set_ylabel("gain (dB)")
    if len(responses) > 1:
        ax.legend(loc="best", frameon=False, labelcolor=look().ink)
    describe(ax, f"Gain over frequency. {'; '.join(words)}.")
    return ax


def group_delay(
    delays: Mapping[str, tuple[np.ndarray, np.ndarray]],
    *,
    longest_seconds: float | None = None,
    logarithmic: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw how long filters hold each frequency back.

    Parameters
    ----------
    delays : mapping of str to (frequencies, seconds)
        Name of each filter, and what `asrlib.filters.group_delay` gave for it.
    longest_seconds : float, optional
        Where the axis of the delay ends; left out, above the longest delay.
    logarithmic : bool
        Whether octaves, and not kilohertz, are equally wide.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When there is no filter.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> hertz = np.linspace(0, 8000, 5)
    >>> alt_text(group_delay({"FIR": (hertz, np.full(5, 0.004))}))
    'Group delay over frequency. FIR: 4.00 to 4.00 ms.'

    Lesson: 02
    """
    if not delays:
        raise ValueError("There is no delay to draw. Pass {name: group_delay(filter)}.")
    ax = prepared(ax, size=(6.4, 2.6))
    words = []
    longest = 0.0
    for number, (name, (frequencies, seconds)) in enumerate(delays.items()):
        known = np.isfinite(seconds)
        frequencies, seconds = np.asarray(frequencies)[known], np.asarray(seconds)[known]
        color, line = look().colors[number % len(look().colors)], _LINES[number % len(_LINES)]
        ax.plot(frequencies, 1000 * seconds, color=color, linestyle=line, label=name)
        longest = max(longest, float(seconds.max()))
        words.append(f"{name}: {1000 * seconds.min():.2f} to {1000 * seconds.max():.2f} ms")
    nyquist = max(float(np.max(frequencies)) for frequencies, _ in delays.values())
    ax.set_ylim(0, 1000 * (longest_seconds or 1.15 * longest or 1e-3))
    _frequency_axis(ax, nyquist, logarithmic=logarithmic)
    ax.set_ylabel("group delay (ms)")
    if len(delays) > 1:
        ax.legend(loc="best", frameon=False, labelcolor=look().ink)
    describe(ax, f"Group delay over frequency. {'; '.join(words)}.")
    return ax


def impulse_response(
    responses: Mapping[str, np.ndarray],
    *,
    sample_rate: int = audio.SAMPLE_RATE,
    ax: Axes | None = None,
) -> Axes:
    """Draw impulse responses: what comes out of a filter when a single sample of 1 goes in.

    Parameters
    ----------
    responses : mapping of str to ndarray, each (n_samples,)
        Name of each filter, and its impulse response.
    sample_rate : int
        Samples per second.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When there is no response.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> alt_text(impulse_response({"moving average": np.full(8, 1 / 8)}))
    'Impulse response. moving average: 8 samples, the largest 0.125 after 0.00 ms.'

    Lesson: 02
    """
    if not responses:
        raise ValueError("There is no impulse response to draw. Pass {name: values}.")
    ax = prepared(ax, size=(6.4, 2.4))
    words = []
    for number, (name, values) in enumerate(responses.items()):
        values = one(values, name, ndim=1, shape="(n_samples,)")
        milliseconds = 1000 * np.arange(len(values)) / sample_rate
        color = look().colors[number % len(look().colors)]
        ax.plot(milliseconds, values, color=color, linewidth=1, marker="o", markersize=2.5, label=name)
        largest = int(np.abs(values).argmax())
        words.append(
            f"{name}: {len(values)} samples, the largest {values[largest]:.3g} after "
            f"{milliseconds[largest]:.2f} ms"
        )
    ax.axhline(0, color=look().quiet, linewidth=0.8)
    ax.set_xlabel("time (ms)")
    ax.set_ylabel("amplitude")
    if len(responses) > 1:
        ax.legend(loc="best", frameon=False, labelcolor=look().ink, fontsize=8)
    describe(ax, f"Impulse response. {'; '.join(words)}.")
    return ax


def before_and_after(
    curves: Mapping[str, Sequence[NoiseRow]], *, chance: float | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the accuracy over the signal-to-noise ratio for several remedies, side by side at each ratio.

    Parameters
    ----------
    curves : mapping of str to sequence of NoiseRow
        Name of each remedy, and its rows; all with the same ratios.
    chance : float, optional
        Accuracy of guessing, from 0 to 1, drawn as a line.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into. The bars are the rows' intervals.

    Raises
    ------
    ValueError
        When there is no curve, or the ratios differ.

    Examples
    --------
    >>> from asrlib.evaluation import NoiseRow, wilson_interval
    >>> from asrlib.plots import alt_text
    >>> rows = [NoiseRow("0 dB", 100, 60, wilson_interval(60, 100), 0.0)]
    >>> alt_text(before_and_after({"nothing": rows, "gate": rows}))
    'Accuracy over signal-to-noise ratio. nothing: 0 dB 60 %. gate: 0 dB 60 %.'

    Lesson: 02
    """
    ratios = {name: tuple(row.snr_db for row in rows) for name, rows in curves.items()}
    if len(set(ratios.values())) != 1:
        raise ValueError(f"The ratios are {ratios}. Pass at least one curve, and the same ratios for all.")
    ax = prepared(ax, size=(6.4, 3.0))
    at = np.array(next(iter(ratios.values())), float)
    step = float(np.diff(np.sort(at)).min()) if len(at) > 1 else 5.0
    words = []
    for number, (name, rows) in enumerate(curves.items()):
        # Beside each other, so that the intervals can be told apart.
        shifted = at + step * 0.09 * (number - (len(curves) - 1) / 2)
        percent = np.array([100 * row.accuracy for row in rows])
        bounds = 100 * np.array([row.interval for row in rows])
        reach = np.maximum(0, np.stack([percent - bounds[:, 0], bounds[:, 1] - percent]))
        color, line = look().colors[number % len(look().colors)], _LINES[number % len(_LINES)]
        ax.errorbar(
            *(shifted, percent, reach),
            color=color,
            linestyle=line,
            label=name,
            marker="o",
            markersize=4,
            elinewidth=1.1,
            capsize=2.5,
        )
        numbers = ", ".join(f"{minus(row.snr_db)} dB {100 * row.accuracy:.0f} %" for row in rows)
        words.append(f"{name}: {numbers}.")
    if chance is not None:
        ax.axhline(100 * chance, color=look().quiet, linewidth=1, linestyle=(0, (4, 3)))
    ax.set_xticks(at, [minus(ratio) for ratio in at])
    ax.set_ylim(0, 104)
    ax.set_xlabel("signal-to-noise ratio (dB)")
    ax.set_ylabel("accuracy (%)")
    if len(curves) > 1:
        ax.legend(loc="best", frameon=False, labelcolor=look().ink, fontsize=8)
    describe(ax, f"Accuracy over signal-to-noise ratio. {' '.join(words)}")
    return ax


def poles_and_zeros(filter: Filter, *, reach: float = 1.3, ax: Axes | None = None) -> Axes:
    """Draw the poles and zeros of a filter with feedback, and the circle that its poles must not touch.

    Parameters
    ----------
    filter : Iir
        A filter with feedback, or anything with second-order sections in ``sos``.
    reach : float
        How far the axes reach from the middle.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When the filter has no second-order sections.

    Examples
    --------
    >>> from asrlib import filters
    >>> from asrlib.plots import alt_text
    >>> alt_text(poles_and_zeros(filters.butterworth("lowpass", 1000.0, order=2)))
    'Complex plane with 2 poles and 2 zeros. The outermost pole lies 0.758 from the middle.'

    Lesson: 02
    """
    if not hasattr(filter, "sos"):
        raise ValueError("This filter has no feedback, so no poles to draw. Pass an Iir filter.")
    zeros, poles = _roots(np.atleast_2d(filter.sos))
    ax = prepared(ax, size=(3.4, 3.4))
    ax.add_patch(Circle((0, 0), 1, fill=False, color=look().quiet))
    ax.axhline(0, color=look().quiet, linewidth=0.6)
    ax.axvline(0, color=look().quiet, linewidth=0.6)
    ax.plot(zeros.real, zeros.imag, "o", fillstyle="none", color=look().main, label="zero", markersize=8)
    ax.plot(poles.real, poles.imag, "x", color=look().strong, label="pole", markersize=8, markeredgewidth=2)
    ax.set_xlim(-reach, reach)
    ax.set_ylim(-reach, reach)
    ax.set_aspect("equal")
    ax.set_xlabel("real part")
    ax.set_ylabel("imaginary part")
    ax.legend(loc="upper left", frameon=False, labelcolor=look().ink, fontsize=8)
    describe(
        ax,
        f"Complex plane with {len(poles)} poles and {len(zeros)} zeros. The outermost pole lies "
        f"{np.abs(poles).max(initial=0):.3f} from the middle.",
    )
    return ax


def _roots(sos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return zeros and poles of all sections; a section of the first order brings one of each."""
    zeros, poles = [], []
    for section in sos:
        zeros.extend(np.roots(np.trim_zeros(section[:3], "b")))
        poles.extend(np.roots(np.trim_zeros(section[3:], "b")))
    return np.array(zeros, complex), np.array(poles, complex)


def _frequency_axis(ax: Axes, nyquist: float, *, logarithmic: bool) -> None:
    if logarithmic:
        ax.set_xscale("log")
        ax.set_xlim(20, nyquist)
        ticks = [hz for hz in _FREQUENCY_TICKS if hz <= nyquist]
        ax.set_xticks(ticks, [f"{hz // 1000}k" if hz >= 1000 else str(hz) for hz in ticks])
        ax.minorticks_off()
    else:
        ax.set_xlim(0, nyquist)
    ax.set_xlabel("frequency (Hz)")


def _band_in_words(response: Response) -> str:
    """Say where a filter lets sound through: the edges of each stretch within 3 dB of its greatest gain."""
    open_ = response.gain_db > np.max(response.gain_db) - 3.02
    edges = np.flatnonzero(np.diff(np.concatenate([[False], open_, [False]]).astype(np.int8))).reshape(-1, 2)
    spans = [
        f"from {minus(round(float(response.frequencies[first])))} to about "
        f"{minus(round(float(response.frequencies[last - 1])))} Hz"
        for first, last in edges[:3]
    ]
    return f"within 3 dB of its greatest gain {' and '.join(spans)}"
