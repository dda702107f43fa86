"""Collections of spoken clips: the bundled ones, real recordings to download, and a folder of your own.

Every function here returns a `SpeechDataset`. Its clips are read when they are first heard and stay in
memory. Splits go by speaker, so that a test set never holds a voice that a network was trained on; the one
exception, the official split of `fsdd`, says so.

A folder is a data set when it holds a ``metadata.csv`` with the columns file, label, speaker, group, take,
split and seconds, one line a clip. The bundle lies in ``data/`` beside this package, or in the folder that
the environment variable ``ASRLIB_BUNDLE`` names.
"""

from __future__ import annotations

import csv
import difflib
import functools
import hashlib
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from asrlib import audio
from asrlib._download import NotThere, download, leaves_folder, temporary_folder, unpack
from asrlib.errors import DatasetUnavailable

if TYPE_CHECKING:
    from IPython.display import Audio

__all__ = [
    "Clip",
    "DatasetUnavailable",
    "SpeechDataset",
    "Verification",
    "assert_speaker_disjoint",
    "bundle_folder",
    "digits",
    "from_folder",
    "fsdd",
    "fsdd_folder",
    "listen",
    "recordings_digest",
    "strings",
    "together",
    "verify",
    "words",
]

COLUMNS = ("file", "label", "speaker", "group", "take", "split", "seconds")
SPLITS = ("train", "validation", "test")

FSDD_SOURCES = (
    "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.zip",
    "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/heads/master.zip",
)
FSDD_CLIPS = 3000
FSDD_DIGEST = "1801eae019c063377d98f831d3f93574f259475df7332bb0e3d1b080fb5e6959"

_FSDD_NAME = re.compile(r"(?P<label>\d)_(?P<speaker>[a-z]+)_(?P<take>\d+)\.wav")
_FSDD_CREDIT = (
    "Free Spoken Digit Dataset by Zohar Jackson and contributors, CC BY-SA 4.0, "
    "https://github.com/Jakobovski/free-spoken-digit-dataset\n"
)


# --------------------------------------------------------------------------------------------- the clips


@dataclass(frozen=True, eq=False)
class Clip:
    """One recording with what is known about it.

    Parameters
    ----------
    samples
        float32, shape ``(n_samples,)``, within [-1, 1]; read-only, because the data set keeps it.
    label
        What is said: ``"7"``, ``"5 0 3"`` or ``"yes"``.
    speaker, group
        Who says it, and the kind of voice.
    take
        Which of the speaker's recordings of this label it is.
    split
        ``"train"``, ``"validation"`` or ``"test"``.
    file
        Where it was read from.
    sample_rate
        Rate of the samples in Hz.

    Examples
    --------
    >>> import numpy as np
    >>> Clip(np.zeros(8000, np.float32), "7", "anna", "real", 0, "train", Path("7_anna_0.wav"))
    Clip('7' by anna (real), take 0, train, 0.50 s at 16000 Hz, 7_anna_0.wav)

    Lesson: 00
    """

    samples: np.ndarray
    label: str
    speaker: str
    group: str
    take: int | str
    split: str
    file: Path
    sample_rate: int = audio.SAMPLE_RATE

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / self.sample_rate

    def play(self, *, autoplay: bool = False) -> Audio:
        """Return a player for the notebook, as `asrlib.audio.play` does."""
        return audio.play(self.samples, sample_rate=self.sample_rate, autoplay=autoplay)

    def __repr__(self) -> str:
        return (
            f"Clip({self.label!r} by {self.speaker} ({self.group}), take {self.take}, {self.split}, "
            f"{self.seconds:.2f} s at {self.sample_rate} Hz, {self.file.name})"
        )


