"""The finished machine: sound in, text out, in one object that fits into one small file.

A :class:`Recognizer` keeps together what belongs together: how the features are made, the sizes of the
network, its weights and the words it knows. What was trained is what runs. Nothing here needs TensorFlow,
except the two bridges :meth:`Recognizer.to_keras` and :meth:`Recognizer.from_keras`.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import time
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asrlib import audio, features
from asrlib.errors import AudioError, ModelFileError
from asrlib.features import FeatureConfig
from asrlib.models import ModelConfig, build, config_from_dict, get_weights, set_weights, weight_shapes
from asrlib.network import Network

if TYPE_CHECKING:
    import keras

__all__ = ["Prepared", "Recognizer", "Transcript", "find_word", "fit_window", "prepare"]

DEFAULT_MODEL = Path(__file__).parent / "assets" / "digits.asr"

_FORMAT = "asrlib recogniser"
_VERSION = 1
_LIMIT_BYTES = 50_000_000  # of any part of a model file: the course's networks have well under 1 MB
_MOST_FRAMES = 10_000  # a window of 100 s, far more than a word needs and little enough to compute
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
    energy = _frame_energy(samples, hop=hop)
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


def _frame_energy(samples: np.ndarray, *, hop: int) -> np.ndarray:
    """Give the mean square around each multiple of `hop`, smoothed over 25 ms or so."""
    n_frames = max(1, len(samples) // hop)
    blocks = np.square(samples[: n_frames * hop].reshape(n_frames, -1), dtype=np.float64).mean(axis=1)
    return np.convolve(np.pad(blocks, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")


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
    return np.pad(clip, ((before, spare - before), (0, 0))), -before


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
    energy = _frame_energy(samples, hop=config.hop_length)[: len(clip)]
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

    def __str__(self) -> str:
        others = sorted((p, label) for label, p in self.probabilities.items() if label != self.text)
        second = f"; then {others[-1][1]} with {others[-1][0]:.0%}".replace("%", " %") if others else ""
        share = f"{self.probability:.0%}".replace("%", " %")
        timing = f"{self.audio_seconds:.2f} s of sound in {self.milliseconds:.1f} ms"
        line = f"{self.text}  ({share}{second})  {timing}"
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
        self.labels = _checked_labels(labels)
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
        """Write down the word in a recording.

        A recording longer than the network's window may hold more than the word, so the word is looked for by
        its energy (:func:`find_word`). The transcript says which part was used.

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
        samples = self._samples(source, sample_rate=sample_rate)
        began = time.perf_counter()
        prepared = prepare(samples, self.features, n_frames=self.n_frames)
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

    def _samples(self, source: Any, *, sample_rate: int | None) -> np.ndarray:
        if hasattr(source, "samples"):  # a Clip knows its rate
            sample_rate = sample_rate or getattr(source, "sample_rate", None)
            source = source.samples
        rate = self.features.sample_rate
        if isinstance(source, np.ndarray):
            return audio.load(source, sample_rate=rate, source_rate=sample_rate or rate)
        return audio.load(source, sample_rate=rate, source_rate=sample_rate)

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
        path = Path(path)
        if not path.parent.is_dir():
            raise FileNotFoundError(f"The folder {path.parent} does not exist; make it, or choose another.")
        partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
        try:
            partial.write_bytes(self._to_bytes())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Recognizer:
        """Read a recogniser that :meth:`save` wrote. Nothing in the file is ever executed.

        Parameters
        ----------
        path : path
            The file.

        Returns
        -------
        Recognizer

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
        path = Path(path)
        if not path.exists():
            raise FileNotFoundError(
                f"There is no recogniser {path}; `python -m asrlib train --out FILE` makes one."
            )
        if path.is_dir():
            raise ModelFileError(f"{path} is a folder; name the file in it that Recognizer.save wrote.")
        if path.stat().st_size > 2 * _LIMIT_BYTES:
            raise ModelFileError(
                f"{path} has {path.stat().st_size:,} bytes, more than any recogniser of asrlib."
            )
        return cls._from_bytes(path.read_bytes(), name=str(path))

    @classmethod
    def default(cls) -> Recognizer:
        """Load the recogniser of the ten digits that comes with asrlib.

        Raises
        ------
        FileNotFoundError
            If it is missing; the message gives the command that trains it.

        Lesson: 00
        """
        if not DEFAULT_MODEL.exists():
            raise FileNotFoundError(
                f"The recogniser that comes with asrlib is missing ({DEFAULT_MODEL}). Get it back with git, "
                f"or train it: python -m asrlib train --out {DEFAULT_MODEL}"
            )
        return cls.load(DEFAULT_MODEL)

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
        arrays = {f"{name}.npy": _npy_bytes(array) for name, array in self.weights.items()}
        weights = _zip_bytes(arrays)
        config = {
            "format": _FORMAT,
            "version": _VERSION,
            "labels": list(self.labels),
            "n_frames": self.n_frames,
            "features": self.features.to_dict(),
            "model": self.model.to_dict(),
            "weights_sha256": hashlib.sha256(weights).hexdigest(),
        }
        text = json.dumps(config, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        return _zip_bytes({"config.json": text.encode(), "weights.npz": weights})

    @classmethod
    def _from_bytes(cls, data: bytes, *, name: str) -> Recognizer:
        members = _read_zip(data, name=name, wanted=("config.json", "weights.npz"))
        config = _read_config(members["config.json"], name=name)
        if hashlib.sha256(members["weights.npz"]).hexdigest() != config["weights_sha256"]:
            raise ModelFileError(
                f"{name} is damaged: its weights do not match their checksum. Copy it again."
            )
        try:
            features = FeatureConfig.from_dict(config["features"])
            model = config_from_dict(config["model"])
            labels = _checked_labels(config["labels"])
            input_shape = (config["n_frames"], features.n_coefficients)
            shapes = weight_shapes(model, input_shape=input_shape, n_classes=len(labels))
            arrays = _read_zip(
                members["weights.npz"], name=name, wanted=[f"{weight}.npy" for weight in shapes]
            )
            weights = {weight: _read_npy(arrays[f"{weight}.npy"], shape) for weight, shape in shapes.items()}
            return cls(
                features=features, model=model, weights=weights, labels=labels, n_frames=config["n_frames"]
            )
        except ModelFileError:
            raise
        except Exception as error:  # whatever a crafted file provokes, the caller sees one kind of error
            raise ModelFileError(f"{name} is not usable: {error}") from error


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


def _checked_labels(labels: Sequence[str]) -> tuple[str, ...]:
    if isinstance(labels, str) or not isinstance(labels, (Sequence, np.ndarray)):
        raise ValueError(f"labels must be a sequence of words, got {labels!r}.")
    if not all(isinstance(label, str) and label for label in labels):
        raise ValueError(f"labels must be words that are not empty, got {list(labels)!r}.")
    if len(set(labels)) != len(labels) or len(labels) < 2:
        raise ValueError(f"labels must be two or more different words, got {list(labels)!r}.")
    return tuple(map(str, labels))


# -- the file format -----------------------------------------------------------------------------------

_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    KeyError,
)
"""What Python's zip reader raises on damaged bytes; NotImplementedError is a RuntimeError."""

