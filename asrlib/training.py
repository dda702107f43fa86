"""Teach a network: from labelled recordings to a :class:`~asrlib.recognizer.Recognizer`.

The training itself is Keras' ``fit``. What stands here is what surrounds it: features are made once,
batches are put together and disturbed in a thread of their own while the network computes, the learning
rate rises and falls, the weights that did best on unseen voices are kept, and one bar shows how far it is.

TensorFlow is imported when :func:`train` is called, not before.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from asrlib.augment import Augmentation, mask_features, warp_frequency
from asrlib.augment import augment as disturb
from asrlib.errors import AudioError
from asrlib.features import FeatureConfig
from asrlib.models import CrnnConfig, crnn, import_keras, member_names
from asrlib.recognizer import Recognizer, fit_window, prepare

if TYPE_CHECKING:
    import keras

    from asrlib.datasets import SpeechDataset

__all__ = ["RECIPES", "TrainingConfig", "TrainingResult", "train"]

AugmentBatch = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""Takes features (batch, n_frames, n_features) and gives disturbed ones of the same shape."""

AugmentSamples = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""Takes one recording (n_samples,) and gives a disturbed one, of any length."""


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is trained.

    Parameters
    ----------
    epochs : int
        How often each recording is seen.
    batch_size : int
        Recordings between two steps of the optimiser.
    learning_rate : float
        Its largest value, reached after the warm-up.
    warmup_epochs : float
        Epochs during which the learning rate rises from a hundredth of its value; it then falls along half a
        cosine.
    final_learning_rate : float
        Where it ends, as a share of its largest value. Small steps at the end fit the training voices, which
        helps on voices like them and harms on others.
    weight_decay : float
        Pull of every kernel towards zero, as in AdamW.
    label_smoothing : float
        Share of the target spread evenly over all words, so that the network need not be certain.
    random_place : bool
        Whether a clip stands anywhere in the window during training, instead of in its middle.
    augmentation : Augmentation or None
        How recordings and features are disturbed; None leaves them as they are.
    variants : int or None
        Disturbed versions of each recording. They are made in the first epochs and drawn from in later
        ones; None makes a new version in every epoch, which takes longer.
    keep_best : bool
        Whether to end with the weights of the epoch that did best on the validation set, instead of the last.
    weight_average : float
        Share that a running average of the weights keeps in each step, such as 0.997 for an average over the
        last few hundred steps; training ends with that average. 0 ends with the weights as they are. From one
        step to the next the weights wander, and how well they do on new voices wanders with them; their mean
        does better than most of them. It cannot be combined with ``keep_best``.
    n_frames : int
        Frames of the window that the network reads.
    features : FeatureConfig
        How recordings become features.
    model : CrnnConfig
        Sizes of the network. Several members are trained one after the other, each with the next seed.
    seed : int
        Fixes everything random: the same seed on the same machine gives the same weights.

    Raises
    ------
    ValueError
        If a value is outside its range.

    Examples
    --------
    >>> TrainingConfig(epochs=3).learning_rate
    0.002
    >>> TrainingConfig.from_dict(TrainingConfig(seed=5).to_dict()) == TrainingConfig(seed=5)
    True

    References
    ----------
    I. Loshchilov, F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019 (AdamW); "SGDR: Stochastic
    Gradient Descent with Warm Restarts", ICLR 2017 (the cosine). P. Izmailov and others, "Averaging Weights
    Leads to Wider Optima and Better Generalization", UAI 2018 (the average).

    Lesson: 06
    """

    epochs: int = 12
    batch_size: int = 32
    learning_rate: float = 2e-3
    warmup_epochs: float = 1.0
    final_learning_rate: float = 0.1
    weight_decay: float = 1e-3
    label_smoothing: float = 0.1
    random_place: bool = True
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    variants: int | None = 4
    keep_best: bool = True
    weight_average: float = 0.0
    n_frames: int = 100
    features: FeatureConfig = field(
        # Twenty wide bands: forty narrow ones show the pitch of a voice too, and did two points worse on
        # real people.
        default_factory=lambda: FeatureConfig(n_mels=20, f_max=4000.0, normalization="mean", top_db=40.0)
    )
    model: CrnnConfig = field(default_factory=lambda: CrnnConfig(head="max"))
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("n_frames", 1), ("seed", 0), ("variants", 1)):
            value = getattr(self, name)
            if name == "variants" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}.")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(
                f"learning_rate must be above 0 (0.002 is a good start), got {self.learning_rate!r}."
            )
        for name in ("warmup_epochs", "weight_decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)!r}.")
        if not 0 <= self.final_learning_rate <= 1:
            raise ValueError(
                "final_learning_rate is a share of learning_rate from 0 to 1, "
                f"got {self.final_learning_rate!r}."
            )
        if not 0 <= self.weight_average < 1:
            raise ValueError(
                "weight_average is a share from 0 to below 1 (0.997 is a good start), "
                f"got {self.weight_average!r}."
            )
        if self.weight_average and self.keep_best:
            raise ValueError(
                "keep_best wants the weights of one epoch, weight_average the mean of many; switch one off."
            )
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing is a share from 0 to below 1, got {self.label_smoothing!r}.")
        if not isinstance(self.features, FeatureConfig) or not isinstance(self.model, CrnnConfig):
            raise ValueError(
                "features must be a FeatureConfig and model a CrnnConfig, got "
                f"{type(self.features).__name__} and {type(self.model).__name__}."
            )
        if self.augmentation is not None and not isinstance(self.augmentation, Augmentation):
            raise ValueError(f"augmentation must be an Augmentation or None, got {self.augmentation!r}.")

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as plain values that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingConfig:
        """Build a configuration from :meth:`to_dict`'s result; an unknown name is refused."""
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"TrainingConfig has no option {', '.join(map(repr, unknown))}.")
        values = dict(values)
        if isinstance(values.get("features"), Mapping):
            values["features"] = FeatureConfig.from_dict(values["features"])
        if isinstance(values.get("model"), Mapping):
            values["model"] = CrnnConfig.from_dict(values["model"])
        if isinstance(values.get("augmentation"), Mapping):
            values["augmentation"] = Augmentation(**values["augmentation"])
        return cls(**values)


