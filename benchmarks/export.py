"""Measure what a recogniser becomes in LiteRT: bytes, accuracy, differences, milliseconds; one table each.

    .venv/bin/python benchmarks/export.py                     # about five minutes on two cores
    .venv/bin/python benchmarks/export.py --only strings      # the network of the live recogniser alone
    .venv/bin/python benchmarks/export.py --formats float32 float16

*Words.* The recogniser of single words that comes with asrlib, in every format, on the whole test set: how
often it is right, and by how much the probability that differs most is off the NumPy network's, on average
and at most. "Loop" and "unrolled" say how the
recurrent layers stand in the file. What the converter cannot do is tried too, and what it says is printed.

*Strings.* One step of the causal recogniser of strings, with its state in and out: the word error rate on the
naturally spoken strings of the test speakers, and the time for 100 ms of sound, features not counted.

Times are processor time of one thread. All formats read the same windows (or frames) in turns, one after the
other, so that what else the machine does hits them alike; the median counts. Keras is called in the way that
is quickest for it, `predict_on_batch`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from asrlib import datasets, evaluation, export, features, texts
from asrlib.errors import ConversionError
from asrlib.recognizer import Recognizer, fit_window, prepare
from asrlib.string_recognizer import StringRecognizer

ONE_THREAD = dict.fromkeys(
    (
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
    ),
    "1",
)
WAYS = {  # of the network for words: precision, unrolled
    "float32, loop": ("float32", False),
    "float32, unrolled": ("float32", True),
    "float16, loop": ("float16", False),
    "dynamic, loop": ("dynamic", False),
    "int8, loop": ("int8", False),
    "int8, unrolled": ("int8", True),
}
GOAL_MS = 5.0  # of one core for 100 ms of sound
REPRESENTATIVE = 100  # recordings of the training speakers
WINDOWS = 100  # whose time is taken


def representative() -> list[np.ndarray]:
    """Recordings of training speakers, spread over all of them."""
    train = datasets.digits("train")
    return [train.audio(int(index)) for index in np.linspace(0, len(train) - 1, REPRESENTATIVE)]


def in_turns(ways: dict[str, Callable[[int], Any]], *, rounds: int) -> dict[str, float]:
    """Take the median processor time of each way in milliseconds; in each round every way has one turn."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for index in range(-3, rounds):
        for name, call in ways.items():
            began = time.process_time_ns()
            call(max(index, 0))
            if index >= 0:  # the first calls find cold caches
                taken[name].append((time.process_time_ns() - began) / 1e6)
    return {name: statistics.median(times) for name, times in taken.items()}


def convert(
    recognizer: Any, ways: dict[str, tuple[str, bool]], clips: list[np.ndarray], *, folder: Path
) -> tuple[dict[str, export.Exported], dict[str, str]]:
    """Convert in every way; give the files, and what the converter said where it failed."""
    files, failures = {}, {}
    for name, (precision, unroll) in ways.items():
        path = folder / f"{type(recognizer).__name__} {name}.tflite"
        try:
            files[name] = export.to_litert(
                recognizer, path, precision=precision, unroll=unroll, representative=clips
            )
        except ConversionError as error:
            failures[name] = str(error)
    return files, failures


