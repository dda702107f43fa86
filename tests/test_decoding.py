"""CTC by hand: against Keras, against a sum over every path, and against finite differences."""

import itertools
import math
from collections import defaultdict

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose

from asrlib import decoding, descent
from asrlib.decoding import Alignment, Bigram, LengthGrammar, beam_search, collapse, ctc_loss

N_FRAMES, N_CLASSES = 4, 3
SCORES = arrays(float, (N_FRAMES, N_CLASSES), elements=st.floats(-8, -0.125, width=32))
BLANKS = st.integers(0, N_CLASSES - 1)


def labels(blank, n_classes=N_CLASSES):
    return [label for label in range(n_classes) if label != blank]


def every_path(scores):
    """Yield each path of a small lattice with its log-probability."""
    log_probabilities = scipy.special.log_softmax(scores, axis=1)
    for path in itertools.product(range(scores.shape[1]), repeat=len(scores)):
        yield path, sum(log_probabilities[frame, label] for frame, label in enumerate(path))


def every_text(scores, blank):
    """Sum the probabilities of all paths with the same text, by looking at every path."""
    sums = defaultdict(float)
    for path, log_probability in every_path(scores):
        sums[tuple(collapse(path, blank=blank))] += math.exp(log_probability)
    return sums


def random_target(rng, n_labels, *, n_classes, blank):
    return rng.choice(labels(blank, n_classes), size=n_labels)


@pytest.fixture(scope="module")
def keras():
    return pytest.importorskip("keras")


# --- scores, paths, texts


@given(SCORES)
def test_log_softmax_is_scipys_and_leaves_its_own_result(scores):
    logs = decoding.log_softmax(scores)
    assert_allclose(logs, scipy.special.log_softmax(scores, axis=1), atol=1e-12)
    assert_allclose(decoding.log_softmax(logs), logs, atol=1e-12)


def test_log_softmax_stands_large_scores_and_impossible_classes():
    with np.errstate(all="raise", under="ignore"):
        assert_allclose(decoding.log_softmax([[1e4, 0.0]]), [[0, -1e4]])
        assert_allclose(decoding.log_softmax([[-np.inf, 0.0, 0.0]]), [[-np.inf, -math.log(2), -math.log(2)]])


@pytest.mark.parametrize(
    ("path", "text"),
    [("", ""), ("---", ""), ("aaa", "a"), ("a-a", "aa"), ("-aa-b-", "ab"), ("aab-b", "abb"), ("ab", "ab")],
)
def test_collapse_of_known_paths(path, text):
    assert "".join(collapse(path, blank="-")) == text
    numbers = [".-ab".index(symbol) for symbol in path]
    assert collapse(numbers, blank=1) == [".-ab".index(symbol) for symbol in text]
    assert collapse(np.array(numbers, int), blank=1) == collapse(numbers, blank=1)


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(1, 4), min_size=1))
def test_a_slower_path_has_the_same_text(path, lengths):
    slower = [label for label, n in zip(path, itertools.cycle(lengths)) for _ in range(n)]
    assert collapse(slower) == collapse(path)


def test_collapse_says_that_a_blank_could_never_occur():
    with pytest.raises(ValueError, match="the blank is 0: they are never equal"):
        collapse("5 0 3")
    with pytest.raises(ValueError, match="never equal"):
        collapse([0, 1], blank="-")


@pytest.mark.parametrize("blank", [0, 4, 10])
def test_words_and_labels_leave_a_place_for_the_blank(blank):
    names = list("0123456789")
    numbers = decoding.to_labels(names, names, blank=blank)
    assert sorted([*numbers, blank]) == list(range(11))
    assert decoding.to_words(numbers, names, blank=blank) == names


