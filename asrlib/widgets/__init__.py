"""The explorers of the lessons and the microphone; none of them loads TensorFlow."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["digits", "explorer", "microphone"],
    submod_attrs={
        "digits": ["DigitExplorer"],
        "explorer": ["Explorer"],
        "microphone": ["Microphone"],
    },
)
