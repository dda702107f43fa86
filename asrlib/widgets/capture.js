// The microphone as pieces of sound of one length: what the recorder and the live microphone share.
//
// Python puts this text before microphone.js and live.js; a widget is one file for the browser.

// Runs beside the page, in the thread of the sound: a busy page delays pieces, it does not lose them.
const TAP = `
registerProcessor("tap", class extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.length = processorOptions.length;
    this.begin();
  }
  begin() {
    this.piece = new Float32Array(this.length);
    this.filled = 0;
  }
  process(inputs) {
    const channel = inputs[0][0];
    if (!channel) return true;
    for (let from = 0; from < channel.length; ) {
      const some = channel.subarray(from, from + this.length - this.filled);
      this.piece.set(some, this.filled);
      this.filled += some.length;
      from += some.length;
      if (this.filled < this.length) continue;
      const stop = (currentFrame + from) / sampleRate; // where the piece ends, in seconds on the clock of the sound
      this.port.postMessage({ samples: this.piece, stop }, [this.piece.buffer]);
      this.begin();
    }
    return true;
  }
});`;

/** The microphone from the moment it is asked for until it is let go. */
class Capture {
  constructor({ lengthAt, onPiece, onEnd = () => {} }) {
    Object.assign(this, { lengthAt, onPiece, onEnd });
    this.closed = false;
  }

  async open() {
    const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    this.stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, ...plain } });
    if (this.closed) return this.close(); // Stop was pressed while the browser asked for permission
    for (const track of this.stream.getTracks())
      track.onended = () => this.closed || this.onEnd({ name: "Unplugged" });
    this.context = new AudioContext(); // at the device's own rate: Python resamples better than browsers do
    this.rate = this.context.sampleRate;
    const address = URL.createObjectURL(new Blob([TAP], { type: "application/javascript" }));
    await this.context.audioWorklet.addModule(address);
    URL.revokeObjectURL(address);
    await this.context.resume();
    if (this.closed) return this.close();
    const tap = new AudioWorkletNode(this.context, "tap", {
      numberOfInputs: 1, numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit",
      processorOptions: { length: this.lengthAt(this.rate) },
    });
    tap.port.onmessage = ({ data }) => this.closed || this.onPiece(data);
    this.context.createMediaStreamSource(this.stream).connect(tap);
  }

  close() {
    this.closed = true;
    this.stream?.getTracks().forEach((track) => track.stop());
    if (this.context && this.context.state !== "closed") this.context.close();
  }
}

// What went wrong, in words that say what to do. The names are those of the DOMException of getUserMedia.
function inWords(error, { button, otherwise = "" }) {
  const said = {
    NotAllowedError:
      "The browser may not use the microphone on this page. Click the sign at the left end of the address bar, " +
      `allow the microphone, then press ${button} again.`,
    NotFoundError: `The browser finds no microphone. Plug one in, then press ${button} again.`,
    NotReadableError:
      "The microphone does not start. Another program may hold it: close that program, " +
      `then press ${button} again.`,
    InsecureContext:
      "Browsers give the microphone only to pages from this computer (http://localhost) or with https. " +
      "This page is neither. Open JupyterLab through an ssh tunnel or with https.",
    NoSound:
      `The microphone gave no sound at all before you pressed Stop. Press ${button} again and wait for “speak now”.`,
    Unplugged:
      "The microphone is gone: it was unplugged, or the page may no longer use it. " +
      `Plug it in, then press ${button} again.`,
  };
  const text = said[error.name] ?? `The microphone failed: ${error.name}, ${error.message}.`;
  return `${text} ${otherwise}`.trim();
}

function micIsForbidden() {
  return !window.isSecureContext || !navigator.mediaDevices;
}

function peakOf(samples) {
  let peak = 0;
  for (const value of samples) peak = Math.max(peak, Math.abs(value));
  return peak;
}

function element(tag, className, properties = {}) {
  return Object.assign(document.createElement(tag), { className, ...properties });
}

/** A meter of the level, from -60 dB to full scale. */
function levelMeter() {
  const meter = element("meter", "asr-level", { min: -60, max: 0, low: -40, high: -2, optimum: -20, value: -60 });
  meter.setAttribute("aria-label", "level");
  meter.style.width = "140px";
  return meter;
}
