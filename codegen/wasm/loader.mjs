const ARRAYS = {
  float64: Float64Array, float32: Float32Array, float16: Uint16Array, bfloat16: Uint16Array,
  int64: BigInt64Array, int32: Int32Array, int16: Int16Array, int8: Int8Array,
  uint64: BigUint64Array, uint32: Uint32Array, uint16: Uint16Array, uint8: Uint8Array, bool: Uint8Array,
};
const PAGE = 65536;
const ALIGNMENT = 64;
const POINTER = 4;

/**
 * Load the model.
 *
 * `module` and `weights` are URLs (or their text, relative to this file), responses of fetch, or bytes; by default the
 * files beside this one. Throws an Error when a file can't be had or is not this model's, and when the engine lacks
 * SIMD.
 */
export async function load({ module = MODULE, weights = WEIGHTS } = {}) {
  const [code, image] = await Promise.all([bytesOf(module), weights === null ? null : bytesOf(weights)]);
  let instance;
  try {
    ({ instance } = await WebAssembly.instantiate(code));
  } catch (error) {
    if (!(error instanceof WebAssembly.CompileError)) throw error;
    throw new Error(`this engine can't compile ${NAME}: it needs WebAssembly with ${FEATURES}`, { cause: error });
  }
  return new Model(instance.exports, image);
}

/** The bytes of a file. */
async function bytesOf(source) {
  const given = await source;
  if (given instanceof ArrayBuffer) return new Uint8Array(given);
  if (ArrayBuffer.isView(given)) return new Uint8Array(given.buffer, given.byteOffset, given.byteLength);
  if (typeof Response !== "undefined" && given instanceof Response) return bodyOf(given);
  const url = new URL(given, import.meta.url);
  if (url.protocol !== "file:") return bodyOf(await fetch(url));
  const { readFile } = await import("node:fs/promises");
  return readFile(url);
}

async function bodyOf(response) {
  if (!response.ok) throw new Error(`can't load ${response.url}: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** The compiled model. It owns its memory; calls run on the calling thread. */
export class Model {
  #exports;
  #addresses;

  /** Prepare a model; `load` calls this. */
  constructor(exports, image) {
    const own = (name) => exports[`${NAME}_${name}`];
    if (!own("abi_version") || own("abi_version")() !== ABI_VERSION) {
      throw new Error(`the module is no ${NAME} of interface version ${ABI_VERSION}`);
    }
    this.#exports = { init: own("init"), run: own("run") };
    const memory = new Uint8Array(exports.memory.buffer);
    const start = own("metadata").value >>> 0;
    const text = memory.subarray(start, memory.indexOf(0, start));
    /** What the model says of itself: names, types, shapes, target, kernels. */
    this.metadata = JSON.parse(new TextDecoder().decode(text));
    const { inputs, outputs, arena_bytes: arena } = this.metadata;
    const tensors = [...inputs, ...outputs];
    const sizes = {
      context: CONTEXT_BYTES,
      inputs: POINTER * inputs.length,
      outputs: POINTER * outputs.length,
      arena,
      weights: image ? image.byteLength : 0,
      ...tensors.map((tensor) => tensor.bytes),
    };
    const at = (this.#addresses = allocate(exports, sizes));
    const { buffer } = exports.memory;
    const described = tensors.map((tensor, i) => describe(tensor, buffer, at[i]));
    /** The inputs: `{name, dtype, shape, size, data}`; `data` is the tensor itself, in the model's memory. */
    this.inputs = described.slice(0, inputs.length);
    /** The outputs, likewise. */
    this.outputs = described.slice(inputs.length);
    const pointers = tensors.map((_, i) => at[i]);
    new Uint32Array(buffer, at.inputs, inputs.length).set(pointers.slice(0, inputs.length));
    new Uint32Array(buffer, at.outputs, outputs.length).set(pointers.slice(inputs.length));
    if (image) new Uint8Array(buffer, at.weights, image.byteLength).set(image);
    check(this.#exports.init(at.context, image ? at.weights : 0, sizes.weights, 1));
  }

  /**
   * Run on `{name: TypedArray}`, one dense row-major array per input; returns new arrays by output name.
   *
   * Throws a TypeError for missing or unknown names and arrays of another type, a RangeError for other sizes.
   */
  run(feeds) {
    const names = this.inputs.map((tensor) => tensor.name);
    for (const name of Object.keys(feeds)) {
      if (!names.includes(name)) throw new TypeError(`no input "${name}"; the model takes ${names.join(", ")}`);
    }
    for (const tensor of this.inputs) tensor.data.set(fitting(tensor, feeds[tensor.name]));
    this.execute();
    return Object.fromEntries(this.outputs.map((tensor) => [tensor.name, tensor.data.slice()]));
  }

  /** Run on what the inputs' `data` hold, into the outputs' `data`: nothing is copied. */
  execute() {
    const at = this.#addresses;
    check(this.#exports.run(at.context, at.inputs, at.outputs, 0, at.arena));
  }
}

/** Grow the memory for blocks of these sizes; returns their aligned addresses. */
function allocate(exports, sizes) {
  let end = exports.__heap_base.value >>> 0;
  const addresses = {};
  for (const [name, bytes] of Object.entries(sizes)) {
    addresses[name] = end;
    end += Math.ceil(Math.max(bytes, 1) / ALIGNMENT) * ALIGNMENT;
  }
  const pages = Math.ceil(end / PAGE) - exports.memory.buffer.byteLength / PAGE;
  try {
    if (pages > 0) exports.memory.grow(pages);
  } catch (error) {
    throw new Error(`${NAME} needs ${end} bytes of memory, which the engine does not give`, { cause: error });
  }
  return addresses;
}

function describe({ name, dtype, shape, bytes }, buffer, address) {
  const type = ARRAYS[dtype] ?? Uint8Array;
  const data = new type(buffer, address, bytes / type.BYTES_PER_ELEMENT);
  return { name, dtype, shape, size: data.length, data };
}

/** The array given for an input, checked. */
function fitting({ name, dtype, shape, size, data }, given) {
  const wanted = `${data.constructor.name} of ${size} elements (${dtype} ${shape.join("x") || "scalar"})`;
  if (given === undefined) throw new TypeError(`input "${name}" is missing: a ${wanted}`);
  if (given?.constructor !== data.constructor) {
    throw new TypeError(`input "${name}" must be a ${wanted}, not ${given?.constructor?.name ?? String(given)}`);
  }
  if (given.length !== size) throw new RangeError(`input "${name}" must be a ${wanted}; ${given.length} were given`);
  return given;
}

function check(status) {
  if (status !== 0) throw new Error(`${NAME}: ${STATUS[status] ?? `status ${status}`}`);
}
