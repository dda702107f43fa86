"""The machine and how well it does: sound, features, answer, and the accuracy of the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.ticker import MaxNLocator

from asrlib.evaluation import NoiseRow, Row
from asrlib.features import FeatureConfig
from asrlib.plots.common import (
    add_colorbar,
    alt_text,
    describe,
    empty_figure,
    look,
    minus,
    one,
    prepared,
    settings,
)

__all__ = [
    "accuracy_by_group",
    "accuracy_curve",
    "chain",
    "confusion",
    "history",
    "log_mel",
    "probabilities",
    "waveform",
]

_POWER_MAP = "magma"
_CEPSTRUM_MAP = "PuOr"
_TICK_HZ = (125, 250, 500, 1000, 2000, 4000, 8000, 16_000)
_TICK_SPACING = 0.11  # of the height of the axis
# A picture shows 70 dB at most: what lies deeper is black.
_SHOWN_DB = 70.0
_DIGITS = tuple("0123456789")
_CHAIN_SPACE = {"left": 0.1, "right": 0.985, "bottom": 0.14, "top": 0.92, "wspace": 0.46, "hspace": 0.5}


def waveform(
    samples: np.ndarray, *, sample_rate: int = 16_000, start_seconds: float = 0.0, ax: Axes | None = None
) -> Axes:
    """Draw a sound as its amplitude over time.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        Recording, in [-1, 1].
    sample_rate : int
        Samples per second.
    start_seconds : float
        Time of the first sample, in seconds.
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
    >>> ax = waveform(np.zeros(16_000, np.float32))
    >>> ax.get_xlabel()
    'time (s)'

    Lesson: 00
    """
    samples = one(samples, "samples", ndim=1, shape="(n_samples,)")
    ax = prepared(ax, size=(7.0, 2.2))
    seconds = start_seconds + np.arange(len(samples)) / sample_rate
    ax.plot(seconds, samples, color=look().main, linewidth=0.7)
    peak = float(np.abs(samples).max())
    ax.set_xlim(start_seconds, start_seconds + len(samples) / sample_rate)
    ax.set_ylim(*(np.array([-1.08, 1.08]) * (peak or 1.0)))
    ax.set_xlabel("time (s)")
    ax.set_ylabel("amplitude")
    length = len(samples) / sample_rate
    describe(ax, f"Waveform of {length:.2f} seconds; its largest amplitude is {peak:.2g}.")
    return ax


def log_mel(
    features: np.ndarray,
    *,
    config: FeatureConfig | None = None,
    colorbar: bool | None = None,
    limits: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw features as a picture: time to the right, frequency upwards, brighter where there is more power.

    Parameters
    ----------
    features : ndarray, shape (n_frames, n_coefficients)
        Of one recording, as `asrlib.features.extract` gives them.
    config : FeatureConfig, optional
        The configuration that made them; the defaults when left out. It places the axes.
    colorbar : bool, optional
        Whether to add the scale of the colours. Left out: only in a figure of its own.
    limits : (float, float), optional
        The values at the ends of the colours. Left out: the maximum, and the 5th percentile or 70 dB below
        the maximum, whichever is higher. Cepstral coefficients get limits on both sides of zero.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When the features do not fit the configuration.

    Examples
    --------
    >>> ax = log_mel(np.random.default_rng(0).normal(size=(97, 40)))
    >>> ax.get_ylabel()
    'frequency (Hz)'

    Lesson: 00
    """
    config = config or FeatureConfig()
    features = one(features, "features", ndim=2, shape=f"(n_frames, {config.n_coefficients})")
    if features.shape[1] != config.n_coefficients:
        raise ValueError(
            f"The features have {features.shape[1]} coefficients and the configuration says "
            f"{config.n_coefficients}. Pass the configuration that made them."
        )
    colorbar = ax is None if colorbar is None else colorbar
    ax = prepared(ax, size=(7.0, 2.8))
    times, half_hop = config.times(len(features)), config.hop_length / config.sample_rate / 2
    low, high = limits or _color_limits(features, config)
    image = ax.imshow(
        features.T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap=_CEPSTRUM_MAP if config.kind == "mfcc" else _POWER_MAP,
        vmin=low,
        vmax=max(high, low + 1e-6),
        extent=(times[0] - half_hop, times[-1] + half_hop, -0.5, features.shape[1] - 0.5),
    )
    ax.set_xlabel("time (s)")
    _label_bands(ax, config)
    if colorbar:
        add_colorbar(image, ax, "coefficient" if config.kind == "mfcc" else "ln power")
    describe(ax, _features_in_words(features, config))
    return ax