@dataclass(frozen=True, eq=False, repr=False)
class SpeechDataset:
    """Labelled recordings, in order, with one entry a clip in every column.

    It behaves like a sequence: ``len(dataset)``, ``dataset[3]`` and iteration give `Clip` objects; a slice,
    an array of positions or a boolean mask gives a smaller `SpeechDataset`. Clips are decoded once and shared
    by all data sets cut from this one.

    Parameters
    ----------
    name
        What it is called in messages.
    files
        One path a clip.
    labels, speakers, groups, splits
        Arrays of text, shape ``(n_clips,)``.
    takes
        Array of whole numbers or text, shape ``(n_clips,)``.
    seconds
        Array of durations in seconds, shape ``(n_clips,)``.
    sample_rate
        Rate in Hz at which clips are given; a file at another rate is resampled.

    Examples
    --------
    >>> numbers = digits()
    >>> numbers.where(label="7", split="train")[0].label
    '7'

    Lesson: 00
    """

    name: str
    files: tuple[Path, ...]
    labels: np.ndarray
    speakers: np.ndarray
    groups: np.ndarray
    takes: np.ndarray
    splits: np.ndarray
    seconds: np.ndarray
    sample_rate: int = audio.SAMPLE_RATE
    _cache: dict[Path, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for column in _ARRAY_FIELDS.values():
            values = np.asarray(getattr(self, column))
            if values.shape != (len(self.files),):
                raise ValueError(
                    f"{self.name}: {column} has the shape {values.shape}. Expected ({len(self.files)},), one "
                    "a file."
                )
            values = values.view()
            values.flags.writeable = False
            object.__setattr__(self, column, values)

    # ------------------------------------------------------------------------------------- as a sequence

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Clip]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> Any:
        """Return the clip at a position, or the data set of a slice, of positions or of a mask."""
        if isinstance(index, (int, np.integer)) and not isinstance(index, bool):
            return self._clip(int(index))
        if isinstance(index, slice):
            return self._take(np.arange(len(self))[index])
        return self._take(_positions(index, length=len(self), name=self.name))

    def _clip(self, index: int) -> Clip:
        samples = self.audio(index)
        return Clip(
            samples=samples,
            label=str(self.labels[index]),
            speaker=str(self.speakers[index]),
            group=str(self.groups[index]),
            take=self.takes[index].item(),
            split=str(self.splits[index]),
            file=self.files[index],
            sample_rate=self.sample_rate,
        )

    def _take(self, positions: np.ndarray, *, name: str | None = None) -> SpeechDataset:
        columns = {column: getattr(self, column)[positions] for column in _ARRAY_FIELDS.values()}
        files = tuple(self.files[i] for i in positions)
        return SpeechDataset(
            name=name or self.name, files=files, sample_rate=self.sample_rate, _cache=self._cache, **columns
        )

    # ----------------------------------------------------------------------------------------- its sound

    def audio(self, index: int) -> np.ndarray:
        """Return the samples of the clip at a position.

        Parameters
        ----------
        index
            Position, negative from the end.

        Returns
        -------
        numpy.ndarray
            float32, shape ``(n_samples,)``, at ``sample_rate``; read-only, kept in memory. A clip whose peak
            passes 1 in resampling is scaled as a whole (`asrlib.audio.AudioWarning`).

        Raises
        ------
        IndexError
            There is no such clip.
        asrlib.errors.AudioError
            The file cannot be read.

        Lesson: 00
        """
        if not -len(self) <= index < len(self):
            raise IndexError(
                f"{self.name} has {len(self)} clips; there is no clip {index}. Expected 0 to {len(self) - 1}."
            )
        file = self.files[index]
        samples = self._cache.get(file)
        if samples is None:
            samples = audio.load(file, sample_rate=self.sample_rate)
            samples.flags.writeable = False
            self._cache[file] = samples
        return samples

    def arrays(self) -> list[np.ndarray]:
        """Return the samples of every clip, in order.

        Returns
        -------
        list of numpy.ndarray
            float32, each of shape ``(n_samples,)``, at ``sample_rate``; read-only, kept in memory. A thousand
            words take about half a second when first read.

        Raises
        ------
        asrlib.errors.AudioError
            A file cannot be read.

        Lesson: 06
        """
        if not all(file in self._cache for file in self.files):
            self._read_all()
        return [self._cache[file] for file in self.files]

    def _read_all(self) -> None:
        # One thread: decoding a word is so short that threads only wait for each other (1.4 s against 2.4 s
        # for 3 600 words on two cores).
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for index in range(len(self)):
                self.audio(index)
        _tell_in_one_line(caught, name=self.name)

    # ------------------------------------------------------------------------------------------- choosing

    def where(self, **conditions: Any) -> SpeechDataset:
        """Return the clips that meet every condition.

        Parameters
        ----------
        **conditions
            ``column=value``, ``column=[values]`` or ``column=function``, where the column is file, label,
            speaker, group, take, split or seconds, and the function gets one value and answers true or false.

        Returns
        -------
        SpeechDataset
            The chosen clips, in the same order.

        Raises
        ------
        ValueError
            There is no such column, or no clip has any of the values.

        Examples
        --------
        >>> digits().where(split="test", label=["3", "8"], seconds=lambda s: s < 0.5)
        SpeechDataset(digits: 28 clips, 10 speakers, 2 labels, 0.2 min; test 28)

        Lesson: 00
        """
        chosen = np.ones(len(self), dtype=bool)
        for column, wanted in conditions.items():
            chosen &= self._matches(column, wanted)
        return self._take(np.flatnonzero(chosen))

    def _matches(self, column: str, wanted: Any) -> np.ndarray:
        values = self._column(column)
        if callable(wanted):
            return np.array([bool(wanted(value)) for value in values.tolist()], dtype=bool)
        alone = isinstance(wanted, (str, os.PathLike)) or not isinstance(wanted, Iterable)
        accepted = [wanted] if alone else list(wanted)
        if column == "file":
            accepted = [str(value) for value in accepted]
        matches = np.array([value in accepted for value in values.tolist()], dtype=bool)
        if len(self) and not matches.any():
            raise ValueError(f"{self.name}: no clip has {column}={wanted!r}. {_present(values, accepted)}")
        return matches

    def _column(self, column: str) -> np.ndarray:
        if column == "file":
            return np.array([file.name for file in self.files], dtype=object)
        if column not in _ARRAY_FIELDS:
            raise ValueError(f"There is no column {column!r}. Expected one of {', '.join(COLUMNS)}.")
        return getattr(self, _ARRAY_FIELDS[column])

    def by_speaker(self) -> dict[str, SpeechDataset]:
        """Return one data set for each speaker, in the order of their names.

        Returns
        -------
        dict of str to SpeechDataset

        Lesson: 07
        """
        return {str(speaker): self.where(speaker=str(speaker)) for speaker in np.unique(self.speakers)}

    def random_split(self, fraction: float, rng: np.random.Generator) -> tuple[SpeechDataset, SpeechDataset]:
        """Split the clips at random, voices on both sides.

        A network judged on the second part has heard its speakers; `split_by_speaker` shows what that hides.

        Parameters
        ----------
        fraction
            Part of the clips for the first data set, between 0 and 1.
        rng
            Source of randomness.

        Returns
        -------
        first, second : SpeechDataset
            Each in the order of this data set.

        Raises
        ------
        ValueError
            The fraction is not between 0 and 1, or leaves one part empty.

        Lesson: 07
        """
        count = _share(fraction, of=len(self), what="clips", name=self.name)
        chosen = np.zeros(len(self), dtype=bool)
        chosen[rng.permutation(len(self))[:count]] = True
        return self._take(np.flatnonzero(chosen)), self._take(np.flatnonzero(~chosen))

    def split_by_speaker(
        self, fraction: float, rng: np.random.Generator
    ) -> tuple[SpeechDataset, SpeechDataset]:
        """Split the speakers at random, group by group, so that no voice is on both sides.

        Parameters
        ----------
        fraction
            Part of the speakers of each group for the first data set, between 0 and 1. A group of one speaker
            goes to the first when the fraction is at least a half.
        rng
            Source of randomness.

        Returns
        -------
        first, second : SpeechDataset
            Each in the order of this data set.

        Raises
        ------
        ValueError
            The fraction is not between 0 and 1, or leaves one part empty.

        Lesson: 07
        """
        _share(fraction, of=len(np.unique(self.speakers)), what="speakers", name=self.name)
        first: set[str] = set()
        for group in np.unique(self.groups):
            # A speaker in several groups is drawn with the first of them.
            speakers = [s for s in np.unique(self.speakers[self.groups == group]).tolist() if s not in first]
            count = int(np.floor(fraction * len(speakers) + 0.5))
            first.update(speakers[i] for i in rng.permutation(len(speakers))[:count])
        chosen = np.isin(self.speakers, sorted(first))
        if chosen.all() or not chosen.any():
            raise ValueError(
                f"{self.name}: fraction={fraction} leaves no speaker on one side. Expected a fraction that "
                f"splits its {len(np.unique(self.speakers))} speakers."
            )
        return self._take(np.flatnonzero(chosen)), self._take(np.flatnonzero(~chosen))

    # ------------------------------------------------------------------------------------------- telling

    def summary(self) -> str:
        """Return a table of the splits: clips, speakers, labels and minutes of each.

        Returns
        -------
        str
            One line a split, and one for all.

        Lesson: 00
        """
        rows = [("split", "clips", "speakers", "labels", "minutes")]
        splits = np.unique(self.splits).tolist()
        splits.sort(key=lambda split: SPLITS.index(split) if split in SPLITS else len(SPLITS))
        masks = [(split, self.splits == split) for split in splits]
        for title, mask in [*masks, ("all", np.ones(len(self), dtype=bool))]:
            counts = (mask.sum(), len(np.unique(self.speakers[mask])), len(np.unique(self.labels[mask])))
            rows.append((title, *map(str, counts), f"{self.seconds[mask].sum() / 60:.1f}"))
        return "\n".join(f"{row[0]:<12}" + "".join(f"{cell:>10}" for cell in row[1:]) for row in rows)

    def __repr__(self) -> str:
        splits = Counter(self.splits.tolist())
        order = [s for s in SPLITS if s in splits] + sorted(set(splits) - set(SPLITS))
        return (
            f"SpeechDataset({self.name}: {_count(len(self), 'clip')}, "
            f"{_count(len(np.unique(self.speakers)), 'speaker')}, "
            f"{_count(len(np.unique(self.labels)), 'label')}, {self.seconds.sum() / 60:.1f} min; "
            + (", ".join(f"{s} {splits[s]}" for s in order) or "empty")
            + ")"
        )


