// Where defects lie: a map over the mean clean part, which is asked for once the page is there.

import { heatColour, HeatMap } from "./heat.js";
import { fill, texts, url } from "./page.js";

const LONGEST_SIDE = 1024;
const { numbers: words, heat: colours } = texts();
const byId = (id) => document.getElementById(id);
const places = byId("places");

if (places) show().catch(fail);

function fail(error) {
  console.error(error);
  byId("places-state").textContent = words.places_failed;
}

async function show() {
  const answer = await fetch(url(places.dataset.address));
  if (!answer.ok) throw new Error(`the places were answered with ${answer.status}`);
  const found = await answer.json();
  const cells = found.cells.flat();
  const most = Math.max(...cells);
  byId("places-notes").textContent = notes(found).join(" ");
  if (most === 0) {
    byId("places-state").textContent = words.places_none;
    return;
  }
  byId("places-state").textContent = fill(words.places_counted, found);
  byId("places-most").textContent = fill(words.places_most, { most, ...found });
  byId("places-where").textContent = fill(words.places_where, { ...where(cells.indexOf(most), found), most, ...found });
  byId("places-scale").hidden = false;
  const mean = await load(byId("mean"), url(places.dataset.mean));
  if (!mean) byId("places-notes").append(` ${words.places_no_mean}`);
  draw(cells, found, most, mean);
}

function notes({ without_place, good, shortened }) {
  const said = [];
  if (without_place) said.push(fill(words.places_elsewhere, { count: without_place }));
  if (good) said.push(fill(words.places_good, { count: good }));
  if (shortened) said.push(words.places_shortened);
  return said;
}

/** The middle of a cell, in whole hundredths of the picture. */
function where(cell, { rows, columns }) {
  const [row, column] = [Math.floor(cell / columns), cell % columns];
  return { x: Math.round((100 * (column + 0.5)) / columns), y: Math.round((100 * (row + 0.5)) / rows) };
}

/** The picture once it is there; null where there is none. */
function load(picture, address) {
  return new Promise((done) => {
    picture.addEventListener("load", () => done(picture));
    picture.addEventListener("error", () => done(null));
    picture.src = address;
  });
}

function draw(cells, found, most, mean) {
  const { rows, columns, defects } = found;
  const map = new HeatMap(Float32Array.from(cells), columns, rows);
  const [width, height] = mean ? [mean.naturalWidth, mean.naturalHeight] : [columns, rows];
  const scale = LONGEST_SIDE / Math.max(width, height);
  const canvas = byId("spots");
  byId("plate").hidden = false;
  byId("mean").hidden = !mean;
  map.draw(canvas, width * scale, height * scale, heatColour({ start: 0, limit: most / 4, top: most }, colours));
  canvas.setAttribute("aria-label", `${words.places_alt} ${byId("places-where").textContent}`);
  canvas.addEventListener("pointermove", (event) => {
    const column = Math.min(columns - 1, Math.floor((event.offsetX / canvas.clientWidth) * columns));
    const row = Math.min(rows - 1, Math.floor((event.offsetY / canvas.clientHeight) * rows));
    const cell = Math.max(0, row) * columns + Math.max(0, column);
    byId("places-here").textContent = fill(words.places_here, { ...where(cell, found), count: cells[cell], defects });
  });
}
