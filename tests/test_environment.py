"""The files that describe the environment agree with each other, and set-up does what it says."""

import fnmatch
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import asrlib

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
RUN_TIME = [Requirement(entry) for entry in PROJECT["dependencies"]]
DEV = [Requirement(entry) for entry in PROJECT["optional-dependencies"]["dev"]]
BENCH = [Requirement(entry) for entry in PROJECT["optional-dependencies"]["bench"]]


def tool(name):
    """Import a script from tools/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def locked_versions():
    """Return {name: [(version, marker or None), ...]} of requirements.lock."""
    found = {}
    for line in LOCK.splitlines():
        if line and not line.startswith((" ", "#")):
            entry = Requirement(line.removesuffix("\\").strip())
            (specifier,) = entry.specifier
            assert specifier.operator == "==", line
            found.setdefault(canonicalize_name(entry.name), []).append((specifier.version, entry.marker))
    return found


def tracked_files():
    """Return the files under version control, or skip where there is none (an unpacked archive)."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


# --- requirements.lock


def test_lock_was_made_from_the_present_list():
    stated = re.search(r"^# Made from: ([0-9a-f]{64})$", LOCK, re.MULTILINE)
    assert stated, "requirements.lock does not say what it was made from: run `make lock`"
    assert stated[1] == tool("lock").digest(PROJECT), "pyproject.toml changed: run `make lock`"


@pytest.mark.parametrize("entry", RUN_TIME + DEV, ids=lambda entry: entry.name)
def test_lock_holds_every_dependency_within_its_range(entry):
    for version, _ in locked_versions()[canonicalize_name(entry.name)]:
        assert entry.specifier.contains(version), f"{entry} is locked as {version}: run `make lock`"


def test_lock_is_hashed_throughout_and_names_no_index():
    entries = re.split(
        r"\n(?=\S)", "\n".join(line for line in LOCK.splitlines() if not line.startswith("#")).strip()
    )
    assert len(entries) > 100
    for entry in entries:
        head, *hashes = [line.strip().removesuffix("\\").strip() for line in entry.splitlines()]
        assert "==" in head
        assert hashes, f"{head} has no hash"
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line) for line in hashes), head
    assert "://" not in LOCK
    assert "--index" not in LOCK
    assert "--find-links" not in LOCK
    assert "file:" not in LOCK


def test_lock_serves_every_system_and_python():
    locked = locked_versions()
    for python in ("3.11", "3.12", "3.13"):
        for platform, system in (("linux", "Linux"), ("darwin", "Darwin"), ("win32", "Windows")):
            here = {
                "python_version": python,
                "python_full_version": python + ".9",
                "sys_platform": platform,
                "platform_system": system,
                "os_name": "nt" if platform == "win32" else "posix",
            }
            for entry in RUN_TIME + DEV:
                fitting = [
                    version
                    for version, marker in locked[canonicalize_name(entry.name)]
                    if marker is None or marker.evaluate(here)
                ]
                assert len(fitting) == 1, (entry.name, here, fitting)


def test_lock_is_closed_under_what_its_packages_need():
    """With hashes required, pip refuses a lock that lacks one package of the chain."""
    locked = locked_versions()
    missing = set()
    for name, versions in locked.items():
        try:
            installed = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if installed.version not in {version for version, _ in versions}:
            continue
        for needed in map(Requirement, installed.requires or []):
            wanted = needed.marker is None or needed.marker.evaluate({"extra": ""})
            if wanted and canonicalize_name(needed.name) not in locked:
                missing.add(f"{needed.name} (for {name})")
    assert not missing


# --- environment.yml, the table, the rest


def test_environment_yml_follows_from_pyproject():
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert text == tool("lock").environment_yml(PROJECT), "run `make lock`"


def test_environment_yml_holds_every_dependency_once():
    parsed = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *from_conda, with_pip = parsed["dependencies"]
    assert parsed["channels"] == ["conda-forge", "nodefaults"]
    assert with_pip["pip"][-1] == "-e ."
    python, pip, *packages = from_conda
    assert (python, pip) == ("python" + PROJECT["requires-python"], "pip")
    for spec in from_conda:
        assert re.fullmatch(r"[a-z][a-z0-9-]*([<>=!]=?[0-9.]+(,[<>=!]=?[0-9.]+)*)?", spec), spec
    assert sorted(packages + with_pip["pip"][:-1]) == sorted(PROJECT["dependencies"])


def test_environment_yml_changes_with_the_list():
    with_another = {**PROJECT, "dependencies": [*PROJECT["dependencies"], "another>=1"]}
    assert '- "another>=1"' in tool("lock").environment_yml(with_another)


