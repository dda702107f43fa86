"""What runs in LiteRT answers as the network that it came from, or the conversion says so."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asrlib import export, models
from asrlib.ctc_network import CtcStream
from asrlib.errors import ConversionError, ModelFileError
from asrlib.features import FeatureConfig
from asrlib.models import CnnConfig, CrnnConfig, CtcConfig, weight_shapes
from asrlib.recognizer import Recognizer
from asrlib.streaming import StringListener
from asrlib.string_recognizer import StringRecognizer

LABELS = ("no", "yes", "maybe")
BANDS, FRAMES = 14, 20
CRNN = CrnnConfig(conv_channels=(3, 4), projection=6, gru_units=5, members=2)
LOOP = CrnnConfig(conv_channels=(3,), pools=((4, 2),), projection=0, gru_units=4, bidirectional=False)
CNN = CnnConfig(channels=(3,), pools=((2, 2),))
CAUSAL = CtcConfig(
    conv_channels=(3, 4), projection=6, gru_units=5, layers=2, causal=True, bidirectional=False
)


def random_weights(shapes, *, seed=0):
    rng = np.random.default_rng(seed)
    weights = {name: rng.normal(0, 0.4, shape).astype(np.float32) for name, shape in shapes.items()}
    for name, array in weights.items():
        if name.endswith("moving_variance"):
            weights[name] = np.abs(array) + np.float32(0.5)
    return weights


def words_recognizer(config=CRNN):
    shapes = weight_shapes(config, input_shape=(FRAMES, BANDS), n_classes=len(LABELS))
    return Recognizer(
        features=FeatureConfig(n_mels=BANDS, normalization="utterance"),
        model=config,
        weights=random_weights(shapes),
        labels=LABELS,
        n_frames=FRAMES,
    )


def string_recognizer(config=CAUSAL):
    shapes = weight_shapes(config, input_shape=(None, BANDS), n_classes=len(LABELS) + 1)
    return StringRecognizer(
        features=FeatureConfig(n_mels=BANDS),
        model=config,
        weights=random_weights(shapes, seed=1),
        labels=LABELS,
    )


def noise(n_clips=12, seconds=0.3):
    rng = np.random.default_rng(2)
    return [rng.normal(0, 0.1, round(16_000 * seconds)).astype(np.float32) for _ in range(n_clips)]


@pytest.fixture
def here(monkeypatch):
    """Convert in this process: another one would first have to import TensorFlow again."""
    pytest.importorskip("ai_edge_litert")

    def convert(*arguments, timeout):
        export._convert_here(*arguments)
        return subprocess.CompletedProcess([], 0, "", "")

    monkeypatch.setattr(export, "_another_python", convert)


# -- single words -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def float32_words(tmp_path_factory):
    """Converted the ordinary way, in another process."""
    pytest.importorskip("ai_edge_litert")
    path = tmp_path_factory.mktemp("words") / "words.tflite"
    return export.to_litert(words_recognizer(), path, representative=noise())


def test_single_words_get_the_same_answers(float32_words):
    ours, theirs = words_recognizer(), export.LiteRTRecognizer(float32_words.path)
    clips = noise()
    np.testing.assert_allclose(theirs.predict(clips), ours.predict(clips), atol=1e-5)
    assert np.ptp(ours.predict(clips), axis=0).max() > 1e-3  # the clips make a difference
    one, other = ours.transcribe(clips[0]), theirs.transcribe(clips[0])
    assert (other.text, other.span, other.audio_seconds) == (one.text, one.span, one.audio_seconds)
    assert theirs.predict([]).shape == (0, len(LABELS))
    assert (theirs.labels, theirs.features, theirs.n_frames, theirs.model) == (
        ours.labels,
        ours.features,
        ours.n_frames,
        ours.model,
    )
    assert float32_words.n_bytes == float32_words.path.stat().st_size
    assert (float32_words.n_compared, float32_words.agreement) == (12, 1)
    assert float32_words.largest_difference < 1e-5
    assert "float32" in str(float32_words)
    assert "float32" in repr(theirs)


@pytest.mark.parametrize("precision", ["float16", "dynamic", "int8"])
def test_smaller_numbers_give_nearly_the_same(precision, tmp_path, here):
    ours = words_recognizer(LOOP)
    done = export.to_litert(ours, tmp_path / "w.tflite", precision=precision, representative=noise())
    theirs = export.LiteRTRecognizer(done.path)
    assert theirs.precision == precision
    differences = np.abs(theirs.predict(noise()) - ours.predict(noise())).max(axis=1)
    assert done.largest_difference == pytest.approx(differences.max(), abs=1e-6)
    assert done.mean_difference == pytest.approx(differences.mean(), abs=1e-6)
    assert 0 < done.mean_difference < export.TOLERANCES[precision]


@pytest.mark.parametrize("unroll", [False, True])
def test_other_families_too(unroll, tmp_path, here):
    config = CNN if unroll else models.RnnConfig(cell="lstm", units=4, bidirectional=False)
    done = export.to_litert(words_recognizer(config), tmp_path / "w.tflite", unroll=unroll)
    assert done.largest_difference < 1e-4
    assert done.n_compared == 32  # of noise, since no recordings came


# -- strings, step by step --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def float32_step(tmp_path_factory):
    pytest.importorskip("ai_edge_litert")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            export,
            "_another_python",
            lambda *arguments, timeout: (
                export._convert_here(*arguments) or subprocess.CompletedProcess([], 0, "", "")
            ),
        )
        path = tmp_path_factory.mktemp("step") / "step.tflite"
        return export.to_litert(string_recognizer(), path, representative=noise(3)).path


def test_strings_get_the_same_answers(float32_step):
    ours, theirs = string_recognizer(), export.LiteRTStringRecognizer(float32_step)
    samples = np.concatenate(noise())
    np.testing.assert_allclose(theirs.scores(samples), ours.scores(samples), atol=1e-4)
    assert theirs.transcribe(samples).text == ours.transcribe(samples).text
    assert theirs.step_seconds == ours.step_seconds
    assert "float32" in repr(theirs)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chunks=st.lists(st.integers(0, 17), min_size=1, max_size=12))
def test_a_stream_equals_the_whole_whatever_the_chunks(float32_step, chunks):
    network, stream = string_recognizer().network, export.LiteRTStream(float32_step)
    assert isinstance(stream, CtcStream)
    features = np.random.default_rng(3).normal(size=(sum(chunks), BANDS)).astype(np.float32)
    for _ in range(2):
        parts = [stream.push(part) for part in np.split(features, np.cumsum(chunks)[:-1])]
        parts.append(stream.flush())
        np.testing.assert_allclose(np.concatenate(parts), network(features), atol=1e-4)
        assert (stream.n_frames, stream.n_steps) == (len(features), len(features) // 4)
        stream.reset()


def test_a_listener_takes_a_converted_network(float32_step):
    samples = np.concatenate(noise())
    events = []
    for recognizer in (string_recognizer(), export.LiteRTStringRecognizer(float32_step)):
        listener = StringListener(recognizer)
        heard = [event for part in np.split(samples, 9) for event in listener.push(part)] + listener.flush()
        events.append([(event.kind, event.text) for event in heard])
    assert events[0] == events[1]


@pytest.mark.parametrize("precision", ["float16", "dynamic", "int8"])
def test_a_step_of_smaller_numbers_gives_nearly_the_same(precision, tmp_path, here):
    path = tmp_path / "step.tflite"
    done = export.to_litert(string_recognizer(), path, precision=precision, representative=noise(3))
    assert 0 < done.mean_difference < export.TOLERANCES[precision]
    assert done.agreement > 0.8


# -- what goes wrong --------------------------------------------------------------------------------------


def test_other_answers_are_refused_and_nothing_is_written(tmp_path, here, monkeypatch):
    path = tmp_path / "w.tflite"
    honest = words_recognizer(CNN)
    forged = Recognizer(
        features=honest.features,
        model=honest.model,
        weights={name: 3 * array for name, array in honest.weights.items()},
        labels=LABELS,
        n_frames=FRAMES,
    )
    monkeypatch.setattr(Recognizer, "save", lambda self, to, save=Recognizer.save: save(forged, to))
    with pytest.raises(ConversionError, match="gives other answers"):
        export.to_litert(honest, path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", r"crashed \(SIGSEGV\).*unroll=True"),
        ("raise RuntimeError('no kernel')", "RuntimeError: no kernel"),
        ("import time; time.sleep(60)", "longer than 1 s"),
        ("pass", "without a message"),
    ],
)
def test_a_converter_that_fails_says_why(code, message, tmp_path, monkeypatch):
    pytest.importorskip("ai_edge_litert")

    def fail(*arguments, timeout):
        command = [sys.executable, "-c", code]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)

    monkeypatch.setattr(export, "_another_python", fail)
    with pytest.raises(ConversionError, match=message):
        export.to_litert(words_recognizer(), tmp_path / "w.tflite", timeout_seconds=1)
    assert not list(tmp_path.iterdir())


def test_options_that_do_not_fit(tmp_path):
    path = tmp_path / "w.tflite"
    with pytest.raises(ValueError, match="precision must be one of"):
        export.to_litert(words_recognizer(), path, precision="int4")
    with pytest.raises(ValueError, match="representative recordings"):
        export.to_litert(words_recognizer(), path, precision="int8")
    with pytest.raises(ValueError, match="looks ahead"):
        export.to_litert(string_recognizer(CtcConfig()), path)
    with pytest.raises(ValueError, match="must be a Recognizer"):
        export.to_litert("digits.asr", path)
    with pytest.raises(FileNotFoundError, match="folder"):
        export.to_litert(words_recognizer(), tmp_path / "none" / "w.tflite")


def test_no_recordings_are_no_representatives(tmp_path):
    pytest.importorskip("ai_edge_litert")
    for recognizer in (words_recognizer(), string_recognizer()):
        with pytest.raises(ValueError, match="holds no recording"):
            export.to_litert(recognizer, tmp_path / "w.tflite", precision="int8", representative=[])


def test_a_converted_recognizer_cannot_be_saved_or_converted(float32_words, float32_step, tmp_path):
    for theirs in (
        export.LiteRTRecognizer(float32_words.path),
        export.LiteRTStringRecognizer(float32_step),
    ):
        for call in (
            lambda theirs=theirs: theirs.save(tmp_path / "x.asr"),
            lambda theirs=theirs: theirs.weights,
        ):
            with pytest.raises(ValueError, match=r"Keep the \.asr file"):
                call()
        with pytest.raises(ValueError, match="already"):
            export.to_litert(theirs, tmp_path / "x.tflite")


def test_a_network_refuses_features_that_do_not_fit(float32_words, float32_step):
    network = export.LiteRTRecognizer(float32_words.path).network
    for wrong in (np.ones((FRAMES, BANDS)), np.ones((1, FRAMES, BANDS + 1))):
        with pytest.raises(ValueError, match="reads features of shape"):
            network(wrong)
    with pytest.raises(ValueError, match="NaN"):
        network(np.full((1, FRAMES, BANDS), np.nan))
    with pytest.raises(ValueError, match="Features of shape"):
        export.LiteRTStream(float32_step).push(np.ones((2, BANDS + 1)))


def test_damaged_and_foreign_files_are_told(float32_words, float32_step, tmp_path):
    data = float32_words.path.read_bytes()
    flipped = bytearray(data)
    flipped[len(data) // 3] ^= 1
    model = data[: data.index(b"PK\x03\x04")]  # another program's: no settings behind it
    cases = {
        "flipped": (bytes(flipped), "checksum"),
        "short": (data[:-30], "without the settings"),
        "model": (model, "without the settings"),
        "empty": (b"", "no LiteRT model"),
        "text": (b"this is something else", "no LiteRT model"),
        "version": (data.replace(b'"version": 1', b'"version": 2'), "another version|without the settings"),
    }
    for name, (content, message) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelFileError, match=message):
            export.LiteRTRecognizer(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        export.LiteRTRecognizer(tmp_path / "none.tflite")
    with pytest.raises(ModelFileError, match="use LiteRTRecognizer"):
        export.LiteRTStream(float32_words.path)
    with pytest.raises(ModelFileError, match="LiteRTStream"):
        export.LiteRTRecognizer(float32_step)


def test_running_needs_no_tensorflow(float32_words, float32_step):
    code = (
        "import sys; from asrlib import export; import numpy as np\n"
        "assert not {'tensorflow', 'keras', 'ai_edge_litert'} & set(sys.modules)\n"
        f"words, strings = {str(float32_words.path)!r}, {str(float32_step)!r}\n"
        "clip = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)\n"
        "print(export.LiteRTRecognizer(words).transcribe(clip).text)\n"
        "export.LiteRTStringRecognizer(strings).transcribe(clip)\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in LABELS
    assert done.stderr == ""  # a notebook would show it


def test_without_the_run_time_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(ImportError, match="pip install ai-edge-litert"):
        export.to_litert(words_recognizer(), tmp_path / "w.tflite")
