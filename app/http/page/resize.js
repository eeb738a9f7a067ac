// A file's picture at the model's size, as the server makes it of a PNG: on white paper, in the model's channels, then
// resized by the model's filter, which takes in every pixel that it shrinks (Pillow's `Image.resize`).

const MOST_SIDE = 4096;

// Each filter's reach, and its weight at a distance.
const FILTERS = {
  nearest: [0, () => 1],
  box: [0.5, (at) => (at > -0.5 && at <= 0.5 ? 1 : 0)],
  bilinear: [1, (at) => Math.max(0, 1 - Math.abs(at))],
  bicubic: [2, (at) => cubic(Math.abs(at))],
  lanczos: [3, (at) => (Math.abs(at) < 3 ? sinc(at) * sinc(at / 3) : 0)],
};
const sinc = (at) => (at === 0 ? 1 : Math.sin(Math.PI * at) / (Math.PI * at));
const cubic = (at) => (at < 1 ? 1.5 * at ** 3 - 2.5 * at ** 2 + 1 : at < 2 ? -0.5 * at ** 3 + 2.5 * at ** 2 - 4 * at + 2 : 0);

/** Read a file. Rejects what is no picture. */
async function pictureOfFile(file, image) {
  const bitmap = await createImageBitmap(file);
  const shrink = Math.min(1, MOST_SIDE / Math.max(bitmap.width, bitmap.height));
  const [wide, high] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * shrink)));
  const paper = new OffscreenCanvas(wide, high).getContext("2d", { willReadFrequently: true });
  paper.fillStyle = "white";
  paper.fillRect(0, 0, wide, high);
  paper.drawImage(bitmap, 0, 0, wide, high);
  bitmap.close();
  const planes = planesOf(paper.getImageData(0, 0, wide, high).data, image.channels === "L");
  const [height, width] = image.size;
  const resized = planes.map((plane) => {
    const narrowed = resizedRows(plane, wide, width, image.resize);
    return transposed(resizedRows(transposed(narrowed, width, high), high, height, image.resize), height, width);
  });
  const count = planes.length;
  return Float64Array.from({ length: height * width * count }, (_, at) => resized[at % count][Math.floor(at / count)]);
}

/** Red, green and blue, or grey as ITU-R BT.601 weighs them. */
function planesOf(data, isGrey) {
  const plane = (of) => Float64Array.from({ length: data.length / 4 }, (_, at) => of(4 * at));
  if (isGrey) return [plane((at) => Math.round(0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2]))];
  return [0, 1, 2].map((channel) => plane((at) => data[at + channel]));
}

function transposed(plane, wide, high) {
  return Float64Array.from({ length: plane.length }, (_, at) => plane[(at % high) * wide + Math.floor(at / high)]);
}

/** Every row of a plane, from one length to another; values stay whole from 0 to 255, as in 8-bit pictures. */
function resizedRows(plane, from, to, name) {
  const taps = tapsOf(from, to, name);
  const rows = plane.length / from;
  const found = new Float64Array(rows * to);
  for (let row = 0; row < rows; row++)
    taps.forEach(([start, weights], at) => {
      let sum = 0;
      for (let next = 0; next < weights.length; next++) sum += plane[row * from + start + next] * weights[next];
      found[row * to + at] = Math.min(255, Math.max(0, Math.round(sum)));
    });
  return found;
}

/** For each target: its first source, and the weights from there on, which come to 1. */
function tapsOf(from, to, name) {
  const [reach, weigh] = FILTERS[name];
  const ratio = from / to;
  const wider = Math.max(1, ratio);
  return Array.from({ length: to }, (_, at) => {
    const centre = (at + 0.5) * ratio;
    if (!reach) return [Math.floor(centre), [1]];
    const start = Math.max(0, Math.floor(centre - reach * wider + 0.5));
    const end = Math.min(from, Math.floor(centre + reach * wider + 0.5));
    const weights = Array.from({ length: end - start }, (_, next) => weigh((start + next - centre + 0.5) / wider));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return [start, weights.map((weight) => weight / total)];
  });
}
