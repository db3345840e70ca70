// A part of the page that the page did not wait for: fetched behind it, with its charts.
window.addEventListener("load", async () => {
  const part = document.querySelector("[data-later]");
  if (!part) return;
  const answer = await fetch(part.dataset.later, { credentials: "same-origin", redirect: "error" });
  if (!answer.ok) return;
  part.innerHTML = await answer.text();
  renderCharts(); // unfold's, which found none before
});
