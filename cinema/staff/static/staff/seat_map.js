// The seat map without reloads: seats are chosen by a press, and the picture is fetched anew every few seconds.
// The server draws it each time, so that what is seen is what the database says. Without this file all of it still works.
import { keepFresh } from "./refresh.js";

(() => {
  const hall = document.getElementById("hall");
  const seats = document.getElementById("seats");
  const customer = document.getElementById("customer");
  if (!hall) return;

  const chosen = () => (seats ? seats.value.match(/\d+/g) || [] : []);

  const query = () => {
    const values = new URLSearchParams();
    if (chosen().length) values.set("seats", chosen().join(","));
    if (customer && customer.value) values.set("customer", customer.value);
    return values.toString();
  };

  const refresh = keepFresh(hall, {
    message: document.getElementById("hall-message"),
    name: "the hall",
    address: () => `${hall.dataset.picture}?${query()}`,
    pause: (took) => Math.max(4000, took * 20),
  });

  hall.addEventListener("click", (event) => {
    const seat = event.target.closest("a[data-seat]");
    if (!seat || !seats || !seat.querySelector(".free, .chosen")) return;
    event.preventDefault();
    const number = seat.dataset.seat;
    const now = chosen();
    const next = now.includes(number) ? now.filter((other) => other !== number) : [...now, number];
    seats.value = next.sort((a, b) => a - b).join(", ");
    refresh();
  });

  hall.addEventListener("keydown", (event) => {
    const seat = event.target.closest("a[data-seat]");
    if (!seat) return;
    const width = Number(hall.querySelector("svg").dataset.width);
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -width, ArrowDown: width }[event.key];
    if (event.key === " ") {
      event.preventDefault();
      seat.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }));
    } else if (step) {
      event.preventDefault();
      hall.querySelector(`a[data-seat="${Number(seat.dataset.seat) + step}"]`)?.focus();
    }
  });

  seats?.addEventListener("change", refresh);

  let typing = 0;
  async function suggest() {
    const typed = customer.value;
    const term = new URLSearchParams({ term: typed });
    try {
      const answer = await fetch(`${customer.dataset.suggest}?${term}`, { credentials: "same-origin", redirect: "error" });
      if (!answer.ok) return;
      const { results } = await answer.json();
      if (typed !== customer.value) return; // an answer to less than what stands there now
      const options = results.map(({ value, label }) => Object.assign(document.createElement("option"), { value, label }));
      document.getElementById("customers").replaceChildren(...options);
    } catch {
      // the hall's line says that Marquee does not answer
    }
  }

  // who may not see customers is suggested none
  if (customer?.dataset.suggest) {
    customer.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(suggest, 150);
    });
  }
})();
