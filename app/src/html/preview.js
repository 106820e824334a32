// How does a picture get a preview that Hearth cannot decode, such as HEIC?
//
// This browser may be able to. For each file of the page with data-attachment it makes a smaller JPEG and hands it in; then the page
// is loaded again to show it. What it cannot decode, it tries once.
"use strict";

(() => {
  const LONGER_SIDE = 1280;
  // A phone's largest pictures are smaller, and a phone's browser does not decode much more.
  const MOST_BYTES = 64 << 20;
  const root = document.documentElement;

  const smaller = async (picture) => {
    const address = URL.createObjectURL(picture);
    try {
      const image = new Image();
      image.src = address;
      await image.decode();
      const scale = Math.min(1, LONGER_SIDE / Math.max(image.naturalWidth, image.naturalHeight));
      const canvas = document.createElement("canvas");
      canvas.width = Math.max(1, Math.round(image.naturalWidth * scale));
      canvas.height = Math.max(1, Math.round(image.naturalHeight * scale));
      const context = canvas.getContext("2d");
      // A JPEG has nothing that is transparent.
      context.fillStyle = "#fff";
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.drawImage(image, 0, 0, canvas.width, canvas.height);
      return await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.85));
    } finally {
      URL.revokeObjectURL(address);
    }
  };

  const handIn = async (id) => {
    const content = await fetch(`/api/v1/attachments/${id}/content`);
    if (!content.ok) return false;
    const preview = await smaller(await content.blob()).catch(() => null);
    if (!preview) return false;
    const headers = { Accept: "application/json", "Content-Type": "application/octet-stream" };
    return (await fetch(`/api/v1/attachments/${id}/preview`, { method: "PUT", headers, body: preview })).ok;
  };

  const handInAll = async () => {
    let some = false;
    for (const file of document.querySelectorAll("[data-attachment]")) {
      const tried = `preview ${file.dataset.attachment}`;
      if (Number(file.dataset.bytes) > MOST_BYTES || sessionStorage.getItem(tried)) continue;
      sessionStorage.setItem(tried, "yes");
      some = (await handIn(file.dataset.attachment)) || some;
    }
    if (some && !root.dataset.typed && !root.dataset.busy) location.replace(location.pathname + location.search);
  };

  handInAll().catch(() => {
    // Offline, or without a place to write down what was tried: the files are there without previews.
  });
})();
