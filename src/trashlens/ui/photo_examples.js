// The Photo tab's examples, and what is pasted into the tab; runs behind `examples.js`.

// Gradio's input takes what is dropped on it whether it is empty, has a photo, or shows the camera.
const dropOnPhoto = (file) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(file);
    const target = document.querySelector("#photo .upload-container");
    target.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
};
offerExamples(dropOnPhoto);
document.addEventListener("paste", ({ clipboardData }) => {
    const photo = [...clipboardData.files].find(({ type }) => type.startsWith("image/"));
    if (photo && element.checkVisibility()) dropOnPhoto(photo);
});
