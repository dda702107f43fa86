"""Lesson 7: checks know its solutions and the usual mistakes; the explorer and the figures tell the truth."""

import math
from pathlib import Path

import ipywidgets
import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from exercises import answers_in

from asrlib import audio, check, datasets, evaluation, features, plots
from asrlib.features import FeatureConfig
from asrlib.widgets import ConfusionExplorer

LESSON = Path(__file__).resolve().parents[1] / "notebooks" / "07_evaluation.ipynb"
EXERCISES = (
    "answered",
    "calibration_error",
    "clips_needed",
    "difference_interval",
    "held_out",
    "precision_and_recall",
)
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


@pytest.fixture(autouse=True)
def fresh_figures():
    with mpl.rc_context():
        yield
        plots.style("light")
    plt.close("all")


def answers(tag):
    return answers_in(LESSON, tag, np=np, WORDS=WORDS)


def hints_at(outcome, capsys, *, statement, words):
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
    assert getattr(check.lesson07, name)(answers("solution")[name]).ok
    assert capsys.readouterr().out == "yes\n"


@pytest.mark.parametrize("name", EXERCISES)
def test_the_stub_in_the_lesson_does_not_pass(name, capsys):
    outcome = getattr(check.lesson07, name)(answers("exercise")[name])
    assert not outcome.ok
    assert outcome.property and outcome.hint
    assert capsys.readouterr().out.startswith("not yet: ")


def test_every_check_has_its_exercise_and_its_solution():
    assert set(EXERCISES) == set(check.lesson07.__all__)


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.parametrize("answer", [None, 0.75, "7"])
def test_what_is_no_function_is_told_so(name, answer, capsys):
    outcome = getattr(check.lesson07, name)(answer)
    hints_at(outcome, capsys, statement="the answer is a function", words=["without calling"])


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (lambda p, h: 1.96 * p * (1 - p) / h**2, "the reach is z standard deviations", ["Square z"]),
        (lambda p, h: p * (1 - p) / h**2, "the reach is z standard deviations", ["one standard deviation"]),
        (
            lambda p, h: math.ceil(1.96**2 * p * (1 - p) / (2 * h) ** 2),
            "the reach goes to each side",
            ["from end to end"],
        ),
        (
            lambda p, h: 1.96 * math.sqrt(p * (1 - p)) / h,
            "the reach is the root of a share of n",
            ["Solve"],
        ),
        (lambda p, h: 1.96**2 / 4 / h**2, "the accuracy counts", ["one half"]),
        (lambda p, h: 1.96**2 * p * (1 - p) / h**2, "the number of clips is a whole one", ["np.ceil"]),
        (lambda p, h: int(1.96**2 * p * (1 - p) / h**2), "it is enough", ["384"]),
        (lambda p, h: 385, "it holds for any accuracy and reach", ["0.5 within 0.1"]),
        (lambda p, h: "many", "the answer is a number", ["many"]),
    ],
)
def test_clips_needed_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson07.clips_needed(answer), capsys, statement=statement, words=words)


def by_clip(labels, speakers, count, rng):
    return rng.random(len(labels)) < count / 8


def with_replacement(labels, speakers, count, rng):
    return np.isin(speakers, rng.choice(np.unique(speakers), count))


def from_nowhere(labels, speakers, count, rng):
    return np.isin(speakers, np.random.default_rng().choice(np.unique(speakers), count, replace=False))


def one_word_only(labels, speakers, count, rng):
    voices = rng.choice(np.unique(speakers), count, replace=False)
    return np.isin(speakers, voices) & (labels == "3")


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (by_clip, "no voice is on both sides", ["8 have clips", "not clips"]),
        (one_word_only, "no voice is on both sides", ["3 have clips"]),
        (
            lambda labels, s, count, rng: np.isin(s, np.unique(s)[:count]),
            "rng draws the voices",
            ["rng.choice"],
        ),
        (with_replacement, "as many voices are held out as asked for", ["replace=False"]),
        (from_nowhere, "the same generator gives the same voices", ["nothing else"]),
        (
            lambda labels, s, count, rng: rng.choice(np.unique(s), count, replace=False),
            "there is True or False for each clip",
            ["array of bool"],
        ),
        (lambda labels, s, count, rng: np.zeros(len(s), bool), "somebody is held out", ["False"]),
        (lambda labels, s, count, rng: np.ones(len(s), bool), "somebody is left to learn from", ["True"]),
    ],
)
def test_held_out_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson07.held_out(answer), capsys, statement=statement, words=words)