def _differences(answers: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Of each answer, the difference of the probability that differs most."""
    return np.abs(answers - expected).max(axis=1)


# -- single words ------------------------------------------------------------------------------------------


def windows_of(recognizer: Recognizer, dataset: datasets.SpeechDataset) -> np.ndarray:
    windows = []
    for index in range(len(dataset)):
        prepared = prepare(dataset.audio(index), recognizer.features, n_frames=recognizer.n_frames)
        windows.append(fit_window(prepared.features, recognizer.n_frames, energy=prepared.energy)[0])
    return np.stack(windows)


def print_words(formats: list[str], folder: Path) -> dict[str, Any]:
    recognizer, test = Recognizer.default(), datasets.digits("test")
    windows = windows_of(recognizer, test)
    ways = {name: way for name, way in WAYS.items() if way[0] in formats}
    files, failures = convert(recognizer, ways, representative(), folder=folder)
    model = recognizer.to_keras()
    recognizer.save(folder / "words.asr")
    networks: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "NumPy": recognizer.network,
        "Keras": lambda batch: np.asarray(model.predict_on_batch(batch)),
    }
    networks |= {name: export.LiteRTRecognizer(file.path).network for name, file in files.items()}
    sizes = {"NumPy": (folder / "words.asr").stat().st_size}
    sizes |= {name: file.n_bytes for name, file in files.items()}

    answers = {name: network(windows) for name, network in networks.items()}
    milliseconds = in_turns(
        {
            name: lambda index, network=network: network(windows[index : index + 1])
            for name, network in networks.items()
        },
        rounds=WINDOWS,
    )
    print(f"\nSingle words, {len(test)} clips of {len(set(test.speakers))} speakers, window by window\n")
    print(f"{'':20s}{'kB':>8s}{'right':>9s}{'95 % interval':>18s}{'differs':>10s}{'at most':>10s}{'ms':>8s}")
    table = {}
    for name, probabilities in answers.items():
        right = np.array(recognizer.labels)[probabilities.argmax(axis=1)] == test.labels
        low, high = evaluation.wilson_interval(int(right.sum()), len(right))
        differences = _differences(probabilities, answers["NumPy"])
        size = f"{sizes[name] / 1000:,.0f}" if name in sizes else "–"
        print(
            f"{name:20s}{size:>8s}{100 * right.mean():7.2f} %{100 * low:9.1f} to {100 * high:.1f} %"
            f"{differences.mean():10.1e}{differences.max():10.1e}{milliseconds[name]:8.3f}"
        )
        table[name] = {
            "bytes": sizes.get(name),
            "accuracy": float(right.mean()),
            "interval": [low, high],
            "mean_difference": float(differences.mean()),
            "largest_difference": float(differences.max()),
            "ms_per_window": milliseconds[name],
        }
    for name, message in failures.items():
        print(f"{name:20s}{message}")
        table[name] = {"error": message}
    return table


# -- strings, step by step ---------------------------------------------------------------------------------


def print_strings(formats: list[str], folder: Path) -> dict[str, Any]:
    recognizer, test = StringRecognizer.streaming(), datasets.strings("test")
    clips = [samples for samples in representative() if len(samples) > 0]
    files, failures = convert(recognizer, {name: (name, False) for name in formats}, clips, folder=folder)
    recognizer.save(folder / "strings.asr")
    recognizers = {"NumPy": recognizer}
    recognizers |= {name: export.LiteRTStringRecognizer(file.path) for name, file in files.items()}
    sizes = {"NumPy": (folder / "strings.asr").stat().st_size}
    sizes |= {name: file.n_bytes for name, file in files.items()}

    frames = [features.extract(test.audio(index), recognizer.features) for index in range(len(test))]
    scores = {name: [one.network(clip) for clip in frames] for name, one in recognizers.items()}
    size = round(0.1 / recognizer.features.hop_seconds)
    stream = np.concatenate(frames)
    streams = {name: one.network.stream() for name, one in recognizers.items()}
    chunks = np.split(stream[: len(stream) // size * size], len(stream) // size)
    milliseconds = in_turns(
        {name: lambda index, one=one: one.push(chunks[index]) for name, one in streams.items()},
        rounds=len(chunks),
    )
    print(f"\nStrings, {len(test)} spoken by {len(set(test.speakers))} people, step by step\n")
    heads = f"{'words wrong':>13s}{'differs':>10s}{'at most':>10s}{'ms per 100 ms of sound':>24s}"
    print(f"{'':20s}{'kB':>8s}{heads}")
    table = {}
    for name, one in recognizers.items():
        heard = [one.transcribe(test.audio(index)).text for index in range(len(test))]
        error = texts.wer(list(test.labels), heard)
        pairs = zip(scores[name], scores["NumPy"], strict=True)
        differences = np.concatenate([_differences(np.exp(theirs), np.exp(ours)) for theirs, ours in pairs])
        print(
            f"{name:20s}{sizes[name] / 1000:8,.0f}{100 * error:11.2f} %"
            f"{differences.mean():10.1e}{differences.max():10.1e}"
            f"{milliseconds[name]:24.3f}"
        )
        table[name] = {
            "bytes": sizes[name],
            "word_error_rate": error,
            "mean_difference": float(differences.mean()),
            "largest_difference": float(differences.max()),
            "ms_per_100_ms": milliseconds[name],
        }
    for name, message in failures.items():
        print(f"{name:20s}{message}")
        table[name] = {"error": message}
    if "float32" in milliseconds:
        kept = "kept" if milliseconds["float32"] <= GOAL_MS else "MISSED"
        print(f"\nGoal: at most {GOAL_MS:g} ms of one core for 100 ms of sound in LiteRT: {kept}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("words", "strings"))
    parser.add_argument(
        "--formats", nargs="+", choices=export.PRECISIONS, default=list(export.PRECISIONS), metavar="FORMAT"
    )
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    options = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        os.environ.update(ONE_THREAD, TF_CPP_MIN_LOG_LEVEL="3")  # libraries look once, when they start
        os.execv(sys.executable, [sys.executable, *sys.argv])
    load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}, {load}")
    parts = {"words": print_words, "strings": print_strings}
    numbers = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, part in parts.items():
            if options.only in (None, name):
                numbers[name] = part(options.formats, Path(folder))
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=1))


if __name__ == "__main__":
    main()
