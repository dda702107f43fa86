"""Waves and their samples, tones that fold, rounded waves and their errors: the figures of lesson 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.axes import Axes

from asrlib import signals
from asrlib.evaluation import Row
from asrlib.plots.common import add_colorbar, describe, look, one, prepared

__all__ = [
    "accuracy_against_bandwidth",
    "folding",
    "rounded",
    "sampled",
    "sinc_sum",
    "snr_against_bits",
    "spectrogram_of",
    "spectrum_of",
]

_POWER_MAP = "magma"
_LINES = ("-", "--", "-.", ":")
_WINDOW_SECONDS = 0.020
_CURVE_POINTS = 1200
_LOWEST_NAMED_HZ = 80  # what lies below is rumble, not speech


def sampled(
    waves: Mapping[str, Callable[[np.ndarray], np.ndarray]],
    *,
    seconds: float,
    sample_rate: int,
    ax: Axes | None = None,
) -> Axes:
    """Draw waves as they are in the air, and the samples that a converter reads off the first of them.

    Parameters
    ----------
    waves : mapping of str to callable
        Functions of time, which take an array of seconds; the first one is sampled.
    seconds : float
        How much of them to draw.
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
        When there is no wave.

    Examples
    --------
    >>> ax = sampled({"tone": lambda time: np.sin(2 * np.pi * 100 * time)}, seconds=0.02, sample_rate=1000)
    >>> from asrlib.plots import alt_text
    >>> alt_text(ax)
    'A wave over 20 ms (tone), with 20 samples taken from tone, 1 ms apart.'

    Lesson: 01
    """
    if not waves:
        raise ValueError("There is no wave to draw. Pass a dict of name to function of time.")
    ax = prepared(ax, size=(7.0, 2.6))
    fine = np.linspace(0, seconds, _CURVE_POINTS)
    for i, (name, wave) in enumerate(waves.items()):
        color = look().colors[i % len(look().colors)]
        ax.plot(1000 * fine, wave(fine), _LINES[i % 4], color=color, linewidth=1.3, label=name)
    first, wave = next(iter(waves.items()))
    times = np.arange(int(np.ceil(round(seconds * sample_rate, 6)))) / sample_rate
    ax.plot(1000 * times, wave(times), "o", color=look().ink, markersize=5, label="samples")
    ax.set_xlim(0, 1000 * seconds)
    ax.set_xlabel("time (ms)")
    ax.set_ylabel("amplitude")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), labelcolor=look().ink, frameon=False)
    count = "A wave" if len(waves) == 1 else f"{len(waves)} waves"
    describe(
        ax,
        f"{count} over {1000 * seconds:g} ms ({', '.join(waves)}), with {len(times)} samples taken from "
        f"{first}, {1000 / sample_rate:.4g} ms apart.",
    )
    return ax


def sinc_sum(samples: np.ndarray, *, sample_rate: int, ax: Axes | None = None) -> Axes:
    """Draw the sinc function of every sample, and the wave that is their sum.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        A few samples; beyond them all are zero.
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
    >>> ax = sinc_sum(np.array([0, 0.5, 0.5, 0]), sample_rate=8000)
    >>> from asrlib.plots import alt_text
    >>> alt_text(ax)
    'The sinc functions of 2 samples that are not zero, and their sum, which passes through all 4 samples.'

    Lesson: 01
    """
    samples = one(samples, "samples", ndim=1, shape="(n_samples,)")
    ax = prepared(ax, size=(7.0, 2.8))
    fine = np.linspace(0, len(samples) - 1, _CURVE_POINTS)
    parts = samples * np.sinc(fine[:, np.newaxis] - np.arange(len(samples)))
    to_ms = 1000 / sample_rate
    for i, part in enumerate(parts.T):
        ax.plot(
            fine * to_ms, part, color=look().quiet, linewidth=0.8, label=None if i else "one sample's sinc"
        )
    ax.plot(fine * to_ms, parts.sum(axis=1), color=look().main, linewidth=2.2, label="their sum")
    ax.plot(np.arange(len(samples)) * to_ms, samples, "o", color=look().strong, markersize=5, label="samples")
    ax.set_xlim(0, fine[-1] * to_ms)
    ax.set_xlabel("time (ms)")
    ax.set_ylabel("amplitude")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), labelcolor=look().ink, frameon=False)
    describe(
        ax,
        f"The sinc functions of {np.count_nonzero(samples)} samples that are not zero, and their sum, which "
        f"passes through all {len(samples)} samples.",
    )
    return ax


def folding(
    measured: Mapping[float, float] | None = None,
    *,
    sample_rate: int,
    highest: float,
    ax: Axes | None = None,
) -> Axes:
    """Draw the frequency heard against the frequency in the air: up to half the rate, and down again.

    Parameters
    ----------
    measured : mapping of float to float, optional
        Frequencies in the air and those found in the samples, in Hz, drawn as points.
    sample_rate : int
        Samples per second.
    highest : float
        Where the axis of frequencies in the air ends, in Hz.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Examples
    --------
    >>> ax = folding({5000: 3000}, sample_rate=8000, highest=16_000)
    >>> from asrlib.plots import alt_text
    >>> print(alt_text(ax))
    The frequency heard rises to 4000 Hz, half the rate of 8000 Hz, and falls back to 0 ...
    Measured: 5000 Hz is heard as 3000 Hz.

    Lesson: 01
    """
    ax = prepared(ax, size=(7.0, 2.8))
    air = np.linspace(0, highest, 1601)
    ax.plot(air, signals.alias_frequency(air, sample_rate=sample_rate), color=look().main, label="rule")
    ax.plot([0, sample_rate / 2], [0, sample_rate / 2], color=look().quiet, linewidth=5, alpha=0.5, zorder=0)
    if measured:
        ax.plot(list(measured), list(measured.values()), "o", color=look().strong, label="measured")
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), labelcolor=look().ink, frameon=False)
    ax.set_xlim(0, highest)
    ax.set_ylim(0, 0.62 * sample_rate)
    ax.set_yticks([0, sample_rate / 4, sample_rate / 2])
    ax.set_xticks(np.arange(0, highest + 1, sample_rate / 2))
    ax.set_xlabel("frequency in the air (Hz)")
    ax.set_ylabel("frequency heard (Hz)")
    found = ", ".join(f"{real:g} Hz is heard as {heard:g} Hz" for real, heard in (measured or {}).items())
    describe(
        ax,
        f"The frequency heard rises to {sample_rate / 2:g} Hz, half the rate of {sample_rate} Hz, and falls "
        f"back to 0 over and over.{f' Measured: {found}.' if found else ''}",
    )
    return ax


def spectrogram_of(
    samples: np.ndarray,
    *,
    sample_rate: int = 16_000,
    f_max: float | None = None,
    range_db: float = 60.0,
    top_db: float | None = None,
    colorbar: bool | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw which frequencies a sound has at each moment, at whatever rate it was sampled.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        A recording.
    sample_rate : int
        Samples per second.
    f_max : float, optional
        Where the axis of frequencies ends, in Hz; half the sample rate when left out. Above half the rate
        nothing is drawn: there is nothing.
    range_db : float
        What lies further below the top is black.
    top_db : float, optional
        Power of the brightest colour, in dB re a sine at full scale; the greatest of this sound when left
        out. Give the same to several pictures to compare them.
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
        When the recording is shorter than one window of 20 ms.

    Examples
    --------
    >>> ax = spectrogram_of(signals.sine(1000, seconds=0.5, sample_rate=8000), sample_rate=8000)
    >>> from asrlib.plots import alt_text
    >>> alt_text(ax)
    'Spectrogram of 0.50 seconds up to 4000 Hz; it is brightest at 1000 Hz.'

    Lesson: 01
    """
    samples = one(samples, "samples", ndim=1, shape="(n_samples,)")
    times, frequencies, db = _power_over_time(samples, sample_rate)
    colorbar = ax is None if colorbar is None else colorbar
    ax = prepared(ax, size=(7.0, 2.6))
    top_db = float(db.max()) if top_db is None else top_db
    half_step, half_bin = (times[1] - times[0]) / 2 if len(times) > 1 else 0.01, frequencies[1] / 2
    image = ax.imshow(
        db.T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap=_POWER_MAP,
        vmin=top_db - range_db,
        vmax=top_db,
        extent=(times[0] - half_step, times[-1] + half_step, -half_bin, frequencies[-1] + half_bin),
    )
    ax.set_xlim(0, len(samples) / sample_rate)
    ax.set_ylim(0, f_max or sample_rate / 2)
    ax.set_xlabel("time (s)")
    ax.set_ylabel("frequency (Hz)")
    if colorbar:
        add_colorbar(image, ax, "power (dB)")
    brightest = frequencies[int(db.max(axis=0).argmax())]
    describe(
        ax,
        f"Spectrogram of {len(samples) / sample_rate:.2f} seconds up to {sample_rate / 2:g} Hz; it is "
        f"brightest at {brightest:.0f} Hz.",
    )
    return ax


