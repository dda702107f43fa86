"""Who speaks when: voice activity by energy, and the end points of speech, as soon as they are certain."""

from __future__ import annotations

import bisect
import collections
import dataclasses
import math
from functools import cached_property

import numpy as np

from asrlib import audio
from asrlib.streaming.chunks import check_chunk, check_rate, positive, refuse_finished

__all__ = [
    "Activity",
    "EndPointer",
    "Segment",
    "VadConfig",
    "VoiceActivityDetector",
    "speech_segments",
    "voice_activity",
]

_LEAST_POWER = 1e-12  # -120 dB, so that silence has a level


@dataclasses.dataclass(frozen=True, kw_only=True)
class VadConfig:
    """How speech is told from its background by its level, checked when it is made.

    Parameters
    ----------
    sample_rate : int
        Samples per second.
    frame_seconds : float
        From one decision to the next.
    smoothing_seconds : float
        Over how long the level is measured, up to the end of each frame: longer than the pitch period of a
        low voice, shorter than a sound of speech.
    floor_seconds : float
        Over how long the noise floor is taken. A noise that lasts so long is background.
    floor_share : float
        The floor is the level that this share of these frames does not pass: from 0, the quietest, to below
        1.
    least_floor_db : float
        The floor is never lower, in dB re full scale: after digital silence not every rustle is speech.
    on_db, off_db : float
        Speech begins this far above the floor, and lasts down to this far above it, in dB. The gap between
        the two (hysteresis) keeps a level near the threshold from switching to and fro.
    hang_over_seconds : float
        Speech goes on for so long after its last loud frame: the closures in "six" and "eight" are silent.
        No end point can be certain sooner.
    shortest_seconds : float
        A stretch with loud frames for less than this is a click, not speech.
    longest_seconds : float
        A stretch that lasts so long is cut there, so that memory is bounded; what follows is the next one.
    margin_seconds : float
        What a segment keeps before its first and after its last loud frame, for weak consonants.

    Raises
    ------
    ValueError
        When settings contradict each other. The message says which, and what to change.

    Examples
    --------
    >>> VadConfig(hang_over_seconds=0.3).hang_over_frames
    30

    References
    ----------
    .. [1] L. Rabiner, M. Sambur, "An algorithm for determining the endpoints of isolated utterances", Bell
       System Technical Journal 54 (2), 1975, pp. 297-315.
    .. [2] R. Martin, "Noise power spectral density estimation based on optimal smoothing and minimum
       statistics", IEEE Transactions on Speech and Audio Processing 9 (5), 2001, pp. 504-512 (a floor from
       the quietest of the last seconds). https://doi.org/10.1109/89.928915

    Lesson: 09
    """

    sample_rate: int = audio.SAMPLE_RATE
    frame_seconds: float = 0.010
    smoothing_seconds: float = 0.030
    floor_seconds: float = 3.0
    floor_share: float = 0.1
    least_floor_db: float = -65.0
    on_db: float = 8.0
    off_db: float = 4.0
    hang_over_seconds: float = 0.20
    shortest_seconds: float = 0.05
    longest_seconds: float = 10.0
    margin_seconds: float = 0.05

    def __post_init__(self) -> None:
        check_rate(self.sample_rate)
        for field in dataclasses.fields(self):
            if field.name.endswith("_seconds") and field.name != "margin_seconds":
                positive(field.name, getattr(self, field.name), unit="seconds")
        if self.frame_length < 1:
            raise ValueError(
                f"frame_seconds={self.frame_seconds} came, less than a sample at "
                f"{self.sample_rate} Hz. Raise it."
            )
        if not 0 <= self.floor_share < 1:
            raise ValueError(f"floor_share={self.floor_share!r} came. Expected from 0 to below 1.")
        if not 0 < self.off_db <= self.on_db < math.inf:
            raise ValueError(
                f"on_db={self.on_db!r} and off_db={self.off_db!r} came. Expected numbers above 0, and "
                "off_db at most on_db: speech ends below the level at which it begins."
            )
        if not -math.inf < self.least_floor_db < 0:
            raise ValueError(f"least_floor_db={self.least_floor_db!r} came. Expected a level below 0 dB.")
        if not 0 <= self.margin_seconds <= self.hang_over_seconds:
            raise ValueError(
                f"margin_seconds={self.margin_seconds!r} came. Expected from 0 to hang_over_seconds="
                f"{self.hang_over_seconds}: when an end is certain, no more than that was heard after it."
            )
        if self.longest_seconds < self.shortest_seconds + self.hang_over_seconds + 2 * self.margin_seconds:
            raise ValueError(
                f"longest_seconds={self.longest_seconds!r} came. Expected room for the shortest speech, its "
                "hang-over and two margins; raise it."
            )

    @cached_property
    def frame_length(self) -> int:
        """Samples in one frame."""
        return round(self.frame_seconds * self.sample_rate)

    @cached_property
    def smoothing_frames(self) -> int:
        """Frames over which the level is measured."""
        return self._frames(self.smoothing_seconds)

    @cached_property
    def floor_frames(self) -> int:
        """Frames over which the noise floor is taken."""
        return self._frames(self.floor_seconds)

    @cached_property
    def hang_over_frames(self) -> int:
        """Quiet frames after which speech has ended."""
        return self._frames(self.hang_over_seconds)

    @cached_property
    def shortest_frames(self) -> int:
        """Loud frames that make speech."""
        return self._frames(self.shortest_seconds)

    @cached_property
    def longest_frames(self) -> int:
        """Frames after which speech is cut."""
        return self._frames(self.longest_seconds)

    @cached_property
    def margin_length(self) -> int:
        """Samples kept before and after the loud frames."""
        return round(self.margin_seconds * self.sample_rate)

    def _frames(self, seconds: float) -> int:
        return max(1, round(seconds * self.sample_rate / self.frame_length))


