"""Explorers compute without a browser, draw what a full drawing would, show their errors, and never queue."""

import asyncio
import base64
import concurrent.futures
import io
import math

import ipywidgets
import numpy as np
import pytest
from PIL import Image

from asrlib import audio, datasets, signals
from asrlib.datasets import Clip
from asrlib.errors import AudioError
from asrlib.features import FeatureConfig
from asrlib.models import CrnnConfig, weight_shapes
from asrlib.recognizer import Recognizer
from asrlib.widgets.digits import WORDS, DigitExplorer, some_clips
from asrlib.widgets.explorer import Explorer, choice, set_limits, slider, steps, switch
from asrlib.widgets.microphone import Microphone, samples_from_browser
from asrlib.widgets.picture import Picture, encode_png

RATE = 16_000


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


class Ramp(Explorer):
    """A line whose slope is the control; its axes grow with it above 5."""

    size = (3, 2)

    def controls(self):
        return {
            "slope": slider("slope", 1.0, low=0, high=10, step=0.5, unit="V/s"),
            "sign": choice("sign", ["up", "down"]),
        }

    def compute(self, *, slope, sign):
        if slope == 7:
            raise ValueError("seven is <not> allowed")
        return slope if sign == "up" else -slope

    def build(self, figure, result):
        (self.line,) = figure.subplots().plot([0, 1], [0, result])
        return [self.line]

    def draw(self, result):
        self.line.set_ydata([0, result])
        self.line.axes.set_ylim(-10 if abs(result) > 5 else -5, 10 if abs(result) > 5 else 5)

    def describe(self, result):
        return f"It ends at {result:g}."

    def sound(self, result):
        return np.full(160, 0.01 * result, np.float32)


@pytest.fixture
def ramp():
    return Ramp()


def drawn_whole(explorer):
    """Draw the explorer's figure anew, with nothing kept from before."""
    return explorer.picture.drawn_anew()[..., :3].astype(int)


# --- controls


def test_controls_carry_their_units_and_as_many_decimals_as_their_step():
    assert slider("time", 1, low=0, high=2, step=0.25, unit="s").description == "time (s)"
    assert slider("time", 1, low=0, high=2, step=0.05).readout_format == ".2f"
    assert slider("rate", 100, low=0, high=2000, step=100).readout_format == ".0f"
    assert steps("noise", [("no noise", math.inf), ("0 dB", 0.0)], value=0.0).label == "0 dB"
    assert (switch("dither").value, switch("dither", True).value) == (False, True)


def test_an_unknown_control_is_refused_by_name(ramp):
    with pytest.raises(ValueError, match="no control 'slop'; it has 'slope', 'sign'"):
        ramp.set(slop=3)
    with pytest.raises(ValueError, match="no control 'slop'"):
        ramp.still(slop=3)


@pytest.mark.parametrize("method", ["controls", "compute", "build", "draw"])
def test_a_forgotten_method_is_named(method):
    parts = {name: vars(Ramp)[name] for name in ("controls", "compute", "build", "draw") if name != method}
    with pytest.raises(NotImplementedError, match=rf"must define {method}\(\)"):
        type("Half", (Explorer,), parts)().still()


def test_what_a_subclass_keeps_cannot_disturb_the_base():
    """A name that the base and a subclass both took hid the picture once, without an error."""

    class Careless(Ramp):
        def build(self, figure, result):
            for name in [name for name in vars(self) if "__" in name]:
                setattr(self, "_" + name.split("__")[1], "mine")
            self._image = self._answer = self._player = self._widget = "mine"
            return super().build(figure, result)

    careless, ramp = Careless(), Ramp()
    assert careless.widget.image.value == ramp.widget.image.value
    careless.set(slope=3.0)
    ramp.set(slope=3.0)
    assert careless.widget.image.value == ramp.widget.image.value
    with pytest.raises(AttributeError, match="picture"):
        careless.picture = "mine"


def test_an_explorer_takes_ten_lines():
    lines = [line for line in Explorer.__doc__.splitlines() if line.strip().startswith((">>> class", "..."))]
    assert len(lines) <= 10


# --- the same thing without widgets


def test_compute_and_still_leave_the_controls_alone(ramp):
    assert ramp.compute(slope=3, sign="down") == -3
    still = ramp.still(slope=4.0)
    assert (still.result, still.text, repr(still)) == (4.0, "It ends at 4.", "It ends at 4.")
    assert ramp.values == {"slope": 1.0, "sign": "up"}


