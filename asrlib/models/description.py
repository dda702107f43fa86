"""What a network costs and sees, layer by layer: the numbers to predict before building it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from asrlib.models.configs import CtcConfig, ModelConfig, integers, member_names
from asrlib.models.layers import (
    GATES,
    INPUT,
    Layer,
    Shape,
    before_and_after,
    cell_of,
    check_fits,
    checked_input_shape,
    layer_weights,
    layers_of,
    output_shape,
    spans,
    strides,
    walk,
)

if TYPE_CHECKING:
    import keras

_BYTES = 4  # of a float32
_SAME_NUMBERS = ("Reshape", "Flatten", "Dropout")  # outside training these give what they were given


@dataclass(frozen=True)
class LayerRow:
    """One layer of a :class:`Description`, for one clip.

    Parameters
    ----------
    name, kind : str
        The layer's name, and what Keras calls such a layer.
    output_shape : tuple of int
        Of one clip; the time axis comes first, as long as there is one.
    parameters : int
        Its weights, those that training does not change included.
    multiply_adds : int
        Products that are summed up, in matrix products and convolutions. What treats each number on its own
        (bias, ReLU, normalisation, gates) is not counted.
    receptive_field_frames : int or None
        Length of the stretch of the input that one number of its output depends on, where that is longest;
        None where it is the whole clip.
    receptive_field_seconds : float or None
        The same as a stretch of sound, from the first frame's first sample to the last frame's last.
    activation_bytes : int
        Memory for its output in float32; 0 where a layer gives the numbers that it was given.

    Lesson: 04
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    receptive_field_frames: int | None
    receptive_field_seconds: float | None
    activation_bytes: int


@dataclass(frozen=True)
class Description:
    """What a network costs and sees; printing it gives a table.

    Parameters
    ----------
    layers : tuple of LayerRow
        From the input to the probabilities.

    Examples
    --------
    >>> from asrlib.models import RnnConfig
    >>> description = describe(RnnConfig(units=10, bidirectional=False), input_shape=(100, 20))
    >>> description["gru1_forward"].parameters, description.multiply_adds
    (960, 90100)

    Lesson: 04
    """

    layers: tuple[LayerRow, ...]

    @property
    def parameters(self) -> int:
        """Weights of the whole network."""
        return sum(row.parameters for row in self.layers)

    @property
    def multiply_adds(self) -> int:
        """Products summed up for one clip."""
        return sum(row.multiply_adds for row in self.layers)

    @property
    def activation_bytes(self) -> int:
        """Memory for the outputs of all layers, which training keeps for every clip of a batch."""
        return sum(row.activation_bytes for row in self.layers)

    @property
    def receptive_field_frames(self) -> int | None:
        """The longest stretch that one number depends on, before the layers that look at the whole clip."""
        local = [row.receptive_field_frames for row in self.layers if row.receptive_field_frames]
        return max(local, default=None)

    @property
    def receptive_field_seconds(self) -> float | None:
        """The same in seconds of sound."""
        local = [row.receptive_field_seconds for row in self.layers if row.receptive_field_seconds]
        return max(local, default=None)

    def __getitem__(self, name: str) -> LayerRow:
        """Return the row of the layer with this name."""
        for row in self.layers:
            if row.name == name:
                return row
        raise KeyError(
            f"No layer is called {name!r}; there are {', '.join(row.name for row in self.layers)}."
        )

    def __str__(self) -> str:
        return self.text()

    def text(self, *, columns: Sequence[str] = ()) -> str:
        """Write the table with some of its columns.

        Parameters
        ----------
        columns : sequence of str
            Fields of :class:`LayerRow`; all but the receptive field in frames, if left out.

        Returns
        -------
        str
            One line for the names, one for each layer, one for the sums.

        Raises
        ------
        ValueError
            If a column is unknown.

        Examples
        --------
        >>> from asrlib.models import SoftmaxConfig
        >>> print(describe(SoftmaxConfig()).text(columns=("name", "output_shape", "parameters")))
        layer          output    parameters
        features       100 × 20           0
        flatten        2000               0
        logits         10            20,010
        probabilities  10                 0
        whole network                20,010
        """
        columns = tuple(columns) or tuple(name for name in _COLUMNS if name != "receptive_field_frames")
        unknown = [name for name in columns if name not in _COLUMNS]
        if unknown:
            raise ValueError(f"There is no column {unknown[0]!r}; choose from {', '.join(_COLUMNS)}.")
        cells = [[_COLUMNS[name][0] for name in columns]]
        cells += [[_COLUMNS[name][1](getattr(row, name)) for name in columns] for row in self.layers]
        sums = {"name": "whole network"} | {
            name: _COLUMNS[name][1](getattr(self, name))
            for name in ("parameters", "multiply_adds", "activation_bytes")
        }
        cells.append([sums.get(name, "") for name in columns])
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if name in _WORDS else cell.rjust(width)
                for name, cell, width in zip(columns, line, widths, strict=True)
            ).rstrip()
            for line in cells
        )


