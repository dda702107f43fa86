"""The laboratory notebook: what was trained, with which settings, and how well it went."""

from __future__ import annotations

import csv
import json
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asrlib.recognizer import Recognizer
from asrlib.training.config import TrainingConfig
from asrlib.training.files import FileLock, write_whole

if TYPE_CHECKING:
    from asrlib.training.progress import TrainingResult

__all__ = ["Recorder", "Run", "Runs", "flat_settings"]

_RECORD, _MODEL, _LOCK = "run.json", "model.asr", "lock"
_SCALAR, _TENSOR = 1, 2  # how TensorBoard's event files call a curve's point and any other content


@dataclass(frozen=True)
class Run:
    """One training as it was written down.

    Parameters
    ----------
    id : str
        Its number among the runs, such as "003".
    name : str
        What its owner called it; may be empty.
    folder : pathlib.Path
        Where it is kept.
    started : str
        Date and time in UTC, ISO 8601.
    status : {"running", "finished", "stopped", "failed", "abandoned"}
        An abandoned run belonged to a process that is gone.
    config : dict
        The settings, as of :meth:`asrlib.training.TrainingConfig.to_dict`.
    history : dict of str to list of float
        One number for each epoch.
    seconds : float
        Wall time.
    parameters : int
        Weights of the network.
    n_train, n_validation : int
        Clips.
    epoch : int or None
        The epoch (from 1) whose weights the recogniser has; None while there is none.
    waiting : float or None
        Share of the time that steps waited for their batch.
    error : str
        Why a failed run failed.

    Lesson: 06
    """

    id: str
    name: str
    folder: Path
    started: str
    status: str
    config: dict[str, Any]
    history: dict[str, list[float]]
    seconds: float
    parameters: int
    n_train: int
    n_validation: int
    epoch: int | None = None
    waiting: float | None = None
    error: str = ""

    @property
    def accuracy(self) -> float | None:
        """Share right on the validation set: of the weights that were kept, else the best so far."""
        measured = self.history.get("val_accuracy")
        if not measured:
            return None
        return measured[self.epoch - 1] if self.epoch else max(measured)

    @property
    def epochs(self) -> int:
        """Epochs trained."""
        return len(self.history.get("loss", ()))

    def recognizer(self) -> Recognizer:
        """Load the recogniser that this training gave.

        Raises
        ------
        ValueError
            If it gave none, since it is not at its end or failed.
        """
        path = self.folder / _MODEL
        if not path.exists():
            raise ValueError(f"Run {self.id} is {self.status} and has no recogniser; take a finished one.")
        return Recognizer.load(path)

    def train_config(self) -> TrainingConfig:
        """Give the settings as a configuration, to train with again."""
        return TrainingConfig.from_dict(self.config)

    def settings(self) -> dict[str, Any]:
        """Give the settings under dotted names, such as "features.n_mels"."""
        return flat_settings(self.config)

    def __str__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        right = "" if self.accuracy is None else f", {100 * self.accuracy:.1f} % right on validation"
        family = self.config.get("model", {}).get("family", "")
        return f"run {self.id}{name}: {family}, {self.status} after {self.epochs} epochs{right}"


