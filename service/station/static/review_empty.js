// Nothing waits: look again now and then, and let the last judgement be undone.

import { shortcuts } from "./keys.js";
import { fill, texts } from "./page.js";
import { last, undoLast } from "./review_last.js";

const AGAIN_MS = 10000;
const words = texts().review;
const undo = document.getElementById("undo");

if (last()) {
  document.getElementById("last-words").textContent = fill(words.last, { words: last().words });
  document.getElementById("last").hidden = false;
}

async function undoIt() {
  if (!last()) return;
  const problem = document.getElementById("problem");
  problem.textContent = await undoLast(location.search).catch(() => words.offline);
  problem.hidden = problem.textContent === "";
}

undo.addEventListener("click", undoIt);
shortcuts({ u: undoIt });
for (const select of document.querySelectorAll("#queue select")) select.addEventListener("change", () => select.form.submit());
setInterval(() => document.activeElement?.closest("#queue") ?? location.reload(), AGAIN_MS);