_ARRAY_FIELDS = {
    "label": "labels",
    "speaker": "speakers",
    "group": "groups",
    "take": "takes",
    "split": "splits",
    "seconds": "seconds",
}


def assert_speaker_disjoint(a: SpeechDataset, b: SpeechDataset) -> None:
    """Raise if a speaker is in both data sets.

    Parameters
    ----------
    a, b
        The data sets to compare, such as training and test.

    Raises
    ------
    ValueError
        They share speakers; the message names them.

    Examples
    --------
    >>> train, test = digits("train"), digits("test")
    >>> assert_speaker_disjoint(train, test)

    Lesson: 07
    """
    shared = np.intersect1d(a.speakers, b.speakers).tolist()
    if shared:
        raise ValueError(
            f"{a.name} ({len(a)} clips) and {b.name} ({len(b)} clips) share "
            f"{_count(len(shared), 'speaker')}: {', '.join(shared)}. Expected none; split with "
            ".split_by_speaker."
        )


def together(*parts: SpeechDataset, name: str | None = None) -> SpeechDataset:
    """Put data sets one behind the other, such as the bundled voices and real people, to train on both.

    Parameters
    ----------
    *parts
        Data sets given at the same rate.
    name
        Name of the result; by default those of the parts, joined by "and".

    Returns
    -------
    SpeechDataset
        All clips, in order.

    Raises
    ------
    ValueError
        There is no part, the rates differ, or a recording is in two parts.

    Examples
    --------
    >>> both = together(digits("train"), words("train"))
    >>> len(both) == len(digits("train")) + len(words("train"))
    True

    Lesson: 07
    """
    if not parts:
        raise ValueError("Name at least one data set.")
    if len({part.sample_rate for part in parts}) > 1:
        rates = ", ".join(f"{part.name} at {part.sample_rate} Hz" for part in parts)
        raise ValueError(f"The parts are given at different rates: {rates}. Make them equal.")
    files = tuple(file for part in parts for file in part.files)
    twice = [file.name for file, count in Counter(files).items() if count > 1]
    if twice:
        raise ValueError(
            f"{_count(len(twice), 'recording')} would be there twice: {', '.join(twice[:3])}"
            f"{' …' if len(twice) > 3 else ''}. Leave them out of one of the parts."
        )
    columns = {
        column: np.concatenate([getattr(part, column) for part in parts]) for column in _ARRAY_FIELDS.values()
    }
    return SpeechDataset(
        name=name or " and ".join(part.name for part in parts),
        files=files,
        sample_rate=parts[0].sample_rate,
        _cache=_shared_cache(parts),
        **columns,
    )


