"""A listener writes while sound is still coming what the network would write offline, and drops nothing."""

import gc
import math
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standin import standin

from asrlib import datasets
from asrlib.ctc_network import CtcNetwork
from asrlib.decoding import greedy, log_softmax
from asrlib.errors import AudioError
from asrlib.features import FeatureConfig
from asrlib.models import CtcConfig, weight_shapes
from asrlib.network import gru
from asrlib.streaming import (
    Load,
    LookAheadStream,
    SpeechGate,
    StringListener,
    VadConfig,
    voice_activity,
)
from asrlib.string_recognizer import StringRecognizer
from asrlib.texts import wer

RATE = 16_000
chunk_sizes = st.lists(st.integers(1, 4000), min_size=1, max_size=6).filter(lambda sizes: sum(sizes) > 300)


def babble(seconds, *, seed, peak=0.2):
    """Sound whose bands come and go, so that a network has something to decide."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * RATE)) / RATE
    tones = [
        np.sin(2 * np.pi * hertz * times) * (1 + np.sin(2 * np.pi * rate * times + phase))
        for hertz, rate, phase in zip(
            rng.uniform(200, 4000, 6), rng.uniform(1, 6, 6), rng.uniform(0, 6, 6), strict=True
        )
    ]
    return (peak * np.mean(tones, axis=0)).astype(np.float32)


def hiss(seconds, *, level=0.0005, seed=0):
    return np.random.default_rng(seed).normal(0, level, round(seconds * RATE)).astype(np.float32)


def scene():
    """Two lines, the first with a short pause in it, a click between them, and one that is cut off."""
    parts = [
        hiss(0.5), babble(0.7, seed=1), hiss(0.3), babble(0.5, seed=2), hiss(1.2), babble(0.02, seed=3),
        hiss(0.8), babble(0.9, seed=4), hiss(0.9), babble(0.3, seed=5),
    ]  # fmt: skip
    return np.concatenate(parts)


def cut(samples, sizes):
    start = index = 0
    while start < len(samples):
        size = sizes[index % len(sizes)]
        yield samples[start : start + size]
        start, index = start + size, index + 1


def listen(samples, sizes=(1600,), *, recognizer=None, **how):
    listener = StringListener(recognizer or standin(), patience_seconds=1e3, **how)
    return listener, list(listener.listen(cut(samples, sizes)))


def parts_of(samples):
    """Say from which sample to which each line is heard, by a gate of its own."""
    turns = SpeechGate(StringListener(standin()).vad).push(samples)
    starts = [turn.start for turn in turns if turn.kind == "open"]
    ends = [turn.at for turn in turns if turn.kind == "shut"]
    return list(zip(starts, [*ends, len(samples)][: len(starts)], strict=True))


def without_chunks(told):
    """Drop what depends on the chunks and on the machine."""
    return [(one.kind, one.text, one.start, one.stop, one.line, one.cut) for one in told]


# -- the gate ------------------------------------------------------------------------------------------


def test_the_gate_opens_before_speech_and_shuts_behind_it():
    turns = SpeechGate(VadConfig(hang_over_seconds=0.6, margin_seconds=0.2)).push(scene())
    assert [turn.kind for turn in turns] == ["open", "shut", "open", "shut", "open"]
    starts = [turn.start / RATE for turn in turns if turn.kind == "open"]
    assert starts == pytest.approx([0.3, 3.82, 5.62], abs=0.05)
    for opened, shut in zip(turns[::2], turns[1::2], strict=False):
        assert opened.start < opened.at < shut.loud_end < shut.at
        assert opened.at - opened.start == pytest.approx(0.25 * RATE, abs=0.05 * RATE)
        assert shut.at - shut.loud_end == pytest.approx(0.6 * RATE, abs=0.02 * RATE)


@settings(max_examples=25)
@given(sizes=chunk_sizes)
def test_the_gate_does_not_depend_on_the_chunks(sizes):
    whole, gate = SpeechGate(), SpeechGate()
    expected, turns, undecided, heard = whole.push(scene()), [], 0, 0
    for chunk in cut(scene(), sizes):
        new = gate.push(chunk)
        heard += len(chunk)
        for turn in new:
            assert turn.start >= undecided or turn.kind != "open"  # what was given up is not asked for
            assert heard - len(chunk) - gate.config.frame_length < turn.at <= heard
        assert undecided <= gate.undecided <= heard
        assert heard - gate.undecided <= gate.longest_wait * RATE
        undecided = gate.undecided
        turns += new
    assert (turns, gate.ignored, gate.level_db) == (expected, whole.ignored, whole.level_db)


def test_what_the_gate_lets_pass_holds_every_loud_frame_of_speech():
    samples = scene()
    activity, gate = voice_activity(samples), SpeechGate()
    passed, turns = np.zeros(len(activity), bool), gate.push(samples)
    ends = [turn.at for turn in turns if turn.kind == "shut"] + [len(samples)]
    for opened, end in zip([turn for turn in turns if turn.kind == "open"], ends, strict=True):
        passed[opened.start // 160 : end // 160] = True
    assert (activity.loud & ~passed).sum() <= gate.config.shortest_frames  # the click
    assert gate.ignored == 1


# -- what is heard -------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(sizes=chunk_sizes, seed=st.integers(0, 5), gated=st.booleans(), longest=st.sampled_from([0.8, 30.0]))
def test_what_is_heard_does_not_depend_on_the_chunks(sizes, seed, gated, longest):
    vad = VadConfig(hang_over_seconds=0.6, margin_seconds=0.2, longest_seconds=1.5 + longest)
    how = {"recognizer": standin(seed=seed), "vad": vad, "gated": gated}
    _, told = listen(scene(), sizes, **how)
    _, expected = listen(scene(), [10**6], **how)
    assert without_chunks(told) == without_chunks(expected)
    np.testing.assert_allclose(
        [one.probability for one in told], [one.probability for one in expected], atol=1e-3
    )


@settings(max_examples=25)
@given(sizes=chunk_sizes, seed=st.integers(0, 5), bias=st.sampled_from([0.0, 2.0]))
def test_a_line_has_the_scores_of_its_part_of_the_recording(sizes, seed, bias):
    samples, recognizer = scene(), standin(seed=seed)
    parts = dict(parts_of(samples))
    listener, told = listen(samples, sizes, recognizer=recognizer, blank_bias=bias)
    lines = [one for one in told if one.kind == "end"]
    assert len(lines) + listener.ignored == len(parts) + 1  # the click
    for line in lines:
        start = round(line.start * RATE)
        offline = recognizer.scores(samples[start : parts[start]])
        np.testing.assert_allclose(line.scores, offline, atol=1e-3)
        biased = offline - bias * (np.arange(11) == 0)
        assert line.text.split() == [recognizer.labels[label - 1] for label in greedy(biased).labels]


def test_words_are_told_at_once_and_add_up_to_the_line():
    samples, listener = scene(), StringListener(standin(seed=3))
    words, lines = [], []
    for chunk in cut(samples, [640]):
        opened = listener.speaking
        for one in listener.push(chunk):
            if one.kind == "end":
                assert listener.text == one.text == " ".join(word.text for word in words)
                assert one.probability == pytest.approx(math.prod(word.probability for word in words))
                lines.append(one)
                words = []
                continue
            words.append(one)
            assert one.stop <= one.heard and one.start < one.stop and one.compute_ms > 0
            if opened:  # else it comes from before the gate knew that somebody speaks
                assert one.heard < one.stop + 0.04  # a chunk
            assert one.latency_ms == one.waiting_ms + one.compute_ms
            assert one.line == len(lines)
        assert listener.words == words or not words
    lines += [one for one in listener.flush() if one.kind == "end"]
    assert len(lines) == 3 and not any(line.cut for line in lines)
    assert lines[0].stop == pytest.approx(2.0, abs=0.05)
    assert lines[0].waiting_ms == pytest.approx(600, abs=60)


def test_a_line_that_is_cut_goes_on_with_the_same_state():
    samples = np.concatenate([hiss(0.5), babble(3.5, seed=6), hiss(1)])
    how = {"hang_over_seconds": 0.6, "margin_seconds": 0.2}
    _, whole = listen(samples, vad=VadConfig(**how))
    _, pieces = listen(samples, vad=VadConfig(**how, longest_seconds=1.1))
    lines = [one for one in pieces if one.kind == "end"]
    assert [line.cut for line in lines] == [True, True, True, False]
    assert " ".join(line.text for line in lines) == whole[-1].text
    np.testing.assert_allclose(np.concatenate([line.scores for line in lines]), whole[-1].scores, atol=1e-5)


def test_without_a_gate_the_whole_stream_is_heard():
    samples, recognizer = scene(), standin(seed=2)
    listener = StringListener(recognizer, gated=False)
    told = [one for chunk in cut(samples, [777]) for one in listener.push(chunk)] + listener.flush()
    offline = greedy(recognizer.scores(samples)).labels
    assert [one.text for one in told if one.kind == "word"] == [recognizer.labels[k - 1] for k in offline]


def test_the_network_rests_in_silence():
    recognizer = standin()
    stream, pushed = recognizer.network.stream(), []
    push, stream.push = stream.push, lambda frames: pushed.append(len(frames)) or push(frames)
    listener = StringListener(recognizer, stream=stream)
    for chunk in cut(hiss(5), [1600]):
        assert listener.push(chunk) == [] and not listener.speaking
    assert pushed == []
    listener.push(babble(0.2, seed=1))
    assert listener.speaking and sum(pushed) > 30  # the frames before it too
    assert listener.level_db == pytest.approx(voice_activity(babble(0.2, seed=1)).level_db[-1], abs=3)


def test_a_bias_against_the_blank_decides_sooner_and_more():
    samples, recognizer = scene(), standin(seed=1, blank=4.0)
    few = [one for one in listen(samples, recognizer=recognizer)[1] if one.kind == "word"]
    many = [
        one for one in listen(samples, recognizer=recognizer, blank_bias=4.0)[1] if one.kind == "word"
    ]
    assert len(many) > len(few)
    assert many[0].stop <= few[0].stop


def test_features_that_are_normalised_use_the_running_mean():
    config = FeatureConfig(normalization="mean")
    told = listen(scene(), [1600], recognizer=standin(config=config, seed=4))[1]
    same = listen(scene(), [333, 4444], recognizer=standin(config=config, seed=4))[1]
    assert told and without_chunks(told) == without_chunks(same)


# -- a network that reads both ways ---------------------------------------------------------------------


def random_network(*, seed=0, **changes):
    config = CtcConfig(**{"conv_channels": (4, 6), "projection": 8, "gru_units": 8, **changes})
    shapes = weight_shapes(config, input_shape=(None, 20), n_classes=11)
    rng = np.random.default_rng(seed)
    weights = {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}
    positive = {name: np.abs(array) for name, array in weights.items() if name.endswith("moving_variance")}
    return CtcNetwork(config, weights | positive)


def frames_of(n_frames, seed=0):
    return np.random.default_rng(seed).normal(size=(n_frames, 20)).astype(np.float32)


NETWORKS = [
    {},
    {"layers": 2},
    {"projection": 0, "bidirectional": False},
    {"kernel_size": (5, 3), "pools": ((1, 2), (3, 2))},
    {"kernel_size": (4, 2), "pools": ((2, 2), (2, 4)), "layers": 2},
]


@settings(max_examples=40)
@given(
    changes=st.sampled_from(NETWORKS),
    n_frames=st.integers(1, 90),
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    block=st.integers(1, 4),
)
def test_a_look_ahead_to_the_end_equals_the_whole_utterance(changes, n_frames, sizes, block):
    network, frames = random_network(**changes), frames_of(n_frames)
    live = LookAheadStream(network, look_ahead_seconds=4.0, block_seconds=0.04 * block)
    parts = [live.push(part) for part in cut(frames, sizes)] + [live.flush()]
    np.testing.assert_allclose(np.concatenate(parts), network(frames), atol=1e-4)


@settings(max_examples=25)
@given(
    changes=st.sampled_from(NETWORKS),
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    block=st.integers(1, 4),
    ahead=st.integers(0, 6),
)
def test_answers_with_look_ahead_do_not_depend_on_the_chunks(changes, sizes, block, ahead):
    network, frames = random_network(**changes), frames_of(120)
    times = {"look_ahead_seconds": 0.04 * ahead, "block_seconds": 0.04 * block}
    whole, live = LookAheadStream(network, **times), LookAheadStream(network, **times)
    expected = np.concatenate([whole.push(frames), whole.flush()])
    parts = np.concatenate([*(live.push(part) for part in cut(frames, sizes)), live.flush()])
    np.testing.assert_allclose(parts, expected, atol=1e-5)
    assert len(parts) == len(network(frames))


def test_the_backward_run_begins_where_the_look_ahead_ends():
    network, frames = random_network(), frames_of(80)
    layers, weights = network.trace(frames), network.weights
    names = ("kernel", "recurrent_kernel", "bias")
    live = LookAheadStream(network, look_ahead_seconds=0.12, block_seconds=0.08)
    answers = np.concatenate([live.push(frames), live.flush()])
    forward = layers["gru1"][:, :8]
    for first in range(0, 20 - 5 + 1, 2):
        window = layers["projection"][None, first : first + 5]
        backward = gru(window, *(weights[f"gru1_backward/{name}"] for name in names), backwards=True)[0]
        both = np.concatenate([forward[first : first + 2], backward[:2]], axis=1)
        scores = log_softmax(both @ weights["logits/kernel"] + weights["logits/bias"])
        np.testing.assert_allclose(answers[first : first + 2], scores, atol=1e-4)


def test_a_longer_look_ahead_comes_nearer_to_the_whole_utterance_and_later():
    network, frames = random_network(), frames_of(400)
    gaps, waits = [], []
    for seconds in (0.0, 0.08, 0.32, 1.28):
        live = LookAheadStream(network, look_ahead_seconds=seconds, block_seconds=0.04)
        counts = np.cumsum([len(live.push(frame[None])) for frame in frames])
        waits.append(int(np.argmax(counts > 10)))
        live.reset()
        answers = np.concatenate([live.push(frames), live.flush()])
        gaps.append(np.abs(np.exp(answers) - np.exp(network(frames))).max())
    assert gaps == sorted(gaps, reverse=True) and gaps[0] > 10 * gaps[-1]
    assert np.diff(waits).tolist() == [8, 24, 96]


def test_a_listener_takes_a_network_that_reads_both_ways():
    recognizer = standin(config=FeatureConfig(n_mels=20), seed=1)
    recognizer.network = random_network()
    live = StringListener(recognizer, look_ahead_seconds=0.2, block_seconds=0.04, patience_seconds=1e3)
    told = list(live.listen(cut(scene(), [1600])))
    words = [one for one in told if one.kind == "word"]
    assert words and told[-1].kind == "end" and told[-1].text.endswith(words[-1].text)
    assert min(word.waiting_ms for word in words if word.heard < live.seconds) > 200
    assert StringListener(recognizer)._stream.look_ahead_steps == 4
    recognizer.network = random_network(causal=True, bidirectional=False)
    assert StringListener(recognizer)._stream.network is recognizer.network
    with pytest.raises(ValueError, match="causal and needs no look-ahead"):
        StringListener(recognizer, look_ahead_seconds=0.2)
    with pytest.raises(ValueError, match="block_seconds"):
        LookAheadStream(random_network(), block_seconds=0)
    with pytest.raises(ValueError, match="look_ahead_seconds"):
        LookAheadStream(random_network(), look_ahead_seconds=-1)


# -- the recognisers that come with asrlib -------------------------------------------------------------


@pytest.fixture(scope="module")
def spoken():
    """Naturally spoken strings of one speaker after the other, with pauses, and what was said."""
    clips = list(datasets.strings("validation"))[::4]
    pause = hiss(1.0)
    return np.concatenate([pause, *(part for clip in clips for part in (clip.samples, pause))]), [
        clip.label for clip in clips
    ]


@pytest.mark.parametrize("name", ["streaming", "default"])
def test_the_shipped_recognisers_write_down_what_is_said(name, spoken):
    samples, said = spoken
    recognizer = getattr(StringRecognizer, name)()
    how = {} if name == "streaming" else {"look_ahead_seconds": 30.0}
    listener, told = listen(samples, recognizer=recognizer, **how)
    lines = [one for one in told if one.kind == "end"]
    assert len(lines) == len(said) and listener.ignored == 0
    assert wer(said, [line.text for line in lines]) < 0.2
    for line, (start, end) in zip(lines, parts_of(samples), strict=True):
        np.testing.assert_allclose(line.scores, recognizer.scores(samples[start:end]), atol=1e-2)


def test_a_short_look_ahead_hears_what_the_whole_utterance_is(spoken):
    recognizer = StringRecognizer.default()
    near, whole = (
        [one.text for one in listen(spoken[0], recognizer=recognizer, **how)[1] if one.kind == "end"]
        for how in ({}, {"look_ahead_seconds": 30.0})
    )
    assert wer(whole, near) < 0.1


# -- time, order and memory ----------------------------------------------------------------------------


class SlowMachine:
    """A clock that a network moves on, as if every step took this long."""

    def __init__(self, seconds):
        self.now, self.seconds = 0.0, seconds

    def __call__(self):
        return self.now

    def recognizer(self):
        recognizer, machine = standin(), self
        stream = recognizer.network.stream()
        push = stream.push

        def slow(frames):
            machine.now += machine.seconds * len(frames) / 4
            return push(frames)

        stream.push = slow
        recognizer.network.stream = lambda: stream
        return recognizer


def test_a_slow_machine_says_so_once_and_drops_nothing():
    samples, machine = np.concatenate([scene(), hiss(1)] * 2), SlowMachine(0.4)
    listener = StringListener(machine.recognizer(), clock=machine)
    with pytest.warns(RuntimeWarning, match="too slow") as caught:
        told = list(listener.listen(cut(samples, [1600])))
    assert len(caught) == 1 and caught[0].filename.endswith("listening.py")
    assert listener.late > 0 and listener.backlog_seconds > 0.5 and listener.real_time_factor > 1
    assert without_chunks(told) == without_chunks(listen(samples)[1])
    assert max(one.compute_ms for one in told) > 400


def test_a_machine_that_keeps_up_is_silent():
    machine = SlowMachine(0.02)
    listener = StringListener(machine.recognizer(), clock=machine)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(listener.listen(cut(scene(), [1600])))
    assert listener.late == 0 and listener.backlog_seconds < 0.3  # the pre-roll comes at once
    assert 0 < listener.real_time_factor < 0.5


def test_load_follows_the_queue_recursion():
    load, by_hand = Load(patience_seconds=100), 0.0
    rng = np.random.default_rng(0)
    for computing, sound in rng.uniform(0, 0.2, (200, 2)):
        load.book(computing=computing, sound=sound)
        by_hand = max(0.0, by_hand + computing - sound)
        assert load.backlog_seconds == by_hand
    assert load.late == 0 and load.compute_seconds > 0


def test_flush_ends_and_reset_begins_anew():
    samples, listener = scene()[: round(1.0 * RATE)], StringListener(standin())
    first = listener.push(samples) + listener.flush()
    assert first[-1].kind == "end" and first[-1].heard == listener.seconds == 1.0
    for call in (lambda: listener.push(samples), listener.flush):
        with pytest.raises(ValueError, match="reset"):
            call()
    listener.reset()
    assert (listener.text, listener.seconds, listener.late, listener.speaking) == ("", 0, 0, False)
    assert math.isnan(listener.real_time_factor) and listener.scores.shape == (0, 11)
    again = listener.push(samples) + listener.flush()
    assert without_chunks(again) == without_chunks(first)


def test_noise_without_words_is_no_line():
    listener, told = listen(scene(), recognizer=standin(blank=100.0))
    assert told == [] and listener.ignored == 4


@pytest.mark.parametrize("gated", [True, False])
def test_memory_does_not_grow(gated):
    vad = VadConfig(hang_over_seconds=0.6, margin_seconds=0.2, longest_seconds=3)
    listener = StringListener(standin(seed=3), vad=vad, gated=gated, patience_seconds=1e3)
    sound = scene()[:45_000]
    for length in (3, 1, 1):
        listener.push(np.tile(sound, length))
    tracemalloc.start()
    try:
        listener.push(sound)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(5):
            listener.push(sound)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 20_000
    assert "waiting" in repr(listener) or "writing" in repr(listener)


# -- what is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "chunk, sample_rate, message",
    [
        (np.empty(0, np.float32), None, "skip empty chunks"),
        (np.zeros((2, 100), np.float32), None, r"shape \(2, 100\)"),
        (np.array([0.1, np.nan]), None, "NaN|not finite|nan"),
        (np.array([0.1, 1.5]), None, r"outside \[-1, 1\]"),
        (np.zeros(100, np.float32), 44_100, "44100 Hz.*16000 Hz.*Resample"),
    ],
)
def test_bad_chunks_are_refused_and_change_nothing(chunk, sample_rate, message):
    samples, listener = scene(), StringListener(standin(seed=3))
    told = listener.push(samples[:20_000])
    with pytest.raises(AudioError, match=message):
        listener.push(chunk, sample_rate=sample_rate)
    told += listener.push(samples[20_000:], sample_rate=RATE) + listener.flush()
    assert without_chunks(told) == without_chunks(listen(samples, recognizer=standin(seed=3))[1])


def test_other_misuse_is_refused():
    with pytest.raises(ValueError, match="sample_rate=16000"):
        StringListener(standin(), vad=VadConfig(sample_rate=8000))
    with pytest.raises(ValueError, match="blank_bias"):
        StringListener(standin(), blank_bias=math.nan)
    with pytest.raises(ValueError, match="patience_seconds"):
        StringListener(standin(), patience_seconds=0)