def test_unknown_words_and_labels_are_named():
    with pytest.raises(ValueError, match=r"oh came\. Expected words among 0, 1"):
        decoding.to_labels(["1", "oh"], "01")
    with pytest.raises(ValueError, match="holds 0, which is the blank"):
        decoding.to_words([1, 0], "01")
    with pytest.raises(ValueError, match=r"no class\. Expected numbers from 0 to 2"):
        decoding.to_words([3], "01")
    with pytest.raises(ValueError, match="hold one twice"):
        decoding.to_labels(["0"], "00")
    with pytest.raises(ValueError, match=r"blank=3 came\. Expected the number of a class, from 0 to 2"):
        decoding.to_labels(["0"], "01", blank=3)


@given(st.lists(st.integers(1, 2), max_size=4))
def test_frames_needed_is_the_shortest_path_with_the_text(target):
    n = next(n for n in range(9) if any(collapse(p) == target for p in itertools.product(range(3), repeat=n)))
    assert decoding.frames_needed(target) == n


# --- the loss


@settings(max_examples=30)
@given(SCORES, BLANKS)
def test_the_loss_of_every_text_is_the_sum_over_its_paths(scores, blank):
    sums = every_text(scores, blank)
    for n in range(N_FRAMES + 1):
        for target in itertools.product(labels(blank), repeat=n):
            loss = ctc_loss(scores, target, blank=blank)
            assert math.exp(-loss) == pytest.approx(sums.get(target, 0), rel=1e-9)
            assert (loss == math.inf) == (target not in sums)
    assert sum(sums.values()) == pytest.approx(1)


@pytest.mark.parametrize("blank", [0, 2, 10])
def test_the_loss_is_keras_own_on_many_random_cases(keras, blank):
    rng = np.random.default_rng(blank)
    batch, n_frames, n_classes, widest = 300, 24, 11, 10
    scores = rng.normal(scale=rng.uniform(0, 4, size=(batch, 1, 1)), size=(batch, n_frames, n_classes))
    scores = scores.astype(np.float32)
    ends = rng.integers(1, n_frames + 1, size=batch)
    widths = rng.integers(0, widest + 1, size=batch)
    targets = np.stack([random_target(rng, widest, n_classes=n_classes, blank=blank) for _ in range(batch)])
    targets[::3, 1:4] = targets[::3, :1]  # the same label four times over
    ours = ctc_loss(scores, targets, n_frames=ends, n_labels=widths, blank=blank)
    theirs = keras.ops.ctc_loss(targets, scores, widths, ends, mask_index=blank)
    theirs = keras.ops.convert_to_numpy(theirs)
    possible = np.isfinite(ours)
    assert_allclose(ours[possible], theirs[possible], rtol=1e-5, atol=1e-5)
    needed = [
        decoding.frames_needed(target[:width].tolist()) for target, width in zip(targets, widths, strict=True)
    ]
    assert (possible == (needed <= ends)).all()
    assert (theirs[~possible] > 700).all()
    assert min(possible.sum(), (~possible).sum(), (widths == 0).sum()) > 5  # the test saw each kind
    for clip in range(0, batch, 10):
        one = ctc_loss(scores[clip, : ends[clip]], targets[clip, : widths[clip]], blank=blank)
        assert one == pytest.approx(ours[clip], rel=1e-12)


def test_the_loss_is_that_of_keras_losses_ctc(keras):
    """Which takes 0 for the blank, pads with it, and averages over the batch."""
    rng = np.random.default_rng(5)
    scores = rng.normal(size=(8, 12, 6)).astype(np.float32)
    targets = [random_target(rng, n, n_classes=6, blank=0) for n in (0, 1, 2, 3, 4, 5, 5, 6)]
    padded = np.zeros((8, 6), int)
    for row, target in zip(padded, targets, strict=True):
        row[: len(target)] = target
    theirs = float(keras.losses.CTC()(padded, scores))
    assert ctc_loss(scores, targets).mean() == pytest.approx(theirs, rel=1e-5)
    assert_allclose(
        ctc_loss(scores, padded, n_labels=[len(target) for target in targets]), ctc_loss(scores, targets)
    )


