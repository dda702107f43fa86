"""Each check of doctor passes on a machine that is right and fails, with advice, on one that is not."""

import io
import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from asrlib import datasets, doctor, errors
from asrlib.doctor import Finding


def assert_fails(finding, *said):
    assert not finding.ok
    assert finding.advice
    assert "\n" not in str(finding)
    for words in said:
        assert words in finding.detail


# --- run


def test_run_prints_a_line_a_check_and_succeeds_when_all_do():
    stream = io.StringIO()
    assert (
        doctor.run(stream, checks=[lambda: Finding("one", True, "fine"), lambda: Finding("two", True, "too")])
        == 0
    )
    first, second, last = stream.getvalue().splitlines()
    assert (first, second) == ("[ok]   one: fine", "[ok]   two: too")
    assert "make lab" in last


@pytest.mark.parametrize("broken", [0, 1, 2])
def test_run_fails_when_any_check_does(broken):
    checks = [lambda n=n: Finding(f"check {n}", n != broken, "seen", "mend it") for n in range(3)]
    stream = io.StringIO()
    assert doctor.run(stream, checks=checks) == 1
    lines = stream.getvalue().splitlines()
    assert lines[broken] == f"[fail] check {broken}: seen → mend it"
    assert sum(line.startswith("[ok]") for line in lines) == 2


def test_a_check_that_breaks_down_is_a_failure_and_the_others_still_run():
    def broken_heart():
        raise ZeroDivisionError("no beats\nsecond line")

    stream = io.StringIO()
    assert doctor.run(stream, checks=[broken_heart, lambda: Finding("next", True, "ran")]) == 1
    first, second, _ = stream.getvalue().splitlines()
    assert first.startswith("[fail] broken heart: ZeroDivisionError: no beats → ")
    assert second == "[ok]   next: ran"


def test_a_console_without_an_arrow_gets_another():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    doctor.run(stream, checks=[lambda: Finding("ears", False, "é", "listen")])
    assert raw.getvalue().startswith(b"[fail] ears: ? -> listen")


def test_run_does_every_check(monkeypatch):
    called = []
    names = [check.__name__ for check in doctor.CHECKS]
    assert names == [
        "python_version",
        "packages",
        "tensorflow",
        "audio_files",
        "recordings",
        "shipped_recognizer",
        "widget_front_end",
        "free_disk",
    ]
    checks = [lambda name=name: called.append(name) or Finding(name, True, "") for name in names]
    monkeypatch.setattr(doctor, "CHECKS", checks)
    assert doctor.run(io.StringIO()) == 0
    assert called == names


# --- Python and packages


@pytest.mark.parametrize(
    ("version", "ok"), [((3, 10, 9), False), ((3, 11, 0), True), ((3, 13, 5), True), ((3, 14, 0), False)]
)
def test_python_version(monkeypatch, version, ok):
    monkeypatch.setattr(sys, "version_info", version)
    finding = doctor.python_version()
    assert finding.ok is ok
    assert finding.detail.startswith(".".join(map(str, version)) + " on ")
    if not ok:
        assert_fails(finding)


def test_packages_here_are_right():
    finding = doctor.packages()
    assert finding.ok, finding
    assert "tensorflow 2." in finding.detail


def test_packages_names_the_missing_and_the_wrong(monkeypatch):
    declared = ["numpy>=999", "no-such-package>=1", 'only-on-windows>=1; sys_platform == "beos"', "scipy>=1"]
    monkeypatch.setattr(doctor, "_declared", lambda: declared)
    finding = doctor.packages()
    assert_fails(finding, f"numpy is {np.__version__}, not >=999", "no-such-package is missing")
    assert "scipy" not in finding.detail
    assert "only-on-windows" not in finding.detail


def test_packages_outside_a_checkout_come_from_the_installed_metadata(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda name: [f"made-for-{name}>=1"])
    assert_fails(doctor.packages(), "made-for-asrlib is missing")


# --- TensorFlow


def pretend(monkeypatch, *, script):
    """Let the TensorFlow check run another script in its process."""
    monkeypatch.setattr(doctor, "PROBE_TENSORFLOW", script)


