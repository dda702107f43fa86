"""The NumPy forward pass gives what Keras gives."""

import itertools

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from asrlib import network
from asrlib.models import (
    ArticleCnnConfig,
    CnnConfig,
    CrnnConfig,
    RnnConfig,
    SoftmaxConfig,
    build,
    crnn,
    get_weights,
    set_weights,
    weight_shapes,
)
from asrlib.network import Network

keras = pytest.importorskip("keras")

FRAMES, FEATURES = 13, 11  # odd on purpose: pooling has a rest


def random_weights(shapes, rng):
    weights = {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}
    for name, array in weights.items():
        if name.endswith("moving_variance"):
            weights[name] = np.abs(array) + np.float32(0.1)
    return weights


SMALL_CRNN = {"conv_channels": (3, 4), "gru_units": 5, "projection": 6}
CONFIGS = [
    *(
        CrnnConfig(**SMALL_CRNN | {"head": head, "bidirectional": bidirectional, "projection": projection})
        for head, bidirectional, projection in itertools.product(
            ("attention", "last", "max"), (True, False), (0, 6)
        )
    ),
    CrnnConfig(**SMALL_CRNN | {"kernel_size": (5, 3)}),
    CrnnConfig(**SMALL_CRNN | {"kernel_size": (2, 4)}),
    CrnnConfig(**SMALL_CRNN | {"kernel_size": (1, 1)}),
    CrnnConfig(**SMALL_CRNN | {"conv_channels": (3,), "pools": ((1, 1),)}),
    CrnnConfig(**SMALL_CRNN | {"conv_channels": (3, 4, 5), "pools": ((1, 2), (2, 1), (3, 2))}),
    CrnnConfig(**SMALL_CRNN | {"dropout": 0.0, "projection_dropout": 0.5}),
    CrnnConfig(**SMALL_CRNN | {"members": 2, "head": "max"}),
    CrnnConfig(**SMALL_CRNN | {"members": 3, "bidirectional": False}),
    SoftmaxConfig(),
    ArticleCnnConfig(filters=4, units=6),
    ArticleCnnConfig(filters=2, kernel_size=1, pool=1, units=3, conv_dropout=0.0, dropout=0.0),
    ArticleCnnConfig(filters=3, kernel_size=6, pool=3, units=5),
    ArticleCnnConfig(filters=8, kernel_size=13, pool=1, units=8),
    *(CnnConfig(channels=(3, 4, 5), head=head) for head in ("max", "average")),
    CnnConfig(channels=(3,), kernel_size=(2, 5), pools=((13, 11),), dropout=0.0),
    *(
        RnnConfig(cell=cell, units=5, layers=layers, bidirectional=bidirectional, head=head)
        for cell, (layers, bidirectional, head) in itertools.product(
            ("gru", "lstm", "simple"), ((1, True, "max"), (2, True, "last"), (2, False, "max"))
        )
    ),
    RnnConfig(cell="simple", units=4, bidirectional=False, head="last", dropout=0.0),
]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_equals_keras_for_every_option(config):
    rng = np.random.default_rng(7)
    model = build(config, input_shape=(FRAMES, FEATURES), n_classes=4)
    weights = random_weights(weight_shapes(config, input_shape=(FRAMES, FEATURES), n_classes=4), rng)
    set_weights(model, weights, config=config)  # random batch-norm statistics too: all of them count
    loudness = np.float32([0.3, 2, 5])[:, None, None]  # clips that differ, whatever a head averages
    features = rng.normal(1, 1, (3, FRAMES, FEATURES)).astype(np.float32) * loudness

    ours = Network(config.to_dict(), weights, input_shape=(FRAMES, FEATURES))
    probabilities = ours(features)

    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, model.predict_on_batch(features), atol=1e-5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert probabilities.std(axis=0).max() > 1e-3  # the inputs made a difference
    for name, array in get_weights(model, config=config).items():
        np.testing.assert_array_equal(array, weights[name])


@pytest.mark.parametrize(
    ("config", "names"),
    [
        (ArticleCnnConfig(filters=4, units=6), {"conv1": "conv1", "pool1": "pool1", "hidden": "hidden"}),
        (CnnConfig(channels=(3, 4, 5)), {f"conv{n}": f"relu{n}" for n in (1, 2, 3)}),
        (RnnConfig(cell="lstm", units=4, layers=2), {"lstm1": "lstm1", "lstm2": "lstm2"}),
        (CrnnConfig(conv_channels=(3, 4), gru_units=5), {"conv2": "relu2", "gru": "gru"}),
    ],
    ids=lambda value: getattr(value, "family", ""),
)
def test_traced_layers_equal_those_of_keras(config, names):
    rng = np.random.default_rng(3)
    model = build(config, input_shape=(FRAMES, FEATURES), seed=1)
    features = rng.normal(0, 1, (2, FRAMES, FEATURES)).astype(np.float32)
    trace = Network(config, get_weights(model, config=config), input_shape=(FRAMES, FEATURES)).trace(features)
    inside = keras.Model(
        model.input, {ours: model.get_layer(theirs).output for ours, theirs in names.items()}
    )
    for name, expected in inside.predict_on_batch(features).items():
        np.testing.assert_allclose(trace[name], expected, atol=1e-5, err_msg=name)
    assert list(trace)[-3:] == ["summary", "logits", "probabilities"]
    weights = get_weights(model, config=config)
    scores = network.dense(trace["summary"], weights["logits/kernel"], weights["logits/bias"])
    np.testing.assert_allclose(trace["logits"], scores, atol=1e-6)


