"""The machine from a shell: one line for a user's mistake, never a traceback."""

import io
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from asrlib import audio, datasets, evaluation, recognizer, string_recognizer, subtitles, training
from asrlib.__main__ import main
from asrlib.features import FeatureConfig
from asrlib.models import FAMILIES, CrnnConfig, CtcConfig, RnnConfig, weight_shapes
from asrlib.passages import TimedWord
from asrlib.recognizer import Recognizer
from asrlib.string_recognizer import StringRecognizer

DIGITS = tuple("0123456789")


def machine(labels=DIGITS):
    config = CrnnConfig(conv_channels=(2,), pools=((4, 4),), gru_units=3)
    features = FeatureConfig(normalization="utterance")
    shapes = weight_shapes(config, input_shape=(100, features.n_mels), n_classes=len(labels))
    weights = {name: np.full(shape, 0.1, np.float32) for name, shape in shapes.items()}
    weights["logits/bias"][-1] = 5  # it is always sure of its last word
    return Recognizer(features=features, model=config, weights=weights, labels=labels)


@pytest.fixture
def model(tmp_path):
    return str(machine().save(tmp_path / "small.asr"))


def strings_machine(labels=DIGITS):
    """Build an untrained recogniser of strings, which hears something in any sound."""
    config, features = CtcConfig(conv_channels=(2,), pools=((4, 4),), gru_units=3), FeatureConfig()
    rng = np.random.default_rng(3)
    shapes = weight_shapes(config, input_shape=(None, features.n_mels), n_classes=len(labels) + 1)
    weights = {name: np.abs(rng.normal(0, 1, shape)).astype(np.float32) for name, shape in shapes.items()}
    return StringRecognizer(features=features, model=config, weights=weights, labels=labels)


@pytest.fixture
def strings_model(tmp_path):
    return str(strings_machine().save(tmp_path / "strings.asr"))


@pytest.fixture
def talk(tmp_path):
    """Half a minute with three sounds in it."""
    samples = 0.0001 * np.random.default_rng(0).normal(size=480_000)
    for second in (3, 4, 20):
        samples[second * 16_000 : second * 16_000 + 8_000] += 0.1 * np.sin(np.arange(8_000) * 0.1)
    return str(audio.write(tmp_path / "talk.wav", samples.astype(np.float32)))


@pytest.fixture
def clip(tmp_path):
    samples = (0.1 * np.sin(np.arange(8_000) * 0.1)).astype(np.float32)
    return str(audio.write(tmp_path / "clip.wav", samples))


