// Tries limits while a slider moves; without it, the form's button does the same.

import { localiseTimes } from "./page.js";

const PAUSE = 200; // ms without a change before the service is asked
const form = document.getElementById("choices");
const numbers = [...(form?.querySelectorAll("input[type=number]") ?? [])];
let timer = 0;
let asking = null;

/** Fetch the page for what is chosen, and put its result in place of the one that is shown. */
async function show() {
  asking?.abort();
  asking = new AbortController();
  const trial = document.getElementById("trial");
  const address = `${form.action}?${new URLSearchParams(new FormData(form))}`;
  trial.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(address, { signal: asking.signal, headers: { accept: "text/html" } });
    const found = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("trial");
    if (!answer.ok || !found) {
      location.assign(address); // the page that says what is wrong
      return;
    }
    localiseTimes(found);
    trial.replaceWith(document.adoptNode(found));
    history.replaceState(null, "", address);
  } catch (error) {
    if (error.name !== "AbortError") location.assign(address);
  }
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(show, PAUSE);
}

form?.addEventListener("input", (event) => {
  const { target } = event;
  if (target.dataset.for) document.getElementById(target.dataset.for).value = Number(target.value).toPrecision(5);
  if (target.type === "number") {
    const slider = form.querySelector(`[data-for="${target.id}"]`);
    if (slider && target.value) slider.value = target.value;
  }
  if (target.name === "part") {
    // Another part has other limits: begin with its own.
    location.assign(`${form.action}?${new URLSearchParams({ part: target.value, last: form.elements.last.value })}`);
    return;
  }
  if (numbers.every((each) => each.checkValidity())) soon();
});

form?.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(timer);
  show();
});

localiseTimes();
