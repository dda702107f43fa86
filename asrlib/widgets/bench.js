// The table of runs with a button in each row, and what a training bench needs of the page around it.
//
// Python sends the table as columns and rows of texts; the browser sorts it and says which run to load.

const RUNNING = "running";

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Sort by a column: numbers by their size, words by the alphabet, what is missing last. */
function sorted(rows, order) {
  if (!order) return rows;
  const { column, falling } = order;
  return [...rows].sort((a, b) => {
    const [x, y] = [a.cells[column].sort, b.cells[column].sort];
    if (x === null || y === null) return (x === null) - (y === null);
    const less = typeof x === "string" || typeof y === "string" ? String(x).localeCompare(String(y)) : x - y;
    return falling ? -less : less;
  });
}

function heading(column, index, state, draw) {
  const order = state.order?.column === index ? (state.order.falling ? "descending" : "ascending") : "none";
  const sign = { ascending: " ▴", descending: " ▾", none: "" }[order];
  const button = make("button", { type: "button", "data-sort": index, title: `Sort by ${column.title}` });
  button.append(column.title + sign);
  button.addEventListener("click", () => {
    const again = state.order?.column === index;
    state.order = { column: index, falling: again ? !state.order.falling : column.number };
    draw(`[data-sort="${index}"]`);
  });
  const attributes = { scope: "col", "aria-sort": order, class: column.number ? "asr-number" : "" };
  return make("th", attributes, button);
}

function line(row, columns, model) {
  const cells = row.cells.map(({ text, title }, index) => {
    const attributes = { class: columns[index].number ? "asr-number" : "" };
    if (title) attributes.title = title;
    return make("td", attributes, text);
  });
  const last = make("td");
  if (row.status !== RUNNING) {
    const button = make("button", { type: "button", class: "asr-load", "data-load": row.id });
    button.setAttribute("aria-label", `Load run ${row.name}`);
    button.append("Load");
    button.addEventListener("click", () => model.send({ kind: "load", id: row.id }));
    last.append(button);
  }
  const classes = [row.best && "asr-best", row.loaded && "asr-loaded", `asr-${row.status}`];
  return make("tr", { class: classes.filter(Boolean).join(" ") }, ...cells, last);
}

function table(model, el) {
  const state = { order: null };
  const draw = (focus) => {
    const { columns, rows } = model.get("table");
    // A button that is drawn anew keeps the keyboard: else the next Tab would begin somewhere else.
    const active = el.contains(document.activeElement) ? document.activeElement : null;
    const load = active?.dataset.load;
    focus ??= load !== undefined ? `[data-load="${CSS.escape(load)}"]` : null;
    focus ??= active?.dataset.sort !== undefined ? `[data-sort="${active.dataset.sort}"]` : null;
    if (!rows.length) return el.replaceChildren();
    const head = make("tr", {}, ...columns.map((column, index) => heading(column, index, state, draw)));
    head.append(make("td"));
    const body = sorted(rows, state.order).map((row) => line(row, columns, model));
    const whole = make("table", {}, make("thead", {}, head), make("tbody", {}, ...body));
    whole.setAttribute("aria-label", "All runs");
    const frame = el.querySelector(".asr-runs") ?? make("div", { class: "asr-runs" });
    const top = frame.scrollTop;
    frame.replaceChildren(whole);
    el.replaceChildren(frame);
    frame.scrollTop = top;
    if (focus) el.querySelector(focus)?.focus();
  };
  model.on("change:table", () => draw());
  draw();
}

/** Tell Python whether the page is dark, now and whenever that changes. */
function followTheme(model) {
  const tell = () => {
    const light = document.body.dataset.jpThemeLight;
    if (light === undefined) return;
    model.set("theme", light === "false" ? "dark" : "light");
    model.save_changes();
  };
  const observer = new MutationObserver(tell);
  observer.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light"] });
  tell();
  return () => observer.disconnect();
}

/** Keep JupyterLab's shortcuts from the bench, and say of idle buttons that they are: they keep the keyboard. */
function settleIn(bench) {
  bench.addEventListener("focusin", ({ target }) => {
    target.dataset.lmSuppressShortcuts = "true";
  });
  const mark = () => {
    for (const button of bench.querySelectorAll("button.widget-button")) {
      button.setAttribute("aria-disabled", String(button.classList.contains("asr-off")));
      button.setAttribute("aria-label", button.textContent.trim()); // without the picture before it
    }
  };
  const observer = new MutationObserver(mark);
  observer.observe(bench, { subtree: true, childList: true, attributeFilter: ["class"] });
  mark();
  return () => observer.disconnect();
}

export default {
  render({ model, el }) {
    table(model, el);
    const leave = [followTheme(model)];
    let gone = false;
    const begin = () => {
      if (gone) return;
      const bench = el.closest(".asr-bench");
      if (!bench) return requestAnimationFrame(begin); // not on the page yet
      leave.push(settleIn(bench));
    };
    begin();
    return () => {
      gone = true;
      for (const end of leave) end();
    };
  },
};
