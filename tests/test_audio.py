"""Every way in ends in float32 mono within [-1, 1], or in an AudioError that helps."""

import io
import math
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from asrlib import audio
from asrlib.errors import AudioError

RATE = 16_000


def tone(seconds=0.5, *, rate=RATE, frequency=440.0, peak=0.5):
    return (peak * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def encoded(samples, *, rate=RATE, file_format="WAV", subtype=None):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=file_format, subtype=subtype)
    return buffer.getvalue()


def clipped_correlation(a, b):
    n = min(len(a), len(b))
    return float(np.corrcoef(a[:n], b[:n])[0, 1])


# ------------------------------------------------------------------------------------------ what comes in


@pytest.mark.parametrize(
    ("file_format", "subtype", "tolerance"),
    [
        ("WAV", "PCM_U8", 2**-7),
        ("WAV", "PCM_16", 2**-15),
        ("WAV", "PCM_24", 2**-23),
        ("WAV", "PCM_32", 1e-7),
        ("WAV", "FLOAT", 0),
        ("WAV", "DOUBLE", 1e-7),
        ("WAVEX", "PCM_16", 2**-15),
        ("RF64", "PCM_16", 2**-15),
        ("FLAC", "PCM_16", 2**-15),
        ("FLAC", "PCM_24", 2**-23),
    ],
)
def test_lossless_files_return_what_was_written(file_format, subtype, tolerance):
    samples = tone()
    loaded = audio.load(encoded(samples, file_format=file_format, subtype=subtype))
    assert loaded.dtype == np.float32
    assert loaded.shape == samples.shape
    np.testing.assert_allclose(loaded, samples, rtol=0, atol=1.01 * tolerance)


@pytest.mark.parametrize("file_format", ["OGG", "MP3"])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_lossy_files_return_nearly_what_was_written(file_format, rate):
    samples = tone(1.0, rate=rate)
    loaded, native = audio.load_native(encoded(samples, rate=rate, file_format=file_format))
    assert native == rate
    assert abs(len(loaded) - len(samples)) <= 2304
    assert clipped_correlation(loaded, samples) > 0.99


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_any_rate_arrives_at_the_rate_asked_for(rate):
    loaded = audio.load(encoded(tone(0.5, rate=rate), rate=rate, subtype="FLOAT"))
    expected = soxr.resample(tone(0.5, rate=rate), rate, RATE, quality="HQ")
    np.testing.assert_array_equal(loaded, expected)
    middle = slice(2000, 6000)
    np.testing.assert_allclose(loaded[middle], tone(0.5)[middle], atol=2e-3)


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8])
def test_channels_mix_to_their_mean(channels):
    rng = np.random.default_rng(1)
    samples = rng.uniform(-1, 1, size=(500, channels)).astype(np.float32)
    expected = samples.mean(axis=1)
    np.testing.assert_allclose(audio.load(encoded(samples, subtype="FLOAT")), expected, atol=1e-7)
    np.testing.assert_allclose(audio.load(samples), expected, atol=1e-7)


def test_path_str_bytes_buffers_and_open_files_agree(tmp_path):
    path = tmp_path / "a clip, ünïcode.flac"
    audio.write(path, tone())
    expected = audio.load(path)
    data = path.read_bytes()
    with path.open("rb") as stream:
        np.testing.assert_array_equal(audio.load(stream), expected)
    for source in (str(path), data, bytearray(data), memoryview(data), io.BytesIO(data)):
        np.testing.assert_array_equal(audio.load(source), expected)


def test_the_suffix_does_not_matter(tmp_path):
    path = tmp_path / "flac.wav"
    path.write_bytes(encoded(tone(), file_format="FLAC"))
    assert len(audio.load(path)) == len(tone())


