"""A board to draw on in a web page: white strokes on black, by mouse, pen or finger.

For `gradio.HTML`, whose value becomes the drawing, as a PNG in a data URL, when a stroke ends, and
the empty string when the board is cleared.
"""

import base64

SIDE = 240  # px; so small that of the 100 px around a stroke most are not ink
STROKE = 12  # px wide

HTML = f"""
<canvas width="{SIDE}" height="{SIDE}" data-stroke="{STROKE}" aria-label="drawing board"></canvas>
<button type="button">Clear</button>"""

STYLE = """
canvas { display: block; width: 100%; max-width: 480px; background: black; border-radius: 4px;
  cursor: crosshair; touch-action: none; user-select: none; }
button { margin-top: 8px; padding: 4px 16px; border: 1px solid; border-radius: 4px; }
"""

SCRIPT = """
const canvas = element.querySelector("canvas");
const pen = canvas.getContext("2d");
pen.lineWidth = Number(canvas.dataset.stroke);
pen.lineCap = pen.lineJoin = "round";
pen.strokeStyle = "white";

const clear = () => pen.fillRect(0, 0, canvas.width, canvas.height);  // with black
clear();

function drawTo(event) {
  const box = canvas.getBoundingClientRect();
  pen.lineTo(((event.clientX - box.left) / box.width) * canvas.width,
             ((event.clientY - box.top) / box.height) * canvas.height);
  pen.stroke();
}

canvas.addEventListener("pointerdown", (event) => {
  event.preventDefault();  // a stroke selects no text
  canvas.setPointerCapture(event.pointerId);
  pen.beginPath();
  drawTo(event);  // a line to where it is already
  drawTo(event);
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
"""


def drawing_file(url: str) -> bytes:
    """The PNG of a drawing, ink bright."""
    return base64.b64decode(url.partition(",")[2])
