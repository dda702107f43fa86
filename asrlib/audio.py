"""Read, write, resample, check and play recordings.

Every way in (a path, bytes, an open file, an array) ends in the same thing: a float32 array of shape
``(n,)``, mono, within [-1, 1], and a sample rate in Hz. Whatever cannot end there raises an `AudioError` that
says what came, what was expected and what to do.

Two things are done to a sound besides decoding it, and both are told. Several channels become one by their
mean. A clip whose peak passes 1 (resampling and lossy formats can lift the peaks of a loud clip) is scaled
down as a whole, never clipped, and an `AudioWarning` says by how much; only a factor within 0.01 dB of one
goes unannounced.
"""

from __future__ import annotations

import difflib
import io
import math
import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import numpy as np

from asrlib.errors import AudioError

if TYPE_CHECKING:
    import soundfile
    from IPython.display import Audio

# soundfile and soxr load a C library each: imported where they are used, so that this module loads at once.

__all__ = [
    "SAMPLE_RATE",
    "AudioError",
    "AudioInfo",
    "AudioWarning",
    "blocks",
    "check",
    "info",
    "level_db",
    "load",
    "load_native",
    "peak_limit",
    "play",
    "resample",
    "write",
]

SAMPLE_RATE = 16_000
"""The rate of the course in Hz."""

Source: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | np.ndarray"

_LOWEST_RATE, _HIGHEST_RATE = 100, 768_000
_MOST_CHANNELS = 64
_MOST_ARRAY_CHANNELS = 8
_BLOCK_VALUES = 1 << 22  # values decoded at a time: bounds the memory that many channels need
_OPEN_FILE_LIMIT = 1 << 30  # bytes read from a file object, whose length no header check can bound
_UNANNOUNCED_PEAK = 10 ** (0.01 / 20)  # 0.01 dB
_PEAK_OF_A_SOUND = 2.0  # a decoded peak beyond this is a wrong scale, not a loud sound
_MASKED = "A masked array came. Expected plain samples; decide what the gaps are with .filled(0)."
_MP3_SLACK = 2 * 1152  # an MP3 may end up to two frames before the length it states

_FULL_SCALE = {"int16": 2.0**15, "int32": 2.0**31, "uint8": 2.0**7}
_WRITTEN_AS = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS")}

_SIGNATURES = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x1aE\xdf\xa3", "a WebM or Matroska file, which is not among the formats read here"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself (run `git lfs pull`)"),
    (b"\x93NUMPY", "a NumPy file (read it with numpy.load and pass the array)"),
)
_ACCEPTED = (
    "Expected a path, bytes or an open binary file with WAV, FLAC, OGG or MP3 in it, "
    "or a NumPy array of samples"
)


class AudioWarning(UserWarning):
    """Something was done to a sound so that it stays within [-1, 1]; the text says what and how much."""


@dataclass(frozen=True)
class AudioInfo:
    """What the header of a recording says.

    Parameters
    ----------
    seconds
        Duration in seconds.
    sample_rate
        Sample rate in Hz.
    channels
        Number of channels.
    format, subtype
        Container and encoding as libsndfile names them, for example ``"WAV"`` and ``"PCM_16"``.

    Examples
    --------
    >>> AudioInfo(seconds=0.5, sample_rate=8000, channels=1, format="WAV", subtype="PCM_16").seconds
    0.5

    Lesson: 01
    """

    seconds: float
    sample_rate: int
    channels: int
    format: str
    subtype: str


def load(
    source: Source,
    *,
    sample_rate: int = SAMPLE_RATE,
    source_rate: int | None = None,
    max_seconds: float = 600.0,
    allow_silence: bool = False,
) -> np.ndarray:
    """Read a recording as float32 mono at the rate asked for.

    Parameters
    ----------
    source
        A path, bytes, an open binary file (read from where it stands), or an array. An array has the shape
        ``(n_samples,)`` or ``(n_samples, n_channels)``, up to 8 channels, and holds floats in [-1, 1] or
        int16, int32 or uint8 (128 is zero), which are scaled by their full scale.
    sample_rate
        Rate of the result in Hz.
    source_rate
        Rate of an array in Hz; an array without one is taken to be at the course's 16 000 Hz. A file states
        its own rate, and a different one given here is refused.
    max_seconds
        Longest recording taken, in seconds; a header that promises more is refused before anything is
        decoded.
    allow_silence
        Take a recording whose every sample is zero.

    Returns
    -------
    numpy.ndarray
        float32, shape ``(n_samples,)``, within [-1, 1]. Channels are mixed by their mean. The rate is changed
        by soxr (HQ) where it differs. A peak that passes 1 on the way scales the clip down and says so
        (`AudioWarning`).

    Raises
    ------
    AudioError
        The source is missing, empty, cut short, not audio, not finite, silent, out of range, too long, or of
        a wrong type, shape or rate. WAV, FLAC and OGG show where they should end; an MP3 only with a Xing
        header.

    Examples
    --------
    >>> import numpy as np
    >>> stereo = np.array([[8192, 0], [-8192, 0]] * 100, dtype=np.int16)
    >>> samples = load(stereo, source_rate=16_000)
    >>> samples.shape, samples.dtype, float(samples[0])
    ((200,), dtype('float32'), 0.125)

    Lesson: 00, 01
    """
    sample_rate = _rate(sample_rate, name="sample_rate")
    samples, native_rate = load_native(
        source, source_rate=source_rate, max_seconds=max_seconds, allow_silence=allow_silence
    )
    return resample(samples, source_rate=native_rate, target_rate=sample_rate)


