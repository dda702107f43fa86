"""Lesson 9: checks know its solutions and the usual mistakes; the explorer and the figures tell the truth."""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from exercises import answers_in

from asrlib import check, datasets, plots, streaming, texts
from asrlib.features import FeatureConfig
from asrlib.models import CtcConfig, weight_shapes
from asrlib.streaming import LookAheadStream, StringListener, VadConfig
from asrlib.string_recognizer import StringRecognizer
from asrlib.widgets import StreamingExplorer, realtime

LESSON = Path(__file__).resolve().parents[1] / "notebooks" / "09_real_time.ipynb"
EXERCISES = ("causal_filter", "end_points", "latency_ms", "shortest_chunk", "write")


@pytest.fixture(autouse=True)
def fresh_figures():
    with mpl.rc_context():
        yield
        plots.style("light")
    plt.close("all")


def answers(tag):
    return answers_in(LESSON, tag, np=np)


def hints_at(outcome, capsys, *, statement, words):
    """Assert that a check failed at a property, with a hint that has these words, and printed both."""
    printed = capsys.readouterr().out
    assert not outcome
    assert outcome.property == statement
    for word in words:
        assert word in outcome.hint
    assert printed == f"{outcome}\n"
    assert max(map(len, printed.splitlines())) <= 96


# --- the checks


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_in_the_lesson_passes(name, capsys):
    assert getattr(check.lesson09, name)(answers("solution")[name]).ok
    assert capsys.readouterr().out == "yes\n"


@pytest.mark.parametrize("name", EXERCISES)
def test_the_stub_in_the_lesson_does_not_pass(name, capsys):
    outcome = getattr(check.lesson09, name)(answers("exercise")[name])
    assert not outcome.ok
    assert outcome.property and outcome.hint
    assert capsys.readouterr().out.startswith("not yet: ")


