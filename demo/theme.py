"""The page's theme: paper and ink, one accent, the system's own fonts (nothing is fetched for them)."""

from __future__ import annotations

import gradio as gr

SANS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def theme() -> gr.themes.Base:
    """Light and dark follow the visitor's system."""
    made = gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.stone,
        radius_size=gr.themes.sizes.radius_md,
        spacing_size=gr.themes.sizes.spacing_md,
        font=SANS,
        font_mono=MONO,
    )
    return made.set(
        body_background_fill="#faf8f4",
        body_background_fill_dark="#15171a",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#1c1f23",
        background_fill_secondary="#f5f2ec",
        background_fill_secondary_dark="#1c1f23",
        block_background_fill="#ffffff",
        block_background_fill_dark="#1c1f23",
        block_border_color="#e8e3d9",
        block_border_color_dark="#2c3036",
        block_shadow="none",
        block_shadow_dark="none",
        block_label_background_fill="#ffffff",  # it stands over pictures
        block_label_background_fill_dark="#1c1f23",
        block_label_text_color="#57534e",
        block_label_text_color_dark="#a8a29e",
        input_background_fill="#ffffff",
        input_background_fill_dark="#15171a",
        body_text_color_subdued="#57534e",  # hints: at least 4.5 to 1
        body_text_color_subdued_dark="#a8a29e",
        block_info_text_color="#57534e",
        block_info_text_color_dark="#a8a29e",
        block_title_text_color="#292524",
        block_title_text_color_dark="#e7e5e4",
        input_placeholder_color="#6b6560",
        input_placeholder_color_dark="#a8a29e",
        input_border_width="1px",
        input_border_color="#8a8378",
        input_border_color_dark="#6f7680",
        input_border_color_focus="#0f766e",
        input_border_color_focus_dark="#5eead4",
        checkbox_border_color="#78716c",
        checkbox_border_color_dark="#8b929c",
        checkbox_background_color_selected="#0f766e",
        checkbox_background_color_selected_dark="#0f766e",
        checkbox_border_color_selected="#0f766e",
        checkbox_border_color_selected_dark="#0f766e",
        button_primary_background_fill="#0f766e",
        button_primary_background_fill_hover="#115e59",
        button_primary_background_fill_dark="#0f766e",
        button_primary_background_fill_hover_dark="#115e59",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#ffffff",
        button_primary_shadow="none",
        button_secondary_background_fill="#f0ece4",
        button_secondary_background_fill_hover="#e7e1d5",
        button_secondary_background_fill_dark="#2a2e34",
        button_secondary_background_fill_hover_dark="#343940",
        slider_color="#0f766e",
        slider_color_dark="#2dd4bf",
        link_text_color="#0f766e",
        link_text_color_dark="#5eead4",
    )
