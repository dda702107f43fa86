"""Configurations and shapes of the networks; test_network.py runs them, test_description.py counts them."""

import dataclasses
import json

import numpy as np
import pytest

from asrlib import models
from asrlib.models import ArticleCnnConfig, CnnConfig, CrnnConfig, RnnConfig, SoftmaxConfig

CONFIGS = [
    SoftmaxConfig(),
    ArticleCnnConfig(filters=np.int64(8)),
    CnnConfig(channels=[4], pools=[[2, 2]], head="average"),
    RnnConfig(cell="lstm", layers=2, bidirectional=False, head="last"),
    CrnnConfig(),
    CrnnConfig(head="max", projection=0, bidirectional=False),
    CrnnConfig(members=2),
]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_config_survives_json(config):
    values = json.loads(json.dumps(config.to_dict()))
    assert values["family"] == config.family
    assert models.config_from_dict(values) == config
    assert type(config).from_dict(values) == config
    assert hash(models.config_from_dict(values)) == hash(config)
    assert isinstance(config, models.ModelConfig)


def test_every_family_is_listed_once():
    assert list(models.FAMILIES) == ["softmax", "article_cnn", "cnn", "rnn", "crnn"]
    for family, config in models.FAMILIES.items():
        assert config().family == family
        assert models.member_names(config()) == ("member1",)
        assert config().one_member == config()


def test_values_without_a_family_are_those_of_a_crnn():
    assert models.config_from_dict({"gru_units": 8}) == CrnnConfig(gru_units=8)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"family": "transformer"}, "no family of networks 'transformer'; known are softmax, article_cnn"),
        ({"family": ["rnn"]}, "no family"),
        ({"family": "rnn", "gru_units": 3}, "RnnConfig has no option 'gru_units'"),
        ({"family": "softmax", 1: 2}, "SoftmaxConfig has no option '1'"),
        ([("family", "rnn")], "a mapping"),
    ],
)
def test_values_that_are_no_configuration_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        models.config_from_dict(values)


def test_from_dict_refuses_another_family():
    with pytest.raises(ValueError, match="of the family 'cnn', these values are of 'rnn'"):
        CnnConfig.from_dict(RnnConfig().to_dict())


def test_config_is_frozen_and_hashable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        CrnnConfig().gru_units = 3
    assert hash(CrnnConfig(pools=[[1, 2], [2, 2]])) == hash(CrnnConfig(pools=((1, 2), (2, 2))))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"conv_channels": (16,)}, "1 convolutions need 1 pools, got 2"),
        ({"conv_channels": (16, 0)}, "at least 1, got 0"),
        ({"conv_channels": (16, True)}, "got True"),
        ({"conv_channels": 16}, "sequence of whole numbers"),
        ({"pools": ((1, 2), (2,))}, "each pool needs 2"),
        ({"pools": None}, "one .time, frequency. pair per convolution"),
        ({"kernel_size": (3, 3, 3)}, "kernel_size needs 2"),
        ({"gru_units": 1.5}, "gru_units"),
        ({"projection": -1}, "projection"),
        ({"head": "mean"}, "attention, last, max"),
        ({"dropout": 1.0}, "dropout is a share"),
        ({"dropout": "0.5"}, "dropout is a share"),
        ({"bidirectional": "yes"}, "True or False"),
    ],
)
def test_config_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        CrnnConfig(**options)


@pytest.mark.parametrize(
    ("family", "options", "message"),
    [
        (ArticleCnnConfig, {"filters": 0}, "filters must be whole numbers of at least 1"),
        (ArticleCnnConfig, {"kernel_size": (3,)}, "kernel_size"),
        (ArticleCnnConfig, {"conv_dropout": 1}, "conv_dropout is a share"),
        (CnnConfig, {"channels": (16, 32)}, "2 convolutions need 2 pools, got 3"),
        (CnnConfig, {"head": "attention"}, "head must be one of max, average"),
        (RnnConfig, {"cell": "rnn"}, "cell must be one of gru, lstm, simple"),
        (RnnConfig, {"head": ["max"]}, "head must be one of max, last"),
        (RnnConfig, {"units": True}, "units must be whole"),
        (RnnConfig, {"layers": 1000}, "layers must be at most 100"),
        (RnnConfig, {"bidirectional": 1}, "bidirectional must be True or False"),
        (CrnnConfig, {"members": 10**9}, "members must be at most 100"),
    ],
)
def test_config_of_any_family_refuses(family, options, message):
    with pytest.raises(ValueError, match=message):
        family(**options)


def test_from_dict_names_an_unknown_option():
    with pytest.raises(ValueError, match="'units'"):
        CrnnConfig.from_dict({"units": 3})


@pytest.mark.parametrize("family", [CnnConfig, RnnConfig, CrnnConfig])
def test_default_networks_stay_under_100_000_parameters(family):
    assert 20_000 < models.count_parameters(family()) < 100_000