def test_a_still_shows_its_picture_and_describes_it(ramp):
    still = ramp.still()
    data, metadata = still._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]) == still.png
    assert metadata["image/png"]["alt"] == data["text/plain"] == "It ends at 1."


def test_still_raises_what_compute_raises(ramp):
    with pytest.raises(ValueError, match="seven"):
        ramp.still(slope=7.0)


# --- the picture


def test_moving_artists_only_gives_the_same_picture_as_drawing_everything(ramp):
    rng = np.random.default_rng(0)
    for slope in [1.0, 2.0, 6.0, 9.0, 2.0, *rng.integers(0, 7, 10) / 2]:
        quick = pixels(ramp.still(slope=float(slope)).png)
        assert np.abs(quick - drawn_whole(ramp)).max() <= 2  # layers are rounded once more


def two_axes():
    """Make a picture of two axes, one over the other, of which a line moves."""
    picture = Picture((3, 2), dpi=60)
    below, above = picture.figure.subplots(), picture.figure.add_axes((0.5, 0.5, 0.3, 0.3), facecolor="w")
    below.imshow(np.arange(100).reshape(10, 10))
    below.set_title("room", loc="left")  # the layout is found once
    (line,) = above.plot([0, 1])
    picture.let_move([line])
    picture.pixels()
    return picture, below, above


@pytest.mark.parametrize(
    "change",
    [
        lambda picture, below, above: below.set_title("left", loc="left"),
        lambda picture, below, above: below.set_xlim(0, 5),
        lambda picture, below, above: below.set_yticks([1, 2], ["one", "two"]),
        lambda picture, below, above: below.images[0].set_clim(0, 10),
        lambda picture, below, above: below.axhline(3),
        lambda picture, below, above: below.images[0].remove(),
        lambda picture, below, above: above.lines[0].set_color("r"),
        lambda picture, below, above: above.set_facecolor("y"),
        lambda picture, below, above: above.set_visible(False),
        lambda picture, below, above: picture.figure.text(0.1, 0.1, "loose"),
        lambda picture, below, above: picture.figure.add_axes((0.1, 0.1, 0.2, 0.2)),
        lambda picture, below, above: above.get_xaxis().set_visible(False),
    ],
)
def test_whatever_changes_is_seen_though_it_was_not_said_to_move(change):
    picture, *both = two_axes()
    before = picture.pixels().astype(int)
    change(picture, *both)
    after = picture.pixels().astype(int)
    assert np.abs(after - before).max() > 20
    assert np.abs(after - picture.drawn_anew()).max() <= 12  # in the edges of letters, where layers meet


def test_axes_are_drawn_anew_only_when_something_in_them_changed(monkeypatch):
    picture, below, above = two_axes()
    drawn = []
    for name, axes in (("below", below), ("above", above)):
        monkeypatch.setattr(axes, "draw", lambda *_, name=name: drawn.append(name))
    picture.moving[0].set_ydata([1, 0])
    set_limits(below, x=below.get_xlim(), y=below.get_ylim())
    picture.pixels()
    assert drawn == []
    set_limits(above, y=(0, 5))
    picture.pixels()
    assert drawn == ["above"]
    assert above.get_ylim() == (0, 5)


@pytest.mark.parametrize("alpha", [255, 128])
def test_the_encoder_loses_no_pixel(alpha):
    painted = np.random.default_rng(0).integers(0, 256, (7, 5, 4), np.uint8)
    painted[..., 3] = alpha
    read = Image.open(io.BytesIO(encode_png(painted)))
    assert read.mode == ("RGB" if alpha == 255 else "RGBA")
    assert np.array_equal(np.asarray(read.convert("RGBA")), painted)


def test_two_threads_do_not_paint_over_each_other(ramp):
    """JupyterLab lets the kernel answer widgets in another thread than the one that runs cells."""

    def turn(slopes):
        return [(slope, ramp.still(slope=slope).png) for slope in slopes]

    slopes = [float(slope) for slope in (1, 6, 2, 8, 3, 9, 4)]
    alone = dict(turn(slopes))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        drawn = [pool.submit(turn, order) for order in (slopes, slopes[::-1])]
    for thread in drawn:
        for slope, png in thread.result():
            assert png == alone[slope]


