// Start: a sheet, links or pictures come in by drop, click, paste or keys; they are checked, shown, and made a job.
import { announce, note } from "./notes.js";
import { onReturn } from "./offline.js";
import { Refusal, get, send, sendJson } from "./send.js";
import { Estimate } from "./start-estimate.js";
import { Look, draftPictures, filePictures } from "./start-look.js";
import { fieldsOf, recipeOf, showWrongFields, watchOptions } from "./start-options.js";
import { candidates, element, rowOf, sentence, showSheet, trouble } from "./start-sheet.js";
import { showPictures } from "./start-pictures.js";
import { takeDrops } from "./start-drop.js";
import { count, counted, size } from "./units.js";

const at = (id) => document.getElementById(id);
const root = at("start");
const SECTIONS = ["begin", "busy", "refused", "ready"];
const MOST_WARNINGS = 20;

/** What is on the table: `source` as it came, `draft` as it was checked, `column` where one was chosen. */
const now = { source: null, draft: null, column: "", control: null, again: null };
let asked = { body: "", key: "" };

const look = new Look(recipeOf, () => recheck());
const estimate = new Estimate(() => bodyOf(), () => recheck());

function show(name, title) {
  for (const section of SECTIONS) at(section).hidden = section !== name;
  const heading = at(`${name}-title`);
  if (title) heading.textContent = title;
  heading.focus({ preventScroll: name === "ready" });
  if (name === "ready") scrollTo({ top: 0 });
}

function begin() {
  now.control?.abort();
  forgetDraft();
  Object.assign(now, { source: null, control: null, again: null });
  history.replaceState(null, "", location.pathname);
  show("begin");
}

// Coming in

function take(files) {
  const pictures = files.filter(isPicture);
  if (!files.length) return;
  if (pictures.length === files.length) return takePictures(pictures);
  if (pictures.length) return note("Drop either a sheet or pictures, not both.", "bad");
  if (files.length > 1) return note("One sheet at a time, please.", "bad");
  takeSheet(files[0]);
}

function isPicture(file) {
  return file.type.startsWith("image/") || /\.(jpe?g|png|webp|gif|bmp|tiff?)$/i.test(file.name);
}

function takeSheet(file) {
  const most = Number(root.dataset.sheetBytes);
  if (file.size > most) {
    const detail = `“${file.name}” has ${size(file.size)}, and up to ${size(most)} are taken. Split it, or ask whoever runs imagemill to raise max_upload_bytes.`;
    return refuse(new Refusal(413, { detail, code: "too_large" }), () => begin());
  }
  check({ name: file.name, bytes: file.size, form: () => formOf(file) });
}

function formOf(file) {
  const form = new FormData();
  form.append("file", file, file.name);
  return form;
}

function takeLinks(text) {
  const images = text.split(/[\s]+/).filter(Boolean);
  if (!images.length) return at("links-text").focus();
  check({ name: counted(images.length, "link"), bytes: text.length, images });
}

function takePictures(files) {
  const [most, largest] = [Number(root.dataset.images), Number(root.dataset.imageBytes)];
  const fat = files.find((file) => file.size > largest);
  if (files.length > most) return note(`Up to ${count(most)} pictures at a time: these are ${count(files.length)}.`, "bad");
  if (fat) return note(`“${fat.name}” has ${size(fat.size)}; a picture may have ${size(largest)}.`, "bad");
  forgetDraft();
  now.source = { files };
  showPictures(files);
  ready({ kind: "Pictures", title: counted(files.length, "picture"), isPictures: true, images: files.length, isRight: true });
  look.open(filePictures(files));
}

function forgetDraft() {
  if (now.draft) get(`/api/v1/drafts/${now.draft.id}`, { method: "DELETE" }).catch(() => {});
  look.close();
  estimate.close();
  Object.assign(now, { draft: null, column: "" });
}

// Checking

async function check(source) {
  now.control?.abort();
  forgetDraft();
  now.source = source;
  const control = (now.control = new AbortController());
  busy(`Checking ${source.name}`, source.bytes);
  try {
    checked(await created(source, control));
  } catch (error) {
    refuse(error, () => check(source));
  }
}

function created(source, control) {
  const options = { signal: control.signal, onProgress: (share) => progress(share, source.bytes) };
  if (source.images) return sendJson("/api/v1/drafts", { images: source.images }, options);
  return send("/api/v1/drafts", source.form(), options);
}

/** The draft has gone meanwhile: send the same once more, if it is still here. */
async function recheck() {
  const { source, column } = now;
  now.draft = null;
  if (!source) return refuse(new Refusal(404, { detail: "The sheet is not kept any more. Drop it again." }), () => begin());
  await check(source);
  if (column && now.draft) await choose(column);
}

async function choose(column) {
  const { draft } = now;
  try {
    const answer = await get(`/api/v1/drafts/${draft.id}?${new URLSearchParams({ image_column: column })}`);
    checked(await answer.json(), column);
    at("column").focus();
  } catch (error) {
    if (error.isDraftGone && now.source) {
      now.column = column;
      await recheck();
    } else refuse(error, () => choose(column));
  }
}

