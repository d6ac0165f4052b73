// The On-device tab's network: a picture in, what the network says of it out. A worker, so that the page stays smooth.
// Its first message is the setup, each further one a picture with a number, by which the answer is known.

let ort;
let session;
let definition; // of the bundle: preprocess, temperature

// Keys' cubic convolution with a = -0.5: Pillow's BICUBIC.
function bicubic(x) {
    const distance = Math.abs(x);
    if (distance < 1) return (1.5 * distance - 2.5) * distance * distance + 1;
    if (distance < 2) return ((-0.5 * distance + 2.5) * distance - 4) * distance + 2;
    return 0;
}

// For each output pixel the first input pixel that it is made of, and the weights of that and the next ones. The filter
// is as wide as a step, so that nothing between two steps is lost; as in Pillow's Resample.c.
function planResize(inputPx, from, extentPx, outputPx) {
    const step = extentPx / outputPx;
    const width = Math.max(step, 1);
    return Array.from({ length: outputPx }, (_, index) => {
        const center = from + (index + 0.5) * step;
        const first = Math.max(0, Math.trunc(center - 2 * width + 0.5));
        const after = Math.min(inputPx, Math.trunc(center + 2 * width + 0.5));
        const weights = Float32Array.from({ length: after - first }, (_, tap) =>
            bicubic((first + tap - center + 0.5) / width));
        const sum = weights.reduce((total, weight) => total + weight, 0);
        return { first, weights: weights.map((weight) => weight / sum) };
    });
}

// ImageData to the network's input [1, 3, size, size]: `Preprocess.__call__` of the package, pass by pass.
function preprocess({ data, width, height }) {
    const { size_px: size, crop_share: share, mean, std } = definition.preprocess;
    const side = share * Math.min(width, height);
    const columns = planResize(width, (width - side) / 2, side, size);
    const rows = planResize(height, (height - side) / 2, side, size);
    const top = rows[0].first;
    const bottom = rows[size - 1].first + rows[size - 1].weights.length;
    const narrow = new Uint8ClampedArray(3 * size * (bottom - top)); // whose rounding is Pillow's
    for (let y = top, to = 0; y < bottom; y += 1) {
        for (let x = 0; x < size; x += 1, to += 3) {
            const { first, weights } = columns[x];
            let red = 0, green = 0, blue = 0;
            for (let tap = 0, at = 4 * (y * width + first); tap < weights.length; tap += 1, at += 4) {
                red += weights[tap] * data[at];
                green += weights[tap] * data[at + 1];
                blue += weights[tap] * data[at + 2];
            }
            narrow[to] = red;
            narrow[to + 1] = green;
            narrow[to + 2] = blue;
        }
    }
    const row = new Float32Array(3 * size);
    const pixels = new Uint8ClampedArray(3 * size);
    const input = new Float32Array(3 * size * size);
    for (let y = 0; y < size; y += 1) {
        const { first, weights } = rows[y];
        row.fill(0);
        for (let tap = 0, from = 3 * size * (first - top); tap < weights.length; tap += 1, from += row.length) {
            for (let index = 0; index < row.length; index += 1) row[index] += weights[tap] * narrow[from + index];
        }
        pixels.set(row);
        for (let x = 0; x < size; x += 1) {
            for (let channel = 0; channel < 3; channel += 1) {
                input[(channel * size + y) * size + x] = (pixels[3 * x + channel] / 255 - mean[channel]) / std[channel];
            }
        }
    }
    return input;
}

function softmax(logits) {
    const scaled = Array.from(logits, (logit) => logit / definition.temperature);
    const most = Math.max(...scaled);
    const exponentials = scaled.map((value) => Math.exp(value - most));
    const sum = exponentials.reduce((total, value) => total + value, 0);
    return exponentials.map((value) => value / sum);
}

async function decode(photo) {
    try {
        return await createImageBitmap(photo, { colorSpaceConversion: "none" });
    } catch {
        throw new Error("device.unreadable"); // a key of the page's words
    }
}

// The pixels of a photo or a frame: upright, on white where it is transparent, in the colours it was stored with.
async function readPixels(source) {
    const bitmap = source instanceof Blob ? await decode(source) : source;
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    context.fillStyle = "white";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(bitmap, 0, 0);
    bitmap.close();
    return context.getImageData(0, 0, canvas.width, canvas.height);
}

// WebGPU where the browser has it, else the processor: on one thread, unless the page is isolated from other origins'.
async function setUp(setup) {
    definition = setup;
    const adapter = await navigator.gpu?.requestAdapter();
    const provider = adapter ? "webgpu" : "wasm";
    ort = await import(`./ort.${provider}.min.mjs`);
    ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
    session = await ort.InferenceSession.create(new URL("student.onnx", self.location).href, {
        executionProviders: [provider],
    });
    const { size_px: size } = definition.preprocess;
    await infer(new Float32Array(3 * size * size)); // the first run takes several times what the others do
    return { provider, threads: ort.env.wasm.numThreads };
}

async function infer(input) {
    const { size_px: size } = definition.preprocess;
    const images = new ort.Tensor("float32", input, [1, 3, size, size]);
    const logits = session.outputNames[0]; // behind which there may be maps
    const outputs = await session.run({ [session.inputNames[0]]: images }, [logits]);
    return outputs[logits].data;
}

async function look(source) {
    const began = performance.now();
    const input = preprocess(await readPixels(source));
    const prepared = performance.now();
    const logits = await infer(input);
    const infer_ms = performance.now() - prepared;
    return { confidences: softmax(logits), preprocess_ms: prepared - began, infer_ms };
}

self.onmessage = async ({ data: { number, setup, source } }) => {
    try {
        self.postMessage({ number, answer: await (setup ? setUp(setup) : look(source)) });
    } catch (error) {
        self.postMessage({ number, error: error.message });
    }
};
