// The containers of the region that the visitor chose: shown in `element`, and remembered in this browser.

const KEY = "trashlens-region";

function showRegion() {
    const menu = element.querySelector(".tl-region select");
    if (!menu) return;
    let region = "";
    try {
        region = localStorage.getItem(KEY) ?? "";
    } catch {} // a browser that keeps nothing
    if (menu.dataset.chosen !== undefined) region = menu.value;
    menu.value = region;
    for (const line of element.querySelectorAll("p[data-region]")) line.hidden = line.dataset.region !== region;
}

element.addEventListener("change", ({ target }) => {
    if (!target.matches(".tl-region select")) return;
    target.dataset.chosen = "";
    try {
        localStorage.setItem(KEY, target.value);
    } catch {} // it holds until the next photo
    showRegion();
});
watch("value", showRegion);
