"""When is it written, and where did the time go? The figures of lesson 9."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Wedge

from asrlib import audio
from asrlib.plots.common import describe, look, prepared
from asrlib.streaming import Activity, VadConfig

__all__ = [
    "answer_times",
    "backlogs",
    "compute_times",
    "error_against_latency",
    "latency_budget",
    "ring_buffer",
    "seams",
    "voice_activity",
    "words_cut",
]

_LINES = ("-", "--", "-.", ":")
_MARKERS = "osD^v"
_HATCHES = ("", "///", "...", "xxx")


def latency_budget(
    budgets: Mapping[str, Mapping[str, float]], *, goal_ms: float | None = None, ax: Axes | None = None
) -> Axes:
    """Draw what a latency is made of, one bar for each design.

    Parameters
    ----------
    budgets : mapping of str to mapping of str to float
        For each design its parts by name, in ms; the same names in the same order everywhere.
    goal_ms : float, optional
        A latency to stay below, drawn as a line.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When there is no design, their parts differ, or a part is not a number from 0 on.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> alt_text(latency_budget({"long chunks": {"waiting": 500, "computing": 5}}, goal_ms=300))
    'Latency by its parts, goal 300 ms. long chunks: 505 ms (waiting 500, computing 5).'

    Lesson: 09
    """
    parts = list(next(iter(budgets.values()), {}))
    if not parts or any(list(each) != parts for each in budgets.values()):
        raise ValueError("Pass a dict of design to its parts in ms, with the same parts for each design.")
    lengths = np.array([[float(each[part]) for part in parts] for each in budgets.values()])
    if not (np.isfinite(lengths) & (lengths >= 0)).all():
        raise ValueError("Every part must be a number of ms from 0 on.")
    ax = prepared(ax, size=(8.0, 1.1 + 0.5 * len(budgets)))
    starts = np.cumsum(lengths, axis=1) - lengths
    for i, part in enumerate(parts):
        color = look().colors[i % len(look().colors)]
        ax.barh(
            range(len(budgets)),
            lengths[:, i],
            left=starts[:, i],
            height=0.6,
            # The hatch tells the parts apart where colours do not.
            color=color,
            hatch=_HATCHES[i % 4],
            edgecolor=look().face if look().face != "none" else "#ffffff",
            linewidth=0,
            label=part,
        )
    totals = lengths.sum(axis=1)
    for row, total in enumerate(totals):
        ax.annotate(
            f"{total:.0f} ms",
            (total, row),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=look().ink,
            bbox=_behind(),
        )
    reach = max(float(totals.max()), goal_ms or 0.0)
    if goal_ms is not None:
        ax.axvline(goal_ms, color=look().ink, linewidth=1.2, linestyle=(0, (4, 3)))
        ax.annotate(
            "goal",
            (goal_ms, 0),
            xycoords=("data", "axes fraction"),
            xytext=(4, 4),
            textcoords="offset points",
            fontsize=9,
            color=look().ink,
        )
    ax.set_yticks(range(len(budgets)), list(budgets))
    ax.set_ylim(len(budgets) - 0.5, -0.5)
    ax.set_xlim(0, 1.14 * reach)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("time after the end of the word (ms)")
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=len(parts),
        labelcolor=look().ink,
        borderaxespad=0.2,
        fontsize=9,
    )
    said = [
        f"{name}: {total:.0f} ms ({', '.join(f'{p} {v:.0f}' for p, v in zip(parts, row, strict=True))})"
        for name, total, row in zip(budgets, totals, lengths, strict=True)
    ]
    goal = "" if goal_ms is None else f", goal {goal_ms:g} ms"
    describe(ax, f"Latency by its parts{goal}. {'; '.join(said)}.")
    return ax


def _behind() -> dict[str, object]:
    """Return what lies behind a text that a line may cross."""
    return {"boxstyle": "square,pad=0.1", "facecolor": look().face, "edgecolor": "none"}


def ring_buffer(capacity: int, *, first: int, end: int, ax: Axes | None = None) -> Axes:
    """Draw a ring buffer: which sample lies in which place, what is unread, where the next ones go.

    Parameters
    ----------
    capacity : int
        Places of the ring, from 4 to 40.
    first, end : int
        The oldest unread sample, and the next one to be written, counted from the start of the stream.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When the numbers do not fit.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> alt_text(ring_buffer(12, first=9, end=14))
    'A ring of 12 places holds samples 9 to 13: places 9 to 11 and 0 to 1. The next goes to place 2.'

    Lesson: 09
    """
    if not 4 <= capacity <= 40 or not 0 <= first <= end <= first + capacity:
        raise ValueError(
            f"capacity={capacity}, first={first} and end={end} came. Expected 4 to 40 places, and no more "
            "unread samples than there are places."
        )
    ax = prepared(ax, size=(3.8, 3.8))
    ax.set_aspect("equal")
    ax.axis("off")
    ax.set(xlim=(-1.42, 1.42), ylim=(-1.42, 1.42))
    turn = 360 / capacity
    oldest_kept = max(0, end - capacity)
    for place in range(capacity):
        from_angle = 90 - turn * place  # clockwise from the top
        newest = end - 1 - (end - 1 - place) % capacity if end else -1
        unread, read = newest >= first, oldest_kept <= newest < first
        ax.add_patch(
            Wedge(
                (0, 0),
                1.0,
                from_angle - turn,
                from_angle,
                width=0.3,
                facecolor=look().main if unread else look().quiet if read else "none",
                alpha=1 if unread else 0.35 if read else 1,
                edgecolor=look().ink,
                linewidth=0.8,
            )
        )
        angle = math.radians(from_angle - turn / 2)
        if unread or read:
            ink = ("#ffffff" if look().face != "#111111" else "#111111") if unread else look().ink
            ax.text(
                0.85 * math.cos(angle),
                0.85 * math.sin(angle),
                str(newest),
                ha="center",
                va="center",
                fontsize=8,
                color=ink,
            )
        ax.text(
            0.6 * math.cos(angle),
            0.6 * math.sin(angle),
            str(place),
            ha="center",
            va="center",
            fontsize=6.5,
            color=look().ink,
        )
    for name, sample, color in (("read", first, look().strong), ("write", end, look().ink)):
        if name == "read" and first == end:
            continue
        angle = math.radians(90 - turn * (sample % capacity + 0.5))
        ax.annotate(
            name,
            (1.02 * math.cos(angle), 1.02 * math.sin(angle)),
            xytext=(1.3 * math.cos(angle), 1.3 * math.sin(angle)),
            ha="center",
            va="center",
            fontsize=9,
            color=color,
            arrowprops={"arrowstyle": "-|>", "color": color, "linewidth": 1.2},
        )
    ax.text(0, 0, f"{end - first} unread\n{capacity} places", ha="center", va="center", color=look().ink)
    held = _places(first, end, capacity)
    content = f"holds samples {first} to {end - 1}: {held}" if end > first else "holds nothing unread"
    describe(ax, f"A ring of {capacity} places {content}. The next goes to place {end % capacity}.")
    return ax


def _places(first: int, end: int, capacity: int) -> str:
    at, n = first % capacity, end - first
    if n == 0:
        return "none"
    if at + n <= capacity:
        return f"places {at} to {at + n - 1}"
    return f"places {at} to {capacity - 1} and 0 to {at + n - 1 - capacity}"


def voice_activity(activity: Activity, config: VadConfig | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw what a voice-activity detector sees, the level over its floor, and what it decides.

    Parameters
    ----------
    activity : Activity
        As `asrlib.streaming.voice_activity` gives it.
    config : VadConfig, optional
        With which it was made; the defaults when left out.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When there is no frame.

    Examples
    --------
    >>> from asrlib import streaming
    >>> from asrlib.plots import alt_text
    >>> sound = np.zeros(16_000, np.float32)
    >>> sound[4_000:12_000] = 0.1 * np.sin(np.arange(8_000))
    >>> alt_text(voice_activity(streaming.voice_activity(sound)))
    'Voice activity of 1.0 s: 1 stretch of speech, 71 % of the time; levels from -120 to -23 dB.'

    Lesson: 09
    """
    config = config or VadConfig()
    if len(activity) == 0:
        raise ValueError("There is no frame to draw. Pass the activity of a longer sound.")
    ax = prepared(ax, size=(8.4, 3.2))
    times = (np.arange(len(activity)) + 1) * config.frame_seconds
    top = float(activity.level_db.max())
    bottom = max(float(activity.level_db.min()), float(activity.floor_db.min()) - 12)
    ax.plot(times, np.maximum(activity.level_db, bottom), color=look().main, linewidth=1.2, label="level")
    ax.plot(times, activity.floor_db, color=look().quiet, linewidth=1.4, label="floor")
    for above, line, name in ((config.on_db, "--", "on"), (config.off_db, ":", "off")):
        ax.plot(
            times,
            activity.floor_db + above,
            line,
            color=look().strong,
            linewidth=1.2,
            label=f"floor + {name}",
        )
    room = 0.12 * (top - bottom)
    for row, (name, decisions) in enumerate((("loud", activity.loud), ("speech", activity.speech))):
        height = bottom - (row + 1) * room
        bars = [
            (start * config.frame_seconds, length * config.frame_seconds)
            for start, length in _runs(decisions)
        ]
        color = look().main if name == "loud" else look().strong
        ax.broken_barh(bars, (height, 0.6 * room), color=color, hatch="" if row == 0 else "///", linewidth=0)
        ax.annotate(
            name,
            (1.0, height + 0.3 * room),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=look().ink,
        )
    ax.set_xlim(0, times[-1])
    ax.set_ylim(bottom - 2.4 * room, top + 0.5 * room)
    ax.set_xlabel("time (s)")
    ax.set_ylabel("level (dB re full scale)")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4, labelcolor=look().ink, fontsize=8)
    stretches = len(_runs(activity.speech))
    describe(
        ax,
        f"Voice activity of {times[-1]:.1f} s: {stretches} stretch{'' if stretches == 1 else 'es'} of "
        f"speech, {100 * activity.speech.mean():.0f} % of the time; levels from "
        f"{activity.level_db.min():.0f} to {top:.0f} dB.",
    )
    return ax


