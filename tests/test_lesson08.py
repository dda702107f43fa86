"""Lesson 8: checks know its solutions and the usual mistakes; explorers and figures tell the truth."""

import math
from collections import Counter
from itertools import groupby, product
from pathlib import Path

import ipywidgets
import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from exercises import answers_in
from matplotlib.patches import Rectangle

from asrlib import audio, check, datasets, decoding, plots, texts
from asrlib.plots.decoding import ink_on, label_color, peaks
from asrlib.widgets import CollapseGame, DecodingExplorer

LESSON = Path(__file__).resolve().parents[1] / "notebooks" / "08_from_words_to_text.ipynb"
EXERCISES = ("check_digit", "collapse", "count_paths", "error_rate", "text_probability")
DIGITS = "0123456789"


@pytest.fixture(autouse=True)
def fresh_figures():
    with mpl.rc_context():
        yield
        plots.style("light")
    plt.close("all")


def answers(tag):
    found = answers_in(LESSON, tag, np=np, math=math, texts=texts)
    return found | {"check_digit": found.get("CheckDigit")}


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
    assert getattr(check.lesson08, name)(answers("solution")[name]).ok
    assert capsys.readouterr().out == "yes\n"


@pytest.mark.parametrize("name", EXERCISES)
def test_the_stub_in_the_lesson_does_not_pass(name, capsys):
    outcome = getattr(check.lesson08, name)(answers("exercise")[name])
    assert not outcome.ok
    assert outcome.property and outcome.hint
    assert capsys.readouterr().out.startswith("not yet: ")


def test_every_check_has_its_exercise_and_its_solution():
    assert set(EXERCISES) == set(check.lesson08.__all__)


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.parametrize("answer", [None, 0.75, "7"])
def test_what_is_no_function_is_told_so(name, answer, capsys):
    outcome = getattr(check.lesson08, name)(answer)
    hints_at(outcome, capsys, statement="the answer is a function", words=["without calling"])


def runs(path):
    return [label for label, _ in groupby(path)]


def without_last(path):
    text, label = [], 0
    for each in path:
        if each != label:
            if label:
                text.append(label)
            label = each
    return text


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (lambda path: [label for label in path if label], "repeats are merged", ["[4, 4, 4]"]),
        (runs, "blanks are dropped", ["writes nothing"]),
        (
            lambda path: runs([label for label in path if label]),
            "a blank keeps two equal labels apart",
            ["Merge first"],
        ),
        (
            lambda path: list(dict.fromkeys(label for label in path if label)),
            "a blank keeps two equal labels apart",
            ["[5]"],
        ),
        (without_last, "repeats are merged", ["returns []"]),
        (lambda path: "".join(map(str, path)), "the text is a list", ["list of class numbers"]),
    ],
)
def test_collapse_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson08.collapse(answer), capsys, statement=statement, words=words)


def test_collapse_takes_other_ways_to_write_a_list():
    assert check.lesson08.collapse(lambda path: tuple(label for label in runs(path) if label))
    assert check.lesson08.collapse(lambda path: np.array([label for label in runs(path) if label], int))


