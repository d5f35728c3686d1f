// How it will look: one of the draft's own pictures before and after, under one slider, anew for each recipe.
import { Refusal, get } from "./send.js";
import { element } from "./start-sheet.js";
import { percent, size } from "./units.js";

const WAIT_MS = 180;
const BUSY_MS = 250;
const at = (id) => document.getElementById(id);

/** A view on the pictures of a draft. `recipe()` returns the fields of now; `onGone` is called when the draft has gone. */
export class Look {
  constructor(recipe, onGone) {
    this.recipe = recipe;
    this.onGone = onGone;
    this.draft = null;
    this.number = 0;
    this.isAtWork = false;
    this.isAsked = false;
    this.timer = 0;
    at("split-handle").addEventListener("input", () => this.divide());
    at("look-back").addEventListener("click", () => this.step(-1));
    at("look-next").addEventListener("click", () => this.step(1));
    at("split-size").addEventListener("click", () => this.zoom());
    at("split-before").addEventListener("error", () => this.cannotShow());
    this.divide();
  }

  /** Begin with a draft's first picture; null: there is nothing to look at. */
  open(draft) {
    this.close();
    this.draft = draft;
    this.number = 0;
    this.failures = 0;
    at("split").hidden = at("look-words").hidden = !draft;
    at("look-steps").hidden = !draft || draft.pictures.length < 2;
    if (draft) this.begin();
  }

  close() {
    clearTimeout(this.timer);
    this.draft = null;
    this.isAsked = false;
    for (const id of ["split-before", "split-after"]) {
      at(id).hidden = true;
      at(id).removeAttribute("src");
    }
    this.forget();
  }

  step(by) {
    const whole = this.draft.pictures.length;
    this.number = (this.number + by + whole) % whole;
    this.failures = 0;
    this.begin();
  }

  /** Another picture: nothing of the last one stays. */
  begin() {
    at("look-number").textContent = `${this.number + 1} of ${this.draft.pictures.length}`;
    at("split-before").hidden = at("split-after").hidden = true;
    at("look-words").textContent = "";
    this.say(`Fetching a picture from ${hostOf(this.draft.pictures[this.number])} …`);
    this.isNew = true;
    this.refresh(0);
  }

  /** The recipe has changed, or will in a moment: make the picture again once that is quiet. */
  refresh(wait = WAIT_MS) {
    if (!this.draft) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.make(), wait);
  }

  /** One at a time: what is asked for meanwhile is made afterwards, with the recipe of then. */
  async make() {
    if (this.isAtWork) {
      this.isAsked = true;
      return;
    }
    const { draft, number } = this;
    this.isAtWork = true;
    at("split").classList.add("is-busy");
    try {
      await this.fetch(draft, number);
    } finally {
      this.isAtWork = false;
      at("split").classList.remove("is-busy");
    }
    if (this.isAsked || (this.draft && (this.draft !== draft || this.number !== number))) {
      this.isAsked = false;
      this.refresh(0);
    }
  }

  async fetch(draft, number) {
    const base = `/api/v1/drafts/${draft.id}/pictures/${number}`;
    const isCurrent = () => this.draft === draft && this.number === number;
    try {
      const answer = await get(`${base}/output?${new URLSearchParams(this.recipe())}`);
      const made = await answer.blob();
      if (isCurrent()) this.show(base, JSON.parse(answer.headers.get("X-Preview")), made);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (isCurrent()) this.refused(error);
    }
  }

  show(base, told, made) {
    const before = at("split-before");
    const after = at("split-after");
    this.say("");
    this.failures = 0;
    if (this.isNew) before.src = base;
    this.isNew = false;
    this.forget();
    this.url = URL.createObjectURL(made);
    after.src = this.url;
    before.hidden = after.hidden = false;
    at("split").style.setProperty("--ratio", `${told.source.width} / ${told.source.height}`);
    at("look-words").replaceChildren(...wordsOf(told));
  }

  refused(error) {
    if (error.status === 429) {
      this.timer = setTimeout(() => this.make(), BUSY_MS);
    } else if (error.isDraftGone) {
      this.onGone();
    } else if (error.status === 422 && error.errors.length) {
      at("look-words").textContent = error.errors.map((each) => `${each.field}: ${each.message}`).join(" ");
    } else if (this.isNew && error.status === 422 && this.failures < 2 && this.draft.pictures.length > 1) {
      const failures = this.failures + 1;
      this.step(1);
      this.failures = failures;
    } else {
      this.say(error.message);
    }
  }

  cannotShow() {
    if (!at("split-before").src) return;
    at("split-before").hidden = true;
    this.say("Your browser cannot show this picture as it is now, only as it will be.");
  }

  say(text) {
    at("split-word").textContent = text;
    at("split-word").hidden = !text;
  }

  divide() {
    at("split").style.setProperty("--split", `${at("split-handle").value}%`);
  }

  zoom() {
    const button = at("split-size");
    const isFull = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(isFull));
    at("split").classList.toggle("is-full", isFull);
  }

  forget() {
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = "";
  }
}

function hostOf(url) {
  try {
    return new URL(url).hostname;
  } catch {
    return "its host";
  }
}

function wordsOf({ source, output, saved_percent: saved, ssim }) {
  const format = source.format === output.format ? "" : ` ${output.format.toUpperCase()}`;
  const sides = output.width === source.width ? "" : `, ${output.width} × ${output.height} pixels`;
  const change = saved >= 0 ? `${percent(saved)} saved` : `${percent(-saved)} more`;
  const words = `${size(source.bytes)} now, ${size(output.bytes)}${format} then${sides}: ${change}`;
  if (ssim === null) return [words];
  if (ssim === 1) return [`${words}, nothing lost`];
  return [`${words} · `, element("abbr", { title: "Likeness: 1 is the same picture", textContent: "SSIM" }), ` ${ssim.toFixed(3)}`];
}