@dataclasses.dataclass(frozen=True)
class Activity:
    """What a `VoiceActivityDetector` decided, one value for each frame.

    Frame i ends at ``(i + 1) * frame_seconds`` and is decided by what was heard up to then.

    Parameters
    ----------
    level_db, floor_db : ndarray, shape (n_frames,)
        Level of the sound and of the noise floor, in dB re full scale, float64.
    loud : ndarray of bool, shape (n_frames,)
        Whether the level stands out from the floor, with hysteresis.
    speech : ndarray of bool, shape (n_frames,)
        The same with the hang-over.

    Examples
    --------
    >>> activity = voice_activity(np.zeros(16_000, np.float32))
    >>> len(activity.speech), activity.speech.any()
    (100, np.False_)

    Lesson: 09
    """

    level_db: np.ndarray
    floor_db: np.ndarray
    loud: np.ndarray
    speech: np.ndarray

    def __len__(self) -> int:
        """Count the frames."""
        return len(self.speech)


@dataclasses.dataclass(frozen=True)
class Segment:
    """A stretch of speech.

    Parameters
    ----------
    start, stop : float
        Seconds since the stream began, margins included.
    certain : float
        When its end was certain, in seconds since the stream began: the sound up to then had to be heard.
    cut : bool
        Whether it was still going on and was cut because it had lasted `longest_seconds`.

    Examples
    --------
    >>> Segment(0.4, 0.9, certain=1.05).seconds
    0.5

    Lesson: 09
    """

    start: float
    stop: float
    certain: float
    cut: bool = False

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.stop - self.start