def _count(number: int) -> str:
    return f"{number:,}"


_COLUMNS: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "name": ("layer", str),
    "kind": ("kind", str),
    "output_shape": ("output", lambda shape: " × ".join(map(str, shape))),
    "parameters": ("parameters", _count),
    "multiply_adds": ("multiply-adds", _count),
    "receptive_field_frames": ("sees frames", lambda n: "whole clip" if n is None else _count(n)),
    "receptive_field_seconds": (
        "sees",
        lambda seconds: "whole clip" if seconds is None else f"{1000 * seconds:,.0f} ms",
    ),
    "activation_bytes": ("bytes", _count),
}
_WORDS = ("name", "kind", "output_shape")


def describe(
    model: ModelConfig | CtcConfig | keras.Model,
    *,
    input_shape: tuple[int, int] | None = None,
    n_classes: int = 10,
    hop_seconds: float = 0.010,
    window_seconds: float = 0.025,
) -> Description:
    """Count what a network needs and say how much of the sound each layer sees.

    From a configuration this is arithmetic alone: no network is built and TensorFlow is not imported.

    Parameters
    ----------
    model : ModelConfig, CtcConfig or keras.Model
        A configuration, or a Keras model made of the kinds of layers that the course uses.
    input_shape : (int, int), optional
        Frames and coefficients of one input. Of a configuration (100, 20) if left out; a Keras model knows
        its own, unless it reads clips of any length.
    n_classes : int
        Number of words, for a configuration.
    hop_seconds, window_seconds : float
        From frame to frame, and of one frame.

    Returns
    -------
    Description

    Raises
    ------
    ValueError
        If the kernels and pools leave nothing of the input, or the model has a layer of another kind.

    Examples
    --------
    >>> from asrlib.models import CnnConfig
    >>> description = describe(CnnConfig(channels=(8, 16), pools=((2, 2), (2, 2))))
    >>> description.parameters, description["conv2"].multiply_adds
    (2130, 576000)
    >>> description["conv2"].receptive_field_frames
    8

    Three frames under a kernel of conv1, one more under its pool, and four more under a kernel of conv2,
    whose inputs lie two frames apart.

    References
    ----------
    A. Araujo, W. Norris, J. Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill,
    2019.

    Lesson: 04
    """
    if isinstance(model, ModelConfig | CtcConfig):
        layers = _layers_of_config(model, input_shape=input_shape, n_classes=n_classes)
    elif hasattr(model, "layers") and hasattr(model, "count_params"):
        layers = _layers_of_keras(model, input_shape=input_shape)
    else:
        raise ValueError(
            f"describe reads a configuration such as CnnConfig() or a Keras model, got {model!r}."
        )

    n_frames = layers[0].sizes["shape"][0]
    shapes: dict[str, Shape] = {}
    sights: dict[str, _Sight] = {}
    rows = []
    for layer, inputs in walk(layers):
        read = [shapes[name] for name in inputs]
        shape = shapes[layer.name] = output_shape(layer, *read)
        if any(length < 1 for length in shape):
            raise ValueError(f"Layer {layer.name!r} leaves nothing: its output would have the shape {shape}.")
        sight = _sight(layer, shape, read, [sights[name] for name in inputs])
        sights[layer.name] = sight
        frames = sight.most_frames(n_frames, n_steps=sight.side_by_side or shape[0])
        local = frames < n_frames
        row = LayerRow(
            name=layer.name,
            kind=layer.kind,
            output_shape=shape,
            parameters=sum(map(math.prod, layer_weights(layer, *read).values())),
            multiply_adds=_multiply_adds(layer, shape, read),
            receptive_field_frames=frames if local else None,
            receptive_field_seconds=round((frames - 1) * hop_seconds + window_seconds, 9) if local else None,
            activation_bytes=0 if layer.kind in _SAME_NUMBERS else _BYTES * math.prod(shape),
        )
        rows.append(row)
    return Description(tuple(rows))


def _multiply_adds(layer: Layer, shape: Shape, inputs: Sequence[Shape]) -> int:
    kind, sizes = layer.kind, layer.sizes
    if kind == "Dense":
        return math.prod(shape) * inputs[0][-1]
    if kind in ("Conv1D", "Conv2D"):
        return math.prod(shape) * math.prod(sizes["kernel"]) * inputs[0][-1]
    if kind == "Dot":
        return math.prod(inputs[0]) * inputs[1][-1]
    cell = cell_of(kind)
    if cell:
        n_steps, width = inputs[0]
        each = GATES[cell] * sizes["units"] * (width + sizes["units"])
        return n_steps * each * max(1, len(sizes.get("runs", ())))
    return 0


