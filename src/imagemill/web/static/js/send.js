// Sending what may be large: with progress, which fetch does not tell. Problems come as errors of one shape.
import { ask, whenOffline } from "./offline.js";

/** What the appliance refused: `status` 0 where it did not answer at all. */
export class Refusal extends Error {
  constructor(status, problem, retryAfterS = 0) {
    super(problem.detail || "That did not work.");
    this.status = status;
    this.code = problem.code ?? "";
    this.errors = problem.errors ?? [];
    this.retryAfterS = retryAfterS;
  }

  /** Whether the draft it was about has gone: then the sheet is to be sent again. */
  get isDraftGone() {
    return this.errors.some((error) => error.field === "draft") || (this.status === 404 && this.code === "not_found");
  }
}

const NO_ANSWER = { detail: "The appliance does not answer.", code: "offline" };

/** POST a body, tell how much of it has gone by `onProgress(share)`, return the answer's JSON; Refusal where not. */
export function send(url, body, { headers = {}, onProgress = () => {}, signal } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.responseType = "text";
    for (const [name, value] of Object.entries({ "HX-Request": "true", ...headers })) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => onProgress(event.total ? event.loaded / event.total : 0));
    request.addEventListener("load", () => {
      whenOffline(false);
      const answer = parsed(request.responseText);
      if (request.status < 300) resolve(answer);
      else reject(refusalOf(request.status, answer, request.getResponseHeader("Retry-After")));
    });
    request.addEventListener("error", () => {
      whenOffline(true);
      reject(new Refusal(0, NO_ANSWER));
    });
    request.addEventListener("abort", () => reject(new DOMException("given up", "AbortError")));
    signal?.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}

/** POST a JSON value. */
export function sendJson(url, value, options = {}) {
  return send(url, JSON.stringify(value), { ...options, headers: { ...options.headers, "Content-Type": "application/json" } });
}

/** GET, and return the answer; Refusal where it is none. */
export async function get(url, options = {}) {
  let answer;
  try {
    answer = await ask(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, NO_ANSWER);
  }
  if (!answer.ok) throw refusalOf(answer.status, parsed(await answer.text()), answer.headers.get("Retry-After"));
  return answer;
}

function refusalOf(status, problem, retryAfter) {
  if (status === 401) location.assign("/sign-in");
  return new Refusal(status, problem, Number(retryAfter) || 0);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
