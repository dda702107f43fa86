"""The live microphone in a real browser: text comes while one speaks, and what goes wrong is said in words.

Most of it needs no JupyterLab: a blank page loads the widget's file and gets a model whose Python half is a
few lines of JavaScript. That makes a second cheap and an hour possible.
"""

import json
import re

import numpy as np
import pytest
from lab import ELSEWHERE, fake_microphone

from asrlib import audio, datasets, texts
from asrlib.widgets.live import LivePage

RATE = 16_000
SECONDS = 120  # that a busy machine may take to hear some words
DIGITS = "7041526398"

# A model as the widget sees it, and a Python half that answers each chunk at once, unless told to be busy.
STAGE = """
async ({script, settings}) => {
    const news = {comm_live: true, handlers: {}};
    news.on = (name, handler) => { news.handlers[name] = handler };
    news.off = name => { delete news.handlers[name] };
    const tell = message => news.handlers['msg:custom']?.({text: '', ...message});
    const stage = window.stage = {busy: false, chunks: 0, most: 0, sent: [], words: 0, news, tell, settings};
    const answer = {
        hello: () => tell({kind: 'shown', lines: []}),
        stop: ({session}) => tell({kind: 'ended', session}),
        chunk: ({session, number}, [buffer]) => {
            stage.chunks += 1;
            stage.bytes = buffer.byteLength;
            const stop = (number + 1) * settings.chunk_seconds - 0.15;
            const words = number % 10 === 9 ? [{text: '7', stop}] : [];
            stage.words += words.length;
            tell({kind: 'heard', session, number, words, text: '7 '.repeat(stage.words % 8), speaking: true});
        },
    };
    const waiting = [];
    stage.free = () => { stage.busy = false; waiting.splice(0).forEach(([message, buffers]) =>
        answer[message.kind]?.(message, buffers)) };
    const model = {
        get: name => stage.settings[name],
        send: (message, callbacks, buffers) => {
            if (stage.gone) throw new Error('Cannot send');  // as JupyterLab does without a kernel
            if (message.kind !== 'chunk') stage.sent = [...stage.sent, message].slice(-20);
            if (stage.busy) { waiting.push([message, buffers]); stage.most = waiting.length }
            else answer[message.kind]?.(message, buffers);
        },
        widget_manager: {get_model: async () => news},
    };
    const address = URL.createObjectURL(new Blob([script], {type: 'text/javascript'}));
    const widget = (await import(address)).default();
    const el = document.createElement('div');
    document.body.append(el);
    await widget.initialize({model});
    stage.leave = widget.render({model, el});
}
"""

# A microphone made by hand: stage.sound(n) is n pieces, as fast as they go.
BY_HAND = """
() => {
    const port = {};
    const track = {stop: () => { track.stopped = true }};
    navigator.mediaDevices.getUserMedia = async () => ({getTracks: () => [track]});
    window.AudioContext = class {
        sampleRate = 1000;
        state = 'running';
        audioWorklet = {addModule: async () => {}};
        async resume() {}
        close() { this.state = 'closed' }
        createMediaStreamSource() { return {connect: () => {}} }
    };
    window.AudioWorkletNode = class { port = port };
    let stop = performance.now() / 1000;
    window.device = {track, sound: (n, value = 0.1) => {
        for (let i = 0; i < n; i += 1) {
            stop += 0.1;
            port.onmessage({data: {samples: new Float32Array(100).fill(value), stop}});
        }
    }};
}
"""

SETTINGS = {
    name: trait.default_value
    for name, trait in LivePage.class_traits(sync=True).items()
    if name == "news" or name.endswith("_seconds")
}


class Stage:
    """A blank page with a live microphone on it."""

    def __init__(self, page, *, by_hand=False, **settings):
        self.page = page
        self.errors = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        if by_hand:
            page.evaluate(BY_HAND)
        css = LivePage._css
        page.add_style_tag(content=str(css))
        page.evaluate(STAGE, {"script": str(LivePage._esm), "settings": {**SETTINGS, **settings}})
        self.button = page.locator("button.asr-start")
        self.button.wait_for()

    def start(self):
        self.button.click()

    def says(self, text):
        self.page.locator(".asr-status").get_by_text(text).wait_for()

    def status(self):
        return self.page.locator(".asr-status").inner_text()

    def value(self, expression):
        return self.page.evaluate(f"() => {expression}")

    def wait_for(self, expression):
        self.page.wait_for_function(f"() => {expression}")

    @property
    def is_on(self):
        return "Stop" in self.button.inner_text()