def load_native(
    source: Source,
    *,
    source_rate: int | None = None,
    max_seconds: float = 600.0,
    allow_silence: bool = False,
) -> tuple[np.ndarray, int]:
    """Read a recording as float32 mono at the rate it has.

    Parameters
    ----------
    source, source_rate, max_seconds, allow_silence
        As in `load`.

    Returns
    -------
    samples : numpy.ndarray
        float32, shape ``(n_samples,)``, within [-1, 1].
    sample_rate : int
        The rate of the source in Hz.

    Raises
    ------
    AudioError
        As in `load`.

    Examples
    --------
    >>> import numpy as np
    >>> samples, rate = load_native(np.full(80, 0.5), source_rate=8000)
    >>> samples.shape, rate
    ((80,), 8000)

    Lesson: 01
    """
    max_seconds = _positive_seconds(max_seconds)
    if isinstance(source, np.ndarray):
        rate = SAMPLE_RATE if source_rate is None else _rate(source_rate, name="source_rate")
        samples, name = _mono_from_array(source, rate=rate, max_seconds=max_seconds), "The array"
    else:
        encoded = _encoded(source)
        samples, rate = _decode(encoded, max_seconds=max_seconds)
        name = encoded.name
        _refuse_another_rate(source_rate, rate=rate, name=name)
    if not allow_silence:
        _refuse_silence(samples, name=name)
    return samples, rate


def blocks(
    source: Source,
    *,
    seconds: float = 5.0,
    sample_rate: int = SAMPLE_RATE,
    source_rate: int | None = None,
    allow_silence: bool = False,
) -> Iterator[np.ndarray]:
    """Read a recording of any length block by block: what `load` gives, in memory that does not grow.

    Parameters
    ----------
    source
        As in `load`. A path is decoded as it is read; bytes and open files lie in memory whole.
    seconds
        Length of a block; the last one is shorter, and with another rate all differ by a few samples.
    sample_rate, source_rate, allow_silence
        As in `load`. That all of a recording is silent shows at its end, after the blocks have been given.

    Yields
    ------
    numpy.ndarray
        float32, shape ``(n_samples,)``, within [-1, 1]. Where a peak passes 1, everything from that block on
        is scaled down, since the blocks before it have been given away (`AudioWarning`).

    Raises
    ------
    AudioError
        As in `load`, for what shows in a header before the first block, for what is amiss inside when it is
        reached.

    Examples
    --------
    >>> import numpy as np
    >>> [len(block) for block in blocks(np.full(40_000, 0.5, np.float32), seconds=1)]
    [16000, 16000, 8000]

    Lesson: 09
    """
    target_rate = _rate(sample_rate, name="sample_rate")
    if isinstance(source, np.ndarray):
        rate = SAMPLE_RATE if source_rate is None else _rate(source_rate, name="source_rate")
        _refuse_unclear_shape(source)
        name, pieces = "The array", _array_blocks(source, length=_block_length(seconds, rate))
    else:
        encoded = _encoded(source)
        with _opened(encoded) as sound:
            rate = _rate(sound.samplerate, name=f"{encoded.name}: sample rate")
        _refuse_another_rate(source_rate, rate=rate, name=encoded.name)
        name, pieces = encoded.name, _file_blocks(encoded, length=_block_length(seconds, rate))
    return _finished_blocks(
        pieces, name=name, source_rate=rate, target_rate=target_rate, allow_silence=allow_silence
    )


def info(source: str | os.PathLike[str] | bytes | BinaryIO) -> AudioInfo:
    """Read the header of a recording without decoding its sound.

    Parameters
    ----------
    source
        A path, bytes, or an open binary file.

    Returns
    -------
    AudioInfo
        Duration in seconds, rate in Hz, channels, format and encoding.

    Raises
    ------
    AudioError
        The source is missing, empty, or not audio.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write(pathlib.Path(folder) / "tone.flac", np.full(8000, 0.25))
    ...     info(path)
    AudioInfo(seconds=0.5, sample_rate=16000, channels=1, format='FLAC', subtype='PCM_16')

    Lesson: 01
    """
    encoded = _encoded(source)
    with _opened(encoded) as sound:
        frames = _stated_frames(sound)
        return AudioInfo(
            seconds=math.nan if frames is None else frames / sound.samplerate,
            sample_rate=int(sound.samplerate),
            channels=int(sound.channels),
            format=sound.format,
            subtype=sound.subtype,
        )


