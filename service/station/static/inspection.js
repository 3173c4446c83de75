// The page of one inspection: the photo with its layers, and the regions and neighbours beside it.

import { HeatMap, heatColour, mapColour } from "./heat.js";
import { shortcuts } from "./keys.js";
import { fill, localiseTimes, texts as readTexts, url } from "./page.js";
import { Viewer } from "./viewer.js";

const SVG = "http://www.w3.org/2000/svg";
const element = (id) => document.getElementById(id);
const texts = readTexts().inspection;
const data = JSON.parse(element("inspection-data").textContent);

localiseTimes();
const viewer = element("window") ? showPhoto() : null;
shortcuts({
  j: () => document.querySelector("a[rel=prev]")?.click(),
  k: () => document.querySelector("a[rel=next]")?.click(),
  l: nextLayer,
});

function showPhoto() {
  const photo = element("photo");
  photo.addEventListener("load", () => (element("loading").hidden = true));
  photo.addEventListener("error", () => (element("loading").textContent = texts.failed));
  photo.src = url(data.photo);
  const made = new Viewer(element("window"), element("stage"), data.width, data.height);
  element("zoom-in").addEventListener("click", () => made.zoom(1.5));
  element("zoom-out").addEventListener("click", () => made.zoom(1 / 1.5));
  element("fit").addEventListener("click", () => made.fit());
  element("pixels").addEventListener("click", () => made.pixels());
  drawBoxes();
  for (const button of document.querySelectorAll("[data-region]")) {
    button.addEventListener("click", () => made.showBox(data.regions[button.dataset.region].box));
  }
  if (data.map) showMap(made);
  else if (data.overlay) showOverlay();
  if (element("difference")) onLayers(showDifference);
  readPixels(made, null);
  return made;
}

async function showMap(made) {
  const { map } = data;
  let heat;
  try {
    heat = await HeatMap.load(url(map.path), map);
  } catch (error) {
    console.error(error);
    element("loading").hidden = false;
    element("loading").textContent = texts.failed;
    return;
  }
  heat.draw(element("heat"), data.width, data.height, heatColour(map.scale, map.colours));
  heat.draw(element("map"), data.width, data.height, mapColour(map.scale, map.colours));
  const path = heat.contour(map.scale.limit, data.width, data.height);
  for (const id of ["contour", "contour-edge"]) element(id).setAttribute("d", path);
  element("opacity").value = Math.round(100 * map.opacity);
  const show = () => {
    const layer = currentLayer();
    element("heat").hidden = layer !== "heat";
    element("heat").style.opacity = element("opacity").value / 100;
    element("map").hidden = layer !== "map";
    element("marks").dataset.layer = layer;
    element("opacity").disabled = layer !== "heat";
  };
  onLayers(show);
  readPixels(made, heat);
}

function showOverlay() {
  const overlay = element("overlay");
  overlay.src = url(data.overlay);
  onLayers(() => {
    overlay.hidden = currentLayer() !== "heat";
    overlay.style.opacity = element("opacity").value / 100;
    element("marks").dataset.layer = currentLayer();
  });
}

// Fetched when it is first looked at: the service draws it for whoever asks.
function showDifference() {
  const picture = element("difference");
  const shown = currentLayer() === "difference";
  if (shown && !picture.src) {
    element("loading").textContent = texts.loading_difference;
    element("loading").hidden = false;
    picture.addEventListener("load", () => (element("loading").hidden = true));
    picture.addEventListener("error", () => (element("loading").textContent = texts.failed_difference));
    picture.src = url(data.difference);
  }
  picture.hidden = !shown;
  element("difference-scale").hidden = !shown;
  element("marks").dataset.layer = currentLayer();
}

function onLayers(show) {
  element("layers").addEventListener("change", show);
  element("opacity")?.addEventListener("input", show);
  show();
}

function currentLayer() {
  return document.querySelector("[name=layer]:checked")?.value ?? "photo";
}

function nextLayer() {
  const all = [...document.querySelectorAll("[name=layer]")];
  const next = all[(all.findIndex((each) => each.checked) + 1) % all.length];
  next?.click();
}

function drawBoxes() {
  const marks = element("marks");
  marks.setAttribute("viewBox", `0 0 ${data.width} ${data.height}`);
  data.regions.forEach(({ box }, index) => {
    const rect = document.createElementNS(SVG, "rect");
    for (const [name, value] of Object.entries(box)) rect.setAttribute(name, value);
    const label = document.createElementNS(SVG, "text");
    label.setAttribute("x", box.x);
    label.setAttribute("y", box.y);
    label.textContent = index + 1;
    element("boxes").append(rect, label);
  });
}

// What is under the pointer: the pixel, and the map's value there.
function readPixels(made, heat) {
  const frame = element("window");
  const read = (event) => {
    const { x, y } = made.toPhoto(event.clientX, event.clientY);
    const inside = x >= 0 && y >= 0 && x < data.width && y < data.height;
    const value = inside && heat ? heat.at(x / data.width, y / data.height).toFixed(2) : null;
    const said = { x: Math.floor(x), y: Math.floor(y), value };
    element("pixel").textContent = inside ? fill(value === null ? texts.pixel : texts.pixel_value, said) : "";
  };
  frame.onpointermove = read;
  frame.onpointerleave = () => (element("pixel").textContent = "");
  // Labels and lines keep their size on the screen.
  const rescale = () => element("marks").style.setProperty("--per-pixel", 1 / made.scale);
  made.addEventListener("change", rescale);
  rescale();
}

export { viewer };
