"""Rebuild `data/`: say every item, let the judges listen, write clips and tables.

    make data                  # from the repository's top; npm, espeak-ng, flite, an hour on two idle cores
    make data ARGS=--choose    # choose the attempts anew

A word that the judges did not understand was said again, in another way. Which attempt was kept stands in
`attempts.csv`, and a rebuild keeps the same ones: another machine rounds otherwise, and that is enough to
turn a verdict on a borderline clip. `--choose` judges afresh and writes that file and `report.json` anew.

Work in progress is kept in `data/build/work/` (ignored by git): a build that was cut short goes on where it
stopped.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import multiprocessing
from collections import Counter
from functools import partial
from pathlib import Path

import judges
import soundfile
from plan import MAX_ATTEMPTS, Item, all_items, draw
from speakers import all_speakers
from synthesis import KOKORO_RATE, round_to_bits, say_phonemes, say_text, set_level, to_rate, trim

HERE = Path(__file__).resolve().parent
WORK = HERE / "work"
DATA = HERE.parent
RATE = {"listen": 24_000}  # lesson 1 needs something to lose; everything else is at the course's rate
COURSE_RATE = 16_000
# 14 bits put the rounding noise 60 dB below the speech, unheard, and save a quarter of the download.
BITS = {"listen": 16}
COURSE_BITS = 14
ATTEMPTS = HERE / "attempts.csv"  # of each item that was not kept as first said; no attempt: it was dropped
COLUMNS = ("file", "label", "speaker", "group", "take", "split", "seconds")


def attempt_path(item: Item, attempt: int) -> Path:
    return WORK / "clips" / item.kind / f"{item.stem}.{attempt}.flac"


def synthesise(task: tuple[Item, int, float | None], voices: Path) -> None:
    item, attempt, seconds = task
    path = attempt_path(item, attempt)
    if path.exists():
        return
    how = draw(item, attempt)
    if item.speaker.engine == "kokoro":
        samples = say_phonemes(
            how.phonemes, item.speaker, folder=voices, speed=how.speed, row_shift=how.row_shift
        )
        rate = KOKORO_RATE
    else:
        samples, rate = say_text(how.text, item.speaker.engine, speed=how.speed)
    target = RATE.get(item.kind, COURSE_RATE)
    clip = set_level(trim(to_rate(samples, rate, target), target, seconds=seconds))
    clip = round_to_bits(clip, BITS.get(item.kind, COURSE_BITS))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    soundfile.write(part, clip, target, subtype="PCM_16", format="FLAC", compression_level=1.0)
    part.rename(path)  # a clip is there whole or not at all


def say_all(tasks: list[tuple[Item, int, float | None]], voices: Path, processes: int) -> None:
    with multiprocessing.Pool(processes) as pool:
        for done, _ in enumerate(
            pool.imap_unordered(partial(synthesise, voices=voices), tasks, chunksize=8), 1
        ):
            if done % 100 == 0 or done == len(tasks):
                print(f"said {done} of {len(tasks)}", flush=True)


def choose(items: list[Item], voices: Path, processes: int) -> tuple[dict[Item, int], list[dict]]:
    """Say, judge, say again what was not understood; give the accepted attempts and all rejections."""
    accepted: dict[Item, int] = {}
    rejections: list[dict] = []
    waiting = items
    for attempt in range(MAX_ATTEMPTS):
        say_all([(item, attempt, None) for item in waiting], voices, processes)
        verdicts = judges.listen(
            {item: attempt_path(item, attempt) for item in waiting}, memory=WORK / "verdicts.json"
        )
        accepted |= {item: attempt for item in waiting if verdicts[item].accepted}
        refused = [item for item in waiting if not verdicts[item].accepted]
        rejections += [
            {
                "kind": i.kind,
                "label": i.label,
                "speaker": i.speaker.name,
                "group": i.speaker.group,
                "take": i.take,
                "attempt": attempt,
                "heard": verdicts[i].heard,
            }
            for i in refused
        ]
        waiting = refused
        print(f"attempt {attempt}: {len(refused)} not understood", flush=True)
        if not waiting:
            break
    return accepted, rejections


def say_again(items: list[Item], voices: Path, processes: int) -> dict[Item, int]:
    """Say the attempts that were once chosen, and print which of them the judges do not understand here."""
    with ATTEMPTS.open(newline="", encoding="utf-8") as file:
        recorded = {(row["kind"], row["stem"]): row["attempt"] for row in csv.DictReader(file)}
    attempts = {item: recorded.pop((item.kind, item.stem), "0") for item in items}
    if recorded:
        raise SystemExit(
            f"{ATTEMPTS.name} names {len(recorded)} items that the plan does not have, such as "
            f"{'/'.join(next(iter(recorded)))}: choose anew with `make data ARGS=--choose`."
        )
    kept = {item: int(attempt) for item, attempt in attempts.items() if attempt}
    seconds = kept_seconds()
    tasks = [(item, attempt, seconds.get((item.kind, item.stem))) for item, attempt in kept.items()]
    say_all(tasks, voices, processes)
    verdicts = judges.listen(
        {item: attempt_path(item, attempt) for item, attempt in kept.items()}, memory=WORK / "verdicts.json"
    )
    doubtful = [f"{item.kind}/{item.stem}" for item in kept if not verdicts[item].accepted]
    named = ", ".join(doubtful) or "none"
    print(f"{len(doubtful)} of {len(kept)} kept clips are not understood here: {named}")
    return kept


def kept_seconds() -> dict[tuple[str, str], float]:
    """How long each clip of the bundle is now."""
    seconds = {}
    for kind in ("digits", "strings", "words", "listen"):
        with (DATA / kind / "metadata.csv").open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                seconds[kind, row["file"].removesuffix(".flac")] = float(row["seconds"])
    return seconds


def write_attempts(items: list[Item], accepted: dict[Item, int]) -> None:
    with ATTEMPTS.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("kind", "stem", "attempt"))
        for item in sorted(items, key=lambda item: (item.kind, item.stem)):
            attempt = accepted.get(item, "")
            if attempt != 0:
                writer.writerow((item.kind, item.stem, attempt))


def write_bundle(accepted: dict[Item, int]) -> None:
    for kind in ("digits", "strings", "words", "listen"):
        folder = DATA / kind
        folder.mkdir(exist_ok=True)
        for old in folder.glob("*.flac"):
            old.unlink()
        rows = []
        for item, attempt in sorted(accepted.items(), key=lambda pair: pair[0].stem):
            if item.kind != kind:
                continue
            path = folder / f"{item.stem}.flac"
            path.write_bytes(attempt_path(item, attempt).read_bytes())
            rows.append(
                (
                    path.name,
                    item.label,
                    item.speaker.name,
                    item.speaker.group,
                    item.take,
                    item.speaker.split,
                    f"{soundfile.info(path).duration:.3f}",
                )
            )
        with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(rows)


def write_checksums() -> None:
    files = sorted(p for kind in ("digits", "strings", "words", "listen") for p in (DATA / kind).iterdir())
    lines = [
        f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(DATA).as_posix()}\n" for p in files
    ]
    (DATA / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def write_report(items: list[Item], accepted: dict[Item, int], rejections: list[dict]) -> None:
    """What the data card quotes: how many clips were refused, of whom, heard as what."""
    first = [r for r in rejections if r["attempt"] == 0]
    report = {
        "items": dict(Counter(i.kind for i in items)),
        "kept": dict(Counter(i.kind for i in accepted)),
        "kept at attempt": {str(k): v for k, v in sorted(Counter(accepted.values()).items())},
        "refused at first": dict(Counter(r["kind"] for r in first)),
        "refused at first, digits by group": dict(
            Counter(r["group"] for r in first if r["kind"] == "digits")
        ),
        "refused at first, digits heard as": dict(
            Counter(f"{r['label']} -> {r['heard']}" for r in first if r["kind"] == "digits").most_common(20)
        ),
        "dropped": [f"{i.kind}/{i.stem}" for i in items if i not in accepted],
    }
    (HERE / "report.json").write_text(
        json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    print(json.dumps(report, indent=1, ensure_ascii=False))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--voices", type=Path, default=WORK / "voices", help="folder of Kokoro's voice files (*.bin)"
    )
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    parser.add_argument(
        "--say-only", action="store_true", help="first attempts only, no judging, nothing written to data/"
    )
    parser.add_argument(
        "--choose", action="store_true", help="choose by the judges again which attempt of each item is kept"
    )
    args = parser.parse_args()
    names = sorted(p.stem for p in args.voices.glob("*.bin"))
    if len(names) != 54:
        raise SystemExit(
            f"expected Kokoro's 54 voice files in {args.voices}, found {len(names)}: run `make data`"
        )
    items = all_items(all_speakers(names))
    if args.say_only:
        say_all([(item, 0, None) for item in items], args.voices, args.processes)
        return
    if args.choose:
        accepted, rejections = choose(items, args.voices, args.processes)
        write_attempts(items, accepted)
        write_report(items, accepted, rejections)
    else:
        accepted = say_again(items, args.voices, args.processes)
    write_bundle(accepted)
    write_checksums()


if __name__ == "__main__":
    main()
