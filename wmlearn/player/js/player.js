// The player's browser side. Frames come as binary messages, never as saved state; the newest one
// is drawn at the browser's own pace and every sixth is acknowledged.

const ACK_EVERY = 6;
const CHART_LENGTH = 600; // steps of PSNR that are shown, of this game and of those before it
const CHART_RANGE = [5, 45]; // dB
const EQUAL = 58.92; // dB, the PSNR of a copy: an error below the rounding of bytes is none
const CALM = 200; // milliseconds between two changes of numbers and chart
const GLYPHS = {
  ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Space: "space",
};

const normalKey = (key) => (key === " " ? "Space" : key.length === 1 ? key.toLowerCase() : key);
const keyLabel = (chord) => chord.split(" + ").map((key) => GLYPHS[key] ?? key).join(" + ");

// One side of the stage: a label with the return, and the picture.
function makeSide(name, shape, shownWidth) {
  const score = make("span", "wm-score");
  const ended = make("span", "wm-ended", { textContent: "ended", hidden: true });
  const words = `${name} game picture`;
  return {
    ...makeScreen(name, name, words, shape, shownWidth, ended, score),
    bytes: shape[0] * shape[1] * 3,
    tell([total, hasEnded]) {
      score.textContent = `return ${Math.round(total * 10) / 10}`;
      ended.hidden = !hasEnded;
    },
  };
}