function busy(title, bytes) {
  at("busy-progress").removeAttribute("value");
  at("busy-words").textContent = size(bytes);
  show("busy", title);
}

function progress(share, bytes) {
  if (share >= 1) {
    at("busy-progress").removeAttribute("value");
    at("busy-words").textContent = "Everything is sent, reading it …";
  } else {
    at("busy-progress").value = share;
    at("busy-words").textContent = `${size(share * bytes)} of ${size(bytes)}`;
  }
}

function refuse(error, again) {
  if (error.name === "AbortError") return;
  if (!(error instanceof Refusal)) throw error;
  const titles = { 0: "The appliance does not answer", 413: "That is too large", 503: "There is no room now", 429: "One moment" };
  at("refused-detail").textContent = error.status ? reasonOf(error) : "Nothing is lost: it is sent again as soon as the appliance is back.";
  at("refused-again").hidden = error.status === 413 || error.status === 404;
  now.again = again;
  if (!error.status) now.whenBack = again;
  show("refused", titles[error.status] ?? "That did not work");
}

function reasonOf(error) {
  const wait = error.status === 503 && error.retryAfterS ? ` Try again in ${error.retryAfterS} s.` : "";
  const more = error.errors.filter((each) => each.message).map((each) => each.message).slice(0, 3);
  return [error.message, ...more].join(" ") + wait;
}

// Showing

function checked(draft, column = "") {
  Object.assign(now, { draft, column });
  history.replaceState(null, "", `#draft=${draft.id}${column ? `&column=${encodeURIComponent(column)}` : ""}`);
  showSheet(draft, choose);
  const isRight = !draft.fault_count;
  const isSheet = draft.kind === "sheet";
  ready({
    kind: isSheet ? "Sheet" : "Links",
    title: isSheet ? draft.filename || "Sheet" : counted(draft.counts.rows, "link"),
    images: draft.counts.unique,
    figures: draft.counts.rows ? figuresOf(draft) : [],
    troubles: troublesOf(draft),
    isRight,
  });
  if (isRight) look.open(draftPictures(draft));
  if (isRight) estimate.refresh(0);
  const faults = draft.fault_count ? counted(draft.fault_count, "fault") : "no faults";
  announce(`${counted(draft.counts.rows, "row")}, ${counted(draft.counts.unique, "different image")}, ${faults}`);
}

function ready({ kind, title, images, figures = [], troubles = [], isRight, isPictures = false }) {
  at("ready-kind").textContent = kind;
  at("figures").replaceChildren(...figures);
  at("figures").hidden = !figures.length;
  at("ready-trouble").replaceChildren(...troubles);
  at("sheet").hidden = isPictures || !now.draft.table.columns.length;
  at("pictures").hidden = !isPictures;
  at("look").hidden = at("more").hidden = at("go").hidden = !isRight;
  at("columns").classList.toggle("is-single", !isRight);
  for (const field of document.querySelectorAll("#options [data-sheet]")) field.hidden = isPictures || now.draft?.kind === "images";
  now.label = `Compress ${counted(images, "image")}`;
  pressing(false);
  show("ready", title);
}

function figuresOf(draft) {
  const figures = [
    [draft.kind === "sheet" ? "Rows" : "Links", count(draft.counts.rows)],
    ["Images", count(draft.counts.images)],
    ["Different", count(draft.counts.unique)],
    ["Faults", draft.fault_count ? count(draft.fault_count) : "none"],
  ];
  return figures.map(([name, value]) => {
    const words = element("dd", {}, element("span", { className: "figure-value", textContent: value }));
    words.classList.toggle("is-bad", name === "Faults" && draft.fault_count > 0);
    return element("div", { className: "figure" }, element("dt", { textContent: name }), words);
  });
}

function troublesOf(draft) {
  const found = draft.fault_count ? [faultsOf(draft)] : [];
  if (draft.warning_count) found.push(warningsOf(draft));
  return found;
}

function faultsOf(draft) {
  const offered = candidates(draft);
  if (offered.length) {
    const buttons = offered.slice(0, 6).map((column) => {
      const links = `${counted(column.addresses, "row")} with links`;
      const button = element("button", { type: "button", className: "button", textContent: `${column.name || `Column ${column.number}`} · ${links}` });
      button.addEventListener("click", () => choose(`#${column.number}`));
      return button;
    });
    const words = element("p", { textContent: "No column has a name that is known for links. These have links in them:" });
    return trouble("Which column has the links?", "warn", words, element("div", { className: "buttons" }, ...buttons));
  }
  const first = draft.faults.filter((fault) => fault.row === 1).map((fault) => element("p", { textContent: sentence(fault.message) }));
  const isOne = draft.fault_count === 1;
  const many = isOne ? "One fault" : `${count(draft.fault_count)} faults`;
  if (!draft.table.columns.length) return trouble("This cannot be read as a sheet", "bad", ...first);
  const them = isOne ? "it" : "them";
  if (draft.kind === "images") return trouble(`${many} in the links`, "bad", ...first, backToLinks(them));
  const next = `Correct ${them}, and drop the sheet here again. Nothing was queued.`;
  return trouble(`${many} in the sheet`, "bad", ...first, element("p", { textContent: next }));
}