def test_default_network_equals_keras_and_its_layers_are_traced():
    rng = np.random.default_rng(1)
    model = crnn(seed=3)
    assert model.count_params() == sum(w.size for w in model.get_weights()) < 100_000
    ours = Network(CrnnConfig(), get_weights(model, config=CrnnConfig()))
    features = rng.normal(0, 1, (2, 100, 20)).astype(np.float32)
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


@settings(max_examples=20)
@given(time=st.integers(1, 9), steps=st.integers(1, 9), channels=st.integers(1, 3))
def test_conv1d_is_a_correlation_without_padding(time, steps, channels):
    rng = np.random.default_rng(100 * time + 10 * steps + channels)
    time = max(time, steps)
    x, kernel = rng.normal(size=(2, time, channels)), rng.normal(size=(steps, channels, 2))
    bias = rng.normal(size=2)
    expected = sum(
        np.stack([np.correlate(x[1, :, c], kernel[:, c, out], mode="valid") for out in range(2)], axis=-1)
        for c in range(channels)
    )
    ours = network.conv1d(x, kernel, bias)
    assert ours.shape == (2, time - steps + 1, 2)
    np.testing.assert_allclose(ours[1], expected + bias, atol=1e-12)


@given(time=st.integers(1, 12), size=st.integers(1, 5))
def test_max_pool1d_keeps_the_largest_of_each_stretch(time, size):
    x = np.random.default_rng(time + 20 * size).normal(size=(1, max(time, size), 2))
    pooled = network.max_pool1d(x, size)
    assert pooled.shape[1] == x.shape[1] // size
    for step in range(pooled.shape[1]):
        np.testing.assert_array_equal(pooled[:, step], x[:, step * size : (step + 1) * size].max(axis=1))


CELLS = {
    "gru": (network.gru, 3, (2, 12)),
    "lstm": (network.lstm, 4, (16,)),
    "simple": (network.simple_rnn, 1, (4,)),
}


@pytest.mark.parametrize("cell", CELLS)
def test_running_backwards_is_running_on_reversed_time(cell):
    run, gates, bias_shape = CELLS[cell]
    rng = np.random.default_rng(5)
    shapes = (2, 6, 3), (3, 4 * gates), (4, 4 * gates), bias_shape
    x, kernel, recurrent, bias = (rng.normal(size=shape) for shape in shapes)
    backwards = run(x, kernel, recurrent, bias, backwards=True)
    np.testing.assert_allclose(backwards, run(x[:, ::-1], kernel, recurrent, bias)[:, ::-1])


@pytest.mark.parametrize("cell", CELLS)
def test_a_state_depends_on_the_past_and_not_on_the_future(cell):
    run, gates, bias_shape = CELLS[cell]
    rng = np.random.default_rng(8)
    shapes = (1, 6, 3), (3, 4 * gates), (4, 4 * gates), bias_shape
    x, kernel, recurrent, bias = (rng.normal(size=shape) for shape in shapes)
    changed = x.copy()
    changed[:, 3] += 1
    states, others = run(x, kernel, recurrent, bias), run(changed, kernel, recurrent, bias)
    np.testing.assert_array_equal(states[:, :3], others[:, :3])
    assert (states[:, 3:] != others[:, 3:]).any(axis=-1).all()


def test_an_open_forget_gate_keeps_the_memory_and_a_shut_one_drops_it():
    kernel, recurrent = np.zeros((1, 4)), np.zeros((1, 4))
    kernel[0, [0, 2]] = 50, 1  # the input gate opens where the input is 1; the candidate is tanh(1)
    x = np.float64([1, -1, -1]).reshape(1, 3, 1)
    kept, dropped = (
        network.lstm(x, kernel, recurrent, np.float64([0, forget, 0, 50])).ravel() for forget in (50, -50)
    )
    np.testing.assert_allclose(kept, np.tanh(np.tanh(1)), atol=1e-9)
    np.testing.assert_allclose(dropped, [np.tanh(np.tanh(1)), 0, 0], atol=1e-9)


def test_batch_does_not_mix():
    rng = np.random.default_rng(6)
    net = Network(CrnnConfig(), random_weights(weight_shapes(CrnnConfig()), rng))
    features = rng.normal(size=(3, 100, 20)).astype(np.float32)
    one_by_one = np.concatenate([net(clip[None]) for clip in features])
    np.testing.assert_allclose(net(features), one_by_one, atol=1e-5)


def test_no_overflow_on_extreme_features():
    net = Network(CrnnConfig(), random_weights(weight_shapes(CrnnConfig()), np.random.default_rng(2)))
    with np.errstate(all="raise", under="ignore"):
        assert np.isfinite(net(np.full((1, 100, 20), 1e6, np.float32))).all()


@pytest.mark.parametrize("shape", [(100, 20), (1, 99, 20), (1, 100, 21), (1, 100, 20, 1)])
def test_other_shapes_are_refused(shape):
    weights = {name: np.zeros(s, np.float32) for name, s in weight_shapes(CrnnConfig()).items()}
    with pytest.raises(ValueError, match=r"\(batch, 100, 20\)"):
        Network(CrnnConfig(), weights)(np.zeros(shape, np.float32))


def test_nan_features_are_refused():
    weights = {name: np.zeros(s, np.float32) for name, s in weight_shapes(CrnnConfig()).items()}
    with pytest.raises(ValueError, match="NaN"):
        Network(CrnnConfig(), weights)(np.full((1, 100, 20), np.nan, np.float32))


def test_weights_of_another_network_are_refused():
    weights = {name: np.zeros(s, np.float32) for name, s in weight_shapes(CrnnConfig(gru_units=8)).items()}
    with pytest.raises(ValueError, match="the network needs"):
        Network(CrnnConfig(), weights)
    with pytest.raises(ValueError, match="missing"):
        Network(CrnnConfig(), {})
