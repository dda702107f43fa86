"""Strings of words: one utterance, recordings of any length, and when each word was said."""

import io
import json
import math
import subprocess
import sys
import tracemalloc
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from asrlib import audio, datasets, decoding, model_files, recognizer, string_recognizer, strings, texts
from asrlib.errors import AudioError, ModelFileError
from asrlib.features import FeatureConfig
from asrlib.models import CrnnConfig, CtcConfig, weight_shapes
from asrlib.passages import LONG_SECONDS, PASSAGES, cut, is_steady, open_recording
from asrlib.recognizer import Recognizer
from asrlib.string_recognizer import StringRecognizer, StringTranscript, TimedWord, word_limits

RATE = audio.SAMPLE_RATE
DIGITS = tuple("0123456789")
SMALL = CtcConfig(conv_channels=(2, 3), projection=4, gru_units=3)


def untrained(labels=DIGITS, *, model=SMALL, seed=0, features=None):
    features = features or FeatureConfig()
    rng = np.random.default_rng(seed)
    shapes = weight_shapes(model, input_shape=(None, features.n_coefficients), n_classes=len(labels) + 1)
    weights = {
        name: np.abs(rng.normal(1, 0.1, shape)).astype(np.float32)
        if "variance" in name
        else rng.normal(0, 0.5, shape).astype(np.float32)
        for name, shape in shapes.items()
    }
    return StringRecognizer(features=features, model=model, weights=weights, labels=labels)


def tone(seconds, *, hertz=440.0, level=0.1):
    time = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def silence(seconds):
    return np.zeros(round(seconds * RATE), np.float32)


