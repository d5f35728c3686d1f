// A stream of events of a job, that goes on after a sleep, a lost network, or a restart of the appliance.
import { ask, whenOffline } from "./offline.js";

const AGAIN_MS = 1_500;

/**
 * Listen to `url`: `handlers` maps names of events to functions of their JSON. `onOpen` is called each time the stream
 * begins anew: what was missed is then to be asked for. Returns a function that ends it.
 *
 * With `probe` that address is asked before the stream is opened again: it tells a break from an appliance that does not
 * answer, and where it is not found there is nothing more to listen to: `onGone` is called. While nobody looks at the
 * page it listens to nothing: a browser has few connections to spare.
 */
export function listen(url, handlers, onOpen = () => {}, { probe = null, onGone = () => {} } = {}) {
  let source = null;
  let timer = 0;
  let isEnded = false;
  const open = () => {
    clearTimeout(timer);
    source?.close();
    if (isEnded) return;
    source = new EventSource(url);
    source.addEventListener("open", () => {
      whenOffline(false);
      onOpen();
    });
    // The browser tries again by itself, but gives up on an error status, as a proxy's 502 during a restart.
    source.addEventListener("error", () => {
      if (isEnded) return;
      if (probe) source.close();
      else whenOffline(true);
      clearTimeout(timer);
      timer = setTimeout(probe ? lookFirst : open, AGAIN_MS);
    });
    for (const [name, heard] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => heard(JSON.parse(event.data), event));
    }
  };
  const lookFirst = async () => {
    try {
      if ((await ask(probe)).status === 404) {
        end();
        onGone();
      }
      open();
    } catch {
      timer = setTimeout(lookFirst, AGAIN_MS);
    }
  };
  const wake = () => {
    if (document.hidden && probe) {
      clearTimeout(timer);
      source?.close();
    } else if (!document.hidden && source?.readyState !== EventSource.OPEN) {
      open();
    }
  };
  const end = () => {
    isEnded = true;
    clearTimeout(timer);
    source?.close();
    document.removeEventListener("visibilitychange", wake);
    window.removeEventListener("online", open);
  };
  document.addEventListener("visibilitychange", wake);
  window.addEventListener("online", open);
  open();
  return end;
}
