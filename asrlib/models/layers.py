"""Which layers a configuration stands for, and the arithmetic of their shapes, without building anything.

Each layer of a network is a :class:`Layer`: the name and the kind that it has in Keras, and the sizes that
count. From these follow the shapes of all weights and outputs, the multiplications needed, and how much of
the sound each number depends on. :mod:`asrlib.models.builders` writes the same layers as Keras code; tests
hold the two against each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asrlib.models.configs import (
    ArticleCnnConfig,
    CnnConfig,
    CrnnConfig,
    CtcConfig,
    ModelConfig,
    RnnConfig,
    SoftmaxConfig,
    integers,
    member_names,
)

INPUT = "features"
"""The name of every network's input."""

CELL_KINDS: Mapping[str, str] = {"gru": "GRU", "lstm": "LSTM", "simple": "SimpleRNN"}
"""Keras' name for each cell of :class:`~asrlib.models.RnnConfig`."""

GATES: Mapping[str, int] = {"GRU": 3, "LSTM": 4, "SimpleRNN": 1}
"""How many weighted sums each unit of a recurrent layer computes in one step."""

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """One layer: its name, its kind as Keras calls it, its sizes, and whose outputs it reads."""

    name: str
    kind: str
    sizes: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()  # none named: the layer before


def layers_of(config: ModelConfig | CtcConfig, *, input_shape: Shape, n_classes: int) -> list[Layer]:
    """List the layers of a network that answers alone, from its input to what it answers."""
    layers = [
        Layer(INPUT, "InputLayer", {"shape": tuple(input_shape)}),
        *_BODIES[type(config)](config, tuple(input_shape)),
        Layer("logits", "Dense", {"units": n_classes}),
    ]
    if isinstance(config, CtcConfig):  # the loss and the decoders take scores as they are
        return layers
    return [*layers, Layer("probabilities", "Softmax", {"axis": -1})]


def check_fits(config: ModelConfig | CtcConfig, *, input_shape: Shape) -> None:
    """Raise ValueError if the network leaves nothing of an input of this shape."""
    n_frames, n_features = input_shape
    if isinstance(config, ArticleCnnConfig):
        if config.kernel_size > n_frames:
            raise ValueError(
                f"kernel_size is {config.kernel_size} frames, longer than the input of {n_frames}; "
                "use a shorter one."
            )
        n_steps = n_frames - config.kernel_size + 1
        if config.pool > n_steps:
            raise ValueError(
                f"pool is {config.pool} steps, but the convolution gives {n_steps} of an input of "
                f"{n_frames} frames; use a smaller pool."
            )
    if isinstance(config, (CnnConfig, CrnnConfig, CtcConfig)):
        for pool_time, pool_frequency in config.pools:
            n_frames, n_features = n_frames // pool_time, n_features // pool_frequency
        if not (n_frames and n_features):
            raise ValueError(
                f"The pools {config.pools} leave {n_frames} frames × {n_features} bands of an input of "
                f"{input_shape[0]} × {input_shape[1]}; use fewer or smaller pools."
            )


def _softmax(config: SoftmaxConfig, input_shape: Shape) -> Iterator[Layer]:
    yield Layer("flatten", "Flatten")


def _article_cnn(config: ArticleCnnConfig, input_shape: Shape) -> Iterator[Layer]:
    yield Layer("conv1", "Conv1D", {"channels": config.filters, "kernel": (config.kernel_size,)})
    yield Layer("pool1", "MaxPooling1D", {"pool": (config.pool,)})
    yield from _dropout("conv_dropout", config.conv_dropout)
    yield Layer("flatten", "Flatten")
    yield Layer("hidden", "Dense", {"units": config.units})
    yield from _dropout("dropout", config.dropout)


def _cnn(config: CnnConfig, input_shape: Shape) -> Iterator[Layer]:
    yield from _convolutions(config.channels, config.kernel_size, config.pools, input_shape)
    yield from _over_time(config.head)
    yield from _dropout("dropout", config.dropout)


def _rnn(config: RnnConfig, input_shape: Shape) -> Iterator[Layer]:
    for number in range(1, config.layers + 1):
        every_step = number < config.layers or config.head != "last"
        yield _recurrent(
            f"{config.cell}{number}", CELL_KINDS[config.cell], config.units, config.bidirectional, every_step
        )
    yield from _over_time(config.head)
    yield from _dropout("dropout", config.dropout)


