// A mask drawn over a photo, in the photo's own pixels: brush, box and eraser, by mouse, pen or finger.

// No colour of the heat, which goes from purple to yellow.
const COLOUR = "rgb(0, 229, 255)";
const OPAQUE = 128;

/**
 * Let a canvas over a photo be drawn on.
 * @param {HTMLCanvasElement} canvas lies over the photo, at any size on the screen
 * @param {function(): void} changed is called after every stroke
 */
export class Mask {
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.tool = "brush";
    this.size = 1;
    this.marked = 0;
    this.context = null;
    this.stroke = null;
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.end(event));
  }

  /** Take the photo's size in pixels; what was drawn before is gone. */
  open(width, height) {
    this.canvas.width = width;
    this.canvas.height = height;
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this.context.lineCap = this.context.lineJoin = "round";
  }

  begin(event) {
    if (event.button !== 0 || this.stroke) return;
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    const point = this.pixel(event);
    this.stroke = { id: event.pointerId, first: point, last: point, before: null };
    if (this.tool === "box") {
      this.stroke.before = this.context.getImageData(0, 0, this.canvas.width, this.canvas.height);
    } else {
      this.line(point, point);
    }
  }

  move(event) {
    if (this.stroke?.id !== event.pointerId) return;
    // A fast finger moves on between two frames.
    const passed = event.getCoalescedEvents?.() ?? [];
    for (const each of passed.length ? passed : [event]) {
      const point = this.pixel(each);
      if (this.tool === "box") this.box(point);
      else this.line(this.stroke.last, point);
      this.stroke.last = point;
    }
  }

  end(event) {
    if (this.stroke?.id !== event.pointerId) return;
    this.stroke = null;
    this.count();
  }

  line(from, to) {
    const context = this.context;
    context.globalCompositeOperation = this.tool === "eraser" ? "destination-out" : "source-over";
    context.strokeStyle = COLOUR;
    context.lineWidth = this.size;
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x, to.y);
    context.stroke();
  }

  box(to) {
    const { first, before } = this.stroke;
    const [left, right] = [first.x, to.x].sort((a, b) => a - b).map(Math.round);
    const [top, bottom] = [first.y, to.y].sort((a, b) => a - b).map(Math.round);
    this.context.putImageData(before, 0, 0);
    this.context.globalCompositeOperation = "source-over";
    this.context.fillStyle = COLOUR;
    this.context.fillRect(left, top, Math.max(1, right - left), Math.max(1, bottom - top));
  }

  clear() {
    this.context?.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.marked = 0;
    this.changed();
  }

  count() {
    const { data } = this.context.getImageData(0, 0, this.canvas.width, this.canvas.height);
    let marked = 0;
    for (let index = 3; index < data.length; index += 4) marked += data[index] >= OPAQUE ? 1 : 0;
    this.marked = marked;
    this.changed();
  }

  /** The mask as base64 of a PNG, opaque where it is marked; null where nothing is. */
  async encoded() {
    if (this.marked === 0) return null;
    const blob = await new Promise((resolve) => this.canvas.toBlob(resolve, "image/png"));
    const reader = new FileReader();
    await new Promise((resolve, reject) => {
      reader.onload = resolve;
      reader.onerror = () => reject(reader.error);
      reader.readAsDataURL(blob);
    });
    return reader.result.slice(reader.result.indexOf(",") + 1);
  }

  pixel(event) {
    const box = this.canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) * this.canvas.width) / box.width,
      y: ((event.clientY - box.top) * this.canvas.height) / box.height,
    };
  }
}
