// Records the microphone in the browser and sends the samples, as they are, to Python.
//
// The samples travel in a message of their own and never become part of the widget's state: Jupyter stores the
// state of widgets with the notebook, and nobody's voice belongs in there.

const UPLOAD = "Or upload a recording.";
const PIECE = 128; // samples; the meter follows every one

/** One recording from the moment the microphone is asked for until its samples are handed over. */
class Take {
  constructor({ warmUpSeconds, maxSeconds, onProgress, onFull, onEnd }) {
    Object.assign(this, { warmUpSeconds, maxSeconds, onProgress, onFull });
    this.chunks = [];
    this.length = 0;
    this.skipped = 0;
    this.capture = new Capture({ lengthAt: () => PIECE, onPiece: ({ samples }) => this.take(samples), onEnd });
  }

  get rate() {
    return this.capture.rate;
  }

  open() {
    return this.capture.open();
  }

  take(chunk) {
    const peak = peakOf(chunk);
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
    this.capture.close();
  }

  samples() {
    const all = new Float32Array(this.length);
    let at = 0;
    for (const chunk of this.chunks) { all.set(chunk, at); at += chunk.length; }
    return all;
  }
}

function render({ model, el }) {
  const row = element("div", "asr-microphone");
  const button = element("button", "jupyter-button asr-record", { textContent: "● Record", type: "button" });
  const meter = levelMeter();
  const clock = element("span", "asr-clock", { textContent: "0.0 s" });
  const chooser = element("input", "asr-file", { type: "file", accept: "audio/*", hidden: true });
  const upload = element("button", "jupyter-button asr-upload", { textContent: "Upload a recording", type: "button" });
  const status = element("div", "asr-status", { textContent: "Press Record, wait for “speak now”, then say a digit." });
  status.setAttribute("role", "status"); // read aloud when it changes
  row.style.cssText = "display: flex; flex-wrap: wrap; align-items: center; gap: 4px 12px";
  button.style.width = "110px";
  upload.style.width = "170px";
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
    say("error", inWords(error, { button: "Record", otherwise: UPLOAD }));
  }

  async function start() {
    if (micIsForbidden()) return fail({ name: "InsecureContext" });
    take = new Take({
      warmUpSeconds: model.get("warm_up_seconds"), maxSeconds: model.get("max_seconds"),
      onProgress: progress, onFull: stop, onEnd: fail,
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