def _runs(decisions: np.ndarray) -> list[tuple[int, int]]:
    """Return start and length of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(decisions, np.int8), [0]])))
    return [(int(a), int(b - a)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def words_cut(
    pauses_ms: Mapping[str, Sequence[float]], *, hang_over_ms: float | None = None, ax: Axes | None = None
) -> Axes:
    """Draw how many words a hang-over would cut in two, over the hang-over.

    Parameters
    ----------
    pauses_ms : mapping of str to sequence of float
        For each surrounding the longest silence within each word, in ms.
    hang_over_ms : float, optional
        A choice to mark.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When there is no surrounding, or one without a word.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> alt_text(words_cut({"quiet": [0, 0, 120, 60]}, hang_over_ms=100))
    'Words that a hang-over cuts. quiet: 50 % at 50 ms, 25 % at 100 ms, 0 % at 200 ms. Chosen: 100 ms.'

    Lesson: 09
    """
    pauses = {name: np.asarray(values, float) for name, values in pauses_ms.items()}
    if not pauses or not all(values.size for values in pauses.values()):
        raise ValueError("Pass a dict of surrounding to the longest pause of each word, in ms.")
    longest = max(float(values.max()) for values in pauses.values())
    reach = max(10.0 * math.ceil(longest / 10) + 30, hang_over_ms or 0, 240)
    hang_overs = np.arange(10, reach + 1, 10)
    ax = prepared(ax, size=(6.8, 3.0))
    said = []
    for i, (name, values) in enumerate(pauses.items()):
        cut = [100 * np.mean(values >= each) for each in hang_overs]
        color = look().colors[i % len(look().colors)]
        ax.plot(hang_overs, cut, _LINES[i % 4], color=color, marker=_MARKERS[i % 5], markersize=3, label=name)
        some = ", ".join(f"{100 * np.mean(values >= each):.0f} % at {each} ms" for each in (50, 100, 200))
        said.append(f"{name}: {some}.")
    if hang_over_ms is not None:
        ax.axvline(hang_over_ms, color=look().ink, linewidth=1.2, linestyle=(0, (4, 3)))
        ax.annotate(
            "chosen",
            (hang_over_ms, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(4, -10),
            textcoords="offset points",
            fontsize=9,
            color=look().ink,
        )
        said.append(f"Chosen: {hang_over_ms:g} ms.")
    ax.set_xlim(0, reach)
    ax.set_ylim(0, None)
    ax.set_xlabel("hang-over (ms): so long every answer waits")
    ax.set_ylabel("words cut in two (%)")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, labelcolor=look().ink, fontsize=9)
    describe(ax, f"Words that a hang-over cuts. {' '.join(said)}")
    return ax


def seams(
    streamed: np.ndarray,
    whole: np.ndarray,
    *,
    borders: Sequence[float] = (),
    hop_seconds: float = 0.010,
    ax: Axes | None = None,
) -> Axes:
    """Draw where the features of a sound in chunks differ from those of the whole sound.

    Parameters
    ----------
    streamed, whole : ndarray, shape (n_frames, n_coefficients)
        Frame for frame; NaN in `streamed` marks a frame that is missing.
    borders : sequence of float
        Where one chunk ends and the next begins, in seconds.
    hop_seconds : float
        From one frame to the next, in seconds.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When the two have different shapes.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> whole = np.zeros((10, 4))
    >>> broken = whole.copy()
    >>> broken[4], broken[5] = 1.0, np.nan
    >>> alt_text(seams(broken, whole, borders=[0.05]))
    'Difference of two times 10 frames: 1 differs by more than 0.001, at most by 1; 1 is missing.'

    Lesson: 09
    """
    streamed, whole = np.asarray(streamed, float), np.asarray(whole, float)
    if streamed.shape != whole.shape or whole.ndim != 2:
        raise ValueError(
            f"Features of shape {streamed.shape} and {whole.shape} came; expected the same (n_frames, "
            "n_coefficients)."
        )
    difference = np.abs(streamed - whole)
    missing = np.isnan(difference).any(axis=1)
    wrong = ~missing & (np.nan_to_num(difference).max(axis=1) > 1e-3)
    largest = float(np.nanmax(difference)) if not missing.all() else 0.0
    ax = prepared(ax, size=(8.4, 2.6))
    n_frames, n_coefficients = whole.shape
    extent = (0, n_frames * hop_seconds, -0.5, n_coefficients - 0.5)
    image = ax.imshow(
        difference.T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap="viridis",
        vmin=0,
        vmax=max(largest, 1e-3),
        extent=extent,
    )
    for start, length in _runs(missing):
        ax.axvspan(
            start * hop_seconds,
            (start + length) * hop_seconds,
            facecolor="none",
            edgecolor=look().strong,
            hatch="////",
            linewidth=0,
        )
    for border in borders:
        ax.axvline(border, ymin=0.94, ymax=1.06, color=look().ink, linewidth=1.2, clip_on=False)
    bar = ax.figure.colorbar(image, ax=ax, pad=0.02, aspect=18)
    bar.outline.set_visible(False)
    bar.ax.tick_params(color=look().quiet, labelcolor=look().ink)
    bar.set_label("|difference|", color=look().ink)
    if missing.any():
        ax.legend(
            handles=[Patch(facecolor="none", edgecolor=look().strong, hatch="////", label="frame missing")],
            loc="lower right",
            bbox_to_anchor=(1, 1.05),
            labelcolor=look().ink,
            fontsize=8,
        )
    ax.set_xlabel("time (s)")
    ax.set_ylabel("mel band")
    differ = (
        f"{wrong.sum()} differ{'s' if wrong.sum() == 1 else ''} by more than 0.001, at most by {largest:.3g}"
    )
    lost = f"; {missing.sum()} {'is' if missing.sum() == 1 else 'are'} missing" if missing.any() else ""
    describe(ax, f"Difference of two times {n_frames} frames: {differ if wrong.any() else 'none'}{lost}.")
    return ax


def answer_times(
    samples: np.ndarray,
    spoken: Sequence[tuple[str, float, float]],
    answers: Mapping[str, Sequence[tuple[str, float]]],
    *,
    sample_rate: int = audio.SAMPLE_RATE,
    ax: Axes | None = None,
) -> Axes:
    """Draw when words were said, and when each listener wrote them.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        The sound.
    spoken : sequence of (str, float, float)
        Each word with its start and stop in seconds.
    answers : mapping of str to sequence of (str, float)
        For each listener the words that it wrote, and when, in seconds.
    sample_rate : int
        In Hz.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When there is no listener.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> alt_text(answer_times(np.zeros(16_000), [("7", 0.2, 0.5)], {"quick": [("7", 0.75)]}))
    'One word in 1.0 s: 7 from 0.20 to 0.50 s. quick wrote 7 at 0.75 s.'

    Lesson: 09
    """
    if not answers:
        raise ValueError("There is no listener. Pass a dict of name to the words that it wrote.")
    ax = prepared(ax, size=(9.0, 1.7 + 0.6 * len(answers)))
    samples = np.asarray(samples, float)
    peak = max(float(np.abs(samples).max()), 1e-9)
    # Two values for each of about 2000 pixels draw the same outline as all samples do.
    step = max(1, len(samples) // 2000)
    blocks = samples[: len(samples) // step * step].reshape(-1, step)
    at = np.arange(len(blocks)) * step / sample_rate
    low, high = 0.9 * blocks.min(axis=1) / peak, 0.9 * blocks.max(axis=1) / peak
    ax.fill_between(at, low, high, color=look().quiet, linewidth=0.3)
    for text, start, stop in spoken:
        ax.axvspan(start, stop, ymin=0, ymax=1, color=look().main, alpha=0.14, linewidth=0)
        ax.text((start + stop) / 2, 1.12, text, ha="center", va="bottom", fontsize=10, color=look().main)
    end = len(samples) / sample_rate
    for row, given in enumerate(answers.values()):
        height = -1.8 - 1.1 * row
        color = look().colors[(row + 1) % len(look().colors)]
        ax.axhline(height, color=look().quiet, linewidth=0.5)
        for text, when in given:
            ax.plot([when], [height], _MARKERS[row % 5], color=color, markersize=5)
            ax.annotate(
                text,
                (when, height),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=10,
                color=look().ink,
            )
            end = max(end, when + 0.1)
    ax.set_yticks(
        [0, *(-1.8 - 1.1 * row for row in range(len(answers)))],
        ["said", *(f"{name}" for name in answers)],
    )
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_ylim(-1.8 - 1.1 * len(answers) + 0.4, 1.9)
    ax.set_xlim(0, end)
    ax.set_xlabel("time (s)")
    n_words = "One word" if len(spoken) == 1 else f"{len(spoken)} words"
    words = ", ".join(f"{text} from {start:.2f} to {stop:.2f} s" for text, start, stop in spoken)
    wrote = " ".join(
        f"{name} wrote " + (", ".join(f"{text} at {when:.2f} s" for text, when in given) or "nothing") + "."
        for name, given in answers.items()
    )
    describe(ax, f"{n_words} in {len(samples) / sample_rate:.1f} s: {words}. {wrote}")
    return ax


def backlogs(
    curves: Mapping[str, Sequence[float]],
    *,
    chunk_seconds: float,
    patience_seconds: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw by how much computing lies behind the sound, over the sound that came.

    Parameters
    ----------
    curves : mapping of str to sequence of float
        For each machine its backlog after every chunk, in seconds.
    chunk_seconds : float
        Length of a chunk in seconds.
    patience_seconds : float, optional
        From which backlog on the machine says that it is too slow, drawn as a line.
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
    >>> from asrlib.plots import alt_text
    >>> alt_text(backlogs({"slow": [0.1, 0.2, 0.3]}, chunk_seconds=0.1))
    'Backlog over 0.3 s of sound: slow at most 0.30 s, 0.30 s at the end.'

    Lesson: 09
    """
    if not curves:
        raise ValueError("There is no machine. Pass a dict of name to its backlog after every chunk.")
    ax = prepared(ax, size=(7.0, 3.0))
    said, longest = [], 0
    for i, (name, values) in enumerate(curves.items()):
        values = np.asarray(values, float)
        longest = max(longest, len(values))
        times = chunk_seconds * (np.arange(len(values)) + 1)
        ax.plot(times, values, _LINES[i % 4], color=look().colors[i % len(look().colors)], label=name)
        said.append(f"{name} at most {values.max():.2f} s, {values[-1]:.2f} s at the end")
    if patience_seconds is not None:
        ax.axhline(patience_seconds, color=look().quiet, linewidth=1, linestyle=(0, (4, 3)))
        ax.annotate(
            "too slow, it says",
            (0.995, patience_seconds),
            xycoords=("axes fraction", "data"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color=look().ink,
        )
    ax.set_xlim(0, chunk_seconds * longest)
    ax.set_ylim(0, None)
    ax.set_xlabel("sound that came (s)")
    ax.set_ylabel("backlog (s)")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, labelcolor=look().ink, fontsize=9)
    describe(ax, f"Backlog over {chunk_seconds * longest:.1f} s of sound: {'; '.join(said)}.")
    return ax


