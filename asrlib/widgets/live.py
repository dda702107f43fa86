"""The microphone, live: sound goes to a listener while it is spoken, and text comes back to the page.

The browser cuts the sound into numbered chunks and sends each in a message of its own; Python brings it to
the listener's rate, pushes it, and answers. The numbers let each side notice what the other one misses:
Python a chunk that never came, the page an answer that is long in coming. Both say so in words, and neither
keeps more than a bounded amount, however long the tab stays open.
"""

from __future__ import annotations

import collections
import dataclasses
import statistics
import time
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import anywidget
import ipywidgets
import numpy as np
import traitlets

from asrlib import audio
from asrlib.errors import AudioError
from asrlib.recognizer import Recognizer
from asrlib.streaming import StreamingRecognizer
from asrlib.streaming.rate import StreamingResampler
from asrlib.widgets.microphone import script

__all__ = ["Latency", "Line", "Listener", "LiveMicrophone", "LivePage"]

MOST_LINES = 50
"""Finished lines that are kept; older ones go."""
MOST_EVENTS = 500
"""Events and latencies that are kept; older ones go."""
LOOK_AHEAD_SECONDS = 0.32
"""How far a network that reads both ways looks ahead here: as far as words still come well within 300 ms."""
PAUSE_SECONDS = 1.5
"""A line ends after such a pause, where the listener does not say itself where lines end."""
ABANDONED_SECONDS = 2.0
"""A stream without a chunk for so long belongs to a page that is gone, when another page comes."""

Callback = Callable[[Any], None]


class Listener(Protocol):
    """What a live microphone asks of a listener; `asrlib.streaming` has two.

    Its events have ``text`` and ``stop`` (seconds since the stream began). Where they also have ``kind``,
    "word" is a word and "end" the end of a line, whose ``text`` then is the whole line.

    Lesson: 09
    """

    def push(self, chunk: np.ndarray, *, sample_rate: int | None = None) -> Sequence[Any]:
        """Take a chunk and tell what it decides."""
        ...

    def flush(self) -> Sequence[Any]:
        """End the stream and tell what its end decides."""
        ...

    def reset(self) -> None:
        """Forget the stream and begin another."""
        ...


@dataclasses.dataclass(frozen=True)
class Line:
    """A finished line of text, or a hole in the sound.

    Parameters
    ----------
    text : str
        The words; empty for a hole.
    start, stop : float
        Seconds since Start was pressed: the first word's start, the last one's stop.
    lost : float
        Seconds of sound that never arrived; 0 for text.

    Examples
    --------
    >>> str(Line("5 0 3", 0.4, 1.3)), str(Line("", 2.0, 3.5, lost=1.5))
    ('5 0 3', '(1.5 s of sound did not arrive)')

    Lesson: 09
    """

    text: str
    start: float
    stop: float
    lost: float = 0.0

    def __str__(self) -> str:
        return f"({self.lost:.1f} s of sound did not arrive)" if self.lost else self.text


@dataclasses.dataclass(frozen=True)
class Latency:
    """How long one word took to the screen, measured by the page on its own clock.

    It begins where the listener places the word's end in the sound. What the sound device and the browser
    take before the page gets the sound is not in it: the page cannot see that.

    Parameters
    ----------
    text : str
        The word.
    waiting_ms : float
        From the word's end until the chunk that decided it was sent.
    kernel_ms : float
        From there until Python's answer was back: two messages and the computing.
    paint_ms : float
        From there until the letters were painted.

    Examples
    --------
    >>> round(Latency("7", 140.0, 21.0, 12.0).total_ms)
    173

    Lesson: 09
    """

    text: str
    waiting_ms: float
    kernel_ms: float
    paint_ms: float

    @property
    def total_ms(self) -> float:
        """From the word's end to its letters on the screen, in ms."""
        return self.waiting_ms + self.kernel_ms + self.paint_ms


class LivePage(anywidget.AnyWidget):
    """The browser's half: Start and Stop, the level, the text, and what goes wrong.

    Python never answers through this widget but through another one, named by `news`: anywidget 0.11 gives
    up on what Python sends when its file took more than two seconds to load, as it may on a slow machine.
    """

    _esm = script("capture.js", "live.js")
    _css = Path(__file__).parent / "live.css"

    news = traitlets.Unicode("").tag(sync=True)  # the id of the widget through which Python answers
    chunk_seconds = traitlets.Float(0.1).tag(sync=True)
    # Thrown away: a capture that starts drops samples for about this long.
    warm_up_seconds = traitlets.Float(0.5).tag(sync=True)
    # Without an answer for so long: the page says that the kernel is busy, keeps no more, switches off.
    busy_seconds = traitlets.Float(1.0).tag(sync=True)
    hold_seconds = traitlets.Float(20.0).tag(sync=True)
    give_up_seconds = traitlets.Float(90.0).tag(sync=True)
    # Without sound for so long: the page says so.
    silent_seconds = traitlets.Float(3.0).tag(sync=True)


