"""Measure recognition in real time: processor time for each 100 ms of sound, words on time, memory.

    .venv/bin/python benchmarks/realtime.py                    # everything, on two cores about four minutes
    .venv/bin/python benchmarks/realtime.py --only numpy pocketsphinx
    .venv/bin/python benchmarks/realtime.py --parts cost memory --json realtime.json

*Cost and words on time.* Every contender hears the same stream, chunk by chunk, string by string in turns.
Some of its strings are put together from single digits, half of them in one breath, so that the end of each
word is known; the others were spoken as such. All are of the test speakers, whom no network here has heard,
and pauses with faint hiss lie between them. Computing is processor time with one
thread, of all that a contender does from chunk to text. A word is on time counted from its end in the sound
to the end of the chunk after which it stands in the text for good, plus the computing for that chunk. Of the
strings that were spoken as such the end of the last word alone is known, by its level.

The contenders that bear a network of asrlib all have the same ears: `StringListener` with its gate and its
features. They differ in what computes the scores. "Without state" is what a network costs that carries
nothing along: it reads the line so far again for every chunk. PocketSphinx hears with its own end-pointer,
its own English model, and a grammar of the ten words.

*Chunks and look-ahead.* The same for chunks of other lengths, and for the network that reads both ways with
look-aheads of several lengths.

*Memory.* Ten minutes of strings and pauses in a process of its own: its resident memory after 1, 5 and 10.

PocketSphinx is optional (`pip install -e ".[bench]"`); what is missing is said to be missing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from asrlib import datasets, strings, texts
from asrlib.streaming import LISTENING, SpeechGate, StringListener, VadConfig, voice_activity
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
RATE = 16_000
GOAL_MS = 5.0  # of one core for 100 ms of sound
SLOW = 3  # strings that are enough for the peers that take their time over each chunk
PAUSE_SECONDS = 1.5  # after each string: every contender has told it by then
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


# -- what is heard -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spoken:
    """A string with a pause after it, and where its words end: each of them, or only the last one."""

    samples: np.ndarray
    words: tuple[str, ...]
    stops: tuple[float, ...]

    @property
    def composed(self) -> bool:
        return len(self.stops) == len(self.words)


def spoken(n_strings: int, *, seed: int = 0) -> list[Spoken]:
    """Put strings together from single digits of the test speakers, whole ones, so that their ends are."""
    rng = np.random.default_rng(seed)
    config = strings.ComposeConfig(
        n_digits=(3, 6),
        breath_share=0.5,
        pace=(0.28, 0.42),
        alone_speed=(1.0, 1.0),
        trim_db=(-40.0, -35.0),
        level_db=(-26.0, -20.0),
    )
    people = np.unique(datasets.strings("test").speakers).tolist()  # those of the natural strings
    composer = strings.Composer(datasets.digits("test").where(speaker=people), config.clean())
    parts = []
    for _ in range(n_strings):
        string = composer(rng=rng)
        samples = with_pause(string.samples, rng=rng)
        parts.append(Spoken(samples, tuple(string.label.split()), tuple(string.stops)))
    return parts


def natural(n_strings: int, *, seed: int = 0) -> list[Spoken]:
    """Draw strings that the test speakers spoke as such, with the same pauses."""
    rng, clips = np.random.default_rng(seed), datasets.strings("test")
    chosen = np.sort(rng.permutation(len(clips))[:n_strings])
    return [
        Spoken(with_pause(clip.samples, rng=rng), tuple(clip.label.split()), (last_sound(clip.samples),))
        for clip in (clips[i] for i in chosen)
    ]


def last_sound(samples: np.ndarray) -> float:
    """Say where a recorded string ends: its last 10 ms that stand out from the quiet, in seconds."""
    return float(np.flatnonzero(voice_activity(samples).loud)[-1] + 1) / 100


def with_pause(samples: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Put a pause behind a string, with faint hiss under both."""
    samples = np.pad(samples, (0, round(PAUSE_SECONDS * RATE)))
    return (samples + rng.normal(0, 3e-4, len(samples))).clip(-1, 1).astype(np.float32)


