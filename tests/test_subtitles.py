"""Subtitles: what was said stays in order, nothing is lost, and any player can read it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrlib.passages import TimedWord
from asrlib.subtitles import Subtitle, from_srt, lines, to_srt


def words_from(pieces):
    """Make words of (gap before, length, text)."""
    words, now = [], 0.0
    for gap, length, text in pieces:
        words.append(TimedWord(text, now + gap, now + gap + length, 0.9))
        now += gap + length
    return words


WORDS = st.lists(
    st.tuples(st.floats(0, 3), st.floats(0.01, 1), st.text("0123456789ab", min_size=1, max_size=12)),
    max_size=30,
).map(words_from)


@given(words=WORDS, gap=st.floats(0.01, 3), longest=st.floats(0.5, 10), characters=st.integers(1, 60))
def test_lines_hold_every_word_in_order_and_never_overlap(words, gap, longest, characters):
    found = list(lines(words, longest_gap=gap, longest_line=longest, characters=characters))
    assert " ".join(line.text for line in found).split() == [word.text for word in words]
    moments = [moment for line in found for moment in (line.start, line.stop)]
    assert moments == sorted(moments)
    place = 0
    for line in found:
        inside = words[place : place + len(line.text.split())]
        place += len(inside)
        assert line.start == inside[0].start
        if len(inside) > 1:
            assert len(line.text) <= characters
            assert inside[-1].stop - inside[0].start <= longest
            assert all(b.start - a.stop <= gap for a, b in pairwise(inside))


def test_a_short_line_stays_until_it_can_be_read_or_the_next_one_comes():
    words = words_from([(0.5, 0.3, "1"), (1.2, 0.2, "2"), (5.0, 0.2, "3")])
    shown = [(line.start, line.stop) for line in lines(words, shortest_line=2.0)]
    assert shown == [pytest.approx(times) for times in [(0.5, 2.0), (2.0, 4.0), (7.2, 9.2)]]


def test_a_line_is_given_as_soon_as_it_is_certain():
    words = iter(words_from([(0.5, 0.3, "1"), (2.0, 0.2, "2"), (5.0, 0.2, "3")]))
    assert next(lines(words)).text == "1"
    assert next(words).text == "3"


@pytest.mark.parametrize("name", ["longest_gap", "longest_line", "characters", "shortest_line"])
def test_limits_must_be_positive(name):
    with pytest.raises(ValueError, match=name):
        list(lines([], **{name: 0}))


def test_words_out_of_order_are_refused():
    words = words_from([(0.5, 0.3, "1"), (1.2, 0.2, "2")])
    with pytest.raises(ValueError, match="order of time"):
        list(lines(reversed(words)))


@given(
    st.lists(
        st.tuples(st.integers(0, 10**9), st.integers(0, 10**5), st.text("ab 1", min_size=1).map(str.strip)),
        max_size=10,
    )
)
def test_srt_round_trip(entries):
    subtitles = [
        Subtitle(start / 1000, (start + length) / 1000, text) for start, length, text in entries if text
    ]
    text = "".join(to_srt(subtitles))
    assert from_srt(text) == subtitles
    assert from_srt("\ufeff" + text.replace("\n", "\r\n")) == subtitles
    assert text.count("-->") == len(subtitles)


def test_srt_is_what_players_expect():
    text = "".join(to_srt([Subtitle(3599.9996, 3661.5, "5 0"), Subtitle(3662, 360_000, "3")]))
    assert text == ("1\n01:00:00,000 --> 01:01:01,500\n5 0\n\n2\n01:01:02,000 --> 100:00:00,000\n3\n\n")


def test_what_is_no_srt_is_refused():
    with pytest.raises(ValueError, match="Expected SubRip"):
        from_srt("1\nhello\n")