def test_a_stream_that_cannot_seek_is_read():
    class Pipe:
        def __init__(self, data):
            self.read = io.BytesIO(data).read

    np.testing.assert_array_equal(audio.load(Pipe(encoded(tone()))), audio.load(encoded(tone())))


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([0, 16384, -32768], dtype=np.int16), [0, 0.5, -1]),
        (np.array([0, 2**30, -(2**31)], dtype=np.int32), [0, 0.5, -1]),
        (np.array([128, 192, 0], dtype=np.uint8), [0, 0.5, -1]),
        (np.array([0, 0.5, -1], dtype=np.float64), [0, 0.5, -1]),
        (np.array([0, 0.5, -1], dtype=np.float16), [0, 0.5, -1]),
        (np.array([0, 0.5, -1], dtype=">f4"), [0, 0.5, -1]),
        (np.array([0, 16384, -32768], dtype=">i2"), [0, 0.5, -1]),
    ],
)
def test_arrays_are_scaled_by_their_full_scale(array, expected):
    loaded = audio.load(array)
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded, np.float32(expected))


def test_an_array_at_another_rate_is_resampled():
    assert audio.load(tone(0.5, rate=8000), source_rate=8000).shape == (8000,)
    samples, rate = audio.load_native(tone(0.5, rate=8000), source_rate=8000)
    assert (samples.shape, rate) == ((4000,), 8000)


def test_loading_leaves_the_array_as_it_was():
    array = tone()
    before = array.copy()
    audio.load(array, source_rate=8000)
    np.testing.assert_array_equal(array, before)


def test_one_sample_is_a_clip():
    assert audio.load(np.array([0.25])).tolist() == [0.25]


def test_a_wav_of_unknown_length_from_a_pipe_is_read():
    data = bytearray(encoded(tone()))
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", 0xFFFFFFFF)
    data[4:8] = struct.pack("<I", 0xFFFFFFFF)
    assert len(audio.load(bytes(data))) == len(tone())


# ---------------------------------------------------------------------------------------------- bad input


def wav_with_header(*, rate=RATE, channels=1, data=b"\0\1" * 100, promised=None):
    promised = len(data) if promised is None else promised
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * channels * 2, channels * 2, 16)
    return (
        struct.pack("<4sI4s", b"RIFF", 28 + promised + 8, b"WAVE")
        + fmt
        + struct.pack("<4sI", b"data", promised)
        + data
    )


WAV = encoded(tone())
FLAC = encoded(tone(), file_format="FLAC")
OGG = encoded(tone(), file_format="OGG")
NOISE = np.random.default_rng(3).uniform(-0.5, 0.5, 16_000)