def test_every_check_has_its_exercise_and_its_solution():
    assert set(EXERCISES) == set(check.lesson09.__all__)


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.parametrize("answer", [None, 0.75, "7"])
def test_what_is_no_function_is_told_so(name, answer, capsys):
    outcome = getattr(check.lesson09, name)(answer)
    hints_at(outcome, capsys, statement="the answer is a function", words=["without calling"])


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (lambda stop, sure, c, t: sure - stop + t, "the chunk must be full", ["full at 1000", "205"]),
        (lambda stop, sure, c, t: sure // c * c + t - stop, "no answer comes before it is certain", ["up"]),
        (
            lambda stop, sure, c, t: sure + c // 2 + t - stop,
            "the wait for the chunk is that of this word",
            ["the mean"],
        ),
        (
            lambda stop, sure, c, t: sure + c + t - stop,
            "the wait for the chunk is that of this word",
            ["the worst"],
        ),
        (lambda stop, sure, c, t: -(-sure // c) * c - stop, "computing takes time too", ["compute"]),
        (lambda stop, sure, c, t: -(-sure // c) * c + t, "latency counts from the end of the word", ["stop"]),
        (
            lambda stop, sure, c, t: (sure // c + 1) * c + t - stop,
            "what is certain with the last sample of a chunk does not wait for another",
            ["208", "308"],
        ),
        (
            lambda stop, sure, c, t: -(-sure // 100) * 100 + t - stop,
            "it holds for any chunk",
            ["chunks of"],
        ),
        (lambda stop, sure, c, t: "soon", "the answer is a number", ["soon"]),
        (lambda stop, sure, c: 0, "the function runs without an error", ["730"]),
    ],
)
def test_latency_ms_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson09.latency_ms(answer), capsys, statement=statement, words=words)


def without_wrapping(places, end, chunk):
    at = end % len(places)
    places[at : at + len(chunk)] = chunk
    return end + len(chunk)


def into_a_copy(places, end, chunk):
    places = places.copy()
    places[np.arange(end, end + len(chunk)) % len(places)] = chunk
    return end + len(chunk)


def place_as_end(places, end, chunk):
    places[np.arange(end, end + len(chunk)) % len(places)] = chunk
    return (end + len(chunk)) % len(places)


def oldest_of_a_long_chunk(places, end, chunk):
    kept = chunk[: len(places)]
    places[np.arange(end, end + len(kept)) % len(places)] = kept
    return end + len(chunk)


def long_chunk_from_the_first_place(places, end, chunk):
    if len(chunk) >= len(places):
        places[:] = chunk[-len(places) :]
        return end + len(chunk)
    places[np.arange(end, end + len(chunk)) % len(places)] = chunk
    return end + len(chunk)


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (without_wrapping, "the function runs without an error", ["broadcast"]),
        (into_a_copy, "samples lie in the ring in their order", ["not a copy"]),
        (place_as_end, "the new end counts all samples of the stream", ["only grows"]),
        (
            oldest_of_a_long_chunk,
            "of a chunk longer than the ring the newest samples stay",
            ["10 11 12 13 14"],
        ),
        (
            long_chunk_from_the_first_place,
            "sample n lies at n % len(places), whatever the chunks",
            ["np.arange"],
        ),
        (lambda places, end, chunk: end, "samples lie in the ring in their order", ["0 1 2 3 4 5 0 0"]),
    ],
)
def test_write_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson09.write(answer), capsys, statement=statement, words=words)


def test_the_colleagues_ring_is_named(capsys):
    hints_at(
        check.lesson09.write(answers("exercise")["write"]),
        capsys,
        statement="what does not fit before the last place goes on at the first",
        words=["8 9 2 3 4 5 6 7", "0 1 2 3 4 5 6 7"],
    )


def runs_of_loud(loud, hang_over, *, last=lambda stop, hang_over: stop + hang_over, gap=None, open_too=False):
    """Find stretches the short way, with a mistake where the arguments ask for one."""
    gap = hang_over if gap is None else gap
    at = np.flatnonzero(loud)
    if not len(at):
        return []
    ends = [*np.flatnonzero(np.diff(at) > gap).tolist(), len(at) - 1]
    starts = [0, *(end + 1 for end in ends[:-1])]
    found = [(at[a], at[b] + 1, last(at[b] + 1, hang_over)) for a, b in zip(starts, ends, strict=True)]
    return [row for row in found if open_too or row[1] + hang_over <= len(loud)]


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (
            lambda loud, h: [(a, b + h, b + h) for a, b, _ in runs_of_loud(loud, h)],
            "the hang-over does not belong to the speech",
            ["last loud frame"],
        ),
        (
            lambda loud, h: [(a, b - 1, c) for a, b, c in runs_of_loud(loud, h)],
            "stop is the frame after the last loud one",
            ["slice"],
        ),
        (
            lambda loud, h: [(a, b, b) for a, b, _ in runs_of_loud(loud, h)],
            "an end is certain a hang-over after it",
            ["(2, 4, 7)"],
        ),
        (
            lambda loud, h: [(a, b, c - 1) for a, b, c in runs_of_loud(loud, h)],
            "certain counts the frames that had been heard",
            ["seventh"],
        ),
        (
            lambda loud, h: runs_of_loud(loud, h, gap=1),
            "a pause shorter than the hang-over does not end a stretch",
            ["too few"],
        ),
        (
            lambda loud, h: runs_of_loud(loud, h, gap=h + 1),
            "a pause as long as the hang-over ends it",
            ["before the next word"],
        ),
        (
            lambda loud, h: runs_of_loud(loud, h, open_too=True),
            "what has not ended for certain is not given yet",
            ["may go on"],
        ),
        (lambda loud, h: 7, "there is a list with three numbers for each stretch", ["7"]),
        (
            lambda loud, h: [(i, i + 1, i + 1 + h) for i in np.flatnonzero(loud)],
            "one run of loud frames is one stretch",
            ["one stretch"],
        ),
    ],
)
def test_end_points_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson09.end_points(answer), capsys, statement=statement, words=words)


