"""describe() says what Keras says, what TensorFlow's profiler counts, and what a measurement sees."""

import subprocess
import sys

import numpy as np
import pytest

from asrlib import models
from asrlib.models import (
    ArticleCnnConfig,
    CnnConfig,
    CrnnConfig,
    RnnConfig,
    SoftmaxConfig,
    build,
    describe,
)

keras = pytest.importorskip("keras")
layers = keras.layers

CONFIGS = [
    SoftmaxConfig(),
    ArticleCnnConfig(),
    ArticleCnnConfig(filters=3, kernel_size=4, pool=3, units=5, conv_dropout=0.0),
    CnnConfig(),
    CnnConfig(channels=(2, 3), kernel_size=(4, 2), pools=((3, 1), (1, 2)), head="average"),
    RnnConfig(),
    RnnConfig(cell="lstm", units=4, layers=2, head="last"),
    RnnConfig(cell="simple", units=4, bidirectional=False),
    CrnnConfig(),
    CrnnConfig(head="max", projection=0, projection_dropout=0.1),
    CrnnConfig(head="last", bidirectional=False, kernel_size=(2, 5)),
    CrnnConfig(members=2, conv_channels=(2, 3), gru_units=4),
]


def sequential(*stack, shape=(20, 6)):
    return keras.Sequential([keras.Input(shape), *stack])


def residual():
    inputs = keras.Input((20, 6), name="sound")
    x = layers.Conv1D(6, 3, padding="same")(inputs)
    x = layers.Add()([x, inputs])
    y = layers.Conv1D(4, 5, padding="causal", dilation_rate=2)(x)
    x = layers.Concatenate()([x, y])
    x = layers.Activation("tanh")(layers.BatchNormalization(scale=False)(x))
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


def nested():
    inner = sequential(layers.Conv1D(4, 3), layers.ReLU(), shape=(20, 6))
    inputs = keras.Input((20, 6))
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(inner(inputs))))


# Models of one's own, with options that the course's networks do not use.
OWN = {
    "strides": lambda: sequential(
        layers.Conv1D(4, 5, strides=3, padding="same"), layers.Conv1D(3, 2, use_bias=False), layers.Flatten()
    ),
    "dilation": lambda: sequential(
        layers.Conv1D(4, 3, dilation_rate=4), layers.AveragePooling1D(3, strides=1, padding="same")
    ),
    "overlapping pools": lambda: sequential(
        layers.Reshape((20, 6, 1)),
        layers.MaxPooling2D((3, 2), strides=(2, 2)),
        layers.Conv2D(2, (3, 2), strides=2),
    ),
    "recurrent": lambda: sequential(
        layers.GRU(4, return_sequences=True, reset_after=False),
        layers.LSTM(3, use_bias=False, return_sequences=True),
        layers.SimpleRNN(2),
    ),
    "residual": residual,
    "nested": nested,
}


def layers_inside(model, prefix=""):
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from layers_inside(layer, f"{prefix}{layer.name}/")
        elif not (prefix and isinstance(layer, layers.InputLayer)):
            yield prefix + layer.name, layer


def assert_equals_keras(description, model):
    assert description.parameters == model.count_params()
    shapes = {name: (layer.count_params(), layer.output.shape[1:]) for name, layer in layers_inside(model)}
    rows = {row.name: (row.parameters, row.output_shape) for row in description.layers}
    if isinstance(model, keras.Sequential):
        rows.pop(description.layers[0].name)  # Keras hides the input of such a model
    assert rows == shapes


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_a_configuration_and_its_keras_model_get_the_same_table(config):
    model = build(config, input_shape=(40, 12), n_classes=4)
    description = describe(config, input_shape=(40, 12), n_classes=4)
    assert describe(model) == description
    assert_equals_keras(description, model)
    assert description.parameters == models.count_parameters(config, input_shape=(40, 12), n_classes=4)


@pytest.mark.parametrize("name", OWN)
def test_parameters_and_shapes_of_own_models_equal_those_of_keras(name):
    model = OWN[name]()
    assert_equals_keras(describe(model), model)


