// Pictures that were dropped: the first of them small, and how many there are.
import { element } from "./start-sheet.js";
import { count, counted, size } from "./units.js";

const MOST_SHOWN = 24;
let urls = [];

export function showPictures(files) {
  for (const url of urls) URL.revokeObjectURL(url);
  const shown = files.slice(0, MOST_SHOWN);
  urls = shown.map((file) => URL.createObjectURL(file));
  const items = shown.map((file, place) => {
    const picture = element("img", { src: urls[place], alt: "", loading: "lazy", decoding: "async" });
    return element("li", {}, picture, element("span", { className: "thumb-name", textContent: file.name, title: file.name }));
  });
  const whole = size(files.reduce((sum, file) => sum + file.size, 0));
  const more = files.length - shown.length;
  const hint = more > 0 ? `And ${count(more)} more. Together ${whole}.` : `${counted(files.length, "picture")}, ${whole}.`;
  document.getElementById("thumbs").replaceChildren(...items);
  document.getElementById("thumbs-hint").textContent = hint;
}
