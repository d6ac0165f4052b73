// The Photo tab's examples, and what is pasted into the tab or dropped on it; runs behind `examples.js`.

// Gradio's input takes what is dropped on it whether it is empty, has a photo, or shows the camera.
const dropOnPhoto = (file) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(file);
    const target = document.querySelector("#photo .upload-container");
    target.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
};
const isFolder = ({ dataTransfer: { items } }) =>
    [...items].find(({ kind }) => kind === "file")?.webkitGetAsEntry()?.isDirectory;
// A folder has no content that could be sent: the server refuses a word in its place.
const retype = (event, file) => new File([isFolder(event) ? "folder" : file], file.name, { type: "image/unknown" });
const isImage = (event, file) => file.type.startsWith("image/") && !isFolder(event);
offerExamples(dropOnPhoto);
document.addEventListener("paste", ({ clipboardData }) => {
    const photo = [...clipboardData.files].find(({ type }) => type.startsWith("image/"));
    if (photo && element.checkVisibility()) dropOnPhoto(photo);
});
// Beside every field the browser would leave the page for the file; on this tab it is the photo that is meant.
document.addEventListener("dragover", (event) => {
    if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
});
document.addEventListener("drop", (event) => {
    const [file] = event.dataTransfer?.files ?? [];
    if (!file || event.defaultPrevented || event.target.closest?.("#photo")) return;
    event.preventDefault();
    if (element.checkVisibility()) dropOnPhoto(isImage(event, file) ? file : retype(event, file));
});
// Of what is dropped, Gradio takes only what the browser holds for an image; of the rest it says nothing where a photo is
// shown already. The server has a sentence for it, or an answer where only the browser does not know the format.
document.addEventListener("drop", (event) => {
    const [file] = event.dataTransfer?.files ?? [];
    if (!file || isImage(event, file) || !event.target.closest?.("#photo")) return;
    event.preventDefault(); // the browser would leave the page for it
    event.stopPropagation();
    event.target.dispatchEvent(new DragEvent("dragleave", { bubbles: true })); // Gradio waits for it no longer
    dropOnPhoto(retype(event, file));
}, true);
