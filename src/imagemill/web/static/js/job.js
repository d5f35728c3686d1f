// The page Job: numbers move with the stream of events, parts are asked for anew when they are others.
import { ask, onReturn } from "./offline.js";
import { listen } from "./events.js";
import { announce } from "./notes.js";
import { showTimes } from "./times.js";
import { count, duration, percent, size } from "./units.js";

const PARTS_MS = 2_000;
const QUARTER = 25;
const CALLBACK_LOOKS = 30;

const root = document.getElementById("job");
const place = (name) => document.getElementById(`job-${name}`);
const state = () => document.getElementById("job-state").dataset;

let stop = null;
let last = null;
let told = null;
const title = document.title;
const timers = new Map();

/** Put words into a field, where they are others: an unchanged text is not painted again. */
function put(name, text) {
  for (const field of root.querySelectorAll(`[data-field="${name}"]`)) {
    if (field.textContent !== text) field.textContent = text;
  }
}

function widen(name, share) {
  root.querySelector(`[data-field="${name}"]`)?.setAttribute("width", `${share.toFixed(1)}%`);
}

function showNumbers(job) {
  const { counts, bytes } = job;
  const settled = counts.images - counts.pending - counts.running;
  put("done", count(counts.done));
  put("failed", count(counts.failed));
  root.querySelector('[data-field="failed"]')?.classList.toggle("tone-bad", counts.failed > 0);
  put("pace", job.images_per_s === null ? "–" : job.images_per_s.toFixed(1));
  put("left", job.eta_s === null || job.state !== "processing" ? "–" : duration(job.eta_s));
  put("before", size(bytes.source));
  put("after", size(bytes.output));
  put("saved", bytes.source ? percent(bytes.saved_percent) : "–");
  put("difference", size(bytes.source - bytes.output));
  root.querySelector('[data-field="some-saving"]')?.toggleAttribute("hidden", !bytes.source);
  root.querySelector('[data-field="no-saving"]')?.toggleAttribute("hidden", bytes.source > 0);
  widen("before-bar", bytes.source ? 100 : 0);
  widen("after-bar", bytes.source ? (100 * bytes.output) / bytes.source : 0);
  root.querySelector('[data-field="bar"]')?.setAttribute("aria-valuenow", settled);
  widen("done-bar", (100 * counts.done) / Math.max(counts.images, 1));
  widen("ended-bar", (100 * (counts.done + counts.failed)) / Math.max(counts.images, 1));
  const done = counts.images ? (100 * settled) / counts.images : 100;
  document.title = job.finished_at === null ? `${Math.floor(done)} % · ${title}` : title;
  tellQuarters(done);
}

/** A screen reader hears of each quarter, not of each picture. */
function tellQuarters(done) {
  const quarter = Math.floor(done / QUARTER);
  if (told !== null && quarter > told && done < 100) announce(`${quarter * QUARTER} percent of the pictures have ended`);
  told = quarter;
}

/**
 * Ask for a part of the page anew, at most every two seconds; not under somebody's hands, but as soon as they are gone.
 * With `now` at once, whoever is there: then something has ended. The list of images waits even so.
 */
function renew(name, now = false) {
  if (timers.has(name)) return;
  const wait = async () => {
    const part = place(name);
    const isInUse = part.contains(document.activeElement) || part.matches(":hover");
    if (isInUse && (!now || name === "images")) {
      timers.set(name, setTimeout(wait, PARTS_MS));
      return;
    }
    await load(name, part);
    timers.delete(name);
  };
  timers.set(name, setTimeout(wait, now ? 0 : PARTS_MS));
}

/** In the sheet's order images stay where they are; in another they would run about while the job goes on. */
function isStable() {
  return ["sheet", null].includes(new URLSearchParams(location.search).get("order"));
}

async function load(name, part) {
  const query = name === "images" ? location.search : "";
  try {
    const answer = await ask(`${root.dataset.url}/${name}${query}`);
    if (!answer.ok) return;
    const hadFocus = part.contains(document.activeElement);
    part.innerHTML = await answer.text();
    part.hidden = !part.innerHTML.trim();
    window.htmx?.process(part);
    showTimes(part);
    if (hadFocus) focusAgain();
  } catch {
    // Offline: the stream asks again when it is back.
  }
}

function focusAgain() {
  document.getElementById("job-title").focus({ preventScroll: true });
}

function show(job) {
  const isOther = job.state !== state().state;
  if (!last || job.counts.done !== last.counts.done) renew("newest");
  if (!last || job.counts.failed !== last.counts.failed) renew("failures", !last);
  const hasMoved = !last || job.counts.pending !== last.counts.pending || job.counts.running !== last.counts.running;
  if (hasMoved && isStable()) renew("images");
  last = job;
  showNumbers(job);
  if (isOther) renew("live", true);
}

function end(job) {
  stop?.();
  stop = null;
  show(job);
  for (const name of ["live", "failures", "newest", "images", "callback"]) {
    clearTimeout(timers.get(name));
    timers.delete(name);
    renew(name, true);
  }
  setTimeout(() => followCallback(), PARTS_MS);
  const { done, failed } = job.counts;
  announce(`The job has ended: ${count(done)} pictures done, ${count(failed)} failed, ${percent(job.bytes.saved_percent)} smaller`);
}

/** The end is told a moment after it: look how that goes, for a while. */
function followCallback(looks = CALLBACK_LOOKS) {
  if (document.getElementById("callback-state")?.dataset.pending !== "yes" || !looks) return;
  setTimeout(async () => {
    if (!document.hidden) await load("callback", place("callback"));
    followCallback(looks - 1);
  }, PARTS_MS);
}

function gone() {
  stop = null;
  location.reload();
}

function watch() {
  if (stop) return;
  const api = root.dataset.api;
  stop = listen(`${api}/events`, { progress: show, finished: end }, () => {}, { probe: api, onGone: gone });
}

/** Look whether an ended job was begun again elsewhere, when somebody comes back to the page. */
async function lookAgain() {
  if (document.hidden || stop) return;
  try {
    const answer = await ask(root.dataset.api);
    if (answer.status === 404) location.reload();
    if (!answer.ok) return;
    const job = await answer.json();
    if (job.finished_at === null) watch();
    else if (job.state !== state().state) end(job);
  } catch {
    // Offline: `onReturn` looks again.
  }
}

/** Dialogs open by a button that names them, and close by one, by Escape, or beside them. */
function dialogs() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-opens], [data-closes]");
    if (button?.dataset.opens) document.getElementById(button.dataset.opens).showModal();
    if (button?.dataset.closes) document.getElementById(button.dataset.closes).close();
    if (event.target instanceof HTMLDialogElement) event.target.close();
  });
}

// Errors of pictures do not bubble, but can be caught on their way down.
function missingThumbs() {
  root.addEventListener("error", (event) => event.target.classList?.contains("thumb") && hide(event.target), true);
  for (const thumb of root.querySelectorAll("img.thumb")) if (thumb.complete && !thumb.naturalWidth) hide(thumb);
}

function hide(thumb) {
  const none = document.createElement("span");
  none.className = "thumb thumb-none";
  none.innerHTML = '<svg class="icon" aria-hidden="true"><use href="#icon-image"/></svg>';
  thumb.replaceWith(none);
}

dialogs();
missingThumbs();
if (state().finished === "no") watch();
else followCallback();
document.addEventListener("visibilitychange", lookAgain);
onReturn(lookAgain);
