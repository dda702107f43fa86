"""Fetch an archive over a network that breaks, and unpack it so that nothing lands outside one folder."""

from __future__ import annotations

import functools
import gzip
import hashlib
import logging
import lzma
import re
import shutil
import stat
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit

__all__ = [
    "NotThere",
    "ResumingDownloader",
    "Unreached",
    "download",
    "leaves_folder",
    "temporary_folder",
    "unpack",
]

_LARGEST_DOWNLOAD = 256 << 20
_LARGEST_UNPACKED = 512 << 20
_MOST_MEMBERS = 20_000


_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,  # an encrypted member, or a compression that this Python does not know
)


class NotThere(ValueError):
    """A source does not have what is wanted; another may."""


class Unreached(OSError):
    """The network or the server does not let a download through."""


def leaves_folder(name: str) -> bool:
    """Tell whether a relative path, written by anyone on any system, could point outside its folder."""
    parts = name.replace("\\", "/").split("/")
    return (
        name.startswith(("/", "\\"))
        or ".." in parts
        or ":" in parts[0]
        or "\0" in name
        or not name.strip("/.")
    )


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Make a folder that is gone afterwards, unless it was renamed."""
    folder = Path(tempfile.mkdtemp(prefix="unpacking-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def download(url: str, *, folder: Path) -> Path:
    """Download into a folder with a progress bar, tries and resuming; return the archive's path."""
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    # Its advice about hashes is for programmers; whoever calls this checks the content instead.
    logger.setLevel(logging.WARNING)
    try:
        name = hashlib.sha256(url.encode()).hexdigest()[:16] + ".archive"
        downloader = ResumingDownloader(partial=folder / f"{name}.part")
        return Path(pooch.retrieve(url, known_hash=None, fname=name, path=folder, downloader=downloader))
    finally:
        logger.setLevel(level)


class ResumingDownloader:
    """A downloader for pooch that goes on where a broken download ended, in this run or in the next.

    What came so far lies in the file ``partial``, beside it the server's tag of the content; a server whose
    content has changed, or that cannot resume, sends the whole again.
    """

    def __init__(self, *, partial: Path, attempts: int = 5, wait_seconds: float = 0.5, timeout: float = 30.0):
        self.partial = partial
        self.tag_file = partial.with_name(partial.name + ".tag")
        self.attempts = attempts
        self.wait_seconds = wait_seconds
        self.timeout = timeout

    def __call__(self, url: str, output_file: str, pooch: Any, check_only: bool = False) -> bool | None:
        """Download to the path that pooch names."""
        import requests

        reached = False
        for attempt in range(self.attempts):
            before = self._size()
            try:
                self._attempt(url)
            except requests.HTTPError as error:
                if not _worth_another_try(error.response.status_code):
                    raise NotThere(f"{url}: the server answers {error.response.status_code}") from error
                reached, failure = True, error
            except (requests.RequestException, _Incomplete) as error:
                reached, failure = reached or self._size() > before, error
            else:
                self.partial.replace(output_file)
                self.tag_file.unlink(missing_ok=True)
                return None
            # Without a network the answer is the same in ten seconds: one more try is enough.
            if attempt + 1 == self.attempts or (attempt and not reached):
                raise Unreached(_told(failure, url=url)) from failure
            time.sleep(self.wait_seconds * 2**attempt)
        return None

    def _size(self) -> int:
        return self.partial.stat().st_size if self.partial.exists() else 0

    def _attempt(self, url: str) -> None:
        import requests

        have = self._size()
        tag = self.tag_file.read_text() if self.tag_file.exists() else ""
        headers = {"Accept-Encoding": "identity"}
        if have and tag:
            headers |= {"Range": f"bytes={have}-", "If-Range": tag}
        with requests.get(url, headers=headers, stream=True, timeout=self.timeout) as response:
            if (
                response.status_code == 416
            ):  # there is nothing after what came: it was whole, or of other content
                self._forget()
                raise _Incomplete("the partial download did not fit and was dropped")
            response.raise_for_status()
            resumed = response.status_code == 206 and _range_start(response.headers) == have
            if response.status_code == 206 and not resumed:
                self._forget()
                raise _Incomplete("the server resumed at another place")
            if not resumed:
                self._forget()  # before the new tag: an old part must never stand beside it
                self._remember(response.headers)
            self._save(response, start=have if resumed else 0, url=url)

    def _forget(self) -> None:
        self.partial.unlink(missing_ok=True)
        self.tag_file.unlink(missing_ok=True)

    def _remember(self, headers: Any) -> None:
        tag = headers.get("ETag", "")
        if not tag or tag.startswith("W/"):  # a weak tag promises the same meaning, not the same bytes
            tag = headers.get("Last-Modified", "")
        self.tag_file.write_text(tag)

    def _save(self, response: Any, *, start: int, url: str) -> None:
        from tqdm.auto import tqdm

        length = response.headers.get("Content-Length")
        total = start + int(length) if length and length.isdecimal() else None
        title = url.split("/")[-1]
        bar = tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=title, leave=False)
        with bar, self.partial.open("ab" if start else "wb") as stream:
            for chunk in response.iter_content(1 << 14):
                stream.write(chunk)
                bar.update(len(chunk))
                if stream.tell() > _LARGEST_DOWNLOAD:
                    break
        size = self._size()
        if size > _LARGEST_DOWNLOAD:
            self._forget()
            raise NotThere(f"{url}: more than {_LARGEST_DOWNLOAD >> 20} MiB came")
        if total is not None and size != total:
            raise _Incomplete(f"{size} of {total} bytes came")


