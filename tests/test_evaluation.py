"""Evaluation: equal to SciPy's and scikit-learn's numbers, and honest about who and how sure."""

from types import SimpleNamespace

import numpy as np
import pytest

from asrlib import audio, evaluation, signals

DIGITS = tuple("0123456789")


class FakeDataset:
    """Clips of noise whose first sample tells the label; ten digits by each of four speakers, twice."""

    name = "fake digits"

    def __init__(self, n_speakers=4, takes=2):
        names = [f"voice {i}" for i in range(n_speakers)]
        rows = [(speaker, digit) for speaker in names for digit in DIGITS for _ in range(takes)]
        self.speakers = np.array([speaker for speaker, _ in rows])
        self.labels = np.array([digit for _, digit in rows])
        self.groups = np.array(["first" if name < "voice 2" else "second" for name in self.speakers])

    def __len__(self):
        return len(self.labels)

    def audio(self, i):
        clip = 0.05 * np.random.default_rng(i).standard_normal(1600 + i).astype(np.float32)
        clip[0] = int(self.labels[i]) / 100
        return clip


class Oracle:
    """Reads the label from the first sample, and mishears what `mishear` says."""

    labels = DIGITS

    def __init__(self, mishear=None):
        self.mishear = mishear or {}
        self.calls = []

    def predict(self, clips):
        self.calls.append(len(clips))
        said = [round(float(clip[0]) * 100) for clip in clips]
        return np.eye(10, dtype=np.float32)[[self.mishear.get(digit, digit) for digit in said]]


@pytest.mark.parametrize("n", [1, 2, 20, 300, 3000])
@pytest.mark.parametrize("share", [0.0, 0.03, 0.5, 0.997, 1.0])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_wilson_interval_equals_scipys(n, share, confidence):
    stats = pytest.importorskip("scipy.stats")
    right = round(n * share)
    expected = stats.binomtest(right, n).proportion_ci(confidence_level=confidence, method="wilson")
    interval = evaluation.wilson_interval(right, n, confidence=confidence)
    np.testing.assert_allclose(interval, (expected.low, expected.high), atol=1e-12)
    assert 0 <= interval.low <= right / n <= interval.high <= 1


@pytest.mark.parametrize(("right", "n"), [(-1, 10), (11, 10), (0, 0)])
def test_impossible_counts_are_refused(right, n):
    with pytest.raises(ValueError, match="expected 0 <= right"):
        evaluation.wilson_interval(right, n)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95])
def test_impossible_confidence_is_refused(confidence):
    with pytest.raises(ValueError, match=r"0\.95"):
        evaluation.wilson_interval(1, 2, confidence=confidence)


def test_wilson_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    truth, n = 0.93, 120
    intervals = [evaluation.wilson_interval(int(right), n) for right in rng.binomial(n, truth, 2000)]
    covered = np.mean([low <= truth <= high for low, high in intervals])
    assert 0.93 < covered < 0.975


def test_bootstrap_is_wide_when_speakers_differ_and_narrow_when_they_agree():
    speakers = np.repeat([f"s{i}" for i in range(20)], 100)
    agree = np.tile(np.arange(100) < 80, 20)
    differ = np.repeat(np.arange(20) < 16, 100)
    assert evaluation.accuracy(agree, [True] * 2000) == evaluation.accuracy(differ, [True] * 2000) == 0.8
    narrow = evaluation.bootstrap_speakers(agree, speakers, rng=np.random.default_rng(0))
    wide = evaluation.bootstrap_speakers(differ, speakers, rng=np.random.default_rng(0))
    assert narrow == (0.8, 0.8)
    # 20 speakers, each all right or all wrong: the standard error is √(0.8 · 0.2 / 20) = 0.089.
    assert wide.high - wide.low == pytest.approx(2 * 1.96 * 0.0894, rel=0.15)
    wilson = evaluation.wilson_interval(1600, 2000)
    assert wide.high - wide.low > 3 * (wilson.high - wilson.low)


