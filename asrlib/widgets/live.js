// The live microphone: sends numbered pieces of sound to Python while they are spoken, and shows the text that
// comes back.
//
// Each piece that Python has heard is answered. The pieces on their way are kept in `sent`, by their numbers: a
// kernel that is busy or gone shows as pieces that stay there. They are counted, not collected: what a kernel
// does not take for `hold_seconds` is dropped here, said, and noticed in Python by the numbers that are missing.
// Sound and text travel in messages of their own and never become part of the widget's state: Jupyter stores
// the state of widgets with the notebook, and what somebody said does not belong in there.

const MOST_TIMES = 201; // latencies that the median is taken over
const LOOK_EVERY = 500; // milliseconds between two looks at whether all is well
const WINDOW = 100; // pieces over which the clocks of sound and page are compared

const INVITATION = "Press Start, wait for “speak now”, then speak: digits, one after the other.";
const MEANING =
  "Counted on this page’s clock, from the time that the listener gives the word (a network of strings places it " +
  "inside the word, before its end) until its letters are painted. What the sound device takes before comes on top.";
const GONE = "The kernel was restarted or shut down, so nobody listens any more. Run this cell again.";

const seconds = (ms) => (ms / 1000).toFixed(1);

function clockText(ms) {
  const whole = Math.floor(ms / 1000);
  const tail = `${String(whole % 60).padStart(whole < 60 ? 1 : 2, "0")}`;
  return whole < 60 ? `${tail} s` : `${Math.floor(whole / 60)}:${tail}`;
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function speedOf(times) {
  if (times.length === 0) return "From word to screen: no word yet.";
  const [last, middle] = [times.at(-1), median(times)].map(Math.round);
  const some = `${times.length} word${times.length > 1 ? "s" : ""}`;
  return `From word to screen: last ${last} ms, median ${middle} ms of ${times.length < MOST_TIMES ? "" : "the last "}${some}.`;
}

/** Compares the sound's clock with the page's: the least delay of the newest pieces is the one without waiting. */
class Clocks {
  constructor() {
    this.before = this.now = Infinity;
    this.count = 0;
  }

  arrived(stop) {
    this.now = Math.min(this.now, performance.now() - 1000 * stop);
    if (++this.count < WINDOW) return;
    this.before = this.now; // the two clocks drift apart within an hour: old comparisons go
    this.now = Infinity;
    this.count = 0;
  }

  /** When, on the page's clock, the sound reached this second of its own clock. */
  onPage(second) {
    return 1000 * second + Math.min(this.before, this.now);
  }
}

/** One live microphone on this page, however many places show it. */
class Live {
  constructor(model) {
    this.model = model;
    this.views = new Set();
    this.drawing = null; // the picture of the page that will show what changed
    this.page = crypto.randomUUID?.() ?? String(Math.random());
    this.starts = 0;
    this.forgetTimes();
    this.lines = [];
    this.text = "";
    this.idle();
    this.say(INVITATION);
    this.listenToPython(20);
    window.addEventListener("pagehide", () => this.stop());
  }

  idle() {
    clearInterval(this.watch);
    this.capture?.close();
    this.capture = null;
    this.phase = "idle"; // then "starting", until the microphone has warmed up, then "listening"
    this.told = false; // whether Python knows of this session
    this.session = null;
    this.sent = new Map();
    this.speaking = false;
    this.level = -60;
  }

  async listenToPython(attempts) {
    try {
      this.news = await this.model.widget_manager.get_model(this.model.get("news"));
    } catch (error) {
      if (attempts === 0) return this.fail(`Python cannot be heard here: ${error.message}. Run this cell again.`);
      await new Promise((resolve) => setTimeout(resolve, 100)); // the page is still putting itself together
      return this.listenToPython(attempts - 1);
    }
    this.hear = (message) => this.answered(message);
    this.linked = () => this.news.comm_live === false && this.linkLost();
    this.news.on("msg:custom", this.hear);
    this.news.on("comm_live_update", this.linked);
    this.send({ kind: "hello" });
  }

  send(message, buffers = []) {
    try {
      this.model.send(message, undefined, buffers);
    } catch (error) {
      console.warn(`Python was not reached: ${error.message}`); // a kernel that is gone; missing answers show it
    }
  }

  setting(name) {
    return 1000 * this.model.get(name);
  }

  // -- from Start to Stop ------------------------------------------------------------------------------------

  async start() {
    if (this.phase !== "idle") return; // pressed twice
    if (!this.news || this.news.comm_live === false) return this.fail(GONE);
    if (micIsForbidden()) return this.trouble({ name: "InsecureContext" });
    this.session = `${this.page}/${++this.starts}`;
    this.phase = "starting";
    this.number = 0;
    this.skipped = 0;
    this.silence = 0;
    this.dropped = 0;
    this.refusing = false;
    this.began = this.soundAt = this.answeredAt = performance.now();
    this.clocks = new Clocks();
    this.note = "";
    this.say("Wait… the browser may ask whether this page may use the microphone.");
    const pieceSeconds = this.model.get("chunk_seconds");
    const mine = new Capture({
      lengthAt: (rate) => Math.round(pieceSeconds * rate),
      onPiece: (piece) => this.take(piece),
      onEnd: (error) => this.trouble(error),
    });
    this.capture = mine;
    try {
      await mine.open();
    } catch (error) {
      mine.close();
      if (this.capture === mine) this.trouble(error);
      return;
    }
    if (this.capture !== mine) return; // stopped meanwhile
    this.began = this.soundAt = this.answeredAt = performance.now();
    this.watch = setInterval(() => this.look(), LOOK_EVERY);
    this.send({ kind: "start", session: this.session, rate: mine.rate });
    this.told = true;
    this.show();
  }

  take({ samples, stop }) {
    this.soundAt = performance.now();
    this.clocks.arrived(stop);
    const peak = peakOf(samples);
    this.level = Math.max(20 * Math.log10(Math.max(peak, 1e-3)), this.level - 6); // falls so that the eye can follow
    this.silence = peak === 0 ? this.silence + this.setting("chunk_seconds") : 0;
    if (peak > 0.985) this.tooLoud = this.soundAt;
    this.skipped += this.setting("chunk_seconds");
    if (this.skipped > this.setting("warm_up_seconds")) {
      this.phase = "listening"; // what came before was thrown away: the start of a capture clicks and drops out
      this.pass(samples, stop);
    }
    this.look();
  }

  pass(samples, stop) {
    const number = this.number++;
    this.refusing = this.sent.size * this.setting("chunk_seconds") >= this.setting("hold_seconds");
    if (this.refusing) return void (this.dropped += 1);
    if (this.sent.size === 0) this.answeredAt = performance.now(); // nothing was owed before
    this.sent.set(number, { at: performance.now(), stop });
    this.send({ kind: "chunk", session: this.session, number }, [samples.buffer]);
  }

  stop(why = "") {
    if (this.phase === "idle") return;
    const { session, number, phase, told } = this;
    const waiting = this.sent.size * this.setting("chunk_seconds");
    this.idle();
    if (told) this.send({ kind: "stop", session, number });
    this.ending = told ? session : null;
    if (why) return this.fail(why);
    if (phase === "listening") {
      const rest = waiting > 1000 ? ` The kernel still has ${seconds(waiting)} s of sound to work through.` : "";
      return this.say(`The microphone is off.${rest}`);
    }
    this.say(`Stopped before anything was heard. ${INVITATION}`);
  }

  // -- what may go wrong -------------------------------------------------------------------------------------

  trouble(error) {
    this.send({ kind: "trouble", name: error.name ?? "Error" });
    const words = inWords(error, { button: "Start" });
    this.stop(words);
    this.fail(words);
  }

  linkLost() {
    if (this.phase === "idle") return this.fail(GONE);
    this.stop(GONE);
  }

  /** Say how things stand while the microphone is on. */
  look() {
    if (this.phase === "idle") return;
    const now = performance.now();
    const owed = this.sent.size > 0 ? now - this.answeredAt : 0;
    if (owed > this.setting("give_up_seconds"))
      return this.stop(
        `The kernel has not answered for ${Math.round(owed / 1000)} s, so the microphone was switched off. If a cell ` +
          "is running, wait for it or interrupt it; if the connection is lost, load the page again. Then press Start.",
      );
    const [text, bad] = this.state(now, owed);
    this.say(text, bad);
  }

  state(now, owed) {
    const waiting = this.sent.size * this.setting("chunk_seconds");
    if (now - this.soundAt > this.setting("silent_seconds"))
      return [
        `No sound has come from the microphone for ${Math.round((now - this.soundAt) / 1000)} s. ` +
          "If it was unplugged or the computer slept, press Stop, then Start.", true];
    if (this.refusing)
      return [
        `The kernel has not answered for ${Math.round(owed / 1000)} s. What you say now is not kept ` +
          `(${seconds(this.dropped * this.setting("chunk_seconds"))} s so far).`, true];
    if (owed > this.setting("busy_seconds"))
      return [
        `The kernel is busy or out of reach: ${seconds(waiting)} s of sound wait for it. Nothing is lost so far.`, true];
    if (this.phase === "starting") return ["Wait…", false];
    if (this.silence >= this.setting("silent_seconds"))
      return ["Nothing but digital silence comes: the microphone may be muted, by its switch or by the system.", true];
    if (now - this.tooLoud < 2000)
      return ["It reaches full scale: move away from the microphone or turn it down.", true];
    if (this.note) return [this.note, true];
    return ["Listening. Speak now.", false];
  }

  // -- what Python answers -----------------------------------------------------------------------------------

  answered(message) {
    const at = performance.now();
    const { kind, session, number, words = [] } = message;
    const news = message.lines || message.text !== this.text;
    if (message.lines) this.lines = message.lines;
    this.text = message.text;
    if (news) this.draw();
    if (message.cleared) this.forgetTimes();
    if (session && session === this.session) {
      this.speaking = Boolean(message.speaking);
      this.note = message.note ?? "";
      if (kind === "heard") this.acknowledged(number, words, at);
      if (kind === "over") return this.overBy(message);
    } else if (kind === "ended" && session === this.ending) this.ended();
    else if (kind === "over" && message.why) this.fail(message.why);
    else if (kind === "shown" && message.interrupted && this.phase === "idle")
      this.say("This page was loaded anew while the microphone was on; it is off now. Press Start to go on.");
    this.show();
  }

  acknowledged(number, words, at) {
    const piece = this.sent.get(number);
    this.answeredAt = at;
    for (const key of this.sent.keys()) {
      if (key > number) break; // a Map keeps the order in which they were sent
      this.sent.delete(key);
    }
    if (!piece || words.length === 0 || document.hidden) return; // a hidden page is not painted
    const soundAt = (second) => this.clocks.onPage(piece.stop - ((number + 1) * this.model.get("chunk_seconds") - second));
    this.afterPainting((painted) => {
      for (const { text, stop } of words) {
        const parts = {
          waiting_ms: piece.at - soundAt(stop), kernel_ms: at - piece.at, paint_ms: painted - at,
        };
        this.times.push(parts.waiting_ms + parts.kernel_ms + parts.paint_ms);
        if (this.times.length > MOST_TIMES) this.times.shift();
        this.send({ kind: "painted", text, ...parts });
      }
      this.speed = speedOf(this.times);
      this.show();
    });
  }

  /** Call back with the time at which the next picture of the page was made, unless it was hidden before. */
  afterPainting(callback) {
    let hidden = false;
    const hide = () => { hidden = true; };
    document.addEventListener("visibilitychange", hide, { once: true });
    requestAnimationFrame(() => {
      const channel = new MessageChannel(); // its message comes when the picture is out
      channel.port1.onmessage = () => {
        document.removeEventListener("visibilitychange", hide);
        if (!hidden) callback(performance.now());
      };
      channel.port2.postMessage(null);
    });
  }

  overBy({ why, failed }) {
    this.idle();
    if (failed) this.fail(`${why} Python could not go on; the microphone is off.`);
    else this.say(why || "The microphone is off. Press Start to go on.");
  }

  ended() {
    this.ending = null;
    if (!this.bad && this.phase === "idle") this.say("The microphone is off. Press Start to go on.");
  }

  forgetTimes() {
    this.times = [];
    this.speed = speedOf(this.times);
  }

  // -- what is shown -----------------------------------------------------------------------------------------

  say(text, bad = false) {
    this.status = text;
    this.bad = bad;
    this.show();
  }

  fail(text) {
    this.say(text, true);
  }

  /** Show how things stand with the next picture of the page, however often that changed since the last one. */
  show() {
    this.drawing ??= requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.drawing);
    this.drawing = null;
    for (const view of this.views) view.show(this);
  }

  attach(view) {
    this.views.add(view);
    view.show(this);
  }

  detach(view) {
    this.views.delete(view);
    if (this.views.size === 0) this.stop(); // nobody can see any more that the microphone is on
  }

  leave() {
    this.stop();
    this.news?.off("msg:custom", this.hear);
    this.news?.off("comm_live_update", this.linked);
  }
}

