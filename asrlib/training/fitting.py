"""Training as a learner calls it."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from asrlib.models import count_parameters, member_names
from asrlib.training.batches import AugmentBatch, AugmentSamples, checked_sets, one_hot
from asrlib.training.checkpoints import Checkpoints, fingerprint
from asrlib.training.config import TrainingConfig
from asrlib.training.progress import History, Progress, TrainingResult
from asrlib.training.runs import Recorder, Runs
from asrlib.training.session import Member, Session, Sets, Stop

if TYPE_CHECKING:
    from asrlib.datasets import SpeechDataset

__all__ = ["train"]


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
        Or if the loss is no longer a number, since the steps are too large.
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
    sets = Sets(train_set, validation, labels, hooks={"augment": augment, "augment_samples": augment_samples})
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
        session = Session(
            config, bar=bar, watch=watch, stop=stop, checkpoints=checkpoints, recorder=recorder, began=began
        )
        result = _together(session.train_members(sets, saved), sets, config=config)
        result = replace(result, seconds=session.seconds, stopped=session.stopped, waiting=session.waiting)
        return replace(result, run=recorder.finish(result))


def _checkpoints(
    folder: str | os.PathLike[str] | None,
    *,
    every: int | None,
    resume: bool,
    config: TrainingConfig,
    sets: Sets,
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


def _progress_bar(config: TrainingConfig, train_set: SpeechDataset, *, shown: bool) -> Any:
    from tqdm.auto import tqdm

    steps = len(config.alone) * config.epochs * math.ceil(len(train_set) / config.batch_size)
    return tqdm(total=steps, desc="training", unit="batch", disable=not shown)


def _together(trained: Sequence[Member], sets: Sets, *, config: TrainingConfig) -> TrainingResult:
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
    together = Member(
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
