"""The finished machine: sound in, text out, in one object that fits into one small file.

A :class:`Recognizer` keeps together what belongs together: how the features are made, the sizes of the
network, its weights and the words it knows. What was trained is what runs. Nothing here needs TensorFlow,
except the two bridges :meth:`Recognizer.to_keras` and :meth:`Recognizer.from_keras`.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asrlib import audio, features, model_files
from asrlib.errors import AudioError
from asrlib.features import FeatureConfig
from asrlib.model_files import ModelFile, check_labels
from asrlib.models import (
    CtcConfig,
    ModelConfig,
    build,
    config_from_dict,
    get_weights,
    set_weights,
    weight_shapes,
)
from asrlib.network import Network
from asrlib.passages import Counted, TimedWord, cut, frame_energy, open_recording
from asrlib.streaming.activity import VadConfig
from asrlib.string_recognizer import StringRecognizer

if TYPE_CHECKING:
    import keras

__all__ = ["Prepared", "Recognizer", "TimedWord", "Transcript", "find_word", "fit_window", "prepare"]

DEFAULT_MODEL = Path(__file__).parent / "assets" / "digits.asr"
SYNTHETIC_MODEL = Path(__file__).parent / "assets" / "digits_synthetic.asr"

_MOST_FRAMES = 10_000  # a window of 100 s, far more than a word needs and little enough to compute
_SURE = 0.5  # of a stretch of sound that is less surely a word, another answer is the better one
_CHUNK = 64  # clips that go through the network at once: enough to be fast, little enough to fit into memory


# -- from a recording to one window --------------------------------------------------------------------


def find_word(samples: np.ndarray, *, sample_rate: int = audio.SAMPLE_RATE) -> tuple[float, float]:
    """Find where in a recording the most energetic stretch of sound begins and ends.

    A frame counts as sound when its level lies a quarter of the way from the noise to the loudest frame,
    and at most 35 dB below that. Stretches closer than 0.2 s are one word, since the closures in "six" and
    "eight" are silent; clicks shorter than 0.05 s are left out. Of several stretches the one with the most
    energy is taken.

    Parameters
    ----------
    samples : float32 array, shape (n_samples,)
        A recording, mono, in [-1, 1].
    sample_rate : int
        In Hz.

    Returns
    -------
    start, stop : float
        Seconds, with 0.05 s of margin where the recording has it. The whole recording, if nothing in it
        stands out from the rest.

    Raises
    ------
    AudioError
        If the samples are not a usable recording (see :func:`asrlib.audio.check`).

    Examples
    --------
    >>> samples = np.zeros(32_000, dtype=np.float32)
    >>> samples[16_000:24_000] = 0.1 * np.sin(np.arange(8_000))
    >>> start, stop = find_word(samples)
    >>> round(start, 1), round(stop, 1)
    (0.9, 1.6)

    References
    ----------
    L. Rabiner, M. Sambur, "An algorithm for determining the endpoints of isolated utterances", Bell System
    Technical Journal 54(2), 1975.

    Lesson: 09
    """
    samples = audio.check(samples)
    stretches = _stretches(samples, sample_rate=sample_rate)
    if not stretches:
        return 0.0, len(samples) / sample_rate
    start, stop, _ = max(stretches, key=lambda stretch: stretch[2])
    margin = 0.05
    return max(0.0, start - margin), min(len(samples) / sample_rate, stop + margin)


def _stretches(samples: np.ndarray, *, sample_rate: int) -> list[tuple[float, float, float]]:
    """List the stretches of sound as (start, stop, energy), in seconds and arbitrary units."""
    hop = max(1, round(0.01 * sample_rate))
    energy = frame_energy(samples, hop=hop)
    level = 10 * np.log10(np.maximum(energy, 1e-12))
    peak = np.sort(level)[-min(5, len(level))]  # reached in five frames: a click is not a peak
    noise = np.percentile(level, 10)
    if peak - noise < 6:  # no pause to tell the word from: all of it is sound, or none of it
        return []
    sounding = level > max(noise + 0.25 * (peak - noise), peak - 35)
    joined = _join_runs(sounding, longest_gap=20)
    lasting = [(first, last) for first, last in joined if last - first >= 5] or joined
    return [
        (first * hop / sample_rate, last * hop / sample_rate, energy[first:last].sum())
        for first, last in lasting
    ]


def _join_runs(marked: np.ndarray, *, longest_gap: int) -> list[tuple[int, int]]:
    """List the runs of True as (first, one past last), joining those that a short gap parts."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    runs: list[tuple[int, int]] = []
    for first, last in edges.reshape(-1, 2).tolist():
        if runs and first - runs[-1][1] <= longest_gap:
            first = runs.pop()[0]
        runs.append((first, last))
    return runs