def write(path: str | os.PathLike[str], samples: np.ndarray, *, sample_rate: int = SAMPLE_RATE) -> Path:
    """Write samples to a WAV or FLAC (16 bits) or OGG (Vorbis) file.

    Values are rounded to the nearest of the 65 536 steps of 16 bits, so that what `load` read from a 16-bit
    file is written back bit for bit. Exactly 1.0 has no step and becomes 32767/32768.

    Parameters
    ----------
    path
        Where to write; the suffix ``.wav``, ``.flac`` or ``.ogg`` chooses the format.
    samples
        float, shape ``(n_samples,)``, within [-1, 1].
    sample_rate
        Rate of the samples in Hz.

    Returns
    -------
    pathlib.Path
        The path written.

    Raises
    ------
    AudioError
        The samples are out of range, not finite, empty, or of a wrong type or shape; the suffix is another
        one; the folder does not exist or cannot be written.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write(pathlib.Path(folder) / "half.wav", np.full(100, 0.5, dtype=np.float32))
    ...     float(load(path)[0])
    0.5

    Lesson: 01
    """
    path = Path(path)
    if path.suffix.lower() not in _WRITTEN_AS:
        raise AudioError(
            f"{str(path)!r} ends in {path.suffix!r}. Expected .wav, .flac or .ogg; name the file with one of "
            "them."
        )
    sample_rate = _rate(sample_rate, name="sample_rate")
    samples = check(samples, allow_silence=True)
    if not path.parent.is_dir():
        raise AudioError(
            f"The folder {str(path.parent)!r} does not exist. Make it first: Path({str(path.parent)!r})"
            ".mkdir(parents=True)."
        )
    encoded = _encode(samples, sample_rate=sample_rate, suffix=path.suffix.lower())
    try:
        path.write_bytes(encoded)
    except OSError as error:
        raise AudioError(
            f"{str(path)!r} cannot be written: {error.strerror or error}. Choose another place."
        ) from error
    return path


def resample(samples: np.ndarray, *, source_rate: int, target_rate: int) -> np.ndarray:
    """Change the sample rate with soxr's high-quality band-limited resampler.

    Parameters
    ----------
    samples
        float, shape ``(n_samples,)``, within [-1, 1].
    source_rate, target_rate
        Rates in Hz, 100 to 768 000.

    Returns
    -------
    numpy.ndarray
        float32, shape ``(round(n_samples * target_rate / source_rate),)``, within [-1, 1]. Between two
        samples at full scale the wave itself may pass 1; the clip is then scaled down as a whole and an
        `AudioWarning` says by how much. Equal rates return the samples as they are.

    Raises
    ------
    AudioError
        The samples fail `check`, a rate is out of range, or the clip is too short to leave one sample.

    Examples
    --------
    >>> import numpy as np
    >>> resample(np.full(8000, 0.5), source_rate=8000, target_rate=16_000).shape
    (16000,)

    References
    ----------
    The SoX Resampler library, https://sourceforge.net/projects/soxr/

    Lesson: 01
    """
    source_rate = _rate(source_rate, name="source_rate")
    target_rate = _rate(target_rate, name="target_rate")
    samples = check(samples, allow_silence=True)
    if source_rate == target_rate:
        return samples
    import soxr

    resampled = soxr.resample(np.ascontiguousarray(samples), source_rate, target_rate, quality="HQ")
    if len(resampled) == 0:
        raise AudioError(
            f"{len(samples)} samples at {source_rate} Hz leave none at {target_rate} Hz. Pass a longer clip."
        )
    return _keep_in_range(resampled, cause=f"resampling from {source_rate} to {target_rate} Hz")


def check(samples: np.ndarray, *, name: str = "samples", allow_silence: bool = False) -> np.ndarray:
    """Return the samples as float32 if they are a usable mono clip, and say what is wrong if not.

    Parameters
    ----------
    samples
        float, shape ``(n_samples,)``, within [-1, 1].
    name
        What the messages call the samples.
    allow_silence
        Take a clip whose every sample is zero.

    Returns
    -------
    numpy.ndarray
        float32, shape ``(n_samples,)``; the same array when it already is float32.

    Raises
    ------
    AudioError
        Not an array of floats, not one-dimensional, empty, NaN or infinite, out of range, or silent.

    Examples
    --------
    >>> import numpy as np
    >>> check(np.array([0.0, 0.5])).dtype
    dtype('float32')
    >>> check(np.array([0.0, 3.0]))
    Traceback (most recent call last):
    ...
    asrlib.errors.AudioError: samples reach 3, outside [-1, 1]. If they are 16-bit integers stored as floats,
    divide by 32768; if they are louder than full scale, use audio.peak_limit.

    Lesson: 00
    """
    if not isinstance(samples, np.ndarray):
        raise AudioError(
            f"{name}: {_describe(samples)} came. Expected a NumPy array; {_as_array_hint(samples)}."
        )
    if samples.dtype.kind != "f":
        raise AudioError(
            f"{name}: an array of {samples.dtype} came. Expected floats in [-1, 1]; "
            "audio.load(array, source_rate=...) scales int16, int32 and uint8."
        )
    if samples.ndim != 1:
        raise AudioError(
            f"{name}: an array of shape {samples.shape} came. Expected one clip of shape (n_samples,); "
            "audio.load mixes channels, and a batch is passed clip by clip."
        )
    peak = _checked_peak(samples, name=name)
    if peak == 0 and not allow_silence:
        _refuse_silence(samples, name=name)
    return samples.astype(np.float32, copy=False)