def test_every_dependency_has_its_reason():
    text = (ROOT / "docs" / "DEPENDENCIES.md").read_text(encoding="utf-8")
    run_time, rest = text.split("(extra `dev`)")
    dev, bench = rest.split("(extra `bench`)")
    for table, entries in ((run_time, RUN_TIME), (dev, DEV), (bench, BENCH)):
        rows = dict(re.findall(r"^\| ([a-z0-9-]+) \| (\S.*\S) \|$", table, re.MULTILINE))
        rows.pop("package", None)
        assert sorted(rows) == sorted(entry.name for entry in entries)
        assert all(len(reason.split()) >= 3 for reason in rows.values())


def test_every_range_has_a_lower_bound():
    for entry in RUN_TIME + DEV + BENCH:
        assert any(part.operator in (">=", "~=", "==") for part in entry.specifier), entry


def test_versions_and_licences_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert asrlib.__version__ == PROJECT["version"] == citation["version"]
    assert PROJECT["license"] == citation["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
    assert "creativecommons.org/licenses/by/4.0" in (ROOT / "data" / "LICENSE").read_text(encoding="utf-8")


def test_the_supported_pythons_are_the_same_everywhere():
    set_up = tool("set_up")
    supported = SpecifierSet(PROJECT["requires-python"])
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for minor in range(8, 18):
        expected = supported.contains(f"3.{minor}.0")
        assert (set_up.OLDEST <= (3, minor) < set_up.TOO_NEW) == expected
    assert f"{set_up.OLDEST} <= sys.version_info[:2] < {set_up.TOO_NEW}" in makefile


def test_what_is_not_python_in_the_package_is_installed_with_it():
    globs = PYPROJECT["tool"]["setuptools"]["package-data"]["asrlib"]
    package = ROOT / "asrlib"
    for file in tracked_files():
        if file.is_relative_to(package) and file.suffix != ".py":
            inside = file.relative_to(package).as_posix()
            assert any(fnmatch.fnmatch(inside, glob) for glob in globs), f"add {inside} to package-data"


def test_no_file_names_a_package_registry():
    hosts = [
        "py" + "pi.org",
        "python" + "hosted",
        "registry.np" + "mjs",
        "deb.deb" + "ian.",
        "conda.ana" + "conda",
    ]
    for file in tracked_files():
        content = file.read_bytes()
        for host in hosts:
            assert host.encode() not in content, f"{file.relative_to(ROOT)} names {host}"


# --- the Makefile

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*arguments):
    """Run make in the project, and return what it did."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=kept, capture_output=True, text=True, timeout=60, check=False
    )


@needs_make
def test_make_alone_lists_the_targets():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    shown = make()
    assert shown.returncode == 0
    assert shown.stdout == make("help").stdout
    listed = set(re.findall(r"^make ([a-z-]+)  ", shown.stdout, re.MULTILINE))
    targets = set(
        re.search(r"^\.PHONY:(.*(?:\\\n.*)*)", makefile, re.MULTILINE)[1].replace("\\", " ").split()
    )
    assert listed == targets - {"help", "environment", "test-unit", "test-notebooks"}


@needs_make
def test_make_without_a_suitable_python_says_so():
    done = make("environment", "CANDIDATES=/no/such/python")
    assert done.returncode != 0
    assert "No Python 3.11, 3.12 or 3.13 was found" in done.stderr


@needs_make
def test_make_takes_the_first_suitable_python(tmp_path):
    for name, fails in (("old", 1), ("good", 0), ("later", 0)):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\n[ "$1" = -c ] && exit {fails}\necho {name} ran\n')
        program.chmod(0o755)
    candidates = " ".join(str(tmp_path / name) for name in ("missing", "old", "good", "later"))
    assert make("environment", f"CANDIDATES={candidates}").stdout == "good ran\n"


@needs_make
def test_browser_tests_without_a_browser_fail_and_say_so():
    done = make("test-browser", "PYTHON=true", "BROWSERS=/no/such/browser", "RUN=true", "CHROMIUM=")
    assert done.returncode != 0
    assert "No Chromium was found" in done.stderr


@needs_make
def test_lessons_are_compared_strictly():
    planned = make("-n", "test", "PYTHON=true").stdout
    assert re.search(r" --nbval ", planned)
    assert "lax" not in planned
    assert "tests/notebooks/sanitize.cfg" in planned
    assert "--doctest-modules" in planned
    assert "TF_CPP_MIN_LOG_LEVEL=3" in planned


@needs_make
def test_jupyterlab_stays_on_this_machine_with_its_token():
    planned = make("-n", "lab", "PYTHON=true", "ARGS=--no-browser").stdout
    assert "--ServerApp.ip=127.0.0.1" in planned
    assert planned.rstrip().endswith("--no-browser")
    assert "token" not in planned
    assert "password" not in planned


# --- .ci/run


@pytest.fixture
def continuous_integration(tmp_path):
    """Return a function that runs a copy of .ci/run with a make that only writes down how it was called."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    project, programs = tmp_path / "a clone", tmp_path / "programs"
    (project / ".ci").mkdir(parents=True)
    programs.mkdir()
    shutil.copy(ROOT / ".ci" / "run", project / ".ci" / "run")
    fake = programs / "make"
    fake.write_text(
        '#!/bin/sh\necho "make $1 data=${ASRLIB_DATA:-none} bytecode=${PYTHONDONTWRITEBYTECODE:-kept}"\n'
        'case " $FAILING " in *" $1 "*) exit 3;; esac\n'
    )
    fake.chmod(0o755)

    def call(failing=""):
        variables = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "FAILING": failing}
        variables |= {"PYTHONDONTWRITEBYTECODE": "1", "CHROMIUM": "/a/chromium"}
        command = [bash, str(project / ".ci" / "run")]
        return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)

    call.beside = tmp_path
    return call