def test_the_colleagues_leak_is_named(capsys):
    outcome = check.lesson07.held_out(answers("exercise")["held_out"])
    hints_at(outcome, capsys, statement="no voice is on both sides", words=["anew for each word", "once"])


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (lambda p, columns: p.argmax(axis=1), "the answers are words", ["a number"]),
        (
            lambda p, columns: np.array(columns)[p.argmax()],
            "there is one answer for each clip",
            ["argmax(axis=1)"],
        ),
        (
            lambda p, columns: np.array(sorted(columns))[p.argmax(axis=1)],
            "each column has the network's own word",
            ["columns"],
        ),
        (
            lambda p, columns: np.array(columns)[p.argmin(axis=1)],
            "each column has the network's own word",
            ["columns"],
        ),
    ],
)
def test_answered_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson07.answered(answer), capsys, statement=statement, words=words)


def test_the_colleagues_list_is_named(capsys):
    outcome = check.lesson07.answered(answers("exercise")["answered"])
    hints_at(
        outcome, capsys, statement="each column has the network's own word", words=["not a list of your own"]
    )


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (
            lambda m, w: (m[w, w] / m[w].sum(), m[w, w] / m[:, w].sum()),
            "precision comes first, and counts what was answered",
            ["other way round"],
        ),
        (
            lambda m, w: (m[w, w] / (m[:, w].sum() - m[w, w]), m[w, w] / (m[w].sum() - m[w, w])),
            "right answers count among all",
            ["included"],
        ),
        (lambda m, w: (m[w, w] / m.sum(),) * 2, "only this word's answers count", ["whole matrix"]),
        (lambda m, w: (0.8, 0.5), "it holds for any matrix and any word", ["2 words"]),
        (
            lambda m, w: (
                m[w, w] / max(1, m[:, w].sum()),
                m[w, w] / max(1, m[w].sum()),
            ),
            "the precision of a word never answered is not a number",
            ["np.nan"],
        ),
        (lambda m, w: m[w, w] / m[w].sum(), "there are two numbers", ["0.5"]),
    ],
)
def test_precision_and_recall_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson07.precision_and_recall(answer), capsys, statement=statement, words=words)


def test_precision_and_recall_are_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    said, answered = rng.integers(0, 4, (2, 300))
    matrix = evaluation.confusion_matrix(said, answered)
    ours = answers("solution")["precision_and_recall"]
    theirs = metrics.precision_recall_fscore_support(said, answered)[:2]
    np.testing.assert_allclose([ours(matrix, word) for word in range(4)], np.transpose(theirs))


def binned(sure, right, n_bins, *, weigh, gap=abs):
    bins = np.minimum((sure * n_bins).astype(int), n_bins - 1)
    gaps = {b: gap(right[bins == b].mean() - sure[bins == b].mean()) for b in np.unique(bins)}
    return sum(weigh(np.mean(bins == b), len(gaps), n_bins) * value for b, value in gaps.items())


def without_the_last_end(sure, right, n_bins):
    inside = [(sure >= b / n_bins) & (sure < (b + 1) / n_bins) for b in range(n_bins)]
    return sum(i.mean() * abs(right[i].mean() - sure[i].mean()) for i in inside if i.any())


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (
            lambda s, r, n: abs(s.mean() - r.mean()),
            "bins do not make up for each other",
            ["in each bin"],
        ),
        (
            lambda s, r, n: binned(s, r, n, weigh=lambda share, filled, bins: 1),
            "the bins' gaps are averaged",
            ["n_b / n"],
        ),
        (
            lambda s, r, n: binned(s, r, n, weigh=lambda share, filled, bins: share, gap=np.square),
            "gaps count as they are",
            ["absolute"],
        ),
        (
            lambda s, r, n: 100 * binned(s, r, n, weigh=lambda share, filled, bins: share),
            "the error is a share",
            ["0.2"],
        ),
        (
            lambda s, r, n: binned(s, r, n, weigh=lambda share, filled, bins: 1 / filled),
            "a bin counts by its answers",
            ["plain mean"],
        ),
        (without_the_last_end, "a probability of 1 has a bin too", ["includes 1"]),
        (
            lambda s, r, n: binned(s, r, 10, weigh=lambda share, filled, bins: share),
            "it holds for any number of bins",
            ["n_bins = 1 "],
        ),
    ],
)
def test_calibration_error_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson07.calibration_error(answer), capsys, statement=statement, words=words)


