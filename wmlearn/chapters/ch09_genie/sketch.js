// A level editor: a grid of cells, one of them in the tab order, and a row of tiles to paint with.

const PRESS = [" ", "Enter"];
const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

function render({ model, el }) {
  const { tiles, grid, hero } = model.get("config");
  const kinds = Object.fromEntries(tiles.map((tile) => [tile[0], tile]));
  let brush = tiles[1][0];
  let painting = false;

  const palette = make("div", "wm-tiles", { role: "radiogroup", "aria-label": "tile to paint" });
  const choices = tiles.map(([sign, name, color], index) => {
    const swatch = make("span", "wm-tile", { "aria-hidden": "true" });
    swatch.style.background = color;
    const node = make("button", "", { type: "button", role: "radio" },
      swatch, `${index + 1} ${name}`);
    node.addEventListener("click", () => choose(sign));
    palette.append(node);
    return node;
  });

  const cells = [];
  const board = make("div", "wm-board", {
    role: "grid", "aria-label": "level; arrows move, Space paints, digits choose a tile",
  });
  board.style.setProperty("--wm-grid", grid);
  for (let r = 0; r < grid; r++) {
    const row = make("div", "wm-board-row", { role: "row" });
    for (let c = 0; c < grid; c++) {
      const cell = make("div", "wm-cell", { role: "gridcell", tabIndex: -1 });
      const place = r * grid + c;
      cell.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        painting = true;
        cell.releasePointerCapture?.(event.pointerId);
        focus(place);
        paint(place);
      });
      cell.addEventListener("pointerenter", () => painting && paint(place));
      row.append(cell);
      cells.push(cell);
    }
    board.append(row);
  }
  const isHero = (place) => place === hero[0] * grid + hero[1];

  const seen = make("img", "wm-seen", { alt: "the level as the world will see it" });
  const label = make("div", "wm-note", {}, "what the world will see");
  const help = make("div", "wm-note", {},
    "Paint with the mouse, or with arrows and Space; digits choose a tile. The hero stays.");
  const clear = make("button", "", { type: "button" }, "clear");
  clear.addEventListener("click", () => setLevel(tiles[0][0].repeat(grid * grid)));
  palette.append(clear);

  const signs = () => model.get("level").replaceAll("\n", "");
  function setLevel(text) {
    const lines = text.match(new RegExp(`.{${grid}}`, "gs"));
    model.set("level", lines.join("\n"));
    model.save_changes();
  }
  function choose(sign) {
    brush = sign;
    tiles.forEach((tile, i) => choices[i].setAttribute("aria-checked", String(tile[0] === sign)));
  }
  function paint(place) {
    const text = signs();
    if (isHero(place) || text[place] === brush) return;
    setLevel(text.slice(0, place) + brush + text.slice(place + 1));
  }
  function focus(place) {
    cells.forEach((cell, i) => cell.setAttribute("tabindex", i === place ? "0" : "-1"));
    cells[place].focus();
  }
  function draw() {
    const text = signs();
    cells.forEach((cell, i) => {
      const [, name, color] = kinds[text[i]];
      cell.style.background = color;
      cell.textContent = isHero(i) ? "☻" : "";
      const what = isHero(i) ? "hero" : name;
      const where = `row ${Math.floor(i / grid) + 1}, column ${(i % grid) + 1}`;
      cell.setAttribute("aria-label", `${where}: ${what}`);
    });
  }
  function show() {
    const bytes = model.get("picture");
    if (!bytes?.byteLength) return;
    const old = seen.src;
    seen.src = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
    if (old) URL.revokeObjectURL(old);
  }

  const stop = () => { painting = false; };
  window.addEventListener("pointerup", stop);
  board.addEventListener("keydown", (event) => {
    const place = cells.indexOf(event.target);
    if (place < 0) return;
    const [r, c] = [Math.floor(place / grid), place % grid];
    if (MOVES[event.key]) {
      const [dr, dc] = MOVES[event.key];
      const clip = (x) => Math.max(0, Math.min(grid - 1, x));
      focus(clip(r + dr) * grid + clip(c + dc));
    } else if (PRESS.includes(event.key)) paint(place);
    else if (event.key >= "1" && event.key <= String(tiles.length)) {
      choose(tiles[Number(event.key) - 1][0]);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });

  model.on("change:level", draw);
  model.on("change:picture", show);
  choose(brush);
  cells[0].setAttribute("tabindex", "0");
  draw();
  show();
  const right = make("div", "wm-right", {}, seen, label);
  el.append(make("div", "wm-page", {}, palette, make("div", "wm-both", {}, board, right), help));
  return () => {
    window.removeEventListener("pointerup", stop);
    model.off("change:level", draw);
    model.off("change:picture", show);
    if (seen.src) URL.revokeObjectURL(seen.src);
  };
}

export default { render };
