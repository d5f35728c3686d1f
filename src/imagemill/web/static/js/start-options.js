// The recipe and the job's own settings, as the form has them.
import { note } from "./notes.js";
import { element } from "./start-sheet.js";

const RECIPE = ["quality", "format", "max_width", "max_height", "metadata", "background", "accept_truncated"];
const at = (id) => document.getElementById(id);

/** What is asked for: fields of the API, without those that are empty, or that are not shown. */
export function fieldsOf() {
  const fields = {};
  for (const field of at("options").elements) {
    if (!field.name || field.closest("[data-sheet][hidden]")) continue;
    if (field.type === "checkbox") fields[field.name] = String(field.checked);
    else if (field.value.trim()) fields[field.name] = field.value.trim();
  }
  return fields;
}

/** What of it changes a picture. */
export function recipeOf() {
  return Object.fromEntries(Object.entries(fieldsOf()).filter(([name]) => RECIPE.includes(name)));
}

/** Call `changed` when a picture would look different. */
export function watchOptions(changed) {
  const form = at("options");
  for (const field of form.elements) {
    field.addEventListener("input", () => {
      if (field.name === "quality") at("quality-number").textContent = field.value;
      forgive(field);
      if (RECIPE.includes(field.name) && field.checkValidity()) changed();
    });
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  // A browser fills a form as it was before a reload.
  at("quality-number").textContent = at("quality").value;
}

/** Put what is wrong beside its fields; false where nothing is known of them. */
export function showWrongFields(error) {
  const wrong = error.errors.filter((each) => at("options").elements[each.field]);
  if (error.status !== 422 || !wrong.length) return false;
  at("more").open = true;
  for (const { field, message } of wrong) {
    const input = at("options").elements[field];
    forgive(input);
    const words = element("p", { className: "wrong", id: `wrong-${field}`, textContent: message });
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", words.id);
    input.after(words);
  }
  at("options").elements[wrong[0].field].focus();
  note("Some fields are not right: see “More”.", "bad");
  return true;
}

function forgive(input) {
  if (!input.hasAttribute("aria-invalid")) return;
  input.removeAttribute("aria-invalid");
  input.removeAttribute("aria-describedby");
  at(`wrong-${input.name}`)?.remove();
}
