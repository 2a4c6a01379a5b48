"""The detector of the everyday world: what a picture shows, and how well it fits a caption.

A small convolutional network with one look of self-attention says for every cell of a 32x32 grid whether a thing has its
middle there, which kind it is, its colour, box, place, size and relation, of a picture and of its mirror image, whose mean
counts. Where it is unsure of a kind it looks again, at twice the size (glance.py). How large a thing is called hangs on how all
of the picture stand, too, which a second network says of their boxes (sizes.py). Beside them a vector of the whole picture
gives sky, ground, scenery and, trained against captions in the manner of CLIP (Radford et al. 2021), the features. Trained on
drawings by `python -m evaluation.detectors.train_everyday`. It shares nothing with any generator.

    features    64 numbers an image, for fd_scenes, kd_scenes
    cosine      of image and text features, for clip_scenes
    read        the scene a picture shows, for scene_accuracy, scene_prompt_accuracy and scene_extra
"""

from .detector import EverydayDetector, load_everyday_detector
from .reading import Reading

__all__ = ["EverydayDetector", "Reading", "load_everyday_detector"]
