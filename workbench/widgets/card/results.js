// Results: the numbers as the owner's process last computed them.

function resultsView(app, main) {
  const place = h("p", { class: "quiet-text", role: "status" }, app.t("loading"));
  redraw(main, [place]);
  const ask = () => place.isConnected && app.wire.send("results", {}, ({ error, results: found }) => {
    if (error || !place.isConnected) return;
    if (found.accuracy !== undefined) return redraw(main, [resultsPage(app, found)]);
    place.textContent = app.t("no_results");
    setTimeout(ask, 1000);
  });
  ask();
  return { keys: {} };
}

function resultsPage(app, found) {
  const at = new Date(found.at).toLocaleString(app.lang === "es" ? "es-MX" : "en-US");
  const parts = [accuracyTiles, nextPart, categoryBars, iterationTable, timelineTable, confusionTable, calibrationPart, pairedPart, reviewerPart];
  return h("div", { class: "results" }, h("p", { class: "quiet-text" }, app.t("as_of", { at })), ...parts.map((part) => part(app, found)));
}

function panel(app, title, ...content) {
  return h("section", { class: "panel" }, h("h2", {}, app.t(title)), ...content);
}

function tile(app, name, share, note = "") {
  return h("div", { class: "tile" }, h("span", {}, app.t(name)),
    h("b", {}, share && share.estimate !== null ? app.n.share(share.estimate) : "–"), h("span", { class: "quiet-text" }, share ? app.n.range(share) : note));
}

function accuracyTiles(app, { accuracy }) {
  if (!accuracy) return panel(app, "accuracy", h("p", {}, app.t("no_verdicts")));
  return panel(app, "accuracy",
    h("div", { class: "tiles" }, tile(app, "of_items", accuracy), tile(app, "of_rows", accuracy.by_rows), tile(app, "of_amount", accuracy.by_amount),
      h("div", { class: "tile" }, h("span", {}, app.t("verdicts")), h("b", {}, app.n.whole(accuracy.n)), h("span", { class: "quiet-text" }, app.t("interval_95")))));
}

// What should be reviewed next, and whether the prompt is worth changing again.
function nextPart(app, { review_next, prompt, accuracy }) {
  if (!review_next) return "";
  const thin = review_next.thin.join(", "), pairs = (accuracy?.confused_pairs || []).filter((pair) => pair.n > 1).slice(0, 3);
  const named = pairs.map((pair) => `${pair.true} → ${pair.predicted} (${pair.n})`).join("; ");
  const reasons = review_next.reasons.map((each) => [app.t(`next_${each.key}`, { thin }), app.n.whole(each.items), app.n.whole(each.rows),
    each.amount === null ? "–" : app.n.whole(Math.round(each.amount))]);
  return panel(app, "review_next",
    reasons.length ? table(app.t("review_next_note"), [app.t("why"), app.t("items_word"), app.t("rows_word"), app.t("amount_word")], reasons)
      : h("p", {}, app.t("next_nothing")),
    h("h3", {}, app.t("prompt_question")), h("p", {}, app.t(`prompt_${prompt.key}`, { named })));
}

const WIDEST = "100% (96% – 100%)".length;

// The words beside a bar; all of a column are as wide as the widest, or bars of equal length would not mean the same.
function barWords(words, widest) {
  return h("span", { class: "value", style: `--widest:${widest}` }, words);
}

// A bar with its interval: the share, and the range in which the true share is to be expected.
function bar(app, row) {
  if (row.estimate === null) return "–";
  const at = (share) => `${(100 * share).toFixed(1)}%`;
  return h("span", { class: "bar-cell", role: "img", "aria-label": `${app.n.share(row.estimate)}, ${app.n.range(row)}` },
    h("span", { class: "track" },
      h("span", { class: "fill", style: `width:${at(row.estimate)}` }),
      h("span", { class: "whisker", style: `left:${at(row.low)};width:${at(row.high - row.low)}` })),
    barWords(`${app.n.share(row.estimate)} (${app.n.range(row)})`, WIDEST));
}

function categoryBars(app, { accuracy }) {
  if (!accuracy?.by_category.length) return "";
  return panel(app, "by_category", table(app.t("by_category_note"), [app.t("category"), app.t("found_share"), "n", app.t("precision")],
    accuracy.by_category.map((row) => [row.category, bar(app, row), app.n.whole(row.n), app.n.share(row.precision)])));
}

function iterationTable(app, { iterations }) {
  return panel(app, "iterations", table(app.t("iterations_note"),
    [app.t("iteration_word"), app.t("accuracy"), app.t("confident"), app.t("ambiguous"), app.t("examples")],
    iterations.map((each) => [app.n.whole(each.iteration), each.accuracy ? bar(app, each.accuracy) : "–",
      app.n.share(each.confident_share), app.n.share(each.ambiguous_rate), app.n.whole(each.examples)])));
}

function timelineTable(app, { timeline }) {
  const names = Object.keys(timeline), most = Math.max(1, ...Object.values(timeline).flat());
  const columns = timeline[names[0]]?.map((_, k) => app.t("iteration", { n: k + 1 })) || [];
  return panel(app, "evolution", table(app.t("evolution_note"), [app.t("category"), ...columns],
    names.map((name) => [name, ...timeline[name].map((n) => h("span", { class: "bar-cell" },
      h("span", { class: "track thin" }, h("span", { class: "fill calm", style: `width:${(100 * n / most).toFixed(1)}%` })), barWords(app.n.whole(n), app.n.whole(most).length)))])));
}

