"""Real time: the same machine as before, fed with chunks of sound as they arrive.

Sound that is still coming has no end to wait for. Each part here takes chunks of any size, gives what is
certain so far, keeps a bounded amount of memory, and agrees with its offline form whatever the chunks were:

- `RingBuffer` holds the newest seconds between the one who records and the one who listens;
- `VoiceActivityDetector` says frame by frame whether somebody speaks, `EndPointer` where a stretch of speech
  begins and ends; `voice_activity` and `speech_segments` do the same to a whole recording;
- `StreamingResampler` brings a microphone's rate to that of the recogniser;
- `StreamingFeatures` makes the frames of `asrlib.features`, `RunningNormalizer` normalises them without
  knowing the future;
- `StreamingRecognizer` puts them together for single words: chunks in, words out, each once it is over;
- `StringListener` does it for strings of words: a `SpeechGate` wakes a network that carries its state along,
  and each word is there as soon as the network decides on it;
- `LookAheadStream` lets a network that reads both ways do so, which waits for a little of what is to come;
- `Load` says when the machine is too slow. Nothing is ever dropped for it.
"""

from asrlib.streaming.activity import (
    Activity,
    EndPointer,
    Segment,
    VadConfig,
    VoiceActivityDetector,
    speech_segments,
    voice_activity,
)
from asrlib.streaming.frames import RunningNormalizer, StreamingFeatures
from asrlib.streaming.gate import SpeechGate, Turn
from asrlib.streaming.listening import LISTENING, Heard, ScoreStream, StringListener
from asrlib.streaming.load import Load
from asrlib.streaming.look_ahead import LookAheadStream
from asrlib.streaming.rate import StreamingResampler
from asrlib.streaming.recognition import StreamingRecognizer, Word
from asrlib.streaming.ring import RingBuffer

__all__ = [
    "LISTENING",
    "Activity",
    "EndPointer",
    "Heard",
    "Load",
    "LookAheadStream",
    "RingBuffer",
    "RunningNormalizer",
    "ScoreStream",
    "Segment",
    "SpeechGate",
    "StreamingFeatures",
    "StreamingRecognizer",
    "StreamingResampler",
    "StringListener",
    "Turn",
    "VadConfig",
    "VoiceActivityDetector",
    "Word",
    "speech_segments",
    "voice_activity",
]
