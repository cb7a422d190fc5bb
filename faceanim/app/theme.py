"""Visual theme of the page. It uses system fonts, so that no font is downloaded."""

from pathlib import Path

from gradio.themes import Base, Font
from gradio.themes.utils import colors, sizes

STYLE = Path(__file__).parent / "style.css"
FONT = [Font(name) for name in ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")]
MONO = [Font(name) for name in ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")]
GREEN = colors.Color(
    name="faceanim", c50="#eaf4f0", c100="#d3e8e0", c200="#a9d3c4", c300="#79bca5", c400="#4aa788",
    c500="#1d8467", c600="#0b6b53", c700="#095844", c800="#0a4636", c900="#0b382c", c950="#06231b",
)  # fmt: skip
STONE = colors.Color(
    name="faceanim-stone", c50="#faf9f6", c100="#f4f2ed", c200="#e5e1d9", c300="#cfcac0", c400="#9c9a95",
    c500="#6d7178", c600="#555a62", c700="#363c45", c800="#20252c", c900="#191d23", c950="#121519",
)  # fmt: skip
SURFACES = {
    "body_background_fill": "*neutral_100",
    "body_background_fill_dark": "*neutral_950",
    "body_text_color": "#1f242b",
    "body_text_color_dark": "#e6e8eb",
    "body_text_color_subdued": "*neutral_500",
    "body_text_color_subdued_dark": "#9aa2ad",
    "background_fill_primary": "#ffffff",
    "background_fill_primary_dark": "*neutral_900",
    "background_fill_secondary": "*neutral_50",
    "background_fill_secondary_dark": "*neutral_800",
    "border_color_primary": "*neutral_200",
    "border_color_primary_dark": "#2c323a",
    "border_color_accent": "*primary_600",
    "color_accent": "*primary_600",
    "color_accent_soft": "*primary_50",
    "color_accent_soft_dark": "#15302a",
    "block_background_fill": "transparent",
    "block_background_fill_dark": "transparent",
    "block_border_width": "0px",
    "block_padding": "0",
    "block_shadow": "none",
    "block_title_text_color": "*body_text_color_subdued",
    "block_title_text_color_dark": "*body_text_color_subdued",
    "block_title_text_size": "0.8125rem",
    "block_title_text_weight": "500",
    "block_info_text_size": "0.75rem",
    "block_label_text_size": "0.8125rem",
}
"""Theme variables of surfaces, borders and text."""
CONTROLS = {
    "input_background_fill": "*background_fill_secondary",
    "button_large_radius": "10px",
    "button_primary_background_fill": "*primary_600",
    "button_primary_background_fill_hover": "*primary_700",
    "button_primary_background_fill_dark": "*primary_400",
    "button_primary_background_fill_hover_dark": "*primary_300",
    "button_primary_text_color": "#ffffff",
    "button_primary_text_color_dark": "*primary_950",
    "button_secondary_background_fill": "*background_fill_secondary",
    "button_secondary_background_fill_dark": "*neutral_800",
    "button_secondary_border_color": "*border_color_primary",
    "slider_color": "*primary_600",
    "slider_color_dark": "*primary_400",
    "loader_color": "*primary_600",
    "checkbox_background_color_selected": "*primary_600",
    "checkbox_background_color_selected_dark": "*primary_500",
    "checkbox_border_color_selected": "*primary_600",
    "checkbox_label_background_fill": "transparent",
    "checkbox_label_background_fill_dark": "transparent",
    "checkbox_label_background_fill_selected": "*background_fill_primary",
    "checkbox_label_background_fill_selected_dark": "*neutral_700",
    "checkbox_label_border_width": "0px",
    "checkbox_label_shadow": "none",
    "checkbox_border_color": "*neutral_400",
    "checkbox_border_color_dark": "*neutral_500",
    "checkbox_border_radius": "5px",
}
"""Theme variables of the controls."""


def make_theme() -> Base:
    """Build the theme; `style.css` covers what Gradio's theme variables cannot express."""
    theme = Base(
        primary_hue=GREEN, secondary_hue=GREEN, neutral_hue=STONE, font=FONT, font_mono=MONO,
        radius_size=sizes.radius_lg, spacing_size=sizes.spacing_lg,
    )  # fmt: skip
    return theme.set(**SURFACES, **CONTROLS)
