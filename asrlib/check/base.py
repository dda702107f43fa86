"""What all checks share: an outcome that says yes or helps, and the small tools to write a check with.

A check is a function of the learner's answer, decorated with `exercise`. Its body uses `call` to try the
answer out and `expect` to name the properties that must hold. The first that fails ends the check; its hint
is printed.
"""

from __future__ import annotations

import functools
import textwrap
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Outcome", "call", "exercise", "expect", "show"]


@dataclass(frozen=True)
class Outcome:
    """What a check found.

    Parameters
    ----------
    ok : bool
        Whether every property holds.
    property : str
        The first property that does not hold; empty when all do.
    hint : str
        Where to look; empty when all is well.

    Examples
    --------
    >>> print(Outcome(ok=True))
    yes
    >>> print(Outcome(ok=False, property="the answer is a word", hint="Return text, not a number."))
    not yet: the answer is a word
    hint: Return text, not a number.

    Lesson: 00
    """

    ok: bool
    property: str = ""
    hint: str = ""

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        if self.ok:
            return "yes"
        # JupyterLab breaks longer lines anywhere, also within words.
        hint = textwrap.fill(f"hint: {self.hint}", width=96, subsequent_indent="      ")
        return f"not yet: {self.property}\n{hint}"

    def _ipython_display_(self) -> None:
        """Show nothing at the end of a cell: the check has printed itself already."""


class _NotYet(Exception):
    """Ends a check at the first property that does not hold."""

    def __init__(self, statement: str, hint: str) -> None:
        super().__init__(statement)
        self.statement, self.hint = statement, hint


def exercise(check: Callable[[Any], None]) -> Callable[[Any], Outcome]:
    """Make a check of a function that tries an answer out: print the outcome, and return it.

    Parameters
    ----------
    check : callable
        Takes the learner's answer and uses `call` and `expect`.

    Returns
    -------
    callable
        Takes the answer, prints "yes" or what failed, and returns the `Outcome`.

    Examples
    --------
    >>> @exercise
    ... def double(answer):
    ...     expect(call(answer, 4) == 8, "twice 4 is 8", hint="Add the number to itself.")
    >>> double(lambda x: x + x).ok
    yes
    True
    >>> double(lambda x: x * x).ok
    not yet: twice 4 is 8
    hint: Add the number to itself.
    False

    Lesson: 00
    """

    @functools.wraps(check)
    def checked(answer: Any) -> Outcome:
        outcome = Outcome(ok=True)
        try:
            expect(
                callable(answer),
                "the answer is a function",
                hint=f"Pass the function itself, without calling it; {show(answer)} came.",
            )
            check(answer)
        except _NotYet as found:
            outcome = Outcome(ok=False, property=found.statement, hint=found.hint)
        print(outcome)
        return outcome

    return checked


def expect(holds: Any, statement: str, *, hint: str) -> None:
    """Go on if a property holds; otherwise end the check with the property and a hint.

    Parameters
    ----------
    holds : object
        Taken as true or false.
    statement : str
        The property, as a sentence that is true of a correct answer.
    hint : str
        What to look at when it is not.

    Examples
    --------
    >>> expect(2 > 1, "two is more than one", hint="Count again.")

    Lesson: 00
    """
    if not holds:
        raise _NotYet(statement, hint)


def call(answer: Callable[..., Any], *arguments: Any, may_be_none: bool = False) -> Any:
    """Try the learner's function out; what it raises, and a missing return, become hints.

    Parameters
    ----------
    answer : callable
        The learner's function.
    *arguments
        What it is given.
    may_be_none : bool
        Whether None is a proper result.

    Returns
    -------
    object
        What it returned.

    Examples
    --------
    >>> call(max, 3, 8)
    8

    Lesson: 00
    """
    given = ", ".join(show(argument) for argument in arguments)
    try:
        result = answer(*arguments)
    except Exception as error:  # whatever the learner's code raises, the learner is to read it
        line = _line_of(error, answer)
        raise _NotYet(
            "the function runs without an error",
            f"Called with ({given}) it stops{line}: {type(error).__name__}: {error}",
        ) from error
    missing = result is Ellipsis or (result is None and not may_be_none)
    expect(
        not missing,
        "the function returns an answer",
        hint=f"Called with ({given}) it returns {show(result)}. Write the body, and end it with return.",
    )
    return result


def show(value: Any) -> str:
    """Describe a value in a few characters, for a hint.

    Examples
    --------
    >>> show({"7": 0.9}), show(lambda x: x), show(...)
    ("{'7': 0.9}", 'a function', '...')

    Lesson: 00
    """
    if value is Ellipsis:
        return "..."
    if hasattr(value, "shape") and hasattr(value, "dtype") and getattr(value, "ndim", 0):
        return f"an array of shape {tuple(value.shape)}"
    if callable(value):
        return "a function"
    text = repr(value.item() if hasattr(value, "item") else value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _line_of(error: Exception, answer: Callable[..., Any]) -> str:
    """Name the line of the learner's own code at which it stopped, where there is one."""
    code = getattr(answer, "__code__", None)
    for place in reversed(traceback.extract_tb(error.__traceback__)):
        if code is not None and place.filename == code.co_filename and place.lineno:
            return f" at line {place.lineno - code.co_firstlineno + 1} of the function"
    return ""
