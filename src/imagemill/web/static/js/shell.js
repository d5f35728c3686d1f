// What every page has: the theme's button, times in the reader's zone, how the appliance is, and notes.
import { showTimes } from "./times.js";
import { watchState } from "./state.js";
import { note } from "./notes.js";
import { whenOffline } from "./offline.js";

const THEMES = { auto: "as the system", light: "light", dark: "dark" };

function themeButton() {
  const button = document.getElementById("theme");
  const root = document.documentElement;
  const show = () => {
    const label = `Theme: ${THEMES[root.dataset.theme ?? "auto"]}`;
    button.setAttribute("aria-label", label);
    button.title = label;
  };
  button.addEventListener("click", () => {
    const names = Object.keys(THEMES);
    const next = names[(names.indexOf(root.dataset.theme ?? "auto") + 1) % names.length];
    if (next === "auto") delete root.dataset.theme;
    else root.dataset.theme = next;
    try {
      localStorage.setItem("theme", next);
    } catch {
      // It holds until the next page, then.
    }
    show();
  });
  show();
}

// A part of the page that comes again every few seconds: nobody looks at it in the background, and a failure is no news.
function asksByItself(element) {
  return Boolean(element.getAttribute("hx-trigger")?.startsWith("every"));
}

// What htmx could not load says why; without an answer the appliance is offline.
function listenToHtmx() {
  document.body.addEventListener("htmx:afterSwap", (event) => showTimes(event.target));
  document.body.addEventListener("htmx:sendError", () => whenOffline(true));
  document.body.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden && asksByItself(event.detail.elt)) event.preventDefault();
  });
  document.body.addEventListener("htmx:responseError", (event) => {
    if (asksByItself(event.detail.elt)) return;
    let text = "That did not work: try again.";
    try {
      text = JSON.parse(event.detail.xhr.responseText).detail || text;
    } catch {
      // No problem details: whoever is between us said it.
    }
    note(text, "bad");
  });
}

themeButton();
showTimes(document);
watchState(document.getElementById("appliance-state"));
listenToHtmx();
