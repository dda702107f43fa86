"""The checks of lesson 8, "From words to text"."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import groupby, product
from typing import Any

import numpy as np

from asrlib import decoding
from asrlib.check.base import call, exercise, expect, show

__all__ = ["check_digit", "collapse", "count_paths", "error_rate", "text_probability"]


@exercise
def collapse(answer: Callable[[list[int]], list[int]]) -> None:
    """Check a function that reads a path as text.

    Parameters
    ----------
    answer : callable
        ``answer(path)`` returns the text of a path, a list of class numbers of which 0 is the blank.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = collapse(lambda path: [k for k in path if k])
    not yet: repeats are merged
    hint: The path [4, 4, 4] returns [4, 4, 4]; the text is [4]. A class that goes on over several steps is
          written once.

    Lesson: 08
    """

    def read(path: list[int]) -> list[int]:
        made = call(answer, list(path))
        expect(
            isinstance(made, (list, tuple, np.ndarray)),
            "the text is a list",
            hint=f"The path {path} returns {show(made)}. Return a list of class numbers.",
        )
        return [int(label) for label in made]

    def holds(path: list[int], statement: str, help_: str) -> None:
        got, text = read(path), [label for label, _ in groupby(path) if label]
        expect(got == text, statement, hint=f"The path {path} returns {got}; the text is {text}. {help_}")

    holds([4, 4, 4], "repeats are merged", "A class that goes on over several steps is written once.")
    holds([0, 0, 6, 0], "blanks are dropped", "Class 0 writes nothing.")
    holds(
        [5, 0, 5],
        "a blank keeps two equal labels apart",
        "Merge first, then drop: once the blanks are gone, nobody can tell one from two.",
    )
    holds(
        [5, 3, 5],
        "only neighbours are merged",
        "A label that comes again later is written again: a number may hold a digit twice.",
    )
    holds([2, 7, 7, 0, 1], "the last label is written", "Has the last one been written when the loop ends?")
    holds([0, 0, 0], "nothing but blanks is an empty text", "Return an empty list.")
    holds([], "a path without steps is an empty text", "Does it ask for path[0]?")
    rng = np.random.default_rng(8)
    for length in (1, 2, 5, 9, 30):
        for _ in range(20):
            path = rng.integers(0, 4, length).tolist()
            holds(path, "it holds for any path", "Merge equal neighbours, then drop the zeros.")


@exercise
def count_paths(answer: Callable[[list[int], int], int]) -> None:
    """Check a function that counts the paths of a text.

    Parameters
    ----------
    answer : callable
        ``answer(text, n_steps)`` returns how many paths of so many steps collapse to the text, a list of
        class numbers without blanks.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = count_paths(lambda text, n_steps: math.comb(n_steps - 1, len(text) - 1))
    not yet: a path may hold blanks
    hint: Three steps for the text [1, 2]: it counts 2, and there are 5: 112, 122, 012, 102 and 120. It
          counts cuts between labels; blanks may stand before, between and after them.

    Lesson: 08
    """

    def counted(text: list[int], n_steps: int) -> int:
        got = _number(call(answer, list(text), n_steps), f"The text {text} in {n_steps} steps")
        expect(
            got == int(got) and got >= 0,
            "a count is a whole number",
            hint=f"The text {text} in {n_steps} steps: it counts {got:g}.",
        )
        return int(got)

    def holds(text: list[int], n_steps: int, statement: str, help_: str, *, paths: str = "") -> None:
        got, wanted = counted(text, n_steps), _paths(text, n_steps)
        many = f"{_steps(n_steps)} for the text {text}: it counts {got}, and there "
        many += f"{'is' if wanted == 1 else 'are'} {wanted}"
        expect(got == wanted, statement, hint=f"{many}{paths}. {help_}")

    five = ": 112, 122, 012, 102 and 120"
    if counted([1, 2], 3) == 2:
        holds(
            [1, 2],
            3,
            "a path may hold blanks",
            "It counts cuts between labels; blanks may stand before, between and after them.",
            paths=five,
        )
    holds([1], 1, "one step can hold one label", "It is the label itself.")
    holds(
        [1],
        2,
        "a path may begin and end with a blank or with a label",
        "Start at either of the first two nodes, end at either of the last two.",
        paths=": 11, 01 and 10",
    )
    holds(
        [1, 2],
        3,
        "different neighbours need no blank between them",
        "A way may jump over the blank between two labels that differ.",
        paths=five,
    )
    holds(
        [1, 1],
        2,
        "equal neighbours need a blank between them",
        "11 is one label that goes on. The jump over a blank is forbidden where the labels are equal.",
    )
    holds(
        [1, 1],
        3,
        "equal neighbours need a blank between them",
        "Only 101 will do. The jump over a blank is forbidden where the labels are equal.",
    )
    holds([3, 1, 2], 2, "a text may be too long for its steps", "Then there is no path: return 0.")
    holds([], 3, "the empty text has one path", "Three blanks. The lattice has a single node then.")
    for text, n_steps in (([1, 2, 1], 5), ([2, 2, 1], 6), ([1, 1, 1], 6), ([2, 1], 7), ([1, 2, 2, 1], 7)):
        holds(text, n_steps, "it holds for any text", "Add up the ways that arrive at each node.")
    got, wanted = counted([6, 1, 4, 4, 10], 41), math.comb(41 + 5 - 1, 10)
    expect(
        got == wanted,
        "it holds for a real recording",
        hint=f"The text [6, 1, 4, 4, 10] in 41 steps: it counts {got}, and there are {wanted}.",
    )


def _paths(text: list[int], n_steps: int) -> int:
    """Count by looking at every path."""
    classes = range(max(text, default=1) + 1)
    return sum(
        [label for label, _ in groupby(path) if label] == text for path in product(classes, repeat=n_steps)
    )


def _steps(number: int) -> str:
    return (
        f"{number} step{'s' * (number > 1)}"
        if number > 3
        else ("One step", "Two steps", "Three steps")[number - 1]
    )


@exercise
def text_probability(answer: Callable[[np.ndarray, list[int]], float]) -> None:
    """Check a function that sums the probabilities of all paths of a text.

    Parameters
    ----------
    answer : callable
        ``answer(probabilities, text)`` returns the probability of the text; `probabilities` have a row for
        each step and a column for each class, of which 0 is the blank.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = text_probability(lambda probabilities, text: 0.5)
    not yet: equal labels are kept apart by a blank
    hint: In three steps only the path 1 0 1 writes [1, 1], with 0.1200. It says 0.5000. Look at the
          jump: from which label to which may a way leave out the blank between them?

    Lesson: 08
    """
    rng = np.random.default_rng(3)
    three = np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2], [0.3, 0.6, 0.1]])
    two = three[:2]

    def of(probabilities: np.ndarray, text: list[int]) -> float:
        return _number(call(answer, probabilities.copy(), list(text)), f"For the text {text}")

    single = of(np.array([[0.2, 0.8]]), [1])
    expect(
        not math.isclose(single, math.log(0.8)) and not math.isclose(single, -math.log(0.8)),
        "it is a probability, not its logarithm",
        hint=f"One step that says 1 with 0.8: it returns {single:.3f}, a logarithm. Return 0.8.",
    )
    got, of_12 = of(three, [1, 2]), _probability(three, [1, 2])
    expect(
        got > 0.999 * of_12,
        "every path of a text counts",
        hint=f"The text [1, 2] in three steps has the paths 112, 122, 012, 102 and 120, together "
        f"{of_12:.4f}. It says {got:.4f}. Which is missing? Two starts, two ends, three moves.",
    )
    got, wanted = of(three, [1, 1]), float(three[0, 1] * three[1, 0] * three[2, 1])
    expect(
        math.isclose(got, wanted, rel_tol=1e-9),
        "equal labels are kept apart by a blank",
        hint=f"In three steps only the path 1 0 1 writes [1, 1], with {wanted:.4f}. It says {got:.4f}. Look "
        "at the jump: from which label to which may a way leave out the blank between them?",
    )
    expect(
        math.isclose(of(two, [1, 1]), 0, abs_tol=1e-12),
        "what needs more steps than there are is impossible",
        hint="Two steps cannot write [1, 1]: between equal labels there must be a blank. It says "
        f"{of(two, [1, 1]):.3g}, and the probability is 0.",
    )
    got = of(three, [1, 2])
    expect(
        math.isclose(got, of_12, rel_tol=1e-9),
        "only paths of the text count, and each once",
        hint=f"The text [1, 2] in three steps has the probability {of_12:.4f}; it says {got:.4f}.",
    )
    everything = sum(of(three, list(text)) for n in range(4) for text in product((1, 2), repeat=n))
    expect(
        math.isclose(everything, 1, rel_tol=1e-9),
        "all texts together are certain",
        hint=f"Three steps with two labels: all texts together have {everything:.4f}, not 1.",
    )
    for text in ([], [2], [1, 2, 1], [2, 2, 1], [1, 1, 2, 2]):
        longer = rng.dirichlet(np.ones(3), 6)
        got, wanted = of(longer, text), _probability(longer, text)
        expect(
            math.isclose(got, wanted, rel_tol=1e-9),
            "it holds for any text",
            hint=f"The text {text} in six steps has the probability {wanted:.5f}; it says {got:.5f}.",
        )


def _probability(probabilities: np.ndarray, text: list[int]) -> float:
    """Add up the probabilities of a text's paths, one by one."""
    steps = np.arange(len(probabilities))
    return math.fsum(
        float(np.prod(probabilities[steps, path]))
        for path in product(range(probabilities.shape[1]), repeat=len(probabilities))
        if [label for label, _ in groupby(path) if label] == text
    )


