"""Texts of the page."""

from html import escape

from faceanim.app.options import MAX_SECONDS, MAX_SIDE, MAX_UPLOAD_MB, RETENTION_MINUTES
from faceanim.inference.backend import Network

TITLE = "faceanim"

HEADER = """
<header class="fa-top">
  <svg viewBox="0 0 62 42" fill="none" stroke="currentColor" stroke-width="2.4" stroke-linecap="round"
       aria-hidden="true">
    <circle cx="19" cy="21" r="16" opacity=".22"/><circle cx="30" cy="21" r="16" opacity=".45"/>
    <circle cx="41" cy="21" r="16"/><path d="M36 17v2M47 17v2M36 26c3 3.4 8 3.4 11 0"/>
  </svg>
  <div>
    <h1>Animate a portrait<small>faceanim</small></h1>
    <p>Transfer the motion of a face in a video to the face in a photograph. Uploads never leave the machine
    that runs this page.</p>
  </div>
</header>
"""
NOTICE = """
<aside class="fa-notice" role="note" aria-label="Acceptable use">
  <p><b>Only with consent.</b> Animate yourself, people who agreed to it, or people who never existed.</p>
  <p><b>Never</b> to impersonate or harass anyone, for sexual content, fraud, or identity checks.</p>
  <p><b>Always marked.</b> Every result is marked as synthetic;
  <code>faceanim&nbsp;verify</code> reads the marks.</p>
</aside>
"""

CONSENT = (
    "Everyone shown has agreed to this, is me, or never existed. I will not use the result to "
    "impersonate, harass, sexualize or defraud anyone."
)
NO_CONSENT = "Please confirm first that everyone shown has agreed to this."
NO_PORTRAIT = "Please choose a portrait first: step 1."
NO_VIDEO = "Please choose a video first: step 2."
SERVER_ERROR = "Something went wrong on the server, and the error was logged. Please try again."
BAD_REQUEST = "The request contains a value that the page does not accept."
URLS_REFUSED = "Please upload the file itself; URLs are not fetched."
NO_FACE = "No face found in this image; use one with an upright, frontal face."
ONE_FACE = "One face found."
SEVERAL_FACES = "{} faces found: choose below which to animate."

EXAMPLES = '<p class="fa-hint">No image at hand? Try an astronaut (NASA, public domain):</p>'

PORTRAIT_HINT = "An upright face that looks at the camera works best."
MOTION_BUTTON = "Use a motion file instead"
VIDEO_HINT = f"A face that is visible throughout. Up to {MAX_SECONDS} seconds and {MAX_SIDE} pixels per side."


def step_heading(number: int, name: str) -> str:
    """Return the HTML of a step's heading."""
    return f'<h2 class="fa-step"><span>{number}</span>{escape(name)}</h2>'


def hint_line(text: str, kind: str = "") -> str:
    """Return the HTML of a line below a control.

    Args:
        text: the line, not yet escaped.
        kind: `good` for success, `bad` for a problem, empty for neutral.
    """
    return f'<p class="fa-hint {kind}">{escape(text)}</p>'


def to_sentence(line: str) -> str:
    """Turn an error message into a sentence, with a capital letter and a final period."""
    text = line[:1].upper() + line[1:]
    return text if text.endswith((".", "?", "!")) else text + "."


def page_footer(network: Network, model: str) -> str:
    """Return the HTML of the footer: the model, its device, and the retention of files."""
    where = "on the CPU" if network.device == "cpu" else "on a GPU"
    small, large = (f"{side}×{side}" for side in (network.size, network.output_size))
    return f"""
<footer class="fa-footer">
  <p>Model <b>{escape(model)}</b>: {small} pixels, {large} super-resolved, {where}.</p>
  <p>Files up to {MAX_UPLOAD_MB} MB. Uploads and results are deleted after {RETENTION_MINUTES} minutes
  and when the server stops. No data is sent elsewhere.</p>
</footer>
"""
