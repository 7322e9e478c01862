"use strict";
const specs = JSON.parse(document.getElementById("specs").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");

function theme() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = {
    labelColor: colour("--faint"), titleColor: colour("--faint"), gridColor: colour("--line"),
    domainColor: colour("--line"), tickColor: colour("--line"), labelFontSize: 12,
  };
  return {axis, view: {stroke: null}, font: "system-ui, sans-serif"};
}

function draw() {
  for (const [name, spec] of Object.entries(specs)) {
    // ast: expressions are interpreted. The page's policy allows no code that is made from text.
    vegaEmbed(document.getElementById(`chart-${name}`), spec, {
      actions: false, renderer: "svg", ast: true, config: theme(), tooltip: {theme: dark.matches ? "dark" : "light"},
    });
  }
}

dark.addEventListener("change", draw);
draw();
