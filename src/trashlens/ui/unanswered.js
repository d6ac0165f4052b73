// Returns what a tab shows where its request ended without an answer. Gradio says here neither why, nor whether what is
// shown is the server's own refusal: then the photo's folder is the one that is `answered`.
async (sent, shown, answered) => {
    const [first] = [sent ?? []].flat();
    if (!first) return EMPTY; // taken away meanwhile, or what ran was cancelled
    if (answered && answered === first.path.split(/[\\/]/).at(-2)) return shown;
    try {
        // What was sent first is swept first.
        const { status } = await fetch(first.url, { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(5000) });
        return status === 403 ? SWEPT : BUSY; // Gradio's answer for a file that is gone
    } catch {
        return BUSY;
    }
}
