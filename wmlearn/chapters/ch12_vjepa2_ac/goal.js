// The goal picker's browser side: pictures are buttons; views come as binary messages.

function render({ model, el }) {
  const config = model.get("config");
  const [height, width] = config.shape;
  const small = 84;
  const url = URL.createObjectURL(new Blob([model.get("sheet")], { type: "image/png" }));

  const real = config.real &&
    makeScreen("real", "real", "What the camera sees", config.shape, config.width);
  const dream = makeScreen("dream", "expected", "Recorded frame nearest to the expected features",
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
        link.send({ type: "pick", goal });
      },
    }, picture, `goal ${goal + 1}`);
  });
  const row = make("div", "wm-goal-row", {
    role: "group", "aria-label": "Goal images: choose where the arm shall go",
  }, ...goals);

  function receive(message, buffers) {
    if (message.type !== "view") return;
    dream.draw(bytesOf(buffers[0]));
    if (real && buffers.length > 1) real.draw(bytesOf(buffers[1]));
    if (message.goal < 0) return;
    const away = `${message.centimeters.toFixed(1)} cm from the goal`;
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
  el.append(make("div", "wm-page", { "data-lm-suppress-shortcuts": "true" },
    prompt, row, stage, status, spoken));
  const link = watchKernel(model, () => { status.textContent = KERNEL_GONE; });
  link.send({ type: "look" });
  return () => {
    link.stop();
    model.off("msg:custom", receive);
    URL.revokeObjectURL(url);
  };
}

export default { render };
