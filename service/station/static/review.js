// The review of one part: its photo, the judgement, and what to do when another operator was faster.

import { shortcuts, shortcutsDialog } from "./keys.js";
import { Mask } from "./mask.js";
import { fill, localiseTimes, localTime, send, texts, url, verdictWord } from "./page.js";
import { forget, keepOperator, last, operatorName, remember, undoLast } from "./review_last.js";
import { Stage } from "./stage.js";

const HOLD_MS = 30000;
const CLEAN = "clean";

const { review: words, verdicts } = texts();
const byId = (id) => document.getElementById(id);
const item = byId("review").dataset;
const nextPath = url(`/station/review${item.query}`);
const stage = byId("photo") ? new Stage(byId("stage"), byId("paper"), byId("photo")) : null;
const mask = byId("mask") ? new Mask(byId("canvas"), showMarked) : null;
let latest = item.latest || null;
let busy = false;
let leaving = false;

// What is said.

const chosenLabel = () => {
  const chosen = document.querySelector("input[name=label]:checked");
  return (chosen?.value || byId("other")?.value.trim()) || item.unnamed;
};

const labelName = (label) => {
  if (label === item.unnamed) return words.a_defect;
  return label === CLEAN ? words.good_part : verdictWord(verdicts, label);
};

/** What a decision makes of the part: its label, or null. */
function labelOf(decision) {
  if (decision === "cannot_tell") return null;
  const isDefect = (decision === "accept") === (item.kind === "defect");
  return isDefect ? chosenLabel() : CLEAN;
}

function inWords(decision, label) {
  const said = words.decisions[decision];
  return label ? `${said}, ${labelName(label)}` : said;
}

function showLabels() {
  for (const decision of ["accept", "overrule"]) byId(`${decision}-what`).textContent = labelName(labelOf(decision));
}

function say(problem) {
  byId("problem").textContent = problem;
  byId("problem").hidden = problem === "";
}

function operator() {
  const name = byId("operator").value.trim();
  if (name) keepOperator(name);
  else {
    say(words.operator_missing);
    byId("operator").focus();
  }
  return name;
}

async function orderOf(decision) {
  const label = labelOf(decision);
  return {
    decision,
    label: label === CLEAN ? null : label,
    note: byId("note").value,
    operator: byId("operator").value.trim(),
    mask: mask ? await mask.encoded() : null,
    supersedes: latest,
  };
}

async function judge(decision) {
  if (busy || !byId("operator") || !operator()) return;
  await saving(async () => post(await orderOf(decision)));
}

async function saving(act) {
  busy = true;
  say("");
  document.body.classList.add("busy");
  try {
    await act();
  } catch {
    say(words.offline);
  } finally {
    busy = false;
    document.body.classList.remove("busy");
  }
}

async function post(order) {
  const answer = await send(`/inspections/${item.id}/judgements`, { json: order });
  const said = await answer.json();
  if (answer.ok) {
    const inShort = inWords(said.decision, said.label);
    remember({ inspection: item.id, id: said.id, operator: said.operator, words: inShort });
    return goOn();
  }
  if (said.code === "judged_meanwhile") return showBoth(order);
  say(fill(words.failed, { detail: said.detail }));
}

function goOn() {
  leaving = true;
  location.assign(nextPath);
}

// Two operators on one part.

async function showBoth(order) {
  const answer = await fetch(url(`/inspections/${item.id}/judgements`), { cache: "no-store" });
  const past = (await answer.json()).judgements;
  const theirs = past.at(-1);
  const said = `${theirs.operator}, ${localTime(theirs.time)}: ${inWords(theirs.decision, theirs.label)}`;
  byId("theirs").textContent = theirs.note ? `${said}. ${theirs.note}` : said;
  const mine = `${order.operator}: ${inWords(order.decision, labelOf(order.decision))}`;
  byId("yours").textContent = order.note ? `${mine}. ${order.note}` : mine;
  byId("keep").onclick = goOn;
  byId("replace").onclick = () => {
    byId("conflict").close();
    latest = theirs.id;
    saving(() => post({ ...order, supersedes: theirs.id }));
  };
  byId("conflict").showModal();
}

// What was said last, and leases.

async function undo() {
  if (busy || !last()) return;
  await saving(async () => say(await undoLast(item.query)));
}

const lease = (more = {}) =>
  send(`/reviews/${item.id}/lease`, { json: { holder: item.holder, ...more }, keepalive: true });

async function later() {
  if (busy) return;
  await saving(async () => {
    const answer = await lease({ put_off: true });
    if (answer.ok) return goOn();
    say(fill(words.failed, { detail: (await answer.json()).detail }));
  });
}

