"""From a prompt set to images on disk: prompts, axes, jobs, drawing, the protocol and what it cost."""
