/* A JPEG's bytes become a smaller JPEG's bytes; no pixel is computed on the way.
 *
 * No Python in here: `_requant.c` wraps this for Python, `tests/fuzz/requant_fuzz.c` feeds it broken files. All state is
 * the call's own, so any number of threads may be inside.
 */
#ifndef IMAGEMILL_REQUANT_H
#define IMAGEMILL_REQUANT_H

#include <stddef.h>
#include <stdint.h>

#define REQUANT_MESSAGE_BYTES 200 /* libjpeg's JMSG_LENGTH_MAX */

typedef enum {
    REQUANT_MADE,
    REQUANT_DECLINED, /* a JPEG that is not for us: `message` is the reason, one word */
    REQUANT_BROKEN,   /* libjpeg stopped or warned: `message` is what it said */
    REQUANT_NO_MEMORY
} requant_fate;

typedef struct {
    int quality;          /* libjpeg's scale, 1 to 100; no coefficient gets a finer step than it has */
    int orientation;      /* EXIF's, 1 to 8: the output is turned so that it needs none */
    int halve_chroma;     /* chroma at full resolution becomes 4:2:0 */
    int progressive;      /* 0 no, 1 yes, -1 what is clearly smaller */
    int max_scans;        /* more are a bomb: each scan walks over the whole image */
    uint64_t max_pixels;  /* checked, as memory is, before anything is decoded */
    uint64_t memory_bytes;
    int is_plain;         /* read with libjpeg alone: slower, for comparison */
    double thrift;        /* how many bits a bit of distortion must save; 0 keeps every coefficient */
    const uint8_t *segments; /* whole marker segments to put behind JFIF's: ICC, EXIF */
    size_t segments_bytes;
} requant_order;

typedef struct {
    uint8_t *data; /* the caller's to free(); NULL unless made */
    size_t bytes;
    int width, height; /* of the output */
    char message[REQUANT_MESSAGE_BYTES];
} requant_result;

requant_fate requant(const uint8_t *data, size_t bytes, const requant_order *order, requant_result *result);

/* Mean structural similarity of two grey images of equal sides (Wang, Bovik, Sheikh, Simoncelli 2004): 11 × 11 Gaussian
 * window, sigma 1.5, in every `step`-th row. Images under 11 pixels on a side are one window each way. Below -1: no
 * memory. */
double requant_ssim(const uint8_t *one, const uint8_t *other, int width, int height, int step);

#endif
