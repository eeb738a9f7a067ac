// JSON without loss: an integer that a double cannot hold is a BigInt, so it is sent and copied as it was typed.

function parseJson(text) {
  return JSON.parse(text, (key, value, context) => {
    const lost = typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value);
    return lost && /^-?\d+$/.test(context?.source ?? "") ? BigInt(context.source) : value;
  });
}

const JSON_WORDS = { null: "null", true: "true", false: "false" };
const PYTHON_WORDS = { null: "None", true: "True", false: "False" };

/** A value on one line, in JSON or, by its words, in Python, whose strings and numbers are written alike. */
function write(value, words = JSON_WORDS) {
  if (typeof value === "bigint") return String(value);
  if (Array.isArray(value)) return `[${value.map((item) => write(item, words)).join(", ")}]`;
  if (value !== null && typeof value === "object") {
    return `{${Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${write(item, words)}`).join(", ")}}`;
  }
  return words[value] ?? JSON.stringify(value);
}

/** A value on as few lines as are readable: what fits into a line stays on it, and so does a row of numbers. */
function pretty(value, words = JSON_WORDS, indent = "") {
  const line = write(value, words);
  const isRow = Array.isArray(value) && value.every((item) => item === null || typeof item !== "object");
  if (value === null || typeof value !== "object" || isRow || line.length + indent.length <= 76) return line;
  const inner = `${indent}  `;
  const lines = Array.isArray(value)
    ? value.map((item) => pretty(item, words, inner))
    : Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${pretty(item, words, inner)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  return `${open}\n${lines.map((item) => inner + item).join(",\n")}\n${indent}${close}`;
}

/** The parts of a JSON Pointer (RFC 6901). */
function pointerTokens(pointer) {
  return pointer.split("/").slice(1).map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** Where the value that a pointer names stands in a text: [start, end], or null. */
function locate(text, tokens) {
  let at = 0;
  const blank = () => { while (/\s/.test(text[at] ?? "")) at++; };
  const string = () => {
    const start = at++;
    while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
    return JSON.parse(text.slice(start, ++at));
  };
  function value(wanted) {
    blank();
    const start = at;
    let found = null;
    const opening = text[at];
    if (opening === '"') string();
    else if (opening !== "{" && opening !== "[") while (at < text.length && !/[\s,\]}]/.test(text[at])) at++;
    else {
      at++;
      for (let index = 0; blank(), at < text.length && text[at] !== "}" && text[at] !== "]"; index++) {
        const name = opening === "{" ? string() : String(index);
        if (opening === "{") { blank(); at++; }
        found = value(wanted?.length && wanted[0] === name ? wanted.slice(1) : null) ?? found;
        blank();
        if (text[at] === ",") at++;
      }
      at++;
    }
    return wanted?.length === 0 ? [start, at] : found;
  }
  try {
    return value(tokens);
  } catch {
    return null; // the text is no JSON
  }
}
