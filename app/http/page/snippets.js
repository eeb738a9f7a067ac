// The same call from elsewhere: curl, Python, tritonclient, the AWS command line. Each is ready to run as it stands.

// A body over this many characters is read from a file beside the call: it would hide the call, and shells have limits.
const MOST_INLINE = 2000;
const NUMPY = {
  BOOL: "bool_", UINT8: "uint8", UINT16: "uint16", UINT32: "uint32", UINT64: "uint64", INT8: "int8", INT16: "int16", INT32: "int32", INT64: "int64",
  // tritonclient takes float32 for BF16 and rounds it
  FP16: "float16", BF16: "float32", FP32: "float32", FP64: "float64", BYTES: "object_",
};

const LANGUAGES = [
  { name: "curl", make: curlCall },
  { name: "Python", make: httpxCall, note: "Needs httpx: pip install httpx" },
  { name: "tritonclient", make: tritonCall, note: "Needs Triton’s client: pip install 'tritonclient[http]'" },
  { name: "AWS CLI", make: awsCall, note: "Invokes the function directly, without HTTP. Put your function’s name in place of FUNCTION_NAME." },
];

/** A word for a POSIX shell. */
const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** A call is `{text, file?: {name, content}}`. `call` is `{name, version, model, document}`. */
function curlCall({ name, version, document }) {
  const body = write(document);
  const isLong = body.length > MOST_INLINE;
  const data = isLong ? "@request.json" : quoted(body);
  const text = `curl -s ${quoted(`${BASE}${modelPath(name, version)}/predict`)} \\\n  -H 'Content-Type: application/json' \\\n  -d ${data}`;
  return isLong ? { text, file: { name: "request.json", content: body } } : { text };
}

function httpxCall({ name, version, document }) {
  const body = write(document);
  const isLong = body.length > MOST_INLINE;
  const lines = [
    isLong && "import json\n",
    "import httpx\n",
    isLong ? 'with open("request.json") as file:\n    body = json.load(file)' : `body = ${pretty(document, PYTHON_WORDS)}`,
    `answer = httpx.post(${JSON.stringify(`${BASE}${modelPath(name, version)}/predict`)}, json=body, timeout=60)`,
    "print(answer.json())",
  ];
  const text = lines.filter(Boolean).join("\n");
  return isLong ? { text, file: { name: "request.json", content: body } } : { text };
}

function tritonCall({ name, version, model, document }) {
  const inputs = tritonInputs(model, document);
  const body = write({ inputs });
  const isLong = body.length > MOST_INLINE;
  const specs = model.inputs.filter((spec) => inputs[spec.name] != null);
  if (!specs.length) throw new Failure("Open Inference takes one tensor at least.");
  const key = (spec) => JSON.stringify(spec.name);
  const arrays = specs.map((spec) => {
    const value = isLong ? `inputs[${key(spec)}]` : pretty(inputs[spec.name], PYTHON_WORDS, "    ");
    return `    InferInput(${key(spec)}, ${write(shapeOf(inputs[spec.name]))}, "${spec.datatype}").set_data_from_numpy(\n        np.array(${value}, dtype=np.${NUMPY[spec.datatype]})\n    ),`;
  });
  const asked = document.outputs ?? model.default_outputs;
  const { host, protocol, pathname } = new URL(BASE);
  const address = JSON.stringify(host + pathname.replace(/\/$/, "")) + (protocol === "https:" ? ", ssl=True" : "");
  const text = [
    isLong ? "import json\n\nimport numpy as np" : "import numpy as np",
    `from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput\n`,
    isLong ? 'with open("request.json") as file:\n    inputs = json.load(file)["inputs"]' : null,
    `client = InferenceServerClient(${address})`,
    `tensors = [\n${arrays.join("\n")}\n]`,
    `outputs = ${write(asked)}`,
    `answer = client.infer(\n    ${JSON.stringify(name)}, tensors${version ? `, model_version=${JSON.stringify(version)}` : ""}, outputs=[InferRequestedOutput(name) for name in outputs]\n)`,
    `for name in outputs:\n    print(name, answer.as_numpy(name).tolist())`,
    "client.close()",
  ].filter(Boolean).join("\n");
  return isLong ? { text, file: { name: "request.json", content: body } } : { text };
}

/** The document's tensors by name. */
function tritonInputs(model, document) {
  const isByName = document.inputs !== null && typeof document.inputs === "object" && !Array.isArray(document.inputs);
  const inputs = isByName ? document.inputs : model.inputs.length === 1 && "inputs" in document ? { [model.inputs[0].name]: document.inputs } : null;
  if (!inputs) throw new Failure("Open Inference takes tensors by name: send “inputs” rather than “instances”.");
  if (model.inputs.some((spec) => spec.sequence && inputs[spec.name] != null)) throw new Failure("Open Inference has no sequences; use curl or Python.");
  return inputs;
}

function shapeOf(value) {
  return Array.isArray(value) ? [value.length, ...(value.length ? shapeOf(value[0]) : [])] : [];
}

function awsCall({ name, version, document }) {
  const payload = write({ model: name, ...(version && { version }), ...document });
  const isLong = payload.length > MOST_INLINE;
  const text = [
    "aws lambda invoke --function-name FUNCTION_NAME \\",
    "  --cli-binary-format raw-in-base64-out \\",
    `  --payload ${isLong ? "file://event.json" : quoted(payload)} \\`,
    "  answer.json\ncat answer.json",
  ].join("\n");
  return isLong ? { text, file: { name: "event.json", content: payload } } : { text };
}

/** The section of calls; `show(call)` writes them anew, `show(null)` where the request is none yet. */
function callsSection() {
  let at = 0;
  let call = null;
  const code = element("pre", { class: "code", tabindex: 0, "aria-label": "The call" });
  const note = element("p", { class: "hint" });
  const copy = element("button", { type: "button", onclick: copied }, "Copy");
  const download = element("a", { class: "button", hidden: true });
  byId("snippet").replaceChildren(code, element("div", { class: "under" }, note, download, copy));
  const languages = tabs("Language of the call", LANGUAGES.map(({ name }) => name), byId("snippet"), (index) => { at = index; show(call); });
  byId("languages").replaceChildren(languages.list);

  async function copied() {
    try {
      await copyText(code.textContent, code);
      copy.textContent = "Copied";
      say("Copied");
    } catch {
      copy.textContent = "Select it and copy";
    }
    setTimeout(() => { copy.textContent = "Copy"; }, 2000);
  }
  function show(next) {
    call = next;
    let made = { text: "" };
    let why = "The calls stand here when the input is complete.";
    try {
      if (call) made = LANGUAGES[at].make(call);
    } catch (failure) {
      why = failure.detail;
    }
    const isMade = made.text !== "";
    code.textContent = made.text;
    code.hidden = copy.hidden = !isMade;
    note.textContent = isMade ? LANGUAGES[at].note ?? "" : why;
    if (download.href) URL.revokeObjectURL(download.href);
    download.hidden = !made.file;
    if (!made.file) return;
    download.href = URL.createObjectURL(new Blob([made.file.content], { type: "application/json" }));
    download.download = made.file.name;
    download.textContent = `Download ${made.file.name}`;
  }
  return { show };
}
