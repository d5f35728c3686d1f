/* A picture in at most 256 colours with alpha, and how far that is from the picture. Plain C, no Python, no libraries. */
#ifndef IMAGEMILL_PALETTE_H
#define IMAGEMILL_PALETTE_H

#include <stddef.h>
#include <stdint.h>

enum { PALETTE_COLOURS = 256 };

typedef struct {
    uint8_t colours[PALETTE_COLOURS][4]; /* RGBA, the clearest first */
    int count;
    double mean;   /* difference of a sample, 0 to 255, the worse of on black and on white */
    double coarse; /* root mean square of the difference of blocks of 8 × 8: what an eye sees from afar, as bands */
    double worst;  /* the greatest such difference */
} palette_result;

/* Write an index for each of width × height RGBA pixels. Returns 0 where there is no memory. */
int palette_made(const uint8_t *pixels, int width, int height, uint8_t *indices, palette_result *result);

#endif
