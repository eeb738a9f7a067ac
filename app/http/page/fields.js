// The editors of inputs that are no pictures. An editor has `element`; `read()`, its value; `show(value)`, false where the
// value is more than it can show; and `point(tokens)`, the control at a place of the value.

const MOST_ROWS = 20;

/** A value that cannot be sent, and the control that holds it. */
class FieldFailure extends Failure {
  constructor(detail, control) {
    super(detail, { title: "The form is not complete", control });
  }
}

/** A tensor as the server writes it: FP32 [batch, 4]. */
function describeSpec(spec) {
  const shape = spec.shape ? `[${spec.shape.map((size) => size ?? "?").join(", ")}]` : "any shape";
  const tensor = `${spec.datatype} ${shape}`;
  return (spec.sequence ? `sequence of ${tensor}` : tensor) + (spec.optional ? " or null" : "");
}

/** One field for each feature, one group of them for each row. */
class RowsEditor {
  #features;
  #isText;
  #isWhole;
  #rows = []; // {group, fields}
  #list = element("div", { class: "rows" });
  #add = element("button", { type: "button", onclick: () => this.#repeat() }, "Add a row");

  constructor(model, spec) {
    this.#features = model.features;
    this.#isText = spec.datatype === "BYTES";
    this.#isWhole = /INT/.test(spec.datatype);
    this.element = element("div", {}, this.#list, this.#add);
  }

  read() {
    return this.#rows.map(({ fields }) => fields.map((field, at) => this.#valueOf(field, this.#features[at])));
  }

  show(value) {
    const kinds = this.#isText ? ["string"] : ["number", "bigint"];
    const isRow = (row) => Array.isArray(row) && row.length === this.#features.length && row.every((item) => kinds.includes(typeof item));
    if (!Array.isArray(value) || !value.length || value.length > MOST_ROWS || !value.every(isRow)) return false;
    this.#rows = [];
    this.#list.replaceChildren();
    for (const row of value) this.#append(row);
    return true;
  }

  point([row, column]) {
    const { fields } = this.#rows[row] ?? this.#rows[0];
    return fields[column] ?? fields[0];
  }

  #repeat() {
    const last = this.#rows.at(-1).fields.map((field) => field.value);
    this.#append(last)[0].focus();
  }

  #append(values) {
    const kind = this.#isText ? { type: "text" } : { type: "number", step: this.#isWhole ? 1 : "any", inputmode: "decimal" };
    const fields = values.map((value) => element("input", { id: freshId("field"), value, autocomplete: "off", ...kind }));
    const labelled = fields.map((field, at) =>
      element("div", { class: "field" }, element("label", { for: field.id }, this.#features[at]), field));
    const remove = element("button", { type: "button", class: "quiet", onclick: () => this.#remove(group) }, "Remove");
    const group = element("fieldset", {}, element("legend"), element("div", { class: "grid" }, labelled), remove);
    this.#rows.push({ group, fields });
    this.#list.append(group);
    this.#number();
    return fields;
  }

  #remove(gone) {
    this.#rows = this.#rows.filter(({ group }) => group !== gone);
    gone.remove();
    this.#number();
    this.#rows[0].fields[0].focus();
  }

  #number() {
    this.#rows.forEach(({ group }, at) => {
      group.classList.toggle("only", this.#rows.length === 1);
      group.querySelector("legend").textContent = `Row ${at + 1}`;
      group.querySelector("button").setAttribute("aria-label", `Remove row ${at + 1}`);
    });
    this.#add.disabled = this.#rows.length >= MOST_ROWS;
    this.#list.dispatchEvent(new Event("input", { bubbles: true }));
  }

  #valueOf(field, name) {
    const text = field.value.trim();
    if (this.#isText) return field.value;
    if (!text) throw new FieldFailure(`${name} takes a number.`, field);
    return /^-?\d+$/.test(text) ? parseJson(text.replace(/^(-?)0+(?=\d)/, "$1")) : Number(text);
  }
}

/** Any tensor, as JSON. */
class TensorEditor {
  #name;
  #area = element("textarea", { id: freshId("tensor"), class: "code", rows: 3, spellcheck: "false", autocapitalize: "off" });

  constructor(spec) {
    this.#name = spec.name;
    const label = element("label", { for: this.#area.id }, spec.name, " ", element("code", {}, describeSpec(spec)));
    this.element = element("div", { class: "field" }, label, this.#area);
  }

  read() {
    try {
      return parseJson(this.#area.value);
    } catch (error) {
      throw new FieldFailure(`${this.#name} is not valid JSON: ${error.message}.`, this.#area);
    }
  }

  show(value) {
    this.#area.value = pretty(value);
    this.#area.rows = Math.min(14, this.#area.value.split("\n").length + 1);
    return true;
  }

  point(tokens) {
    select(this.#area, tokens);
    return this.#area;
  }
}

/** Select the text of the value that a pointer's tokens name. */
function select(area, tokens) {
  const place = locate(area.value, tokens);
  if (place) area.setSelectionRange(...place);
}
