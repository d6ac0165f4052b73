// Puts the page's words where Gradio, or the server's gate, has none but English ones. TABLES are by language; `whole`
// is by what is said there, `begun` by how that begins.

(() => {
    const { whole, begun } = TABLES[document.documentElement.lang] ?? {};
    if (!whole) return;
    const reword = (said) => {
        const text = said.trim();
        const ours = whole[text] ?? Object.entries(begun).find(([start]) => text.startsWith(start))?.[1];
        return ours === text ? undefined : ours; // what is written is seen again
    };
    const visit = (node) => {
        if (node.nodeType === Node.TEXT_NODE) {
            const ours = reword(node.data);
            if (ours) node.data = ours;
        } else if (node.nodeType === Node.ELEMENT_NODE) {
            visitAttributes(node);
            node.childNodes.forEach(visit);
        }
    };
    const visitAttributes = (element) => {
        for (const name of ATTRIBUTES) {
            const ours = element.hasAttribute(name) && reword(element.getAttribute(name));
            if (ours) element.setAttribute(name, ours);
        }
    };
    const ATTRIBUTES = ["aria-label", "title", "alt"];
    new MutationObserver((records) => {
        for (const { type, target, addedNodes } of records) {
            if (type === "attributes") visitAttributes(target);
            else if (type === "characterData") visit(target);
            else addedNodes.forEach(visit);
        }
    }).observe(document.body, { childList: true, subtree: true, characterData: true, attributeFilter: ATTRIBUTES });
    visit(document.body);
})();
