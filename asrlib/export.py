"""From a trained recogniser to a LiteRT file, which runs quickly, and where TensorFlow does not.

:func:`to_litert` converts, in a Python of its own: the converter needs TensorFlow and can crash, which must
not take a notebook with it. Then it compares what the file answers with what the NumPy network answers, since
a conversion can go wrong without an error. To run the file, :class:`LiteRTRecognizer`,
:class:`LiteRTStringRecognizer` and :class:`LiteRTStream` need the package ai-edge-litert alone.

A file is a LiteRT model, as other programs read it, with the settings of the recogniser in a small zip
archive behind its end.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asrlib import features as features_module
from asrlib import model_files
from asrlib.ctc_network import CtcNetwork, CtcStream, StepNetwork, StreamState
from asrlib.errors import ConversionError, ModelFileError
from asrlib.features import FeatureConfig
from asrlib.models import CrnnConfig, CtcConfig, RnnConfig, config_from_dict
from asrlib.models.builders import without_lines
from asrlib.models.layers import causal_zeros
from asrlib.recognizer import Recognizer, fit_window, prepare
from asrlib.string_recognizer import StringRecognizer

__all__ = [
    "PRECISIONS",
    "TOLERANCES",
    "Exported",
    "LiteRTNetwork",
    "LiteRTRecognizer",
    "LiteRTStepNetwork",
    "LiteRTStream",
    "LiteRTStringRecognizer",
    "to_litert",
]

PRECISIONS = ("float32", "float16", "dynamic", "int8")
"""How :func:`to_litert` can store and compute; see there."""

TOLERANCES: Mapping[str, float] = {"float32": 1e-4, "float16": 0.01, "dynamic": 0.03, "int8": 0.1}
"""By how much answers may differ from the NumPy network's before :func:`to_litert` refuses a file.

