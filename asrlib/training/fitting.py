"""The training itself: step by step, with someone who may watch it, stop it, and go on with it later."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from asrlib.models import ModelConfig, build, count_parameters, get_weights, import_keras, member_names
from asrlib.recognizer import Recognizer
from asrlib.training.batches import AugmentBatch, AugmentSamples, Batches, checked_sets, one_hot, whole
from asrlib.training.checkpoints import Checkpoints, Saved, fingerprint
from asrlib.training.config import TrainingConfig
from asrlib.training.runs import Recorder, Run, Runs
from asrlib.training.steps import optimizer

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from asrlib.datasets import SpeechDataset

__all__ = ["Progress", "TrainingResult", "train"]

History = dict[str, list[float]]
Stop = threading.Event | Callable[[], bool]

_VALIDATION_BATCH = 256


@dataclass(frozen=True)
class Progress:
    """How far a training is, after a batch.

    With several members the counts go over all of them: ``epochs`` is the epochs of all members together.

    Parameters
    ----------
    epoch, epochs : int
        The epoch being trained, from 1, and how many there are.
    batch, batches : int
        Batches done in this epoch, and how many it has.
    loss, accuracy : float
        Means over the batches of this epoch so far, disturbances and dropout included.
    val_loss, val_accuracy : float or None
        The last known numbers on the validation set.
    seconds : float
        Wall time so far; what an interrupted training took before counts too.
    seconds_left : float or None
        A guess; None while there is nothing to guess from.
    waiting : float
        Share of the time that steps waited for their batch, from 0 to 1.
    history : dict of str to list of float
        One number for each finished epoch, as in `TrainingResult`; the members' one after the other.
    member, members : int
        The network being trained, from 1, and how many there are.

    Lesson: 06
    """

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    seconds: float
    seconds_left: float | None
    waiting: float
    history: History
    member: int = 1
    members: int = 1


@dataclass(frozen=True)
class TrainingResult:
    """What a training run gave.

    Parameters
    ----------
    recognizer : Recognizer
        The trained recogniser.
    history : dict of str to list of float
        "loss" and "accuracy" on the training batches, disturbances and dropout included, and "val_loss" and
        "val_accuracy" on the validation set; one number for each epoch, the last of them for the part of an
        epoch if training was stopped in it. With ``weight_average`` the last validation numbers are those of
        the averaged weights. Of several members, their mean, but the last validation numbers are those of all
        together.
    seconds : float
        Wall time, from reading the recordings to the end.
    epoch : int
        The epoch (from 1) whose weights the recogniser has; of several members, the last.
    stopped : bool
        Whether training was stopped from outside before its end.
    waiting : float
        Share of the time that steps waited for their batch, from 0 to 1.
    run : Run or None
        What was written down about it, if `runs` were given.
    """

    recognizer: Recognizer
    history: History
    seconds: float
    epoch: int
    stopped: bool = False
    waiting: float = 0.0
    run: Run | None = None

    def __str__(self) -> str:
        line = f"{len(self.history['loss'])} epochs in {self.seconds:.0f} s; weights of epoch {self.epoch}"
        if "val_accuracy" in self.history:
            line += f", {self.history['val_accuracy'][self.epoch - 1]:.1%} right on validation".replace(
                "%", " %"
            )
        return f"{line}; stopped" if self.stopped else line


def train(
    train_set: SpeechDataset,
    *,
    validation: SpeechDataset | None = None,
    config: TrainingConfig | None = None,
    augment: AugmentBatch | None = None,
    augment_samples: AugmentSamples | None = None,
    progress: bool = True,
    watch: Callable[[Progress], None] | None = None,
    stop: Stop | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    runs: Runs | None = None,
    name: str | None = None,
    allow_shared_speakers: bool = False,
) -> TrainingResult:
    """Train a recogniser on labelled recordings.

    Parameters
    ----------
    train_set : SpeechDataset
        Recordings to learn from.
    validation : SpeechDataset, optional
        Recordings of other speakers, to choose the best epoch by. Never the test set: what was chosen by it
        can no longer be judged by it.
    config : TrainingConfig, optional
        How to train.
    augment : callable, optional
        ``augment(features, rng)`` disturbs a batch (batch, n_frames, n_features) anew in every step, in
        place of what ``config.augmentation`` does to features. It runs in threads beside the training.
    augment_samples : callable, optional
        ``augment_samples(samples, rng)`` disturbs one recording (n_samples,) before its features are made, in
        place of what ``config.augmentation`` does to recordings. It runs in threads beside the training.
    progress : bool
        Whether to show one bar with loss, accuracy and time left.
    watch : callable, optional
        ``watch(progress)`` is called with a `Progress` after every batch, and once more after the validation
        that ends an epoch, in the thread that trains.
    stop : threading.Event or callable, optional
        Asked after every batch: once the event is set, or the callable returns True, training ends with the
        weights as they are, or the best so far with ``config.keep_best``.
    checkpoint : path, optional
        Folder to keep the state of the training in: all that is needed to go on after an interruption. It is
        written after every epoch, and replaced only once the new one is whole. Without `resume` the first
        one replaces what an earlier training left there.
    checkpoint_every : int, optional
        Write the state also after this many batches.
    resume : bool
        Go on from the state in the folder `checkpoint`, if there is one; the end is the same to the bit as
        without the interruption.
    runs : Runs, optional
        Where to write down what was trained, how, and how well it went.
    name : str, optional
        Name of this training among the runs.
    allow_shared_speakers : bool
        Accept validation speakers who are in the training set too. The validation accuracy then says little
        about new speakers.

    Returns
    -------
    TrainingResult

    Raises
    ------
    ValueError
        If a set is empty, has a single label, labels unseen in training or another sample rate, or shares
        speakers with the other; if the state to go on from belongs to another configuration or other
        recordings.
    AudioError
        If a recording is unusable.

    Examples
    --------
    >>> from asrlib import datasets, training
    >>> result = training.train(
    ...     datasets.digits("train"), validation=datasets.digits("validation")
    ... )  # doctest: +SKIP
    >>> print(result.recognizer.transcribe("seven.wav"))  # doctest: +SKIP

    Lesson: 06
    """
    began = time.perf_counter()
    config = TrainingConfig() if config is None else config
    labels = checked_sets(train_set, validation, config=config, allow_shared_speakers=allow_shared_speakers)
    if config.early_stopping and validation is None:
        raise ValueError("early_stopping watches the loss on the validation set; pass one, or switch it off.")
    sets = _Sets(
        train_set, validation, labels, hooks={"augment": augment, "augment_samples": augment_samples}
    )
    with contextlib.ExitStack() as stack:
        checkpoints = stack.enter_context(
            _checkpoints(checkpoint, every=checkpoint_every, resume=resume, config=config, sets=sets)
        )
        saved = checkpoints.load() if resume else None
        recorder = stack.enter_context(
            Recorder(
                runs,
                run_id=None if saved is None else saved.values["run"],
                name=name,
                config=config.to_dict(),
                parameters=count_parameters(
                    config.model, input_shape=config.input_shape, n_classes=len(labels)
                ),
                n_train=len(train_set),
                n_validation=0 if validation is None else len(validation),
            )
        )
        bar = stack.enter_context(_progress_bar(config, train_set, shown=progress))
        session = _Session(
            config, bar=bar, watch=watch, stop=stop, checkpoints=checkpoints, recorder=recorder, began=began
        )
        result = _together(session.train_members(sets, saved), sets, config=config)
        result = replace(result, seconds=session.seconds, stopped=session.stopped, waiting=session.waiting)
        return replace(result, run=recorder.finish(result))


@dataclass(frozen=True)
class _Sets:
    """What is learnt from and judged by."""

    train_set: SpeechDataset
    validation: SpeechDataset | None
    labels: tuple[str, ...]
    hooks: Mapping[str, Any]


def _checkpoints(
    folder: str | os.PathLike[str] | None,
    *,
    every: int | None,
    resume: bool,
    config: TrainingConfig,
    sets: _Sets,
) -> Checkpoints:
    if folder is None and (resume or every is not None):
        raise ValueError("resume and checkpoint_every need a folder: pass checkpoint='checkpoints', say.")
    if every is not None and (isinstance(every, bool) or not isinstance(every, int) or every < 1):
        raise ValueError(f"checkpoint_every must be a whole number of at least 1, got {every!r}.")
    if folder is None:
        return Checkpoints(None)
    used = [dataset for dataset in (sets.train_set, sets.validation) if dataset is not None]
    return Checkpoints(
        folder, every=every, config=config.to_dict(), data=[fingerprint(dataset) for dataset in used]
    )


def _together(trained: Sequence[_Member], sets: _Sets, *, config: TrainingConfig) -> TrainingResult:
    """Join members into one recogniser; its history is their mean, its last validation numbers its own."""
    if len(trained) == 1:
        [alone] = trained
        return TrainingResult(
            alone.recognizer(config, sets.labels, model=config.model.one_member),
            alone.history,
            0.0,
            alone.epoch,
        )
    model = replace(config.model, members=len(trained))  # fewer than asked for, if training was stopped
    together = _Member(
        weights={
            f"{name}/{array_name}": array
            for name, member in zip(member_names(model), trained, strict=True)
            for array_name, array in member.weights.items()
        },
        history=_mean_history([member.history for member in trained]),
        epoch=trained[-1].epoch,
    )
    recognizer = together.recognizer(config, sets.labels, model=model)
    if sets.validation is not None:
        probabilities = recognizer.predict(sets.validation.arrays())
        targets = one_hot(sets.validation, sets.labels)
        right = probabilities.argmax(axis=1) == targets.argmax(axis=1)
        smooth = (1 - config.label_smoothing) * targets + config.label_smoothing / len(sets.labels)
        together.history["val_accuracy"][-1] = float(right.mean())
        together.history["val_loss"][-1] = float(-(smooth * np.log(probabilities + 1e-7)).sum(axis=1).mean())
    return TrainingResult(recognizer, together.history, 0.0, len(together.history["loss"]))


def _mean_history(histories: Sequence[History]) -> History:
    """Average over the members that got as far as each epoch."""
    return {
        name: [
            float(np.mean([value for value in values if value is not None]))
            for values in itertools.zip_longest(*(history[name] for history in histories))
        ]
        for name in histories[0]
    }


@dataclass(frozen=True)
class _Member:
    """One trained network."""

    weights: dict[str, np.ndarray]
    history: History
    epoch: int

    def recognizer(self, config: TrainingConfig, labels: Sequence[str], *, model: ModelConfig) -> Recognizer:
        return Recognizer(
            features=config.features,
            model=model,
            weights=self.weights,
            labels=labels,
            n_frames=config.n_frames,
        )


# -- one member after the other ------------------------------------------------------------------------------


class _Session:
    """What all members share: the clock, the bar, and who wants to know, to stop or to go on later."""

    def __init__(
        self,
        config: TrainingConfig,
        *,
        bar: Any,
        watch: Callable[[Progress], None] | None,
        stop: Stop | None,
        checkpoints: Checkpoints,
        recorder: Recorder,
        began: float,
    ) -> None:
        self.config, self.bar, self.watch = config, bar, watch
        self.checkpoints, self.recorder = checkpoints, recorder
        self.finished: list[_Member] = []
        self.stopped = False
        self._asked = getattr(stop, "is_set", stop)
        self._began, self._seconds_before = began, 0.0
        self._waited = self._stepped = 0.0
        self._pace: tuple[float, int] | None = None  # when the first batch was done, and its number

    def train_members(self, sets: _Sets, saved: Saved | None) -> list[_Member]:
        """Train all members that are not trained yet, or until asked to stop."""
        if saved is not None:
            self._go_on(saved)
        in_progress = saved if saved is not None and saved.values["course"] is not None else None
        unseen = None
        for config in self.config.alone[len(self.finished) :]:
            if unseen is None and sets.validation is not None:
                unseen = whole(sets.validation, sets.labels, config=config)
            fit = _Fit(config, sets, unseen=unseen, session=self)
            self.finished.append(fit.run(in_progress))
            in_progress = None
            if self.stopped:
                last = len(self.finished) == len(self.config.alone)
                self.stopped = not (last and fit.at_the_end)  # asked too late to miss anything
                break
            self.save(None)
        self._finish_bar()
        return self.finished

    # -- the clock

    @property
    def seconds(self) -> float:
        return self._seconds_before + time.perf_counter() - self._began

    @property
    def waiting(self) -> float:
        total = self._waited + self._stepped
        return self._waited / total if total else 0.0

    def count(self, *, waited: float, stepped: float) -> None:
        """Add up what a step took. The first of each network does not count: TensorFlow plans it."""
        self._waited += waited
        self._stepped += stepped

    def _seconds_left(self, step: int) -> float | None:
        """Guess from the pace since the first batch; `step` counts over all members."""
        if self._pace is None:
            self._pace = time.perf_counter(), step
        since, first = self._pace
        if step <= first:
            return None
        return (time.perf_counter() - since) / (step - first) * (self.bar.total - step)

    # -- those who listen

    def after_batch(self, fit: _Fit) -> None:
        """Tell how far it is, ask whether to stop, and write the state down if it is time."""
        course = fit.course
        self.bar.update()
        self._report(fit, epoch=course.epoch, batch=course.batch)
        self.stopped = bool(self._asked is not None and self._asked())
        within = course.batch < fit.batches.per_epoch  # at the end of an epoch the validation comes first
        every = self.checkpoints.every
        if within and (self.stopped or (every and course.batch % every == 0)):
            self.save(fit)

    def after_epoch(self, fit: _Fit, *, cut_off: bool) -> None:
        """Tell the validation's numbers; write the state down unless it is that of a part of an epoch."""
        self._report(fit, epoch=fit.course.epoch - 1, batch=fit.batches.per_epoch)
        if not cut_off:
            self.save(fit)
        self.recorder.update(history=self._history(fit.course), seconds=self.seconds)

    def _report(self, fit: _Fit, *, epoch: int, batch: int) -> None:
        before, course = len(self.finished) * self.config.epochs, fit.course
        history = self._history(course)
        latest = {name: values[-1] if values else None for name, values in history.items()}
        loss, accuracy = course.means()
        progress = Progress(
            epoch=before + epoch + 1,
            epochs=len(self.config.alone) * self.config.epochs,
            batch=batch,
            batches=fit.batches.per_epoch,
            loss=loss,
            accuracy=accuracy,
            val_loss=latest.get("val_loss"),
            val_accuracy=latest.get("val_accuracy"),
            seconds=self.seconds,
            seconds_left=self._seconds_left((before + epoch) * fit.batches.per_epoch + batch),
            waiting=self.waiting,
            history=history,
            member=len(self.finished) + 1,
            members=len(self.config.alone),
        )
        self._show(progress, epoch=epoch)
        if self.watch is not None:
            self.watch(progress)

    def _history(self, course: _Course) -> History:
        """Give the history of all members so far, one after the other."""
        histories = [*(member.history for member in self.finished), course.history]
        return {name: list(itertools.chain(*(each[name] for each in histories))) for name in course.history}

    def _show(self, progress: Progress, *, epoch: int) -> None:
        self.bar.set_description(f"epoch {epoch + 1} of {self.config.epochs}", refresh=False)
        unseen = "" if progress.val_accuracy is None else f", validation {progress.val_accuracy:.1%}"
        self.bar.set_postfix_str(
            f"loss {progress.loss:.3f}, accuracy {progress.accuracy:.1%}{unseen}", refresh=False
        )

    def _finish_bar(self) -> None:
        epochs = len(self.finished[-1].history["loss"])
        self.bar.set_description(f"{'stopped in epoch' if self.stopped else 'trained epochs:'} {epochs}")
        self.bar.refresh()

    # -- to go on later

    def save(self, fit: _Fit | None) -> None:
        """Write down all that is needed to go on from here; without `fit`, between two members."""
        if not self.checkpoints.enabled:
            return
        arrays = {
            f"member{number}/{name}": array
            for number, member in enumerate(self.finished)
            for name, array in member.weights.items()
        }
        if fit is not None:
            arrays |= fit.network.arrays() | fit.course.arrays()
        values = {
            "run": self.recorder.run_id,
            "seconds": self.seconds,
            "waited": self._waited,
            "stepped": self._stepped,
            "members": [{"history": member.history, "epoch": member.epoch} for member in self.finished],
            "course": None if fit is None else fit.course.values(),
        }
        self.checkpoints.save(values, arrays)

    def _go_on(self, saved: Saved) -> None:
        values = saved.values
        self._seconds_before = values["seconds"]
        self._waited, self._stepped = values["waited"], values["stepped"]
        self.finished = [
            _Member(saved.under(f"member{number}/"), member["history"], member["epoch"])
            for number, member in enumerate(values["members"])
        ]