BAD_BYTES = {
    "no bytes": (b"", "nothing is in it"),
    "text": (b"zero one two three", "not audio: it is text that begins 'zero one"),
    "utf-8 text": ("hören ".encode() * 100, "not audio: it is text"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "a PNG picture"),
    "web recording": (b"\x1aE\xdf\xa3" + bytes(100), "WebM"),
    "m4a": (b"\0\0\0\x20ftypM4A " + bytes(100), "M4A"),
    "lfs pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "zeros": (bytes(5000), "not audio"),
    "riff tag alone": (b"RIFF", "begins like WAV"),
    "wav header cut": (WAV[:30], "begins like WAV"),
    "wav without samples": (encoded(np.zeros(0)), "without any sound"),
    "wav cut in half": (WAV[: len(WAV) // 2], "cut short"),
    "wav lacking one sample": (WAV[:-2], "promise 2 more"),
    "wav promising an hour": (wav_with_header(promised=3600 * 32_000), "cut short"),
    "flac cut in half": (FLAC[: len(FLAC) // 2], "cut short"),
    "flac lacking its end": (FLAC[:-10], "cut short"),
    "ogg cut in half": (OGG[: len(OGG) // 2], "cut short|without any sound"),
    "long ogg cut": (encoded(np.tile(NOISE, 20), file_format="OGG")[:-100], "cut short"),
    "mp3 cut in half": (encoded(NOISE, file_format="MP3")[:3000], "cut short"),
    "nan": (encoded(np.array([0.1, np.nan, 0.1]), subtype="FLOAT"), r"1 of 3 samples are NaN.*index 1"),
    "infinite": (encoded(np.array([np.inf, 0.1]), subtype="FLOAT"), "NaN or infinite"),
    "silent": (encoded(np.zeros(1000)), "all 1000 samples are zero.*allow_silence"),
    "silent 8 bits": (encoded(np.zeros(1000), subtype="PCM_U8"), "are zero"),
    "integers as floats": (encoded(np.array([0.0, 20_000.0]), subtype="FLOAT"), r"up to 20000.*32768"),
    "rate of 1 Hz": (wav_with_header(rate=1), "sample rate=1 came"),
    "rate of 4 GHz": (wav_with_header(rate=2**31 - 1), "sample rate|damaged"),
    "200 channels": (wav_with_header(channels=200, data=bytes(4000)), "200 channels"),
}


@pytest.mark.parametrize(("data", "message"), BAD_BYTES.values(), ids=BAD_BYTES)
def test_bad_bytes_are_refused_with_help(data, message, tmp_path):
    with pytest.raises(AudioError, match=message):
        audio.load(data)
    path = tmp_path / "clip.wav"
    path.write_bytes(data)
    with pytest.raises(AudioError) as caught:
        audio.load(path)
    assert "clip.wav" in str(caught.value)
    with pytest.raises(AudioError, match=message):
        list(audio.blocks(data, seconds=0.01))


def test_random_damage_never_escapes_as_another_error():
    rng = np.random.default_rng(5)
    for original in (WAV, FLAC, OGG):
        for _ in range(60):
            damaged = bytearray(original[: rng.integers(1, len(original) + 1)])
            for at in rng.integers(0, min(len(damaged), 200), size=4):
                damaged[at] = rng.integers(256)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", audio.AudioWarning)
                try:
                    samples = audio.load(bytes(damaged), max_seconds=5)
                except AudioError as error:
                    assert len(str(error)) > 30
                else:
                    assert np.abs(samples).max() <= 1


def test_missing_file_names_the_nearest(tmp_path):
    audio.write(tmp_path / "seven.wav", tone())
    with pytest.raises(AudioError, match=r"does not exist.*Did you mean 'seven\.wav'"):
        audio.load(tmp_path / "sevn.wav")
    with pytest.raises(AudioError, match="Nor does that folder"):
        audio.load(tmp_path / "nowhere" / "x.wav")


def test_folder_empty_file_address_and_raw_are_refused(tmp_path):
    (tmp_path / "empty.wav").touch()
    (tmp_path / "clip.raw").write_bytes(WAV)
    for source, message in [
        (tmp_path, "is a folder"),
        (tmp_path / "empty.wav", "is empty"),
        ("https://example.org/clip.wav", "download it first"),
        ("a\0b.wav", "cannot be opened|does not exist"),
        ("x" * 5000 + ".wav", "cannot be opened"),
    ]:
        with pytest.raises(AudioError, match=message):
            audio.load(source)


def test_unreadable_file_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "locked.wav"
    path.write_bytes(WAV)

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # a mode of 0 does not keep root out
    with pytest.raises(AudioError, match=r"locked\.wav' cannot be opened: Permission denied"):
        audio.load(path)


def test_open_files_that_cannot_work_are_refused(tmp_path):
    path = tmp_path / "clip.wav"
    path.write_bytes(WAV)
    with path.open("rb") as stream:
        stream.read()
        with pytest.raises(AudioError, match=r"seek\(0\)"):
            audio.load(stream)
    with pytest.raises(AudioError, match="cannot be read"):
        audio.load(stream)  # closed
    with pytest.raises(AudioError, match="mode 'rb'"):
        audio.load(io.StringIO("text"))
    with (tmp_path / "out.wav").open("wb") as stream, pytest.raises(AudioError, match="cannot be read"):
        audio.load(stream)


class DataFrame:
    """Looks like a table to the one who describes it."""

    shape = (3, 2)

    def to_numpy(self):
        return np.zeros(self.shape)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "^None came"),
        ([0.1, 0.2], "A list came.*asarray"),
        (0.5, "A float came"),
        (DataFrame(), r"DataFrame of shape \(3, 2\) came.*to_numpy"),
        (np.zeros(0), "no samples"),
        (np.zeros((0, 2)), "no samples"),
        (np.float32(0.5) * np.ones(()), "came|shape"),
        (np.ones((2, 3, 4)), "one clip at a time"),
        (np.full((2, 16_000), 0.1), r"\(2, 16000\).*array\.T.*batch"),
        (np.full((1, 16_000), 0.1), r"array\.T"),
        (np.full((6, 2), 0.1), "more than 8 samples"),
        (np.full((100, 9), 0.1), "at most 8 channels"),
        (np.array([True, False]), "array of bool"),
        (np.array([1, 2]), "array of int64|array of int32"),
        (np.array([1, 2], dtype=np.uint16), "array of uint16"),
        (np.array([1j]), "array of complex"),
        (np.array(["a"]), "array of <U1"),
        (np.array([None, 0.1]), "array of object"),
        (np.array([0.1, np.nan]), "1 of 2 samples are NaN"),
        (np.array([0.1, -np.inf]), "infinite"),
        (np.array([0.1, 1.5]), r"reach 1\.5.*peak_limit"),
        (np.array([0.1, -12_000.0]), "divide by 32768"),
        (np.zeros(100), "are zero"),
        (np.ma.masked_array([0.1, 0.2], mask=[0, 1]), "masked"),
    ],
)
def test_bad_sources_are_refused_with_help(source, message):
    with pytest.raises(AudioError, match=message):
        audio.load(source)


@pytest.mark.parametrize("rate", [0, -16_000, 16, 10**9, 16_000.5, "16000", True, None, math.nan, math.inf])
def test_absurd_rates_are_refused(rate):
    with pytest.raises(AudioError, match=r"sample_rate=.*came"):
        audio.load(tone(), sample_rate=rate)
    if rate is not None:
        with pytest.raises(AudioError, match=r"source_rate=.*came"):
            audio.load(tone(), source_rate=rate)
    with pytest.raises(AudioError, match=r"sample_rate=.*came"):
        audio.play(tone(), sample_rate=rate)


def test_whole_rates_of_other_types_are_taken():
    assert len(audio.load(tone(), sample_rate=np.int32(8000))) == len(audio.load(tone(), sample_rate=8000.0))


@pytest.mark.parametrize("limit", [0, -1, math.nan, "long", None, True])
def test_absurd_limits_are_refused(limit):
    with pytest.raises(AudioError, match="max_seconds"):
        audio.load(tone(), max_seconds=limit)


@pytest.mark.parametrize("file_format", ["WAV", "FLAC", "OGG", "MP3"])
def test_long_recordings_are_refused_from_the_header(file_format, monkeypatch):
    data = encoded(tone(3.0), file_format=file_format)
    assert len(audio.load(data, max_seconds=3.1)) > 0
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *a, **k: pytest.fail("decoded before the check"))
    with pytest.raises(AudioError, match=r"lasts 3\.\d s, more than max_seconds=2"):
        audio.load(data, max_seconds=2)


def test_long_arrays_are_refused():
    with pytest.raises(AudioError, match="lasts 2"):
        audio.load(tone(2.0), max_seconds=1)
    assert len(audio.load(tone(2.0), max_seconds=math.inf)) == 2 * RATE


def test_a_flac_that_promises_days_is_refused_without_reserving_memory():
    data = bytearray(FLAC)
    data[21] |= 0x0F  # the upper four bits of the 36-bit sample count
    data[22:26] = b"\xff" * 4
    with pytest.raises(AudioError, match="more than max_seconds"):
        audio.load(bytes(data))
    with pytest.raises(AudioError, match="cut short"):
        audio.load(bytes(data), max_seconds=math.inf)


def test_a_rate_that_contradicts_the_file_is_refused():
    assert len(audio.load(WAV, source_rate=RATE)) == len(tone())
    with pytest.raises(AudioError, match="states 16000 Hz, but source_rate=8000"):
        audio.load(WAV, source_rate=8000)


def test_silence_passes_on_request():
    assert not audio.load(np.zeros(10), allow_silence=True).any()
    assert not audio.load(encoded(np.zeros(10)), allow_silence=True).any()


def test_library_errors_stay_as_the_cause():
    with pytest.raises(AudioError) as caught:
        audio.load(b"not a sound at all")
    assert isinstance(caught.value.__cause__, soundfile.SoundFileError)


# ----------------------------------------------------------------------------------------- range, resample


def test_resampling_overshoot_scales_the_whole_clip_and_says_so():
    square = np.sign(np.sin(2 * np.pi * 400 * np.arange(8000) / 8000) + 0.1).astype(np.float32)
    plain = soxr.resample(square, 8000, 16_000, quality="HQ")
    assert np.abs(plain).max() > 1.05
    with pytest.warns(audio.AudioWarning, match=r"scaled by 0\.\d+ to stay within"):
        loaded = audio.load(square, source_rate=8000)
    assert np.abs(loaded).max() == 1
    np.testing.assert_allclose(loaded, plain / np.abs(plain).max(), atol=1e-6)


def test_decoding_overshoot_scales_the_whole_clip_and_says_so():
    with pytest.warns(audio.AudioWarning, match="decoding"):
        loaded = audio.load(encoded(tone(peak=1.5), subtype="FLOAT"))
    np.testing.assert_allclose(loaded, tone(peak=1.0), atol=1e-3)


def test_ordinary_clips_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        audio.load(tone(peak=1.0))
        audio.load(tone(peak=0.9, rate=8000), source_rate=8000)


def test_resampling_is_linear_and_keeps_a_constant():
    a, b = tone(0.2, rate=8000, peak=0.3), tone(0.2, rate=8000, frequency=1000, peak=0.3)
    rates = {"source_rate": 8000, "target_rate": 16_000}
    both = audio.resample(a + b, **rates)
    np.testing.assert_allclose(both, audio.resample(a, **rates) + audio.resample(b, **rates), atol=1e-6)
    constant = audio.resample(np.full(8000, 0.25), **rates)
    np.testing.assert_allclose(constant[1000:-1000], 0.25, atol=1e-4)


def test_resampling_removes_what_would_alias():
    high = tone(1.0, frequency=7000)
    low = audio.resample(high, source_rate=16_000, target_rate=8000)
    assert audio.level_db(low[500:-500]) < audio.level_db(high) - 80


def test_resampling_up_and_down_returns_the_wave():
    samples = tone(0.5, frequency=1000)
    up = audio.resample(samples, source_rate=16_000, target_rate=48_000)
    back = audio.resample(up, source_rate=48_000, target_rate=16_000)
    np.testing.assert_allclose(back[500:-500], samples[500:-500], atol=1e-4)


def test_equal_rates_return_the_samples():
    samples = tone()
    assert audio.resample(samples, source_rate=RATE, target_rate=RATE) is samples


def test_a_clip_too_short_to_resample_is_refused():
    with pytest.raises(AudioError, match="leave none"):
        audio.resample(np.array([0.5]), source_rate=48_000, target_rate=100)


# -------------------------------------------------------------------------------------------------- check


def test_check_returns_the_same_array_when_it_can():
    samples = tone()
    assert audio.check(samples) is samples
    assert audio.check(samples.astype(np.float64)).dtype == np.float32
    assert audio.check(np.zeros(5), allow_silence=True).dtype == np.float32


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (None, "clip: None came"),
        ([0.1], "clip: a list came"),
        ("a.wav", r"audio\.load"),
        (np.array([1, 2], dtype=np.int16), r"clip: an array of int16.*audio\.load"),
        (np.full((2, 10), 0.1), r"shape \(2, 10\)"),
        (np.zeros(0), "no samples"),
        (np.zeros(10), "all 10 samples are zero"),
        (np.array([np.nan]), "NaN"),
        (np.array([1.001]), r"clip reach 1\.001"),
    ],
)
def test_check_says_what_is_wrong(samples, message):
    with pytest.raises(AudioError, match=message):
        audio.check(samples, name="clip")