def level_db(samples: np.ndarray) -> float:
    """Return the root-mean-square level in dB re full scale.

    0 dB is a square wave at full scale; a sine at full scale has -3.01 dB.

    Parameters
    ----------
    samples
        float, shape ``(n_samples,)``; may pass [-1, 1].

    Returns
    -------
    float
        Level in dB, ``-inf`` for silence.

    Raises
    ------
    AudioError
        The samples are empty, not finite, or not a one-dimensional array of floats.

    Examples
    --------
    >>> import numpy as np
    >>> round(level_db(np.sin(2 * np.pi * 100 * np.arange(16_000) / 16_000)), 2)
    -3.01

    Lesson: 02
    """
    samples = _finite_clip(samples)
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return 10 * math.log10(power) if power > 0 else -math.inf


def peak_limit(samples: np.ndarray, *, peak: float = 0.9) -> np.ndarray:
    """Scale a clip down, as a whole, so that its peak does not pass a limit.

    Parameters
    ----------
    samples
        float, shape ``(n_samples,)``; may pass [-1, 1].
    peak
        Largest absolute value of the result, above 0 and at most 1.

    Returns
    -------
    numpy.ndarray
        float32, shape ``(n_samples,)``. A clip below the limit comes back unchanged.

    Raises
    ------
    AudioError
        The samples are empty, not finite, or not a one-dimensional array of floats.
    ValueError
        The limit is not above 0 and at most 1.

    Examples
    --------
    >>> import numpy as np
    >>> peak_limit(np.array([0.5, -2.0])).tolist()
    [0.22499999403953552, -0.8999999761581421]

    Lesson: 02
    """
    if not 0 < peak <= 1:
        raise ValueError(f"peak={peak!r} came. Expected a number above 0 and at most 1, such as 0.9.")
    samples = _finite_clip(samples)
    highest = _peak(samples)
    if highest <= peak:
        return samples.astype(np.float32, copy=False)
    # Dividing first makes the highest value exactly 1, so that rounding cannot lift it past the limit.
    limited = (samples / samples.dtype.type(highest)).astype(np.float32)
    return limited * np.float32(peak)


def play(samples: np.ndarray, *, sample_rate: int = SAMPLE_RATE, autoplay: bool = False) -> Audio:
    """Return a player for the notebook that sounds as loud as the samples are.

    The player never normalises, so that a quiet clip stays quiet. A peak above 0.9 is scaled down to it, and
    a printed line says by how much.

    Parameters
    ----------
    samples
        float, shape ``(n_samples,)``; may pass [-1, 1].
    sample_rate
        Rate of the samples in Hz.
    autoplay
        Start by itself when the cell has run.

    Returns
    -------
    IPython.display.Audio
        Shown when it is the last value of a cell or passed to ``display``.

    Raises
    ------
    AudioError
        The samples are empty, not finite, or not a one-dimensional array of floats, or the rate is out of
        range.

    Examples
    --------
    >>> import numpy as np
    >>> player = play(np.array([0.0, 2.0, -1.0]))
    Played 6.9 dB softer: the peak is 2, and sounds are kept below 0.9.

    Lesson: 00
    """
    from IPython.display import Audio

    sample_rate = _rate(sample_rate, name="sample_rate")
    samples = _finite_clip(samples)
    limited = peak_limit(samples, peak=0.9)
    peak = _peak(samples)
    if peak > 0.9:
        print(
            f"Played {20 * math.log10(peak / 0.9):.1f} dB softer: the peak is {peak:.3g}, "
            "and sounds are kept below 0.9."
        )
    return Audio(limited, rate=sample_rate, normalize=False, autoplay=autoplay)


# ---------------------------------------------------------------------------------------------- arguments


def _rate(value: Any, *, name: str) -> int:
    """Return a sample rate as an int, or say what is wrong with it."""
    whole = (
        isinstance(value, (int, np.integer))
        or (isinstance(value, (float, np.floating)) and float(value).is_integer())
    ) and not isinstance(value, bool)
    if not whole:
        raise AudioError(f"{name}={value!r} came. Expected a whole number of Hz, such as 16000.")
    if not _LOWEST_RATE <= value <= _HIGHEST_RATE:
        raise AudioError(
            f"{name}={value!r} came. Expected {_LOWEST_RATE} to {_HIGHEST_RATE} Hz; check the unit (Hz, not "
            "kHz)."
        )
    return int(value)


def _positive_seconds(value: Any, *, name: str = "max_seconds") -> float:
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not number or not value > 0:
        raise AudioError(f"{name}={value!r} came. Expected a number of seconds above 0, such as 600.")
    return float(value)


def _refuse_another_rate(source_rate: Any, *, rate: int, name: str) -> None:
    if source_rate is not None and _rate(source_rate, name="source_rate") != rate:
        raise AudioError(
            f"{name} states {rate} Hz, but source_rate={source_rate} came. Leave source_rate out for a file; "
            "if its header is wrong, pass the array: audio.load(audio.load_native(file)[0], source_rate=...)."
        )


