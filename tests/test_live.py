"""The live microphone, without a browser: chunks become text, holes are noticed, nothing grows."""

import dataclasses
import gc
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asrlib import audio, datasets, texts
from asrlib.errors import AudioError
from asrlib.recognizer import Recognizer
from asrlib.streaming.rate import StreamingResampler
from asrlib.widgets import live as module
from asrlib.widgets.live import Latency, Line, LiveMicrophone

RATE = 48_000
CHUNK = RATE // 10


@dataclasses.dataclass
class Event:
    text: str
    start: float
    stop: float


@dataclasses.dataclass
class Told(Event):
    kind: str = "word"


class Counter:
    """A listener that hears a word in every second of loud sound, and knows what was pushed."""

    def __init__(self, *, event=Event, ends_after=None):
        self.event, self.ends_after = event, ends_after
        self.resets = 0
        self.reset()

    def reset(self):
        self.resets += 1
        self.seconds, self.words, self.finished = 0.0, 0, False
        self.pushed = []

    def push(self, chunk, *, sample_rate=None):
        assert sample_rate == 16_000
        assert len(chunk) and np.abs(chunk).max() <= 1 and not self.finished
        self.pushed.append(chunk)
        before, self.seconds = self.seconds, self.seconds + len(chunk) / 16_000
        if int(before) == int(self.seconds) or not chunk.any():
            return []
        self.words += 1
        told = [self.event(str(self.words % 10), self.seconds - 0.5, self.seconds)]
        if self.ends_after and self.words % self.ends_after == 0:
            told.append(self.event("the end", 0.0, self.seconds, kind="end"))
        return told

    def flush(self):
        self.finished = True
        return []


@pytest.fixture
def live():
    return connected(LiveMicrophone(Counter()))


def connected(live):
    """Keep what Python tells the page in `live.told`."""
    live.told = []
    live._news.send = live.told.append
    return live


def send(live, kind, *, session="page/1", samples=None, **more):
    """Deliver a message as the browser's half does."""
    buffers = [] if samples is None else [memoryview(np.asarray(samples, "<f4").tobytes())]
    live.page._handle_custom_msg({"kind": kind, "session": session, **more}, buffers)
    return live.told[-1] if live.told else None


def speak(live, numbers, *, session="page/1", loud=0.1):
    """Send chunks of loud noise with these numbers; return the last answer."""
    rng = np.random.default_rng(0)
    for number in numbers:
        send(live, "chunk", session=session, number=number, samples=rng.uniform(-loud, loud, CHUNK))
    return live.told[-1]


def start(live, session="page/1"):
    return send(live, "start", session=session, rate=float(RATE))


# --- from chunks to text


def test_every_chunk_is_answered_by_its_number_and_with_the_text_so_far(live):
    start(live)
    speak(live, range(25))
    answers = [told for told in live.told if told["kind"] == "heard"]
    assert [told["number"] for told in answers] == list(range(25))
    assert answers[-1]["text"] == live.line == "1 2"
    assert [word["text"] for told in answers for word in told["words"]] == ["1", "2"]


def test_the_listener_gets_the_sound_of_the_page_at_its_own_rate(live):
    start(live)
    speak(live, range(40))
    send(live, "stop", number=40)
    rng = np.random.default_rng(0)
    whole = np.concatenate([rng.uniform(-0.1, 0.1, CHUNK).astype(np.float32) for _ in range(40)])
    pushed = np.concatenate(live.listener.pushed)
    assert np.array_equal(pushed, audio.resample(whole, source_rate=RATE, target_rate=16_000))
    assert live.told[-1]["kind"] == "ended"
    assert not live.listening


@settings(max_examples=25, deadline=None)
@given(
    rate=st.sampled_from([8_000, 16_000, 44_100, 48_000]),
    cuts=st.lists(st.integers(1, 9_000), max_size=12),
)
def test_resampling_chunk_by_chunk_equals_resampling_the_whole(rate, cuts):
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, 20_000).astype(np.float32)
    stream = StreamingResampler(rate)
    pieces = [piece for piece in np.split(samples, np.cumsum(cuts).clip(max=20_000)) if len(piece)]
    parts = [*map(stream.push, pieces), stream.flush()]
    whole = audio.resample(samples, source_rate=rate, target_rate=16_000)
    assert np.allclose(np.concatenate(parts), whole, atol=1e-6)


def test_a_word_is_heard_from_a_clip_as_from_the_microphone():
    live = connected(LiveMicrophone(Recognizer.default()))
    clips = [datasets.digits("test").where(label=label)[0].samples for label in ("7", "4")]
    pause = np.zeros(8_000, np.float32)
    told = live.hear(np.concatenate([pause, clips[0], pause, clips[1], pause]))
    assert [event.text for event in told] == ["7", "4"]
    assert live.text == "7 4"
    assert live.told[-1]["lines"] == [{"text": "7 4", "lost": 0.0}]
    assert "2 words heard" in repr(live)


