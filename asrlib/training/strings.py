"""Teach a network to read strings: composed while it learns, judged by naturally spoken ones.

Threads compose strings from single digits (`asrlib.strings`) while the network learns from those that are
ready (`string_batches`). Each string is heard several times, each time with other bands hidden and another
length of the vocal tract. Which strings a step may see depends on its number alone, never on how fast the
threads are.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from asrlib import decoding, models, texts
from asrlib.datasets import assert_speaker_disjoint
from asrlib.models import get_weights, import_keras
from asrlib.string_recognizer import StringRecognizer
from asrlib.training.progress import History
from asrlib.training.session import Stop
from asrlib.training.string_batches import Pool, StringBatches, splice_step
from asrlib.training.string_config import StringTrainingConfig

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from asrlib.datasets import SpeechDataset

__all__ = ["StringProgress", "StringTrainingResult", "train_strings"]


@dataclass(frozen=True)
class StringProgress:
    """How far a training is, after a step.

    Parameters
    ----------
    epoch, epochs : int
        The epoch being trained, from 1, and how many there are.
    step, steps : int
        Steps done, and how many there are.
    loss : float
        Mean CTC loss of the epoch so far.
    seconds : float
        Wall time so far.
    history : dict of str to list of float
        One number for each finished epoch, as in `StringTrainingResult`.
    recognizer : callable
        Gives a `StringRecognizer` with the weights of this moment; it is made when asked for.

    Lesson: 08
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    seconds: float
    history: History
    recognizer: Callable[[], StringRecognizer]


@dataclass(frozen=True)
class StringTrainingResult:
    """What a training gave.

    Parameters
    ----------
    recognizer : StringRecognizer
        The trained recogniser.
    history : dict of str to list of float
        One number for each epoch: "loss" on the training strings, and "val_wer", the word error rate on the
        validation strings, if there were any.
    seconds : float
        Wall time, from reading the recordings to the end.
    stopped : bool
        Whether it was stopped from outside.

    Lesson: 08
    """

    recognizer: StringRecognizer
    history: History
    seconds: float
    stopped: bool = False

    def __str__(self) -> str:
        line = f"{len(self.history['loss'])} epochs in {self.seconds:.0f} s"
        if self.history.get("val_wer"):
            line += f"; word error rate on validation {100 * self.history['val_wer'][-1]:.1f} %"
        return f"{line}; stopped" if self.stopped else line


def train_strings(
    train_digits: SpeechDataset,
    *,
    validation: SpeechDataset | None = None,
    natural: SpeechDataset | None = None,
    config: StringTrainingConfig | None = None,
    progress: bool = True,
    watch: Callable[[StringProgress], None] | None = None,
    stop: Stop | None = None,
) -> StringTrainingResult:
    """Train a recogniser of strings on strings composed from single digits.

    Parameters
    ----------
    train_digits : SpeechDataset
        Single digits of the speakers to learn from.
    validation : SpeechDataset, optional
        Strings of other speakers, to watch the word error rate by. Never the test set.
    natural : SpeechDataset, optional
        Naturally spoken strings to learn from besides, in the share ``config.natural_share``.
    config : StringTrainingConfig, optional
        How to train.
    progress : bool
        Whether to show a bar.
    watch : callable, optional
        ``watch(progress)`` is called with a `StringProgress` after every step and, with the new numbers in
        its history, after every epoch, in the thread that trains.
    stop : threading.Event or callable, optional
        Asked after every step; once it says so, training ends with the weights as they are.

    Returns
    -------
    StringTrainingResult

    Raises
    ------
    ValueError
        If a set is empty or shares speakers with the validation set, or the loss is no longer a number.

    Examples
    --------
    >>> from asrlib import datasets, training
    >>> result = training.train_strings(
    ...     datasets.digits("train"), validation=datasets.strings("validation")
    ... )  # doctest: +SKIP

    References
    ----------
    A. Graves, S. Fernández, F. Gomez, J. Schmidhuber, "Connectionist Temporal Classification: Labelling
    Unsegmented Sequence Data with Recurrent Neural Networks", ICML 2006.

    Lesson: 08
    """
    began = time.perf_counter()
    config = StringTrainingConfig() if config is None else config
    for dataset in (validation, natural):
        if dataset is not None and not len(dataset):
            raise ValueError(f"{dataset.name} is empty; leave it out instead.")
    if validation is not None:
        assert_speaker_disjoint(train_digits, validation)
        if natural is not None:
            assert_speaker_disjoint(natural, validation)
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(Pool(train_digits, natural, config))
        learner = _Learner(config, pool)
        bar = stack.enter_context(_bar(config, shown=progress))
        course = _Course(learner, pool, validation, bar=bar, watch=watch, stop=stop, began=began)
        stopped = course.run()
    recognizer = learner.recognizer()
    return StringTrainingResult(recognizer, course.history, time.perf_counter() - began, stopped)


