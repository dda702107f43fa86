"""What the recognition benchmarks must hold: no voice judged that was heard, no result mistaken or lost."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections import Counter
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from asrlib import augment, training
from asrlib.datasets import SpeechDataset

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))

import ablation
import recognition

SPEAKERS = ("anna", "ben", "carla")


@pytest.fixture
def people() -> SpeechDataset:
    """Three speakers who say each digit four times; the files need not exist."""
    names = [(label, name, take) for label in "0123456789" for name in SPEAKERS for take in range(4)]
    labels, speakers, takes = map(np.array, zip(*names, strict=True))
    return SpeechDataset(
        name="people",
        files=tuple(Path(f"{label}_{name}_{take}.wav") for label, name, take in names),
        labels=labels,
        speakers=speakers,
        groups=np.full(len(names), "real"),
        takes=takes,
        splits=np.full(len(names), "train"),
        seconds=np.full(len(names), 0.5),
    )


def a_record(people: SpeechDataset, speaker: str, *, answer: str | None = None, part: str = "x") -> dict:
    """One line of a results file: every answer right, or always the same answer."""
    judged = people.where(speaker=speaker)
    answers = {f.stem: answer or str(label) for f, label in zip(judged.files, judged.labels, strict=True)}
    numbers = {"parameters": 10, "training_seconds": 3.0, "milliseconds": 2.0}
    key = [part, "five", [speaker], "seed 0"]
    return {"key": key, "part": part, "trained_on": "five", "answers": answers, **numbers}


# -- recognition -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["five", "both"])
def test_nobody_is_judged_by_a_voice_heard_in_training(people, source):
    for speaker in SPEAKERS:
        heard = recognition.training_set(recognition.Job("tutorial", source, (speaker,), ""), people)
        assert speaker not in heard.speakers
        assert set(SPEAKERS) - {speaker} <= set(heard.speakers.tolist())
    if source == "both":
        assert len(heard) > 2000  # the bundle is among it


@pytest.mark.parametrize("number", [1, 2])
def test_over_all_trainings_each_person_is_heard_equally_often(people, number):
    heard = [recognition.others((speaker,), people, people=number) for speaker in SPEAKERS]
    assert all(speaker not in those for speaker, those in zip(SPEAKERS, heard, strict=True))
    assert set(Counter(chain(*heard)).values()) == {number}


def test_whoever_is_judged_beside_others_is_not_heard_either(people):
    assert recognition.others(SPEAKERS[1:], people, people=5) == [SPEAKERS[0]]


def test_a_training_that_may_hear_one_person_hears_one(people):
    job = recognition.Job("tutorial", "five", (SPEAKERS[0],), "", people=1)
    assert len(np.unique(recognition.training_set(job, people).speakers)) == 1


def test_a_training_with_fewer_people_is_another_result():
    two, five = (Namespace(seed=0, epochs=None, people=number) for number in (2, 5))
    assert recognition.training_settings("tutorial", "five", two).endswith("people 2")
    assert "people" not in recognition.training_settings("tutorial", "five", five)
    bundle = [recognition.training_settings("tutorial", "bundle", options) for options in (two, five)]
    assert bundle[0] == bundle[1]  # nobody is heard there


def test_the_bundle_alone_holds_no_real_voice(people):
    heard = recognition.training_set(recognition.Job("tutorial", "bundle", SPEAKERS, ""), people)
    assert not set(heard.speakers.tolist()) & set(SPEAKERS)


def test_the_sample_is_even_and_always_the_same(people):
    chosen = recognition.sample(people, takes=2)
    counts = np.unique(np.char.add(chosen.speakers, chosen.labels), return_counts=True)[1]
    assert len(chosen) == 60 and set(counts.tolist()) == {2}
    assert chosen.files == recognition.sample(people, takes=2).files
    alone = recognition.sample(people.where(speaker="ben"), takes=2)
    assert len(alone) == 20


def test_a_row_sums_up_its_speakers(people):
    records = [a_record(people, "anna"), a_record(people, "ben", answer="7")]
    row = recognition.row(records, people, recognition.common_files(records))
    assert row["clips"] == 80
    assert row["by_speaker"] == {"anna": 1.0, "ben": 0.1}
    assert row["accuracy"] == pytest.approx(0.55)
    assert row["wilson"].low < 0.55 < row["wilson"].high
    assert tuple(row["speaker_bootstrap"]) == (0.1, 1.0)
    json.dumps(row)


def test_everybody_is_compared_on_the_clips_that_all_have_heard(people):
    sampled = a_record(people, "anna", part="slow")
    sampled["answers"] = dict(list(sampled["answers"].items())[:10])
    whole = a_record(people, "anna", answer="0")
    common = recognition.common_files([sampled, whole])
    assert common == set(sampled["answers"])
    row = recognition.row([whole], people, common)
    assert row["same_clips"] == 10
    zeros = sum(name.startswith("0") for name in common)
    assert row["accuracy_on_same_clips"] == pytest.approx(zeros / 10)


def test_an_unanswered_clip_counts_as_wrong(people):
    record = a_record(people, "anna")
    first = next(iter(record["answers"]))
    record["answers"][first] = ""
    row = recognition.row([record], people, set())
    assert row["no_answer"] == 1 and row["accuracy"] == pytest.approx(39 / 40)


@pytest.mark.parametrize("module", [recognition, ablation])
def test_a_line_cut_short_is_passed_over(tmp_path, capsys, module):
    path = tmp_path / "results.jsonl"
    path.write_text('{"seed": 1}\n{"seed": 2, "ro')
    assert module.read(path) == [{"seed": 1}]
    assert "damaged" in capsys.readouterr().err
    assert module.read(tmp_path / "none.jsonl") == []


# -- ablation ----------------------------------------------------------------------------------------------


def test_every_row_changes_one_thing():
    base = replace(training.RECIPES["shipped"], epochs=2)
    rows = ablation.all_rows(base)
    assert len({row.name for row in rows}) == len(rows)
    flat = flattened(base)
    for row in rows[1:]:
        changed = {name for name, value in flattened(row.config).items() if flat.get(name) != value}
        belongs_together = {name.removesuffix("frames").removesuffix("bands") for name in changed}
        if row.name in ("40 bands up to 8 kHz", "no augmentation"):
            continue
        assert len(belongs_together) + bool(row.without) == 1, (row.name, changed)


def flattened(config: training.TrainingConfig) -> dict[str, object]:
    values = asdict(config)
    for part in ("augmentation", "features", "model"):
        values |= {f"{part}.{name}": value for name, value in (values.pop(part) or {}).items()}
    return values


def test_shared_disturbances_are_those_of_the_training():
    how = augment.Augmentation()
    clips = [np.random.default_rng(i).normal(0, 0.05, 4000).astype(np.float32) for i in range(3)]
    remembered: dict = {}
    base = ablation.disturber(how, clips, remembered, same_as=how)
    masked = ablation.disturber(replace(how, mask_bands=0), clips, remembered, same_as=how)
    quiet = ablation.disturber(replace(how, noise_share=0.0), clips, remembered, same_as=how)
    for index, clip in enumerate(clips):
        expected = augment.augment(clip, how, rng=np.random.default_rng([5, index]), others=clips)
        np.testing.assert_array_equal(base(clip, np.random.default_rng([5, index])), expected)
        assert masked(clip, np.random.default_rng([5, index])) is base(
            clip, np.random.default_rng([5, index])
        )
    assert len(remembered) == 3
    quiet(clips[0], np.random.default_rng([5, 0]))
    assert len(remembered) == 3  # what it disturbs otherwise is not shared


def test_differences_are_from_the_base_of_the_same_seed(capsys):
    base = replace(training.RECIPES["shipped"], epochs=2)
    rows = [ablation.Row("base", base), ablation.Row("less", base)]

    def record(row: str, seed: int, right: float) -> dict:
        return {"row": row, "seed": seed, "setting": "a", **dict.fromkeys(ablation.SETS, right)}

    records = [
        record("base", 0, 0.8),
        record("base", 1, 0.9),
        record("less", 0, 0.7),
        record("less", 1, 0.88),
    ]
    ablation.print_tables(rows, [*records, record("less", 2, 0.1)])  # seed 2 has no base to compare with
    printed = capsys.readouterr().out
    assert "| **base** | 2 | 85.0 (80.0 to 90.0)" in printed
    assert "| less | 2 | -6.0 (-10.0 to -2.0)" in printed