def fit_window(
    clip: np.ndarray,
    n_frames: int,
    *,
    energy: np.ndarray | None = None,
    rng: np.random.Generator | None = None,
) -> tuple[np.ndarray, int]:
    """Cut or pad the features of one clip to the fixed window that the network reads.

    A shorter clip is set in the middle of zeros, which is the mean of normalised features; training lets
    `rng` choose the place, so that the network does not learn where words stand. Of a longer clip the
    window with the most energy is kept.

    Parameters
    ----------
    clip : array, shape (time, n_features)
        Features, normalised.
    n_frames : int
        Frames of the window.
    energy : array, shape (time,), optional
        Energy of each frame; without it the window is cut where the features are largest on average.
    rng : numpy.random.Generator, optional
        Chooses the place of a short clip.

    Returns
    -------
    window : array, shape (n_frames, n_features)
    first : int
        The clip's frame that became the window's first; negative if the window begins with -first zeros.

    Examples
    --------
    >>> window, first = fit_window(np.ones((2, 1)), 4)
    >>> window.ravel().tolist(), first
    ([0.0, 1.0, 1.0, 0.0], -1)
    >>> fit_window(np.array([[0.0], [1.0], [5.0], [4.0]]), 2)[1]
    2

    Lesson: 04
    """
    length = len(clip)
    if length > n_frames:
        energy = np.mean(clip, axis=1) if energy is None else energy
        total = np.concatenate([[0.0], np.cumsum(energy, dtype=np.float64)])
        first = int(np.argmax(total[n_frames:] - total[:-n_frames]))
        return clip[first : first + n_frames], first
    spare = n_frames - length
    before = spare // 2 if rng is None else int(rng.integers(spare + 1))
    window = np.zeros((n_frames, *clip.shape[1:]), clip.dtype)  # several times faster than np.pad
    window[before : before + length] = clip
    return window, -before


@dataclass(frozen=True)
class Prepared:
    """What the network gets to see of one recording, before cutting or padding."""

    features: np.ndarray  # (time, n_features), normalised
    energy: np.ndarray  # (time,), for choosing the window of what is too long
    start: float  # seconds; the part of the recording that the features describe
    stop: float
    seconds: float  # length of the whole recording
    stretches: int  # separate stretches of sound, where they were counted


def prepare(samples: np.ndarray, config: FeatureConfig, *, n_frames: int) -> Prepared:
    """Make the features of a recording, of its most energetic word if it is longer than the window.

    Training, evaluation and transcribing all pass through here, so that they see the same thing.

    Parameters
    ----------
    samples : float32 array, shape (n_samples,)
        A recording at ``config.sample_rate``.
    config : FeatureConfig
        How features are made.
    n_frames : int
        Frames of the network's window.

    Returns
    -------
    Prepared

    Raises
    ------
    AudioError
        If the samples are not usable, silent, or shorter than one frame.

    Lesson: 04
    """
    samples = audio.check(samples)
    rate, seconds = config.sample_rate, len(samples) / config.sample_rate
    start, stop, stretches = 0.0, seconds, 0
    if config.n_frames(len(samples)) > n_frames:
        stretches = len(_stretches(samples, sample_rate=rate))
        start, stop = find_word(samples, sample_rate=rate)
        samples = samples[round(start * rate) : round(stop * rate)]
    clip = features.extract(samples, config)
    # Long enough a pad that each frame has an energy, whichever way the features count frames at the ends.
    energy = frame_energy(samples, hop=config.hop_length)[: len(clip)]
    energy = np.pad(energy, (0, len(clip) - len(energy)))
    return Prepared(clip, energy, start, stop, seconds, stretches)