class Runs:
    """All runs in a folder; several notebooks may use it at once.

    Parameters
    ----------
    folder : path
        Made when the first run begins. Each run has a folder of its own in it.

    Examples
    --------
    >>> import tempfile
    >>> runs = Runs(tempfile.mkdtemp())
    >>> len(runs)
    0
    >>> print(runs)
    No runs yet.

    Lesson: 06
    """

    def __init__(self, folder: str | os.PathLike[str] = "runs") -> None:
        self.folder = Path(folder).absolute()  # a notebook may change its working folder later

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __iter__(self) -> Iterator[Run]:
        """Give all runs as they are now, in the order in which they began."""
        for folder in self._folders():
            run = self._read(folder)
            if run is not None:
                yield run

    def __getitem__(self, key: str | int) -> Run:
        """Give a run by its id, or by its index in the order in which they began."""
        runs = list(self)
        if isinstance(key, str):
            for run in runs:
                if run.id == key:
                    return run
            raise KeyError(f"There is no run {key!r} in {self.folder}; there are {[run.id for run in runs]}.")
        return runs[key]

    def __repr__(self) -> str:
        n = len(self)
        return f"Runs({n} run{'' if n == 1 else 's'} in {self.folder.name!r})"

    def __str__(self) -> str:
        return self.table()

    def best(self) -> Run:
        """Give the run whose recogniser was right most often on its validation set.

        Raises
        ------
        ValueError
            If no run has come to an end with a validation.
        """
        best = _best(list(self))
        if best is None:
            raise ValueError(
                f"No run in {self.folder} has a recogniser and a validation yet; train one first."
            )
        return best

    def table(self, *, sort: str = "run", columns: Sequence[str] | None = None) -> str:
        """Draw up a table with one line a run; of the settings those that differ between runs.

        Parameters
        ----------
        sort : str
            Column to sort by. The highest accuracy comes first, of anything else the smallest.
        columns : sequence of str, optional
            The columns wanted, instead of all.

        Returns
        -------
        str

        Raises
        ------
        ValueError
            If there is no such column.

        Lesson: 06
        """
        runs = list(self)
        if not runs:
            return "No runs yet."
        rows = _rows(runs)
        wanted = list(rows[0]) if columns is None else list(columns)
        for name in (sort, *wanted):
            if name not in rows[0]:
                raise ValueError(f"There is no column {name!r}; there are {', '.join(rows[0])}.")
        best = _best(runs)
        order = sorted(range(len(runs)), key=lambda index: _sort_key(rows[index][sort], name=sort))
        lines = [wanted]
        for index in order:
            marked = "*" if best is not None and runs[index].id == best.id else " "
            cells = [_cell(name, rows[index][name]) for name in wanted]
            lines.append([f"{cells[0]}{marked}", *cells[1:]])
        lines[0] = [f"{wanted[0]} ", *wanted[1:]]
        text = _aligned(lines, left=[isinstance(rows[0][name], str) for name in wanted])
        return text if best is None else f"{text}\n* best on its validation set"

    def delete(self, run_id: str) -> None:
        """Delete a run and its recogniser for good.

        Raises
        ------
        KeyError
            If there is no such run.
        ValueError
            If it is running.
        """
        run = self[run_id]
        if run.status == "running":
            raise ValueError(f"Run {run_id} is running; stop it first.")
        doomed = run.folder.with_name(f".deleted-{run.id}-{os.getpid()}")
        run.folder.rename(doomed)  # at once gone for everybody, however long deleting takes
        shutil.rmtree(doomed)

    def to_csv(self, path: str | os.PathLike[str]) -> Path:
        """Write a table with all settings, one line a run, for a spreadsheet."""
        path, runs = Path(path), list(self)
        rows = [
            {
                "run": run.id, "name": run.name, "started": run.started, "status": run.status,
                "accuracy": run.accuracy, "epoch": run.epoch, "epochs": run.epochs,
                "seconds": round(run.seconds, 3), "parameters": run.parameters, "n_train": run.n_train,
                "n_validation": run.n_validation, **run.settings(),
            }
            for run in runs
        ]  # fmt: skip
        names = list(dict.fromkeys(name for row in rows for name in row))
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)
        return path

    def to_tensorboard(self, folder: str | os.PathLike[str]) -> Path:
        """Write the curves and settings of all runs for TensorBoard, a folder of event files for each run.

        Writing needs TensorFlow, not TensorBoard. Where that is installed, look at them with
        ``tensorboard --logdir FOLDER``.

        Lesson: 06
        """
        from asrlib.models import import_keras

        import_keras()  # TensorFlow, quietly
        import tensorflow as tf

        scalar, text = (tf.compat.v1.SummaryMetadata() for _ in range(2))
        scalar.plugin_data.plugin_name, scalar.data_class = "scalars", _SCALAR
        text.plugin_data.plugin_name, text.data_class = "text", _TENSOR
        folder = Path(folder)
        for run in self:
            writer = tf.summary.create_file_writer(str(folder / "-".join(filter(None, [run.id, run.name]))))
            with writer.as_default():
                for name, values in run.history.items():
                    what, of = name.removeprefix("val_"), "validation" if "val_" in name else "training"
                    for epoch, value in enumerate(values, start=1):
                        tf.summary.write(f"{what}/{of}", np.float32(value), step=epoch, metadata=scalar)
                settings = (
                    f"```\n{json.dumps(run.config, indent=1)}\n```"  # as code, in TensorBoard's markdown
                )
                tf.summary.write("settings", tf.constant([settings]), step=0, metadata=text)
            writer.close()
        return folder

    # -- the folders

    def _folders(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return sorted(
            (path for path in self.folder.iterdir() if path.name.isdigit()), key=lambda path: int(path.name)
        )

    def _read(self, folder: Path) -> Run | None:
        """Read a run; None for one that is only just beginning, or being deleted."""
        try:
            text = (folder / _RECORD).read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            run = Run(folder=folder, **json.loads(text))
        except (ValueError, TypeError) as error:
            warnings.warn(f"Left out {folder / _RECORD}, which is damaged ({error}).", stacklevel=3)
            return None
        if run.status == "running" and not FileLock(folder / _LOCK).is_held():
            again = json.loads((folder / _RECORD).read_text(encoding="utf-8"))  # it may just have ended
            run = replace(run, **again) if again["status"] != "running" else replace(run, status="abandoned")
        return run

    def _make_folder(self) -> Path:
        """Make the folder of the next run; the file system sees to it that only one process gets each."""
        self.folder.mkdir(parents=True, exist_ok=True)
        number = max((int(path.name) for path in self._folders()), default=0)
        while True:
            number += 1
            folder = self.folder / f"{number:03}"
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return folder


class Recorder:
    """Writes one run down while it is trained; without runs it does nothing.

    The run's lock is held from the beginning to the end, so that others see whether its process still lives.
    """

    def __init__(
        self,
        runs: Runs | None,
        *,
        run_id: str | None = None,
        name: str | None = None,
        config: Mapping[str, Any],
        **facts: Any,
    ) -> None:
        self._runs, self._again, self._name = runs, run_id, name
        # As it will be read from the file, where tuples are lists.
        self._facts = {"config": json.loads(json.dumps(config)), **facts}
        self._run: Run | None = None
        self._lock: FileLock | None = None

    @property
    def run_id(self) -> str | None:
        """The run's number; None without runs."""
        return None if self._run is None else self._run.id

    def __enter__(self) -> Recorder:
        if self._runs is not None and not self._go_on():
            self._begin()
        return self

    def _begin(self) -> None:
        folder = self._runs._make_folder()
        self._lock = FileLock(folder / _LOCK)
        self._lock.acquire()
        started = datetime.now(UTC).isoformat(timespec="seconds")
        self._write(
            Run(
                id=folder.name,
                name=self._name or "",
                folder=folder,
                started=started,
                status="running",
                history={},
                seconds=0.0,
                **self._facts,
            )
        )

    def _go_on(self) -> bool:
        """Take up an interrupted run of these settings again, if it is still there and nobody has it."""
        if self._again is None:
            return False
        try:
            run = self._runs[self._again]
        except KeyError:
            return False
        lock = FileLock(run.folder / _LOCK)
        if run.config != self._facts["config"] or not lock.acquire():
            return False
        self._lock = lock
        self._write(replace(run, status="running", error="", name=self._name or run.name))
        return True

    def _write(self, run: Run) -> None:
        values = {field.name: getattr(run, field.name) for field in fields(run) if field.name != "folder"}
        write_whole(run.folder / _RECORD, json.dumps(values, indent=1).encode())
        self._run = run

    def update(self, **values: Any) -> None:
        """Write down how far it is."""
        if self._run is not None:
            self._write(replace(self._run, **values))

    def finish(self, result: TrainingResult) -> Run | None:
        """Write down the end, the recogniser included."""
        if self._run is None:
            return None
        result.recognizer.save(self._run.folder / _MODEL)
        self.update(
            status="stopped" if result.stopped else "finished",
            history=result.history,
            seconds=result.seconds,
            epoch=result.epoch,
            waiting=result.waiting,
        )
        return self._run

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: object) -> None:
        if self._run is not None and error is not None:
            interrupted = isinstance(error, KeyboardInterrupt)
            self.update(
                status="stopped" if interrupted else "failed",
                error="" if interrupted else f"{kind.__name__}: {error}",
            )
        if self._lock is not None:
            self._lock.release()


