// The containers of the region that the visitor chose: shown in `element`, and remembered in this browser.

const KEY = "trashlens-region";

let region = "";
try {
    region = localStorage.getItem(KEY) ?? "";
} catch {} // a browser that keeps nothing

function showRegion() {
    const menu = element.querySelector(".tl-region select");
    if (!menu) return;
    menu.value = region;
    for (const line of element.querySelectorAll("p[data-region]")) line.hidden = line.dataset.region !== region;
}

element.addEventListener("change", ({ target }) => {
    if (!target.matches(".tl-region select")) return;
    region = target.value;
    showRegion();
    try {
        localStorage.setItem(KEY, region);
    } catch {} // it holds until the page is left
});
watch("value", showRegion);
