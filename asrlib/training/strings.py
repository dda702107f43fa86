"""Teach a network to read strings: composed while it learns, judged by naturally spoken ones.

Threads compose strings from single digits (`asrlib.strings`) while the network learns from those that are
ready. Each string is heard several times, each time with other bands hidden and another length of the vocal
tract. Which strings a step may see depends on its number alone, never on how fast the threads are.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from asrlib import audio, decoding, features, models, texts
from asrlib.augment import Augmentation, augment, mask_features, warp_frequency
from asrlib.datasets import assert_speaker_disjoint
from asrlib.features import FeatureConfig
from asrlib.models import CtcConfig, count_parameters, get_weights, import_keras
from asrlib.string_recognizer import StringRecognizer
from asrlib.strings import ComposeConfig, Composer, time_scale
from asrlib.training.progress import History
from asrlib.training.session import Stop

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from asrlib.datasets import SpeechDataset

__all__ = [
    "STRING_RECIPES",
    "StringProgress",
    "StringTrainingConfig",
    "StringTrainingResult",
    "train_strings",
]

_CHUNK = 32  # strings that one thread composes at a time
_WARPS = 17  # how many lengths of the vocal tract there are between the ends of the range
_ROUND = 8  # batches that are sorted by length together, so that little of a batch is padding
_SPARE_STEPS = 1  # beyond those that CTC needs for the text


@dataclass(frozen=True)
class StringTrainingConfig:
    """How to train a network that reads strings.

    Parameters
    ----------
    steps : int
        How often the weights change.
    batch_size : int
        Strings in one step.
    epochs : int
        How often, over the whole training, the network is judged and whoever watches is told.
    strings : int
        How many strings are composed in all; each is heard ``steps * batch_size / strings`` times.
    first_strings : int
        How many of them are there before the first step.
    natural_share : float
        Share of naturally spoken strings among them, if the training has any.
    max_seconds : float
        Longer strings are composed anew.
    learning_rate, warmup_steps, final_learning_rate : float, int, float
        The greatest step of AdamW, how many steps it takes to rise to it, and the share of it at the end.
    weight_decay, clip_norm : float
        As for AdamW.
    weight_average : float
        Share of its past that the running average of the weights keeps in every step; the average is what
        comes out.
    warp : (float, float)
        Range of the frequency warp of the features.
    gain : float
        How much louder or softer a string is each time, at most, in units of the features.
    mask_frames, mask_bands, masks : int
        Greatest width of what is hidden in time and frequency, and how often.
    compose : ComposeConfig
        How strings are put together.
    features : FeatureConfig
        What the network sees. Without normalisation, so that it can hear what is still being spoken.
    model : CtcConfig
        The network.
    seed : int
        Fixes everything that is random.

    Raises
    ------
    ValueError
        When a number makes no sense.

    Lesson: 08
    """

    steps: int = 2400
    batch_size: int = 64
    epochs: int = 12
    strings: int = 30_000
    first_strings: int = 1_000
    natural_share: float = 0.0
    max_seconds: float = 3.2
    learning_rate: float = 3e-3
    warmup_steps: int = 200
    final_learning_rate: float = 0.01
    weight_decay: float = 1e-3
    clip_norm: float = 1.0
    weight_average: float = 0.995
    warp: tuple[float, float] = (0.85, 1.2)
    gain: float = 1.0
    mask_frames: int = 5
    mask_bands: int = 3
    masks: int = 1
    compose: ComposeConfig = field(default_factory=ComposeConfig)
    features: FeatureConfig = field(
        # Up to 4 kHz, as for single digits: a telephone's band. The floor lies 60 dB below loud speech.
        default_factory=lambda: FeatureConfig(n_mels=20, f_max=4000.0, log_floor=1e-6)
    )
    model: CtcConfig = field(default_factory=CtcConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "epochs", "strings", "first_strings"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}.")
        if self.epochs > self.steps:
            raise ValueError(f"{self.epochs} epochs need as many steps at least, there are {self.steps}.")
        if not self.first_strings <= self.strings:
            raise ValueError(
                f"first_strings is {self.first_strings}, more than the {self.strings} strings in all."
            )
        for name in ("natural_share", "final_learning_rate", "weight_average"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; a share lies between 0 and 1.")
        for name in ("learning_rate", "max_seconds", "clip_norm"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0.")
        if not isinstance(self.model, CtcConfig) or not isinstance(self.features, FeatureConfig):
            raise ValueError("model must be a CtcConfig and features a FeatureConfig.")

    @property
    def n_parameters(self) -> int:
        """Numbers that the network learns, for ten words."""
        return count_parameters(self.model, input_shape=(None, self.features.n_coefficients), n_classes=11)


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
        pool = stack.enter_context(_Pool(train_digits, natural, config))
        learner = _Learner(config, pool)
        bar = stack.enter_context(_bar(config, shown=progress))
        course = _Course(learner, pool, validation, bar=bar, watch=watch, stop=stop, began=began)
        stopped = course.run()
    recognizer = learner.recognizer()
    return StringTrainingResult(recognizer, course.history, time.perf_counter() - began, stopped)


# -- strings, composed beside the training ------------------------------------------------------------------


class _Pool:
    """Composed strings by number: each depends on its number alone, and comes when it is ready."""

    def __init__(
        self, digits: SpeechDataset, natural: SpeechDataset | None, config: StringTrainingConfig
    ) -> None:
        self.config = config
        self.composer = Composer(digits, config.compose)
        self.labels = self.composer.labels
        self.natural = [] if natural is None else natural.arrays()
        self.natural_texts = [] if natural is None else natural.labels.tolist()
        _refuse_unknown_words(self.natural_texts, self.labels, name="natural")
        self.features: list[np.ndarray] = []
        self.targets: list[list[int]] = []
        self._coming: deque[Future[list[tuple[np.ndarray, list[int]]]]] = deque()
        self._next = 0

    def __enter__(self) -> _Pool:
        self._threads = ThreadPoolExecutor(max_workers=max(1, _cores() - 1))
        return self

    def __exit__(self, *exception: object) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    def wait_for(self, count: int) -> None:
        """Have at least this many strings, and the next ones on their way."""
        while self._next < min(count + 16 * _CHUNK, self.config.strings):
            chunk = range(self._next, min(self._next + _CHUNK, self.config.strings))
            self._coming.append(self._threads.submit(self._made, chunk))
            self._next = chunk.stop
        while len(self.features) < count:
            for prepared, target in self._coming.popleft().result():
                self.features.append(prepared)
                self.targets.append(target)

    def _made(self, numbers: range) -> list[tuple[np.ndarray, list[int]]]:
        return [self._one(np.random.default_rng((self.config.seed, 0, number))) for number in numbers]

    def _one(self, rng: np.random.Generator) -> tuple[np.ndarray, list[int]]:
        while True:
            if self.natural and rng.random() < self.config.natural_share:
                samples, text = self._spoken(rng)
            else:
                string = self.composer(rng=rng)
                samples, text = string.samples, string.label
            if len(samples) > self.config.max_seconds * audio.SAMPLE_RATE:
                continue
            target = decoding.to_labels(text.split(), self.labels)
            prepared = features.extract(samples, self.config.features)
            steps = models.n_steps(len(prepared), self.config.model)
            if steps >= decoding.frames_needed(target) + _SPARE_STEPS:
                return prepared, target

    def _spoken(self, rng: np.random.Generator) -> tuple[np.ndarray, str]:
        """Disturb a naturally spoken string as a composed one is."""
        number = int(rng.integers(len(self.natural)))
        compose = self.config.compose
        samples = time_scale(self.natural[number], round(float(rng.uniform(0.8, 1.2)), 3))
        around = rng.uniform(*compose.before_seconds), rng.uniform(*compose.after_seconds)
        samples = np.pad(samples, [round(seconds * audio.SAMPLE_RATE) for seconds in around])
        samples = np.pad(samples, (0, -len(samples) % (audio.SAMPLE_RATE // 20)))
        how = replace(compose.augmentation, speed=compose.speed, trim_share=0.0)
        samples = augment(samples, how, rng=rng)
        level = float(rng.uniform(*compose.level_db))
        samples = (samples * 10 ** ((level - audio.level_db(samples)) / 20)).astype(np.float32)
        return audio.peak_limit(samples, peak=1.0), self.natural_texts[number]


def _refuse_unknown_words(spoken: Sequence[str], labels: Sequence[str], *, name: str) -> None:
    unknown = sorted({word for text in spoken for word in text.split()} - set(labels))
    if unknown:
        raise ValueError(
            f"The {name} strings have words that no digit clip says: {', '.join(map(repr, unknown))}."
        )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# -- batches -----------------------------------------------------------------------------------------------


class _Batches:
    """The batches of a training by number: near in length, warped, partly hidden, padded with zeros."""

    def __init__(self, pool: _Pool, config: StringTrainingConfig, *, average: np.ndarray) -> None:
        self.pool, self.config, self.average = pool, config, average
        self.warps = _warps(config.warp, config.features.n_coefficients)
        self._round: tuple[int, list[np.ndarray]] = (-1, [])

    def seen(self, step: int) -> int:
        """Count the strings that a step may draw from."""
        config = self.config
        ready = step / max(1, 0.9 * config.steps)  # the last ones come early enough to be heard
        return min(
            config.strings, config.first_strings + round(ready * (config.strings - config.first_strings))
        )

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Give features, steps of each, targets and their lengths."""
        chosen = self._chosen(step)
        rng = np.random.default_rng((self.config.seed, 2, step))
        pictures = [self._disturbed(self.pool.features[i], rng) for i in chosen]
        spoken = [self.pool.targets[i] for i in chosen]
        return *padded(pictures, self.config.model), *_padded_targets(spoken)

    def _chosen(self, step: int) -> np.ndarray:
        number, part = divmod(step, _ROUND)
        if self._round[0] != number:
            count = self.seen(number * _ROUND)
            self.pool.wait_for(count)
            rng = np.random.default_rng((self.config.seed, 1, number))
            wanted = _ROUND * self.config.batch_size
            drawn = rng.choice(count, wanted, replace=count < wanted)
            lengths = np.array([len(self.pool.features[i]) for i in drawn])
            batches = np.split(drawn[np.argsort(lengths, kind="stable")], _ROUND)
            self._round = number, [batches[i] for i in rng.permutation(_ROUND)]
        return self._round[1][part]

    def _disturbed(self, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        config = self.config
        picture = picture @ self.warps[rng.integers(len(self.warps))]
        picture += np.float32(rng.uniform(-1, 1) * config.gain)
        picture -= self.average  # what is hidden becomes average
        for _ in range(config.masks):
            picture = mask_features(
                picture, n_time=config.mask_frames, n_frequency=config.mask_bands, rng=rng
            )
        return picture + self.average


def _warps(limits: tuple[float, float], n_bands: int) -> np.ndarray:
    """Give matrices that warp a picture: one product instead of an interpolation for each string."""
    bands = np.eye(n_bands, dtype=np.float32)
    return np.stack([warp_frequency(bands, factor) for factor in np.linspace(*limits, _WARPS)])


def padded(pictures: Sequence[np.ndarray], config: CtcConfig) -> tuple[np.ndarray, np.ndarray]:
    """Put pictures of several lengths into one batch; give it and how many steps of each count."""
    steps = models.n_steps(np.array([len(picture) for picture in pictures]), config)
    batch = np.zeros(
        (len(pictures), int(steps.max()) * config.frames_per_step, pictures[0].shape[1]), np.float32
    )
    for row, picture in zip(batch, pictures, strict=True):
        row[: len(picture)] = picture[: len(row)]
    return batch, steps.astype(np.int32)


def _padded_targets(spoken: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    lengths = np.array([len(target) for target in spoken], np.int32)
    targets = np.zeros((len(spoken), lengths.max()), np.int32)
    for row, target in zip(targets, spoken, strict=True):
        row[: len(target)] = target
    return targets, lengths


# -- learning ----------------------------------------------------------------------------------------------


class _Learner:
    """A network, its loss, its optimiser, and the running average of its weights."""

    def __init__(self, config: StringTrainingConfig, pool: _Pool) -> None:
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
        pool: _Pool,
        validation: SpeechDataset | None,
        *,
        bar: Any,
        watch: Callable[[StringProgress], None] | None,
        stop: Stop | None,
        began: float,
    ) -> None:
        self.learner, self.config = learner, learner.config
        self.batches = _Batches(pool, learner.config, average=learner.average)
        self.validation, self.bar, self.watch, self.began = validation, bar, watch, began
        self.asked = getattr(stop, "is_set", stop)
        self.history: History = {"loss": []} | ({} if validation is None else {"val_wer": []})

    def run(self) -> bool:
        """Take all steps, or until asked to stop; tell whether that was so."""
        config = self.config
        ends = np.linspace(0, config.steps, config.epochs + 1).round().astype(int)
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


_SHIPPED = StringTrainingConfig(
    steps=2_400,
    strings=16_000,
    natural_share=0.15,
    model=CtcConfig(gru_units=96),
    compose=ComposeConfig(
        augmentation=Augmentation(
            noise_share=0.5, snr_db=(5.0, 35.0), reverberation_share=0.2, band_limit_share=0.4
        )
    ),
)

STRING_RECIPES: Mapping[str, StringTrainingConfig] = {
    "lesson": StringTrainingConfig(
        steps=220,
        batch_size=32,
        epochs=8,
        strings=1_500,
        first_strings=300,
        warmup_steps=40,
        weight_average=0.97,
        learning_rate=5e-3,
    ),
    "strings": _SHIPPED,
    "streaming": replace(_SHIPPED, model=CtcConfig(bidirectional=False, causal=True, gru_units=128)),
}
"""Named ways to train: "lesson" takes less than a minute on two cores; "strings" and "streaming" made
``assets/strings.asr``, which hears a whole utterance, and ``assets/streaming.asr``, which answers while it
is still spoken."""