def test_what_pads_a_batch_does_not_matter():
    rng = np.random.default_rng(6)
    scores = rng.normal(size=(2, 9, 4))
    once = ctc_loss(scores, [[1, 2, 3], [3, 3, 0]], n_frames=[9, 5], n_labels=[3, 2])
    scores[1, 5:] = 100 * rng.normal(size=(4, 4))
    again = ctc_loss(scores, [[1, 2, 3], [3, 3, -1]], n_frames=[9, 5], n_labels=[3, 2])
    assert_allclose(once, again)
    assert_allclose(once, [ctc_loss(scores[0], [1, 2, 3]), ctc_loss(scores[1, :5], [3, 3])])
    assert_allclose(ctc_loss(scores, [[], []]), [ctc_loss(clip, []) for clip in scores])


def test_a_long_clip_neither_underflows_nor_warns():
    scores = np.random.default_rng(7).normal(scale=20, size=(3000, 11))
    with np.errstate(all="raise", under="ignore"):
        loss = ctc_loss(scores, [1, 2, 3] * 20)
    assert 10_000 < loss < math.inf
    assert math.exp(-loss) == 0  # what the logarithms are for


def test_impossible_classes_make_texts_impossible():
    scores = np.log([[0.5, 0.5, 1e-300], [0.5, 0.5, 1e-300]])
    scores[:, 2] = -np.inf
    assert ctc_loss(scores, [2]) == math.inf
    assert math.exp(-ctc_loss(scores, [1])) == pytest.approx(0.75)
    with pytest.raises(ValueError, match=r"text \[2\] has a probability of 0: a score of minus infinity"):
        decoding.ctc_gradient(scores, [2])


@pytest.mark.parametrize("target", [[], [1], [2, 1], [1, 1], [2, 2, 1]])
def test_the_forward_lattice_is_the_sum_of_the_beginnings(target):
    """α(t, s) is the probability of all beginnings of paths that are at node s in frame t."""
    scores = np.random.default_rng(8).normal(size=(N_FRAMES, N_CLASSES))
    nodes = decoding.with_blanks(target)
    alphas = np.exp(decoding.ctc_forward(scores, target))
    assert alphas.shape == (N_FRAMES, len(nodes))
    for frame, node in np.ndindex(alphas.shape):
        # A beginning is at node s when it has the text of the nodes before and ends with the class of s.
        text = [label for label in nodes[: node + 1] if label]
        expected = sum(
            math.exp(log_probability)
            for path, log_probability in every_path(scores[: frame + 1])
            if collapse(path) == text and path[-1] == nodes[node]
        )
        assert alphas[frame, node] == pytest.approx(expected, rel=1e-9)


@given(SCORES, BLANKS, st.data())
def test_forward_and_backward_agree_at_every_frame(scores, blank, data):
    target = data.draw(st.lists(st.sampled_from(labels(blank)), max_size=2))
    alphas = decoding.ctc_forward(scores, target, blank=blank)
    betas = decoding.ctc_backward(scores, target, blank=blank)
    totals = np.logaddexp.reduce(alphas + betas, axis=1)
    assert_allclose(totals, -ctc_loss(scores, target, blank=blank), atol=1e-9)
    posterior = decoding.ctc_posterior(scores, target, blank=blank)
    assert_allclose(posterior.sum(axis=1), 1, atol=1e-9)


def test_the_posterior_is_the_share_of_the_paths_through_a_node():
    scores = np.random.default_rng(9).normal(size=(5, 3))
    paths = [(path, math.exp(log)) for path, log in every_path(scores) if collapse(path) == [2, 1]]
    total = sum(weight for _, weight in paths)
    posterior = decoding.ctc_posterior(scores, [2, 1])
    for frame in range(5):
        said_two = sum(weight for path, weight in paths if path[frame] == 2)
        assert posterior[frame, 1] == pytest.approx(said_two / total)
        blank = sum(weight for path, weight in paths if path[frame] == 0)
        assert posterior[frame, ::2].sum() == pytest.approx(blank / total)


