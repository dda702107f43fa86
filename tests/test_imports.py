"""asrlib loads nothing heavy before it is needed, and its modules import one way: along the pipeline."""

import ast
import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import asrlib

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "asrlib"

# From sound to text, then what looks at it. A module imports only modules before it.
ORDER = (
    "errors",
    "audio",
    "signals",
    "filters",
    "features",
    "_download",
    "datasets",
    "augment",
    "descent",
    "models",
    "network",
    "ctc_network",
    "decoding",
    "texts",
    "streaming",
    "passages",
    "model_files",
    "string_recognizer",
    "recognizer",
    "subtitles",
    "export",
    "evaluation",
    "strings",
    "training",
    "plots",
    "widgets",
    "check",
    "doctor",
    "__main__",
)
HEAVY = (
    "tensorflow",
    "keras",
    "librosa",
    "matplotlib",
    "scipy",
    "pandas",
    "sklearn",
    "IPython",
    "ipywidgets",
)


def stage(file):
    """Return the module of ORDER that a file belongs to."""
    return file.relative_to(PACKAGE).with_suffix("").parts[0]


def sources():
    """Return every Python file of the package but its front door."""
    return sorted(file for file in PACKAGE.rglob("*.py") if file != PACKAGE / "__init__.py")


def name_of(file):
    return file.relative_to(PACKAGE).as_posix()


def for_type_checkers(node):
    """Say whether a statement is `if TYPE_CHECKING:`, whose body never runs."""
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def imports(tree):
    """Yield (module, names) for each import that may run, inside functions too."""
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import: write it out, so that a reader sees where it leads"
            yield node.module, tuple(alias.name for alias in node.names)
        elif for_type_checkers(node):
            todo.extend(node.orelse)
        else:
            todo.extend(ast.iter_child_nodes(node))


def imported_stages(file):
    """Return which modules of asrlib a file imports."""
    found = set()
    for module, names in imports(ast.parse(file.read_text(encoding="utf-8"))):
        if module == "asrlib":
            found.update(names)
        elif module.startswith("asrlib."):
            found.add(module.split(".")[1])
    return found - {"__version__"}


def loaded_after(statement, names=HEAVY):
    """Return which of these packages a new Python has loaded after a statement."""
    question = f"import sys; {statement}; print([name for name in {list(names)!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", question], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return ast.literal_eval(done.stdout.splitlines()[-1])


def test_import_asrlib_loads_nothing_heavy():
    assert loaded_after("import asrlib", (*HEAVY, "numpy", "soundfile")) == []


def test_looking_around_loads_nothing_heavy():
    assert loaded_after("import asrlib; dir(asrlib); asrlib.errors, asrlib.__version__") == []


def test_importing_any_module_loads_no_tensorflow():
    """Not even models and training do: they load it when a network is built or trained."""
    modules = sorted({stage(file) for file in sources()} - {"__main__"})
    statement = "; ".join(f"import asrlib.{module}" for module in modules)
    loaded = loaded_after(statement, ("tensorflow", "keras"))
    assert loaded == [], [module for module in modules if loaded_after(f"import asrlib.{module}", loaded)]


def test_every_module_is_reached_from_the_front_door():
    public = {stage(file) for file in sources()}
    public = {name for name in public if not name.startswith("_")}
    assert public <= set(dir(asrlib))
    for name in dir(asrlib):
        if not name.startswith("__") and name in public:
            assert getattr(asrlib, name).__name__ == f"asrlib.{name}"


def test_the_front_door_promises_only_what_is_there():
    there = {stage(file) for file in sources()} | {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    assert {name for name in dir(asrlib) if not name.startswith("__")} <= there


@pytest.mark.parametrize("file", sources(), ids=name_of)
def test_module_imports_only_earlier_stages(file):
    here = stage(file)
    assert here in ORDER, f"give {here} its place in ORDER"
    for other in imported_stages(file) - {here}:
        assert other in ORDER, f"{name_of(file)} imports asrlib.{other}, which has no place in ORDER"
        assert ORDER.index(other) < ORDER.index(here), (
            f"{name_of(file)} imports asrlib.{other}, a later stage"
        )


@pytest.mark.parametrize("file", sources(), ids=name_of)
def test_nothing_but_notebooks_imports_widgets_or_checks(file):
    for other in ("widgets", "check"):
        if stage(file) != other:
            assert other not in imported_stages(file)


def test_the_guards_see_what_they_guard_against(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    file = tmp_path / "features.py"
    file.write_text(
        "from __future__ import annotations\n"
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from asrlib import training\n"
        "from asrlib import audio\n"
        "def late():\n    from asrlib.models import crnn\n    import asrlib.widgets.digits\n"
    )
    assert imported_stages(file) == {"audio", "models", "widgets"}
    with pytest.raises(AssertionError, match="a later stage"):
        test_module_imports_only_earlier_stages(file)
    with pytest.raises(AssertionError):
        test_nothing_but_notebooks_imports_widgets_or_checks(file)
    assert loaded_after("import wave", ("wave", "tensorflow")) == ["wave"]


def test_every_package_that_asrlib_imports_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {canonicalize_name(Requirement(entry).name) for entry in project["dependencies"]}
    providers = importlib.metadata.packages_distributions()
    used, undeclared = set(), set()
    for file in [*sources(), PACKAGE / "__init__.py"]:
        for module, _ in imports(ast.parse(file.read_text(encoding="utf-8"))):
            top = module.split(".")[0]
            if top == "asrlib" or top in sys.stdlib_module_names:
                continue
            names = {canonicalize_name(name) for name in providers.get(top, [top])}
            used |= names
            if not names & declared:
                undeclared.add(f"{top} in {name_of(file)}")
    assert not undeclared, "declare them in pyproject.toml, with the reason in docs/DEPENDENCIES.md"
