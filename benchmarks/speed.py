"""Measure what the README quotes: seconds to import, to the first word, to train; milliseconds to transcribe.

    .venv/bin/python benchmarks/speed.py              # about two minutes on two cores
    .venv/bin/python benchmarks/speed.py --no-train   # without the training

Times of whole processes are medians of five, each in a process of its own; milliseconds are medians over
clips.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time

FIRST_WORD = """
from asrlib import datasets
from asrlib.recognizer import Recognizer
clip = datasets.digits("test")[0]
assert Recognizer.default().transcribe(clip).text
"""
RUNS = 5


def seconds_of(code: str) -> float:
    """Median wall time of a fresh Python process that runs `code`."""
    taken = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])  # the first fills the file cache


def milliseconds_per_clip(n_clips: int = 200) -> tuple[float, float]:
    """Median and 95th percentile of one `transcribe`, sound in, text out."""
    from asrlib import datasets
    from asrlib.recognizer import Recognizer

    recognizer, clips = Recognizer.default(), datasets.digits("test").arrays()[:n_clips]
    recognizer.transcribe(clips[0])
    taken = sorted(_timed(lambda clip=clip: recognizer.transcribe(clip)) * 1000 for clip in clips)
    return statistics.median(taken), taken[int(0.95 * len(taken))]


def _timed(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def seconds_to_train() -> tuple[float, float]:
    """Seconds of the quick training, and its accuracy on the validation speakers."""
    from asrlib import datasets, training

    result = training.train(
        datasets.digits("train"), validation=datasets.digits("validation"), progress=False
    )
    return result.seconds, max(result.history["val_accuracy"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-train", action="store_true")
    options = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}")
    empty = seconds_of("pass")
    print(f"start of Python          {empty:6.2f} s")
    importing = max(0.0, seconds_of("import asrlib") - empty)
    print(f"import asrlib            {importing:6.2f} s   on top of that")
    first_word = seconds_of(FIRST_WORD)
    print(f"first word               {first_word:6.2f} s   whole process: import, load, transcribe")
    median, slow = milliseconds_per_clip()
    print(f"transcribe one clip      {median:6.1f} ms  (95 % of clips within {slow:.1f} ms)")
    if not options.no_train:
        seconds, accuracy = seconds_to_train()
        print(
            f"train, quick recipe      {seconds:6.0f} s   {100 * accuracy:.1f} % right on validation speakers"
        )


if __name__ == "__main__":
    main()