def counted_by_tensorflow(model):
    """Return TensorFlow's own count of multiply-adds in matrix products and convolutions, for one clip."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    clip = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32)
    graph = convert_variables_to_constants_v2(tf.function(model).get_concrete_function(clip)).graph
    options = (
        tf.compat.v1.profiler.ProfileOptionBuilder(
            tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
        )
        .with_empty_output()
        .build()
    )
    with graph.as_default():
        counted = tf.compat.v1.profiler.profile(graph, cmd="op", options=options)
    found = {}
    todo = [counted]
    while todo:
        node = todo.pop()
        todo += node.children
        if node.name in ("MatMul", "Conv2D"):
            found[node.name] = node.float_ops
    return sum(found.values()) // 2  # a product and a sum are two operations


def counted_here(description):
    return sum(row.multiply_adds for row in description.layers if row.kind != "Dot")  # which TensorFlow omits


@pytest.mark.parametrize(
    "config", [c for c in CONFIGS if not isinstance(c, (RnnConfig, CrnnConfig))], ids=str
)
def test_multiply_adds_equal_those_that_tensorflow_counts(config):
    model = build(config, input_shape=(40, 12), n_classes=4)
    assert counted_here(describe(config, input_shape=(40, 12), n_classes=4)) == counted_by_tensorflow(model)


@pytest.mark.parametrize(
    ("config", "builder"),
    [
        (RnnConfig(cell="gru", units=5), models.rnn),
        (RnnConfig(cell="lstm", units=5, layers=2, bidirectional=False), models.rnn),
        (RnnConfig(cell="simple", units=5, head="last"), models.rnn),
        (CrnnConfig(conv_channels=(3, 4), gru_units=5), models.crnn),
    ],
    ids=lambda part: getattr(part, "__name__", str(part)),
)
def test_multiply_adds_of_recurrent_networks_equal_those_of_the_unrolled_graph(config, builder):
    """In a loop TensorFlow counts one step only; written out, it counts them all."""
    model = builder(config, input_shape=(12, 8), n_classes=4, unroll=True)
    assert counted_here(describe(config, input_shape=(12, 8), n_classes=4)) == counted_by_tensorflow(model)


@pytest.mark.parametrize("name", ["strides", "dilation", "residual", "nested"])
def test_multiply_adds_of_own_models_equal_those_that_tensorflow_counts(name):
    model = OWN[name]()
    assert counted_here(describe(model)) == counted_by_tensorflow(model)


def measured_receptive_fields(model):
    """Disturb one frame after the other; give each layer's longest stretch that one number depends on."""
    rng = np.random.default_rng(0)
    shape = model.input_shape[1:]
    names = {
        name: layer
        for name, layer in layers_inside(model)
        if "/" not in name and not isinstance(layer, layers.InputLayer)
    }
    inside = keras.Model(model.inputs, {name: layer.output for name, layer in names.items()})
    for weight in model.weights:  # signs of both kinds everywhere, so that hardly a ReLU is shut for good
        if "moving" not in weight.path and "gamma" not in weight.path:
            weight.assign(rng.normal(0, 0.5, weight.shape))
    reached = {}
    for _ in range(6):  # a maximum or a ReLU may hide a change; not from all of many
        clip = rng.normal(0, 1, shape).astype(np.float32)
        clips = np.repeat(clip[None], shape[0] + 1, axis=0)
        for frame in range(shape[0]):
            clips[frame, frame] += rng.normal(0, 5, shape[1])
        for name, outputs in inside.predict_on_batch(clips).items():
            changed = np.abs(outputs[:-1] - outputs[-1:]) > 1e-6
            reached[name] = reached.get(name, False) | changed.reshape(shape[0], -1)  # (frames, values)
    return {name: max(map(stretch, changed.T)) for name, changed in reached.items()}


