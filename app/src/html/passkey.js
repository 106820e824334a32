// How does a page ask the browser for a passkey?
//
// A button with data-passkey="register" or "sign-in" is hidden in the HTML and shown here when the browser has
// passkeys. data-next is the local path to go to afterwards; a registration's name is the value of the element with
// data-passkey-name. How it goes and what went wrong is said in the elements with data-passkey-says nearest to the button.
"use strict";

(() => {
  if (!window.PublicKeyCredential || !navigator.credentials) return;

  const bytes = (text) => {
    const base64 = text.replace(/-/g, "+").replace(/_/g, "/");
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  };

  const base64url = (buffer) => {
    const text = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
    return btoa(text).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  };

  // Sends JSON and returns the answer's; an error is the sentence of the problem document.
  const post = async (path, body) => {
    const response = await fetch(`/api/v1/${path}`, {
      method: "POST",
      credentials: "same-origin",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify(body),
    });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error(answer.detail || answer.title || "Hearth sent an unexpected response.");
    return answer;
  };

  // The ids in these lists come as base64url, and the browser wants bytes.
  const withBytes = (list) => (list || []).map((item) => ({ ...item, id: bytes(item.id) }));

  const register = async (button) => {
    const { ceremony, options } = await post("passkeys/options", {});
    const asked = options.publicKey;
    const made = await navigator.credentials.create({
      publicKey: {
        ...asked,
        challenge: bytes(asked.challenge),
        user: { ...asked.user, id: bytes(asked.user.id) },
        excludeCredentials: withBytes(asked.excludeCredentials),
      },
    });
    const field = document.querySelector("[data-passkey-name]");
    await post("passkeys", {
      ceremony,
      name: (field && field.value.trim()) || "Passkey",
      credential: {
        id: made.id,
        rawId: base64url(made.rawId),
        type: made.type,
        response: {
          clientDataJSON: base64url(made.response.clientDataJSON),
          attestationObject: base64url(made.response.attestationObject),
        },
        clientExtensionResults: {},
      },
    });
  };

  const signIn = async () => {
    const { ceremony, options } = await post("session/passkey/options", {});
    const asked = options.publicKey;
    const used = await navigator.credentials.get({
      publicKey: {
        ...asked,
        challenge: bytes(asked.challenge),
        allowCredentials: withBytes(asked.allowCredentials),
      },
    });
    const handle = used.response.userHandle;
    await post("session/passkey", {
      ceremony,
      credential: {
        id: used.id,
        rawId: base64url(used.rawId),
        type: used.type,
        response: {
          clientDataJSON: base64url(used.response.clientDataJSON),
          authenticatorData: base64url(used.response.authenticatorData),
          signature: base64url(used.response.signature),
          userHandle: handle ? base64url(handle) : null,
        },
        clientExtensionResults: {},
      },
    });
  };

  // Only a path of this very site: anything else would let a link send people elsewhere after they have signed in.
  const next = (button) => {
    const wanted = button.dataset.next || "/";
    try {
      const address = new URL(wanted, location.origin);
      if (wanted.startsWith("/") && address.origin === location.origin) {
        return address.pathname + address.search + address.hash;
      }
    } catch {
      // Not an address at all.
    }
    return "/";
  };

  const go = (address) => {
    const [path] = address.split("#");
    const isHere = path === location.pathname + location.search;
    location.assign(address);
    // To the same address with a fragment a browser only scrolls.
    if (isHere && address.includes("#")) location.reload();
  };

  const sentence = (error) => {
    switch (error.name) {
      case "NotAllowedError":
      case "AbortError":
        return "The request was cancelled or timed out.";
      case "InvalidStateError":
        return "This device or password manager already has a passkey for this account.";
      case "SecurityError":
        return "Passkeys only work at the address configured for Hearth (http.public_url).";
      case "NotSupportedError":
        return "This device does not support the passkeys that Hearth uses.";
      case "TypeError":
        return "Hearth cannot be reached.";
      default:
        return error.message || "The passkey could not be used.";
    }
  };

  const say = (button, what, text) => {
    const near = button.closest("form, section, main") || document;
    for (const place of near.querySelectorAll("[data-passkey-says]")) {
      place.textContent = place.dataset.passkeySays === what ? text : "";
    }
  };

  for (const button of document.querySelectorAll("button[data-passkey]")) {
    const carryOut = { register, "sign-in": signIn }[button.dataset.passkey];
    if (!carryOut) continue;
    button.hidden = false;
    button.addEventListener("click", async (event) => {
      event.preventDefault();
      button.disabled = true;
      say(button, "progress", "Waiting for your device…");
      try {
        await carryOut(button);
        say(button, "progress", "Done.");
        go(next(button));
      } catch (error) {
        say(button, "failure", sentence(error));
        button.disabled = false;
        button.focus();
      }
    });
  }
})();
