"""The checks of the exercises: stubs fail, the lessons' solutions pass, usual mistakes get their hint."""

from pathlib import Path

import numpy as np
import pytest
from exercises import answers_in

from asrlib import audio, check
from asrlib.check.base import call, exercise, expect, show

LESSON_00 = Path(__file__).resolve().parents[1] / "notebooks" / "00_a_machine_that_hears_digits.ipynb"
EXERCISES = ("decide", "breaking_point", "to_course_rate", "accuracy")


def functions(tag):
    return answers_in(LESSON_00, tag, audio=audio, np=np)


def hints_at(outcome, capsys, *, statement, words):
    """Assert that a check failed at a property, with a hint that has these words, and printed both."""
    printed = capsys.readouterr().out
    assert not outcome
    assert outcome.property == statement
    for word in words:
        assert word in outcome.hint
    assert printed == f"{outcome}\n"
    assert " ".join(printed.split()) == f"not yet: {outcome.property} hint: {outcome.hint}"
    assert max(map(len, printed.splitlines())) <= 96


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_in_the_lesson_passes(name, capsys):
    outcome = getattr(check.lesson00, name)(functions("solution")[name])
    assert outcome.ok
    assert capsys.readouterr().out == "yes\n"


@pytest.mark.parametrize("name", EXERCISES)
def test_the_stub_in_the_lesson_does_not_pass(name, capsys):
    outcome = getattr(check.lesson00, name)(functions("exercise")[name])
    assert not outcome.ok
    assert outcome.property and outcome.hint
    assert capsys.readouterr().out.startswith("not yet: ")


def test_every_check_has_its_exercise_and_its_solution():
    assert set(EXERCISES) == set(check.lesson00.__all__)


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.parametrize("answer", [None, ..., 0.75, "7"])
def test_what_is_no_function_is_told_so(name, answer, capsys):
    outcome = getattr(check.lesson00, name)(answer)
    hints_at(outcome, capsys, statement="the answer is a function", words=["without calling"])


# --- decide


def winner(probabilities, threshold):
    return max(probabilities, key=probabilities.get)


def by_index(probabilities, threshold):
    return int(np.argmax(list(probabilities.values())))


def last_word(probabilities, threshold):
    return max(probabilities) if max(probabilities.values()) >= threshold else "?"


def probability(probabilities, threshold):
    return max(probabilities.values())


def strictly_above(probabilities, threshold):
    best = winner(probabilities, threshold)
    return best if probabilities[best] > threshold else "?"


def least(probabilities, threshold):
    return min(probabilities, key=probabilities.get)


def never_sure(probabilities, threshold):
    return "?"


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (last_word, "the answer is the word with the highest probability", ["alphabet", "key="]),
        (probability, "the answer is a word", ["0.8, the probability", "as text"]),
        (by_index, "the answer is a word", ["1, a number"]),
        (least, "the answer is the word with the highest probability", ["largest of the values"]),
        (never_sure, "the answer is the word with the highest probability", ["only below the threshold"]),
        (winner, 'below the threshold the answer is "?"', ["0.6", "'5'"]),
        (strictly_above, "a probability equal to the threshold is enough", ["not <="]),
        (
            lambda p, t: winner(p, t) if max(p.values()) >= min(t, 0.5) else "?",
            "it holds for any probabilities and any threshold",
            ["threshold"],
        ),
    ],
)
def test_decide_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson00.decide(answer), capsys, statement=statement, words=words)


# --- breaking_point


def last_survived(is_right, levels):
    return min(level for level in levels if is_right(level))


def from_the_noisy_end(is_right, levels):
    return next(level for level in sorted(levels) if not is_right(level))


def in_the_order_given(is_right, levels):
    return next((level for level in levels if not is_right(level)), None)


def after_the_last_success(is_right, levels):
    wrong = None
    for level in sorted(levels):
        if is_right(level):
            break
        wrong = level
    return wrong


def without_an_end(is_right, levels):
    for level in sorted(levels, reverse=True):
        if not is_right(level):
            return level
    return level