def _crnn(config: CrnnConfig, input_shape: Shape) -> Iterator[Layer]:
    yield from _convolutions(config.conv_channels, config.kernel_size, config.pools, input_shape)
    if config.projection:
        yield Layer("projection", "Dense", {"units": config.projection})
    yield from _dropout("projection_dropout", config.projection_dropout)
    gru = _recurrent("gru", "GRU", config.gru_units, config.bidirectional, config.head != "last")
    yield gru
    if config.head == "attention":
        yield Layer("attention", "Dense", {"units": 1})
        yield Layer("attention_weights", "Softmax", {"axis": 0})
        yield Layer("weighted_sum", "Dot", inputs=("attention_weights", gru.name))
        yield Layer("weighted_mean", "Flatten")
    yield from _over_time(config.head)
    yield from _dropout("dropout", config.dropout)


def _ctc(config: CtcConfig, input_shape: Shape) -> Iterator[Layer]:
    yield Layer("input_norm", "BatchNormalization", {"scale": False, "center": False})
    yield from _convolutions(
        config.conv_channels, config.kernel_size, config.pools, input_shape, causal=config.causal
    )
    if config.projection:
        yield Layer("projection", "Dense", {"units": config.projection})
    yield from _dropout("projection_dropout", config.projection_dropout)
    for number in range(1, config.layers + 1):
        yield _recurrent(f"gru{number}", "GRU", config.gru_units, config.bidirectional, every_step=True)
        yield from _dropout(f"dropout{number}", config.dropout)


_BODIES = {
    SoftmaxConfig: _softmax,
    ArticleCnnConfig: _article_cnn,
    CnnConfig: _cnn,
    RnnConfig: _rnn,
    CrnnConfig: _crnn,
    CtcConfig: _ctc,
}


def _convolutions(
    channels: Sequence[int],
    kernel: Shape,
    pools: Sequence[Shape],
    input_shape: Shape,
    *,
    causal: bool = False,
) -> Iterator[Layer]:
    """List the blocks of convolution, pooling, normalisation and ReLU, and the way back to a sequence."""
    n_frames, n_features = input_shape
    yield Layer("picture", "Reshape", {"shape": (n_frames, n_features, 1)})
    for number, (outputs, pool) in enumerate(zip(channels, pools, strict=True), start=1):
        options = {"channels": outputs, "kernel": tuple(kernel), "padding": "same", "bias": False}
        if causal:
            yield Layer(f"pad{number}", "ZeroPadding2D", {"zeros": causal_zeros(kernel)})
            options["padding"] = "valid"
        yield Layer(f"conv{number}", "Conv2D", options)
        yield Layer(f"pool{number}", "MaxPooling2D", {"pool": tuple(pool)})
        yield Layer(f"norm{number}", "BatchNormalization")
        yield Layer(f"relu{number}", "ReLU")
        n_frames, n_features = n_frames // pool[0], n_features // pool[1]
    yield Layer("sequence", "Reshape", {"shape": (n_frames, n_features * channels[-1])})


