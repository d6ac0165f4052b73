// The Webcam tab: takes a frame from the camera, sends it, shows what comes back, and takes the next one.
// Runs once `element`, the tab's content, is in the page.

const WINDOW_MS = 1500; // how far back the two numbers reach
const SEND_PX = 360; // shorter side of what is sent; the networks see less
const RETRY_MS = 2000;
const BREATH_MS = 300;
const CAMERA = { width: { ideal: 640 }, height: { ideal: 480 } };
const CHOOSE = "Choose at least one network, and its results appear here.";
const REFUSALS = {
    NotAllowedError: "The browser does not let this page use the camera. Allow it beside the address, and start again.",
    NotFoundError: "No camera was found. Connect one, and start again.",
    NotReadableError: "The camera does not start; another program may be using it.",
};

const find = (selector) => element.querySelector(selector);
const video = find("video");
const button = find("button");
const menu = find("select");
const results = find("#webcam-results");
const blank = results.innerHTML;
const INVITATION = find(".tl-verdict").textContent;
const address = `${window.gradio_config?.root ?? ""}/webcam`;
const canvas = document.createElement("canvas");

let on = false;
let run = 0; // counts starts and stops: who waited looks whether the run is still its own
let place = null; // on the server
let taken = 0; // number of the camera's frame that was sent last
let recent = []; // [when a result was there, how long ago its frame left], ms

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const chosen = () => [...element.querySelectorAll("input:checked")].map((box) => box.value);

function say(sentence, kind = "tl-problem") {
    results.innerHTML = blank;
    const verdict = find(".tl-verdict");
    verdict.textContent = sentence;
    verdict.className = `tl-verdict ${kind}`;
    if (kind === "tl-problem") verdict.setAttribute("role", "alert");
    recent = [];
    showNumbers();
}

function showNumbers() {
    const latencies = recent.map(([, latency]) => latency).sort((a, b) => a - b);
    const rate = ((recent.length - 1) / (recent.at(-1)?.[0] - recent[0]?.[0])) * 1000;
    find("#rate").textContent = Number.isFinite(rate) ? rate.toFixed(0) : "–";
    find("#latency").textContent = latencies.length ? `${latencies[latencies.length >> 1].toFixed(0)} ms` : "–";
}

function show(html, sent) {
    results.innerHTML = html;
    const now = performance.now();
    recent.push([now, now - sent]);
    while (now - recent[0][0] > WINDOW_MS) recent.shift();
    find("#latency").dataset.sent = sent;
    showNumbers();
}

async function openCamera() {
    if (!navigator.mediaDevices) throw new Error("Browsers give a camera only to pages whose address begins with https.");
    const which = menu.value ? { deviceId: { ideal: menu.value } } : { facingMode: { ideal: "environment" } };
    try {
        return await navigator.mediaDevices.getUserMedia({ video: { ...CAMERA, ...which } });
    } catch (error) {
        throw new Error(REFUSALS[error.name] ?? `The camera does not start: ${error.message}`);
    }
}

// Known by name only once one of them is allowed.
async function listCameras(track) {
    const cameras = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput");
    const { deviceId } = track.getSettings();
    menu.replaceChildren(
        ...cameras.map((camera) => new Option(camera.label, camera.deviceId, false, camera.deviceId === deviceId)),
    );
    menu.hidden = cameras.length < 2;
}

const countFrames = () => video.getVideoPlaybackQuality().totalVideoFrames;

// Waits until the camera has a frame that was not sent; a page that nobody sees has no animation frames, and waits.
async function waitForFrame() {
    while (document.hidden || countFrames() === taken) await new Promise(requestAnimationFrame);
}

// `toBlob` waits until the page has nothing else to do, which takes several times as long.
function takeFrame() {
    taken = countFrames();
    const scale = Math.min(1, SEND_PX / Math.min(video.videoWidth, video.videoHeight));
    canvas.width = Math.round(scale * video.videoWidth);
    canvas.height = Math.round(scale * video.videoHeight);
    const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    const content = canvas.toDataURL("image/jpeg", 0.85).split(",")[1];
    return Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
}

const giveBack = (name) => navigator.sendBeacon(`${address}/${name}/close`);

async function takePlace(mine) {
    const answer = await fetch(address, { method: "POST" });
    const { place: name, detail } = await answer.json();
    if (run !== mine && name) giveBack(name);
    if (run !== mine || name) return name;
    say(detail, "tl-quiet");
    await pause(RETRY_MS);
    return null;
}

async function sendFrame(roles) {
    const sent = performance.now();
    const query = new URLSearchParams(roles.map((role) => ["role", role]));
    const headers = { "Content-Type": "image/jpeg" };
    const answer = await fetch(`${address}/${place}?${query}`, { method: "POST", body: takeFrame(), headers });
    return { status: answer.status, content: await answer.text(), sent };
}

// One frame from the camera to its result; returns at once after a stop.
async function step(mine) {
    const roles = chosen();
    if (!roles.length) {
        say(CHOOSE, "tl-quiet");
        await new Promise((resolve) => element.addEventListener("change", resolve, { once: true }));
        return;
    }
    if (!place) {
        const name = await takePlace(mine);
        if (run !== mine || !name) return;
        place = name;
    }
    await waitForFrame();
    if (run !== mine) return;
    const { status, content, sent } = await sendFrame(roles);
    if (run !== mine) return;
    if (status === 200) show(content, sent);
    else if (status === 410) stop(JSON.parse(content).detail);
    else if (status === 404 || status === 429) await lose(status);
    else if (status === 422) await showProblem(content);
    else throw new Error(`status ${status}`);
}

// The place went to somebody else while the page slept, or the frame before is still at work.
async function lose(status) {
    if (status === 404) place = null;
    await pause(BREATH_MS);
}

async function showProblem(html) {
    recent = [];
    showNumbers();
    results.innerHTML = html;
    await pause(BREATH_MS);
}

async function start() {
    const mine = ++run;
    turn(true);
    say("Starting the camera.", "tl-quiet");
    try {
        const media = await openCamera();
        if (run !== mine) return release(media);
        video.srcObject = media;
        const [track] = media.getVideoTracks();
        track.addEventListener("ended", () => run === mine && stop("The camera was disconnected."));
        await video.play();
        await listCameras(track);
    } catch (error) {
        if (run === mine) stop(error.message);
        return;
    }
    while (run === mine) {
        try {
            await step(mine);
        } catch {
            if (run !== mine) return;
            say("The server does not answer. The results go on as soon as it does.");
            await pause(RETRY_MS);
        }
    }
}

const release = (media) => media?.getTracks().forEach((track) => track.stop());

function stop(reason) {
    run += 1;
    turn(false);
    release(video.srcObject);
    video.srcObject = null;
    if (place) giveBack(place);
    place = null;
    say(reason ?? INVITATION, reason ? "tl-problem" : "tl-quiet");
}

function turn(state) {
    on = state;
    button.textContent = on ? "Stop" : "Start";
    button.classList.toggle("tl-on", on);
}

button.addEventListener("click", () => (on ? stop() : start()));
menu.addEventListener("change", () => {
    if (!on) return;
    stop();
    start();
});
// Another tab of the page was opened: what is not seen does not film.
new ResizeObserver(() => on && !element.offsetWidth && stop()).observe(element);
addEventListener("pagehide", () => on && stop());
