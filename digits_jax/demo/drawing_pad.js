// The drawing pad: white strokes on black, by mouse, pen or finger.
//
// Gradio runs this when the component is loaded. `element` is the component's HTML element. The
// drawing becomes `props.value`, a PNG in a data URL, when a stroke ends; "" when it is cleared.

const canvas = element.querySelector("canvas");
const context = canvas.getContext("2d");
context.lineWidth = Number(canvas.dataset.strokeWidth);
context.lineCap = context.lineJoin = "round";
context.strokeStyle = "white";

const clear = () => context.fillRect(0, 0, canvas.width, canvas.height); // the fill is black
clear();

function drawTo(event) {
  const box = canvas.getBoundingClientRect();
  context.lineTo(
    ((event.clientX - box.left) / box.width) * canvas.width,
    ((event.clientY - box.top) / box.height) * canvas.height,
  );
  context.stroke();
}

canvas.addEventListener("pointerdown", (event) => {
  event.preventDefault(); // otherwise a stroke selects text
  canvas.setPointerCapture(event.pointerId);
  context.beginPath();
  drawTo(event); // starts the path
  drawTo(event); // draws a dot
});
canvas.addEventListener("pointermove", (event) => {
  if (canvas.hasPointerCapture(event.pointerId)) drawTo(event);
});
canvas.addEventListener("lostpointercapture", () => {
  props.value = canvas.toDataURL("image/png");
});
element.querySelector("button").addEventListener("click", () => {
  clear();
  props.value = "";
});
