"""Edit distance and error rates: against jiwer, a search of all ways, and known answers."""

from functools import cache

import jiwer
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrlib import texts
from asrlib.texts import Edit, ErrorCounts, align, edit_distance

SEQUENCES = st.lists(st.sampled_from("abc"), max_size=6)


def random_texts(n, *, seed, letters="abc", longest=8):
    """Words that often agree, sentences that differ in length, some of them empty."""
    rng = np.random.default_rng(seed)
    words = [*letters, "zero", "oh"]
    return [" ".join(rng.choice(words, size=rng.integers(0, longest + 1))) for _ in range(n)]


def shortest_way(expected, heard):
    """Try every way, with no table."""

    @cache
    def rest(i, j):
        if i == len(expected) or j == len(heard):
            return len(expected) - i + len(heard) - j
        replace = rest(i + 1, j + 1) + (expected[i] != heard[j])
        return min(replace, rest(i + 1, j) + 1, rest(i, j + 1) + 1)

    return rest(0, 0)


# --- the distance


@given(SEQUENCES, SEQUENCES)
def test_edit_distance_is_the_shortest_way_of_all(expected, heard):
    assert edit_distance(expected, heard) == shortest_way(expected, heard)


@given(SEQUENCES, SEQUENCES, SEQUENCES)
def test_edit_distance_is_a_distance(one, two, three):
    assert edit_distance(one, two) == edit_distance(two, one)
    assert (edit_distance(one, two) == 0) == (one == two)
    assert edit_distance(one, three) <= edit_distance(one, two) + edit_distance(two, three)


@pytest.mark.parametrize(
    ("expected", "heard", "distance"),
    [
        ("kitten", "sitting", 3),
        ("", "", 0),
        ("", "abc", 3),
        ("abc", "", 3),
        ("seven", "even", 1),
        ("ab", "ba", 2),
    ],
)
def test_edit_distance_of_known_pairs(expected, heard, distance):
    assert edit_distance(expected, heard) == distance
    assert edit_distance(list(expected), list(heard)) == distance


def test_strings_are_compared_by_character_and_lists_by_item():
    assert edit_distance("one", "on") == 1
    assert edit_distance(["one"], ["on"]) == 1
    assert edit_distance(["one", "two"], ["onetwo"]) == 2
    assert edit_distance([5, 0, 3], np.array([5, 3])) == 1
    with pytest.raises(ValueError, match=r"A str and a list came\. Expected two strings"):
        edit_distance("one two", ["one", "two"])


def test_the_table_counts_every_pair_of_beginnings():
    expected, heard = "seven", "eleven"
    table = texts.distance_table(expected, heard)
    assert table.shape == (6, 7)
    for row, column in np.ndindex(table.shape):
        assert table[row, column] == edit_distance(expected[:row], heard[:column])


# --- the alignment


@given(SEQUENCES, SEQUENCES)
def test_an_alignment_spells_both_texts_and_costs_the_distance(expected, heard):
    edits = align(expected, heard)
    assert [edit.expected for edit in edits if edit.kind != "insertion"] == expected
    assert [edit.heard for edit in edits if edit.kind != "deletion"] == heard
    assert sum(edit.kind != "hit" for edit in edits) == edit_distance(expected, heard)
    for kind, said, word in edits:
        assert (kind == "hit") == (said == word)
        assert (kind == "insertion") == (said is None)
        assert (kind == "deletion") == (word is None)


def test_alignments_of_known_pairs():
    assert align("ab", "b") == [Edit("deletion", "a", None), Edit("hit", "b", "b")]
    assert align("b", "ab") == [Edit("insertion", None, "a"), Edit("hit", "b", "b")]
    assert align("ab", "ac") == [Edit("hit", "a", "a"), Edit("substitution", "b", "c")]
    assert align("", "") == []


def test_an_alignment_is_written_in_columns():
    shown = texts.show_alignment(align(["one", "two", "three", "four"], ["one", "too", "four", "four"]))
    said, heard, marks = shown.splitlines()
    assert said.split() == ["said", "one", "two", "three", "four"]
    assert heard.split() == ["heard", "one", "too", "four", "four"]
    assert marks.index("S") == said.index("two") == heard.index("too")
    shown = texts.show_alignment(align(["x", "y", "z"], ["y", "z", "w"])).splitlines()
    assert shown[2][shown[0].index("x")] == "D"
    assert shown[2][shown[1].index("w")] == "I"


