"""Strings of words: sound in, a text with the time of each word out.

A :class:`StringRecognizer` keeps together what belongs together, as :class:`asrlib.recognizer.Recognizer`
does for single words: features, the sizes of a network that answers at every step (CTC), its weights and the
words it knows. It hears an utterance as a whole, and a recording of any length passage by passage, in memory
that does not grow. Nothing here needs TensorFlow, except the two bridges to Keras.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asrlib import audio, decoding, features, model_files
from asrlib.ctc_network import CtcNetwork
from asrlib.decoding import Alignment, TextScore
from asrlib.errors import AudioError, ModelFileError
from asrlib.features import FeatureConfig
from asrlib.model_files import ModelFile, check_labels
from asrlib.models import CtcConfig, config_from_dict, get_weights, set_weights, weight_shapes
from asrlib.passages import PASSAGES, Counted, Passage, TimedWord, cut, frame_energy, open_recording

if TYPE_CHECKING:
    import keras

__all__ = ["StringRecognizer", "StringTranscript", "TimedWord", "word_limits"]

DEFAULT_MODEL = Path(__file__).parent / "assets" / "strings.asr"
STREAMING_MODEL = Path(__file__).parent / "assets" / "streaming.asr"

_BEAM_WIDTH = 16  # where a grammar asks for a search and nobody says how wide


@dataclass(frozen=True)
class StringTranscript:
    """What a recogniser of strings made of a recording.

    Parameters
    ----------
    text : str
        The words, separated by spaces; empty when none was heard.
    words : tuple of TimedWord
        Each with its time in the recording and its probability.
    probability : float
        Of the whole text, given the sound: the sum over all its paths, from 0 to 1. Over several passages,
        their geometric mean.
    audio_seconds : float
        Length of the recording.
    milliseconds : float
        Time taken from the samples to the answer; for a long recording reading it is included.
    note : str
        What the reader should know; empty when all of the recording was heard as one utterance.
    span : (float, float)
        The part of the recording that was heard, in seconds.

    Examples
    --------
    >>> words = (TimedWord("5", 0.1, 0.5, 0.99), TimedWord("0", 0.5, 0.9, 0.97))
    >>> print(StringTranscript("5 0", words, 0.96, 1.2, 9.5))
    5 0  (96 %)  1.20 s of sound in 9.5 ms

    Lesson: 08
    """

    text: str
    words: tuple[TimedWord, ...]
    probability: float
    audio_seconds: float
    milliseconds: float
    note: str = ""
    span: tuple[float, float] = field(default=(0.0, 0.0), repr=False)

    def __str__(self) -> str:
        timing = f"{self.audio_seconds:.2f} s of sound in {self.milliseconds:.1f} ms"
        line = f"{self.text or '(nothing)'}  ({100 * self.probability:.0f} %)  {timing}"
        return f"{line}\n{self.note}" if self.note else line

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values that JSON can hold."""
        return asdict(self)


