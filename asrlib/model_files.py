"""The file that holds a finished recogniser: settings and weights in one small zip, and nothing that runs.

A model file has two parts, ``config.json`` and ``weights.npz``, without compression and without the time of
day, so that the same recogniser always gives the same bytes. Reading executes nothing: no pickle is opened,
no part may be larger than a limit, the weights must have the checksum that the settings name, and each array
the shape that follows from the settings.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asrlib.errors import ModelFileError

__all__ = ["ModelFile", "check_labels", "pack", "read", "write"]

_FORMAT = "asrlib recogniser"
_VERSION = 1
_LIMIT_BYTES = 50_000_000  # of any part of a model file: the course's networks have well under 1 MB


@dataclass(frozen=True)
class ModelFile:
    """What a model file holds, its container checked and its content not yet used.

    Parameters
    ----------
    name : str
        Of the file, for messages.
    config : dict
        The settings.
    data : bytes
        The weights, a zip of arrays whose checksum is right.

    Lesson: 09
    """

    name: str
    config: dict[str, Any]
    data: bytes

    @property
    def family(self) -> Any:
        """Family of the network that the settings name; None where they name none."""
        model = self.config["model"]
        return model.get("family") if isinstance(model, Mapping) else None

    def arrays(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
        """Read the weights with these names and shapes; refuse any other.

        Parameters
        ----------
        shapes : mapping of str to tuple of int
            As :func:`asrlib.models.weight_shapes` gives them.

        Returns
        -------
        dict of str to float32 array

        Raises
        ------
        ModelFileError
            If other arrays are in it.
        ValueError
            If one of them has another shape or type.
        """
        members = _read_zip(self.data, name=self.name, wanted=[f"{name}.npy" for name in shapes])
        return {name: _read_npy(members[f"{name}.npy"], shape) for name, shape in shapes.items()}

    def setting(self, name: str) -> Any:
        """Return one of the settings, or say that the file lacks it."""
        if name not in self.config:
            raise ModelFileError(f"{self.name} is damaged: its config.json lacks {name}.")
        return self.config[name]

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Turn whatever a crafted file provokes into one kind of error."""
        try:
            yield
        except ModelFileError:
            raise
        except Exception as error:
            raise ModelFileError(f"{self.name} is not usable: {error}") from error


def pack(settings: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> bytes:
    """Put settings and weights into the bytes of a model file.

    Parameters
    ----------
    settings : mapping
        Plain values that JSON can hold; ``features``, ``labels`` and ``model`` among them.
    weights : mapping of str to array
        Written as float32.

    Returns
    -------
    bytes

    Examples
    --------
    >>> pack({"labels": ["no", "yes"]}, {"bias": np.zeros(2)})[:2]
    b'PK'

    Lesson: 09
    """
    arrays = _zip_bytes({f"{name}.npy": _npy_bytes(array) for name, array in weights.items()})
    config = {
        "format": _FORMAT,
        "version": _VERSION,
        **settings,
        "weights_sha256": hashlib.sha256(arrays).hexdigest(),
    }
    text = json.dumps(config, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return _zip_bytes({"config.json": text.encode(), "weights.npz": arrays})


def write(path: str | os.PathLike[str], data: bytes) -> Path:
    """Write bytes to a file; an existing file is replaced only once the new one is whole.

    Parameters
    ----------
    path : path
        Where to write. Its folder must exist.
    data : bytes
        From :func:`pack`.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.

    Lesson: 09
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"The folder {path.parent} does not exist; make it, or choose another.")
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def read(path: str | os.PathLike[str]) -> ModelFile:
    """Open a model file and check its container. Nothing in it is ever executed.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    ModelFile

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFileError
        If it is something else, or damaged; the message says what it seems to be.

    Lesson: 09
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"There is no recogniser {path}; `python -m asrlib train --out FILE` makes one."
        )
    if path.is_dir():
        raise ModelFileError(f"{path} is a folder; name the file in it that Recognizer.save wrote.")
    if path.stat().st_size > 2 * _LIMIT_BYTES:
        raise ModelFileError(f"{path} has {path.stat().st_size:,} bytes, more than any recogniser of asrlib.")
    name = str(path)
    members = _read_zip(path.read_bytes(), name=name, wanted=("config.json", "weights.npz"))
    config = _read_config(members["config.json"], name=name)
    if hashlib.sha256(members["weights.npz"]).hexdigest() != config["weights_sha256"]:
        raise ModelFileError(f"{name} is damaged: its weights do not match their checksum. Copy it again.")
    return ModelFile(name, config, members["weights.npz"])


def check_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Return the words as a tuple, or say why they cannot be the words of a recogniser.

    Examples
    --------
    >>> check_labels(["no", "yes"])
    ('no', 'yes')

    Lesson: 09
    """
    if isinstance(labels, str) or not isinstance(labels, (Sequence, np.ndarray)):
        raise ValueError(f"labels must be a sequence of words, got {labels!r}.")
    if not all(isinstance(label, str) and label for label in labels):
        raise ValueError(f"labels must be words that are not empty, got {list(labels)!r}.")
    if len(set(labels)) != len(labels) or len(labels) < 2:
        raise ValueError(f"labels must be two or more different words, got {list(labels)!r}.")
    return tuple(map(str, labels))


# -- reading what may be damaged, foreign or crafted ----------------------------------------------------

_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    KeyError,
)
"""What Python's zip reader raises on damaged bytes; NotImplementedError is a RuntimeError."""

_SIGNATURES = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"%PDF": "a PDF document",
    b"RIFF": "a WAV recording or another RIFF file",
    b"fLaC": "a FLAC recording",
    b"OggS": "an Ogg recording",
    b"ID3": "an MP3 recording",
    b"\x89HDF": "an HDF5 file, such as weights that Keras saved",
    b"\x93NUMPY": "a NumPy array",
    b"\x80\x02": "a Python pickle, which is never opened here because it can run code",
    b"\x80\x03": "a Python pickle, which is never opened here because it can run code",
    b"\x80\x04": "a Python pickle, which is never opened here because it can run code",
    b"\x80\x05": "a Python pickle, which is never opened here because it can run code",
    b"\x1f\x8b": "a gzip archive",
    b"version https://git-lfs": "a Git LFS pointer whose content was not fetched",
    b"\x1c\x00\x00\x00TFL3": "a LiteRT model",
}


