"""The recogniser finds words, keeps its promises about windows, and trusts no file."""

import hashlib
import io
import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asrlib import audio, model_files, recognizer
from asrlib.errors import AudioError, ModelFileError
from asrlib.features import FeatureConfig
from asrlib.models import (
    ArticleCnnConfig,
    CnnConfig,
    CrnnConfig,
    RnnConfig,
    SoftmaxConfig,
    weight_shapes,
)
from asrlib.recognizer import Recognizer, Transcript, find_word, fit_window

RATE = 16_000
SMALL = CrnnConfig(conv_channels=(2, 3), gru_units=4, projection=5)


def untrained(labels=tuple("0123456789"), *, model=SMALL, features=None, n_frames=100, seed=0):
    features = features or FeatureConfig(normalization="utterance")
    rng = np.random.default_rng(seed)
    shapes = weight_shapes(model, input_shape=(n_frames, features.n_coefficients), n_classes=len(labels))
    weights = {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}
    weights |= {name: np.abs(array) for name, array in weights.items() if name.endswith("variance")}
    return Recognizer(features=features, model=model, weights=weights, labels=labels, n_frames=n_frames)


def tone(seconds, *, hertz=440.0, peak=0.3):
    return (peak * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def silence(seconds):
    return np.zeros(round(seconds * RATE), np.float32)


def noise(seconds, *, peak=0.01, seed=0):
    return (peak * np.random.default_rng(seed).uniform(-1, 1, round(seconds * RATE))).astype(np.float32)


# -- finding the word ----------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    before=st.floats(0, 2),
    word=st.floats(0.2, 1.0),
    after=st.floats(0, 2),
    background=st.sampled_from([0, 0.001, 0.01]),
)
def test_find_word_finds_a_tone_between_pauses(before, word, after, background):
    if before + after < 0.5:
        after += 0.5  # something must be there to stand out from
    samples = np.concatenate([silence(before), tone(word), silence(after)])
    samples += noise(len(samples) / RATE + 0.01, peak=background)[: len(samples)]
    start, stop = find_word(samples)
    assert start == pytest.approx(max(0, before - 0.05), abs=0.05)
    assert stop == pytest.approx(min(before + word + 0.05, len(samples) / RATE), abs=0.05)


def test_find_word_does_not_depend_on_loudness():
    samples = np.concatenate([noise(0.8), tone(0.4), noise(0.9, seed=1)])
    assert find_word(samples) == find_word(0.1 * samples)


def test_find_word_keeps_a_word_with_a_silent_closure_whole():
    samples = np.concatenate([silence(1), tone(0.2), silence(0.12), tone(0.1, peak=0.1), silence(1)])
    start, stop = find_word(samples)
    assert start == pytest.approx(0.95, abs=0.03)
    assert stop == pytest.approx(1.47, abs=0.03)


def test_find_word_takes_the_stretch_with_most_energy_and_ignores_a_click():
    click = np.full(80, 0.95, np.float32)
    samples = np.concatenate(
        [silence(0.5), click, silence(0.5), tone(0.4), silence(0.6), tone(0.2), silence(0.5)]
    )
    start, stop = find_word(samples)
    assert start == pytest.approx(0.955, abs=0.03)
    assert stop == pytest.approx(1.455, abs=0.03)


def test_find_word_gives_all_of_a_recording_in_which_nothing_stands_out():
    samples = noise(2.0, peak=0.5)
    assert find_word(samples) == (0.0, 2.0)


