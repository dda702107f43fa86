"""The bundled recordings are what the data card says: whole, balanced, fairly split, small."""

from __future__ import annotations

import csv
import sys
from collections import Counter, defaultdict

import numpy as np
import pytest
import soundfile

from asrlib import datasets

DATA = datasets.bundle_folder()
KINDS = ("digits", "strings", "words", "listen")
COMMANDS = {"yes", "no", "up", "down", "left", "right", "stop", "go"}


def rows(kind: str) -> list[dict[str, str]]:
    with (DATA / kind / "metadata.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_hash_is_right_and_nothing_is_missing_or_unlisted():
    assert datasets.verify(DATA).ok


def test_the_folder_stays_small():
    files = [p for kind in KINDS for p in (DATA / kind).iterdir()]
    assert sum(p.stat().st_size for p in files) < 40e6


@pytest.mark.parametrize("kind", KINDS)
def test_table_and_clips_agree(kind):
    table = rows(kind)
    assert list(table[0]) == ["file", "label", "speaker", "group", "take", "split", "seconds"]
    assert {r["file"] for r in table} == {p.name for p in (DATA / kind).glob("*.flac")}
    for row in table[:: max(1, len(table) // 100)]:
        info = soundfile.info(DATA / kind / row["file"])
        assert (info.format, info.subtype, info.channels) == ("FLAC", "PCM_16", 1)
        assert info.samplerate == (24_000 if kind == "listen" else 16_000)
        assert info.duration == pytest.approx(float(row["seconds"]), abs=0.001)


@pytest.mark.parametrize("kind", ["digits", "strings", "words"])
def test_no_speaker_is_in_two_splits_and_splits_agree_between_folders(kind):
    split_of = {r["speaker"]: r["split"] for r in rows("digits")}
    for row in rows(kind):
        assert split_of[row["speaker"]] == row["split"]


def test_no_voice_of_one_split_is_an_ingredient_of_another(monkeypatch):
    monkeypatch.syspath_prepend(str(DATA / "build"))
    for name in ("speakers",):
        sys.modules.pop(name, None)
    import speakers

    names = sorted(
        {r["speaker"] for r in rows("digits") if r["group"] not in ("robot", "blend_female", "blend_male")}
    )
    assert len(names) == 54
    everyone = speakers.all_speakers(names)
    split_of = {s.name: s.split for s in everyone}
    assert split_of == {r["speaker"]: r["split"] for r in rows("digits")}
    for speaker in everyone:
        assert {split_of[v] for v in (*speaker.timbre, *speaker.melody)} <= {speaker.split}


def test_digits_have_enough_voices_and_takes_and_every_split_has_every_group():
    table = rows("digits")
    takes = Counter((r["speaker"], r["label"]) for r in table)
    assert len({r["speaker"] for r in table}) >= 54
    assert {r["label"] for r in table} == set("0123456789")
    assert len(takes) == 10 * len({r["speaker"] for r in table})
    complete = np.mean([count == 3 for count in takes.values()])
    assert complete > 0.97 and min(takes.values()) >= 1
    groups = defaultdict(set)
    for row in table:
        groups[row["split"]].add(row["group"].split("_")[0])
    assert groups["train"] == groups["validation"] == groups["test"]
    assert len(groups["train"]) == 5


def test_takes_differ_in_tempo():
    seconds = defaultdict(list)
    for row in rows("digits"):
        seconds[row["take"]].append(float(row["seconds"]))
    means = [np.mean(seconds[take]) for take in ("0", "1", "2")]
    assert means[0] > 1.04 * means[1] > 1.04 * 1.04 * means[2]


def test_strings_and_words_cover_what_later_lessons_need():
    strings, words = rows("strings"), rows("words")
    assert len(strings) >= 150
    assert {len(r["label"].split()) for r in strings} == {3, 4, 5, 6, 7}
    assert {r["label"] for r in words} == COMMANDS
    assert min(Counter(r["label"] for r in words).values()) >= 20


def test_words_are_trimmed_with_a_margin_and_speak_at_one_level():
    rng = np.random.default_rng(0)
    digits = datasets.digits()
    for index in rng.choice(len(digits), 60, replace=False):
        samples = digits.audio(int(index))
        power = np.square(samples, dtype=np.float64)
        edge = 16_000 // 50  # 20 ms inside the margin of 50 ms
        assert power[:edge].max() < 0.02 * power.max() and power[-edge:].max() < 0.02 * power.max()
        blocks = np.add.reduceat(power, np.arange(0, len(power), 320)) / 320
        active = blocks[blocks > blocks.max() * 1e-2].mean()
        assert -32 < 10 * np.log10(active) < -23


def test_the_record_of_kept_attempts_fits_the_clips():
    """A rebuild keeps what it names: clips that are there, and leaves out those without an attempt."""
    with (DATA / "build" / "attempts.csv").open(newline="", encoding="utf-8") as file:
        recorded = {f"{row['kind']}/{row['stem']}": row["attempt"] for row in csv.DictReader(file)}
    assert recorded
    for name, attempt in recorded.items():
        assert (DATA / f"{name}.flac").exists() == bool(attempt), name
        assert attempt == "" or int(attempt) >= 1, name
