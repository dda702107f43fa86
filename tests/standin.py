"""A small string recogniser of random weights, causal and with a memory: for tests that need no hearing."""

from types import SimpleNamespace

import numpy as np

from asrlib import features
from asrlib.features import FeatureConfig

LABELS = tuple("0123456789")
FRAMES = 4  # of one step


class RandomNetwork:
    """Mix the bands of four frames with what is remembered of all before, by fixed random numbers."""

    def __init__(self, *, n_features, n_classes=11, seed=0, memory=0.6, blank=0.0):
        rng = np.random.default_rng(seed)
        self.first = rng.normal(0, 0.5 / np.sqrt(n_features), (n_features, 16)).astype(np.float32)
        self.last = rng.normal(0, 3.0, (16, n_classes)).astype(np.float32)
        self.memory, self.blank = memory, blank

    def __call__(self, frames):
        return self.stream().push(frames)

    def stream(self):
        return RandomStream(self)


class RandomStream:
    def __init__(self, network):
        self.network = network
        self.reset()

    def reset(self):
        self.frames = np.empty((0, len(self.network.first)), np.float32)
        self.mean = np.full(len(self.network.first), -10, np.float32)
        self.state = np.zeros(16, np.float32)

    def push(self, frames):
        frames = np.concatenate([self.frames, frames])
        n_steps = len(frames) // FRAMES
        self.frames = frames[n_steps * FRAMES :]
        return self.scores(frames[: n_steps * FRAMES].reshape(n_steps, FRAMES, frames.shape[1]).mean(axis=1))

    def flush(self):
        return np.empty((0, self.network.last.shape[1]), np.float32)

    def scores(self, steps):
        rows = np.empty((len(steps), self.network.last.shape[1]), np.float32)
        for number, step in enumerate(steps):
            self.mean = 0.9 * self.mean + 0.1 * step
            new = np.tanh((step - self.mean) @ self.network.first)
            self.state = self.network.memory * self.state + (1 - self.network.memory) * new
            rows[number] = self.state @ self.network.last
        rows[:, 0] += self.network.blank
        return rows - np.logaddexp.reduce(rows, axis=1, keepdims=True)


def standin(*, config=None, **changes):
    """Return what a StringListener needs of a StringRecognizer."""
    config = config or FeatureConfig()
    network = RandomNetwork(n_features=config.n_coefficients, **changes)

    def scores(samples):
        return network(features.extract(samples, config))

    return SimpleNamespace(
        features=config, labels=LABELS, step_seconds=0.04, network=network, scores=scores
    )