class _Incomplete(OSError):
    """A download ended before its end."""


def _told(failure: Exception, *, url: str) -> str:
    """Say in a few words what a network library says in many."""
    host = urlsplit(url).hostname
    response = getattr(failure, "response", None)
    if response is not None:
        return f"{host} answers {response.status_code}"
    if isinstance(failure, _Incomplete):
        return f"{host} broke off: {failure}"
    return f"{host} cannot be reached or broke off ({type(failure).__name__})"


def _worth_another_try(status: int) -> bool:
    return status in (408, 425, 429) or status >= 500


def _range_start(headers: Any) -> int | None:
    match = re.match(r"bytes (\d+)-", headers.get("Content-Range", ""))
    return int(match[1]) if match else None


@dataclass(frozen=True)
class _Member:
    """A file in an archive."""

    path: str
    size: int
    plain: bool
    open: Callable[[], IO[bytes]]


@contextmanager
def _members(archive: Path) -> Iterator[list[_Member]]:
    """List the files of a zip or tar archive, without folders."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            infos = opened.infolist()
            _refuse_too_many(len(infos))
            yield [
                _Member(i.filename, i.file_size, _zip_plain(i), functools.partial(opened.open, i))
                for i in infos
                if not i.is_dir()
            ]
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as opened:
            members, claimed = [], 0
            for info in opened:  # one at a time: the list of a hostile archive has no end
                _refuse_too_many(len(members))
                claimed += info.size
                if claimed > _LARGEST_UNPACKED:
                    raise NotThere(f"the archive states more than {_LARGEST_UNPACKED >> 20} MiB of content")
                if not info.isdir():
                    reader = functools.partial(opened.extractfile, info)
                    members.append(_Member(info.name, info.size, info.isreg(), reader))
            yield members
    else:
        raise NotThere("what came is neither a zip nor a tar archive")


def _zip_plain(info: zipfile.ZipInfo) -> bool:
    mode = info.external_attr >> 16
    return stat.S_IFMT(mode) in (0, stat.S_IFREG)


def _refuse_too_many(members: int) -> None:
    if members > _MOST_MEMBERS:
        raise NotThere(f"the archive has more than {_MOST_MEMBERS} members; nothing was unpacked")


def unpack(
    archive: Path,
    *,
    into: Path,
    wanted: Callable[[PurePosixPath], bool],
    largest: int = _LARGEST_UNPACKED,
) -> None:
    """Copy the wanted files of an archive into one folder, flat; judge every member before writing any."""
    try:
        with _members(archive) as members:
            for member in members:
                if leaves_folder(member.path) or not member.plain:
                    raise NotThere(
                        f"the archive holds {member.path!r}, a link or a path outside its folder; nothing "
                        "was unpacked"
                    )
            chosen = {PurePosixPath(m.path).name: m for m in members if wanted(PurePosixPath(m.path))}
            _copy_out(chosen, into=into, largest=largest)
    except _DAMAGE as error:
        raise NotThere(f"the archive is damaged: {error}") from error


def _copy_out(chosen: dict[str, _Member], *, into: Path, largest: int) -> None:
    left = largest
    for name, member in chosen.items():
        with member.open() as source, (into / name).open("xb") as target:
            while block := source.read(1 << 16):  # the sizes that headers state are only a claim
                left -= len(block)
                if left < 0:
                    raise NotThere(f"the archive unpacks to more than {largest >> 20} MiB")
                target.write(block)