def test_different_values_give_different_pictures(ramp):
    assert ramp.still(slope=1.0).png != ramp.still(slope=2.0).png


# --- the widget


def test_a_change_moves_picture_and_answer(ramp):
    before = ramp.widget.image.value
    ramp.inputs["slope"].value = 3.0
    assert ramp.result == 3.0
    assert ramp.widget.image.value != before
    assert "It ends at 3." in ramp.widget.answer.value


def test_setting_several_controls_draws_once(ramp):
    _ = ramp.widget
    before = ramp.renders
    ramp.set(slope=4.0, sign="down")
    assert ramp.renders == before + 1
    assert ramp.result == -4.0


def test_reset_puts_every_control_back(ramp):
    ramp.widget.children[0].children[-1].click()
    ramp.set(slope=4.0, sign="down")
    ramp.widget.children[0].children[-1].click()
    assert ramp.values == {"slope": 1.0, "sign": "up"}
    assert ramp.result == 1.0


def test_an_error_is_shown_and_the_next_good_value_clears_it(ramp):
    picture = ramp.widget.image.value
    ramp.inputs["slope"].value = 7.0
    assert isinstance(ramp.error, ValueError)
    shown = ramp.widget.trouble.value
    assert "<b>ValueError</b>: seven is &lt;not&gt; allowed" in shown
    assert "in compute" in shown  # where it happened, on demand
    assert ramp.widget.image.value == picture
    ramp.inputs["slope"].value = 6.0
    assert ramp.error is None
    assert ramp.widget.trouble.value == ""


def test_a_stored_notebook_keeps_the_picture_and_the_text(ramp):
    bundle = ramp._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert base64.b64decode(bundle["image/png"]) == ramp.widget.image.value
    assert bundle["text/plain"] == "It ends at 1."


def test_the_last_value_wins_and_those_between_are_not_drawn(ramp):
    async def drag():
        _ = ramp.widget
        before = ramp.renders
        for slope in np.arange(0, 5, 0.5):
            ramp.inputs["slope"].value = float(slope)
        ramp.inputs["sign"].value = "down"
        await asyncio.sleep(0.1)
        return ramp.renders - before

    assert asyncio.run(drag()) == 1
    assert ramp.result == -4.5


def test_a_loop_that_ended_does_not_leave_the_explorer_deaf(ramp):
    async def change(slope):
        ramp.inputs["slope"].value = slope

    _ = ramp.widget
    asyncio.run(change(2.0))  # ends before the drawing is due
    assert ramp.result == 1.0

    async def change_and_wait():
        await change(3.0)
        await asyncio.sleep(0.05)

    asyncio.run(change_and_wait())
    assert ramp.result == 3.0


def test_the_player_changes_only_when_the_controls_rest(ramp):
    async def drag():
        player = ramp.widget.player
        first = player.value
        for slope in (2.0, 3.0):
            ramp.inputs["slope"].value = slope
            await asyncio.sleep(0.1)
            assert player.value == first
        await asyncio.sleep(0.6)
        return player.value

    heard = audio.load(asyncio.run(drag()))
    assert heard[0] == pytest.approx(0.03, abs=1e-4)


# --- lesson 0's explorer


@pytest.fixture(scope="module")
def recognizer():
    config, features = CrnnConfig(), FeatureConfig(normalization="utterance")
    rng = np.random.default_rng(0)
    shapes = weight_shapes(config, input_shape=(100, features.n_mels), n_classes=10)
    weights = {
        name: np.abs(rng.normal(0, 0.3, shape)).astype(np.float32)
        if "variance" in name
        else rng.normal(0, 0.3, shape).astype(np.float32)
        for name, shape in shapes.items()
    }
    return Recognizer(features=features, model=config, weights=weights, labels=tuple("0123456789"))


def spoken(label, *, seconds=0.5, speaker="anna"):
    time = np.arange(round(seconds * RATE)) / RATE
    samples = 0.2 * np.sin(2 * np.pi * (200 + 50 * int(label)) * time) * np.hanning(len(time))
    return Clip(samples.astype(np.float32), label, speaker, "made", 0, "test", None)


@pytest.fixture
def digits(recognizer):
    return DigitExplorer(recognizer, [spoken("7"), spoken("2", seconds=0.4)])


