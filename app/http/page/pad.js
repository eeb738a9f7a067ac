// The editor of an input that is a picture: draw on it, upload a file, or start from an example.

const STEPS = 16; // of the keyboard's pen, across the pad
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** `changed()` is called when there is another picture, `drawn()` when it is one to run: after a stroke, or of a file. */
function pictureEditor(model, spec, changed, drawn) {
  const { image } = model;
  const [height, width] = image.size;
  const first = model.examples.find((example) => spec.name in example.inputs);
  const firstPicture = first && fits(first.inputs[spec.name]) ? pictureOf(first.inputs[spec.name].flat(Infinity), image) : null;
  const frame = frameOf(image, image.channels === "L" ? firstPicture : null);
  let strokes = [];
  let picture = null;
  let given = null; // the tensor, where it was given as one
  let cursor = [STEPS / 2, STEPS / 2];
  let isDown = false;

  const hint = element("p", { class: "hint", id: freshId("hint") },
    "Draw over it, with the mouse, a pen or a finger: the answer follows. ",
    element("span", { class: "keys" }, "On the keyboard: arrow keys move, Space puts the pen down and lifts it, Backspace takes back a stroke, Delete clears."));
  const canvas = element("canvas", {
    class: image.channels === "L" ? "pad" : "pad colour", width: 640, height: Math.round((640 * height) / width), tabindex: 0, role: "application",
    "aria-label": `Draw ${spec.name}`, "aria-describedby": hint.id,
    onpointerdown: begin, onpointermove: move, onpointerup: end, onpointercancel: end, onkeydown: press, onfocus: paint, onblur: lift,
  });
  const seen = element("canvas", { class: "seen", width, height, role: "img", "aria-label": `What the model sees: ${width} by ${height} pixels` });
  const file = element("input", { type: "file", accept: "image/*", class: "unseen", id: freshId("file"), onchange: upload });
  const problem = element("p", { class: "failure", role: "alert", hidden: true });
  const box = element("fieldset", { class: "picture" },
    element("legend", {}, spec.name, " ", element("code", {}, describeSpec(spec))),
    element("div", { class: "drawing" }, canvas,
      element("div", { class: "beside" },
        element("figure", {}, seen, element("figcaption", {}, "What the model sees")),
        element("button", { type: "button", onclick: undo }, "Undo"),
        element("button", { type: "button", onclick: clear }, "Clear"),
        file, element("label", { for: file.id, class: "button" }, "Upload a picture"))),
    hint, problem);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);

  function fits(candidate) {
    return Array.isArray(candidate) && candidate.flat(Infinity).length % (height * width * channelsOf(image)) === 0 && candidate.length > 0;
  }
  function take(made, tensor = null) {
    picture = made;
    given = tensor;
    paint();
  }
  function redraw() {
    take(strokes.length ? pictureOfStrokes(strokes, image, frame) : null);
  }
  function finish() {
    changed();
    drawn();
  }
  const place = (event) => {
    const { left, top, width: wide, height: high } = canvas.getBoundingClientRect();
    return [(event.clientX - left) / wide, (event.clientY - top) / high];
  };
  function begin(event) {
    if (event.button !== 0 || !event.isPrimary) return;
    canvas.setPointerCapture(event.pointerId);
    strokes.push([place(event)]);
    isDown = true;
    redraw();
  }
  function move(event) {
    if (!isDown || !event.isPrimary || !event.buttons) return;
    const between = event.getCoalescedEvents?.() ?? [];
    strokes.at(-1).push(...(between.length ? between : [event]).map(place));
    redraw();
  }
  function end() {
    if (!isDown) return;
    isDown = false;
    finish();
  }
  function lift() {
    end();
    paint();
  }
  function press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = MOVES[event.key];
    const act = { " ": pen, Backspace: undo, Delete: clear }[event.key];
    if (!step && !act) return;
    event.preventDefault();
    if (act) return act();
    cursor = cursor.map((at, axis) => Math.min(STEPS, Math.max(0, at + step[axis])));
    if (isDown) strokes.at(-1).push(cursor.map((at) => at / STEPS));
    say(`${cursor[0]} across, ${cursor[1]} down`);
    if (isDown) redraw();
    else paint();
  }
  function pen() {
    if (isDown) {
      say("Pen up");
      return end();
    }
    isDown = true;
    strokes.push([cursor.map((at) => at / STEPS)]);
    say("Pen down");
    redraw();
  }
  function undo() {
    isDown = false;
    strokes.pop();
    redraw();
    if (strokes.length) finish();
    else clear();
  }
  function clear() {
    isDown = false;
    strokes = [];
    redraw();
    changed();
    say("The pad is empty");
  }
  async function upload() {
    if (!file.files.length) return;
    problem.hidden = true;
    try {
      const read = await pictureOfFile(file.files[0], image);
      strokes = [];
      take(read);
      finish();
    } catch {
      problem.textContent = "That file is no picture that this browser can read; PNG and JPEG always are.";
      problem.hidden = false;
    }
    file.value = "";
  }
  function paint() {
    const style = getComputedStyle(canvas);
    const colour = style.color.match(/[\d.]+/g).map(Number);
    const small = seen.getContext("2d");
    small.putImageData(new ImageData(picture ? shown(colour) : new Uint8ClampedArray(width * height * 4), width, height), 0, 0);
    const large = canvas.getContext("2d");
    large.resetTransform();
    large.clearRect(0, 0, canvas.width, canvas.height);
    large.imageSmoothingEnabled = false;
    if (!strokes.length) large.drawImage(seen, 0, 0, canvas.width, canvas.height);
    large.scale(canvas.width, canvas.height);
    trace(large, strokes, LINE, style.color);
    if (document.activeElement === canvas && canvas.matches(":focus-visible")) {
      large.fillStyle = style.accentColor;
      large.beginPath();
      large.ellipse(...cursor.map((at) => at / STEPS), 0.018, (0.018 * canvas.width) / canvas.height, 0, 0, 7);
      large.fill();
    }
  }
  /** Grey pictures in the page's own ink, so that they are dark on light and light on dark; others in their colours. */
  function shown([red, green, blue]) {
    const pixels = new Uint8ClampedArray(width * height * 4);
    for (let at = 0; at < width * height; at++) {
      const grey = image.channels === "L";
      pixels.set(grey ? [red, green, blue, Math.abs(picture[at] - frame.paper)] : [...picture.slice(at * 3, at * 3 + 3), 255], at * 4);
    }
    return pixels;
  }
  return {
    element: box,
    read() {
      if (picture === null) throw new FieldFailure("Draw something, choose an example, or upload a picture.", canvas);
      return given ?? nested(tensorOf(picture, image, spec), image, spec.shape);
    },
    show(tensor) {
      if (!fits(tensor)) return false;
      strokes = [];
      take(pictureOf(tensor.flat(Infinity), image), tensor);
      return true;
    },
    point: () => canvas,
  };
}
