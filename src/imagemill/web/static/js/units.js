// Numbers as people read them; the words of the templates' filters (web/units.py), never broken before a unit.
const COUNT = new Intl.NumberFormat("en-US");

export const count = (number) => COUNT.format(number);

export const counted = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** Bytes in thousands, with at most three digits that matter. */
export function size(bytes) {
  let value = bytes;
  let unit = "B";
  for (const larger of ["kB", "MB", "GB", "TB"]) {
    if (Math.abs(value) < 999.5) break;
    value /= 1000;
    unit = larger;
  }
  return `${value.toFixed(unit === "B" || Math.abs(value) >= 99.95 ? 0 : 1)}\u00a0${unit}`;
}

export function percent(number) {
  return `${number.toFixed(Math.abs(number) >= 9.95 || number === 0 ? 0 : 1)}\u00a0%`;
}

export function duration(seconds) {
  const whole = Math.round(seconds);
  if (seconds < 1) return "less than a second";
  if (whole < 60) return `${whole}\u00a0s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}\u00a0min ${whole % 60}\u00a0s`;
  if (whole < 172_800) return `${Math.floor(whole / 3600)}\u00a0h ${Math.floor((whole % 3600) / 60)}\u00a0min`;
  return `${Math.floor(whole / 86_400)} days`;
}
