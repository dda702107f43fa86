"""What is to be said: every clip of the bundle, and how each attempt at it is drawn."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from pronunciations import DIGITS, LISTEN, WORDS
from speakers import SEED, Speaker

TAKES = 3
TEMPO = (
    (0.85, 1.05),
    (1.10, 1.30),
    (1.30, 1.60),
)  # of takes 0, 1 and 2; real people are often faster than a voice model
ENDINGS = (".", "?", "!", ",")  # what stands after the word bends its melody
SAFE_ATTEMPT = 2  # from this attempt on: plain accent, plain tempo
SAFEST_ATTEMPT = 5  # from this attempt on: American for British speakers, too
MAX_ATTEMPTS = 10
STRINGS_PER_SPEAKER = {"train": 1, "validation": 3, "test": 4}
WORD_SPEAKERS = {"train": 24, "validation": 6, "test": 10}
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True)
class Item:
    """One clip to be made."""

    kind: str  # digits, strings, words, listen
    label: str
    speaker: Speaker
    take: int

    @property
    def stem(self) -> str:
        return f"{self.label.replace(' ', '')[:24]}_{self.speaker.name}_{self.take}"


@dataclass(frozen=True)
class Draw:
    """How one attempt at an item is said."""

    phonemes: str
    text: str
    speed: float
    row_shift: int


def _rng(*parts: object) -> np.random.Generator:
    """Randomness that depends on the item alone, so that a rebuild, in any order, says the same."""
    digest = hashlib.sha256("/".join(map(str, (SEED, *parts))).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def draw(item: Item, attempt: int) -> Draw:
    rng = _rng(item.kind, item.label, item.speaker.name, item.take, attempt)
    safe = attempt >= SAFE_ATTEMPT
    keeps_accent = not safe or (item.speaker.accent == "british" and attempt < SAFEST_ATTEMPT)
    accent = item.speaker.accent if keeps_accent else "american"
    ending = _rng(item.kind, item.label, item.speaker.name, attempt).permutation(ENDINGS)[item.take]
    shift = int(rng.integers(0, 40)) if item.take else 0
    if item.kind == "listen":
        return Draw(LISTEN[item.label], item.label, 1.0, 0)
    if item.kind == "strings":
        spoken = " ".join(str(rng.choice(DIGITS[accent][d])) for d in item.label.split())
        text = " ".join(NAMES[int(d)] for d in item.label.split())
        return Draw(spoken + ".", text, float(rng.uniform(0.9, 1.15 if safe else 1.4)), shift)
    low, high = (0.95, 1.10) if safe else TEMPO[item.take]
    if item.kind == "words":
        table = WORDS["british" if accent == "british" else "american"]
        return Draw(table[item.label] + str(ending), item.label, float(rng.uniform(0.85, 1.3)), shift)
    phonemes = str(rng.choice(DIGITS[accent][item.label]))
    return Draw(
        phonemes + ("." if safe else str(ending)),
        NAMES[int(item.label)],
        float(rng.uniform(low, high)),
        shift,
    )


def _strings_of(speaker: Speaker) -> list[str]:
    rng = _rng("strings of", speaker.name)
    return [
        " ".join(map(str, rng.integers(0, 10, rng.integers(3, 8))))
        for _ in range(STRINGS_PER_SPEAKER[speaker.split])
    ]


def all_items(speakers: list[Speaker]) -> list[Item]:
    """Every clip of the bundle, takes first, so that a build cut short still has every speaker."""
    people = [s for s in speakers if s.engine == "kokoro"]
    items = [Item("digits", str(d), s, take) for take in range(TAKES) for s in speakers for d in range(10)]
    items += [Item("strings", text, s, 0) for s in people for text in _strings_of(s)]
    for split, count in WORD_SPEAKERS.items():
        own = [s for s in people if s.split == split]
        for i in np.linspace(0, len(own) - 1, count).round().astype(int):
            items += [Item("words", word, own[i], 0) for word in WORDS["american"]]
    by_name = {s.name: s for s in people}
    readers = ("af_heart", "bm_fable", "am_michael", "bf_emma", "af_bella", "am_puck")
    items += [Item("listen", text, by_name[reader], 0) for text, reader in zip(LISTEN, readers, strict=True)]
    return items
