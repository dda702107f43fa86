"""Measure what each part of the training recipe buys: leave it out or change it, train again, judge.

    .venv/bin/python benchmarks/ablation.py               # about two hours on two idle cores
    .venv/bin/python benchmarks/ablation.py --rows base "no noise" --seeds 0 1 --epochs 4
    .venv/bin/python benchmarks/ablation.py --print       # the tables of what is known already

Every row is one change from the base recipe, everything else equal. All train on the bundled synthetic
voices alone, with one network, and are judged by voices that they have never heard: the bundle's validation
and test speakers, and the real people of the Free Spoken Digit Dataset, of whom jackson and nicolas are the
two by whom the recipe was chosen ("dev"). ASRLIB_DATA names the folder that holds them.

The numbers are points of accuracy (per cent) above or below the base *of the same seed*, then the lowest and
the highest over the seeds: where the range spans zero, the change bought nothing that could be told from
luck. A row that leaves out voices makes as many steps as the others, on fewer recordings.

Results are appended to a file (`--results`), a line each, and what stands there is not measured again; two
processes may work on different `--rows` at once.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from asrlib import augment, datasets, evaluation, training
from asrlib.augment import Augmentation
from asrlib.datasets import SpeechDataset
from asrlib.training import TrainingConfig

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
DEVELOPMENT = ("jackson", "nicolas")
SETS = {
    "validation": "bundle, validation",
    "test": "bundle, test",
    "dev": "FSDD, dev",
    "fsdd": "FSDD, all six",
}


@dataclass(frozen=True)
class Row:
    """One line of the table: what is changed, and which voices are left out."""

    name: str
    config: TrainingConfig
    without: tuple[str, ...] = ()


def all_rows(base: TrainingConfig) -> list[Row]:
    """List the base and each single change from it."""

    def augmented(**changes: Any) -> TrainingConfig:
        return replace(base, augmentation=replace(base.augmentation, **changes))

    def featured(**changes: Any) -> TrainingConfig:
        return replace(base, features=replace(base.features, **changes))

    return [
        Row("base", base),
        # what comes after the waveform: these share the base's disturbed recordings
        Row("no masks", augmented(mask_frames=0, mask_bands=0)),
        Row("no frequency warp", augmented(warp=(1.0, 1.0))),
        Row("edges of the word cut", augmented(cut_share=0.6)),
        Row("edges of the word fade", augmented(fade_share=0.8)),
        Row("loudness wanders", augmented(wander_db=4.0)),
        Row("colour wanders", augmented(color_db=2.0)),
        Row("word always in the middle", replace(base, random_place=False)),
        Row("40 bands", featured(n_mels=40)),
        Row("up to 8 kHz", featured(f_max=8000.0)),
        Row("40 bands up to 8 kHz", featured(n_mels=40, f_max=8000.0)),
        Row("13 MFCC", featured(kind="mfcc", n_mfcc=13)),
        Row("no normalisation", featured(normalization="none")),
        Row("level instead of mean", featured(normalization="level")),
        Row("level beside mean", featured(normalization="both")),
        Row("mean and variance", featured(normalization="utterance")),
        Row("no floor below the peak", featured(top_db=None)),
        Row("no weight average", replace(base, weight_average=0.0)),
        Row("no label smoothing", replace(base, label_smoothing=0.0)),
        # the waveform
        Row("no augmentation", replace(base, augmentation=None)),
        Row("no speed", augmented(speed=(1.0, 1.0))),
        Row("no noise", augmented(noise_share=0.0)),
        Row("no reverberation", augmented(reverberation_share=0.0)),
        Row("no band limit", augmented(band_limit_share=0.0)),
        Row("no tilt", augmented(tilt_db_per_octave=0.0)),
        Row("no trimmed edges", augmented(trim_share=0.0)),
        # the voices
        *(
            Row(f"no {kind} voices", base, tuple(groups))
            for kind, groups in kinds_of_voices(datasets.digits("train")).items()
        ),
    ]


def kinds_of_voices(clips: SpeechDataset) -> dict[str, list[str]]:
    """Group the bundle's groups: "blend_male" and "blend_female" are both blends."""
    kinds: dict[str, list[str]] = {}
    for group in np.unique(clips.groups).tolist():
        kinds.setdefault(group.split("_")[0], []).append(group)
    return kinds


def main() -> None:
    options = parse()
    restart_with_one_thread()
    base = replace(
        training.RECIPES[options.recipe],
        epochs=options.epochs,
        variants=options.variants,
        model=training.RECIPES[options.recipe].model.one_member,
    )
    rows = all_rows(base)
    unknown = sorted(set(options.rows) - {row.name for row in rows})
    if unknown:
        sys.exit(f"There is no row {', '.join(unknown)}. There are: {', '.join(row.name for row in rows)}")
    if not options.print:
        measure_all(rows, options)
    print_tables(rows, read(options.results))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rows", nargs="+", default=[], metavar="NAME", help="these alone; all when left out"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="N")
    parser.add_argument("--recipe", default="shipped", choices=training.RECIPES, help="the base")
    parser.add_argument("--epochs", type=int, default=10, help="of the base (default: 10)")
    parser.add_argument("--variants", type=int, default=4, help="disturbed versions of a clip (default: 4)")
    parser.add_argument("--clips", type=int, metavar="N", help="train on so many alone: to try this program")
    parser.add_argument("--results", type=Path, default=Path("build/ablation.jsonl"), metavar="FILE")
    parser.add_argument("--print", action="store_true", help="print what is known; measure nothing")
    return parser.parse_args()


# -- measuring ---------------------------------------------------------------------------------------------


