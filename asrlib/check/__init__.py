"""The checks of the exercises, one file per lesson: `check.lesson00.decide(answer)` says "yes" or helps.

A check never compares an answer with a stored solution. It tries the answer out and names the first property
that does not hold, with a hint; so every correct solution passes, however it is written.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "base",
        "lesson00",
        "lesson01",
        "lesson02",
        "lesson03",
        "lesson04",
        "lesson05",
        "lesson06",
        "lesson07",
        "lesson08",
        "lesson09",
    ],
    submod_attrs={"base": ["Outcome"]},
)