def stretch(changed):
    frames = np.flatnonzero(changed)
    return int(frames[-1] - frames[0] + 1) if len(frames) else 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: build(ArticleCnnConfig(filters=8, kernel_size=4, pool=3, units=20), input_shape=(21, 5)),
        lambda: build(CnnConfig(channels=(4, 6, 8)), input_shape=(33, 8)),
        lambda: build(
            CnnConfig(channels=(4, 6), kernel_size=(4, 2), pools=((3, 1), (1, 2))), input_shape=(22, 8)
        ),
        lambda: build(CrnnConfig(conv_channels=(4, 6), gru_units=6), input_shape=(21, 8)),
        lambda: build(RnnConfig(units=6), input_shape=(12, 5)),
        lambda: build(SoftmaxConfig(), input_shape=(12, 5)),
        OWN["strides"],
        OWN["dilation"],
        OWN["overlapping pools"],
        OWN["residual"],
    ],
)
def test_receptive_fields_are_what_a_measurement_finds(make):
    model = make()
    description = describe(model)
    n_frames = model.input_shape[1]
    measured = measured_receptive_fields(model)
    stated = {
        row.name: row.receptive_field_frames or n_frames for row in description.layers if row.name in measured
    }
    if "probabilities" in stated:  # a softmax over time or words may saturate; its inputs say the same
        stated.pop("probabilities"), measured.pop("probabilities")
    assert stated == measured


def test_receptive_field_in_seconds_by_hand():
    description = describe(CnnConfig(), hop_seconds=0.010, window_seconds=0.025)
    # 3 frames under conv1, 4 with pool1; conv2 reaches 2 steps of 2 frames further, pool2 one; conv3 2 of 4.
    assert [description[f"conv{n}"].receptive_field_frames for n in (1, 2, 3)] == [3, 8, 18]
    assert description["pool3"].receptive_field_frames == description.receptive_field_frames == 22
    assert description.receptive_field_seconds == pytest.approx(21 * 0.010 + 0.025)
    assert description["logits"].receptive_field_seconds is None
    assert (
        describe(CnnConfig(), hop_seconds=0.02, window_seconds=0.05)["conv1"].receptive_field_seconds == 0.09
    )
    for config in (SoftmaxConfig(), RnnConfig()):  # from single frames straight to the whole clip
        assert describe(config).receptive_field_seconds == 0.025


def test_bytes_are_those_of_keras_outputs():
    model = build(CnnConfig(), input_shape=(40, 12))
    description = describe(model)
    passed_on = ("picture", "sequence", "dropout")
    for layer in model.layers:
        expected = 0 if layer.name in passed_on else 4 * int(np.prod(layer.output.shape[1:]))
        assert description[layer.name].activation_bytes == expected
    assert description.activation_bytes == sum(row.activation_bytes for row in description.layers)


def test_the_table_has_a_line_for_each_layer_and_one_for_the_sums():
    description = describe(RnnConfig())
    head, *rows, last = str(description).splitlines()
    assert head.split() == ["layer", "kind", "output", "parameters", "multiply-adds", "sees", "bytes"]
    assert [row.split()[0] for row in rows] == [row.name for row in description.layers]
    assert f"{description.parameters:,}" in last
    assert f"{description.multiply_adds:,}" in last
    names = description.text(columns=("name", "receptive_field_frames")).splitlines()
    assert names[1].split() == ["features", "1"]
    assert names[2].split() == ["gru1", "whole", "clip"]
    with pytest.raises(ValueError, match="no column 'size'"):
        description.text(columns=("size",))
    with pytest.raises(KeyError, match="gru1"):
        description["gru2"]


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(ValueError, match="leave 0 frames"):
        describe(CnnConfig(), input_shape=(4, 20))
    with pytest.raises(ValueError, match="kernel_size is 3 frames"):
        describe(ArticleCnnConfig(), input_shape=(2, 20))
    with pytest.raises(ValueError, match="LayerNormalization"):
        describe(sequential(layers.LayerNormalization()))
    with pytest.raises(ValueError, match="input_shape"):
        describe(sequential(layers.Conv1D(2, 3), shape=(None, 6)))
    with pytest.raises(ValueError, match="configuration"):
        describe("cnn")


def test_a_model_for_any_length_is_described_for_the_length_that_is_given():
    model = sequential(layers.Conv1D(2, 3), layers.GlobalMaxPooling1D(), shape=(None, 6))
    assert describe(model, input_shape=(20, 6)).layers[1].output_shape == (18, 2)


def test_describing_a_configuration_loads_no_tensorflow():
    code = (
        "import sys; from asrlib.models import *\n"
        "for config in FAMILIES.values(): describe(config()).text()\n"
        "print({'tensorflow', 'keras'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
