"""How large a step is, and in which direction: learning rates and optimisers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from asrlib.training.config import TrainingConfig

if TYPE_CHECKING:
    import keras

__all__ = ["learning_rates", "optimizer"]

_WARMUP_START = 0.01  # of the learning rate: the first gradients of a fresh network point anywhere
_STAIRS = 3


def learning_rates(config: TrainingConfig, *, steps_per_epoch: int) -> np.ndarray:
    """Give the learning rate of every step of a training.

    Parameters
    ----------
    config : TrainingConfig
        How to train.
    steps_per_epoch : int
        Batches of one epoch.

    Returns
    -------
    float64 array, shape (epochs * steps_per_epoch,)

    Examples
    --------
    >>> config = TrainingConfig(epochs=4, learning_rate=0.1, schedule="constant")
    >>> learning_rates(config, steps_per_epoch=2).round(4).tolist()
    [0.001, 0.0505, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]

    Lesson: 06
    """
    steps = config.epochs * steps_per_epoch
    warmup = _warmup_steps(config, steps_per_epoch=steps_per_epoch)
    rising = _WARMUP_START + (1 - _WARMUP_START) * np.arange(warmup) / max(warmup, 1)
    done = np.arange(steps - warmup) / (steps - warmup)
    last = config.final_learning_rate
    falling = {
        "cosine": lambda: last + (1 - last) * 0.5 * (1 + np.cos(np.pi * done)),
        "constant": lambda: np.ones_like(done),
        "steps": lambda: last ** (np.floor(_STAIRS * done) / (_STAIRS - 1)),
        "exponential": lambda: last**done,
    }[config.schedule]()
    return config.learning_rate * np.concatenate([rising, falling])


def optimizer(config: TrainingConfig, *, steps_per_epoch: int) -> keras.Optimizer:
    """Build Keras' optimiser for a training."""
    import keras

    optimizers = keras.optimizers
    common = {
        "learning_rate": _schedule(config, steps_per_epoch=steps_per_epoch),
        "weight_decay": config.weight_decay,
        "global_clipnorm": config.clip_norm,
        "use_ema": config.weight_average > 0,
        "ema_momentum": config.weight_average or 0.99,
    }
    if config.optimizer == "adam":
        del common["weight_decay"]
    built = {
        "adamw": lambda: optimizers.AdamW(**common),
        "adam": lambda: optimizers.Adam(**common),
        "sgd": lambda: optimizers.SGD(**common),
        "momentum": lambda: optimizers.SGD(momentum=config.momentum, **common),
        "nesterov": lambda: optimizers.SGD(momentum=config.momentum, nesterov=True, **common),
        "rmsprop": lambda: optimizers.RMSprop(**common),
    }[config.optimizer]()
    built.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return built


def _warmup_steps(config: TrainingConfig, *, steps_per_epoch: int) -> int:
    return min(round(config.warmup_epochs * steps_per_epoch), config.epochs * steps_per_epoch - 1)


def _schedule(config: TrainingConfig, *, steps_per_epoch: int) -> object:
    """Give Keras' cosine, or for the other schedules a table of the rate of each step."""
    import keras

    if config.schedule == "cosine":
        warmup = _warmup_steps(config, steps_per_epoch=steps_per_epoch)
        return keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=_WARMUP_START * config.learning_rate if warmup else config.learning_rate,
            warmup_target=config.learning_rate if warmup else None,
            warmup_steps=warmup,
            decay_steps=config.epochs * steps_per_epoch - warmup,
            alpha=config.final_learning_rate,
        )

    table = learning_rates(config, steps_per_epoch=steps_per_epoch).astype(np.float32)

    class Table(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step: object) -> object:
            step = keras.ops.minimum(keras.ops.cast(step, "int32"), len(table) - 1)
            return keras.ops.take(keras.ops.convert_to_tensor(table), step)

    return Table()
