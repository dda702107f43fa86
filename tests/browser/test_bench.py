"""The training bench in a real JupyterLab: it trains, is watched, stopped, reloaded, and never in the way."""

import json
import re
import textwrap
import time

import pytest

SECONDS = 240  # to load TensorFlow on a busy machine

CELLS = {
    "setup": """
        import tempfile
        import ipywidgets
        from asrlib import datasets
        from asrlib.training import Runs
        from asrlib.widgets import TrainingBench
        from asrlib.widgets.bench_settings import some_of

        runs = Runs(tempfile.mkdtemp())
        train_set, validation = datasets.digits("train"), some_of(datasets.digits("validation"), 60)
    """,
    "bench": """
        bench = TrainingBench(train_set, validation, runs=runs, model="article_cnn", clips=100, epochs=3)
        bench
    """,
    "other": """
        slider, echo = ipywidgets.IntSlider(description="other"), ipywidgets.Label("0 heard")
        slider.observe(lambda change: setattr(echo, "value", f"{change['new']} heard"), names="value")
        ipywidgets.HBox([slider, echo])
    """,
}


@pytest.fixture(scope="module")
def lesson(lab, tmp_path_factory):
    file = tmp_path_factory.mktemp("bench") / "bench.ipynb"
    cells = [
        {
            "cell_type": "code", "id": name, "metadata": {}, "execution_count": None, "outputs": [],
            "source": textwrap.dedent(source).strip(),
        }
        for name, source in CELLS.items()
    ]  # fmt: skip
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    file.write_text(json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))
    lesson = lab.open(file, viewport=(1280, 1250))
    lesson.run_all()
    assert lesson.errors() == []
    assert value(lesson, "'tensorflow' in __import__('sys').modules") is False
    # The first training loads TensorFlow; those of the tests below begin at once.
    lesson.scroll_to("bench").get_by_role("button", name="Train", exact=True).click()
    lesson.scroll_to("bench").get_by_text("Loading TensorFlow").wait_for()
    lesson.screenshot("bench_loading", element=lesson.scroll_to("bench").locator(".asr-bench"))
    wait_for(lesson, "bench.state == 'idle'")
    assert value(lesson, "bench.error is None and len(runs)") == 1
    return lesson


@pytest.fixture
def view(lesson):
    lesson.execute(
        "bench.stop(); bench.wait(); bench.widget.reset_button.click(); bench.widget.say('')\n"
        "bench.set(model='article_cnn', clips=100, epochs=3)"
    )
    view = lesson.scroll_to("bench").locator(".asr-bench")
    view.wait_for()
    view.scroll_into_view_if_needed()
    return view


def value(lesson, expression):
    return json.loads(lesson.execute(f"import json; print(json.dumps(({expression})))"))


def wait_for(lesson, expression):
    lesson.wait_until(lambda: value(lesson, expression), f"{expression} did not become true", seconds=SECONDS)


def button(view, name):
    return view.get_by_role("button", name=name, exact=True)


def begin(lesson, view, **settings):
    """Press Train for a training that would take a quarter of an hour; wait for its first batches."""
    settings = {"epochs": 30, "clips": 1600, "batch_size": 8} | settings
    lesson.execute(f"bench.set(**{settings!r})")
    button(view, "Train").click()
    wait_for(lesson, "bench._job.progress is not None and bench._job.progress.batch > 3")


def picture(view):
    return view.locator("img.widget-image").get_attribute("src")


def cut_off(view):
    """Return the texts of labels, values and buttons that do not fit where they stand."""
    return view.evaluate("""view => [
            ...view.querySelectorAll('.widget-label, .widget-readout, button, td, th')
        ].filter(part => part.offsetParent && part.scrollWidth > part.clientWidth + 1
                        && getComputedStyle(part).display !== 'inline')
        .map(part => part.innerText)""")


def test_the_curves_change_and_another_cells_slider_answers_while_it_trains(lesson, view):
    begin(lesson, view)
    seen = {picture(view)}
    lesson.wait_until(
        lambda: seen.add(picture(view)) or len(seen) >= 4, "the picture stood still", seconds=SECONDS
    )
    assert re.search(r"epoch \d+ of 30, batch \d+ of 200", view.inner_text())
    lesson.screenshot("bench_training", element=view)
    other = lesson.scroll_to("other")
    handle = other.locator(".noUi-handle")
    handle.focus()
    for number in (1, 2, 3):
        began = time.monotonic()
        lesson.page.keyboard.press("ArrowRight")
        other.get_by_text(f"{number} heard", exact=True).wait_for()
        print(f"\nanother slider answered after {1000 * (time.monotonic() - began):.0f} ms", end="")
    assert lesson.execute("print(6 * 7)").strip() == "42"
    assert value(lesson, "bench.state") == "training"


