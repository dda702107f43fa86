"""Configurations and shapes of the networks, without building one (test_network.py builds them)."""

import dataclasses
import json

import numpy as np
import pytest

from asrlib import models
from asrlib.models import CrnnConfig


@pytest.mark.parametrize("config", [CrnnConfig(), CrnnConfig(head="max", projection=0, bidirectional=False)])
def test_config_survives_json(config):
    assert CrnnConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


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


def test_from_dict_names_an_unknown_option():
    with pytest.raises(ValueError, match="'units'"):
        CrnnConfig.from_dict({"units": 3})


def test_default_network_stays_under_100_000_parameters():
    assert 20_000 < models.count_parameters(CrnnConfig()) < 100_000


def test_parameter_count_by_hand():
    config = CrnnConfig(
        conv_channels=(2,), pools=((2, 2),), projection=3, gru_units=4, bidirectional=False, head="last"
    )
    # 5 bands pooled to 2, two channels: 4 inputs to the projection; normalisation: 4 numbers a channel.
    expected = 9 * 2 + 4 * 2 + (4 + 1) * 3 + 3 * (3 + 4 + 2) * 4 + (4 + 1) * 6
    assert models.count_parameters(config, input_shape=(9, 5), n_classes=6) == expected


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
