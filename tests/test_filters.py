"""Filters equal SciPy's, do to tones what their response says, and refuse designs that cannot work."""

import math

import numpy as np
import pytest
import scipy.signal
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from asrlib import audio, datasets, filters, signals
from asrlib.errors import AudioError

RATE = 16_000
SCIPY_WINDOW = {"rectangular": "boxcar", "hann": "hann", "hamming": "hamming", "blackman": "blackman"}

clips = hnp.arrays(np.float32, st.integers(1, 300), elements=st.floats(-1, 1, width=32))


def rng(seed=7):
    return np.random.default_rng(seed)


def noise(seconds=1.0):
    return signals.white_noise(seconds, rng=rng())


def designs():
    """One filter of each make, for what must hold of all."""
    return [
        filters.fir("lowpass", 1000),
        filters.fir("bandstop", (900, 1100), n_taps=301),
        filters.fir("bandpass", (300, 3400), n_taps=64),
        filters.Fir([0.5, -0.25, 0.125]),
        filters.butterworth("highpass", 150, order=5),
        filters.butterworth("bandpass", (300, 3400), order=3),
        filters.notch(50, q=5),
    ]


def each_design():
    return pytest.mark.parametrize("filter", designs(), ids=repr)


# ------------------------------------------------------------------------------------------ FIR design


