// Messages to the kernel: each has a key and waits here for its answer, so that after a cut it can be sent again: the
// kernel does what a key asks for once only. A decision waits in this browser too, so that a reload sends it again; so
// does what was typed as an item's note, until it is stored with a decision.

const SILENCE = 6000;

function connect(model, app) {
  const waiting = new Map();
  let heard = Date.now();
  const place = `${app.about.run_id}/${app.about.iteration}/${app.reviewer}/`;
  const slot = `workbench-review/${place}`, notes = `workbench-note/${place}`;
  const kept = () => Object.keys(localStorage).filter((name) => name.startsWith(slot));
  const put = (name, text) => { try { localStorage.setItem(name, text); } catch { /* private mode */ } };
  const store = (message) => put(slot + message.key, JSON.stringify(message));
  const written = (op, data) => ({ op, key: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`, ...data });

  function post(message, done = null) {
    waiting.set(message.key, { message, done });
    model.send(message);
  }

  function keep(op, data, done) {
    const message = written(op, { ...data, tries: 0 });
    store(message);
    post(message, done);
  }

  function unsent() {
    return kept().flatMap((name) => { try { return [JSON.parse(localStorage.getItem(name))]; } catch { return []; } });
  }

  function receive(answer) {
    const silent = Date.now() - heard > SILENCE, { message, done } = waiting.get(answer.re) || {};
    heard = Date.now();
    waiting.delete(answer.re);
    if (!answer.error || answer.given_up) localStorage.removeItem(slot + answer.re);
    else if (message && "tries" in message) store({ ...message, tries: message.tries + 1 });
    if (answer.error) app.failed(answer, message);
    if (message?.op === "decide" && !message.stay && /^(stored|known)$/.test(answer.outcome)) localStorage.removeItem(notes + message.item);
    done?.(answer);
    if (silent) again();
  }

  function again() {
    waiting.forEach(({ message }) => model.send(message));
    ping();
  }

  const ping = () => model.send({ op: "ping", key: "ping" });
  model.on("msg:custom", receive);
  model.on("reopened", again);
  const pings = setInterval(ping, 2000);
  const looks = setInterval(() => app.connection(Date.now() - heard < SILENCE, kept().length), 500);
  return {
    keep, unsent, post,
    noteOf: (item) => localStorage.getItem(notes + item), keepNote: (item, text) => put(notes + item, text),
    send: (op, data = {}, done = null) => post(written(op, data), done),
    stop() { clearInterval(pings); clearInterval(looks); model.off("msg:custom", receive); model.off("reopened", again); },
  };
}
