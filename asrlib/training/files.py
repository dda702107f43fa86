"""Files that several processes may use at once: written whole or not at all, and locked while in use."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

__all__ = ["FileLock", "write_whole"]

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

_PATIENCE_SECONDS = 0.2  # who only asks whether a lock is held, or reads a file, does so for a moment


def write_whole(path: Path, data: bytes | memoryview) -> None:
    """Replace a file: whatever happens meanwhile, it has its old content or the new one."""
    partial = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # before the name points to it, in case the power fails
        until = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                partial.replace(path)
                return
            except PermissionError:  # Windows, while somebody reads it
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)
    finally:
        partial.unlink(missing_ok=True)


class FileLock:
    """An exclusive lock on a file; the operating system takes it back when its holder dies.

    Parameters
    ----------
    path : path
        The file; it is made if it is missing, and stays.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._handle: int | None = None

    def acquire(self) -> bool:
        """Take the lock and return True, or return False if somebody else has it."""
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        until = time.monotonic() + _PATIENCE_SECONDS
        while not _try_lock(handle):
            if time.monotonic() > until:
                os.close(handle)
                return False
            time.sleep(0.01)
        self._handle = handle
        return True

    def release(self) -> None:
        """Give the lock back; does nothing if it is not held."""
        if self._handle is not None:
            os.close(self._handle)  # which unlocks
            self._handle = None

    def is_held(self) -> bool:
        """Say whether anybody has the lock, in this process or in another."""
        try:
            handle = os.open(self.path, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            return not _try_lock(handle, shared=True)
        finally:
            os.close(handle)


def _try_lock(handle: int, *, shared: bool = False) -> bool:
    try:
        if fcntl is None:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
