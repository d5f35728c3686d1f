// The settings are looked for as one types; tokens are copied; htmx's parts keep what was open.
import { announce, note } from "./notes.js";

const field = document.getElementById("setting-words");

function look() {
  const words = field.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const section of document.querySelectorAll("[data-section]")) {
    let found = 0;
    for (const row of section.querySelectorAll("[data-words]")) {
      row.hidden = !words.every((word) => row.dataset.words.includes(word));
      found += row.hidden ? 0 : 1;
    }
    section.hidden = !found;
    if (words.length) section.open = true;
    shown += found;
  }
  for (const changed of document.querySelectorAll("[data-changed]")) changed.hidden = words.length > 0;
  document.getElementById("no-settings").hidden = shown > 0;
  if (words.length) announce(shown === 1 ? "1 setting" : `${shown} settings`);
}

field?.addEventListener("input", look);

// The part with the tokens comes anew, and takes the pressed button along: the keyboard goes on at its heading.
document.body.addEventListener("htmx:afterSettle", (event) => {
  if (event.target.id !== "tokens") return;
  if (document.activeElement === document.body) document.getElementById("tokens-title").focus();
  const told = event.target.querySelector("[data-tells]");
  if (told) announce(told.textContent.replace(/\s+/g, " ").trim());
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copies]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copies);
  try {
    await navigator.clipboard.writeText(source.textContent);
    note("Copied.", "good");
  } catch {
    // Without TLS, from another machine, a browser has no clipboard for us: the text is selected instead.
    getSelection().selectAllChildren(source);
    note("Press Ctrl+C to copy it.");
  }
});
