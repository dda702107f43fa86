"""The NumPy forward pass gives what Keras gives."""

import itertools

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from asrlib import network
from asrlib.models import CrnnConfig, crnn, get_weights, set_weights, weight_shapes
from asrlib.network import Network

keras = pytest.importorskip("keras")

FRAMES, FEATURES = 13, 11  # odd on purpose: pooling has a rest


def random_weights(shapes, rng):
    weights = {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}
    for name, array in weights.items():
        if name.endswith("moving_variance"):
            weights[name] = np.abs(array) + np.float32(0.1)
    return weights


OPTIONS = [
    {"head": head, "bidirectional": bidirectional, "projection": projection}
    for head, bidirectional, projection in itertools.product(
        ("attention", "last", "max"), (True, False), (0, 6)
    )
] + [
    {"kernel_size": (5, 3)},
    {"kernel_size": (2, 4)},
    {"kernel_size": (1, 1)},
    {"conv_channels": (3,), "pools": ((1, 1),)},
    {"conv_channels": (3, 4, 5), "pools": ((1, 2), (2, 1), (3, 2))},
    {"dropout": 0.0, "projection_dropout": 0.5},
    {"members": 2, "head": "max"},
    {"members": 3, "head": "attention", "bidirectional": False},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_equals_keras_for_every_option(options):
    rng = np.random.default_rng(7)
    config = CrnnConfig(**{"conv_channels": (3, 4), "gru_units": 5, "projection": 6} | options)
    model = crnn(config, input_shape=(FRAMES, FEATURES), n_classes=4)
    weights = random_weights(weight_shapes(config, input_shape=(FRAMES, FEATURES), n_classes=4), rng)
    set_weights(model, weights, config=config)  # random batch-norm statistics too: all of them count
    loudness = np.float32([0.3, 2, 5])[:, None, None]  # clips that differ, whatever a head averages
    features = rng.normal(1, 1, (3, FRAMES, FEATURES)).astype(np.float32) * loudness

    ours = Network(config.to_dict(), weights, input_shape=(FRAMES, FEATURES))(features)

    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, model.predict_on_batch(features), atol=1e-4)
    np.testing.assert_allclose(ours.sum(axis=1), 1, atol=1e-5)
    assert ours.std(axis=0).max() > 1e-3  # the inputs made a difference
    for name, array in get_weights(model, config=config).items():
        np.testing.assert_array_equal(array, weights[name])


def test_default_network_equals_keras_and_its_layers_are_traced():
    rng = np.random.default_rng(1)
    model = crnn(seed=3)
    assert model.count_params() == sum(w.size for w in model.get_weights()) < 100_000
    ours = Network(CrnnConfig(), get_weights(model, config=CrnnConfig()))
    features = rng.normal(0, 1, (2, 100, 40)).astype(np.float32)
    trace = ours.trace(features)
    np.testing.assert_allclose(trace["probabilities"], model.predict_on_batch(features), atol=1e-4)
    logits = keras.Model(model.input, model.get_layer("logits").output).predict_on_batch(features)
    np.testing.assert_allclose(trace["logits"], logits, atol=1e-4)
    np.testing.assert_allclose(trace["attention"].sum(axis=1), 1, atol=1e-5)
    assert list(trace) == [
        "conv1",
        "conv2",
        "projection",
        "gru",
        "attention",
        "summary",
        "logits",
        "probabilities",
    ]


def test_members_answer_with_the_mean_of_their_scores():
    config = CrnnConfig(conv_channels=(2,), pools=((4, 4),), gru_units=3, members=2)
    shape = {"input_shape": (20, 8), "n_classes": 4}
    weights = random_weights(weight_shapes(config, **shape), np.random.default_rng(5))
    features = np.random.default_rng(0).normal(size=(3, 20, 8)).astype(np.float32)
    trace = Network(config, weights, input_shape=(20, 8)).trace(features)
    scores = []
    for member in ("member1/", "member2/"):
        own = {name.removeprefix(member): array for name, array in weights.items() if name.startswith(member)}
        scores.append(Network(config.one_member, own, input_shape=(20, 8)).trace(features)["logits"])
    np.testing.assert_allclose(trace["logits"], np.mean(scores, axis=0), atol=1e-6)
    np.testing.assert_array_equal(trace["member2/logits"], scores[1])


