// How does a file get to a record, in pieces, over a connection that breaks?
//
// A form with data-upload (the record's id) sends files as soon as they are chosen, dropped or pasted; a form with data-quick-add
// first creates its record. A piece that is lost is sent again from where the server is. Offline, it waits and goes on. How it goes is
// said in the form's element with data-upload-says.
"use strict";

(() => {
  const PIECE = 2 << 20;
  const PATIENCE = [1, 2, 4, 8, 15, 30];
  const root = document.documentElement;

  // What trying again does not mend; the message is a sentence.
  class Refused extends Error {}

  const random = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

  const pause = (seconds) =>
    new Promise((resolve) => {
      const wake = () => {
        removeEventListener("online", wake);
        clearTimeout(timer);
        resolve();
      };
      // A browser that is surely offline waits for the network alone.
      const timer = setTimeout(wake, (navigator.onLine ? seconds : 600) * 1000);
      addEventListener("online", wake);
    });

  // Sends a request until there is an answer, however long the server cannot be reached.
  const ask = async (method, path, { body, headers = {}, says = () => {} } = {}) => {
    for (let attempt = 0; ; attempt += 1) {
      let response;
      try {
        response = await fetch(`/api/v1${path}`, { method, body, headers: { Accept: "application/json", ...headers } });
      } catch {
        says(navigator.onLine ? "Hearth cannot be reached. Trying again…" : "Offline. The upload goes on when you are online again.");
      }
      if (response && response.status !== 429 && response.status !== 502 && response.status !== 503 && response.status !== 504) {
        return response;
      }
      await pause(Number(response?.headers.get("Retry-After")) || PATIENCE[Math.min(attempt, PATIENCE.length - 1)]);
    }
  };

  const refused = async (response) => {
    if (response.status === 401) return new Refused("Your session has ended. Sign in again in another tab, then try again.");
    const problem = await response.json().catch(() => ({}));
    const errors = (problem.errors || []).map((error) => `${error.field} ${error.message}`).join(", ");
    return new Refused(problem.detail || errors || problem.title || "Hearth sent an unexpected response.");
  };

  const json = async (method, path, document, options = {}) => {
    const headers = { "Content-Type": "application/json", ...options.headers };
    const response = await ask(method, path, { ...options, headers, body: JSON.stringify(document) });
    if (!response.ok) throw await refused(response);
    return response.json();
  };

  const roleOf = (file) => {
    if (file.type.startsWith("image/")) return "photo";
    return file.type === "application/pdf" ? "document" : "other";
  };

  // Sends a file to a record; `shows` is told what part of it has arrived.
  const upload = async (record, file, { keepLocation, says, shows }) => {
    const announced = { name: file.name || "photograph.jpg", role: roleOf(file), bytes: file.size, keep_location: keepLocation };
    let state = await json("POST", `/records/${record}/uploads`, announced, { says });
    const path = `/uploads/${state.id}`;
    while (!state.attachment) {
      shows(file.size ? state.offset / file.size : 0);
      const body = await file.slice(state.offset, state.offset + PIECE).arrayBuffer().catch(() => {
        throw new Refused("The file cannot be read any more. Choose it again.");
      });
      const headers = { "Content-Type": "application/octet-stream", "Upload-Offset": String(state.offset) };
      let response;
      try {
        response = await fetch(`/api/v1${path}`, { method: "PATCH", body, headers: { Accept: "application/json", ...headers } });
      } catch {
        says(navigator.onLine ? "The connection broke. Trying again…" : "Offline. The upload goes on when you are online again.");
        await pause(2);
      }
      // Where it is unknown what has arrived, the server says.
      if (!response || response.status === 409 || response.status === 408 || response.status >= 502 || response.status === 429) {
        if (response) await pause(Number(response.headers.get("Retry-After")) || 2);
        response = await ask("GET", path, { says });
      }
      if (!response.ok) throw await refused(response);
      state = await response.json();
      says("");
    }
    shows(1);
  };

  const filesOf = (form) => [...form.querySelectorAll("input[type=file]")].flatMap((input) => [...input.files]);

  // Files that are sent one after the other, each with a line that says how it goes.
  class Queue {
    constructor(form) {
      this.form = form;
      form.classList.add("scripted");
      this.says = form.querySelector("[data-upload-says]");
      this.list = document.createElement("ul");
      this.list.className = "uploads";
      this.says.before(this.list);
      this.waiting = [];
      this.failed = 0;
    }

    add(files) {
      for (const file of files) {
        const line = document.createElement("li");
        const name = document.createElement("span");
        name.textContent = file.name;
        const progress = document.createElement("progress");
        progress.max = 1;
        progress.value = 0;
        progress.setAttribute("aria-label", `Upload of ${file.name}`);
        const said = document.createElement("span");
        said.className = "quiet";
        line.append(name, progress, said);
        this.list.append(line);
        this.waiting.push({ file, line, progress, said });
      }
    }

    // Sends all that waits; returns whether everything has arrived.
    async send(record) {
      if (root.dataset.busy) return false;
      root.dataset.busy = "yes";
      try {
        while (this.waiting.length) await this.one(record, this.waiting.shift());
      } finally {
        delete root.dataset.busy;
      }
      return this.failed === 0;
    }

    async one(record, item) {
      this.says.textContent = `Sending ${item.file.name}…`;
      try {
        await upload(record, item.file, {
          keepLocation: Boolean(this.form.querySelector("[name=keep_location]")?.checked),
          says: (words) => {
            item.said.textContent = words;
          },
          shows: (part) => {
            item.progress.value = part;
          },
        });
        item.said.textContent = "Added";
        this.says.textContent = `${item.file.name} was added.`;
      } catch (error) {
        this.failed += 1;
        item.said.textContent = error instanceof Refused ? error.message : "The upload failed.";
        this.says.textContent = `${item.file.name} was not added. ${item.said.textContent}`;
        const again = document.createElement("button");
        again.type = "button";
        again.textContent = "Try again";
        again.addEventListener("click", async () => {
          again.remove();
          this.failed -= 1;
          this.waiting.push(item);
          if (await this.send(record)) arrived(record, "attached");
        });
        item.line.append(again);
      }
    }
  }

  const linkTo = (record) => {
    const link = document.createElement("a");
    link.href = `/records/${record}`;
    link.textContent = "Open the record";
    return link;
  };

  const arrived = (record, done) => {
    // What is typed in another form of the page is worth more than a fresh page.
    if (!root.dataset.typed || done === "added") location.assign(`/records/${record}?done=${done}`);
  };

  addEventListener("beforeunload", (event) => {
    if (root.dataset.busy) event.preventDefault();
  });

  for (const form of document.querySelectorAll("form[data-upload]")) {
    const record = form.dataset.upload;
    const queue = new Queue(form);
    for (const button of form.querySelectorAll("[data-without-script]")) button.hidden = true;
    const take = async (files) => {
      queue.add(files);
      if (await queue.send(record)) arrived(record, "attached");
    };
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", (event) => {
      if (event.target.type !== "file") return;
      const files = [...event.target.files];
      event.target.value = "";
      take(files);
    });
    form.addEventListener("files", (event) => take(event.detail));
  }

  for (const form of document.querySelectorAll("form[data-quick-add]")) {
    const queue = new Queue(form);
    const key = random();
    let record;
    const choose = (files) => {
      queue.add(files);
      form.querySelector("[name=title]").focus();
    };
    form.addEventListener("change", (event) => {
      if (event.target.type !== "file") return;
      const files = [...event.target.files];
      event.target.value = "";
      choose(files);
    });
    form.addEventListener("files", (event) => choose(event.detail));
    form.addEventListener("submit", async (event) => {
      if (!queue.waiting.length && !record) return;
      event.preventDefault();
      if (root.dataset.busy) return;
      const button = form.querySelector("button.main");
      button.disabled = true;
      try {
        const first = queue.waiting[0]?.file.name.replace(/\.[^.]*$/, "").replace(/[_-]+/g, " ").trim().slice(0, 200);
        const title = form.querySelector("[name=title]").value.trim() || first || "Photograph";
        const tell = (words) => {
          queue.says.textContent = words;
        };
        record ??= (await json("POST", "/records", { title }, { headers: { "Idempotency-Key": key }, says: tell })).id;
        if (await queue.send(record)) arrived(record, "added");
        else queue.says.append(" ", linkTo(record));
      } catch (error) {
        queue.says.textContent = error instanceof Refused ? error.message : "The record was not added.";
      } finally {
        button.disabled = false;
      }
    });
  }

  // Whatever is dropped on the page or pasted into it goes to its form for files.
  const target = () => document.querySelector("form[data-upload], form[data-quick-add]");
  const give = (event, files) => {
    const form = target();
    if (!form || !files.length) return;
    event.preventDefault();
    form.closest("details")?.setAttribute("open", "");
    form.dispatchEvent(new CustomEvent("files", { detail: [...files] }));
  };
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!target() || !carriesFiles(event)) return;
    event.preventDefault();
    target().classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) target()?.classList.remove("dropping");
  });
  document.addEventListener("drop", (event) => {
    target()?.classList.remove("dropping");
    if (carriesFiles(event)) give(event, event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => give(event, event.clipboardData?.files || []));
})();
