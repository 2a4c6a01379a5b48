"""From tables to what people read: HTML, Markdown, charts, pictures, LaTeX."""