@dataclass(frozen=True)
class _Sight:
    """Which frames each step of a layer's output depends on: step n on [first + n · step, … + frames)."""

    first: int
    frames: int
    step: int  # 0: all steps see the same
    side_by_side: int = (
        0  # steps that were laid side by side in one long row of numbers; 0 while time is an axis
    )

    def most_frames(self, n_frames: int, *, n_steps: int) -> int:
        """Count the frames that the best placed step sees; the padding around the clip is no frame."""
        return max(
            min(n_frames, first + self.frames) - max(0, first)
            for first in ((self.first + n * self.step) for n in range(n_steps if self.step else 1))
        )

    def under(self, span: int, stride: int, padding_before: int) -> _Sight:
        """Give what a kernel sees that covers `span` steps."""
        return _Sight(
            self.first - padding_before * self.step,
            self.frames + (span - 1) * self.step,
            self.step * stride,
        )

    def all_steps(self, n_steps: int) -> _Sight:
        """Give what a number depends on that is made of every step."""
        return _Sight(self.first, self.frames + (n_steps - 1) * self.step, 0)

    def joined(self, other: _Sight) -> _Sight:
        """Give what a number depends on that is made of a step of this and the same step of another."""
        first = min(self.first, other.first)
        last = max(self.first + self.frames, other.first + other.frames)
        return _Sight(first, last - first, max(self.step, other.step), self.side_by_side)


_ONE_BY_ONE = ("ReLU", "Dropout", "SpatialDropout1D", "SpatialDropout2D", "Activation", "BatchNormalization")


def _sight(layer: Layer, shape: Shape, inputs: Sequence[Shape], sights: Sequence[_Sight]) -> _Sight:
    """Give what one number of a layer's output depends on, from what its inputs depend on."""
    kind, sizes = layer.kind, layer.sizes
    if kind == "InputLayer":
        return _Sight(0, 1, 1)
    n_steps = [sight.side_by_side or read[0] for sight, read in zip(sights, inputs, strict=True)]
    if len({(sight.step, sight.side_by_side) for sight in sights}) > 1:  # steps that do not belong together
        sights = [sight.all_steps(n) for sight, n in zip(sights, n_steps, strict=True)]
    sight = sights[0]
    for other in sights[1:]:
        sight = sight.joined(other)

    if kind == "Flatten" or (kind == "Reshape" and shape[0] != inputs[0][0]):
        return replace(sight, side_by_side=n_steps[0]) if sight.step else sight
    if sight.side_by_side:
        return sight if kind in _ONE_BY_ONE else sight.all_steps(n_steps[0])
    if kind.endswith(("Pooling1D", "Pooling2D", "Conv1D", "Conv2D")) and "Global" not in kind:
        span, stride = (spans(sizes) if "kernel" in sizes else sizes["pool"])[0], strides(sizes)[0]
        before, _ = before_and_after(n_steps[0], span, stride, sizes.get("padding", "valid"))
        return sight.under(span, stride, before)
    if kind == "ZeroPadding2D":
        return replace(sight, first=sight.first - sizes["zeros"][0][0] * sight.step)
    over_time = "Global" in kind or kind == "Dot" or cell_of(kind)
    over_time = over_time or (kind == "Softmax" and sizes["axis"] == 0)
    return sight.all_steps(n_steps[0]) if over_time else sight


def _layers_of_config(config: ModelConfig | CtcConfig, *, input_shape: Any, n_classes: int) -> list[Layer]:
    shape = checked_input_shape(config, input_shape)
    check_fits(config, input_shape=shape)
    (n_classes,) = integers("n_classes", (n_classes,), minimum=2)
    if config.members == 1:
        return layers_of(config, input_shape=shape, n_classes=n_classes)
    first, *inside = layers_of(config.one_member, input_shape=shape, n_classes=n_classes)[:-1]
    layers = [first]
    for member in member_names(config):
        layers += _renamed(walk([first, *inside]), prefix=f"{member}/")
    scores = tuple(f"{member}/logits" for member in member_names(config))
    return [
        *layers,
        Layer("logits", "Average", inputs=scores),
        Layer("probabilities", "Softmax", {"axis": -1}),
    ]


def _renamed(layers: Iterable[tuple[Layer, tuple[str, ...]]], *, prefix: str) -> list[Layer]:
    """Put a prefix before the names of all layers but the input."""

    def name(old: str) -> str:
        return old if old == INPUT else prefix + old

    return [
        Layer(name(layer.name), layer.kind, layer.sizes, tuple(map(name, inputs)))
        for layer, inputs in layers
        if layer.name != INPUT
    ]