def test_check_points_at_the_samples_of_a_clip():
    class Clip:
        samples = tone()

    with pytest.raises(AudioError, match=r"pass its \.samples"):
        audio.check(Clip())


# ----------------------------------------------------------------------------------------- write, info, play


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".WAV"])
def test_every_16_bit_value_survives_write_and_load(suffix, tmp_path):
    steps = np.arange(-32768, 32768, dtype=np.int16)
    path = audio.write(tmp_path / f"steps{suffix}", audio.load(steps))
    assert audio.info(path).subtype == "PCM_16"
    np.testing.assert_array_equal(soundfile.read(path, dtype="int16")[0], steps)
    np.testing.assert_array_equal(audio.load(path), audio.load(steps))


def test_a_long_ogg_is_written(tmp_path):
    samples = np.tile(tone(1.0), 40)
    loaded = audio.load(audio.write(tmp_path / "long.ogg", samples))
    assert len(loaded) == len(samples)
    assert clipped_correlation(loaded, samples) > 0.99


def test_write_puts_full_scale_on_the_last_step(tmp_path):
    path = audio.write(tmp_path / "peak.wav", np.array([1.0, -1.0]))
    assert soundfile.read(path, dtype="int16")[0].tolist() == [32767, -32768]


@pytest.mark.parametrize(
    ("name", "samples", "message"),
    [
        ("a.wav", np.array([0.0, 1.25]), r"reach 1\.25.*peak_limit"),
        ("a.wav", np.array([np.nan]), "NaN"),
        ("a.wav", np.full((10, 2), 0.1), "one clip"),
        ("a.mp3", np.array([0.1]), r"\.wav, \.flac or \.ogg"),
        ("a", np.array([0.1]), r"ends in ''"),
        ("no/folder/a.wav", np.array([0.1]), "mkdir"),
    ],
)
def test_write_refuses_what_it_would_spoil(name, samples, message, tmp_path):
    with pytest.raises(AudioError, match=message):
        audio.write(tmp_path / name, samples)
    assert not list(tmp_path.iterdir())


