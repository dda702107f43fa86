// What a training bench needs of the page around it: its theme, the keyboard for itself, and what is pressed in
// the table of runs. Nothing comes from Python this way: a page that needs long to load this file would miss it.

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

/** Name the button of the table that holds the keyboard, so that the one drawn in its place can be found. */
function nameOf(element) {
  for (const kind of ["load", "sort"])
    if (element?.dataset?.[kind] !== undefined) return `[data-${kind}="${CSS.escape(element.dataset[kind])}"]`;
  return null;
}

function settleIn(bench, model) {
  let name = null;
  const focused = ({ target }) => {
    target.dataset.lmSuppressShortcuts = "true"; // JupyterLab would take the arrow keys from lists
    name = nameOf(target);
  };
  const left = ({ relatedTarget }) => {
    if (relatedTarget) name = null; // not when the button itself was taken away
  };
  const pressed = ({ target }) => {
    const { load, sort } = target.closest?.("[data-load], [data-sort]")?.dataset ?? {};
    if (load !== undefined) model.send({ kind: "load", id: load });
    else if (sort !== undefined) model.send({ kind: "sort", column: Number(sort) });
  };
  const changed = () => {
    for (const button of bench.querySelectorAll("button.widget-button")) {
      button.setAttribute("aria-disabled", String(button.classList.contains("asr-off")));
      button.setAttribute("aria-label", button.textContent.trim()); // without the picture before it
    }
    if (name && document.activeElement === document.body) bench.querySelector(name)?.focus();
  };
  bench.addEventListener("focusin", focused);
  bench.addEventListener("focusout", left);
  bench.addEventListener("click", pressed);
  const observer = new MutationObserver(changed);
  observer.observe(bench, { subtree: true, childList: true, attributeFilter: ["class"] });
  changed();
  return () => {
    observer.disconnect();
    bench.removeEventListener("focusin", focused);
    bench.removeEventListener("focusout", left);
    bench.removeEventListener("click", pressed);
  };
}

export default {
  render({ model, el }) {
    const leave = [followTheme(model)];
    let gone = false;
    const begin = () => {
      if (gone) return;
      const bench = el.closest(".asr-bench");
      if (!bench) return requestAnimationFrame(begin); // not on the page yet
      leave.push(settleIn(bench, model));
    };
    begin();
    return () => {
      gone = true;
      for (const end of leave) end();
    };
  },
};
