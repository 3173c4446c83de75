// The stream of events from the service: connects again by itself, and knows when it has fallen silent.

import { assetsVersion, url } from "./page.js";

const AGAIN_MS = 1000;
const LOST_MS = 2000; // A stream that is not back by then is lost, whatever the last sign of life.

/**
 * Follow the service's events.
 * @param {string} path of the stream
 * @param {number} silentSeconds without a beat after which the link counts as stale
 * @param {{snapshot: function, inspection: function, beat: function, state: function}} listener
 *   `state` is told `live`, `full`, `signed_out`, or `stale` with the seconds since the last sign of life.
 */
export function follow(path, silentSeconds, listener) {
  let source = null;
  let heard = performance.now();
  let lost = null;
  let state = "connecting";

  const become = (next, seconds = 0) => {
    if (next === "stale" || next !== state) listener.state(next, seconds);
    state = next;
  };
  const alive = () => {
    heard = performance.now();
    lost = null;
    become("live");
  };
  const on = (name, act) =>
    source.addEventListener(name, (event) => {
      alive();
      act(JSON.parse(event.data));
    });

  function connect() {
    source = new EventSource(url(path));
    on("snapshot", (value) => {
      // A service that was upgraded under the page has other scripts.
      if (value.assets !== assetsVersion) location.reload();
      else listener.snapshot(value);
    });
    on("inspection", listener.inspection);
    on("beat", listener.beat);
    source.addEventListener("full", () => become("full"));
    source.addEventListener("error", () => {
      lost ??= performance.now();
      if (source.readyState !== EventSource.CLOSED) return; // It tries again by itself.
      source.close();
      setTimeout(probe, AGAIN_MS);
    });
  }

  // The browser gives a stream up for good when it is answered with an error, and does not say which.
  async function probe() {
    try {
      const answer = await fetch(url("/station/pulse"), { cache: "no-store" });
      if (answer.status === 401 || answer.status === 403) return become("signed_out");
    } catch {
      // Nothing answers: go on trying.
    }
    connect();
  }

  setInterval(() => {
    const now = performance.now();
    const silent = (now - heard) / 1000;
    const gone = silent > silentSeconds || (lost !== null && now - lost > LOST_MS);
    if (gone && state !== "signed_out" && state !== "full") become("stale", Math.floor(silent));
  }, 500);
  connect();
}
