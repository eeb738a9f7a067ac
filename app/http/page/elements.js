// Everything of a model or an answer becomes text or an attribute here, never markup.

const byId = (id) => document.getElementById(id);

/** An element. Names that begin with "on" are listeners; true is an empty attribute; false and null are none. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return made;
}

let counted = 0;
const freshId = (word) => `${word}-${++counted}`;

/** Say something to a screen reader without moving the focus. */
function say(text) {
  byId("spoken").textContent = text;
}

/**
 * A row of tabs (WAI-ARIA's pattern: one tab stop, arrow keys choose).
 * `choose(index)` shows what belongs to a tab; where it answers false, the choice stays as it was.
 */
function tabs(label, names, panel, choose) {
  const buttons = names.map((name, index) =>
    element("button", { type: "button", role: "tab", id: freshId("tab"), "aria-controls": panel.id, onclick: () => select(index) }, name),
  );
  const list = element("div", { role: "tablist", class: "tabs", "aria-label": label, onkeydown: move }, buttons);
  panel.setAttribute("role", "tabpanel");

  function select(index) {
    if (choose(index) === false) return;
    mark(index);
  }
  function mark(index) {
    buttons.forEach((button, at) => {
      button.setAttribute("aria-selected", at === index);
      button.tabIndex = at === index ? 0 : -1;
    });
    panel.setAttribute("aria-labelledby", buttons[index].id);
  }
  function move(event) {
    const at = buttons.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = (to + buttons.length) % buttons.length;
    buttons[next].focus();
    select(next);
  }
  mark(0);
  return { list, mark, select };
}

/** Put text on the clipboard; browsers offer it to pages from https or localhost alone, so the old way stands behind it. */
async function copyText(text, shown) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  getSelection().selectAllChildren(shown);
  if (!document.execCommand("copy")) throw new Error("not copied");
}