# -- reading Keras' models -------------------------------------------------------------------------------


def _layers_of_keras(model: keras.Model, *, input_shape: Any) -> list[Layer]:
    """List a Keras model's layers with their sizes, those of models inside it too."""
    shape = model.input_shape if input_shape is None else (None, *input_shape)
    if not isinstance(shape, tuple) or any(length is None for length in shape[1:]):
        raise ValueError(
            f"The model reads an input of shape {shape}; give one input_shape of whole numbers, without the "
            "batch."
        )
    start = Layer(model.inputs[0]._keras_history.operation.name, "InputLayer", {"shape": tuple(shape[1:])})
    return [start, *_inside(model, reads=start.name, prefix="")]


def _inside(model: keras.Model, *, reads: str, prefix: str) -> list[Layer]:
    names = {model.inputs[0]._keras_history.operation.name: reads}
    layers: list[Layer] = []
    for layer in model.layers:
        kind = type(layer).__name__
        if kind == "InputLayer":
            continue
        tensors = layer.input if isinstance(layer.input, (list, tuple)) else [layer.input]
        inputs = tuple(names[tensor._keras_history.operation.name] for tensor in tensors)
        if hasattr(layer, "layers"):
            layers += _inside(layer, reads=inputs[0], prefix=f"{prefix}{layer.name}/")
        else:
            layers.append(Layer(prefix + layer.name, _kind(layer), _sizes(layer), inputs))
        names[layer.name] = layers[-1].name
    return layers


def _kind(layer: keras.Layer) -> str:
    kind = type(layer).__name__
    if kind == "Bidirectional":
        kind = f"Bidirectional {type(layer.forward_layer).__name__}"
    if kind not in _READERS:
        raise ValueError(
            f"Layer {layer.name!r} is of kind {kind}, which describe cannot count; it knows "
            f"{', '.join(_READERS)}."
        )
    return kind


def _sizes(layer: keras.Layer) -> dict[str, Any]:
    return _READERS[_kind(layer)](layer)


def _convolution(layer: keras.Layer) -> dict[str, Any]:
    if layer.groups != 1 or layer.data_format != "channels_last":
        raise ValueError(f"Layer {layer.name!r} has groups or channels first, which describe cannot count.")
    return {
        "channels": layer.filters,
        "kernel": tuple(layer.kernel_size),
        "stride": tuple(layer.strides),
        "dilation": tuple(layer.dilation_rate),
        "padding": layer.padding,
        "bias": layer.use_bias,
    }


def _pooling(layer: keras.Layer) -> dict[str, Any]:
    return {"pool": tuple(layer.pool_size), "stride": tuple(layer.strides), "padding": layer.padding}


def _recurrent(layer: keras.Layer) -> dict[str, Any]:
    return {
        "units": layer.units,
        "every_step": layer.return_sequences,
        "bias": layer.use_bias,
        "two_biases": getattr(layer, "reset_after", False),
    }


def _two_ways(layer: keras.Layer) -> dict[str, Any]:
    if layer.merge_mode != "concat":
        raise ValueError(f"Layer {layer.name!r} merges its directions otherwise than by joining them.")
    return _recurrent(layer.forward_layer) | {"runs": (layer.forward_layer.name, layer.backward_layer.name)}


def _softmax_axis(layer: keras.Layer) -> dict[str, Any]:
    rank = len(layer.output.shape)
    return {"axis": 0 if layer.axis in (1, 1 - rank) and rank > 2 else -1}


def _nothing(layer: keras.Layer) -> dict[str, Any]:
    return {}


_READERS: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "Dense": lambda layer: {"units": layer.units, "bias": layer.use_bias},
    "Conv1D": _convolution,
    "Conv2D": _convolution,
    "MaxPooling1D": _pooling,
    "MaxPooling2D": _pooling,
    "AveragePooling1D": _pooling,
    "AveragePooling2D": _pooling,
    **dict.fromkeys(GATES, _recurrent),
    **dict.fromkeys((f"Bidirectional {cell}" for cell in GATES), _two_ways),
    "BatchNormalization": lambda layer: {"scale": layer.scale, "center": layer.center},
    "Softmax": _softmax_axis,
    "Reshape": lambda layer: {"shape": tuple(layer.output.shape[1:])},
    "ZeroPadding2D": lambda layer: {"zeros": layer.padding},
    **dict.fromkeys(
        (
            "Flatten",
            "Dropout",
            "SpatialDropout1D",
            "SpatialDropout2D",
            "ReLU",
            "Activation",
            "GlobalMaxPooling1D",
            "GlobalMaxPooling2D",
            "GlobalAveragePooling1D",
            "GlobalAveragePooling2D",
            "Dot",
            "Add",
            "Average",
            "Concatenate",
        ),
        _nothing,
    ),
}
