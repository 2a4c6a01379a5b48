"""From a prompt set to images on disk: axes, jobs, drawing, the protocol and what it cost."""
