// What pages can do beyond being read: search as one types, copy, keys, news. Nothing here makes content:
// the server writes every page, and the script puts parts of it in place.

document.documentElement.classList.add("with-script");

/** Shows times in the reader's own zone, but for days that were announced as such. They take the same room as in UTC,
    so that nothing moves. */
function localize(root) {
  const two = (number) => String(number).padStart(2, "0");
  for (const time of root.querySelectorAll("time:not([data-form=date])")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
    const minute = `${day} ${two(at.getHours())}:${two(at.getMinutes())}`;
    time.textContent = time.dataset.form === "day" ? day : minute;
  }
}

/** The page at `url`, as a document; null if one must sign in first. Fails with what an error page says. */
async function load(url, options = {}) {
  const answer = await fetch(url, { headers: { accept: "text/html" }, ...options });
  if (answer.redirected && new URL(answer.url).pathname === "/ui/sign-in") {
    location.assign(answer.url);
    return null;
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (!answer.ok) throw new Error(page.querySelector("main p")?.textContent ?? `it answered ${answer.status}`);
  return page;
}

/** Says at the top of the page what went wrong; nothing takes it away. */
function tell(problem) {
  const line = document.querySelector(".problem");
  line.textContent = problem;
  line.hidden = !problem;
}

/** What went wrong with a request, in a sentence. */
function sentence(error) {
  return error instanceof TypeError ? "The catalog does not answer. What you see is what it said last." : error.message;
}

/** Puts what `page` has at `selector` where this page has it. */
function replace(selector, page) {
  const [old, fresh] = [document.querySelector(selector), page?.querySelector(selector)];
  if (!old || !fresh) return;
  localize(fresh);
  old.replaceWith(fresh);
}

// Search as one types

/** The address that the form stands for, without what is empty. */
function addressOf(form) {
  const fields = [...new FormData(form)].filter(([, value]) => value !== "");
  const query = new URLSearchParams(fields).toString();
  return form.getAttribute("action") + (query ? `?${query}` : "");
}

for (const form of document.querySelectorAll("form[data-results]")) {
  let running = new AbortController();
  const search = async () => {
    running.abort();
    running = new AbortController();
    const url = addressOf(form);
    try {
      const page = await load(url, { signal: running.signal });
      if (!page) return;
      replace(form.dataset.results, page);
      // Its date control and its links keep what was typed.
      replace(".top", page);
      history.replaceState(null, "", url);
      tell("");
    } catch (error) {
      // A later key has begun another search.
      if (error.name !== "AbortError") tell(sentence(error));
    }
  };
  form.addEventListener("input", search);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
}

// Copy

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) await copy(button);
});

async function copy(button) {
  button.dataset.label ??= button.textContent;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "copied";
    button.classList.add("done");
  } catch {
    // Browsers allow this on HTTPS and on this machine only.
    button.textContent = "select it by hand";
  }
  setTimeout(() => {
    button.textContent = button.dataset.label;
    button.classList.remove("done");
  }, 1500);
}

// Keys

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const field = event.target.closest("input, select, textarea");
  const search = document.querySelector("#q");
  if (event.key === "/" && !field && search) {
    event.preventDefault();
    search.focus();
    search.select();
    return;
  }
  if (event.key === "c" && !field) {
    const button = event.target.closest("tr")?.querySelector("[data-copy]");
    if (button) copy(button);
    return;
  }
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const links = [...document.querySelectorAll("[data-rows] [data-id]")];
  const here = links.indexOf(event.target.closest("tr")?.querySelector("[data-id]"));
  const isInTable = here >= 0;
  if (!isInTable && event.target !== search && event.target !== document.body) return;
  const next = event.key === "ArrowDown" ? here + 1 : here - 1;
  if (next >= 0 && next < links.length) {
    event.preventDefault();
    links[next].focus();
  } else if (next < 0 && isInTable) {
    event.preventDefault();
    search?.focus();
  }
});

// News: a line says that something has changed; the page stays as it is until the reader asks

const liveFrom = document.body.dataset.liveFrom;
if (liveFrom !== undefined) {
  const line = document.querySelector(".news");
  let count = 0;
  let last = liveFrom;
  let events = null;
  const hear = (event) => {
    last = event.lastEventId;
    count += JSON.parse(event.data).events.length;
    const again = document.createElement("a");
    again.href = location.href;
    again.textContent = "Show";
    again.addEventListener("click", (click) => {
      click.preventDefault();
      location.reload();
    });
    line.replaceChildren(`${count} ${count === 1 ? "change" : "changes"} since you opened this page. `, again);
    line.hidden = false;
  };
  const listen = () => {
    if (events || document.hidden) return;
    events = new EventSource(`/catalog/events?since=${last}`);
    events.addEventListener("revision", hear);
  };
  const rest = () => {
    events?.close();
    events = null;
  };
  // Browsers have six connections to a server: tabs that nobody looks at must not hold them.
  document.addEventListener("visibilitychange", () => (document.hidden ? rest() : listen()));
  addEventListener("pagehide", rest);
  addEventListener("pageshow", listen);
  listen();
}

// Sources: ask now, with the seconds that it takes; cards that stay up to date

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-refresh]");
  if (!form) return;
  event.preventDefault();
  const button = form.querySelector("button");
  const label = [...button.childNodes];
  const began = Date.now();
  const tick = () => (button.textContent = `asking, ${Math.floor((Date.now() - began) / 1000)} s`);
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  tick();
  const ticking = setInterval(tick, 1000);
  try {
    const page = await load(form.action, { method: "POST" });
    clearInterval(ticking);
    if (!page) return;
    replace("main", page);
    tell("");
    // Whoever uses the keyboard stays where it was pressed.
    document.querySelector(`form[action="${form.getAttribute("action")}"] button`)?.focus();
  } catch (error) {
    tell(sentence(error));
  } finally {
    clearInterval(ticking);
    button.replaceChildren(...label);
    button.disabled = false;
    button.removeAttribute("aria-busy");
  }
});

const cards = document.querySelector("[data-refresh-seconds]");
if (cards) {
  setInterval(async () => {
    const isRead = document.querySelector(".cards")?.contains(document.activeElement);
    const isOpen = document.querySelector(".cards details[open]");
    const isAsked = document.querySelector("[aria-busy]");
    if (document.hidden || isRead || isOpen || isAsked) return;
    try {
      replace(".cards", await load(location.pathname));
    } catch {
      // The server does not answer at the moment: what is shown stays, and is asked for again.
    }
  }, Number(cards.dataset.refreshSeconds) * 1000);
}

localize(document);