class LiveMicrophone(ipywidgets.VBox):
    """Speak, and read along: text appears word by word while the microphone is on.

    Parameters
    ----------
    listener : Listener or recogniser, optional
        Gets the sound. A `StringRecognizer` or a `Recognizer` gets a listener of its own; left out, the
        shipped recogniser of strings is taken.
    chunk_seconds : float
        Length of the pieces in which the sound travels, from 0.02 to 1 s. Shorter ones come sooner and cost
        more messages.

    Attributes
    ----------
    error : Exception or None
        What went wrong last in the listener or in a callback, as the page shows it.
    trouble : str
        The browser's name of what failed there last; empty while all is well.

    Examples
    --------
    >>> from asrlib import datasets
    >>> live = LiveMicrophone(Recognizer.default())
    >>> clip = datasets.digits("test").where(label="7")[0]
    >>> [event.text for event in live.hear(clip.samples)]
    ['7']
    >>> live.text
    '7'

    Lesson: 09
    """

    _running: weakref.ref[LiveMicrophone] | None = None  # one microphone listens at a time

    def __init__(self, listener: Listener | Recognizer | None = None, *, chunk_seconds: float = 0.1) -> None:
        if not 0.02 <= chunk_seconds <= 1:
            raise ValueError(f"chunk_seconds={chunk_seconds!r} came. Expected from 0.02 to 1 s.")
        self.listener = _listener_for(listener)
        self.error: Exception | None = None
        self.trouble = ""
        self._callbacks: list[Callback] = []
        self._lines: collections.deque[Line] = collections.deque(maxlen=MOST_LINES)
        self._events: collections.deque[Any] = collections.deque(maxlen=MOST_EVENTS)
        self._latencies: collections.deque[Latency] = collections.deque(maxlen=MOST_EVENTS)
        self._words: list[Any] = []  # of the line so far
        self._stream: _Stream | None = None
        self._n_words = 0
        self._lost_seconds = 0.0
        self._lines_told = False
        self._news = ipywidgets.Label()  # never shown; it carries Python's messages
        self.page = LivePage(news=self._news.model_id, chunk_seconds=float(chunk_seconds))
        self.page.on_msg(self._message_came)
        super().__init__([self.page])

    # -- what was heard --------------------------------------------------------------------------------------

    @property
    def lines(self) -> tuple[Line, ...]:
        """The newest finished lines, at most 50, holes in the sound among them."""
        return tuple(self._lines)

    @property
    def line(self) -> str:
        """The line so far."""
        return " ".join(word.text for word in self._words)

    @property
    def text(self) -> str:
        """All lines that are kept and the line so far."""
        return "\n".join([*map(str, self._lines), *([self.line] if self._words else [])])

    @property
    def events(self) -> tuple[Any, ...]:
        """The newest events of the listener, at most 500."""
        return tuple(self._events)

    @property
    def latencies(self) -> tuple[Latency, ...]:
        """How long the newest words took to the screen, at most 500, as the page measured it."""
        return tuple(self._latencies)

    @property
    def lost_seconds(self) -> float:
        """Sound that never arrived here, since this widget was made."""
        return self._lost_seconds

    @property
    def listening(self) -> bool:
        """Whether a microphone is on, as far as is known here."""
        return self._stream is not None

    def __repr__(self) -> str:
        words = f"{self._n_words} word{'' if self._n_words == 1 else 's'} heard"
        totals = [latency.total_ms for latency in self._latencies]
        speed = f", median {statistics.median(totals):.0f} ms from word to screen" if totals else ""
        lost = f", {self._lost_seconds:.1f} s lost" if self._lost_seconds else ""
        return f"LiveMicrophone({words}{speed}{lost})"

    # -- what one may do -------------------------------------------------------------------------------------

    def on_event(self, callback: Callback) -> None:
        """Call a function with every event of the listener from now on.

        Parameters
        ----------
        callback : callable
            Gets the event. An error that it raises is shown on the page and ends the listening.
        """
        self._callbacks.append(callback)

    def hear(self, samples: np.ndarray, *, sample_rate: int = audio.SAMPLE_RATE) -> list[Any]:
        """Take samples as if they came from the microphone, chunk by chunk, and to the end.

        Parameters
        ----------
        samples : float array, shape (n_samples,)
            A recording, in [-1, 1].
        sample_rate : int
            In Hz.

        Returns
        -------
        list
            The listener's events.

        Raises
        ------
        AudioError
            When the samples are not a recording.
        """
        samples = audio.check(samples, name="the recording", allow_silence=True)
        told: list[Any] = []
        self._begin("hear", rate=sample_rate)
        length = round(self.page.chunk_seconds * sample_rate)
        try:
            for start in range(0, len(samples), length):
                told += self._push(samples[start : start + length])
            told += self._end()
        finally:
            self._stream = None
            self._tell("shown")
        return told

    def stop(self) -> None:
        """Switch the microphone off, from Python; without effect when it is off."""
        if self._stream is not None:
            self._give_up("The microphone was switched off from Python.")

    def clear(self) -> None:
        """Forget the text and the latencies; the microphone stays as it is."""
        self._lines.clear()
        self._words.clear()
        self._events.clear()
        self._latencies.clear()
        self._n_words, self._lost_seconds, self._lines_told = 0, 0.0, False
        self._tell("shown", cleared=True)

    # -- messages of the page --------------------------------------------------------------------------------

    def _message_came(self, _: Any, content: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Do what the page asks. What fails is shown there: a comm's errors go to a log."""
        try:
            self._answer(content, buffers)
        except Exception as error:
            self.error = error
            kind = "" if isinstance(error, AudioError) else f"{type(error).__name__}: "
            self._give_up(f"{kind}{error}", failed=True)

    def _answer(self, content: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        kind, session = content.get("kind"), content.get("session")
        if kind == "hello":
            self._page_came()
        elif kind == "clear":
            self.clear()
        elif kind == "start":
            self.error, self.trouble = None, ""
            self._begin(session, rate=round(content["rate"]))
            self._tell("started", session=session)
        elif kind == "trouble":
            self.trouble = content["name"]
        elif kind == "painted":
            times = {name: float(content[name]) for name in ("waiting_ms", "kernel_ms", "paint_ms")}
            self._latencies.append(Latency(content["text"], **times))
        elif self._stream is None or self._stream.session != session:
            self._tell("over", session=session, why="")  # of a stream that ended here
        elif kind == "chunk":
            self._chunk_came(content["number"], np.frombuffer(buffers[0], "<f4"))
        elif kind == "stop":
            if content["number"] > self._stream.expected:
                self._miss(content["number"])
            self._end()
            self._tell("ended", session=session)

    def _page_came(self) -> None:
        """Show a page that has just been loaded what there is, and let go of a stream whose page is gone."""
        stream = self._stream
        interrupted = stream is not None and time.monotonic() - stream.heard_at > ABANDONED_SECONDS
        if interrupted:
            self._end()
        self._lines_told = False
        self._tell("shown", interrupted=interrupted)

    def _chunk_came(self, number: int, samples: np.ndarray) -> None:
        stream = self._stream
        if number < stream.expected:
            return  # it came before
        if number > stream.expected:
            self._miss(number)
        stream.expected = number + 1
        stream.heard_at = time.monotonic()
        told = [event for event in self._push(samples) if _kind(event) == "word"]
        words = [{"text": event.text, "stop": stream.offset + event.stop} for event in told]
        self._tell("heard", session=stream.session, number=number, words=words)

    # -- the stream ------------------------------------------------------------------------------------------

    def _begin(self, session: str, *, rate: int) -> None:
        """Begin a stream; any other one ends, here and in other live microphones."""
        other = LiveMicrophone._running() if LiveMicrophone._running else None
        if other is not None and other._stream is not None:
            other._give_up("The microphone was started in another place, and is heard there now.")
        LiveMicrophone._running = weakref.ref(self)
        self.listener.reset()
        self._stream = _Stream(session, StreamingResampler(rate, target_rate=_rate_of(self.listener)))

    def _push(self, samples: np.ndarray) -> list[Any]:
        """Bring the next samples to the listener's rate and pass them on."""
        return self._pass_on(self._stream.resampler.push(_within_range(samples)))

    def _pass_on(self, samples: np.ndarray) -> list[Any]:
        """Give the listener samples, and write down what it tells; its warnings go to the page."""
        if len(samples) == 0:
            return []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            told = self.listener.push(_within_range(samples), sample_rate=_rate_of(self.listener))
        if caught:
            self._stream.note = str(caught[-1].message)
        self._stream.sound_seconds += len(samples) / _rate_of(self.listener)
        return self._write(told)

    def _end(self) -> list[Any]:
        """End the stream: what was held back is heard, and the line is finished."""
        told = self._pass_on(self._stream.resampler.flush())
        told += self._write(self.listener.flush())
        self._finish_line()
        self._stream = None
        return told

    def _miss(self, number: int) -> None:
        """Note that the chunks before this one never came; what follows is heard as a stream of its own."""
        stream = self._stream
        seconds = (number - stream.expected) * self.page.chunk_seconds
        start = stream.expected * self.page.chunk_seconds
        self._pass_on(stream.resampler.flush())
        self._write(self.listener.flush())
        self._finish_line()
        self._lost_seconds += seconds
        self._add_line(Line("", start, start + seconds, lost=seconds))
        self.listener.reset()
        stream.resampler.reset()
        stream.offset, stream.sound_seconds = start + seconds, 0.0

    def _write(self, told: Sequence[Any]) -> list[Any]:
        """Put what the listener told into the text."""
        for event in told:
            self._events.append(event)
            if _kind(event) == "end":
                self._finish_line(event.text)
            else:
                self._n_words += 1
                self._words.append(event)
            for callback in self._callbacks:
                callback(event)
        if not told:
            self._finish_line_after_pause()
        return list(told)

    def _finish_line_after_pause(self) -> None:
        """End the line of a listener that does not say itself where lines end."""
        last = self._words[-1] if self._words else None
        says_ends = hasattr(last, "kind")
        if last and not says_ends and self._stream.sound_seconds - last.stop > PAUSE_SECONDS:
            self._finish_line()

    def _finish_line(self, text: str | None = None) -> None:
        if self._words:
            offset = self._stream.offset
            start, stop = offset + self._words[0].start, offset + self._words[-1].stop
            self._add_line(Line(self.line if text is None else text, start, stop))
        self._words.clear()

    def _add_line(self, line: Line) -> None:
        self._lines.append(line)
        self._lines_told = False

    def _give_up(self, why: str, *, failed: bool = False) -> None:
        """End the stream without listening to its end, and tell the page why."""
        session = self._stream.session if self._stream else None
        if self._stream is not None:
            self._finish_line()
            self._stream = None
        self._tell("over", session=session, why=why, failed=failed)

    def _tell(self, kind: str, **more: Any) -> None:
        """Send the page a message, and with it the text as it stands."""
        if not self._lines_told:
            more["lines"] = [{"text": str(line), "lost": line.lost} for line in self._lines]
            self._lines_told = True
        if self._stream is not None:
            more["speaking"] = bool(getattr(self.listener, "speaking", False))
            more["note"] = self._stream.note
        self._news.send({"kind": kind, "text": self.line, **more})


@dataclasses.dataclass
class _Stream:
    """A microphone that is on: from Start to Stop."""

    session: str  # the page's name for it
    resampler: StreamingResampler
    expected: int = 0  # the number of the next chunk
    offset: float = 0.0  # seconds after Start at which the listener's own time begins
    sound_seconds: float = 0.0  # what the listener has got since then
    heard_at: float = dataclasses.field(default_factory=time.monotonic)  # when the last chunk came
    note: str = ""  # the listener's last warning


def _listener_for(wanted: Any) -> Listener:
    """Return a listener: the one that came, one for the recogniser that came, or the shipped one."""
    if hasattr(wanted, "push"):
        return wanted
    if isinstance(wanted, Recognizer):
        return StreamingRecognizer(wanted)
    from asrlib.streaming import StringListener
    from asrlib.string_recognizer import StringRecognizer

    if wanted is None or isinstance(wanted, StringRecognizer):
        recognizer = wanted or StringRecognizer.default()
        looks_ahead = recognizer.model.bidirectional
        return StringListener(recognizer, look_ahead_seconds=LOOK_AHEAD_SECONDS if looks_ahead else None)
    raise TypeError(
        f"{type(wanted).__name__} came. Expected a listener with push(chunk, sample_rate=), a Recognizer "
        "or a StringRecognizer."
    )


def _rate_of(listener: Any) -> int:
    vad = getattr(listener, "vad", None)
    return getattr(vad, "sample_rate", audio.SAMPLE_RATE)


def _kind(event: Any) -> str:
    return getattr(event, "kind", "word")


def _within_range(samples: np.ndarray) -> np.ndarray:
    """Scale down what passes full scale a little: a microphone driven too hard, or the wave between samples.

    The page says when a microphone reaches full scale.
    """
    peak = float(np.abs(samples).max(initial=0.0))
    return samples / np.float32(peak) if peak > 1 else samples