def _describe(thing: Any) -> str:
    """Name what came, for a message."""
    if thing is None:
        return "None"
    kind = type(thing)
    package = kind.__module__.split(".")[0]
    name = kind.__name__ if package == "builtins" else f"{package}.{kind.__name__}"
    shape = getattr(thing, "shape", None)
    article = "an" if name[0] in "aeiou" else "a"
    return f"{article} {name}" + (f" of shape {tuple(shape)}" if isinstance(shape, tuple) else "")


def _as_array_hint(thing: Any) -> str:
    if thing is None:
        return "the call that made it returned nothing"
    if isinstance(thing, (list, tuple)):
        return "convert it with numpy.asarray(..., dtype=numpy.float32)"
    if hasattr(thing, "samples"):
        return "pass its .samples"
    if hasattr(thing, "to_numpy"):
        return "take the column of samples and its .to_numpy()"
    if hasattr(thing, "numpy"):
        return "convert it with .numpy()"
    if isinstance(thing, (str, os.PathLike, bytes)):
        return "read it with audio.load"
    return "pass the samples themselves"


# ------------------------------------------------------------------------------------------ sample values


def _peak(samples: np.ndarray) -> float:
    """Largest absolute value; NaN when any value is NaN. Makes no temporary array."""
    return max(float(samples.max()), -float(samples.min()))


def _finite_peak(samples: np.ndarray, *, name: str) -> float:
    if samples.size == 0:
        raise AudioError(
            f"{name}: no samples came. Expected at least one; check how the clip was cut or recorded."
        )
    peak = _peak(samples)
    if not math.isfinite(peak):
        bad = ~np.isfinite(samples).reshape(len(samples), -1).all(axis=1)
        raise AudioError(
            f"{name}: {int(bad.sum())} of {len(samples)} samples are NaN or infinite, the first at index "
            f"{int(bad.argmax())}. Expected finite numbers; look for a division by zero or a logarithm of "
            "zero."
        )
    return peak


def _checked_peak(samples: np.ndarray, *, name: str) -> float:
    peak = _finite_peak(samples, name=name)
    if peak > 1:
        raise AudioError(
            f"{name} reach {peak:.6g}, outside [-1, 1]. If they are 16-bit integers stored as floats, divide "
            "by 32768; if they are louder than full scale, use audio.peak_limit."
        )
    return peak


def _finite_clip(samples: np.ndarray) -> np.ndarray:
    """The check of functions that take any amplitude."""
    if not isinstance(samples, np.ndarray) or samples.dtype.kind != "f" or samples.ndim != 1:
        return check(samples)  # raises, with the reason
    _finite_peak(samples, name="samples")
    return samples


def _refuse_silence(samples: np.ndarray, *, name: str) -> None:
    if not samples.any():
        raise AudioError(
            f"{name}: all {len(samples)} samples are zero. Expected a sound; check that the microphone is "
            "not muted, or pass allow_silence=True."
        )


def _keep_in_range(samples: np.ndarray, *, cause: str) -> np.ndarray:
    """Scale a clip whose peak passes 1 down to it, and say so."""
    peak = _peak(samples)
    if peak <= 1:
        return samples
    if peak > _UNANNOUNCED_PEAK:
        warnings.warn(
            f"The peak reached {peak:.3f} in {cause}; the clip is scaled by {1 / peak:.3f} to stay within "
            "[-1, 1].",
            AudioWarning,
            stacklevel=3,
        )
    return samples / samples.dtype.type(peak)


# ---------------------------------------------------------------------------------------------- arrays in


def _mono_from_array(array: np.ndarray, *, rate: int, max_seconds: float) -> np.ndarray:
    if isinstance(array, np.ma.MaskedArray):
        raise AudioError(_MASKED)
    _refuse_unclear_shape(array)
    _refuse_too_long(len(array), rate=rate, max_seconds=max_seconds, name="The array")
    samples = _scaled_to_one(array)
    return samples if samples.ndim == 1 else samples.mean(axis=1, dtype=np.float32)


def _refuse_unclear_shape(array: np.ndarray) -> None:
    expected = "Expected (n_samples,) or (n_samples, n_channels)"
    if array.ndim not in (1, 2):
        raise AudioError(f"An array of shape {array.shape} came. {expected}; pass one clip at a time.")
    if array.size == 0:
        raise AudioError(f"An array of shape {array.shape} came, with no samples in it. {expected}.")
    if array.ndim == 2 and not array.shape[1] <= _MOST_ARRAY_CHANNELS < array.shape[0]:
        raise AudioError(
            f"An array of shape {array.shape} came. {expected} with at most {_MOST_ARRAY_CHANNELS} channels "
            f"and more than {_MOST_ARRAY_CHANNELS} samples. If the channels come first, pass array.T; if it "
            "is a batch of clips, pass them one by one."
        )