Of each answer (a window's or a step's) the probability that differs most counts; then their mean. Where a
word comes one step later, one answer differs wholly and nothing is wrong; a failed conversion differs
everywhere.
"""

_FORMAT, _VERSION = "asrlib LiteRT", 1
_LIMIT_BYTES = 50_000_000
_COMPARED = 32  # inputs, where none are given
_SETTINGS = "asrlib.json"
_STARTUP_LINES = ("Created TensorFlow Lite XNNPACK delegate",)

Array = np.ndarray


# -- converting --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Exported:
    """What :func:`to_litert` wrote, and how near its answers are.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    precision : str
        One of `PRECISIONS`.
    n_bytes : int
        Its size.
    largest_difference : float
        Between a probability that the file gives and the NumPy network's, over all that was compared.
    mean_difference : float
        The same for each answer, averaged over them.
    agreement : float
        Share of the answers whose most probable class is the same.
    n_compared : int
        Windows, or steps of a stream, that were compared.

    Lesson: 09
    """

    path: Path
    precision: str
    n_bytes: int
    largest_difference: float
    mean_difference: float
    agreement: float
    n_compared: int

    def __str__(self) -> str:
        return (
            f"{self.path.name}: {self.precision}, {self.n_bytes / 1000:,.0f} kB; of {self.n_compared} "
            f"answers {100 * self.agreement:.1f} % name the same class as the NumPy network, probabilities "
            f"differ by {self.mean_difference:.2g} on average and {self.largest_difference:.2g} at most"
        )


def to_litert(
    recognizer: Recognizer | StringRecognizer,
    path: str | os.PathLike[str],
    *,
    precision: str = "float32",
    representative: Iterable[Array] | None = None,
    unroll: bool | None = None,
    timeout_seconds: float = 900.0,
) -> Exported:
    """Convert a recogniser's network to LiteRT, and compare its answers before the file is kept.

    Of a recogniser of single words the network reads one window of features at once. Of a causal recogniser
    of strings it is one step: the frames of a step and the state go in, log-probabilities and the next state
    come out.

    "float32" computes as before. "float16" stores the weights in half the bytes. "dynamic" stores them in a
    quarter, as 8-bit integers, and multiplies with 8-bit inputs whose range it finds while running. "int8"
    computes with 8-bit integers throughout, for which the range of every number must be known beforehand:
    from `representative` recordings.

    Parameters
    ----------
    recognizer : Recognizer or StringRecognizer
        What to convert; of strings, a causal one.
    path : path
        Where to write, by custom ending in ".tflite".
    precision : {"float32", "float16", "dynamic", "int8"}
        See above. Inputs and outputs are float32 in every case.
    representative : iterable of float32 arrays, each of shape (n_samples,), optional
        Recordings like those to be heard, at the recogniser's rate. "int8" needs some (one hundred are
        plenty). They serve the comparison too, for which seeded noise is taken otherwise.
    unroll : bool, optional
        Whether recurrent layers are written out step by step. A loop makes a smaller file, a written out one
        a quicker file. A loop cannot become "int8": the converter of TensorFlow 2.21 crashes on it. If left
        out, only "int8" is unrolled. A step needs no loop, so that this says nothing about strings.
    timeout_seconds : float
        How long the conversion may take.

    Returns
    -------
    Exported

    Raises
    ------
    ConversionError
        If the converter fails or crashes, or its file answers otherwise than the NumPy network.
    ValueError
        If an option does not fit, or the network looks ahead.
    ImportError
        If ai-edge-litert is missing.

    Examples
    --------
    >>> from asrlib import export  # doctest: +SKIP
    >>> print(export.to_litert(Recognizer.default(), "digits.tflite"))  # doctest: +SKIP
    digits.tflite: float32, 452 kB; of 32 answers 100.0 % name the same class as the NumPy network, ...

    References
    ----------
    B. Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
    Inference", CVPR 2018.

    Lesson: 09
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}.")
    task = _task(recognizer)
    if precision == "int8" and representative is None:
        raise ValueError(
            'precision="int8" needs representative recordings: a list of about one hundred, such as clips of '
            "the training set."
        )
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"The folder {path.parent} does not exist; make it, or choose another.")
    _interpreter_class()  # before the long wait, not after it
    inputs = task.inputs(representative)
    unroll = precision == "int8" if unroll is None else bool(unroll)
    model = _convert_elsewhere(task, inputs, precision=precision, unroll=unroll, timeout=timeout_seconds)
    data = _packed(model, task.settings() | {"precision": precision})
    answers, expected = task.answers(data, inputs), task.expected(inputs)
    differences = np.abs(answers - expected).max(axis=1)
    if not differences.mean() <= TOLERANCES[precision]:  # NaN is no answer either
        raise ConversionError(
            f"The converted network ({precision}) gives other answers: probabilities differ by "
            f"{differences.mean():.2g}, where {TOLERANCES[precision]:g} is allowed. Nothing was written."
        )
    return Exported(
        path=model_files.write(path, data),
        precision=precision,
        n_bytes=len(data),
        largest_difference=float(differences.max()),
        mean_difference=float(differences.mean()),
        agreement=float(np.mean(answers.argmax(axis=1) == expected.argmax(axis=1))),
        n_compared=len(answers),
    )


class _Words:
    """Converting a recogniser of single words: one window in, probabilities out."""

    def __init__(self, recognizer: Recognizer) -> None:
        self.recognizer = recognizer

    def settings(self) -> dict[str, Any]:
        ours = self.recognizer
        return {"kind": "window", "n_frames": ours.n_frames} | _common_settings(ours)

    def inputs(self, recordings: Iterable[Array] | None) -> Array:
        """Make windows of recordings, (n, n_frames, n_features); of noise, if there are none."""
        ours = self.recognizer
        if recordings is None:
            noise = np.random.default_rng(0).normal(size=(_COMPARED, *ours.input_shape))
            return noise.astype(np.float32)
        windows = []
        for samples in recordings:
            prepared = prepare(np.asarray(samples), ours.features, n_frames=ours.n_frames)
            windows.append(fit_window(prepared.features, ours.n_frames, energy=prepared.energy)[0])
        return _some(windows)

    def expected(self, windows: Array) -> Array:
        return self.recognizer.network(windows)

    def answers(self, data: bytes, windows: Array) -> Array:
        return LiteRTNetwork(*_unpacked(data, name="the converted file", kind="window"))(windows)

    def build(self, windows: Array, *, unroll: bool, folder: Path) -> tuple[Any, Iterator[list[Array]]]:
        """Make TensorFlow's converter, and what it may try the network on."""
        import tensorflow as tf

        from asrlib import models

        ours, keras = self.recognizer, models.import_keras()
        options: dict[str, Any] = {"input_shape": ours.input_shape, "n_classes": len(ours.labels)}
        if isinstance(ours.model, CrnnConfig | RnnConfig):
            options["unroll"] = unroll
        build = {CrnnConfig: models.crnn, RnnConfig: models.rnn}.get(type(ours.model), models.build)
        model = build(ours.model, **options)
        models.set_weights(model, ours.weights, config=ours.model)
        # The converter gets loops right only when it knows the size of the batch.
        one = keras.Input(batch_shape=(1, *ours.input_shape), name="features")
        converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(one, model(one)))
        return converter, ([window[None]] for window in windows)