class VoiceActivityDetector:
    """Say of each frame whether somebody speaks, from chunks of any size.

    The level of the last `smoothing_seconds` is compared with a noise floor, a low percentile of the levels
    of the last `floor_seconds`. Loud is what passes the floor by `on_db`, and after that by `off_db`
    (hysteresis); speech lasts until nothing was loud for `hang_over_seconds` (hang-over). No frame waits for
    a later one, so the decisions do not depend on the chunks.

    Energy alone cannot tell speech from a slammed door. That is the limit of the method, and its charm: it
    costs next to nothing.

    Parameters
    ----------
    config : VadConfig, optional
        Settings; the defaults when left out.

    Examples
    --------
    >>> tone = 0.1 * np.sin(np.arange(8_000, dtype=np.float32))
    >>> sound = np.concatenate([np.zeros(8_000, np.float32), tone, np.zeros(8_000, np.float32)])
    >>> detector = VoiceActivityDetector()
    >>> parts = [detector.push(sound[start : start + 1000]) for start in range(0, 24_000, 1000)]
    >>> speech = np.concatenate([part.speech for part in parts])
    >>> int(speech.argmax()), int(speech.sum())
    (50, 71)

    References
    ----------
    .. [1] L. Rabiner, M. Sambur, "An algorithm for determining the endpoints of isolated utterances", Bell
       System Technical Journal 54 (2), 1975, pp. 297-315.

    Lesson: 09
    """

    def __init__(self, config: VadConfig | None = None) -> None:
        self.config = config or VadConfig()
        self.reset()

    def reset(self) -> None:
        """Forget the stream, its noise floor too, and begin another.

        Examples
        --------
        >>> detector = VoiceActivityDetector()
        >>> _ = detector.push(np.zeros(1600, np.float32))
        >>> detector.reset()
        >>> detector.n_frames
        0

        Lesson: 09
        """
        self.n_frames = 0
        self._rest = np.empty(0, np.float32)  # samples of a frame that is not whole yet
        self._powers: collections.deque[float] = collections.deque(maxlen=self.config.smoothing_frames)
        self._levels: collections.deque[float] = collections.deque()
        self._sorted: list[float] = []  # the same levels in order, so that a percentile is one look
        self._loud = False
        self._quiet_frames = self.config.hang_over_frames

    def push(self, chunk: np.ndarray, *, sample_rate: int | None = None) -> Activity:
        """Take a chunk, and decide on the frames that it completes.

        Parameters
        ----------
        chunk : ndarray, shape (n_samples,)
            Float, within [-1, 1], any number of samples from 1 on.
        sample_rate : int, optional
            Of the chunk in Hz; when given it must be that of the configuration.

        Returns
        -------
        Activity
            Often without a single frame.

        Raises
        ------
        AudioError
            When the chunk is empty, not finite, or of the wrong shape, type, range or rate. The stream is
            then as it was.

        Examples
        --------
        >>> detector = VoiceActivityDetector()
        >>> len(detector.push(np.zeros(159, np.float32))), len(detector.push(np.zeros(1, np.float32)))
        (0, 1)

        Lesson: 09
        """
        chunk = check_chunk(chunk, sample_rate=sample_rate, expected=self.config.sample_rate)
        samples = np.concatenate([self._rest, chunk])
        length = self.config.frame_length
        n_frames = len(samples) // length
        self._rest = samples[n_frames * length :].copy()
        blocks = samples[: n_frames * length].reshape(n_frames, length)
        powers = np.square(blocks, dtype=np.float64).mean(axis=1).tolist()
        decided = [self._decide(power) for power in powers]
        level, floor, loud, speech = zip(*decided, strict=True) if decided else ((), (), (), ())
        return Activity(np.array(level), np.array(floor), np.array(loud, bool), np.array(speech, bool))

    def _decide(self, power: float) -> tuple[float, float, bool, bool]:
        config = self.config
        self.n_frames += 1
        self._powers.append(power)
        level = 10 * math.log10(max(sum(self._powers) / len(self._powers), _LEAST_POWER))
        floor = max(self._floor(level), config.least_floor_db)
        self._loud = level >= floor + (config.off_db if self._loud else config.on_db)
        self._quiet_frames = 0 if self._loud else min(self._quiet_frames + 1, config.hang_over_frames)
        return level, floor, self._loud, self._quiet_frames < config.hang_over_frames

    def _floor(self, level: float) -> float:
        """Take up the level of the newest frame, and give the percentile of those of the last seconds."""
        if len(self._levels) == self.config.floor_frames:
            del self._sorted[bisect.bisect_left(self._sorted, self._levels.popleft())]
        self._levels.append(level)
        bisect.insort(self._sorted, level)
        return self._sorted[int(self.config.floor_share * len(self._sorted))]


