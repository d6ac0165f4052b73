// What every tab that films shares: the camera with its button and its menu, the two numbers below it, and what is said
// beside it. The tab's own script follows in the same function; `element` is the tab's content.

const CAMERA = { width: { ideal: 640 }, height: { ideal: 480 } };
const WINDOW_MS = 1500; // how far back the two numbers reach
const WORDS = JSON.parse(element.querySelector(".tl-words").value); // by key, in the visitor's language
const REFUSALS = { NotAllowedError: "camera.denied", NotFoundError: "camera.absent", NotReadableError: "camera.busy" };

const results = element.querySelector(".tl-results");
const blank = results.innerHTML; // cards without results
const invitation = results.querySelector(".tl-verdict").textContent;

const fill = (sentence, values) => sentence.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const writeNumber = (value, digits) => value.toFixed(digits).replace(".", WORDS["mark.decimal"]);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Results a second, and how long they took from their frame.
class Readout {
    rate = element.querySelector(".tl-rate");
    latency = element.querySelector(".tl-latency");
    recent = []; // [when a result was there, how long ago its frame was taken], ms

    add(taken) {
        const now = performance.now();
        this.recent.push([now, now - taken]);
        while (now - this.recent[0][0] > WINDOW_MS) this.recent.shift();
        this.latency.dataset.taken = taken;
        this.show();
    }

    clear() {
        this.recent = [];
        this.show();
    }

    show() {
        const latencies = this.recent.map(([, latency]) => latency).sort((a, b) => a - b);
        const rate = ((latencies.length - 1) / (this.recent.at(-1)?.[0] - this.recent[0]?.[0])) * 1000;
        this.rate.textContent = Number.isFinite(rate) ? rate.toFixed(0) : "–";
        this.latency.textContent = latencies.length ? `${latencies[latencies.length >> 1].toFixed(0)} ms` : "–";
    }
}

const readout = new Readout();

// Shows a sentence in place of the verdict, above cards without results; what is there already is not read out again.
function say(sentence, kind) {
    const shown = results.querySelector(".tl-verdict");
    if (shown.textContent === sentence && shown.className === `tl-verdict ${kind}`) return;
    results.innerHTML = blank;
    const verdict = results.querySelector(".tl-verdict");
    verdict.textContent = sentence;
    verdict.className = `tl-verdict ${kind}`;
    if (kind === "tl-problem") verdict.setAttribute("role", "alert");
    readout.clear();
}

function sayStopped(reason) {
    if (reason) say(reason, "tl-problem");
    else say(invitation, "tl-quiet");
}

class Camera {
    video = element.querySelector("video");
    button = element.querySelector(".tl-start");
    menu = element.querySelector(".tl-menu");
    on = false;
    run = 0; // counts starts and stops: who waited looks whether the run is still its own
    taken = 0; // number of the frame that was taken last

    // While the camera runs, `step` is called again and again with a function that tells whether it still does, for
    // one frame each time; `stopped` is called after each stop, with the reason where it was not the visitor's wish.
    constructor({ started, step, stopped }) {
        Object.assign(this, { started, step, stopped });
        this.button.addEventListener("click", () => (this.on ? this.stop() : this.start()));
        this.menu.addEventListener("change", () => {
            if (!this.on) return;
            this.stop();
            this.start();
        });
        // Another tab of the page was opened: what is not seen does not film.
        new ResizeObserver(() => this.on && !element.offsetWidth && this.stop()).observe(element);
        addEventListener("pagehide", () => this.on && this.stop());
    }

    async start() {
        const mine = ++this.run;
        const alive = () => this.run === mine;
        this.turn(true);
        this.started();
        try {
            const media = await this.open();
            if (!alive()) return release(media);
            this.video.srcObject = media;
            const [track] = media.getVideoTracks();
            track.addEventListener("ended", () => alive() && this.stop(WORDS["camera.disconnected"]));
            await this.video.play();
            await this.listCameras(track);
        } catch (error) {
            if (alive()) this.stop(error.message);
            return;
        }
        while (alive()) await this.step(alive);
    }

    stop(reason) {
        this.run += 1;
        this.turn(false);
        release(this.video.srcObject);
        this.video.srcObject = null;
        this.stopped(reason);
    }

    turn(on) {
        this.on = on;
        this.button.textContent = WORDS[on ? "camera.stop" : "camera.start"];
        this.button.classList.toggle("tl-on", on);
    }

    async open() {
        if (!navigator.mediaDevices) throw new Error(WORDS["camera.insecure"]);
        const which = this.menu.value ? { deviceId: { ideal: this.menu.value } } : { facingMode: { ideal: "environment" } };
        try {
            return await navigator.mediaDevices.getUserMedia({ video: { ...CAMERA, ...which } });
        } catch (error) {
            const sentence = WORDS[REFUSALS[error.name] ?? "camera.failed"];
            throw new Error(fill(sentence, { reason: error.message || error.name }));
        }
    }

    // Known by name only once one of them is allowed.
    async listCameras(track) {
        const devices = await navigator.mediaDevices.enumerateDevices();
        const cameras = devices.filter(({ kind }) => kind === "videoinput");
        const { deviceId } = track.getSettings();
        this.menu.replaceChildren(
            ...cameras.map((camera) => new Option(camera.label, camera.deviceId, false, camera.deviceId === deviceId)),
        );
        this.menu.hidden = cameras.length < 2;
    }

    countFrames() {
        return this.video.getVideoPlaybackQuality().totalVideoFrames;
    }

    // Waits until there is a frame that was not taken; a page that nobody sees has no animation frames, and waits.
    async waitForFrame() {
        while (document.hidden || this.countFrames() === this.taken) await new Promise(requestAnimationFrame);
        this.taken = this.countFrames();
    }
}

function release(media) {
    media?.getTracks().forEach((track) => track.stop());
}
