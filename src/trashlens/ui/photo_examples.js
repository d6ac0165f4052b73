// The Photo tab's examples; runs behind `examples.js`.

// Gradio's input takes what is dropped on it whether it is empty, has a photo, or shows the camera.
offerExamples((file) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(file);
    const target = document.querySelector("#photo .upload-container");
    target.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
});