def test_the_end_points_of_the_solution_are_the_librarys():
    rng = np.random.default_rng(0)
    config = VadConfig(hang_over_seconds=0.08, margin_seconds=0.0, shortest_seconds=0.01)
    sound = np.repeat(rng.choice([0.0, 0.2], 60, p=[0.6, 0.4]), 800) * rng.choice([-1.0, 1.0], 48_000)
    sound = np.concatenate([np.zeros(16_000), sound, np.zeros(16_000)]).astype(np.float32)
    loud = streaming.voice_activity(sound, config).loud
    ours = answers("solution")["end_points"](loud, 8)
    theirs = [(s.start, s.stop, s.certain) for s in streaming.speech_segments(sound, config)]
    assert len(theirs) > 3
    np.testing.assert_allclose(np.array(ours) / 100, theirs, atol=1e-9)


def same_mode(chunk, kernel, past):
    both = np.concatenate([past, chunk])
    out = np.convolve(both, kernel, mode="same")[len(past) :] if len(kernel) > 1 else kernel[0] * chunk
    return out, both[len(both) - len(kernel) + 1 :]


def turned(chunk, kernel, past):
    both = np.concatenate([past, chunk])
    return np.correlate(both, kernel, mode="valid"), both[len(both) - len(kernel) + 1 :]


def short_past(chunk, kernel, past):
    both = np.concatenate([past, chunk])
    after = chunk[-(len(kernel) - 1) :] if len(chunk) >= len(kernel) - 1 else chunk
    return np.convolve(both, kernel, mode="valid"), after


def all_of_it(chunk, kernel, past):
    both = np.concatenate([past, chunk])
    return np.convolve(both, kernel, mode="valid"), both[-(len(kernel) - 1) :]


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (same_mode, "no sample hears a later one", ["mode='valid'"]),
        (turned, "the kernel's first value meets the newest sample", ["other way round"]),
        (short_past, "the past may reach back beyond a short chunk", ["past and chunk together"]),
        (all_of_it, "what comes out is as long as what went in", ["mode='valid'"]),
        (
            lambda x, k, past: (np.convolve(x, k)[: len(x)], past),
            "the first samples of a chunk hear the last ones of the chunk before",
            ["past before the chunk"],
        ),
        (
            lambda x, k, past: (np.convolve(np.concatenate([past, x]), k), past),
            "what comes out is as long as what went in",
            ["3 samples"],
        ),
        (lambda x, k, past: np.convolve(x, k), "there are two results: the filtered chunk, and the past "
         "for the next one", ["filtered, past"]),
    ],
)  # fmt: skip
def test_causal_filter_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson09.causal_filter(answer), capsys, statement=statement, words=words)


def test_the_colleagues_click_is_named(capsys):
    hints_at(
        check.lesson09.causal_filter(answers("exercise")["causal_filter"]),
        capsys,
        statement="the first samples of a chunk hear the last ones of the chunk before",
        words=["Put past before the chunk"],
    )


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (lambda a, b: a, "the sound in the chunk costs time too", ["per_second"]),
        (lambda a, b: a + b, "a chunk is not a second", ["each second of sound"]),
        (lambda a, b: a * (1 + b), "a longer chunk takes longer", ["solve"]),
        (
            lambda a, b: a / b if b else 0.0,
            "computing takes just as long as the chunk lasts",
            ["by luck", "0.08", "0.24"],
        ),
        (lambda a, b: a / (1 + b), "a machine that computes more needs longer chunks", ["sign"]),
        (lambda a, b: 1000 * a / (1 - b), "the chunk is in seconds", ["seconds"]),
        (lambda a, b: a / (1 - b), "a machine slower than the sound never keeps up", ["divides by 0"]),
        (
            lambda a, b: a / (1 - b) if b != 1 else np.inf,
            "a machine slower than the sound never keeps up",
            ["1.7", "np.inf"],
        ),
    ],
)
def test_shortest_chunk_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson09.shortest_chunk(answer), capsys, statement=statement, words=words)