function giveBack() {
  if (!leaving) lease({ give_back: true }).catch(() => {});
}

// The picture.

function showMarked() {
  const nothing = byId("mask-tools").hidden ? "" : words.mask_empty;
  byId("marked").textContent = mask.marked ? fill(words.mask_marked, { pixels: mask.marked }) : nothing;
}

function press(button, pressed) {
  button.setAttribute("aria-pressed", String(pressed));
}

function toggleHeat() {
  const button = byId("heat");
  if (!button) return;
  const shown = button.getAttribute("aria-pressed") !== "true";
  press(button, shown);
  byId("overlay").hidden = !shown;
}

function toggleMask() {
  const button = byId("mask");
  if (!button || !stage) return;
  const drawing = button.getAttribute("aria-pressed") !== "true";
  press(button, drawing);
  if (!mask.context) mask.open(stage.width, stage.height);
  byId("mask-tools").hidden = !drawing;
  byId("canvas").hidden = !drawing && mask.marked === 0;
  byId("canvas").classList.toggle("drawing", drawing);
  setSize();
  showMarked();
}

function choose(tool) {
  if (!mask) return;
  if (byId("mask").getAttribute("aria-pressed") !== "true") toggleMask();
  mask.tool = tool;
  for (const button of document.querySelectorAll("[data-tool]")) press(button, button.dataset.tool === tool);
}

/** The slider goes from one pixel to a tenth of the photo, finer at the small end. */
function setSize(step = 0) {
  const slider = byId("size");
  slider.value = Number(slider.value) + step;
  mask.size = Math.max(1, Math.round((Math.max(stage.width, stage.height) / 10) * (slider.value / 100) ** 2));
}

function chooseClass(number) {
  const chips = document.querySelectorAll("#classes input[name=label]:not(#other-chosen)");
  chips[number - 1]?.click();
}

// Everything is wired.

for (const button of document.querySelectorAll("[data-decision]")) {
  button.addEventListener("click", () => judge(button.dataset.decision));
}
for (const button of document.querySelectorAll("[data-tool]")) {
  button.addEventListener("click", () => choose(button.dataset.tool));
}
const wire = (id, event, act) => byId(id)?.addEventListener(event, act);
wire("heat", "click", toggleHeat);
wire("mask", "click", toggleMask);
wire("zoom-in", "click", () => stage?.zoom(1));
wire("zoom-out", "click", () => stage?.zoom(-1));
wire("size", "input", () => setSize());
wire("clear", "click", () => mask.clear());
wire("later", "click", later);
wire("undo", "click", undo);
wire("classes", "change", showLabels);
wire("other", "input", () => {
  byId("other-chosen").checked = true;
  showLabels();
});
wire("photo", "error", () => {
  byId("paper").hidden = true;
  byId("photo-failed").hidden = false;
});
for (const select of document.querySelectorAll("#queue select")) select.addEventListener("change", () => select.form.submit());
for (const id of ["note", "operator", "other"]) {
  // Out of the field, so that the next key is a shortcut again.
  wire(id, "keydown", (event) => {
    if (event.key === "Escape" || (event.key === "Enter" && id !== "note")) event.target.blur();
  });
}
addEventListener("pagehide", giveBack);
setInterval(() => lease().catch(() => {}), HOLD_MS);

shortcuts({
  a: () => judge("accept"),
  o: () => judge("overrule"),
  c: () => judge("cannot_tell"),
  u: undo,
  l: later,
  h: toggleHeat,
  m: toggleMask,
  b: () => choose("brush"),
  x: () => choose("box"),
  e: () => choose("eraser"),
  n: () => byId("note")?.focus(),
  "[": () => mask && setSize(-5),
  "]": () => mask && setSize(5),
  "+": () => stage?.zoom(1),
  "-": () => stage?.zoom(-1),
  ...Object.fromEntries([1, 2, 3, 4, 5, 6, 7, 8, 9].map((digit) => [digit, () => chooseClass(digit)])),
});
shortcutsDialog(byId("keys-open"), byId("keys"), byId("keys-on"));
localiseTimes();
if (byId("operator")) {
  byId("operator").value = operatorName() || item.name;
  byId("operator").addEventListener("change", () => keepOperator(byId("operator").value.trim()));
  showLabels();
}
if (last()?.inspection === item.id && !item.latest) forget();
if (last()) {
  byId("undo").hidden = false;
  byId("last-words").textContent = fill(words.last, { words: last().words });
}
document.body.dataset.ready = "true";