def measure_all(rows: Sequence[Row], options: argparse.Namespace) -> None:
    """Measure what is not known yet: all rows with the first seed, then all with the next."""
    options.results.parent.mkdir(parents=True, exist_ok=True)
    base, wanted = rows[0].config, [row for row in rows if not options.rows or row.name in options.rows]
    for seed in options.seeds:
        remembered: dict[Any, np.ndarray] = {}  # the base's disturbed recordings, of this seed
        for row in wanted:
            record = {"row": row.name, "seed": seed, "setting": setting(base, clips=options.clips)}
            if any(record.items() <= known.items() for known in read(options.results)):
                continue
            began = time.process_time()
            record |= measure(row, seed, clips=options.clips, base=base, remembered=remembered)
            record["seconds"] = time.process_time() - began
            with options.results.open("a") as file:
                file.write(json.dumps(record) + "\n")
            right = ", ".join(f"{SETS[name]} {record[name]:.1%}" for name in SETS)
            print(
                f"{row.name}, seed {seed}: {right} ({record['seconds']:.0f} s)", file=sys.stderr, flush=True
            )


def setting(base: TrainingConfig, *, clips: int | None) -> str:
    """Name all that a result depends on beside its row and seed: only what shares it can be compared."""
    everything = json.dumps(base.to_dict()).encode() + (datasets.bundle_folder() / "SHA256SUMS").read_bytes()
    return (
        f"{base.epochs} epochs, {base.variants} variants of {f'{clips} clips' if clips else 'each clip'}, "
        f"recipe and recordings {hashlib.sha256(everything).hexdigest()[:8]}"
    )


def measure(
    row: Row, seed: int, *, clips: int | None, base: TrainingConfig, remembered: dict[Any, np.ndarray]
) -> dict[str, Any]:
    """Train one row's network and judge it by every set."""
    train_set = datasets.digits("train")
    whole = len(train_set)
    train_set = train_set.where(group=lambda group: group not in row.without)
    epochs = round(row.config.epochs * whole / len(train_set))
    if clips:
        train_set = train_set[np.random.default_rng(0).permutation(len(train_set))[:clips]]
    config = replace(row.config, seed=seed, epochs=epochs)
    disturb = None
    if config.augmentation is not None:
        disturb = disturber(config.augmentation, train_set.arrays(), remembered, same_as=base.augmentation)
    recognizer = training.train(train_set, config=config, augment_samples=disturb, progress=False).recognizer
    people = datasets.fsdd()
    return {
        "validation": evaluation.evaluate(recognizer, datasets.digits("validation")).accuracy,
        "test": evaluation.evaluate(recognizer, datasets.digits("test")).accuracy,
        **judge_people(evaluation.evaluate(recognizer, people)),
    }


def judge_people(report: evaluation.Report) -> dict[str, Any]:
    """Give the accuracy on all six speakers, on each, and on the two by whom the recipe was chosen."""
    each = {speaker.name: speaker.accuracy for speaker in report.speakers}
    return {"fsdd": report.accuracy, "dev": statistics.mean(each[name] for name in DEVELOPMENT), "each": each}


def disturber(
    augmentation: Augmentation,
    recordings: list[np.ndarray],
    remembered: dict[Any, np.ndarray],
    *,
    same_as: Augmentation,
) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """Disturb recordings as `training.train` would; rows that do to them what the base does share the work.

    The generator's state tells which clip and which version is meant, for each has a generator of its own.
    """
    later = (  # done to the features
        "warp", "mask_frames", "mask_bands", "cut_share", "cut_frames",
        "fade_share", "fade_frames", "fade_db", "wander_db", "color_db",
    )  # fmt: skip
    after = {name: getattr(same_as, name) for name in later}
    shared = replace(augmentation, **after) == same_as

    def disturb(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        key = (len(recordings), rng.bit_generator.state["state"]["state"])
        if not shared or key not in remembered:
            disturbed = augment.augment(samples, augmentation, rng=rng, others=recordings)
            if not shared:
                return disturbed
            remembered[key] = disturbed
        return remembered[key]

    return disturb


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


def print_tables(rows: Sequence[Row], records: Sequence[dict[str, Any]]) -> None:
    """Print a table for each setting that was measured."""
    for each in dict.fromkeys(record["setting"] for record in records):
        print(f"\nOne network, {each}. Base: right, in % (lowest to highest); below: difference from it.\n")
        print_table(rows, [record for record in records if record["setting"] == each])


def print_table(rows: Sequence[Row], records: Sequence[dict[str, Any]]) -> None:
    base = {record["seed"]: record for record in records if record["row"] == rows[0].name}
    print("| | seeds | " + " | ".join(SETS.values()) + " |\n|---|---:|" + "---:|" * len(SETS))
    if base:
        cells = [spread([100 * record[name] for record in base.values()], sign="") for name in SETS]
        print(f"| **base** | {len(base)} | " + " | ".join(cells) + " |")
    for row in rows[1:]:
        mine = [record for record in records if record["row"] == row.name and record["seed"] in base]
        if mine:
            cells = [spread([100 * (one[name] - base[one["seed"]][name]) for one in mine]) for name in SETS]
            print(f"| {row.name} | {len(mine)} | " + " | ".join(cells) + " |")


def spread(values: Sequence[float], *, sign: str = "+") -> str:
    """Write a mean, and the lowest and highest where there is more than one."""
    mean = f"{statistics.mean(values):{sign}.1f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):{sign}.1f} to {max(values):{sign}.1f})"


def restart_with_one_thread() -> None:
    """Run this script again where libraries find, before they are loaded, how many threads they may have."""
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        environment = os.environ | ONE_THREAD | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)


if __name__ == "__main__":
    main()