# -- tables --------------------------------------------------------------------------------------------------


def flat_settings(config: Mapping[str, Any], *, prefix: str = "") -> dict[str, Any]:
    """Write nested settings under dotted names; "augmentation" itself says whether there is any.

    Examples
    --------
    >>> flat_settings({"seed": 1, "features": {"n_mels": 20}, "augmentation": None})
    {'seed': 1, 'features.n_mels': 20, 'augmentation': 'off'}
    """
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if name == "augmentation" and not prefix:
            flat[name] = "off" if value is None else "on"
        if isinstance(value, Mapping):
            flat |= flat_settings(value, prefix=f"{prefix}{name}.")
        elif name != "augmentation":
            flat[f"{prefix}{name}"] = value
    return flat


def _best(runs: Sequence[Run]) -> Run | None:
    ended = [
        run
        for run in runs
        if run.status in ("finished", "stopped") and run.epoch and run.accuracy is not None
    ]
    return max(ended, key=lambda run: run.accuracy, default=None)


def _rows(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Give for each run the columns of the table, in order."""
    differing = _differing(runs)
    short = {name: _short_name(name, differing) for name in differing}
    rows = []
    for run in runs:
        row: dict[str, Any] = {"run": run.id}
        if any(run.name for run in runs):
            row["name"] = run.name
        row |= {
            "status": run.status,
            "accuracy": run.accuracy,
            "epochs": run.epochs,
            "parameters": run.parameters,
            "seconds": run.seconds,
        }
        if len({run.n_train for run in runs}) > 1:
            row["clips"] = run.n_train
        settings = run.settings()
        rows.append(row | {short[name]: settings.get(name) for name in differing})
    return rows


def _differing(runs: Sequence[Run]) -> list[str]:
    """Name the settings that differ; sizes of networks only where they differ within a family."""
    values: dict[tuple[str, str], list[Any]] = {}
    for run in runs:
        settings = run.settings()
        family = str(settings.get("model.family"))
        for name, value in settings.items():
            whose = family if name.startswith("model.") and name != "model.family" else ""
            values.setdefault((name, whose), []).append(value)
    differing = (name for (name, _), found in values.items() if any(value != found[0] for value in found))
    return [name for name in dict.fromkeys(differing) if name != "epochs"]  # which is a column anyway


def _short_name(name: str, names: Sequence[str]) -> str:
    """Leave out the prefix of a dotted name where the rest says it alone."""
    if name == "model.family":
        return "model"
    last = name.rsplit(".", 1)[-1]
    taken = {"run", "name", "status", "accuracy", "epochs", "parameters", "seconds", "clips", "model"}
    alone = sum(other.rsplit(".", 1)[-1] == last for other in names) == 1
    return last if alone and last not in taken else name


def _sort_key(value: Any, *, name: str) -> tuple[bool, float, str]:
    """Sort numbers by size and all else as text; what is missing comes last."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return False, -value if name == "accuracy" else value, ""
    return value is None, 0.0, str(value)


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if name == "accuracy":
        return f"{100 * value:.1f} %"
    if name == "seconds":
        return f"{value:.1f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:g}"
    return " × ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _aligned(lines: Sequence[Sequence[str]], *, left: Sequence[bool]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if to_left else cell.rjust(width)
            for cell, width, to_left in zip(line, widths, left, strict=True)
        ).rstrip()
        for line in lines
    )
