// The Webcam tab: takes a frame from the camera, sends it, shows what comes back, and takes the next one.
// Runs once `element`, the tab's content, is in the page.

const WINDOW_MS = 1500; // how far back the two numbers reach
const SEND_PX = 360; // shorter side of what is sent; the networks see less
const RETRY_MS = 2000;
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
let takenAt = -1; // the video's time of the frame that was sent last
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
    const which = menu.value ? { deviceId: { exact: menu.value } } : { facingMode: { ideal: "environment" } };
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

// Resolves at once when the camera has shown something new since the last frame that was taken.
function waitForFrame() {
    if (video.currentTime !== takenAt) return undefined;
    return new Promise((resolve) => {
        if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(resolve);
        else requestAnimationFrame(resolve);
    });
}

// `toBlob` waits until the page has nothing else to do, which takes several times as long.
function takeFrame() {
    takenAt = video.currentTime;
    const scale = Math.min(1, SEND_PX / Math.min(video.videoWidth, video.videoHeight));
    canvas.width = Math.round(scale * video.videoWidth);
    canvas.height = Math.round(scale * video.videoHeight);
    const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    const content = canvas.toDataURL("image/jpeg", 0.85).split(",")[1];
    return Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
}

async function takePlace() {
    const answer = await fetch(address, { method: "POST" });
    const { place: name, detail } = await answer.json();
    if (name) return name;
    say(detail, "tl-quiet");
    await pause(RETRY_MS);
    return null;
}

async function sendFrame(roles) {
    await waitForFrame();
    const sent = performance.now();
    const query = new URLSearchParams(roles.map((role) => ["role", role]));
    const headers = { "Content-Type": "image/jpeg" };
    const answer = await fetch(`${address}/${place}?${query}`, { method: "POST", body: takeFrame(), headers });
    const isPage = answer.headers.get("content-type")?.startsWith("text/html");
    return { status: answer.status, sent, [isPage ? "html" : "reason"]: await answer.text() };
}

// One frame from the camera to its result; returns at once after a stop.
async function step(mine) {
    const roles = chosen();
    if (!roles.length) {
        say(CHOOSE, "tl-quiet");
        await new Promise((resolve) => element.addEventListener("change", resolve, { once: true }));
        return;
    }
    place ??= await takePlace();
    if (run !== mine || !place) return;
    const { status, sent, html, reason } = await sendFrame(roles);
    if (run !== mine) return;
    if (html && status === 200) show(html, sent);
    else if (html && status === 422) results.innerHTML = html;
    else if (status === 404) place = null;
    else if (status === 410) stop(JSON.parse(reason).detail);
    else await pause(RETRY_MS);
}

async function start() {
    const mine = ++run;
    turn(true);
    say("Starting the camera.", "tl-quiet");
    try {
        const media = await openCamera();
        video.srcObject = media;
        if (run !== mine) return release(media);
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
    if (place) navigator.sendBeacon(`${address}/${place}/close`);
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
// Another tab was opened: what is not seen does not film.
new ResizeObserver(() => on && !element.offsetWidth && stop()).observe(element);
addEventListener("pagehide", () => on && stop());
