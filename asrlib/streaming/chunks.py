"""What every stream asks of a chunk before it takes it."""

from __future__ import annotations

from typing import Any

import numpy as np

from asrlib import audio
from asrlib.errors import AudioError

__all__ = ["check_chunk", "check_rate", "positive", "refuse_finished"]


def check_chunk(samples: np.ndarray, *, sample_rate: int | None, expected: int) -> np.ndarray:
    """Return a chunk as float32, or say what is wrong with it.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        Float, within [-1, 1], at least one sample; silence is welcome.
    sample_rate : int or None
        Of the chunk in Hz, if the caller knows it.
    expected : int
        The rate of the stream in Hz.

    Returns
    -------
    ndarray, shape (n_samples,)
        float32.

    Raises
    ------
    AudioError
        When the chunk is empty, of another rate, shape or type, not finite, or outside [-1, 1].

    Examples
    --------
    >>> check_chunk(np.zeros(160), sample_rate=16_000, expected=16_000).dtype
    dtype('float32')

    Lesson: 09
    """
    if sample_rate is not None and sample_rate != expected:
        raise AudioError(
            f"A chunk at {sample_rate!r} Hz came; this stream runs at {expected} Hz. Resample the sound "
            f"before it is cut into chunks, or make the stream for {sample_rate!r} Hz."
        )
    if isinstance(samples, np.ndarray) and samples.ndim == 1 and samples.size == 0:
        raise AudioError(
            "A chunk without a single sample came. Expected at least one; skip empty chunks, and call "
            "flush() where the sound ends."
        )
    return audio.check(samples, name="chunk", allow_silence=True)


def check_rate(sample_rate: int) -> int:
    """Return a sample rate in Hz as an int, or say what is wrong with it.

    Examples
    --------
    >>> check_rate(16_000)
    16000

    Lesson: 09
    """
    whole = isinstance(sample_rate, int | np.integer) and not isinstance(sample_rate, bool)
    if not whole or sample_rate < 1:
        raise ValueError(f"sample_rate={sample_rate!r} came. Expected a whole number of Hz, such as 16000.")
    return int(sample_rate)


def positive(name: str, value: Any, *, unit: str) -> float:
    """Return a finite number above 0, or say what came.

    Examples
    --------
    >>> positive("seconds", 2, unit="seconds")
    2.0

    Lesson: 09
    """
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not 0 < value < np.inf:
        raise ValueError(f"{name}={value!r} came. Expected a number of {unit} above 0.")
    return float(value)


def refuse_finished(finished: bool) -> None:
    """Raise when a stream that flush() ended is given more.

    Examples
    --------
    >>> refuse_finished(False)

    Lesson: 09
    """
    if finished:
        raise ValueError("This stream was ended by flush(). Call reset() to begin another, then push again.")