def test_left_to_itself_it_writes_strings_a_line_after_each_pause():
    live = connected(LiveMicrophone())
    clip = datasets.strings("test")[0]
    pause = np.zeros(16_000, np.float32)
    told = live.hear(np.concatenate([pause, clip.samples, pause, clip.samples, pause]))
    assert [event.kind for event in told].count("end") == len(live.lines) == 2
    assert live.text == "\n".join(event.text for event in told if event.kind == "end")
    for line in live.lines:
        assert texts.edit_distance(line.text.split(), clip.label.split()) <= 1


def test_what_passes_full_scale_is_scaled_and_not_refused(live):
    start(live)
    speak(live, range(12), loud=1.4)
    assert live.error is None
    assert live.line == "1"


def test_events_reach_the_callback(live):
    heard = []
    live.on_event(heard.append)
    start(live)
    speak(live, range(21))
    assert [event.text for event in heard] == ["1", "2"]
    assert live.events == tuple(heard)


# --- lines


def test_a_listener_that_says_where_lines_end_is_believed():
    live = connected(LiveMicrophone(Counter(event=Told, ends_after=2)))
    start(live)
    speak(live, range(32))
    assert [str(line) for line in live.lines] == ["the end"]
    assert live.line == "3"
    assert live.text == "the end\n3"


def test_without_ends_a_line_ends_after_a_pause(live):
    start(live)
    speak(live, range(21))
    for number in range(21, 40):
        send(live, "chunk", number=number, samples=np.zeros(CHUNK))
    assert [line.text for line in live.lines] == ["1 2"]
    assert live.lines[0].stop == pytest.approx(2.0, abs=0.2)
    assert live.line == ""


def test_finished_lines_are_told_once_and_again_to_a_page_that_comes_anew(live):
    start(live)
    speak(live, range(11))
    send(live, "stop", number=11)
    assert [line["text"] for line in live.told[-1]["lines"]] == ["1"]
    start(live, "page/2")
    assert "lines" not in speak(live, range(3), session="page/2")
    assert [line["text"] for line in send(live, "hello", session=None)["lines"]] == ["1"]


def test_clear_forgets_the_text_and_tells_the_page(live):
    start(live)
    speak(live, range(15))
    told = send(live, "clear", session=None)
    assert (told["text"], told["lines"], told["cleared"]) == ("", [], True)
    assert live.text == ""
    assert live.listening  # the microphone stays on


# --- what goes wrong


def test_missing_chunks_are_counted_and_shown_as_a_hole(live):
    start(live)
    speak(live, [*range(12), *range(35, 47)])
    assert live.lost_seconds == pytest.approx(2.3)
    words, hole = live.lines
    assert (words.text, str(hole)) == ("1", "(2.3 s of sound did not arrive)")
    assert (hole.start, hole.stop) == (pytest.approx(1.2), pytest.approx(3.5))
    assert live.listener.resets == 3  # made, started, and anew behind the hole
    word = [told for told in live.told if told.get("words")][-1]["words"][0]
    assert 4.4 < word["stop"] < 4.7  # counted from Start, hole included


def test_chunks_that_are_missing_at_the_end_are_counted_too(live):
    start(live)
    speak(live, range(12))
    send(live, "stop", number=30)
    assert live.lost_seconds == pytest.approx(1.8)


def test_a_chunk_that_comes_twice_is_heard_once(live):
    start(live)
    speak(live, [0, 1, 2, 2, 1, 3])
    assert live.lost_seconds == 0
    assert sum(map(len, live.listener.pushed)) < 4 * 1600 + 1


def test_an_error_of_the_listener_is_shown_and_ends_the_listening(live):
    live.listener.push = lambda *_, **__: {}["nothing"]
    start(live)
    told = speak(live, [0, 1, 2])
    assert isinstance(live.error, KeyError)
    first = next(told for told in live.told if told["kind"] == "over")
    assert first["failed"]
    assert "KeyError" in first["why"]
    assert (told["kind"], told["why"]) == ("over", "")  # the pieces that were still on their way
    assert not live.listening
    del live.listener.push
    start(live, "page/2")
    assert speak(live, range(12), session="page/2")["text"] == "1"
    assert live.error is None


def test_an_error_of_a_callback_is_shown_too(live):
    live.on_event(lambda event: 1 / 0)
    start(live)
    speak(live, range(12))
    assert isinstance(live.error, ZeroDivisionError)


