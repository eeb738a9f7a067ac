// The request, as a form made from the model's signature or as JSON; whichever is in front is what is sent.

/** `changed()` is called whenever the request may be another; `drawn()` when a picture is finished. */
function requestForm(model, { changed, drawn }) {
  const area = byId("json");
  const editors = new Map(model.inputs.map((spec) => [spec.name, editorOf(model, spec, changed, drawn)]));
  const modes = tabs("How to edit the input", ["Form", "JSON"], byId("panel"), (index) => (index ? toJson() : toForm()));
  let isJson = false;

  function toJson() {
    try {
      writeJson(formDocument());
    } catch (failure) {
      fail(failure);
      return false;
    }
    front(true);
    return true;
  }
  function toForm() {
    let given = null;
    try {
      given = parseJson(area.value);
    } catch {
      // said below
    }
    if (!fill(given)) {
      fail(new FieldFailure("This is more than the form can show: it takes valid JSON with “inputs” by name, and nothing else.", area));
      return false;
    }
    front(false);
    return true;
  }
  function front(json) {
    isJson = json;
    byId("form-panel").hidden = json;
    byId("json-panel").hidden = !json;
    clear();
    changed();
  }
  const writeJson = (document) => { area.value = pretty(document); };
  const formDocument = () => ({ inputs: Object.fromEntries([...editors].map(([name, editor]) => [name, editor.read()])) });

  function fill(given) {
    const inputs = given?.inputs;
    const fits = inputs && typeof inputs === "object" && Object.keys(given).length === 1 && Object.keys(inputs).every((name) => editors.has(name));
    return Boolean(fits) && [...editors].every(([name, editor]) => editor.show(inputs[name] ?? null));
  }
  function show(document) {
    // A model whose example would be too long to read has none: its form begins empty.
    const fits = document === null || fill(document);
    if (!fits || isJson) writeJson(document ?? { inputs: {} });
    modes.mark(fits && !isJson ? 0 : 1);
    front(!fits || isJson);
  }
  function clear() {
    byId("failure").hidden = true;
    for (const marked of byId("form").querySelectorAll("[aria-invalid]")) {
      marked.removeAttribute("aria-invalid");
      if (marked.dataset.described) marked.setAttribute("aria-describedby", marked.dataset.described);
      else marked.removeAttribute("aria-describedby");
    }
  }
  /** Show what is wrong, at its place where that is known, and take the focus there if `focus`. */
  function fail(failure, focus = true) {
    clear();
    const control = failure.control ?? controlAt(failure.pointer);
    byId("failure").textContent = failure.detail;
    byId("failure").hidden = false;
    if (!control) return;
    control.setAttribute("aria-invalid", "true");
    control.dataset.described = control.getAttribute("aria-describedby") ?? "";
    control.setAttribute("aria-describedby", "failure");
    if (focus) control.focus();
  }
  function controlAt(pointer) {
    if (pointer === null || pointer === undefined) return null;
    const tokens = pointerTokens(pointer);
    if (!isJson) return tokens[0] === "inputs" && editors.has(tokens[1]) ? editors.get(tokens[1]).point(tokens.slice(2)) : null;
    select(area, tokens);
    return area;
  }

  byId("form-panel").replaceChildren(...[...editors.values()].map((editor) => editor.element));
  byId("modes").replaceChildren(modes.list);
  byId("form").oninput = () => { clear(); changed(); };
  return {
    fail,
    clear,
    show,
    /** The body to send: in JSON as it was typed, wrong or not, because the server explains best. */
    text: () => (isJson ? area.value : write(formDocument())),
  };
}

function editorOf(model, spec, changed, drawn) {
  if (model.image?.input === spec.name) return pictureEditor(model, spec, changed, drawn);
  const isTable = model.features.length > 0 && model.inputs.length === 1 && !spec.sequence && !spec.optional;
  return isTable ? rowsEditor(model, spec) : tensorEditor(spec);
}