def test_bootstrap_equals_scipys_with_one_clip_per_speaker():
    stats = pytest.importorskip("scipy.stats")
    correct = np.arange(60) < 48
    ours = evaluation.bootstrap_speakers(
        correct, [f"s{i}" for i in range(60)], rng=np.random.default_rng(1), n_resamples=20_000
    )
    theirs = stats.bootstrap(
        (correct,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(2)
    ).confidence_interval
    np.testing.assert_allclose(ours, (theirs.low, theirs.high), atol=0.018)


def test_bootstrap_needs_two_speakers():
    with pytest.raises(ValueError, match="at least two"):
        evaluation.bootstrap_speakers(np.array([True, False]), ["a", "a"], rng=np.random.default_rng(0))


@pytest.mark.parametrize("labels", [None, DIGITS, DIGITS[::-1]])
def test_confusion_matrix_equals_scikit_learns(labels):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(3)
    said, answered = rng.choice(DIGITS, (2, 500))
    matrix = evaluation.confusion_matrix(said, answered, labels=labels)
    np.testing.assert_array_equal(matrix, metrics.confusion_matrix(said, answered, labels=labels))
    assert np.trace(matrix) / matrix.sum() == evaluation.accuracy(said, answered)


def test_confusion_matrix_refuses_unknown_labels():
    with pytest.raises(ValueError, match="eleven"):
        evaluation.confusion_matrix(["1", "eleven"], ["1", "1"], labels=DIGITS)


@pytest.mark.parametrize(("said", "answered"), [([], []), (["1"], ["1", "2"]), ([["1"]], [["1"]])])
def test_labels_that_do_not_fit_are_refused(said, answered):
    for function in (evaluation.accuracy, evaluation.confusion_matrix):
        with pytest.raises(ValueError, match="equal length"):
            function(said, answered)


def test_by_group_counts_each_group():
    rows = evaluation.by_group(np.array([True, True, False, True]), ["b", "a", "b", "b"])
    assert [(row.name, row.n, row.n_correct) for row in rows] == [("a", 1, 1), ("b", 3, 2)]
    assert rows[1].interval == evaluation.wilson_interval(2, 3)
    with pytest.raises(ValueError, match="True or False"):
        evaluation.by_group(np.array([1, 0]), ["a", "b"])


def test_report_holds_what_was_answered():
    dataset = FakeDataset()
    report = evaluation.evaluate(Oracle({0: 2, 3: 8}), dataset)
    assert (report.n, report.total.n_correct) == (80, 64)
    assert report.accuracy == 0.8
    assert report.interval == evaluation.wilson_interval(64, 80)
    assert report.speaker_interval == (0.8, 0.8)
    assert [row.accuracy for row in report.speakers] == [0.8] * 4
    assert [(row.name, row.n) for row in report.groups] == [("first", 40), ("second", 40)]
    assert report.confusion[0, 2] == report.confusion[3, 8] == 8
    assert report.confusion.sum() == 80
    assert report.confusions() == [("0", "2", 8), ("3", "8", 8)]
    assert set(dataset.labels[report.errors()]) == {"0", "3"}
    assert report.probabilities.shape == (80, 10)
    assert report.probabilities.dtype == np.float32


def test_report_prints_an_aligned_table():
    report = evaluation.evaluate(Oracle({0: 2}), FakeDataset())
    text = str(report)
    assert "fake digits: 90.0 % of 80 clips" in text
    assert "0 as 2 (8×)" in text
    assert "like these 4 (so few that this is too narrow): 90.0 to 90.0 %" in text
    assert "like these 12: 90.0" in str(evaluation.evaluate(Oracle({0: 2}), FakeDataset(n_speakers=12)))
    lines = report.table().splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[1].split()[:3] == ["all", "80", "90.0"]
    assert sum(line.startswith("speaker") for line in lines) == 4
    few = report.table(most_speakers=2)
    assert sum(line.startswith("speaker") for line in few.splitlines()) == 2
    assert "2 of 4 speakers" in few


def test_one_speaker_has_no_interval_over_speakers():
    report = evaluation.evaluate(Oracle(), FakeDataset(n_speakers=1))
    assert report.speaker_interval is None
    assert "other speakers" not in str(report)


def test_large_sets_go_in_parts(monkeypatch):
    monkeypatch.setattr(evaluation, "_CLIPS_AT_A_TIME", 30)
    oracle = Oracle()
    assert evaluation.evaluate(oracle, FakeDataset()).accuracy == 1
    assert oracle.calls == [30, 30, 20]


def test_unknown_labels_emptiness_and_bad_answers_are_refused():
    dataset = FakeDataset()
    with pytest.raises(ValueError, match="does not know"):
        evaluation.evaluate(SimpleNamespace(labels=("yes", "no"), predict=None), dataset)
    with pytest.raises(ValueError, match="empty"):
        evaluation.evaluate(Oracle(), FakeDataset(takes=0))
    for answer in (np.zeros((80, 9)), np.full((80, 10), np.nan)):
        broken = SimpleNamespace(labels=DIGITS, predict=lambda clips, answer=answer: answer)
        with pytest.raises(ValueError, match="finite probabilities"):
            evaluation.evaluate(broken, dataset)


def test_noise_curve_hears_the_same_noise_at_every_ratio():
    heard = {}

    class Listener(Oracle):
        def predict(self, clips):
            heard[len(heard)] = clips
            return np.eye(10, dtype=np.float32)[np.zeros(len(clips), int)]

    dataset = FakeDataset(takes=1)
    rows = evaluation.accuracy_against_snr(
        Listener(), dataset, snrs_db=[np.inf, 20, 10], rng=np.random.default_rng(0)
    )
    assert [row.name for row in rows] == ["no noise", "20 dB", "10 dB"]
    assert [row.snr_db for row in rows] == [np.inf, 20, 10]
    assert all(row.accuracy == 0.1 and row.interval == evaluation.wilson_interval(4, 40) for row in rows)
    for i in (0, 7):
        clean, soft, loud = (heard[k][i] for k in range(3))
        np.testing.assert_array_equal(clean, dataset.audio(i))
        np.testing.assert_allclose((loud - clean) / np.sqrt(10), soft - clean, atol=1e-6)
        assert signals.speech_level_db(clean) - audio.level_db(loud - clean) == pytest.approx(10, abs=0.01)
    assert not np.allclose((heard[1][0] - heard[0][0])[:1600], (heard[1][1] - heard[0][1])[:1600])


def test_noise_curve_repeats_with_the_same_generator():
    class Coarse(Oracle):
        def predict(self, clips):
            return np.eye(10, dtype=np.float32)[[round(abs(float(clip[0])) * 100) % 10 for clip in clips]]

    runs = [
        evaluation.accuracy_against_snr(
            Coarse(),
            FakeDataset(),
            snrs_db=[30, 0],
            noise=signals.pink_noise,
            rng=np.random.default_rng(seed),
        )
        for seed in (5, 5)
    ]
    assert runs[0] == runs[1]
    assert runs[0][0].accuracy > runs[0][1].accuracy
    with pytest.raises(ValueError, match="at least one ratio"):
        evaluation.accuracy_against_snr(Coarse(), FakeDataset(), snrs_db=[], rng=np.random.default_rng(0))