def ways(text, n_steps, *, start=2, end=2, jump=lambda nodes, s: nodes[s] not in (0, nodes[s - 2])):
    """Count by the lattice, right or with one thing wrong."""
    nodes = [0]
    for label in text:
        nodes += [label, 0]
    here = ([1] * start + [0] * len(nodes))[: len(nodes)]
    if start == -1:
        here = [0, 1] + [0] * (len(nodes) - 2)
    for _ in range(n_steps - 1):
        here = [
            here[s] + (here[s - 1] if s else 0) + (here[s - 2] if s > 1 and jump(nodes, s) else 0)
            for s in range(len(nodes))
        ]
    return sum(here[-end:])


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (lambda text, n: math.comb(n - 1, len(text) - 1), "a path may hold blanks", ["cuts between"]),
        (lambda text, n: ways(text, n, end=1), "one step can hold one label", ["label itself"]),
        (
            lambda text, n: ways(text, n, start=1),
            "one step can hold one label",
            ["there is 1"],
        ),
        (
            lambda text, n: ways(text, n, start=-1),
            "a path may begin and end with a blank or with a label",
            ["11, 01 and 10", "first two"],
        ),
        (
            lambda text, n: ways(text, n, jump=lambda nodes, s: False),
            "different neighbours need no blank between them",
            ["jump over"],
        ),
        (
            lambda text, n: ways(text, n, jump=lambda nodes, s: nodes[s] != 0),
            "equal neighbours need a blank between them",
            ["goes on"],
        ),
        (
            lambda text, n: ways(text, n) if text else 0,
            "the empty text has one path",
            ["single node"],
        ),
        (
            lambda text, n: (
                math.comb(n + len(text) - sum(map(int.__eq__, text, text[1:])), 2 * len(text)) + 0.5
            ),
            "a count is a whole number",
            ["5.5"],
        ),
        (lambda text, n: "many", "the answer is a number", ["many"]),
    ],
)
def test_count_paths_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson08.count_paths(answer), capsys, statement=statement, words=words)


def test_count_paths_takes_the_formula_and_the_loss():
    def formula(text, n_steps):
        repeats = sum(map(int.__eq__, text, text[1:]))
        return math.comb(n_steps + len(text) - repeats, 2 * len(text))

    def by_the_loss(text, n_steps):
        n_classes = max(text, default=1) + 1
        loss = decoding.ctc_loss(np.zeros((n_steps, n_classes)), text)
        return round(math.exp(n_steps * math.log(n_classes) - loss))

    assert check.lesson08.count_paths(formula)
    assert check.lesson08.count_paths(by_the_loss)


def summed(probabilities, text, *, ends=2, starts=2, combine=np.sum, jump=None):
    nodes = decoding.with_blanks(text)
    alpha = np.zeros(len(nodes))
    alpha[:starts] = probabilities[0, nodes[:starts]]
    for row in probabilities[1:]:
        moved = [alpha, np.append(0, alpha[:-1]), np.append([0, 0], alpha[:-2])[: len(nodes)]]
        allowed = (nodes != 0) & (nodes != np.append([0, 0], nodes[:-2])[: len(nodes)])
        moved[2] = moved[2] * (allowed if jump is None else jump)
        alpha = row[nodes] * combine(moved, axis=0)
    return float(combine(alpha[-ends:], axis=0))


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (
            lambda y, text: math.log(max(summed(y, text), 1e-300)),
            "it is a probability, not its logarithm",
            ["Return 0.8"],
        ),
        (
            lambda y, text: -math.log(max(summed(y, text), 1e-300)),
            "it is a probability, not its logarithm",
            ["0.223"],
        ),
        (lambda y, text: summed(y, text, ends=1), "every path of a text counts", ["two ends"]),
        (lambda y, text: summed(y, text, combine=np.max), "every path of a text counts", ["112"]),
        (lambda y, text: summed(y, text, jump=0), "every path of a text counts", ["three moves"]),
        (
            lambda y, text: decoding.ctc_loss(np.log(y), text),
            "it is a probability, not its logarithm",
            ["0.8"],
        ),
        (lambda y, text: "much", "the answer is a number", ["much"]),
    ],
)
def test_text_probability_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson08.text_probability(answer), capsys, statement=statement, words=words)