class StringRecognizer:
    """A trained CTC network with all that it needs to hear: features, sizes, weights and words.

    Parameters
    ----------
    features : FeatureConfig
        How samples become features.
    model : CtcConfig
        Sizes of the network.
    weights : mapping of str to array
        Arrays under the names of :func:`asrlib.models.weight_shapes`.
    labels : sequence of str
        The words: label k is class k + 1 of the network, since class 0 is the blank.

    Raises
    ------
    ValueError
        If the weights do not fit the configuration, or the labels are not distinct words.

    Examples
    --------
    >>> shapes = weight_shapes(CtcConfig(), input_shape=(None, 40), n_classes=3)
    >>> untrained = StringRecognizer(
    ...     features=FeatureConfig(),
    ...     model=CtcConfig(),
    ...     weights={name: np.zeros(shape, np.float32) for name, shape in shapes.items()},
    ...     labels=("no", "yes"),
    ... )
    >>> noise = np.random.default_rng(0).normal(0, 0.1, 8_000).astype(np.float32)
    >>> np.exp(untrained.scores(noise))[0].tolist()  # the blank, "no" and "yes" are as probable as each other
    [0.33333..., 0.33333..., 0.33333...]

    References
    ----------
    A. Graves, S. Fernández, F. Gomez, J. Schmidhuber, "Connectionist Temporal Classification: Labelling
    Unsegmented Sequence Data with Recurrent Neural Networks", ICML 2006.
    https://doi.org/10.1145/1143844.1143891

    Lesson: 08
    """

    def __init__(
        self,
        *,
        features: FeatureConfig,
        model: CtcConfig,
        weights: Mapping[str, np.ndarray],
        labels: Sequence[str],
    ) -> None:
        self.features, self.model = features, model
        self.labels = check_labels(labels)
        self.network = CtcNetwork(model, weights, n_features=features.n_coefficients)
        if self.network.n_classes != len(self.labels) + 1:
            raise ValueError(
                f"The network has {self.network.n_classes} outputs for {len(self.labels)} labels; expected "
                "one for the blank and one for each label."
            )

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """Arrays under the names of :func:`asrlib.models.weight_shapes`."""
        return self.network.weights

    @property
    def step_seconds(self) -> float:
        """Time from one step of the network's answer to the next, in seconds."""
        return self.model.frames_per_step * self.features.hop_seconds

    @property
    def shortest_seconds(self) -> float:
        """Length of the shortest recording that gives a step, in seconds."""
        if self.features.center:
            return (self.model.frames_per_step - 1) * self.features.hop_seconds
        config = self.features
        n_samples = (self.model.frames_per_step - 1) * config.hop_length + config.frame_length
        return n_samples / config.sample_rate

    def __repr__(self) -> str:
        n_weights = sum(array.size for array in self.weights.values())
        kind = "causal" if self.model.causal else "whole utterances"
        return (
            f"StringRecognizer({len(self.labels)} words: {' '.join(self.labels)}; {n_weights:,} parameters, "
            f"{kind}, a step each {1000 * self.step_seconds:.0f} ms)"
        )

    # -- hearing ---------------------------------------------------------------------------------------------

    def scores(self, samples: np.ndarray) -> np.ndarray:
        """Compute what the network thinks at each step of a recording.

        Parameters
        ----------
        samples : float32 array, shape (n_samples,)
            A recording at the recogniser's rate.

        Returns
        -------
        float32 array, shape (n_steps, 1 + n_labels)
            Natural logarithms of probabilities; column 0 is the blank, column k + 1 is ``labels[k]``. What
            :mod:`asrlib.decoding` takes as ``scores``.

        Raises
        ------
        AudioError
            If the samples are not usable, or too short for one step.

        Examples
        --------
        >>> StringRecognizer.default().scores(clip.samples).shape  # doctest: +SKIP
        (43, 11)

        Lesson: 08
        """
        samples = audio.check(samples, allow_silence=True)
        config = self.features
        if config.n_frames(len(samples)) < self.model.frames_per_step:
            raise AudioError(
                f"A recording of {len(samples) / config.sample_rate:.3f} s came; the network's first answer "
                f"needs {self.shortest_seconds:.3f} s. Record for longer."
            )
        return self.network(features.extract(samples, config))

    def step_times(self, n_steps: int) -> np.ndarray:
        """Say when each step is: the middle of the frames that it stands for, in seconds.

        Parameters
        ----------
        n_steps : int
            How many steps, from the first on.

        Returns
        -------
        float64 array, shape (n_steps,)

        Lesson: 08
        """
        config, frames = self.features, self.model.frames_per_step
        first = (frames - 1) / 2 * config.hop_seconds
        if not config.center:
            first += config.frame_length / config.sample_rate / 2
        return first + self.step_seconds * np.arange(n_steps)

    def transcribe(
        self,
        source: Any,
        *,
        sample_rate: int | None = None,
        beam_width: int | None = None,
        text_score: TextScore | None = None,
    ) -> StringTranscript:
        """Write down the words in a recording of any length.

        Up to 20 s are heard as one utterance. A longer recording is read block by block, cut at its pauses
        (:func:`asrlib.passages.cut`), and each passage is an utterance; memory does not grow with its length.

        Parameters
        ----------
        source : path, bytes, open file, array of samples, or Clip
            Whatever :func:`asrlib.audio.load` reads, or an object with ``samples``.
        sample_rate : int, optional
            Of an array, in Hz; the recogniser's own rate if left out. A file knows its rate.
        beam_width : int, optional
            Search for the most probable text with so many beginnings in mind
            (:func:`asrlib.decoding.beam_search`); without it the most probable path is read.
        text_score : TextScore, optional
            A grammar or language model, which the search asks about each utterance.

        Returns
        -------
        StringTranscript
            A word's time comes from where the network hears it and from the energy around it, see
            :meth:`words`.

        Raises
        ------
        AudioError
            If the recording cannot be read, is silent, or is too short.

        Examples
        --------
        >>> StringRecognizer.default().transcribe("talk.wav").text  # doctest: +SKIP
        '5 0 3'

        Lesson: 08
        """
        began = time.perf_counter()
        recording = open_recording(source, sample_rate=self.features.sample_rate, source_rate=sample_rate)
        search = _Search(beam_width, text_score)
        if isinstance(recording, np.ndarray):
            return self._utterance(recording, search)
        counted = Counted(recording)
        heard = list(self._by_passage(counted, search))
        seconds = counted.n_samples / self.features.sample_rate
        return _joined(heard, seconds=seconds, milliseconds=1000 * (time.perf_counter() - began))

    def passages(
        self,
        source: Any,
        *,
        sample_rate: int | None = None,
        beam_width: int | None = None,
        text_score: TextScore | None = None,
    ) -> Iterator[StringTranscript]:
        """Write down a recording of any length passage by passage, each as soon as its end is reached.

        What :meth:`transcribe` gathers, one after another: nothing is kept, so hours fit into the memory of
        a minute.

        Parameters
        ----------
        source, sample_rate, beam_width, text_score
            As in :meth:`transcribe`.

        Yields
        ------
        StringTranscript
            With times in the whole recording, and `audio_seconds` of the passage. A recording up to 20 s is
            one passage. Passages in which no word was heard, noises for example, are left out.

        Raises
        ------
        AudioError
            As in :meth:`transcribe`; what is amiss far inside a recording shows when it is reached.

        Examples
        --------
        >>> for passage in StringRecognizer.default().passages("talk.wav"):  # doctest: +SKIP
        ...     print(f"{passage.span[0]:7.2f} s  {passage.text}")
           0.80 s  5 0 3

        Lesson: 09
        """
        recording = open_recording(source, sample_rate=self.features.sample_rate, source_rate=sample_rate)
        search = _Search(beam_width, text_score)
        if isinstance(recording, np.ndarray):
            found = iter([self._utterance(recording, search)])
        else:
            found = self._by_passage(recording, search)
        return (passage for passage in found if passage.words)

    def words(
        self, scores: np.ndarray, samples: np.ndarray, *, labels: Sequence[int] | None = None
    ) -> tuple[TimedWord, ...]:
        """Say when each word of an utterance was said.

        A CTC network names a word in a step or two, somewhere inside it: the word's *spike*. Where the word
        begins and ends the spikes do not say; the energy around them does, see :func:`word_limits`.

        Parameters
        ----------
        scores : array, shape (n_steps, 1 + n_labels)
            From :meth:`scores`.
        samples : float32 array, shape (n_samples,)
            The sound that they were computed from.
        labels : sequence of int, optional
            The text as class numbers; that of the most probable path if left out.

        Returns
        -------
        tuple of TimedWord
            In seconds since the first sample; no two overlap. The probability is the network's at the spike.

        Raises
        ------
        ValueError
            If the scores have no path with this text.

        Examples
        --------
        >>> machine = StringRecognizer.default()  # doctest: +SKIP
        >>> machine.words(machine.scores(samples), samples)  # doctest: +SKIP
        (TimedWord(text='5', start=0.11, stop=0.46, probability=0.99), ...)

        Lesson: 08
        """
        path = decoding.greedy(scores) if labels is None else decoding.forced_alignment(scores, labels)
        spikes = _spikes(path)
        times = self.step_times(len(scores))[[step for step, _, _ in spikes]].tolist() if spikes else []
        limits = word_limits(samples, times, sample_rate=self.features.sample_rate)
        return tuple(
            TimedWord(self.labels[label - 1], start, stop, probability)
            for (_, label, probability), (start, stop) in zip(spikes, limits, strict=True)
        )

    def _utterance(self, samples: np.ndarray, search: _Search) -> StringTranscript:
        """Transcribe what is heard as a whole."""
        began = time.perf_counter()
        scores = self.scores(samples)
        words, probability = self._read(scores, samples, search)
        seconds = len(samples) / self.features.sample_rate
        return StringTranscript(
            text=_text(words),
            words=words,
            probability=probability,
            audio_seconds=seconds,
            milliseconds=1000 * (time.perf_counter() - began),
            span=(0.0, seconds),
        )

    def _read(
        self, scores: np.ndarray, samples: np.ndarray, search: _Search
    ) -> tuple[tuple[TimedWord, ...], float]:
        """Find the text in the scores; give its words with their times, and its probability."""
        labels = search.labels(scores)
        return self.words(scores, samples, labels=labels), math.exp(-decoding.ctc_loss(scores, labels))

    def _by_passage(self, blocks: Iterable[np.ndarray], search: _Search) -> Iterator[StringTranscript]:
        """Transcribe one passage after another; each waits for the next, which may take over its end."""
        waiting: _Heard | None = None
        for passage in cut(blocks, replace(PASSAGES, sample_rate=self.features.sample_rate)):
            if passage.seconds < self.shortest_seconds:  # not one step: there is no word in it
                continue
            began = time.perf_counter()
            heard = _Heard(passage, self.scores(passage.samples), began=began)
            if waiting is not None:
                if passage.overlap:
                    seam = _seam(waiting, overlap=passage.overlap, step_seconds=self.step_seconds)
                    waiting.end = seam
                    after = waiting.passage.start + seam * self.step_seconds - passage.start
                    heard.first = round(after / self.step_seconds)
                yield self._finished(waiting, search)
            waiting = heard
        if waiting is not None:
            yield self._finished(waiting, search)

    def _finished(self, heard: _Heard, search: _Search) -> StringTranscript:
        """Read what is a passage's own of its scores, and put its words into the time of the recording."""
        began = time.perf_counter()
        step = round(self.step_seconds * self.features.sample_rate)
        scores = heard.scores[heard.first : heard.end]
        samples = heard.passage.samples[heard.first * step : heard.end and heard.end * step]
        start = heard.passage.start + heard.first * self.step_seconds
        words, probability = self._read(scores, samples, search)
        seconds = len(samples) / self.features.sample_rate
        return StringTranscript(
            text=_text(words),
            words=tuple(replace(word, start=start + word.start, stop=start + word.stop) for word in words),
            probability=probability,
            audio_seconds=seconds,
            milliseconds=heard.milliseconds + 1000 * (time.perf_counter() - began),
            span=(start, start + seconds),
        )

    # -- files -----------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the recogniser to one file; the same recogniser always gives the same bytes.

        Parameters
        ----------
        path : path
            Where to write, by custom ending in ".asr". Its folder must exist. An existing file is replaced
            only once the new one is whole.

        Returns
        -------
        pathlib.Path

        Examples
        --------
        >>> recognizer.save("mine.asr")  # doctest: +SKIP

        Lesson: 08
        """
        settings = {
            "labels": list(self.labels),
            "features": self.features.to_dict(),
            "model": self.model.to_dict(),
        }
        return model_files.write(path, model_files.pack(settings, self.weights))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> StringRecognizer:
        """Read a recogniser that :meth:`save` wrote. Nothing in the file is ever executed.

        Parameters
        ----------
        path : path
            The file.

        Returns
        -------
        StringRecognizer

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ModelFileError
            If it is something else, or damaged; the message says what it seems to be.

        Examples
        --------
        >>> StringRecognizer.load("mine.asr")  # doctest: +SKIP

        Lesson: 08
        """
        return cls.from_file(model_files.read(path))

    @classmethod
    def from_file(cls, file: ModelFile) -> StringRecognizer:
        """Build the recogniser that an opened model file holds.

        Parameters
        ----------
        file : ModelFile
            From :func:`asrlib.model_files.read`.

        Returns
        -------
        StringRecognizer

        Raises
        ------
        ModelFileError
            If it holds a recogniser of single words, or its parts do not fit together.

        Lesson: 08
        """
        if file.family != CtcConfig.family:
            raise ModelFileError(
                f"{file.name} holds a recogniser of single words, not of strings. "
                "asrlib.recognizer.Recognizer.load reads both kinds."
            )
        with file.in_use():
            features = FeatureConfig.from_dict(file.config["features"])
            model = config_from_dict(file.config["model"])
            labels = check_labels(file.config["labels"])
            shapes = weight_shapes(
                model, input_shape=(None, features.n_coefficients), n_classes=len(labels) + 1
            )
            return cls(features=features, model=model, weights=file.arrays(shapes), labels=labels)

    @classmethod
    def default(cls) -> StringRecognizer:
        """Load the recogniser of digit strings that comes with asrlib; it hears whole utterances.

        Raises
        ------
        FileNotFoundError
            If it is missing; the message gives the command that trains it.

        Lesson: 08
        """
        return cls._shipped(DEFAULT_MODEL, recipe="strings")

    @classmethod
    def streaming(cls) -> StringRecognizer:
        """Load the recogniser of digit strings that needs no future: its network is causal.

        Raises
        ------
        FileNotFoundError
            If it is missing; the message gives the command that trains it.

        Lesson: 09
        """
        return cls._shipped(STREAMING_MODEL, recipe="streaming")

    @classmethod
    def _shipped(cls, path: Path, *, recipe: str) -> StringRecognizer:
        if not path.exists():
            raise FileNotFoundError(
                f"The recogniser of strings that comes with asrlib is missing ({path}). Get it back with "
                f"git, or train it: python -m asrlib train --recipe {recipe} --out {path}"
            )
        return cls.load(path)

    def to_keras(self) -> keras.Model:
        """Build the same network as a Keras model, to train it further or to look inside."""
        from asrlib.models import ctc

        model = ctc(self.model, n_features=self.features.n_coefficients, n_classes=len(self.labels) + 1)
        set_weights(model, self.weights, config=self.model)
        return model

    @classmethod
    def from_keras(
        cls, model: keras.Model, *, config: CtcConfig, features: FeatureConfig, labels: Sequence[str]
    ) -> StringRecognizer:
        """Take over the weights of a Keras model that :func:`asrlib.models.ctc` made from `config`.

        Parameters
        ----------
        model : keras.Model
            The trained model.
        config : CtcConfig
            What it was built from.
        features : FeatureConfig
            What it was trained on.
        labels : sequence of str
            The words: label k is class k + 1 of the model.

        Returns
        -------
        StringRecognizer

        Raises
        ------
        ValueError
            If these do not fit together.

        Lesson: 08
        """
        weights = get_weights(model, config=config)
        return cls(features=features, model=config, weights=weights, labels=labels)


# -- reading scores ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Search:
    """How a text is looked for in scores."""

    beam_width: int | None
    text_score: TextScore | None

    def labels(self, scores: np.ndarray) -> tuple[int, ...]:
        if self.beam_width is None and self.text_score is None:
            return decoding.greedy(scores).labels
        width = _BEAM_WIDTH if self.beam_width is None else self.beam_width
        return decoding.beam_search(scores, beam_width=width, text=self.text_score)[0].labels


class _Heard:
    """A passage and its scores, and which of its steps are its own."""

    def __init__(self, passage: Passage, scores: np.ndarray, *, began: float) -> None:
        self.passage, self.scores = passage, scores
        self.milliseconds = 1000 * (time.perf_counter() - began)
        self.first, self.end = 0, None


def _text(words: Sequence[TimedWord]) -> str:
    return " ".join(word.text for word in words)


def _joined(passages: Sequence[StringTranscript], *, seconds: float, milliseconds: float) -> StringTranscript:
    """Make one transcript of those of all passages."""
    words = tuple(word for passage in passages for word in passage.words)
    heard = [passage for passage in passages if passage.words]
    logarithms = [math.log(max(passage.probability, 1e-300)) for passage in heard]
    share = sum(passage.audio_seconds for passage in heard)
    note = (
        f"Heard in {len(heard)} passages, which last {share:.1f} s of the {seconds:.1f} s recording."
        if heard
        else f"No words were heard in the {seconds:.1f} s recording."
    )
    return StringTranscript(
        text=_text(words),
        words=words,
        probability=math.exp(math.fsum(logarithms) / len(heard)) if heard else 1.0,
        audio_seconds=seconds,
        milliseconds=milliseconds,
        note=note,
        span=(0.0, seconds),
    )


def _seam(heard: _Heard, *, overlap: float, step_seconds: float) -> int:
    """Find the step at which the next passage takes over: the middle of the longest quiet in the overlap.

    Near the cut this passage lacks what comes after, near its start the next one lacks what was before; so
    only the middle half of what they share is looked at.
    """
    n_steps = len(heard.scores)
    shared = overlap / step_seconds
    first, last = round(n_steps - 0.75 * shared), round(n_steps - 0.25 * shared)
    silent = heard.scores[first:last].argmax(axis=1) == decoding.BLANK
    start, stop = max(_runs(silent), key=lambda run: run[1] - run[0], default=(0, last - first))
    return first + (start + stop) // 2


def _runs(marked: np.ndarray) -> list[tuple[int, int]]:
    """List the runs of True as (first, one past last)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    return [(first, last) for first, last in edges.reshape(-1, 2).tolist()]