/** One place that shows a live microphone. */
class View {
  constructor(live, el) {
    this.root = element("div", "asr-live");
    const bar = element("div", "asr-bar");
    this.button = element("button", "jupyter-button asr-start", { type: "button" });
    this.meter = levelMeter();
    this.clock = element("span", "asr-clock");
    this.clear = element("button", "jupyter-button asr-clear", { type: "button", textContent: "Clear" });
    this.status = element("div", "asr-status");
    this.paper = element("div", "asr-paper", { tabIndex: 0 });
    this.before = element("div", "asr-before");
    this.now = element("div", "asr-now");
    this.latency = element("div", "asr-latency");
    const meaning = element("div", "asr-meaning", { textContent: MEANING });
    this.status.setAttribute("role", "status"); // read aloud when it changes
    this.paper.setAttribute("role", "log");
    this.paper.setAttribute("aria-label", "text");
    bar.append(this.button, this.meter, this.clock, this.clear);
    this.paper.append(this.before, this.now);
    this.root.append(bar, this.status, this.paper, this.latency, meaning);
    el.append(this.root);
    let pressed = -Infinity;
    this.button.onclick = ({ timeStamp }) => {
      if (timeStamp - pressed < 400) return; // the second half of a double click
      pressed = timeStamp;
      live.phase === "idle" ? live.start() : live.stop();
    };
    this.clear.onclick = () => live.send({ kind: "clear" });
  }

