// The search: its address is the page's, so that a reload and the way back show the same; and what came is told.
import { announce } from "./notes.js";

const field = document.getElementById("q");

field.addEventListener("htmx:afterRequest", (event) => {
  if (!event.detail.successful) return;
  const query = new URLSearchParams(location.search);
  query.delete("cursor");
  if (field.value.trim()) query.set("q", field.value.trim());
  else query.delete("q");
  history.replaceState(history.state, "", query.size ? `/jobs?${query}` : "/jobs");
  const shown = Number(document.getElementById("job-list").dataset.shown);
  announce(shown ? `${shown} jobs shown` : "No such jobs");
});