def cut(samples: np.ndarray, seconds: float) -> Iterator[np.ndarray]:
    size = round(seconds * RATE)
    for start in range(0, len(samples), size):
        yield samples[start : start + size]


# -- who hears it ------------------------------------------------------------------------------------------


class Contender(Protocol):
    """Somebody who takes chunks and knows the words of the string so far."""

    def begin(self) -> None: ...

    def hear(self, chunk: np.ndarray) -> tuple[str, ...]: ...


class Listening:
    """A StringListener, with whatever computes the scores for it."""

    def __init__(self, recognizer: StringRecognizer, **how: Any) -> None:
        self.listener = StringListener(recognizer, patience_seconds=1e9, **how)
        self.begin()

    def begin(self) -> None:
        self.words: tuple[str, ...] = ()

    def hear(self, chunk: np.ndarray) -> tuple[str, ...]:
        self.words += tuple(one.text for one in self.listener.push(chunk) if one.kind == "word")
        return self.words


class WithoutState:
    """Read the line so far again whenever frames come, and give the steps that are new."""

    def __init__(self, scores: Callable[[np.ndarray], np.ndarray], *, frames_per_step: int) -> None:
        self.scores, self.frames_per_step = scores, frames_per_step
        self.reset()

    def reset(self) -> None:
        self.frames: list[np.ndarray] = []
        self.n_steps = 0

    def push(self, frames: np.ndarray) -> np.ndarray:
        self.frames.append(frames)
        whole = np.concatenate(self.frames)
        n_steps = len(whole) // self.frames_per_step
        if n_steps == self.n_steps:
            return np.empty((0, 11), np.float32)
        new = self.scores(whole[: n_steps * self.frames_per_step])[self.n_steps :]
        self.n_steps = n_steps
        return new

    def flush(self) -> np.ndarray:
        return np.empty((0, 11), np.float32)


class Sphinx:
    """PocketSphinx with its own English model and a grammar of the ten words, on what the gate lets pass."""

    def __init__(self) -> None:
        import pocketsphinx

        self.decoder = pocketsphinx.Decoder(samprate=RATE, loglevel="FATAL")
        grammar = f"#JSGF V1.0; grammar digits; public <digits> = ({' | '.join(WORDS)})+;"
        self.decoder.add_jsgf_string("digits", grammar)
        self.decoder.activate_search("digits")
        self.gate = SpeechGate(VadConfig(**LISTENING))
        self.kept, self.first = np.empty(0, np.float32), 0  # the newest sound, and where it begins
        self.speaking = False
        self.begin()

    def begin(self) -> None:
        self.before: tuple[str, ...] = ()
        self.now: tuple[str, ...] = ()

    def hear(self, chunk: np.ndarray) -> tuple[str, ...]:
        self.kept = np.concatenate([self.kept, chunk])
        for turn in self.gate.push(chunk):
            if turn.kind == "open":
                self._forget(turn.start)
                self.decoder.start_utt()
                self.speaking = True
            elif turn.kind == "shut":
                self._decode(turn.at)
                self.decoder.end_utt()
                self.before, self.now, self.speaking = self.before + self._words(), (), False
        if self.speaking:
            self._decode(self.first + len(self.kept))
            self.now = self._words()
        else:
            self._forget(self.gate.undecided)
        return self.before + self.now

    def _forget(self, before: int) -> None:
        self.kept, self.first = self.kept[before - self.first :], before

    def _decode(self, end: int) -> None:
        sound = self.kept[: end - self.first]
        self.decoder.process_raw(np.round(sound * 32767).astype("<i2").tobytes())
        self._forget(end)

    def _words(self) -> tuple[str, ...]:
        hypothesis = self.decoder.hyp()
        words = hypothesis.hypstr.split() if hypothesis else []
        return tuple(str(WORDS.index(word)) for word in words if word in WORDS)