def test_find_word_works_at_other_rates():
    samples = np.concatenate([silence(1), tone(0.5), silence(1)])
    assert find_word(samples[::2], sample_rate=RATE // 2) == pytest.approx(find_word(samples), abs=0.02)


def test_find_word_refuses_silence():
    with pytest.raises(AudioError, match="zero"):
        find_word(silence(1))


# -- the window ----------------------------------------------------------------------------------------


@given(length=st.integers(1, 12), n_frames=st.integers(1, 12))
def test_fit_window_keeps_frames_in_order_and_pads_with_zeros(length, n_frames):
    clip = np.arange(1.0, 2 * length + 1).reshape(length, 2)
    window, first = fit_window(clip, n_frames)
    assert window.shape == (n_frames, 2)
    for row in range(n_frames):
        expected = clip[first + row] if 0 <= first + row < length else np.zeros(2)
        np.testing.assert_array_equal(window[row], expected)
    if length <= n_frames:  # in the middle: the two margins differ by one frame at most
        assert abs(-first - (n_frames - length + first)) <= 1


def test_fit_window_uses_every_place_when_it_may_choose():
    rng = np.random.default_rng(0)
    places = {-fit_window(np.ones((3, 1)), 6, rng=rng)[1] for _ in range(100)}
    assert places == {0, 1, 2, 3}


def test_fit_window_cuts_the_window_with_most_energy():
    energy = np.array([0, 9, 0, 0, 5, 5, 0])
    window, first = fit_window(np.arange(7.0)[:, None], 2, energy=energy)
    assert first == 4
    np.testing.assert_array_equal(window.ravel(), [4, 5])


# -- answers -------------------------------------------------------------------------------------------


def test_transcribe_agrees_with_predict():
    machine = untrained()
    clips = [
        tone(0.3),
        tone(0.7, hertz=900) + noise(0.7),
        np.concatenate([noise(1), tone(0.5), noise(1.5, seed=2)]),
    ]
    probabilities = machine.predict(clips)
    assert probabilities.shape == (3, 10)
    assert probabilities.dtype == np.float32
    assert probabilities.std(axis=0).max() > 1e-4
    for clip, row in zip(clips, probabilities, strict=True):
        transcript = machine.transcribe(clip)
        assert transcript.text == machine.labels[row.argmax()]
        assert transcript.probability == pytest.approx(row.max(), abs=1e-5)
        np.testing.assert_allclose(list(transcript.probabilities.values()), row, atol=1e-5)


def test_predict_takes_many_clips_and_none():
    machine = untrained()
    clips = [tone(0.3, hertz=200 + 10 * i) for i in range(70)]  # more than go through at once
    np.testing.assert_allclose(machine.predict(clips)[-1:], machine.predict(clips[-1:]), atol=1e-5)
    assert machine.predict([]).shape == (0, 10)


def test_predict_names_the_bad_clip():
    with pytest.raises(AudioError, match=r"Recording 1: .*zero"):
        untrained().predict([tone(0.3), silence(0.3)])
    with pytest.raises(AudioError, match="list of recordings"):
        untrained().predict(tone(0.3))


def test_short_clip_is_seen_whole_and_has_no_note():
    transcript = untrained().transcribe(tone(0.6))
    assert transcript.span == (0.0, 0.6)
    assert transcript.note == ""
    assert transcript.audio_seconds == pytest.approx(0.6)
    assert transcript.milliseconds > 0


def test_long_recording_says_which_part_was_used():
    samples = np.concatenate([noise(1), tone(0.5), noise(1.5, seed=2)])
    transcript = untrained().transcribe(samples)
    assert transcript.span == pytest.approx((0.95, 1.55), abs=0.03)
    assert "where the sound is" in transcript.note
    assert f"{transcript.span[0]:.2f}" in str(transcript)


def test_a_word_alone_and_the_same_word_in_silence_give_the_same_answer():
    machine = untrained()
    word = np.concatenate([silence(0.05), tone(0.5), silence(0.05)])
    alone = machine.predict([word])
    np.testing.assert_allclose(
        machine.predict([np.concatenate([silence(1), word, silence(1)])]), alone, atol=0.05
    )


def test_several_words_are_counted_in_the_note():
    samples = np.concatenate([noise(0.5), tone(0.4), noise(0.5), tone(0.5, peak=0.5), noise(0.5)])
    transcript = untrained().transcribe(samples)
    assert "2 separate stretches" in transcript.note
    assert transcript.span == pytest.approx((1.35, 1.95), abs=0.03)


def test_a_word_longer_than_the_window_is_cut_and_says_so():
    transcript = untrained().transcribe(np.concatenate([silence(0.3), tone(2.0), silence(0.5)]))
    assert transcript.span[1] - transcript.span[0] == pytest.approx(1.022, abs=0.001)
    assert 0.24 <= transcript.span[0] <= transcript.span[1] <= 2.36
    assert transcript.note


def test_steady_noise_longer_than_the_window_says_so():
    assert "nothing stands out" in untrained().transcribe(noise(3.0, peak=0.5)).note


@pytest.mark.parametrize("kind", ["path", "str", "bytes", "file", "clip", "stereo int16"])
def test_transcribe_takes_every_kind_of_source(kind, tmp_path):
    machine = untrained()
    samples = tone(0.5)
    path = audio.write(tmp_path / "a.wav", samples)
    expected = machine.transcribe(path).probabilities
    if kind == "clip":
        source = type("Clip", (), {"samples": audio.load(path), "sample_rate": RATE})()
    elif kind == "stereo int16":
        source = np.stack([np.round(samples * 32768).astype(np.int16)] * 2, axis=1)
    else:
        source = {
            "path": path,
            "str": str(path),
            "bytes": path.read_bytes(),
            "file": io.BytesIO(path.read_bytes()),
        }[kind]
    assert machine.transcribe(source).probabilities == pytest.approx(expected, abs=1e-3)


def test_an_array_at_another_rate_is_resampled():
    machine = untrained()
    low, high = tone(0.5, hertz=300)[::2].copy(), tone(0.5, hertz=300)
    answer = machine.transcribe(low, sample_rate=8_000)
    assert answer.audio_seconds == pytest.approx(0.5, abs=0.001)
    assert answer.probabilities == pytest.approx(machine.transcribe(high).probabilities, abs=0.2)


@pytest.mark.parametrize(
    "bad", [silence(0.5), np.full(8_000, np.nan, np.float32), tone(0.01), "nothing.wav", None]
)
def test_unusable_sounds_raise_audio_errors(bad):
    with pytest.raises(AudioError):
        untrained().transcribe(bad)


def test_transcript_prints_and_becomes_json():
    transcript = Transcript("7", 0.9, {"1": 0.1, "7": 0.9}, 0.5, 2.0, (0.0, 0.5))
    assert str(transcript) == "7  (90 %; then 1 with 10 %)  0.50 s of sound in 2.0 ms"
    assert json.loads(json.dumps(transcript.to_dict()))["probabilities"] == {"1": 0.1, "7": 0.9}


@pytest.mark.parametrize("labels", ["0123456789", ["a"] * 10, [""] * 10, ["a"], list(range(10)), None])
def test_labels_must_be_distinct_words(labels):
    machine = untrained()
    with pytest.raises(ValueError, match="labels"):
        Recognizer(features=machine.features, model=machine.model, weights=machine.weights, labels=labels)


def test_labels_must_fit_the_outputs():
    machine = untrained()
    with pytest.raises(ValueError, match="10 outputs for 3 labels"):
        Recognizer(
            features=machine.features, model=machine.model, weights=machine.weights, labels=("a", "b", "c")
        )


# -- files ---------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(
    head=st.sampled_from(["attention", "last", "max"]),
    bidirectional=st.booleans(),
    projection=st.integers(0, 3),
    n_frames=st.integers(8, 40),
    kind=st.sampled_from(["log_mel", "mfcc"]),
    labels=st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=5, unique=True),
)
def test_round_trip(tmp_path_factory, head, bidirectional, projection, n_frames, kind, labels):
    model = CrnnConfig(
        conv_channels=(2,),
        pools=((2, 2),),
        gru_units=3,
        head=head,
        bidirectional=bidirectional,
        projection=projection,
    )
    try:
        "".join(labels).encode()
    except UnicodeEncodeError:
        return  # lone surrogates are no text
    machine = untrained(labels, model=model, features=FeatureConfig(kind=kind), n_frames=n_frames)
    path = machine.save(tmp_path_factory.mktemp("models") / "a.asr")
    again = Recognizer.load(path)
    assert (again.labels, again.features, again.model, again.n_frames) == (
        machine.labels,
        machine.features,
        machine.model,
        machine.n_frames,
    )
    for name, array in machine.weights.items():
        np.testing.assert_array_equal(array, again.weights[name])
    np.testing.assert_array_equal(machine.predict([tone(0.3)]), again.predict([tone(0.3)]))
    assert path.read_bytes() == again.save(path.with_name("b.asr")).read_bytes()


