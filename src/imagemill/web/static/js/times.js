// Times come in UTC; here they are put into the reader's zone, and beside now in words.
const EXACT = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

function words(moment, now) {
  const seconds = Math.round((now - moment) / 1000);
  if (seconds >= 0 && seconds < 60) return "just now";
  if (seconds >= 0 && seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (moment.toDateString() === now.toDateString()) return `today, ${CLOCK.format(moment)}`;
  const yesterday = new Date(now);
  yesterday.setDate(now.getDate() - 1);
  if (moment.toDateString() === yesterday.toDateString()) return `yesterday, ${CLOCK.format(moment)}`;
  return DAY.format(moment);
}

/** Put every <time datetime> below `root` into words; the exact time is its title. */
export function showTimes(root) {
  const now = new Date();
  for (const element of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    element.textContent = words(moment, now);
    element.title = EXACT.format(moment);
  }
}

setInterval(() => showTimes(document), 30_000);
