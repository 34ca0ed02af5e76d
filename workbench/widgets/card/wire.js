// Messages to the kernel: each has a key and waits here for its answer, so that after a cut it can be sent again: the
// kernel does what a key asks for once only. A decision waits in this browser too, so that a reload sends it again; so
// does what was typed as an item's note, until it is stored with a decision.

const SILENCE = 6000;

class Memory {  // in place of localStorage where a browser forbids it: nothing outlives the page then
  getItem(name) { return this[name] ?? null; }
  setItem(name, text) { this[name] = text; }
  removeItem(name) { delete this[name]; }
}

// Half an emoji cannot be sent: it would end the connection, again and again.
function sendable(message) {
  return JSON.parse(JSON.stringify(message), (_, value) => (typeof value === "string" ? value.replace(/\p{Surrogate}/gu, "\ufffd") : value));
}

function connect(model, app) {
  const waiting = new Map();
  let heard = Date.now();
  const disk = (() => { try { return localStorage ?? new Memory(); } catch { return new Memory(); } })();
  const place = `${app.about.run_id}/${app.about.iteration}/${encodeURIComponent(app.reviewer)}/`;
  const slot = `workbench-review/${place}`, notes = `workbench-note/${place}`;
  const kept = () => Object.keys(disk).filter((name) => name.startsWith(slot));
  const put = (name, text) => { try { disk.setItem(name, text); } catch { /* private mode */ } };
  const store = (message) => put(slot + message.key, JSON.stringify(message));
  const written = (op, data) => ({ op, key: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`, ...data });

  function post(message, done = null) {
    const sent = sendable(message);
    waiting.set(message.key, { message: sent, done });
    model.send(sent);
  }

  // Of one item the latest decision alone is kept: an earlier one that could not be stored is no longer meant.
  function keep(op, data, done) {
    const message = written(op, { ...data, tries: 0, at: Date.now() });
    unsent().filter((old) => data.item && old.item === data.item).forEach((old) => disk.removeItem(slot + old.key));
    store(message);
    post(message, done);
  }

  function unsent() {
    const found = kept().flatMap((name) => { try { return [JSON.parse(disk.getItem(name))]; } catch { return []; } });
    return found.sort((one, other) => one.at - other.at);
  }

  function receive(answer) {
    const silent = Date.now() - heard > SILENCE, { message, done } = waiting.get(answer.re) || {};
    heard = Date.now();
    waiting.delete(answer.re);
    if (!answer.error || answer.given_up) disk.removeItem(slot + answer.re);
    else if (message && "tries" in message) store({ ...message, tries: message.tries + 1 });
    if (answer.error) app.failed(answer, message);
    if (message?.op === "decide" && /^(stored|known)$/.test(answer.outcome)) disk.removeItem(notes + message.item);
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
    noteOf: (item) => disk.getItem(notes + item), keepNote: (item, text) => put(notes + item, text),
    send: (op, data = {}, done = null) => post(written(op, data), done),
    stop() { clearInterval(pings); clearInterval(looks); model.off("msg:custom", receive); model.off("reopened", again); },
  };
}
