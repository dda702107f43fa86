"""A ring buffer: the newest seconds of a stream, in memory that never grows."""

from __future__ import annotations

import threading
import warnings

import numpy as np

from asrlib import audio
from asrlib.streaming.chunks import check_chunk, check_rate, positive

__all__ = ["RingBuffer"]

_OVERRUNS = ("raise", "count")


class RingBuffer:
    """Hold samples between one who writes and one who reads, in a fixed amount of memory.

    The samples lie on a ring: behind the last place comes the first again. Nothing is ever moved, and nothing
    is lost in silence. When the ring is full, what happens is the caller's choice: an error before anything
    is written, or the oldest samples make room, are counted in `lost`, and one warning says so.

    Times are seconds since the first sample of the stream; they run on when samples are lost. One thread may
    write while another reads.

    Parameters
    ----------
    seconds : float
        How much sound the ring holds.
    sample_rate : int
        Samples per second.
    overrun : {"raise", "count"}
        What happens when a chunk does not fit: `BufferError`, or the oldest samples are dropped and counted.

    Raises
    ------
    ValueError
        When a setting does not fit.

    Examples
    --------
    >>> ring = RingBuffer(0.5, sample_rate=8)
    >>> ring.write(np.array([0.1, 0.2, 0.3]))
    >>> ring.read(0.25).tolist() == [np.float32(0.1), np.float32(0.2)]
    True
    >>> ring.start, ring.stop, len(ring)
    (0.25, 0.375, 1)

    References
    ----------
    .. [1] D. E. Knuth, "The Art of Computer Programming", volume 1, 3rd edition, 1997, section 2.2.2 (queues
       in circular memory).

    Lesson: 09
    """

    def __init__(
        self, seconds: float, *, sample_rate: int = audio.SAMPLE_RATE, overrun: str = "raise"
    ) -> None:
        self.sample_rate = check_rate(sample_rate)
        if overrun not in _OVERRUNS:
            raise ValueError(f"overrun={overrun!r} came. Expected one of {', '.join(_OVERRUNS)}.")
        self.overrun = overrun
        self.capacity = round(positive("seconds", seconds, unit="seconds") * self.sample_rate)
        if self.capacity < 1:
            raise ValueError(
                f"seconds={seconds!r} came, which at {self.sample_rate} Hz holds no sample. Take "
                "more seconds."
            )
        self._places = np.zeros(self.capacity, np.float32)
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Empty the ring and start counting time from 0 again.

        Examples
        --------
        >>> ring = RingBuffer(1)
        >>> ring.write(np.zeros(100, np.float32))
        >>> ring.reset()
        >>> len(ring), ring.stop
        (0, 0.0)

        Lesson: 09
        """
        with self._lock:
            self._first = self._end = 0  # samples since the start of the stream
            self._lost = 0
            self._warned = False

    def __len__(self) -> int:
        """Count the samples that can be read."""
        with self._lock:
            return self._end - self._first

    def __repr__(self) -> str:
        return (
            f"RingBuffer({self.start:.3f} to {self.stop:.3f} s, {len(self):,} of {self.capacity:,} samples "
            f"at {self.sample_rate} Hz, {self.lost:,} lost)"
        )

    @property
    def start(self) -> float:
        """Time of the oldest sample in the ring, in seconds since the stream began."""
        return self._first / self.sample_rate

    @property
    def stop(self) -> float:
        """Time behind the newest sample, in seconds since the stream began."""
        return self._end / self.sample_rate

    @property
    def lost(self) -> int:
        """Samples that were overwritten before anybody read them."""
        return self._lost

    def write(self, chunk: np.ndarray, *, sample_rate: int | None = None) -> None:
        """Put a chunk behind the newest sample.

        Parameters
        ----------
        chunk : ndarray, shape (n_samples,)
            Float, within [-1, 1].
        sample_rate : int, optional
            Of the chunk in Hz; when given it must be that of the ring.

        Raises
        ------
        AudioError
            When the chunk is empty, not finite, or of the wrong shape, type, range or rate.
        BufferError
            When it does not fit and ``overrun="raise"``; the ring is then as it was.

        Examples
        --------
        >>> ring = RingBuffer(0.01)
        >>> ring.write(np.zeros(200, np.float32))
        Traceback (most recent call last):
        ...
        BufferError: 200 samples came, but the ring of 160 holds 0 unread ones and has room for 160. ...

        Lesson: 09
        """
        chunk = check_chunk(chunk, sample_rate=sample_rate, expected=self.sample_rate)
        with self._lock:
            excess = self._end - self._first + len(chunk) - self.capacity
            if excess > 0:
                self._make_room(excess, len(chunk))
            newest = chunk[-self.capacity :]
            self._end += len(chunk)
            places = np.arange(self._end - len(newest), self._end) % self.capacity
            self._places[places] = newest

    def read(self, seconds: float | None = None) -> np.ndarray:
        """Take the oldest samples out of the ring.

        Parameters
        ----------
        seconds : float, optional
            How much; all that is there when left out.

        Returns
        -------
        ndarray, shape (n_samples,)
            A copy, float32; empty when the ring is empty and no length was asked for.

        Raises
        ------
        BufferError
            When the ring holds less than was asked for; nothing is taken out.
        ValueError
            When `seconds` is not a number from 0 on.

        Examples
        --------
        >>> ring = RingBuffer(1)
        >>> ring.write(np.zeros(320, np.float32))
        >>> len(ring.read(0.01)), len(ring.read())
        (160, 160)

        Lesson: 09
        """
        with self._lock:
            held = self._end - self._first
            wanted = held if seconds is None else self._samples("seconds", seconds)
            if wanted > held:
                raise BufferError(
                    f"{seconds} s were asked for, {wanted} samples; the ring holds {held}. Wait for more, or "
                    "call read() for all there is."
                )
            self._first += wanted
            return self._copy(self._first - wanted, self._first)

    def between(self, start: float, stop: float) -> np.ndarray:
        """Copy a part of the stream without taking it out.

        Parameters
        ----------
        start, stop : float
            In seconds since the stream began.

        Returns
        -------
        ndarray, shape (n_samples,)
            A copy, float32.

        Raises
        ------
        BufferError
            When a part of it is no longer in the ring, or not yet.
        ValueError
            When a time is not a number from 0 on, or `stop` comes before `start`.

        Examples
        --------
        >>> ring = RingBuffer(1)
        >>> ring.write(np.linspace(0, 0.5, 1600))
        >>> len(ring.between(0.05, 0.08)), len(ring)
        (480, 1600)

        Lesson: 09
        """
        first, end = self._samples("start", start), self._samples("stop", stop)
        if end < first:
            raise ValueError(f"start={start} and stop={stop} came. Expected the earlier time first.")
        with self._lock:
            if first < self._first or end > self._end:
                raise BufferError(
                    f"{start:g} to {stop:g} s were asked for; the ring holds {self.start:g} to {self.stop:g} "
                    "s. Ask sooner or later, or make the ring longer."
                )
            return self._copy(first, end)

    def forget(self, before: float) -> None:
        """Give up what lies before a time: it was heard, so it does not count as lost.

        Parameters
        ----------
        before : float
            In seconds since the stream began. A time before `start` changes nothing.

        Raises
        ------
        BufferError
            When the time has not come yet.
        ValueError
            When it is not a number from 0 on.

        Examples
        --------
        >>> ring = RingBuffer(1)
        >>> ring.write(np.zeros(1600, np.float32))
        >>> ring.forget(0.06)
        >>> ring.start
        0.06

        Lesson: 09
        """
        first = self._samples("before", before)
        with self._lock:
            if first > self._end:
                raise BufferError(f"before={before:g} s came; the stream has only reached {self.stop:g} s.")
            self._first = max(self._first, first)

    def _make_room(self, excess: int, arriving: int) -> None:
        held = self._end - self._first
        if self.overrun == "raise":
            raise BufferError(
                f"{arriving} samples came, but the ring of {self.capacity} holds {held} unread ones and has "
                f"room for {self.capacity - held}. Read more often, make the ring longer, or choose "
                "overrun='count' to let go of the oldest."
            )
        self._lost += excess
        self._first += excess
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"The ring buffer is full: {excess} samples ({excess / self.sample_rate:.3f} s) were "
                "overwritten before they were read. Read more often or make it longer; `lost` goes on "
                "counting.",
                RuntimeWarning,
                stacklevel=3,
            )

    def _samples(self, name: str, seconds: float) -> int:
        number = isinstance(seconds, int | float | np.number) and not isinstance(seconds, bool)
        if not number or not 0 <= seconds < np.inf:
            raise ValueError(f"{name}={seconds!r} came. Expected a number of seconds from 0 on.")
        return round(seconds * self.sample_rate)

    def _copy(self, first: int, end: int) -> np.ndarray:
        return self._places[np.arange(first, end) % self.capacity]