# -- answers -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Transcript:
    """What a recogniser made of one recording.

    Parameters
    ----------
    text : str
        The most probable word.
    probability : float
        Its probability, from 0 to 1.
    probabilities : dict of str to float
        The probability of every word that the recogniser knows.
    audio_seconds : float
        Length of the recording.
    milliseconds : float
        Time taken from the samples to the answer.
    span : (float, float)
        The part of the recording that the network saw, in seconds.
    note : str
        What the reader should know about that part; empty when the network saw all of the recording.
    words : tuple of TimedWord
        Each word with its time. The one that `text` names; of a recording longer than 20 s all of them, in
        the order of time. Then `text` joins them with spaces, `probability` is their geometric mean, and
        `probabilities` is empty.

    Examples
    --------
    >>> print(Transcript("7", 0.97, {"7": 0.97, "1": 0.03}, 0.62, 2.5, (0.0, 0.62)))
    7  (97 %; then 1 with 3 %)  0.62 s of sound in 2.5 ms

    Lesson: 00
    """

    text: str
    probability: float
    probabilities: dict[str, float]
    audio_seconds: float
    milliseconds: float
    span: tuple[float, float]
    note: str = ""
    words: tuple[TimedWord, ...] = ()

    def __str__(self) -> str:
        others = sorted((p, label) for label, p in self.probabilities.items() if label != self.text)
        second = f"; then {others[-1][1]} with {others[-1][0]:.0%}".replace("%", " %") if others else ""
        share = f"{self.probability:.0%}".replace("%", " %")
        timing = f"{self.audio_seconds:.2f} s of sound in {self.milliseconds:.1f} ms"
        line = f"{self.text or '(nothing)'}  ({share}{second})  {timing}"
        return f"{line}\n{self.note}" if self.note else line

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values that JSON can hold."""
        return asdict(self)


class Recognizer:
    """A trained network with all that it needs to hear: features, sizes, weights and words.

    Parameters
    ----------
    features : FeatureConfig
        How samples become features.
    model : ModelConfig
        Family and sizes of the network.
    weights : mapping of str to array
        Arrays under the names of :func:`asrlib.models.weight_shapes`.
    labels : sequence of str
        The words, in the order of the network's outputs.
    n_frames : int
        Frames of the window that the network reads at once.

    Raises
    ------
    ValueError
        If the weights do not fit the configuration, or the labels are not distinct words.

    Examples
    --------
    >>> from asrlib.models import CnnConfig, weight_shapes
    >>> shapes = weight_shapes(CnnConfig(), input_shape=(100, 20), n_classes=2)
    >>> untrained = Recognizer(
    ...     features=FeatureConfig(n_mels=20, normalization="utterance"),
    ...     model=CnnConfig(),
    ...     weights={name: np.zeros(shape, np.float32) for name, shape in shapes.items()},
    ...     labels=("no", "yes"),
    ... )
    >>> noise = np.random.default_rng(0).normal(0, 0.1, 8_000).astype(np.float32)
    >>> untrained.transcribe(noise).probability
    0.5

    Lesson: 00
    """

    def __init__(
        self,
        *,
        features: FeatureConfig,
        model: ModelConfig,
        weights: Mapping[str, np.ndarray],
        labels: Sequence[str],
        n_frames: int = 100,
    ) -> None:
        if not 1 <= n_frames <= _MOST_FRAMES:
            raise ValueError(f"n_frames must be from 1 to {_MOST_FRAMES}, got {n_frames!r}.")
        self.features, self.model, self.n_frames = features, model, n_frames
        self.labels = check_labels(labels)
        self.network = Network(model, weights, input_shape=self.input_shape)
        if self.network.n_classes != len(self.labels):
            raise ValueError(
                f"The network has {self.network.n_classes} outputs for {len(self.labels)} labels."
            )

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """Arrays under the names of :func:`asrlib.models.weight_shapes`."""
        return self.network.weights

    @property
    def input_shape(self) -> tuple[int, int]:
        """Frames and coefficients of the network's window."""
        return self.n_frames, self.features.n_coefficients

    def __repr__(self) -> str:
        n_weights = sum(array.size for array in self.weights.values())
        return (
            f"Recognizer({len(self.labels)} words: {' '.join(self.labels)}; {n_weights:,} parameters, "
            f"window {self.n_frames * self.features.hop_seconds:.2f} s)"
        )

    def transcribe(self, source: Any, *, sample_rate: int | None = None) -> Transcript:
        """Write down the word in a recording, or all words in one of more than 20 s.

        A recording longer than the network's window may hold more than the word, so the word is looked for by
        its energy (:func:`find_word`). The transcript says which part was used. What lasts longer than 20 s
        is heard as a stream of words with pauses between them, block by block, in memory that does not grow
        with its length; see :meth:`words`.

        Parameters
        ----------
        source : path, bytes, open file, array of samples, or Clip
            Whatever :func:`asrlib.audio.load` reads, or an object with ``samples``.
        sample_rate : int, optional
            Of an array, in Hz; the recogniser's own rate if left out. A file knows its rate.

        Returns
        -------
        Transcript

        Raises
        ------
        AudioError
            If the recording cannot be read, is silent, or is too short.

        Examples
        --------
        >>> Recognizer.default().transcribe("seven.wav")  # doctest: +SKIP

        Lesson: 00
        """
        began = time.perf_counter()
        recording = open_recording(source, sample_rate=self.features.sample_rate, source_rate=sample_rate)
        if not isinstance(recording, np.ndarray):
            return self._transcribe_words(recording, began=began)
        began = time.perf_counter()
        prepared = prepare(recording, self.features, n_frames=self.n_frames)
        window, first = fit_window(prepared.features, self.n_frames, energy=prepared.energy)
        probabilities = self.network(window[None])[0]
        milliseconds = 1000 * (time.perf_counter() - began)

        best = int(probabilities.argmax())
        span = self._span(prepared, first)
        return Transcript(
            text=self.labels[best],
            probability=float(probabilities[best]),
            probabilities=dict(zip(self.labels, map(float, probabilities), strict=True)),
            audio_seconds=prepared.seconds,
            milliseconds=milliseconds,
            span=span,
            note=_note(prepared, span),
            words=(TimedWord(self.labels[best], *span, float(probabilities[best])),),
        )

    def words(
        self, source: Any, *, sample_rate: int | None = None, least_probability: float = _SURE
    ) -> Iterator[TimedWord]:
        """Hear a recording of any length as single words with pauses between them, in constant memory.

        Each stretch of sound between two pauses (:func:`asrlib.passages.cut`) is taken for one word. Noises
        are such stretches too, and the network has no answer for "none of my words"; but it is seldom sure
        of one.

        Parameters
        ----------
        source, sample_rate
            As in :meth:`transcribe`.
        least_probability : float
            A stretch whose word is less probable is left out. 0 gives all of them.

        Yields
        ------
        TimedWord
            In the order of time, each as soon as its end is reached. It starts and stops where the sound
            passes a threshold above the noise.

        Raises
        ------
        AudioError
            If the recording cannot be read or is silent; what is amiss far inside a long one shows when it is
            reached.

        Examples
        --------
        >>> for word in Recognizer.default().words("talk.wav"):  # doctest: +SKIP
        ...     print(word)
        7  (0.41 to 0.83 s, 98 %)

        Lesson: 09
        """
        recording = open_recording(source, sample_rate=self.features.sample_rate, source_rate=sample_rate)
        found = self._words([recording] if isinstance(recording, np.ndarray) else recording)
        return (word for word in found if word.probability >= least_probability)

    def _words(self, blocks: Iterable[np.ndarray]) -> Iterator[TimedWord]:
        config = VadConfig(sample_rate=self.features.sample_rate)
        for passage in cut(blocks, config):
            heard = self.transcribe(passage.samples[round(passage.overlap * config.sample_rate) :])
            start = passage.start + passage.overlap + config.margin_seconds
            stop = max(start, passage.stop - config.margin_seconds)
            yield TimedWord(heard.text, start, stop, heard.probability)

    def _transcribe_words(self, blocks: Iterable[np.ndarray], *, began: float) -> Transcript:
        counted = Counted(blocks)
        found = tuple(self._words(counted))
        words = tuple(word for word in found if word.probability >= _SURE)
        seconds = counted.n_samples / self.features.sample_rate
        logarithms = [math.log(word.probability) for word in words]
        return Transcript(
            text=" ".join(word.text for word in words),
            probability=math.exp(math.fsum(logarithms) / len(words)) if words else 1.0,
            probabilities={},
            audio_seconds=seconds,
            milliseconds=1000 * (time.perf_counter() - began),
            span=(0.0, seconds),
            note=_words_note(len(words), left_out=len(found) - len(words), seconds=seconds),
            words=words,
        )

    def predict(self, clips: Iterable[np.ndarray]) -> np.ndarray:
        """Compute the probabilities of every word for many recordings, as :meth:`transcribe` does for one.

        Parameters
        ----------
        clips : iterable of float32 arrays, each of shape (n_samples,)
            Recordings at the recogniser's sample rate.

        Returns
        -------
        float32 array, shape (n_clips, n_labels)
            In the order of `labels`; each row sums to one.

        Raises
        ------
        AudioError
            If one of them is unusable; the message gives its index.

        Lesson: 07
        """
        if isinstance(clips, np.ndarray) and clips.ndim == 1 and clips.dtype != object:
            raise AudioError(
                "predict reads a list of recordings; for a single one pass [samples], or transcribe it."
            )
        windows = [self._window(index, clip) for index, clip in enumerate(clips)]
        if not windows:
            return np.empty((0, len(self.labels)), np.float32)
        chunks = [np.stack(windows[start : start + _CHUNK]) for start in range(0, len(windows), _CHUNK)]
        return np.concatenate([self.network(chunk) for chunk in chunks])

    def _window(self, index: int, clip: np.ndarray) -> np.ndarray:
        try:
            prepared = prepare(clip, self.features, n_frames=self.n_frames)
        except AudioError as error:
            raise AudioError(f"Recording {index}: {error}") from error
        return fit_window(prepared.features, self.n_frames, energy=prepared.energy)[0]

    def _span(self, prepared: Prepared, first: int) -> tuple[float, float]:
        """Give the part of the recording inside the window, in seconds."""
        if len(prepared.features) <= self.n_frames:
            return prepared.start, prepared.stop
        config = self.features
        start = prepared.start + first * config.hop_seconds
        length = (self.n_frames - 1) * config.hop_seconds + config.n_fft / config.sample_rate
        return start, min(prepared.stop, start + length)

    # -- files -----------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the recogniser to one file; the same recogniser always gives the same bytes.

        The file is a zip archive of config.json and weights.npz. An existing file is replaced only once the
        new one is whole.

        Parameters
        ----------
        path : path
            Where to write, by custom ending in ".asr". Its folder must exist.

        Returns
        -------
        pathlib.Path

        Examples
        --------
        >>> recognizer.save("mine.asr")  # doctest: +SKIP

        Lesson: 00
        """
        return model_files.write(path, self._to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Recognizer | StringRecognizer:
        """Read a recogniser, of single words or of strings, from its file. Nothing in it is ever executed.

        Parameters
        ----------
        path : path
            The file.

        Returns
        -------
        Recognizer or StringRecognizer
            Whichever the file holds.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ModelFileError
            If it is something else, or damaged; the message says what it seems to be.

        Examples
        --------
        >>> Recognizer.load("mine.asr")  # doctest: +SKIP

        Lesson: 00
        """
        file = model_files.read(path)
        return StringRecognizer.from_file(file) if file.family == CtcConfig.family else cls.from_file(file)

    @classmethod
    def from_file(cls, file: ModelFile) -> Recognizer:
        """Build the recogniser that an opened model file holds.

        Parameters
        ----------
        file : ModelFile
            From :func:`asrlib.model_files.read`.

        Returns
        -------
        Recognizer

        Raises
        ------
        ModelFileError
            If its parts do not fit together.

        Lesson: 09
        """
        n_frames = file.setting("n_frames")
        with file.in_use():
            features = FeatureConfig.from_dict(file.config["features"])
            model = config_from_dict(file.config["model"])
            labels = check_labels(file.config["labels"])
            shapes = weight_shapes(
                model, input_shape=(n_frames, features.n_coefficients), n_classes=len(labels)
            )
            return cls(
                features=features,
                model=model,
                weights=file.arrays(shapes),
                labels=labels,
                n_frames=n_frames,
            )

    @classmethod
    def default(cls) -> Recognizer:
        """Load the recogniser of the ten digits that comes with asrlib, trained on synthetic and real voices.

        It has heard everybody in the Free Spoken Digit Dataset, so it cannot be judged by them;
        :meth:`synthetic` can.

        Raises
        ------
        FileNotFoundError
            If it is missing; the message gives the command that trains it.

        Lesson: 00
        """
        return cls._shipped(DEFAULT_MODEL, command="--recipe people --data digits fsdd")

    @classmethod
    def synthetic(cls) -> Recognizer:
        """Load the recogniser of the ten digits that was trained on the bundled synthetic voices alone.

        No person's voice was heard, so any person can judge it: the lessons measure with this one.

        Raises
        ------
        FileNotFoundError
            If it is missing; the message gives the command that trains it.

        Lesson: 00
        """
        return cls._shipped(SYNTHETIC_MODEL, command="--recipe shipped")

    @classmethod
    def _shipped(cls, path: Path, *, command: str) -> Recognizer:
        if not path.exists():
            raise FileNotFoundError(
                f"A recogniser that comes with asrlib is missing ({path}). Get it back with git, "
                f"or train it: python -m asrlib train {command} --out {path}"
            )
        return cls.load(path)

    def to_keras(self) -> keras.Model:
        """Build the same network as a Keras model, to train it further or to look inside."""
        model = build(self.model, input_shape=self.input_shape, n_classes=len(self.labels))
        set_weights(model, self.weights, config=self.model)
        return model

    @classmethod
    def from_keras(
        cls, model: keras.Model, *, config: ModelConfig, features: FeatureConfig, labels: Sequence[str]
    ) -> Recognizer:
        """Take over the weights of a Keras model that :func:`asrlib.models.build` made from `config`.

        Parameters
        ----------
        model : keras.Model
            The trained model.
        config : ModelConfig
            What it was built from.
        features : FeatureConfig
            What it was trained on.
        labels : sequence of str
            The words, in the order of the model's outputs.

        Returns
        -------
        Recognizer

        Raises
        ------
        ValueError
            If these do not fit together.

        Lesson: 04
        """
        return cls(
            features=features,
            model=config,
            weights=get_weights(model, config=config),
            labels=labels,
            n_frames=model.input_shape[1],
        )

    def _to_bytes(self) -> bytes:
        settings = {
            "labels": list(self.labels),
            "n_frames": self.n_frames,
            "features": self.features.to_dict(),
            "model": self.model.to_dict(),
        }
        return model_files.pack(settings, self.weights)


def _words_note(n_words: int, *, left_out: int, seconds: float) -> str:
    note = f"Heard as single words with pauses between them: {n_words} in {seconds:.1f} s"
    if not left_out:
        return f"{note}."
    return f"{note}; left out: {left_out} sounds of which no word is as probable as {100 * _SURE:.0f} %."


def _note(prepared: Prepared, span: tuple[float, float]) -> str:
    seconds = span[1] - span[0]
    if prepared.seconds - seconds < 0.015:
        return ""
    note = f"The network saw {span[0]:.2f} to {span[1]:.2f} s of the {prepared.seconds:.2f} s recording"
    if prepared.stretches > 1:
        return f"{note}: the most energetic of {prepared.stretches} separate stretches of sound."
    if prepared.stretches == 1:
        return f"{note}, where the sound is."
    return f"{note}: nothing stands out, so the second with the most energy was taken."
