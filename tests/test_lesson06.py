"""Lesson 6: checks know its solutions and the usual mistakes; figures and the explorer tell the truth."""

import copy
import math
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from exercises import answers_in

from asrlib import audio, check, datasets, features, plots
from asrlib.plots import fitting
from asrlib.recognizer import Recognizer
from asrlib.widgets import AugmentationExplorer

LESSON = Path(__file__).resolve().parents[1] / "notebooks" / "06_training.ipynb"
EXERCISES = ("batches", "learning_rate", "stop_early", "snapshot", "prepared", "surprise")


@pytest.fixture(autouse=True)
def fresh_figures():
    with mpl.rc_context():
        yield
        plots.style("light")
    plt.close("all")


def softmax(rows):
    powers = np.exp(rows - rows.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def answers(tag):
    return answers_in(LESSON, tag, np=np, softmax=softmax)


def hints_at(outcome, capsys, *, statement, words=()):
    """Assert that a check failed at a property, with a hint that has these words, and printed both."""
    printed = capsys.readouterr().out
    assert not outcome
    assert outcome.property == statement
    for word in words:
        assert word in outcome.hint
    assert printed == f"{outcome}\n"
    assert max(map(len, printed.splitlines())) <= 96


# --- the checks


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_in_the_lesson_passes(name, capsys):
    outcome = getattr(check.lesson06, name)(answers("solution")[name])
    assert outcome.ok, outcome
    assert capsys.readouterr().out == "yes\n"


@pytest.mark.parametrize("name", EXERCISES)
def test_the_stub_in_the_lesson_does_not_pass(name, capsys):
    outcome = getattr(check.lesson06, name)(answers("exercise")[name])
    assert not outcome.ok
    assert outcome.property and outcome.hint
    assert capsys.readouterr().out.startswith("not yet: ")


def test_every_check_has_its_exercise_and_its_solution():
    assert set(EXERCISES) == set(check.lesson06.__all__)


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.parametrize("answer", [None, 0.75, "7"])
def test_what_is_no_function_is_told_so(name, answer, capsys):
    outcome = getattr(check.lesson06, name)(answer)
    hints_at(outcome, capsys, statement="the answer is a function", words=["without calling"])


def split(order, size):
    return np.split(order, range(size, len(order), size))


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (
            lambda n, size, rng: split(rng.permutation(n), size)[: n // size],
            "the last clips are not left out",
            ["ten never come"],
        ),
        (
            lambda n, size, rng: split(rng.integers(0, n, n), size),
            "every clip comes once in an epoch",
            ["an order of all of them"],
        ),
        (
            lambda n, size, rng: split(1 + rng.permutation(n), size),
            "clips are counted from 0",
            ["from 1 to 100"],
        ),
        (
            lambda n, size, rng: np.array_split(rng.permutation(n), -(-n // size)),
            "batches are full but for the last",
            ["25, 25, 25, 25"],
        ),
        (
            lambda n, size, rng: split(np.arange(n), size),
            "the order is drawn anew in every epoch",
            ["rng.permutation"],
        ),
        (
            lambda n, size, rng: [rng.permutation(batch) for batch in split(np.arange(n), size)],
            "clips are mixed, not only batches",
            ["cut it"],
        ),
        (
            lambda n, size, rng: split(np.random.default_rng(0).permutation(n), size),
            "the order is drawn anew in every epoch",
            ["no generator of your own"],
        ),
        (
            lambda n, size, rng: split(np.random.default_rng().permutation(n), size),
            "the same seed gives the same order",
            ["rng that comes in"],
        ),
        (
            lambda n, size, rng: np.split(rng.permutation(n), range(size, n + 1, size)),
            "no batch is empty",
            ["20, 20, 20, 0"],
        ),
        (
            lambda n, size, rng: rng.permutation(n),
            "the answer is a list of batches, each an array of clip numbers",
            ["100 clips"],
        ),
    ],
)
def test_batches_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson06.batches(answer), capsys, statement=statement, words=words)


def cosine(done, top):
    return top * (1 + math.cos(math.pi * done)) / 2


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (lambda s, n, w, top: cosine(s / n, top), "it begins at 0", ["step 0"]),
        (
            lambda s, n, w, top: top * (s / w) ** 2 if s < w else cosine((s - w) / (n - w), top),
            "it rises in a straight line",
            ["step / n_warmup"],
        ),
        (
            lambda s, n, w, top: top * s / w if s < w else cosine(s / n, top),
            "the rise ends at the top",
            ["from n_warmup on"],
        ),
        (lambda s, n, w, top: top * min(1, s / w), "it falls after the rise", ["all later steps"]),
        (
            lambda s, n, w, top: top * s / w if s < w else cosine((s - w) / n, top),
            "it would reach 0 at the end",
            ["n_steps - n_warmup"],
        ),
        (
            lambda s, n, w, top: top * s / w if s < w else top * math.cos((s - w) / (n - w) * math.pi / 2),
            "halfway down it has half of the top",
            ["0.005"],
        ),
        (
            lambda s, n, w, top: top * s / w if s < w else top * (n - s) / (n - w),
            "it falls along a cosine",
            ["0.00905"],
        ),
        (
            lambda s, n, w, top: top * s / w if s < w or s == 0 else cosine((s - w) / (n - w), top),
            "the function runs without an error",
            ["ZeroDivisionError"],
        ),
        (lambda s, n, w, top: "small", "the answer is a number", ["small"]),
    ],
)
def test_learning_rate_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson06.learning_rate(answer), capsys, statement=statement, words=words)