def causal_zeros(kernel: Shape) -> tuple[tuple[int, int], tuple[int, int]]:
    """Count the zeros before and after time and frequency, so that no kernel looks ahead in time."""
    height, width = kernel
    return (height - 1, 0), ((width - 1) // 2, width - 1 - (width - 1) // 2)


def _recurrent(name: str, kind: str, units: int, bidirectional: bool, every_step: bool) -> Layer:
    sizes = {"units": units, "every_step": every_step}
    if bidirectional:
        return Layer(name, f"Bidirectional {kind}", sizes | {"runs": (f"{name}_forward", f"{name}_backward")})
    return Layer(f"{name}_forward", kind, sizes)


def _over_time(head: str) -> Iterator[Layer]:
    if head == "max":
        yield Layer("max_over_time", "GlobalMaxPooling1D")
    elif head == "average":
        yield Layer("mean_over_time", "GlobalAveragePooling1D")


def _dropout(name: str, share: float) -> Iterator[Layer]:
    if share:
        yield Layer(name, "Dropout")


# -- arithmetic ------------------------------------------------------------------------------------------


def output_shape(layer: Layer, *inputs: Shape) -> Shape:
    """Give the shape of a layer's output for one clip, from the shapes of what it reads."""
    sizes, kind, x = layer.sizes, layer.kind, inputs[0] if inputs else ()
    if kind in ("InputLayer", "Reshape"):
        return tuple(sizes["shape"])
    if kind == "Flatten":
        return (math.prod(x),)
    if kind == "ZeroPadding2D":
        lengths = [length + sum(zeros) for length, zeros in zip(x, sizes["zeros"], strict=False)]
        return (*lengths, x[-1])
    if kind == "Dense":
        return (*x[:-1], sizes["units"])
    if kind in ("Conv1D", "Conv2D"):
        lengths = [
            _steps(length, span, stride, sizes.get("padding", "valid"))
            for length, span, stride in zip(x, spans(sizes), strides(sizes), strict=False)
        ]
        return (*lengths, sizes["channels"])
    if "Pooling" in kind and not kind.startswith("Global"):
        lengths = [
            _steps(length, pool, stride, sizes.get("padding", "valid"))
            for length, pool, stride in zip(x, sizes["pool"], strides(sizes), strict=False)
        ]
        return (*lengths, x[-1])
    if kind.startswith("Global"):
        return (x[-1],)
    if cell_of(kind):
        width = sizes["units"] * (2 if _runs(layer) else 1)
        return (x[0], width) if sizes["every_step"] else (width,)
    if kind == "Dot":
        return (inputs[0][-1], inputs[1][-1])
    if kind == "Concatenate":
        return (*x[:-1], sum(shape[-1] for shape in inputs))
    return x  # what treats every number alike: ReLU, Dropout, BatchNormalization, Softmax, Add, Average


def layer_weights(layer: Layer, *inputs: Shape) -> dict[str, Shape]:
    """Name a layer's weights and give their shapes, in the order in which Keras lists them."""
    sizes, kind = layer.sizes, layer.kind
    width = inputs[0][-1] if inputs else 0
    bias = sizes.get("bias", True)
    if kind == "Dense":
        shapes = {"kernel": (width, sizes["units"])}
        return _named(layer.name, shapes | ({"bias": (sizes["units"],)} if bias else {}))
    if kind in ("Conv1D", "Conv2D"):
        shapes = {"kernel": (*sizes["kernel"], width, sizes["channels"])}
        return _named(layer.name, shapes | ({"bias": (sizes["channels"],)} if bias else {}))
    if kind == "BatchNormalization":
        names = [name for name, flag in (("gamma", "scale"), ("beta", "center")) if sizes.get(flag, True)]
        return _named(layer.name, dict.fromkeys((*names, "moving_mean", "moving_variance"), (width,)))
    cell, units = cell_of(kind), sizes.get("units", 0)
    if cell:
        gates = GATES[cell] * units  # the gates stand side by side
        shapes = {"kernel": (width, gates), "recurrent_kernel": (units, gates)}
        if bias:
            # Keras' GRU adds one bias to the input's part and one to the recurrent part.
            shapes["bias"] = (2, gates) if sizes.get("two_biases", cell == "GRU") else (gates,)
        return {
            name: shape
            for run in _runs(layer) or (layer.name,)
            for name, shape in _named(run, shapes).items()
        }
    return {}


def weight_shapes(
    config: ModelConfig | CtcConfig, *, input_shape: tuple[int | None, int] | None = None, n_classes: int = 10
) -> dict[str, tuple[int, ...]]:
    """Name every array of a network's weights and give its shape, without building the network.

    Parameters
    ----------
    config : ModelConfig or CtcConfig
        Sizes of the network.
    input_shape : (int, int), optional
        Frames and coefficients of one input; (100, 20) if left out, of a `CtcConfig` (100, 40). A
        `CtcConfig` reads any number of frames, which may be None here.
    n_classes : int
        Number of words that the network tells apart; of a `CtcConfig` one more, for the blank.

    Returns
    -------
    dict of str to tuple of int
        Shapes in the order in which Keras lists the weights of the network that
        :func:`~asrlib.models.build` or :func:`~asrlib.models.ctc` makes of it.

    Raises
    ------
    ValueError
        If the kernels and pools leave nothing of the input.

    Examples
    --------
    >>> from asrlib.models import ArticleCnnConfig
    >>> shapes = weight_shapes(ArticleCnnConfig(), input_shape=(100, 20))
    >>> shapes["conv1/kernel"], shapes["hidden/kernel"]
    ((3, 20, 32), (1568, 128))

    Lesson: 04
    """
    input_shape = checked_input_shape(config, input_shape)
    (n_classes,) = integers("n_classes", (n_classes,), minimum=2)
    check_fits(config, input_shape=input_shape)
    if config.members > 1:
        one = weight_shapes(config.one_member, input_shape=input_shape, n_classes=n_classes)
        return {f"{member}/{name}": shape for member in member_names(config) for name, shape in one.items()}
    shapes: dict[str, Shape] = {}
    outputs: dict[str, Shape] = {}
    for layer, inputs in walk(layers_of(config, input_shape=input_shape, n_classes=n_classes)):
        read = [outputs[name] for name in inputs]
        outputs[layer.name] = output_shape(layer, *read)
        shapes |= layer_weights(layer, *read)
    return shapes


def count_parameters(
    config: ModelConfig | CtcConfig, *, input_shape: tuple[int | None, int] | None = None, n_classes: int = 10
) -> int:
    """Count a network's weights, without building the network.

    Parameters
    ----------
    config, input_shape, n_classes
        As for :func:`weight_shapes`.

    Returns
    -------
    int
        Number of weights, batch normalisation's running means and variances included.

    Examples
    --------
    >>> from asrlib.models import SoftmaxConfig
    >>> count_parameters(SoftmaxConfig(), input_shape=(100, 20)) == (100 * 20 + 1) * 10
    True

    Lesson: 04
    """
    shapes = weight_shapes(config, input_shape=input_shape, n_classes=n_classes)
    return sum(map(math.prod, shapes.values()))


def checked_input_shape(config: ModelConfig | CtcConfig, input_shape: Any) -> tuple[int, int]:
    """Return the shape as two ints, or the one that is meant when none is given."""
    if input_shape is None:
        return config.default_input_shape
    if isinstance(config, CtcConfig) and isinstance(input_shape, tuple) and input_shape[:1] == (None,):
        input_shape = (config.default_input_shape[0], *input_shape[1:])  # its weights are the same
    n_frames, n_features = integers("input_shape", input_shape, length=2)
    return n_frames, n_features


def walk(layers: Sequence[Layer]) -> Iterator[tuple[Layer, tuple[str, ...]]]:
    """Go through layers together with the names of those that each reads."""
    before: tuple[str, ...] = ()
    for layer in layers:
        yield layer, layer.inputs or before
        before = (layer.name,)


def _named(name: str, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    return {f"{name}/{weight}": shape for weight, shape in shapes.items()}


def cell_of(kind: str) -> str:
    """Return the recurrent cell of a kind of layer, or "" if it has none."""
    cell = kind.removeprefix("Bidirectional ")
    return cell if cell in GATES else ""


def _runs(layer: Layer) -> tuple[str, ...]:
    return layer.sizes.get("runs", ())


def spans(sizes: Mapping[str, Any]) -> Shape:
    """Give how many inputs lie under a kernel from end to end, the gaps of a dilated one included."""
    dilation = sizes.get("dilation", (1,) * len(sizes["kernel"]))
    return tuple((length - 1) * gap + 1 for length, gap in zip(sizes["kernel"], dilation, strict=True))


def strides(sizes: Mapping[str, Any]) -> Shape:
    """Give the steps between neighbouring outputs: of a pool its own size, unless it says otherwise."""
    return sizes.get("stride") or sizes.get("pool") or (1,) * len(sizes["kernel"])


def _steps(length: int, span: int, stride: int, padding: str) -> int:
    """Count the places of a kernel or a pool along one axis."""
    return (length - span) // stride + 1 if padding == "valid" else -(-length // stride)


def before_and_after(length: int, span: int, stride: int, padding: str) -> tuple[int, int]:
    """Count the zeros that are put before and after one axis."""
    if padding == "valid":
        return 0, 0
    total = max(0, (_steps(length, span, stride, padding) - 1) * stride + span - length)
    return (span - 1, 0) if padding == "causal" else (total // 2, total - total // 2)