def test_the_colleagues_jump_is_named(capsys):
    outcome = check.lesson08.text_probability(answers("exercise")["text_probability"])
    hints_at(
        outcome,
        capsys,
        statement="equal labels are kept apart by a blank",
        words=["1 0 1", "Look at the jump"],
    )


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (
            lambda said, heard: np.mean([a != b for a, b in zip(said, heard, strict=True)]),
            "words count, not whole texts",
            ["Split"],
        ),
        (
            lambda said, heard: sum(map(texts.edit_distance, said, heard)) / sum(map(len, said)),
            "words count, not whole texts",
            ["0.25"],
        ),
        (
            lambda said, heard: (
                sum(sum(map(str.__ne__, a.split(), b.split())) for a, b in zip(said, heard, strict=True))
                / sum(len(a.split()) for a in said)
            ),
            "a missing word moves the others",
            ["edit distance"],
        ),
        (lambda said, heard: 100 * texts.wer(said, heard), "the rate is a share", ["not per cent"]),
        (
            lambda said, heard: float(np.mean([texts.wer(a, b) for a, b in zip(said, heard, strict=True)])),
            "each word weighs alike",
            ["divide once"],
        ),
        (lambda said, heard: min(1, texts.wer(said, heard)), "a rate may exceed 1", ["inserted"]),
        (
            lambda said, heard: texts.word_errors(said, heard).errors / sum(len(b.split()) for b in heard),
            "a missing word moves the others",
            ["one word of four"],
        ),
    ],
)
def test_error_rate_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson08.error_rate(answer), capsys, statement=statement, words=words)


def test_the_colleagues_error_rate_is_not_accepted_with_one_bug_mended(capsys):
    def divided_by_what_was_said(said, heard):
        return np.mean(
            [
                texts.edit_distance(a.split(), b.split()) / len(a.split())
                for a, b in zip(said, heard, strict=True)
            ]
        )

    outcome = check.lesson08.error_rate(divided_by_what_was_said)
    hints_at(outcome, capsys, statement="each word weighs alike", words=["mean of the texts"])


class Grammar:
    def __init__(self, end=None, step=lambda prefix, label: 0.0):
        right = lambda prefix: 0.0 if sum(label - 1 for label in prefix) % 10 == 0 else -math.inf  # noqa: E731
        self.end, self.step = end or right, step


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (
            lambda: Grammar(end=lambda prefix: 0.0 if sum(prefix) % 10 == 0 else -math.inf),
            "a number that adds up is permitted",
            ["take one away"],
        ),
        (
            lambda: Grammar(end=lambda prefix: float(sum(label - 1 for label in prefix) % 10 == 0)),
            "a number that does not add up is forbidden",
            ["logarithm of 0"],
        ),
        (
            lambda: Grammar(step=lambda prefix, label: Grammar().end((*prefix, label))),
            "a number that does not add up may still go on",
            ["only at the end"],
        ),
        (
            lambda: Grammar(end=lambda prefix: 0.0),
            "a number that does not add up is forbidden",
            ["(2, 3, 4)"],
        ),
        (
            lambda: Grammar(step=lambda prefix, label: -0.1 * label),
            "no digit is preferred",
            ["0.0 for every digit"],
        ),
        (
            lambda: Grammar(end=lambda prefix: 1.0 + Grammar().end(prefix)),
            "what is permitted is not preferred",
            ["favours"],
        ),
        (lambda: 3, "a grammar has the methods step and end", ["step(self, prefix, label)"]),
        (lambda: Grammar(end=lambda prefix: True), "the answer is a number", ["end("]),
    ],
)
def test_check_digit_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson08.check_digit(answer), capsys, statement=statement, words=words)


# --- the collapse game


def test_the_game_reads_every_path_as_the_library_does():
    game = CollapseGame()
    for path in product("–79", repeat=3):
        symbols = {f"step_{step}": symbol for step, symbol in enumerate(path, 1)}
        result = game.compute(**{**game.values, **symbols})
        names = {"–": 0, "7": 1, "9": 2}
        whole = [names[symbol] for symbol in path] + [0, 0, 0]
        assert result.text == tuple(decoding.collapse(whole))
        assert result.path == tuple(whole)
        assert [label for label, _, _ in result.runs] == runs(whole)
        assert sum(length for _, _, length in result.runs) == 6