def test_continuous_integration_runs_both_and_keeps_bytecode(continuous_integration):
    done = continuous_integration()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "make test data=none bytecode=kept",
        "make test-browser data=none bytecode=kept",
    ]


def test_continuous_integration_uses_the_real_recordings_beside_it(continuous_integration):
    data = continuous_integration.beside / "shared" / "data"
    data.mkdir(parents=True)
    assert f"make test data={data} " in continuous_integration().stdout


@pytest.mark.parametrize("failing", ["test", "test-browser", "test test-browser"])
def test_continuous_integration_fails_when_either_fails_and_still_runs_both(continuous_integration, failing):
    done = continuous_integration(failing)
    assert done.returncode != 0
    assert len(done.stdout.splitlines()) == 2


def test_continuous_integration_script_can_be_run():
    if os.name == "nt":
        pytest.skip("Windows keeps no executable bit")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


# --- tools/set_up.py


@pytest.fixture
def set_up(monkeypatch, tmp_path):
    """Return tools/set_up.py working on a folder of its own, its commands written down instead of run."""
    module = tool("set_up")
    for name in module.MADE_FROM:
        copy = tmp_path / name
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, copy)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "ENVIRONMENT", tmp_path / ".venv")
    monkeypatch.setattr(module, "STAMP", tmp_path / ".venv" / "stamp.json")
    monkeypatch.setattr(module, "LOCK", tmp_path / "requirements.lock")
    module.commands, module.failing = [], ()

    def run(*command, **extra):
        words = [str(word) for word in command]
        module.commands.append((words, extra))
        if "venv" in words:
            module.environment_python().parent.mkdir(parents=True)
            module.environment_python().touch()
        return not any(word in words for word in module.failing)

    monkeypatch.setattr(module, "run", run)
    return module


def ran(module, *words):
    """Say whether one of the commands held all these words."""
    return any(all(word in command for word in words) for command, _ in module.commands)


def test_set_up_installs_with_uv_hashes_checked_and_bytecode_compiled(set_up):
    assert set_up.main() == 0
    installs = [(words, extra) for words, extra in set_up.commands if "install" in words]
    assert [("uv" in words, "--require-hashes" in words) for words, _ in installs] == [
        (False, True),  # pip brings uv
        (True, True),  # uv brings the lock
        (True, False),  # and asrlib, which is here already
    ]
    assert installs[1][1] == {"UV_COMPILE_BYTECODE": "1"}
    assert {"--editable", "--no-deps", "--no-index", "--no-build-isolation"} <= set(installs[2][0])


def test_set_up_is_done_once(set_up, capsys):
    assert set_up.main() == 0
    done = len(set_up.commands)
    capsys.readouterr()
    assert set_up.main() == 0
    assert len(set_up.commands) == done
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml", "tools/set_up.py"])
def test_set_up_runs_again_when_what_it_was_made_from_changes(set_up, tmp_path, name):
    set_up.main()
    assert set_up.is_ready()
    with (tmp_path / name).open("a") as file:
        file.write("\n# changed\n")
    assert not set_up.is_ready()


def test_set_up_runs_again_in_a_folder_that_was_moved(set_up, monkeypatch):
    set_up.main()
    monkeypatch.setattr(set_up, "ROOT", set_up.ROOT / "tools" / "..")
    assert not set_up.is_ready()