def _shared_cache(parts: Sequence[SpeechDataset]) -> dict[Path, np.ndarray]:
    """Keep what was read: no clip is read, and no feature of it is made, a second time."""
    return {path: samples for part in parts for path, samples in part._cache.items()}


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _positions(index: Any, *, length: int, name: str) -> np.ndarray:
    positions = np.asarray(index)
    if positions.dtype == bool and positions.shape == (length,):
        return np.flatnonzero(positions)
    if positions.size == 0 and positions.ndim == 1:
        return np.zeros(0, dtype=int)
    if positions.ndim != 1 or positions.dtype.kind not in "iu":
        raise TypeError(
            f"{name}[{index!r}] came. Expected a position, a slice, a list of positions, or a mask of "
            f"{length} booleans; choose by value with .where(label=...)."
        )
    if ((positions < -length) | (positions >= length)).any():
        raise IndexError(
            f"{name} has {length} clips; the positions reach {positions.min()} to {positions.max()}."
        )
    return positions


def _present(values: np.ndarray, wanted: Sequence[Any]) -> str:
    """Say which values a column holds, nearest first."""
    present = sorted(set(values.tolist()))
    for value in wanted:
        if str(value) in present:
            return f"It holds text: say {str(value)!r}."
        close = difflib.get_close_matches(str(value), [str(p) for p in present], n=1)
        if close:
            return f"Did you mean {close[0]!r}?"
    shown = ", ".join(repr(p) for p in present[:12])
    return f"It holds {shown}{', ...' if len(present) > 12 else ''}."


def _share(fraction: float, *, of: int, what: str, name: str) -> int:
    if (
        isinstance(fraction, bool)
        or not isinstance(fraction, (int, float, np.number))
        or not 0 < fraction < 1
    ):
        raise ValueError(f"fraction={fraction!r} came. Expected a number between 0 and 1, such as 0.8.")
    count = round(fraction * of)
    if not 0 < count < of:
        raise ValueError(
            f"{name}: fraction={fraction} of {of} {what} leaves one part empty. Expected a fraction that "
            "splits them."
        )
    return count


def _tell_in_one_line(caught: list[warnings.WarningMessage], *, name: str) -> None:
    """Pass warnings on, those about scaled clips as one."""
    scaled = [w for w in caught if issubclass(w.category, audio.AudioWarning)]
    for other in caught:
        if other not in scaled:
            warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
    if scaled:
        first = str(scaled[0].message)
        warnings.warn(
            f"{name}: this happened to {len(scaled)} of its clips, the first time so: {first}",
            audio.AudioWarning,
            stacklevel=4,
        )


# -------------------------------------------------------------------------------------------- the bundle


def bundle_folder() -> Path:
    """Return the folder of the bundled recordings.

    Returns
    -------
    pathlib.Path
        The folder that the environment variable ``ASRLIB_BUNDLE`` names, otherwise ``data`` beside this
        package.

    Examples
    --------
    >>> bundle_folder().is_absolute()
    True

    Lesson: 00
    """
    named = os.environ.get("ASRLIB_BUNDLE")
    return Path(named).expanduser().absolute() if named else Path(__file__).absolute().parent.parent / "data"


def digits(
    split: str | None = None, *, groups: str | Iterable[str] | None = None, check_files: bool = False
) -> SpeechDataset:
    """Return the bundled digits: the ten English digits, one a clip, by many synthetic voices.

    Parameters
    ----------
    split
        ``"train"``, ``"validation"`` or ``"test"``; all three when left out. No speaker is in two.
    groups
        One kind of voice or several; all when left out.
    check_files
        Compare every file with SHA256SUMS first.

    Returns
    -------
    SpeechDataset
        Labels ``"0"`` to ``"9"``.

    Raises
    ------
    DatasetUnavailable
        The bundle is missing, lacks files, or was changed.
    ValueError
        There is no such split or group, or metadata.csv is not what it should be.

    Examples
    --------
    >>> test = digits("test")
    >>> test[0].label
    '0'

    Lesson: 00
    """
    return _bundled("digits", split=split, groups=groups, check_files=check_files)