@pytest.mark.parametrize("window", SCIPY_WINDOW)
@pytest.mark.parametrize("n_taps", [3, 4, 21, 100, 301])
@pytest.mark.parametrize(
    ("kind", "cutoff"),
    [
        ("lowpass", 1000.0),
        ("lowpass", 7000.0),
        ("highpass", 300.0),
        ("bandpass", (300.0, 3400.0)),
        ("bandstop", (45, 55)),
    ],
)
@pytest.mark.parametrize("sample_rate", [16_000, 44_100])
def test_windowed_sinc_equals_firwin(kind, cutoff, n_taps, window, sample_rate):
    if n_taps % 2 == 0 and kind in ("highpass", "bandstop"):
        return
    taps = filters.fir(kind, cutoff, n_taps=n_taps, sample_rate=sample_rate, window=window).taps
    expected = scipy.signal.firwin(
        n_taps, cutoff, window=SCIPY_WINDOW[window], pass_zero=kind, fs=sample_rate
    )
    np.testing.assert_allclose(taps, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_taps", [101, 102])
def test_taps_are_symmetric(n_taps):
    taps = filters.fir("lowpass", 1234, n_taps=n_taps).taps
    np.testing.assert_allclose(taps, taps[::-1], rtol=0, atol=1e-16)


@pytest.mark.parametrize(
    ("kind", "cutoff", "unity", "stopped"),
    [
        ("lowpass", 2000, 0, [4000, 8000]),
        ("highpass", 2000, 8000, [0, 1000]),
        ("bandpass", (1500, 2500), 2000, [0, 500, 4000, 8000]),
        ("bandstop", (1500, 2500), 0, [2000]),
    ],
)
def test_fir_gain_is_one_where_it_keeps_half_at_the_cut_off_and_nought_where_it_stops(
    kind, cutoff, unity, stopped
):
    filter = filters.fir(kind, cutoff, n_taps=301)
    response = filters.frequency_response(filter, frequencies=[unity, *np.atleast_1d(cutoff), *stopped])
    assert response.gain[0] == pytest.approx(1, abs=1e-12)
    n_edges = np.size(cutoff)
    np.testing.assert_allclose(response.gain_db[1 : 1 + n_edges], -6.02, atol=0.1)
    assert response.gain_db[1 + n_edges :].max() < -45


def test_softer_windows_stop_more():
    beyond = np.linspace(2600, 8000, 1000)
    leak = [
        filters.frequency_response(
            filters.fir("lowpass", 2000, n_taps=151, window=window), frequencies=beyond
        ).gain_db.max()
        for window in ("rectangular", "hamming", "hann", "blackman")
    ]
    assert leak == sorted(leak, reverse=True)
    assert leak[0] > -40
    assert leak[-1] < -80


def test_more_taps_fall_steeper():
    widths = []
    for n_taps in (51, 101, 201, 401):
        response = filters.frequency_response(filters.fir("lowpass", 2000, n_taps=n_taps), n_points=16_001)
        falling = (response.gain_db < -1) & (response.gain_db > -40) & (response.frequencies < 3000)
        widths.append(np.ptp(response.frequencies[falling]))
    np.testing.assert_allclose(np.divide(widths[:-1], widths[1:]), 2, rtol=0.05)


# ------------------------------------------------------------------------------------------ IIR design


@pytest.mark.parametrize("order", [1, 2, 4, 7, 12])
@pytest.mark.parametrize(
    ("kind", "cutoff"),
    [("lowpass", 1000), ("highpass", 80.0), ("bandpass", (300, 3400)), ("bandstop", (45.0, 55.0))],
)
def test_butterworth_equals_scipy_and_has_lost_half_its_power_at_the_cut_off(kind, cutoff, order):
    filter = filters.butterworth(kind, cutoff, order=order)
    np.testing.assert_array_equal(filter.sos, scipy.signal.butter(order, cutoff, kind, fs=RATE, output="sos"))
    edges = filters.frequency_response(filter, frequencies=np.atleast_1d(cutoff))
    np.testing.assert_allclose(edges.gain**2, 0.5, rtol=1e-6)
    kept = {"lowpass": 0, "highpass": 8000, "bandpass": 1040, "bandstop": 0}[kind]
    assert filters.frequency_response(filter, frequencies=[kept]).gain[0] == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("order", [1, 2, 3, 6])
def test_butterworth_falls_by_6_db_per_octave_and_order(order):
    gains = filters.frequency_response(
        filters.butterworth("highpass", 1000, order=order), frequencies=[15.625, 31.25, 62.5]
    ).gain_db
    np.testing.assert_allclose(np.diff(gains), 6.02 * order, atol=0.05 * order)


@pytest.mark.parametrize(("frequency", "q"), [(50, 30.0), (60, 5.0), (1000, 100), (3000, 1.0)])
def test_notch_equals_scipy_and_is_as_narrow_as_q_says(frequency, q):
    filter = filters.notch(frequency, q=q)
    b, a = scipy.signal.iirnotch(frequency, q, fs=RATE)
    np.testing.assert_array_equal(filter.sos, [np.concatenate([b, a])])
    response = filters.frequency_response(filter, frequencies=[0, frequency, 8000])
    np.testing.assert_allclose(response.gain, [1, 0, 1], atol=1e-9)
    fine = filters.frequency_response(filter, n_points=400_001)
    lost = fine.frequencies[fine.gain**2 < 0.5]
    assert np.ptp(lost) == pytest.approx(frequency / q, rel=0.2 if q < 2 else 0.03)


kinds = st.sampled_from(["lowpass", "highpass", "bandpass", "bandstop"])


@settings(max_examples=40)
@given(kind=kinds, edges=st.tuples(*[st.floats(1, 7999)] * 2), order=st.integers(1, 24))
def test_every_butterworth_that_is_accepted_is_stable(kind, edges, order):
    assume(edges[0] != edges[1])
    cutoff = sorted(edges) if kind.startswith("band") else edges[0]
    try:
        filter = filters.butterworth(kind, cutoff, order=order)
    except ValueError as error:
        assert "pole" in str(error) or "Rounding" in str(error)
        return
    # What a filter does, not what its formula says: a step of 1 never grows much, and settles on the gain.
    out = filters.apply(filter, np.ones(RATE // 4))
    assert np.abs(out).max() < 4
    lowest = edges[0] if kind == "lowpass" else min(edges)
    if lowest > 300 and abs(edges[1] - edges[0]) > 300:
        gain = filters.frequency_response(filter, frequencies=[0]).gain[0]
        assert out[-1] == pytest.approx(gain, abs=1e-2)


# ------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize("design", [filters.fir, filters.butterworth])
@pytest.mark.parametrize("cutoff", [0, -100, 8000, 9000.0, math.nan, math.inf, "1000", None, True])
def test_cut_off_outside_the_range_is_refused(design, cutoff):
    with pytest.raises(ValueError, match=r"cutoff=.* came\. Expected .* half the sample rate, 8000 Hz"):
        design("lowpass", cutoff)
    with pytest.raises(ValueError, match="half the sample rate, 8000 Hz"):
        design("bandpass", (cutoff, 3000))


@pytest.mark.parametrize("design", [filters.fir, filters.butterworth])
@pytest.mark.parametrize(
    ("kind", "cutoff", "told"),
    [
        ("bandpass", (3400, 300), r"lower edge first: \(300, 3400\)"),
        ("bandstop", (300, 300), "two different values"),
        ("bandpass", 1000, "two frequencies"),
        ("lowpass", (300, 3400), "one frequency"),
        ("bandstop", (1, 2, 3), "two frequencies"),
        ("low", 1000, "lowpass, highpass, bandpass, bandstop"),
        ("notch", 1000, "Expected one of"),
    ],
)
def test_swapped_edges_and_wrong_counts_and_names_are_refused(design, kind, cutoff, told):
    with pytest.raises(ValueError, match=told):
        design(kind, cutoff)


@pytest.mark.parametrize("order", [0, -1, 25, 2.5, 4.0, True, None, math.nan])
def test_impossible_orders_are_refused(order):
    with pytest.raises(ValueError, match=r"order=.* came\. Expected a whole number from 1 to 24"):
        filters.butterworth("lowpass", 1000, order=order)


@pytest.mark.parametrize("n_taps", [0, 1, 2, -5, 10.5, 101.0, None, True, math.nan])
def test_impossible_tap_counts_are_refused(n_taps):
    with pytest.raises(ValueError, match=r"n_taps=.* came\. Expected a whole number of at least 3"):
        filters.fir("lowpass", 1000, n_taps=n_taps)


@pytest.mark.parametrize(("kind", "cutoff"), [("highpass", 1000), ("bandstop", (900, 1100))])
def test_even_taps_are_refused_where_the_top_must_pass(kind, cutoff):
    with pytest.raises(ValueError, match=r"odd number.*Take 101"):
        filters.fir(kind, cutoff, n_taps=100)


def test_orders_that_drown_in_rounding_errors_are_refused():
    with pytest.raises(ValueError, match="Rounding errors would reach"):
        filters.butterworth("bandstop", (2, 7000), order=10)
    with pytest.raises(ValueError, match="pole"):
        filters.butterworth("lowpass", 1e-8, order=4)


def test_other_settings_are_refused():
    with pytest.raises(ValueError, match="rectangular, hann, hamming, blackman"):
        filters.fir("lowpass", 1000, window="kaiser")
    with pytest.raises(ValueError, match="nothing through"):
        filters.fir("bandpass", (7999.8, 7999.9), n_taps=4)
    for sample_rate in (0, -1, 8000.5, math.nan, math.inf, "16000"):
        with pytest.raises(ValueError, match="sample_rate"):
            filters.butterworth("lowpass", 1000, sample_rate=sample_rate)


@pytest.mark.parametrize("q", [0, -3, math.nan, math.inf, "30", None])
def test_a_notch_without_width_is_refused(q):
    with pytest.raises(ValueError, match=r"q=.* came\. Expected a positive number"):
        filters.notch(50, q=q)


def test_impossible_notches_are_refused():
    for frequency in (0, 8000, -50, math.nan):
        with pytest.raises(ValueError, match=r"frequency=.* half the sample rate"):
            filters.notch(frequency)
    with pytest.raises(ValueError, match=r"raise q above 0\.5"):
        filters.notch(4000, q=0.5)


@pytest.mark.parametrize(
    "section", [[1, 0, 0, 1, -1, 0], [1, 0, 0, 1, -2.1, 1.1], [1, 0, 0, 1, 0, 1], [1, 0, 0, 1, 0, 1.5]]
)
def test_unstable_sections_are_refused(section):
    with pytest.raises(ValueError, match="Section 1 has a pole"):
        filters.Iir([[1, 0, 0, 1, 0.5, 0], section])


def test_filters_that_are_none_are_refused():
    for sos in ([1, 0, 0, 1, 0, 0], [[1, 0, 0, 1, 0]], np.zeros((0, 6))):
        with pytest.raises(ValueError, match="sos of shape"):
            filters.Iir(sos)
    with pytest.raises(ValueError, match="divide each row"):
        filters.Iir([[1, 0, 0, 2, 0, 0]])
    with pytest.raises(ValueError, match="NaN"):
        filters.Iir([[1, 0, 0, 1, np.nan, 0]])
    for taps in ([], [[1.0]], 1.0):
        with pytest.raises(ValueError, match="taps of shape"):
            filters.Fir(taps)
    with pytest.raises(ValueError, match="NaN"):
        filters.Fir([1.0, np.inf])
    for use in (
        lambda it: filters.apply(it, noise()),
        filters.frequency_response,
        filters.group_delay,
        lambda it: filters.impulse_response(it, seconds=1),
    ):
        with pytest.raises(TypeError, match="Fir or Iir"):
            use(np.ones(3))


def test_a_filter_keeps_its_numbers_when_the_source_changes():
    taps = np.array([0.5, 0.5])
    filter = filters.Fir(taps)
    taps[0] = 9
    assert filter.taps.tolist() == [0.5, 0.5]
    with pytest.raises(AttributeError):
        filter.sample_rate = 8000


# ------------------------------------------------------------------------------------------ convolution


rows = hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(-10, 10))


@given(rows, rows)
def test_convolution_equals_numpy_and_does_not_care_for_the_order(first, second):
    convolved = filters.convolve(first, second)
    np.testing.assert_allclose(convolved, np.convolve(first, second), rtol=0, atol=1e-9)
    np.testing.assert_allclose(convolved, filters.convolve(second, first), rtol=0, atol=1e-9)


def test_convolution_keeps_the_type_of_the_samples():
    taps = filters.fir("lowpass", 1000).taps
    assert filters.convolve(noise(0.1), taps).dtype == np.float32
    assert filters.convolve(taps, taps).dtype == np.float64
    assert filters.convolve(np.array([1, 2]), [1, 1]).tolist() == [1.0, 3.0, 2.0]


@pytest.mark.parametrize("bad", [[], [[1.0]], [np.nan]])
def test_convolution_refuses_what_is_no_row_of_numbers(bad):
    with pytest.raises(ValueError, match="taps"):
        filters.convolve(np.ones(3), np.array(bad))
    with pytest.raises(ValueError, match="samples"):
        filters.convolve(np.array(bad), np.ones(3))


# ------------------------------------------------------------------------------------------ applying


@each_design()
def test_apply_equals_scipy(filter):
    samples = noise(0.3)
    if isinstance(filter, filters.Fir):
        expected = scipy.signal.lfilter(filter.taps, 1.0, samples.astype(np.float64))
        both_ways = scipy.signal.filtfilt(filter.taps, 1.0, samples.astype(np.float64))
    else:
        expected = scipy.signal.sosfilt(filter.sos, samples.astype(np.float64))
        both_ways = scipy.signal.sosfiltfilt(
            filter.sos, samples.astype(np.float64), padlen=3 * (2 * len(filter.sos) + 1)
        )
    np.testing.assert_allclose(filters.apply(filter, samples), expected, rtol=0, atol=1e-7)
    np.testing.assert_allclose(filters.apply(filter, samples, zero_phase=True), both_ways, rtol=0, atol=1e-7)


@each_design()
@pytest.mark.parametrize("zero_phase", [False, True])
@pytest.mark.parametrize("n_samples", [1, 2, 7, 1000])
def test_apply_keeps_length_and_type_and_leaves_its_input_alone(filter, zero_phase, n_samples):
    samples = noise()[:n_samples]
    before = samples.copy()
    filtered = filters.apply(filter, samples, zero_phase=zero_phase)
    assert filtered.shape == samples.shape
    assert filtered.dtype == np.float32
    np.testing.assert_array_equal(samples, before)
    assert filters.apply(filter, samples.astype(np.float64), zero_phase=zero_phase).dtype == np.float32


@each_design()
@settings(max_examples=25)
@given(first=clips, weight=st.floats(-4, 4), zero_phase=st.booleans(), seed=st.integers(0, 99))
def test_apply_is_linear(filter, first, weight, zero_phase, seed):
    second = rng(seed).uniform(-1, 1, len(first)).astype(np.float32)

    def run(samples):
        return filters.apply(filter, np.asarray(samples, np.float32), zero_phase=zero_phase)

    np.testing.assert_allclose(
        run(first + np.float32(weight) * second),
        run(first) + np.float32(weight) * run(second),
        rtol=0,
        atol=3e-5,
    )


@each_design()
@settings(max_examples=25)
@given(samples=clips, delay=st.integers(0, 200))
def test_apply_is_time_invariant_and_causal(filter, samples, delay):
    silence = np.zeros(delay, np.float32)
    late = filters.apply(filter, np.concatenate([silence, samples]))
    np.testing.assert_array_equal(late[:delay], 0)
    np.testing.assert_allclose(late[delay:], filters.apply(filter, samples), rtol=0, atol=1e-6)


@each_design()
def test_zero_phase_leaves_a_symmetric_click_symmetric_and_squares_the_gain(filter):
    click = np.zeros(8001, np.float32)
    click[4000] = 1
    spread = filters.apply(filter, click, zero_phase=True)
    np.testing.assert_allclose(spread, spread[::-1], rtol=0, atol=1e-5)
    gain = np.abs(np.fft.rfft(spread))
    expected = filters.frequency_response(filter, frequencies=np.fft.rfftfreq(8001, 1 / RATE)).gain ** 2
    np.testing.assert_allclose(gain, expected, atol=2e-3)


@each_design()
@pytest.mark.parametrize("hz", [50, 440, 3000])
def test_a_tone_comes_out_as_the_response_says(filter, hz):
    seconds = np.arange(2 * RATE) / RATE
    tone = np.exp(2j * np.pi * hz * seconds)
    out = filters.apply(filter, tone.real) + 1j * filters.apply(filter, tone.imag)
    settled = slice(RATE, None)  # after the filter has swung in
    measured = np.mean(out[settled] / tone[settled])
    expected = filters.frequency_response(filter, frequencies=[hz]).values[0]
    assert measured == pytest.approx(expected, abs=1e-5)


@each_design()
def test_unusable_samples_are_refused(filter):
    for bad in ([0.1, 0.2], np.array([1, 2]), np.zeros((2, 9)), np.zeros(0), np.array([0.0, np.nan])):
        with pytest.raises(AudioError):
            filters.apply(filter, bad)
    assert np.isfinite(filters.apply(filter, np.array([3.0, -3.0]))).all()


# ------------------------------------------------------------------------------------------ responses


@each_design()
def test_response_equals_scipy(filter):
    response = filters.frequency_response(filter)
    assert response.frequencies[[0, -1]].tolist() == [0, RATE / 2]
    assert len(response.frequencies) == 512
    if isinstance(filter, filters.Fir):
        _, expected = scipy.signal.freqz(filter.taps, worN=response.frequencies, fs=RATE)
    else:
        _, expected = scipy.signal.freqz_sos(filter.sos, worN=response.frequencies, fs=RATE)
    np.testing.assert_allclose(response.values, expected, rtol=0, atol=1e-10)
    np.testing.assert_allclose(response.gain, np.abs(expected), rtol=0, atol=1e-10)
    assert np.isfinite(response.gain_db).all()
    loud = response.gain > 1e-6
    np.testing.assert_allclose(response.gain_db[loud], 20 * np.log10(np.abs(expected[loud])), atol=1e-3)


def test_phase_has_no_jumps_of_whole_turns():
    response = filters.frequency_response(filters.Fir([0] * 40 + [1]), n_points=801)
    np.testing.assert_allclose(response.phase, -2 * np.pi * response.frequencies * 40 / RATE, atol=1e-6)


@each_design()
def test_group_delay_equals_scipy_and_the_slope_of_the_phase(filter):
    frequencies = np.linspace(20, 7980, 400) + 0.1
    same, seconds = filters.group_delay(filter, frequencies=frequencies)
    np.testing.assert_array_equal(same, frequencies)
    if isinstance(filter, filters.Fir):
        sections = [(filter.taps, np.ones(1))]
    else:
        sections = [(section[:3], section[3:]) for section in filter.sos]
    expected = sum(scipy.signal.group_delay(section, w=frequencies, fs=RATE)[1] for section in sections)
    kept = filters.frequency_response(filter, frequencies=frequencies).gain > 1e-3
    np.testing.assert_allclose(seconds[kept] * RATE, expected[kept], rtol=1e-4, atol=1e-3)

    step = 1e-3
    around = [filters.frequency_response(filter, frequencies=frequencies + d).values for d in (-step, step)]
    slope = -np.angle(around[1] / around[0]) / (2 * np.pi * 2 * step)
    np.testing.assert_allclose(seconds[kept], slope[kept], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("n_taps", [51, 100, 401])
def test_symmetric_taps_delay_everything_alike_even_where_the_gain_is_nought(n_taps):
    frequencies, seconds = filters.group_delay(filters.fir("lowpass", 500, n_taps=n_taps))
    assert (frequencies[0], frequencies[-1], len(frequencies)) == (0, 8000, 512)
    np.testing.assert_allclose(seconds, (n_taps - 1) / 2 / RATE, rtol=1e-12)
    _, iir = filters.group_delay(filters.butterworth("bandstop", (900, 1100)), n_points=801)
    assert np.isfinite(iir).all()


def test_group_delay_is_how_late_a_swelling_tone_comes():
    filter = filters.butterworth("lowpass", 1000, order=6)
    envelope = scipy.signal.windows.gaussian(RATE, 400)
    seconds = np.arange(RATE) / RATE
    out = filters.apply(filter, envelope * np.cos(2 * np.pi * 800 * seconds))
    swell = np.abs(scipy.signal.hilbert(out))
    late = np.sum(seconds * swell**2) / np.sum(swell**2) - np.sum(seconds * envelope**2) / np.sum(envelope**2)
    assert late == pytest.approx(filters.group_delay(filter, frequencies=[800])[1][0], rel=0.02)


@pytest.mark.parametrize("taps", [[0, 0, 0, 1], [0, 0, 1, 0.5], [0, 1, 0.5, 0], [1, -0.97]])
def test_leading_zeros_are_delay(taps):
    frequencies, seconds = filters.group_delay(filters.Fir(taps), n_points=9)
    _, expected = scipy.signal.group_delay((taps, 1), w=frequencies, fs=RATE)
    np.testing.assert_allclose(seconds * RATE, expected, atol=1e-9)


def test_group_delay_of_nothing_is_not_a_number():
    assert np.isnan(filters.group_delay(filters.Fir([0.0, 0.0]), n_points=3)[1]).all()


@each_design()
def test_impulse_response_is_what_convolution_needs(filter):
    response = filters.impulse_response(filter, seconds=0.5)
    assert response.shape == (RATE // 2,)
    assert response.dtype == np.float32
    if isinstance(filter, filters.Fir):
        np.testing.assert_array_equal(response[: len(filter.taps)], filter.taps.astype(np.float32))
        np.testing.assert_array_equal(response[len(filter.taps) :], 0)
    samples = noise(0.5)
    convolved = filters.convolve(samples, response)[: len(samples)]
    np.testing.assert_allclose(convolved, filters.apply(filter, samples), rtol=0, atol=1e-6)


def test_bad_grids_and_lengths_are_refused():
    filter = filters.notch(50)
    for bad in (0, -1, 2.5, True):
        with pytest.raises(ValueError, match="n_points"):
            filters.frequency_response(filter, n_points=bad)
    for bad in ([], 440, [8001], [-1], [np.nan]):
        with pytest.raises(ValueError, match="frequencies"):
            filters.group_delay(filter, frequencies=bad)
    for seconds in (0, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match="seconds"):
            filters.impulse_response(filter, seconds=seconds)


# ------------------------------------------------------------------------------------------ pre-emphasis


@given(samples=clips, coefficient=st.floats(0, 0.98))
def test_deemphasis_undoes_preemphasis(samples, coefficient):
    raised = filters.preemphasis(samples, coefficient=coefficient)
    back = filters.deemphasis(raised, coefficient=coefficient)
    assert raised.dtype == back.dtype == np.float32
    assert np.abs(raised).max() <= 2 * np.abs(samples).max() + 1e-6
    np.testing.assert_allclose(back, samples, rtol=0, atol=1e-5)


def test_preemphasis_is_a_filter_that_raises_the_treble():
    samples = noise(0.2)
    filter = filters.Fir([1, -0.97])
    np.testing.assert_allclose(filters.preemphasis(samples), filters.apply(filter, samples), atol=1e-7)
    np.testing.assert_array_equal(filters.preemphasis(samples, coefficient=0), samples)
    gain = filters.frequency_response(filter).gain
    np.testing.assert_allclose(gain[[0, -1]], [0.03, 1.97], rtol=1e-9)
    assert (np.diff(gain) > 0).all()


@pytest.mark.parametrize("coefficient", [-0.1, 1, 1.5, np.nan])
def test_impossible_preemphasis_is_refused(coefficient):
    for use in (filters.preemphasis, filters.deemphasis):
        with pytest.raises(ValueError, match="coefficient"):
            use(noise(0.1), coefficient=coefficient)


# ------------------------------------------------------------------------------------------ denoising


DENOISERS = [filters.spectral_subtraction, filters.wiener]
each_denoiser = pytest.mark.parametrize("denoise", DENOISERS)


@pytest.fixture(scope="module")
def spoken():
    """Twelve digits by unheard speakers."""
    digits = datasets.digits("test")
    return [digits.audio(index) for index in range(0, len(digits), len(digits) // 12)][:12]


def hissing(clip, snr_db, *, seed=0):
    """Give a noisy clip, and half a second of its noise from before."""
    hiss = signals.hiss(0.5 + (len(clip) + 1) / RATE, rng=rng(seed))
    before, during = hiss[:8000], hiss[8000 : 8000 + len(clip)]
    noisy = signals.mix(clip, during, snr_db=snr_db, limit=True)
    gain = np.std(during) and float(np.dot(noisy - clip, during) / np.dot(during, during))
    return noisy, np.float32(gain) * before


@each_denoiser
@pytest.mark.parametrize("snr_db", [10, 0])
@pytest.mark.parametrize("given_noise", [True, False])
def test_the_ratio_over_speech_rises_on_every_clip(spoken, denoise, snr_db, given_noise):
    gained = []
    for clip in spoken:
        noisy, before = hissing(clip, snr_db)
        cleaned = denoise(noisy, noise=before if given_noise else None)
        gained.append(signals.snr_db(clip, cleaned) - snr_db)
    assert min(gained) > 2
    assert np.mean(gained) > (3.3 if denoise is filters.spectral_subtraction else 7)


@each_denoiser
def test_clean_speech_is_nearly_unchanged(spoken, denoise):
    for clip in spoken:
        assert signals.snr_db(clip, denoise(clip)) > 30


@each_denoiser
def test_denoisers_scale_with_the_sound(spoken, denoise):
    noisy, before = hissing(spoken[0], 5)
    np.testing.assert_allclose(
        denoise(noisy / 8, noise=before / 8), denoise(noisy, noise=before) / 8, rtol=0, atol=1e-7
    )


@each_denoiser
def test_noise_alone_falls_close_to_the_floor(denoise):
    sample, rest = np.split(signals.white_noise(4.0, rng=rng()), 2)
    options = {"over": 6.0} if denoise is filters.spectral_subtraction else {}
    left = denoise(rest, noise=sample, floor=0.1, **options)
    fall = audio.level_db(left) - audio.level_db(rest)
    assert -20.5 < fall < -17


@each_denoiser
def test_a_gain_of_one_changes_nothing(denoise):
    samples = noise(0.5)
    np.testing.assert_allclose(denoise(samples, floor=1.0), samples, rtol=0, atol=1e-6)
    if denoise is filters.spectral_subtraction:
        np.testing.assert_allclose(denoise(samples, over=0.0), samples, rtol=0, atol=1e-6)


@each_denoiser
@settings(max_examples=25)
@given(samples=clips, sample_rate=st.sampled_from([100, 8000, 16_000, 44_100]))
def test_frames_are_put_together_as_they_were_cut(denoise, samples, sample_rate):
    hiss = signals.white_noise(1.0, rng=rng(), sample_rate=sample_rate)
    same = denoise(samples, noise=hiss, floor=1.0, sample_rate=sample_rate)
    assert same.shape == samples.shape
    assert same.dtype == np.float32
    np.testing.assert_allclose(same, samples, rtol=0, atol=1e-6)


@pytest.mark.parametrize("over", [0.5, 1.0, 3.0])
def test_gains_are_those_of_the_formulas(over):
    """A steady tone of four times the power of the noise, on a frequency that repeats with the frames."""
    noise_tone = signals.sine(1000, seconds=0.5, amplitude=0.1)
    louder = signals.sine(1000, seconds=0.5, amplitude=0.2)
    inner = slice(1000, -1000)

    def gain(cleaned):
        return np.dot(cleaned[inner], louder[inner]) / np.dot(louder[inner], louder[inner])

    subtracted = filters.spectral_subtraction(louder, noise=noise_tone, over=over)
    assert gain(subtracted) == pytest.approx(np.sqrt(1 - over / 4), abs=1e-3)
    weighted = filters.wiener(louder, noise=noise_tone, smoothing=0.0)
    assert gain(weighted) == pytest.approx(3 / 4, abs=1e-3)


@each_denoiser
def test_silence_stays_silence_and_silent_noise_takes_nothing(denoise):
    silence = np.zeros(8000, np.float32)
    np.testing.assert_array_equal(denoise(silence), silence)
    np.testing.assert_array_equal(denoise(silence, noise=noise()), silence)
    samples = noise(0.5)
    np.testing.assert_allclose(denoise(samples, noise=silence), samples, rtol=0, atol=1e-6)


def test_wiener_leaves_fewer_crumbs_than_subtraction_and_so_does_more_subtraction():
    """Musical noise is a few loud spots in a quiet spectrogram."""
    sample, rest = np.split(signals.white_noise(8.0, rng=rng()), 2)

    def spottiness(**options):
        denoise = options.pop("denoise", filters.spectral_subtraction)
        left = denoise(rest, noise=sample, floor=0.05, **options).astype(np.float64)
        _, _, spectra = scipy.signal.stft(left, nperseg=512)
        power = np.abs(spectra) ** 2
        return np.quantile(power, 0.999) / power.mean(), np.quantile(power, 0.999)

    even, once, thrice = (spottiness(over=over) for over in (0.0, 1.0, 3.0))
    gate = spottiness(denoise=filters.wiener)
    assert once[0] > 1.5 * even[0]
    assert thrice[1] < 0.6 * once[1]
    assert gate[1] < 0.3 * once[1]


@each_denoiser
def test_what_cannot_be_cleaned_is_refused(denoise):
    samples = noise(0.5)
    for floor in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="floor"):
            denoise(samples, floor=floor)
    with pytest.raises(AudioError, match="noise: 100 samples came"):
        denoise(samples, noise=samples[:100])
    with pytest.raises(AudioError, match="noise"):
        denoise(samples, noise=np.array([1, 2, 3]))
    with pytest.raises(AudioError, match="too short"):
        denoise(samples[:100])
    with pytest.raises(AudioError, match="NaN"):
        denoise(np.array([0.0, np.nan]))
    with pytest.raises(ValueError, match="sample_rate"):
        denoise(samples, sample_rate=0)


def test_denoiser_settings_are_checked():
    for over in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match="over"):
            filters.spectral_subtraction(noise(0.5), over=over)
    for smoothing in (-0.1, 1, np.nan):
        with pytest.raises(ValueError, match="smoothing"):
            filters.wiener(noise(0.5), smoothing=smoothing)
