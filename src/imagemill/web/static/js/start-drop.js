// The whole page takes what is dropped or pasted.
import { note } from "./notes.js";

const veil = document.getElementById("veil");
let depth = 0;

const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");

/** Call `take(files)` for dropped or pasted files, `takeText(text)` for pasted links. */
export function takeDrops(take, takeText) {
  document.addEventListener("dragenter", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    depth += 1;
    veil.hidden = false;
  });
  document.addEventListener("dragover", (event) => carries(event) && event.preventDefault());
  document.addEventListener("dragleave", (event) => carries(event) && leave());
  document.addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    depth = 1;
    leave();
    if (hasFolder(event.dataTransfer)) note("A folder cannot be dropped: open it, and drop the pictures in it.", "bad");
    else take([...event.dataTransfer.files]);
  });
  document.addEventListener("paste", (event) => {
    if (event.target.closest?.("input, textarea, select")) return;
    const { files } = event.clipboardData;
    const text = event.clipboardData.getData("text/plain");
    if (files.length) take([...files]);
    else if (/^\s*https?:\/\//i.test(text)) takeText(text);
  });
}

function leave() {
  depth -= 1;
  if (depth <= 0) veil.hidden = true;
  depth = Math.max(0, depth);
}

function hasFolder(transfer) {
  return [...transfer.items].some((item) => item.webkitGetAsEntry?.()?.isDirectory);
}