FAMILIES = [
    SoftmaxConfig(),
    ArticleCnnConfig(filters=3, units=4),
    CnnConfig(channels=(2, 3), pools=((2, 2), (2, 2)), head="average"),
    RnnConfig(cell="lstm", units=3, layers=2),
    CrnnConfig(conv_channels=(2,), pools=((4, 4),), gru_units=3, members=2),
]


@pytest.mark.parametrize("model", FAMILIES, ids=lambda model: model.family)
def test_every_family_survives_its_file(model, tmp_path):
    machine = untrained(model=model, n_frames=30)
    again = Recognizer.load(machine.save(tmp_path / "a.asr"))
    assert again.model == model
    clips = [tone(0.2), tone(0.3, hertz=900)]
    np.testing.assert_array_equal(machine.predict(clips), again.predict(clips))
    assert np.ptp(machine.predict(clips), axis=0).max() > 0
    assert again.transcribe(clips[0]).text == machine.labels[machine.predict(clips)[0].argmax()]


@pytest.mark.parametrize("model", FAMILIES, ids=lambda model: model.family)
def test_every_family_goes_to_keras_and_comes_back(model):
    pytest.importorskip("keras")
    machine = untrained(model=model, n_frames=30)
    network = machine.to_keras()
    windows = np.random.default_rng(2).normal(0, 1, (2, *machine.input_shape)).astype(np.float32)
    np.testing.assert_allclose(machine.network(windows), network.predict_on_batch(windows), atol=1e-5)
    again = Recognizer.from_keras(network, config=model, features=machine.features, labels=machine.labels)
    for name, array in machine.weights.items():
        np.testing.assert_array_equal(array, again.weights[name])