def raises_when_it_never_fails(is_right, levels):
    return max(level for level in levels if not is_right(level))


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (last_survived, "the answer is a level at which the machine is wrong", ["survives"]),
        (from_the_noisy_end, "the search goes from the least noise to the most", ["-5", "highest"]),
        (lambda is_right, levels: is_right(5), "the answer is a level", ["False", "in dB"]),
        (lambda is_right, levels: None, "a machine that fails gives a level", ["None"]),
        (in_the_order_given, "the order of the list does not matter", ["Sort"]),
        (after_the_last_success, "a lucky guess in louder noise changes nothing", ["first failure"]),
        (without_an_end, "a machine that never fails gives None", ["-5", "None"]),
        (raises_when_it_never_fails, "the function runs without an error", ["ValueError", "line 2"]),
    ],
)
def test_breaking_point_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson00.breaking_point(answer), capsys, statement=statement, words=words)


# --- to_course_rate


def swapped(samples, sample_rate):
    return audio.resample(samples, source_rate=16_000, target_rate=sample_rate)


def padded(samples, sample_rate):
    return np.pad(samples, (0, max(0, len(samples) * 16_000 // sample_rate - len(samples))))[
        : len(samples) * 16_000 // sample_rate
    ]


def repeated(samples, sample_rate):
    return samples[np.arange(len(samples) * 16_000 // sample_rate) * sample_rate // 16_000]


def telephones_only(samples, sample_rate):
    if sample_rate == 16_000:
        return samples
    return audio.resample(samples, source_rate=8_000, target_rate=16_000)


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (swapped, "the sound lasts as long as before", ["2000 samples", "0.12 s"]),
        (lambda samples, sample_rate: samples, "the sound lasts as long as before", ["4000 samples"]),
        (telephones_only, "the sound lasts as long as before", ["44100 Hz", "not a fixed one"]),
        (padded, "the pitch stays what it was", ["1000 Hz", "padding"]),
        (repeated, "no new tones appear", ["repeated"]),
        (lambda samples, sample_rate: samples[::-1], "the sound lasts as long as before", []),
        (lambda samples, sample_rate: 16_000, "the answer is one row of samples", ["16000"]),
    ],
)
def test_to_course_rate_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson00.to_course_rate(answer), capsys, statement=statement, words=words)


# --- accuracy


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (
            lambda a, b: sum(x == y for x, y in zip(a, b, strict=True)),
            "the answer is a share, from 0 to 1",
            ["3, a count"],
        ),
        (
            lambda a, b: 100 * np.mean(np.array(a) == np.array(b)),
            "the answer is a share, from 0 to 1",
            ["per cent"],
        ),
        (
            lambda a, b: np.mean(np.array(a) != np.array(b)),
            "right answers are counted, not wrong ones",
            ["errors"],
        ),
        (lambda a, b: a == b, "the answer is a number", ["False", "word by word"]),
        (
            lambda a, b: float(a == b),
            "the answer is the number of right words over the number of words",
            ["as a whole"],
        ),
        (
            lambda a, b: len(set(a) & set(b)) / len(a),
            "words are compared place by place",
            ["Which words occur"],
        ),
        (
            lambda a, b: sum(x == y for x, y in zip(a, b, strict=True)) / (4 if len(a) == 4 else 3),
            "it holds for lists of any length",
            ["length of the list"],
        ),
    ],
)
def test_accuracy_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson00.accuracy(answer), capsys, statement=statement, words=words)


# --- what all checks share


def test_a_notebook_shows_the_outcome_once(capsys):
    """The check prints; the value of the cell's last line must not print it again."""
    pytest.importorskip("IPython")
    from IPython.core.formatters import DisplayFormatter

    @exercise
    def anything(answer):
        """Accept every function."""

    outcome = anything(len)
    assert capsys.readouterr().out == "yes\n"
    assert DisplayFormatter().format(outcome) == ({}, {})


def test_an_error_of_the_check_itself_is_not_blamed_on_the_learner():
    @exercise
    def broken(answer):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken(len)


def test_the_line_in_a_hint_is_counted_from_the_function():
    @exercise
    def anything(answer):
        call(answer, 3)

    def stops(x):
        y = x - 3
        return x / y

    assert "at line 3 of the function: ZeroDivisionError" in anything(stops).hint


def test_none_is_an_answer_only_where_it_may_be_one():
    assert call(lambda: None, may_be_none=True) is None

    @exercise
    def needs_one(answer):
        expect(call(answer) is None, "never reached", hint="")

    assert needs_one(lambda: None).property == "the function returns an answer"


def test_values_are_shown_in_a_few_characters():
    assert show(np.zeros((3, 2))) == "an array of shape (3, 2)"
    assert show(np.float64(0.5)) == "0.5"
    assert len(show("x" * 1000)) == 60
