// Sorts the table of the Batch tab by the column whose head is pressed, and backwards when it is pressed again; clears
// the list of files, and names its links.

const collator = new Intl.Collator(undefined, { numeric: true });
const findKey = (row, column) => {
    // A photo that cannot be read has one wide cell in place of those of the networks, and goes to the end.
    const cell = [...row.cells].reduce(([found, left], one) => [left >= 0 && left < one.colSpan ? one : found,
        left - one.colSpan], [null, column])[0];
    return cell?.dataset.key ?? "\uffff";
};

element.addEventListener("click", ({ target }) => {
    const head = target.closest("thead th");
    if (!head) return;
    const direction = head.ariaSort === "ascending" ? -1 : 1;
    for (const other of head.parentElement.cells) other.ariaSort = null;
    head.ariaSort = direction > 0 ? "ascending" : "descending";
    const body = head.closest("table").tBodies[0];
    const keyed = [...body.rows].map((row) => ({ row, key: findKey(row, head.cellIndex) }));
    keyed.sort((one, other) => direction * collator.compare(one.key, other.key));
    body.append(...keyed.map(({ row }) => row));
});

element.addEventListener("click", ({ target }) => {
    const again = target.closest(".tl-again");
    if (!again) return;
    const files = document.querySelector("#batch-files");
    [...files.querySelectorAll("button[aria-label]")].find((one) => one.ariaLabel === again.dataset.clear)?.click();
    // What had the focus goes away with the table.
    requestAnimationFrame(() => files.querySelector("button.upload-container")?.focus());
});

// Gradio's links say a size and an arrow.
watch("value", () => {
    const said = element.querySelector(".tl-batch")?.dataset.file;
    if (!said) return;
    for (const link of document.querySelectorAll("#batch-files a[download]"))
        link.ariaLabel = `${said.replace("{name}", () => link.download)}, ${link.textContent.trim()}`;
});