def _npy_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(
        buffer, np.ascontiguousarray(array, dtype="<f4"), version=(1, 0), allow_pickle=False
    )
    return buffer.getvalue()


def _read_npy(data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """Read one array after comparing the shape in its header, so that a lying header reserves no memory."""
    buffer = io.BytesIO(data)
    if np.lib.format.read_magic(buffer) != (1, 0):
        raise ValueError("an array in it has an unknown version.")
    stated, _, dtype = np.lib.format.read_array_header_1_0(buffer)
    if stated != shape or dtype != np.dtype("<f4"):
        raise ValueError(
            f"it holds an array {stated} of {dtype} where its configuration needs {shape} of float32."
        )
    buffer.seek(0)
    return np.lib.format.read_array(buffer, allow_pickle=False)


def _zip_bytes(members: Mapping[str, bytes]) -> bytes:
    """Pack members without compression and without the time of day: the same content gives the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression=zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # else it would record the system that it was written on
            archive.writestr(entry, data)
    return buffer.getvalue()


def _read_zip(data: bytes, *, name: str, wanted: Sequence[str]) -> dict[str, bytes]:
    """Read exactly the wanted members, in memory; refuse other archives, damage and oversize."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = archive.namelist()
            if sorted(found) != sorted(wanted):
                raise ModelFileError(_foreign(name, _describe_zip(found)))
            if sum(archive.getinfo(member).file_size for member in wanted) > _LIMIT_BYTES:
                raise ModelFileError(f"{name} claims to unpack to more than {_LIMIT_BYTES:,} bytes; refused.")
            return {member: _read_member(archive, member, name=name) for member in wanted}
    except ModelFileError:
        raise
    except _DAMAGE as error:
        raise ModelFileError(_describe_damage(data, name=name, error=error)) from error


def _read_member(archive: zipfile.ZipFile, member: str, *, name: str) -> bytes:
    with archive.open(member) as stream:
        data = stream.read(_LIMIT_BYTES + 1)  # whatever size the directory claims
    if len(data) > _LIMIT_BYTES:
        raise ModelFileError(f"{name} unpacks to more than {_LIMIT_BYTES:,} bytes; refused.")
    return data


def _read_config(data: bytes, *, name: str) -> dict[str, Any]:
    try:
        config = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{name} is damaged: its config.json cannot be read ({error}).") from error
    if not isinstance(config, dict) or config.get("format") != _FORMAT:
        raise ModelFileError(_foreign(name, "a zip archive of another program"))
    if config.get("version") != _VERSION:
        raise ModelFileError(
            f"{name} has format version {config.get('version')!r}; this asrlib reads version {_VERSION}. "
            "Use the asrlib that wrote it, or train again."
        )
    missing = [key for key in ("labels", "features", "model", "weights_sha256") if key not in config]
    if missing:
        raise ModelFileError(f"{name} is damaged: its config.json lacks {', '.join(missing)}.")
    return config


def _describe_zip(found: list[str]) -> str:
    if "metadata.json" in found:
        return "a model that Keras saved (.keras); Recognizer.from_keras takes over a loaded one"
    if found and all(member.endswith(".npy") for member in found):
        return "an archive of NumPy arrays (.npz)"
    inside = ", ".join(map(repr, found[:3])) or "nothing"
    return f"a zip archive with {inside}{' …' if len(found) > 3 else ''} in it"


def _describe_damage(data: bytes, *, name: str, error: Exception) -> str:
    if not data:
        return f"{name} is empty (0 bytes). Copy or download it again."
    if data.startswith(b"PK"):
        return (
            f"{name} begins like a recogniser but is damaged or cut short ({error}). "
            "Copy or download it again."
        )
    for signature, what in _SIGNATURES.items():
        if data.startswith(signature):
            return _foreign(name, what)
    try:
        text = data[:200].decode()
    except UnicodeDecodeError:
        return _foreign(name, f"something unknown (it begins with {data[:4].hex(' ')})")
    return _foreign(
        name, f"text that begins {text[:30]!r}" if text.isprintable() or "\n" in text else "something unknown"
    )


def _foreign(name: str, what: str) -> str:
    return (
        f"{name} is not a recogniser of asrlib: it seems to be {what}. Name a file that Recognizer.save or "
        "`python -m asrlib train --out FILE` wrote."
    )
