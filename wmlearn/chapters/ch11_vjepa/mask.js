// The mask playground's browser side: draw places on a clip, ask the kernel for the errors.

const ASK_DELAY = 120; // milliseconds of rest before the kernel is asked
const FPS = 5;

function render({ model, el }) {
  const config = model.get("config");
  const [times, rows, columns] = config.grid;
  const [height, width] = config.size;
  const perTubelet = config.frames / times;
  const hidden = Uint8Array.from(config.hidden);
  let clip = 0, frame = 0, film = null, answer = null, playing = true;
  let cursor = [rows >> 1, columns >> 1], focused = false, brush = null, asked = 0, waiting = 0;

  // ---- what is on the page
  const shown = 2; // canvas pixels for each pixel of the page
  const side = (name, label, words) => {
    const canvas = make("canvas", "wm-mask-screen", {
      width: config.width * shown, height: (config.width * shown * height) / width,
      role: "img", "aria-label": words,
    });
    canvas.style.width = `${config.width}px`;
    const node = make("div", `wm-mask-side wm-mask-${name}`, {},
      make("div", "wm-mask-label", { textContent: label }), canvas);
    return { node, canvas, context: canvas.getContext("2d") };
  };
  const seen = side("seen", "your mask on the clip", "The clip, with hidden places in gray");
  const wrong = side("wrong", "where the guess is wrong", "The clip, with the error in orange");
  seen.canvas.style.cursor = "crosshair";
  const stage = make("div", "wm-mask-stage", {
    tabIndex: 0, role: "application", "data-lm-suppress-shortcuts": "true",
    "aria-label": `Mask of ${rows} by ${columns} places. Arrow keys move, space hides or shows ` +
      "a place, Escape leaves.",
  }, seen.node, wrong.node);
  const button = (text, title, onclick) =>
    make("button", "wm-button", { type: "button", textContent: text, title, onclick });
  const playButton = button("Pause", "Stop or go on with the film", () => {
    playing = !playing;
    playButton.textContent = playing ? "Pause" : "Play";
  });
  const bar = make("div", "wm-row", { role: "toolbar", "aria-label": "Mask" }, playButton,
    button("Next clip", "Another clip, the same mask", () => {
      clip = (clip + 1) % config.clips;
      answer = null;
      ask();
    }),
    button("Block", "Begin again with the middle quarter", () => {
      hidden.set(config.hidden);
      ask();
    }),
    button("Hide all but one row", "Leave only the lowest row to be seen", () => {
      hidden.fill(1, 0, (rows - 1) * columns);
      hidden.fill(0, (rows - 1) * columns);
      ask();
    }),
    button("Invert", "Hide what is seen and show what is hidden", () => {
      hidden.forEach((value, i) => { hidden[i] = 1 - value; });
      ask();
    }));
  const status = make("div", "wm-mask-status", { role: "status", "aria-live": "polite" });
  const root = make("div", "wm-page wm-mask", { "data-lm-suppress-shortcuts": "true" }, stage, bar, status);
  el.append(root);

  // ---- talking to the kernel
  const link = watchKernel(model, () => { status.textContent = KERNEL_GONE; });
  function ask() {
    draw();
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      link.send({ clip, hidden: Array.from(hidden), id: ++asked });
    }, ASK_DELAY);
  }
  function onAnswer(message, buffers) {
    if (message.type !== "answer" || message.id !== asked) return;
    const bytes = bytesOf(buffers[0]);
    film = [];
    for (let f = 0; f < config.frames; f++) {
      const image = fill(new ImageData(width, height), bytes, f * width * height * 3);
      const canvas = make("canvas", "", { width, height });
      canvas.getContext("2d").putImageData(image, 0, 0);
      film.push(canvas);
    }
    answer = message.note ? null : message;
    const count = hidden.reduce((sum, value) => sum + value, 0);
    status.textContent = message.note ??
      `Clip ${message.clip + 1} of ${config.clips}; ${count} of ${rows * columns} places hidden. ` +
      `Mean error ${message.mean.toFixed(2)}; guessing the mean of what is seen: ` +
      `${message.baseline.toFixed(2)}.`;
    draw();
  }
  model.on("msg:custom", onAnswer);

  // ---- drawing
  function draw() {
    if (!film) return;
    const style = getComputedStyle(root);
    const gray = style.getPropertyValue("--wm-neutral").trim();
    const orange = style.getPropertyValue("--wm-dream").trim();
    const w = seen.canvas.width, h = seen.canvas.height;
    const cw = w / columns, ch = h / rows;
    for (const { context } of [seen, wrong]) {
      context.imageSmoothingEnabled = false;
      context.globalAlpha = 1;
      context.drawImage(film[frame], 0, 0, w, h);
    }
    const time = Math.floor(frame / perTubelet);
    for (let i = 0; i < rows * columns; i++) {
      const x = (i % columns) * cw, y = Math.floor(i / columns) * ch;
      if (hidden[i]) {
        seen.context.globalAlpha = 1;
        seen.context.fillStyle = gray;
        seen.context.fillRect(x, y, cw, ch);
      }
      const error = answer ? answer.places[time * rows * columns + i] : -1;
      if (error >= 0) {
        const [clear, full] = config.shades;
        const shade = (error / answer.baseline - clear) / (full - clear);
        wrong.context.globalAlpha = 0.9 * Math.min(1, Math.max(0, shade));
        wrong.context.fillStyle = orange;
        wrong.context.fillRect(x, y, cw, ch);
      }
    }
    seen.context.globalAlpha = 0.35;
    seen.context.strokeStyle = "#ffffff";
    seen.context.lineWidth = 1;
    seen.context.beginPath();
    for (let c = 1; c < columns; c++) { seen.context.moveTo(c * cw, 0); seen.context.lineTo(c * cw, h); }
    for (let r = 1; r < rows; r++) { seen.context.moveTo(0, r * ch); seen.context.lineTo(w, r * ch); }
    seen.context.stroke();
    if (focused) {
      seen.context.globalAlpha = 1;
      seen.context.lineWidth = 4;
      seen.context.strokeRect(cursor[1] * cw + 2, cursor[0] * ch + 2, cw - 4, ch - 4);
    }
    seen.context.globalAlpha = 1;
  }

  // ---- mouse, touch and keys
  function placeOf(event) {
    const box = seen.canvas.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * columns);
    const row = Math.floor(((event.clientY - box.top) / box.height) * rows);
    return [Math.min(rows - 1, Math.max(0, row)), Math.min(columns - 1, Math.max(0, column))];
  }
  function apply(event) {
    cursor = placeOf(event);
    const i = cursor[0] * columns + cursor[1];
    if (hidden[i] === brush) return;
    hidden[i] = brush;
    ask();
  }
  seen.canvas.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    stage.focus();
    seen.canvas.setPointerCapture(event.pointerId);
    const [row, column] = placeOf(event);
    brush = 1 - hidden[row * columns + column];
    apply(event);
  });
  seen.canvas.addEventListener("pointermove", (event) => { if (brush !== null) apply(event); });
  for (const name of ["pointerup", "pointercancel"]) {
    seen.canvas.addEventListener(name, () => { brush = null; });
  }
  const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  stage.addEventListener("keydown", (event) => {
    if (event.key === "Escape") stage.blur();
    else if (moves[event.key]) {
      const [down, right] = moves[event.key];
      cursor = [(cursor[0] + down + rows) % rows, (cursor[1] + right + columns) % columns];
      draw();
    } else if (event.key === " ") {
      const i = cursor[0] * columns + cursor[1];
      hidden[i] = 1 - hidden[i];
      ask();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  stage.addEventListener("focus", () => { focused = true; draw(); });
  stage.addEventListener("blur", () => { focused = false; draw(); });

  const timer = setInterval(() => {
    if (!playing || !film) return;
    frame = (frame + 1) % config.frames;
    draw();
  }, 1000 / FPS);
  ask();
  return () => {
    clearInterval(timer);
    clearTimeout(waiting);
    link.stop();
    model.off("msg:custom", onAnswer);
  };
}

export default { render };