@pytest.mark.parametrize("blank", [0, 1, 4])
@pytest.mark.parametrize("n_labels", [0, 1, 3])
def test_the_gradient_is_what_finite_differences_measure(blank, n_labels):
    rng = np.random.default_rng(n_labels)
    scores = rng.normal(size=(7, 5))
    target = random_target(rng, n_labels, n_classes=5, blank=blank)
    target = np.concatenate([target, target[:1]])
    measured = descent.finite_difference(lambda at: ctc_loss(at, target, blank=blank), scores)
    slopes = decoding.ctc_gradient(scores, target, blank=blank)
    assert_allclose(slopes, measured, atol=1e-8)
    assert_allclose(slopes.sum(axis=1), 0, atol=1e-12)


def test_walking_down_the_gradient_teaches_a_text():
    scores = np.random.default_rng(10).normal(size=(12, 5))
    for _ in range(100):
        scores -= decoding.ctc_gradient(scores, [4, 4, 1])
    assert decoding.greedy(scores).labels == (4, 4, 1)
    assert ctc_loss(scores, [4, 4, 1]) < 0.3


# --- the most probable path


@given(SCORES, BLANKS)
def test_greedy_is_the_best_of_all_paths(scores, blank):
    found = decoding.greedy(scores, blank=blank)
    assert found.log_probability == pytest.approx(max(log for _, log in every_path(scores)), abs=1e-9)
    assert found.labels == tuple(collapse(found.path, blank=blank))


def test_greedy_is_keras_own(keras):
    scores = np.random.default_rng(11).normal(size=(40, 15, 6)).astype(np.float32)
    theirs, _ = keras.ops.ctc_decode(scores, [15] * 40, strategy="greedy")
    theirs = keras.ops.convert_to_numpy(theirs)[0]
    for clip, row in zip(scores, theirs, strict=True):
        assert decoding.greedy(clip).labels == tuple(row[row >= 0])


@given(SCORES, BLANKS, st.data())
def test_forced_alignment_is_the_best_path_with_the_text(scores, blank, data):
    target = data.draw(st.lists(st.sampled_from(labels(blank)), max_size=N_FRAMES))
    having = {path: log for path, log in every_path(scores) if collapse(path, blank=blank) == target}
    if not having:
        with pytest.raises(ValueError, match="No path of 4 frames has the text"):
            decoding.forced_alignment(scores, target, blank=blank)
        return
    found = decoding.forced_alignment(scores, target, blank=blank)
    assert found.log_probability == pytest.approx(max(having.values()), abs=1e-9)
    assert having[found.path] == pytest.approx(found.log_probability, abs=1e-9)
    assert found.labels == tuple(target)


def test_the_best_path_of_its_own_text_is_the_greedy_one():
    scores = np.random.default_rng(12).normal(scale=2, size=(200, 11))
    found = decoding.greedy(scores)
    again = decoding.forced_alignment(scores, found.labels)
    assert again.log_probability == pytest.approx(found.log_probability)


def test_spans_say_when_each_label_is_there():
    scores = np.full((8, 4), -5.0)
    scores[range(8), [0, 3, 3, 0, 3, 1, 0, 0]] = 5
    spans = decoding.forced_alignment(scores, [3, 3, 1]).spans(frame_seconds=0.02)
    assert [span.label for span in spans] == [3, 3, 1]
    assert_allclose([span.start for span in spans], [0.02, 0.08, 0.10])
    assert_allclose([span.end for span in spans], [0.06, 0.10, 0.12])
    assert_allclose([span.probability for span in spans], 1, atol=1e-3)
    assert decoding.greedy(scores).spans(frame_seconds=0.02) == spans


def test_a_span_is_as_probable_as_its_frames_are_in_the_mean():
    path = Alignment(path=(2, 2, 0), log_probabilities=(math.log(0.9), math.log(0.4), -1.0))
    assert path.spans(frame_seconds=1)[0].probability == pytest.approx(0.6)
    other = Alignment(path=(2, 2, 0), log_probabilities=(0.0,) * 3, blank=2)
    assert [span[:3] for span in other.spans(frame_seconds=1)] == [(0, 2, 3)]
    for wrong in (0, -0.1, math.nan):
        with pytest.raises(ValueError, match="Expected a positive number of seconds"):
            path.spans(frame_seconds=wrong)


