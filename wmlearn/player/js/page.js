// What every widget of the course needs on the page; it stands before each widget's own script.

// An element: a property for each name, an attribute for aria-*, data-* and role.
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

// The bytes of a message's buffer, whichever way the notebook program hands it over.
const bytesOf = (data) =>
  new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0, data.byteLength);

const KERNEL_GONE = "The kernel was restarted or has ended: run this cell again.";

// Calls `gone` once when the kernel that a widget's other end lives in was restarted or ended: by the
// widget manager's word, by the kernel's own state, or where a message can no longer be sent.
function watchKernel(model, gone) {
  let told = false;
  const kernel = model.widget_manager?.kernel;
  const tell = () => {
    if (told) return;
    told = true;
    gone();
  };
  const onLive = () => { if (model.comm_live === false) tell(); };
  const onStatus = (_, status) => {
    if (["restarting", "autorestarting", "terminating", "dead"].includes(status)) tell();
  };
  model.on("comm_live_update", onLive);
  kernel?.statusChanged?.connect(onStatus);
  return {
    send(message) {
      try {
        model.send(message);
      } catch {
        tell();
      }
    },
    stop() {
      model.off("comm_live_update", onLive);
      kernel?.statusChanged?.disconnect(onStatus);
    },
  };
}

// RGB bytes into an ImageData, from byte `from` on.
function fill(image, rgb, from = 0) {
  const out = image.data;
  for (let to = 0; to < out.length; from += 3, to += 4) {
    out[to] = rgb[from];
    out[to + 1] = rgb[from + 1];
    out[to + 2] = rgb[from + 2];
    out[to + 3] = 255;
  }
  return image;
}

// A game's picture under its label; `name` is "real" or "dream" and gives the hue.
function makeScreen(name, label, words, [height, width], shownWidth, ...beside) {
  const canvas = make("canvas", "wm-screen", { width, height, role: "img", "aria-label": words });
  canvas.style.width = `${shownWidth}px`;
  canvas.style.aspectRatio = `${width} / ${height}`;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const head = make("div", "wm-label", {},
    make("span", "wm-swatch", { "aria-hidden": "true" }), make("b", "", { textContent: label }),
    ...beside);
  return {
    node: make("div", `wm-side wm-${name}`, {}, head, canvas),
    canvas,
    draw(rgb) { context.putImageData(fill(image, rgb), 0, 0); },
  };
}