def test_undisturbed_the_explorer_hears_the_clip_itself(digits, recognizer):
    heard = digits.compute(clip="seven · anna", snr_db=math.inf, speed=1.0)
    assert np.array_equal(heard.samples, spoken("7").samples)
    assert heard.transcript.probabilities == recognizer.transcribe(spoken("7").samples).probabilities
    assert heard.expected == "7"


def test_the_noise_has_the_level_that_the_slider_says(digits):
    clean = spoken("7").samples
    noise = digits.compute(clip="seven · anna", snr_db=10.0, speed=1.0).samples - clean
    assert signals.speech_level_db(clean) - audio.level_db(noise) == pytest.approx(10, abs=0.1)


def test_only_the_level_of_the_noise_changes(digits):
    clean = spoken("7").samples
    soft, loud = (
        digits.compute(clip="seven · anna", snr_db=db, speed=1.0).samples - clean for db in (20.0, 10.0)
    )
    assert np.corrcoef(soft, loud)[0, 1] > 0.9999


@pytest.mark.parametrize("speed", [0.7, 1.6])
def test_a_faster_clip_is_shorter(digits, speed):
    heard = digits.compute(clip="seven · anna", snr_db=math.inf, speed=speed)
    assert len(heard.samples) == pytest.approx(0.5 * RATE / speed, abs=2)


@pytest.mark.parametrize("snr_db", [math.inf, 0.0, -10.0])
@pytest.mark.parametrize("speed", [0.7, 1.6])
def test_every_corner_of_the_controls_draws(digits, snr_db, speed):
    still = digits.still(snr_db=snr_db, speed=speed)
    assert np.abs(pixels(still.png) - drawn_whole(digits)).mean() < 1  # spines lie over or under the bars
    assert still.text.startswith("The machine writes ")


def test_the_answer_says_whether_it_is_right_only_when_that_is_known(digits):
    known = digits.still(clip="seven · anna").text
    assert known.endswith(("Right.", "Wrong: it was 7."))
    digits.add_clip("me", spoken("3").samples)
    assert "Right" not in digits.still().text
    assert "Wrong" not in digits.still().text


def test_an_added_clip_is_chosen_and_may_be_replaced(digits):
    digits.add_clip("me", spoken("3").samples, label="3")
    digits.add_clip("me", spoken("4", seconds=0.3).samples, label="4")
    assert digits.values["clip"] == "me"
    assert list(digits.inputs["clip"].options).count("me") == 1
    assert digits.compute(**digits.values).expected == "4"


def test_an_added_clip_of_several_seconds_is_shown_whole(digits):
    digits.add_clip("me", np.tile(spoken("3").samples, 6))
    digits.still()
    assert digits._sound.get_xlim() == (0, 3.0)
    assert digits._mel.get_xlim() == (0, 3.0)


def test_an_unusable_clip_is_refused_and_leaves_the_list_alone(digits):
    with pytest.raises(AudioError):
        digits.add_clip("me", np.zeros(0, np.float32))
    assert "me" not in digits.inputs["clip"].options


def test_no_clip_is_refused(recognizer):
    with pytest.raises(ValueError, match="no clip"):
        DigitExplorer(recognizer, [])


def test_some_clips_gives_each_word_by_each_chosen_voice(digits_set):
    clips = some_clips(digits_set, n_speakers=2)
    assert [(clip.label, clip.speaker) for clip in clips] == [
        (label, speaker) for label in "0123456789" for speaker in ("ann", "cleo")
    ]
    with pytest.raises(ValueError, match="has 3 speakers"):
        some_clips(digits_set, n_speakers=4)


@pytest.fixture
def digits_set(tmp_path):
    lines = ["file,label,speaker,group,take,split,seconds"]
    for speaker in ("ann", "bob", "cleo"):
        for label in range(len(WORDS)):
            name = f"{label}_{speaker}.wav"
            audio.write(tmp_path / name, spoken(str(label)).samples)
            lines.append(f"{name},{label},{speaker},made,0,test,0.5")
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    return datasets.from_folder(tmp_path)


# --- the microphone


def recording(rate, *, seconds=1.0, hz=440.0):
    time = np.arange(round(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * hz * time)).astype("<f4")


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_the_browsers_samples_arrive_at_16_khz_with_their_pitch(rate):
    samples = samples_from_browser(memoryview(recording(rate).tobytes()), rate=float(rate))
    assert samples.dtype == np.float32
    assert len(samples) == RATE
    assert np.corrcoef(samples[500:-500], recording(RATE)[500:-500])[0, 1] > 0.999


