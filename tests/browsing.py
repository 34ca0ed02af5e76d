"""A review that is served to a real browser, and the ways to break the connection between them."""

import contextlib
import os
import socket
import threading
import time
from urllib.parse import parse_qs, urlsplit

from workbench import reviewing, workflow
from workbench.parameters import load_parameters
from workbench.records import RunState
from workbench.runs import open_store
from workbench.stages import next_step
from workbench.widgets import launcher

PLACES = ("norte", "sur", "centro", "bajio", "golfo", "sierra", "costa", "valle", "puerto", "playa", "monte", "laguna")
PLACES += ("isla", "delta", "cabo", "llano", "selva", "cerro")
THINGS = ("VUELO", "TAXI", "TACOS", "REFRESCO", "PLAYERA", "GORRA", "COMIDA", "AVION")
HOSTILE = "<img src=x onerror=window.hacked=1><script>window.hacked=2</script>"
SECONDS = 60

CONTRAST = """() => {
  const light = (c) => { const v = c / 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const luminance = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
  const numbers = (text) => {
    const found = text.match(/[\\d.]+/g).map(Number);  // color(srgb …), a mixed colour, counts from 0 to 1
    return text.startsWith("color(") ? found.map((n, place) => place < 3 ? 255 * n : n) : found;
  };
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const color = numbers(getComputedStyle(node).backgroundColor);
      if (color.length < 4 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const node of document.querySelectorAll(".wbr *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || !node.checkVisibility() || node.disabled || node.closest("svg")) continue;
    const [a, b] = [luminance(numbers(getComputedStyle(node).color)), luminance(ground(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push([node.tagName, node.className, node.textContent.slice(0, 30), ratio]);
  }
  return poor;
}"""
"""Texts of the page whose contrast is below what WCAG AA asks for."""


def write_project(folder, prompt, sample=200):
    """144 different lines, nine nearly the same, and one that would like to be HTML."""
    (folder / "prompt.yaml").write_text(prompt, encoding="utf-8")
    lines = [f"{thing} {place}" for place in PLACES for thing in THINGS] + [f"TONER FOLIO 12{n}4" for n in range(9)]
    rows = [f"{n},{text},{10 * n}.50,Emisor {n % 7},Active" for n, text in enumerate(lines)]
    rows += [f'998,"VISA {HOSTILE}",77,"{HOSTILE}",Active'] * 2
    (folder / "expenses.csv").write_text("\n".join(["Folio,Concepto,Importe,Emisor,Estado", *rows]), encoding="utf-8")
    (folder / "run.yaml").write_text(
        "run: {name: small, iterations: 1}\n"
        "ingest: {input: expenses.csv, columns: [Concepto], amount_column: Importe}\n"
        "classify: {prompt: prompt.yaml}\n"
        f"validate: {{sample_size: {sample}}}\n",
        encoding="utf-8",
    )


def reviewed_run(folder):
    """Run the project in a folder up to its review."""
    parameters, store = load_parameters(folder / "run.yaml"), open_store(folder / "runs")
    run = workflow.start(parameters, store, run_id="one")
    while run.state != RunState.AWAITING_REVIEW:
        step = next_step(run, store)
        if step.stage == "ingest":
            run = workflow.ingest(parameters, store, run_id="one")
        else:
            run = getattr(workflow, step.stage)(run, parameters, store)
    reviewing.prepare(run, store, 1)
    return run, store


launcher.PORT += 100 * (1 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]))
"""Each process of tests has ports of its own: nobody takes that of a server which was killed and comes back."""


