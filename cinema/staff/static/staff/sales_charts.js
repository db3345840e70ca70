// The words of the charts are as dark, or as light, as those of the page: their own grey suits neither.
const tint = () => {
  Chart.defaults.color = getComputedStyle(document.documentElement).getPropertyValue("--desk-soft").trim();
};
tint();
new MutationObserver(tint).observe(document.documentElement, { attributeFilter: ["class"] });

// A part of the page that the page did not wait for: fetched behind it, with its charts.
window.addEventListener("load", async () => {
  const part = document.querySelector("[data-later]");
  if (!part) return;
  try {
    const answer = await fetch(part.dataset.later, { credentials: "same-origin", redirect: "error" });
    if (!answer.ok) throw new Error(answer.statusText);
    part.innerHTML = await answer.text();
  } catch {
    part.querySelector("p").textContent = "The sales could not be summed up. Reload the page to try again.";
    return;
  }
  renderCharts(); // unfold's, which found none before
});
