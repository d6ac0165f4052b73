// Says when the server does not answer. When it does again, the page is loaded anew if an answer was lost meanwhile:
// Gradio's client waits for it without end, and would lay the next photo beside an old answer. TABLE has the sentence
// by language.

(() => {
    const sentences = TABLE;
    const LOOK_MS = 10_000, LOOK_AGAIN_MS = 2_000, PATIENCE_MS = 8_000;
    const LOST = "[aria-busy=true], #batch progress, #batch .tl-waiting";
    const banner = document.createElement("p");
    banner.className = "tl-away";
    banner.setAttribute("role", "alert");
    let away = false, broken = false, timer;

    const ask = async () => {
        try {
            const answer = await fetch("health", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
            return answer.ok;
        } catch {
            return false;
        }
    };
    const look = async () => {
        clearTimeout(timer);
        if (!document.hidden || away) {
            const here = await ask();
            if (!here) {
                away = true;
                broken ||= Boolean(document.querySelector(LOST));
                banner.textContent = sentences[document.documentElement.lang] ?? sentences.en;
                document.body.append(banner);
            } else if (broken) {
                location.reload();
            } else {
                away = false;
                banner.remove();
            }
        }
        clearTimeout(timer);
        timer = setTimeout(look, away ? LOOK_AGAIN_MS : LOOK_MS);
    };
    for (const event of ["online", "offline", "pageshow"]) addEventListener(event, look);
    document.addEventListener("visibilitychange", look);

    // What Gradio shows when its line of events is cut.
    new MutationObserver(() => {
        const texts = document.querySelectorAll("[data-testid=toast-text], .toast-text");
        if (broken || ![...texts].some(({ textContent }) => textContent.startsWith("Connection to the server")))
            return;
        broken = away = true;
        look();
    }).observe(document.documentElement, { childList: true, subtree: true });
    look();
})();
