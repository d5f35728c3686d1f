// Before the first paint, and therefore no module: the theme that was chosen, where one was.
(() => {
  let theme = null;
  try {
    theme = localStorage.getItem("theme");
  } catch {
    // A browser that keeps nothing shows the system's.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