UNHURRIED = ("model(x), without state", "predict, without state")


def contenders() -> dict[str, Callable[[], Contender]]:
    """Name everybody, from the quickest to the slowest."""
    causal = StringRecognizer.streaming()
    step = causal.model.frames_per_step

    def keras_scores(call: Callable[[Any, np.ndarray], Any]) -> Callable[[], Contender]:
        def make() -> Contender:
            model = causal.to_keras()

            def scores(frames: np.ndarray) -> np.ndarray:
                logits = np.asarray(call(model, frames[None]))[0].astype(np.float64)
                return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)

            return Listening(causal, stream=WithoutState(scores, frames_per_step=step))

        return make

    return {
        "numpy": lambda: Listening(causal),
        "litert": lambda: _litert(causal),
        "numpy, never at rest": lambda: Listening(causal, gated=False),
        "numpy, both ways": lambda: Listening(StringRecognizer.default()),
        "numpy, without state": lambda: Listening(
            causal, stream=WithoutState(causal.network, frames_per_step=step)
        ),
        "model(x), without state": keras_scores(lambda model, x: model(x, training=False)),
        "predict, without state": keras_scores(lambda model, x: model.predict(x, verbose=0)),
        "pocketsphinx": Sphinx,
    }


def _litert(causal: StringRecognizer) -> Contender:
    from asrlib import export

    file = Path(tempfile.mkdtemp()) / "step.tflite"
    export.to_litert(causal, file)
    return Listening(causal, stream=export.LiteRTStream(file))


# -- measuring ---------------------------------------------------------------------------------------------


@dataclass
class Result:
    """What a contender cost, and what it wrote when."""

    chunk_ms: list[float] = field(default_factory=list)  # processor time for each chunk
    sound_seconds: float = 0.0
    late_ms: list[float] = field(default_factory=list)  # of each word that is right
    expected: list[str] = field(default_factory=list)  # of the composed strings
    heard: list[str] = field(default_factory=list)
    natural_expected: list[str] = field(default_factory=list)
    natural_heard: list[str] = field(default_factory=list)
    natural_late_ms: list[float] = field(default_factory=list)  # of the last word, where it is right

    @property
    def ms_per_100_ms(self) -> float:
        return sum(self.chunk_ms) / (10 * self.sound_seconds)

    @property
    def wer(self) -> float:
        return texts.wer(self.expected, self.heard) if self.expected else float("nan")

    @property
    def natural_wer(self) -> float:
        return texts.wer(self.natural_expected, self.natural_heard) if self.natural_expected else float("nan")

    def to_dict(self) -> dict[str, float]:
        late = np.array(self.late_ms or [np.nan])
        natural_late = np.array(self.natural_late_ms or [np.nan])
        return {
            "ms_per_100_ms": self.ms_per_100_ms,
            "real_time_factor": self.ms_per_100_ms / 100,
            "slowest_chunk_ms": max(self.chunk_ms),
            "word_error_rate": self.wer,
            "natural_word_error_rate": self.natural_wer,
            "words": len(self.late_ms),
            "late_ms_median": float(np.median(late)),
            "late_ms_10": float(np.quantile(late, 0.1)),
            "late_ms_90": float(np.quantile(late, 0.9)),
            "natural_late_ms_median": float(np.median(natural_late)),
            "natural_late_ms_90": float(np.quantile(natural_late, 0.9)),
        }