def strings(
    split: str | None = None, *, groups: str | Iterable[str] | None = None, check_files: bool = False
) -> SpeechDataset:
    """Return the bundled digit strings: three to seven digits said in one breath.

    Parameters
    ----------
    split, groups, check_files
        As in `digits`.

    Returns
    -------
    SpeechDataset
        Labels such as ``"5 0 3"``.

    Raises
    ------
    DatasetUnavailable, ValueError
        As in `digits`.

    Examples
    --------
    >>> strings("train")[0].label.split()
    ['0', '1', '6', '4']

    Lesson: 08
    """
    return _bundled("strings", split=split, groups=groups, check_files=check_files)


def words(
    split: str | None = None, *, groups: str | Iterable[str] | None = None, check_files: bool = False
) -> SpeechDataset:
    """Return the bundled command words: yes, no, up, down, left, right, stop, go.

    Parameters
    ----------
    split, groups, check_files
        As in `digits`.

    Returns
    -------
    SpeechDataset
        Labels such as ``"yes"``.

    Raises
    ------
    DatasetUnavailable, ValueError
        As in `digits`.

    Examples
    --------
    >>> words().where(label="yes")
    SpeechDataset(words: 40 clips, 40 speakers, 1 label, 0.4 min; train 24, validation 6, test 10)

    Lesson: 10
    """
    return _bundled("words", split=split, groups=groups, check_files=check_files)


def listen(*, check_files: bool = False) -> SpeechDataset:
    """Return the bundled clips for listening, at 24 000 Hz, so that lesson 1 can take rates away.

    Parameters
    ----------
    check_files
        Compare every file with SHA256SUMS first.

    Returns
    -------
    SpeechDataset
        Its ``sample_rate`` is 24 000.

    Raises
    ------
    DatasetUnavailable, ValueError
        As in `digits`.

    Examples
    --------
    >>> listen()[0].sample_rate
    24000

    Lesson: 01
    """
    return _bundled("listen", split=None, groups=None, check_files=check_files, sample_rate=24_000)


def from_folder(
    folder: str | os.PathLike[str],
    *,
    split: str | None = None,
    groups: str | Iterable[str] | None = None,
    name: str | None = None,
    sample_rate: int = audio.SAMPLE_RATE,
    allow_shared_speakers: bool = False,
) -> SpeechDataset:
    """Read a folder that holds recordings and a metadata.csv.

    Parameters
    ----------
    folder
        Where ``metadata.csv`` lies. Its columns are file (relative to the folder), label, speaker, group,
        take, split and seconds; more are ignored.
    split, groups
        As in `digits`.
    name
        What messages call it; the folder's name when left out.
    sample_rate
        Rate in Hz at which clips are given.
    allow_shared_speakers
        Take a speaker in two splits, as when you teach the machine your own voice.

    Returns
    -------
    SpeechDataset
        The clips in the order of metadata.csv.

    Raises
    ------
    DatasetUnavailable
        The folder, its metadata.csv or a file named there does not exist.
    ValueError
        A column is missing, a value cannot be used, a speaker is in two splits, or there is no such split or
        group.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = audio.write(Path(folder) / "a.wav", np.full(8000, 0.1))
    ...     lines = "file,label,speaker,group,take,split,seconds", "a.wav,yes,me,real,0,train,0.5"
    ...     _ = (Path(folder) / "metadata.csv").write_text("\\n".join(lines))
    ...     from_folder(folder, name="mine")
    SpeechDataset(mine: 1 clip, 1 speaker, 1 label, 0.0 min; train 1)

    Lesson: 10
    """
    folder = Path(folder).expanduser().absolute()
    metadata = folder / "metadata.csv"
    try:
        state = metadata.stat()
    except OSError as error:
        raise DatasetUnavailable(f"{str(metadata)!r} is not there. {_expected_folder(folder)}") from error
    whole = _read_metadata(folder, name or folder.name, sample_rate, state.st_mtime_ns, state.st_size)
    if not allow_shared_speakers:
        _refuse_shared_speakers(whole, folder=folder)
    return _chosen(whole, split=split, groups=groups)


def _bundled(
    part: str,
    *,
    split: str | None,
    groups: str | Iterable[str] | None,
    check_files: bool,
    sample_rate: int = audio.SAMPLE_RATE,
) -> SpeechDataset:
    if check_files:
        _refuse_changed(verify(part=part))
    return from_folder(bundle_folder() / part, split=split, groups=groups, name=part, sample_rate=sample_rate)


def _expected_folder(folder: Path) -> str:
    if folder.parent == bundle_folder():
        return (
            "The bundled recordings come with the project: check out its data folder (git checkout -- data), "
            "or set ASRLIB_BUNDLE to a folder that holds them."
        )
    return f"Expected a folder with metadata.csv, whose columns are {', '.join(COLUMNS)}."


def _chosen(whole: SpeechDataset, *, split: str | None, groups: str | Iterable[str] | None) -> SpeechDataset:
    if split is not None and split not in SPLITS:
        raise ValueError(f"split={split!r} came. Expected one of {', '.join(SPLITS)}, or None for all.")
    conditions = {"split": split, "group": groups}
    chosen = whole.where(**{column: value for column, value in conditions.items() if value is not None})
    return chosen if split is None else chosen._take(np.arange(len(chosen)), name=f"{whole.name} {split}")