class EndPointer:
    """Give stretches of speech with their start and stop, each as soon as its end is certain.

    An end is certain after a hang-over without a loud frame. Stretches that are too short to be speech are
    left out and counted in `ignored`; stretches that will not end are cut, and say so.

    Parameters
    ----------
    config : VadConfig, optional
        Settings; the defaults when left out.

    Attributes
    ----------
    ignored : int
        Stretches since the stream began that had loud frames for less than `shortest_seconds`.

    Examples
    --------
    >>> tone = 0.1 * np.sin(np.arange(8_000, dtype=np.float32))
    >>> pause = np.zeros(8_000, np.float32)
    >>> pointer = EndPointer()
    >>> pointer.push(np.concatenate([pause, tone]))
    []
    >>> pointer.push(pause)
    [Segment(start=0.45, stop=1.07, certain=1.22, cut=False)]

    References
    ----------
    .. [1] L. Rabiner, M. Sambur, "An algorithm for determining the endpoints of isolated utterances", Bell
       System Technical Journal 54 (2), 1975, pp. 297-315.

    Lesson: 09
    """

    def __init__(self, config: VadConfig | None = None) -> None:
        self.config = config or VadConfig()
        self.detector = VoiceActivityDetector(self.config)
        self.reset()

    def reset(self) -> None:
        """Forget the stream and begin another.

        Examples
        --------
        >>> pointer = EndPointer()
        >>> pointer.flush()
        []
        >>> pointer.reset()
        >>> pointer.push(np.zeros(1600, np.float32))
        []

        Lesson: 09
        """
        self.detector.reset()
        self.ignored = 0
        self._n_samples = 0
        self._frame = 0  # of the next decision
        self._first: int | None = None  # sample at which the current stretch starts, margin included
        self._first_frame = 0  # frame from which its length counts
        self._loud_frames = 0
        self._loud_end = 0  # sample after the last loud frame
        self._free = 0  # sample from which on no segment has been given yet
        self._finished = False

    @property
    def undecided(self) -> float:
        """Seconds since the stream began before which every segment has been given.

        What was heard before may be forgotten; what came after may still belong to a segment.
        """
        first = self._first
        if first is None:
            first = max(self._free, self._frame * self.config.frame_length - self.config.margin_length, 0)
        return first / self.config.sample_rate

    def push(self, chunk: np.ndarray, *, sample_rate: int | None = None) -> list[Segment]:
        """Take a chunk, and give the segments whose end it makes certain.

        Parameters
        ----------
        chunk : ndarray, shape (n_samples,)
            Float, within [-1, 1], any number of samples from 1 on.
        sample_rate : int, optional
            Of the chunk in Hz; when given it must be that of the configuration.

        Returns
        -------
        list of Segment
            In the order of time; they never overlap.

        Raises
        ------
        AudioError
            When the chunk is empty, not finite, or of the wrong shape, type, range or rate. The stream is
            then as it was.
        ValueError
            After `flush`.

        Examples
        --------
        >>> EndPointer().push(np.zeros(16_000, np.float32), sample_rate=16_000)
        []

        Lesson: 09
        """
        refuse_finished(self._finished)
        activity = self.detector.push(chunk, sample_rate=sample_rate)
        self._n_samples += len(chunk)
        found = [
            self._advance(loud, speech)
            for loud, speech in zip(activity.loud.tolist(), activity.speech.tolist(), strict=True)
        ]
        return [segment for segment in found if segment is not None]

    def flush(self) -> list[Segment]:
        """End the stream, and give the segment that its end completes, if there is any.

        Raises
        ------
        ValueError
            After an earlier `flush`.

        Examples
        --------
        >>> pointer = EndPointer()
        >>> word = np.concatenate([np.zeros(1600), 0.1 * np.sin(np.arange(1600))])
        >>> pointer.push(word), len(pointer.flush())
        ([], 1)

        Lesson: 09
        """
        refuse_finished(self._finished)
        self._finished = True
        segment = None if self._first is None else self._end(certain=self._n_samples)
        return [] if segment is None else [segment]

    def _advance(self, loud: bool, speech: bool) -> Segment | None:
        """Take the decision on one frame."""
        length = self.config.frame_length
        if speech and self._first is None:
            self._first = max(self._free, self._frame * length - self.config.margin_length)
            self._first_frame = self._frame
        self._frame += 1
        now = self._frame * length
        if loud:
            self._loud_frames += 1
            self._loud_end = now
        if self._first is None:
            return None
        if not speech:
            return self._end(certain=now)
        if self._frame - self._first_frame >= self.config.longest_frames:
            return self._cut(now)
        return None

    def _end(self, *, certain: int) -> Segment | None:
        stop = min(self._loud_end + self.config.margin_length, self._n_samples)
        return self._close(stop, certain=certain, cut=False)

    def _cut(self, now: int) -> Segment | None:
        segment = self._close(now, certain=now, cut=True)
        self._first, self._first_frame, self._loud_end = now, self._frame, now
        return segment

    def _close(self, stop: int, *, certain: int, cut: bool) -> Segment | None:
        first, loud_frames, rate = self._first, self._loud_frames, self.config.sample_rate
        self._first, self._loud_frames = None, 0
        if loud_frames < self.config.shortest_frames:
            self.ignored += loud_frames > 0
            return None
        self._free = stop
        return Segment(first / rate, stop / rate, certain / rate, cut)


def voice_activity(samples: np.ndarray, config: VadConfig | None = None) -> Activity:
    """Say of each frame of a recording whether somebody speaks.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        Float, within [-1, 1].
    config : VadConfig, optional
        Settings; the defaults when left out.

    Returns
    -------
    Activity
        One decision for each whole frame.

    Raises
    ------
    AudioError
        When the recording is empty, not finite, or of the wrong shape, type or range.

    Examples
    --------
    >>> sound = np.zeros(16_000, np.float32)
    >>> sound[4_000:12_000] = 0.1 * np.sin(np.arange(8_000))
    >>> float(voice_activity(sound).loud.mean())
    0.52

    Lesson: 09
    """
    return VoiceActivityDetector(config).push(samples)


def speech_segments(samples: np.ndarray, config: VadConfig | None = None) -> list[Segment]:
    """List the stretches of speech in a recording.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        Float, within [-1, 1].
    config : VadConfig, optional
        Settings; the defaults when left out.

    Returns
    -------
    list of Segment
        In the order of time; they never overlap.

    Raises
    ------
    AudioError
        When the recording is empty, not finite, or of the wrong shape, type or range.

    Examples
    --------
    >>> sound = np.zeros(16_000, np.float32)
    >>> sound[4_000:12_000] = 0.1 * np.sin(np.arange(8_000))
    >>> [(segment.start, segment.stop) for segment in speech_segments(sound)]
    [(0.2, 0.82)]

    Lesson: 09
    """
    pointer = EndPointer(config)
    return pointer.push(samples) + pointer.flush()
