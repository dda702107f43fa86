"""Streams agree with their offline forms whatever the chunks, lose nothing in silence, and do not grow."""

import collections
import dataclasses
import gc
import math
import threading
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asrlib import datasets, features
from asrlib.errors import AudioError
from asrlib.features import FeatureConfig, cmvn
from asrlib.recognizer import Recognizer, Transcript
from asrlib.streaming import (
    EndPointer,
    RingBuffer,
    RunningNormalizer,
    StreamingFeatures,
    StreamingRecognizer,
    VadConfig,
    VoiceActivityDetector,
    speech_segments,
    voice_activity,
)

RATE = 16_000


def noise(seconds, *, level=0.1, seed=0):
    return np.random.default_rng(seed).normal(0, level, round(seconds * RATE)).clip(-1, 1).astype(np.float32)


def tone(seconds, *, peak=0.2):
    return (peak * np.sin(2 * np.pi * 300 * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def silence(seconds):
    return np.zeros(round(seconds * RATE), np.float32)


def scene(*, seed=0, background=0.001):
    """Two words, a click and a word with a closure in it, over a quiet hiss."""
    parts = [
        silence(0.4), tone(0.3), silence(0.5), tone(0.01), silence(0.5),
        tone(0.2), silence(0.12), tone(0.1, peak=0.05), silence(0.4), tone(0.25), silence(0.15),
    ]  # fmt: skip
    clean = np.concatenate(parts)
    return (clean + noise(len(clean) / RATE, level=background, seed=seed)[: len(clean)]).astype(np.float32)


def cut(samples, sizes):
    """Cut a recording into chunks of these sizes, over and over."""
    start = index = 0
    while start < len(samples):
        size = sizes[index % len(sizes)]
        yield samples[start : start + size]
        start, index = start + size, index + 1


chunk_sizes = st.lists(st.integers(1, 3000), min_size=1, max_size=6).filter(lambda sizes: sum(sizes) > 300)


# -- ring buffer ---------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    capacity=st.integers(1, 20),
    overrun=st.sampled_from(["raise", "count"]),
    steps=st.lists(st.tuples(st.sampled_from("wrf"), st.integers(1, 30)), max_size=25),
)
def test_ring_buffer_does_what_a_list_does(capacity, overrun, steps):
    ring = RingBuffer(capacity / 100, sample_rate=100, overrun=overrun)
    held, position, lost, written = collections.deque(), 0, 0, 0
    for step, count in steps:
        if step == "w":
            chunk = (np.arange(written, written + count) / 1000).astype(np.float32)
            if overrun == "raise" and len(held) + count > capacity:
                with pytest.raises(BufferError, match="room for"):
                    ring.write(chunk)
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ring.write(chunk)
            held.extend(chunk.tolist())
            written += count
            while len(held) > capacity:
                held.popleft()
                position, lost = position + 1, lost + 1
        elif step == "r" and count > len(held):
            with pytest.raises(BufferError, match="the ring holds"):
                ring.read(count / 100)
        elif step == "r":
            expected = [held.popleft() for _ in range(count)]
            position += count
            assert ring.read(count / 100).tolist() == expected
        else:
            before = min(position + count, written)
            ring.forget(before / 100)
            while position < before:
                held.popleft()
                position += 1
        assert (len(ring), ring.lost) == (len(held), lost)
        assert (ring.start, ring.stop) == (position / 100, (position + len(held)) / 100)
        assert ring.between(ring.start, ring.stop).tolist() == list(held)
    assert ring.read().tolist() == list(held) and len(ring) == 0


def test_ring_buffer_that_raises_is_left_as_it_was():
    ring = RingBuffer(0.1)
    ring.write(tone(0.06))
    with pytest.raises(BufferError, match="Read more often"):
        ring.write(tone(0.06))
    assert np.array_equal(ring.read(), tone(0.06)) and ring.lost == 0


def test_ring_buffer_that_counts_warns_once_and_keeps_the_newest():
    ring, sound = RingBuffer(0.1, overrun="count"), noise(0.5)
    with pytest.warns(RuntimeWarning, match="overwritten") as caught:
        for chunk in cut(sound, [700]):
            ring.write(chunk)
    assert len(caught) == 1
    assert ring.lost == len(sound) - 1600
    assert np.array_equal(ring.read(), sound[-1600:])


def test_ring_buffer_gives_copies():
    ring = RingBuffer(0.1)
    ring.write(tone(0.05))
    part = ring.between(0, 0.05)
    part[:] = 0
    assert np.array_equal(ring.read(), tone(0.05))


def test_ring_buffer_between_two_threads_loses_and_repeats_nothing():
    sound, ring, heard = noise(1.0), RingBuffer(0.05), []

    def write():
        for chunk in cut(sound, [37, 160, 401]):
            while True:
                try:
                    ring.write(chunk)
                    break
                except BufferError:
                    threading.Event().wait(0.0005)

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive() or len(ring):
        heard.append(ring.read())
    writer.join()
    assert np.array_equal(np.concatenate(heard), sound)


# -- features ------------------------------------------------------------------------------------------

CAUSAL = [
    {},
    {"kind": "mfcc", "preemphasis": 0.97, "n_mels": 26},
    {"preemphasis": 0.95, "preemphasis_start": "zero", "window_position": "start", "precision": "double"},
    {"preemphasis": 0.9, "preemphasis_per_frame": True, "remove_dc": True, "spectrum": "magnitude"},
    {"hop_seconds": 0.05, "n_mels": 20, "log_unit": "decibel"},  # a hop longer than a frame
    {"hop_seconds": 0.05, "n_mels": 20, "pad_end": True, "padding": "symmetric"},
    {"pad_end": True, "padding": "edge", "first_coefficient": "frame_energy", "kind": "mfcc"},
    {"pad_end": True, "padding": "reflect", "preemphasis": 0.97},
    {"center": True},
    {"center": True, "padding": "reflect", "preemphasis": 0.97, "kind": "mfcc", "lifter": 22},
    {"center": True, "padding": "symmetric", "n_fft": 513, "n_mels": 30},
    {"center": True, "padding": "edge", "window_position": "start", "spectrum": "periodogram"},
]
LIBRARIES = {
    "librosa": FeatureConfig.librosa(top_db=None),
    "kaldi": FeatureConfig.kaldi(),
    "python_speech_features": FeatureConfig.python_speech_features(),
}


def stream(config, samples, sizes):
    """Push chunks, and give all frames."""
    features_so_far = StreamingFeatures(config)
    parts = [features_so_far.push(chunk) for chunk in cut(samples, sizes)]
    frames = np.concatenate([*parts, features_so_far.flush()])
    assert features_so_far.n_frames == len(frames) and features_so_far.n_samples == len(samples)
    return frames


def assert_equal_frames(frames, config, samples):
    if config.n_frames(len(samples)) == 0:
        assert frames.shape == (0, config.n_coefficients)
        return
    whole = features.extract(samples, config)
    assert frames.dtype == whole.dtype == np.float32
    # Noise fills all bands, so that rounding stays near the precision of float32.
    np.testing.assert_allclose(frames, whole, rtol=1e-5, atol=1e-4)


@settings(max_examples=60)
@given(
    config=st.sampled_from([FeatureConfig(**changes) for changes in CAUSAL] + list(LIBRARIES.values())),
    n_samples=st.integers(1, 6000),
    sizes=chunk_sizes,
)
def test_streaming_features_equal_offline_features(config, n_samples, sizes):
    samples = noise(n_samples / RATE, seed=n_samples)
    if config.padding == "reflect" and n_samples < 600:
        n_samples, samples = 600, noise(600 / RATE)
    assert_equal_frames(stream(config, samples, sizes), config, samples)


@pytest.mark.parametrize("changes", CAUSAL, ids=str)
@pytest.mark.parametrize("n_samples", [1, 257, 511, 512, 513, 801, 1700])
def test_streaming_features_of_short_recordings(changes, n_samples):
    config, samples = FeatureConfig(**changes), noise(n_samples / RATE, seed=1)
    try:
        features.frame(samples, config)
        refused = False
    except AudioError:
        refused = config.n_frames(n_samples) > 0  # too short to be reflected; else it just has no frame
    if refused:
        with pytest.raises(AudioError, match="reflected"):
            stream(config, samples, [100])
    else:
        assert_equal_frames(stream(config, samples, [100]), config, samples)


def test_a_frame_comes_with_its_last_sample():
    live, sound = StreamingFeatures(), noise(0.2)
    counts = [len(live.push(chunk)) for chunk in cut(sound, [1])]
    assert np.flatnonzero(counts).tolist() == [511 + 160 * frame for frame in range(live.n_frames)]
    assert set(counts) == {0, 1}


def test_a_centred_stream_begins_after_half_a_frame():
    live, sound = StreamingFeatures(FeatureConfig(center=True, padding="reflect")), noise(0.1)
    counts = [len(live.push(chunk)) for chunk in cut(sound, [1])]
    assert np.flatnonzero(counts)[:3].tolist() == [256, 255 + 160, 255 + 320]
    assert len(live.flush()) == live.config.n_frames(len(sound)) - sum(counts) > 0


@pytest.mark.parametrize(
    "changes, advice",
    [
        ({"top_db": 80.0}, "top_db=None"),
        ({"normalization": "mean"}, "RunningNormalizer"),
        ({"normalization": "utterance"}, "RunningNormalizer"),
    ],
)
def test_settings_that_need_the_whole_recording_are_refused(changes, advice):
    with pytest.raises(ValueError, match=advice):
        StreamingFeatures(FeatureConfig(**changes))


def test_a_refused_chunk_leaves_the_stream_as_it_was():
    sound, live = noise(0.3), StreamingFeatures(FeatureConfig(preemphasis=0.97))
    first = live.push(sound[:1000])
    for wrong in (np.full(100, np.nan, np.float32), np.full(100, 2.0), np.empty(0, np.float32)):
        with pytest.raises(AudioError):
            live.push(wrong)
    frames = np.concatenate([first, live.push(sound[1000:])])
    assert_equal_frames(frames, live.config, sound)


def test_reset_begins_another_stream():
    live, sound = StreamingFeatures(FeatureConfig(center=True, preemphasis=0.97)), noise(0.2)
    live.push(tone(0.3))
    live.flush()
    live.reset()
    frames = np.concatenate([live.push(sound), live.flush()])
    assert_equal_frames(frames, live.config, sound)


@settings(max_examples=20)
@given(
    kind=st.sampled_from(["mean", "utterance", "level", "both"]),
    sizes=st.lists(st.integers(1, 20), min_size=1, max_size=5),
)
def test_running_normalizer_knows_what_cmvn_of_the_frames_so_far_knows(kind, sizes):
    frames = np.random.default_rng(0).normal(-5, 2, (60, 4)).astype(np.float32)
    live = RunningNormalizer(kind, horizon_seconds=10)
    result = np.concatenate([live.push(part) for part in cut(frames, sizes)])
    for last in (1, 2, 17, 60):
        np.testing.assert_allclose(result[last - 1], cmvn(frames[:last], kind)[-1], atol=2e-4)


def test_running_normalizer_forgets():
    live = RunningNormalizer("mean", horizon_seconds=0.5)
    live.push(np.full((200, 2), 10.0))
    after = live.push(np.full((500, 2), -3.0))
    assert after[0] == pytest.approx([-12.74, -12.74], abs=0.01)
    assert np.abs(after[-1]).max() < 1e-3


# -- voice activity ------------------------------------------------------------------------------------


def activity_by_hand(samples, config):
    """Decide with plain NumPy on the whole recording: every frame looks back over all before it."""
    length = config.frame_length
    power = [
        np.mean(samples[index * length : (index + 1) * length].astype(np.float64) ** 2)
        for index in range(len(samples) // length)
    ]
    levels, floors, loud, speech = [], [], [], []
    for frame in range(len(power)):
        mean = np.mean(power[max(0, frame + 1 - config.smoothing_frames) : frame + 1])
        levels.append(10 * math.log10(max(mean, 1e-12)))
        recent = sorted(levels[max(0, frame + 1 - config.floor_frames) :])
        floors.append(max(recent[int(config.floor_share * len(recent))], config.least_floor_db))
        above = config.off_db if loud and loud[-1] else config.on_db
        loud.append(levels[-1] >= floors[-1] + above)
        speech.append(any(loud[max(0, frame + 1 - config.hang_over_frames) :]))
    return np.array(levels), np.array(floors), np.array(loud), np.array(speech)


@settings(max_examples=25)
@given(
    sizes=chunk_sizes,
    background=st.sampled_from([0, 0.001, 0.02]),
    changes=st.sampled_from(
        [{}, {"floor_seconds": 0.3}, {"frame_seconds": 0.016, "smoothing_seconds": 0.016}, {"floor_share": 0}]
    ),
)
def test_voice_activity_does_not_depend_on_the_chunks(sizes, background, changes):
    samples, config = scene(background=background), VadConfig(**changes)
    detector = VoiceActivityDetector(config)
    parts = [detector.push(chunk) for chunk in cut(samples, sizes)]
    whole = voice_activity(samples, config)
    for field, by_hand in zip(dataclasses.fields(whole), activity_by_hand(samples, config), strict=True):
        together = np.concatenate([getattr(part, field.name) for part in parts])
        np.testing.assert_array_equal(together, getattr(whole, field.name))
        np.testing.assert_allclose(together.astype(float), by_hand.astype(float), atol=1e-9)


def test_hysteresis_keeps_what_a_single_threshold_would_chop():
    wobble = 1 + 0.4 * np.sign(np.sin(2 * np.pi * 5 * np.arange(RATE) / RATE))  # 7.4 dB up and down
    samples = np.concatenate(
        [noise(1.0, level=0.001), (noise(1.0, level=0.0025) * wobble).astype(np.float32)]
    )

    def switches(config):
        return np.abs(np.diff(voice_activity(samples, config).loud[100:].astype(int))).sum()

    assert switches(VadConfig(on_db=8, off_db=8)) > 5
    assert switches(VadConfig(on_db=8, off_db=1.5)) <= 1


def test_a_louder_background_is_learnt():
    samples = np.concatenate([noise(2.0, level=0.001), noise(6.0, level=0.02)])
    activity = voice_activity(samples)
    assert not activity.loud[10:200].any()
    assert activity.loud[210:300].all()  # at first it could be a voice
    assert not activity.loud[-200:].any()
    assert activity.floor_db[-1] == pytest.approx(20 * math.log10(0.02), abs=1.5)


def test_loudness_does_not_matter_above_the_least_floor():
    samples = scene(background=0.002)
    assert speech_segments(samples) == speech_segments(samples * np.float32(0.5))


def test_silence_is_not_speech():
    assert speech_segments(silence(2)) == [] and speech_segments(noise(2, level=1e-4)) == []


# -- end points ----------------------------------------------------------------------------------------


def test_segments_are_the_words_with_margins():
    pointer = EndPointer()
    segments = pointer.push(scene()) + pointer.flush()
    words = [(0.4, 0.7), (1.71, 2.13), (2.53, 2.78)]
    assert len(segments) == len(words) and pointer.ignored == 1  # the click
    for segment, (start, stop) in zip(segments, words, strict=True):
        assert segment.start == pytest.approx(start - 0.05, abs=0.02)
        assert segment.stop == pytest.approx(stop + 0.05, abs=0.04)
        assert not segment.cut


@settings(max_examples=25)
@given(sizes=chunk_sizes, longest=st.sampled_from([0.5, 10.0]))
def test_end_points_do_not_depend_on_the_chunks_and_come_when_certain(sizes, longest):
    config, samples = VadConfig(longest_seconds=longest), scene()
    pointer, found, heard, undecided = EndPointer(config), [], 0, 0.0
    for chunk in cut(samples, sizes):
        heard += len(chunk)
        new = pointer.push(chunk)
        for segment in new:
            assert segment.start >= undecided  # what was given up before is not asked for
            assert heard - len(chunk) < round(segment.certain * RATE) <= heard
        assert pointer.undecided >= undecided
        undecided = pointer.undecided
        found += new
    found += pointer.flush()
    assert found == speech_segments(samples, config)


@settings(max_examples=25)
@given(
    lengths=st.lists(st.tuples(st.floats(0.005, 0.6), st.floats(0.005, 0.6)), min_size=1, max_size=6),
    margin=st.sampled_from([0.0, 0.05, 0.2]),
)
def test_segments_never_overlap_and_lie_in_the_recording(lengths, margin):
    samples = np.concatenate([part for loud, quiet in lengths for part in (tone(loud), silence(quiet))])
    config = VadConfig(margin_seconds=margin, longest_seconds=0.7)
    edge = 0.0
    for segment in speech_segments(samples, config):
        assert edge <= segment.start < segment.stop <= segment.certain <= len(samples) / RATE
        assert segment.seconds <= config.longest_seconds + margin + 1e-9
        assert segment.seconds >= config.shortest_seconds - 1e-9
        edge = segment.stop


def test_margins_that_would_overlap_meet():
    samples = np.concatenate([silence(0.3), tone(0.3), silence(0.3), tone(0.3), silence(0.3)])
    first, second = speech_segments(samples, VadConfig(margin_seconds=0.2))
    assert 0.75 < first.stop == second.start < 0.85


def test_speech_that_does_not_end_is_cut_without_a_gap():
    samples = np.concatenate([silence(0.5), tone(2.4), silence(0.5)])
    segments = speech_segments(samples, VadConfig(longest_seconds=1.0))
    assert [segment.cut for segment in segments] == [True, True, False]
    assert [later.start for later in segments[1:]] == [earlier.stop for earlier in segments[:-1]]
    assert segments[0].start <= 0.5 and segments[-1].stop >= 2.9


def test_end_points_agree_with_librosa_on_clean_words():
    librosa = pytest.importorskip("librosa")
    samples = scene(background=0)
    theirs = librosa.effects.split(samples, top_db=35, frame_length=480, hop_length=160) / RATE
    theirs = [(start, stop) for start, stop in theirs.tolist() if stop - start > 0.06]
    ours = [(segment.start, segment.stop) for segment in speech_segments(samples)]
    # librosa bridges no closure and leaves no margin: the second word is two of its intervals.
    merged = [theirs[0], (theirs[1][0], theirs[2][1]), theirs[3]]
    np.testing.assert_allclose(ours, merged, atol=0.09)


# -- the recogniser ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits():
    return Recognizer.default()


def joined(split, labels, *, seed=0, level=0.001):
    """Join single digits of unseen speakers with pauses, over a quiet hiss."""
    clips, rng = datasets.digits(split), np.random.default_rng(seed)
    parts = [silence(0.5)]
    for label in labels:
        chosen = clips.where(label=label)
        parts += [chosen[int(rng.integers(len(chosen)))].samples, silence(rng.uniform(0.3, 0.6))]
    samples = np.concatenate(parts)
    hiss = rng.normal(0, level, len(samples))
    return (samples + hiss).clip(-1, 1).astype(np.float32)


def part_of(samples, word):
    return samples[round(word.start * RATE) : round(word.stop * RATE)]


class Echo:
    """A recogniser that says how much it heard, at once."""

    features = FeatureConfig()

    def __init__(self):
        self.heard = []
        self.keep = self.heard.append

    def transcribe(self, samples):
        self.keep(samples)
        return Transcript("x", 1.0, {"x": 1.0}, len(samples) / RATE, 0.0, (0.0, len(samples) / RATE))


class Forgetful(Echo):
    """One that keeps nothing of what it heard, so that memory can be watched."""

    def __init__(self):
        self.keep = len


def same_words(one, other):
    """Compare all but the times that depend on the machine and on the chunks."""
    return [(word.text, word.probability, word.start, word.stop, word.certain) for word in one] == [
        (word.text, word.probability, word.start, word.stop, word.certain) for word in other
    ]


def test_words_are_those_of_the_segments(digits):
    samples = joined("validation", "3071")
    listener = StreamingRecognizer(digits, patience_seconds=100)
    words = list(listener.listen(cut(samples, [1600])))
    assert [(word.start, word.stop) for word in words] == [
        (segment.start, segment.stop) for segment in speech_segments(samples)
    ]
    assert len(words) == 4
    for word in words:
        offline = digits.transcribe(part_of(samples, word))
        assert (word.text, word.probability) == (offline.text, offline.probability)
        assert word.transcript.probabilities == offline.probabilities
        assert word.heard >= word.certain >= word.stop > word.start
        assert word.waiting_ms >= 0 and word.compute_ms > 0
        assert word.latency_ms == word.waiting_ms + word.compute_ms
    assert sum(word.text == label for word, label in zip(words, "3071", strict=True)) >= 3


def test_bundled_strings_are_heard_as_their_segments(digits):
    for clip in (datasets.strings("validation")[0], datasets.strings("validation")[20]):
        words = list(StreamingRecognizer(digits, patience_seconds=100).listen(cut(clip.samples, [999])))
        assert words
        for word in words:
            offline = digits.transcribe(part_of(clip.samples, word))
            assert (word.text, word.probability) == (offline.text, offline.probability)


@settings(max_examples=20)
@given(sizes=chunk_sizes)
def test_words_do_not_depend_on_the_chunks(sizes):
    samples, echo = scene(), Echo()
    words = list(StreamingRecognizer(echo, patience_seconds=100).listen(cut(samples, sizes)))
    assert same_words(words, StreamingRecognizer(Echo(), patience_seconds=100).listen([samples]))
    for word, heard in zip(words, echo.heard, strict=True):
        assert np.array_equal(heard, part_of(samples, word))


def test_a_word_at_the_very_end_is_given_by_flush():
    listener = StreamingRecognizer(Echo())
    assert listener.push(np.concatenate([silence(0.3), tone(0.3)])) == []
    (word,) = listener.flush()
    assert word.stop == listener.seconds == pytest.approx(0.6)
    with pytest.raises(ValueError, match="reset"):
        listener.push(tone(0.1))
    with pytest.raises(ValueError, match="reset"):
        listener.flush()
    listener.reset()
    assert (listener.seconds, listener.late, listener.ignored) == (0, 0, 0)
    assert listener.push(silence(0.1)) == []


class SlowMachine:
    """A clock that a recogniser moves on, as if every answer took this long."""

    def __init__(self, seconds):
        self.now, self.seconds = 0.0, seconds

    def __call__(self):
        return self.now

    def recognizer(self):
        machine, echo = self, Echo()

        class Slow(Echo):
            def transcribe(self, samples):
                machine.now += machine.seconds
                return echo.transcribe(samples)

        return Slow()


def test_a_slow_machine_says_so_once_and_drops_nothing():
    samples, machine = np.concatenate([scene(), silence(0.5)] * 3), SlowMachine(2.0)
    listener = StreamingRecognizer(machine.recognizer(), clock=machine)
    with pytest.warns(RuntimeWarning, match="too slow") as caught:
        words = list(listener.listen(cut(samples, [1600])))
    assert len(caught) == 1
    assert listener.late > 0 and listener.backlog_seconds > 0.5
    assert listener.compute_seconds == pytest.approx(2.0 * len(words))
    assert listener.real_time_factor == pytest.approx(2.0 * len(words) / listener.seconds)
    assert {round(word.compute_ms) for word in words} == {2000}
    assert same_words(words, StreamingRecognizer(Echo(), patience_seconds=100).listen([samples]))


def test_a_machine_catches_up_in_pauses():
    machine = SlowMachine(0.4)
    listener = StreamingRecognizer(machine.recognizer(), clock=machine)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        words = list(listener.listen(cut(np.concatenate([scene(), silence(1)]), [800])))
    assert len(words) == 3 and listener.late == 0 and listener.backlog_seconds == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: RingBuffer(1.0, overrun="count").write,
        lambda: StreamingFeatures(FeatureConfig(preemphasis=0.97)).push,
        lambda: EndPointer(VadConfig(longest_seconds=2)).push,
        lambda: StreamingRecognizer(Forgetful(), patience_seconds=100).push,
    ],
    ids=["ring", "features", "end points", "recogniser"],
)
@pytest.mark.filterwarnings("ignore:The ring buffer is full")
def test_memory_does_not_grow(make):
    push, sound = make(), scene()
    for length in (3, 1, 1, 1, 1):  # fills the caches for these numbers of frames
        push(np.tile(sound, length))
    tracemalloc.start()
    try:
        push(sound)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(7):
            push(sound)
        push(np.tile(sound, 3))  # nor is a part of a long chunk kept that keeps all of it alive
        gc.collect()  # what Python keeps at hand for new tuples is not ours
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 20_000  # one such sound alone has 180 000 bytes


