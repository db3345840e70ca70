// What the house runs on, and its mails, fetched anew while the page is open: what breaks shows without a reload.
// A silent worker is told after 15 s, so that with the time between two questions nobody waits for 30.
(() => {
  const house = document.querySelector("[data-house]");
  const told = document.getElementById("house-told");
  if (!house) return;
  let waiting = 0;
  let ended = false;
  let asked = Date.now();

  async function refresh() {
    clearTimeout(waiting);
    const now = Date.now();
    try {
      const answer = await fetch(house.dataset.house, {
        credentials: "same-origin",
        redirect: "manual", // to the login, once the session has ended
        signal: AbortSignal.timeout(10000),
      });
      ended ||= answer.type === "opaqueredirect" || answer.status === 403;
      if (ended) {
        told.textContent = "You are logged out, so what stands above no longer changes. Reload the page to log in.";
        return;
      }
      if (!answer.ok) throw new Error(answer.statusText);
      const html = await answer.text();
      const focused = house.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      house.innerHTML = html;
      if (focused) house.querySelector(`a[href="${focused}"]`)?.focus({ preventScroll: true });
      told.textContent = "";
      asked = now;
    } catch {
      // a house that is down cannot say so itself
      told.textContent = `Marquee does not answer. What stands above is from ${new Date(asked).toLocaleTimeString()}.`;
    }
    clearTimeout(waiting);
    waiting = setTimeout(refresh, document.hidden ? 30000 : 10000);
  }

  document.addEventListener("visibilitychange", () => document.hidden || ended || refresh());
  waiting = setTimeout(refresh, 10000);
})();
