"""Stored notebooks hold the lesson and nothing of the machine that ran it, and their outputs are compared."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MACHINE_PATH = re.compile(r"(?<![\w.])(?:/(?:home|root|tmp|Users|work|opt|mnt)/|[A-Z]:\\\\?Users)")
# What tells nbval not to run, or not to compare, a cell.
NOT_COMPARED = {"nbval-ignore-output", "nbval-skip", "nbval-raises-exception", "raises-exception"}
NOT_COMPARED_COMMENTS = re.compile(
    r"^#\s*(NBVAL_IGNORE_OUTPUT|NBVAL_SKIP|NBVAL_RAISES_EXCEPTION)", re.MULTILINE
)
MOST_OUTPUT_BYTES = 1_500_000


def normaliser():
    spec = importlib.util.spec_from_file_location("normalise", ROOT / "tools" / "normalise_notebooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def source(cell):
    return "".join(cell["source"])


def is_compared(cell):
    """Say whether strict nbval compares this cell's outputs."""
    tags = {tag.lower().replace("_", "-") for tag in cell["metadata"].get("tags", [])}
    return not (tags & NOT_COMPARED or NOT_COMPARED_COMMENTS.search(source(cell)))


def expects_an_error(cell):
    tags = set(cell["metadata"].get("tags", []))
    return bool(tags & {"raises-exception", "nbval-raises-exception"}) or "NBVAL_RAISES_EXCEPTION" in source(
        cell
    )


def troubles(notebook):
    """Return what is wrong with a stored notebook, one line each."""
    found = []
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] != "code":
            continue
        outputs = json.dumps(cell["outputs"], ensure_ascii=False)
        failed = any(output["output_type"] == "error" for output in cell["outputs"])
        if failed and not expects_an_error(cell):
            found.append(f"cell {number} stores an error")
        if source(cell).strip() and is_compared(cell) and cell["execution_count"] is None:
            found.append(f"cell {number} was never run, so nbval compares nothing")
        for text in (outputs, source(cell)):
            path = MACHINE_PATH.search(text)
            if path:
                found.append(
                    f"cell {number} names a path of a machine: {text[path.start() : path.start() + 40]}"
                )
        if len(outputs) > MOST_OUTPUT_BYTES:
            found.append(f"cell {number} stores {len(outputs) // 1000} kB")
        if any(output.get("name") == "stderr" for output in cell["outputs"]):
            found.append(f"cell {number} stores a warning or a log line")
    return found


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.name)
def stored(request):
    return request.param


def test_notebook_is_normalised(stored):
    text = stored.read_text(encoding="utf-8")
    tool = normaliser()
    assert text == tool.as_text(tool.normalised(json.loads(text))), (
        f"run: python tools/normalise_notebooks.py notebooks/{stored.name}"
    )


def test_notebook_stores_no_trouble(stored):
    assert troubles(json.loads(stored.read_text(encoding="utf-8"))) == []


def test_notebook_cells_have_names_of_their_own(stored):
    names = [cell["id"] for cell in json.loads(stored.read_text(encoding="utf-8"))["cells"]]
    assert len(set(names)) == len(names)


# --- the guards themselves


def code(text, *, outputs=(), count=7, tags=(), **more):
    metadata = {"execution": {"iopub.execute_input": "2026-01-01"}, "collapsed": False, **more}
    if tags:
        metadata["tags"] = list(tags)
    return {
        "cell_type": "code",
        "id": "a",
        "metadata": metadata,
        "execution_count": count,
        "source": text,
        "outputs": list(outputs),
    }


def notebook(*cells):
    metadata = {
        "kernelspec": {"display_name": "mine", "language": "python", "name": "mine"},
        "language_info": {"name": "python", "version": "3.11.7"},
        "widgets": {"application/vnd.jupyter.widget-state+json": {}},
    }
    return {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 4}


def test_normalising_takes_out_the_run_and_keeps_the_lesson():
    result = {
        "output_type": "execute_result",
        "execution_count": 31,
        "data": {"text/plain": ["2"]},
        "metadata": {},
    }
    printed = {"output_type": "stream", "name": "stdout", "text": "a\nb\n"}
    markdown = {
        "cell_type": "markdown",
        "metadata": {"jupyter": {"source_hidden": True}},
        "source": "# Head\nText",
    }
    before = notebook(
        markdown,
        code("1 + 1", outputs=[result], count=31, tags=["solution"]),
        code("", count=None),
        code("print('a')", outputs=[printed], count=40),
    )
    tool = normaliser()
    after = tool.normalised(before)
    assert after["metadata"] == tool.METADATA
    assert [cell["metadata"] for cell in after["cells"]] == [
        {"jupyter": {"source_hidden": True}},
        {"tags": ["solution"]},
        {},
        {},
    ]
    assert [cell.get("execution_count") for cell in after["cells"]] == [None, 1, None, 2]
    assert after["cells"][1]["outputs"][0]["execution_count"] == 1
    assert after["cells"][3]["outputs"][0]["text"] == ["a\n", "b\n"]
    assert after["cells"][0]["source"] == ["# Head\n", "Text"]
    assert after["cells"][0]["id"] == "cell-000"
    assert tool.normalised(after) == after


def test_the_tool_rewrites_once_and_then_finds_nothing(tmp_path, monkeypatch, capsys):
    tool = normaliser()
    path = tmp_path / "lesson.ipynb"
    path.write_text(json.dumps(notebook(code("1"))))

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["normalise_notebooks.py", *arguments, str(path)])
        return tool.main()

    before = path.read_text()
    assert call("--check") == 1
    assert path.read_text() == before
    assert call() == 0
    assert "normalised" in capsys.readouterr().out
    assert call("--check") == 0
    assert capsys.readouterr().out == ""


ERROR = {"output_type": "error", "ename": "ValueError", "evalue": "", "traceback": []}


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (code("1/0", outputs=[ERROR]), "stores an error"),
        (code("1", count=None), "never run"),
        (code("open('/home/me/a.wav')"), "/home/me/a.wav"),
        (code("1", outputs=[{"output_type": "stream", "name": "stdout", "text": ["in /tmp/x"]}]), "/tmp/x"),
        (
            code("1", outputs=[{"output_type": "stream", "name": "stdout", "text": ["C:\\Users\\me"]}]),
            "Users",
        ),
        (code("1", outputs=[{"output_type": "stream", "name": "stderr", "text": ["oops"]}]), "a warning"),
        (
            code("1", outputs=[{"output_type": "stream", "name": "stdout", "text": ["x" * 1_600_000]}]),
            "1600 kB",
        ),
    ],
)
def test_troubles_are_seen(cell, said):
    (trouble,) = troubles(notebook(cell))
    assert said in trouble


@pytest.mark.parametrize(
    "cell",
    [
        code("1/0", outputs=[ERROR], tags=["raises-exception"]),
        code("# NBVAL_IGNORE_OUTPUT\nplay()", count=None),
        code("play()", count=None, tags=["nbval-ignore-output"]),
        code("", count=None),
        code(
            "1",
            outputs=[{"output_type": "stream", "name": "stdout", "text": ["see https://a.example/home/b"]}],
        ),
    ],
)
def test_what_is_right_is_no_trouble(cell):
    assert troubles(notebook(cell)) == []