@exercise
def error_rate(answer: Callable[[list[str], list[str]], float]) -> None:
    """Check a function that computes the word error rate of several texts.

    Parameters
    ----------
    answer : callable
        ``answer(said, heard)`` returns the word error rate of texts such as "5 0 3"; the two lists are
        equally long.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = error_rate(lambda said, heard: sum(a != b for a, b in zip(said, heard)) / len(said))
    not yet: words count, not whole texts
    hint: Said ['5 0 3 1'], heard ['5 0 3 2']: one of four words is wrong, 0.25. It returns 1. Split the
          texts into words.

    Lesson: 08
    """

    def of(said: list[str], heard: list[str]) -> float:
        return _number(call(answer, list(said), list(heard)), f"Said {said}, heard {heard}")

    def holds(said: list[str], heard: list[str], wanted: float, statement: str, story: str) -> None:
        got = of(said, heard)
        hint = f"Said {said}, heard {heard}: {story}. It returns {got:.4g}."
        if math.isclose(got, 100 * wanted) and wanted:
            expect(False, "the rate is a share", hint=f"{hint} Leave it a share: {wanted:g}, not per cent.")
        help_ = _HELP.get(statement, "")
        expect(math.isclose(got, wanted, abs_tol=1e-9), statement, hint=f"{hint} {help_}".rstrip())

    holds(["5 0 3 1"], ["5 0 3 2"], 0.25, "words count, not whole texts", "one of four words is wrong, 0.25")
    holds(["5 0 3"], ["5 0 3"], 0.0, "no error is a rate of 0", "nothing is wrong, 0")
    holds(["five nine"], ["fine nine"], 0.5, "words count, not characters", "one of two words is wrong, 0.5")
    holds(
        ["1 2 3 4"],
        ["2 3 4"],
        0.25,
        "a missing word moves the others",
        "one word of four is missing, 0.25",
    )
    holds(["1 2"], ["1 2 3"], 0.5, "what was said is what counts below", "one error in two words, 0.5")
    holds(["7 7"], [""], 1.0, "hearing nothing is a text too", "both words are missing, 1")
    holds(["7"], ["1 2 3"], 3.0, "a rate may exceed 1", "one substituted and two inserted for one word, 3")
    holds(
        ["1 2 3 4 5 6 7 8 9", "0"],
        ["1 2 3 4 5 6 7 8 9", "4"],
        0.1,
        "each word weighs alike",
        "one of ten words is wrong, 0.1",
    )
    rng = np.random.default_rng(5)
    for _ in range(20):
        said = [" ".join(map(str, rng.integers(0, 3, rng.integers(1, 6)))) for _ in range(4)]
        heard = [" ".join(map(str, rng.integers(0, 3, rng.integers(0, 6)))) for _ in range(4)]
        errors = sum(_distance(a.split(), b.split()) for a, b in zip(said, heard, strict=True))
        words = sum(len(text.split()) for text in said)
        holds(said, heard, errors / words, "it holds for any texts", f"{errors} errors in {words} words")


