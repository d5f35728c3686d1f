// How the appliance is, in the head of each page: asked now and then, more often while it does not answer.
import { ask } from "./offline.js";

const USUAL_MS = 10_000;
const AGAIN_MS = 2_000;

export function watchState(place) {
  if (!place) return;
  let timer = 0;
  const look = async () => {
    clearTimeout(timer);
    let wait = USUAL_MS;
    try {
      const answer = await ask(place.dataset.url);
      if (answer.ok) {
        const text = (await answer.text()).trim();
        if (text !== place.innerHTML.trim()) place.innerHTML = text;
      }
    } catch {
      wait = AGAIN_MS;
    }
    if (!document.hidden) timer = setTimeout(look, wait);
  };
  document.addEventListener("visibilitychange", () => document.hidden || look());
  for (const change of ["online", "offline"]) window.addEventListener(change, look);
  timer = setTimeout(look, USUAL_MS);
}