@pytest.fixture
def stage(lab):
    stages = []

    def make(*, browser_options=(), host="localhost", **settings):
        stages.append(Stage(lab.blank(browser_options=browser_options, host=host), **settings))
        return stages[-1]

    yield make
    for made in stages:
        errors = made.errors
        made.page.context.close()
        assert errors == []


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Ten digits of one speaker, 0.3 s apart, as a file for the fake microphone."""
    clips = datasets.digits("test").where(speaker="blend_test_01")  # whom all recognisers here understand
    pause = np.random.default_rng(0).normal(0, 1e-4, round(0.3 * RATE)).astype(np.float32)
    spoken = [part for digit in DIGITS for part in (clips.where(label=digit)[0].samples, pause)]
    samples = audio.resample(np.concatenate(spoken), source_rate=RATE, target_rate=48_000)
    return audio.write(tmp_path_factory.mktemp("live") / "digits.wav", samples, sample_rate=48_000)


# --- the microphone


@pytest.mark.parametrize(
    ("options", "host", "said", "name"),
    [
        (
            ["--use-fake-device-for-media-stream", "--deny-permission-prompts"],
            "localhost", "allow the microphone", "NotAllowedError",
        ),
        (["--use-fake-ui-for-media-stream"], "localhost", "no microphone. Plug one in", "NotFoundError"),
        ([], ELSEWHERE, "with https", "InsecureContext"),
    ],
)  # fmt: skip
def test_a_missing_microphone_is_explained(stage, options, host, said, name):
    live = stage(browser_options=options, host=host)
    live.start()
    live.says(said)
    assert not live.is_on  # one can try again
    assert live.value("stage.sent.at(-1)") == {"kind": "trouble", "name": name}


def test_a_microphone_that_is_taken_away_is_told_and_can_be_started_again(stage, recording):
    """The browser ends the sound when the device is unplugged, and when its permission is withdrawn."""
    live = stage(browser_options=fake_microphone(recording)[1:])  # the permission is given and taken here
    live.page.context.grant_permissions(["microphone"])
    live.start()
    live.wait_for("stage.chunks > 3")
    assert live.value("stage.bytes") == 4 * 0.1 * live.value("new AudioContext().sampleRate")
    live.page.context.clear_permissions()
    live.says("it was unplugged, or the page may no longer use it")
    assert not live.is_on
    assert [message["kind"] for message in live.value("stage.sent.slice(-2)")] == ["trouble", "stop"]
    live.page.context.grant_permissions(["microphone"])
    live.start()
    live.says("Listening")


def test_sound_that_stops_coming_or_is_only_zeros_is_told(stage):
    live = stage(by_hand=True, silent_seconds=0.6)
    live.start()
    live.wait_for("stage.sent.at(-1).kind === 'start'")
    live.page.evaluate("() => device.sound(20, 0)")
    live.says("digital silence")
    live.says("No sound has come")
    live.page.evaluate("() => device.sound(2, 1)")
    live.says("full scale")


# --- the buttons


def test_a_double_click_starts_once_and_a_later_click_stops(stage):
    live = stage(by_hand=True)
    live.button.dblclick()
    live.page.wait_for_timeout(500)
    live.page.evaluate("() => device.sound(10)")
    assert live.is_on
    assert live.value("stage.sent.filter(message => message.kind === 'start').length") == 1
    live.button.click()
    live.says("The microphone is off.")
    assert live.value("device.track.stopped")
    assert live.value("stage.sent.at(-1).number") == 5  # half a second of warming up was thrown away


def test_stop_while_the_browser_still_asks_lets_go_of_the_microphone(stage):
    live = stage(by_hand=True)
    live.page.evaluate("""() => {
        const open = navigator.mediaDevices.getUserMedia;
        const later = allow => { window.allow = () => allow(open()) };
        navigator.mediaDevices.getUserMedia = () => new Promise(later);
    }""")
    live.start()
    live.says("the browser may ask")
    live.page.wait_for_timeout(450)
    live.button.click()
    live.page.evaluate("() => allow()")
    live.wait_for("device.track.stopped")
    assert live.value("stage.sent.map(message => message.kind)") == ["hello"]


def test_the_microphone_goes_off_when_nothing_shows_it_any_more(stage):
    live = stage(by_hand=True)
    live.start()
    live.wait_for("stage.sent.at(-1).kind === 'start'")
    live.page.evaluate("() => stage.leave()")  # the cell was run again, or its output cleared
    assert live.value("device.track.stopped && stage.sent.at(-1).kind === 'stop'")


def test_a_hidden_tab_is_listened_to_and_not_timed(stage):
    live = stage(by_hand=True)
    live.start()
    live.wait_for("stage.sent.at(-1).kind === 'start'")
    live.page.evaluate(
        "() => { Object.defineProperty(document, 'hidden', {configurable: true, get: () => true});"
        " device.sound(50); delete document.hidden }"
    )
    assert live.value("stage.words") == 4
    assert "no word yet" in live.page.locator(".asr-latency").inner_text()  # it was not painted
    live.page.evaluate("() => device.sound(10)")
    live.page.get_by_text("of 1 word.").wait_for()


# --- the kernel


def test_a_busy_kernel_is_told_then_nothing_more_is_kept_then_the_microphone_goes_off(stage):
    live = stage(by_hand=True, busy_seconds=0.2, hold_seconds=2.0, give_up_seconds=1.5)
    live.start()
    live.wait_for("stage.sent.at(-1).kind === 'start'")
    live.page.evaluate("() => { device.sound(10); stage.busy = true; device.sound(10) }")
    live.says("1.0 s of sound wait for it. Nothing is lost so far.")
    live.page.evaluate("() => { stage.free(); device.sound(1) }")
    live.says("Listening")
    live.page.evaluate("() => { stage.busy = true; device.sound(50) }")
    live.says("What you say now is not kept (3.0 s so far)")
    assert live.value("stage.most") == 20
    live.says("so the microphone was switched off")
    assert not live.is_on
    assert live.value("device.track.stopped")


def test_a_kernel_that_was_restarted_is_told_at_once(stage):
    live = stage(by_hand=True)
    live.start()
    live.wait_for("stage.sent.at(-1).kind === 'start'")
    live.page.evaluate(
        "() => { stage.gone = true; stage.news.comm_live = false; stage.news.handlers.comm_live_update() }"
    )
    live.says("Run this cell again")
    assert live.value("device.track.stopped")
    live.page.wait_for_timeout(450)
    live.start()  # it would be spoken to nobody
    assert not live.is_on


def test_what_python_gives_up_on_is_told(stage):
    live = stage(by_hand=True)
    live.start()
    live.wait_for("stage.sent.at(-1).kind === 'start'")
    live.page.evaluate(
        "() => { const {session} = stage.sent.at(-1);"
        " stage.tell({kind: 'over', session, why: 'KeyError: 7.', failed: true}) }"
    )
    live.says("KeyError: 7. Python could not go on")
    assert not live.is_on


def test_an_hour_leaves_no_more_behind_than_ten_minutes(stage):
    live = stage(by_hand=True)
    live.start()
    live.wait_for("stage.sent.at(-1).kind === 'start'")
    devtools = live.page.context.new_cdp_session(live.page)

    def hear(pieces):
        for _ in range(pieces // 3000):
            live.page.evaluate("() => device.sound(3000)")
            live.page.wait_for_timeout(50)  # words are painted and counted
        devtools.send("HeapProfiler.collectGarbage")
        return devtools.send("Runtime.getHeapUsage")["usedSize"]

    ten_minutes = hear(6_000)
    hour = hear(30_000)
    assert live.value("stage.chunks") == 36_000 - 5
    assert hour < ten_minutes + 300_000
    assert live.page.locator(".asr-live *").count() < 40
    assert "of the last 201 words" in live.page.locator(".asr-latency").inner_text()
    assert re.fullmatch(r"\d+ s", live.page.locator(".asr-clock").inner_text())


# --- all of it, in JupyterLab

CELL = """
from asrlib.widgets import LiveMicrophone
old = globals().get("live")
live = LiveMicrophone()
live
"""

# anywidget gives up on what Python sends when a widget's file took two seconds to load. Here it always does.
DEAF = """
const timeout = AbortSignal.timeout.bind(AbortSignal);
AbortSignal.timeout = ms => timeout(ms === 2000 ? 0 : ms);
"""


@pytest.fixture
def lesson(lab, recording, tmp_path):
    cell = {
        "cell_type": "code", "id": "live", "metadata": {}, "execution_count": None, "outputs": [],
        "source": CELL.strip(),
    }  # fmt: skip
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    file = tmp_path / "live.ipynb"
    file.write_text(json.dumps(notebook))
    lesson = lab.open(file, browser_options=fake_microphone(recording), viewport=(1000, 700))
    lesson.page.evaluate(DEAF)
    lesson.page.context.add_init_script(DEAF)
    lesson.run_all()
    assert lesson.errors() == []
    return lesson


def value(lesson, expression):
    return json.loads(lesson.execute(f"import json; print(json.dumps({expression}))"))


def speak(lesson, *, words):
    """Press Start and wait until so many words more are on the page; return the widget."""
    view = lesson.scroll_to("live").locator(".asr-live")
    view.wait_for()
    before = len(said(view))
    view.get_by_role("button", name="Start").click()
    failure = f"{words} words did not appear"
    lesson.wait_until(lambda: len(said(view)) >= before + words, failure, seconds=SECONDS)
    return view


def said(view):
    return re.findall(r"\d", view.locator(".asr-paper").inner_text())


def share_right(heard):
    """Return which share of the words is right, wherever in its loop the recording began to be heard.

    Not all: the recogniser errs, and a busy machine drops samples of the fake device now and then.
    """
    looped = list(DIGITS) * (2 + len(heard) // len(DIGITS))
    starts = range(len(DIGITS))
    return 1 - min(texts.edit_distance(looped[i : i + len(heard)], heard) for i in starts) / len(heard)


def test_text_comes_while_one_speaks_and_survives_what_happens_to_notebooks(lesson):
    page = lesson.page
    view = speak(lesson, words=4)
    lesson.screenshot("live_light")
    assert share_right(said(view)) >= 0.5
    assert re.search(r"last \d+ ms, median \d+ ms of \d+ words", view.inner_text())
    # A cell that runs for long: the sound waits and is heard later, to the last piece.
    page.evaluate(
        "code => void window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
        ".requestExecute({code, store_history: false})",
        "__import__('time').sleep(2)",
    )
    view.get_by_text("The kernel is busy or out of reach").wait_for()
    lesson.screenshot("live_busy")
    view.get_by_text("Listening. Speak now.").wait_for()
    assert value(lesson, "live.lost_seconds") == 0
    lesson.wait_until(lambda: len(said(view)) >= 7, "what was said meanwhile did not appear")
    assert share_right(said(view)) >= 0.7
    # The cell run again: the microphone of the one before is off, the new one can start.
    lesson.run_all()
    assert value(lesson, "[old.listening, live.listening, old.error]") == [False, False, None]
    view = speak(lesson, words=2)
    # The page loaded again: the text is still there, the microphone is off and says why.
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    page.reload()
    page.wait_for_selector(".jp-NotebookPanel .jp-Notebook .jp-Cell", timeout=120_000)
    lesson.wait_until_idle()
    view = lesson.scroll_to("live").locator(".asr-live")
    view.wait_for()
    lesson.wait_until(lambda: len(said(view)) >= 2, "the text did not come back")
    lesson.use_theme("JupyterLab Dark")
    view = speak(lesson, words=1)
    lesson.screenshot("live_dark")
    # The kernel restarted: nobody listens any more, and that is said.
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    view.get_by_text("Run this cell again").wait_for()
    lesson.screenshot("live_restarted")
    assert view.get_by_role("button", name="Start").is_visible()
