"""Evaluation: equal to SciPy's and scikit-learn's numbers, and honest about who and how sure."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from asrlib import audio, datasets, evaluation, signals

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


# --- speakers left out


def real_dataset(dataset):
    """Make a SpeechDataset, which can be cut in parts, of a fake one."""
    files = tuple(Path(f"{i}.wav") for i in range(len(dataset)))
    return datasets.SpeechDataset(
        name=dataset.name,
        files=files,
        labels=dataset.labels,
        speakers=dataset.speakers,
        groups=dataset.groups,
        takes=np.zeros(len(dataset), int),
        splits=np.array(["test"] * len(dataset)),
        seconds=np.ones(len(dataset)),
        _cache={file: dataset.audio(i) for i, file in enumerate(files)},
    )


class Nearest:
    """Answers with the label of the clip, among those it was taught, that has the most alike numbers."""

    def __init__(self, taught):
        self.labels = tuple(np.unique(taught.labels).tolist())
        self.points, self.said = self.point(taught.arrays()), taught.labels

    @staticmethod
    def point(clips):
        return np.array([[clip[0], 4 * clip[1:].std(), 4 * clip[1:100].std()] for clip in clips])

    def predict(self, clips):
        distance = np.square(self.point(clips)[:, None] - self.points).sum(axis=2)
        answers = self.said[distance.argmin(axis=1)]
        return (answers[:, None] == np.array(self.labels)).astype(np.float32)


def test_leaving_speakers_out_equals_scikit_learns():
    selection = pytest.importorskip("sklearn.model_selection")
    neighbors = pytest.importorskip("sklearn.neighbors")
    dataset = real_dataset(FakeDataset())
    order = np.random.default_rng(0).permutation(len(dataset))  # speakers need not stand together
    dataset = dataset[order]
    heard = []

    def train(clips):
        heard.append(set(clips.speakers.tolist()))
        return Nearest(clips)

    report = evaluation.leave_one_speaker_out(train, dataset)
    theirs = selection.cross_val_predict(
        neighbors.KNeighborsClassifier(1),
        Nearest.point(dataset.arrays()),
        dataset.labels,
        groups=dataset.speakers,
        cv=selection.LeaveOneGroupOut(),
    )
    np.testing.assert_array_equal(report.predicted, theirs)
    assert 0.2 < report.accuracy < 1
    everyone = set(dataset.speakers.tolist())
    assert [everyone - each for each in heard] == [{name} for name in sorted(everyone)]
    assert [row.name for row in report.speakers] == sorted(everyone)
    assert report.n == len(dataset)


def test_leaving_the_only_speaker_out_is_refused():
    with pytest.raises(ValueError, match="has 1 speaker"):
        evaluation.leave_one_speaker_out(Nearest, real_dataset(FakeDataset(n_speakers=1)))


def test_a_label_of_one_speaker_alone_is_refused():
    fake = FakeDataset(n_speakers=3)
    keep = (fake.labels != "9") | (fake.speakers == "voice 0")
    with pytest.raises(ValueError, match="does not know"):
        evaluation.leave_one_speaker_out(Nearest, real_dataset(fake)[keep])


def test_recognisers_must_agree_on_their_labels():
    turns = iter([DIGITS, DIGITS[::-1], DIGITS])
    with pytest.raises(ValueError, match="same labels in the same order"):
        evaluation.leave_one_speaker_out(
            lambda clips: SimpleNamespace(labels=next(turns), predict=Oracle().predict),
            real_dataset(FakeDataset(n_speakers=3)),
        )


# --- bandwidth


def test_bandwidth_takes_away_what_lies_above_and_nothing_else():
    heard = []

    class Listener(Oracle):
        def predict(self, clips):
            heard.append(clips)
            return np.eye(10, dtype=np.float32)[np.zeros(len(clips), int)]

    dataset = FakeDataset(takes=1)
    rows = evaluation.accuracy_against_bandwidth(Listener(), dataset, cutoffs_hz=[np.inf, 4000, 1000])
    assert [row.name for row in rows] == ["no filter", "4000 Hz", "1000 Hz"]
    assert [row.high_hz for row in rows] == [np.inf, 4000, 1000]
    assert all(row.accuracy == 0.1 and row.interval == evaluation.wilson_interval(4, 40) for row in rows)
    clip = dataset.audio(7)
    np.testing.assert_array_equal(heard[0][7], clip)
    for cutoff, clips in zip((4000, 1000), heard[1:], strict=True):
        assert clips[7].shape == clip.shape
        hz = np.fft.rfftfreq(len(clip), 1 / 16_000)
        before, after = (np.abs(np.fft.rfft(np.hanning(len(clip)) * each)) for each in (clip, clips[7]))
        assert np.sum(after[hz > cutoff + 150] ** 2) < 1e-3 * np.sum(before[hz > cutoff + 150] ** 2)
        below = hz < cutoff - 150
        # The wave below the cut-off stays at its place: the filter's delay is taken out.
        kept = np.fft.rfft(np.hanning(len(clip)) * clips[7])[below]
        was = np.fft.rfft(np.hanning(len(clip)) * clip)[below]
        assert np.linalg.norm(kept - was) < 0.05 * np.linalg.norm(was)


def test_a_loud_clip_stays_within_one_after_the_filter():
    class Loud(FakeDataset):
        def audio(self, i):
            return np.sign(np.sin(2 * np.pi * 300 * np.arange(4000) / 16_000)).astype(np.float32)

    class Careful(Oracle):
        def predict(self, clips):
            for clip in clips:
                audio.check(clip)
            return np.eye(10, dtype=np.float32)[np.zeros(len(clips), int)]

    evaluation.accuracy_against_bandwidth(Careful(), Loud(takes=1), cutoffs_hz=[2000])


@pytest.mark.parametrize("cutoffs", [[], [0], [-1000], [8000], [np.nan]])
def test_impossible_cutoffs_are_refused(cutoffs):
    with pytest.raises(ValueError, match="infinity for no filter"):
        evaluation.accuracy_against_bandwidth(Oracle(), FakeDataset(), cutoffs_hz=cutoffs)


# --- calibration


def answers(n=400, *, sharpness=2.0, seed=0):
    """Draw what was said from probabilities, and return these sharpened: a recogniser that is too sure."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 1.5, (n, 10))
    true = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    said = np.array([DIGITS[rng.choice(10, p=row)] for row in true])
    sure = np.exp(sharpness * scores)
    return (sure / sure.sum(axis=1, keepdims=True)).astype(np.float32), said


