// The request, as a form made from the model's signature or as JSON; whichever is in front is what is sent.

class RequestForm {
  #area = byId("json");
  #editors; // by input name
  #modes = tabs("How to edit the input", ["Form", "JSON"], byId("panel"), (index) => (index ? this.#toJson() : this.#toForm()));
  #isJson = false;
  #on;

  /** `on.changed()` is called whenever the request may be another; `on.drawn()` when a picture is finished. */
  constructor(model, on) {
    this.#on = on;
    this.#editors = new Map(model.inputs.map((spec) => [spec.name, editorOf(model, spec, on)]));
    byId("form-panel").replaceChildren(...[...this.#editors.values()].map((editor) => editor.element));
    byId("modes").replaceChildren(this.#modes.list);
    byId("form").oninput = () => {
      this.clear();
      on.changed();
    };
  }

  /** The body to send: in JSON as it was typed, wrong or not, because the server explains best. */
  text() {
    return this.#isJson ? this.#area.value : write(this.#document());
  }

  /** Fill in a request, in JSON where the form cannot show it. */
  show(document) {
    // A model whose example would be too long to read has none: its form begins empty.
    const fits = document === null || this.#fill(document);
    if (!fits || this.#isJson) this.#area.value = pretty(document ?? { inputs: {} });
    this.#modes.mark(fits && !this.#isJson ? 0 : 1);
    this.#front(!fits || this.#isJson);
  }

  /** Show what is wrong, at its place where that is known, and take the focus there if `focus`. */
  fail(failure, focus = true) {
    this.clear();
    const control = failure.control ?? (failure.pointer === null ? null : this.#controlAt(pointerTokens(failure.pointer)));
    byId("failure").textContent = failure.detail;
    byId("failure").hidden = false;
    if (!control) return;
    control.setAttribute("aria-invalid", "true");
    control.dataset.described = control.getAttribute("aria-describedby") ?? "";
    control.setAttribute("aria-describedby", "failure");
    if (focus) control.focus();
  }

  /** Take away what `fail` showed. */
  clear() {
    byId("failure").hidden = true;
    for (const marked of byId("form").querySelectorAll("[aria-invalid]")) {
      marked.removeAttribute("aria-invalid");
      if (marked.dataset.described) marked.setAttribute("aria-describedby", marked.dataset.described);
      else marked.removeAttribute("aria-describedby");
    }
  }

  #document() {
    return { inputs: Object.fromEntries([...this.#editors].map(([name, editor]) => [name, editor.read()])) };
  }

  #fill(document) {
    const inputs = document?.inputs;
    if (inputs === null || typeof inputs !== "object" || Object.keys(document).length !== 1) return false;
    const areKnown = Object.keys(inputs).every((name) => this.#editors.has(name));
    return areKnown && [...this.#editors].every(([name, editor]) => editor.show(inputs[name] ?? null));
  }

  #toJson() {
    try {
      this.#area.value = pretty(this.#document());
    } catch (failure) {
      this.fail(failure);
      return false;
    }
    this.#front(true);
    return true;
  }

  #toForm() {
    let document = null;
    try {
      document = parseJson(this.#area.value);
    } catch {
      // said below
    }
    if (!this.#fill(document)) {
      const why = "This is more than the form can show: it takes valid JSON with “inputs” by name, and nothing else.";
      this.fail(new FieldFailure(why, this.#area));
      return false;
    }
    this.#front(false);
    return true;
  }

  #front(isJson) {
    this.#isJson = isJson;
    byId("form-panel").hidden = isJson;
    byId("json-panel").hidden = !isJson;
    this.clear();
    this.#on.changed();
  }

  #controlAt(tokens) {
    if (!this.#isJson) return tokens[0] === "inputs" ? this.#editors.get(tokens[1])?.point(tokens.slice(2)) : null;
    select(this.#area, tokens);
    return this.#area;
  }
}

function editorOf(model, spec, on) {
  if (model.image?.input === spec.name) return new PictureEditor(model, spec, on);
  const isTable = model.features.length > 0 && model.inputs.length === 1 && !spec.sequence && !spec.optional;
  return isTable ? new RowsEditor(model, spec) : new TensorEditor(spec);
}