def _scaled_to_one(array: np.ndarray) -> np.ndarray:
    """Return float32 in [-1, 1], in the same shape."""
    kind = array.dtype.name
    if kind == "uint8":
        return ((array.astype(np.float32)) - 128) / np.float32(_FULL_SCALE[kind])
    if kind in _FULL_SCALE:
        return (array / _FULL_SCALE[kind]).astype(np.float32)
    if array.dtype.kind == "f":
        _checked_peak(array, name="The samples")
        return array.astype(np.float32, copy=False)
    raise AudioError(
        f"An array of {array.dtype} came. Expected floats in [-1, 1], int16, int32 or uint8, whose full "
        "scale is known; convert it and divide by its full scale."
    )


# ----------------------------------------------------------------------------------------------- files in


@dataclass(frozen=True)
class _Encoded:
    """A recording as bytes somewhere: its name for messages, and what soundfile opens."""

    name: str
    place: str | bytes
    size: int

    def stream(self) -> BinaryIO:
        return Path(self.place).open("rb") if isinstance(self.place, str) else io.BytesIO(self.place)


def _encoded(source: Any) -> _Encoded:
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
        return _encoded_bytes(data, name=f"The clip of {len(data)} bytes")
    if isinstance(source, (str, os.PathLike)):
        return _encoded_path(source)
    if hasattr(source, "read"):
        return _encoded_bytes(_read_open_file(source), name=_open_file_name(source))
    came = _describe(source)
    raise AudioError(f"{came[0].upper()}{came[1:]} came. {_ACCEPTED}; {_as_array_hint(source)}.")


def _encoded_bytes(data: bytes, *, name: str) -> _Encoded:
    if not data:
        raise AudioError(
            f"{name}: nothing is in it. {_ACCEPTED}; a file that was read before is rewound with .seek(0)."
        )
    return _Encoded(name=name, place=data, size=len(data))


def _encoded_path(source: str | os.PathLike[str]) -> _Encoded:
    text = os.fspath(source)
    if isinstance(text, bytes):
        text = os.fsdecode(text)
    if text.startswith(("http://", "https://")):
        raise AudioError(f"The address {text!r} came. {_ACCEPTED}; download it first.")
    path = Path(text)
    name = repr(text)
    try:
        if path.is_dir():
            raise AudioError(f"{name} is a folder. {_ACCEPTED}; name one file in it.")
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            blank = not stream.read(1)
    except FileNotFoundError as error:
        raise AudioError(_not_found(path)) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise AudioError(
            f"{name} cannot be opened: {reason}. Check the path and your permission to read it."
        ) from error
    if blank:
        raise AudioError(f"{name} is empty (0 bytes). {_ACCEPTED}; record or copy it again.")
    return _Encoded(name=name, place=text, size=size)


def _not_found(path: Path) -> str:
    message = f"{str(path)!r} does not exist (looked in {str(path.absolute().parent)!r})."
    try:
        neighbours = [entry.name for entry in path.absolute().parent.iterdir()]
    except OSError:
        return f"{message} Nor does that folder; check the path."
    close = difflib.get_close_matches(path.name, neighbours, n=1)
    return f"{message} Did you mean {close[0]!r}?" if close else f"{message} Check the name and the folder."


def _open_file_name(source: Any) -> str:
    name = getattr(source, "name", None)
    return repr(name) if isinstance(name, str) else "The open file"


def _read_open_file(source: Any) -> bytes:
    name = _open_file_name(source)
    try:
        data = source.read(_OPEN_FILE_LIMIT + 1)
    except (OSError, ValueError, TypeError) as error:
        raise AudioError(f"{name} cannot be read: {error}. Expected a file opened with mode 'rb'.") from error
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise AudioError(f"{name} gives {type(data).__name__}, not bytes. Open it with mode 'rb'.")
    if len(data) > _OPEN_FILE_LIMIT:
        raise AudioError(f"{name} holds more than {_OPEN_FILE_LIMIT >> 20} MiB. Pass its path instead.")
    return bytes(data)


@contextmanager
def _opened(encoded: _Encoded) -> Iterator[soundfile.SoundFile]:
    """Open with libsndfile; its errors become ours, in opening and in reading."""
    import soundfile

    place = encoded.place if isinstance(encoded.place, str) else io.BytesIO(encoded.place)
    try:
        sound = soundfile.SoundFile(place)
    except (soundfile.SoundFileError, TypeError) as error:  # TypeError: a name that ends in .raw
        raise AudioError(_not_audio(encoded)) from error
    # After each read soundfile seeks to where it is, and after a seek an MP3 decoder has forgotten what the
    # next frame builds on: blocks would begin with silence. All reading here goes straight on.
    sound.seekable = lambda: False
    with sound:
        try:
            yield sound
        except soundfile.SoundFileError as error:
            raise AudioError(_not_audio(encoded)) from error


def _not_audio(encoded: _Encoded) -> str:
    with encoded.stream() as stream:
        head = stream.read(4096)
    audio_format = _audio_format(head)
    if audio_format:
        return (
            f"{encoded.name} begins like {audio_format} but is damaged or cut short ({encoded.size} bytes). "
            "Record, copy or download it again."
        )
    return (
        f"{encoded.name} is not audio: it is {_looks_like(head)}. {_ACCEPTED}; convert it, for example with "
        "ffmpeg."
    )