RECIPES: Mapping[str, TrainingConfig] = {
    "quick": TrainingConfig(),
    "shipped": TrainingConfig(
        epochs=30,
        batch_size=64,
        learning_rate=3e-3,
        weight_decay=0.0,
        label_smoothing=0.05,
        variants=6,
        keep_best=False,
        weight_average=0.99,
        model=CrnnConfig(head="max", members=2),
        seed=4,
    ),
}
"""Named ways to train: "quick" takes about two minutes on two cores, "shipped" made ``assets/digits.asr``."""


@dataclass(frozen=True)
class TrainingResult:
    """What a training run gave.

    Parameters
    ----------
    recognizer : Recognizer
        The trained recogniser.
    history : dict of str to list of float
        "loss" and "accuracy" on the training batches, disturbances and dropout included, and "val_loss" and
        "val_accuracy" on the validation set; one number for each epoch. With ``weight_average`` the last
        validation numbers are those of the averaged weights.
    seconds : float
        Wall time, from reading the recordings to the end.
    epoch : int
        The epoch (from 1) whose weights the recogniser has; of several members, the last.
    """

    recognizer: Recognizer
    history: dict[str, list[float]]
    seconds: float
    epoch: int

    def __str__(self) -> str:
        line = f"{len(self.history['loss'])} epochs in {self.seconds:.0f} s; weights of epoch {self.epoch}"
        if "val_accuracy" in self.history:
            line += f", {self.history['val_accuracy'][self.epoch - 1]:.1%} right on validation".replace(
                "%", " %"
            )
        return line