// The divergence meter: PSNR of the dream against the real frame, over the last steps. A restart does
// not wipe it: an upright line (null among the values) stands where a new game began.
function makeMeter() {
  const number = make("span", "wm-number", { textContent: "–" });
  const canvas = make("canvas", "wm-chart", {
    role: "img", "aria-label": "Chart of the PSNR between real and dream over time",
  });
  const context = canvas.getContext("2d");
  const values = [];
  let theme = "";
  const themeOf = (style) => [style.color, style.borderTopColor, style.caretColor].join();
  function draw() {
    const ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width) return;
    if (canvas.width !== Math.round(width * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const style = getComputedStyle(canvas);
    theme = themeOf(style);
    const [low, high] = CHART_RANGE;
    const left = 24;
    const y = (value) =>
      4 + (height - 8) * (1 - (Math.min(high, Math.max(low, value)) - low) / (high - low));
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = `10px ${style.fontFamily}`;
    context.textBaseline = "middle";
    context.textAlign = "right";
    context.lineWidth = 1;
    for (const value of [10, 20, 30, 40]) {
      context.strokeStyle = style.borderTopColor;
      context.beginPath();
      context.moveTo(left, Math.round(y(value)) + 0.5);
      context.lineTo(width, Math.round(y(value)) + 0.5);
      context.stroke();
      context.fillStyle = style.color;
      if (value % 20 === 0) context.fillText(value, left - 6, y(value));
    }
    context.strokeStyle = style.caretColor;
    context.lineWidth = 1.75;
    context.lineJoin = "round";
    const x = (index) => left + (index / (CHART_LENGTH - 1)) * (width - left);
    context.beginPath();
    values.forEach((value, index) => {
      if (value === null) return;
      context[index && values[index - 1] !== null ? "lineTo" : "moveTo"](x(index), y(value));
    });
    context.stroke();
    context.strokeStyle = style.color;
    context.lineWidth = 1;
    context.setLineDash([2, 2]);
    context.beginPath();
    values.forEach((value, index) => {
      if (value !== null) return;
      context.moveTo(Math.round(x(index)) + 0.5, 4);
      context.lineTo(Math.round(x(index)) + 0.5, height - 4);
    });
    context.stroke();
    context.setLineDash([]);
  }
  const head = make("div", "wm-meter-head", {},
    make("span", "", {
      textContent: "PSNR, dream against real",
      title: "Higher is closer; it falls as the dream drifts away from the real game",
    }), number);
  return {
    node: make("div", "wm-meter", {}, head, canvas),
    draw,
    follow() { if (themeOf(getComputedStyle(canvas)) !== theme) draw(); }, // light or dark, by now
    tell(value) {
      number.textContent = value === null ? "–" : value >= EQUAL ? "equal" : `${value.toFixed(1)} dB`;
    },
    push(step, value) {
      if (step === 0 ? !values.length || values.at(-1) === null : value === null) return;
      values.push(step === 0 ? null : value);
      if (values.length > CHART_LENGTH) values.shift();
      canvas.dataset.games = 1 + values.filter((one) => one === null).length;
      canvas.dataset.steps = values.length;
    },
  };
}

function render({ model, el }) {
  const config = model.get("config");
  const [height, width] = config.shape;
  const gameKeys = new Set(config.used);
  let playing = false, closed = false, pending = null, shown = null, drawn = 0;
  let sinceAck = 0, heard = 0, games = 0, animation = 0, waiting = 0, told = 0, rate = 0;
  const pressed = [], buttons = []; // in the order of pressing
  const link = watchKernel(model, () => { // the widget has no other end any more
    setState({ playing: false, closed: true, note: KERNEL_GONE });
  });
  const send = (message) => { if (!closed || message.type === "ready") link.send(message); };

  // ---- what is on the page
  const names = config.real ? ["real", "dream"] : ["dream"];
  const sides = names.map((name) => makeSide(name, [height, width], config.width));
  const prompt = make("div", "wm-prompt", { textContent: "Run this cell to play" });
  const usable = config.actions.filter((action) => action.key)
    .map((action) => `${keyLabel(action.key)} ${action.name}`).join(", ");
  const stage = make("div", "wm-stage", {
    tabIndex: 0, role: "application", "data-lm-suppress-shortcuts": "true",
    "aria-label": `Game, real and dream under the same keys. Enter plays and pauses, full stop ` +
      `makes one step, Escape leaves. Keys: ${usable}`,
  }, ...sides.map((side) => side.node), prompt);
  const meter = makeMeter();
  meter.node.hidden = !config.real;

  const button = (text, title, onclick) =>
    make("button", "wm-button", { type: "button", textContent: text, title, onclick });
  const playButton = button("Play", "Play or pause (Enter on the game)", () => toggle());
  const speed = make("input", "", {
    type: "range", min: 1, max: 60, value: config.fps, "aria-label": "Steps per second",
  });
  const speedText = make("span", "wm-number", { textContent: `${config.fps}/s` });
  speed.oninput = () => {
    speedText.textContent = `${speed.value}/s`;
    send({ type: "fps", value: Number(speed.value) });
  };
  const controls = make("div", "wm-row", { role: "toolbar", "aria-label": "Player" },
    playButton,
    button("Step", "Pause and make one step with the keys that are held (full stop)", () =>
      singleStep()),
    button("Restart", config.real ? "Start again from a real frame" : "Start again", () =>
      send({ type: "restart" })),
    button("Save GIF", "Download the last seconds as a GIF", () => {
      say("Making the GIF …");
      send({ type: "gif" });
    }),
    make("label", "wm-speed", {}, "speed", speed, speedText));
  const actionRow = make("div", "wm-row wm-actions", { role: "group", "aria-label": "Actions" },
    ...config.actions.map(makeAction));
  const form = makeForm(config.form, send);
  const facts = make("span", "wm-facts");
  const status = make("span", "wm-status", { role: "status", "aria-live": "polite" });
  const root = make("div", "wm-page wm-player", { "data-lm-suppress-shortcuts": "true" },
    stage, meter.node, controls, form.node, actionRow, make("div", "wm-foot", {}, status, facts));
  root.style.setProperty("--wm-side", `${config.width}px`);
  root.style.setProperty("--wm-sides", sides.length);
  el.append(root);

  // ---- words
  let saying = 0;
  function say(text) { // at most one announcement in half a second
    clearTimeout(saying);
    saying = setTimeout(() => { if (status.textContent !== text) status.textContent = text; }, 150);
  }
  function setState(message) {
    playing = message.playing;
    closed = message.closed;
    playButton.textContent = playing ? "Pause" : "Play";
    prompt.hidden = playing;
    prompt.textContent = closed ? "Closed: run the cell again" : "Click or press Enter to play";
    root.classList.toggle("wm-playing", playing);
    if (!playing) pressed.length = buttons.length = 0;
    tellNumbers();
    say(message.note);
  }

  // ---- commands
  function toggle() {
    if (closed) return;
    send({ type: playing ? "pause" : "play" });
    if (playing) return;
    heard = 0;
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      if (!heard) {
        say("No frame arrives. Is the kernel busy or stopped? If not, this notebook program needs " +
          "wm.play(..., threads=False).");
      }
    }, 4000);
  }
  const singleStep = () => send({ type: "step", pressed: [...pressed] });
  const sendKeys = () => send({ type: "keys", pressed: [...pressed, ...buttons] });
  function press(list, key) {
    if (list.includes(key)) return;
    list.push(key);
    sendKeys();
  }
  function release(list, key) {
    const index = list.indexOf(key);
    if (index < 0) return;
    list.splice(index, 1);
    sendKeys();
  }

  // ---- keyboard and pointer on the game
  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.key === "Tab") return;
    event.preventDefault();
    event.stopPropagation();
    if (event.repeat) return;
    const key = normalKey(event.key);
    if (key === "Escape") {
      if (playing) send({ type: "pause" });
      stage.blur();
    } else if (gameKeys.has(key)) {
      if (!playing) say("Press Enter to play, or full stop for one step.");
      press(pressed, key);
    } else if (key === "Enter") toggle();
    else if (key === ".") singleStep();
  });
  stage.addEventListener("keyup", (event) => {
    event.stopPropagation();
    release(pressed, normalKey(event.key));
  });
  stage.addEventListener("blur", () => {
    if (!pressed.length) return;
    pressed.length = 0;
    sendKeys();
  });
  stage.addEventListener("click", () => {
    stage.focus({ preventScroll: true });
    if (!playing) toggle();
  });
  for (const kind of ["keydown", "keyup", "mousedown"]) { // the notebook's own shortcuts
    root.addEventListener(kind, (event) => {
      if (event.key !== "Tab") event.stopPropagation();
    });
  }

  // A button per action: held as long as it is pressed; while paused, one step.
  function makeAction(action) {
    const held = `action:${action.index}`;
    const node = make("button", "wm-button wm-action", {
      type: "button", title: "Hold to act; while paused: one step with this action",
      "aria-label": action.key ? `${action.name}, key ${action.key}` : action.name,
    }, make("span", "", { textContent: action.name }));
    if (action.key) node.append(make("kbd", "", { textContent: keyLabel(action.key) }));
    const down = () => (playing ? press(buttons, held) : send({ type: "step", pressed: [held] }));
    const up = () => release(buttons, held);
    node.addEventListener("contextmenu", (event) => event.preventDefault()); // a finger that rests
    node.addEventListener("pointerdown", (event) => { if (event.button === 0) down(); });
    for (const kind of ["pointerup", "pointerleave", "pointercancel", "blur"]) {
      node.addEventListener(kind, up);
    }
    const isPress = (event) => event.key === "Enter" || event.key === " ";
    node.addEventListener("keydown", (event) => {
      if (!isPress(event)) return;
      event.preventDefault();
      if (!event.repeat) down();
    });
    node.addEventListener("keyup", (event) => {
      if (!isPress(event)) return;
      event.preventDefault();
      up();
    });
    node.addEventListener("click", (event) => { // from a screen reader: no pointer, no key
      if (event.detail !== 0) return;
      down();
      setTimeout(up, 80);
    });
    return node;
  }

  // ---- frames
  function draw() {
    animation = 0;
    if (!pending) return;
    const { message, rgb } = pending;
    pending = null;
    shown = message;
    sides.forEach((side, index) =>
      side.draw(rgb.subarray(index * side.bytes, (index + 1) * side.bytes)));
    drawn += 1;
    root.dataset.drawn = drawn;
    root.dataset.step = message.step;
    if (!playing || performance.now() - told > CALM) tellNumbers();
  }
  function tellNumbers() {
    told = performance.now();
    if (!shown) return;
    sides.forEach((side, index) => side.tell(shown[names[index]]));
    facts.textContent = `step ${shown.step}` + (playing ? ` · ${Math.round(rate)} frames/s` : "");
    if (!config.real) return;
    meter.tell(shown.psnr);
    meter.draw();
  }
  function onMessage(message, buffers) {
    if (message.type === "frame" && message.wait) { // of several that came together
      const game = games; // what a restart has overtaken is not shown in the next game
      setTimeout(() => {
        if (game === games) onMessage({ ...message, wait: 0 }, buffers);
      }, message.wait);
    } else if (message.type === "frame") {
      heard += 1;
      if (message.step === 0) games += 1;
      pending = { message, rgb: bytesOf(buffers[0]) };
      if (config.real) meter.push(message.step, message.psnr);
      if (message.note) say(message.note + (message.over ? " A new one follows." : ""));
      else if (message.step === 0 && playing) say("A new episode.");
      if (++sinceAck >= ACK_EVERY) {
        sinceAck = 0;
        send({ type: "ack", seq: message.seq });
      }
      if (!animation) animation = requestAnimationFrame(draw);
    } else if (message.type === "state") setState(message);
    else if (message.type === "gif") download(message.name, buffers[0]);
  }
  function download(name, bytes) {
    const anchor = make("a", "", {
      href: URL.createObjectURL(new Blob([bytes], { type: "image/gif" })), download: name,
    });
    root.append(anchor);
    anchor.click();
    anchor.remove();
    setTimeout(() => URL.revokeObjectURL(anchor.href), 10000);
    say(`Saved the last seconds as ${name}.`);
  }

  // ---- frames per second
  let lastDrawn = 0, lastTime = performance.now();
  const clock = setInterval(() => {
    const now = performance.now();
    rate = ((drawn - lastDrawn) * 1000) / (now - lastTime);
    root.dataset.fps = rate.toFixed(1);
    lastDrawn = drawn;
    lastTime = now;
    if (config.real) meter.follow();
  }, 1000);

  // ---- life and death
  const pause = () => { if (playing) send({ type: "pause" }); };
  const onHidden = () => { if (document.hidden) pause(); };
  const onResize = () => { if (config.real) meter.draw(); };
  const poster = model.get("poster");
  if (poster?.byteLength) { // so that a page without a kernel shows the first frame
    createImageBitmap(new Blob([poster], { type: "image/png" })).then((bitmap) => {
      if (drawn) return;
      sides.forEach((side, index) => side.canvas.getContext("2d").drawImage(
        bitmap, index * width, 0, width, height, 0, 0, width, height));
      root.dataset.poster = "drawn";
    });
  }
  model.on("msg:custom", onMessage);
  document.addEventListener("visibilitychange", onHidden);
  window.addEventListener("pagehide", pause);
  window.addEventListener("resize", onResize);
  requestAnimationFrame(onResize);
  send({ type: "ready" });
  return () => {
    pause();
    clearInterval(clock);
    clearTimeout(waiting);
    clearTimeout(saying);
    cancelAnimationFrame(animation);
    model.off("msg:custom", onMessage);
    link.stop();
    document.removeEventListener("visibilitychange", onHidden);
    window.removeEventListener("pagehide", pause);
    window.removeEventListener("resize", onResize);
  };
}

export default { render };
