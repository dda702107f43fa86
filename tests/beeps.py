"""A tiny language: tones that rise and tones that fall, in several voices."""

import numpy as np

from asrlib import audio, datasets

RATE = 16_000


def beep(label, *, rng):
    """A 'word' that a tiny network can learn: a rising or a falling tone with some noise."""
    n = round(rng.uniform(0.25, 0.4) * RATE)
    hertz = np.linspace(300, 3_000, n) * rng.uniform(0.9, 1.1)
    phase = 2 * np.pi * np.cumsum(hertz if label == "rise" else hertz[::-1]) / RATE
    return (0.2 * np.sin(phase) + 0.01 * rng.normal(size=n)).astype(np.float32)


def beeps(folder, *, speakers, takes=4, labels=("rise", "fall"), seed=0, name="beeps"):
    rng = np.random.default_rng(seed)
    folder.mkdir()
    rows = ["file,label,speaker,group,take,split,seconds"]
    for speaker in speakers:
        for label in labels:
            for take in range(takes):
                samples = beep(label, rng=rng)
                file = f"{label}_{speaker}_{take}.wav"
                audio.write(folder / file, samples)
                rows.append(f"{file},{label},{speaker},tone,{take},train,{len(samples) / RATE}")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return datasets.from_folder(folder, name=name)