class Beeps(StringRecognizer):
    """Knows two beeps by their pitch and names each 0.1 s after it began: a network of known answers."""

    PITCHES = (500.0, 1500.0)

    def __init__(self):
        plain = untrained(("low", "high"))
        super().__init__(
            features=plain.features, model=plain.model, weights=plain.weights, labels=plain.labels
        )
        self.heard = []

    def scores(self, samples):
        self.heard.append(len(samples) / RATE)
        step = round(self.step_seconds * RATE)
        blocks = samples[: len(samples) // step * step].reshape(-1, step)
        loud = np.sqrt(np.mean(blocks**2, axis=1)) > 0.02
        crossings = (np.diff(np.signbit(blocks), axis=1) != 0).sum(axis=1) / 2 / self.step_seconds
        scores = np.full((len(blocks), 3), math.log(0.02))
        scores[:, 0] = math.log(0.96)
        for first, last in string_recognizer._runs(loud):
            spike = min(first + 2, last - 1)
            label = 1 + int(crossings[spike] > 1000)
            scores[spike] = math.log(0.01)
            scores[spike, label] = math.log(0.98)
        return scores


def beeps(*items):
    """Make a recording of ("low" | "high" | seconds of silence)."""
    parts, truth, now = [], [], 0.0
    for item in items:
        if isinstance(item, str):
            part = tone(0.2, hertz=Beeps.PITCHES[item == "high"])
            truth.append((item, now, now + 0.2))
        else:
            part = silence(item)
        parts.append(part)
        now += len(part) / RATE
    return np.concatenate(parts), truth


# -- one utterance -------------------------------------------------------------------------------------------


def test_scores_are_log_probabilities_one_row_for_each_step():
    machine = untrained()
    scores = machine.scores(tone(1.0))
    frames = machine.features.n_frames(RATE)
    assert scores.shape == (frames // 4, 11)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1, atol=1e-5)
    assert machine.step_seconds == pytest.approx(0.04)


@pytest.mark.parametrize("center", [False, True])
def test_a_step_stands_for_its_own_frames(center):
    machine = untrained(features=FeatureConfig(center=center))
    times = machine.step_times(3)
    np.testing.assert_allclose(np.diff(times), machine.step_seconds)
    assert times[0] == pytest.approx(0.015 if center else 0.031)
    shortest = round(machine.shortest_seconds * RATE)
    assert len(machine.scores(tone(1.0)[: shortest + 160])) >= 1
    if not center:
        assert len(machine.scores(tone(1.0)[:shortest])) == 1
        with pytest.raises(AudioError, match=r"first answer needs 0\.062 s"):
            machine.scores(tone(1.0)[: shortest - 1])


def test_transcribe_reads_the_most_probable_path_of_the_scores():
    machine = untrained(seed=3)
    samples = tone(1.5, hertz=300) + 0.5 * tone(1.5, hertz=900)
    found = machine.transcribe(samples)
    scores = machine.scores(samples)
    expected = decoding.greedy(scores).labels
    assert found.text == " ".join(decoding.to_words(expected, DIGITS))
    assert [word.text for word in found.words] == found.text.split()
    assert found.probability == pytest.approx(math.exp(-decoding.ctc_loss(scores, expected)))
    assert found.audio_seconds == pytest.approx(1.5)
    assert (found.note, found.span) == ("", (0.0, 1.5))


def test_a_beam_and_a_grammar_are_asked():
    machine = untrained(seed=3)
    samples = tone(1.0, hertz=300)
    best = decoding.beam_search(machine.scores(samples), beam_width=8)[0]
    found = machine.transcribe(samples, beam_width=8)
    assert found.text.split() == decoding.to_words(best.labels, DIGITS)
    for n_words in (0, 2, 5):
        grammar = decoding.LengthGrammar(shortest=n_words, longest=n_words)
        assert len(machine.transcribe(samples, text_score=grammar).words) == n_words


@pytest.mark.parametrize("kind", ["path", "str", "bytes", "file", "clip", "another rate"])
def test_every_way_in_gives_the_same_answer(kind, tmp_path):
    machine, samples = untrained(seed=3), tone(0.9, hertz=300)
    path = audio.write(tmp_path / "clip.wav", samples)
    samples = audio.load(path)
    sample_rate = None
    if kind == "clip":
        source = type("Clip", (), {"samples": samples, "sample_rate": RATE})()
    elif kind == "another rate":
        source, sample_rate = audio.resample(samples, source_rate=RATE, target_rate=48_000), 48_000
    else:
        source = {
            "path": path,
            "str": str(path),
            "bytes": path.read_bytes(),
            "file": io.BytesIO(path.read_bytes()),
        }[kind]
    found, expected = machine.transcribe(source, sample_rate=sample_rate), machine.transcribe(samples)
    assert found.text == expected.text
    assert found.probability == pytest.approx(expected.probability, rel=0.05)


@pytest.mark.parametrize(
    "bad", [silence(0.5), np.full(8_000, np.nan, np.float32), tone(0.01), "nothing.wav", None]
)
def test_unusable_sounds_raise_audio_errors(bad):
    with pytest.raises(AudioError):
        untrained().transcribe(bad)


def test_a_transcript_prints_and_becomes_json():
    words = (TimedWord("5", 0.1, 0.5, 0.9),)
    transcript = StringTranscript("5", words, 0.9, 1.0, 2.0, note="a note")
    assert str(transcript) == "5  (90 %)  1.00 s of sound in 2.0 ms\na note"
    assert json.loads(json.dumps(transcript.to_dict()))["words"][0]["stop"] == 0.5
    assert str(replace(transcript, text="", note="")).startswith("(nothing)")


def test_labels_must_fit_the_network():
    machine = untrained()
    with pytest.raises(ValueError, match="11 outputs for 9 labels"):
        StringRecognizer(
            features=machine.features, model=machine.model, weights=machine.weights, labels=DIGITS[:9]
        )


# -- when a word was said ------------------------------------------------------------------------------------


def test_words_lie_where_their_sound_is():
    samples, truth = beeps(0.3, "low", 0.2, "high", 0.1, "high", 0.4)
    words = Beeps().transcribe(samples).words
    assert [word.text for word in words] == [label for label, _, _ in truth]
    for word, (_, start, stop) in zip(words, truth, strict=True):
        assert (word.start, word.stop) == (pytest.approx(start, abs=0.03), pytest.approx(stop, abs=0.03))
        assert word.probability == pytest.approx(0.98, abs=0.001)


@settings(max_examples=30)
@given(
    lengths=st.lists(st.tuples(st.floats(0.15, 0.5), st.floats(0.16, 0.5)), min_size=1, max_size=4),
    late=st.floats(-0.1, 0.1),
)
def test_limits_are_found_whether_a_spike_is_inside_its_word_or_just_behind_it(lengths, late):
    parts, truth, now = [silence(0.2)], [], 0.2
    for length, pause in lengths:
        truth.append((now, now + length))
        parts += [tone(length), silence(pause)]
        now += length + pause
    samples = np.concatenate(parts)
    spikes = [stop + late for _, stop in truth]
    found = word_limits(samples, spikes)
    for (start, stop), (true_start, true_stop) in zip(found, truth, strict=True):
        assert start == pytest.approx(true_start, abs=0.03)
        assert stop == pytest.approx(true_stop, abs=0.03)


@settings(max_examples=30)
@given(
    steps=st.lists(st.integers(0, 100), max_size=8, unique=True),
    seed=st.integers(0, 100),
    loud=st.floats(0, 0.3),
)
def test_limits_never_overlap_and_stay_inside(steps, seed, loud):
    rng = np.random.default_rng(seed)
    samples = (loud * rng.normal(0, 0.3, 16_600).clip(-1, 1) * rng.random(16_600)).astype(np.float32)
    spikes = sorted(step / 100 for step in steps)
    limits = word_limits(samples, spikes)
    assert len(limits) == len(spikes)
    flat = [moment for pair in limits for moment in pair]
    assert flat == sorted(flat)
    assert all(0 <= moment <= len(samples) / RATE for moment in flat)


def test_without_a_pause_the_quietest_moment_parts_two_words():
    samples = tone(1.0)
    samples[7_500:8_500] *= 0.3
    (_, stop), (start, _) = word_limits(samples, [0.3, 0.8])
    assert stop == start == pytest.approx(0.5, abs=0.04)


# -- recordings of any length --------------------------------------------------------------------------------


def test_a_long_recording_is_heard_passage_by_passage_with_times_over_all_of_it(tmp_path):
    samples, truth = beeps(2.0, "low", 0.1, "high", 3.0, "high", 12.0, "low", 0.2, "low", 0.3, "high", 9.0)
    machine = Beeps()
    assert len(samples) > LONG_SECONDS * RATE
    found = machine.transcribe(samples)
    assert found.text == " ".join(label for label, _, _ in truth)
    for word, (_, start, stop) in zip(found.words, truth, strict=True):
        assert (word.start, word.stop) == (pytest.approx(start, abs=0.03), pytest.approx(stop, abs=0.03))
    assert found.audio_seconds == pytest.approx(len(samples) / RATE)
    assert "3 passages" in found.note
    assert len(machine.heard) == 3
    assert max(machine.heard) < 2
    path = audio.write(tmp_path / "long.wav", samples)
    assert Beeps().transcribe(path).words == Beeps().transcribe(audio.load(path)).words


def test_passages_come_one_by_one_while_the_file_is_read(tmp_path):
    samples, _ = beeps(1.0, "low", 30.0, "high", 1.0)
    blocks = iter(np.array_split(samples, 50))
    machine = Beeps()
    found = machine._by_passage(blocks, string_recognizer._Search(None, None))
    first = next(found)
    assert (first.text, machine.heard) == ("low", machine.heard[:2])
    assert [passage.text for passage in found] == ["high"]
    path = audio.write(tmp_path / "long.wav", samples)
    spans = [passage.span for passage in machine.passages(path)]
    assert [start for start, _ in spans] == [pytest.approx(0.8, abs=0.02), pytest.approx(31.0, abs=0.02)]
    (whole,) = machine.passages(samples[: 5 * RATE])
    assert whole.span == (0.0, 5.0)


@pytest.mark.parametrize("seed", range(4))
def test_speech_without_a_pause_is_cut_without_losing_or_doubling_a_word(seed):
    rng = np.random.default_rng(seed)
    items = [0.5]
    for _ in range(120):
        items += [str(rng.choice(["low", "high"])), float(rng.uniform(0.1, 0.2))]
    samples, truth = beeps(*items, 1.0)
    machine = Beeps()
    found = machine.transcribe(samples)
    assert len(samples) / RATE > 2 * PASSAGES.longest_seconds
    assert len(machine.heard) >= 3
    assert max(machine.heard) < PASSAGES.longest_seconds + 2.5
    assert found.text.split() == [label for label, _, _ in truth]
    assert max(abs(word.start - start) for word, (_, start, _) in zip(found.words, truth, strict=True)) < 0.04


def test_blocks_of_any_length_give_the_same_passages():
    samples, _ = beeps(1.0, "low", 2.0, "high", 0.2, "low", 1.0)
    whole = [(passage.start, passage.stop) for passage in cut([samples])]
    for n_blocks in (3, 7, 100):
        parts = list(cut(np.array_split(samples, n_blocks)))
        assert [(passage.start, passage.stop) for passage in parts] == whole
        for passage in parts:
            first = round(passage.start * RATE)
            np.testing.assert_array_equal(passage.samples, samples[first : first + len(passage.samples)])


@settings(max_examples=30)
@given(
    parts=st.lists(
        st.tuples(st.floats(0.02, 4), st.sampled_from([0.0, 1e-4, 0.003, 0.05, 0.3])), min_size=1, max_size=8
    ),
    seed=st.integers(0, 1000),
)
def test_passages_are_parts_of_the_recording_in_the_order_of_time(parts, seed):
    rng = np.random.default_rng(seed)
    noise = [rng.uniform(-level, level, 160 + round(seconds * RATE)) for seconds, level in parts]
    samples = np.concatenate(noise).astype(np.float32)
    ends = 0.0
    for passage in cut(np.array_split(samples, 1 + seed % 7)):
        first = round(passage.start * RATE)
        np.testing.assert_array_equal(passage.samples, samples[first : first + len(passage.samples)])
        assert passage.stop <= len(samples) / RATE + 1e-9
        assert passage.start + passage.overlap >= ends - 1e-9
        assert passage.seconds == pytest.approx(len(passage.samples) / RATE, abs=1e-4)
        ends = passage.stop


def test_a_word_is_heard_however_soon_it_comes():
    for first in (0.01, 0.1, 1.0):
        samples, truth = beeps(first, "low", 1.0, "high", 25.0)
        found = Beeps().transcribe(samples)
        assert found.text == "low high"
        assert found.words[0].start == pytest.approx(truth[0][1], abs=0.03)


def test_a_noise_that_sets_in_is_no_passage_of_speech():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.01, 5 * RATE).astype(np.float32)
    samples, truth = beeps(2.0, "low", 0.2, "high", 1.0)
    samples = np.concatenate([samples, noise, samples, noise[: 2 * RATE], silence(8.0)])
    samples = samples + rng.normal(0, 1e-4, len(samples)).astype(np.float32)
    found = Beeps().transcribe(samples)
    assert found.text.split() == 2 * [label for label, _, _ in truth]
    assert is_steady(noise)
    assert not is_steady(noise[:RATE])
    assert not is_steady(np.concatenate([noise[:RATE], 0.1 * noise[:RATE]]))


def test_a_long_recording_without_speech_has_no_words():
    noise = np.random.default_rng(0).normal(0, 0.0005, 25 * RATE).astype(np.float32)
    found = Beeps().transcribe(noise)
    assert (found.text, found.words, found.probability) == ("", (), 1.0)
    assert "No words" in found.note


def test_a_long_silent_recording_is_refused():
    with pytest.raises(AudioError, match="all 400000 samples are zero"):
        Beeps().transcribe(silence(25))


def test_memory_does_not_grow_with_the_length(tmp_path):
    """Three minutes take no more than one, and less than half of what their samples alone would."""
    minute, _ = beeps(*[0.1, "low", 0.2, "high", 2.0, "low", 10.0, "high", 0.9] * 4, 5.4)
    peaks = []
    for minutes in (1, 3):
        path = tmp_path / f"{minutes}.wav"
        with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
            for _ in range(minutes):
                file.write(minute)
        machine = Beeps()
        tracemalloc.start()
        found = machine.transcribe(path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(found.words) == 16 * minutes
        assert found.words[-1].stop > 60 * (minutes - 1)
    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[1] < minutes * 60 * RATE * 4 / 2


def test_open_recording_gives_short_ones_whole_and_long_ones_in_blocks(tmp_path):
    samples = tone(21)
    assert isinstance(open_recording(samples[: 20 * RATE], sample_rate=RATE), np.ndarray)
    blocks = list(open_recording(samples, sample_rate=RATE))
    assert len(blocks) == 5
    np.testing.assert_array_equal(np.concatenate(blocks), samples)
    path = audio.write(tmp_path / "a.flac", samples[: 3 * RATE])
    np.testing.assert_array_equal(open_recording(path, sample_rate=RATE), audio.load(path))


# -- the recognisers that come with asrlib -------------------------------------------------------------------


@pytest.fixture(scope="module")
def composed():
    """Strings of unheard speakers whose times are known."""
    composer = strings.Composer(datasets.digits("test"), strings.ComposeConfig().clean())
    rng = np.random.default_rng(0)
    return [composer(rng=rng) for _ in range(24)]


@pytest.mark.parametrize("make", [StringRecognizer.default, StringRecognizer.streaming])
def test_times_are_those_of_the_words(make, composed):
    """Half of the starts and stops within 30 ms, nine tenths within 130 ms; a spike can lie anywhere."""
    machine, errors = make(), []
    for string in composed:
        found = machine.transcribe(string.samples)
        if found.text == string.label:
            errors += [
                abs(word.start - start) for word, start in zip(found.words, string.starts, strict=True)
            ]
            errors += [abs(word.stop - stop) for word, stop in zip(found.words, string.stops, strict=True)]
    assert len(errors) > 50
    assert np.median(errors) < 0.03
    assert np.percentile(errors, 90) < 0.13


def test_a_talk_with_noise_and_silence_is_written_down(composed):
    rng = np.random.default_rng(1)
    parts, said, times, now = [silence(2)], [], [], 2.0
    for place, string in enumerate(composed[:16]):
        noise = rng.normal(0, 10 ** rng.uniform(-2.4, -1.6), 3 * RATE if place % 4 == 0 else 160)
        for part in (string.samples, silence(1.0), noise.clip(-1, 1), silence(1.5)):
            parts.append(part)
        said += string.label.split()
        times += (now + string.starts).tolist()
        now += sum(map(len, parts[-4:])) / RATE
    samples = np.concatenate(parts) + rng.normal(0, 3e-4, round(now * RATE))
    found = StringRecognizer.default().transcribe(samples.astype(np.float32).clip(-1, 1))
    assert texts.wer(" ".join(said), found.text) < 0.2
    starts = np.array([word.start for word in found.words])
    assert np.median([np.abs(starts - start).min() for start in times]) < 0.04


# -- single words in a long recording ------------------------------------------------------------------------


def words_machine():
    config = CrnnConfig(conv_channels=(2,), pools=((4, 4),), gru_units=3)
    features = FeatureConfig(normalization="utterance")
    rng = np.random.default_rng(1)
    shapes = weight_shapes(config, input_shape=(100, features.n_mels), n_classes=10)
    weights = {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}
    weights |= {name: np.abs(array) for name, array in weights.items() if "variance" in name}
    return Recognizer(features=features, model=config, weights=weights, labels=DIGITS)


def test_the_recogniser_of_single_words_hears_all_of_a_long_recording(tmp_path, monkeypatch):
    samples, truth = beeps(2.0, "low", 1.0, "high", 15.0, "high", 12.0)
    machine = words_machine()
    path = audio.write(tmp_path / "long.wav", samples)
    samples = audio.load(path)
    monkeypatch.setattr(recognizer, "_SURE", 0.0)  # an untrained network is sure of nothing
    found = machine.transcribe(path)
    assert found.words == tuple(machine.words(path, least_probability=0))
    assert found.text == " ".join(word.text for word in found.words)
    assert len(found.words) == 3
    for word, (_, start, stop) in zip(found.words, truth, strict=True):
        assert (word.start, word.stop) == (pytest.approx(start, abs=0.03), pytest.approx(stop, abs=0.03))
        part = samples[round((word.start - 0.05) * RATE) : round((word.stop + 0.05) * RATE)]
        alone = machine.transcribe(part)
        assert (word.text, word.probability) == (alone.text, pytest.approx(alone.probability, abs=1e-3))
    assert found.probabilities == {}
    assert str(found).startswith(found.text)


def test_stretches_that_are_surely_no_word_are_left_out(monkeypatch):
    samples, _ = beeps(2.0, "low", 1.0, "high", 20.0)
    machine = words_machine()
    low, high = machine.words(samples, least_probability=0)
    assert low.probability != high.probability
    limit = (low.probability + high.probability) / 2
    surer = max(low, high, key=lambda word: word.probability)
    assert list(machine.words(samples, least_probability=limit)) == [surer]
    monkeypatch.setattr(recognizer, "_SURE", limit)
    found = machine.transcribe(samples)
    assert found.words == (surer,)
    assert "left out: 1 sounds" in found.note


def test_a_single_word_at_once_is_heard():
    samples, _ = beeps(0.02, "low", 25.0)
    (word,) = words_machine().words(samples, least_probability=0)
    assert word.start == pytest.approx(0.05, abs=0.05)


def test_the_word_of_a_short_recording_has_its_time_too():
    samples, _ = beeps(1.0, "low", 1.0)
    found = words_machine().transcribe(samples)
    (word,) = found.words
    assert (word.text, word.probability, (word.start, word.stop)) == (
        found.text,
        found.probability,
        found.span,
    )


# -- files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model", [SMALL, replace(SMALL, causal=True, bidirectional=False, layers=2)], ids=["whole", "causal"]
)
def test_round_trip(model, tmp_path):
    machine = untrained(model=model, features=FeatureConfig(n_mels=20))
    path = machine.save(tmp_path / "strings.asr")
    for again in (StringRecognizer.load(path), Recognizer.load(path)):
        assert isinstance(again, StringRecognizer)
        assert (again.labels, again.features, again.model) == (
            machine.labels,
            machine.features,
            machine.model,
        )
        np.testing.assert_array_equal(again.scores(tone(0.5)), machine.scores(tone(0.5)))
    assert again.save(tmp_path / "b.asr").read_bytes() == path.read_bytes()


def test_each_kind_of_file_is_told_from_the_other(tmp_path):
    path = words_machine().save(tmp_path / "words.asr")
    assert isinstance(Recognizer.load(path), Recognizer)
    with pytest.raises(ModelFileError, match="single words, not of strings"):
        StringRecognizer.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["model"].update(gru_units=10**9), "not usable"),
        (lambda c: c["model"].update(layers=10**9), "not usable"),
        (lambda c: c["model"].update(code="import os"), "'code'"),
        (lambda c: c.update(labels=list("012")), "not usable"),
        (lambda c: c["features"].update(n_mels=41), "not usable"),
        (lambda c: c.update(features=[]), "not usable"),
        (lambda c: c.pop("model"), "lacks model"),
    ],
)
def test_crafted_files_are_refused(change, message, tmp_path):
    path = untrained().save(tmp_path / "a.asr")
    with zipfile.ZipFile(path) as archive:
        config, weights = json.loads(archive.read("config.json")), archive.read("weights.npz")
    change(config)
    path.write_bytes(
        model_files._zip_bytes({"config.json": json.dumps(config).encode(), "weights.npz": weights})
    )
    with pytest.raises(ModelFileError, match=message):
        Recognizer.load(path)


