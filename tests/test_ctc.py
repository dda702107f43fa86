"""The network that answers at every step: in Keras, in NumPy and as a stream it is one and the same."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asrlib import models
from asrlib.ctc_network import CtcNetwork
from asrlib.models import CrnnConfig, CtcConfig, count_parameters, get_weights, set_weights, weight_shapes
from asrlib.network import Network

FEATURES, CLASSES = 11, 5  # an odd number of bands: pooling has a rest
SMALL = {"conv_channels": (3, 4), "projection": 6, "gru_units": 5}
CAUSAL = {"causal": True, "bidirectional": False}

CONFIGS = [
    *(
        CtcConfig(**SMALL | {"layers": layers, "bidirectional": bidirectional, "causal": causal})
        for layers, (bidirectional, causal) in itertools.product(
            (1, 2), ((True, False), (False, False), (False, True))
        )
    ),
    CtcConfig(**SMALL | {"projection": 0, "dropout": 0.0, "projection_dropout": 0.5}),
    CtcConfig(**SMALL | {"kernel_size": (5, 2), "pools": ((1, 2), (4, 1))}),
    CtcConfig(**SMALL | CAUSAL | {"kernel_size": (4, 2), "pools": ((3, 2), (1, 3))}),
    CtcConfig(**SMALL | CAUSAL | {"kernel_size": (1, 1)}),
    CtcConfig(
        **SMALL | CAUSAL | {"conv_channels": (3, 4, 5), "pools": ((2, 1), (1, 2), (3, 1)), "layers": 2}
    ),
]


def random_weights(config, *, seed=7, spread=0.5):
    rng = np.random.default_rng(seed)
    shapes = weight_shapes(config, input_shape=(None, FEATURES), n_classes=CLASSES)
    weights = {name: rng.normal(0, spread, shape).astype(np.float32) for name, shape in shapes.items()}
    for name, array in weights.items():
        if name.endswith("moving_variance"):
            weights[name] = np.abs(array) + np.float32(0.1)
    return weights


def random_features(n_frames, *, seed=1):
    return np.random.default_rng(seed).normal(1, 1, (n_frames, FEATURES)).astype(np.float32)


def log_softmax(x):
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


# -- configuration and arithmetic -----------------------------------------------------------------------


@pytest.mark.parametrize("config", [CtcConfig(), *CONFIGS], ids=str)
def test_config_survives_json(config):
    assert CtcConfig.from_dict(config.to_dict()) == config
    lists = {**config.to_dict(), "pools": [list(pool) for pool in config.pools]}
    assert models.config_from_dict(lists) == config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"causal": True}, "reads backwards begins at the end"),
        ({"layers": 0}, "layers"),
        ({"layers": 1_000_000_000}, "at most"),
        ({"gru_units": 0}, "gru_units"),
        ({"dropout": 1.0}, "dropout"),
        ({"causal": 1}, "causal must be True or False"),
        ({"conv_channels": (3,)}, "1 convolutions need 1 pools"),
    ],
)
def test_config_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        CtcConfig(**options)


def test_ctc_is_no_family_of_whole_clips():
    assert "ctc" not in models.FAMILIES
    assert not isinstance(CtcConfig(), models.ModelConfig)
    with pytest.raises(ValueError, match="must be a configuration"):
        models.build(CtcConfig())
    with pytest.raises(ValueError, match=r"ctc_network\.CtcNetwork"):
        Network(CtcConfig(), {})
    with pytest.raises(ValueError, match=r"asrlib\.network\.Network"):
        CtcNetwork(CrnnConfig(), {})


def test_steps_are_counted():
    assert CtcConfig().frames_per_step == 4
    for config in CONFIGS:
        for n_frames in range(30):
            pooled = n_frames
            for pool, _ in config.pools:
                pooled //= pool
            assert models.n_steps(n_frames, config) == pooled
    assert models.n_steps(np.array([3, 4, 103]), CtcConfig()).tolist() == [0, 1, 25]
    for wrong in (-1, 2.5, [3, -1]):
        with pytest.raises(ValueError, match="whole numbers"):
            models.n_steps(wrong, CtcConfig())


def test_parameters_by_hand():
    config = CtcConfig()
    convolutions = 9 * 24 + 4 * 24 + 9 * 24 * 32 + 4 * 32
    projection = (10 * 32 + 1) * 64
    gru = 2 * 3 * 64 * (64 + 64 + 2)
    expected = 2 * 40 + convolutions + projection + gru + (2 * 64 + 1) * 11
    assert count_parameters(config, input_shape=(None, 40), n_classes=11) == expected
    assert 60_000 < expected < 150_000


def test_the_arithmetic_needs_no_tensorflow():
    code = (
        "import sys; from asrlib.models import *; from asrlib import ctc_network; c = CtcConfig(); "
        "describe(c, input_shape=(400, 40), n_classes=11).text(); weight_shapes(c); "
        "assert 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_description_of_a_causal_network_by_hand():
    table = models.describe(CtcConfig(**CAUSAL), input_shape=(400, 40), n_classes=11)
    assert table.parameters == count_parameters(CtcConfig(**CAUSAL), input_shape=(None, 40), n_classes=11)
    assert table["conv1"].output_shape == (400, 40, 24)
    assert table["conv1"].multiply_adds == 400 * 40 * 9 * 24
    assert table["logits"].output_shape == (100, 11)
    # Three frames under conv1, one more under its pool, and four more under conv2, two frames apart.
    seen = [table[name].receptive_field_frames for name in ("conv1", "pool1", "conv2", "pool2")]
    assert seen == [3, 4, 8, 10]
    assert table["gru1_forward"].receptive_field_frames is None


# -- Keras and NumPy ------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=CONFIGS, ids=str)
def both(request):
    pytest.importorskip("keras")
    config = request.param
    model = models.ctc(config, n_features=FEATURES, n_classes=CLASSES, seed=1)
    weights = random_weights(config)
    set_weights(model, weights, config=config)
    return config, model, CtcNetwork(config.to_dict(), weights, n_features=FEATURES)


def test_numpy_equals_keras(both):
    config, model, network = both
    features = random_features(41)
    answer = network(features)
    assert answer.dtype == np.float32
    assert answer.shape == (models.n_steps(41, config), CLASSES)
    np.testing.assert_allclose(np.exp(answer).sum(axis=1), 1, atol=1e-5)
    expected = log_softmax(np.asarray(model(features[None])[0]))
    np.testing.assert_allclose(answer, expected, atol=1e-4)
    assert answer.std(axis=0).max() > 1e-2  # the steps differ
    for name, array in get_weights(model, config=config).items():
        np.testing.assert_array_equal(array, network.weights[name])


def test_padding_changes_nothing(both):
    """Utterances of several lengths, zeros behind the shorter ones: each gets its own answers."""
    config, model, network = both
    clips = [random_features(n_frames, seed=n_frames) for n_frames in (41, 23, 12, 30)]
    batch = np.zeros((4, 60, FEATURES), np.float32)
    for row, clip in zip(batch, clips, strict=True):
        row[: len(clip)] = clip
    answers = np.asarray(model(batch))
    for clip, answer in zip(clips, answers, strict=True):
        own = log_softmax(answer[: models.n_steps(len(clip), config)])
        np.testing.assert_allclose(own, network(clip), atol=1e-4)


def test_padding_stays_out_of_the_batch_statistics():
    pytest.importorskip("keras")
    config = CtcConfig(**SMALL | {"kernel_size": (1, 1), "pools": ((1, 1), (1, 1))})
    means = []
    for n_padding in (0, 30):
        model = models.ctc(config, n_features=FEATURES, n_classes=CLASSES, seed=1)
        batch = np.stack([random_features(20, seed=seed) for seed in (1, 2)])
        model(np.pad(batch, ((0, 0), (0, n_padding), (0, 0))), training=True)
        means.append(get_weights(model, config=config))
    for name in ("norm1/moving_mean", "norm1/moving_variance", "norm2/moving_mean"):
        np.testing.assert_allclose(means[0][name], means[1][name], rtol=1e-4, atol=1e-6, err_msg=name)


def test_input_statistics_are_taken_out_and_stay():
    pytest.importorskip("keras")
    config = CtcConfig(**SMALL)
    model = models.ctc(config, n_features=FEATURES, n_classes=CLASSES, seed=1)
    mean, deviation = np.linspace(-9, -5, FEATURES), np.linspace(1, 4, FEATURES)
    models.set_input_statistics(model, mean=mean, deviation=deviation)
    before = get_weights(model, config=config)
    features = random_features(40) * deviation + mean
    normed = CtcNetwork(config, before).trace(features)["input_norm"]
    np.testing.assert_allclose(normed, random_features(40), atol=1e-4)
    model(features[None], training=True)
    after = get_weights(model, config=config)
    for name in ("input_norm/moving_mean", "input_norm/moving_variance"):
        np.testing.assert_array_equal(before[name], after[name])
    assert not any("input_norm" in variable.path for variable in model.trainable_variables)
    for wrong in ({"deviation": -deviation}, {"mean": mean[1:]}, {"mean": mean * np.nan}):
        with pytest.raises(ValueError, match=r"(mean|deviation) "):
            models.set_input_statistics(model, **{"mean": mean, "deviation": deviation} | wrong)


def test_the_same_seed_builds_the_same_network():
    pytest.importorskip("keras")
    config = CtcConfig(**SMALL)
    one, same, other = (
        get_weights(models.ctc(config, n_features=FEATURES, n_classes=CLASSES, seed=seed), config=config)
        for seed in (1, 1, 2)
    )
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["conv1/kernel"], other["conv1/kernel"])


def test_the_ctc_loss_of_a_padded_batch_is_that_of_each_alone():
    """What training adds up: lengths in steps, no mask left on the scores that a loss would apply again."""
    keras = pytest.importorskip("keras")
    config = CtcConfig(**SMALL)
    model = models.ctc(config, n_features=FEATURES, n_classes=CLASSES, seed=3)
    clips = [random_features(n_frames, seed=n_frames) for n_frames in (60, 37)]
    batch = np.zeros((2, 60, FEATURES), np.float32)
    for row, clip in zip(batch, clips, strict=True):
        row[: len(clip)] = clip
    scores = model(batch)
    assert getattr(scores, "_keras_mask", None) is None
    targets, widths = np.array([[1, 2, 2], [4, 3, 1]]), np.array([3, 2])
    steps = models.n_steps([60, 37], config)
    together = np.asarray(keras.ops.ctc_loss(targets, scores, widths, steps))
    for index, clip in enumerate(clips):
        alone = keras.ops.ctc_loss(
            targets[index : index + 1], model(clip[None]), widths[index : index + 1], steps[index : index + 1]
        )
        np.testing.assert_allclose(together[index], alone[0], rtol=1e-5)


# -- streams --------------------------------------------------------------------------------------------

CAUSAL_CONFIGS = [config for config in CONFIGS if config.causal]


@pytest.mark.parametrize("config", CAUSAL_CONFIGS, ids=str)
def test_a_causal_network_does_not_look_ahead(config):
    network = CtcNetwork(config, random_weights(config))
    features = random_features(48)
    whole = network(features)
    for step in (0, 1, 5):
        changed = features.copy()
        changed[config.frames_per_step * (step + 1) :] += 3
        answer = network(changed)
        np.testing.assert_allclose(answer[: step + 1], whole[: step + 1], atol=1e-5)
        assert np.abs(answer[step + 1] - whole[step + 1]).max() > 1e-4


@pytest.mark.parametrize("config", CAUSAL_CONFIGS, ids=str)
@settings(max_examples=40)
@given(data=st.data())
def test_a_stream_equals_the_whole_whatever_the_chunks(config, data):
    network = CtcNetwork(config, random_weights(config))
    chunks = data.draw(st.lists(st.integers(0, 17), min_size=1, max_size=12))
    features = random_features(sum(chunks), seed=data.draw(st.integers(0, 3)))
    stream = network.stream()
    for _ in range(2):  # after a reset all begins again
        ends = np.cumsum(chunks)
        parts = [stream.push(features[end - chunk : end]) for chunk, end in zip(chunks, ends, strict=True)]
        assert [len(part) for part in parts] == np.diff(models.n_steps(np.append(0, ends), config)).tolist()
        assert (stream.n_frames, stream.n_steps) == (len(features), models.n_steps(len(features), config))
        parts.append(stream.flush())
        np.testing.assert_allclose(np.concatenate(parts), network(features), atol=1e-5)
        stream.reset()


def test_what_a_stream_refuses():
    network = CtcNetwork(CAUSAL_CONFIGS[0], random_weights(CAUSAL_CONFIGS[0]))
    stream = network.stream()
    stream.push(random_features(5))
    for wrong in (np.ones((2, FEATURES + 1)), np.ones(FEATURES), np.full((1, FEATURES), np.nan)):
        with pytest.raises(ValueError, match=r"[Ff]eatures"):
            stream.push(wrong)
    assert stream.n_frames == 5
    stream.flush()
    for call in (lambda: stream.push(random_features(1)), stream.flush):
        with pytest.raises(ValueError, match="reset"):
            call()
    with pytest.raises(ValueError, match="multiple of 4"):
        network.advance(random_features(5), network.start())
    looking_ahead = CtcNetwork(CONFIGS[0], random_weights(CONFIGS[0]))
    for call in (looking_ahead.stream, looking_ahead.start):
        with pytest.raises(ValueError, match="looks ahead"):
            call()


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_too_few_frames_give_no_step(config):
    network = CtcNetwork(config, random_weights(config))
    for n_frames in range(config.frames_per_step):
        assert network(random_features(n_frames)).shape == (0, CLASSES)
        with pytest.raises(ValueError, match="one step needs"):
            network.trace(random_features(n_frames))
    assert network(random_features(config.frames_per_step)).shape == (1, CLASSES)


def test_weights_that_do_not_fit_are_refused():
    weights = random_weights(CONFIGS[0])
    with pytest.raises(ValueError, match="conv1/kernel"):
        CtcNetwork(CONFIGS[0], weights | {"conv1/kernel": np.zeros((1, 1, 1, 3))})
    del weights["logits/bias"]
    with pytest.raises(ValueError, match="missing logits/bias"):
        CtcNetwork(CONFIGS[0], weights)
