// The page is at the root of its server, which may be a path such as /prod/ (or /prod): every address is made from its own.

const BASE = location.origin + location.pathname.replace(/\/*$/, "/");

/** A failure to show: `detail` for people, `pointer` to its place in the request where there is one. */
class Failure extends Error {
  constructor(detail, more = {}) {
    super(detail);
    Object.assign(this, { title: "", detail, pointer: null, code: "", status: 0, requestId: "" }, more);
  }
}

/** Ask the server; the answer's status, headers, text, and parsed body (null where it is no JSON). */
async function ask(path, options = {}) {
  const started = performance.now();
  let response, text;
  try {
    response = await fetch(BASE + path, { headers: { Accept: "application/json" }, ...options });
    text = await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure("The server cannot be reached. Is it running, and are you online?", { title: "No answer" });
  }
  const tookMs = performance.now() - started;
  let body = null;
  try {
    body = parseJson(text);
  } catch {
    // gateways answer with text or HTML of their own
  }
  if (!response.ok) throw failureOf(response, body, text, tookMs);
  return { status: response.status, headers: response.headers, text, body, tookMs };
}

/** The project's error object, or whatever a gateway before it says. */
function failureOf(response, body, text, tookMs) {
  const said = body && typeof body === "object" ? body : {};
  const detail = said.detail ?? said.error ?? said.message ?? text.slice(0, 300);
  const signed = response.status === 403 && !said.code ? " The gateway takes signed requests alone." : "";
  return new Failure(String(detail || "The answer says no more.") + signed, {
    title: said.title ?? "The request failed",
    pointer: said.pointer ?? null,
    code: said.code ?? "",
    status: response.status,
    requestId: said.request_id ?? "",
    headers: response.headers,
    body,
    tookMs,
  });
}

const listModels = async () => (await ask("models")).body.models;

/** Where a model is, below the server's address; its newest version where none is named. */
const modelPath = (name, version) =>
  `models/${encodeURIComponent(name)}${version ? `/versions/${encodeURIComponent(version)}` : ""}`;

const describeModel = async (name, version) => (await ask(modelPath(name, version))).body;

const predict = (path, text, signal) =>
  ask(`${path}/predict`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: text,
    signal,
  });
