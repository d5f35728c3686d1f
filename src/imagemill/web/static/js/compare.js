// The page Compare: two layers under one line, zoom and pan, and the way to the next picture by the keyboard.
import { ask } from "./offline.js";

const NEAR_PX = 28;
const LOOK_MS = 2_000;

const root = document.getElementById("compare");
const stage = document.getElementById("stage");
const layers = document.getElementById("layers");
const after = document.getElementById("after");
const before = document.getElementById("before");
const slider = document.getElementById("slider");
const line = document.getElementById("line");

let zoom = "fit";

/** The picture's own size, in dots of the screen. */
function natural() {
  const dots = window.devicePixelRatio || 1;
  return { width: Number(after.getAttribute("width")) / dots, height: Number(after.getAttribute("height")) / dots };
}

function scale() {
  if (zoom !== "fit") return Number(zoom);
  const { width, height } = natural();
  return Math.min(stage.clientWidth / width, stage.clientHeight / height, 1);
}

/** Lay the layers out, and keep the middle of what is seen in the middle. */
function layOut() {
  const middle = {
    x: (stage.scrollLeft + stage.clientWidth / 2) / Math.max(layers.offsetWidth, 1),
    y: (stage.scrollTop + stage.clientHeight / 2) / Math.max(layers.offsetHeight, 1),
  };
  const { width, height } = natural();
  const factor = scale();
  layers.style.width = `${Math.max(1, Math.round(width * factor))}px`;
  layers.style.height = `${Math.max(1, Math.round(height * factor))}px`;
  stage.classList.toggle("stage-dots", factor >= 2);
  stage.classList.toggle("stage-pans", isPanned());
  stage.scrollTo(middle.x * layers.offsetWidth - stage.clientWidth / 2, middle.y * layers.offsetHeight - stage.clientHeight / 2);
  cut();
}

function isPanned() {
  return layers.offsetWidth > stage.clientWidth || layers.offsetHeight > stage.clientHeight;
}

/** Show the original left of the line, which stands still on the screen while the picture moves below it. */
function cut() {
  if (!before) return;
  const frame = stage.getBoundingClientRect();
  const own = layers.getBoundingClientRect();
  const left = Math.max(frame.left, own.left);
  const right = Math.min(frame.left + stage.clientWidth, own.right);
  const x = left + ((right - left) * slider.value) / 100;
  before.style.clipPath = `inset(0 ${Math.max(0, own.right - x)}px 0 0)`;
  line.style.left = `${x - frame.left}px`;
  slider.setAttribute("aria-valuetext", `${slider.value} percent before, ${100 - slider.value} percent after`);
}

function slideTo(x) {
  const frame = stage.getBoundingClientRect();
  const own = layers.getBoundingClientRect();
  const left = Math.max(frame.left, own.left);
  const right = Math.min(frame.left + stage.clientWidth, own.right);
  slider.value = String(Math.round((100 * (x - left)) / Math.max(1, right - left)));
  cut();
}

/** Drag the line; when zoomed in, away from it, the picture. */
function drags() {
  let pan = null;
  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || (event.pointerType === "touch" && isPanned() && !isNearLine(event.clientX))) return;
    const pans = isPanned() && !isNearLine(event.clientX);
    if (!before && !pans) return;
    event.preventDefault();
    stage.focus({ preventScroll: true });
    stage.setPointerCapture(event.pointerId);
    pan = pans ? { x: event.clientX, y: event.clientY, left: stage.scrollLeft, top: stage.scrollTop } : { slides: true };
    if (pan.slides) slideTo(event.clientX);
  });
  stage.addEventListener("pointermove", (event) => {
    if (!pan) return;
    if (pan.slides) slideTo(event.clientX);
    else stage.scrollTo(pan.left - (event.clientX - pan.x), pan.top - (event.clientY - pan.y));
  });
  for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, () => (pan = null));
}

function isNearLine(x) {
  return Boolean(line) && Math.abs(x - line.getBoundingClientRect().left) <= NEAR_PX;
}

function zooms() {
  for (const button of document.querySelectorAll(".zoom")) {
    button.addEventListener("click", () => {
      zoom = button.dataset.zoom;
      for (const each of document.querySelectorAll(".zoom")) each.setAttribute("aria-pressed", String(each === button));
      layOut();
    });
  }
}

function missing(image, id) {
  const show = () => {
    document.getElementById(id).hidden = false;
    if (image === before) {
      before.remove();
      for (const each of document.querySelectorAll("#line, .corner, .slider")) each.remove();
    }
  };
  if (image.complete && !image.naturalWidth) show();
  else image.addEventListener("error", show);
}

/** Arrow keys lead on, unless they have another meaning where the focus is. */
function steps() {
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (event.target.closest("input, select, textarea")) return;
    if (event.target === stage && isPanned()) return;
    const id = { ArrowLeft: "previous", ArrowRight: "next" }[event.key];
    const link = id && document.getElementById(id);
    if (!link) return;
    event.preventDefault();
    link.click();
  });
}

/** A picture that has not ended yet appears when it has. */
function waits() {
  if (root.dataset.state !== "pending" && root.dataset.state !== "running") return;
  const look = async () => {
    try {
      const answer = await ask(root.dataset.api);
      if (answer.ok && (await answer.json()).state !== root.dataset.state) location.reload();
    } catch {
      // Offline: the next look may find it well.
    }
  };
  setInterval(() => document.hidden || look(), LOOK_MS);
}

if (stage) {
  missing(after, "no-output");
  if (before) missing(before, "no-original");
  slider?.addEventListener("input", cut);
  stage.addEventListener("scroll", cut);
  new ResizeObserver(layOut).observe(stage);
  zooms();
  drags();
  layOut();
}
steps();
waits();
