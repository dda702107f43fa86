"""One training of the bench: it can be watched and stopped from other threads, and waits for its turn.

In one kernel one training runs at a time, since two would share the cores and the seeds.
"""

from __future__ import annotations

import atexit
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from asrlib import models, training
from asrlib.datasets import SpeechDataset
from asrlib.training import Runs, TrainingConfig, TrainingResult
from asrlib.widgets.bench_settings import some_of

__all__ = ["Job", "start", "under_way"]

_GRACE_SECONDS = 10.0  # for a training to end when the kernel does

_one_at_a_time = threading.Lock()
_under_way: dict[Job, threading.Thread] = {}  # those that have a thread of their own


class Job:
    """One training, from the wish for it to its end, and what is known of it in between.

    `work` does it, in whichever thread calls it; any thread may ask, `stop`, or wait for news.
    """

    def __init__(
        self,
        train_set: SpeechDataset,
        validation: SpeechDataset,
        *,
        config: TrainingConfig,
        runs: Runs,
        clips: int | None = None,
        max_seconds: float | None = None,
        watch: Callable[[training.Progress], None] | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self.train_set, self.validation = train_set, validation
        self.config, self.runs, self.clips = config, runs, clips
        self.max_seconds, self.watch = max_seconds, watch
        self.stopping = threading.Event() if stop is None else stop
        self.phase = "waiting"
        self.progress: training.Progress | None = None
        self.steps: dict[str, list[float]] = {"epoch": [], "loss": [], "accuracy": []}
        self.n_clips = len(train_set)
        self._sums = (0, 0.0, 0.0)
        self.result: TrainingResult | None = None
        self.error: BaseException | None = None
        self.took_too_long = False
        self.version = 0
        self.done = False
        self._news = threading.Condition()

    @property
    def state(self) -> str:
        """ "idle" once it is done, else "waiting", "loading", "training" or "stopping"."""
        if self.done:
            return "idle"
        return "stopping" if self.stopping.is_set() else self.phase

    def work(self) -> None:
        """Wait for the turn, load TensorFlow, train. What goes wrong is kept in `error`."""
        try:
            with _turn(self):
                if not self.stopping.is_set():
                    self._tell(phase="loading")
                    models.import_keras()
                if not self.stopping.is_set():
                    self._tell(phase="training")
                    self.result = self._train()
        except BaseException as error:  # an interrupt too: whoever waits must learn of it
            self.error = error
        finally:
            self._tell(done=True)

    def snapshot(self) -> tuple[training.Progress | None, dict[str, list[float]]]:
        """Return the last progress, and the loss and accuracy of each batch so far."""
        with self._news:
            return self.progress, {name: list(values) for name, values in self.steps.items()}

    def wait_for_news(self, version: int, *, seconds: float) -> int:
        """Return as soon as there is news after this version, or after this time."""
        with self._news:
            self._news.wait_for(lambda: self.version != version or self.done, timeout=seconds)
            return self.version

    def stop(self) -> None:
        self.stopping.set()
        self._tell()

    def _train(self) -> TrainingResult:
        chosen = self.train_set if self.clips is None else some_of(self.train_set, self.clips)
        self.n_clips = len(chosen)
        return training.train(
            chosen,
            validation=self.validation,
            config=self.config,
            progress=False,
            watch=self._batch_done,
            stop=self.stopping,
            runs=self.runs,
        )

    def _batch_done(self, progress: training.Progress) -> None:
        with self._news:
            self._keep_step(progress)
            self.progress = progress
            self.version += 1
            self._news.notify_all()
        if self.watch is not None:
            self.watch(progress)
        if self.max_seconds is not None and progress.seconds > self.max_seconds:
            self.took_too_long = True
            self.stopping.set()

    def _keep_step(self, progress: training.Progress) -> None:
        """Note how this batch alone went: the means since the epoch began would jump when the next begins."""
        at = progress.epoch - 1 + progress.batch / progress.batches
        if not progress.batch or len(progress.history.get("loss", ())) >= progress.epoch:
            return  # told once more, after the epoch's validation
        seen = min(progress.batch * self.config.batch_size, self.n_clips)
        sums = seen, progress.loss * seen, progress.accuracy * seen
        before = self._sums if progress.batch > 1 else (0, 0.0, 0.0)
        count, loss, accuracy = (now - then for now, then in zip(sums, before, strict=True))
        self._sums = sums
        if count > 0:
            self.steps["epoch"].append(at)
            self.steps["loss"].append(loss / count)
            self.steps["accuracy"].append(accuracy / count)

    def _tell(self, **changes: Any) -> None:
        with self._news:
            for name, value in changes.items():
                setattr(self, name, value)
            self.version += 1
            self._news.notify_all()


def start(job: Job) -> None:
    """Do a job in a thread of its own."""
    thread = threading.Thread(target=_work, args=(job,), name="training", daemon=True)
    _under_way[job] = thread
    thread.start()


def under_way() -> list[Job]:
    """Return the jobs that were started and are not done, the oldest first."""
    return [job for job in list(_under_way) if not job.done]


def _work(job: Job) -> None:
    try:
        job.work()
    finally:
        _under_way.pop(job, None)


@contextlib.contextmanager
def _turn(job: Job) -> Iterator[None]:
    """Wait until no other training of this kernel runs, or until the job is to stop."""
    taken = False
    while not (taken or job.stopping.is_set()):
        taken = _one_at_a_time.acquire(timeout=0.1)
    try:
        yield
    finally:
        if taken:
            _one_at_a_time.release()


def _end_with_the_kernel() -> None:
    """Let trainings stop in order: a thread that is cut off inside TensorFlow may take the kernel with it."""
    ending = dict(_under_way)
    for job in ending:
        job.stopping.set()
    deadline = time.monotonic() + _GRACE_SECONDS
    for thread in ending.values():
        thread.join(max(0.0, deadline - time.monotonic()))


atexit.register(_end_with_the_kernel)
