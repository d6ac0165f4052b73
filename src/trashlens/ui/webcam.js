// The Webcam tab: sends a frame to the server, shows what comes back, and sends the next one.
// Runs behind `camera.js`, once `element`, the tab's content, is in the page.

const SEND_PX = 288; // shorter side of what is sent; the shipped networks see no more
const RETRY_MS = 2000;
const BREATH_MS = 300;

const address = `${window.gradio_config?.root ?? ""}/webcam`;
const canvas = document.createElement("canvas");
let place = null; // on the server
const camera = new Camera({
    started: () => say(WORDS["camera.starting"], "tl-quiet"),
    step: (alive) => step(alive).catch(() => alive() && waitForServer()),
    stopped: (reason) => {
        if (place) giveBack(place);
        place = null;
        sayStopped(reason);
    },
});

const giveBack = (name) => navigator.sendBeacon(`${address}/${name}/close`);

async function waitForServer() {
    say(WORDS["webcam.silent"], "tl-problem");
    await pause(RETRY_MS);
}

async function takePlace(alive) {
    const answer = await fetch(address, { method: "POST" });
    const { place: name, detail } = await answer.json();
    if (!alive() && name) giveBack(name);
    if (!alive() || name) return name;
    say(WORDS[detail] ?? detail, "tl-quiet");
    await pause(RETRY_MS);
    return null;
}

// `toBlob` waits until the page has nothing else to do, which takes several times as long.
function encodeFrame(video) {
    const scale = Math.min(1, SEND_PX / Math.min(video.videoWidth, video.videoHeight));
    canvas.width = Math.round(scale * video.videoWidth);
    canvas.height = Math.round(scale * video.videoHeight);
    const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    const text = atob(canvas.toDataURL("image/jpeg", 0.85).split(",")[1]);
    const content = new Uint8Array(text.length); // `Uint8Array.from` takes ten times as long
    for (let index = 0; index < text.length; index += 1) content[index] = text.charCodeAt(index);
    return content;
}

async function sendFrame(roles) {
    const query = new URLSearchParams(roles.map((role) => ["role", role]));
    const headers = { "Content-Type": "image/jpeg" };
    const body = encodeFrame(camera.video);
    const answer = await fetch(`${address}/${place}?${query}`, { method: "POST", body, headers });
    return { status: answer.status, content: await answer.text() };
}

// One frame from the camera to its result; returns at once after a stop.
async function step(alive) {
    const roles = [...element.querySelectorAll("input:checked")].map((box) => box.value);
    if (!roles.length) {
        say(WORDS["webcam.choose"], "tl-quiet");
        await new Promise((resolve) => element.addEventListener("change", resolve, { once: true }));
        return;
    }
    if (!place) {
        const name = await takePlace(alive);
        if (!alive() || !name) return;
        place = name;
    }
    await camera.waitForFrame();
    if (!alive()) return;
    const taken = performance.now();
    const { status, content } = await sendFrame(roles);
    if (!alive()) return;
    if (status === 200) show(content, taken);
    else if (status === 410) camera.stop(WORDS.stopped);
    else if (status === 404 || status === 429) await lose(status);
    else if (status === 422) await showProblem(content);
    else throw new Error(`status ${status}`);
}

// Makes `old` what `fresh` is, changing only what differs: laying out and painting whole cards for each frame would
// cost the browser more than a light network.
function patch(old, fresh) {
    const alike = old.nodeName === fresh.nodeName && old.childNodes.length === fresh.childNodes.length;
    if (!alike) return old.replaceWith(fresh);
    if (old.nodeType === Node.TEXT_NODE) {
        if (old.data !== fresh.data) old.data = fresh.data;
        return;
    }
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    const parts = [...fresh.childNodes];
    [...old.childNodes].forEach((part, index) => patch(part, parts[index]));
}

function show(html, taken) {
    const fresh = results.cloneNode(false);
    fresh.innerHTML = html;
    if (fresh.childNodes.length === results.childNodes.length) patch(results, fresh);
    else results.innerHTML = html;
    readout.add(taken);
}

// The place went to somebody else while the page slept, or the frame before is still at work.
async function lose(status) {
    if (status === 404) place = null;
    await pause(BREATH_MS);
}

async function showProblem(html) {
    const fresh = results.cloneNode(false);
    fresh.innerHTML = html;
    // What is there already is not read out again.
    if (!fresh.isEqualNode(results)) results.replaceChildren(...fresh.childNodes);
    readout.clear();
    await pause(BREATH_MS);
}
