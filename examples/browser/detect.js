// Detections of a picture by an ONNX file of `retinanet export`, in the browser.
import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";

ort.env.wasm.wasmPaths = new URL("./node_modules/onnxruntime-web/dist/", import.meta.url).href;

const MODEL = new URLSearchParams(location.search).get("model") ?? "model.onnx";
const COLOURS = ["#d62728", "#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf"];

const element = (id) => document.getElementById(id);
const say = (text) => { element("status").textContent = text; };

/** Pixels of a picture from 0 to 1, one plane a colour: a tensor (1,3,H,W). */
function tensorOf({ data, width, height }) {
  const plane = width * height;
  const values = new Float32Array(3 * plane);
  for (let i = 0; i < plane; i++) {
    for (let colour = 0; colour < 3; colour++) values[colour * plane + i] = data[4 * i + colour] / 255;
  }
  return new ort.Tensor("float32", values, [1, 3, height, width]);
}

/** The pixels of a file, upright. */
async function pixelsOf(file) {
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, bitmap.width, bitmap.height); // what is transparent lies on white
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

/** Detections of pixels, best first: `box` (left, top, right, bottom in pixels), `score`, `label`. */
export async function detect(session, pixels) {
  const { boxes, scores, labels, count } = await session.run({ images: tensorOf(pixels) });
  return Array.from({ length: Number(count.data[0]) }, (_, i) => ({
    box: Array.from(boxes.data.slice(4 * i, 4 * i + 4)),
    score: scores.data[i],
    label: Number(labels.data[i]),
  }));
}

function draw(pixels, found, names) {
  const canvas = element("drawn");
  [canvas.width, canvas.height] = [pixels.width, pixels.height];
  const context = canvas.getContext("2d");
  context.putImageData(pixels, 0, 0);
  context.lineWidth = Math.max(1, pixels.width / 300);
  context.font = `${Math.max(10, pixels.width / 40)}px sans-serif`;
  for (const { box: [left, top, right, bottom], score, label } of found) {
    context.strokeStyle = context.fillStyle = COLOURS[label % COLOURS.length];
    context.strokeRect(left, top, right - left, bottom - top);
    context.fillText(`${names[label] ?? label} ${score.toFixed(2)}`, left, top - context.lineWidth);
  }
}

async function main() {
  const [session, certificate] = await Promise.all([
    ort.InferenceSession.create(MODEL),
    fetch(`${MODEL}.certificate.json`).then((answer) => (answer.ok ? answer.json() : {})),
  ]);
  const names = certificate.class_names ?? [];
  let shown = null;
  const show = () => {
    const least = Number(element("score").value);
    element("least").textContent = least.toFixed(2);
    if (shown === null) return;
    const found = shown.found.filter(({ score }) => score >= least);
    draw(shown.pixels, found, names);
    say(`${found.length} detections in ${shown.seconds.toFixed(1)} s`);
  };
  element("score").addEventListener("input", show);
  element("picture").addEventListener("change", async ({ target }) => {
    if (target.files.length === 0) return;
    say("Detecting …");
    const pixels = await pixelsOf(target.files[0]);
    const started = performance.now();
    const found = await detect(session, pixels);
    shown = { pixels, found, seconds: (performance.now() - started) / 1000 };
    window.detections = found;
    show();
  });
  say("Ready.");
}

main().catch((error) => say(`The model cannot be used: ${error.message}`));
