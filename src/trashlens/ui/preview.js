// Where the browser cannot show what was sent: its name, and the server's copy once the answer comes with one.
// Runs in `element`, beside other scripts of it; the braces keep the names apart.

{
    const SVG = "http://www.w3.org/2000/svg";
    const LONGEST = 32; // characters of a name

    const add = (parent, name, attributes) => {
        const child = parent.appendChild(document.createElementNS(SVG, name));
        for (const [key, value] of Object.entries(attributes)) child.setAttribute(key, value);
        return child;
    };

    // A sheet of paper with the name below it, as the address of a picture.
    function drawName(name) {
        const style = getComputedStyle(document.querySelector(".gradio-container"));
        const colour = style.getPropertyValue("--tl-soft").trim();
        const picture = document.createElementNS(SVG, "svg");
        for (const [key, value] of Object.entries({ width: 320, height: 200, viewBox: "0 0 320 200" }))
            picture.setAttribute(key, value);
        const line = { fill: "none", stroke: colour, "stroke-width": 3, "stroke-linejoin": "round" };
        add(picture, "path", { ...line, d: "M134 46h36l18 18v58h-54zM169 47v18h18" });
        add(picture, "text", { x: 160, y: 154, fill: colour, "text-anchor": "middle", "font-size": 15,
            "font-family": "system-ui, sans-serif" }).textContent =
            name.length > LONGEST ? `${name.slice(0, LONGEST - 9)}…${name.slice(-8)}` : name;
        return `data:image/svg+xml,${encodeURIComponent(new XMLSerializer().serializeToString(picture))}`;
    }

    function standIn(photo) {
        const { sent } = photo.dataset;
        const copy = [...element.querySelectorAll(".tl-copy")].find(({ dataset }) => sent.includes(`/${dataset.photo}/`));
        photo.src = copy?.dataset.copy ?? drawName(decodeURIComponent(new URL(sent).pathname.split("/").at(-1)));
    }

    document.addEventListener("error", ({ target: photo }) => {
        if (!photo.matches?.("#photo img") || photo.src.startsWith("data:")) return;
        photo.dataset.sent = photo.src;
        standIn(photo);
    }, true); // which it passes on the way down only

    watch("value", () => {
        const photo = document.querySelector("#photo img");
        if (photo?.dataset.sent && photo.src.startsWith("data:")) standIn(photo);
    });
}
