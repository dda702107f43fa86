"""Chunks in, words out: the recogniser of single words, run on sound that is still coming."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from asrlib.streaming.activity import EndPointer, Segment, VadConfig
from asrlib.streaming.chunks import check_chunk, refuse_finished
from asrlib.streaming.load import Load
from asrlib.streaming.ring import RingBuffer

if TYPE_CHECKING:  # recognisers come in as arguments; they import this package to find where words end
    from asrlib.recognizer import Recognizer, Transcript

__all__ = ["StreamingRecognizer", "Word"]

_PIECE_SECONDS = 0.1  # a longer chunk is taken in pieces of this length, so that the ring can stay short


@dataclasses.dataclass(frozen=True)
class Word:
    """A word that a `StreamingRecognizer` heard.

    Parameters
    ----------
    text : str
        The most probable word.
    probability : float
        Its probability, from 0 to 1.
    start, stop : float
        Seconds since the stream began: the segment that was transcribed.
    certain : float
        When its end was certain, in seconds since the stream began.
    heard : float
        How much of the stream had come when the word was given, in seconds: `certain`, and the rest of the
        chunk in which that fell.
    compute_ms : float
        Time that the machine took, in ms, from the call with the last piece of its sound to the answer.
    transcript : Transcript
        All that the recogniser says about the segment.

    Examples
    --------
    >>> from asrlib.recognizer import Transcript
    >>> transcript = Transcript("7", 0.97, {"7": 0.97, "1": 0.03}, 0.5, 2.5, (0.0, 0.5))
    >>> word = Word("7", 0.97, 0.4, 0.9, certain=1.05, heard=1.1, compute_ms=2.7, transcript=transcript)
    >>> round(word.waiting_ms), round(word.latency_ms, 1)
    (200, 202.7)

    Lesson: 09
    """

    text: str
    probability: float
    start: float
    stop: float
    certain: float
    heard: float
    compute_ms: float
    transcript: Transcript = dataclasses.field(repr=False)

    @property
    def waiting_ms(self) -> float:
        """Time from the end of the word until its end was certain and the chunk was full, in ms."""
        return 1000 * (self.heard - self.stop)

    @property
    def latency_ms(self) -> float:
        """Time from the end of the word to the answer, in ms: waiting and computing."""
        return self.waiting_ms + self.compute_ms


class StreamingRecognizer:
    """Listen to chunks of any size, and write down each word as soon as its end is certain.

    The sound goes into a `RingBuffer`, an `EndPointer` finds where words begin and end, and each segment is
    transcribed: with the very answer that ``recognizer.transcribe`` gives for that part of the recording.
    Memory does not grow.

    A machine may be too slow for the sound that comes. Computing for longer than a chunk lasts leaves the
    next one waiting: the backlog is ``max(0, backlog + computing - sound)`` after every chunk, in seconds.
    When it passes `patience_seconds`, `late` counts the chunk, and one warning says so. Every chunk is heard
    to its end all the same.

    Parameters
    ----------
    recognizer : Recognizer
        Or any object with ``features`` (a FeatureConfig) and ``transcribe(samples)``.
    vad : VadConfig, optional
        How words are told from pauses; the defaults at the recogniser's rate when left out.
    patience_seconds : float
        Backlog from which on the machine counts as too slow.
    clock : callable
        Gives the time in seconds. A test, or a lesson, can pass a clock that shows a slow machine.

    Attributes
    ----------
    ignored : int
        Sounds too short to be words.
    late : int
        Chunks after which the backlog was above `patience_seconds`.
    backlog_seconds : float
        By how much computing lies behind the sound.
    compute_seconds : float
        Time spent computing since the stream began.

    Raises
    ------
    ValueError
        When the settings do not fit the recogniser.

    Examples
    --------
    >>> from asrlib.recognizer import Recognizer
    >>> listener = StreamingRecognizer(Recognizer.default())
    >>> listener.push(np.zeros(1600, np.float32))
    []
    >>> listener.seconds, listener.late
    (0.1, 0)

    References
    ----------
    .. [1] D. V. Lindley, "The theory of queues with a single server", Mathematical Proceedings of the
       Cambridge Philosophical Society 48 (2), 1952, pp. 277-289 (the recursion of the backlog).
       https://doi.org/10.1017/S0305004100027638

    Lesson: 09
    """

    def __init__(
        self,
        recognizer: Recognizer,
        *,
        vad: VadConfig | None = None,
        patience_seconds: float = 0.5,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        rate = recognizer.features.sample_rate
        self.recognizer, self.clock = recognizer, clock
        self.vad = vad or VadConfig(sample_rate=rate)
        self._load = Load(patience_seconds=patience_seconds, clock=clock)
        _refuse_misfit(recognizer, self.vad)
        # The longest segment with both margins, and what comes until its end is certain.
        longest = self.vad.longest_seconds + self.vad.hang_over_seconds + 2 * self.vad.margin_seconds
        self._ring = RingBuffer(longest + 2 * _PIECE_SECONDS, sample_rate=rate)
        self._pointer = EndPointer(self.vad)
        self.reset()

    def reset(self) -> None:
        """Forget the stream, its noise floor and its counters, and begin another.

        Examples
        --------
        >>> from asrlib.recognizer import Recognizer
        >>> listener = StreamingRecognizer(Recognizer.default())
        >>> listener.flush()
        []
        >>> listener.reset()
        >>> listener.push(np.zeros(1600, np.float32))
        []

        Lesson: 09
        """
        self._ring.reset()
        self._pointer.reset()
        self._load.reset()
        self._finished = False

    def __repr__(self) -> str:
        return (
            f"StreamingRecognizer({self.seconds:.2f} s heard, {self.compute_seconds:.2f} s of computing, "
            f"backlog {self.backlog_seconds:.2f} s, {self.late} late, {self.ignored} ignored)"
        )

    @property
    def seconds(self) -> float:
        """Length of the stream so far, in seconds."""
        return self._ring.stop

    @property
    def ignored(self) -> int:
        """Sounds too short to be words, since the stream began."""
        return self._pointer.ignored

    @property
    def late(self) -> int:
        """Chunks after which the backlog was above `patience_seconds`."""
        return self._load.late

    @property
    def backlog_seconds(self) -> float:
        """By how much computing lies behind the sound, in seconds."""
        return self._load.backlog_seconds

    @property
    def compute_seconds(self) -> float:
        """Time spent computing since the stream began, in seconds."""
        return self._load.compute_seconds

    @property
    def patience_seconds(self) -> float:
        """Backlog from which on the machine counts as too slow."""
        return self._load.patience_seconds

    @property
    def real_time_factor(self) -> float:
        """Seconds of computing for each second of sound; NaN before the first chunk."""
        return self.compute_seconds / self.seconds if self.seconds else float("nan")

    def push(self, chunk: np.ndarray, *, sample_rate: int | None = None) -> list[Word]:
        """Take a chunk, and give the words whose end it makes certain.

        Parameters
        ----------
        chunk : ndarray, shape (n_samples,)
            Float, within [-1, 1], any number of samples from 1 on.
        sample_rate : int, optional
            Of the chunk in Hz; when given it must be that of the recogniser.

        Returns
        -------
        list of Word
            In the order of time.

        Raises
        ------
        AudioError
            When the chunk is empty, not finite, or of the wrong shape, type, range or rate. The stream is
            then as it was.
        ValueError
            After `flush`.

        Warns
        -----
        RuntimeWarning
            Once in a stream, when the machine is too slow for it.

        Examples
        --------
        >>> from asrlib.recognizer import Recognizer
        >>> listener = StreamingRecognizer(Recognizer.default())
        >>> listener.push(np.zeros(1600, np.float32), sample_rate=8_000)
        Traceback (most recent call last):
        ...
        asrlib.errors.AudioError: A chunk at 8000 Hz came; this stream runs at 16000 Hz. ...

        Lesson: 09
        """
        began = self.clock()
        refuse_finished(self._finished)
        rate = self.vad.sample_rate
        chunk = check_chunk(chunk, sample_rate=sample_rate, expected=rate)
        heard = self._ring.stop + len(chunk) / rate
        words: list[Word] = []
        piece = max(1, round(_PIECE_SECONDS * rate))
        for start in range(0, len(chunk), piece):
            part = chunk[start : start + piece]
            piece_began = began if start == 0 else self.clock()
            self._ring.write(part)
            segments = self._pointer.push(part)
            words += [self._transcribe(segment, heard=heard, began=piece_began) for segment in segments]
            self._ring.forget(self._pointer.undecided)
        self._load.book(computing=self.clock() - began, sound=len(chunk) / rate)
        return words

    def flush(self) -> list[Word]:
        """End the stream, and give the word that its end completes, if there is any.

        Raises
        ------
        ValueError
            After an earlier `flush`.

        Examples
        --------
        >>> from asrlib.recognizer import Recognizer
        >>> StreamingRecognizer(Recognizer.default()).flush()
        []

        Lesson: 09
        """
        began = self.clock()
        refuse_finished(self._finished)
        self._finished = True
        segments = self._pointer.flush()
        words = [self._transcribe(segment, heard=self.seconds, began=began) for segment in segments]
        self._load.compute_seconds += self.clock() - began
        return words

    def listen(self, chunks: Iterable[np.ndarray]) -> Iterator[Word]:
        """Take chunks until there are no more, and give each word as soon as it is certain.

        Nothing is heard before the words are asked for, one by one, as a ``for`` loop does.

        Parameters
        ----------
        chunks : iterable of ndarray, each of shape (n_samples,)
            A microphone, or a recording cut into pieces.

        Yields
        ------
        Word

        Raises
        ------
        AudioError, ValueError
            As in `push`.

        Examples
        --------
        >>> quiet = [np.zeros(1600, np.float32)] * 3
        >>> from asrlib.recognizer import Recognizer
        >>> list(StreamingRecognizer(Recognizer.default()).listen(quiet))
        []

        Lesson: 09
        """
        for chunk in chunks:
            yield from self.push(chunk)
        yield from self.flush()

    def _transcribe(self, segment: Segment, *, heard: float, began: float) -> Word:
        transcript = self.recognizer.transcribe(self._ring.between(segment.start, segment.stop))
        return Word(
            text=transcript.text,
            probability=transcript.probability,
            start=segment.start,
            stop=segment.stop,
            certain=segment.certain,
            heard=heard,
            compute_ms=1000 * (self.clock() - began),
            transcript=transcript,
        )


def _refuse_misfit(recognizer: Recognizer, vad: VadConfig) -> None:
    config = recognizer.features
    if vad.sample_rate != config.sample_rate:
        raise ValueError(
            f"vad is for {vad.sample_rate} Hz, the recogniser for {config.sample_rate} Hz. Expected the "
            f"same: VadConfig(sample_rate={config.sample_rate})."
        )
    shortest = round(vad.shortest_frames * vad.frame_length)
    if config.n_frames(shortest) < 1:
        raise ValueError(
            f"vad lets segments of {shortest / vad.sample_rate:g} s pass, but the recogniser needs at least "
            f"one frame, {config.frame_length / config.sample_rate:g} s. Raise shortest_seconds."
        )