# -- learning ----------------------------------------------------------------------------------------------


class _Learner:
    """A network, its loss, its optimiser, and the running average of its weights."""

    def __init__(self, config: StringTrainingConfig, pool: Pool) -> None:
        keras = import_keras()
        import tensorflow as tf

        self.config, self.labels = config, pool.labels
        n_features = config.features.n_coefficients
        self.model = models.ctc(
            config.model, n_features=n_features, n_classes=len(self.labels) + 1, seed=config.seed
        )
        pool.wait_for(config.first_strings)
        frames = np.concatenate(pool.features[: config.first_strings])
        self.average = frames.mean(axis=0)
        models.set_input_statistics(self.model, mean=self.average, deviation=frames.std(axis=0))
        self.optimizer = _optimizer(config, keras)
        self.optimizer.build(self.model.trainable_variables)
        self.averages = [tf.Variable(variable) for variable in self.model.variables if _is_float(variable)]
        # Any number of strings, frames and digits: TensorFlow plans the step once.
        self.step = tf.function(
            self._step,
            autograph=False,  # it holds no loop or condition to be translated
            input_signature=[
                tf.TensorSpec((None, None, n_features), tf.float32),
                tf.TensorSpec((None,), tf.int32),
                tf.TensorSpec((None, None), tf.int32),
                tf.TensorSpec((None,), tf.int32),
                tf.TensorSpec((), tf.float32),
            ],
        )

    def _step(
        self, batch: tf.Tensor, steps: tf.Tensor, targets: tf.Tensor, lengths: tf.Tensor, keep: tf.Tensor
    ) -> tf.Tensor:
        """Change the weights once; return the loss of this batch before."""
        import keras
        import tensorflow as tf

        with tf.GradientTape() as tape:
            logits = self.model(batch, training=True)
            loss = tf.reduce_mean(
                keras.ops.ctc_loss(targets, logits, lengths, steps, mask_index=decoding.BLANK)
            )
        weights = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        # The statistics of batch normalisation are averaged with the weights that they belong to.
        now = [variable for variable in self.model.variables if _is_float(variable)]
        for average, variable in zip(self.averages, now, strict=True):
            average.assign(keep * average + (1 - keep) * variable.value)
        return loss

    def weights(self) -> dict[str, np.ndarray]:
        """Give the running average of the weights, by name."""
        variables = [variable for variable in self.model.variables if _is_float(variable)]
        now = [variable.numpy() for variable in variables]
        for variable, average in zip(variables, self.averages, strict=True):
            variable.assign(average)
        averaged = get_weights(self.model, config=self.config.model)
        averaged["logits/bias"][decoding.BLANK] -= self.config.blank_penalty
        for variable, value in zip(variables, now, strict=True):
            variable.assign(value)
        return averaged

    def recognizer(self) -> StringRecognizer:
        """Give a recogniser with the weights of this moment."""
        return StringRecognizer(
            features=self.config.features,
            model=self.config.model,
            weights=self.weights(),
            labels=self.labels,
        )