def test_parameter_count_by_hand():
    config = CrnnConfig(
        conv_channels=(2,), pools=((2, 2),), projection=3, gru_units=4, bidirectional=False, head="last"
    )
    # 5 bands pooled to 2, two channels: 4 inputs to the projection; normalisation: 4 numbers a channel.
    expected = 9 * 2 + 4 * 2 + (4 + 1) * 3 + 3 * (3 + 4 + 2) * 4 + (4 + 1) * 6
    assert models.count_parameters(config, input_shape=(9, 5), n_classes=6) == expected


def test_parameter_counts_of_the_other_families_by_hand():
    count = {"input_shape": (9, 5), "n_classes": 6}
    assert models.count_parameters(SoftmaxConfig(), **count) == (9 * 5 + 1) * 6
    # 9 frames leave 7 places for a kernel of 3, and 3 stretches of 2.
    article = ArticleCnnConfig(filters=4, units=8)
    expected = (3 * 5 + 1) * 4 + (3 * 4 + 1) * 8 + (8 + 1) * 6
    assert models.count_parameters(article, **count) == expected
    cnn = CnnConfig(channels=(2,), kernel_size=(3, 2), pools=((2, 2),))
    assert models.count_parameters(cnn, **count) == 3 * 2 * 2 + 4 * 2 + (2 * 2 + 1) * 6
    for cell, one_step in {"simple": 1, "lstm": 4}.items():
        rnn = RnnConfig(cell=cell, units=4, bidirectional=True)
        expected = 2 * one_step * (5 + 4 + 1) * 4 + (8 + 1) * 6
        assert models.count_parameters(rnn, **count) == expected
    gru = RnnConfig(cell="gru", units=4, layers=2, bidirectional=False)
    assert models.count_parameters(gru, **count) == 3 * (5 + 4 + 2) * 4 + 3 * (4 + 4 + 2) * 4 + (4 + 1) * 6


@pytest.mark.parametrize(
    ("config", "frames", "message"),
    [
        (ArticleCnnConfig(kernel_size=5), 4, "kernel_size is 5 frames, longer than the input of 4"),
        (ArticleCnnConfig(pool=3), 4, "pool is 3 steps, but the convolution gives 2 of an input of 4 frames"),
        (CnnConfig(), 7, "leave 0 frames × 5 bands"),
    ],
)
def test_kernels_and_pools_longer_than_the_input_are_refused(config, frames, message):
    for refused in (models.weight_shapes, models.build):
        with pytest.raises(ValueError, match=message):
            refused(config, input_shape=(frames, 20))


@pytest.mark.parametrize("n_classes", [1, 0, 2.5])
def test_a_choice_needs_two_words(n_classes):
    for refused in (models.weight_shapes, models.build):
        with pytest.raises(ValueError, match="n_classes"):
            refused(SoftmaxConfig(), n_classes=n_classes)


def test_only_configurations_are_built():
    with pytest.raises(ValueError, match="CnnConfig"):
        models.build("cnn")


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_the_same_seed_builds_the_same_network(config):
    first, again, other = (models.build(config, seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_every_network_has_the_same_two_ends(config):
    model = models.build(config, input_shape=(30, 12), n_classes=4)
    assert model.input_shape == (None, 30, 12)
    assert [model.layers[i].name for i in (0, -2, -1)] == ["features", "logits", "probabilities"]
    assert model.get_layer("logits").output.shape == (None, 4)
    weights = models.get_weights(model, config=config)
    shapes = models.weight_shapes(config, input_shape=(30, 12), n_classes=4)
    assert {name: array.shape for name, array in weights.items()} == shapes
    if config.members == 1:  # names lead to the arrays of the same name in Keras, not only to equal shapes
        paths = [weight.path.replace("forward_", "", 1) for weight in model.weights]
        for name, path in zip(weights, paths, strict=True):
            layer, weight = name.split("/")
            assert layer.replace("_forward", "") in path.replace("_forward", "")
            assert path.endswith(weight)
    models.set_weights(model, {name: array + 1 for name, array in weights.items()}, config=config)
    for name, array in models.get_weights(model, config=config).items():
        np.testing.assert_array_equal(array, weights[name] + 1)


def test_pools_that_leave_nothing_are_refused():
    with pytest.raises(ValueError, match="leave 0 frames × 10 bands"):
        models.weight_shapes(CrnnConfig(pools=((10, 2), (20, 2))), input_shape=(100, 40))


def test_check_weights_says_what_is_wrong():
    shapes = models.weight_shapes(CrnnConfig())
    weights = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    models.check_weights(weights, shapes)
    with pytest.raises(ValueError, match="missing logits/bias; not expected bias"):
        models.check_weights({**{k: v for k, v in weights.items() if k != "logits/bias"}, "bias": 0}, shapes)
    with pytest.raises(ValueError, match=r"logits/bias has shape \(9,\), the network needs \(10,\)"):
        models.check_weights(weights | {"logits/bias": np.zeros(9, np.float32)}, shapes)
    with pytest.raises(ValueError, match="logits/bias must hold finite"):
        models.check_weights(weights | {"logits/bias": np.full(10, np.nan, np.float32)}, shapes)