def test_files_from_before_there_were_families_still_load(tmp_path):
    machine = untrained()
    path = tmp_path / "old.asr"
    path.write_bytes(
        with_parts(machine.save(path), change_config=lambda config: config["model"].pop("family"))
    )
    again = Recognizer.load(path)
    assert again.model == machine.model
    np.testing.assert_array_equal(machine.predict([tone(0.3)]), again.predict([tone(0.3)]))


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    return untrained().save(tmp_path_factory.mktemp("model") / "small.asr")


def test_every_flipped_byte_is_refused_or_harmless(model_file, tmp_path):
    whole = model_file.read_bytes()
    machine = Recognizer.load(model_file)
    damaged = tmp_path / "damaged.asr"
    rng = np.random.default_rng(0)
    ends = [*range(0, 60), *range(len(whole) - 150, len(whole))]  # where the zip format keeps its own numbers
    refused = 0
    for position in [*ends, *rng.integers(len(whole), size=150).tolist()]:
        data = bytearray(whole)
        data[position] ^= int(rng.integers(1, 256))
        damaged.write_bytes(data)
        try:
            again = Recognizer.load(damaged)
        except ModelFileError as error:
            refused += 1
            assert "damaged.asr" in str(error)
            continue
        assert again.labels == machine.labels  # a time stamp, say: nothing that matters
        assert again.features == machine.features
        for name, array in machine.weights.items():
            np.testing.assert_array_equal(array, again.weights[name])
    assert refused > 200


@pytest.mark.parametrize("share", [0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_truncated_files_are_refused(model_file, tmp_path, share):
    whole = model_file.read_bytes()
    path = tmp_path / "cut.asr"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ModelFileError, match=r"cut short|is empty"):
        Recognizer.load(path)


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "a PNG picture"),
        (zipped({"a.txt": "hello"}), "a zip archive with 'a.txt'"),
        (zipped({}), "a zip archive with nothing"),
        (zipped({"metadata.json": "{}", "config.json": "{}", "model.weights.h5": ""}), "Keras saved"),
        (npz(a=np.zeros(3)), "NumPy arrays"),
        (pickle.dumps({"weights": 1}), "pickle, which is never opened"),
        (b"\x89HDF\r\n\x1a\n" + bytes(9), "HDF5"),
        (b"RIFF\0\0\0\0WAVE", "WAV"),
        (b"<html>not found</html>", "text that begins '<html>"),
        (bytes(range(128, 228)), "something unknown"),
    ],
)
def test_foreign_files_are_named(tmp_path, content, message):
    path = tmp_path / "foreign.asr"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=message):
        Recognizer.load(path)


def with_parts(model_file, *, change_config=lambda config: None, weights=None):
    """Build a file with other parts and a right checksum, as someone with bad intentions would."""
    with zipfile.ZipFile(model_file) as archive:
        config = json.loads(archive.read("config.json"))
        weights = archive.read("weights.npz") if weights is None else weights
    config["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    change_config(config)
    return zipped({"config.json": json.dumps(config), "weights.npz": weights})


CONFIG_CHANGES = {
    "another program": (lambda c: c.update(format="other"), "another program"),
    "later version": (lambda c: c.update(version=2), "format version 2"),
    "no labels": (lambda c: c.pop("labels"), "lacks labels"),
    "too few labels": (lambda c: c.update(labels=["a", "b"]), "configuration needs"),
    "labels of numbers": (lambda c: c.update(labels=list(range(10))), "labels"),
    "larger network": (lambda c: c["model"].update(gru_units=10**9), "configuration needs"),
    "unknown option": (lambda c: c["model"].update(code="import os"), "'code'"),
    "unknown feature": (lambda c: c["features"].update(n_mels="many"), "n_mels"),
    "huge window": (lambda c: c.update(n_frames=10**9), "n_frames"),
    "window of text": (lambda c: c.update(n_frames="100"), "input_shape"),
    "model is a list": (lambda c: c.update(model=[1]), "not usable"),
    "unknown family": (
        lambda c: c["model"].update(family="transformer"),
        "no family of networks 'transformer'",
    ),
    "family of lists": (lambda c: c["model"].update(family=["crnn"]), "not usable"),
    "another family": (lambda c: c["model"].update(family="rnn"), "'conv_channels'"),
    "a family with other weights": (lambda c: c.update(model={"family": "softmax"}), "not a recogniser"),
    "a billion members": (lambda c: c["model"].update(members=10**9), "members must be at most 100"),
    "a billion layers": (
        lambda c: c.update(model={"family": "rnn", "layers": 10**9}),
        "layers must be at most",
    ),
    "wrong checksum": (lambda c: c.update(weights_sha256="0" * 64), "checksum"),
}


@pytest.mark.parametrize("name", CONFIG_CHANGES)
def test_crafted_configurations_are_refused(model_file, tmp_path, name):
    change, message = CONFIG_CHANGES[name]
    path = tmp_path / "crafted.asr"
    path.write_bytes(with_parts(model_file, change_config=change))
    with pytest.raises(ModelFileError, match=message):
        Recognizer.load(path)


def weights_of(machine, **replaced):
    arrays = {f"{name}.npy": model_files._npy_bytes(array) for name, array in machine.weights.items()}
    return zipped(arrays | replaced)


def npy(array, *, allow_pickle=False):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=allow_pickle)
    return buffer.getvalue()


