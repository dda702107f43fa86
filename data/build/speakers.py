"""Who speaks: the 54 voices of Kokoro, blends of them, and a few robots; and who is heard in which split.

A split is drawn over Kokoro's own voices first, group by group. A blend mixes voices of one split only, so
that no voice of the test set is heard in training, not even as an ingredient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SEED = 2026
BLENDS = {"train": 48, "validation": 8, "test": 10}
BASE_SHARE = {"validation": 8, "test": 10}  # of Kokoro's 54 voices; the rest trains

REGIONS = {
    "a": "american",
    "b": "british",
}  # the first letter of a Kokoro voice; every other is "international"
ACCENT_OF_LANGUAGE = {
    "a": "american",
    "b": "british",
    "e": "romance",
    "f": "french",
    "h": "indian",
    "i": "romance",
    "j": "east_asian",
    "p": "romance",
    "z": "east_asian",
}
BLEND_ACCENTS = (
    "american",
    "american",
    "american",
    "british",
    "british",
    "french",
    "german",
    "romance",
    "indian",
    "east_asian",
    "slavic",
    "german",
    "french",
)

# espeak-ng: voice and variant; flite: voice. Dealt out by hand, so that each split hears both engines.
ROBOTS = {
    "train": (
        "espeak:en-us+m3",
        "espeak:en-us+f2",
        "espeak:en-gb+m7",
        "espeak:en-gb-scotland+m1",
        "espeak:en-029+f4",
        "espeak:en-gb-x-rp+klatt2",
        "flite:kal16",
        "flite:slt",
    ),
    "validation": ("espeak:en-us-nyc+f5", "flite:awb"),
    "test": ("espeak:en-gb-x-gbclan+f1", "espeak:en-us+m5", "flite:rms"),
}


@dataclass(frozen=True)
class Speaker:
    """One voice of the bundle, and what it is made of."""

    name: str
    group: str
    split: str
    accent: str
    timbre: tuple[str, ...]  # Kokoro voices whose first 128 style numbers (colour of the voice) are averaged
    melody: tuple[str, ...]  # Kokoro voices whose last 128 style numbers (rhythm and pitch) are averaged
    engine: str = "kokoro"


def _gender(voice: str) -> str:
    return {"f": "female", "m": "male"}[voice[1]]


def _base_group(voice: str) -> str:
    return f"{REGIONS.get(voice[0], 'international')}_{_gender(voice)}"


def _split_base_voices(voices: list[str], rng: np.random.Generator) -> dict[str, str]:
    """Deal each group's voices out in proportion; the largest fractions get the odd ones."""
    groups: dict[str, list[str]] = {}
    for voice in voices:
        groups.setdefault(_base_group(voice), []).append(voice)
    split = dict.fromkeys(voices, "train")
    for name, wanted in BASE_SHARE.items():
        exact = {g: wanted * len(members) / len(voices) for g, members in groups.items()}
        count = {g: int(x) for g, x in exact.items()}
        for g in sorted(exact, key=lambda g: count[g] - exact[g])[: wanted - sum(count.values())]:
            count[g] += 1
        for g, members in groups.items():
            free = [v for v in members if split[v] == "train"]
            for voice in rng.choice(free, size=count[g], replace=False):
                split[str(voice)] = name
    return split


def _blend(index: int, split: str, voices: list[str], rng: np.random.Generator) -> Speaker:
    gender = ("female", "male")[index % 2]
    own = [v for v in voices if _gender(v) == gender]
    timbre = tuple(sorted(str(v) for v in rng.choice(own, size=min(2, len(own)), replace=False)))
    melody = (str(rng.choice(voices)),)
    accent = str(rng.choice(BLEND_ACCENTS))
    return Speaker(f"blend_{split}_{index:02d}", f"blend_{gender}", split, accent, timbre, melody)


def all_speakers(voices: list[str]) -> list[Speaker]:
    """The speakers of the bundle, the same on every call."""
    rng = np.random.default_rng(SEED)
    split = _split_base_voices(sorted(voices), rng)
    speakers = [
        Speaker(v, _base_group(v), split[v], ACCENT_OF_LANGUAGE[v[0]], (v,), (v,)) for v in sorted(voices)
    ]
    for name, count in BLENDS.items():
        own = [v for v in sorted(voices) if split[v] == name]
        speakers += [_blend(i, name, own, rng) for i in range(count)]
    for name, robots in ROBOTS.items():
        for robot in robots:
            plain = robot.replace(":", "_").replace("+", "_").replace("-", "_")
            speakers.append(Speaker(plain, "robot", name, "american", (), (), engine=robot))
    return speakers
