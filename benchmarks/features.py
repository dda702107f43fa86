"""Measure how long 13 MFCC of one second of sound take, beside other libraries and the bare transform.

    .venv/bin/python benchmarks/features.py            # about a minute
    .venv/bin/python benchmarks/features.py --rounds 5 --only asrlib "bare FFT"

All run in one process with one thread, on the same clips, in turns: one round times each of them once, and
the table shows medians over the rounds. The ratio is the median over rounds of a contestant's time over that
of the bare transform *in the same round*, so that a busy machine blurs it less. The clock is the CPU time of
the process (`--clock wall` for the other): on an idle machine they agree, on a busy one it does not count the
others.

"bare FFT" is one call of `scipy.fft.rfft` on ready-made float32 frames, those of asrlib: the least that
anyone has to do. "in chunks" makes the same transforms as many frames at a time as asrlib does, so that the
spectra need not travel to main memory and back; that is the stricter comparison.

Contestants that are not installed are named and left out; `make environment` brings all of them.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import scipy.fft

from asrlib import features
from asrlib.features import FeatureConfig

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
CONFIG = FeatureConfig(kind="mfcc", f_min=20.0, n_mels=40, n_mfcc=13)
N_CLIPS = 256
Contestant = Callable[[np.ndarray], object]


def clips(n_clips: int) -> np.ndarray:
    """Give seconds of noise: the time does not depend on what is said."""
    return np.random.default_rng(0).normal(0, 0.1, (n_clips, CONFIG.sample_rate)).astype(np.float32)


def asrlib_single(batch: np.ndarray) -> object:
    return features.mfcc(batch, CONFIG)


def asrlib_double(batch: np.ndarray) -> object:
    return features.mfcc(batch, _DOUBLE)


_DOUBLE = FeatureConfig(**(CONFIG.to_dict() | {"precision": "double"}))


def librosa_settings() -> dict:
    return {
        "sr": CONFIG.sample_rate, "n_mfcc": CONFIG.n_mfcc, "n_fft": CONFIG.n_fft, "n_mels": CONFIG.n_mels,
        "win_length": CONFIG.window_length, "hop_length": CONFIG.hop_length, "fmin": CONFIG.f_min,
        "center": False,
    }  # fmt: skip


def librosa_batched() -> Contestant:
    import librosa

    return lambda batch: librosa.feature.mfcc(y=batch, **librosa_settings())


def librosa_per_clip() -> Contestant:
    import librosa

    return lambda batch: [librosa.feature.mfcc(y=clip, **librosa_settings()) for clip in batch]


def python_speech_features_per_clip() -> Contestant:
    import python_speech_features

    def run(batch: np.ndarray) -> object:
        return [
            python_speech_features.mfcc(
                clip, CONFIG.sample_rate, numcep=CONFIG.n_mfcc, nfilt=CONFIG.n_mels, nfft=CONFIG.n_fft,
                lowfreq=CONFIG.f_min, winfunc=np.hanning,
            )
            for clip in batch
        ]  # fmt: skip

    return run


def kaldi_per_clip() -> Contestant:
    import kaldi_native_fbank

    options = kaldi_native_fbank.MfccOptions()
    options.frame_opts.dither = 0
    options.frame_opts.samp_freq = CONFIG.sample_rate
    options.mel_opts.num_bins = CONFIG.n_mels

    def one(clip: np.ndarray) -> np.ndarray:
        computer = kaldi_native_fbank.OnlineMfcc(options)
        computer.accept_waveform(CONFIG.sample_rate, clip)
        computer.input_finished()
        return np.stack([computer.get_frame(i) for i in range(computer.num_frames_ready)])

    return lambda batch: [one(clip) for clip in batch]


def tensorflow_batched() -> Contestant:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.set_visible_devices([], "GPU")
    weights = tf.signal.linear_to_mel_weight_matrix(
        CONFIG.n_mels, CONFIG.n_bins, CONFIG.sample_rate, CONFIG.f_min, CONFIG.sample_rate / 2
    )

    @tf.function(input_signature=[tf.TensorSpec([None, CONFIG.sample_rate], tf.float32)])
    def graph(batch: tf.Tensor) -> tf.Tensor:
        spectra = tf.signal.stft(batch, CONFIG.window_length, CONFIG.hop_length, CONFIG.n_fft)
        power = tf.math.real(spectra * tf.math.conj(spectra))
        log_mel = tf.math.log(tf.maximum(tf.tensordot(power, weights, 1), CONFIG.log_floor))
        return tf.signal.mfccs_from_log_mel_spectrograms(log_mel)[..., : CONFIG.n_mfcc]

    return lambda batch: graph(batch).numpy()


def bare_fft(frames: np.ndarray) -> object:
    return scipy.fft.rfft(frames, axis=-1)


def bare_fft_in_chunks(frames: np.ndarray) -> object:
    n_frames = CONFIG.n_frames(CONFIG.sample_rate)
    size = features._CHUNK_VALUES // CONFIG.n_fft // n_frames * n_frames
    for start in range(0, len(frames), size):
        scipy.fft.rfft(frames[start : start + size], axis=-1)


# Name, distribution (None: always here), what makes the contestant.
PEERS = [
    ("tf.signal, batched", "tensorflow", tensorflow_batched),
    ("librosa, batched", "librosa", librosa_batched),
    ("python_speech_features", "python_speech_features", python_speech_features_per_clip),
    ("kaldi-native-fbank", "kaldi-native-fbank", kaldi_per_clip),
    ("librosa, clip by clip", "librosa", librosa_per_clip),
]


def contestants(batch: np.ndarray, only: list[str]) -> dict[str, Callable[[], object]]:
    """Give everyone's name and what they do with the batch; say who is not here."""
    frames = features.frame(batch, CONFIG).reshape(-1, CONFIG.n_fft).copy()
    calls: dict[str, Callable[[], object]] = {
        "bare FFT": lambda: bare_fft(frames),
        "bare FFT, in chunks": lambda: bare_fft_in_chunks(frames),
        "asrlib": lambda: asrlib_single(batch),
        'asrlib, precision="double"': lambda: asrlib_double(batch),
    }
    for name, distribution, make in PEERS:
        if only and name not in only:
            continue
        try:
            importlib.metadata.version(distribution)
            run = make()
        except ImportError as error:
            print(f"left out: {name} ({error})")
            continue
        calls[name] = lambda run=run: run(batch)
    return {name: call for name, call in calls.items() if not only or name in only or name == "bare FFT"}


