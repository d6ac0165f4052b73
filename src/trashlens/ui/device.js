// The On-device tab: the student runs in this browser, in a worker; no picture leaves the device.
// Runs behind `camera.js`, once `element`, the tab's content, is in the page.

const LEAST_SHARE = 0.005; // a smaller share would be rounded to 0 %

const chooser = element.querySelector("input[type=file]");
const setup = JSON.parse(element.querySelector(".tl-setup").value);
const folder = new URL(`${window.gradio_config?.root ?? ""}/${setup?.folder}/`, document.baseURI).href;

let asked = 0;
let where = ""; // the network runs, in words
const waiting = new Map(); // by number, who waits for the worker's answer

// Resolves with the worker's answer; what is in `transfer` is the worker's from then on.
function ask(message, transfer = []) {
    const number = (asked += 1);
    worker.postMessage({ number, ...message }, transfer);
    return new Promise((resolve, reject) => waiting.set(number, { resolve, reject }));
}

function receive({ data: { number, answer: content, error } }) {
    const { resolve, reject } = waiting.get(number);
    waiting.delete(number);
    if (error) reject(new Error(WORDS[error] ?? error));
    else resolve(content);
}

const formatMs = (ms) => `${writeNumber(ms, ms < 1 ? 2 : ms < 100 ? 1 : 0)} ms`;

function formatShare(share) {
    const percent = WORDS["mark.percent"];
    if (share > 0 && share < LEAST_SHARE) return `<1${percent}`;
    if (share < 1 && share >= 1 - LEAST_SHARE) return `>99${percent}`;
    return `${Math.round(100 * share)}${percent}`;
}

// Writes the answer into the blank card that the server drew.
function show({ confidences, infer_ms }) {
    const best = confidences.indexOf(Math.max(...confidences));
    const label = setup.labels[best];
    const sure = confidences[best] >= setup.threshold;
    const share = formatShare(confidences[best]);
    const className = WORDS.classes[label];
    results.innerHTML = blank;
    const verdict = results.querySelector(".tl-verdict");
    verdict.className = "tl-verdict";
    verdict.textContent = sure ? "" : WORDS.doubts;
    if (sure) {
        const name = Object.assign(document.createElement("strong"), { textContent: className });
        name.dataset.class = label;
        const [before, after] = WORDS.says.split("{label}");
        verdict.append(before, name, after);
    }
    const card = results.querySelector(".tl-card");
    card.classList.remove("tl-blank");
    if (sure) card.dataset.class = label;
    else card.dataset.unsure = "";
    const winner = card.querySelector(".tl-winner strong");
    winner.textContent = sure ? className : WORDS["card.unsure"];
    if (!sure) winner.title = WORDS.why;
    const rest = document.createElement(sure ? "span" : "small");
    rest.textContent = sure ? share : fill(WORDS["card.guess"], { label: className, share });
    card.querySelector(".tl-winner").append(rest);
    card.querySelectorAll(".tl-bars li").forEach((row, index) => {
        row.toggleAttribute("data-wins", sure && index === best);
        row.querySelector("i > i").style.width = `${(100 * confidences[index]).toFixed(1)}%`;
        row.querySelector("b").textContent = formatShare(confidences[index]);
    });
    const speed = card.querySelector(".tl-speed");
    speed.querySelector("b").textContent = formatMs(infer_ms);
    speed.append(Object.assign(document.createElement("span"), { textContent: where }));
}

// Fetched when the tab is opened, so that the first result follows a start at once.
function setUp() {
    const worker = new Worker(`${folder}worker.js`, { type: "module" });
    worker.onmessage = receive;
    worker.onerror = () => waiting.forEach(({ reject }) => reject(new Error(WORDS["device.unfit"])));
    return worker;
}

async function lookAtFrame(alive) {
    await ready;
    await camera.waitForFrame();
    if (!alive()) return;
    const taken = performance.now();
    const frame = await createImageBitmap(camera.video);
    const found = await ask({ source: frame }, [frame]);
    if (!alive()) return;
    show(found);
    readout.add(taken);
}

async function lookAtPhoto(photo) {
    camera.stop();
    const mine = camera.run;
    URL.revokeObjectURL(camera.video.poster); // of the photo before; its bytes were kept for it
    camera.video.poster = URL.createObjectURL(photo);
    say(WORDS["device.looking"], "tl-quiet");
    try {
        await ready;
        const found = await ask({ source: photo });
        if (camera.run === mine) show(found);
    } catch (error) {
        if (camera.run === mine) say(error.message, "tl-problem");
    }
}

const worker = setup && setUp();
const ready = setup && ask({ setup }).then(({ provider, threads }) => {
    where = WORDS[provider === "webgpu" ? "device.graphics" : threads > 1 ? "device.threads" : "device.thread"];
    where = fill(where, { threads });
});
const camera = new Camera({
    started: () => {
        camera.video.removeAttribute("poster");
        say(WORDS["device.starting"], "tl-quiet");
    },
    step: (alive) => lookAtFrame(alive).catch((error) => alive() && camera.stop(error.message)),
    stopped: sayStopped,
});
chooser.addEventListener("change", () => {
    if (chooser.files.length) lookAtPhoto(chooser.files[0]);
    chooser.value = ""; // the same photo may be chosen again
});
offerExamples(lookAtPhoto);
for (const control of setup ? [] : [camera.button, chooser]) control.disabled = true;
