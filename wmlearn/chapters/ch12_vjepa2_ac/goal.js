// The goal picker's browser side: pictures are buttons; views come as binary messages.

function make(tag, className, properties = {}, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("aria-") || name.startsWith("data-") || name === "role") {
      node.setAttribute(name, value);
    } else node[name] = value;
  }
  node.append(...children);
  return node;
}

// One large picture under its label.
function makeSide(name, label, words, [height, width], shownWidth) {
  const canvas = make("canvas", "wm-goal-screen", { width, height, role: "img", "aria-label": words });
  canvas.style.width = `${shownWidth}px`;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const head = make("div", "wm-goal-label", {},
    make("span", "wm-goal-swatch", { "aria-hidden": "true" }), make("b", "", { textContent: label }));
  return {
    node: make("div", `wm-goal-${name}`, {}, head, canvas),
    draw(rgb) {
      for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4) {
        image.data.set([rgb[from], rgb[from + 1], rgb[from + 2], 255], to);
      }
      context.putImageData(image, 0, 0);
    },
  };
}

function render({ model, el }) {
  const config = model.get("config");
  const [height, width] = config.shape;
  const small = 84;
  const url = URL.createObjectURL(new Blob([model.get("sheet")], { type: "image/png" }));

  const real = config.real &&
    makeSide("real", "real", "What the camera sees", config.shape, config.width);
  const dream = makeSide("dream", "expected", "Recorded frame nearest to the expected features",
    config.shape, config.width);
  const status = make("div", "wm-goal-status", { textContent: config.note });
  const spoken = make("div", "wm-goal-spoken", { "aria-live": "polite" });
  const stage = make("div", "wm-goal-stage", {}, ...(real ? [real.node] : []), dream.node);

  let busy = false;
  const goals = Array.from({ length: config.goals }, (_, goal) => {
    const picture = make("span", "wm-goal-picture", { "aria-hidden": "true" });
    picture.style.width = `${small}px`;
    picture.style.height = `${(small * height) / width}px`;
    picture.style.backgroundImage = `url(${url})`;
    picture.style.backgroundSize = `${small * config.goals}px auto`;
    picture.style.backgroundPosition = `${-small * goal}px 0`;
    return make("button", "wm-goal-button", {
      type: "button", "aria-pressed": "false", "aria-label": `Goal image ${goal + 1}`,
      onclick() {
        if (busy) return;
        busy = true;
        goals.forEach((other, i) => {
          other.setAttribute("aria-pressed", String(i === goal));
          other.setAttribute("aria-disabled", "true");
        });
        status.textContent = "planning ...";
        spoken.textContent = `The arm plans its way to goal image ${goal + 1}.`;
        model.send({ type: "pick", goal });
      },
    }, picture, `goal ${goal + 1}`);
  });
  const row = make("div", "wm-goal-row", {
    role: "group", "aria-label": "Goal images: choose where the arm shall go",
  }, ...goals);

  function receive(message, buffers) {
    if (message.type !== "view") return;
    const bytes = (data) =>
      new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0, data.byteLength);
    dream.draw(bytes(buffers[0]));
    if (real && buffers.length > 1) real.draw(bytes(buffers[1]));
    if (message.goal < 0) return;
    const away = `${message.centimetres.toFixed(1)} cm from the goal`;
    status.textContent = `action ${message.step} of ${config.steps}: ${away}; ` +
      `${message.seconds.toFixed(2)} s of planning`;
    if (message.over) {
      busy = false;
      goals.forEach((other) => other.removeAttribute("aria-disabled"));
      spoken.textContent = `Done: ${away}. Choose another goal image.`;
    }
  }
  model.on("msg:custom", receive);
  const prompt = make("div", "wm-goal-prompt", {
    textContent: "Click on a picture, or tab to it and press Enter: the arm goes there.",
  });
  el.append(make("div", "wm-goal", { "data-lm-suppress-shortcuts": "true" },
    prompt, row, stage, status, spoken));
  model.send({ type: "look" });
  return () => {
    model.off("msg:custom", receive);
    URL.revokeObjectURL(url);
  };
}

export default { render };