def test_the_game_counts_the_paths_that_would_do():
    game = CollapseGame()
    counts = Counter(tuple(decoding.collapse(path)) for path in product(range(3), repeat=6))
    for task in game.inputs["write"].options:
        result = game.compute(**{**game.values, "write": task})
        assert result.ways == counts[result.wanted]


def test_the_game_says_when_the_path_is_right():
    game = CollapseGame()
    wrong = game.still(write="9 9", step_1="9", step_2="9")
    assert wrong.text.endswith("Not yet.") and not wrong.result.right
    right = game.still(write="9 9", step_1="9", step_3="9")
    assert "Right, and so do" in right.text and right.result.right
    assert "writes nothing" in game.still().text
    six = {f"step_{step}": symbol for step, symbol in enumerate("9–9–9–", 1)}
    assert game.still(write="9 9 9", **six).result.ways == math.comb(6 + 3 - 2, 6)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_tiles_of_the_game_are_those_of_the_result(theme):
    plots.style(theme)
    game = CollapseGame()
    for symbols in ("7799––", "–7–9–9", "999999", "––––––"):
        still = game.still(**{f"step_{step}": symbol for step, symbol in enumerate(symbols, 1)})
        rows = [[tile for tile, _ in tiles if tile.get_visible()] for tiles in game._tiles]
        assert list(map(len, rows)) == [
            6,
            *map(len, (still.result.runs, still.result.text, still.result.wanted)),
        ]
        assert sum(tile.get_width() + 0.06 for tile in rows[1]) == pytest.approx(6)
        changed = (game.picture.pixels() != game.picture.drawn_anew()).any(axis=2)
        assert not changed.any()


# --- from sound to text


class Reader:
    """Reads strings of tones as digits, without a network; in noise it grows unsure."""

    labels = tuple(DIGITS)
    step_seconds = 0.04

    def scores(self, samples):
        samples = np.asarray(samples, float)
        n_steps = len(samples) // 640
        frames = samples[: n_steps * 640].reshape(n_steps, 640)
        times = np.arange(640) / audio.SAMPLE_RATE
        waves = np.exp(-2j * np.pi * np.array([_hertz(digit) for digit in range(10)])[:, None] * times)
        heights = np.abs(frames @ waves.T) / 640
        power = np.sqrt(np.mean(frames**2, axis=1, keepdims=True)) + 1e-3
        return decoding.log_softmax(np.hstack([np.full((n_steps, 1), 5.0), 16 * heights / power])).astype(
            "f4"
        )


def _hertz(digit):
    return 300 + 200 * digit


