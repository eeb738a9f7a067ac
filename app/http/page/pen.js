// Drawing on a canvas with the mouse, a pen, a finger or the keyboard.

const STEPS = 16; // of the keyboard's pen, across the canvas
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Makes `strokes`, lists of points from 0 to 1. `changed()` is called as they grow, `lifted()` when the hand may rest. */
class Pen {
  strokes = [];
  cursor = [0.5, 0.5]; // the keyboard's
  #isDown = false;
  #on;

  constructor(canvas, on) {
    this.#on = on;
    const listeners = {
      pointerdown: (event) => this.#begin(event),
      pointermove: (event) => this.#move(event),
      pointerup: () => this.#lift(),
      pointercancel: () => this.#lift(),
      keydown: (event) => this.#press(event),
      focus: () => on.changed(),
      blur: () => { this.#lift(); on.changed(); },
    };
    for (const [name, listener] of Object.entries(listeners)) canvas.addEventListener(name, listener);
  }

  /** Forget what was drawn. */
  reset() {
    this.strokes = [];
    this.#isDown = false;
  }

  /** Take back the last stroke. */
  undo() {
    this.#isDown = false;
    this.strokes.pop();
    this.#on.changed();
    this.#on.lifted();
  }

  clear() {
    this.reset();
    this.#on.changed();
    this.#on.lifted();
  }

  #begin(event) {
    if (event.button !== 0 || !event.isPrimary) return;
    event.target.setPointerCapture(event.pointerId);
    this.#put(placeOf(event, event.target));
  }

  #move(event) {
    if (!this.#isDown || !event.isPrimary || !event.buttons) return;
    const between = event.getCoalescedEvents?.() ?? [];
    this.strokes.at(-1).push(...(between.length ? between : [event]).map((part) => placeOf(part, event.target)));
    this.#on.changed();
  }

  #put(point) {
    this.#isDown = true;
    this.strokes.push([point]);
    this.#on.changed();
  }

  #lift() {
    if (!this.#isDown) return;
    this.#isDown = false;
    this.#on.lifted();
  }

  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = MOVES[event.key];
    const act = { " ": () => this.#toggle(), Backspace: () => this.undo(), Delete: () => this.clear() }[event.key];
    if (!step && !act) return;
    event.preventDefault();
    if (step) this.#step(step);
    else act();
  }

  #step(step) {
    this.cursor = this.cursor.map((at, axis) => Math.min(1, Math.max(0, at + step[axis] / STEPS)));
    if (this.#isDown) this.strokes.at(-1).push(this.cursor);
    const [across, down] = this.cursor.map((at) => at * STEPS);
    say(`${across} across, ${down} down`);
    this.#on.changed();
  }

  #toggle() {
    say(this.#isDown ? "Pen up" : "Pen down");
    if (this.#isDown) this.#lift();
    else this.#put(this.cursor);
  }
}

function placeOf(event, canvas) {
  const { left, top, width, height } = canvas.getBoundingClientRect();
  return [(event.clientX - left) / width, (event.clientY - top) / height];
}