def test_stop_takes_effect_within_a_batch(lesson, view):
    begin(lesson, view)
    lesson.execute(
        "import time as _time; _seen = []\n"
        "_watch = bench._job.watch\n"
        "bench._job.watch = lambda progress: _seen.append((_time.time(), bench._job.stopping.is_set()))"
    )
    lesson.page.wait_for_timeout(500)
    pressed = time.time()
    button(view, "Stop").click()
    wait_for(lesson, "bench.state == 'idle'")
    steps = value(lesson, "_seen")
    after = [moment for moment, stopping in steps if stopping]
    print(f"\nthe last batch ended {1000 * (after[-1] - pressed):.0f} ms after the click", end="")
    # The batch under way, and the word after its epoch's validation.
    assert len(after) <= 2
    assert after[-1] - pressed < 20
    assert value(lesson, "bench.result.stopped")
    view.get_by_text("Stopped.", exact=True).wait_for()
    assert button(view, "Stop").get_attribute("aria-disabled") == "true"


def test_pressing_train_twice_begins_one_training(lesson, view):
    before = value(lesson, "len(runs)")
    lesson.execute("bench.set(epochs=30, clips=1600)")
    button(view, "Train").dblclick()
    wait_for(lesson, "bench._job.progress is not None")
    button(view, "Train").click(force=True)  # it says that it is disabled, and is asked all the same
    view.get_by_text("It is training already.").wait_for()
    button(view, "Stop").click()
    wait_for(lesson, "bench.state == 'idle'")
    assert value(lesson, "len(runs)") == before + 1


def test_a_setting_that_cannot_work_is_said_beside_its_control(lesson, view):
    before = value(lesson, "len(runs)")
    row = view.locator(".asr-row:visible").filter(has_text="learning rate")
    row.locator(".noUi-handle").focus()
    lesson.page.keyboard.press("Home")
    note = row.locator(".asr-note")
    note.wait_for()
    assert "above 0" in note.inner_text()
    below = note.bounding_box()["y"] - row.locator(".noUi-handle").bounding_box()["y"]
    assert 0 < below < 60
    button(view, "Train").click()
    view.get_by_text("cannot work like this").wait_for()
    lesson.execute("bench.set(kernel_size=101, f_max=9000.0)")
    lesson.page.wait_for_timeout(300)
    lesson.screenshot("bench_problems", element=view)
    assert value(lesson, "len(runs)") == before
    lesson.execute("bench.set(kernel_size=3, f_max=4000.0)")
    row.locator(".noUi-handle").focus()
    lesson.page.keyboard.press("ArrowRight")
    note.wait_for(state="detached")


def test_a_run_is_loaded_from_the_table(lesson, view):
    lesson.execute("bench.train(learning_rate=0.003, epochs=2, filters=8); bench.wait()")
    lesson.execute("bench.set(learning_rate=0.1, filters=64)")
    run = value(lesson, "runs[-1].id")
    load = view.locator(f"[data-load='{run}']")
    load.focus()
    lesson.page.keyboard.press("Enter")
    view.get_by_text(f"Run {run} is loaded").wait_for()
    assert value(lesson, "bench.values['learning_rate'], bench.values['filters']") == [0.003, 8]
    assert value(lesson, "bench.recognizer is not None")
    load = view.locator(f"[data-load='{run}']")  # drawn anew, it keeps the keyboard
    assert load.evaluate("load => load === document.activeElement")
    assert view.locator("tr.asr-best").count() == 1
    assert "★" in view.locator("tr.asr-best").inner_text()
    lesson.screenshot("bench_table", element=view)


def test_the_table_is_sorted_by_the_column_that_is_pressed(lesson, view):
    heading = view.get_by_role("button", name=re.compile("^learning rate"))
    if not heading.count():
        lesson.execute("bench.train(learning_rate=0.01, epochs=1); bench.wait()")
    rates = []
    heading.focus()
    for way in ("descending", "ascending"):
        lesson.page.keyboard.press("Enter")  # the keyboard stays on the heading, though it is drawn anew
        heading.locator(f"xpath=self::*[../@aria-sort='{way}']").wait_for()
        order = heading.locator("xpath=..").get_attribute("aria-sort")
        column = heading.get_attribute("data-sort")
        texts = view.locator(f"tbody tr td:nth-child({int(column) + 1})").all_inner_texts()
        rates.append((order, [float(text) for text in texts]))
    for order, numbers in rates:
        assert numbers == sorted(numbers, reverse=order == "descending")
    assert {order for order, _ in rates} == {"ascending", "descending"}