def redrawn(a, b, speakers, rng, *, of=lambda right, clips, drawn: right[drawn].sum(1) / clips[drawn].sum(1)):
    """Return the interval of the difference of two accuracies, each computed as `of` says."""
    names, voice = np.unique(speakers, return_inverse=True)
    clips = np.bincount(voice)
    drawn = rng.integers(len(names), size=(2000, len(names)))
    first, second = (of(np.bincount(voice, weights=right.astype(float)), clips, drawn) for right in (a, b))
    return tuple(np.quantile(second - first, [0.025, 0.975]))


def clips_drawn(a, b, speakers, rng):
    drawn = rng.integers(len(a), size=(2000, len(a)))
    return np.quantile(b[drawn].mean(axis=1) - a[drawn].mean(axis=1), [0.025, 0.975])


def each_its_own_draw(a, b, speakers, rng):
    names, voice = np.unique(speakers, return_inverse=True)
    clips = np.bincount(voice)
    shares = []
    for right in (a, b):
        drawn = rng.integers(len(names), size=(2000, len(names)))
        shares.append(np.bincount(voice, weights=right)[drawn].sum(1) / clips[drawn].sum(1))
    # As uneven voices as these make the two draws differ even where the machines do not.
    return tuple(np.quantile(shares[1] - shares[0] + 1e-6 * rng.normal(size=2000), [0.025, 0.975]))


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (clips_drawn, "voices are drawn, each with all of its clips", ["as if clips"]),
        (
            lambda a, b, s, rng: redrawn(a, b, s, rng)[::-1],
            "the lower end comes first",
            ["2.5 %"],
        ),
        (lambda a, b, s, rng: redrawn(b, a, s, rng), "the difference is B minus A", ["Subtract"]),
        (
            lambda a, b, s, rng: redrawn(a, b, s, rng, of=lambda right, clips, drawn: right[drawn].sum(1)),
            "the difference is a share",
            ["Divide"],
        ),
        (each_its_own_draw, "a machine is not better than itself", ["one draw"]),
        (
            lambda a, b, s, rng: redrawn(
                a, b, s, rng, of=lambda right, clips, drawn: (right / clips)[drawn].mean(1)
            ),
            "a voice with more clips counts more",
            ["average"],
        ),
        (
            lambda a, b, s, rng: redrawn(
                a, b, s, rng, of=lambda right, clips, drawn: right[drawn].sum(1) / clips.sum()
            ),
            "a draw's accuracy is a share of the clips drawn",
            ["that were drawn"],
        ),
        (lambda a, b, s, rng: 0.12, "there are two ends", ["low, high"]),
    ],
)
def test_difference_interval_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson07.difference_interval(answer), capsys, statement=statement, words=words)


def test_the_lessons_difference_agrees_with_the_librarys_bootstrap():
    """Against a machine that is never right, the difference is the accuracy."""
    rng = np.random.default_rng(0)
    speakers = np.repeat([f"v{i}" for i in range(12)], 20)
    right = rng.random(240) < np.repeat(rng.uniform(0.5, 1, 12), 20)
    ours = answers("solution")["difference_interval"](
        np.zeros(240, bool), right, speakers, np.random.default_rng(1)
    )
    theirs = evaluation.bootstrap_speakers(right, speakers, rng=np.random.default_rng(1), n_resamples=2000)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


# --- the explorer


class Sorter:
    """Answers with the digit whose tone it hears; noise above a level makes it answer 0."""

    labels = tuple("0123456789")

    def __init__(self, *, mishear=None):
        self.mishear, self.calls = mishear or {}, 0

    def predict(self, clips):
        self.calls += 1
        given = np.full((len(clips), 10), 0.02, np.float32)
        for row, clip in zip(given, clips, strict=True):
            spectrum = np.abs(np.fft.rfft(clip, 16_000))
            tone = int(spectrum[500:1500].argmax()) // 100
            noisy = np.median(spectrum) > 4  # at 0 dB and below
            row[0 if noisy else self.mishear.get(tone, tone)] = 0.82
        return given


