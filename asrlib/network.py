"""The forward pass of the course's networks in plain NumPy: all that happens between features and an answer.

Keras trains a network; this file runs it, whatever its family. Transcribing so needs no TensorFlow, whose
import alone takes longer than hundreds of clips. Read it from top to bottom: each function is one layer, and
:class:`Network` puts them in a row. Everything is float32 and works on a batch; shapes stand in the comments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from asrlib.models import (
    BATCH_NORM_EPSILON,
    ArticleCnnConfig,
    CnnConfig,
    CrnnConfig,
    CtcConfig,
    ModelConfig,
    RnnConfig,
    SoftmaxConfig,
    check_weights,
    config_from_dict,
    member_names,
    weight_shapes,
)

__all__ = [
    "Network",
    "attention",
    "batch_norm",
    "conv1d",
    "conv2d",
    "dense",
    "gru",
    "lstm",
    "max_pool",
    "max_pool1d",
    "relu",
    "sigmoid",
    "simple_rnn",
    "softmax",
]

Array = np.ndarray


def relu(x: Array) -> Array:
    """Keep what is positive and replace the rest by zero.

    Examples
    --------
    >>> relu(np.float32([-1, 2])).tolist()
    [0.0, 2.0]

    Lesson: 04
    """
    return np.maximum(x, 0)


def sigmoid(x: Array) -> Array:
    """Squeeze any number into (0, 1).

    Written with tanh, which is the same function and cannot overflow where exp(-x) does.

    Examples
    --------
    >>> sigmoid(np.float32([-1000, 0, 1000])).tolist()
    [0.0, 0.5, 1.0]

    Lesson: 04
    """
    return 0.5 * (1 + np.tanh(0.5 * x))


def softmax(x: Array, *, axis: int = -1) -> Array:
    """Turn scores into shares that are positive and sum to one along an axis.

    Subtracting the largest score changes nothing in the result and keeps exp from overflowing.

    Examples
    --------
    >>> softmax(np.float32([1000, 1000])).tolist()
    [0.5, 0.5]

    Lesson: 04
    """
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def dense(x: Array, kernel: Array, bias: Array) -> Array:
    """Compute one weighted sum of the inputs for each unit.

    Parameters
    ----------
    x : array, shape (..., n_in)
    kernel : array, shape (n_in, n_out)
    bias : array, shape (n_out,)

    Returns
    -------
    array, shape (..., n_out)

    Examples
    --------
    >>> dense(np.float32([1, 2]), np.float32([[1], [10]]), np.float32([0.5])).tolist()
    [21.5]

    Lesson: 04
    """
    return x @ kernel + bias


def conv1d(x: Array, kernel: Array, bias: Array) -> Array:
    """Slide small kernels along time, only where all of a kernel lies inside.

    Parameters
    ----------
    x : array, shape (batch, time, channels_in)
    kernel : array, shape (steps, channels_in, channels_out)
    bias : array, shape (channels_out,)

    Returns
    -------
    array, shape (batch, time - steps + 1, channels_out)

    Examples
    --------
    A kernel that subtracts each sample from the next one:

    >>> x, kernel = np.float32([3, 4, 9]).reshape(1, 3, 1), np.float32([-1, 1]).reshape(2, 1, 1)
    >>> conv1d(x, kernel, np.zeros(1, np.float32)).ravel().tolist()
    [1.0, 5.0]

    Lesson: 04
    """
    steps, _, channels_out = kernel.shape
    patches = sliding_window_view(x, steps, axis=1)  # (batch, time - steps + 1, channels_in, steps)
    batch, places = patches.shape[:2]
    rows = patches.transpose(0, 1, 3, 2).reshape(batch * places, -1)
    return dense(rows, kernel.reshape(-1, channels_out), bias).reshape(batch, places, channels_out)


def conv2d(x: Array, kernel: Array, *, rows: tuple[int, int] | None = None) -> Array:
    """Slide small kernels over a picture; zeros around it keep its size.

    Every patch that a kernel can cover is laid out as one row of a matrix. Then *all* patches times *all*
    kernels are one matrix product, and that is why convolutions are fast.

    Parameters
    ----------
    x : array, shape (batch, height, width, channels_in)
    kernel : array, shape (kernel_height, kernel_width, channels_in, channels_out)
    rows : (int, int), optional
        Rows of zeros above and below; as many as keep the height, if left out.

    Returns
    -------
    array, shape (batch, height, width, channels_out)
        Its height changes with `rows`.

    Examples
    --------
    A kernel of one sample only scales:

    >>> conv2d(np.ones((1, 2, 2, 1)), np.full((1, 1, 1, 1), 3.0)).ravel().tolist()
    [3.0, 3.0, 3.0, 3.0]

    Lesson: 04
    """
    batch, _, width, _ = x.shape
    kernel_height, kernel_width, _, channels_out = kernel.shape
    # An even kernel reaches further down and right.
    above, left = (kernel_height - 1) // 2, (kernel_width - 1) // 2
    rows = (above, kernel_height - 1 - above) if rows is None else rows
    padding = (0, 0), rows, (left, kernel_width - 1 - left), (0, 0)
    patches = sliding_window_view(np.pad(x, padding), (kernel_height, kernel_width), axis=(1, 2))
    height = patches.shape[1]
    # (batch, height, width, channels_in, kernel_height, kernel_width): channels go last, as in the kernel.
    patches = patches.transpose(0, 1, 2, 4, 5, 3).reshape(batch * height * width, -1)
    return (patches @ kernel.reshape(-1, channels_out)).reshape(batch, height, width, channels_out)


def max_pool(x: Array, size: tuple[int, int]) -> Array:
    """Keep the largest value of each block; rows and columns that fill no whole block are left out.

    Parameters
    ----------
    x : array, shape (batch, height, width, channels)
    size : (int, int)
        Height and width of a block.

    Returns
    -------
    array, shape (batch, height // size[0], width // size[1], channels)

    Examples
    --------
    >>> max_pool(np.float32([[1, 2, 9], [3, 4, 9]]).reshape(1, 2, 3, 1), (2, 2)).ravel().tolist()
    [4.0]

    Lesson: 04
    """
    rows, columns = x.shape[1] // size[0], x.shape[2] // size[1]
    x = x[:, : rows * size[0], : columns * size[1]]
    largest = x[:, :: size[0], :: size[1]]
    for row in range(size[0]):
        for column in range(size[1]):
            largest = np.maximum(largest, x[:, row :: size[0], column :: size[1]])
    return largest


def max_pool1d(x: Array, size: int) -> Array:
    """Keep the largest value of each stretch of time; steps that fill no whole stretch are left out.

    Parameters
    ----------
    x : array, shape (batch, time, channels)
    size : int
        Steps of a stretch.

    Returns
    -------
    array, shape (batch, time // size, channels)

    Examples
    --------
    >>> max_pool1d(np.float32([1, 3, 4, 2, 9]).reshape(1, 5, 1), 2).ravel().tolist()
    [3.0, 4.0]

    Lesson: 04
    """
    return max_pool(x[:, :, None], (size, 1))[:, :, 0]


def batch_norm(gamma: Array, beta: Array, moving_mean: Array, moving_variance: Array) -> tuple[Array, Array]:
    """Fold batch normalisation into one factor and one offset for each channel.

    Once training is over the mean and the variance stand still, so that
    gamma (x - mean) / sqrt(variance + epsilon) + beta is nothing but scale · x + offset.

    Parameters
    ----------
    gamma, beta, moving_mean, moving_variance : array, shape (channels,)

    Returns
    -------
    scale, offset : array, shape (channels,)

    Examples
    --------
    >>> scale, offset = batch_norm(np.ones(1), np.zeros(1), np.full(1, 5.0), np.full(1, 4.0))
    >>> bool(np.isclose(scale * 7 + offset, 1, atol=1e-3))
    True

    References
    ----------
    S. Ioffe, C. Szegedy, "Batch Normalization", ICML 2015.

    Lesson: 04
    """
    scale = gamma / np.sqrt(moving_variance + BATCH_NORM_EPSILON)
    return scale, beta - moving_mean * scale


def simple_rnn(
    x: Array, kernel: Array, recurrent_kernel: Array, bias: Array, *, backwards: bool = False
) -> Array:
    """Walk through time with the plainest recurrent unit and keep the state after each step.

    The new state is tanh(input · kernel + old state · recurrent_kernel + bias).

    Parameters
    ----------
    x : array, shape (batch, time, n_in)
    kernel : array, shape (n_in, units)
    recurrent_kernel : array, shape (units, units)
    bias : array, shape (units,)
    backwards : bool
        Start at the end. The result still stands in the order of time.

    Returns
    -------
    array, shape (batch, time, units)

    Examples
    --------
    Without an input from outside, a state of zero stays zero:

    >>> simple_rnn(np.ones((1, 3, 2)), np.zeros((2, 1)), np.ones((1, 1)), np.zeros(1)).ravel().tolist()
    [0.0, 0.0, 0.0]

    References
    ----------
    J. L. Elman, "Finding Structure in Time", Cognitive Science 14(2), 1990.

    Lesson: 04
    """

    def step(seen: Array, state: Array) -> tuple[Array]:
        return (np.tanh(seen + state @ recurrent_kernel),)

    nothing = np.zeros((len(x), len(recurrent_kernel)), dtype=x.dtype)
    return _through_time(dense(x, kernel, bias), step, nothing, backwards=backwards)


def lstm(x: Array, kernel: Array, recurrent_kernel: Array, bias: Array, *, backwards: bool = False) -> Array:
    """Walk through time with long short-term memory and keep the state after each step.

    Beside its state each unit has a memory. The forget gate decides how much of the memory stays, the input
    gate how much of the new candidate is added to it, and the output gate how much of it shows as the state.

    Parameters
    ----------
    x : array, shape (batch, time, n_in)
    kernel : array, shape (n_in, 4 units)
        For the input gate, the forget gate, the candidate and the output gate, side by side.
    recurrent_kernel : array, shape (units, 4 units)
    bias : array, shape (4 units,)
    backwards : bool
        Start at the end. The result still stands in the order of time.

    Returns
    -------
    array, shape (batch, time, units)

    Examples
    --------
    With all weights zero the candidate is zero: nothing ever comes in.

    >>> lstm(np.ones((1, 3, 2)), np.zeros((2, 4)), np.zeros((1, 4)), np.zeros(4)).ravel().tolist()
    [0.0, 0.0, 0.0]

    References
    ----------
    S. Hochreiter, J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997. F. A. Gers,
    J. Schmidhuber, F. Cummins, "Learning to Forget: Continual Prediction with LSTM", Neural Computation
    12(10), 2000 (the forget gate).

    Lesson: 04
    """
    units = recurrent_kernel.shape[0]

    def step(seen: Array, state: Array, memory: Array) -> tuple[Array, Array]:
        sums = seen + state @ recurrent_kernel
        enter, forget, show = (sigmoid(sums[:, gate * units : (gate + 1) * units]) for gate in (0, 1, 3))
        candidate = np.tanh(sums[:, 2 * units : 3 * units])
        memory = forget * memory + enter * candidate
        return show * np.tanh(memory), memory

    nothing = np.zeros((len(x), units), dtype=x.dtype)
    return _through_time(dense(x, kernel, bias), step, nothing, nothing, backwards=backwards)


def gru(
    x: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array,
    *,
    backwards: bool = False,
    start: Array | None = None,
) -> Array:
    """Walk through time with a gated recurrent unit and keep the state after each step.

    The update gate z decides how much of the old state stays; the reset gate r decides how much of it the new
    candidate may look at.

    Parameters
    ----------
    x : array, shape (batch, time, n_in)
    kernel : array, shape (n_in, 3 units)
        For the update gate, the reset gate and the candidate, side by side.
    recurrent_kernel : array, shape (units, 3 units)
    bias : array, shape (2, 3 units)
        For the input and for the recurrent part.
    backwards : bool
        Start at the end. The result still stands in the order of time.
    start : array, shape (batch, units), optional
        The state before the first step: of a stream, the last one so far. Zeros, if left out.

    Returns
    -------
    array, shape (batch, time, units)

    Examples
    --------
    With all weights zero the candidate is zero and both gates are half open: nothing ever comes in.

    >>> gru(np.ones((1, 3, 2)), np.zeros((2, 3)), np.zeros((1, 3)), np.zeros((2, 3))).ravel().tolist()
    [0.0, 0.0, 0.0]

    References
    ----------
    K. Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
    Translation", EMNLP 2014.

    Lesson: 04
    """
    units = recurrent_kernel.shape[0]

    def step(seen: Array, state: Array) -> tuple[Array]:
        remembered = dense(state, recurrent_kernel, bias[1])
        gates = sigmoid(seen[:, : 2 * units] + remembered[:, : 2 * units])
        update, reset = gates[:, :units], gates[:, units:]
        candidate = np.tanh(seen[:, 2 * units :] + reset * remembered[:, 2 * units :])
        return (update * state + (1 - update) * candidate,)

    start = np.zeros((len(x), units), dtype=x.dtype) if start is None else start
    return _through_time(dense(x, kernel, bias[0]), step, start, backwards=backwards)


def _through_time(
    from_input: Array, step: Callable[..., tuple[Array, ...]], *start: Array, backwards: bool
) -> Array:
    """Call ``carried = step(seen, *carried)`` for each moment and keep the first of what is carried.

    All that depends on the input alone was computed for all moments at once, since no step must wait for it.
    """
    batch, time, _ = from_input.shape
    states = np.empty((time, batch, start[0].shape[-1]), dtype=from_input.dtype)
    carried: tuple[Array, ...] = start
    for moment in reversed(range(time)) if backwards else range(time):
        carried = step(from_input[:, moment], *carried)
        states[moment] = carried[0]
    return np.swapaxes(states, 0, 1)


def attention(x: Array, kernel: Array, bias: Array) -> tuple[Array, Array]:
    """Average over time with weights that the content of each step decides.

    Parameters
    ----------
    x : array, shape (batch, time, n_in)
    kernel : array, shape (n_in, 1)
    bias : array, shape (1,)

    Returns
    -------
    mean : array, shape (batch, n_in)
    weights : array, shape (batch, time)
        Positive, and they sum to one over time.

    Examples
    --------
    >>> mean, weights = attention(np.float32([[[1], [3]]]), np.zeros((1, 1)), np.zeros(1))
    >>> mean.tolist(), weights.tolist()
    ([[2.0]], [[0.5, 0.5]])

    Lesson: 04
    """
    weights = softmax(dense(x, kernel, bias)[..., 0], axis=1)
    return (weights[:, None, :] @ x)[:, 0], weights


class Network:
    """A trained network of any family that only answers.

    Parameters
    ----------
    config : ModelConfig or dict
        Sizes of the network, as an object or as its ``to_dict()``.
    weights : mapping of str to array
        Arrays under the names of :func:`asrlib.models.weight_shapes`.
    input_shape : (int, int), optional
        Frames and coefficients of one input; (100, 20) if left out.

    Raises
    ------
    ValueError
        If a weight is missing, has another shape than the configuration says, or is not finite.

    Examples
    --------
    >>> from asrlib.models import CnnConfig, weight_shapes
    >>> shapes = weight_shapes(CnnConfig(), input_shape=(100, 20), n_classes=10)
    >>> network = Network(CnnConfig(), {name: np.zeros(shape, np.float32) for name, shape in shapes.items()})
    >>> network(np.zeros((2, 100, 20), np.float32)).shape
    (2, 10)

    Lesson: 04
    """

    def __init__(
        self,
        config: ModelConfig | Mapping[str, Any],
        weights: Mapping[str, Array],
        *,
        input_shape: tuple[int, int] | None = None,
    ) -> None:
        self.config = config if isinstance(config, ModelConfig | CtcConfig) else config_from_dict(config)
        if isinstance(self.config, CtcConfig):
            raise ValueError(
                "A CtcConfig came, whose network answers at every step; ctc_network.CtcNetwork runs it."
            )
        self.input_shape = self.config.default_input_shape if input_shape is None else tuple(input_shape)
        names = member_names(self.config)
        last = "logits/bias" if len(names) == 1 else f"{names[0]}/logits/bias"
        self.n_classes = len(np.ravel(weights[last])) if last in weights else 2
        shapes = weight_shapes(self.config, input_shape=self.input_shape, n_classes=self.n_classes)
        check_weights(weights, shapes)
        self.weights = {name: np.asarray(array, dtype=np.float32) for name, array in weights.items()}
        self.members: dict[str, Network] = {}
        if len(names) > 1:
            self.members = {name: self._member(name) for name in names}
            return
        n_blocks = sum(name.endswith("/gamma") for name in shapes)
        self._norms = [
            batch_norm(*self._layer(f"norm{number}", "gamma", "beta", "moving_mean", "moving_variance"))
            for number in range(1, n_blocks + 1)
        ]

    def __call__(self, features: Array) -> Array:
        """Compute the probability of each class.

        Parameters
        ----------
        features : array, shape (batch, n_frames, n_features)
            Normalised features of whole windows.

        Returns
        -------
        float32 array, shape (batch, n_classes)
            Each row sums to one.

        Raises
        ------
        ValueError
            If the shape is another one.
        """
        return self.trace(features)["probabilities"]

    def trace(self, features: Array) -> dict[str, Array]:
        """Compute the same and keep what every layer gave, by the layer's name, in their order.

        Parameters
        ----------
        features : array, shape (batch, n_frames, n_features)

        Returns
        -------
        dict of str to array
            What comes before depends on the family: "conv1", "conv2", … (batch, time, frequency, channels),
            of the article's network (batch, time, channels) with "pool1" and "hidden" after it; "projection",
            "gru", "gru1", "lstm1", … (batch, time, units); "attention" (batch, time), if the head is one.
            All end with "summary" (batch, values), from which the scores are computed, "logits" and
            "probabilities" (batch, n_classes). Where several members answer together, the layers of each
            come first, under names such as "member1/conv1".
        """
        if self.members:
            return self._trace_members(features)
        layers: dict[str, Array] = {}
        x = _BODIES[type(self.config)](self, self._checked(features), layers)
        layers["summary"] = x
        layers["logits"] = dense(x, *self._layer("logits", "kernel", "bias"))
        layers["probabilities"] = softmax(layers["logits"])
        return layers

    # -- the families: from features to a summary, noting each layer on the way -----------------------------

    def _softmax_regression(self, x: Array, layers: dict[str, Array]) -> Array:
        return x.reshape(len(x), -1)

    def _article_cnn(self, x: Array, layers: dict[str, Array]) -> Array:
        x = layers["conv1"] = relu(conv1d(x, *self._layer("conv1", "kernel", "bias")))
        x = layers["pool1"] = max_pool1d(x, self.config.pool)
        x = dense(x.reshape(len(x), -1), *self._layer("hidden", "kernel", "bias"))
        layers["hidden"] = relu(x)
        return layers["hidden"]

    def _cnn(self, x: Array, layers: dict[str, Array]) -> Array:
        x = self._convolutions(x, layers)
        return x.max(axis=1) if self.config.head == "max" else x.mean(axis=1)

    def _rnn(self, x: Array, layers: dict[str, Array]) -> Array:
        for number in range(1, self.config.layers + 1):
            name = f"{self.config.cell}{number}"
            runs = self._recurrent(x, name, cell=_CELLS[self.config.cell])
            x = layers[name] = np.concatenate(runs, axis=-1)
        return x.max(axis=1) if self.config.head == "max" else _last_states(runs)

    def _crnn(self, x: Array, layers: dict[str, Array]) -> Array:
        x = self._convolutions(x, layers)
        if self.config.projection:
            x = layers["projection"] = dense(x, *self._layer("projection", "kernel", "bias"))
        runs = self._recurrent(x, "gru", cell=gru)
        x = layers["gru"] = np.concatenate(runs, axis=-1)
        if self.config.head == "attention":
            x, layers["attention"] = attention(x, *self._layer("attention", "kernel", "bias"))
            return x
        return x.max(axis=1) if self.config.head == "max" else _last_states(runs)

    # -- what several families share ------------------------------------------------------------------------

    def _convolutions(self, x: Array, layers: dict[str, Array]) -> Array:
        """Go through all blocks of convolution, pooling, normalisation and ReLU; give a sequence."""
        x = x[..., None]  # (batch, time, frequency, 1 channel)
        for number, (pool, (scale, offset)) in enumerate(
            zip(self.config.pools, self._norms, strict=True), start=1
        ):
            x = max_pool(conv2d(x, *self._layer(f"conv{number}", "kernel")), pool)
            x = layers[f"conv{number}"] = relu(x * scale + offset)
        return x.reshape(*x.shape[:2], -1)  # (batch, time, frequency · channels)

    def _recurrent(self, x: Array, name: str, *, cell: Callable[..., Array]) -> list[Array]:
        """Run a recurrent layer forwards and, if it has two directions, backwards."""
        names = ("kernel", "recurrent_kernel", "bias")
        runs = [cell(x, *self._layer(f"{name}_forward", *names))]
        if self.config.bidirectional:
            runs.append(cell(x, *self._layer(f"{name}_backward", *names), backwards=True))
        return runs

    def _member(self, member: str) -> Network:
        own = {
            name.removeprefix(f"{member}/"): array
            for name, array in self.weights.items()
            if name.startswith(f"{member}/")
        }
        return Network(self.config.one_member, own, input_shape=self.input_shape)

    def _trace_members(self, features: Array) -> dict[str, Array]:
        layers, scores = {}, []
        for name, member in self.members.items():
            own = member.trace(features)
            scores.append(own["logits"])
            layers |= {f"{name}/{layer}": values for layer, values in own.items()}
        layers["logits"] = np.mean(scores, axis=0, dtype=np.float32)
        layers["probabilities"] = softmax(layers["logits"])
        return layers

    def _layer(self, layer: str, *names: str) -> list[Array]:
        return [self.weights[f"{layer}/{name}"] for name in names]

    def _checked(self, features: Array) -> Array:
        features = np.asarray(features, dtype=np.float32)
        if features.ndim != 3 or features.shape[1:] != self.input_shape:
            raise ValueError(
                f"The network reads features of shape (batch, {self.input_shape[0]}, {self.input_shape[1]}), "
                f"got {features.shape}; asrlib.recognizer.fit_window cuts or pads one clip."
            )
        if not np.isfinite(features).all():
            raise ValueError("The features hold NaN or infinity; check the samples that they were made from.")
        return features


def _last_states(runs: list[Array]) -> Array:
    """Join the states in which the runs end: the forward run at the last step, the backward at the first."""
    return np.concatenate([runs[0][:, -1], *(run[:, 0] for run in runs[1:])], axis=-1)


_CELLS = {"gru": gru, "lstm": lstm, "simple": simple_rnn}

_BODIES = {
    SoftmaxConfig: Network._softmax_regression,
    ArticleCnnConfig: Network._article_cnn,
    CnnConfig: Network._cnn,
    RnnConfig: Network._rnn,
    CrnnConfig: Network._crnn,
}