def test_the_keyboard_alone_trains_and_stops(lesson, view):
    """From the first control on, Tab reaches every control, Train and Stop; Enter and Space press them."""
    lesson.execute("bench.set(epochs=30, clips=1600)")
    view.locator("select").first.focus()
    reached = []
    for _ in range(60):
        name = lesson.page.evaluate(
            "() => { const at = document.activeElement;"
            " return at.getAttribute('aria-label')"
            " || at.closest('.asr-row')?.innerText.split('\\n')[0] || '' }"
        )
        reached.append(name)
        if name == "Train":
            break
        lesson.page.keyboard.press("Tab")
    assert {"kind", "mel bands", "family", "filters", "optimiser", "learning rate", "Train"} <= set(reached)
    lesson.page.keyboard.press("Enter")
    wait_for(lesson, "bench._job.progress is not None and bench.state == 'training'")
    assert lesson.page.evaluate("() => document.activeElement.getAttribute('aria-label')") == "Train"
    assert button(view, "Train").get_attribute("aria-disabled") == "true"
    lesson.page.keyboard.press("Tab")
    lesson.page.keyboard.press("Space")
    wait_for(lesson, "bench.state == 'idle'")
    assert value(lesson, "bench.result.stopped")
    assert lesson.page.evaluate("() => document.activeElement.getAttribute('aria-label')") == "Stop"


def test_nothing_is_cut_off_and_the_bench_fits(lesson, view):
    for family in ("softmax", "article_cnn", "cnn", "rnn", "crnn"):
        lesson.execute(f"bench.set(model={family!r}, kind='mfcc')")
        lesson.page.wait_for_timeout(300)
        assert cut_off(view) == []
        wide = view.evaluate("view => [view.scrollWidth, view.clientWidth]")
        assert wide[0] <= wide[1] <= 900
        lesson.screenshot(f"bench_{family}", element=view)


def test_an_error_of_the_training_is_shown_in_words(lesson, view):
    lesson.execute(
        "from asrlib import training as _training; _train = _training.train\n"
        "def _fail(*_, **__): raise ValueError('the clips are <made> of stone')\n"
        "_training.train = _fail"
    )
    try:
        button(view, "Train").click()
        trouble = view.get_by_role("alert").filter(has_text="the clips are <made> of stone")
        trouble.wait_for()
        lesson.screenshot("bench_error", element=view)
    finally:
        wait_for(lesson, "bench.state == 'idle'")
        lesson.execute("_training.train = _train; bench.train(epochs=1); bench.wait()")
    trouble.wait_for(state="detached")


def test_running_the_cell_again_follows_the_training(lesson, view):
    begin(lesson, view)
    lesson.execute("old = bench")
    lesson.page.evaluate(
        "() => { const { content } = window.jupyterapp.shell.currentWidget; content.activeCellIndex = 1;"
        " return window.jupyterapp.commands.execute('notebook:run-cell') }"
    )
    wait_for(lesson, "bench is not old")
    assert value(lesson, "bench.state") == "training"
    view = lesson.scroll_to("bench").locator(".asr-bench")
    first = picture(view)
    lesson.wait_until(lambda: picture(view) != first, "the new bench stood still", seconds=SECONDS)
    button(view, "Stop").click()
    wait_for(lesson, "bench.state == old.state == 'idle'")


def test_reloading_the_page_during_a_training_does_no_harm(lesson, view):
    begin(lesson, view)
    page = lesson.page
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    before = value(lesson, "bench._job.progress.epoch * 1000 + bench._job.progress.batch")
    page.reload()
    page.wait_for_selector(".jp-NotebookPanel .jp-Notebook .jp-Cell", timeout=120_000)
    lesson.wait_until_idle()
    view = lesson.scroll_to("bench").locator(".asr-bench")
    view.wait_for()
    assert value(lesson, "bench.state") == "training"
    assert value(lesson, "bench._job.progress.epoch * 1000 + bench._job.progress.batch") > before
    first = picture(view)
    lesson.wait_until(lambda: picture(view) != first, "the reloaded page stood still", seconds=SECONDS)
    assert view.locator("tr.asr-running").count() == 1
    lesson.screenshot("bench_reloaded", element=view)
    button(view, "Stop").click()
    wait_for(lesson, "bench.state == 'idle'")
    view.get_by_text("Stopped.", exact=True).wait_for()


def test_the_picture_follows_the_theme(lesson, view):
    lesson.execute("bench.load()")
    light = picture(view)
    lesson.use_theme("JupyterLab Dark")
    lesson.wait_until(lambda: picture(view) != light, "the picture stayed light")
    lesson.screenshot("bench_dark", element=view)
    lesson.use_theme("JupyterLab Light")
    lesson.screenshot("bench_light", element=view)


def test_the_page_reports_no_error(lesson):
    assert [text for kind, text in lesson.console if kind in ("error", "pageerror")] == []
