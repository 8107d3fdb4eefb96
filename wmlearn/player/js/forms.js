// Beside the keys: a field for a world that takes sentences, sliders for one that takes motions.

function makeForm(form, send) {
  if (form?.kind === "say") return makeSay(form.sentences, send);
  if (form?.kind === "move") return makeSliders(form.axes, send);
  return { node: make("div", "", { hidden: true }) };
}

// A sentence, and for how many steps it is said.
function makeSay(sentences, send) {
  const ask = () =>
    send({ type: "say", text: field.value, times: Number(times.value) || 1 });
  const id = `wm-sentences-${Math.random().toString(36).slice(2)}`;
  const list = make("datalist", "", { id },
    ...sentences.map((value) => make("option", "", { value })));
  const field = make("input", "wm-field wm-say", {
    type: "text", placeholder: sentences[sentences.length - 1], "aria-label": "What to say",
    autocomplete: "off", spellcheck: false, "data-lm-suppress-shortcuts": "true",
    onkeydown(event) {
      if (event.key !== "Enter" || event.isComposing) return;
      event.preventDefault(); // JupyterLab takes Enter for its own, so no form hears of it
      ask();
    },
  });
  field.setAttribute("list", id);
  const times = make("input", "wm-field wm-say wm-times", {
    type: "number", min: 1, max: 100, value: 8, "aria-label": "For how many steps",
  });
  const say = make("button", "wm-button", {
    type: "submit", textContent: "Say", title: "Say it at each of the next steps (Enter)",
  });
  const node = make("form", "wm-row wm-form", {
    onsubmit(event) {
      event.preventDefault();
      ask();
    },
  }, field, make("span", "", { textContent: "for" }), times,
    make("span", "", { textContent: "steps" }), say, list);
  return { node };
}

// A slider for each number; let go, it springs back to the middle.
function makeSliders(axes, send) {
  const inputs = [], numbers = [];
  const tell = () => {
    inputs.forEach((input, i) => { numbers[i].textContent = Number(input.value).toFixed(1); });
    send({ type: "motion", value: inputs.map((input) => Number(input.value)) });
  };
  const back = (input) => { input.value = 0; tell(); };
  const names = axes === 3 ? ["x", "y", "z"] : Array.from({ length: axes }, (_, i) => `${i + 1}`);
  const rows = names.map((name) => {
    const number = make("span", "wm-number", { textContent: "0.0" });
    const input = make("input", "", {
      type: "range", min: -1, max: 1, step: 0.1, value: 0, "aria-label": `Motion along ${name}`,
      title: "Hold it to move; let go, it springs back", oninput: tell,
    });
    for (const kind of ["pointerup", "pointercancel", "blur"]) {
      input.addEventListener(kind, () => back(input));
    }
    inputs.push(input);
    numbers.push(number);
    return make("label", "wm-axis", {}, name, input, number);
  });
  return { node: make("div", "wm-row wm-form", { role: "group", "aria-label": "Motion" }, ...rows) };
}