_SIGNATURES = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"%PDF": "a PDF document",
    b"RIFF": "a WAV recording or another RIFF file",
    b"fLaC": "a FLAC recording",
    b"OggS": "an Ogg recording",
    b"ID3": "an MP3 recording",
    b"\x89HDF": "an HDF5 file, such as weights that Keras saved",
    b"\x93NUMPY": "a NumPy array",
    b"\x80\x02": "a Python pickle, which is never opened here because it can run code",
    b"\x80\x03": "a Python pickle, which is never opened here because it can run code",
    b"\x80\x04": "a Python pickle, which is never opened here because it can run code",
    b"\x80\x05": "a Python pickle, which is never opened here because it can run code",
    b"\x1f\x8b": "a gzip archive",
    b"version https://git-lfs": "a Git LFS pointer whose content was not fetched",
    b"\x1c\x00\x00\x00TFL3": "a LiteRT model",
}


def _npy_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(
        buffer, np.ascontiguousarray(array, dtype="<f4"), version=(1, 0), allow_pickle=False
    )
    return buffer.getvalue()


def _read_npy(data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """Read one array after comparing the shape in its header, so that a lying header reserves no memory."""
    buffer = io.BytesIO(data)
    if np.lib.format.read_magic(buffer) != (1, 0):
        raise ValueError("an array in it has an unknown version.")
    stated, _, dtype = np.lib.format.read_array_header_1_0(buffer)
    if stated != shape or dtype != np.dtype("<f4"):
        raise ValueError(
            f"it holds an array {stated} of {dtype} where its configuration needs {shape} of float32."
        )
    buffer.seek(0)
    return np.lib.format.read_array(buffer, allow_pickle=False)


def _zip_bytes(members: Mapping[str, bytes]) -> bytes:
    """Pack members without compression and without the time of day: the same content gives the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression=zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # else it would record the system that it was written on
            archive.writestr(entry, data)
    return buffer.getvalue()


def _read_zip(data: bytes, *, name: str, wanted: Sequence[str]) -> dict[str, bytes]:
    """Read exactly the wanted members, in memory; refuse other archives, damage and oversize."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = archive.namelist()
            if sorted(found) != sorted(wanted):
                raise ModelFileError(_foreign(name, _describe_zip(found)))
            if sum(archive.getinfo(member).file_size for member in wanted) > _LIMIT_BYTES:
                raise ModelFileError(f"{name} claims to unpack to more than {_LIMIT_BYTES:,} bytes; refused.")
            return {member: _read_member(archive, member, name=name) for member in wanted}
    except ModelFileError:
        raise
    except _DAMAGE as error:
        raise ModelFileError(_describe_damage(data, name=name, error=error)) from error


def _read_member(archive: zipfile.ZipFile, member: str, *, name: str) -> bytes:
    with archive.open(member) as stream:
        data = stream.read(_LIMIT_BYTES + 1)  # whatever size the directory claims
    if len(data) > _LIMIT_BYTES:
        raise ModelFileError(f"{name} unpacks to more than {_LIMIT_BYTES:,} bytes; refused.")
    return data


def _read_config(data: bytes, *, name: str) -> dict[str, Any]:
    try:
        config = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{name} is damaged: its config.json cannot be read ({error}).") from error
    if not isinstance(config, dict) or config.get("format") != _FORMAT:
        raise ModelFileError(_foreign(name, "a zip archive of another program"))
    if config.get("version") != _VERSION:
        raise ModelFileError(
            f"{name} has format version {config.get('version')!r}; this asrlib reads version {_VERSION}. "
            "Use the asrlib that wrote it, or train again."
        )
    missing = [
        key for key in ("labels", "n_frames", "features", "model", "weights_sha256") if key not in config
    ]
    if missing:
        raise ModelFileError(f"{name} is damaged: its config.json lacks {', '.join(missing)}.")
    return config


def _describe_zip(found: list[str]) -> str:
    if "metadata.json" in found:
        return "a model that Keras saved (.keras); Recognizer.from_keras takes over a loaded one"
    if found and all(member.endswith(".npy") for member in found):
        return "an archive of NumPy arrays (.npz)"
    inside = ", ".join(map(repr, found[:3])) or "nothing"
    return f"a zip archive with {inside}{' …' if len(found) > 3 else ''} in it"


def _describe_damage(data: bytes, *, name: str, error: Exception) -> str:
    if not data:
        return f"{name} is empty (0 bytes). Copy or download it again."
    if data.startswith(b"PK"):
        return (
            f"{name} begins like a recogniser but is damaged or cut short ({error}). "
            "Copy or download it again."
        )
    for signature, what in _SIGNATURES.items():
        if data.startswith(signature):
            return _foreign(name, what)
    try:
        text = data[:200].decode()
    except UnicodeDecodeError:
        return _foreign(name, f"something unknown (it begins with {data[:4].hex(' ')})")
    return _foreign(
        name, f"text that begins {text[:30]!r}" if text.isprintable() or "\n" in text else "something unknown"
    )


def _foreign(name: str, what: str) -> str:
    return (
        f"{name} is not a recogniser of asrlib: it seems to be {what}. Name a file that Recognizer.save or "
        "`python -m asrlib train --out FILE` wrote."
    )