# --- the most probable text


@settings(max_examples=30)
@given(SCORES, BLANKS)
def test_a_wide_beam_finds_every_text_with_its_probability(scores, blank):
    sums = every_text(scores, blank)
    found = beam_search(scores, beam_width=1000, blank=blank)
    assert {each.labels for each in found} == set(sums)
    for each in found:
        assert math.exp(each.log_probability) == pytest.approx(sums[each.labels], rel=1e-9)
        assert each.score == each.log_probability
    ranks = [each.score for each in found]
    assert ranks == sorted(ranks, reverse=True)


@settings(max_examples=30)
@given(SCORES, st.floats(0, 3), st.floats(-2, 2))
def test_a_text_score_counts_as_much_as_it_should(scores, weight, bonus):
    model = Bigram.from_texts([[1, 2], [1], [2, 2, 1]], n_classes=N_CLASSES)
    sums = every_text(scores, 0)
    by_hand = {
        text: math.log(sums[text]) + weight * model.log_probability(text) + bonus * len(text) for text in sums
    }
    found = beam_search(scores, beam_width=1000, text=model, text_weight=weight, label_bonus=bonus)
    assert {each.labels for each in found} == set(by_hand)
    for each in found:
        assert each.score == pytest.approx(by_hand[each.labels], abs=1e-9)
        assert math.exp(each.log_probability) == pytest.approx(sums[each.labels], rel=1e-9)


@given(SCORES)
def test_a_grammar_leaves_what_it_permits(scores):
    grammar = LengthGrammar(shortest=1, longest=2, labels={2})
    found = beam_search(scores, beam_width=1000, text=grammar)
    assert {each.labels for each in found} == {(2,), (2, 2)}
    sums = every_text(scores, 0)
    for each in found:
        assert each.score == pytest.approx(math.log(sums[each.labels]), abs=1e-9)


@pytest.mark.parametrize("beam_width", [1, 2, 5, 40])
def test_a_narrow_beam_never_counts_too_much(beam_width):
    rng = np.random.default_rng(13)
    for _ in range(5):
        scores = rng.normal(scale=2, size=(12, 6))
        found = beam_search(scores, beam_width=beam_width)
        assert 1 <= len(found) <= beam_width
        assert len({each.labels for each in found}) == len(found)
        for each in found:
            assert each.log_probability <= -ctc_loss(scores, each.labels) + 1e-9


def test_a_sharp_network_needs_no_beam():
    path = [0, 3, 3, 0, 3, 0, 1, 1, 2, 0]
    scores = 20 * np.eye(5)[path] + np.random.default_rng(14).normal(size=(10, 5))
    for width in (1, 4, 16):
        assert (
            beam_search(scores, beam_width=width)[0].labels == (3, 3, 1, 2) == decoding.greedy(scores).labels
        )


def test_a_cutoff_leaves_out_only_what_is_improbable():
    scores = np.log([[0.5, 0.4, 0.1], [0.5, 0.4, 0.1]])
    assert beam_search(scores, cutoff=0.05) == beam_search(scores)
    assert {each.labels for each in beam_search(scores, cutoff=0.2)} == {(), (1,)}
    assert [each.labels for each in beam_search(scores, cutoff=0.9)] == [()]


def test_the_most_probable_text_is_not_that_of_the_most_probable_path():
    scores = np.log([[0.6, 0.4], [0.6, 0.4]])
    assert decoding.greedy(scores).labels == ()
    assert beam_search(scores)[0].labels == (1,)


