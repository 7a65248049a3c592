"""Checks the status pages of the lab in a real browser: `python tests/page/check.py <the program syncwatch-lab> <folder for output>`.

Each state is opened at three widths, in the light and the dark scheme and for print, without JavaScript: nothing may be wider than
the window, and the browser may report no error. axe-core, which needs JavaScript, must find no violation; html5lib must find valid
HTML. A picture of each state is compared with the one in `golden/`; with UPDATE=1 it replaces it; open it before you commit it.
"""

import io
import os
import pathlib
import shutil
import subprocess
import sys

import html5lib
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageChops
from playwright.sync_api import sync_playwright

GOLDEN = pathlib.Path(__file__).parent / "golden"
WIDTHS = (360, 768, 1440)
SCHEMES = ("light", "dark")
# The pictures: at most so many pixels high, at half the size, with few colors.
PICTURE_WIDTH, PICTURE_HEIGHT, COLORS = 1100, 2400, 32
# A pixel differs if a channel does by more than this, and a picture if more than this share of its pixels do.
CHANNEL, SHARE = 56, 0.01
# The names of elements that are wider than the window, or that end outside of it.
OVERFLOW = """() => {
  const width = document.documentElement.clientWidth;
  const all = [...document.body.querySelectorAll('*')].filter(e => !e.closest('svg') || e.tagName === 'svg');
  const out = all.filter(e => { const r = e.getBoundingClientRect(); return r.width && (r.right > width + 1 || r.left < -1); });
  const scrolls = document.documentElement.scrollWidth > width ? ['the page'] : [];
  return scrolls.concat(out.map(e => e.tagName + '.' + e.className)).slice(0, 5);
}"""


def layout(browser, url, report):
    """Looks for overflow and errors without JavaScript."""
    for scheme in SCHEMES:
        context = browser.new_context(java_script_enabled=False, color_scheme=scheme)
        page = context.new_page()
        errors = []
        page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
        page.on("request", lambda request: None if request.url == url else errors.append(f"it requests {request.url}"))
        for media in ("screen", "print"):
            page.emulate_media(media=media, color_scheme=scheme)
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                page.goto(url)
                wide = page.evaluate(OVERFLOW)
                if wide:
                    report(f"{media}, {scheme}, {width} px: too wide: {', '.join(wide)}")
        for error in errors:
            report(f"{scheme}: {error}")
        context.close()


def accessibility(browser, url, report):
    axe = Axe()
    for scheme in SCHEMES:
        # Only this check runs a script in the page, which its own policy forbids.
        context = browser.new_context(bypass_csp=True, color_scheme=scheme)
        page = context.new_page()
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(url)
            for violation in axe.run(page).response["violations"]:
                place = violation["nodes"][0]
                report(f"{scheme}, {width} px: {violation['id']}: {violation['help']}: {place['html'][:160]} {place.get('failureSummary', '')[:300]}")
        context.close()


def picture(browser, url):
    context = browser.new_context(
        java_script_enabled=False, color_scheme="light", viewport={"width": PICTURE_WIDTH, "height": 900}, device_scale_factor=0.5
    )
    page = context.new_page()
    page.goto(url)
    height = min(PICTURE_HEIGHT, page.evaluate("document.documentElement.scrollHeight"))
    taken = page.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": PICTURE_WIDTH, "height": height})
    context.close()
    return Image.open(io.BytesIO(taken)).convert("RGB").quantize(COLORS)


def compared(found, path, out, report):
    found.save(out / f"{path.stem}.png", optimize=True)
    if os.environ.get("UPDATE", "0") not in ("", "0"):
        shutil.copy(out / f"{path.stem}.png", path)
        return
    if not path.exists():
        report(f"{path.name} is missing: make page-check UPDATE=1, and open it")
        return
    golden, found = Image.open(path).convert("RGB"), found.convert("RGB")
    if golden.size != found.size:
        report(f"the picture has {found.size} pixels, {path.name} has {golden.size}")
        return
    different = ImageChops.difference(golden, found).convert("L").point(lambda value: 255 if value > CHANNEL else 0)
    share = different.histogram()[255] / (found.width * found.height)
    if share > SHARE:
        report(f"{100 * share:.1f}% of the picture differ from {path.name}; see {out / path.name}")


def main(lab, folder):
    out = pathlib.Path(folder).resolve()
    shutil.rmtree(out, ignore_errors=True)
    subprocess.run([lab, "pages", out], check=True, stdout=subprocess.DEVNULL)
    states = sorted(page.parent for page in out.glob("*/index.html"))
    problems = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"), args=["--no-sandbox", "--font-render-hinting=none"]
        )
        for state in states:
            def report(problem):
                problems.append(f"{state.name}: {problem}")

            page = state / "index.html"
            try:
                html5lib.HTMLParser(strict=True).parse(page.read_text())
            except html5lib.html5parser.ParseError as error:
                report(f"invalid HTML: {error}")
            layout(browser, page.as_uri(), report)
            accessibility(browser, page.as_uri(), report)
            compared(picture(browser, page.as_uri()), GOLDEN / f"{state.name}.png", out, report)
        browser.close()
    unknown = sorted(path.name for path in GOLDEN.glob("*.png") if path.stem not in {state.name for state in states})
    problems += [f"{name} is of no state" for name in unknown]
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(states)} status pages checked: {len(problems)} problems")
    return 1 if problems or not states else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
