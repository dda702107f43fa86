"""What a training reads: checked sets, features, and a parallel stream of batches that repeats itself."""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from asrlib.augment import Augmentation, fade_edge, mask_features, mix_up, wander, warp_frequency
from asrlib.augment import augment as disturb
from asrlib.errors import AudioError
from asrlib.features import cmvn, limit_range
from asrlib.models import import_keras
from asrlib.recognizer import Prepared, fit_window, prepare
from asrlib.training.config import TrainingConfig

if TYPE_CHECKING:
    import tensorflow as tf

    from asrlib.datasets import SpeechDataset
    from asrlib.features import FeatureConfig

__all__ = ["AugmentBatch", "AugmentSamples", "Batches", "checked_sets", "one_hot", "pipeline", "whole"]

AugmentBatch = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""Takes features (batch, n_frames, n_features) and gives disturbed ones of the same shape."""

AugmentSamples = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""Takes one recording (n_samples,) and gives a disturbed one, of any length."""


def pipeline(
    train_set: SpeechDataset,
    *,
    config: TrainingConfig,
    labels: Sequence[str] | None = None,
    augment: AugmentBatch | None = None,
    augment_samples: AugmentSamples | None = None,
) -> tf.data.Dataset:
    """Build the stream of batches that a training reads, as TensorFlow's own kind of pipeline.

    Several batches are made at once, one in each thread, and handed over in order, so that the next ones are
    ready while the network learns from this one. Each batch is a function of its number alone: two streams
    with the same seed are equal, however fast their threads are.

    Parameters
    ----------
    train_set : SpeechDataset
        Recordings to learn from.
    config : TrainingConfig
        How to train; its epochs, batch size, features, augmentation and seed matter here.
    labels : sequence of str, optional
        The words in the order of the targets; those of the set, sorted, if left out.
    augment, augment_samples : callable, optional
        As for :func:`asrlib.training.train`.

    Returns
    -------
    tf.data.Dataset
        Of ``config.epochs * ceil(len(train_set) / config.batch_size)`` pairs: float32 features (batch,
        n_frames, n_features) and float32 targets (batch, n_labels), one 1 in each row.

    Examples
    --------
    >>> from asrlib import datasets
    >>> stream = pipeline(datasets.digits("train"), config=TrainingConfig())  # doctest: +SKIP
    >>> features, targets = next(iter(stream))  # doctest: +SKIP

    References
    ----------
    D. G. Murray and others, "tf.data: A Machine Learning Data Processing Framework", VLDB 2021.

    Lesson: 06
    """
    labels = tuple(np.unique(train_set.labels).tolist()) if labels is None else tuple(labels)
    return Batches(
        train_set, labels, config=config, augment=augment, augment_samples=augment_samples
    ).stream()


# -- which sets --------------------------------------------------------------------------------------------