@pytest.mark.parametrize("n_bins", [1, 5, 10, 15])
@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_calibration_equals_scikit_learns(n_bins, sharpness):
    sklearn = pytest.importorskip("sklearn.calibration")
    probabilities, said = answers(sharpness=sharpness)
    found = evaluation.calibration(probabilities, said, labels=DIGITS, n_bins=n_bins)
    sure, right = probabilities.max(axis=1), np.array(DIGITS)[probabilities.argmax(axis=1)] == said
    shares, means = sklearn.calibration_curve(right, sure, n_bins=n_bins, strategy="uniform")
    filled = [each for each in found.bins if each.n]
    np.testing.assert_allclose([each.accuracy for each in filled], shares, atol=1e-12)
    np.testing.assert_allclose([each.probability for each in filled], means, atol=1e-6)
    counts = np.histogram(sure, np.linspace(0, 1, n_bins + 1))[0]
    assert [each.n for each in found.bins] == counts.tolist()
    expected_error = np.sum(counts[counts > 0] * np.abs(shares - means)) / len(said)
    assert found.ece == pytest.approx(expected_error, abs=1e-6)
    assert found.ece == evaluation.expected_calibration_error(
        probabilities, said, labels=DIGITS, n_bins=n_bins
    )
    assert found.n == len(said)
    assert found.accuracy == pytest.approx(right.mean())
    assert found.probability == pytest.approx(sure.mean())
    for each in filled:
        assert each.interval == evaluation.wilson_interval(round(each.n * each.accuracy), each.n)


def test_an_answer_on_an_edge_belongs_to_the_bin_below():
    probabilities = np.array([[0.5, 0.5], [0.75, 0.25], [1.0, 0.0]])
    bins = evaluation.calibration(probabilities, ["0", "0", "1"], labels=["0", "1"], n_bins=4).bins
    assert [each.n for each in bins] == [0, 1, 1, 1]
    assert np.isnan(bins[0].accuracy) and bins[0].interval == (0, 1)
    assert bins[3].accuracy == 0


def test_calibration_does_not_depend_on_the_order_of_labels_or_clips():
    probabilities, said = answers()
    straight = evaluation.calibration(probabilities, said, labels=DIGITS)
    columns, rows = np.random.default_rng(1).permutation(10), np.random.default_rng(2).permutation(len(said))
    turned = evaluation.calibration(
        probabilities[rows][:, columns], said[rows], labels=np.array(DIGITS)[columns]
    )
    assert turned.ece == pytest.approx(straight.ece, abs=1e-9)


