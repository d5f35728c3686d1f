from typing_extensions import Buffer

# An RGBA image of width × height in at most 256 colours: an index for each pixel; the colours, RGBA, the clearest
# first; and how far that is from the image, of 255: in the mean, and (root mean square, worst) of blocks of 8 × 8.
def palettised(pixels: Buffer, width: int, height: int, /) -> tuple[bytes, bytes, float, float, float]: ...
