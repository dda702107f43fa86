"""A real JupyterLab in a real Chromium, driven by Playwright, for checking lessons as a learner meets them.

Example
-------
>>> with Lab(folder) as lab:                                        # doctest: +SKIP
...     lesson = lab.open("notebooks/00_a_machine_that_hears_digits.ipynb")
...     lesson.run_all()
...     assert lesson.errors() == []
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from playwright.sync_api import Browser, Error, Locator, Page, TimeoutError, sync_playwright

REPOSITORY = Path(__file__).resolve().parents[2]
SCREENSHOTS = Path(__file__).resolve().parent / "screenshots"

# Nothing but this machine can be reached: a page that needs a CDN fails here as it would on a train.
# A name of its own for this machine stands for an http page from elsewhere, which browsers trust less.
ELSEWHERE = "jupyter.example"
OFFLINE = (
    f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
)
CHROMIUM_OPTIONS = (
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-sync",
    "--disable-default-apps",
    "--no-first-run",
    "--mute-audio",
    OFFLINE,
)


CONTROLS = ".noUi-handle, select, input[type=checkbox]"

# Keeps in cell.asrTimes how often a control of the cell changed, and the milliseconds from the last change to
# the first picture decoded after it: of an image that was given a new source, or of a new image.
WATCH = """
cell => {
    if (cell.asrTimes) return;
    const times = cell.asrTimes = {changes: 0, began: null, taken: null};
    const changed = () => { times.changes += 1; times.began = performance.now(); times.taken = null };
    const appeared = image => {
        const began = times.began;
        if (began === null) return;
        image.decode().then(() => {
            if (times.began !== began) return;
            times.taken = performance.now() - began;
            times.began = null;
        }, () => {});  // replaced before it was decoded
    };
    cell.addEventListener('input', event => {
        if (event.target.matches('select, input[type=checkbox]')) changed();
    }, true);
    new MutationObserver(mutations => {
        for (const {type, target, attributeName, addedNodes, oldValue} of mutations) {
            if (attributeName === 'style') {  // the handle's place; its aria-valuenow is rounded to a tenth
                if (target.matches('.noUi-origin') && oldValue !== target.getAttribute('style')) changed();
            } else if (attributeName === 'src') appeared(target);
            for (const node of addedNodes) {
                if (node.matches?.('img')) appeared(node);
                node.querySelectorAll?.('img').forEach(appeared);
            }
        }
    }).observe(cell, {subtree: true, childList: true, attributes: true, attributeOldValue: true,
                      attributeFilter: ['src', 'style']});
}
"""


class NoChromium(RuntimeError):
    """No Chromium was found on this machine."""


def find_chromium() -> str:
    """Return the path of Chromium: $CHROMIUM, else the usual names; raise NoChromium when there is none."""
    named = os.environ.get("CHROMIUM")
    if named:
        if Path(named).is_file():
            return named
        raise NoChromium(f"CHROMIUM={named!r} is not a file. Point it at the chromium program.")
    for candidate in ("/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(candidate)
        if found:
            return found
    raise NoChromium(
        "The browser tests need Chromium and found none. Install it (Debian: apt install chromium) "
        "or name it: CHROMIUM=/path/to/chromium make test-browser"
    )


def fake_microphone(recording: Path | str) -> list[str]:
    """Return the options that make Chromium play `recording`, a WAV file, in a loop as its microphone."""
    return [
        "--use-fake-ui-for-media-stream",  # the permission question is answered with yes
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={recording}",
    ]


def no_microphone() -> list[str]:
    """Return the Chromium options of a learner who answers the permission question with no."""
    return ["--use-fake-device-for-media-stream", "--deny-permission-prompts"]


class Lab:
    """One JupyterLab server in a folder of its own, and the browsers that were opened on it."""

    def __init__(
        self,
        folder: Path | str,
        *,
        server_options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.work = self.folder / "work"  # what JupyterLab shows: copies only, never the repository
        self.work.mkdir(parents=True, exist_ok=True)
        self.log_file = self.folder / "jupyterlab.log"
        self.server_options = list(server_options)
        self.environment = dict(environment or {})
        self.token = secrets.token_hex(16)
        self.port = _free_port()
        self.browsers: dict[tuple[str, ...], Browser] = {}  # by the options they were started with
        self.lesson: Lesson | None = None

    def __enter__(self) -> Lab:
        self.chromium = find_chromium()  # before the server starts: the commonest reason to stop
        self._start_server()
        try:
            self.playwright = sync_playwright().start()
        except BaseException:
            self._stop_server()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            for browser in self.browsers.values():
                browser.close()
            self.playwright.stop()
        finally:
            self._stop_server()

    def open(
        self,
        notebook: Path | str,
        *,
        browser_options: Sequence[str] = (),
        host: str = "127.0.0.1",
        viewport: tuple[int, int] = (1280, 1000),
    ) -> Lesson:
        """Copy `notebook` into the server's folder and open it as a newcomer would, its kernel idle.

        One lesson at a time: the one before it is closed, so that its kernel takes no memory.
        """
        if self.lesson:
            self.lesson.close()
        source = Path(notebook)
        source = source if source.is_absolute() else REPOSITORY / source
        shutil.copy(source, self.work / source.name)
        context = self._browser(browser_options).new_context(
            viewport={"width": viewport[0], "height": viewport[1]}
        )
        page = context.new_page()
        page.set_default_timeout(30_000)
        self.lesson = lesson = Lesson(page, log_file=self.log_file)
        page.goto(
            f"http://{host}:{self.port}/lab/tree/{source.name}?token={self.token}&reset", timeout=120_000
        )
        page.wait_for_selector(".jp-NotebookPanel .jp-Notebook .jp-Cell", timeout=120_000)
        lesson.wait_until_idle()
        return lesson

    def blank(self, *, browser_options: Sequence[str] = (), host: str = "localhost") -> Page:
        """Open a page with nothing on it, under a name that browsers trust as they trust JupyterLab's."""
        page = self._browser(browser_options).new_context(viewport={"width": 900, "height": 500}).new_page()
        page.set_default_timeout(30_000)
        page.route("**/*", lambda route: route.fulfill(content_type="text/html", body="<body></body>"))
        page.goto(f"http://{host}:{self.port}/")
        return page

    def _browser(self, options: Sequence[str]) -> Browser:
        """Start a browser, or give the one that was started with the same options."""
        key = tuple(options)
        if key not in self.browsers:
            self.browsers[key] = self.playwright.chromium.launch(
                executable_path=self.chromium, args=[*CHROMIUM_OPTIONS, *options]
            )
        return self.browsers[key]

    def _start_server(self) -> None:
        private = self.folder / "jupyter"
        settings = private / "settings" / "@jupyterlab"
        _write_json(
            settings / "apputils-extension" / "notification.jupyterlab-settings",
            {"fetchNews": "false", "checkForUpdates": False},
        )
        environment = {
            **os.environ,
            "JUPYTER_CONFIG_DIR": str(private / "config"),
            "JUPYTER_DATA_DIR": str(private / "data"),
            "JUPYTER_RUNTIME_DIR": str(private / "runtime"),
            "JUPYTERLAB_WORKSPACES_DIR": str(private / "workspaces"),
            "JUPYTERLAB_SETTINGS_DIR": str(private / "settings"),
            "IPYTHONDIR": str(private / "ipython"),
            "JUPYTER_PREFER_ENV_PATH": "1",  # the kernel of this Python, not one of the user's
            "PYTHONPATH": os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")])),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            **self.environment,
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # it makes every start compile everything again
        environment.pop("MPLBACKEND", None)  # the tests' own draws no figure into a notebook
        command = [
            sys.executable,
            "-m",
            "jupyterlab",
            "--no-browser",
            "--ip=127.0.0.1",
            f"--port={self.port}",
            "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={self.token}",
            "--allow-root",
            f"--ServerApp.root_dir={self.work}",
            "--LabApp.expose_app_in_browser=True",
            "--LabApp.news_url=None",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            *self.server_options,
        ]
        with self.log_file.open("w") as log:
            self.server = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=self.work,
                start_new_session=True,
            )
        self._wait_for_server(seconds=120)

    def _wait_for_server(self, *, seconds: float) -> None:
        address = f"http://127.0.0.1:{self.port}/api/status?token={self.token}"
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.server.poll() is not None:
                raise RuntimeError(f"JupyterLab stopped while starting:\n{_tail(self.log_file)}")
            try:
                urllib.request.urlopen(address, timeout=2).read()
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        self._stop_server()
        raise RuntimeError(f"JupyterLab did not answer within {seconds:g} s:\n{_tail(self.log_file)}")

    def _stop_server(self) -> None:
        """Stop the server and the kernels it started, and nothing else."""
        self.server.send_signal(signal.SIGTERM)
        try:
            self.server.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self.server.pid, signal.SIGKILL)