def test_write_over_a_folder_is_refused(tmp_path):
    (tmp_path / "a.wav").mkdir()
    with pytest.raises(AudioError, match="cannot be written"):
        audio.write(tmp_path / "a.wav", tone())


# ------------------------------------------------------------------------------------------ block by block


@pytest.mark.parametrize("file_format", ["WAV", "FLAC", "OGG", "MP3"])
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("seconds", [0.013, 0.4, 100])
def test_blocks_together_are_what_load_gives(file_format, rate, seconds, tmp_path):
    path = tmp_path / "tone.bin"
    path.write_bytes(encoded(tone(1.3, rate=rate), rate=rate, file_format=file_format))
    blocks = list(audio.blocks(path, seconds=seconds))
    joined, whole = np.concatenate(blocks), audio.load(path)
    assert abs(len(joined) - len(whole)) <= 1
    n = min(len(joined), len(whole))
    np.testing.assert_allclose(joined[:n], whole[:n], rtol=0, atol=1e-6 if rate == 16_000 else 1e-4)
    assert all(block.dtype == np.float32 for block in blocks)
    assert max(map(len, blocks)) <= max(seconds, 0.2) * 16_000 + 10_000


@pytest.mark.parametrize("kind", ["int16", "uint8", "stereo", "float64"])
def test_blocks_of_an_array_are_what_load_gives(kind):
    samples = tone(0.5)
    array = {
        "int16": (samples * 32768).astype(np.int16),
        "uint8": (samples * 127 + 128).astype(np.uint8),
        "stereo": np.stack([samples, np.zeros_like(samples)], axis=1),
        "float64": samples.astype(np.float64),
    }[kind]
    blocks = list(audio.blocks(array, seconds=0.0631, source_rate=16_000))
    assert len(blocks) == 8
    np.testing.assert_array_equal(np.concatenate(blocks), audio.load(array, source_rate=16_000))