function confusionTable(app, { accuracy }) {
  const pairs = accuracy?.confused_pairs || [];
  if (!pairs.length) return "";
  const most20 = pairs.slice(0, 20), rows = [...new Set(most20.map((pair) => pair.true))].slice(0, 10);
  const columns = [...new Set(most20.map((pair) => pair.predicted))].slice(0, 8);
  const most = Math.max(...pairs.map((pair) => pair.n));
  const cell = (row, column) => {
    const n = pairs.find((pair) => pair.true === row && pair.predicted === column)?.n || 0;
    return h("span", { class: "heat", style: `--heat:${(n / most).toFixed(2)}` }, n ? app.n.whole(n) : "·");
  };
  return panel(app, "confusion", h("div", { class: "scroll" },
    table(app.t("confusion_note"), [app.t("true_down"), ...columns],
      rows.map((row) => [row, ...columns.map((column) => (row === column ? "" : cell(row, column)))]), { class: "matrix" })));
}

function calibrationPart(app, { calibration }) {
  if (!calibration?.bins.length) return "";
  const accepted = calibration.acceptance;
  const told = accepted.score === null ? app.t("accept_none")
    : app.t("accept_from", { score: accepted.score.toFixed(2), target: app.n.share(accepted.target) }) + " " + ["items", "rows", "amount"]
      .filter((size) => accepted.counts[size] !== null)
      .map((size) => `${app.n.whole(Math.round(accepted.counts[size]))} ${app.t(`${size}_word`).toLowerCase()} (${app.n.share(accepted.shares[size])})`).join(", ") + ".";
  return panel(app, "calibration", h("p", {}, told), reliability(app, calibration.bins),
    table(app.t("calibration_note"), [app.t("score"), app.t("accuracy"), "n"],
      calibration.bins.map((each) => [`${each.from.toFixed(2)} – ${each.to.toFixed(2)}`, bar(app, each), app.n.whole(each.n)])));
}

// Score against share right; on the diagonal a score means what it says.
function reliability(app, bins) {
  const draw = (kind, props) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", kind);
    Object.entries(props).forEach(([name, value]) => node.setAttribute(name, value));
    return node;
  };
  const x = (share) => 40 + 300 * share, y = (share) => 210 - 200 * share;
  const text = (props, words) => { const node = draw("text", props); node.textContent = words; return node; };
  const svg = draw("svg", { viewBox: "0 0 360 250", class: "chart", role: "img", "aria-label": app.t("calibration_picture") });
  svg.append(draw("line", { x1: x(0), y1: y(0), x2: x(1), y2: y(1), class: "diagonal" }));
  for (const share of [0, 0.5, 1]) {
    svg.append(draw("line", { x1: x(0), x2: x(1), y1: y(share), y2: y(share), class: "grid" }),
      text({ x: 34, y: y(share) + 4, "text-anchor": "end" }, app.n.share(share)), text({ x: x(share), y: 226, "text-anchor": "middle" }, share.toFixed(1)));
  }
  svg.append(text({ x: x(0.5), y: 246, "text-anchor": "middle" }, app.t("score")));
  for (const each of bins.filter((one) => one.estimate !== null)) {
    svg.append(draw("line", { x1: x(each.mean_score), x2: x(each.mean_score), y1: y(each.low), y2: y(each.high), class: "whisker" }),
      draw("circle", { cx: x(each.mean_score), cy: y(each.estimate), r: 5, class: "dot" }));
  }
  return svg;
}

function pairedPart(app, { paired }) {
  if (!paired?.n) return "";
  const verdict = { better: "is_better", worse: "is_worse" }[paired.verdict] || "cannot_tell";
  const rows = [...paired.fixed_items.map((item) => [item, "fixed"]), ...paired.broken_items.map((item) => [item, "broken"])];
  return panel(app, "compared", h("p", {}, app.t(verdict, { n: paired.n, fixed: paired.fixed, broken: paired.broken })),
    rows.length ? h("details", {}, h("summary", {}, app.t("changed_items", { n: rows.length })),
      h("div", { class: "scroll" }, table(app.t("compared_note"), [app.t("text"), "", app.t("was"), app.t("is_now"), app.t("right_is")],
        rows.map(([item, what]) => [item.text, app.t(what), item.before, item.after, item.true])))) : null);
}

function reviewerPart(app, { reviewers, agreement }) {
  if (!reviewers.length) return "";
  const hours = (who) => Math.max((new Date(who.newest) - new Date(who.first)) / 3600000, 1 / 60);
  const two = agreement.items ? h("p", {}, app.t("agreement_told", {
    n: app.n.whole(agreement.items), percent: app.n.share(agreement.percent), alpha: agreement.alpha === null ? "–" : agreement.alpha.toFixed(2),
    kappa: agreement.kappa === null ? "–" : agreement.kappa.toFixed(2),
  })) : h("p", { class: "quiet-text" }, app.t("agreement_none"));
  return panel(app, "who", table(app.t("who_note"), [app.t("reviewer"), app.t("verdicts"), app.t("accepted"), app.t("unsure"), app.t("per_hour")],
    reviewers.map((who) => [who.reviewer, app.n.whole(who.decided), app.n.whole(who.correct), app.n.whole(who.unsure),
      who.decided > 2 ? app.n.whole(Math.round(who.decided / hours(who))) : "–"])), two,
  agreement.disputed.length ? h("div", {}, h("h3", {}, app.t("disputes")),
    table(app.t("disputes_note"), [app.t("text"), ...agreement.reviewers], agreement.disputed.map((each) =>
      [each.text, ...agreement.reviewers.map((name) => each.categories[name] || "–")]))) : null);
}
