// What the networks looked at: draws their maps over the photo that is on the page, once the visitor opens the panel.
{
    const LONGER_PX = 560; // of a picture, about twice what a screen shows of it
    const WIDEST = 3 / 2; // of a picture, and the tallest; of more only the middle is drawn, around what a network sees
    const FINE = 96; // points along a map's side at which its few numbers are read
    // From matplotlib's inferno, whose lightness rises evenly and which colour-blind visitors tell apart as well; what
    // speaks for nothing lets the photo through.
    const COLOURS = [[120, 28, 109, 0], [188, 55, 84, 0.35], [237, 105, 37, 0.6], [251, 180, 26, 0.75], [252, 255, 164, 0.85]];

    let open = false;

    // The weights of the four numbers around a point: a cubic B-spline, which is smooth and never overshoots.
    const blend = (t) => [(1 - t) ** 3 / 6, (3 * t ** 3 - 6 * t ** 2 + 4) / 6,
        (-3 * t ** 3 + 3 * t ** 2 + 3 * t + 1) / 6, t ** 3 / 6];

    const clamp = (value, most) => Math.min(Math.max(value, 0), most);

    // The taps of each of FINE points along a side of `count` numbers: their indices, and what each counts.
    const plan = (count) => Array.from({ length: FINE }, (_, index) => {
        const at = ((index + 0.5) / FINE) * count - 0.5;
        const first = Math.floor(at);
        return blend(at - first).map((weight, tap) => ({ weight, index: clamp(first + tap - 1, count - 1) }));
    });

    function paint(share) {
        const at = clamp(share, 1) * (COLOURS.length - 1);
        const below = Math.min(Math.floor(at), COLOURS.length - 2);
        const [red, green, blue, alpha] = COLOURS[below].map((one, part) =>
            one + (at - below) * (COLOURS[below + 1][part] - one));
        return [red, green, blue, 255 * alpha];
    }

    // A map as a small picture, transparent where nothing speaks for the class.
    function colour(map) {
        const rows = plan(map.length);
        const columns = plan(map[0].length);
        const values = rows.flatMap((down) => columns.map((across) => down.reduce((sum, y) =>
            sum + y.weight * across.reduce((part, x) => part + x.weight * map[y.index][x.index], 0), 0)));
        const most = Math.max(...values);
        const pixels = values.flatMap((value) => paint(most > 0 ? value / most : 0));
        const canvas = document.createElement("canvas");
        canvas.width = canvas.height = FINE;
        canvas.getContext("2d").putImageData(new ImageData(Uint8ClampedArray.from(pixels), FINE, FINE), 0, 0);
        return canvas;
    }

    function draw(canvas, photo) {
        // Without a photo, the square alone.
        const { naturalWidth, naturalHeight } = photo ?? { naturalWidth: 1, naturalHeight: 1 };
        const shorter = Math.min(naturalWidth, naturalHeight);
        const shown = [naturalWidth, naturalHeight].map((side) => Math.min(side, WIDEST * shorter));
        const scale = LONGER_PX / Math.max(...shown);
        [canvas.width, canvas.height] = shown.map((side) => Math.round(side * scale));
        const { width, height } = canvas;
        const side = (photo ? canvas.dataset.share : 1) * Math.min(width, height); // as `Preprocess` cuts it out
        const left = (width - side) / 2;
        const top = (height - side) / 2;
        const context = canvas.getContext("2d");
        const cover = (colour, rule = "source-over") => {
            context.globalCompositeOperation = rule;
            context.fillStyle = colour;
            context.fillRect(0, 0, width, height);
        };
        cover(photo ? "#fff" : "#4a4a4a");
        context.imageSmoothingQuality = "high";
        const [whole, high] = [naturalWidth * scale, naturalHeight * scale];
        if (photo) context.drawImage(photo, (width - whole) / 2, (height - high) / 2, whole, high);
        cover("#000", "saturation"); // in greys, so that all colour is the map's
        cover("rgb(0 0 0 / 40%)", "source-over");
        context.drawImage(colour(JSON.parse(canvas.dataset.map)), left, top, side, side);
        context.fillStyle = "rgb(0 0 0 / 50%)";
        context.beginPath();
        context.rect(0, 0, width, height);
        context.rect(left, top, side, side);
        context.fill("evenodd"); // what the network does not see
        context.strokeStyle = "rgb(255 255 255 / 80%)";
        context.lineWidth = 2;
        context.strokeRect(left + 1, top + 1, side - 2, side - 2);
    }

    // The photo on the page, if it is the one that was answered and this browser can draw it.
    async function findPhoto(name) {
        const photo = document.querySelector("#photo img");
        // Where the server's copy stands in, `preview.js` keeps the address of what was sent.
        const sent = photo?.src.startsWith("data:image/jpeg") ? photo.dataset.sent : photo?.src;
        if (!sent?.includes(`/${name}/`)) return null;
        await photo.decode().catch(() => {});
        return photo.naturalWidth ? photo : null;
    }

    element.addEventListener("toggle", async ({ target }) => {
        if (!target.matches(".tl-heat")) return;
        open = target.open;
        if (!open) return;
        const photo = await findPhoto(target.dataset.photo);
        for (const canvas of target.querySelectorAll("canvas")) draw(canvas, photo);
    }, true); // which it passes on the way down only

    // Who has opened it sees those of the next photo, too.
    watch("value", () => {
        const panel = element.querySelector(".tl-heat");
        if (panel) panel.open = open;
    });
}