def test_a_header_is_read_before_the_first_block_and_the_rest_when_it_is_reached():
    with pytest.raises(AudioError, match="does not exist"):
        audio.blocks("none.wav")
    with pytest.raises(AudioError, match="states 16000 Hz"):
        audio.blocks(encoded(tone()), source_rate=8_000)
    bad = encoded(np.concatenate([tone(1.0), [np.nan]]).astype(np.float32), subtype="FLOAT")
    blocks = audio.blocks(bad, seconds=0.5)
    assert len(next(blocks)) == len(next(blocks)) == 8_000
    with pytest.raises(AudioError, match="NaN"):
        next(blocks)


def test_silence_between_sounds_is_no_silent_recording():
    quiet = np.zeros(32_000, np.float32)
    assert len(list(audio.blocks(np.concatenate([quiet, tone()]), seconds=1))) == 3
    blocks = audio.blocks(quiet, seconds=1)
    assert len(next(blocks)) == len(next(blocks)) == 16_000
    with pytest.raises(AudioError, match="all 32000 samples are zero"):
        next(blocks)
    assert len(list(audio.blocks(quiet, seconds=1, allow_silence=True))) == 2


def test_a_peak_above_one_scales_everything_from_its_block_on_and_says_so():
    loud = np.concatenate([tone(1.0), 3 * tone(1.0), tone(1.0)])
    with pytest.warns(audio.AudioWarning, match=r"reached 1\.500 after 1\.0 s") as warned:
        blocks = list(audio.blocks(encoded(loud, subtype="FLOAT"), seconds=1))
    assert len(warned) == 1
    assert [round(float(np.abs(block).max()), 3) for block in blocks] == [0.5, 1.0, 0.333]


