// What is chosen, and what happens when: a model is described, its form is made, it is run, its answer is shown.

const page = { model: null, version: "", form: null, running: null };
const calls = new Calls();
let redrawn = 0;
let opened = 0;

/** The model and version that the address names after #, as digits or digits/2; the default model where it names none. */
function chosen(models) {
  const [name, version = ""] = location.hash.slice(1).split("/");
  const found = models.find((model) => model.name === name);
  const fallback = models.find((model) => model.default) ?? models[0];
  return found ? { listed: found, version: found.versions.includes(version) ? version : "" } : { listed: fallback, version: "" };
}

async function start() {
  byId("docs").href = `${BASE}docs`;
  byId("openapi").href = `${BASE}openapi.json`;
  const models = await listModels();
  const options = models.map(({ name, title }) => element("option", { value: name }, title ? `${name} — ${title}` : name));
  byId("model").replaceChildren(...options);
  byId("model").onchange = () => { location.hash = byId("model").value; };
  byId("version").onchange = () => { location.hash = `${byId("model").value}${byId("version").value && `/${byId("version").value}`}`; };
  onhashchange = () => open(models);
  await open(models);
}

async function open(models) {
  const { listed, version } = chosen(models);
  const turn = ++opened;
  page.running?.abort();
  page.form = null;
  byId("model").value = listed.name;
  const newest = listed.versions.at(-1);
  const options = [["", `${newest} (newest)`], ...listed.versions.slice(0, -1).reverse().map((older) => [older, older])];
  byId("version").replaceChildren(...options.map(([value, text]) => element("option", { value }, text)));
  byId("version").value = version === newest ? "" : version;
  byId("version-field").hidden = listed.versions.length < 2;
  page.version = byId("version").value;
  byId("title").textContent = listed.title || listed.name;
  byId("description").textContent = listed.description;
  byId("facts").replaceChildren();
  byId("bench").hidden = byId("calls").hidden = true;
  document.title = `${listed.title || listed.name} · onnx-lambda`;
  byId("trouble").replaceChildren();
  try {
    const model = await describeModel(listed.name, page.version);
    if (turn === opened) show(model);
  } catch (failure) {
    if (turn !== opened) return;
    const said = [element("h2", {}, failure.title), element("p", {}, failure.detail)];
    byId("trouble").replaceChildren(element("div", { class: "problem" }, said));
  }
}

function show(model) {
  page.model = model;
  byId("facts").replaceChildren(...facts(model));
  byId("bench").hidden = byId("calls").hidden = false;
  byId("status").replaceChildren();
  byId("gist").textContent = "";
  byId("result").replaceChildren(element("p", { class: "empty" }, "Run it, and the answer appears here."));
  page.form = new RequestForm(model, { changed: refresh, drawn: runSoon });
  const buttons = model.examples.map(({ title, inputs }, at) =>
    element("button", { type: "button", onclick: () => page.form.show({ inputs }) }, title || `Example ${at + 1}`));
  byId("examples").replaceChildren(element("span", { class: "hint" }, "Start from"), ...buttons);
  byId("examples").hidden = buttons.length === 0;
  page.form.show(model.example);
}

function facts(model) {
  const tensors = (specs) => specs.map((spec) => element("span", {}, element("b", {}, spec.name), " ", describeSpec(spec)));
  const labels = model.labels.slice(0, 12).map((label) => element("span", { class: "chip" }, label));
  const more = model.labels.length - labels.length;
  const row = (name, ...values) => element("div", {}, element("dt", {}, name), element("dd", {}, values));
  return [
    row("Takes", tensors(model.inputs)),
    row("Gives", tensors(model.outputs)),
    model.labels.length ? row("Labels", labels, more > 0 && `and ${more} more`) : "",
    model.batch.note ? row("Batch", model.batch.note) : "",
    row("Version", element("b", {}, model.version), element("span", { class: "digest", title: model.digest }, model.digest)),
  ];
}

/** Write the calls anew. A request that is no JSON, or a form that is not complete, has none. */
function refresh() {
  if (!page.form) return;
  let document = null;
  try {
    document = parseJson(page.form.text());
  } catch {
    // said where the calls stand
  }
  const isObject = document !== null && typeof document === "object" && !Array.isArray(document);
  calls.show(isObject ? { name: page.model.name, version: page.version, model: page.model, document } : null);
}

/** After a stroke of a drawing, when the hand rests. */
function runSoon() {
  clearTimeout(redrawn);
  redrawn = setTimeout(() => run({ focus: false }), 250);
}

async function run({ focus = true } = {}) {
  if (!page.form) return;
  page.form.clear();
  page.running?.abort();
  const running = (page.running = new AbortController());
  byId("answer").setAttribute("aria-busy", "true");
  byId("run").textContent = "Running …";
  try {
    const text = page.form.text();
    const answer = await predict(modelPath(page.model.name, page.version), text, running.signal);
    showAnswer(page.model, answer);
  } catch (failure) {
    if (failure.name === "AbortError") return;
    if (!(failure instanceof Failure)) throw failure;
    if (!failure.control) showFailure(failure);
    page.form.fail(failure, focus);
  } finally {
    if (page.running === running) {
      byId("answer").removeAttribute("aria-busy");
      byId("run").textContent = "Run";
    }
  }
}

byId("form").onsubmit = (event) => {
  event.preventDefault();
  run();
};
addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  run();
});
start().catch((failure) => {
  byId("title").textContent = "The models cannot be listed";
  byId("description").textContent = failure.detail ?? String(failure);
});
