"""Recordings of any length: read block by block, cut at their pauses, and never whole in memory.

A recogniser hears one utterance. What lasts for minutes or hours is cut into *passages* of speech where
nobody speaks, by the end-pointer that also serves a live stream; each passage is recognised by itself, and
its words get their times in the whole recording. Speech without any pause is cut after some seconds; the next
passage then begins a little before the cut, so that no word is lost at it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from asrlib import audio
from asrlib.streaming.activity import EndPointer, Segment, VadConfig
from asrlib.streaming.ring import RingBuffer

__all__ = [
    "LONG_SECONDS",
    "PASSAGES",
    "Counted",
    "Passage",
    "TimedWord",
    "cut",
    "frame_energy",
    "is_steady",
    "open_recording",
]

LONG_SECONDS = 20.0
"""A longer recording is not recognised as one utterance, but passage by passage."""

PASSAGES = VadConfig(hang_over_seconds=0.5, margin_seconds=0.2, longest_seconds=12.0)
"""How passages of speech are found in a recording: half a second of quiet ends one."""

_OVERLAP_SECONDS = 2.0
_PIECE_SECONDS = 0.5  # goes into the ring at once; much longer pieces only make the ring longer


@dataclass(frozen=True)
class TimedWord:
    """A word, and when it was said.

    Parameters
    ----------
    text : str
        The word.
    start, stop : float
        Seconds since the recording began.
    probability : float
        How sure the recogniser is of it, from 0 to 1.

    Examples
    --------
    >>> print(TimedWord("7", 0.41, 0.83, 0.98))
    7  (0.41 to 0.83 s, 98 %)

    Lesson: 08
    """

    text: str
    start: float
    stop: float
    probability: float

    def __str__(self) -> str:
        return f"{self.text}  ({self.start:.2f} to {self.stop:.2f} s, {100 * self.probability:.0f} %)"


@dataclass(frozen=True)
class Passage:
    """A stretch of speech out of a recording.

    Parameters
    ----------
    samples : float32 array, shape (n_samples,)
        Its sound.
    start, stop : float
        Where it lies, in seconds since the recording began.
    overlap : float
        Seconds at its beginning that also end the passage before: above 0 where no pause parts the two.

    Examples
    --------
    >>> Passage(np.zeros(8_000, np.float32), start=1.0, stop=1.5, overlap=0.0).seconds
    0.5

    Lesson: 09
    """

    samples: np.ndarray
    start: float
    stop: float
    overlap: float = 0.0

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.stop - self.start


class Counted:
    """Blocks of a recording, whose samples are counted as they pass.

    Parameters
    ----------
    blocks : iterable of float32 arrays, each of shape (n_samples,)

    Attributes
    ----------
    n_samples : int
        Samples that have passed.

    Examples
    --------
    >>> counted = Counted([np.zeros(3), np.zeros(2)])
    >>> for block in counted:
    ...     pass
    >>> counted.n_samples
    5

    Lesson: 09
    """

    def __init__(self, blocks: Iterable[np.ndarray]) -> None:
        self.blocks, self.n_samples = blocks, 0

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in self.blocks:
            self.n_samples += len(block)
            yield block


def open_recording(
    source: Any, *, sample_rate: int, source_rate: int | None = None, longest: float = LONG_SECONDS
) -> np.ndarray | Iterator[np.ndarray]:
    """Read a recording whole if it is short; if it is long, give its blocks, of which few are in memory.

    Parameters
    ----------
    source : path, bytes, open file, array of samples, or Clip
        Whatever :func:`asrlib.audio.load` reads, or an object with ``samples``.
    sample_rate : int
        Rate of the result in Hz.
    source_rate : int, optional
        Of an array, in Hz; `sample_rate` if left out. A file knows its rate.
    longest : float
        Seconds up to which a recording is short.

    Returns
    -------
    float32 array, shape (n_samples,), or iterator of such arrays

    Raises
    ------
    AudioError
        If it cannot be read, or is silent; what is amiss far inside a long recording shows when it is
        reached.

    Examples
    --------
    >>> open_recording(np.full(8_000, 0.5, np.float32), sample_rate=16_000).shape
    (8000,)
    >>> blocks = open_recording(np.full(480_000, 0.5, np.float32), sample_rate=16_000)
    >>> sum(len(block) for block in blocks)
    480000

    Lesson: 09
    """
    if hasattr(source, "samples"):  # a Clip knows its rate
        source_rate = source_rate or getattr(source, "sample_rate", None)
        source = source.samples
    if isinstance(source, np.ndarray):
        source_rate = source_rate or sample_rate
    blocks = audio.blocks(source, sample_rate=sample_rate, source_rate=source_rate)
    read: list[np.ndarray] = []
    for block in blocks:
        read.append(block)
        if sum(map(len, read)) > longest * sample_rate:
            return itertools.chain(read, blocks)
    return read[0] if len(read) == 1 else np.concatenate(read)


def cut(blocks: Iterable[np.ndarray], config: VadConfig = PASSAGES) -> Iterator[Passage]:
    """Cut a recording at its pauses.

    Parameters
    ----------
    blocks : iterable of float32 arrays, each of shape (n_samples,)
        The recording in blocks of any length, at the rate of `config`; :func:`asrlib.audio.blocks` gives
        them.
    config : VadConfig
        How speech is told from pauses.

    Yields
    ------
    Passage
        In the order of time, each as soon as its end is certain. Apart from `overlap` they share no sound.
        Sounds whose level stands still (:func:`is_steady`) are left out.

    Raises
    ------
    AudioError
        As reading the blocks does.

    Examples
    --------
    >>> sound = np.zeros(64_000, np.float32)
    >>> sound[16_000:24_000] = sound[40_000:48_000] = 0.1 * np.sin(np.arange(8_000))
    >>> [(round(passage.start, 2), round(passage.stop, 2)) for passage in cut([sound])]
    [(0.8, 1.72), (2.3, 3.22)]

    Lesson: 09
    """
    rate, blocks = config.sample_rate, iter(blocks)
    head = _head(blocks, config.floor_seconds * rate)
    longest = config.longest_seconds + config.hang_over_seconds + 2 * config.margin_seconds
    ring = RingBuffer(longest + _OVERLAP_SECONDS + 2 * _PIECE_SECONDS, sample_rate=rate)
    pointer = EndPointer(config)
    before = _settle(pointer, head)
    cut_at: float | None = None  # where the passage before was cut in the middle of speech
    length = round(_PIECE_SECONDS * rate)
    for block in itertools.chain(head, blocks):
        for first in range(0, len(block), length):
            piece = block[first : first + length]
            ring.write(piece)
            for segment in pointer.push(piece):
                passage = _passage(segment, ring, before=before, cut_at=cut_at)
                cut_at = segment.stop if segment.cut and passage is not None else None
                if passage is not None:
                    yield passage
            ring.forget(max(0.0, pointer.undecided - before - _OVERLAP_SECONDS))
    for segment in pointer.flush():
        passage = _passage(segment, ring, before=before, cut_at=cut_at)
        if passage is not None:
            yield passage


def _head(blocks: Iterator[np.ndarray], n_samples: float) -> list[np.ndarray]:
    """Take blocks until there are so many samples, or no more."""
    head: list[np.ndarray] = []
    while sum(map(len, head)) < n_samples and (block := next(blocks, None)) is not None:
        head.append(block)
    return head


def _settle(pointer: EndPointer, head: list[np.ndarray]) -> float:
    """Let an end-pointer know the noise floor before the first word; give the seconds that it heard for it.

    A live stream has to begin without a floor, and so misses a word that is spoken at once. A recording can
    be asked first: its opening seconds are heard beforehand, frame by frame from the loudest to the quietest,
    so that they end in what is taken for quiet.
    """
    config = pointer.config
    n_frames = min(sum(map(len, head)) // config.frame_length, config.floor_frames)
    if not n_frames:
        return 0.0
    frames = np.concatenate(head)[: n_frames * config.frame_length].reshape(n_frames, -1)
    louder_first = np.argsort(-np.square(frames).mean(axis=1), kind="stable")
    pointer.push(frames[louder_first].ravel())
    return frames.size / config.sample_rate


def _passage(segment: Segment, ring: RingBuffer, *, before: float, cut_at: float | None) -> Passage | None:
    """Take a segment out of the ring; None if it was heard beforehand only, or is no speech."""
    start, stop = max(0.0, segment.start - before), segment.stop - before
    if stop <= 0 or is_steady(ring.between(start, stop), sample_rate=ring.sample_rate):
        return None
    overlap = 0.0
    if cut_at is not None and segment.start <= cut_at:  # no pause parts it from the passage before
        overlap = min(_OVERLAP_SECONDS, start - ring.start)
    return Passage(ring.between(start - overlap, stop), start - overlap, stop, overlap=overlap)


def is_steady(samples: np.ndarray, *, sample_rate: int = audio.SAMPLE_RATE) -> bool:
    """Say whether a sound's level stands still: that of a fan, of rain or a hum does, that of speech never.

    A noise that sets in looks like speech to an end-pointer, until its floor has risen. But syllables rise
    and fall by 15 dB and more. A sound is steady if it lasts 1.5 s or longer, and its level every 10 ms,
    without 0.3 s at both ends, keeps within 6 dB for nine tenths of the time.

    Parameters
    ----------
    samples : float32 array, shape (n_samples,)
        The sound.
    sample_rate : int
        In Hz.

    Returns
    -------
    bool

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(0, 0.01, 32_000).astype(np.float32)
    >>> is_steady(noise), is_steady(noise * np.sin(np.arange(32_000) / 2_000).astype(np.float32))
    (True, False)

    Lesson: 09
    """
    if len(samples) < 1.5 * sample_rate:
        return False
    energy = frame_energy(samples, hop=sample_rate // 100)[30:-30]
    low, high = np.percentile(10 * np.log10(np.maximum(energy, 1e-12)), [5, 95])
    return bool(high - low < 6)


def frame_energy(samples: np.ndarray, *, hop: int) -> np.ndarray:
    """Give the mean square around each multiple of `hop`, smoothed over two and a half of them.

    Parameters
    ----------
    samples : float32 array, shape (n_samples,)
    hop : int
        Samples from one frame to the next.

    Returns
    -------
    float64 array, shape (max(1, n_samples // hop),)

    Examples
    --------
    >>> frame_energy(np.full(480, 0.5, np.float32), hop=160).tolist()
    [0.25, 0.25, 0.25]

    Lesson: 09
    """
    n_frames = max(1, len(samples) // hop)
    blocks = np.square(samples[: n_frames * hop].reshape(n_frames, -1), dtype=np.float64).mean(axis=1)
    return np.convolve(np.pad(blocks, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
