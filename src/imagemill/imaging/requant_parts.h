/* What the parts of the requantiser share: requant.c reads, requant_blocks.c chooses, requant_entropy.c writes. */
#ifndef IMAGEMILL_REQUANT_PARTS_H
#define IMAGEMILL_REQUANT_PARTS_H

#include "requant.h"

#define BLOCK 64
#define MAX_PLANES 3
#define TOKENS_A_BLOCK 66 /* 63 coefficients and 3 runs of sixteen zeros */

/* One Huffman symbol with its extra bits: symbol << 16 | bits. The end of a block is not written down. */
typedef uint32_t token;

typedef struct {
    uint32_t first; /* in the image's tokens */
    int16_t dc;
    uint8_t tokens;
    uint8_t is_ended; /* the last coefficient is zero, so an end-of-block follows */
} block;

/* How a coefficient moves when the picture is turned. */
typedef struct {
    int is_transposed, flips_x, flips_y; /* transposed first, then flipped */
    uint8_t from[BLOCK];
    int16_t sign[BLOCK];
} turn;

/* One component: where its coefficients come from and what they become. Tables are in natural order, row by row. */
typedef struct {
    int16_t (**rows)[BLOCK]; /* the source's rows of blocks */
    const turn *turn;        /* NULL: as it lies */
    int in_across, in_down;  /* blocks, turned */
    int halves_x, halves_y;
    int is_exact; /* no step changes: coefficients are copied */

    int h, v;         /* sampling factors */
    int across, down; /* blocks that hold picture */
    uint16_t old_step[BLOCK], step[BLOCK];
    int dc_step; /* of what choosing is given; merged blocks come in steps of 1 */
    uint16_t ratio[BLOCK]; /* old step / step in 1/65536 */
    float weight[BLOCK];   /* what a coefficient gains, in the cost of bits */
    int16_t energy_step[BLOCK], energy_most[BLOCK];
    int16_t merge_step[BLOCK];
    int32_t bits[11][BLOCK]; /* what a coefficient costs, by its size and the zeros before it */
    block *blocks;
} plane;

typedef struct {
    token *at;
    size_t count, room;
    uint32_t seen[MAX_PLANES][256]; /* how often each symbol occurs, a component */
} token_list;

typedef struct {
    int width, height, planes, h_most, v_most;
    int density_unit, density_x, density_y; /* JFIF's */
    plane plane[MAX_PLANES];
    token_list tokens;
} picture;

static inline int bit_length(unsigned value) {
#if defined(__GNUC__)
    return value ? 32 - __builtin_clz(value) : 0;
#else
    int length = 0;
    for (; value; value >>= 1) length++;
    return length;
#endif
}

static inline int lowest_bit(uint64_t value) {
#if defined(__GNUC__)
    return __builtin_ctzll(value);
#else
    int at = 0;
    for (; !(value & 1); value >>= 1) at++;
    return at;
#endif
}

extern const uint8_t requant_natural[BLOCK]; /* the zigzag's k-th coefficient, in natural order */

typedef enum {
    READ_ALL,
    READ_NOT, /* not for this reader: libjpeg's turn */
    READ_NO_MEMORY
} reading;

struct jpeg_decompress_struct;

/* Read an image, from where jpeg_read_header() stopped, and choose all of it. `rows` have room; they end as nothing. */
reading requant_read(const struct jpeg_decompress_struct *jpeg, picture *image, int max_scans);

/* Fill `blocks` and `tokens` of a plane's lines from one until before another; 0: no memory. */
int requant_choose(picture *image, int number, int from, int until);

/* Set what choosing needs, from the steps. */
void requant_prepare(plane *one, double thrift);

/* Write the file; 0: no memory. */
int requant_write(picture *image, const requant_order *order, requant_result *result);

#endif
