const root = document.documentElement;
const bar = document.getElementById("chosen");
const views = [];

// Light or dark: as the system says, until the reader says otherwise.
const theme = document.getElementById("theme");
const dark = (on) => {
  root.classList.toggle("dark", on);
  root.classList.toggle("light", !on);
};
dark(matchMedia("(prefers-color-scheme: dark)").matches);
theme.hidden = false;
theme.addEventListener("click", () => dark(!root.classList.contains("dark")));

const nodes = new DataTable("#node-table", {
  autoWidth: false,
  pageLength: 25,
  order: [],
  columnDefs: [{ targets: "_all", orderSequence: ["asc", "desc", ""] }],
  language: { search: "search", lengthMenu: "_MENU_ a page" },
});

const rowOf = (node) => nodes.row((_, __, row) => row.dataset.node === node);

// What is chosen in the table or in a plot is shown in all of them.
function choose(node, site) {
  const row = rowOf(node);
  if (!row.any()) return;
  const own = row.node();
  nodes.rows().nodes().to$().removeClass("chosen");
  own.classList.add("chosen");
  for (const view of views) {
    const signals = view.getState().signals;
    if ("chosen" in signals) view.signal("chosen", node).runAsync();
    const shown = site ?? own.dataset.site;
    if ("site" in signals && shown) view.signal("site", shown).runAsync();
  }
  const [order, path, kind] = [...own.cells].map((cell) => cell.textContent);
  bar.textContent = `${order}: ${path} (${kind}); show it in the table`;
  bar.dataset.node = node;
  bar.hidden = false;
  turnTo(row);
}

// Turn to the page of the table that a row is on; a search that hides it is taken back.
function turnTo(row) {
  const shown = () => nodes.rows({ order: "applied", search: "applied" }).indexes().toArray();
  if (!shown().includes(row.index())) nodes.search("").draw();
  nodes.page(Math.floor(shown().indexOf(row.index()) / nodes.page.len())).draw(false);
}

bar.addEventListener("click", () => {
  turnTo(rowOf(bar.dataset.node));
  rowOf(bar.dataset.node).node().scrollIntoView({ block: "center" });
});
nodes.on("click", "tbody tr", (event) => {
  const { node } = event.target.closest("tr").dataset;
  if (node !== undefined) choose(node);
});

const config = {
  background: null,
  view: { stroke: null },
  axis: {
    labelColor: "currentColor",
    titleColor: "currentColor",
    titleFontWeight: "normal",
    domainColor: "currentColor",
    tickColor: "currentColor",
    gridColor: "currentColor",
    gridOpacity: 0.13,
    domainOpacity: 0.4,
    tickOpacity: 0.4,
  },
  legend: { labelColor: "currentColor", titleColor: "currentColor", titleFontWeight: "normal" },
  text: { color: "currentColor" },
  range: { category: ["#2f7ed8", "#e07b39", "#3aa76d", "#a463c9", "#d1495b", "#8a8f98"] },
};
const options = {
  actions: { export: true, source: false, compiled: false, editor: false },
  ast: true, // the page's policy lets nothing be compiled
  config,
  renderer: "svg",
};

for (const { id, spec } of JSON.parse(document.getElementById("specs").textContent)) {
  const { view } = await vegaEmbed(document.querySelector(`#${id} .chart`), spec, options);
  view.addEventListener("click", (_, item) => {
    const datum = item?.datum?.datum ?? item?.datum;
    if (datum?.node) choose(datum.node, datum.site);
  });
  views.push(view);
}
root.dataset.ready = "";
