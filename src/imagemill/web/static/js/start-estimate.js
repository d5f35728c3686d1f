// What it would cost: asked for after the check and after each change, as it takes seconds.
import { Refusal, sendJson } from "./send.js";
import { duration, percent, size } from "./units.js";

const WAIT_MS = 1_200;
const at = (id) => document.getElementById(id);

export class Estimate {
  constructor(body, onGone) {
    this.body = body;
    this.onGone = onGone;
    this.timer = 0;
    this.control = null;
  }

  /** Ask anew in a moment; what is under way is given up. */
  refresh(wait = WAIT_MS) {
    this.stop();
    at("estimate").classList.add("is-busy");
    if (!at("estimate-words").textContent) at("estimate-words").textContent = "Trying a few pictures, to say what it will bring …";
    this.timer = setTimeout(() => this.ask(), wait);
  }

  /** Nothing to estimate. */
  close() {
    this.stop();
    at("estimate-words").textContent = "";
    at("estimate-bar").hidden = true;
    at("estimate").classList.remove("is-busy");
  }

  stop() {
    clearTimeout(this.timer);
    this.control?.abort();
    this.control = null;
  }

  async ask() {
    const control = (this.control = new AbortController());
    try {
      this.show(await sendJson("/api/v1/estimate", this.body(), { signal: control.signal }));
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!(error instanceof Refusal)) throw error;
      this.refused(error);
    }
    if (this.control === control) at("estimate").classList.remove("is-busy");
  }

  refused(error) {
    at("estimate-bar").hidden = true;
    if (error.isDraftGone) this.onGone();
    else if (error.status === 503 || error.status === 429) this.refresh(Math.max(1, error.retryAfterS) * 1000);
    else at("estimate-words").textContent = error.status === 422 ? "" : "There is no estimate now; that keeps nothing from being compressed.";
  }

  show(told) {
    const { bytes_in_estimate: before, bytes_out_estimate: after, seconds_estimate: seconds, errors, sampled } = told;
    if (before === null || !before) {
      at("estimate-bar").hidden = true;
      at("estimate-words").textContent = errors.length ? `None of ${sampled} pictures tried could be had: ${errors[0].message}.` : "";
      return;
    }
    const failed = errors.length ? ` · ${errors.length} of ${sampled} tried failed` : "";
    const words = `About ${size(before)} become ${size(after)} · ${percent(100 * (1 - after / before))} saved`;
    at("estimate-words").textContent = `${words} · ${duration(seconds)}${failed}`;
    at("estimate-bar").hidden = false;
    at("estimate-bar").style.setProperty("--part", `${Math.min(100, (100 * after) / before)}%`);
  }
}
