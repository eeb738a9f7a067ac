// From a drawing or a file to the numbers that a model takes. A picture is what a PNG would hold: values 0 to 255,
// row by row, one or three of them for each pixel. `image` is the model's own [image] section.

const channelsOf = (image) => (image.channels === "L" ? 1 : 3);
const CHANNEL_ORDER = { L: [0], RGB: [0, 1, 2], BGR: [2, 1, 0] };

/** Which value of a picture each value of the tensor is, and which channel of it, in the tensor's order. */
function* places(image) {
  const [height, width] = image.size;
  const count = channelsOf(image);
  const order = CHANNEL_ORDER[image.channels];
  const planes = image.layout === "CHW" ? count : 1;
  const inner = image.layout === "CHW" ? 1 : count;
  for (let plane = 0; plane < planes; plane++)
    for (let pixel = 0; pixel < height * width; pixel++)
      for (let part = 0; part < inner; part++) {
        const channel = plane + part;
        yield [pixel * count + order[channel], channel];
      }
}

/** (pixel · scale - mean) / std, after 255 - pixel where the model wants it inverted; four digits are more than a pixel has. */
function tensorOf(picture, image, spec) {
  const isWhole = /INT/.test(spec.datatype);
  const values = [];
  for (const [at, channel] of places(image)) {
    const pixel = image.invert ? 255 - picture[at] : picture[at];
    const value = (pixel * image.scale - image.mean[channel % image.mean.length]) / image.std[channel % image.std.length];
    values.push(isWhole ? Math.round(value) : Number(value.toPrecision(4)));
  }
  return values;
}

/** The way back, to show a tensor. */
function pictureOf(values, image) {
  const picture = new Float64Array(image.size[0] * image.size[1] * channelsOf(image));
  let next = 0;
  for (const [at, channel] of places(image)) {
    const value = Number(values[next++]);
    const pixel = (value * image.std[channel % image.std.length] + image.mean[channel % image.mean.length]) / image.scale;
    picture[at] = Math.min(255, Math.max(0, image.invert ? 255 - pixel : pixel));
  }
  return picture;
}

/** Flat values as arrays of arrays in the picture's own axes, with an axis of 1 for each that the model's input has before them. */
function nested(values, image, shape) {
  const own = { HW: [...image.size], HWC: [...image.size, channelsOf(image)], CHW: [channelsOf(image), ...image.size] }[image.layout];
  const axes = [...Array(Math.max(0, (shape?.length ?? own.length + 1) - own.length)).fill(1), ...own];
  return axes.reduceRight((rows, size) => {
    const packed = [];
    for (let at = 0; at < rows.length; at += size) packed.push(rows.slice(at, at + size));
    return packed;
  }, values)[0];
}

/**
 * How ink lies on paper in this model's pictures: the paper's value, the box that the ink fills (in pixels, with
 * fractions at its edges), and the share of the frame that is ink. Taken from an example, so that a drawing becomes
 * what the model was trained on; without one, a frame's whole height.
 */
function frameOf(image, example) {
  const [height, width] = image.size;
  const border = (index) => index < width || index >= (height - 1) * width || index % width === 0 || index % width === width - 1;
  const edge = example ? [...example].filter((_, index) => border(index)) : [];
  const isLight = example ? edge.reduce((sum, value) => sum + value, 0) / edge.length > 127 : image.invert || image.channels !== "L";
  const paper = isLight ? 255 : 0;
  const ink = example ? [...example].map((value) => Math.abs(value - paper) / 255) : [];
  const share = ink.reduce((sum, value) => sum + value, 0) / (height * width);
  if (!share) return { paper, left: 0, right: width, top: height / 16, bottom: height - height / 16, share: 0.2 };
  const columns = Array.from({ length: width }, (_, x) => Math.max(...ink.filter((_, index) => index % width === x)));
  const rows = Array.from({ length: height }, (_, y) => Math.max(...ink.slice(y * width, (y + 1) * width)));
  const [left, right] = extent(columns);
  const [top, bottom] = extent(rows);
  return { paper, left, right, top, bottom, share };
}

/** From where to where a profile is inked; a cell that is half ink counts half. */
function extent(profile) {
  const first = profile.findIndex((value) => value > 0.05);
  const last = profile.findLastIndex((value) => value > 0.05);
  return first < 0 ? [0, profile.length] : [first + 1 - profile[first], last + profile[last]];
}