def test_line_endings_do_not_count_as_a_change(set_up, tmp_path):
    before = set_up.wanted_state()
    file = tmp_path / "pyproject.toml"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert set_up.wanted_state() == before


def test_set_up_falls_back_to_pip_with_hashes_still_checked(set_up):
    set_up.failing = ("uv",)
    assert set_up.main() == 0
    last_two = [words for words, _ in set_up.commands[-2:]]
    assert all("pip" in words and "uv" not in words for words in last_two)
    assert {"--require-hashes", str(set_up.LOCK)} <= set(last_two[0])
    assert set_up.is_ready()


def test_set_up_that_fails_says_what_to_do_and_leaves_no_stamp(set_up, capsys):
    set_up.failing = ("install",)
    assert set_up.main() == 1
    assert "could not be installed" in capsys.readouterr().err
    assert not set_up.is_ready()
    set_up.failing = ()
    assert set_up.main() == 0
    assert set_up.is_ready()


def test_set_up_without_the_venv_module_names_the_package(set_up, capsys):
    set_up.failing = ("venv",)
    assert set_up.main() == 1
    assert "sudo apt install python3-venv" in capsys.readouterr().err
    assert not set_up.ENVIRONMENT.exists()


def test_set_up_replaces_an_environment_that_does_not_start(set_up):
    python = set_up.environment_python()
    python.parent.mkdir(parents=True)
    python.write_text("not a program")
    (set_up.ENVIRONMENT / "leftover").touch()
    assert set_up.main() == 0
    assert ran(set_up, "venv")
    assert not (set_up.ENVIRONMENT / "leftover").exists()


def test_set_up_interrupted_says_how_to_go_on(set_up, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(set_up, "install", interrupted)
    assert set_up.main() == 130
    assert "Run the same command again" in capsys.readouterr().err
    assert not set_up.is_ready()


@pytest.mark.parametrize("version", [(2, 7), (3, 9), (3, 10), (3, 14), (4, 0)])
def test_set_up_refuses_other_pythons_and_names_the_right_ones(version):
    set_up = tool("set_up")
    with pytest.raises(
        set_up.SetUpError, match=rf"This is Python {version[0]}\.{version[1]}.*3\.11, 3\.12 or 3\.13"
    ):
        set_up.check_python(version, machine="x86_64", system="Linux")


def test_set_up_refuses_intel_macs_with_a_way_out():
    set_up = tool("set_up")
    with pytest.raises(set_up.SetUpError, match="Binder"):
        set_up.check_python((3, 12), machine="x86_64", system="Darwin")
    set_up.check_python((3, 12), machine="arm64", system="Darwin")


def test_set_up_quiets_jupyterlab(set_up):
    set_up.main()
    settings = set_up.ENVIRONMENT / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
    (notification,) = yaml.safe_load(settings.read_text(encoding="utf-8")).values()
    assert notification == {"fetchNews": "false", "checkForUpdates": False}
    config = set_up.ENVIRONMENT / "etc" / "jupyter" / "jupyter_server_config.json"
    assert yaml.safe_load(config.read_text(encoding="utf-8"))["LabApp"]["news_url"] is None


def test_jupyterlab_knows_every_setting_that_set_up_stores():
    """A setting that a new release renamed would be ignored with a log line that nobody reads."""
    from jupyter_client.manager import KernelManager
    from jupyterlab.labapp import LabApp

    config = tool("set_up").SERVER_CONFIG
    for known in (KernelManager, LabApp):
        assert set(config.pop(known.__name__)) <= set(known.class_trait_names(config=True))
    assert not config


def test_the_locked_uv_is_cut_out_whole():
    pin = tool("set_up").locked("uv")
    first, *hashes = pin.splitlines()
    assert re.fullmatch(r"uv==[0-9.]+ \\", first)
    assert len(hashes) > 5
    assert all(line.strip().startswith("--hash=sha256:") for line in hashes)
    assert not hashes[-1].endswith("\\")


def test_commands_of_set_up_keep_bytecode(monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    variables = tool("set_up").clean_variables(EXTRA="1")
    assert "PYTHONDONTWRITEBYTECODE" not in variables
    assert "PYTHONPATH" not in variables
    assert variables["HTTPS_PROXY"] == "http://127.0.0.1:1"
    assert variables["EXTRA"] == "1"


def test_a_python_that_does_not_start_does_not_work(tmp_path):
    set_up = tool("set_up")
    assert set_up.works(Path(sys.executable)) is (importlib.util.find_spec("pip") is not None)
    assert not set_up.works(tmp_path / "missing")
