"""Chunks in, text out: a recogniser of strings that writes each word while the sound is still coming."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from asrlib.decoding import BLANK
from asrlib.features import FeatureConfig
from asrlib.streaming.activity import VadConfig
from asrlib.streaming.chunks import check_chunk, refuse_finished
from asrlib.streaming.frames import RunningNormalizer, StreamingFeatures
from asrlib.streaming.gate import SpeechGate, Turn
from asrlib.streaming.load import Load
from asrlib.streaming.look_ahead import LookAheadStream
from asrlib.streaming.ring import RingBuffer

if TYPE_CHECKING:
    from asrlib.string_recognizer import StringRecognizer

__all__ = ["Heard", "ScoreStream", "StringListener"]

_PIECE_SECONDS = 0.1  # a longer chunk is taken in pieces of this length, so that the ring can stay short
LISTENING = {"hang_over_seconds": 0.6, "margin_seconds": 0.2, "longest_seconds": 30.0}
"""How a `StringListener` tells speech from pauses, where that differs from `VadConfig`.

A line of text ends after a pause that is longer than those within it, and begins before its first consonant.
"""


class ScoreStream(Protocol):
    """A network that takes frames as they come: what `StringListener` asks of its `stream`.

    Lesson: 09
    """

    def push(self, frames: np.ndarray) -> np.ndarray:
        """Take features, give the log-probabilities (n_steps, n_classes) of the steps they complete."""
        ...

    def flush(self) -> np.ndarray:
        """End the stream and give what is left of it."""
        ...

    def reset(self) -> None:
        """Forget the stream and begin another."""
        ...


@dataclasses.dataclass(frozen=True)
class Heard:
    """What a `StringListener` has to tell: a word, or the end of a line of them.

    Parameters
    ----------
    kind : str
        "word", or "end".
    text : str
        The word; at an "end" all words of the line, with spaces between them.
    probability : float
        From 0 to 1: of the word, at the step that decided it; at an "end" the product over its words.
    start, stop : float
        Seconds since the stream began. Of a word, where the network's step that decided it begins and ends in
        the sound: a network spikes late in a word or shortly after it, so this is a position and no extent.
        At an "end", where the line begins, with its margin, and the end of its last loud frame.
    heard : float
        How much of the stream had come when this was told, in seconds.
    compute_ms : float
        Time that the machine took, in ms, from the call with the last piece of its sound to this answer.
    line : int
        Which line it belongs to, counted from 0.
    cut : bool
        At an "end": whether somebody was still speaking, and the line had become too long.
    scores : ndarray, shape (n_steps, n_classes), optional
        At an "end": the log-probabilities of its steps.

    Examples
    --------
    >>> word = Heard("word", "7", 0.97, 0.80, 0.86, heard=0.9, compute_ms=1.5, line=0)
    >>> round(word.waiting_ms), round(word.latency_ms, 1)
    (40, 41.5)

    Lesson: 09
    """

    kind: str
    text: str
    probability: float
    start: float
    stop: float
    heard: float
    compute_ms: float
    line: int
    cut: bool = False
    scores: np.ndarray | None = dataclasses.field(default=None, repr=False, compare=False)

    @property
    def waiting_ms(self) -> float:
        """Time from `stop` until enough sound had come to tell, in ms."""
        return 1000 * (self.heard - self.stop)

    @property
    def latency_ms(self) -> float:
        """Time from `stop` to the answer, in ms: waiting and computing."""
        return self.waiting_ms + self.compute_ms


class StringListener:
    """Listen to chunks of any size, and write down each word as soon as the network decides on it.

    While nobody speaks only the level is watched. When a `SpeechGate` opens, the sound from shortly before
    comes back out of a `RingBuffer`, and from then on every chunk becomes frames (`StreamingFeatures`), the
    frames become log-probabilities (the network, with its state carried along), and these become words: one
    whenever a label is the most probable class that was not so one step before. That is `decoding.greedy`,
    which never takes back what it has written. When the gate shuts, the line ends and the network rests.

    The log-probabilities of a line are those of the network on that part of the recording at once, up to
    rounding, whatever the chunks were. Memory does not grow.

    A machine may be too slow for the sound that comes. Nothing is dropped then: words come later,
    `backlog_seconds` says by how much, and one warning says so (see `Load`).

    Parameters
    ----------
    recognizer : StringRecognizer
        Or any object with ``features`` (a FeatureConfig), ``labels``, ``step_seconds`` and ``network`` whose
        ``stream()`` gives a `ScoreStream`.
    stream : ScoreStream, optional
        What computes the log-probabilities, such as a network that was exported. When left out it is
        ``recognizer.network.stream()``, or a `LookAheadStream` where the network is not causal.
    vad : VadConfig, optional
        How speech is told from pauses; `LISTENING` at the recogniser's rate when left out.
    gated : bool
        Whether the network rests in pauses and begins each line anew. If not, it hears the whole stream;
        lines end at pauses all the same.
    look_ahead_seconds, block_seconds : float, optional
        Of the `LookAheadStream`, if the network reads backwards too; its defaults when left out.
    blank_bias : float
        Taken away from the blank's log-probability, in nats. Above 0 words are decided sooner and more
        readily.
    patience_seconds : float
        Backlog from which on the machine counts as too slow.
    clock : callable
        Gives the time in seconds. A test, or a lesson, can pass a clock that shows a slow machine.

    Attributes
    ----------
    words : list of Heard
        Of the line so far.

    Raises
    ------
    ValueError
        When the settings do not fit the recogniser.

    Examples
    --------
    >>> from asrlib import datasets
    >>> from asrlib.string_recognizer import StringRecognizer
    >>> sound = np.append(datasets.strings("validation")[1].samples, np.zeros(16_000, np.float32))
    >>> listener = StringListener(StringRecognizer.default())
    >>> told = [one for start in range(0, len(sound), 1600) for one in listener.push(sound[start:][:1600])]
    >>> [one.kind for one in told].count("end"), told[-1].text == listener.text
    (1, True)

    References
    ----------
    .. [1] A. Graves, S. Fernández, F. Gomez, J. Schmidhuber, "Connectionist Temporal Classification",
       ICML 2006, section 3.2 (best path decoding).

    Lesson: 09
    """

    def __init__(
        self,
        recognizer: StringRecognizer,
        *,
        stream: ScoreStream | None = None,
        vad: VadConfig | None = None,
        gated: bool = True,
        look_ahead_seconds: float | None = None,
        block_seconds: float | None = None,
        blank_bias: float = 0.0,
        patience_seconds: float = 0.5,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        config: FeatureConfig = recognizer.features
        self.recognizer, self.clock, self.gated = recognizer, clock, gated
        self.vad = vad or VadConfig(sample_rate=config.sample_rate, **LISTENING)
        if self.vad.sample_rate != config.sample_rate:
            raise ValueError(
                f"vad is for {self.vad.sample_rate} Hz, the recogniser for {config.sample_rate} Hz. Expected "
                f"the same: VadConfig(sample_rate={config.sample_rate})."
            )
        if not math.isfinite(blank_bias):
            raise ValueError(f"blank_bias={blank_bias!r} came. Expected a finite number of nats.")
        self.blank_bias = float(blank_bias)
        self._load = Load(patience_seconds=patience_seconds, clock=clock)
        self._gate = SpeechGate(self.vad)
        self._ring = RingBuffer(
            self._gate.longest_wait + 2 * _PIECE_SECONDS, sample_rate=config.sample_rate
        )
        self._features = StreamingFeatures(dataclasses.replace(config, normalization="none"))
        self._normalizer = (
            None
            if config.normalization == "none"
            else RunningNormalizer(config.normalization, hop_seconds=config.hop_seconds)
        )
        times = {"look_ahead_seconds": look_ahead_seconds, "block_seconds": block_seconds}
        self._stream = stream if stream is not None else _stream_of(recognizer, **times)
        self._step_frames = round(recognizer.step_seconds / config.hop_seconds)
        self._most_steps = math.ceil(self.vad.longest_seconds / recognizer.step_seconds)
        self.reset()

    def reset(self) -> None:
        """Forget the stream, its noise floor and its counters, and begin another.

        Examples
        --------
        >>> from asrlib.string_recognizer import StringRecognizer
        >>> listener = StringListener(StringRecognizer.streaming())
        >>> listener.flush()
        []
        >>> listener.reset()
        >>> listener.push(np.zeros(1600, np.float32))
        []

        Lesson: 09
        """
        self._load.reset()
        self._gate.reset()
        self._ring.reset()
        if self._normalizer is not None:
            self._normalizer.reset()
        self._finished = False
        self._line = 0
        self.words: list[Heard] = []
        self._scores: list[np.ndarray] = []
        self._silent_lines = 0
        self._listening = False
        self._fed = 0  # samples of the stream up to which the network has heard
        if not self.gated:
            self._begin(0)

    def __repr__(self) -> str:
        state = f"writing {self.text!r}" if self.speaking else "waiting for speech"
        return (
            f"StringListener({self.seconds:.2f} s heard, {state}, {self.compute_seconds:.2f} s of computing, "
            f"backlog {self.backlog_seconds:.2f} s, {self.late} late, {self.ignored} ignored)"
        )

    # -- what it knows at any moment -------------------------------------------------------------------------

    @property
    def text(self) -> str:
        """The line so far; after its end the whole of it, until the next one begins."""
        return " ".join(word.text for word in self.words)

    @property
    def scores(self) -> np.ndarray:
        """Log-probabilities of the line so far, shape (n_steps, n_classes)."""
        if not self._scores:
            return np.empty((0, len(self.recognizer.labels) + 1), np.float32)
        self._scores = [np.concatenate(self._scores)]
        return self._scores[0]

    @property
    def seconds(self) -> float:
        """Length of the stream so far, in seconds."""
        return self._ring.stop

    @property
    def level_db(self) -> float:
        """Level of the newest 30 ms, in dB re full scale."""
        return self._gate.level_db

    @property
    def speaking(self) -> bool:
        """Whether somebody speaks, or did so a moment ago."""
        return self._gate.is_open

    @property
    def ignored(self) -> int:
        """Sounds since the stream began that were too short for speech, or in which no word was found."""
        return self._gate.ignored + self._silent_lines

    @property
    def backlog_seconds(self) -> float:
        """By how much computing lies behind the sound, in seconds."""
        return self._load.backlog_seconds

    @property
    def compute_seconds(self) -> float:
        """Time spent computing since the stream began, in seconds."""
        return self._load.compute_seconds

    @property
    def late(self) -> int:
        """Chunks after which the backlog was above `patience_seconds`."""
        return self._load.late

    @property
    def real_time_factor(self) -> float:
        """Seconds of computing for each second of sound; NaN before the first chunk."""
        return self.compute_seconds / self.seconds if self.seconds else float("nan")

    # -- listening -------------------------------------------------------------------------------------------

    def push(self, chunk: np.ndarray, *, sample_rate: int | None = None) -> list[Heard]:
        """Take a chunk, and tell what it decides.

        Parameters
        ----------
        chunk : ndarray, shape (n_samples,)
            Float, within [-1, 1], any number of samples from 1 on.
        sample_rate : int, optional
            Of the chunk in Hz; when given it must be that of the recogniser.

        Returns
        -------
        list of Heard
            In the order of time; often empty.

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
        >>> from asrlib.string_recognizer import StringRecognizer
        >>> listener = StringListener(StringRecognizer.streaming())
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
        told: list[Heard] = []
        piece = max(1, round(_PIECE_SECONDS * rate))
        for start in range(0, len(chunk), piece):
            part = chunk[start : start + piece]
            piece_began = began if start == 0 else self.clock()
            told += self._take(part, _Moment(self.clock, heard=heard, began=piece_began))
        self._load.book(computing=self.clock() - began, sound=len(chunk) / rate)
        return told

    def flush(self) -> list[Heard]:
        """End the stream, and tell what its end decides.

        Raises
        ------
        ValueError
            After an earlier `flush`.

        Examples
        --------
        >>> from asrlib.string_recognizer import StringRecognizer
        >>> StringListener(StringRecognizer.streaming()).flush()
        []

        Lesson: 09
        """
        moment = _Moment(self.clock, heard=self.seconds, began=self.clock())
        refuse_finished(self._finished)
        self._finished = True
        told: list[Heard] = []
        if self._listening:
            end = round(self.seconds * self.vad.sample_rate)
            told = self._end(Turn("shut", end, end, min(self._gate.loud_end, end)), moment)
        self._load.compute_seconds += self.clock() - moment.began
        return told

    def listen(self, chunks: Iterable[np.ndarray]) -> Iterator[Heard]:
        """Take chunks until there are no more, and tell each thing as soon as it is certain.

        Nothing is heard before the words are asked for, one by one, as a ``for`` loop does.

        Parameters
        ----------
        chunks : iterable of ndarray, each of shape (n_samples,)
            A microphone, or a recording cut into pieces.

        Yields
        ------
        Heard

        Raises
        ------
        AudioError, ValueError
            As in `push`.

        Examples
        --------
        >>> from asrlib.string_recognizer import StringRecognizer
        >>> quiet = [np.zeros(1600, np.float32)] * 3
        >>> list(StringListener(StringRecognizer.streaming()).listen(quiet))
        []

        Lesson: 09
        """
        for chunk in chunks:
            yield from self.push(chunk)
        yield from self.flush()

    # -- from the gate to the network to words ---------------------------------------------------------------

    def _take(self, part: np.ndarray, moment: _Moment) -> list[Heard]:
        """Take a piece that the ring has room for."""
        told: list[Heard] = []
        self._ring.write(part)
        for turn in self._gate.push(part):
            if turn.kind == "open":
                self._open(turn)
            elif turn.kind == "shut" and self.gated:
                told += self._end(turn, moment)
            else:
                told += self._feed(turn.at, moment) + self._close(turn, moment)
                self._next_line(turn.at)
        end = round(self._ring.stop * self.vad.sample_rate)
        if self._listening:
            told += self._feed(end, moment)
        self._ring.forget(min(self._gate.undecided, end) / self.vad.sample_rate)
        return told

    def _open(self, turn: Turn) -> None:
        if self.gated:
            self._begin(turn.start)
        self._start = turn.start

    def _begin(self, start: int) -> None:
        """Begin to listen at this sample, with a network that has heard nothing yet."""
        self._features.reset()
        self._stream.reset()
        self._listening, self._origin, self._fed = True, start, start
        self._step, self._label = 0, BLANK
        self._next_line(start)

    def _next_line(self, start: int) -> None:
        self._line += bool(self.words)
        self._start = start
        self.words, self._scores = [], []

    def _feed(self, end: int, moment: _Moment) -> list[Heard]:
        """Let the network hear up to this sample."""
        if end <= self._fed:
            return []
        rate = self.vad.sample_rate
        samples = self._ring.between(self._fed / rate, end / rate)
        self._fed = end
        return self._decide(self._network(self._features.push(samples)), moment)

    def _network(self, frames: np.ndarray) -> np.ndarray:
        if self._normalizer is not None:
            frames = self._normalizer.push(frames)
        return self._stream.push(frames)

    def _end(self, turn: Turn, moment: _Moment) -> list[Heard]:
        """Let the network hear to the end, close the line, and let it rest."""
        told = self._feed(turn.at, moment)
        told += self._decide(self._network(self._features.flush()), moment)
        told += self._decide(self._stream.flush(), moment)
        self._listening = False
        return told + self._close(turn, moment)

    def _decide(self, scores: np.ndarray, moment: _Moment) -> list[Heard]:
        """Follow the best path through some more steps, and tell each label that begins on it."""
        self._keep(scores)
        biased = scores.copy()
        biased[:, BLANK] -= self.blank_bias
        told = []
        for row, label in zip(scores, biased.argmax(axis=1).tolist(), strict=True):
            if label not in (BLANK, self._label):
                told.append(self._word(label, float(row[label]), moment))
            self._label = label
            self._step += 1
        self.words += told
        return told

    def _keep(self, scores: np.ndarray) -> None:
        """Keep the scores of the line, of the last `longest_seconds` if nothing ends it."""
        if len(scores):
            self._scores.append(scores)
        if sum(map(len, self._scores)) > 2 * self._most_steps:
            self._scores = [self.scores[-self._most_steps :].copy()]

    def _word(self, label: int, log_probability: float, moment: _Moment) -> Heard:
        config = self._features.config
        first = self._step * self._step_frames
        before = config.frame_length // 2 if config.center else 0
        start = self._origin + first * config.hop_length - before
        length = (self._step_frames - 1) * config.hop_length + config.frame_length
        return moment.tell(
            kind="word",
            text=self.recognizer.labels[label - 1],
            probability=math.exp(log_probability),
            start=max(start, 0) / config.sample_rate,
            stop=min(start + length, self._fed) / config.sample_rate,
            line=self._line,
        )

    def _close(self, turn: Turn, moment: _Moment) -> list[Heard]:
        if not self.words:
            self._silent_lines += turn.kind != "cut"
            return []
        return [
            moment.tell(
                kind="end",
                text=self.text,
                probability=math.prod(word.probability for word in self.words),
                start=self._start / self.vad.sample_rate,
                stop=turn.loud_end / self.vad.sample_rate,
                line=self._line,
                cut=turn.kind == "cut",
                scores=self.scores,
            )
        ]


def _stream_of(recognizer: StringRecognizer, **times: float | None) -> ScoreStream:
    """Begin a stream of the recogniser's network: with a look-ahead, if it does not do without."""
    chosen = {name: seconds for name, seconds in times.items() if seconds is not None}
    if chosen or not getattr(getattr(recognizer.network, "config", None), "causal", True):
        return LookAheadStream(recognizer.network, step_seconds=recognizer.step_seconds, **chosen)
    return recognizer.network.stream()


@dataclasses.dataclass(frozen=True)
class _Moment:
    """How much had been heard when something is told, and when computing it began."""

    clock: Callable[[], float]
    heard: float
    began: float

    def tell(self, **what: Any) -> Heard:
        return Heard(heard=self.heard, compute_ms=1000 * (self.clock() - self.began), **what)
