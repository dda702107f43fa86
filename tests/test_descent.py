"""Losses, gradients, optimisers, schedules, walks: against Keras, SciPy, scikit-learn and known answers."""

import math
from itertools import pairwise

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from asrlib import descent
from asrlib.descent import Bowl, Plane, SoftmaxRegression, minimise

SCORES = arrays(float, (5, 4), elements=st.floats(-50, 50))


def problem(n_clips=60, n_features=4, n_classes=3, *, l2=0.0, seed=0):
    """Overlapping clouds of points, features of unequal size."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n_clips) % n_classes
    centres = rng.normal(size=(n_classes, n_features))
    features = (centres[labels] + rng.normal(size=(n_clips, n_features))) * np.logspace(0, 0.7, n_features)
    return SoftmaxRegression(features, labels, l2=l2)


# --- the loss


@given(SCORES)
def test_softmax_is_scipys_and_adds_up_to_one(scores):
    p = descent.softmax(scores)
    assert_allclose(p, scipy.special.softmax(scores, axis=1), rtol=1e-12)
    assert_allclose(p.sum(axis=1), 1)
    assert_allclose(descent.softmax(scores + 7), p, rtol=1e-9, atol=1e-300)


def test_softmax_stands_scores_that_would_overflow():
    assert_array_equal(descent.softmax(np.array([1e5, 0.0])), [1, 0])


@given(SCORES)
def test_cross_entropy_is_scikit_learns(scores):
    labels = np.array([0, 3, 1, 2, 3])
    mild = scores / 5  # scikit-learn clips probabilities near 0
    expected = log_loss(labels, scipy.special.softmax(mild, axis=1), labels=range(4))
    assert descent.cross_entropy(mild, labels) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_an_impossible_truth_is_a_finite_surprise():
    assert_allclose(descent.surprise(np.array([[0.0, 2000.0]]), np.array([0])), [2000])
    assert_allclose(descent.surprise(np.zeros((2, 10)), np.array([0, 9])), math.log(10))


@given(SCORES)
def test_gradient_is_what_finite_differences_measure(scores):
    labels = np.array([0, 3, 1, 2, 3])
    exact = descent.gradient(scores, labels)
    measured = descent.finite_difference(lambda s: descent.cross_entropy(s, labels), scores)
    assert_allclose(exact, measured, atol=1e-7)
    assert_allclose(exact.sum(axis=1), 0, atol=1e-12)


def test_finite_difference_of_a_square_is_exact_and_leaves_its_argument_alone():
    at = np.array([[1.0, -2.0], [0.5, 3.0]])
    before = at.copy()
    assert_allclose(descent.finite_difference(lambda x: float(np.sum(x**2)), at), 2 * at, rtol=1e-9)
    assert_array_equal(at, before)
    # Of a cube it is wrong by the square of the step.
    wrong = descent.finite_difference(lambda x: float(np.sum(x**3)), at, step=0.1) - 3 * at**2
    assert_allclose(wrong, 0.01, rtol=1e-9)


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (np.zeros(3), np.zeros(3, int), r"\(3,\)"),
        (np.zeros((3, 2)), np.zeros(2, int), r"\(3, 2\) and labels \(2,\)"),
        (np.zeros((3, 2)), np.zeros(3), "whole numbers"),
    ],
)
def test_scores_and_labels_that_do_not_fit_are_refused(scores, labels, message):
    for function in (descent.surprise, descent.cross_entropy, descent.gradient):
        with pytest.raises(ValueError, match=message):
            function(scores, labels)


# --- objectives


@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_softmax_regression_knows_its_gradient(l2):
    model = problem(l2=l2)
    weights = np.random.default_rng(1).normal(size=(5, 3))
    for rows in (slice(None), np.array([3, 14, 15])):
        measured = descent.finite_difference(lambda w, rows=rows: model.loss(w, rows), weights)
        assert_allclose(model.gradient(weights, rows), measured, atol=1e-8)


def test_its_minimum_is_scikit_learns():
    model = problem(l2=0.01)
    path = minimise(model, model.start(), optimizer=descent.Nesterov(0.03), epochs=4000)
    assert np.abs(model.gradient(path.end)).max() < 1e-6
    theirs = LogisticRegression(C=1 / (0.01 * len(model)), fit_intercept=False, tol=1e-9, max_iter=10_000)
    theirs.fit(model.inputs, model.labels)
    assert_allclose(path.end, theirs.coef_.T, atol=1e-4)


def test_gradients_of_single_clips_average_to_the_gradient_of_all():
    model = problem()
    weights = np.random.default_rng(1).normal(size=(5, 3))
    single = [model.gradient(weights, np.array([row])) for row in range(len(model))]
    assert_allclose(np.mean(single, axis=0), model.gradient(weights), atol=1e-12)


def test_scores_of_other_clips_have_the_bias():
    model = problem()
    weights = np.random.default_rng(1).normal(size=(5, 3))
    assert_allclose(model.scores(weights, np.zeros((2, 4))), [weights[-1]] * 2)
    assert_allclose(model.scores(weights), model.scores(weights, model.inputs[:, :-1]))


def test_labels_beyond_the_classes_are_refused():
    with pytest.raises(ValueError, match="from 0 to 5; expected 0 to 2"):
        SoftmaxRegression(np.zeros((2, 1)), np.array([0, 5]), n_classes=3)
    with pytest.raises(ValueError, match="from -1"):
        SoftmaxRegression(np.zeros((2, 1)), np.array([-1, 1]))


def hessian(objective, weights):
    columns = [
        descent.hessian_times(objective, weights, unit.reshape(weights.shape)).ravel()
        for unit in np.eye(weights.size)
    ]
    return np.array(columns)


def test_at_zero_the_curvature_is_that_of_the_features():
    """There all classes are alike: the Hessian is (I - 1/K) / K times the mean square of the inputs."""
    model = problem()
    curvature, direction = descent.sharpest(model, model.start(), rng=np.random.default_rng(0), n_steps=300)
    of_inputs = np.linalg.eigvalsh(model.inputs.T @ model.inputs / len(model))
    assert curvature == pytest.approx(of_inputs[-1] / 3, rel=1e-6)
    assert np.linalg.norm(direction) == pytest.approx(1)
    assert_allclose(descent.hessian_times(model, model.start(), direction), curvature * direction, atol=1e-4)


def test_the_sharpest_direction_is_the_hessians_largest_eigenvalue():
    model = problem()
    weights = np.random.default_rng(1).normal(0, 0.3, size=(5, 3))
    whole = hessian(model, weights)
    assert_allclose(whole, whole.T, atol=1e-6)
    assert np.linalg.eigvalsh(whole)[0] > -1e-6  # a softmax regression has no hills
    curvature, _ = descent.sharpest(model, weights, rng=np.random.default_rng(0), n_steps=500)
    assert curvature == pytest.approx(np.linalg.eigvalsh(whole)[-1], rel=1e-6)


def test_a_flat_loss_has_no_curvature():
    assert descent.sharpest(Bowl(np.zeros(3)), np.ones(3), rng=np.random.default_rng(0))[0] == 0


def test_a_plane_is_a_window_on_the_same_loss():
    model = problem(l2=0.1)
    rng = np.random.default_rng(1)
    origin, one, two = rng.normal(size=(3, 5, 3))
    plane = Plane(model, origin=origin, directions=[one, two])
    point = np.array([0.4, -1.3])
    assert_allclose(plane.project(plane.weights(point)), point)
    assert_allclose(plane.project(np.stack([origin, plane.weights(point)])), [[0, 0], point], atol=1e-12)
    assert plane.loss(point) == model.loss(plane.weights(point))
    assert_allclose(plane.gradient(point), descent.finite_difference(plane.loss, point), atol=1e-7)
    assert_allclose(plane.weights(np.array([np.linalg.norm(one), 0])), origin + one)
    assert plane.project(origin + two)[1] > 0
    assert len(plane) == len(model)
    # The nearest point: what is left is perpendicular to the plane.
    other = rng.normal(size=(5, 3))
    left = other - plane.weights(plane.project(other))
    assert abs(np.sum(left * one)) < 1e-9 > abs(np.sum(left * two))


def test_directions_that_span_no_plane_are_refused():
    with pytest.raises(ValueError, match="lie in one another"):
        Plane(Bowl(np.ones(3)), origin=np.zeros(3), directions=[[1, 2, 3], [-2, -4, -6]])


def test_the_surface_has_the_first_weight_across():
    across, up = np.array([0.0, 1.0, 2.0]), np.array([5.0, 6.0])
    surface = descent.loss_surface(Bowl(np.array([2.0, 20.0])), across=across, up=up)
    assert_allclose(surface, across**2 + 10 * up[:, None] ** 2)


# --- optimisers, step for step


@pytest.fixture(scope="module")
def keras():
    keras = pytest.importorskip("keras")
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    yield keras
    keras.config.set_floatx(before)


SETTINGS = {"momentum", "rho", "epsilon", "beta_1", "beta_2", "weight_decay"}
OPTIMIZERS = {
    "SGD": (descent.SGD(), lambda k: k.SGD()),
    "SGD, fast": (descent.SGD(learning_rate=0.3), lambda k: k.SGD(learning_rate=0.3)),
    "Momentum": (descent.Momentum(), lambda k: k.SGD(momentum=0.9)),
    "Momentum 0.5": (descent.Momentum(0.1, momentum=0.5), lambda k: k.SGD(0.1, momentum=0.5)),
    "Nesterov": (descent.Nesterov(), lambda k: k.SGD(momentum=0.9, nesterov=True)),
    "RMSProp": (descent.RMSProp(), lambda k: k.RMSprop()),
    "RMSProp, short": (
        descent.RMSProp(0.02, rho=0.5, epsilon=1e-3),
        lambda k: k.RMSprop(0.02, rho=0.5, epsilon=1e-3),
    ),
    "Adam": (descent.Adam(), lambda k: k.Adam()),
    "Adam, other": (
        descent.Adam(0.05, beta_1=0.8, beta_2=0.95, epsilon=1e-2),
        lambda k: k.Adam(0.05, beta_1=0.8, beta_2=0.95, epsilon=1e-2),
    ),
    "AdamW": (descent.AdamW(), lambda k: k.AdamW()),
    "AdamW, strong": (
        descent.AdamW(0.05, weight_decay=0.3),
        lambda k: k.AdamW(0.05, weight_decay=0.3),
    ),
    "falling": (
        descent.AdamW(descent.CosineDecay(0.0, 30, warmup_target=0.1, warmup_steps=5)),
        lambda k: k.AdamW(k.schedules.CosineDecay(0.0, 30, warmup_target=0.1, warmup_steps=5)),
    ),
    "stairs": (
        descent.Momentum(descent.PiecewiseConstantDecay([4, 9], [0.2, 0.05, 0.01])),
        lambda k: k.SGD(k.schedules.PiecewiseConstantDecay([4, 9], [0.2, 0.05, 0.01]), momentum=0.9),
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_step_is_keras_own(name, keras):
    """The same forty batches; at each step the gradient is taken where our own weights are."""
    ours, theirs = OPTIMIZERS[name][0], OPTIMIZERS[name][1](keras.optimizers)
    # Keras casts its settings through float32 even for float64 weights; 1 - 0.999 is then wrong by 1e-5 of
    # itself. As tensors of float64 they stay what they are, and so does the comparison. Not so in schedules.
    for setting in SETTINGS & set(vars(theirs)):
        if getattr(theirs, setting) is not None:
            exact = keras.ops.convert_to_tensor(getattr(theirs, setting), "float64")
            object.__setattr__(theirs, setting, exact)
    tolerance = 1e-6 if callable(ours.learning_rate) else 1e-12
    model, rng = problem(), np.random.default_rng(2)
    weights = rng.normal(size=(5, 3))
    variable = keras.Variable(weights, dtype="float64")
    theirs.build([variable])
    ours = type(ours)(**{k: v for k, v in vars(ours).items() if k in hyperparameters(ours)})
    for _ in range(40):
        slope = model.gradient(weights, rng.integers(0, len(model), 8))
        weights = ours.step(weights, slope)
        theirs.apply([keras.ops.convert_to_tensor(slope, "float64")], [variable])
        assert_allclose(variable.numpy(), weights, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", ["SGD", "Momentum", "Nesterov", "RMSProp", "Adam", "AdamW"])
def test_every_step_is_keras_own_as_it_comes(name, keras):
    """With its defaults, untouched, within 1e-6."""
    ours, theirs = OPTIMIZERS[name][0], OPTIMIZERS[name][1](keras.optimizers)
    model = problem()
    variable = keras.Variable(model.start(), dtype="float64")

    class Compared(type(ours)):
        def step(self, weights, gradient):
            weights = super().step(weights, gradient)
            theirs.apply([keras.ops.convert_to_tensor(gradient, "float64")], [variable])
            assert_allclose(variable.numpy(), weights, rtol=0, atol=1e-6)
            return weights

    path = minimise(
        model,
        model.start(),
        optimizer=Compared(),
        batch_size=8,
        epochs=5,
        rng=np.random.default_rng(0),
    )
    assert path.steps[-1] == 40


def hyperparameters(optimizer):
    return [name for name, entry in optimizer.__dataclass_fields__.items() if entry.init]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("SGD", "SGD"),
        ("Momentum", "SGD"),
        ("Nesterov", "SGD"),
        ("RMSProp", "RMSprop"),
        ("Adam", "Adam"),
        ("AdamW", "AdamW"),
    ],
)
def test_names_and_defaults_are_keras(ours, theirs, keras):
    mine, config = getattr(descent, ours)(), getattr(keras.optimizers, theirs)().get_config()
    for name in hyperparameters(mine):
        if (ours, name) in (("Momentum", "momentum"), ("Nesterov", "momentum")):
            assert getattr(mine, name) == 0.9  # Keras' own default, 0, is plain SGD
        else:
            assert getattr(mine, name) == pytest.approx(config[name], rel=1e-6)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("ExponentialDecay", {"decay_steps": 7, "decay_rate": 0.6}),
        ("ExponentialDecay", {"decay_steps": 7, "decay_rate": 0.6, "staircase": True}),
        ("CosineDecay", {"decay_steps": 20}),
        ("CosineDecay", {"decay_steps": 20, "alpha": 0.1}),
        ("CosineDecay", {"decay_steps": 20, "alpha": 0.1, "warmup_target": 0.9, "warmup_steps": 6}),
    ],
)
def test_schedules_are_keras(name, settings, keras):
    ours = getattr(descent, name)(0.3, **settings)
    theirs = getattr(keras.optimizers.schedules, name)(0.3, **settings)
    for step in range(40):
        assert ours(step) == pytest.approx(float(theirs(step)), abs=1e-6), step


def test_steps_of_a_schedule_are_keras(keras):
    theirs = keras.optimizers.schedules.PiecewiseConstantDecay([3, 8, 9], [1.0, 0.5, 0.2, 0.1])
    ours = descent.PiecewiseConstantDecay([3, 8, 9], [1.0, 0.5, 0.2, 0.1])
    assert [ours(step) for step in range(15)] == pytest.approx([float(theirs(step)) for step in range(15)])
    with pytest.raises(ValueError, match="expected 3 values"):
        descent.PiecewiseConstantDecay([1, 2], [1.0, 0.5])


# --- the walk


@pytest.mark.parametrize("curvature", [0.5, 4.0])
def test_plain_descent_shrinks_by_a_known_factor_and_diverges_beyond_two_by_curvature(curvature):
    for share in (0.1, 0.5, 0.99, 1.01, 1.5):
        rate = 2 / curvature * share
        path = minimise(Bowl(np.array([curvature])), np.ones(1), optimizer=descent.SGD(rate), epochs=30)
        assert_allclose(path.weights[:, 0], (1 - rate * curvature) ** np.arange(31.0), rtol=1e-9)
        assert (path.losses[-1] > path.losses[0]) == (share > 1)


def test_the_work_of_batches_is_the_clips_they_hold():
    model = problem(n_clips=60)
    for size, n_steps in ((None, 3), (60, 3), (7, 27), (1, 180)):
        path = minimise(
            model,
            model.start(),
            optimizer=descent.SGD(),
            batch_size=size,
            epochs=3,
            rng=np.random.default_rng(0),
            n_points=1000,
        )
        assert path.work[-1] == 180
        assert path.steps.tolist() == list(range(n_steps + 1))
        assert path.work[0] == 0 and (np.diff(path.work) > 0).all()
        assert set(np.diff(path.work)) <= {size or 60, 60 % (size or 60)}
        assert_allclose(path.losses, [model.loss(weights) for weights in path.weights])


def test_every_clip_is_seen_once_per_epoch_in_a_new_order():
    seen = []

    class Recorder(Bowl):
        def __len__(self):
            return 10

        def gradient(self, weights, rows=slice(None)):
            seen.extend(rows.tolist())
            return np.zeros(1)

    minimise(
        Recorder(np.ones(1)),
        np.ones(1),
        optimizer=descent.SGD(),
        batch_size=3,
        epochs=2,
        rng=np.random.default_rng(0),
    )
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert seen[:10] != seen[10:]


def test_half_an_epoch_is_half_the_work():
    model = problem(n_clips=60)
    path = minimise(
        model,
        model.start(),
        optimizer=descent.SGD(),
        batch_size=10,
        epochs=0.5,
        rng=np.random.default_rng(0),
    )
    assert path.work[-1] == 30


def test_points_are_spread_evenly_over_the_work():
    model = problem(n_clips=60)
    path = minimise(
        model,
        model.start(),
        optimizer=descent.SGD(),
        batch_size=1,
        epochs=20,
        rng=np.random.default_rng(0),
        n_points=50,
    )
    assert len(path) == 51
    assert set(np.diff(path.work)) == {24}


def test_a_walk_changes_neither_its_start_nor_its_optimizer_and_repeats():
    model, start, optimizer = problem(), np.ones((5, 3)), descent.Adam(0.05)

    def walk():
        return minimise(
            model, start, optimizer=optimizer, batch_size=8, epochs=2, rng=np.random.default_rng(4)
        )

    assert_array_equal(walk().end, walk().end)
    assert_array_equal(start, 1)
    assert optimizer == descent.Adam(0.05)


@pytest.mark.parametrize("optimizer", [entry[0] for entry in list(OPTIMIZERS.values())[:-2]], ids=str)
def test_every_optimizer_goes_down(optimizer):
    model = problem()
    path = minimise(
        model, model.start(), optimizer=optimizer, batch_size=10, epochs=20, rng=np.random.default_rng(0)
    )
    assert path.losses[-1] < path.losses[0] == pytest.approx(math.log(3))


def test_momentum_reaches_further_along_a_ravine():
    """At the best rate of each, over curvatures of 1 and 100: theory says 0.98 and 0.82 per step."""
    ravine, start = Bowl(np.array([1.0, 100.0])), np.array([1.0, 1.0])
    plain = minimise(ravine, start, optimizer=descent.SGD(2 / 101), epochs=150)
    root = (math.sqrt(100) - 1) / (math.sqrt(100) + 1)
    heavy = descent.Momentum((2 / (1 + math.sqrt(100))) ** 2, momentum=root**2)
    heavy = minimise(ravine, start, optimizer=heavy, epochs=150)
    assert np.abs(plain.end).max() == pytest.approx((99 / 101) ** 150, rel=1e-6)
    assert np.abs(heavy.end).max() < 1e-8 < np.abs(plain.end).max()


def test_a_walk_to_infinity_ends_early_and_says_where():
    path = minimise(Bowl(np.array([1.0])), np.ones(1), optimizer=descent.SGD(1e9), epochs=100)
    assert np.isfinite(path.losses).all()
    assert path.steps[-1] < 100
    assert all(a < b for a, b in pairwise(path.losses))


def test_a_path_says_what_it_cost():
    path = minimise(Bowl(np.ones(1)), np.ones(1), optimizer=descent.SGD(0.5), epochs=4)
    assert repr(path) == "Path(4 steps, 4 clips seen, loss 0.500 to 0.002)"
    assert_array_equal(path.end, path.weights[-1])


@pytest.mark.parametrize("size", [0, 61, -1])
def test_impossible_batches_are_refused(size):
    model = problem(n_clips=60)
    with pytest.raises(ValueError, match="expected 1 to 60"):
        minimise(model, model.start(), optimizer=descent.SGD(), batch_size=size)


def test_batches_need_a_source_of_randomness():
    model = problem()
    with pytest.raises(ValueError, match="rng="):
        minimise(model, model.start(), optimizer=descent.SGD(), batch_size=2)