class _Steps:
    """Converting a causal recogniser of strings: one step, with its state in and out."""

    def __init__(self, recognizer: StringRecognizer) -> None:
        self.recognizer, self.network = recognizer, recognizer.network
        if not recognizer.model.causal:
            raise ValueError(
                "This recogniser of strings looks ahead, so that its network needs the whole utterance and "
                "has no step to convert. Use a causal one, such as StringRecognizer.streaming()."
            )

    def settings(self) -> dict[str, Any]:
        return {"kind": "step"} | _common_settings(self.recognizer)

    def inputs(self, recordings: Iterable[Array] | None) -> Array:
        """Make one long sequence of frames, (time, n_features), a whole number of steps."""
        ours, size = self.recognizer, self.recognizer.model.frames_per_step
        if recordings is None:
            mean = ours.weights["input_norm/moving_mean"]
            spread = np.sqrt(ours.weights["input_norm/moving_variance"])
            noise = np.random.default_rng(0).normal(size=(_COMPARED * size, ours.features.n_coefficients))
            return (mean + spread * noise).astype(np.float32)
        frames = [features_module.extract(np.asarray(samples), ours.features) for samples in recordings]
        whole = np.concatenate(frames) if frames else np.empty((0, ours.features.n_coefficients), np.float32)
        return _some(whole[: len(whole) // size * size])

    def expected(self, frames: Array) -> Array:
        return np.exp(self.network(frames))

    def answers(self, data: bytes, frames: Array) -> Array:
        return np.exp(LiteRTStepNetwork(*_unpacked(data, name="the converted file", kind="step"))(frames))

    def build(self, frames: Array, *, unroll: bool, folder: Path) -> tuple[Any, Iterator[dict[str, Array]]]:
        """Make TensorFlow's converter, and what it may try the network on."""
        import tensorflow as tf

        module = tf.Module()
        module.step = _step_function(self.network)
        saved = str(folder / "saved_model")
        tf.saved_model.save(module, saved, signatures={"step": module.step})
        converter = tf.lite.TFLiteConverter.from_saved_model(saved, signature_keys=["step"])
        return converter, self._examples(frames)

    def _examples(self, frames: Array) -> Iterator[dict[str, Array]]:
        """Go through a stream step by step, with the state that the network has there."""
        state, size = self.network.start(), self.recognizer.model.frames_per_step
        for first in range(0, len(frames), size):
            step = frames[first : first + size]
            yield {"frames": step[None]} | {name: array[None] for name, array in _named_states(state)}
            _, state = self.network.advance(step, state)


def _task(recognizer: Any) -> _Words | _Steps:
    if isinstance(recognizer, (LiteRTRecognizer, LiteRTStringRecognizer)):
        raise ValueError(f"{recognizer!r} runs in LiteRT already; convert the recogniser that it came from.")
    if isinstance(recognizer, StringRecognizer):
        return _Steps(recognizer)
    if isinstance(recognizer, Recognizer):
        return _Words(recognizer)
    raise ValueError(f"recognizer must be a Recognizer or a StringRecognizer, got {recognizer!r}.")


def _common_settings(recognizer: Any) -> dict[str, Any]:
    return {
        "features": recognizer.features.to_dict(),
        "model": recognizer.model.to_dict(),
        "labels": list(recognizer.labels),
    }


def _some(inputs: Sequence[Array] | Array) -> Array:
    if not len(inputs):
        raise ValueError("representative holds no recording that is long enough; give about one hundred.")
    return np.stack(inputs) if isinstance(inputs, list) else inputs


def _named_states(state: StreamState) -> list[tuple[str, Array]]:
    """Name the parts of a state as the step's inputs; the outputs are called "next_" and the same."""
    pictures = [(f"picture{number}", array) for number, array in enumerate(state.pictures, start=1)]
    return pictures + [(f"gru{number}", array) for number, array in enumerate(state.recurrent, start=1)]


def _step_function(network: CtcNetwork) -> Any:
    """Write one step of a causal network as a TensorFlow function: `CtcNetwork._run`, line by line."""
    import tensorflow as tf

    config, weights = network.config, network.weights
    scale, offset = network.input_norm
    (_, sides) = causal_zeros(config.kernel_size)

    def gru(x: Any, before: Any, name: str) -> Any:
        kernel, recurrent, bias = (
            weights[f"{name}_forward/{part}"] for part in ("kernel", "recurrent_kernel", "bias")
        )
        units = config.gru_units
        seen, remembered = tf.matmul(x, kernel) + bias[0], tf.matmul(before, recurrent) + bias[1]
        gates = tf.sigmoid(seen[:, : 2 * units] + remembered[:, : 2 * units])
        update, reset = gates[:, :units], gates[:, units:]
        candidate = tf.tanh(seen[:, 2 * units :] + reset * remembered[:, 2 * units :])
        return update * before + (1 - update) * candidate

    def step(frames: Any, **states: Any) -> dict[str, Any]:
        after = {}
        x = (frames * scale + offset)[..., None]  # (1, time, frequency, 1 channel)
        for number, (pool, norm) in enumerate(zip(config.pools, network.norms, strict=True), start=1):
            x = tf.concat([states[f"picture{number}"], x], axis=1)
            after[f"next_picture{number}"] = x[:, x.shape[1] - (config.kernel_size[0] - 1) :]
            x = tf.pad(x, [(0, 0), (0, 0), sides, (0, 0)])
            x = tf.nn.conv2d(x, weights[f"conv{number}/kernel"], strides=1, padding="VALID")
            x = tf.nn.relu(tf.nn.max_pool2d(x, pool, pool, "VALID") * norm[0] + norm[1])
        steps = [tf.reshape(x[:, 0], (1, -1))]  # the pools leave one step
        if config.projection:
            steps = [tf.matmul(x, weights["projection/kernel"]) + weights["projection/bias"] for x in steps]
        (x,) = steps
        for number in range(1, config.layers + 1):
            x = after[f"next_gru{number}"] = gru(x, states[f"gru{number}"], f"gru{number}")
        scores = tf.matmul(x, weights["logits/kernel"]) + weights["logits/bias"]
        return {"log_probabilities": tf.nn.log_softmax(scores)} | after

    specs = {
        name: tf.TensorSpec((1, *array.shape), tf.float32, name=name)
        for name, array in [
            ("frames", np.empty((config.frames_per_step, network.n_features))),
            *_named_states(network.start()),
        ]
    }
    return tf.function(step).get_concrete_function(**specs)


def _convert_elsewhere(
    task: _Words | _Steps, inputs: Array, *, precision: str, unroll: bool, timeout: float
) -> bytes:
    """Convert in a Python of its own, and return the bytes of the LiteRT model."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        task.recognizer.save(folder / "model.asr")
        np.save(folder / "inputs.npy", inputs)
        try:
            done = _another_python(str(folder), precision, str(int(unroll)), timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise ConversionError(
                f"Converting to {precision} took longer than {timeout:g} s; pass a greater timeout_seconds."
            ) from error
        result = folder / "model.tflite"
        if done.returncode or not result.exists():
            raise ConversionError(f"Converting to {precision} failed: {_reason(done, unroll=unroll)}")
        return result.read_bytes()


def _another_python(*arguments: str, timeout: float) -> subprocess.CompletedProcess[str]:
    """Run :func:`_convert_here` in a new process."""
    program = "import sys; from asrlib import export; export._convert_here(*sys.argv[1:])"
    above = str(Path(__file__).resolve().parent.parent)  # where this asrlib is, installed or not
    paths = [above, *filter(None, [os.environ.get("PYTHONPATH")])]
    settings = {
        "PYTHONPATH": os.pathsep.join(paths),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",  # the converter only writes a graph down
    }
    return subprocess.run(
        [sys.executable, "-P", "-c", program, *arguments],  # -P: no module of the folder one works in
        env=os.environ | settings,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        check=False,
    )


def _reason(done: subprocess.CompletedProcess[str], *, unroll: bool) -> str:
    if done.returncode < 0:
        what = signal.Signals(-done.returncode).name
        advice = "." if unroll else "; on a recurrent network it needs unroll=True for int8."
        return f"TensorFlow's converter crashed ({what}){advice}"
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else f"exit status {done.returncode} without a message."


def _convert_here(folder: str, precision: str, unroll: str) -> None:
    """Convert in this process, as :func:`_convert_elsewhere` asks another one to."""
    from asrlib.models import import_keras

    import_keras()
    import tensorflow as tf

    here = Path(folder)
    task = _task(Recognizer.load(here / "model.asr"))
    inputs = np.load(here / "inputs.npy", allow_pickle=False)
    converter, examples = task.build(inputs, unroll=bool(int(unroll)), folder=here)
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        converter.representative_dataset = lambda: examples
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    with warnings.catch_warnings(action="ignore"):  # of statistics and interpreters that nobody asked for
        (here / "model.tflite").write_bytes(converter.convert())


# -- the file ----------------------------------------------------------------------------------------------


def _packed(model: bytes, settings: Mapping[str, Any]) -> bytes:
    """Put the settings behind a LiteRT model; LiteRT reads no further than the model's own end."""
    config = {
        "format": _FORMAT,
        "version": _VERSION,
        **settings,
        "model_bytes": len(model),
        "model_sha256": hashlib.sha256(model).hexdigest(),
    }
    text = json.dumps(config, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    buffer = io.BytesIO()
    buffer.write(model)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(zipfile.ZipInfo(_SETTINGS, date_time=(1980, 1, 1, 0, 0, 0)), text)
    return buffer.getvalue()


def _unpacked(data: bytes, *, name: str, kind: str) -> tuple[bytes, dict[str, Any]]:
    """Read the model and its settings, or say what is wrong with the file."""
    if data[4:8] != b"TFL3":
        raise ModelFileError(f"{name} is no LiteRT model; asrlib.export.to_litert writes one.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = archive.getinfo(_SETTINGS).file_size
            text = archive.read(_SETTINGS) if size <= _LIMIT_BYTES else b""
        config = json.loads(text)
        model = data[: config["model_bytes"]]
        whole = hashlib.sha256(model).hexdigest() == config["model_sha256"]
        known = (config["format"], config["version"]) == (_FORMAT, _VERSION)
    except Exception as error:  # whatever damage provokes, the caller sees one kind of error
        raise ModelFileError(
            f"{name} is a LiteRT model without the settings of a recogniser behind it, or cut short; "
            f"asrlib.export.to_litert writes both ({error})."
        ) from error
    if not whole:
        raise ModelFileError(f"{name} is damaged: its model does not match its checksum. Copy it again.")
    if not known:
        raise ModelFileError(f"{name} was written by another version of asrlib; convert again.")
    if config.get("kind") != kind:
        wanted = {"window": "LiteRTStringRecognizer or LiteRTStream", "step": "LiteRTRecognizer"}[kind]
        raise ModelFileError(f"{name} holds another kind of network ({config.get('kind')!r}); use {wanted}.")
    return model, config


def _read(path: str | os.PathLike[str], *, kind: str) -> tuple[bytes, dict[str, Any]]:
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}; asrlib.export.to_litert writes one.")
    if path.stat().st_size > _LIMIT_BYTES:
        raise ModelFileError(f"{path} has {path.stat().st_size:,} bytes, more than any network of asrlib.")
    return _unpacked(path.read_bytes(), name=str(path), kind=kind)


# -- running -----------------------------------------------------------------------------------------------


def _interpreter_class() -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise ImportError(
            "Running a LiteRT file needs the package ai-edge-litert: pip install ai-edge-litert "
            f"({error}). The NumPy networks of asrlib run without it."
        ) from error
    return Interpreter


class _Session:
    """A LiteRT model that is ready to compute, with its inputs and outputs by name."""

    def __init__(self, model: bytes, *, threads: int) -> None:
        with without_lines(*_STARTUP_LINES):
            self._interpreter = _interpreter_class()(model_content=model, num_threads=threads)
            self._interpreter.allocate_tensors()
        (signature,) = self._interpreter.get_signature_list()
        runner = self._interpreter.get_signature_runner(signature)
        self._inputs = {name: detail["index"] for name, detail in runner.get_input_details().items()}
        self._outputs = {name: detail["index"] for name, detail in runner.get_output_details().items()}

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        for name, array in inputs.items():
            self._interpreter.set_tensor(self._inputs[name], array)
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(index) for name, index in self._outputs.items()}

    @property
    def only_names(self) -> tuple[str, str]:
        """Names of the input and the output, where there is one of each."""
        (one,), (other,) = self._inputs, self._outputs
        return one, other


class LiteRTNetwork:
    """A whole-clip network in LiteRT, called as :class:`asrlib.network.Network` is.

    Parameters
    ----------
    model : bytes
        A LiteRT model that reads one window.
    settings : mapping
        What :func:`to_litert` put behind it.
    threads : int
        Cores to use at once.

    Lesson: 09
    """

    def __init__(self, model: bytes, settings: Mapping[str, Any], *, threads: int = 1) -> None:
        self.config = config_from_dict(settings["model"])
        self.n_classes = len(settings["labels"])
        n_features = FeatureConfig.from_dict(settings["features"]).n_coefficients
        self.input_shape = (settings["n_frames"], n_features)
        self._session = _Session(model, threads=threads)
        self._input, self._output = self._session.only_names

    def __call__(self, features: Array) -> Array:
        """Compute the probability of each class, window by window.

        Parameters
        ----------
        features : array, shape (batch, n_frames, n_features)

        Returns
        -------
        float32 array, shape (batch, n_classes)

        Raises
        ------
        ValueError
            If the shape is another one, or a number is not finite.
        """
        features = np.asarray(features, dtype=np.float32)
        if features.ndim != 3 or features.shape[1:] != self.input_shape:
            raise ValueError(
                f"The network reads features of shape (batch, {self.input_shape[0]}, {self.input_shape[1]}), "
                f"got {features.shape}."
            )
        if not np.isfinite(features).all():
            raise ValueError("The features hold NaN or infinity; check the samples that they were made from.")
        answers = [self._session({self._input: window[None]})[self._output] for window in features]
        return np.concatenate(answers) if answers else np.empty((0, self.n_classes), np.float32)


class LiteRTRecognizer(Recognizer):
    """A recogniser of single words whose network runs in LiteRT; all else is as in `Recognizer`.

    Parameters
    ----------
    path : path
        A file that :func:`to_litert` wrote. It is computed by native code: open files that you trust.
    threads : int
        Cores to use at once.

    Raises
    ------
    ModelFileError
        If the file is something else, or damaged.
    ImportError
        If ai-edge-litert is missing.

    Examples
    --------
    >>> LiteRTRecognizer("digits.tflite").transcribe("seven.wav").text  # doctest: +SKIP
    '7'

    Lesson: 09
    """

    def __init__(self, path: str | os.PathLike[str], *, threads: int = 1) -> None:
        model, settings = _read(path, kind="window")
        self.path, self.precision = Path(path), settings["precision"]
        self.features = FeatureConfig.from_dict(settings["features"])
        self.labels = model_files.check_labels(settings["labels"])
        self.n_frames = settings["n_frames"]
        self.network = LiteRTNetwork(model, settings, threads=threads)
        self.model = self.network.config

    @property
    def weights(self) -> dict[str, Array]:
        """Not in the file under their names; this raises."""
        raise _no_weights(self.path)

    def __repr__(self) -> str:
        return (
            f"LiteRTRecognizer({len(self.labels)} words: {' '.join(self.labels)}; {self.precision}, "
            f"window {self.n_frames * self.features.hop_seconds:.2f} s)"
        )


class LiteRTStepNetwork(StepNetwork):
    """A causal CTC network in LiteRT, called and streamed as :class:`asrlib.ctc_network.CtcNetwork` is.

    Parameters
    ----------
    model : bytes
        A LiteRT model of one step.
    settings : mapping
        What :func:`to_litert` put behind it.
    threads : int
        Cores to use at once.

    Lesson: 09
    """

    def __init__(self, model: bytes, settings: Mapping[str, Any], *, threads: int = 1) -> None:
        self.config: CtcConfig = config_from_dict(settings["model"])
        self.n_features = FeatureConfig.from_dict(settings["features"]).n_coefficients
        self.n_classes = len(settings["labels"]) + 1
        self._session = _Session(model, threads=threads)

    def __call__(self, features: Array) -> Array:
        """Compute the logarithm of the probability of each class at every step.

        Parameters
        ----------
        features : array, shape (time, n_features)

        Returns
        -------
        float32 array, shape (time // frames per step, n_classes)
        """
        return self.stream().push(features)

    def advance(self, features: Array, state: StreamState) -> tuple[Array, StreamState]:
        """Compute some more steps, and what the next ones will need; see `CtcNetwork.advance`."""
        size, n_pictures = self.config.frames_per_step, len(self.config.pools)
        carried = {name: array[None] for name, array in _named_states(state)}
        answers = np.empty((len(features) // size, self.n_classes), np.float32)
        for index in range(len(answers)):
            frames = features[None, index * size : (index + 1) * size]
            outputs = self._session({"frames": frames, **carried})
            answers[index] = outputs["log_probabilities"][0]
            carried = {name: outputs[f"next_{name}"] for name in carried}
        parts = tuple(array[0] for array in carried.values())
        return answers, StreamState(parts[:n_pictures], parts[n_pictures:])


class LiteRTStream(CtcStream):
    """A causal CTC network in LiteRT on frames that are still coming: a `CtcStream` from a file.

    Parameters
    ----------
    path : path
        A file that :func:`to_litert` wrote of a causal recogniser of strings.
    threads : int
        Cores to use at once.

    Raises
    ------
    ModelFileError
        If the file is something else, or damaged.
    ImportError
        If ai-edge-litert is missing.

    Examples
    --------
    >>> stream = LiteRTStream("streaming.tflite")  # doctest: +SKIP
    >>> stream.push(frames).shape  # doctest: +SKIP
    (2, 11)

    Lesson: 09
    """

    def __init__(self, path: str | os.PathLike[str], *, threads: int = 1) -> None:
        super().__init__(LiteRTStepNetwork(*_read(path, kind="step"), threads=threads))


class LiteRTStringRecognizer(StringRecognizer):
    """A causal recogniser of strings whose network runs in LiteRT; all else is as in `StringRecognizer`.

    Parameters
    ----------
    path : path
        A file that :func:`to_litert` wrote. It is computed by native code: open files that you trust.
    threads : int
        Cores to use at once.

    Raises
    ------
    ModelFileError
        If the file is something else, or damaged.
    ImportError
        If ai-edge-litert is missing.

    Examples
    --------
    >>> LiteRTStringRecognizer("streaming.tflite").transcribe("code.wav").text  # doctest: +SKIP
    '5 0 3'

    Lesson: 09
    """

    def __init__(self, path: str | os.PathLike[str], *, threads: int = 1) -> None:
        model, settings = _read(path, kind="step")
        self.path, self.precision = Path(path), settings["precision"]
        self.features = FeatureConfig.from_dict(settings["features"])
        self.labels = model_files.check_labels(settings["labels"])
        self.network = LiteRTStepNetwork(model, settings, threads=threads)
        self.model = self.network.config

    @property
    def weights(self) -> dict[str, Array]:
        """Not in the file under their names; this raises."""
        raise _no_weights(self.path)

    def __repr__(self) -> str:
        return (
            f"LiteRTStringRecognizer({len(self.labels)} words: {' '.join(self.labels)}; {self.precision}, "
            f"a step each {1000 * self.step_seconds:.0f} ms)"
        )


def _no_weights(path: Path) -> ValueError:
    return ValueError(
        f"{path} holds a converted network, whose weights have no names any more. Keep the .asr file that it "
        "was converted from, to train it further, to save or to convert it."
    )