def _is_float(variable: keras.Variable) -> bool:
    return "float" in str(variable.dtype)  # the dropout's counters are no weights


def _optimizer(config: StringTrainingConfig, keras: Any) -> keras.Optimizer:
    warmup = min(config.warmup_steps, config.steps - 1)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.03 * config.learning_rate if warmup else config.learning_rate,
        decay_steps=config.steps - warmup,
        alpha=config.final_learning_rate,
        warmup_target=config.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=config.weight_decay, global_clipnorm=config.clip_norm
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


class _Course:
    """One training from the first step to the last, and who is told about it."""

    def __init__(
        self,
        learner: _Learner,
        pool: Pool,
        validation: SpeechDataset | None,
        *,
        bar: Any,
        watch: Callable[[StringProgress], None] | None,
        stop: Stop | None,
        began: float,
    ) -> None:
        self.learner, self.config = learner, learner.config
        self.pool = pool
        self.splice_step = splice_step(self.config) if pool.natural else None
        self.batches = StringBatches(pool, learner.config, average=learner.average)
        self.validation, self.bar, self.watch, self.began = validation, bar, watch, began
        self.asked = getattr(stop, "is_set", stop)
        self.history: History = {"loss": []} | ({} if validation is None else {"val_wer": []})

    def run(self) -> bool:
        """Take all steps, or until asked to stop; tell whether that was so."""
        config = self.config
        ends = np.linspace(0, config.steps, config.epochs + 1).round().astype(int).tolist()
        for epoch, (first, end) in enumerate(itertools.pairwise(ends), start=1):
            losses: list[float] = []
            for step in range(first, end):
                losses.append(self._step(step))
                self._tell(epoch, step, losses)
                if self.asked is not None and self.asked():
                    self._finish(losses)
                    return step + 1 < config.steps
            self._finish(losses)
            self._tell(epoch, end - 1, losses)
        return False

    def _step(self, step: int) -> float:
        import tensorflow as tf

        if step == self.splice_step:
            self.pool.splice(self.learner.recognizer())
        # Early on the average is short, or it would hold the first random weights for long.
        keep = min(self.config.weight_average, (1 + step) / (10 + step))
        arrays = (*self.batches[step], np.float32(keep))
        loss = float(self.learner.step(*map(tf.constant, arrays)))
        if not math.isfinite(loss):
            raise ValueError(
                f"The loss of step {step + 1} is {loss}: the steps are too large. Try a learning_rate below "
                f"{self.config.learning_rate}."
            )
        self.bar.update()
        return loss

    def _finish(self, losses: list[float]) -> None:
        self.history["loss"].append(float(np.mean(losses)))
        if self.validation is not None:
            recognizer = self.learner.recognizer()
            heard = [_greedy(recognizer, samples) for samples in self.validation.arrays()]
            self.history["val_wer"].append(texts.wer(self.validation.labels.tolist(), heard))
        self.bar.set_postfix({name: f"{values[-1]:.3f}" for name, values in self.history.items()})

    def _tell(self, epoch: int, step: int, losses: list[float]) -> None:
        if self.watch is not None:
            self.watch(
                StringProgress(
                    epoch=epoch,
                    epochs=self.config.epochs,
                    step=step + 1,
                    steps=self.config.steps,
                    loss=float(np.mean(losses)),
                    seconds=time.perf_counter() - self.began,
                    history={name: list(values) for name, values in self.history.items()},
                    recognizer=self.learner.recognizer,
                )
            )


def _greedy(recognizer: StringRecognizer, samples: np.ndarray) -> str:
    path = recognizer.scores(samples).argmax(axis=1)
    return " ".join(decoding.to_words(decoding.collapse(path.tolist()), recognizer.labels))


def _bar(config: StringTrainingConfig, *, shown: bool) -> Any:
    from tqdm.auto import tqdm

    return tqdm(total=config.steps, desc="training", unit="step", disable=not shown)
