// A photo that fits its frame, and can be made larger; then the frame scrolls, by finger, wheel or arrow keys.

const STEP = 1.5;
const LARGEST = 16;

export class Stage {
  constructor(frame, paper, photo) {
    this.frame = frame;
    this.paper = paper;
    // Its own size, whatever it is shown at, and known before it has arrived.
    this.width = Number(photo.getAttribute("width"));
    this.height = Number(photo.getAttribute("height"));
    this.scale = 1;
    new ResizeObserver(() => this.fit()).observe(frame);
  }

  /** Larger or smaller by one step, around the middle of what is seen. */
  zoom(direction) {
    const before = this.scale;
    this.scale = Math.min(LARGEST, Math.max(1, before * STEP ** direction));
    const { scrollLeft, scrollTop, clientWidth, clientHeight } = this.frame;
    const grown = this.scale / before;
    this.fit();
    this.frame.scrollLeft = (scrollLeft + clientWidth / 2) * grown - clientWidth / 2;
    this.frame.scrollTop = (scrollTop + clientHeight / 2) * grown - clientHeight / 2;
  }

  fit() {
    const fitting = Math.min(this.frame.clientWidth / this.width, this.frame.clientHeight / this.height);
    const scale = Math.max(fitting, 0.001) * this.scale;
    this.paper.style.width = `${Math.floor(this.width * scale)}px`;
    this.paper.style.height = `${Math.floor(this.height * scale)}px`;
    this.paper.classList.toggle("crisp", scale > 2);
  }
}
