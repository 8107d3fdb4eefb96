"""JupyterLab in headless Chromium, for the tests of what runs in a notebook."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

SHARED = Path(__file__).resolve().parent
CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_SETTINGS = {"notification": {"fetchNews": "false", "checkForUpdates": False}}


def find_chromium() -> str | None:
    """The browser's path: ``$CHROMIUM``, or what is installed."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if name and (path := shutil.which(name))), None)


def write_notebook(path: Path, cells: Sequence[str]) -> None:
    """A notebook with a kernel's name (without one a dialog opens and everything waits)."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    body = [
        {
            "cell_type": "code",
            "id": f"cell-{index}",
            "source": source,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        for index, source in enumerate(cells)
    ]
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": kernel},
        "cells": body,
    }
    path.write_text(json.dumps(notebook))


@contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """Serves ``folder/notebooks``; gives an address with ``{}`` where the notebook's name goes."""
    settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    for name, value in _SETTINGS.items():
        (settings / f"{name}.jupyterlab-settings").write_text(json.dumps(value))
    (folder / "notebooks").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    paths = [str(SHARED.parents[1]), str(SHARED), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "IPYTHONDIR": str(folder / "ipython"),
    }
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={folder / 'notebooks'}",
        f"--IdentityProvider.token={token}",
        "--LabApp.expose_app_in_browser=True",
    ]
    with open(folder / "server.log", "w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
    try:
        _wait_for_server(f"http://127.0.0.1:{port}/api?token={token}", server, folder)
        yield f"http://127.0.0.1:{port}/lab/tree/{{}}?reset&token={token}"
    finally:
        server.terminate()
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()


def _wait_for_server(address: str, server: subprocess.Popen, folder: Path) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=2).close()
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("JupyterLab did not start:\n" + (folder / "server.log").read_text()[-2000:])


def open_notebook(page, address: str) -> None:
    """Opens a notebook and waits for its kernel."""
    page.goto(address)
    page.wait_for_function(
        """() => window.jupyterapp?.shell.currentWidget?.context?.sessionContext?.session
            ?.kernel?.status === 'idle'""",
        timeout=120_000,
    )
    page.evaluate("() => { document.title = 'ready'; }")


def run_all(page) -> None:
    page.evaluate("() => { jupyterapp.commands.execute('notebook:run-all-cells'); }")


def save(page) -> None:
    page.evaluate("async () => { await jupyterapp.commands.execute('docmanager:save'); }")


def cell_milliseconds(page, code: str = "1 + 1", repeats: int = 9) -> list[float]:
    """How long the kernel takes to run a trivial cell, measured in the browser."""
    return page.evaluate(
        """async ([code, repeats]) => {
            const kernel = jupyterapp.shell.currentWidget.context.sessionContext.session.kernel;
            const times = [];
            for (let i = 0; i < repeats; i++) {
                const begin = performance.now();
                await kernel.requestExecute({ code }).done;
                times.push(performance.now() - begin);
                await new Promise((resolve) => setTimeout(resolve, 100));
            }
            return times;
        }""",
        [code, repeats],
    )


def drawn_per_second(page, seconds: float) -> float:
    """Frames that requestAnimationFrame drew, by the browser's own clock."""
    return page.evaluate(
        """async (seconds) => {
            const root = document.querySelector('.wm-player');
            const drawn = Number(root.dataset.drawn), begin = performance.now();
            await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
            return (Number(root.dataset.drawn) - drawn) * 1000 / (performance.now() - begin);
        }""",
        seconds,
    )