def _audio_format(head: bytes) -> str | None:
    if head[:4] in (b"RIFF", b"RIFX", b"RF64") and (len(head) < 12 or head[8:12] == b"WAVE"):
        return "WAV"
    if head[:4] in (b"fLaC", b"OggS"):
        return "FLAC" if head[:1] == b"f" else "OGG"
    if head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2):
        return "MP3"
    return None


def _looks_like(head: bytes) -> str:
    for signature, what in _SIGNATURES:
        if head.startswith(signature):
            return what
    if head[4:8] == b"ftyp":
        return "an MP4 or M4A file, which is not among the formats read here"
    if b"\0" in head:
        return "data of an unknown kind"
    try:
        text = head[:200].decode()
    except UnicodeDecodeError as error:
        if error.start < 190:
            return "data of an unknown kind"
        text = head[: error.start].decode()
    return f"text that begins {text[:30]!r}"


def _stated_frames(sound: soundfile.SoundFile) -> int | None:
    """Frames that the header promises, None when it does not know (a stream)."""
    return int(sound.frames) if 0 <= sound.frames < 1 << 60 else None


def _decode(encoded: _Encoded, *, max_seconds: float) -> tuple[np.ndarray, int]:
    """Decode to mono float32 within [-1, 1] and the rate of the file."""
    with _opened(encoded) as sound:
        rate = _rate(sound.samplerate, name=f"{encoded.name}: sample rate")
        _refuse_many_channels(sound, encoded)
        frames = _stated_frames(sound)
        _refuse_too_long(frames or 0, rate=rate, max_seconds=max_seconds, name=encoded.name)
        _refuse_cut_short(encoded)
        samples = _read_mono(sound, encoded, most=max_seconds * rate)
        _refuse_too_long(len(samples), rate=rate, max_seconds=max_seconds, name=encoded.name)
        _refuse_missing_frames(len(samples), frames, encoded=encoded, file_format=sound.format)
    _refuse_a_wrong_scale(samples, encoded)
    return _keep_in_range(samples, cause=f"decoding {encoded.name}"), rate


