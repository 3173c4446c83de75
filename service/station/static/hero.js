// The part that fills the board: verdict and picture change together, and slowly enough to be read.

import { fill, localTime, url, verdictWord } from "./page.js";

// Faster changes cannot be read, and flashing harms (WCAG 2.3.1: three times a second at most).
const SHOWN_MS = 500;
const REJECT_SHOWN_MS = 1000;
const REJECT_HELD_MS = 4000;
const PICTURE_MS = 2000;

const element = (id) => document.getElementById(id);

/** Shows one entry after the other; `texts` are the page's. */
export class Hero {
  constructor(texts) {
    this.texts = texts;
    this.latest = null;
    this.wanted = null;
    this.shown = null;
    this.shownAt = 0;
    this.busy = false;
    this.stale = false;
    this.timer = 0;
    // Counts what makes a picture that is still being loaded one of another choice.
    this.turn = 0;
  }

  /** Show this entry as soon as the one before it has been there long enough. */
  want(entry) {
    this.latest = entry;
    // Among parts that come faster than they can be shown, a reject is not lost to a clean one.
    if (!this.wanted || this.wanted.kind === "clean" || entry.kind !== "clean") this.wanted = entry;
    this.next();
  }

  /** Keep what is shown. */
  stop() {
    this.wanted = this.latest = this.shown;
  }

  /** Show this entry at once, whatever is there. */
  now(entry) {
    this.turn += 1;
    this.wanted = this.latest = entry;
    this.shownAt = 0;
    this.next();
  }

  /** Show no entry: there is none of what was chosen, and another's verdict must not stand for it. */
  clear() {
    clearTimeout(this.timer);
    this.turn += 1;
    this.wanted = this.latest = null;
    if (!this.shown) return;
    this.shown = null;
    this.shownAt = 0;
    for (const id of ["hero", "hero-verdict"]) element(id).dataset.kind = "none";
    element("hero-verdict").textContent = this.texts.board.waiting_next;
    for (const id of ["hero-facts", "hero-note", "hero-picture", "hero-missing"]) element(id).hidden = true;
    element("hero-link").removeAttribute("href");
  }

  /** Say that what is shown is old, or that it is not any more: nobody must take it for now. */
  setStale(stale) {
    if (stale === this.stale) return;
    this.stale = stale;
    if (this.shown) this.drawVerdict(this.shown);
  }

  next() {
    clearTimeout(this.timer);
    if (this.busy) return;
    this.wanted ??= this.latest;
    if (!this.wanted || (this.wanted.id === this.shown?.id && this.wanted.kind === this.shown.kind)) {
      this.wanted = null;
      return;
    }
    const wait = this.shownAt + this.dwell(this.wanted) - performance.now();
    if (this.shown && wait > 0) {
      this.timer = setTimeout(() => this.next(), wait);
      return;
    }
    const entry = this.wanted;
    this.wanted = null;
    this.show(entry);
  }

  dwell(next) {
    if (this.shown?.kind === "clean" || !this.shown) return next.kind === "clean" ? SHOWN_MS : 0;
    return next.kind === "clean" ? REJECT_HELD_MS : REJECT_SHOWN_MS;
  }

  async show(entry) {
    this.busy = true;
    const { turn } = this;
    const picture = entry.has_picture ? await load(url(`/station/pictures/${entry.id}`)) : null;
    requestAnimationFrame(() => {
      if (turn === this.turn) {
        this.draw(entry, picture);
        this.shown = entry;
        this.shownAt = performance.now();
      }
      this.busy = false;
      this.next();
    });
  }

  draw(entry, picture) {
    const { board } = this.texts;
    this.drawVerdict(entry);
    element("hero-facts").hidden = false;
    element("hero-serial").textContent = entry.serial || board.no_serial;
    element("hero-part").textContent = entry.part || "–";
    element("hero-camera").textContent = entry.camera || "–";
    element("hero-score").textContent = entry.score === null ? "–" : entry.score.toFixed(2);
    element("hero-time").dateTime = entry.time;
    element("hero-time").textContent = localTime(entry.time);
    const link = element("hero-link");
    if (entry.has_picture) link.href = url(`/station/inspections/${entry.id}`);
    else link.removeAttribute("href");
    const image = element("hero-picture");
    image.hidden = !picture;
    element("hero-missing").hidden = Boolean(picture);
    if (picture) {
      image.src = picture.src;
      image.alt = `${this.wordOf(entry)}, ${entry.serial || board.no_serial}`;
    }
  }

  drawVerdict(entry) {
    const kind = this.stale ? "invalid" : entry.kind;
    element("hero").dataset.kind = kind;
    element("hero-verdict").dataset.kind = kind;
    element("hero-verdict").textContent = this.stale ? this.texts.board.state.stale_short : this.wordOf(entry);
    const note = element("hero-note");
    note.textContent = this.noteOf(entry);
    note.hidden = !note.textContent;
  }

  wordOf(entry) {
    return verdictWord(this.texts.verdicts, entry.verdict);
  }

  noteOf(entry) {
    const { board, verdicts } = this.texts;
    if (this.stale) return fill(board.state.before, { verdict: this.wordOf(entry) });
    if (entry.kind === "invalid") return problemText(board, entry.code);
    return entry.needs_review ? verdicts.needs_review : "";
  }
}

/** Why a photo got no verdict, in words. */
export function problemText(board, code) {
  return code ? (board.problems[code] ?? fill(board.problems.other, { code })) : "";
}

/** The picture once it can be drawn; null if there is none, or it takes too long. */
async function load(source) {
  const image = new Image();
  image.src = source;
  const late = new Promise((resolve) => setTimeout(resolve, PICTURE_MS, null));
  const loaded = image.decode().then(
    () => image,
    () => null,
  );
  return Promise.race([loaded, late]);
}
