"""A network that reads both ways, on sound that is still coming: it looks ahead, but not to the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from asrlib.decoding import log_softmax
from asrlib.network import batch_norm, conv2d, dense, gru, max_pool, relu
from asrlib.streaming.chunks import refuse_finished

if TYPE_CHECKING:
    from asrlib.ctc_network import CtcNetwork

__all__ = ["LookAheadStream"]

Array = np.ndarray


class LookAheadStream:
    """Run a network that is not causal on frames that are still coming, block by block.

    What reads forwards carries its state from block to block, exactly. What reads backwards would have to
    begin at the end of the utterance. Here it begins `look_ahead_seconds` behind the end of each block
    instead, with a state of zeros, and is thrown away behind the block: the longer the look-ahead, the nearer
    the answers are to those of the whole utterance, and the later they come. With a look-ahead as long as the
    utterance they are equal. Convolutions wait for the few frames that their kernels reach, and are exact.

    Parameters
    ----------
    network : CtcNetwork
        One that is not causal; a causal one needs no look-ahead, see ``CtcNetwork.stream``.
    look_ahead_seconds : float
        How much is heard behind a block before it is answered, from 0 on.
    block_seconds : float
        How much is answered at once. A step waits for the rest of its block; shorter blocks cost more, since
        each reads its look-ahead again.
    step_seconds : float
        From one step of the network's answers to the next.

    Attributes
    ----------
    block_steps, look_ahead_steps : int
        The same in steps.

    Raises
    ------
    ValueError
        When the network is causal, or a time is not positive.

    Examples
    --------
    >>> from asrlib.ctc_network import CtcNetwork
    >>> from asrlib.models import CtcConfig, weight_shapes
    >>> shapes = weight_shapes(CtcConfig(), input_shape=(None, 40), n_classes=11)
    >>> rng = np.random.default_rng(0)
    >>> network = CtcNetwork(CtcConfig(), {k: abs(rng.normal(0, 0.1, shape)) for k, shape in shapes.items()})
    >>> stream, frames = LookAheadStream(network, look_ahead_seconds=0.2), rng.normal(size=(100, 40))
    >>> parts = [stream.push(frames[start : start + 20]) for start in range(0, 100, 20)]
    >>> [len(part) for part in [*parts, stream.flush()]]
    [0, 4, 4, 6, 4, 7]

    References
    ----------
    .. [1] Y. Zhang, G. Chen, D. Yu, K. Yao, S. Khudanpur, J. Glass, "Highway long short-term memory RNNs for
       distant speech recognition", ICASSP 2016, section 4 (latency-controlled bidirectional networks).
       https://doi.org/10.1109/ICASSP.2016.7472780

    Lesson: 09
    """

    def __init__(
        self,
        network: CtcNetwork,
        *,
        look_ahead_seconds: float = 0.16,
        block_seconds: float = 0.08,
        step_seconds: float = 0.04,
    ) -> None:
        if network.config.causal:
            raise ValueError("This network is causal and needs no look-ahead; use network.stream().")
        self.network = network
        self.look_ahead_steps = _steps("look_ahead_seconds", look_ahead_seconds, step_seconds, least=0)
        self.block_steps = _steps("block_seconds", block_seconds, step_seconds, least=1)
        weights, n_blocks = network.weights, len(network.config.pools)
        still = np.ones(network.n_features, np.float32), np.zeros(network.n_features, np.float32)
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        self._input_norm = batch_norm(*still, *(weights[f"input_norm/{name}"] for name in names[2:]))
        self._norms = [
            batch_norm(*(weights[f"norm{number}/{name}"] for name in names))
            for number in range(1, n_blocks + 1)
        ]
        self.reset()

    def reset(self) -> None:
        """Forget the stream and begin another.

        Examples
        --------
        >>> from asrlib.string_recognizer import StringRecognizer
        >>> stream = LookAheadStream(StringRecognizer.default().network)
        >>> _ = stream.flush()
        >>> stream.reset()
        >>> stream.push(np.zeros((0, stream.network.n_features))).shape
        (0, 11)

        Lesson: 09
        """
        config, width, channels = self.network.config, self.network.n_features, 1
        above = (config.kernel_size[0] - 1) // 2
        self._rows: list[Array] = []  # in front of each convolution: what its next output still needs
        self._pooling: list[Array] = []  # behind it: rows that do not fill a window yet
        for outputs, (_, pool) in zip(config.conv_channels, config.pools, strict=True):
            self._rows.append(np.zeros((above, width, channels), np.float32))
            self._pooling.append(np.zeros((0, width, outputs), np.float32))
            width, channels = width // pool, outputs
        self._steps = np.zeros((0, width * channels), np.float32)  # of the sequence, not answered yet
        self._states = [np.zeros((1, config.gru_units), np.float32)] * config.layers
        self._finished = False

    def push(self, frames: Array) -> Array:
        """Take some frames, and give the steps of the blocks that they complete.

        Parameters
        ----------
        frames : ndarray, shape (n_frames, n_features)
            The next frames; none at all is welcome.

        Returns
        -------
        ndarray, shape (n_steps, n_classes)
            Log-probabilities, float32; often without a single step.

        Raises
        ------
        ValueError
            When the frames have another shape or are not finite, or after `flush`. The stream is then as it
            was.

        Examples
        --------
        >>> from asrlib.string_recognizer import StringRecognizer
        >>> stream = LookAheadStream(StringRecognizer.default().network)
        >>> frames = np.full((27, stream.network.n_features), -9.0)
        >>> stream.push(frames[:26]).shape, stream.push(frames[26:]).shape
        ((0, 11), (2, 11))

        Lesson: 09
        """
        refuse_finished(self._finished)
        frames = self.network.checked(frames)
        self._take(frames)
        answers, needed = [], self.block_steps + self.look_ahead_steps
        while len(self._steps) >= needed:
            answers.append(self._answer(self._steps[:needed], self.block_steps))
            self._steps = self._steps[self.block_steps :].copy()  # a view would keep all of them in memory
        return np.concatenate(answers) if answers else self._nothing()

    def flush(self) -> Array:
        """End the stream, and give the steps that waited for what might have come.

        Returns
        -------
        ndarray, shape (n_steps, n_classes)
            Log-probabilities, float32.

        Raises
        ------
        ValueError
            After an earlier `flush`.

        Examples
        --------
        >>> from asrlib.string_recognizer import StringRecognizer
        >>> stream = LookAheadStream(StringRecognizer.default().network)
        >>> stream.push(np.full((20, stream.network.n_features), -9.0)).shape, stream.flush().shape
        ((0, 11), (5, 11))

        Lesson: 09
        """
        refuse_finished(self._finished)
        self._finished = True
        self._take(np.empty((0, self.network.n_features), np.float32), last=True)
        return self._answer(self._steps, len(self._steps)) if len(self._steps) else self._nothing()

    def _nothing(self) -> Array:
        return np.empty((0, self.network.n_classes), np.float32)

    def _take(self, frames: Array, *, last: bool = False) -> None:
        """Bring frames through the convolutions as far as kernels can see; to the end, if it is known."""
        scale, offset = self._input_norm
        x = (frames * scale + offset)[..., None]  # (time, frequency, 1 channel)
        reach = self.network.config.kernel_size[0]
        for block, (pool, (scale, offset)) in enumerate(
            zip(self.network.config.pools, self._norms, strict=True)
        ):
            rows = np.concatenate([self._rows[block], x])
            if last:
                below = reach - 1 - (reach - 1) // 2
                rows = np.concatenate([rows, np.zeros((below, *rows.shape[1:]), np.float32)])
            n_outputs = max(0, len(rows) - reach + 1)
            self._rows[block] = rows[n_outputs:].copy()
            x = self._pooling[block]
            if n_outputs:
                kernel = self.network.weights[f"conv{block + 1}/kernel"]
                x = np.concatenate([x, conv2d(rows[None], kernel, rows=(0, 0))[0]])
            whole = len(x) // pool[0] * pool[0]
            self._pooling[block] = x[whole:].copy()
            x = relu(max_pool(x[None, :whole], pool)[0] * scale + offset)
        self._steps = np.concatenate([self._steps, x.reshape(len(x), self._steps.shape[1])])

    def _answer(self, x: Array, n_steps: int) -> Array:
        """Answer the first steps of a stretch; the rest is what the look-ahead hears."""
        weights, config = self.network.weights, self.network.config
        names = ("kernel", "recurrent_kernel", "bias")
        if config.projection:
            x = dense(x, weights["projection/kernel"], weights["projection/bias"])
        for layer in range(config.layers):
            cell = f"gru{layer + 1}"
            forward = [weights[f"{cell}_forward/{name}"] for name in names]
            runs = [gru(x[None], *forward, start=self._states[layer])[0]]
            self._states[layer] = runs[0][n_steps - 1 : n_steps].copy()
            if config.bidirectional:
                backward = [weights[f"{cell}_backward/{name}"] for name in names]
                runs.append(gru(x[None], *backward, backwards=True)[0])
            x = np.concatenate(runs, axis=-1)
        scores = dense(x[:n_steps], weights["logits/kernel"], weights["logits/bias"])
        return log_softmax(scores).astype(np.float32)


def _steps(name: str, seconds: float, step_seconds: float, *, least: int) -> int:
    steps = seconds / step_seconds
    if not np.isfinite(steps) or round(steps) < least:
        raise ValueError(
            f"{name}={seconds!r} came. Expected at least {least * step_seconds:g} s: whole steps of "
            f"{step_seconds:g} s."
        )
    return round(steps)
