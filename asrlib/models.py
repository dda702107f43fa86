"""The networks of the course, as Keras models built from small frozen configurations.

A convolutional-recurrent network (CRNN) is two ideas in a row. Convolutions look at small patches of the
log-mel picture and answer "is this edge, this bar, this burst here?" wherever in the picture it stands. A
recurrent layer then walks through time and keeps in mind in which *order* the patches came: without order,
"six" and "sick" would be the same bag of sounds.

The configuration and the arithmetic about shapes need no TensorFlow; only :func:`crnn` imports it, when
called.
"""

from __future__ import annotations

import importlib
import math
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

__all__ = [
    "HEADS",
    "CrnnConfig",
    "check_weights",
    "count_parameters",
    "crnn",
    "get_weights",
    "import_keras",
    "member_names",
    "set_weights",
    "weight_shapes",
]

HEADS = ("attention", "last", "max")
"""The ways to turn one vector per time step into one vector per clip."""

BATCH_NORM_EPSILON = 1e-3
"""Added to the variance in batch normalisation, so that a constant channel does not divide by zero."""

_BATCH_NORM_MOMENTUM = (
    0.9  # a training run here has hundreds of steps, not the many thousands Keras' 0.99 expects
)

_STARTUP_LINES = (
    "before absl::InitializeLog()",
    "oneDNN custom operations are on",
    "Could not find cuda drivers",
)


@dataclass(frozen=True)
class CrnnConfig:
    """Sizes of a convolutional-recurrent network.

    Parameters
    ----------
    conv_channels : tuple of int
        Output channels of each convolution; its length is the number of convolutions.
    kernel_size : tuple of int
        Height (frames) and width (mel bands) of every convolution kernel.
    pools : tuple of (int, int)
        Max-pooling after each convolution, as (time, frequency).
    projection : int
        Units of the dense layer before the recurrent one; 0 leaves it out.
    gru_units : int
        Units of the recurrent layer, for each direction.
    bidirectional : bool
        Whether a second recurrent layer reads the clip backwards.
    head : {"attention", "last", "max"}
        How the time axis is summed up: a weighted mean whose weights the network computes, the state after
        the last step, or the largest value of each unit.
    dropout : float
        Share of the head's outputs silenced during training, from 0 up to (not including) 1.
    projection_dropout : float
        Share of the recurrent layer's inputs silenced during training.
    members : int
        How many networks of these sizes answer together. Each has weights of its own and is trained alone;
        the mean of their scores decides. Where one of them errs, another often does not.

    Raises
    ------
    ValueError
        If a size is not positive, a share is outside [0, 1), or there is not one pool per convolution.

    Examples
    --------
    >>> CrnnConfig().head
    'attention'
    >>> CrnnConfig.from_dict(CrnnConfig(gru_units=24).to_dict()) == CrnnConfig(gru_units=24)
    True

    Lesson: 04
    """

    conv_channels: tuple[int, ...] = (16, 32)
    kernel_size: tuple[int, int] = (3, 3)
    pools: tuple[tuple[int, int], ...] = ((2, 2), (2, 2))
    projection: int = 64
    gru_units: int = 48
    bidirectional: bool = True
    head: str = "attention"
    dropout: float = 0.3
    projection_dropout: float = 0.0
    members: int = 1

    def __post_init__(self) -> None:
        # Lists (as JSON gives them) become tuples, so that equal configurations compare and hash as equal.
        object.__setattr__(self, "conv_channels", _integers("conv_channels", self.conv_channels))
        object.__setattr__(self, "kernel_size", _integers("kernel_size", self.kernel_size, length=2))
        if not isinstance(self.pools, Iterable) or isinstance(self.pools, str):
            raise ValueError(
                f"pools must hold one (time, frequency) pair per convolution, got {self.pools!r}."
            )
        pools = tuple(_integers("each pool", pool, length=2) for pool in self.pools)
        object.__setattr__(self, "pools", pools)
        if len(pools) != len(self.conv_channels):
            raise ValueError(
                f"{len(self.conv_channels)} convolutions need {len(self.conv_channels)} pools, got "
                f"{len(pools)}: conv_channels={self.conv_channels}, pools={pools}."
            )
        _integers("projection", (self.projection,), minimum=0)
        _integers("gru_units", (self.gru_units,))
        _integers("members", (self.members,))
        if not isinstance(self.bidirectional, bool):
            raise ValueError(f"bidirectional must be True or False, got {self.bidirectional!r}.")
        if self.head not in HEADS:
            raise ValueError(f"head must be one of {', '.join(HEADS)}, got {self.head!r}.")
        for name in ("dropout", "projection_dropout"):
            share = getattr(self, name)
            if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share < 1:
                raise ValueError(f"{name} is a share from 0 up to (not including) 1, got {share!r}.")

    @property
    def one_member(self) -> CrnnConfig:
        """The same sizes for a network that answers alone."""
        return replace(self, members=1)

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as plain values that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CrnnConfig:
        """Build a configuration from :meth:`to_dict`'s result; an unknown name is refused."""
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"CrnnConfig has no option {', '.join(map(repr, unknown))}.")
        return cls(**values)