class Lesson:
    """A notebook that is open in JupyterLab."""

    def __init__(self, page: Page, *, log_file: Path) -> None:
        self.page = page
        self.log_file = log_file
        self.console: list[tuple[str, str]] = []
        page.on("console", lambda message: self.console.append((message.type, message.text)))
        page.on("pageerror", lambda error: self.console.append(("pageerror", str(error))))

    def close(self) -> None:
        """Shut the kernel down and close the page."""
        with contextlib.suppress(Error):  # of a page that never came so far
            self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        self.page.context.close()

    def wait_until_idle(self, *, seconds: float = 120) -> None:
        """Wait until the notebook has a kernel and the kernel is idle."""
        self.page.wait_for_function(
            "() => { const panel = window.jupyterapp?.shell.currentWidget;"
            " return panel?.sessionContext?.session?.kernel?.status === 'idle' }",
            timeout=1000 * seconds,
        )

    def run_all(self, *, seconds: float = 300) -> None:
        """Run every cell, as the menu's Run All Cells does; afterwards look at `errors()`."""
        # Awaited by a poll, not by `evaluate`, whose time limit is that of a click.
        self.page.evaluate(
            "() => { window.finished = false;"
            " window.jupyterapp.commands.execute('notebook:run-all-cells')"
            ".finally(() => { window.finished = true }); }"
        )
        self.page.wait_for_function("() => window.finished", timeout=1000 * seconds)
        self.wait_until_idle(seconds=seconds)

    def cells(self) -> list[dict]:
        """Return the notebook's cells with their outputs, as JSON."""
        return self.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.toJSON().cells")

    def errors(self) -> list[str]:
        """Return one text per cell that failed or, after an error, never ran."""
        found = []
        for cell in self.cells():
            if cell["cell_type"] != "code" or not "".join(cell["source"]).strip():
                continue
            name = cell.get("id", "?")
            failures = [output for output in cell["outputs"] if output["output_type"] == "error"]
            found += [f"{name}: {output['ename']}: {output['evalue']}" for output in failures]
            if not failures and cell["execution_count"] is None:
                found.append(f"{name}: did not run")
        return found

    def id_of_cell_ending(self, last_line: str) -> str:
        """Return the id of the first code cell whose last line is `last_line`."""
        for cell in self.cells():
            lines = "".join(cell["source"]).rstrip().splitlines()
            if cell["cell_type"] == "code" and lines and lines[-1] == last_line:
                return cell["id"]
        raise LookupError(f"no code cell of the lesson ends with the line {last_line!r}")

    def wait_until(self, holds: Callable[[], bool], failure: str, *, seconds: float = 30) -> None:
        """Ask again and again until it holds; fail with `failure` when it never does."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"{failure} within {seconds:g} s"
            self.page.wait_for_timeout(20)

    def scroll_to(self, cell_id: str) -> Locator:
        """Bring the cell into view, which also makes JupyterLab render it, and return its element."""
        index = [cell.get("id") for cell in self.cells()].index(cell_id)
        self.page.evaluate(
            "i => window.jupyterapp.shell.currentWidget.content.scrollToItem(i, 'start')", index
        )
        cell = self.page.locator(f".jp-Notebook .jp-Cell[data-windowed-list-index='{index}']")
        cell.wait_for(state="attached")
        cell.scroll_into_view_if_needed()
        return cell

    def picture(self, cell: Locator) -> bytes:
        """Return the bytes of the first picture in a cell's output, as the browser holds them."""
        numbers = cell.locator(".jp-OutputArea img").first.evaluate(
            "async image => [...new Uint8Array(await (await fetch(image.src)).arrayBuffer())]"
        )
        return bytes(numbers)

    def explorers(self) -> dict[str, str]:
        """Return the explorers that cells show as their last line: the variable's name and the cell's id."""
        ends = {}
        for cell in self.cells():
            lines = "".join(cell["source"]).rstrip().splitlines()
            if cell["cell_type"] == "code" and lines and lines[-1].isidentifier():
                ends[lines[-1]] = cell["id"]
        found = self.execute(
            "from asrlib.widgets import Explorer as _Explorer\n"
            f"print(*[name for name in {list(ends)!r} if isinstance(globals().get(name), _Explorer)])"
        )
        return {name: ends[name] for name in found.split()}

    def controls(self, cell: Locator) -> list[Locator]:
        """Return what can be turned in a cell's output, in the page's order: sliders, lists, switches."""
        found = cell.locator(".jp-OutputArea").locator(CONTROLS)
        return [found.nth(i) for i in range(found.count())]

    def name_of(self, control: Locator) -> str:
        """Return the label that stands beside a control."""
        return self.text_beside(control).split("\n")[0]

    def text_beside(self, control: Locator) -> str:
        """Return the label of a control and what it shows as its value."""
        return control.evaluate("""control => {
            let text = '';
            for (let around = control.parentElement; !text; around = around.parentElement)
                text = around.innerText.replaceAll('\\u200b', '').trim();
            return text;
        }""")

    def time_changes(
        self, cell: Locator, control: Locator, *, keys: Sequence[str], pause_ms: float = 50
    ) -> list[float]:
        """Press keys on a control; return the milliseconds from each change of it to the new picture.

        The clock is the page's own and stands in the page, so that the time Playwright takes is not counted.
        It starts when the control's value changes in the page, and stops when the browser has decoded the
        first picture that appears in the cell afterwards. A key that changes no value or, within two seconds,
        no picture is passed over.
        """
        cell.evaluate(WATCH)
        control.focus()
        taken: list[float] = []
        without = 0
        for key in keys:
            before = cell.evaluate("cell => { cell.asrTimes.taken = null; return cell.asrTimes.changes }")
            self.page.keyboard.press(key)
            if cell.evaluate("cell => cell.asrTimes.changes") == before:
                continue
            try:
                self.page.wait_for_function(
                    "cell => cell.asrTimes.taken !== null", arg=cell.element_handle(), timeout=2000
                )
            except TimeoutError:
                without += 1
                if not taken and without == 2:
                    break  # with the other controls as they are, this one has no effect
                continue
            taken.append(cell.evaluate("cell => cell.asrTimes.taken"))
            self.page.wait_for_timeout(pause_ms)
        return taken

    def execute(self, code: str) -> str:
        """Run `code` in the lesson's kernel without touching the notebook; return what it printed."""
        return self.page.evaluate(
            """async code => {
                const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                const future = kernel.requestExecute({code, store_history: false});
                let text = '';
                future.onIOPub = message => {
                    if (message.header.msg_type === 'stream') text += message.content.text;
                    if (message.header.msg_type === 'error') text += message.content.traceback.join('\\n');
                };
                await future.done;
                return text;
            }""",
            code,
        )

    def use_theme(self, name: str) -> None:
        """Switch to "JupyterLab Light" or "JupyterLab Dark"."""
        self.page.evaluate(
            "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", name
        )
        self.page.wait_for_function(
            "theme => document.body.dataset.jpThemeName === theme"
            " && !document.getElementById('jupyterlab-splash')",
            arg=name,
        )
        self.page.wait_for_timeout(500)  # colours fade

    def screenshot(self, name: str, *, element: Locator | None = None) -> Path:
        """Keep a picture of the window, or of one element, under tests/browser/screenshots/."""
        SCREENSHOTS.mkdir(exist_ok=True)
        file = SCREENSHOTS / f"{name}.png"
        (element or self.page).screenshot(path=str(file))
        return file


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _write_json(file: Path, content: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


def _tail(file: Path, *, characters: int = 2000) -> str:
    return file.read_text(errors="replace")[-characters:]