def probabilities(
    probabilities: np.ndarray | Mapping[str, float],
    *,
    labels: Sequence[str] = _DIGITS,
    ax: Axes | None = None,
) -> Axes:
    """Draw how sure the recogniser is of each label, the winner in colour.

    Parameters
    ----------
    probabilities : ndarray, shape (n_labels,), or mapping of label to probability
        From 0 to 1. A mapping brings its own labels.
    labels : sequence of str
        Names of the probabilities.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When the numbers do not fit the labels or are no probabilities.

    Examples
    --------
    >>> ax = probabilities({"yes": 0.9, "no": 0.1})
    >>> alt_text(ax)
    'Bar chart of 2 probabilities. The highest is "yes" with 90 %, then "no" with 10 %.'

    Lesson: 00
    """
    values, labels = _named_probabilities(probabilities, labels)
    ax = prepared(ax, size=(5.0, 2.8))
    winner = int(values.argmax())
    colors = [look().strong if i == winner else look().quiet for i in range(len(values))]
    bars = ax.bar(range(len(values)), values, color=colors, width=0.72)
    ax.bar_label(
        bars,
        labels=[f"{100 * v:.0f} %" if i == winner else "" for i, v in enumerate(values)],
        padding=2,
        color=look().ink,
        fontweight="bold",
    )
    crowded = sum(map(len, labels)) > 20
    turned = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if crowded else {}
    ax.set_xticks(range(len(values)), labels, **turned)
    ax.tick_params(axis="x", length=0)
    ax.get_xticklabels()[winner].set_fontweight("bold")
    ax.set_ylim(0, 1.12)
    ax.set_yticks([0, 0.5, 1])
    ax.set_xlabel("word")
    ax.set_ylabel("probability")
    describe(ax, _probabilities_in_words(values, labels))
    return ax


def chain(
    samples: np.ndarray,
    *,
    features: np.ndarray,
    probabilities: np.ndarray | Mapping[str, float],
    config: FeatureConfig | None = None,
    labels: Sequence[str] = _DIGITS,
    text: str | None = None,
    figure: Figure | None = None,
) -> Figure:
    """Draw the whole machine: sound, features, the network's answer, text.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        Recording, in [-1, 1], at ``config.sample_rate``.
    features : ndarray, shape (n_frames, n_coefficients)
        Its features.
    probabilities : ndarray, shape (n_labels,), or mapping of label to probability
        What the network gave.
    config : FeatureConfig, optional
        The configuration that made the features; the defaults when left out.
    labels : sequence of str
        Names of the probabilities.
    text : str, optional
        What the machine writes; the most probable label when left out.
    figure : Figure, optional
        Where to draw, after clearing it; a new figure when left out.

    Returns
    -------
    Figure
        Its axes are the waveform, the features, the probabilities and the text, in this order.

    Raises
    ------
    ValueError
        As in the functions for the single pictures.

    Examples
    --------
    >>> from asrlib import features
    >>> sound = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    >>> figure = chain(sound, features=features.log_mel(sound), probabilities=np.eye(10)[7])
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['1  sound', '2  features', '3  network', '4  text']

    Lesson: 00
    """
    config = config or FeatureConfig()
    values, labels = _named_probabilities(probabilities, labels)
    text = labels[int(values.argmax())] if text is None else text
    with mpl.rc_context(settings()):
        figure = empty_figure(figure, size=(9.0, 4.2))
        grid = figure.add_gridspec(2, 3, width_ratios=(3.4, 3.0, 1.2), **_CHAIN_SPACE)
        sound = figure.add_subplot(grid[0, 0])
        picture = figure.add_subplot(grid[1, 0], sharex=sound)
        bars, written = figure.add_subplot(grid[:, 1]), figure.add_subplot(grid[:, 2])
        waveform(samples, sample_rate=config.sample_rate, ax=sound)
        sound.set_xlabel("")
        sound.tick_params(labelbottom=False)
        log_mel(features, config=config, ax=picture)
        picture.set_xlim(sound.get_xlim())
        _named_bars(values, labels, bars)
        bars.set_xlabel("")
        _write(text, written)
        for axes, title in zip(
            (sound, picture, bars, written), ("1  sound", "2  features", "3  network", "4  text"), strict=True
        ):
            axes.set_title(title, loc="left")
        _connect(figure, sound, picture, bars, written)
    steps = " ".join(alt_text(axes) for axes in (sound, picture, bars))
    describe(figure, f'The whole machine, from left to right. {steps} The machine writes "{text}".')
    return figure


