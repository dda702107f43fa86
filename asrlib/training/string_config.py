"""How a training for strings is set up, and the named ways of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from asrlib.augment import Augmentation
from asrlib.features import FeatureConfig
from asrlib.models import CtcConfig, count_parameters
from asrlib.strings import ComposeConfig

__all__ = ["STRING_RECIPES", "StringTrainingConfig"]


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
    empty_share : float
        Share of noise in which nobody speaks: its text is empty.
    splice_after : float
        Share of the steps after which the network knows enough to find the words in naturally spoken strings.
        From then on most of those are cut between words and put together anew, among each other and with
        composed digits of the same speaker: a few strings would soon be known by heart.
    max_seconds : float
        Longer strings are composed anew.
    learning_rate, warmup_steps, final_learning_rate : float, int, float
        The greatest step of AdamW, how many steps it takes to rise to it, and the share of it at the end.
    weight_decay, clip_norm : float
        As for AdamW.
    weight_average : float
        Share of its past that the running average of the weights keeps in every step; the average is what
        comes out.
    blank_penalty : float
        How much less the finished network trusts the blank, as a natural logarithm: CTC learns to say nothing
        too often, which shows as words left out.
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

    steps: int = 1600
    batch_size: int = 64
    epochs: int = 8
    strings: int = 9_000
    first_strings: int = 1_000
    natural_share: float = 0.0
    empty_share: float = 0.0
    splice_after: float = 0.3
    max_seconds: float = 3.2
    learning_rate: float = 3e-3
    warmup_steps: int = 200
    final_learning_rate: float = 0.01
    weight_decay: float = 1e-3
    clip_norm: float = 1.0
    weight_average: float = 0.995
    blank_penalty: float = 0.0
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
        for name in ("natural_share", "empty_share", "splice_after", "final_learning_rate", "weight_average"):
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


_SHIPPED = StringTrainingConfig(
    steps=2_600,
    epochs=13,
    strings=14_000,
    # The more of them the better, up to here: nothing composed flows like a string said in one breath.
    natural_share=0.6,
    empty_share=0.04,
    blank_penalty=1.0,  # of 0, 1 and 2: fewer errors on validation, and no more words heard in noise
    masks=2,
    mask_bands=4,
    # All that natural strings have: hissed sounds lie above 4 kHz. Half of the strings lose them again.
    # The floor lies 80 dB below loud speech, so that soft speech stands above it as well.
    features=FeatureConfig(n_mels=24, f_max=7600.0, log_floor=1e-8),
    model=CtcConfig(gru_units=96),
    compose=ComposeConfig(
        alone_speed=(0.6, 1.4),  # a digit by itself may be drawn out
        level_db=(-46.0, -16.0),
        augmentation=Augmentation(
            noise_share=0.5, snr_db=(5.0, 35.0), reverberation_share=0.2, band_limit_share=0.5
        ),
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
        max_seconds=2.6,
        compose=ComposeConfig(
            # A minute is too short for rooms and telephones.
            augmentation=Augmentation(
                noise_share=0.3, snr_db=(10.0, 35.0), reverberation_share=0.0, band_limit_share=0.0
            )
        ),
    ),
    "strings": _SHIPPED,
    "streaming": replace(_SHIPPED, model=CtcConfig(bidirectional=False, causal=True, gru_units=128)),
}
"""Named ways to train: "lesson" takes less than a minute on two cores; "strings" and "streaming" made
``assets/strings.asr``, which hears a whole utterance, and ``assets/streaming.asr``, which answers while it
is still spoken."""
