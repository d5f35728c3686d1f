// How it will look: one of the draft's own pictures, or of those dropped, before and after under one slider.
import { Refusal, get } from "./send.js";
import { element } from "./start-sheet.js";
import { percent, size } from "./units.js";

const WAIT_MS = 180;
const BUSY_MS = 250;
const at = (id) => document.getElementById(id);

/** Pictures of a draft: fetched by the appliance, where they are from. */
export function draftPictures(draft) {
  const base = (number) => `/api/v1/drafts/${draft.id}/pictures/${number}`;
  return {
    count: draft.pictures.length,
    waiting: (number) => `Fetching a picture from ${hostOf(draft.pictures[number])} …`,
    before: base,
    after: (number, recipe) => get(`${base(number)}/output?${new URLSearchParams(recipe)}`),
  };
}

/** Pictures that lie here: each is sent to be tried. */
export function filePictures(files) {
  const urls = new Map();
  return {
    count: files.length,
    waiting: (number) => `Trying ${files[number].name} …`,
    before: (number) => urls.get(number) ?? urls.set(number, URL.createObjectURL(files[number])).get(number),
    after: (number, recipe) => {
      const form = new FormData();
      for (const [name, value] of Object.entries(recipe)) form.append(name, value);
      form.append("image", files[number], files[number].name);
      return get("/api/v1/previews", { method: "POST", body: form });
    },
    close: () => urls.forEach((url) => URL.revokeObjectURL(url)),
  };
}

/** A view on pictures. `recipe()` returns the fields of now; `onGone` is called when their draft has gone. */
export class Look {
  constructor(recipe, onGone) {
    this.recipe = recipe;
    this.onGone = onGone;
    this.pictures = null;
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

  /** Begin with the first of some pictures. */
  open(pictures) {
    this.close();
    this.pictures = pictures;
    this.number = 0;
    this.failures = 0;
    at("look-steps").hidden = pictures.count < 2;
    this.begin();
  }

  close() {
    clearTimeout(this.timer);
    this.pictures?.close?.();
    this.pictures = null;
    this.isAsked = false;
    for (const id of ["split-before", "split-after"]) {
      at(id).hidden = true;
      at(id).removeAttribute("src");
    }
    this.forget();
  }

  step(by) {
    const whole = this.pictures.count;
    this.number = (this.number + by + whole) % whole;
    this.failures = 0;
    this.begin();
  }

  /** Another picture: nothing of the last one stays. */
  begin() {
    at("look-number").textContent = `${this.number + 1} of ${this.pictures.count}`;
    at("split-before").hidden = at("split-after").hidden = true;
    at("look-words").textContent = "";
    this.say(this.pictures.waiting(this.number));
    this.isNew = true;
    this.refresh(0);
  }

  /** The recipe has changed, or will in a moment: make the picture again once that is quiet. */
  refresh(wait = WAIT_MS) {
    if (!this.pictures) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.make(), wait);
  }

  /** One at a time: what is asked for meanwhile is made afterwards, with the recipe of then. */
  async make() {
    if (this.isAtWork) {
      this.isAsked = true;
      return;
    }
    const { pictures, number } = this;
    this.isAtWork = true;
    at("split").classList.add("is-busy");
    try {
      await this.fetch(pictures, number);
    } finally {
      this.isAtWork = false;
      at("split").classList.remove("is-busy");
    }
    if (this.isAsked || (this.pictures && (this.pictures !== pictures || this.number !== number))) {
      this.isAsked = false;
      this.refresh(0);
    }
  }

  async fetch(pictures, number) {
    const isCurrent = () => this.pictures === pictures && this.number === number;
    try {
      const answer = await pictures.after(number, this.recipe());
      const made = await answer.blob();
      if (isCurrent()) this.show(pictures.before(number), JSON.parse(answer.headers.get("X-Preview")), made);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (isCurrent()) this.refused(error);
    }
  }

  show(url, told, made) {
    const before = at("split-before");
    const after = at("split-after");
    this.say("");
    this.failures = 0;
    if (this.isNew) before.src = url;
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
    } else if (this.isNew && error.status === 422 && this.failures < 2 && this.pictures.count > 1) {
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
