// The text box: a sentence goes to Python, a video comes back as bytes, and plays in a loop.

function render({ model, el }) {
  const config = model.get("config");
  const { height, width, fps } = config;
  const screen = makeScreen("dream", "dream", "The video that the model drew", [height, width],
    config.shown);
  const field = make("input", "wm-field wm-text-field", {
    type: "text", value: config.text, "aria-label": "What the video shall show",
    autocomplete: "off", spellcheck: false,
    // On the field itself: JupyterLab takes Enter for its own where the focus' own node allows it.
    "data-lm-suppress-shortcuts": "true",
    onkeydown(event) {
      if (event.key !== "Enter" || event.isComposing) return;
      event.preventDefault();
      ask();
    },
  });
  const draw = make("button", "wm-button", { type: "submit", textContent: "Draw" });
  const status = make("div", "wm-text-status", { "aria-live": "polite", textContent: config.note });
  const examples = config.examples.map((text) => make("button", "wm-button wm-text-example", {
    type: "button", textContent: text,
    onclick() { field.value = text; ask(); },
  }));
  let frames = [], at = 0, busy = false;

  const link = watchKernel(model, () => {
    busy = true; // there is nobody to ask
    status.textContent = KERNEL_GONE;
  });

  function ask() {
    if (busy) return;
    busy = true;
    status.textContent = "drawing ...";
    link.send({ type: "prompt", text: field.value });
  }
  function receive(message, buffers) {
    if (message.type === "refused") {
      busy = false;
      status.textContent = message.words;
    } else if (message.type === "video") {
      busy = false;
      const all = bytesOf(buffers[0]), size = 3 * height * width;
      frames = Array.from({ length: all.length / size }, (_, k) => all.subarray(k * size, (k + 1) * size));
      at = 0;
      status.textContent = message.words;
    }
  }
  const timer = setInterval(() => {
    if (frames.length) screen.draw(frames[at++ % frames.length]);
  }, 1000 / fps);
  const form = make("form", "wm-row", {
    onsubmit(event) { event.preventDefault(); ask(); },
  }, field, draw);
  model.on("msg:custom", receive);
  el.append(make("div", "wm-page", { "data-lm-suppress-shortcuts": "true" },
    form, make("div", "wm-row", { role: "group", "aria-label": "Examples" }, ...examples),
    screen.node, status));
  return () => {
    clearInterval(timer);
    link.stop();
    model.off("msg:custom", receive);
  };
}

export default { render };
