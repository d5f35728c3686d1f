// The banner that says that the appliance does not answer. Whoever talks to it reports here.
let isOffline = false;
const listeners = new Set();

/** Say whether the appliance answers; the banner follows, and so does whoever waits for it to come back. */
export function whenOffline(state) {
  if (state === isOffline) return;
  isOffline = state;
  const banner = document.getElementById("offline");
  if (banner) banner.hidden = !state;
  document.documentElement.classList.toggle("is-offline", state);
  if (!state) for (const listener of listeners) listener();
}

/** Call `listener` each time the appliance answers again. */
export function onReturn(listener) {
  listeners.add(listener);
}

/** Fetch from the appliance as the page does: reports offline and online, and leads to the sign-in when that has ended. */
export async function ask(url, options = {}) {
  let answer;
  try {
    answer = await fetch(url, { ...options, headers: { "HX-Request": "true", ...options.headers } });
  } catch (error) {
    if (error.name !== "AbortError") whenOffline(true);
    throw error;
  }
  whenOffline(false);
  if (answer.status === 401) location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
  return answer;
}