def stopping(*, best_of=min, reset=True, better=lambda loss, lowest: loss < lowest, early=0):
    """Write stop_early with one thing wrong."""

    def answer(losses, patience):
        best, lowest, worse = 0, math.inf, 0
        for epoch, loss in enumerate(losses, start=1):
            if better(loss, lowest):
                best, lowest, worse = epoch, loss, 0 if reset else worse
            else:
                worse += 1
            if worse == patience - early:
                return best, epoch
        return best, len(losses)

    return answer


def against_the_epoch_before(losses, patience):
    worse = 0
    for epoch in range(2, len(losses) + 1):
        worse = worse + 1 if losses[epoch - 1] >= losses[epoch - 2] else 0
        if worse == patience:
            return int(np.argmin(losses[:epoch])) + 1, epoch
    return int(np.argmin(losses)) + 1, len(losses)


def keeps_the_last(losses, patience):
    _, last = stopping()(losses, patience)
    return last, last


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (lambda losses, patience: (int(np.argmin(losses)), len(losses)), "epochs are counted from 1", ["3"]),
        (
            lambda losses, patience: (int(np.argmin(losses)) + 1, len(losses)),
            "it does not look into the future",
            ["nobody can know"],
        ),
        (stopping(early=1), "it waits as many epochs as it has patience", ["It returns 4"]),
        (against_the_epoch_before, "it does not look into the future", ["epoch 6"]),
        (keeps_the_last, "it keeps the epoch with the lowest loss", ["It keeps 5"]),
        (stopping(reset=False), "a better epoch gives the patience back", ["Count anew"]),
        (stopping(better=lambda loss, lowest: loss <= lowest), "as good is not better", ["(1, 3)"]),
        (
            lambda losses, patience: stopping()(losses, patience)[0],
            "the answer is two epochs: the best, and the last",
            ["return best, last"],
        ),
    ],
)
def test_stop_early_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson06.stop_early(answer), capsys, statement=statement, words=words)


