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
function rowsEditor(model, spec) {
  const list = element("div", { class: "rows" });
  const add = element("button", { type: "button", onclick: () => append(rows.at(-1).map((field) => field.value)) }, "Add a row");
  const box = element("div", {}, list, add);
  const isText = spec.datatype === "BYTES";
  const isWhole = /INT/.test(spec.datatype);
  let rows = []; // of fields

  function append(values, focus = true) {
    const fields = model.features.map((name, at) =>
      element("input", {
        id: freshId("field"), value: values[at], autocomplete: "off",
        ...(isText ? { type: "text" } : { type: "number", step: isWhole ? 1 : "any", inputmode: "decimal" }),
      }),
    );
    const legend = element("legend", {});
    const remove = element("button", { type: "button", class: "quiet", onclick: () => drop(group, fields) }, "Remove");
    const labelled = fields.map((field, at) => element("div", { class: "field" }, element("label", { for: field.id }, model.features[at]), field));
    const group = element("fieldset", {}, legend, element("div", { class: "grid" }, labelled), remove);
    rows.push(fields);
    list.append(group);
    number();
    if (focus) fields[0].focus();
  }
  function drop(group, fields) {
    rows = rows.filter((row) => row !== fields);
    group.remove();
    number();
    rows[0][0].focus();
    list.dispatchEvent(new Event("input", { bubbles: true }));
  }
  function number() {
    [...list.children].forEach((group, at) => {
      group.classList.toggle("only", rows.length === 1);
      group.querySelector("legend").textContent = `Row ${at + 1}`;
      group.querySelector("button").setAttribute("aria-label", `Remove row ${at + 1}`);
    });
    add.disabled = rows.length >= MOST_ROWS;
  }
  function valueOf(field, name) {
    const text = field.value.trim();
    if (isText) return field.value;
    if (!text) throw new FieldFailure(`${name} takes a number.`, field);
    return /^-?\d+$/.test(text) ? parseJson(text.replace(/^(-?)0+(?=\d)/, "$1")) : Number(text);
  }
  return {
    element: box,
    read: () => rows.map((fields) => fields.map((field, at) => valueOf(field, model.features[at]))),
    show(value) {
      const isRow = (row) => Array.isArray(row) && row.length === model.features.length && row.every((item) => typeof item === "bigint" || typeof item === (isText ? "string" : "number"));
      if (!Array.isArray(value) || !value.length || value.length > MOST_ROWS || !value.every(isRow)) return false;
      rows = [];
      list.replaceChildren();
      for (const row of value) append(row, false);
      return true;
    },
    point: ([row, column]) => rows[row]?.[column ?? 0] ?? rows[0][0],
  };
}

/** Any tensor, as JSON. */
function tensorEditor(spec) {
  const area = element("textarea", { id: freshId("tensor"), class: "code", rows: 3, spellcheck: "false", autocapitalize: "off" });
  const box = element("div", { class: "field" }, element("label", { for: area.id }, spec.name, " ", element("code", {}, describeSpec(spec))), area);
  return {
    element: box,
    read() {
      try {
        return parseJson(area.value);
      } catch (error) {
        throw new FieldFailure(`${spec.name} is not valid JSON: ${error.message}.`, area);
      }
    },
    show(value) {
      area.value = pretty(value);
      area.rows = Math.min(14, area.value.split("\n").length + 1);
      return true;
    },
    point(tokens) {
      select(area, tokens);
      return area;
    },
  };
}

/** Select the text of the value that a pointer's tokens name. */
function select(area, tokens) {
  const place = locate(area.value, tokens);
  if (place) area.setSelectionRange(...place);
}
