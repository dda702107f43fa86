"""Another sample rate for a sound that is still coming."""

from __future__ import annotations

import numpy as np

from asrlib import audio
from asrlib.streaming.chunks import check_chunk, check_rate, refuse_finished

__all__ = ["StreamingResampler"]


class StreamingResampler:
    """Bring chunks of any size to another rate: `asrlib.audio.resample` without the end.

    Put together, the chunks are those of the whole recording, sample for sample. Between chunks it holds some
    ten to thirty milliseconds back: a steep filter looks ahead, and this one works in blocks.

    Parameters
    ----------
    source_rate, target_rate : int
        In Hz.

    Raises
    ------
    ValueError
        When a rate is not a whole number of Hz above 0.

    Examples
    --------
    >>> sound = np.random.default_rng(0).uniform(-0.5, 0.5, 48_000).astype(np.float32)
    >>> stream = StreamingResampler(48_000, target_rate=16_000)
    >>> parts = [stream.push(sound[start : start + 4800]) for start in range(0, 48_000, 4800)]
    >>> parts.append(stream.flush())
    >>> whole = audio.resample(sound, source_rate=48_000, target_rate=16_000)
    >>> bool(np.allclose(np.concatenate(parts), whole, atol=1e-6))
    True

    References
    ----------
    The SoX Resampler library, https://sourceforge.net/projects/soxr/

    Lesson: 09
    """

    def __init__(self, source_rate: int, *, target_rate: int = audio.SAMPLE_RATE) -> None:
        self.source_rate, self.target_rate = check_rate(source_rate), check_rate(target_rate)
        self.reset()

    def reset(self) -> None:
        """Forget the stream and begin another.

        Examples
        --------
        >>> stream = StreamingResampler(8_000)
        >>> _ = stream.flush()
        >>> stream.reset()
        >>> stream.push(np.zeros(800, np.float32)).dtype
        dtype('float32')

        Lesson: 09
        """
        self._finished = False
        self._stream = None
        if self.source_rate != self.target_rate:
            import soxr

            self._stream = soxr.ResampleStream(
                self.source_rate, self.target_rate, 1, dtype="float32", quality="HQ"
            )

    def push(self, chunk: np.ndarray) -> np.ndarray:
        """Take a chunk at the source's rate, and give what is certain at the target's.

        Parameters
        ----------
        chunk : ndarray, shape (n_samples,)
            Float, within [-1, 1], any number of samples from 1 on.

        Returns
        -------
        ndarray, shape (n_samples,)
            float32; often longer or shorter than the chunk's share, and empty at first. Between two samples
            at full scale the wave may pass 1 a little.

        Raises
        ------
        AudioError
            When the chunk is empty, not finite, or of the wrong shape, type or range.
        ValueError
            After `flush`.

        Examples
        --------
        >>> StreamingResampler(16_000).push(np.zeros(160, np.float32)).shape
        (160,)

        Lesson: 09
        """
        refuse_finished(self._finished)
        chunk = check_chunk(chunk, sample_rate=None, expected=self.source_rate)
        return chunk if self._stream is None else self._stream.resample_chunk(np.ascontiguousarray(chunk))

    def flush(self) -> np.ndarray:
        """End the stream, and give what was held back.

        Raises
        ------
        ValueError
            After an earlier `flush`.

        Examples
        --------
        >>> StreamingResampler(16_000).flush().shape
        (0,)

        Lesson: 09
        """
        refuse_finished(self._finished)
        self._finished = True
        nothing = np.empty(0, np.float32)
        return nothing if self._stream is None else self._stream.resample_chunk(nothing, last=True)
