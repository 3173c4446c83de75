// What all pages of the station share: addresses, texts, times, and requests that change something.

const root = document.documentElement;

/** The address of a path of this service, also behind a proxy that adds a prefix. */
export const url = (path) => root.dataset.base + path;

/** The version of the assets that this page was made with. */
export const assetsVersion = root.dataset.assets;

/** The page's texts, as its template handed them over. */
export function texts() {
  return JSON.parse(document.getElementById("texts").textContent);
}

/** Put values into a text: fill("{n} parts", {n: 3}). */
export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** A verdict in words; defect classes go by their own names. */
export function verdictWord(words, verdict) {
  const word = Object.hasOwn(words, verdict) ? words[verdict] : verdict;
  return word.charAt(0).toUpperCase() + word.slice(1);
}

const today = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const earlier = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** A moment in the browser's zone; the date only if it is not today's. */
export function localTime(iso) {
  const time = new Date(iso);
  return (time.toDateString() === new Date().toDateString() ? today : earlier).format(time);
}

/** Show every <time datetime> of the page in the browser's zone, and its zone when it is pointed at. */
export function localiseTimes(within = document) {
  for (const element of within.querySelectorAll("time[datetime]")) {
    element.textContent = localTime(element.dateTime);
    element.title = new Date(element.dateTime).toString();
  }
}

/** Send something that changes the service; the answer is a Response. */
export function send(path, { method = "POST", json, body, headers = {} } = {}) {
  const given = { ...headers, "X-Csrf-Token": root.dataset.csrf };
  if (json !== undefined) given["Content-Type"] = "application/json";
  return fetch(url(path), { method, headers: given, body: json === undefined ? body : JSON.stringify(json) });
}