@pytest.fixture
def corpus(tmp_path):
    """A folder with two labels, three speakers and all three splits."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    rows = ["file,label,speaker,group,take,split,seconds"]
    rng = np.random.default_rng(0)
    for speaker, split in (("ann", "train"), ("bob", "validation"), ("cem", "test")):
        for label in ("1", "2"):
            samples = (0.1 * rng.normal(size=6_000)).clip(-1, 1).astype(np.float32)
            audio.write(folder / f"{label}_{speaker}.wav", samples)
            rows.append(f"{label}_{speaker}.wav,{label},{speaker},noise,0,{split},0.375")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize("command", [[], ["train"], ["transcribe"], ["evaluate"], ["doctor"]])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert "usage: python -m asrlib" in shown
    assert len(shown.splitlines()) > 5


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["sing"],
        ["transcribe"],
        ["train"],
        ["train", "--out", "a", "--epochs", "0"],
        ["evaluate", "--split", "x"],
        ["transcribe", "--words", "--strings", "a.wav"],
        ["transcribe", "--srt", "--json", "a.wav"],
        ["transcribe", "--beam", "0", "a.wav"],
    ],
)
def test_wrong_options_exit_with_2(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_transcribe_one_file_gives_the_word_alone(model, clip, capsys):
    assert main(["transcribe", "--model", model, clip]) == 0
    shown = capsys.readouterr()
    assert shown.out.strip() in DIGITS
    assert shown.err == ""


def test_a_bad_file_is_one_line_and_the_others_still_work(model, clip, tmp_path, capsys):
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"not audio at all")
    assert main(["transcribe", "--model", model, clip, str(bad), str(tmp_path / "none.wav"), clip]) == 1
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{clip}: ") for line in lines)
    assert [
        name in line for name, line in zip(("bad.wav", "none.wav"), shown.err.splitlines(), strict=True)
    ] == [True] * 2


def test_transcribe_json(model, clip, capsys):
    assert main(["transcribe", "--json", "--model", model, clip]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["file"] == clip
    assert answer["audio_seconds"] == pytest.approx(0.5)
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert answer["text"] == max(answer["probabilities"], key=answer["probabilities"].get)


def test_transcribe_reads_standard_input(model, clip, capsys, monkeypatch):
    for content, status in ((Path(clip).read_bytes(), 0), (b"", 1), (b"noise", 1)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert main(["transcribe", "--model", model, "-"]) == status
        shown = capsys.readouterr()
        assert bool(shown.out) != bool(shown.err)
        assert len((shown.out or shown.err).splitlines()) == 1


def test_a_long_recording_gives_the_word_and_a_note(model, tmp_path, capsys):
    samples = np.zeros(40_000, np.float32)
    samples[16_000:24_000] = 0.1 * np.sin(np.arange(8_000) * 0.1)
    path = audio.write(tmp_path / "long.wav", samples)
    assert main(["transcribe", "--model", model, str(path)]) == 0
    shown = capsys.readouterr()
    assert shown.out.strip() in DIGITS
    assert "of the 2.50 s recording, where the sound is" in shown.err


def test_strings_are_transcribed_as_their_recogniser_does(strings_model, clip, capsys):
    expected = StringRecognizer.load(strings_model)
    assert main(["transcribe", "--model", strings_model, clip]) == 0
    assert capsys.readouterr().out.strip() == expected.transcribe(clip).text
    assert main(["transcribe", "--model", strings_model, "--beam", "4", "--json", clip]) == 0
    answer = json.loads(capsys.readouterr().out)
    found = expected.transcribe(clip, beam_width=4)
    assert answer["text"] == found.text
    assert [word["text"] for word in answer["words"]] == found.text.split()


@pytest.mark.parametrize("heard", ["", "a", "a b"])
def test_strings_are_the_default_and_the_specialist_is_asked_for_single_words(
    heard, tmp_path, model, clip, capsys, monkeypatch
):
    strings_model = strings_machine(tuple("abcdefghij")).save(tmp_path / "letters.asr")
    monkeypatch.setattr(string_recognizer, "DEFAULT_MODEL", strings_model)
    monkeypatch.setattr(recognizer, "DEFAULT_MODEL", Path(model))
    words = tuple(TimedWord(text, 0.0, 0.1, 1.0) for text in heard.split())
    transcript = string_recognizer.StringTranscript(heard, words, 1.0, 0.5, 1.0)
    monkeypatch.setattr(StringRecognizer, "transcribe", lambda self, source, **search: transcript)
    texts = []
    for option in (["--strings"], ["--words"], ["--beam", "2"], ["--model", str(strings_model)], []):
        assert main(["transcribe", *option, clip]) == 0
        texts.append(capsys.readouterr().out.strip())
    assert texts == [heard, "9", heard, heard, heard if len(words) > 1 else "9"]
    unsure = machine()
    unsure.network.weights["logits/bias"][:] = 0
    monkeypatch.setattr(recognizer, "DEFAULT_MODEL", unsure.save(tmp_path / "unsure.asr"))
    assert main(["transcribe", clip]) == 0
    assert capsys.readouterr().out.strip() == (heard if len(words) != 1 else "0")


@pytest.mark.parametrize("kind", ["strings", "words"])
def test_subtitles_of_a_long_recording(kind, model, strings_model, talk, tmp_path, capsys):
    chosen = model if kind == "words" else strings_model
    assert main(["transcribe", "--model", chosen, "--srt", talk]) == 0
    shown = capsys.readouterr()
    found = subtitles.from_srt(shown.out)
    words = Recognizer.load(chosen).transcribe(talk).words
    assert [word for line in found for word in line.text.split()] == [word.text for word in words]
    assert len(found) >= 2
    for line in found:
        assert min(abs(line.start - second) for second in (3, 4, 20)) < 0.6
    assert "30.0 s of sound took" in shown.err
    assert len(shown.err.splitlines()) == 1
    out = tmp_path / "talk.srt"
    assert main(["transcribe", "--model", chosen, "--srt", "--out", str(out), talk]) == 0
    assert out.read_text(encoding="utf-8") == shown.out
    assert capsys.readouterr().out == ""


def test_subtitles_come_from_standard_input_and_may_be_empty(
    strings_model, talk, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path(talk).read_bytes())))
    assert main(["transcribe", "--model", strings_model, "--srt", "-"]) == 0
    assert "-->" in capsys.readouterr().out
    quiet = audio.write(
        tmp_path / "quiet.wav", (1e-4 * np.random.default_rng(0).random(400_000)).astype("f4")
    )
    assert main(["transcribe", "--model", strings_model, "--srt", str(quiet)]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "No words were heard" in shown.err


def test_a_long_recording_tells_how_long_it_took(strings_model, talk, capsys):
    assert main(["transcribe", "--model", strings_model, talk]) == 0
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 1
    assert "passages" in shown.err
    assert "30.0 s of sound took" in shown.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--srt", "a.wav", "b.wav"], "one at a time"),
        (["--srt", "none.wav"], "does not exist"),
        (["--srt", "--out", "none/a.srt"], "folder none does not exist"),
        (["--beam", "4"], "--beam searches for texts"),
    ],
)
def test_what_cannot_be_transcribed_is_one_line(words, message, model, clip, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = [] if any(word.endswith(".wav") for word in words) else [clip]
    assert main(["transcribe", "--model", model, *words, *files]) == 1
    complaint = capsys.readouterr().err
    assert message in complaint
    assert len(complaint.splitlines()) == 1


def test_a_failed_run_leaves_no_file_behind(strings_model, tmp_path, capsys):
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"not audio at all")
    out = tmp_path / "out.srt"
    assert main(["transcribe", "--model", strings_model, "--srt", "--out", str(out), str(bad)]) == 1
    assert not out.exists()
    assert not list(tmp_path.glob("*partial*"))
    assert "not audio" in capsys.readouterr().err


def test_evaluate_strings(strings_model, capsys, monkeypatch):
    full = datasets.strings("test")
    monkeypatch.setattr(
        StringRecognizer,
        "transcribe",
        lambda self, source, **_: string_recognizer.StringTranscript("5 0 3", (), 1.0, 1.0, 1.0),
    )
    assert main(["evaluate", "--model", strings_model, "--data", "strings"]) == 0
    shown = capsys.readouterr().out
    assert "word error rate" in shown
    assert f"of {len(full)} strings without an error" in shown
    assert shown.count("heard 5 0 3") == sum(label != "5 0 3" for label in full.labels)
    monkeypatch.setattr(string_recognizer, "DEFAULT_MODEL", Path(strings_model))
    assert main(["evaluate", "--data", "strings"]) == 0
    assert capsys.readouterr().out == shown


def test_a_foreign_and_a_missing_model_are_one_line(clip, tmp_path, capsys, monkeypatch):
    assert main(["transcribe", "--model", clip, clip]) == 1
    assert "not a recogniser" in capsys.readouterr().err
    monkeypatch.setattr(recognizer, "DEFAULT_MODEL", tmp_path / "none.asr")
    monkeypatch.setattr(string_recognizer, "DEFAULT_MODEL", tmp_path / "none.asr")
    for option in ("--words", "--strings"):
        assert main(["transcribe", option, clip]) == 1
        complaint = capsys.readouterr().err
        assert len(complaint.splitlines()) == 1
        assert "python -m asrlib train" in complaint


def test_nobody_is_judged_by_people_whom_it_has_heard(tmp_path, capsys, monkeypatch):
    judged = []

    def evaluate(machine, dataset):
        judged.append(machine)
        raise ValueError("told")

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    monkeypatch.setattr(datasets, "fsdd", lambda split: datasets.digits("test")[:2])
    monkeypatch.setattr(recognizer, "DEFAULT_MODEL", machine(("1", "2")).save(tmp_path / "default.asr"))
    monkeypatch.setattr(recognizer, "SYNTHETIC_MODEL", machine(("3", "4")).save(tmp_path / "synthetic.asr"))
    for data in ("fsdd", "digits"):
        assert main(["evaluate", "--data", data]) == 1
    assert [one.labels for one in judged] == [("3", "4"), ("1", "2")]
    assert "has heard these people" in capsys.readouterr().err


def test_evaluate_a_folder(tmp_path, corpus, capsys):
    model = machine(("1", "2")).save(tmp_path / "two.asr")
    assert main(["evaluate", "--model", str(model), "--data", corpus]) == 0
    assert "50.0 % of 2 clips" in capsys.readouterr().out
    assert main(["evaluate", "--model", str(model), "--data", corpus, "--split", "all"]) == 0
    assert "of 6 clips" in capsys.readouterr().out


def test_evaluate_says_what_data_it_lacks(model, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ASRLIB_BUNDLE", str(tmp_path))
    for data in ("digits", "nonsense", str(tmp_path)):
        assert main(["evaluate", "--model", model, "--data", data]) == 1
        complaint = capsys.readouterr().err
        assert len(complaint.splitlines()) == 1
        assert "Traceback" not in complaint


def test_train_passes_its_options_on_and_saves(tmp_path, corpus, capsys, monkeypatch):
    calls = []

    def fake(train_set, *, validation, config, progress, **options):
        calls.append((set(train_set.speakers), set(validation.speakers), config, progress, options))
        return training.TrainingResult(machine(("1", "2")), {"loss": [1.0]}, 2.0, 1)

    monkeypatch.setattr(training, "train", fake)
    out = tmp_path / "new.asr"
    words = ["train", "--data", corpus, "--out", str(out), "--epochs", "3", "--seed", "5", "--quiet"]
    assert main([*words, "--learning-rate", "0.01", "--batch-size", "4", "--no-augmentation"]) == 0
    assert Recognizer.load(out).labels == ("1", "2")
    assert str(out) in capsys.readouterr().out
    [(speakers, validation_speakers, config, progress, rest)] = calls
    assert (speakers, validation_speakers, progress) == ({"ann"}, {"bob"}, False)
    expected = training.TrainingConfig(epochs=3, seed=5, learning_rate=0.01, batch_size=4, augmentation=None)
    assert config == expected
    assert not rest.pop("stop").is_set()
    assert rest == {"checkpoint": None, "resume": False, "runs": None, "name": None}

    state, runs = tmp_path / "state", tmp_path / "runs"
    words = ["train", "--data", corpus, "--out", str(out), "--checkpoint", str(state), "--runs", str(runs)]
    assert main([*words, "--resume", "--name", "b", "--family", "rnn", "--optimizer", "nesterov"]) == 0
    _, _, config, progress, rest = calls[1]
    assert progress
    assert (rest["checkpoint"], rest["resume"], rest["name"]) == (state, True, "b")
    assert rest["runs"].folder == runs
    assert config == training.TrainingConfig(model=RnnConfig(), optimizer="nesterov")
    assert main([*words[:5], "--recipe", "article", "--family", "article_cnn"]) == 0
    assert calls[2][2] == training.RECIPES["article"]


def test_train_puts_sets_together_and_leaves_speakers_out(tmp_path, corpus, capsys, monkeypatch):
    calls = []

    def fake(train_set, *, validation, **options):
        calls.append((train_set, validation))
        return training.TrainingResult(machine(("1", "2")), {"loss": [1.0]}, 2.0, 1)

    real = datasets.digits("test").where(label=["1", "2"])  # stands for the real people
    parts = {None: real, "train": real, "test": real}
    monkeypatch.setattr(training, "train", fake)
    monkeypatch.setattr(datasets, "fsdd", lambda split: parts[split])
    out = ["--out", str(tmp_path / "new.asr")]
    gone = np.unique(real.speakers)[:2].tolist()
    assert main(["train", "--data", corpus, "fsdd", "--without", *gone, *out]) == 0
    train_set, validation = calls[0]
    assert set(train_set.speakers) == {"ann", *real.speakers.tolist()} - set(gone)
    assert set(validation.speakers) == {"bob"}
    assert main(["train", "--data", "fsdd", "--without", gone[0], *out]) == 0
    heard = set(calls[1][0].speakers) | set(calls[1][1].speakers)
    assert heard == set(real.speakers.tolist()) - {gone[0]}
    capsys.readouterr()
    for words, message in (
        (["--data", corpus, "--without", "eve"], "--without names eve"),
        (["--data", corpus, corpus], "would be there twice"),
        (["--recipe", "lesson", "--without", "ann"], "--without are for single words"),
    ):
        assert main(["train", *words, *out]) == 1
        assert message in capsys.readouterr().err
    assert len(calls) == 2


def test_train_refuses_before_training(tmp_path, corpus, capsys, monkeypatch):
    monkeypatch.setattr(training, "train", lambda *args, **options: pytest.fail("trained"))
    (tmp_path / "state.npz").touch()
    for words, message in (
        (["--out", str(tmp_path / "a.asr"), "--resume"], "--checkpoint"),
        (["--out", str(tmp_path / "a.asr"), "--checkpoint", str(tmp_path)], "Add --resume"),
        (["--out", str(tmp_path / "none" / "a.asr")], "does not exist"),
        (["--out", str(tmp_path)], "is a folder"),
        (["--out", str(tmp_path / "a.asr"), "--learning-rate", "0"], "learning_rate must be above 0"),
    ):
        assert main(["train", "--data", corpus, *words]) == 1
        complaint = capsys.readouterr().err
        assert message in complaint
        assert len(complaint.splitlines()) == 1


def test_interrupting_leaves_no_traceback(tmp_path, corpus, capsys, monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", interrupted)
    assert main(["train", "--data", corpus, "--out", str(tmp_path / "a.asr")]) == 130
    assert "nothing was saved" in capsys.readouterr().err
    assert not (tmp_path / "a.asr").exists()


def test_ctrl_c_stops_after_the_batch_and_says_how_to_go_on(tmp_path, corpus, capsys, monkeypatch):
    def fake(*args, stop, **options):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)  # the signal is handled here at the latest
        assert stop.is_set()
        return training.TrainingResult(machine(("1", "2")), {"loss": [1.0]}, 2.0, 1, stopped=stop.is_set())

    monkeypatch.setattr(training, "train", fake)
    out, state = tmp_path / "a.asr", tmp_path / "a folder"
    before = signal.getsignal(signal.SIGINT)
    words = ["train", "--data", corpus, "--out", str(out), "--checkpoint", str(state)]
    for again in ([], ["--resume"]):
        assert main([*words, *again]) == 130
        shown = capsys.readouterr().err
        assert f"Go on with: python -m asrlib {shlex.join([*words, '--resume'])}" in shown
    assert main(words[:5]) == 130
    assert "With --checkpoint" in capsys.readouterr().err
    assert not out.exists()
    assert signal.getsignal(signal.SIGINT) is before

    def stubborn(*args, **options):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)

    monkeypatch.setattr(training, "train", stubborn)
    assert main(words) == 130
    assert "Go on with" in capsys.readouterr().err


def test_the_choices_at_the_shell_are_those_of_training(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    shown = capsys.readouterr().out
    for choices in (training.OPTIMIZERS, [*training.RECIPES, *training.STRING_RECIPES], FAMILIES):
        assert "{" + ",".join(choices) + "}" in "".join(shown.split())


def test_doctor_gives_its_status_on(monkeypatch):
    from asrlib import doctor

    monkeypatch.setattr(doctor, "run", lambda stream: 7)
    assert main(["doctor"]) == 7


def run(code, *words):
    environment = os.environ | {"PYTHONPATH": str(Path(recognizer.__file__).parents[1])}
    return subprocess.run(
        [sys.executable, *code, *words], capture_output=True, text=True, check=False, env=environment
    )


def test_transcribe_does_not_import_tensorflow(model, clip):
    code = (
        "import sys; from asrlib.__main__ import main; status = main(sys.argv[1:]);"
        "heavy = {'tensorflow', 'keras', 'librosa', 'sklearn', 'matplotlib'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else status)"
    )
    done = run(["-c", code], "transcribe", "--model", model, clip)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in DIGITS


def test_module_runs_from_a_shell(model, clip):
    done = run(["-m", "asrlib"], "transcribe", "--model", model, clip, "missing.wav")
    assert done.returncode == 1
    assert done.stdout.startswith(clip)
    assert "missing.wav" in done.stderr
    assert "Traceback" not in done.stderr
