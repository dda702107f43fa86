"""Teach a network: from labelled recordings to a :class:`~asrlib.recognizer.Recognizer`.

One step of training is short: the network answers, the loss says how wrong it was, the gradient says what
to change, the optimiser changes it (`learner`). What stands around it is longer: features are made and
disturbed in threads beside the network (`batches`), the size of a step rises and falls (`steps`), somebody
watches and may stop it (`session`), a training that was cut off goes on where it was (`checkpoints`), and
every training is written down (`runs`).

TensorFlow is imported when :func:`train` or :func:`pipeline` is called, not before.
"""

from asrlib.training.batches import pipeline
from asrlib.training.config import OPTIMIZERS, RECIPES, SCHEDULES, TrainingConfig
from asrlib.training.fitting import train
from asrlib.training.problems import problems
from asrlib.training.progress import Progress, TrainingResult
from asrlib.training.runs import Run, Runs
from asrlib.training.steps import learning_rates
from asrlib.training.string_config import STRING_RECIPES, StringTrainingConfig
from asrlib.training.strings import StringProgress, StringTrainingResult, train_strings

__all__ = [
    "OPTIMIZERS",
    "RECIPES",
    "SCHEDULES",
    "STRING_RECIPES",
    "Progress",
    "Run",
    "Runs",
    "StringProgress",
    "StringTrainingConfig",
    "StringTrainingResult",
    "TrainingConfig",
    "TrainingResult",
    "learning_rates",
    "pipeline",
    "problems",
    "train",
    "train_strings",
]