def without_generator(state):
    return {**copy.deepcopy(state), "rng": np.random.default_rng(0)}


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (lambda state: state, "what is kept does not change when the training goes on", ["same array"]),
        (dict, "what is kept does not change when the training goes on", ["not only the dict"]),
        (
            lambda state: {"weights": state["weights"].copy()},
            "everything that changes in training is kept",
            ["'velocity' is missing"],
        ),
        (
            lambda state: {**copy.deepcopy(state), "velocity": np.zeros(4)},
            "it keeps the state of this moment",
            ["velocity"],
        ),
        (without_generator, "the random numbers go on where they were", ["same seed"]),
        (
            lambda state: {**copy.deepcopy(state), "rng": state["rng"]},
            "the random numbers go on where they were",
            ["deepcopy"],
        ),
        (lambda state: state["weights"].copy(), "the answer is a dict, like the state", ["array"]),
    ],
)
def test_snapshot_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson06.snapshot(answer), capsys, statement=statement, words=words)


def preparing(
    *, statistics="train", together=True, shuffle=True, noise=True, noise_new=False, shuffle_new=False
):
    """Write prepared with some things wrong."""

    def answer(pictures, words, new_pictures, new_words, rng):
        source = {
            "train": pictures,
            "new": new_pictures,
            "all": np.concatenate([pictures, new_pictures]),
        }[statistics]
        order = rng.permutation(len(pictures)) if shuffle else np.arange(len(pictures))
        new_order = rng.permutation(len(new_pictures)) if shuffle_new else np.arange(len(new_pictures))
        x, x_new = ((each - source.mean()) / source.std() for each in (pictures, new_pictures))
        x, y = x[order], words[order] if together else words
        x = x + rng.normal(0, 0.3, x.shape) if noise else x
        x_new = x_new + rng.normal(0, 0.3, x_new.shape) if noise_new else x_new
        return x, y, x_new[new_order], new_words[new_order]

    return answer


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (preparing(together=False), "every picture keeps its word", ["one order"]),
        (preparing(shuffle=False), "the training set is shuffled", ["went in"]),
        (preparing(noise_new=True), "the validation set is not disturbed", ["only what is learned from"]),
        (preparing(shuffle_new=True), "the validation set stays in its order", ["only asked"]),
        (
            preparing(statistics="all"),
            "mean and deviation come from the training set alone",
            ["both sets together"],
        ),
        (
            preparing(statistics="new"),
            "mean and deviation come from the training set alone",
            ["of the validation set"],
        ),
        (preparing(noise=False), "the training set is disturbed", ["without noise"]),
        (lambda *sets: sets[:2], "four arrays come back, as large as they went in", ["500 pictures"]),
    ],
)
def test_prepared_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson06.prepared(answer), capsys, statement=statement, words=words)


def test_prepared_accepts_what_is_right(capsys):
    assert check.lesson06.prepared(preparing()).ok


def test_every_bug_of_the_lesson_is_found_alone(capsys):
    """Mending one of the three mistakes is not enough, whichever is left."""
    for left in ({"together": False}, {"statistics": "all"}, {"noise_new": True}):
        assert not check.lesson06.prepared(preparing(**left)).ok


def picked(probabilities, words):
    return probabilities[np.arange(len(words)), words]


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (
            lambda scores, words: -np.log(picked(softmax(softmax(scores)), words)).mean(),
            "who is sure and right is not surprised",
            ["one softmax"],
        ),
        (
            lambda scores, words: -np.log2(picked(softmax(scores), words)).mean(),
            "who guesses among ten words is surprised by ln 10",
            ["3.322"],
        ),
        (
            lambda scores, words: np.log(picked(softmax(scores), words)).mean(),
            "who guesses among ten words is surprised by ln 10",
            ["-2.303"],
        ),
        (
            lambda scores, words: -np.log(picked(softmax(scores), words).mean()),
            "it is the mean of the negative logarithms of the right words' probabilities",
            ["40 clips"],
        ),
    ],
)
def test_surprise_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson06.surprise(answer), capsys, statement=statement, words=words)


# --- the figures