def answering(**answer):
    return f"print('chatter'); print('asrlib:' + {json.dumps(json.dumps(answer))})"


def test_tensorflow_here_computes():
    finding = doctor.tensorflow()
    assert finding.ok, finding
    assert finding.detail.startswith("2.")


@pytest.mark.parametrize(
    ("gpus", "named"), [([], "2.21.0 on CPU (no GPU is needed)"), (["A", "B"], "2.21.0 on GPU A, B")]
)
def test_tensorflow_names_what_it_computes_on(monkeypatch, gpus, named):
    pretend(monkeypatch, script=answering(version="2.21.0", gpus=gpus, total=12.0))
    assert doctor.tensorflow() == Finding("TensorFlow", True, named)


def test_tensorflow_that_is_missing(monkeypatch):
    pretend(monkeypatch, script="import no_such_module")
    assert_fails(doctor.tensorflow(), "No module named 'no_such_module'")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_tensorflow_that_kills_its_process(monkeypatch):
    pretend(monkeypatch, script="import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert_fails(doctor.tensorflow(), "ended by signal 9")


def test_tensorflow_that_says_nothing(monkeypatch):
    pretend(monkeypatch, script="pass")
    assert_fails(doctor.tensorflow(), "status 0 and no message")


def test_tensorflow_that_computes_wrongly(monkeypatch):
    pretend(monkeypatch, script=answering(version="2.21.0", gpus=[], total=11.0))
    assert_fails(doctor.tensorflow(), "11.0 instead of 12")


def test_tensorflow_that_hangs(monkeypatch):
    def hang(*arguments, timeout, **_):
        raise subprocess.TimeoutExpired(arguments, timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    assert_fails(doctor.tensorflow(), "did not start within")


# --- audio files


def test_audio_files_here_work():
    finding = doctor.audio_files()
    assert finding.ok, finding
    assert "MP3" in finding.detail


def test_audio_files_without_a_format(monkeypatch):
    write = soundfile.write

    def write_all_but_mp3(file, samples, rate, *, format):
        if format == "MP3":
            raise soundfile.LibsndfileError(1)
        return write(file, samples, rate, format=format)

    monkeypatch.setattr(soundfile, "write", write_all_but_mp3)
    finding = doctor.audio_files()
    assert_fails(finding, "MP3")
    assert "FLAC" not in finding.detail


@pytest.mark.parametrize(
    "wrong",
    [
        lambda samples, rate: (samples[::2], rate),  # the octave above, half as long
        lambda samples, rate: (samples, rate // 2),
        lambda samples, rate: (np.zeros_like(samples), rate),
    ],
)
def test_audio_files_that_come_back_as_another_sound(monkeypatch, wrong):
    read = soundfile.read
    monkeypatch.setattr(soundfile, "read", lambda file: wrong(*read(file)))
    assert_fails(doctor.audio_files(), "WAV", "FLAC", "OGG", "MP3")


def test_audio_files_without_the_c_library(monkeypatch):
    class Broken:
        def find_spec(self, name, path=None, target=None):
            if name == "soundfile":
                raise OSError("sndfile library not found")

    monkeypatch.delitem(sys.modules, "soundfile")
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    assert_fails(doctor.audio_files(), "sndfile library not found")


# --- recordings and recogniser


class Result(SimpleNamespace):
    """What datasets.verify returns, as far as doctor looks at it."""

    def __bool__(self):
        return self.right

    def __str__(self):
        return self.text


def test_recordings_that_are_as_published(monkeypatch):
    monkeypatch.setattr(datasets, "verify", lambda: Result(right=True, checked=7, folder="data", text=""))
    assert doctor.recordings() == Finding("recordings", True, "7 files as published, in data")


def test_recordings_that_were_changed(monkeypatch):
    monkeypatch.setattr(
        datasets, "verify", lambda: Result(right=False, text="7 files checked, 1 changed (a.flac)")
    )
    finding = doctor.recordings()
    assert_fails(finding, "1 changed (a.flac)")
    assert "git checkout -- data" in finding.advice


def test_recordings_damaged_on_disk_are_found(monkeypatch, tmp_path):
    """The real verification, on a bundle of one file."""
    (tmp_path / "digits").mkdir()
    clip = tmp_path / "digits" / "a.flac"
    clip.write_bytes(b"as published")
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  digits/a.flac\n")
    monkeypatch.setenv("ASRLIB_BUNDLE", str(tmp_path))
    assert_fails(doctor.recordings(), "1 changed", "a.flac")


def test_recordings_that_are_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("ASRLIB_BUNDLE", str(tmp_path))
    assert_fails(doctor.recordings(), "SHA256SUMS")


@pytest.fixture
def recogniser(monkeypatch):
    """Return a function that puts a recogniser with this answer in place of the shipped one."""
    from asrlib import recognizer

    def answer(text):
        def default():
            if isinstance(text, Exception):
                raise text
            return SimpleNamespace(transcribe=lambda clip: SimpleNamespace(text=text, milliseconds=4.2))

        monkeypatch.setattr(datasets, "digits", lambda split: [SimpleNamespace(label="7")])
        monkeypatch.setattr(recognizer.Recognizer, "default", staticmethod(default))

    return answer


def test_recogniser_that_answers(recogniser):
    recogniser("7")
    assert doctor.shipped_recognizer() == Finding(
        "recogniser",
        True,
        "heard '7' for a spoken '7' in 4 ms; the three others load",
        doctor.shipped_recognizer().advice,
    )


@pytest.mark.parametrize("text", ["", "seven", "12"])
def test_recogniser_that_writes_no_digit(recogniser, text):
    recogniser(text)
    assert_fails(doctor.shipped_recognizer(), repr(text))


@pytest.mark.parametrize(
    "error",
    [errors.ModelFileError("weights.npz is damaged. Fetch it again."), FileNotFoundError("digits.asr")],
)
def test_recogniser_that_does_not_load(recogniser, error):
    recogniser(error)
    finding = doctor.shipped_recognizer()
    assert_fails(finding)
    assert finding.detail in str(error)
    assert "asrlib/assets" in finding.advice


@pytest.mark.parametrize(
    "place",
    ["recognizer.SYNTHETIC_MODEL", "string_recognizer.DEFAULT_MODEL", "string_recognizer.STREAMING_MODEL"],
)
def test_another_recogniser_that_does_not_load(recogniser, monkeypatch, tmp_path, place):
    recogniser("7")
    monkeypatch.setattr(f"asrlib.{place}", tmp_path / "gone.asr")
    assert_fails(doctor.shipped_recognizer(), "gone.asr")


# --- widgets and disk


def extensions(folder, *names):
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "package.json").write_text('{"version": "1.2.3"}')


def test_widgets_here_are_found():
    assert doctor.widget_front_end().ok, doctor.widget_front_end()


def test_widgets_are_found_where_jupyter_looks(monkeypatch, tmp_path):
    extensions(tmp_path, *doctor.FRONT_ENDS.values())
    monkeypatch.setattr("jupyter_core.paths.jupyter_path", lambda _: [str(tmp_path / "none"), str(tmp_path)])
    finding = doctor.widget_front_end()
    assert finding == Finding("widgets", True, "ipywidgets front end 1.2.3, anywidget front end 1.2.3")


@pytest.mark.parametrize("missing", ["ipywidgets", "anywidget"])
def test_widgets_without_their_browser_part(monkeypatch, tmp_path, missing):
    extensions(tmp_path, *(folder for name, folder in doctor.FRONT_ENDS.items() if name != missing))
    monkeypatch.setattr("jupyter_core.paths.jupyter_path", lambda _: [str(tmp_path)])
    assert_fails(doctor.widget_front_end(), missing)


@pytest.mark.parametrize(("free", "ok"), [(999_999_999, False), (1_000_000_000, True)])
def test_free_disk(monkeypatch, free, ok):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))
    finding = doctor.free_disk()
    assert finding.ok is ok
    assert finding.detail == "1.0 GB free"
    assert finding.advice