def listen(
    contender: Contender,
    string: Spoken,
    result: Result,
    *,
    chunk_seconds: float,
    clock: Callable[[], float] = time.process_time,
) -> None:
    """Let somebody hear a string, and book what it cost and when each word stood in the text for good."""
    contender.begin()
    shots: list[tuple[float, tuple[str, ...]]] = []
    heard = 0.0
    for chunk in cut(string.samples, chunk_seconds):
        began = clock()
        words = contender.hear(chunk)
        taken = clock() - began
        heard += len(chunk) / RATE
        result.chunk_ms.append(1000 * taken)
        shots.append((heard + taken, words))
    final = shots[-1][1]
    result.sound_seconds += heard
    times = settled(shots)
    expected, written, late = (
        (result.expected, result.heard, result.late_ms)
        if string.composed
        else (result.natural_expected, result.natural_heard, result.natural_late_ms)
    )
    expected.append(" ".join(string.words))
    written.append(" ".join(final))
    stops = (None,) * (len(string.words) - len(string.stops)) + string.stops
    said = wrote = 0
    for edit in texts.align(list(string.words), list(final)):
        if edit.kind == "hit" and stops[said] is not None:
            late.append(1000 * (times[wrote] - stops[said]))
        said += edit.kind != "insertion"
        wrote += edit.kind != "deletion"


def settled(shots: list[tuple[float, tuple[str, ...]]]) -> list[float]:
    """Say since when each word of the last text has stood there, with all before it, for good."""
    final = shots[-1][1]
    times = [shots[-1][0]] * len(final)
    standing = len(final)
    for moment, words in reversed(shots):
        same = 0
        while same < min(len(words), standing) and words[same] == final[same]:
            same += 1
        standing = same
        times[:standing] = [moment] * standing
    return times


def compare(makers: dict[str, Callable[[], Contender]], sounds: list[Spoken]) -> dict[str, Result]:
    """Let everybody hear the stream, string by string in turns, after a rehearsal."""
    here, results = {}, {}
    for name, make in makers.items():
        try:
            here[name], results[name] = make(), Result()
        except (ImportError, FileNotFoundError) as error:
            print(f"{name:28s} left out: {error}", flush=True)
    for name, contender in here.items():
        if name not in UNHURRIED:
            listen(contender, sounds[0], Result(), chunk_seconds=0.1)
    for number, string in enumerate(sounds):
        for name, contender in here.items():
            if number < SLOW or name not in UNHURRIED:
                listen(contender, string, results[name], chunk_seconds=0.1)
    return results


# -- memory ------------------------------------------------------------------------------------------------

LISTEN = "--listen-for"


