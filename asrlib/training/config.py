"""How a network is trained: every choice in one frozen configuration, and two named sets of choices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np

from asrlib import models
from asrlib.augment import Augmentation
from asrlib.features import FeatureConfig
from asrlib.models import ArticleCnnConfig, CrnnConfig, ModelConfig

__all__ = ["OPTIMIZERS", "RECIPES", "SCHEDULES", "TrainingConfig"]

OPTIMIZERS = ("adamw", "adam", "sgd", "momentum", "nesterov", "rmsprop")
"""The ways to turn a gradient into a step."""

SCHEDULES = ("cosine", "constant", "steps", "exponential")
"""The ways for the learning rate to fall after the warm-up."""


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is trained.

    Parameters
    ----------
    epochs : int
        How often each recording is seen.
    batch_size : int
        Recordings between two steps of the optimiser.
    optimizer : {"adamw", "adam", "sgd", "momentum", "nesterov", "rmsprop"}
        How a gradient becomes a step. "adam" is "adamw" without `weight_decay`.
    learning_rate : float
        Its largest value, reached after the warm-up.
    momentum : float
        Share of the last step that the next one repeats, for "momentum" and "nesterov".
    warmup_epochs : float
        Epochs during which the learning rate rises from a hundredth of its value.
    schedule : {"cosine", "constant", "steps", "exponential"}
        How the learning rate then falls: along half a cosine, not at all, in three stairs of equal length
        and equal ratio, or by the same share in every step.
    final_learning_rate : float
        Where it ends, as a share of its largest value. Small steps at the end fit the training voices, which
        helps on voices like them and harms on others.
    weight_decay : float
        Pull of every kernel towards zero, as in AdamW; for every optimiser but "adam".
    clip_norm : float or None
        Gradients longer than this are shortened to it; None leaves them. A recurrent network's gradient now
        and then explodes.
    label_smoothing : float
        Share of the target spread evenly over all words, so that the network need not be certain.
    mixup : float
        How evenly the clips of a batch are laid over one another, two by two (`evenness` of
        `asrlib.augment.mix_up`); 0 leaves each alone. The training accuracy then is that of the larger share.
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
    early_stopping : int or None
        Training ends after this many epochs in a row without a smaller loss on the validation set. None
        trains all epochs.
    n_frames : int
        Frames of the window that the network reads.
    features : FeatureConfig
        How recordings become features.
    model : ModelConfig
        Family and sizes of the network, such as a `CrnnConfig` or a `CnnConfig`. Several members are trained
        one after the other, each with the next seed.
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
    Leads to Wider Optima and Better Generalization", UAI 2018 (the average). L. Prechelt, "Early Stopping -
    But When?", Neural Networks: Tricks of the Trade, Springer 1998.

    Lesson: 06
    """

    epochs: int = 12
    batch_size: int = 32
    optimizer: str = "adamw"
    learning_rate: float = 2e-3
    momentum: float = 0.9
    warmup_epochs: float = 1.0
    schedule: str = "cosine"
    final_learning_rate: float = 0.1
    weight_decay: float = 1e-3
    clip_norm: float | None = 1.0
    label_smoothing: float = 0.1
    mixup: float = 0.0
    random_place: bool = True
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    variants: int | None = 4
    keep_best: bool = True
    weight_average: float = 0.0
    early_stopping: int | None = None
    n_frames: int = 100
    features: FeatureConfig = field(
        # Twenty wide bands: forty narrow ones show the pitch of a voice too, and did two points worse on
        # real people.
        default_factory=lambda: FeatureConfig(n_mels=20, f_max=4000.0, normalization="mean", top_db=40.0)
    )
    model: ModelConfig = field(default_factory=lambda: CrnnConfig(head="max"))
    seed: int = 0

    def __post_init__(self) -> None:
        self._check_counts()
        self._check_choices()
        self._check_shares()
        if not isinstance(self.features, FeatureConfig) or not isinstance(self.model, ModelConfig):
            raise ValueError(
                "features must be a FeatureConfig and model the configuration of a network, such as a "
                f"CrnnConfig; got {type(self.features).__name__} and {type(self.model).__name__}."
            )
        if self.augmentation is not None and not isinstance(self.augmentation, Augmentation):
            raise ValueError(f"augmentation must be an Augmentation or None, got {self.augmentation!r}.")
        if self.weight_average and self.keep_best:
            raise ValueError(
                "keep_best wants the weights of one epoch, weight_average the mean of many; switch one off."
            )

    def _check_counts(self) -> None:
        least = {"epochs": 1, "batch_size": 1, "n_frames": 1, "seed": 0, "variants": 1, "early_stopping": 1}
        for name, smallest in least.items():
            value = getattr(self, name)
            if value is None and name in ("variants", "early_stopping"):
                continue
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < smallest:
                raise ValueError(f"{name} must be a whole number of at least {smallest}, got {value!r}.")

    def _check_choices(self) -> None:
        for name, choices in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}.")
        if self.schedule in ("steps", "exponential") and self.final_learning_rate == 0:
            raise ValueError(
                f"final_learning_rate must be above 0 for the schedule {self.schedule!r}, which falls by "
                "ratios; 0.01 is small."
            )

    def _check_shares(self) -> None:
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(
                f"learning_rate must be above 0 (0.002 is a good start), got {self.learning_rate!r}."
            )
        for name in ("warmup_epochs", "weight_decay", "mixup"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)!r}.")
        if self.clip_norm is not None and not 0 < self.clip_norm < math.inf:
            raise ValueError(f"clip_norm must be above 0, or None for no limit, got {self.clip_norm!r}.")
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
        for name in ("label_smoothing", "momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is a share from 0 to below 1, got {getattr(self, name)!r}.")

    @property
    def input_shape(self) -> tuple[int, int]:
        """Frames and coefficients of the window that the network reads."""
        return self.n_frames, self.features.n_coefficients

    @property
    def alone(self) -> tuple[TrainingConfig, ...]:
        """One configuration a member, each with a seed of its own, so that they do not all err alike."""
        one, members = self.model.one_member, self.model.members
        return tuple(replace(self, model=one, seed=self.seed + number) for number in range(members))

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as plain values that JSON can hold."""
        return asdict(self) | {"model": self.model.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingConfig:
        """Build a configuration from :meth:`to_dict`'s result; an unknown name is refused.

        A setting that is missing has its default, so what an older version wrote means what it meant.
        """
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"TrainingConfig has no option {', '.join(map(repr, unknown))}.")
        values = dict(values)
        if isinstance(values.get("features"), Mapping):
            values["features"] = FeatureConfig.from_dict(values["features"])
        if isinstance(values.get("model"), Mapping):
            values["model"] = models.config_from_dict(values["model"])
        if isinstance(values.get("augmentation"), Mapping):
            values["augmentation"] = Augmentation(**values["augmentation"])
        return cls(**values)


_PEOPLE = TrainingConfig(
    epochs=40,
    batch_size=128,
    learning_rate=3e-3,
    weight_decay=0.0,
    label_smoothing=0.05,
    variants=3,
    keep_best=False,
    weight_average=0.99,
    n_frames=80,
    augmentation=Augmentation(
        # Where real people are among the voices, less needs to be made up of rooms and noises. Nor of
        # slopes and narrow lines: `color_db` does that, for each picture anew and much faster.
        reverberation_share=0.15,
        reverberation_seconds=(0.1, 0.3),
        band_limit_share=0.0,
        tilt_db_per_octave=0.0,
        noise_share=0.5,
        snr_db=(10.0, 40.0),
        warp=(0.85, 1.15),
        mask_frames=8,
        mask_bands=4,
        cut_share=0.6,
        fade_share=0.8,
        wander_db=4.0,
        color_db=2.0,
    ),
    features=FeatureConfig(n_mels=20, f_max=4000.0, normalization="both", top_db=40.0),
    # Steps of 80 ms for the recurrent layer: a quarter less work than with 40 ms, and as good in sketches.
    model=CrnnConfig(head="max", dropout=0.1, pools=((4, 2), (2, 2))),
)

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
    "people": _PEOPLE,
    "ensemble": replace(_PEOPLE, mixup=0.3, model=replace(_PEOPLE.model, members=4)),
    "article": TrainingConfig(
        epochs=10,
        batch_size=128,
        optimizer="adam",
        learning_rate=1e-3,
        warmup_epochs=0.0,
        schedule="constant",
        weight_decay=0.0,
        clip_norm=None,
        label_smoothing=0.0,
        random_place=False,
        augmentation=None,
        keep_best=False,
        features=FeatureConfig(kind="mfcc", normalization="mean"),
        model=ArticleCnnConfig(),
    ),
}
"""Named ways to train: "quick" takes about two minutes on two cores; "shipped" made
``assets/digits_synthetic.asr``; "people", with real people among the voices, made ``assets/digits.asr``;
"ensemble" trains four such networks that answer together, the best on people of what has heard synthetic
voices alone; "article" trains a small convolutional network with textbook settings, without anything that
helps on new voices."""
