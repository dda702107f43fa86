"""Subtitles: timed words as lines on a screen, in the SubRip format that every player reads.

A word's time says when it was said; a subtitle has to stay for long enough to be read. Words that follow each
other closely share a line, until it is full, and a short line stays a little longer than it was said, up to
the next one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from asrlib.passages import TimedWord

__all__ = ["Subtitle", "from_srt", "lines", "to_srt"]

_HEAD = re.compile(r"(\d+):(\d\d):(\d\d)[,.](\d{1,3})\s*-->\s*(\d+):(\d\d):(\d\d)[,.](\d{1,3})")


@dataclass(frozen=True)
class Subtitle:
    """A line of text, and when it is shown.

    Parameters
    ----------
    start, stop : float
        Seconds since the recording began.
    text : str
        What is shown.

    Examples
    --------
    >>> print(Subtitle(1.25, 2.5, "5 0 3"))
    00:00:01,250 --> 00:00:02,500
    5 0 3

    Lesson: 08
    """

    start: float
    stop: float
    text: str

    def __str__(self) -> str:
        return f"{_stamp(self.start)} --> {_stamp(self.stop)}\n{self.text}"


def lines(
    words: Iterable[TimedWord],
    *,
    longest_gap: float = 0.8,
    longest_line: float = 5.0,
    characters: int = 42,
    shortest_line: float = 1.0,
) -> Iterator[Subtitle]:
    """Put words together to lines, each as soon as it is certain.

    Parameters
    ----------
    words : iterable of TimedWord
        In the order of time.
    longest_gap : float
        A longer pause, in seconds, begins a new line.
    longest_line : float
        No line is said for longer, in seconds, but one of a single word.
    characters : int
        No line is longer, but one of a single word.
    shortest_line : float
        A line that is over sooner stays for so many seconds, or until the next one comes.

    Yields
    ------
    Subtitle
        In the order of time; no two overlap.

    Raises
    ------
    ValueError
        If a limit is not positive, or the words are not in the order of time.

    Examples
    --------
    >>> words = [TimedWord("5", 0.2, 0.5, 0.9), TimedWord("0", 0.5, 0.8, 0.9), TimedWord("3", 3.0, 3.4, 0.9)]
    >>> for line in lines(words):
    ...     print(line)
    00:00:00,200 --> 00:00:01,200
    5 0
    00:00:03,000 --> 00:00:04,000
    3

    Lesson: 08
    """
    for name, value in (
        ("longest_gap", longest_gap), ("longest_line", longest_line),
        ("characters", characters), ("shortest_line", shortest_line),
    ):  # fmt: skip
        if not value > 0:
            raise ValueError(f"{name}={value!r} came. Expected a number above 0.")
    line: Subtitle | None = None
    for word in words:
        if line is None:
            line = Subtitle(word.start, word.stop, word.text)
            continue
        if word.start < line.start:
            raise ValueError(
                f"{word.text!r} at {word.start:.3f} s came after a word at {line.start:.3f} s. Expected "
                "words in the order of time; sort them by their start."
            )
        text = f"{line.text} {word.text}"
        fits = word.start - line.stop <= longest_gap and word.stop - line.start <= longest_line
        if fits and len(text) <= characters:
            line = Subtitle(line.start, word.stop, text)
        else:
            yield _shown(line, shortest_line, until=word.start)
            line = Subtitle(word.start, word.stop, word.text)
    if line is not None:
        yield _shown(line, shortest_line, until=float("inf"))


def _shown(line: Subtitle, shortest: float, *, until: float) -> Subtitle:
    return Subtitle(line.start, min(max(line.stop, line.start + shortest), until), line.text)


def to_srt(subtitles: Iterable[Subtitle]) -> Iterator[str]:
    """Write subtitles as SubRip, one numbered entry after another.

    Parameters
    ----------
    subtitles : iterable of Subtitle

    Yields
    ------
    str
        An entry with its line ends and the empty line behind it. Joined, or written one by one, they are the
        file.

    Examples
    --------
    >>> print("".join(to_srt([Subtitle(0.2, 1.2, "5 0")])), end="")
    1
    00:00:00,200 --> 00:00:01,200
    5 0
    <BLANKLINE>

    Lesson: 08
    """
    for number, subtitle in enumerate(subtitles, start=1):
        yield f"{number}\n{subtitle}\n\n"


def from_srt(text: str) -> list[Subtitle]:
    """Read subtitles from SubRip: the inverse of `to_srt`, to the millisecond.

    Parameters
    ----------
    text : str
        What is in the file.

    Returns
    -------
    list of Subtitle

    Raises
    ------
    ValueError
        If an entry has no line of times.

    Examples
    --------
    >>> from_srt("1\\n00:00:00,200 --> 00:00:01,200\\n5 0\\n")
    [Subtitle(start=0.2, stop=1.2, text='5 0')]

    Lesson: 08
    """
    entries = re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n").lstrip("\ufeff").strip())
    return [_subtitle(entry) for entry in entries if entry.strip()]


def _subtitle(entry: str) -> Subtitle:
    head, *rest = entry.strip().split("\n")
    if "-->" not in head and rest:  # its number, which the order tells as well
        head, *rest = rest
    found = _HEAD.match(head.strip())
    if found is None:
        raise ValueError(
            f"The entry {entry[:60]!r} came. Expected SubRip: a number, a line such as 00:00:01,250 --> "
            "00:00:02,500, and the text."
        )
    numbers = found.groups()
    return Subtitle(_seconds(numbers[:4]), _seconds(numbers[4:]), "\n".join(rest))


def _seconds(parts: tuple[str, ...]) -> float:
    hours, minutes, seconds = map(int, parts[:3])
    return (1000 * (3600 * hours + 60 * minutes + seconds) + int(parts[3].ljust(3, "0"))) / 1000


def _stamp(seconds: float) -> str:
    milliseconds = round(1000 * seconds)
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d},{rest % 1000:03d}"
