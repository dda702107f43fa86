"""Speech recognition from the waveform up: the module that the lessons import.

The submodules are loaded when they are first used (SPEC 1), so that `import asrlib` is quick and a lesson
about signals never waits for TensorFlow.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "audio",
        "augment",
        "check",
        "ctc_network",
        "datasets",
        "decoding",
        "descent",
        "doctor",
        "errors",
        "evaluation",
        "export",
        "features",
        "filters",
        "model_files",
        "models",
        "network",
        "passages",
        "plots",
        "recognizer",
        "signals",
        "streaming",
        "string_recognizer",
        "strings",
        "subtitles",
        "texts",
        "training",
        "widgets",
    ],
)
