"""Lesson 9's explorer: chunk, look-ahead and network on one side, latency and accuracy on the other."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ipywidgets
import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from asrlib import audio, decoding, features, signals, streaming, texts
from asrlib.datasets import SpeechDataset
from asrlib.plots.common import look, prepared
from asrlib.streaming import LookAheadStream, RunningNormalizer, VadConfig
from asrlib.widgets.explorer import Explorer, choice, steps
from asrlib.widgets.picture import outline, set_limits

if TYPE_CHECKING:
    from asrlib.string_recognizer import StringRecognizer

__all__ = ["Streamed", "StreamingExplorer", "answered_at"]

CAUSAL, BOTH_WAYS, WHOLE = "causal", "both ways, looking ahead", "both ways, whole utterance"
_LOOK_AHEADS = (0.0, 0.04, 0.08, 0.16, 0.32, 0.64)
_CHUNKS = (0.01, 0.02, 0.04, 0.08, 0.1, 0.2, 0.3, 0.5, 1.0)
_FACTORS = (0.01, 0.05, 0.2, 0.5, 0.9, 1.1)
_LEAD_SECONDS, _REST_SECONDS = 0.4, 1.0  # of near silence around each clip
_GOAL_MS = 300.0
_SHOWN_MS = 1500.0
_BIN_MS = 50.0
_MOST_WORDS = 12
_LISTENING = VadConfig(hang_over_seconds=0.6)
_CLICK = 0.15


@dataclass(frozen=True, eq=False)
class Streamed:
    """What some listeners wrote, and when.

    Parameters
    ----------
    network : str
        Which network listened.
    look_ahead_seconds : float
        How much future it saw; 0 for a causal network.
    chunk_seconds : float
        Length of a chunk.
    factor : float
        Seconds of computing for each second of sound.
    number : int
        Which clip is shown, from 1.
    said, wrote : str
        What was said in it, and what was written.
    samples : float32 array, shape (n_samples,)
        Its sound, with near silence around it.
    spoken : tuple of (str, float, float)
        Its words with their starts and stops, in seconds.
    answers : tuple of (str, float)
        The words written, and when, in seconds.
    hits : dict of int to float
        Which of them were said, by their number, and when those ended, in seconds.
    latencies_ms : ndarray, shape (n_words,)
        Of the words of all clips that were heard right: from the end of the word to the answer.
    errors : ErrorCounts
        Over all clips.
    places : dict of str to tuple of (float, float, float)
        For each network its settings, by look-ahead in seconds: look-ahead, median latency in ms, word
        error rate from 0 to 1; with this chunk and this machine.

    Lesson: 09
    """

    network: str
    look_ahead_seconds: float
    chunk_seconds: float
    factor: float
    number: int
    said: str
    wrote: str
    samples: np.ndarray
    spoken: tuple[tuple[str, float, float], ...]
    answers: tuple[tuple[str, float], ...]
    hits: dict[int, float]
    latencies_ms: np.ndarray
    errors: texts.ErrorCounts
    places: dict[str, tuple[tuple[float, float, float], ...]]


def answered_at(known: np.ndarray | float, *, chunk_seconds: float, factor: float) -> np.ndarray:
    """Say when words are written that the sound has made certain.

    The chunk in which that happens must be full, the chunks before it must be done, and it must be computed.

    Parameters
    ----------
    known : float or array
        When enough sound had come, in seconds since the stream began.
    chunk_seconds : float
        Length of a chunk.
    factor : float
        Seconds of computing for each second of sound, the same for all chunks.

    Returns
    -------
    ndarray
        In seconds since the stream began.

    Examples
    --------
    >>> answered_at([0.93, 1.0], chunk_seconds=0.1, factor=0.05).round(6).tolist()
    [1.005, 1.005]
    >>> float(answered_at(0.93, chunk_seconds=0.1, factor=2.0).round(6))  # the tenth chunk, after twenty
    2.1

    Lesson: 09
    """
    chunk = np.maximum(1, np.ceil(np.round(np.asarray(known) / chunk_seconds, 9)))
    return chunk_seconds * (1 + (chunk - 1) * max(1.0, factor) + factor)


@dataclass(frozen=True, eq=False)
class _Written:
    """What one listener writes of all clips, whatever the chunks: they only decide when."""

    words: tuple[tuple[str, ...], ...]
    """Of each clip."""
    known: tuple[np.ndarray, ...]
    """When enough sound has come for each of them, in seconds."""
    hits: tuple[dict[int, float], ...]
    """Which of them were said, by their number, and when those ended."""
    errors: texts.ErrorCounts

    def latencies_ms(self, *, chunk_seconds: float, factor: float) -> np.ndarray:
        """Return how long after its end each word is written that was said."""
        known = [clip[i] for clip, hits in zip(self.known, self.hits, strict=True) for i in hits]
        ended = [stop for hits in self.hits for stop in hits.values()]
        return 1000 * (answered_at(known, chunk_seconds=chunk_seconds, factor=factor) - np.array(ended))


class StreamingExplorer(Explorer):
    """Choose a network, its look-ahead, the chunks and the machine; see when each word is written.

    All that waits for sound is exact: it follows from where the network's answers become complete. The time
    for computing is not measured here but chosen, as a share of the sound's time. Ends of words come from
    aligning the text that was said with what `both_ways` makes of the whole utterance.

    Parameters
    ----------
    causal : StringRecognizer
        Its network must be causal.
    both_ways : StringRecognizer
        Its network must not.
    clips : SpeechDataset
        Strings; the first twelve can be looked at, all of them are counted.

    Raises
    ------
    ValueError
        When there is no clip, or the networks are not as they should be.

    Examples
    --------
    >>> from asrlib import datasets
    >>> from asrlib.string_recognizer import StringRecognizer
    >>> clips = datasets.strings("test")  # doctest: +SKIP
    >>> machines = StringRecognizer.streaming(), StringRecognizer.default()  # doctest: +SKIP
    >>> StreamingExplorer(*machines, clips=clips).still(chunk_seconds=0.5)  # doctest: +SKIP

    Lesson: 09
    """

    size = (9.6, 5.0)
    dpi = 90

    def __init__(
        self, causal: StringRecognizer, both_ways: StringRecognizer, *, clips: SpeechDataset
    ) -> None:
        if not causal.model.causal or both_ways.model.causal:
            raise ValueError(
                "Expected a causal network first and one that reads both ways second; they are "
                f"{'causal' if causal.model.causal else 'not causal'} and "
                f"{'causal' if both_ways.model.causal else 'not causal'}."
            )
        if len(clips) == 0:
            raise ValueError("No clip came; expected at least one.")
        self.causal, self.both_ways = causal, both_ways
        self.texts = tuple(str(label) for label in clips.labels)
        self._sounds = [_with_silence(samples, seed) for seed, samples in enumerate(clips.arrays())]
        self._spoken = [
            _aligned(both_ways, samples, text) for samples, text in zip(self._sounds, self.texts, strict=True)
        ]
        self._names = [f"{i + 1}: {text}" for i, text in enumerate(self.texts[:_MOST_WORDS])]
        self._kept: dict[tuple[str, float], _Written] = {}
        super().__init__()

    def controls(self) -> dict[str, ipywidgets.Widget]:
        """Return the controls: network, look-ahead, chunk, computing, and the clip that is shown."""
        ahead = [(f"{1000 * seconds:.0f} ms", seconds) for seconds in _LOOK_AHEADS]
        chunks = [(f"{1000 * seconds:.0f} ms", seconds) for seconds in _CHUNKS]
        factors = [(f"{100 * factor:.0f} % of the time", factor) for factor in _FACTORS]
        return {
            "network": choice("network", [CAUSAL, BOTH_WAYS, WHOLE], value=BOTH_WAYS),
            "look_ahead_seconds": steps("look-ahead", ahead, value=0.16),
            "chunk_seconds": steps("chunk", chunks, value=0.1),
            "factor": steps("computing", factors, value=0.05),
            "clip": choice("clip", self._names),
        }

    def compute(
        self, *, network: str, look_ahead_seconds: float, chunk_seconds: float, factor: float, clip: str
    ) -> Streamed:
        """Find when each word of each clip is written, and whether it is right."""
        if network != BOTH_WAYS:
            look_ahead_seconds = 0.0
        index = self._names.index(clip)
        timing = {"chunk_seconds": chunk_seconds, "factor": factor}
        places = {}
        for name in (CAUSAL, BOTH_WAYS, WHOLE):
            aheads = _LOOK_AHEADS if name == BOTH_WAYS else (0.0,)
            listeners = [(ahead, self._written(name, ahead)) for ahead in aheads]
            places[name] = tuple(
                (ahead, _median(each.latencies_ms(**timing)), each.errors.rate) for ahead, each in listeners
            )
        written = self._written(network, look_ahead_seconds)
        when = answered_at(written.known[index], **timing).tolist()
        return Streamed(
            network=network,
            look_ahead_seconds=look_ahead_seconds,
            number=index + 1,
            said=self.texts[index],
            wrote=" ".join(written.words[index]),
            samples=self._sounds[index],
            spoken=self._spoken[index],
            answers=tuple(zip(written.words[index], when, strict=True)),
            hits=written.hits[index],
            latencies_ms=written.latencies_ms(**timing),
            errors=written.errors,
            places=places,
            **timing,
        )

    def build(self, figure: Figure, result: Streamed) -> list[Artist]:
        """Draw the clip above; below, how late words are and where the choice lies among the others."""
        grid = figure.add_gridspec(2, 2, height_ratios=(1.1, 1), width_ratios=(1.25, 1))
        self._sound = prepared(figure.add_subplot(grid[0, :]), size=self.size)
        self._late = prepared(figure.add_subplot(grid[1, 0]), size=self.size)
        self._map = prepared(figure.add_subplot(grid[1, 1]), size=self.size)
        (self._wave,) = self._sound.plot([], [], color=look().quiet, linewidth=0.7)
        (self._marks,) = self._sound.plot([], [], "o", color=look().strong, markersize=5)
        words = range(_MOST_WORDS)
        self._spans = [
            # Neighbours differ, so that words without a pause between them stay apart.
            self._sound.axvspan(0, 0.1, ymin=0.36, color=look().main, alpha=(0.22, 0.12)[i % 2], linewidth=0)
            for i in words
        ]
        self._said = [
            self._sound.text(0, 1.08, "", ha="center", va="bottom", color=look().main, fontsize=10)
            for _ in words
        ]
        self._wrote = [
            self._sound.text(0, -1.75, "", ha="left", va="center", color=look().ink, fontsize=10)
            for _ in words
        ]
        self._waits = [self._sound.plot([], [], color=look().strong, linewidth=1.1)[0] for _ in words]
        self._sound.axhline(-1.75, color=look().quiet, linewidth=0.5)
        self._sound.set(xlabel="time (s)", ylim=(-2.2, 1.6))
        self._sound.set_yticks([0, -1.75], ["said", "written"])
        self._sound.tick_params(axis="y", length=0)
        self._sound.spines["left"].set_visible(False)
        edges = np.arange(-200, _SHOWN_MS + 1, _BIN_MS)
        self._edges = edges
        self._bars = self._late.bar(edges[:-1], 0, width=0.9 * _BIN_MS, align="edge", color=look().main)
        self._median = self._late.axvline(0, color=look().strong, linewidth=1.6)
        goal = self._late.axvline(_GOAL_MS, color=look().ink, linewidth=1.1, linestyle=(0, (4, 3)))
        self._late.text(
            _GOAL_MS, 1.0, " goal", transform=self._late.get_xaxis_transform(), fontsize=8, va="top"
        ).set_color(look().ink)
        self._late.set(
            xlabel="latency (ms); the last bar holds all later ones",
            ylabel="words (%)",
            xlim=(-200, _SHOWN_MS),
            ylim=(0, 50),
        )
        self._trails = {}
        for name, color, marker in zip(
            (CAUSAL, BOTH_WAYS, WHOLE), look().colors, ("o", "s", "D"), strict=False
        ):
            (self._trails[name],) = self._map.plot(
                [], [], f"-{marker}", color=color, markersize=4, linewidth=0.9, label=name
            )
        (self._here,) = self._map.plot(
            [],
            [],
            "o",
            markersize=13,
            markerfacecolor="none",
            markeredgecolor=look().ink,
            markeredgewidth=1.5,
        )
        self._map.set(xlabel="median latency (ms)", ylabel="word errors (%)", xlim=(-200, _SHOWN_MS))
        highest = 100 * max(wrong for rows in result.places.values() for _, _, wrong in rows)
        self._map.set_ylim(0, max(5.0, 5 * math.ceil(1.1 * highest / 5)))
        self._map.legend(
            loc="lower left", bbox_to_anchor=(-0.2, 1.0), fontsize=7, labelcolor=look().ink, ncols=1
        )
        for axes in figure.axes:
            axes.autoscale(False)
        # From back to front, as they would lie if all were drawn anew.
        words = [*self._spans, self._wave, *self._waits, self._marks, *self._said, *self._wrote]
        return [*words, *self._bars, self._median, goal, *self._trails.values(), self._here]

    def draw(self, result: Streamed) -> None:
        """Move the words, the bars and the place on the map."""
        rate = audio.SAMPLE_RATE
        longest = max(len(result.samples) / rate, max((when for _, when in result.answers), default=0) + 0.2)
        set_limits(self._sound, x=(0, math.ceil(2 * longest) / 2))
        times, amplitudes = outline(result.samples)
        self._wave.set_data(times, 0.9 * amplitudes / max(float(np.abs(amplitudes).max()), 1e-9))
        for i, (span, text) in enumerate(zip(self._spans, self._said, strict=True)):
            there = i < len(result.spoken)
            span.set_visible(there)
            text.set_visible(there)
            if there:
                word, start, stop = result.spoken[i]
                span.set_x(start)
                span.set_width(stop - start)
                text.set_text(word)
                text.set_x((start + stop) / 2)
        self._marks.set_data([when for _, when in result.answers], [-1.75] * len(result.answers))
        right_of_last = -math.inf
        for i, (text, wait) in enumerate(zip(self._wrote, self._waits, strict=True)):
            there = i < len(result.answers)
            text.set_visible(there)
            wait.set_visible(there and i in result.hits)
            if there:
                word, when = result.answers[i]
                text.set_text(word)
                # Words written at once stand side by side.
                place = max(when + 0.008 * longest, right_of_last)
                right_of_last = place + 0.014 * longest
                text.set_x(place)
                if i in result.hits:
                    wait.set_data([result.hits[i], when], [-1.0, -1.65])
        self._draw_bars(result)
        for name, trail in self._trails.items():
            rows = result.places[name]
            trail.set_data([late for _, late, _ in rows], [100 * wrong for _, _, wrong in rows])
        late, wrong = _place(result)
        self._here.set_data([late], [100 * wrong])

    def _draw_bars(self, result: Streamed) -> None:
        shown = np.clip(result.latencies_ms, self._edges[0], self._edges[-1] - 1)
        counts, _ = np.histogram(shown, self._edges)
        shares = 100 * counts / max(len(shown), 1)
        set_limits(self._late, y=(0, 50 if shares.max() <= 50 else 100))
        for bar, share in zip(self._bars, shares, strict=True):
            bar.set_height(share)
        if len(shown):
            self._median.set_xdata([np.median(shown)] * 2)

    def describe(self, result: Streamed) -> str:
        """Say how late the words are, how many are wrong, and what became of this clip."""
        network = result.network
        if network == BOTH_WAYS:
            network += f" {1000 * result.look_ahead_seconds:.0f} ms"
        text = (
            f"{network[0].upper()}{network[1:]}; chunks of {1000 * result.chunk_seconds:.0f} ms, computing "
            f"{100 * result.factor:.0f} % of the time. "
        )
        if len(result.latencies_ms):
            text += (
                f"Half of the words are written no later than {_after(np.median(result.latencies_ms))} their "
                f"end, 9 of 10 no later than {_after(np.percentile(result.latencies_ms, 90))} it. "
            )
        text += (
            f"Word error rate {100 * result.errors.rate:.1f} %: {result.errors.errors} errors in "
            f"{result.errors.n_expected} words of {len(self.texts)} strings. Here said {result.said}, "
            f"written {result.wrote or 'nothing'}."
        )
        if result.factor > 1:
            text += " This machine is too slow: it falls further and further behind."
        return text

    def sound(self, result: Streamed) -> np.ndarray | None:
        """Return the clip with a click where each word is written."""
        rate = audio.SAMPLE_RATE
        click = _CLICK * signals.sine(1500, seconds=0.012)
        last = max((when for _, when in result.answers), default=0.0)
        mixed = np.zeros(max(len(result.samples), round(rate * (last + 0.1))), np.float32)
        mixed[: len(result.samples)] = result.samples
        for _, when in result.answers:
            at = round(rate * when)
            mixed[at : at + len(click)] += click
        return audio.peak_limit(mixed)

    # -- what the listeners do -------------------------------------------------------------------------------

    def _written(self, network: str, look_ahead: float) -> _Written:
        """Return what this listener writes of all clips; kept once it is known."""
        if (network, look_ahead) not in self._kept:
            decided = self._decided(network, look_ahead)
            words = tuple(tuple(word for word, _ in clip) for clip in decided)
            aligned = [
                texts.align([word for word, _, _ in spoken], heard)
                for spoken, heard in zip(self._spoken, words, strict=True)
            ]
            self._kept[network, look_ahead] = _Written(
                words=words,
                known=tuple(np.array([known for _, known in clip]) for clip in decided),
                hits=tuple(_hits(edits, spoken) for edits, spoken in zip(aligned, self._spoken, strict=True)),
                errors=_counted(aligned),
            )
        return self._kept[network, look_ahead]

    def _decided(self, network: str, look_ahead: float) -> list[list[tuple[str, float]]]:
        """Return the words of each clip, and when enough sound has come for them."""
        if network == WHOLE:
            return [_known_at_the_end(self.both_ways, samples) for samples in self._sounds]
        machine = self.causal if network == CAUSAL else self.both_ways
        frames = [_streamed_features(machine.features, samples) for samples in self._sounds]
        stream = (
            machine.network.stream()
            if network == CAUSAL
            else LookAheadStream(
                machine.network, look_ahead_seconds=look_ahead, step_seconds=machine.step_seconds
            )
        )
        needed = _frames_needed(
            stream,
            frames_per_step=machine.model.frames_per_step,
            n_frames=max(map(len, frames)),
            n_features=frames[0].shape[1],
        )
        decided = []
        for each, samples in zip(frames, self._sounds, strict=True):
            stream.reset()
            scores = np.concatenate([stream.push(each), stream.flush()])
            end = len(samples) / machine.features.sample_rate
            decided.append(
                [
                    (word, min(_sound_needed(machine.features, needed[step]), end))
                    for word, step in _decisions(scores, machine.labels)
                ]
            )
        return decided


def _with_silence(samples: np.ndarray, seed: int) -> np.ndarray:
    """Put near silence around a clip: a listener hears more than the words."""
    n_before, n_after = (round(audio.SAMPLE_RATE * s) for s in (_LEAD_SECONDS, _REST_SECONDS))
    padded = np.concatenate([np.zeros(n_before), samples, np.zeros(n_after)])
    hiss = np.random.default_rng(seed).normal(0, 0.0005, len(padded))
    return np.clip(padded + hiss, -1, 1).astype(np.float32)


def _aligned(
    machine: StringRecognizer, samples: np.ndarray, text: str
) -> tuple[tuple[str, float, float], ...]:
    """Find where each word of a known text begins and ends."""
    labels = decoding.to_labels(text.split(), machine.labels)
    found = machine.words(machine.scores(samples), samples, labels=labels)
    return tuple((word.text, float(word.start), float(word.stop)) for word in found)


def _streamed_features(config: features.FeatureConfig, samples: np.ndarray) -> np.ndarray:
    """Compute the features as a stream does, which knows no mean of the whole."""
    frames = features.extract(samples, dataclasses.replace(config, normalization="none"))
    if config.normalization == "none":
        return frames
    return RunningNormalizer(config.normalization, hop_seconds=config.hop_seconds).push(frames)


def _frames_needed(
    stream: streaming.ScoreStream, *, frames_per_step: int, n_frames: int, n_features: int
) -> np.ndarray:
    """Find after how many frames each step is given; steps that only the end gives need more than there are.

    Which numbers the frames hold does not matter. Once the stream has begun, blocks come at an even pace, so
    a short trial tells the rest.
    """
    stream.reset()
    block = getattr(stream, "block_steps", 1)
    ahead = getattr(stream, "look_ahead_steps", 0)
    trial = min(n_frames, frames_per_step * (ahead + 4 * block + 4))
    frames = np.random.default_rng(0).normal(0, 1, (trial, n_features)).astype(np.float32)
    needed: list[int] = []
    for n_pushed, frame in enumerate(frames, 1):
        needed += [n_pushed] * len(stream.push(frame[None]))
    while len(needed) >= block and needed[-1] <= n_frames:
        needed.append(needed[-block] + frames_per_step * block)
    never = 10 * n_frames + 1000  # later than any sound: limited to its end
    needed = [each if each <= n_frames else never for each in needed]
    return np.array(needed + [never] * (n_frames // frames_per_step + 1))


def _sound_needed(config: features.FeatureConfig, n_frames: int) -> float:
    """Say how much sound must have come for so many frames to be whole, in seconds."""
    reach = config.frame_length // 2 if config.center else config.frame_length
    return ((n_frames - 1) * config.hop_length + reach) / config.sample_rate


def _decisions(scores: np.ndarray, labels: Sequence[str]) -> list[tuple[str, int]]:
    """List the words on the most probable path, each with the step at which it is first seen."""
    path = np.concatenate([[decoding.BLANK], scores.argmax(axis=1)])
    new = np.flatnonzero((path[1:] != path[:-1]) & (path[1:] != decoding.BLANK))
    return [(labels[path[step + 1] - 1], int(step)) for step in new]


def _known_at_the_end(machine: StringRecognizer, samples: np.ndarray) -> list[tuple[str, float]]:
    """List the words that are written together once the utterance is over."""
    segments = streaming.speech_segments(samples, _LISTENING)
    over = segments[-1].certain if segments else len(samples) / machine.features.sample_rate
    return [(word, over) for word, _ in _decisions(machine.scores(samples), machine.labels)]


def _hits(edits: Sequence[texts.Edit], spoken: Sequence[tuple[str, float, float]]) -> dict[int, float]:
    """Return for each word written that was said, by its number, when it ended."""
    said = heard = 0
    stops = {}
    for edit in edits:
        if edit.kind == "hit":
            stops[heard] = spoken[said][2]
        said += edit.expected is not None
        heard += edit.heard is not None
    return stops


def _counted(aligned: Sequence[Sequence[texts.Edit]]) -> texts.ErrorCounts:
    kinds = Counter(edit.kind for edits in aligned for edit in edits)
    return texts.ErrorCounts(kinds["hit"], kinds["substitution"], kinds["deletion"], kinds["insertion"])


def _after(milliseconds: float) -> str:
    return f"{abs(milliseconds):.0f} ms {'before' if round(milliseconds) < 0 else 'after'}"


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else math.nan


def _place(result: Streamed) -> tuple[float, float]:
    """Return the median latency in ms and the word error rate of what is shown."""
    return _median(result.latencies_ms), result.errors.rate
