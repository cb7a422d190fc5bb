"""What the page says."""

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
    <h1>Let a portrait move<small>faceanim</small></h1>
    <p>The face of a photograph moves as the face of a video does. Nothing you upload leaves the machine
    that runs this page.</p>
  </div>
</header>
"""
NOTICE = """
<aside class="fa-notice" role="note" aria-label="What this is for, and not for">
  <p><b>Only with consent.</b> Animate yourself, people who agreed to it, or people who never existed.</p>
  <p><b>Never</b> to impersonate or harass anybody, for sexual content, fraud, or identity checks.</p>
  <p><b>Always marked.</b> Every result says that it is synthetic, and
  <code>faceanim&nbsp;verify</code> reads that.</p>
</aside>
"""

CONSENT = (
    "Everybody shown has agreed to this, is myself, or never existed. I will not use the result to "
    "impersonate, harass, sexualise or defraud anybody."
)
NO_CONSENT = "Please tick first that everybody shown has agreed to this."
NO_PORTRAIT = "Please choose a portrait first: step 1."
NO_VIDEO = "Please choose a video first: step 2."
SERVER_ERROR = "Something went wrong here; it has been written to the server's log. Please try again."
BAD_REQUEST = "This request holds something that the page does not take."

URLS_REFUSED = "Please upload the file itself; addresses are not fetched."
NO_FACE = "No face is found in this picture; take one with an upright, frontal face."
ONE_FACE = "One face found."
SEVERAL_FACES = "{} faces found: choose below."

EXAMPLES = '<p class="fa-hint">No picture at hand? Try an astronaut (NASA, public domain):</p>'

PORTRAIT_HINT = "One upright face that looks at the camera works best."
VIDEO_HINT = f"A face that is seen throughout. At most {MAX_SECONDS} seconds and {MAX_SIDE} pixels a side."


def step_heading(number: int, name: str) -> str:
    """A step's heading."""
    return f'<h2 class="fa-step"><span>{number}</span>{escape(name)}</h2>'


def hint_line(text: str, kind: str = "") -> str:
    """A line below a control; `kind` is `bad` where something is wrong, `good` where all is well."""
    return f'<p class="fa-hint {kind}">{escape(text)}</p>'


def to_sentence(line: str) -> str:
    """One of our errors' lines, as a person would write it."""
    text = line[:1].upper() + line[1:]
    return text if text.endswith((".", "?", "!")) else text + "."


def page_footer(network: Network, model: str) -> str:
    """Which model runs where, and what becomes of the files."""
    where = "on the CPU" if network.device == "cpu" else "on a GPU"
    small, large = (f"{side}×{side}" for side in (network.size, network.output_size))
    return f"""
<footer class="fa-footer">
  <p>Model <b>{escape(model)}</b>: {small} pixels, {large} super-resolved, {where}.</p>
  <p>Files of up to {MAX_UPLOAD_MB} MB. Uploads and results are deleted after {RETENTION_MINUTES} minutes,
  and when the server ends. Nothing is sent anywhere.</p>
</footer>
"""
