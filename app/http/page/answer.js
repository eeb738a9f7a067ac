// The answer: ranked classes with bars where the model gives scores for labels, the other outputs as they are, what it took.

const MOST_CLASSES = 10;
const MOST_SHOWN_ROWS = 12;
const MOST_SHOWN_TEXT = 20_000;

/** Show a prediction, and say its gist. */
function showAnswer(model, answer) {
  const outputs = Object(answer.body?.outputs);
  const scored = Object.keys(outputs).filter((name) => classesOf(model, outputs, name));
  const used = new Set(scored.flatMap((name) => [name, `${name}_labels`]));
  const others = Object.entries(outputs).filter(([name]) => !used.has(name));
  showParts("good", answer, [
    ...scored.map((name) => ranking(name, outputs[name], classesOf(model, outputs, name))),
    others.length > 0 && element("dl", { class: "outputs" }, others.map(([name, value]) => fact(name, brief(value)))),
  ]);
  const best = gist(model, outputs, scored[0]);
  byId("gist").textContent = best;
  say(`${best || "The answer is there"}. Status ${answer.status}, ${duration(answer.tookMs)}.`);
}

/** Show what went wrong. */
function showFailure(failure) {
  const facts = { Where: failure.pointer === "" ? "the whole body" : failure.pointer, Code: failure.code, Request: failure.requestId };
  const known = Object.entries(facts).filter(([, value]) => value);
  showParts("bad", failure, [
    element("div", { class: "problem" },
      element("h3", {}, failure.title),
      element("p", {}, failure.detail),
      element("dl", { class: "small" }, known.map(([name, value]) => fact(name, element("code", {}, value))))),
  ]);
  byId("gist").textContent = "";
  say(`${failure.title}. ${failure.detail}`);
}

/** What there is to see of any answer: its status, its parts, what it took, its JSON. */
function showParts(mood, { status, tookMs, headers, body }, parts) {
  byId("status").replaceChildren(...(status ? [element("span", { class: mood }, String(status)), ` ${duration(tookMs)}`] : []));
  byId("result").replaceChildren(...[...parts, headers && timings(headers, tookMs), body && raw(body)].filter(Boolean));
}

function raw(body) {
  const text = pretty(body);
  const more = text.length - MOST_SHOWN_TEXT;
  return element("details", {},
    element("summary", {}, "The answer’s JSON"),
    element("pre", { class: "code", tabindex: 0, "aria-label": "The answer’s JSON" },
      text.slice(0, MOST_SHOWN_TEXT), more > 0 && `\n… ${more} more characters`));
}

const fact = (name, value) => element("div", {}, element("dt", {}, name), element("dd", {}, value));

/** The names of an output's classes, where it has a score for each; else null. */
function classesOf(model, outputs, name) {
  const rows = outputs[name];
  const width = Array.isArray(rows) && Array.isArray(rows[0]) ? rows[0].length : 0;
  const isScores = width > 0 && rows.every((row) => row.length === width && row.every((item) => typeof item === "number"));
  const isFloat = /^(FP|BF)/.test(model.outputs.find((spec) => spec.name === name)?.datatype ?? "");
  if (!isScores || !isFloat) return null;
  const own = outputs[`${name}_labels`];
  if (model.labels.length === width) return model.labels;
  return Array.isArray(own) && own.length === width ? own.map(String) : null;
}

function ranked(row, classes) {
  return row.map((score, index) => ({ score, name: classes[index] })).sort((one, other) => other.score - one.score);
}

/** Whether scores are probabilities; if not, they are shown as the numbers that they are. */
function areShares(row) {
  const sum = row.reduce((total, score) => total + score, 0);
  return row.every((score) => score >= -1e-6 && score <= 1 + 1e-6) && Math.abs(sum - 1) < 0.01;
}

function ranking(name, rows, classes) {
  const more = rows.length - MOST_SHOWN_ROWS;
  return element("div", { class: "scores" },
    element("p", { class: "eyebrow" }, name),
    rows.slice(0, MOST_SHOWN_ROWS).map((row, at) => [
      rows.length > 1 && element("h3", {}, `Row ${at + 1}`),
      element("ol", { class: "ranking", "aria-label": rows.length > 1 ? `${name}, row ${at + 1}` : name }, bars(row, classes)),
    ]),
    more > 0 && element("p", { class: "hint" }, `and ${more} more rows, in the answer’s JSON`));
}

function bars(row, classes) {
  const shares = areShares(row);
  const most = row.reduce((largest, score) => Math.max(largest, Math.abs(score)), Number.MIN_VALUE);
  const items = ranked(row, classes).slice(0, MOST_CLASSES).map(({ name, score }, place) => {
    const bar = element("span", { class: "bar", "aria-hidden": "true" });
    bar.style.setProperty("--share", String(Math.max(0, shares ? score : score / most)));
    return element("li", { class: place === 0 && "best" },
      element("span", { class: "name" }, name), bar, element("span", { class: "value" }, shares ? percent(score) : score.toPrecision(4)));
  });
  const more = row.length - items.length;
  return more > 0 ? [...items, element("li", { class: "hint" }, `and ${more} more classes`)] : items;
}

/** The best class, for eyes that do not see the whole answer: a screen reader's, and those at a narrow screen. */
function gist(model, outputs, name) {
  if (!name) return "";
  const [best] = ranked(outputs[name][0], classesOf(model, outputs, name));
  const more = outputs[name].length > 1 ? ` in row 1 of ${outputs[name].length}` : "";
  return `${best.name}, ${areShares(outputs[name][0]) ? percent(best.score) : best.score.toPrecision(4)}${more}`;
}

const percent = (share) => (share > 0 && share < 0.001 ? "< 0.1\u00a0%" : `${(share * 100).toFixed(1)}\u00a0%`);

function brief(value) {
  const text = write(value);
  return text.length > 240 ? `${text.slice(0, 240)} …` : text;
}

const duration = (ms) => (ms < 1 ? `${Math.round(ms * 1000)} µs` : `${ms < 100 ? ms.toFixed(1) : Math.round(ms)} ms`);

/** What each phase took on the server (its Server-Timing header), and what the round trip took in all. */
function timings(headers, tookMs) {
  const phases = [...(headers.get("server-timing") ?? "").matchAll(/([\w-]+);dur=([\d.]+)/g)];
  const took = [...phases.map(([, name, ms]) => [name.replace("-", " "), Number(ms)]), ["round trip", tookMs]];
  return element("dl", { class: "timings", "aria-label": "Timings" }, took.map(([name, ms]) => fact(name, duration(ms))));
}