def train(
    train_set: SpeechDataset,
    *,
    validation: SpeechDataset | None = None,
    config: TrainingConfig | None = None,
    augment: AugmentBatch | None = None,
    augment_samples: AugmentSamples | None = None,
    progress: bool = True,
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
        place of what ``config.augmentation`` does to features.
    augment_samples : callable, optional
        ``augment_samples(samples, rng)`` disturbs one recording (n_samples,) before its features are made, in
        place of what ``config.augmentation`` does to recordings. It runs in threads beside the training.
    progress : bool
        Whether to show one bar with loss, accuracy and time left.
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
        speakers with the other.
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
    labels = _checked_sets(train_set, validation, config=config, allow_shared_speakers=allow_shared_speakers)
    hooks = {"augment": augment, "augment_samples": augment_samples}
    with _progress_bar(config, train_set, shown=progress) as bar:
        trained = [
            _train_one(train_set, validation, labels, config=alone, bar=bar, **hooks)
            for alone in _alone(config)
        ]
    result = trained[0] if len(trained) == 1 else _together(trained, validation, labels, config=config)
    return replace(result, seconds=time.perf_counter() - began)


def _train_one(
    train_set: SpeechDataset,
    validation: SpeechDataset | None,
    labels: tuple[str, ...],
    *,
    config: TrainingConfig,
    bar: Any,
    augment: AugmentBatch | None,
    augment_samples: AugmentSamples | None,
) -> TrainingResult:
    """Train one network; its seconds are counted by the caller."""
    keras = import_keras()
    batches = _Batches(train_set, labels, config=config, augment=augment, augment_samples=augment_samples)
    unseen = None if validation is None else _whole(validation, labels, config=config)
    model = crnn(
        config.model,
        input_shape=(config.n_frames, config.features.n_coefficients),
        n_classes=len(labels),
        seed=config.seed,
    )
    # Trained on the scores before the softmax: so the loss never meets a probability rounded to zero.
    scores = keras.Model(model.input, model.get_layer("logits").output)
    scores.compile(
        optimizer=_optimizer(config, steps_per_epoch=batches.per_epoch),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=config.label_smoothing),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        jit_compile=False,  # compiling takes longer than it saves in a run of a minute on a CPU
    )
    best = _keep_best(scores, enabled=config.keep_best and validation is not None)
    try:
        history = scores.fit(
            batches.stream(),
            steps_per_epoch=batches.per_epoch,
            epochs=config.epochs,
            validation_data=unseen,
            validation_batch_size=256,
            callbacks=[best, _report(bar, epochs=config.epochs)],
            shuffle=False,  # the stream is shuffled already
            verbose=0,
        ).history
    except Exception as error:
        # An error in the thread that makes batches arrives wrapped in TensorFlow's; show what happened.
        raise batches.error or error from None
    finally:
        batches.close()

    epoch = best.restore() or config.epochs
    if config.weight_average and unseen is not None:  # Keras put the average in place after the last epoch
        loss, accuracy = scores.evaluate(*unseen, batch_size=256, verbose=0)
        history["val_loss"][-1], history["val_accuracy"][-1] = loss, accuracy
    recognizer = Recognizer.from_keras(model, config=config.model, features=config.features, labels=labels)
    history = {name: [float(value) for value in values] for name, values in history.items()}
    return TrainingResult(recognizer, history, 0.0, epoch)


def _alone(config: TrainingConfig) -> list[TrainingConfig]:
    """Give each member's training a seed of its own, so that they do not all err alike."""
    one = config.model.one_member
    return [replace(config, model=one, seed=config.seed + number) for number in range(config.model.members)]


def _together(
    trained: Sequence[TrainingResult],
    validation: SpeechDataset | None,
    labels: tuple[str, ...],
    *,
    config: TrainingConfig,
) -> TrainingResult:
    """Join members into one recogniser; its history is their mean, its last validation numbers its own."""
    members = dict(zip(member_names(config.model), trained, strict=True))
    weights = {
        f"{member}/{name}": array
        for member, result in members.items()
        for name, array in result.recognizer.weights.items()
    }
    recognizer = Recognizer(
        features=config.features,
        model=config.model,
        weights=weights,
        labels=labels,
        n_frames=config.n_frames,
    )
    history = {
        name: np.mean([result.history[name] for result in trained], axis=0).tolist()
        for name in trained[0].history
    }
    if validation is not None:
        probabilities, targets = recognizer.predict(validation.arrays()), _one_hot(validation, labels)
        right = probabilities.argmax(axis=1) == targets.argmax(axis=1)
        smooth = (1 - config.label_smoothing) * targets + config.label_smoothing / len(labels)
        history["val_accuracy"][-1] = float(right.mean())
        history["val_loss"][-1] = float(-(smooth * np.log(probabilities + 1e-7)).sum(axis=1).mean())
    return TrainingResult(recognizer, history, 0.0, config.epochs)


# -- what comes in ---------------------------------------------------------------------------------------


