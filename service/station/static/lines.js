// The cameras beside the board: how each line runs, and what is wrong with it.

import { fill, localTime, verdictWord } from "./page.js";

const OTHER = "other"; // What the service calls all cameras beyond those that it tells apart.
const list = document.getElementById("cameras");
const template = document.getElementById("camera-template");

/** The list of cameras; `choose` is called with a camera's name when it is pressed. */
export class Lines {
  constructor(texts, choose) {
    this.texts = texts;
    this.choose = choose;
    this.items = new Map();
    this.changed = new Map();
    this.alarms = {};
  }

  get names() {
    return [...this.items.keys()];
  }

  /** Take a camera's new numbers; they are drawn with the next frame. */
  take(camera) {
    this.changed.set(camera.name, camera);
  }

  /** Begin anew with these cameras. */
  reset(cameras) {
    for (const camera of cameras) this.take(camera);
    const names = new Set(cameras.map((camera) => camera.name));
    for (const [name, item] of this.items) {
      if (!names.has(name)) {
        item.remove();
        this.items.delete(name);
      }
    }
  }

  draw() {
    for (const camera of this.changed.values()) this.drawOne(camera);
    this.changed.clear();
  }

  drawAlarms(alarms) {
    this.alarms = alarms;
    for (const [name, item] of this.items) this.drawAlarmsOf(name, item);
  }

  mark(chosen) {
    for (const [name, item] of this.items) {
      item.querySelector(".camera").setAttribute("aria-pressed", String(name === chosen));
    }
  }

  drawOne(camera) {
    const { board, verdicts } = this.texts;
    const item = this.items.get(camera.name) ?? this.add(camera.name);
    const { rejected, judged, invalid, last } = camera;
    const find = (name) => item.querySelector(name);
    find(".camera-rate").textContent = [
      judged ? fill(board.rate, { rejected, judged }) : board.rate_none,
      ...(invalid ? [fill(board.not_inspected, { count: invalid })] : []),
    ].join(", ");
    find(".camera-bar span").style.width = judged ? `${(100 * rejected) / judged}%` : "0";
    if (!last) return;
    const verdict = find(".verdict");
    verdict.dataset.kind = last.kind;
    verdict.textContent = verdictWord(verdicts, last.verdict);
    find(".camera-last").textContent = [last.part, last.serial, localTime(last.time)].filter(Boolean).join(" · ");
  }

  add(name) {
    const item = template.content.firstElementChild.cloneNode(true);
    const { unnamed_camera, other_cameras } = this.texts.board;
    item.querySelector(".camera-name").textContent = name === OTHER ? other_cameras : name || unnamed_camera;
    item.querySelector(".camera").addEventListener("click", () => this.choose(name));
    const next = this.names.find((other) => other > name);
    list.insertBefore(item, next === undefined ? null : this.items.get(next));
    this.items = new Map([...this.items, [name, item]].sort(([a], [b]) => (a < b ? -1 : 1)));
    this.drawAlarmsOf(name, item);
    return item;
  }

  drawAlarmsOf(name, item) {
    const place = item.querySelector(".camera-alarms");
    const wanted = (this.alarms[name] ?? []).map(
      ({ kind, detail }) => this.texts.board.alarms[kind] + (detail ? `: ${detail}` : ""),
    );
    if (place.dataset.shown === wanted.join("\n")) return;
    place.dataset.shown = wanted.join("\n");
    place.replaceChildren(
      ...wanted.map((text) => Object.assign(document.createElement("span"), { className: "alarm", textContent: text })),
    );
  }
}