@functools.lru_cache(maxsize=16)
def _read_metadata(folder: Path, name: str, sample_rate: int, changed_ns: int, size: int) -> SpeechDataset:
    """Read a folder once for each state of its metadata.csv, so that asking again decodes nothing again."""
    with (folder / "metadata.csv").open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        _refuse_columns(reader.fieldnames, folder=folder)
        rows = [_row(row, line=reader.line_num, folder=folder) for row in reader]
    if not rows:
        raise ValueError(
            f"{str(folder / 'metadata.csv')!r} lists no clip. Expected one line a clip below the header."
        )
    _refuse_missing_files(rows, folder=folder)
    return SpeechDataset(
        name=name,
        files=tuple(folder / row["file"] for row in rows),
        labels=np.array([row["label"] for row in rows]),
        speakers=np.array([row["speaker"] for row in rows]),
        groups=np.array([row["group"] for row in rows]),
        takes=_takes([row["take"] for row in rows]),
        splits=np.array([row["split"] for row in rows]),
        seconds=np.array([row["seconds"] for row in rows], dtype=np.float64),
        sample_rate=sample_rate,
    )


def _refuse_columns(found: Sequence[str] | None, *, folder: Path) -> None:
    missing = [column for column in COLUMNS if column not in (found or ())]
    if missing:
        raise ValueError(
            f"{str(folder / 'metadata.csv')!r} lacks {', '.join(missing)}; it has "
            f"{', '.join(found or ['nothing'])}. Expected the columns {', '.join(COLUMNS)}."
        )


def _row(row: dict[str, str | None], *, line: int, folder: Path) -> dict[str, Any]:
    where = f"{str(folder / 'metadata.csv')!r}, line {line}"
    empty = [column for column in COLUMNS if not row[column]]
    if empty:
        raise ValueError(
            f"{where}: {', '.join(empty)} is empty. Expected a value in each of {', '.join(COLUMNS)}."
        )
    try:
        seconds = float(row["seconds"])
    except ValueError:
        seconds = np.nan
    if not 0 < seconds < np.inf:
        raise ValueError(f"{where}: seconds is {row['seconds']!r}. Expected a number above 0.")
    if row["split"] not in SPLITS:
        raise ValueError(f"{where}: split is {row['split']!r}. Expected one of {', '.join(SPLITS)}.")
    if leaves_folder(row["file"]):
        raise ValueError(f"{where}: file is {row['file']!r}. Expected a path inside {str(folder)!r}.")
    return {**row, "seconds": seconds}


def _takes(values: list[str]) -> np.ndarray:
    return np.array([int(v) for v in values] if all(v.isdecimal() for v in values) else values)


def _refuse_missing_files(rows: list[dict[str, Any]], *, folder: Path) -> None:
    present: set[str] = set()
    for parent in {PurePosixPath(row["file"]).parent for row in rows}:
        if (folder / parent).is_dir():
            present.update((parent / entry.name).as_posix() for entry in (folder / parent).iterdir())
    missing = [row["file"] for row in rows if PurePosixPath(row["file"]).as_posix() not in present]
    if missing:
        raise DatasetUnavailable(
            f"{_count(len(missing), 'file')} that {str(folder / 'metadata.csv')!r} lists cannot be found, "
            f"the first {missing[0]!r}. {_expected_folder(folder)}"
        )


def _refuse_shared_speakers(dataset: SpeechDataset, *, folder: Path) -> None:
    split_of: dict[str, str] = {}
    for speaker, split in zip(dataset.speakers.tolist(), dataset.splits.tolist(), strict=True):
        first = split_of.setdefault(speaker, split)
        if first != split:
            raise ValueError(
                f"{str(folder / 'metadata.csv')!r} puts speaker {speaker!r} in {first} and in {split}. "
                "Expected each speaker in one split, so that a test never holds a voice from training; pass "
                "allow_shared_speakers=True to from_folder where that is meant."
            )


# ----------------------------------------------------------------------------------------------- hashes