def _progress_bar(config: TrainingConfig, train_set: SpeechDataset, *, shown: bool) -> Any:
    from tqdm.auto import tqdm

    steps = len(config.alone) * config.epochs * math.ceil(len(train_set) / config.batch_size)
    return tqdm(total=steps, desc="training", unit="batch", disable=not shown)


# -- one network ---------------------------------------------------------------------------------------------


@dataclass
class _Course:
    """Where the training of one network is, apart from the numbers inside the network and its optimiser."""

    history: History
    epoch: int = 0  # whole epochs done
    batch: int = 0  # batches done of the next
    sums: tuple[float, int, int] = (0.0, 0, 0)  # over these: loss times clips, right answers, clips
    best: tuple[float, float] | None = None  # accuracy and negative loss: of equally many right, the surer
    best_epoch: int = 0
    best_weights: list[np.ndarray] = field(default_factory=list)

    @classmethod
    def start(cls, *, validated: bool) -> _Course:
        names = ("loss", "accuracy", "val_loss", "val_accuracy") if validated else ("loss", "accuracy")
        return cls({name: [] for name in names})

    def add(self, loss: np.float32, right: int, clips: int) -> None:
        """Count one batch."""
        self.batch += 1
        self.sums = _add(self.sums, loss, right, clips)

    def means(self) -> tuple[float, float]:
        """Give loss and accuracy over the batches of the epoch so far; of the last epoch before any."""
        if self.sums[2]:
            return _means(self.sums)
        return self.history["loss"][-1], self.history["accuracy"][-1]

    def end_epoch(self, judged: tuple[float, float] | None) -> None:
        """Begin the next epoch; `judged` is the validation's loss and accuracy."""
        for name, value in zip(self.history, (*_means(self.sums), *(judged or ())), strict=True):
            self.history[name].append(value)
        self.epoch, self.batch, self.sums = self.epoch + 1, 0, (0.0, 0, 0)

    def keep_best(self, network: _Network) -> None:
        """Remember the weights if no epoch did better on the validation set."""
        score = self.history["val_accuracy"][-1], -self.history["val_loss"][-1]
        if self.best is None or score > self.best:
            self.best, self.best_epoch = score, self.epoch
            self.best_weights = network.scores.get_weights()

    def epochs_without_gain(self) -> int:
        """Count the epochs since the smallest loss on the validation set."""
        losses = [math.inf if math.isnan(loss) else loss for loss in self.history["val_loss"]]
        return len(losses) - 1 - losses.index(min(losses)) if losses else 0

    def values(self) -> dict[str, Any]:
        """Give what JSON can hold."""
        values = {
            name: getattr(self, name) for name in ("history", "epoch", "batch", "sums", "best", "best_epoch")
        }
        return values | {"sums": [float(self.sums[0]), *self.sums[1:]]}

    def arrays(self) -> dict[str, np.ndarray]:
        return {f"best/{number:04}": array for number, array in enumerate(self.best_weights)}

    @classmethod
    def restored(cls, saved: Saved) -> _Course:
        values = dict(saved.values["course"])
        loss, right, clips = values.pop("sums")
        best = values.pop("best")
        return cls(
            **values,
            sums=(np.float32(loss), right, clips),
            best=None if best is None else tuple(best),
            best_weights=list(saved.under("best/").values()),
        )


