"""Make requirements.lock and environment.yml from the dependencies in pyproject.toml.

`make lock` runs it. The lock pins every package, with the hashes of its files, for Linux, macOS and Windows
and for every Python that the course supports. It names no package index. `make lock ARGS=--upgrade` takes
newer versions.
"""

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
CONDA = ROOT / "environment.yml"
OLDEST_PYTHON = "3.11"

LOCK_HEAD = """\
# Every package of the course, pinned and hashed, for Linux, macOS and Windows. Made by `make lock` from
# pyproject.toml (its dependencies and the extra "dev"); not to be edited by hand.
# Made from: {digest}
"""

CONDA_HEAD = """\
# The same environment for conda, Binder and repo2docker. Made by `make lock` from pyproject.toml; not to be
# edited by hand. Use: conda env create -f environment.yml && conda activate asrlib && jupyter lab
"""

# What conda-forge carries under the same name. The others come as wheels, in the pip part: TensorFlow and
# Keras because conda-forge lags behind, the small ones because their conda names differ.
FROM_CONDA = (
    *("anywidget", "ipython", "ipywidgets", "jupyterlab", "librosa", "matplotlib", "numpy", "packaging"),
    *("pillow", "pooch", "requests", "scikit-learn", "scipy", "tqdm", "traitlets"),
)


def project() -> dict:
    """Return the [project] table of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def name_of(requirement: str) -> str:
    """Return the normalised name of a requirement: "Lazy_Loader>=0.4" gives "lazy-loader"."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def digest(table: dict) -> str:
    """Return the SHA-256 of what the lock is made from, so that a test sees when it falls behind."""
    wanted = [table["requires-python"], *table["dependencies"], *table["optional-dependencies"]["dev"]]
    return hashlib.sha256("\n".join(sorted(wanted)).encode()).hexdigest()


def environment_yml(table: dict) -> str:
    """Return the text of environment.yml for a [project] table."""
    dependencies = table["dependencies"]
    from_conda = [entry for entry in dependencies if name_of(entry) in FROM_CONDA]
    from_pip = [entry for entry in dependencies if name_of(entry) not in FROM_CONDA]
    lines = ["name: asrlib", "channels:", "  - conda-forge", "  - nodefaults", "dependencies:"]
    lines += [f'  - "python{table["requires-python"]}"', '  - "pip"']
    lines += [f'  - "{entry}"' for entry in from_conda]
    lines += ["  - pip:"]
    lines += [f'      - "{entry}"' for entry in from_pip]
    lines += ["      - -e ."]
    return CONDA_HEAD + "\n".join(lines) + "\n"


def lock_text(*, upgrade: bool) -> str:
    """Return the text of requirements.lock, keeping the versions of the present one unless `upgrade`."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        raise SystemExit("uv was not found; run `make lock`, which sets it up first")
    target = LOCK if LOCK.exists() else ROOT / ".venv" / "requirements.lock"
    command = [uv, "pip", "compile", "pyproject.toml", "--extra", "dev", "--universal", "--quiet"]
    command += ["--python-version", OLDEST_PYTHON, "--fork-strategy", "fewest", "--generate-hashes"]
    command += ["--no-emit-index-url", "--no-emit-find-links", "--no-header", "--no-annotate"]
    # uv reads the versions to keep from the file that it writes.
    command += ["--output-file", str(target)] + (["--upgrade"] if upgrade else [])
    subprocess.run(command, cwd=ROOT, check=True)
    lines = target.read_text(encoding="utf-8").splitlines()
    head = LOCK_HEAD.format(digest=digest(project()))
    return head + "\n".join(line for line in lines if not line.startswith("#")).strip() + "\n"


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions in the ranges")
    parser.add_argument("--conda-only", action="store_true", help="write environment.yml alone, offline")
    arguments = parser.parse_args()
    if not arguments.conda_only:
        LOCK.write_text(lock_text(upgrade=arguments.upgrade), encoding="utf-8")
    CONDA.write_text(environment_yml(project()), encoding="utf-8")


if __name__ == "__main__":
    main()