def resident_mib() -> float:
    """Memory of this process that is in use now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def listen_for(minutes: int) -> None:
    """Hear strings and pauses for so long, chunk by chunk; print the memory after each minute, as JSON."""
    listener = StringListener(StringRecognizer.streaming(), patience_seconds=1e9)
    sounds = [string.samples for string in spoken(12)]
    chunks = list(cut(np.concatenate(sounds), 0.1))
    after = []
    for minute in range(minutes):
        for number in range(600):
            listener.push(chunks[(600 * minute + number) % len(chunks)])
        after.append(resident_mib())
    print(json.dumps({"resident_mib": after, "cpu_seconds": time.process_time()}))


def memory(minutes: int = 10) -> list[float]:
    command = [sys.executable, __file__, LISTEN, str(minutes)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(answer.stdout.splitlines()[-1])["resident_mib"]


# -- the tables --------------------------------------------------------------------------------------------


def print_row(name: str, result: Result, *, first: Result) -> None:
    row = result.to_dict()
    ratio = result.ms_per_100_ms / first.ms_per_100_ms
    mark = "" if row["ms_per_100_ms"] <= GOAL_MS else f"  above {GOAL_MS:g}"
    print(
        f"{name:28s} {row['ms_per_100_ms']:8.2f} {ratio:7.1f} {row['real_time_factor']:8.4f} "
        f"{row['slowest_chunk_ms']:8.1f} {100 * row['word_error_rate']:7.1f} "
        f"{row['late_ms_10']:6.0f} {row['late_ms_median']:6.0f} {row['late_ms_90']:6.0f} "
        f"{100 * row['natural_word_error_rate']:7.1f} {row['natural_late_ms_median']:6.0f} "
        f"{row['natural_late_ms_90']:6.0f}{mark}",
        flush=True,
    )


HEADS = (
    f"{'':28s} {'':8s} {'':7s} {'':8s} {'':8s} | composed: ms late      | natural: last word\n"
    f"{'':28s} {'ms/100ms':>8s} {'ratio':>7s} {'RTF':>8s} {'slowest':>8s} {'WER %':>7s} {'10 %':>6s} "
    f"{'median':>6s} {'90 %':>6s} {'WER %':>7s} {'median':>6s} {'90 %':>6s}"
)


def sounds_of(n_strings: int) -> list[Spoken]:
    """Take composed and natural strings in turns."""
    pairs = zip(spoken(n_strings), natural(n_strings), strict=True)
    return [string for pair in pairs for string in pair]


def print_cost(only: list[str] | None, n_strings: int) -> dict[str, Any]:
    makers = {name: make for name, make in contenders().items() if not only or name in only}
    sounds = sounds_of(n_strings)
    n_words = sum(len(string.words) for string in sounds)
    print(f"{n_words} words of the test speakers; chunks of 100 ms")
    results = compare(makers, sounds)
    print(HEADS)
    for name, result in results.items():
        print_row(name, result, first=next(iter(results.values())))
    return {name: result.to_dict() for name, result in results.items()}


def print_chunks(n_strings: int) -> dict[str, Any]:
    print("\nThe causal network, by the length of a chunk")
    recognizer = StringRecognizer.streaming()
    return print_settings(
        {f"{ms} ms": (recognizer, {}, ms / 1000) for ms in (20, 40, 100, 200, 500)}, sounds_of(n_strings)
    )


def print_look_ahead(n_strings: int) -> dict[str, Any]:
    print("\nThe network that reads both ways, by its look-ahead, and the causal one; chunks of 100 ms")
    both, settings = StringRecognizer.default(), {}
    for ms in (0, 80, 160, 320, 640, 1280):
        settings[f"{ms} ms"] = (both, {"look_ahead_seconds": ms / 1000}, 0.1)
    settings["causal"] = (StringRecognizer.streaming(), {}, 0.1)
    return print_settings(settings, sounds_of(n_strings))


def print_settings(
    settings: dict[str, tuple[StringRecognizer, dict[str, Any], float]], sounds: list[Spoken]
) -> dict[str, Any]:
    """Let a listener hear the same sounds with several settings: recogniser, options, seconds of a chunk."""
    print(HEADS)
    results: dict[str, Result] = {}
    for name, (recognizer, how, seconds) in settings.items():
        contender, results[name] = Listening(recognizer, **how), Result()
        for string in sounds:
            listen(contender, string, results[name], chunk_seconds=seconds)
        print_row(name, results[name], first=next(iter(results.values())))
    return {name: result.to_dict() for name, result in results.items()}


def print_memory() -> dict[str, Any]:
    after = memory()
    marks = {minute: after[minute - 1] for minute in (1, 5, 10)}
    print("\nMemory: " + ", ".join(f"{mib:.1f} MiB after {minute} min" for minute, mib in marks.items()))
    return {f"{minute} min": mib for minute, mib in marks.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=("cost", "chunks", "ahead", "memory"))
    parser.add_argument("--only", nargs="+", metavar="NAME", help="contenders; all when left out")
    parser.add_argument("--strings", type=int, default=24, help="how many strings of each kind are heard")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    parser.add_argument(LISTEN, type=int, dest="minutes", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        os.environ.update(ONE_THREAD, TF_CPP_MIN_LOG_LEVEL="3")  # libraries look once, when they start
        os.execv(sys.executable, [sys.executable, *sys.argv])
    if options.minutes:
        listen_for(options.minutes)
        return
    load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}, {load}")
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "cost": lambda: print_cost(options.only, options.strings),
        "chunks": lambda: print_chunks(options.strings),
        "ahead": lambda: print_look_ahead(options.strings),
        "memory": print_memory,
    }
    numbers = {name: part() for name, part in parts.items() if not options.parts or name in options.parts}
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=1))


if __name__ == "__main__":
    main()
