// A stream of events of a job, that goes on after a sleep, a lost network, or a restart of the appliance.
import { whenOffline } from "./offline.js";

const AGAIN_MS = 1_500;

/**
 * Listen to `url`: `handlers` maps names of events to functions of their JSON. `onOpen` is called each time the stream
 * begins anew: what was missed is then to be asked for. Returns a function that ends it.
 */
export function listen(url, handlers, onOpen = () => {}) {
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
      whenOffline(true);
      clearTimeout(timer);
      timer = setTimeout(open, AGAIN_MS);
    });
    for (const [name, heard] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => heard(JSON.parse(event.data), event));
    }
  };
  const wake = () => document.hidden || source?.readyState === EventSource.OPEN || open();
  document.addEventListener("visibilitychange", wake);
  window.addEventListener("online", open);
  open();
  return () => {
    isEnded = true;
    clearTimeout(timer);
    source?.close();
    document.removeEventListener("visibilitychange", wake);
    window.removeEventListener("online", open);
  };
}
