// The live board: takes events in as they come and draws them at most once a frame.

import { Hero, problemText } from "./hero.js";
import { shortcuts, shortcutsDialog } from "./keys.js";
import { Lines } from "./lines.js";
import { follow } from "./link.js";
import { fill, localTime, texts as readTexts, url, verdictWord } from "./page.js";

const STRIP = 60;
const REJECTED = 8;

const element = (id) => document.getElementById(id);
const texts = readTexts();
const hero = new Hero(texts);
const lines = new Lines(texts, chooseCamera);
const rejectTemplate = element("reject-template");

let entries = []; // the newest first
let camera = null; // null: all
let rejectsOnly = false;
let paused = false;
let drawing = false;

// A camera beyond those that are told apart counts as another; the service says as which.
const lineOf = (entry) => entry.line ?? entry.camera;
// What was refused before its camera was read may be of any: no camera's last "Clean" may stand in its place.
const ofCamera = (entry) =>
  camera === null || lineOf(entry) === camera || (entry.kind === "invalid" && !entry.camera);
const passes = (entry) => ofCamera(entry) && (!rejectsOnly || entry.kind !== "clean");

function drawSoon() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    lines.draw();
    drawStrip();
    drawRejected();
  });
}

function take(entry) {
  entries = [entry, ...entries.filter((other) => other.id !== entry.id)].slice(0, 4 * STRIP);
  if (!paused && passes(entry)) {
    hero.want(entry);
    if (entry.kind !== "clean") announce(entry);
  }
}

let announced = 0;
function announce(entry) {
  // A screen reader cannot follow a fast line: it is told of a reject every few seconds.
  if (performance.now() - announced < 5000) return;
  announced = performance.now();
  const words = [verdictWord(texts.verdicts, entry.verdict), entry.serial, problemText(texts.board, entry.code)];
  element("announcer").textContent = words.filter(Boolean).join(", ");
}

/** Whether this was drawn of the entry as it is: a verdict may have been taken back since. */
const isOf = (drawn, entry) => drawn.dataset.id === entry.id && drawn.dataset.kind === entry.kind;

function drawStrip() {
  const strip = element("strip");
  const wanted = entries.filter(ofCamera).slice(0, STRIP);
  while (strip.childElementCount < wanted.length) strip.append(document.createElement("span"));
  while (strip.childElementCount > wanted.length) strip.lastElementChild.remove();
  wanted.forEach((entry, index) => {
    const mark = strip.children[index];
    if (isOf(mark, entry)) return;
    mark.className = "verdict";
    mark.dataset.id = entry.id;
    mark.dataset.kind = entry.kind;
  });
}

function drawRejected() {
  const list = element("rejected");
  const wanted = entries.filter((entry) => entry.kind !== "clean" && ofCamera(entry)).slice(0, REJECTED);
  element("none-rejected").hidden = wanted.length > 0;
  const here = new Map([...list.children].map((item) => [item.dataset.id, item]));
  const items = wanted.map((entry) => {
    const item = here.get(entry.id);
    return item && isOf(item, entry) ? item : rejectItem(entry);
  });
  if (items.length !== list.childElementCount || items.some((item, index) => list.children[index] !== item)) {
    list.replaceChildren(...items);
  }
}

function rejectItem(entry) {
  const item = rejectTemplate.content.firstElementChild.cloneNode(true);
  item.dataset.id = entry.id;
  item.dataset.kind = entry.kind;
  const find = (name) => item.querySelector(name);
  const verdict = find(".reject > .verdict");
  verdict.dataset.kind = entry.kind;
  verdict.textContent = verdictWord(texts.verdicts, entry.verdict);
  find(".reject-serial").textContent = entry.serial || problemText(texts.board, entry.code) || texts.board.no_serial;
  find(".reject-camera").textContent = entry.camera;
  find("time").dateTime = entry.time;
  find("time").textContent = localTime(entry.time);
  if (entry.has_picture) {
    find(".reject").href = url(`/station/inspections/${entry.id}`);
    find("img").src = url(`/station/pictures/${entry.id}`);
  } else {
    find(".thumb").append(Object.assign(document.createElement("span"), { className: "verdict" }));
    find(".thumb .verdict").dataset.kind = entry.kind;
    find("img").remove();
  }
  return item;
}

function showNewest() {
  const newest = entries.find(passes);
  if (newest) hero.now(newest);
  else hero.clear();
}

function chooseCamera(name) {
  camera = name === camera ? null : name;
  lines.mark(camera);
  element("all-cameras").setAttribute("aria-pressed", String(camera === null));
  showNewest();
  drawSoon();
}

function togglePause() {
  paused = !paused;
  const button = element("pause");
  button.setAttribute("aria-pressed", String(paused));
  button.textContent = paused ? texts.board.paused : texts.board.pause;
  if (paused) hero.stop();
  else showNewest();
}

function toggleRejects() {
  rejectsOnly = !rejectsOnly;
  element("rejects").setAttribute("aria-pressed", String(rejectsOnly));
  showNewest();
}

function drawStatus(status) {
  lines.drawAlarms(status.alarms);
  element("keys-refused").hidden = !status.keys_refused;
  element("not-ready").hidden = status.ready;
  if (status.ready) return;
  const shown = [...element("reasons").children].map((item) => item.textContent);
  if (shown.join("\n") === status.reasons.join("\n")) return;
  element("reasons").replaceChildren(
    ...status.reasons.map((reason) => Object.assign(document.createElement("li"), { textContent: reason })),
  );
}

function drawState(state, seconds) {
  const words = texts.board.state;
  if (state === "signed_out") return location.reload();
  const stale = state !== "live";
  document.body.dataset.state = state;
  hero.setStale(stale);
  const label = element("link-state");
  label.dataset.state = state;
  const short = stale ? words.stale_short : words.live;
  if (label.textContent !== short) label.textContent = short;
  const banner = element("stale");
  banner.hidden = !stale;
  banner.textContent = state === "full" ? words.full : fill(words.stale, { seconds });
}

const silent = 3 * Number(element("board").dataset.beat);
follow("/station/events", silent, {
  snapshot(value) {
    entries = value.entries;
    lines.reset(value.cameras);
    drawStatus(value.status);
    if (!paused) showNewest();
    drawSoon();
  },
  inspection(value) {
    take({ ...value.entry, line: value.camera.name });
    lines.take(value.camera);
    drawSoon();
  },
  beat: drawStatus,
  state: drawState,
});

element("pause").addEventListener("click", togglePause);
element("rejects").addEventListener("click", toggleRejects);
element("all-cameras").addEventListener("click", () => chooseCamera(null));
shortcutsDialog(element("keys-open"), element("keys"), element("keys-on"));
shortcuts({
  p: togglePause,
  r: toggleRejects,
  o: () => element("hero-link").href && element("hero-link").click(),
  0: () => chooseCamera(null),
  ...Object.fromEntries(
    [1, 2, 3, 4, 5, 6, 7, 8, 9].map((digit) => [
      digit,
      () => lines.names[digit - 1] !== undefined && chooseCamera(lines.names[digit - 1]),
    ]),
  ),
});
