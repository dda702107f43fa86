"""Measure who reads strings of digits: naturally spoken ones of unseen voices, and real people's.

    .venv/bin/python benchmarks/strings.py                          # the two shipped recognisers, a minute
    .venv/bin/python benchmarks/strings.py mine.asr --beam 8        # any file that asrlib saved
    .venv/bin/python benchmarks/strings.py --split validation       # what may be looked at while choosing

Three sets, and nobody in them was trained on:

* "natural": the bundle's strings, three to seven digits said in one breath by synthetic voices;
* "one by one": strings joined from single digits of one person of the Free Spoken Digit Dataset, with pauses
  of 0.05 to 0.3 s between them (ASRLIB_DATA names the folder that holds it);
* "one breath": the same people, their digits shortened to the pace of natural strings and run into each
  other, as `asrlib.strings.compose` does it, without noise. Nobody ever spoke like that, so this set tells
  less about people than the one before.

The word error rate counts substituted, deleted and inserted digits against those said. Its interval comes
from drawing the speakers again (bootstrap), since the strings of one voice succeed or fail together; that of
the share of strings without an error is Wilson's. Milliseconds are processor time with one thread, features
included, on this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from asrlib import audio, datasets, evaluation, strings, texts
from asrlib.errors import DatasetUnavailable
from asrlib.string_recognizer import DEFAULT_MODEL, STREAMING_MODEL, StringRecognizer

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
GOAL = 0.03
DRAWS = 5000
ONE_BY_ONE = strings.ComposeConfig(
    n_digits=(3, 7),
    alone_digits=(3, 7),
    breath_share=0.0,
    alone_speed=(1.0, 1.0),
    trim_db=(-40.0, -40.0),
    gap_seconds=(0.05, 0.3),
    before_seconds=(0.05, 0.05),
    after_seconds=(0.05, 0.05),
    tight_share=0.0,
    long_share=0.0,
    digit_level_db=0.0,
    level_db=(-26.0, -26.0),
).clean()
ONE_BREATH = replace(
    ONE_BY_ONE,
    breath_share=1.0,
    pause_share=0.0,
    pace=(0.25, 0.35),
    speed=(1.0, 1.0),
    trim_db=(-30.0, -30.0),
    overlap_seconds=(0.0, 0.05),
)


@dataclass(frozen=True)
class Spoken:
    """Strings to be read, and who says them."""

    name: str
    clips: list[np.ndarray]
    texts: list[str]
    speakers: np.ndarray
    parts: np.ndarray
    """What the table has a line for: the group of a voice, or a person."""


def main() -> None:
    restart_with_one_thread()
    options = parse()
    sets = list(all_sets(options))
    rows = []
    for path in options.models:
        recognizer = StringRecognizer.load(path)
        print(f"\n{path.name}: {recognizer!r}")
        for spoken in sets:
            rows.append({"model": path.name} | measure(recognizer, spoken, options))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path, default=[DEFAULT_MODEL, STREAMING_MODEL])
    parser.add_argument("--split", choices=("validation", "test"), default="test", help="of natural strings")
    parser.add_argument("--beam", type=int, metavar="N", help="width of the beam search; default: greedy")
    parser.add_argument(
        "--joined",
        type=int,
        default=60,
        metavar="N",
        help="strings of each real person; 0: none (default: 60)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the joined strings")
    parser.add_argument("--errors", action="store_true", help="print every string that is not right")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    return parser.parse_args()


def restart_with_one_thread() -> None:
    """Matrix libraries read how many threads they may use when they are loaded, so start again."""
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ONE_THREAD)


# -- what is to be read --------------------------------------------------------------------------------------


def all_sets(options: argparse.Namespace) -> list[Spoken]:
    natural = datasets.strings(options.split)
    name = f"natural ({options.split})"
    sets = [Spoken(name, natural.arrays(), natural.labels.tolist(), natural.speakers, natural.groups)]
    if not options.joined:
        return sets
    try:
        people = datasets.fsdd(download=False)
    except DatasetUnavailable as error:
        print(f"left out, real people: {error}")
        return sets
    for name, config in (("one by one", ONE_BY_ONE), ("one breath", ONE_BREATH)):
        sets.append(joined(f"real people, {name}", people, config, options))
    return sets


def joined(
    name: str, people: datasets.SpeechDataset, config: strings.ComposeConfig, options: argparse.Namespace
) -> Spoken:
    composer = strings.Composer(people, config)
    rng = np.random.default_rng(options.seed)
    said = [
        composer(rng=rng, speaker=speaker) for speaker in composer.speakers for _ in range(options.joined)
    ]
    speakers = np.array([string.speaker for string in said])
    return Spoken(name, [s.samples for s in said], [s.label for s in said], speakers, speakers)


# -- how well it is read -------------------------------------------------------------------------------------


def measure(recognizer: StringRecognizer, spoken: Spoken, options: argparse.Namespace) -> dict[str, object]:
    began = time.process_time()
    heard = [recognizer.transcribe(clip, beam_width=options.beam).text for clip in spoken.clips]
    seconds = time.process_time() - began
    sound = sum(map(len, spoken.clips)) / audio.SAMPLE_RATE
    counts = [texts.word_errors(said, found) for said, found in zip(spoken.texts, heard, strict=True)]
    whole = row("all", counts, spoken.speakers)
    print(f"\n  {spoken.name}: {texts.word_errors(spoken.texts, heard)}")
    print(f"  {1000 * seconds / sound / 10:.2f} ms of one core for 100 ms of sound, {sound:.0f} s of it\n")
    print(f"  {'':20}{'strings':>8}{'digits':>8}{'WER':>8}  {'95 % interval':17}{'whole':>8}  95 % interval")
    parts = [
        row(str(part), [counts[i] for i in np.flatnonzero(there)], spoken.speakers[there])
        for part in np.unique(spoken.parts)
        for there in [spoken.parts == part]
    ]
    for line in [whole, *parts]:
        rate, whole_rate = percent(line["wer"]), percent(line["whole"])
        print(
            f"  {line['name']:20}{line['strings']:8}{line['digits']:8}{rate:>8}  "
            f"{interval(line['wer_interval']):17}{whole_rate:>8}  {interval(line['whole_interval'])}"
        )
    if spoken.name.startswith("natural"):
        reached = "reached" if whole["wer"] <= GOAL else "not reached"
        print(f"\n  goal, {100 * GOAL:.0f} errors in 100 digits or fewer: {reached}")
    if options.errors:
        for said, found, speaker in zip(spoken.texts, heard, spoken.speakers, strict=True):
            if said != found:
                print(f"    {speaker}: said {said}, heard {found or '(nothing)'}")
    return {"set": spoken.name, "seconds": seconds, "sound": sound} | whole | {"parts": parts}


def row(name: str, counts: Sequence[texts.ErrorCounts], speakers: np.ndarray) -> dict[str, object]:
    errors = np.array([count.errors for count in counts])
    words = np.array([count.n_expected for count in counts])
    right = int((errors == 0).sum())
    return {
        "name": name,
        "strings": len(counts),
        "digits": int(words.sum()),
        "wer": float(errors.sum() / words.sum()),
        "wer_interval": wer_interval(errors, words, speakers),
        "whole": right / len(counts),
        "whole_interval": [float(bound) for bound in evaluation.wilson_interval(right, len(counts))],
    }


def wer_interval(errors: np.ndarray, words: np.ndarray, speakers: np.ndarray) -> list[float] | None:
    """Give percentiles of the rate over draws of the speakers, or None where there are too few to draw."""
    names, speaker_of = np.unique(speakers, return_inverse=True)
    if len(names) < 4:
        return None
    errors_of, words_of = (np.bincount(speaker_of, weights=counts) for counts in (errors, words))
    draws = np.random.default_rng(0).integers(len(names), size=(DRAWS, len(names)))
    rates = errors_of[draws].sum(axis=1) / words_of[draws].sum(axis=1)
    return np.quantile(rates, [0.025, 0.975]).tolist()


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def interval(bounds: Sequence[float] | None) -> str:
    return "" if bounds is None else f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f} %"


if __name__ == "__main__":
    main()