def _checked_sets(
    train_set: SpeechDataset,
    validation: SpeechDataset | None,
    *,
    config: TrainingConfig,
    allow_shared_speakers: bool,
) -> tuple[str, ...]:
    """Return the labels in order, or say why these sets cannot be used."""
    for name, dataset in (("training", train_set), ("validation", validation)):
        if dataset is None:
            continue
        if not len(dataset):
            raise ValueError(f"The {name} set {dataset.name!r} is empty; check the conditions that chose it.")
        if dataset.sample_rate != config.features.sample_rate:
            raise ValueError(
                f"The {name} set is given at {dataset.sample_rate} Hz, but config.features expects "
                f"{config.features.sample_rate} Hz; make the two equal."
            )
    labels = tuple(np.unique(train_set.labels).tolist())
    if len(labels) < 2:
        raise ValueError(
            f"Every clip of the training set says {labels[0]!r}; a choice needs two words or more."
        )
    if validation is None:
        return labels
    unseen = sorted(set(validation.labels.tolist()) - set(labels))
    if unseen:
        raise ValueError(
            f"The validation set has labels that the training set lacks: {', '.join(map(repr, unseen))}. The "
            "network cannot answer with a word that it was never taught."
        )
    shared = np.intersect1d(train_set.speakers, validation.speakers).tolist()
    if shared and not allow_shared_speakers:
        raise ValueError(
            f"{len(shared)} speakers are in both the training and the validation set ({', '.join(shared[:5])}"
            f"{' …' if len(shared) > 5 else ''}): the network would be judged by voices that it knows. Split "
            "with .split_by_speaker, or pass allow_shared_speakers=True."
        )
    return labels


def _one_hot(dataset: SpeechDataset, labels: Sequence[str]) -> np.ndarray:
    return (dataset.labels[:, None] == np.array(labels)).astype(np.float32)


