// What saves a step on the binder's pages? Everything here works without it too.
//
// A list or a record that changed meanwhile is loaded again when somebody comes back to it. data-key is the key that goes to an
// element; data-again names the button that shows a form again with what was chosen; data-words completes each word of a list.
"use strict";

(() => {
  const isTyping = (element) => Boolean(element.closest("input, select, textarea, [contenteditable]"));

  // Something was typed on the page that is not sent yet, or upload.js is at work.
  const root = document.documentElement;
  const isInUse = () => Boolean(root.dataset.typed || root.dataset.busy);
  document.addEventListener("input", (event) => {
    if (!event.target.closest("form[role=search], form[data-upload]")) root.dataset.typed = "yes";
  });
  document.addEventListener("submit", () => {
    delete root.dataset.typed;
  });

  // Asks the API whether the page still shows what there is.
  const isOutdated = async () => {
    const record = document.querySelector("[data-record]");
    if (record) {
      const response = await fetch(`/api/v1/records/${record.dataset.record}`, {
        headers: { Accept: "application/json", "If-None-Match": `"${record.dataset.version}"` },
      });
      return response.status === 200 || response.status === 404;
    }
    const list = document.querySelector("[data-changes]");
    if (!list) return false;
    const after = encodeURIComponent(list.dataset.changes);
    const response = await fetch(`/api/v1/records/changes?limit=1&after=${after}`, { headers: { Accept: "application/json" } });
    if (response.status === 410) return true;
    return response.ok && (await response.json()).items.length > 0;
  };

  let asks = false;
  const refresh = async () => {
    if (document.visibilityState !== "visible" || asks || isInUse()) return;
    asks = true;
    try {
      if ((await isOutdated()) && !isInUse()) location.replace(location.pathname + location.search);
    } catch {
      // Offline: what is shown is what there is.
    } finally {
      asks = false;
    }
  };
  document.addEventListener("visibilitychange", refresh);
  window.addEventListener("focus", refresh);
  // A page that comes out of the browser's memory.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) refresh();
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const element = [...document.querySelectorAll("[data-key]")].find((each) => each.dataset.key === event.key);
    if (!element) return;
    event.preventDefault();
    if (element.matches("a, button")) return element.click();
    if (element.matches("summary")) {
      element.parentElement.open = true;
      element.parentElement.querySelector("input:not([type=hidden])")?.focus();
      return;
    }
    element.focus();
    element.select?.();
  });

  // Another kind has other fields.
  for (const select of document.querySelectorAll("[data-again]")) {
    const button = select.form.querySelector(`button[name=again][value=${select.dataset.again}]`);
    button.hidden = true;
    select.addEventListener("change", () => select.form.requestSubmit(button));
  }

  // A list completes what the whole field says; here it completes the last word.
  for (const input of document.querySelectorAll("[data-words]")) {
    const words = [...input.list.options].map((option) => option.value);
    input.addEventListener("input", () => {
      const start = input.value.slice(0, input.value.lastIndexOf(input.dataset.words) + 1);
      const chosen = start.split(input.dataset.words).map((word) => word.trim().toLowerCase());
      const options = words.filter((word) => !chosen.includes(word.toLowerCase())).map((word) => {
        const option = document.createElement("option");
        option.value = start ? `${start} ${word}` : word;
        return option;
      });
      input.list.replaceChildren(...options);
    });
  }
})();
