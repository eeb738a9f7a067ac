// The same call from elsewhere: curl, Python, tritonclient, the AWS command line. Each is ready to run as it stands.

// A body over this many characters is read from a file beside the call: it would hide the call, and shells have limits.
const MOST_INLINE = 2000;
const NUMPY = {
  BOOL: "bool_",
  UINT8: "uint8", UINT16: "uint16", UINT32: "uint32", UINT64: "uint64",
  INT8: "int8", INT16: "int16", INT32: "int32", INT64: "int64",
  // tritonclient takes float32 for BF16 and rounds it
  FP16: "float16", BF16: "float32", FP32: "float32", FP64: "float64",
  BYTES: "object_",
};

const LANGUAGES = [
  { name: "curl", make: curlCall },
  { name: "Python", make: httpxCall, note: "Needs httpx: pip install httpx" },
  { name: "tritonclient", make: tritonCall, note: "Needs Triton’s client: pip install 'tritonclient[http]'" },
  { name: "AWS CLI", make: awsCall, note: "Invokes the function without HTTP. Put its name in place of FUNCTION_NAME." },
];

/** A word for a POSIX shell. */
const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** A call: its text, and where the body is long the file that it reads. */
const callOf = (lines, isLong, name, content) => ({
  text: lines.filter((line) => line !== null).join("\n"),
  ...(isLong && { file: { name, content } }),
});

const addressOf = ({ name, version }) => `${BASE}${modelPath(name, version)}/predict`;

function curlCall(call) {
  const body = write(call.document);
  const isLong = body.length > MOST_INLINE;
  const lines = [
    `curl -s ${quoted(addressOf(call))} \\`,
    "  -H 'Content-Type: application/json' \\",
    `  -d ${isLong ? "@request.json" : quoted(body)}`,
  ];
  return callOf(lines, isLong, "request.json", body);
}

function httpxCall(call) {
  const body = write(call.document);
  const isLong = body.length > MOST_INLINE;
  const lines = [
    isLong ? "import json\n" : null,
    "import httpx\n",
    isLong ? 'with open("request.json") as file:\n    body = json.load(file)' : `body = ${pretty(call.document, PYTHON_WORDS)}`,
    `answer = httpx.post(${JSON.stringify(addressOf(call))}, json=body, timeout=60)`,
    "print(answer.json())",
  ];
  return callOf(lines, isLong, "request.json", body);
}

function tritonCall({ name, version, model, document }) {
  const inputs = tritonInputs(model, document);
  const body = write({ inputs });
  const isLong = body.length > MOST_INLINE;
  const options = [
    version && `model_version=${JSON.stringify(version)}`,
    document.id && `request_id=${JSON.stringify(document.id)}`,
    "outputs=[InferRequestedOutput(name) for name in outputs]",
  ];
  const { host, protocol, pathname } = new URL(BASE);
  const server = JSON.stringify(host + pathname.replace(/\/$/, "")) + (protocol === "https:" ? ", ssl=True" : "");
  const lines = [
    isLong ? "import json\n" : null,
    "import numpy as np",
    "from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput\n",
    isLong ? 'with open("request.json") as file:\n    inputs = json.load(file)["inputs"]' : null,
    `client = InferenceServerClient(${server})`,
    "tensors = [",
    ...model.inputs.filter((spec) => inputs[spec.name] != null).map((spec) => tritonTensor(spec, inputs[spec.name], isLong)),
    "]",
    `outputs = ${write(document.outputs ?? model.default_outputs)}`,
    `answer = client.infer(\n    ${[JSON.stringify(name), "tensors", ...options.filter(Boolean)].join(", ")}\n)`,
    "for name in outputs:\n    print(name, answer.as_numpy(name).tolist())",
    "client.close()",
  ];
  return callOf(lines, isLong, "request.json", body);
}

function tritonTensor({ name, datatype }, value, isLong) {
  const key = JSON.stringify(name);
  const array = `np.array(${isLong ? `inputs[${key}]` : pretty(value, PYTHON_WORDS, "        ")}, dtype=np.${NUMPY[datatype]})`;
  return `    InferInput(${key}, ${write(shapeOf(value))}, "${datatype}").set_data_from_numpy(\n        ${array}\n    ),`;
}

/** The document's tensors by name. */
function tritonInputs(model, document) {
  const strange = Object.keys(document).find((key) => !["inputs", "outputs", "id"].includes(key));
  if (strange) throw new Failure(`Open Inference has no “${strange}”; use curl or Python.`);
  const given = document.inputs;
  const inputs = given !== null && typeof given === "object" && !Array.isArray(given) ? given : { [model.inputs[0].name]: given };
  const sent = model.inputs.filter((spec) => inputs[spec.name] != null);
  if (sent.some((spec) => spec.sequence)) throw new Failure("Open Inference has no sequences; use curl or Python.");
  if (!sent.length) throw new Failure("Open Inference takes one tensor at least.");
  return inputs;
}

function shapeOf(value) {
  return Array.isArray(value) ? [value.length, ...(value.length ? shapeOf(value[0]) : [])] : [];
}

function awsCall({ name, version, document }) {
  const payload = write({ model: name, ...(version && { version }), ...document });
  const isLong = payload.length > MOST_INLINE;
  const lines = [
    "aws lambda invoke --function-name FUNCTION_NAME \\",
    "  --cli-binary-format raw-in-base64-out \\",
    `  --payload ${isLong ? "file://event.json" : quoted(payload)} \\`,
    "  answer.json",
    "cat answer.json",
  ];
  return callOf(lines, isLong, "event.json", payload);
}

/** The section of calls. */
class Calls {
  #at = 0;
  #call = null;
  #timer = 0;
  #code = element("pre", { class: "code", tabindex: 0, "aria-label": "The call" });
  #note = element("p", { class: "hint" });
  #copy = element("button", { type: "button", onclick: () => this.#copied() }, "Copy");
  #download = element("a", { class: "button", hidden: true });

  constructor() {
    byId("snippet").replaceChildren(this.#code, element("div", { class: "under" }, this.#note, this.#download, this.#copy));
    const names = LANGUAGES.map(({ name }) => name);
    const choose = (index) => {
      this.#at = index;
      this.show(this.#call);
    };
    byId("languages").replaceChildren(tabs("Language of the call", names, byId("snippet"), choose).list);
  }

  /** Write the calls anew for `{name, version, model, document}`, or for null where the request is none yet. */
  show(call) {
    this.#call = call;
    const { make, note = "" } = LANGUAGES[this.#at];
    let made = { text: "" };
    let why = "The calls stand here when the input is complete.";
    try {
      if (call) made = make(call);
    } catch (failure) {
      why = failure.detail;
    }
    this.#code.textContent = made.text;
    this.#code.hidden = this.#copy.hidden = !made.text;
    this.#copy.textContent = "Copy";
    this.#note.textContent = made.text ? note : why;
    this.#offer(made.file);
  }

  #offer(file) {
    if (this.#download.href) URL.revokeObjectURL(this.#download.href);
    this.#download.hidden = !file;
    if (!file) return;
    this.#download.href = URL.createObjectURL(new Blob([file.content], { type: "application/json" }));
    this.#download.download = file.name;
    this.#download.textContent = `Download ${file.name}`;
  }

  async #copied() {
    try {
      await copyText(this.#code.textContent, this.#code);
      this.#copy.textContent = "Copied";
      say("Copied");
    } catch {
      this.#copy.textContent = "Select it and copy";
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => { this.#copy.textContent = "Copy"; }, 2000);
  }
}