def compute_times(
    milliseconds: Mapping[str, float],
    *,
    sound_ms: float = 100.0,
    goal_ms: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how long each way of computing takes for the same piece of sound, on a logarithmic scale.

    Parameters
    ----------
    milliseconds : mapping of str to float
        Time for the piece of sound, in ms, by name.
    sound_ms : float
        How long that piece is: who needs longer cannot keep up. Drawn as a line.
    goal_ms : float, optional
        Drawn as a line.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When there is nothing to draw or a time is not above 0.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> alt_text(compute_times({"NumPy": 1.5, "Keras": 60}, goal_ms=5))
    'Computing for 100 ms of sound: NumPy 1.5 ms, Keras 60 ms. Goal: 5 ms.'

    Lesson: 09
    """
    times = {name: float(value) for name, value in milliseconds.items()}
    if not times or not all(0 < value < math.inf for value in times.values()):
        raise ValueError("Pass a dict of name to a time in ms above 0.")
    ax = prepared(ax, size=(7.6, 1.1 + 0.36 * len(times)))
    least = 0.5 * min(*times.values(), goal_ms or math.inf)
    most = 4 * max(*times.values(), sound_ms)
    for row, value in enumerate(times.values()):
        late = value > sound_ms
        ax.barh(
            row,
            value - least,
            left=least,
            height=0.6,
            color=look().strong if late else look().main,
            hatch="///" if late else "",
            linewidth=0,
        )
        ax.annotate(
            f"{value:.2g} ms" if value < 10 else f"{value:.0f} ms",
            (value, row),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=look().ink,
            bbox=_behind(),
        )
    for value, name in ((sound_ms, "real time"), (goal_ms, "goal")):
        if value is None:
            continue
        ax.axvline(value, color=look().ink, linewidth=1.1, linestyle=(0, (4, 3)))
        ax.annotate(
            name,
            (value, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=9,
            color=look().ink,
        )
    ax.set_xscale("log")
    ax.set_xlim(least, most)
    ax.set_yticks(range(len(times)), list(times))
    ax.set_ylim(len(times) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(f"computing for {sound_ms:g} ms of sound (ms)")
    said = ", ".join(
        f"{name} {value:.2g} ms" if value < 10 else f"{name} {value:.0f} ms" for name, value in times.items()
    )
    goal = "" if goal_ms is None else f" Goal: {goal_ms:g} ms."
    describe(ax, f"Computing for {sound_ms:g} ms of sound: {said}.{goal}")
    return ax


def error_against_latency(
    points: Mapping[str, Sequence[tuple[str, float, float]]], *, ax: Axes | None = None
) -> Axes:
    """Draw the word error rate over the latency, a curve for each network.

    Parameters
    ----------
    points : mapping of str to sequence of (str, float, float)
        For each network its points: what to write beside it, the latency in ms, the word error rate from
        0 to 1.
    ax : Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    Axes
        What was drawn into.

    Raises
    ------
    ValueError
        When there is no network, or one without a point.

    Examples
    --------
    >>> from asrlib.plots import alt_text
    >>> alt_text(error_against_latency({"causal": [("", 120, 0.05)], "both ways": [("0.2 s", 300, 0.03)]}))
    'Word error rate against latency. causal: 5.0 % at 120 ms. both ways: 3.0 % at 300 ms (0.2 s).'

    Lesson: 09
    """
    if not points or not all(len(each) for each in points.values()):
        raise ValueError("Pass a dict of network to its points, at least one each.")
    ax = prepared(ax, size=(6.8, 3.4))
    said = []
    for i, (name, some) in enumerate(points.items()):
        latencies, rates = [each[1] for each in some], [100 * each[2] for each in some]
        ax.plot(
            latencies,
            rates,
            f"{_LINES[i % 4]}{_MARKERS[i % 5]}",
            color=look().colors[i % len(look().colors)],
            markersize=6,
            label=name,
        )
        for note, latency, rate in some:
            ax.annotate(
                note,
                (latency, 100 * rate),
                xytext=(6, 5),
                textcoords="offset points",
                fontsize=8,
                color=look().ink,
            )
        listed = ", ".join(
            f"{100 * rate:.1f} % at {latency:.0f} ms" + (f" ({note})" if note else "")
            for note, latency, rate in some
        )
        said.append(f"{name}: {listed}.")
    ax.set_ylim(0, None)
    ax.set_xlim(0, None)
    ax.margins(x=0.12, y=0.15)
    ax.set_xlabel("median latency by waiting (ms)")
    ax.set_ylabel("word error rate (%)")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, labelcolor=look().ink, fontsize=9)
    describe(ax, f"Word error rate against latency. {' '.join(said)}")
    return ax
