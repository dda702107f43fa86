"""The state of a training in one file, so that one that was cut off can go on as if it had not been."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asrlib.training.files import FileLock, write_whole

if TYPE_CHECKING:
    from asrlib.datasets import SpeechDataset

__all__ = ["Checkpoints", "Saved", "fingerprint"]

_VERSION = 1
_FILE = "state.npz"


def fingerprint(dataset: SpeechDataset) -> str:
    """Name the content of a set: labels and samples, in order."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps([dataset.sample_rate, dataset.labels.tolist()]).encode())
    for samples in dataset.arrays():
        digest.update(len(samples).to_bytes(8, "little"))
        digest.update(np.ascontiguousarray(samples))
    return digest.hexdigest()


@dataclass(frozen=True)
class Saved:
    """A state as it was read: values that JSON can hold, and arrays."""

    values: dict[str, Any]
    arrays: dict[str, np.ndarray]

    def under(self, prefix: str) -> dict[str, np.ndarray]:
        """Give the arrays whose names begin with `prefix`, in order, without it."""
        return {
            name.removeprefix(prefix): array for name, array in self.arrays.items() if name.startswith(prefix)
        }


class Checkpoints:
    """A folder that holds the latest state of one training.

    Parameters
    ----------
    folder : path or None
        None keeps nothing.
    every : int, optional
        Batches between two states within an epoch.
    config : dict, optional
        The training's configuration; a state of another one is refused.
    data : list of str, optional
        Fingerprints of its sets; likewise.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] | None,
        *,
        every: int | None = None,
        config: dict[str, Any] | None = None,
        data: list[str] | None = None,
    ) -> None:
        self.enabled = folder is not None
        self.every = every
        self._folder = Path(folder) if self.enabled else None
        self._of = json.loads(json.dumps({"version": _VERSION, "config": config, "data": data}))
        self._lock: FileLock | None = None

    def __enter__(self) -> Checkpoints:
        if self.enabled:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self._folder / "lock")
            if not self._lock.acquire():
                raise ValueError(
                    f"Another training keeps its state in {self._folder} right now; wait for its end, or "
                    "choose another folder."
                )
        return self

    def __exit__(self, *error: object) -> None:
        if self._lock is not None:
            self._lock.release()

    def save(self, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Replace the state. Whatever happens meanwhile, the folder holds the old state or the new one."""
        text = json.dumps({"of": self._of, "values": values})
        buffer = io.BytesIO()
        np.savez(buffer, **arrays, state=np.frombuffer(text.encode(), np.uint8))
        write_whole(self._folder / _FILE, buffer.getbuffer())

    def load(self) -> Saved | None:
        """Read the state; None if there is none yet.

        Raises
        ------
        ValueError
            If it is damaged, or of another training.
        """
        path = self._folder / _FILE
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = dict(archive)
            content = json.loads(arrays.pop("state").tobytes())
            of, values = content["of"], content["values"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} is damaged ({error}); delete it and train from the start.") from error
        self._check(of)
        return Saved(values, arrays)

    def _check(self, of: dict[str, Any]) -> None:
        if of == self._of:
            return
        if of.get("version") != _VERSION:
            raise ValueError(
                f"{self._folder} holds the state of a training in version {of.get('version')!r}; this asrlib "
                f"reads version {_VERSION}. Train from the start."
            )
        if of["data"] != self._of["data"]:
            raise ValueError(
                f"{self._folder} holds the state of a training on other recordings. Pass the sets that it "
                "was started with, or choose another folder."
            )
        names = differences(of["config"], self._of["config"])
        raise ValueError(
            f"{self._folder} holds the state of a training with other settings: {', '.join(names)}. Pass the "
            "configuration that it was started with, or choose another folder."
        )


def differences(one: Any, other: Any, *, prefix: str = "") -> list[str]:
    """Say in which settings two nested dictionaries differ: "name: this instead of that"."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return [] if one == other else [f"{prefix.removesuffix('.')} {one!r} instead of {other!r}"]
    found = []
    for name in {**one, **other}:
        found += differences(one.get(name), other.get(name), prefix=f"{prefix}{name}.")
    return found
