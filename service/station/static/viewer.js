// Zooming and panning over a stage that is as large as the photo, one CSS pixel to one of the photo's.

const STEP = 1.25;
const PAN = 60;
const MOST_ZOOM = 32;
const CRISP_FROM = 2; // From here on pixels are shown as squares.

/** Moves `stage` inside `frame`, by pointer, wheel, pinch and keyboard. */
export class Viewer extends EventTarget {
  /**
   * @param {HTMLElement} frame that is looked through
   * @param {HTMLElement} stage inside it, as large as the photo
   */
  constructor(frame, stage, width, height) {
    super();
    Object.assign(this, { frame, stage, width, height, scale: 1, x: 0, y: 0, fitted: true });
    /** Other tools, such as a brush, may take the pointer for themselves. */
    this.pans = true;
    this.pointers = new Map();
    stage.style.width = `${width}px`;
    stage.style.height = `${height}px`;
    frame.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    frame.addEventListener("pointerdown", (event) => this.onDown(event));
    frame.addEventListener("pointermove", (event) => this.onMove(event));
    for (const name of ["pointerup", "pointercancel"]) frame.addEventListener(name, (event) => this.onUp(event));
    frame.addEventListener("dblclick", (event) => this.zoomAt(2, event.clientX, event.clientY));
    frame.addEventListener("keydown", (event) => this.onKey(event));
    new ResizeObserver(() => (this.fitted ? this.fit() : this.apply())).observe(frame);
    this.fit();
  }

  /** Show all of the photo. */
  fit() {
    const { width, height } = this.frame.getBoundingClientRect();
    this.scale = Math.min(width / this.width, height / this.height) || 1;
    this.x = (width - this.width * this.scale) / 2;
    this.y = (height - this.height * this.scale) / 2;
    this.fitted = true;
    this.apply();
  }

  /** Show one pixel of the photo as one of the screen, around the middle. */
  pixels() {
    this.zoomTo(1 / window.devicePixelRatio);
  }

  /** Zoom by a factor around the middle. */
  zoom(factor) {
    const box = this.frame.getBoundingClientRect();
    this.zoomAt(factor, box.left + box.width / 2, box.top + box.height / 2);
  }

  zoomTo(scale) {
    this.zoom(scale / this.scale);
  }

  /** Show a rectangle of the photo with some room around it. */
  showBox({ x, y, width, height }) {
    const frame = this.frame.getBoundingClientRect();
    const room = 2.5;
    this.scale = this.bounded(Math.min(frame.width / (room * width), frame.height / (room * height), MOST_ZOOM / 4));
    this.x = frame.width / 2 - (x + width / 2) * this.scale;
    this.y = frame.height / 2 - (y + height / 2) * this.scale;
    this.fitted = false;
    this.apply();
  }

  zoomAt(factor, clientX, clientY) {
    const frame = this.frame.getBoundingClientRect();
    const scale = this.bounded(this.scale * factor);
    const [left, top] = [clientX - frame.left, clientY - frame.top];
    this.x = left - ((left - this.x) * scale) / this.scale;
    this.y = top - ((top - this.y) * scale) / this.scale;
    this.scale = scale;
    this.fitted = false;
    this.apply();
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.fitted = false;
    this.apply();
  }

  /** The photo's coordinates of a place on the screen, in pixels, not rounded. */
  toPhoto(clientX, clientY) {
    const frame = this.frame.getBoundingClientRect();
    return { x: (clientX - frame.left - this.x) / this.scale, y: (clientY - frame.top - this.y) / this.scale };
  }

  bounded(scale) {
    const { width, height } = this.frame.getBoundingClientRect();
    const all = Math.min(width / this.width, height / this.height);
    return Math.min(MOST_ZOOM, Math.max(Math.min(all, 1) / 2, scale));
  }

  apply() {
    // Some of the photo always stays in sight.
    const { width, height } = this.frame.getBoundingClientRect();
    this.x = Math.min(width / 2, Math.max(width / 2 - this.width * this.scale, this.x));
    this.y = Math.min(height / 2, Math.max(height / 2 - this.height * this.scale, this.y));
    this.stage.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    this.stage.classList.toggle("crisp", this.scale * window.devicePixelRatio >= CRISP_FROM);
    this.dispatchEvent(new Event("change"));
  }

  onWheel(event) {
    event.preventDefault();
    this.zoomAt(2 ** (-event.deltaY / 300), event.clientX, event.clientY);
  }

  onDown(event) {
    if (!this.pans || event.button > 1) return;
    this.frame.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, event);
  }

  onMove(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    if (this.pointers.size === 1) {
      this.pan(event.clientX - before.clientX, event.clientY - before.clientY);
    } else {
      const other = [...this.pointers.values()].find((each) => each.pointerId !== event.pointerId);
      const [was, is] = [before, event].map((each) =>
        Math.hypot(each.clientX - other.clientX, each.clientY - other.clientY),
      );
      if (was > 0) this.zoomAt(is / was, (event.clientX + other.clientX) / 2, (event.clientY + other.clientY) / 2);
      this.pan((event.clientX - before.clientX) / 2, (event.clientY - before.clientY) / 2);
    }
    this.pointers.set(event.pointerId, event);
  }

  onUp(event) {
    this.pointers.delete(event.pointerId);
  }

  onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const acts = {
      ArrowLeft: () => this.pan(PAN, 0),
      ArrowRight: () => this.pan(-PAN, 0),
      ArrowUp: () => this.pan(0, PAN),
      ArrowDown: () => this.pan(0, -PAN),
      "+": () => this.zoom(STEP),
      "=": () => this.zoom(STEP),
      "-": () => this.zoom(1 / STEP),
      0: () => this.fit(),
      1: () => this.pixels(),
    };
    if (!Object.hasOwn(acts, event.key)) return;
    event.preventDefault();
    acts[event.key]();
  }
}
