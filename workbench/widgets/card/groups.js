// Groups: items that are nearly the same, or share category and keyword; decided together, after a preview.

function groupsView(app, main) {
  const t = app.t, state = (app.groups ??= { category: "", keyword: "" });
  const list = h("div", { class: "group-list" }), members = h("div", { class: "members", tabIndex: -1 });
  const category = choice(app, state.category, [["", t("any")], ...app.about.categories.map(({ name }) => [name, name])],
    { "aria-label": t("category") });
  const keyword = h("input", { type: "search", value: state.keyword, "aria-label": t("keyword"), placeholder: t("keyword") });
  const form = h("form", {
    class: "filters", onsubmit: (event) => {
      event.preventDefault();
      Object.assign(state, { category: category.value, keyword: keyword.value });
      if (!category.value && !keyword.value.trim()) return;
      look({ category: category.value, keyword: keyword.value });
      members.focus();
    },
  }, h("label", {}, h("span", {}, t("category")), category), h("label", {}, h("span", {}, t("keyword")), keyword),
  h("button", { class: "act" }, t("show_items")));
  redraw(main, [h("p", { class: "lead" }, t("groups_lead")), form, h("div", { class: "cols" }, list, members)]);

  function look(what) {
    if (state.what !== what) state.to = state.out = null;
    if (state.what !== what || !members.hasChildNodes()) redraw(members, [h("p", { class: "quiet-text" }, t("loading"))]);
    state.what = what;
    app.wire.send("members", what, (reply) => {
      if (reply.error || state.what !== what) return;
      redraw(members, [groupMembers(app, reply.items, again)]);
      members.scrollIntoView({ block: "nearest" });
    });
  }
  function refresh() {
    app.wire.send("groups", {}, (reply) => {
      if (reply.error) return;
      redraw(list, [h("h2", {}, t("nearly_same")),
        reply.groups.length ? h("ul", {}, reply.groups.map((group) => groupButton(app, group, look))) : h("p", {}, t("no_groups"))]);
    });
  }
  function again() {
    refresh();
    if (state.what) look(state.what);
  }
  again();
  return { keys: { z: () => undo(app) }, again };
}

function groupButton(app, group, look) {
  return h("li", {}, h("button", {
    class: "group", key: `group/${group.alike}/${group.category}`,
    "aria-current": app.groups.what?.alike === group.alike && app.groups.what.category === group.category ? "true" : null, onclick: (event) => {
      event.currentTarget.closest("ul").querySelectorAll("[aria-current]").forEach((node) => node.removeAttribute("aria-current"));
      event.currentTarget.setAttribute("aria-current", "true");
      look({ alike: group.alike, category: group.category });
    },
  }, h("span", { class: "text" }, textOf(group)),
  h("span", { class: "about" }, `${group.category} · ${count(app, "n_items", group.items)} · ${count(app, "n_rows", group.n_rows)}`)));
}

function groupMembers(app, items, done) {
  const t = app.t;
  if (!items.length) return h("p", {}, t("group_empty"));
  const boxes = items.map((item) => h("input", { type: "checkbox", key: item.item_id, checked: !app.groups.out?.includes(item.item_id), "aria-label": textOf(item), onchange: () => counted() }));
  const all = h("input", { type: "checkbox", checked: true, "aria-label": t("all"), onchange: () => { boxes.forEach((box) => { box.checked = all.checked; }); counted(); } });
  const target = choice(app, app.groups.to ?? items[0].category, app.about.categories.map(({ name }) => [name, name]),
    { "aria-label": t("correct_to"), onchange: () => { app.groups.to = target.value; counted(); } });
  const preview = h("div", { class: "preview", role: "status" });
  const accept = h("button", { class: "act primary", key: "accept", onclick: () => ask("accept", accept) });
  const correct = h("button", { class: "act", key: "correct", title: t("choose_another"), onclick: () => ask("choose", correct) });
  const chosen = () => items.filter((_, k) => boxes[k].checked);

  function counted() {
    const n = chosen().length;
    app.groups.out = items.filter((_, k) => !boxes[k].checked).map(({ item_id }) => item_id);
    all.checked = n === items.length;
    all.indeterminate = n > 0 && n < items.length;
    accept.replaceChildren(t("accept_n", { n }));
    correct.replaceChildren(t("correct_n", { n, category: target.value }));
    accept.disabled = !n;
    correct.disabled = chosen().every(({ category }) => category === target.value);
    redraw(preview, []);
  }
  // What will change, in words and numbers, before anything does.
  function ask(verdict, asked) {
    const picked = chosen(), rows = picked.reduce((sum, item) => sum + item.n_rows, 0), from = {};
    picked.forEach((item) => { from[item.category] = (from[item.category] || 0) + 1; });
    const changes = Object.entries(from).map(([name, n]) => h("li", {}, verdict === "accept" || name === target.value
      ? t("stays", { n, category: name }) : t("becomes", { n, category: name, to: target.value })));
    const yes = h("button", { class: "act primary", onclick: () => store(verdict, picked) }, t("do_it"));
    redraw(preview, [h("p", {}, t("preview", { items: count(app, "n_items", picked.length), rows: count(app, "n_rows", rows) })), h("ul", {}, changes), yes,
      h("button", { class: "act", onclick: () => redraw(preview, [], asked) }, t("cancel"))]);
    yes.focus();
  }
  function store(verdict, picked) {
    if (app.pending) return;
    app.busy({ verdict });
    app.wire.keep("decide_many", { verdict, category: target.value, text: count(app, "n_items", picked.length), items: picked.map(({ item_id, rev }) => [item_id, rev]) }, (reply) => {
      app.busy(null);
      if (reply.error) return;
      app.progress = reply.progress;
      app.say(t(reply.outcome === "stale" ? "group_stale" : "group_stored", { n: picked.length }));
      done();
    });
  }
  counted();
  return h("div", {},
    h("div", { class: "scroll" }, table(t("group_items"), [all, t("text"), t("category"), t("score"), t("rows")],
      items.map((item, k) => [boxes[k], textOf(item), item.category, scorePill(app, item.score), app.n.whole(item.n_rows)]))),
    h("div", { class: "actions" }, accept, h("label", {}, h("span", {}, t("correct_to")), target), correct,
      h("span", { class: "gap" }), h("button", { class: "act", key: "undo", onclick: () => undo(app) }, t("undo"), h("kbd", { "aria-hidden": "true" }, "Z"))), preview);
}