def _read_mono(sound: soundfile.SoundFile, encoded: _Encoded, *, most: float) -> np.ndarray:
    """Read block by block and mix each, so that memory stays bounded whatever the header says."""
    block_frames = max(1, _BLOCK_VALUES // sound.channels)
    pieces, total = [], 0
    while total <= most:
        block = sound.read(block_frames, dtype="float32", always_2d=True)
        if len(block):
            pieces.append(block[:, 0] if sound.channels == 1 else block.mean(axis=1))
            total += len(block)
        if len(block) < block_frames:
            break
    _refuse_no_sound(total, sound, encoded)
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def _refuse_many_channels(sound: soundfile.SoundFile, encoded: _Encoded) -> None:
    if sound.channels > _MOST_CHANNELS:
        raise AudioError(f"{encoded.name} has {sound.channels} channels. Expected at most {_MOST_CHANNELS}.")


def _refuse_no_sound(total: int, sound: soundfile.SoundFile, encoded: _Encoded) -> None:
    if not total:
        raise AudioError(
            f"{encoded.name} is a {sound.format} file without any sound in it ({encoded.size} bytes). It is "
            "empty or cut short; record, copy or download it again."
        )


def _refuse_a_wrong_scale(samples: np.ndarray, encoded: _Encoded) -> None:
    if _finite_peak(samples, name=encoded.name) > _PEAK_OF_A_SOUND:
        raise AudioError(
            f"{encoded.name} holds values up to {_peak(samples):.6g}. Expected [-1, 1]; if it was written "
            "from 16-bit integers, write it again after dividing by 32768."
        )


def _refuse_too_long(frames: int, *, rate: int, max_seconds: float, name: str) -> None:
    if frames > max_seconds * rate:
        raise AudioError(
            f"{name} lasts {frames / rate:.1f} s, more than max_seconds={max_seconds:g}. Cut it, or pass a "
            "larger max_seconds."
        )


def _refuse_missing_frames(got: int, stated: int | None, *, encoded: _Encoded, file_format: str) -> None:
    slack = _MP3_SLACK if file_format.startswith("MP3") else 0
    if stated is not None and got + slack < stated:
        raise AudioError(
            f"{encoded.name} is cut short: its header promises {stated} samples, {got} are there. Record, "
            "copy or download it again."
        )


def _refuse_cut_short(encoded: _Encoded) -> None:
    """Find the cuts that libsndfile forgives: a WAV or OGG file that ends within its last chunk or page."""
    with encoded.stream() as stream:
        head = stream.read(12)
        missing = 0
        if head[:4] == b"RIFF" and head[8:] == b"WAVE":
            missing = _missing_wav_bytes(stream, encoded.size)
        elif head[:4] == b"OggS":
            missing = _missing_ogg_bytes(stream, encoded.size)
    if missing > 0:
        raise AudioError(
            f"{encoded.name} is cut short: {encoded.size} bytes are there, and its headers promise {missing} "
            "more. Record, copy or download it again."
        )


def _missing_wav_bytes(stream: BinaryIO, size: int) -> int:
    position = 12
    while position + 8 <= size:
        stream.seek(position)
        kind, length = struct.unpack("<4sI", stream.read(8))
        if kind == b"data":
            # Programs that write to a pipe cannot know the length and put a huge one.
            return 0 if length >= 0x7FFFF000 else position + 8 + length - size
        position += 8 + length + length % 2
    return 0


def _missing_ogg_bytes(stream: BinaryIO, size: int) -> int:
    longest_page = 27 + 255 + 255 * 255
    start = max(0, size - longest_page)
    stream.seek(start)
    tail = stream.read(longest_page)
    page = tail.rfind(b"OggS")
    if page < 0 or len(tail) < page + 27:
        return 1
    segments = tail[page + 27 : page + 27 + tail[page + 26]]
    return start + page + 27 + tail[page + 26] + sum(segments) - size


# ---------------------------------------------------------------------------------------- block by block


def _block_length(seconds: float, rate: int) -> int:
    return max(1, round(_positive_seconds(seconds, name="seconds") * rate))


def _array_blocks(array: np.ndarray, *, length: int) -> Iterator[np.ndarray]:
    if isinstance(array, np.ma.MaskedArray):
        raise AudioError(_MASKED)
    for start in range(0, len(array), length):
        samples = _scaled_to_one(array[start : start + length])
        yield samples if samples.ndim == 1 else samples.mean(axis=1, dtype=np.float32)


def _file_blocks(encoded: _Encoded, *, length: int) -> Iterator[np.ndarray]:
    """Decode to mono float32, one block after another, and find at the end whether all was there."""
    _refuse_cut_short(encoded)
    with _opened(encoded) as sound:
        _refuse_many_channels(sound, encoded)
        length = min(length, max(1, _BLOCK_VALUES // sound.channels))
        total = 0
        while len(block := sound.read(length, dtype="float32", always_2d=True)):
            samples = block[:, 0] if sound.channels == 1 else block.mean(axis=1)
            _refuse_a_wrong_scale(samples, encoded)
            total += len(samples)
            yield samples
        _refuse_no_sound(total, sound, encoded)
        _refuse_missing_frames(total, _stated_frames(sound), encoded=encoded, file_format=sound.format)


def _finished_blocks(
    pieces: Iterator[np.ndarray], *, name: str, source_rate: int, target_rate: int, allow_silence: bool
) -> Iterator[np.ndarray]:
    """Bring blocks to another rate, keep them within [-1, 1], and find out whether all of them are silent."""
    silent, total, gain = True, 0, 1.0
    for samples in _resampled_blocks(pieces, source_rate=source_rate, target_rate=target_rate):
        highest = _peak(samples)
        silent = silent and highest == 0
        if highest * gain > 1:
            if highest * gain > _UNANNOUNCED_PEAK:
                warnings.warn(
                    f"{name}: the peak reached {highest:.3f} after {total / target_rate:.1f} s; from there "
                    f"on the sound is scaled by {1 / highest:.3f} to stay within [-1, 1].",
                    AudioWarning,
                    stacklevel=2,
                )
            gain = 1 / highest
        total += len(samples)
        yield samples if gain == 1 else np.clip(samples * np.float32(gain), -1, 1)  # 1 + a rounding error
    if silent and not allow_silence:
        _refuse_silence(np.broadcast_to(np.float32(0), total), name=name)


def _resampled_blocks(
    pieces: Iterator[np.ndarray], *, source_rate: int, target_rate: int
) -> Iterator[np.ndarray]:
    if source_rate == target_rate:
        yield from pieces
        return
    import soxr

    stream = soxr.ResampleStream(source_rate, target_rate, 1, dtype="float32", quality="HQ")
    for piece in pieces:
        ready = stream.resample_chunk(np.ascontiguousarray(piece))
        if len(ready):
            yield ready
    last = stream.resample_chunk(np.empty(0, np.float32), last=True)
    if len(last):
        yield last


# ---------------------------------------------------------------------------------------------- files out


def _encode(samples: np.ndarray, *, sample_rate: int, suffix: str) -> bytes:
    import soundfile

    file_format, subtype = _WRITTEN_AS[suffix]
    if subtype == "PCM_16":  # our own rounding, the inverse of reading; libsndfile scales by 32767
        samples = np.minimum(np.rint(samples * 32768.0), 32767).astype(np.int16)
    buffer = io.BytesIO()
    try:
        with soundfile.SoundFile(
            buffer, "w", samplerate=sample_rate, channels=1, format=file_format, subtype=subtype
        ) as sound:
            for start in range(
                0, len(samples), 1 << 14
            ):  # libsndfile's Vorbis encoder overflows on long blocks
                sound.write(samples[start : start + (1 << 14)])
    except soundfile.SoundFileError as error:
        raise AudioError(
            f"{file_format} cannot be written at {sample_rate} Hz: {error}. Choose another format or "
            "resample first."
        ) from error
    return buffer.getvalue()