# -- what is refused -----------------------------------------------------------------------------------

STREAMS = [
    lambda: RingBuffer(1.0).write,
    lambda: StreamingFeatures().push,
    lambda: VoiceActivityDetector().push,
    lambda: EndPointer().push,
    lambda: StreamingRecognizer(Echo()).push,
]


@pytest.mark.parametrize("make", STREAMS, ids=["ring", "features", "vad", "end points", "recogniser"])
@pytest.mark.parametrize(
    "chunk, sample_rate, message",
    [
        (np.empty(0, np.float32), None, "skip empty chunks"),
        (np.zeros((2, 100), np.float32), None, r"shape \(2, 100\)"),
        (np.zeros(100, np.int16), None, "int16"),
        (np.array([0.1, np.nan]), None, "NaN|not finite|nan"),
        (np.array([0.1, np.inf]), None, "inf"),
        (np.array([0.1, 1.5]), None, r"outside \[-1, 1\]"),
        ([0.1, 0.2], None, "NumPy array"),
        (np.zeros(100, np.float32), 44_100, "44100 Hz.*16000 Hz.*Resample"),
    ],
)
def test_bad_chunks_are_refused(make, chunk, sample_rate, message):
    push = make()
    with pytest.raises(AudioError, match=message):
        push(chunk, sample_rate=sample_rate)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"sample_rate": 16_000.5}, "whole number of Hz"),
        ({"frame_seconds": 1e-6}, "less than a sample"),
        ({"frame_seconds": -1}, "above 0"),
        ({"floor_share": 1.0}, "floor_share"),
        ({"on_db": 3.0, "off_db": 6.0}, "below the level at which it begins"),
        ({"least_floor_db": 3.0}, "below 0 dB"),
        ({"margin_seconds": 0.5}, "hang_over_seconds"),
        ({"longest_seconds": 0.2}, "raise it"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        VadConfig(**changes)


def test_other_misuse_is_refused():
    with pytest.raises(ValueError, match="raise, count"):
        RingBuffer(1, overrun="forget")
    with pytest.raises(ValueError, match="holds no sample"):
        RingBuffer(1e-9)
    with pytest.raises(ValueError, match="earlier time first"):
        RingBuffer(1).between(0.5, 0.2)
    with pytest.raises(BufferError, match="0 to 0 s"):
        RingBuffer(1).between(0.0, 0.2)
    with pytest.raises(BufferError, match="only reached"):
        RingBuffer(1).forget(2)
    with pytest.raises(ValueError, match="from 0 on"):
        RingBuffer(1).read(-1)
    with pytest.raises(ValueError, match="mean, utterance"):
        RunningNormalizer("median")
    with pytest.raises(ValueError, match="one hop or more"):
        RunningNormalizer(horizon_seconds=0.001)
    live = RunningNormalizer()
    live.push(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"\(n_frames, 3\)"):
        live.push(np.zeros((2, 4)))
    with pytest.raises(ValueError, match="NaN"):
        live.push(np.full((1, 3), np.nan))
    with pytest.raises(ValueError, match="sample_rate=16000"):
        StreamingRecognizer(Echo(), vad=VadConfig(sample_rate=8000))
    with pytest.raises(ValueError, match="Raise shortest_seconds"):
        StreamingRecognizer(Echo(), vad=VadConfig(shortest_seconds=0.02))
    with pytest.raises(ValueError, match="patience_seconds"):
        StreamingRecognizer(Echo(), patience_seconds=0)