def weight_shapes(
    config: CrnnConfig, *, input_shape: tuple[int, int] = (100, 40), n_classes: int = 10
) -> dict[str, tuple[int, ...]]:
    """Name every array of a network's weights and give its shape, without building the network.

    Parameters
    ----------
    config : CrnnConfig
        Sizes of the network.
    input_shape : (int, int)
        Frames and coefficients of one input.
    n_classes : int
        Number of words that the network tells apart.

    Returns
    -------
    dict of str to tuple of int
        Shapes in the order in which Keras lists the weights of :func:`crnn`.

    Raises
    ------
    ValueError
        If the pools leave nothing of the input.

    Examples
    --------
    >>> shapes = weight_shapes(CrnnConfig(conv_channels=(4,), pools=((2, 2),), projection=0, gru_units=8))
    >>> shapes["conv1/kernel"], shapes["gru_forward/kernel"]
    ((3, 3, 1, 4), (80, 24))

    Lesson: 04
    """
    n_frames, n_features = _integers("input_shape", input_shape, length=2)
    (n_classes,) = _integers("n_classes", (n_classes,), minimum=2)
    if config.members > 1:
        one = weight_shapes(config.one_member, input_shape=input_shape, n_classes=n_classes)
        return {
            f"{member}/{name}": shape for member in member_names(config) for name, shape in one.items()
        }
    shapes: dict[str, tuple[int, ...]] = {}
    channels = 1
    for number, (outputs, (pool_time, pool_frequency)) in enumerate(
        zip(config.conv_channels, config.pools, strict=True), start=1
    ):
        shapes[f"conv{number}/kernel"] = (*config.kernel_size, channels, outputs)
        for name in ("gamma", "beta", "moving_mean", "moving_variance"):
            shapes[f"norm{number}/{name}"] = (outputs,)
        channels = outputs
        n_frames, n_features = n_frames // pool_time, n_features // pool_frequency
    if not (n_frames and n_features):
        raise ValueError(
            f"The pools {config.pools} leave {n_frames} frames × {n_features} bands of an input of "
            f"{input_shape[0]} × {input_shape[1]}; use fewer or smaller pools."
        )

    width = n_features * channels
    if config.projection:
        shapes["projection/kernel"] = (width, config.projection)
        shapes["projection/bias"] = (config.projection,)
        width = config.projection

    units = config.gru_units
    for name in ("gru_forward", "gru_backward") if config.bidirectional else ("gru_forward",):
        shapes[f"{name}/kernel"] = (width, 3 * units)  # three gates side by side: update, reset, candidate
        shapes[f"{name}/recurrent_kernel"] = (units, 3 * units)
        shapes[f"{name}/bias"] = (2, 3 * units)  # one bias for the input, one for the recurrent part
    width = 2 * units if config.bidirectional else units

    if config.head == "attention":
        shapes["attention/kernel"] = (width, 1)
        shapes["attention/bias"] = (1,)
    shapes["logits/kernel"] = (width, n_classes)
    shapes["logits/bias"] = (n_classes,)
    return shapes


def member_names(config: CrnnConfig) -> tuple[str, ...]:
    """Name the networks that answer together, as their weights and their Keras models are named.

    Examples
    --------
    >>> member_names(CrnnConfig(members=2))
    ('member1', 'member2')

    Lesson: 04
    """
    return tuple(f"member{number}" for number in range(1, config.members + 1))