def in_turns(
    calls: dict[str, Callable[[], object]], *, rounds: int, repeats: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Time each contestant once per round, in an order that turns; seconds per call."""
    for call in calls.values():  # caches, tables, compiled graphs
        call(), call()
    taken: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start = clock()
            for _ in range(repeats):
                calls[name]()
            taken[name].append((clock() - start) / repeats)
    return taken


def print_table(title: str, taken: dict[str, list[float]], *, n_clips: int) -> None:
    print(f"\n{title}\n")
    bare = {"bare FFT": "times the bare FFT", "bare FFT, in chunks": "times the bare FFT in chunks"}
    bare = {name: heading for name, heading in bare.items() if name in taken}
    print("| | ms per second of sound |", " | ".join(bare.values()), "|")
    print("|---|" + "---:|" * (1 + len(bare)))
    for name, seconds in taken.items():
        per_second = statistics.median(seconds) * 1000 / n_clips
        cells = [f"{per_second:.3f}"] + [f"{ratio(seconds, taken[other]):.2f}" for other in bare]
        print("|", " | ".join([name, *cells]), "|")


def ratio(seconds: list[float], others: list[float]) -> float:
    """Give the median over the rounds of how many times as long the one took as the other."""
    return statistics.median(one / other for one, other in zip(seconds, others, strict=True))


def working_memory(call: Callable[[], np.ndarray]) -> float:
    """Give the MiB that a call needs at its peak beside its result."""
    result = call()
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return (peak - result.nbytes) / 2**20


def print_memory() -> None:
    print("\nWorking memory in MiB, beside samples and result (NumPy's allocations)\n")
    print("| clips of one second | asrlib | librosa, batched |\n|---:|---:|---:|")
    librosa_mfcc = librosa_batched()
    for n_clips in (16, 64, 256, 1024):
        batch = clips(n_clips)
        ours = working_memory(lambda batch=batch: asrlib_single(batch))
        theirs = working_memory(lambda batch=batch: librosa_mfcc(batch))
        print(f"| {n_clips} | {ours:.1f} | {theirs:.1f} |")
    long = clips(600).reshape(-1)
    ours = working_memory(lambda: asrlib_single(long))
    theirs = working_memory(lambda: librosa_mfcc(long))
    print(f"| one of 600 s | {ours:.1f} | {theirs:.1f} |")


def restart_with_one_thread() -> None:
    """Run this script again where libraries find, before they are loaded, how many threads they may have."""
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        environment = os.environ | ONE_THREAD | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="these contestants alone")
    parser.add_argument("--clock", choices=("cpu", "wall"), default="cpu")
    options = parser.parse_args()
    clock = time.process_time if options.clock == "cpu" else time.perf_counter
    restart_with_one_thread()
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}")
    print(
        f"one thread each, {options.clock} time, {os.cpu_count()} cores, medians of {options.rounds} rounds"
    )
    batch = clips(N_CLIPS)
    taken = in_turns(contestants(batch, options.only), rounds=options.rounds, repeats=1, clock=clock)
    print_table(f"{N_CLIPS} clips of one second at once", taken, n_clips=N_CLIPS)
    one = in_turns(contestants(batch[:1], options.only), rounds=options.rounds * 3, repeats=5, clock=clock)
    print_table("One clip of one second", one, n_clips=1)
    if not options.only:
        print_memory()


if __name__ == "__main__":
    main()