def _whole(
    dataset: SpeechDataset, labels: Sequence[str], *, config: TrainingConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Give all windows and targets of a set, exactly as the recogniser will see them."""
    windows = []
    for index, samples in enumerate(dataset.arrays()):
        prepared = _prepared(dataset, index, samples, config=config)
        windows.append(fit_window(prepared.features, config.n_frames, energy=prepared.energy)[0])
    return np.stack(windows), _one_hot(dataset, labels)


def _prepared(dataset: SpeechDataset, index: int, samples: np.ndarray, *, config: TrainingConfig):
    try:
        return prepare(samples, config.features, n_frames=config.n_frames)
    except AudioError as error:
        raise AudioError(f"Clip {index} of {dataset.name} ({dataset.files[index].name}): {error}") from error


class _Batches:
    """An endless stream of training batches: shuffled, placed in the window, disturbed.

    Every random choice has a generator of its own, seeded by what it is for, so that the result does not
    depend on which thread comes first.
    """

    def __init__(
        self,
        dataset: SpeechDataset,
        labels: Sequence[str],
        *,
        config: TrainingConfig,
        augment: AugmentBatch | None,
        augment_samples: AugmentSamples | None,
    ) -> None:
        self.dataset, self.config = dataset, config
        self.samples, self.targets = dataset.arrays(), _one_hot(dataset, labels)
        self.augment, self.augment_samples = augment, augment_samples
        if config.augmentation is not None:
            self.augment_samples = augment_samples or self._disturb_samples
        self.per_epoch = math.ceil(len(dataset) / config.batch_size)
        self.error: BaseException | None = None
        self._made: dict[tuple[int, int], Any] = {}  # (variant, clip) -> features
        self._pool = ThreadPoolExecutor(os.cpu_count())

    def stream(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (features, targets) for all epochs."""
        try:
            for epoch in range(self.config.epochs):
                order = self._rng(0, epoch).permutation(len(self.dataset))
                # Even parts: no small rest whose mean and variance would upset batch normalisation.
                for number, chosen in enumerate(np.array_split(order, self.per_epoch)):
                    yield (
                        self._batch(chosen, epoch=epoch, rng=self._rng(1, epoch, number)),
                        self.targets[chosen],
                    )
        except Exception as error:
            self.error = error
            raise

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _rng(self, *purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.config.seed, *purpose])

    def _batch(self, chosen: np.ndarray, *, epoch: int, rng: np.random.Generator) -> np.ndarray:
        variants = self._variants(len(chosen), epoch=epoch, rng=rng)
        place = rng if self.config.random_place else None
        disturb_clip = self.config.augmentation is not None and self.augment is None
        windows = []
        for clip in self._pool.map(self._clip, variants, chosen.tolist()):
            # Before the clip is set into its window: what is hidden must be speech, not padding.
            picture = self._disturb_features(clip.features, rng) if disturb_clip else clip.features
            windows.append(fit_window(picture, self.config.n_frames, energy=clip.energy, rng=place)[0])
        batch = np.stack(windows)
        if self.augment is None:
            return batch
        disturbed = np.asarray(self.augment(batch, rng), dtype=np.float32)
        if disturbed.shape != batch.shape:
            raise ValueError(
                f"augment was given features {batch.shape} and returned {disturbed.shape}; keep the shape."
            )
        return disturbed

    def _disturb_samples(self, samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return disturb(samples, self.config.augmentation, rng=rng, others=self.samples)

    def _disturb_features(self, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Warp one clip's features, then hide a part, but at most a third of a short word's frames."""
        how = self.config.augmentation
        if self.config.features.kind == "log_mel":  # cepstral coefficients are no frequencies
            picture = warp_frequency(picture, float(rng.uniform(*how.warp)))
        n_time = min(how.mask_frames, len(picture) // 3)
        return mask_features(picture, n_time=n_time, n_frequency=how.mask_bands, rng=rng)

    def _variants(self, count: int, *, epoch: int, rng: np.random.Generator) -> list[int]:
        """Choose which version of each clip to use; -1 is the recording as it is."""
        if self.augment_samples is None:
            return [-1] * count
        if self.config.variants is None or epoch < self.config.variants:
            return [epoch] * count
        return rng.integers(self.config.variants, size=count).tolist()

    def _clip(self, variant: int, index: int) -> Any:
        key = (variant, index)
        if key in self._made:
            return self._made[key]
        samples = self.samples[index]
        if variant >= 0:
            samples = self.augment_samples(samples, self._rng(2, variant, index))
        prepared = _prepared(self.dataset, index, samples, config=self.config)
        if self.config.variants is not None or variant < 0:
            self._made[key] = prepared
        return prepared


# -- what happens while it learns ------------------------------------------------------------------------


def _optimizer(config: TrainingConfig, *, steps_per_epoch: int) -> keras.Optimizer:
    import keras

    steps = config.epochs * steps_per_epoch
    warmup = min(round(config.warmup_epochs * steps_per_epoch), steps - 1)
    rate = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.01 * config.learning_rate if warmup else config.learning_rate,
        warmup_target=config.learning_rate if warmup else None,
        warmup_steps=warmup,
        decay_steps=steps - warmup,
        alpha=config.final_learning_rate,
    )
    optimizer = keras.optimizers.AdamW(
        rate,
        weight_decay=config.weight_decay,
        global_clipnorm=1.0,  # a recurrent network's gradient now and then explodes
        use_ema=config.weight_average > 0,
        ema_momentum=config.weight_average or 0.99,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _progress_bar(config: TrainingConfig, train_set: SpeechDataset, *, shown: bool) -> Any:
    from tqdm.auto import tqdm

    steps = config.model.members * config.epochs * math.ceil(len(train_set) / config.batch_size)
    return tqdm(total=steps, desc="training", unit="batch", disable=not shown)


def _report(bar: Any, *, epochs: int) -> keras.callbacks.Callback:
    """Build the callback that keeps the progress bar up to date."""
    import keras

    class Report(keras.callbacks.Callback):
        unseen = ""

        def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
            bar.set_description(f"epoch {epoch + 1} of {epochs}")

        def on_train_batch_end(self, batch: int, logs: Mapping[str, float]) -> None:
            bar.set_postfix_str(
                f"loss {logs['loss']:.3f}, accuracy {logs['accuracy']:.1%}{self.unseen}", refresh=False
            )
            bar.update()

        def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
            if "val_accuracy" in logs:
                self.unseen = f", validation {logs['val_accuracy']:.1%}"

        def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
            bar.set_description(f"trained {epochs} epochs")
            bar.refresh()

    return Report()


def _keep_best(model: keras.Model, *, enabled: bool) -> Any:
    """Build the callback that remembers the weights of the best epoch."""
    import keras

    class KeepBest(keras.callbacks.Callback):
        best: tuple[float, float] | None = None
        epoch = 0
        weights: list[np.ndarray] | None = None

        def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
            if not enabled:
                return
            score = logs["val_accuracy"], -logs["val_loss"]  # of equally many right answers, the surer ones
            if self.best is None or score > self.best:
                self.best, self.epoch, self.weights = score, epoch + 1, model.get_weights()

        def restore(self) -> int:
            """Put the best weights back and return their epoch; 0 if there was nothing to choose by."""
            if self.weights is not None:
                model.set_weights(self.weights)
            return self.epoch

    return KeepBest()