def test_the_beam_is_keras_own(keras):
    scores = np.random.default_rng(15).normal(size=(20, 8, 4)).astype(np.float32)
    theirs, logs = keras.ops.ctc_decode(scores, [8] * 20, strategy="beam_search", beam_width=500, top_paths=1)
    theirs = keras.ops.convert_to_numpy(theirs)[0]
    for clip, row, log in zip(scores, theirs, keras.ops.convert_to_numpy(logs)[:, 0], strict=True):
        best = beam_search(clip, beam_width=500)[0]
        assert best.labels == tuple(row[row >= 0])
        assert best.log_probability == pytest.approx(log, abs=1e-4)


def test_a_grammar_that_nothing_satisfies_is_said():
    with pytest.raises(ValueError, match="None of the texts that 3 frames left in a beam of 16 is permitted"):
        beam_search(np.zeros((3, 3)), text=LengthGrammar(shortest=4))


def test_a_grammar_of_ones_own_needs_two_methods():
    class Rising:
        """Labels must rise."""

        def step(self, prefix, label):
            return 0 if not prefix or label > prefix[-1] else -math.inf

        def end(self, prefix):
            return 0

    scores = np.random.default_rng(16).normal(size=(6, 5))
    for each in beam_search(scores, text=Rising(), beam_width=100):
        assert all(one < other for one, other in itertools.pairwise(each.labels))
    Rising.end = lambda self, prefix: math.nan
    with pytest.raises(ValueError, match="answered nan for None after"):
        beam_search(scores, text=Rising())
    assert beam_search(scores, text=Rising(), text_weight=0) == beam_search(scores)


# --- what is known about texts


def test_a_bigram_counts_pairs():
    model = Bigram.from_texts([[1, 2, 1], [2]], n_classes=3, smoothing=1e-9)
    chances = np.exp(model.log_probabilities)
    assert_allclose(chances, [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]], atol=1e-6)
    assert math.exp(model.log_probability([1, 2, 1])) == pytest.approx(0.5**4, rel=1e-6)
    assert math.exp(model.end((2, 1))) == pytest.approx(0.5, rel=1e-6)


@pytest.mark.parametrize("blank", [0, 1, 2])
def test_the_probabilities_of_all_texts_add_up_to_one(blank):
    model = Bigram.from_texts([labels(blank)] * 3 + [[]], n_classes=3, smoothing=0.5, blank=blank)
    texts = itertools.chain.from_iterable(itertools.product(labels(blank), repeat=n) for n in range(10))
    total = sum(math.exp(model.log_probability(text)) for text in texts)
    assert total == pytest.approx(1, abs=0.02)
    assert total < 1


def test_smoothing_leaves_everything_possible():
    model = Bigram.from_texts([[1, 1]], n_classes=4, smoothing=1000)
    assert_allclose(np.exp(model.log_probabilities), 0.25, atol=1e-3)
    assert np.isfinite(Bigram.from_texts([[]], n_classes=4, smoothing=0.01).log_probabilities).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Bigram.from_texts([], n_classes=3), "No texts came"),
        (lambda: Bigram.from_texts([[1]], n_classes=3, smoothing=0), "smoothing=0 came"),
        (lambda: Bigram.from_texts([[1, 0]], n_classes=3), "holds 0, which is the blank"),
        (lambda: Bigram.from_texts([[3]], n_classes=3), "Expected numbers from 0 to 2"),
        (lambda: Bigram(np.zeros((3, 3))), "does not add up to 1"),
        (lambda: Bigram(np.zeros((3, 2))), r"shape \(3, 2\) came"),
        (lambda: LengthGrammar(shortest=3, longest=2), "Expected 0 <= shortest <= longest"),
        (lambda: LengthGrammar(shortest=-1), "shortest=-1"),
    ],
)
def test_impossible_models_of_text_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# --- what may come in

TAKERS = {
    "ctc_forward": lambda scores, **more: decoding.ctc_forward(scores, [1], **more),
    "ctc_backward": lambda scores, **more: decoding.ctc_backward(scores, [1], **more),
    "ctc_posterior": lambda scores, **more: decoding.ctc_posterior(scores, [1], **more),
    "ctc_loss": lambda scores, **more: ctc_loss(scores, [1], **more),
    "ctc_gradient": lambda scores, **more: decoding.ctc_gradient(scores, [1], **more),
    "forced_alignment": lambda scores, **more: decoding.forced_alignment(scores, [1], **more),
    "greedy": decoding.greedy,
    "beam_search": beam_search,
}


