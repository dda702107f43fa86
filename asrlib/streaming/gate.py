"""When it is worth listening: a gate that opens before the first word and shuts after the last one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from asrlib.streaming.activity import VadConfig, VoiceActivityDetector

__all__ = ["SpeechGate", "Turn"]


class Turn(NamedTuple):
    """The gate opens, shuts, or begins a new line while it stays open.

    Lesson: 09
    """

    kind: str
    """ "open", "shut" or "cut"."""
    at: int
    """Samples of the stream that had to be heard to decide it."""
    start: int
    """Sample from which on to listen: for "open" it lies before `at`, for the others it is `at`."""
    loud_end: int
    """Sample after the last loud frame."""


class SpeechGate:
    """Say as soon as it is certain when speech begins and when it is over, from chunks of any size.

    An `EndPointer` tells of a stretch of speech once it is over. A gate tells of its beginning too, so that
    what costs much can work while somebody speaks and rest while nobody does. It opens when frames were loud
    for `shortest_seconds` together and asks for the sound from `margin_seconds` before the first of them, for
    weak consonants; it shuts `hang_over_seconds` after the last.

    Parameters
    ----------
    config : VadConfig, optional
        Settings; the defaults when left out. When speech lasts for `longest_seconds` a "cut" says so.

    Attributes
    ----------
    is_open : bool
        Whether somebody speaks.
    level_db : float
        Level of the newest frame in dB re full scale; -120 before the first.
    ignored : int
        Sounds since the stream began that were too short to be speech.
    loud_end : int
        Sample after the last loud frame.

    Examples
    --------
    >>> gate = SpeechGate(VadConfig(hang_over_seconds=0.3, margin_seconds=0.1))
    >>> tone = 0.1 * np.sin(np.arange(8_000, dtype=np.float32))
    >>> sound = np.concatenate([np.zeros(8_000, np.float32), tone, np.zeros(8_000, np.float32)])
    >>> [(turn.kind, turn.at / 16_000, turn.start / 16_000) for turn in gate.push(sound)]
    [('open', 0.55, 0.4), ('shut', 1.32, 1.32)]

    Lesson: 09
    """

    def __init__(self, config: VadConfig | None = None) -> None:
        self.detector = VoiceActivityDetector(config)
        self.config = self.detector.config
        self.reset()

    def reset(self) -> None:
        """Forget the stream and begin another.

        Examples
        --------
        >>> gate = SpeechGate()
        >>> gate.push(np.zeros(1600, np.float32))
        []
        >>> gate.reset()
        >>> gate.level_db
        -120.0

        Lesson: 09
        """
        self.detector.reset()
        self.is_open = False
        self.level_db = -120.0
        self.ignored = 0
        self._frame = 0  # of the next decision
        self._first: int | None = None  # sample from which on to listen, once it is certain
        self._since = 0  # frame from which a line's length counts
        self._loud_frames = 0
        self.loud_end = 0
        self._free = 0  # sample before which everything was listened to

    @property
    def undecided(self) -> int:
        """Sample of the stream before which the gate will not ask for sound that it has not asked for yet."""
        if self._first is not None and not self.is_open:
            return self._first
        return max(self._free, self._frame * self.config.frame_length - self.config.margin_length, 0)

    @property
    def longest_wait(self) -> float:
        """Most seconds of sound between `undecided` and the newest frame."""
        hop = self.config.frame_length / self.config.sample_rate
        waiting = self.config.shortest_frames * self.config.hang_over_frames
        return self.config.margin_seconds + (waiting + 2) * hop

    def push(self, chunk: np.ndarray, *, sample_rate: int | None = None) -> list[Turn]:
        """Take a chunk, and tell what it decides.

        Parameters
        ----------
        chunk : ndarray, shape (n_samples,)
            Float, within [-1, 1], any number of samples from 1 on.
        sample_rate : int, optional
            Of the chunk in Hz; when given it must be that of the configuration.

        Returns
        -------
        list of Turn
            In the order of time; often empty.

        Raises
        ------
        AudioError
            When the chunk is empty, not finite, or of the wrong shape, type, range or rate. The stream is
            then as it was.

        Examples
        --------
        >>> SpeechGate().push(np.zeros(16_000, np.float32), sample_rate=16_000)
        []

        Lesson: 09
        """
        activity = self.detector.push(chunk, sample_rate=sample_rate)
        if len(activity):
            self.level_db = float(activity.level_db[-1])
        turns = [
            self._advance(loud, speech)
            for loud, speech in zip(activity.loud.tolist(), activity.speech.tolist(), strict=True)
        ]
        return [turn for turn in turns if turn is not None]

    def _advance(self, loud: bool, speech: bool) -> Turn | None:
        """Take the decision on one frame."""
        length = self.config.frame_length
        if speech and self._first is None:
            self._first = max(self._free, self._frame * length - self.config.margin_length, 0)
        self._frame += 1
        now = self._frame * length
        if loud:
            self._loud_frames += 1
            self.loud_end = now
        if self._first is None:
            return None
        if not speech:
            return self._shut(now)
        if not self.is_open:
            return self._open(now)
        if self._frame - self._since >= self.config.longest_frames:
            self._since = self._frame
            return Turn("cut", now, now, self.loud_end)
        return None

    def _open(self, now: int) -> Turn | None:
        if self._loud_frames < self.config.shortest_frames:
            return None
        self.is_open, self._since = True, self._frame
        return Turn("open", now, self._first, self.loud_end)

    def _shut(self, now: int) -> Turn | None:
        was_open, self.is_open = self.is_open, False
        self._first, self._loud_frames = None, 0
        if not was_open:
            self.ignored += 1
            return None
        self._free = now
        return Turn("shut", now, now, self.loud_end)