def confusion(matrix: np.ndarray, *, labels: Sequence[str] = _DIGITS, ax: Axes | None = None) -> Axes:
    """Draw a confusion matrix: one row for each word said, one column for each answer.

    Parameters
    ----------
    matrix : ndarray of int, shape (n_labels, n_labels)
        As `asrlib.evaluation.confusion_matrix` gives it.
    labels : sequence of str
        Names of rows and columns.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into. The colour is the share of the row; the number is the count.

    Raises
    ------
    ValueError
        When the matrix does not fit the labels.

    Examples
    --------
    >>> ax = confusion(np.array([[8, 2], [0, 9]]), labels=["yes", "no"])
    >>> alt_text(ax)
    'Confusion matrix of 19 answers, 17 of them right. Most frequent error: "yes" heard as "no", 2 times.'

    Lesson: 07
    """
    matrix = one(matrix, "matrix", ndim=2, shape=f"({len(labels)}, {len(labels)})")
    if matrix.shape != (len(labels), len(labels)):
        raise ValueError(
            f"The matrix has shape {matrix.shape}; {len(labels)} labels need as many rows and columns."
        )
    ax = prepared(ax, size=(4.6, 4.4))
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            ink = "#ffffff" if shares[row, column] > 0.55 else "#111111"
            weight = "normal" if row == column else "bold"
            ax.text(
                column, row, f"{count:d}", ha="center", va="center", color=ink, fontsize=8, fontweight=weight
            )
    ax.set_xticks(range(len(labels)), labels)
    ax.set_yticks(range(len(labels)), labels)
    ax.tick_params(length=0)
    ax.set_xlabel("answered")
    ax.set_ylabel("said")
    describe(ax, _confusion_in_words(matrix, labels))
    return ax