def test_seed_fixes_the_initial_weights_and_leaves_global_random_states_alone():
    config = CrnnConfig(conv_channels=(2,), pools=((4, 4),), gru_units=3)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, again, other = (crnn(config, seed=seed).get_weights() for seed in (1, 1, 2))
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_unrolled_graph_gives_the_same():
    config = CrnnConfig(conv_channels=(2,), pools=((4, 4),), gru_units=3)
    features = np.random.default_rng(0).normal(size=(2, 20, 8)).astype(np.float32)
    looped, unrolled = (crnn(config, input_shape=(20, 8), seed=1, unroll=unroll) for unroll in (False, True))
    np.testing.assert_allclose(
        looped.predict_on_batch(features), unrolled.predict_on_batch(features), atol=1e-6
    )


def test_get_weights_refuses_another_configuration():
    model = crnn(CrnnConfig(gru_units=3))
    with pytest.raises(ValueError, match="do not fit this CrnnConfig"):
        get_weights(model, config=CrnnConfig(gru_units=4))


@settings(max_examples=30, deadline=None)
@given(height=st.integers(1, 7), width=st.integers(1, 7), rows=st.integers(1, 5), columns=st.integers(1, 5))
def test_conv2d_is_a_correlation(height, width, rows, columns):
    rng = np.random.default_rng(height * 1000 + width * 100 + rows * 10 + columns)
    x, kernel = rng.normal(size=(1, height, width, 2)), rng.normal(size=(rows, columns, 2, 1))
    above, left = (rows - 1) // 2, (columns - 1) // 2
    padded = np.pad(x[0], ((above, rows - 1 - above), (left, columns - 1 - left), (0, 0)))
    expected = sum(
        scipy.signal.correlate2d(padded[..., c], kernel[:, :, c, 0], mode="valid") for c in range(2)
    )
    np.testing.assert_allclose(network.conv2d(x, kernel)[0, ..., 0], expected, atol=1e-12)


def test_running_the_gru_backwards_is_running_it_on_reversed_time():
    rng = np.random.default_rng(5)
    x, kernel, recurrent, bias = (rng.normal(size=shape) for shape in ((2, 6, 3), (3, 12), (4, 12), (2, 12)))
    backwards = network.gru(x, kernel, recurrent, bias, backwards=True)
    np.testing.assert_allclose(backwards, network.gru(x[:, ::-1], kernel, recurrent, bias)[:, ::-1])


def test_batch_does_not_mix():
    rng = np.random.default_rng(6)
    net = Network(CrnnConfig(), random_weights(weight_shapes(CrnnConfig()), rng))
    features = rng.normal(size=(3, 100, 40)).astype(np.float32)
    one_by_one = np.concatenate([net(clip[None]) for clip in features])
    np.testing.assert_allclose(net(features), one_by_one, atol=1e-5)


def test_no_overflow_on_extreme_features():
    net = Network(CrnnConfig(), random_weights(weight_shapes(CrnnConfig()), np.random.default_rng(2)))
    with np.errstate(all="raise", under="ignore"):
        assert np.isfinite(net(np.full((1, 100, 40), 1e6, np.float32))).all()


@pytest.mark.parametrize("shape", [(100, 40), (1, 99, 40), (1, 100, 41), (1, 100, 40, 1)])
def test_other_shapes_are_refused(shape):
    weights = {name: np.zeros(s, np.float32) for name, s in weight_shapes(CrnnConfig()).items()}
    with pytest.raises(ValueError, match=r"\(batch, 100, 40\)"):
        Network(CrnnConfig(), weights)(np.zeros(shape, np.float32))


def test_nan_features_are_refused():
    weights = {name: np.zeros(s, np.float32) for name, s in weight_shapes(CrnnConfig()).items()}
    with pytest.raises(ValueError, match="NaN"):
        Network(CrnnConfig(), weights)(np.full((1, 100, 40), np.nan, np.float32))


def test_weights_of_another_network_are_refused():
    weights = {name: np.zeros(s, np.float32) for name, s in weight_shapes(CrnnConfig(gru_units=8)).items()}
    with pytest.raises(ValueError, match="the network needs"):
        Network(CrnnConfig(), weights)
    with pytest.raises(ValueError, match="missing"):
        Network(CrnnConfig(), {})