def spectrum_of(
    sounds: np.ndarray | Mapping[str, np.ndarray],
    *,
    sample_rate: int = 16_000,
    f_max: float | None = None,
    limits_db: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the power of one or several sounds over frequency, averaged over their length.

    Parameters
    ----------
    sounds : ndarray, shape (n_samples,), or mapping of str to such arrays
        Recordings; a mapping brings their names.
    sample_rate : int
        Samples per second of all of them.
    f_max : float, optional
        Where the axis ends, in Hz; half the sample rate when left out.
    limits_db : (float, float), optional
        Ends of the axis of power, in dB re a sine at full scale.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When there is no sound, or one is shorter than a window of 20 ms.

    Examples
    --------
    >>> ax = spectrum_of(signals.sine(1000, seconds=0.5))
    >>> from asrlib.plots import alt_text
    >>> alt_text(ax)
    'Power over frequency: the sound is strongest near 1000 Hz.'

    Lesson: 01
    """
    named = sounds if isinstance(sounds, Mapping) else {"the sound": sounds}
    if not named:
        raise ValueError("There is no sound to draw. Pass samples, or a dict of name to samples.")
    ax = prepared(ax, size=(7.0, 2.8))
    said = []
    for i, (name, samples) in enumerate(named.items()):
        samples = one(samples, f"the samples of {name}", ndim=1, shape="(n_samples,)")
        _, frequencies, db = _power_over_time(samples, sample_rate)
        mean_db = 10 * np.log10(np.mean(10 ** (db / 10), axis=0))
        color = look().colors[i % len(look().colors)]
        ax.plot(frequencies, mean_db, _LINES[i % 4], color=color, linewidth=1.5, label=name)
        audible = frequencies >= _LOWEST_NAMED_HZ
        loudest = frequencies[audible][int(mean_db[audible].argmax())]
        said.append(f"{name} is strongest near {loudest:.0f} Hz")
    ax.set_xlim(0, f_max or sample_rate / 2)
    if limits_db is not None:
        ax.set_ylim(*limits_db)
    ax.set_xlabel("frequency (Hz)")
    ax.set_ylabel("power (dB)")
    if isinstance(sounds, Mapping):
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), labelcolor=look().ink, frameon=False)
    describe(ax, f"Power over frequency: {'; '.join(said)}.")
    return ax


def rounded(
    samples: np.ndarray, quantized: np.ndarray, *, sample_rate: int = 16_000, ax: Axes | None = None
) -> Axes:
    """Draw a wave, its samples after rounding, and the error between the two.

    Parameters
    ----------
    samples, quantized : ndarray, shape (n_samples,)
        A short stretch before and after.
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
        When the two differ in length.

    Examples
    --------
    >>> tone = signals.sine(200, seconds=0.01)
    >>> ax = rounded(tone, signals.quantize(tone, bits=3))
    >>> from asrlib.plots import alt_text
    >>> alt_text(ax)
    'A wave of 10 ms and its 160 samples after rounding; the largest error is 0.17.'

    Lesson: 01
    """
    samples = one(samples, "samples", ndim=1, shape="(n_samples,)")
    quantized = one(quantized, "quantized", ndim=1, shape="(n_samples,)")
    if len(samples) != len(quantized):
        raise ValueError(
            f"samples has {len(samples)} values and quantized {len(quantized)}. Pass the same stretch "
            "before and after rounding."
        )
    ax = prepared(ax, size=(7.0, 2.8))
    milliseconds = 1000 * np.arange(len(samples)) / sample_rate
    error = quantized - samples
    ax.plot(milliseconds, samples, color=look().quiet, linewidth=1.2, label="before")
    ax.step(milliseconds, quantized, where="mid", color=look().main, linewidth=1.5, label="after rounding")
    ax.plot(milliseconds, error, ":", color=look().strong, linewidth=1.5, label="error")
    ax.set_xlim(0, 1000 * len(samples) / sample_rate)
    ax.set_xlabel("time (ms)")
    ax.set_ylabel("amplitude")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), labelcolor=look().ink, frameon=False)
    describe(
        ax,
        f"A wave of {1000 * len(samples) / sample_rate:g} ms and its {len(samples)} samples after rounding; "
        f"the largest error is {np.abs(error).max():.2g}.",
    )
    return ax


def snr_against_bits(
    measured: Mapping[str, Mapping[int, float]],
    *,
    rule: Callable[[np.ndarray], np.ndarray] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the signal-to-noise ratio that rounding leaves, against the number of bits.

    Parameters
    ----------
    measured : mapping of str to mapping of int to float
        For each sound, bits and ratio in dB.
    rule : callable, optional
        Takes numbers of bits and gives the ratio that the rule promises, drawn as a line.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When there is nothing measured.

    Examples
    --------
    >>> ax = snr_against_bits({"sine": {8: 49.9, 16: 98.1}}, rule=lambda bits: 6.02 * bits + 1.76)
    >>> from asrlib.plots import alt_text
    >>> alt_text(ax)
    'Signal-to-noise ratio against bits: sine from 49.9 dB at 8 bits to 98.1 dB at 16 bits.'

    Lesson: 01
    """
    if not measured or not all(measured.values()):
        raise ValueError("There is nothing measured to draw. Pass a dict of name to a dict of bits to dB.")
    ax = prepared(ax, size=(6.2, 3.0))
    every = sorted({bits for values in measured.values() for bits in values})
    if rule is not None:
        span = np.array([every[0], every[-1]], float)
        ax.plot(span, rule(span), color=look().quiet, linewidth=1.2, label="rule")
    said = []
    for i, (name, values) in enumerate(measured.items()):
        bits = sorted(values)
        color, marker = look().colors[i % len(look().colors)], "osD^"[i % 4]
        ax.plot(bits, [values[b] for b in bits], marker, color=color, markersize=5, label=name)
        ends = [f"{values[b]:.1f} dB at {b} bits" for b in (bits[0], bits[-1])]
        said.append(f"{name} from {' to '.join(ends)}")
    ax.set_xticks(every)
    ax.set_xlabel("bits per sample")
    ax.set_ylabel("signal-to-noise ratio (dB)")
    ax.legend(loc="upper left", labelcolor=look().ink, frameon=False)
    describe(ax, f"Signal-to-noise ratio against bits: {'; '.join(said)}.")
    return ax


def accuracy_against_bandwidth(
    curves: Mapping[str, Mapping[float, Row]],
    *,
    chance: float | None = None,
    ceiling: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the accuracy over the highest frequency that was left in the sound, with its intervals.

    Parameters
    ----------
    curves : mapping of str to mapping of float to Row
        For each way of treating the sound, the highest frequency in Hz and the accuracy measured.
    chance : float, optional
        Accuracy of guessing, from 0 to 1, drawn as a line.
    ceiling : float, optional
        The highest frequency that the recogniser looks at, in Hz, drawn as an upright line.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When there is no curve.

    Examples
    --------
    >>> from asrlib.evaluation import wilson_interval
    >>> rows = {4000.0: Row("8 kHz", 100, 97, wilson_interval(97, 100))}
    >>> ax = accuracy_against_bandwidth({"filtered": rows}, chance=0.1, ceiling=4000)
    >>> from asrlib.plots import alt_text
    >>> alt_text(ax)
    'Accuracy against the highest frequency left: filtered: 97.0 % at 4000 Hz.'

    Lesson: 01
    """
    if not curves or not all(curves.values()):
        raise ValueError("There is no curve to draw. Pass a dict of name to a dict of frequency to Row.")
    ax = prepared(ax, size=(6.6, 3.4))
    every = sorted({hz for rows in curves.values() for hz in rows})
    said = []
    for i, (name, rows) in enumerate(curves.items()):
        hz = np.array(sorted(rows))
        percent = np.array([100 * rows[f].accuracy for f in hz])
        bounds = 100 * np.array([rows[f].interval for f in hz])
        reach = np.maximum(0, np.stack([percent - bounds[:, 0], bounds[:, 1] - percent]))
        color, marker = look().colors[i % len(look().colors)], "osD^"[i % 4]
        line = "none" if len(hz) == 1 else _LINES[i % 4]
        ax.errorbar(hz, percent, yerr=reach, fmt="none", ecolor=color, elinewidth=1.2, capsize=3)
        ax.plot(hz, percent, color=color, marker=marker, markersize=5, linestyle=line, label=name)
        numbers = ", ".join(f"{p:.1f} % at {f:.0f} Hz" for f, p in zip(hz, percent, strict=True))
        said.append(f"{name}: {numbers}")
    ax.set_xscale("log")
    ax.set_xticks(every, [f"{f:.0f}" for f in every], rotation=60, ha="right", rotation_mode="anchor")
    ax.set_xticks([], minor=True)
    ax.set_ylim(0, 104)
    if chance is not None:
        _mark(ax, 100 * chance, "guessing", upright=False)
    if ceiling is not None:
        _mark(ax, ceiling, "the machine looks no higher", upright=True)
    ax.set_xlabel("highest frequency left (Hz)")
    ax.set_ylabel("accuracy (%)")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), labelcolor=look().ink, frameon=False)
    describe(ax, f"Accuracy against the highest frequency left: {'; '.join(said)}.")
    return ax


def _mark(ax: Axes, at: float, text: str, *, upright: bool) -> None:
    """Draw a dashed line across the axes with its name beside it."""
    (ax.axvline if upright else ax.axhline)(
        at, color=look().quiet, linewidth=1, linestyle=(0, (4, 3)), zorder=0
    )
    place = {"xy": (at, 0.04), "xycoords": ("data", "axes fraction"), "xytext": (-4, 0), "rotation": 90}
    if not upright:
        place = {"xy": (0.99, at), "xycoords": ("axes fraction", "data"), "xytext": (0, 3)}
    ax.annotate(
        text, textcoords="offset points", ha="right", va="bottom", fontsize=8, color=look().ink, **place
    )


def _power_over_time(samples: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return times (s), frequencies (Hz) and power in dB, where a sine at full scale has 0 dB.

    Windows last 20 ms at every rate, so that pictures of one sound at several rates can be compared.
    """
    length = round(_WINDOW_SECONDS * sample_rate)
    if len(samples) < length:
        raise ValueError(
            f"{len(samples)} samples at {sample_rate} Hz last less than {1000 * _WINDOW_SECONDS:g} ms, "
            "the window. Pass a longer sound."
        )
    window = np.hanning(length + 1)[:-1]
    hop = max(1, length // 4)
    frames = np.lib.stride_tricks.sliding_window_view(np.asarray(samples, np.float64), length)[::hop]
    n_fft = 2 ** int(np.ceil(np.log2(2 * length)))
    power = np.abs(np.fft.rfft(frames * window, n_fft)) ** 2 / (window.sum() / 2) ** 2
    times = (np.arange(len(frames)) * hop + length / 2) / sample_rate
    frequencies = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    return times, frequencies, 10 * np.log10(np.maximum(power, 1e-14))
