"""What a training tells: how far it is, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asrlib.recognizer import Recognizer
    from asrlib.training.runs import Run

__all__ = ["History", "Progress", "TrainingResult"]

History = dict[str, list[float]]
"""One number for each epoch, by name."""


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
