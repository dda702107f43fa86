"""The explorers of the lessons and the microphone; none of them loads TensorFlow."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "augmentation",
        "bench",
        "bench_job",
        "bench_settings",
        "bench_table",
        "bench_view",
        "controls",
        "decoding",
        "descent",
        "digits",
        "evaluation",
        "explorer",
        "filtering",
        "live",
        "microphone",
        "models",
        "picture",
        "sampling",
        "spectra",
        "view",
    ],
    submod_attrs={
        "descent": ["DescentExplorer"],
        "augmentation": ["AugmentationExplorer"],
        "bench": ["TrainingBench", "bench_run"],
        "decoding": ["CollapseGame", "DecodingExplorer"],
        "digits": ["DigitExplorer"],
        "evaluation": ["ConfusionExplorer"],
        "explorer": ["Explorer", "choice", "set_limits", "slider", "steps", "switch"],
        "filtering": ["DenoiseExplorer", "FilterExplorer"],
        "live": ["LiveMicrophone"],
        "microphone": ["Microphone"],
        "models": ["LayersExplorer", "ModelExplorer"],
        "sampling": ["QuantizationExplorer", "SamplingExplorer"],
        "spectra": ["MfccExplorer", "TimeFrequencyExplorer"],
    },
)