def test_step_times_draws_each_wait_and_each_step_where_it_was():
    times = np.array([[0.030, 0.010], [0.001, 0.020], [0.004, 0.006]])
    ax = fitting.step_times({"asked": times}, first=1, count=2)
    waits, works = (bars.get_paths() for bars in ax.collections)
    spans = [tuple(path.vertices[:, 0][[0, 2]].round(6)) for path in waits]
    assert spans == [(0, 1), (21, 25)]
    assert [tuple(path.vertices[:, 0][[0, 2]].round(6)) for path in works] == [(1, 21), (25, 31)]
    assert "asked 16 %" in plots.alt_text(ax)
    with pytest.raises(ValueError, match="at least 4 steps"):
        fitting.step_times({"asked": times}, first=1, count=3)


def test_gap_marks_the_lowest_loss_on_unseen_voices():
    ax = fitting.gap({"loss": [2, 1, 0.5, 0.1], "val_loss": [2.1, 1.5, 1.2, 1.9]})
    star = next(line for line in ax.lines if line.get_marker() == "*")
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (3, 1.2)
    assert "lowest, 1.2, at epoch 3" in plots.alt_text(ax)


@pytest.mark.parametrize("history", [{}, {"loss": [1.0]}, {"loss": [1.0, 2.0], "val_loss": [1.0]}])
def test_gap_wants_two_curves_of_one_length(history):
    with pytest.raises(ValueError, match="as many of both"):
        fitting.gap(history)


def test_spread_draws_every_repetition_and_the_mean():
    ax = fitting.spread({"plain": [0.5, 0.7], "other": [0.8]})
    dots = [line.get_xdata().tolist() for line in ax.lines if line.get_marker() == "o"]
    assert dots == [[50, 70], [80]]
    assert "plain 60.0 % on average, from 50.0 to 70.0 %; other 80.0 %." in plots.alt_text(ax)
    with pytest.raises(ValueError, match="'plain'"):
        fitting.spread({"plain": []})


def test_learning_rates_are_drawn_over_epochs_when_their_steps_are_known():
    ax = fitting.learning_rates({"falling": [0.3, 0.2, 0.1, 0.0]}, steps_per_epoch=2)
    assert ax.lines[0].get_xdata().tolist() == [0, 0.5, 1, 1.5]
    assert ax.get_xlabel() == "epochs done"
    with pytest.raises(ValueError, match="no learning rate"):
        fitting.learning_rates({"falling": []})


def test_accuracy_against_voices_names_every_count():
    ax = fitting.accuracy_against_voices([2, 4, 8], {"new": [0.4, 0.5, 0.6], "own": [1, 1, 0.99]})
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["2", "4", "8"]
    assert ax.lines[0].get_ydata().tolist() == [40, 50, 60]
    with pytest.raises(ValueError, match="2 values for 3"):
        fitting.accuracy_against_voices([2, 4, 8], {"new": [0.4, 0.5]})


@pytest.mark.parametrize("theme", ["light", "dark", "clear"])
def test_the_figures_follow_the_theme(theme):
    plots.style(theme)
    ink = mpl.colors.to_rgba(plots.common.look().ink)
    for ax in (
        fitting.gap({"loss": [2, 1], "val_loss": [2, 1.5]}),
        fitting.spread({"plain": [0.5]}),
        fitting.learning_rates({"constant": [1, 1]}),
        fitting.accuracy_against_voices([1, 2], {"new": [0.1, 0.2]}),
        fitting.step_times({"asked": np.ones((2, 2))}, count=2),
    ):
        labels = [*ax.get_xticklabels(), ax.xaxis.label]
        legend = ax.get_legend()
        labels += legend.get_texts() if legend else []
        assert {mpl.colors.to_rgba(label.get_color()) for label in labels} == {ink}


# --- the explorer


