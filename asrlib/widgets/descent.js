// Plays a walk over the explorer's picture: the path grows, evenly in clips seen, as often as the screen shows it.
//
// The whole walk comes in one message when Play is pressed and is drawn here. The kernel takes no part in the
// playing: nothing can queue up, and a busy kernel does not make it stutter.

const ROW = 7; // per point: part of the work, x and y on the surface, x and y on the curve, clips seen, loss

export default {
  render({ model, el }) {
    const button = document.createElement("button");
    const range = Object.assign(document.createElement("input"), { type: "range", min: 0, max: 1000, value: 1000 });
    const said = document.createElement("span");
    button.className = "jupyter-button";
    range.setAttribute("aria-label", "part of the walk shown");
    Object.assign(el.style, { display: "flex", alignItems: "center", gap: "10px", margin: "2px" });
    range.style.width = "340px";
    said.style.fontVariantNumeric = "tabular-nums";
    el.append(button, range, said);

    let walk = null; // what the kernel sent for this version: points, background, boxes, colors
    let wanted = null; // what to do once it is here
    let canvas = null;
    let began = null; // when the playing began, on the clock of animation frames; null while nothing plays
    let request = 0;
    let pace = null;

    const name = (playing) => {
      button.textContent = playing ? "❚❚ Pause" : "▶ Play";
      button.setAttribute("aria-label", playing ? "Pause the walk" : "Play the walk");
    };
    name(false);

    const picture = () => el.closest(".asr-explorer")?.querySelector("img.widget-image");

    function stop() {
      cancelAnimationFrame(request);
      began = null;
      name(false);
    }

    function uncover() {
      stop();
      canvas?.remove();
      canvas = null;
      range.value = range.max;
      said.textContent = "";
    }

    function cover() {
      if (canvas) return true;
      const image = picture();
      if (!image) return false;
      const explorer = el.closest(".asr-explorer");
      explorer.style.position = "relative";
      const [inner, outer] = [image.getBoundingClientRect(), explorer.getBoundingClientRect()];
      canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [walk.background.width, walk.background.height];
      Object.assign(canvas.style, {
        position: "absolute", pointerEvents: "none",
        left: `${inner.left - outer.left}px`, top: `${inner.top - outer.top}px`,
        width: `${inner.width}px`, height: `${inner.height}px`,
      });
      explorer.append(canvas);
      return true;
    }

    /** Return the row of numbers at a part of the work, between two points where it lies between them. */
    function at(part) {
      const { points, count } = walk;
      let next = 1;
      while (next < count - 1 && points[next * ROW] < part) next += 1;
      const [from, to] = [(next - 1) * ROW, Math.min(next, count - 1) * ROW];
      const span = points[to] - points[from] || 1;
      const share = Math.min(1, Math.max(0, (part - points[from]) / span));
      const row = [];
      for (let i = 0; i < ROW; i += 1) row.push(points[from + i] + share * (points[to + i] - points[from + i]));
      return { next, row };
    }

    function draw(part) {
      const context = canvas.getContext("2d");
      const [width, height] = [canvas.width, canvas.height];
      const { next, row } = at(part);
      context.drawImage(walk.background, 0, 0);
      walk.boxes.forEach(([left, top, right, bottom], which) => {
        const [x, y] = [1 + 2 * which, 2 + 2 * which];
        context.save();
        context.beginPath();
        context.rect(left * width, top * height, (right - left) * width, (bottom - top) * height);
        context.clip();
        context.beginPath();
        for (let i = 0; i < next; i += 1) {
          context.lineTo(walk.points[i * ROW + x] * width, walk.points[i * ROW + y] * height);
        }
        context.lineTo(row[x] * width, row[y] * height);
        Object.assign(context, { strokeStyle: walk.colors[which], lineWidth: 2, lineJoin: "round" });
        context.stroke();
        context.beginPath();
        context.arc(row[x] * width, row[y] * height, 5.5, 0, 2 * Math.PI);
        Object.assign(context, { fillStyle: walk.colors[which], strokeStyle: "#ffffff", lineWidth: 1.5 });
        context.fill();
        context.stroke();
        context.restore();
      });
      const clips = Math.round(row[5]).toLocaleString("en").replaceAll(",", " ");
      said.textContent = `${clips} clips seen, loss ${row[6].toFixed(3)}`;
    }

    function frame(now) {
      if (began === null) return;
      if (pace.last !== null) pace.longest = Math.max(pace.longest, now - pace.last);
      pace.last = now;
      pace.frames += 1;
      const part = Math.min(1, (now - began) / (1000 * model.get("seconds")));
      draw(part);
      range.value = Math.round(1000 * part);
      if (part < 1) {
        request = requestAnimationFrame(frame);
        return;
      }
      // What the browser test reads.
      const seconds = (now - pace.first) / 1000;
      Object.assign(el.dataset, {
        plays: Number(el.dataset.plays ?? 0) + 1,
        framesPerSecond: (pace.frames - 1) / seconds,
        longestMilliseconds: pace.longest,
      });
      uncover();
    }

    function play() {
      if (!cover()) return;
      const part = Number(range.value) >= 1000 ? 0 : Number(range.value) / 1000;
      name(true);
      request = requestAnimationFrame((now) => {
        began = now - 1000 * part * model.get("seconds");
        pace = { first: now, last: null, frames: 0, longest: 0 };
        frame(now);
      });
    }

    function show() {
      if (Number(range.value) >= 1000) uncover();
      else if (cover()) draw(Number(range.value) / 1000);
    }

    /** Do it now if the walk is here, otherwise ask for the walk once and do the last thing wanted then. */
    function withWalk(action) {
      if (walk) return action();
      if (!wanted) model.send({ kind: "walk" });
      wanted = action;
    }

    async function arrived(content, buffers) {
      if (content.kind !== "walk" || content.version !== model.get("version")) return;
      const [png, numbers] = buffers.map((part) => (part instanceof DataView ? part : new DataView(part)));
      const bytes = numbers.buffer.slice(numbers.byteOffset, numbers.byteOffset + numbers.byteLength);
      const points = new Float32Array(bytes);
      const background = await createImageBitmap(new Blob([png], { type: "image/png" }));
      if (content.version !== model.get("version")) return;
      walk = { points, count: points.length / ROW, background, boxes: content.boxes, colors: content.colors };
      const action = wanted;
      wanted = null;
      action?.();
    }

    function changed() {
      // The controls were turned: this walk is no longer the one below.
      walk = null;
      wanted = null;
      uncover();
    }

    button.addEventListener("click", () => (began === null ? withWalk(play) : stop()));
    range.addEventListener("input", () => {
      stop();
      withWalk(show);
    });
    model.on("msg:custom", arrived);
    model.on("change:version", changed);
    return () => {
      uncover();
      model.off("msg:custom", arrived);
      model.off("change:version", changed);
    };
  },
};
