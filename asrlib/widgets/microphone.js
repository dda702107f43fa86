// Records the microphone in the browser and sends the samples, as they are, to Python.
//
// The samples travel in a message of their own and never become part of the widget's state: Jupyter stores the
// state of widgets with the notebook, and nobody's voice belongs in there.

const WORKLET = `
registerProcessor("tap", class extends AudioWorkletProcessor {
  process(inputs) {
    const channel = inputs[0][0];
    if (channel) this.port.postMessage(channel.slice());
    return true;
  }
});`;

const UPLOAD = "Or upload a recording.";

// What went wrong, in words that say what to do. The names are those of the DOMException of getUserMedia.
const TROUBLES = {
  NotAllowedError:
    "The browser may not use the microphone on this page. Click the sign at the left end of the address bar, " +
    "allow the microphone, then press Record again. " + UPLOAD,
  NotFoundError: "The browser finds no microphone. Plug one in, then press Record again. " + UPLOAD,
  NotReadableError:
    "The microphone does not start. Another program may hold it: close that program, then press Record again. " +
    UPLOAD,
  InsecureContext:
    "Browsers give the microphone only to pages from this computer (http://localhost) or with https. " +
    "This page is neither. Open JupyterLab through an ssh tunnel or with https. " + UPLOAD,
  NoSound: "The microphone gave no sound at all before you pressed Stop. Record again and wait for “speak now”.",
};

function inWords(error) {
  return TROUBLES[error.name] ?? `The microphone failed: ${error.name}, ${error.message}. ${UPLOAD}`;
}

/** One recording from the moment the microphone is asked for until its samples are handed over. */
class Take {
  constructor({ warmUpSeconds, maxSeconds, onProgress, onFull }) {
    Object.assign(this, { warmUpSeconds, maxSeconds, onProgress, onFull });
    this.chunks = [];
    this.length = 0;
    this.skipped = 0;
    this.closed = false;
  }

  async open() {
    const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    this.stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, ...plain } });
    if (this.closed) return this.close(); // Stop was pressed while the browser asked for permission
    this.context = new AudioContext(); // at the device's own rate: Python resamples better than browsers do
    this.rate = this.context.sampleRate;
    const address = URL.createObjectURL(new Blob([WORKLET], { type: "application/javascript" }));
    await this.context.audioWorklet.addModule(address);
    URL.revokeObjectURL(address);
    await this.context.resume();
    if (this.closed) return this.close();
    const tap = new AudioWorkletNode(this.context, "tap", {
      numberOfInputs: 1, numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit",
    });
    tap.port.onmessage = (event) => this.take(event.data);
    this.context.createMediaStreamSource(this.stream).connect(tap);
  }

  take(chunk) {
    if (this.closed) return;
    let peak = 0;
    for (const value of chunk) peak = Math.max(peak, Math.abs(value));
    if (this.skipped < this.warmUpSeconds * this.rate) {
      this.skipped += chunk.length; // the start of a capture clicks and drops out
      return this.onProgress({ seconds: null, peak });
    }
    this.chunks.push(chunk);
    this.length += chunk.length;
    this.onProgress({ seconds: this.length / this.rate, peak });
    if (this.length >= this.maxSeconds * this.rate) this.onFull();
  }

  close() {
    this.closed = true;
    this.stream?.getTracks().forEach((track) => track.stop());
    if (this.context && this.context.state !== "closed") this.context.close();
  }

  samples() {
    const all = new Float32Array(this.length);
    let at = 0;
    for (const chunk of this.chunks) { all.set(chunk, at); at += chunk.length; }
    return all;
  }
}

function element(tag, className, properties = {}) {
  return Object.assign(document.createElement(tag), { className, ...properties });
}

function render({ model, el }) {
  const row = element("div", "asr-microphone");
  const button = element("button", "jupyter-button asr-record", { textContent: "● Record", type: "button" });
  const meter = element("meter", "asr-level", { min: -60, max: 0, low: -40, high: -2, optimum: -20, value: -60 });
  const clock = element("span", "asr-clock", { textContent: "0.0 s" });
  const chooser = element("input", "asr-file", { type: "file", accept: "audio/*", hidden: true });
  const upload = element("button", "jupyter-button asr-upload", { textContent: "Upload a recording", type: "button" });
  const status = element("div", "asr-status", { textContent: "Press Record, wait for “speak now”, then say a digit." });
  meter.setAttribute("aria-label", "level");
  status.setAttribute("role", "status"); // read aloud when it changes
  row.style.cssText = "display: flex; flex-wrap: wrap; align-items: center; gap: 4px 12px";
  button.style.width = "110px";
  upload.style.width = "170px";
  meter.style.width = "140px";
  clock.style.cssText = "min-width: 4em; font-variant-numeric: tabular-nums";
  status.style.cssText = "margin: 6px 2px; line-height: 1.4; max-width: 46em";
  row.append(button, meter, clock, upload, chooser);
  el.append(row, status);

  let take = null;

  function say(state, text) {
    if (status.textContent !== text) status.textContent = text;
    if (model.get("state") === state) return;
    model.set("state", state);
    model.save_changes();
  }

  function progress({ seconds, peak }) {
    const decibels = 20 * Math.log10(Math.max(peak, 1e-3));
    meter.value = Math.max(decibels, meter.value - 0.5); // falls slowly, so that the eye can follow
    if (seconds === null) return say("starting", "Wait…");
    clock.textContent = `${seconds.toFixed(1)} s`;
    say("recording", "Speak now, then press Stop.");
  }

  function idle() {
    take?.close();
    take = null;
    button.textContent = "● Record";
    meter.value = meter.min;
  }

  function fail(error) {
    idle();
    model.set("trouble", error.name ?? "Error");
    say("error", inWords(error));
  }

  async function start() {
    if (!window.isSecureContext || !navigator.mediaDevices) return fail({ name: "InsecureContext" });
    take = new Take({
      warmUpSeconds: model.get("warm_up_seconds"), maxSeconds: model.get("max_seconds"),
      onProgress: progress, onFull: stop,
    });
    button.textContent = "■ Stop";
    clock.textContent = "0.0 s";
    model.set("trouble", "");
    say("starting", "Wait… the browser may ask whether this page may use the microphone.");
    const mine = take;
    try {
      await mine.open();
    } catch (error) {
      mine.close();
      if (take === mine) fail(error);
    }
  }

  function stop() {
    const done = take;
    if (!done) return;
    idle();
    const samples = done.samples();
    if (samples.length === 0) return fail({ name: "NoSound" });
    model.send({ kind: "recording", rate: done.rate }, undefined, [samples.buffer]);
    say("done", `${(samples.length / done.rate).toFixed(1)} s recorded.`);
  }

  async function send(file) {
    model.send({ kind: "upload", name: file.name }, undefined, [await file.arrayBuffer()]);
    say("done", `${file.name} was uploaded.`);
  }

  button.onclick = () => (take ? stop() : start());
  upload.onclick = () => chooser.click();
  chooser.onchange = () => {
    if (chooser.files.length) send(chooser.files[0]);
    chooser.value = ""; // so that the same file can be chosen again
  };
  return idle; // leaving the page lets go of the microphone
}

export default { render };