class Spoken:
    """What an explorer needs of a clip."""

    label, speaker = "7", "ann"

    def __init__(self):
        seconds = np.arange(9600) / 16_000
        tone = np.sin(2 * np.pi * 300 * seconds) + 0.3 * np.sin(2 * np.pi * 2500 * seconds)
        hiss = np.random.default_rng(0).normal(0, 0.3, 9600)  # so that no band is silent
        self.samples = (0.1 * (tone + hiss) * np.hanning(9600)).astype(np.float32)


@pytest.fixture(scope="module", params=["default", "synthetic"])
def knobs(request):  # one machine sees two pictures of each word, the other one
    return AugmentationExplorer([Spoken()], recognizer=getattr(Recognizer, request.param)())


def test_untouched_knobs_leave_the_recording_alone(knobs):
    result = knobs.compute(**knobs.values)
    np.testing.assert_array_equal(result.samples, Spoken().samples)
    np.testing.assert_array_equal(result.after, result.before)
    mean_free = replace(knobs.config, normalization="mean")
    np.testing.assert_array_equal(result.after, features.extract(Spoken().samples, mean_free))
    heard = knobs.recognizer.predict([Spoken().samples])[0]
    assert result.probability == pytest.approx(float(heard.max()), abs=1e-5)
    assert AugmentationExplorer([Spoken()]).recognizer.features == Recognizer.default().features


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("speed", 1.5),
        ("room", 0.5),
        ("snr", 0.0),
        ("line", 1000.0),
        ("tract", 1.2),
        ("hidden_frames", 10),
        ("hidden_bands", 3),
    ],
)
def test_every_knob_changes_the_picture_and_only_sound_knobs_the_sound(knobs, knob, value):
    result = knobs.compute(**{**knobs.values, knob: value})
    changed = result.after.shape != result.before.shape or not np.array_equal(result.after, result.before)
    assert changed
    same_sound = np.array_equal(result.samples, Spoken().samples)
    assert same_sound == (knob in ("tract", "hidden_frames", "hidden_bands"))
    again = knobs.compute(**{**knobs.values, knob: value})
    np.testing.assert_array_equal(again.after, result.after)


def test_what_is_hidden_is_zero_and_nothing_else(knobs):
    result = knobs.compute(**{**knobs.values, "hidden_frames": 10, "hidden_bands": 4})
    hidden = result.after == 0
    assert hidden.all(axis=1).sum() == 10
    assert hidden.all(axis=0).sum() == 4
    np.testing.assert_array_equal(result.after[~hidden], result.before[~hidden])


def test_a_faster_clip_is_shorter(knobs):
    result = knobs.compute(**{**knobs.values, "speed": 2.0})
    assert len(result.samples) == 4800


def test_the_line_says_what_the_machine_writes(knobs):
    result = knobs.compute(**knobs.values)
    said = knobs.describe(result)
    assert said.startswith(f"The machine writes {result.heard}, ")
    assert ("right" in said) == (result.heard == "seven")
    assert result.word == "seven"
    assert 0 < result.probability <= 1


def test_every_end_of_every_control_can_be_drawn(knobs):
    for name, control in knobs.inputs.items():
        options = getattr(control, "options", None)
        ends = (
            (control.min, control.max)
            if options is None
            else [option[1] if isinstance(option, tuple) else option for option in options]
        )
        for value in ends:
            still = knobs.still(**{name: value})
            assert still.png.startswith(b"\x89PNG")
            audio.check(knobs.sound(still.result))


def test_every_number_has_its_unit(knobs):
    for control in knobs.inputs.values():
        if isinstance(control.value, float) and not hasattr(control, "options"):
            assert "(" in control.description


def test_a_clip_is_needed():
    with pytest.raises(ValueError, match="no clip"):
        AugmentationExplorer([])


def test_the_explorer_takes_the_clips_of_the_bundle():
    clips = list(datasets.digits("test").where(label="3"))[:2]
    explorer = AugmentationExplorer(clips)
    assert explorer.still(clip=f"three · {clips[1].speaker}").result.word == "three"
