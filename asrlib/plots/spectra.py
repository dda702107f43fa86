"""From frames to cepstra: what lesson 3 shows of every stage between a waveform and its features."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from asrlib import features
from asrlib.features import FeatureConfig
from asrlib.plots.common import add_colorbar, describe, empty_figure, look, minus, one, prepared, settings
from asrlib.plots.machine import log_mel, waveform

__all__ = [
    "bands",
    "correlations",
    "frames",
    "map_of_clips",
    "pictures",
    "power_spectra",
    "spectrogram",
    "stages",
]

POWER_MAP = "magma"
_SIGNED_MAP = "PuOr"
_LINES = ("-", "--", "-.", ":")


def frames(
    samples: np.ndarray,
    *,
    config: FeatureConfig | None = None,
    start_seconds: float = 0.0,
    count: int = 4,
    ax: Axes | None = None,
) -> Axes:
    """Draw a stretch of sound with the frames that are cut from it, each as a bar above the curve.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        Recording, in [-1, 1].
    config : FeatureConfig, optional
        Window and hop; the defaults when left out.
    start_seconds : float
        Where the first frame shown begins, in seconds.
    count : int
        How many frames.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When the recording ends before the last of these frames does.

    Examples
    --------
    >>> ax = frames(np.sin(np.arange(16_000) / 9), count=3)
    >>> from asrlib.plots import alt_text
    >>> alt_text(ax)
    '3 frames of 25 ms, each beginning 10 ms after the one before.'

    Lesson: 03
    """
    config = config or FeatureConfig()
    samples = one(samples, "samples", ndim=1, shape="(n_samples,)")
    window, hop = config.window_length, config.hop_length
    start = round(start_seconds * config.sample_rate)
    stop = start + (count - 1) * hop + window
    if start < 0 or count < 1 or stop > len(samples):
        raise ValueError(
            f"{count} frames from {start_seconds} s on end at {stop / config.sample_rate:.3f} s; the sound "
            f"lasts {len(samples) / config.sample_rate:.3f} s."
        )
    ax = prepared(ax, size=(7.0, 2.6))
    shown = samples[start:stop]
    milliseconds = 1000 * (start + np.arange(len(shown))) / config.sample_rate
    ax.plot(milliseconds, shown, color=look().main, linewidth=0.9)
    peak = float(np.abs(shown).max()) or 1.0
    for i in range(count):
        left = 1000 * (start + i * hop) / config.sample_rate
        height = peak * (1.25 + 0.28 * i)
        right = left + 1000 * window / config.sample_rate
        ax.plot([left, right], [height, height], color=look().strong, linewidth=4, solid_capstyle="butt")
        ax.annotate(
            f"frame {i}", (right, height), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8
        ).set_color(look().ink)
    ax.set_xlim(milliseconds[0], milliseconds[-1] + 7)
    ax.set_ylim(-1.1 * peak, peak * (1.4 + 0.28 * count))
    ax.set_yticks([-peak, 0, peak], [minus(round(-peak, 2)), "0", f"{peak:.2f}"])
    ax.set_xlabel("time (ms)")
    ax.set_ylabel("amplitude")
    describe(
        ax,
        f"{count} frames of {1000 * window / config.sample_rate:g} ms, each beginning "
        f"{1000 * hop / config.sample_rate:g} ms after the one before.",
    )
    return ax


def power_spectra(
    curves: Mapping[str, np.ndarray],
    *,
    sample_rate: int = 16_000,
    range_db: float = 80.0,
    limits_hz: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw power spectra over frequency in decibels, each relative to its own greatest value.

    Parameters
    ----------
    curves : mapping of str to ndarray, shape (n_bins,)
        Power from 0 Hz to half the sample rate, by name.
    sample_rate : int
        Samples per second of the sound, in Hz.
    range_db : float
        How far down the axis reaches.
    limits_hz : (float, float), optional
        The part of the frequencies to show, in Hz.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When there is no curve, or one has no power at all.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(512) / 16_000)
    >>> ax = power_spectra({"tone": np.abs(np.fft.rfft(tone)) ** 2})
    >>> from asrlib.plots import alt_text
    >>> alt_text(ax)
    'Power spectrum in decibels: tone is strongest at 1000 Hz.'

    Lesson: 03
    """
    if not curves:
        raise ValueError("There is no curve to draw. Pass a dict of name to power.")
    ax = prepared(ax, size=(7.0, 2.8))
    said = []
    for i, (name, power) in enumerate(curves.items()):
        power = one(power, f"the power of {name}", ndim=1, shape="(n_bins,)")
        if not power.max() > 0:
            raise ValueError(f"The power of {name} is zero everywhere, so it has no decibels.")
        frequencies = np.arange(len(power)) * sample_rate / 2 / (len(power) - 1)
        relative = power / power.max()
        db = 10 * np.log10(np.maximum(relative, 10 ** (-range_db / 10 - 2)))
        color = look().colors[i % len(look().colors)]
        ax.plot(
            frequencies, db, label=name, color=color, linewidth=1.4, linestyle=_LINES[i % 4] if i else "-"
        )
        said.append(f"{name} is strongest at {frequencies[int(power.argmax())]:.0f} Hz")
    ax.set_xlim(*(limits_hz or (0, sample_rate / 2)))
    ax.set_ylim(-range_db, 4)
    ax.set_xlabel("frequency (Hz)")
    ax.set_ylabel("power (dB below its top)")
    if len(curves) > 1:
        ax.legend(loc="upper right", labelcolor=look().ink)
    describe(ax, f"Power spectrum in decibels: {'; '.join(said)}.")
    return ax