# --- the figures


def test_a_budget_adds_up():
    ax = plots.latency_budget({"a": {"x": 100, "y": 50}, "b": {"x": 10, "y": 0}}, goal_ms=300)
    ends = sorted(bar.get_x() + bar.get_width() for bar in ax.patches)
    assert ends == [10, 10, 100, 150]
    assert "a: 150 ms (x 100, y 50)" in plots.alt_text(ax)
    for wrong in ({}, {"a": {"x": 1}, "b": {"y": 1}}, {"a": {"x": -1}}, {"a": {"x": np.nan}}):
        with pytest.raises(ValueError, match=r"parts|number of ms"):
            plots.latency_budget(wrong)


@pytest.mark.parametrize(("first", "end"), [(0, 0), (0, 5), (9, 21), (16, 32), (30, 30)])
def test_a_ring_shows_what_is_unread(first, end):
    ax = plots.ring_buffer(16, first=first, end=end)
    main = mpl.colors.to_rgba(plots.COLORS["blue"])
    assert sum(wedge.get_facecolor() == main for wedge in ax.patches) == end - first
    assert f"place {end % 16}" in plots.alt_text(ax)


def test_a_ring_holds_no_more_than_it_can():
    for arguments in ({"first": 0, "end": 17}, {"first": 3, "end": 2}, {"first": -1, "end": 2}):
        with pytest.raises(ValueError, match="unread samples"):
            plots.ring_buffer(16, **arguments)
    with pytest.raises(ValueError, match="4 to 40"):
        plots.ring_buffer(100, first=0, end=2)


def test_voice_activity_draws_the_decisions():
    sound = np.zeros(16_000, np.float32)
    sound[4_000:12_000] = 0.1 * np.sin(np.arange(8_000))
    activity = streaming.voice_activity(sound)
    ax = plots.voice_activity(activity)
    loud, speech = (bar.get_paths()[0].get_extents() for bar in ax.collections)
    assert loud.x0 == pytest.approx(0.25, abs=0.011) and loud.x1 < speech.x1
    assert speech.x1 - speech.x0 == pytest.approx(activity.speech.sum() / 100)
    with pytest.raises(ValueError, match="no frame"):
        plots.voice_activity(streaming.voice_activity(np.zeros(100, np.float32)))


def test_words_are_cut_by_a_hang_over_up_to_their_pause():
    ax = plots.words_cut({"quiet": [0, 50, 100, 100]}, hang_over_ms=200)
    x, y = ax.lines[0].get_data()
    assert dict(zip(x, y, strict=True))[50] == 75 and dict(zip(x, y, strict=True))[110] == 0
    with pytest.raises(ValueError, match="longest pause"):
        plots.words_cut({"quiet": []})


def test_seams_tell_wrong_from_missing():
    whole = np.random.default_rng(0).normal(size=(30, 5))
    broken = whole.copy()
    broken[3], broken[10:13] = broken[3] + 2, np.nan
    ax = plots.seams(broken, whole, borders=[0.1])
    assert plots.alt_text(ax) == (
        "Difference of two times 30 frames: 1 differs by more than 0.001, at most by 2; 3 are missing."
    )
    assert plots.alt_text(plots.seams(whole, whole)).endswith("30 frames: none.")
    with pytest.raises(ValueError, match="the same"):
        plots.seams(whole[:3], whole)


def test_answers_stand_where_they_were_written():
    ax = plots.answer_times(
        np.zeros(32_000), [("7", 0.2, 0.5)], {"quick": [("7", 0.75)], "slow": [("7", 2.5)]}
    )
    marks = [line.get_xdata()[0] for line in ax.lines if line.get_marker() not in ("None", None, "")]
    assert marks == [0.75, 2.5]
    assert ax.get_xlim()[1] > 2.5
    with pytest.raises(ValueError, match="no listener"):
        plots.answer_times(np.zeros(10), [], {})


