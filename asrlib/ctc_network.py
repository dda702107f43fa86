"""The network that answers at every step, in plain NumPy: on a whole utterance, or while it is still coming.

:class:`CtcNetwork` runs what :func:`asrlib.models.ctc` builds and Keras trains. :class:`CtcStream` runs the
same network on frames that are still coming. Between two pushes it keeps what the next step will need: the
last frames under each convolution's kernel, and the state of each recurrent layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from asrlib.models import CtcConfig, check_weights, config_from_dict, n_steps, weight_shapes
from asrlib.network import batch_norm, conv2d, dense, gru, max_pool, relu

__all__ = ["CtcNetwork", "CtcStream", "StepNetwork", "StreamState"]

Array = np.ndarray


@dataclass(frozen=True)
class StreamState:
    """What a causal network carries from one step to the next.

    Parameters
    ----------
    pictures : tuple of array, each of shape (rows, width, channels)
        For each convolution the last rows of its input that its kernel will reach back to.
    recurrent : tuple of array, each of shape (units,)
        For each recurrent layer its state after the last step.

    Lesson: 09
    """

    pictures: tuple[Array, ...]
    recurrent: tuple[Array, ...]


class StepNetwork:
    """What every network that answers at every step can do, however it computes.

    A class made from it has ``config``, ``n_features`` and ``n_classes``, computes a whole utterance when
    called, and the next steps of a stream with ``advance``.

    Lesson: 09
    """

    config: CtcConfig
    n_features: int
    n_classes: int

    def advance(self, features: Array, state: StreamState) -> tuple[Array, StreamState]:
        """Compute some more steps, and what the next ones will need."""
        raise NotImplementedError

    def start(self) -> StreamState:
        """Give the state before the first frame: zeros, where an utterance on its own finds zeros too.

        Lesson: 09
        """
        self._refuse_unless_causal()
        rows, width, channels = self.config.kernel_size[0] - 1, self.n_features, 1
        pictures = []
        for outputs, (_, pool) in zip(self.config.conv_channels, self.config.pools, strict=True):
            pictures.append(np.zeros((rows, width, channels), np.float32))
            width, channels = width // pool, outputs
        units = np.zeros(self.config.gru_units, np.float32)
        return StreamState(tuple(pictures), (units,) * self.config.layers)

    def stream(self) -> CtcStream:
        """Begin a stream: the same network on frames that are still coming.

        Returns
        -------
        CtcStream

        Raises
        ------
        ValueError
            If the network is not causal.

        Lesson: 09
        """
        return CtcStream(self)

    def checked(self, features: Array) -> Array:
        """Return features as float32, or say what is wrong with them."""
        features = np.asarray(features, dtype=np.float32)
        if features.ndim != 2 or features.shape[1] != self.n_features:
            raise ValueError(
                f"Features of shape {features.shape} came. Expected (time, {self.n_features}), of one "
                "utterance."
            )
        if not np.isfinite(features).all():
            raise ValueError("The features hold NaN or infinity; check the samples that they were made from.")
        return features

    def _refuse_unless_causal(self) -> None:
        if not self.config.causal:
            raise ValueError(
                "This network looks ahead (causal=False), so that it must wait for the end of the utterance. "
                "Use one with CtcConfig(causal=True, bidirectional=False)."
            )


class CtcNetwork(StepNetwork):
    """A trained network that gives log-probabilities at every step.

    Parameters
    ----------
    config : CtcConfig or dict
        Sizes of the network, as an object or as its ``to_dict()``.
    weights : mapping of str to array
        Arrays under the names of :func:`asrlib.models.weight_shapes`.
    n_features : int, optional
        Coefficients of one frame; read off the weights if left out.

    Attributes
    ----------
    n_classes : int
        The blank, which is class 0, and the labels.
    input_norm, norms : (array, array), list of (array, array)
        Factor and offset of the normalisation before everything, and of the one in each block.

    Raises
    ------
    ValueError
        If a weight is missing, has another shape than the configuration says, or is not finite.

    Examples
    --------
    >>> shapes = weight_shapes(CtcConfig(), input_shape=(None, 40), n_classes=11)
    >>> weights = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    >>> CtcNetwork(CtcConfig(), weights)(np.ones((103, 40), np.float32)).shape
    (25, 11)

    Lesson: 08
    """

    def __init__(
        self,
        config: CtcConfig | Mapping[str, Any],
        weights: Mapping[str, Array],
        *,
        n_features: int | None = None,
    ) -> None:
        self.config = config_from_dict(config) if isinstance(config, Mapping) else config
        if not isinstance(self.config, CtcConfig):
            raise ValueError(
                f"A {type(self.config).__name__} came, whose network answers once for each clip; "
                "asrlib.network.Network runs it."
            )
        if n_features is None:
            n_features = np.size(weights.get("input_norm/moving_mean", np.zeros(40)))
        self.n_features = int(n_features)
        self.n_classes = np.size(weights.get("logits/bias", np.zeros(11)))  # of what is missing, any
        shapes = weight_shapes(self.config, input_shape=(None, self.n_features), n_classes=self.n_classes)
        check_weights(weights, shapes)
        self.weights = {name: np.asarray(weights[name], dtype=np.float32) for name in shapes}
        still = np.ones(self.n_features, np.float32), np.zeros(self.n_features, np.float32)
        self.input_norm = batch_norm(*still, *self._layer("input_norm", "moving_mean", "moving_variance"))
        self.norms = [
            batch_norm(*self._layer(f"norm{number}", "gamma", "beta", "moving_mean", "moving_variance"))
            for number in range(1, len(self.config.pools) + 1)
        ]

    def __call__(self, features: Array) -> Array:
        """Compute the logarithm of the probability of each class at every step.

        Parameters
        ----------
        features : array, shape (time, n_features)
            Of one whole utterance, without padding.

        Returns
        -------
        float32 array, shape (time // frames per step, n_classes)
            Frames at the end that fill no whole step are left out; too few give no step at all.

        Raises
        ------
        ValueError
            If the shape is another one, or a number is not finite.
        """
        features = self.checked(features)
        if not n_steps(len(features), self.config):
            return np.empty((0, self.n_classes), np.float32)
        layers, _ = self._run(features, None)
        return layers["log_probabilities"]

    def trace(self, features: Array) -> dict[str, Array]:
        """Compute the same and keep what every layer gave, by the layer's name, in their order.

        Parameters
        ----------
        features : array, shape (time, n_features)

        Returns
        -------
        dict of str to array
            "input_norm" (time, n_features), "conv1", "conv2", … (time, frequency, channels), "projection",
            "gru1", … (steps, units), "logits" and "log_probabilities" (steps, n_classes).

        Raises
        ------
        ValueError
            If the shape is another one, a number is not finite, or the frames fill no step.

        Lesson: 08
        """
        features = self.checked(features)
        if not n_steps(len(features), self.config):
            raise ValueError(
                f"{len(features)} frames came, one step needs {self.config.frames_per_step}; take a longer "
                "utterance."
            )
        layers, _ = self._run(features, None)
        return layers

    def advance(self, features: Array, state: StreamState) -> tuple[Array, StreamState]:
        """Compute some more steps of a causal network, and what the next ones will need.

        Parameters
        ----------
        features : array, shape (time, n_features)
            The next frames; their number must be a whole number of steps.
        state : StreamState
            As :meth:`start` or the call before gave it.

        Returns
        -------
        log_probabilities : float32 array, shape (time // frames per step, n_classes)
        state : StreamState

        Raises
        ------
        ValueError
            If the frames fill no whole number of steps, or the network is not causal.

        Examples
        --------
        >>> config = CtcConfig(causal=True, bidirectional=False)
        >>> shapes = weight_shapes(config, input_shape=(None, 40), n_classes=11)
        >>> network = CtcNetwork(config, {name: np.zeros(shape, "f") for name, shape in shapes.items()})
        >>> steps, state = network.advance(np.ones((8, 40), np.float32), network.start())
        >>> steps.shape, state.recurrent[0].shape
        ((2, 11), (64,))

        Lesson: 09
        """
        self._refuse_unless_causal()
        features = self.checked(features)
        if len(features) % self.config.frames_per_step:
            raise ValueError(
                f"{len(features)} frames came. Expected a multiple of {self.config.frames_per_step}, the "
                "frames of one step; CtcStream keeps what is left over."
            )
        layers, state = self._run(features, state)
        return layers["log_probabilities"], state

    def _run(self, features: Array, state: StreamState | None) -> tuple[dict[str, Array], StreamState | None]:
        """Go through all layers. With a state, read on where it ends, and give the one for the next call."""
        layers: dict[str, Array] = {}
        scale, offset = self.input_norm
        x = layers["input_norm"] = features * scale + offset
        x, pictures = self._convolutions(x[..., None], None if state is None else state.pictures, layers)
        if self.config.projection:
            x = layers["projection"] = dense(x, *self._layer("projection", "kernel", "bias"))
        recurrent = []
        for number in range(1, self.config.layers + 1):
            before = None if state is None else state.recurrent[number - 1]
            x = layers[f"gru{number}"] = self._recurrent(x, f"gru{number}", before)
            recurrent.append(x[-1] if len(x) else before)
        x = layers["logits"] = dense(x, *self._layer("logits", "kernel", "bias"))
        layers["log_probabilities"] = _log_softmax(x)
        return layers, None if state is None else StreamState(pictures, tuple(recurrent))

    def _convolutions(
        self, x: Array, before: tuple[Array, ...] | None, layers: dict[str, Array]
    ) -> tuple[Array, tuple[Array, ...]]:
        """Go through all blocks of convolution, pooling, normalisation and ReLU; give a sequence."""
        reach = self.config.kernel_size[0] - 1  # rows that a kernel of a causal network looks back
        kept = []
        for number, (pool, (scale, offset)) in enumerate(
            zip(self.config.pools, self.norms, strict=True), start=1
        ):
            rows = (reach, 0) if self.config.causal else None
            if before is not None:
                x, rows = np.concatenate([before[number - 1], x]), (0, 0)
                kept.append(x[len(x) - reach :].copy())
            x = max_pool(conv2d(x[None], *self._layer(f"conv{number}", "kernel"), rows=rows), pool)[0]
            x = layers[f"conv{number}"] = relu(x * scale + offset)
        return x.reshape(len(x), -1), tuple(kept)  # (time, frequency · channels)

    def _recurrent(self, x: Array, name: str, before: Array | None) -> Array:
        names = ("kernel", "recurrent_kernel", "bias")
        start = None if before is None else before[None]
        runs = [gru(x[None], *self._layer(f"{name}_forward", *names), start=start)[0]]
        if self.config.bidirectional:
            runs.append(gru(x[None], *self._layer(f"{name}_backward", *names), backwards=True)[0])
        return np.concatenate(runs, axis=-1)

    def _layer(self, layer: str, *names: str) -> list[Array]:
        return [self.weights[f"{layer}/{name}"] for name in names]


class CtcStream:
    """A causal network on frames that are still coming: each step as soon as its frames are there.

    Put together, the answers are those that the network gives of all frames at once, up to rounding: matrix
    products of other sizes round in another order.

    Parameters
    ----------
    network : StepNetwork
        With ``causal=True``; a `CtcNetwork`, or one that was exported.

    Attributes
    ----------
    n_frames, n_steps : int
        Frames taken and steps given since the stream began.

    Raises
    ------
    ValueError
        If the network is not causal.

    Examples
    --------
    >>> config = CtcConfig(causal=True, bidirectional=False)
    >>> shapes = weight_shapes(config, input_shape=(None, 40), n_classes=11)
    >>> stream = CtcNetwork(config, {name: np.zeros(shape, "f") for name, shape in shapes.items()}).stream()
    >>> [len(stream.push(np.ones((n, 40)))) for n in (3, 1, 10)]
    [0, 1, 2]

    Lesson: 09
    """

    def __init__(self, network: StepNetwork) -> None:
        self.network = network
        self.reset()

    @property
    def frames_per_step(self) -> int:
        """Frames that make one step of the output."""
        return self.network.config.frames_per_step

    def reset(self) -> None:
        """Forget the stream and begin another.

        Lesson: 09
        """
        self._state = self.network.start()
        self._pending = np.empty((0, self.network.n_features), np.float32)
        self.n_frames = self.n_steps = 0
        self._finished = False

    def push(self, frames: Array) -> Array:
        """Take some frames, and give the steps that they complete.

        Parameters
        ----------
        frames : array, shape (n_frames, n_features)
            The next frames; none at all is welcome.

        Returns
        -------
        float32 array, shape (n_steps, n_classes)
            Log-probabilities; often without a single step.

        Raises
        ------
        ValueError
            If the frames have another shape or are not finite, or after :meth:`flush`. The stream is then as
            it was.

        Lesson: 09
        """
        self._refuse_finished()
        frames = np.concatenate([self._pending, self.network.checked(frames)])
        self.n_frames += len(frames) - len(self._pending)
        whole = n_steps(len(frames), self.network.config) * self.frames_per_step
        self._pending = frames[whole:].copy()  # a view would keep all frames in memory
        if not whole:
            return np.empty((0, self.network.n_classes), np.float32)
        answers, self._state = self.network.advance(frames[:whole], self._state)
        self.n_steps += len(answers)
        return answers

    def flush(self) -> Array:
        """End the stream: frames that fill no whole step give none, here as in the whole utterance.

        Returns
        -------
        float32 array, shape (0, n_classes)

        Raises
        ------
        ValueError
            After an earlier flush.

        Lesson: 09
        """
        self._refuse_finished()
        self._finished = True
        return np.empty((0, self.network.n_classes), np.float32)

    def _refuse_finished(self) -> None:
        if self._finished:
            raise ValueError("This stream was ended by flush(); reset() begins another.")


def _log_softmax(x: Array) -> Array:
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))
