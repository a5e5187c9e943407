// Load a model compiled by mlc, run it, and say how long that takes.
//
//   mlc compile squeezenet1_1.onnx --target=wasm32 -o model.wasm
//   node run.mjs model.mjs
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const { load } = await import(pathToFileURL(resolve(process.argv[2] ?? "model.mjs")));
const model = await load();
const described = ({ name, dtype, shape }) => `${name}: ${dtype} ${shape.join("x") || "scalar"}`;

// Inputs are typed arrays, dense and row-major: here of ones.
const feeds = {};
for (const tensor of model.inputs) {
  console.log(described(tensor));
  const { constructor: Type, length } = tensor.data;
  feeds[tensor.name] = Type.from({ length }, () => (Type.name.startsWith("Big") ? 1n : 1));
}

const results = model.run(feeds);
for (const tensor of model.outputs) console.log(described(tensor), results[tensor.name].slice(0, 8).join(" "));

// The engine compiles twice: at once, and again well while the code runs. So warm up before measuring.
let best = Infinity;
for (let i = 0; i < 50; i++) {
  const start = performance.now();
  model.execute();
  best = Math.min(best, performance.now() - start);
}
const speed = model.metadata.extra.flops / best / 1e6;
console.log(`${best.toFixed(3)} ms per run${speed ? `, ${speed.toFixed(1)} GFLOP/s` : ""}`);
