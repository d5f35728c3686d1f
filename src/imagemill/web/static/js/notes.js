// Short notes at the edge of the page, and what only a screen reader is told.

/** Tell a screen reader, when it has ended what it says. */
export function announce(text) {
  document.getElementById("announcements").textContent = text;
}

/** Show a note for a while, or until it is closed; tone: good, bad, still. */
export function note(text, tone = "still") {
  const box = document.createElement("div");
  box.className = `note note-${tone}`;
  const words = document.createElement("span");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "icon-button";
  close.setAttribute("aria-label", "Close this note");
  close.innerHTML = '<svg aria-hidden="true"><use href="#icon-close"/></svg>';
  close.addEventListener("click", () => box.remove());
  box.append(words, close);
  document.getElementById("notes").append(box);
  announce(text);
  if (tone !== "bad") setTimeout(() => box.remove(), 6_000);
}
