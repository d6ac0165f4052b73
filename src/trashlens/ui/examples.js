// The row of examples in a tab. The script of the tab follows in the same function; `element` is the tab's content.

async function fetchExample({ dataset: { address, name } }) {
    const root = window.gradio_config?.root ?? "";
    const answer = await fetch(new URL(`${root}/${address}`, document.baseURI));
    if (!answer.ok) throw new Error(answer.statusText);
    const content = await answer.blob();
    return new File([content], name, { type: content.type });
}

// Calls `take` with the picture of each example that is pressed, as a file like one that the visitor chose.
function offerExamples(take) {
    let asked = 0;
    for (const button of element.querySelectorAll(".tl-examples button"))
        button.addEventListener("click", async () => {
            const mine = (asked += 1);
            try {
                const file = await fetchExample(button);
                if (mine === asked) take(file); // and not one that was pressed before it
            } catch {
                const line = element.querySelector(".tl-examples p");
                line.textContent = line.dataset.failed;
            }
        });
}