def count_parameters(
    config: CrnnConfig, *, input_shape: tuple[int, int] = (100, 40), n_classes: int = 10
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
    >>> count_parameters(CrnnConfig()) < 100_000
    True

    Lesson: 04
    """
    shapes = weight_shapes(config, input_shape=input_shape, n_classes=n_classes)
    return sum(math.prod(shape) for shape in shapes.values())


def crnn(
    config: CrnnConfig | None = None,
    *,
    input_shape: tuple[int, int] = (100, 40),
    n_classes: int = 10,
    seed: int | None = None,
    unroll: bool = False,
) -> keras.Model:
    """Build a convolutional-recurrent network as a Keras model.

    Parameters
    ----------
    config : CrnnConfig, optional
        Sizes of the network.
    input_shape : (int, int)
        Frames and coefficients of one input.
    n_classes : int
        Number of words that the network tells apart.
    seed : int, optional
        Fixes the initial weights and the dropout; without it each call starts elsewhere.
    unroll : bool
        Write the recurrent layer out as one copy per time step: the same numbers from a larger graph.

    Returns
    -------
    keras.Model
        From float32 (batch, n_frames, n_features) to probabilities (batch, n_classes). The layer before the
        last, "logits", gives the scores before the softmax.

    Raises
    ------
    ValueError
        If the pools leave nothing of the input.

    Examples
    --------
    >>> model = crnn(CrnnConfig(gru_units=8), input_shape=(50, 40))  # doctest: +SKIP
    >>> model.output_shape  # doctest: +SKIP
    (None, 10)

    References
    ----------
    K. Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
    Translation", EMNLP 2014 (the gated recurrent unit). S. Ioffe, C. Szegedy, "Batch Normalization", ICML
    2015. L. K. Hansen, P. Salamon, "Neural network ensembles", IEEE Transactions on Pattern Analysis and
    Machine Intelligence 12 (10), 1990 (several members).

    Lesson: 04
    """
    keras = import_keras()  # here and not above: whoever only reads a configuration must not wait for it
    layers = keras.layers

    config = CrnnConfig() if config is None else config
    weight_shapes(config, input_shape=input_shape, n_classes=n_classes)  # refuses what cannot be built
    if config.members > 1:
        return _committee(config, input_shape=input_shape, n_classes=n_classes, seed=seed, unroll=unroll)
    seeds = iter(np.random.SeedSequence(seed).generate_state(4 * len(config.conv_channels) + 16).tolist())

    def glorot() -> keras.Initializer:
        return keras.initializers.GlorotUniform(seed=next(seeds))

    def gru(name: str, *, backwards: bool) -> keras.Layer:
        return layers.GRU(
            config.gru_units,
            return_sequences=config.head != "last",
            go_backwards=backwards,
            reset_after=True,
            unroll=unroll,
            kernel_initializer=glorot(),
            recurrent_initializer=keras.initializers.Orthogonal(seed=next(seeds)),
            name=name,
        )

    inputs = keras.Input(input_shape, name="features")  # (batch, time, frequency)
    x = layers.Reshape((*input_shape, 1), name="picture")(inputs)  # one channel, as a grey picture has
    for number, (channels, pool) in enumerate(zip(config.conv_channels, config.pools, strict=True), start=1):
        x = layers.Conv2D(
            channels,
            config.kernel_size,
            padding="same",
            use_bias=False,  # the normalisation right after it subtracts any constant
            kernel_initializer=glorot(),
            name=f"conv{number}",
        )(x)
        # Pooling before the normalisation leaves it (and the ReLU) a fraction of the values to work on.
        x = layers.MaxPooling2D(pool, name=f"pool{number}")(x)
        x = layers.BatchNormalization(
            momentum=_BATCH_NORM_MOMENTUM, epsilon=BATCH_NORM_EPSILON, name=f"norm{number}"
        )(x)
        x = layers.ReLU(name=f"relu{number}")(x)

    _, time, frequency, channels = x.shape
    x = layers.Reshape((time, frequency * channels), name="sequence")(x)
    if config.projection:
        x = layers.Dense(config.projection, kernel_initializer=glorot(), name="projection")(x)
    if config.projection_dropout:
        x = layers.Dropout(config.projection_dropout, seed=next(seeds), name="projection_dropout")(x)

    if config.bidirectional:
        x = layers.Bidirectional(
            gru("gru_forward", backwards=False),
            backward_layer=gru("gru_backward", backwards=True),
            name="gru",
        )(x)
    else:
        x = gru("gru_forward", backwards=False)(x)

    if config.head == "attention":
        scores = layers.Dense(1, kernel_initializer=glorot(), name="attention")(x)  # (batch, time, 1)
        shares = layers.Softmax(axis=1, name="attention_weights")(scores)
        x = layers.Flatten(name="weighted_mean")(layers.Dot(axes=1, name="weighted_sum")([shares, x]))
    elif config.head == "max":
        x = layers.GlobalMaxPooling1D(name="max_over_time")(x)

    if config.dropout:
        x = layers.Dropout(config.dropout, seed=next(seeds), name="dropout")(x)
    logits = layers.Dense(n_classes, kernel_initializer=glorot(), name="logits")(x)
    return keras.Model(inputs, layers.Softmax(name="probabilities")(logits), name="crnn")


def _committee(config: CrnnConfig, *, seed: int | None, **shape: Any) -> keras.Model:
    """Build one model of several members side by side, whose scores are averaged."""
    keras = import_keras()
    inputs = keras.Input(shape["input_shape"], name="features")
    scores = []
    for number, name in enumerate(member_names(config)):
        member = crnn(config.one_member, seed=None if seed is None else seed + number, **shape)
        alone = keras.Model(member.input, member.get_layer("logits").output, name=name)
        scores.append(alone(inputs))
    logits = keras.layers.Average(name="logits")(scores)
    return keras.Model(inputs, keras.layers.Softmax(name="probabilities")(logits), name="crnn")


def import_keras() -> ModuleType:
    """Import Keras without the lines that TensorFlow writes at every start.

    They say that oneDNN is in use and that there is no GPU driver, and TF_CPP_MIN_LOG_LEVEL does not stop
    them. Whatever else is written during the import is passed on.

    Returns
    -------
    module
        `keras`.

    Lesson: 06
    """
    if "keras" in sys.modules:
        return importlib.import_module("keras")
    try:
        sys.stderr.flush()
        stderr = os.dup(2)
    except (AttributeError, OSError, ValueError):  # a program without a standard error
        return importlib.import_module("keras")
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            return importlib.import_module("keras")
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            written.seek(0)
            for line in written.read().decode(errors="replace").splitlines():
                if not any(known in line for known in _STARTUP_LINES):
                    print(line, file=sys.stderr)


def get_weights(model: keras.Model, *, config: CrnnConfig) -> dict[str, np.ndarray]:
    """Copy the weights out of a Keras model, under the names of :func:`weight_shapes`.

    Parameters
    ----------
    model : keras.Model
        A model built by :func:`crnn` with this configuration.
    config : CrnnConfig
        The configuration that it was built from.

    Returns
    -------
    dict of str to float32 array
        One entry for each name in :func:`weight_shapes`.

    Raises
    ------
    ValueError
        If the model was not built from this configuration.

    Lesson: 04
    """
    shapes = _shapes_of(model, config)
    arrays = [np.asarray(value, dtype=np.float32) for value in model.get_weights()]
    if [array.shape for array in arrays] != list(shapes.values()):
        raise ValueError(
            "The model's weights do not fit this CrnnConfig; pass the one that it was built from."
        )
    return dict(zip(shapes, arrays, strict=True))


def set_weights(model: keras.Model, weights: Mapping[str, np.ndarray], *, config: CrnnConfig) -> None:
    """Copy named weights into a Keras model built by :func:`crnn` with the same configuration.

    Parameters
    ----------
    model : keras.Model
        The model to fill.
    weights : mapping of str to array
        One entry for each name in :func:`weight_shapes`.
    config : CrnnConfig
        The configuration that the model was built from.

    Raises
    ------
    ValueError
        If a name is missing or a shape differs.

    Lesson: 04
    """
    check_weights(weights, _shapes_of(model, config))
    model.set_weights([weights[name] for name in _shapes_of(model, config)])


def check_weights(weights: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ValueError unless the weights have exactly these names and shapes and are finite numbers."""
    missing, surplus = sorted(set(shapes) - set(weights)), sorted(set(weights) - set(shapes))
    if missing or surplus:
        raise ValueError(
            f"The weights do not fit the network: missing {', '.join(missing) or 'none'}; "
            f"not expected {', '.join(surplus) or 'none'}."
        )
    for name, shape in shapes.items():
        array = np.asarray(weights[name])
        if array.shape != tuple(shape):
            raise ValueError(f"Weight {name} has shape {array.shape}, the network needs {tuple(shape)}.")
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise ValueError(f"Weight {name} must hold finite floating-point numbers.")


def _shapes_of(model: keras.Model, config: CrnnConfig) -> dict[str, tuple[int, ...]]:
    return weight_shapes(config, input_shape=model.input_shape[1:], n_classes=model.output_shape[-1])


def _integers(name: str, values: Any, *, length: int | None = None, minimum: int = 1) -> tuple[int, ...]:
    """Return the values as a tuple of ints, or say which one is not an int of at least `minimum`."""
    if not isinstance(values, Iterable) or isinstance(values, (str, bytes)):
        raise ValueError(f"{name} must be a sequence of whole numbers, got {values!r}.")
    values = tuple(values)
    if not values or (length is not None and len(values) != length):
        raise ValueError(f"{name} needs {length or 'at least one'} whole number(s), got {values!r}.")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < minimum:
            raise ValueError(f"{name} must be whole numbers of at least {minimum}, got {value!r}.")
    return tuple(int(value) for value in values)