def test_calibration_is_a_table_in_print():
    probabilities, said = answers(50)
    report = SimpleNamespace(probabilities=probabilities, expected=said, labels=DIGITS, confidence=0.95)
    found = evaluation.Report.calibration(report, n_bins=5)
    lines = str(found).splitlines()
    assert lines[-1] == f"expected calibration error: {100 * found.ece:.1f} points"
    assert len({len(line) for line in lines[:-1]}) == 1
    assert sum(int(line.split()[4]) for line in lines[1:-1]) == 50


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_temper_divides_the_scores(temperature):
    special = pytest.importorskip("scipy.special")
    scores = np.random.default_rng(0).normal(0, 3, (20, 10))
    tempered = evaluation.temper(special.softmax(scores, axis=1), temperature)
    np.testing.assert_allclose(tempered, special.softmax(scores / temperature, axis=1), atol=1e-12)


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 2.0, 5.0])
def test_fit_temperature_equals_a_general_minimiser(sharpness):
    optimize = pytest.importorskip("scipy.optimize")
    metrics = pytest.importorskip("sklearn.metrics")
    probabilities, said = answers(sharpness=sharpness)

    def loss(log_temperature):
        tempered = evaluation.temper(probabilities, np.exp(log_temperature))
        return metrics.log_loss(said, tempered, labels=list(DIGITS))

    theirs = np.exp(optimize.minimize_scalar(loss, bounds=(-3, 3), method="bounded").x)
    ours = evaluation.fit_temperature(probabilities, said, labels=DIGITS)
    assert ours == pytest.approx(theirs, rel=1e-3)
    # The truth was drawn at a sharpness of 1, so what was sharpened must be divided by as much.
    assert ours == pytest.approx(sharpness, rel=0.2)


def test_a_fitted_temperature_mends_the_calibration_of_other_clips_and_changes_no_answer():
    validation, said = answers(2000, sharpness=3, seed=1)
    test, truth = answers(2000, sharpness=3, seed=2)
    temperature = evaluation.fit_temperature(validation, said, labels=DIGITS)
    mended = evaluation.temper(test, temperature)
    before, after = (
        evaluation.expected_calibration_error(each, truth, labels=DIGITS) for each in (test, mended)
    )
    assert after < before / 4
    np.testing.assert_array_equal(test.argmax(axis=1), mended.argmax(axis=1))


def test_a_temperature_has_an_end_when_every_answer_is_right():
    certain = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert evaluation.fit_temperature(certain, ["a", "b"], labels=["a", "b"]) == pytest.approx(0.01, rel=1e-3)
    assert evaluation.fit_temperature(certain, ["b", "a"], labels=["a", "b"]) == pytest.approx(100, rel=1e-3)
    assert np.isfinite(evaluation.temper(certain, 0.01)).all()


@pytest.mark.parametrize(
    ("probabilities", "said", "message"),
    [
        ([[0.5, 0.5]], ["c"], "were said"),
        ([[0.5, 0.5]], ["a", "b"], "one row for each clip"),
        ([[1.0]], ["a"], "one column for each label"),
        ([[3.0, -2.0]], ["a"], "softmax"),
        ([[2.0, 5.0]], ["a"], "softmax"),
        ([[np.nan, 1.0]], ["a"], "softmax"),
        ([0.5, 0.5], ["a"], "shape"),
        (np.empty((0, 2)), [], "not empty"),
    ],
)
def test_what_is_no_probability_is_refused(probabilities, said, message):
    for function in (evaluation.calibration, evaluation.fit_temperature):
        with pytest.raises(ValueError, match=message):
            function(np.array(probabilities), said, labels=["a", "b"])


@pytest.mark.parametrize("n_bins", [0, -1, 2.5, True])
def test_a_number_of_bins_must_be_one(n_bins):
    with pytest.raises(ValueError, match="n_bins"):
        evaluation.calibration(np.array([[1.0, 0.0]]), ["a"], labels=["a", "b"], n_bins=n_bins)


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.inf, np.nan])
def test_a_temperature_is_above_zero(temperature):
    with pytest.raises(ValueError, match="above 0"):
        evaluation.temper(np.array([[1.0, 0.0]]), temperature)


# --- two recognisers


@pytest.mark.parametrize(
    ("only_a", "only_b"), [(0, 0), (1, 0), (5, 5), (9, 1), (1, 9), (30, 12), (700, 640), (3000, 0)]
)
def test_mcnemar_equals_scipys_binomial_test(only_a, only_b):
    stats = pytest.importorskip("scipy.stats")
    a = np.repeat([True, False, True, False], [only_a, only_b, 50, 7])
    b = np.repeat([False, True, True, False], [only_a, only_b, 50, 7])
    n = only_a + only_b
    expected = stats.binomtest(only_a, n, 0.5).pvalue if n else 1.0
    assert evaluation.mcnemar(a, b) == pytest.approx(expected, rel=1e-9, abs=1e-300)
    assert evaluation.mcnemar(a, b) == evaluation.mcnemar(b, a)


def test_mcnemar_is_seldom_small_when_there_is_no_difference():
    rng = np.random.default_rng(0)
    values = [evaluation.mcnemar(*(rng.random((2, 300)) < 0.9)) for _ in range(500)]
    assert np.mean(np.array(values) < 0.05) <= 0.06


@pytest.mark.parametrize(
    ("a", "b"), [([True], [True, False]), ([1, 0], [1, 1]), ([], []), ([["1"]], [["1"]])]
)
def test_mcnemar_refuses_what_does_not_fit(a, b):
    with pytest.raises(ValueError, match="same clips in the same order"):
        evaluation.mcnemar(np.array(a), np.array(b))