def test_a_missing_model_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(string_recognizer, "DEFAULT_MODEL", tmp_path / "strings.asr")
    monkeypatch.setattr(string_recognizer, "STREAMING_MODEL", tmp_path / "streaming.asr")
    with pytest.raises(FileNotFoundError, match="--recipe strings"):
        StringRecognizer.default()
    with pytest.raises(FileNotFoundError, match="--recipe streaming"):
        StringRecognizer.streaming()


def test_it_goes_to_keras_and_comes_back():
    pytest.importorskip("keras")
    machine = untrained()
    network = machine.to_keras()
    again = StringRecognizer.from_keras(
        network, config=machine.model, features=machine.features, labels=machine.labels
    )
    for name, array in machine.weights.items():
        np.testing.assert_array_equal(array, again.weights[name])


def test_transcribing_a_long_file_imports_neither_tensorflow_nor_librosa(tmp_path):
    model = untrained().save(tmp_path / "a.asr")
    samples, _ = beeps(1.0, "low", 22.0)
    path = audio.write(tmp_path / "long.wav", samples)
    code = (
        "import sys; from asrlib.recognizer import Recognizer\n"
        f"print(Recognizer.load({str(model)!r}).transcribe({str(path)!r}).audio_seconds)\n"
        "assert not {'tensorflow', 'keras', 'librosa', 'matplotlib'} & set(sys.modules), 'heavy'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(23.2)
