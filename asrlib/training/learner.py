"""One step of training: answer, compare, find out what to change, change it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from asrlib.models import build, import_keras
from asrlib.training.config import TrainingConfig
from asrlib.training.steps import optimizer

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from asrlib.training.checkpoints import Saved

__all__ = ["Learner", "Sums"]

_VALIDATION_BATCH = 256


@dataclass(frozen=True)
class Sums:
    """Loss and right answers, added up over batches."""

    loss: float = 0.0
    right: int = 0
    clips: int = 0

    def plus(self, loss: float, right: int, clips: int) -> Sums:
        """Add a batch: its mean loss, its number of right answers, its clips."""
        # In single precision, as the network computes.
        total = np.float32(self.loss) + np.float32(loss) * np.float32(clips)
        return Sums(float(total), self.right + right, self.clips + clips)

    def means(self) -> tuple[float, float]:
        """Give the mean loss and the share of right answers."""
        clips = np.float32(self.clips)
        return float(np.float32(self.loss) / clips), float(np.float32(self.right) / clips)


class Learner:
    """A network with its loss and its optimiser: what one step of training is."""

    def __init__(self, config: TrainingConfig, *, n_classes: int, steps_per_epoch: int) -> None:
        keras = import_keras()
        import tensorflow as tf

        self.model = build(
            config.model, input_shape=config.input_shape, n_classes=n_classes, seed=config.seed
        )
        # Trained on the scores before the softmax: so the loss never meets a probability rounded to zero.
        self.scores = keras.Model(self.model.input, self.model.get_layer("logits").output)
        self.loss = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=config.label_smoothing
        )
        self.optimizer = optimizer(config, steps_per_epoch=steps_per_epoch)
        self.optimizer.build(self.scores.trainable_variables)
        self.warm = False  # whether a step was taken: the first takes long
        self._batch = [tf.TensorSpec((None, *config.input_shape)), tf.TensorSpec((None, n_classes))]
        # Not compiled by XLA, which takes longer than it saves in a run of a minute on a CPU.
        self.step = tf.function(self._step, input_signature=self._batch).get_concrete_function()

    @cached_property
    def _judge(self) -> tf.types.experimental.ConcreteFunction:
        """Translated into a graph when first asked for: without a validation set, never."""
        import tensorflow as tf

        return tf.function(self._judge_batch, input_signature=self._batch).get_concrete_function()

    def _step(self, features: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Change the weights once; return the loss and the number of right answers of this batch."""
        import tensorflow as tf

        with tf.GradientTape() as tape:
            scores = self.scores(features, training=True)
            loss = self.loss(targets, scores)
        weights = self.scores.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        return loss, _count_right(targets, scores)

    def _judge_batch(self, features: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        scores = self.scores(features, training=False)
        return self.loss(targets, scores), _count_right(targets, scores)

    def judge(self, features: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
        """Give loss and accuracy on a set, changing nothing."""
        import tensorflow as tf

        sums = Sums()
        for start in range(0, len(targets), _VALIDATION_BATCH):
            part = slice(start, start + _VALIDATION_BATCH)
            loss, right = self._judge(tf.constant(features[part]), tf.constant(targets[part]))
            sums = sums.plus(float(loss), int(right), len(targets[part]))
        return sums.means()

    def average(self) -> None:
        """Replace the weights by their running average."""
        self.optimizer.finalize_variable_values(self.scores.trainable_variables)

    def arrays(self) -> dict[str, np.ndarray]:
        """Give all numbers that the next step depends on: weights, the optimiser's, the dropout's."""
        return {f"network/{number:04}": variable.numpy() for number, variable in enumerate(self._variables())}

    def restore(self, saved: Saved) -> None:
        """Put back what :meth:`arrays` gave."""
        for variable, array in zip(self._variables(), saved.under("network/").values(), strict=True):
            variable.assign(array)

    def _variables(self) -> list[keras.Variable]:
        return [*self.scores.variables, *self.optimizer.variables]


def _count_right(targets: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    same = tf.equal(tf.argmax(targets, axis=-1), tf.argmax(scores, axis=-1))
    return tf.reduce_sum(tf.cast(same, tf.int32))