def test_no_pickle_is_opened(model_file, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    objects = np.empty(10, dtype=object)
    objects[0] = Bomb()
    bias = npy(objects, allow_pickle=True)
    path = tmp_path / "pickled.asr"
    path.write_bytes(with_parts(model_file, weights=weights_of(untrained(), **{"logits/bias.npy": bias})))
    with pytest.raises(ModelFileError, match="of object where its configuration needs"):
        Recognizer.load(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("bias", "message"),
    [
        (npy(np.zeros(10)), "float64"),
        (npy(np.zeros(9, np.float32)), r"\(9,\)"),
        (npy(np.full(10, np.nan, np.float32)), "finite"),
        (npy(np.zeros(10, np.float32))[:-4], "not usable"),
        (npy(np.zeros(10, np.float32)).replace(b"(10,), }", b"(9**9,)}"), "not usable"),
        (b"nothing", "not usable"),
    ],
)
def test_crafted_arrays_are_refused(model_file, tmp_path, bias, message):
    path = tmp_path / "crafted.asr"
    path.write_bytes(with_parts(model_file, weights=weights_of(untrained(), **{"logits/bias.npy": bias})))
    with pytest.raises(ModelFileError, match=message):
        Recognizer.load(path)


def test_zip_bombs_are_refused(tmp_path):
    path = tmp_path / "bomb.asr"
    bomb = zipped({"config.json": b" " * 60_000_000, "weights.npz": b""})
    assert len(bomb) < 1_000_000
    path.write_bytes(bomb)
    with pytest.raises(ModelFileError, match="unpack to more than"):
        Recognizer.load(path)
    # A directory that lies: no more is unpacked than it claims, and that is not what was packed.
    path.write_bytes(bomb.replace((60_000_000).to_bytes(4, "little"), (1_000).to_bytes(4, "little")))
    with pytest.raises(ModelFileError, match="damaged"):
        Recognizer.load(path)


def test_missing_files_folders_and_the_missing_default_say_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="asrlib train --out"):
        Recognizer.load(tmp_path / "none.asr")
    with pytest.raises(ModelFileError, match="is a folder"):
        Recognizer.load(tmp_path)
    for name, make in (("DEFAULT_MODEL", Recognizer.default), ("SYNTHETIC_MODEL", Recognizer.synthetic)):
        monkeypatch.setattr(recognizer, name, tmp_path / "none.asr")
        with pytest.raises(FileNotFoundError, match="python -m asrlib train --recipe"):
            make()


def test_save_leaves_no_partial_file_behind(tmp_path, monkeypatch):
    machine = untrained()
    path = machine.save(tmp_path / "a.asr")
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda self, target: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            machine.save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.asr"]
    assert path.read_bytes() == before
    with pytest.raises(FileNotFoundError, match="folder"):
        machine.save(tmp_path / "none" / "a.asr")


def test_transcribing_imports_neither_tensorflow_nor_librosa(model_file):
    code = (
        "import sys, numpy as np; from asrlib.recognizer import Recognizer\n"
        f"print(Recognizer.load({str(model_file)!r}).transcribe(np.sin(np.arange(8000)) * 0.1).text)\n"
        "assert not {'tensorflow', 'keras', 'librosa'} & set(sys.modules), 'heavy'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in set("0123456789")