@pytest.mark.parametrize("seconds", [0, -1, None, True])
def test_blocks_have_a_length(seconds):
    with pytest.raises(AudioError, match="seconds="):
        audio.blocks(tone(), seconds=seconds)


# ------------------------------------------------------------------------------------------- what is told


def test_info_reads_the_header(tmp_path):
    stereo = np.stack([tone(0.5, rate=44_100)] * 2, axis=1)
    data = encoded(stereo, rate=44_100, file_format="FLAC", subtype="PCM_24")
    expected = audio.AudioInfo(0.5, 44_100, 2, "FLAC", "PCM_24")
    assert audio.info(data) == expected
    (tmp_path / "a.flac").write_bytes(data)
    assert audio.info(tmp_path / "a.flac") == expected
    with pytest.raises(AudioError, match="not audio"):
        audio.info(b"nothing of the kind")


def test_play_keeps_levels_and_limits_peaks(capsys):
    quiet = audio.play(tone(peak=0.01))
    assert capsys.readouterr().out == ""
    loud = audio.play(tone(peak=1.0) * 3)
    assert "10.5 dB softer: the peak is 3" in capsys.readouterr().out
    for player, peak in [(quiet, 0.01), (loud, 0.9)]:
        samples, rate = soundfile.read(io.BytesIO(player.data))
        assert rate == RATE
        assert np.abs(samples).max() == pytest.approx(peak, abs=1e-3)


def test_level_of_known_signals():
    assert audio.level_db(np.ones(100)) == 0
    assert audio.level_db(tone(1.0, peak=1.0)) == pytest.approx(-3.01, abs=0.01)
    assert audio.level_db(tone(1.0, peak=0.1)) == pytest.approx(-23.01, abs=0.01)
    assert audio.level_db(np.zeros(10)) == -math.inf
    assert audio.level_db(np.array([2.0])) == pytest.approx(6.02, abs=0.01)


def test_peak_limit_only_turns_down():
    quiet = tone(peak=0.5)
    assert audio.peak_limit(quiet) is quiet
    loud = np.random.default_rng(2).normal(size=1000)
    limited = audio.peak_limit(loud, peak=0.9)
    assert np.abs(limited).max() == pytest.approx(0.9)
    np.testing.assert_allclose(limited * np.abs(loud).max() / 0.9, loud, rtol=1e-5)
    assert np.abs(audio.peak_limit(loud, peak=1.0)).max() <= 1
    for peak in (0, -1, 1.5, math.nan):
        with pytest.raises(ValueError, match="peak="):
            audio.peak_limit(loud, peak=peak)


def test_importing_audio_loads_no_heavy_library():
    code = (
        "import sys, asrlib.audio; "
        "print([m for m in ('soundfile', 'soxr', 'tensorflow', 'librosa', 'IPython') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent.parent,
    )
    assert result.stdout.strip() == "[]"
