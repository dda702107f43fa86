"""The course's machine from a shell: ``python -m asrlib train | transcribe | evaluate | doctor``.

A mistake in what was asked for ends in one line on standard error and exit status 1 (2 for a wrong option),
never in a traceback. Only ``train`` imports TensorFlow.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from asrlib.errors import AudioError, DatasetUnavailable, ModelFileError

if TYPE_CHECKING:
    from asrlib.datasets import SpeechDataset
    from asrlib.passages import TimedWord
    from asrlib.recognizer import Recognizer, Transcript
    from asrlib.string_recognizer import StringRecognizer, StringTranscript
    from asrlib.training import TrainingConfig

__all__ = ["main"]

_DATA_HELP = (
    "digits, words or strings (bundled), fsdd (real people, downloaded once), or a folder with a metadata.csv"
)
_STRING_RECIPES = ("lesson", "strings", "streaming")
_FIXABLE = (AudioError, DatasetUnavailable, ModelFileError, ValueError, OSError)
"""What is the user's to mend: these are told in one line. Anything else is a bug, and a traceback helps."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after ``python -m asrlib``; those of this process if left out.

    Returns
    -------
    int
        0 if all went well, 1 if something could not be done, 130 if it was interrupted.

    Examples
    --------
    >>> main(["transcribe", "seven.wav"])  # doctest: +SKIP

    Lesson: 00
    """
    options = _parser().parse_args(arguments)
    options.words = list(sys.argv[1:] if arguments is None else arguments)
    with warnings.catch_warnings():
        # A warning is one line here; where in the code it was raised does not help at a shell.
        warnings.showwarning = lambda message, *args, **kwargs: _complain(f"note: {message}")
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    try:
        return options.run(options)
    except KeyboardInterrupt:
        _complain(_how_to_go_on(options) if options.command == "train" else "Interrupted.")
        return 130
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except _FIXABLE as error:
        _complain(_one_line(error))
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m asrlib",
        description="Hear spoken words: train a recogniser, let it write down recordings, measure it.",
        epilog="`python -m asrlib COMMAND --help` explains each command.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_train(commands)
    _add_transcribe(commands)
    _add_evaluate(commands)
    doctor = commands.add_parser(
        "doctor",
        help="check that this machine has what the course needs",
        description="Check Python, packages, TensorFlow, recordings and widgets; say what to do about each.",
    )
    doctor.set_defaults(run=_doctor)
    return parser


# -- train -----------------------------------------------------------------------------------------------


def _add_train(commands: Any) -> None:
    parser = commands.add_parser(
        "train",
        help="train a recogniser and save it to one file",
        description="Train a recogniser on recordings and save it to one file. The epoch is chosen by "
        "speakers set aside for validation; test recordings are never touched. Ctrl-C stops after the batch "
        "at hand; with --checkpoint the training can go on later, and ends as if it had not been stopped.",
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="FILE", help="where to save it, such as mine.asr"
    )
    parser.add_argument(
        "--data",
        nargs="+",
        default=["digits"],
        metavar="NAME",
        help=f"{_DATA_HELP}; several are put together; default: digits",
    )
    parser.add_argument(
        "--without",
        nargs="+",
        default=[],
        metavar="SPEAKER",
        help="whom not to learn from, to be judged by them later",
    )
    parser.add_argument(
        "--recipe",
        default="quick",
        choices=("quick", "shipped", "people", "ensemble", "article", *_STRING_RECIPES),
        help="single words: quick: about two minutes; shipped: longer, as the recogniser that asrlib brings "
        "for the lessons was trained; people: as its default one was, with --data digits fsdd; ensemble: "
        "four such networks, which need no people; article: a small convolutional network with textbook "
        "settings. Strings, composed from the bundled digits: lesson: a minute; strings, streaming: longer, "
        "as the two recognisers that come with asrlib were trained. The options below change single "
        "settings; default: quick",
    )
    parser.add_argument(
        "--family",
        choices=("softmax", "article_cnn", "cnn", "rnn", "crnn"),
        help="family of the network, in its usual sizes; default: that of the recipe",
    )
    parser.add_argument("--epochs", type=_count, metavar="N", help="how often each recording is seen")
    parser.add_argument(
        "--steps", type=_count, metavar="N", help="how often the weights change; recipes for strings only"
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help="fixes all that is random; default: that of the recipe"
    )
    parser.add_argument("--batch-size", type=_count, metavar="N", help="recordings in one step")
    parser.add_argument("--learning-rate", type=float, metavar="X", help="largest step of the optimiser")
    parser.add_argument(
        "--optimizer",
        choices=("adamw", "adam", "sgd", "momentum", "nesterov", "rmsprop"),
        help="how a gradient becomes a step; default: that of the recipe",
    )
    parser.add_argument("--no-augmentation", action="store_true", help="train on the recordings as they are")
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FOLDER", help="where to keep the state after every epoch"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on from the state in the folder of --checkpoint"
    )
    parser.add_argument(
        "--runs", type=Path, metavar="FOLDER", help="write settings, curves and result down among other runs"
    )
    parser.add_argument("--name", metavar="TEXT", help="name of this training among the runs")
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    parser.set_defaults(run=_train)


def _train(options: argparse.Namespace) -> int:
    from asrlib import audio, training

    if not options.out.absolute().parent.is_dir():  # said before the training, not after it
        raise FileNotFoundError(
            f"The folder {options.out.parent} does not exist; make it, or choose another."
        )
    if options.out.is_dir():
        raise IsADirectoryError(
            f"{options.out} is a folder; name a file, such as {options.out / 'mine.asr'}."
        )
    if options.recipe in _STRING_RECIPES:
        return _train_strings(options)
    if options.steps is not None:
        raise ValueError("--steps is for strings; for single words say --epochs.")
    _check_checkpoint(options)
    config = _training_config(options)
    train_set, validation = _training_sets(options.data, without=options.without, seed=config.seed)
    _complain(f"training on {train_set!r}\nvalidation on {validation!r}")
    # A loud recording that is disturbed is often scaled to stay within full scale: thousands of notes.
    warnings.simplefilter("ignore", audio.AudioWarning)
    with _interrupt_sets_event() as stop:
        result = training.train(
            train_set,
            validation=validation,
            config=config,
            progress=not options.quiet,
            stop=stop,
            checkpoint=options.checkpoint,
            resume=options.resume,
            runs=None if options.runs is None else training.Runs(options.runs),
            name=options.name,
        )
    if result.stopped:
        _complain(_how_to_go_on(options))
        return 130
    path = result.recognizer.save(options.out)
    print(f"{result}\nsaved {path} ({path.stat().st_size / 1000:.0f} kB): {result.recognizer!r}")
    print(f"steps waited for their batch {100 * result.waiting:.0f} % of the time")
    if result.run is not None:
        print(f"written down as {result.run}")
    return 0


def _train_strings(options: argparse.Namespace) -> int:
    from asrlib import datasets, training

    for name in ("family", "epochs", "optimizer", "checkpoint", "runs", "name"):
        if getattr(options, name) is not None:
            raise ValueError(f"--{name} is for single words; the recipe {options.recipe} is for strings.")
    if options.resume or options.no_augmentation or options.data != ["digits"] or options.without:
        raise ValueError(
            "--resume, --no-augmentation, --data and --without are for single words; the recipe "
            f"{options.recipe} composes its strings from the bundled digits."
        )
    config = training.STRING_RECIPES[options.recipe]
    names = ("steps", "batch_size", "learning_rate", "seed")
    chosen = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    chosen["epochs"] = min(config.epochs, chosen.get("steps", config.steps))
    config = replace(config, **chosen)
    digits, validation = datasets.digits("train"), datasets.strings("validation")
    natural = datasets.strings("train") if config.natural_share else None
    _complain(f"training on strings composed of {digits!r}")
    if natural is not None:
        _complain(f"and, {100 * config.natural_share:.0f} in 100, on {natural!r}")
    _complain(f"validation on {validation!r}")
    with _interrupt_sets_event() as stop:
        result = training.train_strings(
            digits,
            validation=validation,
            natural=natural,
            config=config,
            progress=not options.quiet,
            stop=stop,
        )
    if result.stopped:
        _complain("Stopped; nothing was saved.")
        return 130
    path = result.recognizer.save(options.out)
    print(f"{result}\nsaved {path} ({path.stat().st_size / 1000:.0f} kB): {result.recognizer!r}")
    return 0


def _training_config(options: argparse.Namespace) -> TrainingConfig:
    from asrlib import models, training

    names = ("epochs", "batch_size", "learning_rate", "optimizer", "seed")
    chosen = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if options.no_augmentation:
        chosen["augmentation"] = None
    config = training.RECIPES[options.recipe]
    if options.family not in (None, config.model.family):
        chosen["model"] = models.FAMILIES[options.family]()
    return replace(config, **chosen)


def _check_checkpoint(options: argparse.Namespace) -> None:
    if options.checkpoint is None:
        if options.resume:
            raise ValueError("--resume goes on from a state: name its folder with --checkpoint.")
    elif not options.resume and (options.checkpoint / "state.npz").exists():
        raise ValueError(
            f"{options.checkpoint} holds the state of an earlier training. Add --resume to go on with it, "
            "name another folder, or delete it."
        )


@contextlib.contextmanager
def _interrupt_sets_event() -> Iterator[threading.Event]:
    """Let the first Ctrl-C set an event, and only the second interrupt."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # no other thread may listen to signals
        yield asked
        return

    def ask(number: int, frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        _complain("\nStopping after this batch; Ctrl-C once more stops at once.")

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


def _how_to_go_on(options: argparse.Namespace) -> str:
    if options.checkpoint is None:
        return "Stopped; nothing was saved. With --checkpoint FOLDER a stopped training can go on later."
    words = [word for word in options.words if word != "--resume"]
    return f"Stopped. Go on with: python -m asrlib {shlex.join([*words, '--resume'])}"


def _training_sets(
    names: Sequence[str], *, without: Sequence[str], seed: int
) -> tuple[SpeechDataset, SpeechDataset]:
    """Give what to learn from and what to choose an epoch by: speakers that are not learnt from."""
    from asrlib import datasets

    if list(names) == ["fsdd"]:
        # The official split shares all speakers; choosing an epoch needs voices that were not trained on.
        import numpy as np

        known = _without(_dataset("fsdd", "train"), without)
        return known.split_by_speaker(0.8, np.random.default_rng(seed))
    # Beside others, all of these people are learnt from: the others have speakers for validation.
    train = [_dataset(name, None if name == "fsdd" else "train") for name in names]
    validation = [_dataset(name, "validation") for name in names if name != "fsdd"]
    if not validation:
        raise ValueError(f"--data names {' and '.join(names)}; name each once.")
    return _without(datasets.together(*train), without), datasets.together(*validation)


def _without(dataset: SpeechDataset, speakers: Sequence[str]) -> SpeechDataset:
    unknown = sorted(set(speakers) - set(dataset.speakers.tolist()))
    if unknown:
        raise ValueError(f"--without names {', '.join(unknown)}; {dataset.name} has no such speaker.")
    return dataset.where(speaker=lambda name: name not in speakers) if speakers else dataset


def _dataset(name: str, split: str | None) -> SpeechDataset:
    from asrlib import datasets

    if name in ("digits", "words", "strings", "fsdd"):
        return getattr(datasets, name)(split)
    if Path(name).is_dir():
        return datasets.from_folder(name, split=split)
    raise DatasetUnavailable(f"There is no data set and no folder {name!r}. Name {_DATA_HELP}.")


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number


# -- transcribe ------------------------------------------------------------------------------------------


def _add_transcribe(commands: Any) -> None:
    parser = commands.add_parser(
        "transcribe",
        help="write down the words in each recording, or subtitles for one",
        description="Write down the words in each recording, one line a file. A recording may be of any "
        "length: what lasts more than 20 s is heard passage by passage, in memory that does not grow. A file "
        "that cannot be used is told on standard error and makes the exit status 1; the others are still "
        "written.",
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="WAV, FLAC, OGG or MP3; - reads standard input"
    )
    recogniser = parser.add_mutually_exclusive_group()
    recogniser.add_argument(
        "--strings",
        action="store_true",
        help="hear digits one after another, with or without pauses between them. This is the default; but "
        "where it hears a single digit in up to 20 s, the recogniser of single digits, which is better at "
        "them, has the last word",
    )
    recogniser.add_argument(
        "--words",
        dest="single",
        action="store_true",
        help="hear single digits: the one in a recording of up to 20 s, and in a longer one, or with --srt, "
        "each that stands between two pauses",
    )
    recogniser.add_argument(
        "--model", type=Path, metavar="FILE", help="hear with a saved recogniser, of strings or of words"
    )
    parser.add_argument(
        "--beam",
        type=_count,
        metavar="N",
        help="look for the most probable text with N beginnings in mind, not for the most probable path; "
        "strings only",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--srt", action="store_true", help="write subtitles (SubRip) for one recording, as they are found"
    )
    form.add_argument(
        "--json", action="store_true", help="one JSON object a line, with times and probabilities"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write to this file instead of to standard output"
    )
    parser.set_defaults(run=_transcribe)


def _transcribe(options: argparse.Namespace) -> int:
    if options.srt and len(options.files) > 1:
        raise ValueError("--srt writes the subtitles of one recording; name one at a time.")
    recognizer = _transcriber(options)
    with _output(options.out) as out:
        if options.srt:
            _write_subtitles(options.files[0], recognizer, options, out)
            return 0
        return max([_write_text(name, recognizer, options, out) for name in options.files])


def _write_text(
    name: str, recognizer: Recognizer | StringRecognizer, options: argparse.Namespace, out: TextIO
) -> int:
    """Write down one recording in one line; give the exit status."""
    from asrlib.passages import LONG_SECONDS

    try:
        transcript = _heard(_source(name), recognizer, options)
    except (AudioError, OSError) as error:
        _complain(f"{_called(name)}: {_one_line(error)}" if name == "-" else _one_line(error))
        return 1
    if options.json:
        print(json.dumps({"file": name, **transcript.to_dict()}, ensure_ascii=False), file=out, flush=True)
        return 0
    print(f"{name}: {transcript.text}" if len(options.files) > 1 else transcript.text, file=out, flush=True)
    if transcript.note:
        _complain(f"{_called(name)}: {transcript.note}")
    if transcript.audio_seconds > LONG_SECONDS:
        _complain(f"{_called(name)}: {_pace(transcript.audio_seconds, transcript.milliseconds / 1000)}")
    return 0


def _heard(
    source: str | bytes, recognizer: Recognizer | StringRecognizer, options: argparse.Namespace
) -> Transcript | StringTranscript:
    """Transcribe one recording; ask the specialist, where it may be a single word and nobody chose."""
    from asrlib.passages import LONG_SECONDS

    transcript = recognizer.transcribe(source, **_search(recognizer, options))
    chosen = options.model is not None or options.single or options.strings or options.beam is not None
    if chosen or len(transcript.words) > 1 or transcript.audio_seconds > LONG_SECONDS:
        return transcript
    alone = _recognizer(None).transcribe(source)
    return alone if transcript.words or alone.probability > 0.5 else transcript


def _write_subtitles(
    name: str, recognizer: Recognizer | StringRecognizer, options: argparse.Namespace, out: TextIO
) -> None:
    """Write subtitles, each as soon as it is certain."""
    from asrlib import audio, subtitles

    source = _source(name)
    length = audio.info(source).seconds
    began, n_lines = time.perf_counter(), 0
    words = _timed_words(source, recognizer, options)
    for n_lines, entry in enumerate(subtitles.to_srt(subtitles.lines(words)), start=1):  # noqa: B007
        out.write(entry)
        out.flush()
    written = f"{n_lines} subtitles." if n_lines else "No words were heard."
    _complain(f"{_called(name)}: {written} {_pace(length, time.perf_counter() - began)}")


def _timed_words(
    source: str | bytes, recognizer: Recognizer | StringRecognizer, options: argparse.Namespace
) -> Iterator[TimedWord]:
    search = _search(recognizer, options)
    if _hears_strings(recognizer):
        return (word for passage in recognizer.passages(source, **search) for word in passage.words)
    return recognizer.words(source)


def _source(name: str) -> str | bytes:
    return sys.stdin.buffer.read() if name == "-" else name


def _called(name: str) -> str:
    return "standard input" if name == "-" else name


def _search(recognizer: Recognizer | StringRecognizer, options: argparse.Namespace) -> dict[str, int]:
    if options.beam is None:
        return {}
    if not _hears_strings(recognizer):
        raise ValueError("--beam searches for texts; a recogniser of single words has none. Leave it out.")
    return {"beam_width": options.beam}


def _hears_strings(recognizer: Recognizer | StringRecognizer) -> bool:
    from asrlib.string_recognizer import StringRecognizer

    return isinstance(recognizer, StringRecognizer)


def _pace(audio_seconds: float, seconds: float) -> str:
    if not audio_seconds > 0:  # a header that does not know
        return f"It took {seconds:.1f} s."
    return (
        f"{audio_seconds:.1f} s of sound took {seconds:.1f} s: {audio_seconds / seconds:.0f} times as fast."
    )


def _transcriber(options: argparse.Namespace) -> Recognizer | StringRecognizer:
    return _recognizer(options.model) if options.model is not None or options.single else _shipped_strings()


def _shipped_strings() -> StringRecognizer:
    from asrlib.string_recognizer import StringRecognizer

    return StringRecognizer.default()


@contextlib.contextmanager
def _output(path: Path | None) -> Iterator[TextIO]:
    """Open what is written to: standard output, or a file that appears once it is whole."""
    if path is None:
        yield sys.stdout
        return
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"The folder {path.parent} does not exist; make it, or choose another.")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file in it.")
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as out:
            yield out
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _recognizer(path: Path | None) -> Recognizer | StringRecognizer:
    from asrlib.recognizer import Recognizer

    return Recognizer.default() if path is None else Recognizer.load(path)


