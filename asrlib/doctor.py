"""Check that this machine can run the course, and say what to do about each thing that it cannot.

`python -m asrlib doctor` (or `make doctor`) prints one line a check: Python, package versions, TensorFlow,
audio files, the bundled recordings, the shipped recogniser, JupyterLab's widgets, free disk. Each check is a
function without arguments that returns a `Finding`. One that breaks down in an unforeseen way is reported as
a failure, never as a traceback.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import platform
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

__all__ = ["CHECKS", "Finding", "run"]

ROOT = Path(__file__).resolve().parent.parent
REINSTALL = "run `make clean`, then `make lab`: it installs everything again as locked"
LEAST_FREE_BYTES = 1_000_000_000
TENSORFLOW_SECONDS = 180
AUDIO_FORMATS = ("WAV", "FLAC", "OGG", "MP3")
# What draws sliders and the microphone in the browser: the folder of each front end under labextensions.
FRONT_ENDS = {"ipywidgets": "@jupyter-widgets/jupyterlab-manager", "anywidget": "anywidget"}

# Run in a process of its own: where TensorFlow cannot run, it ends the process and not just the import.
PROBE_TENSORFLOW = """
import json, tensorflow as tf
gpus = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        for gpu in tf.config.list_physical_devices("GPU")]
total = float(tf.reduce_sum(tf.ones((2, 3)) @ tf.ones((3, 2))))
print("asrlib:" + json.dumps({"version": tf.__version__, "gpus": gpus, "total": total}))
"""


class Finding(NamedTuple):
    """What one check found.

    Attributes
    ----------
    name
        What was checked, in one or two words.
    ok
        Whether the course can go on with it.
    detail
        What was found.
    advice
        What to do when it is not ok.
    """

    name: str
    ok: bool
    detail: str
    advice: str = ""

    def __str__(self) -> str:
        """Return the line that doctor prints."""
        if self.ok:
            return f"[ok]   {self.name}: {self.detail}"
        return f"[fail] {self.name}: {self.detail} → {self.advice}"


def run(stream: TextIO | None = None, *, checks: Iterable[Callable[[], Finding]] | None = None) -> int:
    """Run the checks, print one line for each, and return the exit status.

    Parameters
    ----------
    stream
        Where the lines go; standard output when left out.
    checks
        The checks to run; all of `CHECKS` when left out.

    Returns
    -------
    int
        0 when every check is ok, 1 when any failed.

    Examples
    --------
    >>> run(checks=[lambda: Finding("ears", True, "two")])
    [ok]   ears: two
    All is well: `make lab` opens lesson 0.
    0
    >>> run(checks=[lambda: Finding("ears", False, "none", "listen with your eyes")])
    [fail] ears: none → listen with your eyes
    1 of 1 checks failed; what stands after the arrow mends it.
    1

    Lesson: 00
    """
    stream = sys.stdout if stream is None else stream
    findings = []
    for check in CHECKS if checks is None else checks:
        findings.append(_guarded(check))
        _print(str(findings[-1]), stream)
    failed = sum(not finding.ok for finding in findings)
    if failed:
        _print(f"{failed} of {len(findings)} checks failed; what stands after the arrow mends it.", stream)
    else:
        _print("All is well: `make lab` opens lesson 0.", stream)
    return 1 if failed else 0


def python_version() -> Finding:
    """Check that the course supports this version of Python.

    Returns
    -------
    Finding
        Not ok below Python 3.11 and from 3.14 on.

    Examples
    --------
    >>> python_version().ok
    True
    """
    version = ".".join(str(part) for part in sys.version_info[:3])
    supported = (3, 11) <= tuple(sys.version_info[:2]) < (3, 14)
    detail = f"{version} on {platform.system()} {platform.machine()}"
    return Finding(
        "Python", supported, detail, "install Python 3.12 and run `make clean lab PYTHON=python3.12`"
    )


def packages() -> Finding:
    """Check that every package that asrlib declares is installed in a version that it was made for.

    Returns
    -------
    Finding
        Names each missing package and each version out of range.

    Examples
    --------
    >>> packages().ok
    True
    """
    from packaging.requirements import Requirement

    troubles, fine = [], []
    for requirement in map(Requirement, _declared()):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        version = _installed(requirement.name)
        if version is None:
            troubles.append(f"{requirement.name} is missing")
        elif not requirement.specifier.contains(version, prereleases=True):
            troubles.append(f"{requirement.name} is {version}, not {requirement.specifier}")
        else:
            fine.append(f"{requirement.name} {version}")
    return Finding("packages", not troubles, "; ".join(troubles) or ", ".join(fine), REINSTALL)


def tensorflow() -> Finding:
    """Check that TensorFlow starts and computes, and name what it computes on.

    Returns
    -------
    Finding
        The version and the GPUs, or the last line that TensorFlow said before it died.
    """
    command = [sys.executable, "-c", PROBE_TENSORFLOW]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TENSORFLOW_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        detail = f"did not start within {TENSORFLOW_SECONDS} s"
        return Finding(
            "TensorFlow", False, detail, "close other programs and try again; it needs 2 GB of memory"
        )
    answers = [line for line in done.stdout.splitlines() if line.startswith("asrlib:")]
    if done.returncode != 0 or not answers:
        return Finding("TensorFlow", False, _why_it_died(done), REINSTALL)
    answer = json.loads(answers[-1].removeprefix("asrlib:"))
    if answer["total"] != 12.0:
        return Finding("TensorFlow", False, f"computed {answer['total']} instead of 12", REINSTALL)
    device = "GPU " + ", ".join(answer["gpus"]) if answer["gpus"] else "CPU (no GPU is needed)"
    return Finding("TensorFlow", True, f"{answer['version']} on {device}")


def audio_files() -> Finding:
    """Check that sound can be written and read back in every format that a learner may bring.

    Returns
    -------
    Finding
        Not ok when a format is missing or comes back as another sound.
    """
    try:
        import soundfile
    except (ImportError, OSError) as error:
        return Finding("audio files", False, f"soundfile does not load: {error}", REINSTALL)
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    broken = [kind for kind in AUDIO_FORMATS if not _survives(soundfile, tone, kind)]
    detail = (
        "cannot write and read " + ", ".join(broken)
        if broken
        else "reads and writes " + ", ".join(AUDIO_FORMATS)
    )
    return Finding("audio files", not broken, detail, REINSTALL)


def recordings() -> Finding:
    """Check that the bundled recordings are all there and unchanged.

    Returns
    -------
    Finding
        How many files agree with their hashes, or which do not.
    """
    from asrlib import datasets, errors

    advice = "`git checkout -- data` brings the recordings back as they were; where that fails, clone again"
    try:
        result = datasets.verify()
    except errors.DatasetUnavailable as error:
        return Finding("recordings", False, _in_short(error), advice)
    if result:
        return Finding("recordings", True, f"{result.checked} files as published, in {result.folder}")
    return Finding("recordings", False, _in_short(result), advice)


def shipped_recognizer() -> Finding:
    """Check that the shipped recognisers load, and that the default one writes a digit for a bundled clip.

    Returns
    -------
    Finding
        What it heard, or why it could not be asked.
    """
    from asrlib import datasets, errors, recognizer, string_recognizer

    words, strings = recognizer.Recognizer, string_recognizer.StringRecognizer
    advice = (
        "`git checkout -- asrlib/assets` brings the recognisers back; `git checkout -- data` the recordings"
    )
    try:
        clip = datasets.digits("test")[0]
        transcript = words.default().transcribe(clip)
        for load in (words.synthetic, strings.default, strings.streaming):
            load()
    except (errors.DatasetUnavailable, errors.ModelFileError, OSError) as error:
        return Finding("recogniser", False, _in_short(error), advice)
    heard = f"heard {transcript.text!r} for a spoken {clip.label!r} in {transcript.milliseconds:.0f} ms"
    right = str(transcript.text) in set("0123456789")
    return Finding("recogniser", right, f"{heard}; the three others load", advice)


def widget_front_end() -> Finding:
    """Check that JupyterLab finds the parts that draw sliders and the microphone in the browser.

    Returns
    -------
    Finding
        The version of each part, or which is missing.
    """
    found = {name: _labextension_version(folder) for name, folder in FRONT_ENDS.items()}
    missing = [name for name, version in found.items() if version is None]
    if missing:
        detail = "JupyterLab does not find the browser part of " + ", ".join(missing)
        return Finding("widgets", False, detail, REINSTALL)
    return Finding(
        "widgets", True, ", ".join(f"{name} front end {version}" for name, version in found.items())
    )


def free_disk() -> Finding:
    """Check that there is room for recordings, checkpoints and a downloaded data set.

    Returns
    -------
    Finding
        Not ok below 1 GB.
    """
    free = shutil.disk_usage(ROOT).free
    detail = f"{free / 1e9:.1f} GB free"
    return Finding(
        "disk", free >= LEAST_FREE_BYTES, detail, "free at least 1 GB on the disk that holds the course"
    )


CHECKS: tuple[Callable[[], Finding], ...] = (
    python_version,
    packages,
    tensorflow,
    audio_files,
    recordings,
    shipped_recognizer,
    widget_front_end,
    free_disk,
)


def _guarded(check: Callable[[], Finding]) -> Finding:
    """Return what a check found; one that breaks down counts as failed."""
    try:
        return check()
    except Exception as error:  # a doctor that dies of the disease helps nobody
        name = check.__name__.replace("_", " ")
        return Finding(name, False, f"{type(error).__name__}: {_in_short(error)}", REINSTALL)


def _print(line: str, stream: TextIO) -> None:
    """Print a line at once; a console that lacks a character gets another instead of an error."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        line.encode(encoding)
    except UnicodeEncodeError:
        line = line.replace("→", "->").encode(encoding, "replace").decode(encoding)
    print(line, file=stream, flush=True)