def test_backlogs_are_drawn_over_the_sound():
    ax = plots.backlogs({"slow": [0.1, 0.3]}, chunk_seconds=0.5, patience_seconds=0.2)
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [0.5, 1.0])
    with pytest.raises(ValueError, match="no machine"):
        plots.backlogs({}, chunk_seconds=0.1)


def test_computing_longer_than_the_sound_stands_out():
    ax = plots.compute_times({"quick": 2.0, "slow": 300.0}, goal_ms=5)
    quick, slow = ax.patches
    assert quick.get_facecolor() != slow.get_facecolor() and slow.get_hatch()
    assert slow.get_x() + slow.get_width() == pytest.approx(300)
    for wrong in ({}, {"a": 0.0}, {"a": float("nan")}):
        with pytest.raises(ValueError, match="above 0"):
            plots.compute_times(wrong)


def test_error_against_latency_draws_each_network():
    ax = plots.error_against_latency(
        {"causal": [("", 100, 0.1)], "both": [("a", 200, 0.05), ("b", 400, 0.02)]}
    )
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [5, 2])
    assert "both: 5.0 % at 200 ms (a), 2.0 % at 400 ms (b)" in plots.alt_text(ax)
    with pytest.raises(ValueError, match="at least one"):
        plots.error_against_latency({"causal": []})


# --- the explorer


@pytest.fixture(scope="module")
def machines():
    """Give a causal network and one that reads both ways, of random weights."""
    rng = np.random.default_rng(1)
    made = []
    for config in (
        CtcConfig(bidirectional=False, causal=True, conv_channels=(4, 6), projection=8, gru_units=8),
        CtcConfig(conv_channels=(4, 6), projection=8, gru_units=8),
    ):
        shapes = weight_shapes(config, input_shape=(None, 20), n_classes=11)
        weights = {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}
        for name in weights:
            if name.endswith(("variance", "gamma")):
                weights[name] = np.abs(weights[name]) + 0.5
        weights["input_norm/moving_mean"] -= 8
        weights["input_norm/moving_variance"] += 4
        made.append(
            StringRecognizer(
                features=FeatureConfig(n_mels=20), model=config, weights=weights, labels=tuple("0123456789")
            )
        )
    return made


@pytest.fixture(scope="module")
def clips():
    return datasets.strings("test")[:5]


@pytest.fixture(scope="module")
def explorer(machines, clips):
    return StreamingExplorer(*machines, clips=clips)


def ungated(machine, samples, stream=None):
    """Return what a listener that never rests writes in chunks of 10 ms, and when it knew."""
    listener = StringListener(machine, stream=stream, gated=False)
    events = listener.listen(np.split(samples, range(160, len(samples), 160)))
    return [(event.text, event.heard) for event in events if event.kind == "word"]


@pytest.mark.parametrize("look_ahead", [None, 0.0, 0.16])
def test_the_explorer_knows_when_a_listener_knows(explorer, machines, look_ahead):
    causal, both_ways = machines
    machine = causal if look_ahead is None else both_ways
    stream = None
    if look_ahead is not None:
        stream = LookAheadStream(both_ways.network, look_ahead_seconds=look_ahead)
    choice = {"network": realtime.CAUSAL} if look_ahead is None else {
        "network": realtime.BOTH_WAYS, "look_ahead_seconds": look_ahead
    }  # fmt: skip
    result = explorer.compute(**{**explorer.values, **choice, "chunk_seconds": 0.01, "factor": 0.0})
    expected = ungated(machine, result.samples, stream)
    assert len(expected) > 1
    assert [text for text, _ in result.answers] == [text for text, _ in expected]
    np.testing.assert_allclose(
        [when for _, when in result.answers], [when for _, when in expected], atol=0.0101
    )


