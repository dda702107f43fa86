"""The forward pass of the course's network in plain NumPy: all that happens between features and an answer.

Keras trains the network; this file runs it. Transcribing so needs no TensorFlow, whose import alone takes
longer than hundreds of clips. Read it from top to bottom: each function is one layer, and :class:`Network`
puts them in a row. Everything is float32 and works on a batch; shapes stand in the comments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from asrlib.models import BATCH_NORM_EPSILON, CrnnConfig, check_weights, member_names, weight_shapes

__all__ = [
    "Network",
    "attention",
    "batch_norm",
    "conv2d",
    "dense",
    "gru",
    "max_pool",
    "relu",
    "sigmoid",
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


def conv2d(x: Array, kernel: Array) -> Array:
    """Slide small kernels over a picture; zeros around it keep its size.

    Every patch that a kernel can cover is laid out as one row of a matrix. Then *all* patches times *all*
    kernels are one matrix product, and that is why convolutions are fast.

    Parameters
    ----------
    x : array, shape (batch, height, width, channels_in)
    kernel : array, shape (kernel_height, kernel_width, channels_in, channels_out)

    Returns
    -------
    array, shape (batch, height, width, channels_out)

    Examples
    --------
    A kernel of one sample only scales:

    >>> conv2d(np.ones((1, 2, 2, 1)), np.full((1, 1, 1, 1), 3.0)).ravel().tolist()
    [3.0, 3.0, 3.0, 3.0]

    Lesson: 04
    """
    batch, height, width, _ = x.shape
    kernel_height, kernel_width, _, channels_out = kernel.shape
    above, left = (
        (kernel_height - 1) // 2,
        (kernel_width - 1) // 2,
    )  # an even kernel reaches further down and right
    padding = (0, 0), (above, kernel_height - 1 - above), (left, kernel_width - 1 - left), (0, 0)
    patches = sliding_window_view(np.pad(x, padding), (kernel_height, kernel_width), axis=(1, 2))
    # (batch, height, width, channels_in, kernel_height, kernel_width): channels go last, as in the kernel.
    rows = patches.transpose(0, 1, 2, 4, 5, 3).reshape(batch * height * width, -1)
    return (rows @ kernel.reshape(-1, channels_out)).reshape(batch, height, width, channels_out)


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


def gru(x: Array, kernel: Array, recurrent_kernel: Array, bias: Array, *, backwards: bool = False) -> Array:
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
    batch, time, _ = x.shape
    units = recurrent_kernel.shape[0]
    from_input = np.swapaxes(
        dense(x, kernel, bias[0]), 0, 1
    )  # (time, batch, 3 units): no step waits for this
    states = np.empty((time, batch, units), dtype=from_input.dtype)
    state = np.zeros((batch, units), dtype=from_input.dtype)
    for step in reversed(range(time)) if backwards else range(time):
        seen = from_input[step]
        remembered = dense(state, recurrent_kernel, bias[1])
        gates = sigmoid(seen[:, : 2 * units] + remembered[:, : 2 * units])
        update, reset = gates[:, :units], gates[:, units:]
        candidate = np.tanh(seen[:, 2 * units :] + reset * remembered[:, 2 * units :])
        state = update * state + (1 - update) * candidate
        states[step] = state
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
    """A trained convolutional-recurrent network that only answers.

    Parameters
    ----------
    config : CrnnConfig or dict
        Sizes of the network, as an object or as its ``to_dict()``.
    weights : mapping of str to array
        Arrays under the names of :func:`asrlib.models.weight_shapes`.
    input_shape : (int, int)
        Frames and coefficients of one input.

    Raises
    ------
    ValueError
        If a weight is missing, has another shape than the configuration says, or is not finite.

    Examples
    --------
    >>> from asrlib.models import CrnnConfig, weight_shapes
    >>> shapes = weight_shapes(CrnnConfig(), input_shape=(100, 40), n_classes=10)
    >>> network = Network(CrnnConfig(), {name: np.zeros(shape, np.float32) for name, shape in shapes.items()})
    >>> network(np.zeros((2, 100, 40), np.float32)).shape
    (2, 10)

    Lesson: 04
    """

    def __init__(
        self,
        config: CrnnConfig | Mapping[str, Any],
        weights: Mapping[str, Array],
        *,
        input_shape: tuple[int, int] = (100, 40),
    ) -> None:
        self.config = config if isinstance(config, CrnnConfig) else CrnnConfig.from_dict(config)
        self.input_shape = tuple(input_shape)
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
        self._norms = [
            batch_norm(*self._layer(f"norm{number}", "gamma", "beta", "moving_mean", "moving_variance"))
            for number in range(1, len(self.config.conv_channels) + 1)
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
            "conv1", "conv2", … (batch, time, frequency, channels); "projection" and "gru" (batch, time,
            units); "attention" (batch, time), if the head is one; "summary" (batch, units); "logits" and
            "probabilities" (batch, n_classes). Where several members answer together, the layers of each
            come first, under names such as "member1/conv1".
        """
        if self.members:
            return self._trace_members(features)
        config, layers = self.config, {}
        x = self._checked(features)[..., None]  # (batch, time, frequency, 1 channel)

        for number, (pool, (scale, offset)) in enumerate(
            zip(config.pools, self._norms, strict=True), start=1
        ):
            x = max_pool(conv2d(x, *self._layer(f"conv{number}", "kernel")), pool)
            x = layers[f"conv{number}"] = relu(x * scale + offset)

        batch, time, frequency, channels = x.shape
        x = x.reshape(batch, time, frequency * channels)
        if config.projection:
            x = layers["projection"] = dense(x, *self._layer("projection", "kernel", "bias"))

        runs = [gru(x, *self._layer("gru_forward", "kernel", "recurrent_kernel", "bias"))]
        if config.bidirectional:
            weights = self._layer("gru_backward", "kernel", "recurrent_kernel", "bias")
            runs.append(gru(x, *weights, backwards=True))
        x = layers["gru"] = np.concatenate(runs, axis=-1)

        if config.head == "attention":
            x, layers["attention"] = attention(x, *self._layer("attention", "kernel", "bias"))
        elif config.head == "max":
            x = x.max(axis=1)
        else:  # "last": the forward run ends at the last step, the backward run at the first
            x = np.concatenate([runs[0][:, -1], *(run[:, 0] for run in runs[1:])], axis=-1)
        layers["summary"] = x

        layers["logits"] = dense(x, *self._layer("logits", "kernel", "bias"))
        layers["probabilities"] = softmax(layers["logits"])
        return layers

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