function backToLinks(them) {
  const back = element("button", { type: "button", className: "button", textContent: `Correct ${them}` });
  back.addEventListener("click", () => {
    begin();
    at("links").open = true;
    at("links-text").focus();
  });
  return element("div", { className: "buttons" }, back);
}

function warningsOf(draft) {
  const items = draft.warnings.slice(0, MOST_WARNINGS).map((each) => element("li", { textContent: `Row ${count(rowOf(draft, each.row))}: ${each.message}` }));
  const more = draft.warning_count - items.length;
  if (more > 0) items.push(element("li", { textContent: `and ${count(more)} more` }));
  const summary = element("summary", { textContent: `${counted(draft.warning_count, "remark")}: nothing is wrong with that` });
  return element("details", { className: "remarks" }, summary, element("ul", {}, ...items));
}

// Going

function bodyOf() {
  const column = now.column ? { image_column: now.column } : {};
  return { draft: now.draft.id, ...column, ...fieldsOf() };
}

async function compress() {
  if (!at("options").reportValidity()) return;
  pressing(true);
  try {
    const job = await (now.source?.files ? sentPictures() : sentDraft());
    location.assign(`/jobs/${job.id}`);
  } catch (error) {
    pressing(false);
    if (now.source?.files) show("ready");
    if (error.name === "AbortError") return;
    if (error.isDraftGone) await recheck();
    else if (!showWrongFields(error)) refuse(error, () => (show("ready"), compress()));
  }
}

/** The recipe has changed. */
function refresh() {
  look.refresh();
  if (now.draft && !now.draft.fault_count) estimate.refresh();
}

/** A large sheet takes some seconds to become a job. */
function pressing(isPressed) {
  const button = at("compress");
  button.disabled = isPressed;
  button.setAttribute("aria-busy", String(isPressed));
  button.lastElementChild.textContent = isPressed ? "One moment …" : now.label;
}

/** The same request bears the same key, however often the button is pressed: one job. */
function keyOf(body) {
  if (body !== asked.body) {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    asked = { body, key: Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("") };
  }
  return { "Idempotency-Key": asked.key };
}

function sentDraft() {
  const body = bodyOf();
  return sendJson("/api/v1/jobs", body, { headers: keyOf(JSON.stringify(body)) });
}

function sentPictures() {
  const { files } = now.source;
  const form = new FormData();
  for (const [name, value] of Object.entries(fieldsOf())) form.append(name, value);
  for (const file of files) form.append("image", file, file.name);
  const bytes = files.reduce((sum, file) => sum + file.size, 0);
  const control = (now.control = new AbortController());
  busy(`Sending ${counted(files.length, "picture")}`, bytes);
  const key = keyOf(`${JSON.stringify(fieldsOf())} ${files.map((file) => `${file.name}/${file.size}/${file.lastModified}`)}`);
  return send("/api/v1/images", form, { headers: key, signal: control.signal, onProgress: (share) => progress(share, bytes) });
}

/** After a reload the draft is still there. */
async function goOn() {
  const place = new URLSearchParams(location.hash.slice(1));
  const [id, column] = [place.get("draft"), place.get("column") ?? ""];
  if (!id) return;
  try {
    const query = column ? `?${new URLSearchParams({ image_column: column })}` : "";
    const answer = await get(`/api/v1/drafts/${encodeURIComponent(id)}${query}`);
    checked(await answer.json(), column);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    history.replaceState(null, "", location.pathname);
  }
}

function listen() {
  at("choose").addEventListener("change", (event) => taken(event.target));
  at("choose-pictures").addEventListener("change", (event) => taken(event.target));
  at("links-form").addEventListener("submit", (event) => {
    event.preventDefault();
    takeLinks(at("links-text").value);
  });
  at("busy-cancel").addEventListener("click", () => (now.source?.files ? now.control?.abort() : begin()));
  at("refused-again").addEventListener("click", () => now.again?.());
  for (const id of ["refused-anew", "anew"]) at(id).addEventListener("click", begin);
  at("compress").addEventListener("click", compress);
  onReturn(() => {
    const again = now.whenBack;
    now.whenBack = null;
    if (again && !at("refused").hidden) again();
    else if (now.draft && !now.draft.fault_count && !at("ready").hidden) refresh();
  });
  watchOptions(refresh);
  takeDrops(take, (text) => {
    at("links").open = true;
    at("links-text").value = text;
    takeLinks(text);
  });
}

function taken(input) {
  const files = [...input.files];
  input.value = "";
  take(files);
}

if (root) {
  listen();
  goOn();
}