@dataclass(frozen=True)
class Verification:
    """What comparing a folder with its SHA256SUMS found.

    Parameters
    ----------
    folder
        The folder compared.
    checked
        Number of files that SHA256SUMS lists.
    missing, changed, unlisted
        Paths relative to the folder: listed but not there, there with another content, there but not listed.

    Examples
    --------
    >>> print(Verification(Path("data"), 10, (), ("digits/a.flac",), ()))
    data: 10 files checked, 1 changed (digits/a.flac)

    Lesson: 00
    """

    folder: Path
    checked: int
    missing: tuple[str, ...]
    changed: tuple[str, ...]
    unlisted: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every listed file is there unchanged and no other is."""
        return not (self.missing or self.changed or self.unlisted)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        parts = [f"{self.folder}: {_count(self.checked, 'file')} checked"]
        for title in ("missing", "changed", "unlisted"):
            names = getattr(self, title)
            if names:
                more = f" and {len(names) - 3} more" if len(names) > 3 else ""
                parts.append(f"{len(names)} {title} ({', '.join(names[:3])}{more})")
        return ", ".join(parts + (["all as listed"] if self.ok else []))


def verify(folder: str | os.PathLike[str] | None = None, *, part: str | None = None) -> Verification:
    """Compare the recordings in a folder with its SHA256SUMS.

    Parameters
    ----------
    folder
        Where ``SHA256SUMS`` lies; the bundle when left out.
    part
        Compare only this subfolder, such as ``"digits"``.

    Returns
    -------
    Verification
        Files missing, changed and unlisted; true when there are none. Unlisted are files beside listed ones
        and below them; hidden files do not count.

    Raises
    ------
    DatasetUnavailable
        There is no SHA256SUMS.
    ValueError
        A line of SHA256SUMS is not a hash and a path inside the folder, or it lists nothing in the part.

    Examples
    --------
    >>> found = verify()
    >>> print(str(found).split(": ")[-1])
    4526 files checked, all as listed

    Lesson: 00
    """
    folder = bundle_folder() if folder is None else Path(folder).expanduser().absolute()
    listed = _listed_hashes(folder)
    if part is not None:
        listed = {name: digest for name, digest in listed.items() if name.split("/")[0] == part}
    if not listed:
        raise ValueError(f"{str(folder / 'SHA256SUMS')!r} lists nothing{f' in {part!r}' if part else ''}.")
    missing = [name for name in listed if not (folder / name).is_file()]
    there = sorted(set(listed) - set(missing))
    changed = [name for name in there if _hash_file(folder / name) != listed[name]]
    return Verification(
        folder=folder,
        checked=len(listed),
        missing=tuple(sorted(missing)),
        changed=tuple(changed),
        unlisted=tuple(sorted(_files_around(folder, listed) - set(listed))),
    )


def _listed_hashes(folder: Path) -> dict[str, str]:
    sums = folder / "SHA256SUMS"
    try:
        lines = sums.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DatasetUnavailable(
            f"{str(sums)!r} is not there. {_expected_folder(folder / 'digits')}"
        ) from error
    listed = {}
    for number, line in enumerate(lines, start=1):
        match = re.fullmatch(r"([0-9a-f]{64})  (.+)", line)
        if not match or leaves_folder(match[2]):
            raise ValueError(
                f"{str(sums)!r}, line {number}: {line[:80]!r} came. Expected a SHA-256 in hexadecimal, two "
                "spaces and a path inside the folder."
            )
        listed[match[2]] = match[1]
    return listed


def _files_around(folder: Path, listed: Iterable[str]) -> set[str]:
    """Files in the subfolders that the list speaks of; what lies beside SHA256SUMS itself is free."""
    tops = {name.split("/")[0] for name in listed if "/" in name}
    return {
        path.relative_to(folder).as_posix()
        for top in tops
        for path in (folder / top).rglob("*")
        if path.is_file() and not any(p.startswith((".", "__")) for p in path.relative_to(folder).parts)
    }


def _hash_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _refuse_changed(verification: Verification) -> None:
    if not verification:
        raise DatasetUnavailable(
            f"{verification}. Restore the recordings as the project has them (git checkout -- data), or "
            "leave check_files out."
        )


# -------------------------------------------------------------------------------- real people: the FSDD


def fsdd(split: str | None = None, *, download: bool = True) -> SpeechDataset:
    """Return the Free Spoken Digit Dataset: 3 000 recordings of the ten digits by six real people.

    Each speaker said each digit 50 times. All are men: jackson and theo with an American accent, nicolas with
    a Belgian French, yweweler and lucas with a German and george with a Greek one. The recordings have 8 000
    Hz and are trimmed by an amplitude threshold; they are given at 16 000 Hz, resampled, so that nothing
    above 4 000 Hz is in them. Resampling
    lifts the peaks of a few loud ones past full scale; they are scaled down as a whole, by at most 3.1 %
    (`asrlib.audio.AudioWarning`).

    They are read from ``$ASRLIB_DATA/fsdd/recordings`` or ``$ASRLIB_DATA/recordings`` when the environment
    variable ``ASRLIB_DATA`` is set and they are there; otherwise from the cache of this machine; otherwise
    they are downloaded into it (about 16 MB, once). Their content is checked in each case.

    Licence: Creative Commons Attribution-ShareAlike 4.0 (CC BY-SA 4.0), by Zohar Jackson and contributors.
    They are no part of this project.

    Parameters
    ----------
    split
        ``"train"`` (takes 5 to 49), ``"test"`` (takes 0 to 4), the data set's official parts, with the same
        six speakers in both; all when left out. For unseen voices use ``.by_speaker()``.
    download
        Fetch them when they are not on this machine.

    Returns
    -------
    SpeechDataset
        Labels ``"0"`` to ``"9"``, group ``"real"``.

    Raises
    ------
    DatasetUnavailable
        They are not on this machine and could not be downloaded, or are not what they should be.
    ValueError
        There is no such split.

    Examples
    --------
    >>> fsdd("test")  # doctest: +SKIP
    SpeechDataset(fsdd test: 300 clips, 6 speakers, 10 labels, 2.2 min; test 300)

    References
    ----------
    https://github.com/Jakobovski/free-spoken-digit-dataset

    Lesson: 07
    """
    if split not in (None, "train", "test"):
        raise ValueError(
            f"split={split!r} came. Expected 'train' or 'test', the official parts, or None for all."
        )
    whole = _read_fsdd(fsdd_folder(download=download))
    return whole if split is None else _chosen(whole, split=split, groups=None)


def fsdd_folder(*, download: bool = True) -> Path:
    """Return the folder of the Free Spoken Digit Dataset's recordings, downloading them when needed.

    Parameters
    ----------
    download
        Fetch them when they are not on this machine.

    Returns
    -------
    pathlib.Path
        The folder with 3 000 WAV files, whose content was checked.

    Raises
    ------
    DatasetUnavailable
        As in `fsdd`.

    Examples
    --------
    >>> fsdd_folder().name  # doctest: +SKIP
    'recordings'

    Lesson: 07
    """
    named = os.environ.get("ASRLIB_DATA")
    root = Path(named).expanduser() if named else None
    for folder in (root / "fsdd" / "recordings", root / "recordings") if root else ():
        if _holds_recordings(folder):
            return _checked_recordings(folder.absolute(), FSDD_DIGEST)
    cache = _fsdd_cache()
    if not _holds_recordings(cache):
        if not download:
            raise DatasetUnavailable(f"The Free Spoken Digit Dataset is not here. {_two_ways_out()}")
        _fetch_recordings(FSDD_SOURCES, into=cache, digest=FSDD_DIGEST)
    return _checked_recordings(cache, FSDD_DIGEST)


def recordings_digest(folder: str | os.PathLike[str]) -> str:
    """Return one digest of all WAV files in a folder, whatever archive brought them.

    Parameters
    ----------
    folder
        The folder with the files.

    Returns
    -------
    str
        SHA-256, in hexadecimal, of the text made of one line ``{sha256 of the file}  {file name}`` a file,
        sorted by file name.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "a.wav").write_bytes(b"x")
    ...     recordings_digest(folder)[:16]
    '8ba2d287cb6ea988'

    Lesson: 07
    """
    files = sorted(Path(folder).glob("*.wav"), key=lambda path: path.name)
    lines = [f"{_hash_file(path)}  {path.name}\n" for path in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@functools.lru_cache(maxsize=4)
def _read_fsdd(folder: Path) -> SpeechDataset:
    """List the recordings, whose names say what they are, by digit, speaker and take."""
    named = [(part, path) for path in folder.glob("*.wav") if (part := _FSDD_NAME.fullmatch(path.name))]
    named.sort(key=lambda pair: (pair[0]["label"], pair[0]["speaker"], int(pair[0]["take"])))
    parts, files = zip(*named, strict=True)
    takes = np.array([int(part["take"]) for part in parts])
    return SpeechDataset(
        name="fsdd",
        files=files,
        labels=np.array([part["label"] for part in parts]),
        speakers=np.array([part["speaker"] for part in parts]),
        groups=np.full(len(files), "real"),
        takes=takes,
        splits=np.where(takes < 5, "test", "train"),
        seconds=np.array([audio.info(path).seconds for path in files]),
    )


def _fsdd_cache() -> Path:
    import pooch

    return Path(pooch.os_cache("asrlib")) / "fsdd" / "recordings"


def _holds_recordings(folder: Path) -> bool:
    return any(_FSDD_NAME.fullmatch(path.name) for path in folder.glob("*.wav"))


@functools.lru_cache(maxsize=8)
def _checked_recordings(folder: Path, digest: str) -> Path:
    """Return the folder if its content is right; checked once in a process."""
    if recordings_digest(folder) != digest:
        count = len(list(folder.glob("*.wav")))
        raise DatasetUnavailable(
            f"{str(folder)!r} holds {_count(count, 'recording')}, not the expected content of {FSDD_CLIPS}. "
            "Remove that folder, or name another in ASRLIB_DATA, and run again."
        )
    return folder


def _two_ways_out() -> str:
    named = os.environ.get("ASRLIB_DATA")
    now = f" (it names {named!r} now, which does not)" if named else ""
    return (
        "Either get online and run this again (about 16 MB are downloaded once), or set the environment "
        f"variable ASRLIB_DATA to a folder that holds fsdd/recordings with its {FSDD_CLIPS} WAV files{now}."
    )


# --------------------------------------------------------------------------------- download and unpack


def _fetch_recordings(sources: Sequence[str], *, into: Path, digest: str) -> None:
    """Download from the first source that gives the right content; what is in the way is an error."""
    print(_FSDD_CREDIT, end="")
    failures = []
    for url in sources:
        try:
            _fetch_from(url, into=into, digest=digest)
        except NotThere as error:  # another source may have it; without a network none has
            failures.append(str(error))
        except OSError as error:
            failures.append(str(error) or type(error).__name__)
            break
        else:
            return
    raise DatasetUnavailable(
        f"The Free Spoken Digit Dataset could not be downloaded ({'; '.join(failures)}). {_two_ways_out()}"
    )


def _fetch_from(url: str, *, into: Path, digest: str) -> None:
    into.parent.mkdir(parents=True, exist_ok=True)
    archive = download(url, folder=into.parent)
    try:
        with temporary_folder(into.parent) as unpacked:
            unpack(archive, into=unpacked, wanted=_is_recording)
            found = recordings_digest(unpacked)
            if found != digest:
                raise NotThere(f"{url}: its recordings have the digest {found[:12]}..., not {digest[:12]}...")
            (unpacked / "SOURCE.txt").write_text(_FSDD_CREDIT, encoding="utf-8")
            _put_in_place(unpacked, into)
    except NotThere:
        archive.unlink()  # a wrong archive must not be taken again; after an interruption a right one may be
        raise
    archive.unlink()


def _is_recording(member: PurePosixPath) -> bool:
    return member.parent.name == "recordings" and bool(_FSDD_NAME.fullmatch(member.name))


def _put_in_place(unpacked: Path, target: Path) -> None:
    """Rename at once, so that the target is whole or absent."""
    try:
        unpacked.rename(target)
    except OSError:
        if not _holds_recordings(target):  # another process was quicker otherwise
            raise