@pytest.fixture(scope="module")
def tones(tmp_path_factory):
    """Strings of tones, with gaps between, by two speakers."""
    folder = tmp_path_factory.mktemp("tones")
    said = ["7 9 9", "5 0 3", "1 2", "4 4 4 8"]
    files, seconds = [], []
    for number, text in enumerate(said):
        pieces = [np.zeros(1600)]
        for word in text.split():
            times = np.arange(2560) / audio.SAMPLE_RATE
            pieces += [0.3 * np.sin(2 * np.pi * _hertz(int(word)) * times) * np.hanning(2560), np.zeros(1280)]
        samples = np.concatenate(pieces).astype(np.float32)
        files.append(folder / f"{number}.wav")
        seconds.append(len(samples) / audio.SAMPLE_RATE)
        audio.write(files[-1], samples)
    n = len(said)
    return datasets.SpeechDataset(
        name="tones",
        files=tuple(files),
        labels=np.array(said),
        speakers=np.array(["a", "b"] * (n // 2)),
        groups=np.array(["g"] * n),
        takes=np.zeros(n, int),
        splits=np.array(["test"] * n),
        seconds=np.array(seconds),
    )


@pytest.fixture
def explorer(tones):
    return DecodingExplorer(Reader(), tones)


def test_the_explorer_reads_what_was_said(explorer):
    for name, said in zip(explorer.clip_names, ["7 9 9", "5 0 3", "1 2", "4 4 4 8"], strict=True):
        still = explorer.still(clip=name)
        assert still.result.heard == still.result.said == tuple(said.split())
        assert f"Said {said}, heard {said}" in still.text and "All right." in still.text
        assert explorer._written.get_text() == f"heard: {said}"
        assert still.result.all_errors.errors == 0


def test_the_spikes_and_the_lattice_are_decodings_own(explorer):
    result = explorer.still(blank_bias=1.5, snr_db=10.0).result
    target = decoding.to_labels(result.said, DIGITS)
    plain = explorer.still(snr_db=10.0).result.scores.copy()
    plain[:, 0] += 1.5
    np.testing.assert_allclose(result.scores, decoding.log_softmax(plain), atol=1e-9)
    np.testing.assert_allclose(result.posterior, decoding.ctc_posterior(result.scores, target), atol=1e-9)
    assert result.loss == pytest.approx(decoding.ctc_loss(result.scores, target))
    nodes = decoding.with_blanks(target)
    assert tuple(nodes[list(result.path)]) == decoding.forced_alignment(result.scores, target).path
    assert all(0 <= move <= 2 for move in np.diff(result.path))


def test_the_bias_deletes_and_makes_up(explorer):
    few = explorer.still(blank_bias=10.0).result.all_errors
    many = explorer.still(blank_bias=-10.0).result.all_errors
    assert few.deletions > 0 == few.insertions
    assert many.insertions > 0
    assert "deleted" in explorer.still(blank_bias=10.0).text


def test_errors_are_those_of_the_texts(explorer, tones):
    for values in ({"blank_bias": 6.0}, {"snr_db": -5.0}, {"beam_width": 0, "blank_bias": -6.0}):
        heard = []
        for name in explorer.clip_names:
            result = explorer.still(clip=name, **values).result
            heard.append(" ".join(result.heard))
            assert result.errors == texts.word_errors(" ".join(result.said), heard[-1])
        assert result.all_errors == texts.word_errors(tones.labels.tolist(), heard)


def test_greedy_is_greedy_and_the_beam_is_a_beam(explorer):
    values = {"snr_db": 0.0, "blank_bias": -3.0}
    greedy = explorer.still(beam_width=0, **values).result
    assert greedy.heard == tuple(decoding.to_words(decoding.greedy(greedy.scores).labels, DIGITS))
    assert greedy.greedy
    beam = explorer.still(beam_width=16, **values).result
    found = decoding.beam_search(beam.scores, beam_width=16, cutoff=1e-3)[0].labels
    assert beam.heard == tuple(decoding.to_words(found, DIGITS))


def test_a_known_length_is_kept_to(explorer):
    for name in explorer.clip_names:
        result = explorer.still(clip=name, blank_bias=4.0, beam_width=16, known_length=True).result
        assert len(result.heard) == len(result.said)
    free = explorer.still(
        beam_width=0, blank_bias=10.0, known_length=True
    ).result  # greedy reading cannot use it
    assert len(free.heard) < len(free.said)


def test_the_same_noise_comes_at_every_level(explorer):
    clean = explorer.still().result.samples
    soft, loud = (explorer.still(snr_db=snr).result.samples - clean for snr in (20.0, 10.0))
    np.testing.assert_allclose(loud, soft * 10 ** (10 / 20), rtol=0.02, atol=1e-4)


def test_a_text_without_any_path_is_told(tones):
    class Hasty(Reader):
        def scores(self, samples):
            return super().scores(samples)[:3]

    explorer = DecodingExplorer(Hasty(), tones)
    still = explorer.still(clip=explorer.clip_names[0])
    assert still.result.posterior is None and math.isinf(still.result.loss)
    assert "no path at all" in still.text
    assert explorer._missing.get_text() and not explorer._share.get_visible()


def test_the_page_gets_the_picture(explorer):
    (image,) = (part for part in explorer.widget.children if isinstance(part, ipywidgets.Image))
    for values in ({"clip": explorer.clip_names[3]}, {"snr_db": 5.0}, {"blank_bias": 2.0}, {"beam_width": 0}):
        explorer.set(**values)
        assert explorer.error is None
        assert image.value == explorer.still().png


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_moves_is_all_that_changes(tones, theme):
    plots.style(theme)
    explorer = DecodingExplorer(Reader(), tones)
    names = explorer.clip_names
    for values in ({}, {"clip": names[3]}, {"snr_db": -5.0}, {"blank_bias": -6.0}, {"clip": names[2]}):
        explorer.still(**values)
        changed = (explorer.picture.pixels() != explorer.picture.drawn_anew()).any(axis=2)
        assert changed.mean() < 0.001


def test_the_explorer_plays_what_it_shows(explorer):
    result = explorer.still(snr_db=5.0).result
    assert explorer.sound(result) is result.samples
    assert np.abs(result.samples).max() <= 1


def test_what_cannot_be_explored_is_refused(tones):
    with pytest.raises(ValueError, match="No clips"):
        DecodingExplorer(Reader(), tones[:0])
    few = Reader()
    few.labels = ("5", "0")
    with pytest.raises(ValueError, match="Expected words among"):
        DecodingExplorer(few, tones)


# --- the figures


def test_words_stand_over_their_times():
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    ax = plots.words_in_time(
        noise, {"by eye": [("5", 0.1, 0.4)], "machine": [("5", 0.2, 0.5), ("0", 0.5, 0.9)]}
    )
    boxes = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    spans = [(box.get_x(), box.get_x() + box.get_width()) for box in boxes]
    np.testing.assert_allclose(spans, [(0.1, 0.4), (0.2, 0.5), (0.5, 0.9)])
    assert boxes[0].get_y() > boxes[1].get_y()
    assert "machine: 5 from 0.20 to 0.50 s" in plots.alt_text(ax)
    with pytest.raises(ValueError, match="starts at"):
        plots.words_in_time(noise, {"by eye": [("5", 0.4, 0.1)]})


def test_all_paths_are_drawn_once_under_their_text():
    rng = np.random.default_rng(0)
    y = rng.dirichlet(np.ones(3), 3)
    ax = plots.paths_by_text(y, ["7", "9"])
    tiles = [patch for patch in ax.patches if patch.get_width() == pytest.approx(0.94)]
    assert len(tiles) == 3 * 27
    assert len(ax.get_yticks()) == 9
    bars = [patch.get_width() for patch in ax.patches if patch.get_height() == 0.5]
    sums = [
        math.exp(-decoding.ctc_loss(np.log(y), _target(tick.get_text()))) for tick in ax.get_yticklabels()
    ]
    np.testing.assert_allclose(np.array(bars) / bars[0], np.array(sums) / sums[0], rtol=1e-9)
    assert sums == sorted(sums, reverse=True)
    with pytest.raises(ValueError, match="at most"):
        plots.paths_by_text(rng.dirichlet(np.ones(3), 9), ["7", "9"])


def _target(text):
    return [] if text == "(nothing)" else [["7", "9"].index(word) + 1 for word in text.split()]


@pytest.mark.parametrize(("target", "n_paths"), [([1, 2], 15), ([2, 2], 5), ([], 1), ([1, 2, 1], 7)])
def test_the_lattice_tells_paths_and_probabilities(target, n_paths):
    y = np.random.default_rng(1).dirichlet(np.ones(3), 4)
    ax = plots.lattice(np.log(y), target, ["7", "9"])
    total = math.exp(-decoding.ctc_loss(np.log(y), target))
    said = plots.alt_text(ax)
    assert f" {n_paths} path" in said and f"{total:.3g}" in said
    assert len(ax.get_yticks()) == 2 * len(target) + 1
    best = decoding.forced_alignment(np.log(y), target).path
    (way,) = ax.lines
    nodes = decoding.with_blanks(target)
    assert [nodes[int(node)] for node in way.get_ydata()] == list(best)


def test_ways_are_as_wide_as_what_goes_along_them():
    scores = np.zeros((3, 3))
    ax = plots.lattice(scores, [1, 2], ["7", "9"])
    (ways_drawn,) = (each for each in ax.collections if hasattr(each, "get_segments"))
    shares = (np.array(ways_drawn.get_linewidths()) - 0.4) / 7
    by_step = Counter()
    for segment, share in zip(ways_drawn.get_segments(), shares, strict=True):
        by_step[segment[0][0]] += share
    assert all(total == pytest.approx(1) for total in by_step.values())
    moves = {(tuple(a), tuple(b)) for a, b in ways_drawn.get_segments()}
    assert ((0.0, 1.0), (1.0, 3.0)) in moves  # the jump from label to label
    doubled = plots.lattice(np.zeros((4, 3)), [1, 1], ["7", "9"])
    (ways_drawn,) = (each for each in doubled.collections if hasattr(each, "get_segments"))
    assert max(b[1] - a[1] for a, b in ways_drawn.get_segments()) == 1  # no jump between equal labels


def test_spikes_are_named_once_each():
    scores = np.full((12, 11), -4.0)
    scores[:, 0] = 2
    for step, label in ((2, 6), (3, 6), (7, 4), (9, 4)):
        scores[step, label] = 8
    found = peaks(np.exp(decoding.log_softmax(scores)), 0)
    assert [label for _, label in found] == [6, 4, 4]
    ax = plots.spikes(scores, DIGITS, step_seconds=0.04)
    assert [text.get_text() for text in ax.texts] == ["5", "3", "3"]
    assert ax.texts[1].xy[0] == pytest.approx(7.5 * 0.04)
    assert "The blank leads in 8 of 12 steps" in plots.alt_text(ax)
    assert "No label reaches" in plots.alt_text(plots.spikes(np.zeros((5, 11)), DIGITS))


def test_the_beam_is_that_of_the_library():
    y = np.random.default_rng(2).dirichlet(np.ones(3), 5)
    ax = plots.beam(np.log(y), ["7", "9"], beam_width=3)
    written = {(text.get_position()[0], text.get_position()[1]): text.get_text() for text in ax.texts}
    for step in range(1, 6):
        for rank, each in enumerate(decoding.beam_search(np.log(y[:step]), beam_width=3)):
            text = " ".join(["7", "9"][label - 1] for label in each.labels) or "(nothing)"
            assert written[step, rank] == f"{text}\n{math.exp(each.log_probability):.3f}"


def test_the_edit_table_marks_every_error():
    said, heard = list("50339"), list("58391")
    ax = plots.edit_table(said, heard)
    kinds = Counter(edit.kind[0].upper() for edit in texts.align(said, heard) if edit.kind != "hit")
    marks = Counter(text.get_text() for text in ax.texts if text.get_text() in "SDI")
    assert marks == kinds
    assert f"The distance is {texts.edit_distance(said, heard)}." in plots.alt_text(ax)
    numbers = [text.get_text() for text in ax.texts if text.get_text() not in "SDI"]
    np.testing.assert_array_equal(np.array(numbers, int).reshape(6, 6), texts.distance_table(said, heard))


def test_error_rates_want_one_for_each_condition():
    ax = plots.error_rates({"greedy": [0.05, 0.4]}, ["quiet", "0 dB"], label="noise")
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [5, 40])
    with pytest.raises(ValueError, match="2 rates"):
        plots.error_rates({"greedy": [0.05]}, ["quiet", "0 dB"], label="noise")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_letters_on_tiles_can_be_read(theme):
    plots.style(theme)
    for label in range(11):
        tile, ink = (
            np.array(mpl.colors.to_rgb(color))
            for color in (label_color(label, DIGITS, 0), ink_on(label, DIGITS, 0))
        )
        light, dark = sorted((_luminance(tile), _luminance(ink)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def _luminance(rgb):
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
