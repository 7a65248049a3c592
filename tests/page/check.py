"""Checks the status pages and a monthly report of the lab in a real browser: `python tests/page/check.py <the program syncwatch-lab> <folder for output>`.

Each state is opened at three widths, in the light and the dark scheme and for print, without JavaScript: nothing may be wider than
the window, and the browser may report no error. axe-core, which needs JavaScript, must find no violation; html5lib must find valid
HTML. A picture of each state is compared with the one in `golden/`, and the pictures of README.md with what they show; with UPDATE=1 it
replaces them; open each before you commit it.
"""

import html
import io
import json
import os
import pathlib
import re
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
ROOT = GOLDEN.parents[2]
RELAY = ROOT / "functions/alert-relay"
# The snapshots of a mail and of a chat message: the text of the test that wrote them follows the second line `---`.
MAIL = RELAY / "src/mail/snapshots/alert_relay__mail__tests__page_is_text_and_html.snap"
CHAT = RELAY / "src/slack/snapshots/alert_relay__slack__tests__open_problem_has_impact_owner_steps_and_figures.snap"
CHAT_STYLE = """body { margin: 0; padding: 14px 18px; width: 640px; font: 15px/1.46 'Noto Sans', sans-serif; color: #1d1c1d }
.bar { border-left: 4px solid #e01e5a; padding-left: 12px; margin-top: 8px } p { margin: 6px 0; overflow-wrap: anywhere }
code { font-size: 12px; color: #c01343; background: #f6f6f6; border: 1px solid #ddd; border-radius: 3px; padding: 1px 3px }
a { color: #1264a3; text-decoration: none } .fields { display: grid; grid-template-columns: 1fr 1fr; gap: 0 12px }
.mention { background: #e8f5fa; color: #1264a3; border-radius: 3px; padding: 0 2px } .context { font-size: 13px; color: #616061 }"""
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


def picture(browser, url, width=PICTURE_WIDTH, most=PICTURE_HEIGHT, scale=0.5):
    context = browser.new_context(
        java_script_enabled=False, color_scheme="light", viewport={"width": width, "height": 400}, device_scale_factor=scale
    )
    page = context.new_page()
    page.goto(url)
    height = min(most, page.evaluate("document.documentElement.scrollHeight"))
    taken = page.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": width, "height": height})
    context.close()
    return Image.open(io.BytesIO(taken)).convert("RGB").quantize(COLORS)


def marked(text):
    """Converts Slack's mrkdwn (https://docs.slack.dev/messaging/formatting-message-text) as its clients show it."""
    text = html.escape(html.unescape(text), quote=False).replace("&lt;", "<").replace("&gt;", ">")
    text = re.sub(r"<!date\^[^|>]*\|([^>]*)>", r"\1", text)
    text = re.sub(r"<@(\w+)>", r"[span class=mention]@\1[/span]", text)
    text = re.sub(r"<(https?:[^|>]+)\|([^>]*)>", r"[a]\2[/a]", text)
    text = html.escape(text, quote=False).replace("&amp;amp;", "&amp;")
    text = re.sub(r"\[(/?)(a|span)( class=mention)?\]", r"<\1\2\3>", text).replace("<a>", "<a href='#'>")
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    return re.sub(r"(?<!\w)\*([^*\n]+)\*(?!\w)", r"<b>\1</b>", text).replace("\n", "<br>")


def block(block):
    if "fields" in block:
        return "<div class=fields>" + "".join(f"<p>{marked(field['text'])}</p>" for field in block["fields"]) + "</div>"
    if block["type"] == "context":
        return "".join(f"<p class=context>{marked(element['text'])}</p>" for element in block["elements"])
    kind = "h4" if block["type"] == "header" else "p"
    return f"<{kind}>{marked(block['text']['text'])}</{kind}>"


def chat(message):
    """Draws a Slack message from its blocks."""
    parts = "".join(map(block, message.get("blocks", [])))
    for attachment in message.get("attachments", []):
        parts += f"<div class=bar style='border-color: {attachment.get('color', '#ddd')}'>{''.join(map(block, attachment['blocks']))}</div>"
    return f"<!doctype html><meta charset=utf-8><style>{CHAT_STYLE}</style>{parts}"


def pictures(browser, out, report):
    """Takes the pictures of README.md: the page, the report, a mail and a chat message."""
    mail = MAIL.read_text()
    (out / "mail.html").write_text(mail[mail.index("<!doctype"):])
    (out / "chat.html").write_text(chat(json.loads(CHAT.read_text().split("---\n", 2)[2])))
    for source, path, width, most in (
        ("error/index.html", ROOT / "functions/status-page/page.png", 1000, 1150),
        ("month/index.html", ROOT / "functions/reports/month.png", 900, 1250),
        ("mail.html", RELAY / "notice.png", 700, 600),
        ("chat.html", RELAY / "chat.png", 680, 900),
    ):
        compared(picture(browser, (out / source).as_uri(), width, most, 1), path, out / "readme", report)


def compared(found, path, out, report):
    out.mkdir(exist_ok=True)
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
        pictures(browser, out, lambda problem: problems.append(f"README.md: {problem}"))
        browser.close()
    unknown = sorted(path.name for path in GOLDEN.glob("*.png") if path.stem not in {state.name for state in states})
    problems += [f"{name} is of no state" for name in unknown]
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(states)} pages checked: {len(problems)} problems")
    return 1 if problems or not states else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
