"""How far is one text from another? Edit distance by hand, and the word and character error rates made of it.

A recogniser of sentences is seldom right or wrong as a whole. So its errors are counted: words that it
replaced (substitutions), missed (deletions) or made up (insertions), in the cheapest way to turn what was
said into what was heard. `distance_table` finds that way, `align` follows it, and `wer` and `cer` divide by
what was said.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

__all__ = [
    "Edit",
    "ErrorCounts",
    "align",
    "cer",
    "character_errors",
    "distance_table",
    "edit_distance",
    "show_alignment",
    "wer",
    "word_errors",
]

Items = Sequence[Hashable]
Texts = str | Sequence[str]
Kind = Literal["hit", "substitution", "deletion", "insertion"]


class Edit(NamedTuple):
    """One step on the way from what was said to what was heard."""

    kind: Kind
    expected: Hashable | None
    """What was said; None for an insertion."""
    heard: Hashable | None
    """What was heard; None for a deletion."""


@dataclass(frozen=True)
class ErrorCounts:
    """How often a recogniser was right, and how often it erred in which way.

    Counts of several texts add up with ``+``, and so the rate of a whole corpus weighs each word alike.

    Parameters
    ----------
    hits, substitutions, deletions, insertions : int

    Examples
    --------
    >>> print(word_errors("five zero three", "five oh three nine"))
    66.7 % (2 errors in 3: 1 substituted, 0 deleted, 1 inserted)

    Lesson: 08
    """

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @property
    def n_expected(self) -> int:
        """Number of items that were said."""
        return self.hits + self.substitutions + self.deletions

    @property
    def errors(self) -> int:
        """Number of errors of all kinds."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors per item that was said: from 0 up, and above 1 when there are more errors than items.

        Raises
        ------
        ValueError
            When nothing was said: there is nothing to divide by.
        """
        if not self.n_expected:
            raise ValueError(
                f"Nothing was said, so {self.errors} errors have no rate. Expected at least one word or "
                "character; word_errors(…).insertions counts what was heard in silence."
            )
        return self.errors / self.n_expected

    def __add__(self, other: ErrorCounts) -> ErrorCounts:
        if not isinstance(other, ErrorCounts):
            return NotImplemented
        return ErrorCounts(
            hits=self.hits + other.hits,
            substitutions=self.substitutions + other.substitutions,
            deletions=self.deletions + other.deletions,
            insertions=self.insertions + other.insertions,
        )

    def __str__(self) -> str:
        rate = f"{100 * self.rate:.1f} %" if self.n_expected else "no rate"
        return (
            f"{rate} ({self.errors} errors in {self.n_expected}: {self.substitutions} substituted, "
            f"{self.deletions} deleted, {self.insertions} inserted)"
        )


def distance_table(expected: Items, heard: Items) -> np.ndarray:
    """Compute the edit distance between every beginning of one sequence and every beginning of another.

    A cell needs only three neighbours: the way from above deletes, the way from the left inserts, and the way
    along the diagonal replaces, free of charge where both are equal. The cheapest wins.

    Parameters
    ----------
    expected, heard : sequences, shape (n,) and (m,)
        What was said and what was heard: two strings, compared by their characters, or two lists, of words
        for example.

    Returns
    -------
    int array, shape (n + 1, m + 1)
        Row i, column j: the distance from the first i items said to the first j items heard.

    Raises
    ------
    ValueError
        When one is a string and the other is not.

    Examples
    --------
    >>> distance_table("two", "to")
    array([[0, 1, 2],
           [1, 0, 1],
           [2, 1, 1],
           [3, 2, 1]])

    References
    ----------
    R. A. Wagner, M. J. Fischer, "The String-to-String Correction Problem", Journal of the ACM 21(1), 1974.
    https://doi.org/10.1145/321796.321811

    Lesson: 08
    """
    expected, heard = _pair(expected, heard)
    table = [list(range(len(heard) + 1))]
    for said in expected:
        above, row = table[-1], [len(table)]
        for column, word in enumerate(heard):
            row.append(min(above[column + 1] + 1, row[column] + 1, above[column] + (said != word)))
        table.append(row)
    return np.array(table)


def edit_distance(expected: Items, heard: Items) -> int:
    """Count the fewest substitutions, deletions and insertions that turn one sequence into another.

    Parameters
    ----------
    expected, heard : sequences
        Two strings, compared by their characters, or two lists, of words for example.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        When one is a string and the other is not.

    Examples
    --------
    >>> edit_distance("seven", "even")
    1
    >>> edit_distance("five zero three".split(), "five oh three nine".split())
    2

    References
    ----------
    V. I. Levenshtein, "Binary codes capable of correcting deletions, insertions, and reversals", Soviet
    Physics Doklady 10(8), 1966.

    Lesson: 08
    """
    return int(distance_table(expected, heard)[-1, -1])


def align(expected: Items, heard: Items) -> list[Edit]:
    """List the hits, substitutions, deletions and insertions of a cheapest way from one sequence to another.

    The way is followed from the end of `distance_table` to its beginning. Where several are equally cheap,
    the diagonal is taken first, then the deletion: the number of errors is certain, their kinds are a
    convention.

    Parameters
    ----------
    expected, heard : sequences
        Two strings, compared by their characters, or two lists, of words for example.

    Returns
    -------
    list of Edit
        In the order of the texts. Without the insertions it spells what was said, without the deletions what
        was heard.

    Raises
    ------
    ValueError
        When one is a string and the other is not.

    Examples
    --------
    >>> for edit in align("five zero three".split(), "five oh three nine".split()):
    ...     print(*edit)
    hit five five
    substitution zero oh
    hit three three
    insertion None nine

    References
    ----------
    Wagner and Fischer 1974; see `distance_table`.

    Lesson: 08
    """
    expected, heard = _pair(expected, heard)
    table = distance_table(expected, heard)
    edits = []
    row, column = len(expected), len(heard)
    while row or column:
        here = table[row, column]
        if row and column:
            said, word = expected[row - 1], heard[column - 1]
            if here == table[row - 1, column - 1] + (said != word):
                edits.append(Edit("hit" if said == word else "substitution", said, word))
                row, column = row - 1, column - 1
                continue
        if row and here == table[row - 1, column] + 1:
            row -= 1
            edits.append(Edit("deletion", expected[row], None))
        else:
            column -= 1
            edits.append(Edit("insertion", None, heard[column]))
    return edits[::-1]


def show_alignment(edits: Sequence[Edit]) -> str:
    """Write an alignment as three rows: what was said, what was heard, and a letter under each error.

    Parameters
    ----------
    edits : sequence of Edit
        From `align`.

    Returns
    -------
    str
        S marks a substitution, D a deletion and I an insertion.

    Examples
    --------
    >>> print(show_alignment(align("five zero three".split(), "five oh three nine".split())))
    said   five  zero  three
    heard  five  oh    three  nine
                 S            I

    Lesson: 08
    """
    columns = [("said", "heard", "")]
    for kind, expected, heard in edits:
        mark = "" if kind == "hit" else kind[0].upper()
        columns.append(("" if expected is None else str(expected), "" if heard is None else str(heard), mark))
    widths = [max(map(len, column)) for column in columns]
    rows = zip(*columns, strict=True)
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def word_errors(expected: Texts, heard: Texts) -> ErrorCounts:
    """Count the errors in words, summed over all texts.

    Words are what white space separates. Nothing else is done to a text: upper case, punctuation and spelling
    count, so treat both sides alike before.

    Parameters
    ----------
    expected, heard : str or sequence of str
        One text, or several: what was said, and what was heard.

    Returns
    -------
    ErrorCounts

    Raises
    ------
    ValueError
        When there are no texts, the two differ in number, or one of them is no text.

    Examples
    --------
    >>> word_errors(["five zero", "three"], ["five", "three"])
    ErrorCounts(hits=2, substitutions=0, deletions=1, insertions=0)

    Lesson: 08
    """
    return _count(expected, heard, str.split)


def character_errors(expected: Texts, heard: Texts) -> ErrorCounts:
    """Count the errors in characters, summed over all texts.

    Spaces inside a text count as characters, those around it do not.

    Parameters
    ----------
    expected, heard : str or sequence of str
        One text, or several: what was said, and what was heard.

    Returns
    -------
    ErrorCounts

    Raises
    ------
    ValueError
        When there are no texts, the two differ in number, or one of them is no text.

    Examples
    --------
    >>> character_errors("seven", "even")
    ErrorCounts(hits=4, substitutions=0, deletions=1, insertions=0)

    Lesson: 08
    """
    return _count(expected, heard, lambda text: list(text.strip()))


def wer(expected: Texts, heard: Texts) -> float:
    """Compute the word error rate: substituted, deleted and inserted words for each word that was said.

    The errors of all texts are summed before they are divided. A mean of the texts' own rates would let a
    wrong word in a short text weigh more than one in a long text.

    Parameters
    ----------
    expected, heard : str or sequence of str
        One text, or several: what was said, and what was heard.

    Returns
    -------
    float
        0 when all is right; above 1 when there are more errors than words.

    Raises
    ------
    ValueError
        When no word was said at all, the two differ in number, or one of them is no text.

    Examples
    --------
    >>> wer("five zero three one", "five oh three one")
    0.25
    >>> wer(["five zero three", "one"], ["five zero three", "nine"])
    0.25

    Lesson: 08
    """
    return word_errors(expected, heard).rate


def cer(expected: Texts, heard: Texts) -> float:
    """Compute the character error rate: as `wer`, but with characters in place of words.

    Parameters
    ----------
    expected, heard : str or sequence of str
        One text, or several: what was said, and what was heard.

    Returns
    -------
    float
        0 when all is right; above 1 when there are more errors than characters.

    Raises
    ------
    ValueError
        When no character was said at all, the two differ in number, or one of them is no text.

    Examples
    --------
    >>> cer("seven", "even")
    0.2

    Lesson: 08
    """
    return character_errors(expected, heard).rate


def _count(expected: Texts, heard: Texts, cut: Callable[[str], list[str]]) -> ErrorCounts:
    counts = ErrorCounts()
    for said, understood in zip(*_texts(expected, heard), strict=True):
        kinds = [edit.kind for edit in align(cut(said), cut(understood))]
        counts += ErrorCounts(
            hits=kinds.count("hit"),
            substitutions=kinds.count("substitution"),
            deletions=kinds.count("deletion"),
            insertions=kinds.count("insertion"),
        )
    return counts


def _pair(expected: Items, heard: Items) -> tuple[Items, Items]:
    if isinstance(expected, str) != isinstance(heard, str):
        raise ValueError(
            f"A {type(expected).__name__} and a {type(heard).__name__} came. Expected two strings, which are "
            "compared by their characters, or two lists, such as the words of text.split()."
        )
    return (expected, heard) if isinstance(expected, str) else (list(expected), list(heard))


def _texts(expected: Texts, heard: Texts) -> tuple[list[str], list[str]]:
    if isinstance(expected, str) != isinstance(heard, str):
        raise ValueError(
            f"A {type(expected).__name__} and a {type(heard).__name__} came. Expected two texts, or two "
            "lists of texts."
        )
    if isinstance(expected, str):
        expected, heard = [expected], [heard]
    expected, heard = list(expected), list(heard)
    if not expected or len(expected) != len(heard):
        raise ValueError(
            f"{len(expected)} texts were said and {len(heard)} heard. Expected the same number of each, and "
            "one at least; write a clip in which nothing was heard as ''."
        )
    for text in (*expected, *heard):
        if not isinstance(text, str):
            raise ValueError(
                f"{text!r} came as a text. Expected a string; join words with ' '.join(words) before."
            )
    return expected, heard
