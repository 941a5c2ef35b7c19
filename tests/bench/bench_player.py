"""How smooth the player is in Chromium, and how heavy: measured, over what is aimed at.

``×0.50`` is half of what a frame, a jump, an event or a page may take.
"""

import asyncio
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from deadlock_lab.engine.run import execute
from deadlock_lab.views.html import page as page_of
from deadlock_lab.views.payload import to_payload

PLAYED = 4_000  # milliseconds
JUMPS = 150

PLAY = """async milliseconds => {
    const root = document.querySelector(".deadlock-lab");
    const press = key => root.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    ["+", "+", "+", " "].forEach(press);
    const times = [];
    await new Promise(done => {
        const began = performance.now();
        const frame = now => {
            times.push(now);
            now - began < milliseconds ? requestAnimationFrame(frame) : done();
        };
        requestAnimationFrame(frame);
    });
    press(" ");
    return times.slice(1).map((time, i) => time - times[i]);
}"""

# A jump is over when the browser has laid out what was changed.
SCRUB = """async jumps => {
    const range = document.querySelector(".dl-range");
    const took = [];
    for (let i = 1; i <= jumps; i += 1) {
        range.value = String(Math.floor(range.max * ((i * 0.618034) % 1)));
        const began = performance.now();
        range.dispatchEvent(new Event("input"));
        document.body.getBoundingClientRect();
        took.push(performance.now() - began);
        await new Promise(requestAnimationFrame);
    }
    return took;
}"""


def busy(tasks, rounds):
    async def main():
        locks = [asyncio.Lock() for _ in range(8)]

        async def job(n):
            for k in range(rounds):
                async with locks[(n + k) % 8]:
                    await asyncio.sleep((n * 7 + k) % 11 / 100)

        jobs = [asyncio.create_task(job(n), name=f"job-{n}") for n in range(tasks)]
        await asyncio.gather(*jobs)

    return execute(main, max_time=1e6, max_steps=10**7)


def over(measured, aim, unit):
    return f"{measured:.1f} {unit} (×{measured / aim:.2f})"


def smoothness(chromium, html, frames_aimed):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.html"
        path.write_text(html, encoding="utf-8")
        page = chromium.new_page(viewport={"width": 1180, "height": 800})
        began = time.perf_counter()
        page.goto(path.as_uri())
        page.locator(".dl-where").wait_for()
        opened = time.perf_counter() - began
        took = page.evaluate(SCRUB, JUMPS)
        page.locator(".dl-range").fill("0")
        frames = page.evaluate(PLAY, PLAYED)
        page.close()
    return (
        f"opens in {over(opened * 1000, 1000, 'ms')}; "
        f"a frame: mean {over(statistics.mean(frames), 1000 / frames_aimed, 'ms')}, "
        f"median {statistics.median(frames):.1f} ms; "
        f"a jump: median {over(statistics.median(took), 16, 'ms')}, "
        f"95 of 100 within {statistics.quantiles(took, n=20)[-1]:.1f} ms"
    )


def weight(recording, html):
    events = len(recording.trace.events)
    columns = json.dumps(to_payload(recording)["events"], separators=(",", ":"))
    size = len(html.encode()) / 1000
    return (
        f"an event sent to a notebook: {over(len(columns) / events, 15, 'bytes')}; "
        f"a saved page: {over(size, 60, 'kB') if events < 2_000 else f'{size:.0f} kB'}"
    )


def main():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sys.exit("playwright is not installed")
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for tasks, rounds, frames in ((20, 6, 60), (100, 10, 60), (100, 100, 30), (1000, 10, 30)):
            recording = busy(tasks, rounds)
            html = page_of(recording)
            print(f"{len(recording.trace.events):,} events, {tasks:,} tasks")
            print(f"    {weight(recording, html)}")
            print(f"    {smoothness(chromium, html, frames)}", flush=True)
        chromium.close()


if __name__ == "__main__":
    main()
