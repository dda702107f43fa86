"""From the first batch of the first network to the last batch of the last, and who listens meanwhile."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from asrlib.models import ModelConfig, get_weights
from asrlib.recognizer import Recognizer
from asrlib.training.batches import Batches, whole
from asrlib.training.checkpoints import Checkpoints, Saved
from asrlib.training.config import TrainingConfig
from asrlib.training.learner import Learner, Sums
from asrlib.training.progress import History, Progress
from asrlib.training.runs import Recorder

if TYPE_CHECKING:
    from asrlib.datasets import SpeechDataset

__all__ = ["Member", "Session", "Sets", "Stop"]

Stop = threading.Event | Callable[[], bool]
"""An event that is set, or a function that returns True, when training shall end."""


@dataclass(frozen=True)
class Sets:
    """What is learnt from and judged by."""

    train_set: SpeechDataset
    validation: SpeechDataset | None
    labels: tuple[str, ...]
    hooks: Mapping[str, Any]


@dataclass(frozen=True)
class Member:
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


class Session:
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
        self.finished: list[Member] = []
        self.stopped = False
        self._asked = getattr(stop, "is_set", stop)
        self._began, self._seconds_before = began, 0.0
        self._waited = self._stepped = 0.0
        self._pace: tuple[float, int] | None = None  # when the first batch was done, and its number

    def train_members(self, sets: Sets, saved: Saved | None) -> list[Member]:
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
            arrays |= fit.learner.arrays() | fit.course.arrays()
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
            Member(saved.under(f"member{number}/"), member["history"], member["epoch"])
            for number, member in enumerate(values["members"])
        ]


@dataclass
class _Course:
    """Where the training of one network is, apart from the numbers inside the network and its optimiser."""

    history: History
    epoch: int = 0  # whole epochs done
    batch: int = 0  # batches done of the next
    sums: Sums = field(default_factory=Sums)  # over these
    best: tuple[float, float] | None = None  # accuracy and negative loss: of equally many right, the surer
    best_epoch: int = 0
    best_weights: list[np.ndarray] = field(default_factory=list)

    @classmethod
    def start(cls, *, validated: bool) -> _Course:
        names = ("loss", "accuracy", "val_loss", "val_accuracy") if validated else ("loss", "accuracy")
        return cls({name: [] for name in names})

    def add(self, loss: float, right: int, clips: int) -> None:
        """Count one batch."""
        self.batch += 1
        self.sums = self.sums.plus(loss, right, clips)

    def means(self) -> tuple[float, float]:
        """Give loss and accuracy over the batches of the epoch so far; of the last epoch before any."""
        if self.sums.clips:
            return self.sums.means()
        return self.history["loss"][-1], self.history["accuracy"][-1]

    def end_epoch(self, judged: tuple[float, float] | None) -> None:
        """Begin the next epoch; `judged` is the validation's loss and accuracy."""
        for name, value in zip(self.history, (*self.sums.means(), *(judged or ())), strict=True):
            self.history[name].append(value)
        self.epoch, self.batch, self.sums = self.epoch + 1, 0, Sums()

    def keep_best(self, learner: Learner) -> None:
        """Remember the weights if no epoch did better on the validation set."""
        score = self.history["val_accuracy"][-1], -self.history["val_loss"][-1]
        if self.best is None or score > self.best:
            self.best, self.best_epoch = score, self.epoch
            self.best_weights = learner.scores.get_weights()

    def epochs_without_gain(self) -> int:
        """Count the epochs since the smallest loss on the validation set."""
        losses = [math.inf if math.isnan(loss) else loss for loss in self.history["val_loss"]]
        return len(losses) - 1 - losses.index(min(losses)) if losses else 0

    def values(self) -> dict[str, Any]:
        """Give what JSON can hold."""
        values = {
            name: getattr(self, name) for name in ("history", "epoch", "batch", "sums", "best", "best_epoch")
        }
        return values | {"sums": asdict(self.sums)}

    def arrays(self) -> dict[str, np.ndarray]:
        return {f"best/{number:04}": array for number, array in enumerate(self.best_weights)}

    @classmethod
    def restored(cls, saved: Saved) -> _Course:
        values = dict(saved.values["course"])
        sums, best = values.pop("sums"), values.pop("best")
        return cls(
            **values,
            sums=Sums(**sums),
            best=None if best is None else tuple(best),
            best_weights=list(saved.under("best/").values()),
        )


class _Fit:
    """The training of one network."""

    def __init__(
        self,
        config: TrainingConfig,
        sets: Sets,
        *,
        unseen: tuple[np.ndarray, np.ndarray] | None,
        session: Session,
    ) -> None:
        self.config, self.session, self.unseen = config, session, unseen
        self.batches = Batches(sets.train_set, sets.labels, config=config, **sets.hooks)
        self.learner = Learner(config, n_classes=len(sets.labels), steps_per_epoch=self.batches.per_epoch)
        self.course = _Course.start(validated=unseen is not None)

    def run(self, saved: Saved | None) -> Member:
        """Train to the end, or until asked to stop."""
        if saved is not None:
            self.course = _Course.restored(saved)
            self.learner.restore(saved)
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
        self.course.end_epoch(None if self.unseen is None else self.learner.judge(*self.unseen))
        if self.config.keep_best and self.unseen is not None:
            self.course.keep_best(self.learner)
        self.session.after_epoch(self, cut_off=cut_off)

    def _train_batch(self, stream: Iterator[Any]) -> None:
        began = time.perf_counter()
        features, targets = self._next(stream)
        arrived = time.perf_counter()
        loss, right = self.learner.step(features, targets)
        loss, right = float(loss), int(right)  # waits for the result
        if self.learner.warm:
            self.session.count(waited=arrived - began, stepped=time.perf_counter() - arrived)
        self.learner.warm = True
        if not math.isfinite(loss):
            raise ValueError(
                f"The loss became {loss} in batch {self.course.batch + 1} of epoch {self.course.epoch + 1}: "
                f"the steps are too large. Lower learning_rate (now {self.config.learning_rate:g}), or set "
                f"clip_norm (now {self.config.clip_norm})."
            )
        self.course.add(loss, right, len(targets))
        self.session.after_batch(self)

    def _next(self, stream: Iterator[Any]) -> Any:
        try:
            return next(stream)
        except Exception as error:
            # An error in a thread that makes batches arrives wrapped in TensorFlow's; show what happened.
            raise self.batches.error() or error from None

    def _member(self) -> Member:
        """Put in place the weights to end with, and take them out of Keras."""
        course, learner, config = self.course, self.learner, self.config
        if course.best_weights:
            learner.scores.set_weights(course.best_weights)
        if config.weight_average:
            learner.average()
            if self.unseen is not None:
                loss, accuracy = learner.judge(*self.unseen)
                course.history["val_loss"][-1], course.history["val_accuracy"][-1] = loss, accuracy
        weights = get_weights(learner.model, config=config.model)
        return Member(weights, course.history, course.best_epoch or course.epoch)
