"""Store notebooks so that only a change of the lesson changes the file.

    python tools/normalise_notebooks.py notebooks/*.ipynb           rewrite the files
    python tools/normalise_notebooks.py --check notebooks/*.ipynb   say which would change, exit 1 if any

Kept: sources, outputs, tags and what hides a cell. Removed: the kernel's and the machine's particulars, when
each cell ran, the state of widgets. Cells that ran are numbered from 1 in their order.
"""

import argparse
import json
import sys
from pathlib import Path

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
KEPT_IN_CELLS = ("editable", "jupyter", "slideshow", "tags")


def normalised(notebook: dict) -> dict:
    """Return a notebook with the particulars of one run taken out."""
    cells, executed = [], 0
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code" and cell.get("execution_count") is not None:
            executed += 1
        cells.append(_normalised_cell(cell, number=number, executed=executed))
    return {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}


def as_text(notebook: dict) -> str:
    """Return the text that Jupyter itself would store for a notebook."""
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _normalised_cell(cell: dict, *, number: int, executed: int) -> dict:
    """Return one cell; `executed` is its place among the cells that ran."""
    result = {
        "cell_type": cell["cell_type"],
        "id": cell.get("id", f"cell-{number:03d}"),
        "metadata": {key: cell["metadata"][key] for key in KEPT_IN_CELLS if key in cell["metadata"]},
        "source": _lines(cell["source"]),
    }
    if "attachments" in cell:
        result["attachments"] = cell["attachments"]
    if cell["cell_type"] == "code":
        ran = cell.get("execution_count") is not None
        result["execution_count"] = executed if ran else None
        result["outputs"] = [_normalised_output(output, executed) for output in cell["outputs"]]
    return result


def _normalised_output(output: dict, executed: int) -> dict:
    """Return one output under the number of its cell, its text split into lines."""
    result = dict(output)
    if "execution_count" in result:
        result["execution_count"] = executed
    if "text" in result:
        result["text"] = _lines(result["text"])
    return result


def _lines(text: str | list[str]) -> list[str]:
    """Return text as the list of its lines, ends kept, as notebooks store it."""
    return ("".join(text) if isinstance(text, list) else text).splitlines(keepends=True)


def main() -> int:
    """Rewrite or check the named notebooks; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--check", action="store_true", help="change nothing, exit 1 when something would")
    arguments = parser.parse_args()
    changed = 0
    for path in arguments.notebooks:
        before = path.read_text(encoding="utf-8")
        after = as_text(normalised(json.loads(before)))
        if after == before:
            continue
        changed += 1
        print(f"{path}: {'would change' if arguments.check else 'normalised'}")
        if not arguments.check:
            path.write_text(after, encoding="utf-8", newline="\n")
    return 1 if arguments.check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