@pytest.mark.parametrize("take", TAKERS.values(), ids=TAKERS)
def test_bad_scores_are_refused(take):
    with pytest.raises(ValueError, match=r"look like probabilities.*np\.log"):
        take(np.full((6, 4), 0.25, np.float32))
    with pytest.raises(ValueError, match="hold NaN"):
        take(np.array([[0.0, 1.0], [np.nan, 0.0]]))
    with pytest.raises(ValueError, match="every class is impossible"):
        take(np.array([[0.0, 1.0], [-np.inf, -np.inf]]))
    with pytest.raises(ValueError, match=r"shape \(0, 3\) came.*at least one frame"):
        take(np.zeros((0, 3)))
    with pytest.raises(ValueError, match=r"shape \(3,\) came"):
        take(np.zeros(3))
    for blank in (-1, 3, True, 0.0, None):
        with pytest.raises(ValueError, match=f"blank={blank!r} came.*from 0 to 2"):
            take(np.zeros((5, 3)), blank=blank)


@pytest.mark.parametrize("take", TAKERS.values(), ids=TAKERS)
def test_scores_and_their_logarithms_give_the_same(take):
    scores = np.random.default_rng(17).normal(size=(5, 4))
    logs, raw = take(decoding.log_softmax(scores)), take(scores)
    if isinstance(raw, (float, np.ndarray)):
        assert_allclose(logs, raw, atol=1e-12)
    elif isinstance(raw, list):
        assert [each.labels for each in logs] == [each.labels for each in raw]
    else:
        assert logs.path == raw.path


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ([1, 0], "holds 0, which is the blank"),
        ([3], "Expected numbers from 0 to 2"),
        ([-1], "Expected numbers from 0 to 2"),
        ([1.0], "Expected class numbers in one row"),
        ("12", "'12' came as a text.*to_labels"),
        (["1"], "to_labels"),
        ([[1]], "Expected class numbers in one row"),
    ],
)
def test_bad_texts_are_refused(target, message):
    for take in (ctc_loss, decoding.ctc_forward, decoding.ctc_gradient, decoding.forced_alignment):
        with pytest.raises(ValueError, match=message):
            take(np.zeros((5, 3)), target)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"beam_width": 0}, "beam_width=0 came"),
        ({"beam_width": 2.5}, "beam_width=2.5 came"),
        ({"text_weight": -1}, "text_weight=-1 came"),
        ({"label_bonus": math.inf}, "label_bonus=inf came"),
        ({"cutoff": 1.0}, "cutoff=1.0 came"),
        ({"cutoff": -0.1}, "cutoff=-0.1 came"),
    ],
)
def test_bad_settings_of_a_search_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        beam_search(np.zeros((2, 3)), **wrong)


@pytest.mark.parametrize(
    ("targets", "more", "message"),
    [
        ([[1]], {}, "1 texts came for 2 clips"),
        ([[1], [2]], {"n_frames": [5]}, r"n_frames=\[5\] came. Expected 2 whole numbers from 1 to 5"),
        ([[1], [2]], {"n_frames": [0, 5]}, "from 1 to 5"),
        ([[1], [2]], {"n_frames": [5, 6]}, "from 1 to 5"),
        ([[1], [2]], {"n_labels": [1, 2]}, "n_labels.*from 0 to 1"),
        ([[1, 0], [2, 1]], {}, "holds 0, which is the blank.*n_labels"),
    ],
)
def test_bad_batches_are_refused(targets, more, message):
    with pytest.raises(ValueError, match=message):
        ctc_loss(np.zeros((2, 5, 3)), targets, **more)


def test_lengths_belong_to_a_batch():
    with pytest.raises(ValueError, match="They are for a batch"):
        ctc_loss(np.zeros((5, 3)), [1], n_frames=[5])
