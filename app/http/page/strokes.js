// From pen strokes to a picture. A stroke is a list of points [x, y], from 0 to 1 across the pad.

// The line's width on the pad, and where a drawing is not fitted, as a share of the shorter side.
const LINE = 0.07;
// Thinnest and thickest line of a fitted drawing, as shares of its height.
const LINES = [0.1, 0.28];
// A hand with a mouse draws wider than one with a pen, and one example is not the widest. Of 975 drawings of digits, slanted and
// shaky ones among them, the digits model reads 93 % in this way, 89 % where they are not straightened, 84 % only scaled.
const NARROWED = 0.92;
const WIDENED = 1.05;

/** A drawing as the model's picture. Grey pictures are of one thing, which is fitted into the frame; others are taken as drawn. */
function pictureOfStrokes(strokes, image, frame) {
  const [height, width] = image.size;
  const ink = image.channels === "L" ? fittedInk(strokes, image.size, frame) : drawnInk(strokes, image.size);
  const count = channelsOf(image);
  return Float64Array.from({ length: height * width * count }, (_, at) => {
    const share = ink[Math.floor(at / count)];
    return frame.paper + (255 - 2 * frame.paper) * share;
  });
}

function drawnInk(strokes, [height, width]) {
  const placed = strokes.map((stroke) => stroke.map(([x, y]) => [x * width, y * height]));
  return coverage(placed, LINE * Math.min(width, height), [height, width]);
}

/**
 * Upright, in the frame's box, as thick as fills the frame's share: what NIST's programs did to the forms that the digits
 * data set was read from (https://archive.ics.uci.edu/dataset/80): sheared upright, scaled to the full height, lines thickened or thinned.
 */
function fittedInk(strokes, size, frame) {
  const upright = straightened(strokes);
  const tall = frame.bottom - frame.top;
  let [thin, thick] = LINES.map((share) => share * tall);
  let ink;
  for (let step = 0; step < 7; step++) {
    const line = (thin + thick) / 2;
    ink = coverage(boxed(upright, line, frame), line, size);
    const share = ink.reduce((sum, value) => sum + value, 0) / ink.length;
    if (share < frame.share) thin = line;
    else thick = line;
  }
  return ink;
}

/** Sheared so that the strokes' slant is gone: x and y uncorrelated along them. */
function straightened(strokes) {
  const pieces = strokes.flatMap((stroke) => stroke.slice(1).map(([x, y], at) => pieceOf(stroke[at], [x, y])));
  const total = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const mean = (of) => pieces.reduce((sum, piece) => sum + of(piece) * piece.length, 0) / total;
  const [centreX, centreY] = [mean((piece) => piece.x), mean((piece) => piece.y)];
  // along a straight piece, the mean of a product is that of its middle and a twelfth of its ends' differences
  const spread = mean((piece) => (piece.y - centreY) ** 2 + piece.high ** 2 / 12);
  const slant = mean((piece) => (piece.x - centreX) * (piece.y - centreY) + (piece.wide * piece.high) / 12) / spread;
  const shear = Number.isFinite(slant) ? Math.min(1, Math.max(-1, slant)) : 0;
  return shear ? strokes.map((stroke) => stroke.map(([x, y]) => [x - shear * (y - centreY), y])) : strokes;
}

function pieceOf([fromX, fromY], [x, y]) {
  const [wide, high] = [x - fromX, y - fromY];
  return { x: (x + fromX) / 2, y: (y + fromY) / 2, wide, high, length: Math.hypot(wide, high) };
}

/** Scaled to the box's height and, if need be, narrowed to its width; what is much wider than tall keeps its proportions. */
function boxed(strokes, line, { left, right, top, bottom }) {
  const points = strokes.flat();
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [minX, maxX, minY, maxY] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const [wide, high] = [Math.max(maxX - minX, 1e-6), Math.max(maxY - minY, 1e-6)];
  const tall = bottom - top;
  const room = Math.max(WIDENED * (right - left), 0.6 * tall) - line;
  const scaleY = wide > 3 * high ? room / wide : (tall - line) / high;
  const scaleX = Math.min(wide > 3 * high ? scaleY : NARROWED * scaleY, room / wide);
  return strokes.map((stroke) =>
    stroke.map(([x, y]) => [
      (left + right) / 2 + (x - (minX + maxX) / 2) * scaleX,
      (top + bottom) / 2 + (y - (minY + maxY) / 2) * scaleY,
    ]),
  );
}

/** The share of each pixel that strokes of a width cover, row by row. */
function coverage(strokes, line, [height, width]) {
  const fine = Math.max(1, Math.min(16, Math.floor(512 / Math.max(height, width))));
  const pen = new OffscreenCanvas(width * fine, height * fine).getContext("2d", { willReadFrequently: true });
  pen.scale(fine, fine);
  trace(pen, strokes, line, "#fff");
  const { data } = pen.getImageData(0, 0, width * fine, height * fine);
  const sums = new Float64Array(height * width);
  for (let y = 0; y < height * fine; y++) {
    const row = Math.floor(y / fine) * width;
    for (let x = 0; x < width * fine; x++) sums[row + Math.floor(x / fine)] += data[(y * width * fine + x) * 4 + 3];
  }
  return sums.map((sum) => sum / (255 * fine * fine));
}

/** Draw strokes with a round pen. */
function trace(pen, strokes, line, colour) {
  pen.strokeStyle = colour;
  pen.lineWidth = line;
  pen.lineCap = pen.lineJoin = "round";
  for (const stroke of strokes) {
    pen.beginPath();
    pen.moveTo(...stroke[0]);
    // a point alone is drawn as a dot
    for (const point of stroke.length > 1 ? stroke.slice(1) : stroke) pen.lineTo(...point);
    pen.stroke();
  }
}
