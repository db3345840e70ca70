// Tonight, what the house runs on, and its mails, while the front page is open.
// A silent worker is told after 15 s, so that with the time between two questions nobody waits for 30.
import { keepFresh } from "./refresh.js";

const now = document.querySelector("[data-now]");
if (now) {
  keepFresh(now, {
    message: document.getElementById("now-message"),
    name: "what stands below",
    address: () => now.dataset.now,
    pause: () => 10000,
  });
}
