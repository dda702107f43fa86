"""The network that answers at every step, as Keras code: convolutions, recurrent layers, a score per class.

The whole-clip networks of :mod:`asrlib.models.builders` read a window and name one word. This one reads an
utterance of any length and gives, every few frames, scores for the blank and for each label. Connectionist
temporal classification (:mod:`asrlib.decoding`) makes a text of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from asrlib.models.builders import _BATCH_NORM_MOMENTUM, BATCH_NORM_EPSILON, _Parts
from asrlib.models.configs import CtcConfig, integers
from asrlib.models.layers import causal_zeros

if TYPE_CHECKING:
    import keras


def n_steps(n_frames: Any, config: CtcConfig) -> Any:
    """Count the steps that a number of frames gives: frames that fill no whole step give none.

    Parameters
    ----------
    n_frames : int or array of int
        Frames of one utterance, or of each of several.
    config : CtcConfig
        Sizes of the network.

    Returns
    -------
    int or array of int

    Raises
    ------
    ValueError
        If a number of frames is negative or no whole number.

    Examples
    --------
    >>> n_steps(103, CtcConfig())
    25
    >>> n_steps([3, 8], CtcConfig()).tolist()
    [0, 2]

    Lesson: 08
    """
    frames = np.asarray(n_frames)
    if not np.issubdtype(frames.dtype, np.integer) or (frames < 0).any():
        raise ValueError(f"n_frames={n_frames!r} came. Expected whole numbers of frames from 0 on.")
    # Pools one after the other leave out what fills no whole window; that is one division by their product.
    steps = frames // config.frames_per_step
    return int(steps) if frames.ndim == 0 else steps


def ctc(
    config: CtcConfig | None = None, *, n_features: int = 40, n_classes: int = 11, seed: int | None = None
) -> keras.Model:
    """Build a convolutional-recurrent network that gives scores at every step.

    Utterances of several lengths make one batch when zeros fill up the shorter ones behind their end
    (whole frames of exactly 0, which no sound gives). The network takes such frames for padding: it keeps
    them at zero after every layer, leaves them out of the batch statistics, and passes them over in
    the recurrent layers. What it answers up to :func:`n_steps` of an utterance's own frames is therefore
    the same in any company; steps behind that mean nothing.

    Parameters
    ----------
    config : CtcConfig, optional
        Sizes of the network.
    n_features : int
        Coefficients of one frame.
    n_classes : int
        The blank, which is class 0, and the labels.
    seed : int, optional
        Fixes the initial weights and the dropout; without it each call starts elsewhere.

    Returns
    -------
    keras.Model
        From "features", float32 (batch, time, n_features), to "logits", float32 (batch,
        time // frames per step, n_classes): scores before the softmax. :func:`set_input_statistics` tells it
        the mean and the spread of the features, which the layer "input_norm" takes out of every frame.

    Raises
    ------
    ValueError
        If the pools leave nothing of the features.

    Examples
    --------
    >>> ctc(CtcConfig(gru_units=16), n_features=20).output_shape  # doctest: +SKIP
    (None, None, 11)

    References
    ----------
    A. Graves, S. Fernández, F. Gomez, J. Schmidhuber, "Connectionist Temporal Classification: Labelling
    Unsegmented Sequence Data with Recurrent Neural Networks", ICML 2006. B. Shi, X. Bai, C. Yao, "An
    End-to-End Trainable Neural Network for Image-Based Sequence Recognition", IEEE Transactions on Pattern
    Analysis and Machine Intelligence 39 (11), 2017 (convolutions and recurrence under CTC).

    Lesson: 08
    """
    config = CtcConfig() if config is None else config
    if not isinstance(config, CtcConfig):
        raise ValueError(f"config must be a CtcConfig, got {config!r}; models.build builds the others.")
    (n_features,) = integers("n_features", (n_features,))
    (n_classes,) = integers("n_classes", (n_classes,), minimum=2)
    parts = _Parts(config, (None, n_features), seed=seed)
    keras, layers = parts.keras, parts.layers
    inputs = parts.inputs

    real = keras.ops.any(keras.ops.not_equal(inputs, 0), axis=-1)  # (batch, time), False where it is padding
    x = layers.BatchNormalization(
        center=False, scale=False, trainable=False, epsilon=BATCH_NORM_EPSILON, name="input_norm"
    )(inputs)
    x = layers.Reshape((-1, n_features, 1), name="picture")(x)
    x, real = _convolutions(x, real, config, parts)
    if config.projection:
        x = layers.Dense(config.projection, kernel_initializer=parts.glorot(), name="projection")(x)
    x = parts.dropout(config.projection_dropout, name="projection_dropout")(x)
    for number in range(1, config.layers + 1):
        recurrent = parts.recurrent(
            "GRU",
            config.gru_units,
            every_step=True,
            bidirectional=config.bidirectional,
            name=f"gru{number}",
        )
        x = _silenced(recurrent(x, mask=real), real, parts)
        x = parts.dropout(config.dropout, name=f"dropout{number}")(x)
    logits = layers.Dense(n_classes, kernel_initializer=parts.glorot(), name="logits")(x)
    return keras.Model(inputs, logits, name=config.family)


def _convolutions(x: Any, real: Any, config: CtcConfig, parts: _Parts) -> tuple[Any, Any]:
    """Go through the blocks of convolution; give a sequence, and which of its steps are no padding."""
    ops, layers = parts.keras.ops, parts.layers
    width = x.shape[2]
    x = _silenced(x, real, parts)
    for number, (outputs, pool) in enumerate(zip(config.conv_channels, config.pools, strict=True), start=1):
        if config.causal:
            x = layers.ZeroPadding2D(causal_zeros(config.kernel_size), name=f"pad{number}")(x)
        x = layers.Conv2D(
            outputs,
            config.kernel_size,
            padding="valid" if config.causal else "same",
            use_bias=False,  # the normalisation right after it subtracts any constant
            kernel_initializer=parts.glorot(),
            name=f"conv{number}",
        )(x)
        x = layers.MaxPooling2D(pool, name=f"pool{number}")(x)
        real = real[:, pool[0] - 1 :: pool[0]]  # padding comes last: a window is whole if its last frame is
        width //= pool[1]
        everywhere = ops.repeat(ops.expand_dims(real, -1), width, axis=-1)  # (batch, time, frequency)
        x = layers.BatchNormalization(
            momentum=_BATCH_NORM_MOMENTUM, epsilon=BATCH_NORM_EPSILON, name=f"norm{number}"
        )(x, mask=everywhere)
        x = _silenced(layers.ReLU(name=f"relu{number}")(x), real, parts)
    return layers.Reshape((-1, width * config.conv_channels[-1]), name="sequence")(x), real


def _silenced(x: Any, real: Any, parts: _Parts) -> Any:
    """Put zeros where padding is: what a convolution finds behind the end of an utterance on its own."""
    ops = parts.keras.ops
    for _ in range(len(x.shape) - 2):
        real = ops.expand_dims(real, -1)
    return ops.multiply(x, ops.cast(real, x.dtype))


def set_input_statistics(model: keras.Model, *, mean: np.ndarray, deviation: np.ndarray) -> None:
    """Tell a network what its features are like; it subtracts the mean and divides by the deviation.

    Fixed numbers do what a normalisation of each utterance does otherwise, and need not wait for its end.
    Training leaves them as they are.

    Parameters
    ----------
    model : keras.Model
        As :func:`ctc` builds it.
    mean : array, shape (n_features,)
        Mean of each coefficient over the frames of the training set.
    deviation : array, shape (n_features,)
        Their standard deviation.

    Raises
    ------
    ValueError
        If a shape does not fit, or a number is not finite or a deviation not above 0.

    Examples
    --------
    >>> model = ctc(n_features=2)  # doctest: +SKIP
    >>> set_input_statistics(model, mean=np.float32([-8, -9]), deviation=np.float32([3, 2]))  # doctest: +SKIP

    Lesson: 08
    """
    mean, deviation = np.asarray(mean, np.float32), np.asarray(deviation, np.float32)
    width = (model.input_shape[-1],)
    for name, values in (("mean", mean), ("deviation", deviation)):
        if values.shape != width or not np.isfinite(values).all():
            raise ValueError(f"{name} of shape {values.shape} came. Expected finite numbers, {width}.")
    if (deviation <= 0).any():
        raise ValueError(f"deviation must be above 0, its least is {deviation.min()}.")
    # The layer adds its epsilon to the variance before the root, which this takes off beforehand.
    variance = np.maximum(deviation.astype(np.float64) ** 2 - BATCH_NORM_EPSILON, 0).astype(np.float32)
    model.get_layer("input_norm").set_weights([mean, variance])