@pytest.fixture(scope="module")
def tones():
    """Two takes of ten tones by each of two voices, 500 Hz and up."""
    rows = [(digit, voice, take) for voice in ("ann", "bob") for digit in range(10) for take in (0, 1)]
    files = tuple(Path(f"{i}.wav") for i in range(len(rows)))
    time = np.arange(6400) / 16_000
    sounds = {
        file: (0.1 * np.sin(2 * np.pi * (530 + 100 * digit + 10 * take) * time)).astype(np.float32)
        for file, (digit, _, take) in zip(files, rows, strict=True)
    }
    return datasets.SpeechDataset(
        name="tones",
        files=files,
        labels=np.array([str(digit) for digit, _, _ in rows]),
        speakers=np.array([voice for _, voice, _ in rows]),
        groups=np.array(["tones"] * len(rows)),
        takes=np.array([take for *_, take in rows]),
        splits=np.array(["test"] * len(rows)),
        seconds=np.full(len(rows), 0.4),
        _cache=sounds,
    )


@pytest.fixture
def cells(tones):
    return ConfusionExplorer({"good": Sorter(), "bad": Sorter(mishear={3: 8, 5: 8})}, tones)


def test_it_begins_at_the_most_frequent_error(tones):
    explorer = ConfusionExplorer({"bad": Sorter(mishear={5: 9})}, tones)
    assert (explorer.values["said"], explorer.values["answered"]) == ("5", "9")


def test_the_matrix_and_the_clips_are_those_of_the_recogniser(cells, tones):
    result = cells.compute(**{**cells.values, "model": "bad", "said": "3", "answered": "8"})
    expected = np.diag([4] * 10)
    expected[3], expected[5] = 4 * np.eye(10, dtype=int)[8], 4 * np.eye(10, dtype=int)[8]
    np.testing.assert_array_equal(result.matrix, expected)
    assert (result.number, result.count) == (1, 4)
    assert result.probabilities == pytest.approx({"8": 0.82, "3": 0.02})
    heard = {
        cells.compute(
            **{**cells.values, "model": "bad", "said": "3", "answered": "8", "number": k}
        ).samples.tobytes()
        for k in (1, 2, 3, 4)
    }
    assert heard == {tones[int(i)].samples.tobytes() for i in np.flatnonzero(tones.labels == "3")}
    np.testing.assert_allclose(result.picture, features.log_mel(result.samples, FeatureConfig()), atol=1e-5)
    last = cells.compute(**{**cells.values, "model": "bad", "said": "3", "answered": "8", "number": 12})
    assert last.number == 4


def test_noise_changes_answers_and_what_is_heard(cells):
    quiet = cells.compute(**{**cells.values, "said": "7", "answered": "7"})
    loud = cells.compute(**{**cells.values, "said": "7", "answered": "0", "snr_db": -5.0})
    assert quiet.matrix[7, 7] == loud.matrix[7, 0] == 4
    assert audio.level_db(loud.samples) > audio.level_db(quiet.samples) + 3
    again = cells.compute(**{**cells.values, "said": "7", "answered": "0", "snr_db": -5.0})
    np.testing.assert_array_equal(loud.samples, again.samples)


def test_answers_are_kept(cells):
    machine = cells.recognizers["good"]
    cells.still(snr_db=10.0)
    calls = machine.calls
    cells.still(snr_db=10.0, said="4", show="MFCC")
    assert machine.calls == calls


def test_an_empty_cell_is_said_so_and_silent(cells):
    still = cells.still(said="1", answered="2")
    assert "No 1 was answered with 2" in still.text
    assert cells.sound(still.result) is None and still.result.samples is None
    assert cells.still(said="1", answered="1").png != still.png


def test_the_answer_says_who_and_how_sure(cells):
    text = cells.still(model="bad", said="5", answered="8", number=2).text
    assert text == (
        "bad, without noise: 32 of 40 right. Said 5, answered 8: clip 2 of 4, by ann. The machine gave "
        "82 % to 8 and 2 % to 5."
    )
    assert cells.still(said="5", answered="5").text.endswith("Right.")


def test_every_end_of_every_control_can_be_drawn(cells):
    for name, control in cells.inputs.items():
        ends = control.options if hasattr(control, "options") else (control.min, control.max)
        for value in ends:
            value = value[1] if isinstance(value, tuple) else value
            still = cells.still(**{name: value})
            assert still.png.startswith(b"\x89PNG")
            if still.result.samples is not None:
                audio.check(cells.sound(still.result))