class Served:
    """A review under way: links, the store, and what a test does to the server."""

    def __init__(self, run, store, reviewers, iteration=1):
        self.run, self.store, self.reviewers, self.iteration = run, store, reviewers, iteration
        self.port = None
        self.start()

    def start(self):
        self._stack = contextlib.ExitStack()
        doors = launcher.Doors(self.reviewers, port=self.port)
        self.now = self._stack.enter_context(launcher.serving(self.run, self.store, self.iteration, doors))
        self.port = urlsplit(next(iter(self.now.links.values()))).port

    def stop(self):
        self._stack.close()

    def kill(self):
        self.now.process.kill()
        self.stop()

    def kernels(self):
        import psutil

        kernels = []
        for child in psutil.Process(self.now.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # a zombie counts as none
                kernels += [child] if any("ipykernel" in word for word in child.cmdline()) else []
        return kernels

    def verdicts(self, reviewer):
        frame = self.store.validations("one", self.iteration)
        return frame[frame["reviewer"] == reviewer]

    def decided(self, reviewer):
        """The items that the log has of a reviewer, in order, taken back or not."""
        with self.store._database.read() as transaction:
            rows = transaction.rows("review_decisions", reviewer=reviewer)
        rows = [row for row in rows if row["iteration"] == self.iteration]
        return [row["item_id"] for row in sorted(rows, key=lambda row: row["decided_at"])]


class Wire(threading.Thread):
    """A cable between browser and server that can be cut."""

    def __init__(self, to):
        super().__init__(daemon=True)
        self._to, self._pairs, self.cut = to, [], False
        self._flows = threading.Event()
        self._flows.set()
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._door.accept()
                if self.cut:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._to))
                self._pairs += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=_carry, args=(one, other, self._flows), daemon=True).start()

    def break_now(self):
        self.cut = True
        for end in self._pairs:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._pairs.clear()

    def mend(self):
        self.cut = False

    def hold(self):
        """Let nothing through, and lose nothing, until `release`."""
        self._flows.clear()

    def release(self):
        self._flows.set()

    def close(self):
        self.release()
        self.break_now()
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()


def _carry(one, other, flows):
    with contextlib.suppress(OSError):
        while data := one.recv(65536):
            flows.wait()
            other.sendall(data)
    for end in (one, other):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


class Visitor:
    """One reviewer at one browser window. A request to any host but ours is held and remembered."""

    def __init__(self, chromium, link, **options):
        self.context = chromium.new_context(viewport={"width": 1280, "height": 720}, **options)
        self.context.set_default_timeout(1000 * SECONDS)
        self.asked, self.foreign, self.port = [], [], urlsplit(link).port
        self.context.on("request", self._look)
        self.page = self.context.new_page()
        self.link = link
        self.open()

    def _look(self, request):
        parts = urlsplit(request.url)
        self.asked.append(parts.path)
        if parts.scheme in ("http", "https", "ws", "wss") and (parts.hostname, parts.port) != ("127.0.0.1", self.port):
            self.foreign.append(request.url)

    def open(self, page=None):
        page = page or self.page
        page.add_init_script(
            "window.seen = []; setInterval(() => {"
            " const item = document.querySelector('.wbr article.item')?.dataset.item;"
            " if (item && window.seen.at(-1) !== item) window.seen.push(item); }, 1);"
        )
        page.goto(self.link)
        page.wait_for_selector(".wbr .view")

    def item(self, page=None):
        return (page or self.page).locator("article.item").get_attribute("data-item")

    def press(self, key, page=None):
        """Press a key and wait until another item shows."""
        page = page or self.page
        before = self.item(page)
        page.keyboard.press(key)
        self.until_other(before, page)
        return before

    def until_other(self, item, page=None):
        (page or self.page).wait_for_function(
            "was => !document.querySelector('.wbr [aria-busy=true]')"
            " && document.querySelector('article.item')?.dataset.item !== was",
            arg=item,
        )

    def told(self):
        return self.page.inner_text(".wbr .live")

    def close(self):
        self.context.close()
        assert self.foreign == []


def through(link, port):
    """The same link by another port."""
    parts = urlsplit(link)
    return parts._replace(netloc=f"{parts.hostname}:{port}").geturl()


def query_of(link):
    return {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}


def until(condition, seconds=SECONDS):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)