def _declared() -> list[str]:
    """Return the declared dependencies: from pyproject.toml in a checkout, else as installed."""
    file = ROOT / "pyproject.toml"
    if file.is_file():
        return tomllib.loads(file.read_text(encoding="utf-8"))["project"]["dependencies"]
    return importlib.metadata.requires("asrlib") or []


def _installed(name: str) -> str | None:
    """Return the installed version of a package, None when there is none."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _why_it_died(done: subprocess.CompletedProcess[str]) -> str:
    """Return the last thing that a process said, and how it ended."""
    said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    if done.returncode < 0:
        # An instruction that the processor lacks, or memory that the system refused.
        said.append(f"ended by signal {-done.returncode}")
    return said[-1] if said else f"ended with status {done.returncode} and no message"


def _survives(soundfile, tone: np.ndarray, kind: str) -> bool:
    """Say whether a tone comes back from a file of this kind: same pitch, same length but for padding."""
    try:
        file = io.BytesIO()
        soundfile.write(file, tone, 16_000, format=kind)
        file.seek(0)
        back, rate = soundfile.read(file)
    except (soundfile.LibsndfileError, ValueError, TypeError, OSError):
        return False
    if rate != 16_000 or abs(len(back) - len(tone)) > 4_000:
        return False
    return abs(np.argmax(np.abs(np.fft.rfft(back))) * rate / len(back) - 440) < 5


def _labextension_version(folder: str) -> str | None:
    """Return the version of a JupyterLab extension on Jupyter's data path, None when there is none."""
    from jupyter_core.paths import jupyter_path

    for base in jupyter_path("labextensions"):
        description = Path(base) / folder / "package.json"
        if description.is_file():
            return json.loads(description.read_text(encoding="utf-8"))["version"]
    return None


def _in_short(thing: object) -> str:
    """Return the first sentence of what a thing says, so that each check stays on one line."""
    lines = str(thing).strip().splitlines() or [type(thing).__name__]
    return lines[0].split(". ")[0].rstrip(".")