  show(live) {
    const on = live.phase !== "idle";
    put(this.button, on ? "■ Stop" : "● Start");
    this.meter.value = live.level;
    put(this.clock, clockText(on ? performance.now() - live.began : 0));
    put(this.status, live.status);
    this.status.classList.toggle("asr-trouble", live.bad);
    this.showText(live);
    put(this.latency, live.speed);
  }

  showText({ lines, text, speaking }) {
    this.now.classList.toggle("asr-speaking", speaking);
    if (this.lines === lines && this.now.textContent === text) return;
    const atEnd = this.paper.scrollHeight - this.paper.scrollTop - this.paper.clientHeight < 30;
    if (this.lines !== lines) {
      this.lines = lines;
      this.before.replaceChildren(
        ...lines.map(({ text, lost }) => element("div", lost ? "asr-line asr-hole" : "asr-line", { textContent: text })),
      );
    }
    put(this.now, text);
    if (atEnd) this.paper.scrollTop = this.paper.scrollHeight; // unless the reader scrolled back
  }
}

function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export default () => {
  let live;
  return {
    initialize({ model }) {
      live = new Live(model);
      return () => live.leave();
    },
    render({ el }) {
      const view = new View(live, el);
      live.attach(view);
      return () => live.detach(view);
    },
  };
};