def test_sound_that_is_no_sound_is_refused_in_words(live):
    start(live)
    told = send(live, "chunk", number=0, samples=np.full(CHUNK, np.nan))
    assert isinstance(live.error, AudioError)
    assert told["failed"]


def test_a_warning_of_the_listener_reaches_the_page(live, recwarn):
    class Slow(Counter):
        def push(self, chunk, *, sample_rate=None):
            module.warnings.warn("too slow for it now", RuntimeWarning, stacklevel=2)
            return super().push(chunk, sample_rate=sample_rate)

    live.listener = Slow()
    start(live)
    assert "too slow" in speak(live, [0, 1])["note"]
    assert len(recwarn) == 0


def test_starting_anew_ends_what_ran_before(live):
    start(live)
    speak(live, range(12))
    start(live, "page/2")
    assert [told["session"] for told in live.told if told["kind"] == "over"] == ["page/1"]
    assert speak(live, [12], session="page/1")["kind"] == "over"
    assert live.text == "1"
    assert speak(live, [0], session="page/2")["kind"] == "heard"


def test_one_microphone_listens_at_a_time(live):
    start(live)
    other = connected(LiveMicrophone(Counter()))
    start(other, "other/1")
    assert not live.listening
    assert "another place" in live.told[-1]["why"]
    assert other.listening


def test_a_page_that_comes_anew_lets_go_of_the_stream_of_the_one_before(live, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    start(live)
    speak(live, range(12))
    now[0] += 0.5
    assert not send(live, "hello", session=None)["interrupted"]
    assert live.listening  # another tab may show the same notebook
    now[0] += 5.0
    assert send(live, "hello", session=None)["interrupted"]
    assert not live.listening
    assert live.text == "1"


def test_stop_from_python_tells_the_page(live):
    live.stop()
    assert live.told == []
    start(live)
    live.stop()
    assert "from Python" in live.told[-1]["why"]
    assert live.told[-1]["session"] == "page/1"


def test_the_browsers_trouble_is_known_in_python(live):
    send(live, "trouble", name="NotAllowedError")
    assert live.trouble == "NotAllowedError"
    start(live)
    assert live.trouble == ""


def test_hear_ends_the_stream_even_when_the_listener_fails(live):
    live.listener.push = lambda *_, **__: {}["nothing"]
    with pytest.raises(KeyError):
        live.hear(np.full(16_000, 0.1, np.float32))
    assert not live.listening


def test_what_is_no_listener_is_refused_in_words():
    with pytest.raises(TypeError, match=r"int came\. Expected a listener"):
        LiveMicrophone(3)
    with pytest.raises(ValueError, match="chunk_seconds"):
        LiveMicrophone(Counter(), chunk_seconds=5)


# --- an hour


def test_an_hour_leaves_no_more_behind_than_ten_minutes():
    live = LiveMicrophone(Counter(event=Told, ends_after=3))
    live._news.send = lambda message: None
    live.listener.pushed = type("Nothing", (), {"append": lambda *_: None})()
    live.listener.reset = lambda: None
    painted = {"kind": "painted", "text": "1", "waiting_ms": 1, "kernel_ms": 1, "paint_ms": 1}
    buffers = [memoryview(np.full(800, 0.1, "<f4").tobytes())]  # a tenth of a second at 8 kHz
    live._answer({"kind": "start", "session": "s", "rate": 8_000}, [])

    def hear(numbers):
        for number in numbers:
            live._answer({"kind": "chunk", "session": "s", "number": number}, buffers)
            live._answer(painted, [])
        gc.collect()
        return sys.getallocatedblocks()

    ten_minutes = hear(range(6_000))
    hour = hear(range(6_000, 36_000))
    assert live.error is None
    assert live._n_words > 3_500
    assert hour < ten_minutes + 1_000  # pieces of memory, of whatever size
    assert (len(live.lines), len(live.events), len(live.latencies)) == (50, 500, 500)


# --- small things


def test_a_latency_is_the_sum_of_its_parts(live):
    send(live, "painted", text="7", waiting_ms=140, kernel_ms=21.5, paint_ms=12)
    assert live.latencies == (Latency("7", 140.0, 21.5, 12.0),)
    assert live.latencies[0].total_ms == 173.5
    assert "median 174 ms" in repr(live)


def test_what_was_said_is_not_part_of_the_state_that_jupyter_stores(live):
    start(live)
    speak(live, range(25))
    send(live, "stop", number=25)
    for widget in (live, live.page, live._news):
        assert "1 2" not in str({name: value for name, value in widget.get_state().items() if name != "_esm"})


def test_a_line_says_its_words_or_its_hole():
    assert str(Line("5 0", 0, 1)) == "5 0"
    assert "2.0 s" in str(Line("", 0, 2, lost=2.0))
