"""The networks as Keras code: one function for each family.

TensorFlow is imported when a network is built, not before: whoever only reads a configuration must not wait
for it. All networks have the same two ends: the input "features" (batch, n_frames, n_features), and the layer
"logits" with the scores before the softmax that gives "probabilities" (batch, n_classes).
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

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
from asrlib.models.layers import CELL_KINDS, INPUT, check_fits, checked_input_shape

if TYPE_CHECKING:
    import keras

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


def build(
    config: ModelConfig,
    *,
    input_shape: tuple[int, int] | None = None,
    n_classes: int = 10,
    seed: int | None = None,
) -> keras.Model:
    """Build the network of any configuration as a Keras model.

    Parameters
    ----------
    config : ModelConfig
        Sizes of the network; their class says which family.
    input_shape : (int, int), optional
        Frames and coefficients of one input; (100, 20) if left out.
    n_classes : int
        Number of words that the network tells apart.
    seed : int, optional
        Fixes the initial weights and the dropout; without it each call starts elsewhere.

    Returns
    -------
    keras.Model
        From float32 (batch, n_frames, n_features) to probabilities (batch, n_classes). The layer before the
        last, "logits", gives the scores before the softmax.

    Raises
    ------
    ValueError
        If the kernels and pools leave nothing of the input.

    Examples
    --------
    >>> from asrlib import models
    >>> model = models.build(models.RnnConfig(units=8), input_shape=(50, 20))  # doctest: +SKIP
    >>> model.output_shape  # doctest: +SKIP
    (None, 10)

    Lesson: 04
    """
    if not isinstance(config, ModelConfig):
        raise ValueError(f"config must be a configuration such as CnnConfig(), got {config!r}.")
    return _BUILDERS[type(config)](config, input_shape=input_shape, n_classes=n_classes, seed=seed)


def softmax_regression(
    config: SoftmaxConfig | None = None,
    *,
    input_shape: tuple[int, int] = (100, 20),
    n_classes: int = 10,
    seed: int | None = None,
) -> keras.Model:
    """Build a softmax regression: the whole window at once, one weighted sum for each word.

    Parameters
    ----------
    config : SoftmaxConfig, optional
        There is nothing to choose.
    input_shape, n_classes, seed
        As for :func:`build`.

    Returns
    -------
    keras.Model

    Examples
    --------
    >>> softmax_regression(input_shape=(100, 20)).count_params()  # doctest: +SKIP
    20010

    Lesson: 04
    """
    config = SoftmaxConfig() if config is None else config
    parts = _Parts(config, input_shape, seed=seed)
    layers = parts.layers
    x = layers.Flatten(name="flatten")(parts.inputs)
    return parts.finish(x, n_classes=n_classes)


def article_cnn(
    config: ArticleCnnConfig | None = None,
    *,
    input_shape: tuple[int, int] = (100, 20),
    n_classes: int = 10,
    seed: int | None = None,
) -> keras.Model:
    """Build a convolution over time, pooling and two dense layers, with much dropout.

    Parameters
    ----------
    config : ArticleCnnConfig, optional
        Sizes of the network.
    input_shape, n_classes, seed
        As for :func:`build`.

    Returns
    -------
    keras.Model

    Raises
    ------
    ValueError
        If the kernel or the pool is longer than what it reads.

    Examples
    --------
    >>> article_cnn(input_shape=(100, 13)).get_layer("conv1").output.shape  # doctest: +SKIP
    (None, 98, 32)

    References
    ----------
    N. Srivastava and others, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", Journal of
    Machine Learning Research 15, 2014.

    Lesson: 04
    """
    config = ArticleCnnConfig() if config is None else config
    parts = _Parts(config, input_shape, seed=seed)
    layers = parts.layers
    x = layers.Conv1D(
        config.filters,
        config.kernel_size,
        activation="relu",
        kernel_initializer=parts.glorot(),
        name="conv1",
    )(parts.inputs)
    x = layers.MaxPooling1D(config.pool, name="pool1")(x)
    x = parts.dropout(config.conv_dropout, name="conv_dropout")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(config.units, activation="relu", kernel_initializer=parts.glorot(), name="hidden")(x)
    x = parts.dropout(config.dropout)(x)
    return parts.finish(x, n_classes=n_classes)


def cnn(
    config: CnnConfig | None = None,
    *,
    input_shape: tuple[int, int] = (100, 20),
    n_classes: int = 10,
    seed: int | None = None,
) -> keras.Model:
    """Build a convolutional network that looks at the features as a picture.

    Parameters
    ----------
    config : CnnConfig, optional
        Sizes of the network.
    input_shape, n_classes, seed
        As for :func:`build`.

    Returns
    -------
    keras.Model

    Raises
    ------
    ValueError
        If the pools leave nothing of the input.

    Examples
    --------
    >>> cnn(CnnConfig(), input_shape=(100, 20)).get_layer("sequence").output.shape  # doctest: +SKIP
    (None, 12, 240)

    References
    ----------
    S. Ioffe, C. Szegedy, "Batch Normalization", ICML 2015.

    Lesson: 04
    """
    config = CnnConfig() if config is None else config
    parts = _Parts(config, input_shape, seed=seed)
    x = parts.convolutions(config.channels, config.kernel_size, config.pools)
    x = parts.over_time(config.head)(x)
    x = parts.dropout(config.dropout)(x)
    return parts.finish(x, n_classes=n_classes)


def rnn(
    config: RnnConfig | None = None,
    *,
    input_shape: tuple[int, int] = (100, 20),
    n_classes: int = 10,
    seed: int | None = None,
    unroll: bool = False,
) -> keras.Model:
    """Build a recurrent network that reads the features frame by frame.

    Parameters
    ----------
    config : RnnConfig, optional
        Sizes of the network.
    input_shape, n_classes, seed
        As for :func:`build`.
    unroll : bool
        Write the recurrent layers out as one copy per time step: the same numbers from a larger graph.

    Returns
    -------
    keras.Model

    Examples
    --------
    >>> rnn(RnnConfig(cell="lstm", units=8)).get_layer("lstm1").output.shape  # doctest: +SKIP
    (None, 100, 16)

    References
    ----------
    J. L. Elman, "Finding Structure in Time", Cognitive Science 14(2), 1990. S. Hochreiter, J. Schmidhuber,
    "Long Short-Term Memory", Neural Computation 9(8), 1997. K. Cho et al., "Learning Phrase Representations
    using RNN Encoder-Decoder for Statistical Machine Translation", EMNLP 2014 (the gated recurrent unit).

    Lesson: 04
    """
    config = RnnConfig() if config is None else config
    parts = _Parts(config, input_shape, seed=seed, unroll=unroll)
    x = parts.inputs
    for number in range(1, config.layers + 1):
        every_step = number < config.layers or config.head != "last"
        x = parts.recurrent(
            CELL_KINDS[config.cell],
            config.units,
            every_step=every_step,
            bidirectional=config.bidirectional,
            name=f"{config.cell}{number}",
        )(x)
    x = parts.over_time(config.head)(x)
    x = parts.dropout(config.dropout)(x)
    return parts.finish(x, n_classes=n_classes)


def crnn(
    config: CrnnConfig | None = None,
    *,
    input_shape: tuple[int, int] = (100, 20),
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
    config = CrnnConfig() if config is None else config
    input_shape = checked_input_shape(config, input_shape)
    if config.members > 1:
        return _committee(config, input_shape=input_shape, n_classes=n_classes, seed=seed, unroll=unroll)
    parts = _Parts(config, input_shape, seed=seed, unroll=unroll)
    layers = parts.layers
    x = parts.convolutions(config.conv_channels, config.kernel_size, config.pools)
    if config.projection:
        x = layers.Dense(config.projection, kernel_initializer=parts.glorot(), name="projection")(x)
    x = parts.dropout(config.projection_dropout, name="projection_dropout")(x)
    x = parts.recurrent(
        "GRU",
        config.gru_units,
        every_step=config.head != "last",
        bidirectional=config.bidirectional,
        name="gru",
    )(x)
    if config.head == "attention":
        scores = layers.Dense(1, kernel_initializer=parts.glorot(), name="attention")(x)  # (batch, time, 1)
        shares = layers.Softmax(axis=1, name="attention_weights")(scores)
        x = layers.Flatten(name="weighted_mean")(layers.Dot(axes=1, name="weighted_sum")([shares, x]))
    x = parts.over_time(config.head)(x)
    x = parts.dropout(config.dropout)(x)
    return parts.finish(x, n_classes=n_classes)


def _committee(config: CrnnConfig, *, seed: int | None, **shape: Any) -> keras.Model:
    """Build one model of several members side by side, whose scores are averaged."""
    keras = import_keras()
    inputs = keras.Input(shape["input_shape"], name=INPUT)
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
    with without_lines(*_STARTUP_LINES):
        return importlib.import_module("keras")


@contextlib.contextmanager
def without_lines(*known: str) -> Iterator[None]:
    """Keep lines with one of these texts from standard error, whoever writes them; pass on all others."""
    try:
        sys.stderr.flush()
        stderr = os.dup(2)
    except (AttributeError, OSError, ValueError):  # a program without a standard error
        yield
        return
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            written.seek(0)
            for line in written.read().decode(errors="replace").splitlines():
                if not any(text in line for text in known):
                    print(line, file=sys.stderr)


class _Parts:
    """What networks are made of: the input, and the layers that several families use, each with its seed.

    The seeds are given out in the order of the layers, so that the same seed always builds the same network.
    """

    def __init__(
        self,
        config: ModelConfig | CtcConfig,
        input_shape: Any,
        *,
        seed: int | None,
        unroll: bool = False,
    ) -> None:
        self.family, self.unroll = config.family, unroll
        self.input_shape = checked_input_shape(config, input_shape)
        check_fits(config, input_shape=self.input_shape)
        self.keras = import_keras()
        self.layers = self.keras.layers
        self._seeds = np.random.SeedSequence(seed)
        self._seeds_used = 0
        # (batch, time, frequency); None stands for any length
        n_frames = None if isinstance(config, CtcConfig) else self.input_shape[0]
        self.inputs = self.keras.Input((n_frames, self.input_shape[1]), name=INPUT)

    def seed(self) -> int:
        """Give the next seed."""
        self._seeds_used += 1
        return int(self._seeds.generate_state(self._seeds_used)[-1])

    def glorot(self) -> keras.Initializer:
        return self.keras.initializers.GlorotUniform(seed=self.seed())

    def dropout(self, share: float, *, name: str = "dropout") -> Callable[[Any], Any]:
        """Make a dropout layer, or what leaves everything as it is if there is nothing to drop."""
        return self.layers.Dropout(share, seed=self.seed(), name=name) if share else _as_it_is

    def convolutions(
        self, channels: Sequence[int], kernel_size: tuple[int, int], pools: Sequence[tuple[int, int]]
    ) -> Any:
        """Let convolutions look at the input as a picture; give a sequence (batch, time, values) again."""
        layers = self.layers
        x = layers.Reshape((*self.input_shape, 1), name="picture")(self.inputs)  # one channel: a grey picture
        for number, (outputs, pool) in enumerate(zip(channels, pools, strict=True), start=1):
            x = layers.Conv2D(
                outputs,
                kernel_size,
                padding="same",
                use_bias=False,  # the normalisation right after it subtracts any constant
                kernel_initializer=self.glorot(),
                name=f"conv{number}",
            )(x)
            # Pooling before the normalisation leaves it (and the ReLU) a fraction of the values to work on.
            x = layers.MaxPooling2D(pool, name=f"pool{number}")(x)
            x = layers.BatchNormalization(
                momentum=_BATCH_NORM_MOMENTUM, epsilon=BATCH_NORM_EPSILON, name=f"norm{number}"
            )(x)
            x = layers.ReLU(name=f"relu{number}")(x)
        _, time, frequency, last = x.shape
        return layers.Reshape((time, frequency * last), name="sequence")(x)

    def recurrent(
        self, kind: str, units: int, *, every_step: bool, bidirectional: bool, name: str
    ) -> keras.Layer:
        """Make a recurrent layer that gives its state after every step, or after its last step only."""

        def run(direction: str, *, backwards: bool) -> keras.Layer:
            return getattr(self.layers, kind)(
                units,
                return_sequences=every_step,
                go_backwards=backwards,
                unroll=self.unroll,
                kernel_initializer=self.glorot(),
                recurrent_initializer=self.keras.initializers.Orthogonal(seed=self.seed()),
                name=f"{name}_{direction}",
            )

        forward = run("forward", backwards=False)
        if not bidirectional:
            return forward
        return self.layers.Bidirectional(forward, backward_layer=run("backward", backwards=True), name=name)

    def over_time(self, head: str) -> Callable[[Any], Any]:
        """Make the layer that sums up the time axis, where the head needs one."""
        if head == "max":
            return self.layers.GlobalMaxPooling1D(name="max_over_time")
        if head == "average":
            return self.layers.GlobalAveragePooling1D(name="mean_over_time")
        return _as_it_is

    def finish(self, x: Any, *, n_classes: int) -> keras.Model:
        """Add the scores and the probabilities."""
        (n_classes,) = integers("n_classes", (n_classes,), minimum=2)
        logits = self.layers.Dense(n_classes, kernel_initializer=self.glorot(), name="logits")(x)
        probabilities = self.layers.Softmax(name="probabilities")(logits)
        return self.keras.Model(self.inputs, probabilities, name=self.family)


def _as_it_is(x: Any) -> Any:
    return x


_BUILDERS = {
    SoftmaxConfig: softmax_regression,
    ArticleCnnConfig: article_cnn,
    CnnConfig: cnn,
    RnnConfig: rnn,
    CrnnConfig: crnn,
}