def accuracy_curve(
    rows: Sequence[NoiseRow],
    *,
    label: str | None = None,
    chance: float | None = None,
    color: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the accuracy over the signal-to-noise ratio, with its intervals.

    Parameters
    ----------
    rows : sequence of NoiseRow
        As `asrlib.evaluation.accuracy_against_snr` gives them. Infinity stands apart, at the right.
    label : str, optional
        Name of the curve, for a legend. Call again with ``ax`` to compare.
    chance : float, optional
        Accuracy of guessing, from 0 to 1, drawn as a line.
    color : str, optional
        Left out: the next colour of the cycle.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When there is no row.

    Examples
    --------
    >>> from asrlib.evaluation import NoiseRow, wilson_interval
    >>> rows = [
    ...     NoiseRow("0 dB", 100, 60, wilson_interval(60, 100), 0.0),
    ...     NoiseRow("20 dB", 100, 95, wilson_interval(95, 100), 20.0),
    ... ]
    >>> alt_text(accuracy_curve(rows))
    'Accuracy against signal-to-noise ratio: 0 dB 60.0 %, 20 dB 95.0 %.'

    Lesson: 07
    """
    if len(rows) == 0:
        raise ValueError("There is no row to draw. Pass what accuracy_against_snr gave.")
    rows = sorted(rows, key=lambda row: row.snr_db)
    ax = prepared(ax, size=(5.6, 3.2))
    finite = [row.snr_db for row in rows if np.isfinite(row.snr_db)]
    # Room for "no noise" one and a half steps to the right of the highest ratio.
    step = (finite[-1] - finite[0]) / (len(finite) - 1) if len(finite) > 1 else 5.0
    beyond = (finite[-1] if finite else 0.0) + 1.5 * step
    at = np.array([row.snr_db if np.isfinite(row.snr_db) else beyond for row in rows], float)
    percent = np.array([100 * row.accuracy for row in rows])
    bounds = 100 * np.array([row.interval for row in rows])
    color = color or look().colors[len(ax.containers) % len(look().colors)]
    reach = np.maximum(0, np.stack([percent - bounds[:, 0], bounds[:, 1] - percent]))
    ax.errorbar(at, percent, yerr=reach, fmt="none", ecolor=color, elinewidth=1.2, capsize=3)
    marked = {"color": color, "marker": "o", "markersize": 4}
    ax.plot(at[: len(finite)], percent[: len(finite)], label=label, **marked)
    ax.plot(at[len(finite) :], percent[len(finite) :], linestyle="none", **marked)
    if chance is not None:
        _mark_chance(100 * chance, ax)
    ax.set_xticks(at, [minus(row.snr_db) if np.isfinite(row.snr_db) else "no noise" for row in rows])
    ax.set_ylim(0, 104)
    ax.set_xlabel("signal-to-noise ratio (dB)")
    ax.set_ylabel("accuracy (%)")
    if label is not None:
        ax.legend(loc="upper left", frameon=False, labelcolor=look().ink)
    numbers = ", ".join(f"{row.name} {100 * row.accuracy:.1f} %" for row in rows)
    named = "" if label is None else f" of {label}"
    describe(ax, f"Accuracy{named} against signal-to-noise ratio: {numbers}.", add=label is not None)
    return ax


def accuracy_by_group(rows: Sequence[Row], *, ax: Axes | None = None) -> Axes:
    """Draw the accuracy of each speaker or group as a dot with its interval, the best at the top.

    Parameters
    ----------
    rows : sequence of Row
        Such as ``Report.speakers`` or ``Report.groups``.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When there is no row.

    Examples
    --------
    >>> from asrlib.evaluation import by_group
    >>> ax = accuracy_by_group(by_group(np.array([True, False, True]), ["theo", "theo", "lucas"]))
    >>> [tick.get_text() for tick in ax.get_yticklabels()]
    ['theo', 'lucas']

    Lesson: 07
    """
    if len(rows) == 0:
        raise ValueError("There is no row to draw. Pass the speakers or groups of a report.")
    rows = sorted(rows, key=lambda row: (row.accuracy, row.name))
    ax = prepared(ax, size=(5.6, 0.9 + 0.28 * len(rows)))
    percent = np.array([100 * row.accuracy for row in rows])
    bounds = 100 * np.array([row.interval for row in rows])
    reach = np.maximum(0, np.stack([percent - bounds[:, 0], bounds[:, 1] - percent]))
    ax.errorbar(
        percent,
        range(len(rows)),
        xerr=reach,
        fmt="o",
        markersize=5,
        color=look().main,
        elinewidth=1.2,
        capsize=3,
    )
    ax.set_yticks(range(len(rows)), [row.name for row in rows])
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.set_xlim(min(90.0, 10 * np.floor(bounds.min() / 10)), 100.5)
    ax.set_xlabel("accuracy (%)")
    numbers = ", ".join(f"{row.name} {100 * row.accuracy:.1f} %" for row in reversed(rows))
    describe(ax, f"Accuracy of each of {len(rows)}, best first: {numbers}.")
    return ax


def history(
    curves: Mapping[str, Sequence[float]], *, metric: str = "accuracy", ax: Axes | None = None
) -> Axes:
    """Draw how a metric developed over the epochs, on the training and on the validation clips.

    Parameters
    ----------
    curves : mapping of str to sequence of float
        One value for each epoch under `metric`, and under ``"val_" + metric`` when there is validation, as in
        Keras' ``History.history``.
    metric : str
        "accuracy" is drawn in percent; anything else as it is.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When the metric is not among the curves, or has no epoch.

    Examples
    --------
    >>> ax = history({"accuracy": [0.5, 0.8], "val_accuracy": [0.4, 0.7]})
    >>> alt_text(ax)
    'Accuracy over 2 epochs: training ends at 80.0 %, validation ends at 70.0 %.'

    Lesson: 06
    """
    named = {"training": metric, "validation": f"val_{metric}"}
    drawn = {name: np.asarray(curves[key], float) for name, key in named.items() if key in curves}
    if not drawn or any(values.size == 0 for values in drawn.values()):
        raise ValueError(f"The curves {list(curves)} hold no epoch of {metric!r}. Choose metric= from them.")
    ax = prepared(ax, size=(5.6, 3.0))
    percent = metric.endswith("accuracy")
    scale, unit = (100, " %") if percent else (1, "")
    ends = []
    for (name, values), color in zip(drawn.items(), (look().quiet, look().main), strict=False):
        epochs = np.arange(1, len(values) + 1)
        ax.plot(epochs, scale * values, color=color, marker="o", markersize=3, label=name)
        number = f"{scale * values[-1]:.1f}" if percent else f"{values[-1]:.3g}"
        ends.append(f"{name} ends at {number}{unit}")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.set_xlabel("epoch")
    ax.set_ylabel(f"{metric} (%)" if percent else metric)
    ax.legend(loc="best", frameon=False, labelcolor=look().ink)
    n_epochs = max(len(values) for values in drawn.values())
    counted = f"{n_epochs} epoch" + ("s" if n_epochs > 1 else "")
    describe(ax, f"{metric.capitalize()} over {counted}: {', '.join(ends)}.")
    return ax


def _label_bands(ax: Axes, config: FeatureConfig) -> None:
    if config.kind == "mfcc":
        ax.set_ylabel("coefficient")
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        return
    peaks = config.band_frequencies()
    ticks: dict[int, float] = {}
    for hz in reversed([hz for hz in _TICK_HZ if peaks[0] <= hz <= peaks[-1]]):
        band = float(np.interp(hz, peaks, np.arange(len(peaks))))
        if not ticks or min(ticks.values()) - band > _TICK_SPACING * config.n_coefficients:
            ticks[hz] = band
    parts = config.n_coefficients // config.n_mels  # "both" stacks two pictures
    places = [band + part * config.n_mels for part in range(parts) for band in ticks.values()]
    ax.set_yticks(places, [str(hz) for hz in ticks] * parts)
    ax.set_ylabel("frequency (Hz)" if parts == 1 else "frequency (Hz), twice")
    for part in range(1, parts):
        ax.axhline(part * config.n_mels - 0.5, color=look().quiet, linewidth=1)


def _color_limits(features: np.ndarray, config: FeatureConfig) -> tuple[float, float]:
    if config.kind == "mfcc":
        # The first coefficient is the loudness of the frame; it would drown the others.
        reach = float(np.percentile(np.abs(features[:, 1:] if features.shape[1] > 1 else features), 99))
        return -reach, reach
    high = float(features.max())
    return max(float(np.percentile(features, 5)), high - config.from_db(_SHOWN_DB)), high


def _mark_chance(percent: float, ax: Axes) -> None:
    ax.axhline(percent, color=look().quiet, linewidth=1, linestyle=(0, (4, 3)))
    ax.annotate(
        "guessing",
        (0.99, percent),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color=look().ink,
    )


def _named_probabilities(
    probabilities: np.ndarray | Mapping[str, float], labels: Sequence[str]
) -> tuple[np.ndarray, list[str]]:
    if isinstance(probabilities, Mapping):
        labels, probabilities = list(probabilities), list(probabilities.values())
    values = np.asarray(probabilities, float)
    if values.shape != (len(labels),) or values.size == 0:
        raise ValueError(
            f"Probabilities of shape {values.shape} came for {len(labels)} labels; expected one each."
        )
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1 + 1e-6):
        raise ValueError(
            f"Probabilities lie between 0 and 1; these reach from {values.min()} to {values.max()}."
        )
    return values, [str(label) for label in labels]


def _named_bars(values: np.ndarray, labels: Sequence[str], ax: Axes) -> Axes:
    return probabilities(values, labels=labels, ax=ax)


def _write(text: str, ax: Axes) -> None:
    """Write the answer as large as its length allows."""
    ax.set_axis_off()
    size = min(72, 105 / max(1, len(text)))
    ax.text(0.5, 0.5, text, ha="center", va="center", fontsize=size, color=look().strong, fontweight="bold")


def _connect(figure: Figure, sound: Axes, picture: Axes, bars: Axes, written: Axes) -> None:
    """Draw the arrows from stage to stage."""
    upper, lower = sound.get_position(), picture.get_position()
    chart, answer = bars.get_position(), written.get_position()
    middle, height = (upper.x0 + upper.x1) / 2, (chart.y0 + chart.y1) / 2
    beside = lower.y1 - 0.1  # below the axis label of the chart
    for start, end in (
        ((middle, upper.y0 - 0.02), (middle, lower.y1 + 0.02)),
        ((lower.x1 + 0.012, beside), (chart.x0 - 0.055, beside)),
        ((chart.x1 + 0.012, height), (answer.x0 - 0.004, height)),
    ):
        arrow = FancyArrowPatch(start, end, transform=figure.transFigure, shrinkA=0, shrinkB=0)
        arrow.set(arrowstyle="-|>", mutation_scale=13, linewidth=1.6, color=look().quiet)
        figure.add_artist(arrow)


def _features_in_words(features: np.ndarray, config: FeatureConfig) -> str:
    n_frames, width = features.shape
    times = config.times(n_frames)
    if config.kind == "mfcc":
        return f"Picture of {width} cepstral coefficients in {n_frames} frames, {times[-1]:.2f} seconds."
    frame, band = np.unravel_index(int(features.argmax()), features.shape)
    twice = ", without its level below and without its mean above," if width > config.n_mels else ""
    return (
        f"Picture of the power in {config.n_mels} mel bands{twice} in {n_frames} frames. It is brightest at "
        f"{times[frame]:.2f} seconds and about {config.band_frequencies()[band % config.n_mels]:.0f} Hz."
    )


def _probabilities_in_words(values: np.ndarray, labels: Sequence[str]) -> str:
    best = np.argsort(-values, kind="stable")[:2]
    ranked = ", then ".join(f'"{labels[i]}" with {100 * values[i]:.0f} %' for i in best)
    return f"Bar chart of {len(values)} probabilities. The highest is {ranked}."


def _confusion_in_words(matrix: np.ndarray, labels: Sequence[str]) -> str:
    right = int(np.trace(matrix))
    text = f"Confusion matrix of {int(matrix.sum())} answers, {right} of them right."
    wrong = matrix - np.diag(np.diag(matrix))
    if not wrong.any():
        return text
    said, answered = np.unravel_index(int(wrong.argmax()), wrong.shape)
    worst = f'"{labels[said]}" heard as "{labels[answered]}", {int(wrong[said, answered])} times'
    return f"{text} Most frequent error: {worst}."