# -- when a word was said ----------------------------------------------------------------------------------


def _spikes(path: Alignment) -> list[tuple[int, int, float]]:
    """Give, for each label of a path, the step at which it is most probable, the label, the probability."""
    spikes, step = [], 0
    for label, same in groupby(path.path):
        first, step = step, step + len(list(same))
        if label != path.blank:
            best = max(range(first, step), key=path.log_probabilities.__getitem__)
            spikes.append((best, label, math.exp(path.log_probabilities[best])))
    return spikes


def word_limits(
    samples: np.ndarray, spikes: Sequence[float], *, sample_rate: int = audio.SAMPLE_RATE
) -> list[tuple[float, float]]:
    """Find where words begin and end around the moments at which a network named them.

    The level of the sound, every 10 ms, decides. What lies at least a quarter of the way from the quietest to
    the loudest frame, and at most 30 dB below that, is sound. Between two spikes, the longest pause of 60 ms
    or more ends one word and begins the next; without one the quietest moment parts them. The first word
    begins, and the last one ends, at a pause of 150 ms or more, so that the silent closures in "six" and
    "eight" do not end them, or 0.6 s from the spike.

    Parameters
    ----------
    samples : float32 array, shape (n_samples,)
        The sound.
    spikes : sequence of float
        In seconds, in the order of time: one moment inside, or a little behind, each word.
    sample_rate : int
        In Hz.

    Returns
    -------
    list of (float, float)
        Start and stop of each word, in seconds; no two overlap.

    Examples
    --------
    >>> samples = np.zeros(16_000, np.float32)
    >>> samples[3_200:8_000] = samples[9_600:14_400] = 0.1 * np.sin(np.arange(4_800))
    >>> [(round(start, 2), round(stop, 2)) for start, stop in word_limits(samples, [0.3, 0.7])]
    [(0.19, 0.51), (0.59, 0.91)]

    Lesson: 08
    """
    level = 10 * np.log10(np.maximum(frame_energy(samples, hop=sample_rate // 100), 1e-12))
    sound = _sounding(level)
    marks = _inside_sound([min(int(100 * spike), len(level) - 1) for spike in spikes], sound)
    if not marks:
        return []
    starts, stops = [_outer(sound, marks[0], -1)], []
    for one, other in pairwise(marks):
        stop, start = _parting(level, sound, one, other)
        stops.append(stop)
        starts.append(start)
    stops.append(_outer(sound, marks[-1], 1))
    whole = len(samples) / sample_rate
    return [(start / 100, min(stop / 100, whole)) for start, stop in zip(starts, stops, strict=True)]


def _sounding(level: np.ndarray) -> np.ndarray:
    """Say which frames are sound; all of them, where nothing stands out."""
    peak = np.sort(level)[-min(5, len(level))]  # reached in five frames: a click is not a peak
    noise = np.percentile(level, 5)
    if peak - noise < 6:
        return np.ones(len(level), bool)
    return level > max(noise + 0.25 * (peak - noise), peak - 30)


def _inside_sound(marks: list[int], sound: np.ndarray) -> list[int]:
    """Move marks that stand in a pause back to the sound before, at most 0.3 s, but never past another."""
    moved: list[int] = []
    for mark in marks:
        earliest = max(0, mark - 30, moved[-1] + 1 if moved else 0)
        behind = np.flatnonzero(sound[earliest : mark + 1])
        moved.append(earliest + int(behind[-1]) if len(behind) else max(mark, earliest))
    return moved


def _outer(sound: np.ndarray, mark: int, direction: int) -> int:
    """Go from a mark outwards to a pause of 150 ms; give the frame before which or after which sound ends."""
    ahead = sound[mark:] if direction > 0 else sound[: mark + 1][::-1]
    last = quiet = 0
    for frame, is_sound in enumerate(ahead[:60].tolist()):
        quiet = 0 if is_sound else quiet + 1
        if quiet == 15:
            break
        if is_sound:
            last = frame
    return mark + last + 1 if direction > 0 else mark - last


def _parting(level: np.ndarray, sound: np.ndarray, one: int, other: int) -> tuple[int, int]:
    """Find where the word at one mark ends and the word at another begins."""
    between = ~sound[one : other + 1]
    pauses = [run for run in _runs(between) if run[1] - run[0] >= 6]
    if pauses:
        start, stop = max(pauses, key=lambda run: run[1] - run[0])
        return one + start, one + stop
    quietest = one + int(level[one : other + 1].argmin())
    return quietest, quietest
