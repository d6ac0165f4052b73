// The question below a result: nothing is sent before the click, which takes a class and consent.
// Runs in `element`, beside other scripts of it; the braces keep the names apart.

{
    const server = `${window.gradio_config?.root ?? ""}/`;
    let asked; // the path of the photo that the question is about
    let photo = null; // promises the photo's bytes, for whoever thinks longer than the server keeps it

    // From the browser's own cache: the page has just shown the photo. It stays in this browser.
    const fetchPhoto = async (path) => {
        const answer = await fetch(`${server}gradio_api/file=${path}`, { cache: "force-cache" });
        return answer.ok ? answer.blob() : null;
    };

    async function uploadAgain() {
        const bytes = await photo;
        if (!bytes) return null;
        const form = new FormData();
        form.append("files", bytes, "photo");
        const answer = await fetch(`${server}gradio_api/upload`, { method: "POST", body: form });
        return answer.ok ? (await answer.json())[0] : null;
    }

    const give = (form, path) =>
        fetch(`${server}feedback`, {
            method: "POST",
            headers: { "Content-Type": "application/json" },
            body: JSON.stringify({ path, label: form.elements.label.value, consent: form.elements.consent.checked }),
        });

    async function send(form) {
        let answer = await give(form, form.dataset.path);
        if (answer.status === 410) {
            const path = await uploadAgain();
            if (!path) return { sentence: form.dataset.old };
            answer = await give(form, path);
        }
        const { name, detail } = await answer.json();
        return name ? { name } : { sentence: JSON.parse(form.dataset.refusals)[detail] ?? detail };
    }

    function say(form, sentence, failed) {
        const status = form.parentElement.querySelector("[role=status]");
        status.classList.toggle("tl-failed", failed);
        status.textContent = sentence;
        return status;
    }

    const isReady = (form) => Boolean(form.elements.label.value && form.elements.consent.checked);

    element.addEventListener("change", ({ target }) => {
        const form = target.closest(".tl-feedback form");
        if (form) form.querySelector("button").disabled = !isReady(form);
    });

    element.addEventListener("submit", async (event) => {
        const form = event.target;
        if (!form.matches(".tl-feedback form")) return;
        event.preventDefault();
        const button = form.querySelector("button");
        if (!isReady(form) || button.disabled) return;
        button.disabled = true;
        say(form, form.dataset.sending, false);
        const { name, sentence } = await send(form).catch(() => ({ sentence: form.dataset.unreached }));
        if (name) {
            form.hidden = true;
            say(form, form.dataset.thanks.replace("{name}", name.slice(0, 12)), false).focus();
        } else {
            button.disabled = false;
            say(form, sentence, true);
        }
    });

    watch("value", () => {
        const form = element.querySelector(".tl-feedback form");
        if (form?.dataset.path === asked) return;
        asked = form?.dataset.path;
        if (!form) return;
        photo = fetchPhoto(asked).catch(() => null);
        // Gradio changes what differs between two answers, and leaves what was ticked and said.
        form.reset();
        form.hidden = form.parentElement.open = false;
        form.querySelector("button").disabled = true;
        say(form, "", false);
    });
}
