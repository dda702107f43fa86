"""Carry weights between Keras' models and plain named arrays, for every family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from asrlib.models.configs import CtcConfig, ModelConfig
from asrlib.models.layers import weight_shapes

if TYPE_CHECKING:
    import keras


def get_weights(model: keras.Model, *, config: ModelConfig | CtcConfig) -> dict[str, np.ndarray]:
    """Copy the weights out of a Keras model, under the names of :func:`weight_shapes`.

    Parameters
    ----------
    model : keras.Model
        A model built from this configuration.
    config : ModelConfig or CtcConfig
        The configuration that it was built from.

    Returns
    -------
    dict of str to float32 array
        One entry for each name in :func:`weight_shapes`.

    Raises
    ------
    ValueError
        If the model was not built from this configuration.

    Examples
    --------
    >>> from asrlib.models import SoftmaxConfig, build
    >>> model = build(SoftmaxConfig(), input_shape=(50, 20))  # doctest: +SKIP
    >>> get_weights(model, config=SoftmaxConfig())["logits/kernel"].shape  # doctest: +SKIP
    (1000, 10)

    Lesson: 04
    """
    shapes = _shapes_of(model, config)
    arrays = [np.asarray(value, dtype=np.float32) for value in model.get_weights()]
    if [array.shape for array in arrays] != list(shapes.values()):
        raise ValueError(
            f"The model's weights do not fit this {type(config).__name__}; pass the one that it was built "
            "from."
        )
    return dict(zip(shapes, arrays, strict=True))


def set_weights(
    model: keras.Model, weights: Mapping[str, np.ndarray], *, config: ModelConfig | CtcConfig
) -> None:
    """Copy named weights into a Keras model built from the same configuration.

    Parameters
    ----------
    model : keras.Model
        The model to fill.
    weights : mapping of str to array
        One entry for each name in :func:`weight_shapes`.
    config : ModelConfig or CtcConfig
        The configuration that the model was built from.

    Raises
    ------
    ValueError
        If a name is missing or a shape differs.

    Examples
    --------
    >>> from asrlib.models import SoftmaxConfig, build
    >>> model, other = (build(SoftmaxConfig(), seed=seed) for seed in (1, 2))  # doctest: +SKIP
    >>> weights = get_weights(other, config=SoftmaxConfig())  # doctest: +SKIP
    >>> set_weights(model, weights, config=SoftmaxConfig())  # doctest: +SKIP

    Lesson: 04
    """
    check_weights(weights, _shapes_of(model, config))
    model.set_weights([weights[name] for name in _shapes_of(model, config)])


def check_weights(weights: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ValueError unless the weights have exactly these names and shapes and are finite numbers.

    Parameters
    ----------
    weights : mapping of str to array
    shapes : mapping of str to tuple of int
        As :func:`weight_shapes` gives them.

    Raises
    ------
    ValueError
        The message names the first weight that does not fit.

    Examples
    --------
    >>> from asrlib.models import SoftmaxConfig
    >>> shapes = weight_shapes(SoftmaxConfig(), input_shape=(50, 20))
    >>> check_weights({name: np.zeros(shape) for name, shape in shapes.items()}, shapes)

    Lesson: 04
    """
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


def _shapes_of(model: keras.Model, config: ModelConfig | CtcConfig) -> dict[str, tuple[int, ...]]:
    return weight_shapes(config, input_shape=model.input_shape[1:], n_classes=model.output_shape[-1])