@pytest.mark.parametrize("data", [b"", b"12345"])
def test_a_broken_message_is_refused(data):
    with pytest.raises(AudioError, match=f"{len(data)} bytes"):
        samples_from_browser(data, rate=48_000)


@pytest.fixture
def microphone():
    microphone = Microphone()
    microphone.heard = []
    microphone.on_recording(lambda samples: microphone.heard.append(samples) or f"{len(samples)} <came>")
    return microphone


def from_browser(microphone, samples, *, rate):
    """Deliver a message as the browser's half of the widget does."""
    content = {"kind": "recording", "rate": rate}
    microphone.recorder._handle_custom_msg(content, [memoryview(np.asarray(samples, "<f4").tobytes())])


def test_a_recording_reaches_audio_and_the_callback(microphone):
    assert microphone.audio is None
    from_browser(microphone, recording(48_000), rate=48_000)
    assert microphone.error is None
    assert len(microphone.audio) == RATE
    assert np.array_equal(microphone.heard[0], microphone.audio)
    assert "16000 &lt;came&gt;" in microphone.answer.value


def upload(microphone, name, content):
    """Choose a file, as the browser's half does when its Upload button is pressed."""
    microphone.recorder._handle_custom_msg({"kind": "upload", "name": name}, [memoryview(content)])


def test_the_last_answer_goes_when_a_new_recording_starts(microphone):
    microphone.hear(recording(RATE))
    assert microphone.answer.value
    microphone.recorder.state = "starting"
    assert microphone.answer.value == ""


def test_an_upload_ends_in_the_same_callback_twice_over(microphone, tmp_path):
    audio.write(tmp_path / "me.wav", recording(8_000), sample_rate=8_000)
    for _ in range(2):  # the same file again is a new recording
        upload(microphone, "me.wav", (tmp_path / "me.wav").read_bytes())
    assert [len(samples) for samples in microphone.heard] == [RATE, RATE]


def test_what_is_no_sound_is_refused_in_words_and_the_last_recording_stays(microphone):
    from_browser(microphone, recording(RATE), rate=RATE)
    upload(microphone, "cat.png", b"\x89PNG....")
    assert isinstance(microphone.error, AudioError)
    assert "PNG" in microphone.answer.value
    assert len(microphone.heard) == 1
    assert len(microphone.audio) == RATE


def test_a_silent_recording_is_refused(microphone):
    from_browser(microphone, np.zeros(RATE), rate=RATE)
    assert isinstance(microphone.error, AudioError)
    assert microphone.heard == []


def test_an_error_in_a_callback_is_shown(microphone):
    microphone.on_recording(lambda samples: {}["nothing"])
    microphone.hear(recording(RATE))
    assert "KeyError" in microphone.answer.value


@pytest.mark.parametrize(
    ("peak", "advice"), [(1.0, "full scale"), (1.3, "full scale"), (0.3, ""), (1e-4, "very soft")]
)
def test_a_level_that_spoils_the_answer_is_told(microphone, peak, advice):
    from_browser(microphone, recording(RATE) / 0.3 * peak, rate=RATE)
    assert advice in microphone.answer.value
    assert ("It " in microphone.answer.value) == bool(advice)


def test_an_upload_longer_than_allowed_is_refused(microphone, tmp_path):
    audio.write(tmp_path / "long.wav", recording(RATE, seconds=11))
    upload(microphone, "long.wav", (tmp_path / "long.wav").read_bytes())
    assert isinstance(microphone.error, AudioError)


def test_a_voice_is_not_part_of_the_state_that_jupyter_stores(microphone):
    before = microphone.recorder.get_state()
    from_browser(microphone, recording(RATE), rate=RATE)
    assert microphone.recorder.get_state().keys() == before.keys()
    stored = [
        value for value in microphone.recorder.get_state().values() if isinstance(value, (bytes, memoryview))
    ]
    assert stored == []


def test_the_browsers_half_asks_for_unprocessed_sound():
    source = str(Microphone().recorder._esm)
    for option in ("echoCancellation", "noiseSuppression", "autoGainControl"):
        assert f"{option}: false" in source


def test_every_control_can_be_reached_with_the_keyboard(digits):
    for control in digits.inputs.values():
        assert isinstance(control, (ipywidgets.Dropdown, ipywidgets.SelectionSlider, ipywidgets.FloatSlider))
        assert control.description
