"""What a training for strings reads: strings composed beside it, and batches of them.

Each string and each batch is a function of its number alone, so threads may make them in any order.
"""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from asrlib import audio, decoding, features, models, signals
from asrlib.augment import augment, band_limit, mask_features, warp_frequency
from asrlib.models import CtcConfig
from asrlib.strings import Composer, fade_edges, join, silence_around, time_scale, to_quick_length
from asrlib.training.string_config import StringTrainingConfig

if TYPE_CHECKING:
    from asrlib.datasets import SpeechDataset
    from asrlib.string_recognizer import StringRecognizer

__all__ = ["Pool", "StringBatches", "padded", "splice_step", "strings_seen"]

_CHUNK = 32  # strings that one thread composes at a time
_WARPS = 17  # how many lengths of the vocal tract there are between the ends of the range
_ROUND = 8  # batches that are sorted by length together, so that little of a batch is padding
_SPLICED = 0.75  # of the natural strings, once it is known where their words part
_SHORTEST_SECONDS = 0.05  # of a word that is cut out of a natural string
_NATURAL_PACE = (0.75, 1.25)
_SPLICE_GAPS = (-0.02, 0.03)  # seconds: the cut lies where the sound is weakest anyway
_NOISE_SECONDS = (0.5, 2.8)
_NOISE_DB = (-70.0, -20.0)  # RMS re full scale
_SPARE_STEPS = 1  # beyond those that CTC needs for the text


# -- strings -------------------------------------------------------------------------------------------------


class Pool:
    """Composed strings by number: each depends on its number alone, and comes when it is ready."""

    def __init__(
        self, digits: SpeechDataset, natural: SpeechDataset | None, config: StringTrainingConfig
    ) -> None:
        self.config = config
        self.composer = Composer(digits, config.compose)
        self.labels = self.composer.labels
        self.natural = [] if natural is None else natural.arrays()
        self.natural_texts = [] if natural is None else natural.labels.tolist()
        self.natural_speakers = [] if natural is None else natural.speakers.tolist()
        _refuse_unknown_words(self.natural_texts, self.labels, name="natural")
        self.cuts: dict[int, np.ndarray] | None = None  # of a natural string: where its words part
        self.whole = config.strings if natural is None else strings_seen(splice_step(config), config)
        self.features: list[np.ndarray] = []
        self.targets: list[list[int]] = []
        self._coming: deque[Future[list[tuple[np.ndarray, list[int]]]]] = deque()
        self._next = 0

    def __enter__(self) -> Pool:
        self._threads = ThreadPoolExecutor(max_workers=max(1, _cores() - 1))
        return self

    def __exit__(self, *exception: object) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    def wait_for(self, count: int) -> None:
        """Have at least this many strings, and the next ones on their way."""
        known = self.whole if self.cuts is None else self.config.strings
        while self._next < min(count + 16 * _CHUNK, known):
            chunk = range(self._next, min(self._next + _CHUNK, known))
            self._coming.append(self._threads.submit(self._made, chunk))
            self._next = chunk.stop
        while len(self.features) < count:
            for prepared, target in self._coming.popleft().result():
                self.features.append(prepared)
                self.targets.append(target)

    def splice(self, recognizer: StringRecognizer) -> None:
        """Find where the words of the natural strings part, by a network that reads most of them."""
        cuts = {}
        for number, (samples, text) in enumerate(zip(self.natural, self.natural_texts, strict=True)):
            heard = recognizer.transcribe(samples)
            if heard.text == text:
                words = heard.words
                middles = [(one.stop + other.start) / 2 for one, other in itertools.pairwise(words)]
                ends = np.array([0.0, *middles, len(samples) / audio.SAMPLE_RATE])
                # A network that is still learning may give a word no time at all: that is no place to cut.
                if np.diff(ends).min() >= _SHORTEST_SECONDS:
                    cuts[number] = np.round(ends * audio.SAMPLE_RATE).astype(int)
        self.cuts = cuts

    def _made(self, numbers: range) -> list[tuple[np.ndarray, list[int]]]:
        return [
            self._one(np.random.default_rng((self.config.seed, 0, number)), splice=number >= self.whole)
            for number in numbers
        ]

    def _one(self, rng: np.random.Generator, *, splice: bool) -> tuple[np.ndarray, list[int]]:
        while True:
            if rng.random() < self.config.empty_share:
                samples, text = _noise(rng), ""
            elif self.natural and rng.random() < self.config.natural_share:
                samples, text = self._spoken(rng, splice=splice)
            else:
                string = self.composer(rng=rng)
                samples, text = string.samples, string.label
            if len(samples) > self.config.max_seconds * audio.SAMPLE_RATE:
                continue
            target = decoding.to_labels(text.split(), self.labels)
            steps = models.n_steps(self.config.features.n_frames(len(samples)), self.config.model)
            if steps >= decoding.frames_needed(target) + _SPARE_STEPS:
                return features.extract(samples, self.config.features), target

    def _spoken(self, rng: np.random.Generator, *, splice: bool) -> tuple[np.ndarray, str]:
        """Disturb a naturally spoken string, whole or put together anew, as a composed one is.

        Whether it may be put together anew depends on its number, not on whether the cuts are known by now: a
        thread may be late.
        """
        compose = self.config.compose
        if splice and self.cuts and rng.random() < _SPLICED:
            samples, text = self._spliced(rng)
        else:
            number = int(rng.integers(len(self.natural)))
            samples, text = self.natural[number], self.natural_texts[number]
        samples = time_scale(samples, round(float(rng.uniform(*_NATURAL_PACE)), 3))
        around = [round(seconds * audio.SAMPLE_RATE) for seconds in silence_around(compose, rng)]
        samples = to_quick_length(np.pad(samples, around))
        how = replace(compose.augmentation, speed=compose.speed, trim_share=0.0)
        samples = augment(audio.peak_limit(samples, peak=1.0), how, rng=rng)
        level = float(rng.uniform(*compose.level_db))
        samples = (samples * 10 ** ((level - audio.level_db(samples)) / 20)).astype(np.float32)
        return audio.peak_limit(samples, peak=1.0), text

    def _spliced(self, rng: np.random.Generator) -> tuple[np.ndarray, str]:
        """Put a string together from stretches of natural ones and from composed digits of one speaker."""
        number = list(self.cuts)[rng.integers(len(self.cuts))]
        speaker = self.natural_speakers[number]
        own = [other for other in self.cuts if self.natural_speakers[other] == speaker]
        pieces: list[np.ndarray] = []
        words: list[str] = []
        for _ in range(rng.integers(1, 4)):
            if rng.random() < 0.6 or not self.composer.words_of(speaker):
                source = own[rng.integers(len(own))]
                cuts, said = self.cuts[source], self.natural_texts[source].split()
                first = int(rng.integers(len(said)))
                end = int(rng.integers(first, len(said))) + 1
                pieces.append(fade_edges(self.natural[source][cuts[first] : cuts[end]]))
                words += said[first:end]
            else:
                there = self.composer.words_of(speaker)
                drawn = [there[i] for i in rng.integers(len(there), size=rng.integers(1, 4))]
                composed, gaps = self.composer.pieces(drawn, speaker=speaker, rng=rng)
                pieces.append(join(composed, gaps=gaps)[0])
                words += drawn
        gaps = rng.uniform(*_SPLICE_GAPS, size=len(pieces) - 1).tolist()
        return join(pieces, gaps=gaps)[0], " ".join(words)


