// A part of an open page, fetched anew again and again: what changes in the house shows without a reload.
// The server draws it each time. Once it no longer can, the line `message`, which stands outside of the part, says so.
const PATIENCE = 10000;
const HIDDEN = 30000; // between two questions, while nobody looks

const when = (moment) => moment.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

// A link stays the same one for the keyboard after its part was drawn anew.
const focusedLink = (part) => {
  const link = part.contains(document.activeElement) && document.activeElement;
  if (!link) return null;
  return link.dataset.seat ? `a[data-seat="${link.dataset.seat}"]` : `a[href="${CSS.escape(link.getAttribute("href"))}"]`;
};

function draw(part, html) {
  const link = focusedLink(part);
  part.innerHTML = html;
  if (link) part.querySelector(link)?.focus({ preventScroll: true });
}

// `address()` is asked before each question, and `pause(took)` after it, in milliseconds. Returns what asks at once.
export function keepFresh(part, { message, name, address, pause }) {
  let waiting = 0;
  let ended = false;
  let drawn = new Date();
  let questions = 0;

  async function ask(asked) {
    const answer = await fetch(asked, {
      credentials: "same-origin",
      redirect: "manual", // to the login, once the session has ended
      signal: AbortSignal.timeout(PATIENCE),
    });
    ended ||= answer.type === "opaqueredirect" || answer.status === 403;
    if (!ended && !answer.ok) throw new Error(answer.statusText);
    return answer.text();
  }

  async function refresh() {
    if (ended) return;
    clearTimeout(waiting);
    const [question, asked, now] = [++questions, address(), new Date()];
    try {
      const html = await ask(asked);
      if (question !== questions) return; // a later question was asked meanwhile, and its answer counts
      if (ended) {
        message.textContent = `You are logged out; ${name} is from ${when(drawn)}. Reload the page to log in.`;
        return;
      }
      // What was asked may no longer be what is chosen; and a press that is under way keeps its link.
      if (asked === address() && !part.matches(":active")) draw(part, html);
      message.textContent = "";
      drawn = now;
    } catch {
      if (question !== questions) return;
      message.textContent = `Marquee does not answer; ${name} is from ${when(drawn)}.`; // it cannot say so itself
    }
    waiting = setTimeout(refresh, document.hidden ? HIDDEN : pause(new Date() - now));
  }

  document.addEventListener("visibilitychange", () => document.hidden || refresh());
  waiting = setTimeout(refresh, pause(0));
  return refresh;
}
