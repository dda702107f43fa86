"""Create .venv and install what requirements.lock pins, then asrlib itself, editable.

Run by the Makefile before every target, and by hand where there is no make: `python tools/set_up.py`.
It needs nothing but a Python with venv, and when the environment is already right it ends at once, without
touching the network. It runs on old Pythons too, far enough to say which one is needed.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time

OLDEST, TOO_NEW = (3, 11), (3, 14)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ENVIRONMENT = os.path.join(ROOT, ".venv")
STAMP = os.path.join(ENVIRONMENT, "asrlib-set-up.json")
LOCK = os.path.join(ROOT, "requirements.lock")
# JupyterLab asks on its first start whether it may fetch news; a class room without a network should not see it.
QUIET_JUPYTERLAB = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}


class SetUpError(Exception):
    """The environment cannot be made; the message says what to do."""


def environment_python():
    """Return the path of the environment's interpreter."""
    folder, name = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return os.path.join(ENVIRONMENT, folder, name)


def check_python(version, machine, system):
    """Refuse a Python, or a kind of machine, that TensorFlow has no wheels for."""
    if not OLDEST <= tuple(version[:2]) < TOO_NEW:
        raise SetUpError(
            "This is Python {}.{}; the course needs Python 3.11, 3.12 or 3.13.\n"
            "Install one of them, then name it: make lab PYTHON=python3.12".format(version[0], version[1])
        )
    if system == "Darwin" and machine == "x86_64":
        raise SetUpError(
            "TensorFlow no longer ships for Macs with an Intel processor (or this Python is an Intel build on an\n"
            "Apple processor: install the arm64 build). Use Binder or a Linux container instead."
        )


def wanted_state():
    """Return what a finished environment was made from; a difference means that it must be set up again."""
    digests = {}
    for name in ("requirements.lock", "pyproject.toml", os.path.join("tools", "set_up.py")):
        with open(os.path.join(ROOT, name), "rb") as file:
            # Line endings differ between checkouts of the same commit; the content does not.
            digests[name] = hashlib.sha256(file.read().replace(b"\r\n", b"\n")).hexdigest()
    return {"folder": ROOT, "files": digests}


def is_ready():
    """Say whether the environment stands and was made from the files as they are now."""
    try:
        with open(STAMP, encoding="utf-8") as file:
            return json.load(file) == wanted_state() and os.path.exists(environment_python())
    except (OSError, ValueError):
        return False


def clean_variables(**extra):
    """Return the process environment without what would leave the install slow, elsewhere or unhashed."""
    unwanted = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_USER", "PIP_NO_COMPILE"}
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return dict(kept, PIP_DISABLE_PIP_VERSION_CHECK="1", **extra)


def run(*command, **extra):
    """Run a command in the project's folder, its output visible, and return whether it succeeded."""
    return subprocess.call(command, cwd=ROOT, env=clean_variables(**extra), stdin=subprocess.DEVNULL) == 0


def say(text):
    """Print one line at once, also into a pipe."""
    print(text)
    sys.stdout.flush()


def works(python):
    """Say whether an interpreter starts, has pip and is of a version that the course runs on."""
    question = "import sys, pip; sys.exit(not {} <= sys.version_info[:2] < {})".format(OLDEST, TOO_NEW)
    try:
        return subprocess.call([python, "-c", question], env=clean_variables(), stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def make_environment():
    """Create .venv, or keep one that works (an interrupted install goes on where it stopped)."""
    if works(environment_python()):
        return
    if os.path.lexists(ENVIRONMENT):
        shutil.rmtree(ENVIRONMENT)
    say("Creating .venv with Python " + platform.python_version())
    if not run(sys.executable, "-m", "venv", ENVIRONMENT):
        raise SetUpError(
            "Python could not create a virtual environment. On Debian and Ubuntu its module is a package of its own:\n"
            "sudo apt install python3-venv python3-pip"
        )


def locked(name):
    """Return the lines of requirements.lock that pin one package: its version and its hashes."""
    with open(LOCK, encoding="utf-8") as file:
        lines = file.read().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(name + "=="))
    end = start + 1
    while end < len(lines) and lines[end].startswith(" "):
        end += 1
    return "\n".join(lines[start:end]) + "\n"


def install_uv(python):
    """Install the locked uv into the environment with pip, its hash checked, and say whether that worked."""
    only_uv = os.path.join(ENVIRONMENT, "uv.lock.txt")
    with open(only_uv, "w", encoding="utf-8") as file:
        file.write(locked("uv"))
    return run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "-r", only_uv)


def install(python):
    """Install everything locked and asrlib: with uv, less than half the time, or with pip where uv cannot."""
    say("Installing the locked packages: about 700 MB to download the first time, 3 GB on disk")
    if install_uv(python):
        uv = (python, "-m", "uv", "pip", "install", "--python", python)
        if run(*uv, "--require-hashes", "-r", LOCK, UV_COMPILE_BYTECODE="1") and run(
            *uv, "--no-deps", "--no-build-isolation", "--no-index", "--editable", "."
        ):
            return
        say("uv could not install them; trying again with pip, which takes longer")
    pip = (python, "-m", "pip", "install")
    if run(*pip, "--require-hashes", "-r", LOCK) and run(
        *pip, "--no-deps", "--no-build-isolation", "--no-index", "--editable", "."
    ):
        return
    raise SetUpError(
        "The packages could not be installed; the lines above say why. Usual reasons: no network, a proxy\n"
        "(set HTTPS_PROXY), or less than 4 GB of free disk. Then run the same command again: what was\n"
        "downloaded is kept."
    )


def quieten_jupyterlab():
    """Store the settings that keep JupyterLab from asking for news and looking for updates."""
    folder = os.path.join(ENVIRONMENT, "share", "jupyter", "lab", "settings")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "overrides.json"), "w", encoding="utf-8") as file:
        json.dump(QUIET_JUPYTERLAB, file, indent=2)


def main():
    """Set the environment up when it is not; return the exit status."""
    if is_ready():
        return 0
    started = time.time()
    try:
        check_python(sys.version_info, platform.machine(), platform.system())
        make_environment()
        if os.path.exists(STAMP):
            os.remove(STAMP)
        install(environment_python())
        quieten_jupyterlab()
    except SetUpError as error:
        sys.stderr.write("\n{}\n".format(error))
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. Run the same command again and it goes on from here.\n")
        return 130
    with open(STAMP, "w", encoding="utf-8") as file:
        json.dump(wanted_state(), file, indent=2)
    say("The environment is ready ({:.0f} s).".format(time.time() - started))
    return 0


if __name__ == "__main__":
    sys.exit(main())