def test_the_page_gets_the_picture(cells):
    (image,) = (part for part in cells.widget.children if isinstance(part, ipywidgets.Image))
    for values in ({"said": "3"}, {"answered": "8"}, {"model": "bad"}, {"show": "MFCC"}, {"snr_db": 5.0}):
        cells.set(**values)
        assert cells.error is None
        assert image.value == cells.still().png


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_moves_is_all_that_changes(tones, theme):
    plots.style(theme)
    cells = ConfusionExplorer({"good": Sorter(), "bad": Sorter(mishear={3: 8})}, tones)
    for values in ({}, {"model": "bad", "said": "3", "answered": "8"}, {"show": "MFCC"}, {"answered": "1"}):
        cells.still(**values)
        changed = (cells.picture.pixels() != cells.picture.drawn_anew()).any(axis=2)
        assert changed.mean() < 0.001  # where the frame around the cell lies over the axes' own line


def test_what_cannot_be_explored_is_refused(tones):
    with pytest.raises(ValueError, match="one of each"):
        ConfusionExplorer({}, tones)
    with pytest.raises(ValueError, match="one of each"):
        ConfusionExplorer({"a": Sorter()}, tones[:0])
    other = Sorter()
    other.labels = tuple("9876543210")
    with pytest.raises(ValueError, match="same order"):
        ConfusionExplorer({"a": Sorter(), "b": other}, tones)


# --- the figures


def test_intervals_colour_those_that_miss():
    found = [evaluation.Interval(0.8, 0.9), evaluation.Interval(0.91, 0.99), evaluation.Interval(0.7, 0.95)]
    ax = plots.intervals(found, truth=0.9)
    colors = [line.get_color() for line in ax.lines[:3]]
    assert colors[0] == colors[2] != colors[1]
    assert "1 of them misses it" in plots.alt_text(ax)
    with pytest.raises(ValueError, match="no interval"):
        plots.intervals([], truth=0.5)


def test_coverage_wants_a_share_for_each_truth():
    ax = plots.coverage({"a": [0.9, 0.95], "b": [0.8, 0.7]}, [0.5, 0.9])
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [80, 70])
    with pytest.raises(ValueError, match="one share"):
        plots.coverage({"a": [0.9]}, [0.5, 0.9])
    with pytest.raises(ValueError, match="dict"):
        plots.coverage({}, [])


def test_the_gap_is_drawn_for_each_speaker_the_best_new_one_at_the_top():
    known = evaluation.by_group(np.ones(4, bool), ["a", "a", "b", "b"])
    new = evaluation.by_group(np.array([True, True, True, False]), ["a", "a", "b", "b"])
    ax = plots.split_gap(known, new, chance=0.1)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["b", "a"]
    with pytest.raises(ValueError, match="same speakers"):
        plots.split_gap(known, new[:1])


def test_models_are_placed_by_their_parameters():
    rows = {name: evaluation.by_group(np.array([True, False]), [name] * 2)[0] for name in ("small", "large")}
    ax = plots.accuracy_against_parameters(rows, {"large": 200_000, "small": 20_000})
    assert [text.xy[0] for text in ax.texts] == [20_000, 200_000]
    with pytest.raises(ValueError, match="same models"):
        plots.accuracy_against_parameters(rows, {"small": 1})


def test_reliability_draws_the_bins_that_have_answers():
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 200)
    given = np.stack([sure, 1 - sure], axis=1)
    found = evaluation.calibration(given, np.where(rng.random(200) < sure, "a", "b"), labels=["a", "b"])
    ax = plots.reliability({"honest": found})
    dots = ax.collections[-1].get_offsets()
    shown = [each for each in found.bins if each.n]
    np.testing.assert_allclose(dots, [[100 * each.probability, 100 * each.accuracy] for each in shown])
    fewer = plots.reliability(found, fewest=max(each.n for each in shown))
    assert len(fewer.collections[-1].get_offsets()) < len(shown)
    assert "honest: ECE" in ax.get_legend().get_texts()[0].get_text()
    with pytest.raises(ValueError, match="no calibration"):
        plots.reliability({})


@pytest.mark.parametrize(("only_a", "only_b"), [(9, 1), (5, 5), (0, 3), (40, 25)])
def test_coin_tosses_colour_what_mcnemar_counts(only_a, only_b):
    ax = plots.coin_tosses(only_a, only_b)
    strong = mpl.colors.to_rgba(plots.COLORS["vermillion"])
    share = sum(bar.get_height() for bar in ax.patches if bar.get_facecolor() == strong)
    a = np.repeat([True, False], [only_a, only_b])
    assert share / 100 == pytest.approx(min(1, evaluation.mcnemar(a, ~a)), abs=1e-9)
    with pytest.raises(ValueError, match="not both 0"):
        plots.coin_tosses(0, 0)