def _add(sums: tuple[float, int, int], loss: np.float32, right: int, clips: int) -> tuple[float, int, int]:
    return np.float32(sums[0]) + loss * np.float32(clips), sums[1] + right, sums[2] + clips


def _means(sums: tuple[float, int, int]) -> tuple[float, float]:
    total, right, clips = sums
    return float(np.float32(total) / np.float32(clips)), float(np.float32(right) / np.float32(clips))


class _Fit:
    """The training of one network."""

    def __init__(
        self,
        config: TrainingConfig,
        sets: _Sets,
        *,
        unseen: tuple[np.ndarray, np.ndarray] | None,
        session: _Session,
    ) -> None:
        self.config, self.session, self.unseen = config, session, unseen
        self.batches = Batches(sets.train_set, sets.labels, config=config, **sets.hooks)
        self.network = _Network(config, n_classes=len(sets.labels), steps_per_epoch=self.batches.per_epoch)
        self.course = _Course.start(validated=unseen is not None)

    def run(self, saved: Saved | None) -> _Member:
        """Train to the end, or until asked to stop."""
        if saved is not None:
            self.course = _Course.restored(saved)
            self.network.restore(saved)
        done = self.course.epoch * self.batches.per_epoch + self.course.batch
        self.session.bar.update(done)
        stream = iter(self.batches.stream(done))
        while not (self.session.stopped or self.at_the_end):
            self._train_epoch(stream)
        return self._member()

    @property
    def at_the_end(self) -> bool:
        """Whether all epochs are done, or enough of them without a gain."""
        patience = self.config.early_stopping
        if patience is not None and self.course.epochs_without_gain() >= patience:
            return True
        return self.course.epoch == self.config.epochs

    def _train_epoch(self, stream: Iterator[Any]) -> None:
        """Train the rest of one epoch and validate; when stopped within it, validate what there is."""
        while self.course.batch < self.batches.per_epoch:
            self._train_batch(stream)
            if self.session.stopped:
                break
        cut_off = self.course.batch < self.batches.per_epoch
        self.course.end_epoch(None if self.unseen is None else self.network.judge(*self.unseen))
        if self.config.keep_best and self.unseen is not None:
            self.course.keep_best(self.network)
        self.session.after_epoch(self, cut_off=cut_off)

    def _train_batch(self, stream: Iterator[Any]) -> None:
        began = time.perf_counter()
        features, targets = self._next(stream)
        arrived = time.perf_counter()
        loss, right = self.network.step(features, targets)
        loss, right = loss.numpy(), int(right)  # waits for the result
        if self.network.warm:
            self.session.count(waited=arrived - began, stepped=time.perf_counter() - arrived)
        self.network.warm = True
        self.course.add(loss, right, len(targets))
        self.session.after_batch(self)

    def _next(self, stream: Iterator[Any]) -> Any:
        try:
            return next(stream)
        except Exception as error:
            # An error in a thread that makes batches arrives wrapped in TensorFlow's; show what happened.
            raise self.batches.error() or error from None

    def _member(self) -> _Member:
        """Put in place the weights to end with, and take them out of Keras."""
        course, network, config = self.course, self.network, self.config
        if course.best_weights:
            network.scores.set_weights(course.best_weights)
        if config.weight_average:
            network.average()
            if self.unseen is not None:
                loss, accuracy = network.judge(*self.unseen)
                course.history["val_loss"][-1], course.history["val_accuracy"][-1] = loss, accuracy
        weights = get_weights(network.model, config=config.model)
        return _Member(weights, course.history, course.best_epoch or course.epoch)


class _Network:
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
        batch = [tf.TensorSpec((None, *config.input_shape)), tf.TensorSpec((None, n_classes))]
        # Not compiled by XLA, which takes longer than it saves in a run of a minute on a CPU.
        self.step = tf.function(self._step, input_signature=batch).get_concrete_function()
        self._judge = tf.function(self._judge_batch, input_signature=batch).get_concrete_function()

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

        sums = (0.0, 0, 0)
        for start in range(0, len(targets), _VALIDATION_BATCH):
            part = slice(start, start + _VALIDATION_BATCH)
            loss, right = self._judge(tf.constant(features[part]), tf.constant(targets[part]))
            sums = _add(sums, loss.numpy(), int(right), len(targets[part]))
        return _means(sums)

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
