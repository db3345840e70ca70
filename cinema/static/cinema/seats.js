// The seat map without reloads: seats are chosen by a press, and the picture is fetched anew every few seconds.
// The server draws it each time, so that what is seen is what the database says. Without this file all of it still works.
(() => {
  const hall = document.getElementById("hall");
  const seats = document.getElementById("seats");
  const customer = document.getElementById("customer");
  if (!hall) return;
  let waiting = 0;

  const chosen = () => (seats ? seats.value.match(/\d+/g) || [] : []);

  const query = () => {
    const values = new URLSearchParams();
    if (chosen().length) values.set("seats", chosen().join(","));
    if (customer && customer.value) values.set("customer", customer.value);
    return values.toString();
  };

  async function refresh() {
    clearTimeout(waiting);
    const asked = query();
    const started = performance.now();
    try {
      const answer = await fetch(`${hall.dataset.picture}?${asked}`, { credentials: "same-origin", redirect: "error" });
      if (answer.ok && asked === query()) {
        const focused = hall.contains(document.activeElement) ? document.activeElement.dataset.seat : null;
        hall.innerHTML = await answer.text();
        if (focused) hall.querySelector(`a[data-seat="${focused}"]`)?.focus({ preventScroll: true });
      }
    } catch {
      // the next one may get through
    }
    const took = performance.now() - started;
    clearTimeout(waiting);
    waiting = setTimeout(refresh, document.hidden ? 30000 : Math.max(4000, took * 20));
  }

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
  document.addEventListener("visibilitychange", () => document.hidden || refresh());

  let typing = 0;
  customer?.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(async () => {
      const term = new URLSearchParams({ term: customer.value });
      const answer = await fetch(`${customer.dataset.suggest}?${term}`, { credentials: "same-origin" });
      if (!answer.ok) return;
      const { results } = await answer.json();
      const options = results.map(({ value, label }) => Object.assign(document.createElement("option"), { value, label }));
      document.getElementById("customers").replaceChildren(...options);
    }, 150);
  });

  waiting = setTimeout(refresh, 4000);
})();
