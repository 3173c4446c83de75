// The models page: nothing is changed before it was said what changes, and confirmed.

import { fill, localiseTimes, send, texts } from "./page.js";

const SECONDS = 5;
const words = texts().models.confirm;
const told = document.getElementById("changes").textContent;
const changes = JSON.parse(told);
const dialog = document.getElementById("confirm");
const title = document.getElementById("confirm-title");
const list = document.getElementById("confirm-changes");
const problem = document.getElementById("confirm-problem");
const busy = document.getElementById("confirm-busy");
const yes = document.getElementById("confirm-yes");
const no = document.getElementById("confirm-no");

const REQUESTS = {
  activate: (part, version) => send(`/parts/${part}/activate`, { json: { version } }),
  shadow: (part, version) => send(`/parts/${part}/shadow`, { json: { version } }),
  end: (part) => send(`/parts/${part}/shadow`, { method: "DELETE" }),
};

let wanted = null;

function ask(act, part, version) {
  wanted = { act, part, version };
  title.textContent = fill(words[act], { version });
  list.replaceChildren(
    ...changes[part][version][act].map((text) => Object.assign(document.createElement("li"), { textContent: text })),
  );
  yes.textContent = words[`yes_${act}`];
  show({ text: "", working: false });
  dialog.showModal();
  // A key that is pressed twice must not change what serves.
  no.focus();
}

function show({ text, working }) {
  problem.textContent = text;
  problem.hidden = !text;
  busy.textContent = working ? (wanted.act === "end" ? words.busy_end : words.busy) : "";
  yes.disabled = working;
  no.disabled = working;
}

async function carryOut() {
  const { act, part, version } = wanted;
  show({ text: "", working: true });
  try {
    const answer = await REQUESTS[act](part, version);
    if (answer.ok) {
      location.reload();
      return;
    }
    show({ text: (await answer.json()).detail || words.failed, working: false });
  } catch {
    show({ text: words.unreachable, working: false });
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (button) ask(button.dataset.act, button.closest("[data-part]").dataset.part, button.dataset.version);
});
yes.addEventListener("click", carryOut);
no.addEventListener("click", () => dialog.close());
dialog.addEventListener("cancel", (event) => {
  if (no.disabled) event.preventDefault();
});

/** Bring what candidates have shown up to date, unless somebody is at it. */
async function refresh() {
  const live = [...document.querySelectorAll("[data-live]")];
  if (!live.length || document.hidden || dialog.open) return;
  let answer;
  try {
    answer = await fetch(location.href, { headers: { accept: "text/html" } });
  } catch {
    return; // The next time may go better; the board says when the service is gone.
  }
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (dialog.open) return;
  // Somebody else has changed what serves or what runs: nothing that a press would be said to change holds.
  if (page.getElementById("changes").textContent !== told) {
    location.reload();
    return;
  }
  localiseTimes(page);
  for (const element of live) {
    const now = page.getElementById(element.id);
    if (now && !element.contains(document.activeElement) && now.innerHTML !== element.innerHTML) element.replaceWith(now);
  }
}

localiseTimes();
setInterval(refresh, 1000 * SECONDS);
document.body.dataset.ready = "true";