def _noise(rng: np.random.Generator) -> np.ndarray:
    """Make noise in which nobody speaks."""
    make = (signals.white_noise, signals.pink_noise, signals.brown_noise, signals.hiss, signals.hum)
    seconds = round(float(rng.uniform(*_NOISE_SECONDS)), 2)
    noise = make[rng.integers(len(make))](seconds, rng=rng)
    if rng.random() < 0.3:
        noise = band_limit(noise, high_hz=float(rng.uniform(1_000, 3_900)))
    gain = 10 ** ((float(rng.uniform(*_NOISE_DB)) - audio.level_db(noise)) / 20)
    return audio.peak_limit((noise * gain).astype(np.float32), peak=1.0)


def splice_step(config: StringTrainingConfig) -> int:
    """Give the step from which natural strings are put together anew: the first of a round of batches."""
    return round(config.splice_after * config.steps / _ROUND) * _ROUND


def strings_seen(step: int, config: StringTrainingConfig) -> int:
    """Count the strings that a step may draw from."""
    ready = step / max(1, 0.9 * config.steps)  # the last ones come early enough to be heard
    return min(config.strings, config.first_strings + round(ready * (config.strings - config.first_strings)))


def _refuse_unknown_words(spoken: Sequence[str], labels: Sequence[str], *, name: str) -> None:
    unknown = sorted({word for text in spoken for word in text.split()} - set(labels))
    if unknown:
        raise ValueError(
            f"The {name} strings have words that no digit clip says: {', '.join(map(repr, unknown))}."
        )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# -- batches -----------------------------------------------------------------------------------------------


class StringBatches:
    """The batches of a training by number: near in length, warped, partly hidden, padded with zeros."""

    def __init__(self, pool: Pool, config: StringTrainingConfig, *, average: np.ndarray) -> None:
        self.pool, self.config, self.average = pool, config, average
        self.warps = _warps(config.warp, config.features.n_coefficients)
        self._round: tuple[int, list[np.ndarray]] = (-1, [])

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
            count = strings_seen(number * _ROUND, self.config)
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
    targets = np.zeros(
        (len(spoken), max(1, lengths.max())), np.int32
    )  # Keras' loss is wrong without a column
    for row, target in zip(targets, spoken, strict=True):
        row[: len(target)] = target
    return targets, lengths
