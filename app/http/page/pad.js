// The editor of an input that is a picture: draw on it, upload a file, or start from an example.

const KEYS = "On the keyboard: arrow keys move, Space puts the pen down and lifts it, Backspace takes back a stroke, Delete clears.";

class PictureEditor {
  #spec;
  #image;
  #on;
  #frame;
  #picture = null;
  #given = null; // the tensor, where it was given as one
  #pen;
  #pad;
  #seen;
  #problem = element("p", { class: "failure", role: "alert", hidden: true });

  /** `on.changed()` is called when there is another picture, `on.drawn()` when it is one to run: after a stroke, or of a file. */
  constructor(model, spec, on) {
    this.#spec = spec;
    this.#image = model.image;
    this.#on = on;
    const example = model.examples.find(({ inputs }) => this.#fits(inputs[spec.name]));
    const picture = example && pictureOf(example.inputs[spec.name].flat(Infinity), model.image);
    this.#frame = frameOf(model.image, this.#isGrey ? picture : null);
    this.element = this.#build();
    this.#pen = new Pen(this.#pad, { changed: () => this.#redraw(), lifted: () => this.#finish() });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#paint());
  }

  read() {
    if (this.#picture === null) throw new FieldFailure("Draw something, choose an example, or upload a picture.", this.#pad);
    return this.#given ?? nested(tensorOf(this.#picture, this.#image, this.#spec), this.#image, this.#spec.shape);
  }

  show(tensor) {
    if (!this.#fits(tensor)) return false;
    this.#pen.reset();
    this.#take(pictureOf(tensor.flat(Infinity), this.#image), tensor);
    return true;
  }

  point() {
    return this.#pad;
  }

  get #isGrey() {
    return this.#image.channels === "L";
  }

  #fits(tensor) {
    const [height, width] = this.#image.size;
    return Array.isArray(tensor) && tensor.length > 0 && tensor.flat(Infinity).length % (height * width * channelsOf(this.#image)) === 0;
  }

  #build() {
    const [height, width] = this.#image.size;
    const { name } = this.#spec;
    const hint = element("p", { class: "hint", id: freshId("hint") },
      "Draw over it, with the mouse, a pen or a finger: the answer follows. ",
      element("span", { class: "keys" }, KEYS));
    this.#pad = element("canvas", {
      class: this.#isGrey ? "pad" : "pad colour", width: 640, height: Math.round((640 * height) / width), tabindex: 0,
      role: "application", "aria-label": `Draw ${name}`, "aria-describedby": hint.id,
    });
    const said = `What the model sees: ${width} by ${height} pixels`;
    this.#seen = element("canvas", { class: "seen", width, height, role: "img", "aria-label": said });
    const file = element("input", { type: "file", accept: "image/*", class: "unseen", id: freshId("file") });
    file.addEventListener("change", () => this.#upload(file));
    return element("fieldset", { class: "picture" },
      element("legend", {}, name, " ", element("code", {}, describeSpec(this.#spec))),
      element("div", { class: "drawing" }, this.#pad,
        element("div", { class: "beside" },
          element("figure", {}, this.#seen, element("figcaption", {}, "What the model sees")),
          element("button", { type: "button", onclick: () => this.#pen.undo() }, "Undo"),
          element("button", { type: "button", onclick: () => this.#pen.clear() }, "Clear"),
          file, element("label", { for: file.id, class: "button" }, "Upload a picture"))),
      hint, this.#problem);
  }

  #take(picture, tensor = null) {
    this.#picture = picture;
    this.#given = tensor;
    this.#paint();
  }

  /** After a change of the pen's: where nothing was drawn yet, what was there stays until it is cleared. */
  #redraw() {
    if (this.#pen.strokes.length) this.#take(pictureOfStrokes(this.#pen.strokes, this.#image, this.#frame));
    else this.#paint();
  }

  #finish() {
    if (!this.#pen.strokes.length) this.#take(null);
    this.#on.changed();
    if (this.#picture) this.#on.drawn();
    else say("The pad is empty");
  }

  async #upload(file) {
    if (!file.files.length) return;
    this.#problem.hidden = true;
    try {
      const picture = await pictureOfFile(file.files[0], this.#image);
      this.#pen.reset();
      this.#take(picture);
      this.#on.changed();
      this.#on.drawn();
    } catch {
      this.#problem.textContent = "That file is no picture that this browser can read; PNG and JPEG always are.";
      this.#problem.hidden = false;
    }
    file.value = "";
  }

  #paint() {
    const [pad, seen] = [this.#pad, this.#seen];
    const style = getComputedStyle(pad);
    seen.getContext("2d").putImageData(new ImageData(this.#shown(style.color.match(/[\d.]+/g).map(Number)), seen.width, seen.height), 0, 0);
    const pen = pad.getContext("2d");
    pen.resetTransform();
    pen.clearRect(0, 0, pad.width, pad.height);
    pen.imageSmoothingEnabled = false;
    if (!this.#pen.strokes.length) pen.drawImage(seen, 0, 0, pad.width, pad.height);
    pen.scale(pad.width, pad.height);
    trace(pen, this.#pen.strokes, LINE, style.color);
    if (pad.matches(":focus-visible")) {
      pen.fillStyle = style.accentColor;
      pen.beginPath();
      pen.ellipse(...this.#pen.cursor, 0.018, (0.018 * pad.width) / pad.height, 0, 0, 7);
      pen.fill();
    }
  }

  /** Grey pictures in the page's own ink, so that they are dark on light and light on dark; others in their colours. */
  #shown([red, green, blue]) {
    const pixels = new Uint8ClampedArray(this.#seen.width * this.#seen.height * 4);
    for (let at = 0; this.#picture && at < pixels.length / 4; at++) {
      const share = Math.abs(this.#picture[at] - this.#frame.paper);
      pixels.set(this.#isGrey ? [red, green, blue, share] : [...this.#picture.subarray(at * 3, at * 3 + 3), 255], at * 4);
    }
    return pixels;
  }
}
