"""Create .venv and install what requirements.lock pins, then asrlib itself, editable.

The Makefile runs this before every target; without make: `python tools/set_up.py`. It needs nothing but a
Python with venv. When the environment is right already it ends at once, without touching the network. Its
syntax is old on purpose, so that an old Python gets as far as saying which one is needed.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

OLDEST, TOO_NEW = (3, 11), (3, 14)
ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
STAMP = ENVIRONMENT / "asrlib-set-up.json"
LOCK = ROOT / "requirements.lock"
MADE_FROM = ("requirements.lock", "pyproject.toml", "tools/set_up.py")

# What JupyterLab finds in this environment, however it is started. It asks nobody for news or updates,
# installs nothing behind the lock's back, and encrypts what it says to a kernel, which spares a warning.
SERVER_CONFIG = {
    "KernelManager": {"transport_encryption": "auto"},
    "LabApp": {
        "check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "extension_manager": "readonly",
        "news_url": None,
    },
}
BROWSER_SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}
}

# These would leave the install slow or put it elsewhere.
UNWANTED = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_USER", "PIP_NO_COMPILE")


class SetUpError(Exception):
    """The environment cannot be made; the message says what to do."""


def environment_python():
    """Return the path of the environment's interpreter."""
    return ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def check_python(version, *, machine, system):
    """Refuse a Python, or a kind of machine, that TensorFlow has no wheels for."""
    if not OLDEST <= tuple(version[:2]) < TOO_NEW:
        raise SetUpError(
            f"This is Python {version[0]}.{version[1]}; the course needs Python 3.11, 3.12 or 3.13.\n"
            "Install one of them, then name it: make lab PYTHON=python3.12"
        )
    if system == "Darwin" and machine == "x86_64":
        raise SetUpError(
            "This Python is made for Intel Macs, for which TensorFlow is no longer published. On an Apple\n"
            "processor install the arm64 Python; on an Intel Mac use Binder or a Linux container."
        )


def wanted_state():
    """Return what a finished environment was made from; any difference means that it must be set up again."""
    digests = {}
    for name in MADE_FROM:
        # Line endings differ between checkouts of the same commit; the content does not.
        content = (ROOT / name).read_bytes().replace(b"\r\n", b"\n")
        digests[name] = hashlib.sha256(content).hexdigest()
    return {"folder": str(ROOT), "files": digests}


def is_ready():
    """Say whether the environment stands and was made from the files as they are now."""
    try:
        return (
            json.loads(STAMP.read_text(encoding="utf-8")) == wanted_state() and environment_python().exists()
        )
    except (OSError, ValueError):
        return False


def clean_variables(**extra):
    """Return this process's environment variables without the unwanted ones, and with the extra ones."""
    kept = {name: value for name, value in os.environ.items() if name not in UNWANTED}
    return dict(kept, PIP_DISABLE_PIP_VERSION_CHECK="1", **extra)


def run(*command, **extra):
    """Run a command in the project's folder, its output visible, and return whether it succeeded."""
    words = [str(word) for word in command]
    return subprocess.call(words, cwd=str(ROOT), env=clean_variables(**extra), stdin=subprocess.DEVNULL) == 0


def say(text):
    """Print one line at once, also into a pipe."""
    print(text)
    sys.stdout.flush()


def works(python):
    """Say whether an interpreter starts, has pip and is of a version that the course runs on."""
    question = f"import sys, pip; sys.exit(not {OLDEST} <= sys.version_info[:2] < {TOO_NEW})"
    command = [str(python), "-c", question]
    try:
        return subprocess.call(command, env=clean_variables(), stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def make_environment():
    """Create .venv, or keep one that works: an interrupted install goes on where it stopped."""
    if works(environment_python()):
        return
    if ENVIRONMENT.exists():
        shutil.rmtree(str(ENVIRONMENT))
    say(f"Creating .venv with Python {platform.python_version()}")
    if not run(sys.executable, "-m", "venv", ENVIRONMENT):
        shutil.rmtree(str(ENVIRONMENT), ignore_errors=True)
        raise SetUpError(
            "Python could not create a virtual environment. Debian and Ubuntu keep that part in a package:\n"
            "sudo apt install python3-venv"
        )


def locked(name):
    """Return the lines of requirements.lock that pin one package: its version and its hashes."""
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(name + "=="))
    end = start + 1
    while end < len(lines) and lines[end].startswith(" "):
        end += 1
    return "\n".join(lines[start:end]) + "\n"


def install_uv(python):
    """Install the locked uv with pip, its hash checked, and say whether that worked."""
    only_uv = ENVIRONMENT / "only-uv.txt"
    only_uv.write_text(locked("uv"), encoding="utf-8")
    return run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "-r", only_uv)


def install_with(installer, **extra):
    """Install everything that is locked, hashes checked, then asrlib; say whether that worked."""
    own = ("--no-deps", "--no-build-isolation", "--no-index", "--editable", ".")
    return run(*installer, "--require-hashes", "-r", LOCK, **extra) and run(*installer, *own)


def install(python):
    """Install with uv, which takes half the time, or with pip where uv cannot."""
    say("Installing the locked packages. The first time this downloads about 900 MB and fills 3 GB of disk.")
    if install_uv(python):
        # Without bytecode every process would compile it again: 17 s instead of 7 s to import TensorFlow.
        if install_with((python, "-m", "uv", "pip", "install", "--python", python), UV_COMPILE_BYTECODE="1"):
            return
        say("uv could not install them. Trying again with pip, which takes longer.")
    if not install_with((python, "-m", "pip", "install")):
        raise SetUpError(
            "The packages could not be installed; the lines above say why. The usual reasons: no network,\n"
            "a proxy (set HTTPS_PROXY), less than 4 GB of free disk. Mend it and run the same command\n"
            "again: what was downloaded is kept."
        )


def quieten_jupyterlab():
    """Store the configuration of JupyterLab in the environment, where it looks for it."""
    for name, content in (
        ("etc/jupyter/jupyter_server_config.json", SERVER_CONFIG),
        ("share/jupyter/lab/settings/overrides.json", BROWSER_SETTINGS),
    ):
        file = ENVIRONMENT / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, indent=2), encoding="utf-8")


def set_up():
    """Make the environment, install into it, and leave the stamp that says what it was made from."""
    check_python(sys.version_info, machine=platform.machine(), system=platform.system())
    make_environment()
    if STAMP.exists():
        STAMP.unlink()
    install(environment_python())
    quieten_jupyterlab()
    STAMP.write_text(json.dumps(wanted_state(), indent=2), encoding="utf-8")


def main():
    """Set the environment up when it is not; return the exit status."""
    if is_ready():
        return 0
    started = time.time()
    try:
        set_up()
    except SetUpError as error:
        sys.stderr.write(f"\n{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. Run the same command again and it goes on from here.\n")
        return 130
    say(f"The environment is ready ({time.time() - started:.0f} s).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