def checked_sets(
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


def one_hot(dataset: SpeechDataset, labels: Sequence[str]) -> np.ndarray:
    """Give one row for each clip, with a 1 at its label, shape (n_clips, n_labels)."""
    return (dataset.labels[:, None] == np.array(labels)).astype(np.float32)


def whole(
    dataset: SpeechDataset, labels: Sequence[str], *, config: TrainingConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Give all windows and targets of a set, exactly as the recogniser will see them."""
    windows = []
    for index, samples in enumerate(dataset.arrays()):
        prepared = _prepared(dataset, index, samples, config=config)
        windows.append(fit_window(prepared.features, config.n_frames, energy=prepared.energy)[0])
    return np.stack(windows), one_hot(dataset, labels)


def _prepared(dataset: SpeechDataset, index: int, samples: np.ndarray, *, config: TrainingConfig) -> Prepared:
    try:
        return _memory.prepare(samples, config)
    except AudioError as error:
        raise AudioError(f"Clip {index} of {dataset.name} ({dataset.files[index].name}): {error}") from error


class _Memory:
    """What was made of clips by earlier trainings of this process: the same features serve many networks.

    Only read-only samples are remembered, as a data set gives them: others may change. An entry goes when its
    samples go, or when there are too many.
    """

    most = 20_000  # words of a second, 20 bands: 160 MB

    def __init__(self) -> None:
        self._made: dict[tuple[int, FeatureConfig, int], tuple[weakref.ref[np.ndarray], Prepared]] = {}

    def __len__(self) -> int:
        return len(self._made)

    def prepare(self, samples: np.ndarray, config: TrainingConfig) -> Prepared:
        """Make the features of a recording, unless they are there."""
        if samples.flags.writeable:
            return prepare(samples, config.features, n_frames=config.n_frames)
        key = (id(samples), config.features, config.n_frames)
        known, prepared = self._made.get(key, (None, None))
        if prepared is None or known() is not samples:  # an address may be used again
            prepared = prepare(samples, config.features, n_frames=config.n_frames)
            if len(self._made) >= self.most:
                self._made.clear()
            self._made[key] = weakref.ref(samples, lambda _: self._made.pop(key, None)), prepared
        return prepared


_memory = _Memory()


# -- batches -----------------------------------------------------------------------------------------------


class Batches:
    """The training batches by number: shuffled, placed in the window, disturbed.

    Every random choice has a generator of its own, seeded by what it is for, so that the result does not
    depend on which thread comes first, nor on where a training goes on.
    """

    def __init__(
        self,
        dataset: SpeechDataset,
        labels: Sequence[str],
        *,
        config: TrainingConfig,
        augment: AugmentBatch | None = None,
        augment_samples: AugmentSamples | None = None,
    ) -> None:
        self.dataset, self.config = dataset, config
        self.samples, self.targets = dataset.arrays(), one_hot(dataset, labels)
        self.augment, self.augment_samples = augment, augment_samples
        if config.augmentation is not None:
            self.augment_samples = augment_samples or self._disturb_samples
        self._disturbs = config.augmentation is not None and augment is None
        # What changes the means comes before they are subtracted, so features are kept without normalisation.
        self._respeaks = self._disturbs and _changes_means(config.augmentation, config.features)
        kind = "none" if self._respeaks else config.features.normalization
        self._stored = replace(config, features=replace(config.features, normalization=kind))
        self.per_epoch = math.ceil(len(dataset) / config.batch_size)
        self.errors: dict[int, Exception] = {}  # by number of the batch
        self._made: dict[tuple[int, int], Prepared] = {}  # (variant, clip) -> features

    def __len__(self) -> int:
        return self.config.epochs * self.per_epoch

    def stream(self, first: int = 0) -> tf.data.Dataset:
        """Build the parallel stream of all batches from number `first` on."""
        import_keras()  # quietly
        import tensorflow as tf

        n_labels = self.targets.shape[1]

        def load(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            features, targets = tf.numpy_function(
                self._numbered, [number], [tf.float32, tf.float32], stateful=False
            )
            features = tf.ensure_shape(features, (None, *self.config.input_shape))
            return features, tf.ensure_shape(targets, (None, n_labels))

        threads = _cores()
        return (
            tf.data.Dataset.range(first, len(self))
            .map(load, num_parallel_calls=threads, deterministic=True)
            .prefetch(threads)
        )

    def _numbered(self, number: np.int64) -> tuple[np.ndarray, np.ndarray]:
        try:
            return self[int(number)]
        except Exception as error:
            self.errors[int(number)] = error  # TensorFlow hands on only its text
            raise

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Make the features and targets of one batch, counted from the start of the training."""
        if not 0 <= number < len(self):
            raise IndexError(f"There are {len(self)} batches, from 0 on; there is no batch {number}.")
        epoch, part = divmod(number, self.per_epoch)
        order = self._rng(0, epoch).permutation(len(self.dataset))
        # Even parts: no small rest whose mean and variance would upset batch normalisation.
        chosen = np.array_split(order, self.per_epoch)[part]
        features = self._batch(chosen, epoch=epoch, rng=self._rng(1, epoch, part))
        targets = self.targets[chosen]
        if not self.config.mixup:
            return features, targets
        return mix_up(features, targets, evenness=self.config.mixup, rng=self._rng(3, epoch, part))

    def error(self) -> Exception | None:
        """Give what went wrong first, in the order of the batches."""
        return self.errors[min(self.errors)] if self.errors else None

    def _rng(self, *purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.config.seed, *purpose])

    def _batch(self, chosen: np.ndarray, *, epoch: int, rng: np.random.Generator) -> np.ndarray:
        variants = self._variants(len(chosen), epoch=epoch, rng=rng)
        place = rng if self.config.random_place else None
        windows = []
        for clip in map(self._clip, variants, chosen.tolist()):
            # Before the clip is set into its window: what is hidden must be speech, not padding.
            if self._respeaks:
                clip = self._respeak(clip, rng)
            elif self._disturbs:
                clip = replace(clip, features=self._hidden(self._warped(clip.features, rng), rng))
            windows.append(fit_window(clip.features, self.config.n_frames, energy=clip.energy, rng=place)[0])
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

    def _respeak(self, clip: Prepared, rng: np.random.Generator) -> Prepared:
        """Change features as another throat, mouth and microphone would; normalise them; hide a part."""
        how, features = self.config.augmentation, self.config.features
        picture = self._warped(clip.features, rng)
        kept = self._kept(len(picture), rng)
        picture = picture[kept]
        if features.kind == "log_mel":
            for edge in ("start", "stop"):
                if rng.random() < how.fade_share:
                    loss, length = rng.uniform(0, how.fade_db), rng.integers(how.fade_frames + 1)
                    picture = fade_edge(picture, by=features.from_db(loss), n_frames=int(length), edge=edge)
            picture = wander(picture, by=features.from_db(how.wander_db), every=12, axis=0, rng=rng)
            picture = wander(picture, by=features.from_db(how.color_db), every=5, axis=1, rng=rng)
            picture = limit_range(picture, features)
        picture = cmvn(picture, features.normalization)
        return replace(clip, features=self._hidden(picture, rng), energy=clip.energy[kept])

    def _kept(self, n_frames: int, rng: np.random.Generator) -> slice:
        """Choose what is left when the edges of a word are cut off."""
        how = self.config.augmentation
        most = min(how.cut_frames, n_frames // 3)
        first, last = (int(rng.integers(most + 1)) * (rng.random() < how.cut_share) for _ in range(2))
        return slice(first, n_frames - last)

    def _warped(self, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if self.config.features.kind != "log_mel":  # cepstral coefficients are no frequencies
            return picture
        return warp_frequency(picture, float(rng.uniform(*self.config.augmentation.warp)))

    def _hidden(self, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Hide a part of one clip's features, but at most a third of a short word's frames."""
        how = self.config.augmentation
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
        prepared = _prepared(self.dataset, index, samples, config=self._stored)
        if self.config.variants is not None or variant < 0:
            self._made[key] = prepared
        return prepared


def _changes_means(how: Augmentation, features: FeatureConfig) -> bool:
    changes = how.cut_share or how.fade_share or how.wander_db or how.color_db
    return bool(changes) or features.normalization == "both"


def _cores() -> int:
    """Count the cores that this process may use: in a container fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
