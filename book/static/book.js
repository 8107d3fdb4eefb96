// Figures of plotly: each page that has one loads the script from this site and draws in the page's colors.
(() => {
  const plots = [...document.querySelectorAll(".wm-plot")];
  const root = document.documentElement;
  const color = (name) => getComputedStyle(root).getPropertyValue(name).trim();

  const layout = (spec) => {
    const text = color("--wm-text"), line = color("--wm-line"), soft = color("--wm-soft");
    const axes = {};
    for (const key of Object.keys(spec.layout)) {
      if (/^[xy]axis\d*$/.test(key)) {
        axes[key] = { ...spec.layout[key], gridcolor: line, zerolinecolor: line, linecolor: line };
      }
    }
    if (spec.layout.scene) {
      const axis = { gridcolor: line, zerolinecolor: line, color: text, backgroundcolor: "rgba(0,0,0,0)" };
      axes.scene = { ...spec.layout.scene };
      for (const key of ["xaxis", "yaxis", "zaxis"]) axes.scene[key] = { ...axes.scene[key], ...axis };
    }
    return { ...spec.layout, ...axes, font: { ...spec.layout.font, color: text },
      hoverlabel: { bgcolor: soft, bordercolor: line, font: { color: text } },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true };
  };

  const recolor = (traces) => {
    const names = { "#1f9e77": "--wm-real", "#d9642c": "--wm-dream" };
    return JSON.parse(JSON.stringify(traces), (_, value) =>
      typeof value === "string" && names[value] ? color(names[value]) : value);
  };

  // The legend below a figure takes as many lines as its names need on this page.
  const roomy = (plot, spec, made) => {
    const names = spec.data.filter((t) => t.showlegend !== false && t.name).map((t) => t.name.length);
    if (!names.length || spec.layout.scene) return made;
    const columns = Math.max(1, Math.floor((plot.clientWidth - 80) / (75 + 8 * Math.max(...names))));
    const bottom = 70 + 23 * Math.ceil(names.length / columns);
    const small = plot.clientWidth < 600;
    return { ...made, height: (small ? 330 : 400) + bottom,
      margin: { ...spec.layout.margin, b: bottom, ...(small ? { l: 48, r: 8 } : {}) } };
  };

  const draw = () => plots.forEach((plot) => {
    const spec = plot.spec ??= JSON.parse(plot.nextElementSibling.textContent);
    window.Plotly.react(plot, recolor(spec.data), roomy(plot, spec, layout(spec)), { displayModeBar: false, responsive: true })
      .then(() => plot.setAttribute("data-drawn", root.dataset.theme || "light"));
  });

  if (plots.length) {
    const script = document.createElement("script");
    script.src = `${root.dataset.content_root}_static/plotly.min.js`;
    script.onload = () => {
      draw();
      let width = innerWidth;
      addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; draw(); } });
      new MutationObserver(draw).observe(root, { attributes: true, attributeFilter: ["data-theme"] });
    };
    document.head.append(script);
  }

  // The theme's arrows that unfold a part of the contents have no name of their own.
  for (const arrow of document.querySelectorAll("nav summary")) {
    const page = arrow.closest("li")?.querySelector("a")?.textContent.trim();
    arrow.setAttribute("aria-label", `Pages below ${page || "this one"}`);
  }

  // Sphinx calls the references a list; its entries have to say that they are in it.
  document.querySelectorAll(".citation-list > .citation").forEach((entry) => entry.setAttribute("role", "listitem"));

  // On a phone a figure made for a wide page keeps a size at which its words can be read.
  const widen = (img) => { if (img.getAttribute("width") > 480 && img.closest(".cell_output")) img.classList.add("wide"); };
  document.querySelectorAll(".cell_output img").forEach((img) => { if (img.complete) widen(img); });
  document.addEventListener("load", ({ target }) => { if (target.tagName === "IMG") { widen(target); reachable(); } }, true);

  // Wide outputs scroll by themselves: let the keyboard reach them.
  const reachable = () => document.querySelectorAll(".cell_output, .wm-scroll, .wm-flow, pre, .pst-scrollable-table-container, mjx-container[display=true]")
    .forEach((box) => { if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0; });
  addEventListener("load", reachable);
  addEventListener("resize", reachable);
})();
