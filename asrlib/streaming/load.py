"""Whether a machine keeps up with the sound that comes, and how it says that it does not."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

from asrlib.streaming.chunks import positive

__all__ = ["Load"]


class Load:
    """Book the time that computing takes against the time that the sound lasts.

    Computing for longer than a chunk lasts leaves the next one waiting: the backlog is
    ``max(0, backlog + computing - sound)`` after every chunk, in seconds. When it passes `patience_seconds`,
    the chunk counts as late, and one warning says so.

    Parameters
    ----------
    patience_seconds : float
        Backlog from which on the machine counts as too slow.
    clock : callable
        Gives the time in seconds.

    Attributes
    ----------
    backlog_seconds : float
        By how much computing lies behind the sound.
    compute_seconds : float
        Time spent computing.
    late : int
        Chunks after which the backlog was above `patience_seconds`.

    Examples
    --------
    >>> load = Load(patience_seconds=0.5)
    >>> load.book(computing=0.3, sound=0.1)
    >>> round(load.backlog_seconds, 3), load.late
    (0.2, 0)

    References
    ----------
    .. [1] D. V. Lindley, "The theory of queues with a single server", Mathematical Proceedings of the
       Cambridge Philosophical Society 48 (2), 1952, pp. 277-289 (the recursion of the backlog).
       https://doi.org/10.1017/S0305004100027638

    Lesson: 09
    """

    def __init__(
        self, *, patience_seconds: float = 0.5, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.patience_seconds = positive("patience_seconds", patience_seconds, unit="seconds")
        self.clock = clock
        self.reset()

    def reset(self) -> None:
        """Begin another stream.

        Examples
        --------
        >>> load = Load()
        >>> load.book(computing=0.3, sound=0.1)
        >>> load.reset()
        >>> load.compute_seconds
        0.0

        Lesson: 09
        """
        self.backlog_seconds = self.compute_seconds = 0.0
        self.late = 0
        self._warned = False

    def book(self, *, computing: float, sound: float) -> None:
        """Take up what a chunk cost, and warn once in a stream when that is too much.

        Parameters
        ----------
        computing, sound : float
            Seconds that the machine took, and seconds that the chunk lasts.

        Warns
        -----
        RuntimeWarning
            Once, when the backlog passes `patience_seconds`.

        Examples
        --------
        >>> load = Load()
        >>> load.book(computing=0.002, sound=0.1)
        >>> load.backlog_seconds
        0.0

        Lesson: 09
        """
        self.compute_seconds += computing
        self.backlog_seconds = max(0.0, self.backlog_seconds + computing - sound)
        if self.backlog_seconds <= self.patience_seconds:
            return
        self.late += 1
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"Computing lies {self.backlog_seconds:.2f} s behind the sound: this machine is too slow "
                "for it now. Nothing is dropped, so words come ever later. Close other programs, push longer "
                "chunks, or take a smaller network; `late` goes on counting.",
                RuntimeWarning,
                stacklevel=3,
            )