# --- error rates


def test_rates_of_thousands_of_pairs_are_jiwers():
    expected, heard = random_texts(3000, seed=1), random_texts(3000, seed=2)
    n_empty = 0
    for said, understood in zip(expected, heard, strict=True):
        if not said:
            n_empty += 1
            continue
        assert texts.wer(said, understood) == pytest.approx(jiwer.wer(said, understood), abs=1e-12)
        assert texts.cer(said, understood) == pytest.approx(jiwer.cer(said, understood), abs=1e-12)
    assert 0 < n_empty < 1000
    assert texts.wer(expected, heard) == pytest.approx(jiwer.wer(expected, heard), abs=1e-12)
    assert texts.cer(expected, heard) == pytest.approx(jiwer.cer(expected, heard), abs=1e-12)


@given(st.lists(st.tuples(st.text("ab ä", max_size=8), st.text("ab ä", max_size=8)), min_size=1, max_size=4))
def test_rates_of_any_texts_are_jiwers(pairs):
    expected, heard = map(list, zip(*pairs, strict=True))
    if any(text.strip() for text in expected):
        assert texts.wer(expected, heard) == pytest.approx(jiwer.wer(expected, heard), abs=1e-12)
        assert texts.cer(expected, heard) == pytest.approx(jiwer.cer(expected, heard), abs=1e-12)


def test_errors_are_summed_before_they_are_divided():
    expected, heard = ["one two three four five six seven eight nine", "oh"], ["one two three", "zero"]
    assert texts.wer(expected, heard) == 7 / 10
    assert np.mean([texts.wer(*pair) for pair in zip(expected, heard, strict=True)]) != 7 / 10
    summed = texts.word_errors(expected[0], heard[0]) + texts.word_errors(expected[1], heard[1])
    assert summed == texts.word_errors(expected, heard)
    assert summed == ErrorCounts(hits=3, substitutions=1, deletions=6, insertions=0)


def test_counts_tell_which_errors_there_were():
    counts = texts.word_errors("one two three", "one too three four")
    assert counts == ErrorCounts(hits=2, substitutions=1, deletions=0, insertions=1)
    assert (counts.n_expected, counts.errors, counts.rate) == (3, 2, 2 / 3)
    assert str(counts) == "66.7 % (2 errors in 3: 1 substituted, 0 deleted, 1 inserted)"
    assert texts.wer("one", "two three four") == 3  # more errors than words


def test_nothing_is_changed_in_a_text_but_the_white_space_around_words():
    assert texts.wer("One, two", "one two") == 0.5
    assert texts.wer(" one \t two\n", "one two") == 0
    assert texts.cer(" a b ", "a b") == 0
    assert texts.cer("a b", "ab") == 1 / 3


def test_silence_has_errors_but_no_rate():
    counts = texts.word_errors("", "one two")
    assert counts == ErrorCounts(insertions=2)
    assert str(counts).startswith("no rate (2 errors in 0")
    for rate in (texts.wer, texts.cer):
        with pytest.raises(ValueError, match="Nothing was said, so 2 errors have no rate"):
            rate("", "ab" if rate is texts.cer else "a b")
    assert texts.wer(["", "one"], ["two", "one"]) == 1


@pytest.mark.parametrize(
    ("expected", "heard", "message"),
    [
        (["a"], ["a", "b"], "1 texts were said and 2 heard"),
        ([], [], "0 texts were said and 0 heard"),
        ("a", ["a"], "A str and a list came"),
        ([["a", "b"]], [["a", "b"]], r"\['a', 'b'\] came as a text.*join words"),
        ([None], ["a"], "None came as a text"),
    ],
)
def test_what_are_no_texts_is_said(expected, heard, message):
    for count in (texts.wer, texts.cer, texts.word_errors, texts.character_errors):
        with pytest.raises(ValueError, match=message):
            count(expected, heard)
