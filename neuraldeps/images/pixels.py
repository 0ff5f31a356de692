"""Pixels of 8 bits from images of any mode."""

import numpy as np
from PIL import Image

# formats whose 16 bits go from black at 0 to white at 65535; none where a data set decodes itself
WIDE = {"PNG", "PPM", "TIFF", "JPEG2000", None}
TIFF_BITS, TIFF_PHOTOMETRIC = 258, 262


def eight_bits(image: Image.Image, mode: str) -> Image.Image:
    """Convert an image of any mode to 8 bits per channel.

    Parameters
    ----------
    image : Image
        Of an animation the first image. Transparency is dropped and the camera's note of how it was
        held is ignored, as in timm and torchvision.
    mode : {"RGB", "L"}
        Pillow's mode to convert to.

    Returns
    -------
    Image
        16-bit grey is scaled (65535 to 255, by its higher byte, as Pillow reads 16-bit colour), where
        Pillow's own conversion makes white of all above 255.

    Raises
    ------
    ValueError
        If the file does not tell which value is white: 32-bit integers and floats.
    """
    if image.mode == mode:
        return image
    if image.mode == "LAB":  # which goes to grey by way of colour
        image = image.convert("RGB")
    is_wide = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM")
    if is_wide and image.format in WIDE:
        values = np.asarray(image)
        tags = getattr(image, "tag_v2", {})
        if tags.get(TIFF_BITS) == (12,):
            values = values << 4
        if tags.get(TIFF_PHOTOMETRIC) == 0:  # white is 0
            values = 65535 - values
        return Image.fromarray((values >> 8).astype(np.uint8)).convert(mode)
    if image.mode[0] in "IF":
        raise ValueError(
            f"mode {image.mode} of {image.format}: it does not tell which value is white; "
            "save it with 8 or 16 bits"
        )
    return image.convert(mode)