_HELP = {
    "words count, not whole texts": "Split the texts into words.",
    "words count, not characters": "Compare text.split(), a list of words.",
    "a missing word moves the others": "Use the edit distance: places move.",
    "what was said is what counts below": "Divide by the words that were said, not by those heard.",
    "each word weighs alike": "Add up errors and words of all texts, and divide once. A mean of the texts' "
    "rates lets the word of a short text weigh more.",
}


def _distance(said: Sequence[str], heard: Sequence[str]) -> int:
    row = list(range(len(heard) + 1))
    for number, word in enumerate(said, 1):
        diagonal, row[0] = row[0], number
        for column, other in enumerate(heard, 1):
            diagonal, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, diagonal + (word != other)),
            )
    return row[-1]


@exercise
def check_digit(answer: Callable[[], Any]) -> None:
    """Check a grammar of numbers whose digits add up to a multiple of ten.

    Parameters
    ----------
    answer : callable
        ``answer()``, usually a class, makes what `asrlib.decoding.beam_search` asks about a text: an object
        with the methods ``step(prefix, label)`` and ``end(prefix)``. Class k + 1 is the digit k.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> class Always:
    ...     def step(self, prefix, label):
    ...         return 0.0
    ...     def end(self, prefix):
    ...         return 0.0
    >>> outcome = check_digit(Always)
    not yet: a number that does not add up is forbidden
    hint: The digits 1 2 3 are the classes (2, 3, 4) and add up to 6. end((2, 3, 4)) returns 0.0; return
          -math.inf, the logarithm of 0.

    Lesson: 08
    """
    grammar = call(answer)
    for name in ("step", "end"):
        expect(
            callable(getattr(grammar, name, None)),
            "a grammar has the methods step and end",
            hint=f"It has no method {name}. Write both: step(self, prefix, label), end(self, prefix).",
        )

    def end(digits: str) -> float:
        prefix = tuple(int(digit) + 1 for digit in digits)
        return _number(call(grammar.end, prefix), f"end({prefix})", finite=False)

    steps = [
        _number(call(grammar.step, tuple(prefix), label), f"step({tuple(prefix)}, {label})", finite=False)
        for prefix in ([], [2], [2, 3], [10, 10, 1])
        for label in range(1, 11)
    ]
    expect(
        all(math.isfinite(step) for step in steps),
        "a number that does not add up may still go on",
        hint="step forbids a digit. Whether the digits add up is known only at the end: let step return 0.0.",
    )
    expect(
        max(steps) - min(steps) < 1e-9,
        "no digit is preferred",
        hint=f"step returns from {min(steps):.3g} to {max(steps):.3g}. Return 0.0 for every digit.",
    )
    got = end("123")
    expect(
        got == -math.inf,
        "a number that does not add up is forbidden",
        hint="The digits 1 2 3 are the classes (2, 3, 4) and add up to 6. end((2, 3, 4)) returns "
        f"{got!r}; return -math.inf, the logarithm of 0.",
    )
    got = end("19")
    expect(
        math.isfinite(got),
        "a number that adds up is permitted",
        hint="The digits 1 9 are the classes (2, 10) and add up to 10. end((2, 10)) returns -inf. Class "
        "k + 1 is the digit k: take one away from each.",
    )
    rng = np.random.default_rng(1)
    for _ in range(60):
        digits = "".join(map(str, rng.integers(0, 10, rng.integers(1, 8))))
        total = sum(map(int, digits))
        expect(
            math.isfinite(end(digits)) == (total % 10 == 0),
            "it holds for any number",
            hint=f"The digits {' '.join(digits)} add up to {total}, and end returns {end(digits)!r}.",
        )
    scores = rng.normal(size=(3, 11)) * 2
    found = decoding.beam_search(scores, beam_width=20_000, text=grammar)
    expect(
        all(sum(label - 1 for label in each.labels) % 10 == 0 for each in found),
        "beam_search finds only numbers that add up",
        hint=f"It found {[label - 1 for label in found[0].labels]}. Do step and end return plain numbers?",
    )
    expect(
        max(abs(each.score - each.log_probability) for each in found) < 1e-9,
        "what is permitted is not preferred",
        hint="end returns other numbers than 0.0 for what adds up, and so favours some numbers.",
    )


def _number(got: Any, story: str, *, finite: bool = True) -> float:
    one = isinstance(got, (int, float, np.number)) and not isinstance(got, bool)
    expect(
        one
        and not (isinstance(got, (float, np.floating)) and (math.isnan(got) or (finite and math.isinf(got)))),
        "the answer is a number",
        hint=f"{story}: it returns {show(got)}.",
    )
    return got if isinstance(got, int) else float(got)