def test_a_whole_utterance_is_written_at_once_after_the_pause(explorer):
    result = explorer.compute(**{**explorer.values, "network": realtime.WHOLE, "chunk_seconds": 0.01})
    assert len({when for _, when in result.answers}) == 1
    assert result.answers[0][1] >= result.spoken[-1][2] + 0.4
    assert result.look_ahead_seconds == 0


def test_longer_chunks_and_slower_machines_make_words_later(explorer):
    values = {**explorer.values, "network": realtime.CAUSAL}
    medians = [
        np.median(explorer.compute(**{**values, "chunk_seconds": chunk, "factor": factor}).latencies_ms)
        for chunk, factor in ((0.02, 0.01), (0.2, 0.01), (1.0, 0.01), (1.0, 0.5), (1.0, 1.1))
    ]
    assert all(np.diff(medians) > 0)


def test_when_a_word_is_written_follows_the_queue():
    """Chunk by chunk: one begins when it is full and the one before is done."""
    for factor in (0.05, 0.9, 1.0, 1.4):
        done = 0.0
        for number in range(1, 30):
            done = max(done, 0.1 * number) + factor * 0.1
            got = realtime.answered_at(0.1 * number - 0.03, chunk_seconds=0.1, factor=factor)
            assert got == pytest.approx(done)


def test_the_explorer_counts_errors_as_the_course_does(explorer, clips):
    result = explorer.compute(**{**explorer.values, "network": realtime.CAUSAL})
    heard = [" ".join(word for word, _ in ungated(explorer.causal, samples)) for samples in explorer._sounds]
    assert result.errors.rate == pytest.approx(texts.wer(clips.labels.tolist(), heard))
    assert {name: len(rows) for name, rows in result.places.items()} == {
        realtime.CAUSAL: 1,
        realtime.BOTH_WAYS: 6,
        realtime.WHOLE: 1,
    }


def test_the_explorer_tells_and_draws_what_it_found(explorer):
    still = explorer.still(network=realtime.BOTH_WAYS, look_ahead_seconds=0.32, chunk_seconds=0.2)
    assert still.png.startswith(b"\x89PNG")
    assert "looking ahead 320 ms; chunks of 200 ms" in still.text
    assert f"Here said {still.result.said}, written {still.result.wrote}." in still.text
    assert "too slow" in explorer.still(factor=1.1).text
    early = explorer.still(network=realtime.CAUSAL, chunk_seconds=0.01)
    middle = np.median(early.result.latencies_ms)
    assert f"{abs(middle):.0f} ms {'before' if round(middle) < 0 else 'after'} their end" in early.text
    late = explorer.still(network=realtime.WHOLE, factor=1.1)
    assert len(explorer.sound(late.result)) >= 16_000 * late.result.answers[-1][1]


def test_every_control_of_the_explorer_changes_the_picture(explorer):
    explorer.set(network=realtime.BOTH_WAYS)
    before = explorer.still().png
    for change in (
        {"network": realtime.CAUSAL},
        {"look_ahead_seconds": 0.64},
        {"chunk_seconds": 1.0},
        {"factor": 0.9},
        {"clip": explorer.inputs["clip"].options[1]},
    ):
        assert explorer.still(**change).png != before, change
    explorer.set(network=realtime.CAUSAL)


def test_what_moves_in_the_explorer_is_drawn_as_if_anew(explorer):
    _ = explorer.widget
    explorer.set(chunk_seconds=0.3, clip=explorer.inputs["clip"].options[2])
    changed = (explorer.picture.pixels() != explorer.picture.drawn_anew()).any(axis=2)
    assert changed.mean() < 0.005  # here moving lines lie over the axes' own


def test_the_explorer_refuses_networks_in_the_wrong_place(machines, clips):
    causal, both_ways = machines
    with pytest.raises(ValueError, match="causal network first"):
        StreamingExplorer(both_ways, causal, clips=clips)
    with pytest.raises(ValueError, match="at least one"):
        StreamingExplorer(causal, both_ways, clips=clips[:0])
