"""Every figure of the course, one function each, one message each.

A function draws into ``ax``, or into a figure of its own, and returns the axes. `alt_text` describes what was
drawn in words. Colours are those of Okabe and Ito, which colour-blind readers can tell apart; each theme uses
those that keep a contrast of at least 3 with its background.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "common",
        "descent",
        "evaluation",
        "filtering",
        "fitting",
        "machine",
        "models",
        "sampling",
        "spectra",
        "training",
    ],
    submod_attrs={
        "common": ["COLORS", "alt_text", "style"],
        "descent": ["digit_pictures", "loss_against_work", "loss_surface", "steps_in_a_bowl"],
        "evaluation": [
            "accuracy_against_parameters",
            "coin_tosses",
            "coverage",
            "intervals",
            "reliability",
            "split_gap",
        ],
        "filtering": [
            "before_and_after",
            "gain",
            "group_delay",
            "impulse_response",
            "poles_and_zeros",
            "sound_spectrogram",
            "spectrogram_db",
            "speech_over_time",
        ],
        "fitting": ["accuracy_against_voices", "gap", "learning_rates", "spread", "step_times"],
        "machine": [
            "accuracy_by_group",
            "accuracy_curve",
            "chain",
            "confusion",
            "history",
            "log_mel",
            "probabilities",
            "waveform",
        ],
        "models": [
            "accuracy_by_pieces",
            "activations",
            "answer_over_time",
            "architecture",
            "gradient_reach",
            "kernels",
            "signed_pictures",
            "states",
            "through_layers",
            "unrolled",
        ],
        "sampling": [
            "accuracy_against_bandwidth",
            "folding",
            "rounded",
            "sampled",
            "sinc_sum",
            "snr_against_bits",
            "spectrogram_of",
            "spectrum_of",
        ],
        "spectra": [
            "bands",
            "correlations",
            "frames",
            "map_of_clips",
            "pictures",
            "power_spectra",
            "spectrogram",
            "stages",
        ],
        "training": ["LearningCurves", "compare_runs", "learning_curves"],
    },
)