# -- evaluate --------------------------------------------------------------------------------------------


def _add_evaluate(commands: Any) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="measure a recogniser on recordings whose words are known",
        description="Measure a recogniser of single words: accuracy with intervals, by speaker, and what it "
        "mishears. Or one of strings (--data strings, or a --model of strings): word error rate, strings "
        "without an error, and what was misheard.",
    )
    parser.add_argument(
        "--model",
        type=Path,
        metavar="FILE",
        help="a saved recogniser; default: the one shipped, for fsdd the one that never heard these people",
    )
    parser.add_argument("--data", default="digits", metavar="NAME", help=f"{_DATA_HELP}; default: digits")
    parser.add_argument(
        "--split",
        choices=("train", "validation", "test", "all"),
        help="which part of the data; default: test, and all of fsdd",
    )
    parser.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> int:
    from asrlib import evaluation

    split = options.split or ("all" if options.data == "fsdd" else "test")
    recognizer = _to_evaluate(options)
    dataset = _dataset(options.data, None if split == "all" else split)
    if _hears_strings(recognizer):
        _evaluate_strings(recognizer, dataset)
    else:
        print(evaluation.evaluate(recognizer, dataset))
    return 0


def _to_evaluate(options: argparse.Namespace) -> Recognizer | StringRecognizer:
    from asrlib.recognizer import Recognizer

    if options.model is None and options.data == "strings":
        return _shipped_strings()
    if options.model is None and options.data == "fsdd":
        _complain(
            "note: the default recogniser has heard these people. Judged is the one that never heard a "
            "person (Recognizer.synthetic())."
        )
        return Recognizer.synthetic()
    return _recognizer(options.model)


def _evaluate_strings(recognizer: StringRecognizer, dataset: SpeechDataset) -> None:
    """Print how many words and how many whole strings are right, and those that are not."""
    from asrlib import evaluation, texts

    expected = [str(label) for label in dataset.labels]
    heard = [recognizer.transcribe(dataset.audio(index)).text for index in range(len(dataset))]
    right = sum(said == found for said, found in zip(expected, heard, strict=True))
    low, high = evaluation.wilson_interval(right, len(heard))
    print(f"word error rate {texts.word_errors(expected, heard)}")
    print(
        f"{100 * right / len(heard):.1f} % of {len(heard)} strings without an error "
        f"(95 % interval {100 * low:.1f} to {100 * high:.1f} %)"
    )
    for index, (said, found) in enumerate(zip(expected, heard, strict=True)):
        if said != found:
            print(f"{dataset.files[index].name}: said {said}, heard {found or '(nothing)'}")


# -- doctor ----------------------------------------------------------------------------------------------


def _doctor(options: argparse.Namespace) -> int:
    from asrlib import doctor

    return doctor.run(sys.stdout)


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}."
    return " ".join(str(error).split()) or type(error).__name__


def _complain(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