def spectrogram(
    power: np.ndarray,
    *,
    config: FeatureConfig | None = None,
    range_db: float = 60.0,
    top_hz: float | None = None,
    colorbar: bool | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a power spectrogram: time to the right, frequency in Hz upwards, decibels as brightness.

    Parameters
    ----------
    power : ndarray, shape (n_frames, n_fft // 2 + 1)
        As `asrlib.features.power_spectrogram` gives it.
    config : FeatureConfig, optional
        The configuration that made it; the defaults when left out. It places the axes.
    range_db : float
        What lies further below the greatest value is black.
    top_hz : float, optional
        Where the frequency axis ends; at half the sample rate when left out.
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
        When the power does not fit the configuration.

    Examples
    --------
    >>> sound = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32)
    >>> ax = spectrogram(features.power_spectrogram(sound))
    >>> ax.get_ylabel()
    'frequency (Hz)'

    Lesson: 03
    """
    config = config or FeatureConfig()
    power = one(power, "power", ndim=2, shape=f"(n_frames, {config.n_bins})")
    if power.shape[1] != config.n_bins:
        raise ValueError(
            f"The power has {power.shape[1]} bins and the configuration says {config.n_bins}. Pass the "
            "configuration that made it."
        )
    colorbar = ax is None if colorbar is None else colorbar
    ax = prepared(ax, size=(7.0, 2.8))
    top = max(float(power.max()), np.finfo(np.float32).tiny)
    db = 10 * np.log10(np.maximum(power / top, 10 ** (-range_db / 10)))
    times, half_hop = config.times(len(power)), config.hop_length / config.sample_rate / 2
    half_bin = config.sample_rate / config.n_fft / 2
    image = ax.imshow(
        db.T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap=POWER_MAP,
        vmin=-range_db,
        vmax=0,
        extent=(times[0] - half_hop, times[-1] + half_hop, -half_bin, config.sample_rate / 2 + half_bin),
    )
    ax.set_ylim(0, top_hz or config.sample_rate / 2)
    ax.set_xlabel("time (s)")
    ax.set_ylabel("frequency (Hz)")
    if colorbar:
        add_colorbar(image, ax, "power (dB below its top)")
    frame, bin_ = np.unravel_index(int(power.argmax()), power.shape)
    describe(
        ax,
        f"Spectrogram of {len(power)} frames. It is brightest at {times[frame]:.2f} seconds and "
        f"{bin_ * config.sample_rate / config.n_fft:.0f} Hz.",
    )
    return ax


def bands(weights: np.ndarray, *, config: FeatureConfig | None = None, ax: Axes | None = None) -> Axes:
    """Draw the triangles of a mel filterbank over frequency.

    Parameters
    ----------
    weights : ndarray, shape (n_mels, n_fft // 2 + 1)
        As `asrlib.features.mel_filterbank` gives them.
    config : FeatureConfig, optional
        The configuration that made them; the defaults when left out.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When the weights do not fit the configuration.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> alt_text(bands(features.mel_filterbank()))
    '40 triangular bands. The first peaks near 94 Hz, the last near 7406 Hz.'

    Lesson: 03
    """
    config = config or FeatureConfig()
    weights = one(weights, "weights", ndim=2, shape=f"(n_mels, {config.n_bins})")
    if weights.shape[1] != config.n_bins:
        raise ValueError(
            f"The weights have {weights.shape[1]} bins and the configuration says {config.n_bins}. Pass the "
            "configuration that made them."
        )
    ax = prepared(ax, size=(7.0, 2.4))
    frequencies = np.arange(config.n_bins) * config.sample_rate / config.n_fft
    for i, row in enumerate(weights):
        # A triangle is drawn to the bins on either side of it, where it is zero.
        inside = np.flatnonzero(row)
        reach = slice(max(0, inside[0] - 1), inside[-1] + 2) if len(inside) else slice(0, 0)
        ax.plot(frequencies[reach], row[reach], color=look().colors[i % 2], linewidth=1.1)
    ax.set_xlim(0, config.sample_rate / 2)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("frequency (Hz)")
    ax.set_ylabel("weight")
    peaks = frequencies[weights.argmax(axis=1)]
    describe(
        ax,
        f"{len(weights)} triangular bands. The first peaks near {peaks[0]:.0f} Hz, the last near "
        f"{peaks[-1]:.0f} Hz.",
    )
    return ax


def stages(
    samples: np.ndarray, *, config: FeatureConfig | None = None, figure: Figure | None = None
) -> Figure:
    """Draw a sound, its log-mel picture and its cepstral coefficients, one below the other in time.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        Recording, in [-1, 1].
    config : FeatureConfig, optional
        All settings; the defaults when left out.
    figure : Figure, optional
        Where to draw, after clearing it; a new figure when left out.

    Returns
    -------
    Figure
        Its axes are the waveform, the log-mel picture and the coefficients, in this order.

    Raises
    ------
    AudioError
        When the recording is shorter than one frame.

    Examples
    --------
    >>> sound = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    >>> [axes.get_title(loc="left") for axes in stages(sound).axes]
    ['waveform', 'log-mel', 'MFCC']

    Lesson: 03
    """
    config = config or FeatureConfig()
    mel_config, cepstrum_config = replace(config, kind="log_mel"), replace(config, kind="mfcc")
    with mpl.rc_context(settings()):
        figure = empty_figure(figure, size=(7.0, 5.2))
        figure.set_layout_engine("constrained")
        above, middle, below = figure.subplots(3, 1, sharex=True)
        waveform(samples, sample_rate=config.sample_rate, ax=above)
        log_mel(features.log_mel(samples, mel_config), config=mel_config, ax=middle)
        cepstra = features.mfcc(samples, cepstrum_config)
        # c0 and c1, loudness and tilt, are far larger than the others and would drown them.
        reach = max(float(np.percentile(np.abs(cepstra[:, 2:] if config.n_mfcc > 2 else cepstra), 97)), 1e-6)
        log_mel(cepstra, config=cepstrum_config, limits=(-reach, reach), ax=below)
        for axes, title in zip((above, middle, below), ("waveform", "log-mel", "MFCC"), strict=True):
            axes.set_title(title, loc="left")
            axes.set_xlabel("time (s)" if axes is below else "")
        above.set_xlim(0, len(samples) / config.sample_rate)
    describe(
        figure,
        f"One sound of {len(samples) / config.sample_rate:.2f} seconds three times, aligned in time: its "
        f"waveform, its {config.n_mels} mel bands, its {config.n_mfcc} cepstral coefficients.",
    )
    return figure


def pictures(
    named: Mapping[str, np.ndarray],
    *,
    config: FeatureConfig | None = None,
    columns: int = 5,
    seconds: float | None = None,
    figure: Figure | None = None,
) -> Figure:
    """Draw several features as a sheet of small pictures with common axes.

    Parameters
    ----------
    named : mapping of str to ndarray, shape (n_frames, n_coefficients)
        Features of one recording each, by the title of the picture.
    config : FeatureConfig, optional
        The configuration that made them; the defaults when left out.
    columns : int
        Pictures in a row.
    seconds : float, optional
        Where the time axis ends; at the end of the longest recording when left out.
    figure : Figure, optional
        Where to draw, after clearing it; a new figure when left out.

    Returns
    -------
    Figure
        Its axes are the pictures, in their order.

    Raises
    ------
    ValueError
        When there is no picture.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(50, 40))
    >>> figure = pictures({"one": noise, "two": noise}, columns=2)
    >>> from asrlib.plots import alt_text
    >>> alt_text(figure)
    '2 pictures of features side by side: one, two.'

    Lesson: 03
    """
    if not named:
        raise ValueError("There is no picture to draw. Pass a dict of title to features.")
    config = config or FeatureConfig()
    rows = math.ceil(len(named) / columns)
    longest = max(len(each) for each in named.values())
    end = seconds or config.times(longest)[-1] + config.hop_seconds / 2
    with mpl.rc_context(settings()):
        figure = empty_figure(figure, size=(9.0, 0.8 + 1.6 * rows))
        figure.set_layout_engine("constrained")
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes, (title, picture) in zip(grid.flat, named.items(), strict=False):
            log_mel(picture, config=config, ax=axes)
            axes.set_title(title, loc="left")
            axes.set_xlim(0, end)
        for axes in grid.flat[len(named) :]:
            axes.remove()
        for place, axes in zip(np.ndindex(grid.shape), grid.flat, strict=True):
            alone_below = place[0] * columns + place[1] + columns >= len(named)
            axes.set_xlabel("time (s)" if alone_below else "")
            axes.tick_params(labelbottom=alone_below)
            axes.set_ylabel(axes.get_ylabel() if place[1] == 0 else "")
    describe(figure, f"{len(named)} pictures of features side by side: {', '.join(named)}.")
    return figure


def correlations(matrix: np.ndarray, *, name: str = "band", ax: Axes | None = None) -> Axes:
    """Draw a correlation matrix: purple for together, orange for opposite, white for unrelated.

    Parameters
    ----------
    matrix : ndarray, shape (n, n)
        Correlations, from -1 to 1.
    name : str
        What is correlated, for the axes.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When the matrix is not square.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> alt_text(correlations(np.array([[1, 0.5], [0.5, 1]])))
    'Correlations of 2 bands. Off the diagonal their size is 0.50 on average.'

    Lesson: 03
    """
    matrix = one(matrix, "matrix", ndim=2, shape="(n, n)")
    if matrix.shape[0] != matrix.shape[1] or len(matrix) < 2:
        raise ValueError(
            f"The matrix has shape {matrix.shape}; expected (n, n) with n of at least 2."
        )
    ax = prepared(ax, size=(3.6, 3.2))
    image = ax.imshow(matrix, cmap=_SIGNED_MAP, vmin=-1, vmax=1, origin="lower")
    ax.set_xlabel(name)
    ax.set_ylabel(name)
    add_colorbar(image, ax, "correlation")
    off_diagonal = matrix[~np.eye(len(matrix), dtype=bool)]
    describe(
        ax,
        f"Correlations of {len(matrix)} {name}s. Off the diagonal their size is "
        f"{np.abs(off_diagonal).mean():.2f} on average.",
    )
    return ax


def map_of_clips(
    points: np.ndarray, *, words: Sequence[str], speakers: Sequence[str], ax: Axes | None = None
) -> Axes:
    """Draw clips as points of a plane: the character is the word, the colour is the speaker.

    Parameters
    ----------
    points : ndarray, shape (n_clips, 2)
        Where each clip lies.
    words : sequence of str
        What is said in each, one character.
    speakers : sequence of str
        Who says it: at most four speakers, one colour each.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When the sizes do not fit or there are more than four speakers.

    Examples
    --------
    >>> ax = map_of_clips(np.array([[0, 0], [1, 2]]), words=["3", "7"], speakers=["ann", "bob"])
    >>> from asrlib.plots import alt_text
    >>> alt_text(ax)
    'Map of 2 clips: 2 words by 2 speakers, a digit for each clip, a colour for each speaker.'

    Lesson: 03
    """
    points = one(points, "points", ndim=2, shape="(n_clips, 2)")
    if points.shape[1] != 2 or not len(points) == len(words) == len(speakers):
        raise ValueError(
            f"Points of shape {points.shape} came with {len(words)} words and {len(speakers)} speakers; "
            "expected (n_clips, 2) and one of each per clip."
        )
    colors = look().colors
    names = sorted(set(map(str, speakers)))
    if len(names) > len(colors):
        raise ValueError(f"{len(names)} speakers came; the map has colours for {len(colors)}. Choose some.")
    ax = prepared(ax, size=(5.0, 4.2))
    for name, color in zip(names, colors, strict=False):
        ax.plot([], [], linestyle="none", marker="o", color=color, label=name)
        for point, word, speaker in zip(points, words, speakers, strict=True):
            if speaker == name:
                ax.annotate(
                    str(word), point, color=color, ha="center", va="center", fontsize=9, fontweight="bold"
                )
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.06 * np.maximum(high - low, 1e-9)
    ax.set_xlim(low[0] - margin[0], high[0] + margin[0])
    ax.set_ylim(low[1] - margin[1], high[1] + margin[1])
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_xlabel("first direction")
    ax.set_ylabel("second direction")
    describe(
        ax,
        f"Map of {len(points)} clips: {len(set(words))} words by {len(names)} speakers, a digit for each "
        "clip, a colour for each speaker.",
    )
    return ax
