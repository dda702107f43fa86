"""Real time: the same machine as before, fed with chunks of sound as they arrive.

Sound that is still coming has no end to wait for. Each part here takes chunks of any size, gives what is
certain so far, keeps a bounded amount of memory, and agrees with its offline form whatever the chunks were:

- `RingBuffer` holds the newest seconds between the one who records and the one who listens;
- `VoiceActivityDetector` says frame by frame whether somebody speaks, `EndPointer` where a stretch of speech
  begins and ends; `voice_activity` and `speech_segments` do the same to a whole recording;
- `StreamingFeatures` makes the frames of `asrlib.features`, `RunningNormalizer` normalises them without
  knowing the future;
- `StreamingRecognizer` puts them together: chunks in, words out, and a warning when the machine is too slow.
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
from asrlib.streaming.recognition import StreamingRecognizer, Word
from asrlib.streaming.ring import RingBuffer

__all__ = [
    "Activity",
    "EndPointer",
    "RingBuffer",
    "RunningNormalizer",
    "Segment",
    "StreamingFeatures",
    "StreamingRecognizer",
    "VadConfig",
    "VoiceActivityDetector",
    "Word",
    "speech_segments",
    "voice_activity",
]
